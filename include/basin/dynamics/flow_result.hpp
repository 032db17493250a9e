/// @file
/// What a flow gives back.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include <basin/core/index.hpp>
#include <basin/dynamics/flow_status.hpp>

namespace basin {

/// The end of every start, in the order of the starts.
template <class Backend>
struct FlowResult {
  using scalar = typename Backend::scalar;

  /// k × N, in the backend's memory.
  typename Backend::matrix states;
  /// ‖f(z) - z‖₂ at exactly this state. NaN where f(z) is not finite or was never evaluated.
  std::vector<scalar> residual;
  std::vector<double> time;          ///< of the flow, at the state
  std::vector<index_t> accepted;     ///< steps taken
  std::vector<index_t> rejected;     ///< steps taken again: for their error, or to locate an event
  std::vector<index_t> evaluations;  ///< of f for this column
  std::vector<index_t> products;     ///< with the Jacobian of f for this column
  std::vector<flow_status> status;
  std::vector<index_t> attractor;  ///< the column of `flow_stopping::attractors` that captured; -1

  [[nodiscard]] index_t size() const noexcept { return static_cast<index_t>(status.size()); }

  /// Number of columns that ended in each status, indexed by status.
  [[nodiscard]] std::array<index_t, flow_status_count> counts() const {
    std::array<index_t, flow_status_count> n{};
    for (const flow_status s : status) ++n[static_cast<std::size_t>(s)];
    return n;
  }
  /// Number of columns that ended as s.
  [[nodiscard]] index_t count(flow_status s) const {
    return static_cast<index_t>(std::count(status.begin(), status.end(), s));
  }
};

}  // namespace basin
