// Lemma A.5 and Theorem A.6 where they hold, and where they do not.
#include <cmath>
#include <limits>

#include <basin/dynamics/mode_check.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/columnwise.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "densities.hpp"

using basin::index_t;

namespace {
// The fixed point of the best denoiser to which the iteration goes.
Eigen::VectorXd settled(const basin::GaussianMixture& clean, double noise, Eigen::VectorXd x) {
  for (int i = 0; i < 5000; ++i) x = clean.optimal_denoiser(x, noise).eval();
  return x;
}
}  // namespace

TEST_CASE("the linear denoiser ascends its Gaussian and ends at the mode", "[dynamics]") {
  const auto clean = densities::tilted(4);
  auto map = densities::denoiser(clean, 0.5);
  const auto noised = clean.noised(0.5);
  const Eigen::MatrixXd x = noised.sample(200, {.seed = 40});
  const auto found = basin::mode_check(one, map, noised, x, clean.means());
  // <s, σ² s>.
  const Eigen::VectorXd slope = 0.25 * noised.score(x).colwise().squaredNorm().transpose();
  CHECK((found.slope - slope).cwiseAbs().maxCoeff() < 1e-12);
  CHECK(found.share_ascending.value == 1);
  CHECK(found.share_rising.value == 1);
  CHECK(found.share_ascending.error > 0);
  CHECK(found.share_ascending.used == 200);
  const auto& mode = found.attractors.at(0);
  CHECK(mode.gradient < 1e-12);
  CHECK(mode.residual < 1e-12);
  CHECK(mode.distance < 1e-12);
  CHECK(mode.is_mode(1e-9));
  const Eigen::MatrixXd precision = noised.covariance(0).inverse();
  const Eigen::VectorXd curvatures =
      -Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(precision).eigenvalues();
  CHECK(mode.largest_curvature == Approx(curvatures.maxCoeff()).epsilon(1e-12));
  CHECK(mode.smallest_curvature == Approx(curvatures.minCoeff()).epsilon(1e-12));
  CHECK(mode.curvature_error < 1e-12);
}

TEST_CASE("attractors of the best denoiser are modes of the noised density, not of the clean",
          "[dynamics]") {
  const auto clean = densities::three();
  const double noise = 0.5;
  auto map = densities::denoiser(clean, noise);
  Eigen::MatrixXd attractors(2, 3);
  for (index_t i = 0; i < 3; ++i) {
    attractors.col(i) = settled(clean, noise, clean.means().col(i));
  }
  const Eigen::MatrixXd x = clean.noised(noise).sample(100, {.seed = 41});
  const auto noised = basin::mode_check(one, map, clean.noised(noise), x, attractors);
  const auto plain = basin::mode_check(one, map, clean, x, attractors);
  CHECK(noised.share_ascending.value == 1);
  CHECK(plain.share_ascending.value < 1);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(noised.attractors[i].is_mode(1e-6));
    CHECK(noised.attractors[i].gradient < 1e-8);
    CHECK(plain.attractors[i].gradient > 1e-3);
    CHECK_FALSE(plain.attractors[i].is_mode(1e-6));
  }
}

TEST_CASE("a contraction whose attractor is no mode", "[dynamics]") {
  // f(z) = z / 2, q = N((1, 0), I): at 0 the gradient of log q is (1, 0). <∇ log q, v> =
  // (‖z‖² - x) / 2, which is negative within the circle over (0, 0), (1, 0).
  auto map = basin::affine(Eigen::MatrixXd(0.5 * Eigen::MatrixXd::Identity(2, 2)));
  const auto q = basin::gaussian(Eigen::Vector2d(1, 0), Eigen::MatrixXd::Identity(2, 2));
  const Eigen::MatrixXd points = (Eigen::MatrixXd(2, 4) << 0.5, 2, 0, 0.2, 0, 0, 0, 0.1).finished();
  const auto found = basin::mode_check(one, map, q, points, Eigen::MatrixXd::Zero(2, 1));
  CHECK((found.slope - Eigen::Vector4d(-0.125, 1, 0, -0.075)).norm() < 1e-15);
  CHECK(
      (found.rise - Eigen::Vector4d((0.25 - 0.5625) / 2, 0.5, 0, (0.64 + 0.01 - 0.81 - 0.0025) / 2))
          .norm() < 1e-14);
  // The fixed point itself is left out.
  CHECK(found.share_ascending.used == 3);
  CHECK(found.share_ascending.left_out == 1);
  CHECK(found.share_ascending.value == Approx(1.0 / 3));
  CHECK(found.share_rising.value == Approx(1.0 / 3));
  CHECK(found.attractors[0].gradient == Approx(1));
  CHECK(found.attractors[0].distance == Approx(1));
  CHECK(found.attractors[0].largest_curvature == Approx(-1));
  CHECK_FALSE(found.attractors[0].is_mode(0.5));
  CHECK(found.attractors[0].is_mode(1.5));
}

TEST_CASE("a fixed point on a saddle of q is no mode", "[dynamics]") {
  // Between two equal components the gradient vanishes, and the Hessian has both signs.
  const Eigen::MatrixXd means = (Eigen::MatrixXd(2, 2) << -2, 2, 0, 0).finished();
  const Eigen::MatrixXd identity = Eigen::MatrixXd::Identity(2, 2);
  const basin::GaussianMixture q(Eigen::Vector2d(1, 1), means,
                                 std::vector<Eigen::MatrixXd>(2, identity));
  auto map = basin::affine(Eigen::MatrixXd(0.5 * identity));
  const auto saddle =
      basin::mode_check(one, map, q, means, Eigen::MatrixXd::Zero(2, 1)).attractors[0];
  CHECK(saddle.gradient < 1e-15);
  CHECK(saddle.distance < 1e-15);
  CHECK(saddle.largest_curvature == Approx(3));
  CHECK(saddle.smallest_curvature == Approx(-1));
  CHECK_FALSE(saddle.is_mode(1));
  // An attractor that is not quite one shows it.
  const Eigen::MatrixXd near = Eigen::Vector2d(0.1, 0.2);
  const auto rough = basin::mode_check(one, map, q, means, near).attractors[0];
  CHECK(rough.residual == Approx(near.norm() / 2));
  CHECK(rough.gradient_error == Approx((q.score(near / 2) - q.score(near)).norm()).epsilon(1e-12));
  CHECK(rough.curvature_error > 0);
}

TEST_CASE("points and attractors that are not finite do not spoil the others", "[dynamics]") {
  const auto q = densities::three();
  auto map = basin::columnwise<2>([](const auto& z, auto& f) {
    f = (z[0] > 5 ? std::numeric_limits<double>::infinity() : 0.5) * z;
  });
  Eigen::MatrixXd x = q.sample(10, {.seed = 42});
  const auto clean = basin::mode_check(one, map, q, x, x.leftCols(3));
  x(0, 1) = 9;
  x(1, 2) = std::numeric_limits<double>::quiet_NaN();
  const auto found = basin::mode_check(one, map, q, x, x.leftCols(3));
  CHECK(found.share_ascending.used == 8);
  CHECK(found.share_ascending.left_out == 2);
  CHECK(std::isnan(found.slope[1]));
  CHECK(std::isnan(found.rise[2]));
  CHECK(found.slope[7] == clean.slope[7]);
  REQUIRE(found.attractors.size() == 3);
  CHECK(found.attractors[0].gradient == clean.attractors[0].gradient);
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    CHECK(std::isnan(found.attractors[i].gradient));
    CHECK_FALSE(found.attractors[i].is_mode(1e9));
  }
  CHECK(basin::mode_check(one, map, q, x, Eigen::MatrixXd(2, 0)).attractors.empty());
  CHECK_THROWS_AS(basin::mode_check(one, map, q, x, Eigen::MatrixXd::Zero(3, 1)),
                  basin::size_error);
  CHECK_THROWS_AS(basin::mode_check(one, map, densities::tilted(3), x, x), basin::size_error);
}
