/// @file
/// Variance of what a map gives over the variance of what it was given.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include <Eigen/Core>

#include <basin/attractor/column_sets.hpp>
#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/random.hpp>
#include <basin/dynamics/estimate.hpp>
#include <basin/map/concept.hpp>

namespace basin {

/// Settings of `variance_ratio` where inputs are drawn.
struct variance_ratio_options {
  index_t samples = 1000;     ///< at least 2
  double deviation = 1;       ///< σ of the inputs N(0, σ² I), positive
  random_stream random = {};  ///< of the inputs

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(samples >= 2, "variance_ratio_options",
            "samples is " + std::to_string(samples) + ", must be at least 2");
    require(is_finite(deviation) && deviation > 0, "variance_ratio_options",
            "deviation is " + std::to_string(deviation) + ", must be positive and finite");
  }
};

/// Variances of inputs and outputs. Those are of the samples around their mean, per coordinate.
struct VarianceRatio {
  double input = std::numeric_limits<double>::quiet_NaN();   ///< variance, mean over coordinates
  double output = std::numeric_limits<double>::quiet_NaN();  ///< of the finite outputs
  /// output / input, with the jackknife's standard error over samples. Samples whose output is not
  /// finite are left out, and counted.
  estimate ratio;
  /// The same of all entries around one mean: what differs between coordinates and is equal in all
  /// samples, as biases do, counts as variance there.
  estimate pooled;

  /// σ_out / σ_in, the root of `ratio`.
  [[nodiscard]] estimate deviations() const {
    estimate root = ratio;
    root.value = std::sqrt(ratio.value);
    root.error = root.value > 0 ? ratio.error / (2 * root.value) : ratio.error;
    return root;
  }
};

/// Var f(z) / Var z over given inputs (Fumero et al. 2025, section B.1 and Figure 6). Below 1 a map
/// brings samples of this distribution together on average. It does not say that the map is a
/// contraction: that is a bound of the Jacobian's norm at every point (`spectral_norm`), which may
/// be above 1 in some direction where this is far below.
///
/// @param map may give another number of rows than it takes
/// @param inputs k × N in host memory, N >= 2, float or double
/// @throws size_error if there are fewer than two inputs, no rows, or the map takes other ones;
///   argument_error that names the first input that is not finite, or if all inputs are equal
/// Cost: N evaluations in batches of 256; memory for all outputs in double. From a device the
/// outputs come to the host once; the sums over them, some 10 flops an entry, are few beside a
/// network.
template <basin::backend B, class Map, class Derived>
  requires latent_map<Map, B>
[[nodiscard]] VarianceRatio variance_ratio(const B& be, Map& map,
                                           const Eigen::MatrixBase<Derived>& inputs) {
  using scalar = typename B::scalar;
  const Eigen::MatrixX<scalar> Z = inputs.template cast<scalar>();
  const index_t k = Z.rows(), n = Z.cols();
  (void)detail::require_points(cpu<double>(1), "variance_ratio", "input", Z);
  if (n < 2) throw size_error("variance_ratio: a variance of a single input");
  require_dimension("variance_ratio", map, k);
  const index_t rows = output_dimension(map) < 0 ? k : output_dimension(map);

  Eigen::MatrixXd images(rows, n);
  const index_t batch = std::min<index_t>(n, 256);
  typename B::matrix in = be.make_matrix(k, batch), out = be.make_matrix(rows, batch);
  Eigen::MatrixX<scalar> host(rows, batch);
  for (index_t first = 0; first < n; first += batch) {
    const index_t count = std::min(batch, n - first);
    upload(be, Z.middleCols(first, count), columns(be, in, 0, count));
    evaluate(be, map, columns(be, std::as_const(in), 0, count), columns(be, out, 0, count));
    download(be, columns(be, std::as_const(out), 0, count), host.leftCols(count));
    images.middleCols(first, count) = host.leftCols(count).template cast<double>();
  }

  Eigen::MatrixXd X = Z.template cast<double>();
  index_t kept = 0;  // finite outputs, with their inputs, move to the front
  for (index_t j = 0; j < n; ++j) {
    bool finite = true;
    for (index_t i = 0; i < rows; ++i) finite &= is_finite(images(i, j));
    if (!finite) continue;
    X.col(kept) = X.col(j);
    images.col(kept++) = images.col(j);
  }
  VarianceRatio found;
  found.ratio.left_out = found.pooled.left_out = n - kept;
  if (kept < 2) return found;
  const auto kept_in = X.leftCols(kept), kept_out = images.leftCols(kept);
  const Eigen::VectorXd mean_in = detail::mean_column(kept_in);
  const Eigen::VectorXd mean_out = detail::mean_column(kept_out);
  // A column for each sample: squares around the means per coordinate, and around one mean.
  const double one_in = mean_in.mean(), one_out = mean_out.mean();
  const double wide = static_cast<double>(k), tall = static_cast<double>(rows);
  Eigen::MatrixXd terms(4, kept);
  for (index_t j = 0; j < kept; ++j) {
    terms(0, j) = (kept_in.col(j) - mean_in).squaredNorm() / wide;
    terms(1, j) = (kept_out.col(j) - mean_out).squaredNorm() / tall;
    terms(2, j) = (kept_in.col(j).array() - one_in).square().sum() / wide;
    terms(3, j) = (kept_out.col(j).array() - one_out).square().sum() / tall;
  }
  found.input = terms.row(0).sum() / static_cast<double>(kept - 1);
  found.output = terms.row(1).sum() / static_cast<double>(kept - 1);
  require(found.input > 0, "variance_ratio", "all inputs are equal");
  found.ratio =
      jackknife_estimate(terms.topRows(2), [](const Eigen::VectorXd& s) { return s[1] / s[0]; });
  found.pooled =
      jackknife_estimate(terms.bottomRows(2), [](const Eigen::VectorXd& s) { return s[1] / s[0]; });
  found.ratio.left_out = found.pooled.left_out = n - kept;
  return found;
}

/// The same over inputs that are drawn, of a map that says how many rows it takes.
/// @throws argument_error if the map does not say, or a setting is out of its range
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/variance_ratio.hpp>
/// #include <basin/map/affine.hpp>
/// #include <basin/spectral/singular_values.hpp>
///
/// int main() {
///   const basin::cpu<double> cpu;
///   const Eigen::MatrixXd W = Eigen::Vector3d(2, 0.1, 0.1).asDiagonal();
///   auto map = basin::affine(W);
///   const basin::estimate ratio = basin::variance_ratio(cpu, map).deviations();
///   std::cout << "ratio " << ratio.value << " +- " << ratio.error << ", of which the truth is "
///             << W.norm() / std::sqrt(3.0) << "; norm of J "
///             << basin::spectral_norm(cpu, map, Eigen::VectorXd::Zero(3)).values << '\n';
/// }
/// @endcode
template <basin::backend B, class Map>
  requires latent_map<Map, B>
[[nodiscard]] VarianceRatio variance_ratio(const B& be, Map& map,
                                           const variance_ratio_options& options = {}) {
  using scalar = typename B::scalar;
  options.check();
  const index_t k = dimension(map);
  require(k >= 0, "variance_ratio", "the map does not say how many rows it takes: give inputs");
  typename B::matrix Z = be.make_matrix(k, options.samples);
  Eigen::MatrixX<scalar> inputs(k, options.samples);
  fill_normal(be, options.random, columns(be, Z, 0, options.samples));
  download(be, columns(be, std::as_const(Z), 0, options.samples), inputs);
  return variance_ratio(be, map, inputs * static_cast<scalar>(options.deviation));
}

}  // namespace basin
