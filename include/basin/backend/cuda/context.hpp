/// @file
/// The device context: scalar type, memory types, stream and handles, transfers.
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>

#include <Eigen/Core>

#include <thrust/count.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <basin/backend/array_view.hpp>
#include <basin/backend/cuda/matrix.hpp>
#include <basin/backend/cuda/runtime.hpp>

namespace basin {

template <std::floating_point Scalar>
class DeviceGraph;

/// Matrices in the memory of a GPU, work on a stream that the context owns. Copies
/// share the stream. Primitives return before the device has finished; a download
/// waits. Host memory is read and written by upload and download alone.
///
/// Sums over a column have one fixed order, so they are the same to the bit in any
/// batch. Products are cuBLAS's, which may choose another order for another batch.
template <std::floating_point Scalar>
class cuda {
 public:
  using scalar = Scalar;
  using matrix = DeviceMatrix<Scalar>;
  using view = device_view<Scalar>;
  using const_view = device_view<const Scalar>;
  template <class T>
  using buffer = DeviceBuffer<T>;
  /// Launches that are recorded and run again, see cuda/graph.hpp.
  using graph = DeviceGraph<Scalar>;
  /// Host matrices that are uploaded and downloaded.
  using host_view = Eigen::Ref<Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>>;
  using host_const_view = Eigen::Ref<const Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>>;

  /// A context with a stream of its own; copies share it. Several may be in one process, of one
  /// device or of several; memory is that of the context which made it, or for a matrix that is
  /// made without one, of the context that its thread has used last.
  /// @throws device_error where there is no usable GPU, or none of that number
  explicit cuda(const device_options& options)
      : runtime_(std::make_shared<const detail::device_runtime>(options)) {}

  /// On the first device.
  cuda() : cuda(device_options{}) {}

  [[nodiscard]] const device_options& options() const noexcept { return runtime_->options(); }

  [[nodiscard]] const detail::device_runtime& runtime() const noexcept { return *runtime_; }
  /// What this context and its copies have moved, and how often the host has waited, since it was
  /// made.
  [[nodiscard]] device_traffic traffic() const noexcept { return runtime_->traffic().counts(); }

  /// A matrix of `rows` × `columns`, uninitialised.
  [[nodiscard]] matrix make_matrix(index_t rows, index_t columns) const {
    runtime_->use();
    return {rows, columns};
  }
  /// `count` values T{}.
  template <class T>
  [[nodiscard]] buffer<T> make_buffer(index_t count) const;

 private:
  std::shared_ptr<const detail::device_runtime> runtime_;
};

/// Columns first ... first + count - 1 of a matrix.
template <std::floating_point Scalar>
[[nodiscard]] device_view<Scalar> columns(const cuda<Scalar>&, DeviceMatrix<Scalar>& X,
                                          index_t first, index_t count) {
  return {X.data() + first * X.rows(), X.rows(), count, X.rows()};
}
/// @copydoc columns
template <std::floating_point Scalar>
[[nodiscard]] device_view<const Scalar> columns(const cuda<Scalar>&,
                                                const typename cuda<Scalar>::const_view& X,
                                                index_t first, index_t count) {
  return {X.data() + first * X.outerStride(), X.rows(), count, X.outerStride()};
}

/// Calls f(i) for i in [0, n) on the device: f is a trivially copyable functor marked
/// BASIN_HOST_DEVICE.
template <std::floating_point Scalar, class F>
void for_each_index(const cuda<Scalar>& be, index_t n, const F& f, index_t = 0) {
  static_assert(std::is_trivially_copyable_v<F>, "a device functor must be trivially copyable");
  if (n <= 0) return;
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
  thrust::for_each_n(be.runtime().policy(), thrust::counting_iterator<index_t>(0), n, f);
#else
  be.runtime().recorder().submit([policy = be.runtime().policy(), n, f] {
    thrust::for_each_n(policy, thrust::counting_iterator<index_t>(0), n, f);
  });
#endif
}

/// Number of elements for which f holds.
template <std::floating_point Scalar, class T, class F>
[[nodiscard]] index_t count_if(const cuda<Scalar>& be, array_view<const T> x, const F& f) {
  if (x.size == 0) return 0;
#if THRUST_DEVICE_SYSTEM != THRUST_DEVICE_SYSTEM_CUDA
  be.runtime().recorder().require_none("a count");
#endif
  be.runtime().traffic().wait();  // for the number, within Thrust
  return static_cast<index_t>(thrust::count_if(be.runtime().policy(), x.data, x.data + x.size, f));
}

namespace detail {

template <class T>
struct fill_value {
  T* data;
  T value;
  BASIN_HOST_DEVICE void operator()(index_t i) const { data[i] = value; }
};

/// Calls move(column of a, column of b, bytes) for the whole of two matrices if they
/// are contiguous, else for each column.
template <class Scalar, class A, class B, class Move>
void for_each_run(const A& a, B& b, const Move& move) {
  const auto rows = static_cast<index_t>(a.rows());
  const auto n = static_cast<index_t>(a.cols());
  if (a.outerStride() == rows && b.outerStride() == rows) {
    move(b.data(), a.data(), static_cast<std::size_t>(rows * n) * sizeof(Scalar));
    return;
  }
  for (index_t j = 0; j < n; ++j) {
    move(b.data() + j * b.outerStride(), a.data() + j * a.outerStride(),
         static_cast<std::size_t>(rows) * sizeof(Scalar));
  }
}

template <class Scalar>
struct copy_entry {
  device_view<const Scalar> from;
  device_view<Scalar> to;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    to(i % to.rows(), i / to.rows()) = from(i % to.rows(), i / to.rows());
  }
};

}  // namespace detail

template <std::floating_point Scalar>
template <class T>
DeviceBuffer<T> cuda<Scalar>::make_buffer(index_t count) const {
  runtime_->use();
  DeviceBuffer<T> values(count);
  for_each_index(*this, count, detail::fill_value<T>{values.data(), T{}});
  return values;
}

/// Y = X, from host memory to the device's.
/// @throws size_error unless the shapes agree
template <std::floating_point Scalar>
void upload(const cuda<Scalar>& be, const typename cuda<Scalar>::host_const_view& X,
            typename cuda<Scalar>::view Y) {
  require_same_shape("upload", X, Y);
  detail::for_each_run<Scalar>(X, Y, [&](void* to, const void* from, std::size_t bytes) {
    be.runtime().to_device(to, from, bytes);
  });
}
/// Y = X, from the device's memory to host memory.
/// @throws size_error unless the shapes agree
template <std::floating_point Scalar>
void download(const cuda<Scalar>& be, const typename cuda<Scalar>::const_view& X,
              typename cuda<Scalar>::host_view Y) {
  require_same_shape("download", X, Y);
  detail::for_each_run<Scalar>(X, Y, [&](void* to, const void* from, std::size_t bytes) {
    be.runtime().to_host(to, from, bytes);
  });
}
/// Y = X on the device.
/// @throws size_error unless the shapes agree
template <std::floating_point Scalar>
void copy(const cuda<Scalar>& be, const typename cuda<Scalar>::const_view& X,
          typename cuda<Scalar>::view Y) {
  require_same_shape("copy", X, Y);
  for_each_index(be, X.rows() * X.cols(), detail::copy_entry<Scalar>{X, Y});
}
/// y = x, arrays from host memory to the device's.
/// @throws size_error unless the sizes agree
template <std::floating_point Scalar, class T>
void upload_array(const cuda<Scalar>& be, array_view<const T> x,
                  std::type_identity_t<array_view<T>> y) {
  require_size("upload_array", "size of the second array", y.size, x.size);
  be.runtime().to_device(y.data, x.data, static_cast<std::size_t>(x.size) * sizeof(T));
}
/// y = x, arrays from the device's memory to host memory.
/// @throws size_error unless the sizes agree
template <std::floating_point Scalar, class T>
void download_array(const cuda<Scalar>& be, array_view<const T> x,
                    std::type_identity_t<array_view<T>> y) {
  require_size("download_array", "size of the second array", y.size, x.size);
  be.runtime().to_host(y.data, x.data, static_cast<std::size_t>(x.size) * sizeof(T));
}

}  // namespace basin
