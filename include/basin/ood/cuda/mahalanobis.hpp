/// @file
/// Mahalanobis distances of samples on a device.
#pragma once

#include <concepts>
#include <limits>
#include <type_traits>

#include <Eigen/Core>

#include <basin/attractor/cuda/column_sets.hpp>
#include <basin/backend/cuda/columns.hpp>
#include <basin/backend/cuda/context.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/ood/mahalanobis.hpp>

namespace basin {
namespace detail {

/// W (x - o), in double.
template <class Scalar>
struct whiten_entry {
  device_view<const double> whitening;
  const double* origin;
  device_view<const Scalar> X;
  device_view<double> white;
  BASIN_HOST_DEVICE void operator()(index_t at) const {
    const index_t i = at % white.rows(), j = at / white.rows();
    double sum = 0;
    for (index_t d = 0; d < X.rows(); ++d) {
      sum += whitening(i, d) * (static_cast<double>(X(d, j)) - origin[d]);
    }
    white(i, j) = sum;
  }
};

/// The least squared distance from some means: these are one more.
struct nearest_mean_reduction {
  using value = double;
  device_view<const double> white;
  const double* mean;
  double* least;
  BASIN_HOST_DEVICE value begin() const { return 0; }
  BASIN_HOST_DEVICE value entry(index_t i, index_t j) const {
    const double difference = white(i, j) - mean[i];
    return difference * difference;
  }
  BASIN_HOST_DEVICE value merge(value a, value b) const { return a + b; }
  BASIN_HOST_DEVICE void store(index_t j, value v) const {
    if (v < least[j]) least[j] = v;
  }
};

}  // namespace detail

/// What `Mahalanobis::score` is on a device: of samples in its memory, float or double.
/// Cost: 2 k (k + C) flops a sample in double, a launch and one for each mean; two numbers a sample
/// come to the host. Memory on the device: the samples once in double.
template <std::floating_point Product, class T>
[[nodiscard]] Eigen::VectorXd mahalanobis_distances(const cuda<Product>& be,
                                                    const Mahalanobis& fitted,
                                                    const device_view<T>& samples) {
  using scalar = std::remove_const_t<T>;
  const device_view<const scalar> X = samples;
  const index_t k = X.rows(), n = X.cols();
  (void)detail::largest_entry(be, "Mahalanobis", "sample", X);
  const auto whitening = detail::in_device_memory(be, fitted.whitening());
  const auto origin = detail::in_device_memory(be, fitted.origin());
  const auto means = detail::in_device_memory(be, fitted.white_means());
  DeviceMatrix<double> white(k, n);
  for_each_index(be, k * n, detail::whiten_entry<scalar>{whitening, origin.data(), X, white});
  DeviceBuffer<double> least(n);
  for_each_index(be, n,
                 detail::fill_value<double>{least.data(), std::numeric_limits<double>::infinity()});
  for (index_t c = 0; c < means.cols(); ++c) {
    detail::reduce_columns(
        be, k, n, detail::nearest_mean_reduction{white, means.data() + c * k, least.data()});
  }
  Eigen::VectorXd scores(n);
  download_array(be, array_view<const double>(least), array_view<double>(scores));
  return scores;
}
/// The same of samples in host memory, which are uploaded.
template <std::floating_point Product, class Derived>
[[nodiscard]] Eigen::VectorXd mahalanobis_distances(const cuda<Product>& be,
                                                    const Mahalanobis& fitted,
                                                    const Eigen::MatrixBase<Derived>& samples) {
  const auto copy = detail::in_device_memory(be, samples);
  return mahalanobis_distances(be, fitted, device_view<const typename Derived::Scalar>(copy));
}

}  // namespace basin
