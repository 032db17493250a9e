/// @file
/// The header of a safetensors file: what it says of each tensor, and everything that is
/// checked before a number is read. io/safetensors.hpp describes the file.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <basin/core/index.hpp>
#include <basin/io/byte_source.hpp>

namespace basin {

/// The number formats of tensors, in the order of the reference implementation.
enum class tensor_type : std::uint8_t {
  boolean,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  f64,
  i64,
  u64,
};

namespace detail {
struct tensor_type_entry {
  std::string_view name;
  std::size_t bytes;
};
inline constexpr std::array<tensor_type_entry, 15> tensor_types{{{"BOOL", 1},
                                                                 {"U8", 1},
                                                                 {"I8", 1},
                                                                 {"F8_E5M2", 1},
                                                                 {"F8_E4M3", 1},
                                                                 {"I16", 2},
                                                                 {"U16", 2},
                                                                 {"F16", 2},
                                                                 {"BF16", 2},
                                                                 {"I32", 4},
                                                                 {"U32", 4},
                                                                 {"F32", 4},
                                                                 {"F64", 8},
                                                                 {"I64", 8},
                                                                 {"U64", 8}}};
}  // namespace detail

/// The name in files, e.g. "BF16".
[[nodiscard]] constexpr std::string_view to_string(tensor_type type) noexcept {
  return detail::tensor_types[static_cast<std::size_t>(type)].name;
}
/// Bytes of one number.
[[nodiscard]] constexpr std::size_t size_of(tensor_type type) noexcept {
  return detail::tensor_types[static_cast<std::size_t>(type)].bytes;
}

/// Where a tensor lies in a file, and what it is.
struct tensor_info {
  tensor_type type = tensor_type::f32;
  std::vector<index_t> shape;  ///< empty for a single number
  std::size_t begin = 0;       ///< in bytes behind the header
  std::size_t end = 0;

  /// Number of numbers.
  [[nodiscard]] index_t size() const noexcept {
    return static_cast<index_t>((end - begin) / size_of(type));
  }
};

namespace detail {

using tensor_table = std::map<std::string, tensor_info, std::less<>>;
using metadata_table = std::map<std::string, std::string, std::less<>>;

inline constexpr std::size_t safetensors_header_limit = 100'000'000;  // the format's own
inline constexpr std::string_view safetensors_metadata = "__metadata__";

/// "tensor 'name': ", of a name that may be anything.
[[nodiscard]] inline std::string tensor_prefix(std::string_view name) {
  std::string text(name.substr(0, 100));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = '?';
  }
  return "tensor '" + text + (name.size() > 100 ? "…': " : "': ");
}

[[nodiscard]] inline std::string shape_text(std::span<const index_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size() && i < 16; ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  }
  return text + (shape.size() > 16 ? ", …]" : "]");
}

/// Iterates over a text and says at which byte it is.
struct tracking_iterator {
  using difference_type = std::ptrdiff_t;
  using value_type = char;
  using pointer = const char*;
  using reference = const char&;
  using iterator_category = std::input_iterator_tag;

  const char* at = nullptr;
  const char** seen = nullptr;

  const char& operator*() const { return *at; }
  tracking_iterator& operator++() {
    *seen = ++at;
    return *this;
  }
  tracking_iterator operator++(int) {
    const tracking_iterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const tracking_iterator& other) const { return at == other.at; }
  bool operator!=(const tracking_iterator& other) const { return at != other.at; }
};

/// Reads the header event by event. No document is built, so nothing nests: whatever the
/// format does not have where it stands is refused there, duplicate keys included.
class SafetensorsHeader {
 public:
  /// @param text the header, which begins at byte 8 of the source
  SafetensorsHeader(const ByteSource& source, std::string_view text)
      : source_(source), text_(text), seen_(text.data()) {
    if (text.empty() || text.front() != '{') source.refuse(8, "the header does not begin with {");
    // The parser takes a zero byte for the end.
    if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
      source.refuse(8 + zero, "the header has a zero byte");
    }
    nlohmann::json::sax_parse(tracking_iterator{text.data(), &seen_},
                              tracking_iterator{text.data() + text.size(), &seen_}, this);
    check_layout();
  }

  tensor_table tensors;
  metadata_table metadata;

  // What nlohmann::json::sax_parse calls; its nested names are its own.
  bool null() { unexpected("null"); }
  bool boolean(bool) { unexpected("a truth value"); }
  bool number_integer(std::int64_t) { unexpected("a negative number"); }
  bool number_float(double, const std::string&) { unexpected("a fraction or too large a number"); }
  bool binary(const std::vector<std::uint8_t>&) { unexpected("binary data"); }
  bool number_unsigned(std::uint64_t value) {
    if (place_ != place::numbers) unexpected("a number");
    if (value > static_cast<std::uint64_t>(PTRDIFF_MAX)) refuse("a number is too large");
    if (field_ == field::shape) {
      tensor_->second.shape.push_back(static_cast<index_t>(value));
    } else {
      if (offsets_ == 2) refuse("data_offsets are more than two numbers");
      (offsets_++ == 0 ? tensor_->second.begin : tensor_->second.end) =
          static_cast<std::size_t>(value);
    }
    return true;
  }
  bool string(const std::string& text) {
    if (place_ == place::metadata) {
      *text_value_ = text;
    } else if (place_ == place::tensor && field_ == field::dtype) {
      const auto found = std::find_if(tensor_types.begin(), tensor_types.end(),
                                      [&](const auto& entry) { return entry.name == text; });
      if (found == tensor_types.end()) refuse("unknown dtype " + text.substr(0, 20));
      tensor_->second.type = static_cast<tensor_type>(found - tensor_types.begin());
    } else {
      unexpected("a text");
    }
    return true;
  }
  bool start_object(std::size_t) {
    if (place_ == place::outside) {
      place_ = place::top;
    } else if (place_ == place::top) {
      place_ = in_metadata_ ? place::metadata : place::tensor;
      fields_ = offsets_ = 0;
    } else {
      unexpected("an object");
    }
    return true;
  }
  bool key(const std::string& name) {
    if (place_ == place::top) {
      in_metadata_ = name == safetensors_metadata;
      bool fresh = in_metadata_ && !std::exchange(has_metadata_, true);
      if (!in_metadata_) std::tie(tensor_, fresh) = tensors.try_emplace(name);
      if (!fresh) source_.refuse(offset(), tensor_prefix(name) + "a second one of this name");
    } else if (place_ == place::metadata) {
      const auto [entry, fresh] = metadata.try_emplace(name);
      if (!fresh) refuse("a second '" + name.substr(0, 100) + "'");
      text_value_ = &entry->second;
    } else {
      constexpr std::array<std::string_view, 3> names{"dtype", "shape", "data_offsets"};
      const auto found = std::find(names.begin(), names.end(), name);
      if (found == names.end()) refuse("unknown key '" + name.substr(0, 100) + "'");
      field_ = static_cast<field>(found - names.begin());
      const unsigned bit = 1u << static_cast<unsigned>(field_);
      if ((fields_ & bit) != 0) refuse("a second " + name);
      fields_ |= bit;
    }
    return true;
  }
  bool start_array(std::size_t) {
    if (place_ != place::tensor || field_ == field::dtype) unexpected("an array");
    place_ = place::numbers;
    return true;
  }
  bool end_array() {
    place_ = place::tensor;
    return true;
  }
  bool end_object() {
    if (place_ == place::tensor) check_tensor();
    place_ = place_ == place::top ? place::outside : place::top;
    return true;
  }
  template <class Exception>
  bool parse_error(std::size_t, const std::string&, const Exception& e) {
    // The message repeats the token, which may be as long as the header.
    source_.refuse(offset(), "the header is not JSON: " + std::string(e.what()).substr(0, 200));
  }

 private:
  enum class place { outside, top, metadata, tensor, numbers };
  enum class field { dtype, shape, data_offsets };

  [[nodiscard]] std::size_t offset() const {
    return 8 + static_cast<std::size_t>(seen_ - text_.data());
  }
  [[noreturn]] void refuse(const std::string& reason) const {
    const bool named = place_ == place::tensor || place_ == place::numbers ||
                       (place_ == place::top && !in_metadata_ && !tensors.empty());
    source_.refuse(offset(), (named          ? tensor_prefix(tensor_->first)
                              : in_metadata_ ? "__metadata__: "
                                             : std::string()) +
                                 reason);
  }
  [[noreturn]] void unexpected(const std::string& what) const {
    constexpr std::array<std::string_view, 3> expected{"a text is expected for dtype",
                                                       "an array is expected for shape",
                                                       "an array is expected for data_offsets"};
    refuse(what + (place_ == place::outside || place_ == place::top ? " where an object is expected"
                   : place_ == place::metadata                      ? " where a text is expected"
                   : place_ == place::numbers
                       ? " where a whole number of at least 0 is expected"
                       : " where " + std::string(expected[static_cast<std::size_t>(field_)])));
  }

  // Every bound of a tensor, before anything is made from its numbers.
  void check_tensor() {
    const tensor_info& info = tensor_->second;
    if (fields_ != 7) {
      refuse(std::string("no ") + ((fields_ & 1) == 0   ? "dtype"
                                   : (fields_ & 2) == 0 ? "shape"
                                                        : "data_offsets"));
    }
    if (offsets_ != 2) refuse("data_offsets are not two numbers");
    const std::size_t length = source_.size() - 8 - text_.size();
    if (info.begin > info.end || info.end > length) {
      refuse("data_offsets [" + std::to_string(info.begin) + ", " + std::to_string(info.end) +
             "] do not lie within the " + std::to_string(length) + " bytes behind the header");
    }
    // Zeros are left out of the bound, so that no product of dimensions can overflow.
    std::size_t bytes = size_of(info.type);
    bool empty = false;
    for (const index_t size : info.shape) {
      empty = empty || size == 0;
      const auto factor = static_cast<std::size_t>(std::max(size, index_t{1}));
      if (bytes > static_cast<std::size_t>(PTRDIFF_MAX) / factor) {
        refuse("the product of the shape " + shape_text(info.shape) + " overflows");
      }
      bytes *= factor;
    }
    if (empty) bytes = 0;
    if (bytes != info.end - info.begin) {
      refuse(std::string(to_string(info.type)) + " of shape " + shape_text(info.shape) + " has " +
             std::to_string(bytes) + " bytes, data_offsets say " +
             std::to_string(info.end - info.begin));
    }
  }

  // The numbers of all tensors, one after the other, are all there is behind the header.
  void check_layout() const {
    std::vector<tensor_table::const_pointer> order;
    order.reserve(tensors.size());
    for (const auto& entry : tensors) order.push_back(&entry);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
      return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
    });
    const std::size_t data = 8 + text_.size();
    std::size_t end = 0;
    for (const auto* entry : order) {
      const tensor_info& info = entry->second;
      if (info.begin != end) {
        source_.refuse(data + std::min(info.begin, end),
                       tensor_prefix(entry->first) + "begins at " + std::to_string(info.begin) +
                           (info.begin < end ? ", within the tensor before, which ends at "
                                             : ", behind a hole from ") +
                           std::to_string(end));
      }
      end = info.end;
    }
    if (data + end != source_.size()) {
      source_.refuse(data + end, "the file goes on behind the last tensor");
    }
  }

  const ByteSource& source_;
  std::string_view text_;
  const char* seen_;
  place place_ = place::outside;
  field field_ = field::dtype;
  unsigned fields_ = 0;   // a bit for each field that was seen
  unsigned offsets_ = 0;  // numbers of data_offsets that were seen
  bool in_metadata_ = false;
  bool has_metadata_ = false;
  tensor_table::iterator tensor_;
  std::string* text_value_ = nullptr;
};

}  // namespace detail
}  // namespace basin
