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

/// What becomes of a sum before it is stored: nothing.
struct keep {
  template <class Vector>
  Vector operator()(const Vector& x) const {
    return x;
  }
};

template <class Scalar>
struct tap_operands {
  const tap_run* runs;
  index_t run_count;
  const Scalar* panels;  ///< first panel of the tile
  index_t panel_size;    ///< from one panel to the next
  const Scalar* bias;    ///< of the first panel's channels, padded to panels; or null
  index_t channels;      ///< output channels from the first panel's first on
};

/// The tile of `Panels` panels × `Columns` columns. y[c] receives the output channels of
/// column c from the base x[c] of its sources.
template <int Panels, int Columns, class Scalar, class Finish>
[[gnu::noinline, gnu::flatten]] void multiply_tile(const tap_operands<Scalar>& in, const Scalar* const* x,
                                     Scalar* const* y, const Finish& finish) {
  using simd = detail::simd<Scalar>;
  using vector = typename simd::vector;
  constexpr index_t lanes = simd::lanes;
  constexpr int registers = 2 * Panels;
  [&]<std::size_t... C>(std::index_sequence<C...>) {
    [&]<std::size_t... R>(std::index_sequence<R...>) {
      vector sum[registers][Columns];
      const auto initial = [&](std::size_t r) {
        return in.bias == nullptr ? simd::zero()
                                  : simd::load(in.bias + static_cast<index_t>(r) * lanes);
      };
      const auto begin = [&](std::size_t r) {
        const vector b = initial(r);
        ((sum[r][C] = b), ...);
      };
      (begin(R), ...);
      const auto panel_of = [&](std::size_t r) {
        return static_cast<index_t>(r / 2) * in.panel_size + static_cast<index_t>(r % 2) * lanes;
      };
      const Scalar* const first_panel = in.panels;
      for (const tap_run* run = in.runs; run != in.runs + in.run_count; ++run) {
        const Scalar* w = first_panel + run->weight * panel_width<Scalar>;
        const Scalar* const source[Columns] = {(x[C] + run->source)...};
        const index_t steps = run->steps;
        for (index_t k = 0; k < steps; ++k, w += panel_width<Scalar>) {
          const vector weight[registers] = {simd::load(w + panel_of(R))...};
          const auto column = [&](std::size_t c) {
            const Scalar value = source[c][k];
            ((sum[R][c] += weight[R] * value), ...);
          };
          (column(C), ...);
        }
      }
      const auto store = [&](std::size_t r, std::size_t c) {
        const index_t first = static_cast<index_t>(r) * lanes;
        if (first >= in.channels) return;
        const vector value = finish(sum[r][c]);
        if (first + lanes <= in.channels) {
          std::memcpy(y[c] + first, &value, sizeof value);
        } else {
          std::memcpy(y[c] + first, &value,
                      static_cast<std::size_t>(in.channels - first) * sizeof(Scalar));
        }
      };
      const auto store_register = [&](std::size_t r) { (store(r, C), ...); };
      (store_register(R), ...);
    }(std::make_index_sequence<static_cast<std::size_t>(registers)>{});
  }(std::make_index_sequence<static_cast<std::size_t>(Columns)>{});
}

/// Sum of the lanes, in a fixed order: halves are added until one number is left.
template <index_t Lanes, class Scalar>
[[nodiscard]] Scalar sum_of_lanes(const Scalar* lane) {
  if constexpr (Lanes == 1) {
    return lane[0];
  } else {
    Scalar half[Lanes / 2];
    for (index_t i = 0; i < Lanes / 2; ++i) half[i] = lane[i] + lane[i + Lanes / 2];
    return sum_of_lanes<Lanes / 2>(half);
  }
}

/// One output channel of `Columns` columns, where there are too few output channels to
/// fill a register: registers run along the source channels.
/// @param weights of this channel, by matrix and source channel
template <int Columns, class Scalar, class Finish>
[[gnu::noinline, gnu::flatten]] void multiply_row(const tap_run* runs, index_t run_count, const Scalar* weights,
                                    Scalar bias, const Scalar* const* x, Scalar* const* y,
                                    const Finish& finish) {
  using simd = detail::simd<Scalar>;
  using vector = typename simd::vector;
  [&]<std::size_t... C>(std::index_sequence<C...>) {
    const vector zero = simd::zero();
    vector sum[Columns] = {((void)C, zero)...};
    Scalar rest[Columns] = {((void)C, bias)...};
    for (const tap_run* run = runs; run != runs + run_count; ++run) {
      const Scalar* const w = weights + run->weight;
      const Scalar* const source[Columns] = {(x[C] + run->source)...};
      index_t k = 0;
      for (; k + simd::lanes <= run->steps; k += simd::lanes) {
        const vector weight = simd::load(w + k);
        ((sum[C] += weight * simd::load(source[C] + k)), ...);
      }
      for (; k < run->steps; ++k) ((rest[C] += w[k] * source[C][k]), ...);
    }
    const auto store = [&](std::size_t c) {
      alignas(simd::bytes) Scalar lane[simd::lanes];
      std::memcpy(lane, &sum[c], sizeof lane);
      *y[c] = finish(sum_of_lanes<simd::lanes>(lane) + rest[c]);
    };
    (store(C), ...);
  }(std::make_index_sequence<static_cast<std::size_t>(Columns)>{});
}

/// sum (Columns rows of two registers) += a b^T over pairs of pixels and states: the
/// outer products of which a weight's gradient consists.
/// @param pairs first elements of a and b of each pair, within a column
/// @param valid elements of a that exist, at most two registers
template <int Columns, class Scalar>
[[gnu::noinline, gnu::flatten]] void add_outer_products(const std::pair<index_t, index_t>* pairs,
                                          index_t pair_count, const Scalar* a, index_t a_stride,
                                          index_t valid, const Scalar* b, index_t b_stride,
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
