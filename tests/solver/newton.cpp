#include <basin/solver/newton.hpp>

#include <cmath>
#include <set>

#include <basin/map/differentiable.hpp>
#include <basin/map/dual.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "maps.hpp"

using basin::index_t;
using basin::status;
using Eigen::MatrixXd;

namespace {

const basin::cpu<double> be(2);

// Fixed points at (-1, 0), (0, 0) and (1, 0), of which the middle one is a saddle.
auto double_well() {
  return basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = z[0] + (z[0] - z[0] * z[0] * z[0]) * 0.1;
    f[1] = z[1] * 0.3;
  });
}

}  // namespace

TEST_CASE("polish takes stable and unstable fixed points to working precision", "[solver]") {
  auto map = double_well();
  MatrixXd near(2, 4);
  near << 1.1, -0.93, 0.05, 1.0, 0.02, -0.1, 0.1, 0.0;
  const auto found = basin::polish(be, map, near);
  CHECK(found.count(status::converged) == 4);
  const double expected[] = {1, -1, 0, 1};
  for (index_t j = 0; j < 4; ++j) {
    CHECK(std::abs(found.states(0, j) - expected[j]) < 1e-14);
    CHECK(std::abs(found.states(1, j)) < 1e-14);
  }
  CHECK(found.iterations[3] == 0);  // was exact
  CHECK(found.evaluations[0] > found.iterations[0]);
}

TEST_CASE("polish says where there is nothing to find", "[solver]") {
  auto away = basin::differentiable<1>([](auto z) { return z + 1.0 + z * z; });
  MatrixXd states(1, 3);
  states << 0.3, std::nan(""), -2;
  const auto found = basin::polish(be, away, states);
  CHECK(found.status[0] == status::stalled);
  CHECK(found.status[1] == status::non_finite);
  CHECK(found.status[2] == status::stalled);
  CHECK(found.residual[0] >= 1);
  CHECK_THROWS_AS(basin::polish(be, away, states, {.max_iterations = 0}), basin::argument_error);
}

TEST_CASE("deflation finds what the dynamics does not", "[solver]") {
  auto map = double_well();
  MatrixXd attractors(2, 2);
  attractors << 1, -1, 0, 0;
  const MatrixXd starts = 2 * maps::starts(2, 5, 21);
  const auto found = basin::deflated_newton(be, map, starts, attractors, 10);
  REQUIRE(found.points.cols() == 1);
  CHECK(found.points.col(0).norm() < 1e-12);
  CHECK(found.evaluations > 0);

  // All roots of z^3 = 1 from one start, as fixed points of a map whose roots repel.
  auto roots = basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = z[0] + 2.0 * (z[0] * z[0] * z[0] - 3.0 * z[0] * z[1] * z[1] - 1.0);
    f[1] = z[1] + 2.0 * (3.0 * z[0] * z[0] * z[1] - z[1] * z[1] * z[1]);
  });
  const MatrixXd start = (MatrixXd(2, 1) << 0.4, 0.7).finished();
  const auto three = basin::deflated_newton(be, roots, start, MatrixXd(2, 0), 10);
  REQUIRE(three.points.cols() == 3);
  std::set<int> angles;
  for (index_t i = 0; i < 3; ++i) {
    CHECK(three.points.col(i).norm() == Approx(1).epsilon(1e-12));
    angles.insert(static_cast<int>(
        std::lround(std::atan2(three.points(1, i), three.points(0, i)) * 180 / std::acos(-1))));
  }
  CHECK(angles == std::set<int>{-120, 0, 120});
  CHECK(basin::deflated_newton(be, roots, start, MatrixXd(2, 0), 2).points.cols() == 2);
  CHECK_THROWS_AS(basin::deflated_newton(be, roots, start, MatrixXd(3, 0), 2), basin::size_error);
}
