/// @file
/// Named elementwise functions for `transform`, on every backend. Each has the
/// scalar form that devices and derivatives use; `packet` is the same function on
/// an Eigen array, where Eigen has a vectorised one.
///
/// A user's own functor needs the scalar form alone. It must be trivially
/// copyable, and marked by BASIN_HOST_DEVICE to run on a device. As an activation of a
/// network it also needs derivative and second_derivative; where those are functions of
/// the value alone, `by_value` says so, and a network need not keep x.
#pragma once

#include <cmath>
#include <type_traits>

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
    if constexpr (std::is_same_v<typename Packet::Scalar, double>) {
      return of_doubles(typename Packet::PlainObject(x));
    } else {
      return x.tanh();
    }
  }
  /// Whether the derivatives are functions of the value y alone.
  static constexpr bool by_value = true;
  /// The derivative at x, where y is the value there.
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T&, const T& y) const {
    return T(1) - y * y;
  }
  /// The second derivative at x, where y is the value there.
  template <class T>
  BASIN_HOST_DEVICE T second_derivative(const T&, const T& y) const {
    return T(-2) * y * (T(1) - y * y);
  }

 private:
  /// Eigen's vectorised tanh is of floats alone. By exp(2|x|) and, below 1/2, where that loses
  /// digits, by a polynomial through the Chebyshev points: within two units of the last place.
  template <class Array>
  static Array of_doubles(const Array& x) {
    constexpr double polynomial[] = {-0.33333333333333329,    0.13333333333329824,
                                     -0.053968253963610086,   0.021869488297234514,
                                     -0.0088632292700678434,  0.0035920334653723928,
                                     -0.0014549593843804661,  0.00058496537290226446,
                                     -0.00022107222975864634, 5.9469565897747691e-5};
    const Array e = (2.0 * x.abs()).exp();
    Array y;
    for (int i = 0; i < static_cast<int>(Array::SizeAtCompileTime); ++i) {
      const double u = x[i] * x[i];
      double p = polynomial[9];
      for (int j = 8; j >= 0; --j) p = p * u + polynomial[j];
      const double small = x[i] * (1.0 + u * p);
      const double large = 1.0 - 2.0 / (e[i] + 1.0);
      y[i] = x[i] > 0.5 ? large : x[i] < -0.5 ? -large : small;
    }
    return y;
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
  static constexpr bool by_value = true;
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T&, const T& y) const {
    return y;
  }
  /// @copydoc tanh_function::second_derivative
  template <class T>
  BASIN_HOST_DEVICE T second_derivative(const T&, const T& y) const {
    return y;
  }
};

/// max(x, 0); NaN stays NaN.
struct relu_function {
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    return x < T(0) ? T(0) : x;
  }
  static constexpr bool by_value = true;
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T&, const T& y) const {
    return y > T(0) ? T(1) : T(0);
  }
  /// @copydoc tanh_function::second_derivative
  template <class T>
  BASIN_HOST_DEVICE T second_derivative(const T&, const T&) const {
    return T(0);
  }
};

/// x where x > 0, slope x elsewhere, slope >= 0.
struct leaky_relu_function {
  double slope = 0.01;
  static constexpr bool by_value = true;
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    return x < T(0) ? T(slope) * x : x;
  }
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T&, const T& y) const {
    return y > T(0) ? T(1) : T(slope);
  }
  /// @copydoc tanh_function::second_derivative
  template <class T>
  BASIN_HOST_DEVICE T second_derivative(const T&, const T&) const {
    return T(0);
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
  static constexpr bool by_value = true;
  /// @copydoc tanh_function::second_derivative
  template <class T>
  BASIN_HOST_DEVICE T second_derivative(const T&, const T& y) const {
    return y * (T(1) - y) * (T(1) - T(2) * y);
  }
};

/// x.
struct identity_function {
  static constexpr bool by_value = true;
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    return x;
  }
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T&, const T&) const {
    return T(1);
  }
  /// @copydoc tanh_function::second_derivative
  template <class T>
  BASIN_HOST_DEVICE T second_derivative(const T&, const T&) const {
    return T(0);
  }
};

/// x where x > 0, alpha (exp(x) - 1) elsewhere (Clevert, Unterthiner, Hochreiter 2016).
struct elu_function {
  double alpha = 1;
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    using std::expm1;
    return x > T(0) ? x : T(alpha) * T(expm1(x));
  }
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T& x, const T& y) const {
    return x > T(0) ? T(1) : y + T(alpha);
  }
  /// @copydoc tanh_function::second_derivative
  template <class T>
  BASIN_HOST_DEVICE T second_derivative(const T& x, const T& y) const {
    return x > T(0) ? T(0) : y + T(alpha);
  }
};

/// x times the logistic function of x (also called swish).
struct silu_function {
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    return x * sigmoid_function{}(x);
  }
  template <class Packet>
  auto packet(const Packet& x) const {
    return x * ((-x).exp() + typename Packet::Scalar(1)).inverse();
  }
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T& x, const T&) const {
    const T s = sigmoid_function{}(x);
    return s * (T(1) + x * (T(1) - s));
  }
  /// @copydoc tanh_function::second_derivative
  template <class T>
  BASIN_HOST_DEVICE T second_derivative(const T& x, const T&) const {
    const T s = sigmoid_function{}(x);
    return s * (T(1) - s) * (T(2) + x * (T(1) - T(2) * s));
  }
};

/// x Φ(x), with the normal distribution function Φ (Hendrycks and Gimpel 2016).
struct gelu_function {
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    using std::erfc;
    return T(0.5) * x * T(erfc(x * T(-0.70710678118654752440)));
  }
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T& x, const T&) const {
    using std::erfc;
    return T(0.5) * T(erfc(x * T(-0.70710678118654752440))) + x * density(x);
  }
  /// @copydoc tanh_function::second_derivative
  template <class T>
  BASIN_HOST_DEVICE T second_derivative(const T& x, const T&) const {
    return density(x) * (T(2) - x * x);
  }

 private:
  template <class T>
  BASIN_HOST_DEVICE static T density(const T& x) {
    using std::exp;
    return T(0.39894228040143267794) * T(exp(T(-0.5) * x * x));
  }
};

/// The approximation of x Φ(x) by tanh: x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2.
struct gelu_tanh_function {
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    return T(0.5) * x * (T(1) + tanh_of(x));
  }
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T& x, const T&) const {
    const T t = tanh_of(x);
    return T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * slope(x);
  }
  /// @copydoc tanh_function::second_derivative
  template <class T>
  BASIN_HOST_DEVICE T second_derivative(const T& x, const T&) const {
    const T t = tanh_of(x);
    const T first = slope(x);
    const T second = T(6 * cubic * factor) * x;
    return (T(1) - t * t) * (first + T(0.5) * x * (second - T(2) * t * first * first));
  }

 private:
  static constexpr double factor = 0.79788456080286535588;
  static constexpr double cubic = 0.044715;
  template <class T>
  BASIN_HOST_DEVICE static T tanh_of(const T& x) {
    using std::tanh;
    return T(tanh(T(factor) * (x + T(cubic) * x * x * x)));
  }
  /// The derivative of the argument of tanh.
  template <class T>
  BASIN_HOST_DEVICE static T slope(const T& x) {
    return T(factor) * (T(1) + T(3 * cubic) * x * x);
  }
};

/// log(1 + exp(x)), and x itself beyond 20 as in PyTorch.
struct softplus_function {
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    using std::exp;
    using std::log1p;
    return x > T(20) ? x : T(log1p(exp(x)));
  }
  /// @copydoc tanh_function::derivative
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T& x, const T&) const {
    return x > T(20) ? T(1) : sigmoid_function{}(x);
  }
  /// @copydoc tanh_function::second_derivative
  template <class T>
  BASIN_HOST_DEVICE T second_derivative(const T& x, const T&) const {
    const T s = sigmoid_function{}(x);
    return x > T(20) ? T(0) : s * (T(1) - s);
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
