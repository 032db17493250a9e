#include <basin/solver/stopping.hpp>

#include <cmath>
#include <string>

#include <basin/solver/fixed_point_solver.hpp>

#include "maps.hpp"

using basin::residual_norm;
using basin::stopping;

namespace {

// Stops by the largest norm of a state that may still count, a rule of the user's own.
struct scaled_rule : stopping {
  double unit = 1;
  [[nodiscard]] double threshold(double state, basin::index_t k) const {
    return stopping::threshold(state, k) * unit * unit;
  }
};

void refused(const stopping& rule, const std::string& name) {
  try {
    basin::FixedPointSolver solver{maps::linear(0.5), basin::picard{}, rule};
    FAIL("no argument_error for " + name);
  } catch (const basin::argument_error& e) {
    CHECK(std::string(e.what()).find(name) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("the norms measure what they say", "[solver]") {
  // z -> z / 2 in R^16 from ones: ‖z‖ = 4 · 2^-t, ‖r‖ = 2 · 2^-t.
  const auto map = basin::columnwise(16, [](const auto& z, auto& f) { f = z / 2; });
  const Eigen::MatrixXd start = Eigen::MatrixXd::Ones(16, 1);
  const auto steps = [&](residual_norm norm, double tolerance) {
    basin::FixedPointSolver solver{map, basin::picard{},
                                   stopping{.residual = tolerance, .norm = norm}};
    const auto found = solver.solve(start);
    CHECK(found.residual[0] == Approx(2 * std::ldexp(1.0, -static_cast<int>(found.iterations[0]))));
    return found.iterations[0];
  };
  CHECK(steps(residual_norm::absolute, 0.25) == 3);
  CHECK(steps(residual_norm::rms, 0.25) == 1);
  CHECK(steps(residual_norm::relative, 0.5) == 0);
  // The relative residual of a linear map never falls: budget, not convergence.
  basin::FixedPointSolver solver{
      map, basin::picard{},
      stopping{.residual = 0.4, .norm = residual_norm::relative, .max_iterations = 50}};
  CHECK(solver.solve(start).status[0] == basin::status::max_iterations);
}

TEST_CASE("the presets are those of the paper", "[solver]") {
  CHECK(std::pow(basin::paper_small().residual, 2) == Approx(1e-6));
  CHECK(basin::paper_small().max_iterations == 3000);
  CHECK(std::pow(basin::paper_foundation().residual, 2) == Approx(1e-5));
  CHECK(basin::paper_foundation().max_iterations == 500);
}

TEST_CASE("a user's own rule decides", "[solver]") {
  scaled_rule rule;
  rule.residual = 1e-3;
  rule.unit = 10;
  basin::FixedPointSolver solver{maps::linear(0.5), basin::picard{}, rule};
  const auto found = solver.solve(Eigen::MatrixXd::Ones(1, 1));
  CHECK(found.residual[0] <= 1e-2);
  CHECK(found.residual[0] > 0.5e-2);
}

TEST_CASE("settings outside their range are refused by name", "[solver]") {
  refused({.residual = -1e-6}, "residual");
  refused({.residual = std::nan("")}, "residual");
  refused({.max_iterations = -1}, "max_iterations");
  refused({.max_evaluations = 0}, "max_evaluations");
  refused({.divergence = 0.5}, "divergence");
  refused({.window = 10}, "window");
  refused({.patience = -1}, "patience");
  refused({.progress = -0.1}, "progress");
  refused({.max_period = -1}, "max_period");
  refused({.cycle_tolerance = -1}, "cycle_tolerance");
  refused({.marginal_band = -1}, "marginal_band");
}
