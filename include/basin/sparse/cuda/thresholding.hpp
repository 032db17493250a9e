/// @file
/// Thresholding in an orthonormal basis on the device backend.
#pragma once

#include <concepts>
#include <type_traits>

#include <Eigen/Core>

#include <basin/backend/cuda.hpp>
#include <basin/backend/cuda/lanes.hpp>
#include <basin/core/index.hpp>
#include <basin/sparse/cuda/dictionary.hpp>
#include <basin/sparse/pursuit.hpp>
#include <basin/sparse/thresholding.hpp>

namespace basin {

/// `thresholding` of sparse/thresholding.hpp on a device: the same options, statuses and errors.
/// One product of matrices and one launch, a warp to a target, for as many targets as fit 1 GiB.
/// @param dictionary on the same device
/// @param targets n × N, in the device's memory
/// @return codes in host memory
/// @throws as on the CPU; device_error where the device fails, or its memory does not suffice
template <std::floating_point Scalar>
[[nodiscard]] SparseCodes<Scalar> thresholding(const cuda<Scalar>& be,
                                               const DeviceDictionary<Scalar>& dictionary,
                                               const typename cuda<Scalar>::const_view& targets,
                                               const pursuit_options& options) {
  return detail::threshold_on<cuda<Scalar>>(be, dictionary.atoms, coherence(be, dictionary),
                                            targets, options, index_t{1} << 30);
}

/// The same for a dictionary and targets in host memory, which are uploaded.
/// @param targets n × N
template <std::floating_point Scalar>
[[nodiscard]] SparseCodes<Scalar> thresholding(
    const cuda<Scalar>& be, const Dictionary<Scalar>& dictionary,
    const std::type_identity_t<Eigen::Ref<const Eigen::MatrixX<Scalar>>>& targets,
    const pursuit_options& options) {
  DeviceMatrix<Scalar> X = be.make_matrix(targets.rows(), targets.cols());
  upload(be, targets, X);
  return thresholding(be, DeviceDictionary<Scalar>(be, dictionary), X, options);
}

}  // namespace basin
