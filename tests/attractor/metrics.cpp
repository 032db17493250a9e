// Memorisation and Chamfer distances on the CPU, and ranks: closed forms, laws, and NumPy's
// answers.
#include <cmath>
#include <limits>
#include <string>

#include <basin/attractor/chamfer.hpp>
#include <basin/attractor/memorization.hpp>
#include <basin/attractor/rank.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/backend/orthonormal.hpp>

#include "../catch.hpp"
#include "../golden.hpp"
#include "metrics_suite.hpp"

using basin::index_t;
using metrics::message_of;
using metrics::normal;
using metrics::not_a_number;

namespace {

// Columns with orthonormal directions.
Eigen::MatrixXd orthonormal(index_t n) {
  const basin::cpu<double> be(1);
  Eigen::MatrixXd Q(n, n);
  fill_orthogonal(be, basin::random_stream{8, 1}, Q);
  return Q;
}

}  // namespace

TEMPLATE_TEST_CASE("an attractor that is an image up to its brightness is memorised", "[metrics]",
                   float, double) {
  metrics::images_are_memorised(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("equal cosines go to the first image, in blocks too", "[metrics]", float,
                   double) {
  metrics::equal_cosines_go_to_the_first(basin::cpu<TestType>(2), 300);
}

TEMPLATE_TEST_CASE("a nearest image that float cannot tell is found", "[metrics]", float, double) {
  metrics::float_cannot_tell(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("a column of zeros has cosine 0, as has the mean image where it is centred",
                   "[metrics]", float, double) {
  metrics::zeros_have_cosine_zero(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("Chamfer by hand", "[metrics]", float, double) {
  metrics::chamfer_by_hand(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("Chamfer scales with its points, at any size", "[metrics]", float, double) {
  metrics::chamfer_scales(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("scikit-learn's, SciPy's answers of sets", "[metrics]", float, double) {
  metrics::answers_of_sets(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("nearest columns are those of a search in double", "[metrics]", float, double) {
  metrics::columns_are_those_in_double(basin::cpu<TestType>(2));
}

TEST_CASE("ranks of matrices whose singular values are known", "[metrics]") {
  const Eigen::MatrixXd identity = Eigen::MatrixXd::Identity(10, 10);
  CHECK(basin::rank_for_variance(identity) == 9);  // 9 of 10 explain 0.9 exactly
  CHECK(basin::rank_for_variance(identity, {.share = 0.91}) == 10);
  CHECK(basin::rank_for_variance(identity, {.share = 1}) == 10);
  CHECK(std::abs(basin::effective_rank(identity) - 10) < 1e-12);
  // The same turned: no singular value is exact.
  const Eigen::MatrixXd Q = orthonormal(10);
  CHECK(basin::rank_for_variance(Q) == 9);
  CHECK(basin::rank_for_variance(Q, {.share = 0.7}) == 7);
  CHECK(basin::rank_for_variance(Q, {.share = 0.7 + 1e-9}) == 8);
  CHECK(std::abs(basin::effective_rank(Q) - 10) < 1e-12);
  const Eigen::VectorXd x = normal(40, 1, 9).col(0);
  const Eigen::MatrixXd one = x * normal(1, 25, 10);
  CHECK(basin::rank_for_variance(one) == 1);
  CHECK(basin::rank_for_variance(one, {.share = 1}) == 1);
  CHECK(std::abs(basin::effective_rank(one) - 1) < 1e-12);
  // Values 3, 1, 1: 9, 10 and 11 of 11; entropy of 3/5, 1/5, 1/5.
  const Eigen::MatrixXd turned = orthonormal(6).leftCols(3) * Eigen::Vector3d(3, 1, 1).asDiagonal();
  CHECK(basin::rank_for_variance(turned, {.share = 9.0 / 11}) == 1);
  CHECK(basin::rank_for_variance(turned, {.share = 0.85}) == 2);
  CHECK(basin::rank_for_variance(turned, {.share = 0.95}) == 3);
  const double entropy = -0.6 * std::log(0.6) - 0.4 * std::log(0.2);
  CHECK(std::abs(basin::effective_rank(turned) - std::exp(entropy)) < 1e-12);
  // A part in 1e9 of the norm counts where all is asked for: 1e-18 of the variance.
  Eigen::MatrixXd small = orthonormal(6);
  small.col(5) *= 1e-9;
  CHECK(basin::rank_for_variance(small, {.share = 1}) == 6);
  small.col(5) = small.col(4);
  CHECK(basin::rank_for_variance(small, {.share = 1}) == 5);
}

TEST_CASE("ranks of points that are constant, and at any scale", "[metrics]") {
  const Eigen::MatrixXd zero = Eigen::MatrixXd::Zero(4, 7);
  CHECK(basin::rank_for_variance(zero) == 0);
  CHECK(basin::effective_rank(zero) == 0);
  const Eigen::MatrixXf equal = Eigen::MatrixXf::Constant(4, 7, 1.0f / 3);
  CHECK(basin::rank_for_variance(equal, {.share = 1}) == 1);
  CHECK(basin::rank_for_variance(equal, {.share = 1, .centered = true}) == 0);
  CHECK(basin::effective_rank(equal, {.centered = true}) == 0);
  const Eigen::MatrixXd X = normal(9, 30, 11);
  for (const double scale : {1e-200, 1e140}) {
    CHECK(basin::rank_for_variance(scale * X) == basin::rank_for_variance(X));
    CHECK(std::abs(basin::effective_rank(scale * X) - basin::effective_rank(X)) < 1e-12);
  }
}

TEST_CASE("NumPy's ranks", "[metrics]") {
  for (const std::string name : {"wide", "tall", "images"}) {
    CAPTURE(name);
    const golden::Case one("attractor/rank_" + name);
    const Eigen::MatrixXd X = one.columns("x");
    const Eigen::VectorXd shares = one.vector("shares"), rank = one.vector("rank"),
                          centered = one.vector("centered_rank"), entropy = one.vector("entropy");
    for (index_t s = 0; s < shares.size(); ++s) {
      CAPTURE(shares[s]);
      CHECK(basin::rank_for_variance(X, {.share = shares[s]}) == static_cast<index_t>(rank[s]));
      CHECK(basin::rank_for_variance(X, {.share = shares[s], .centered = true}) ==
            static_cast<index_t>(centered[s]));
    }
    CHECK(std::abs(basin::effective_rank(X) - entropy[0]) <= 1e-12 * entropy[0]);
    CHECK(std::abs(basin::effective_rank(X, {.centered = true}) - entropy[1]) <=
          1e-12 * entropy[1]);
  }
}

TEMPLATE_TEST_CASE("what metrics refuse, by the column's number", "[metrics]", float, double) {
  metrics::metrics_are_refused(basin::cpu<TestType>(2));
}

TEST_CASE("what ranks refuse, by the column's number", "[metrics]") {
  const Eigen::MatrixXd X = normal(3, 5, 12), none(3, 0);
  Eigen::MatrixXd bad = X, huge = X;
  bad(1, 2) = not_a_number;
  huge(2, 1) = 1e200;
  CHECK_THROWS_AS(basin::rank_for_variance(none), basin::size_error);
  CHECK_THROWS_AS(basin::effective_rank(none), basin::size_error);
  CHECK(message_of([&] { (void)basin::rank_for_variance(bad); }) ==
        "rank_for_variance: column 2 is not finite");
  CHECK(message_of([&] { (void)basin::effective_rank(huge); }) ==
        "effective_rank: column 1 is beyond 1e150");
  for (const double share : {0.0, -1.0, 1.5, not_a_number}) {
    CHECK_THROWS_AS(basin::rank_for_variance(X, {.share = share}), basin::argument_error);
  }
}

TEST_CASE("the largest entry is that of the magnitudes", "[metrics]") {
  const basin::cpu<float> be(1);
  CHECK(basin::detail::largest_entry(be, "", "", (-3 * Eigen::MatrixXf::Ones(2, 2)).eval()) == 3);
}
