/// @file
/// When a column has converged, and what a run may spend.
#pragma once

#include <cmath>
#include <concepts>
#include <limits>
#include <string>

#include <basin/core/error.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// How the undamped residual r = f(z) - z is measured.
enum class residual_norm {
  absolute,  ///< ‖r‖₂
  relative,  ///< ‖r‖₂ / ‖z‖₂
  rms,       ///< ‖r‖₂ / √k
};

/// The stopping rule. It is the undamped residual f(z) - z that decides, never the
/// damped or accelerated step. A residual is not an error: near a fixed point with
/// contraction rate q < 1, the error is at most residual / (1 - q).
///
/// Defaults suit double; in float a tolerance below about 1e-6 ‖z‖ cannot be met,
/// and the column then ends as `stalled`.
struct stopping {
  /// Converged where the residual, in `norm`, is at most this. At least 0.
  double residual = 1e-6;
  residual_norm norm = residual_norm::absolute;
  /// Iterations (steps from z_t to z_{t+1}) of a column. At least 0.
  index_t max_iterations = 3000;
  /// Evaluations of f of a column; the last gives the residual of the answer.
  /// At least 1.
  index_t max_evaluations = std::numeric_limits<index_t>::max();
  /// Diverged where ‖r_t‖ is more than this times max(1, ‖r_0‖). More than 1.
  double divergence = 1e8;

  /// Iterations of a window, after which progress is examined by the mean of ‖r‖²
  /// over the window. More than 4 × max_period.
  index_t window = 72;
  /// Windows in a row without progress after which a column ends as `stalled` or
  /// `marginal`. 0: never.
  index_t patience = 4;
  /// Progress: the root mean square residual of a window is below the least before
  /// by this relative amount. 1e-4 over 72 iterations is a rate of 1 - 1.4e-6.
  /// Where it doubles, the column has gone elsewhere, and the history begins anew.
  double progress = 1e-4;
  /// Longest period that is looked for. 0: cycles are not looked for.
  index_t max_period = 16;
  /// A return: ‖z_{t+p} - z_t‖ is at most this times ‖r‖. In float at least 1e-5
  /// is used.
  double cycle_tolerance = 1e-6;
  /// `marginal`: the measured rate of the residual differs from 1 by at most this.
  double marginal_band = 1e-6;

  /// The square of the residual norm ‖r‖₂ at which a state of squared norm
  /// `state` and k entries has converged.
  [[nodiscard]] BASIN_HOST_DEVICE double threshold(double state, index_t k) const {
    const double tolerance = residual * residual;
    switch (norm) {
      case residual_norm::relative:
        return tolerance * state;
      case residual_norm::rms:
        return tolerance * static_cast<double>(k);
      case residual_norm::absolute:
        break;
    }
    return tolerance;
  }
  /// Whether `threshold` needs the norm of the state.
  [[nodiscard]] bool needs_state_norm() const noexcept { return norm == residual_norm::relative; }

  /// @throws argument_error that names the setting and its value
  void check() const {
    const auto at_least = [](const char* name, double value, double least) {
      if (!(value >= least)) {  // NaN fails as well
        throw argument_error(std::string("stopping: ") + name + " is " + std::to_string(value) +
                             ", must be at least " + std::to_string(least));
      }
    };
    at_least("residual", residual, 0);
    at_least("max_iterations", static_cast<double>(max_iterations), 0);
    at_least("max_evaluations", static_cast<double>(max_evaluations), 1);
    at_least("divergence", divergence, 1);
    at_least("patience", static_cast<double>(patience), 0);
    at_least("progress", progress, 0);
    at_least("max_period", static_cast<double>(max_period), 0);
    at_least("cycle_tolerance", cycle_tolerance, 0);
    at_least("marginal_band", marginal_band, 0);
    at_least("window", static_cast<double>(window),
             static_cast<double>(max_period > 0 ? 4 * max_period + 1 : 2));
  }
};

/// A stopping rule: `stopping`, or a type derived from it with another
/// `threshold`, `needs_state_norm` or `check`.
template <class S>
concept stopping_rule = std::derived_from<S, stopping> && std::copyable<S>;

/// The rule of the paper for its convolutional autoencoders: ‖z_{t+1} - z_t‖₂² <
/// 1e-6 within 3000 iterations (Fumero et al., 2025). A step, squared and not
/// scaled by k: with contraction 0.99 it can stand for an error of 0.1.
[[nodiscard]] inline stopping paper_small() {
  return {.residual = 1e-3, .norm = residual_norm::absolute, .max_iterations = 3000};
}

/// The rule of the paper for foundation models: ‖z_{t+1} - z_t‖₂² < 1e-5 within 500
/// iterations (Fumero et al., 2025).
[[nodiscard]] inline stopping paper_foundation() {
  return {
      .residual = 3.1622776601683794e-3, .norm = residual_norm::absolute, .max_iterations = 500};
}

}  // namespace basin
