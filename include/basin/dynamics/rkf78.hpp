/// @file
/// Fehlberg's method of order 8, by Boost.Odeint.
#pragma once

#include <limits>

#include <boost/numeric/odeint/stepper/runge_kutta_fehlberg78.hpp>

#include <basin/dynamics/flow_method.hpp>
#include <basin/dynamics/odeint.hpp>

namespace basin {

/// Order 8 with an embedded method of order 7 in thirteen stages (Fehlberg, 1968), for tight
/// tolerances. Its estimate of the error vanishes where the field does not change along the
/// path. It has no continuous extension: at given times steps end.
///
/// Cost of a step: thirteen evaluations.
struct rkf78 {
  double relative = 1e-9;   ///< tolerance relative to the state, at least 0
  double absolute = 1e-12;  ///< tolerance, at least 0; not both may be 0
  double first_step = 0;    ///< 0: chosen from the field, for one more evaluation
  double max_step = std::numeric_limits<double>::infinity();
  double step = 0;  ///< more than 0: every step has this length, and nothing is controlled

  static constexpr flow_interpolation interpolation = flow_interpolation::landing;
  static constexpr bool keeps_step = false;
  static constexpr index_t evaluations = 13;

  /// @throws argument_error that names the setting
  void check() const { control().check("rkf78"); }
  [[nodiscard]] step_control control() const { return detail::control_of(*this, 8); }

  template <class B>
  using state = detail::ControlledState<boost::numeric::odeint::runge_kutta_fehlberg78, B>;
};

}  // namespace basin
