/// @file
/// Batch norm in inference form, group norm and layer norm.
///
/// Of a group of n numbers x, with weights a and biases b, group and layer norm are
///
///   h = r (x - mean x),   r = 1 / √(variance of x + eps),   y = a h + b,
///
/// products of vectors elementwise, the variance that of all of x (over n). From
/// dr = -r² mean(h dx) and P z = z - mean z, the Jacobian of h is symmetric:
///
///   J z = r (P z - h mean(h z)),   dy = a J dx,   J_y^T u = J (a u).
///
/// For s = <u, y> + <w, J_y v> write p = a u, q = a w, m_v = mean(h v), m_q = mean(h q).
/// Since <q, J v> = n r (mean(q P v) - m_q m_v), and the gradients with respect to x of
/// r, m_v and m_q are -r² h / n, J v / n and J q / n,
///
///   ds/dv = J q,
///   ds/dx = J p - r (m_v J q + m_q J v) - r h mean(v J q)
///         = J (p - r (m_v q + m_q v)) - r h mean(v J q),
///   ds/da = u h + w J v,   ds/db = u,
///
/// where the third term is that of r, by mean(q P v) - m_q m_v = mean(v J q) / r.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <basin/backend/cpu/packet.hpp>
#include <basin/backend/cpu/scratch.hpp>
#include <basin/core/finite.hpp>
#include <basin/nn/layer.hpp>
#include <basin/nn/linear_layer.hpp>

namespace basin {

/// Settings of a norm, with PyTorch's meanings.
struct norm_options {
  double eps = 1e-5;   ///< is added to the variance
  bool affine = true;  ///< whether there are weights and biases
};

namespace detail {
inline void require_norm(std::string_view where, const tensor_shape& shape,
                         const norm_options& options) {
  require_shape(where, shape);
  require(options.eps >= 0 && is_finite(options.eps), where,
          "eps is " + std::to_string(options.eps) + ", it must be finite and at least 0");
}
}  // namespace detail

/// y = weight (x - mean) / √(variance + eps) + bias, all four numbers of the channel:
/// batch norm in inference (Ioffe and Szegedy 2015, Algorithm 2; PyTorch's BatchNorm1d and
/// BatchNorm2d in eval mode).
///
/// Mean and variance are settings and not parameters. Cost: 3 operations an element in
/// forward, 1 in jvp and vjp; `fold` into the layer before it saves them. Memory: 7 numbers a
/// channel.
template <class Scalar>
class BatchNorm {
 public:
  using scalar = Scalar;

  /// @copydoc batch_norm
  explicit BatchNorm(const tensor_shape& shape, const norm_options& options = {})
      : shape_(shape), options_(options) {
    detail::require_norm("batch_norm", shape, options);
    const auto channels = static_cast<std::size_t>(shape.channels);
    mean_.assign(channels, Scalar(0));
    variance_.assign(channels, Scalar(1));
    scale_.resize(channels);
    inverse_deviation_.resize(channels);
    shift_.resize(channels);
    if (options.affine) {
      weight_.assign(channels, Scalar(1));
      bias_.assign(channels, Scalar(0));
    }
    parameters_changed(nullptr);
  }

  [[nodiscard]] const tensor_shape& input_shape() const noexcept { return shape_; }
  [[nodiscard]] const tensor_shape& output_shape() const noexcept { return shape_; }
  [[nodiscard]] const std::vector<Scalar>& running_mean() const noexcept { return mean_; }
  [[nodiscard]] const std::vector<Scalar>& running_variance() const noexcept { return variance_; }
  /// weight / √(variance + eps) of each channel.
  [[nodiscard]] const std::vector<Scalar>& scale() const noexcept { return scale_; }
  /// The biases, or zeros.
  [[nodiscard]] const std::vector<Scalar>& shift() const noexcept { return shift_; }
  /// What a number of channel c becomes.
  [[nodiscard]] Scalar value(index_t c, Scalar x) const {
    const auto i = static_cast<std::size_t>(c);
    return (x - mean_[i]) * scale_[i] + shift_[i];
  }

  /// @param mean, variance one number a channel: PyTorch's running_mean and running_var
  /// @throws size_error unless there is one number a channel
  /// @throws argument_error if a variance is negative or not finite
  void set_statistics(array_view<const Scalar> mean, array_view<const Scalar> variance) {
    require_size("batch_norm", "length of the mean", mean.size, shape_.channels);
    require_size("batch_norm", "length of the variance", variance.size, shape_.channels);
    for (index_t c = 0; c < shape_.channels; ++c) {
      require(variance[c] >= 0 && is_finite(variance[c]), "batch_norm",
              "the variance of channel " + std::to_string(c) + " is " +
                  std::to_string(variance[c]) + ", it must be finite and at least 0");
    }
    mean_.assign(mean.data, mean.data + mean.size);
    variance_.assign(variance.data, variance.data + variance.size);
    parameters_changed(nullptr);
  }

  void forward(thread_pool*, block<const Scalar> x, block<Scalar> y) const {
    for_each_pixel(x.count, [&](index_t j, index_t i) {
      for (index_t c = 0; c < shape_.channels; ++c) {
        y.column(j)[i + c] = value(c, x.column(j)[i + c]);
      }
    });
  }
  void jvp(thread_pool*, block<const Scalar>, block<const Scalar>, block<const Scalar> v,
           block<Scalar> jv) const {
    for_each_pixel(v.count, [&](index_t j, index_t i) {
      for (index_t c = 0; c < shape_.channels; ++c) {
        jv.column(j)[i + c] = v.column(j)[i + c] * scale_[static_cast<std::size_t>(c)];
      }
    });
  }
  void vjp(thread_pool* pool, block<const Scalar> x, block<const Scalar> y, block<const Scalar> u,
           block<Scalar> jtu) const {
    jvp(pool, x, y, u, jtu);
  }
  void dual_vjp(thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                block<const Scalar>, block<const Scalar> u, block<const Scalar> w, block<Scalar> sx,
                block<Scalar> sv) const {
    jvp(pool, x, y, u, sx);
    jvp(pool, x, y, w, sv);
  }
  void gradient(thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                block<const Scalar> u, Scalar* g) const {
    dual_gradient(pool, x, y, {}, u, {}, g);
  }
  void dual_gradient(thread_pool*, block<const Scalar> x, block<const Scalar>,
                     block<const Scalar> v, block<const Scalar> u, block<const Scalar> w,
                     Scalar* g) const {
    if (!options_.affine) return;
    scratch_scope scope;
    Scalar* const sums = scope.get<Scalar>(2 * shape_.channels);
    std::fill_n(sums, 2 * shape_.channels, Scalar(0));
    for_each_pixel(x.count, [&](index_t j, index_t i) {
      for (index_t c = 0; c < shape_.channels; ++c) {
        const auto k = static_cast<std::size_t>(c);
        const Scalar h = (x.column(j)[i + c] - mean_[k]) * inverse_deviation_[k];
        sums[c] += u.column(j)[i + c] * h;
        sums[shape_.channels + c] += u.column(j)[i + c];
        if (v.data != nullptr) {
          sums[c] += w.column(j)[i + c] * (inverse_deviation_[k] * v.column(j)[i + c]);
        }
      }
    });
    for (index_t i = 0; i < 2 * shape_.channels; ++i) g[i] += sums[i];
  }

  [[nodiscard]] std::vector<parameter<Scalar>> parameters() {
    if (!options_.affine) return {};
    return {{"weight", {shape_.channels}, weight_}, {"bias", {shape_.channels}, bias_}};
  }
  void parameters_changed(thread_pool*) {
    for (std::size_t c = 0; c < mean_.size(); ++c) {
      const double inverse = 1 / std::sqrt(static_cast<double>(variance_[c]) + options_.eps);
      inverse_deviation_[c] = static_cast<Scalar>(inverse);
      scale_[c] = static_cast<Scalar>(options_.affine ? inverse * static_cast<double>(weight_[c])
                                                      : inverse);
      shift_[c] = options_.affine ? bias_[c] : Scalar(0);
    }
  }
  /// Weights 1 and biases 0, as in PyTorch; the statistics stay.
  void initialize(random_stream) {
    std::fill(weight_.begin(), weight_.end(), Scalar(1));
    std::fill(bias_.begin(), bias_.end(), Scalar(0));
    parameters_changed(nullptr);
  }

 private:
  /// f(j, first element) for every pixel of every column.
  template <class F>
  void for_each_pixel(index_t count, const F& f) const {
    for (index_t j = 0; j < count; ++j) {
      for (index_t i = 0; i < shape_.size(); i += shape_.channels) f(j, i);
    }
  }

  tensor_shape shape_;
  norm_options options_;
  std::vector<Scalar> mean_;
  std::vector<Scalar> variance_;
  std::vector<Scalar> weight_;
  std::vector<Scalar> bias_;
  std::vector<Scalar> inverse_deviation_;  ///< 1 / √(variance + eps)
  std::vector<Scalar> scale_;
  std::vector<Scalar> shift_;  ///< the biases, or zeros
};

/// Batch norm of means 0 and variances 1, PyTorch's initial ones.
/// @param shape of a state; a vector has a mean and a variance for each element
/// @throws argument_error unless the shape is that of a tensor and eps is at least 0
template <class Scalar>
[[nodiscard]] BatchNorm<Scalar> batch_norm(const tensor_shape& shape,
                                           const norm_options& options = {}) {
  return BatchNorm<Scalar>(shape, options);
}

/// Batch norm of given statistics.
/// @param shape of a state
/// @param mean, variance one number a channel: PyTorch's running_mean and running_var
/// @throws size_error, argument_error as batch_norm and BatchNorm::set_statistics do
template <class Scalar>
[[nodiscard]] BatchNorm<Scalar> batch_norm(const tensor_shape& shape, array_view<const Scalar> mean,
                                           array_view<const Scalar> variance,
                                           const norm_options& options = {}) {
  BatchNorm<Scalar> norm(shape, options);
  norm.set_statistics(mean, variance);
  return norm;
}

/// The one layer that is norm(linear(x)): weights and biases of a channel are multiplied by
/// the norm's scale, and the biases moved. Up to rounding the same function at no cost.
/// @param norm the batch norm
/// @param linear the dense, convolutional or transposed convolutional layer before it
/// @throws size_error if the norm does not take what the linear layer gives
/// @throws argument_error if the linear layer has no bias to be moved, or gives more than 2^24
///   numbers
template <class Scalar>
[[nodiscard]] LinearLayer<Scalar> fold(const BatchNorm<Scalar>& norm, LinearLayer<Scalar> linear) {
  const tensor_shape shape = linear.output_shape();
  if (shape != norm.input_shape()) {
    throw size_error("fold: the batch norm takes " + to_string(norm.input_shape()) +
                     ", the layer before it gives " + to_string(shape));
  }
  const std::vector<parameter<Scalar>> list = linear.parameters();
  require(list.size() == 2, "fold", "the layer before the batch norm has no bias");
  const array_view<Scalar> weight = list[0].values;
  const array_view<Scalar> bias = list[1].values;

  // Which channel a weight gives to, whatever the order of the weights: its gradient where
  // x = 1 and u is the channel's number, over that where u = 1. Both are exact, being sums
  // of whole numbers up to the size of the output.
  require(shape.size() <= index_t{1} << 24, "fold",
          "the output " + to_string(shape) + " has more than 2^24 elements");
  const std::vector<Scalar> x(static_cast<std::size_t>(linear.input_shape().size()), Scalar(1));
  const auto gradient = [&](const auto& of_channel) {
    std::vector<Scalar> u;
    for (index_t i = 0; i < shape.size(); ++i) u.push_back(of_channel(i % shape.channels));
    std::vector<Scalar> g(static_cast<std::size_t>(weight.size + bias.size), Scalar(0));
    linear.gradient(nullptr, {x.data(), linear.input_shape().size(), 1}, {},
                    {u.data(), shape.size(), 1}, g.data());
    return g;
  };
  const std::vector<Scalar> uses = gradient([](index_t) { return Scalar(1); });
  const std::vector<Scalar> numbers = gradient([](index_t c) { return static_cast<Scalar>(c); });
  for (index_t i = 0; i < weight.size; ++i) {
    const auto k = static_cast<std::size_t>(i);
    // A weight that meets nothing but padding has no use.
    if (uses[k] != 0) weight[i] *= norm.scale()[static_cast<std::size_t>(numbers[k] / uses[k])];
  }
  for (index_t i = 0; i < bias.size; ++i) {
    bias[i] = norm.value(i / (bias.size / shape.channels), bias[i]);
  }
  linear.parameters_changed(nullptr);
  return linear;
}

/// Group norm and layer norm, one class: the numbers of a state are split into groups of
/// channels, and each group is brought to mean 0 and variance 1 (formulas at the top of the
/// file).
///
/// Mean and variance are those of numbers whose mean has been subtracted, which is done
/// twice, so that an offset far larger than the deviation costs no digits but those that it
/// took from x (the corrected two-pass algorithm; Chan, Golub and LeVeque 1983). Sums have an
/// order that the shape alone determines.
///
/// Cost: 9 operations an element in forward, 15 in jvp and vjp, 35 in dual_vjp; derivatives
/// compute h again. Memory: at most three numbers an element of one state, and scratch for a
/// few groups.
template <class Scalar>
class GroupNorm {
 public:
  using scalar = Scalar;

  /// What has a weight and a bias of its own.
  enum class affine_of { channels, elements };

  /// @param shape of a state
  /// @param groups into which the channels are split
  /// @param own what has a weight and a bias of its own: channels in group norm, elements in
  ///   layer norm
  /// @throws argument_error unless the shape is that of a tensor, eps is at least 0, and the
  ///   number of groups divides that of channels
  GroupNorm(const tensor_shape& shape, index_t groups, affine_of own,
            const norm_options& options = {})
      : shape_(shape), groups_(groups), own_(own), options_(options) {
    const std::string_view where = own == affine_of::channels ? "group_norm" : "layer_norm";
    detail::require_norm(where, shape, options);
    require(groups >= 1 && shape.channels % groups == 0, where,
            std::to_string(groups) + " groups do not divide " + std::to_string(shape.channels) +
                " channels");
    size_ = shape.size() / groups;
    if (groups > 1 && shape.pixels() > 1) {
      const index_t channels = shape.channels / groups;
      order_.reserve(static_cast<std::size_t>(shape.size()));
      for (index_t i = 0; i < shape.size(); ++i) {
        const index_t pixel = i % size_ / channels;
        order_.push_back(pixel * shape.channels + i / size_ * channels + i % channels);
      }
    }
    const index_t count = own == affine_of::channels ? shape.channels : shape.size();
    if (options.affine) {
      weight_.assign(static_cast<std::size_t>(count), Scalar(1));
      bias_.assign(static_cast<std::size_t>(count), Scalar(0));
      scale_.resize(static_cast<std::size_t>(shape.size()));
      shift_.resize(static_cast<std::size_t>(shape.size()));
    }
    parameters_changed(nullptr);
  }

  [[nodiscard]] const tensor_shape& input_shape() const noexcept { return shape_; }
  [[nodiscard]] const tensor_shape& output_shape() const noexcept { return shape_; }
  [[nodiscard]] index_t groups() const noexcept { return groups_; }
  [[nodiscard]] const norm_options& options() const noexcept { return options_; }
  /// Weights and biases as parameters() has them; empty where there are none.
  [[nodiscard]] array_view<const Scalar> weight() const noexcept { return weight_; }
  [[nodiscard]] array_view<const Scalar> bias() const noexcept { return bias_; }

  void forward(thread_pool*, block<const Scalar> x, block<Scalar> y) const {
    for_each_group(x.count, [&](index_t j, index_t g, scratch_scope& scope) {
      Scalar* const h = place(scope, y, j, g);
      standardize(gathered(scope, x, j, g), h);
      if (options_.affine) {
        const Scalar* const scale = scale_.data() + g * size_;
        const Scalar* const shift = shift_.data() + g * size_;
        for (index_t i = 0; i < size_; ++i) h[i] = h[i] * scale[i] + shift[i];
      }
      scatter(h, y, j, g);
    });
  }
  void jvp(thread_pool*, block<const Scalar> x, block<const Scalar>, block<const Scalar> v,
           block<Scalar> jv) const {
    for_each_group(x.count, [&](index_t j, index_t g, scratch_scope& scope) {
      Scalar* const h = scope.get<Scalar>(size_);
      const Scalar r = standardize(gathered(scope, x, j, g), h);
      Scalar* const out = place(scope, jv, j, g);
      apply_jacobian(h, r, gathered(scope, v, j, g), out);
      scaled(g, out, out);
      scatter(out, jv, j, g);
    });
  }
  void vjp(thread_pool*, block<const Scalar> x, block<const Scalar>, block<const Scalar> u,
           block<Scalar> jtu) const {
    for_each_group(x.count, [&](index_t j, index_t g, scratch_scope& scope) {
      Scalar* const h = scope.get<Scalar>(size_);
      const Scalar r = standardize(gathered(scope, x, j, g), h);
      Scalar* const out = place(scope, jtu, j, g);
      scaled(g, gathered(scope, u, j, g), out);
      apply_jacobian(h, r, out, out);
      scatter(out, jtu, j, g);
    });
  }
  void dual_vjp(thread_pool*, block<const Scalar> x, block<const Scalar>, block<const Scalar> v,
                block<const Scalar> u, block<const Scalar> w, block<Scalar> sx,
                block<Scalar> sv) const {
    for_each_group(x.count, [&](index_t j, index_t g, scratch_scope& scope) {
      Scalar* const h = scope.get<Scalar>(size_);
      const Scalar r = standardize(gathered(scope, x, j, g), h);
      Scalar* const centred_v = scope.get<Scalar>(size_);
      centre(gathered(scope, v, j, g), centred_v);
      const Scalar mean_hv = mean_product(h, centred_v);

      Scalar* const q = scope.get<Scalar>(size_);
      scaled(g, gathered(scope, w, j, g), q);
      Scalar* const of_v = place(scope, sv, j, g);
      const Scalar mean_hq = apply_jacobian(h, r, q, of_v);

      Scalar* const of_x = place(scope, sx, j, g);
      scaled(g, gathered(scope, u, j, g), of_x);
      const Scalar by_q = r * mean_hv;
      const Scalar by_v = r * mean_hq;
      for (index_t i = 0; i < size_; ++i) of_x[i] -= by_q * q[i] + by_v * centred_v[i];
      apply_jacobian(h, r, of_x, of_x);
      const Scalar by_h = r * mean_product(centred_v, of_v);
      for (index_t i = 0; i < size_; ++i) of_x[i] -= by_h * h[i];

      scatter(of_v, sv, j, g);
      scatter(of_x, sx, j, g);
    });
  }
  void gradient(thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                block<const Scalar> u, Scalar* g) const {
    dual_gradient(pool, x, y, {}, u, {}, g);
  }
  void dual_gradient(thread_pool*, block<const Scalar> x, block<const Scalar>,
                     block<const Scalar> v, block<const Scalar> u, block<const Scalar> w,
                     Scalar* gradients) const {
    if (!options_.affine) return;
    scratch_scope all;
    Scalar* const of_scale = all.get<Scalar>(2 * shape_.size());
    Scalar* const of_shift = of_scale + shape_.size();
    std::fill_n(of_scale, 2 * shape_.size(), Scalar(0));
    for_each_group(x.count, [&](index_t j, index_t g, scratch_scope& scope) {
      Scalar* const h = scope.get<Scalar>(size_);
      const Scalar r = standardize(gathered(scope, x, j, g), h);
      const Scalar* const cotangent = gathered(scope, u, j, g);
      for (index_t i = 0; i < size_; ++i) {
        of_scale[g * size_ + i] += cotangent[i] * h[i];
        of_shift[g * size_ + i] += cotangent[i];
      }
      if (v.data == nullptr) return;
      Scalar* const tangent = scope.get<Scalar>(size_);
      apply_jacobian(h, r, gathered(scope, v, j, g), tangent);
      const Scalar* const second = gathered(scope, w, j, g);
      for (index_t i = 0; i < size_; ++i) of_scale[g * size_ + i] += second[i] * tangent[i];
    });
    const auto count = static_cast<index_t>(weight_.size());
    for_each_element([&](index_t i, index_t k) {
      gradients[k] += of_scale[i];
      gradients[count + k] += of_shift[i];
    });
  }

  /// The weights and biases, one a channel, or one an element in CHW order.
  [[nodiscard]] std::vector<parameter<Scalar>> parameters() {
    if (!options_.affine) return {};
    std::vector<index_t> shape{shape_.channels};
    if (own_ == affine_of::elements && shape_.pixels() > 1) {
      shape = {shape_.channels, shape_.height, shape_.width};
    }
    return {{"weight", shape, weight_}, {"bias", shape, bias_}};
  }
  void parameters_changed(thread_pool*) {
    if (!options_.affine) return;
    for_each_element([&](index_t i, index_t k) {
      scale_[static_cast<std::size_t>(i)] = weight_[static_cast<std::size_t>(k)];
      shift_[static_cast<std::size_t>(i)] = bias_[static_cast<std::size_t>(k)];
    });
  }
  /// Weights 1 and biases 0, as in PyTorch.
  void initialize(random_stream) {
    std::fill(weight_.begin(), weight_.end(), Scalar(1));
    std::fill(bias_.begin(), bias_.end(), Scalar(0));
    parameters_changed(nullptr);
  }

 private:
  /// f(j, g, scratch memory) for every group g of every column j.
  template <class F>
  void for_each_group(index_t count, const F& f) const {
    for (index_t j = 0; j < count; ++j) {
      for (index_t g = 0; g < groups_; ++g) {
        scratch_scope scope;
        f(j, g, scope);
      }
    }
  }
  /// f(i, k) for every element i, counted group by group, with its parameter k.
  template <class F>
  void for_each_element(const F& f) const {
    for (index_t i = 0; i < shape_.size(); ++i) {
      const index_t at = order_.empty() ? i : order_[static_cast<std::size_t>(i)];
      f(i, own_ == affine_of::channels ? at % shape_.channels : shape_.border_row(at));
    }
  }

  /// The elements of group g beside each other.
  const Scalar* gathered(scratch_scope& scope, block<const Scalar> from, index_t j,
                         index_t g) const {
    const Scalar* const column = from.column(j);
    if (order_.empty()) return column + g * size_;
    const index_t* const order = order_.data() + g * size_;
    Scalar* const memory = scope.get<Scalar>(size_);
    for (index_t i = 0; i < size_; ++i) memory[i] = column[order[i]];
    return memory;
  }
  /// Memory for the elements of group g, from which scatter puts them into the column.
  Scalar* place(scratch_scope& scope, block<Scalar> to, index_t j, index_t g) const {
    return order_.empty() ? to.column(j) + g * size_ : scope.get<Scalar>(size_);
  }
  void scatter(const Scalar* memory, block<Scalar> to, index_t j, index_t g) const {
    if (order_.empty()) return;
    const index_t* const order = order_.data() + g * size_;
    for (index_t i = 0; i < size_; ++i) to.column(j)[order[i]] = memory[i];
  }

  // What follows works on the size_ numbers of one group. Outputs may be inputs.

  [[nodiscard]] Scalar mean_product(const Scalar* a, const Scalar* b) const {
    return detail::sum_run<Scalar>(
               size_, [](const auto& s, const auto& t) { return s * t; }, a, b) /
           static_cast<Scalar>(size_);
  }
  /// out = P z.
  void centre(const Scalar* z, Scalar* out) const {
    const Scalar mean = detail::sum_run<Scalar>(
                            size_, [](const auto& t) { return t; }, z) /
                        static_cast<Scalar>(size_);
    for (index_t i = 0; i < size_; ++i) out[i] = z[i] - mean;
  }
  /// Writes h, and returns r.
  Scalar standardize(const Scalar* x, Scalar* h) const {
    centre(x, h);
    centre(h, h);
    const Scalar r = 1 / std::sqrt(mean_product(h, h) + static_cast<Scalar>(options_.eps));
    for (index_t i = 0; i < size_; ++i) h[i] *= r;
    return r;
  }
  /// out = J z = r (P z - h mean(h z)), and returns mean(h z).
  Scalar apply_jacobian(const Scalar* h, Scalar r, const Scalar* z, Scalar* out) const {
    centre(z, out);
    const Scalar mean = mean_product(h, out);
    for (index_t i = 0; i < size_; ++i) out[i] = r * (out[i] - mean * h[i]);
    return mean;
  }
  /// out = a z.
  void scaled(index_t g, const Scalar* z, Scalar* out) const {
    if (!options_.affine) {
      if (out != z) std::copy_n(z, size_, out);
      return;
    }
    const Scalar* const scale = scale_.data() + g * size_;
    for (index_t i = 0; i < size_; ++i) out[i] = scale[i] * z[i];
  }

  tensor_shape shape_;
  index_t groups_;
  affine_of own_;
  norm_options options_;
  index_t size_ = 0;            ///< of a group
  std::vector<index_t> order_;  ///< where in a column the elements of all groups stand, one
                                ///< after the other; empty: in this order
  std::vector<Scalar> weight_;
  std::vector<Scalar> bias_;
  std::vector<Scalar> scale_;  ///< a and b of every element, group by group
  std::vector<Scalar> shift_;
};

/// Group norm (Wu and He 2018; PyTorch's GroupNorm): mean and variance of each group of
/// neighbouring channels over all pixels, a weight and a bias a channel. One group: layer
/// norm of an image with weights of channels; as many as channels: instance norm.
/// @param shape of a state
/// @param groups a divisor of the number of channels
/// @throws argument_error unless the shape is that of a tensor, groups divide its channels
///   and eps is at least 0
template <class Scalar>
[[nodiscard]] GroupNorm<Scalar> group_norm(const tensor_shape& shape, index_t groups,
                                           const norm_options& options = {}) {
  return {shape, groups, GroupNorm<Scalar>::affine_of::channels, options};
}

/// Layer norm (Ba, Kiros and Hinton 2016, equation 3, and their gain and bias): mean and
/// variance of all numbers of a state, a weight and a bias an element, in CHW order.
/// PyTorch's LayerNorm([C, H, W]), or LayerNorm(n) of a vector.
/// @param shape of a state
/// @throws argument_error unless the shape is that of a tensor and eps is at least 0
template <class Scalar>
[[nodiscard]] GroupNorm<Scalar> layer_norm(const tensor_shape& shape,
                                           const norm_options& options = {}) {
  return {shape, 1, GroupNorm<Scalar>::affine_of::elements, options};
}

}  // namespace basin
