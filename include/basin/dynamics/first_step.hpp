/// @file
/// How columns begin, and go on after a pause.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/flow_status.hpp>
#include <basin/dynamics/step_controller.hpp>

namespace basin::detail {

/// Copies the starts and finds those that are not finite.
template <class Scalar>
struct take_starts {
  const Scalar* starts;
  index_t stride;
  Scalar* Z;
  index_t k;
  std::uint8_t* outcome;
  Scalar* residuals;
  BASIN_HOST_DEVICE void operator()(index_t j) const {
    bool finite = true;
    for (index_t i = 0; i < k; ++i) {
      Z[j * k + i] = starts[j * stride + i];
      finite &= is_finite(starts[j * stride + i]);
    }
    outcome[j] = static_cast<std::uint8_t>(finite ? flow_status::running : flow_status::non_finite);
    residuals[j] = std::numeric_limits<Scalar>::quiet_NaN();
  }
};

/// Lets columns that had paused go on.
template <class Scalar>
struct go_on_columns {
  judge_columns<Scalar> judge;
  const index_t* which;
  BASIN_HOST_DEVICE void operator()(index_t i) const { judge.go_on(which[i]); }
};

/// Lets columns begin: the first two stages of Hairer, Nørsett and Wanner (1993), II.4, for
/// the first step, and the events that hold at the start.
template <class Scalar>
struct begin_flow {
  judge_columns<Scalar> judge;
  bool chooses;  ///< the first step

  BASIN_HOST_DEVICE void operator()(index_t j) const {
    const index_t k = judge.events.k;
    flow_record& c = judge.records[j];
    if (judge.outcome[j] != static_cast<std::uint8_t>(flow_status::running)) return;
    const Scalar* const z = judge.Z + j * k;
    const Scalar* const f = judge.F + j * k;
    ++c.evaluations;
    const Scalar square =
        lane_sum<Scalar>(k, [&](index_t i) { return (f[i] - z[i]) * (f[i] - z[i]); });
    judge.residuals[j] = square;
    if (!is_finite(square)) {
      judge.outcome[j] = static_cast<std::uint8_t>(flow_status::non_finite);
      return;
    }
    c.residual = std::sqrt(static_cast<double>(square));
    const flow_event event = judge.events.met(z, c.residual);
    if (event.reason != flow_status::running) {
      if (event.reason == flow_status::captured) {
        c.attractor = static_cast<std::int32_t>(event.which);
      }
      judge.outcome[j] = static_cast<std::uint8_t>(event.reason);
      return;
    }
    if (!chooses) {
      const step_control& control = judge.control;
      c.proposal = control.is_fixed() ? control.step : control.first_step;
      start(j);
      return;
    }
    const double d0 = norm(j, [&](index_t i) { return z[i]; });
    const double d1 = norm(j, [&](index_t i) { return f[i] - z[i]; });
    const double h = d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
    c.first = std::fmin(h, std::fmin(judge.control.max_step, judge.end));
  }

  BASIN_HOST_DEVICE void start(index_t j) const {
    flow_record& c = judge.records[j];
    c.first = c.proposal;
    judge.go_on(j);
  }
  template <class Entry>
  [[nodiscard]] BASIN_HOST_DEVICE double norm(index_t j, const Entry& entry) const {
    const index_t k = judge.events.k;
    const Scalar* const z = judge.Z + j * k;
    const auto relative = static_cast<Scalar>(judge.control.relative);
    const auto absolute = static_cast<Scalar>(judge.control.absolute);
    const Scalar sum = lane_sum<Scalar>(k, [&](index_t i) {
      const Scalar x = entry(i) / (absolute + relative * (z[i] < 0 ? -z[i] : z[i]));
      return x * x;
    });
    return std::sqrt(static_cast<double>(sum) / static_cast<double>(k));
  }
};

/// Where the last stage evaluates f.
template <class Scalar>
struct trial_states {
  judge_columns<Scalar> judge;
  Scalar* trial;
  BASIN_HOST_DEVICE void operator()(index_t j) const {
    const index_t k = judge.events.k;
    const auto h = static_cast<Scalar>(judge.records[j].first);
    for (index_t i = j * k; i < (j + 1) * k; ++i) {
      trial[i] = judge.Z[i] + h * (judge.F[i] - judge.Z[i]);
    }
  }
};

/// The last stage, after f at the trial states.
template <class Scalar>
struct choose_first_step {
  begin_flow<Scalar> begin;
  const Scalar* trial;
  const Scalar* trial_values;

  BASIN_HOST_DEVICE void operator()(index_t j) const {
    const judge_columns<Scalar>& judge = begin.judge;
    const index_t k = judge.events.k;
    flow_record& c = judge.records[j];
    if (judge.outcome[j] != static_cast<std::uint8_t>(flow_status::running)) return;
    ++c.evaluations;
    const Scalar* const z = judge.Z + j * k;
    const Scalar* const f = judge.F + j * k;
    const Scalar* const y = trial + j * k;
    const Scalar* const g = trial_values + j * k;
    const double d1 = begin.norm(j, [&](index_t i) { return f[i] - z[i]; });
    const double d2 =
        begin.norm(j, [&](index_t i) { return (g[i] - y[i]) - (f[i] - z[i]); }) / c.first;
    const double steepest = d1 > d2 ? d1 : d2;
    double h = 100 * c.first;
    if (!is_finite(steepest)) {
      h = 0.1 * c.first;
    } else if (steepest > 1e-15) {
      h = std::fmin(h, std::pow(0.01 / steepest, 1.0 / judge.control.error_order));
    }
    c.proposal = std::fmin(h, judge.control.max_step);
    begin.start(j);
  }
};

}  // namespace basin::detail
