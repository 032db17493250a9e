/// @file
/// Acceleration chosen column by column from what its steps show.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>

#include <basin/core/host_device.hpp>
#include <basin/solver/acceleration_report.hpp>
#include <basin/solver/anderson.hpp>
#include <basin/solver/basin_preserving.hpp>
#include <basin/solver/column_accelerator.hpp>

namespace basin {

namespace detail {
/// Anderson's acceleration that a column may do without: what `automatic` goes to a limit by. A
/// window that changes, 0 for none, begins a new history.
struct windowed_anderson {
  anderson widest = {};

  void check() const { widest.check(); }
  template <class Visit>
  void each_setting(Visit&& visit) const {
    widest.each_setting(visit);
  }
  template <class Scalar>
  struct record {
    typename anderson::record<Scalar> history;
    std::int32_t window = 0;
    BASIN_HOST_DEVICE void choose(std::int32_t other) {
      if (other != window) history = {};
      window = other;
    }
  };
  [[nodiscard]] index_t memory(index_t k) const { return widest.memory(k); }
  [[nodiscard]] index_t scratch(index_t k) const { return widest.scratch(k); }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void advance(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                 Scalar* f, index_t k) const {
    if (c.window == 0) {
      lanes.copy(f, k, z);
      return;
    }
    widest.advance(lanes, c.history, memory, z, f, k);
  }
};
}  // namespace detail

/// Chooses, for every column and again and again, what its steps allow, and says in the result
/// what it chose and why (`FixedPointResult::acceleration`).
///
/// The recurrence that `basin_preserving` fits to the steps of a trajectory has the two slowest
/// modes of the map there as its roots. By them a column
///
///   - whose steps show a rate below `slow` is iterated, and no history is kept;
///   - whose steps show one or two slow modes leaps over what they foretell, and is taken to its
///     limit by Anderson's acceleration of window min(k, `widest.window`
///     of the settings);
///   - whose steps more than two modes foretell is iterated, with a history for the limit.
///
/// (Anderson's window is not made narrower for fewer modes: of a limit's neighbourhood the modes
/// next in line then remain.) A choice holds until the steps have shown another picture
/// `steadiness` times in a row. A column is followed by the settings `cautious` until its
/// trajectory has gone on for `straight_for` states without turning, then by `straight`: leaps may
/// err more there. A trajectory has turned where successive complex pairs add up to an angle of
/// `turn`; it may pass a saddle slowly on its way, which is not an arrival, and `cautious`
/// holds for good.
///
/// Memory: Anderson's of the widest window and 8 k numbers a column. Cost of a step without the
/// map's: that of `basin_preserving`, less Anderson's where there is nothing to gain.
///
/// @code
/// #include <iostream>
/// #include <basin/map/affine.hpp>
/// #include <basin/solver/automatic.hpp>
/// #include <basin/solver/fixed_point_solver.hpp>
///
/// int main() {
///   const Eigen::MatrixXd A = Eigen::Vector3d(0.99, 0.5, 0.2).asDiagonal();
///   basin::FixedPointSolver solver{basin::affine(A), basin::automatic{},
///                                  basin::stopping{.residual = 1e-9}};
///   const auto found = solver.solve(Eigen::MatrixXd::Ones(3, 1));
///   std::cout << found.evaluations[0] << " evaluations; "
///             << to_string(found.acceleration[0]) << '\n';
/// }
/// @endcode
struct automatic {
  using follower = basin_preserving<detail::windowed_anderson>;

  follower cautious = {};
  follower straight = {
      .outside = {.linearity = 0.01, .across = 0.02}, .declines = 0, .declines_to_limit = 16};
  double turn = 0.5;          ///< radians, more than 0
  index_t straight_for = 24;  ///< states, at least 0
  index_t steadiness = 3;     ///< states, at least 1

  /// @throws argument_error if a setting is out of its range
  void check() const {
    cautious.check(), straight.check();
    require(cautious.inner.widest == straight.inner.widest, "automatic",
            "cautious and straight differ in their accelerator, and share its history");
    require(turn > 0, "automatic", "turn is " + std::to_string(turn) + ", must be more than 0");
    require(straight_for >= 0, "automatic", "straight_for must not be negative");
    require(steadiness >= 1, "automatic", "steadiness must be at least 1");
  }
  template <class Visit>
  void each_setting(Visit&& visit) const {
    cautious.each_setting(visit), straight.each_setting(visit);
    visit(turn), visit(straight_for), visit(steadiness);
  }

  template <class Scalar>
  struct record {
    typename follower::template record<Scalar> way;
    dominant_modes chosen = dominant_modes::unknown;
    dominant_modes seen = dominant_modes::unknown;  ///< by the latest steps
    std::int32_t times = 0;                         ///< in a row
    std::int32_t states = 0;                        ///< up to `straight_for`
    double turned_by = 0;                           ///< radians, of pairs in a row
    bool turned = false;
  };
  [[nodiscard]] index_t memory(index_t k) const { return cautious.memory(k); }
  [[nodiscard]] index_t scratch(index_t k) const { return cautious.scratch(k); }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void advance(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                 Scalar* f, index_t k) const {
    choose(c, k);
    settings(c).advance(lanes, c.way, memory, z, f, k);
    if (c.way.latest == c.way.iterated && c.way.report.leaps + c.way.report.limits > 0) return;
    c.way.report.window = c.way.inner.window;
    c.way.report.cautious = is_cautious(c);
  }
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE bool review(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                Scalar* f, index_t k, Scalar residual) const {
    return settings(c).review(lanes, c.way, memory, z, f, k, residual);
  }
  /// What is said of a column in the result.
  template <class Scalar>
  [[nodiscard]] acceleration_report report(const record<Scalar>& c) const {
    return c.way.report;
  }

 private:
  template <class Scalar>
  [[nodiscard]] BASIN_HOST_DEVICE bool is_cautious(const record<Scalar>& c) const {
    return c.turned || c.states < straight_for;
  }
  template <class Scalar>
  [[nodiscard]] BASIN_HOST_DEVICE const follower& settings(const record<Scalar>& c) const {
    return is_cautious(c) ? cautious : straight;
  }

  /// The choice, by what the steps up to the state before the present one show.
  template <class Scalar>
  BASIN_HOST_DEVICE void choose(record<Scalar>& c, index_t k) const {
    if (c.states < straight_for) ++c.states;
    const double angle = c.way.steps.angle();
    if (c.way.latest == c.way.leapt) {  // over states that nobody has seen, by this recurrence
      c.turned_by += angle * static_cast<double>(c.way.leapt_over);
    } else if (c.way.fitted) {
      c.turned_by = c.way.shown == dominant_modes::pair ? c.turned_by + angle : 0.0;
    }
    c.turned = c.turned || c.turned_by > turn;
    if (c.way.fitted) {
      const dominant_modes now = c.way.shown;
      c.times = now == c.seen ? std::min(c.times + 1, std::int32_t{1} << 30) : 1;
      c.seen = now;
      if (c.times >= steadiness || c.chosen == dominant_modes::unknown) c.chosen = now;
    }
    // Again where the follower has begun anew.
    c.way.inner.choose(static_cast<std::int32_t>(window_for(c.chosen, k)));
  }

  [[nodiscard]] BASIN_HOST_DEVICE index_t window_for(dominant_modes modes, index_t k) const {
    const bool idle = modes == dominant_modes::unknown || modes == dominant_modes::fast;
    return idle ? 0 : std::min(k, cautious.inner.widest.window);
  }
};

}  // namespace basin
