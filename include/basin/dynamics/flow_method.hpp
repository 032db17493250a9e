/// @file
/// What an integrator is.
///
/// A method is a small copyable struct of settings with
///
///     static constexpr flow_interpolation interpolation   between the ends of a step
///     static constexpr bool keeps_step                     see below
///     static constexpr index_t evaluations                 of f per column and step
///     step_control control() const
///     void check() const                                   optional
///     static constexpr bool counts_products                optional: it has products with the
///                                                          Jacobian
///     void each_setting(visit) const                       optional: calls visit(x) for every
///                                                          setting that control() leaves out
///     template <class Backend> class state                 what a run remembers
///
/// and its nested state has
///
///     static constexpr bool evaluates_next
///     state(const Method&, const Backend&, index_t k, index_t columns)
///     void step(const Backend&, Map&, const flow_attempt<Backend>&)
///         one step of every column, each of its own length: the next states, errors if
///         the step is controlled, and f at the next states if `evaluates_next`
///     void midpoint(FlowBatch<Backend>&)     the states at half of the last step, where
///                                            the interpolation is `quartic`
///     void swap_columns(be, const index_t* a, const index_t* b, index_t count)   where
///         something is remembered from step to step: its columns a[i] and b[i] change places
///     void archive(be, archive)                            with swap_columns: all that is
///         remembered, in or out, see backend/archive.hpp
///     void step_failed()                                   with swap_columns: the map threw within
///         `step`, which will be taken again
///
/// A state without swap_columns is made for fewer columns than the run has, and steps them part
/// by part, since a part stays in cache.
///
/// The flow knows nothing of time, so a method works in scaled time: for column j the field
/// is h_j (f(z) - z) and the step is 1. A method that keeps its step takes steps of one length
/// from the beginning to the end, as those that remember earlier steps must.
#pragma once

#include <concepts>
#include <limits>
#include <string>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/core/host_device.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/map/concept.hpp>

namespace basin {

/// How a state between the ends of a step follows.
enum class flow_interpolation {
  linear,   ///< between the two states
  cubic,    ///< Hermite's, by states and derivatives: an error of h⁴
  quartic,  ///< by the midpoint as well: an error of h⁵
  landing,  ///< none: steps are shortened to end at the times that are asked for
};

/// How steps are chosen.
struct step_control {
  double step = 0;         ///< of a method without control; 0: controlled
  double relative = 1e-6;  ///< tolerance relative to the state
  double absolute = 1e-9;  ///< tolerance
  double first_step = 0;   ///< 0: from the field, at the cost of one evaluation
  double max_step = std::numeric_limits<double>::infinity();
  int error_order = 5;          ///< the estimate of the error falls as this power of the step
  double integral_part = 0.04;  ///< β of the PI controller (Hairer, Nørsett and Wanner, 1993)

  /// @throws argument_error that names the setting and its value
  void check(const std::string& method) const {
    const auto demand = [&](bool holds, const char* name, double value, const char* range) {
      if (!holds) {
        throw argument_error(method + ": " + name + " is " + std::to_string(value) + ", must be " +
                             range);
      }
    };
    demand(step >= 0 && step - step == 0, "step", step, "finite and at least 0");
    demand(relative >= 0, "relative", relative, "at least 0");
    demand(absolute >= 0, "absolute", absolute, "at least 0");
    demand(relative + absolute > 0, "relative + absolute", relative + absolute, "more than 0");
    demand(first_step >= 0, "first_step", first_step, "at least 0");
    demand(max_step > 0, "max_step", max_step, "more than 0");
  }
  [[nodiscard]] BASIN_HOST_DEVICE bool is_fixed() const noexcept { return step > 0; }
};

namespace detail {
/// The control of a method with the settings step, relative, absolute, first_step and max_step.
template <class Settings>
[[nodiscard]] step_control control_of(const Settings& settings, int error_order,
                                      double integral_part = 0) {
  return {.step = settings.step,
          .relative = settings.relative,
          .absolute = settings.absolute,
          .first_step = settings.first_step,
          .max_step = settings.max_step,
          .error_order = error_order,
          .integral_part = integral_part};
}
}  // namespace detail

/// One step of the active columns, as a method sees it. All batches have k rows and use
/// `columns` columns.
template <class B>
struct flow_attempt {
  index_t columns;
  const FlowBatch<B>& states;       ///< z
  const FlowBatch<B>& values;       ///< f(z)
  FlowBatch<B>& next;               ///< the states after the step
  FlowBatch<B>& next_values;        ///< f there, or what the method last evaluated
  FlowBatch<B>& errors;             ///< estimated errors of `next`, where controlled
  const typename B::scalar* steps;  ///< h of every column
  /// h of every entry, for states of few entries on the CPU; else null.
  const typename B::scalar* entry_steps;
  index_t* products;  ///< of this step with the Jacobian, where a method counts them
};

namespace detail {
/// Stands for a map where a concept needs one.
template <class B>
struct some_map {
  void operator()(const typename B::const_view&, typename B::view) const {}
  void jvp(const B&, const typename B::const_view&, const typename B::const_view&,
           typename B::view) const {}
};
}  // namespace detail

/// What FlowSolver takes as its second argument.
template <class M, class B>
concept flow_method =
    std::copyable<M> && requires(const M& m, typename M::template state<B>& s, const B& be,
                                 detail::some_map<B>& map, const flow_attempt<B>& at) {
      { M::interpolation } -> std::convertible_to<flow_interpolation>;
      { M::keeps_step } -> std::convertible_to<bool>;
      { M::evaluations } -> std::convertible_to<index_t>;
      { m.control() } -> std::same_as<step_control>;
      { M::template state<B>::evaluates_next } -> std::convertible_to<bool>;
      s.step(be, map, at);
    };

}  // namespace basin
