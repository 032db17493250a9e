/// @file
/// A thin QR factorisation whose columns come and go: the least-squares problems of
/// accelerators.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <basin/backend/cpu/lanes.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

/// V = Q R with k × size Q of orthonormal columns and upper triangular R, in memory of the
/// caller. Appending a column costs 4 k size flops, twice that where it is nearly dependent;
/// removing the first 6 k size. Stewart 1998, Matrix Algorithms I, sections 4.1 and 4.3.
///
/// Lanes share the rows of Q. All of them call every function alike, but solve(), which each may
/// call by itself. R is written by one lane.
template <class Scalar, class Lanes = one_lane<Scalar>>
class UpdatedQr {
 public:
  /// Most columns.
  static constexpr index_t limit = 64;

  /// Numbers of memory.
  [[nodiscard]] static constexpr index_t memory(index_t k, index_t most) noexcept {
    return k * most + most * most;
  }
  /// Numbers of scratch memory, for a regularised solution or not.
  [[nodiscard]] static constexpr index_t scratch(index_t most, bool regularized) noexcept {
    return (regularized ? most + 1 : 2) * most;
  }

  /// @param memory of memory(k, most) numbers
  /// @param size columns that it has, changed by this object
  BASIN_HOST_DEVICE UpdatedQr(Lanes& lanes, Scalar* memory, index_t k, index_t most,
                              std::int32_t& size)
      : lanes_(lanes), q_(memory), r_(memory + k * most), k_(k), most_(most), size_(size) {}

  [[nodiscard]] BASIN_HOST_DEVICE index_t size() const noexcept { return size_; }
  [[nodiscard]] BASIN_HOST_DEVICE Scalar* q(index_t i) const noexcept { return q_ + i * k_; }
  [[nodiscard]] BASIN_HOST_DEVICE Scalar& r(index_t i, index_t j) const noexcept {
    return r_[j * most_ + i];
  }

  /// Takes the vector that the caller has written to q(size()), room for which there must
  /// be, as the last column of V: by classical Gram and Schmidt, repeated where a column
  /// loses more than half of its length (Giraud, Langou, Rozložník and van den Eshof 2005).
  /// @return whether it is independent of the others beyond rounding; if not it is left out
  BASIN_HOST_DEVICE bool append() const {
    Scalar* const v = q(size_);
    Scalar* const column = &r(0, size_);
    lanes_.once([&] {
      for (index_t i = 0; i < most_; ++i) column[i] = 0;
    });
    const Scalar whole = std::sqrt(lanes_.dot(v, v, k_));
    if (!(whole > 0) || !is_finite(whole)) return false;
    Scalar before = whole;
    const auto h = lanes_.array(size_);
    for (int pass = 0; pass < 3; ++pass) {
      lanes_.dots(q_, k_, size_, v, k_, h.data());
      Scalar square = 0;
      for_row_blocks(k_, [&](index_t first, index_t rows) {
        for (index_t i = 0; i < size_; ++i) {
          lanes_.add_scaled(-h[i], q(i) + first, v + first, rows);
        }
        square += lanes_.dot(v + first, v + first, rows);
      });
      const Scalar after = std::sqrt(square);
      const bool fits = after > 16 * std::numeric_limits<Scalar>::epsilon() * whole;
      const bool last = fits && (after > Scalar(0.5) * before || pass == 2);
      lanes_.once([&] {
        for (index_t i = 0; i < size_; ++i) column[i] += h[i];
        if (last) column[size_] = after;
      });
      if (!fits) return false;
      if (last) {
        const Scalar inverse = 1 / after;
        lanes_.each(k_, [&](index_t i) { v[i] *= inverse; });
        ++size_;
        return true;
      }
      before = after;
    }
    return false;
  }

  /// Leaves the first column of V out, by rotations of Givens.
  BASIN_HOST_DEVICE void remove_first() const {
    const auto cosine = lanes_.array(size_);
    const auto sine = lanes_.array(size_);
    lanes_.once([&] { rotate_out(cosine.data(), sine.data()); });
    --size_;
    for_row_blocks(k_, [&](index_t first, index_t count) {
      for (index_t i = 0; i < size_; ++i) {
        Scalar* const a = q(i) + first;
        Scalar* const b = q(i + 1) + first;
        const Scalar c = cosine[i];
        const Scalar s = sine[i];
        lanes_.each(count, [&](index_t e) {
          const Scalar upper = a[e];
          const Scalar lower = b[e];
          a[e] = c * upper + s * lower;
          b[e] = c * lower - s * upper;
        });
      }
    });
  }

  /// ‖R‖_F ‖R^-1‖_F, at least the condition number of V. Cost: size³/3 flops; lanes share the
  /// columns.
  [[nodiscard]] BASIN_HOST_DEVICE Scalar condition() const {
    Scalar sums[2] = {0, 0};  // of the squares of R and of its inverse
    lanes_.sum(size_, sums, [&](index_t j, Scalar* s) {
      Scalar x[limit];
      for (index_t i = 0; i <= j; ++i) {
        s[0] += r(i, j) * r(i, j);
        x[i] = i == j ? Scalar(1) : Scalar(0);
      }
      solve(x, j + 1);
      for (index_t i = 0; i <= j; ++i) s[1] += x[i] * x[i];
    });
    return std::sqrt(sums[0]) * std::sqrt(sums[1]);
  }

  /// x = R^-1 x, of the leading `count` columns.
  BASIN_HOST_DEVICE void solve(Scalar* x, index_t count) const {
    for (index_t i = count - 1; i >= 0; --i) {
      for (index_t j = i + 1; j < count; ++j) x[i] -= r(i, j) * x[j];
      x[i] /= r(i, i);
    }
  }

  /// Minimises ‖b - V x‖² + λ² ‖R‖²_F ‖x‖² for λ = `regularization`.
  /// @param product Q^T b, overwritten by x
  BASIN_HOST_DEVICE void least_squares(Scalar* product, Scalar regularization) const {
    if (regularization > 0 && size_ > 0) {
      const auto t = lanes_.array(size_ * size_);
      const auto extra = lanes_.array(size_);
      lanes_.once([&] { regularized(t.data(), extra.data(), product, regularization); });
    } else {
      lanes_.once([&] { solve(product, size_); });
    }
  }

 private:
  /// R without its first column, by rotations of neighbouring rows.
  BASIN_HOST_DEVICE void rotate_out(Scalar* cosine, Scalar* sine) const {
    const index_t left = size_ - 1;
    for (index_t j = 0; j < left; ++j) {
      for (index_t i = 0; i <= j + 1; ++i) r(i, j) = r(i, j + 1);
    }
    for (index_t i = 0; i < left; ++i) {
      const Scalar length = std::hypot(r(i, i), r(i + 1, i));
      cosine[i] = length > 0 ? r(i, i) / length : Scalar(1);
      sine[i] = length > 0 ? r(i + 1, i) / length : Scalar(0);
      r(i, i) = length;
      r(i + 1, i) = 0;
      for (index_t j = i + 1; j < left; ++j) {
        const Scalar upper = r(i, j);
        const Scalar lower = r(i + 1, j);
        r(i, j) = cosine[i] * upper + sine[i] * lower;
        r(i + 1, j) = cosine[i] * lower - sine[i] * upper;
      }
    }
  }

  BASIN_HOST_DEVICE void regularized(Scalar* t, Scalar* extra, Scalar* x,
                                     Scalar regularization) const {
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
      for (index_t i = 0; i < size_; ++i) extra[i] = i == row ? lambda : Scalar(0);
      Scalar right = 0;
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

  Lanes& lanes_;
  Scalar* q_;
  Scalar* r_;
  index_t k_;
  index_t most_;
  std::int32_t& size_;
};

}  // namespace basin::detail
