/// @file
/// Flatten and unflatten, with PyTorch's order of elements.
#pragma once

#include <algorithm>
#include <vector>

#include <basin/nn/layer.hpp>

namespace basin {

/// The same elements in CHW order under another shape (PyTorch's reshape).
///
/// The engine's memory is HWC, so that the elements change places, unless both shapes have
/// one channel or one pixel (tensor_shape::order_free) or are the same. `dense` needs no
/// reshape before it or after it: it takes and gives images by itself, its weights in
/// PyTorch's order. Cost of each pass: a copy of the column; dual_vjp copies two. Memory:
/// an index an element where they change places.
template <class Scalar>
class Reshape : public without_parameters<Scalar> {
 public:
  /// @throws argument_error unless both are shapes of tensors
  /// @throws size_error unless they have as many elements
  Reshape(const tensor_shape& from, const tensor_shape& to) : from_(from), to_(to) {
    require_shape("reshape", from);
    require_shape("reshape", to);
    require_size("reshape from " + to_string(from) + " to " + to_string(to), "number of elements",
                 to.size(), from.size());
    if (from == to || (from.order_free() && to.order_free())) return;
    source_.reserve(static_cast<std::size_t>(to.size()));
    for (index_t i = 0; i < to.size(); ++i) {
      const index_t row = to.border_row(i);
      source_.push_back(row % from.pixels() * from.channels + row / from.pixels());
    }
  }

  [[nodiscard]] const tensor_shape& input_shape() const noexcept { return from_; }
  [[nodiscard]] const tensor_shape& output_shape() const noexcept { return to_; }

  void forward(thread_pool*, block<const Scalar> x, block<Scalar> y) const {
    move(x, y, [](const Scalar* from, Scalar* to, index_t source, index_t target) {
      to[target] = from[source];
    });
  }
  void jvp(thread_pool* pool, block<const Scalar>, block<const Scalar>, block<const Scalar> v,
           block<Scalar> jv) const {
    forward(pool, v, jv);
  }
  void vjp(thread_pool*, block<const Scalar>, block<const Scalar>, block<const Scalar> u,
           block<Scalar> jtu) const {
    move(u, jtu, [](const Scalar* from, Scalar* to, index_t source, index_t target) {
      to[source] = from[target];
    });
  }
  void dual_vjp(thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                block<const Scalar>, block<const Scalar> u, block<const Scalar> w, block<Scalar> sx,
                block<Scalar> sv) const {
    vjp(pool, x, y, u, sx);
    vjp(pool, x, y, w, sv);
  }

 private:
  template <class F>
  void move(block<const Scalar> from, block<Scalar> to, const F& one) const {
    for (index_t j = 0; j < from.count; ++j) {
      if (source_.empty()) {
        std::copy_n(from.column(j), from_.size(), to.column(j));
      } else {
        for (index_t i = 0; i < to_.size(); ++i) {
          one(from.column(j), to.column(j), source_[static_cast<std::size_t>(i)], i);
        }
      }
    }
  }

  tensor_shape from_;
  tensor_shape to_;
  std::vector<index_t> source_;  ///< element of x that element i of y is; empty: the same
};

/// An image as a vector of its elements in CHW order (PyTorch's Flatten).
/// @throws argument_error unless `from` is the shape of a tensor
template <class Scalar>
[[nodiscard]] Reshape<Scalar> flatten(const tensor_shape& from) {
  require_shape("flatten", from);
  return {from, {from.size(), 1, 1}};
}

/// A vector of elements in CHW order as an image (PyTorch's Unflatten).
/// @throws argument_error unless `to` is the shape of a tensor
template <class Scalar>
[[nodiscard]] Reshape<Scalar> unflatten(const tensor_shape& to) {
  require_shape("unflatten", to);
  return {{to.size(), 1, 1}, to};
}

}  // namespace basin
