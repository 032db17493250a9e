/// @file
/// What a run gives back.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include <basin/core/index.hpp>
#include <basin/core/status.hpp>
#include <basin/solver/acceleration_report.hpp>

namespace basin {

/// What a run cost, in evaluations of single columns.
struct solver_work {
  index_t evaluations = 0;  ///< spent
  /// What the loop that waits for its slowest column spends more: N times the
  /// evaluations of the slowest, less those spent.
  index_t saved = 0;
};

/// How many starts of a sample end where the dynamics takes them.
struct basin_agreement {
  index_t followed = 0;         ///< starts that were iterated to the end without acceleration
  index_t agreed = 0;           ///< of those, that ended at the same place
  std::vector<index_t> others;  ///< the starts that ended elsewhere, or at no attractor
  /// Starts whose iteration has not arrived within the budget, or was stopped; not in `followed`.
  index_t undecided = 0;
  std::string failure;      ///< what the map threw meanwhile, which ends the comparison; else empty
  index_t evaluations = 0;  ///< that following them took; not among the result's
};

/// The end of every start, in the order of the starts.
template <class Backend>
struct FixedPointResult {
  using scalar = typename Backend::scalar;

  /// k × N, in the backend's memory. The residual belongs to exactly this state.
  typename Backend::matrix states;
  /// ‖f(z) - z‖₂ at the state, undamped, whatever norm the stopping rule uses. NaN
  /// where f(z) is not finite or was never evaluated.
  std::vector<scalar> residual;
  std::vector<index_t> iterations;   ///< steps taken from the start to the state
  std::vector<index_t> evaluations;  ///< of f for this column
  std::vector<basin::status> status;
  std::vector<index_t> period;  ///< of a cycle; 1 where converged; else 0
  /// What the accelerator says of each start; empty where it says nothing.
  std::vector<acceleration_report> acceleration;
  /// Of the sample that `run_options::follow` asks for.
  basin_agreement agreement;
  solver_work work;

  [[nodiscard]] index_t size() const noexcept { return static_cast<index_t>(status.size()); }

  /// Number of columns that ended in each status, indexed by status.
  [[nodiscard]] std::array<index_t, status_count> counts() const {
    std::array<index_t, status_count> n{};
    for (const basin::status s : status) ++n[static_cast<std::size_t>(s)];
    return n;
  }
  /// Number of columns that ended as s.
  [[nodiscard]] index_t count(basin::status s) const {
    return static_cast<index_t>(std::count(status.begin(), status.end(), s));
  }
};

}  // namespace basin
