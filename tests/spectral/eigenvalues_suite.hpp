// Eigenvalues of Jacobians, on every backend: against LAPACK, and against what is known.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <vector>

#include <Eigen/LU>

#include <basin/backend/device.hpp>
#include <basin/map/affine.hpp>
#include <basin/spectral/eigenvalues.hpp>
#include <basin/spectral/krylov_schur.hpp>

#include "matrices.hpp"

namespace spectra {

using basin::eigenvalue_method;
using basin::eigenvalue_options;
using basin::eigenvalue_order;
using basin::index_t;
using basin::spectral_status;
using basin::Spectrum;

// The linear map A of a backend.
template <class Backend>
auto linear(const Backend& be, const Eigen::MatrixXd& A) {
  if constexpr (basin::is_device_backend<Backend>) {
    return basin::affine(be, A);
  } else {
    return basin::affine(A);
  }
}

template <class Backend>
Spectrum spectrum_of(const Backend& be, const Eigen::MatrixXd& A,
                     const eigenvalue_options& options) {
  auto map = linear(be, A);
  const auto found = basin::eigenvalues(be, map, Eigen::MatrixXd::Zero(A.rows(), 1), options);
  REQUIRE(found.size() == 1);
  return found[0];
}

// The vectors are eigenvectors, as well as is said.
inline void check_vectors(const Eigen::MatrixXd& A, const Spectrum& s, double tolerance) {
  const Eigen::MatrixXcd C = A.cast<std::complex<double>>();
  const double norm = A.norm();
  REQUIRE(s.right.cols() == s.size());
  for (index_t i = 0; i < s.size(); ++i) {
    CHECK(s.right.col(i).norm() == Approx(1));
    const double error = (C * s.right.col(i) - s.values[i] * s.right.col(i)).norm();
    CHECK(error <= tolerance * norm);
    CHECK(error <= 1.5 * s.backward_error[i] * std::max(s.norm, norm) + 1e-14 * norm);
    if (s.left.size() == 0) continue;
    CHECK(s.left.col(i).norm() == Approx(1));
    // Of a value of its own, which differs by as much as the condition allows.
    CHECK((s.left.col(i).adjoint() * C - s.values[i] * s.left.col(i).adjoint()).norm() <=
          tolerance * norm * (1 + 10 * s.condition[i]));
    CHECK(s.condition[i] == Approx(1 / std::abs(s.left.col(i).dot(s.right.col(i)))).epsilon(1e-6));
  }
}

template <class Backend>
void leading_values_are_lapacks(const Backend& be) {
  for (const char* name : {"normal", "grcar", "jordan", "clustered", "pairs", "two"}) {
    const matrices::golden known = matrices::read_golden(name);
    const index_t k = known.A.rows();
    for (const eigenvalue_method method :
         {eigenvalue_method::dense, eigenvalue_method::krylov_schur}) {
      const double tolerance = 1e-10;
      const Spectrum s = spectrum_of(be, known.A,
                                     {.count = 4,
                                      .tolerance = tolerance,
                                      .right_vectors = true,
                                      .left_vectors = true,
                                      .method = method,
                                      .max_products = 100000});
      INFO(name << (s.dense ? ", dense, " : ", by a space, ") << to_string(s.status));
      CHECK(s.dense == (method == eigenvalue_method::dense));
      CHECK(
          (s.status == spectral_status::converged || s.status == spectral_status::ill_conditioned));
      CHECK(s.size() >= std::min<index_t>(4, k));
      CHECK(s.backward_error.maxCoeff() <= tolerance);
      check_vectors(known.A, s, tolerance);
      // Values of a condition near 1 / tolerance know no digits.
      if (!(s.condition.maxCoeff() < 1e6)) continue;
      // One to one, and none that leads is left out.
      std::vector<bool> taken(static_cast<std::size_t>(k));
      double last = 0;
      for (index_t i = 0; i < s.size(); ++i) {
        index_t best = -1;
        for (index_t l = 0; l < k; ++l) {
          if (taken[static_cast<std::size_t>(l)]) continue;
          const auto apart = [&](index_t at) { return std::abs(s.values[i] - known.values[at]); };
          if (best < 0 || apart(l) < apart(best)) best = l;
        }
        REQUIRE(best >= 0);
        taken[static_cast<std::size_t>(best)] = true;
        const double error = 10 * s.condition[i] * (s.backward_error[i] + 1e-15) * known.A.norm();
        CHECK(std::abs(s.values[i] - known.values[best]) <= error);
        last = std::abs(s.values[i]) + error;
      }
      for (index_t l = 0; l < k; ++l) {
        INFO("value " << l << ", " << known.values[l]);
        CHECK((taken[static_cast<std::size_t>(l)] || std::abs(known.values[l]) <= last));
      }
    }
  }
}

template <class Backend>
void conditions_are_lapacks(const Backend& be) {
  for (const char* name : {"normal", "grcar", "clustered", "pairs", "two"}) {
    const matrices::golden known = matrices::read_golden(name);
    for (const eigenvalue_method method :
         {eigenvalue_method::dense, eigenvalue_method::krylov_schur}) {
      const Spectrum s = spectrum_of(be, known.A,
                                     {.count = 2,
                                      .tolerance = 1e-13,
                                      .left_vectors = true,
                                      .method = method,
                                      .max_products = 100000});
      INFO(name);
      CHECK(s.right.size() == 0);
      for (index_t i = 0; i < 2; ++i) {
        CHECK(s.condition[i] == Approx(known.condition[i]).epsilon(1e-3));
      }
    }
  }
}

template <class Backend>
void defective_values(const Backend& be) {
  for (const index_t k : {2, 12, 60}) {
    for (const eigenvalue_method method :
         {eigenvalue_method::dense, eigenvalue_method::krylov_schur}) {
      const Spectrum s =
          spectrum_of(be, matrices::jordan(k, 0.5, 1),
                      {.count = 2, .tolerance = 1e-12, .method = method, .max_products = 100000});
      INFO("k = " << k << (s.dense ? ", dense" : ", by a space"));
      CHECK(s.backward_error.maxCoeff() <= 1e-12);
      // A space sees a large block only by its pseudospectrum, whose values are merely sensitive.
      if (s.dense || k < 60) CHECK(s.status == spectral_status::ill_conditioned);
      CHECK(s.condition.maxCoeff() > 1e4);
    }
  }
  // A multiple value that is not defective has a condition of 1.
  const Spectrum s = spectrum_of(be, 0.5 * Eigen::MatrixXd::Identity(6, 6), {.count = 3});
  CHECK(s.status == spectral_status::converged);
  CHECK(s.condition.maxCoeff() == Approx(1));
}

template <class Backend>
void pairs_are_not_split(const Backend& be) {
  Eigen::MatrixXd A = Eigen::MatrixXd::Zero(4, 4);
  A.topLeftCorner(2, 2) << 0.8, -0.3, 0.3, 0.8;
  A.bottomRightCorner(2, 2) << 0.1, 0, 0, -0.2;
  const Spectrum two = spectrum_of(be, A, {.count = 1});
  REQUIRE(two.size() == 2);
  CHECK(std::abs(two.values[0] - std::complex<double>(0.8, 0.3)) < 1e-14);
  CHECK(two.values[1] == std::conj(two.values[0]));
  CHECK(two.radius() == Approx(std::hypot(0.8, 0.3)));
  CHECK(spectrum_of(be, A, {.count = 10}).size() == 4);
  const Spectrum single = spectrum_of(be, Eigen::MatrixXd::Constant(1, 1, -0.7), {});
  REQUIRE(single.size() == 1);
  CHECK(single.values[0] == std::complex<double>(-0.7));
}

template <class Backend>
void both_orders(const Backend& be) {
  const Eigen::MatrixXd Q = matrices::orthogonal(80, 3);
  Eigen::VectorXd d = Eigen::VectorXd::LinSpaced(80, -0.4, 0.4);
  d[0] = -0.95;
  d[1] = 0.9;
  d[2] = -0.85;
  const Eigen::MatrixXd A = Q * d.asDiagonal() * Q.transpose();
  for (const eigenvalue_method method :
       {eigenvalue_method::dense, eigenvalue_method::krylov_schur}) {
    const Spectrum modulus = spectrum_of(be, A, {.count = 3, .method = method});
    CHECK(std::abs(modulus.values[0] + 0.95) < 1e-7);
    CHECK(std::abs(modulus.values[1] - 0.9) < 1e-7);
    CHECK(std::abs(modulus.values[2] + 0.85) < 1e-7);
    const Spectrum real =
        spectrum_of(be, A, {.count = 2, .order = eigenvalue_order::real_part, .method = method});
    CHECK(std::abs(real.values[0] - 0.9) < 1e-7);
    CHECK(std::abs(real.values[1] - 0.4) < 1e-7);
  }
}

template <class Backend>
void spaces_close(const Backend& be) {
  // Rank two in R^70, a projection, zero, and the identity.
  const Eigen::MatrixXd Q = matrices::orthogonal(70, 4);
  const eigenvalue_options options{.count = 3, .method = eigenvalue_method::krylov_schur};
  const Spectrum low = spectrum_of(
      be, Q.leftCols(2) * Eigen::Vector2d(0.9, -0.5).asDiagonal() * Q.leftCols(2).transpose(),
      options);
  CHECK(std::abs(low.values[0] - 0.9) < 1e-10);
  CHECK(std::abs(low.values[1] + 0.5) < 1e-10);
  CHECK(std::abs(low.values[2]) < 1e-10);
  const Spectrum projection = spectrum_of(be, Q.leftCols(30) * Q.leftCols(30).transpose(), options);
  CHECK((projection.values.array() - 1.0).abs().maxCoeff() < 1e-10);
  const Spectrum zero = spectrum_of(be, Eigen::MatrixXd::Zero(70, 70), options);
  CHECK(zero.status == spectral_status::converged);
  CHECK(zero.values.cwiseAbs().maxCoeff() == 0);
  CHECK(zero.norm == 0);
  CHECK(zero.backward_error.maxCoeff() == 0);
  const Spectrum identity = spectrum_of(be, Eigen::MatrixXd::Identity(70, 70), options);
  CHECK((identity.values.array() - 1.0).abs().maxCoeff() < 1e-12);
}

template <class Backend>
void budget_is_spent(const Backend& be) {
  const Eigen::MatrixXd A = maps::starts(200, 200);
  const Spectrum s = spectrum_of(be, A, {.count = 6, .tolerance = 1e-12, .max_products = 40});
  CHECK(s.status == spectral_status::max_products);
  CHECK(s.products <= 40);
  CHECK(s.backward_error.maxCoeff() > 1e-12);
}

template <class Backend>
void residuals_are_true(const Backend& be) {
  // Also where it ends as the space is full and would be restarted.
  const Eigen::MatrixXd A = maps::starts(100, 100);
  for (index_t budget = 15; budget <= 60; ++budget) {
    const Spectrum s = spectrum_of(
        be, A, {.count = 2, .tolerance = 1e-12, .right_vectors = true, .max_products = budget});
    INFO("budget " << budget);
    CHECK(s.products == budget);
    CHECK(s.status == spectral_status::max_products);
    REQUIRE(s.size() >= 2);
    for (index_t i = 0; i < s.size(); ++i) {
      const Eigen::VectorXcd x = s.right.col(i);
      const double residual = (A * x - s.values[i] * x).norm();
      CHECK(residual == Approx(s.backward_error[i] * s.norm).epsilon(1e-6));
    }
  }
}

template <class Backend>
void large_blocks(const Backend& be) {
  const index_t k = 400;
  const Eigen::MatrixXd Q = matrices::orthogonal(k, 8);
  Eigen::VectorXd d(k);
  for (index_t i = 0; i < k; ++i) d[i] = std::exp(-static_cast<double>(i) / 30) * (i % 3 ? 1 : -1);
  const Eigen::MatrixXd A = Q * d.asDiagonal() * Q.transpose();
  const Spectrum s = spectrum_of(be, A, {.count = 8, .tolerance = 1e-9, .right_vectors = true});
  CHECK_FALSE(s.dense);
  for (index_t i = 0; i < 8; ++i) CHECK(std::abs(s.values[i] - d[i]) < 1e-7);
  CHECK(s.norm <= 1 + 1e-12);
  CHECK(s.products < 200);
  check_vectors(A, s, 1e-9);
}

template <class Backend>
void left_vectors_of_their_own(const Backend& be) {
  // Within the twelve leading values of the transpose some pair may be another one.
  const Eigen::MatrixXd A = 1.3 * maps::starts(200, 200) * std::sqrt(3.0 / 200);
  const eigenvalue_options wanted{.count = 12,
                                  .left_vectors = true,
                                  .method = eigenvalue_method::krylov_schur,
                                  .max_products = 100000};
  const Spectrum s = spectrum_of(be, A, wanted);
  eigenvalue_options exact = wanted;
  exact.method = eigenvalue_method::dense;
  exact.count = 40;
  const Spectrum dense = spectrum_of(be, A, exact);
  index_t known = 0;
  for (index_t i = 0; i < s.size(); ++i) {
    for (index_t l = 0; l < dense.size(); ++l) {
      if (std::abs(dense.values[l] - s.values[i]) > 1e-4 || s.left.col(i).hasNaN()) continue;
      CHECK(s.condition[i] == Approx(dense.condition[l]).epsilon(1e-3));
      ++known;
    }
  }
  CHECK(known >= 8);
  CHECK(s.status == spectral_status::converged);
}

// Values 0.9, 0.8, 0.7 and small ones, but for a larger one with these right and left vectors.
inline Eigen::MatrixXd with_one_large(double large, const Eigen::VectorXd& x,
                                      const Eigen::VectorXd& y) {
  const index_t k = x.size();
  const Eigen::MatrixXd Q = matrices::orthogonal(k, 12);
  Eigen::VectorXd d = Eigen::VectorXd::LinSpaced(k, -0.05, 0.05);
  d.head(3) << 0.9, 0.8, 0.7;
  const Eigen::MatrixXd B = Q * d.asDiagonal() * Q.transpose();
  const Eigen::MatrixXd P = x * y.transpose() / y.dot(x);
  const Eigen::MatrixXd rest = Eigen::MatrixXd::Identity(k, k) - P;
  return large * P + rest * B * rest;
}

// The part of v that is orthogonal to u.
inline Eigen::VectorXd across(const Eigen::VectorXd& v, const Eigen::VectorXd& u) {
  return v - u * (u.dot(v) / u.squaredNorm());
}

template <class Backend>
void first_vectors_that_lack(const Backend& be) {
  const index_t k = 100;
  const Eigen::VectorXd first =
      basin::KrylovSchur(k, {.method = eigenvalue_method::krylov_schur}).direction();
  const Eigen::VectorXd u = maps::starts(k, 1, 20), v = maps::starts(k, 1, 21);
  for (const index_t count : {1, 3}) {
    const double large = count == 1 ? 0.95 : 1.5;
    const eigenvalue_options options{.count = count,
                                     .right_vectors = true,
                                     .left_vectors = true,
                                     .method = eigenvalue_method::krylov_schur,
                                     .dimension = 6};
    for (const bool of_right : {true, false}) {
      // No Krylov space from a vector holds x where the vector is orthogonal to y.
      const Eigen::VectorXd x = of_right ? u : across(u, first);
      const Eigen::VectorXd y = of_right ? across(v, first) : v;
      const Eigen::MatrixXd A = with_one_large(large, x, y);
      INFO("count " << count << (of_right ? ", missed by J" : ", missed by the transpose"));
      eigenvalue_options alone = options;
      alone.left_vectors = false;
      // Else this test shows nothing.
      const Eigen::MatrixXd side = of_right ? A : A.transpose();
      REQUIRE(spectrum_of(be, side, alone).radius() < large - 0.01);
      const Spectrum s = spectrum_of(be, A, options);
      CHECK(s.status == spectral_status::converged);
      REQUIRE(s.size() >= count);
      CHECK(std::abs(s.values[0] - large) < 1e-6);
      CHECK(std::abs(s.right.col(0).dot(x.cast<std::complex<double>>())) / x.norm() ==
            Approx(1).epsilon(1e-6));
      CHECK(std::abs(s.left.col(0).dot(y.cast<std::complex<double>>())) / y.norm() ==
            Approx(1).epsilon(1e-6));
      CHECK(s.condition[0] == Approx(x.norm() * y.norm() / std::abs(x.dot(y))).epsilon(1e-6));
    }
  }
  // Where all of J's products with the first space vanish, so does its norm.
  const Eigen::MatrixXd rank_one = u * across(v, first).transpose();
  const Spectrum s = spectrum_of(
      be, rank_one, {.count = 1, .left_vectors = true, .method = eigenvalue_method::krylov_schur});
  CHECK(s.values[0].real() == Approx(across(v, first).dot(u)));
  CHECK(s.backward_error[0] < 1e-8);
}

template <class Backend>
void multiple_values(const Backend& be) {
  // A space from one vector closes after as many products as there are distinct values: before it
  // is full at 20, or just then.
  for (const index_t distinct : {3, 18, 20}) {
    for (const bool normal : {true, false}) {
      const index_t times = 4, k = distinct * times;
      Eigen::VectorXd d(k);
      for (index_t i = 0; i < k; ++i) {
        d[i] = 1 - 0.9 * static_cast<double>(i / times) / static_cast<double>(distinct);
      }
      Eigen::MatrixXd X = matrices::orthogonal(k, 14);
      if (!normal) X += 0.3 * maps::starts(k, k, 15) / std::sqrt(static_cast<double>(k));
      const Eigen::MatrixXd A = X * d.asDiagonal() * X.inverse();
      const Spectrum s = spectrum_of(be, A,
                                     {.count = 6,
                                      .right_vectors = true,
                                      .method = eigenvalue_method::krylov_schur,
                                      .dimension = std::min<index_t>(20, k - 1)});
      INFO(distinct << " values, " << (normal ? "normal" : "not normal"));
      CHECK(s.status == spectral_status::converged);
      REQUIRE(s.size() == 6);
      for (index_t i = 0; i < 6; ++i) CHECK(std::abs(s.values[i] - d[i]) < 1e-7);
      check_vectors(A, s, 1e-8);
      // As many vectors as values.
      CHECK(Eigen::FullPivLU<Eigen::MatrixXcd>(s.right.adjoint() * s.right).rcond() > 1e-6);
      CHECK(s.products < 200);
    }
  }
}

template <class Backend>
void repeated_pairs(const Backend& be) {
  const index_t k = 64;
  Eigen::MatrixXd A = Eigen::MatrixXd::Zero(k, k);
  for (index_t i = 0; i < k; i += 2) {
    const double size = i < 6 ? 1 : 0.5;
    A.block(i, i, 2, 2) << 0.6 * size, -0.8 * size, 0.8 * size, 0.6 * size;
  }
  for (const eigenvalue_method method :
       {eigenvalue_method::dense, eigenvalue_method::krylov_schur}) {
    for (const index_t count : {3, 4, 5}) {
      const Spectrum s = spectrum_of(be, A, {.count = count, .method = method});
      INFO(count << (s.dense ? ", dense" : ", by a space"));
      REQUIRE(s.size() == (count + 1) / 2 * 2);
      for (index_t i = 0; i < s.size(); i += 2) {
        CHECK(std::abs(s.values[i] - std::complex<double>(0.6, 0.8)) < 1e-7);
        CHECK(s.values[i + 1] == std::conj(s.values[i]));
      }
    }
  }
}

template <class Backend>
void dual_vectors(const Backend& be) {
  // Three times 0.9 and twice a pair, in a basis that is not orthogonal.
  const index_t k = 70;
  Eigen::MatrixXd D = Eigen::MatrixXd::Zero(k, k);
  D.diagonal().head(3).setConstant(0.9);
  for (const index_t i : {3, 5}) D.block(i, i, 2, 2) << 0.5, -0.6, 0.6, 0.5;
  D.diagonal().segment(7, 8).setLinSpaced(0.1, 0.5);
  const Eigen::MatrixXd X = matrices::orthogonal(k, 16) +
                            0.4 * maps::starts(k, k, 17) / std::sqrt(static_cast<double>(k));
  const Eigen::MatrixXd inverse = X.inverse();
  const Eigen::MatrixXd A = X * D * inverse;
  for (const eigenvalue_method method :
       {eigenvalue_method::dense, eigenvalue_method::krylov_schur}) {
    const Spectrum s = spectrum_of(
        be, A, {.count = 7, .right_vectors = true, .left_vectors = true, .method = method});
    INFO((s.dense ? "dense" : "by a space"));
    CHECK(s.status == spectral_status::converged);
    REQUIRE(s.size() == 7);
    REQUIRE_FALSE(s.left.hasNaN());
    for (index_t i = 0; i < 7; ++i) {
      const std::complex<double> pair(0.5, i % 2 == 1 ? 0.6 : -0.6);
      CHECK(std::abs(s.values[i] - (i < 3 ? 0.9 : pair)) < 1e-7);
    }
    check_vectors(A, s, 1e-7);
    const Eigen::MatrixXcd overlap = s.left.adjoint() * s.right;
    for (index_t i = 0; i < 7; ++i) {
      for (index_t l = 0; l < 7; ++l) {
        if (i != l) CHECK(std::abs(overlap(i, l)) < 1e-6 * std::abs(overlap(i, i)));
      }
    }
    // Their sum of x yᴴ / yᴴ x over a value is the projection onto its vectors.
    Eigen::MatrixXcd P = Eigen::MatrixXcd::Zero(k, k);
    for (index_t i = 0; i < 3; ++i) {
      P += s.right.col(i) * s.left.col(i).adjoint() / overlap(i, i);
    }
    CHECK((P.real() - X.leftCols(3) * inverse.topRows(3)).norm() < 1e-6);
    // Of an orthonormal basis no condition number exceeds the projection's norm.
    if (s.dense) CHECK(s.condition.head(3).maxCoeff() <= P.norm());
  }
}

template <class Backend>
void scales(const Backend& be) {
  const index_t k = 70;
  const Eigen::MatrixXd A = 0.2 * maps::starts(k, k, 18);
  for (const eigenvalue_method method :
       {eigenvalue_method::dense, eigenvalue_method::krylov_schur}) {
    const eigenvalue_options options{
        .count = 4, .right_vectors = true, .left_vectors = true, .method = method};
    const Spectrum s = spectrum_of(be, A, options);
    for (const int power : {-800, 700}) {
      const double scale = std::ldexp(1.0, power);
      const Spectrum far = spectrum_of(be, scale * A, options);
      INFO((s.dense ? "dense, 2^" : "by a space, 2^") << power);
      CHECK(far.status == s.status);
      REQUIRE(far.size() == s.size());
      CHECK(far.norm / scale == Approx(s.norm));
      for (index_t i = 0; i < s.size(); ++i) {
        CHECK(std::abs(far.values[i] / scale - s.values[i]) < 1e-6);
        CHECK(far.condition[i] == Approx(s.condition[i]).epsilon(1e-3));
      }
    }
  }
}

}  // namespace spectra
