/// @file
/// Dense, convolutional and transposed convolutional layers on a device.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <basin/nn/cuda/device_layer.hpp>
#include <basin/nn/cuda/tap_sum.hpp>
#include <basin/nn/cuda/tap_tile.hpp>
#include <basin/nn/linear_layer.hpp>

namespace basin {
namespace detail {

/// The ending of a product that is computed already.
template <class Scalar>
struct end_product {
  device_view<Scalar> y;
  product_ending<Scalar> ending;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i / y.rows();
    const index_t state = i - row * y.rows();
    y(state, row) = ending.end(y(state, row) + ending.begin(row), state, row);
  }
};

/// Weights from PyTorch's order to that of a product, matrix by matrix: from each input to its
/// outputs, and for the transposed product from each output to its inputs.
template <class Scalar>
struct pack_weights {
  const Scalar* weight;
  const index_t* matrix;  ///< where element (0, 0) of each stands
  index_t output_stride, input_stride;
  index_t outputs, inputs;
  Scalar* forward;
  Scalar* transposed;
  BASIN_HOST_DEVICE void operator()(index_t at) const {
    const index_t t = at / (inputs * outputs), element = at - t * inputs * outputs;
    const index_t i = element / outputs, o = element - i * outputs;
    const Scalar w = weight[matrix[t] + o * output_stride + i * input_stride];
    forward[at] = w;
    transposed[(t * outputs + o) * inputs + i] = w;
  }
};

/// Whether the weights are one matrix, output × input, both in CHW order.
template <class Scalar>
[[nodiscard]] bool is_dense(const LinearLayer<Scalar>& l) {
  const taps& joins = l.joins();
  const auto& order = l.order();
  const index_t size = l.input_shape().size();
  const index_t sources = joins.sources();
  if (joins.count() != joins.targets() * sources || order.output_stride != joins.targets() * size ||
      order.input_stride != sources) {
    return false;
  }
  for (index_t q = 0; q < joins.targets(); ++q) {
    if (joins.begin(q + 1) - joins.begin(q) != sources) return false;
    for (index_t p = 0; p < sources; ++p) {
      const taps::tap& one = joins.list()[static_cast<std::size_t>(joins.begin(q) + p)];
      if (one.source != p || order(one.matrix, 0, 0) != q * size + p) return false;
    }
  }
  return true;
}

}  // namespace detail

/// y = W x + b over the taps of a geometry.
///
/// New weights are one upload in PyTorch's order. Of a dense layer they are
/// a matrix: a product by cuBLAS, 2 × inputs × outputs flops a state, and one more launch for
/// biases, ReLU or gate. Of a convolution it is 2 × taps × channels in × channels out flops a state
/// in one launch, biases, ReLU or gate within it: in tiles of 128 states and up to 64 output
/// channels (detail::tap_tile), and of fewer states, or of fewer than four output channels, by a
/// thread for every number of the output (detail::tap_sum). Both add in the same order, so that a
/// state's bits do not hang on how many there are.
/// Memory: weights twice, packed for either product, biases once, and 16 bytes a tap, twice. Of a
/// product by the transposed Jacobian the sources ascend too, and its taps have a list of their
/// own.
template <class Scalar>
class DeviceLinearLayer final : public DeviceLayer<Scalar> {
 public:
  using typename DeviceLayer<Scalar>::view;
  using typename DeviceLayer<Scalar>::const_view;

  /// Cost: an upload of weights, biases and taps.
  DeviceLinearLayer(const cuda<Scalar>& be, const LinearLayer<Scalar>& l)
      : DeviceLayer<Scalar>(l.input_shape(), l.output_shape()),
        geometry_(std::make_shared<const geometry>(be, l)) {
    upload_parameters(be, l);
  }

  [[nodiscard]] std::unique_ptr<DeviceLayer<Scalar>> clone() const override {
    return std::make_unique<DeviceLinearLayer>(*this);
  }
  /// Takes over weights and biases. Cost: their upload.
  /// @throws argument_error unless the layer joins the same pixels by weights in the same order
  void update(const cuda<Scalar>& be, const LinearLayer<Scalar>& l) {
    require(l.joins() == geometry_->joins && l.order() == geometry_->order &&
                l.weight().size == weight_->size() && l.bias().size == bias_->size(),
            "update", "the linear layer has another geometry than the one on the device");
    upload_parameters(be, l);
  }

  void forward(const device_pass<Scalar>& pass, const const_view& x, const view& y) const override {
    multiply(pass.be, x, y, biases());
  }
  void jvp(const device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& v, const view& jv) const override {
    multiply(pass.be, v, jv, {});
  }
  void vjp(const device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& u, const view& jtu) const override {
    multiply_transposed(pass.be, u, jtu, {});
  }
  [[nodiscard]] bool needs_input() const override { return false; }

  // The same with a ReLU behind the layer, or before it, see LinearLayer.

  void forward_relu(const device_pass<Scalar>& pass, const const_view& x, const view& y) const {
    detail::product_ending<Scalar> ending = biases();
    ending.relu = true;
    multiply(pass.be, x, y, ending);
  }
  /// @param gate the ReLU's values behind this layer
  void jvp_relu(const device_pass<Scalar>& pass, const const_view& v, const const_view& gate,
                const view& jv) const {
    multiply(pass.be, v, jv, gated(gate));
  }
  /// @param gate the ReLU's values before this layer
  void vjp_relu(const device_pass<Scalar>& pass, const const_view& u, const const_view& gate,
                const view& jtu) const {
    multiply_transposed(pass.be, u, jtu, gated(gate));
  }

 private:
  using ending_type = detail::product_ending<Scalar>;

  /// Taps in device memory.
  struct tap_list {
    DeviceBuffer<index_t> begin;
    DeviceBuffer<detail::device_tap> list;

    tap_list() = default;
    /// @param offset of the weights of a tap, by its matrix
    template <class Offset>
    tap_list(const cuda<Scalar>& be, const taps& joins, const Offset& offset) {
      std::vector<index_t> first;
      for (index_t q = 0; q <= joins.targets(); ++q) first.push_back(joins.begin(q));
      std::vector<detail::device_tap> all;
      all.reserve(joins.list().size());
      for (const taps::tap& one : joins.list()) all.push_back({one.source, offset(one.matrix)});
      begin = detail::uploaded<index_t>(be, first);
      list = detail::uploaded<detail::device_tap>(be, all);
    }
  };
  /// What does not change with the parameters.
  struct geometry {
    taps joins;
    typename LinearLayer<Scalar>::weight_order order;
    bool dense;
    bool own_bias;  ///< whether each element of the output has a bias of its own
    tap_list forward;
    tap_list transposed;
    DeviceBuffer<index_t> matrices;  ///< where each stands in PyTorch's order

    geometry(const cuda<Scalar>& be, const LinearLayer<Scalar>& l)
        : joins(l.joins()),
          order(l.order()),
          dense(detail::is_dense(l)),
          own_bias(l.bias().size == l.output_shape().size()) {
      if (dense) return;
      const index_t size = l.input_shape().channels * l.output_shape().channels;
      forward = tap_list(be, joins, [&](index_t t) { return t * size; });
      // Transposed taps count the matrices backwards.
      transposed = tap_list(be, joins.transposed(),
                            [&](index_t t) { return (joins.count() - 1 - t) * size; });
      matrices = detail::uploaded<index_t>(be, order.matrix);
    }
  };

  void upload_parameters(const cuda<Scalar>& be, const LinearLayer<Scalar>& l) {
    auto weight =
        std::make_shared<const DeviceBuffer<Scalar>>(detail::uploaded<Scalar>(be, l.weight()));
    auto bias =
        std::make_shared<const DeviceBuffer<Scalar>>(detail::uploaded<Scalar>(be, l.bias()));
    if (!geometry_->dense) {
      DeviceBuffer<Scalar> forward(weight->size()), transposed(weight->size());
      const auto& order = geometry_->order;
      for_each_index(be, weight->size(),
                     detail::pack_weights<Scalar>{
                         weight->data(), geometry_->matrices.data(), order.output_stride,
                         order.input_stride, this->output_shape().channels,
                         this->input_shape().channels, forward.data(), transposed.data()});
      weight = std::make_shared<const DeviceBuffer<Scalar>>(std::move(forward));
      transposed_ = std::make_shared<const DeviceBuffer<Scalar>>(std::move(transposed));
    }
    bias_ = std::move(bias);
    weight_ = std::move(weight);
  }
  [[nodiscard]] ending_type biases() const {
    ending_type ending;
    if (bias_->size() > 0) ending.bias = bias_->data();
    ending.rows_a_bias = geometry_->own_bias ? 1 : this->output_shape().pixels();
    return ending;
  }
  [[nodiscard]] static ending_type gated(const const_view& gate) {
    ending_type ending;
    ending.gate = gate.data();
    ending.gate_stride = gate.outerStride();
    return ending;
  }
  /// The weights as a column-major matrix, input × output.
  [[nodiscard]] const_view matrix() const {
    const index_t rows = this->input_shape().size();
    return {weight_->data(), rows, this->output_shape().size(), rows};
  }

  void multiply(const cuda<Scalar>& be, const const_view& x, const view& y,
                const ending_type& ending) const {
    if (geometry_->dense) {
      gemm(be, x, matrix(), y, {.tf32 = allows_tf32(be)});
      if (ending.changes()) {
        for_each_index(be, y.rows() * y.cols(), detail::end_product<Scalar>{y, ending});
      }
    } else {
      add_taps(be, x, y, geometry_->forward, weight_->data(), this->input_shape(),
               this->output_shape(), ending);
    }
  }
  void multiply_transposed(const cuda<Scalar>& be, const const_view& u, const view& jtu,
                           const ending_type& ending) const {
    if (geometry_->dense) {
      gemm(be, u, matrix(), jtu, {.b = transpose::yes, .tf32 = allows_tf32(be)});
      if (ending.changes()) {
        for_each_index(be, jtu.rows() * jtu.cols(), detail::end_product<Scalar>{jtu, ending});
      }
    } else {
      add_taps(be, u, jtu, geometry_->transposed, transposed_->data(), this->output_shape(),
               this->input_shape(), ending);
    }
  }
  /// The one place where a kernel for a product by taps is chosen.
  /// @param weight packed for this product
  void add_taps(const cuda<Scalar>& be, const const_view& x, const view& y, const tap_list& joins,
                const Scalar* weight, const tensor_shape& from, const tensor_shape& to,
                const ending_type& ending) const {
    detail::add_taps(
        be,
        detail::tap_sum<Scalar>{x, y, joins.begin.data(), joins.list.data(), weight, to.channels, 1,
                                from.channels, from.pixels(), to.pixels(), ending},
        detail::tile_channels(y.rows(), to.channels));
  }

  std::shared_ptr<const geometry> geometry_;
  std::shared_ptr<const DeviceBuffer<Scalar>> weight_;      ///< a matrix, or packed
  std::shared_ptr<const DeviceBuffer<Scalar>> transposed_;  ///< packed; of a matrix none
  std::shared_ptr<const DeviceBuffer<Scalar>> bias_;
};

template <class Scalar>
struct device_form<LinearLayer<Scalar>> {
  using type = DeviceLinearLayer<Scalar>;
};

}  // namespace basin
