/// @file
/// How foreign samples are by which basin they are in and how long they take to its attractor.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/convergence/predictor.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// Counts of iterations that are known, in the form of predictions.
/// @param attractors of each start its attractor, or -1
/// @throws size_error unless there are as many of both
[[nodiscard]] inline Predictions known_counts(const std::vector<index_t>& iterations,
                                              const std::vector<index_t>& attractors) {
  require_size("known_counts", "number of attractors", static_cast<index_t>(attractors.size()),
               static_cast<index_t>(iterations.size()));
  Predictions said(static_cast<index_t>(iterations.size()));
  for (std::size_t j = 0; j < iterations.size(); ++j) {
    said.starts[j] = prediction::of(static_cast<double>(iterations[j]), attractors[j]);
  }
  return said;
}

/// The two questions of the paper's section 4.2: does a sample share a basin with the references,
/// and if so, does it reach the attractor as fast as they do? The score is
///
///   -log P(basin) - log P(speed | basin),
///
/// P(basin) = (n_b + 1) / (n + B + 1) for n_b of n references in this basin and B basins that they
/// are in (Laplace's rule; a basin without references has n_b = 0), and P(speed | basin) the
/// two-sided rank of the sample's count T among those of the basin: 2 min(a, b) / (n_b + 1), at
/// most 1, with a - 1 references as slow as T or slower and b - 1 as fast or faster. Both fast and
/// slow samples are foreign. Starts without a prediction make a basin of their own, without speed.
///
/// Counts may be predicted (`prepare`), which asks for a few evaluations a sample, or known
/// (`known_counts`). A rank has no more than (n_b + 1) / 2 values, so scores tie.
///
/// @code
/// #include <iostream>
///
/// #include <basin/ood/speed_score.hpp>
///
/// int main() {
///   const basin::SpeedScorer speed(basin::known_counts({9, 10, 11, 12, 30}, {0, 0, 0, 0, 1}));
///   std::cout << speed.score(basin::known_counts({10, 40, 30, 5}, {0, 0, 1, 2})).transpose()
///             << '\n';
/// }
/// @endcode
class SpeedScorer {
 public:
  /// @param references counts of references that are none of the samples
  /// @throws argument_error if there are none
  explicit SpeedScorer(Predictions references) : references_(std::move(references)) {
    require(references_.size() > 0, "SpeedScorer", "there are no references");
    for (const prediction& p : references_.starts) {
      std::vector<double>& counts = basins_[basin_of(p)];
      counts.push_back(p.iterations ? *p.iterations : 0);
    }
    for (auto& [basin, counts] : basins_) std::sort(counts.begin(), counts.end());
  }

  [[nodiscard]] const Predictions& references() const noexcept { return references_; }

  /// @return the higher, the more foreign
  [[nodiscard]] Eigen::VectorXd score(const Predictions& samples) const {
    Eigen::VectorXd scores(samples.size());
    const double all =
        static_cast<double>(references_.size()) + static_cast<double>(basins_.size()) + 1;
    for (index_t j = 0; j < samples.size(); ++j) {
      const auto basin = basins_.find(basin_of(samples[j]));
      if (basin == basins_.end()) {
        scores[j] = std::log(all);
        continue;
      }
      const std::vector<double>& counts = basin->second;
      const double ranks = static_cast<double>(counts.size()) + 1;
      scores[j] = std::log(all / ranks);
      if (!samples[j].iterations) continue;
      const double t = *samples[j].iterations;
      const auto slower = counts.end() - std::lower_bound(counts.begin(), counts.end(), t);
      const auto faster = std::upper_bound(counts.begin(), counts.end(), t) - counts.begin();
      scores[j] -=
          std::log(std::min(1.0, 2 * static_cast<double>(std::min(slower, faster) + 1) / ranks));
    }
    return scores;
  }

 private:
  /// -1 is a start that reached no attractor that is known, -2 one without a prediction.
  [[nodiscard]] static index_t basin_of(const prediction& p) {
    return p.iterations ? std::max<index_t>(p.attractor, -1) : -2;
  }

  Predictions references_;
  std::map<index_t, std::vector<double>> basins_;
};

}  // namespace basin
