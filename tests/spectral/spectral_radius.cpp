// Spectral radius and numerical abscissa: two numbers that are not the norm.
#include <cmath>
#include <limits>

#include <Eigen/Eigenvalues>

#include <basin/map/affine.hpp>
#include <basin/spectral/singular_values.hpp>
#include <basin/spectral/spectral_radius.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "../solver/maps.hpp"
#include "matrices.hpp"

using basin::index_t;

TEST_CASE("radius, norm and abscissa of one matrix are three numbers", "[spectral]") {
  const Eigen::MatrixXd J = (Eigen::Matrix2d() << 0.5, 2, 0, -0.7).finished();
  auto map = basin::affine(J);
  const Eigen::MatrixXd origin = Eigen::MatrixXd::Zero(2, 1);
  const auto radius = basin::spectral_radius(one, map, origin);
  const auto norm = basin::spectral_norm(one, map, origin);
  const auto abscissa = basin::numerical_abscissa(one, map, origin);
  CHECK(radius.values[0] == Approx(0.7).epsilon(1e-14));
  // σ² of J are the roots of s² - ‖J‖_F² s + det².
  const double square = J.squaredNorm(), det = 0.35;
  CHECK(norm.values[0] ==
        Approx(std::sqrt((square + std::sqrt(square * square - 4 * det * det)) / 2)));
  CHECK(abscissa.values[0] == Approx(-0.1 + std::hypot(0.6, 1.0)));
  CHECK(std::abs(radius.values[0] - 0.7) <= radius.errors[0]);
  CHECK(radius.products == 2);
}

TEST_CASE("radius and abscissa by products agree with the dense", "[spectral]") {
  const index_t k = 150;
  auto map = maps::network<double>(k, 1.2);
  Eigen::MatrixXd points = maps::starts(k, 5, 3);
  points(0, 1) = std::numeric_limits<double>::quiet_NaN();
  const basin::eigenvalue_options dense{.method = basin::eigenvalue_method::dense};
  const auto radius = basin::spectral_radius(one, map, points);
  CHECK_NOTHROW(
      basin::spectral_radius(one, map, points, {.method = dense.method, .dimension = 12}));
  CHECK_NOTHROW(basin::spectral_radius(one, map, points, {.dimension = 6}));
  const auto exact = basin::spectral_radius(one, map, points, dense);
  const auto abscissa = basin::numerical_abscissa(basin::cpu<double>(2), map, points);
  const auto exact_abscissa = basin::numerical_abscissa(one, map, points, dense);
  for (const index_t j : {0, 2, 3, 4}) {
    CHECK(std::abs(radius.values[j] - exact.values[j]) <= radius.errors[j] + exact.errors[j]);
    CHECK(radius.errors[j] < 1e-5);
    CHECK(std::abs(abscissa.values[j] - exact_abscissa.values[j]) <=
          abscissa.errors[j] + exact_abscissa.errors[j]);
    Eigen::MatrixXd J(k, k);
    const Eigen::MatrixXd at = points.col(j).replicate(1, k);
    basin::jvp(one, map, at, Eigen::MatrixXd::Identity(k, k), J);
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver((J + J.transpose()) / 2);
    CHECK(exact_abscissa.values[j] == Approx(solver.eigenvalues()[k - 1]).epsilon(1e-12));
    const Eigen::EigenSolver<Eigen::MatrixXd> general(J);
    CHECK(exact.values[j] == Approx(general.eigenvalues().cwiseAbs().maxCoeff()).epsilon(1e-12));
  }
  CHECK(radius.status[1] == basin::spectral_status::non_finite);
  CHECK(std::isnan(radius.values[1]));
  CHECK(std::isnan(abscissa.errors[1]));
  CHECK(basin::spectral_radius(one, map, points.leftCols(0)).size() == 0);
}

TEST_CASE("errors of eigenvalues hold where eigenvalues are sensitive", "[spectral]") {
  // Perturbed by η, a Jordan block's values move by η^(1/k).
  for (const index_t k : {1, 2, 3, 5}) {
    const Eigen::MatrixXd Q = matrices::orthogonal(k, 4);
    auto map = basin::affine(Eigen::MatrixXd(Q * matrices::jordan(k, 0.5, 1) * Q.transpose()));
    const auto found = basin::spectral_radius(one, map, Eigen::MatrixXd::Zero(k, 1));
    INFO(k << ": " << found.values[0] - 0.5 << " +- " << found.errors[0]);
    CHECK(std::abs(found.values[0] - 0.5) <= found.errors[0]);
    CHECK(found.errors[0] <= 60 * std::pow(1e-15, 1 / static_cast<double>(k)));
  }
  auto grcar = basin::affine(matrices::grcar(55));
  const auto found = basin::spectral_radius(one, grcar, Eigen::MatrixXd::Zero(55, 1));
  CHECK(found.status[0] == basin::spectral_status::ill_conditioned);
}

TEST_CASE("errors of radii go by the condition of the value, not of the space", "[spectral]") {
  // The value 0.95 has a condition number of 100, in the space one of half of that.
  const index_t k = 120;
  const double cosine = 0.01;
  const Eigen::VectorXd x = maps::starts(k, 1, 20).normalized();
  Eigen::VectorXd y = maps::starts(k, 1, 21);
  y -= x * x.dot(y);
  y = cosine * x + std::sqrt(1 - cosine * cosine) * y.normalized();
  const Eigen::MatrixXd P = x * y.transpose() / cosine;
  const Eigen::MatrixXd rest = Eigen::MatrixXd::Identity(k, k) - P;
  const Eigen::MatrixXd Q = matrices::orthogonal(k, 12);
  const Eigen::VectorXd d = Eigen::VectorXd::LinSpaced(k, -0.09, 0.09);
  auto map =
      basin::affine(Eigen::MatrixXd(0.95 * P + rest * Q * d.asDiagonal() * Q.transpose() * rest));
  const Eigen::MatrixXd origin = Eigen::MatrixXd::Zero(k, 1);
  const basin::eigenvalue_options options{.count = 1,
                                          .method = basin::eigenvalue_method::krylov_schur};
  const auto space = basin::eigenvalues(one, map, origin, options)[0];
  REQUIRE(space.condition[0] < 0.7 / cosine);  // else this test shows nothing
  const auto found = basin::spectral_radius(one, map, origin, options);
  CHECK(found.values[0] == Approx(0.95));
  CHECK(std::abs(found.values[0] - 0.95) <= found.errors[0]);
  CHECK(found.errors[0] >= 9 * space.backward_error[0] * space.norm / cosine);
}
