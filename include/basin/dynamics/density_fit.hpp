/// @file
/// Densities fitted to points, such as the codes of images.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/core/error.hpp>
#include <basin/core/random.hpp>
#include <basin/dynamics/density.hpp>

namespace basin {

/// Settings of `fit_mixture`.
struct mixture_options {
  index_t components = 8;    ///< at least 1
  index_t iterations = 500;  ///< at most so many, at least 1
  double tolerance = 1e-7;   ///< ends where the mean log density rises by less
  /// Added to the diagonals of the covariances, in parts of the points' mean variance, so that
  /// no component shrinks onto a point. More than 0.
  double ridge = 1e-4;
  random_stream random = {};  ///< of the first means

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(components >= 1, "mixture_options", "components must be at least 1");
    require(iterations >= 1, "mixture_options", "iterations must be at least 1");
    require(tolerance >= 0, "mixture_options", "tolerance must not be negative");
    require(std::isfinite(ridge) && ridge > 0, "mixture_options",
            "ridge must be finite and positive");
  }
};

/// A fitted density.
struct MixtureFit {
  GaussianMixture density;
  double log_density = 0;  ///< mean over the points that were used
  index_t iterations = 0;  ///< of EM
  bool converged = false;  ///< whether the tolerance was met
  index_t used = 0;        ///< points
  index_t left_out = 0;    ///< points that were not finite
};

/// Fits a mixture of Gaussians with full covariances by expectation and maximisation (Dempster,
/// Laird and Rubin 1977), from means that are drawn far from each other (k-means++, Arthur and
/// Vassilvitskii 2007). One component is the Gaussian of the points' mean and covariance (with
/// the ridge). The maximum is a local one: try seeds, and judge by the log density of points
/// that were not fitted.
///
/// Cost: 4 k² flops an iteration, component and point.
/// @param points k × n; columns that are not finite are left out and counted
/// @throws argument_error if a setting is out of its range, or fewer points than components, or
///   than 2, are finite, or all are the same
[[nodiscard]] inline MixtureFit fit_mixture(const Eigen::Ref<const Eigen::MatrixXd>& points,
                                            const mixture_options& options = {}) {
  options.check();
  const index_t k = points.rows();
  const index_t m = options.components;
  Eigen::MatrixXd x(k, points.cols());
  index_t n = 0;
  for (index_t j = 0; j < points.cols(); ++j) {
    if (points.col(j).allFinite()) x.col(n++) = points.col(j);
  }
  require(n >= std::max<index_t>(m, 2), "fit_mixture",
          std::to_string(n) + " finite points for " + std::to_string(m) + " components");
  x.conservativeResize(Eigen::NoChange, n);
  const auto count = static_cast<double>(n);

  const Eigen::VectorXd center = x.rowwise().mean();
  const Eigen::MatrixXd apart = x.colwise() - center;
  Eigen::MatrixXd spread = apart * apart.transpose() / count;
  const double variance = spread.trace() / static_cast<double>(k);
  require(std::isfinite(variance) && variance > 0, "fit_mixture", "all points are the same");
  const double ridge = options.ridge * variance;
  spread.diagonal().array() += ridge;

  Eigen::MatrixXd means(k, m);
  means.col(0) = m == 1 ? center
                        : Eigen::VectorXd(x.col(static_cast<index_t>(
                              uniform_from_word<double>(options.random.word(0, 0)) * count)));
  Eigen::VectorXd nearest = (x.colwise() - means.col(0)).colwise().squaredNorm();
  for (index_t i = 1; i < m; ++i) {
    double place = uniform_from_word<double>(options.random.word(0, i)) * nearest.sum();
    index_t of = 0;
    while (of + 1 < n && place >= nearest[of]) place -= nearest[of++];
    means.col(i) = x.col(of);
    nearest = nearest.cwiseMin((x.colwise() - means.col(i)).colwise().squaredNorm().transpose());
  }

  MixtureFit fit{{Eigen::VectorXd::Ones(m), means,
                  std::vector<Eigen::MatrixXd>(static_cast<std::size_t>(m), spread)},
                 0,
                 0,
                 m == 1,
                 n,
                 points.cols() - n};
  fit.log_density = fit.density.log_density(x).mean();
  while (!fit.converged && fit.iterations < options.iterations) {
    const Eigen::MatrixXd shares = fit.density.responsibilities(x);
    // A component that has lost its points stays where it is, with a trace of a weight.
    constexpr double trace = 1e-9;
    const Eigen::VectorXd sums = shares.rowwise().sum().cwiseMax(trace);
    std::vector<Eigen::MatrixXd> covariances;
    for (index_t i = 0; i < m; ++i) {
      if (!(sums[i] > trace)) {
        covariances.push_back(fit.density.covariance(i));
        continue;
      }
      means.col(i) = x * shares.row(i).transpose() / sums[i];
      const Eigen::MatrixXd around = x.colwise() - means.col(i);
      Eigen::MatrixXd c = (around.array().rowwise() * shares.row(i).array()).matrix() *
                          around.transpose() / sums[i];
      c = ((c + c.transpose()) / 2).eval();
      c.diagonal().array() += ridge;
      covariances.push_back(std::move(c));
    }
    fit.density = GaussianMixture(sums, means, std::move(covariances));
    const double after = fit.density.log_density(x).mean();
    fit.converged = after - fit.log_density < options.tolerance;
    fit.log_density = after;
    ++fit.iterations;
  }
  return fit;
}

}  // namespace basin
