/// @file
/// What the threads of a block do together with vectors in device memory.
#pragma once

#include <basin/backend/cuda/launch_shape.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

struct added {
  BASIN_HOST_DEVICE double operator()(double a, double b) const { return a + b; }
};
/// A NaN may be lost.
struct larger_of {
  BASIN_HOST_DEVICE double operator()(double a, double b) const { return !(b <= a) ? b : a; }
};

/// All threads' values as one, in one order; the same in all of them.
/// @param partial shared, a number for each warp
template <int Threads, class Block, class Array, class Merge>
[[nodiscard]] BASIN_HOST_DEVICE double block_total(Block& block, Array& partial, double value,
                                                   const Merge& merge) {
  for (int mask = warp_size / 2; mask > 0; mask /= 2) {
    value = merge(value, block.shuffle_xor(value, mask));
  }
  if (block.lane() == 0) partial[block.warp()] = value;
  block.sync();
  double all = partial[0];
  for (int w = 1; w < Threads / warp_size; ++w) {
    const double next = partial[w];
    all = merge(all, next);
  }
  block.sync();  // before it is written again
  return all;
}

/// Takes from w its parts in the first n columns of V, of k rows each, which are left in `parts`:
/// classical Gram and Schmidt, a warp a column. All threads' parts of w must be written; so they
/// are behind it.
/// @param parts shared, n of them
template <int Threads, class Block, class Array>
BASIN_HOST_DEVICE void project_out(Block& block, Array& parts, const double* V, index_t n,
                                   index_t k, double* w) {
  for (index_t c = block.warp(); c < n; c += Threads / warp_size) {
    double sum = 0;
    for (index_t i = block.lane(); i < k; i += warp_size) sum += V[c * k + i] * w[i];
    for (int mask = warp_size / 2; mask > 0; mask /= 2) sum += block.shuffle_xor(sum, mask);
    if (block.lane() == 0) parts[static_cast<int>(c)] = sum;
  }
  block.sync();
  for (index_t i = block.thread(); i < k; i += Threads) {
    double x = w[i];
    for (index_t c = 0; c < n; ++c) {
      const double part = parts[static_cast<int>(c)];
      x -= V[c * k + i] * part;
    }
    w[i] = x;
  }
  block.sync();
}

}  // namespace basin::detail
