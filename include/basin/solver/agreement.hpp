/// @file
/// Whether accelerated starts end where the dynamics takes them: the parts of
/// `FixedPointSolver::follow_sample`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
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

/// Square roots, on the host.
template <backend B>
[[nodiscard]] std::vector<double> roots(
    const B& be, const typename B::template buffer<typename B::scalar>& squares, index_t n) {
  using scalar = typename B::scalar;
  std::vector<scalar> host(static_cast<std::size_t>(n));
  download_array(be, array_view<const scalar>(squares).first(n), array_view<scalar>(host));
  std::vector<double> lengths;
  for (const scalar square : host) lengths.push_back(std::sqrt(static_cast<double>(square)));
  return lengths;
}

/// ‖X_j - Y_j‖ of every column.
template <backend B>
[[nodiscard]] std::vector<double> column_distances(const B& be, const typename B::matrix& X,
                                                   const typename B::matrix& Y) {
  using scalar = typename B::scalar;
  const auto n = static_cast<index_t>(X.cols());
  auto squares = be.template make_buffer<scalar>(n);
  column_squared_distances(be, columns(be, X, 0, n), columns(be, Y, 0, n),
                           array_view<scalar>(squares).first(n));
  return roots(be, squares, n);
}

/// ‖X_j‖ of every column.
template <backend B>
[[nodiscard]] std::vector<double> column_norms(const B& be, const typename B::matrix& X) {
  using scalar = typename B::scalar;
  const auto n = static_cast<index_t>(X.cols());
  auto squares = be.template make_buffer<scalar>(n);
  column_squared_norms(be, columns(be, X, 0, n), array_view<scalar>(squares).first(n));
  return roots(be, squares, n);
}

/// The distance from an attractor that is to be expected at each column of Z: ‖r‖ / (1 - q) with
/// the rate q measured by three more steps, and no less than what rounding leaves. Infinite where
/// the steps do not shrink: no attractor is near. Four evaluations a column.
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
  const std::vector<double> norms = column_norms(be, Z);
  for (std::size_t i = 0; i < first.size(); ++i) {
    constexpr auto epsilon =
        static_cast<double>(std::numeric_limits<typename B::scalar>::epsilon());
    const double rounding = 64 * epsilon * norms[i];
    if (!(first[i] > rounding)) {
      first[i] = rounding;
      continue;
    }
    const double rate = std::cbrt(last[i] / first[i]);
    const double slowest = 1 - 1e-6;
    first[i] =
        rate < slowest ? rounding + first[i] / (1 - rate) : std::numeric_limits<double>::infinity();
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
    const status end = followed.status[i];
    if (end == status::cancelled || end == status::max_iterations) {
      ++answer.undecided;
      continue;
    }
    ++answer.followed;
    const double most = 3 * (errors[i] + errors_of_followed[i]);
    if (end == status::converged && std::isfinite(most) && distances[i] <= most) {
      ++answer.agreed;
    } else {
      answer.others.push_back(which[i]);
    }
  }
  return answer;
}

}  // namespace basin::detail
