/// @file
/// An elementwise function as a map.
#pragma once

#include <string>
#include <utility>

#include <basin/backend/functors.hpp>
#include <basin/map/concept.hpp>

namespace basin {

namespace detail {
/// f'(x) v
template <class Function>
struct times_derivative {
  Function function;
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x, const T& v) const {
    return function.derivative(x, function(x)) * v;
  }
};
}  // namespace detail

/// f(z)_i = function(z_i), by a functor of backend/functors.hpp or one like it. With
/// a member derivative(x, y) the map has jvp and vjp, which are the same here. Its
/// dimension is whatever it is given, unless stated.
template <class Function>
class Activation {
 public:
  static constexpr bool copies_run_apart = true;

  explicit Activation(Function function, index_t k = -1) : function_(function), dimension_(k) {}

  [[nodiscard]] index_t dimension() const noexcept { return dimension_; }

  template <class B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) const {
    transform(be, function_, Z, out);
  }
  template <class B>
    requires requires(const Function& g, typename B::scalar x) { g.derivative(x, x); }
  void jvp(const B& be, const typename B::const_view& Z, const typename B::const_view& V,
           typename B::view JV) const {
    transform(be, detail::times_derivative<Function>{function_}, Z, V, JV);
  }
  template <class B>
    requires requires(const Function& g, typename B::scalar x) { g.derivative(x, x); }
  void vjp(const B& be, const typename B::const_view& Z, const typename B::const_view& U,
           typename B::view JtU) const {
    jvp(be, Z, U, JtU);
  }

 private:
  Function function_;
  index_t dimension_;
};

/// The map that applies a function to every entry, e.g. activation(tanh_function{}).
/// @param k its dimension; -1: any
template <class Function>
[[nodiscard]] Activation<Function> activation(Function function, index_t k = -1) {
  return Activation<Function>(function, k);
}

}  // namespace basin
