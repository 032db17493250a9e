/// @file
/// Products by taps in tiles: a block's shared memory holds what its outputs are made of.
#pragma once

#include <algorithm>
#include <utility>

#include <basin/backend/cuda/launch.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/nn/cuda/tap_sum.hpp>

namespace basin::detail {

/// Four neighbouring numbers, which a thread moves at once.
template <class Scalar>
struct alignas(16) four_numbers {
  Scalar of[4];
};

/// The same sums as tap_sum, to the bit: of 128 states and `Channels` output channels of one pixel
/// a block, in threads of 4 states × 4 `Quads` channels.
///
/// In turn `steps` numbers of every state and as many rows of weights come to shared memory, 4
/// bytes each in float, and are multiplied: an input is read from memory once for `Channels`
/// outputs, a weight once for 128 states. A thread reads 4 + 4 Quads numbers of shared memory for
/// 16 Quads multiplications, in loads of 16 bytes that no two lanes contend for (weights are the
/// same for a warp).
template <class Scalar, int Channels, int Quads>
struct tap_tile {
  static constexpr int states = 4 * warp_size;
  static constexpr int steps = 8;
  static constexpr int warps = Channels / (4 * Quads);
  static constexpr int threads = warps * warp_size;
  static_assert(warps * 4 * Quads == Channels);

  tap_sum<Scalar> of;

  [[nodiscard]] static constexpr index_t shared_bytes() {
    return steps * (states + Channels) * static_cast<index_t>(sizeof(Scalar));
  }
  [[nodiscard]] index_t blocks() const {
    return tiles(of.y.rows(), states) * of.targets * tiles(of.outputs(), Channels);
  }

  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    using four = four_numbers<Scalar>;
    auto inputs = block.template shared<four>(steps * states / 4);
    auto weights = block.template shared<four>(steps * Channels / 4);
    const index_t across = tiles(of.outputs(), Channels);
    const index_t first_channel = block.index() % across * Channels;
    const index_t pixel = block.index() / across % of.targets;
    const index_t first_state = block.index() / (across * of.targets) * states;
    const int lane = block.lane(), warp = block.warp();
    const index_t channel = first_channel + warp * 4 * Quads;
    const index_t state = first_state + 4 * lane;

    Scalar sums[4 * Quads][4];
    for (int c = 0; c < 4 * Quads; ++c) {
      const bool there = channel + c < of.outputs();
      const Scalar begin = there ? of.ending.begin((channel + c) * of.targets + pixel) : Scalar(0);
      for (int s = 0; s < 4; ++s) sums[c][s] = begin;
    }
    const index_t tap = of.begin[pixel];
    const index_t terms = (of.begin[pixel + 1] - tap) * of.inputs;
    for (index_t first = 0; first < terms; first += steps) {
      const int count = static_cast<int>(terms - first < steps ? terms - first : steps);
      block.sync();  // before what others still read is written
      for (int r = warp; r < count; r += warps) {
        const index_t t = (first + r) / of.inputs, i = (first + r) - t * of.inputs;
        const device_tap from = of.list[tap + t];
        const Scalar* const x =
            of.x.data() + state + (from.source + i * of.sources) * of.x.outerStride();
        four numbers;
        for (int s = 0; s < 4; ++s) numbers.of[s] = state + s < of.x.rows() ? x[s] : Scalar(0);
        inputs[r * warp_size + lane] = numbers;
        const Scalar* const w = of.weight + from.weight + i * of.input_stride;
        for (int q = lane; q < Channels / 4; q += warp_size) {
          for (int c = 0; c < 4; ++c) {
            const index_t o = first_channel + 4 * q + c;
            numbers.of[c] = o < of.outputs() ? w[o * of.output_stride] : Scalar(0);
          }
          weights[r * (Channels / 4) + q] = numbers;
        }
      }
      block.sync();  // before what others have written is read
      for (int r = 0; r < count; ++r) {
        const four a = inputs[r * warp_size + lane];
        for (int q = 0; q < Quads; ++q) {
          const four w = weights[r * (Channels / 4) + warp * Quads + q];
          for (int c = 0; c < 4; ++c) {
            for (int s = 0; s < 4; ++s) sums[4 * q + c][s] += w.of[c] * a.of[s];
          }
        }
      }
    }
    for (int c = 0; c < 4 * Quads && channel + c < of.outputs(); ++c) {
      const index_t row = (channel + c) * of.targets + pixel;
      for (int s = 0; s < 4 && state + s < of.y.rows(); ++s) {
        of.y(state + s, row) = of.ending.end(sums[c][s], state + s, row);
      }
    }
  }

 private:
  [[nodiscard]] BASIN_HOST_DEVICE static index_t tiles(index_t n, index_t size) {
    return (n + size - 1) / size;
  }
};

/// Output channels of the tiles that a product by taps is made in; 0: in none, a thread a number
/// (tap_sum). A tile has 128 states, and a thread of it four channels: of fewer states or channels
/// its work would be for nothing.
[[nodiscard]] inline int tile_channels(index_t states, index_t outputs) {
  if (states < 128 || outputs < 4) return 0;
  return outputs <= 8 ? 8 : outputs <= 16 ? 16 : outputs <= 32 ? 32 : 64;
}

/// The sums by tiles of `Channels` output channels.
template <int Channels, int Quads, class Scalar>
void add_in_tiles(const cuda<Scalar>& be, const tap_sum<Scalar>& sums) {
  const tap_tile<Scalar, Channels, Quads> tile{sums};
  launch(be, "tap_tile",
         {.blocks = tile.blocks(), .threads = tile.threads, .shared_bytes = tile.shared_bytes()},
         tile);
}

/// The sums, by the kernel that their shape asks for.
/// @param channels of a tile, as of `tile_channels`
template <class Scalar>
void add_taps(const cuda<Scalar>& be, const tap_sum<Scalar>& sums, int channels) {
  switch (channels) {
    case 0:
      return for_each_index(be, sums.y.rows() * sums.y.cols(), sums);
    case 8:
      return add_in_tiles<8, 1>(be, sums);
    case 16:
      return add_in_tiles<16, 1>(be, sums);
    case 32:
      return add_in_tiles<32, 1>(be, sums);
    default:
      return add_in_tiles<64, 2>(be, sums);
  }
}

}  // namespace basin::detail
