// Rates and orders of sequences that are known.
#include <cmath>
#include <limits>
#include <vector>

#include <basin/convergence/observed_rate.hpp>

#include "../catch.hpp"

using basin::convergence_kind;
using basin::observed_rate;

namespace {

template <class F>
std::vector<double> sequence(int n, F&& f) {
  std::vector<double> values;
  for (int t = 0; t < n; ++t) values.push_back(f(t));
  return values;
}

}  // namespace

TEST_CASE("a geometric sequence has its rate", "[convergence]") {
  for (const double q : {0.1, 0.5, 0.9, 0.999}) {
    const auto seen = observed_rate(sequence(14, [&](int t) { return 3 * std::pow(q, t); }));
    CHECK(seen.kind == convergence_kind::linear);
    CHECK(seen.rate == Approx(q).epsilon(1e-10));
    CHECK(seen.rate_error < 1e-10);
    CHECK(seen.order == 1);
  }
}

TEST_CASE("the rounding floor of float is no convergence", "[convergence]") {
  // States of size 10 with rate 0.7: the residual stays at their rounding from t = 45 on.
  float z = 10;
  std::vector<double> residuals;
  for (int t = 0; t < 120; ++t) {
    const float next = 0.7F * (z - 9.0F) + 9.0F;
    residuals.push_back(std::abs(static_cast<double>(next) - static_cast<double>(z)) + 3e-7);
    z = next;
  }
  for (const double scale : {0.0, 10.0}) {  // told, and found out
    const auto seen = observed_rate(residuals, {.epsilon = 1.2e-7, .scale = scale});
    INFO(scale);
    CHECK(seen.kind == convergence_kind::linear);
    CHECK(seen.at_floor > 70);
    CHECK(std::abs(seen.rate - 0.7) <= std::max(0.03, seen.rate_error));
  }
}

TEST_CASE("Newton's iteration is quadratic", "[convergence]") {
  std::vector<double> errors;
  for (double z = 3; std::abs(z - std::sqrt(2.0)) > 1e-15; z = z / 2 + 1 / z) {
    errors.push_back(std::abs(z - std::sqrt(2.0)));
  }
  const auto seen = observed_rate(errors);
  CHECK(seen.kind == convergence_kind::superlinear);
  CHECK(seen.order == Approx(2).epsilon(0.1));
  CHECK(seen.rate == 0);
}

TEST_CASE("near a marginal point convergence is sublinear", "[convergence]") {
  // z -> z - z²: z_t ~ 1 / t, steps z² ~ t^-2.
  double z = 0.5;
  const auto steps = sequence(2000, [&](int) {
    const double step = z * z;
    z -= step;
    return step;
  });
  const auto seen = observed_rate(steps);
  CHECK(seen.kind == convergence_kind::sublinear);
  CHECK(seen.rate == 1);
  CHECK(seen.exponent == Approx(2).epsilon(0.02));
  // A slow rate is no marginal point.
  CHECK(observed_rate(sequence(2000, [](int t) { return std::pow(0.999, t); })).kind ==
        convergence_kind::linear);
}

TEST_CASE("a sum of exponentials is not sublinear", "[convergence]") {
  // As it bends from one slope to the other, log r_t is nearer to a line in log t than to one in t.
  int all = 0, linear = 0, settled = 0, covered = 0;
  for (const double slow : {0.7, 0.9, 0.95, 0.99, 0.995}) {
    for (const double fast : {0.1, 0.3, 0.6, 0.8, 0.9, 0.98}) {
      if (fast >= slow) continue;
      for (const double share : {0.2, 0.5, 1.0, 5.0, 50.0}) {
        for (const int n : {8, 12, 16, 20, 24, 30, 40, 60, 100, 200, 500}) {
          if (std::pow(slow, n) < 1e-12) continue;
          const auto seen = observed_rate(
              sequence(n, [&](int t) { return std::pow(slow, t) + share * std::pow(fast, t); }));
          INFO(slow << "^t + " << share << " * " << fast << "^t, " << n << " values: "
                    << to_string(seen.kind) << " " << seen.rate << " +- " << seen.rate_error);
          CHECK(seen.kind != convergence_kind::sublinear);
          ++all;
          if (seen.kind != convergence_kind::linear) continue;
          ++linear;
          // What the second still adds to the first where the tail begins.
          const double rest = share * std::pow(fast / slow, n / 2);
          if (rest < 1e-6) CHECK(seen.rate == Approx(slow).epsilon(1e-5));
          if (rest > 0.1) continue;
          ++settled;
          covered += std::abs(seen.rate - slow) <= seen.rate_error + 1e-12;
        }
      }
    }
  }
  REQUIRE(all > 1000);
  CHECK(linear > 0.98 * all);
  CHECK(covered > 0.9 * settled);
  for (const int n : {20, 30, 40, 60, 100, 200}) {
    const auto seen =
        observed_rate(sequence(n, [](int t) { return std::pow(0.95, t) + 5 * std::pow(0.8, t); }));
    INFO(n << " values");
    CHECK(seen.kind == convergence_kind::linear);
    if (n >= 30) CHECK(std::abs(seen.rate - 0.95) <= seen.rate_error + 1e-12);
    if (n >= 100) CHECK(seen.rate == Approx(0.95).epsilon(1e-3));
  }
}

TEST_CASE("powers of t are sublinear", "[convergence]") {
  for (const double s : {0.5, 1.0, 2.0}) {
    for (const int n : {16, 30, 100, 500, 3000}) {
      const auto seen = observed_rate(sequence(n, [&](int t) { return std::pow(t + 1, -s); }));
      INFO("t^-" << s << ", " << n << " values");
      CHECK(seen.kind == convergence_kind::sublinear);
      CHECK(seen.rate == 1);
      CHECK(seen.order == 1);
      CHECK(seen.exponent == Approx(s).epsilon(1e-6));
      CHECK(seen.at_floor == 0);
      if (n < 100) continue;
      // With what is gone soon, and an oscillation.
      const auto mixed = observed_rate(sequence(n, [&](int t) {
        return std::pow(t + 1, -s) * (1 + 2 * std::pow(0.3, t) + 0.1 * std::cos(2.5 * t));
      }));
      CHECK(mixed.kind == convergence_kind::sublinear);
      CHECK(mixed.exponent == Approx(s).epsilon(0.05));
    }
    // Few values are those of many laws.
    for (const int n : {6, 7, 8, 12}) {
      const auto few = observed_rate(sequence(n, [&](int t) { return std::pow(t + 1, -s); }));
      CHECK(few.kind == convergence_kind::undecided);
      CHECK(std::isnan(few.rate));
      CHECK(std::isnan(few.order));
    }
  }
}

TEST_CASE("a sum of exponentials down to its rounding floor", "[convergence]") {
  // Rounding of size 1e-16 beside states of size 1 is met at t = 700.
  const auto seen =
      observed_rate(sequence(1500,
                             [](int t) {
                               const double rounding = 1e-16 * (1.5 + std::sin(7.0 * t));
                               return std::pow(0.95, t) + 5 * std::pow(0.8, t) + rounding;
                             }),
                    {.scale = 1});
  CHECK(seen.kind == convergence_kind::linear);
  CHECK(seen.at_floor > 750);
  CHECK(seen.rate == Approx(0.95).epsilon(1e-3));
}

TEST_CASE("a complex pair oscillates about its rate", "[convergence]") {
  const auto seen = observed_rate(
      sequence(120, [](int t) { return std::pow(0.8, t) * std::abs(1.2 + std::cos(0.7 * t)); }));
  CHECK(seen.kind == convergence_kind::linear);
  CHECK(seen.rate == Approx(0.8).epsilon(0.01));
  CHECK(std::abs(seen.rate - 0.8) <= 3 * seen.rate_error);
}

TEST_CASE("what shows no rate says so", "[convergence]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(observed_rate({1, 0.5, nan, 0.1}).kind == convergence_kind::non_finite);
  CHECK(observed_rate({1, 0.5, std::numeric_limits<double>::infinity()}).kind ==
        convergence_kind::non_finite);
  CHECK(std::isnan(observed_rate({1, nan}).rate));
  CHECK(observed_rate({}).kind == convergence_kind::undecided);
  CHECK(observed_rate({1, 0.5, 0.25}).kind == convergence_kind::undecided);
  CHECK(observed_rate(std::vector<double>(50, 2.0)).kind == convergence_kind::none);
  CHECK(observed_rate(sequence(50, [](int t) { return std::pow(1.1, t); })).kind ==
        convergence_kind::none);
  CHECK_THROWS_AS(observed_rate({1, -1}), basin::argument_error);
  CHECK_THROWS_AS(observed_rate({1, 0.5}, {.tail = 0}), basin::argument_error);
  CHECK_THROWS_WITH(observed_rate({1, -2}),
                    "observed_rate: residual 1 is -2.000000, must not be negative");
  CHECK_THROWS_WITH(observed_rate({1, 0.5}, {.least = 3}),
                    "observed_rate_options: least is 3, must be at least 4");
}

TEST_CASE("residuals, steps and errors", "[convergence]") {
  // z -> q z from 1: the error is 1, the residual 1 - q, the error behind the step q.
  for (const double q : {0.0, 0.3, 0.99}) {
    CHECK(basin::error_from_residual(1 - q, q) == Approx(1));
    CHECK(basin::error_behind_step(1 - q, q) == Approx(q));
    CHECK(basin::asymptotic_residual(1, q) == Approx(1 - q));
    CHECK(basin::residual_from_error(1, q) >= 1 - q);
  }
  CHECK(basin::residual_from_error(1, 0.4) == Approx(1.4));  // reached by z -> -0.4 z
  CHECK(basin::asymptotic_residual(2, {0, 1}) == Approx(2 * std::sqrt(2.0)));
  CHECK(basin::residual_from_damped_step(0.5, 0.25) == 2);
  CHECK(std::isinf(basin::error_from_residual(1e-9, 1)));
  CHECK(std::isinf(basin::error_behind_step(1e-9, 1.5)));
  CHECK_THROWS_AS(basin::error_from_residual(-1, 0.5), basin::argument_error);
  CHECK_THROWS_AS(basin::residual_from_damped_step(1, 0), basin::argument_error);
}
