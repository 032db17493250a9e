/// @file
/// States along the way: at given times of a flow, or after given numbers of iterations.
#pragma once

#include <algorithm>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/dynamics/flow_result.hpp>
#include <basin/dynamics/flow_run.hpp>
#include <basin/dynamics/flow_solver.hpp>
#include <basin/dynamics/set_distance.hpp>

namespace basin {

/// All columns at one time, in host memory; valid during the call only.
template <class Scalar>
struct trajectory_slice {
  index_t index = 0;
  double time = 0;
  /// k × N, in the order of the starts. A column that ended before stays where it ended.
  Eigen::Ref<const Eigen::MatrixX<Scalar>> states;
  /// Length of the path since the start, per column: of the polygon where the method is
  /// `euler`, of the interpolated curve else.
  array_view<const double> arc;
  /// Distance to the nearest point of the set, per column. Empty where there is no set.
  array_view<const Scalar> distance;
};

/// What is recorded besides the states.
struct trajectory_options {
  /// Points to measure distances to, k × S. Empty: none.
  Eigen::MatrixXd set = {};
  /// Ask it to stop: columns end as `cancelled`, and the slices left repeat their states.
  std::stop_token stop = {};
};

/// 0, every, 2 every ... up to `steps`: the times of the discrete iteration, for `euler`.
/// @throws argument_error unless steps >= 0 and every >= 1
[[nodiscard]] inline std::vector<double> iteration_times(index_t steps, index_t every = 1) {
  require(steps >= 0 && every >= 1, "iteration_times", "steps must be >= 0 and every >= 1");
  std::vector<double> times;
  for (index_t t = 0; t <= steps; t += every) times.push_back(static_cast<double>(t));
  return times;
}

/// Hands the states of all columns at each of the times to a sink, in the order of the times.
/// Memory does not grow with their number. Columns step freely and the states between the ends
/// of their steps are the method's continuous extension; methods without one end their steps at
/// the times. The events of the solver's `flow_stopping` hold, except that the time ends with
/// the last of `times`.
///
/// @param times ascending, at least 0
/// @param sink called as sink(trajectory_slice<Scalar>) on the calling thread
/// @return where every column ended
/// @throws argument_error unless the times ascend; size_error as FlowSolver::solve, or if the
///   set has other rows than the states; whatever map and sink throw
template <basin::backend B, class Map, class Method, class Sink>
FlowResult<B> record_trajectories(const B& be, FlowSolver<Map, Method>& solver,
                                  const typename B::const_view& starts,
                                  const std::vector<double>& times, Sink&& sink,
                                  const trajectory_options& options = {}) {
  using scalar = typename B::scalar;
  solver.template check_starts<B>("record_trajectories", starts);
  require(!times.empty(), "record_trajectories", "there are no times");
  for (std::size_t i = 0; i < times.size(); ++i) {
    require(times[i] >= (i == 0 ? 0 : times[i - 1]), "record_trajectories",
            "time " + std::to_string(i) + " is less than 0 or than the one before");
  }
  const auto k = static_cast<index_t>(starts.rows());
  const auto n = static_cast<index_t>(starts.cols());
  const auto set_size = static_cast<index_t>(options.set.cols());
  if (set_size > 0) {
    require_size("record_trajectories", "number of rows of the set", options.set.rows(), k);
  }
  flow_stopping stopping = solver.stopping();
  stopping.time = times.back();
  FlowRun<B, Method, Map> run(be, solver.map(), solver.method(), stopping, starts, true);
  run.begin();

  typename B::matrix states = be.make_matrix(k, n);
  typename B::matrix set = be.make_matrix(k, set_size);
  if (set_size > 0) {
    upload(be, options.set.template cast<scalar>().eval(), columns(be, set, 0, set_size));
  }
  auto distances = be.template make_buffer<scalar>(set_size > 0 ? n : 0);
  Eigen::MatrixX<scalar> host(k, n);
  std::vector<double> arc(static_cast<std::size_t>(n));
  std::vector<scalar> host_distances(static_cast<std::size_t>(set_size > 0 ? n : 0));
  for (std::size_t i = 0; i < times.size(); ++i) {
    run.advance(times[i], options.stop, false, [] {});
    run.cancel();  // where it was asked to stop
    run.states_at(times[i], states, arc);
    if (n > 0) download(be, columns(be, std::as_const(states), 0, n), host);
    if (set_size > 0) {
      distance_to_set(be, columns(be, std::as_const(states), 0, n),
                      columns(be, std::as_const(set), 0, set_size), array_view<scalar>(distances));
      download_array(be, array_view<const scalar>(distances), array_view<scalar>(host_distances));
    }
    sink(trajectory_slice<scalar>{static_cast<index_t>(i), times[i], host, arc, host_distances});
  }
  return run.result();
}

/// Trajectories in memory.
template <class B>
struct Trajectories {
  using scalar = typename B::scalar;

  std::vector<double> times;        ///< M
  Eigen::MatrixX<scalar> states;    ///< k × (N M), in host memory: slice m begins at column N m
  Eigen::MatrixXd arc;              ///< N × M, length of the path
  Eigen::MatrixX<scalar> distance;  ///< N × M, to the set; 0 × M where there is none
  FlowResult<B> end;                ///< where every column ended

  [[nodiscard]] index_t size() const noexcept { return end.size(); }
  /// k × N: all columns at time m.
  [[nodiscard]] auto slice(index_t m) const { return states.middleCols(m * size(), size()); }
  /// k × M: start j along the times.
  [[nodiscard]] auto path(index_t j) const {
    return Eigen::Map<const Eigen::MatrixX<scalar>, 0, Eigen::OuterStride<>>(
        states.data() + j * states.rows(), states.rows(), static_cast<index_t>(times.size()),
        Eigen::OuterStride<>(states.rows() * size()));
  }
};

/// Records the states of all columns at the given times, see `record_trajectories`.
///
/// @code
/// #include <iostream>
/// #include <basin/dynamics/euler.hpp>
/// #include <basin/dynamics/trajectories.hpp>
/// #include <basin/map/function_map.hpp>
///
/// int main() {
///   const auto map = basin::function_map(2, [](const auto& Z) { return Z.array().cos(); });
///   basin::FlowSolver iteration{map, basin::euler{}};  // z -> cos z
///   const auto found = basin::trajectories(basin::cpu<double>{}, iteration,
///                                          Eigen::MatrixXd::Random(2, 5),
///                                          basin::iteration_times(20));
///   std::cout << found.path(3).transpose() << "\nlength " << found.arc(3, 20) << '\n';
/// }
/// @endcode
template <basin::backend B, class Map, class Method>
[[nodiscard]] Trajectories<B> trajectories(const B& be, FlowSolver<Map, Method>& solver,
                                           const typename B::const_view& starts,
                                           const std::vector<double>& times,
                                           const trajectory_options& options = {}) {
  const auto k = static_cast<index_t>(starts.rows());
  const auto n = static_cast<index_t>(starts.cols());
  const auto m = static_cast<index_t>(times.size());
  Trajectories<B> found;
  found.times = times;
  found.states.resize(k, n * m);
  found.arc.resize(n, m);
  found.distance.resize(options.set.cols() > 0 ? n : 0, m);
  found.end = record_trajectories(
      be, solver, starts, times,
      [&](const auto& slice) {
        found.states.middleCols(slice.index * n, n) = slice.states;
        std::copy_n(slice.arc.data, n, found.arc.col(slice.index).data());
        if (slice.distance.size > 0) {
          std::copy_n(slice.distance.data, n, found.distance.col(slice.index).data());
        }
      },
      options);
  return found;
}

}  // namespace basin
