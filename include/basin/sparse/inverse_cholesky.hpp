/// @file
/// The inverse of a Cholesky factor that grows by one row at a time.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include <basin/backend/cpu/packet.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

/// Sum of the lanes of a register.
template <class Scalar>
[[nodiscard]] Scalar lane_sum(const typename simd<Scalar>::vector& x) {
  std::array<Scalar, static_cast<std::size_t>(simd<Scalar>::lanes)> lane;
  std::memcpy(lane.data(), &x, sizeof x);
  for (index_t width = simd<Scalar>::lanes / 2; width > 0; width /= 2) {
    for (index_t i = 0; i < width; ++i) {
      lane[static_cast<std::size_t>(i)] += lane[static_cast<std::size_t>(i + width)];
    }
  }
  return lane[0];
}

/// F = L^-1 where L L' = A' A for columns A that are added one by one: the rows of F are the
/// coefficients of an orthonormal basis of their span. Least squares on the columns then need no
/// triangular solves: Sturm and Christensen, "Comparison of orthogonal matching pursuit
/// implementations" (EUSIPCO 2012). Rows are kept packed, padded to whole registers.
template <class Real>
class InverseCholesky {
 public:
  using simd = detail::simd<Real>;

  /// @param most rows that it will ever have; memory is taken for those that it comes to have
  explicit InverseCholesky(index_t most = 0) { reserve(most); }

  void reserve(index_t most) {
    for (auto* x : {&v_, &g_}) x->resize(static_cast<std::size_t>(padded(most)));
  }
  void clear() noexcept { size_ = 0; }
  [[nodiscard]] index_t size() const noexcept { return size_; }

  /// Where the caller writes the inner products of a new column with those that are in.
  [[nodiscard]] Real* products() noexcept { return g_.data(); }

  /// Adds the column whose `products` stand there, if its distance from the span of the others is
  /// more than `least`.
  /// @return that distance
  /// Cost: 2 size^2 flops.
  Real add(Real squared_norm, Real least) {
    const index_t t = size_, width = padded(t);
    std::fill(g_.begin() + t, g_.begin() + width, Real(0));
    std::fill_n(v_.begin(), width, Real(0));
    Real within = 0;
    for (index_t r = 0; r < t; r += group) {
      const index_t count = std::min(group, t - r);
      index_t i = 0;
      for (; i + 4 <= count; i += 4) within += project<4>(r + i);
      for (; i < count; ++i) within += project<1>(r + i);
    }
    const Real height = std::sqrt(std::max(Real(0), squared_norm - within));
    if (!(height > least)) return height;
    const auto end = static_cast<std::size_t>(offset(t + 1));
    if (rows_.size() < end) rows_.resize(end);
    Real* const row = rows_.data() + offset(t);
    for (index_t i = 0; i < t; ++i) row[i] = -v_[static_cast<std::size_t>(i)] / height;
    row[t] = 1 / height;
    std::fill(row + t + 1, row + padded(t + 1), Real(0));
    ++size_;
    return height;
  }

  /// Row r of F: r + 1 numbers, until another is added.
  [[nodiscard]] const Real* row(index_t r) const noexcept { return rows_.data() + offset(r); }

 private:
  static constexpr index_t group = std::max<index_t>(4, simd::lanes);

  [[nodiscard]] static constexpr index_t padded(index_t n) {
    return (n + group - 1) / group * group;
  }
  /// Rows of one group are as long as its last.
  [[nodiscard]] static constexpr index_t offset(index_t r) {
    const index_t whole = r / group;
    return group * group * (whole * (whole + 1) / 2) + (r - whole * group) * (whole + 1) * group;
  }

  /// Of N rows that are equally long: w = F g, v += F' w.
  /// @return the sum of w^2
  template <index_t N>
  Real project(index_t first) {
    const index_t length = padded(first + 1);
    const Real* const row = this->row(first);
    typename simd::vector sum[N];
    for (index_t k = 0; k < N; ++k) sum[k] = simd::zero();
    for (index_t i = 0; i < length; i += simd::lanes) {
      const auto g = simd::load(g_.data() + i);
      for (index_t k = 0; k < N; ++k) sum[k] += simd::load(row + k * length + i) * g;
    }
    Real w[N], squares = 0;
    for (index_t k = 0; k < N; ++k) {
      w[k] = lane_sum<Real>(sum[k]);
      squares += w[k] * w[k];
    }
    for (index_t i = 0; i < length; i += simd::lanes) {
      auto v = simd::load(v_.data() + i);
      for (index_t k = 0; k < N; ++k) v += simd::load(row + k * length + i) * w[k];
      std::memcpy(v_.data() + i, &v, sizeof v);
    }
    return squares;
  }

  std::vector<Real> rows_, v_, g_;
  index_t size_ = 0;
};

}  // namespace basin::detail
