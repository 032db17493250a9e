/// @file
/// The real Schur form of a small dense matrix, sorted, and eigenvectors from it.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <concepts>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <Eigen/QR>

#include <basin/core/index.hpp>

namespace basin::detail {

/// A = U T Uᵀ with orthogonal U and quasi-triangular T: diagonal blocks of one real value, or
/// of two that are usually a conjugate pair.
/// @tparam Real double; a template so that a program which does not use it does not compile it
template <std::floating_point Real = double>
class SchurForm {
 public:
  using complex = std::complex<Real>;
  using matrix = Eigen::MatrixX<Real>;
  using vector = Eigen::VectorX<Real>;

  /// @param A finite
  explicit SchurForm(const matrix& A) {
    if (A.rows() == 0) return;
    const Eigen::RealSchur<matrix> schur(A);
    T_ = schur.matrixT();
    U_ = schur.matrixU();
    converged_ = schur.info() == Eigen::Success;
  }
  /// Of T as it is, quasi-triangular already, and U the identity.
  struct quasi_triangular {};
  SchurForm(quasi_triangular, matrix T)
      : T_(std::move(T)), U_(matrix::Identity(T_.rows(), T_.cols())) {}

  [[nodiscard]] index_t size() const noexcept { return T_.rows(); }
  [[nodiscard]] bool converged() const noexcept { return converged_; }
  [[nodiscard]] const matrix& T() const noexcept { return T_; }
  [[nodiscard]] const matrix& U() const noexcept { return U_; }
  /// Rows of the block that begins at i.
  [[nodiscard]] index_t block_at(index_t i) const {
    return i + 1 < size() && T_(i + 1, i) != 0 ? 2 : 1;
  }

  /// All eigenvalues along the diagonal; of a pair first that with the positive imaginary part.
  [[nodiscard]] Eigen::VectorX<complex> values() const {
    Eigen::VectorX<complex> values(size());
    for (index_t i = 0; i < size();) {
      const index_t rows = block_at(i);
      if (rows == 1) {
        values[i] = T_(i, i);
      } else {
        const auto [first, second] = pair_at(i);
        values[i] = first;
        values[i + 1] = second;
      }
      i += rows;
    }
    return values;
  }

  /// Places on the diagonal in the order of their values, a conjugate pair side by side even where
  /// it is repeated.
  template <class Before>
  [[nodiscard]] std::vector<index_t> ordered(const Before& before) const {
    const Eigen::VectorX<complex> all = values();
    std::vector<index_t> firsts;
    for (index_t i = 0; i < size(); ++i) {
      if (!(all[i].imag() < 0)) firsts.push_back(i);
    }
    std::stable_sort(firsts.begin(), firsts.end(),
                     [&](index_t a, index_t b) { return before(all[a], all[b]); });
    std::vector<index_t> places;
    for (const index_t i : firsts) {
      places.push_back(i);
      if (all[i].imag() > 0) places.push_back(i + 1);
    }
    return places;
  }

  /// Sorts the blocks so that before(a, b) holds of none that stands behind another, as far as
  /// swaps are stable (Bai and Demmel 1993): two blocks whose values can hardly be told apart stay.
  template <class Before>
  void sort(const Before& before) {
    for (index_t place = 0; place < size();) {
      const std::vector<index_t> begins = blocks_from(place);
      std::size_t best = 0;
      for (std::size_t b = 1; b < begins.size(); ++b) {
        if (before(leading_value(begins[b]), leading_value(begins[best]))) best = b;
      }
      // It moves up over its neighbours, one by one.
      index_t at = begins[best];
      for (std::size_t b = best; b > 0; --b) {
        const index_t above = block_above(at, place);
        if (!swap(above, at)) break;
        at = above;
      }
      place += block_at(place);
    }
  }

 private:
  [[nodiscard]] std::pair<complex, complex> pair_at(index_t i) const {
    const Real a = T_(i, i), b = T_(i, i + 1), c = T_(i + 1, i), d = T_(i + 1, i + 1);
    const Real half = (a - d) / 2;
    const Real square = half * half + b * c;
    if (square < 0) {
      const Real root = std::sqrt(-square);
      return {{(a + d) / 2, root}, {(a + d) / 2, -root}};
    }
    // Two real values, by rounding: the larger shift first, the other without cancellation.
    const Real root = half + std::copysign(std::sqrt(square), half);
    const Real first = d + root;
    const Real second = root != 0 ? d - b * c / root : d;
    return {first, second};
  }
  [[nodiscard]] complex leading_value(index_t i) const {
    return block_at(i) == 1 ? complex(T_(i, i)) : pair_at(i).first;
  }
  [[nodiscard]] std::vector<index_t> blocks_from(index_t place) const {
    std::vector<index_t> begins;
    for (index_t i = place; i < size(); i += block_at(i)) begins.push_back(i);
    return begins;
  }
  [[nodiscard]] index_t block_above(index_t at, index_t place) const {
    return at - 2 >= place && T_(at - 1, at - 2) != 0 ? at - 2 : at - 1;
  }

  /// Swaps the neighbours that begin at i < j. False, and nothing changed, where that would cost
  /// more than rounding.
  bool swap(index_t i, index_t j) {
    const index_t p = j - i;
    const index_t q = block_at(j);
    const matrix A = T_.block(i, i, p, p);
    const matrix C = T_.block(j, j, q, q);
    // A X - X C = B, as one system of at most four unknowns.
    matrix system = matrix::Zero(p * q, p * q);
    for (index_t c = 0; c < q; ++c) {
      system.block(c * p, c * p, p, p) += A;
      for (index_t r = 0; r < q; ++r) {
        system.block(c * p, r * p, p, p) -= C(r, c) * matrix::Identity(p, p);
      }
    }
    const matrix B = T_.block(i, j, p, q);
    const vector x = system.fullPivLu().solve(Eigen::Map<const vector>(B.data(), p * q));
    if (!x.allFinite()) return false;
    matrix span(p + q, q);
    span.topRows(p) = -Eigen::Map<const matrix>(x.data(), p, q);
    span.bottomRows(q).setIdentity();
    const matrix Q = Eigen::HouseholderQR<matrix>(span).householderQ();
    const matrix whole = T_.block(i, i, p + q, p + q);
    const matrix turned = Q.transpose() * whole * Q;
    const Real rest = turned.bottomLeftCorner(p, q).norm();
    if (!(rest <= 20 * std::numeric_limits<Real>::epsilon() * whole.norm())) return false;
    T_.middleRows(i, p + q) = (Q.transpose() * T_.middleRows(i, p + q)).eval();
    T_.middleCols(i, p + q) = (T_.middleCols(i, p + q) * Q).eval();
    U_.middleCols(i, p + q) = (U_.middleCols(i, p + q) * Q).eval();
    T_.block(i + q, i, p, q).setZero();
    return true;
  }

  matrix T_, U_;
  bool converged_ = true;
};

/// Eigenvectors of a real matrix from its Schur form, by substitution in complex triangular form.
template <std::floating_point Real = double>
class SchurVectors {
 public:
  using complex = std::complex<Real>;
  using complex_matrix = Eigen::MatrixX<complex>;
  using complex_vector = Eigen::VectorX<complex>;
  using rotation = Eigen::Matrix2<complex>;

  /// @param form outlives this
  explicit SchurVectors(const SchurForm<Real>& form) : T_(form.T().template cast<complex>()) {
    const index_t n = form.size();
    turns_.reserve(static_cast<std::size_t>(n));
    const complex_vector values = form.values();
    for (index_t i = 0; i < n; i += form.block_at(i)) {
      if (form.block_at(i) == 1) continue;
      // The first column of the turn is an eigenvector of the block.
      const complex b = T_(i, i + 1), c = T_(i + 1, i);
      complex x = values[i] - T_(i + 1, i + 1), y = c;
      if (std::abs(x) + std::abs(y) == 0) {
        x = b;
        y = values[i] - T_(i, i);
      }
      const Real size = std::hypot(std::abs(x), std::abs(y));
      rotation Q;
      Q << x / size, -std::conj(y / size), y / size, std::conj(x / size);
      T_.middleRows(i, 2) = (Q.adjoint() * T_.middleRows(i, 2)).eval();
      T_.middleCols(i, 2) = (T_.middleCols(i, 2) * Q).eval();
      T_(i + 1, i) = 0;
      turns_.push_back({i, Q});
    }
    least_ = std::numeric_limits<Real>::epsilon() *
             std::max(T_.cwiseAbs().maxCoeff(), std::numeric_limits<Real>::min() * 1e20);
  }

  /// The value at place i of the diagonal.
  [[nodiscard]] complex value(index_t i) const { return T_(i, i); }

  /// x with T x = λ_i x, ‖x‖ = 1, in the coordinates of the real form.
  [[nodiscard]] complex_vector right(index_t i) const {
    const index_t n = T_.rows();
    complex_vector x = complex_vector::Zero(n);
    x[i] = 1;
    for (index_t r = i - 1; r >= 0; --r) {
      const complex sum =
          T_.row(r).segment(r + 1, i - r).transpose().cwiseProduct(x.segment(r + 1, i - r)).sum();
      x[r] = sum / apart(T_(i, i) - T_(r, r));
      keep_in_range(x);
    }
    return turned_back(std::move(x));
  }
  /// y with yᴴ T = λ_i yᴴ, ‖y‖ = 1, in the same coordinates.
  [[nodiscard]] complex_vector left(index_t i) const {
    const index_t n = T_.rows();
    complex_vector y = complex_vector::Zero(n);  // conj(y)ᵀ T = λ conj(y)ᵀ; holds conj(y)
    y[i] = 1;
    for (index_t c = i + 1; c < n; ++c) {
      const complex sum = T_.col(c).segment(i, c - i).cwiseProduct(y.segment(i, c - i)).sum();
      y[c] = sum / apart(T_(i, i) - T_(c, c));
      keep_in_range(y);
    }
    return turned_back(y.conjugate());
  }

 private:
  struct turn {
    index_t at;
    rotation Q;
  };

  /// Of equal values a quotient by rounding's size instead of by zero, as LAPACK does.
  [[nodiscard]] complex apart(complex difference) const {
    return std::abs(difference) < least_ ? complex(least_) : difference;
  }
  static void keep_in_range(complex_vector& x) {
    const Real most = x.cwiseAbs().maxCoeff();
    if (most > 1e100) x /= most;
  }
  [[nodiscard]] complex_vector turned_back(complex_vector x) const {
    for (const turn& t : turns_)
      x.template segment<2>(t.at) = (t.Q * x.template segment<2>(t.at)).eval();
    x.normalize();
    return x;
  }

  complex_matrix T_;
  std::vector<turn> turns_;
  Real least_ = 0;
};

}  // namespace basin::detail
