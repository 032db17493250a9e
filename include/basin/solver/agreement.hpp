/// @file
/// Whether accelerated starts end where the dynamics takes them: the parts of
/// `FixedPointSolver::follow_sample`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include <basin/backend/array_view.hpp>
#include <basin/backend/concept.hpp>
#include <basin/core/index.hpp>
#include <basin/core/status.hpp>
#include <basin/map/concept.hpp>
#include <basin/solver/result.hpp>

namespace basin::detail {

/// Up to `count` starts that converged, evenly spaced among those that did.
[[nodiscard]] inline std::vector<index_t> sample_of_converged(const std::vector<status>& ends,
                                                              index_t count) {
  std::vector<index_t> converged;
  for (std::size_t j = 0; j < ends.size(); ++j) {
    if (ends[j] == status::converged) converged.push_back(static_cast<index_t>(j));
  }
  const auto candidates = static_cast<index_t>(converged.size());
  const index_t n = std::min(count, candidates);
  std::vector<index_t> which;
  for (index_t i = 0; i < n; ++i) {
    which.push_back(converged[static_cast<std::size_t>((2 * i + 1) * candidates / (2 * n))]);
  }
  return which;
}

/// Chosen columns of X, as a matrix of their own.
template <backend B>
[[nodiscard]] typename B::matrix chosen_columns(const B& be, const typename B::const_view& X,
                                                const std::vector<index_t>& which) {
  const auto n = static_cast<index_t>(which.size());
  auto places = be.template make_buffer<index_t>(n);
  auto Y = be.make_matrix(static_cast<index_t>(X.rows()), n);
  upload_array(be, array_view<const index_t>(which), array_view<index_t>(places));
  gather_columns(be, X, array_view<const index_t>(std::as_const(places)), columns(be, Y, 0, n));
  return Y;
}

/// ‖X_j - Y_j‖ of every column.
template <backend B>
[[nodiscard]] std::vector<double> column_distances(const B& be, const typename B::matrix& X,
                                                   const typename B::matrix& Y) {
  using scalar = typename B::scalar;
  const auto n = static_cast<index_t>(X.cols());
  auto squares = be.template make_buffer<scalar>(n);
  column_squared_distances(be, columns(be, X, 0, n), columns(be, Y, 0, n),
                           array_view<scalar>(squares));
  std::vector<scalar> host(static_cast<std::size_t>(n));
  download_array(be, array_view<const scalar>(std::as_const(squares)), array_view<scalar>(host));
  std::vector<double> distances;
  for (const scalar square : host) distances.push_back(std::sqrt(static_cast<double>(square)));
  return distances;
}

/// The distance from a fixed point that is to be expected at each column of Z: ‖r‖ / (1 - q)
/// with the rate q measured by three more steps. Four evaluations a column.
template <backend B, class Map>
[[nodiscard]] std::vector<double> expected_errors(const B& be, Map& map,
                                                  const typename B::matrix& Z) {
  const auto n = static_cast<index_t>(Z.cols());
  auto now = be.make_matrix(static_cast<index_t>(Z.rows()), n);
  auto next = be.make_matrix(static_cast<index_t>(Z.rows()), n);
  copy(be, columns(be, Z, 0, n), columns(be, now, 0, n));
  std::vector<double> first;
  std::vector<double> last;
  for (int step = 0; step < 4; ++step) {
    evaluate(be, map, columns(be, std::as_const(now), 0, n), columns(be, next, 0, n));
    last = column_distances(be, next, now);
    if (step == 0) first = last;
    std::swap(now, next);
  }
  for (std::size_t i = 0; i < first.size(); ++i) {
    const double rate = first[i] > 0 ? std::cbrt(last[i] / first[i]) : 0.0;
    first[i] /= std::max(1e-6, 1 - rate);
  }
  return first;
}

/// Compares the ends of starts with those of the same starts that were iterated.
template <backend B, class Map>
[[nodiscard]] basin_agreement compare_ends(const B& be, Map& map, const std::vector<index_t>& which,
                                           const typename B::matrix& accelerated,
                                           const FixedPointResult<B>& followed) {
  const std::vector<double> errors = expected_errors(be, map, accelerated);
  const std::vector<double> errors_of_followed = expected_errors(be, map, followed.states);
  const std::vector<double> distances = column_distances(be, accelerated, followed.states);
  basin_agreement answer;
  answer.evaluations =
      followed.work.evaluations + 8 * static_cast<index_t>(which.size());  // 4 of either end
  for (std::size_t i = 0; i < which.size(); ++i) {
    if (followed.status[i] == status::cancelled) continue;
    ++answer.followed;
    if (followed.status[i] == status::converged &&
        distances[i] <= 3 * (errors[i] + errors_of_followed[i])) {
      ++answer.agreed;
    } else {
      answer.others.push_back(which[i]);
    }
  }
  return answer;
}

}  // namespace basin::detail
