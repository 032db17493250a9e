// Which starts end at the same limit: a fixed point, or a cycle as a whole.
#pragma once

#include <algorithm>
#include <vector>

#include "systems.hpp"

namespace explore {

// A distinct limit, or a status that has none.
struct limit {
  basin::status status;
  index_t period = 0;
  Eigen::MatrixXd orbit;  // k × period; empty where the status has no limit
  std::vector<index_t> starts;
  index_t least_iterations = 0, median_iterations = 0, most_iterations = 0;
  double worst_residual = 0;
};

// Groups the starts by their limits, the most frequent first. Two limits are one if they
// are of one kind and closer than `distance`.
inline std::vector<limit> find_limits(const backend& be, const map_system& system,
                                      const result& found, double distance) {
  std::vector<limit> limits;
  for (index_t j = 0; j < found.size(); ++j) {
    const auto i = static_cast<std::size_t>(j);
    const bool has_limit = found.period[i] > 0;
    const auto same = [&](const limit& l) {
      if (l.status != found.status[i] || l.period != found.period[i]) return false;
      return !has_limit ||
             (l.orbit.colwise() - found.states.col(j)).colwise().norm().minCoeff() <= distance;
    };
    auto at = std::find_if(limits.begin(), limits.end(), same);
    if (at == limits.end()) {
      limit fresh;
      fresh.status = found.status[i];
      fresh.period = found.period[i];
      if (has_limit) {
        fresh.orbit.resize(system.k, found.period[i]);
        fresh.orbit.col(0) = found.states.col(j);
        for (index_t p = 1; p < fresh.period; ++p) {
          fresh.orbit.col(p) = system.step(be, fresh.orbit.col(p - 1));
        }
      }
      limits.push_back(std::move(fresh));
      at = limits.end() - 1;
    }
    at->starts.push_back(j);
  }
  for (limit& l : limits) {
    std::vector<index_t> iterations;
    for (const index_t j : l.starts) {
      iterations.push_back(found.iterations[static_cast<std::size_t>(j)]);
      // The comparison is false for NaN, which says nothing about the others.
      const double residual = found.residual[static_cast<std::size_t>(j)];
      if (residual > l.worst_residual) l.worst_residual = residual;
    }
    std::sort(iterations.begin(), iterations.end());
    l.least_iterations = iterations.front();
    l.median_iterations = iterations[iterations.size() / 2];
    l.most_iterations = iterations.back();
  }
  std::sort(limits.begin(), limits.end(), [](const limit& a, const limit& b) {
    return a.status != b.status ? a.status < b.status : a.starts.size() > b.starts.size();
  });
  return limits;
}

}  // namespace explore
