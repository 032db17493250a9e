/// @file
/// A block of a flow's columns that take their steps together.
#pragma once

#include <stop_token>
#include <utility>

#include <basin/backend/concept.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/flow_columns.hpp>
#include <basin/dynamics/flow_compaction.hpp>
#include <basin/dynamics/flow_method.hpp>
#include <basin/dynamics/path.hpp>
#include <basin/dynamics/step_controller.hpp>
#include <basin/map/concept.hpp>

namespace basin::detail {

template <class Scalar>
struct spread_steps {
  const Scalar* steps;
  Scalar* entries;
  BASIN_HOST_DEVICE void operator()(index_t i, index_t j) const { entries[i] = steps[j]; }
};

/// A method with what one step of up to `capacity` columns needs. Several blocks may run at once,
/// each on columns and with a map of its own.
template <class B, class Method>
class FlowBlock {
 public:
  using scalar = typename B::scalar;
  using memory_type = typename Method::template state<B>;
  static constexpr bool has_midpoint = Method::interpolation == flow_interpolation::quartic;
  static constexpr bool counts_products = requires { requires Method::counts_products; };

  FlowBlock(const B& be, const Method& method, index_t k, index_t capacity)
      : entry_steps_(be, k, is_cpu<B> && k < few_entries ? capacity : 0),
        next_(be, k, capacity),
        next_values_(be, k, capacity),
        errors_(be, k, method.control().is_fixed() ? 0 : capacity),
        products_(be.template make_buffer<index_t>(counts_products ? capacity : 0)),
        memory_(method, be, k, capacity),
        compaction_(be, capacity) {}

  [[nodiscard]] memory_type& memory() noexcept { return memory_; }
  [[nodiscard]] index_t capacity() const noexcept { return next_.capacity(); }

  /// Lets the running columns first ... first + count - 1 attempt up to `attempts` steps each.
  /// Where the map throws, the columns stand as before the attempt.
  /// @param judge of the run, see `step_judge`
  template <class Map>
  void run(const B& be, Map& map, FlowColumns<B>& all, judge_columns<scalar> judge, index_t first,
           index_t count, index_t attempts, const std::stop_token& stop) {
    FlowBatch<B> states = all.Z.part(first, count);
    FlowBatch<B> values = all.F.part(first, count);
    FlowBatch<B> mid = all.mid.part(first, count);
    judge.next = next_.data();
    judge.next_values = next_values_.data();
    judge.errors = errors_.capacity() > 0 ? errors_.data() : nullptr;
    judge.products = counts_products ? raw_address(products_.data()) : nullptr;
    judge = judge.part(first);
    for (;;) {
      for (FlowBatch<B>* batch : {&states, &values, &next_, &next_values_}) batch->use(count);
      if (errors_.capacity() > 0) errors_.use(count);
      if (mid.capacity() > 0) mid.use(count);
      attempt(be, map, judge, states, values, mid, all, first, count);
      if (--attempts == 0 || stop.stop_requested()) return;
      no_memory nothing;  // a method that remembers has all its columns in one block
      count = compaction_.gather(be, all, nothing, first, count);
      if (count == 0) return;
    }
  }

 private:
  template <class Map>
  void attempt(const B& be, Map& map, const judge_columns<scalar>& judge,
               const FlowBatch<B>& states, const FlowBatch<B>& values, FlowBatch<B>& mid,
               FlowColumns<B>& all, index_t first, index_t count) {
    if constexpr (counts_products) {
      for_each_entry(be, 1, count, fill_zero<index_t>{raw_address(products_.data())});
    }
    const index_t k = states.rows();
    const scalar* const steps = raw_address(all.steps.data()) + first;
    if (entry_steps_.capacity() > 0) {
      for_each_entry(be, k, count, spread_steps<scalar>{steps, entry_steps_.data()});
    }
    try {
      memory_.step(be, map,
                   flow_attempt<B>{count, states, values, next_, next_values_, errors_, steps,
                                   entry_steps_.capacity() > 0 ? entry_steps_.data() : nullptr,
                                   raw_address(products_.data())});
      if constexpr (!memory_type::evaluates_next) {
        evaluate(be, map, std::as_const(next_).view(), next_values_.view());
      }
    } catch (...) {
      if constexpr (requires { memory_.step_failed(); }) memory_.step_failed();
      throw;
    }
    if constexpr (has_midpoint) {
      if (judge.dense) memory_.midpoint(mid);
    }
    for_each_index(be, count, judge, columns_per_task(k));
    if (judge.dense) {
      for_each_index(be, count,
                     measure_paths<scalar>{judge, mid.capacity() > 0 ? mid.data() : nullptr},
                     columns_per_task(k));
    }
  }

  /// Below this, loops over the entries of a column are too short for registers.
  static constexpr index_t few_entries = 16;

  FlowBatch<B> entry_steps_, next_, next_values_, errors_;
  typename B::template buffer<index_t> products_;
  memory_type memory_;
  FlowCompaction<B> compaction_;
};

}  // namespace basin::detail
