/// @file
/// For each column of one matrix the nearest of another, by distance or by angle.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/nearest.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/backend/host.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

/// Half the squared distance of columns, times scale².
template <class Left, class Right>
class EuclideanPairs {
 public:
  EuclideanPairs(const Left& left, const Right& right, double largest)
      : left_(left), right_(right) {
    if (largest > 0) scale_ = std::exp2(std::min(1000.0, -std::ceil(std::log2(2 * largest))));
  }

  [[nodiscard]] index_t dimension() const { return left_.rows(); }
  [[nodiscard]] index_t lefts() const { return left_.cols(); }
  [[nodiscard]] index_t rights() const { return right_.cols(); }
  [[nodiscard]] double scale() const { return scale_; }
  /// Points whose squared distance is twice the value.
  void left(index_t i, Eigen::Ref<Eigen::VectorXd> to) const {
    to = left_.col(i).template cast<double>() * scale_;
  }
  void right(index_t j, Eigen::Ref<Eigen::VectorXd> to) const {
    to = right_.col(j).template cast<double>() * scale_;
  }
  [[nodiscard]] double value(index_t i, index_t j) const {
    return ((left_.col(i).template cast<double>() - right_.col(j).template cast<double>()) * scale_)
               .squaredNorm() /
           2;
  }

 private:
  const Left& left_;
  const Right& right_;
  double scale_ = 1;
};

/// One minus the cosine of columns less an origin; of a column that is the origin, to rounding,
/// with any other the cosine is 0.
template <class Left, class Right>
class CosinePairs {
 public:
  template <std::floating_point S>
  CosinePairs(const cpu<S>& be, const Left& left, const Right& right, Eigen::VectorXd origin)
      : left_(left),
        right_(right),
        origin_(std::move(origin)),
        left_norm_(norms(be, left)),
        right_norm_(norms(be, right)) {}

  /// One more than there are rows: a right column without a direction has one of its own, which is
  /// at right angles to all left ones.
  [[nodiscard]] index_t dimension() const { return left_.rows() + 1; }
  [[nodiscard]] index_t lefts() const { return left_.cols(); }
  [[nodiscard]] index_t rights() const { return right_.cols(); }
  /// Points whose squared distance is twice the value, but of left ones without a direction, for
  /// which all values are 1.
  void left(index_t i, Eigen::Ref<Eigen::VectorXd> to) const {
    direction(left_, left_norm_, i, to);
  }
  void right(index_t j, Eigen::Ref<Eigen::VectorXd> to) const {
    direction(right_, right_norm_, j, to);
    if (right_norm_[j] == 0) to[left_.rows()] = 1;
  }
  /// By the difference of the directions: 1 - x · y cancels where they are near.
  [[nodiscard]] double value(index_t i, index_t j) const {
    if (left_norm_[i] == 0 || right_norm_[j] == 0) return 1;
    return ((left_.col(i).template cast<double>() - origin_) / left_norm_[i] -
            (right_.col(j).template cast<double>() - origin_) / right_norm_[j])
               .squaredNorm() /
           2;
  }

 private:
  template <std::floating_point S, class Matrix>
  [[nodiscard]] Eigen::VectorXd norms(const cpu<S>& be, const Matrix& X) const {
    const double rounding = 16 * std::numeric_limits<double>::epsilon() * origin_.stableNorm();
    Eigen::VectorXd found(X.cols());
    for_each_column(be, X.rows(), X.cols(), [&](index_t j) {
      const Eigen::VectorXd from_origin = X.col(j).template cast<double>() - origin_;
      const double norm = from_origin.stableNorm();
      found[j] = norm > rounding ? norm : 0;
    });
    return found;
  }
  template <class Matrix>
  void direction(const Matrix& X, const Eigen::VectorXd& norm, index_t j,
                 Eigen::Ref<Eigen::VectorXd> to) const {
    to.setZero();
    if (norm[j] == 0) return;
    to.head(X.rows()) = (X.col(j).template cast<double>() - origin_) / norm[j];
  }

  const Left& left_;
  const Right& right_;
  Eigen::VectorXd origin_, left_norm_, right_norm_;
};

/// Of each left column the nearest right one, of equals the first, and the value of the pair.
struct NearestColumns {
  std::vector<index_t> index;
  Eigen::VectorXd value;
};

/// The search, block by block, so that no second copy of either matrix is needed: see
/// NearestReferences. Memory: at most some 100 MB for up to 100,000 rows. Cost: 2 k M N flops in
/// float. For a device, those on the device, and the blocks of either side are uploaded in double
/// for each block of the other.
template <class B, class Pairs>
[[nodiscard]] NearestColumns nearest_columns(const B& backend, const Pairs& pairs) {
  using search_type = nearest_search<B, double>;
  const auto be = host_of(backend);
  const auto on = search_type::context(backend);
  const index_t k = pairs.dimension(), m = pairs.lefts(), n = pairs.rights();
  const index_t width = std::clamp<index_t>((index_t{1} << 21) / k, 64, index_t{1} << 12);
  NearestColumns found{std::vector<index_t>(static_cast<std::size_t>(m)), Eigen::VectorXd(m)};
  for_each_column(be, k, m, [&](index_t i) { found.value[i] = pairs.value(i, 0); });
  for (index_t j0 = 0; j0 < n; j0 += width) {
    const index_t rights = std::min(width, n - j0);
    Eigen::MatrixXd right(k, rights);
    for_each_column(be, k, rights, [&](index_t j) { pairs.right(j0 + j, right.col(j)); });
    const typename search_type::type search(on, std::move(right));
    for (index_t i0 = 0; i0 < m; i0 += width) {
      const index_t lefts = std::min(width, m - i0);
      Eigen::MatrixXd left(k, lefts);
      for_each_column(be, k, lefts, [&](index_t i) { pairs.left(i0 + i, left.col(i)); });
      const Neighbours nearest = search.nearest(on, left, 1);
      for_each_column(be, k, lefts, [&](index_t i) {
        const index_t j = j0 + nearest.index(0, i);
        const double value = pairs.value(i0 + i, j);
        if (!(value < found.value[i0 + i])) return;
        found.index[static_cast<std::size_t>(i0 + i)] = j;
        found.value[i0 + i] = value;
      });
    }
  }
  return found;
}

}  // namespace basin::detail
