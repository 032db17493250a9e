/// @file
/// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw,
/// "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
///
/// A word depends on the key and the counter alone, never on what was drawn
/// before, so any split over threads, batches or devices gives the same words.
#pragma once

#include <array>
#include <cstdint>

#include <basin/core/host_device.hpp>

namespace basin {

/// Four 32-bit words: a Philox counter or its output.
using philox_block = std::array<std::uint32_t, 4>;

/// The ten rounds of Philox4x32-10.
/// @param counter 128-bit counter, least significant word first
/// @param key 64-bit key, least significant word first
/// @return four random words. Cost: 20 multiplications.
[[nodiscard]] BASIN_HOST_DEVICE constexpr philox_block philox4x32_10(
    philox_block counter, std::array<std::uint32_t, 2> key) noexcept {
  constexpr std::uint64_t multiplier_0 = 0xD2511F53u;
  constexpr std::uint64_t multiplier_1 = 0xCD9E8D57u;
  constexpr std::uint32_t weyl_0 = 0x9E3779B9u;
  constexpr std::uint32_t weyl_1 = 0xBB67AE85u;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product_0 = multiplier_0 * counter[0];
    const std::uint64_t product_1 = multiplier_1 * counter[2];
    counter = {static_cast<std::uint32_t>(product_1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product_1),
               static_cast<std::uint32_t>(product_0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product_0)};
    key[0] += weyl_0;
    key[1] += weyl_1;
  }
  return counter;
}

}  // namespace basin
