/// @file
/// Layers in a row, known when compiling.
#pragma once

#include <string>
#include <tuple>
#include <utility>

#include <basin/nn/chain.hpp>

namespace basin {

/// The layers one after the other, the first applied first. Parameters are named
/// "0.weight" and so on, as in PyTorch's Sequential.
template <layer First, layer... Rest>
  requires(... && std::is_same_v<typename First::scalar, typename Rest::scalar>)
class Sequential : public LayerChain<Sequential<First, Rest...>, typename First::scalar> {
 public:
  /// @throws size_error unless each layer takes what the one before it gives
  explicit Sequential(First first, Rest... rest) : layers_(std::move(first), std::move(rest)...) {
    this->require_fit("sequential");
  }

  [[nodiscard]] index_t depth() const noexcept { return 1 + sizeof...(Rest); }
  [[nodiscard]] std::string layer_name(index_t i) const { return std::to_string(i); }
  template <std::size_t I>
  [[nodiscard]] const auto& get() const noexcept {
    return std::get<I>(layers_);
  }

  template <class F>
  decltype(auto) visit(index_t i, F&& f) const {
    return visit_from<0>(layers_, i, f);
  }
  template <class F>
  decltype(auto) visit(index_t i, F&& f) {
    return visit_from<0>(layers_, i, f);
  }

 private:
  template <std::size_t I, class Tuple, class F>
  static decltype(auto) visit_from(Tuple& layers, index_t i, F& f) {
    if constexpr (I + 1 < std::tuple_size_v<std::remove_const_t<Tuple>>) {
      if (i != static_cast<index_t>(I)) return visit_from<I + 1>(layers, i, f);
    }
    return f(std::get<I>(layers));
  }

  std::tuple<First, Rest...> layers_;
};

/// @throws size_error unless each layer takes what the one before it gives
template <layer... Layers>
[[nodiscard]] Sequential<Layers...> sequential(Layers... layers) {
  return Sequential<Layers...>(std::move(layers)...);
}

}  // namespace basin
