#include <basin/backend/cpu.hpp>

#include "conformance.hpp"

TEMPLATE_TEST_CASE("the CPU backend passes the suite", "[backend]", float, double) {
  const int threads = GENERATE(1, 2, 4);
  conformance::every_primitive(basin::cpu<TestType>(threads));
}
