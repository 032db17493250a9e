/// @file
/// How far Jacobians are from normal, and what that does to powers: growth before decay.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/map/derivative.hpp>
#include <basin/map/workspace.hpp>
#include <basin/spectral/jacobian_products.hpp>
#include <basin/spectral/singular_values.hpp>
#include <basin/spectral/spectrum.hpp>

namespace basin {

/// Settings of `non_normality`.
struct non_normality_options {
  /// Powers of J that are formed in search of the largest; 0: none.
  index_t max_power = 1000;

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(max_power >= 0, "non_normality_options",
            "max_power is " + std::to_string(max_power) + ", must not be negative");
  }
};

/// What one square Jacobian does that its eigenvalues alone do not tell.
struct NonNormality {
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

  double norm = unknown;             ///< ‖J‖₂
  double frobenius = unknown;        ///< ‖J‖_F
  double spectral_radius = unknown;  ///< max |λ|
  /// Henrici's departure from normality ‖N‖_F, with N the strictly upper part of the complex Schur
  /// form (1962): 0 iff J is normal, at most ‖J‖_F.
  double departure = unknown;
  /// The largest eigenvalue of (J + Jᵀ) / 2: above 1 distances in the flow grow at first. At least
  /// the largest Re λ, equal for a normal J.
  double numerical_abscissa = unknown;
  /// max_t ‖J^t‖₂ over the powers t = 0, 1, ... that were formed, which end at 1 / ε: how much a
  /// small perturbation may grow before it decays.
  double transient_growth = unknown;
  index_t growth_time = 0;  ///< t of that maximum
  index_t powers = 0;       ///< how many were formed
  /// Whether the maximum is that of all t: some power has a norm of at most 1 within rounding, 10
  /// √k ε, so that all later ones are products of such and of earlier ones.
  bool growth_complete = false;
  spectral_status status = spectral_status::non_finite;
};

/// The non-normality of one matrix.
/// @param J square
/// @param rounding relative error of J, ε
/// @throws size_error unless J is square; argument_error if a setting is out of its range
/// Cost: 10 k³ flops for the Schur form, and 2 k³ for each power until one has a norm of at most 1,
/// twice that where it may be the largest so far.
[[nodiscard]] inline NonNormality non_normality(
    const Eigen::Ref<const Eigen::MatrixXd>& J, const non_normality_options& options = {},
    double rounding = std::numeric_limits<double>::epsilon()) {
  options.check();
  const index_t k = J.rows();
  require_size("non_normality", "number of columns of J", J.cols(), k);
  NonNormality found;
  if (k == 0 || !J.allFinite()) return found;
  const auto largest = [](const Eigen::MatrixXd& symmetric) {
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(symmetric, Eigen::EigenvaluesOnly);
    return solver.eigenvalues()[symmetric.rows() - 1];
  };
  // The largest singular value, and it alone, loses nothing by AᵀA.
  const auto norm = [&](const Eigen::MatrixXd& A) {
    const double scale = A.cwiseAbs().maxCoeff();
    if (!(scale > 0) || !std::isfinite(scale)) return scale;
    const Eigen::MatrixXd unit = A / scale;
    return scale * std::sqrt(std::max(0.0, largest(unit.transpose() * unit)));
  };
  found.frobenius = J.stableNorm();
  found.norm = norm(J);
  found.numerical_abscissa = largest((J + J.transpose()) / 2);

  const Eigen::RealSchur<Eigen::MatrixXd> schur(J, false);
  if (schur.info() != Eigen::Success) {
    found.status = spectral_status::max_products;
    return found;
  }
  // From the real form: a block (p q; r s) of a conjugate pair departs by √((p - s)² + (q + r)²).
  const Eigen::MatrixXd& T = schur.matrixT();
  double square = 0;
  found.spectral_radius = 0;
  for (index_t i = 0; i < k;) {
    const index_t rows = i + 1 < k && T(i + 1, i) != 0 ? 2 : 1;
    square += T.block(i, i + rows, rows, k - i - rows).squaredNorm();
    double modulus = std::abs(T(i, i));
    if (rows == 2) {
      const double p = T(i, i), q = T(i, i + 1), r = T(i + 1, i), s = T(i + 1, i + 1);
      square += (p - s) * (p - s) + (q + r) * (q + r);
      modulus = std::sqrt(std::abs(p * s - q * r));
    }
    found.spectral_radius = std::max(found.spectral_radius, modulus);
    i += rows;
  }
  found.departure = std::sqrt(square);
  found.status = spectral_status::converged;
  if (options.max_power == 0) return found;

  found.transient_growth = 1;
  Eigen::MatrixXd power = J;
  for (index_t t = 1;; ++t) {
    found.powers = t;
    const double bound = power.norm();
    // ‖.‖₂ lies between ‖.‖_F / √k and ‖.‖_F, and is found only where that does not suffice.
    const bool lies_below = bound <= found.transient_growth && bound > std::sqrt(double(k));
    const double size = lies_below ? bound : norm(power);
    if (size <= 1 + 10 * std::sqrt(static_cast<double>(k)) * rounding) {
      found.growth_complete = true;
      return found;
    }
    if (size > found.transient_growth) {
      found.transient_growth = size;
      found.growth_time = t;
    }
    // Beyond 1 / ε the rounding of J itself would be seen.
    if (t == options.max_power || !(size < 1 / std::numeric_limits<double>::epsilon()))
      return found;
    power = (power * J).eval();
  }
}

/// The non-normality of J_f at the columns of `points`, from all of J.
/// @param map with jvp
/// @param points k × n in host memory
/// @return one for each point, `non_finite` where J is not finite
/// @throws size_error unless the map takes and gives k rows; argument_error if a setting is out
///   of its range
/// Cost: k jvps a point, and as above. For large k see `power_norms` and `numerical_abscissa`.
///
/// @code
/// #include <iostream>
///
/// #include <basin/map/affine.hpp>
/// #include <basin/spectral/non_normality.hpp>
///
/// int main() {
///   Eigen::Matrix2d J;
///   J << 0.9, 10, 0, 0.8;
///   auto map = basin::affine(Eigen::MatrixXd(J));
///   const basin::cpu<double> cpu;
///   const auto found = basin::non_normality(cpu, map, Eigen::MatrixXd::Zero(2, 1))[0];
///   std::cout << "radius " << found.spectral_radius << ", but perturbations grow "
///             << found.transient_growth << " times in " << found.growth_time << " steps\n";
/// }
/// @endcode
template <basin::backend B, class Map>
  requires latent_map<Map, B> && has_jvp<Map, B>
[[nodiscard]] std::vector<NonNormality> non_normality(
    const B& be, Map& map, const Eigen::Ref<const Eigen::MatrixXd>& points,
    const non_normality_options& options = {}) {
  options.check();
  detail::JacobianProducts<B, Map> J("non_normality", be, map, points);
  require_size("non_normality", "number of rows that the map gives", J.rows(), J.cols());
  std::vector<NonNormality> found(static_cast<std::size_t>(points.cols()));
  J.for_each_dense([&](index_t j, const Eigen::MatrixXd& dense) {
    found[static_cast<std::size_t>(j)] = non_normality(dense, options, J.rounding);
  });
  return found;
}

namespace detail {

/// The linear map v -> J_f(z)^t v by its products: a map whose Jacobian is the t-th power of f's.
/// Not `power`, whose Jacobian is a product along the trajectory; the same at fixed points.
template <class Map>
class JacobianPower {
 public:
  JacobianPower(Map& map, index_t power) : map_(map), power_(power) {}
  [[nodiscard]] index_t dimension() const { return basin::dimension(map_); }

  template <class B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view out) {
    evaluate(be, map_, Z, out);
  }
  template <class B>
  void jvp(const B& be, const typename B::const_view& Z, const typename B::const_view& V,
           typename B::view JV) {
    repeat(be, V, JV, [&](const auto& in, auto out) { basin::jvp(be, map_, Z, in, out); });
  }
  template <class B>
    requires has_vjp<Map, B>
  void vjp(const B& be, const typename B::const_view& Z, const typename B::const_view& U,
           typename B::view JtU) {
    repeat(be, U, JtU, [&](const auto& in, auto out) { basin::vjp(be, map_, Z, in, out); });
  }

 private:
  template <class B, class Product>
  void repeat(const B& be, const typename B::const_view& in, typename B::view out,
              Product&& product) {
    typename B::view between = kept_.get(be, 0, in.rows(), in.cols());
    product(in, out);
    for (index_t t = 1; t < power_; ++t) {
      copy(be, out, between);
      product(between, out);
    }
  }

  Map& map_;
  index_t power_;
  Workspace kept_;
};

}  // namespace detail

/// ‖J^t‖₂ of J = J_f at the columns of `points` for the given t, by products alone: what n steps
/// near a fixed point do at most. The largest is a lower bound of the transient growth.
/// @param map with jvp and vjp
/// @param points k × n in host memory
/// @param powers at least 1 each
/// @return points × powers; NaN where J is not finite or `max_products` did not suffice
/// @throws size_error unless the map takes and gives k rows; argument_error if a power is less
///   than 1 or a setting is out of its range
/// Cost: t times that of `spectral_norm` for each power t; a power of a J with a dominant
/// eigenvalue needs few restarts.
template <basin::backend B, class Map>
  requires latent_map<Map, B> && has_jvp<Map, B> && has_vjp<Map, B>
[[nodiscard]] Eigen::MatrixXd power_norms(const B& be, Map& map,
                                          const Eigen::Ref<const Eigen::MatrixXd>& points,
                                          const std::vector<index_t>& powers,
                                          const singular_value_options& options = {}) {
  if (const index_t given = output_dimension(map); given >= 0) {
    require_size("power_norms", "number of rows that the map gives", given, points.rows());
  }
  Eigen::MatrixXd norms(points.cols(), static_cast<index_t>(powers.size()));
  for (std::size_t i = 0; i < powers.size(); ++i) {
    require(powers[i] >= 1, "power_norms",
            "a power is " + std::to_string(powers[i]) + ", must be at least 1");
    detail::JacobianPower<Map> power(map, powers[i]);
    const ColumnValues found = spectral_norm(be, power, points, options);
    for (index_t j = 0; j < points.cols(); ++j) {
      norms(j, static_cast<index_t>(i)) =
          found.status[static_cast<std::size_t>(j)] == spectral_status::converged
              ? found.values[j]
              : NonNormality::unknown;
    }
  }
  return norms;
}

}  // namespace basin
