/// @file
/// The rate and order of convergence that a sequence of residuals shows, and what a residual says
/// of the error.
///
/// A step is z_{t+1} - z_t, of Picard's iteration the residual f(z_t) - z_t; an error is a distance
/// to the fixed point. Each conversion states what it assumes.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <Eigen/Core>

#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// How a sequence of residuals goes to 0.
enum class convergence_kind : std::uint8_t {
  linear,       ///< r_{t+1} ≈ q r_t, q < 1
  superlinear,  ///< r_{t+1} ≈ C r_t^p, p > 1
  sublinear,    ///< r_t ≈ C t^-s, as near a marginal fixed point; q is 1
  none,         ///< does not go to 0
  undecided,    ///< too few values, or none of these fits
  non_finite,   ///< a value is not finite
};

/// The name of a kind as in the enumeration.
[[nodiscard]] constexpr std::string_view to_string(convergence_kind kind) noexcept {
  switch (kind) {
    case convergence_kind::linear:
      return "linear";
    case convergence_kind::superlinear:
      return "superlinear";
    case convergence_kind::sublinear:
      return "sublinear";
    case convergence_kind::none:
      return "none";
    case convergence_kind::undecided:
      return "undecided";
    case convergence_kind::non_finite:
      return "non_finite";
  }
  return "unknown";
}

/// Settings of `observed_rate`.
struct observed_rate_options {
  /// Values of at most this many ε times the first are rounding, whatever they do; ε of the scalar
  /// that the map computed in, and relative to `scale`.
  double floor = 4;
  double epsilon = std::numeric_limits<double>::epsilon();  ///< 1.2e-7 for float
  /// Size of the states ‖z‖, whose rounding the residuals cannot go below; 0: not known.
  double scale = 0;
  index_t least = 6;  ///< values that a fit needs, at least 4
  /// Share of the sequence above the floor, from its end, that the rate is fitted to: what comes
  /// before is not asymptotic yet. In (0, 1].
  double tail = 0.5;

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(floor >= 0, "observed_rate_options",
            "floor is " + std::to_string(floor) + ", must not be negative");
    require(epsilon >= 0, "observed_rate_options",
            "epsilon is " + std::to_string(epsilon) + ", must not be negative");
    require(scale >= 0, "observed_rate_options",
            "scale is " + std::to_string(scale) + ", must not be negative");
    require(least >= 4, "observed_rate_options",
            "least is " + std::to_string(least) + ", must be at least 4");
    require(tail > 0 && tail <= 1, "observed_rate_options",
            "tail is " + std::to_string(tail) + ", must be in (0, 1]");
  }
};

/// What a sequence shows.
struct ObservedRate {
  convergence_kind kind = convergence_kind::undecided;
  /// q, the mean factor an iteration: for linear convergence the limit, 1 where sublinear, 0 where
  /// superlinear. NaN where there is none.
  double rate = std::numeric_limits<double>::quiet_NaN();
  /// Half of what the fits to the two halves of the tail differ by, or the standard error of the
  /// fit where that is larger; NaN where there is none. Where the halves differ by more than 3
  /// standard errors the rate is that of the second, and the error all of the difference.
  double rate_error = std::numeric_limits<double>::quiet_NaN();
  /// p: 1 where linear or sublinear, by a fit of log r_{t+1} to log r_t where superlinear.
  double order = std::numeric_limits<double>::quiet_NaN();
  /// s of t^-s where sublinear; else NaN.
  double exponent = std::numeric_limits<double>::quiet_NaN();
  index_t used = 0;      ///< values of the fit
  index_t at_floor = 0;  ///< values at the end that are rounding
};

namespace detail {

struct line_fit {
  double slope = 0, intercept = 0;
  double error = 0;     ///< standard error of the slope
  double residual = 0;  ///< sum of squares
};

inline line_fit fit_line(const std::vector<double>& x, const std::vector<double>& y) {
  const auto n = static_cast<double>(x.size());
  double mx = 0, my = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    mx += x[i] / n;
    my += y[i] / n;
  }
  double xx = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mx) * (x[i] - mx);
    xy += (x[i] - mx) * (y[i] - my);
  }
  line_fit f;
  f.slope = xx > 0 ? xy / xx : 0;
  f.intercept = my - f.slope * mx;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = y[i] - f.intercept - f.slope * x[i];
    f.residual += d * d;
  }
  if (n > 2 && xx > 0) f.error = std::sqrt(f.residual / (n - 2) / xx);
  return f;
}

/// Of the last four doublings of t + 1, how many, from the last one back, the values fall in by one
/// power of t up to 30 %. The values are the logarithms of r_0, r_1, ...
inline int doublings_of_one_power(const std::vector<double>& log) {
  double least = std::numeric_limits<double>::infinity(), most = 0;
  std::size_t last = log.size() - 1;
  for (int doubling = 0; doubling < 4; ++doubling) {
    if (last == 0) return doubling;
    const std::size_t first = (last + 1) / 2 - 1;
    std::vector<double> clock, value;
    for (std::size_t t = first; t <= last; ++t) {
      clock.push_back(std::log(static_cast<double>(t) + 1));
      value.push_back(log[t]);
    }
    const double power = -fit_line(clock, value).slope;
    least = std::min(least, power);
    most = std::max(most, power);
    if (!(least > 0) || most > 1.3 * least) return doubling;
    last = first;
  }
  return 4;
}

}  // namespace detail

/// Rate and order from residuals (or steps, or errors) of successive iterations.
///
/// Values at the rounding floor are left out: those from the first on that is at most
/// `floor` ε max(scale, r_0), or within 16 times of the least where it no longer falls.
/// Superlinear: the factors r_{t+1} / r_t themselves fall towards 0, and log r_{t+1} against log
/// r_t has a slope above 1.2. Sublinear: over the tail log r_t is nearer to a line in log t than to
/// one in t, and so it falls by one power of t in each of the last four doublings of t. A sum of
/// exponentials may bend as t^-s does over a shorter range, but falls faster with every doubling.
/// With three such doublings, or fewer than eight values, it is undecided. Else it is linear: the
/// rate is |λ₁| once that governs; no finite sequence can show more. An oscillation, as of a
/// complex pair, averages out of the fits.
/// @param residuals in the order of the iterations, at least 0
/// @throws argument_error if a value is negative or a setting is out of its range
///
/// @code
/// #include <cmath>
/// #include <iostream>
///
/// #include <basin/convergence/observed_rate.hpp>
///
/// int main() {
///   std::vector<double> residuals;
///   double z = 1;
///   for (int t = 0; t < 100; ++t, z = std::cos(z)) residuals.push_back(std::abs(std::cos(z) - z));
///   const auto seen = basin::observed_rate(residuals);
///   std::cout << to_string(seen.kind) << ", rate " << seen.rate << " +- " << seen.rate_error
///             << '\n';  // linear; near sin of the fixed point, 0.6736
/// }
/// @endcode
[[nodiscard]] inline ObservedRate observed_rate(const std::vector<double>& residuals,
                                                const observed_rate_options& options = {}) {
  options.check();
  ObservedRate seen;
  for (const double& r : residuals) {
    if (!is_finite(r)) {
      seen.kind = convergence_kind::non_finite;
      return seen;
    }
    if (r < 0) {
      detail::throw_argument_error("observed_rate",
                                   "residual " + std::to_string(&r - residuals.data()) + " is " +
                                       std::to_string(r) + ", must not be negative");
    }
  }
  const std::size_t n = residuals.size();
  if (n < 2) return seen;
  // The part above the floor: up to the least value, if what follows has stopped falling.
  const double floor = options.floor * options.epsilon * std::max(options.scale, residuals[0]);
  std::size_t end = 0;
  while (end < n && residuals[end] > floor) ++end;
  if (end == n) {
    const double least = *std::min_element(residuals.begin(), residuals.end());
    const auto near =
        std::find_if(residuals.begin(), residuals.end(), [&](double r) { return r <= 16 * least; });
    const auto before = static_cast<std::size_t>(near - residuals.begin());
    // A sequence that falls on is that near its least value for few steps, or still falls there.
    if (before > 3 && least < 1e-3 * residuals[0] && 4 * (n - before) > n) {
      std::vector<double> time, value;
      for (std::size_t t = before + (n - before) / 2; t < n; ++t) {
        time.push_back(static_cast<double>(t));
        value.push_back(std::log(residuals[t]));
      }
      const detail::line_fit trend = detail::fit_line(time, value);
      if (-trend.slope <= 3 * trend.error + 1e-9) end = before;
    }
  }
  seen.at_floor = static_cast<index_t>(n - end);
  std::vector<double> log(end);
  for (std::size_t t = 0; t < end; ++t) log[t] = std::log(residuals[t]);

  // Superlinear: few values, each factor smaller than the one before.
  if (end >= 3) {
    std::vector<double> x, y;
    bool falls = true;
    for (std::size_t t = end > 5 ? end - 5 : 0; t + 1 < end; ++t) {
      x.push_back(log[t]);
      y.push_back(log[t + 1]);
    }
    for (std::size_t i = 0; i + 1 < x.size(); ++i) {
      falls =
          falls && y[i + 1] - x[i + 1] < 1.2 * std::min(y[i] - x[i], 0.0) && y[i + 1] < x[i + 1];
    }
    const detail::line_fit order = detail::fit_line(x, y);
    if (falls && x.size() >= 2 && order.slope > 1.2 && y.back() - x.back() < std::log(0.1)) {
      seen.kind = convergence_kind::superlinear;
      seen.rate = 0;
      seen.rate_error = std::exp(y.back() - x.back());
      seen.order = order.slope;
      seen.used = static_cast<index_t>(x.size() + 1);
      return seen;
    }
  }
  const auto least = static_cast<std::size_t>(options.least);
  if (end < least) return seen;
  const auto wanted = static_cast<std::size_t>(options.tail * static_cast<double>(end));
  const std::size_t used = std::max(least, wanted);
  const std::size_t first = end - used;
  std::vector<double> time, clock, value;
  for (std::size_t t = first; t < end; ++t) {
    time.push_back(static_cast<double>(t));
    clock.push_back(std::log(static_cast<double>(t) + 1));
    value.push_back(log[t]);
  }
  const detail::line_fit geometric = detail::fit_line(time, value);
  const detail::line_fit power = detail::fit_line(clock, value);
  seen.used = static_cast<index_t>(used);
  const auto half = static_cast<std::ptrdiff_t>(used / 2);
  const auto fit_of = [&](std::ptrdiff_t a, std::ptrdiff_t b) {
    return detail::fit_line({time.begin() + a, time.begin() + b},
                            {value.begin() + a, value.begin() + b});
  };
  const detail::line_fit before = fit_of(0, half);
  const detail::line_fit behind = fit_of(half, static_cast<std::ptrdiff_t>(used));
  const double early = before.slope, late = behind.slope;
  const bool slows = power.residual < geometric.residual && early < late;
  const int alike = slows ? detail::doublings_of_one_power(log) : 0;
  seen.order = 1;
  const double fall = -geometric.slope * static_cast<double>(used - 1);
  if (!(geometric.slope < 0) || fall < 1e-9) {
    seen.kind = convergence_kind::none;
    seen.order = std::numeric_limits<double>::quiet_NaN();
    seen.rate = std::exp(geometric.slope);
    seen.rate_error = seen.rate * std::max(geometric.error, std::abs(early - late) / 2);
  } else if (slows && (alike == 3 || end < 8)) {
    seen.order = std::numeric_limits<double>::quiet_NaN();
  } else if (slows && alike == 4) {
    seen.kind = convergence_kind::sublinear;
    seen.rate = 1;
    seen.rate_error = -std::expm1(late);
    seen.exponent = -power.slope;
  } else {
    // A rate that still changes is nearer to its limit in the second half.
    seen.kind = convergence_kind::linear;
    const double drift = std::abs(early - late);
    const bool settled = drift <= 3 * std::hypot(before.error, behind.error);
    seen.rate = std::exp(settled ? geometric.slope : late);
    seen.rate_error = seen.rate * (settled ? std::max(geometric.error, drift / 2)
                                           : std::max(behind.error, drift));
  }
  return seen;
}

/// The largest error that a residual allows: ‖z - z*‖ <= ‖f(z) - z‖ / (1 - q). Holds if f
/// contracts by q < 1 in the norm used, on a set with z and z* (Banach); near an attractor with
/// the spectral radius for q only asymptotically, up to the condition of the eigenvectors.
/// @return infinite for q >= 1: then a residual says nothing of the error
/// @throws argument_error if an argument is negative or NaN
[[nodiscard]] inline double error_from_residual(double residual, double q) {
  require(residual >= 0 && q >= 0, "error_from_residual",
          "residual is " + std::to_string(residual) + " and q " + std::to_string(q) +
              ", must not be negative");
  return q < 1 ? residual / (1 - q) : std::numeric_limits<double>::infinity();
}

/// The largest error behind a step: ‖z_{t+1} - z*‖ <= q / (1 - q) ‖z_{t+1} - z_t‖. As of
/// `error_from_residual`; z_{t+1} = f(z_t), undamped.
/// @return infinite for q >= 1
/// @throws argument_error if an argument is negative or NaN
[[nodiscard]] inline double error_behind_step(double step, double q) {
  return q < 1 ? q * error_from_residual(step, q) : error_from_residual(step, q);
}

/// The largest residual that an error allows: ‖f(z) - z‖ <= (1 + q) ‖z - z*‖, if f has the
/// Lipschitz constant q between z and z*, which need not be below 1.
/// @throws argument_error if an argument is negative or NaN
[[nodiscard]] inline double residual_from_error(double error, double q) {
  require(error >= 0 && q >= 0, "residual_from_error",
          "error is " + std::to_string(error) + " and q " + std::to_string(q) +
              ", must not be negative");
  return (1 + q) * error;
}

/// The residual along the eigenvector of λ at distance `error`: |1 - λ| ‖e‖. Holds in the linear
/// neighbourhood of the fixed point, for an error along that eigenvector alone.
/// @throws argument_error if the error is negative or NaN
[[nodiscard]] inline double asymptotic_residual(double error, std::complex<double> lambda) {
  require(error >= 0, "asymptotic_residual",
          "error is " + std::to_string(error) + ", must not be negative");
  return std::abs(1.0 - lambda) * error;
}

/// The residual of an undamped step from one of z -> z + factor (f(z) - z), as accelerated or
/// damped runs take them: ‖z_{t+1} - z_t‖ / factor.
/// @throws argument_error unless the step is at least 0 and the factor is more than 0
[[nodiscard]] inline double residual_from_damped_step(double step, double factor) {
  require(step >= 0 && factor > 0, "residual_from_damped_step",
          "step is " + std::to_string(step) + " and factor " + std::to_string(factor) +
              ", must not be negative and positive");
  return step / factor;
}

}  // namespace basin
