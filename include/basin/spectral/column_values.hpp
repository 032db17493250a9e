/// @file
/// One number for each of many Jacobians.
#pragma once

#include <limits>
#include <vector>

#include <Eigen/Core>

#include <basin/core/index.hpp>
#include <basin/spectral/spectrum.hpp>

namespace basin {

/// A number for each of n points, with what is known of its error.
struct ColumnValues {
  Eigen::VectorXd values;  ///< n of them; NaN where there is none
  Eigen::VectorXd errors;  ///< estimates of |value - true value|
  std::vector<spectral_status> status;
  index_t products = 0;  ///< with J and its transpose, over all points

  [[nodiscard]] index_t size() const noexcept { return values.size(); }
};

namespace detail {
[[nodiscard]] inline ColumnValues no_values(index_t n) {
  return {Eigen::VectorXd::Constant(n, std::numeric_limits<double>::quiet_NaN()),
          Eigen::VectorXd::Constant(n, std::numeric_limits<double>::quiet_NaN()),
          std::vector<spectral_status>(static_cast<std::size_t>(n), spectral_status::non_finite),
          0};
}
}  // namespace detail

}  // namespace basin
