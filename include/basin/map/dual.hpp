/// @file
/// Dual numbers: forward differentiation of code that is generic in its scalar.
#pragma once

#include <cmath>
#include <concepts>

#include <Eigen/Core>

#include <basin/core/host_device.hpp>

namespace basin {

/// value + derivative ε with ε² = 0 (Clifford, 1873). Arithmetic and the functions
/// below carry the derivative along exactly. Comparisons see the value alone.
template <std::floating_point T>
struct dual {
  T value = 0;
  T derivative = 0;

  constexpr dual() = default;
  BASIN_HOST_DEVICE constexpr dual(T v, T d) : value(v), derivative(d) {}
  /// A constant.
  template <class U>
    requires std::is_arithmetic_v<U>
  BASIN_HOST_DEVICE constexpr dual(U v)  // NOLINT: constants mix freely with duals
      : value(static_cast<T>(v)) {}

  BASIN_HOST_DEVICE constexpr dual operator-() const { return {-value, -derivative}; }
  BASIN_HOST_DEVICE constexpr dual operator+() const { return *this; }
  BASIN_HOST_DEVICE constexpr dual& operator+=(const dual& b) { return *this = *this + b; }
  BASIN_HOST_DEVICE constexpr dual& operator-=(const dual& b) { return *this = *this - b; }
  BASIN_HOST_DEVICE constexpr dual& operator*=(const dual& b) { return *this = *this * b; }
  BASIN_HOST_DEVICE constexpr dual& operator/=(const dual& b) { return *this = *this / b; }

  friend BASIN_HOST_DEVICE constexpr dual operator+(const dual& a, const dual& b) {
    return {a.value + b.value, a.derivative + b.derivative};
  }
  friend BASIN_HOST_DEVICE constexpr dual operator-(const dual& a, const dual& b) {
    return {a.value - b.value, a.derivative - b.derivative};
  }
  friend BASIN_HOST_DEVICE constexpr dual operator*(const dual& a, const dual& b) {
    return {a.value * b.value, a.derivative * b.value + a.value * b.derivative};
  }
  friend BASIN_HOST_DEVICE constexpr dual operator/(const dual& a, const dual& b) {
    const T quotient = a.value / b.value;
    return {quotient, (a.derivative - quotient * b.derivative) / b.value};
  }
  friend BASIN_HOST_DEVICE constexpr bool operator==(const dual& a, const dual& b) {
    return a.value == b.value;
  }
  friend BASIN_HOST_DEVICE constexpr auto operator<=>(const dual& a, const dual& b) {
    return a.value <=> b.value;
  }
};

/// f(x) with f'(x) by the chain rule.
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE constexpr dual<T> chain(const dual<T>& x, T value, T slope) {
  return {value, slope * x.derivative};
}

template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> sqrt(const dual<T>& x) {
  const T root = std::sqrt(x.value);
  return chain(x, root, T(0.5) / root);
}
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> exp(const dual<T>& x) {
  const T e = std::exp(x.value);
  return chain(x, e, e);
}
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> log(const dual<T>& x) {
  return chain(x, std::log(x.value), T(1) / x.value);
}
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> sin(const dual<T>& x) {
  return chain(x, std::sin(x.value), std::cos(x.value));
}
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> cos(const dual<T>& x) {
  return chain(x, std::cos(x.value), -std::sin(x.value));
}
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> tan(const dual<T>& x) {
  const T t = std::tan(x.value);
  return chain(x, t, T(1) + t * t);
}
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> atan(const dual<T>& x) {
  return chain(x, std::atan(x.value), T(1) / (T(1) + x.value * x.value));
}
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> sinh(const dual<T>& x) {
  return chain(x, std::sinh(x.value), std::cosh(x.value));
}
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> cosh(const dual<T>& x) {
  return chain(x, std::cosh(x.value), std::sinh(x.value));
}
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> tanh(const dual<T>& x) {
  const T t = std::tanh(x.value);
  return chain(x, t, T(1) - t * t);
}
/// |x|; the derivative at 0 is 0.
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> abs(const dual<T>& x) {
  return chain(x, std::abs(x.value), static_cast<T>((x.value > 0) - (x.value < 0)));
}
/// x^p for a constant power.
template <class T, class P>
  requires std::is_arithmetic_v<P>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> pow(const dual<T>& x, P p) {
  const T power = static_cast<T>(p);
  return chain(x, std::pow(x.value, power), power * std::pow(x.value, power - T(1)));
}
/// x^y.
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> pow(const dual<T>& x, const dual<T>& y) {
  return exp(y * log(x));
}
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> max(const dual<T>& x, const dual<T>& y) {
  return x.value < y.value ? y : x;
}
template <class T>
[[nodiscard]] BASIN_HOST_DEVICE dual<T> min(const dual<T>& x, const dual<T>& y) {
  return y.value < x.value ? y : x;
}

}  // namespace basin

/// Lets Eigen's vectors hold dual numbers.
template <class T>
struct Eigen::NumTraits<basin::dual<T>> : Eigen::NumTraits<T> {
  using Real = basin::dual<T>;
  using NonInteger = basin::dual<T>;
  using Nested = basin::dual<T>;
  enum {
    IsComplex = 0,
    IsInteger = 0,
    IsSigned = 1,
    RequireInitialization = 1,
    ReadCost = 2,
    AddCost = 2,
    MulCost = 4
  };
};
template <class T, class BinaryOp>
struct Eigen::ScalarBinaryOpTraits<basin::dual<T>, T, BinaryOp> {
  using ReturnType = basin::dual<T>;
};
template <class T, class BinaryOp>
struct Eigen::ScalarBinaryOpTraits<T, basin::dual<T>, BinaryOp> {
  using ReturnType = basin::dual<T>;
};
