/// @file
/// Disjoint sets that several threads unite at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include <basin/core/index.hpp>

namespace basin::detail {

/// A partition of 0 ... n - 1 by trees of parents (Galler and Fischer 1964), with halved paths.
/// Roots are hung below smaller roots by an atomic exchange, so that threads may unite and ask at
/// once (Anderson and Woll 1991). What it ends with does not depend on their order.
class DisjointSets {
 public:
  explicit DisjointSets(index_t n) : parents_(static_cast<std::size_t>(n)) {
    for (std::size_t i = 0; i < parents_.size(); ++i) {
      parents_[i].store(static_cast<std::uint32_t>(i), std::memory_order_relaxed);
    }
  }

  /// The least element of i's set, once nobody unites any more; meanwhile one of its elements.
  [[nodiscard]] index_t find(index_t i) {
    auto at = static_cast<std::uint32_t>(i);
    for (;;) {
      const std::uint32_t parent = load(at);
      if (parent == at) return static_cast<index_t>(at);
      const std::uint32_t above = load(parent);
      // An ancestor stays one, so that it does no harm to write an old one.
      if (above != parent) parents_[at].store(above, std::memory_order_relaxed);
      at = above;
    }
  }
  [[nodiscard]] bool same(index_t i, index_t j) { return find(i) == find(j); }
  void unite(index_t i, index_t j) {
    for (;;) {
      i = find(i);
      j = find(j);
      if (i == j) return;
      if (i > j) std::swap(i, j);
      auto expected = static_cast<std::uint32_t>(j);
      if (parents_[expected].compare_exchange_strong(expected, static_cast<std::uint32_t>(i),
                                                     std::memory_order_relaxed)) {
        return;
      }
    }
  }

 private:
  [[nodiscard]] std::uint32_t load(std::uint32_t i) const {
    return parents_[i].load(std::memory_order_relaxed);
  }
  std::vector<std::atomic<std::uint32_t>> parents_;
};

}  // namespace basin::detail
