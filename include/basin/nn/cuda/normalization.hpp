/// @file
/// Batch norm in inference form, group norm and layer norm on a device. The formulas stand in
/// nn/normalization.hpp.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include <basin/nn/cuda/device_layer.hpp>
#include <basin/nn/normalization.hpp>

namespace basin {
namespace detail {

/// y = (x - mean) scale + shift by channel; without a mean x scale, the derivative.
template <class Scalar>
struct normalize_channel {
  index_t pixels;
  const Scalar* scale;
  const Scalar* mean;  ///< null: the derivative
  const Scalar* shift;
  device_view<const Scalar> x;
  device_view<Scalar> y;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i / y.rows();
    const index_t state = i - row * y.rows();
    const index_t c = row / pixels;
    const Scalar value = x(state, row);
    y(state, row) = mean == nullptr ? value * scale[c] : (value - mean[c]) * scale[c] + shift[c];
  }
};

/// What is known of one group of one state.
struct group_measures {
  double mean;
  double correction;  ///< of the mean: what it lost in rounding
  double r;           ///< 1 / √(variance + eps)
  double mean_z;      ///< of a vector z: of its numbers,
  double mean_h_z;    ///< and of their products with h

  template <class Scalar>
  [[nodiscard]] BASIN_HOST_DEVICE double h(const Scalar& x) const {
    return (static_cast<double>(x) - mean - correction) * r;
  }
};

/// Weights and biases of the elements of a state; null: 1 and 0.
template <class Scalar>
struct group_affine {
  const Scalar* weight;
  const Scalar* bias;
  index_t rows_a_number;  ///< elements that share a weight and a bias

  [[nodiscard]] BASIN_HOST_DEVICE Scalar scale(index_t row) const {
    return weight != nullptr ? weight[row / rows_a_number] : Scalar(1);
  }
  [[nodiscard]] BASIN_HOST_DEVICE Scalar shift(index_t row) const {
    return bias != nullptr ? bias[row / rows_a_number] : Scalar(0);
  }
};

/// One group of one state a thread, its rows one after the other, sums in double.
template <class Scalar>
struct measure_group {
  index_t size;  ///< rows of a group
  double eps;
  device_view<const Scalar> x;
  device_view<const Scalar> z;  ///< without rows: none
  bool z_scaled;                ///< z = weight × given
  group_affine<Scalar> affine;
  group_measures* to;

  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t group = i / x.rows();
    const index_t state = i - group * x.rows();
    const index_t begin = group * size, end = begin + size;
    const auto n = static_cast<double>(size);
    group_measures m{0, 0, 0, 0, 0};
    for (index_t row = begin; row < end; ++row) m.mean += static_cast<double>(x(state, row));
    m.mean /= n;
    double sum = 0, squares = 0;
    for (index_t row = begin; row < end; ++row) {
      const double d = static_cast<double>(x(state, row)) - m.mean;
      sum += d;
      squares += d * d;
    }
    m.correction = sum / n;
    m.r = 1 / std::sqrt((squares - sum * m.correction) / n + eps);
    if (z.rows() > 0) {
      for (index_t row = begin; row < end; ++row) {
        const double h = m.h(x(state, row));
        const auto given = static_cast<double>(z(state, row));
        const double value = z_scaled ? given * static_cast<double>(affine.scale(row)) : given;
        m.mean_z += value;
        m.mean_h_z += h * value;
      }
      m.mean_z /= n;
      m.mean_h_z /= n;
    }
    to[i] = m;
  }
};

/// y = weight h + bias.
template <class Scalar>
struct standardize_entry {
  index_t size;
  group_affine<Scalar> affine;
  const group_measures* of;
  device_view<const Scalar> x;
  device_view<Scalar> y;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i / y.rows();
    const index_t state = i - row * y.rows();
    const group_measures& m = of[row / size * y.rows() + state];
    const auto h = static_cast<Scalar>(m.h(x(state, row)));
    y(state, row) = h * affine.scale(row) + affine.shift(row);
  }
};

/// J z = r (P z - h mean(h z)), scaled before or after.
template <class Scalar>
struct standardize_derivative {
  index_t size;
  bool z_scaled;  ///< else the result is
  group_affine<Scalar> affine;
  const group_measures* of;
  device_view<const Scalar> x;
  device_view<const Scalar> z;
  device_view<Scalar> y;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i / y.rows();
    const index_t state = i - row * y.rows();
    const group_measures& m = of[row / size * y.rows() + state];
    const auto scale = static_cast<double>(affine.scale(row));
    const double h = m.h(x(state, row));
    const double value = static_cast<double>(z(state, row)) * (z_scaled ? scale : 1);
    const double derived = m.r * (value - m.mean_z - h * m.mean_h_z);
    y(state, row) = static_cast<Scalar>(derived * (z_scaled ? 1 : scale));
  }
};

}  // namespace detail

/// Batch norm in inference, see BatchNorm. Cost: one launch a pass, 3 operations an element in
/// forward and 1 in the others; fold the norm into the layer before it and it costs nothing.
/// Every output block may be one of the inputs.
template <class Scalar>
class DeviceBatchNorm final : public DeviceLayer<Scalar> {
 public:
  using typename DeviceLayer<Scalar>::view;
  using typename DeviceLayer<Scalar>::const_view;

  DeviceBatchNorm(const cuda<Scalar>& be, const BatchNorm<Scalar>& l)
      : DeviceLayer<Scalar>(l.input_shape(), l.output_shape()) {
    std::vector<Scalar> all(l.scale());
    all.insert(all.end(), l.running_mean().begin(), l.running_mean().end());
    all.insert(all.end(), l.shift().begin(), l.shift().end());
    numbers_ = std::make_shared<const DeviceBuffer<Scalar>>(detail::uploaded<Scalar>(be, all));
  }

  [[nodiscard]] std::unique_ptr<DeviceLayer<Scalar>> clone() const override {
    return std::make_unique<DeviceBatchNorm>(*this);
  }
  void forward(const device_pass<Scalar>& pass, const const_view& x, const view& y) const override {
    run(pass.be, true, x, y);
  }
  void jvp(const device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& v, const view& jv) const override {
    run(pass.be, false, v, jv);
  }
  void vjp(const device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& u, const view& jtu) const override {
    run(pass.be, false, u, jtu);
  }
  [[nodiscard]] bool in_place() const override { return true; }
  [[nodiscard]] bool needs_input() const override { return false; }

 private:
  void run(const cuda<Scalar>& be, bool value, const const_view& from, const view& to) const {
    const index_t channels = this->input_shape().channels;
    const Scalar* const scale = numbers_->data();
    for_each_index(be, to.rows() * to.cols(),
                   detail::normalize_channel<Scalar>{this->input_shape().pixels(), scale,
                                                     value ? scale + channels : nullptr,
                                                     scale + 2 * channels, from, to});
  }

  /// Scale, mean and shift of each channel, one array after the other.
  std::shared_ptr<const DeviceBuffer<Scalar>> numbers_;
};

/// Group norm and layer norm, see GroupNorm. Means and variances are sums in double in the order
/// of CHW, by the corrected two-pass algorithm (Chan, Golub and LeVeque 1983).
///
/// Cost: two launches a pass. The first has a thread for each group of each state, which reads
/// it twice, in derivatives three times and the vector once; the second has one for each element.
/// Memory: scratch of 40 bytes a group of a state.
template <class Scalar>
class DeviceGroupNorm final : public DeviceLayer<Scalar> {
 public:
  using typename DeviceLayer<Scalar>::view;
  using typename DeviceLayer<Scalar>::const_view;

  DeviceGroupNorm(const cuda<Scalar>& be, const GroupNorm<Scalar>& l)
      : DeviceLayer<Scalar>(l.input_shape(), l.output_shape()),
        groups_(l.groups()),
        eps_(l.options().eps),
        weight_(
            std::make_shared<const DeviceBuffer<Scalar>>(detail::uploaded<Scalar>(be, l.weight()))),
        bias_(
            std::make_shared<const DeviceBuffer<Scalar>>(detail::uploaded<Scalar>(be, l.bias()))) {}

  [[nodiscard]] std::unique_ptr<DeviceLayer<Scalar>> clone() const override {
    return std::make_unique<DeviceGroupNorm>(*this);
  }
  void forward(const device_pass<Scalar>& pass, const const_view& x, const view& y) const override {
    DeviceScratch::scope scope(pass.scratch);
    const auto* const of = measure(pass, x, none(), false);
    for_each_index(pass.be, y.rows() * y.cols(),
                   detail::standardize_entry<Scalar>{group_size(), affine(), of, x, y});
  }
  void jvp(const device_pass<Scalar>& pass, const const_view& x, const const_view&,
           const const_view& v, const view& jv) const override {
    derive(pass, x, v, jv, false);
  }
  void vjp(const device_pass<Scalar>& pass, const const_view& x, const const_view&,
           const const_view& u, const view& jtu) const override {
    derive(pass, x, u, jtu, true);
  }

 private:
  [[nodiscard]] static const_view none() { return {nullptr, 0, 0, 0}; }
  [[nodiscard]] index_t group_size() const { return this->input_shape().size() / groups_; }
  [[nodiscard]] detail::group_affine<Scalar> affine() const {
    if (weight_->size() == 0) return {nullptr, nullptr, 1};
    return {weight_->data(), bias_->data(), this->input_shape().size() / weight_->size()};
  }
  [[nodiscard]] const detail::group_measures* measure(const device_pass<Scalar>& pass,
                                                      const const_view& x, const const_view& z,
                                                      bool z_scaled) const {
    const index_t count = groups_ * x.rows();
    auto* const to = pass.scratch.template get<detail::group_measures>(count);
    for_each_index(pass.be, count,
                   detail::measure_group<Scalar>{group_size(), eps_, x, z, z_scaled, affine(), to});
    return to;
  }
  void derive(const device_pass<Scalar>& pass, const const_view& x, const const_view& z,
              const view& to, bool z_scaled) const {
    DeviceScratch::scope scope(pass.scratch);
    const auto* const of = measure(pass, x, z, z_scaled);
    for_each_index(
        pass.be, to.rows() * to.cols(),
        detail::standardize_derivative<Scalar>{group_size(), z_scaled, affine(), of, x, z, to});
  }

  index_t groups_;
  double eps_;
  std::shared_ptr<const DeviceBuffer<Scalar>> weight_;
  std::shared_ptr<const DeviceBuffer<Scalar>> bias_;
};

template <class Scalar>
struct device_form<BatchNorm<Scalar>> {
  using type = DeviceBatchNorm<Scalar>;
};
template <class Scalar>
struct device_form<GroupNorm<Scalar>> {
  using type = DeviceGroupNorm<Scalar>;
};

}  // namespace basin
