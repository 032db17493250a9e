// States, lengths and distances along the way.
#include "../catch.hpp"
#include "../one_thread.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <basin/dynamics/adams.hpp>
#include <basin/dynamics/dopri5.hpp>
#include <basin/dynamics/euler.hpp>
#include <basin/dynamics/exponential_rosenbrock.hpp>
#include <basin/dynamics/npy_trajectory.hpp>
#include <basin/dynamics/rkf78.hpp>
#include <basin/dynamics/runge_kutta4.hpp>
#include <basin/dynamics/trajectories.hpp>

#include "flows.hpp"

using basin::flow_status;
using basin::flow_stopping;
using basin::FlowSolver;
using basin::index_t;

namespace {
std::vector<double> times_to(double end, int count) {
  std::vector<double> times;
  for (int i = 0; i <= count; ++i) times.push_back(end * i / count);
  return times;
}
}  // namespace

TEST_CASE("the discrete iteration is recorded to the bit", "[dynamics]") {
  const auto map = maps::network<double>(7);
  const Eigen::MatrixXd Z = maps::starts(7, 9);
  FlowSolver solver{map, basin::euler{}, flow_stopping{.residual = 0}};
  const auto found = basin::trajectories(one, solver, Z, basin::iteration_times(12, 3));
  REQUIRE(found.times == std::vector<double>{0, 3, 6, 9, 12});
  Eigen::MatrixXd X = Z;
  Eigen::VectorXd length = Eigen::VectorXd::Zero(9);
  for (index_t t = 0; t <= 12; ++t) {
    if (t % 3 == 0) {
      CHECK((found.slice(t / 3).array() == X.array()).all());
      CHECK((found.arc.col(t / 3) - length).norm() < 1e-13);
    }
    Eigen::MatrixXd F(7, 9);
    auto f = map;
    basin::evaluate(one, f, X, F);
    length += (F - X).colwise().norm().transpose();
    X = F;
  }
  CHECK(found.path(4).cols() == 5);
  CHECK((found.path(4).col(2).array() == found.slice(2).col(4).array()).all());
}

TEST_CASE("states at given times, by every method", "[dynamics]") {
  const Eigen::MatrixXd Z = (maps::starts(3, 20).array() * 0.4 + 0.5).matrix();
  const std::vector<double> times = times_to(3, 37);
  const auto worst = [&](const auto& method) {
    FlowSolver solver{flows::both(), method, flow_stopping{.residual = 0}};
    const auto found = basin::trajectories(one, solver, Z, times);
    double error = 0;
    for (std::size_t m = 0; m < times.size(); ++m) {
      for (index_t j = 0; j < 20; ++j) {
        error = std::max(error, (found.slice(static_cast<index_t>(m)).col(j) -
                                 flows::both_at(Z.col(j), times[m]))
                                    .norm());
      }
    }
    CHECK(found.end.count(flow_status::time_reached) == 20);
    return error;
  };
  CHECK(worst(basin::dopri5{.relative = 1e-9, .absolute = 1e-9}) < 1e-7);
  CHECK(worst(basin::rkf78{.relative = 1e-10, .absolute = 1e-10}) < 1e-8);
  CHECK(worst(basin::runge_kutta4{.step = 0.02}) < 1e-7);
  CHECK(worst(basin::adams{.step = 0.02}) < 1e-6);
  CHECK(worst(basin::exponential_rosenbrock{.relative = 1e-6, .absolute = 1e-8}) < 1e-5);
}

TEST_CASE("recording changes no step of a method with a continuous extension", "[dynamics]") {
  const Eigen::MatrixXd Z = maps::starts(16, 30);
  FlowSolver solver{maps::network<double>(16), basin::dopri5{}, flow_stopping{.time = 5}};
  const auto plain = solver.solve(one, Z);
  const auto recorded = basin::trajectories(basin::cpu<double>(2), solver, Z, times_to(5, 11));
  for (index_t j = 0; j < 30; ++j) flows::require_same_column(recorded.end, j, plain, j);
  CHECK((recorded.slice(11).array() == plain.states.array()).all());
  // And a path alone is the path in company.
  const auto alone = basin::trajectories(one, solver, Z.col(17), times_to(5, 11));
  CHECK((alone.path(0).array() == recorded.path(17).array()).all());
  CHECK((alone.arc.row(0).array() == recorded.arc.row(17).array()).all());
}

TEST_CASE("arc lengths of known curves", "[dynamics]") {
  // A circle of radius r: r t. The logistic: monotone, so the distance from the start.
  const std::vector<double> times = times_to(5, 9);
  Eigen::MatrixXd Z(3, 2);
  Z << 2, 0, 0, 0, 0, 0.1;
  const auto check = [&](const auto& method, double tolerance) {
    FlowSolver solver{flows::both(), method, flow_stopping{.residual = 0}};
    const auto found = basin::trajectories(one, solver, Z, times);
    for (std::size_t m = 0; m < times.size(); ++m) {
      const auto at = static_cast<index_t>(m);
      CHECK(std::abs(found.arc(0, at) - 2 * times[m]) < tolerance);
      CHECK(std::abs(found.arc(1, at) - (flows::logistic_at(0.1, times[m]) - 0.1)) < tolerance);
    }
  };
  check(basin::dopri5{.relative = 1e-9, .absolute = 1e-10}, 1e-7);
  check(basin::runge_kutta4{.step = 0.02}, 1e-6);
  check(basin::rkf78{.relative = 1e-9, .absolute = 1e-10, .max_step = 0.05}, 1e-5);
}

TEST_CASE("columns that end on the way stay where they ended", "[dynamics]") {
  Eigen::MatrixXd Z(2, 2);
  Z << 1, 1, 5, 0.1;
  FlowSolver solver{flows::decay(), basin::dopri5{}, flow_stopping{.residual = 1e-3}};
  const auto found = basin::trajectories(one, solver, Z, times_to(4, 8));
  CHECK(found.end.status[0] == flow_status::arrived);
  CHECK(found.end.status[1] == flow_status::time_reached);
  const double ended = found.end.time[0];
  CHECK(ended == Approx(std::log(5 / 1e-3) / 5).epsilon(1e-3));
  for (index_t m = 0; m <= 8; ++m) {
    const double t = std::min(ended, 0.5 * static_cast<double>(m));
    CHECK(found.slice(m)(0, 0) == Approx(std::exp(-5 * t)).epsilon(1e-4).margin(1e-6));
    CHECK(found.slice(m)(0, 1) == Approx(std::exp(-0.05 * static_cast<double>(m))).epsilon(1e-5));
  }
}

TEST_CASE("distances to a set along the way", "[dynamics]") {
  const Eigen::MatrixXd set = maps::starts(3, 5, 77);
  const Eigen::MatrixXd Z = maps::starts(3, 6);
  FlowSolver solver{flows::both(), basin::dopri5{}, flow_stopping{.residual = 0}};
  const auto found = basin::trajectories(one, solver, Z, times_to(2, 4), {.set = set});
  REQUIRE(found.distance.rows() == 6);
  for (index_t m = 0; m <= 4; ++m) {
    for (index_t j = 0; j < 6; ++j) {
      const double least = (set.colwise() - found.slice(m).col(j)).colwise().norm().minCoeff();
      CHECK(found.distance(j, m) == Approx(least));
    }
  }
  std::vector<double> distances(6);
  std::vector<index_t> nearest(6);
  basin::distance_to_set(one, set, set, std::vector<double>(5), {});
  basin::distance_to_set(one, Z, set, distances, nearest);
  for (index_t j = 0; j < 6; ++j) {
    const auto i = static_cast<std::size_t>(j);
    CHECK((set.col(nearest[i]) - Z.col(j)).norm() == Approx(distances[i]));
  }
  CHECK_THROWS_AS(basin::distance_to_set(one, Z, Eigen::MatrixXd(2, 5), distances),
                  basin::size_error);
}

TEST_CASE("trajectories streamed to a file are those in memory", "[dynamics]") {
  const auto folder = std::filesystem::temp_directory_path() / "basin-npy-trajectory";
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "flow.npy").string();
  const Eigen::MatrixXf Z = maps::starts(5, 11).cast<float>();
  const basin::cpu<float> be(2);
  FlowSolver solver{maps::network<float>(5), basin::dopri5{.relative = 1e-4, .absolute = 1e-5},
                    flow_stopping{.residual = 1e-3}};
  const std::vector<double> times = times_to(6, 40);
  const auto expected = basin::trajectories(be, solver, Z, times);
  {
    basin::NpyTrajectory<float> file(path, 5, 11, 41);
    const auto end = basin::record_trajectories(be, solver, Z, times, file);
    CHECK(file.written() == 41);
    CHECK_FALSE(std::filesystem::exists(path));  // not before it is whole
    file.commit();
    CHECK(end.size() == 11);
  }
  const Eigen::MatrixXf read = basin::read_npy<float>(basin::ByteSource(path));
  CHECK((read.array() == expected.states.array()).all());
  {
    basin::NpyTrajectory<float> file(path, 5, 11, 42);
    (void)basin::record_trajectories(be, solver, Z, times, file);
    CHECK_THROWS_AS(file.commit(), basin::file_error);  // one is missing
  }
  {
    basin::NpyTrajectory<float> file(path, 5, 11, 40);
    CHECK_THROWS_AS((void)basin::record_trajectories(be, solver, Z, times, file),
                    basin::argument_error);
  }
  CHECK(basin::read_npy<float>(basin::ByteSource(path)).cols() == 41 * 11);  // still the first
  std::filesystem::remove_all(folder);
}

TEST_CASE("misuse of trajectories", "[dynamics]") {
  FlowSolver solver{flows::both(), basin::dopri5{}};
  const Eigen::MatrixXd Z = maps::starts(3, 4);
  CHECK_THROWS_AS((void)basin::trajectories(one, solver, Z, {}), basin::argument_error);
  CHECK_THROWS_AS((void)basin::trajectories(one, solver, Z, {0, 2, 1}), basin::argument_error);
  CHECK_THROWS_AS((void)basin::trajectories(one, solver, Z, {-1}), basin::argument_error);
  CHECK_THROWS_AS(
      (void)basin::trajectories(one, solver, Z, {1}, {.set = Eigen::MatrixXd::Zero(2, 1)}),
      basin::size_error);
  CHECK_THROWS_AS((void)basin::trajectories(one, solver, Z.topRows(2), {1}), basin::size_error);
  CHECK_THROWS_AS(basin::iteration_times(-1), basin::argument_error);
  CHECK(basin::trajectories(one, solver, Z.leftCols(0), {0, 1}).states.cols() == 0);
  // Stopped before it begins: every slice is the starts.
  std::stop_source source;
  source.request_stop();
  const auto stopped = basin::trajectories(one, solver, Z, {1, 2}, {.stop = source.get_token()});
  CHECK(stopped.end.count(flow_status::cancelled) == 4);
  CHECK((stopped.slice(1).array() == Z.array()).all());
}
