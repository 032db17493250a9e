/// @file
/// What an observer sees of a flow.
#pragma once

#include <basin/backend/array_view.hpp>
#include <basin/solver/observer.hpp>

namespace basin {

/// The active columns of a flow at one moment; valid during the call only. An observer of
/// the solver, such as ProgressBar, can be given one: `iteration` counts the steps of the
/// batch, and `outcome` is a `flow_status`.
template <class Backend>
struct FlowView : IterationView<Backend> {
  /// Time of every active column, in the backend's memory.
  array_view<const double> times;
};

}  // namespace basin
