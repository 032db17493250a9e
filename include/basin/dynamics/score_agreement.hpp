/// @file
/// How far a field is a multiple of a score: Theorem 1 of Fumero et al. (2025) as numbers.
#pragma once

#include <cmath>
#include <limits>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/dynamics/density.hpp>
#include <basin/dynamics/estimate.hpp>
#include <basin/dynamics/field.hpp>

namespace basin {

/// Two fields v and s at n points, compared. Errors are standard errors over the points, taken
/// as independent draws: they do not contain how far the field itself is uncertain, such as from
/// one training to the next.
struct ScoreAgreement {
  /// <v, s> / (‖v‖ ‖s‖) at each point; NaN where a field vanishes or is not finite.
  Eigen::VectorXd cosine;
  /// <v, s> / ‖s‖² at each point, the multiple of s that is nearest to v; NaN as above. For a
  /// denoising autoencoder σ².
  Eigen::VectorXd scale;
  estimate mean_cosine;  ///< mean of `cosine`: every point counts the same
  /// Σ <v, s> / √(Σ ‖v‖² Σ ‖s‖²): points count by the lengths of the fields, so that those
  /// where the score vanishes, and its direction means little, count little. By the jackknife.
  estimate pooled_cosine;
  /// Σ <v, s> / Σ ‖s‖², the one multiple that is best over all points. By the jackknife.
  estimate pooled_scale;
};

/// Compares two fields at the same points.
/// @param field v, k × n
/// @param score s, k × n. A column where either is not finite is left out of every estimate,
///   and counted there; so are columns where either vanishes, from `mean_cosine` alone.
/// @throws size_error unless the shapes agree
/// Cost: 6 k n flops.
[[nodiscard]] inline ScoreAgreement score_agreement(
    const Eigen::Ref<const Eigen::MatrixXd>& field,
    const Eigen::Ref<const Eigen::MatrixXd>& score) {
  require_size("score_agreement", "number of rows of the score", score.rows(), field.rows());
  require_size("score_agreement", "number of columns of the score", score.cols(), field.cols());
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const index_t n = field.cols();
  ScoreAgreement found;
  found.cosine.setConstant(n, nan);
  found.scale.setConstant(n, nan);
  Eigen::MatrixXd terms(3, n);
  for (index_t j = 0; j < n; ++j) {
    const double product = field.col(j).dot(score.col(j));
    const double field_square = field.col(j).squaredNorm();
    const double score_square = score.col(j).squaredNorm();
    terms.col(j) << product, field_square, score_square;
    if (!terms.col(j).allFinite() || !(score_square > 0)) continue;
    found.scale[j] = product / score_square;
    // Norms, not the root of the product of squares, which may underflow.
    if (field_square > 0) {
      found.cosine[j] = product / (std::sqrt(field_square) * std::sqrt(score_square));
    }
  }
  found.mean_cosine = mean_estimate(found.cosine);
  found.pooled_cosine = jackknife_estimate(terms, [](const Eigen::VectorXd& sums) {
    return sums[0] / (std::sqrt(sums[1]) * std::sqrt(sums[2]));
  });
  found.pooled_scale =
      jackknife_estimate(terms, [](const Eigen::VectorXd& sums) { return sums[0] / sums[2]; });
  return found;
}

/// Compares v(z) = f(z) - z with the score of a density at the columns of `points`.
///
/// Theorem 1 says "proportional". What is known (Vincent 2011; Alain and Bengio 2014) concerns
/// data space: with F the reconstruction map of a denoising autoencoder of noise σ,
/// F(x) - x = σ² × the score of the *noised* density in the optimum, whose score tends to that of
/// the data as σ -> 0. For a latent map f nothing is known; the numbers are then a finding.
///
/// @param map F or f, from k rows to k
/// @param density whose score is compared, see `GaussianMixture`
/// @param points k × n in host memory, draws of the density that shall weigh them
/// @throws size_error unless the map takes and gives k rows
/// Cost: one evaluation a point, and the score.
///
/// @code
/// #include <iostream>
///
/// #include <basin/dynamics/score_agreement.hpp>
/// #include <basin/map/function_map.hpp>
///
/// int main() {
///   const basin::GaussianMixture clean = basin::gaussian(
///       Eigen::Vector2d(1, 0), (Eigen::MatrixXd(2, 2) << 2, 0.5, 0.5, 1).finished());
///   const double noise = 0.5;
///   auto denoiser = basin::function_map(
///       2, [&](const auto& X) { return clean.optimal_denoiser(X, noise); });
///   const basin::GaussianMixture noised = clean.noised(noise);
///   const auto found = basin::score_agreement(basin::cpu<double>(), denoiser, noised,
///                                             noised.sample(1000, {.seed = 1}));
///   std::cout << "cosine " << found.pooled_cosine.value << ", scale " << found.pooled_scale.value
///             << " +- " << found.pooled_scale.error << '\n';  // 1 and 0.25
/// }
/// @endcode
template <basin::backend B, class Map, scored_density Density>
  requires latent_map<Map, B>
[[nodiscard]] ScoreAgreement score_agreement(const B& be, Map& map, const Density& density,
                                             const Eigen::Ref<const Eigen::MatrixXd>& points) {
  const Eigen::MatrixXd field =
      sample_field(be, map, points, false).velocity.template cast<double>();
  const Eigen::MatrixXd score = density.score(points);
  return score_agreement(field, score);
}

}  // namespace basin
