/// @file
/// Intervals around predicted counts, with a stated coverage for new starts.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <basin/convergence/predictor.hpp>
#include <basin/core/random.hpp>

namespace basin {

/// Settings of `calibrate`.
struct calibration_options {
  double coverage = 0.9;  ///< of new starts that have a prediction; in (0, 1)
  /// Starts of one predicted attractor from which on it has a calibration of its own.
  index_t per_basin = 200;
  random_stream random = {};  ///< of the numbers that break ties

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(coverage > 0 && coverage < 1, "calibration_options",
            "coverage is " + std::to_string(coverage) + ", must be in (0, 1)");
    require(per_basin >= 1, "calibration_options",
            "per_basin is " + std::to_string(per_basin) + ", must be at least 1");
  }
};

/// Whole counts from `lower` to `upper`, both included. Of a random set with exact coverage none
/// may be in it; then upper < lower.
struct count_interval {
  double lower = 0;  ///< at least 0
  double upper = std::numeric_limits<double>::infinity();

  [[nodiscard]] bool contains(index_t t) const {
    return lower <= static_cast<double>(t) && static_cast<double>(t) <= upper;
  }
  /// Number of counts in it.
  [[nodiscard]] double width() const { return std::max(0.0, upper - lower + 1); }
};

/// Split-conformal intervals (Papadopoulos et al. 2002; Vovk, Gammerman and Shafer 2005). Of each
/// calibrating start the score log((T + u) / (T̂ + 1/2)) is kept, T the true count, T̂ the predicted
/// one, u uniform in (0, 1): counts tie, and the draw makes ranks smooth, as the smoothed p-value
/// does. A new start's count lies between the quantiles of the scores with probability exactly
/// `stated(group)`, whatever the predictor is worth, if its start and the calibrating ones are
/// exchangeable: drawn alike, and none used in training. The draws of the calibration are part of
/// that probability: over other draws of n calibrating starts the coverage of one calibration
/// varies as a beta distribution, see `coverage_range`.
///
/// Attractors with too few starts for quantiles of their own share one pool, and what is stated
/// then holds of its starts together, not of each attractor. A pool of too few starts, fewer
/// than 9 for 90 %, says nothing: its intervals are infinite; fewer than 19 bound one side.
class Calibration {
 public:
  /// @param said of the calibrating starts
  /// @param truth of the same; those that did not finish are censored: their score is taken for
  ///   infinite above and for that of the iterations taken below
  /// @throws size_error unless the sizes agree; argument_error if a setting is out of its range
  Calibration(const Predictions& said, const IterationCounts& truth,
              const calibration_options& options)
      : options_(options) {
    options_.check();
    require_size("calibrate", "number of counts", truth.size(), said.size());
    std::map<index_t, scores> groups;
    for (index_t j = 0; j < said.size(); ++j) {
      if (!said[j].iterations) continue;
      const auto at = static_cast<std::size_t>(j);
      scores& group = groups[said[j].attractor];
      const double score = std::log(static_cast<double>(truth.iterations[at]) + draw(0, j)) -
                           std::log(*said[j].iterations + 0.5);
      group.low.push_back(score);
      group.high.push_back(truth.finished[at] ? score : std::numeric_limits<double>::infinity());
    }
    scores rest;
    for (auto& [c, group] : groups) {
      if (static_cast<index_t>(group.low.size()) >= options_.per_basin) {
        own_[c] = quantiles_of(group);
      } else {
        append(rest, group);
      }
    }
    rest_ = quantiles_of(rest);
  }

  /// Intervals of new starts; {0, infinity} where there is no prediction. The draws are those of
  /// the place in the batch plus `first`, in a stream of their own.
  [[nodiscard]] std::vector<count_interval> intervals(const Predictions& said,
                                                      index_t first = 0) const {
    std::vector<count_interval> found(said.starts.size());
    for (index_t j = 0; j < said.size(); ++j) {
      if (!said[j].iterations) continue;
      const auto own = own_.find(said[j].attractor);
      const quantiles& q = own == own_.end() ? rest_ : own->second;
      const double center = *said[j].iterations + 0.5;
      const double u = draw(1, first + j);
      count_interval& interval = found[static_cast<std::size_t>(j)];
      interval.lower = std::max(0.0, std::ceil(center * std::exp(q.low) - u));
      interval.upper = std::floor(center * std::exp(q.high) - u);
    }
    return found;
  }

  /// The exact probability that the count of a new start of this predicted attractor is covered,
  /// before the calibrating starts are drawn: the wanted one up to 2 / (n + 1). Without a
  /// calibration of its own, that of a new start of all attractors in the pool.
  [[nodiscard]] double stated(index_t attractor = -1) const {
    const auto own = own_.find(attractor);
    return (own == own_.end() ? rest_ : own->second).coverage;
  }
  /// Whether this predicted attractor has a calibration of its own.
  [[nodiscard]] bool has_own(index_t attractor) const { return own_.contains(attractor); }

 private:
  struct scores {
    std::vector<double> low, high;
  };
  struct quantiles {
    double low = -std::numeric_limits<double>::infinity();
    double high = std::numeric_limits<double>::infinity();
    double coverage = 1;
  };

  [[nodiscard]] double draw(index_t kind, index_t j) const {
    return uniform_from_word<double>(options_.random.word(kind, j));
  }
  static void append(scores& to, const scores& from) {
    to.low.insert(to.low.end(), from.low.begin(), from.low.end());
    to.high.insert(to.high.end(), from.high.begin(), from.high.end());
  }
  [[nodiscard]] quantiles quantiles_of(scores of) const {
    std::sort(of.low.begin(), of.low.end());
    std::sort(of.high.begin(), of.high.end());
    const auto n = static_cast<index_t>(of.low.size());
    const double ranks = static_cast<double>(n + 1);
    const double miss = (1 - options_.coverage) / 2;
    // Together the ranks leave out as near to 1 - coverage as whole ranks do.
    const auto low = static_cast<index_t>(std::floor(ranks * miss + 1e-9));
    const auto high = static_cast<index_t>(
        std::ceil(static_cast<double>(low) + ranks * options_.coverage - 1e-9));
    quantiles q;
    if (low >= 1) q.low = of.low[static_cast<std::size_t>(low - 1)];
    if (high <= n) q.high = of.high[static_cast<std::size_t>(high - 1)];
    q.coverage = static_cast<double>(std::min(high, n + 1) - low) / ranks;
    return q;
  }

  calibration_options options_;
  std::map<index_t, quantiles> own_;
  quantiles rest_;
};

/// Calibrates a predictor on starts whose true counts are known.
/// @param ready of `prepare`
/// @param points k × n, the starts of `truth`
/// @throws as `Calibration`
/// Cost: that of the predictions; they are added to `evaluations` where it is given.
///
/// @code
/// #include <cmath>
/// #include <iostream>
///
/// #include <basin/convergence/calibrate.hpp>
/// #include <basin/convergence/predictors/koenigs.hpp>
/// #include <basin/map/differentiable.hpp>
///
/// int main() {
///   auto map = basin::differentiable<1>([](const auto& z, auto& f) {
///     using std::cos;
///     f[0] = cos(z[0]);
///   });
///   const basin::cpu<double> cpu;
///   const Eigen::MatrixXd end = Eigen::MatrixXd::Constant(1, 1, 0.7390851332151607);
///   const basin::prediction_task task{basin::with_spectra(cpu, map, end)};
///   auto ready = basin::prepare(cpu, map, basin::koenigs{.steps = 2}, task);
///   const Eigen::MatrixXd sample = Eigen::MatrixXd::Random(1, 500);
///   const auto truth = basin::count_iterations(cpu, map, task, sample);
///   const auto calibration = basin::calibrate(ready, sample, truth);
///   const auto said = ready.predict(Eigen::MatrixXd::Constant(1, 1, 0.2));
///   const auto interval = calibration.intervals(said)[0];
///   std::cout << *said[0].iterations << " in [" << interval.lower << ", " << interval.upper
///             << "]\n";
/// }
/// @endcode
template <class Ready>
[[nodiscard]] Calibration calibrate(Ready& ready, const Eigen::Ref<const Eigen::MatrixXd>& points,
                                    const IterationCounts& truth,
                                    const calibration_options& options = {},
                                    index_t* evaluations = nullptr) {
  const Predictions said = ready.predict(points);
  if (evaluations != nullptr) *evaluations += said.evaluations;
  return Calibration(said, truth, options);
}

/// The constant predictor: the median of the true counts of a sample for every start. What a
/// predictor's intervals are compared with.
[[nodiscard]] inline Predictions constant_predictions(const IterationCounts& sample, index_t n) {
  Predictions said(n);
  if (sample.size() == 0) return said;
  std::vector<index_t> counts = sample.iterations;
  const auto middle = counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2);
  std::nth_element(counts.begin(), middle, counts.end());
  for (prediction& p : said.starts) p = prediction::of(static_cast<double>(*middle), -1);
  return said;
}

/// The range in which the number covered among `tested` new starts lies with probability `level`,
/// for intervals of n calibrating starts that cover (n + 1) coverage of n + 1 ranks: the
/// beta-binomial distribution with these and the other ranks (Vovk 2012), cut evenly at both ends.
/// @return least and largest share of `tested`
/// @throws argument_error unless coverage and level lie in (0, 1) and the numbers are at least 1
[[nodiscard]] inline std::pair<double, double> coverage_range(index_t n, index_t tested,
                                                              double coverage,
                                                              double level = 0.999) {
  require(n >= 1 && tested >= 1, "coverage_range",
          "numbers of starts are " + std::to_string(n) + " and " + std::to_string(tested) +
              ", must be at least 1");
  require(coverage > 0 && coverage < 1 && level > 0 && level < 1, "coverage_range",
          "coverage is " + std::to_string(coverage) + " and level " + std::to_string(level) +
              ", must be in (0, 1)");
  const double a = coverage * static_cast<double>(n + 1);
  const double b = static_cast<double>(n + 1) - a;
  const auto m = static_cast<double>(tested);
  const double all = std::lgamma(m + 1) + std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) -
                     std::lgamma(m + a + b);
  const auto probability = [&](index_t hits) {
    const auto x = static_cast<double>(hits);
    return std::exp(all - std::lgamma(x + 1) - std::lgamma(m - x + 1) + std::lgamma(x + a) +
                    std::lgamma(m - x + b));
  };
  const double cut = (1 - level) / 2;
  index_t low = 0, high = tested;
  for (double sum = probability(0); sum <= cut && low < tested; sum += probability(low)) ++low;
  for (double sum = probability(tested); sum <= cut && high > 0; sum += probability(high)) --high;
  return {static_cast<double>(low) / m, static_cast<double>(high) / m};
}

}  // namespace basin
