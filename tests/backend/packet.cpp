#include <basin/backend/cpu/packet.hpp>

#include <cmath>
#include <vector>

#include <basin/backend/functors.hpp>

#include "../catch.hpp"

using basin::index_t;

TEMPLATE_TEST_CASE("an element takes the same path in the middle and in the tail", "[backend]",
                   float, double) {
  std::vector<TestType> x(100), whole(100);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<TestType>(0.07 * double(i) - 3);
  basin::detail::transform_run(basin::exp_function{}, 100, whole.data(), x.data());
  for (index_t first = 0; first < 100; first += 7) {
    for (index_t n = 1; n <= std::min<index_t>(40, 100 - first); ++n) {
      std::vector<TestType> part(static_cast<std::size_t>(n) + 1, TestType(9));
      basin::detail::transform_run(basin::exp_function{}, n, part.data(), x.data() + first);
      for (index_t i = 0; i < n; ++i) {
        REQUIRE(part[static_cast<std::size_t>(i)] == whole[static_cast<std::size_t>(first + i)]);
      }
      REQUIRE(part.back() == 9);  // nothing is written behind the end
    }
  }
}

TEMPLATE_TEST_CASE("sums of every length", "[backend]", float, double) {
  std::vector<TestType> x(200);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<TestType>(i % 13);
  for (index_t n = 0; n <= 200; ++n) {
    TestType expected = 0;  // whole numbers: exact in any order
    for (index_t i = 0; i < n; ++i) expected += x[static_cast<std::size_t>(i)];
    CHECK(
        basin::detail::sum_run<TestType>(n, [](const auto& a) { return a; }, x.data()) == expected);
  }
}
