/// @file
/// Whether accelerated starts end where the dynamics takes them.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <basin/solver/accelerator.hpp>
#include <basin/solver/fixed_point_solver.hpp>

namespace basin {

/// What follow_sample found.
struct basin_agreement {
  index_t followed = 0;         ///< starts that were iterated to the end without acceleration
  index_t agreed = 0;           ///< of those, that ended at the same place
  std::vector<index_t> others;  ///< the starts that did not
};

/// Iterates some of the starts of an accelerated run without acceleration, under the same
/// stopping rule, and compares the ends. A residual is not an error: by three more steps from
/// either end the rate q is measured, and the ends are the same place if they are no further
/// apart than three times the sum of their ‖r‖ / (1 - q).
///
/// Cost: all iterations of those starts.
/// @param solver the one that made `found`
/// @param starts k × N, those of the run
/// @param count starts to follow, evenly spaced among those that converged
/// @throws size_error unless `found` has as many columns as `starts`
template <class Map, class Accelerator, class Stopping, class Scalar>
[[nodiscard]] basin_agreement follow_sample(const cpu<Scalar>& be,
                                            FixedPointSolver<Map, Accelerator, Stopping>& solver,
                                            const typename cpu<Scalar>::const_view& starts,
                                            const FixedPointResult<cpu<Scalar>>& found,
                                            index_t count) {
  using matrix = typename cpu<Scalar>::matrix;
  require_size("follow_sample", "number of starts", static_cast<index_t>(starts.cols()),
               found.size());
  std::vector<index_t> converged;
  for (index_t j = 0; j < found.size(); ++j) {
    if (found.status[static_cast<std::size_t>(j)] == status::converged) converged.push_back(j);
  }
  const auto candidates = static_cast<index_t>(converged.size());
  const index_t n = std::min(count, candidates);
  basin_agreement answer;
  if (n < 1) return answer;
  std::vector<index_t> which;
  for (index_t i = 0; i < n; ++i) {
    which.push_back(converged[static_cast<std::size_t>((2 * i + 1) * candidates / (2 * n))]);
  }
  matrix from(starts.rows(), n);
  matrix accelerated(starts.rows(), n);
  for (index_t i = 0; i < n; ++i) {
    from.col(i) = starts.col(which[static_cast<std::size_t>(i)]);
    accelerated.col(i) = found.states.col(which[static_cast<std::size_t>(i)]);
  }
  auto by_reference = [&](const cpu<Scalar>& on, const typename cpu<Scalar>::const_view& Z,
                          typename cpu<Scalar>::view& out) { evaluate(on, solver.map(), Z, out); };
  FixedPointSolver plain{by_reference, picard{}, solver.rule()};
  const auto followed = plain.solve(be, from);

  // The distance from the fixed point that is to be expected at each column of Z.
  const auto errors = [&](const matrix& Z) {
    matrix now = Z;
    matrix next = Z;
    Eigen::VectorX<Scalar> first;
    Eigen::VectorX<Scalar> last;
    for (int step = 0; step < 4; ++step) {
      evaluate(be, by_reference, now, next);
      last = (next - now).colwise().norm().transpose();
      if (step == 0) first = last;
      std::swap(now, next);
    }
    std::vector<double> bound(static_cast<std::size_t>(n));
    for (index_t i = 0; i < n; ++i) {
      const auto r = static_cast<double>(first[i]);
      const double rate = r > 0 ? std::cbrt(static_cast<double>(last[i]) / r) : 0.0;
      bound[static_cast<std::size_t>(i)] = r / std::max(1e-6, 1 - rate);
    }
    return bound;
  };
  const std::vector<double> of_accelerated = errors(accelerated);
  const std::vector<double> of_followed = errors(followed.states);
  for (index_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const auto distance = static_cast<double>((accelerated.col(i) - followed.states.col(i)).norm());
    ++answer.followed;
    if (followed.status[at] == status::converged &&
        distance <= 3 * (of_accelerated[at] + of_followed[at])) {
      ++answer.agreed;
    } else {
      answer.others.push_back(which[at]);
    }
  }
  return answer;
}

}  // namespace basin
