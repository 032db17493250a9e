/// @file
/// Dense, convolutional and transposed convolutional layers. All three are one class:
/// products by the taps of a geometry.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <basin/nn/cpu/tap_gradient.hpp>
#include <basin/nn/cpu/tap_product.hpp>
#include <basin/nn/layer.hpp>
#include <basin/nn/taps.hpp>

namespace basin {

/// Sizes of a convolution or transposed convolution, with PyTorch's meanings.
struct convolution_options {
  extent kernel = 3;
  extent stride = 1;
  extent padding = 0;
  extent output_padding = 0;  ///< of a transposed convolution
  bool bias = true;
};

/// y = W x + b over the taps of a geometry, with the weights in PyTorch's order.
///
/// Cost: forward, jvp and vjp 2 × taps × channels in × channels out flops a state each,
/// where a tap is a pair of pixels that are joined; taps that would read padding are not
/// computed. dual_vjp costs two vjp, gradient as much as forward. Memory: the weights
/// three times, once as they are and once packed for W and W^T each, and the taps.
template <class Scalar>
class LinearLayer {
 public:
  using scalar = Scalar;

  /// Where element (o, i) of matrix t stands in the weights.
  struct weight_order {
    std::vector<index_t> matrix;  ///< of element (0, 0) of each matrix
    index_t output_stride = 0;
    index_t input_stride = 0;
    [[nodiscard]] index_t operator()(index_t t, index_t o, index_t i) const {
      return matrix[static_cast<std::size_t>(t)] + o * output_stride + i * input_stride;
    }
    friend bool operator==(const weight_order&, const weight_order&) = default;
  };

  /// @param from, to shapes of a state before and after
  /// @param joins which pixels are joined, by ascending source
  /// @param order where they find their weights
  /// @param shape of the weights, in PyTorch
  /// @param fan_in that PyTorch's initialisation takes
  /// @param biases one per output channel, one per element of the output, or none
  LinearLayer(const tensor_shape& from, const tensor_shape& to, const taps& joins,
              weight_order order, std::vector<index_t> shape, index_t fan_in, index_t biases)
      : from_(from),
        to_(to),
        joins_(joins),
        order_(std::move(order)),
        shape_(std::move(shape)),
        fan_in_(fan_in),
        own_bias_(biases == to.size() && to.pixels() > 1),
        forward_(joins, from.channels, to.channels, own_bias_),
        transposed_(joins.transposed(), to.channels, from.channels),
        gradient_(joins, from.channels, to.channels) {
    index_t count = 1;
    for (const index_t size : shape_) count *= size;
    weight_.assign(static_cast<std::size_t>(count), Scalar(0));
    bias_.assign(static_cast<std::size_t>(biases), Scalar(0));
  }

  [[nodiscard]] const tensor_shape& input_shape() const noexcept { return from_; }
  [[nodiscard]] const tensor_shape& output_shape() const noexcept { return to_; }
  /// Multiplications of one state, padding left out.
  [[nodiscard]] index_t multiplications() const noexcept { return forward_.multiplications(); }
  /// Which pixels are joined, and where they find their weights.
  [[nodiscard]] const taps& joins() const noexcept { return joins_; }
  [[nodiscard]] const weight_order& order() const noexcept { return order_; }
  /// The weights and biases as they are, in PyTorch's order; no biases: empty.
  [[nodiscard]] array_view<const Scalar> weight() const noexcept { return weight_; }
  [[nodiscard]] array_view<const Scalar> bias() const noexcept { return bias_; }

  void forward(thread_pool* pool, block<const Scalar> x, block<Scalar> y) const {
    forward_.multiply(pool, x, y, has_bias());
  }
  void jvp(thread_pool* pool, block<const Scalar>, block<const Scalar>, block<const Scalar> v,
           block<Scalar> jv) const {
    forward_.multiply(pool, v, jv, false);
  }
  void vjp(thread_pool* pool, block<const Scalar>, block<const Scalar>, block<const Scalar> u,
           block<Scalar> jtu) const {
    transposed_.multiply(pool, u, jtu, false);
  }
  void dual_vjp(thread_pool* pool, block<const Scalar>, block<const Scalar>, block<const Scalar>,
                block<const Scalar> u, block<const Scalar> w, block<Scalar> sx,
                block<Scalar> sv) const {
    transposed_.multiply(pool, u, sx, false);
    transposed_.multiply(pool, w, sv, false);
  }
  // The same with a ReLU behind the layer, or before it, in one pass over the memory:
  // y = max(W x + b, 0); then a derivative is 0 where the ReLU's value `gate` is.

  void forward_relu(thread_pool* pool, block<const Scalar> x, block<Scalar> y) const {
    forward_.multiply(pool, x, y, has_bias(), detail::finish::relu);
  }
  /// @param gate the ReLU's values behind this layer
  void jvp_relu(thread_pool* pool, block<const Scalar> v, block<const Scalar> gate,
                block<Scalar> jv) const {
    forward_.multiply(pool, v, jv, false, detail::finish::relu_gate, gate);
  }
  /// @param gate the ReLU's values before this layer
  void vjp_relu(thread_pool* pool, block<const Scalar> u, block<const Scalar> gate,
                block<Scalar> jtu) const {
    transposed_.multiply(pool, u, jtu, false, detail::finish::relu_gate, gate);
  }

  void gradient(thread_pool* pool, block<const Scalar> x, block<const Scalar>,
                block<const Scalar> u, Scalar* g) const {
    gradient_.add(pool, x, u, order_, g);
    if (has_bias()) gradient_.add_bias(u, bias_order(), g + weight_.size());
  }
  void dual_gradient(thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                     block<const Scalar> v, block<const Scalar> u, block<const Scalar> w,
                     Scalar* g) const {
    gradient(pool, x, y, u, g);
    gradient_.add(pool, v, w, order_, g);
  }

  [[nodiscard]] std::vector<parameter<Scalar>> parameters() {
    std::vector<parameter<Scalar>> list{{"weight", shape_, weight_}};
    if (has_bias()) list.push_back({"bias", {static_cast<index_t>(bias_.size())}, bias_});
    return list;
  }
  /// Packs the weights anew: to be called after they were written through parameters().
  void parameters_changed(thread_pool* pool) {
    const auto none = [](index_t, index_t) { return Scalar(0); };
    const auto bias = [&](index_t q, index_t o) {
      return bias_[static_cast<std::size_t>(bias_order()(q, o))];
    };
    const auto weight = [&](index_t t, index_t o, index_t i) {
      return weight_[static_cast<std::size_t>(order_(t, o, i))];
    };
    const auto transposed = [&, last = static_cast<index_t>(order_.matrix.size()) - 1](
                                index_t t, index_t o, index_t i) { return weight(last - t, i, o); };
    if (has_bias()) {
      forward_.pack(pool, weight, bias);
    } else {
      forward_.pack(pool, weight, none);
    }
    transposed_.pack(pool, transposed, none);
  }
  /// Uniform in ±1/√fan_in, weights and biases: PyTorch's default (He et al. 2015 with
  /// a = √5), whose fan_in of a transposed convolution counts its output channels.
  void initialize(random_stream random) {
    const double bound = 1 / std::sqrt(static_cast<double>(fan_in_));
    index_t row = 0;
    for (std::vector<Scalar>* values : {&weight_, &bias_}) {
      for (Scalar& value : *values) {
        value =
            static_cast<Scalar>(bound * (2 * uniform_from_word<double>(random.word(row++, 0)) - 1));
      }
    }
    parameters_changed(nullptr);
  }

 private:
  [[nodiscard]] bool has_bias() const noexcept { return !bias_.empty(); }
  /// Position of the bias of target pixel q and channel o.
  [[nodiscard]] auto bias_order() const {
    return [pixels = own_bias_ ? to_.pixels() : index_t{1}, own = own_bias_](index_t q, index_t o) {
      return o * pixels + (own ? q : 0);
    };
  }

  tensor_shape from_;
  tensor_shape to_;
  taps joins_;
  weight_order order_;
  std::vector<index_t> shape_;
  index_t fan_in_;
  bool own_bias_;
  std::vector<Scalar> weight_;
  std::vector<Scalar> bias_;
  TapProduct<Scalar> forward_;
  TapProduct<Scalar> transposed_;
  TapGradient<Scalar> gradient_;
};

/// y = W x + b, with the elements of x and y counted in CHW order as PyTorch does after
/// a Flatten and before an Unflatten: neither is needed here. PyTorch's Linear.
/// @throws argument_error unless both are shapes of tensors
template <class Scalar>
[[nodiscard]] LinearLayer<Scalar> dense(const tensor_shape& from, const tensor_shape& to,
                                        bool bias = true) {
  require_shape("dense", from);
  require_shape("dense", to);
  std::vector<std::vector<taps::tap>> of_pixel(static_cast<std::size_t>(to.pixels()));
  typename LinearLayer<Scalar>::weight_order order{{}, to.pixels() * from.size(), from.pixels()};
  for (index_t q = 0; q < to.pixels(); ++q) {
    for (index_t p = 0; p < from.pixels(); ++p) {
      of_pixel[static_cast<std::size_t>(q)].push_back({p, q * from.pixels() + p});
      order.matrix.push_back(q * from.size() + p);
    }
  }
  const index_t count = to.pixels() * from.pixels();
  return {from,
          to,
          taps(of_pixel, from.pixels(), count),
          std::move(order),
          {to.size(), from.size()},
          from.size(),
          bias ? to.size() : 0};
}

namespace detail {
inline void require_convolution(std::string_view where, const tensor_shape& from, index_t channels,
                                const convolution_options& options) {
  require_shape(where, from);
  require(channels >= 1, where, "there must be at least one output channel");
  constexpr index_t most = index_t{1} << 20;  // so that no sum overflows
  for (const extent& one :
       {options.kernel, options.stride, options.padding, options.output_padding}) {
    require(one.height <= most && one.width <= most, where, "a size is larger than 2^20");
  }
  require(options.kernel.height >= 1 && options.kernel.width >= 1, where,
          "the kernel must be at least 1 x 1");
  require(options.stride.height >= 1 && options.stride.width >= 1, where,
          "the stride must be at least 1");
  require(options.padding.height >= 0 && options.padding.width >= 0, where,
          "the padding must not be negative");
}
}  // namespace detail

/// A two-dimensional convolution (cross-correlation, as PyTorch's Conv2d), zero-padded;
/// weights O × I × kernel height × kernel width.
///
/// Output height: (H + 2 padding - kernel) / stride + 1, rounded down.
/// @param channels of the output
/// @throws argument_error if a size is out of range or the kernel is larger than the
///   padded input
template <class Scalar>
[[nodiscard]] LinearLayer<Scalar> convolution(const tensor_shape& from, index_t channels,
                                              const convolution_options& options) {
  detail::require_convolution("convolution", from, channels, options);
  const auto [kernel, stride, padding, output_padding, bias] = options;
  require(output_padding == extent(0), "convolution",
          "only a transposed convolution has output padding");
  require(from.height + 2 * padding.height >= kernel.height &&
              from.width + 2 * padding.width >= kernel.width,
          "convolution", "the kernel is larger than the padded input");
  const tensor_shape to{channels,
                        (from.height + 2 * padding.height - kernel.height) / stride.height + 1,
                        (from.width + 2 * padding.width - kernel.width) / stride.width + 1};
  require_shape("convolution", to);
  std::vector<std::vector<taps::tap>> of_pixel(static_cast<std::size_t>(to.pixels()));
  for (index_t q = 0; q < to.pixels(); ++q) {
    for (index_t a = 0; a < kernel.height; ++a) {
      for (index_t b = 0; b < kernel.width; ++b) {
        const index_t row = q / to.width * stride.height + a - padding.height;
        const index_t column = q % to.width * stride.width + b - padding.width;
        if (row < 0 || row >= from.height || column < 0 || column >= from.width) continue;
        of_pixel[static_cast<std::size_t>(q)].push_back(
            {row * from.width + column, a * kernel.width + b});
      }
    }
  }
  const index_t count = kernel.height * kernel.width;
  typename LinearLayer<Scalar>::weight_order order{{}, from.channels * count, count};
  for (index_t t = 0; t < count; ++t) order.matrix.push_back(t);
  return {from,
          to,
          taps(of_pixel, from.pixels(), count),
          std::move(order),
          {channels, from.channels, kernel.height, kernel.width},
          from.channels * count,
          bias ? channels : 0};
}

/// The transpose of a convolution, with a bias of its own (PyTorch's ConvTranspose2d);
/// weights I × O × kernel height × kernel width.
///
/// Output height: (H - 1) stride - 2 padding + kernel + output padding. Each output
/// pixel is the sum of the taps that reach it: with stride 2, a quarter of the kernel's
/// on average.
/// @param channels of the output
/// @throws argument_error if a size is out of range, the output padding is not less than
///   the stride, or the output is empty
template <class Scalar>
[[nodiscard]] LinearLayer<Scalar> transposed_convolution(const tensor_shape& from, index_t channels,
                                                         const convolution_options& options) {
  detail::require_convolution("transposed_convolution", from, channels, options);
  const auto [kernel, stride, padding, output_padding, bias] = options;
  require(output_padding.height >= 0 && output_padding.height < stride.height &&
              output_padding.width >= 0 && output_padding.width < stride.width,
          "transposed_convolution", "the output padding must be less than the stride");
  const tensor_shape to{
      channels,
      (from.height - 1) * stride.height - 2 * padding.height + kernel.height +
          output_padding.height,
      (from.width - 1) * stride.width - 2 * padding.width + kernel.width + output_padding.width};
  require(to.height >= 1 && to.width >= 1, "transposed_convolution",
          "the output would be " + to_string(to));
  require_shape("transposed_convolution", to);
  const index_t count = kernel.height * kernel.width;
  std::vector<std::vector<taps::tap>> of_pixel(static_cast<std::size_t>(to.pixels()));
  for (index_t q = 0; q < to.pixels(); ++q) {
    // The kernel backwards, so that sources ascend.
    for (index_t t = 0; t < count; ++t) {
      const index_t a = (count - 1 - t) / kernel.width;
      const index_t b = (count - 1 - t) % kernel.width;
      const index_t row = q / to.width + padding.height - a;
      const index_t column = q % to.width + padding.width - b;
      if (row % stride.height != 0 || column % stride.width != 0 || row < 0 || column < 0 ||
          row / stride.height >= from.height || column / stride.width >= from.width) {
        continue;
      }
      of_pixel[static_cast<std::size_t>(q)].push_back(
          {row / stride.height * from.width + column / stride.width, t});
    }
  }
  typename LinearLayer<Scalar>::weight_order order{{}, count, channels * count};
  for (index_t t = 0; t < count; ++t) order.matrix.push_back(count - 1 - t);
  return {from,
          to,
          taps(of_pixel, from.pixels(), count),
          std::move(order),
          {from.channels, channels, kernel.height, kernel.width},
          channels * count,
          bias ? channels : 0};
}

}  // namespace basin
