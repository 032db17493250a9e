/// @file
/// The product that every linear layer is made of, on the CPU: for some columns, the
/// channels of a target pixel from those of its source pixels.
///
/// Registers hold a tile of output channels × columns. Weights are packed so that one
/// step of the sum reads whole registers of output channels; a column's input is
/// broadcast. A column is a pixel of a state: several states at one pixel where there
/// are many states, several pixels of one pattern where there are few. Each output is
/// one chain of multiplications and additions, bias first, then by ascending source and
/// channel: its bits depend neither on the shape of the tile nor on the other columns.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>

#include <basin/backend/cpu/packet.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

/// `steps` source channels in a row, multiplied by as many rows of packed weights.
struct tap_run {
  index_t source;  ///< first element, from the base of the column
  index_t weight;  ///< first row of the panel
  index_t steps;
};

/// Panels are two registers wide.
template <class Scalar>
inline constexpr index_t panel_width = 2 * simd<Scalar>::lanes;

/// Most columns of a tile: accumulators, a panel's registers and a broadcast fit.
template <class Scalar>
inline constexpr int tile_columns = simd<Scalar>::bytes == 64 ? 8 : 6;

/// What becomes of a sum before it is stored.
enum class finish {
  none,
  relu,       ///< max(sum, 0); NaN stays NaN
  relu_gate,  ///< 0 unless a gate is positive: the derivative of a ReLU by its value
};

/// A target pixel and the first source pixel of its pattern, as elements of a column.
struct tap_pixel {
  index_t target;
  index_t base;
};

/// What all columns of a product by one pattern have in common.
template <class Scalar>
struct tap_operands {
  const tap_run* runs;
  index_t run_count;
  const tap_pixel* pixels;  ///< done one after the other
  index_t pixel_count;
  const Scalar* weights;  ///< panels, or the row of one output channel
  index_t panel_size;     ///< from one panel to the next
  const Scalar* bias;     ///< from the first output channel on, padded to panels; or null
  index_t channels;       ///< output channels from the first one on
  finish ending;
};

/// The columns of a tile: where their tensors begin, at the first output channel for
/// targets and gates.
template <class Scalar, int Columns>
struct tap_columns {
  const Scalar* source[Columns];
  Scalar* target[Columns];
  const Scalar* gate[Columns];
};

/// Stores the sums of a tile, `Width` output channels a column of which some may not exist,
/// at the element `pixel` of the columns.
template <index_t Width, class Scalar, int Columns>
void store_sums(const tap_operands<Scalar>& in, const tap_columns<Scalar, Columns>& at,
                index_t pixel, Scalar* sums) {
  const index_t channels = std::min(Width, in.channels);
  for (int c = 0; c < Columns; ++c, sums += Width) {
    if (in.ending == finish::relu) {
      for (index_t i = 0; i < Width; ++i) sums[i] = sums[i] < 0 ? Scalar(0) : sums[i];
    } else if (in.ending == finish::relu_gate) {
      const Scalar* const gate = at.gate[c] + pixel;
      for (index_t i = 0; i < channels; ++i) sums[i] = gate[i] > 0 ? sums[i] : Scalar(0);
    }
    if (channels == Width) {
      std::memcpy(at.target[c] + pixel, sums, static_cast<std::size_t>(Width) * sizeof(Scalar));
    } else {
      std::copy_n(sums, channels, at.target[c] + pixel);
    }
  }
}

/// The tile of `Panels` panels × `Columns` columns. `for_each_run(f)` calls
/// f(weights, sources, steps) for every run of the sum.
template <int Panels, int Columns, class Scalar, class Runs>
void multiply_tile_at(const tap_operands<Scalar>& in, const tap_columns<Scalar, Columns>& at,
                      index_t pixel, const Runs& for_each_run) {
  using simd = detail::simd<Scalar>;
  using vector = typename simd::vector;
  constexpr index_t lanes = simd::lanes;
  constexpr index_t width = panel_width<Scalar>;
  constexpr int registers = 2 * Panels;
  [&]<std::size_t... C>(std::index_sequence<C...>) {
    [&]<std::size_t... R>(std::index_sequence<R...>) {
      const auto offset_of = [&](std::size_t r) {
        return static_cast<index_t>(r / 2) * in.panel_size + static_cast<index_t>(r % 2) * lanes;
      };
      vector sum[registers][Columns];
      const auto begin = [&](std::size_t r) {
        const vector b = in.bias == nullptr ? simd::zero()
                                            : simd::load(in.bias + static_cast<index_t>(r) * lanes);
        ((sum[r][C] = b), ...);
      };
      (begin(R), ...);
      for_each_run([&](const Scalar* w, const auto& source_of, index_t steps) {
        const Scalar* const source[Columns] = {source_of(C)...};
        for (index_t k = 0; k < steps; ++k, w += width) {
          const vector weight[registers] = {simd::load(w + offset_of(R))...};
          const auto column = [&](std::size_t c) {
            const Scalar value = source[c][k];
            ((sum[R][c] += weight[R] * value), ...);
          };
          (column(C), ...);
        }
      });
      alignas(64) Scalar sums[Columns * registers * lanes];
      const auto keep_register = [&](std::size_t r) {
        (std::memcpy(sums + (static_cast<index_t>(C) * registers + static_cast<index_t>(r)) * lanes,
                     &sum[r][C], sizeof(vector)),
         ...);
      };
      (keep_register(R), ...);
      store_sums<registers * lanes>(in, at, pixel, sums);
    }(std::make_index_sequence<static_cast<std::size_t>(registers)>{});
  }(std::make_index_sequence<static_cast<std::size_t>(Columns)>{});
}

/// A tile at every pixel of a pattern.
template <int Panels, int Columns, class Scalar>
[[gnu::noinline, gnu::flatten]] void multiply_tile(const tap_operands<Scalar>& in,
                                                   const tap_columns<Scalar, Columns>& at) {
  for (const tap_pixel* pixel = in.pixels; pixel != in.pixels + in.pixel_count; ++pixel) {
    multiply_tile_at<Panels>(in, at, pixel->target, [&](const auto& add) {
      for (const tap_run* run = in.runs; run != in.runs + in.run_count; ++run) {
        const index_t first = pixel->base + run->source;
        add(
            in.weights + run->weight * panel_width<Scalar>,
            [&](std::size_t c) { return at.source[c] + first; }, run->steps);
      }
    });
  }
}

/// A tile in which every column has sources of its own: pixels of one state whose taps
/// differ. Where a column has no source for a tap it reads zeros, which leaves its sum as
/// it is.
/// @param matrices of the taps
/// @param sources tap by tap, `Columns` each: where that source pixel begins
template <int Panels, int Columns, class Scalar>
[[gnu::noinline, gnu::flatten]] void multiply_mixed_tile(const tap_operands<Scalar>& in,
                                                         const index_t* matrices, index_t tap_count,
                                                         index_t inputs,
                                                         const Scalar* const* sources,
                                                         const tap_columns<Scalar, Columns>& at) {
  multiply_tile_at<Panels>(in, at, 0, [&](const auto& add) {
    for (index_t tap = 0; tap < tap_count; ++tap) {
      add(
          in.weights + matrices[tap] * inputs * panel_width<Scalar>,
          [&](std::size_t c) { return sources[tap * Columns + static_cast<index_t>(c)]; }, inputs);
    }
  });
}

/// Sum of the lanes, in a fixed order: halves are added until one number is left.
template <class Scalar, index_t Lanes, class Vector>
[[nodiscard]] Scalar sum_of_lanes(const Vector& x) {
  if constexpr (Lanes == 2) {
    return x[0] + x[1];
  } else {
    typedef Scalar half __attribute__((vector_size(Lanes / 2 * sizeof(Scalar))));
    half low;
    half high;
    std::memcpy(&low, &x, sizeof low);
    std::memcpy(&high, reinterpret_cast<const char*>(&x) + sizeof low, sizeof high);
    return sum_of_lanes<Scalar, Lanes / 2>(half(low + high));
  }
}

/// One output channel of `Columns` columns at every pixel, where there are too few output
/// channels to fill a register: registers run along the source channels.
template <int Columns, class Scalar>
[[gnu::noinline, gnu::flatten]] void multiply_row(const tap_operands<Scalar>& in,
                                                  const tap_columns<Scalar, Columns>& at) {
  using simd = detail::simd<Scalar>;
  using vector = typename simd::vector;
  [&]<std::size_t... C>(std::index_sequence<C...>) {
    const vector zero = simd::zero();
    const Scalar bias = in.bias == nullptr ? Scalar(0) : *in.bias;
    for (const tap_pixel* pixel = in.pixels; pixel != in.pixels + in.pixel_count; ++pixel) {
      vector sum[Columns] = {((void)C, zero)...};
      Scalar rest[Columns] = {((void)C, bias)...};
      for (const tap_run* run = in.runs; run != in.runs + in.run_count; ++run) {
        const Scalar* const w = in.weights + run->weight;
        const index_t first = pixel->base + run->source;
        const Scalar* const source[Columns] = {(at.source[C] + first)...};
        index_t k = 0;
        for (; k + simd::lanes <= run->steps; k += simd::lanes) {
          const vector weight = simd::load(w + k);
          ((sum[C] += weight * simd::load(source[C] + k)), ...);
        }
        for (; k < run->steps; ++k) ((rest[C] += w[k] * source[C][k]), ...);
      }
      Scalar sums[Columns] = {(sum_of_lanes<Scalar, simd::lanes>(sum[C]) + rest[C])...};
      store_sums<1>(in, at, pixel->target, sums);
    }
  }(std::make_index_sequence<static_cast<std::size_t>(Columns)>{});
}

/// sum (Columns rows of two registers) += a b^T over pairs of pixels and states: the
/// outer products of which a weight's gradient consists.
/// @param pairs first elements of a and b of each pair, within a column
/// @param valid elements of a that exist, at most two registers
template <int Columns, class Scalar>
[[gnu::noinline, gnu::flatten]] void add_outer_products(const std::pair<index_t, index_t>* pairs,
                                                        index_t pair_count, const Scalar* a,
                                                        index_t a_stride, index_t valid,
                                                        const Scalar* b, index_t b_stride,
                                                        index_t states, Scalar* sum) {
  using simd = detail::simd<Scalar>;
  using vector = typename simd::vector;
  constexpr index_t lanes = simd::lanes;
  [&]<std::size_t... C>(std::index_sequence<C...>) {
    const auto row = [&](std::size_t c) { return sum + static_cast<index_t>(c) * 2 * lanes; };
    vector upper[Columns] = {simd::load(row(C))...};
    vector lower[Columns] = {simd::load(row(C) + lanes)...};
    const auto add = [&](const vector& a0, const vector& a1, const Scalar* y) {
      ((upper[C] += a0 * y[C], lower[C] += a1 * y[C]), ...);
    };
    for (index_t p = 0; p < pair_count; ++p) {
      const Scalar* x = a + pairs[p].first;
      const Scalar* y = b + pairs[p].second;
      if (valid == 2 * lanes) {
        for (index_t n = 0; n < states; ++n, x += a_stride, y += b_stride) {
          add(simd::load(x), simd::load(x + lanes), y);
        }
      } else {
        for (index_t n = 0; n < states; ++n, x += a_stride, y += b_stride) {
          alignas(simd::bytes) Scalar padded[2 * lanes] = {};
          std::copy_n(x, valid, padded);
          add(simd::load(padded), simd::load(padded + lanes), y);
        }
      }
    }
    const auto store = [&](std::size_t c) {
      std::memcpy(row(c), &upper[c], sizeof(vector));
      std::memcpy(row(c) + lanes, &lower[c], sizeof(vector));
    };
    (store(C), ...);
  }(std::make_index_sequence<static_cast<std::size_t>(Columns)>{});
}

}  // namespace basin::detail
