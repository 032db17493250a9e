/// @file
/// How foreign samples are by their Mahalanobis distance from the nearest class of references.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>

#include <basin/attractor/column_sets.hpp>
#include <basin/backend/concept.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/backend/device.hpp>
#include <basin/backend/host.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// How the covariance of references is estimated from S = Σ_j (x_j - μ_c(j)) (x_j - μ_c(j))ᵀ / M,
/// with m = tr S / k.
enum class covariance_estimate : std::uint8_t {
  sample,       ///< S (Lee, Lee, Lee and Shin 2018); an error where it is singular
  ridge,        ///< S + a m I
  shrinkage,    ///< (1 - a) S + a m I
  ledoit_wolf,  ///< the same with the a of Ledoit and Wolf (2004), from the references
};

/// Settings of `mahalanobis_score`.
struct mahalanobis_options {
  covariance_estimate covariance = covariance_estimate::sample;
  double amount = 1e-3;  ///< a of ridge (not negative) and shrinkage (in [0, 1])

  /// @throws argument_error if a setting is out of its range
  void check() const {
    const double most =
        covariance == covariance_estimate::shrinkage ? 1 : std::numeric_limits<double>::max();
    require(amount >= 0 && amount <= most, "mahalanobis_options",
            "amount is " + std::to_string(amount) + ", must be at least 0" +
                (most == 1 ? " and at most 1" : ""));
  }
};

/// Means of classes and one covariance for all, which score many batches of samples.
class Mahalanobis {
 public:
  /// @param references k × M in host memory
  /// @param classes of each reference its class 0, 1, ..., each with members; empty: all are of one
  /// @throws size_error if there is no reference, or not a class for each; argument_error that
  /// names
  ///   a reference that is not finite, a class that is empty, or if the covariance is singular to
  ///   working precision: fewer references than dimensions, or dependent ones
  /// Cost: k² M flops and an eigendecomposition, 9 k³.
  template <std::floating_point S, class Derived>
  Mahalanobis(const cpu<S>& be, const Eigen::MatrixBase<Derived>& references,
              const std::vector<index_t>& classes = {}, const mahalanobis_options& options = {}) {
    options.check();
    Eigen::MatrixXd X = references.template cast<double>();
    const index_t k = X.rows(), m = X.cols();
    if (k < 1 || m < 1) {
      throw size_error("Mahalanobis: the references are " + std::to_string(k) + " × " +
                       std::to_string(m));
    }
    std::ignore = detail::largest_entry(be, "Mahalanobis", "reference", X);
    origin_ = X.rowwise().mean();
    X.colwise() -= origin_;
    const Eigen::MatrixXd means = subtract_means(X, classes);
    Eigen::MatrixXd covariance = Eigen::MatrixXd::Zero(k, k);
    covariance.selfadjointView<Eigen::Lower>().rankUpdate(X, 1 / static_cast<double>(m));
    amount_ = options.covariance == covariance_estimate::sample        ? 0
              : options.covariance == covariance_estimate::ledoit_wolf ? ledoit_wolf(X, covariance)
                                                                       : options.amount;
    const double mean = covariance.trace() / static_cast<double>(k);
    if (options.covariance != covariance_estimate::ridge) covariance *= 1 - amount_;
    covariance.diagonal().array() += amount_ * mean;
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
    const Eigen::VectorXd& values = solver.eigenvalues();
    const double least =
        static_cast<double>(k) * std::numeric_limits<double>::epsilon() * values[k - 1];
    require(solver.info() == Eigen::Success && values[k - 1] > 0 && values[0] > least,
            "Mahalanobis",
            "the covariance of " + std::to_string(m) + " references in " + std::to_string(k) +
                " dimensions is singular (its least eigenvalue is " + std::to_string(values[0]) +
                ", the largest " + std::to_string(values[k - 1]) +
                "): use ridge, shrinkage or ledoit_wolf");
    whitening_ = values.cwiseSqrt().cwiseInverse().asDiagonal() * solver.eigenvectors().transpose();
    white_means_ = whitening_ * means;
  }

  /// Of what `whitening` and its like gave.
  /// @throws size_error if the parts do not fit; argument_error if one has an entry that is not
  /// finite
  Mahalanobis(Eigen::VectorXd origin, Eigen::MatrixXd whitening, Eigen::MatrixXd white_means,
              double amount)
      : origin_(std::move(origin)),
        whitening_(std::move(whitening)),
        white_means_(std::move(white_means)),
        amount_(amount) {
    require_size("Mahalanobis", "rows of the whitening", whitening_.rows(), origin_.size());
    require_size("Mahalanobis", "columns of the whitening", whitening_.cols(), origin_.size());
    require_size("Mahalanobis", "rows of the means", white_means_.rows(), origin_.size());
    require(detail::all_finite(origin_.data(), origin_.size()) &&
                detail::all_finite(whitening_.data(), whitening_.size()) &&
                detail::all_finite(white_means_.data(), white_means_.size()),
            "Mahalanobis", "a part has an entry that is not finite");
  }

  [[nodiscard]] index_t dimension() const noexcept { return origin_.size(); }
  /// The mean of all references: k.
  [[nodiscard]] const Eigen::VectorXd& origin() const noexcept { return origin_; }
  /// W with Wᵀ W = Σ⁻¹: k × k.
  [[nodiscard]] const Eigen::MatrixXd& whitening() const noexcept { return whitening_; }
  /// W (μ_c - origin), k × C.
  [[nodiscard]] const Eigen::MatrixXd& white_means() const noexcept { return white_means_; }
  /// a of the covariance; 0 of the sample's.
  [[nodiscard]] double amount() const noexcept { return amount_; }

  /// min_c (x - μ_c)ᵀ Σ⁻¹ (x - μ_c) of each sample: the higher, the more foreign.
  /// @param samples k × N in host memory; with a device, a view of its memory too
  /// @throws size_error unless they have k rows; argument_error that names one that is not finite
  /// Cost: 2 k (k + C) flops a sample, in double. A program with a device includes
  /// ood/cuda/mahalanobis.hpp; whitening and means, k (k + C + 1) numbers, are uploaded each time.
  template <backend B, class Samples>
  [[nodiscard]] Eigen::VectorXd score(const B& be, const Samples& samples) const {
    require_size("Mahalanobis", "number of rows of the samples", samples.rows(), dimension());
    if constexpr (is_device_backend<B>) {
      return mahalanobis_distances(be, *this, samples);
    } else {
      return score_on_host(detail::host_of(be), samples.template cast<double>());
    }
  }

 private:
  template <std::floating_point S>
  [[nodiscard]] Eigen::VectorXd score_on_host(const cpu<S>& be, const Eigen::MatrixXd& X) const {
    std::ignore = detail::largest_entry(be, "Mahalanobis", "sample", X);
    Eigen::VectorXd scores(X.cols());
    for_each_index(
        be, X.cols(),
        [&](index_t j) {
          const Eigen::VectorXd white = whitening_ * (X.col(j) - origin_).eval();
          scores[j] = (white_means_.colwise() - white).colwise().squaredNorm().minCoeff();
        },
        16);
    return scores;
  }

  /// Takes each class's mean from its columns and gives the means.
  [[nodiscard]] static Eigen::MatrixXd subtract_means(Eigen::MatrixXd& X,
                                                      const std::vector<index_t>& classes) {
    const auto m = static_cast<std::size_t>(X.cols());
    if (!classes.empty()) {
      require_size("Mahalanobis", "number of classes of references",
                   static_cast<index_t>(classes.size()), X.cols());
    }
    const std::vector<index_t> all(m, 0);
    const std::vector<index_t>& of = classes.empty() ? all : classes;
    const auto [least, most] = std::minmax_element(of.begin(), of.end());
    require(*least >= 0, "Mahalanobis", "a class is negative");
    require(*most < X.cols(), "Mahalanobis", "there are more classes than references");
    Eigen::MatrixXd means = Eigen::MatrixXd::Zero(X.rows(), *most + 1);
    Eigen::VectorXd members = Eigen::VectorXd::Zero(*most + 1);
    for (std::size_t j = 0; j < m; ++j) {
      means.col(of[j]) += X.col(static_cast<index_t>(j));
      members[of[j]] += 1;
    }
    for (index_t c = 0; c < members.size(); ++c) {
      require(members[c] > 0, "Mahalanobis", "class " + std::to_string(c) + " has no reference");
      means.col(c) /= members[c];
    }
    for (std::size_t j = 0; j < m; ++j) X.col(static_cast<index_t>(j)) -= means.col(of[j]);
    return means;
  }

  /// Ledoit and Wolf's a of columns of mean 0 whose covariance has this lower triangle.
  [[nodiscard]] static double ledoit_wolf(const Eigen::MatrixXd& X, const Eigen::MatrixXd& lower) {
    const auto k = static_cast<double>(X.rows()), m = static_cast<double>(X.cols());
    const double mean = lower.trace() / k;
    const double squares = 2 * lower.squaredNorm() - lower.diagonal().squaredNorm();
    const double apart = squares - k * mean * mean;
    const double noise = (X.colwise().squaredNorm().array().square().sum() / m - squares) / m;
    return apart > 0 ? std::clamp(noise / apart, 0.0, 1.0) : 0;
  }

  Eigen::VectorXd origin_;
  Eigen::MatrixXd whitening_, white_means_;
  double amount_ = 0;
};

/// Scores of samples by their Mahalanobis distance, squared, from the nearest mean.
/// @param references k × M in host memory, whose covariance the host estimates
/// @param samples k × N, as `Mahalanobis::score` takes them
/// @param classes of each reference; empty: all are of one
/// @throws as `Mahalanobis`
///
/// @code
/// #include <iostream>
///
/// #include <basin/ood/mahalanobis.hpp>
///
/// int main() {
///   const basin::cpu<double> cpu;
///   Eigen::MatrixXd references = Eigen::MatrixXd::Random(2, 500);
///   references.row(0) *= 10;
///   const Eigen::MatrixXd samples = 5 * Eigen::MatrixXd::Identity(2, 2);
///   std::cout << basin::mahalanobis_score(cpu, references, samples).transpose() << '\n';
///   // the second is the more foreign
/// }
/// @endcode
template <backend B, class References, class Samples>
[[nodiscard]] Eigen::VectorXd mahalanobis_score(const B& be,
                                                const Eigen::MatrixBase<References>& references,
                                                const Samples& samples,
                                                const std::vector<index_t>& classes = {},
                                                const mahalanobis_options& options = {}) {
  return Mahalanobis(detail::host_of(be), references, classes, options).score(be, samples);
}

}  // namespace basin
