// The measured order of every integrator, on flows with known answers.
#include <cmath>
#include <string>

#include <basin/dynamics/adams.hpp>
#include <basin/dynamics/dopri5.hpp>
#include <basin/dynamics/euler.hpp>
#include <basin/dynamics/exponential_rosenbrock.hpp>
#include <basin/dynamics/rkf78.hpp>
#include <basin/dynamics/runge_kutta4.hpp>
#include <basin/dynamics/trajectories.hpp>
#include <basin/map/relaxed.hpp>

#include <Eigen/LU>

#include "../one_thread.hpp"
#include "flows.hpp"

using basin::flow_stopping;
using basin::FlowSolver;
using basin::index_t;

namespace {

// Error after `time` with steps of one length.
template <class Method>
double error(Method method, double step, double time = 4) {
  method.step = step;
  const Eigen::Vector3d start(0.3, -0.7, 0.1);
  FlowSolver solver{flows::both(), method, flow_stopping{.time = time, .residual = 0}};
  const auto found = solver.solve(one, start);
  REQUIRE(found.status[0] == basin::flow_status::time_reached);
  REQUIRE(found.time[0] == Approx(time).epsilon(1e-12));
  return (found.states.col(0) - flows::both_at(start, found.time[0])).norm();
}

template <class Method>
void has_order(const std::string& name, const Method& method, double order, double step,
               double time = 4) {
  const double coarse = error(method, step, time);
  const double fine = error(method, step / 2, time);
  const double measured = std::log2(coarse / fine);
  INFO(name << ": errors " << coarse << " and " << fine << ", order " << measured);
  CHECK(std::abs(measured - order) < 0.1);
}

}  // namespace

TEST_CASE("every integrator has the order of the theory", "[dynamics]") {
  has_order("euler", basin::euler{}, 1, 1.0 / 256);
  has_order("odeint_euler", basin::odeint_euler{}, 1, 1.0 / 256);
  has_order("runge_kutta4", basin::runge_kutta4{}, 4, 1.0 / 16);
  has_order("dopri5", basin::dopri5{}, 5, 1.0 / 16);
  has_order("rkf78", basin::rkf78{}, 8, 1.0 / 2);
  has_order("adams", basin::adams{}, 4, 1.0 / 64);
  // The flow's linear part is exact, so it is the logistic part that errs.
  has_order("exponential_euler", basin::exponential_euler{.relative = 1e-12, .absolute = 1e-13}, 2,
            1.0 / 16);
  has_order("exponential_rosenbrock",
            basin::exponential_rosenbrock{.relative = 1e-12, .absolute = 1e-13}, 3, 1.0 / 16, 2);
}

TEST_CASE("the continuous extensions have the order of the theory", "[dynamics]") {
  // The error at a third of one step from the exact start: one order above the extension's.
  const auto local = [](auto method, double step) {
    method.step = step;
    const Eigen::Vector3d start(0.3, -0.7, 0.1);
    FlowSolver solver{flows::both(), method, flow_stopping{.residual = 0}};
    const auto found = basin::trajectories(one, solver, start, {step / 3, step});
    return (found.slice(0) - flows::both_at(start, step / 3)).norm();
  };
  const auto order = [&](auto method, double step) {
    return std::log2(local(method, step) / local(method, step / 2));
  };
  CHECK(std::abs(order(basin::dopri5{}, 0.125) - 5) < 0.15);
  CHECK(std::abs(order(basin::runge_kutta4{}, 0.0625) - 4) < 0.15);
  CHECK(std::abs(order(basin::odeint_euler{}, 0.01) - 2) < 0.15);

  // Along a whole path, the recorded states of dopri5 are of order 4.
  const auto along = [](double step) {
    const Eigen::Vector3d start(0.3, -0.7, 0.1);
    FlowSolver solver{flows::both(), basin::dopri5{.step = step}, flow_stopping{.residual = 0}};
    std::vector<double> times;
    for (int i = 0; i <= 200; ++i) times.push_back(0.02 * i);
    const auto found = basin::trajectories(one, solver, start, times);
    double worst = 0;
    for (index_t m = 0; m <= 200; ++m) {
      const double t = times[static_cast<std::size_t>(m)];
      worst = std::max(worst, (found.slice(m) - flows::both_at(start, t)).norm());
    }
    return worst;
  };
  CHECK(std::log2(along(0.5) / along(0.25)) > 3.9);
}

TEST_CASE("a tolerance ten times smaller gives an error about ten times smaller", "[dynamics]") {
  const Eigen::Vector3d start(0.3, -0.7, 0.1);
  const auto error_of = [&](const auto& method) {
    FlowSolver solver{flows::both(), method, flow_stopping{.time = 4, .residual = 0}};
    const auto found = solver.solve(one, start);
    return (found.states.col(0) - flows::both_at(start, 4)).norm();
  };
  for (const double tolerance : {1e-5, 1e-7, 1e-9}) {
    CHECK(error_of(basin::dopri5{.relative = tolerance, .absolute = tolerance}) < 5 * tolerance);
    CHECK(error_of(basin::rkf78{.relative = tolerance, .absolute = tolerance}) < 5 * tolerance);
  }
  for (const double tolerance : {1e-4, 1e-6}) {
    CHECK(error_of(basin::exponential_rosenbrock{.relative = tolerance, .absolute = tolerance}) <
          20 * tolerance);
  }
}

TEST_CASE("a linear flow is the exponential of its matrix", "[dynamics]") {
  // A = S diag S^-1 with a known exponential, in R^6.
  const Eigen::MatrixXd S = maps::starts(6, 6, 3) + 2 * Eigen::MatrixXd::Identity(6, 6);
  const Eigen::VectorXd rates = (Eigen::VectorXd(6) << -3, -2, -1, -0.5, 0.2, 0.4).finished();
  const Eigen::MatrixXd inverse = S.inverse();
  const Eigen::MatrixXd A = S * rates.asDiagonal() * inverse;
  const Eigen::MatrixXd exponential = S * rates.array().exp().matrix().asDiagonal() * inverse;
  const Eigen::MatrixXd Z = maps::starts(6, 9);
  const auto map = basin::affine(Eigen::MatrixXd(A + Eigen::MatrixXd::Identity(6, 6)));
  const auto off = [&](const auto& method) {
    FlowSolver solver{map, method, flow_stopping{.time = 1, .residual = 0}};
    return (solver.solve(one, Z).states - exponential * Z).cwiseAbs().maxCoeff();
  };
  CHECK(off(basin::dopri5{.relative = 1e-10, .absolute = 1e-10}) < 1e-9);
  CHECK(off(basin::rkf78{.relative = 1e-12, .absolute = 1e-12}) < 1e-11);
  // One step of any length is exact.
  CHECK(off(basin::exponential_euler{.step = 1, .relative = 0, .absolute = 1e-13}) < 1e-12);
}

TEST_CASE("backwards in time is the flow of relaxed(f, -1)", "[dynamics]") {
  const auto map = flows::logistic();
  const basin::dopri5 method{.relative = 1e-10, .absolute = 1e-12};
  FlowSolver forward{map, method, flow_stopping{.time = 2, .residual = 0}};
  FlowSolver backward{basin::relaxed(map, -1), method, flow_stopping{.time = 2, .residual = 0}};
  const Eigen::MatrixXd Z = (maps::starts(1, 8).array() * 0.4 + 0.5).matrix();
  const Eigen::MatrixXd there = forward.solve(one, Z).states;
  CHECK((backward.solve(one, there).states - Z).cwiseAbs().maxCoeff() < 1e-8);
}
