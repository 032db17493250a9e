/// @file
/// Safetensors, the checkpoints of Hugging Face (https://github.com/huggingface/safetensors).
///
/// The file: the length of the header as 8 bytes, the lowest first; the header, a JSON object
/// that gives for each tensor its dtype, its shape and where its numbers begin and end behind
/// the header, and for "__metadata__" texts by name; the numbers, row-major, the lowest byte
/// first, without holes.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/io/atomic_file.hpp>
#include <basin/io/byte_source.hpp>
#include <basin/io/half.hpp>
#include <basin/io/safetensors_header.hpp>

namespace basin {

static_assert(std::endian::native == std::endian::little,
              "safetensors are read and written in the byte order of the machine");

/// The types of numbers that tensors are read to and written from.
template <class T>
concept tensor_scalar = std::same_as<T, float> || std::same_as<T, double> ||
                        std::same_as<T, std::int64_t> || std::same_as<T, std::uint8_t>;

/// The format whose numbers are `Scalar`.
template <tensor_scalar Scalar>
inline constexpr tensor_type tensor_type_of =
    std::same_as<Scalar, float>          ? tensor_type::f32
    : std::same_as<Scalar, double>       ? tensor_type::f64
    : std::same_as<Scalar, std::int64_t> ? tensor_type::i64
                                         : tensor_type::u8;

/// A file of named tensors, open for reading. Opening reads and checks the whole header, at
/// most 100 MB, and no number of a tensor; it takes memory of about ten times the header.
/// Reading is safe from several threads.
///
/// @code
/// #include <iostream>
///
/// #include <basin/io/safetensors.hpp>
///
/// int main() {
///   const std::vector<float> weights{1, 2, 3, 4, 5, 6};
///   basin::write_safetensors("model.safetensors", {{"weight", {2, 3}, weights.data()}});
///   const basin::SafetensorsFile file("model.safetensors");
///   for (const std::string& name : file.names()) std::cout << name << '\n';
///   const std::vector<double> read = file.read<double>("weight", {2, 3});  // row-major
///   std::cout << read[5] << '\n';
/// }
/// @endcode
class SafetensorsFile {
 public:
  /// @throws file_error that names the file, the offset, the tensor and the reason: a header
  ///   that is longer than the file or is not JSON; duplicate or unknown keys; an unknown
  ///   dtype; a shape that overflows or disagrees with its offsets; offsets out of range, that
  ///   overlap, or that leave holes. Nothing is allocated from its numbers but the header,
  ///   when it has been found to lie within the file.
  explicit SafetensorsFile(ByteSource source) : source_(std::move(source)) {
    std::uint64_t length = 0;
    if (source_.size() < sizeof length) {
      source_.refuse(source_.size(), "the file ends within its first 8 bytes");
    }
    source_.read(0, &length, sizeof length);
    if (length > detail::safetensors_header_limit) {
      source_.refuse(0, "not a safetensors file: its first 8 bytes say that the header has " +
                            std::to_string(length) + " bytes, the limit is " +
                            std::to_string(detail::safetensors_header_limit));
    }
    if (length > source_.size() - sizeof length) {
      source_.refuse(0, "a header of " + std::to_string(length) + " bytes in a file of " +
                            std::to_string(source_.size()));
    }
    std::string text(static_cast<std::size_t>(length), '\0');
    source_.read(sizeof length, text.data(), text.size());
    detail::SafetensorsHeader header(source_, text);
    tensors_ = std::move(header.tensors);
    metadata_ = std::move(header.metadata);
    data_ = sizeof length + text.size();
  }

  /// The names of the tensors, sorted.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    names.reserve(tensors_.size());
    for (const auto& entry : tensors_) names.push_back(entry.first);
    return names;
  }
  [[nodiscard]] bool contains(std::string_view name) const { return tensors_.contains(name); }
  /// @throws file_error if there is no such tensor
  [[nodiscard]] const tensor_info& info(std::string_view name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) {
      source_.refuse(8, detail::tensor_prefix(name) + "not in the file");
    }
    return found->second;
  }
  /// The texts that the writer added, by their names.
  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& metadata() const noexcept {
    return metadata_;
  }

  /// Refuses what stands in a tensor: throws file_error "file: byte offset: tensor 'name': reason"
  /// with the offset of its first number.
  /// @throws file_error if there is no such tensor, too
  [[noreturn, gnu::cold]] void refuse(std::string_view name, std::string_view reason) const {
    source_.refuse(data_ + info(name).begin, detail::tensor_prefix(name) + std::string(reason));
  }

  /// The numbers of a tensor, row-major. F64, F32, F16 and BF16 are read as float or double,
  /// a double as the nearest float; I64 as std::int64_t and U8 as std::uint8_t alone.
  /// @throws file_error if there is no such tensor, or its dtype cannot be read as `Scalar`
  template <tensor_scalar Scalar>
  [[nodiscard]] std::vector<Scalar> read(std::string_view name) const {
    const tensor_info& tensor = info(name);
    require_readable<Scalar>(name, tensor);
    std::vector<Scalar> values(static_cast<std::size_t>(tensor.size()));
    read_to<Scalar>(tensor, values);
    return values;
  }
  /// The same of a tensor of this shape.
  /// @throws file_error as above, and if its shape is another
  template <tensor_scalar Scalar>
  [[nodiscard]] std::vector<Scalar> read(std::string_view name,
                                         const std::vector<index_t>& shape) const {
    require_shape(name, info(name), shape);
    return read<Scalar>(name);
  }
  /// The same to memory of the caller, e.g. `std::span(matrix.data(), matrix.size())`.
  /// @throws file_error as above
  /// @throws size_error if `out` has another length than the tensor
  template <tensor_scalar Scalar>
  void read(std::string_view name, const std::vector<index_t>& shape, std::span<Scalar> out) const {
    const tensor_info& tensor = info(name);
    require_shape(name, tensor, shape);
    require_readable<Scalar>(name, tensor);
    require_size("SafetensorsFile::read", "length of out", static_cast<index_t>(out.size()),
                 tensor.size());
    read_to<Scalar>(tensor, out);
  }

 private:
  void require_shape(std::string_view name, const tensor_info& tensor,
                     const std::vector<index_t>& shape) const {
    if (tensor.shape != shape) {
      refuse(name, "the shape is " + detail::shape_text(tensor.shape) + ", expected " +
                       detail::shape_text(shape));
    }
  }
  template <class Scalar>
  void require_readable(std::string_view name, const tensor_info& tensor) const {
    const tensor_type type = tensor.type;
    const bool readable =
        type == tensor_type_of<Scalar> ||
        (std::floating_point<Scalar> && (type == tensor_type::f64 || type == tensor_type::f32 ||
                                         type == tensor_type::f16 || type == tensor_type::bf16));
    if (!readable) {
      refuse(name, "the dtype " + std::string(to_string(type)) + " is not read as " +
                       std::string(to_string(tensor_type_of<Scalar>)));
    }
  }

  template <class Scalar>
  void read_to(const tensor_info& tensor, std::span<Scalar> out) const {
    const std::size_t at = data_ + tensor.begin;
    if (tensor.type == tensor_type_of<Scalar>) {
      source_.read(at, out.data(), out.size_bytes());
    } else if constexpr (std::floating_point<Scalar>) {
      const auto cast = [](auto x) { return static_cast<Scalar>(x); };
      switch (tensor.type) {
        case tensor_type::f64:
          return convert<double>(at, out, cast);
        case tensor_type::f32:
          return convert<float>(at, out, cast);
        case tensor_type::f16:
          return convert<std::uint16_t>(at, out, [&](auto x) { return cast(half_to_float(x)); });
        default:
          return convert<std::uint16_t>(at, out,
                                        [&](auto x) { return cast(bfloat16_to_float(x)); });
      }
    }
  }
  // Piece by piece, so that no second array of the size of the tensor is needed.
  template <class Stored, class Scalar, class Convert>
  void convert(std::size_t at, std::span<Scalar> out, const Convert& converted) const {
    std::array<Stored, 4096> piece;
    for (std::size_t i = 0; i < out.size(); i += piece.size()) {
      const std::size_t count = std::min(piece.size(), out.size() - i);
      source_.read(at + i * sizeof(Stored), piece.data(), count * sizeof(Stored));
      for (std::size_t j = 0; j < count; ++j) out[i + j] = converted(piece[j]);
    }
  }

  ByteSource source_;
  detail::tensor_table tensors_;
  detail::metadata_table metadata_;
  std::size_t data_ = 0;  // where the numbers begin
};

/// A tensor to be written: a name, a shape, and numbers of somebody else, row-major.
class tensor_view {
 public:
  /// @param data as many numbers as the product of `shape`; must outlive the view
  template <tensor_scalar Scalar>
  tensor_view(std::string name, std::vector<index_t> shape, const Scalar* data)
      : name_(std::move(name)),
        shape_(std::move(shape)),
        type_(tensor_type_of<Scalar>),
        data_(data) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::vector<index_t>& shape() const noexcept { return shape_; }
  [[nodiscard]] tensor_type type() const noexcept { return type_; }
  [[nodiscard]] const void* data() const noexcept { return data_; }
  /// Length of the numbers in bytes.
  /// @throws argument_error if the shape is negative or its product overflows
  [[nodiscard]] std::size_t bytes() const {
    std::size_t bytes = size_of(type_);
    for (const index_t size : shape_) {
      require(size >= 0 && (size == 0 || bytes <= static_cast<std::size_t>(PTRDIFF_MAX) /
                                                      static_cast<std::size_t>(size)),
              "write_safetensors",
              detail::tensor_prefix(name_) + "the shape " + detail::shape_text(shape_) +
                  " is negative or overflows");
      bytes *= static_cast<std::size_t>(size);
    }
    return bytes;
  }

 private:
  std::string name_;
  std::vector<index_t> shape_;
  tensor_type type_;
  const void* data_;
};

/// Writes tensors and texts, with the same bytes for the same content in any order: those of
/// the reference implementation, which sorts by type, widest first, then by name, and fills
/// the header up to a multiple of 8 bytes. The file appears whole or not at all (AtomicFile).
/// @throws argument_error for a name that comes twice, is "__metadata__" or is not UTF-8, for
///   a shape that is negative or overflows, and for a header of more than 100 MB
/// @throws file_error if the file cannot be written
inline void write_safetensors(const std::filesystem::path& path,
                              const std::vector<tensor_view>& tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  std::vector<const tensor_view*> order;
  for (const tensor_view& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const tensor_view* a, const tensor_view* b) {
    return a->type() != b->type() ? a->type() > b->type() : a->name() < b->name();
  });
  std::map<std::string_view, int> seen{{detail::safetensors_metadata, 1}};
  std::string header = "{";
  std::size_t begin = 0;
  try {
    if (!metadata.empty()) {
      header += "\"__metadata__\":" + nlohmann::json(metadata).dump();
    }
    for (const tensor_view* tensor : order) {
      require(seen.emplace(tensor->name(), 1).second, "write_safetensors",
              detail::tensor_prefix(tensor->name()) + "the name is taken");
      const std::size_t end = begin + tensor->bytes();
      if (header.size() > 1) header += ',';
      header += nlohmann::json(tensor->name()).dump() + ":{\"dtype\":\"" +
                std::string(to_string(tensor->type())) +
                "\",\"shape\":" + nlohmann::json(tensor->shape()).dump() + ",\"data_offsets\":[" +
                std::to_string(begin) + "," + std::to_string(end) + "]}";
      begin = end;
    }
  } catch (const nlohmann::json::type_error&) {
    throw argument_error("write_safetensors: a name or a text is not UTF-8");
  }
  header += '}';
  header.append((8 - header.size() % 8) % 8, ' ');
  require(header.size() <= detail::safetensors_header_limit, "write_safetensors",
          "the header has more than 100 MB");

  AtomicFile file(path);
  const std::uint64_t length = header.size();
  file.write(&length, sizeof length);
  file.write(header);
  for (const tensor_view* tensor : order) file.write(tensor->data(), tensor->bytes());
  file.commit();
}

}  // namespace basin
