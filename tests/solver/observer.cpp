#include <basin/solver/observer.hpp>

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include <basin/solver/fixed_point_solver.hpp>
#include <basin/solver/progress_bar.hpp>

#include "maps.hpp"

using basin::FixedPointSolver;
using basin::index_t;
using basin::run_options;

TEST_CASE("trajectories of chosen starts are streamed, state by state", "[solver]") {
  Eigen::MatrixXd starts(1, 4);
  starts << 1, 2, 4, 8;
  std::map<index_t, std::vector<double>> seen;
  auto observer = basin::trajectory_observer<double>(
      {3, 1}, [&](index_t start, index_t iteration, const auto& state, double residual) {
        CHECK(iteration == static_cast<index_t>(seen[start].size()));
        CHECK(residual == state[0] / 2);
        seen[start].push_back(state[0]);
      });
  FixedPointSolver solver{maps::linear(0.5), basin::picard{}, basin::stopping{.residual = 0.1}};
  const auto found = solver.solve(basin::cpu<double>(2), starts, run_options{}, observer);
  REQUIRE(seen.size() == 2);
  CHECK(seen[1] == std::vector<double>{2, 1, 0.5, 0.25, 0.125});
  CHECK(seen[3] == std::vector<double>{8, 4, 2, 1, 0.5, 0.25, 0.125});
  CHECK(found.iterations[3] == 6);
  // An observer changes no answer.
  maps::require_same(found, solver.solve(basin::cpu<double>(2), starts));
  CHECK_THROWS_AS(basin::trajectory_observer<double>(
                      {0}, [](index_t, index_t, const auto&, double) {}, 0),
                  basin::argument_error);
}

TEST_CASE("every second state of a trajectory of a batch map", "[solver]") {
  std::vector<index_t> iterations;
  auto observer = basin::trajectory_observer<float>(
      {7},
      [&](index_t start, index_t iteration, const auto& state, float) {
        CHECK(start == 7);
        CHECK(state.size() == 12);
        iterations.push_back(iteration);
      },
      2);
  FixedPointSolver solver{maps::network<float>(12), basin::picard{},
                          basin::stopping{.residual = 1e-4}};
  const auto found = solver.solve(basin::cpu<float>(1), maps::starts(12, 9).cast<float>(),
                                  run_options{}, observer);
  CHECK(static_cast<index_t>(iterations.size()) == found.iterations[7] / 2 + 1);
  for (std::size_t i = 0; i < iterations.size(); ++i) {
    CHECK(iterations[i] == 2 * static_cast<index_t>(i));
  }
}

TEST_CASE("norms are summed up while a run goes on", "[solver]") {
  Eigen::MatrixXd starts(1, 4);
  starts << 1, 2, 4, 8;
  std::vector<basin::residual_summary<double>> seen;
  auto observer = basin::norm_observer<double>([&](const auto& norms) { seen.push_back(norms); });
  FixedPointSolver solver{maps::linear(0.5), basin::picard{}, basin::stopping{.residual = 0.3}};
  (void)solver.solve(basin::cpu<double>(2), starts, run_options{}, observer);
  REQUIRE(seen.size() == 5);
  CHECK(seen[0].active == 4);
  CHECK(seen[0].least == 0.5);
  CHECK(seen[0].median == 2);
  CHECK(seen[0].greatest == 4);
  CHECK(seen[2].active == 3);  // the first has left
  CHECK(seen[4].active == 1);
  CHECK(seen[4].greatest == 0.25);
  // A column that is not finite shows as NaN and spoils neither least nor median.
  seen.clear();
  const auto logarithm = basin::columnwise<1>([](double z) { return std::log(z); });
  FixedPointSolver other{logarithm, basin::picard{}, basin::stopping{.max_iterations = 2}};
  starts << -1, 2, 4, 8;
  (void)other.solve(basin::cpu<double>(2), starts, run_options{}, observer);
  CHECK(seen[0].least == Approx(2 - std::log(2.0)));
  CHECK(std::isnan(seen[0].greatest));
  CHECK_THROWS_AS(basin::norm_observer<double>([](const auto&) {}, 0), basin::argument_error);
}

TEST_CASE("cancelled columns keep their latest state and residual", "[solver]") {
  std::stop_source source;
  FixedPointSolver solver{maps::linear(0.999)};
  Eigen::MatrixXd starts(1, 3);
  starts << 1, 0, -1;
  const auto found = solver.solve(basin::cpu<double>(1), starts,
                                  run_options{.stop = source.get_token()}, [&](const auto& at) {
                                    if (at.iteration == 9) source.request_stop();
                                  });
  CHECK(found.status[0] == basin::status::cancelled);
  CHECK(found.status[1] == basin::status::converged);
  CHECK(found.iterations[0] == 9);
  CHECK(found.states(0, 0) == Approx(std::pow(0.999, 9)));
  CHECK(found.residual[0] == Approx(0.001 * std::pow(0.999, 9)));
  // Stopped before it begins: nothing was evaluated.
  const auto none =
      solver.solve(basin::cpu<double>(1), starts, run_options{.stop = source.get_token()});
  CHECK(none.count(basin::status::cancelled) == 3);
  CHECK(none.work.evaluations == 0);
  CHECK((none.states.array() == starts.array()).all());
}

TEST_CASE("a run without observers can be stopped from another thread", "[solver][threads]") {
  FixedPointSolver solver{
      maps::rotation(1.0), basin::picard{},
      basin::stopping{.residual = 0, .max_iterations = 1'000'000'000, .patience = 0}};
  std::stop_source source;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    source.request_stop();
  });
  const auto found = solver.solve(basin::cpu<double>(2), maps::starts(2, 50),
                                  run_options{.stop = source.get_token()});
  CHECK(found.count(basin::status::cancelled) == 50);
  CHECK(found.work.evaluations > 50);
}

TEST_CASE("the progress bar says how many have ended, and when the rest may", "[solver]") {
  const std::string line = basin::ProgressBar::line(250, 1000, 42, 5.0);
  CHECK(line.find("25.0 %") != std::string::npos);
  CHECK(line.find("250 of 1000") != std::string::npos);
  CHECK(line.find("50 per second") != std::string::npos);
  CHECK(line.find("15 s left") != std::string::npos);
  CHECK(basin::ProgressBar::line(0, 10, 0, 1.0).find("left") == std::string::npos);
}

TEST_CASE("the progress bar is silent where there is no terminal, or on demand", "[solver]") {
  const auto bytes_shown = [](basin::progress_options options) {
    std::FILE* const file = std::tmpfile();
    REQUIRE(file != nullptr);
    options.stream = file;
    {
      basin::ProgressBar bar(options);
      FixedPointSolver solver{maps::linear(0.9)};
      (void)solver.solve(basin::cpu<double>(1), maps::starts(1, 10000), run_options{}, bar);
    }
    const long bytes = std::ftell(file);
    std::fclose(file);
    return bytes;
  };
  CHECK(bytes_shown({}) == 0);
  CHECK(bytes_shown({.silent = true, .any_stream = true}) == 0);
  CHECK(bytes_shown({.any_stream = true, .seconds = 0}) > 100);
}
