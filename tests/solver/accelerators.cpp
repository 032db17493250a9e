// Accelerators by column: against their definitions written with dense matrices, and what a
// run must keep of them.
#include <cmath>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include <Eigen/Dense>

#include <basin/map/columnwise.hpp>
#include <basin/map/function_map.hpp>
#include <basin/map/power.hpp>
#include <basin/solver/anderson.hpp>
#include <basin/solver/automatic.hpp>
#include <basin/solver/basin_preserving.hpp>
#include <basin/solver/broyden.hpp>
#include <basin/solver/extrapolation.hpp>
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/solver/relaxation.hpp>

#include "maps.hpp"

using basin::anderson;
using basin::anderson_type;
using basin::basin_preserving;
using basin::broyden;
using basin::broyden_type;
using basin::FixedPointSolver;
using basin::index_t;
using basin::status;
using basin::stopping;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

static_assert(basin::column_accelerator<anderson>);
static_assert(basin::column_accelerator<broyden>);
static_assert(basin::column_accelerator<basin::rre>);
static_assert(basin::column_accelerator<basin::vector_epsilon>);
static_assert(basin::column_accelerator<basin::aitken>);
static_assert(basin::column_accelerator<basin::steffensen>);
static_assert(basin::column_accelerator<basin::chebyshev>);
static_assert(basin::column_accelerator<basin_preserving<>>);
static_assert(!basin::column_accelerator<basin::picard>);

// A smooth nonlinear map of R^k with rates up to 0.95.
VectorXd smooth(const VectorXd& z) {
  const index_t k = z.size();
  const MatrixXd W = maps::starts(k, k, 5) * (0.95 * std::sqrt(3.0 / static_cast<double>(k)));
  return (W * z + maps::starts(k, 1, 6)).array().tanh();
}

// The states that an accelerator goes through from z.
template <class A>
std::vector<VectorXd> states_of(const A& a, VectorXd z, int steps) {
  const index_t k = z.size();
  typename A::template record<double> record;
  std::vector<double> memory(static_cast<std::size_t>(a.memory(k)),
                             std::numeric_limits<double>::quiet_NaN());
  std::vector<double> scratch(static_cast<std::size_t>(a.scratch(k)));
  basin::one_lane<double> lanes(scratch);
  std::vector<VectorXd> states{z};
  for (int t = 0; t < steps; ++t) {
    VectorXd f = smooth(z);
    a.advance(lanes, record, memory.data(), z.data(), f.data(), k);
    states.push_back(z);
  }
  return states;
}

// Anderson's states by dense least squares over the last `window` differences.
std::vector<VectorXd> dense_anderson(VectorXd z, int steps, int window, double damping,
                                     anderson_type type) {
  std::vector<VectorXd> zs, fs, answer{z};
  for (int t = 0; t < steps; ++t) {
    zs.push_back(z);
    fs.push_back(smooth(z));
    const int m = std::min(t, window);
    const VectorXd r = fs.back() - zs.back();
    VectorXd next = z + damping * r;
    if (m > 0) {
      MatrixXd dZ(z.size(), m), dF(z.size(), m);
      for (int i = 0; i < m; ++i) {
        const auto at = static_cast<std::size_t>(t - m + i);
        dZ.col(i) = zs[at + 1] - zs[at];
        dF.col(i) = fs[at + 1] - fs[at];
      }
      const MatrixXd dR = dF - dZ;
      const VectorXd gamma =
          type == anderson_type::two
              ? VectorXd(dR.colPivHouseholderQr().solve(r))
              : VectorXd((dZ.transpose() * dR).fullPivLu().solve(dZ.transpose() * r));
      next = fs.back() - dF * gamma - (1 - damping) * (r - dR * gamma);
    }
    z = next;
    answer.push_back(z);
  }
  return answer;
}

// Broyden's states with the whole matrix H.
std::vector<VectorXd> dense_broyden(VectorXd z, int steps, broyden_type type) {
  std::vector<VectorXd> answer{z};
  MatrixXd H = -MatrixXd::Identity(z.size(), z.size());
  VectorXd r = smooth(z) - z;
  for (int t = 0; t < steps; ++t) {
    const VectorXd s = -H * r;
    z += s;
    answer.push_back(z);
    const VectorXd now = smooth(z) - z;
    const VectorXd y = now - r;
    const VectorXd w = type == broyden_type::good ? VectorXd(H.transpose() * s) : y;
    H += (s - H * y) * w.transpose() / w.dot(y);
    r = now;
  }
  return answer;
}

void require_close(const std::vector<VectorXd>& a, const std::vector<VectorXd>& b, double most) {
  REQUIRE(a.size() == b.size());
  for (std::size_t t = 0; t < a.size(); ++t) {
    INFO("step " << t);
    REQUIRE((a[t] - b[t]).norm() <= most * (1 + b[t].norm()));
  }
}

MatrixXd starts_of_one_row() { return maps::starts(1, 10, 22); }

const auto double_well = basin::function_map(2, [](const auto& Z) {
  auto next = Z.eval();
  next.row(0).array() += 0.01 * (Z.row(0).array() - Z.row(0).array().cube());
  next.row(1) *= 0.3;
  return next;
});

}  // namespace

TEST_CASE("Anderson's states are those of the definition", "[solver]") {
  const VectorXd z = maps::starts(12, 1, 3);
  for (const int window : {1, 3, 6}) {
    for (const double damping : {1.0, 0.6}) {
      for (const auto type : {anderson_type::two, anderson_type::one}) {
        const anderson a{.window = window, .damping = damping, .type = type, .condition = 1e14};
        // Until the differences are rounding.
        require_close(states_of(a, z, 14), dense_anderson(z, 14, window, damping, type), 1e-8);
      }
    }
  }
}

TEST_CASE("Broyden's states are those of the dense update", "[solver]") {
  const VectorXd z = maps::starts(9, 1, 4);
  for (const auto type : {broyden_type::good, broyden_type::bad}) {
    require_close(states_of(broyden{.window = 16, .type = type}, z, 12), dense_broyden(z, 12, type),
                  1e-9);
  }
}

TEST_CASE("extrapolations are exact for as many modes as they take", "[solver]") {
  // Four modes in R^10.
  const MatrixXd Q = MatrixXd(maps::starts(10, 10, 8)).householderQr().householderQ();
  VectorXd rates = VectorXd::Zero(10);
  rates.head(4) << 0.99, -0.9, 0.7, 0.4;
  const MatrixXd A = Q * rates.asDiagonal() * Q.transpose();
  const VectorXd fixed = maps::starts(10, 1, 9);
  const auto map = basin::function_map(
      10, [&](const auto& Z) { return ((A * (Z.colwise() - fixed)).colwise() + fixed).eval(); });
  const MatrixXd start = maps::starts(10, 1, 10);
  const auto run = [&](auto a) {
    FixedPointSolver solver{map, a, stopping{.residual = 1e-9}};
    const auto found = solver.solve(start);
    CHECK(found.status[0] == status::converged);
    CHECK((found.states.col(0) - fixed).norm() < 1e-6);
    return found.evaluations[0];
  };
  // The other modes vanish after one step; a cycle of four modes takes five iterates.
  CHECK(run(basin::rre{.window = 5}) <= 8);
  CHECK(run(basin::mpe{.window = 5}) <= 8);
  CHECK(run(basin::vector_epsilon{.window = 5}) <= 13);
  CHECK(run(anderson{.window = 6}) <= 8);
  CHECK(run(anderson{.window = 6, .type = anderson_type::one}) <= 9);
  CHECK(run(broyden{}) <= 14);
}

TEST_CASE("rre and mpe cycles are those of their definitions", "[solver]") {
  const VectorXd z = maps::starts(9, 1, 12);
  constexpr int n = 3;
  std::vector<VectorXd> states{z};
  for (int i = 0; i <= n; ++i) states.push_back(smooth(states.back()));
  MatrixXd R(9, n + 1), S(9, n + 1);
  for (int i = 0; i <= n; ++i) {
    S.col(i) = states[static_cast<std::size_t>(i)];
    R.col(i) = states[static_cast<std::size_t>(i) + 1] - S.col(i);
  }
  // rre: γ ∝ (R^T R)^-1 1; mpe: R_n c = -r_n.
  const VectorXd d = (R.transpose() * R).fullPivLu().solve(VectorXd::Ones(n + 1));
  VectorXd c(n + 1);
  c << R.leftCols(n).colPivHouseholderQr().solve(-R.col(n)), 1;
  const auto rre = states_of(basin::rre{.window = n}, z, n + 1);
  const auto mpe = states_of(basin::mpe{.window = n}, z, n + 1);
  CHECK((rre.back() - S * d / d.sum()).norm() < 1e-9);
  CHECK((mpe.back() - S * c / c.sum()).norm() < 1e-9);
}

TEST_CASE("Aitken's and Steffensen's methods on one number", "[solver]") {
  const auto cosine = basin::columnwise<1>([](double z) { return std::cos(z); });
  const MatrixXd start = MatrixXd::Constant(1, 1, 1.0);
  const auto evaluations = [&](auto a) {
    FixedPointSolver solver{cosine, a, stopping{.residual = 1e-13}};
    const auto found = solver.solve(start);
    CHECK(found.status[0] == status::converged);
    CHECK(std::abs(found.states(0, 0) - 0.73908513321516064) < 1e-12);
    return found.evaluations[0];
  };
  CHECK(evaluations(basin::picard{}) > 60);
  CHECK(evaluations(basin::aitken{}) <= 8);
  CHECK(evaluations(basin::steffensen{}) <= 9);
}

TEST_CASE("Chebyshev's error is his polynomial's", "[solver]") {
  // Of the interval's ends T_n(x / σ) / T_n(1 / σ) is 1 / T_n(1 / σ).
  const basin::chebyshev a{.least = -0.95, .most = 0.95};
  double z = 1;
  double memory = 0;
  basin::chebyshev::record<double> record;
  basin::one_lane<double> lanes;
  for (int n = 1; n <= 20; ++n) {
    double f = 0.95 * z;
    a.advance(lanes, record, &memory, &z, &f, 1);
    CHECK(std::abs(z) == Approx(1 / std::cosh(n * std::acosh(1 / 0.95))).epsilon(1e-9));
  }
}

TEST_CASE("a step to where f is not finite, or far worse, is taken back", "[solver]") {
  // A valley with a slope of 1 - 1e-3 and no f beyond 1.5.
  const auto map = basin::function_map(1, [](const auto& Z) {
    auto next = (Z.array() - 1e-3 * (Z.array() - 1) - 0.05 * (Z.array() - 1).cube()).eval();
    return (Z.array().abs() > 1.5)
        .select(Eigen::ArrayXXd::Constant(Z.rows(), Z.cols(), std::nan("")), next)
        .matrix()
        .eval();
  });
  const MatrixXd starts = MatrixXd::Constant(1, 1, -1.2);
  const auto run = [&](auto a) {
    FixedPointSolver solver{map, a, stopping{.residual = 1e-10, .max_iterations = 100000}};
    const auto found = solver.solve(starts);
    CHECK(found.status[0] == status::converged);
    CHECK(found.residual[0] <= 1e-10);
    CHECK(std::abs(found.states(0, 0) - 1) < 1e-6);
  };
  run(anderson{});
  run(anderson{.type = anderson_type::one});
  run(broyden{});
  run(basin::rre{});
  run(basin::aitken{});
  run(basin_preserving{});
}

TEST_CASE("a column's bits depend on nothing else", "[solver]") {
  const auto map = maps::network<double>(7, 0.97);
  const MatrixXd starts = maps::starts(7, 90, 11);
  const auto check = [&](auto a) {
    FixedPointSolver solver{map, a, stopping{.residual = 1e-11}};
    const auto all = solver.solve(basin::cpu<double>(1), starts);
    maps::require_same(all, solver.solve(basin::cpu<double>(3), starts));
    for (const index_t j : {0, 17, 89}) {
      const auto alone = solver.solve(basin::cpu<double>(1), MatrixXd(starts.col(j)));
      const auto at = static_cast<std::size_t>(j);
      CHECK((alone.states.col(0).array() == all.states.col(j).array()).all());
      CHECK(alone.evaluations[0] == all.evaluations[at]);
      if (!all.acceleration.empty()) CHECK(alone.acceleration[0] == all.acceleration[at]);
    }
    // Interrupted by a file and resumed.
    std::stop_source stop;
    const std::string path = (std::filesystem::temp_directory_path() /
                              ("basin_accelerators_" + std::to_string(sizeof(a)) + ".run"))
                                 .string();
    int iterations = 0;
    (void)solver.solve(basin::cpu<double>(2), starts,
                       {.stop = stop.get_token(), .checkpoint = path}, [&](const auto&) {
                         if (++iterations == 9) stop.request_stop();
                       });
    maps::require_same(all, solver.resume(basin::cpu<double>(2), path));
  };
  check(anderson{.window = 3});
  check(broyden{.window = 4});
  check(basin::mpe{.window = 3});
  check(basin_preserving{});
  check(basin::automatic{});
}

TEST_CASE("in float Anderson ends where Picard does, in less", "[solver]") {
  const auto map = maps::network<float>(20, 0.98);
  const Eigen::MatrixXf starts = maps::starts(20, 30, 13).cast<float>();
  FixedPointSolver plain{map, basin::picard{}, stopping{.residual = 2e-6}};
  FixedPointSolver fast{map, anderson{}, stopping{.residual = 2e-6}};
  const auto a = plain.solve(starts);
  const auto b = fast.solve(starts);
  REQUIRE(b.count(status::converged) == 30);
  CHECK(10 * b.work.evaluations < 7 * a.work.evaluations);
}

TEST_CASE("basin_preserving goes where the dynamics goes", "[solver]") {
  const MatrixXd starts = 2 * maps::starts(2, 2000, 14);
  const stopping rule{.residual = 1e-10, .max_iterations = 100000};
  const basin::cpu<double> be;
  FixedPointSolver plain{double_well, basin::picard{}, rule};
  FixedPointSolver fast{double_well, basin_preserving{}, rule};
  const auto truth = plain.solve(be, starts);
  const auto found = fast.solve(be, starts);
  CHECK(found.count(status::converged) == 2000);
  CHECK((found.states.row(0).array() > 0).cwiseEqual(starts.row(0).array() > 0).all());
  CHECK(10 * found.work.evaluations < truth.work.evaluations);
  const auto sample = fast.follow_sample(be, starts, found, 20);
  CHECK(sample.followed == 20);
  CHECK(sample.agreed == 20);
  CHECK(sample.others.empty());
  CHECK(sample.evaluations > 20 * 100);
  CHECK(found.agreement.followed == 0);
  const auto asked = fast.solve(be, starts, basin::run_options{.follow = 20});
  CHECK(asked.agreement.followed == 20);
  CHECK(asked.agreement.agreed == 20);
  CHECK(asked.agreement.evaluations == sample.evaluations);
  CHECK(asked.work.evaluations == found.work.evaluations);
  // Who is asked to stop has followed nothing.
  std::stop_source stop;
  stop.request_stop();
  const auto stopped = fast.follow_sample(be, starts, found, 20, stop.get_token());
  CHECK(stopped.followed == 0);
  CHECK(stopped.undecided == 20);
  CHECK_THROWS_AS(fast.follow_sample(be, starts.leftCols(3), found, 20), basin::size_error);
  CHECK_THROWS_AS(fast.solve(be, starts, basin::run_options{.follow = -1}), basin::argument_error);
  // Without acceleration there is nothing to compare.
  CHECK(plain.solve(be, starts, basin::run_options{.follow = 20}).agreement.followed == 0);
}

TEST_CASE("follow_sample finds the starts that were sent elsewhere", "[solver]") {
  const MatrixXd starts = 2 * maps::starts(2, 40, 15);
  const basin::cpu<double> be;
  FixedPointSolver fast{double_well, basin_preserving{}, stopping{.residual = 1e-8}};
  auto found = fast.solve(be, starts);
  for (index_t j = 0; j < 40; j += 2) found.states(0, j) *= -1;  // to the other attractor
  const auto sample = fast.follow_sample(be, starts, found, 40);
  CHECK(sample.followed == 40);
  CHECK(sample.agreed == 20);
  REQUIRE(sample.others.size() == 20);
  for (std::size_t i = 0; i < 20; ++i) CHECK(sample.others[i] == 2 * static_cast<index_t>(i));
}

TEST_CASE("a saddle does not agree with an attractor", "[solver]") {
  const basin::cpu<double> be;
  FixedPointSolver fast{double_well, anderson{}, stopping{.residual = 1e-5}};
  const MatrixXd starts = 2 * maps::starts(2, 30, 15);
  auto found = fast.solve(be, starts);
  found.status.assign(30, status::converged);
  found.states.setZero();
  found.states.row(0).setConstant(9e-4);  // its residual is 9e-6
  const auto sample = fast.follow_sample(be, starts, found, 30);
  CHECK(sample.followed == 30);
  CHECK(sample.agreed == 0);
  // At an attractor, to the last bit or one off, they agree.
  const auto side = [](double x) { return x > 0 ? 1.0 : -1.0; };
  found.states.row(0) = starts.row(0).unaryExpr(side);
  CHECK(fast.follow_sample(be, starts, found, 30).agreed == 30);
  found.states.row(0) *= 1 + 3e-16;
  CHECK(fast.follow_sample(be, starts, found, 30).agreed == 30);
}

TEST_CASE("a start that was taken to a saddle's limit finds the way back", "[solver]") {
  // Fast towards the saddle at 0, slowly away from it along the second axis, on either side.
  const auto map = basin::columnwise<2>([](const auto& z, auto& f) {
    f[0] = 0.5 * z[0] + 0.1 * z[0] * z[1];
    f[1] = z[1] + 0.02 * z[1] * (1 - z[1] * z[1]) + 0.001 * z[0] * z[0] * z[1];
  });
  MatrixXd starts(2, 40);
  for (index_t j = 0; j < 40; ++j) {
    const double away = std::pow(10, -1 - 0.3 * static_cast<double>(j));
    starts.col(j) << 1 + 0.01 * static_cast<double>(j), (j % 2 == 0 ? -away : away);
  }
  const basin::cpu<double> be(1);
  const stopping rule{.residual = 1e-13, .max_iterations = 100000};
  FixedPointSolver plain{map, basin::picard{}, rule};
  FixedPointSolver fast{map, basin_preserving{}, rule};
  const auto truth = plain.solve(be, starts);
  const auto found = fast.solve(be, starts);
  index_t went = 0;
  for (index_t j = 0; j < 40; ++j) {
    CHECK((truth.states.col(j) - found.states.col(j)).norm() < 1e-6);
    const basin::acceleration_report& report = found.acceleration[static_cast<std::size_t>(j)];
    went += report.limits > 0 && report.taken_back > 0;
  }
  CHECK(went > 20);
  CHECK(found.work.evaluations < truth.work.evaluations / 10);
}

TEST_CASE("what following cannot tell it does not tell", "[solver]") {
  // Picard's iteration takes more than the budget.
  const auto slow = basin::function_map(1, [](const auto& Z) { return MatrixXd(0.9999 * Z); });
  FixedPointSolver solver{slow, basin::automatic{},
                          stopping{.residual = 1e-8, .max_iterations = 3000}};
  const auto found = solver.solve(MatrixXd::Ones(1, 1), basin::run_options{.follow = 1});
  REQUIRE(found.status[0] == status::converged);
  CHECK(found.agreement.followed == 0);
  CHECK(found.agreement.undecided == 1);
  CHECK(found.agreement.others.empty());

  // A map that throws while starts are followed: the run is not lost.
  int calls = 0;
  int least = std::numeric_limits<int>::max();
  const auto fragile = basin::function_map(1, [&](const auto& Z) {
    if (++calls > least) throw std::runtime_error("a fault");
    return MatrixXd(0.98 * Z);
  });
  FixedPointSolver other{fragile, basin_preserving{}, stopping{.residual = 1e-8}};
  REQUIRE(other.solve(MatrixXd::Ones(1, 1)).status[0] == status::converged);
  least = calls + 10;
  calls = 0;
  const auto kept = other.solve(MatrixXd::Ones(1, 1), basin::run_options{.follow = 1});
  CHECK(kept.status[0] == status::converged);
  CHECK(kept.agreement.followed == 0);
  CHECK(kept.agreement.failure.find("a fault") != std::string::npos);

  // A batch-coupled map's starts are not apart from each other.
  const auto coupled = basin::batch_coupled(
      [](const auto& Z) -> MatrixXd { return 0.5 * (Z.colwise() + Z.rowwise().mean()); });
  FixedPointSolver together{coupled, basin::damped{}, stopping{.residual = 1e-8}};
  CHECK_THROWS_AS(together.solve(starts_of_one_row(), basin::run_options{.follow = 3}),
                  basin::argument_error);
}

TEST_CASE("settings of accelerators are checked", "[solver]") {
  const auto refused = [](auto a) {
    using solver = FixedPointSolver<decltype(maps::linear(0.5)), decltype(a)>;
    CHECK_THROWS_AS(solver(maps::linear(0.5), a), basin::argument_error);
  };
  refused(anderson{.window = 0});
  refused(anderson{.window = 65});
  refused(anderson{.damping = 0});
  refused(anderson{.type = anderson_type::one, .regularization = 1e-8});
  refused(anderson{.growth = 1});
  refused(broyden{.window = 0});
  refused(basin::rre{.window = 0});
  refused(basin::aitken{.largest = 0.5});
  refused(basin::steffensen{.reach = 0});
  refused(basin::chebyshev{.least = 0.5, .most = 0.5});
  refused(basin::chebyshev{.most = 1});
  refused(basin_preserving<>{.outside = {.linearity = 0.1, .across = 0}});
  refused(basin_preserving<>{.longest = 1});
  refused(basin_preserving<>{.between = 0});
  refused(basin_preserving<>{.inner = {.window = 0}});
}

TEST_CASE("accelerators on f^p find the points of a cycle of period p", "[solver]") {
  // The logistic map where its cycle of period 4 is young and attracts slowly.
  const auto map =
      basin::columnwise<1>([](const auto& z, auto& f) { f[0] = 3.455 * z[0] * (1 - z[0]); });
  const MatrixXd start = MatrixXd::Constant(1, 1, 0.3);
  FixedPointSolver solver{
      map, basin::picard{},
      stopping{.residual = 1e-12, .max_iterations = 5000, .cycle_tolerance = 1e-3}};
  const auto found = solver.solve(start);
  REQUIRE(found.status[0] == status::cycle);
  REQUIRE(found.period[0] == 4);

  const stopping rule{.residual = 1e-13, .max_iterations = 5000, .patience = 0};
  FixedPointSolver fast{basin::power(map, 4), anderson{}, rule};
  const auto point = fast.solve(found.states);
  REQUIRE(point.status[0] == status::converged);
  FixedPointSolver plain{basin::power(map, 4), basin::picard{}, rule};
  const auto slow = plain.solve(found.states);
  REQUIRE(slow.status[0] == status::converged);
  CHECK(point.states(0, 0) == Approx(slow.states(0, 0)).epsilon(1e-9));
  CHECK(3 * point.evaluations[0] < slow.evaluations[0]);
  // No point of a shorter cycle: f and f^2 lead elsewhere.
  double z = point.states(0, 0);
  for (int t = 1; t <= 3; ++t) {
    z = 3.455 * z * (1 - z);
    CHECK(std::abs(z - point.states(0, 0)) > 1e-2);
  }
}
