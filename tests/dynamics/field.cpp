// The field on grids and planes, with known divergence and rotation.
#include <cmath>

#include <Eigen/Geometry>

#include <basin/dynamics/field.hpp>
#include <basin/map/finite_difference.hpp>

#include "../one_thread.hpp"
#include "flows.hpp"

using basin::index_t;

TEST_CASE("grid points run with the first entry fastest", "[dynamics]") {
  const Eigen::MatrixXd grid =
      basin::grid_points(Eigen::Vector2d(0, 10), Eigen::Vector2d(1, 20), {3, 2});
  const Eigen::MatrixXd expected =
      (Eigen::MatrixXd(2, 6) << 0, 0.5, 1, 0, 0.5, 1, 10, 10, 10, 20, 20, 20).finished();
  CHECK((grid - expected).cwiseAbs().maxCoeff() == 0);
  CHECK(basin::grid_points(Eigen::VectorXd::Zero(1), Eigen::VectorXd::Ones(1), {1})(0, 0) == 0);
  CHECK_THROWS_AS(basin::grid_points(Eigen::Vector2d(0, 0), Eigen::Vector2d(1, 1), {3}),
                  basin::size_error);
  CHECK_THROWS_AS(basin::grid_points(Eigen::Vector2d(0, 0), Eigen::Vector2d(1, 1), {3, 0}),
                  basin::argument_error);
}

TEST_CASE("divergence and rotation in the plane", "[dynamics]") {
  // v = (x² y, x y³): divergence 2 x y + 3 x y², rotation y³ - x².
  auto map = basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = z[0] + z[0] * z[0] * z[1];
    f[1] = z[1] + z[0] * z[1] * z[1] * z[1];
  });
  const Eigen::MatrixXd grid =
      basin::grid_points(Eigen::Vector2d(-1, -2), Eigen::Vector2d(1, 2), {7, 9});
  const auto sample = basin::sample_field(one, map, grid);
  REQUIRE(sample.divergence.size() == 63);
  for (index_t j = 0; j < 63; ++j) {
    const double x = grid(0, j);
    const double y = grid(1, j);
    const Eigen::Vector2d v(x * x * y, x * y * y * y);
    CHECK((sample.velocity.col(j) - v).norm() < 1e-14);
    CHECK(sample.norm[j] == Approx(v.norm()).margin(1e-14));
    CHECK(sample.divergence[j] == Approx(2 * x * y + 3 * x * y * y).margin(1e-13));
    CHECK(sample.rotation[j] == Approx(y * y * y - x * x).margin(1e-13));
  }
  // A plane that is R² itself, seen along other axes: both are the same in any.
  const auto turned = basin::plane_through(Eigen::Vector2d(0.3, 0.1), Eigen::Vector2d(1, 1),
                                           Eigen::Vector2d(-1, 2));
  const auto on_plane = basin::sample_plane(one, map, turned, grid);
  const auto there = basin::sample_field(one, map, turned.points(grid));
  CHECK((on_plane.divergence - there.divergence).cwiseAbs().maxCoeff() < 1e-11);
  CHECK((on_plane.rotation - there.rotation).cwiseAbs().maxCoeff() < 1e-11);
  CHECK((on_plane.norm - there.norm).cwiseAbs().maxCoeff() < 1e-12);
  CHECK((on_plane.velocity.colwise().norm().transpose() - there.norm).cwiseAbs().maxCoeff() <
        1e-11);
}

TEST_CASE("the curl in space and a plane through it", "[dynamics]") {
  // v = w × z has no divergence and the curl 2 w everywhere.
  const Eigen::Vector3d w(0.3, -0.5, 1.2);
  Eigen::Matrix3d cross;
  cross << 0, -w[2], w[1], w[2], 0, -w[0], -w[1], w[0], 0;
  auto map = basin::affine(Eigen::MatrixXd(cross + Eigen::Matrix3d::Identity()));
  const Eigen::MatrixXd points = maps::starts(3, 10);
  const auto sample = basin::sample_field(one, map, points);
  CHECK(sample.divergence.cwiseAbs().maxCoeff() < 1e-14);
  CHECK((sample.rotation.array() - 2 * w.norm()).abs().maxCoeff() < 1e-14);
  // On a plane the rotation is the curl's part along its normal.
  const Eigen::Vector3d a(0.1, 0, 0), b(1, 1, 0), c(0, 1, 1);
  const auto on = basin::plane_through(a, b, c);
  const Eigen::Vector3d first = on.axes.col(0), second = on.axes.col(1);
  const auto plane = basin::sample_plane(one, map, on, Eigen::MatrixXd::Random(2, 5));
  CHECK((plane.rotation.array() - 2 * w.dot(first.cross(second))).abs().maxCoeff() < 1e-13);
  // The points that made it lie on it.
  const Eigen::MatrixXd corners = (Eigen::MatrixXd(3, 3) << a, b, c).finished();
  CHECK((on.points(on.coordinates(corners)) - corners).norm() < 1e-14);
  CHECK(on.coordinates(corners)(1, 2) > 0);
  CHECK_THROWS_AS(basin::plane_through(a, b, a + 2 * (b - a)), basin::argument_error);
  CHECK_THROWS_AS(basin::plane_through(a, a, c), basin::argument_error);
}

TEST_CASE("a map without derivatives, and misuse", "[dynamics]") {
  auto plain = basin::columnwise<2>([](const auto& z, auto& f) { f = 2 * z; });
  const Eigen::MatrixXd points = maps::starts(2, 4);
  const auto sample = basin::sample_field(one, plain, points);
  CHECK(sample.divergence.size() == 0);
  CHECK((sample.norm.transpose() - points.colwise().norm()).norm() < 1e-14);
  CHECK_THROWS_AS(basin::sample_field(one, plain, points, true), basin::argument_error);
  CHECK_THROWS_AS(basin::sample_field(one, plain, maps::starts(3, 4)), basin::size_error);
  auto differences = basin::finite_difference(plain);
  CHECK((basin::sample_field(one, differences, points).divergence.array() - 2).abs().maxCoeff() <
        1e-8);
  CHECK(basin::sample_field(one, differences, points.leftCols(0)).norm.size() == 0);
  const basin::cpu<float> single(1);
  CHECK(basin::sample_field(single, plain, points).norm.size() == 4);
}
