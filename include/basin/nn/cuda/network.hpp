/// @file
/// Layers in a row on a device.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <basin/nn/cuda/device_layer.hpp>
#include <basin/nn/cuda/elementwise.hpp>
#include <basin/nn/cuda/linear_layer.hpp>

namespace basin {

namespace detail {
/// A Network, a Sequential, or any other LayerChain.
template <class L>
concept layer_chain = requires(const L& l) {
  l.depth();
  l.layer_name(0);
  l.shape_at(0);
};
}  // namespace detail

/// Layers in a row, from a chain of the engine or a single layer.
///
/// A ReLU behind a linear layer is applied where the sums are stored, and its gate in
/// derivatives, as LayerChain does. Memory: scratch for two blocks of the widest layer in
/// forward, four in jvp, for all layers' blocks and two of the widest in vjp.
template <class Scalar>
class DeviceNetwork final : public DeviceLayer<Scalar> {
 public:
  using typename DeviceLayer<Scalar>::view;
  using typename DeviceLayer<Scalar>::const_view;

  /// Cost: an upload of all parameters and taps.
  /// @throws argument_error that names the layer if one has no form on a device, or if there
  ///   are no layers
  /// @throws device_error if there is not enough memory
  template <class L, class Known = known_layers<>>
  DeviceNetwork(const cuda<Scalar>& be, const L& l, const Known& known = {})
      : DeviceLayer<Scalar>(l.input_shape(), l.output_shape()) {
    if constexpr (detail::layer_chain<L>) {
      for (index_t i = 0; i < l.depth(); ++i) {
        layers_.push_back(l.visit(i, [&](const auto& one) {
          return detail::make_device_layer(be, one, known.inside(l.layer_name(i)));
        }));
      }
    } else {
      layers_.push_back(detail::make_device_layer(be, l, known));
    }
  }
  DeviceNetwork(const DeviceNetwork& other) : DeviceLayer<Scalar>(other) {
    for (const auto& one : other.layers_) layers_.push_back(one->clone());
  }
  DeviceNetwork(DeviceNetwork&&) noexcept = default;
  DeviceNetwork& operator=(DeviceNetwork other) noexcept {
    DeviceLayer<Scalar>::operator=(other);
    std::swap(layers_, other.layers_);
    return *this;
  }
  ~DeviceNetwork() override = default;

  [[nodiscard]] std::unique_ptr<DeviceLayer<Scalar>> clone() const override {
    return std::make_unique<DeviceNetwork>(*this);
  }
  [[nodiscard]] index_t depth() const noexcept { return static_cast<index_t>(layers_.size()); }

  /// Takes over the parameters of a network of the same layers, without making its geometry
  /// again. Copies of this one keep theirs. Cost: the upload.
  /// @throws argument_error, size_error that name the layer if one is not like that on the
  ///   device; nothing has changed then
  template <class L, class Known = known_layers<>>
  void update(const cuda<Scalar>& be, const L& l, const Known& known = {}) {
    DeviceNetwork updated(*this);
    if constexpr (detail::layer_chain<L>) {
      require_size("update", "number of layers", l.depth(), depth());
      for (index_t i = 0; i < l.depth(); ++i) {
        l.visit(i, [&](const auto& one) {
          detail::update_device_layer(be, *updated.layers_[static_cast<std::size_t>(i)], one,
                                      known.inside(l.layer_name(i)));
        });
      }
    } else {
      require_size("update", "number of layers", 1, depth());
      detail::update_device_layer(be, *updated.layers_.front(), l, known);
    }
    *this = std::move(updated);
  }

  void forward(const device_pass<Scalar>& pass, const const_view& x, const view& y) const override {
    DeviceScratch::scope scope(pass.scratch);
    two_blocks values(pass, widest(), x.rows());
    const_view from = x;
    for (index_t i = 0; i < depth(); i += steps(i)) {
      const bool last = i + steps(i) == depth();
      const view to = last                        ? y
                      : at(i).in_place() && i > 0 ? values.kept(size_behind(i))
                                                  : values.other(size_behind(i));
      step_forward(i, pass, from, to);
      from = to;
    }
  }
  void jvp(const device_pass<Scalar>& pass, const const_view& x, const const_view&,
           const const_view& v, const view& jv) const override {
    value_and_jvp(pass, x, v, nullptr, jv);
  }
  void vjp(const device_pass<Scalar>& pass, const const_view& x, const const_view&,
           const const_view& u, const view& jtu) const override {
    value_and_vjp(pass, x, u, nullptr, jtu);
  }

  /// J v, and the value where there is a block for it.
  void value_and_jvp(const device_pass<Scalar>& pass, const const_view& x, const const_view& v,
                     const view* y, const view& jv) const {
    DeviceScratch::scope scope(pass.scratch);
    two_blocks values(pass, widest(), x.rows());
    two_blocks tangents(pass, widest(), x.rows());
    const_view from = x;
    const_view direction = v;
    for (index_t i = 0; i < depth(); i += steps(i)) {
      const bool last = i + steps(i) == depth();
      // The input is still needed for the derivative, so no value is overwritten.
      const view to = last && y != nullptr ? *y : values.other(size_behind(i));
      const view moved = last ? jv : tangents.other(size_behind(i));
      if (!last || y != nullptr || needs_last_value()) step_forward(i, pass, from, to);
      if (steps(i) == 2) {
        linear(i)->jvp_relu(pass, direction, to, moved);
      } else {
        at(i).jvp(pass, from, to, direction, moved);
      }
      from = to;
      direction = moved;
    }
  }
  /// J^T u, and the value where there is a block for it.
  void value_and_vjp(const device_pass<Scalar>& pass, const const_view& x, const const_view& u,
                     const view* y, const view& jtu) const {
    DeviceScratch::scope scope(pass.scratch);
    const std::vector<view> values = make_values(pass, x, y);
    for (index_t i = 0; i < depth(); i += steps(i)) {
      if (i + steps(i) == depth() && y == nullptr && !needs_last_value()) break;
      step_forward(i, pass, block(values, i), block(values, i + steps(i)));
    }
    const std::vector<view> cotangents = make_cotangents(pass, u, jtu);
    for (index_t i = depth() - 1; i >= 0;) {
      const bool gated = i > 0 && linear(i) != nullptr && is_relu(i - 1);
      if (gated) {
        // Behind the ReLU nothing is stored, before it the gated sums are.
        linear(i)->vjp_relu(pass, block(cotangents, i + 1), block(values, i),
                            block(cotangents, i - 1));
        i -= 2;
      } else {
        at(i).vjp(pass, block(values, i), block(values, i + 1), block(cotangents, i + 1),
                  block(cotangents, i));
        --i;
      }
    }
  }

 private:
  /// Two blocks that change roles.
  class two_blocks {
   public:
    two_blocks(const device_pass<Scalar>& pass, index_t size, index_t count)
        : memory_{pass.scratch.template get<Scalar>(size * count),
                  pass.scratch.template get<Scalar>(size * count)},
          count_(count) {}
    [[nodiscard]] view other(index_t size) {
      std::swap(memory_[0], memory_[1]);
      return kept(size);
    }
    [[nodiscard]] view kept(index_t size) const { return {memory_[0], count_, size, count_}; }

   private:
    Scalar* memory_[2];
    index_t count_;
  };

  [[nodiscard]] const DeviceLayer<Scalar>& at(index_t i) const {
    return *layers_[static_cast<std::size_t>(i)];
  }
  [[nodiscard]] static const view& block(const std::vector<view>& blocks, index_t i) {
    return blocks[static_cast<std::size_t>(i)];
  }
  /// Layer i where it is a linear one, else null.
  [[nodiscard]] const DeviceLinearLayer<Scalar>* linear(index_t i) const {
    return dynamic_cast<const DeviceLinearLayer<Scalar>*>(&at(i));
  }
  [[nodiscard]] bool is_relu(index_t i) const {
    return dynamic_cast<const DeviceElementwise<Scalar, relu_function>*>(&at(i)) != nullptr;
  }
  /// Layers that are taken at once: 2 where a ReLU follows a linear layer.
  [[nodiscard]] index_t steps(index_t i) const {
    return i + 1 < depth() && linear(i) != nullptr && is_relu(i + 1) ? 2 : 1;
  }
  [[nodiscard]] bool needs_last_value() const { return at(depth() - 1).needs_value(); }
  /// Size behind the layers that are taken at once from i on.
  [[nodiscard]] index_t size_behind(index_t i) const { return at(i).output_shape().size(); }
  [[nodiscard]] index_t widest() const {
    index_t size = this->input_shape().size();
    for (const auto& one : layers_) size = std::max(size, one->output_shape().size());
    return size;
  }

  void step_forward(index_t i, const device_pass<Scalar>& pass, const const_view& x,
                    const view& y) const {
    if (steps(i) == 2) {
      linear(i)->forward_relu(pass, x, y);
    } else {
      at(i).forward(pass, x, y);
    }
  }

  /// A block for every boundary between layers, x before the first. A layer that works in place
  /// has one block where nobody asks for what was in it.
  [[nodiscard]] std::vector<view> make_values(const device_pass<Scalar>& pass, const const_view& x,
                                              const view* y) const {
    std::vector<view> blocks{writable(x)};
    for (index_t i = 0; i < depth(); ++i) {
      const bool shared =
          i > 0 && at(i).in_place() && !at(i).needs_input() && !at(i - 1).needs_value();
      if (shared) {
        blocks.push_back(blocks.back());
      } else {
        blocks.push_back(pass.scratch.template block<Scalar>(x.rows(), size_behind(i)));
      }
    }
    if (y != nullptr) {
      // Boundaries that share the last one's memory move with it.
      const Scalar* const last = blocks.back().data();
      for (std::size_t i = blocks.size() - 1; i > 0 && blocks[i].data() == last; --i) {
        blocks[i] = *y;
      }
    }
    return blocks;
  }
  /// Two blocks in turn between the layers; what an in-place layer joins is one block.
  [[nodiscard]] std::vector<view> make_cotangents(const device_pass<Scalar>& pass,
                                                  const const_view& u, const view& jtu) const {
    two_blocks turns(pass, widest(), u.rows());
    std::vector<view> blocks{jtu};
    for (index_t i = 1; i < depth(); ++i) {
      const index_t size = size_behind(i - 1);
      blocks.push_back(i > 1 && at(i - 1).in_place() ? turns.kept(size) : turns.other(size));
    }
    blocks.push_back(writable(u));
    return blocks;
  }
  /// A place among blocks; neither x nor u is written to.
  [[nodiscard]] static view writable(const const_view& x) {
    return {const_cast<Scalar*>(x.data()), x.rows(), x.cols(), x.outerStride()};
  }

  std::vector<std::unique_ptr<DeviceLayer<Scalar>>> layers_;
};

template <detail::layer_chain L>
struct device_form<L> {
  using type = DeviceNetwork<typename L::scalar>;
};

}  // namespace basin
