/// @file
/// The quantile of the normal distribution that intervals of a confidence need.
#pragma once

#include <cmath>

#include <basin/core/error.hpp>

namespace basin::detail {

/// z with P(|N(0, 1)| <= z) = confidence, by bisection: 1.96 for 0.95.
/// @throws argument_error unless 0 < confidence < 1
[[nodiscard]] inline double two_sided_normal(double confidence) {
  require(confidence > 0 && confidence < 1, "confidence", "must lie between 0 and 1");
  double low = 0, high = 40;
  for (int i = 0; i < 100; ++i) {
    const double z = (low + high) / 2;
    (std::erfc(z / std::sqrt(2.0)) > 1 - confidence ? low : high) = z;
  }
  return (low + high) / 2;
}

}  // namespace basin::detail
