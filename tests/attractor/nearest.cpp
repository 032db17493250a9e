// Nearest references on the CPU.
#include <basin/attractor/nearest.hpp>

#include "../catch.hpp"
#include "nearest_suite.hpp"

using basin::NearestReferences;
using nearest::normal;

TEMPLATE_TEST_CASE("nearest references of golden files", "[nearest]", float, double) {
  nearest::golden_answers(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("the nearest are those of differences in double", "[nearest]", float, double) {
  nearest::nearest_are_those_in_double(basin::cpu<TestType>(2), slow_build ? 300 : 1500);
}

TEMPLATE_TEST_CASE("the nearest are right where products cancel or overflow", "[nearest]", float,
                   double) {
  nearest::products_may_cancel_or_overflow(basin::cpu<TestType>(2));
}

TEST_CASE("the same bits on any number of threads and in any batch", "[nearest]") {
  const Eigen::MatrixXf Y = normal(9, 700, 0).cast<float>(), X = normal(9, 101, 1).cast<float>();
  const basin::cpu<float> one(1), three(3);
  const NearestReferences search(one, Y);
  const auto all = search.nearest(one, X, 4);
  CHECK(NearestReferences(three, Y).nearest(three, X, 4).distance == all.distance);
  CHECK(search.nearest(three, X.middleCols(50, 7), 4).distance == all.distance.middleCols(50, 7));
}

TEMPLATE_TEST_CASE("one reference a sample can be left out", "[nearest]", float, double) {
  nearest::references_can_be_left_out(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("searches that cannot be are refused", "[nearest]", float, double) {
  nearest::searches_are_refused(basin::cpu<TestType>(2));
}
