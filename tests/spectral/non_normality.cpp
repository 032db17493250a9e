// Non-normality and growth of powers, where they are known.
#include <cmath>
#include <limits>

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>

#include <basin/map/affine.hpp>
#include <basin/spectral/non_normality.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "../solver/maps.hpp"
#include "matrices.hpp"

using basin::index_t;
using basin::non_normality;
using basin::spectral_status;

namespace {

double norm(const Eigen::MatrixXd& A) {
  return Eigen::BDCSVD<Eigen::MatrixXd>(A).singularValues()[0];
}

}  // namespace

TEST_CASE("normal matrices depart by nothing and do not grow", "[spectral]") {
  const Eigen::MatrixXd Q = matrices::orthogonal(12, 3);
  Eigen::MatrixXd block = Eigen::MatrixXd::Zero(12, 12);  // pairs 0.9 e^{±i t}, and real values
  for (index_t i = 0; i < 8; i += 2) {
    const double t = 0.3 + 0.2 * static_cast<double>(i);
    block.block<2, 2>(i, i) << 0.9 * std::cos(t), -0.9 * std::sin(t), 0.9 * std::sin(t),
        0.9 * std::cos(t);
  }
  for (index_t i = 8; i < 12; ++i) block(i, i) = 0.1 * static_cast<double>(i - 10);
  const auto found = non_normality(Q * block * Q.transpose());
  CHECK(found.status == spectral_status::converged);
  CHECK(found.departure < 1e-14);
  CHECK(found.spectral_radius == Approx(0.9).epsilon(1e-13));
  CHECK(found.norm == Approx(0.9).epsilon(1e-13));
  CHECK(found.numerical_abscissa == Approx(0.9 * std::cos(0.3)).epsilon(1e-12));
  CHECK(found.transient_growth == 1);
  CHECK(found.growth_time == 0);
  CHECK(found.powers == 1);
  CHECK(found.growth_complete);
}

TEST_CASE("a triangular matrix of two rows", "[spectral]") {
  // J = (a b; 0 c): N = b; powers (a^t, b (a^t - c^t) / (a - c); 0, c^t).
  const double a = 0.9, b = 10, c = 0.8;
  const Eigen::MatrixXd J = (Eigen::Matrix2d() << a, b, 0, c).finished();
  const auto found = non_normality(J);
  CHECK(found.departure == Approx(b).epsilon(1e-14));
  CHECK(found.frobenius == Approx(std::sqrt(a * a + b * b + c * c)));
  CHECK(found.norm == Approx(norm(J)).epsilon(1e-14));
  CHECK(found.numerical_abscissa ==
        Approx((a + c) / 2 + std::hypot((a - c) / 2, b / 2)).epsilon(1e-14));
  double largest = 1;
  index_t at = 0;
  for (index_t t = 1; t < 200; ++t) {
    const auto time = static_cast<double>(t);
    Eigen::Matrix2d P;
    P << std::pow(a, time), b * (std::pow(a, time) - std::pow(c, time)) / (a - c), 0,
        std::pow(c, time);
    if (norm(P) > largest) {
      largest = norm(P);
      at = t;
    }
  }
  CHECK(found.transient_growth == Approx(largest).epsilon(1e-12));
  CHECK(found.growth_time == at);
  CHECK(found.growth_complete);
  CHECK(non_normality(J, {.max_power = 0}).powers == 0);
  CHECK(std::isnan(non_normality(J, {.max_power = 0}).transient_growth));
  const auto few = non_normality(J, {.max_power = 3});
  CHECK(few.powers == 3);
  CHECK(few.growth_time == 3);
  CHECK_FALSE(few.growth_complete);
}

TEST_CASE("departure and growth of large matrices", "[spectral]") {
  for (const index_t k : {5, 40, slow_build ? 60 : 100}) {
    for (const auto& [name, J] :
         {std::pair<const char*, Eigen::MatrixXd>{"Grcar", 0.3 * matrices::grcar(k)},
          {"Jordan", matrices::jordan(k, 0.4, 0.55)},
          {"random", maps::starts(k, k, 5) * (1.6 / std::sqrt(static_cast<double>(k)))}}) {
      INFO(name << ", k " << k);
      const auto found = non_normality(J);
      REQUIRE(found.status == spectral_status::converged);
      const Eigen::ComplexSchur<Eigen::MatrixXd> schur(J, false);
      const Eigen::MatrixXcd N = schur.matrixT().triangularView<Eigen::StrictlyUpper>();
      // Where eigenvalues are ill-conditioned the departure is not.
      CHECK(found.departure == Approx(N.norm()).epsilon(1e-6));
      CHECK(found.norm == Approx(norm(J)).epsilon(1e-13));
      CHECK(found.numerical_abscissa <= found.norm * (1 + 1e-14));
      Eigen::MatrixXd P = J;
      double largest = 1;
      for (index_t t = 1; t <= found.powers; ++t, P = (P * J).eval()) {
        largest = std::max(largest, norm(P));
        CHECK((norm(P) > 1 || (t == found.powers && found.growth_complete)));
      }
      CHECK(found.transient_growth == Approx(largest).epsilon(1e-12));
    }
  }
}

TEST_CASE("growth without bound ends", "[spectral]") {
  const auto doubled = non_normality(2 * Eigen::MatrixXd::Identity(3, 3));
  CHECK_FALSE(doubled.growth_complete);
  CHECK(doubled.transient_growth > 1e15);
  CHECK(doubled.powers < 60);
  const auto turning = non_normality(matrices::jordan(2, 1, 1), {.max_power = 50});
  CHECK_FALSE(turning.growth_complete);
  CHECK(turning.growth_time == 50);
  CHECK(turning.transient_growth == Approx(50.02).epsilon(1e-3));
  const auto zero = non_normality(Eigen::MatrixXd::Zero(3, 3));
  CHECK(zero.transient_growth == 1);
  CHECK(zero.departure == 0);
  CHECK(zero.spectral_radius == 0);
  CHECK_THROWS_AS(non_normality(Eigen::MatrixXd::Zero(3, 2)), basin::size_error);
  CHECK_THROWS_AS(non_normality(Eigen::MatrixXd::Zero(3, 3), {.max_power = -1}),
                  basin::argument_error);
}

TEST_CASE("non-normality point by point, and norms of powers by products", "[spectral]") {
  const index_t k = slow_build ? 30 : 80;
  auto map = maps::network<double>(k, 1.5);
  Eigen::MatrixXd points = maps::starts(k, 4, 8);
  points(1, 2) = std::numeric_limits<double>::quiet_NaN();
  const auto found = non_normality(one, map, points);
  const auto powers = basin::power_norms(one, map, points, {1, 2, 7});
  for (const index_t j : {0, 1, 3}) {
    const auto i = static_cast<std::size_t>(j);
    REQUIRE(found[i].status == spectral_status::converged);
    CHECK(powers(j, 0) == Approx(found[i].norm).epsilon(1e-8));
    Eigen::MatrixXd J(k, k);
    const Eigen::MatrixXd at = points.col(j).replicate(1, k);
    basin::jvp(one, map, at, Eigen::MatrixXd::Identity(k, k), J);
    CHECK(found[i].frobenius == Approx(J.norm()).epsilon(1e-13));
    CHECK(powers(j, 1) == Approx(norm(J * J)).epsilon(1e-8));
    Eigen::MatrixXd P = J;
    for (int t = 1; t < 7; ++t) P = (P * J).eval();
    CHECK(powers(j, 2) == Approx(norm(P)).epsilon(1e-8));
  }
  CHECK(found[2].status == spectral_status::non_finite);
  CHECK(std::isnan(found[2].transient_growth));
  CHECK(std::isnan(powers(2, 0)));
  CHECK(basin::power_norms(one, map, points.leftCols(0), {1}).rows() == 0);
  CHECK(basin::power_norms(one, map, points, {}).cols() == 0);
  CHECK_THROWS_AS(basin::power_norms(one, map, points, {0}), basin::argument_error);
  CHECK_THROWS_AS(non_normality(one, map, maps::starts(3, 1)), basin::size_error);
  auto encoder = basin::affine(Eigen::MatrixXd(Eigen::MatrixXd::Ones(1, 2)));
  CHECK_THROWS_AS(non_normality(one, encoder, maps::starts(2, 1)), basin::size_error);
}

TEMPLATE_TEST_CASE("a norm of 1 but for rounding is no growth", "[spectral]", float, double) {
  const index_t k = 40;
  auto map = basin::affine(Eigen::MatrixX<TestType>(matrices::orthogonal(k, 7).cast<TestType>()));
  const basin::cpu<TestType> cpu(1);
  const auto found = non_normality(cpu, map, Eigen::MatrixXd::Zero(k, 1))[0];
  CHECK(found.growth_complete);
  CHECK(found.powers == 1);
  CHECK(found.transient_growth == 1);
  CHECK(found.growth_time == 0);
}
