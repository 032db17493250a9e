/// @file
/// The layers of a network before there is one: what parameters it will have can be said,
/// and held against a file, before anything is allocated.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/model/activation.hpp>
#include <basin/nn/autoencoder.hpp>
#include <basin/nn/linear_layer.hpp>
#include <basin/nn/network.hpp>
#include <basin/nn/tensor_shape.hpp>

namespace basin {

/// What a layer does.
enum class layer_kind { dense, convolution, transposed_convolution, activation };

/// A layer that is to be.
struct layer_plan {
  std::string name;  ///< what the names of its parameters begin with
  layer_kind kind = layer_kind::dense;
  tensor_shape from = {};
  tensor_shape to = {};
  convolution_options options = {};  ///< of a dense layer, only whether it has a bias
  any_activation function = {};      ///< of an activation
};

/// The layers of an autoencoder that is to be.
struct autoencoder_plan {
  std::vector<layer_plan> encoder = {};
  std::vector<layer_plan> decoder = {};
  bool tied = false;
};

/// The name and shape of a parameter, as in a PyTorch state dict.
struct parameter_shape {
  std::string name;
  std::vector<index_t> shape;
};

/// The parameters of the autoencoder, in the order and with the names of
/// Autoencoder::parameters(). Cost: that of the list; no parameter is allocated.
[[nodiscard]] inline std::vector<parameter_shape> parameter_shapes(const autoencoder_plan& plan) {
  std::vector<parameter_shape> all;
  const auto add = [&](const std::vector<layer_plan>& half, const std::string& prefix) {
    for (const layer_plan& one : half) {
      if (one.kind == layer_kind::activation) continue;
      const bool is_dense = one.kind == layer_kind::dense;
      const auto [kernel, stride, padding, output_padding, bias] = one.options;
      std::vector<index_t> weight{one.to.size(), one.from.size()};
      if (!is_dense) {
        weight = {one.to.channels, one.from.channels, kernel.height, kernel.width};
        if (one.kind == layer_kind::transposed_convolution) std::swap(weight[0], weight[1]);
      }
      const std::string name = prefix + one.name;
      all.push_back({name + ".weight", std::move(weight)});
      if (bias) all.push_back({name + ".bias", {is_dense ? one.to.size() : one.to.channels}});
    }
  };
  add(plan.encoder, "enc.");
  add(plan.decoder, "dec.");
  return all;
}

/// The network, with all parameters zero.
/// @throws size_error unless each layer takes what the one before it gives
/// @throws argument_error if a layer cannot be as it is planned
template <class Scalar>
[[nodiscard]] Network<Scalar> build_network(const std::vector<layer_plan>& plan) {
  Network<Scalar> network;
  for (const layer_plan& one : plan) {
    const auto layer = [&]() -> AnyLayer<Scalar> {
      switch (one.kind) {
        case layer_kind::dense:
          return dense<Scalar>(one.from, one.to, one.options.bias);
        case layer_kind::convolution:
          return convolution<Scalar>(one.from, one.to.channels, one.options);
        case layer_kind::transposed_convolution:
          return transposed_convolution<Scalar>(one.from, one.to.channels, one.options);
        case layer_kind::activation:
          break;
      }
      return activation_layer<Scalar>(one.from, one.function);
    };
    network.add(layer(), one.name);
  }
  return network;
}

/// The autoencoder, with all parameters zero: see Autoencoder::initialize.
/// @throws size_error, argument_error see build_network and Autoencoder
template <class Scalar>
[[nodiscard]] Autoencoder<Scalar> build_autoencoder(const autoencoder_plan& plan) {
  return {build_network<Scalar>(plan.encoder), build_network<Scalar>(plan.decoder), plan.tied};
}

}  // namespace basin
