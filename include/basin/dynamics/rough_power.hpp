/// @file
/// Logarithm and power to the five digits that the choice of a step needs, without calls, so that
/// a core works on several columns at once. The polynomials go through the Chebyshev points.
#pragma once

#include <bit>
#include <cstdint>

#include <basin/core/host_device.hpp>

namespace basin::detail {

/// log2(x) within 3e-5 for x from 1e-38 to 1e38; about -127 for smaller ones, 0 included.
[[nodiscard]] BASIN_HOST_DEVICE constexpr float rough_log2(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto exponent = static_cast<std::int32_t>(bits >> 23) - 127;
  const float m = std::bit_cast<float>((bits & 0x7fffffu) | 0x3f800000u);  // in [1, 2)
  // Short chains: the columns wait for each other's.
  const float low = -2.78792621f + 5.04785541f * m;
  const float middle = -3.48987855f + 1.58947429f * m;
  const float high = -0.402513394f + 0.0430049578f * m;
  return (static_cast<float>(exponent) + low) + (m * m) * (middle + (m * m) * high);
}

/// 2^x within 1e-5 of itself; beyond -126 and 126 the powers are those of the two.
[[nodiscard]] BASIN_HOST_DEVICE constexpr float rough_exp2(float x) noexcept {
  const float y = (x < -126 ? -126.0f : x > 126 ? 126.0f : x) + 127.0f;
  const auto whole = static_cast<std::int32_t>(y);
  const float r = y - static_cast<float>(whole);  // in [0, 1)
  const float low = 1.00000349f + 0.692972922f * r;
  const float high = 0.241604357f + 0.0517449978f * r;
  const float p = low + (r * r) * (high + (r * r) * 0.0136703095f);
  return p * std::bit_cast<float>(static_cast<std::uint32_t>(whole) << 23);
}

}  // namespace basin::detail
