// Memory of a factor that grows.
#include <cmath>

#include <basin/sparse/inverse_cholesky.hpp>

#include "../catch.hpp"

using basin::index_t;

TEST_CASE("a factor takes memory for the rows that it has", "[sparse]") {
  basin::detail::InverseCholesky<double> factor(2000000);
  for (index_t t = 0; t < 3; ++t) {
    for (index_t i = 0; i < t; ++i) factor.products()[i] = 0.5;
    CHECK(factor.add(1, 0) > 0.7);
  }
  CHECK(factor.row(0)[0] == 1);
  CHECK(factor.row(1)[1] == Approx(1 / std::sqrt(0.75)));
}
