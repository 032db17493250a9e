/// @file
/// A callable together with its dimension.
#pragma once

#include <utility>

#include <basin/map/concept.hpp>

namespace basin {

/// A callable in any of the forms of map/concept.hpp, with the numbers of rows
/// that it takes and gives.
template <class F>
class FunctionMap {
 public:
  FunctionMap(index_t k, index_t rows_out, F f)
      : dimension_(k), output_dimension_(rows_out), f_(std::move(f)) {
    require(k >= 1 && rows_out >= 1, "function_map", "dimensions must be at least 1");
  }

  [[nodiscard]] index_t dimension() const noexcept { return dimension_; }
  [[nodiscard]] index_t output_dimension() const noexcept { return output_dimension_; }
  static constexpr bool batch_coupled = is_batch_coupled<F>;

  /// out = f(Z).
  template <class B>
    requires latent_map<F, B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) {
    evaluate(be, f_, Z, out);
  }
  template <class B>
    requires has_jvp<F, B>
  void jvp(const B& be, const typename B::const_view& Z, const typename B::const_view& V,
           typename B::view JV) {
    f_.jvp(be, Z, V, JV);
  }
  template <class B>
    requires has_vjp<F, B>
  void vjp(const B& be, const typename B::const_view& Z, const typename B::const_view& U,
           typename B::view JtU) {
    f_.vjp(be, Z, U, JtU);
  }

 private:
  index_t dimension_;
  index_t output_dimension_;
  F f_;
};

/// A map of R^k from any callable.
/// @throws argument_error unless k >= 1
template <class F>
[[nodiscard]] FunctionMap<std::decay_t<F>> function_map(index_t k, F&& f) {
  return {k, k, std::forward<F>(f)};
}

/// A map from R^k to R^rows_out: an encoder or a decoder, for `compose`.
template <class F>
[[nodiscard]] FunctionMap<std::decay_t<F>> function_map(index_t k, index_t rows_out, F&& f) {
  return {k, rows_out, std::forward<F>(f)};
}

/// A map whose answer for one column depends on the others of its batch (batch
/// statistics, say). The solver then keeps the batch together.
template <class F>
class BatchCoupled {
 public:
  static constexpr bool batch_coupled = true;
  explicit BatchCoupled(F f) : f_(std::move(f)) {}

  [[nodiscard]] index_t dimension() const { return basin::dimension(f_); }
  template <class B>
    requires latent_map<F, B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) {
    evaluate(be, f_, Z, out);
  }

 private:
  F f_;
};

/// Declares that f couples the columns of a batch.
template <class F>
[[nodiscard]] BatchCoupled<std::decay_t<F>> batch_coupled(F&& f) {
  return BatchCoupled<std::decay_t<F>>(std::forward<F>(f));
}

}  // namespace basin
