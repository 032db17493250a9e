/// @file
/// The states between the ends of a step, for one column.
#pragma once

#include <cmath>

#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/flow_method.hpp>

namespace basin::detail {

/// p(θ) = a0 z0 + a1 z1 + b0 v0 + b1 v1 + m mid, with v = h (f - z).
template <class Scalar>
struct interpolation_weights {
  Scalar a0, a1, b0, b1, m;
};

/// The weights of p(θ). At 0 and at 1 they give exactly the ends.
template <class Scalar>
[[nodiscard]] BASIN_HOST_DEVICE interpolation_weights<Scalar> value_weights(flow_interpolation kind,
                                                                            double t) {
  if (kind == flow_interpolation::linear) {
    return {static_cast<Scalar>(1 - t), static_cast<Scalar>(t), 0, 0, 0};
  }
  const double s = kind == flow_interpolation::quartic ? 16 * t * t * (1 - t) * (1 - t) : 0;
  const double a1 = t * t * (3 - 2 * t);
  return {static_cast<Scalar>(1 - a1 - s / 2), static_cast<Scalar>(a1 - s / 2),
          static_cast<Scalar>(t * (1 - t) * (1 - t) - s / 8),
          static_cast<Scalar>(t * t * (t - 1) + s / 8), static_cast<Scalar>(s)};
}

/// The weights of dp/dθ.
template <class Scalar>
[[nodiscard]] BASIN_HOST_DEVICE interpolation_weights<Scalar> slope_weights(flow_interpolation kind,
                                                                            double t) {
  if (kind == flow_interpolation::linear) return {-1, 1, 0, 0, 0};
  const double s = kind == flow_interpolation::quartic ? 32 * t * (1 - t) * (1 - 2 * t) : 0;
  const double a1 = 6 * t * (1 - t);
  return {static_cast<Scalar>(-a1 - s / 2), static_cast<Scalar>(a1 - s / 2),
          static_cast<Scalar>((1 - t) * (1 - 3 * t) - s / 8),
          static_cast<Scalar>(t * (3 * t - 2) + s / 8), static_cast<Scalar>(s)};
}

/// One step of one column. Where `mid` is null, `kind` is not quartic.
template <class Scalar>
struct interpolant {
  flow_interpolation kind;
  index_t k;
  Scalar h;
  const Scalar* z0;
  const Scalar* f0;
  const Scalar* z1;
  const Scalar* f1;
  const Scalar* mid;

  BASIN_HOST_DEVICE Scalar entry(const interpolation_weights<Scalar>& w, index_t i) const {
    const Scalar sum =
        w.a0 * z0[i] + w.a1 * z1[i] + w.b0 * (h * (f0[i] - z0[i])) + w.b1 * (h * (f1[i] - z1[i]));
    return mid != nullptr ? sum + w.m * mid[i] : sum;
  }

  /// Length of the path from θ = a to b, by Gauss and Legendre's rule of four points.
  [[nodiscard]] BASIN_HOST_DEVICE double length(double a, double b) const {
    constexpr double node[4] = {-0.86113631159405257522, -0.33998104358485626480,
                                0.33998104358485626480, 0.86113631159405257522};
    constexpr double weight[4] = {0.34785484513745385737, 0.65214515486254614263,
                                  0.65214515486254614263, 0.34785484513745385737};
    double sum = 0;
    for (int q = 0; q < 4; ++q) {
      const auto w = slope_weights<Scalar>(kind, a + (b - a) * (node[q] + 1) / 2);
      const auto square = lane_sum<Scalar>(k, [&](index_t i) {
        const Scalar slope = entry(w, i);
        return slope * slope;
      });
      sum += weight[q] * std::sqrt(static_cast<double>(square));
    }
    return sum * (b - a) / 2;
  }
};

}  // namespace basin::detail
