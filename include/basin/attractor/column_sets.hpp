/// @file
/// What the metrics ask of matrices whose columns are points.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>
#include <basin/spectral/jacobian_products.hpp>

namespace basin::detail {

/// Beyond it squares of distances could overflow.
inline constexpr double largest_magnitude = 1e150;

/// The largest |x|.
/// @param what one of its columns, as the user knows it
/// @throws size_error if there is no row or no column; argument_error that names the first column
///   that is not finite or too large for squares
template <class Derived>
[[nodiscard]] double require_points(std::string_view where, std::string_view what,
                                    const Eigen::MatrixBase<Derived>& X) {
  if (X.rows() < 1 || X.cols() < 1) {
    throw size_error(std::string(where) + ": " + std::string(what) + ": the matrix is " +
                     std::to_string(X.rows()) + " x " + std::to_string(X.cols()));
  }
  double largest = 0;
  for (index_t j = 0; j < X.cols(); ++j) {
    bool finite = true;
    double most = 0;
    for (index_t i = 0; i < X.rows(); ++i) {
      finite &= is_finite(X(i, j));
      most = std::max(most, std::abs(static_cast<double>(X(i, j))));
    }
    require(finite && most <= largest_magnitude, where,
            std::string(what) + " " + std::to_string(j) +
                (finite ? " is beyond 1e150" : " is not finite"));
    largest = std::max(largest, most);
  }
  return largest;
}

/// The mean of the columns in double. The second pass takes away what the first has rounded, so
/// that equal columns are their mean to a few ε.
template <class Derived>
[[nodiscard]] Eigen::VectorXd mean_column(const Eigen::MatrixBase<Derived>& X) {
  Eigen::VectorXd mean = Eigen::VectorXd::Zero(X.rows());
  for (int pass = 0; pass < 2; ++pass) {
    Eigen::VectorXd sum = Eigen::VectorXd::Zero(X.rows());
    for (index_t j = 0; j < X.cols(); ++j) sum += X.col(j).template cast<double>() - mean;
    mean += sum / static_cast<double>(X.cols());
  }
  return mean;
}

/// Calls f(i) for i in [0, n), in parallel where the backend has threads, many to a task.
template <class B, class F>
void on_host_in_groups(const B& be, index_t n, index_t group, F&& f) {
  on_host(be, (n + group - 1) / group, [&](index_t g) {
    for (index_t i = g * group; i < std::min(n, (g + 1) * group); ++i) f(i);
  });
}

}  // namespace basin::detail
