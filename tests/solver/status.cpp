// Each status at its edges, on maps whose dynamics are known.
#include <cmath>
#include <limits>

#include <basin/map/function_map.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "maps.hpp"

using basin::FixedPointSolver;
using basin::index_t;
using basin::picard;
using basin::status;
using basin::stopping;

namespace {

constexpr double pi = 3.14159265358979323846;

// One start, by itself and in the middle of a batch lambda's batch: the same status.
struct outcome {
  basin::status status;
  index_t period;
  index_t iterations;
  double residual;
  double state;
};

template <class Scalar = double, class Map>
outcome run(const Map& map, double start, const stopping& rule = {}) {
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  const basin::cpu<Scalar> cpu(1);
  const index_t k = map.dimension();
  const matrix Z = matrix::Constant(k, 1, static_cast<Scalar>(start));
  FixedPointSolver columns{map, picard{}, rule};
  const auto found = columns.solve(cpu, Z);
  // The same function behind a batch form takes the other path through the solver.
  FixedPointSolver batch{
      basin::function_map(k,
                          [map](const basin::cpu<Scalar>& be, const auto& X, auto& out) {
                            map(be, typename basin::cpu<Scalar>::const_view(X), out);
                          }),
      picard{}, rule};
  const auto again = batch.solve(cpu, Z);
  CHECK(again.status[0] == found.status[0]);
  CHECK(again.period[0] == found.period[0]);
  CHECK(std::abs(again.iterations[0] - found.iterations[0]) <= 1);
  return {found.status[0], found.period[0], found.iterations[0],
          static_cast<double>(found.residual[0]), static_cast<double>(found.states(0, 0))};
}

}  // namespace

TEST_CASE("converged: the residual meets the tolerance, and one step less does not", "[solver]") {
  // q = 1/2 from 1: the residual after t steps is 2^-(t + 1), met exactly at t = 9.
  const outcome found = run(maps::linear(0.5), 1.0, {.residual = std::ldexp(1.0, -10)});
  CHECK(found.status == status::converged);
  CHECK(found.iterations == 9);
  CHECK(found.residual == std::ldexp(1.0, -10));
  CHECK(found.state == std::ldexp(1.0, -9));
  CHECK(found.period == 1);
  const double below = std::nextafter(std::ldexp(1.0, -10), 0.0);
  CHECK(run(maps::linear(0.5), 1.0, {.residual = below}).iterations == 10);
  // At a fixed point there is nothing to do.
  const outcome there = run(maps::linear(0.5), 0.0, {.residual = 0});
  CHECK(there.status == status::converged);
  CHECK(there.iterations == 0);
}

TEST_CASE("a slow contraction is neither a cycle nor stalled", "[solver]") {
  const stopping patient{.max_iterations = 10'000'000};
  for (const double q : {-0.999, 0.999, -0.9999, 0.9999, 0.99999}) {
    const outcome found = run(maps::linear(q), 1.0, patient);
    CAPTURE(q);
    CHECK(found.status == status::converged);
    // The residual is (1 - q) |q|^t.
    const double steps = std::log(1e-6 / (1 - q)) / std::log(std::abs(q));
    CHECK(static_cast<double>(found.iterations) == Approx(std::ceil(steps)).margin(1.5));
  }
  CHECK(run<float>(maps::linear(-0.999), 1.0, patient).status == status::converged);
  CHECK(
      run<float>(maps::linear(0.999), 1.0, {.residual = 1e-5, .max_iterations = 1000000}).status ==
      status::converged);
}

TEST_CASE("-1 is a cycle of period 2", "[solver]") {
  const outcome found = run(maps::linear(-1.0), 0.25);
  CHECK(found.status == status::cycle);
  CHECK(found.period == 2);
  CHECK(std::abs(found.state) == 0.25);
  CHECK(found.residual == 0.5);
  CHECK(run<float>(maps::linear(-1.0), 0.25).period == 2);
}

TEST_CASE("rotations: a cycle if the angle divides the circle, else marginal", "[solver]") {
  for (const int p : {3, 4, 5, 7, 16}) {
    const outcome found = run(maps::rotation(2 * pi / p), 1.0);
    CAPTURE(p);
    CHECK(found.status == status::cycle);
    CHECK(found.period == p);
  }
  // Longer than max_period, or never: the rate is measured, and it is 1.
  CHECK(run(maps::rotation(2 * pi / 17), 1.0).status == status::marginal);
  CHECK(run(maps::rotation(2 * pi / 17), 1.0, {.window = 100, .max_period = 17}).period == 17);
  for (const double angle : {1.0, std::sqrt(2.0), 2.0, 3.0}) {
    CHECK(run(maps::rotation(angle), 1.0).status == status::marginal);
    CHECK(run<float>(maps::rotation(angle), 1.0).status == status::marginal);
  }
}

TEST_CASE("the logistic map goes through its cascade of periods", "[solver]") {
  const stopping rule{.max_iterations = 100000};
  CHECK(run(maps::logistic(2.8), 0.3, rule).status == status::converged);
  CHECK(run(maps::logistic(3.2), 0.3, rule).period == 2);
  CHECK(run(maps::logistic(3.5), 0.3, rule).period == 4);
  CHECK(run(maps::logistic(3.55), 0.3, rule).period == 8);
  CHECK(run(maps::logistic(3.83), 0.3, rule).period == 3);
  // Known points of the 2-cycle: (r + 1 ± √((r - 3)(r + 1))) / 2r.
  const outcome two = run(maps::logistic(3.2), 0.3, rule);
  const double root = std::sqrt(0.2 * 4.2);
  const double upper = (4.2 + root) / 6.4;
  const double lower = (4.2 - root) / 6.4;
  CHECK(std::min(std::abs(two.state - upper), std::abs(two.state - lower)) < 1e-6);
  // Chaos is bounded, returns to nothing and has no rate.
  CHECK(run(maps::logistic(3.9), 0.3, rule).status == status::stalled);
  CHECK(run(maps::logistic(4.0), 0.3, rule).status == status::stalled);
}

TEST_CASE("a cycle is only reported after it repeats, and not while it still shrinks", "[solver]") {
  // Spirals onto a 2-cycle at ±1 with rate 0.9995 per step: it must come close first.
  const auto map = basin::columnwise<1>([](double z) {
    const double radius = 1 + 0.9995 * (std::abs(z) - 1);
    return z > 0 ? -radius : radius;
  });
  const outcome found = run(map, 1.5, {.max_iterations = 100000});
  CHECK(found.status == status::cycle);
  CHECK(found.period == 2);
  CHECK(std::abs(found.state) == Approx(1).epsilon(0.01));
  CHECK(found.iterations > 2000);
  // One that shrinks to a point is no cycle at all.
  CHECK(run(maps::linear(-0.9999), 1.0, {.max_iterations = 1'000'000}).status == status::converged);
  // Not looked for.
  CHECK(run(maps::linear(-1.0), 1.0, {.max_period = 0}).status == status::marginal);
}

TEST_CASE("diverged: beyond the bound, still finite", "[solver]") {
  const outcome found = run(maps::linear(2.0), 1.0);
  CHECK(found.status == status::diverged);
  // ‖r_t‖ = 2^t; the bound is 1e8.
  CHECK(found.iterations == 27);
  CHECK(std::isfinite(found.state));
  CHECK(run(maps::linear(1.0001), 1.0, {.max_iterations = 1'000'000}).status == status::diverged);
  CHECK(run(maps::linear(-1.0001), 1.0, {.max_iterations = 1'000'000}).status == status::diverged);
  // A sum of squares that overflows although every entry is finite.
  const auto leap = basin::columnwise<1>([](float z) { return z + 1e30f; });
  CHECK(run<float>(leap, 0.0).status == status::diverged);
}

TEST_CASE("marginal: a measured rate of 1", "[solver]") {
  const outcome found = run(basin::columnwise<1>([](double z) { return z + 1; }), 0.0);
  CHECK(found.status == status::marginal);
  CHECK(found.residual == 1);
  // 1 - 1e-7 is inside the band of 1e-6, 1 - 1e-5 is slow convergence.
  CHECK(run(maps::linear(1 - 1e-7), 1e3, {.residual = 1e-9}).status == status::marginal);
  CHECK(run(maps::linear(1 - 1e-5), 1.0, {.residual = 1e-9, .max_iterations = 20000}).status ==
        status::max_iterations);
}

TEST_CASE("non_finite: the last finite state stays", "[solver]") {
  const auto logarithm = basin::columnwise<1>([](double z) { return std::log(z) - 1; });
  const outcome found = run(logarithm, 2.0);  // log 2 - 1 < 0, then NaN
  CHECK(found.status == status::non_finite);
  CHECK(found.state == std::log(2.0) - 1);
  CHECK(found.iterations == 1);
  CHECK(std::isnan(found.residual));
  const auto pole = basin::columnwise<1>([](double z) { return 1 / z; });
  CHECK(run(pole, 0.0).status == status::non_finite);
}

TEST_CASE("max_iterations and max_evaluations are counted exactly", "[solver]") {
  const outcome none = run(maps::linear(0.5), 1.0, {.max_iterations = 0});
  CHECK(none.status == status::max_iterations);
  CHECK(none.iterations == 0);
  CHECK(none.residual == 0.5);
  const outcome five = run(maps::linear(0.5), 1.0, {.max_iterations = 5});
  CHECK(five.iterations == 5);
  CHECK(five.state == std::ldexp(1.0, -5));
  CHECK(five.residual == std::ldexp(1.0, -6));
  const outcome evaluated = run(maps::linear(0.5), 1.0, {.max_evaluations = 5});
  CHECK(evaluated.status == status::max_iterations);
  CHECK(evaluated.iterations == 4);
}

TEST_CASE("a polynomially slow approach is not called stalled", "[solver]") {
  // z - z³: the residual falls as t^(-3/2), so its rate tends to 1.
  const auto map = basin::columnwise<1>([](double z) { return z - z * z * z; });
  CHECK(run(map, 0.5, {.max_iterations = 1'000'000}).status == status::converged);
}

TEST_CASE("noise below the tolerance ends a run as stalled", "[solver]") {
  // Newton's iteration for √2 with a disturbance of 1e-6 that looks like noise.
  const auto map =
      basin::columnwise<1>([](double z) { return 0.5 * (z + 2 / z) + 1e-6 * std::sin(1e9 * z); });
  const outcome found = run(map, 3.0, {.residual = 1e-12});
  CHECK(found.status == status::stalled);
  CHECK(found.state == Approx(std::sqrt(2.0)).epsilon(1e-5));
  CHECK(found.residual < 1e-5);
  // Within reach of the noise the same map converges.
  CHECK(run(map, 3.0, {.residual = 1e-5}).status == status::converged);
}

TEST_CASE("statuses have names", "[solver]") {
  for (int s = 0; s < basin::status_count; ++s) {
    CHECK(to_string(static_cast<status>(s)) != "unknown");
  }
}
