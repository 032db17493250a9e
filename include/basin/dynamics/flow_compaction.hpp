/// @file
/// Brings the columns that still flow to the front.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <basin/backend/concept.hpp>
#include <basin/dynamics/flow_columns.hpp>

namespace basin::detail {

struct is_not_running {
  BASIN_HOST_DEVICE bool operator()(std::uint8_t outcome) const { return outcome != 0; }
};

/// Where a method remembers nothing of its columns.
struct no_memory {};

/// Moves ended and parked columns behind the running ones. Memory for `capacity` columns.
template <class B>
class FlowCompaction {
 public:
  FlowCompaction(const B& be, index_t capacity)
      : outcome_(static_cast<std::size_t>(capacity)),
        left_(be.template make_buffer<index_t>(capacity)),
        right_(be.template make_buffer<index_t>(capacity)) {
    host_left_.reserve(outcome_.size());
    host_right_.reserve(outcome_.size());
  }

  /// Brings the running ones among the n columns from `first` on to their front.
  /// @param memory of a method; what it remembers moves along
  /// @return how many are running
  template <class Memory>
  index_t gather(const B& be, FlowColumns<B>& all, Memory& memory, index_t first, index_t n) {
    if (n == 0) return 0;
    const array_view<const std::uint8_t> outcome{raw_address(all.outcome.data()) + first, n};
    if (count_if(be, outcome, is_not_running{}) == 0) return n;
    download_array(be, outcome, array_view<std::uint8_t>(outcome_).first(n));
    return partition(be, all, memory, first, n);
  }

 private:
  template <class Memory>
  index_t partition(const B& be, FlowColumns<B>& all, Memory& memory, index_t first, index_t n) {
    host_left_.clear();
    host_right_.clear();
    index_t front = 0;
    index_t back = n;
    for (;;) {
      while (front < back && outcome_[static_cast<std::size_t>(front)] == 0) ++front;
      while (front < back && outcome_[static_cast<std::size_t>(back - 1)] != 0) --back;
      if (front >= back) break;
      host_left_.push_back(first + front++);
      host_right_.push_back(first + --back);
    }
    const auto count = static_cast<index_t>(host_left_.size());
    if (count == 0) return front;
    upload_array(be, array_view<const index_t>(host_left_),
                 array_view<index_t>(left_).first(count));
    upload_array(be, array_view<const index_t>(host_right_),
                 array_view<index_t>(right_).first(count));
    const index_t* const a = raw_address(left_.data());
    const index_t* const b = raw_address(right_.data());
    all.exchange(be, a, b, count);
    if constexpr (requires { memory.swap_columns(be, a, b, count); }) {
      memory.swap_columns(be, a, b, count);
    }
    for (std::size_t i = 0; i < host_left_.size(); ++i) {
      std::swap(all.origin[static_cast<std::size_t>(host_left_[i])],
                all.origin[static_cast<std::size_t>(host_right_[i])]);
    }
    return front;
  }

  std::vector<std::uint8_t> outcome_;
  std::vector<index_t> host_left_, host_right_;
  typename B::template buffer<index_t> left_, right_;
};

}  // namespace basin::detail
