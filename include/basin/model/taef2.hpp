/// @file
/// TAEF2, a tiny pretrained autoencoder for the latent space of FLUX.2 (Bohan, madebyollin/taesd,
/// MIT licence): a model of natural images whose map wanders for long.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <basin/core/error.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/io/byte_source.hpp>
#include <basin/io/safetensors.hpp>
#include <basin/nn/autoencoder.hpp>
#include <basin/nn/elementwise.hpp>
#include <basin/nn/linear_layer.hpp>
#include <basin/nn/network.hpp>
#include <basin/nn/normalization.hpp>
#include <basin/nn/residual.hpp>
#include <basin/nn/tensor_shape.hpp>
#include <basin/nn/upsampling.hpp>

namespace basin {

/// 3 tanh(x / 3): about x where that is small, and never beyond ±3.
struct soft_clamp_function {
  static constexpr bool by_value = true;
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    using std::tanh;
    return T(3) * T(tanh(x / T(3)));
  }
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T&, const T& y) const {
    return T(1) - y / T(3) * (y / T(3));
  }
  /// @copydoc tanh_function::second_derivative
  template <class T>
  BASIN_HOST_DEVICE T second_derivative(const T& x, const T& y) const {
    return T(-2) / T(9) * y * derivative(x, y);
  }
};

namespace detail {

/// The network of TAEF2's halves, layer by layer, with the names of its files.
template <class Scalar>
class Taef2Builder {
 public:
  explicit Taef2Builder(const tensor_shape& from) : shape_(from) {}

  Taef2Builder& convolve(index_t channels, extent stride = 1, bool bias = true) {
    add(convolution<Scalar>(shape_, channels,
                            {.kernel = 3, .stride = stride, .padding = 1, .bias = bias}));
    return *this;
  }
  /// relu(c(y) + y) of three convolutions c, where y is x, or x + pool(x) with a group norm.
  Taef2Builder& blocks(int count, bool pooled = false) {
    for (int i = 0; i < count; ++i, ++number_) {
      const std::string name = std::to_string(number_);
      const index_t channels = shape_.channels;
      if (pooled) {
        const convolution_options pixelwise{.kernel = 1, .bias = false};
        const tensor_shape wide{4 * channels, shape_.height, shape_.width};
        Network<Scalar> pool;
        pool.add(convolution<Scalar>(shape_, wide.channels, pixelwise), "0");
        pool.add(group_norm<Scalar>(wide, 4), "1");
        pool.add(Elementwise<Scalar, relu_function>(wide), "2");
        pool.add(convolution<Scalar>(wide, channels, pixelwise), "3");
        network_.add(residual(std::move(pool)), name + ".pool");
      }
      Network<Scalar> body;
      for (const char* place : {"0", "2", "4"}) {
        if (body.depth() > 0) body.add(Elementwise<Scalar, relu_function>(shape_));
        body.add(convolution<Scalar>(shape_, channels, {.kernel = 3, .padding = 1}), place);
      }
      network_.add(residual(std::move(body)), name + ".conv");
      network_.add(Elementwise<Scalar, relu_function>(shape_), name + ".fuse");
    }
    return *this;
  }
  Taef2Builder& upsample() {
    add(nearest_upsampling<Scalar>(shape_, 2));
    return *this;
  }
  template <class Function>
  Taef2Builder& apply(Function function) {
    add(Elementwise<Scalar, Function>(shape_, function));
    return *this;
  }

  /// With the numbers of a file, which must have all of them and no others.
  [[nodiscard]] Network<Scalar> load(ByteSource source) {
    const SafetensorsFile file(std::move(source));
    std::vector<std::string> known;
    for (const parameter<Scalar>& one : network_.parameters()) {
      std::string name = one.name;  // a residual's layers are those of its body
      if (const auto body = name.find(".body."); body != std::string::npos) name.erase(body, 5);
      file.read<Scalar>(name, one.shape,
                        std::span(one.values.data, static_cast<std::size_t>(one.values.size)));
      known.push_back(std::move(name));
    }
    for (const std::string& name : file.names()) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        file.refuse(name, "no part of this half of TAEF2");
      }
    }
    network_.parameters_changed(nullptr);
    return std::move(network_);
  }

 private:
  void add(AnyLayer<Scalar> layer) {
    shape_ = layer.output_shape();
    network_.add(std::move(layer), std::to_string(number_++));
  }

  tensor_shape shape_;
  int number_ = 0;
  Network<Scalar> network_;
};

}  // namespace detail

/// TAEF2 for images of a size: three channels with values in [0, 1], codes of 32 × height / 8 ×
/// width / 8 numbers. 2.7 million parameters. Its tensors keep their names behind "enc." and
/// "dec.", those within a block with "body." before their number.
/// @param encoder, decoder taef2_encoder.safetensors and taef2_decoder.safetensors, in any
///   floating-point type
/// @param image height and width, multiples of 8
/// @throws argument_error unless the size is positive multiples of 8
/// @throws file_error that names the file, the offset and the reason, if one is damaged or has
///   other tensors
///
/// From random codes, in float, the map of 8 × 8 images settles, and that of 16 × 16 after some
/// hundreds of iterations. That of 32 × 32 (k = 512) is chaotic for 500 at least, with leading
/// Lyapunov exponents of 0.12 and 0.15 ± 0.01, from two of three codes.
///
/// Cost of f = E∘D: half a million multiplications a pixel.
template <class Scalar>
[[nodiscard]] Autoencoder<Scalar> load_taef2(ByteSource encoder, ByteSource decoder, extent image) {
  require(image.height >= 8 && image.width >= 8 && image.height % 8 == 0 && image.width % 8 == 0,
          "load_taef2",
          "the image is " + std::to_string(image.height) + " x " + std::to_string(image.width) +
              ", height and width must be positive multiples of 8");
  constexpr index_t width = 64, latent = 32;
  detail::Taef2Builder<Scalar> enc({3, image.height, image.width});
  enc.convolve(width).blocks(1);
  enc.convolve(width, 2, false).blocks(3).convolve(width, 2, false).blocks(3);
  enc.convolve(width, 2, false).blocks(3, true).convolve(latent);
  detail::Taef2Builder<Scalar> dec({latent, image.height / 8, image.width / 8});
  dec.apply(soft_clamp_function{}).convolve(width).apply(relu_function{}).blocks(3, true);
  dec.upsample().convolve(width, 1, false).blocks(3).upsample().convolve(width, 1, false);
  dec.blocks(3).upsample().convolve(width, 1, false).blocks(1).convolve(3);
  return {enc.load(std::move(encoder)), dec.load(std::move(decoder))};
}

}  // namespace basin
