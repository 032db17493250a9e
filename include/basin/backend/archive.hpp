/// @file
/// Arrays of any backend as bytes, out and in: one walk over what a run knows serves for both.
#pragma once

#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>

namespace basin::detail {

/// Copies arrays out of a run or into one; `archive` is the same walk for both.
class ByteWriter {
 public:
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void array(T* data, index_t count) {
    const auto* p = reinterpret_cast<const char*>(data);
    bytes_.insert(bytes_.end(), p, p + static_cast<std::size_t>(count) * sizeof(T));
  }
  std::vector<char> bytes_;
};

class ByteReader {
 public:
  ByteReader(const char* begin, const char* end) : next_(begin), end_(end) {}
  explicit ByteReader(const std::vector<char>& bytes)
      : ByteReader(bytes.data(), bytes.data() + bytes.size()) {}
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void array(T* data, index_t count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    if (static_cast<std::size_t>(end_ - next_) < bytes) {
      throw file_error("checkpoint: an array ends behind the end of the data");
    }
    if (bytes > 0) std::memcpy(data, next_, bytes);
    next_ += bytes;
  }

 private:
  const char* next_;
  const char* end_;
};

/// Walks over `count` columns of a backend's matrix through host memory.
template <class B, class Archive>
void archive_matrix(const B& be, Archive& archive, typename B::matrix& X, index_t count) {
  using host = Eigen::Matrix<typename B::scalar, Eigen::Dynamic, Eigen::Dynamic>;
  host values(static_cast<index_t>(X.rows()), count);
  if constexpr (std::is_same_v<Archive, ByteWriter>) {
    download(be, columns(be, std::as_const(X), 0, count), values);
    archive.array(values.data(), static_cast<index_t>(values.size()));
  } else {
    archive.array(values.data(), static_cast<index_t>(values.size()));
    upload(be, values, columns(be, X, 0, count));
  }
}
template <class T, class B, class Archive>
void archive_array(const B& be, Archive& archive, array_view<T> x) {
  std::vector<T> values(static_cast<std::size_t>(x.size));
  if constexpr (std::is_same_v<Archive, ByteWriter>) {
    download_array(be, array_view<const T>(x), array_view<T>(values));
    archive.array(values.data(), x.size);
  } else {
    archive.array(values.data(), x.size);
    upload_array(be, array_view<const T>(values), x);
  }
}

}  // namespace basin::detail
