/// @file
/// Whether the field ascends a density and its attractors are modes: Lemma A.5 and Theorem A.6
/// of Fumero et al. (2025) as numbers.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/dynamics/density.hpp>
#include <basin/dynamics/estimate.hpp>
#include <basin/dynamics/field.hpp>

namespace basin {

/// log q at one attractor z*. NaN where the attractor is not finite.
struct attractor_mode {
  double residual = 0;  ///< ‖f(z*) - z*‖: how far z* is known to be fixed
  double gradient = 0;  ///< ‖∇ log q(z*)‖, in 1 / length; 0 is claimed
  /// ‖∇ log q(f(z*)) - ∇ log q(z*)‖: how far the gradient moves in one more iteration. At
  /// contraction rate c the error that z* leaves in it is about this over 1 - c.
  double gradient_error = 0;
  /// Largest and smallest eigenvalue of ∇² log q(z*), in 1 / length²; both < 0 is claimed.
  double largest_curvature = 0;
  double smallest_curvature = 0;
  /// |change| of the largest eigenvalue in one more iteration.
  double curvature_error = 0;
  /// ‖H⁻¹ ∇ log q‖, where a Newton step finds the nearest stationary point of log q: 0 is
  /// claimed. A length, to be compared with the density's own.
  double distance = 0;

  /// Whether z* is a strict local maximum of q, its gradient being 0 within `reach`: the
  /// Hessian is negative definite, and the mode no farther than `reach` by Newton's step.
  [[nodiscard]] bool is_mode(double reach) const {
    return largest_curvature < 0 && distance <= reach;
  }
};

/// What a field does to a density.
struct ModeCheck {
  /// <∇ log q(z_j), v(z_j)>, in units of log q an iteration; NaN where it is not finite.
  Eigen::VectorXd slope;
  /// log q(f(z_j)) - log q(z_j); NaN where it is not finite.
  Eigen::VectorXd rise;
  estimate share_ascending;                ///< of slope > 0, which Lemma A.5 claims of every point
  estimate share_rising;                   ///< of rise > 0, on which the proof of the lemma rests
  std::vector<attractor_mode> attractors;  ///< in the order in which they were given
};

/// Lemma A.5 and Theorem A.6 at points and attractors, for a density that is known or fitted.
///
/// The lemma claims <∇ log q, v> > 0 wherever f is not fixed, the theorem that attractors are
/// strict local maxima of q. The proofs take "closer to the fixed points" to mean "of higher q"
/// and drop remainders of second order, and their assumptions exclude each other: a contraction
/// has one fixed point, and a q that is concentrated there is no density with a gradient.
/// Contraction alone does not do, see below. So q is an argument, and these are numbers.
/// Points with v = 0 are left out of the shares, as the lemma leaves them out.
///
/// @param density see `GaussianMixture` and `smooth_density`
/// @param points k × n in host memory; those where a number is not finite are left out of the
///   shares and counted
/// @param attractors k × m in host memory, m may be 0
/// @throws size_error unless sizes agree and the map takes and gives k rows
/// Cost: one evaluation a point; at an attractor two Hessians and their eigenvalues, 20 k³.
///
/// @code
/// #include <iostream>
///
/// #include <basin/dynamics/mode_check.hpp>
/// #include <basin/map/function_map.hpp>
///
/// int main() {
///   // Attractor 0, mode (1, 0).
///   auto half = basin::function_map(2, [](const auto& Z) { return Z / 2; });
///   const auto q = basin::gaussian(Eigen::Vector2d(1, 0), Eigen::MatrixXd::Identity(2, 2));
///   const auto found = basin::mode_check(basin::cpu<double>(), half, q,
///                                        q.sample(1000, {.seed = 1}), Eigen::MatrixXd::Zero(2,
///                                        1));
///   std::cout << "ascending " << found.share_ascending.value << " +- "
///             << found.share_ascending.error << ", distance of the attractor from the mode "
///             << found.attractors[0].distance << '\n';
/// }
/// @endcode
template <basin::backend B, class Map, smooth_density Density>
  requires latent_map<Map, B>
[[nodiscard]] ModeCheck mode_check(const B& be, Map& map, const Density& density,
                                   const Eigen::Ref<const Eigen::MatrixXd>& points,
                                   const Eigen::Ref<const Eigen::MatrixXd>& attractors) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  require_size("mode_check", "number of rows of the attractors", attractors.rows(), points.rows());
  ModeCheck found;
  const auto field = [&](const Eigen::Ref<const Eigen::MatrixXd>& at) -> Eigen::MatrixXd {
    return sample_field(be, map, at, false).velocity.template cast<double>();
  };

  const index_t n = points.cols();
  const Eigen::MatrixXd v = field(points);
  const Eigen::MatrixXd score = density.score(points);
  const Eigen::MatrixXd after = points + v;
  found.slope = (score.array() * v.array()).colwise().sum();
  found.rise = density.log_density(after) - density.log_density(points);
  index_t used = 0, ascending = 0, rising = 0;
  for (index_t j = 0; j < n; ++j) {
    if (!is_finite(found.slope[j])) found.slope[j] = nan;
    if (!is_finite(found.rise[j])) found.rise[j] = nan;
    const bool moves = v.col(j).squaredNorm() > 0;
    if (!moves || !is_finite(found.slope[j]) || !is_finite(found.rise[j])) continue;
    ++used;
    if (found.slope[j] > 0) ++ascending;
    if (found.rise[j] > 0) ++rising;
  }
  found.share_ascending = share_estimate(ascending, used, n - used);
  found.share_rising = share_estimate(rising, used, n - used);

  const Eigen::MatrixXd move = field(attractors);
  const Eigen::MatrixXd next = attractors + move;
  const Eigen::MatrixXd gradient = density.score(attractors);
  const Eigen::MatrixXd next_gradient = density.score(next);
  for (index_t a = 0; a < attractors.cols(); ++a) {
    attractor_mode mode{nan, nan, nan, nan, nan, nan, nan};
    if (next.col(a).allFinite() && gradient.col(a).allFinite()) {
      const Eigen::MatrixXd hessian = density.hessian(attractors.col(a));
      const Eigen::MatrixXd next_hessian = density.hessian(next.col(a));
      const Eigen::VectorXd curvatures =
          Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(hessian, Eigen::EigenvaluesOnly)
              .eigenvalues();
      const Eigen::VectorXd next_curvatures =
          Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(next_hessian, Eigen::EigenvaluesOnly)
              .eigenvalues();
      mode.residual = move.col(a).norm();
      mode.gradient = gradient.col(a).norm();
      mode.gradient_error = (next_gradient.col(a) - gradient.col(a)).norm();
      mode.largest_curvature = curvatures.maxCoeff();
      mode.smallest_curvature = curvatures.minCoeff();
      mode.curvature_error = std::abs(next_curvatures.maxCoeff() - mode.largest_curvature);
      mode.distance = hessian.partialPivLu().solve(gradient.col(a)).norm();
    }
    found.attractors.push_back(mode);
  }
  return found;
}

}  // namespace basin
