/// @file
/// A map moved towards the identity.
#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include <basin/map/concept.hpp>
#include <basin/map/derivative.hpp>

namespace basin {

/// g(z) = z + alpha (f(z) - z): the fixed points of f, with its residuals times alpha.
/// To damp an iteration whose residual should stay that of f, use the accelerator
/// `damped` instead.
template <class F>
class Relaxed {
 public:
  static constexpr bool batch_coupled = is_batch_coupled<F>;
  static constexpr bool copies_run_apart = basin::copies_run_apart<F>;

  Relaxed(F f, double alpha) : f_(std::move(f)), alpha_(alpha) {
    require(alpha != 0 && alpha - alpha == 0, "relaxed",
            "alpha is " + std::to_string(alpha) + ", must be finite and not 0");
  }

  [[nodiscard]] index_t dimension() const { return basin::dimension(f_); }

  template <class B>
    requires latent_map<F, B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) {
    evaluate(be, f_, Z, out);
    blend(be, Z, out);
  }
  template <class B>
    requires has_jvp<F, B>
  void jvp(const B& be, const typename B::const_view& Z, const typename B::const_view& V,
           typename B::view JV) {
    basin::jvp(be, f_, Z, V, JV);
    blend(be, V, JV);
  }
  template <class B>
    requires has_vjp<F, B>
  void vjp(const B& be, const typename B::const_view& Z, const typename B::const_view& U,
           typename B::view JtU) {
    basin::vjp(be, f_, Z, U, JtU);
    blend(be, U, JtU);
  }

 private:
  template <class B>
  void blend(const B& be, const typename B::const_view& X, typename B::view& Y) const {
    using scalar = typename B::scalar;
    axpby(be, static_cast<scalar>(1 - alpha_), X, static_cast<scalar>(alpha_), Y);
  }

  F f_;
  double alpha_;
};

/// z -> z + alpha (f(z) - z).
/// @throws argument_error if alpha is 0 or not finite
template <class F>
[[nodiscard]] Relaxed<std::decay_t<F>> relaxed(F&& f, double alpha) {
  return {std::forward<F>(f), alpha};
}

}  // namespace basin
