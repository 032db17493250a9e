// Acceleration chosen by what the steps show: the choice on maps whose spectrum is known, what it
// saves there, and that it goes where the dynamics goes.
#include <string>

#include <Eigen/Dense>

#include <basin/map/affine.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/function_map.hpp>
#include <basin/solver/automatic.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "maps.hpp"

using basin::acceleration_report;
using basin::automatic;
using basin::dominant_modes;
using basin::FixedPointSolver;
using basin::index_t;
using basin::status;
using basin::stopping;
using Eigen::MatrixXd;

namespace {

const stopping rule{.residual = 1e-10, .max_iterations = 100000};

// In a basis that is not orthogonal, so that modes are seen through every entry.
MatrixXd with_modes(const MatrixXd& blocks) {
  const index_t k = blocks.rows();
  const MatrixXd V = MatrixXd::Identity(k, k) + 0.3 * maps::starts(k, k, 40);
  return V * blocks * V.inverse();
}

struct outcome {
  acceleration_report report;
  index_t evaluations, of_picard;
  double error;
};

outcome solve(const MatrixXd& A) {
  const MatrixXd start = MatrixXd::Ones(A.rows(), 1);
  FixedPointSolver plain{basin::affine(A), basin::picard{}, rule};
  FixedPointSolver fast{basin::affine(A), automatic{}, rule};
  const auto truth = plain.solve(start);
  const auto found = fast.solve(start);
  REQUIRE(found.status[0] == status::converged);
  REQUIRE(found.acceleration.size() == 1);
  CHECK(truth.acceleration.empty());
  return {found.acceleration[0], found.evaluations[0], truth.evaluations[0],
          found.states.col(0).norm()};
}

MatrixXd rotation(double rate, double angle) {
  return rate * Eigen::Rotation2Dd(angle).toRotationMatrix();
}

}  // namespace

TEST_CASE("what is chosen follows the spectrum", "[solver]") {
  SECTION("one slow real mode") {
    const auto found = solve(with_modes(Eigen::Vector4d(0.99, 0.5, 0.3, 0.1).asDiagonal()));
    CHECK(found.report.modes == dominant_modes::one_real);
    CHECK(found.report.window == 4);
    CHECK_FALSE(found.report.cautious);
    CHECK(found.report.rate == Approx(0.99).margin(5e-3));
    CHECK(found.report.leaps > 0);
    CHECK(found.report.limits > 0);
    CHECK(20 * found.evaluations < found.of_picard);
    CHECK(found.error < 1e-7);
  }
  SECTION("k = 1") {
    const auto found = solve(MatrixXd::Constant(1, 1, 0.999));
    CHECK(found.report.modes == dominant_modes::one_real);
    CHECK(found.report.window == 1);
    CHECK(100 * found.evaluations < found.of_picard);
  }
  SECTION("two slow real modes, of either sign") {
    const auto found = solve(with_modes(Eigen::Vector3d(0.98, -0.97, 0.1).asDiagonal()));
    CHECK(found.report.modes == dominant_modes::two_real);
    CHECK(found.report.window == 3);
    CHECK(10 * found.evaluations < found.of_picard);
  }
  SECTION("a complex pair") {
    MatrixXd blocks = MatrixXd::Zero(3, 3);
    blocks.topLeftCorner(2, 2) = rotation(0.99, 0.4);
    blocks(2, 2) = 0.3;
    const auto found = solve(with_modes(blocks));
    CHECK(found.report.modes == dominant_modes::pair);
    CHECK(found.report.window == 3);
    CHECK(found.report.cautious);
    CHECK(found.report.rate == Approx(0.99).margin(1e-3));
    CHECK(found.report.angle == Approx(0.4).margin(1e-3));
    CHECK(20 * found.evaluations < found.of_picard);
  }
  SECTION("fast ones") {
    const auto found = solve(with_modes(Eigen::Vector3d(0.6, -0.5, 0.4).asDiagonal()));
    CHECK(found.report.modes == dominant_modes::fast);
    CHECK(found.report.window == 0);
    CHECK(found.report.leaps == 0);
    CHECK(found.evaluations == found.of_picard);
  }
  SECTION("many: no two foretell what four of one modulus do") {
    MatrixXd blocks = MatrixXd::Zero(4, 4);
    blocks.topLeftCorner(2, 2) = rotation(0.95, 1);
    blocks.bottomRightCorner(2, 2) = rotation(0.95, 2);
    const auto found = solve(with_modes(blocks));
    CHECK(found.report.modes == dominant_modes::many);
    CHECK(found.report.window == 4);
    CHECK(found.evaluations <= found.of_picard);
  }
}

TEST_CASE("a slow spiral is found to turn", "[solver]") {
  // By a small angle at a time, most of it leapt over.
  const auto found = solve(with_modes(rotation(0.999, 0.05)));
  CHECK(found.report.modes == dominant_modes::pair);
  CHECK(found.report.cautious);
  CHECK(found.evaluations > 2 * automatic{}.straight_for);  // not for being young
}

TEST_CASE("automatic in float", "[solver]") {
  const Eigen::MatrixXf A = Eigen::Vector3f(0.98F, 0.5F, 0.1F).asDiagonal();
  FixedPointSolver plain{basin::affine(A), basin::picard{}, stopping{.residual = 1e-5}};
  FixedPointSolver fast{basin::affine(A), automatic{}, stopping{.residual = 1e-5}};
  const Eigen::MatrixXf start = Eigen::MatrixXf::Ones(3, 1);
  const auto found = fast.solve(start);
  CHECK(found.status[0] == status::converged);
  CHECK(4 * found.evaluations[0] < plain.solve(start).evaluations[0]);
  CHECK(found.states.norm() < 1e-3F);
}

TEST_CASE("a column that changes is judged anew", "[solver]") {
  // Fast outside of the unit interval, slow within.
  const auto map = basin::function_map(1, [](const auto& Z) {
    return Z.unaryExpr([](double z) { return z > 1 ? 1 + 0.5 * (z - 1) - 0.01 : 0.98 * z; });
  });
  FixedPointSolver solver{map, automatic{}, rule};
  const auto found = solver.solve(MatrixXd::Constant(1, 1, 1e6));
  CHECK(found.status[0] == status::converged);
  CHECK(found.acceleration[0].modes == dominant_modes::one_real);
  CHECK(found.evaluations[0] < 100);
}

TEST_CASE("automatic goes where the dynamics goes", "[solver]") {
  // A damped oscillator in a double well: its basins wind around each other, and starts pass the
  // saddle between them slowly.
  const auto oscillator = basin::columnwise<2>([](const auto& z, auto& next) {
    const double x = z[0], v = z[1];
    next[1] = v + 0.1 * (x - x * x * x - 0.2 * v);
    next[0] = x + 0.1 * next[1];
  });
  constexpr index_t n = 40;
  MatrixXd starts(2, n * n);
  for (index_t j = 0; j < n * n; ++j) {
    starts(0, j) = -2 + 4 * (static_cast<double>(j / n) + 0.5) / n;
    starts(1, j) = -2 + 4 * (static_cast<double>(j % n) + 0.5) / n;
  }
  const stopping to{.residual = 1e-8, .max_iterations = 100000};
  FixedPointSolver plain{oscillator, basin::picard{}, to};
  FixedPointSolver fast{oscillator, automatic{}, to};
  const auto truth = plain.solve(starts);
  const auto found = fast.solve(starts);
  CHECK(found.count(status::converged) == n * n);
  CHECK(5 * found.work.evaluations < 2 * truth.work.evaluations);
  const auto apart = (found.states - truth.states).colwise().norm().array() > 0.1;
  CHECK(apart.count() <= 1);
}

TEST_CASE("settings of automatic", "[solver]") {
  const auto map = maps::linear(0.5);
  using solver = FixedPointSolver<decltype(maps::linear(0.5)), automatic>;
  const auto refused = [&](automatic a) { CHECK_THROWS_AS(solver(map, a), basin::argument_error); };
  refused({.turn = 0});
  refused({.straight_for = -1});
  refused({.steadiness = 0});
  automatic a;
  a.straight.inner.widest.window = 3;
  refused(a);
  a.cautious.inner.widest.window = 3;
  CHECK_NOTHROW(solver(map, a));
  a.straight.outside.across = 0;
  refused(a);
}

TEST_CASE("a report in words", "[solver]") {
  CHECK(to_string(acceleration_report{}) ==
        "too few steps: plain iterations; 0 leaps, 0 steps to the limit, 0 taken back");
  CHECK(to_string(acceleration_report{.modes = dominant_modes::pair,
                                      .cautious = false,
                                      .window = 2,
                                      .rate = 0.9876F,
                                      .angle = 0.25F,
                                      .leaps = 1,
                                      .limits = 1,
                                      .taken_back = 3}) ==
        "a complex pair (rate 0.988, angle 0.25): window 2; 1 leap, 1 step to the limit, 3 taken "
        "back");
}
