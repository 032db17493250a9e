/// @file
/// The continuous flow of a map from many starts at once.
#pragma once

#include <limits>
#include <type_traits>
#include <utility>

#include <basin/backend/concept.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/dynamics/flow_method.hpp>
#include <basin/dynamics/flow_result.hpp>
#include <basin/dynamics/flow_run.hpp>
#include <basin/dynamics/flow_stopping.hpp>
#include <basin/map/concept.hpp>
#include <basin/solver/options.hpp>

namespace basin {

/// Follows dz/dt = f(z) - z from every column of a batch until each column has a status.
///
/// Every column has a step of its own: it takes the steps that it takes alone, to the bit, in
/// any company, in any order and on any number of threads, if the map's columns are independent
/// to the bit. Columns that have ended leave the batch. Within a step nothing is allocated.
///
/// Backwards in time the flow of f is that of `relaxed(f, -1)`.
///
/// @code
/// #include <iostream>
/// #include <basin/dynamics/dopri5.hpp>
/// #include <basin/dynamics/flow_solver.hpp>
/// #include <basin/map/function_map.hpp>
///
/// int main() {
///   // dz/dt = cos z - z in R^3 from four starts.
///   const auto map = basin::function_map(3, [](const auto& Z) { return Z.array().cos(); });
///   basin::FlowSolver solver{map, basin::dopri5{.relative = 1e-8}};
///   const auto found = solver.solve(Eigen::MatrixXd::Random(3, 4));
///   std::cout << found.states << '\n' << to_string(found.status[0]) << '\n';
/// }
/// @endcode
///
/// @tparam Map any callable in a form of map/concept.hpp; held by value
/// @tparam Method the integrator, see dynamics/flow_method.hpp
template <class Map, class Method>
class FlowSolver {
 public:
  /// @throws argument_error if a setting is outside its range
  explicit FlowSolver(Map map, Method method = {}, flow_stopping stopping = {})
      : map_(std::move(map)), method_(std::move(method)), stopping_(std::move(stopping)) {
    static_assert(!is_batch_coupled<Map>,
                  "a map that couples its columns has no flow of its columns by themselves");
    if constexpr (requires { method_.check(); }) method_.check();
    stopping_.check();
  }

  [[nodiscard]] Map& map() noexcept { return map_; }
  [[nodiscard]] const Method& method() const noexcept { return method_; }
  [[nodiscard]] const flow_stopping& stopping() const noexcept { return stopping_; }

  /// Flows from every column of `starts`.
  /// @param starts k × N in the backend's memory; N = 0 gives an empty result
  /// @param options only `stop` has a meaning here
  /// @param observers called with a FlowView after every step of the batch, before ended
  ///   columns leave; those of solver/observer.hpp will do
  /// @throws size_error if k is 0 or not the map's dimension, or an event has another
  ///   dimension; whatever the map throws
  template <basin::backend B, class... Observers>
  [[nodiscard]] FlowResult<B> solve(const B& be, const typename B::const_view& starts,
                                    const run_options& options, Observers&&... observers) {
    check_starts<B>("FlowSolver::solve", starts);
    FlowRun<B, Method> run(be, method_, stopping_, starts, false);
    run.begin(map_);
    run.advance(map_, std::numeric_limits<double>::infinity(), options.stop, observers...);
    return run.result();
  }
  /// @copydoc solve
  template <basin::backend B>
  [[nodiscard]] FlowResult<B> solve(const B& be, const typename B::const_view& starts) {
    return solve(be, starts, run_options{});
  }
  /// Flows on the CPU, on as many threads as the machine has.
  template <class Derived, class... Arguments>
  [[nodiscard]] FlowResult<cpu<typename Derived::Scalar>> solve(
      const Eigen::MatrixBase<Derived>& starts, Arguments&&... arguments) {
    return solve(cpu<typename Derived::Scalar>{}, starts.derived(),
                 std::forward<Arguments>(arguments)...);
  }

  /// @throws size_error unless the starts fit the map and the events
  template <class B>
  void check_starts(std::string_view where, const typename B::const_view& starts) const {
    constexpr bool maps = latent_map<Map, B>;
    static_assert(maps, "basin::latent_map fails: the map has no form of map/concept.hpp");
    constexpr bool integrates = flow_method<Method, B>;
    static_assert(integrates, "basin::flow_method fails: see dynamics/flow_method.hpp");
    if (starts.rows() < 1) {
      throw size_error(std::string(where) + ": the starts have 0 rows, at least 1 is needed");
    }
    const auto k = static_cast<index_t>(starts.rows());
    require_dimension(where, map_, k);
    stopping_.check_dimension(k);
  }

 private:
  Map map_;
  Method method_;
  flow_stopping stopping_;
};

}  // namespace basin
