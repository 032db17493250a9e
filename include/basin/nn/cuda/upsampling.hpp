/// @file
/// Nearest-neighbour upsampling on a device.
#pragma once

#include <memory>

#include <basin/nn/cuda/device_layer.hpp>
#include <basin/nn/upsampling.hpp>

namespace basin {
namespace detail {

/// y = the number of the source pixel.
template <class Scalar>
struct repeat_pixel {
  index_t from_height, from_width, factor_height, factor_width;
  device_view<const Scalar> x;
  device_view<Scalar> y;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i / y.rows();
    const index_t state = i - row * y.rows();
    const index_t width = from_width * factor_width;
    const index_t line = row / width;  // of all channels
    const index_t column = row - line * width;
    y(state, row) = x(state, line / factor_height * from_width + column / factor_width);
  }
};

/// The sum over the rectangle that a source pixel became.
template <class Scalar>
struct sum_of_repeats {
  index_t from_width, factor_height, factor_width;
  device_view<const Scalar> u;
  device_view<Scalar> to;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i / to.rows();
    const index_t state = i - row * to.rows();
    const index_t line = row / from_width;
    const index_t column = row - line * from_width;
    const index_t width = from_width * factor_width;
    Scalar sum = 0;
    for (index_t a = 0; a < factor_height; ++a) {
      for (index_t b = 0; b < factor_width; ++b) {
        sum += u(state, (line * factor_height + a) * width + column * factor_width + b);
      }
    }
    to(state, row) = sum;
  }
};

}  // namespace detail

/// Every pixel repeated, see NearestUpsampling. Cost: one launch a pass, a copy or an addition
/// for every element of the output.
template <class Scalar>
class DeviceUpsampling final : public DeviceLayer<Scalar> {
 public:
  using typename DeviceLayer<Scalar>::view;
  using typename DeviceLayer<Scalar>::const_view;

  DeviceUpsampling(const cuda<Scalar>&, const NearestUpsampling<Scalar>& l)
      : DeviceLayer<Scalar>(l.input_shape(), l.output_shape()), factor_(l.factor()) {}

  [[nodiscard]] std::unique_ptr<DeviceLayer<Scalar>> clone() const override {
    return std::make_unique<DeviceUpsampling>(*this);
  }
  void forward(const device_pass<Scalar>& pass, const const_view& x, const view& y) const override {
    for_each_index(
        pass.be, y.rows() * y.cols(),
        detail::repeat_pixel<Scalar>{this->input_shape().height, this->input_shape().width,
                                     factor_.height, factor_.width, x, y});
  }
  void jvp(const device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& v, const view& jv) const override {
    forward(pass, v, jv);
  }
  void vjp(const device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& u, const view& jtu) const override {
    for_each_index(pass.be, jtu.rows() * jtu.cols(),
                   detail::sum_of_repeats<Scalar>{this->input_shape().width, factor_.height,
                                                  factor_.width, u, jtu});
  }
  [[nodiscard]] bool needs_input() const override { return false; }

 private:
  extent factor_;
};

template <class Scalar>
struct device_form<NearestUpsampling<Scalar>> {
  using type = DeviceUpsampling<Scalar>;
};

}  // namespace basin
