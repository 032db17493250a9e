/// @file
/// Products by taps on a device, a thread a number.
#pragma once

#include <basin/backend/cuda/context.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

/// A source pixel, and where in the weights element (0, 0) of its matrix stands.
struct device_tap {
  index_t source;
  index_t weight;
};

/// What becomes of a sum: y = ending(bias + sum).
template <class Scalar>
struct product_ending {
  const Scalar* bias = nullptr;  ///< null: none
  index_t rows_a_bias = 1;       ///< elements of the output that share a bias
  bool relu = false;             ///< max(sum, 0); NaN stays NaN
  const Scalar* gate = nullptr;  ///< the result is 0 unless the gate's number is positive; null: no
  index_t gate_stride = 0;

  [[nodiscard]] BASIN_HOST_DEVICE Scalar begin(index_t row) const {
    return bias != nullptr ? bias[row / rows_a_bias] : Scalar(0);
  }
  [[nodiscard]] BASIN_HOST_DEVICE Scalar end(Scalar sum, index_t state, index_t row) const {
    if (relu) return sum < Scalar(0) ? Scalar(0) : sum;
    if (gate != nullptr) return gate[state + row * gate_stride] > Scalar(0) ? sum : Scalar(0);
    return sum;
  }
  [[nodiscard]] bool changes() const { return bias != nullptr || relu || gate != nullptr; }
};

/// One number of y_q = b + sum of W_t x_s: one chain of additions, the bias, then by source
/// pixel and channel. Neighbouring threads have neighbouring states.
template <class Scalar>
struct tap_sum {
  device_view<const Scalar> x;
  device_view<Scalar> y;
  const index_t* begin;  ///< of the taps of each target pixel
  const device_tap* list;
  const Scalar* weight;
  index_t input_stride;   ///< in the weights, from one channel of x to the next
  index_t output_stride;  ///< the same of y
  index_t inputs;         ///< channels of x
  index_t sources;        ///< pixels of x
  index_t targets;        ///< pixels of y
  product_ending<Scalar> ending;

  /// Channels of y.
  [[nodiscard]] BASIN_HOST_DEVICE index_t outputs() const { return y.cols() / targets; }

  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i / y.rows();
    const index_t state = i - row * y.rows();
    const index_t channel = row / targets;
    const index_t pixel = row - channel * targets;
    const index_t next_channel = sources * x.outerStride();
    Scalar sum = ending.begin(row);
    for (index_t t = begin[pixel]; t < begin[pixel + 1]; ++t) {
      const Scalar* from = x.data() + state + list[t].source * x.outerStride();
      const Scalar* w = weight + list[t].weight + channel * output_stride;
      for (index_t c = 0; c < inputs; ++c, from += next_channel, w += input_stride) {
        sum += *w * *from;
      }
    }
    y(state, row) = ending.end(sum, state, row);
  }
};

}  // namespace basin::detail
