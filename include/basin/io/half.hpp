/// @file
/// The two 16-bit floating-point formats of checkpoints, widened to float.
#pragma once

#include <bit>
#include <cstdint>

namespace basin {

/// The value of an IEEE 754 binary16 number (1 sign, 5 exponent, 10 fraction bits), exactly;
/// a NaN keeps its sign and fraction.
[[nodiscard]] constexpr float half_to_float(std::uint16_t bits) noexcept {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  const std::uint32_t fraction = bits & 0x3ffu;
  if (exponent == 0) {  // zero or subnormal: fraction × 2^-24, a normal float
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  // The biases are 15 and 127; the exponent of infinity and NaN is all ones in both.
  const std::uint32_t widened = exponent == 0x1f ? 0xffu : exponent + (127 - 15);
  return std::bit_cast<float>(sign | widened << 23 | fraction << 13);
}

/// The value of a bfloat16 number, the upper half of a float, exactly.
[[nodiscard]] constexpr float bfloat16_to_float(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

}  // namespace basin
