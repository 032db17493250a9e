/// @file
/// Elementwise functions and sums of matrices on the CPU.
#pragma once

#include <algorithm>
#include <cstddef>

#include <basin/backend/cpu/context.hpp>
#include <basin/backend/cpu/packet.hpp>
#include <basin/backend/functors.hpp>

namespace basin {
namespace detail {

/// Elements to a task: below this, waking a thread costs more than it saves.
inline constexpr index_t elements_per_task = index_t{1} << 14;

/// Runs f over same-shaped matrices, whole if they are contiguous, else column
/// by column. Which of the two does not show in the result.
template <class Scalar, class F, class Output, class... Inputs>
void transform_matrices(const cpu<Scalar>& be, const F& f, Output& out, const Inputs&... in) {
  const index_t rows = out.rows();
  const index_t columns = out.cols();
  if (rows == 0 || columns == 0) return;
  const bool contiguous = out.outerStride() == rows && (... && (in.outerStride() == rows));
  if (contiguous) {
    const index_t n = rows * columns;
    const index_t tasks = (n + elements_per_task - 1) / elements_per_task;
    be.pool().run(tasks, [&](index_t task) {
      const index_t first = task * elements_per_task;
      transform_run(f, std::min(elements_per_task, n - first), out.data() + first,
                    (in.data() + first)...);
    });
  } else {
    const index_t grain = std::max<index_t>(1, elements_per_task / rows);
    for_each_index(
        be, columns,
        [&](index_t j) {
          transform_run(f, rows, out.data() + j * out.outerStride(),
                        (in.data() + j * in.outerStride())...);
        },
        grain);
  }
}

}  // namespace detail

/// Y = f(X), element by element. Y may be X.
/// @throws size_error unless X and Y have the same shape
template <std::floating_point Scalar, class F>
void transform(const cpu<Scalar>& be, const F& f, const typename cpu<Scalar>::const_view& X,
               typename cpu<Scalar>::view Y) {
  require_same_shape("transform", X, Y);
  detail::transform_matrices(be, f, Y, X);
}

/// Z = f(X, Y), element by element. Z may be X or Y.
/// @throws size_error unless all have the same shape
template <std::floating_point Scalar, class F>
void transform(const cpu<Scalar>& be, const F& f, const typename cpu<Scalar>::const_view& X,
               const typename cpu<Scalar>::const_view& Y, typename cpu<Scalar>::view Z) {
  require_same_shape("transform", X, Y);
  require_same_shape("transform", X, Z);
  detail::transform_matrices(be, f, Z, X, Y);
}

/// Y = a X + b Y.
/// @throws size_error unless X and Y have the same shape
template <std::floating_point Scalar>
void axpby(const cpu<Scalar>& be, std::type_identity_t<Scalar> a,
           const typename cpu<Scalar>::const_view& X, std::type_identity_t<Scalar> b,
           typename cpu<Scalar>::view Y) {
  require_same_shape("axpby", X, Y);
  detail::transform_matrices(be, weighted_sum<Scalar, 2>{{a, b}}, Y, X, Y);
}

/// Y = sum of weight × matrix over one to eight terms, in one pass. Y may be one
/// of the matrices.
/// @throws size_error unless all have the same shape
template <std::floating_point Scalar, std::same_as<weighted<cpu<Scalar>>>... Terms>
  requires(sizeof...(Terms) >= 1 && sizeof...(Terms) <= 8)
void linear_combination(const cpu<Scalar>& be, typename cpu<Scalar>::view Y,
                        const Terms&... terms) {
  (require_same_shape("linear_combination", Y, terms.matrix), ...);
  detail::transform_matrices(be, weighted_sum<Scalar, sizeof...(Terms)>{{terms.weight...}}, Y,
                             terms.matrix...);
}

}  // namespace basin
