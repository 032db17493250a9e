// The events that end a column, and where they are located.
#include <cmath>
#include <stop_token>
#include <thread>

#include <basin/dynamics/dopri5.hpp>
#include <basin/dynamics/euler.hpp>
#include <basin/dynamics/exponential_rosenbrock.hpp>
#include <basin/dynamics/rkf78.hpp>
#include <basin/dynamics/runge_kutta4.hpp>
#include <basin/solver/progress_bar.hpp>

#include "../one_thread.hpp"
#include "flows.hpp"

using basin::flow_status;
using basin::flow_stopping;
using basin::FlowSolver;
using basin::index_t;

namespace {
constexpr double tight = 1e-10;
const basin::dopri5 accurate{.relative = 1e-11, .absolute = 1e-12};
}  // namespace

TEST_CASE("arrival: the residual comes down to the tolerance", "[dynamics]") {
  // ‖v‖ = q exp(-q t) from (1, q).
  Eigen::MatrixXd Z(2, 3);
  Z << 1, 1, 1, 0.5, 1, 4;
  const flow_stopping stopping{.time = 1000, .residual = 1e-4, .location = tight};
  const auto check = [&](const auto& method, double tolerance) {
    FlowSolver solver{flows::decay(), method, stopping};
    const auto found = solver.solve(one, Z);
    for (index_t j = 0; j < 3; ++j) {
      const auto i = static_cast<std::size_t>(j);
      CHECK(found.status[i] == flow_status::arrived);
      CHECK(found.residual[i] <= 1e-4);
      CHECK(found.residual[i] >= 1e-4 * (1 - 2 * tight));
      CHECK(found.time[i] == Approx(std::log(Z(1, j) / 1e-4) / Z(1, j)).epsilon(tolerance));
      CHECK(found.residual[i] == Z(1, j) * std::abs(found.states(0, j)));
    }
  };
  check(accurate, 1e-8);
  check(basin::rkf78{.relative = 1e-12, .absolute = 1e-13}, 1e-9);
  check(basin::runge_kutta4{.step = 0.01}, 1e-7);
  check(basin::odeint_euler{.step = 1e-3}, 1e-2);
  // Already there.
  FlowSolver solver{flows::decay(), accurate, stopping};
  const auto found = solver.solve(one, Eigen::Vector2d(0, 1));
  CHECK(found.status[0] == flow_status::arrived);
  CHECK(found.evaluations[0] == 1);
  CHECK(found.time[0] == 0);
}

TEST_CASE("capture: the trusted radius of a known attractor", "[dynamics]") {
  // dz/dt = -z + a where a is ±(1, 0): straight to it.
  const auto map = basin::columnwise<2>([](const auto& z, auto& f) {
    f[0] = z[0] > 0 ? 1 : -1;
    f[1] = 0;
  });
  flow_stopping stopping{.time = 100, .residual = 1e-12, .location = tight};
  stopping.attractors = (Eigen::MatrixXd(2, 2) << -1, 1, 0, 0).finished();
  stopping.radii = Eigen::Vector2d(0.1, 0.01);
  Eigen::MatrixXd Z(2, 4);
  Z << 4, -4, 1.001, 0.2, 0, 3, 0, 5;
  const index_t which[4] = {1, 0, 1, 1};
  const auto check = [&](const auto& method, double tolerance) {
    FlowSolver solver{map, method, stopping};
    const auto found = solver.solve(one, Z);
    for (index_t j = 0; j < 4; ++j) {
      const auto i = static_cast<std::size_t>(j);
      CHECK(found.status[i] == flow_status::captured);
      CHECK(found.attractor[i] == which[j]);
      const Eigen::Vector2d a = stopping.attractors.col(which[j]);
      const double radius = stopping.radii[which[j]];
      const double distance = (found.states.col(j) - a).norm();
      if (j == 2) {
        CHECK(found.time[i] == 0);  // begins inside
        continue;
      }
      CHECK(distance <= radius);
      CHECK(distance >= radius * (1 - 2 * tight));
      CHECK(found.time[i] == Approx(std::log((Z.col(j) - a).norm() / radius)).epsilon(tolerance));
    }
  };
  check(accurate, 1e-8);
  check(basin::rkf78{.relative = 1e-12, .absolute = 1e-13}, 1e-8);
  check(basin::runge_kutta4{.step = 0.01}, 1e-8);
  check(basin::odeint_euler{.step = 1e-3}, 1e-2);
}

TEST_CASE("leaving a box through any face", "[dynamics]") {
  // A circle of radius 1 meets the face z_1 = cos 1 after the time at which it is said to.
  flow_stopping stopping{.time = 100, .residual = 0, .location = tight};
  stopping.lower = Eigen::Vector2d(-0.5, -10);
  stopping.upper = Eigen::Vector2d(10, 0.25);
  Eigen::MatrixXd Z(2, 2);
  Z << 1, 0, 0, -1;  // (cos t, -sin t) and (-sin t, -cos t)
  const auto check = [&](const auto& method, double tolerance) {
    FlowSolver solver{flows::oscillator(), method, stopping};
    const auto found = solver.solve(one, Z);
    CHECK(found.count(flow_status::left_box) == 2);
    CHECK(found.time[0] == Approx(std::acos(-0.5)).epsilon(tolerance));
    CHECK(found.states(0, 0) == Approx(-0.5).epsilon(1e-8));
    CHECK(found.states(0, 0) < -0.5);
    CHECK(found.time[1] == Approx(std::asin(0.5)).epsilon(tolerance));
  };
  check(accurate, 1e-8);
  check(basin::rkf78{.relative = 1e-12, .absolute = 1e-13}, 1e-8);
  check(basin::runge_kutta4{.step = 0.01}, 1e-8);
  check(basin::odeint_euler{.step = 1e-3}, 1e-2);
  check(basin::exponential_rosenbrock{.relative = 1e-10, .absolute = 1e-11}, 1e-8);
  check(basin::exponential_euler{.step = 0.1, .relative = 1e-11, .absolute = 1e-12}, 1e-8);
  // One bound for all entries; a start outside has left.
  stopping.lower = Eigen::VectorXd();
  stopping.upper = Eigen::VectorXd::Constant(1, 0.5);
  FlowSolver other{flows::oscillator(), accurate, stopping};
  const auto outside = other.solve(one, Eigen::Vector2d(0.6, 0));
  CHECK(outside.status[0] == flow_status::left_box);
  CHECK(outside.time[0] == 0);
}

TEST_CASE("an event costs few steps more", "[dynamics]") {
  Eigen::MatrixXd Z(2, 1);
  Z << 1, 1;
  FlowSolver solver{flows::decay(), basin::dopri5{}, flow_stopping{.time = 1000}};
  const auto found = solver.solve(one, Z);
  CHECK(found.status[0] == flow_status::arrived);
  CHECK(found.rejected[0] <= 4);
  CHECK(found.residual[0] >= 0.999e-6);
}

TEST_CASE("time: reached exactly, by methods that may shorten their steps", "[dynamics]") {
  const Eigen::Vector2d z(1, 0);
  const flow_stopping stopping{.time = 1.234567, .residual = 0};
  FlowSolver solver{flows::oscillator(), accurate, stopping};
  const auto found = solver.solve(one, z);
  CHECK(found.status[0] == flow_status::time_reached);
  CHECK(found.time[0] == 1.234567);
  FlowSolver fixed{flows::oscillator(), basin::runge_kutta4{.step = 0.1}, stopping};
  CHECK(fixed.solve(one, z).time[0] == 1.234567);
  CHECK(fixed.solve(one, z).accepted[0] == 13);
  FlowSolver polygon{flows::oscillator(), basin::euler{.step = 0.1}, stopping};
  CHECK(polygon.solve(one, z).time[0] == Approx(1.3));
  FlowSolver none{flows::oscillator(), accurate, flow_stopping{.time = 0, .residual = 0}};
  CHECK(none.solve(one, z).accepted[0] == 0);
  CHECK(none.solve(one, z).status[0] == flow_status::time_reached);
}

TEST_CASE("non_finite, step_too_small and max_steps", "[dynamics]") {
  // dz/dt = z² has a pole at t = 1 / z.
  const auto pole = basin::columnwise<1>([](double z) { return z + z * z; });
  FlowSolver solver{pole, basin::dopri5{}, flow_stopping{.time = 10}};
  const auto found = solver.solve(one, Eigen::MatrixXd::Constant(1, 1, 2.0));
  const bool ended =
      found.status[0] == flow_status::step_too_small || found.status[0] == flow_status::non_finite;
  CHECK(ended);
  CHECK(found.time[0] == Approx(0.5).epsilon(1e-5));
  CHECK(std::isfinite(found.states(0, 0)));
  // dz/dt = -1 into the edge of √z.
  const auto edge = basin::columnwise<1>([](double z) { return z - 1 + 0 * std::sqrt(z); });
  FlowSolver walker{edge, basin::dopri5{}, flow_stopping{.time = 10}};
  const auto walked = walker.solve(one, Eigen::MatrixXd::Constant(1, 1, 2.0));
  CHECK(walked.status[0] == flow_status::non_finite);
  CHECK(walked.time[0] == Approx(2.0));
  CHECK(walked.states(0, 0) >= 0);
  FlowSolver stepper{edge, basin::euler{.step = 0.3}, flow_stopping{.time = 10}};
  const auto stepped = stepper.solve(one, Eigen::MatrixXd::Constant(1, 1, 2.0));
  CHECK(stepped.status[0] == flow_status::non_finite);
  CHECK(stepped.states(0, 0) == Approx(0.2));
  CHECK(stepped.accepted[0] == 6);
  FlowSolver short_of{flows::oscillator(), basin::dopri5{}, flow_stopping{.max_steps = 7}};
  const auto seven = short_of.solve(one, Eigen::Vector2d(1, 0));
  CHECK(seven.status[0] == flow_status::max_steps);
  CHECK(seven.accepted[0] + seven.rejected[0] == 7);
}

TEST_CASE("a flow can be observed and stopped", "[dynamics][threads]") {
  std::stop_source source;
  FlowSolver solver{flows::oscillator(), basin::runge_kutta4{.step = 0.01},
                    flow_stopping{.time = 1e9, .residual = 0, .max_steps = 1'000'000'000}};
  index_t calls = 0;
  const Eigen::MatrixXd Z = maps::starts(2, 20);
  const auto found =
      solver.solve(one, Z, basin::run_options{.stop = source.get_token()}, [&](const auto& at) {
        CHECK(at.states.cols() == 20);
        CHECK(at.times[3] == Approx(0.01 * double(calls + 1)));
        CHECK(at.iteration == calls);
        CHECK(at.ended == 0);
        if (++calls == 30) source.request_stop();
      });
  CHECK(found.count(flow_status::cancelled) == 20);
  CHECK(found.time[0] == Approx(0.3));
  CHECK((found.states.col(4) - flows::oscillator_at(Z.col(4), 0.3)).norm() < 1e-9);
  // Those of the solver will do.
  basin::ProgressBar bar({.silent = true});
  FlowSolver quick{flows::both(), basin::dopri5{}, flow_stopping{.time = 1}};
  CHECK(quick.solve(one, maps::starts(3, 4), basin::run_options{}, bar).size() == 4);

  std::stop_source later;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    later.request_stop();
  });
  const auto stopped =
      solver.solve(basin::cpu<double>(2), Z, basin::run_options{.stop = later.get_token()});
  CHECK(stopped.count(flow_status::cancelled) == 20);
}
