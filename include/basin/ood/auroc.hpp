/// @file
/// How well a score tells foreign samples from familiar ones: the area under the ROC curve, and
/// the false positive rate at a true positive rate, with their confidence intervals.
///
/// Scores are of foreignness: the higher, the more foreign. In all functions the foreign samples
/// (out of distribution) come first, the familiar ones (in distribution) second.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>
#include <basin/core/normal.hpp>
#include <basin/core/random.hpp>

namespace basin {

/// Which class a true positive is of. The area under the ROC curve is the same for both, the
/// false positive rate at a true positive rate is not.
enum class positive_class : std::uint8_t {
  /// FPR95 is the share of foreign samples that pass where 95 % of the familiar ones do: the
  /// convention of the paper (Fumero et al. 2025, section 4.2) and of ODIN (Liang et al. 2018).
  in_distribution,
  /// FPR95 is the share of familiar samples that are refused where 95 % of the foreign ones are:
  /// the convention of OpenOOD (Yang et al. 2022).
  out_of_distribution,
};

/// A number with its standard error and a confidence interval.
struct confidence_interval {
  double value = std::numeric_limits<double>::quiet_NaN();
  double error = std::numeric_limits<double>::quiet_NaN();  ///< standard error, 1 σ
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
};

/// Settings of the bootstrap.
struct bootstrap_options {
  double confidence = 0.95;   ///< of the interval, in (0, 1)
  index_t resamples = 2000;   ///< at least 100
  random_stream random = {};  ///< what is drawn

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(confidence > 0 && confidence < 1, "bootstrap_options",
            "confidence is " + std::to_string(confidence) + ", must be in (0, 1)");
    require(resamples >= 100, "bootstrap_options",
            "resamples is " + std::to_string(resamples) + ", must be at least 100");
  }
};

/// A threshold and what it does. Samples whose score equals the threshold are on one side.
struct operating_point {
  /// A score of the positive class. Positive is, with `out_of_distribution`, a score of at least
  /// this; with `in_distribution` one of at most this.
  double threshold = 0;
  index_t true_positives = 0;
  index_t false_positives = 0;
  double tpr = 0;
  double fpr = 0;
};

namespace detail {

/// The distinct scores of two classes, ascending, with the number of samples at each.
class ScoreGroups {
 public:
  using scores = Eigen::Ref<const Eigen::VectorXd>;

  /// @throws argument_error if a class is empty or a score is not finite
  ScoreGroups(const char* where, const scores& out, const scores& in) {
    struct sample {
      double score;
      bool foreign;
      index_t place;
    };
    std::vector<sample> all;
    all.reserve(static_cast<std::size_t>(out.size() + in.size()));
    for (const bool foreign : {true, false}) {
      const scores& of = foreign ? out : in;
      const std::string name = foreign ? "foreign" : "familiar";
      require(of.size() > 0, where, "there are no " + name + " samples");
      for (index_t i = 0; i < of.size(); ++i) {
        require(is_finite(of[i]), where,
                "the score of " + name + " sample " + std::to_string(i) + " is not finite");
        all.push_back({of[i], foreign, i});
      }
    }
    std::sort(all.begin(), all.end(),
              [](const sample& a, const sample& b) { return a.score < b.score; });
    group_of_out.resize(static_cast<std::size_t>(out.size()));
    group_of_in.resize(static_cast<std::size_t>(in.size()));
    for (const sample& s : all) {
      if (values.empty() || s.score != values.back()) {
        values.push_back(s.score);
        count_out.push_back(0);
        count_in.push_back(0);
      }
      ++(s.foreign ? count_out : count_in).back();
      (s.foreign ? group_of_out : group_of_in)[static_cast<std::size_t>(s.place)] =
          static_cast<index_t>(values.size()) - 1;
    }
  }

  [[nodiscard]] index_t outs() const { return static_cast<index_t>(group_of_out.size()); }
  [[nodiscard]] index_t ins() const { return static_cast<index_t>(group_of_in.size()); }

  [[nodiscard]] double auroc() const {
    // Twice the pairs that are in order, exactly.
    std::int64_t twice = 0, below = 0;
    for (std::size_t g = 0; g < values.size(); ++g) {
      twice += count_out[g] * (2 * below + count_in[g]);
      below += count_in[g];
    }
    return static_cast<double>(twice) /
           (2 * static_cast<double>(outs()) * static_cast<double>(ins()));
  }

  [[nodiscard]] operating_point at(positive_class positive, double tpr) const {
    const bool foreign = positive == positive_class::out_of_distribution;
    const std::vector<index_t>& of_positive = foreign ? count_out : count_in;
    const std::vector<index_t>& of_negative = foreign ? count_in : count_out;
    const auto positives = static_cast<double>(foreign ? outs() : ins());
    const auto negatives = static_cast<double>(foreign ? ins() : outs());
    operating_point point;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t g = foreign ? values.size() - 1 - i : i;
      point.threshold = values[g];
      point.true_positives += of_positive[g];
      point.false_positives += of_negative[g];
      point.tpr = static_cast<double>(point.true_positives) / positives;
      if (of_positive[g] > 0 && point.tpr >= tpr) break;
    }
    point.fpr = static_cast<double>(point.false_positives) / negatives;
    return point;
  }

  std::vector<double> values;
  std::vector<index_t> count_out, count_in;        ///< of each group
  std::vector<index_t> group_of_out, group_of_in;  ///< of each sample
};

/// Percentile interval of a statistic of the groups, each class drawn anew from itself.
template <class Statistic>
[[nodiscard]] confidence_interval bootstrap(ScoreGroups groups, const bootstrap_options& options,
                                            const Statistic& statistic) {
  options.check();
  confidence_interval found;
  found.value = statistic(groups);
  const auto draw = [&](const std::vector<index_t>& samples, std::vector<index_t>& counts,
                        index_t resample) {
    std::fill(counts.begin(), counts.end(), 0);
    philox_block words{};
    for (std::size_t i = 0; i < samples.size(); ++i) {
      if (i % 4 == 0) {
        words = options.random.words(static_cast<std::uint32_t>(i / 4),
                                     static_cast<std::uint64_t>(resample));
      }
      const std::uint64_t chosen = (std::uint64_t{words[i % 4]} * samples.size()) >> 32;
      ++counts[static_cast<std::size_t>(samples[static_cast<std::size_t>(chosen)])];
    }
  };
  std::vector<double> drawn(static_cast<std::size_t>(options.resamples));
  for (index_t b = 0; b < options.resamples; ++b) {
    draw(groups.group_of_out, groups.count_out, 2 * b);
    draw(groups.group_of_in, groups.count_in, 2 * b + 1);
    drawn[static_cast<std::size_t>(b)] = statistic(groups);
  }
  double sum = 0, squares = 0;
  for (const double x : drawn) sum += x;
  const auto n = static_cast<double>(options.resamples);
  for (const double x : drawn) squares += (x - sum / n) * (x - sum / n);
  found.error = std::sqrt(squares / (n - 1));
  std::sort(drawn.begin(), drawn.end());
  const auto cut = std::min(static_cast<std::size_t>((1 - options.confidence) / 2 * (n + 1)),
                            (drawn.size() - 1) / 2);
  found.low = drawn[cut == 0 ? 0 : cut - 1];
  found.high = drawn[drawn.size() - std::max<std::size_t>(cut, 1)];
  return found;
}

inline void require_rate(const char* where, double tpr) {
  require(tpr > 0 && tpr <= 1, where,
          "the true positive rate is " + std::to_string(tpr) + ", must be in (0, 1]");
}

}  // namespace detail

/// The area under the ROC curve: the probability that a foreign sample scores higher than a
/// familiar one, ties one half (Mann and Whitney 1947). 0.5 where all scores are equal. The count
/// of pairs is exact.
/// @param out scores of the foreign samples
/// @param in scores of the familiar samples
/// @throws argument_error if a class is empty or a score is not finite
/// Cost: O(n log n), n the number of all samples.
///
/// @code
/// #include <iostream>
///
/// #include <basin/ood/auroc.hpp>
///
/// int main() {
///   const Eigen::VectorXd familiar = Eigen::VectorXd::LinSpaced(100, 0, 1);
///   const Eigen::VectorXd foreign = Eigen::VectorXd::LinSpaced(50, 0.5, 2);
///   const auto area = basin::auroc_delong(foreign, familiar);
///   std::cout << "AUROC " << area.value << " in [" << area.low << ", " << area.high << "]\n";
///   const auto point = basin::operating_point_at(foreign, familiar,
///                                                basin::positive_class::in_distribution, 0.95);
///   std::cout << point.fpr << " of the foreign samples score at most " << point.threshold
///             << ", as do " << point.tpr << " of the familiar ones\n";
/// }
/// @endcode
[[nodiscard]] inline double auroc(const Eigen::Ref<const Eigen::VectorXd>& out,
                                  const Eigen::Ref<const Eigen::VectorXd>& in) {
  return detail::ScoreGroups("auroc", out, in).auroc();
}

/// The area with the interval of DeLong, DeLong and Clarke-Pearson (Biometrics 1988): normal, with
/// the variance of the placements of each class in the other, cut to [0, 1]. In the order of
/// sorted scores, as Sun and Xu (2014) do it, instead of over all pairs. Where the classes are
/// wholly apart the estimated variance is 0, and the interval a point, however few they are.
/// @param confidence of the interval, in (0, 1)
/// @throws as `auroc`, and argument_error if a class has fewer than two samples
/// Cost: that of `auroc`.
[[nodiscard]] inline confidence_interval auroc_delong(const Eigen::Ref<const Eigen::VectorXd>& out,
                                                      const Eigen::Ref<const Eigen::VectorXd>& in,
                                                      double confidence = 0.95) {
  const detail::ScoreGroups groups("auroc_delong", out, in);
  require(groups.outs() >= 2 && groups.ins() >= 2, "auroc_delong",
          "each class needs two samples, there are " + std::to_string(groups.outs()) + " and " +
              std::to_string(groups.ins()));
  const double z = detail::two_sided_normal(confidence);
  confidence_interval found;
  found.value = groups.auroc();
  const auto m = static_cast<double>(groups.outs()), n = static_cast<double>(groups.ins());
  double of_out = 0, of_in = 0, below = 0, above = m;
  for (std::size_t g = 0; g < groups.values.size(); ++g) {
    const auto a = static_cast<double>(groups.count_out[g]);
    const auto b = static_cast<double>(groups.count_in[g]);
    above -= a;
    const double out_place = (below + b / 2) / n - found.value;
    const double in_place = (above + a / 2) / m - found.value;
    of_out += a * out_place * out_place;
    of_in += b * in_place * in_place;
    below += b;
  }
  found.error = std::sqrt(of_out / (m - 1) / m + of_in / (n - 1) / n);
  found.low = std::max(0.0, found.value - z * found.error);
  found.high = std::min(1.0, found.value + z * found.error);
  return found;
}

/// The area with the percentile interval of a bootstrap that draws each class from itself (Efron
/// 1979). The same seed gives the same interval.
/// @throws as `auroc`, and argument_error if a setting is out of its range
/// Cost: that of `auroc`, and n draws for each resample: 0.1 s for 2,000 resamples of 4,000.
[[nodiscard]] inline confidence_interval auroc_bootstrap(
    const Eigen::Ref<const Eigen::VectorXd>& out, const Eigen::Ref<const Eigen::VectorXd>& in,
    const bootstrap_options& options = {}) {
  return detail::bootstrap(detail::ScoreGroups("auroc_bootstrap", out, in), options,
                           [](const detail::ScoreGroups& groups) { return groups.auroc(); });
}

/// The strictest threshold at which at least the share `tpr` of the positive class is taken for
/// positive. Thresholds are scores that occur, samples with one score go together, and counts are
/// exact: nothing is interpolated.
/// @param positive the class that `tpr` is of, see `positive_class`
/// @param tpr in (0, 1]
/// @throws as `auroc`, and argument_error if the rate is out of its range
/// Cost: that of `auroc`.
[[nodiscard]] inline operating_point operating_point_at(
    const Eigen::Ref<const Eigen::VectorXd>& out, const Eigen::Ref<const Eigen::VectorXd>& in,
    positive_class positive, double tpr) {
  detail::require_rate("operating_point_at", tpr);
  return detail::ScoreGroups("operating_point_at", out, in).at(positive, tpr);
}

/// The false positive rate at that threshold: with 0.95 the FPR95 of the literature. The lower,
/// the better. Where all scores are equal it is 1.
/// @copydetails operating_point_at
[[nodiscard]] inline double fpr_at_tpr(const Eigen::Ref<const Eigen::VectorXd>& out,
                                       const Eigen::Ref<const Eigen::VectorXd>& in,
                                       positive_class positive, double tpr = 0.95) {
  detail::require_rate("fpr_at_tpr", tpr);
  return detail::ScoreGroups("fpr_at_tpr", out, in).at(positive, tpr).fpr;
}

/// The false positive rate with the percentile interval of the bootstrap of `auroc_bootstrap`: the
/// threshold is found anew in each resample, so that its own uncertainty counts. Where no sample of
/// the negative class is beyond the threshold, or all are, resamples know of nothing else; the
/// interval then reaches as far as that of Clopper and Pearson (Biometrika 1934) for 0 or n of n:
/// with 80 samples and 95 % to 0.045.
/// @throws as `fpr_at_tpr`, and argument_error if a setting is out of its range
/// Cost: as `auroc_bootstrap`.
[[nodiscard]] inline confidence_interval fpr_at_tpr_bootstrap(
    const Eigen::Ref<const Eigen::VectorXd>& out, const Eigen::Ref<const Eigen::VectorXd>& in,
    positive_class positive, double tpr = 0.95, const bootstrap_options& options = {}) {
  detail::require_rate("fpr_at_tpr_bootstrap", tpr);
  confidence_interval found = detail::bootstrap(
      detail::ScoreGroups("fpr_at_tpr_bootstrap", out, in), options,
      [&](const detail::ScoreGroups& groups) { return groups.at(positive, tpr).fpr; });
  const auto negatives =
      static_cast<double>(positive == positive_class::in_distribution ? out.size() : in.size());
  const double least = std::pow((1 - options.confidence) / 2, 1 / negatives);
  if (found.value == 0) found.high = std::max(found.high, 1 - least);
  if (found.value == 1) found.low = std::min(found.low, least);
  return found;
}

}  // namespace basin
