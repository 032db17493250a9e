/// @file
/// Broyden's methods with limited memory.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/solver/column_accelerator.hpp>
#include <basin/solver/updated_qr.hpp>

namespace basin {

/// Which of Broyden's two updates.
enum class broyden_type {
  good,  ///< the change of the Jacobian's approximation is least
  bad,   ///< the change of its inverse's is least
};

/// Broyden's method (1965) for r(z) = f(z) - z = 0: z_{t+1} = z_t - H_t r_t, where H
/// approximates the inverse of r's Jacobian, from H_0 = -I by updates of rank one:
/// H += (s - H y) w^T / <w, y> with s the step, y the change of r and w = H^T s (good) or
/// w = y (bad). At most `window` updates are kept; then history begins anew (Kelley 1995,
/// chapter 7). A step after which the residual has grown beyond `growth`, or f is not finite,
/// is taken back: history is forgotten and f(z) taken.
///
/// It finds fixed points, not attractors, see basin_preserving.hpp.
///
/// Memory: 2 k (window + 1) numbers a column. Cost of a step: some 8 k window flops, good; 6
/// k window, bad.
struct broyden {
  index_t window = 16;  ///< updates that are kept, 1 ... 64
  broyden_type type = broyden_type::good;
  double growth = 10;  ///< largest growth of the residual by a step; more than 1

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(window >= 1 && window <= detail::UpdatedQr<double>::limit, "broyden",
            "window is " + std::to_string(window) + ", must be in 1 ... 64");
    require(growth > 1, "broyden", "growth must be more than 1");
  }
  template <class Visit>
  void each_setting(Visit&& visit) const {
    visit(window), visit(type), visit(growth);
  }

  template <class Scalar>
  struct record {
    bool started = false;                                    ///< there is an earlier state
    bool accelerated = false;                                ///< the latest step is not f(z)
    std::int32_t size = 0;                                   ///< updates
    Scalar least = std::numeric_limits<Scalar>::infinity();  ///< squared residual
  };
  [[nodiscard]] index_t memory(index_t k) const { return 2 * k * (window + 1); }

  template <class Scalar>
  void advance(record<Scalar>& c, Scalar* memory, Scalar* z, Scalar* f, index_t k) const {
    const parts<Scalar> at(*this, memory, k);
    Scalar* const r = f;  // f(z) is z + r
    for (index_t i = 0; i < k; ++i) r[i] = f[i] - z[i];
    if (c.started) {
      update(c, at, z, r);
    } else {
      c.least = std::numeric_limits<Scalar>::infinity();
    }
    c.started = true;
    std::copy_n(z, k, at.z);
    std::copy_n(r, k, at.r);
    c.accelerated = c.size > 0;
    multiply(c, at, r);
    for (index_t i = 0; i < k; ++i) z[i] -= r[i];
  }

  template <class Scalar>
  bool review(record<Scalar>& c, Scalar* memory, Scalar* z, Scalar* f, index_t k,
              Scalar residual) const {
    const auto most = static_cast<Scalar>(growth * growth);
    const bool bad = !is_finite(residual) || residual / most > c.least;
    if (!bad || !c.accelerated) {
      if (is_finite(residual)) c.least = std::min(c.least, residual);
      return false;
    }
    const parts<Scalar> at(*this, memory, k);
    for (index_t i = 0; i < k; ++i) {
      z[i] = at.z[i];
      f[i] = at.z[i] + at.r[i];
    }
    c = {};
    return true;
  }

 private:
  /// H = -I + Σ u_i w_i^T, and the latest state with its residual.
  template <class Scalar>
  struct parts {
    parts(const broyden& a, Scalar* memory, index_t k_)
        : k(k_), us(memory), ws(us + a.window * k_), z(ws + a.window * k_), r(z + k_) {}
    [[nodiscard]] Scalar* u(index_t i) const { return us + i * k; }
    [[nodiscard]] Scalar* w(index_t i) const { return ws + i * k; }
    index_t k;
    Scalar* us;
    Scalar* ws;
    Scalar* z;
    Scalar* r;
  };

  /// x = H x.
  template <class Scalar>
  static void multiply(const record<Scalar>& c, const parts<Scalar>& at, Scalar* x) {
    Scalar along[detail::UpdatedQr<Scalar>::limit];
    for (index_t i = 0; i < c.size; ++i) along[i] = detail::dot(at.w(i), x, at.k);
    for (index_t e = 0; e < at.k; ++e) x[e] = -x[e];
    for (index_t i = 0; i < c.size; ++i) detail::add_scaled(along[i], at.u(i), x, at.k);
  }
  /// x = H^T x.
  template <class Scalar>
  static void multiply_transposed(const record<Scalar>& c, const parts<Scalar>& at, Scalar* x) {
    Scalar along[detail::UpdatedQr<Scalar>::limit];
    for (index_t i = 0; i < c.size; ++i) along[i] = detail::dot(at.u(i), x, at.k);
    for (index_t e = 0; e < at.k; ++e) x[e] = -x[e];
    for (index_t i = 0; i < c.size; ++i) detail::add_scaled(along[i], at.w(i), x, at.k);
  }

  template <class Scalar>
  void update(record<Scalar>& c, const parts<Scalar>& at, const Scalar* z, const Scalar* r) const {
    if (c.size == window) c.size = 0;
    Scalar* const u = at.u(c.size);
    Scalar* const w = at.w(c.size);
    // The arrays of the state before become the step and the change of the residual.
    for (index_t i = 0; i < at.k; ++i) {
      at.z[i] = z[i] - at.z[i];
      at.r[i] = r[i] - at.r[i];
    }
    std::copy_n(at.r, at.k, u);
    multiply(c, at, u);
    for (index_t i = 0; i < at.k; ++i) u[i] = at.z[i] - u[i];
    if (type == broyden_type::good) {
      std::copy_n(at.z, at.k, w);
      multiply_transposed(c, at, w);
    } else {
      std::copy_n(at.r, at.k, w);
    }
    const Scalar denominator = detail::dot(w, at.r, at.k);
    const Scalar size = std::sqrt(detail::dot(w, w, at.k) * detail::dot(at.r, at.r, at.k));
    // Nearly orthogonal: the update would be of any size.
    if (!(std::abs(denominator) > 16 * std::numeric_limits<Scalar>::epsilon() * size)) return;
    for (index_t i = 0; i < at.k; ++i) u[i] /= denominator;
    ++c.size;
  }
};

}  // namespace basin
