/// @file
/// Random fills on the device, from the same words as everywhere.
#pragma once

#include <basin/backend/cuda/columns.hpp>
#include <basin/backend/cuda/context.hpp>
#include <basin/backend/orthonormal.hpp>
#include <basin/core/random.hpp>

namespace basin {
namespace detail {

template <class Scalar>
struct uniform_entry {
  random_stream stream;
  device_view<Scalar> X;
  Scalar low;
  Scalar high;
  index_t first_column;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i % X.rows();
    const index_t column = i / X.rows();
    X(row, column) =
        low + (high - low) * uniform_from_word<Scalar>(stream.word(row, first_column + column));
  }
};

template <class Scalar>
struct normal_entry {
  random_stream stream;
  device_view<Scalar> X;
  Scalar deviation;
  index_t first_column;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i % X.rows();
    const index_t column = i / X.rows();
    X(row, column) = deviation * normal_at<Scalar>(stream, row, first_column + column);
  }
};

/// s = radius / √s
template <class Scalar>
struct to_factor {
  Scalar* s;
  Scalar radius;
  BASIN_HOST_DEVICE void operator()(index_t j) const { s[j] = radius / std::sqrt(s[j]); }
};

}  // namespace detail

/// X(i, j) uniform in the open interval (low, high), from position
/// (i, first_column + j) of the stream: a fill in parts equals one fill.
/// @throws argument_error unless low < high
template <std::floating_point Scalar>
void fill_uniform(const cuda<Scalar>& be, random_stream stream, typename cuda<Scalar>::view X,
                  std::type_identity_t<Scalar> low = 0, std::type_identity_t<Scalar> high = 1,
                  index_t first_column = 0) {
  require(low < high, "fill_uniform", "low must be less than high");
  for_each_index(be, X.rows() * X.cols(),
                 detail::uniform_entry<Scalar>{stream, X, low, high, first_column});
}

/// X(i, j) normal with mean 0 and the given standard deviation, from position
/// (i, first_column + j) of the stream. Equal to the CPU's but for the last bits of
/// log, sin and cos.
template <std::floating_point Scalar>
void fill_normal(const cuda<Scalar>& be, random_stream stream, typename cuda<Scalar>::view X,
                 std::type_identity_t<Scalar> deviation = 1, index_t first_column = 0) {
  for_each_index(be, X.rows() * X.cols(),
                 detail::normal_entry<Scalar>{stream, X, deviation, first_column});
}

/// Columns uniform on the sphere of the given radius around the origin: normal
/// columns, scaled.
template <std::floating_point Scalar>
void fill_on_sphere(const cuda<Scalar>& be, random_stream stream, typename cuda<Scalar>::view X,
                    std::type_identity_t<Scalar> radius = 1, index_t first_column = 0) {
  fill_normal(be, stream, X, 1, first_column);
  DeviceBuffer<Scalar> factors(X.cols());
  column_squared_norms(be, X, factors);
  for_each_index(be, X.cols(), detail::to_factor<Scalar>{factors.data(), radius});
  scale_columns(be, array_view<const Scalar>(factors), X);
  be.runtime().wait();  // before the factors are freed
}

/// Orthonormal columns, uniformly distributed (Haar), made on the host: equal to the
/// CPU's to the bit. Cost: O(k n²) on one host thread, and one upload.
/// @throws size_error if X has more columns than rows
template <std::floating_point Scalar>
void fill_orthogonal(const cuda<Scalar>& be, random_stream stream, typename cuda<Scalar>::view X) {
  upload(be, detail::orthonormal<Scalar>(stream, X.rows(), X.cols()), X);
}

}  // namespace basin
