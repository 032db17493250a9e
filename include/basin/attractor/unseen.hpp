/// @file
/// What a sample of starts says of the attractors that it has not met.
///
/// Starts fall into basins as animals into a biologist's traps, so the estimators are those of
/// ecology. They hold for independent starts of one source, and for a fixed mixture of sources:
/// how often attractor j is met is then nearly Poisson with mean λ_j = Σ_s n_s p_sj, and that is
/// all that is used of it. The number of unseen attractors has no upper limit that the counts
/// alone could give, since a small basin may be any number of smaller ones; the share of starts
/// that they take has one, and so has the number of them that a larger sample meets.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/core/normal.hpp>

namespace basin {

/// An estimate with an interval of a stated confidence.
struct interval_estimate {
  double value = 0;
  double lower = 0;
  double upper = 0;

  [[nodiscard]] bool holds(double x) const noexcept { return lower <= x && x <= upper; }
};

namespace detail {
/// P(X <= x) of X ~ Bin(n, p), for x not above the mean: terms downwards from that of x.
[[nodiscard]] inline double binomial_lower_tail(index_t x, index_t n, double p) {
  if (x >= n) return 1;
  const double odds = p / (1 - p);
  double log_term = static_cast<double>(n) * std::log1p(-p);
  for (index_t j = 0; j < x; ++j) {
    log_term += std::log(static_cast<double>(n - j) / static_cast<double>(j + 1) * odds);
  }
  double sum = 0, term = 1;
  for (index_t j = x; j >= 0 && term > 0; --j) {
    sum += term;
    term *= static_cast<double>(j) / (static_cast<double>(n - j + 1) * odds);
  }
  return std::min(1.0, std::exp(log_term) * sum);
}

/// The mean of which a Poisson number x is z standard deviations away, on the other side: the
/// score limit x + z² / 2 ± |z| √(x + z² / 4).
[[nodiscard]] inline double poisson_mean(double x, double z) {
  return x + z * z / 2 + z * std::sqrt(x + z * z / 4);
}
}  // namespace detail

/// How many attractors a sample has met once, twice, and so on.
class Encounters {
 public:
  /// @param counts how often each attractor was met; one that was not is left out
  /// @param starts n, those included that met no attractor; negative: the sum of the counts
  /// @throws argument_error if a count is negative, or the counts add up to more than n
  explicit Encounters(std::span<const index_t> counts, index_t starts = -1) {
    for (const index_t count : counts) {
      require(count >= 0, "Encounters", "a count is negative");
      if (count == 0) continue;
      ++attractors_with_[count];
      ++seen_;
      meetings_ += count;
    }
    starts_ = starts < 0 ? meetings_ : starts;
    require(meetings_ <= starts_, "Encounters",
            "the counts add up to " + std::to_string(meetings_) + ", more than the " +
                std::to_string(starts_) + " starts");
  }
  explicit Encounters(const std::vector<index_t>& counts, index_t starts = -1)
      : Encounters(std::span<const index_t>(counts), starts) {}

  /// n.
  [[nodiscard]] index_t starts() const noexcept { return starts_; }
  /// Attractors that were met.
  [[nodiscard]] index_t seen() const noexcept { return seen_; }
  /// f_r: attractors that were met exactly r times.
  [[nodiscard]] index_t met(index_t r) const {
    const auto found = attractors_with_.find(r);
    return found == attractors_with_.end() ? 0 : found->second;
  }
  /// r -> f_r, where f_r > 0.
  [[nodiscard]] const std::map<index_t, index_t>& attractors_with() const noexcept {
    return attractors_with_;
  }

 private:
  std::map<index_t, index_t> attractors_with_;
  index_t starts_ = 0, seen_ = 0, meetings_ = 0;
};

/// The share of starts that lead to attractors which were not met: f_1 / n (Good 1953, after
/// Turing), the share of starts whose attractor no other start has met.
///
/// The interval holds the shares θ / n with (θ - f_1)² <= z² (θ - θ² / n + 2 (f_2 + 1)): the
/// variance of Esty (1983) in a score interval (Wilson 1927), so that it has a width where no
/// attractor was met once; 1 is added to f_2 since a mean of 1 is often met as 0. For 95 % it
/// ends at 5.3 / n where f_1 = f_2 = 0, and begins at 0 up to f_1 = 2.
/// @return value 1 in [0, 1] of no starts
/// @throws argument_error unless 0 < confidence < 1
[[nodiscard]] inline interval_estimate unseen_mass(const Encounters& sample,
                                                   double confidence = 0.95) {
  const double z = detail::two_sided_normal(confidence);
  if (sample.starts() == 0) return {1, 0, 1};
  const auto n = static_cast<double>(sample.starts());
  const auto once = static_cast<double>(sample.met(1));
  const double a = 1 + z * z / n;
  const double b = once + z * z / 2;
  const double c = once * once - 2 * z * z * static_cast<double>(sample.met(2) + 1);
  const double root = std::sqrt(b * b - a * c);
  return {once / n, std::max(0.0, (b - root) / a / n), std::min(1.0, (b + root) / a / n)};
}

/// A lower bound of how many attractors were not met: f_1² / (2 f_2), or f_1 (f_1 - 1) / 2 where
/// f_2 = 0, times (n - 1) / n (Chao 1984). It is the number itself where all that are rare are
/// equally rare; else there are more.
///
/// The interval is that of the bound, in whole attractors: log-normal (Chao 1987); where the
/// bound is 0, from the number that its counts r leave to chance, Σ f_r e^-r.
/// @throws argument_error unless 0 < confidence < 1
[[nodiscard]] inline interval_estimate chao1_unseen(const Encounters& sample,
                                                    double confidence = 0.95) {
  const double z = detail::two_sided_normal(confidence);
  if (sample.starts() == 0) return {0, 0, std::numeric_limits<double>::infinity()};
  const auto n = static_cast<double>(sample.starts());
  const auto seen = static_cast<double>(sample.seen());
  const auto once = static_cast<double>(sample.met(1));
  const auto twice = static_cast<double>(sample.met(2));
  const double A = (n - 1) / n;
  const double unseen = twice > 0 ? A * once * once / (2 * twice) : A * once * (once - 1) / 2;
  if (!(unseen > 0)) {
    double missed = 0;  // expected, were every λ_j as its count
    for (const auto& [r, attractors] : sample.attractors_with()) {
      missed += static_cast<double>(attractors) * std::exp(-static_cast<double>(r));
    }
    const double share = seen > 0 ? missed / seen : 0;
    return {0, 0, std::ceil((missed + z * std::sqrt(missed)) / (1 - share))};
  }
  double variance = 0;
  if (twice > 0) {
    const double r = once / twice;
    variance = twice * (A * r * r / 2 + A * A * r * r * r + A * A * r * r * r * r / 4);
  } else {
    variance = A * once * (once - 1) / 2 + A * A * once * std::pow(2 * once - 1, 2) / 4 -
               A * A * std::pow(once, 4) / (4 * (seen + unseen));
  }
  const double C = std::exp(z * std::sqrt(std::log1p(variance / (unseen * unseen))));
  return {unseen, std::floor(unseen / C), std::ceil(unseen * C)};
}

namespace detail {
/// Expected number of attractors that t n further starts meet first, of a mixture of Poisson
/// means λ: EM for the likelihood of f_1 ... f_60 given that each was met, begun at shares that
/// are uniform in log λ and stopped after ten steps, which smooths it.
[[nodiscard]] inline double poisson_mixture_new(const Encounters& sample, double t) {
  constexpr int rates = 60, most = 60;
  std::map<index_t, double> rare;
  for (const auto& [r, attractors] : sample.attractors_with()) {
    if (r <= most) rare[r] = static_cast<double>(attractors);
  }
  const double least = std::log(0.25 / (1 + t)), step = (std::log(80.0) - least) / (rates - 1);
  std::array<double, rates> lambda, weight, next;
  double all = 0, seen = 0;
  for (std::size_t i = 0; i < rates; ++i) {
    lambda[i] = std::exp(least + step * static_cast<double>(i));
    weight[i] = -std::expm1(-lambda[i]);
  }
  for (const double w : weight) all += w;
  for (double& w : weight) w /= all;
  for (int iteration = 0; iteration < 10; ++iteration) {
    next.fill(0);
    seen = 0;
    for (const auto& [r, attractors] : rare) {
      std::array<double, rates> term;
      double sum = 0;
      for (std::size_t i = 0; i < rates; ++i) {
        // Without r!, which all terms share.
        term[i] = weight[i] / -std::expm1(-lambda[i]) *
                  std::exp(static_cast<double>(r) * std::log(lambda[i] / static_cast<double>(r)) -
                           lambda[i]);
        sum += term[i];
      }
      for (std::size_t i = 0; i < rates; ++i) next[i] += attractors * term[i] / sum;
      seen += attractors;
    }
    if (seen == 0) return 0;
    for (std::size_t i = 0; i < rates; ++i) weight[i] = next[i] / seen;
  }
  double found = 0;
  for (std::size_t i = 0; i < rates; ++i) {
    found += seen * weight[i] * std::exp(-lambda[i]) * std::expm1(-t * lambda[i]) /
             std::expm1(-lambda[i]);
  }
  return found;
}
}  // namespace detail

/// How many attractors `times` × n further starts will meet that the sample has not.
///
/// The interval is for the number that is met, not for its mean, and supposes nothing of the
/// shares of the basins.
/// - Upper end: that a rare attractor is met first by the further starts is t times as likely as
///   that the sample has met it once, or less. So with u new ones f_1 is at least as
///   Bin(u + f_1, 1 / (1 + t)): the largest u for which P(X <= f_1) is above
///   (1 - confidence) / 2. It is reached where many very small basins are left, and is far above
///   what most maps will show; without an assumption nothing less can be promised.
/// - Lower end: 1 - e^(-tλ) is nowhere below the parabola a λ - b λ² that touches it at 0 and at
///   any other λ, so the mean is at least a E f_1 - 2 b E f_2; with λ = 2 E f_2 / E f_1 and
///   t = ∞ this is Chao's bound. E f_1 and E f_2 are taken at their lower and upper score limits.
///
/// Of samples with uniform, geometric and Zipf shares 95 % or more are held
/// (tests/attractor/unseen.cpp).
///
/// The value is the mean by a mixture of Poisson distributions (Norris and Pollock 1998), fitted
/// by a few steps of EM. For t = 9 its root mean square errors are below those of `good_toulmin`
/// where 500 attractors with uniform, geometric or Zipf's shares have met 1,000 starts; for t = 4
/// where shares are geometric (tests/attractor/unseen.cpp).
/// @param times t > 0: 9 for a sample that is ten times larger in all
/// @throws argument_error unless 0 < times < 1e9 and 0 < confidence < 1
/// Cost: O(f_1 log(t n)), and some 10^5 operations.
[[nodiscard]] inline interval_estimate new_attractors(const Encounters& sample, double times,
                                                      double confidence = 0.95) {
  require(times > 0 && times < 1e9, "new_attractors", "times must be positive, and below 1e9");
  const double z = detail::two_sided_normal(confidence);
  if (sample.starts() == 0) return {0, 0, std::numeric_limits<double>::infinity()};
  const index_t once = sample.met(1);
  const auto f1 = static_cast<double>(once);
  const auto f2 = static_cast<double>(sample.met(2));

  index_t upper = 0;
  auto most = static_cast<index_t>(std::min(times * static_cast<double>(sample.starts()), 1e15));
  while (upper < most) {
    const index_t u = most - (most - upper) / 2;
    if (detail::binomial_lower_tail(once, once + u, 1 / (1 + times)) > (1 - confidence) / 2) {
      upper = u;
    } else {
      most = u - 1;
    }
  }
  double lower = 0;
  const double fewer = detail::poisson_mean(f1, -z), more = detail::poisson_mean(f2, z);
  if (fewer > 0) {
    const double at = 2 * more / fewer;
    const double value = -std::expm1(-times * at);
    const double slope = times * std::exp(-times * at);
    const double a = (2 * value - slope * at) / at;
    const double b = (value - slope * at) / (at * at);
    lower = std::floor(std::max(0.0, a * fewer - 2 * b * more));
  }
  const auto ends_at = static_cast<double>(upper);
  lower = std::min(lower, ends_at);
  return {std::clamp(detail::poisson_mixture_new(sample, times), lower, ends_at), lower, ends_at};
}

/// The same mean by the series -Σ (-t)^r f_r (Good and Toulmin 1956), unbiased for t <= 1. For
/// t > 1 its terms are weighted by P(L >= r), L ~ Bin(½ log₃(n t² / (t - 1)), 2 / (2 + t)) (Efron
/// and Thisted 1976; Orlitsky, Suresh and Wu 2016, who show it to serve for t up to about log n).
/// Its error is small against t n, not against the number of attractors: where few are left it
/// may be tens of times too large. Not below 0.
/// @throws argument_error unless times > 0
[[nodiscard]] inline double good_toulmin(const Encounters& sample, double times) {
  require(times > 0, "good_toulmin", "times must be positive");
  if (sample.seen() == 0) return 0;
  index_t last = sample.attractors_with().rbegin()->first;
  double tail = 1;  // P(L >= r)
  double pmf = 0;   // P(L = r - 1)
  double p = 0;
  index_t trials = 0;
  if (times > 1) {
    const auto n = static_cast<double>(sample.starts());
    trials = static_cast<index_t>(0.5 * std::log(n * times * times / (times - 1)) / std::log(3.0));
    p = 2 / (2 + times);
    pmf = std::pow(1 - p, static_cast<double>(trials));
    last = std::min(last, trials);
  }
  double found = 0, power = 1;
  for (index_t r = 1; r <= last && power > 1e-18; ++r) {
    if (times > 1) {
      tail -= pmf;
      pmf *= static_cast<double>(trials - r + 1) / static_cast<double>(r) * p / (1 - p);
    }
    power *= times;
    found += (r % 2 == 1 ? 1 : -1) * power * tail * static_cast<double>(sample.met(r));
  }
  return std::max(found, 0.0);
}

/// What a sample says of the unseen, in one table row.
struct UnseenEstimate {
  index_t starts = 0;
  index_t seen = 0;             ///< attractors met
  index_t once = 0;             ///< of those, by one start only
  interval_estimate mass;       ///< unseen_mass: share of starts
  interval_estimate remaining;  ///< chao1_unseen: a lower bound of the number not met
  double times = 9;             ///< t of `next`
  interval_estimate next;       ///< new_attractors: met first by t × n further starts
  double confidence = 0.95;     ///< of the three intervals
};

/// The three estimates of a sample.
/// @throws argument_error unless 0 < times < 1e9 and 0 < confidence < 1
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/unseen.hpp>
///
/// int main() {
///   // 1,000 starts met seven attractors, two of them once.
///   const auto unseen = basin::estimate_unseen(basin::Encounters({700, 250, 40, 6, 2, 1, 1}));
///   std::cout << "unseen mass " << unseen.mass.value << " [" << unseen.mass.lower << ", "
///             << unseen.mass.upper << "]; 9,000 more starts will find " << unseen.next.lower
///             << " to " << unseen.next.upper << " more\n";
/// }
/// @endcode
[[nodiscard]] inline UnseenEstimate estimate_unseen(const Encounters& sample, double times = 9,
                                                    double confidence = 0.95) {
  return {sample.starts(),
          sample.seen(),
          sample.met(1),
          unseen_mass(sample, confidence),
          chao1_unseen(sample, confidence),
          times,
          new_attractors(sample, times, confidence),
          confidence};
}

}  // namespace basin
