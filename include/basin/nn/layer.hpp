/// @file
/// What a layer is, and its parameters.
///
/// A layer takes columns of one tensor shape to columns of another, on the CPU. All
/// blocks are in the engine's layout (nn/block.hpp), with as many columns each, and
/// must not overlap unless it is said. With J the Jacobian at x, y the layer's value
/// at x, u and w cotangents of the output, v a tangent of the input:
///
///   forward(pool, x, y)                          y
///   jvp(pool, x, y, v, jv)                       J v
///   vjp(pool, x, y, u, jtu)                      J^T u
///   dual_vjp(pool, x, y, v, u, w, sx, sv)        gradients of s = <u, y> + <w, J v>
///                                                with respect to x and v
///   gradient(pool, x, y, u, g)                   g += d<u, y> / d parameters
///   dual_gradient(pool, x, y, v, u, w, g)        g += ds / d parameters
///
/// dual_vjp is reverse mode over forward mode: what a penalty on the Jacobian needs.
/// `pool` may be null; a layer may share its work over its threads where there are few
/// columns. g holds the parameters one after the other, in the order of parameters().
#pragma once

#include <concepts>
#include <string>
#include <vector>

#include <basin/backend/array_view.hpp>
#include <basin/backend/cpu/thread_pool.hpp>
#include <basin/core/random.hpp>
#include <basin/nn/block.hpp>
#include <basin/nn/tensor_shape.hpp>

namespace basin {

/// A named array of a layer's parameters, in PyTorch's memory order.
template <class Scalar>
struct parameter {
  std::string name;            ///< as in a PyTorch state dict, e.g. "weight"
  std::vector<index_t> shape;  ///< as in PyTorch
  array_view<Scalar> values;
};

/// A layer of the engine.
template <class L>
concept layer =
    std::copyable<L> &&
    requires(const L& l, L& changing, thread_pool* pool, block<const typename L::scalar> x,
             block<typename L::scalar> y, typename L::scalar* g, random_stream random) {
      { l.input_shape() } -> std::convertible_to<tensor_shape>;
      { l.output_shape() } -> std::convertible_to<tensor_shape>;
      l.forward(pool, x, y);
      l.jvp(pool, x, x, x, y);
      l.vjp(pool, x, x, x, y);
      l.dual_vjp(pool, x, x, x, x, x, y, y);
      l.gradient(pool, x, x, x, g);
      l.dual_gradient(pool, x, x, x, x, x, g);
      { changing.parameters() } -> std::same_as<std::vector<parameter<typename L::scalar>>>;
      changing.parameters_changed(pool);
      changing.initialize(random);
    };

/// What layers without parameters have in common.
template <class Scalar>
struct without_parameters {
  using scalar = Scalar;
  void gradient(thread_pool*, block<const Scalar>, block<const Scalar>, block<const Scalar>,
                Scalar*) const {}
  void dual_gradient(thread_pool*, block<const Scalar>, block<const Scalar>, block<const Scalar>,
                     block<const Scalar>, block<const Scalar>, Scalar*) const {}
  [[nodiscard]] std::vector<parameter<Scalar>> parameters() { return {}; }
  void parameters_changed(thread_pool*) {}
  void initialize(random_stream) {}
};

/// Number of parameters.
template <class L>
[[nodiscard]] index_t parameter_count(const L& l) {
  index_t count = 0;
  for (const auto& one : const_cast<L&>(l).parameters()) count += one.values.size;
  return count;
}

}  // namespace basin
