/// @file
/// Pursuit with coefficients that are not negative on the device backend.
#pragma once

#include <concepts>
#include <type_traits>

#include <Eigen/Core>

#include <basin/backend/cuda.hpp>
#include <basin/backend/cuda/lanes.hpp>
#include <basin/core/index.hpp>
#include <basin/sparse/cuda/dictionary.hpp>
#include <basin/sparse/non_negative_pursuit.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin {

/// `non_negative_pursuit` of sparse/non_negative_pursuit.hpp on a device: the same options,
/// statuses and errors, and the least squares in double too, a warp to a target. As many targets as
/// fit 1 GiB advance together.
/// @param dictionary on the same device
/// @param targets n × N, in the device's memory
/// @return codes in host memory
/// @throws as on the CPU; device_error where the device fails, or its memory does not suffice
template <std::floating_point Scalar>
[[nodiscard]] SparseCodes<Scalar> non_negative_pursuit(
    const cuda<Scalar>& be, const DeviceDictionary<Scalar>& dictionary,
    const typename cuda<Scalar>::const_view& targets, const pursuit_options& options) {
  return detail::pursue_non_negative<cuda<Scalar>>(be, dictionary.atoms, targets, options,
                                                   index_t{1} << 30);
}

/// The same for a dictionary and targets in host memory, which are uploaded.
/// @param targets n × N
template <std::floating_point Scalar>
[[nodiscard]] SparseCodes<Scalar> non_negative_pursuit(
    const cuda<Scalar>& be, const Dictionary<Scalar>& dictionary,
    const std::type_identity_t<Eigen::Ref<const Eigen::MatrixX<Scalar>>>& targets,
    const pursuit_options& options) {
  DeviceMatrix<Scalar> X = be.make_matrix(targets.rows(), targets.cols());
  upload(be, targets, X);
  return non_negative_pursuit(be, DeviceDictionary<Scalar>(be, dictionary), X, options);
}

}  // namespace basin
