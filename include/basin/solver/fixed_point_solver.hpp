/// @file
/// Fixed points of a map from many starts at once.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <numeric>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include <basin/backend/concept.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/concept.hpp>
#include <basin/solver/accelerator.hpp>
#include <basin/solver/agreement.hpp>
#include <basin/solver/checkpoint.hpp>
#include <basin/solver/column_accelerator.hpp>
#include <basin/solver/column_steps.hpp>
#include <basin/solver/compaction.hpp>
#include <basin/solver/monitor.hpp>
#include <basin/solver/observer.hpp>
#include <basin/solver/options.hpp>
#include <basin/solver/recorded_block.hpp>
#include <basin/solver/result.hpp>
#include <basin/solver/run_state.hpp>
#include <basin/solver/stopping.hpp>

namespace basin {

/// Iterates a map from every column of a batch until each column has a status.
///
/// Columns that have ended leave the batch, so the cost follows the work that is
/// left. A column's answer is the same to the bit alone or in any batch, in any
/// order, on any number of threads, if the map's is: true of `columnwise` maps and
/// of maps made of the library's products and functions; for a batch lambda it is up
/// to that lambda.
///
/// @code
/// #include <iostream>
/// #include <basin/map/function_map.hpp>
/// #include <basin/solver/fixed_point_solver.hpp>
///
/// int main() {
///   // z -> cos z in R^3 from four starts.
///   const auto map = basin::function_map(3, [](const auto& Z) { return Z.array().cos(); });
///   basin::FixedPointSolver solver{map, basin::picard{}, basin::stopping{.residual = 1e-12}};
///   const auto found = solver.solve(Eigen::MatrixXd::Random(3, 4));
///   std::cout << found.states << '\n' << to_string(found.status[0]) << '\n';
/// }
/// @endcode
///
/// @tparam Map any callable in a form of map/concept.hpp; held by value
/// @tparam Accelerator how the next state follows, see solver/accelerator.hpp
/// @tparam Stopping the stopping rule, see solver/stopping.hpp
///
/// One solver serves one thread at a time; it keeps no state between runs but what
/// the map keeps.
template <class Map, class Accelerator = picard, class Stopping = stopping>
class FixedPointSolver {
  // Tested through constants, so that an error is short and says which concept failed.
  static constexpr bool rules = stopping_rule<Stopping>;
  static_assert(rules, "basin::stopping_rule fails: the rule must derive from basin::stopping");

 public:
  /// @throws argument_error if a setting is outside its range
  explicit FixedPointSolver(Map map, Accelerator accelerator = {}, Stopping rule = {})
      : map_(std::move(map)), accelerator_(std::move(accelerator)), rule_(std::move(rule)) {
    if constexpr (rules) rule_.check();
    if constexpr (requires { accelerator_.check(); }) accelerator_.check();
  }

  [[nodiscard]] Map& map() noexcept { return map_; }
  [[nodiscard]] const Accelerator& accelerator_settings() const noexcept { return accelerator_; }
  [[nodiscard]] const Stopping& rule() const noexcept { return rule_; }

  /// Runs from every column of `starts`.
  /// @param starts k × N in the backend's memory; N = 0 gives an empty result
  /// @param observers see solver/observer.hpp
  /// @throws size_error if k is 0 or not the map's dimension, or the map returns
  ///   another shape at once; map_failure if the map throws later, with all work so far
  ///   inside and in the checkpoint's file, where there is one
  template <basin::backend B, class... Observers>
  [[nodiscard]] FixedPointResult<B> solve(const B& be, const typename B::const_view& starts,
                                          const run_options& options, Observers&&... observers) {
    constexpr bool maps = latent_map<Map, B>;
    static_assert(maps,
                  "basin::latent_map fails: the map has no form of map/concept.hpp for this "
                  "backend's scalar");
    constexpr bool accelerates = accelerator<Accelerator, B>;
    static_assert(accelerates,
                  "basin::accelerator fails: see solver/accelerator.hpp; the stopping rule is the "
                  "third argument");
    constexpr bool derives = derives_enough<B>();
    static_assert(derives,
                  "basin::has_jvp fails: this accelerator takes products with the Jacobian; see "
                  "differentiable and finite_difference");
    if constexpr (maps && accelerates && derives) {
      require(options.follow >= 0, "solve",
              "follow is " + std::to_string(options.follow) + ", must be at least 0");
      if constexpr (is_batch_coupled<Map>) {
        require(options.follow == 0, "solve",
                "follow: the starts of a batch-coupled map cannot be followed apart");
      }
      FixedPointResult<B> result = run_from(be, starts, options, observers...);
      if constexpr (!takes_the_value<Accelerator> && !is_batch_coupled<Map>) {
        if (options.follow > 0) {
          try {
            result.agreement = follow_sample(be, starts, result, options.follow, options.stop);
          } catch (const std::exception& thrown) {  // the run itself is not lost by that
            result.agreement.failure = thrown.what();
          } catch (...) {
            result.agreement.failure = "the map threw";
          }
        }
      }
      return result;
    } else {
      return {};
    }
  }
  /// @copydoc solve
  template <basin::backend B>
  [[nodiscard]] FixedPointResult<B> solve(const B& be, const typename B::const_view& starts) {
    return solve(be, starts, run_options{});
  }
  /// Runs on the CPU, on as many threads as the machine has.
  template <class Derived, class... Arguments>
  [[nodiscard]] FixedPointResult<cpu<typename Derived::Scalar>> solve(
      const Eigen::MatrixBase<Derived>& starts, Arguments&&... arguments) {
    return solve(cpu<typename Derived::Scalar>{}, starts.derived(),
                 std::forward<Arguments>(arguments)...);
  }

  /// Goes on from a checkpoint to bitwise the answer of the run it was taken from.
  /// @throws argument_error if the checkpoint is of a solver with other settings;
  ///   size_error if it is of a map of another dimension
  template <basin::backend B, class... Observers>
    requires latent_map<Map, B> && accelerator<Accelerator, B>
  [[nodiscard]] FixedPointResult<B> resume(const B& be, const Checkpoint<B>& checkpoint,
                                           const run_options& options = {},
                                           Observers&&... observers) {
    const checkpoint_header& header = checkpoint.header();
    require(header.fingerprint == fingerprint(), "resume",
            "the checkpoint was taken with another accelerator or stopping rule");
    require_dimension("resume", map_, header.dimension);
    run_state<B> run(be, header.dimension, header.size, header.capacity);
    run.active = header.active;
    run.begun = header.begun;
    run.pending = header.pending != 0;
    detail::ByteReader reader(checkpoint.run().data(),
                              checkpoint.run().data() + checkpoint.run().size());
    detail::archive_run(be, reader, run);
    for (index_t j = 0; j < run.active; ++j) {
      const index_t start = run.origin[static_cast<std::size_t>(j)];
      require(start >= 0 && start < run.begun, "resume", "the checkpoint has an impossible start");
    }
    accelerator_state<B> memory(accelerator_, be, run.dimension(), header.capacity);
    if constexpr (requires { memory.archive(reader); }) {
      detail::ByteReader rest(checkpoint.accelerator().data(),
                              checkpoint.accelerator().data() + checkpoint.accelerator().size());
      memory.archive(rest);
    }
    return iterate(be, run, memory, options, observers...);
  }
  /// Goes on from a checkpoint's file.
  /// @throws file_error if the file is damaged, see Checkpoint::load
  template <basin::backend B, class... Observers>
    requires latent_map<Map, B> && accelerator<Accelerator, B>
  [[nodiscard]] FixedPointResult<B> resume(const B& be, const std::string& path,
                                           const run_options& options = {},
                                           Observers&&... observers) {
    return resume(be, Checkpoint<B>::load(path), options, observers...);
  }

  /// Iterates some starts of an accelerated run without acceleration, under the same stopping
  /// rule, and compares the ends. A residual is not an error: by three more steps from either end
  /// the rate q is measured, and the ends are the same place if they are no further apart than
  /// three times the sum of their ‖r‖ / (1 - q); steps that do not shrink are at no attractor.
  ///
  /// Cost: all iterations of those starts.
  /// @param starts k × N, those of the run
  /// @param found what the run gave back
  /// @param count starts to follow, evenly spaced among those that converged
  /// @param stop ask it to stop, and the starts that have not arrived are undecided
  /// @throws size_error unless `found` has as many columns as `starts`
  template <basin::backend B>
    requires latent_map<Map, B> && (!is_batch_coupled<Map>)
  [[nodiscard]] basin_agreement follow_sample(const B& be, const typename B::const_view& starts,
                                              const FixedPointResult<B>& found, index_t count,
                                              const std::stop_token& stop = {}) {
    require_size("follow_sample", "number of starts", static_cast<index_t>(starts.cols()),
                 found.size());
    const std::vector<index_t> which = detail::sample_of_converged(found.status, count);
    if (which.empty()) return {};
    auto by_reference = [this](const B& on, const typename B::const_view& Z,
                               typename B::view& out) { evaluate(on, map_, Z, out); };
    FixedPointSolver<decltype(by_reference), picard, Stopping> plain(by_reference, {}, rule_);
    const auto from = detail::chosen_columns(be, starts, which);
    const auto ends = detail::chosen_columns(be, columns(be, found.states, 0, found.size()), which);
    return detail::compare_ends(
        be, plain.map(), which, ends,
        plain.solve(be, columns(be, from, 0, static_cast<index_t>(which.size())),
                    run_options{.stop = stop}));
  }

 private:
  template <class B>
  static constexpr bool runs_columns = is_columnwise<Map> && pointwise_accelerator<Accelerator> &&
                                       std::same_as<B, cpu<typename B::scalar>>;

  /// Whether ended columns leave their states in the anchors.
  template <class B>
  static constexpr bool holds_ends = !runs_columns<B> && !is_batch_coupled<Map>;

  template <class B>
  using accelerator_state = typename detail::accelerator_state<Accelerator, B>::type;

  /// Whether the host looks only now and then at who has ended, so that a device need not wait: not
  /// where columns wait for each other, or the accelerator asks the host anyway.
  template <class B, class Memory>
  static constexpr bool looks_now_and_then =
      holds_ends<B> && !takes_products<Memory> && !std::same_as<B, cpu<typename B::scalar>>;

  /// Whether the map has the products with the Jacobian that the accelerator takes.
  template <class B>
  [[nodiscard]] static consteval bool derives_enough() {
    if constexpr (accelerator<Accelerator, B>) {
      return !takes_products<accelerator_state<B>> || has_jvp<Map, B>;
    } else {
      return true;
    }
  }

  /// Steps of a column between two looks at the other columns, and columns active at
  /// once, where columns run by themselves: their arrays stay in cache.
  static constexpr index_t steps_by_themselves = 4096;
  static constexpr index_t columns_by_themselves = 16384;

  [[nodiscard]] std::uint64_t fingerprint() const {
    detail::checksum sum;
    const auto add = [&](const auto& value) { sum.add(&value, sizeof value); };
    const stopping& s = rule_;
    add(s.residual), add(s.norm), add(s.max_iterations), add(s.max_evaluations), add(s.divergence);
    add(s.window), add(s.patience), add(s.progress), add(s.max_period), add(s.cycle_tolerance);
    add(s.marginal_band);
    const std::string_view kind = typeid(Accelerator).name();
    sum.add(kind.data(), kind.size());
    if constexpr (requires { accelerator_.each_setting(add); }) accelerator_.each_setting(add);
    return sum.value();
  }

  /// Lets the next starts begin, as many as there is room for.
  template <class B>
  static void begin_starts(const B& be, run_state<B>& run) {
    const index_t first = run.active;
    const index_t count = std::min(run.capacity - first, run.size() - run.begun);
    const index_t k = run.dimension();
    for_each_index(
        be, count,
        detail::begin_columns<typename B::scalar>{
            raw_address(run.result.states.data()) + run.begun * k,
            raw_address(run.Z.data()) + first * k, raw_address(run.anchors.data()) + first * k, k,
            raw_address(run.records.data()) + first, raw_address(run.outcome.data()) + first},
        std::max<index_t>(1, 4096 / (k + 16)));
    std::iota(run.origin.begin() + first, run.origin.begin() + first + count, run.begun);
    run.active += count;
    run.begun += count;
  }

  template <class B, class Memory>
  [[nodiscard]] Checkpoint<B> take_checkpoint(const B& be, run_state<B>& run,
                                              Memory& memory) const {
    detail::ByteWriter arrays;
    detail::archive_run(be, arrays, run);
    detail::ByteWriter remembered;
    if constexpr (requires { memory.archive(remembered); }) memory.archive(remembered);
    checkpoint_header header;
    header.scalar_size = sizeof(typename B::scalar);
    header.dimension = run.dimension();
    header.size = run.size();
    header.capacity = run.capacity;
    header.begun = run.begun;
    header.active = run.active;
    header.pending = run.pending ? 1 : 0;
    header.fingerprint = fingerprint();
    return {header, std::move(arrays.bytes_), std::move(remembered.bytes_)};
  }

  template <class B, class... Observers>
  FixedPointResult<B> run_from(const B& be, const typename B::const_view& starts,
                               const run_options& options, Observers&... observers) {
    if (starts.rows() < 1) throw size_error("solve: the starts have 0 rows, at least 1 is needed");
    require_dimension("solve", map_, static_cast<index_t>(starts.rows()));
    const auto n = static_cast<index_t>(starts.cols());
    const bool by_themselves = runs_columns<B> && (... && observes_now_and_then(observers));
    run_state<B> run(be, static_cast<index_t>(starts.rows()), n,
                     by_themselves ? columns_by_themselves : n);
    copy(be, starts, columns(be, run.result.states, 0, n));
    accelerator_state<B> memory(accelerator_, be, run.dimension(), run.capacity);
    return iterate(be, run, memory, options, observers...);
  }

  template <class B, class Memory, class... Observers>
  FixedPointResult<B> iterate(const B& be, run_state<B>& run, Memory& memory,
                              const run_options& options, Observers&... observers) {
    using scalar = typename B::scalar;
    using clock = std::chrono::steady_clock;
    const ColumnMonitor<scalar, Stopping> monitor(rule_, run.dimension());
    detail::Compaction<B> leaving(be, run, is_batch_coupled<Map>, holds_ends<B>);
    index_t between = runs_columns<B> ? steps_by_themselves : 1;
    detail::RecordedBlock<B, Memory> block(be);
    auto next_checkpoint = clock::now() + std::chrono::duration<double>(options.checkpoint_seconds);
    bool keep_checkpoint = false;
    index_t iteration = 0;
    // Nothing of the run is lost with the exception of a map.
    const auto fail = [&](const std::string& message) {
      const Checkpoint<B> latest = take_checkpoint(be, run, memory);
      // A file of the moment before it was stopped holds more.
      if (!options.checkpoint.empty() && !keep_checkpoint) latest.save(options.checkpoint);
      std::throw_with_nested(map_failure<B>(message, latest));
    };
    const bool one_by_one = !(... && observes_now_and_then(observers));
    const index_t between_looks = looks_now_and_then<B, Memory> && !one_by_one ? 4 : 1;
    if (one_by_one) between = 1;
    if constexpr (holds_ends<B> && requires { memory.follow(array_view<const std::uint8_t>()); }) {
      memory.follow(run.outcome);
    }
    leaving.collect(be, run, memory, false);  // of a checkpoint that a failure made
    for (;;) {
      if (2 * run.active <= run.capacity && run.begun < run.size()) {
        begin_starts(be, run);
        leaving.collect(be, run, memory, false);  // starts that are not finite
        continue;
      }
      if (run.active == 0) break;
      if (options.stop.stop_requested()) {
        if (!options.checkpoint.empty() && !std::exchange(keep_checkpoint, true)) {
          take_checkpoint(be, run, memory).save(options.checkpoint);
        }
        leaving.collect(be, run, memory, runs_columns<B>);
        leaving.collect_all(be, run, memory, status::cancelled);
        continue;
      }
      index_t steps = between;
      try {
        if constexpr (runs_columns<B>) {
          detail::step_columns(be, map_, accelerator_, monitor, run, between, options.stop);
        } else if (options.graph && between_looks > 1 && iteration > 0 &&
                   iteration % between_looks == 0) {
          // The first block has made the memory that maps and libraries want.
          steps = between_looks;
          block.run(be, run, steps, [&] { step_batch(be, run, memory, monitor); });
        } else {
          step_batch(be, run, memory, monitor);
        }
      } catch (const error& misuse) {
        if (iteration == 0 && nothing_evaluated(run)) throw;  // there is nothing to lose
        fail(misuse.what());
      } catch (const std::exception& failure) {
        fail(std::string("the map threw: ") + failure.what());
      } catch (...) {
        fail("the map threw");
      }
      iteration += steps;
      if constexpr (sizeof...(observers) > 0) {
        const IterationView<B> view{be,
                                    columns(be, std::as_const(run.Z), 0, run.active),
                                    array_view<const scalar>(run.residuals).first(run.active),
                                    array_view<const std::uint8_t>(run.outcome).first(run.active),
                                    array_view<const index_t>(run.origin).first(run.active),
                                    iteration - 1,
                                    run.size(),
                                    run.begun - run.active};
        (observers(view), ...);
      }
      if (iteration % between_looks == 0) {
        leaving.collect(be, run, memory, runs_columns<B>, between_looks > 1);
      }
      const bool goes_on = run.active > 0 || run.begun < run.size();
      if (!options.checkpoint.empty() && goes_on && clock::now() >= next_checkpoint) {
        take_checkpoint(be, run, memory).save(options.checkpoint);
        next_checkpoint = clock::now() + std::chrono::duration<double>(options.checkpoint_seconds);
      }
    }
    if constexpr (!takes_the_value<Accelerator>) {
      try {
        confirm_cycles(be, run.result);
      } catch (const std::exception& failure) {
        fail(std::string("the map threw: ") + failure.what());
      } catch (...) {
        fail("the map threw");
      }
    }
    if (!options.checkpoint.empty() && !keep_checkpoint) {
      std::error_code ignored;
      std::filesystem::remove(options.checkpoint, ignored);
    }
    FixedPointResult<B>& result = run.result;
    if constexpr (requires { memory.report(); }) result.acceleration = memory.report();
    index_t slowest = 0;
    for (const index_t n : result.evaluations) {
      result.work.evaluations += n;
      slowest = std::max(slowest, n);
    }
    result.work.saved = slowest * run.size() - result.work.evaluations;
    return std::move(result);
  }

  /// Whether no column has been evaluated yet. Columns that run by themselves may have been,
  /// within what counts as one iteration here.
  template <class B>
  [[nodiscard]] static bool nothing_evaluated(const run_state<B>& run) {
    if constexpr (runs_columns<B>) {
      return std::all_of(run.records.begin(), run.records.begin() + run.active,
                         [](const auto& record) { return record.evaluations == 0; });
    } else {
      return true;
    }
  }

  /// One iteration of the whole batch: next states, evaluation, residuals, statuses.
  template <class B, class Memory>
  void step_batch(const B& be, run_state<B>& run, Memory& memory,
                  const ColumnMonitor<typename B::scalar, Stopping>& monitor) {
    using scalar = typename B::scalar;
    const index_t n = run.active;
    if (!run.pending) advance_batch(be, run, memory);
    run.pending = true;
    evaluate(be, map_, columns(be, std::as_const(run.Z), 0, n), columns(be, run.F, 0, n));
    column_squared_distances(be, columns(be, std::as_const(run.Z), 0, n),
                             columns(be, std::as_const(run.F), 0, n),
                             array_view<scalar>(run.residuals).first(n));
    if constexpr (requires { memory.review(be, run.Z, run.F, array_view<scalar>(), n); }) {
      memory.review(be, run.Z, run.F, array_view<scalar>(run.residuals).first(n), n);
    }
    const index_t k = run.dimension();
    for_each_index(
        be, n,
        detail::monitor_columns<scalar, Stopping>{
            monitor, raw_address(run.records.data()), raw_address(run.residuals.data()),
            raw_address(run.outcome.data()), raw_address(run.Z.data()), raw_address(run.F.data()),
            raw_address(run.anchors.data()), k, is_batch_coupled<Map>},
        std::max<index_t>(1, 4096 / k));
    run.pending = false;
  }

  /// An accelerated iteration may return to a state where z -> f(z) does not: then the column
  /// is stalled. Follows f from the state of every cycle, which also finds its least period.
  template <class B>
  void confirm_cycles(const B& be, FixedPointResult<B>& result) {
    using scalar = typename B::scalar;
    std::vector<index_t> which;
    index_t longest = 0;
    for (index_t j = 0; j < result.size(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      const bool is_cycle = result.status[at] == status::cycle;
      if (is_cycle) longest = std::max(longest, result.period[at]);
      if (is_cycle || is_batch_coupled<Map>) which.push_back(j);
    }
    if (longest == 0) return;
    const auto n = static_cast<index_t>(which.size());
    const auto k = static_cast<index_t>(result.states.rows());
    auto Z = be.make_matrix(k, n);
    auto F = be.make_matrix(k, n);
    auto first = be.make_matrix(k, n);
    auto squares = be.template make_buffer<scalar>(n);
    auto places = be.template make_buffer<index_t>(n);
    std::vector<scalar> distance(which.size());
    std::vector<index_t> period(which.size(), 0);
    std::vector<index_t> spent(which.size(), 0);  // counted once all is evaluated: it may throw
    upload_array(be, array_view<const index_t>(which), array_view<index_t>(places).first(n));
    gather_columns(be, columns(be, std::as_const(result.states), 0, result.size()),
                   array_view<const index_t>(places).first(n), columns(be, first, 0, n));
    copy(be, columns(be, std::as_const(first), 0, n), columns(be, Z, 0, n));
    const double tolerance = std::max(rule_.cycle_tolerance, sizeof(scalar) == 4 ? 1e-5 : 0.0);
    for (index_t t = 1; t <= longest; ++t) {
      using std::swap;
      evaluate(be, map_, columns(be, std::as_const(Z), 0, n), columns(be, F, 0, n));
      swap(Z, F);
      column_squared_distances(be, columns(be, std::as_const(Z), 0, n),
                               columns(be, std::as_const(first), 0, n),
                               array_view<scalar>(squares).first(n));
      download_array(be, array_view<const scalar>(squares).first(n),
                     array_view<scalar>(distance).first(n));
      for (std::size_t i = 0; i < which.size(); ++i) {
        const auto at = static_cast<std::size_t>(which[i]);
        if (result.status[at] != status::cycle || period[i] > 0 || t > result.period[at]) continue;
        if (result.evaluations[at] + spent[i] >= rule_.max_evaluations) continue;
        ++spent[i];
        const double most = tolerance * static_cast<double>(result.residual[at]);
        if (static_cast<double>(distance[i]) <= most * most) period[i] = t;
      }
    }
    for (std::size_t i = 0; i < which.size(); ++i) {
      const auto at = static_cast<std::size_t>(which[i]);
      if (result.status[at] != status::cycle) continue;
      result.evaluations[at] += spent[i];
      result.period[at] = period[i];
      if (period[i] < 2) {
        result.status[at] = status::stalled;
        result.period[at] = 0;
      }
    }
  }

  template <class B, class Memory>
  void advance_batch(const B& be, run_state<B>& run, Memory& memory) {
    if constexpr (takes_products<Memory>) {
      auto spent = be.template make_buffer<index_t>(run.active);
      memory.advance(be, map_, run.Z, run.F, array_view<index_t>(spent), run.active);
      for_each_index(be, run.active,
                     detail::add_evaluations<typename B::scalar>{raw_address(run.records.data()),
                                                                 raw_address(spent.data())});
    } else {
      memory.advance(be, run.Z, run.F, run.active);
    }
  }

  Map map_;
  Accelerator accelerator_;
  Stopping rule_;
};

}  // namespace basin
