/// @file
/// In which order kernels that run on the CPU take their blocks and threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include <basin/core/index.hpp>
#include <basin/core/random.hpp>

namespace basin {

/// An order of blocks, of the warps of a block, and of the lanes of a warp.
enum class launch_order {
  forward,
  reversed,
  permuted,  ///< drawn anew after every barrier
};

/// The order in which an emulated launch runs. A kernel without a barrier that it needs may well
/// be right in one order: only one that is right in all of them has its barriers.
struct launch_schedule {
  launch_order order = launch_order::forward;
  std::uint64_t seed = 0;  ///< of the permutations
};

namespace detail {
/// What launches of this thread follow: reversed, unless said otherwise, since a reduction to the
/// first lane then never waits.
[[nodiscard]] inline launch_schedule& current_schedule() noexcept {
  static thread_local launch_schedule schedule{launch_order::reversed};
  return schedule;
}
}  // namespace detail

/// While it lives, launches of this thread that are emulated follow a schedule: for tests. A GPU
/// has its own.
class scoped_schedule {
 public:
  explicit scoped_schedule(launch_schedule schedule) noexcept
      : outer_(std::exchange(detail::current_schedule(), schedule)) {}
  scoped_schedule(const scoped_schedule&) = delete;
  scoped_schedule& operator=(const scoped_schedule&) = delete;
  ~scoped_schedule() { detail::current_schedule() = outer_; }

 private:
  launch_schedule outer_;
};

namespace detail {

/// Orders of a schedule, one after the other; of permutations each is another.
class Arrangement {
 public:
  /// @param kind of what is arranged: kinds have permutations of their own
  Arrangement(launch_schedule schedule, index_t kind) noexcept : schedule_(schedule), kind_(kind) {}

  /// Arranges 0 ... n - 1.
  void draw(index_t n) {
    count_ = n;
    if (schedule_.order != launch_order::permuted) return;
    permutation_.resize(static_cast<std::size_t>(n));
    std::iota(permutation_.begin(), permutation_.end(), index_t{0});
    // Fisher and Yates, in the form of Durstenfeld (1964).
    const random_stream stream{schedule_.seed, drawn_++};
    index_t* const entry = permutation_.data();
    philox_block words{};
    for (index_t i = n; i > 1; --i) {
      if (i == n || i % 4 == 3) {  // four have their words in common
        words = stream.words(static_cast<std::uint32_t>(i / 4), static_cast<std::uint64_t>(kind_));
      }
      const std::uint32_t word = words[static_cast<std::size_t>(i % 4)];
      std::swap(entry[i - 1], entry[static_cast<index_t>(word) % i]);
    }
  }
  /// Number k of the order.
  [[nodiscard]] index_t at(index_t k) const {
    if (schedule_.order == launch_order::forward) return k;
    if (schedule_.order == launch_order::reversed) return count_ - 1 - k;
    return permutation_[static_cast<std::size_t>(k)];
  }

 private:
  launch_schedule schedule_;
  index_t kind_;
  index_t count_ = 0;
  std::uint32_t drawn_ = 0;
  std::vector<index_t> permutation_;
};

}  // namespace detail
}  // namespace basin
