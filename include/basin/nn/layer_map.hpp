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
/// Blocks of as many columns as a tile has (six or eight) go through all layers, on the
/// context's threads; where there are fewer columns than threads, the threads share each
/// layer. Cost: that of the layer.
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
    for_each_block<scalar>(&be.pool(), Z.cols(), [&](index_t first, index_t count) {
      scratch_scope scope;
      const output y(scope, layer_.output_shape(), out, first, count);
      layer_.forward(&be.pool(), input(scope, layer_.input_shape(), Z, first, count), y.columns);
      y.finish();
    });
  }
  void jvp(const cpu<scalar>& be, const typename cpu<scalar>::const_view& Z,
           const typename cpu<scalar>::const_view& V, typename cpu<scalar>::view JV) const {
    derivative<true>(be, Z, V, nullptr, JV);
  }
  void vjp(const cpu<scalar>& be, const typename cpu<scalar>::const_view& Z,
           const typename cpu<scalar>::const_view& U, typename cpu<scalar>::view JtU) const {
    derivative<false>(be, Z, U, nullptr, JtU);
  }
  /// out = f(Z) and JV = J V at the cost of jvp.
  void value_and_jvp(const cpu<scalar>& be, const typename cpu<scalar>::const_view& Z,
                     const typename cpu<scalar>::const_view& V, typename cpu<scalar>::view out,
                     typename cpu<scalar>::view JV) const {
    derivative<true>(be, Z, V, &out, JV);
  }
  /// out = f(Z) and JtU = J^T U at the cost of vjp.
  void value_and_vjp(const cpu<scalar>& be, const typename cpu<scalar>::const_view& Z,
                     const typename cpu<scalar>::const_view& U, typename cpu<scalar>::view out,
                     typename cpu<scalar>::view JtU) const {
    derivative<false>(be, Z, U, &out, JtU);
  }

 private:
  using view = typename cpu<scalar>::view;
  using const_view = typename cpu<scalar>::const_view;

  /// J W or J^T W, and the value where there is memory for it.
  template <bool Forward>
  void derivative(const cpu<scalar>& be, const const_view& Z, const const_view& W, view* out,
                  view& JW) const {
    const tensor_shape from = layer_.input_shape();
    const tensor_shape to = layer_.output_shape();
    require_size("derivative of a layer", "number of rows of the states", Z.rows(), from.size());
    require_size("derivative of a layer", "number of rows of the vectors", W.rows(),
                 Forward ? from.size() : to.size());
    require_size("derivative of a layer", "number of rows of the result", JW.rows(),
                 Forward ? to.size() : from.size());
    require_size("derivative of a layer", "number of columns of the vectors", W.cols(), Z.cols());
    require_size("derivative of a layer", "number of columns of the result", JW.cols(), Z.cols());
    if (out != nullptr) {
      require_size("derivative of a layer", "number of rows of the value", out->rows(), to.size());
      require_size("derivative of a layer", "number of columns of the value", out->cols(),
                   Z.cols());
    }
    thread_pool* const pool = &be.pool();
    for_each_block<scalar>(pool, Z.cols(), [&](index_t first, index_t count) {
      scratch_scope scope;
      const block<const scalar> x = input(scope, from, Z, first, count);
      const block<const scalar> w = input(scope, Forward ? from : to, W, first, count);
      const output jw(scope, Forward ? to : from, JW, first, count);
      // A chain computes its value on the way; of any other layer it is asked first.
      constexpr bool is_chain = requires { layer_.depth(); };
      output y(scope, to, out == nullptr ? JW : *out, first, out == nullptr ? 0 : count);
      if (out == nullptr) {
        const index_t stride = detail::column_stride<scalar>(to.size());
        y.columns = is_chain ? block<scalar>()
                             : block<scalar>(scope.get<scalar>(stride * count), stride, count);
      }
      if constexpr (is_chain) {
        if constexpr (Forward) {
          layer_.value_and_jvp(pool, x, w, y.columns, jw.columns);
        } else {
          layer_.value_and_vjp(pool, x, w, y.columns, jw.columns);
        }
      } else {
        layer_.forward(pool, x, y.columns);
        if constexpr (Forward) {
          layer_.jvp(pool, x, y.columns, w, jw.columns);
        } else {
          layer_.vjp(pool, x, y.columns, w, jw.columns);
        }
      }
      jw.finish();
      if (out != nullptr) y.finish();
    });
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
            target[j * stride + c * shape.pixels() + p] = columns.column(j)[p * shape.channels + c];
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
