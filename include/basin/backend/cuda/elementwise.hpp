/// @file
/// Elementwise functions and sums of matrices on the device.
#pragma once

#include <cstddef>
#include <utility>

#include <basin/backend/cuda/context.hpp>
#include <basin/backend/functors.hpp>

namespace basin {
namespace detail {

/// out = f(in...) for entry i of matrices of `rows` rows.
template <class F, class Scalar, int N>
struct transform_entry {
  F f;
  index_t rows;
  Scalar* out;
  index_t out_stride;
  const Scalar* in[N];
  index_t stride[N];

  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t column = i / rows;
    const index_t row = i - column * rows;
    apply(row, column, std::make_integer_sequence<int, N>{});
  }

 private:
  template <int... I>
  BASIN_HOST_DEVICE void apply(index_t row, index_t column,
                               std::integer_sequence<int, I...>) const {
    out[row + column * out_stride] = static_cast<Scalar>(f(in[I][row + column * stride[I]]...));
  }
};

template <class Scalar, class F, class... Inputs>
void transform_matrices(const cuda<Scalar>& be, const F& f, const device_view<Scalar>& out,
                        const Inputs&... in) {
  for_each_index(
      be, out.rows() * out.cols(),
      transform_entry<F, Scalar, static_cast<int>(sizeof...(in))>{
          f, out.rows(), out.data(), out.outerStride(), {in.data()...}, {in.outerStride()...}});
}

}  // namespace detail

/// Y = f(X), element by element. Y may be X.
/// @throws size_error unless X and Y have the same shape
template <std::floating_point Scalar, class F>
void transform(const cuda<Scalar>& be, const F& f, const typename cuda<Scalar>::const_view& X,
               typename cuda<Scalar>::view Y) {
  require_same_shape("transform", X, Y);
  detail::transform_matrices(be, f, Y, X);
}

/// Z = f(X, Y), element by element. Z may be X or Y.
/// @throws size_error unless all have the same shape
template <std::floating_point Scalar, class F>
void transform(const cuda<Scalar>& be, const F& f, const typename cuda<Scalar>::const_view& X,
               const typename cuda<Scalar>::const_view& Y, typename cuda<Scalar>::view Z) {
  require_same_shape("transform", X, Y);
  require_same_shape("transform", X, Z);
  detail::transform_matrices(be, f, Z, X, Y);
}

/// Y = a X + b Y.
/// @throws size_error unless X and Y have the same shape
template <std::floating_point Scalar>
void axpby(const cuda<Scalar>& be, std::type_identity_t<Scalar> a,
           const typename cuda<Scalar>::const_view& X, std::type_identity_t<Scalar> b,
           typename cuda<Scalar>::view Y) {
  require_same_shape("axpby", X, Y);
  detail::transform_matrices(be, weighted_sum<Scalar, 2>{{a, b}}, Y, X,
                             typename cuda<Scalar>::const_view(Y));
}

/// Y = sum of weight × matrix over one to eight terms, in one pass. Y may be one
/// of the matrices.
/// @throws size_error unless all have the same shape
template <std::floating_point Scalar, std::same_as<weighted<cuda<Scalar>>>... Terms>
  requires(sizeof...(Terms) >= 1 && sizeof...(Terms) <= 8)
void linear_combination(const cuda<Scalar>& be, typename cuda<Scalar>::view Y,
                        const Terms&... terms) {
  (require_same_shape("linear_combination", Y, terms.matrix), ...);
  detail::transform_matrices(
      be, weighted_sum<Scalar, static_cast<int>(sizeof...(Terms))>{{terms.weight...}}, Y,
      terms.matrix...);
}

}  // namespace basin
