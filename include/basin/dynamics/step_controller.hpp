/// @file
/// Accepts or rejects the step of every column, and chooses the next.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/flow_events.hpp>
#include <basin/dynamics/flow_method.hpp>
#include <basin/dynamics/flow_status.hpp>
#include <basin/dynamics/interpolant.hpp>
#include <basin/dynamics/rough_power.hpp>

namespace basin::detail {

/// The least error that has a say in the step after the next, 1e-4, as a power of 2.
inline constexpr float least_log_error = -13.2877124f;

/// What is remembered of a column between steps.
struct flow_record {
  double time = 0;
  double begin = 0;     ///< time at the beginning of the last step taken
  double proposal = 0;  ///< the step that the controller would take
  double landing = 0;   ///< the time at which the attempted step ends, where that is a given one
  double bracket = std::numeric_limits<double>::infinity();    ///< an event lies before this time
  double first = 0;                                            ///< the first step
  double arc = 0;                                              ///< length of the path so far
  double residual = std::numeric_limits<double>::quiet_NaN();  ///< ‖f(z) - z‖
  index_t accepted = 0;
  index_t rejected = 0;
  index_t evaluations = 0;
  index_t products = 0;
  std::int32_t attractor = -1;
  std::int32_t tries = 0;             ///< to locate the event
  float log_error = least_log_error;  ///< log2 of the last step's, relative to the tolerance
  bool was_rejected = false;
  bool moved = false;  ///< the last attempt was taken
};

// Without the calls that std::fmin and std::fmax make for the sake of NaN.
[[nodiscard]] BASIN_HOST_DEVICE inline double smaller(double a, double b) { return a < b ? a : b; }
[[nodiscard]] BASIN_HOST_DEVICE inline double larger(double a, double b) { return a < b ? b : a; }

/// Outcome of a column that has gone beyond the time at which the run pauses.
inline constexpr std::uint8_t flow_parked = 255;

/// Judges the attempts of a batch, column by column.
template <class Scalar>
struct judge_columns {
  event_rules<Scalar> events;
  step_control control;
  flow_interpolation interpolation;
  bool keeps_step;
  bool lands;  ///< steps end at the time of the pause
  bool dense;  ///< the beginning of a step is kept
  index_t evaluations;
  double end;
  double pause;
  index_t max_steps;

  flow_record* records;
  std::uint8_t* outcome;
  Scalar* steps;
  Scalar* residuals;  ///< squared
  double* times;
  Scalar* Z;
  Scalar* F;
  const Scalar* next;
  const Scalar* next_values;
  const Scalar* errors;     ///< null: not controlled
  const index_t* products;  ///< of this attempt; null: the method has none
  Scalar* old_Z;            ///< where dense
  Scalar* old_F;

  /// The same for the columns from `first` on, whose attempts begin at `next`.
  [[nodiscard]] judge_columns part(index_t first) const {
    judge_columns result = *this;
    const index_t entry = first * events.k;
    result.records += first;
    result.outcome += first;
    result.steps += first;
    result.residuals += first;
    result.times += first;
    result.Z += entry;
    result.F += entry;
    if (dense) {
      result.old_Z += entry;
      result.old_F += entry;
    }
    return result;
  }

  BASIN_HOST_DEVICE void operator()(index_t j) const {
    const index_t k = events.k;
    flow_record& c = records[j];
    const interpolant<Scalar> step{interpolation == flow_interpolation::linear
                                       ? flow_interpolation::linear
                                       : flow_interpolation::cubic,
                                   k,
                                   steps[j],
                                   Z + j * k,
                                   F + j * k,
                                   next + j * k,
                                   next_values + j * k,
                                   nullptr};
    c.moved = false;
    c.evaluations += evaluations;
    if (products != nullptr) c.products += products[j];
    const Scalar square = lane_sum<Scalar>(
        k, [&](index_t i) { return (step.f1[i] - step.z1[i]) * (step.f1[i] - step.z1[i]); });
    const double error_square = errors != nullptr ? mean_square_error(step, errors + j * k) : 0;
    const bool finite = is_finite(square) && is_finite(error_square);
    const float log_error = rough_log2(static_cast<float>(smaller(error_square, 1e38))) / 2;
    if (!finite || error_square > 1) {
      reject(j, finite, log_error);
      return;
    }
    const double residual = std::sqrt(static_cast<double>(square));
    const flow_event event = events.met(step.z1, residual);
    if (event.reason != flow_status::running && !keeps_step && !is_smallest(c, step.h) &&
        c.accepted + c.rejected + 1 < max_steps && !events.is_located(event, step, residual)) {
      approach(j, event, step, residual);
      return;
    }
    accept(j, step, log_error);
    c.residual = residual;
    residuals[j] = square;
    if (event.reason != flow_status::running) {
      c.attractor =
          event.reason == flow_status::captured ? static_cast<std::int32_t>(event.which) : -1;
      outcome[j] = static_cast<std::uint8_t>(event.reason);
      return;
    }
    // The shorter steps have gone by what looked like an event.
    if (c.time + 1e-9 * static_cast<double>(step.h) >= c.bracket) {
      c.bracket = std::numeric_limits<double>::infinity();
    }
    go_on(j);
  }

  /// What follows from the state of a column that has just begun or just moved.
  BASIN_HOST_DEVICE void go_on(index_t j) const {
    flow_record& c = records[j];
    // A method that keeps its step reaches the end with the step that leads there but for
    // rounding.
    const double reached = keeps_step ? c.time + 1e-9 * control.step : c.time;
    if (reached >= end) {
      outcome[j] = static_cast<std::uint8_t>(flow_status::time_reached);
    } else if (c.accepted + c.rejected >= max_steps) {
      outcome[j] = static_cast<std::uint8_t>(flow_status::max_steps);
    } else if (reached >= pause) {
      outcome[j] = flow_parked;
    } else {
      attempt(j, c.proposal);
    }
  }

 private:
  [[nodiscard]] BASIN_HOST_DEVICE static bool is_smallest(const flow_record& c, double h) {
    const double scale = c.time > c.first ? c.time : c.first;
    return h <= 16 * std::numeric_limits<double>::epsilon() * scale;
  }

  /// Of e / (absolute + relative max(|z|, |z'|)).
  [[nodiscard]] BASIN_HOST_DEVICE double mean_square_error(const interpolant<Scalar>& step,
                                                           const Scalar* e) const {
    const auto relative = static_cast<Scalar>(control.relative);
    const auto absolute = static_cast<Scalar>(control.absolute);
    const Scalar sum = lane_sum<Scalar>(events.k, [&](index_t i) {
      const Scalar a = step.z0[i] < 0 ? -step.z0[i] : step.z0[i];
      const Scalar b = step.z1[i] < 0 ? -step.z1[i] : step.z1[i];
      const Scalar share = e[i] / (absolute + relative * (a > b ? a : b));
      return share * share;
    });
    return static_cast<double>(sum) / static_cast<double>(events.k);
  }

  BASIN_HOST_DEVICE void reject(index_t j, bool finite, float log_error) const {
    flow_record& c = records[j];
    ++c.rejected;
    const auto h = static_cast<double>(steps[j]);
    const bool can_shrink = errors != nullptr;
    const double factor =
        finite ? larger(0.2, 0.9 * static_cast<double>(rough_exp2(
                                       -log_error / static_cast<float>(control.error_order))))
               : 0.1;
    c.was_rejected = true;
    c.proposal = h * factor;
    if (!can_shrink || is_smallest(c, c.proposal)) {
      outcome[j] =
          static_cast<std::uint8_t>(finite ? flow_status::step_too_small : flow_status::non_finite);
    } else if (c.accepted + c.rejected >= max_steps) {
      outcome[j] = static_cast<std::uint8_t>(flow_status::max_steps);
    } else {
      attempt(j, c.proposal);
    }
  }

  /// Takes the step again, so that it ends a little behind the event.
  BASIN_HOST_DEVICE void approach(index_t j, const flow_event& event,
                                  const interpolant<Scalar>& step, double residual) const {
    flow_record& c = records[j];
    ++c.rejected;
    const auto h = static_cast<double>(step.h);
    c.bracket = c.time + h;
    // Where the guess does not get near, halving does.
    double share = events.share(event, step, c.residual, residual);
    if (++c.tries % 5 == 0 || !(share > 0) || !(share < 1)) share = 0.5;
    attempt(j, h * share);
  }

  BASIN_HOST_DEVICE void accept(index_t j, const interpolant<Scalar>& step, float log_error) const {
    flow_record& c = records[j];
    ++c.accepted;
    c.moved = true;
    const auto h = static_cast<double>(step.h);
    c.begin = c.time;
    c.time = c.landing > 0 ? c.landing : c.time + h;
    times[j] = c.time;
    const index_t k = events.k;
    Scalar* const z = Z + j * k;
    Scalar* const f = F + j * k;
    if (dense) {
      for (index_t i = 0; i < k; ++i) old_Z[j * k + i] = z[i];
      for (index_t i = 0; i < k; ++i) old_F[j * k + i] = f[i];
    }
    for (index_t i = 0; i < k; ++i) z[i] = step.z1[i];
    for (index_t i = 0; i < k; ++i) f[i] = step.f1[i];
    if (errors == nullptr) return;
    // Hairer, Nørsett and Wanner (1993), IV.2: the error before has a say as well.
    const auto beta = static_cast<float>(control.integral_part);
    const float alpha = 1.0f / static_cast<float>(control.error_order) - 0.75f * beta;
    const double most = c.was_rejected ? 1.0 : 10.0;
    const double power = static_cast<double>(rough_exp2(beta * c.log_error - alpha * log_error));
    const double factor = smaller(most, larger(0.2, 0.9 * power));
    // A step that was cut short says little about the one that was proposed.
    const bool was_cut = h < 0.999 * c.proposal;
    const double following = smaller(h * factor, control.max_step);
    c.proposal = was_cut ? larger(c.proposal, following) : following;
    c.log_error = log_error < least_log_error ? least_log_error : log_error;
    c.was_rejected = false;
  }

  /// Sets the next step: `wish`, or shorter to end where it must.
  BASIN_HOST_DEVICE void attempt(index_t j, double wish) const {
    flow_record& c = records[j];
    c.landing = 0;
    double h = wish;
    if (!keeps_step) {
      double target = end;
      if (lands && pause < target) target = pause;
      if (c.time + 1.01 * h >= target) {
        h = target - c.time;
        c.landing = target;
      }
      if (c.time + h >= c.bracket) {
        h = smaller(wish, c.bracket - c.time);
        c.landing = 0;
      }
    }
    steps[j] = static_cast<Scalar>(h);
  }
};

}  // namespace basin::detail
