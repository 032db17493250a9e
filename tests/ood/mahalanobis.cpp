// Mahalanobis distances against closed forms, laws and scikit-learn's covariances.
#include <limits>
#include <string>
#include <vector>

#include <Eigen/LU>

#include <basin/core/random.hpp>
#include <basin/ood/mahalanobis.hpp>

#include "../catch.hpp"
#include "../golden.hpp"

using basin::covariance_estimate;
using basin::index_t;

namespace {

Eigen::MatrixXd normal(index_t rows, index_t columns, std::uint32_t stream) {
  return Eigen::MatrixXd::NullaryExpr(rows, columns, [&](index_t i, index_t j) {
    return basin::normal_at<double>(basin::random_stream{13, stream}, i, j);
  });
}

}  // namespace

TEST_CASE("distances are measured in standard deviations", "[ood]") {
  const basin::cpu<double> be(1);
  Eigen::MatrixXd Y(2, 4);
  Y << 12, 8, 10, 10, 5, 5, 6, 4;  // mean (10, 5), variances 2 and 1/2
  Eigen::MatrixXd X(2, 3);
  X << 10, 14, 10, 5, 5, 7;
  const Eigen::VectorXd scores = basin::mahalanobis_score(be, Y, X);
  CHECK((scores - Eigen::Vector3d(0, 8, 8)).norm() <= 1e-12);
  // Two classes with one covariance: the nearer mean counts.
  Eigen::MatrixXd Z(2, 8);
  Z << Y, Y.colwise() + Eigen::Vector2d(100, 0);
  const std::vector<index_t> classes{0, 0, 0, 0, 1, 1, 1, 1};
  X.row(0).array() += 100;
  CHECK((basin::mahalanobis_score(be, Z, X, classes) - scores).norm() <= 1e-11);
}

TEST_CASE("scikit-learn's covariances", "[ood]") {
  const basin::cpu<float> be(2);
  const golden::Case one("ood/mahalanobis");
  std::vector<index_t> classes;
  for (const double c : one.vector("classes")) classes.push_back(static_cast<index_t>(c));
  const Eigen::MatrixXd scores = one.columns("scores");
  const auto check = [&](covariance_estimate covariance, index_t which) {
    const basin::Mahalanobis fitted(be, one.columns("references"), classes,
                                    {.covariance = covariance, .amount = 0.3});
    const Eigen::VectorXd found = fitted.score(be, one.columns("samples"));
    CHECK((found - scores.col(which)).cwiseAbs().maxCoeff() <=
          1e-11 * scores.col(which).maxCoeff());
    if (covariance == covariance_estimate::ledoit_wolf) {
      CHECK(std::abs(fitted.amount() - one.vector("shrinkage")[0]) <= 1e-12);
    }
  };
  check(covariance_estimate::sample, 0);
  check(covariance_estimate::ridge, 1);
  check(covariance_estimate::shrinkage, 2);
  check(covariance_estimate::ledoit_wolf, 3);
}

TEST_CASE("a linear map of everything changes nothing", "[ood]") {
  const basin::cpu<double> be(1);
  const Eigen::MatrixXd Y = normal(5, 200, 0), X = normal(5, 20, 1);
  const Eigen::MatrixXd A = normal(5, 5, 2);
  const Eigen::VectorXd scores = basin::mahalanobis_score(be, Y, X);
  CHECK((basin::mahalanobis_score(be, A * Y, A * X) - scores).norm() <= 1e-9 * scores.norm());
  // The mean over the references is the dimension.
  CHECK(basin::mahalanobis_score(be, Y, Y).mean() == Approx(5).epsilon(1e-12));
  // Shrunk wholly it is a distance from the mean, in units of the mean variance.
  const Eigen::VectorXd mean = Y.rowwise().mean();
  const double variance = (Y.colwise() - mean).squaredNorm() / 1000;
  CHECK((basin::mahalanobis_score(be, Y, X, {},
                                  {.covariance = covariance_estimate::shrinkage, .amount = 1}) -
         (X.colwise() - mean).colwise().squaredNorm().transpose() / variance)
            .norm() <= 1e-11 * scores.norm());
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
