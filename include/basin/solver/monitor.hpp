/// @file
/// The status of a column, decided from its residuals. docs/status.md says in
/// words what stands here.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/core/status.hpp>
#include <basin/solver/stopping.hpp>

namespace basin {

/// What is remembered of a column between iterations. Residuals are squared.
template <class Scalar>
struct column_record {
  Scalar residual = std::numeric_limits<Scalar>::quiet_NaN();  ///< ‖f(z) - z‖², the latest
  Scalar limit = 0;                                            ///< diverged beyond this
  Scalar window_sum = 0;                                       ///< of the residuals of this window
  std::int32_t position = 0;                                   ///< in the window
  std::int32_t idle = 0;  ///< windows in a row without progress
  index_t iterations = 0;
  index_t evaluations = 0;
  bool pending = true;   ///< z has not been evaluated yet
  bool watched = false;  ///< returns and ratios are followed in this window

  Scalar best = std::numeric_limits<Scalar>::max() / 8;  ///< least mean of a window
  std::int32_t period = 0;   ///< candidate in this window; of the result, if a cycle
  std::int32_t matches = 0;  ///< returns in a row after `period` iterations
  Scalar previous = 0;       ///< residual one iteration before
  Scalar window_first = 0;
  Scalar least_ratio = 0;  ///< of residuals that follow each other in this window
  Scalar most_ratio = 0;
  Scalar nearest = std::numeric_limits<Scalar>::max();         ///< return of this window
  Scalar nearest_before = std::numeric_limits<Scalar>::max();  ///< least of all windows
};

/// Decides a column's status after every evaluation. One object serves a run.
template <class Scalar, class Stopping>
class ColumnMonitor {
 public:
  ColumnMonitor(const Stopping& rule, index_t k)
      : rule_(rule),
        k_(k),
        threshold_(static_cast<Scalar>(rule.needs_state_norm() ? 0 : rule.threshold(0, k))),
        needs_state_norm_(rule.needs_state_norm()),
        divergence_(square(rule.divergence)),
        progress_(square(1 - rule.progress)),
        cycle_(square(std::max(rule.cycle_tolerance, sizeof(Scalar) == 4 ? 1e-5 : 0.0))),
        rounding_(square(rounding_floor * std::numeric_limits<Scalar>::epsilon())) {}

  /// Takes the residual ‖f(z) - z‖² of the column's present z: NaN where f(z) is
  /// not finite, infinity where only the sum overflows.
  /// @param column answers norm() = ‖z‖², distance() = ‖z - anchor‖², and
  ///   mark(): anchor = z. Asked only where a column is not progressing.
  /// @return running, or the outcome
  template <class Column>
  BASIN_HOST_DEVICE status step(column_record<Scalar>& c, Scalar residual,
                                const Column& column) const {
    c.pending = false;
    c.residual = residual;
    if (c.evaluations++ > 0) {
      ++c.iterations;
    } else {
      c.limit = divergence_ * (residual > Scalar(1) ? residual : Scalar(1));
    }
    if (!is_finite(residual)) return is_nan(residual) ? status::non_finite : status::diverged;
    const Scalar threshold =
        needs_state_norm_
            ? static_cast<Scalar>(rule_.threshold(static_cast<double>(column.norm()), k_))
            : threshold_;
    if (residual <= threshold) return status::converged;
    if (residual > c.limit) return status::diverged;
    if (c.watched && watch(c, column)) return status::cycle;
    c.window_sum += residual;
    if (++c.position == rule_.window) {
      if (const status s = close_window(c); s != status::running) return s;
    }
    if (c.iterations >= rule_.max_iterations || c.evaluations >= rule_.max_evaluations) {
      return status::max_iterations;
    }
    return status::running;
  }

  /// How many of the next steps can be taken by `is_plain` and `take_plain` alone,
  /// if each residual is plain: none that is the first, is watched, ends a window or
  /// a budget.
  [[nodiscard]] index_t plain_steps(const column_record<Scalar>& c) const {
    if (c.watched || needs_state_norm_ || c.evaluations == 0) return 0;
    return std::min({rule_.window - 1 - c.position, rule_.max_iterations - 1 - c.iterations,
                     rule_.max_evaluations - 1 - c.evaluations});
  }
  /// Whether step() would do no more with a residual than count and sum it, where the
  /// record's limit is `limit`. The bits
  /// of numbers that are not negative are ordered as the numbers, NaN above all, so
  /// one comparison of integers tells it.
  [[nodiscard]] bool is_plain(Scalar limit, Scalar residual) const {
    using bits = std::conditional_t<sizeof(Scalar) == 4, std::uint32_t, std::uint64_t>;
    const bits low = std::bit_cast<bits>(threshold_);
    const bits high = std::bit_cast<bits>(limit);
    return std::bit_cast<bits>(residual) - low - 1 < high - low;
  }
  /// Counts `count` steps of plain residuals; `sum` is the window's with them.
  void take_plain(column_record<Scalar>& c, index_t count, Scalar sum, Scalar last) const {
    if (count == 0) return;
    c.residual = last;
    c.window_sum = sum;
    c.position += static_cast<std::int32_t>(count);
    c.iterations += count;
    c.evaluations += count;
  }

 private:
  /// Returns in a row that make a cycle.
  static constexpr int returns = 4;
  /// A cycle whose ‖r‖ is below this many ε ‖z‖ is rounding, not dynamics.
  static constexpr double rounding_floor = 64;
  /// Ratios of residuals² that agree to this make a measured rate.
  static constexpr double steady = 2e-3;
  /// Approach to a cycle: the nearest return² falls by this factor.
  static constexpr double approach = 0.96;

  static Scalar square(double x) { return static_cast<Scalar>(x * x); }

  /// Follows the ratios of residuals and the returns to the window's first state.
  /// @return whether a cycle is found
  template <class Column>
  BASIN_HOST_DEVICE bool watch(column_record<Scalar>& c, const Column& column) const {
    if (c.position == 0) {
      column.mark();
      c.window_first = c.previous = c.residual;
      c.least_ratio = std::numeric_limits<Scalar>::max();
      c.most_ratio = 0;
      c.nearest = std::numeric_limits<Scalar>::max();
      c.period = c.matches = 0;
      return false;
    }
    const Scalar ratio = c.residual / c.previous;
    c.previous = c.residual;
    c.least_ratio = ratio < c.least_ratio ? ratio : c.least_ratio;
    c.most_ratio = ratio > c.most_ratio ? ratio : c.most_ratio;
    const bool may_be_period = c.position >= 2 && c.position <= rule_.max_period;
    const bool may_repeat = c.period > 0 && c.position % c.period == 0;
    if (!may_be_period && !may_repeat) return false;
    const Scalar distance = column.distance();
    if (may_be_period && distance / c.residual < c.nearest) c.nearest = distance / c.residual;
    if (!(distance <= cycle_ * c.residual)) {
      if (may_repeat) c.matches = 0;
      return false;
    }
    if (c.period == 0) c.period = c.position;
    if (c.position == c.period) {
      c.matches = 1;
    } else if (may_repeat && c.matches > 0) {
      ++c.matches;
    }
    return c.matches == returns && c.residual > rounding_ * column.norm();
  }

  BASIN_HOST_DEVICE status close_window(column_record<Scalar>& c) const {
    const Scalar mean = c.window_sum / static_cast<Scalar>(rule_.window);
    c.window_sum = 0;
    c.position = 0;
    const bool elsewhere = mean > 4 * c.best;
    if (mean < progress_ * c.best || elsewhere) {
      c.best = mean;
      c.idle = 0;
      c.watched = false;
      c.nearest_before = std::numeric_limits<Scalar>::max();
      return status::running;
    }
    bool neutral = false;
    if (c.watched) {
      const bool measured = c.most_ratio <= c.least_ratio * static_cast<Scalar>(1 + steady);
      const double rate =
          std::pow(static_cast<double>(c.previous) / static_cast<double>(c.window_first),
                   0.5 / static_cast<double>(rule_.window - 1));
      neutral = measured && std::abs(rate - 1) <= rule_.marginal_band;
      const bool leaving = measured && rate > 1 + rule_.marginal_band;
      const bool approaching = c.nearest < static_cast<Scalar>(approach) * c.nearest_before;
      if (approaching) c.nearest_before = c.nearest;
      if (leaving || approaching) c.idle = 0;
    }
    c.watched = true;
    if (++c.idle < rule_.patience || rule_.patience == 0) return status::running;
    return neutral ? status::marginal : status::stalled;
  }

  Stopping rule_;
  index_t k_;
  Scalar threshold_;
  bool needs_state_norm_;
  Scalar divergence_;
  Scalar progress_;
  Scalar cycle_;
  Scalar rounding_;
};

}  // namespace basin
