// Densities and fields with known answers, for the tests of the theory.
#pragma once

#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/dynamics/density.hpp>
#include <basin/map/function_map.hpp>

namespace densities {

using basin::index_t;

// Three components of other weights and shapes, in the plane.
inline basin::GaussianMixture three() {
  Eigen::MatrixXd means(2, 3), a(2, 2), b(2, 2), c(2, 2);
  means << -2, 0.5, 2, 0, 1.5, -1;
  a << 0.5, 0.2, 0.2, 0.3;
  b << 0.2, -0.1, -0.1, 0.4;
  c << 0.6, 0, 0, 0.1;
  // One by one: g++ 12 warns of the copies out of a list of matrices.
  std::vector<Eigen::MatrixXd> covariances;
  for (const auto* one : {&a, &b, &c}) covariances.push_back(*one);
  return {Eigen::Vector3d(1, 2, 3), means, std::move(covariances)};
}

// A Gaussian of R^k with a full covariance.
inline basin::GaussianMixture tilted(index_t k) {
  Eigen::MatrixXd a(k, k);
  for (index_t i = 0; i < k; ++i) {
    for (index_t j = 0; j < k; ++j) a(i, j) = basin::normal_at<double>({.seed = 3}, i, j);
  }
  const Eigen::MatrixXd covariance =
      a * a.transpose() / static_cast<double>(k) + 0.2 * Eigen::MatrixXd::Identity(k, k);
  return basin::gaussian(Eigen::VectorXd::LinSpaced(k, -1, 2), covariance);
}

// The best denoiser of a density, as a map.
inline auto denoiser(const basin::GaussianMixture& clean, double deviation) {
  return basin::function_map(clean.dimension(), [clean, deviation](const auto& X) {
    const Eigen::MatrixXd x = X;
    return clean.optimal_denoiser(x, deviation);
  });
}

}  // namespace densities
