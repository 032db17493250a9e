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
  template <class T>
  T operator()(const T& x) const {
    return x;
  }
};
/// max(x, 0) of a number or a register; NaN stays NaN.
struct relu_finish {
  template <class T>
  T operator()(const T& x) const {
    T zero;
    std::memset(&zero, 0, sizeof zero);
    return x < zero ? zero : x;
  }
};
/// x where the gate is positive, else 0: the derivative of a ReLU by its value.
struct relu_gate {
  template <class T>
  T operator()(const T& x, const T& gate) const {
    T zero;
    std::memset(&zero, 0, sizeof zero);
    return gate > zero ? x : zero;
  }
};
/// Whether a finish also takes an element of a gate, a block of the output's shape.
template <class Finish>
inline constexpr bool is_gated = std::is_same_v<Finish, relu_gate>;

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
};

/// The columns of a tile: where their tensors begin, at the first output channel for
/// targets and gates.
template <class Scalar, int Columns>
struct tap_columns {
  const Scalar* source[Columns];
  Scalar* target[Columns];
  const Scalar* gate[Columns];
};

/// Stores a register of sums: the output channels from `first` on of column c, at the
/// element `pixel` of its target.
template <class Scalar, int Columns, class Vector, class Finish>
void store_sum(const tap_operands<Scalar>& in, const tap_columns<Scalar, Columns>& at,
               index_t first, std::size_t c, index_t pixel, const Vector& sum,
               const Finish& finish) {
  constexpr auto lanes = static_cast<index_t>(sizeof(Vector) / sizeof(Scalar));
  if (first >= in.channels) return;
  const auto bytes =
      static_cast<std::size_t>(std::min(lanes, in.channels - first)) * sizeof(Scalar);
  Vector value;
  if constexpr (is_gated<Finish>) {
    Vector gate = sum;
    if (bytes == sizeof gate) {
      std::memcpy(&gate, at.gate[c] + pixel + first, sizeof gate);
    } else {
      std::memcpy(&gate, at.gate[c] + pixel + first, bytes);
    }
    value = finish(sum, gate);
  } else {
    value = finish(sum);
  }
  if (bytes == sizeof value) {
    std::memcpy(at.target[c] + pixel + first, &value, sizeof value);
  } else {
    std::memcpy(at.target[c] + pixel + first, &value, bytes);
  }
}

/// The tile of `Panels` panels × `Columns` columns, at every pixel.
template <int Panels, int Columns, class Scalar, class Finish>
[[gnu::noinline, gnu::flatten]] void multiply_tile(const tap_operands<Scalar>& in,
                                                   const tap_columns<Scalar, Columns>& at,
                                                   const Finish& finish) {
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
      for (const tap_pixel* pixel = in.pixels; pixel != in.pixels + in.pixel_count; ++pixel) {
        vector sum[registers][Columns];
        const auto begin = [&](std::size_t r) {
          const vector b = in.bias == nullptr
                               ? simd::zero()
                               : simd::load(in.bias + static_cast<index_t>(r) * lanes);
          ((sum[r][C] = b), ...);
        };
        (begin(R), ...);
        for (const tap_run* run = in.runs; run != in.runs + in.run_count; ++run) {
          const Scalar* w = in.weights + run->weight * width;
          const index_t first = pixel->base + run->source;
          const Scalar* const source[Columns] = {(at.source[C] + first)...};
          const index_t steps = run->steps;
          for (index_t k = 0; k < steps; ++k, w += width) {
            const vector weight[registers] = {simd::load(w + offset_of(R))...};
            const auto column = [&](std::size_t c) {
              const Scalar value = source[c][k];
              ((sum[R][c] += weight[R] * value), ...);
            };
            (column(C), ...);
          }
        }
        const auto store_register = [&](std::size_t r) {
          (store_sum(in, at, static_cast<index_t>(r) * lanes, C, pixel->target, sum[r][C], finish),
           ...);
        };
        (store_register(R), ...);
      }
    }(std::make_index_sequence<static_cast<std::size_t>(registers)>{});
  }(std::make_index_sequence<static_cast<std::size_t>(Columns)>{});
}

/// The tile of `Panels` panels × `Columns` columns in which every column has sources of its
/// own: pixels of one state whose taps differ. Where a column has no source for a tap it
/// reads zeros, which leaves its sum as it is.
/// @param matrices of the taps
/// @param sources tap by tap, `Columns` each: where that source pixel begins
template <int Panels, int Columns, class Scalar, class Finish>
[[gnu::noinline, gnu::flatten]] void multiply_mixed_tile(const tap_operands<Scalar>& in,
                                                         const index_t* matrices,
                                                         index_t tap_count, index_t inputs,
                                                         const Scalar* const* sources,
                                                         const tap_columns<Scalar, Columns>& at,
                                                         const Finish& finish) {
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
        const vector b = in.bias == nullptr
                             ? simd::zero()
                             : simd::load(in.bias + static_cast<index_t>(r) * lanes);
        ((sum[r][C] = b), ...);
      };
      (begin(R), ...);
      for (index_t tap = 0; tap < tap_count; ++tap, sources += Columns) {
        const Scalar* w = in.weights + matrices[tap] * inputs * width;
        const Scalar* const source[Columns] = {sources[C]...};
        for (index_t k = 0; k < inputs; ++k, w += width) {
          const vector weight[registers] = {simd::load(w + offset_of(R))...};
          const auto column = [&](std::size_t c) {
            const Scalar value = source[c][k];
            ((sum[R][c] += weight[R] * value), ...);
          };
          (column(C), ...);
        }
      }
      const auto store_register = [&](std::size_t r) {
        (store_sum(in, at, static_cast<index_t>(r) * lanes, C, 0, sum[r][C], finish), ...);
      };
      (store_register(R), ...);
    }(std::make_index_sequence<static_cast<std::size_t>(registers)>{});
  }(std::make_index_sequence<static_cast<std::size_t>(Columns)>{});
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
template <int Columns, class Scalar, class Finish>
[[gnu::noinline, gnu::flatten]] void multiply_row(const tap_operands<Scalar>& in,
                                                  const tap_columns<Scalar, Columns>& at,
                                                  const Finish& finish) {
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
      const auto store = [&](std::size_t c) {
        const Scalar value = sum_of_lanes<Scalar, simd::lanes>(sum[c]) + rest[c];
        if constexpr (is_gated<Finish>) {
          at.target[c][pixel->target] = finish(value, at.gate[c][pixel->target]);
        } else {
          at.target[c][pixel->target] = finish(value);
        }
      };
      (store(C), ...);
    }
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
