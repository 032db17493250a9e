/// @file
/// The fully connected autoencoder.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/model/activation.hpp>
#include <basin/model/plan.hpp>
#include <basin/nn/autoencoder.hpp>

namespace basin {

/// What a fully connected autoencoder may vary in.
struct fully_connected_options {
  tensor_shape image = {1, 28, 28};     ///< {n} for vectors of size n
  std::vector<index_t> hidden = {128};  ///< widths from the image to the code; reversed behind it
  index_t latent = 2;                   ///< k, the size of a code
  any_activation activation = relu_function{};            ///< between layers
  any_activation code_activation = identity_function{};   ///< behind the encoder; identity: none
  any_activation image_activation = identity_function{};  ///< behind the decoder; identity: none
  bool bias = true;
  bool tied = false;  ///< the decoder's weights are the encoder's, see Autoencoder

  /// @throws argument_error that names the setting and its value
  void check() const {
    require_shape("fully_connected: image", image);
    for (const index_t width : hidden) require_shape("fully_connected: hidden", {width, 1, 1});
    require_shape("fully_connected: latent", {latent, 1, 1});
    for (const any_activation& one : {activation, code_activation, image_activation}) {
      require_activation("fully_connected", one);
    }
  }
};

/// The layers of each half by the numbers that they have in PyTorch's
/// Sequential(Linear, act, Linear, act, …, Linear), and the last activation, where there is
/// one, behind.
/// @throws argument_error see fully_connected_options::check
[[nodiscard]] inline autoencoder_plan plan(const fully_connected_options& options) {
  options.check();
  std::vector<tensor_shape> shapes{options.image};
  for (const index_t width : options.hidden) shapes.push_back({width, 1, 1});
  shapes.push_back({options.latent, 1, 1});
  const auto half = [&](const std::vector<tensor_shape>& sizes, const any_activation& last) {
    std::vector<layer_plan> layers;
    for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
      const bool is_last = i + 2 == sizes.size();
      layers.push_back({.name = std::to_string(layers.size()),
                        .from = sizes[i],
                        .to = sizes[i + 1],
                        .options = {.bias = options.bias}});
      if (is_last && std::holds_alternative<identity_function>(last)) break;
      layers.push_back({.name = std::to_string(layers.size()),
                        .kind = layer_kind::activation,
                        .from = sizes[i + 1],
                        .to = sizes[i + 1],
                        .function = is_last ? last : options.activation});
    }
    return layers;
  };
  return {half(shapes, options.code_activation),
          half({shapes.rbegin(), shapes.rend()}, options.image_activation), options.tied};
}

/// A fully connected autoencoder with all parameters zero, see Autoencoder::initialize.
/// Parameters are named as in PyTorch's state dict: enc.0.weight, enc.0.bias, enc.2.weight, …
///
/// With hidden = {} and tied weights J_F is symmetric, and f has real eigenvalues.
/// Cost: 2 flops a weight and state.
/// @throws argument_error see fully_connected_options::check
template <class Scalar>
[[nodiscard]] Autoencoder<Scalar> fully_connected(const fully_connected_options& options = {}) {
  return build_autoencoder<Scalar>(plan(options));
}

}  // namespace basin
