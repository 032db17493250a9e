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

#include <Eigen/Core>

#include <basin/backend/array_view.hpp>
#include <basin/backend/concept.hpp>
#include <basin/core/finite.hpp>
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

/// Σ s_t of steps that go on as s_0 to s_3 began, s_{t+2} = a s_{t+1} + b s_t with a and b by least
/// squares: a spiral, or two rates, where one rate says nothing (reduced rank extrapolation, Sidi
/// 2017, with two terms). NaN where the four steps do not show it, or do not shrink; steps along
/// one line have no misfit to show it by.
/// @param G inner products of the steps
[[nodiscard]] inline double sum_of_two_terms(const Eigen::Matrix4d& G, double epsilon) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const double aa = G(1, 1) + G(2, 2), ab = G(0, 1) + G(1, 2), bb = G(0, 0) + G(1, 1);
  const double ra = G(1, 2) + G(2, 3), rb = G(0, 2) + G(1, 3), rr = G(2, 2) + G(3, 3);
  const double determinant = aa * bb - ab * ab;
  const double turned = G(0, 0) * G(1, 1) - G(0, 1) * G(0, 1);
  if (!(turned > 1e-4 * G(0, 0) * G(1, 1)) || !(determinant > 1e3 * epsilon * aa * bb)) return nan;
  const double a = (ra * bb - rb * ab) / determinant, b = (rb * aa - ra * ab) / determinant;
  const double rest = 1 - a - b;  // (1 - λ_1)(1 - λ_2)
  const double misfit = std::max(rr - a * ra - b * rb, 8 * epsilon * rr);
  const double doubt = std::sqrt(2 * misfit * (aa + bb) / determinant);
  const double discriminant = a * a + 4 * b;
  const double radius =
      discriminant < 0 ? std::sqrt(-b) : (std::abs(a) + std::sqrt(discriminant)) / 2;
  if (!(doubt <= 0.1 * std::abs(rest)) || !(radius < 1 - 1e-6)) return nan;
  const double square = G(1, 1) + 2 * (1 - a) * G(0, 1) + (1 - a) * (1 - a) * G(0, 0);
  return std::sqrt(std::max(square, 0.0)) / std::abs(rest);
}

/// The distance from an attractor that is to be expected at each column of Z, from three more
/// steps: their sum as `sum_of_two_terms` goes on, else ‖r‖ / (1 - q) with their mean rate q; no
/// less than what rounding leaves. Infinite where the steps do not shrink: no attractor is near.
/// Four evaluations a column.
template <backend B, class Map>
[[nodiscard]] std::vector<double> expected_errors(const B& be, Map& map,
                                                  const typename B::matrix& Z) {
  using scalar = typename B::scalar;
  const auto n = static_cast<index_t>(Z.cols());
  const auto k = static_cast<index_t>(Z.rows());
  auto now = be.make_matrix(k, n);
  auto next = be.make_matrix(k, n);
  std::vector<typename B::matrix> steps;
  copy(be, columns(be, Z, 0, n), columns(be, now, 0, n));
  for (int step = 0; step < 4; ++step) {
    evaluate(be, map, columns(be, std::as_const(now), 0, n), columns(be, next, 0, n));
    axpby(be, scalar(1), columns(be, std::as_const(next), 0, n), scalar(-1),
          columns(be, now, 0, n));
    steps.push_back(std::exchange(now, be.make_matrix(k, n)));
    std::swap(now, next);
  }
  std::vector<Eigen::Matrix4d> products(static_cast<std::size_t>(n), Eigen::Matrix4d::Zero());
  auto dots = be.template make_buffer<scalar>(n);
  std::vector<scalar> host(static_cast<std::size_t>(n));
  for (int i = 0; i < 4; ++i) {
    for (int j = i; j < 4; ++j) {
      column_dots(be, columns(be, std::as_const(steps[static_cast<std::size_t>(i)]), 0, n),
                  columns(be, std::as_const(steps[static_cast<std::size_t>(j)]), 0, n),
                  array_view<scalar>(dots).first(n));
      download_array(be, array_view<const scalar>(std::as_const(dots)).first(n),
                     array_view<scalar>(host));
      for (std::size_t c = 0; c < host.size(); ++c) {
        products[c](i, j) = products[c](j, i) = static_cast<double>(host[c]);
      }
    }
  }
  std::vector<double> errors = column_norms(be, Z);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    constexpr auto epsilon = static_cast<double>(std::numeric_limits<scalar>::epsilon());
    const double rounding = 64 * epsilon * errors[i];
    const double first = std::sqrt(products[i](0, 0)), last = std::sqrt(products[i](3, 3));
    errors[i] = rounding;
    if (!(first > rounding)) continue;
    const double sum = sum_of_two_terms(products[i], epsilon);
    const double rate = std::cbrt(last / first);
    const double slowest = 1 - 1e-6;
    errors[i] += is_finite(sum)   ? sum
                 : rate < slowest ? first / (1 - rate)
                                  : std::numeric_limits<double>::infinity();
  }
  return errors;
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
