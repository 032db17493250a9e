/// @file
/// Newton's method on dense Jacobians: fixed points to working precision, and others besides.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <Eigen/Core>
#include <Eigen/LU>

#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/map/derivative.hpp>
#include <basin/solver/result.hpp>

namespace basin {

/// Settings of `polish` and `deflated_newton`.
struct newton_options {
  index_t max_iterations = 30;  ///< at least 1
  /// A point is a fixed point if ‖f(z) - z‖ is at most this many ε (1 + ‖z‖).
  double tolerance = 1e3;

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(max_iterations >= 1, "newton_options", "max_iterations must be at least 1");
    require(tolerance > 0, "newton_options", "tolerance must be positive");
  }
};

namespace detail {

/// One column of Newton's method for r(z) = f(z) - z = 0.
template <class Scalar, class Map>
class NewtonColumn {
 public:
  using vector = Eigen::VectorX<Scalar>;
  using matrix = typename cpu<Scalar>::matrix;

  NewtonColumn(const cpu<Scalar>& be, Map& map, index_t k)
      : be_(be), map_(map), k_(k), state_(k, 1), value_(k, 1), states_(k, k), jacobian_(k, k) {}

  /// f(z) - z.
  vector residual(const vector& z) {
    ++evaluations;
    state_.col(0) = z;
    evaluate(be_, map_, state_, value_);
    return value_.col(0) - z;
  }
  /// -(J - I)^-1 r at z, by k products with the Jacobian and elimination.
  vector step(const vector& z, const vector& r) {
    states_ = z.replicate(1, k_);
    basin::jvp(be_, map_, states_, identity(), jacobian_);
    jacobian_.diagonal().array() -= Scalar(1);
    return jacobian_.partialPivLu().solve(-r);
  }

  index_t evaluations = 0;

 private:
  [[nodiscard]] matrix identity() const { return matrix::Identity(k_, k_); }

  const cpu<Scalar>& be_;
  Map& map_;
  index_t k_;
  matrix state_, value_, states_, jacobian_;
};

template <class Scalar>
[[nodiscard]] Scalar newton_tolerance(const newton_options& options, Scalar norm) {
  return static_cast<Scalar>(options.tolerance) * std::numeric_limits<Scalar>::epsilon() *
         (1 + norm);
}

}  // namespace detail

/// Refines states near fixed points by Newton's method, as far as the residual falls: stable
/// and unstable ones alike. With a float model loaded in double it refines float results.
/// A step that does not lower the residual is halved, up to ten times.
///
/// Cost: k products with the Jacobian and 2/3 k³ flops an iteration and column; memory: 3 k².
/// @param map with an exact jvp
/// @param states k × N
/// @return converged where the residual is at most `tolerance`; stalled where it no longer
///   falls above that; non_finite where the state or f is not finite
/// @throws argument_error if a setting is out of its range, size_error unless the map takes k
///   rows
template <class Scalar, class Map>
  requires has_jvp<Map, cpu<Scalar>>
[[nodiscard]] FixedPointResult<cpu<Scalar>> polish(const cpu<Scalar>& be, Map& map,
                                                   const typename cpu<Scalar>::const_view& states,
                                                   const newton_options& options = {}) {
  using vector = Eigen::VectorX<Scalar>;
  options.check();
  require_dimension("polish", map, static_cast<index_t>(states.rows()));
  const auto k = static_cast<index_t>(states.rows());
  const auto n = static_cast<std::size_t>(states.cols());
  FixedPointResult<cpu<Scalar>> result;
  result.states = states;
  result.residual.resize(n);
  result.iterations.resize(n);
  result.evaluations.resize(n);
  result.status.resize(n, status::stalled);
  result.period.resize(n);
  for (std::size_t j = 0; j < n; ++j) {
    detail::NewtonColumn<Scalar, Map> column(be, map, k);
    vector z = states.col(static_cast<index_t>(j));
    vector r = column.residual(z);
    Scalar norm = r.norm();
    while (is_finite(norm) && norm > 0 && result.iterations[j] < options.max_iterations) {
      const vector step = column.step(z, r);
      if (!step.allFinite()) break;
      bool fell = false;
      Scalar share = 1;
      for (int halvings = 0; halvings <= 10 && !fell; ++halvings, share /= 2) {
        const vector next = z + share * step;
        const vector after = column.residual(next);
        if (!(after.norm() < norm)) continue;
        z = next;
        r = after;
        norm = r.norm();
        fell = true;
      }
      ++result.iterations[j];
      if (!fell) break;
    }
    result.states.col(static_cast<index_t>(j)) = z;
    result.residual[j] = norm;
    result.evaluations[j] = column.evaluations;
    if (!is_finite(norm)) {
      result.status[j] = status::non_finite;
    } else if (norm <= detail::newton_tolerance(options, z.norm())) {
      result.status[j] = status::converged;
      result.period[j] = 1;
    }
    result.work.evaluations += column.evaluations;
  }
  return result;
}

/// Fixed points that `deflated_newton` found.
template <class Scalar>
struct deflated_points {
  typename cpu<Scalar>::matrix points;  ///< k × number found
  std::vector<index_t> start;           ///< which start led to each
  index_t evaluations = 0;              ///< of f, and k products with the Jacobian to each
};

/// Finds further fixed points, unstable ones too, by deflation (Farrell, Birkisson and Funke
/// 2015): Newton's method on M(z) (f(z) - z), M(z) = Π_i (1 / ‖z - p_i‖² + 1) over the points
/// p_i that are known, which cannot end at any of those again. Every start is used until it
/// finds nothing more; what it finds is known from then on. Not exhaustive: it finds what
/// Newton's method reaches from the starts.
///
/// Cost: k products with the Jacobian and 2/3 k³ flops an iteration.
/// @param map with an exact jvp
/// @param starts k × N
/// @param known k × M, fixed points that are not to be found again; M may be 0
/// @param most points to find
/// @throws argument_error, size_error as polish
template <class Scalar, class Map>
  requires has_jvp<Map, cpu<Scalar>>
[[nodiscard]] deflated_points<Scalar> deflated_newton(
    const cpu<Scalar>& be, Map& map, const typename cpu<Scalar>::const_view& starts,
    const typename cpu<Scalar>::const_view& known, index_t most,
    const newton_options& options = {.max_iterations = 100}) {
  using vector = Eigen::VectorX<Scalar>;
  options.check();
  require_dimension("deflated_newton", map, static_cast<index_t>(starts.rows()));
  require_size("deflated_newton", "number of rows of the known points",
               static_cast<index_t>(known.rows()), static_cast<index_t>(starts.rows()));
  const auto k = static_cast<index_t>(starts.rows());
  detail::NewtonColumn<Scalar, Map> column(be, map, k);
  std::vector<vector> points;
  for (index_t i = 0; i < known.cols(); ++i) points.push_back(known.col(i));
  deflated_points<Scalar> answer;
  const auto found = [&] { return static_cast<index_t>(answer.start.size()); };

  // One run of the deflated iteration: whether it reached a fixed point.
  const auto search = [&](vector& z) {
    for (index_t iteration = 0; iteration < options.max_iterations; ++iteration) {
      const vector r = column.residual(z);
      const Scalar norm = r.norm();
      if (!is_finite(norm)) return false;
      if (norm <= detail::newton_tolerance(options, z.norm())) return true;
      vector step = column.step(z, r);
      // M' / M along the step; the step of the deflated equation is a multiple of Newton's.
      Scalar slope = 0;
      for (const vector& p : points) {
        const vector apart = z - p;
        const Scalar square = apart.squaredNorm();
        if (!(square > 0)) return false;
        slope += -2 * apart.dot(step) / (square * (1 + square));
      }
      const Scalar factor = 1 / (1 - slope);
      if (!is_finite(factor) || !step.allFinite()) return false;
      z += factor * step;
    }
    return false;
  };
  for (index_t j = 0; j < starts.cols() && found() < most; ++j) {
    for (;;) {
      vector z = starts.col(j);
      if (found() >= most || !search(z)) break;
      // Rounding may let it end beside a known point; such is not new.
      const auto same = [&](const vector& p) {
        return (p - z).norm() <= Scalar(1e4) * detail::newton_tolerance(options, p.norm());
      };
      if (std::any_of(points.begin(), points.end(), same)) break;
      points.push_back(z);
      answer.start.push_back(j);
    }
  }
  answer.evaluations = column.evaluations;
  answer.points.resize(k, found());
  for (index_t i = 0; i < found(); ++i) {
    answer.points.col(i) = points[static_cast<std::size_t>(known.cols() + i)];
  }
  return answer;
}

}  // namespace basin
