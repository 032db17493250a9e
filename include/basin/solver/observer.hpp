/// @file
/// What an observer sees of a run, and the observers that the library has.
///
/// An observer is any callable that takes an IterationView. It is called after
/// every evaluation of the active columns, before they step on and before ended
/// columns leave, on the thread that called the solver. If it has a member
/// interval() that returns 0, it is content to be called now and then, and the
/// columns it is shown may then be at different iterations: this lets columns of a
/// columnwise map run by themselves, as they do where nobody observes.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/array_view.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/status.hpp>

namespace basin {

/// The active columns at one moment; valid during the call only.
template <class Backend>
struct IterationView {
  const Backend& backend;
  typename Backend::const_view states;  ///< k × active
  /// ‖f(z) - z‖² per active column, in the backend's memory.
  array_view<const typename Backend::scalar> squared_residuals;
  /// basin::status per active column, in the backend's memory.
  array_view<const std::uint8_t> outcome;
  /// Which start each active column is.
  array_view<const index_t> origin;
  index_t iteration = 0;  ///< steps since the starts (or, resumed, since the resume)
  index_t total = 0;      ///< number of starts
  index_t ended = 0;      ///< starts that left before this iteration
};

/// Whether an observer is content to be called now and then.
template <class Observer>
[[nodiscard]] bool observes_now_and_then(const Observer& observer) {
  if constexpr (requires {
                  { observer.interval() } -> std::convertible_to<index_t>;
                }) {
    return observer.interval() == 0;
  } else {
    return false;
  }
}

/// Hands the trajectories of chosen starts to a sink, one state at a time, so that
/// memory does not grow with their length.
/// @tparam Sink called as sink(start, iteration, state, residual): state an Eigen
///   vector in host memory, valid during the call, residual ‖f(z) - z‖₂
template <std::floating_point Scalar, class Sink>
class TrajectoryObserver {
 public:
  TrajectoryObserver(std::vector<index_t> starts, Sink sink, index_t every)
      : starts_(std::move(starts)), sink_(std::move(sink)), every_(every) {
    require(every >= 1, "trajectory_observer", "every must be at least 1");
    std::sort(starts_.begin(), starts_.end());
  }

  template <class Backend>
    requires std::same_as<typename Backend::scalar, Scalar>
  void operator()(const IterationView<Backend>& at) {
    if (at.iteration % every_ != 0) return;
    state_.resize(at.states.rows(), 1);
    for (index_t j = 0; j < at.origin.size; ++j) {
      if (!std::binary_search(starts_.begin(), starts_.end(), at.origin[j])) continue;
      Scalar residual = 0;
      download(at.backend, columns(at.backend, at.states, j, 1), state_);
      download_array(at.backend, array_view<const Scalar>(at.squared_residuals.data + j, 1),
                     array_view<Scalar>(&residual, 1));
      sink_(at.origin[j], at.iteration, state_.col(0), std::sqrt(residual));
    }
  }

 private:
  std::vector<index_t> starts_;
  Sink sink_;
  index_t every_;
  Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> state_;
};

/// An observer of the trajectories of `starts`, see TrajectoryObserver.
/// @param every iterations between two states of a trajectory, at least 1
template <std::floating_point Scalar, class Sink>
[[nodiscard]] TrajectoryObserver<Scalar, std::decay_t<Sink>> trajectory_observer(
    std::vector<index_t> starts, Sink&& sink, index_t every = 1) {
  return {std::move(starts), std::forward<Sink>(sink), every};
}

/// The residual norms ‖f(z) - z‖₂ of the columns that are active at one moment.
template <class Scalar>
struct residual_summary {
  index_t iteration = 0;
  index_t active = 0;  ///< columns, those included that end at this moment
  Scalar least = 0;
  Scalar median = 0;    ///< the upper one of an even number
  Scalar greatest = 0;  ///< NaN where a column is not finite
};

/// Hands a summary of the residual norms to a sink, as a run goes on.
/// @tparam Sink called as sink(residual_summary<Scalar>)
template <std::floating_point Scalar, class Sink>
class NormObserver {
 public:
  NormObserver(Sink sink, index_t every) : sink_(std::move(sink)), every_(every) {
    require(every >= 1, "norm_observer", "every must be at least 1");
  }

  template <class Backend>
    requires std::same_as<typename Backend::scalar, Scalar>
  void operator()(const IterationView<Backend>& at) {
    if (at.iteration % every_ != 0 || at.origin.size == 0) return;
    norms_.resize(static_cast<std::size_t>(at.origin.size));
    download_array(at.backend, at.squared_residuals, array_view<Scalar>(norms_));
    // Columns that are not finite stand last: NaN has no order.
    const auto finite =
        std::partition(norms_.begin(), norms_.end(), [](Scalar r) { return !is_nan(r); });
    std::sort(norms_.begin(), finite);
    sink_(residual_summary<Scalar>{at.iteration, at.origin.size, std::sqrt(norms_.front()),
                                   std::sqrt(norms_[norms_.size() / 2]), std::sqrt(norms_.back())});
  }

 private:
  Sink sink_;
  index_t every_;
  std::vector<Scalar> norms_;
};

/// An observer of the residual norms, see NormObserver.
/// @param every iterations between two summaries, at least 1
template <std::floating_point Scalar, class Sink>
[[nodiscard]] NormObserver<Scalar, std::decay_t<Sink>> norm_observer(Sink&& sink,
                                                                     index_t every = 1) {
  return {std::forward<Sink>(sink), every};
}

}  // namespace basin
