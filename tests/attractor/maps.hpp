// Maps whose attractors are known.
#pragma once

#include <cmath>

#include <basin/map/differentiable.hpp>

namespace maps {

// Attracting fixed points at -1 and 1 with rates that differ, and a saddle at 0.
inline auto two_wells() {
  return basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = z[0] + 0.25f * z[0] * (1.0f - z[0] * z[0]);
    f[1] = 0.25f * z[1] + 0.125f * z[0];
  });
}

// Half the way to the circle of radius 1 at each step.
inline auto to_circle() {
  return basin::differentiable<2>([](const auto& z, auto& f) {
    using std::sqrt;
    const auto norm = sqrt(z[0] * z[0] + z[1] * z[1]);
    f[0] = 0.5f * z[0] + 0.5f * z[0] / norm;
    f[1] = 0.5f * z[1] + 0.5f * z[1] / norm;
  });
}

}  // namespace maps
