/// @file
/// The blocks of a flow, and which threads step them.
#pragma once

#include <algorithm>
#include <atomic>
#include <concepts>
#include <memory>
#include <stop_token>
#include <vector>

#include <basin/backend/concept.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/flow_block.hpp>
#include <basin/dynamics/flow_columns.hpp>
#include <basin/dynamics/step_controller.hpp>
#include <basin/map/concept.hpp>

namespace basin::detail {

/// Where copies of the map run apart, on the CPU, every thread follows blocks of columns by
/// itself, in the cache of its core and with a copy of the map; else the threads share the work
/// within every evaluation and sum. The bits are the same. A method that remembers has all its
/// columns in one block.
template <class B, class Method, class Map>
class FlowBlocks {
 public:
  using block = FlowBlock<B, Method>;
  using memory_type = typename block::memory_type;
  static constexpr bool has_midpoint = block::has_midpoint;
  static constexpr bool remembers = requires(memory_type& m, const B& be, const index_t* a) {
    m.swap_columns(be, a, a, index_t{});
  };
  static constexpr bool apart =
      is_cpu<B> && copies_run_apart<Map> && std::copy_constructible<Map> && !remembers;

  FlowBlocks(const B& be, Map& map, const Method& method, index_t k, index_t size) : map_(map) {
    if constexpr (apart) {
      // A few blocks to a thread, since some end before others; few columns to a block, whose
      // products then read their matrix where it stands.
      const index_t threads = be.threads();
      const index_t share = (size + 4 * threads - 1) / (4 * threads);
      together_ = std::min(size, std::clamp<index_t>(3072 / k, 24, 256));
      if (threads > 1) together_ = std::min(together_, std::max<index_t>(16, share));
      const index_t count = together_ > 0 ? (size + together_ - 1) / together_ : 0;
      for (index_t i = 0; i < std::min(threads, count); ++i) {
        blocks_.push_back(std::make_unique<block>(be, method, k, together_));
        copies_.emplace_back(map);
      }
    } else {
      together_ = remembers ? size : columns_per_step(be, k, size);
      blocks_.push_back(std::make_unique<block>(be, method, k, together_));
    }
  }

  /// What a method remembers, where it does.
  [[nodiscard]] memory_type& memory() noexcept { return blocks_[0]->memory(); }

  /// Lets columns 0 ... active - 1 attempt a step, or several where threads work apart and nobody
  /// wants to see each.
  void step(const B& be, FlowColumns<B>& all, const judge_columns<typename B::scalar>& judge,
            index_t active, bool one_by_one, const std::stop_token& stop) {
    const index_t count = (active + together_ - 1) / together_;
    const index_t attempts = apart && !one_by_one ? steps_apart : 1;
    const auto run = [&](block& one, Map& map, index_t i) {
      const index_t first = i * together_;
      one.run(be, map, all, judge, first, std::min(together_, active - first), attempts, stop);
    };
    if constexpr (apart) {
      std::atomic<index_t> next = 0;
      be.pool().run(static_cast<index_t>(blocks_.size()), [&](index_t task) {
        const auto at = static_cast<std::size_t>(task);
        try {
          for (index_t i; (i = next.fetch_add(1)) < count;) run(*blocks_[at], copies_[at], i);
        } catch (...) {
          next.store(count);  // the others end soon
          throw;
        }
      });
    } else {
      for (index_t i = 0; i < count; ++i) run(*blocks_[0], map_, i);
    }
  }

 private:
  /// Steps of a block between two looks at the other columns.
  static constexpr index_t steps_apart = 128;

  Map& map_;
  index_t together_ = 0;                        ///< columns of a block
  std::vector<std::unique_ptr<block>> blocks_;  ///< one to a thread that works apart
  std::vector<Map> copies_;                     ///< its map
};

}  // namespace basin::detail
