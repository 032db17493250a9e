/// @file
/// For each column of one matrix the nearest of another: products choose candidates, differences
/// in double decide.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/column_sets.hpp>
#include <basin/backend/concept.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

/// Half the squared distance of columns, times scale².
template <class Left, class Right>
class EuclideanPairs {
 public:
  static constexpr bool unit = false;

  EuclideanPairs(const Left& left, const Right& right, double largest)
      : left_(left), right_(right), origin_(mean_column(right)) {
    if (largest > 0) scale_ = std::exp2(-std::ceil(std::log2(2 * largest)));
  }

  [[nodiscard]] index_t dimension() const { return left_.rows(); }
  [[nodiscard]] index_t lefts() const { return left_.cols(); }
  [[nodiscard]] index_t rights() const { return right_.cols(); }
  [[nodiscard]] double scale() const { return scale_; }
  /// Around the mean of the right ones, which keeps the roundings of products small.
  [[nodiscard]] Eigen::VectorXd left(index_t i) const { return around(left_, i); }
  [[nodiscard]] Eigen::VectorXd right(index_t j) const { return around(right_, j); }
  [[nodiscard]] double value(index_t i, index_t j) const {
    return ((left_.col(i).template cast<double>() - right_.col(j).template cast<double>()) * scale_)
               .squaredNorm() /
           2;
  }

 private:
  template <class Matrix>
  [[nodiscard]] Eigen::VectorXd around(const Matrix& X, index_t j) const {
    return (X.col(j).template cast<double>() - origin_) * scale_;
  }

  const Left& left_;
  const Right& right_;
  Eigen::VectorXd origin_;
  double scale_ = 1;
};

/// One minus the cosine of columns less an origin; of a column that is the origin, to rounding,
/// with any other the cosine is 0.
template <class Left, class Right>
class CosinePairs {
 public:
  static constexpr bool unit = true;

  template <class B>
  CosinePairs(const B& be, const Left& left, const Right& right, Eigen::VectorXd origin)
      : left_(left),
        right_(right),
        origin_(std::move(origin)),
        left_norm_(norms(be, left)),
        right_norm_(norms(be, right)) {}

  [[nodiscard]] index_t dimension() const { return left_.rows(); }
  [[nodiscard]] index_t lefts() const { return left_.cols(); }
  [[nodiscard]] index_t rights() const { return right_.cols(); }
  [[nodiscard]] Eigen::VectorXd left(index_t i) const { return direction(left_, left_norm_, i); }
  [[nodiscard]] Eigen::VectorXd right(index_t j) const { return direction(right_, right_norm_, j); }
  /// By the difference of the directions: 1 - x · y cancels where they are near.
  [[nodiscard]] double value(index_t i, index_t j) const {
    if (left_norm_[i] == 0 || right_norm_[j] == 0) return 1;
    return ((left_.col(i).template cast<double>() - origin_) / left_norm_[i] -
            (right_.col(j).template cast<double>() - origin_) / right_norm_[j])
               .squaredNorm() /
           2;
  }

 private:
  template <class B, class Matrix>
  [[nodiscard]] Eigen::VectorXd norms(const B& be, const Matrix& X) const {
    const double rounding = 16 * std::numeric_limits<double>::epsilon() * origin_.stableNorm();
    Eigen::VectorXd found(X.cols());
    on_host_in_groups(be, X.cols(), 64, [&](index_t j) {
      const Eigen::VectorXd from_origin = X.col(j).template cast<double>() - origin_;
      const double norm = from_origin.stableNorm();
      found[j] = norm > rounding ? norm : 0;
    });
    return found;
  }
  template <class Matrix>
  [[nodiscard]] Eigen::VectorXd direction(const Matrix& X, const Eigen::VectorXd& norm,
                                          index_t j) const {
    if (norm[j] == 0) return Eigen::VectorXd::Zero(X.rows());
    return (X.col(j).template cast<double>() - origin_) / norm[j];
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

/// What is known of one left column while right ones pass.
template <class Pairs>
class NearestCandidates {
 public:
  /// A right column whose value is at least `low` and at most `high`.
  void offer(const Pairs& pairs, index_t left, index_t right, double low, double high) {
    if (low > most_) return;
    most_ = std::min(most_, high);
    candidates_.emplace_back(low, right);
    if (candidates_.size() >= 256) decide(pairs, left);
  }
  /// Leaves the nearest alone. Candidates stand in the order of their indices.
  std::pair<index_t, double> decide(const Pairs& pairs, index_t left) {
    index_t nearest = -1;
    double least = std::numeric_limits<double>::infinity();
    for (const auto& [low, right] : candidates_) {
      if (low > most_) continue;
      const double value = pairs.value(left, right);
      if (nearest >= 0 && !(value < least)) continue;
      nearest = right;
      least = value;
    }
    candidates_.assign(1, {least, nearest});
    most_ = least;
    return {nearest, least};
  }

 private:
  double most_ = std::numeric_limits<double>::infinity();  // the nearest has no larger value
  std::vector<std::pair<double, index_t>> candidates_;
};

/// The search. The backend makes all products in its scalar, block by block; every right column
/// whose value may be the least, by a bound of all roundings, is kept, and its value computed anew.
/// So the answer is that of a search in double, on any backend and any number of threads.
///
/// Memory: at most some 100 MB for k up to 100,000. Cost: 2 k M N flops in the backend's scalar,
/// and some k operations a left column; where very many columns are equally near up to k M N more.
template <basin::backend B, class Pairs>
[[nodiscard]] NearestColumns nearest_columns(const B& be, const Pairs& pairs) {
  using scalar = typename B::scalar;
  const index_t k = pairs.dimension(), m = pairs.lefts(), n = pairs.rights();
  const index_t left_block = std::min(m, std::clamp<index_t>((index_t{1} << 20) / k, 16, 256));
  const index_t right_block =
      std::min(n, std::clamp<index_t>((index_t{1} << 21) / k, 64, index_t{1} << 12));
  // (k + 4) u ‖x‖ ‖y‖ of the product, with u the unit roundoff, and what is done in double; the
  // products of norms are at most (‖x‖ + ‖y‖)² / 4. The last part is for what underflows.
  const double relative = 1.1 * static_cast<double>(k + 4) *
                          (static_cast<double>(std::numeric_limits<scalar>::epsilon()) / 8 +
                           2 * std::numeric_limits<double>::epsilon());
  const double absolute =
      4 * static_cast<double>(k) * static_cast<double>(std::numeric_limits<scalar>::min());

  struct block {
    Eigen::MatrixX<scalar> host;
    typename B::matrix states;
    Eigen::VectorXd norm;
    block(const B& backend, index_t rows, index_t columns)
        : host(rows, columns), states(backend.make_matrix(rows, columns)), norm(columns) {}
  };
  block left(be, k, left_block), right(be, k, right_block);
  typename B::matrix products = be.make_matrix(right_block, left_block);
  Eigen::MatrixX<scalar> seen(right_block, left_block);
  const auto fill = [&](block& to, index_t count, const auto& column) {
    on_host_in_groups(be, count, 32, [&](index_t j) {
      const Eigen::VectorXd x = column(j);
      to.host.col(j) = x.template cast<scalar>();
      to.norm[j] = x.norm();
    });
    upload(be, to.host.leftCols(count), columns(be, to.states, 0, count));
  };

  NearestColumns found{std::vector<index_t>(static_cast<std::size_t>(m)), Eigen::VectorXd(m)};
  for (index_t i0 = 0; i0 < m; i0 += left_block) {
    const index_t lefts = std::min(left_block, m - i0);
    fill(left, lefts, [&](index_t i) { return pairs.left(i0 + i); });
    std::vector<NearestCandidates<Pairs>> nearest(static_cast<std::size_t>(lefts));
    for (index_t j0 = 0; j0 < n; j0 += right_block) {
      const index_t rights = std::min(right_block, n - j0);
      fill(right, rights, [&](index_t j) { return pairs.right(j0 + j); });
      if (rights != static_cast<index_t>(seen.rows())) {
        products = be.make_matrix(rights, left_block);
        seen.resize(rights, left_block);
      }
      gemm(be, columns(be, std::as_const(right.states), 0, rights),
           columns(be, std::as_const(left.states), 0, lefts), columns(be, products, 0, lefts),
           {.a = transpose::yes});
      download(be, columns(be, std::as_const(products), 0, lefts), seen.leftCols(lefts));
      on_host_in_groups(be, lefts, 4, [&](index_t i) {
        NearestCandidates<Pairs>& candidates = nearest[static_cast<std::size_t>(i)];
        const double x = left.norm[i];
        for (index_t j = 0; j < rights; ++j) {
          const double y = right.norm[j];
          const double value =
              (Pairs::unit ? 1 : (x * x + y * y) / 2) - static_cast<double>(seen(j, i));
          const double error = relative * (x + y) * (x + y) + absolute;
          candidates.offer(pairs, i0 + i, j0 + j, value - error, value + error);
        }
      });
    }
    on_host(be, lefts, [&](index_t i) {
      const auto [index, value] = nearest[static_cast<std::size_t>(i)].decide(pairs, i0 + i);
      found.index[static_cast<std::size_t>(i0 + i)] = index;
      found.value[i0 + i] = value;
    });
  }
  return found;
}

}  // namespace basin::detail
