/// @file
/// An exponential method for stiff flows of maps with Jacobian-vector products.
#pragma once

#include <limits>
#include <string>

#include <basin/core/error.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/flow_method.hpp>
#include <basin/dynamics/krylov_phi.hpp>
#include <basin/map/derivative.hpp>

namespace basin {

namespace detail {

/// b = h (f - z).
template <class Scalar>
struct scale_velocity {
  const Scalar* z;
  const Scalar* f;
  const Scalar* h;
  Scalar* b;
  BASIN_HOST_DEVICE void operator()(index_t i, index_t j) const { b[i] = h[j] * (f[i] - z[i]); }
};
template <class Scalar>
struct subtract_states {
  const Scalar* x;
  const Scalar* y;
  Scalar* out;
  BASIN_HOST_DEVICE void operator()(index_t i, index_t) const { out[i] = x[i] - y[i]; }
};
/// h times the part of the field that is not linear, at the stage: b = 2 h (f(u) - f(z) -
/// J_f (u - z)).
template <class Scalar>
struct nonlinear_part {
  const Scalar* stage_values;
  const Scalar* values;
  const Scalar* product;
  const Scalar* h;
  Scalar* b;
  BASIN_HOST_DEVICE void operator()(index_t i, index_t j) const {
    b[i] = 2 * h[j] * ((stage_values[i] - values[i]) - product[i]);
  }
};
struct count_products {
  index_t* products;
  BASIN_HOST_DEVICE void operator()(index_t j) const { ++products[j]; }
};
/// error = next - stage, the difference of the two orders; a method that is not controlled has
/// none.
template <class Scalar>
struct add_difference {
  const Scalar* next;
  const Scalar* stage;
  Scalar* error;
  BASIN_HOST_DEVICE void operator()(index_t i, index_t) const {
    const Scalar d = next[i] - stage[i];
    error[i] += d < 0 ? -d : d;
  }
};

}  // namespace detail

/// exprb32, of order 3 with the exponential Rosenbrock-Euler method of order 2 embedded
/// (Hochbruck and Ostermann, 2006; Hochbruck, Ostermann and Schweitzer, 2009):
///
///     u  = z + h φ_1(h J) v(z)
///     z' = u + 2 h φ_3(h J) (v(u) - v(z) - J (u - z)),   v = f - id, J = J_f - I
///
/// The stiff linear part is exact, so no stability bounds the step. φ is applied by Arnoldi's
/// method with Jacobian-vector products alone, in a space of each column's own that grows until
/// its error is a twentieth of the tolerance. At given times steps end.
///
/// Cost of a step: two evaluations and, per dimension of the two spaces, one product; memory
/// for `krylov` + 5 batches. The map must have jvp, see map/finite_difference.hpp else.
struct exponential_rosenbrock {
  double relative = 1e-5;  ///< tolerance relative to the state, at least 0
  double absolute = 1e-8;  ///< tolerance, more than 0
  index_t krylov = 30;     ///< most dimensions of a space, at least 1
  double first_step = 0;   ///< 0: chosen from the field, for one more evaluation
  double max_step = std::numeric_limits<double>::infinity();
  /// More than 0: every step has this length, and only the spaces heed the tolerances.
  double step = 0;

  static constexpr flow_interpolation interpolation = flow_interpolation::landing;
  static constexpr bool keeps_step = false;
  static constexpr index_t evaluations = 2;
  static constexpr bool counts_products = true;

  /// @throws argument_error that names the setting
  void check() const {
    control().check("exponential_rosenbrock");
    require(absolute > 0, "exponential_rosenbrock", "absolute must be more than 0");
    require(krylov >= 1, "exponential_rosenbrock",
            "krylov is " + std::to_string(krylov) + ", must be at least 1");
  }
  template <class Visit>
  void each_setting(const Visit& visit) const {
    visit(krylov);
  }
  [[nodiscard]] step_control control() const { return detail::control_of(*this, 3); }

  template <class B>
  class state {
   public:
    using scalar = typename B::scalar;
    static constexpr bool evaluates_next = false;

    state(const exponential_rosenbrock& settings, const B& be, index_t k, index_t columns)
        : is_fixed_(settings.step > 0),
          b_(be, k, columns),
          stage_(be, k, columns),
          difference_(be, k, columns),
          product_(be, k, columns),
          phi_(be, k, columns, settings.krylov, settings.relative, settings.absolute) {}

    template <class Map>
    void step(const B& be, Map& map, const flow_attempt<B>& at) {
      const index_t n = at.columns;
      const index_t k = at.states.rows();
      for (FlowBatch<B>* batch : {&b_, &stage_, &difference_, &product_}) batch->use(n);
      scalar* const errors = is_fixed_ ? nullptr : at.errors.data();
      if (errors != nullptr) detail::for_each_entry(be, k, n, detail::fill_zero<scalar>{errors});

      detail::for_each_entry(
          be, k, n,
          detail::scale_velocity<scalar>{at.states.data(), at.values.data(), at.steps, b_.data()});
      phi_.prepare(be, map, at.states, at.steps, b_, 1, at.products);
      phi_.apply(be, at.states, 1, stage_, errors);
      evaluate(be, map, std::as_const(stage_).view(), at.next_values.view());
      detail::for_each_entry(
          be, k, n,
          detail::subtract_states<scalar>{stage_.data(), at.states.data(), difference_.data()});
      jvp(be, map, at.states.view(), std::as_const(difference_).view(), product_.view());
      for_each_index(be, n, detail::count_products{at.products}, 4096);
      detail::for_each_entry(be, k, n,
                             detail::nonlinear_part<scalar>{at.next_values.data(), at.values.data(),
                                                            product_.data(), at.steps, b_.data()});
      phi_.prepare(be, map, at.states, at.steps, b_, 3, at.products);
      phi_.apply(be, stage_, 1, at.next, errors);
      if (errors == nullptr) return;
      detail::for_each_entry(be, k, n,
                             detail::add_difference<scalar>{at.next.data(), stage_.data(), errors});
    }

   private:
    bool is_fixed_;
    FlowBatch<B> b_, stage_, difference_, product_;
    detail::KrylovPhi<B> phi_;
  };
};

/// The exponential Rosenbrock-Euler method by itself, of order 2: z + h φ_1(h J) v(z)
/// (Pope, 1963; Hochbruck and Ostermann, 2006). Exact for linear fields. Steps have one length,
/// shorter only where they end at an event or at a given time.
///
/// Cost of a step: one evaluation and one product per dimension of the space.
struct exponential_euler {
  double step = 0.1;       ///< more than 0
  double relative = 1e-6;  ///< tolerance of the spaces relative to the state, at least 0
  double absolute = 1e-9;  ///< tolerance of the spaces, more than 0
  index_t krylov = 30;     ///< most dimensions of a space, at least 1

  static constexpr flow_interpolation interpolation = flow_interpolation::landing;
  static constexpr bool keeps_step = false;
  static constexpr index_t evaluations = 1;
  static constexpr bool counts_products = true;

  /// @throws argument_error that names the setting
  void check() const {
    require(step > 0, "exponential_euler",
            "step is " + std::to_string(step) + ", must be more than 0");
    control().check("exponential_euler");
    require(absolute > 0, "exponential_euler", "absolute must be more than 0");
    require(krylov >= 1, "exponential_euler",
            "krylov is " + std::to_string(krylov) + ", must be at least 1");
  }
  template <class Visit>
  void each_setting(const Visit& visit) const {
    visit(krylov);
  }
  [[nodiscard]] step_control control() const {
    return {.step = step, .relative = relative, .absolute = absolute};
  }

  template <class B>
  class state {
   public:
    using scalar = typename B::scalar;
    static constexpr bool evaluates_next = false;

    state(const exponential_euler& settings, const B& be, index_t k, index_t columns)
        : b_(be, k, columns),
          phi_(be, k, columns, settings.krylov, settings.relative, settings.absolute) {}

    template <class Map>
    void step(const B& be, Map& map, const flow_attempt<B>& at) {
      b_.use(at.columns);
      detail::for_each_entry(
          be, at.states.rows(), at.columns,
          detail::scale_velocity<scalar>{at.states.data(), at.values.data(), at.steps, b_.data()});
      phi_.prepare(be, map, at.states, at.steps, b_, 1, at.products);
      phi_.apply(be, at.states, 1, at.next, nullptr);
    }

   private:
    FlowBatch<B> b_;
    detail::KrylovPhi<B> phi_;
  };
};

}  // namespace basin
