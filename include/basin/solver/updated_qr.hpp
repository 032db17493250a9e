/// @file
/// A thin QR factorisation whose columns come and go: the least-squares problems of
/// accelerators.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include <basin/backend/cpu/packet.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

template <class Scalar>
[[nodiscard]] Scalar dot(const Scalar* x, const Scalar* y, index_t n) {
  return sum_run<Scalar>(n, [](const auto& a, const auto& b) { return a * b; }, x, y);
}
/// y += a x.
template <class Scalar>
void add_scaled(Scalar a, const Scalar* x, Scalar* y, index_t n) {
  for (index_t i = 0; i < n; ++i) y[i] += a * x[i];
}

/// Calls visit(first, count) for runs of the rows 0 ... n - 1, so that work on some columns can
/// be done while their rows are in cache: what long columns cost is passes over memory.
template <class Visit>
void for_row_blocks(index_t n, Visit&& visit) {
  constexpr index_t rows = 512;
  for (index_t first = 0; first < n; first += rows) visit(first, std::min(rows, n - first));
}
/// products[c] += <x_c, y> of as many columns x_c as there are numbers c, each to the bits of
/// dot(): side by side, the chains of additions of one column fill the time that those of
/// another wait.
template <class Scalar, index_t... c>
void add_dots(std::integer_sequence<index_t, c...>, const Scalar* x, index_t stride,
              const Scalar* y, index_t n, Scalar* products) {
  using simd = detail::simd<Scalar>;
  typename simd::vector even[] = {(static_cast<void>(c), simd::zero())...};
  typename simd::vector odd[] = {(static_cast<void>(c), simd::zero())...};
  const auto add = [&](const Scalar* from, index_t apart, const Scalar* by) {
    const typename simd::vector first = simd::load(by);
    const typename simd::vector second = simd::load(by + simd::lanes);
    ((even[c] += simd::load(from + c * apart) * first), ...);
    ((odd[c] += simd::load(from + c * apart + simd::lanes) * second), ...);
  };
  constexpr index_t step = 2 * simd::lanes;
  index_t i = 0;
  for (; i + step <= n; i += step) add(x + i, stride, y + i);
  if (i < n) {
    Scalar last[step * sizeof...(c)] = {};
    Scalar by[step] = {};
    (std::copy_n(x + c * stride + i, n - i, last + c * step), ...);
    std::copy_n(y + i, n - i, by);
    add(last, step, by);
  }
  const auto total = [](typename simd::vector sum, typename simd::vector rest) {
    sum += rest;
    Scalar all = 0;
    for (index_t lane = 0; lane < simd::lanes; ++lane) all += sum[lane];
    return all;
  };
  ((products[c] += total(even[c], odd[c])), ...);
}
/// products[i] = <x_i, y> of `count` columns x_i that begin `stride` numbers from each other.
template <class Scalar>
void dots(const Scalar* x, index_t stride, index_t count, const Scalar* y, index_t n,
          Scalar* products) {
  std::fill_n(products, count, Scalar(0));
  for_row_blocks(n, [&](index_t first, index_t rows) {
    const auto add = [&](auto columns, index_t i) {
      add_dots(columns, x + i * stride + first, stride, y + first, rows, products + i);
    };
    index_t i = 0;
    for (; i + 4 <= count; i += 4) add(std::make_integer_sequence<index_t, 4>(), i);
    for (; i + 2 <= count; i += 2) add(std::make_integer_sequence<index_t, 2>(), i);
    for (; i < count; ++i) add(std::make_integer_sequence<index_t, 1>(), i);
  });
}

/// V = Q R with k × size Q of orthonormal columns and upper triangular R, in memory of the
/// caller. Appending a column costs 4 k size flops, twice that where it is nearly dependent;
/// removing the first 6 k size. Stewart 1998, Matrix Algorithms I, sections 4.1 and 4.3.
template <class Scalar>
class UpdatedQr {
 public:
  /// Most columns.
  static constexpr index_t limit = 64;

  /// Numbers of memory.
  [[nodiscard]] static constexpr index_t memory(index_t k, index_t most) noexcept {
    return k * most + most * most;
  }

  /// @param memory of memory(k, most) numbers
  /// @param size columns that it has, changed by this object
  UpdatedQr(Scalar* memory, index_t k, index_t most, std::int32_t& size)
      : q_(memory), r_(memory + k * most), k_(k), most_(most), size_(size) {}

  [[nodiscard]] index_t size() const noexcept { return size_; }
  [[nodiscard]] Scalar* q(index_t i) const noexcept { return q_ + i * k_; }
  [[nodiscard]] Scalar& r(index_t i, index_t j) const noexcept { return r_[j * most_ + i]; }

  /// Takes the vector that the caller has written to q(size()), room for which there must
  /// be, as the last column of V: by classical Gram and Schmidt, repeated where a column
  /// loses more than half of its length (Giraud, Langou, Rozložník and van den Eshof 2005).
  /// @return whether it is independent of the others beyond rounding; if not it is left out
  bool append() const {
    Scalar* const v = q(size_);
    Scalar* const column = &r(0, size_);
    std::fill_n(column, most_, Scalar(0));
    const Scalar whole = std::sqrt(dot(v, v, k_));
    if (!(whole > 0) || !std::isfinite(whole)) return false;
    Scalar before = whole;
    for (int pass = 0; pass < 3; ++pass) {
      Scalar h[limit];
      Scalar square = 0;
      dots(q_, k_, size_, v, k_, h);
      for_row_blocks(k_, [&](index_t first, index_t rows) {
        for (index_t i = 0; i < size_; ++i) add_scaled(-h[i], q(i) + first, v + first, rows);
        square += dot(v + first, v + first, rows);
      });
      for (index_t i = 0; i < size_; ++i) column[i] += h[i];
      const Scalar after = std::sqrt(square);
      if (!(after > 16 * std::numeric_limits<Scalar>::epsilon() * whole)) return false;
      if (after > Scalar(0.5) * before || pass == 2) {
        column[size_] = after;
        const Scalar inverse = 1 / after;
        for (index_t i = 0; i < k_; ++i) v[i] *= inverse;
        ++size_;
        return true;
      }
      before = after;
    }
    return false;
  }

  /// Leaves the first column of V out, by rotations of Givens.
  void remove_first() const {
    Scalar cosine[limit];
    Scalar sine[limit];
    for (index_t j = 1; j < size_; ++j) {
      for (index_t i = 0; i <= j; ++i) r(i, j - 1) = r(i, j);
    }
    --size_;
    for (index_t i = 0; i < size_; ++i) {
      const Scalar length = std::hypot(r(i, i), r(i + 1, i));
      cosine[i] = length > 0 ? r(i, i) / length : Scalar(1);
      sine[i] = length > 0 ? r(i + 1, i) / length : Scalar(0);
      r(i, i) = length;
      r(i + 1, i) = 0;
      for (index_t j = i + 1; j < size_; ++j) {
        const Scalar upper = r(i, j);
        const Scalar lower = r(i + 1, j);
        r(i, j) = cosine[i] * upper + sine[i] * lower;
        r(i + 1, j) = cosine[i] * lower - sine[i] * upper;
      }
    }
    for_row_blocks(k_, [&](index_t first, index_t count) {
      for (index_t i = 0; i < size_; ++i) {
        Scalar* const a = q(i) + first;
        Scalar* const b = q(i + 1) + first;
        const Scalar c = cosine[i];
        const Scalar s = sine[i];
        for (index_t e = 0; e < count; ++e) {
          const Scalar upper = a[e];
          const Scalar lower = b[e];
          a[e] = c * upper + s * lower;
          b[e] = c * lower - s * upper;
        }
      }
    });
  }

  /// ‖R‖_F ‖R^-1‖_F, at least the condition number of V. Cost: size³/3 flops.
  [[nodiscard]] Scalar condition() const {
    Scalar norm = 0;
    Scalar inverse = 0;
    Scalar x[limit];
    for (index_t j = 0; j < size_; ++j) {
      for (index_t i = 0; i <= j; ++i) norm += r(i, j) * r(i, j);
      std::fill_n(x, size_, Scalar(0));
      x[j] = 1;
      solve(x, j + 1);
      for (index_t i = 0; i <= j; ++i) inverse += x[i] * x[i];
    }
    return std::sqrt(norm) * std::sqrt(inverse);
  }

  /// x = R^-1 x, of the leading `count` columns.
  void solve(Scalar* x, index_t count) const {
    for (index_t i = count - 1; i >= 0; --i) {
      for (index_t j = i + 1; j < count; ++j) x[i] -= r(i, j) * x[j];
      x[i] /= r(i, i);
    }
  }

  /// Minimises ‖b - V x‖² + λ² ‖R‖²_F ‖x‖² for λ = `regularization`.
  /// @param product Q^T b, overwritten by x
  void least_squares(Scalar* product, Scalar regularization) const {
    if (regularization > 0 && size_ > 0) {
      regularized(product, regularization);
    } else {
      solve(product, size_);
    }
  }

 private:
  void regularized(Scalar* x, Scalar regularization) const {
    Scalar t[limit * limit];
    Scalar norm = 0;
    for (index_t j = 0; j < size_; ++j) {
      for (index_t i = 0; i < size_; ++i) {
        t[j * size_ + i] = i <= j ? r(i, j) : Scalar(0);
        norm += t[j * size_ + i] * t[j * size_ + i];
      }
    }
    const Scalar lambda = regularization * std::sqrt(norm);
    // The rows of λ I are rotated into R one by one.
    for (index_t row = 0; row < size_; ++row) {
      Scalar extra[limit] = {};
      Scalar right = 0;
      extra[row] = lambda;
      for (index_t i = row; i < size_; ++i) {
        const Scalar length = std::hypot(t[i * size_ + i], extra[i]);
        if (!(length > 0)) continue;
        const Scalar c = t[i * size_ + i] / length;
        const Scalar s = extra[i] / length;
        for (index_t j = i; j < size_; ++j) {
          const Scalar upper = t[j * size_ + i];
          t[j * size_ + i] = c * upper + s * extra[j];
          extra[j] = c * extra[j] - s * upper;
        }
        const Scalar upper = x[i];
        x[i] = c * upper + s * right;
        right = c * right - s * upper;
      }
    }
    for (index_t i = size_ - 1; i >= 0; --i) {
      for (index_t j = i + 1; j < size_; ++j) x[i] -= t[j * size_ + i] * x[j];
      x[i] /= t[i * size_ + i];
    }
  }

  Scalar* q_;
  Scalar* r_;
  index_t k_;
  index_t most_;
  std::int32_t& size_;
};

}  // namespace basin::detail
