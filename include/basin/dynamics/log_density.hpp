/// @file
/// log q by integrals of the field, with how far they depend on the path.
#pragma once

#include <cmath>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/random.hpp>
#include <basin/dynamics/estimate.hpp>
#include <basin/dynamics/line_integral.hpp>

namespace basin {

/// Settings of `log_density`.
struct log_density_options {
  /// c of v = c ∇ log q, more than 0: σ² for a denoising autoencoder, else a guess.
  double scale = 1;
  /// The second path goes over these points, k × n; empty: over the middle of the straight one,
  /// moved to a random side by `detour` times half its length.
  Eigen::MatrixXd over = {};
  double detour = 1;          ///< more than 0
  random_stream random = {};  ///< of the sides
  quadrature_options quadrature = {};

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(std::isfinite(scale) && scale > 0, "log_density_options",
            "scale must be finite and positive");
    require(std::isfinite(detour) && detour > 0, "log_density_options",
            "detour must be finite and positive");
    quadrature.check();
  }
};

/// log q(z_j) - log q(anchor) by integrals, if v = c ∇ log q. In units of log q. Columns whose
/// paths meet a field that is not finite are NaN.
struct LogDensity {
  Eigen::VectorXd value;             ///< along the straight path
  Eigen::VectorXd quadrature_error;  ///< of `value`, see LineIntegral::error; no bound
  Eigen::VectorXd detour_value;      ///< along the other path
  Eigen::VectorXd detour_error;      ///< of `detour_value`, as `quadrature_error`
  /// |value - detour_value|, the error of the very notion: it is 0 where v is conservative, and
  /// a sample of one path, no bound, where it is not.
  Eigen::VectorXd path_error;
  /// √(Σ path_error² / Σ (value - mean)²): what the path does, in parts of what the points
  /// differ by. 1 and more: there is no log q to speak of. With the standard error of the
  /// jackknife over the points; NaN for fewer than two finite columns.
  estimate relative_path_error;
  index_t left_out = 0;     ///< columns that are not finite
  index_t evaluations = 0;  ///< of f at one point
};

/// Integrates v / c from one point to others, on a straight path and on a detour.
///
/// Fumero et al. (2025) read log q off such integrals; that needs v = c ∇ log q, whose Jacobian
/// is symmetric, and then every path gives the same.
///
/// @param anchor k entries, where log q counts as 0
/// @param points k × n in host memory
/// @throws size_error unless the sizes agree and the map takes and gives k rows; argument_error
///   if a setting is out of its range, or a detour has to be found for k = 1, where there is no
///   other side
/// Cost: three edges a point, see `line_integral`.
///
/// @code
/// #include <iostream>
///
/// #include <basin/dynamics/density.hpp>
/// #include <basin/dynamics/log_density.hpp>
/// #include <basin/map/function_map.hpp>
///
/// int main() {
///   const Eigen::MatrixXd means = (Eigen::MatrixXd(2, 2) << -1, 1, 0, 0).finished();
///   const Eigen::MatrixXd narrow = 0.1 * Eigen::MatrixXd::Identity(2, 2);
///   const basin::GaussianMixture clean(Eigen::Vector2d(0.3, 0.7), means,
///                                     std::vector<Eigen::MatrixXd>(2, narrow));
///   auto denoiser =
///       basin::function_map(2, [&](const auto& X) { return clean.optimal_denoiser(X, 0.5); });
///   const basin::GaussianMixture noised = clean.noised(0.5);
///   const Eigen::VectorXd anchor = Eigen::VectorXd::Zero(2);
///   const Eigen::MatrixXd points = noised.sample(5, {.seed = 1});
///   const auto found = basin::log_density(basin::cpu<double>(), denoiser, anchor, points,
///                                         {.scale = 0.25});
///   const Eigen::VectorXd known =
///       noised.log_density(points).array() - noised.log_density(anchor)[0];
///   std::cout << "off by " << (found.value - known).cwiseAbs().maxCoeff() << ", quadrature "
///             << found.quadrature_error.maxCoeff() << ", path " << found.path_error.maxCoeff()
///             << '\n';
/// }
/// @endcode
template <basin::backend B, class Map>
  requires latent_map<Map, B>
[[nodiscard]] LogDensity log_density(const B& be, Map& map,
                                     const Eigen::Ref<const Eigen::VectorXd>& anchor,
                                     const Eigen::Ref<const Eigen::MatrixXd>& points,
                                     const log_density_options& options = {}) {
  options.check();
  const index_t k = anchor.size();
  const index_t n = points.cols();
  const bool given = options.over.size() > 0;
  require_size("log_density", "number of rows of the points", points.rows(), k);
  if (given) {
    require_size("log_density", "number of rows of the detours", options.over.rows(), k);
    require_size("log_density", "number of detours", options.over.cols(), n);
  } else {
    require(k >= 2, "log_density", "on a line there is no detour; give one by `over`");
  }
  LogDensity found;
  for (auto* one : {&found.value, &found.quadrature_error, &found.detour_value, &found.detour_error,
                    &found.path_error}) {
    one->setZero(n);
  }
  Eigen::VectorXd side(k);
  for (index_t j = 0; j < n; ++j) {
    const Eigen::VectorXd along = points.col(j) - anchor;
    if (given) {
      side = options.over.col(j);
    } else {
      for (index_t i = 0; i < k; ++i) side[i] = normal_at<double>(options.random, i, j);
      const double square = along.squaredNorm();
      if (square > 0) side -= side.dot(along) / square * along;
      side = anchor + along / 2 + options.detour * std::sqrt(square) / 2 * side.normalized();
    }
    Eigen::MatrixXd straight(k, 2), detour(k, 3);
    straight << anchor, points.col(j);
    detour << anchor, side, points.col(j);
    const LineIntegral a = line_integral(be, map, straight, options.quadrature);
    const LineIntegral b = line_integral(be, map, detour, options.quadrature);
    found.value[j] = a.value / options.scale;
    found.quadrature_error[j] = a.error / options.scale;
    found.detour_value[j] = b.value / options.scale;
    found.detour_error[j] = b.error / options.scale;
    found.path_error[j] = std::abs(found.value[j] - found.detour_value[j]);
    found.evaluations += a.evaluations + b.evaluations;
  }
  index_t used = 0;
  double mean = 0;
  for (index_t j = 0; j < n; ++j) {
    if (!is_finite(found.path_error[j])) continue;
    mean += found.value[j];
    ++used;
  }
  found.left_out = n - used;
  if (used > 0) mean /= static_cast<double>(used);
  // About the mean, so that the sums of squares keep their digits.
  Eigen::MatrixXd terms(4, n);
  for (index_t j = 0; j < n; ++j) {
    const double apart = found.value[j] - mean;
    terms.col(j) << found.path_error[j] * found.path_error[j], apart * apart, apart, 1;
  }
  found.relative_path_error = jackknife_estimate(terms, [](const Eigen::VectorXd& sums) {
    return std::sqrt(sums[0] / (sums[1] - sums[2] * sums[2] / sums[3]));
  });
  return found;
}

}  // namespace basin
