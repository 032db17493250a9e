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
#include <basin/core/host_device.hpp>
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

  [[nodiscard]] index_t scratch(index_t) const { return window; }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void advance(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                 Scalar* f, index_t k) const {
    const parts<Scalar> at(*this, memory, k);
    Scalar* const r = f;  // f(z) is z + r
    lanes.each(k, [&](index_t i) { r[i] = f[i] - z[i]; });
    if (c.started) {
      update(lanes, c, at, z, r, k);
    } else {
      c.least = std::numeric_limits<Scalar>::infinity();
    }
    c.started = true;
    lanes.copy(z, k, at.z);
    lanes.copy(r, k, at.r);
    c.accelerated = c.size > 0;
    multiply(lanes, at.us, at.ws, c.size, r, k);
    lanes.each(k, [&](index_t i) { z[i] -= r[i]; });
  }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE bool review(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                Scalar* f, index_t k, Scalar residual) const {
    const auto most = static_cast<Scalar>(growth * growth);
    const bool bad = !is_finite(residual) || residual / most > c.least;
    if (!bad || !c.accelerated) {
      if (is_finite(residual)) c.least = std::min(c.least, residual);
      return false;
    }
    const parts<Scalar> at(*this, memory, k);
    lanes.each(k, [&](index_t i) {
      z[i] = at.z[i];
      f[i] = at.z[i] + at.r[i];
    });
    c = {};
    return true;
  }

 private:
  /// H = -I + Σ u_i w_i^T, and the latest state with its residual.
  template <class Scalar>
  struct parts {
    BASIN_HOST_DEVICE parts(const broyden& a, Scalar* memory, index_t k)
        : us(memory), ws(us + a.window * k), z(ws + a.window * k), r(z + k) {}
    Scalar* us;
    Scalar* ws;
    Scalar* z;
    Scalar* r;
  };

  /// x = (-I + Σ u_i w_i^T) x of some updates: H x, and H^T x where u and w change places.
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE static void multiply(Lanes& lanes, const Scalar* us, const Scalar* ws,
                                         index_t size, Scalar* x, index_t k) {
    const auto along = lanes.array(size);
    lanes.dots(ws, k, size, x, k, along.data());
    lanes.each(k, [&](index_t e) { x[e] = -x[e]; });
    for (index_t i = 0; i < size; ++i) lanes.add_scaled(along[i], us + i * k, x, k);
  }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void update(Lanes& lanes, record<Scalar>& c, const parts<Scalar>& at,
                                const Scalar* z, const Scalar* r, index_t k) const {
    if (c.size == window) c.size = 0;
    Scalar* const u = at.us + c.size * k;
    Scalar* const w = at.ws + c.size * k;
    // The arrays of the state before become the step and the change of the residual.
    lanes.each(k, [&](index_t i) {
      at.z[i] = z[i] - at.z[i];
      at.r[i] = r[i] - at.r[i];
    });
    lanes.copy(at.r, k, u);
    multiply(lanes, at.us, at.ws, c.size, u, k);
    lanes.each(k, [&](index_t i) { u[i] = at.z[i] - u[i]; });
    if (type == broyden_type::good) {
      lanes.copy(at.z, k, w);
      multiply(lanes, at.ws, at.us, c.size, w, k);
    } else {
      lanes.copy(at.r, k, w);
    }
    const Scalar denominator = lanes.dot(w, at.r, k);
    const Scalar size = std::sqrt(lanes.dot(w, w, k) * lanes.dot(at.r, at.r, k));
    // Nearly orthogonal: the update would be of any size.
    if (!(std::abs(denominator) > 16 * std::numeric_limits<Scalar>::epsilon() * size)) return;
    lanes.each(k, [&](index_t i) { u[i] /= denominator; });
    ++c.size;
  }
};

}  // namespace basin
