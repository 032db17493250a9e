/// @file
/// Pooling layers on a device.
#pragma once

#include <memory>

#include <basin/core/finite.hpp>
#include <basin/nn/cuda/device_layer.hpp>
#include <basin/nn/pooling.hpp>

namespace basin {
namespace detail {

/// The windows of a pooling as plain numbers.
struct device_windows {
  tensor_shape from;
  tensor_shape to;
  extent kernel;
  extent stride;
  extent padding;

  explicit device_windows(const pooling_windows& windows)
      : from(windows.input_shape()),
        to(windows.output_shape()),
        kernel(windows.kernel()),
        stride(windows.stride()),
        padding(windows.padding()) {}

  /// First and one past the last of something along one direction.
  struct range {
    index_t begin;
    index_t end;
  };
  /// The pixels of window i along one direction, those of padding left out.
  [[nodiscard]] BASIN_HOST_DEVICE static range pixels(index_t i, index_t kernel, index_t stride,
                                                      index_t padding, index_t size) {
    const index_t first = i * stride - padding;
    const index_t last = first + kernel;
    return {first > 0 ? first : 0, last < size ? last : size};
  }
  /// The windows that hold pixel i.
  [[nodiscard]] BASIN_HOST_DEVICE static range windows(index_t i, index_t kernel, index_t stride,
                                                       index_t padding, index_t count) {
    const index_t from_last = i + padding - kernel + 1;  // first pixel of the first such window
    const index_t first = from_last > 0 ? (from_last + stride - 1) / stride : 0;
    const index_t last = (i + padding) / stride + 1;
    return {first, last < count ? last : count};
  }
  [[nodiscard]] BASIN_HOST_DEVICE range rows(index_t r) const {
    return pixels(r, kernel.height, stride.height, padding.height, from.height);
  }
  [[nodiscard]] BASIN_HOST_DEVICE range columns(index_t c) const {
    return pixels(c, kernel.width, stride.width, padding.width, from.width);
  }
  /// f(r, c) for the windows that hold pixel (r, c) of the source, by ascending target.
  template <class F>
  BASIN_HOST_DEVICE void for_each_window(index_t row, index_t column, const F& f) const {
    const range r = windows(row, kernel.height, stride.height, padding.height, to.height);
    const range c = windows(column, kernel.width, stride.width, padding.width, to.width);
    for (index_t a = r.begin; a < r.end; ++a) {
      for (index_t b = c.begin; b < c.end; ++b) f(a, b);
    }
  }
};

/// The pixel of the largest number of window (r, c): of equals the first, of NaN the last.
template <class Scalar>
[[nodiscard]] BASIN_HOST_DEVICE index_t largest_of(const device_windows& at,
                                                   const device_view<const Scalar>& x,
                                                   index_t state, index_t channel, index_t r,
                                                   index_t c) {
  const device_windows::range rows = at.rows(r);
  const device_windows::range columns = at.columns(c);
  const index_t first = channel * at.from.height * at.from.width;
  index_t chosen = rows.begin * at.from.width + columns.begin;
  Scalar best = x(state, first + chosen);
  for (index_t a = rows.begin; a < rows.end; ++a) {
    for (index_t b = columns.begin; b < columns.end; ++b) {
      const Scalar value = x(state, first + a * at.from.width + b);
      if (value > best || is_nan(value)) {
        best = value;
        chosen = a * at.from.width + b;
      }
    }
  }
  return chosen;
}

/// The number of `from` where x is largest.
template <class Scalar>
struct pick_largest {
  device_windows at;
  device_view<const Scalar> x;
  device_view<const Scalar> from;
  device_view<Scalar> to;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i / to.rows();
    const index_t state = i - row * to.rows();
    const index_t pixels = at.to.height * at.to.width;
    const index_t channel = row / pixels;
    const index_t pixel = row - channel * pixels;
    const index_t chosen =
        largest_of(at, x, state, channel, pixel / at.to.width, pixel % at.to.width);
    to(state, row) = from(state, channel * at.from.height * at.from.width + chosen);
  }
};

/// The sum of what chose a number of x: each of its windows is searched again, so that no two
/// threads write to one number, and the sum has one order.
template <class Scalar>
struct sum_of_largest {
  device_windows at;
  device_view<const Scalar> x;
  device_view<const Scalar> u;
  device_view<Scalar> to;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i / to.rows();
    const index_t state = i - row * to.rows();
    const index_t pixels = at.from.height * at.from.width;
    const index_t channel = row / pixels;
    const index_t pixel = row - channel * pixels;
    Scalar sum = 0;
    at.for_each_window(pixel / at.from.width, pixel % at.from.width, [&](index_t r, index_t c) {
      if (largest_of(at, x, state, channel, r, c) == pixel) {
        sum += u(state, (channel * at.to.height + r) * at.to.width + c);
      }
    });
    to(state, row) = sum;
  }
};

/// Pixels that an average counts.
[[nodiscard]] BASIN_HOST_DEVICE inline index_t counted_pixels(const device_windows& at,
                                                              bool padding, index_t r, index_t c) {
  if (padding) return at.kernel.height * at.kernel.width;
  const device_windows::range rows = at.rows(r);
  const device_windows::range columns = at.columns(c);
  return (rows.end - rows.begin) * (columns.end - columns.begin);
}

template <class Scalar>
struct average_window {
  device_windows at;
  bool count_padding;
  device_view<const Scalar> x;
  device_view<Scalar> y;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i / y.rows();
    const index_t state = i - row * y.rows();
    const index_t pixels = at.to.height * at.to.width;
    const index_t channel = row / pixels;
    const index_t r = (row - channel * pixels) / at.to.width;
    const index_t c = (row - channel * pixels) % at.to.width;
    const device_windows::range rows = at.rows(r);
    const device_windows::range columns = at.columns(c);
    Scalar sum = 0;
    for (index_t a = rows.begin; a < rows.end; ++a) {
      for (index_t b = columns.begin; b < columns.end; ++b) {
        sum += x(state, (channel * at.from.height + a) * at.from.width + b);
      }
    }
    y(state, row) = sum / static_cast<Scalar>(counted_pixels(at, count_padding, r, c));
  }
};

template <class Scalar>
struct sum_of_shares {
  device_windows at;
  bool count_padding;
  device_view<const Scalar> u;
  device_view<Scalar> to;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i / to.rows();
    const index_t state = i - row * to.rows();
    const index_t pixels = at.from.height * at.from.width;
    const index_t channel = row / pixels;
    const index_t pixel = row - channel * pixels;
    Scalar sum = 0;
    at.for_each_window(pixel / at.from.width, pixel % at.from.width, [&](index_t r, index_t c) {
      sum += u(state, (channel * at.to.height + r) * at.to.width + c) /
             static_cast<Scalar>(counted_pixels(at, count_padding, r, c));
    });
    to(state, row) = sum;
  }
};

}  // namespace detail

/// Maxima of windows, see MaxPooling. Cost: one launch a pass; a comparison for every pixel of
/// every window in forward and jvp, for every window of every pixel in vjp, which searches each
/// as often as it has pixels. No memory.
template <class Scalar>
class DeviceMaxPooling final : public DeviceLayer<Scalar> {
 public:
  using typename DeviceLayer<Scalar>::view;
  using typename DeviceLayer<Scalar>::const_view;

  DeviceMaxPooling(const cuda<Scalar>&, const MaxPooling<Scalar>& l)
      : DeviceLayer<Scalar>(l.input_shape(), l.output_shape()), windows_(l.windows()) {}

  [[nodiscard]] std::unique_ptr<DeviceLayer<Scalar>> clone() const override {
    return std::make_unique<DeviceMaxPooling>(*this);
  }
  void forward(const device_pass<Scalar>& pass, const const_view& x, const view& y) const override {
    pick(pass.be, x, x, y);
  }
  void jvp(const device_pass<Scalar>& pass, const const_view& x, const const_view&,
           const const_view& v, const view& jv) const override {
    pick(pass.be, x, v, jv);
  }
  void vjp(const device_pass<Scalar>& pass, const const_view& x, const const_view&,
           const const_view& u, const view& jtu) const override {
    for_each_index(pass.be, jtu.rows() * jtu.cols(),
                   detail::sum_of_largest<Scalar>{windows_, x, u, jtu});
  }

 private:
  void pick(const cuda<Scalar>& be, const const_view& x, const const_view& from,
            const view& to) const {
    for_each_index(be, to.rows() * to.cols(), detail::pick_largest<Scalar>{windows_, x, from, to});
  }

  detail::device_windows windows_;
};

/// Averages of windows, see AveragePooling. Cost: one launch a pass, an addition for every pixel
/// of every window.
template <class Scalar>
class DeviceAveragePooling final : public DeviceLayer<Scalar> {
 public:
  using typename DeviceLayer<Scalar>::view;
  using typename DeviceLayer<Scalar>::const_view;

  DeviceAveragePooling(const cuda<Scalar>&, const AveragePooling<Scalar>& l)
      : DeviceLayer<Scalar>(l.input_shape(), l.output_shape()),
        windows_(l.windows()),
        count_padding_(l.counts_padding()) {}

  [[nodiscard]] std::unique_ptr<DeviceLayer<Scalar>> clone() const override {
    return std::make_unique<DeviceAveragePooling>(*this);
  }
  void forward(const device_pass<Scalar>& pass, const const_view& x, const view& y) const override {
    for_each_index(pass.be, y.rows() * y.cols(),
                   detail::average_window<Scalar>{windows_, count_padding_, x, y});
  }
  void jvp(const device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& v, const view& jv) const override {
    forward(pass, v, jv);
  }
  void vjp(const device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& u, const view& jtu) const override {
    for_each_index(pass.be, jtu.rows() * jtu.cols(),
                   detail::sum_of_shares<Scalar>{windows_, count_padding_, u, jtu});
  }
  [[nodiscard]] bool needs_input() const override { return false; }

 private:
  detail::device_windows windows_;
  bool count_padding_;
};

template <class Scalar>
struct device_form<MaxPooling<Scalar>> {
  using type = DeviceMaxPooling<Scalar>;
};
template <class Scalar>
struct device_form<AveragePooling<Scalar>> {
  using type = DeviceAveragePooling<Scalar>;
};

}  // namespace basin
