/// @file
/// Orthogonal matching pursuit on the device backend.
#pragma once

#include <algorithm>
#include <concepts>
#include <type_traits>

#include <Eigen/Core>

#include <basin/backend/cuda.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/sparse/cuda/dictionary.hpp>
#include <basin/sparse/cuda/pursuits.hpp>
#include <basin/sparse/orthogonal_matching_pursuit.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin {

/// Device memory of a pursuit besides the atoms, the Gram matrix and the targets, in bytes.
inline constexpr index_t device_pursuit_bytes = index_t{1} << 30;

/// Orthogonal matching pursuit of many targets at once, on a device: the options, the statuses and
/// the answer are those of the CPU, ties within rounding aside. All targets advance together, one
/// atom a step (detail::DevicePursuits). Correlations are in the scalar; the least squares, and the
/// choice among atoms that tie within rounding, are in double. Targets for which inner products in
/// the scalar do not suffice are pursued again by products with their residuals.
///
/// A target's code does not depend on the others: what the order of a product's roundings might
/// tell is asked again in double.
///
/// @param dictionary on the same device
/// @param targets n × N, in the device's memory
/// @return codes in host memory
/// @throws size_error unless the targets have as many rows as the atoms; argument_error if a
///   setting is out of its range or none ends the pursuit; device_error where the device fails, or
///   its memory does not suffice
/// Cost: by the Gram matrix 2 n d N flops once, and then a target with t atoms reads d t numbers of
/// it; directly 2 n d flops a step and 2 n t numbers. Both read n t numbers for a residual and t^2
/// doubles. Which form `automatic` takes is the CPU's rule: timings on a device are not measured
/// yet.
/// Memory: `device_pursuit_bytes`, in which as many targets as fit advance together, each with
/// 4 t^2 bytes for the t atoms that `atoms` allows, so say it where few suffice; and d^2 numbers
/// for a Gram matrix that the dictionary does not hold.
template <std::floating_point Scalar>
[[nodiscard]] SparseCodes<Scalar> orthogonal_matching_pursuit(
    const cuda<Scalar>& be, const DeviceDictionary<Scalar>& dictionary,
    const typename cuda<Scalar>::const_view& targets, const pursuit_options& options) {
  constexpr const char* where = "orthogonal_matching_pursuit";
  options.check(where);
  require_size(where, "number of rows of the targets", targets.rows(), dictionary.rows());
  const index_t d = dictionary.size();
  const index_t at_most = std::min(d, dictionary.rows());
  const index_t most = options.atoms > 0 ? std::min(options.atoms, at_most) : at_most;
  const bool held = d > 0 && dictionary.gram.cols() == d;
  const bool by_gram =
      options.form == pursuit_form::gram ||
      (options.form == pursuit_form::automatic &&
       (held || detail::gram_pays(d, targets.cols(), most, options, sizeof(Scalar))));
  const auto pursue = [&](const device_view<const Scalar>& G) {
    return detail::pursue_on_device<Scalar>(be, dictionary.atoms, G, targets, most, options,
                                            device_pursuit_bytes);
  };
  if (!by_gram) return pursue({nullptr, 0, 0, 0});
  if (held) return pursue(dictionary.gram);
  DeviceMatrix<Scalar> G = be.make_matrix(d, d);
  gemm(be, dictionary.atoms, dictionary.atoms, G, {.a = transpose::yes});
  return pursue(G);
}

/// The same for a dictionary and targets in host memory, which are uploaded.
/// @param targets n × N
template <std::floating_point Scalar>
[[nodiscard]] SparseCodes<Scalar> orthogonal_matching_pursuit(
    const cuda<Scalar>& be, const Dictionary<Scalar>& dictionary,
    const std::type_identity_t<Eigen::Ref<const Eigen::MatrixX<Scalar>>>& targets,
    const pursuit_options& options) {
  options.check("orthogonal_matching_pursuit");
  DeviceMatrix<Scalar> X = be.make_matrix(targets.rows(), targets.cols());
  upload(be, targets, X);
  return orthogonal_matching_pursuit(be, DeviceDictionary<Scalar>(be, dictionary), X, options);
}

}  // namespace basin
