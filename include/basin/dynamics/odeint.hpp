/// @file
/// What Boost.Odeint needs to step a batch of any backend: a state type, and sums of states.
/// Odeint's steppers then run on every backend, since they only add states and call the field.
#pragma once

#include <algorithm>

#include <boost/numeric/odeint/algebra/vector_space_algebra.hpp>
#include <boost/numeric/odeint/util/copy.hpp>
#include <boost/numeric/odeint/util/is_resizeable.hpp>
#include <boost/numeric/odeint/util/resize.hpp>
#include <boost/numeric/odeint/util/resizer.hpp>
#include <boost/numeric/odeint/util/same_size.hpp>

#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/flow_method.hpp>
#include <basin/dynamics/flow_sums.hpp>
#include <basin/map/concept.hpp>

namespace basin::detail {

/// out = Σ weight × state over N states, in one pass.
template <int N>
struct state_sum_of {
  using result_type = void;
  template <class... Weights>
  explicit state_sum_of(Weights... w) : weights{static_cast<double>(w)...} {
    static_assert(sizeof...(Weights) == N);
  }
  template <class B, class... Batches>
  void operator()(FlowBatch<B>& out, const Batches&... in) const {
    sum_batches(out, weights, in...);
  }
  double weights[N];
};

/// Odeint's names for them.
struct odeint_sums {
  template <class...>
  using scale_sum1 = state_sum_of<1>;
  template <class...>
  using scale_sum2 = state_sum_of<2>;
  template <class...>
  using scale_sum3 = state_sum_of<3>;
  template <class...>
  using scale_sum4 = state_sum_of<4>;
  template <class...>
  using scale_sum5 = state_sum_of<5>;
  template <class...>
  using scale_sum6 = state_sum_of<6>;
  template <class...>
  using scale_sum7 = state_sum_of<7>;
  template <class...>
  using scale_sum8 = state_sum_of<8>;
  template <class...>
  using scale_sum9 = state_sum_of<9>;
  template <class...>
  using scale_sum10 = state_sum_of<10>;
  template <class...>
  using scale_sum11 = state_sum_of<11>;
  template <class...>
  using scale_sum12 = state_sum_of<12>;
  template <class...>
  using scale_sum13 = state_sum_of<13>;
  template <class...>
  using scale_sum14 = state_sum_of<14>;
};

/// One of odeint's steppers on batches of backend B.
template <template <class, class, class, class, class, class, class> class Stepper, class B>
using odeint_stepper = Stepper<FlowBatch<B>, double, FlowBatch<B>, double,
                               boost::numeric::odeint::vector_space_algebra, odeint_sums,
                               boost::numeric::odeint::always_resizer>;

template <class Scalar>
struct scale_field {
  const Scalar* z;
  const Scalar* f;
  const Scalar* h;
  Scalar* v;
  BASIN_HOST_DEVICE void operator()(index_t i, index_t j) const { v[i] = h[j] * (f[i] - z[i]); }
};

/// v = h_j (f - z), the field in scaled time, at one of the states of an attempt.
template <class B>
void scaled_field(const flow_attempt<B>& at, const FlowBatch<B>& z, const FlowBatch<B>& f,
                  FlowBatch<B>& v) {
  using scalar = typename B::scalar;
  const B& be = z.backend();
  v.use(z.columns());
  if constexpr (is_cpu<B>) {
    if (at.entry_steps != nullptr) {
      const scalar* const h = at.entry_steps;
      const scalar* const from = z.data();
      const scalar* const to = f.data();
      scalar* const out = v.data();
      const index_t entries = z.rows() * z.columns();
      constexpr index_t block = 2048;
      for_each_index(
          be, (entries + block - 1) / block,
          [&](index_t b) {
            const index_t first = b * block;
            for_each_register(std::min(block, entries - first), out + first,
                              [&](const auto& load, index_t i) {
                                const index_t e = first + i;
                                return load(h + e) * (load(to + e) - load(from + e));
                              });
          },
          flow_task / block);
      return;
    }
  }
  for_each_entry(be, z.rows(), z.columns(),
                 scale_field<scalar>{z.data(), f.data(), at.steps, v.data()});
}

/// The field as odeint calls it. What f was last evaluated to stays in `next_values`.
template <class B, class Map>
[[nodiscard]] auto odeint_field(const B& be, Map& map, const flow_attempt<B>& at) {
  return [&be, &map, &at](const FlowBatch<B>& z, FlowBatch<B>& v, double) {
    evaluate(be, map, z.view(), at.next_values.view());
    scaled_field(at, z, at.next_values, v);
  };
}

/// A stepper of odeint that is given z and the field there, and gives the next z, with its error
/// unless the step is fixed.
template <template <class, class, class, class, class, class, class> class Stepper, class B>
class ControlledState {
 public:
  static constexpr bool evaluates_next = false;
  template <class Settings>
  ControlledState(const Settings& settings, const B& be, index_t k, index_t columns)
      : is_fixed_(settings.control().is_fixed()), first_(be, k, columns) {}

  template <class Map>
  void step(const B& be, Map& map, const flow_attempt<B>& at) {
    scaled_field(at, at.states, at.values, first_);
    const auto field = odeint_field(be, map, at);
    if (is_fixed_) {
      stepper_.do_step(field, at.states, first_, 0.0, at.next, 1.0);
    } else {
      stepper_.do_step(field, at.states, first_, 0.0, at.next, 1.0, at.errors);
    }
  }

 private:
  bool is_fixed_;
  FlowBatch<B> first_;
  odeint_stepper<Stepper, B> stepper_;
};

}  // namespace basin::detail

namespace boost::numeric::odeint {

template <class B>
struct is_resizeable<basin::FlowBatch<B>> : boost::true_type {
  using type = boost::true_type;
};
/// Memory is made once, for the most columns. How many are in use goes with the values.
template <class B>
struct same_size_impl<basin::FlowBatch<B>, basin::FlowBatch<B>> {
  static bool same_size(const basin::FlowBatch<B>& x, const basin::FlowBatch<B>& y) {
    return x.rows() == y.rows() && x.capacity() >= y.columns();
  }
};
template <class B>
struct resize_impl<basin::FlowBatch<B>, basin::FlowBatch<B>> {
  static void resize(basin::FlowBatch<B>& x, const basin::FlowBatch<B>& y) {
    x = basin::FlowBatch<B>(y.backend(), y.rows(), y.columns());
  }
};

}  // namespace boost::numeric::odeint
