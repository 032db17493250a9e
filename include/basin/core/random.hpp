/// @file
/// Numbers of a random stream by position: no state, so that any element of any
/// fill can be made anywhere. Words come from Philox4x32-10 (core/philox.hpp).
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>

#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/core/philox.hpp>

namespace basin {

/// A stream of random numbers, identified by a seed and a number of its own.
/// Streams of the same seed and other numbers are independent. The element
/// (row, column) of a fill depends on the stream, row and column alone.
struct random_stream {
  std::uint64_t seed = 0;    ///< the Philox key
  std::uint32_t stream = 0;  ///< most significant word of the counter

  /// The four words that rows 4 b ... 4 b + 3 of `column` share, b = `block`.
  /// Rows up to 2^34, columns up to 2^64.
  [[nodiscard]] BASIN_HOST_DEVICE constexpr philox_block words(
      std::uint32_t block, std::uint64_t column) const noexcept {
    return philox4x32_10(
        {block, static_cast<std::uint32_t>(column), static_cast<std::uint32_t>(column >> 32),
         stream},
        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  }

  /// The random word of element (row, column).
  [[nodiscard]] BASIN_HOST_DEVICE constexpr std::uint32_t word(index_t row,
                                                               index_t column) const noexcept {
    return words(static_cast<std::uint32_t>(row / 4),
                 static_cast<std::uint64_t>(column))[static_cast<std::size_t>(row % 4)];
  }
};

/// A word as a number of the open interval (0, 1): (w + 1/2) / 2^32 in double,
/// rounded to 24 bits first in float so that 1 is never reached.
template <std::floating_point Scalar>
[[nodiscard]] BASIN_HOST_DEVICE constexpr Scalar uniform_from_word(std::uint32_t word) noexcept {
  if constexpr (sizeof(Scalar) == 4) {
    return (static_cast<Scalar>(word >> 9) + Scalar(0.5)) * Scalar(1.1920928955078125e-7);  // 2^-23
  } else {
    return (static_cast<Scalar>(word) + Scalar(0.5)) * Scalar(2.3283064365386963e-10);  // 2^-32
  }
}

/// The standard normal number of element (row, column): Box and Muller (1958)
/// on the words of rows 2 r and 2 r + 1, computed in double and rounded once, so
/// that backends differ by their libraries' log, sin and cos only.
template <std::floating_point Scalar>
[[nodiscard]] BASIN_HOST_DEVICE Scalar normal_at(random_stream stream, index_t row,
                                                 index_t column) {
  const philox_block words =
      stream.words(static_cast<std::uint32_t>(row / 4), static_cast<std::uint64_t>(column));
  const std::size_t pair = static_cast<std::size_t>(row % 4) / 2 * 2;
  const double radius = std::sqrt(-2.0 * std::log(uniform_from_word<double>(words[pair])));
  const double angle = 6.283185307179586476925 * uniform_from_word<double>(words[pair + 1]);
  return static_cast<Scalar>(radius * (row % 2 == 0 ? std::cos(angle) : std::sin(angle)));
}

}  // namespace basin
