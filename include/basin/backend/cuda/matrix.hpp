/// @file
/// Arrays, matrices and views in device memory.
#pragma once

#include <type_traits>
#include <utility>

#include <basin/backend/cuda/runtime.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// Owns an array in device memory, uninitialised. Copies are deep.
template <class T>
class DeviceBuffer {
  static_assert(std::is_trivially_copyable_v<T>, "device memory holds trivially copyable types");

 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(index_t size)
      : data_(static_cast<T*>(
            detail::allocate_on_device(static_cast<std::size_t>(size) * sizeof(T)))),
        size_(size) {}
  DeviceBuffer(const DeviceBuffer& other) : DeviceBuffer(other.size_) {
    detail::copy_on_device(data_, other.data_, static_cast<std::size_t>(size_) * sizeof(T));
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~DeviceBuffer() { detail::free_on_device(data_); }

  [[nodiscard]] T* data() noexcept { return data_; }
  [[nodiscard]] const T* data() const noexcept { return data_; }
  [[nodiscard]] index_t size() const noexcept { return size_; }

 private:
  T* data_ = nullptr;
  index_t size_ = 0;
};

/// Owns a column-major matrix in device memory. Copies are deep.
template <class Scalar>
class DeviceMatrix {
 public:
  DeviceMatrix() = default;
  DeviceMatrix(index_t rows, index_t columns)
      : values_(rows * columns), rows_(rows), columns_(columns) {}

  [[nodiscard]] index_t rows() const noexcept { return rows_; }
  [[nodiscard]] index_t cols() const noexcept { return columns_; }
  [[nodiscard]] Scalar* data() noexcept { return values_.data(); }
  [[nodiscard]] const Scalar* data() const noexcept { return values_.data(); }

 private:
  DeviceBuffer<Scalar> values_;
  index_t rows_ = 0;
  index_t columns_ = 0;
};

/// Columns of a matrix that someone else owns, in device memory. `outerStride()` is
/// the distance between the first entries of two columns that stand side by side.
template <class T>
class device_view {
 public:
  using mutable_scalar = std::remove_const_t<T>;

  BASIN_HOST_DEVICE device_view(T* data, index_t rows, index_t columns, index_t stride)
      : data_(data), rows_(rows), columns_(columns), stride_(stride) {}
  device_view(DeviceMatrix<mutable_scalar>& X)  // NOLINT(google-explicit-constructor): a view
      : device_view(X.data(), X.rows(), X.cols(), X.rows()) {}
  template <class U = T>
    requires std::is_const_v<U>
  device_view(const DeviceMatrix<mutable_scalar>& X)  // NOLINT: a view
      : device_view(X.data(), X.rows(), X.cols(), X.rows()) {}
  template <class U = T>
    requires std::is_const_v<U>
  BASIN_HOST_DEVICE device_view(const device_view<mutable_scalar>& X)  // NOLINT: adds const
      : device_view(X.data(), X.rows(), X.cols(), X.outerStride()) {}

  [[nodiscard]] BASIN_HOST_DEVICE index_t rows() const { return rows_; }
  [[nodiscard]] BASIN_HOST_DEVICE index_t cols() const { return columns_; }
  [[nodiscard]] BASIN_HOST_DEVICE index_t outerStride() const { return stride_; }
  [[nodiscard]] BASIN_HOST_DEVICE T* data() const { return data_; }
  /// Entry (i, j); on the device only.
  [[nodiscard]] BASIN_HOST_DEVICE T& operator()(index_t i, index_t j) const {
    return data_[i + j * stride_];
  }

 private:
  T* data_;
  index_t rows_;
  index_t columns_;
  index_t stride_;
};

}  // namespace basin
