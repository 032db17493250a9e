// Scores by nearest references on the CPU.
#include "../catch.hpp"
#include "knn_suite.hpp"

TEMPLATE_TEST_CASE("scores are distances of the K-th, or means", "[ood]", float, double) {
  knn::scores_are_distances(basin::cpu<TestType>(1));
}

TEMPLATE_TEST_CASE("a sample that is a reference is refused or left out", "[ood]", float, double) {
  knn::references_are_refused(basin::cpu<TestType>(1));
}

TEMPLATE_TEST_CASE(
    "samples and references that are not finite are refused by their number, normalised too",
    "[ood]", float, double) {
  knn::not_finite_is_refused(basin::cpu<TestType>(1));
}
