/// @file
/// Least squares on a support that grows by one atom, for many targets on a device: by the inverse
/// of the Cholesky factor, as detail::InverseCholesky, in double.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <basin/backend/cuda/columns.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/sparse/cuda/targets.hpp>
#include <basin/sparse/gram_pursuit.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin::detail {

/// Products of the chosen atom with the support by the Gram matrix, over atoms × active entries.
template <class Scalar>
struct gram_product {
  device_targets<Scalar> s;
  device_view<const Scalar> G;
  index_t atoms;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t place = s.active[i / atoms], chosen = s.target[place].chosen;
    if (!s.goes_on(place) || chosen < 0) return;
    const index_t at = place * s.most + i % atoms;
    s.products[at] = static_cast<double>(G(s.support[at], chosen));
  }
};

/// The product of the chosen atom with the target, in double.
template <class Scalar>
struct target_product_reduction : sum_reduction {
  device_targets<Scalar> s;
  device_view<const Scalar> G;
  [[nodiscard]] BASIN_HOST_DEVICE double entry(index_t i, index_t k) const {
    const index_t place = s.active[k], chosen = s.target[place].chosen;
    if (!s.goes_on(place) || chosen < 0) return 0;
    return static_cast<double>(s.A(i, chosen)) * static_cast<double>(s.X(i, place));
  }
  BASIN_HOST_DEVICE void store(index_t k, double product) const {
    const index_t place = s.active[k], chosen = s.target[place].chosen;
    if (!s.goes_on(place) || chosen < 0) return;
    s.target[place].correlation = product;
    s.target[place].own = static_cast<double>(G(chosen, chosen));
  }
};

/// Products of the chosen atom with the support, itself and the residual from the atoms, in double:
/// (atoms + 2) × active sums.
template <class Scalar>
struct atom_product_reduction : sum_reduction {
  device_targets<Scalar> s;
  const double* residual;  ///< n × active
  index_t atoms;
  [[nodiscard]] BASIN_HOST_DEVICE double entry(index_t i, index_t column) const {
    const index_t k = column / (atoms + 2), row = column % (atoms + 2), place = s.active[k];
    const index_t chosen = s.target[place].chosen;
    if (!s.goes_on(place) || chosen < 0) return 0;
    const auto a = static_cast<double>(s.A(i, chosen));
    if (row == atoms) return a * a;
    if (row > atoms) return a * residual[i + k * s.A.rows()];
    return a * static_cast<double>(s.A(i, s.support[place * s.most + row]));
  }
  BASIN_HOST_DEVICE void store(index_t column, double product) const {
    const index_t k = column / (atoms + 2), row = column % (atoms + 2), place = s.active[k];
    if (!s.goes_on(place)) return;
    if (row < atoms) {
      s.products[place * s.most + row] = product;
    } else if (row == atoms) {
      s.target[place].own = product;
    } else {
      s.target[place].correlation = product;
    }
  }
};

/// Projections w = F g of the chosen atom on the basis, over atoms × active entries.
template <class Scalar>
struct project_on_basis {
  device_targets<Scalar> s;
  index_t atoms;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t place = s.active[i / atoms], row = i % atoms;
    if (!s.goes_on(place) || s.target[place].chosen < 0) return;
    double sum = 0;
    for (index_t c = 0; c <= row; ++c) {
      sum += s.factor_at(place, row, c) * s.products[place * s.most + c];
    }
    s.projections[place * s.most + row] = sum;
  }
};

/// What the atoms of a support have of the chosen one, and of its correlation with the target.
struct share_of_support {
  double within;     ///< ‖w‖^2
  double explained;  ///< Σ g_i γ_i
};

/// Whether the chosen atom joins, or why the target ends: sums over the rows of the support.
template <class Scalar, bool ByGram>
struct decision_reduction {
  using value = share_of_support;
  device_targets<Scalar> s;
  index_t atoms;

  [[nodiscard]] BASIN_HOST_DEVICE value begin() const { return {0, 0}; }
  [[nodiscard]] BASIN_HOST_DEVICE value entry(index_t row, index_t k) const {
    const index_t place = s.active[k], at = place * s.most + row;
    if (!s.goes_on(place) || s.target[place].chosen < 0) return begin();
    const double w = s.projections[at];
    return {w * w, ByGram ? s.products[at] * s.coefficients[at] : 0};
  }
  [[nodiscard]] BASIN_HOST_DEVICE value merge(value a, value b) const {
    return {a.within + b.within, a.explained + b.explained};
  }
  BASIN_HOST_DEVICE void store(index_t k, value share) const {
    const index_t place = s.active[k];
    if (!s.goes_on(place)) return;
    device_target& t = s.target[place];
    t.correlation -= share.explained;
    const double height2 = t.own - share.within;
    t.height = height2 > 0 ? std::sqrt(height2) : 0;
    const std::uint8_t after = next(t);
    s.state[place] = after;
    if (after != pursued) return;
    s.support[place * s.most + atoms] = t.chosen;
    t.count = atoms + 1;
    t.along = t.correlation / t.height;
    t.left -= t.along * t.along;
    t.exact = asks_atoms(t) ? 1 : 0;
  }

 private:
  static constexpr double rounding = std::numeric_limits<Scalar>::epsilon();

  [[nodiscard]] BASIN_HOST_DEVICE static std::uint8_t next(const device_target& t) {
    constexpr auto explained = static_cast<std::uint8_t>(pursuit_status::explained);
    const double magnitude = std::abs(t.correlation);
    if (t.chosen < 0 || magnitude <= rounding * (ByGram ? t.size : t.norm)) return explained;
    if constexpr (ByGram) {
      // Near the span of the others, or large coefficients that cancel.
      return t.height >= steep && magnitude >= 8 * t.error ? pursued : handed_over;
    } else {
      return t.height > 1e-7 ? pursued : static_cast<std::uint8_t>(pursuit_status::dependent);
    }
  }
  /// Whether ‖x‖^2 less the explained does not tell the residual, where it matters on the way.
  [[nodiscard]] BASIN_HOST_DEVICE bool asks_atoms(const device_target& t) const {
    if constexpr (ByGram) {
      const double square = t.norm * t.norm;
      const double lost = 4 * rounding * static_cast<double>(atoms + 1) * square;
      const bool near = t.left <= t.limit * (1 + 1e-3) + lost || t.left < 1e-2 * square;
      return near && (t.limit > 0 || s.path != nullptr);
    } else {
      return true;
    }
  }
};

/// The new row of F, -F'w / height and 1 / height, and the coefficients by it: (atoms + 1) × active
/// sums over the rows of the support.
template <class Scalar>
struct extension_reduction : sum_reduction {
  device_targets<Scalar> s;
  index_t atoms;  ///< before the newcomer
  [[nodiscard]] BASIN_HOST_DEVICE double entry(index_t row, index_t column) const {
    const index_t place = s.active[column / (atoms + 1)], i = column % (atoms + 1);
    if (!s.goes_on(place) || row < i) return 0;
    return s.factor_at(place, row, i) * s.projections[place * s.most + row];
  }
  BASIN_HOST_DEVICE void store(index_t column, double sum) const {
    const index_t place = s.active[column / (atoms + 1)], i = column % (atoms + 1);
    if (!s.goes_on(place)) return;
    const device_target& t = s.target[place];
    const double row = (i < atoms ? -sum : 1) / t.height;
    s.factor_at(place, atoms, i) = row;
    double& coefficient = s.coefficients[place * s.most + i];
    coefficient += t.along * row;
    if (s.path != nullptr) {
      const index_t begin = place * s.triangle(s.most) + s.triangle(atoms);
      s.path[begin + i] = static_cast<Scalar>(coefficient);
    }
  }
};

}  // namespace basin::detail
