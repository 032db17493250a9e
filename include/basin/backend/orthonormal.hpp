/// @file
/// Random orthonormal columns, made in host memory for every backend.
#pragma once

#include <string>

#include <Eigen/Core>
#include <Eigen/QR>

#include <basin/core/error.hpp>
#include <basin/core/random.hpp>

namespace basin::detail {

/// A k × n matrix with orthonormal columns, uniform (Haar) over all of them.
/// @throws size_error if n > k
template <class Scalar>
[[nodiscard]] Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> orthonormal(
    random_stream stream, index_t k, index_t n) {
  if (n > k) {
    throw size_error("fill_orthogonal: " + std::to_string(n) + " orthonormal columns of only " +
                     std::to_string(k) + " rows");
  }
  Eigen::MatrixXd normal(k, n);
  for (index_t j = 0; j < n; ++j) {
    for (index_t i = 0; i < k; ++i) normal(i, j) = normal_at<double>(stream, i, j);
  }
  const Eigen::HouseholderQR<Eigen::MatrixXd> factors(normal);
  Eigen::MatrixXd Q = factors.householderQ() * Eigen::MatrixXd::Identity(k, n);
  // The factor is unique, and its distribution uniform, only with a positive
  // diagonal of R: Mezzadri, Notices of the AMS 54 (2007).
  for (index_t j = 0; j < n; ++j) {
    if (factors.matrixQR()(j, j) < 0) Q.col(j) *= -1;
  }
  return Q.cast<Scalar>();
}

}  // namespace basin::detail
