/// @file
/// Vectorised loops in which every element takes the same path. Eigen's own
/// loops end with a scalar tail, where exp and its like give other bits than the
/// packets before; here the tail is padded to a whole packet.
#pragma once

#include <algorithm>

#include <Eigen/Core>

#include <basin/core/index.hpp>

namespace basin::detail {

/// Elements of a packet: one AVX-512 register of floats, several elsewhere.
inline constexpr index_t packet_size = 16;

template <class Scalar>
using packet = Eigen::Array<Scalar, packet_size, 1>;

template <class Scalar>
[[nodiscard]] packet<Scalar> load(const Scalar* p) {
  return Eigen::Map<const packet<Scalar>>(p);
}

/// The first n < packet_size elements at p, then zeros.
template <class Scalar>
[[nodiscard]] packet<Scalar> load_tail(const Scalar* p, index_t n) {
  packet<Scalar> x = packet<Scalar>::Zero();
  std::copy_n(p, n, x.data());
  return x;
}

/// f on every element of the packets: by f.packet where it has one.
template <class F, class Scalar, class... More>
[[nodiscard]] packet<Scalar> evaluate(const F& f, const packet<Scalar>& x, const More&... more) {
  if constexpr (requires { f.packet(x, more...); }) {
    return f.packet(x, more...);
  } else {
    packet<Scalar> y;
    for (index_t i = 0; i < packet_size; ++i) y[i] = static_cast<Scalar>(f(x[i], more[i]...));
    return y;
  }
}

/// out[i] = f(in[i]...) for i in [0, n). `out` may be one of the inputs.
template <class F, class Scalar, class... Inputs>
void transform_run(const F& f, index_t n, Scalar* out, const Inputs*... in) {
  index_t i = 0;
  for (; i + packet_size <= n; i += packet_size) {
    Eigen::Map<packet<Scalar>>(out + i) = evaluate(f, load(in + i)...);
  }
  if (i < n) {
    const packet<Scalar> last = evaluate(f, load_tail(in + i, n - i)...);
    std::copy_n(last.data(), n - i, out + i);
  }
}

/// Sum over i of term(packets of in...), in an order that n alone determines.
template <class Scalar, class Term, class... Inputs>
[[nodiscard]] Scalar sum_run(index_t n, const Term& term, const Inputs*... in) {
  packet<Scalar> sum = packet<Scalar>::Zero();
  index_t i = 0;
  for (; i + packet_size <= n; i += packet_size) sum += term(load(in + i)...);
  if (i < n) sum += term(load_tail(in + i, n - i)...);
  return sum.sum();
}

}  // namespace basin::detail
