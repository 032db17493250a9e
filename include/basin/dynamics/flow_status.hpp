/// @file
/// How a column's flow ended.
#pragma once

#include <cstdint>
#include <string_view>

namespace basin {

/// Outcome of one column of a flow. An outcome is never an exception.
enum class flow_status : std::uint8_t {
  running,         ///< not decided yet; never in a result
  arrived,         ///< the residual ‖f(z) - z‖ came down to the tolerance
  captured,        ///< entered the trusted radius of a known attractor
  left_box,        ///< went through a face of the box
  time_reached,    ///< the time is over
  non_finite,      ///< f(z) is not finite there, or its square overflows; the last good z is kept
  step_too_small,  ///< no step that time can still resolve meets the tolerance
  max_steps,       ///< the budget of steps is spent
  cancelled,       ///< stopped by the caller
};

/// Number of statuses, for tables indexed by status.
inline constexpr int flow_status_count = 9;

/// The name of a status as in the enumeration.
[[nodiscard]] constexpr std::string_view to_string(flow_status s) noexcept {
  switch (s) {
    case flow_status::running:
      return "running";
    case flow_status::arrived:
      return "arrived";
    case flow_status::captured:
      return "captured";
    case flow_status::left_box:
      return "left_box";
    case flow_status::time_reached:
      return "time_reached";
    case flow_status::non_finite:
      return "non_finite";
    case flow_status::step_too_small:
      return "step_too_small";
    case flow_status::max_steps:
      return "max_steps";
    case flow_status::cancelled:
      return "cancelled";
  }
  return "unknown";
}

}  // namespace basin
