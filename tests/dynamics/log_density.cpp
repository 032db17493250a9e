// log q from integrals: exact for best denoisers, and honest about fields that have none.
#include <cmath>
#include <limits>

#include <basin/dynamics/log_density.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/columnwise.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "densities.hpp"

using basin::index_t;

TEST_CASE("log q of a Gaussian from its linear denoiser", "[dynamics]") {
  const auto clean = densities::tilted(6);
  auto map = densities::denoiser(clean, 0.5);
  const auto noised = clean.noised(0.5);
  const Eigen::VectorXd anchor = clean.means();
  const Eigen::MatrixXd points = noised.sample(20, {.seed = 30});
  const auto found = basin::log_density(one, map, anchor, points, {.scale = 0.25});
  const Eigen::VectorXd known = noised.log_density(points).array() - noised.log_density(anchor)[0];
  CHECK((found.value - known).cwiseAbs().maxCoeff() < 1e-12);
  CHECK((found.detour_value - known).cwiseAbs().maxCoeff() < 1e-12);
  CHECK(found.quadrature_error.maxCoeff() < 1e-12);
  CHECK(found.path_error.maxCoeff() < 1e-12);
  CHECK(found.relative_path_error.value < 1e-12);
  CHECK(found.left_out == 0);
}

TEST_CASE("log q of a mixture within the error of quadrature", "[dynamics]") {
  const auto clean = densities::three();
  auto map = densities::denoiser(clean, 0.5);
  const auto noised = clean.noised(0.5);
  const Eigen::VectorXd anchor = Eigen::Vector2d(0, 0);
  const Eigen::MatrixXd points = noised.sample(20, {.seed = 31});
  const Eigen::VectorXd known = noised.log_density(points).array() - noised.log_density(anchor)[0];
  const auto found = basin::log_density(one, map, anchor, points, {.scale = 0.25});
  CHECK((found.value - known).cwiseAbs().maxCoeff() < 1e-6);
  CHECK((found.value - known).cwiseAbs().maxCoeff() <= found.quadrature_error.maxCoeff() + 1e-12);
  CHECK(found.path_error.maxCoeff() < 1e-6);
  CHECK(found.relative_path_error.value < 1e-6);
  // A wrong scale scales the answer.
  const auto twice = basin::log_density(one, map, anchor, points, {.scale = 0.5});
  CHECK((2 * twice.value - found.value).norm() < 1e-12);
}

TEST_CASE("the path error of a rotation is its curl over the triangle", "[dynamics]") {
  // v = s (-y, x) - (x, y) / 2: ∮ = 2 s area.
  const double s = 0.3;
  const Eigen::MatrixXd J = (Eigen::MatrixXd(2, 2) << 0.5, -s, s, 0.5).finished();
  auto map = basin::affine(J);
  const Eigen::VectorXd anchor = Eigen::Vector2d(0.2, -0.1);
  const Eigen::MatrixXd points = densities::three().sample(8, {.seed = 32});
  Eigen::MatrixXd over = densities::three().sample(8, {.seed = 33});
  const auto found = basin::log_density(one, map, anchor, points, {.over = over});
  for (index_t j = 0; j < 8; ++j) {
    const Eigen::Vector2d a = over.col(j) - anchor, b = points.col(j) - anchor;
    const double area = (a[0] * b[1] - a[1] * b[0]) / 2;
    CHECK(found.detour_value[j] - found.value[j] == Approx(2 * s * area).margin(1e-12));
    CHECK(found.path_error[j] == Approx(std::abs(2 * s * area)).margin(1e-12));
  }
  // Found detours: a triangle whose height is half the straight path's length.
  const auto own = basin::log_density(one, map, anchor, points);
  const auto wide = basin::log_density(one, map, anchor, points, {.detour = 3});
  for (index_t j = 0; j < 8; ++j) {
    const double square = (points.col(j) - anchor).squaredNorm();
    CHECK(own.path_error[j] == Approx(2 * s * square / 4).epsilon(1e-10));
    CHECK(wide.path_error[j] == Approx(3 * own.path_error[j]).epsilon(1e-10));
  }
  const double mean = own.value.mean();
  CHECK(own.relative_path_error.value ==
        Approx(own.path_error.norm() / (own.value.array() - mean).matrix().norm()));
  CHECK(own.relative_path_error.error > 0);
}

TEST_CASE("paths over bad points are left out of log q", "[dynamics]") {
  auto map = basin::columnwise<2>([](const auto& z, auto& f) {
    f = (z[0] > 5 ? std::numeric_limits<double>::quiet_NaN() : 0.5) * z;
  });
  const Eigen::VectorXd anchor = Eigen::Vector2d(0, 0);
  Eigen::MatrixXd points = densities::three().sample(4, {.seed = 34});
  const auto clean = basin::log_density(one, map, anchor, points);
  points.col(1) << 9, 0;
  points(1, 2) = std::numeric_limits<double>::quiet_NaN();
  const auto found = basin::log_density(one, map, anchor, points);
  CHECK(found.left_out == 2);
  CHECK(std::isnan(found.value[1]));
  CHECK(std::isnan(found.path_error[2]));
  CHECK(found.value[3] == clean.value[3]);
  CHECK(std::isfinite(found.relative_path_error.value));
  // v = -z / 2, from 0: -‖z‖² / 4.
  CHECK(found.value[0] == Approx(-points.col(0).squaredNorm() / 4));
  // The anchor itself.
  const auto nothing = basin::log_density(one, map, anchor, anchor);
  CHECK(nothing.value[0] == 0);
  CHECK(nothing.path_error[0] == 0);
  CHECK(std::isnan(nothing.relative_path_error.value));
}

TEST_CASE("misuse of log_density", "[dynamics]") {
  auto map = basin::affine(Eigen::MatrixXd(0.5 * Eigen::MatrixXd::Identity(2, 2)));
  const Eigen::VectorXd anchor = Eigen::Vector2d(0, 0);
  const Eigen::MatrixXd points = Eigen::MatrixXd::Ones(2, 3);
  CHECK_THROWS_AS(basin::log_density(one, map, anchor, Eigen::MatrixXd::Ones(3, 3)),
                  basin::size_error);
  CHECK_THROWS_AS(
      basin::log_density(one, map, anchor, points, {.over = Eigen::MatrixXd::Ones(2, 2)}),
      basin::size_error);
  CHECK_THROWS_AS(basin::log_density(one, map, anchor, points, {.scale = 0}),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::log_density(one, map, anchor, points, {.detour = -1}),
                  basin::argument_error);
  auto line = basin::affine(Eigen::MatrixXd(0.5 * Eigen::MatrixXd::Identity(1, 1)));
  const Eigen::VectorXd zero = Eigen::VectorXd::Zero(1);
  CHECK_THROWS_AS(basin::log_density(one, line, zero, Eigen::MatrixXd::Ones(1, 3)),
                  basin::argument_error);
  const Eigen::MatrixXd beyond = 2 * Eigen::MatrixXd::Ones(1, 3);
  const auto found =
      basin::log_density(one, line, zero, Eigen::MatrixXd::Ones(1, 3), {.over = beyond});
  CHECK(found.value[0] == Approx(-0.25));
  CHECK(found.path_error.maxCoeff() < 1e-14);
}
