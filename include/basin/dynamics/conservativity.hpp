/// @file
/// Whether the field is the gradient of a potential: asymmetry of J_f, and integrals over loops.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/core/random.hpp>
#include <basin/dynamics/estimate.hpp>
#include <basin/dynamics/field.hpp>
#include <basin/dynamics/line_integral.hpp>
#include <basin/dynamics/sign_probes.hpp>

namespace basin {

/// Settings of `jacobian_asymmetry`.
struct asymmetry_options {
  /// 0: exact, by k products with the Jacobian a point. More: so many random vectors of signs a
  /// point (Hutchinson 1990), each a jvp and a vjp, for large k.
  index_t probes = 0;
  random_stream random = {};  ///< of the probes

  /// @throws argument_error if a setting is out of its range
  void check() const { require(probes >= 0, "asymmetry_options", "probes must not be negative"); }
};

/// How far Jacobians are from symmetric.
struct JacobianAsymmetry {
  /// ‖J - Jᵀ‖_F / ‖J‖_F at each point: 0 symmetric, √2 expected of independent entries, 2 skew.
  /// NaN where J = 0 or is not finite. With probes the root of a ratio of two estimates, whose
  /// relative deviation is about 1 / √probes or less.
  Eigen::VectorXd ratio;
  estimate mean_ratio;  ///< with its standard error over the points
};

/// ‖J - Jᵀ‖_F / ‖J‖_F of J = J_f at the columns of `points`. The field f(z) - z is conservative
/// on a set without holes iff J is symmetric there. Tied weights make J_f symmetric in no
/// autoencoder but the simplest, and then similar to a symmetric matrix; so it is measured.
///
/// @param map with jvp, and with vjp for probes
/// @param points k × n in host memory; those whose J is not finite are left out of the mean and
///   counted
/// @throws size_error unless the map takes and gives k rows; argument_error if a setting is out
///   of its range, or of probes for a map without vjp
/// Cost: k jvps a point, and k² numbers of memory for a block of points; with probes a jvp and a
/// vjp each.
///
/// @code
/// #include <iostream>
///
/// #include <basin/dynamics/conservativity.hpp>
/// #include <basin/map/differentiable.hpp>
///
/// int main() {
///   auto map = basin::differentiable<2>([](const auto& z, auto& f) {
///     f[0] = 0.5 * z[0] - 0.2 * z[1];
///     f[1] = 0.5 * z[1] + 0.2 * z[0];
///   });
///   const basin::cpu<double> cpu;
///   const auto found = basin::jacobian_asymmetry(cpu, map, Eigen::MatrixXd::Random(2, 10));
///   // A loop of area 1 around a curl of 0.4.
///   const Eigen::MatrixXd square = (Eigen::MatrixXd(2, 4) << 0, 1, 1, 0, 0, 0, 1, 1).finished();
///   const auto loop = basin::circulation(cpu, map, square);
///   std::cout << found.mean_ratio.value << ", circulation " << loop.value << " +- " << loop.error
///             << '\n';
/// }
/// @endcode
template <basin::backend B, class Map>
  requires latent_map<Map, B> && has_jvp<Map, B>
[[nodiscard]] JacobianAsymmetry jacobian_asymmetry(const B& be, Map& map,
                                                   const Eigen::Ref<const Eigen::MatrixXd>& points,
                                                   const asymmetry_options& options = {}) {
  using scalar = typename B::scalar;
  using host = Eigen::MatrixX<scalar>;
  options.check();
  const index_t k = points.rows();
  const index_t n = points.cols();
  require_dimension("jacobian_asymmetry", map, k);
  if (const index_t given = output_dimension(map); given >= 0) {
    require_size("jacobian_asymmetry", "number of rows that the map gives", given, k);
  }
  JacobianAsymmetry found;
  Eigen::VectorXd asymmetry = Eigen::VectorXd::Zero(n);  // ‖J - Jᵀ‖²
  Eigen::VectorXd square = Eigen::VectorXd::Zero(n);     // ‖J‖²
  const host at = points.template cast<scalar>();
  if (options.probes == 0) {
    const index_t block = std::max<index_t>(1, (index_t{1} << 22) / std::max<index_t>(k * k, 1));
    std::vector<Eigen::MatrixXd> J(static_cast<std::size_t>(k));  // J[i]: its column i, by points
    for (index_t first = 0; first < n; first += block) {
      const index_t count = std::min(block, n - first);
      const host here = at.middleCols(first, count);
      for (index_t i = 0; i < k; ++i) {
        auto& column = J[static_cast<std::size_t>(i)];
        const Eigen::VectorX<scalar> unit = Eigen::VectorX<scalar>::Unit(k, i);
        column = detail::field_derivative(be, map, here, unit).template cast<double>();
        column.row(i).array() += 1;
        square.segment(first, count) += column.colwise().squaredNorm().transpose();
      }
      for (index_t i = 0; i < k; ++i) {
        for (index_t l = i + 1; l < k; ++l) {
          asymmetry.segment(first, count) +=
              2 * (J[static_cast<std::size_t>(i)].row(l) - J[static_cast<std::size_t>(l)].row(i))
                      .array()
                      .square()
                      .matrix()
                      .transpose();
        }
      }
    }
  } else if constexpr (has_vjp<Map, B>) {
    detail::for_each_sign_probe(
        be, map, at, options.probes, options.random,
        [&](const Eigen::MatrixXd&, const Eigen::MatrixXd& a, const Eigen::MatrixXd& b) {
          // ‖J‖² from both sides: with one probe the ratio is then of [0, 2] as well.
          asymmetry += (a - b).colwise().squaredNorm().transpose();
          square += (a.colwise().squaredNorm() + b.colwise().squaredNorm()).transpose() / 2;
        });
  } else {
    throw argument_error("jacobian_asymmetry: probes for a map that has no vjp");
  }
  found.ratio = (asymmetry.array() / square.array()).sqrt();
  for (index_t j = 0; j < n; ++j) {
    if (!is_finite(found.ratio[j])) found.ratio[j] = std::numeric_limits<double>::quiet_NaN();
  }
  found.mean_ratio = mean_estimate(found.ratio);
  return found;
}

/// ∮ v · dl over the closed polygon through the columns of `vertices`, in their order: 0 for a
/// conservative field. `relative()` compares it with the work done on the way.
/// @param vertices k × m in host memory, m >= 3
/// @throws argument_error if there are fewer than 3 vertices; else as `line_integral`
/// Cost: that of `line_integral`.
template <basin::backend B, class Map>
  requires latent_map<Map, B>
[[nodiscard]] LineIntegral circulation(const B& be, Map& map,
                                       const Eigen::Ref<const Eigen::MatrixXd>& vertices,
                                       const quadrature_options& options = {}) {
  require(vertices.cols() >= 3, "circulation", "a loop has at least 3 vertices");
  Eigen::MatrixXd path(vertices.rows(), vertices.cols() + 1);
  path << vertices, vertices.col(0);
  return line_integral(be, map, path, options);
}

}  // namespace basin
