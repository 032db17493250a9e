/// @file
/// The method of Adams, Bashforth and Moulton, by Boost.Odeint.
#pragma once

#include <cstddef>

#include <boost/numeric/odeint/stepper/adams_bashforth.hpp>
#include <boost/numeric/odeint/stepper/adams_moulton.hpp>
#include <boost/numeric/odeint/stepper/runge_kutta4.hpp>

#include <basin/core/error.hpp>
#include <basin/dynamics/flow_method.hpp>
#include <basin/dynamics/odeint.hpp>

namespace basin {

/// A predictor of Adams and Bashforth (1883) over four fields and a corrector of Adams and
/// Moulton (1926) over four, both of order 4, begun by three steps of Runge and Kutta. Steps
/// have one length from the beginning to the end, so the last may end behind the time of the
/// flow, and events are met at the ends of steps. States between steps are Hermite's.
///
/// Cost of a step: two evaluations.
struct adams {
  double step = 0.1;  ///< more than 0

  static constexpr std::size_t length = 4;  ///< fields that are remembered
  static constexpr flow_interpolation interpolation = flow_interpolation::cubic;
  static constexpr bool keeps_step = true;
  static constexpr index_t evaluations = 2;

  /// @throws argument_error unless step is finite and more than 0
  void check() const {
    require(step > 0, "adams", "step is " + std::to_string(step) + ", must be more than 0");
    control().check("adams");
  }
  [[nodiscard]] step_control control() const { return {.step = step}; }

  template <class B>
  class state {
   public:
    static constexpr bool evaluates_next = false;
    state(const adams&, const B& be, index_t k, index_t columns) : predicted_(be, k, columns) {
      // The corrector is not needed before the fourth step, and nothing is allocated then.
      corrector_.adjust_size(predicted_);
    }

    template <class Map>
    void step(const B& be, Map& map, const flow_attempt<B>& at) {
      const auto evaluated = detail::odeint_field(be, map, at);
      // Both begin by asking for the field at z, which is known.
      const auto field = [&](const FlowBatch<B>& z, FlowBatch<B>& v, double t) {
        if (&z == &at.states) {
          detail::scaled_field(at.states, at.values, at.steps, v);
        } else {
          evaluated(z, v, t);
        }
      };
      if (predictor_.is_initialized()) {
        predictor_.do_step(field, at.states, 0.0, predicted_, 1.0);
        corrector_.do_step(field, at.states, predicted_, 1.0, at.next, 1.0,
                           predictor_.step_storage());
      } else {
        predictor_.do_step(field, at.states, 0.0, at.next, 1.0);
      }
    }

    void swap_columns(const B& be, const index_t* a, const index_t* b, index_t count) {
      for (std::size_t i = 0; i < length; ++i) {
        FlowBatch<B>& kept = predictor_.step_storage()[i].m_v;
        if (kept.capacity() == 0) continue;
        detail::for_each_entry(
            be, kept.rows(), count,
            detail::swap_entries<typename B::scalar>{kept.data(), a, b, kept.rows()});
      }
    }

   private:
    using batch = FlowBatch<B>;
    using algebra = boost::numeric::odeint::vector_space_algebra;
    using resizer = boost::numeric::odeint::always_resizer;
    using starter = detail::odeint_stepper<boost::numeric::odeint::runge_kutta4, B>;

    batch predicted_;
    // Odeint's class of the pair hides the fields that must move with their columns.
    boost::numeric::odeint::adams_bashforth<length, batch, double, batch, double, algebra,
                                            detail::odeint_sums, resizer, starter>
        predictor_;
    boost::numeric::odeint::adams_moulton<length, batch, double, batch, double, algebra,
                                          detail::odeint_sums, resizer>
        corrector_;
  };
};

}  // namespace basin
