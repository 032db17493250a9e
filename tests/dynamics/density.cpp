// Gaussians and mixtures: values in closed form, derivatives against differences, noise and
// draws.
#include <cmath>
#include <limits>
#include <numbers>

#include <Eigen/LU>

#include "../catch.hpp"
#include "densities.hpp"

using basin::index_t;

TEST_CASE("the density of a Gaussian in closed form", "[dynamics]") {
  const double pi = std::numbers::pi;
  const auto q = basin::gaussian(Eigen::Vector2d(1, -1), Eigen::Vector2d(4, 0.25).asDiagonal());
  const Eigen::MatrixXd x = (Eigen::MatrixXd(2, 2) << 1, 3, -1, 0).finished();
  const Eigen::VectorXd log_q = q.log_density(x);
  CHECK(log_q[0] == Approx(-std::log(2 * pi)).epsilon(1e-14));
  CHECK(log_q[1] == Approx(-std::log(2 * pi) - 0.5 - 2).epsilon(1e-14));
  CHECK((q.score(x).col(1) - Eigen::Vector2d(-0.5, -4)).norm() < 1e-14);
  CHECK(q.score(x).col(0).norm() == 0);
  const Eigen::Matrix2d precision = Eigen::Vector2d(0.25, 4).asDiagonal();
  CHECK((q.hessian(x.col(1)) + precision).norm() < 1e-14);
}

TEST_CASE("a mixture is the sum of its components", "[dynamics]") {
  const auto q = densities::three();
  CHECK((q.weights() - Eigen::Vector3d(1, 2, 3) / 6).norm() < 1e-16);
  const Eigen::MatrixXd x = q.sample(50, {.seed = 2});
  Eigen::VectorXd sum = Eigen::VectorXd::Zero(50);
  Eigen::MatrixXd slope = Eigen::MatrixXd::Zero(2, 50);
  for (index_t i = 0; i < 3; ++i) {
    for (index_t j = 0; j < 50; ++j) {
      const Eigen::Vector2d apart = x.col(j) - q.means().col(i);
      const Eigen::Matrix2d inverse = q.covariance(i).inverse();
      const double p = q.weights()[i] * std::exp(-apart.dot(inverse * apart) / 2) /
                       (2 * std::numbers::pi * std::sqrt(q.covariance(i).determinant()));
      sum[j] += p;
      slope.col(j) -= p * inverse * apart;
    }
  }
  CHECK((q.log_density(x).array().exp() - sum.array()).abs().maxCoeff() < 1e-14);
  const Eigen::MatrixXd score = slope.array().rowwise() / sum.transpose().array();
  CHECK((q.score(x) - score).cwiseAbs().maxCoeff() < 1e-12);
  CHECK((q.responsibilities(x).colwise().sum().array() - 1).abs().maxCoeff() < 1e-14);
}

TEST_CASE("score and Hessian are derivatives of the density", "[dynamics]") {
  const auto q = densities::three();
  const Eigen::MatrixXd x = q.sample(20, {.seed = 4});
  constexpr double h = 1e-5;
  for (index_t j = 0; j < x.cols(); ++j) {
    const Eigen::Matrix2d hessian = q.hessian(x.col(j));
    CHECK((hessian - hessian.transpose()).norm() == 0);
    for (index_t i = 0; i < 2; ++i) {
      const Eigen::Vector2d step = h * Eigen::Vector2d::Unit(i);
      const Eigen::VectorXd ahead = x.col(j) + step, behind = x.col(j) - step;
      const double slope = (q.log_density(ahead)[0] - q.log_density(behind)[0]) / (2 * h);
      CHECK(q.score(x.col(j))(i, 0) == Approx(slope).margin(1e-7));
      const Eigen::Vector2d turn = (q.score(ahead) - q.score(behind)) / (2 * h);
      CHECK((hessian.col(i) - turn).norm() < 1e-6);
    }
  }
}

TEST_CASE("far from every component the score still points back", "[dynamics]") {
  const auto q = densities::three();
  const Eigen::MatrixXd far = (Eigen::MatrixXd(2, 2) << 1e4, -1e4, 0, 1e4).finished();
  const Eigen::MatrixXd score = q.score(far);
  CHECK(score.allFinite());
  CHECK(score.col(0).dot(far.col(0)) < 0);
  CHECK(score.col(1).dot(far.col(1)) < 0);
  CHECK(q.log_density(far).allFinite());
}

TEST_CASE("noise widens every component, and draws show it", "[dynamics]") {
  const auto q = densities::three();
  const double noise = 0.7;
  const auto wide = q.noised(noise);
  const Eigen::MatrixXd clean = q.sample(20000, {.seed = 6});
  Eigen::MatrixXd noisy = clean;
  for (index_t j = 0; j < noisy.cols(); ++j) {
    for (index_t i = 0; i < 2; ++i) noisy(i, j) += noise * basin::normal_at<double>({6, 1}, i, j);
  }
  // E log q' over draws with noise added is the one over draws of q' itself.
  const Eigen::MatrixXd direct = wide.sample(20000, {.seed = 7});
  const double a = wide.log_density(noisy).mean(), b = wide.log_density(direct).mean();
  CHECK(a == Approx(b).margin(0.03));
  // And differs from the one over clean draws: the test can fail.
  CHECK(wide.log_density(clean).mean() > b + 0.1);
  CHECK((noisy.rowwise().mean() - direct.rowwise().mean()).norm() < 0.05);
  CHECK((q.noised(0).score(clean.leftCols(5)) - q.score(clean.leftCols(5))).norm() == 0);
}

TEST_CASE("draws have the mean and the covariance, and do not depend on their number",
          "[dynamics]") {
  const auto q = densities::tilted(5);
  const Eigen::MatrixXd x = q.sample(40000, {.seed = 8});
  const Eigen::VectorXd mean = x.rowwise().mean();
  CHECK((mean - q.means()).norm() < 0.05);
  const Eigen::MatrixXd apart = x.colwise() - mean;
  CHECK((apart * apart.transpose() / 40000.0 - q.covariance(0)).norm() <
        0.05 * q.covariance(0).norm());
  CHECK((q.sample(10, {.seed = 8}) - x.leftCols(10)).norm() == 0);
  CHECK((q.sample(10, {.seed = 9}) - x.leftCols(10)).norm() > 1);
  // The weights.
  const auto three = densities::three();
  const Eigen::VectorXd shares =
      three.responsibilities(three.sample(20000, {.seed = 1})).rowwise().mean();
  CHECK((shares - three.weights()).norm() < 0.01);
  CHECK(q.sample(0, {}).cols() == 0);
}

TEST_CASE("Tweedie's formula gives the best denoiser of a mixture", "[dynamics]") {
  const auto q = densities::three();
  for (const double noise : {0.0, 0.1, 0.5, 2.0}) {
    const auto wide = q.noised(noise);
    const Eigen::MatrixXd y = wide.sample(200, {.seed = 10});
    const Eigen::MatrixXd tweedie = y + noise * noise * wide.score(y);
    CHECK((q.optimal_denoiser(y, noise) - tweedie).cwiseAbs().maxCoeff() < 1e-12);
  }
  // It is the best: its error is less than that of neighbours.
  const Eigen::MatrixXd x = q.sample(20000, {.seed = 11});
  Eigen::MatrixXd y = x;
  for (index_t j = 0; j < y.cols(); ++j) {
    for (index_t i = 0; i < 2; ++i) y(i, j) += 0.5 * basin::normal_at<double>({11, 1}, i, j);
  }
  const Eigen::MatrixXd best = q.optimal_denoiser(y, 0.5);
  const double error = (best - x).squaredNorm();
  CHECK(error < (q.optimal_denoiser(y, 0.4) - x).squaredNorm());
  CHECK(error < (q.optimal_denoiser(y, 0.6) - x).squaredNorm());
  CHECK(error < (y - x).squaredNorm());
}

TEST_CASE("a point that is not finite gives NaN alone", "[dynamics]") {
  const auto q = densities::three();
  Eigen::MatrixXd x = q.sample(5, {.seed = 12});
  const Eigen::MatrixXd known = q.score(x);
  x(1, 1) = std::numeric_limits<double>::quiet_NaN();
  x(0, 3) = std::numeric_limits<double>::infinity();
  const Eigen::MatrixXd score = q.score(x);
  const Eigen::VectorXd log_q = q.log_density(x);
  for (const index_t j : {1, 3}) {
    CHECK(score.col(j).array().isNaN().all());
    CHECK(std::isnan(log_q[j]));
  }
  for (const index_t j : {0, 2, 4}) {
    CHECK((score.col(j) - known.col(j)).norm() == 0);
    CHECK(std::isfinite(log_q[j]));
  }
}

TEST_CASE("densities that make no sense are refused", "[dynamics]") {
  const Eigen::MatrixXd means = Eigen::MatrixXd::Zero(2, 1);
  const Eigen::MatrixXd one = Eigen::MatrixXd::Identity(2, 2);
  const Eigen::VectorXd weight = Eigen::VectorXd::Ones(1);
  using basin::GaussianMixture;
  CHECK_THROWS_AS(GaussianMixture(Eigen::Vector2d(1, 1), means, {one}), basin::size_error);
  CHECK_THROWS_AS(GaussianMixture(weight, means, {}), basin::size_error);
  CHECK_THROWS_AS(GaussianMixture(weight, means, {Eigen::MatrixXd::Identity(3, 3)}),
                  basin::size_error);
  CHECK_THROWS_AS(GaussianMixture(-weight, means, {one}), basin::argument_error);
  CHECK_THROWS_AS(GaussianMixture(weight, means, {-one}), basin::argument_error);
  CHECK_THROWS_AS(GaussianMixture({}, Eigen::MatrixXd(2, 0), {}), basin::argument_error);
  Eigen::MatrixXd bent = one;
  bent(0, 1) = 0.1;
  CHECK_THROWS_AS(GaussianMixture(weight, means, {bent}), basin::argument_error);
  bent(0, 1) = bent(1, 0) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(GaussianMixture(weight, means, {bent}), basin::argument_error);
  const auto q = densities::three();
  CHECK_THROWS_AS(q.score(Eigen::MatrixXd::Zero(3, 1)), basin::size_error);
  CHECK_THROWS_AS(q.noised(-1), basin::argument_error);
  CHECK_THROWS_AS(q.sample(-1, {}), basin::argument_error);
}
