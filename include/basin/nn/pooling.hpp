/// @file
/// Pooling layers: the maximum or the average of windows of pixels, channel by channel.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include <basin/backend/cpu/scratch.hpp>
#include <basin/core/finite.hpp>
#include <basin/nn/layer.hpp>
#include <basin/nn/tensor_shape.hpp>

namespace basin {

/// Sizes of a pooling, with PyTorch's meanings; ceil_mode is off.
struct pooling_options {
  extent kernel = 2;
  extent stride = 0;              ///< 0: the kernel's
  extent padding = 0;             ///< at most half the kernel
  bool count_include_pad = true;  ///< of an average: whether padding counts, as zeros
};

namespace detail {

/// The windows of a pooling, without the pixels that are padding.
class pooling_windows {
 public:
  /// Rows top ... bottom - 1 and columns left ... right - 1 of the image; at least one pixel.
  struct window {
    index_t top;
    index_t bottom;
    index_t left;
    index_t right;
    [[nodiscard]] index_t pixels() const { return (bottom - top) * (right - left); }
  };

  pooling_windows(std::string_view where, const tensor_shape& from, const pooling_options& options)
      : from_(from), kernel_(options.kernel), stride_(options.stride), padding_(options.padding) {
    if (stride_ == extent(0)) stride_ = kernel_;
    require_shape(where, from);
    const auto text = [](const extent& e) {
      return std::to_string(e.height) + " x " + std::to_string(e.width);
    };
    constexpr index_t most = index_t{1} << 30;  // so that no sum or product overflows
    require(kernel_.height >= 1 && kernel_.width >= 1 && kernel_.height <= most &&
                kernel_.width <= most,
            where, "the kernel is " + text(kernel_) + ", it must be from 1 to 2^30");
    require(stride_.height >= 1 && stride_.width >= 1, where,
            "the stride is " + text(stride_) + ", it must be at least 1, or 0 for the kernel's");
    require(padding_.height >= 0 && padding_.width >= 0 && padding_.height <= kernel_.height / 2 &&
                padding_.width <= kernel_.width / 2,
            where,
            "the padding is " + text(padding_) + ", it must be from 0 to half the kernel of " +
                text(kernel_));
    const extent padded(from.height + 2 * padding_.height, from.width + 2 * padding_.width);
    require(
        kernel_.height <= padded.height && kernel_.width <= padded.width, where,
        "the kernel of " + text(kernel_) + " is larger than the padded input of " + text(padded));
    to_ = {from.channels, (padded.height - kernel_.height) / stride_.height + 1,
           (padded.width - kernel_.width) / stride_.width + 1};
  }

  [[nodiscard]] const tensor_shape& input_shape() const noexcept { return from_; }
  [[nodiscard]] const tensor_shape& output_shape() const noexcept { return to_; }
  [[nodiscard]] const extent& kernel() const noexcept { return kernel_; }
  [[nodiscard]] const extent& stride() const noexcept { return stride_; }
  [[nodiscard]] const extent& padding() const noexcept { return padding_; }

  /// f(first element of the target pixel, its window) for all target pixels in their order.
  template <class F>
  void for_each(const F& f) const {
    index_t target = 0;
    for (index_t r = 0; r < to_.height; ++r) {
      const index_t top = r * stride_.height - padding_.height;
      for (index_t c = 0; c < to_.width; ++c, target += to_.channels) {
        const index_t left = c * stride_.width - padding_.width;
        f(target, window{std::max<index_t>(top, 0), std::min(top + kernel_.height, from_.height),
                         std::max<index_t>(left, 0), std::min(left + kernel_.width, from_.width)});
      }
    }
  }
  /// f(first element of the source pixel) for the pixels of a window, row by row.
  template <class F>
  void for_each_source(const window& w, const F& f) const {
    for (index_t r = w.top; r < w.bottom; ++r) {
      for (index_t c = w.left; c < w.right; ++c) f((r * from_.width + c) * from_.channels);
    }
  }

 private:
  tensor_shape from_;
  tensor_shape to_;
  extent kernel_;
  extent stride_;
  extent padding_;
};

}  // namespace detail

/// y = the largest number of each window (PyTorch's MaxPool2d). Of equal ones the first in
/// row-major order counts, and a NaN is larger than every number, as in PyTorch; padding
/// never counts.
///
/// Cost: a comparison for every pixel of every window, in forward as in each derivative,
/// which searches x again. Memory of derivatives: an index for each number of one output
/// column. The layer is linear between ties: J selects, and its derivative is zero.
template <class Scalar>
class MaxPooling : public without_parameters<Scalar> {
 public:
  /// @copydoc max_pooling
  MaxPooling(const tensor_shape& from, const pooling_options& options)
      : windows_("max_pooling", from, options) {}

  [[nodiscard]] const tensor_shape& input_shape() const noexcept { return windows_.input_shape(); }
  [[nodiscard]] const tensor_shape& output_shape() const noexcept {
    return windows_.output_shape();
  }
  [[nodiscard]] const detail::pooling_windows& windows() const noexcept { return windows_; }

  void forward(thread_pool*, block<const Scalar> x, block<Scalar> y) const {
    const index_t channels = input_shape().channels;
    for (index_t j = 0; j < x.count; ++j) {
      windows_.for_each([&](index_t target, const auto& window) {
        Scalar* const best = y.column(j) + target;
        std::copy_n(x.column(j) + (window.top * input_shape().width + window.left) * channels,
                    channels, best);
        windows_.for_each_source(window, [&](index_t source) {
          const Scalar* const value = x.column(j) + source;
          for (index_t c = 0; c < channels; ++c) {
            best[c] = replaces(value[c], best[c]) ? value[c] : best[c];
          }
        });
      });
    }
  }
  void jvp(thread_pool*, block<const Scalar> x, block<const Scalar>, block<const Scalar> v,
           block<Scalar> jv) const {
    for_each_choice(x, [&](index_t j, const index_t* chosen) {
      for (index_t i = 0; i < output_shape().size(); ++i) jv.column(j)[i] = v.column(j)[chosen[i]];
    });
  }
  void vjp(thread_pool*, block<const Scalar> x, block<const Scalar>, block<const Scalar> u,
           block<Scalar> jtu) const {
    for_each_choice(
        x, [&](index_t j, const index_t* chosen) { scatter(chosen, u.column(j), jtu.column(j)); });
  }
  void dual_vjp(thread_pool*, block<const Scalar> x, block<const Scalar>, block<const Scalar>,
                block<const Scalar> u, block<const Scalar> w, block<Scalar> sx,
                block<Scalar> sv) const {
    for_each_choice(x, [&](index_t j, const index_t* chosen) {
      scatter(chosen, u.column(j), sx.column(j));
      scatter(chosen, w.column(j), sv.column(j));
    });
  }

 private:
  static bool replaces(Scalar value, Scalar best) { return value > best || is_nan(value); }

  /// f(j, chosen) for every column j, where output i is element chosen[i] of the input.
  template <class F>
  void for_each_choice(block<const Scalar> x, const F& f) const {
    const index_t channels = input_shape().channels;
    scratch_scope scope;
    index_t* const chosen = scope.get<index_t>(output_shape().size());
    for (index_t j = 0; j < x.count; ++j) {
      const Scalar* const column = x.column(j);
      windows_.for_each([&](index_t target, const auto& window) {
        const index_t first = (window.top * input_shape().width + window.left) * channels;
        for (index_t c = 0; c < channels; ++c) chosen[target + c] = first + c;
        windows_.for_each_source(window, [&](index_t source) {
          for (index_t c = 0; c < channels; ++c) {
            index_t& best = chosen[target + c];
            if (replaces(column[source + c], column[best])) best = source + c;
          }
        });
      });
      f(j, chosen);
    }
  }
  /// to = the sums of what chose each element.
  void scatter(const index_t* chosen, const Scalar* from, Scalar* to) const {
    std::fill_n(to, input_shape().size(), Scalar(0));
    for (index_t i = 0; i < output_shape().size(); ++i) to[chosen[i]] += from[i];
  }

  detail::pooling_windows windows_;
};

/// y = the average of each window (PyTorch's AvgPool2d): the sum in row-major order over the
/// number of pixels, those of padding included or not.
///
/// Cost of each pass: an addition for every pixel of every window; dual_vjp costs two vjp.
/// No memory. The layer is linear.
template <class Scalar>
class AveragePooling : public without_parameters<Scalar> {
 public:
  /// @copydoc average_pooling
  AveragePooling(const tensor_shape& from, const pooling_options& options)
      : windows_("average_pooling", from, options), count_padding_(options.count_include_pad) {}

  [[nodiscard]] const tensor_shape& input_shape() const noexcept { return windows_.input_shape(); }
  [[nodiscard]] const tensor_shape& output_shape() const noexcept {
    return windows_.output_shape();
  }
  [[nodiscard]] const detail::pooling_windows& windows() const noexcept { return windows_; }
  [[nodiscard]] bool counts_padding() const noexcept { return count_padding_; }

  void forward(thread_pool*, block<const Scalar> x, block<Scalar> y) const {
    const index_t channels = input_shape().channels;
    for (index_t j = 0; j < x.count; ++j) {
      windows_.for_each([&](index_t target, const auto& window) {
        Scalar* const sum = y.column(j) + target;
        std::fill_n(sum, channels, Scalar(0));
        windows_.for_each_source(window, [&](index_t source) {
          const Scalar* const value = x.column(j) + source;
          for (index_t c = 0; c < channels; ++c) sum[c] += value[c];
        });
        const Scalar count = counted(window);
        for (index_t c = 0; c < channels; ++c) sum[c] /= count;
      });
    }
  }
  void jvp(thread_pool* pool, block<const Scalar>, block<const Scalar>, block<const Scalar> v,
           block<Scalar> jv) const {
    forward(pool, v, jv);
  }
  void vjp(thread_pool*, block<const Scalar>, block<const Scalar>, block<const Scalar> u,
           block<Scalar> jtu) const {
    const index_t channels = input_shape().channels;
    for (index_t j = 0; j < u.count; ++j) {
      std::fill_n(jtu.column(j), input_shape().size(), Scalar(0));
      windows_.for_each([&](index_t target, const auto& window) {
        const Scalar* const share = u.column(j) + target;
        const Scalar count = counted(window);
        windows_.for_each_source(window, [&](index_t source) {
          Scalar* const sum = jtu.column(j) + source;
          for (index_t c = 0; c < channels; ++c) sum[c] += share[c] / count;
        });
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
  /// Without ceil_mode no window reaches beyond the padding, so that all of it counts.
  [[nodiscard]] Scalar counted(const detail::pooling_windows::window& window) const {
    return static_cast<Scalar>(count_padding_ ? windows_.kernel().height * windows_.kernel().width
                                              : window.pixels());
  }

  detail::pooling_windows windows_;
  bool count_padding_;
};

/// Maxima of windows; channels × output height × output width.
///
/// Output height: (H + 2 padding - kernel) / stride + 1, rounded down.
/// @param from shape of a state
/// @throws argument_error if a size is out of range, the padding is more than half the
///   kernel, or the kernel is larger than the padded input
template <class Scalar>
[[nodiscard]] MaxPooling<Scalar> max_pooling(const tensor_shape& from,
                                             const pooling_options& options = {}) {
  return {from, options};
}

/// Averages of windows; the same shapes and errors as max_pooling.
/// @copydetails max_pooling
template <class Scalar>
[[nodiscard]] AveragePooling<Scalar> average_pooling(const tensor_shape& from,
                                                     const pooling_options& options = {}) {
  return {from, options};
}

}  // namespace basin
