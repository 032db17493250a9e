// Newton's method with GMRES: steps against dense elimination, convergence, safeguards, and what
// a run must keep of it.
#include <cmath>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include <Eigen/Dense>

#include <basin/map/affine.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/differentiable.hpp>
#include <basin/map/finite_difference.hpp>
#include <basin/map/function_map.hpp>
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/solver/newton.hpp>
#include <basin/solver/newton_krylov.hpp>

#include "maps.hpp"

using basin::FixedPointSolver;
using basin::index_t;
using basin::newton_krylov;
using basin::status;
using basin::stopping;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

static_assert(basin::accelerator<newton_krylov, basin::cpu<double>>);
static_assert(!basin::column_accelerator<newton_krylov>);

// u'' + 2 exp(u) = 0 on k points, by a step of Richardson's.
auto bratu(int k) {
  return basin::differentiable(k, [k](const auto& u, auto& f) {
    using std::exp;
    const double h = 1.0 / (k + 1);
    for (int i = 0; i < k; ++i) {
      auto sum = 2.0 * h * h * exp(u[i]) - 2.0 * u[i];
      if (i > 0) sum = sum + u[i - 1];
      if (i + 1 < k) sum = sum + u[i + 1];
      f[i] = u[i] + 0.4 * sum;
    }
  });
}

}  // namespace

TEST_CASE("GMRES solves what elimination solves", "[solver]") {
  const index_t k = 12;
  const MatrixXd A = 0.4 * maps::starts(k, k, 3);
  auto map = basin::affine(A);
  const MatrixXd Z = maps::starts(k, 7, 1);
  const MatrixXd R = maps::starts(k, 7, 2);
  for (const double goal : {1e-13, 1e-2}) {
    const basin::cpu<double> be(2);
    basin::detail::Gmres<basin::cpu<double>> gmres(be, k, k, 3);  // groups of three and one
    MatrixXd S = MatrixXd::Zero(k, 7);
    const std::vector<index_t> which{0, 2, 5, 6};
    std::vector<index_t> products(7);
    std::vector<std::uint8_t> good(7);
    const std::vector<double> goals(7, goal);
    gmres.solve(be, map, Z, R, S, which, goals, products, good);
    const MatrixXd I = MatrixXd::Identity(k, k);
    for (const index_t j : which) {
      const double rest = (R.col(j) - (I - A) * S.col(j)).norm() / R.col(j).norm();
      CHECK(rest <= goal * 1.01 + 1e-14);
      CHECK(good[static_cast<std::size_t>(j)] == 1);
      CHECK(products[static_cast<std::size_t>(j)] <= k);
    }
    CHECK(S.col(1).norm() == 0);
    if (goal > 1e-3) CHECK(products[0] < k);
  }
}

TEST_CASE("Newton-Krylov solves Bratu's problem in a few steps", "[solver]") {
  auto map = bratu(40);
  FixedPointSolver solver{map, newton_krylov{}, stopping{.residual = 1e-12}};
  const auto found = solver.solve(MatrixXd::Zero(40, 1));
  REQUIRE(found.status[0] == status::converged);
  CHECK(found.iterations[0] <= 8);
  // Each step needs at most k products of two evaluations each.
  CHECK(found.evaluations[0] <= 1 + found.iterations[0] * (1 + 2 * 40));
  CHECK(found.evaluations[0] > found.iterations[0] + 1);
  const basin::cpu<double> be;
  const auto dense = basin::polish(be, map, MatrixXd::Zero(40, 1));
  CHECK((found.states - dense.states).norm() < 1e-8);
  FixedPointSolver plain{map, basin::picard{}, stopping{.residual = 1e-12}};
  CHECK(plain.solve(MatrixXd::Zero(40, 1)).evaluations[0] > 10 * found.evaluations[0]);
}

TEST_CASE("Newton-Krylov's residuals fall superlinearly", "[solver]") {
  // Near the root each residual is at most a multiple of the square of the one before.
  auto map = basin::differentiable<3>([](const auto& z, auto& f) {
    using std::cos;
    for (int i = 0; i < 3; ++i) f[i] = cos(z[(i + 1) % 3]) + 0.1 * i;
  });
  FixedPointSolver solver{map, newton_krylov{}, stopping{.residual = 1e-14}};
  std::vector<double> residuals;
  const auto found = solver.solve(
      basin::cpu<double>(1), VectorXd::Constant(3, 0.2), {},
      [&](const auto& view) { residuals.push_back(std::sqrt(view.squared_residuals[0])); });
  REQUIRE(found.status[0] == status::converged);
  REQUIRE(residuals.size() >= 4);
  for (std::size_t t = 2; t + 1 < residuals.size(); ++t) {
    CHECK(residuals[t + 1] <= 10 * std::pow(residuals[t], 1.5) + 1e-14);
  }
}

TEST_CASE("Newton-Krylov halves steps that lead away", "[solver]") {
  // The root of atan: Newton's step from 3 leads to -9.5 and on.
  auto map = basin::differentiable<1>([](const auto& z, auto& f) {
    using std::atan;
    f[0] = z[0] - 2.0 * atan(z[0]);
  });
  for (const double start : {3.0, -20.0}) {
    FixedPointSolver solver{map, newton_krylov{}, stopping{.residual = 1e-12}};
    const auto found = solver.solve(VectorXd::Constant(1, start));
    REQUIRE(found.status[0] == status::converged);
    CHECK(std::abs(found.states(0, 0)) < 1e-10);
  }
  // log z has no value where a whole step leads.
  auto logarithm = basin::differentiable<1>([](const auto& z, auto& f) {
    using std::log;
    f[0] = z[0] - log(z[0]);
  });
  FixedPointSolver solver{logarithm, newton_krylov{}, stopping{.residual = 1e-12}};
  const auto found = solver.solve(VectorXd::Constant(1, 20.0));
  REQUIRE(found.status[0] == status::converged);
  CHECK(found.states(0, 0) == Approx(1));
}

TEST_CASE("Newton-Krylov iterates where the Jacobian has the eigenvalue 1", "[solver]") {
  // Every state with z_2 = 0 is a fixed point.
  const MatrixXd A = Eigen::Vector3d(1, 1, 0.5).asDiagonal();
  FixedPointSolver solver{basin::affine(A), newton_krylov{}, stopping{.residual = 1e-12}};
  const auto found = solver.solve(Eigen::Vector3d(1, 2, 3));
  REQUIRE(found.status[0] == status::converged);
  CHECK(found.states(2, 0) == Approx(0).margin(1e-11));
  // No fixed point: the residual cannot fall, and the status says that nothing was found.
  auto drift = basin::differentiable<1>([](const auto& z, auto& f) { f[0] = z[0] + 1.0; });
  FixedPointSolver none{drift, newton_krylov{}, stopping{.residual = 1e-12}};
  CHECK(none.solve(VectorXd::Zero(1)).status[0] != status::converged);
}

TEST_CASE("Newton-Krylov goes to unstable fixed points too", "[solver]") {
  auto map = basin::differentiable<1>([](const auto& z, auto& f) { f[0] = 2.0 * z[0] + 1.0; });
  FixedPointSolver solver{map, newton_krylov{}, stopping{.residual = 1e-12}};
  const auto found = solver.solve(VectorXd::Constant(1, 5.0));
  REQUIRE(found.status[0] == status::converged);
  CHECK(found.states(0, 0) == Approx(-1));
}

TEST_CASE("a column of Newton-Krylov is the same in any batch, resumed too", "[solver]") {
  auto map = bratu(24);
  const MatrixXd starts = 2 * maps::starts(24, 9, 4);
  const stopping rule{.residual = 1e-10, .max_iterations = 400};
  FixedPointSolver solver{map, newton_krylov{.basis = 6}, rule};
  const auto all = solver.solve(basin::cpu<double>(1), starts);
  CHECK(all.count(status::converged) > 0);
  maps::require_same(all, solver.solve(basin::cpu<double>(3), starts));
  for (const index_t j : {index_t{0}, index_t{4}, index_t{8}}) {
    const auto at = static_cast<std::size_t>(j);
    const auto alone = solver.solve(basin::cpu<double>(1), starts.col(j));
    CHECK(alone.evaluations[0] == all.evaluations[at]);
    CHECK(alone.status[0] == all.status[at]);
    CHECK((alone.states.col(0).array() == all.states.col(j).array()).all());
  }
  for (const int after : {2, 7, 15}) {
    std::stop_source stop;
    const std::string path =
        (std::filesystem::temp_directory_path() / "basin_newton_krylov.run").string();
    int iterations = 0;
    (void)solver.solve(basin::cpu<double>(2), starts,
                       {.stop = stop.get_token(), .checkpoint = path}, [&](const auto&) {
                         if (++iterations == after) stop.request_stop();
                       });
    maps::require_same(all, solver.resume(basin::cpu<double>(2), path));
  }
}

TEST_CASE("a map that throws in a product loses nothing", "[solver]") {
  // Evaluations of f by which products are differences; the one numbered `fails` throws.
  int calls = 0;
  int fails = 0;
  const auto map = basin::finite_difference(basin::function_map(6, [&](const auto& Z) {
    if (++calls == fails) throw std::runtime_error("a fault");
    return Eigen::MatrixXd(0.9 * Z.array().sin() + 0.2);
  }));
  const MatrixXd starts = 3 * maps::starts(6, 5, 21);
  FixedPointSolver solver{map, newton_krylov{}, stopping{.residual = 1e-10}};
  const basin::cpu<double> one(1);
  const auto whole = solver.solve(one, starts);
  REQUIRE(whole.count(status::converged) == 5);
  const int all = calls;
  REQUIRE(all > 20);
  for (fails = 2; fails <= all; ++fails) {
    INFO(fails);
    calls = 0;
    try {
      (void)solver.solve(one, starts);
      FAIL("it did not throw");
    } catch (const basin::map_failure<basin::cpu<double>>& failure) {
      calls = all;  // no more faults
      maps::require_same(whole, solver.resume(one, failure.checkpoint()));
    }
  }
}

TEST_CASE("products count against the budget of evaluations", "[solver]") {
  auto map = bratu(40);
  FixedPointSolver solver{map, newton_krylov{}, stopping{.residual = 1e-12, .max_evaluations = 50}};
  const auto found = solver.solve(MatrixXd::Zero(40, 1));
  CHECK(found.status[0] == status::max_iterations);
  CHECK(found.evaluations[0] >= 50);
  CHECK(found.evaluations[0] <= 50 + 2 * 40);
}

TEST_CASE("settings of newton_krylov are checked", "[solver]") {
  using basin::argument_error;
  CHECK_THROWS_AS(newton_krylov{.basis = 0}.check(), argument_error);
  CHECK_THROWS_AS(newton_krylov{.forcing = 1}.check(), argument_error);
  CHECK_THROWS_AS(newton_krylov{.largest = 0}.check(), argument_error);
  CHECK_THROWS_AS(newton_krylov{.halvings = -1}.check(), argument_error);
}
