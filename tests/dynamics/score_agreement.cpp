// Theorem 1 where it is exact: linear denoisers of Gaussians, best denoisers of mixtures.
#include <cmath>
#include <limits>

#include <basin/dynamics/score_agreement.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/columnwise.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "densities.hpp"

using basin::index_t;

TEST_CASE("the linear denoiser of a Gaussian is its score to 1e-12", "[dynamics]") {
  for (const index_t k : {1, 2, 8, 32}) {
    const auto clean = densities::tilted(k);
    for (const double noise : {0.05, 0.5, 3.0}) {
      const auto noised = clean.noised(noise);
      // F(x) = μ + C (C + σ² I)⁻¹ (x - μ), an affine map.
      const Eigen::MatrixXd gain =
          noised.covariance(0).llt().solve(clean.covariance(0)).transpose();
      auto map = basin::affine(gain, Eigen::VectorXd(clean.means() - gain * clean.means()));
      const auto found = basin::score_agreement(one, map, noised, noised.sample(300, {.seed = 1}));
      const double variance = noise * noise;
      CHECK((found.cosine.array() - 1).abs().maxCoeff() < 1e-12);
      CHECK((found.scale.array() - variance).abs().maxCoeff() < 1e-12 * std::max(1.0, variance));
      CHECK(std::abs(found.mean_cosine.value - 1) < 1e-12);
      CHECK(std::abs(found.pooled_cosine.value - 1) < 1e-12);
      CHECK(std::abs(found.pooled_scale.value - variance) < 1e-12 * std::max(1.0, variance));
      CHECK(found.pooled_scale.error < 1e-12);
      CHECK(found.mean_cosine.used == 300);
    }
  }
}

TEST_CASE("the best denoiser of a mixture is the score of the noised density", "[dynamics]") {
  const auto clean = densities::three();
  auto map = densities::denoiser(clean, 0.5);
  const auto noised = clean.noised(0.5);
  const Eigen::MatrixXd x = noised.sample(500, {.seed = 2});
  const auto found = basin::score_agreement(one, map, noised, x);
  CHECK(std::abs(found.pooled_cosine.value - 1) < 1e-12);
  CHECK(std::abs(found.pooled_scale.value - 0.25) < 1e-12);
  // Not that of the clean density, nor of another noise.
  const auto other = basin::score_agreement(one, map, clean, x);
  CHECK(other.pooled_cosine.value < 0.97);
  CHECK(other.pooled_cosine.value > 0.5);
  CHECK(other.pooled_cosine.error > 1e-4);
  CHECK(basin::score_agreement(one, map, clean.noised(1), x).pooled_cosine.value < 0.999);
}

TEST_CASE("cosine and scale of fields that are known", "[dynamics]") {
  Eigen::MatrixXd v(2, 4), s(2, 4);
  v << 2, 0, 1, 0, 0, 3, 1, -4;
  s << 1, 0, 1, 0, 0, 1, 0, 2;
  const auto found = basin::score_agreement(v, s);
  CHECK((found.cosine - Eigen::Vector4d(1, 1, std::sqrt(0.5), -1)).norm() < 1e-15);
  CHECK((found.scale - Eigen::Vector4d(2, 3, 1, -2)).norm() < 1e-15);
  // Σ <v, s> = 2 + 3 + 1 - 8, Σ ‖v‖² = 4 + 9 + 2 + 16, Σ ‖s‖² = 1 + 1 + 1 + 4.
  CHECK(found.pooled_cosine.value == Approx(-2 / std::sqrt(31.0 * 7)));
  CHECK(found.pooled_scale.value == Approx(-2.0 / 7));
  CHECK(found.mean_cosine.value == Approx((1 + std::sqrt(0.5)) / 4));
  // Scaling v scales the scale alone.
  const auto larger = basin::score_agreement(5 * v, s);
  CHECK((larger.cosine - found.cosine).norm() < 1e-15);
  CHECK(larger.pooled_scale.value == Approx(5 * found.pooled_scale.value));
  CHECK(larger.pooled_scale.error == Approx(5 * found.pooled_scale.error));
  CHECK(larger.pooled_cosine.value == Approx(found.pooled_cosine.value));
}

TEST_CASE("points where a field vanishes or is not finite are left out", "[dynamics]") {
  Eigen::MatrixXd v = Eigen::MatrixXd::Ones(2, 5), s = Eigen::MatrixXd::Ones(2, 5);
  v.col(1).setZero();
  s.col(2).setZero();
  v(0, 3) = std::numeric_limits<double>::quiet_NaN();
  const auto found = basin::score_agreement(v, s);
  CHECK(found.mean_cosine.used == 2);
  CHECK(found.mean_cosine.left_out == 3);
  CHECK(found.mean_cosine.value == Approx(1));
  // v = 0 is a multiple of s; pooled estimates have both kinds of zeros.
  CHECK(found.scale[1] == 0);
  CHECK(std::isnan(found.cosine[1]));
  CHECK(found.pooled_scale.used == 4);
  CHECK(found.pooled_scale.left_out == 1);
  CHECK(found.pooled_scale.value == Approx(2.0 / 3));
  // Through a map: one bad column leaves the others' bits alone.
  auto map = basin::columnwise<2>([](const auto& z, auto& f) { f = (z[0] > 5 ? NAN : 0.5) * z; });
  Eigen::MatrixXd x = densities::three().sample(6, {.seed = 3});
  const auto clean = basin::score_agreement(one, map, densities::three(), x);
  x(0, 4) = 9;
  const auto spoilt = basin::score_agreement(one, map, densities::three(), x);
  CHECK(std::isnan(spoilt.cosine[4]));
  CHECK(spoilt.cosine[3] == clean.cosine[3]);
  CHECK(spoilt.pooled_cosine.left_out == 1);
  CHECK(std::isfinite(spoilt.pooled_cosine.value));
}

TEST_CASE("agreement in float, and misuse of it", "[dynamics]") {
  const auto clean = densities::three();
  const auto noised = clean.noised(0.5);
  const Eigen::MatrixXd x = noised.sample(100, {.seed = 4});
  auto map = basin::function_map(2, [&](const auto& X) {
    const Eigen::MatrixXf y = X;
    return Eigen::MatrixXf(clean.optimal_denoiser(y.cast<double>(), 0.5).cast<float>());
  });
  const auto found = basin::score_agreement(basin::cpu<float>(1), map, noised, x);
  CHECK(std::abs(found.pooled_cosine.value - 1) < 1e-6);
  auto exact = densities::denoiser(clean, 0.5);
  CHECK_THROWS_AS(basin::score_agreement(one, exact, noised, Eigen::MatrixXd::Zero(3, 1)),
                  basin::size_error);
  CHECK_THROWS_AS(basin::score_agreement(one, exact, densities::tilted(3), x), basin::size_error);
  CHECK_THROWS_AS(basin::score_agreement(x, x.leftCols(3)), basin::size_error);
  // A map to other rows is no field.
  auto encoder = basin::affine(Eigen::MatrixXd(Eigen::MatrixXd::Ones(1, 2)));
  CHECK_THROWS_AS(basin::score_agreement(one, encoder, noised, x), basin::size_error);
  const auto none = basin::score_agreement(one, exact, noised, x.leftCols(0));
  CHECK(std::isnan(none.pooled_cosine.value));
}
