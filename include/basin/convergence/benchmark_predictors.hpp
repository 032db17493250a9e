/// @file
/// Predictors of iteration counts against the truth, side by side.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <basin/convergence/calibrate.hpp>
#include <basin/convergence/predictor.hpp>

namespace basin {

/// Settings of `benchmark_predictors`.
struct predictor_benchmark_options {
  calibration_options calibration = {};
  /// Also asks predictors by a formula what they say where the attractor is told, as the paper's
  /// figure does: `pearson_told`, against the counts of the error.
  bool told = true;

  /// @throws argument_error if a setting is out of its range
  void check() const { calibration.check(); }
};

/// How one predictor did. Correlations are of the test starts with a prediction that finished;
/// NaN where there are fewer than three, or all are equal.
struct PredictorScore {
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

  std::string name;
  double pearson = unknown;
  /// Of the deviations from the means of each true basin.
  double pearson_within_basin = unknown;
  double spearman = unknown;               ///< by mean ranks where counts tie
  double median_relative_error = unknown;  ///< of |T̂ - T| / max(T, 1)
  double labels_right = unknown;  ///< share of all test starts whose attractor is predicted
  double coverage = unknown;      ///< share of the predicted starts inside their intervals
  double median_width = unknown;  ///< counts in an interval
  /// What `median_width` is of the constant predictor, calibrated alike.
  double constant_width = unknown;
  index_t predicted = 0;                      ///< test starts with a prediction
  std::map<not_applicable, index_t> reasons;  ///< of those without
  /// Evaluations on the test starts, of the preparation and of the calibration with its truth.
  index_t evaluations = 0;
  /// These by the evaluations that iterating all test starts takes.
  double evaluations_share = unknown;
  /// Where the attractor is told, against the least t with ‖z_t - z*‖ <= the rule's tolerance:
  /// of predictors by a formula alone. Figure 11 of Fumero et al. (2025) has 0.67.
  double pearson_told = unknown;
  Predictions predictions;                ///< of the test starts
  std::vector<count_interval> intervals;  ///< of these; empty without calibrating starts
};

/// What a comparison gives.
struct PredictorBenchmark {
  std::vector<PredictorScore> scores;  ///< in the order of the predictors
  IterationCounts truth;               ///< of the test starts
  index_t evaluations = 0;             ///< of Picard's iteration on the test starts
};

/// Pearson's correlation of two samples; NaN for fewer than three or where one is constant.
/// @throws size_error unless they are of one size
[[nodiscard]] inline double pearson_correlation(const std::vector<double>& a,
                                                const std::vector<double>& b) {
  require_size("pearson_correlation", "size of b", static_cast<index_t>(b.size()),
               static_cast<index_t>(a.size()));
  if (a.size() < 3) return std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<index_t>(a.size());
  const Eigen::Map<const Eigen::VectorXd> x(a.data(), n), y(b.data(), n);
  if (x.maxCoeff() == x.minCoeff() || y.maxCoeff() == y.minCoeff()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  // Scaled before squares are taken.
  const Eigen::VectorXd dx = (x.array() - x.mean()).matrix().stableNormalized();
  const Eigen::VectorXd dy = (y.array() - y.mean()).matrix().stableNormalized();
  return dx.dot(dy);
}

/// Ranks from 0, ties at their mean.
[[nodiscard]] inline std::vector<double> mean_ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (std::size_t l = i; l < end; ++l) ranks[order[l]] = static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return ranks;
}

/// Spearman's correlation: Pearson's of the ranks.
[[nodiscard]] inline double spearman_correlation(const std::vector<double>& a,
                                                 const std::vector<double>& b) {
  return pearson_correlation(mean_ranks(a), mean_ranks(b));
}

namespace detail {

inline double median_of(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// Correlations, errors and labels of predictions against the truth.
inline void compare_counts(const IterationCounts& truth, PredictorScore& score) {
  std::vector<double> said, is, relative;
  std::vector<index_t> basin;
  index_t right = 0;
  for (index_t j = 0; j < truth.size(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    const prediction& p = score.predictions[j];
    right += p.attractor >= 0 && p.attractor == truth.attractor[at];
    if (!p.iterations) {
      ++score.reasons[p.reason];
      continue;
    }
    ++score.predicted;
    if (!truth.finished[at]) continue;
    said.push_back(*p.iterations);
    is.push_back(static_cast<double>(truth.iterations[at]));
    relative.push_back(std::abs(said.back() - is.back()) / std::max(is.back(), 1.0));
    basin.push_back(truth.attractor[at]);
  }
  if (truth.size() > 0) {
    score.labels_right = static_cast<double>(right) / static_cast<double>(truth.size());
  }
  score.pearson = pearson_correlation(said, is);
  score.spearman = spearman_correlation(said, is);
  score.median_relative_error = median_of(relative);
  struct mean {
    double said = 0, is = 0, n = 0;
  };
  std::map<index_t, mean> means;
  for (std::size_t i = 0; i < said.size(); ++i) {
    mean& m = means[basin[i]];
    m.said += said[i];
    m.is += is[i];
    m.n += 1;
  }
  for (std::size_t i = 0; i < said.size(); ++i) {
    const mean& m = means[basin[i]];
    said[i] -= m.said / m.n;
    is[i] -= m.is / m.n;
  }
  score.pearson_within_basin = pearson_correlation(said, is);
}

inline double median_width_of(const Predictions& said, const std::vector<count_interval>& all) {
  std::vector<double> widths;
  for (index_t j = 0; j < said.size(); ++j) {
    if (said[j].iterations) widths.push_back(all[static_cast<std::size_t>(j)].width());
  }
  return median_of(widths);
}

/// The least t with ‖z_t - z*‖ <= tolerance; -1 where the rule's iterations do not suffice.
template <class B, class Map>
[[nodiscard]] std::vector<index_t> error_counts(const B& be, Map& map, const prediction_task& task,
                                                const Eigen::MatrixXd& points,
                                                const std::vector<index_t>& attractors) {
  std::vector<index_t> counts(attractors.size(), -1), active;
  for (std::size_t j = 0; j < attractors.size(); ++j) {
    if (attractors[j] >= 0) active.push_back(static_cast<index_t>(j));
  }
  Eigen::MatrixXd Z(points.rows(), static_cast<index_t>(active.size()));
  for (std::size_t i = 0; i < active.size(); ++i) {
    Z.col(static_cast<index_t>(i)) = points.col(active[i]);
  }
  Z = rounded_to<B>(Z);
  for (index_t t = 0; t <= task.rule.max_iterations && !active.empty(); ++t) {
    index_t left = 0;
    for (std::size_t i = 0; i < active.size(); ++i) {
      const index_t j = active[i];
      const index_t c = attractors[static_cast<std::size_t>(j)];
      const double away = (Z.col(static_cast<index_t>(i)) - task.known.centers.col(c)).norm();
      if (away <= task.tolerance_at(c)) {
        counts[static_cast<std::size_t>(j)] = t;
        continue;
      }
      active[static_cast<std::size_t>(left)] = j;
      Z.col(left++) = Z.col(static_cast<index_t>(i));
    }
    active.resize(static_cast<std::size_t>(left));
    Z.conservativeResize(Eigen::NoChange, left);
    Z = values_at(be, map, Z);
  }
  return counts;
}

}  // namespace detail

/// Compares predictors on one map: each is prepared, calibrated on `calibrating` and asked about
/// `test`, whose truth is found by iterating to the end.
///
/// Evaluations are all-in: preparation (with training), predictions, and, where there are
/// calibrating starts, their true counts and predictions; the attractors themselves are not
/// counted. `evaluations_share` is that over the evaluations of Picard's iteration on the test.
/// @param task the attractors, the rule, and training starts for those that learn
/// @param calibrating k × n starts; none: no intervals
/// @param test k × n starts. All three sets should be drawn alike and share no start
/// @param predictors any number, see predictor.hpp
/// @throws size_error or argument_error where sizes or settings do not fit
/// Cost: all iterations of the test and calibrating starts, and the predictors' own.
///
/// @code
/// #include <iostream>
///
/// #include <basin/convergence/benchmark_predictors.hpp>
/// #include <basin/convergence/predictors/formulas.hpp>
/// #include <basin/convergence/predictors/leap.hpp>
/// #include <basin/convergence/predictors/sampled_map.hpp>
/// #include <basin/map/differentiable.hpp>
///
/// int main() {
///   auto map = basin::differentiable<2>([](const auto& z, auto& f) {
///     using std::tanh;
///     f[0] = tanh(1.2 * z[0] - 0.3 * z[1]);
///     f[1] = tanh(0.9 * z[1] + 0.3 * z[0] * z[0]);
///   });
///   const basin::cpu<double> cpu;
///   basin::FixedPointSolver solver{map, basin::picard{}, basin::stopping{.residual = 1e-12}};
///   Eigen::MatrixXd ends(2, 2);
///   ends << 0.9, -0.5, 0.5, 0.5;
///   const Eigen::MatrixXd centers = solver.solve(cpu, ends).states;
///   const basin::prediction_task task{basin::with_spectra(cpu, map, centers)};
///   const Eigen::MatrixXd starts = 2 * Eigen::MatrixXd::Random(2, 400);
///   const auto found = basin::benchmark_predictors(
///       cpu, map, task, starts.leftCols(100), starts.rightCols(300), {}, basin::paper_formula{},
///       basin::leap{}, basin::sampled_map{});
///   for (const auto& s : found.scores) {
///     std::cout << s.name << ": Pearson " << s.pearson << ", coverage " << s.coverage << ", "
///               << 100 * s.evaluations_share << " % of the evaluations\n";
///   }
/// }
/// @endcode
template <basin::backend B, class Map, class... P>
  requires(predictor<P, B, Map> && ...)
[[nodiscard]] PredictorBenchmark benchmark_predictors(
    const B& be, Map& map, const prediction_task& task,
    const Eigen::Ref<const Eigen::MatrixXd>& calibrating,
    const Eigen::Ref<const Eigen::MatrixXd>& test, const predictor_benchmark_options& options,
    const P&... predictors) {
  options.check();
  PredictorBenchmark found;
  found.truth = count_iterations(be, map, task, test);
  found.evaluations = found.truth.evaluations;
  IterationCounts sample;
  double constant_width = PredictorScore::unknown;
  if (calibrating.cols() > 0) {
    sample = count_iterations(be, map, task, calibrating);
    const Calibration constant(constant_predictions(sample, sample.size()), sample,
                               options.calibration);
    const Predictions same = constant_predictions(sample, test.cols());
    constant_width = detail::median_width_of(same, constant.intervals(same));
  }
  std::vector<index_t> of_error;  // found once, where it is asked for
  const auto score_of = [&](const auto& settings) {
    PredictorScore score;
    score.name = settings.name();
    auto ready = prepare(be, map, settings, task);
    score.predictions = ready.predict(test);
    score.evaluations = ready.preparation() + score.predictions.evaluations;
    detail::compare_counts(found.truth, score);
    if (sample.size() > 0) {
      const Calibration calibration =
          calibrate(ready, calibrating, sample, options.calibration, &score.evaluations);
      score.evaluations += sample.evaluations;
      score.intervals = calibration.intervals(score.predictions);
      index_t covered = 0;
      for (index_t j = 0; j < test.cols(); ++j) {
        const auto at = static_cast<std::size_t>(j);
        if (!score.predictions[j].iterations) continue;
        const count_interval& interval = score.intervals[at];
        covered += found.truth.finished[at] ? interval.contains(found.truth.iterations[at])
                                            : std::isinf(interval.upper);
      }
      if (score.predicted > 0) {
        score.coverage = static_cast<double>(covered) / static_cast<double>(score.predicted);
      }
      score.median_width = detail::median_width_of(score.predictions, score.intervals);
      score.constant_width = constant_width;
    }
    if (found.evaluations > 0) {
      score.evaluations_share =
          static_cast<double>(score.evaluations) / static_cast<double>(found.evaluations);
    }
    if constexpr (requires { ready.predict(test, found.truth.attractor); }) {
      if (options.told) {
        if (of_error.empty()) {
          of_error = detail::error_counts(be, map, task, test, found.truth.attractor);
        }
        const Predictions told = ready.predict(test, found.truth.attractor);
        std::vector<double> said, is;
        for (index_t j = 0; j < told.size(); ++j) {
          const index_t t = of_error[static_cast<std::size_t>(j)];
          if (!told[j].iterations || t < 0) continue;
          said.push_back(*told[j].iterations);
          is.push_back(static_cast<double>(t));
        }
        score.pearson_told = pearson_correlation(said, is);
      }
    }
    found.scores.push_back(std::move(score));
  };
  (score_of(predictors), ...);
  return found;
}

}  // namespace basin
