/// @file
/// The p-fold iterate of a map.
#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include <basin/map/concept.hpp>
#include <basin/map/derivative.hpp>
#include <basin/map/workspace.hpp>

namespace basin {

/// f applied p times: its fixed points are those of f and the points of cycles whose
/// period divides p.
///
/// Cost: p evaluations; vjp keeps the p - 1 states between.
template <class F>
class Power {
 public:
  static constexpr bool batch_coupled = is_batch_coupled<F>;

  Power(F f, int p) : f_(std::move(f)), p_(p) {
    require(p >= 1, "power", "p is " + std::to_string(p) + ", must be at least 1");
  }

  [[nodiscard]] index_t dimension() const { return basin::dimension(f_); }

  template <class B>
    requires latent_map<F, B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) {
    if (p_ == 1) return evaluate(be, f_, Z, out);
    typename B::view other = kept_.get(be, 0, Z.rows(), Z.cols());
    // Back and forth between two matrices, so that the last result falls into out.
    bool to_out = p_ % 2 == 1;
    evaluate(be, f_, Z, to_out ? out : other);
    for (int i = 1; i < p_; ++i, to_out = !to_out) {
      evaluate(be, f_, to_out ? out : other, to_out ? other : out);
    }
  }
  template <class B>
    requires has_jvp<F, B> && latent_map<F, B>
  void jvp(const B& be, const typename B::const_view& Z, const typename B::const_view& V,
           typename B::view JV) {
    typename B::view state = kept_.get(be, 0, Z.rows(), Z.cols());
    typename B::view next = kept_.get(be, 1, Z.rows(), Z.cols());
    typename B::view direction = kept_.get(be, 2, Z.rows(), Z.cols());
    basin::jvp(be, f_, Z, V, JV);
    if (p_ > 1) evaluate(be, f_, Z, state);
    for (int i = 1; i < p_; ++i) {
      copy(be, JV, direction);
      basin::jvp(be, f_, state, direction, JV);
      if (i + 1 == p_) break;
      evaluate(be, f_, state, next);
      copy(be, next, state);
    }
  }
  template <class B>
    requires has_vjp<F, B> && latent_map<F, B>
  void vjp(const B& be, const typename B::const_view& Z, const typename B::const_view& U,
           typename B::view JtU) {
    const auto state = [&](int i) {
      return kept_.get(be, static_cast<std::size_t>(i), Z.rows(), Z.cols());
    };
    if (p_ == 1) return basin::vjp(be, f_, Z, U, JtU);
    evaluate(be, f_, Z, state(1));
    for (int i = 2; i < p_; ++i) evaluate(be, f_, state(i - 1), state(i));
    typename B::view direction = state(0);
    basin::vjp(be, f_, state(p_ - 1), U, JtU);
    for (int i = p_ - 2; i >= 0; --i) {
      copy(be, JtU, direction);
      if (i > 0) {
        basin::vjp(be, f_, state(i), direction, JtU);
      } else {
        basin::vjp(be, f_, Z, direction, JtU);
      }
    }
  }

 private:
  F f_;
  int p_;
  Workspace kept_;
};

/// z -> f(f(... f(z))), p times.
/// @throws argument_error unless p >= 1
template <class F>
[[nodiscard]] Power<std::decay_t<F>> power(F&& f, int p) {
  return {std::forward<F>(f), p};
}

}  // namespace basin
