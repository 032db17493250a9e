// Every column takes the steps that it takes alone, in any company.
#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include <basin/dynamics/adams.hpp>
#include <basin/dynamics/dopri5.hpp>
#include <basin/dynamics/euler.hpp>
#include <basin/dynamics/exponential_rosenbrock.hpp>
#include <basin/dynamics/rkf78.hpp>
#include <basin/dynamics/runge_kutta4.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "flows.hpp"

using basin::flow_status;
using basin::flow_stopping;
using basin::FlowSolver;
using basin::index_t;

namespace {

// All at once, shuffled, in batches of 1 and 7, and on 1 to 3 threads.
template <class Scalar, class Map, class Method>
void same_everywhere(const Map& map, const Method& method, const Eigen::MatrixXd& starts,
                     const flow_stopping& stopping) {
  const Eigen::MatrixX<Scalar> Z = starts.cast<Scalar>();
  const index_t n = Z.cols();
  FlowSolver solver{map, method, stopping};
  const auto all = solver.solve(basin::cpu<Scalar>(1), Z);
  for (const int threads : {2, 3}) {
    const auto again = solver.solve(basin::cpu<Scalar>(threads), Z);
    for (index_t j = 0; j < n; ++j) flows::require_same_column(again, j, all, j);
  }
  std::vector<index_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), index_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937(4));
  Eigen::MatrixX<Scalar> shuffled(Z.rows(), n);
  for (index_t j = 0; j < n; ++j) shuffled.col(j) = Z.col(order[static_cast<std::size_t>(j)]);
  const auto mixed = solver.solve(basin::cpu<Scalar>(2), shuffled);
  for (index_t j = 0; j < n; ++j) {
    flows::require_same_column(mixed, j, all, order[static_cast<std::size_t>(j)]);
  }
  const basin::cpu<Scalar> one(1);
  for (index_t j = 0; j < n; j += 13) {
    flows::require_same_column(solver.solve(one, Z.middleCols(j, 1)), 0, all, j);
    const index_t width = std::min<index_t>(7, n - j);
    const auto seven = solver.solve(one, Z.middleCols(j, width));
    for (index_t i = 0; i < width; ++i) flows::require_same_column(seven, i, all, j + i);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("flows are bitwise the same in any company", "[dynamics][threads]", float,
                   double) {
  const auto network = maps::network<TestType>(19);
  const flow_stopping stopping{.time = 20, .residual = 1e-3};
  const Eigen::MatrixXd Z = 3 * maps::starts(19, 200);
  same_everywhere<TestType>(network, basin::dopri5{.relative = 1e-4, .absolute = 1e-5}, Z,
                            stopping);
  same_everywhere<TestType>(network, basin::rkf78{.relative = 1e-4, .absolute = 1e-5}, Z, stopping);
  same_everywhere<TestType>(network, basin::euler{.step = 0.3}, Z, stopping);
  same_everywhere<TestType>(network, basin::odeint_euler{.step = 0.3}, Z, stopping);
  same_everywhere<TestType>(network, basin::runge_kutta4{.step = 0.3}, Z, stopping);
  same_everywhere<TestType>(network, basin::adams{.step = 0.1}, Z, stopping);
  same_everywhere<TestType>(
      network, basin::exponential_rosenbrock{.relative = 1e-3, .absolute = 1e-4}, Z, stopping);
  same_everywhere<TestType>(flows::van_der_pol(5), basin::dopri5{.relative = 1e-4},
                            2 * maps::starts(2, 300), {.time = 5});
}

TEST_CASE("a batch that is stepped in parts gives the same bits", "[dynamics][threads]") {
  // More columns than stay in a core's cache: one thread and three cut them elsewhere.
  const flow_stopping stopping{.time = 4};
  const Eigen::MatrixXd Z = 2 * maps::starts(128, 300);
  const auto map = maps::network<double>(128);
  same_everywhere<double>(map, basin::dopri5{.relative = 1e-4}, Z, stopping);
  same_everywhere<double>(map, basin::rkf78{.relative = 1e-4}, Z, stopping);
  same_everywhere<double>(map, basin::adams{}, Z, stopping);
  same_everywhere<double>(map, basin::exponential_euler{.step = 0.5}, Z, stopping);
}

TEST_CASE("threads that work apart and threads that share give the same bits",
          "[dynamics][threads]") {
  const basin::cpu<double> be(2);
  const auto check = [&](const auto& map, const Eigen::MatrixXd& Z) {
    const auto shared = [f = map](const basin::cpu<double>& on,
                                  const Eigen::Ref<const Eigen::MatrixXd>& states,
                                  Eigen::Ref<Eigen::MatrixXd>& out) mutable {
      basin::evaluate(on, f, states, out);
    };
    static_assert(basin::copies_run_apart<decltype(map)> &&
                  !basin::copies_run_apart<decltype(shared)>);
    const flow_stopping stopping{.time = 7, .residual = 1e-2};
    FlowSolver apart{map, basin::dopri5{.relative = 1e-5}, stopping};
    FlowSolver together{shared, basin::dopri5{.relative = 1e-5}, stopping};
    const auto found = apart.solve(be, Z);
    const auto expected = together.solve(be, Z);
    for (index_t j = 0; j < Z.cols(); ++j) flows::require_same_column(found, j, expected, j);
  };
  check(maps::network<double>(31), 2 * maps::starts(31, 333));
  check(flows::van_der_pol(2), 2 * maps::starts(2, 999));
}

TEST_CASE("a stiff and a soft column in one batch each take their own steps", "[dynamics]") {
  Eigen::MatrixXd Z(2, 2);
  Z << 1, 1, 0.5, 300;
  FlowSolver solver{flows::decay(), basin::dopri5{.relative = 1e-8, .absolute = 1e-8},
                    flow_stopping{.time = 10, .residual = 0}};
  const auto found = solver.solve(basin::cpu<double>(1), Z);
  for (index_t j = 0; j < 2; ++j) {
    flows::require_same_column(solver.solve(basin::cpu<double>(1), Z.col(j)), 0, found, j);
  }
  CHECK(found.accepted[0] < 60);
  CHECK(found.accepted[1] > 500);
  CHECK(found.states(0, 0) == Approx(std::exp(-5.0)).epsilon(1e-6));
}

TEST_CASE("Euler with step 1 is the discrete iteration", "[dynamics]") {
  const Eigen::MatrixXd Z = maps::starts(128, 40);
  const auto map = maps::network<double>(128);
  const basin::cpu<double> be(2);
  Eigen::MatrixXd X = Z;
  for (int i = 0; i < 25; ++i) {
    Eigen::MatrixXd F(128, 40);
    auto f = map;
    basin::evaluate(be, f, X, F);
    X = F;
  }
  const flow_stopping stopping{.time = 25, .residual = 0};
  FlowSolver own{map, basin::euler{}, stopping};
  const auto bitwise = own.solve(be, Z);
  CHECK((bitwise.states.array() == X.array()).all());
  CHECK(bitwise.accepted[7] == 25);
  CHECK(bitwise.evaluations[7] == 26);  // the last gives the residual
  FlowSolver odeint{map, basin::odeint_euler{.step = 1}, stopping};
  CHECK((odeint.solve(be, Z).states - X).cwiseAbs().maxCoeff() < 1e-14);
  // The iteration of the solver, with its own stopping.
  basin::FixedPointSolver picard{map, basin::picard{}, basin::stopping{.residual = 1e-8}};
  FlowSolver flow{map, basin::euler{}, flow_stopping{.time = 1e6, .residual = 1e-8}};
  const auto expected = picard.solve(be, Z);
  const auto found = flow.solve(be, Z);
  CHECK(found.count(flow_status::arrived) == 40);
  CHECK((found.states.array() == expected.states.array()).all());
  CHECK(found.accepted == expected.iterations);
  CHECK(found.evaluations == expected.evaluations);
}

TEST_CASE("columns of a flow that have ended are not evaluated again", "[dynamics]") {
  const auto count = std::make_shared<index_t>(0);
  const auto map = [=](const auto& Z, auto& out) {
    *count += Z.cols();
    out = Z;
    for (index_t j = 0; j < Z.cols(); ++j) out(0, j) -= Z(0, j) * Z(1, j);
  };
  Eigen::MatrixXd Z(2, 300);
  for (index_t j = 0; j < 300; ++j) Z.col(j) << 1, 0.1 * static_cast<double>(j + 1);
  FlowSolver solver{map, basin::dopri5{}, flow_stopping{.time = 1000}};
  const auto found = solver.solve(basin::cpu<double>(1), Z);
  CHECK(found.count(flow_status::arrived) == 300);
  CHECK(*count == std::accumulate(found.evaluations.begin(), found.evaluations.end(), index_t{0}));
  CHECK(found.evaluations[0] != found.evaluations[299]);
}

TEST_CASE("one bad column of a flow never touches another", "[dynamics]") {
  const Eigen::MatrixXd good = maps::starts(16, 30);
  Eigen::MatrixXd bad = good;
  bad(3, 17) = std::numeric_limits<double>::quiet_NaN();
  bad(0, 20) = std::numeric_limits<double>::infinity();
  FlowSolver solver{maps::network<double>(16), basin::dopri5{}};
  const auto expected = solver.solve(good);
  const auto found = solver.solve(bad);
  for (index_t j = 0; j < 30; ++j) {
    const auto i = static_cast<std::size_t>(j);
    if (j == 17 || j == 20) {
      CHECK(found.status[i] == flow_status::non_finite);
      CHECK(found.evaluations[i] == 0);
      CHECK(std::isnan(found.residual[i]));
      CHECK(found.time[i] == 0);
    } else {
      flows::require_same_column(found, j, expected, j);
    }
  }
}

TEST_CASE("no columns, and misuse", "[dynamics]") {
  FlowSolver solver{flows::both(), basin::dopri5{}};
  CHECK(solver.solve(Eigen::MatrixXd(3, 0)).size() == 0);
  CHECK(solver.solve(Eigen::MatrixXd(3, 0)).states.cols() == 0);
  CHECK_THROWS_AS((void)solver.solve(Eigen::MatrixXd(2, 4)), basin::size_error);
  CHECK_THROWS_AS((void)solver.solve(Eigen::MatrixXd(0, 4)), basin::size_error);
  const auto map = flows::both();
  using basin::argument_error;
  CHECK_THROWS_AS((FlowSolver{map, basin::euler{.step = 0}}), argument_error);
  CHECK_THROWS_AS((FlowSolver{map, basin::adams{.step = -1}}), argument_error);
  CHECK_THROWS_AS((FlowSolver{map, basin::dopri5{.relative = 0, .absolute = 0}}), argument_error);
  CHECK_THROWS_AS((FlowSolver{map, basin::dopri5{.relative = std::nan("")}}), argument_error);
  CHECK_THROWS_AS((FlowSolver{map, basin::exponential_rosenbrock{.krylov = 0}}), argument_error);
  CHECK_THROWS_AS((FlowSolver{map, basin::dopri5{}, flow_stopping{.time = -1}}), argument_error);
  CHECK_THROWS_AS((FlowSolver{map, basin::dopri5{}, flow_stopping{.location = 1}}), argument_error);
  CHECK_THROWS_AS(
      (FlowSolver{map, basin::dopri5{}, flow_stopping{.radii = Eigen::VectorXd::Ones(1)}}),
      argument_error);
  FlowSolver boxed{map, basin::dopri5{}, flow_stopping{.lower = Eigen::VectorXd::Zero(2)}};
  CHECK_THROWS_AS((void)boxed.solve(Eigen::MatrixXd(3, 4)), basin::size_error);
  for (int s = 0; s < basin::flow_status_count; ++s) {
    CHECK(to_string(static_cast<flow_status>(s)) != "unknown");
  }
}
