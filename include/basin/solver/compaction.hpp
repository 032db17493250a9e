/// @file
/// Columns that have ended leave a batch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <basin/backend/array_view.hpp>
#include <basin/core/index.hpp>
#include <basin/core/status.hpp>
#include <basin/solver/column_steps.hpp>
#include <basin/solver/run_state.hpp>

namespace basin::detail {

/// Takes ended columns out of the run and moves the last active ones into the holes.
///
/// Cost of a change of size: on a device the statuses, 32 bytes of each ended column and lists of
/// indices are moved, and the columns that fill holes are copied.
template <class B>
class Compaction {
 public:
  /// @param coupled whether columns end together
  /// @param holds_ends whether ended columns leave their states in the anchors
  Compaction(const B& be, const run_state<B>& run, bool coupled, bool holds_ends)
      : coupled_(coupled),
        holds_ends_(holds_ends),
        outcome_(static_cast<std::size_t>(run.capacity)),
        host_answers_(static_cast<std::size_t>(run.capacity)),
        answers_(be.template make_buffer<column_answer<typename B::scalar>>(run.capacity)),
        ended_(be.template make_buffer<index_t>(run.capacity)),
        origins_(be.template make_buffer<index_t>(run.capacity)) {
    host_ended_.reserve(static_cast<std::size_t>(run.capacity));
    host_origins_.reserve(static_cast<std::size_t>(run.capacity));
  }

  /// @param answered the answers of ended columns stand in the result already
  /// @param many whether ended columns may stay until they are an eighth of all: until then they
  ///   cost less than an eighth of the evaluations, and a batch that has n columns changes its size
  ///   at most log n / log(8/7) times
  template <class Memory>
  void collect(const B& be, run_state<B>& run, Memory& memory, bool answered, bool many = false) {
    const index_t n = run.active;
    if (n == 0) return;
    const index_t ended =
        count_if(be, array_view<const std::uint8_t>(run.outcome).first(n), is_ended{});
    if (ended == 0 || (coupled_ && ended < n)) return;
    if (many && 8 * ended < n) return;
    if (answered && ended == n) {
      run.active = 0;
      return;
    }
    leave(be, run, memory, answered);
  }
  template <class Memory>
  void collect_all(const B& be, run_state<B>& run, Memory& memory, status as) {
    const index_t n = run.active, k = run.dimension();
    if (n == 0) return;
    for_each_index(be, n,
                   end_columns<typename B::scalar>{
                       raw_address(run.Z.data()), raw_address(run.anchors.data()), k,
                       raw_address(run.outcome.data()), static_cast<std::uint8_t>(as)},
                   std::max<index_t>(1, 4096 / k));
    leave(be, run, memory, false);
  }

 private:
  template <class Memory>
  void leave(const B& be, run_state<B>& run, Memory& memory, bool answered) {
    const index_t n = run.active;
    download_array(be, array_view<const std::uint8_t>(run.outcome).first(n),
                   array_view<std::uint8_t>(outcome_).first(n));
    host_ended_.clear();
    host_origins_.clear();
    for (index_t j = 0; j < n; ++j) {
      if (!is_ended{}(outcome_[static_cast<std::size_t>(j)])) continue;
      host_ended_.push_back(j);
      host_origins_.push_back(run.origin[static_cast<std::size_t>(j)]);
    }
    const auto ended = static_cast<index_t>(host_ended_.size());
    if (!answered) write_answers(be, run, ended);
    fill_holes(be, run, memory, n - ended);
    run.active = n - ended;
  }

  void write_answers(const B& be, run_state<B>& run, index_t ended) {
    using scalar = typename B::scalar;
    put(be, host_ended_, ended_);
    put(be, host_origins_, origins_);
    const auto& ends = holds_ends_ ? run.anchors : run.Z;
    move_columns(be, columns(be, ends, 0, run.active),
                 array_view<const index_t>(ended_).first(ended),
                 array_view<const index_t>(origins_).first(ended),
                 columns(be, run.result.states, 0, run.size()));
    for_each_index(
        be, ended,
        gather_answers<scalar>{raw_address(run.records.data()), raw_address(answers_.data()),
                               raw_address(ended_.data())});
    download_array(be, array_view<const column_answer<scalar>>(answers_).first(ended),
                   array_view<column_answer<scalar>>(host_answers_).first(ended));
    for (std::size_t i = 0; i < host_ended_.size(); ++i) {
      write_answer(run.result, host_origins_[i],
                   static_cast<status>(outcome_[static_cast<std::size_t>(host_ended_[i])]),
                   host_answers_[i]);
    }
  }

  /// Columns behind `left` that are still active move into the holes before it.
  template <class Memory>
  void fill_holes(const B& be, run_state<B>& run, Memory& memory, index_t left) {
    using scalar = typename B::scalar;
    const auto is_hole = [&](index_t j) {
      return is_ended{}(outcome_[static_cast<std::size_t>(j)]);
    };
    const index_t n = run.active;
    const auto holes = static_cast<std::size_t>(
        std::count_if(host_ended_.begin(), host_ended_.end(), [&](index_t j) { return j < left; }));
    host_ended_.resize(holes);  // ascending, so the holes before `left` come first
    host_origins_.clear();
    for (index_t j = left; j < n; ++j) {
      if (!is_hole(j)) host_origins_.push_back(j);
    }
    if (holes == 0) return;
    put(be, host_ended_, ended_);
    put(be, host_origins_, origins_);
    const auto count = static_cast<index_t>(holes);
    const auto from = array_view<const index_t>(origins_).first(count);
    const auto to = array_view<const index_t>(ended_).first(count);
    for (auto* X : {&run.Z, &run.F, &run.anchors}) {
      move_columns(be, columns(be, std::as_const(*X), 0, n), from, to, columns(be, *X, 0, n));
    }
    memory.move_columns(be, from, to);
    for_each_index(
        be, count,
        move_records<scalar>{raw_address(run.records.data()), raw_address(run.residuals.data()),
                             raw_address(run.outcome.data()), from.data, to.data},
        4096);
    for (std::size_t i = 0; i < holes; ++i) {
      run.origin[static_cast<std::size_t>(host_ended_[i])] =
          run.origin[static_cast<std::size_t>(host_origins_[i])];
    }
  }

  static void put(const B& be, const std::vector<index_t>& host,
                  typename B::template buffer<index_t>& target) {
    upload_array(be, array_view<const index_t>(host),
                 array_view<index_t>(target).first(static_cast<index_t>(host.size())));
  }

  bool coupled_, holds_ends_;
  std::vector<std::uint8_t> outcome_;
  std::vector<column_answer<typename B::scalar>> host_answers_;
  typename B::template buffer<column_answer<typename B::scalar>> answers_;
  std::vector<index_t> host_ended_, host_origins_;
  typename B::template buffer<index_t> ended_, origins_;
};

}  // namespace basin::detail
