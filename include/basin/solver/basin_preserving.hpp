/// @file
/// Acceleration that goes where the dynamics goes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/solver/acceleration_report.hpp>
#include <basin/solver/anderson.hpp>
#include <basin/solver/column_accelerator.hpp>
#include <basin/solver/step_recurrence.hpp>

namespace basin {

/// What a leap of `basin_preserving` may err by. More saves more and errs more often, see
/// docs/accelerators.md.
struct leap_tolerances {
  double linearity;  ///< largest error of a foretold step, relative, from which to leap
  /// Largest error of the step after a leap across the trajectory, where it may lead to another
  /// basin, in steps before the leap.
  double across;
};

template <class Inner = anderson>
struct basin_preserving;

/// Follows z -> f(z) and leaps over the iterations that it can foretell.
///
/// The steps r_t = f(z_t) - z_t of a trajectory are fitted by a linear recurrence of two terms
/// (step_recurrence.hpp). While the recurrence foretells the next step within `linearity`, the
/// state moves by h steps at once to where the recurrence says, f is evaluated there, and the
/// step found there is compared with the one foretold: if they differ by more than `agreement`
/// (along the trajectory) or `across` (across it) times the step before the leap, the leap is
/// taken back, and h is halved; if not, the leap counts, and h grows with how well it agreed.
/// Leaps begin where the recurrence's rate is at least `slow`. Between leaps, `between` true
/// iterations, to which one term is then fitted, let what is fast relax: this is projective
/// integration (Gear and Kevrekidis 2003) of the flow on a slow curve, with a step chosen by its
/// error. Where all that is left of the way lies within h steps (rate^h < `settling`), the inner
/// accelerator goes to the limit; each of its steps must halve the residual, or the dynamics is
/// followed again. So it is from before the limit was first gone to if the residual then grows: a
/// saddle, past which the dynamics goes on.
///
/// Which basin a start is in is decided while its steps are long, and errors there count. The
/// tolerances are therefore `outside` until the step has shrunk to the share `trusted` of the
/// longest on the way, and `inside` from then on. That radius is a heuristic, and so is the
/// rest: a start within the error of a leap of a boundary between basins may be sent to the
/// other side, and a slow passage near a saddle can be taken for an arrival.
/// With `run_options::follow` some starts are iterated to the end without acceleration, and the
/// result says how many agree.
///
/// Memory: that of the inner accelerator and 8 k numbers a column. Cost of a step without
/// the map's: that of the inner one and some 40 k flops.
///
/// @code
/// #include <iostream>
/// #include <basin/map/function_map.hpp>
/// #include <basin/solver/basin_preserving.hpp>
/// #include <basin/solver/fixed_point_solver.hpp>
///
/// int main() {
///   // Two attractors, at ±1 on the first axis, each with a rate of 0.98.
///   const auto map = basin::function_map(2, [](const auto& Z) {
///     Eigen::MatrixXd next = Z;
///     next.row(0).array() += 0.01 * (Z.row(0).array() - Z.row(0).array().cube());
///     next.row(1) *= 0.3;
///     return next;
///   });
///   const Eigen::MatrixXd starts = Eigen::MatrixXd::Random(2, 100);
///   basin::FixedPointSolver solver{map, basin::basin_preserving{},
///                                  basin::stopping{.residual = 1e-10}};
///   const auto found = solver.solve(starts, basin::run_options{.follow = 10});
///   std::cout << found.work.evaluations << " evaluations; of " << found.agreement.followed
///             << " starts that were followed " << found.agreement.agreed << " agree\n";
/// }
/// @endcode
///
/// @tparam Inner an accelerator by column
template <class Inner>
struct basin_preserving {
  Inner inner = {};
  leap_tolerances outside = {.linearity = 0.003, .across = 0.003};  ///< of the trusted radius
  leap_tolerances inside = {.linearity = 0.1, .across = 0.3};       ///< of the trusted radius
  /// The trusted radius: a step's length, in the longest steps on the way. 0: never inside.
  double trusted = 0.5;
  /// States in a row with a shorter step each and no leap taken back, before any is inside.
  index_t declines = 16;
  index_t declines_to_limit = 0;  ///< the same, before the limit is gone to
  /// Largest error of the step after a leap along the trajectory, where it costs time alone.
  double agreement = 0.9;
  /// Least rate of the recurrence at which to leap. What converges fast is soon done without,
  /// and may hide a slower mode that leads away.
  double slow = 0.85;
  double settling = 0.3;  ///< rate^h below which the limit is gone to
  index_t longest = 256;  ///< most iterations in a leap, at least 2
  index_t between = 1;    ///< true iterations between leaps, at least 1

  /// @throws argument_error if a setting is out of its range
  void check() const {
    if constexpr (requires { inner.check(); }) inner.check();
    const auto in_unit = [](const char* name, double value) {
      require(value > 0 && value < 1, "basin_preserving",
              std::string(name) + " is " + std::to_string(value) + ", must be in (0, 1)");
    };
    in_unit("outside.linearity", outside.linearity), in_unit("outside.across", outside.across);
    in_unit("inside.linearity", inside.linearity), in_unit("inside.across", inside.across);
    in_unit("agreement", agreement), in_unit("slow", slow), in_unit("settling", settling);
    require(trusted >= 0 && trusted < 1, "basin_preserving",
            "trusted is " + std::to_string(trusted) + ", must be in [0, 1)");
    require(longest >= 2, "basin_preserving", "longest must be at least 2");
    require(between >= 1, "basin_preserving", "between must be at least 1");
  }
  template <class Visit>
  void each_setting(Visit&& visit) const {
    if constexpr (requires { inner.each_setting(visit); }) inner.each_setting(visit);
    visit(outside.linearity), visit(outside.across), visit(inside.linearity);
    visit(inside.across), visit(trusted), visit(declines), visit(declines_to_limit),
        visit(agreement), visit(slow), visit(settling);
    visit(longest), visit(between);
  }

  template <class Scalar>
  struct record {
    typename Inner::template record<Scalar> inner;
    enum : std::uint8_t { iterated, leapt, settled } latest = iterated;  ///< kind of the step
    bool foretells = false;                                              ///< there is a recurrence
    bool goes_on = false;       ///< the inner accelerator's latest step was a good one
    bool saddle = false;        ///< the limit that was gone to was none
    std::int32_t calm = 0;      ///< true iterations since then, up to `doubted`
    std::int32_t known = 0;     ///< residuals of states that follow each other, at most 3
    std::int32_t wait = 0;      ///< true iterations before the next leap
    double length = 2;          ///< h
    index_t leapt_over = 0;     ///< iterations that the latest leap stands for
    bool fitted = false;        ///< the latest state has shown how many modes there are
    double error = 1;           ///< of the latest step against the recurrence
    double most = 0;            ///< largest ‖r‖² on the way
    double latest_square = 0;   ///< ‖r‖² at the state before
    std::int32_t declines = 0;  ///< states in a row at which ‖r‖ was less than before
    bool trusts = false;        ///< the latest state is inside the trusted radius
    double settled_at = 0;      ///< ‖r‖² where the limit was gone to, while that is doubted
    dominant_modes shown = dominant_modes::unknown;  ///< by the latest fit
    acceleration_report report;                      ///< of the latest leap, if there was any
    detail::step_recurrence steps;
  };
  [[nodiscard]] index_t memory(index_t k) const { return inner.memory(k) + 8 * k; }
  [[nodiscard]] index_t scratch(index_t k) const { return 3 * k + detail::lane_scratch(inner, k); }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void advance(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                 Scalar* f, index_t k) const {
    const parts<Lanes, Scalar> at(lanes, memory, k);
    const auto taken = lanes.array(3 * k);
    Scalar* const r = taken.data();
    Scalar* const limit = r + k;
    Scalar* const value = limit + k;
    lanes.each(k, [&](index_t i) { r[i] = f[i] - z[i]; });
    // The inner accelerator sees every state, and says where it would go.
    lanes.copy(z, k, limit);
    lanes.copy(f, k, value);
    detail::advance_column(inner, lanes, c.inner, at.inner, limit, value, k);
    if (c.latest == c.settled && c.goes_on) {
      ++c.report.limits;
      remember(at, z, f);
      lanes.copy(limit, k, z);
      return;
    }
    const auto square = static_cast<double>(lanes.dot(r, r, k));
    c.most = std::max(c.most, square);
    take_residual(c, at, r, rounding(lanes, z, k));
    // A leap that is taken back brings the same state again, and ends the count.
    c.declines = square < c.latest_square ? c.declines + 1 : 0;
    c.latest_square = square;
    c.trusts = square <= trusted * trusted * c.most && c.declines >= declines && c.foretells &&
               c.steps.is_monotone();
    const bool steady = c.foretells && c.error <= tolerances(c).linearity;
    if (!steady || c.known < 2 || c.wait > 0 || !leap(c, at, z, f, limit)) {
      --c.wait;
      c.latest = c.iterated;
      lanes.copy(f, k, z);
    }
  }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE bool review(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                Scalar* f, index_t k, Scalar residual) const {
    const parts<Lanes, Scalar> at(lanes, memory, k);
    if (c.latest == c.iterated) return leaves_saddle(c, at, z, f, residual);
    const bool to_limit = c.latest == c.settled;
    // The deviation of the residual from the one foretold, along the way and across it.
    double sums[4] = {0, 0, 0, 0};
    lanes.sum(k, sums, [&](index_t i, double* s) {
      const auto r = static_cast<double>(f[i] - z[i]);
      const auto old = static_cast<double>(at.f[i] - at.z[i]);
      const double difference = to_limit ? r : r - static_cast<double>(at.foretold[i]);
      s[0] += difference * difference;
      s[1] += difference * r;
      s[2] += r * r;
      s[3] += old * old;
    });
    const double square = sums[0];
    const double along = sums[2] > 0 ? sums[1] * sums[1] / sums[2] : 0.0;
    const double before = sums[3];
    const double noise = rounding(lanes, z, k) / std::sqrt(before);
    const double beside = std::sqrt(std::max(0.0, square - along) / before) - noise;
    // Of what is allowed.
    const double error =
        to_limit ? std::sqrt(square / before) / halving
                 : std::max(std::sqrt(along / before) / agreement, beside / tolerances(c).across);
    if (is_finite(residual) && error <= 1) {
      const double factor = std::clamp(0.9 / std::sqrt(error + 1e-12), 0.5, 2.0);
      c.length = std::clamp(c.length * factor, 2.0, static_cast<double>(longest));
      c.wait = to_limit ? 0 : static_cast<std::int32_t>(between);
      c.error = 1;
      c.known = 0;
      c.calm = 0;
      c.settled_at = to_limit ? square : 0.0;
      c.goes_on = to_limit && error <= 0.5;
      if (to_limit) c.foretells = false;
      return false;
    }
    ++c.report.taken_back;
    lanes.copy(at.z, k, z);
    lanes.copy(at.f, k, f);
    if (to_limit && c.known == 0) {  // not the first step to the limit: nothing else is known
      start_again(c);
      return true;
    }
    // The residual of this state comes again.
    lanes.copy(at.residual(2), k, at.residual(1));
    lanes.copy(at.residual(3), k, at.residual(2));
    c.known = std::max(0, c.known - 1);
    c.length = std::max(2.0, c.length / 2);
    c.wait = 1;
    c.inner = {};
    c.latest = c.iterated;
    return true;
  }

  /// What is said of a column in the result.
  template <class Scalar>
  [[nodiscard]] acceleration_report report(const record<Scalar>& c) const {
    acceleration_report answer = c.report;
    if constexpr (requires { inner.window; }) {
      answer.window = static_cast<std::int32_t>(inner.window);
    }
    return answer;
  }

 private:
  /// A column's memory: three residuals, of a leap the state and value before it and the residual
  /// foretold where it lands, the state and value before the first step to a limit, and the inner
  /// accelerator's.
  template <class Lanes, class Scalar>
  struct parts {
    BASIN_HOST_DEVICE parts(Lanes& lanes_, Scalar* memory, index_t k_)
        : lanes(lanes_),
          k(k_),
          residuals(memory),
          z(residuals + 3 * k_),
          f(z + k_),
          foretold(f + k_),
          way_z(foretold + k_),
          way_f(way_z + k_),
          inner(way_f + k_) {}
    /// The residual `back` states before the present one.
    [[nodiscard]] BASIN_HOST_DEVICE Scalar* residual(index_t back) const {
      return residuals + (back - 1) * k;
    }
    Lanes& lanes;
    index_t k;
    Scalar* residuals;
    Scalar* z;
    Scalar* f;
    Scalar* foretold;
    Scalar* way_z;
    Scalar* way_f;
    Scalar* inner;
  };

  /// True iterations after a step to the limit in which it is doubted.
  static constexpr std::int32_t doubted = 8;

  template <class Scalar>
  [[nodiscard]] BASIN_HOST_DEVICE const leap_tolerances& tolerances(const record<Scalar>& c) const {
    return c.trusts ? inside : outside;
  }

  /// Puts into the report what the latest fit shows.
  template <class Scalar>
  BASIN_HOST_DEVICE static void describe(record<Scalar>& c) {
    c.report.modes = c.shown;
    c.report.rate = static_cast<float>(c.steps.rate());
    c.report.angle = static_cast<float>(c.steps.angle());
  }

  /// Forgets everything but where the column is.
  template <class Scalar>
  BASIN_HOST_DEVICE static void start_again(record<Scalar>& c) {
    c.known = 0;
    c.foretells = false;
    c.goes_on = false;
    c.settled_at = 0;
    c.length = 2;
    c.wait = 1;
    c.inner = {};
    c.latest = c.iterated;
  }

  /// Whether the residual grows behind a step to the limit, and the state before that step has
  /// been put back.
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE bool leaves_saddle(record<Scalar>& c, const parts<Lanes, Scalar>& at, Scalar* z,
                                       Scalar* f, Scalar residual) const {
    if (!(c.settled_at > 0)) return false;
    if (++c.calm >= doubted) c.settled_at = 0;
    constexpr double growth = 1.02;
    const double noise = 10 * rounding(at.lanes, z, at.k);
    const auto square = static_cast<double>(residual);
    if (!(square > growth * growth * c.settled_at && square > noise * noise)) return false;
    at.lanes.copy(at.way_z, at.k, z);
    at.lanes.copy(at.way_f, at.k, f);
    start_again(c);
    ++c.report.taken_back;
    c.saddle = true;
    return true;
  }

  /// Keeps the state before a leap.
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE static void remember(const parts<Lanes, Scalar>& at, const Scalar* z,
                                         const Scalar* f) {
    at.lanes.copy(z, at.k, at.z);
    at.lanes.copy(f, at.k, at.f);
  }

  /// The error that a residual f(z) - z may have by rounding alone.
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE static double rounding(Lanes& lanes, const Scalar* z, index_t k) {
    constexpr double few = 4;
    return few * static_cast<double>(std::numeric_limits<Scalar>::epsilon()) *
           std::sqrt(static_cast<double>(lanes.dot(z, z, k)));
  }
  /// What the residual may keep of itself where the limit was gone to.
  static constexpr double halving = 0.5;

  /// Compares r with what was foretold, renews the recurrence, and keeps r.
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void take_residual(record<Scalar>& c, const parts<Lanes, Scalar>& at,
                                       const Scalar* r, double noise) const {
    Scalar* const r1 = at.residual(1);
    Scalar* const r2 = at.residual(2);
    Scalar* const r3 = at.residual(3);
    bool compared = false;
    bool tells = false;  // whether the error says how many modes there are
    if (c.known >= 2) {
      compared = c.foretells;
      tells = c.foretells && c.steps.second != 0;
      c.error = c.foretells ? c.steps.error(at.lanes, r, r1, r2, noise, at.k) : 1.0;
      c.steps = detail::step_recurrence::fit(at.lanes, r, r1, r2, r3, c.known >= 3, at.k);
      c.foretells = true;
    } else if (c.known == 1 && c.foretells) {
      // Behind a leap: what was foretold there is no ground for a fit, so one term.
      c.steps = detail::step_recurrence::fit(at.lanes, r, r1, at.k);
      c.error = c.steps.error(at.lanes, r, r1, r1, noise, at.k);
      compared = true;
    }
    c.fitted = compared && (tells || c.error <= inside.linearity);
    if (c.fitted) {
      c.shown = c.steps.modes(c.error <= inside.linearity, slow);
      if (c.report.leaps + c.report.limits == 0) describe(c);
    }
    at.lanes.copy(r2, at.k, r3);
    at.lanes.copy(r1, at.k, r2);
    at.lanes.copy(r, at.k, r1);
    c.known = std::min(c.known + 1, 3);
  }

  /// Whether the inner accelerator goes to where the recurrence ends, within half of the way.
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE bool agrees(const record<Scalar>& c, const parts<Lanes, Scalar>& at,
                                const Scalar* z, const Scalar* limit) const {
    const double scale = 1 / (1 - c.steps.first - c.steps.second);
    double sums[2] = {0, 0};  // of the squares of the difference and of the way
    at.lanes.sum(at.k, sums, [&](index_t i, double* s) {
      const double rest = scale * (static_cast<double>(at.residual(1)[i]) +
                                   c.steps.second * static_cast<double>(at.residual(2)[i]));
      const double difference = static_cast<double>(limit[i] - z[i]) - rest;
      s[0] += difference * difference;
      s[1] += rest * rest;
    });
    return sums[0] <= 0.25 * sums[1];
  }

  /// Moves z to where the trajectory is foretold to be, or to its limit.
  /// @return whether that is a finite place
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE bool leap(record<Scalar>& c, const parts<Lanes, Scalar>& at, Scalar* z,
                              const Scalar* f, const Scalar* limit) const {
    const auto h = static_cast<index_t>(c.length);
    const double rate = c.steps.rate();
    if (!(rate >= slow)) return false;
    const bool to_limit = !c.saddle && c.declines >= declines_to_limit && rate < 1 &&
                          std::pow(rate, static_cast<double>(h)) < settling;
    const auto w = c.steps.after(h);
    if (!is_finite(w.sum_now) || !is_finite(w.sum_before)) return false;
    if (to_limit && !agrees(c, at, z, limit)) return false;
    remember(at, z, f);
    if (to_limit) {
      if (!(c.settled_at > 0)) {  // else the way before is still in doubt
        at.lanes.copy(z, at.k, at.way_z);
        at.lanes.copy(f, at.k, at.way_f);
      }
      at.lanes.copy(limit, at.k, z);
    } else {
      const Scalar* const now = at.residual(1);
      const Scalar* const before = at.residual(2);
      const auto combine = [&](double a, double b, index_t i) {
        return static_cast<Scalar>(a) * now[i] + static_cast<Scalar>(b) * before[i];
      };
      at.lanes.each(at.k, [&](index_t i) {
        z[i] += combine(w.sum_now, w.sum_before, i);
        at.foretold[i] = combine(w.now, w.before, i);
      });
    }
    c.latest = to_limit ? c.settled : c.leapt;
    ++(to_limit ? c.report.limits : c.report.leaps);
    describe(c);
    c.leapt_over = h;
    return true;
  }
};

}  // namespace basin
