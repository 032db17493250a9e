/// @file
/// A map that counts how often it is called.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include <basin/map/concept.hpp>
#include <basin/map/derivative.hpp>

namespace basin {

/// What a counted map has been asked. A column is one state of a batch.
struct map_counts {
  index_t calls = 0;        ///< evaluations of batches
  index_t columns = 0;      ///< evaluations of states
  index_t jvp_columns = 0;  ///< Jacobian-vector products of states
  index_t vjp_columns = 0;  ///< products with the transposed Jacobian
};

/// f, with counters that all copies share, so that they can be read outside a solver
/// that holds a copy. Not for calls from several threads at once.
template <class F>
class Counted {
 public:
  static constexpr bool batch_coupled = is_batch_coupled<F>;

  explicit Counted(F f) : f_(std::move(f)), counts_(std::make_shared<map_counts>()) {}

  [[nodiscard]] index_t dimension() const { return basin::dimension(f_); }
  [[nodiscard]] index_t output_dimension() const { return basin::output_dimension(f_); }
  [[nodiscard]] const map_counts& counts() const noexcept { return *counts_; }
  void reset() noexcept { *counts_ = {}; }

  template <class B>
    requires latent_map<F, B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) {
    ++counts_->calls;
    counts_->columns += static_cast<index_t>(Z.cols());
    evaluate(be, f_, Z, out);
  }
  template <class B>
    requires has_jvp<F, B>
  void jvp(const B& be, const typename B::const_view& Z, const typename B::const_view& V,
           typename B::view JV) {
    counts_->jvp_columns += static_cast<index_t>(Z.cols());
    basin::jvp(be, f_, Z, V, JV);
  }
  template <class B>
    requires has_vjp<F, B>
  void vjp(const B& be, const typename B::const_view& Z, const typename B::const_view& U,
           typename B::view JtU) {
    counts_->vjp_columns += static_cast<index_t>(Z.cols());
    basin::vjp(be, f_, Z, U, JtU);
  }

 private:
  F f_;
  std::shared_ptr<map_counts> counts_;
};

/// A map that counts its evaluations, and otherwise is f.
template <class F>
[[nodiscard]] Counted<std::decay_t<F>> with_counter(F&& f) {
  return Counted<std::decay_t<F>>(std::forward<F>(f));
}

}  // namespace basin
