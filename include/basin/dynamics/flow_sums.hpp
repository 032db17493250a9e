/// @file
/// Sums of batches in which every entry takes one path, wherever it is.
#pragma once

#include <algorithm>
#include <cstring>

#include <basin/backend/cpu/packet.hpp>
#include <basin/core/host_device.hpp>
#include <basin/dynamics/flow_batch.hpp>

namespace basin::detail {

/// out = value(load, i) over whole registers from entry i on, so that every entry takes one path,
/// wherever it is. value takes its registers by load(p); behind the last entry stands what may be
/// another thread's, and load puts zeros there.
template <class Scalar, class Value>
void for_each_register(index_t entries, Scalar* out, const Value& value) {
  using simd = detail::simd<Scalar>;
  using vector = typename simd::vector;
  constexpr index_t lanes = simd::lanes;
  index_t i = 0;
  for (; i + lanes <= entries; i += lanes) {
    const vector x = value([](const Scalar* p) { return simd::load(p); }, i);
    std::memcpy(out + i, &x, sizeof x);
  }
  if (i == entries) return;
  const index_t left = entries - i;
  const vector x = value(
      [left](const Scalar* p) {
        Scalar padded[simd::lanes] = {};
        std::copy_n(p, left, padded);
        return simd::load(padded);
      },
      i);
  Scalar rest[lanes];
  std::memcpy(rest, &x, sizeof x);
  std::copy_n(rest, left, out + i);
}

/// out = Σ weight × term over N terms.
template <class Scalar, int N>
struct sum_terms {
  Scalar* out;
  const Scalar* term[N];
  Scalar weight[N];
  index_t entries;

  static constexpr index_t block = 2048;
  /// One block of entries, on the CPU.
  void add_block(index_t b) const {
    const index_t first = b * block;
    for_each_register(std::min(block, entries - first), out + first,
                      [&](const auto& load, index_t i) {
                        auto sum = weight[0] * load(term[0] + first + i);
                        for (int t = 1; t < N; ++t) sum += weight[t] * load(term[t] + first + i);
                        return sum;
                      });
  }
  /// One entry, on a device.
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    Scalar sum = weight[0] * term[0][i];
    for (int t = 1; t < N; ++t) sum += weight[t] * term[t][i];
    out[i] = sum;
  }
};

/// The sum of the first `count` of at most N terms.
template <int N, class B, class Scalar>
void sum_first(const B& be, int count, const Scalar* const* term, const Scalar* weight, Scalar* out,
               index_t entries) {
  if constexpr (N > 1) {
    if (count < N) return sum_first<N - 1>(be, count, term, weight, out, entries);
  }
  sum_terms<Scalar, N> sum{};
  sum.out = out;
  std::copy_n(term, N, sum.term);
  std::copy_n(weight, N, sum.weight);
  sum.entries = entries;
  if constexpr (is_cpu<B>) {
    constexpr index_t block = sum_terms<Scalar, N>::block;
    for_each_index(
        be, (entries + block - 1) / block, [&](index_t b) { sum.add_block(b); }, flow_task / block);
  } else {
    for_each_index(be, entries, sum);
  }
}

/// out = Σ weight × batch over N batches; terms of weight 0 are not read.
template <class B, int N, class... Batches>
void sum_batches(FlowBatch<B>& out, const double (&weights)[N], const FlowBatch<B>& first,
                 const Batches&... others) {
  using scalar = typename B::scalar;
  static_assert(sizeof...(Batches) + 1 == N);
  const scalar* const batches[N] = {first.data(), others.data()...};
  const scalar* term[N];
  scalar weight[N];
  int count = 0;
  for (int t = 0; t < N; ++t) {
    if (weights[t] == 0 && t > 0) continue;
    term[count] = batches[t];
    weight[count++] = static_cast<scalar>(weights[t]);
  }
  out.use(first.columns());
  sum_first<N>(first.backend(), count, term, weight, out.data(), first.rows() * first.columns());
}

}  // namespace basin::detail
