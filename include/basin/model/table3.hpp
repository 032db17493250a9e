/// @file
/// The convolutional autoencoder of the paper's Table 3 (Fumero et al., 2025).
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <variant>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/model/activation.hpp>
#include <basin/model/plan.hpp>
#include <basin/nn/autoencoder.hpp>

namespace basin {

/// What Table 3's autoencoder may vary in.
struct table3_options {
  /// Channels, height and width of an image; height and width are multiples of 16, and
  /// smaller images are padded before (to_matrix of io/image.hpp).
  tensor_shape image = {1, 32, 32};
  index_t width = 32;  ///< d, the channels behind the first convolution
  index_t latent = 2;  ///< k, the size of a code
  any_activation activation = relu_function{};
  /// Without biases and with an activation of degree 1 (relu, leaky_relu) the maps are
  /// homogeneous, f(cz) = c f(z) for c > 0: every nonzero fixed point lies on a ray of them.
  bool bias = true;
  bool tied = false;  ///< the decoder's weights are the encoder's, see Autoencoder
  /// Of the code: none in the paper; sigmoid for `sparse_kl`, relu for `sparse_l1`.
  any_activation code_activation = identity_function{};
  /// The encoder gives k means and k logarithms of variances, see Autoencoder.
  bool variational = false;

  /// @throws argument_error that names the setting and, for an image of another size, the
  ///   size to pad it to
  void check() const {
    require_shape("table3: image", image);
    const auto padded = [](index_t size) { return (size + 15) / 16 * 16; };
    if (image.height % 16 != 0 || image.width % 16 != 0) {
      throw argument_error("table3: the image is " + to_string(image) +
                           ", height and width must be multiples of 16: pad it to " +
                           std::to_string(padded(image.height)) + " x " +
                           std::to_string(padded(image.width)));
    }
    constexpr index_t most = index_t{1} << 40;
    const auto in_range = [](const char* name, index_t value) {
      require(value >= 1 && value <= most, "table3",
              std::string(name) + " is " + std::to_string(value) +
                  ", must be at least 1 and at most 2^40");
    };
    in_range("width", width);
    in_range("latent", latent);
    require_shape("table3: features", features());
    require_activation("table3", activation);
    require_activation("table3: code_activation", code_activation);
    require(!variational || !has_code_activation(), "table3",
            "a variational code has no activation");
    require(!variational || !tied, "table3", "the weights of a variational model cannot be tied");
  }

  [[nodiscard]] bool has_code_activation() const noexcept {
    return !std::holds_alternative<identity_function>(code_activation);
  }

  /// Shape between the convolutions and the dense layers: 8 d channels of H/16 × W/16.
  [[nodiscard]] tensor_shape features() const noexcept {
    return {8 * width, image.height / 16, image.width / 16};
  }
};

/// The layers by the numbers that they have in PyTorch's
///
///   enc  Sequential(Conv, act, Conv, act, Conv, act, Conv, act, Flatten, Linear)
///   dec  Sequential(Linear, Unflatten, act, ConvT, act, ConvT, act, ConvT, act, ConvT)
///
/// of which Flatten and Unflatten are not needed here. Convolutions double the channels,
/// from d to 8 d, and halve the image (kernel 3, stride 2, padding 1); transposed ones
/// (output padding 1) do the reverse. No activation follows the last layer of either half,
/// but for a code_activation.
/// @throws argument_error see table3_options::check
[[nodiscard]] inline autoencoder_plan plan(const table3_options& options) {
  options.check();
  const tensor_shape code{options.latent, 1, 1};
  std::array<tensor_shape, 5> scale{options.image};  // of the image, then halved four times
  for (std::size_t i = 1; i < scale.size(); ++i) {
    scale[i] = {options.width << (i - 1), scale[i - 1].height / 2, scale[i - 1].width / 2};
  }
  const convolution_options halving{.kernel = 3, .stride = 2, .padding = 1, .bias = options.bias};
  const convolution_options doubling{
      .kernel = 3, .stride = 2, .padding = 1, .output_padding = 1, .bias = options.bias};
  const auto activation = [&](std::size_t number, const tensor_shape& shape) {
    return layer_plan{.name = std::to_string(number),
                      .kind = layer_kind::activation,
                      .from = shape,
                      .to = shape,
                      .function = options.activation};
  };
  autoencoder_plan plan{.tied = options.tied};
  for (std::size_t i = 0; i < 4; ++i) {
    plan.encoder.push_back({.name = std::to_string(2 * i),
                            .kind = layer_kind::convolution,
                            .from = scale[i],
                            .to = scale[i + 1],
                            .options = halving});
    plan.encoder.push_back(activation(2 * i + 1, scale[i + 1]));
  }
  const tensor_shape head{options.variational ? 2 * options.latent : options.latent, 1, 1};
  plan.encoder.push_back({.name = "9", .from = scale[4], .to = head, .options = halving});
  if (options.has_code_activation()) {
    plan.encoder.push_back({.name = "10",
                            .kind = layer_kind::activation,
                            .from = code,
                            .to = code,
                            .function = options.code_activation});
  }
  plan.decoder.push_back({.name = "0", .from = code, .to = scale[4], .options = halving});
  for (std::size_t i = 0; i < 4; ++i) {
    plan.decoder.push_back(activation(2 * i + 2, scale[4 - i]));
    plan.decoder.push_back({.name = std::to_string(2 * i + 3),
                            .kind = layer_kind::transposed_convolution,
                            .from = scale[4 - i],
                            .to = scale[3 - i],
                            .options = doubling});
  }
  return plan;
}

/// Table 3's autoencoder with all parameters zero: `initialize(seed)` gives it PyTorch's
/// initial ones, load_model (model/model_file.hpp) those of a file. Parameters are named as
/// in the state dict of PyTorch's modules, see plan: enc.0, enc.2, enc.4, enc.6, enc.9;
/// dec.0, dec.3, dec.5, dec.7, dec.9, each with ".weight" and ".bias".
///
/// Cost of f = E∘D: about (13.5 d² + 9 C d + d k / 8) H W flops a state, 15.0 million for d = 32,
/// k = 128 and images of 1 × 32 × 32. Parameters: 9 (C d + 42 d²) weights in the convolutions
/// of each half, d k H W / 32 in each dense layer, and the biases.
///
/// @code
/// #include <iostream>
///
/// #include <basin/model/table3.hpp>
/// #include <basin/solver/fixed_point_solver.hpp>
///
/// int main() {
///   auto autoencoder = basin::table3<float>({.image = {1, 32, 32}, .width = 8, .latent = 2});
///   autoencoder.initialize(1);
///   basin::FixedPointSolver solver{autoencoder.latent_map(), basin::picard{},
///                                  basin::paper_small()};
///   const auto found = solver.solve(Eigen::MatrixXf::Random(2, 100).eval());
///   std::cout << found.count(basin::status::converged) << " of 100 starts converged\n";
/// }
/// @endcode
/// @throws argument_error see table3_options::check
template <class Scalar>
[[nodiscard]] Autoencoder<Scalar> table3(const table3_options& options = {}) {
  return build_autoencoder<Scalar>(plan(options));
}

}  // namespace basin
