// Small autoencoders for the tests of training.
#pragma once

#include <basin/nn/autoencoder.hpp>
#include <basin/nn/linear_layer.hpp>

namespace networks {

using basin::index_t;

// Table 3's layers with its names, for images of 1 × size × size.
template <class Scalar, class Activation>
basin::Autoencoder<Scalar> table3(index_t size, index_t d, index_t code, index_t latent,
                                  Activation activation, bool tied = false,
                                  bool sigmoid_code = false) {
  const basin::convolution_options down{.kernel = 3, .stride = 2, .padding = 1};
  const basin::convolution_options up{.kernel = 3, .stride = 2, .padding = 1, .output_padding = 1};
  basin::Network<Scalar> enc, dec;
  const auto activate = [&](basin::Network<Scalar>& to) {
    to.add(basin::Elementwise<Scalar, Activation>(to.output_shape(), activation),
           "a" + std::to_string(to.depth()));
  };
  enc.add(basin::convolution<Scalar>({1, size, size}, d, down), "0");
  for (const index_t i : {1, 2, 3}) {
    activate(enc);
    enc.add(basin::convolution<Scalar>(enc.output_shape(), d << i, down), std::to_string(2 * i));
  }
  activate(enc);
  const basin::tensor_shape features = enc.output_shape();
  enc.add(basin::dense<Scalar>(features, {code}), "9");
  if (sigmoid_code) {
    enc.add(basin::Elementwise<Scalar, basin::sigmoid_function>(enc.output_shape()));
  }
  dec.add(basin::dense<Scalar>({latent}, features), "0");
  for (const index_t i : {2, 1, 0}) {
    activate(dec);
    dec.add(basin::transposed_convolution<Scalar>(dec.output_shape(), d << i, up),
            std::to_string(7 - 2 * i));
  }
  activate(dec);
  dec.add(basin::transposed_convolution<Scalar>(dec.output_shape(), 1, up), "9");
  return {std::move(enc), std::move(dec), tied};
}

}  // namespace networks
