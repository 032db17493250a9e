/// @file
/// An encoder and a decoder, and the maps that they make.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <basin/nn/first_rows.hpp>
#include <basin/nn/layer_map.hpp>
#include <basin/nn/network.hpp>

namespace basin {

/// Encoder E: R^n -> R^k and decoder D: R^k -> R^n.
///
/// With tied weights the decoder's weights are the encoder's in reverse order: a dense
/// layer has the transposed matrix, a transposed convolution the convolution's tensor,
/// which is the same memory in PyTorch's order. Biases are not tied.
///
/// Where the encoder gives 2 k numbers for the k that the decoder takes, the model is
/// variational: the first k are the means of the code, which the maps take, the others the
/// logarithms of its variances, which training alone needs.
template <class Scalar>
class Autoencoder {
 public:
  using scalar = Scalar;

  /// @param tied whether the decoder takes its weights from the encoder, now and in
  ///   training
  /// @throws size_error unless each half takes what the other gives, or the weights
  ///   cannot be tied
  Autoencoder(Network<Scalar> encoder, Network<Scalar> decoder, bool tied = false)
      : encoder_(std::move(encoder)), decoder_(std::move(decoder)), tied_(tied) {
    require(encoder_.depth() > 0 && decoder_.depth() > 0, "autoencoder",
            "the encoder and the decoder must have at least one layer each");
    const auto require_same = [](const char* what, const tensor_shape& taken,
                                 const tensor_shape& given) {
      if (taken == given) return;
      throw size_error("autoencoder: the decoder " + std::string(what) + " " + to_string(taken) +
                       ", expected " + to_string(given));
    };
    if (!variational()) {
      require_same("takes", decoder_.input_shape(), encoder_.output_shape());
    }
    require_same("gives", decoder_.output_shape(), encoder_.input_shape());
    if (tied_) tie();
  }

  [[nodiscard]] const Network<Scalar>& encoder() const noexcept { return encoder_; }
  [[nodiscard]] const Network<Scalar>& decoder() const noexcept { return decoder_; }
  [[nodiscard]] Network<Scalar>& encoder() noexcept { return encoder_; }
  [[nodiscard]] Network<Scalar>& decoder() noexcept { return decoder_; }
  [[nodiscard]] bool tied() const noexcept { return tied_; }
  /// The shape of an image.
  [[nodiscard]] tensor_shape image_shape() const { return encoder_.input_shape(); }
  /// k, the size of a code.
  [[nodiscard]] index_t latent_size() const { return decoder_.input_shape().size(); }
  /// Whether the encoder gives means and logarithms of variances.
  [[nodiscard]] bool variational() const {
    return encoder_.output_shape() == tensor_shape{2 * latent_size(), 1, 1};
  }

  // The maps are copies: training that goes on does not change them.

  /// x -> E(x).
  [[nodiscard]] LayerMap<Network<Scalar>> encoder_map() const {
    Network<Scalar> one;
    append_encoder(one);
    return layer_map(std::move(one));
  }
  /// z -> D(z).
  [[nodiscard]] LayerMap<Network<Scalar>> decoder_map() const { return layer_map(decoder_); }
  /// f = E∘D: z -> E(D(z)), one network: the image stays in the engine's layout.
  [[nodiscard]] LayerMap<Network<Scalar>> latent_map() const {
    Network<Scalar> both;
    both.append(decoder_, "dec.");
    append_encoder(both);
    return layer_map(std::move(both));
  }
  /// F = D∘E: x -> D(E(x)).
  [[nodiscard]] LayerMap<Network<Scalar>> reconstruction_map() const {
    Network<Scalar> both;
    append_encoder(both);
    both.append(decoder_, "dec.");
    return layer_map(std::move(both));
  }

  /// All parameters, the encoder's first; named "enc.0.weight" and so on, as the reference
  /// files name them. After writing to them, call parameters_changed().
  [[nodiscard]] std::vector<parameter<Scalar>> parameters() {
    std::vector<parameter<Scalar>> all;
    const auto add = [&](Network<Scalar>& part, const std::string& prefix) {
      for (auto& one : part.parameters()) {
        one.name = prefix + one.name;
        all.push_back(std::move(one));
      }
    };
    add(encoder_, "enc.");
    add(decoder_, "dec.");
    return all;
  }
  /// Takes over parameters that were written through parameters(); where weights are
  /// tied, the decoder's from the encoder's.
  void parameters_changed(thread_pool* pool = nullptr) {
    if (tied_) copy_tied();
    encoder_.parameters_changed(pool);
    decoder_.parameters_changed(pool);
  }
  /// PyTorch's default initialisation from a seed.
  void initialize(std::uint64_t seed) {
    encoder_.initialize({seed, 0x10000});
    decoder_.initialize({seed, 0x20000});
    if (tied_) tie();
  }

  /// Where weights are tied, adds the gradients of the decoder's to the encoder's, and
  /// sets the former to zero.
  /// @param g gradients in the order of parameters()
  void join_tied_gradients(Scalar* g) {
    if (!tied_) return;
    for_each_tied([&](const parameter<Scalar>& from, const parameter<Scalar>& to,
                      index_t from_offset, index_t to_offset) {
      for (index_t i = 0; i < to.values.size; ++i) {
        g[from_offset + tied_index(from, to, i)] += g[to_offset + i];
        g[to_offset + i] = 0;
      }
    });
  }

 private:
  void append_encoder(Network<Scalar>& to) const {
    to.append(encoder_, "enc.");
    if (variational()) to.add(FirstRows<Scalar>(2 * latent_size(), latent_size()), "mean");
  }

  void tie() {
    copy_tied();
    decoder_.parameters_changed(nullptr);
  }
  void copy_tied() {
    for_each_tied(
        [&](const parameter<Scalar>& from, const parameter<Scalar>& to, index_t, index_t) {
          for (index_t i = 0; i < to.values.size; ++i)
            to.values[i] = from.values[tied_index(from, to, i)];
        });
  }
  /// Element of the encoder's weight that element i of the decoder's is.
  static index_t tied_index(const parameter<Scalar>& from, const parameter<Scalar>& to, index_t i) {
    if (from.shape.size() != 2) return i;
    const index_t columns = to.shape[1];
    return i % columns * from.shape[1] + i / columns;
  }
  /// f(encoder's weight, decoder's weight, their offsets), the encoder's last first.
  template <class F>
  void for_each_tied(F&& f) {
    struct placed {
      parameter<Scalar> one;
      index_t offset;
    };
    index_t offset = 0;
    const auto weights = [&](Network<Scalar>& part) {
      std::vector<placed> list;
      for (auto& one : part.parameters()) {
        const index_t size = one.values.size;
        if (one.shape.size() == 2 || one.shape.size() == 4)
          list.push_back({std::move(one), offset});
        offset += size;
      }
      return list;
    };
    const std::vector<placed> from = weights(encoder_);
    const std::vector<placed> to = weights(decoder_);
    require_size("tied weights", "number of the decoder's weights", static_cast<index_t>(to.size()),
                 static_cast<index_t>(from.size()));
    for (std::size_t i = 0; i < to.size(); ++i) {
      const placed& a = from[from.size() - 1 - i];
      const placed& b = to[i];
      std::vector<index_t> expected = a.one.shape;
      if (expected.size() == 2) std::swap(expected[0], expected[1]);
      if (b.one.shape != expected) {
        throw size_error("tied weights: the shape of dec." + b.one.name + " is not that of enc." +
                         a.one.name + " transposed");
      }
      f(a.one, b.one, a.offset, b.offset);
    }
  }

  Network<Scalar> encoder_;
  Network<Scalar> decoder_;
  bool tied_;
};

}  // namespace basin
