/// @file
/// A threshold of scores at a stated rate of false alarms, and how sure that rate is.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>
#include <basin/ood/auroc.hpp>

namespace basin {

namespace detail {

/// P(X = x) of X ~ Binomial(n, p), 0 < p < 1, 0 <= x <= n.
[[nodiscard]] inline double binomial_term(index_t x, index_t n, double p) {
  const auto all = static_cast<double>(n), hits = static_cast<double>(x);
  return std::exp(std::lgamma(all + 1) - std::lgamma(hits + 1) - std::lgamma(all - hits + 1) +
                  hits * std::log(p) + (all - hits) * std::log1p(-p));
}

/// P(X <= x) of X ~ Binomial(n, p). Cost: x + 1 terms.
[[nodiscard]] inline double binomial_cdf(index_t x, index_t n, double p) {
  if (x < 0) return 0;
  if (x >= n || p <= 0) return 1;
  if (p >= 1) return 0;
  double sum = 0;
  for (index_t i = 0; i <= x; ++i) sum += binomial_term(i, n, p);
  return std::min(1.0, sum);
}

/// The p at which `binomial_cdf` falls through a probability.
[[nodiscard]] inline double binomial_limit(index_t x, index_t n, double probability) {
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double p = (low + high) / 2;
    (binomial_cdf(x, n, p) > probability ? low : high) = p;
  }
  return (low + high) / 2;
}

}  // namespace detail

/// Clopper and Pearson's interval (1934) of a share: it covers the truth with at least the stated
/// probability, whatever the truth is. `wilson_interval` is narrower, and right on average.
/// @param confidence in (0, 1)
/// @throws argument_error unless 0 <= hits <= n, n >= 1 and the confidence is in (0, 1)
/// Cost: up to 120 n terms of the binomial distribution.
[[nodiscard]] inline confidence_interval clopper_pearson(index_t hits, index_t n,
                                                         double confidence = 0.95) {
  require(n >= 1 && hits >= 0 && hits <= n, "clopper_pearson",
          std::to_string(hits) + " hits of " + std::to_string(n));
  require(confidence > 0 && confidence < 1, "clopper_pearson",
          "confidence is " + std::to_string(confidence) + ", must be in (0, 1)");
  const double miss = (1 - confidence) / 2;
  const double share = static_cast<double>(hits) / static_cast<double>(n);
  return {.value = share,
          .error = std::sqrt(share * (1 - share) / static_cast<double>(n)),
          .low = hits == 0 ? 0 : detail::binomial_limit(hits - 1, n, 1 - miss),
          .high = hits == n ? 1 : detail::binomial_limit(hits, n, miss)};
}

/// Settings of `false_alarm_threshold`.
struct threshold_options {
  double rate = 0.05;  ///< of false alarms among familiar samples, in (0, 1)
  /// Probability, over the calibrating samples, that the true rate is at most `rate`; in (0, 1).
  /// 0: the rate holds on average over calibrations and not of each, as of split-conformal
  /// intervals.
  double confidence = 0.95;

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(rate > 0 && rate < 1, "threshold_options",
            "rate is " + std::to_string(rate) + ", must be in (0, 1)");
    require(confidence >= 0 && confidence < 1, "threshold_options",
            "confidence is " + std::to_string(confidence) + ", must be in [0, 1)");
  }
};

/// A threshold: an alarm is a score above it, or one that is not a number, since nothing familiar
/// has one.
struct Threshold {
  double value = std::numeric_limits<double>::quiet_NaN();
  double rate = 0;         ///< what was asked for
  double confidence = 0;   ///< what was asked for
  index_t calibrated = 0;  ///< number of calibrating samples, n
  index_t above = 0;       ///< of these, ranks above the threshold, a
  /// (a + 1) / (n + 1): the rate of false alarms on average over calibrations, where scores do not
  /// tie; where they do, at most this.
  double expected = 0;
  /// P(true rate <= rate) over calibrations; of scores that tie a lower bound.
  double reached = 0;

  [[nodiscard]] bool alarm(double score) const { return score > value || is_nan(score); }
};

/// The lowest score of a calibrating sample above which at most `rate` of new familiar samples lie,
/// with the stated confidence. Calibrating and new samples must be drawn alike, and none of either
/// may have been a reference. With a ranks above it the true rate is at most α with probability
/// P(Binomial(n, α) > a) (Wilks 1941): that is Clopper and Pearson's upper limit of a / n. With
/// confidence 0 the rank is that of split-conformal prediction, ⌈(1 - α)(n + 1)⌉ (Vovk, Gammerman
/// and Shafer 2005).
/// @param scores of calibrating samples, familiar ones
/// @throws argument_error if there are too few for this rate and confidence (59 for 5 % at 95 %, 19
///   on average), or a score is not finite
/// Cost: O(n), and a + 1 terms of the binomial distribution.
///
/// @code
/// #include <iostream>
///
/// #include <basin/ood/threshold.hpp>
///
/// int main() {
///   const Eigen::VectorXd scores = Eigen::VectorXd::Random(1000).cwiseAbs();
///   const auto threshold = basin::false_alarm_threshold(scores, {.rate = 0.05});
///   std::cout << threshold.value << ", " << threshold.above << " of 1000 are above\n";
/// }
/// @endcode
[[nodiscard]] inline Threshold false_alarm_threshold(
    const Eigen::Ref<const Eigen::VectorXd>& scores, const threshold_options& options = {}) {
  options.check();
  const index_t n = scores.size();
  for (index_t j = 0; j < n; ++j) {
    require(is_finite(scores[j]), "false_alarm_threshold",
            "the score of sample " + std::to_string(j) + " is not finite");
  }
  const auto all = static_cast<double>(n);
  index_t above = -1;
  if (options.confidence == 0) {
    above = static_cast<index_t>(std::floor(options.rate * (all + 1) + 1e-9)) - 1;
  } else {
    double tail = detail::binomial_term(0, n, options.rate);
    while (above + 1 < n && tail <= 1 - options.confidence) {
      ++above;
      tail += detail::binomial_term(above + 1, n, options.rate);
    }
  }
  require(above >= 0, "false_alarm_threshold",
          std::to_string(n) + " calibrating samples are too few for a rate of " +
              std::to_string(options.rate) + " at confidence " +
              std::to_string(options.confidence));
  std::vector<double> sorted(scores.begin(), scores.end());
  const auto rank = sorted.end() - 1 - static_cast<std::ptrdiff_t>(above);
  std::nth_element(sorted.begin(), rank, sorted.end());
  return {.value = *rank,
          .rate = options.rate,
          .confidence = options.confidence,
          .calibrated = n,
          .above = above,
          .expected = (static_cast<double>(above) + 1) / (all + 1),
          .reached = 1 - detail::binomial_cdf(above, n, options.rate)};
}

}  // namespace basin
