/// @file
/// The continuous flow of a map from many starts at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <basin/backend/concept.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/dynamics/flow_checkpoint.hpp>
#include <basin/dynamics/flow_method.hpp>
#include <basin/dynamics/flow_result.hpp>
#include <basin/dynamics/flow_run.hpp>
#include <basin/dynamics/flow_stopping.hpp>
#include <basin/map/concept.hpp>
#include <basin/solver/observer.hpp>
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
  /// @param options how it is stopped from outside, and where its checkpoints go
  /// @param observers called with a FlowView after every step of the batch, before ended
  ///   columns leave; those of solver/observer.hpp will do
  /// @throws size_error if k is 0 or not the map's dimension, or an event has another
  ///   dimension; what the map throws at once if it is the library's own; flow_failure if the map
  ///   throws else, with all work so far inside and in the checkpoint's file, where there is one
  template <basin::backend B, class... Observers>
  [[nodiscard]] FlowResult<B> solve(const B& be, const typename B::const_view& starts,
                                    const run_options& options, Observers&&... observers) {
    check_starts<B>("FlowSolver::solve", starts);
    FlowRun<B, Method, Map> run(be, map_, method_, stopping_, starts, false);
    return finish(run, options, observers...);
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

  /// Goes on from a checkpoint to bitwise the answer of the run it was taken from.
  /// @throws argument_error if the checkpoint is of a solver with other settings;
  ///   size_error if it is of a map of another dimension
  template <basin::backend B, class... Observers>
  [[nodiscard]] FlowResult<B> resume(const B& be, const FlowCheckpoint<B>& checkpoint,
                                     const run_options& options = {}, Observers&&... observers) {
    require(checkpoint.header().fingerprint == detail::flow_fingerprint(method_, stopping_),
            "FlowSolver::resume", "the checkpoint was taken with another method or stopping rule");
    require_dimension("FlowSolver::resume", map_, checkpoint.header().dimension);
    FlowRun<B, Method, Map> run(be, map_, method_, stopping_, checkpoint);
    return finish(run, options, observers...);
  }
  /// Goes on from a checkpoint's file.
  /// @throws file_error if the file is damaged, see FlowCheckpoint::load
  template <basin::backend B, class... Observers>
  [[nodiscard]] FlowResult<B> resume(const B& be, const std::string& path,
                                     const run_options& options = {}, Observers&&... observers) {
    return resume(be, FlowCheckpoint<B>::load(path), options, observers...);
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
  /// Runs to the end, with checkpoints.
  template <class B, class... Observers>
  FlowResult<B> finish(FlowRun<B, Method, Map>& run, const run_options& options,
                       Observers&... observers) {
    using clock = std::chrono::steady_clock;
    const std::chrono::duration<double> interval(options.checkpoint_seconds);
    const std::uint64_t fingerprint = detail::flow_fingerprint(method_, stopping_);
    const auto save = [&] { run.checkpoint(fingerprint).save(options.checkpoint); };
    // Nothing of the run is lost with the exception of a map.
    const auto fail = [&](const std::string& message) {
      const FlowCheckpoint<B> latest = run.checkpoint(fingerprint);
      if (!options.checkpoint.empty()) latest.save(options.checkpoint);
      std::throw_with_nested(flow_failure<B>(message, latest));
    };
    auto due = clock::now() + interval;
    const auto between = [&] {
      if constexpr (sizeof...(observers) > 0) {
        const FlowView<B> view = run.view();
        (observers(view), ...);
      }
      if (!options.checkpoint.empty() && clock::now() >= due) {
        save();
        due = clock::now() + interval;
      }
    };
    const bool one_by_one = !(... && observes_now_and_then(observers));
    try {
      run.begin();
      run.advance(std::numeric_limits<double>::infinity(), options.stop, one_by_one, between);
    } catch (const error& misuse) {
      if (!run.has_failed() || run.phase() == flow_phase::taken) throw;
      fail(misuse.what());
    } catch (const std::exception& failure) {
      if (!run.has_failed()) throw;  // an observer
      fail(std::string("the map threw: ") + failure.what());
    } catch (...) {
      if (!run.has_failed()) throw;
      fail("the map threw");
    }
    const bool is_stopped = run.active() > 0;
    if (!options.checkpoint.empty()) {
      if (is_stopped) {
        save();
      } else {
        std::error_code ignored;
        std::filesystem::remove(options.checkpoint, ignored);
      }
    }
    run.cancel();
    return run.result();
  }

  Map map_;
  Method method_;
  flow_stopping stopping_;
};

}  // namespace basin
