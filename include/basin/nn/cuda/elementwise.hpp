/// @file
/// An elementwise function as a layer on a device.
#pragma once

#include <memory>

#include <basin/nn/chain.hpp>
#include <basin/nn/cuda/device_layer.hpp>
#include <basin/nn/elementwise.hpp>

namespace basin {

namespace detail {
/// f'(x) v where y = f(x).
template <class Function>
struct times_slope {
  Function function;
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x, const T& y, const T& v) const {
    return function.derivative(x, y) * v;
  }
};
}  // namespace detail

/// y_i = function(x_i), by any functor of Elementwise whose members are marked
/// BASIN_HOST_DEVICE. Every output block may be one of the inputs. Cost of each pass: one
/// launch, a call of the function or of its derivative an element; 2 numbers of memory traffic
/// an element in forward, 4 in the others.
template <class Scalar, class Function>
class DeviceElementwise final : public DeviceLayer<Scalar> {
 public:
  using typename DeviceLayer<Scalar>::view;
  using typename DeviceLayer<Scalar>::const_view;

  DeviceElementwise(const cuda<Scalar>&, const Elementwise<Scalar, Function>& l)
      : DeviceLayer<Scalar>(l.input_shape(), l.output_shape()), function_(l.function()) {}

  [[nodiscard]] std::unique_ptr<DeviceLayer<Scalar>> clone() const override {
    return std::make_unique<DeviceElementwise>(*this);
  }
  void forward(const device_pass<Scalar>& pass, const const_view& x, const view& y) const override {
    detail::transform_matrices(pass.be, function_, y, x);
  }
  void jvp(const device_pass<Scalar>& pass, const const_view& x, const const_view& y,
           const const_view& v, const view& jv) const override {
    detail::transform_matrices(pass.be, detail::times_slope<Function>{function_}, jv, x, y, v);
  }
  void vjp(const device_pass<Scalar>& pass, const const_view& x, const const_view& y,
           const const_view& u, const view& jtu) const override {
    jvp(pass, x, y, u, jtu);
  }
  [[nodiscard]] bool in_place() const override { return true; }
  [[nodiscard]] bool needs_value() const override { return true; }
  [[nodiscard]] bool needs_input() const override {
    return !detail::layer_traits<Elementwise<Scalar, Function>>::by_value;
  }

 private:
  Function function_;
};

template <class Scalar, class Function>
struct device_form<Elementwise<Scalar, Function>> {
  using type = DeviceElementwise<Scalar, Function>;
};

}  // namespace basin
