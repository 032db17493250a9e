#include <basin/io/half.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "../catch.hpp"

namespace {

// A number of these widths as its definition says it, in double.
double value(std::uint32_t bits, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const auto fraction = static_cast<double>(bits & ((1u << fraction_bits) - 1));
  const int exponent = static_cast<int>(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
  const double sign = (bits >> 15) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  }
  const double significand = fraction + (exponent > 0 ? std::ldexp(1, fraction_bits) : 0);
  return sign * std::ldexp(significand, std::max(exponent, 1) - bias - fraction_bits);
}

// Counts the patterns that are widened to another number, or to another sign of zero or NaN.
template <class Widen>
int differences(int exponent_bits, int fraction_bits, const Widen& widen) {
  int count = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const double expected = value(bits, exponent_bits, fraction_bits);
    const float found = widen(static_cast<std::uint16_t>(bits));
    const bool same =
        std::isnan(expected) ? std::isnan(found) : expected == static_cast<double>(found);
    const bool sign = std::bit_cast<std::uint32_t>(found) >> 31 != 0;
    if (!same || sign != (bits >> 15 != 0)) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("every pattern of 16 bits is widened exactly", "[io]") {
  CHECK(differences(5, 10, basin::half_to_float) == 0);
  CHECK(differences(8, 7, basin::bfloat16_to_float) == 0);
  static_assert(basin::half_to_float(0x0001) == 0x1p-24f);
  static_assert(basin::half_to_float(0x7bff) == 65504);
  static_assert(basin::bfloat16_to_float(0x3f80) == 1);
}
