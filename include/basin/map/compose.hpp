/// @file
/// The composition of two maps, such as an encoder after a decoder.
#pragma once

#include <type_traits>
#include <utility>

#include <basin/map/concept.hpp>
#include <basin/map/derivative.hpp>
#include <basin/map/workspace.hpp>

namespace basin {

/// f(z) = E(D(z)): the inner map D first, as E∘D is written. The rows between the
/// two are those that D gives or E takes; where neither says, they are those of z.
///
/// Has jvp and vjp where both maps do. Cost: that of both; a matrix between them (two
/// with derivatives) is kept.
template <class Outer, class Inner>
class Composed {
 public:
  static constexpr bool batch_coupled = is_batch_coupled<Outer> || is_batch_coupled<Inner>;
  static constexpr bool copies_run_apart =
      basin::copies_run_apart<Outer> && basin::copies_run_apart<Inner>;

  /// @throws size_error if D gives other rows than E takes
  Composed(Outer outer, Inner inner) : outer_(std::move(outer)), inner_(std::move(inner)) {
    const index_t given = basin::output_dimension(inner_);
    const index_t taken = basin::dimension(outer_);
    if (given >= 0 && taken >= 0) {
      require_size("compose", "number of rows that the inner map gives", given, taken);
    }
  }

  [[nodiscard]] index_t dimension() const {
    const index_t k = basin::dimension(inner_);
    return k >= 0 || basin::output_dimension(inner_) >= 0 ? k : basin::dimension(outer_);
  }
  [[nodiscard]] index_t output_dimension() const {
    const index_t k = basin::output_dimension(outer_);
    return k >= 0 || basin::dimension(outer_) >= 0 ? k : basin::output_dimension(inner_);
  }
  [[nodiscard]] Outer& outer() noexcept { return outer_; }
  [[nodiscard]] Inner& inner() noexcept { return inner_; }

  template <class B>
    requires latent_map<Outer, B> && latent_map<Inner, B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) {
    typename B::view between = between_rows(be, 0, Z);
    evaluate(be, inner_, Z, between);
    evaluate(be, outer_, between, out);
  }
  template <class B>
    requires has_jvp<Outer, B> && has_jvp<Inner, B>
  void jvp(const B& be, const typename B::const_view& Z, const typename B::const_view& V,
           typename B::view JV) {
    typename B::view between = between_rows(be, 0, Z);
    typename B::view direction = between_rows(be, 1, Z);
    evaluate(be, inner_, Z, between);
    basin::jvp(be, inner_, Z, V, direction);
    basin::jvp(be, outer_, between, direction, JV);
  }
  template <class B>
    requires has_vjp<Outer, B> && has_vjp<Inner, B>
  void vjp(const B& be, const typename B::const_view& Z, const typename B::const_view& U,
           typename B::view JtU) {
    typename B::view between = between_rows(be, 0, Z);
    typename B::view direction = between_rows(be, 1, Z);
    evaluate(be, inner_, Z, between);
    basin::vjp(be, outer_, between, U, direction);
    basin::vjp(be, inner_, Z, direction, JtU);
  }

 private:
  template <class B>
  typename B::view between_rows(const B& be, std::size_t slot, const typename B::const_view& Z) {
    index_t rows = basin::output_dimension(inner_);
    if (rows < 0) rows = basin::dimension(outer_);
    if (rows < 0) rows = static_cast<index_t>(Z.rows());
    return kept_.get(be, slot, rows, static_cast<index_t>(Z.cols()));
  }

  Outer outer_;
  Inner inner_;
  Workspace kept_;
};

/// E∘D: z -> E(D(z)).
/// @throws size_error if D gives other rows than E takes
template <class Outer, class Inner>
[[nodiscard]] Composed<std::decay_t<Outer>, std::decay_t<Inner>> compose(Outer&& outer,
                                                                         Inner&& inner) {
  return {std::forward<Outer>(outer), std::forward<Inner>(inner)};
}

/// The composition of several maps; the last is applied first.
template <class Outer, class Next, class... Rest>
  requires(sizeof...(Rest) >= 1)
[[nodiscard]] auto compose(Outer&& outer, Next&& next, Rest&&... rest) {
  return compose(std::forward<Outer>(outer),
                 compose(std::forward<Next>(next), std::forward<Rest>(rest)...));
}

}  // namespace basin
