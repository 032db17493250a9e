/// @file
/// The sum of two layers side by side, on a device.
#pragma once

#include <memory>
#include <utility>

#include <basin/nn/cuda/device_layer.hpp>
#include <basin/nn/residual.hpp>

namespace basin {

/// y = body(x) + skip(x), see Residual. Cost of each pass: that of both and one launch, an
/// addition an element; derivatives also compute the value of a part that needs it. Memory:
/// scratch for one block of the output, or of the input in vjp, and for such a value.
template <class Scalar>
class DeviceResidual final : public DeviceLayer<Scalar> {
 public:
  using typename DeviceLayer<Scalar>::view;
  using typename DeviceLayer<Scalar>::const_view;

  template <class Body, class Skip, class Known>
  DeviceResidual(const cuda<Scalar>& be, const Residual<Body, Skip>& l, const Known& known)
      : DeviceLayer<Scalar>(l.input_shape(), l.output_shape()),
        body_(detail::make_device_layer(be, l.body(), known.inside("body"))),
        skip_(detail::make_device_layer(be, l.skip(), known.inside("skip"))) {}
  DeviceResidual(const DeviceResidual& other)
      : DeviceLayer<Scalar>(other), body_(other.body_->clone()), skip_(other.skip_->clone()) {}
  DeviceResidual(DeviceResidual&&) noexcept = default;
  DeviceResidual& operator=(DeviceResidual other) noexcept {
    DeviceLayer<Scalar>::operator=(other);
    std::swap(body_, other.body_);
    std::swap(skip_, other.skip_);
    return *this;
  }
  ~DeviceResidual() override = default;

  [[nodiscard]] std::unique_ptr<DeviceLayer<Scalar>> clone() const override {
    return std::make_unique<DeviceResidual>(*this);
  }
  template <class Body, class Skip, class Known>
  void update(const cuda<Scalar>& be, const Residual<Body, Skip>& l, const Known& known) {
    detail::update_device_layer(be, *body_, l.body(), known.inside("body"));
    detail::update_device_layer(be, *skip_, l.skip(), known.inside("skip"));
  }

  void forward(const device_pass<Scalar>& pass, const const_view& x, const view& y) const override {
    DeviceScratch::scope scope(pass.scratch);
    const view other = pass.scratch.template block<Scalar>(y.rows(), y.cols());
    body_->forward(pass, x, y);
    skip_->forward(pass, x, other);
    axpby(pass.be, 1, other, 1, y);
  }
  void jvp(const device_pass<Scalar>& pass, const const_view& x, const const_view&,
           const const_view& v, const view& jv) const override {
    DeviceScratch::scope scope(pass.scratch);
    const view other = pass.scratch.template block<Scalar>(jv.rows(), jv.cols());
    body_->jvp(pass, x, value(pass, *body_, x), v, jv);
    skip_->jvp(pass, x, value(pass, *skip_, x), v, other);
    axpby(pass.be, 1, other, 1, jv);
  }
  void vjp(const device_pass<Scalar>& pass, const const_view& x, const const_view&,
           const const_view& u, const view& jtu) const override {
    DeviceScratch::scope scope(pass.scratch);
    const view other = pass.scratch.template block<Scalar>(jtu.rows(), jtu.cols());
    body_->vjp(pass, x, value(pass, *body_, x), u, jtu);
    skip_->vjp(pass, x, value(pass, *skip_, x), u, other);
    axpby(pass.be, 1, other, 1, jtu);
  }

 private:
  /// The part's value at x, where its derivatives read it.
  [[nodiscard]] static const_view value(const device_pass<Scalar>& pass,
                                        const DeviceLayer<Scalar>& part, const const_view& x) {
    if (!part.needs_value()) return {nullptr, 0, 0, 0};
    const view y = pass.scratch.template block<Scalar>(x.rows(), part.output_shape().size());
    part.forward(pass, x, y);
    return y;
  }

  std::unique_ptr<DeviceLayer<Scalar>> body_;
  std::unique_ptr<DeviceLayer<Scalar>> skip_;
};

template <class Body, class Skip>
struct device_form<Residual<Body, Skip>> {
  using type = DeviceResidual<typename Body::scalar>;
};

}  // namespace basin
