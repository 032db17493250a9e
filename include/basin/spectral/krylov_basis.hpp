/// @file
/// The orthonormal vectors of a Krylov space, in host memory.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <concepts>

#include <Eigen/Core>

#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// What a product has in the directions of a space's vectors, and what it adds.
template <std::floating_point Real>
struct KrylovStep {
  Real largest = 0;            ///< |entry| of the product
  Real before = 0;             ///< norm of the product; not finite where the product is not
  Eigen::VectorX<Real> along;  ///< its parts in the n vectors
  Real rest = 0;               ///< norm of what is left
};

namespace detail {

/// The power of two that products are multiplied by, `scale` where their squares are in range.
[[nodiscard]] BASIN_HOST_DEVICE inline double product_scale(double largest, double scale) {
  const bool in_range = largest > 1e-100 && largest < 1e100;
  if (in_range || !(largest > 0) || !is_finite(largest)) return scale;
  const int exponent = -std::ilogb(largest);
  return std::ldexp(1.0, exponent < -1000 ? -1000 : exponent > 1000 ? 1000 : exponent);
}

/// Columns that are orthonormal, and the rest of the last product. Another basis may be anywhere:
/// it is told what to do, and only numbers of the space come back.
template <std::floating_point Real>
class HostBasis {
 public:
  using vector = Eigen::VectorX<Real>;
  using matrix = Eigen::MatrixX<Real>;

  HostBasis(index_t rows, index_t columns) : V_(rows, columns) {}

  [[nodiscard]] index_t rows() const noexcept { return V_.rows(); }
  [[nodiscard]] auto column(index_t at) const { return V_.col(at); }
  void set(index_t at, const Eigen::Ref<const vector>& v) { V_.col(at) = v; }

  /// Takes the parts in the first n columns from scale × product, twice, and remembers the rest.
  [[nodiscard]] KrylovStep<Real> step(const Eigen::Ref<const vector>& product, index_t n,
                                      Real scale) {
    KrylovStep<Real> s;
    rest_ = scale * product;
    s.before = rest_.norm();
    s.along = vector::Zero(n);
    if (is_finite(s.before)) s.rest = orthogonalise(rest_, n, s.along);
    return s;
  }
  /// The rest of the last product over its norm becomes a column.
  void keep(index_t at, Real norm) { V_.col(at) = rest_ / norm; }
  /// Less its part in the columns before v becomes a column, of norm 1; whether there is more than
  /// rounding left of it.
  bool add(index_t at, vector v) {
    vector unused = vector::Zero(at);
    const Real before = v.norm();
    const Real rest = orthogonalise(v, at, unused);
    V_.col(at) = v / rest;
    return rest > Real(1e-8) * before;
  }
  /// The columns from `first` on become combinations of themselves: those of Q.
  void rotate(index_t first, const Eigen::Ref<const matrix>& Q) {
    V_.middleCols(first, Q.cols()) = (V_.middleCols(first, Q.rows()) * Q).eval();
  }
  void move(index_t from, index_t to) { V_.col(to) = V_.col(from); }
  /// Combinations of the first columns.
  template <class Derived>
  [[nodiscard]] auto combination(const Eigen::MatrixBase<Derived>& C) const {
    return Eigen::MatrixX<typename Derived::Scalar>(V_.leftCols(C.rows()) * C);
  }

 private:
  /// Takes the parts in the first n columns from w and adds them to `into`; the norm of the rest.
  Real orthogonalise(vector& w, index_t n, vector& into) const {
    for (int pass = 0; pass < 2; ++pass) {
      const vector h = V_.leftCols(n).transpose() * w;
      w.noalias() -= V_.leftCols(n) * h;
      into += h;
    }
    return w.norm();
  }

  matrix V_;
  vector rest_;
};

}  // namespace detail
}  // namespace basin
