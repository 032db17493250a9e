/// @file
/// Settings of one run that do not change its answer.
#pragma once

#include <stop_token>
#include <string>

#include <basin/core/index.hpp>

namespace basin {

/// Settings of one run: how it is stopped from outside, and where its checkpoints
/// go. None of them changes an answer.
struct run_options {
  /// Ask it to stop and the columns still active end as `cancelled`, each with its
  /// latest state and residual.
  std::stop_token stop = {};
  /// File for checkpoints; empty: none. Written beside itself and then renamed, so
  /// that an interrupted write leaves the one before. Removed when the run ends of
  /// itself; a run that is stopped or whose map throws leaves its last state in it.
  std::string checkpoint = {};
  /// Seconds between two checkpoints.
  double checkpoint_seconds = 60;
  /// Starts of an accelerated run that are iterated to the end without acceleration afterwards,
  /// see `FixedPointSolver::follow_sample`; the result says in `agreement` how many agree. At the
  /// cost of all of their iterations; a run that is resumed has no starts, and follows none, and
  /// the flow of a FlowSolver is not accelerated.
  index_t follow = 0;
  /// On a device: four iterations are recorded as a CUDA graph and launched at once, for as long as
  /// the number of columns stays the same, see cuda/graph.hpp. The map must do nothing but launches
  /// of its own context, in the same memory each time; one that moves data is a `map_failure`. Used
  /// with pointwise accelerators and those by column, where no observer wants every iteration. Off,
  /// since what it gains on a device is not measured yet.
  bool graph = false;
};

}  // namespace basin
