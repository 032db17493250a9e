/// @file
/// Whether fixed points belong to one continuum: by the points between them.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/finite.hpp>
#include <basin/map/concept.hpp>

namespace basin::detail {

/// f at the columns of Z in host memory, in the scalar of the backend.
template <backend B, class Map>
[[nodiscard]] Eigen::MatrixXd evaluate_on(const B& be, Map& map, const Eigen::MatrixXd& Z) {
  using scalar = typename B::scalar;
  const index_t k = Z.rows(), n = Z.cols();
  if (n == 0) return Z;
  typename B::matrix X = be.make_matrix(k, n), F = be.make_matrix(k, n);
  Eigen::MatrixX<scalar> host = Z.cast<scalar>();
  upload(be, host, columns(be, X, 0, n));
  evaluate(be, map, columns(be, std::as_const(X), 0, n), columns(be, F, 0, n));
  download(be, columns(be, std::as_const(F), 0, n), host);
  return host.template cast<double>();
}

/// Whether the two ends A_j, E_j, which are nearly fixed, and the three points between them come to
/// be fixed, apart and in their order, when they are iterated; which then are the columns 5 j to
/// 5 j + 4 of `between`. The residual must change from each to the next by no more than `band`
/// times their distance: the Jacobian's mean along each part has an eigenvalue 1 within the band
/// (the secant's, so that no derivative is needed).
template <backend B, class Map>
[[nodiscard]] std::vector<char> stay_between(const B& be, Map& map, const Eigen::MatrixXd& A,
                                             const Eigen::MatrixXd& E, double band,
                                             Eigen::MatrixXd& between, index_t& evaluations) {
  constexpr int steps = 256;
  constexpr auto epsilon = static_cast<double>(std::numeric_limits<typename B::scalar>::epsilon());
  std::vector<char> answer(static_cast<std::size_t>(A.cols()), 0);
  std::vector<index_t> left;
  Eigen::MatrixXd X(A.rows(), 5 * A.cols());
  for (index_t j = 0; j < A.cols(); ++j) {
    left.push_back(j);
    for (int i = 0; i < 5; ++i) X.col(5 * j + i) = A.col(j) + i / 4.0 * (E.col(j) - A.col(j));
  }
  between = X;
  for (int step = 0; step < steps && !left.empty(); ++step) {
    Eigen::MatrixXd F = evaluate_on(be, map, X);
    evaluations += X.cols();
    index_t kept = 0;
    for (std::size_t e = 0; e < left.size(); ++e) {
      const auto z = X.middleCols(static_cast<index_t>(5 * e), 5);
      const auto f = F.middleCols(static_cast<index_t>(5 * e), 5);
      const double length = (z.col(4) - z.col(0)).norm();
      const double noise = 4 * epsilon * (z.col(0).norm() + z.col(4).norm());
      bool ordered = true, marginal = true;
      for (int i = 0; i < 4; ++i) {
        const Eigen::VectorXd part = z.col(i + 1) - z.col(i);
        const double change = (f.col(i + 1) - f.col(i) - part).norm();
        ordered = ordered && part.norm() >= length / 16 && part.norm() <= length;
        marginal = marginal && change <= band * part.norm() + noise;
      }
      if (ordered && marginal) {
        answer[static_cast<std::size_t>(left[e])] = 1;
        between.middleCols(5 * left[e], 5) = z;
      }
      if (!ordered || marginal) continue;
      X.middleCols(5 * kept, 5) = f;
      left[static_cast<std::size_t>(kept++)] = left[e];
    }
    left.resize(static_cast<std::size_t>(kept));
    X.conservativeResize(Eigen::NoChange, 5 * kept);
  }
  return answer;
}

/// Whether a continuum of fixed points leads from A_j to E_j, columns that are nearly fixed: points
/// between them stay where they come to (`stay_between`), and so do points between the two of these
/// that are farthest apart. Between isolated fixed points they are drawn to one of them, or away
/// from a saddle; the second look tells a row of isolated ones at equal distances from a continuum.
///
/// @return 1 or 0 for each
/// Cost: 5 evaluations a step and pair that is not decided, at most 256 steps, twice where it is
/// one.
template <backend B, class Map>
[[nodiscard]] std::vector<char> lie_on_continuum(const B& be, Map& map, const Eigen::MatrixXd& A,
                                                 const Eigen::MatrixXd& E, double band,
                                                 index_t& evaluations) {
  Eigen::MatrixXd between;
  std::vector<char> answer = stay_between(be, map, A, E, band, between, evaluations);
  std::vector<std::size_t> which;
  for (std::size_t j = 0; j < answer.size(); ++j) {
    if (answer[j]) which.push_back(j);
  }
  const auto n = static_cast<index_t>(which.size());
  Eigen::MatrixXd begin(A.rows(), n), end(A.rows(), n);
  for (index_t e = 0; e < n; ++e) {
    const auto z =
        between.middleCols(5 * static_cast<index_t>(which[static_cast<std::size_t>(e)]), 5);
    index_t longest = 0;
    (z.rightCols(4) - z.leftCols(4)).colwise().squaredNorm().maxCoeff(&longest);
    begin.col(e) = z.col(longest);
    end.col(e) = z.col(longest + 1);
  }
  const std::vector<char> again = stay_between(be, map, begin, end, band, between, evaluations);
  for (index_t e = 0; e < n; ++e) {
    answer[which[static_cast<std::size_t>(e)]] = again[static_cast<std::size_t>(e)];
  }
  return answer;
}

/// Pairs of columns of X worth asking about: a minimum spanning tree (Prim 1957) of up to `most`
/// columns, and for each further one its nearest among those.
/// Cost: about N min(N, most) k.
[[nodiscard]] inline std::vector<std::pair<index_t, index_t>> spanning_pairs(
    const Eigen::MatrixXd& X, index_t most) {
  const index_t n = std::min(X.cols(), most);
  std::vector<std::pair<index_t, index_t>> pairs;
  if (n < 1) return pairs;
  constexpr double infinite = std::numeric_limits<double>::infinity();
  Eigen::VectorXd distance = Eigen::VectorXd::Constant(X.cols(), infinite);
  std::vector<index_t> nearest(static_cast<std::size_t>(X.cols()), 0);
  std::vector<char> taken(static_cast<std::size_t>(n), 0);
  index_t last = 0;
  for (index_t step = 0; step < n; ++step) {
    taken[static_cast<std::size_t>(last)] = 1;
    if (step > 0) pairs.emplace_back(nearest[static_cast<std::size_t>(last)], last);
    index_t next = -1;
    for (index_t j = 0; j < X.cols(); ++j) {
      if (j < n && taken[static_cast<std::size_t>(j)]) continue;
      const double d = (X.col(j) - X.col(last)).squaredNorm();
      if (d < distance[j]) {
        distance[j] = d;
        nearest[static_cast<std::size_t>(j)] = last;
      }
      if (j < n && (next < 0 || distance[j] < distance[next])) next = j;
    }
    last = next;
  }
  for (index_t j = n; j < X.cols(); ++j) {
    pairs.emplace_back(nearest[static_cast<std::size_t>(j)], j);
  }
  return pairs;
}

}  // namespace basin::detail
