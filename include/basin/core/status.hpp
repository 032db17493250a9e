/// @file
/// How a column's run ended. docs/status.md defines each status with its
/// threshold and default.
#pragma once

#include <cstdint>
#include <string_view>

#include <basin/core/host_device.hpp>

namespace basin {

/// Outcome of one column. An outcome is never an exception.
enum class status : std::uint8_t {
  running,         ///< not decided yet; never in a result
  converged,       ///< the undamped residual ‖f(z) - z‖ meets the tolerance
  stalled,         ///< bounded, no longer decreasing, no cycle and no rate found
  cycle,           ///< returns to itself after p > 1 iterations, several times over
  marginal,        ///< the measured rate of the residual is 1 within a band
  diverged,        ///< the residual grew beyond the bound, still finite
  non_finite,      ///< f(z) has a NaN or infinite entry; the last finite z is kept
  max_iterations,  ///< the budget of iterations or evaluations is spent
  cancelled,       ///< stopped by the caller
};

/// Number of statuses, for tables indexed by status.
inline constexpr int status_count = 9;

/// The name of a status as in the enumeration.
[[nodiscard]] constexpr std::string_view to_string(status s) noexcept {
  switch (s) {
    case status::running:
      return "running";
    case status::converged:
      return "converged";
    case status::stalled:
      return "stalled";
    case status::cycle:
      return "cycle";
    case status::marginal:
      return "marginal";
    case status::diverged:
      return "diverged";
    case status::non_finite:
      return "non_finite";
    case status::max_iterations:
      return "max_iterations";
    case status::cancelled:
      return "cancelled";
  }
  return "unknown";
}

}  // namespace basin
