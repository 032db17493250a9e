/// @file
/// Dictionaries in the memory of a device.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <vector>

#include <basin/backend/cuda.hpp>
#include <basin/backend/cuda/columns.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/sparse/dictionary.hpp>

namespace basin {

/// The atoms of a dictionary in the memory of a device, to represent targets there by them.
template <std::floating_point Scalar>
struct DeviceDictionary {
  DeviceMatrix<Scalar> atoms;  ///< n × d, columns of norm 1
  DeviceMatrix<Scalar> gram;   ///< d × d inner products, or empty: see `add_gram`

  DeviceDictionary() = default;
  /// The atoms are uploaded. Where the dictionary holds its Gram matrix, one is made on the device.
  /// Cost: a transfer of n d numbers, and with a Gram matrix 2 n d^2 flops.
  DeviceDictionary(const cuda<Scalar>& be, const Dictionary<Scalar>& dictionary);

  [[nodiscard]] index_t size() const noexcept { return atoms.cols(); }
  [[nodiscard]] index_t rows() const noexcept { return atoms.rows(); }
};

/// Fills `gram` on the device, so that every pursuit that follows finds it.
/// Cost: 2 n d^2 flops, d^2 numbers kept.
template <std::floating_point Scalar>
void add_gram(const cuda<Scalar>& be, DeviceDictionary<Scalar>& dictionary) {
  dictionary.gram = be.make_matrix(dictionary.size(), dictionary.size());
  gemm(be, dictionary.atoms, dictionary.atoms, dictionary.gram, {.a = transpose::yes});
}

namespace detail {

/// The greatest |G(i, j)| of a column off the diagonal.
template <class Scalar>
struct off_diagonal_reduction {
  using value = Scalar;
  device_view<const Scalar> G;  ///< some columns of the Gram matrix
  index_t first;                ///< of them
  Scalar* result;
  [[nodiscard]] BASIN_HOST_DEVICE value begin() const { return 0; }
  [[nodiscard]] BASIN_HOST_DEVICE value entry(index_t i, index_t j) const {
    return i == first + j ? 0 : std::abs(G(i, j));
  }
  [[nodiscard]] BASIN_HOST_DEVICE value merge(value a, value b) const { return a < b ? b : a; }
  BASIN_HOST_DEVICE void store(index_t j, value v) const { result[j] = v; }
};

}  // namespace detail

/// The greatest |<a_i, a_j>| of two atoms; 0 of fewer than two (Donoho and Elad 2003).
/// Cost: 2 n d^2 flops, in blocks of 64 MB; d^2 where the Gram matrix is held. d numbers come to
/// the host.
template <std::floating_point Scalar>
[[nodiscard]] double coherence(const cuda<Scalar>& be, const DeviceDictionary<Scalar>& dictionary) {
  const index_t d = dictionary.size();
  if (d == 0) return 0;
  const bool held = dictionary.gram.cols() == d;
  constexpr index_t numbers = (index_t{1} << 26) / static_cast<index_t>(sizeof(Scalar));
  const index_t width = std::clamp<index_t>(numbers / d, 1, d);
  DeviceMatrix<Scalar> block = be.make_matrix(held ? 0 : d, held ? 0 : width);
  DeviceBuffer<Scalar> greatest(d);
  for (index_t first = 0; first < d; first += width) {
    const index_t count = std::min(width, d - first);
    const auto reduce = [&](const device_view<const Scalar>& G) {
      detail::reduce_columns(
          be, d, count, detail::off_diagonal_reduction<Scalar>{G, first, greatest.data() + first});
    };
    if (held) {
      reduce(columns(be, dictionary.gram, first, count));
    } else {
      const device_view<Scalar> G = columns(be, block, 0, count);
      gemm(be, dictionary.atoms, columns(be, dictionary.atoms, first, count), G,
           {.a = transpose::yes});
      reduce(G);
    }
  }
  std::vector<Scalar> all(static_cast<std::size_t>(d));
  download_array(be, array_view<const Scalar>(greatest), array_view<Scalar>(all));
  return static_cast<double>(*std::max_element(all.begin(), all.end()));
}

template <std::floating_point Scalar>
DeviceDictionary<Scalar>::DeviceDictionary(const cuda<Scalar>& be,
                                           const Dictionary<Scalar>& dictionary)
    : atoms(be.make_matrix(dictionary.rows(), dictionary.size())) {
  upload(be, dictionary.atoms, atoms);
  if (dictionary.size() > 0 && dictionary.gram.cols() == dictionary.size()) add_gram(be, *this);
}

}  // namespace basin
