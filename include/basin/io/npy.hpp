/// @file
/// NumPy's .npy files, format 1.0 (NumPy Enhancement Proposal 1), of one- and
/// two-dimensional arrays of numbers.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <Eigen/Core>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/io/byte_source.hpp>

namespace basin {
namespace detail {

/// NumPy's name of a number type in this machine's byte order, e.g. "<f4".
template <class T>
  requires std::is_arithmetic_v<T>
[[nodiscard]] std::string npy_type() {
  const char order = sizeof(T) == 1 ? '|' : std::endian::native == std::endian::little ? '<' : '>';
  const char kind = std::same_as<T, bool>    ? 'b'
                    : std::floating_point<T> ? 'f'
                    : std::is_signed_v<T>    ? 'i'
                                             : 'u';
  return std::string{order, kind} + std::to_string(sizeof(T));
}

inline constexpr std::string_view npy_magic{"\x93NUMPY\x01\x00", 8};

inline void write_npy_bytes(const std::string& path, const std::string& type, bool column_major,
                            const std::string& shape, const void* data, std::size_t bytes) {
  std::string header = "{'descr': '" + type +
                       "', 'fortran_order': " + (column_major ? "True" : "False") + ", 'shape': (" +
                       shape + "), }";
  const std::size_t before = npy_magic.size() + 2;
  header.append(63 - (before + header.size()) % 64, ' ');  // data begins at 64 n
  header += '\n';
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  const char size[2] = {static_cast<char>(header.size() & 0xff),
                        static_cast<char>(header.size() >> 8)};
  file << npy_magic;
  file.write(size, 2);
  file << header;
  file.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  file.flush();
  if (!file) throw file_error(path + ": cannot be written");
}

/// What stands behind 'descr': in a header, for a message: a text up to its end, anything else up
/// to its first comma.
inline std::string npy_type_text(std::string_view header, std::size_t at) {
  constexpr std::size_t longest = 24;
  const std::size_t end =
      at < header.size() && header[at] == '\'' ? header.find('\'', at + 1) : header.find(',', at);
  std::string text(header.substr(std::min(at, header.size()),
                                 end == std::string_view::npos ? end : end - at + 1));
  if (text.ends_with(',')) text.pop_back();
  if (text.empty()) return "left out";
  const bool cut = text.size() > longest;
  text.resize(std::min(text.size(), longest));
  for (char& c : text) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return cut ? text + "…" : text;
}

/// What the header of a file says, and where its data begin.
struct npy_header {
  std::string type;  ///< as npy_type
  bool column_major = false;
  std::array<index_t, 2> shape{1, 1};
  std::size_t data = 0;
};

/// Reads and checks the header of an array of numbers of one of these types, up to the agreement
/// of its shape with the length of the file.
inline npy_header read_npy_header(const ByteSource& source,
                                  std::initializer_list<std::string> types) {
  constexpr std::size_t before = 10;
  const std::size_t length = source.size();
  char front[before] = {};
  if (length < before) source.refuse(length, "the file ends within its first 10 bytes");
  source.read(0, front, before);
  const std::string_view magic(front, npy_magic.size());
  if (!magic.starts_with(npy_magic.substr(0, 6))) source.refuse(0, "not an npy file");
  if (magic != npy_magic) {
    source.refuse(6, "format " + std::to_string(static_cast<unsigned char>(front[6])) + "." +
                         std::to_string(static_cast<unsigned char>(front[7])) + ", expected 1.0");
  }
  npy_header result;
  result.data =
      before + static_cast<unsigned char>(front[8]) + 256u * static_cast<unsigned char>(front[9]);
  if (result.data > length) source.refuse(length, "the file ends within its header");
  std::string header(result.data - before, '\0');
  source.read(before, header.data(), header.size());

  const auto after = [&](const std::string& key) {
    std::size_t at = header.find(key);
    if (at == std::string::npos) source.refuse(before, "the header has no " + key);
    at += key.size();
    if (header.find(key, at) != std::string::npos) {
      source.refuse(before + at, "the header has a second " + key);
    }
    while (at < header.size() && header[at] == ' ') ++at;
    return at;
  };
  const auto is = [&](std::size_t at, std::string_view text) {
    return header.compare(at, text.size(), text) == 0;
  };
  const std::size_t type_at = after("'descr':");
  for (const std::string& type : types) {
    if (is(type_at, "'" + type + "'")) result.type = type;
  }
  if (result.type.empty()) {
    std::string expected;
    for (const std::string& type : types) {
      expected += (expected.empty() ? "'" : " or '") + type + "'";
    }
    source.refuse(before + type_at,
                  "the dtype is " + npy_type_text(header, type_at) + ", expected " + expected);
  }
  const std::size_t order_at = after("'fortran_order':");
  result.column_major = is(order_at, "True");
  if (!result.column_major && !is(order_at, "False")) {
    source.refuse(before + order_at, "fortran_order is neither True nor False");
  }
  std::size_t at = after("'shape':");
  if (!is(at, "(")) source.refuse(before + at, "the shape is not in parentheses");
  std::size_t dimensions = 0;
  for (++at; at < header.size() && header[at] != ')';) {
    index_t size = 0;
    const std::size_t begin = at;
    for (; at < header.size() && header[at] >= '0' && header[at] <= '9'; ++at) {
      size = 10 * size + (header[at] - '0');
      if (size > (index_t{1} << 48)) source.refuse(before + begin, "a dimension is too large");
    }
    if (at == begin || dimensions == 2) {
      source.refuse(before + begin, "the shape is not one of one or two dimensions");
    }
    result.shape[dimensions++] = size;
    while (at < header.size() && (header[at] == ',' || header[at] == ' ')) ++at;
  }
  if (at >= header.size()) source.refuse(before + at, "the header ends within the shape");
  if (dimensions == 0) source.refuse(before + at, "the shape has no dimension");
  const auto scalar_bytes = std::stoul(result.type.substr(2));
  const auto rows = static_cast<std::size_t>(result.shape[0]);
  const auto columns = static_cast<std::size_t>(result.shape[1]);
  const std::size_t available = length - result.data;
  const bool fits = columns == 0 || rows <= available / scalar_bytes / columns;
  if (!fits || rows * columns * scalar_bytes != available) {
    source.refuse(length, "an array of " + std::to_string(rows) + " x " + std::to_string(columns) +
                              " numbers of " + std::to_string(scalar_bytes) +
                              " bytes does not end with the file");
  }
  return result;
}

}  // namespace detail

/// Writes a matrix as a NumPy array of its rows × columns, column-major.
/// @throws file_error if the file cannot be written
template <class Derived>
void write_npy(const std::string& path, const Eigen::MatrixBase<Derived>& X) {
  using scalar = typename Derived::Scalar;
  const Eigen::Matrix<scalar, Eigen::Dynamic, Eigen::Dynamic> values = X;
  detail::write_npy_bytes(path, detail::npy_type<scalar>(), true,
                          std::to_string(X.rows()) + ", " + std::to_string(X.cols()), values.data(),
                          static_cast<std::size_t>(values.size()) * sizeof(scalar));
}

/// Writes an array of numbers (an enumeration as its integers).
/// @throws file_error if the file cannot be written
template <class T>
void write_npy(const std::string& path, const std::vector<T>& x) {
  using number = typename std::conditional_t<std::is_enum_v<T>, std::underlying_type<T>,
                                             std::type_identity<T>>::type;
  detail::write_npy_bytes(path, detail::npy_type<number>(), false, std::to_string(x.size()) + ",",
                          x.data(), x.size() * sizeof(T));
}

namespace detail {
/// The numbers behind a header of this type.
template <class Scalar>
[[nodiscard]] Eigen::MatrixX<Scalar> read_npy_numbers(const ByteSource& source,
                                                      const npy_header& header) {
  const std::size_t bytes = source.size() - header.data;
  const auto read_to = [&](auto X) {
    if constexpr (std::same_as<Scalar, bool>) {
      // Of a truth value, only the bytes 0 and 1 may be looked at.
      for (index_t i = 0; i < X.size(); ++i) {
        unsigned char value = 0;
        const std::size_t at = header.data + static_cast<std::size_t>(i);
        source.read(at, &value, 1);
        if (value > 1) source.refuse(at, "a truth value is neither 0 nor 1");
        X.data()[i] = value == 1;
      }
    } else {
      source.read(header.data, X.data(), bytes);
    }
    return X;
  };
  const auto [rows, columns] = header.shape;
  // An empty array has no order, and its change would still go through every column.
  if (header.column_major || columns == 1 || rows == 0) {
    return read_to(Eigen::MatrixX<Scalar>(rows, columns));
  }
  return read_to(
      Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>(rows, columns));
}
}  // namespace detail

/// Reads an array of one or two dimensions, of exactly this scalar type, in the byte
/// order of the machine. One dimension gives one column.
/// @throws file_error that names the file, the offset and the reason, of another dtype the one
///   that was found; nothing is allocated before the header agrees with the length of the file
template <class Scalar>
[[nodiscard]] Eigen::MatrixX<Scalar> read_npy(const ByteSource& source) {
  return detail::read_npy_numbers<Scalar>(
      source, detail::read_npy_header(source, {detail::npy_type<Scalar>()}));
}

/// Reads an array of floats or of doubles, whichever it is, as doubles.
/// @throws file_error as `read_npy`: integers are refused, since states and codes that are whole
///   numbers are most likely labels or counts
[[nodiscard]] inline Eigen::MatrixXd read_npy_floating(const ByteSource& source) {
  const std::string single = detail::npy_type<float>();
  const detail::npy_header header =
      detail::read_npy_header(source, {single, detail::npy_type<double>()});
  if (header.type == single) return detail::read_npy_numbers<float>(source, header).cast<double>();
  return detail::read_npy_numbers<double>(source, header);
}

}  // namespace basin
