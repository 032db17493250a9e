/// @file
/// The method of Adams, Bashforth and Moulton, by Boost.Odeint.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

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
      // Within a step nothing is allocated.
      predictor_.adjust_size(predicted_);
      corrector_.adjust_size(predicted_);
    }

    template <class Map>
    void step(const B& be, Map& map, const flow_attempt<B>& at) {
      const auto evaluated = detail::odeint_field(be, map, at);
      // Both begin by asking for the field at z, which is known.
      const auto field = [&](const FlowBatch<B>& z, FlowBatch<B>& v, double t) {
        if (&z == &at.states) {
          detail::scaled_field(at, at.states, at.values, v);
        } else {
          evaluated(z, v, t);
        }
      };
      before_ = taken_;
      taken_ = std::min(taken_ + 1, length - 1);
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
        batch& kept = field(i);
        detail::for_each_entry(
            be, kept.rows(), count,
            detail::swap_entries<typename B::scalar>{kept.data(), a, b, kept.rows()});
      }
    }

    template <class Archive>
    void archive(const B&, Archive& archive) {
      auto taken = static_cast<std::int64_t>(taken_);
      archive.array(&taken, 1);
      set_taken(std::min(static_cast<std::size_t>(taken), length - 1));
      for (std::size_t i = 0; i < length; ++i) field(i).archive(archive);
    }

    /// The predictor has moved on to the field at z, which it will be given again.
    void step_failed() {
      if (before_ > 0) {
        const batch last = field(0);
        for (std::size_t i = 0; i + 1 < length; ++i) field(i) = field(i + 1);
        field(length - 1) = last;
      }
      set_taken(before_);
    }

   private:
    using batch = FlowBatch<B>;
    using algebra = boost::numeric::odeint::vector_space_algebra;
    using resizer = boost::numeric::odeint::always_resizer;
    using starter = detail::odeint_stepper<boost::numeric::odeint::runge_kutta4, B>;

    /// The field i steps ago. Batches that are copied share their memory.
    [[nodiscard]] batch& field(std::size_t i) { return predictor_.step_storage()[i].m_v; }

    /// Odeint's predictor counts its steps for itself, and can be told their number only by
    /// stepping; what it remembers stays as it is.
    void set_taken(std::size_t count) {
      taken_ = count;
      std::array<batch, length> kept;
      for (std::size_t i = 0; i < length; ++i) kept[i] = field(i);
      batch nowhere(predicted_.backend(), predicted_.rows(), 1);
      for (std::size_t i = 0; i < length; ++i) field(i) = nowhere;
      predictor_.reset();
      const auto nothing = [](const batch&, batch&, double) {};
      for (std::size_t i = 0; i < count; ++i) {
        predictor_.do_step(nothing, std::as_const(nowhere), 0.0, nowhere, 1.0);
      }
      for (std::size_t i = 0; i < length; ++i) field(i) = kept[i];
    }

    std::size_t taken_ = 0;   ///< steps, up to those after which the predictor runs by itself
    std::size_t before_ = 0;  ///< the same before the last step
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
