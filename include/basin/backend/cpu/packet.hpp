/// @file
/// Vectorised loops in which every element takes the same path. Eigen's own
/// loops end with a scalar tail, where exp and its like give other bits than the
/// packets before; here the tail is padded to a whole packet.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include <Eigen/Core>

#include <basin/core/index.hpp>

namespace basin::detail {

/// Elements of a packet of Eigen's: a whole number of registers everywhere.
inline constexpr index_t packet_size = 16;

template <class Scalar>
using packet = Eigen::Array<Scalar, packet_size, 1>;

template <class Scalar>
using packet_map = Eigen::Map<packet<Scalar>>;
template <class Scalar>
using const_packet_map = Eigen::Map<const packet<Scalar>>;

/// The first n < packet_size elements at p, then zeros.
template <class Scalar>
[[nodiscard]] packet<Scalar> load_tail(const Scalar* p, index_t n) {
  packet<Scalar> x = packet<Scalar>::Zero();
  std::copy_n(p, n, x.data());
  return x;
}

/// out = f on every element of the packets at in: by f.packet where it has one.
template <class F, class Scalar, class... Inputs>
void evaluate_packet(const F& f, Scalar* out, const Inputs*... in) {
  if constexpr (requires { f.packet(const_packet_map<Scalar>(in)...); }) {
    packet_map<Scalar> result(out);
    result = f.packet(const_packet_map<Scalar>(in)...);
  } else {
    Scalar result[packet_size];
    for (index_t i = 0; i < packet_size; ++i) result[i] = static_cast<Scalar>(f(in[i]...));
    std::copy_n(result, packet_size, out);
  }
}

/// out[i] = f(in[i]...) for i in [0, n). `out` may be one of the inputs.
template <class F, class Scalar, class... Inputs>
void transform_run(const F& f, index_t n, Scalar* out, const Inputs*... in) {
  index_t i = 0;
  for (; i + packet_size <= n; i += packet_size) evaluate_packet(f, out + i, (in + i)...);
  if (i < n) {
    packet<Scalar> last;
    evaluate_packet(f, last.data(), load_tail(in + i, n - i).data()...);
    std::copy_n(last.data(), n - i, out + i);
  }
}

/// The widest register that the compiler was allowed to use.
template <class Scalar>
struct simd {
#if defined(__AVX512F__)
  static constexpr index_t bytes = 64;
#elif defined(__AVX__)
  static constexpr index_t bytes = 32;
#else
  static constexpr index_t bytes = 16;
#endif
  static constexpr index_t lanes = bytes / static_cast<index_t>(sizeof(Scalar));
  typedef Scalar vector __attribute__((vector_size(bytes)));

  /// By memory: nvcc fails on `vector{}` in a template.
  static vector zero() {
    vector v;
    std::memset(&v, 0, sizeof v);
    return v;
  }
  static vector load(const Scalar* p) {
    vector v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
};

/// Sum over i of term(registers of in...), in an order that n alone determines.
/// term maps zeros to zero.
template <class Scalar, class Term, class... Inputs>
[[nodiscard]] Scalar sum_run(index_t n, const Term& term, const Inputs*... in) {
  using simd = detail::simd<Scalar>;
  // Two chains of additions, so that one need not wait for the other.
  typename simd::vector even = simd::zero();
  typename simd::vector odd = simd::zero();
  index_t i = 0;
  for (; i + 2 * simd::lanes <= n; i += 2 * simd::lanes) {
    even += term(simd::load(in + i)...);
    odd += term(simd::load(in + i + simd::lanes)...);
  }
  if (i < n) {
    const auto padded = [&](const Scalar* p) {
      std::array<Scalar, static_cast<std::size_t>(2 * simd::lanes)> x{};
      std::copy_n(p + i, n - i, x.data());
      return x;
    };
    const auto add = [&](const auto&... x) {
      even += term(simd::load(x.data())...);
      odd += term(simd::load(x.data() + simd::lanes)...);
    };
    add(padded(in)...);
  }
  even += odd;
  Scalar sum = 0;
  for (index_t lane = 0; lane < simd::lanes; ++lane) sum += even[lane];
  return sum;
}

}  // namespace basin::detail
