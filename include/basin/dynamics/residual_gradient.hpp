/// @file
/// Whether iterating f descends its own residual: Proposition 3.1 of Fumero et al. (2025).
#pragma once

#include <cmath>
#include <limits>
#include <utility>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/dynamics/estimate.hpp>
#include <basin/dynamics/field.hpp>

namespace basin {

/// The step v(z) = f(z) - z beside the descent of L(z) = ‖f(z) - z‖².
struct ResidualGradient {
  /// Between v and -∇L = 2 (I - Jᵀ) v; NaN where either vanishes or is not finite.
  Eigen::VectorXd cosine;
  Eigen::VectorXd residual;  ///< ‖v‖
  Eigen::VectorXd gradient;  ///< ‖∇L‖
  estimate mean_cosine;      ///< with its standard error over the points
  /// Share of points whose step descends L to first order, cosine > 0.
  estimate share_descending;
};

/// The cosine of v and -∇‖v‖² at the columns of `points`.
///
/// Proposition 3.1 says that iterating f is gradient descent on L where f is an isometry or near
/// an attractor whose Jacobian vanishes. Where J = I the gradient vanishes and there is no
/// cosine; where J = 0 it is 1. In between it is positive wherever the symmetric part of J has
/// all eigenvalues below 1, as where ‖J‖ < 1, which makes a descent, but not the steepest.
/// For a symmetric J with eigenvalues λ of [a, b], b < 1, it is at least
/// 2 √((1 - a) (1 - b)) / (2 - a - b) (Kantorovich).
///
/// @param map with vjp
/// @param points k × n in host memory; columns where f or the product is not finite are left
///   out of the estimates and counted
/// @throws size_error unless the map takes and gives k rows
/// Cost: one evaluation and one vjp a point.
///
/// @code
/// #include <iostream>
///
/// #include <basin/dynamics/residual_gradient.hpp>
/// #include <basin/map/differentiable.hpp>
///
/// int main() {
///   auto map = basin::differentiable<2>([](const auto& z, auto& f) {
///     using std::tanh;
///     f[0] = tanh(2.0 * z[0] - z[1]);
///     f[1] = tanh(2.0 * z[1] + z[0]);
///   });
///   const auto found = basin::residual_gradient(basin::cpu<double>(), map,
///                                               Eigen::MatrixXd::Random(2, 1000));
///   std::cout << "cosine " << found.mean_cosine.value << " +- " << found.mean_cosine.error
///             << ", descending " << found.share_descending.value << '\n';
/// }
/// @endcode
template <basin::backend B, class Map>
  requires latent_map<Map, B> && has_vjp<Map, B>
[[nodiscard]] ResidualGradient residual_gradient(const B& be, Map& map,
                                                 const Eigen::Ref<const Eigen::MatrixXd>& points) {
  using host = Eigen::MatrixX<typename B::scalar>;
  const index_t k = points.rows();
  const index_t n = points.cols();
  const auto sample = sample_field(be, map, points, false);
  ResidualGradient found;
  found.cosine.setConstant(n, std::numeric_limits<double>::quiet_NaN());
  found.residual.setZero(n);
  found.gradient.setZero(n);
  if (n > 0) {
    typename B::matrix Z = be.make_matrix(k, n);
    typename B::matrix U = be.make_matrix(k, n);
    typename B::matrix JtU = be.make_matrix(k, n);
    host product(k, n);
    upload(be, sample.points, columns(be, Z, 0, n));
    upload(be, sample.velocity, columns(be, U, 0, n));
    vjp(be, map, columns(be, std::as_const(Z), 0, n), columns(be, std::as_const(U), 0, n),
        columns(be, JtU, 0, n));
    download(be, columns(be, std::as_const(JtU), 0, n), product);
    const Eigen::MatrixXd v = sample.velocity.template cast<double>();
    const Eigen::MatrixXd descent = 2 * (v - product.template cast<double>());
    found.residual = v.colwise().norm();
    found.gradient = descent.colwise().norm();
    for (index_t j = 0; j < n; ++j) {
      if (found.residual[j] > 0 && found.gradient[j] > 0) {
        found.cosine[j] = v.col(j).dot(descent.col(j)) / found.residual[j] / found.gradient[j];
      }
    }
  }
  found.mean_cosine = mean_estimate(found.cosine);
  found.share_descending = share_estimate(static_cast<index_t>((found.cosine.array() > 0).count()),
                                          found.mean_cosine.used, found.mean_cosine.left_out);
  return found;
}

}  // namespace basin
