/// @file
/// Iterations that a backend records and runs again.
#pragma once

#include <utility>

#include <basin/backend/array_view.hpp>
#include <basin/core/index.hpp>
#include <basin/solver/run_state.hpp>

namespace basin::detail {

/// Some iterations as one launch of a graph, where the backend has graphs and what is remembered
/// is advanced by the same launches every time.
template <class B, class Memory>
class RecordedBlock {
 public:
  explicit RecordedBlock(const B&) {}
  template <class Step>
  void run(const B&, run_state<B>&, index_t steps, const Step& step) {
    for (index_t i = 0; i < steps; ++i) step();
  }
};
template <class B, class Memory>
  requires requires {
    typename B::graph;
    requires Memory::recordable;
  }
class RecordedBlock<B, Memory> {
 public:
  explicit RecordedBlock(const B& be) : graph_(be) {}
  template <class Step>
  void run(const B&, run_state<B>& run, index_t steps, const Step& step) {
    if (columns_ != run.active || !graph_.recorded()) {
      columns_ = -1;
      const auto* const states = raw_address(run.Z.data());
      const bool pending = run.pending;
      try {
        graph_.record([&] {
          for (index_t i = 0; i < steps; ++i) step();
        });
      } catch (...) {  // nothing has run: the run is as it was
        using std::swap;
        if (raw_address(run.Z.data()) != states) swap(run.Z, run.F);
        run.pending = pending;
        throw;
      }
      columns_ = run.active;
    }
    graph_.run();
  }

 private:
  typename B::graph graph_;
  index_t columns_ = -1;  ///< of the block that is recorded
};

}  // namespace basin::detail
