/// @file
/// How near decoded attractors are to images: the memorization coefficient.
#pragma once

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/column_sets.hpp>
#include <basin/attractor/nearest_columns.hpp>
#include <basin/backend/concept.hpp>
#include <basin/backend/host.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// Settings of `memorization`.
struct memorization_options {
  /// Subtract the mean image from both sides before. Images of positive pixels have large cosines
  /// with each other, which then count for nothing. The paper does not.
  bool centered = false;
};

/// The memorization coefficient of M decoded attractors.
struct Memorization {
  double mean = std::numeric_limits<double>::quiet_NaN();  ///< over the attractors
  /// Standard deviation over the attractors, M - 1 in the denominator; NaN of a single one.
  double deviation = std::numeric_limits<double>::quiet_NaN();
  Eigen::VectorXd similarity;    ///< of each attractor its greatest cosine with an image
  std::vector<index_t> nearest;  ///< the image's index, of equal cosines the first
};

namespace detail {

/// The coefficient by the least 1 - cos of each attractor.
[[nodiscard]] inline Memorization memorization_of(NearestColumns found) {
  const index_t m = found.value.size();
  Memorization answer;
  answer.similarity = 1 - found.value.array();
  answer.nearest = std::move(found.index);
  answer.mean = answer.similarity.mean();
  if (m > 1) {
    answer.deviation = std::sqrt((answer.similarity.array() - answer.mean).square().sum() /
                                 static_cast<double>(m - 1));
  }
  return answer;
}

}  // namespace detail

/// mem(z*) = max over images x of cos(D(z*), x), and its mean over the attractors (Fumero et al.
/// 2025, section 3.2, who print min, but say the closest). 1 is an attractor that is an image up to
/// its brightness. What a value means is told by the same number for images that the network has
/// not seen.
///
/// The cosine of a column that is zero, or if `centered` the mean image to rounding, is 0, as in
/// scikit-learn. Cosines are computed by differences in double, whatever the backend. A program
/// with a device includes attractor/cuda/nearest.hpp, and the search runs there; of points that are
/// there already see attractor/cuda/sets.hpp.
///
/// @param decoded n × M in host memory, float or double: attractors through the decoder
/// @param images n × N, the training images
/// @throws size_error if there is no attractor, no image, no row, or the rows differ;
///   argument_error that names the first column that is not finite or beyond 1e150
/// Cost: 2 n M N flops in float, see `NearestReferences`; memory beyond the input some 100 MB.
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/memorization.hpp>
/// #include <basin/backend/cpu.hpp>
///
/// int main() {
///   const Eigen::MatrixXf images = Eigen::MatrixXf::Random(64, 1000);
///   Eigen::MatrixXf decoded = Eigen::MatrixXf::Random(64, 2);
///   decoded.col(1) = 0.5f * images.col(17);
///   const auto found = basin::memorization(basin::cpu<float>(), decoded, images);
///   std::cout << found.similarity.transpose() << ", the second is image " << found.nearest[1]
///             << '\n';
/// }
/// @endcode
template <basin::backend B, class Decoded, class Images>
[[nodiscard]] Memorization memorization(const B& be, const Eigen::MatrixBase<Decoded>& decoded,
                                        const Eigen::MatrixBase<Images>& images,
                                        const memorization_options& options = {}) {
  // Expressions are evaluated once.
  using left = Eigen::Ref<const Eigen::MatrixX<typename Decoded::Scalar>>;
  using right = Eigen::Ref<const Eigen::MatrixX<typename Images::Scalar>>;
  const left attractors = decoded.derived();
  const right training = images.derived();
  const auto host = detail::host_of(be);
  (void)detail::require_points(host, "memorization", "decoded attractor", attractors);
  (void)detail::require_points(host, "memorization", "image", training);
  require_size("memorization", "number of rows of the images", training.rows(), attractors.rows());
  const detail::CosinePairs<left, right> pairs(
      host, attractors, training,
      options.centered ? detail::mean_column(training) : Eigen::VectorXd::Zero(training.rows()));
  return detail::memorization_of(detail::nearest_columns(be, pairs));
}

}  // namespace basin
