/// @file
/// What a pursuit on a device keeps of each of its targets, and how it begins and ends.
///
/// All targets that go on have the same number of atoms: they advance by one together. What is kept
/// of a target stays in its place; which targets take part is a list, so that those that have ended
/// leave without anything else being moved.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <basin/backend/cuda/columns.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin::detail {

/// Where a target stands, besides `pursued` and the values of pursuit_status: the Gram matrix does
/// not suffice, and it is pursued again by products with its residual.
inline constexpr std::uint8_t handed_over = 255;

/// Numbers of one target.
struct device_target {
  double norm;         ///< ‖x‖
  double limit;        ///< it ends where ‖x - A γ‖^2 is at most this; 0: not by the residual
  double left;         ///< ‖x‖^2 less what the atoms explain
  double size;         ///< of what correlations are rounded: ‖x‖ + Σ |γ_i|, or ‖x - A γ‖
  double error;        ///< of a correlation in the rounding of the scalar
  double least;        ///< a correlation from here on may be the greatest
  double correlation;  ///< of the chosen atom
  double own;          ///< its square
  double height;       ///< its distance from the span of the others
  double along;        ///< what the residual has in the direction that it adds
  index_t chosen;      ///< -1: all correlations are zero
  index_t count;       ///< of atoms
  int tied;            ///< whether others may correlate as much as the chosen one
  int exact;           ///< whether the residual is computed from the atoms
};

/// Targets and what is kept of them, in device memory. Place p is a target's, k that among those
/// that take part.
template <class Scalar>
struct device_targets {
  device_view<const Scalar> A;  ///< n × d
  device_view<const Scalar> X;  ///< n × places
  index_t most;                 ///< atoms that a target may have
  const index_t* active;        ///< which places take part
  std::uint8_t* state;          ///< a pursuit_status, pursued or handed_over
  device_target* target;
  index_t* support;      ///< most × places
  double* coefficients;  ///< most × places
  double* products;      ///< most × places: of the chosen atom with the support
  double* projections;   ///< most × places: of the chosen atom on an orthonormal basis of its span
  double* squares;       ///< (most + 1) × places: ‖x - A γ‖^2 with 0, 1, ... atoms
  double* factor;        ///< triangles: F = L^-1, see InverseCholesky, column after column
  Scalar* path;          ///< triangles: coefficients with 1, 2, ... atoms; or null

  [[nodiscard]] BASIN_HOST_DEVICE bool goes_on(index_t place) const {
    return state[place] == pursued;
  }
  [[nodiscard]] BASIN_HOST_DEVICE static index_t triangle(index_t n) { return n * (n + 1) / 2; }
  /// Entry (row, column) of F, row >= column: rows are side by side, as the threads of a warp.
  [[nodiscard]] BASIN_HOST_DEVICE double& factor_at(index_t place, index_t row,
                                                    index_t column) const {
    return factor[place * triangle(most) + column * most - triangle(column) + row];
  }
  [[nodiscard]] BASIN_HOST_DEVICE double& square_at(index_t place, index_t atoms) const {
    return squares[place * (most + 1) + atoms];
  }
  /// Row i of x - A γ.
  [[nodiscard]] BASIN_HOST_DEVICE double residual_at(index_t i, index_t place) const {
    double left = static_cast<double>(X(i, place));
    const index_t count = target[place].count, at = place * most;
    for (index_t s = 0; s < count; ++s) {
      left -= coefficients[at + s] * static_cast<double>(A(i, support[at + s]));
    }
    return left;
  }
};

/// Sums in double: what the reductions below share.
struct sum_reduction {
  using value = double;
  [[nodiscard]] BASIN_HOST_DEVICE value begin() const { return 0; }
  [[nodiscard]] BASIN_HOST_DEVICE value merge(value a, value b) const { return a + b; }
};

/// No atoms: over most × active entries.
template <class Scalar>
struct clear_code {
  device_targets<Scalar> s;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t at = s.active[i / s.most] * s.most + i % s.most;
    s.support[at] = -1;
    s.coefficients[at] = 0;
  }
};

/// ‖x‖^2 of every target, and what follows from it.
template <class Scalar>
struct begin_reduction : sum_reduction {
  device_targets<Scalar> s;
  double residual, relative_residual;  ///< of pursuit_options

  [[nodiscard]] BASIN_HOST_DEVICE double entry(index_t i, index_t k) const {
    const auto x = static_cast<double>(s.X(i, s.active[k]));
    return x * x;
  }
  BASIN_HOST_DEVICE void store(index_t k, double square) const {
    const index_t place = s.active[k];
    device_target begun{};
    begun.norm = std::sqrt(square);
    // Beyond the scalar inner products could overflow.
    const bool finite =
        is_finite(square) && begun.norm <= static_cast<double>(std::numeric_limits<Scalar>::max());
    begun.left = square;
    begun.chosen = -1;
    const double by_norm = relative_residual * begun.norm;
    const double tolerance = residual > by_norm ? residual : by_norm;
    begun.limit = tolerance * tolerance;
    s.target[place] = begun;
    s.square_at(place, 0) = finite ? square : std::numeric_limits<double>::quiet_NaN();
    s.state[place] = !finite       ? static_cast<std::uint8_t>(pursuit_status::non_finite)
                     : square == 0 ? static_cast<std::uint8_t>(pursuit_status::zero)
                                   : pursued;
  }
};

/// ‖x - A γ‖^2 of the targets that go on, where it is not known without the atoms, and whether they
/// end by it.
template <class Scalar>
struct residual_reduction : sum_reduction {
  device_targets<Scalar> s;
  index_t atoms;     ///< of each of them
  double* residual;  ///< n × active, written; or null
  Scalar* rounded;   ///< the same in the scalar

  [[nodiscard]] BASIN_HOST_DEVICE double entry(index_t i, index_t k) const {
    const index_t place = s.active[k];
    if (!s.goes_on(place) || (residual == nullptr && s.target[place].exact == 0)) return 0;
    const double left = s.residual_at(i, place);
    if (residual != nullptr) {
      residual[i + k * s.X.rows()] = left;
      rounded[i + k * s.X.rows()] = static_cast<Scalar>(left);
    }
    return left * left;
  }
  BASIN_HOST_DEVICE void store(index_t k, double square) const {
    const index_t place = s.active[k];
    if (!s.goes_on(place)) return;
    const device_target& t = s.target[place];
    if (atoms > 0) s.square_at(place, atoms) = t.exact != 0 ? square : t.left > 0 ? t.left : 0;
    if (t.limit > 0 && s.square_at(place, atoms) <= t.limit) {
      s.state[place] = static_cast<std::uint8_t>(pursuit_status::residual);
    } else if (atoms == s.most) {
      s.state[place] = static_cast<std::uint8_t>(pursuit_status::atoms);
    }
  }
};

/// ‖x - A γ‖^2 of the targets of a block that have ended without it; and no residual on the way is
/// less than what is left at the end, as differences and roundings may be.
template <class Scalar>
struct last_residual_reduction : sum_reduction {
  device_targets<Scalar> s;

  [[nodiscard]] BASIN_HOST_DEVICE bool unknown(index_t place) const {
    return s.target[place].count > 0 && s.target[place].exact == 0;
  }
  [[nodiscard]] BASIN_HOST_DEVICE double entry(index_t i, index_t place) const {
    if (!unknown(place)) return 0;
    const double left = s.residual_at(i, place);
    return left * left;
  }
  BASIN_HOST_DEVICE void store(index_t place, double square) const {
    index_t atoms = s.target[place].count;
    if (unknown(place)) s.square_at(place, atoms) = square;
    for (; atoms > 0; --atoms) {
      const double left = s.square_at(place, atoms);
      if (s.square_at(place, atoms - 1) < left) s.square_at(place, atoms - 1) = left;
    }
  }
};

/// The answer in the scalar: coefficients, and residuals of which the last is repeated. Over
/// (most + 1) × places entries.
template <class Scalar>
struct round_answer {
  device_targets<Scalar> s;
  Scalar* coefficients;  ///< most × places
  Scalar* residuals;     ///< (most + 1) × places
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t place = i / (s.most + 1), row = i % (s.most + 1);
    const index_t count = s.target[place].count;
    residuals[i] = static_cast<Scalar>(std::sqrt(s.square_at(place, row < count ? row : count)));
    if (row < s.most) {
      coefficients[place * s.most + row] =
          static_cast<Scalar>(s.coefficients[place * s.most + row]);
    }
  }
};

}  // namespace basin::detail
