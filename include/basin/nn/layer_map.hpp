/// @file
/// A layer, such as a network, as a map of batches.
#pragma once

#include <utility>

#include <basin/backend/cpu.hpp>
#include <basin/backend/cpu/scratch.hpp>
#include <basin/map/concept.hpp>
#include <basin/nn/chain.hpp>

namespace basin {

/// A layer as a map on the CPU: columns in PyTorch's CHW order in, columns out, with
/// exact jvp and vjp. Columns are independent to the bit.
///
/// Blocks of eight columns go through all layers, on the context's threads; where there
/// are fewer columns than threads, the threads share each layer. Cost: that of the layer.
/// Memory: scratch of each thread for one block, whatever the number of columns.
template <layer L>
class LayerMap {
 public:
  using scalar = typename L::scalar;
  using backend_type = cpu<scalar>;

  explicit LayerMap(L l) : layer_(std::move(l)) {}

  [[nodiscard]] index_t dimension() const { return layer_.input_shape().size(); }
  [[nodiscard]] index_t output_dimension() const { return layer_.output_shape().size(); }
  [[nodiscard]] const L& layer() const noexcept { return layer_; }

  void operator()(const cpu<scalar>& be, const typename cpu<scalar>::const_view& Z,
                  typename cpu<scalar>::view& out) const {
    for_each_block(&be.pool(), Z.cols(), [&](index_t first, index_t count) {
      scratch_scope scope;
      const output y(scope, layer_.output_shape(), out, first, count);
      layer_.forward(&be.pool(), input(scope, layer_.input_shape(), Z, first, count), y.columns);
      y.finish();
    });
  }
  void jvp(const cpu<scalar>& be, const typename cpu<scalar>::const_view& Z,
           const typename cpu<scalar>::const_view& V, typename cpu<scalar>::view JV) const {
    require_size("jvp", "number of rows of JV", JV.rows(), output_dimension());
    for_each_block(&be.pool(), Z.cols(), [&](index_t first, index_t count) {
      scratch_scope scope;
      const block<const scalar> x = input(scope, layer_.input_shape(), Z, first, count);
      const output jv(scope, layer_.output_shape(), JV, first, count);
      layer_.jvp(&be.pool(), x, value(be, scope, x),
                 input(scope, layer_.input_shape(), V, first, count), jv.columns);
      jv.finish();
    });
  }
  void vjp(const cpu<scalar>& be, const typename cpu<scalar>::const_view& Z,
           const typename cpu<scalar>::const_view& U, typename cpu<scalar>::view JtU) const {
    require_size("vjp", "number of rows of U", U.rows(), output_dimension());
    for_each_block(&be.pool(), Z.cols(), [&](index_t first, index_t count) {
      scratch_scope scope;
      const block<const scalar> x = input(scope, layer_.input_shape(), Z, first, count);
      const output jtu(scope, layer_.input_shape(), JtU, first, count);
      layer_.vjp(&be.pool(), x, value(be, scope, x),
                 input(scope, layer_.output_shape(), U, first, count), jtu.columns);
      jtu.finish();
    });
  }

 private:
  /// The layer's value, which chains compute by themselves on the way.
  [[nodiscard]] block<const scalar> value(const cpu<scalar>& be, scratch_scope& scope,
                                          block<const scalar> x) const {
    if constexpr (requires { layer_.depth(); }) {
      return {};
    } else {
      const index_t size = layer_.output_shape().size();
      const block<scalar> y(scope.get<scalar>(size * x.count), size, x.count);
      layer_.forward(&be.pool(), x, y);
      return y;
    }
  }

  /// Columns in the engine's order: the caller's own memory where the orders agree.
  static block<const scalar> input(scratch_scope& scope, const tensor_shape& shape,
                                   const typename cpu<scalar>::const_view& X, index_t first,
                                   index_t count) {
    if (shape.order_free()) {
      return {X.data() + first * X.outerStride(), X.outerStride(), count};
    }
    const index_t stride = detail::column_stride<scalar>(shape.size());
    scalar* const memory = scope.get<scalar>(stride * count);
    for (index_t j = 0; j < count; ++j) {
      const scalar* const from = X.data() + (first + j) * X.outerStride();
      for (index_t c = 0; c < shape.channels; ++c) {
        for (index_t p = 0; p < shape.pixels(); ++p) {
          memory[j * stride + p * shape.channels + c] = from[c * shape.pixels() + p];
        }
      }
    }
    return {memory, stride, count};
  }
  /// Where columns are written: straight to the caller where the orders agree.
  struct output {
    output(scratch_scope& scope, const tensor_shape& to, typename cpu<scalar>::view& out,
           index_t first, index_t count)
        : shape(to), target(out.data() + first * out.outerStride()), stride(out.outerStride()) {
      if (shape.order_free()) {
        columns = {target, stride, count};
      } else {
        const index_t distance = detail::column_stride<scalar>(shape.size());
        columns = {scope.get<scalar>(distance * count), distance, count};
      }
    }
    void finish() const {
      if (shape.order_free()) return;
      for (index_t j = 0; j < columns.count; ++j) {
        for (index_t c = 0; c < shape.channels; ++c) {
          for (index_t p = 0; p < shape.pixels(); ++p) {
            target[j * stride + c * shape.pixels() + p] =
                columns.column(j)[p * shape.channels + c];
          }
        }
      }
    }
    tensor_shape shape;
    scalar* target;
    index_t stride;
    block<scalar> columns;
  };

  L layer_;
};

/// A layer as a map.
template <layer L>
[[nodiscard]] LayerMap<L> layer_map(L l) {
  return LayerMap<L>(std::move(l));
}

}  // namespace basin
