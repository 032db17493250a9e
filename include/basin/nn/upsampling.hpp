/// @file
/// Nearest-neighbour upsampling by whole factors.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include <basin/nn/layer.hpp>
#include <basin/nn/tensor_shape.hpp>

namespace basin {

/// Every pixel repeated as a rectangle of pixels (PyTorch's Upsample, mode "nearest").
///
/// Cost of each pass: a copy of, or an addition for, every element of the output; dual_vjp
/// costs two vjp. No memory. The layer is linear.
template <class Scalar>
class NearestUpsampling : public without_parameters<Scalar> {
 public:
  /// @copydoc nearest_upsampling
  NearestUpsampling(const tensor_shape& from, const extent& factor) : from_(from), factor_(factor) {
    constexpr std::string_view where = "nearest_upsampling";
    constexpr index_t most = index_t{1} << 40;  // as in require_shape: the products do not overflow
    require_shape(where, from);
    require(factor.height >= 1 && factor.width >= 1 && factor.height <= most / from.height &&
                factor.width <= most / from.width,
            where,
            "the factors " + std::to_string(factor.height) + " and " +
                std::to_string(factor.width) + " of the input " + to_string(from) +
                " are out of range");
    to_ = {from.channels, from.height * factor.height, from.width * factor.width};
    require_shape(where, to_);
  }

  [[nodiscard]] const tensor_shape& input_shape() const noexcept { return from_; }
  [[nodiscard]] const tensor_shape& output_shape() const noexcept { return to_; }
  [[nodiscard]] const extent& factor() const noexcept { return factor_; }

  void forward(thread_pool*, block<const Scalar> x, block<Scalar> y) const {
    for (index_t j = 0; j < x.count; ++j) {
      for_each_pair([&](index_t source, index_t target) {
        std::copy_n(x.column(j) + source, from_.channels, y.column(j) + target);
      });
    }
  }
  void jvp(thread_pool* pool, block<const Scalar>, block<const Scalar>, block<const Scalar> v,
           block<Scalar> jv) const {
    forward(pool, v, jv);
  }
  void vjp(thread_pool*, block<const Scalar>, block<const Scalar>, block<const Scalar> u,
           block<Scalar> jtu) const {
    for (index_t j = 0; j < u.count; ++j) {
      std::fill_n(jtu.column(j), from_.size(), Scalar(0));
      for_each_pair([&](index_t source, index_t target) {
        Scalar* const sum = jtu.column(j) + source;
        const Scalar* const value = u.column(j) + target;
        for (index_t c = 0; c < from_.channels; ++c) sum[c] += value[c];
      });
    }
  }
  void dual_vjp(thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                block<const Scalar>, block<const Scalar> u, block<const Scalar> w, block<Scalar> sx,
                block<Scalar> sv) const {
    vjp(pool, x, y, u, sx);
    vjp(pool, x, y, w, sv);
  }

 private:
  /// f(first element of the source pixel, that of the target pixel), by ascending target.
  template <class F>
  void for_each_pair(const F& f) const {
    index_t target = 0;
    for (index_t r = 0; r < to_.height; ++r) {
      for (index_t c = 0; c < to_.width; ++c, target += to_.channels) {
        f((r / factor_.height * from_.width + c / factor_.width) * from_.channels, target);
      }
    }
  }

  tensor_shape from_;
  tensor_shape to_;
  extent factor_;
};

/// Upsampling by whole factors; channels × (H × factor height) × (W × factor width).
/// @param from shape of a state
/// @param factor of the height and of the width
/// @throws argument_error unless both factors are at least 1 and the output is a tensor
template <class Scalar>
[[nodiscard]] NearestUpsampling<Scalar> nearest_upsampling(const tensor_shape& from,
                                                           const extent& factor) {
  return {from, factor};
}

}  // namespace basin
