// Mahalanobis distances, on every backend.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include <Eigen/LU>

#include <basin/core/random.hpp>
#include <basin/ood/mahalanobis.hpp>

#include "../catch.hpp"
#include "../golden.hpp"

namespace mahalanobis {

using basin::covariance_estimate;
using basin::index_t;

inline Eigen::MatrixXd normal(index_t rows, index_t columns, std::uint32_t stream) {
  return Eigen::MatrixXd::NullaryExpr(rows, columns, [&](index_t i, index_t j) {
    return basin::normal_at<double>(basin::random_stream{13, stream}, i, j);
  });
}

template <class B>
void distances_are_in_deviations(const B& be) {
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

template <class B>
void covariances_are_scikit_learns(const B& be) {
  const golden::Case one("ood/mahalanobis");
  std::vector<index_t> classes;
  for (const double c : one.vector("classes")) classes.push_back(static_cast<index_t>(c));
  const Eigen::MatrixXd scores = one.columns("scores");
  const auto check = [&](covariance_estimate covariance, index_t which) {
    const basin::Mahalanobis fitted(basin::detail::host_of(be), one.columns("references"), classes,
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

template <class B>
void a_linear_map_changes_nothing(const B& be) {
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

template <class B>
void samples_are_refused(const B& be) {
  const Eigen::MatrixXd Y = normal(6, 50, 0);
  CHECK_THROWS_AS(basin::mahalanobis_score(be, Y, normal(5, 3, 0)), basin::size_error);
  Eigen::MatrixXd X = normal(6, 5, 1);
  X(2, 3) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(basin::mahalanobis_score(be, Y, X), "Mahalanobis: sample 3 is not finite");
  CHECK(basin::mahalanobis_score(be, Y, X.leftCols(0)).size() == 0);
}

}  // namespace mahalanobis
