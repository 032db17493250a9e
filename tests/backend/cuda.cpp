// Built by nvcc for a GPU, and by a plain compiler for each of Thrust's host systems.
#include <basin/backend/cuda.hpp>
#include <basin/backend/cuda/lanes.hpp>

#include "conformance.hpp"

TEMPLATE_TEST_CASE("the device backend passes the suite", "[backend]", float, double) {
  conformance::every_primitive(basin::cuda<TestType>());
}
