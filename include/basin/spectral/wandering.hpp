/// @file
/// What a trajectory does that never settles: a cycle, a slow drift, quasi-periodic motion, chaos.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/spectral/lyapunov_exponents.hpp>

namespace basin {

/// Kinds of trajectories of z -> f(z).
enum class wandering_kind : std::uint8_t {
  settling,        ///< at a fixed point, or on the way to one with steps that shrink
  cycle,           ///< returns to itself
  slow_drift,      ///< near trajectories neither part nor meet, and it moves on in one direction
  quasi_periodic,  ///< so they do, and it comes back close to where it was, never quite
  chaos,           ///< near trajectories part exponentially, and it does not return
  non_finite,      ///< a state or a tangent is not finite
  undecided,       ///< the evidence does not suffice
};

/// The name of a kind as in the enumeration.
[[nodiscard]] constexpr std::string_view to_string(wandering_kind kind) noexcept {
  switch (kind) {
    case wandering_kind::settling:
      return "settling";
    case wandering_kind::cycle:
      return "cycle";
    case wandering_kind::slow_drift:
      return "slow_drift";
    case wandering_kind::quasi_periodic:
      return "quasi_periodic";
    case wandering_kind::chaos:
      return "chaos";
    case wandering_kind::non_finite:
      return "non_finite";
    case wandering_kind::undecided:
      return "undecided";
  }
  return "unknown";
}

/// Settings of `wandering`.
struct wandering_options {
  lyapunov_options exponents = {};
  /// Iterations behind those, in which returns are looked for; periods are at most half of them.
  index_t max_period = 1000;
  /// It returns after p iterations if after p, 2 p, ... it is no farther from where it was than
  /// this times the largest distance met within `max_period` iterations, or than 100 ε of the
  /// scalar times the state's norm.
  double return_tolerance = 1e-6;

  /// @throws argument_error if a setting is out of its range
  void check() const {
    exponents.check();
    require(max_period >= 2, "wandering_options", "max_period must be at least 2");
    require(return_tolerance >= 0 && return_tolerance < 1, "wandering_options",
            "return_tolerance must be in [0, 1)");
  }
};

/// What one trajectory does, and the evidence.
struct Wandering {
  wandering_kind kind = wandering_kind::undecided;
  LyapunovExponents exponents;
  /// What |λ| must exceed not to count as 0: 3 standard errors, and 2 log(T) / T, since exponents
  /// that vanish do so no faster over T iterations.
  double resolution = std::numeric_limits<double>::quiet_NaN();
  index_t period = 0;   ///< iterations until it returned; 0 if it did not
  double diameter = 0;  ///< largest distance from the last state within `max_period` iterations
  double nearest = 0;   ///< smallest such distance, over the diameter
  /// ‖z_T - z_0‖ / Σ ‖z_{t+1} - z_t‖ over the iterations that count: 1 straight ahead.
  double straightness = 0;
  /// The mean step of the second half of those iterations over that of the first, or that of the
  /// `max_period` behind them over that of the second half, whichever is more.
  double shrinking = 1;
};

namespace detail {
/// Whether all distances after multiples of the period are at most `least`.
[[nodiscard]] inline bool returns(const Eigen::Ref<const Eigen::VectorXd>& distances,
                                  index_t period, double least) {
  for (index_t t = period; t <= distances.size(); t += period) {
    if (!(distances[t - 1] <= least)) return false;
  }
  return true;
}

[[nodiscard]] inline wandering_kind judge_wandering(const Wandering& w) {
  if (!w.exponents.finite || !is_finite(w.diameter)) return wandering_kind::non_finite;
  if (w.period == 1) return wandering_kind::settling;
  const double leading = w.exponents.values[0];
  if (leading > w.resolution) {
    // Straight ahead it leaves for ever: near trajectories part, but it does not fold.
    return w.period > 0 || !(w.straightness <= 0.5) ? wandering_kind::undecided
                                                    : wandering_kind::chaos;
  }
  if (w.period > 0) return wandering_kind::cycle;
  if (leading > -w.resolution && w.straightness > 0.5) return wandering_kind::slow_drift;
  if (w.shrinking < 0.9) return wandering_kind::settling;
  if (leading > -w.resolution && w.nearest < 0.1) return wandering_kind::quasi_periodic;
  return wandering_kind::undecided;
}
}  // namespace detail

/// What the trajectories of z -> f(z) from the columns of `points` do, for those that have not
/// settled. By the leading Lyapunov exponent λ against its resolution, by returns and by how
/// straight the way is:
///
/// | kind | evidence |
/// |---|---|
/// | settling | stays where it is; or λ is not above 0, and steps shrink by a tenth, twice |
/// | cycle | λ not above 0, and it returns after `period` iterations |
/// | slow_drift | λ is 0 within the resolution, the way is straight: more than half of its length |
/// | quasi_periodic | λ is 0 within the resolution, and it comes back to a tenth of the diameter |
/// | chaos | λ > 0, no return, and the way is not straight |
/// | non_finite | a state or a tangent overflows, within `max_period` iterations after those too |
///
/// Chaos that will end some day is called chaos, and chaos weaker than the resolution is not seen.
/// A cycle of the flow is quasi-periodic for an iteration with small steps.
///
/// @param map with jvp
/// @param points k × n in host memory, best where a run has ended
/// @throws size_error, argument_error as `lyapunov_exponents`
/// Cost: that of `lyapunov_exponents`, and `max_period` evaluations a point.
///
/// @code
/// #include <iostream>
///
/// #include <basin/map/differentiable.hpp>
/// #include <basin/spectral/wandering.hpp>
///
/// int main() {
///   for (const double r : {2.8, 3.2, 3.9}) {
///     auto logistic = basin::differentiable<1>(
///         [r](const auto& z, auto& f) { f[0] = r * z[0] * (1.0 - z[0]); });
///     const basin::cpu<double> cpu;
///     const auto found = basin::wandering(cpu, logistic, Eigen::MatrixXd::Constant(1, 1, 0.3))[0];
///     std::cout << r << ": " << to_string(found.kind) << ", period " << found.period
///               << ", exponent " << found.exponents.values[0] << '\n';
///   }
/// }
/// @endcode
template <basin::backend B, class Map>
  requires latent_map<Map, B> && has_jvp<Map, B>
[[nodiscard]] std::vector<Wandering> wandering(const B& be, Map& map,
                                               const Eigen::Ref<const Eigen::MatrixXd>& points,
                                               const wandering_options& options = {}) {
  using scalar = typename B::scalar;
  using host = Eigen::MatrixX<scalar>;
  options.check();
  const index_t k = points.rows();
  const index_t n = points.cols();
  std::vector<LyapunovExponents> exponents = lyapunov_exponents(be, map, points, options.exponents);
  std::vector<Wandering> found(static_cast<std::size_t>(n));
  host origin(k, n);
  for (index_t j = 0; j < n; ++j) {
    Wandering& w = found[static_cast<std::size_t>(j)];
    w.exponents = std::move(exponents[static_cast<std::size_t>(j)]);
    origin.col(j) = w.exponents.state.template cast<scalar>();
    // One that has left runs on from 0: nobody looks at it.
    if (!w.exponents.finite) origin.col(j).setZero();
  }
  if (n == 0) return found;
  Eigen::MatrixXd distances(options.max_period, n);
  typename B::matrix Z = be.make_matrix(k, n);
  typename B::matrix F = be.make_matrix(k, n);
  upload(be, origin, columns(be, Z, 0, n));
  host state(k, n), before = origin;
  Eigen::VectorXd way = Eigen::VectorXd::Zero(n);
  for (index_t t = 0; t < options.max_period; ++t) {
    evaluate(be, map, columns(be, std::as_const(Z), 0, n), columns(be, F, 0, n));
    std::swap(Z, F);
    download(be, columns(be, std::as_const(Z), 0, n), state);
    distances.row(t) = (state - origin).template cast<double>().colwise().norm();
    way += (state - before).template cast<double>().colwise().norm().transpose();
    before.swap(state);
  }
  for (index_t j = 0; j < n; ++j) {
    Wandering& w = found[static_cast<std::size_t>(j)];
    const LyapunovExponents& e = w.exponents;
    if (e.finite) {
      const auto steps = static_cast<double>(e.steps);
      w.resolution = 3 * (is_nan(e.errors[0]) ? 0 : e.errors[0]) + 2 * std::log(steps) / steps;
      w.straightness = e.path > 0 ? e.displacement / e.path : 0;
      const double early = e.path - e.late_path;
      w.shrinking = early > 0 ? e.late_path / early : 1;
      // Steps that have become shorter by chance become longer again.
      const double late = e.late_path / (steps / 2),
                   next = way[j] / static_cast<double>(options.max_period);
      if (late > 0) w.shrinking = std::max(w.shrinking, next / late);
      w.diameter = distances.col(j).maxCoeff();
      w.nearest = w.diameter > 0 ? distances.col(j).minCoeff() / w.diameter : 0;
      const double rounding = 100 * static_cast<double>(std::numeric_limits<scalar>::epsilon());
      const double least =
          std::max(options.return_tolerance * w.diameter, rounding * e.state.norm());
      for (index_t t = 0; t < options.max_period / 2 && w.period == 0; ++t) {
        if (detail::returns(distances.col(j), t + 1, least)) w.period = t + 1;
      }
    }
    w.kind = detail::judge_wandering(w);
  }
  return found;
}

}  // namespace basin
