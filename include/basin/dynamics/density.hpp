/// @file
/// Densities with a known score: Gaussians and mixtures of them, clean and with noise added.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Cholesky>
#include <Eigen/Core>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/core/random.hpp>

namespace basin {

/// A density of R^k with a score: columns to columns, k × n.
template <class D>
concept scored_density = requires(const D& d, const Eigen::Ref<const Eigen::MatrixXd>& points) {
  { d.score(points) } -> std::convertible_to<Eigen::MatrixXd>;
};

/// A scored density that also knows its logarithm, by columns, and the Hessian of that at one
/// point. An additive constant of the logarithm does not matter.
template <class D>
concept smooth_density =
    scored_density<D> && requires(const D& d, const Eigen::Ref<const Eigen::MatrixXd>& points,
                                  const Eigen::Ref<const Eigen::VectorXd>& point) {
      { d.log_density(points) } -> std::convertible_to<Eigen::VectorXd>;
      { d.hessian(point) } -> std::convertible_to<Eigen::MatrixXd>;
    };

/// q(x) = Σ_i w_i N(x; μ_i, C_i) in R^k, in double. One component is a Gaussian.
///
/// Points are columns. A column that is not finite gives NaN in its own answers alone.
/// Cost of an answer: 2 k² flops a component and point, besides 2/3 k³ a component once.
///
/// @code
/// #include <iostream>
///
/// #include <basin/dynamics/density.hpp>
///
/// int main() {
///   const Eigen::MatrixXd means = (Eigen::MatrixXd(2, 2) << -1, 1, 0, 0).finished();
///   const Eigen::MatrixXd narrow = 0.1 * Eigen::MatrixXd::Identity(2, 2);
///   const basin::GaussianMixture clean(Eigen::Vector2d(0.5, 0.5), means,
///                                     std::vector<Eigen::MatrixXd>(2, narrow));
///   const basin::GaussianMixture noised = clean.noised(0.3);
///   const Eigen::MatrixXd x = noised.sample(1000, {.seed = 1});
///   // Tweedie's formula: the best denoiser moves by the variance of the noise times the score.
///   const Eigen::MatrixXd moves = clean.optimal_denoiser(x, 0.3) - x;
///   std::cout << (moves - 0.3 * 0.3 * noised.score(x)).cwiseAbs().maxCoeff() << '\n';
/// }
/// @endcode
class GaussianMixture {
 public:
  /// @param weights m numbers of more than 0; they are divided by their sum
  /// @param means k × m
  /// @param covariances m matrices k × k, symmetric and positive definite
  /// @throws size_error unless the sizes agree; argument_error unless there is a component, all
  ///   is finite, weights are positive, and covariances are symmetric (to 1e-10 of their
  ///   largest entry) and positive definite
  GaussianMixture(Eigen::VectorXd weights, Eigen::MatrixXd means,
                  std::vector<Eigen::MatrixXd> covariances)
      : weights_(std::move(weights)),
        means_(std::move(means)),
        covariances_(std::move(covariances)) {
    constexpr const char* where = "GaussianMixture";
    const index_t m = weights_.size();
    const index_t k = means_.rows();
    require(m >= 1 && k >= 1, where, "needs at least one component and one dimension");
    require_size(where, "number of means", means_.cols(), m);
    require_size(where, "number of covariances", static_cast<index_t>(covariances_.size()), m);
    require(weights_.allFinite() && means_.allFinite(), where, "weights and means must be finite");
    require((weights_.array() > 0).all(), where, "weights must be positive");
    weights_ /= weights_.sum();
    for (index_t i = 0; i < m; ++i) {
      Eigen::MatrixXd& c = covariances_[static_cast<std::size_t>(i)];
      require_size(where, "number of rows of a covariance", c.rows(), k);
      require_size(where, "number of columns of a covariance", c.cols(), k);
      require(c.allFinite() &&
                  (c - c.transpose()).cwiseAbs().maxCoeff() <= 1e-10 * c.cwiseAbs().maxCoeff(),
              where, "covariance " + std::to_string(i) + " is not symmetric, or not finite");
      c = ((c + c.transpose()) / 2).eval();
      factors_.emplace_back(c);
      require(factors_.back().info() == Eigen::Success, where,
              "covariance " + std::to_string(i) + " is not positive definite");
      const Eigen::VectorXd diagonal = factors_.back().matrixLLT().diagonal();
      constexpr double log_two_pi = 1.8378770664093454836;
      constants_.push_back(std::log(weights_[i]) - static_cast<double>(k) * log_two_pi / 2 -
                           diagonal.array().log().sum());
    }
  }

  [[nodiscard]] index_t dimension() const noexcept { return means_.rows(); }
  [[nodiscard]] index_t components() const noexcept { return means_.cols(); }
  [[nodiscard]] const Eigen::VectorXd& weights() const noexcept { return weights_; }  ///< sum to 1
  [[nodiscard]] const Eigen::MatrixXd& means() const noexcept { return means_; }      ///< k × m
  /// C_i, k × k.
  [[nodiscard]] const Eigen::MatrixXd& covariance(index_t i) const {
    return covariances_.at(static_cast<std::size_t>(i));
  }

  /// log(w_i N(x_j; μ_i, C_i)), m × n.
  /// @param points k × n
  /// @throws size_error unless points have k rows
  [[nodiscard]] Eigen::MatrixXd log_terms(const Eigen::Ref<const Eigen::MatrixXd>& points) const {
    require_size("GaussianMixture", "number of rows of the points", points.rows(), dimension());
    Eigen::MatrixXd terms(components(), points.cols());
    if (points.cols() == 0) return terms;  // Eigen's solvers bind to the first entry
    for (index_t i = 0; i < components(); ++i) {
      const Eigen::MatrixXd apart = points.colwise() - means_.col(i);
      const Eigen::MatrixXd scaled = factor(i).matrixL().solve(apart);
      terms.row(i) =
          constants_[static_cast<std::size_t>(i)] - scaled.colwise().squaredNorm().array() / 2;
    }
    for (index_t j = 0; j < points.cols(); ++j) {
      if (!points.col(j).allFinite()) terms.col(j).setConstant(nan);
    }
    return terms;
  }

  /// log q(x_j), n numbers.
  /// @param points k × n
  /// @throws size_error unless points have k rows
  [[nodiscard]] Eigen::VectorXd log_density(const Eigen::Ref<const Eigen::MatrixXd>& points) const {
    const Eigen::MatrixXd terms = log_terms(points);
    Eigen::VectorXd sums(points.cols());
    for (index_t j = 0; j < points.cols(); ++j) {
      const double most = terms.col(j).maxCoeff();
      sums[j] = most + std::log((terms.col(j).array() - most).exp().sum());
    }
    return sums;
  }

  /// The probability that x_j is of component i, m × n.
  /// @param points k × n
  /// @throws size_error unless points have k rows
  [[nodiscard]] Eigen::MatrixXd responsibilities(
      const Eigen::Ref<const Eigen::MatrixXd>& points) const {
    Eigen::MatrixXd terms = log_terms(points);
    for (index_t j = 0; j < points.cols(); ++j) {
      const double most = terms.col(j).maxCoeff();
      terms.col(j) = (terms.col(j).array() - most).exp();
      terms.col(j) /= terms.col(j).sum();
    }
    return terms;
  }

  /// ∇ log q(x_j), k × n.
  /// @param points k × n
  /// @throws size_error unless points have k rows
  [[nodiscard]] Eigen::MatrixXd score(const Eigen::Ref<const Eigen::MatrixXd>& points) const {
    const Eigen::MatrixXd shares = responsibilities(points);
    Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(points.rows(), points.cols());
    if (points.cols() == 0) return sum;
    for (index_t i = 0; i < components(); ++i) {
      const Eigen::MatrixXd apart = means_.col(i).replicate(1, points.cols()) - points;
      sum += (factor(i).solve(apart).array().rowwise() * shares.row(i).array()).matrix();
    }
    return sum;
  }

  /// ∇² log q(x), k × k, symmetric.
  /// @param point of k entries
  /// @throws size_error unless the point has k entries
  [[nodiscard]] Eigen::MatrixXd hessian(const Eigen::Ref<const Eigen::VectorXd>& point) const {
    const Eigen::VectorXd shares = responsibilities(point);
    const index_t k = dimension();
    Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(k, k);
    Eigen::VectorXd mean = Eigen::VectorXd::Zero(k);
    for (index_t i = 0; i < components(); ++i) {
      const Eigen::VectorXd own = factor(i).solve(means_.col(i) - point);
      sum += shares[i] * (own * own.transpose() - factor(i).solve(Eigen::MatrixXd::Identity(k, k)));
      mean += shares[i] * own;
    }
    sum -= mean * mean.transpose();
    return (sum + sum.transpose()) / 2;
  }

  /// The density of x + deviation × standard normal noise: C_i + deviation² I.
  /// @throws argument_error unless deviation is finite and at least 0
  [[nodiscard]] GaussianMixture noised(double deviation) const {
    require(std::isfinite(deviation) && deviation >= 0, "GaussianMixture::noised",
            "the deviation must be finite and not negative");
    std::vector<Eigen::MatrixXd> wider = covariances_;
    for (Eigen::MatrixXd& c : wider) c.diagonal().array() += deviation * deviation;
    return {weights_, means_, std::move(wider)};
  }

  /// E[x | x + deviation × noise = y], the denoiser of least squared error, k × n. Written by
  /// regression within the components, Σ_i r_i(y) (μ_i + C_i (C_i + deviation² I)⁻¹ (y - μ_i)),
  /// so that Tweedie's formula, y + deviation² × the score of the noised density (Robbins 1956;
  /// Efron 2011), is a test of it.
  /// @param points y, k × n
  /// @throws size_error unless points have k rows; argument_error as `noised`
  [[nodiscard]] Eigen::MatrixXd optimal_denoiser(const Eigen::Ref<const Eigen::MatrixXd>& points,
                                                 double deviation) const {
    const GaussianMixture wide = noised(deviation);
    const Eigen::MatrixXd shares = wide.responsibilities(points);
    Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(points.rows(), points.cols());
    if (points.cols() == 0) return sum;
    for (index_t i = 0; i < components(); ++i) {
      const Eigen::MatrixXd apart = points.colwise() - means_.col(i);
      const Eigen::MatrixXd own =
          (covariance(i) * wide.factor(i).solve(apart)).colwise() + means_.col(i);
      sum += (own.array().rowwise() * shares.row(i).array()).matrix();
    }
    return sum;
  }

  /// n draws, k × n. Draw j depends on the stream and j alone.
  /// @throws argument_error if n is negative
  [[nodiscard]] Eigen::MatrixXd sample(index_t n, random_stream stream) const {
    require(n >= 0, "GaussianMixture::sample", "the number of draws must not be negative");
    const index_t k = dimension();
    Eigen::MatrixXd draws(k, n);
    Eigen::VectorXd normal(k);
    for (index_t j = 0; j < n; ++j) {
      for (index_t i = 0; i < k; ++i) normal[i] = normal_at<double>(stream, i, j);
      // A word that no entry of the column uses.
      double place = uniform_from_word<double>(stream.word((k + 3) / 4 * 4, j));
      index_t of = 0;
      while (of + 1 < components() && place >= weights_[of]) place -= weights_[of++];
      draws.col(j) = means_.col(of) + factor(of).matrixL() * normal;
    }
    return draws;
  }

 private:
  static constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  [[nodiscard]] const Eigen::LLT<Eigen::MatrixXd>& factor(index_t i) const {
    return factors_[static_cast<std::size_t>(i)];
  }

  Eigen::VectorXd weights_;
  Eigen::MatrixXd means_;
  std::vector<Eigen::MatrixXd> covariances_;
  std::vector<Eigen::LLT<Eigen::MatrixXd>> factors_;
  std::vector<double> constants_;  // log w_i, and the logarithm of the norm of the Gaussian
};

/// N(mean, covariance).
/// @throws size_error, argument_error as the constructor of `GaussianMixture`
[[nodiscard]] inline GaussianMixture gaussian(const Eigen::VectorXd& mean,
                                              const Eigen::MatrixXd& covariance) {
  return {Eigen::VectorXd::Ones(1), mean, {covariance}};
}

}  // namespace basin
