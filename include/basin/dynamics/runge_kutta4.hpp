/// @file
/// Methods of fixed steps by Boost.Odeint: Euler's, and the classical one of order 4.
#pragma once

#include <boost/numeric/odeint/stepper/euler.hpp>
#include <boost/numeric/odeint/stepper/runge_kutta4.hpp>

#include <basin/core/error.hpp>
#include <basin/dynamics/flow_method.hpp>
#include <basin/dynamics/odeint.hpp>

namespace basin {

namespace detail {
/// A stepper of odeint that is given z and the field there, and gives the next z.
template <template <class, class, class, class, class, class, class> class Stepper, class Settings,
          class B>
class OdeintState {
 public:
  static constexpr bool evaluates_next = false;
  OdeintState(const Settings&, const B& be, index_t k, index_t columns) : first_(be, k, columns) {}

  template <class Map>
  void step(const B& be, Map& map, const flow_attempt<B>& at) {
    scaled_field(at, at.states, at.values, first_);
    stepper_.do_step(odeint_field(be, map, at), at.states, first_, 0.0, at.next, 1.0);
  }

 private:
  FlowBatch<B> first_;
  odeint_stepper<Stepper, B> stepper_;
};
}  // namespace detail

/// The classical method of order 4 (Kutta, 1901). A column's step is `step`, shorter only
/// where it ends at an event or at the end of time. States between steps are Hermite's, of the
/// same order.
///
/// Cost of a step: four evaluations.
struct runge_kutta4 {
  double step = 0.1;  ///< more than 0

  static constexpr flow_interpolation interpolation = flow_interpolation::cubic;
  static constexpr bool keeps_step = false;
  static constexpr index_t evaluations = 4;

  /// @throws argument_error unless step is finite and more than 0
  void check() const {
    require(step > 0, "runge_kutta4", "step is " + std::to_string(step) + ", must be more than 0");
    control().check("runge_kutta4");
  }
  [[nodiscard]] step_control control() const { return {.step = step}; }

  template <class B>
  using state = detail::OdeintState<boost::numeric::odeint::runge_kutta4, runge_kutta4, B>;
};

/// Euler's method by odeint: z + step (f(z) - z), which for step 1 is f(z) within rounding
/// only; basin's own `euler` gives it to the bit. Events and times are met by shorter steps.
///
/// Cost of a step: one evaluation.
struct odeint_euler {
  double step = 0.1;  ///< more than 0

  static constexpr flow_interpolation interpolation = flow_interpolation::linear;
  static constexpr bool keeps_step = false;
  static constexpr index_t evaluations = 1;

  /// @throws argument_error unless step is finite and more than 0
  void check() const {
    require(step > 0, "odeint_euler", "step is " + std::to_string(step) + ", must be more than 0");
    control().check("odeint_euler");
  }
  [[nodiscard]] step_control control() const { return {.step = step}; }

  template <class B>
  using state = detail::OdeintState<boost::numeric::odeint::euler, odeint_euler, B>;
};

}  // namespace basin
