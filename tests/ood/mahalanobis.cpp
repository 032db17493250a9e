// Mahalanobis distances on the CPU, and covariances.
#include <limits>
#include <vector>

#include <basin/ood/mahalanobis.hpp>

#include "../catch.hpp"
#include "mahalanobis_suite.hpp"

using basin::covariance_estimate;
using basin::index_t;
using mahalanobis::normal;

TEMPLATE_TEST_CASE("distances are measured in standard deviations", "[ood]", float, double) {
  mahalanobis::distances_are_in_deviations(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("scikit-learn's covariances", "[ood]", float, double) {
  mahalanobis::covariances_are_scikit_learns(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("a linear map of everything changes nothing", "[ood]", float, double) {
  mahalanobis::a_linear_map_changes_nothing(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("samples that have no distance are refused", "[ood]", float, double) {
  mahalanobis::samples_are_refused(basin::cpu<TestType>(2));
}

TEST_CASE("a score does not hang on threads or on the batch", "[ood]") {
  const basin::cpu<double> one(1), three(3);
  const Eigen::MatrixXd Y = normal(17, 90, 0), X = normal(17, 40, 1);
  const basin::Mahalanobis fitted(one, Y);
  const Eigen::VectorXd all = fitted.score(one, X);
  CHECK(fitted.score(three, X) == all);
  CHECK(fitted.score(one, X.middleCols(11, 3)) == all.segment(11, 3));
}

TEST_CASE("covariances that cannot be inverted are errors, or regularised by choice", "[ood]") {
  const basin::cpu<double> be(1);
  Eigen::MatrixXd few = normal(6, 5, 0), flat = normal(6, 50, 0);
  flat.row(2) = flat.row(1);
  const Eigen::MatrixXd same = few.col(0).replicate(1, 9), X = normal(6, 3, 1);
  for (const auto& Y : {few, flat, same}) {
    CHECK_THROWS_AS(basin::mahalanobis_score(be, Y, X), basin::argument_error);
  }
  for (const auto covariance : {covariance_estimate::ridge, covariance_estimate::shrinkage,
                                covariance_estimate::ledoit_wolf}) {
    for (const auto& Y : {few, flat}) {
      CHECK(basin::mahalanobis_score(be, Y, X, {}, {.covariance = covariance}).minCoeff() > 0);
    }
    CHECK_THROWS_AS(basin::mahalanobis_score(be, same, X, {}, {.covariance = covariance}),
                    basin::argument_error);
  }
  CHECK_THROWS_AS(basin::mahalanobis_score(be, flat, X, {0, 1}), basin::size_error);
  std::vector<index_t> classes(50, 0);
  classes[3] = 2;
  CHECK_THROWS_WITH(basin::mahalanobis_score(be, flat, X, classes),
                    "Mahalanobis: class 1 has no reference");
  classes[3] = -1;
  CHECK_THROWS_AS(basin::mahalanobis_score(be, flat, X, classes), basin::argument_error);
  flat(0, 4) = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(basin::mahalanobis_score(be, flat, X),
                    "Mahalanobis: reference 4 is not finite");
  CHECK_THROWS_AS(basin::mahalanobis_score(be, normal(6, 50, 0), normal(5, 3, 0)),
                  basin::size_error);
  Eigen::MatrixXd whitening = Eigen::MatrixXd::Identity(2, 2);
  whitening(1, 0) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(
      basin::Mahalanobis(Eigen::VectorXd::Zero(2), whitening, Eigen::MatrixXd::Zero(2, 1), 0),
      basin::argument_error);
  CHECK_THROWS_AS(
      basin::mahalanobis_score(be, few, X, {},
                               {.covariance = covariance_estimate::shrinkage, .amount = 1.5}),
      basin::argument_error);
}
