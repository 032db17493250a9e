/// @file
/// The mean distance of states from all points of a set, on a device.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>

#include <Eigen/Core>

#include <basin/attractor/cuda/column_sets.hpp>
#include <basin/backend/cuda/columns.hpp>
#include <basin/backend/cuda/context.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/ood/mean_distance.hpp>

namespace basin::detail {

/// The mean of ‖x - y‖ over points y.
template <class Scalar>
struct mean_distance_reduction {
  using value = double;
  device_view<const double> points;
  device_view<const Scalar> states;
  double* result;
  BASIN_HOST_DEVICE value begin() const { return 0; }
  BASIN_HOST_DEVICE value entry(index_t i, index_t j) const {
    double sum = 0;
    for (index_t d = 0; d < points.rows(); ++d) {
      const double difference = static_cast<double>(states(d, j)) - points(d, i);
      sum += difference * difference;
    }
    return std::sqrt(sum);
  }
  BASIN_HOST_DEVICE value merge(value a, value b) const { return a + b; }
  BASIN_HOST_DEVICE void store(index_t j, value v) const {
    result[j] = v / static_cast<double>(points.cols());
  }
};

/// Mean distances by differences in double, one thread a pair of points. Cost: 3 k M flops in
/// double a state; one number a state comes to the host.
template <std::floating_point Product>
class DeviceMeanDistance {
 public:
  /// @param points k × M in host memory
  DeviceMeanDistance(const cuda<Product>& be, const Eigen::MatrixXd& points)
      : points_(in_device_memory(be, points)) {}

  /// @param states k × N
  template <class Scalar>
  [[nodiscard]] Eigen::VectorXd distances(const cuda<Product>& be,
                                          const device_view<const Scalar>& states) {
    if (means_.size() < states.cols()) means_ = DeviceBuffer<double>(states.cols());
    reduce_columns(be, points_.cols(), states.cols(),
                   mean_distance_reduction<Scalar>{points_, states, means_.data()});
    Eigen::VectorXd found(states.cols());
    download_array(be, array_view<const double>(means_.data(), states.cols()),
                   array_view<double>(found));
    return found;
  }

 private:
  DeviceMatrix<double> points_;
  DeviceBuffer<double> means_;  ///< kept between calls
};

}  // namespace basin::detail
