#include <basin/core/normal.hpp>

#include <cmath>

#include "../catch.hpp"

TEST_CASE("the normal quantile of two sides", "[core]") {
  using basin::detail::two_sided_normal;
  CHECK(two_sided_normal(0.95) == Approx(1.959963984540054).epsilon(1e-12));
  CHECK(two_sided_normal(0.6826894921370859) == Approx(1).epsilon(1e-10));
  CHECK(two_sided_normal(1e-12) == Approx(1.2533141373155e-12).epsilon(1e-3));  // √(π/2) of it
  CHECK(two_sided_normal(1 - 1e-9) == Approx(6.1094102).epsilon(1e-7));
  for (const double outside : {0.0, 1.0, -0.5, 1.5, std::nan("")}) {
    CHECK_THROWS_AS(two_sided_normal(outside), basin::argument_error);
  }
}
