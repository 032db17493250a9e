// Eigenvalues of Jacobians on the CPU, and for maps that misbehave.
#include <limits>
#include <thread>

#include <Eigen/Eigenvalues>

#include <basin/map/affine.hpp>
#include <basin/map/differentiable.hpp>
#include <basin/map/finite_difference.hpp>
#include <basin/map/function_map.hpp>
#include <basin/spectral/eigenvalues.hpp>

#include "../one_thread.hpp"
#include "eigenvalues_suite.hpp"
#include "matrices.hpp"

using basin::eigenvalue_method;
using basin::eigenvalue_options;
using basin::eigenvalue_order;
using basin::index_t;
using basin::spectral_status;
using basin::Spectrum;

TEST_CASE("leading eigenvalues agree with LAPACK's within their condition", "[spectral]") {
  spectra::leading_values_are_lapacks(one);
}

TEST_CASE("condition numbers agree with LAPACK's", "[spectral]") {
  spectra::conditions_are_lapacks(one);
}

TEST_CASE("a defective eigenvalue is said to be ill-conditioned", "[spectral]") {
  spectra::defective_values(one);
}

TEST_CASE("a pair is not split, and count is at most k", "[spectral]") {
  spectra::pairs_are_not_split(one);
}

TEST_CASE("the order is by modulus or by real part", "[spectral]") { spectra::both_orders(one); }

TEST_CASE("spaces that close find what is left", "[spectral]") { spectra::spaces_close(one); }

TEST_CASE("a budget that is spent is said", "[spectral]") { spectra::budget_is_spent(one); }

TEST_CASE("whenever the budget ends, the residuals that are said are true", "[spectral]") {
  spectra::residuals_are_true(one);
}

TEST_CASE("spectra of many points of a curved map, one of them not finite", "[spectral]") {
  constexpr index_t k = slow_build ? 30 : 90, n = 7;
  // f_i = a_i tanh(z_i): J = a_i (1 - tanh² z_i) on the diagonal.
  auto map = basin::differentiable(k, [](const auto& z, auto& f) {
    for (index_t i = 0; i < k; ++i) {
      f[i] = (1.0 - 0.01 * static_cast<double>(i)) * tanh(z[i]);
    }
  });
  Eigen::MatrixXd points = maps::starts(k, n);
  points(5, 3) = std::numeric_limits<double>::quiet_NaN();
  for (const eigenvalue_method method :
       {eigenvalue_method::dense, eigenvalue_method::krylov_schur}) {
    const eigenvalue_options options{.count = 2,
                                     .tolerance = 1e-11,
                                     .right_vectors = true,
                                     .left_vectors = true,
                                     .method = method,
                                     .max_products = 10000};
    const auto all = basin::eigenvalues(one, map, points, options);
    REQUIRE(all.size() == n);
    for (index_t j = 0; j < n; ++j) {
      const Spectrum& s = all[static_cast<std::size_t>(j)];
      if (j == 3) {
        CHECK(s.status == spectral_status::non_finite);
        CHECK(s.size() == 0);
        continue;
      }
      std::vector<double> known;
      for (index_t i = 0; i < k; ++i) {
        const double t = std::tanh(points(i, j));
        known.push_back((1.0 - 0.01 * static_cast<double>(i)) * (1 - t * t));
      }
      std::sort(known.rbegin(), known.rend());
      CHECK(s.status == spectral_status::converged);
      CHECK(std::abs(s.values[0] - known[0]) < 1e-10);
      CHECK(std::abs(s.values[1] - known[1]) < 1e-10);
      CHECK(s.condition[0] == Approx(1).epsilon(1e-6));
      // Alone, and by more threads, it is the same to the bit.
      const auto alone = basin::eigenvalues(one, map, points.col(j), options);
      CHECK(alone.back().values == s.values);
      const auto threads = basin::eigenvalues(basin::cpu<double>(3), map, points, options);
      CHECK(threads[static_cast<std::size_t>(j)].values == s.values);
      CHECK(threads[static_cast<std::size_t>(j)].left == s.left);
    }
  }
}

TEST_CASE("in float the tolerance is what float allows", "[spectral]") {
  const Eigen::MatrixXd Q = matrices::orthogonal(80, 6);
  const Eigen::VectorXd d = Eigen::VectorXd::LinSpaced(80, 0, 0.95).array().pow(3);
  const Eigen::MatrixXd A = Q * d.asDiagonal() * Q.transpose();
  auto map = basin::affine(A.cast<float>().eval());
  for (const eigenvalue_method method :
       {eigenvalue_method::dense, eigenvalue_method::krylov_schur}) {
    const auto s = basin::eigenvalues(basin::cpu<float>(1), map, Eigen::MatrixXd::Zero(80, 1),
                                      {.count = 3, .method = method})[0];
    CHECK(s.status == spectral_status::converged);
    CHECK(s.backward_error.maxCoeff() > 1e-8f);  // no better than float knows
    CHECK(s.backward_error.maxCoeff() < 100 * std::numeric_limits<float>::epsilon());
    for (index_t i = 0; i < 3; ++i) CHECK(std::abs(s.values[i] - d[79 - i]) < 2e-5);
  }
}

TEST_CASE("maps without exact derivatives, and misuse", "[spectral]") {
  const Eigen::MatrixXd A = 0.2 * maps::starts(70, 70);
  auto exact = basin::affine(A);
  auto map =
      basin::finite_difference(basin::function_map(70, [A](const auto& Z) { return A * Z; }));
  const Eigen::MatrixXd zero = Eigen::MatrixXd::Zero(70, 1);
  const auto a = basin::eigenvalues(one, exact, zero, {.count = 2})[0];
  const auto b = basin::eigenvalues(one, map, zero, {.count = 2})[0];
  CHECK((a.values - b.values).norm() < 1e-6);
  CHECK_THROWS_AS(
      basin::eigenvalues(one, map, zero,
                         {.left_vectors = true, .method = eigenvalue_method::krylov_schur}),
      basin::argument_error);
  CHECK_NOTHROW(basin::eigenvalues(one, map, zero,
                                   {.left_vectors = true, .method = eigenvalue_method::dense}));
  CHECK_THROWS_AS(basin::eigenvalues(one, exact, Eigen::MatrixXd::Zero(3, 1)), basin::size_error);
  CHECK_THROWS_AS(basin::eigenvalues(one, exact, zero, {.count = 0}), basin::argument_error);
  CHECK_THROWS_AS(basin::eigenvalues(one, exact, zero, {.count = 6, .dimension = 8}),
                  basin::argument_error);
  CHECK(basin::eigenvalues(one, exact, Eigen::MatrixXd(70, 0)).empty());
}

TEST_CASE("a large block is solved by a space, and no value is missed", "[spectral]") {
  spectra::large_blocks(one);
}

TEST_CASE("a value without a left vector of its own is not given another's", "[spectral]") {
  spectra::left_vectors_of_their_own(one);
}

TEST_CASE("a leading value that one side's first vector lacks is found", "[spectral]") {
  spectra::first_vectors_that_lack(one);
}

TEST_CASE("multiple values are all found where the space closes", "[spectral]") {
  spectra::multiple_values(one);
}

TEST_CASE("repeated pairs stay pairs", "[spectral]") { spectra::repeated_pairs(one); }

TEST_CASE("vectors of a multiple value are dual", "[spectral]") { spectra::dual_vectors(one); }

TEST_CASE("the scale of a Jacobian does not matter", "[spectral]") { spectra::scales(one); }
