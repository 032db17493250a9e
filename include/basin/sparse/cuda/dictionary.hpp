/// @file
/// Dictionaries in the memory of a device.
#pragma once

#include <concepts>

#include <basin/backend/cuda.hpp>
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

template <std::floating_point Scalar>
DeviceDictionary<Scalar>::DeviceDictionary(const cuda<Scalar>& be,
                                           const Dictionary<Scalar>& dictionary)
    : atoms(be.make_matrix(dictionary.rows(), dictionary.size())) {
  upload(be, dictionary.atoms, atoms);
  if (dictionary.size() > 0 && dictionary.gram.cols() == dictionary.size()) add_gram(be, *this);
}

}  // namespace basin
