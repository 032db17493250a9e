/// @file
/// The mean distance of states from all points of a set.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include <Eigen/Core>

#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

/// Mean distances by products in double, with the mean of the points as the origin; where
/// ‖x‖² + ‖y‖² - 2 x · y cancels by more than two digits, by differences.
class MeanDistance {
 public:
  /// @param points k × M
  explicit MeanDistance(Eigen::MatrixXd points) : points_(std::move(points)) {
    if (points_.cols() == 0) return;
    center_ = points_.rowwise().mean();
    points_.colwise() -= center_;
    squares_ = points_.colwise().squaredNorm();
  }

  /// @param states k × N, float or double
  template <std::floating_point S, class Derived>
  [[nodiscard]] Eigen::VectorXd distances(const cpu<S>& be,
                                          const Eigen::MatrixBase<Derived>& states) const {
    const index_t n = states.cols(), m = points_.cols();
    constexpr index_t grain = 48;
    Eigen::VectorXd means(n);
    be.pool().run((n + grain - 1) / grain, [&](index_t task) {
      const index_t first = task * grain, count = std::min(grain, n - first);
      const Eigen::MatrixXd X =
          states.middleCols(first, count).template cast<double>().colwise() - center_;
      Eigen::MatrixXd products(m, count);
      gemm(serial_, points_, X, products, {.a = transpose::yes});
      for (index_t j = 0; j < count; ++j) {
        const double square = X.col(j).squaredNorm();
        double sum = 0;
        for (index_t i = 0; i < m; ++i) {
          const double size = square + squares_[i];
          double squared = size - 2 * products(i, j);
          if (!(squared > 1e-2 * size)) squared = (points_.col(i) - X.col(j)).squaredNorm();
          sum += std::sqrt(squared);
        }
        means[first + j] = sum / static_cast<double>(m);
      }
    });
    return means;
  }

 private:
  cpu<double> serial_{1};  // for use within a task
  Eigen::MatrixXd points_;
  Eigen::VectorXd center_;
  Eigen::VectorXd squares_;
};

}  // namespace basin::detail
