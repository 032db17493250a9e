/// @file
/// Random fills on the CPU.
#pragma once

#include <Eigen/QR>

#include <basin/backend/cpu/columns.hpp>
#include <basin/backend/cpu/context.hpp>
#include <basin/core/random.hpp>

namespace basin {

/// X(i, j) uniform in the open interval (low, high), from position
/// (i, first_column + j) of the stream: a fill in parts equals one fill.
/// @throws argument_error unless low < high
template <std::floating_point Scalar>
void fill_uniform(const cpu<Scalar>& be, random_stream stream, typename cpu<Scalar>::view X,
                  std::type_identity_t<Scalar> low = 0, std::type_identity_t<Scalar> high = 1,
                  index_t first_column = 0) {
  require(low < high, "fill_uniform", "low must be less than high");
  detail::for_each_column(be, X.rows(), X.cols(), [&](index_t j) {
    for (index_t i = 0; i < X.rows(); ++i) {
      X(i, j) = low + (high - low) * uniform_from_word<Scalar>(stream.word(i, first_column + j));
    }
  });
}

/// X(i, j) normal with mean 0 and the given standard deviation, from position
/// (i, first_column + j) of the stream.
template <std::floating_point Scalar>
void fill_normal(const cpu<Scalar>& be, random_stream stream, typename cpu<Scalar>::view X,
                 std::type_identity_t<Scalar> deviation = 1, index_t first_column = 0) {
  detail::for_each_column(be, X.rows(), X.cols(), [&](index_t j) {
    for (index_t i = 0; i < X.rows(); ++i) {
      X(i, j) = deviation * normal_at<Scalar>(stream, i, first_column + j);
    }
  });
}

/// Columns uniform on the sphere of the given radius around the origin: normal
/// columns, scaled.
template <std::floating_point Scalar>
void fill_on_sphere(const cpu<Scalar>& be, random_stream stream, typename cpu<Scalar>::view X,
                    std::type_identity_t<Scalar> radius = 1, index_t first_column = 0) {
  fill_normal(be, stream, X, 1, first_column);
  detail::for_each_column(be, X.rows(), X.cols(), [&](index_t j) {
    const Scalar norm =
        std::sqrt(detail::squared_norm(X.data() + j * X.outerStride(), X.rows()));
    X.col(j).array() *= radius / norm;
  });
}

namespace detail {
/// A k × n matrix with orthonormal columns, uniform (Haar) over all of them.
template <class Scalar>
[[nodiscard]] Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> orthonormal(
    random_stream stream, index_t k, index_t n) {
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
}  // namespace detail

/// Orthonormal columns, uniformly distributed (Haar): the Q of a normal matrix,
/// computed in double on one thread. Cost: O(k n²).
/// @throws size_error if X has more columns than rows
template <std::floating_point Scalar>
void fill_orthogonal(const cpu<Scalar>&, random_stream stream, typename cpu<Scalar>::view X) {
  if (X.cols() > X.rows()) {
    throw size_error("fill_orthogonal: " + std::to_string(X.cols()) +
                     " orthonormal columns of only " + std::to_string(X.rows()) + " rows");
  }
  X = detail::orthonormal<Scalar>(stream, X.rows(), X.cols());
}

}  // namespace basin
