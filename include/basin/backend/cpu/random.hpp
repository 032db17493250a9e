/// @file
/// Random fills on the CPU.
#pragma once

#include <basin/backend/cpu/columns.hpp>
#include <basin/backend/cpu/context.hpp>
#include <basin/backend/orthonormal.hpp>
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
    const Scalar norm = std::sqrt(detail::squared_norm(X.data() + j * X.outerStride(), X.rows()));
    X.col(j).array() *= radius / norm;
  });
}

/// Orthonormal columns, uniformly distributed (Haar): the Q of a normal matrix,
/// computed in double on one thread. Cost: O(k n²).
/// @throws size_error if X has more columns than rows
template <std::floating_point Scalar>
void fill_orthogonal(const cpu<Scalar>&, random_stream stream, typename cpu<Scalar>::view X) {
  X = detail::orthonormal<Scalar>(stream, X.rows(), X.cols());
}

}  // namespace basin
