/// @file
/// An elementwise function as a layer.
#pragma once

#include <utility>

#include <basin/backend/cpu/packet.hpp>
#include <basin/backend/functors.hpp>
#include <basin/nn/layer.hpp>

namespace basin {

/// y_i = function(x_i), by a functor of backend/functors.hpp or one like it with
/// derivative and second_derivative. Every output block may be one of the inputs.
/// Cost: a call of the function or of its derivatives an element.
template <class Scalar, class Function>
class Elementwise : public without_parameters<Scalar> {
 public:
  explicit Elementwise(const tensor_shape& shape, Function function = {})
      : shape_(shape), function_(function) {}

  [[nodiscard]] const tensor_shape& input_shape() const noexcept { return shape_; }
  [[nodiscard]] const tensor_shape& output_shape() const noexcept { return shape_; }
  [[nodiscard]] const Function& function() const noexcept { return function_; }

  void forward(thread_pool*, block<const Scalar> x, block<Scalar> y) const {
    for (index_t j = 0; j < x.count; ++j) {
      detail::transform_run(function_, shape_.size(), y.column(j), x.column(j));
    }
  }
  void jvp(thread_pool*, block<const Scalar> x, block<const Scalar> y, block<const Scalar> v,
           block<Scalar> jv) const {
    const auto multiply = [&](const Scalar& at, const Scalar& value, const Scalar& direction) {
      return function_.derivative(at, value) * direction;
    };
    for (index_t j = 0; j < x.count; ++j) {
      detail::transform_run(multiply, shape_.size(), jv.column(j), x.column(j), y.column(j),
                            v.column(j));
    }
  }
  void vjp(thread_pool* pool, block<const Scalar> x, block<const Scalar> y, block<const Scalar> u,
           block<Scalar> jtu) const {
    jvp(pool, x, y, u, jtu);
  }
  void dual_vjp(thread_pool*, block<const Scalar> x, block<const Scalar> y, block<const Scalar> v,
                block<const Scalar> u, block<const Scalar> w, block<Scalar> sx,
                block<Scalar> sv) const {
    for (index_t j = 0; j < x.count; ++j) {
      for (index_t i = 0; i < shape_.size(); ++i) {
        const Scalar at = x.column(j)[i];
        const Scalar value = y.column(j)[i];
        const Scalar slope = function_.derivative(at, value);
        const Scalar both = w.column(j)[i];
        const Scalar curvature = function_.second_derivative(at, value) * v.column(j)[i];
        sx.column(j)[i] = slope * u.column(j)[i] + curvature * both;
        sv.column(j)[i] = slope * both;
      }
    }
  }

 private:
  tensor_shape shape_;
  Function function_;
};

}  // namespace basin
