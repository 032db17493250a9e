/// @file
/// Finiteness tested on the bits of a number, so that it also holds where
/// `-ffast-math` lets the compiler assume that NaN and infinity do not exist.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>

#include <basin/core/host_device.hpp>

namespace basin {

/// True if x is neither NaN nor infinite. Cost: one integer comparison.
[[nodiscard]] BASIN_HOST_DEVICE constexpr bool is_finite(float x) noexcept {
  constexpr std::uint32_t exponent = 0x7f800000u;
  return (std::bit_cast<std::uint32_t>(x) & exponent) != exponent;
}

/// @copydoc is_finite(float)
[[nodiscard]] BASIN_HOST_DEVICE constexpr bool is_finite(double x) noexcept {
  constexpr std::uint64_t exponent = 0x7ff0000000000000u;
  return (std::bit_cast<std::uint64_t>(x) & exponent) != exponent;
}

/// True if x is NaN. Cost: one integer comparison.
[[nodiscard]] BASIN_HOST_DEVICE constexpr bool is_nan(float x) noexcept {
  return (std::bit_cast<std::uint32_t>(x) & 0x7fffffffu) > 0x7f800000u;
}

/// @copydoc is_nan(float)
[[nodiscard]] BASIN_HOST_DEVICE constexpr bool is_nan(double x) noexcept {
  return (std::bit_cast<std::uint64_t>(x) & 0x7fffffffffffffffu) > 0x7ff0000000000000u;
}

}  // namespace basin
