/// @file
/// Numbers with their standard errors, from independent draws.
#pragma once

#include <cmath>
#include <limits>

#include <Eigen/Core>

#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// A number estimated from draws that are taken to be independent.
struct estimate {
  double value = std::numeric_limits<double>::quiet_NaN();
  /// Standard error of the value, 1 σ; NaN where fewer than two draws were used.
  double error = std::numeric_limits<double>::quiet_NaN();
  index_t used = 0;      ///< draws that the value is of
  index_t left_out = 0;  ///< draws that were not finite
};

/// The mean of the finite values, and its standard error s / √n.
/// @param values n numbers; those that are not finite are left out and counted
/// @return NaN where none is finite
[[nodiscard]] inline estimate mean_estimate(const Eigen::Ref<const Eigen::VectorXd>& values) {
  estimate e;
  double sum = 0;
  for (index_t j = 0; j < values.size(); ++j) {
    if (!is_finite(values[j])) continue;
    sum += values[j];
    ++e.used;
  }
  e.left_out = values.size() - e.used;
  if (e.used == 0) return e;
  const auto n = static_cast<double>(e.used);
  e.value = sum / n;
  if (e.used == 1) return e;
  double squares = 0;
  for (index_t j = 0; j < values.size(); ++j) {
    if (is_finite(values[j])) squares += (values[j] - e.value) * (values[j] - e.value);
  }
  e.error = std::sqrt(squares / (n - 1) / n);
  return e;
}

/// A share of draws. Its error is the standard deviation of the share given the counts, every
/// share being as likely before (Laplace's rule of succession, 1774): it is not 0 where the
/// share is 0 or 1, as the usual √(p (1 - p) / n) would be.
/// @param hits draws of the kind
/// @param draws all draws that were used
/// @param left_out draws that were not
/// @return NaN for no draws
/// @throws argument_error unless 0 <= hits <= draws
[[nodiscard]] inline estimate share_estimate(index_t hits, index_t draws, index_t left_out = 0) {
  require(hits >= 0 && hits <= draws, "share_estimate", "hits must lie between 0 and the draws");
  estimate e;
  e.used = draws;
  e.left_out = left_out;
  if (draws == 0) return e;
  const auto n = static_cast<double>(draws);
  e.value = static_cast<double>(hits) / n;
  const double p = (static_cast<double>(hits) + 1) / (n + 2);
  e.error = std::sqrt(p * (1 - p) / (n + 3));
  return e;
}

/// f(Σ_j terms_j), such as a ratio of sums, with the standard error of the jackknife that
/// leaves out one draw at a time (Tukey 1958).
/// @param terms m × n, a column for each draw; a column that is not finite is left out and
///   counted
/// @param f takes m sums, an Eigen vector, gives a number
/// Cost: n + 1 calls of f.
template <class F>
[[nodiscard]] estimate jackknife_estimate(const Eigen::Ref<const Eigen::MatrixXd>& terms, F&& f) {
  estimate e;
  Eigen::VectorXd total = Eigen::VectorXd::Zero(terms.rows());
  const auto used = [&](index_t j) {
    for (index_t i = 0; i < terms.rows(); ++i) {
      if (!is_finite(terms(i, j))) return false;
    }
    return true;
  };
  for (index_t j = 0; j < terms.cols(); ++j) {
    if (!used(j)) continue;
    total += terms.col(j);
    ++e.used;
  }
  e.left_out = terms.cols() - e.used;
  if (e.used == 0) return e;
  e.value = f(total);
  if (e.used == 1) return e;
  Eigen::VectorXd without(e.used);
  index_t at = 0;
  for (index_t j = 0; j < terms.cols(); ++j) {
    if (!used(j)) continue;
    const Eigen::VectorXd rest = total - terms.col(j);
    without[at++] = f(rest);
  }
  const auto n = static_cast<double>(e.used);
  e.error = std::sqrt((without.array() - without.mean()).square().sum() * (n - 1) / n);
  return e;
}

}  // namespace basin
