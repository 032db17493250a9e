/// @file
/// A layer's map on a device: what LayerMap is on the CPU.
#pragma once

#include <algorithm>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>

#include <basin/backend/cuda.hpp>
#include <basin/map/concept.hpp>
#include <basin/nn/cuda/device_layer.hpp>
#include <basin/nn/cuda/known_layers.hpp>
#include <basin/nn/cuda/network.hpp>
#include <basin/nn/cuda/scratch.hpp>
#include <basin/nn/layer_map.hpp>

namespace basin {

/// Settings of a map on a device.
struct device_map_options {
  /// States that go through the layers together. What the passes keep is for as many, whatever
  /// the number of columns; fewer launches are needed the more they are.
  index_t block = 1024;
};

namespace detail {
/// Entry i of a matrix whose transpose is `from`.
template <class Scalar>
struct transposed_entry {
  device_view<const Scalar> from;
  device_view<Scalar> to;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t column = i / to.rows();
    const index_t row = i - column * to.rows();
    to(row, column) = from(column, row);
  }
};
}  // namespace detail

/// A layer, such as a network, as a map on a device: columns in PyTorch's CHW order in, columns
/// out, with exact jvp and vjp. Made by on_device.
///
/// Cost of an evaluation: that of the layers, and two launches a block for the border, where
/// columns become a block with the batch innermost (nn/cuda/device_layer.hpp) and columns again:
/// 4 numbers of memory traffic an entry. Nothing is transferred and nothing waits, but where
/// memory is made. Memory: the parameters, which copies share, and scratch for one block of states
/// (DeviceNetwork says how much), which is made at first need and kept; a copy has scratch of its
/// own. One copy runs on one context at a time.
/// @tparam Also further layers that may be met behind an AnyLayer
template <class Scalar, class... Also>
class DeviceLayerMap {
 public:
  using scalar = Scalar;
  using backend_type = cuda<Scalar>;
  using view = device_view<Scalar>;
  using const_view = device_view<const Scalar>;

  /// @copydoc on_device
  template <layer L>
  DeviceLayerMap(const cuda<Scalar>& be, const L& l, const device_map_options& options = {})
      : network_(be, l, known_layers<Also...>()), options_(options) {
    require(options.block >= 1, "on_device",
            "the block is of " + std::to_string(options.block) + " states, it must be at least 1");
  }

  [[nodiscard]] index_t dimension() const { return network_.input_shape().size(); }
  [[nodiscard]] index_t output_dimension() const { return network_.output_shape().size(); }
  [[nodiscard]] const DeviceNetwork<Scalar>& network() const noexcept { return network_; }
  /// Bytes of scratch that are kept.
  [[nodiscard]] index_t scratch_bytes() const noexcept { return scratch_.bytes(); }

  /// Takes over the parameters of a map of the same layers, e.g. after more training; copies
  /// keep theirs. Cost: an upload of the parameters.
  /// @throws argument_error, size_error that name the layer if one is not like that on the
  ///   device; nothing has changed then
  template <layer L>
  void update(const cuda<Scalar>& be, const LayerMap<L>& f) {
    network_.update(be, f.layer(), known_layers<Also...>());
  }

  /// @throws size_error unless the shapes agree; device_error if there is not enough memory
  void operator()(const cuda<Scalar>& be, const const_view& Z, view& out) {
    require_shapes("evaluation of a layer", Z, "result", out, output_dimension());
    for_each_block(Z.cols(), [&](index_t first, index_t count) {
      const device_pass<Scalar> pass{be, scratch_};
      const view x = block_of(pass, Z, first, count);
      const view y = scratch_.block<Scalar>(count, output_dimension());
      network_.forward(pass, x, y);
      store(be, y, out, first);
    });
  }
  /// @throws size_error unless the shapes agree; device_error if there is not enough memory
  void jvp(const cuda<Scalar>& be, const const_view& Z, const const_view& V, view JV) {
    derivative<true>(be, Z, V, nullptr, JV);
  }
  /// @throws size_error unless the shapes agree; device_error if there is not enough memory
  void vjp(const cuda<Scalar>& be, const const_view& Z, const const_view& U, view JtU) {
    derivative<false>(be, Z, U, nullptr, JtU);
  }
  /// out = f(Z) and JV = J V at the cost of jvp.
  void value_and_jvp(const cuda<Scalar>& be, const const_view& Z, const const_view& V, view out,
                     view JV) {
    derivative<true>(be, Z, V, &out, JV);
  }
  /// out = f(Z) and JtU = J^T U at the cost of vjp.
  void value_and_vjp(const cuda<Scalar>& be, const const_view& Z, const const_view& U, view out,
                     view JtU) {
    derivative<false>(be, Z, U, &out, JtU);
  }

 private:
  template <bool Forward>
  void derivative(const cuda<Scalar>& be, const const_view& Z, const const_view& W, const view* out,
                  const view& JW) {
    constexpr std::string_view where = "derivative of a layer";
    const index_t from = dimension();
    const index_t to = output_dimension();
    require_shapes(where, Z, "vectors", W, Forward ? from : to);
    require_shapes(where, Z, "result", JW, Forward ? to : from);
    if (out != nullptr) require_shapes(where, Z, "value", *out, to);
    for_each_block(Z.cols(), [&](index_t first, index_t count) {
      const device_pass<Scalar> pass{be, scratch_};
      const view x = block_of(pass, Z, first, count);
      const view w = block_of(pass, W, first, count);
      const view jw = scratch_.block<Scalar>(count, Forward ? to : from);
      const view y = scratch_.block<Scalar>(out == nullptr ? 0 : count, to);
      const view* const value = out == nullptr ? nullptr : &y;
      if constexpr (Forward) {
        network_.value_and_jvp(pass, x, w, value, jw);
      } else {
        network_.value_and_vjp(pass, x, w, value, jw);
      }
      store(be, jw, JW, first);
      if (out != nullptr) store(be, y, *out, first);
    });
  }

  template <class Matrix>
  void require_shapes(std::string_view where, const const_view& Z, const std::string& name,
                      const Matrix& X, index_t rows) const {
    require_size(where, "number of rows of the states", Z.rows(), dimension());
    require_size(where, "number of rows of the " + name, X.rows(), rows);
    require_size(where, "number of columns of the " + name, X.cols(), Z.cols());
  }
  /// f(first column, number of columns), each with the scratch memory from its beginning.
  template <class F>
  void for_each_block(index_t columns, const F& f) {
    for (index_t first = 0; first < columns; first += options_.block) {
      DeviceScratch::scope scope(scratch_);
      f(first, std::min(options_.block, columns - first));
    }
  }
  [[nodiscard]] static view block_of(const device_pass<Scalar>& pass, const const_view& X,
                                     index_t first, index_t count) {
    const view to = pass.scratch.template block<Scalar>(count, X.rows());
    for_each_index(pass.be, to.rows() * to.cols(),
                   detail::transposed_entry<Scalar>{columns(pass.be, X, first, count), to});
    return to;
  }
  static void store(const cuda<Scalar>& be, const view& from, const view& X, index_t first) {
    const view to(X.data() + first * X.outerStride(), X.rows(), from.rows(), X.outerStride());
    for_each_index(be, to.rows() * to.cols(), detail::transposed_entry<Scalar>{from, to});
  }

  DeviceNetwork<Scalar> network_;
  device_map_options options_;
  DeviceScratch scratch_;
};

/// A layer's map on a device: `on_device(be, autoencoder.latent_map())` is a map for
/// `FixedPointSolver::solve(be, starts)` and for every other part that takes a backend.
///
/// A layer of your own needs a `device_form` (nn/cuda/device_layer.hpp), an elementwise function
/// of your own none; where they stand in a Network, whose layers are known when running alone,
/// name them: `on_device<Elementwise<float, my_function>>(be, f)`. So are residual blocks there,
/// unless their parts are networks, linear layers or AnyLayers.
///
/// Cost: an upload of all parameters and of 32 bytes a tap, from host memory.
/// @throws argument_error that names the layer if one has no form on a device, or unless the
///   block is of one state at least
/// @throws device_error with the number of bytes if there is not enough memory
template <class... Also, std::floating_point Scalar, layer L>
[[nodiscard]] DeviceLayerMap<Scalar, Also...> on_device(const cuda<Scalar>& be,
                                                        const LayerMap<L>& f,
                                                        const device_map_options& options = {}) {
  return {be, f.layer(), options};
}

}  // namespace basin
