/// @file
/// Whether fixed points belong to one continuum: by the points between them.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/disjoint_sets.hpp>
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
  // Not at equal distances, as isolated fixed points often are.
  constexpr double places[] = {0, 0.2236, 0.4721, 0.7639, 1};
  constexpr auto epsilon = static_cast<double>(std::numeric_limits<typename B::scalar>::epsilon());
  std::vector<char> answer(static_cast<std::size_t>(A.cols()), 0);
  std::vector<index_t> left;
  const Eigen::VectorXd apart = (E - A).colwise().norm();
  Eigen::MatrixXd X(A.rows(), 5 * A.cols());
  for (index_t j = 0; j < A.cols(); ++j) {
    left.push_back(j);
    for (int i = 0; i < 5; ++i) X.col(5 * j + i) = A.col(j) + places[i] * (E.col(j) - A.col(j));
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
      // What has come together has gone to one point, whatever rounding then makes of it.
      bool ordered = length > 1e-3 * apart[left[e]] && length > 400 * noise, marginal = true;
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
/// that are farthest apart, and so on, four times. Between isolated fixed points they are drawn to
/// one of them, or away from a saddle; the further looks tell a row of isolated ones, up to some
/// hundred, from a continuum.
///
/// @return 1 or 0 for each
/// Cost: 5 evaluations a step and pair that is not decided, at most 256 steps, and for what is one
/// four times so, in few steps as a rule.
template <backend B, class Map>
[[nodiscard]] std::vector<char> lie_on_continuum(const B& be, Map& map, const Eigen::MatrixXd& A,
                                                 const Eigen::MatrixXd& E, double band,
                                                 index_t& evaluations) {
  constexpr int looks = 4;
  Eigen::MatrixXd begin = A, end = E, between;
  std::vector<char> answer(static_cast<std::size_t>(A.cols()), 0);
  std::vector<std::size_t> which;  // of each column that is looked at
  for (std::size_t j = 0; j < answer.size(); ++j) which.push_back(j);
  for (int look = 0; look < looks; ++look) {
    const std::vector<char> yes = stay_between(be, map, begin, end, band, between, evaluations);
    std::vector<std::size_t> still;
    for (std::size_t e = 0; e < which.size(); ++e) {
      if (!yes[e]) continue;
      const auto z = between.middleCols(5 * static_cast<index_t>(e), 5);
      index_t longest = 0;
      (z.rightCols(4) - z.leftCols(4)).colwise().squaredNorm().maxCoeff(&longest);
      const auto column = static_cast<index_t>(still.size());
      begin.col(column) = z.col(longest);
      end.col(column) = z.col(longest + 1);
      still.push_back(which[e]);
    }
    which = std::move(still);
    begin.conservativeResize(Eigen::NoChange, static_cast<index_t>(which.size()));
    end.conservativeResize(Eigen::NoChange, static_cast<index_t>(which.size()));
  }
  for (const std::size_t j : which) answer[j] = 1;
  return answer;
}

/// Unites the sets of columns of X that `ask` says are connected. Each set asks its nearest other
/// one, and the next where it said no, until `patience` in a row have: on a continuum the nearest
/// may be an attractor beside it. Columns beyond the first `most` ask those.
/// @param may_ask of each column: a set asks if one of its columns may
/// @param ask a vector of pairs of columns -> for each whether they are connected
/// Cost: N min(N, most) k operations and as many again for every round of questions, of which there
/// are some patience + log2 N; memory: min(N, most)² numbers.
template <class Ask>
void unite_neighbors(const Eigen::MatrixXd& X, const std::vector<char>& may_ask, index_t most,
                     DisjointSets& sets, Ask&& ask) {
  constexpr int patience = 4;
  constexpr double infinite = std::numeric_limits<double>::infinity();
  using pairs = std::vector<std::pair<index_t, index_t>>;
  const index_t n = std::min(X.cols(), most);
  const auto at = [](index_t i) { return static_cast<std::size_t>(i); };
  Eigen::MatrixXd apart(n, n);
  for (index_t j = 0; j < n; ++j) {
    apart.col(j) = (X.leftCols(n).colwise() - X.col(j)).colwise().squaredNorm();
    apart(j, j) = infinite;
  }
  std::vector<int> refused(at(X.cols()), 0);  // of each set, in a row
  for (bool again = n > 1; again;) {
    std::vector<index_t> set(at(n));
    std::vector<char> asks(at(n), 0);
    for (index_t i = 0; i < n; ++i) {
      set[at(i)] = sets.find(i);
      if (may_ask[at(i)] && set[at(i)] < n) asks[at(set[at(i)])] = 1;
    }
    std::vector<double> least(at(n), infinite);
    pairs nearest(at(n), {-1, -1});
    for (index_t j = 0; j < n; ++j) {
      const index_t own = set[at(j)];
      if (!asks[at(own)] || refused[at(own)] >= patience) continue;
      for (index_t i = 0; i < n; ++i) {
        if (set[at(i)] == own || !(apart(i, j) < least[at(own)])) continue;
        least[at(own)] = apart(i, j);
        nearest[at(own)] = {std::min(i, j), std::max(i, j)};
      }
    }
    pairs questions;
    std::vector<index_t> who;
    for (index_t c = 0; c < n; ++c) {
      if (nearest[at(c)].first < 0) continue;
      questions.push_back(nearest[at(c)]);
      who.push_back(c);
    }
    again = !questions.empty();
    pairs once = questions;
    std::sort(once.begin(), once.end());
    once.erase(std::unique(once.begin(), once.end()), once.end());
    const std::vector<char> yes = ask(once);
    std::vector<index_t> joined;
    for (std::size_t q = 0; q < once.size(); ++q) {
      const auto [i, j] = once[q];
      apart(i, j) = apart(j, i) = infinite;
      if (!yes[q]) continue;
      sets.unite(i, j);
      joined.push_back(i);
    }
    for (std::size_t q = 0; q < questions.size(); ++q) ++refused[at(who[q])];
    for (const index_t i : joined) refused[at(sets.find(i))] = 0;
  }
  // The others: each asks the first ones by their distance.
  struct waiting {
    index_t column;
    std::vector<index_t> order;
  };
  std::vector<waiting> rest;
  for (index_t j = n; j < X.cols(); ++j) {
    if (!may_ask[at(j)]) continue;
    const Eigen::VectorXd distances = (X.leftCols(n).colwise() - X.col(j)).colwise().squaredNorm();
    waiting one{.column = j, .order = {}};
    for (index_t i = 0; i < n; ++i) one.order.push_back(i);
    const auto count = std::min<index_t>(patience, n);
    std::partial_sort(one.order.begin(), one.order.begin() + count, one.order.end(),
                      [&](index_t a, index_t b) { return distances[a] < distances[b]; });
    one.order.resize(at(count));
    rest.push_back(std::move(one));
  }
  for (std::size_t round = 0; round < patience && !rest.empty(); ++round) {
    pairs questions;
    for (const waiting& one : rest) {
      if (round < one.order.size()) questions.emplace_back(one.order[round], one.column);
    }
    if (questions.size() < rest.size()) break;
    const std::vector<char> yes = ask(questions);
    std::vector<waiting> still;
    for (std::size_t q = 0; q < questions.size(); ++q) {
      if (yes[q]) {
        sets.unite(questions[q].first, questions[q].second);
      } else {
        still.push_back(std::move(rest[q]));
      }
    }
    rest = std::move(still);
  }
}

/// Whether continua lead between columns of X that are nearly fixed, or the two are one point.
template <backend B, class Map>
[[nodiscard]] std::vector<char> connected(const B& be, Map& map, const Eigen::MatrixXd& X,
                                          const std::vector<std::pair<index_t, index_t>>& pairs,
                                          double band, index_t& evaluations) {
  std::vector<index_t> a, b;
  for (const auto& [i, j] : pairs) {
    a.push_back(i);
    b.push_back(j);
  }
  const Eigen::MatrixXd A = X(Eigen::all, a), E = X(Eigen::all, b);
  std::vector<char> answer = lie_on_continuum(be, map, A, E, band, evaluations);
  for (std::size_t e = 0; e < answer.size(); ++e) {
    const auto column = static_cast<index_t>(e);
    const double rounding = 1e3 * std::numeric_limits<double>::epsilon();
    if ((A.col(column) - E.col(column)).norm() <= rounding * A.col(column).norm()) answer[e] = 1;
  }
  return answer;
}

}  // namespace basin::detail
