/// @file
/// The passes through layers in a row.
#pragma once

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <basin/backend/cpu/scratch.hpp>
#include <basin/nn/cpu/tap_product.hpp>
#include <basin/nn/elementwise.hpp>
#include <basin/nn/layer.hpp>

namespace basin {

namespace detail {

/// What a chain asks of a layer beyond the concept, answered for any layer.
template <class L>
struct layer_traits {
  /// Outputs may overwrite inputs. Only for layers without parameters, which chains check: the
  /// cotangents share memory, and gradients are added when all cotangents are known.
  static constexpr bool in_place = false;
  /// Derivatives need the layer's value, and not its input.
  static constexpr bool by_value = false;
  static constexpr bool is_relu = false;
};
template <class Scalar, class Function>
struct layer_traits<Elementwise<Scalar, Function>> {
  static constexpr bool in_place = true;
  static constexpr bool by_value = requires { requires Function::by_value; };
  static constexpr bool is_relu = std::is_same_v<Function, relu_function>;
};

template <class L>
[[nodiscard]] bool works_in_place(const L& l) {
  if constexpr (requires { l.in_place(); }) {
    return l.in_place();
  } else {
    return layer_traits<L>::in_place;
  }
}
template <class L>
[[nodiscard]] bool derives_by_value(const L& l) {
  if constexpr (requires { l.by_value(); }) {
    return l.by_value();
  } else {
    return layer_traits<L>::by_value;
  }
}
template <class L>
[[nodiscard]] bool acts_as_relu(const L& l) {
  if constexpr (requires { l.is_relu(); }) {
    return l.is_relu();
  } else {
    return layer_traits<L>::is_relu;
  }
}
/// Whether the layer has the passes of LinearLayer that take a ReLU with them.
template <class L>
[[nodiscard]] bool fuses_relu(const L& l) {
  if constexpr (requires { l.fuses_relu(); }) {
    return l.fuses_relu();
  } else {
    return requires(thread_pool* pool, block<const typename L::scalar> x,
                    block<typename L::scalar> y) { l.forward_relu(pool, x, y); };
  }
}
/// Initialises a layer; one that is made of layers from a seed of its own, since the streams
/// of its layers would be those of its neighbours.
template <class L>
void initialize_layer(L& l, random_stream random) {
  if constexpr (requires { l.depth(); }) {
    l.initialize({(random.seed + random.stream + 1) * 0x9e3779b97f4a7c15u, 0});
  } else {
    l.initialize(random);
  }
}
/// f(l) where the layer has those passes.
template <class L, class F>
void if_fuses_relu(const L& l, const F& f) {
  if constexpr (requires(thread_pool* pool, block<const typename L::scalar> x,
                         block<typename L::scalar> y) { l.forward_relu(pool, x, y); }) {
    f(l);
  }
}

}  // namespace detail

namespace detail {
/// Distance between columns of `size` elements: whole cache lines, an odd number of
/// them, so that the columns of a tile do not fall into the same lines of the cache.
template <class Scalar>
[[nodiscard]] constexpr index_t column_stride(index_t size) {
  constexpr index_t line = 64 / static_cast<index_t>(sizeof(Scalar));
  return ((size + line - 1) / line | 1) * line;
}
}  // namespace detail

/// One block for every boundary between the layers of a chain: layer i takes block i to
/// block i + 1. As pointers to the first of depth + 1 blocks.
template <class Scalar>
struct chain_pass {
  block<Scalar>* values = nullptr;
  block<Scalar>* cotangents = nullptr;
  block<Scalar>* tangents = nullptr;            ///< of dual passes: J v up to the boundary
  block<Scalar>* tangent_cotangents = nullptr;  ///< of dual passes
};

/// A chain of layers is a layer. `Derived` has
///
///   index_t depth() const                 the number of layers, at least 1
///   visit(i, f) and visit(i, f) const     f(layer i)
///   std::string layer_name(i) const       what the names of its parameters begin with
///
/// A ReLU behind a linear layer is applied where the sums are stored. Passes keep what
/// they need in scratch memory of the thread: two columns of the widest layer a state for
/// forward, four for jvp, all layers' columns for vjp, four times those for dual_vjp.
/// gradient and dual_gradient repeat the passes that lead to them.
template <class Derived, class Scalar>
class LayerChain {
 public:
  using scalar = Scalar;
  using pass = chain_pass<Scalar>;

  [[nodiscard]] tensor_shape input_shape() const { return shape_at(0); }
  [[nodiscard]] tensor_shape output_shape() const { return shape_at(self().depth()); }
  /// Shape between layers i - 1 and i.
  /// @throws argument_error if there are no layers
  [[nodiscard]] tensor_shape shape_at(index_t i) const {
    require(self().depth() > 0, "chain", "there are no layers");
    return i == 0 ? self().visit(0, [](const auto& l) -> tensor_shape { return l.input_shape(); })
                  : self().visit(i - 1,
                                 [](const auto& l) -> tensor_shape { return l.output_shape(); });
  }

  void forward(thread_pool* pool, block<const Scalar> x, block<Scalar> y) const {
    scratch_scope scope;
    two_blocks values(scope, widest(), x.count);
    const index_t n = self().depth();
    block<const Scalar> from = x;
    for (index_t i = 0; i < n; i += steps(i)) {
      const bool last = i + steps(i) == n;
      const block<Scalar> to = last ? y : in_place(i) && i > 0 ? values.kept() : values.other();
      step_forward(i, pool, from, to);
      from = to;
    }
  }

  void jvp(thread_pool* pool, block<const Scalar> x, block<const Scalar>, block<const Scalar> v,
           block<Scalar> jv) const {
    value_and_jvp(pool, x, v, {}, jv);
  }
  /// y and J v together: what jvp computes in any case.
  /// @param y may be without memory
  void value_and_jvp(thread_pool* pool, block<const Scalar> x, block<const Scalar> v,
                     block<Scalar> y, block<Scalar> jv) const {
    scratch_scope scope;
    two_blocks values(scope, widest(), x.count);
    two_blocks tangents(scope, widest(), x.count);
    const index_t n = self().depth();
    block<const Scalar> from = x;
    block<const Scalar> direction = v;
    for (index_t i = 0; i < n; i += steps(i)) {
      const bool last = i + steps(i) == n;
      // The input is still needed for the derivative, so no value is overwritten.
      const block<Scalar> to = last && y.data != nullptr ? y : values.other();
      const block<Scalar> moved = last ? jv : tangents.other();
      step_forward(i, pool, from, to);
      step_tangents(i, pool, from, to, direction, moved);
      from = to;
      direction = moved;
    }
  }

  void vjp(thread_pool* pool, block<const Scalar> x, block<const Scalar>, block<const Scalar> u,
           block<Scalar> jtu) const {
    value_and_vjp(pool, x, u, {}, jtu);
  }
  /// y and J^T u together: what vjp computes in any case.
  /// @param y may be without memory
  void value_and_vjp(thread_pool* pool, block<const Scalar> x, block<const Scalar> u,
                     block<Scalar> y, block<Scalar> jtu) const {
    scratch_scope scope;
    const pass blocks = scratch_pass(scope, x, u, jtu, {}, {}, {}, false);
    if (y.data != nullptr) {
      // Boundaries that share the last one's memory move with it.
      const block<Scalar> last = blocks.values[self().depth()];
      for (index_t i = self().depth(); i > 0 && blocks.values[i].data == last.data; --i) {
        blocks.values[i] = y;
      }
    }
    fill_values(pool, blocks);
    fill_cotangents(pool, blocks);
  }

  void dual_vjp(thread_pool* pool, block<const Scalar> x, block<const Scalar>,
                block<const Scalar> v, block<const Scalar> u, block<const Scalar> w,
                block<Scalar> sx, block<Scalar> sv) const {
    scratch_scope scope;
    const pass blocks = scratch_pass(scope, x, u, sx, v, w, sv, false);
    fill_values(pool, blocks);
    fill_tangents(pool, blocks);
    fill_dual_cotangents(pool, blocks);
  }

  void gradient(thread_pool* pool, block<const Scalar> x, block<const Scalar>,
                block<const Scalar> u, Scalar* g) const {
    scratch_scope scope;
    const pass blocks = scratch_pass(scope, x, u, {});
    for_each_block<Scalar>(pool, x.count, [&](index_t first, index_t count) {
      scratch_scope inner;
      const pass part = columns_of(inner, blocks, first, count);
      fill_values(nullptr, part);
      fill_cotangents(nullptr, part, 1);
    });
    add_gradients(pool, blocks, g);
  }

  void dual_gradient(thread_pool* pool, block<const Scalar> x, block<const Scalar>,
                     block<const Scalar> v, block<const Scalar> u, block<const Scalar> w,
                     Scalar* g) const {
    scratch_scope scope;
    const pass blocks = scratch_pass(scope, x, u, {}, v, w);
    for_each_block<Scalar>(pool, x.count, [&](index_t first, index_t count) {
      scratch_scope inner;
      const pass part = columns_of(inner, blocks, first, count);
      fill_values(nullptr, part);
      fill_tangents(nullptr, part);
      fill_dual_cotangents(nullptr, part, 1);
    });
    add_dual_gradients(pool, blocks, g);
  }

  [[nodiscard]] std::vector<parameter<Scalar>> parameters() {
    std::vector<parameter<Scalar>> all;
    for (index_t i = 0; i < self().depth(); ++i) {
      const std::string prefix = self().layer_name(i) + ".";
      for (auto& one : self().visit(i, [](auto& l) { return l.parameters(); })) {
        one.name = prefix + one.name;
        all.push_back(std::move(one));
      }
    }
    return all;
  }
  void parameters_changed(thread_pool* pool) {
    for (index_t i = 0; i < self().depth(); ++i) {
      self().visit(i, [&](auto& l) { l.parameters_changed(pool); });
    }
  }
  /// Each layer from a stream of its own, that of its number; a chain among them from a seed
  /// of its own.
  void initialize(random_stream random) {
    for (index_t i = 0; i < self().depth(); ++i) {
      self().visit(i, [&](auto& l) {
        detail::initialize_layer(l, {random.seed, random.stream + static_cast<std::uint32_t>(i)});
      });
    }
  }

  // What follows are the passes in parts, for those who keep the blocks between them.

  /// Blocks in scratch memory for as long as `scope` lives.
  /// @param x, u the first values and the last cotangents; only read
  /// @param first_cotangents where those end; none where they are not filled so far
  /// @param v, w, first_tangent_cotangents of dual passes
  /// @param keep whether cotangents are kept, for gradients, or have two blocks in turn
  [[nodiscard]] pass scratch_pass(scratch_scope& scope, block<const Scalar> x,
                                  block<const Scalar> u, block<Scalar> first_cotangents,
                                  block<const Scalar> v = {}, block<const Scalar> w = {},
                                  block<Scalar> first_tangent_cotangents = {},
                                  bool keep = true) const {
    const index_t n = self().depth();
    // The layer before must not need the value that is overwritten: linear ones do not.
    const auto by_value = [&](index_t i) {
      return in_place(i) && derives_by_value(i) && i > 0 && fuses_relu(i - 1);
    };
    const auto always = [&](index_t i) { return in_place(i); };
    const auto relu = [&](index_t i) {
      return self().visit(i, [](const auto& l) { return detail::acts_as_relu(l); });
    };
    pass blocks;
    blocks.values = make_blocks(scope, x.count, by_value);
    blocks.values[0] = writable(x);
    const auto make_cotangents = [&] {
      return keep ? make_blocks(scope, x.count, always) : make_two_in_turn(scope, x.count);
    };
    blocks.cotangents = make_cotangents();
    blocks.cotangents[0] = first_cotangents;
    blocks.cotangents[n] = writable(u);
    if (v.data != nullptr) {
      blocks.tangents = make_blocks(scope, x.count, relu);
      blocks.tangents[0] = writable(v);
      blocks.tangent_cotangents = make_cotangents();
      blocks.tangent_cotangents[0] = first_tangent_cotangents;
      blocks.tangent_cotangents[n] = writable(w);
    }
    return blocks;
  }

  /// Columns first ... first + count - 1 of every block.
  [[nodiscard]] pass columns_of(scratch_scope& scope, const pass& all, index_t first,
                                index_t count) const {
    const auto narrowed = [&](const block<Scalar>* blocks) -> block<Scalar>* {
      if (blocks == nullptr) return nullptr;
      block<Scalar>* const part = scope.get<block<Scalar>>(self().depth() + 1);
      for (index_t i = 0; i <= self().depth(); ++i) part[i] = blocks[i].columns(first, count);
      return part;
    };
    return {narrowed(all.values), narrowed(all.cotangents), narrowed(all.tangents),
            narrowed(all.tangent_cotangents)};
  }

  /// values[1 ... depth] from values[0].
  void fill_values(thread_pool* pool, const pass& blocks) const {
    for (index_t i = 0; i < self().depth(); i += steps(i)) {
      step_forward(i, pool, blocks.values[i], blocks.values[i + steps(i)]);
    }
  }
  /// tangents[1 ... depth] from tangents[0] and the values.
  void fill_tangents(thread_pool* pool, const pass& blocks) const {
    for (index_t i = 0; i < self().depth(); i += steps(i)) {
      step_tangents(i, pool, blocks.values[i], blocks.values[i + steps(i)], blocks.tangents[i],
                    blocks.tangents[i + steps(i)]);
    }
  }
  /// cotangents[depth - 1 ... lowest] from cotangents[depth] and the values. Behind a fused
  /// ReLU only what lies before it is filled, which is the same memory but at the input.
  void fill_cotangents(thread_pool* pool, const pass& blocks, index_t lowest = 0) const {
    for (index_t i = self().depth() - 1; i >= lowest;) {
      if (i > lowest && gated(i)) {
        self().visit(i, [&](const auto& l) {
          detail::if_fuses_relu(l, [&](const auto& linear) {
            linear.vjp_relu(pool, blocks.cotangents[i + 1], blocks.values[i],
                            blocks.cotangents[i - 1]);
          });
        });
        i -= 2;
      } else {
        self().visit(i, [&](const auto& l) {
          l.vjp(pool, blocks.values[i], blocks.values[i + 1], blocks.cotangents[i + 1],
                blocks.cotangents[i]);
        });
        --i;
      }
    }
  }
  /// Both cotangents down to boundary `lowest` from their last, the values and the tangents.
  void fill_dual_cotangents(thread_pool* pool, const pass& blocks, index_t lowest = 0) const {
    for (index_t i = self().depth() - 1; i >= lowest;) {
      if (i > lowest && gated(i)) {
        self().visit(i, [&](const auto& l) {
          detail::if_fuses_relu(l, [&](const auto& linear) {
            linear.vjp_relu(pool, blocks.cotangents[i + 1], blocks.values[i],
                            blocks.cotangents[i - 1]);
            linear.vjp_relu(pool, blocks.tangent_cotangents[i + 1], blocks.values[i],
                            blocks.tangent_cotangents[i - 1]);
          });
        });
        i -= 2;
      } else {
        self().visit(i, [&](const auto& l) {
          l.dual_vjp(pool, blocks.values[i], blocks.values[i + 1], blocks.tangents[i],
                     blocks.cotangents[i + 1], blocks.tangent_cotangents[i + 1],
                     blocks.cotangents[i], blocks.tangent_cotangents[i]);
        });
        --i;
      }
    }
  }
  /// g += the gradients of all layers, from filled blocks.
  void add_gradients(thread_pool* pool, const pass& blocks, Scalar* g) const {
    for (index_t i = 0; i < self().depth(); ++i) {
      g += self().visit(i, [&](const auto& l) {
        l.gradient(pool, blocks.values[i], blocks.values[i + 1], blocks.cotangents[i + 1], g);
        return parameter_count(l);
      });
    }
  }
  /// The same from filled dual blocks.
  void add_dual_gradients(thread_pool* pool, const pass& blocks, Scalar* g) const {
    for (index_t i = 0; i < self().depth(); ++i) {
      g += self().visit(i, [&](const auto& l) {
        l.dual_gradient(pool, blocks.values[i], blocks.values[i + 1], blocks.tangents[i],
                        blocks.cotangents[i + 1], blocks.tangent_cotangents[i + 1], g);
        return parameter_count(l);
      });
    }
  }

 protected:
  ~LayerChain() = default;

  /// Throws `size_error` unless each layer takes what the one before it gives, and
  /// `argument_error` if a layer with parameters works in place.
  void require_fit(std::string_view where) const {
    for (index_t i = 0; i < self().depth(); ++i) {
      require(
          !in_place(i) || self().visit(i, [](const auto& l) { return parameter_count(l); }) == 0,
          where,
          "layer " + self().layer_name(i) +
              " has parameters and works in place: its gradient would be taken where its "
              "cotangent is overwritten");
    }
    for (index_t i = 1; i < self().depth(); ++i) {
      const tensor_shape given = shape_at(i);
      const tensor_shape taken =
          self().visit(i, [](const auto& l) -> tensor_shape { return l.input_shape(); });
      if (given == taken) continue;
      throw size_error(std::string(where) + ": layer " + self().layer_name(i) + " takes " +
                       to_string(taken) + ", the one before it gives " + to_string(given));
    }
  }

 private:
  /// Two blocks that change roles.
  class two_blocks {
   public:
    two_blocks(scratch_scope& scope, index_t size, index_t count) {
      const index_t stride = detail::column_stride<Scalar>(size);
      for (block<Scalar>& one : blocks_) one = {scope.get<Scalar>(stride * count), stride, count};
    }
    [[nodiscard]] block<Scalar> other() {
      std::swap(blocks_[0], blocks_[1]);
      return blocks_[0];
    }
    [[nodiscard]] block<Scalar> kept() const { return blocks_[0]; }

   private:
    block<Scalar> blocks_[2];
  };

  [[nodiscard]] const Derived& self() const noexcept { return static_cast<const Derived&>(*this); }
  [[nodiscard]] Derived& self() noexcept { return static_cast<Derived&>(*this); }

  [[nodiscard]] bool in_place(index_t i) const {
    return self().visit(i, [](const auto& l) { return detail::works_in_place(l); });
  }
  [[nodiscard]] bool derives_by_value(index_t i) const {
    return self().visit(i, [](const auto& l) { return detail::derives_by_value(l); });
  }
  [[nodiscard]] bool fuses_relu(index_t i) const {
    return self().visit(i, [](const auto& l) { return detail::fuses_relu(l); });
  }
  [[nodiscard]] bool acts_as_relu(index_t i) const {
    return self().visit(i, [](const auto& l) { return detail::acts_as_relu(l); });
  }
  /// Layers that step_forward takes at once: 2 where a ReLU follows a linear layer.
  [[nodiscard]] index_t steps(index_t i) const {
    return i + 1 < self().depth() && fuses_relu(i) && acts_as_relu(i + 1) ? 2 : 1;
  }
  /// Whether layer i takes the derivative of the ReLU before it along.
  [[nodiscard]] bool gated(index_t i) const { return fuses_relu(i) && acts_as_relu(i - 1); }

  void step_forward(index_t i, thread_pool* pool, block<const Scalar> x, block<Scalar> y) const {
    const bool fused = steps(i) == 2;
    self().visit(i, [&](const auto& l) {
      if (fused) {
        detail::if_fuses_relu(l, [&](const auto& linear) { linear.forward_relu(pool, x, y); });
      } else {
        l.forward(pool, x, y);
      }
    });
  }
  void step_tangents(index_t i, thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                     block<const Scalar> v, block<Scalar> jv) const {
    const bool fused = steps(i) == 2;
    self().visit(i, [&](const auto& l) {
      if (fused) {
        detail::if_fuses_relu(l, [&](const auto& linear) { linear.jvp_relu(pool, v, y, jv); });
      } else {
        l.jvp(pool, x, y, v, jv);
      }
    });
  }
  [[nodiscard]] index_t widest() const {
    index_t size = 0;
    for (index_t i = 0; i <= self().depth(); ++i) size = std::max(size, shape_at(i).size());
    return size;
  }

  static block<Scalar> writable(block<const Scalar> x) {
    return {const_cast<Scalar*>(x.data), x.stride, x.count};
  }
  /// Two blocks in turn for the boundaries but the first; what an in-place layer joins is
  /// one block.
  block<Scalar>* make_two_in_turn(scratch_scope& scope, index_t count) const {
    two_blocks turns(scope, widest(), count);
    const index_t n = self().depth();
    block<Scalar>* const blocks = scope.get<block<Scalar>>(n + 1);
    for (index_t i = 1; i <= n; ++i) {
      blocks[i] = i > 1 && in_place(i - 1) ? turns.kept() : turns.other();
    }
    return blocks;
  }
  /// A block for every boundary but the first; where shares(i), boundary i + 1 has the
  /// memory of boundary i.
  template <class Shares>
  block<Scalar>* make_blocks(scratch_scope& scope, index_t count, const Shares& shares) const {
    const index_t n = self().depth();
    block<Scalar>* const blocks = scope.get<block<Scalar>>(n + 1);
    for (index_t i = 1; i <= n; ++i) {
      if (i > 1 && shares(i - 1)) {
        blocks[i] = blocks[i - 1];
      } else {
        const index_t stride = detail::column_stride<Scalar>(shape_at(i).size());
        blocks[i] = {scope.get<Scalar>(stride * count), stride, count};
      }
    }
    return blocks;
  }
};

/// f(first, count) on blocks of columns that share the threads of the pool: blocks of as
/// many columns as a tile has, of fewer where every thread would not have one. What f
/// computes of a column must not depend on its block.
template <class Scalar, class F>
void for_each_block(thread_pool* pool, index_t columns, const F& f) {
  constexpr index_t most = detail::tile_columns<Scalar>;
  const index_t threads = pool == nullptr ? 1 : pool->size();
  index_t size = 1;
  while (size < most && size * threads < columns) {
    size = size == 1 ? 2 : size == 2 ? most / 2 : most;  // those of for_each_tile
  }
  const index_t blocks = (columns + size - 1) / size;
  const auto run = [&](index_t i) { f(i * size, std::min(size, columns - i * size)); };
  if (pool != nullptr && blocks >= threads) {
    pool->run(blocks, run);
  } else {
    for (index_t i = 0; i < blocks; ++i) run(i);
  }
}

}  // namespace basin
