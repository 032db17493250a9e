// The sorted Schur form and the eigenvectors from it.
#include <Eigen/Eigenvalues>

#include <basin/spectral/schur_form.hpp>

#include "matrices.hpp"

using basin::index_t;
using SchurForm = basin::detail::SchurForm<>;
using SchurVectors = basin::detail::SchurVectors<>;

namespace {
void check_form(const Eigen::MatrixXd& A, const SchurForm& form) {
  const index_t k = A.rows();
  const double norm = A.norm();
  CHECK((form.U() * form.U().transpose() - Eigen::MatrixXd::Identity(k, k)).norm() < 1e-12);
  CHECK((form.U() * form.T() * form.U().transpose() - A).norm() < 1e-12 * norm);
  for (index_t i = 0; i < k; i += form.block_at(i)) {
    const index_t below = i + form.block_at(i);
    if (below < k) {
      CHECK(form.T().block(below, i, k - below, form.block_at(i)).cwiseAbs().maxCoeff() == 0);
    }
  }
}
}  // namespace

TEST_CASE("a Schur form can be sorted, pairs and all", "[spectral]") {
  for (const index_t k : {1, 2, 3, 10, 41}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      const Eigen::MatrixXd A = maps::starts(k, k, seed);
      SchurForm form(A);
      check_form(A, form);
      const Eigen::VectorXcd before = form.values();
      form.sort([](auto a, auto b) { return std::abs(a) > std::abs(b); });
      check_form(A, form);
      const Eigen::VectorXcd values = form.values();
      for (index_t i = 1; i < k; ++i) {
        CHECK(std::abs(values[i]) <= std::abs(values[i - 1]) + 1e-10);
      }
      // The same values as before: their sum and that of their squares.
      CHECK(std::abs(values.sum() - before.sum()) < 1e-11 * A.norm());
      CHECK(std::abs(values.squaredNorm() - before.squaredNorm()) < 1e-9 * A.squaredNorm());
    }
  }
}

TEST_CASE("eigenvectors from both sides", "[spectral]") {
  for (const index_t k : {1, 2, 7, 30}) {
    const Eigen::MatrixXd A = maps::starts(k, k, 11);
    const SchurForm form(A);
    const SchurVectors vectors(form);
    const Eigen::MatrixXcd C = A.cast<std::complex<double>>();
    for (index_t i = 0; i < k; ++i) {
      const auto value = form.values()[i];
      const Eigen::VectorXcd x = form.U() * vectors.right(i);
      const Eigen::VectorXcd y = form.U() * vectors.left(i);
      CHECK(x.norm() == Approx(1));
      CHECK((C * x - value * x).norm() < 1e-12 * A.norm());
      CHECK((y.adjoint() * C - value * y.adjoint()).norm() < 1e-12 * A.norm());
    }
  }
}

TEST_CASE("blocks that rounding would mix stay where they are", "[spectral]") {
  // Twice the same value with a large coupling, and a third.
  Eigen::MatrixXd A(3, 3);
  A << 0.5, 1e8, 0, 0, 0.5, 1e8, 0, 0, 0.9;
  SchurForm form(A);
  form.sort([](auto a, auto b) { return a.real() > b.real(); });
  CHECK((form.U() * form.T() * form.U().transpose() - A).norm() < 1e-7);
}
