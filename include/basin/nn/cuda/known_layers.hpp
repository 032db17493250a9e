/// @file
/// The library's layers by their types, and how one behind an AnyLayer is found.
#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <typeinfo>

#include <basin/nn/cuda/device_layer.hpp>
#include <basin/nn/cuda/elementwise.hpp>
#include <basin/nn/cuda/linear_layer.hpp>
#include <basin/nn/cuda/network.hpp>
#include <basin/nn/cuda/normalization.hpp>
#include <basin/nn/cuda/pooling.hpp>
#include <basin/nn/cuda/reshape.hpp>
#include <basin/nn/cuda/residual.hpp>
#include <basin/nn/cuda/upsampling.hpp>
#include <basin/nn/network.hpp>

namespace basin::detail {

template <class... Layers>
struct layer_list {};

/// What a network that is put together when running may hold. Layers whose types are known when
/// compiling, such as those of a Sequential, need not be here.
template <class Scalar>
using library_layers = layer_list<
    LinearLayer<Scalar>, Elementwise<Scalar, relu_function>,
    Elementwise<Scalar, leaky_relu_function>, Elementwise<Scalar, elu_function>,
    Elementwise<Scalar, silu_function>, Elementwise<Scalar, gelu_function>,
    Elementwise<Scalar, gelu_tanh_function>, Elementwise<Scalar, tanh_function>,
    Elementwise<Scalar, sigmoid_function>, Elementwise<Scalar, softplus_function>,
    Elementwise<Scalar, identity_function>, Elementwise<Scalar, exp_function>, MaxPooling<Scalar>,
    AveragePooling<Scalar>, NearestUpsampling<Scalar>, Reshape<Scalar>, FirstRows<Scalar>,
    BatchNorm<Scalar>, GroupNorm<Scalar>, Network<Scalar>, Residual<Network<Scalar>>,
    Residual<Network<Scalar>, Network<Scalar>>, Residual<Network<Scalar>, LinearLayer<Scalar>>,
    Residual<Network<Scalar>, AnyLayer<Scalar>>, Residual<AnyLayer<Scalar>>,
    Residual<AnyLayer<Scalar>, AnyLayer<Scalar>>>;

/// "name (type)".
template <class Known>
[[nodiscard]] std::string described(const Known& known, const char* type) {
  return "layer " + (known.path.empty() ? std::string() : known.path + " ") + "of type " + type;
}

/// f(what the layer holds), if that is one of the list.
template <class Scalar, class F, class... Layers>
[[nodiscard]] bool with_held([[maybe_unused]] const AnyLayer<Scalar>& any, layer_list<Layers...>,
                             const F& f) {
  [[maybe_unused]] const auto attempt = [&](const auto* held) {
    if (held == nullptr) return false;
    f(*held);
    return true;
  };
  return (attempt(any.template get_if<Layers>()) || ...);
}
/// f(what the layer holds).
/// @throws argument_error that names the layer if its type is not known
template <class Scalar, class F, class... Also>
void with_known(const AnyLayer<Scalar>& any, const known_layers<Also...>& known, const F& f) {
  if (with_held(any, layer_list<Also...>(), f) || with_held(any, library_layers<Scalar>(), f)) {
    return;
  }
  throw argument_error("on_device: " + described(known, any.type_name()) +
                       " has no form on a device, or was not named to on_device");
}

template <class Scalar, class L, class Known>
std::unique_ptr<DeviceLayer<Scalar>> make_device_layer(const cuda<Scalar>& be, const L& l,
                                                       const Known& known) {
  if constexpr (std::is_same_v<L, AnyLayer<Scalar>>) {
    std::unique_ptr<DeviceLayer<Scalar>> made;
    with_known(l, known, [&](const auto& held) { made = make_device_layer(be, held, known); });
    return made;
  } else if constexpr (requires { typename device_form<L>::type; }) {
    using form = typename device_form<L>::type;
    if constexpr (std::is_constructible_v<form, const cuda<Scalar>&, const L&, const Known&>) {
      return std::make_unique<form>(be, l, known);
    } else {
      return std::make_unique<form>(be, l);
    }
  } else {
    throw argument_error("on_device: " + described(known, typeid(L).name()) +
                         " has no form on a device");
  }
}

template <class Scalar, class L, class Known>
void update_device_layer(const cuda<Scalar>& be, DeviceLayer<Scalar>& on_device, const L& l,
                         const Known& known) {
  if constexpr (std::is_same_v<L, AnyLayer<Scalar>>) {
    with_known(l, known,
               [&](const auto& held) { update_device_layer(be, on_device, held, known); });
  } else if constexpr (requires { typename device_form<L>::type; }) {
    using form = typename device_form<L>::type;
    const auto name = [&] { return "update: " + described(known, typeid(L).name()); };
    form* const same = dynamic_cast<form*>(&on_device);
    if (same == nullptr) {
      throw argument_error(name() + " is another one than that on the device");
    }
    if (l.input_shape() != on_device.input_shape() ||
        l.output_shape() != on_device.output_shape()) {
      throw size_error(name() + " takes " + to_string(l.input_shape()) + " and gives " +
                       to_string(l.output_shape()) + ", that on the device takes " +
                       to_string(on_device.input_shape()) + " and gives " +
                       to_string(on_device.output_shape()));
    }
    if constexpr (requires { same->update(be, l, known); }) {
      same->update(be, l, known);
    } else if constexpr (requires { same->update(be, l); }) {
      same->update(be, l);
    } else {
      *same = form(be, l);
    }
  } else {
    throw argument_error("update: " + described(known, typeid(L).name()) +
                         " has no form on a device");
  }
}

}  // namespace basin::detail
