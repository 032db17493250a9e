/// @file
/// How many threads run a kernel, and what they share.
#pragma once

#include <string>
#include <string_view>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// Threads that run in step and can shuffle.
inline constexpr int warp_size = 32;
/// Most threads of a block.
inline constexpr int max_threads = 1024;
/// Most shared memory of a block: that of compute capability 9.0; others have less.
inline constexpr index_t max_shared_bytes = index_t{227} * 1024;

/// The threads of a launch: `blocks` blocks of `threads` threads each.
struct launch_shape {
  index_t blocks = 0;        ///< any number; none launches nothing
  int threads = 256;         ///< of a block, 1 ... max_threads
  index_t shared_bytes = 0;  ///< of a block, for all of its shared arrays; 0 ... max_shared_bytes
  /// Blocks that a GPU is given at a time, by default CUDA's limit: more take turns.
  index_t grid = (index_t{1} << 31) - 1;
};

namespace detail {
/// "NAME of B blocks of T threads and S bytes of shared memory"
[[nodiscard]] inline std::string describe(std::string_view name, const launch_shape& shape) {
  return std::string(name) + " of " + std::to_string(shape.blocks) + " blocks of " +
         std::to_string(shape.threads) + " threads and " + std::to_string(shape.shared_bytes) +
         " bytes of shared memory";
}

/// Throws `argument_error` unless some device takes the shape.
inline void require_shape(std::string_view name, const launch_shape& shape) {
  if (shape.blocks >= 0 && shape.threads >= 1 && shape.threads <= max_threads &&
      shape.shared_bytes >= 0 && shape.shared_bytes <= max_shared_bytes && shape.grid >= 1 &&
      shape.grid < index_t{1} << 31) {
    return;
  }
  throw_argument_error("launch", describe(name, shape) + ", " + std::to_string(shape.grid) +
                                     " at a time, is more than a device has, or less than nothing");
}
}  // namespace detail

}  // namespace basin
