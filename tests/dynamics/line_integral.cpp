// Integrals along paths: potentials, kinks, refinement and what is not finite.
#include <cmath>
#include <limits>

#include <basin/dynamics/line_integral.hpp>
#include <basin/map/columnwise.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "../solver/maps.hpp"

using basin::index_t;

namespace {
// v = ∇(x³ + x y² - y).
auto cubic() {
  return basin::columnwise<2>([](const auto& z, auto& f) {
    f[0] = z[0] + 3 * z[0] * z[0] + z[1] * z[1];
    f[1] = z[1] + 2 * z[0] * z[1] - 1;
  });
}
double cubic_at(const Eigen::Vector2d& z) { return z[0] * z[0] * z[0] + z[0] * z[1] * z[1] - z[1]; }
}  // namespace

TEST_CASE("a polynomial potential is integrated exactly on any path", "[dynamics]") {
  auto map = cubic();
  const Eigen::MatrixXd path = maps::starts(2, 6);
  const auto found = basin::line_integral(one, map, path);
  CHECK(found.value == Approx(cubic_at(path.col(5)) - cubic_at(path.col(0))).epsilon(1e-13));
  CHECK(found.converged);
  CHECK(found.error < 1e-13);
  // 4 panels and their halves, of 5 nodes on 5 edges.
  CHECK(found.evaluations == 5 * 5 * (4 + 8));
  double length = 0;
  for (index_t e = 0; e < 5; ++e) length += (path.col(e + 1) - path.col(e)).norm();
  CHECK(found.length == Approx(length));
  CHECK(std::abs(found.value) <= found.work);
  // Backwards it is the negative.
  const Eigen::MatrixXd back = path.rowwise().reverse();
  CHECK(basin::line_integral(one, map, back).value == Approx(-found.value).epsilon(1e-12));
}

TEST_CASE("panels are halved until the integral settles", "[dynamics]") {
  // v = (cos 40 x, 0).
  auto map = basin::columnwise<2>([](const auto& z, auto& f) {
    f[0] = z[0] + std::cos(40 * z[0]);
    f[1] = z[1];
  });
  const Eigen::MatrixXd path = (Eigen::MatrixXd(2, 2) << 0, 3, 0, 0).finished();
  const double known = std::sin(120.0) / 40;
  const auto fine = basin::line_integral(one, map, path, {.halvings = 20, .tolerance = 1e-12});
  CHECK(fine.converged);
  CHECK(fine.value == Approx(known).margin(1e-12));
  CHECK(fine.work == Approx(6 / 3.14159265358979).epsilon(0.05));
  // Cut short it says so, and how far off it is about.
  const auto coarse =
      basin::line_integral(one, map, path, {.panels = 8, .halvings = 1, .tolerance = 1e-12});
  CHECK_FALSE(coarse.converged);
  CHECK(std::abs(coarse.value - known) > 1e-9);
  CHECK(std::abs(coarse.value - known) < coarse.error);
  CHECK(coarse.evaluations < fine.evaluations);
  // The default tolerance is met.
  const auto usual = basin::line_integral(one, map, path);
  CHECK(usual.converged);
  CHECK(std::abs(usual.value - known) < 1e-6 * usual.work);
}

TEST_CASE("kinks are closed in on, to about the error that is told", "[dynamics]") {
  // v = (max(0, x - a), 0), as a ReLU makes it, with the kink at many places.
  const Eigen::MatrixXd path = (Eigen::MatrixXd(2, 2) << 0, 1, 0, 0).finished();
  int honest = 0;
  for (int i = 0; i < 50; ++i) {
    const double kink = 0.01 + 0.0193 * i;
    auto map = basin::columnwise<2>([kink](const auto& z, auto& f) {
      f[0] = z[0] + std::max(0.0, z[0] - kink);
      f[1] = z[1];
    });
    const double known = (1 - kink) * (1 - kink) / 2;
    const auto found = basin::line_integral(one, map, path, {.tolerance = 1e-12});
    // One panel of 4 * 2^6 holds the kink.
    CHECK(std::abs(found.value - known) < 1e-5);
    CHECK(found.evaluations == 5 * (4 + 8 + 4 * 5));
    if (std::abs(found.value - known) <= 2 * found.error + 1e-15) ++honest;
    const auto deep = basin::line_integral(one, map, path, {.halvings = 20, .tolerance = 1e-12});
    CHECK(std::abs(deep.value - known) < 1e-11);
  }
  // An estimate, no bound: it may be less by chance.
  CHECK(honest >= 45);
}

TEST_CASE("paths of no length and of one point", "[dynamics]") {
  auto map = cubic();
  const Eigen::MatrixXd point = maps::starts(2, 1);
  for (const index_t copies : {1, 3}) {
    const auto found = basin::line_integral(one, map, point.replicate(1, copies));
    CHECK(found.value == 0);
    CHECK(found.error == 0);
    CHECK(found.length == 0);
    CHECK(found.relative() == 0);
    CHECK(found.evaluations == 0);
  }
}

TEST_CASE("a path over points that are not finite is NaN, at once", "[dynamics]") {
  auto map = basin::columnwise<2>([](const auto& z, auto& f) {
    f[0] = z[0] < 0 ? std::numeric_limits<double>::quiet_NaN() : z[1];
    f[1] = z[1];
  });
  const Eigen::MatrixXd path = (Eigen::MatrixXd(2, 2) << -1, 1, 0, 0).finished();
  const auto found = basin::line_integral(one, map, path, {.halvings = 40});
  CHECK(std::isnan(found.value));
  CHECK(std::isnan(found.error));
  CHECK(std::isnan(found.relative()));
  CHECK_FALSE(found.converged);
  CHECK(found.evaluations == 5 * 4);
  CHECK_THROWS_AS(basin::line_integral(one, map, maps::starts(3, 2)), basin::size_error);
  CHECK_THROWS_AS(basin::line_integral(one, map, path.leftCols(0)), basin::argument_error);
  CHECK_THROWS_AS(basin::line_integral(one, map, path, {.panels = 0}), basin::argument_error);
  CHECK_THROWS_AS(basin::line_integral(one, map, path, {.halvings = 0}), basin::argument_error);
  CHECK_THROWS_AS(basin::line_integral(one, map, path, {.halvings = 41}), basin::argument_error);
  CHECK_THROWS_AS(basin::line_integral(one, map, path, {.tolerance = -1}), basin::argument_error);
}

TEST_CASE("a line integral in float knows what float knows", "[dynamics]") {
  auto map = cubic();
  const Eigen::MatrixXd path = maps::starts(2, 3);
  const auto found = basin::line_integral(basin::cpu<float>(1), map, path, {.tolerance = 1e-5});
  CHECK(found.converged);
  CHECK(found.value == Approx(cubic_at(path.col(2)) - cubic_at(path.col(0))).margin(1e-4));
}
