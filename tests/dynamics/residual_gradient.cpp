// Proposition 3.1 on linear fields with known answers, and on curved ones against differences.
#include <cmath>
#include <limits>

#include <Eigen/Eigenvalues>

#include <basin/dynamics/residual_gradient.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/differentiable.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "../solver/maps.hpp"

using basin::index_t;

TEST_CASE("iterating a constant map is steepest descent", "[dynamics]") {
  auto map = basin::affine(Eigen::MatrixXd(Eigen::MatrixXd::Zero(3, 3)),
                           Eigen::VectorXd(Eigen::Vector3d(1, 2, 3)));
  const auto found = basin::residual_gradient(one, map, maps::starts(3, 20));
  CHECK((found.cosine.array() - 1).abs().maxCoeff() < 1e-14);
  // -∇L = 2 v.
  CHECK((found.gradient - 2 * found.residual).norm() < 1e-13);
  CHECK(found.share_descending.value == 1);
  CHECK(found.mean_cosine.value == Approx(1));
}

TEST_CASE("a quarter turn makes an angle of 45 degrees with the descent", "[dynamics]") {
  // J = R: v = (R - I) z, descent 2 (I - Rᵀ) v.
  auto map = basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = -z[1];
    f[1] = z[0];
  });
  const auto found = basin::residual_gradient(one, map, maps::starts(2, 20));
  CHECK((found.cosine.array() - std::sqrt(0.5)).abs().maxCoeff() < 1e-14);
  // Where the symmetric part of J has eigenvalues above 1 the step ascends.
  auto away = basin::affine(Eigen::MatrixXd(3 * Eigen::MatrixXd::Identity(2, 2)));
  const auto rising = basin::residual_gradient(one, away, maps::starts(2, 20));
  CHECK((rising.cosine.array() + 1).abs().maxCoeff() < 1e-14);
  CHECK(rising.share_descending.value == 0);
  CHECK(rising.share_descending.error > 0);
}

TEST_CASE("a symmetric Jacobian keeps to Kantorovich's bound", "[dynamics]") {
  const Eigen::MatrixXd half = maps::starts(6, 6);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> axes(half + half.transpose());
  const Eigen::VectorXd values = Eigen::VectorXd::LinSpaced(6, -0.5, 0.95);
  const Eigen::MatrixXd J =
      axes.eigenvectors() * values.asDiagonal() * axes.eigenvectors().transpose();
  auto map = basin::affine(J);
  const double bound = 2 * std::sqrt(1.5 * 0.05) / 1.55;
  const auto found = basin::residual_gradient(one, map, maps::starts(6, 1000));
  CHECK(found.cosine.minCoeff() > bound - 1e-12);
  // It is met, at the vector that Kantorovich's proof names: v with weights 1 / √(1 - λ) on the
  // ends, from z = -(I - J)⁻¹ v.
  const Eigen::VectorXd v =
      axes.eigenvectors().col(0) / std::sqrt(1.5) + axes.eigenvectors().col(5) / std::sqrt(0.05);
  const Eigen::MatrixXd worst = -(Eigen::MatrixXd::Identity(6, 6) - J).llt().solve(v);
  CHECK(basin::residual_gradient(one, map, worst).cosine[0] == Approx(bound).epsilon(1e-12));
}

TEST_CASE("the descent is the gradient of the squared residual", "[dynamics]") {
  auto map = basin::differentiable<3>([](const auto& z, auto& f) {
    using std::tanh;
    f[0] = tanh(2.0 * z[0] - z[1]);
    f[1] = tanh(z[1] * z[2]);
    f[2] = tanh(z[0] + 0.5 * z[2]);
  });
  const Eigen::MatrixXd points = maps::starts(3, 30);
  const auto found = basin::residual_gradient(one, map, points);
  const auto loss = [&](const Eigen::VectorXd& z) {
    const Eigen::MatrixXd at = z;
    return basin::sample_field(one, map, at, false).velocity.squaredNorm();
  };
  for (index_t j = 0; j < points.cols(); ++j) {
    Eigen::Vector3d gradient;
    for (index_t i = 0; i < 3; ++i) {
      const Eigen::VectorXd step = 1e-6 * Eigen::VectorXd::Unit(3, i);
      gradient[i] = (loss(points.col(j) + step) - loss(points.col(j) - step)) / 2e-6;
    }
    const Eigen::VectorXd v = basin::sample_field(one, map, points.col(j), false).velocity.col(0);
    CHECK(found.gradient[j] == Approx(gradient.norm()).epsilon(1e-6));
    CHECK(found.cosine[j] == Approx(-v.dot(gradient) / v.norm() / gradient.norm()).margin(1e-6));
  }
  CHECK(found.mean_cosine.value == Approx(found.cosine.mean()));
}

TEST_CASE("an isometry has no gradient and bad columns are left out", "[dynamics]") {
  // J = I: v is constant, ∇L = 0, and the proposition's first case is empty.
  auto shift = basin::affine(Eigen::MatrixXd(Eigen::MatrixXd::Identity(2, 2)),
                             Eigen::VectorXd(Eigen::Vector2d(1, 0)));
  const auto none = basin::residual_gradient(one, shift, maps::starts(2, 5));
  CHECK(none.gradient.norm() == 0);
  CHECK(none.mean_cosine.used == 0);
  CHECK(none.mean_cosine.left_out == 5);
  auto map = basin::affine(Eigen::MatrixXd(0.5 * Eigen::MatrixXd::Identity(2, 2)));
  Eigen::MatrixXd points = maps::starts(2, 5);
  points(0, 2) = std::numeric_limits<double>::quiet_NaN();
  points.col(3).setZero();  // the fixed point
  const auto found = basin::residual_gradient(one, map, points);
  CHECK(found.mean_cosine.used == 3);
  CHECK(found.share_descending.left_out == 2);
  CHECK(found.mean_cosine.value == Approx(1));
  CHECK(basin::residual_gradient(one, map, points.leftCols(0)).cosine.size() == 0);
  CHECK_THROWS_AS(basin::residual_gradient(one, map, maps::starts(3, 5)), basin::size_error);
}
