// This unit is also built with -ffast-math: the answers must not change.
#include <basin/core/finite.hpp>

#include <bit>
#include <cstdint>
#include <limits>

#include "../catch.hpp"

TEST_CASE("is_finite reads the bits", "[core]") {
  // Bits, since a literal NaN may be folded away under -ffast-math.
  const volatile std::uint32_t nan_bits = 0x7fc00001u, infinity_bits = 0xff800000u;
  const volatile std::uint64_t nan_bits_64 = 0xfff8000000000001u;
  CHECK_FALSE(basin::is_finite(std::bit_cast<float>(std::uint32_t{nan_bits})));
  CHECK_FALSE(basin::is_finite(std::bit_cast<float>(std::uint32_t{infinity_bits})));
  CHECK_FALSE(basin::is_finite(std::bit_cast<double>(std::uint64_t{nan_bits_64})));
  CHECK(basin::is_finite(std::numeric_limits<float>::max()));
  CHECK(basin::is_finite(std::numeric_limits<double>::denorm_min()));
  CHECK(basin::is_finite(0.0f));
}
