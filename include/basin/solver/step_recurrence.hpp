/// @file
/// A linear recurrence through the steps of a trajectory.
#pragma once

#include <cmath>

#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/solver/acceleration_report.hpp>

namespace basin::detail {

/// r_{t+1} = first r_t + second r_{t-1}, for the steps r_t = f(z_t) - z_t of a trajectory:
/// exact where they are made of two modes of a linear map, a good approximation where a
/// trajectory drifts along a slow curve.
struct step_recurrence {
  double first = 1;
  double second = 0;

  /// The recurrence that fits r = first r1 + second r2 and, where `with_third`,
  /// r1 = first r2 + second r3 best; of one term where the two are nearly parallel.
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE static step_recurrence fit(Lanes& lanes, const Scalar* r, const Scalar* r1,
                                               const Scalar* r2, const Scalar* r3, bool with_third,
                                               index_t k) {
    const auto product = [&](const Scalar* x, const Scalar* y) {
      return static_cast<double>(lanes.dot(x, y, k));
    };
    double g11 = product(r1, r1);
    double g12 = product(r1, r2);
    double g22 = product(r2, r2);
    double y1 = product(r, r1);
    double y2 = product(r, r2);
    if (with_third) {
      g11 += g22;
      y1 += g12;
      g12 += product(r2, r3);
      y2 += product(r1, r3);
      g22 += product(r3, r3);
    }
    const double determinant = g11 * g22 - g12 * g12;
    constexpr double parallel = 1e-9;
    if (determinant > parallel * g11 * g22) {
      return {(y1 * g22 - y2 * g12) / determinant, (y2 * g11 - y1 * g12) / determinant};
    }
    return {y1 / g11, 0};
  }

  /// The recurrence of one term that fits r = first r1 best.
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE static step_recurrence fit(Lanes& lanes, const Scalar* r, const Scalar* r1,
                                               index_t k) {
    return {static_cast<double>(lanes.dot(r, r1, k)) / static_cast<double>(lanes.dot(r1, r1, k)),
            0};
  }

  /// (‖first r1 + second r2 - r‖ - noise) / ‖r‖.
  template <class Lanes, class Scalar>
  [[nodiscard]] BASIN_HOST_DEVICE double error(Lanes& lanes, const Scalar* r, const Scalar* r1,
                                               const Scalar* r2, double noise, index_t k) const {
    double square[1] = {0};
    lanes.sum(k, square, [&](index_t i, double* sum) {
      const double e = first * static_cast<double>(r1[i]) + second * static_cast<double>(r2[i]) -
                       static_cast<double>(r[i]);
      sum[0] += e * e;
    });
    return (std::sqrt(square[0]) - noise) / std::sqrt(static_cast<double>(lanes.dot(r, r, k)));
  }

  /// Largest modulus of the roots of x² = first x + second: the rate of the slower mode.
  [[nodiscard]] BASIN_HOST_DEVICE double rate() const {
    const double discriminant = first * first / 4 + second;
    return discriminant >= 0 ? std::abs(first / 2) + std::sqrt(discriminant) : std::sqrt(-second);
  }

  /// Of the roots where they are a complex pair, else 0.
  [[nodiscard]] BASIN_HOST_DEVICE double angle() const {
    const double discriminant = first * first / 4 + second;
    return discriminant < 0 ? std::atan2(std::sqrt(-discriminant), first / 2) : 0.0;
  }

  /// What it shows of the map's slowest modes.
  /// @param foretells whether the steps follow it
  /// @param slow the rate below which a mode is fast
  [[nodiscard]] BASIN_HOST_DEVICE dominant_modes modes(bool foretells, double slow) const {
    if (!foretells) return dominant_modes::many;
    if (rate() < slow) return dominant_modes::fast;
    const double discriminant = first * first / 4 + second;
    if (discriminant < 0) return dominant_modes::pair;
    // The other root is negligible where it decays twice as fast.
    const double other = std::abs(std::abs(first / 2) - std::sqrt(discriminant));
    return other < rate() * rate() ? dominant_modes::one_real : dominant_modes::two_real;
  }

  /// Whether every mode of it decays without turning: real roots in [0, 1), or one of them
  /// above -1/2, which is soon gone.
  [[nodiscard]] BASIN_HOST_DEVICE bool is_monotone() const {
    const double discriminant = first * first / 4 + second;
    if (!(discriminant >= 0)) return false;
    const double half = std::sqrt(discriminant);
    return first / 2 + half < 1 && first / 2 - half > -0.5;
  }

  /// Of r_t and r_{t-1} in r_{t+h} and in r_t + ... + r_{t+h-1}.
  struct weights {
    double now = 1, before = 0;          ///< in r_{t+h}
    double sum_now = 0, sum_before = 0;  ///< in the sum: what z moves by in h steps
  };
  [[nodiscard]] BASIN_HOST_DEVICE weights after(index_t h) const {
    weights w;
    for (index_t i = 0; i < h; ++i) {
      w.sum_now += w.now;
      w.sum_before += w.before;
      const double now = first * w.now + w.before;
      w.before = second * w.now;
      w.now = now;
    }
    return w;
  }
};

}  // namespace basin::detail
