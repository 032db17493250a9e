/// @file
/// The method of Dormand and Prince (1980), of order 5, by Boost.Odeint.
#pragma once

#include <limits>

#include <boost/numeric/odeint/stepper/runge_kutta_dopri5.hpp>

#include <basin/dynamics/flow_method.hpp>
#include <basin/dynamics/odeint.hpp>

namespace basin {

/// Order 5 with an embedded method of order 4, seven stages of which the last is the first of
/// the next step, and a continuous extension of order 4 (Dormand and Prince, 1980; Shampine,
/// 1986). Each column's error, a root mean square of error / (absolute + relative |z|), is kept
/// below 1 by a PI controller of its own.
///
/// Cost of a step: six evaluations. In float a relative tolerance below about 1e-6 is in vain.
struct dopri5 {
  double relative = 1e-6;  ///< tolerance relative to the state, at least 0
  double absolute = 1e-9;  ///< tolerance, at least 0; not both may be 0
  double first_step = 0;   ///< 0: chosen from the field, for one more evaluation
  double max_step = std::numeric_limits<double>::infinity();
  double step = 0;  ///< more than 0: every step has this length, and nothing is controlled

  static constexpr flow_interpolation interpolation = flow_interpolation::quartic;
  static constexpr bool keeps_step = false;
  static constexpr index_t evaluations = 6;

  /// @throws argument_error that names the setting
  void check() const { control().check("dopri5"); }
  [[nodiscard]] step_control control() const { return detail::control_of(*this, 5, 0.04); }

  template <class B>
  class state {
   public:
    static constexpr bool evaluates_next = true;
    state(const dopri5& settings, const B& be, index_t k, index_t columns)
        : is_fixed_(settings.control().is_fixed()), first_(be, k, columns), last_(be, k, columns) {}

    template <class Map>
    void step(const B& be, Map& map, const flow_attempt<B>& at) {
      detail::scaled_field(at, at.states, at.values, first_);
      last_.use(at.columns);
      before_ = &at.states;
      after_ = &at.next;
      const auto field = detail::odeint_field(be, map, at);
      if (is_fixed_) {
        stepper_.do_step(field, at.states, first_, 0.0, at.next, last_, 1.0);
      } else {
        stepper_.do_step(field, at.states, first_, 0.0, at.next, last_, 1.0, at.errors);
      }
    }

    void midpoint(FlowBatch<B>& mid) const {
      stepper_.calc_state(0.5, mid, *before_, first_, 0.0, *after_, last_, 1.0);
    }

   private:
    bool is_fixed_;
    FlowBatch<B> first_;
    FlowBatch<B> last_;
    const FlowBatch<B>* before_ = nullptr;
    const FlowBatch<B>* after_ = nullptr;
    detail::odeint_stepper<boost::numeric::odeint::runge_kutta_dopri5, B> stepper_;
  };
};

}  // namespace basin
