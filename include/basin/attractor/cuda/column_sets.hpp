/// @file
/// What the metrics ask of matrices on a device whose columns are points.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/column_sets.hpp>
#include <basin/backend/cuda/columns.hpp>
#include <basin/backend/cuda/context.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

/// A host matrix of any scalar in device memory.
template <std::floating_point Product, class Derived>
[[nodiscard]] auto in_device_memory(const cuda<Product>& be, const Eigen::MatrixBase<Derived>& X) {
  using scalar = typename Derived::Scalar;
  const Eigen::Ref<const Eigen::MatrixX<scalar>> host = X.derived();
  DeviceMatrix<scalar> copy(host.rows(), host.cols());
  device_view<scalar> to = copy;
  for_each_run<scalar>(host, to, [&](void* into, const void* from, std::size_t bytes) {
    be.runtime().to_device(into, from, bytes);
  });
  return copy;
}

/// The largest |x| of every column, NaN where there is one.
template <class Scalar>
struct largest_reduction {
  using value = double;
  device_view<const Scalar> X;
  double* result;
  BASIN_HOST_DEVICE value begin() const { return 0; }
  BASIN_HOST_DEVICE value entry(index_t i, index_t j) const {
    return std::abs(static_cast<double>(X(i, j)));
  }
  BASIN_HOST_DEVICE value merge(value a, value b) const {
    return is_nan(a) || (!is_nan(b) && a > b) ? a : b;
  }
  BASIN_HOST_DEVICE void store(index_t j, value v) const { result[j] = v; }
};

/// `largest_entry` of columns in device memory. Cost: one number a column comes to the host.
/// @param scratch memory that is kept between calls
template <std::floating_point Product, class Scalar>
[[nodiscard]] double largest_entry(const cuda<Product>& be, std::string_view where,
                                   std::string_view what, const device_view<const Scalar>& X,
                                   DeviceBuffer<double>& scratch) {
  std::vector<double> largest(static_cast<std::size_t>(X.cols()));
  if (scratch.size() < X.cols()) scratch = DeviceBuffer<double>(X.cols());
  reduce_columns(be, X.rows(), X.cols(), largest_reduction<Scalar>{X, scratch.data()});
  download_array(be, array_view<const double>(scratch.data(), X.cols()),
                 array_view<double>(largest));
  double most = 0;
  for (std::size_t j = 0; j < largest.size(); ++j) {
    most = std::max(most, require_magnitude(where, what, largest[j], static_cast<index_t>(j)));
  }
  return most;
}
/// @copydoc largest_entry
template <std::floating_point Product, class Scalar>
[[nodiscard]] double largest_entry(const cuda<Product>& be, std::string_view where,
                                   std::string_view what, const device_view<const Scalar>& X) {
  DeviceBuffer<double> scratch;
  return largest_entry(be, where, what, X, scratch);
}

/// `require_points` of columns in device memory.
template <std::floating_point Product, class Scalar>
double require_points(const cuda<Product>& be, std::string_view where, std::string_view what,
                      const device_view<const Scalar>& X) {
  if (X.rows() < 1 || X.cols() < 1) {
    throw size_error(std::string(where) + ": " + std::string(what) + ": the matrix is " +
                     std::to_string(X.rows()) + " x " + std::to_string(X.cols()));
  }
  return largest_entry(be, where, what, X);
}

template <class Scalar>
struct widen_entry {
  device_view<const Scalar> from;
  device_view<double> to;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    to(i % to.rows(), i / to.rows()) = static_cast<double>(from(i % to.rows(), i / to.rows()));
  }
};

/// The columns in double.
template <std::floating_point Product, class Scalar>
[[nodiscard]] DeviceMatrix<double> widened(const cuda<Product>& be,
                                           const device_view<const Scalar>& X) {
  DeviceMatrix<double> copy(X.rows(), X.cols());
  for_each_index(be, X.rows() * X.cols(), widen_entry<Scalar>{X, copy});
  return copy;
}

/// Adds to each entry of the mean what columns differ from it on average.
template <class Scalar>
struct mean_entry {
  device_view<const Scalar> X;
  double* mean;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    double sum = 0;
    for (index_t j = 0; j < X.cols(); ++j) sum += static_cast<double>(X(i, j)) - mean[i];
    mean[i] += sum / static_cast<double>(X.cols());
  }
};

/// `mean_column` in device memory. Cost: one thread a row.
template <std::floating_point Product, class Scalar>
[[nodiscard]] DeviceBuffer<double> mean_column(const cuda<Product>& be,
                                               const device_view<const Scalar>& X) {
  auto mean = be.template make_buffer<double>(X.rows());
  for (int pass = 0; pass < 2; ++pass) {
    for_each_index(be, X.rows(), mean_entry<Scalar>{X, mean.data()});
  }
  return mean;
}

/// The largest |x - o| of every column, NaN where there is one.
template <class Scalar>
struct reach_reduction : largest_reduction<Scalar> {
  const double* origin;
  BASIN_HOST_DEVICE double entry(index_t i, index_t j) const {
    return std::abs(static_cast<double>(this->X(i, j)) - origin[i]);
  }
};

/// ‖x - o‖, whatever its size: `norms` holds the largest entry of each column before.
template <class Scalar>
struct norm_reduction {
  using value = double;
  device_view<const Scalar> X;
  const double* origin;
  double* norms;
  BASIN_HOST_DEVICE value begin() const { return 0; }
  BASIN_HOST_DEVICE value entry(index_t i, index_t j) const {
    if (!(norms[j] > 0)) return norms[j];  // 0 or NaN
    const double x = (static_cast<double>(X(i, j)) - origin[i]) / norms[j];
    return x * x;
  }
  BASIN_HOST_DEVICE value merge(value a, value b) const { return a + b; }
  BASIN_HOST_DEVICE void store(index_t j, value v) const { norms[j] = norms[j] * std::sqrt(v); }
};

/// (x - o) / ‖x - o‖, zeros where the norm is 0. A row that X has not is 0, or 1 where there is no
/// direction and `own`.
template <class Scalar>
struct direction_entry {
  device_view<const Scalar> X;
  const double* origin;
  const double* norms;
  bool own;
  device_view<double> to;
  BASIN_HOST_DEVICE void operator()(index_t at) const {
    const index_t i = at % to.rows(), j = at / to.rows();
    if (i == X.rows()) {
      to(i, j) = own && norms[j] == 0 ? 1 : 0;
    } else {
      to(i, j) = norms[j] == 0 ? 0 : (static_cast<double>(X(i, j)) - origin[i]) / norms[j];
    }
  }
};

/// ‖x - o‖ of every column.
template <std::floating_point Product, class Scalar>
[[nodiscard]] DeviceBuffer<double> norms_from(const cuda<Product>& be,
                                              const device_view<const Scalar>& X,
                                              const DeviceBuffer<double>& origin) {
  DeviceBuffer<double> norms(X.cols());
  reduce_columns(be, X.rows(), X.cols(), reach_reduction<Scalar>{{X, norms.data()}, origin.data()});
  reduce_columns(be, X.rows(), X.cols(), norm_reduction<Scalar>{X, origin.data(), norms.data()});
  return norms;
}

/// An array of device memory on the host.
template <class T, std::floating_point Product>
[[nodiscard]] std::vector<T> on_host_of(const cuda<Product>& be, const DeviceBuffer<T>& x) {
  std::vector<T> values(static_cast<std::size_t>(x.size()));
  download_array(be, array_view<const T>(x), array_view<T>(values));
  return values;
}

/// `normalized_columns` in device memory. Cost: one number a column comes to the host.
template <std::floating_point Product, class Scalar>
[[nodiscard]] DeviceMatrix<double> normalized_columns(const cuda<Product>& be,
                                                      std::string_view where, std::string_view what,
                                                      const device_view<const Scalar>& X) {
  const auto origin = be.template make_buffer<double>(X.rows());
  const DeviceBuffer<double> norms = norms_from(be, X, origin);
  const std::vector<double> host = on_host_of(be, norms);
  for (std::size_t j = 0; j < host.size(); ++j) {
    require_direction(where, what, host[j], static_cast<index_t>(j));
  }
  DeviceMatrix<double> Y(X.rows(), X.cols());
  for_each_index(be, X.rows() * X.cols(),
                 direction_entry<Scalar>{X, origin.data(), norms.data(), false, Y});
  be.runtime().wait();  // before origin and norms are freed
  return Y;
}

}  // namespace basin::detail
