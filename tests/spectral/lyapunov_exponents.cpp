// Lyapunov exponents that are known, and errors that hold.
#include <cmath>
#include <limits>
#include <numbers>

#include <basin/map/affine.hpp>
#include <basin/map/differentiable.hpp>
#include <basin/spectral/lyapunov_exponents.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "../solver/maps.hpp"
#include "matrices.hpp"

using basin::index_t;
using basin::lyapunov_exponents;

namespace {

auto henon() {
  return basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = 1.0 - 1.4 * z[0] * z[0] + z[1];
    f[1] = 0.3 * z[0];
  });
}

auto logistic_map(double r) {
  return basin::differentiable<1>([r](const auto& z, auto& f) { f[0] = r * z[0] * (1.0 - z[0]); });
}

}  // namespace

TEST_CASE("exponents of linear maps are the logarithms of moduli", "[spectral]") {
  const Eigen::MatrixXd Q = matrices::orthogonal(4, 3);
  const Eigen::MatrixXd J = Q * Eigen::Vector4d(0.9, -0.5, 0.2, 0.01).asDiagonal() * Q.transpose();
  auto map = basin::affine(J);
  const auto found = lyapunov_exponents(one, map, maps::starts(4, 2), {.count = 9, .steps = 500});
  for (const auto& one_of : found) {
    REQUIRE(one_of.size() == 4);
    CHECK(one_of.steps == 500);
    CHECK((one_of.values -
           Eigen::Vector4d(std::log(0.9), std::log(0.5), std::log(0.2), std::log(0.01)))
              .cwiseAbs()
              .maxCoeff() < 1e-10);
    CHECK(one_of.errors.maxCoeff() < 1e-10);
    CHECK(one_of.dimension() == 0);
  }
  // Of a rotation, and of a shear, 0: the second as log(t) / t.
  auto rotation = basin::affine(matrices::orthogonal(2, 5));
  const auto turned = lyapunov_exponents(one, rotation, maps::starts(2, 1), {.count = 2})[0];
  CHECK(turned.values.cwiseAbs().maxCoeff() < 1e-12);
  auto shear = basin::affine(matrices::jordan(2, 1, 1));
  const auto sheared = lyapunov_exponents(one, shear, maps::starts(2, 1), {.count = 1})[0];
  CHECK(std::abs(sheared.values[0]) < 2 * std::log(10000.0) / 10000);
  // Directions that vanish.
  auto flat = basin::affine(Eigen::MatrixXd(Eigen::Vector3d(0.5, 0, 0).asDiagonal()));
  const auto mixed =
      lyapunov_exponents(one, flat, maps::starts(3, 1), {.count = 3, .steps = 100})[0];
  CHECK(mixed.values[0] == Approx(std::log(0.5)).epsilon(1e-12));
  CHECK(mixed.finite);
  for (const index_t i : {1, 2}) {
    CHECK(mixed.values[i] == -std::numeric_limits<double>::infinity());
    CHECK(std::isnan(mixed.errors[i]));
  }
  CHECK(mixed.dimension() == 0);
}

TEMPLATE_TEST_CASE("directions that vanish but for rounding have -infinity", "[spectral]", float,
                   double) {
  // Products of singular matrices leave rounding where there should be 0.
  const index_t k = 8;
  const Eigen::MatrixXd Q = matrices::orthogonal(k, 3), P = matrices::orthogonal(k, 4);
  for (const double scale : {1e-6, 1.0, 1e6}) {
    Eigen::VectorXd d = Eigen::VectorXd::Zero(k);
    d.head(3) << 0.9, 0.5, 0.01;
    const Eigen::MatrixXd J = scale * (Q * d.asDiagonal() * P.transpose());
    auto map = basin::affine(Eigen::MatrixX<TestType>(J.cast<TestType>()));
    const basin::cpu<TestType> cpu(1);
    const auto found = lyapunov_exponents(cpu, map, Eigen::MatrixXd::Zero(k, 1),
                                          {.count = k, .transient = 50, .steps = 100})[0];
    INFO("scale " << scale << ": " << found.values.transpose());
    REQUIRE(found.finite);
    CHECK(found.values.head(3).allFinite());
    for (index_t i = 3; i < k; ++i) {
      CHECK(found.values[i] == -std::numeric_limits<double>::infinity());
    }
  }
  // What is small but not rounding stays.
  auto steep = basin::affine(
      Eigen::MatrixX<TestType>(Eigen::Vector2d(1, 1e-3).cast<TestType>().asDiagonal()));
  const basin::cpu<TestType> cpu(1);
  const auto kept = lyapunov_exponents(cpu, steep, Eigen::MatrixXd::Zero(2, 1),
                                       {.count = 2, .transient = 50, .steps = 100})[0];
  CHECK(kept.values[1] == Approx(std::log(1e-3)).epsilon(1e-3));
}

TEST_CASE("exponents of the logistic map and of Hénon's", "[spectral]") {
  auto logistic = logistic_map(4);
  const auto of_four =
      lyapunov_exponents(one, logistic, Eigen::MatrixXd::Constant(1, 1, 0.3), {.steps = 40000})[0];
  CHECK(std::abs(of_four.values[0] - std::numbers::ln2) < 4 * of_four.errors[0]);
  CHECK(of_four.errors[0] < 1e-3);
  CHECK(of_four.dimension() == 1);

  auto map = henon();
  const auto found =
      lyapunov_exponents(one, map, Eigen::MatrixXd::Zero(2, 1), {.count = 2, .steps = 100000})[0];
  CHECK(std::abs(found.values[0] - 0.41922) < 4 * found.errors[0]);
  CHECK(std::abs(found.values[1] + 1.62319) < 4 * found.errors[1]);
  CHECK(found.errors.maxCoeff() < 3e-3);
  // The Jacobian's determinant is -0.3 everywhere.
  CHECK(found.values.sum() == Approx(std::log(0.3)).epsilon(1e-12));
  CHECK(found.dimension() == Approx(1.2583).margin(0.005));
}

TEST_CASE("cycles have the logarithm of their multiplier per iteration", "[spectral]") {
  // Period 2 at r = 3.2: multiplier 4 + 2 r - r².
  auto map = logistic_map(3.2);
  const auto found =
      lyapunov_exponents(one, map, Eigen::MatrixXd::Constant(1, 1, 0.3), {.steps = 2000})[0];
  CHECK(found.values[0] == Approx(std::log(std::abs(4 + 6.4 - 3.2 * 3.2)) / 2).epsilon(1e-10));
  // The fixed point at r = 2 is superstable.
  auto flat = logistic_map(2);
  CHECK(lyapunov_exponents(one, flat, Eigen::MatrixXd::Constant(1, 1, 0.5))[0].values[0] ==
        -std::numeric_limits<double>::infinity());
}

TEST_CASE("standard errors are the scatter over starts", "[spectral]") {
  auto map = henon();
  const Eigen::MatrixXd starts = 0.1 * maps::starts(2, 100, 9);
  for (const index_t steps : {2000, 8000}) {
    const auto found = lyapunov_exponents(one, map, starts, {.steps = steps});
    index_t inside = 0;
    Eigen::VectorXd values(100), errors(100);
    for (index_t j = 0; j < 100; ++j) {
      const auto& each = found[static_cast<std::size_t>(j)];
      values[j] = each.values[0];
      errors[j] = each.errors[0];
      if (std::abs(values[j] - 0.41922) <= 2 * errors[j]) ++inside;
    }
    const double scatter = std::sqrt((values.array() - values.mean()).square().sum() / 99);
    INFO(steps << ": scatter " << scatter << ", errors " << errors.mean() << ", " << inside);
    CHECK(errors.mean() > 0.8 * scatter);
    CHECK(errors.mean() < 1.6 * scatter);
    CHECK(inside >= 88);
  }
}

TEST_CASE("trajectories that are not finite harm no other", "[spectral]") {
  auto map = henon();
  Eigen::MatrixXd starts = 0.1 * maps::starts(2, 6);
  const basin::lyapunov_options options{.count = 2, .transient = 10, .steps = 300};
  const auto before = lyapunov_exponents(one, map, starts, options);
  starts(0, 1) = std::numeric_limits<double>::quiet_NaN();
  starts(0, 4) = 50;  // runs to infinity
  const auto after = lyapunov_exponents(basin::cpu<double>(3), map, starts, options);
  for (const std::size_t j : {1u, 4u}) {
    CHECK_FALSE(after[j].finite);
    CHECK(after[j].size() == 0);
    CHECK(std::isnan(after[j].dimension()));
  }
  CHECK(after[1].products == 0);
  for (const std::size_t j : {0u, 2u, 3u, 5u}) {
    CHECK((after[j].values.array() == before[j].values.array()).all());
    CHECK((after[j].errors.array() == before[j].errors.array()).all());
    CHECK((after[j].state.array() == before[j].state.array()).all());
    CHECK(after[j].products == before[j].products);
    CHECK(after[j].products == 2 * (5 + 300));
  }
  // Each is for itself: alone it is the same to the bit.
  const auto alone = lyapunov_exponents(one, map, starts.col(3), options)[0];
  CHECK((alone.values.array() == before[3].values.array()).all());
  CHECK(lyapunov_exponents(one, map, starts.leftCols(0)).empty());
  CHECK_THROWS_AS(lyapunov_exponents(one, map, starts, {.count = 0}), basin::argument_error);
  CHECK_THROWS_AS(lyapunov_exponents(one, map, starts, {.steps = 10}), basin::argument_error);
  CHECK_THROWS_AS(lyapunov_exponents(one, map, starts, {.batches = 3}), basin::argument_error);
  CHECK_THROWS_AS(lyapunov_exponents(one, map, maps::starts(3, 1)), basin::size_error);
}

TEST_CASE("the dimension of Kaplan and Yorke", "[spectral]") {
  const auto dimension = [](std::vector<double> values, index_t k) {
    return basin::kaplan_yorke_dimension(
        Eigen::Map<const Eigen::VectorXd>(values.data(), static_cast<index_t>(values.size())), k);
  };
  CHECK(dimension({0.5, 0, -1}, 3) == Approx(2.5));
  CHECK(dimension({-0.5, -1}, 2) == 0);
  CHECK(dimension({0.5, 0.1}, 2) == 2);
  CHECK(std::isnan(dimension({0.5, 0.1}, 3)));
  CHECK(std::isnan(dimension({}, 3)));
}
