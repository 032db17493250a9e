/// @file
/// The lanes of a column on the device: a warp.
///
/// Sums run in the lanes, lane l over the entries l, l + 32, ..., and the lanes are then added as a
/// binary tree by which all of them have the same bits: those of column_dots and its like.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <limits>
#include <type_traits>

#include <basin/backend/array_view.hpp>
#include <basin/backend/cpu/lanes.hpp>
#include <basin/backend/cuda/context.hpp>
#include <basin/backend/cuda/launch.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// The work of a column in the lanes of a warp; functions as of one_lane.
template <class Block, class Scalar>
class warp_lanes {
 public:
  BASIN_HOST_DEVICE warp_lanes(Block& block, array_view<Scalar> scratch)
      : block_(block), top_(scratch.data), end_(scratch.data + scratch.size) {}

  template <class F>
  BASIN_HOST_DEVICE void each(index_t n, F&& f) const {
    for (index_t i = block_.lane(); i < n; i += warp_size) f(i);
  }
  template <class F>
  BASIN_HOST_DEVICE auto once(F&& f) const {
    using answer = std::invoke_result_t<F&>;
    block_.sync_warp();
    if constexpr (std::is_void_v<answer>) {
      if (block_.lane() == 0) f();
      block_.sync_warp();
    } else {
      answer given{};
      if (block_.lane() == 0) given = f();
      block_.sync_warp();
      return block_.shuffle(given, 0);
    }
  }
  template <class F>
  BASIN_HOST_DEVICE void aside(F&& f) const {
    if (block_.lane() == 0) f();
  }
  template <class T, class F>
  BASIN_HOST_DEVICE void update(T& value, F&& f) const {
    T own = value;
    f(own);
    once([&] { value = own; });
  }
  [[nodiscard]] BASIN_HOST_DEVICE scratch_array<Scalar> array(index_t count) {
#if !defined(__CUDA_ARCH__)
    if (count > end_ - top_) {
      throw kernel_error("lanes: more scratch memory is taken than was asked for");
    }
#endif
    return {top_, count};
  }

  BASIN_HOST_DEVICE void copy(const Scalar* x, index_t n, Scalar* y) const {
    each(n, [&](index_t i) { y[i] = x[i]; });
  }
  BASIN_HOST_DEVICE void add_scaled(Scalar a, const Scalar* x, Scalar* y, index_t n) const {
    each(n, [&](index_t i) { y[i] += a * x[i]; });
  }
  template <class T, std::size_t N, class F>
  BASIN_HOST_DEVICE void sum(index_t n, T (&sums)[N], F&& add) const {
    values<T, N> own{};
    each(n, [&](index_t i) { add(i, own.of); });
    own = total(own);
    for (std::size_t s = 0; s < N; ++s) sums[s] += own.of[s];
  }
  template <class F>
  [[nodiscard]] BASIN_HOST_DEVICE auto greatest(index_t n, F&& f) const {
    greatest_entry<std::invoke_result_t<F&, index_t>> found{{}, -1};
    each(n, [&](index_t i) {
      const auto value = f(i);
      if (found.at < 0 ? value == value : value > found.value) found = {value, i};
    });
    for (int distance = warp_size / 2; distance > 0; distance /= 2) {
      const auto other = block_.shuffle_xor(found, distance);
      if (found.yields_to(other)) found = other;
    }
    return found;
  }
  template <class X, class Y>
  [[nodiscard]] BASIN_HOST_DEVICE double dot_in_double(const X* x, const Y* y, index_t n) const {
    double sums[1] = {};
    sum(n, sums, [&](index_t i, double* s) {
      s[0] += static_cast<double>(x[i]) * static_cast<double>(y[i]);
    });
    return sums[0];
  }
  template <class T>
  [[nodiscard]] BASIN_HOST_DEVICE T dot(const T* x, const T* y, index_t n) const {
    T sums[1] = {};
    sum(n, sums, [&](index_t i, T* s) { s[0] += x[i] * y[i]; });
    return sums[0];
  }
  BASIN_HOST_DEVICE void dots(const Scalar* x, index_t stride, index_t count, const Scalar* y,
                              index_t n, Scalar* products) const {
    constexpr index_t together = 4;
    for (index_t first = 0; first < count; first += together) {
      const index_t last = count - 1 - first;  // is taken again where there are no four
      const Scalar* const from = x + first * stride;
      Scalar sums[together] = {};
      sum(n, sums, [&](index_t i, Scalar* s) {
        const Scalar by = y[i];
        for (index_t c = 0; c < together; ++c)
          s[c] += from[(c < last ? c : last) * stride + i] * by;
      });
      once([&] {
        for (index_t c = 0; c < together && c <= last; ++c) products[first + c] = sums[c];
      });
    }
  }
  [[nodiscard]] BASIN_HOST_DEVICE Scalar sum_of_squared_differences(const Scalar* x,
                                                                    const Scalar* y,
                                                                    index_t n) const {
    Scalar sums[1] = {};
    sum(n, sums, [&](index_t i, Scalar* s) { s[0] += (y[i] - x[i]) * (y[i] - x[i]); });
    return sums[0];
  }
  [[nodiscard]] BASIN_HOST_DEVICE Scalar squared_distance(const Scalar* x, const Scalar* y,
                                                          index_t n) const {
    const Scalar square = sum_of_squared_differences(x, y, n);
    if (is_finite(square)) return square;
    return all_finite(y, n) ? std::numeric_limits<Scalar>::infinity()
                            : std::numeric_limits<Scalar>::quiet_NaN();
  }
  [[nodiscard]] BASIN_HOST_DEVICE bool all_finite(const Scalar* x, index_t n) const {
    int others[1] = {};
    sum(n, others, [&](index_t i, int* count) { count[0] += is_finite(x[i]) ? 0 : 1; });
    return others[0] == 0;
  }

 private:
  template <class T, std::size_t N>
  struct values {
    T of[N];
  };
  template <class T, std::size_t N>
  [[nodiscard]] BASIN_HOST_DEVICE values<T, N> total(values<T, N> own) const {
    for (int distance = warp_size / 2; distance > 0; distance /= 2) {
      const values<T, N> other = block_.shuffle_xor(own, distance);
      for (std::size_t s = 0; s < N; ++s) own.of[s] += other.of[s];
    }
    return own;
  }

  Block& block_;
  Scalar* top_;
  Scalar* end_;
};

namespace detail {

/// Warps of a launch over columns: more columns take turns, so that scratch memory has a bound.
/// Fifteen for each scheduler of an H100, of at most sixteen.
inline constexpr index_t most_lane_warps = 8192;

template <class Scalar, class Work>
struct lanes_kernel {
  Work work;
  index_t n;
  Scalar* scratch;
  index_t numbers;  ///< of scratch memory, for a warp

  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    const index_t warps = block.threads() / warp_size;
    const index_t warp = block.index() * warps + block.warp();
    for (index_t j = warp; j < n; j += block.count() * warps) {
      warp_lanes<Block, Scalar> lanes(block, {scratch + warp * numbers, numbers});
      work(lanes, j);
    }
  }
};

}  // namespace detail

/// Memory for the scratch arrays of `n` columns of which each takes `numbers` at once.
template <std::floating_point Scalar>
[[nodiscard]] DeviceBuffer<Scalar> make_lane_scratch(const cuda<Scalar>&, index_t n,
                                                     index_t numbers) {
  return DeviceBuffer<Scalar>(std::min(n, detail::most_lane_warps) * numbers);
}

/// Calls work(lanes, j) for j in [0, n), a warp each, in one launch.
/// @param numbers for scratch arrays of a column at once
/// @param scratch of make_lane_scratch() for at least n columns and as many numbers
template <std::floating_point Scalar, class Work>
void for_each_in_lanes(const cuda<Scalar>& be, index_t n, const Work& work, index_t numbers,
                       std::type_identity_t<array_view<Scalar>> scratch, index_t = 0) {
  constexpr index_t warps = 4;  // of a block: what a column keeps takes many registers
  const index_t at_once = std::min(n, detail::most_lane_warps);
  require_size("for_each_in_lanes", "scratch memory, at least",
               std::min(scratch.size, at_once * numbers), at_once * numbers);
  const auto of_block = static_cast<int>(std::clamp<index_t>(n, 1, warps));
  launch(be, "for_each_in_lanes",
         {.blocks = at_once / of_block + (at_once % of_block > 0 ? 1 : 0),
          .threads = of_block * warp_size},
         detail::lanes_kernel<Scalar, Work>{work, n, scratch.data, numbers});
}

}  // namespace basin
