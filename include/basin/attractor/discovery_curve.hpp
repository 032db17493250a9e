/// @file
/// How many attractors so many starts find.
#pragma once

#include <algorithm>
#include <set>
#include <span>
#include <vector>

#include <basin/attractor/unseen.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// Expected number of attractors that a random part of the sample, of `size` starts, meets:
/// Σ_j (1 - C(n - c_j, size) / C(n, size)) (Hurlbert 1971).
/// @throws argument_error unless 0 <= size <= n
/// Cost: at most min(c, size) products for each different count c, few where either is large.
[[nodiscard]] inline double rarefaction(const Encounters& sample, index_t size) {
  const index_t n = sample.starts();
  require(size >= 0 && size <= n, "rarefaction", "size must lie between 0 and the starts");
  double expected = 0;
  for (const auto& [count, attractors] : sample.attractors_with()) {
    // C(n - c, m) / C(n, m) is the same in c and m.
    const index_t fewer = std::min(count, size), more = std::max(count, size);
    double missed = 1;
    for (index_t i = 0; i < fewer && missed > 1e-18; ++i) {
      missed *=
          static_cast<double>(std::max<index_t>(n - more - i, 0)) / static_cast<double>(n - i);
    }
    expected += static_cast<double>(attractors) * (1 - missed);
  }
  return expected;
}

/// Number of different attractors among the first j + 1 starts, at j.
/// @param labels attractor of each start in their order; negative: none
/// Cost: O(n log M).
[[nodiscard]] inline std::vector<index_t> discovery_curve(std::span<const index_t> labels) {
  std::set<index_t> met;
  std::vector<index_t> curve;
  curve.reserve(labels.size());
  for (const index_t label : labels) {
    if (label >= 0) met.insert(label);
    curve.push_back(static_cast<index_t>(met.size()));
  }
  return curve;
}

}  // namespace basin
