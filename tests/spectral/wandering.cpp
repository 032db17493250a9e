// What trajectories do that never settle, where it is known.
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>

#include <basin/map/affine.hpp>
#include <basin/map/differentiable.hpp>
#include <basin/map/relaxed.hpp>
#include <basin/spectral/wandering.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "../solver/maps.hpp"

using basin::index_t;
using basin::wandering_kind;

namespace {

template <class Map>
basin::Wandering of(Map map, const Eigen::MatrixXd& start,
                    const basin::wandering_options& options = {}) {
  return basin::wandering(one, map, start, options)[0];
}

basin::Wandering logistic(double r) {
  return of(
      basin::differentiable<1>([r](const auto& z, auto& f) { f[0] = r * z[0] * (1.0 - z[0]); }),
      Eigen::MatrixXd::Constant(1, 1, 0.3));
}

basin::Wandering spiral(double angle, double factor) {
  return of(basin::differentiable<2>([c = factor * std::cos(angle), s = factor * std::sin(angle)](
                                         const auto& z, auto& f) {
              f[0] = c * z[0] - s * z[1];
              f[1] = s * z[0] + c * z[1];
            }),
            Eigen::MatrixXd::Ones(2, 1));
}

}  // namespace

TEST_CASE("the logistic map on its way to chaos", "[spectral]") {
  CHECK(logistic(2.8).kind == wandering_kind::settling);
  CHECK(logistic(3).kind == wandering_kind::settling);  // as 1 / √t, with exponent 0
  for (const auto& [r, period] : {std::pair<double, index_t>{3.2, 2}, {3.5, 4}, {3.83, 3}}) {
    const auto found = logistic(r);
    CHECK(found.kind == wandering_kind::cycle);
    CHECK(found.period == period);
    CHECK(found.exponents.values[0] < -found.resolution);
  }
  for (const double r : {3.7, 3.9, 4.0}) {
    const auto found = logistic(r);
    CHECK(found.kind == wandering_kind::chaos);
    CHECK(found.period == 0);
    CHECK(found.exponents.values[0] > found.resolution);
  }
  CHECK(logistic(4.1).kind == wandering_kind::non_finite);
}

TEST_CASE("what grows for ever is neither settling nor chaos", "[spectral]") {
  for (const double q : {1.01, 1.06, 1.0625, 1.064}) {
    INFO(q);
    const auto found =
        of(basin::differentiable<1>([q](const auto& z, auto& f) { f[0] = q * z[0]; }),
           Eigen::MatrixXd::Ones(1, 1));
    CHECK((found.kind == wandering_kind::non_finite || found.kind == wandering_kind::undecided));
  }
}

TEST_CASE("turning for ever, inwards, and back to the same places", "[spectral]") {
  CHECK(spiral(1, 1).kind == wandering_kind::quasi_periodic);
  CHECK(spiral(2.399963, 1).kind == wandering_kind::quasi_periodic);
  CHECK(spiral(std::acos(0.0), 1).kind == wandering_kind::cycle);
  CHECK(spiral(std::acos(0.0), 1).period == 4);
  CHECK(spiral(0.1, 0.99).kind == wandering_kind::settling);
  CHECK(spiral(0.1, 0.9999).kind == wandering_kind::settling);
  CHECK(spiral(0.1, 0).kind == wandering_kind::settling);
}

TEST_CASE("steps that are shorter for a while do not settle", "[spectral]") {
  // A turn whose step goes with the first coordinate of another turn, of some 14,000 iterations: in
  // those that are looked at it falls, and behind them it grows.
  auto map = basin::differentiable<4>([](const auto& z, auto& f) {
    using std::cos;
    using std::sin;
    const double slow = 6.283185307179586 / 14000;
    const auto angle = 0.1 * (1.0 + 0.8 * z[2]);
    f[0] = cos(angle) * z[0] - sin(angle) * z[1];
    f[1] = sin(angle) * z[0] + cos(angle) * z[1];
    f[2] = std::cos(slow) * z[2] - std::sin(slow) * z[3];
    f[3] = std::sin(slow) * z[2] + std::cos(slow) * z[3];
  });
  const basin::cpu<double> be(1);
  const auto found = basin::wandering(be, map, Eigen::Vector4d(1, 0, 1, 0))[0];
  INFO(found.exponents.late_path / (found.exponents.path - found.exponents.late_path));
  REQUIRE(found.exponents.late_path < 0.8 * (found.exponents.path - found.exponents.late_path));
  CHECK(found.kind != basin::wandering_kind::settling);
  CHECK(found.shrinking > 1);
}

TEST_CASE("slow drift", "[spectral]") {
  // Along a line, along a shear, and towards a degenerate fixed point as 1 / √t.
  const auto shift =
      of(basin::differentiable<1>([](const auto& z, auto& f) { f[0] = z[0] + 1e-3; }),
         Eigen::MatrixXd::Ones(1, 1));
  CHECK(shift.kind == wandering_kind::slow_drift);
  CHECK(shift.straightness == Approx(1));
  CHECK(of(basin::differentiable<2>([](const auto& z, auto& f) {
             f[0] = z[0] + 0.1 * z[1];
             f[1] = z[1];
           }),
           Eigen::MatrixXd::Ones(2, 1))
            .kind == wandering_kind::slow_drift);
  const auto degenerate =
      of(basin::differentiable<1>([](const auto& z, auto& f) { f[0] = z[0] - z[0] * z[0] * z[0]; }),
         Eigen::MatrixXd::Constant(1, 1, 0.5));
  CHECK(degenerate.kind == wandering_kind::slow_drift);
  CHECK(degenerate.shrinking < 0.7);
}

TEST_CASE("a cycle of the flow is quasi-periodic for small steps", "[spectral]") {
  auto van_der_pol = basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = z[0] + z[1];
    f[1] = z[1] + (1.0 - z[0] * z[0]) * z[1] - z[0];
  });
  const double h = 0.01;
  const auto found = of(basin::relaxed(van_der_pol, h), Eigen::MatrixXd::Ones(2, 1),
                        {.exponents = {.count = 2, .steps = 20000}});
  CHECK(found.kind == wandering_kind::quasi_periodic);
  CHECK(std::abs(found.exponents.values[0]) < found.resolution);
  // The cycle's other exponent is about -1.06.
  CHECK(found.exponents.values[1] / h == Approx(-1.06).margin(0.05));
}

TEST_CASE("Hénon's attractor, and neighbours that leave", "[spectral]") {
  auto map = basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = 1.0 - 1.4 * z[0] * z[0] + z[1];
    f[1] = 0.3 * z[0];
  });
  Eigen::MatrixXd points = Eigen::MatrixXd::Zero(2, 3);
  points(0, 1) = std::numeric_limits<double>::quiet_NaN();
  points(0, 2) = 100;
  const auto found = basin::wandering(basin::cpu<double>(2), map, points);
  CHECK(found[0].kind == wandering_kind::chaos);
  CHECK(std::abs(found[0].exponents.values[0] - 0.41922) < 4 * found[0].exponents.errors[0]);
  CHECK(found[1].kind == wandering_kind::non_finite);
  CHECK(found[2].kind == wandering_kind::non_finite);
  const auto alone = basin::wandering(one, map, points.leftCols(1));
  CHECK(alone[0].exponents.values[0] == found[0].exponents.values[0]);
  CHECK(alone[0].nearest == found[0].nearest);
  CHECK(basin::wandering(one, map, points.leftCols(0)).empty());
  CHECK_THROWS_AS(basin::wandering(one, map, points, {.max_period = 1}), basin::argument_error);
  CHECK_THROWS_AS(basin::wandering(one, map, points, {.exponents = {.count = 0}}),
                  basin::argument_error);
  CHECK(to_string(wandering_kind::quasi_periodic) == "quasi_periodic");
}

TEMPLATE_TEST_CASE("a lattice of 512 coupled maps is chaotic", "[spectral]", float, double) {
  // Kaneko's, as in golden/spectral/lyapunov.py, whose four runs give 0.3365 with error 0.0013.
  auto lattice = basin::differentiable(512, [](const auto& z, auto& f) {
    using scalar = std::decay_t<decltype(f[0])>;
    const auto g = [&](index_t i) -> scalar {
      const auto x = z[(i + 512) % 512];
      return 1.0f - 1.9f * x * x;
    };
    for (index_t i = 0; i < 512; ++i) f[i] = 0.6f * g(i) + 0.2f * (g(i - 1) + g(i + 1));
  });
  const basin::cpu<TestType> cpu(2);
  const auto found = basin::wandering(
      cpu, lattice, 0.9 * maps::starts(512, 2),
      {.exponents = {.count = 2, .transient = 500, .steps = 1000}, .max_period = 200});
  for (const basin::Wandering& w : found) {
    const basin::LyapunovExponents& each = w.exponents;
    CHECK(w.kind == wandering_kind::chaos);
    INFO(each.values.transpose() << " +- " << each.errors.transpose());
    CHECK(std::abs(each.values[0] - 0.3365) < 4 * std::hypot(each.errors[0], 0.0013));
    CHECK(each.values[0] > 10 * each.errors[0]);
    CHECK(each.errors[0] < 0.02);
  }
}
