/// @file
/// In how many directions points spread: ranks of a matrix by its singular values.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>

#include <basin/attractor/column_sets.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/spectral/golub_kahan.hpp>

namespace basin {

/// Settings of `rank_for_variance`.
struct rank_options {
  double share = 0.9;  ///< of Σ σ_i² that is to be explained, in (0, 1]
  /// Subtract the mean of the columns before: σ_i² are then variances. The paper does not.
  bool centered = false;

  /// @throws argument_error if the share is out of its range
  void check() const {
    require(share > 0 && share <= 1, "rank_options",
            "share is " + std::to_string(share) + ", must be in (0, 1]");
  }
};

/// Settings of `effective_rank`.
struct effective_rank_options {
  bool centered = false;  ///< subtract the mean of the columns before
};

namespace detail {

/// The matrix in double, around the mean of its columns if it is centred, a power of two smaller so
/// that squares neither overflow nor vanish, and transposed where it is wide.
template <class Derived>
[[nodiscard]] Eigen::MatrixXd scaled_points(const char* where, const Eigen::MatrixBase<Derived>& X,
                                            bool centered) {
  const double largest = require_points(cpu<double>(1), where, "column", X);
  Eigen::MatrixXd points = X.template cast<double>();
  if (largest > 0) points *= std::exp2(-std::ceil(std::log2(largest)));
  if (centered) {
    const Eigen::VectorXd mean = mean_column(points);
    points.colwise() -= mean;
    // Of equal columns only roundings of the mean are left.
    const double rounding = 16 * std::numeric_limits<double>::epsilon() * mean.norm();
    for (index_t j = 0; j < points.cols(); ++j) {
      if (points.col(j).norm() <= rounding) points.col(j).setZero();
    }
  }
  if (points.cols() > points.rows()) points.transposeInPlace();
  return points;
}

/// All singular values, descending, as accurate as X allows, which eigenvalues of XᵀX are not.
[[nodiscard]] inline Eigen::VectorXd all_singular_values(const Eigen::MatrixXd& tall) {
  const Eigen::HouseholderQR<Eigen::MatrixXd> qr(tall);
  const Eigen::MatrixXd R = qr.matrixQR().topRows(tall.cols()).triangularView<Eigen::Upper>();
  return small_svd(R, false).s;
}

/// The sum of all entries but the first r, for r = 0 ... n, summed from the small end.
[[nodiscard]] inline Eigen::VectorXd tails(const Eigen::VectorXd& descending) {
  Eigen::VectorXd sums = Eigen::VectorXd::Zero(descending.size() + 1);
  for (index_t r = descending.size(); r-- > 0;) sums[r] = sums[r + 1] + descending[r];
  return sums;
}

}  // namespace detail

/// The least r such that the r leading singular values of X explain a share of the variance:
/// Σ_{i ≤ r} σ_i² ≥ share Σ σ_i². The paper's "entropy rank" of decoded attractors (Fumero et al.
/// 2025, section B.5), in which there is no entropy; see `effective_rank`.
///
/// Equally, r is the least rank of a matrix whose distance from X is at most √(1 - share) ‖X‖_F
/// (Eckart and Young 1936). A share that is met to within what X's roundings leave open,
/// (n + M) ε ‖X‖_F in that distance, is met: of ten equal values nine explain 0.9. So share = 1
/// gives the numerical rank. 0 for a matrix of zeros.
///
/// @param X n × M, a point a column, float or double
/// @throws size_error if X is empty; argument_error if the share is out of its range, or that names
///   the first column that is not finite or beyond 1e150
/// Cost: with p = min(n, M) and q = max(n, M) about 2 p² q flops for the smaller Gram matrix and
/// its eigenvalues. Where these leave the count open, as always for share = 1, that of
/// `effective_rank`.
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/rank.hpp>
///
/// int main() {
///   const Eigen::MatrixXd X = Eigen::Vector4d(3, 1, 0.5, 0.1).asDiagonal();
///   std::cout << basin::rank_for_variance(X) << " of 4 explain 90 %, "
///             << basin::rank_for_variance(X, {.share = 0.99}) << " 99 %; entropy says "
///             << basin::effective_rank(X) << '\n';
/// }
/// @endcode
template <class Derived>
[[nodiscard]] index_t rank_for_variance(const Eigen::MatrixBase<Derived>& X,
                                        const rank_options& options = {}) {
  options.check();
  const Eigen::MatrixXd points = detail::scaled_points("rank_for_variance", X, options.centered);
  const double total = points.squaredNorm();
  if (total == 0) return 0;
  const index_t p = points.cols();
  const double rounding =
      static_cast<double>(points.rows() + points.cols()) * std::numeric_limits<double>::epsilon();

  Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(p, p);
  gram.selfadjointView<Eigen::Lower>().rankUpdate(points.transpose());
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram, Eigen::EigenvaluesOnly);
  if (solver.info() == Eigen::Success) {
    // Sums of eigenvalues change by at most the trace norm of the error, √p times Frobenius'.
    const double open = std::sqrt(static_cast<double>(p)) * rounding * total;
    const Eigen::VectorXd left = detail::tails(solver.eigenvalues().reverse());
    const double allowed = (1 - options.share) * total;
    const auto r = std::find_if(left.begin(), left.end(), [&](double x) { return x <= allowed; });
    const bool above = r == left.begin() || *(r - 1) > allowed + open;
    if (r != left.end() && *r < allowed - open && above) return r - left.begin();
  }
  const Eigen::VectorXd left =
      detail::tails(detail::all_singular_values(points).array().square().matrix());
  const double allowed = (std::sqrt(1 - options.share) + rounding) * std::sqrt(total);
  const auto r =
      std::find_if(left.begin(), left.end(), [&](double x) { return std::sqrt(x) <= allowed; });
  return r - left.begin();
}

/// exp of the entropy of p_i = σ_i / Σ σ_j, a rank that need not be whole: n where n singular
/// values are equal and the others 0 (Roy and Vetterli, "The effective rank", EUSIPCO 2007). 0 for
/// a matrix of zeros.
///
/// @param X n × M, a point a column, float or double
/// @throws size_error if X is empty; argument_error that names the first column that is not finite
///   or beyond 1e150
/// Cost: with p = min(n, M) and q = max(n, M) a QR factorisation, 2 p² q flops, and 11 p³ more for
/// singular values that are accurate where they are small.
template <class Derived>
[[nodiscard]] double effective_rank(const Eigen::MatrixBase<Derived>& X,
                                    const effective_rank_options& options = {}) {
  const Eigen::MatrixXd points = detail::scaled_points("effective_rank", X, options.centered);
  const Eigen::VectorXd s = detail::all_singular_values(points);
  const double sum = s.sum();
  if (sum == 0) return 0;
  double entropy = 0;
  for (const double value : s) {
    const double share = value / sum;
    if (share > 0) entropy -= share * std::log(share);
  }
  return std::exp(entropy);
}

}  // namespace basin
