// Flows with known answers, for the tests of dynamics.
#pragma once

#include <cmath>
#include <limits>

#include <Eigen/Core>

#include <basin/dynamics/flow_solver.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/differentiable.hpp>
#include <basin/map/function_map.hpp>

#include "../solver/maps.hpp"

namespace flows {

using basin::index_t;

// dz/dt = (z_2, -z_1) turned by `speed`.
inline auto oscillator(double speed = 1) {
  return basin::differentiable<2>([speed](const auto& z, auto& f) {
    using scalar = std::decay_t<decltype(f[0])>;
    f[0] = z[0] + scalar(speed) * z[1];
    f[1] = z[1] - scalar(speed) * z[0];
  });
}
inline Eigen::Vector2d oscillator_at(const Eigen::Vector2d& z, double t) {
  return {std::cos(t) * z[0] + std::sin(t) * z[1], std::cos(t) * z[1] - std::sin(t) * z[0]};
}

// dz/dt = z (1 - z).
inline auto logistic() {
  return basin::differentiable<1>(
      [](const auto& z, auto& f) { f[0] = z[0] + z[0] * (1.0 - z[0]); });
}
inline double logistic_at(double z, double t) { return 1 / (1 + (1 / z - 1) * std::exp(-t)); }

// An oscillator and a logistic beside it: R^3, not linear, with a known answer.
inline auto both() {
  return basin::differentiable<3>([](const auto& z, auto& f) {
    f[0] = z[0] + z[1];
    f[1] = z[1] - z[0];
    f[2] = z[2] + z[2] * (1.0 - z[2]);
  });
}
inline Eigen::Vector3d both_at(const Eigen::Vector3d& z, double t) {
  Eigen::Vector3d at;
  at << oscillator_at(z.head<2>(), t), logistic_at(z[2], t);
  return at;
}

// dz_1/dt = -z_2 z_1 with its own rate z_2 in each column.
inline auto decay() {
  return basin::columnwise<2>([](const auto& z, auto& f) {
    f[0] = z[0] - z[1] * z[0];
    f[1] = z[1];
  });
}

// Van der Pol's oscillator.
inline auto van_der_pol(double mu) {
  return basin::differentiable<2>([mu](const auto& z, auto& f) {
    using scalar = std::decay_t<decltype(f[0])>;
    f[0] = z[0] + z[1];
    f[1] = z[1] + scalar(mu) * ((scalar(1) - z[0] * z[0]) * z[1]) - z[0];
  });
}

inline bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

// Column i of a and column j of b, to the bit.
template <class Result>
void require_same_column(const Result& a, index_t i, const Result& b, index_t j) {
  const auto x = static_cast<std::size_t>(i);
  const auto y = static_cast<std::size_t>(j);
  REQUIRE(a.status[x] == b.status[y]);
  REQUIRE(a.time[x] == b.time[y]);
  REQUIRE(a.accepted[x] == b.accepted[y]);
  REQUIRE(a.rejected[x] == b.rejected[y]);
  REQUIRE(a.evaluations[x] == b.evaluations[y]);
  REQUIRE(a.products[x] == b.products[y]);
  REQUIRE(a.attractor[x] == b.attractor[y]);
  REQUIRE(same(static_cast<double>(a.residual[x]), static_cast<double>(b.residual[y])));
  for (index_t r = 0; r < a.states.rows(); ++r) {
    REQUIRE(same(static_cast<double>(a.states(r, i)), static_cast<double>(b.states(r, j))));
  }
}

}  // namespace flows
