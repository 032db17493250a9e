/// @file
/// The CPU context: scalar type, Eigen's types and the threads.
#pragma once

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/array_view.hpp>
#include <basin/backend/cpu/thread_pool.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// Eigen matrices in host memory, and threads that the context owns. Copies share
/// the threads. Results are the same to the bit for any number of threads.
template <std::floating_point Scalar>
class cpu {
 public:
  using scalar = Scalar;
  /// Owns k × N numbers, one state per column.
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  /// What primitives and maps write to: any column-major matrix or block.
  using view = Eigen::Ref<matrix>;
  /// What primitives and maps read.
  using const_view = Eigen::Ref<const matrix>;
  /// Owns an array of any trivially copyable type.
  template <class T>
  using buffer = std::vector<T>;

  /// @param threads 0: as many as the machine runs at once
  explicit cpu(int threads = 0)
      : pool_(std::make_shared<thread_pool>(
            threads != 0 ? threads
                         : static_cast<int>(std::max(1u, std::thread::hardware_concurrency())))) {}

  [[nodiscard]] int threads() const noexcept { return pool_->size(); }
  [[nodiscard]] thread_pool& pool() const noexcept { return *pool_; }

  /// A matrix of `rows` × `columns`, uninitialised.
  [[nodiscard]] matrix make_matrix(index_t rows, index_t columns) const {
    return matrix(rows, columns);
  }
  /// `count` values T{}.
  template <class T>
  [[nodiscard]] buffer<T> make_buffer(index_t count) const {
    return buffer<T>(static_cast<std::size_t>(count));
  }

 private:
  std::shared_ptr<thread_pool> pool_;
};

/// Columns first ... first + count - 1 of a matrix.
template <std::floating_point Scalar>
[[nodiscard]] typename cpu<Scalar>::view columns(const cpu<Scalar>&,
                                                 typename cpu<Scalar>::matrix& X, index_t first,
                                                 index_t count) {
  return X.middleCols(first, count);
}
/// @copydoc columns
template <std::floating_point Scalar>
[[nodiscard]] typename cpu<Scalar>::const_view columns(const cpu<Scalar>&,
                                                       const typename cpu<Scalar>::const_view& X,
                                                       index_t first, index_t count) {
  return X.middleCols(first, count);
}

/// Calls f(i) for i in [0, n), in parallel, `grain` indices to a task.
template <std::floating_point Scalar, class F>
void for_each_index(const cpu<Scalar>& be, index_t n, F&& f, index_t grain = 4096) {
  be.pool().run((n + grain - 1) / grain, [&](index_t task) {
    const index_t end = std::min(n, (task + 1) * grain);
    for (index_t i = task * grain; i < end; ++i) f(i);
  });
}

/// Number of elements for which f holds.
template <std::floating_point Scalar, class T, class F>
[[nodiscard]] index_t count_if(const cpu<Scalar>&, array_view<const T> x, F&& f) {
  return static_cast<index_t>(std::count_if(x.data, x.data + x.size, f));
}

namespace detail {
/// Y = X, in parallel where there is much of it: also the pages of new memory are then
/// made by several threads.
template <std::floating_point Scalar>
void copy_columns(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& X,
                  typename cpu<Scalar>::view& Y) {
  const index_t grain = (index_t{1} << 16) / std::max<index_t>(1, X.rows()) + 1;
  be.pool().run((X.cols() + grain - 1) / grain, [&](index_t task) {
    const index_t first = task * grain;
    const index_t count = std::min(grain, X.cols() - first);
    Y.middleCols(first, count) = X.middleCols(first, count);
  });
}
}  // namespace detail

/// Y = X, from host memory to the backend's. Here a copy in the same memory.
template <std::floating_point Scalar>
void upload(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& X,
            typename cpu<Scalar>::view Y) {
  require_same_shape("upload", X, Y);
  detail::copy_columns(be, X, Y);
}
/// Y = X, from the backend's memory to host memory. Here a copy in the same memory.
template <std::floating_point Scalar>
void download(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& X,
              typename cpu<Scalar>::view Y) {
  require_same_shape("download", X, Y);
  detail::copy_columns(be, X, Y);
}
/// Y = X within the backend's memory.
template <std::floating_point Scalar>
void copy(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& X,
          typename cpu<Scalar>::view Y) {
  require_same_shape("copy", X, Y);
  detail::copy_columns(be, X, Y);
}
/// y = x, arrays from host memory to the backend's.
/// @throws size_error unless the sizes agree
template <std::floating_point Scalar, class T>
void upload_array(const cpu<Scalar>&, array_view<const T> x,
                  std::type_identity_t<array_view<T>> y) {
  require_size("upload_array", "size of the second array", y.size, x.size);
  std::copy_n(x.data, x.size, y.data);
}
/// y = x, arrays from the backend's memory to host memory.
/// @throws size_error unless the sizes agree
template <std::floating_point Scalar, class T>
void download_array(const cpu<Scalar>&, array_view<const T> x,
                    std::type_identity_t<array_view<T>> y) {
  require_size("download_array", "size of the second array", y.size, x.size);
  std::copy_n(x.data, x.size, y.data);
}

}  // namespace basin
