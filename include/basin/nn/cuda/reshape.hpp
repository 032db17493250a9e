/// @file
/// Reshapes, and the first rows of a vector, on a device.
#pragma once

#include <memory>

#include <basin/nn/cuda/device_layer.hpp>
#include <basin/nn/first_rows.hpp>
#include <basin/nn/reshape.hpp>

namespace basin {

/// The same elements under another shape: blocks are in CHW order, so that nothing moves. Cost:
/// nothing where the output block is the input block, else one launch, a copy.
template <class Scalar>
class DeviceReshape final : public DeviceLayer<Scalar> {
 public:
  using typename DeviceLayer<Scalar>::view;
  using typename DeviceLayer<Scalar>::const_view;

  DeviceReshape(const cuda<Scalar>&, const Reshape<Scalar>& l)
      : DeviceLayer<Scalar>(l.input_shape(), l.output_shape()) {}

  [[nodiscard]] std::unique_ptr<DeviceLayer<Scalar>> clone() const override {
    return std::make_unique<DeviceReshape>(*this);
  }
  void forward(const device_pass<Scalar>& pass, const const_view& x, const view& y) const override {
    if (x.data() != y.data()) copy(pass.be, x, y);
  }
  void jvp(const device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& v, const view& jv) const override {
    forward(pass, v, jv);
  }
  void vjp(const device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& u, const view& jtu) const override {
    forward(pass, u, jtu);
  }
  [[nodiscard]] bool in_place() const override { return true; }
  [[nodiscard]] bool needs_input() const override { return false; }
};

namespace detail {
/// The first rows of x, and zeros behind them.
template <class Scalar>
struct first_rows_entry {
  index_t rows;
  device_view<const Scalar> x;
  device_view<Scalar> y;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i / y.rows();
    const index_t state = i - row * y.rows();
    y(state, row) = row < rows ? x(state, row) : Scalar(0);
  }
};
}  // namespace detail

/// The first rows of a vector, see FirstRows. Cost: one launch a pass, a copy.
template <class Scalar>
class DeviceFirstRows final : public DeviceLayer<Scalar> {
 public:
  using typename DeviceLayer<Scalar>::view;
  using typename DeviceLayer<Scalar>::const_view;

  DeviceFirstRows(const cuda<Scalar>&, const FirstRows<Scalar>& l)
      : DeviceLayer<Scalar>(l.input_shape(), l.output_shape()) {}

  [[nodiscard]] std::unique_ptr<DeviceLayer<Scalar>> clone() const override {
    return std::make_unique<DeviceFirstRows>(*this);
  }
  void forward(const device_pass<Scalar>& pass, const const_view& x, const view& y) const override {
    take(pass.be, x, y);
  }
  void jvp(const device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& v, const view& jv) const override {
    take(pass.be, v, jv);
  }
  void vjp(const device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& u, const view& jtu) const override {
    take(pass.be, u, jtu);
  }
  [[nodiscard]] bool needs_input() const override { return false; }

 private:
  void take(const cuda<Scalar>& be, const const_view& from, const view& to) const {
    for_each_index(be, to.rows() * to.cols(),
                   detail::first_rows_entry<Scalar>{this->output_shape().size(), from, to});
  }
};

template <class Scalar>
struct device_form<Reshape<Scalar>> {
  using type = DeviceReshape<Scalar>;
};
template <class Scalar>
struct device_form<FirstRows<Scalar>> {
  using type = DeviceFirstRows<Scalar>;
};

}  // namespace basin
