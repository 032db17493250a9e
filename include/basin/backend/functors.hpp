/// @file
/// Named elementwise functions for `transform`, on every backend. Each has the
/// scalar form that devices and derivatives use; `packet` is the same function on
/// an Eigen array, where Eigen has a vectorised one.
///
/// A user's own functor needs the scalar form alone. It must be trivially
/// copyable, and marked by BASIN_HOST_DEVICE to run on a device.
#pragma once

#include <cmath>

#include <basin/core/host_device.hpp>

namespace basin {

/// tanh(x).
struct tanh_function {
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    using std::tanh;
    return tanh(x);
  }
  template <class Packet>
  auto packet(const Packet& x) const {
    return x.tanh();
  }
  /// The derivative at x, where y is the value there.
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T&, const T& y) const {
    return T(1) - y * y;
  }
};

/// exp(x).
struct exp_function {
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    using std::exp;
    return exp(x);
  }
  template <class Packet>
  auto packet(const Packet& x) const {
    return x.exp();
  }
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T&, const T& y) const {
    return y;
  }
};

/// max(x, 0); NaN stays NaN.
struct relu_function {
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    return x < T(0) ? T(0) : x;
  }
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T& x, const T&) const {
    return x > T(0) ? T(1) : T(0);
  }
};

/// x where x > 0, slope x elsewhere.
struct leaky_relu_function {
  double slope = 0.01;
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    return x < T(0) ? T(slope) * x : x;
  }
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T& x, const T&) const {
    return x > T(0) ? T(1) : T(slope);
  }
};

/// The logistic function 1 / (1 + exp(-x)).
struct sigmoid_function {
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    using std::exp;
    return T(1) / (T(1) + exp(-x));
  }
  template <class Packet>
  auto packet(const Packet& x) const {
    return ((-x).exp() + typename Packet::Scalar(1)).inverse();
  }
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T&, const T& y) const {
    return y * (T(1) - y);
  }
};

/// The sum of weight[i] times term i: what `axpby` and `linear_combination` apply.
template <class Scalar, int N>
struct weighted_sum {
  Scalar weight[N];
  template <class... Terms>
  BASIN_HOST_DEVICE Scalar operator()(const Terms&... terms) const {
    int i = 0;
    Scalar sum = 0;
    ((sum += weight[i++] * terms), ...);
    return sum;
  }
};

/// A term of a linear combination: weight times matrix.
template <class Backend>
struct weighted {
  typename Backend::scalar weight;
  typename Backend::const_view matrix;
};

}  // namespace basin
