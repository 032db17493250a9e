/// @file
/// The activation of a network, chosen when running.
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

#include <basin/backend/functors.hpp>
#include <basin/core/error.hpp>
#include <basin/nn/elementwise.hpp>
#include <basin/nn/network.hpp>

namespace basin {

/// An activation by value: a functor of backend/functors.hpp with its parameter, e.g.
/// `relu_function{}`, which is the default, or `leaky_relu_function{.slope = 0.2}`.
using any_activation = std::variant<relu_function, leaky_relu_function, elu_function, silu_function,
                                    gelu_function, gelu_tanh_function, tanh_function,
                                    sigmoid_function, softplus_function, identity_function>;

namespace detail {

/// In the order of any_activation.
inline constexpr std::array<std::string_view, std::variant_size_v<any_activation>> activation_names{
    "relu",      "leaky_relu", "elu",     "silu",     "gelu",
    "gelu_tanh", "tanh",       "sigmoid", "softplus", "identity"};

/// The parameter of an activation, or null.
template <class Activation>
[[nodiscard]] auto* parameter_of(Activation& a) {
  using number = std::conditional_t<std::is_const_v<Activation>, const double, double>;
  return std::visit(
      [](auto& function) -> number* {
        if constexpr (requires { function.slope; }) {
          return &function.slope;
        } else if constexpr (requires { function.alpha; }) {
          return &function.alpha;
        } else {
          return nullptr;
        }
      },
      a);
}

/// any_activation's alternative of this number.
[[nodiscard]] inline any_activation activation_number(std::size_t i) {
  any_activation found;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((i == I ? void(found.emplace<I>()) : void()), ...);
  }(std::make_index_sequence<std::variant_size_v<any_activation>>{});
  return found;
}

}  // namespace detail

/// The name and, behind a colon, the parameter: "relu", "leaky_relu:0.01", "elu:0.7".
/// parse_activation reads it back to the same bits.
[[nodiscard]] inline std::string to_string(const any_activation& a) {
  std::string text(detail::activation_names[a.index()]);
  if (const double* parameter = detail::parameter_of(a)) {
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), *parameter);
    text += ':';
    text.append(digits.data(), end.ptr);
  }
  return text;
}

/// Throws `argument_error` unless the parameter is finite, and a slope at least 0.
inline void require_activation(std::string_view where, const any_activation& a) {
  if (const double* parameter = detail::parameter_of(a)) {
    const bool is_slope = std::holds_alternative<leaky_relu_function>(a);
    require(std::isfinite(*parameter) && (!is_slope || *parameter >= 0), where,
            to_string(a) + (is_slope ? ": the slope must be finite and at least 0"
                                     : ": alpha must be finite"));
  }
}

/// The activation that a text names: relu, leaky_relu, elu, silu, gelu, gelu_tanh, tanh,
/// sigmoid, softplus or identity. The slope of leaky_relu (0.01 unless given) and the alpha
/// of elu (1) may follow behind a colon: "leaky_relu:0.2".
/// @throws argument_error that lists the names, for any other text; for a slope that is
///   negative or not finite, or an alpha that is not finite
[[nodiscard]] inline any_activation parse_activation(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  for (std::size_t i = 0; i < detail::activation_names.size(); ++i) {
    if (detail::activation_names[i] != name) continue;
    any_activation found = detail::activation_number(i);
    if (colon == std::string_view::npos) return found;
    double* const parameter = detail::parameter_of(found);
    if (parameter == nullptr) break;
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), *parameter);
    if (failure != std::errc{} || end != digits.data() + digits.size()) break;
    require_activation("parse_activation", found);
    return found;
  }
  std::string message = "'" + std::string(text.substr(0, 100)) + "' is not an activation, expected";
  const char* separator = " ";
  for (const std::string_view one : detail::activation_names) {
    message += std::exchange(separator, ", ") + std::string(one);
    if (one == "leaky_relu") message += "[:slope]";
    if (one == "elu") message += "[:alpha]";
  }
  throw argument_error("parse_activation: " + message);
}

/// The activation as a layer for states of this shape.
/// @throws argument_error for a parameter out of range, see parse_activation
template <class Scalar>
[[nodiscard]] AnyLayer<Scalar> activation_layer(const tensor_shape& shape,
                                                const any_activation& a) {
  require_activation("activation_layer", a);
  return std::visit(
      [&]<class Function>(const Function& function) -> AnyLayer<Scalar> {
        return Elementwise<Scalar, Function>(shape, function);
      },
      a);
}

}  // namespace basin
