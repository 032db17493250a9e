/// @file
/// Euler's method, of basin's own: with step 1 the discrete iteration.
#pragma once

#include <basin/core/error.hpp>
#include <basin/core/host_device.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/flow_method.hpp>

namespace basin {

namespace detail {
/// (1 - h) z + h f: for h = 1 exactly f, where z is finite.
template <class Scalar>
struct euler_step {
  const Scalar* Z;
  const Scalar* F;
  Scalar* next;
  Scalar h;
  BASIN_HOST_DEVICE void operator()(index_t i, index_t) const {
    next[i] = h == Scalar(1) ? F[i] : (Scalar(1) - h) * Z[i] + h * F[i];
  }
};
}  // namespace detail

/// z_{n+1} = (1 - step) z_n + step f(z_n), of order 1 (Euler, 1768). With step 1 the discrete
/// iteration z_{n+1} = f(z_n) to the bit. Points between steps lie on the polygon, and events
/// are met at its corners: the last step may end behind the time of the flow.
///
/// Cost of a step: one evaluation. Needs no Boost, runs on every backend.
struct euler {
  double step = 1;  ///< more than 0

  static constexpr flow_interpolation interpolation = flow_interpolation::linear;
  static constexpr bool keeps_step = true;
  static constexpr index_t evaluations = 1;

  /// @throws argument_error unless step is finite and more than 0
  void check() const {
    require(step > 0, "euler", "step is " + std::to_string(step) + ", must be more than 0");
    control().check("euler");
  }
  [[nodiscard]] step_control control() const { return {.step = step}; }

  template <class B>
  class state {
   public:
    static constexpr bool evaluates_next = false;
    state(const euler& settings, const B&, index_t, index_t) : step_(settings.step) {}

    template <class Map>
    void step(const B& be, Map&, const flow_attempt<B>& at) {
      using scalar = typename B::scalar;
      detail::for_each_entry(
          be, at.states.rows(), at.columns,
          detail::euler_step<scalar>{at.states.data(), at.values.data(), at.next.data(),
                                     static_cast<scalar>(step_)});
    }

   private:
    double step_;
  };
};

}  // namespace basin
