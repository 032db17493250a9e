// Asymmetry of Jacobians and integrals over loops, where both are known.
#include <cmath>
#include <limits>
#include <numbers>

#include <Eigen/Geometry>

#include <basin/dynamics/conservativity.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/differentiable.hpp>
#include <basin/map/finite_difference.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "../solver/maps.hpp"

using basin::index_t;

TEST_CASE("the asymmetry of linear maps", "[dynamics]") {
  const Eigen::MatrixXd points = maps::starts(4, 7);
  const Eigen::MatrixXd any = maps::starts(4, 4);
  const auto ratio = [&](const Eigen::MatrixXd& J) {
    auto map = basin::affine(J);
    const auto found = basin::jacobian_asymmetry(one, map, points);
    CHECK((found.ratio.array() - found.ratio[0]).abs().maxCoeff() < 1e-14);
    CHECK(found.mean_ratio.value == Approx(found.ratio[0]));
    return found.ratio[0];
  };
  CHECK(ratio(any + any.transpose()) < 1e-15);
  CHECK(ratio(any - any.transpose()) == Approx(2).epsilon(1e-14));
  CHECK(ratio(any) == Approx((any - any.transpose()).norm() / any.norm()).epsilon(1e-13));
}

TEST_CASE("the asymmetry of a curved map, point by point", "[dynamics]") {
  // J = (2 x, 1; y, x): ‖J - Jᵀ‖ = √2 |1 - y|.
  auto map = basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = z[0] * z[0] + z[1];
    f[1] = z[0] * z[1];
  });
  Eigen::MatrixXd points = maps::starts(2, 50);
  points(1, 3) = 1;
  const auto found = basin::jacobian_asymmetry(one, map, points);
  for (index_t j = 0; j < 50; ++j) {
    const double x = points(0, j), y = points(1, j);
    CHECK(found.ratio[j] ==
          Approx(std::sqrt(2 * (1 - y) * (1 - y) / (4 * x * x + 1 + y * y + x * x))).margin(1e-14));
  }
  CHECK(found.ratio[3] == 0);
  CHECK(found.mean_ratio.error > 0);
}

TEST_CASE("probes estimate the asymmetry", "[dynamics]") {
  const Eigen::MatrixXd any = maps::starts(30, 30);
  auto map = basin::affine(any);
  const Eigen::MatrixXd points = maps::starts(30, 8);
  const double known = (any - any.transpose()).norm() / any.norm();
  const auto found = basin::jacobian_asymmetry(one, map, points, {.probes = 200});
  CHECK((found.ratio.array() / known - 1).abs().maxCoeff() < 3 / std::sqrt(200.0));
  // Other points, other probes.
  CHECK((found.ratio.array() - found.ratio[0]).abs().maxCoeff() > 1e-6);
  // Exact for what is symmetric or skew, with one.
  auto even = basin::affine(Eigen::MatrixXd(any + any.transpose()));
  auto odd = basin::affine(Eigen::MatrixXd(any - any.transpose()));
  CHECK(basin::jacobian_asymmetry(one, even, points, {.probes = 1}).ratio.maxCoeff() < 1e-14);
  CHECK((basin::jacobian_asymmetry(one, odd, points, {.probes = 1}).ratio.array() - 2)
            .abs()
            .maxCoeff() < 1e-13);
}

TEST_CASE("Jacobians that vanish or are not finite are left out", "[dynamics]") {
  auto map = basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = z[0] * z[1];
    f[1] = z[1] * z[1];
  });
  Eigen::MatrixXd points = maps::starts(2, 5);
  points.col(1).setZero();
  points(0, 2) = std::numeric_limits<double>::quiet_NaN();
  const auto found = basin::jacobian_asymmetry(one, map, points);
  CHECK(std::isnan(found.ratio[1]));
  CHECK(std::isnan(found.ratio[2]));
  CHECK(found.mean_ratio.used == 3);
  CHECK(found.mean_ratio.left_out == 2);
  CHECK(std::isfinite(found.mean_ratio.value));
  CHECK(basin::jacobian_asymmetry(one, map, points.leftCols(0)).ratio.size() == 0);
  CHECK(basin::jacobian_asymmetry(one, map, points.leftCols(0), {.probes = 2}).ratio.size() == 0);
  CHECK_THROWS_AS(basin::jacobian_asymmetry(one, map, points, {.probes = -1}),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::jacobian_asymmetry(one, map, maps::starts(3, 2)), basin::size_error);
  auto encoder = basin::affine(Eigen::MatrixXd(Eigen::MatrixXd::Ones(1, 2)));
  CHECK_THROWS_AS(basin::jacobian_asymmetry(one, encoder, points), basin::size_error);
  auto differences =
      basin::finite_difference(basin::columnwise<2>([](const auto& z, auto& f) { f = 2 * z; }));
  CHECK_THROWS_AS(basin::jacobian_asymmetry(one, differences, points, {.probes = 1}),
                  basin::argument_error);
}

TEST_CASE("the circulation is the curl times the area", "[dynamics]") {
  // v = w × z has the curl 2 w.
  const Eigen::Vector3d w(0.3, -0.5, 1.2);
  Eigen::Matrix3d cross;
  cross << 0, -w[2], w[1], w[2], 0, -w[0], -w[1], w[0], 0;
  auto map = basin::affine(Eigen::MatrixXd(cross + Eigen::Matrix3d::Identity()));
  const Eigen::MatrixXd triangle = maps::starts(3, 3);
  const Eigen::Vector3d a = triangle.col(1) - triangle.col(0);
  const Eigen::Vector3d b = triangle.col(2) - triangle.col(0);
  const auto loop = basin::circulation(one, map, triangle);
  CHECK(loop.value == Approx(2 * w.dot(a.cross(b)) / 2).epsilon(1e-12));
  CHECK(loop.error < 1e-12);
  CHECK(std::abs(loop.relative()) <= 1);
  // A circle in the plane of a turn is followed all the way: all work adds up.
  Eigen::MatrixXd circle(2, 400);
  for (index_t i = 0; i < 400; ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(i) / 400;
    circle.col(i) << std::cos(angle), std::sin(angle);
  }
  auto turn = basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = z[0] - z[1];
    f[1] = z[1] + z[0];
  });
  const auto round = basin::circulation(one, turn, circle);
  CHECK(round.value == Approx(2 * std::numbers::pi).epsilon(1e-4));
  CHECK(round.relative() == Approx(1).epsilon(1e-4));
  CHECK_THROWS_AS(basin::circulation(one, turn, circle.leftCols(2)), basin::argument_error);
}

TEST_CASE("a symmetric Jacobian closes every loop", "[dynamics]") {
  // v = A tanh(Aᵀ z + b) - z: the gradient of Σ log cosh(Aᵀ z + b) - ‖z‖² / 2.
  const Eigen::Matrix3d A = maps::starts(3, 3);
  auto map = basin::differentiable<3>([A](const auto& z, auto& f) {
    using std::tanh;
    for (int i = 0; i < 3; ++i) f[i] = 0.0;
    for (int l = 0; l < 3; ++l) {
      const auto unit = tanh(A(0, l) * z[0] + A(1, l) * z[1] + A(2, l) * z[2] + 0.3 * l);
      for (int i = 0; i < 3; ++i) f[i] = f[i] + A(i, l) * unit;
    }
  });
  const Eigen::MatrixXd points = 2 * maps::starts(3, 5);
  CHECK(basin::jacobian_asymmetry(one, map, points).ratio.maxCoeff() < 1e-13);
  const auto loop = basin::circulation(one, map, points);
  CHECK(loop.converged);
  CHECK(std::abs(loop.value) <= 3 * loop.error + 1e-12 * loop.work);
  CHECK(loop.work > 1);
}
