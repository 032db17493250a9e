/// @file
/// Correlations of atoms with residuals on a device, and the choice of the greatest.
///
/// Correlations are made in the scalar, for all atoms and targets. Those are rounded in an order
/// that may hang on the batch, so they only choose: where a second atom is within a bound of all
/// roundings of the first, those that may be the greatest are asked again in double, in one order.
/// The choice then depends on the target alone. An atom of the support correlates by rounding only:
/// where it is the greatest nothing is left to explain, as the decision behind the choice says.
#pragma once

#include <cmath>
#include <limits>

#include <basin/backend/cuda/columns.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/sparse/cuda/targets.hpp>

namespace basin::detail {

/// Correlations by the Gram matrix: ⟨a_j, x⟩ - Σ_i G(j, S_i) γ_i.
template <class Scalar>
struct gram_correlations {
  static constexpr bool by_gram = true;
  device_targets<Scalar> s;
  device_view<const Scalar> G;  ///< d × d

  /// The size of what is summed up: its roundings are in relation to that.
  [[nodiscard]] BASIN_HOST_DEVICE double size(index_t place, index_t atoms) const {
    double sum = s.target[place].norm;
    for (index_t i = 0; i < atoms; ++i) sum += std::abs(s.coefficients[place * s.most + i]);
    return sum;
  }
  [[nodiscard]] BASIN_HOST_DEVICE double operator()(index_t j, index_t k) const {
    const index_t place = s.active[k], at = place * s.most;
    double sum = 0;
    for (index_t i = 0; i < s.A.rows(); ++i) {
      sum += static_cast<double>(s.A(i, j)) * static_cast<double>(s.X(i, place));
    }
    const index_t count = s.target[place].count;
    for (index_t i = 0; i < count; ++i) {
      sum -= s.coefficients[at + i] * static_cast<double>(G(j, s.support[at + i]));
    }
    return sum;
  }
};

/// Correlations with the residual itself.
template <class Scalar>
struct direct_correlations {
  static constexpr bool by_gram = false;
  device_targets<Scalar> s;
  const double* residual;  ///< n × active

  [[nodiscard]] BASIN_HOST_DEVICE double size(index_t place, index_t atoms) const {
    return std::sqrt(s.square_at(place, atoms));
  }
  [[nodiscard]] BASIN_HOST_DEVICE double operator()(index_t j, index_t k) const {
    double sum = 0;
    for (index_t i = 0; i < s.A.rows(); ++i) {
      sum += static_cast<double>(s.A(i, j)) * residual[i + k * s.A.rows()];
    }
    return sum;
  }
};

/// C = B - G_S γ, over d × active entries: neighbours in a column of G are neighbours in a warp.
template <class Scalar>
struct correlate_by_gram {
  device_targets<Scalar> s;
  device_view<const Scalar> G, B;
  device_view<Scalar> C;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t k = i / G.rows(), j = i - k * G.rows(), place = s.active[k];
    if (!s.goes_on(place)) return;
    const index_t count = s.target[place].count, at = place * s.most;
    Scalar c = B(j, place);
    for (index_t r = 0; r < count; ++r) {
      c -= G(j, s.support[at + r]) * static_cast<Scalar>(s.coefficients[at + r]);
    }
    C(j, k) = c;
  }
};

/// The greatest of some correlations and the second.
template <class Scalar>
struct leading_atom {
  Scalar first, second;
  index_t atom;  ///< -1: all are zero
};

/// The atom of greatest |C|, the first of equal ones, and whether others may be as great.
template <class Scalar, class Correlations>
struct choice_reduction {
  using value = leading_atom<Scalar>;
  Correlations exactly;
  device_view<const Scalar> C;
  index_t atoms;

  [[nodiscard]] BASIN_HOST_DEVICE value begin() const { return {0, 0, -1}; }
  [[nodiscard]] BASIN_HOST_DEVICE value entry(index_t j, index_t k) const {
    if (!exactly.s.goes_on(exactly.s.active[k])) return begin();
    const Scalar c = std::abs(C(j, k));
    return c > 0 ? value{c, 0, j} : begin();
  }
  [[nodiscard]] BASIN_HOST_DEVICE value merge(value a, value b) const {
    const bool other = b.first > a.first || (b.first == a.first && b.atom >= 0 && b.atom < a.atom);
    const value& most = other ? b : a;
    const Scalar second = other ? a.first : b.first;
    return {most.first, second > most.second ? second : most.second, most.atom};
  }
  BASIN_HOST_DEVICE void store(index_t k, value v) const {
    const index_t place = exactly.s.active[k];
    if (!exactly.s.goes_on(place)) return;
    device_target& t = exactly.s.target[place];
    t.chosen = v.atom;
    t.size = exactly.size(place, atoms);
    // Roundings of a sum add up like the square root of its length (Higham and Mary 2019).
    const auto terms = static_cast<double>(exactly.s.A.rows() + atoms + 8);
    t.error = 2 * std::sqrt(terms) * std::numeric_limits<Scalar>::epsilon() * t.size;
    t.least = static_cast<double>(v.first) - 2 * t.error;
    t.tied = v.atom >= 0 && static_cast<double>(v.second) >= t.least ? 1 : 0;
  }
};

/// An atom and its |correlation| in double.
struct exact_atom {
  double correlation;
  index_t atom;  ///< -1: none
};

/// Of atoms that tie within rounding the one of greatest correlation in double, the first of equal
/// ones.
template <class Scalar, class Correlations>
struct tie_reduction {
  using value = exact_atom;
  Correlations exactly;
  device_view<const Scalar> C;

  [[nodiscard]] BASIN_HOST_DEVICE value begin() const { return {0, -1}; }
  [[nodiscard]] BASIN_HOST_DEVICE value entry(index_t j, index_t k) const {
    const index_t place = exactly.s.active[k];
    if (!exactly.s.goes_on(place) || exactly.s.target[place].tied == 0) return begin();
    const auto c = static_cast<double>(std::abs(C(j, k)));
    if (!(c > 0) || c < exactly.s.target[place].least) return begin();
    return {std::abs(exactly(j, k)), j};
  }
  [[nodiscard]] BASIN_HOST_DEVICE value merge(value a, value b) const {
    const bool other =
        a.atom < 0 || (b.atom >= 0 && (b.correlation > a.correlation ||
                                       (b.correlation == a.correlation && b.atom < a.atom)));
    return other ? b : a;
  }
  BASIN_HOST_DEVICE void store(index_t k, value v) const {
    const index_t place = exactly.s.active[k];
    if (exactly.s.goes_on(place) && v.atom >= 0) exactly.s.target[place].chosen = v.atom;
  }
};

}  // namespace basin::detail
