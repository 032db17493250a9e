/// @file
/// Paths of columns: their length, and the states along them.
#pragma once

#include <cstdint>

#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/interpolant.hpp>
#include <basin/dynamics/step_controller.hpp>

namespace basin::detail {

/// The last step that column j took.
template <class Scalar>
[[nodiscard]] BASIN_HOST_DEVICE interpolant<Scalar> last_step(const judge_columns<Scalar>& judge,
                                                              const Scalar* mid, index_t j) {
  const index_t k = judge.events.k;
  const flow_record& c = judge.records[j];
  // A method that lands has no states between, but its path has a length.
  const auto kind = judge.interpolation == flow_interpolation::landing ? flow_interpolation::cubic
                                                                       : judge.interpolation;
  return {kind,
          k,
          static_cast<Scalar>(c.time - c.begin),
          judge.old_Z + j * k,
          judge.old_F + j * k,
          judge.Z + j * k,
          judge.F + j * k,
          mid != nullptr ? mid + j * k : nullptr};
}

/// Adds the length of the step just taken.
template <class Scalar>
struct measure_paths {
  judge_columns<Scalar> judge;
  const Scalar* mid;
  BASIN_HOST_DEVICE void operator()(index_t j) const {
    flow_record& c = judge.records[j];
    if (c.moved) c.arc += last_step(judge, mid, j).length(0, 1);
  }
};

/// The states of all columns at one time, where their starts stood.
template <class Scalar>
struct slice_columns {
  judge_columns<Scalar> judge;
  const Scalar* mid;
  const index_t* origin;
  double time;
  Scalar* states;
  double* arcs;
  BASIN_HOST_DEVICE void operator()(index_t j) const {
    const index_t k = judge.events.k;
    const flow_record& c = judge.records[j];
    Scalar* const out = states + origin[j] * k;
    if (c.time <= time) {
      for (index_t i = 0; i < k; ++i) out[i] = judge.Z[j * k + i];
      arcs[origin[j]] = c.arc;
      return;
    }
    const interpolant<Scalar> step = last_step(judge, mid, j);
    const double share = (time - c.begin) / (c.time - c.begin);
    const auto w = value_weights<Scalar>(step.kind, share);
    for (index_t i = 0; i < k; ++i) out[i] = step.entry(w, i);
    arcs[origin[j]] = c.arc - step.length(share, 1);
  }
};

}  // namespace basin::detail
