/// @file
/// NumPy's .npy files, format 1.0 (NumPy Enhancement Proposal 1), of one- and
/// two-dimensional arrays of numbers.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <Eigen/Core>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

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

/// Reads an array of one or two dimensions, of exactly this scalar type, in the byte
/// order of the machine. One dimension gives one column.
/// @throws file_error that names the file, the offset and the reason; nothing is
///   allocated before the header agrees with the length of the file
template <class Scalar>
[[nodiscard]] Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> read_npy(
    const std::string& path) {
  const auto refuse = [&](std::size_t offset, const std::string& reason) {
    throw file_error(path + ": byte " + std::to_string(offset) + ": " + reason);
  };
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw file_error(path + ": cannot be opened");
  const auto length = static_cast<std::size_t>(file.tellg());
  file.seekg(0);
  constexpr std::size_t before = 10;
  char front[before] = {};
  file.read(front, before);
  if (length < before) refuse(length, "the file ends within its first 10 bytes");
  if (std::string_view(front, 8) != detail::npy_magic) refuse(0, "not an npy file of version 1.0");
  const std::size_t header_size =
      static_cast<unsigned char>(front[8]) + 256u * static_cast<unsigned char>(front[9]);
  if (before + header_size > length) refuse(length, "the file ends within its header");
  std::string header(header_size, '\0');
  file.read(header.data(), static_cast<std::streamsize>(header_size));

  const auto after = [&](std::string_view key) {
    const std::size_t at = header.find(key);
    if (at == std::string::npos) refuse(before, "the header has no " + std::string(key));
    return at + key.size();
  };
  const std::string type = detail::npy_type<Scalar>();
  const std::size_t type_at = after("'descr':");
  if (header.find("'" + type + "'", type_at) == std::string::npos) {
    refuse(before + type_at, "the type is not " + type);
  }
  const bool column_major = header.compare(after("'fortran_order': "), 4, "True") == 0;
  std::size_t at = after("'shape': (");
  index_t shape[2] = {1, 1};
  int dimensions = 0;
  while (at < header.size() && header[at] != ')') {
    index_t size = 0;
    const std::size_t begin = at;
    for (; at < header.size() && header[at] >= '0' && header[at] <= '9'; ++at) {
      size = 10 * size + (header[at] - '0');
      if (size > (index_t{1} << 48)) refuse(before + begin, "a dimension is too large");
    }
    if (at == begin || dimensions == 2) {
      refuse(before + begin, "the shape is not one of one or two dimensions");
    }
    shape[dimensions++] = size;
    while (at < header.size() && (header[at] == ',' || header[at] == ' ')) ++at;
  }
  if (dimensions == 0) refuse(before + at, "the shape has no dimension");
  const std::size_t available = (length - before - header_size) / sizeof(Scalar);
  const bool fits = shape[1] == 0 || static_cast<std::size_t>(shape[0]) <=
                                         available / static_cast<std::size_t>(shape[1]);
  const std::size_t count =
      fits ? static_cast<std::size_t>(shape[0]) * static_cast<std::size_t>(shape[1]) : 0;
  if (!fits || before + header_size + count * sizeof(Scalar) != length) {
    refuse(length, "an array of " + std::to_string(shape[0]) + " x " + std::to_string(shape[1]) +
                       " numbers of " + std::to_string(sizeof(Scalar)) +
                       " bytes does not end with the file");
  }
  const auto bytes = static_cast<std::streamsize>(count * sizeof(Scalar));
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  if (column_major || shape[1] == 1) {
    matrix X(shape[0], shape[1]);
    file.read(reinterpret_cast<char*>(X.data()), bytes);
    return X;
  }
  Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> X(shape[0], shape[1]);
  file.read(reinterpret_cast<char*>(X.data()), bytes);
  return X;
}

}  // namespace basin
