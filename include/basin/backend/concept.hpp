/// @file
/// What a backend must offer, in named groups, so that an error says which group
/// a type fails. Primitives are free functions found by overload, the backend
/// first. backend/cpu.hpp documents each.
#pragma once

#include <concepts>
#include <cstdint>

#include <basin/backend/array_view.hpp>
#include <basin/backend/functors.hpp>
#include <basin/core/index.hpp>
#include <basin/core/random.hpp>

namespace basin {

/// A cheap-to-copy context with its scalar, matrix and view types.
template <class B>
concept backend_context = std::copyable<B> && std::floating_point<typename B::scalar> && requires {
  typename B::matrix;
  typename B::view;
  typename B::const_view;
  typename B::template buffer<index_t>;
};

/// Memory of the backend, views of columns, transfer from and to the host.
template <class B>
concept backend_memory = backend_context<B> && requires(const B& be, typename B::matrix& X,
                                                        const typename B::matrix& C, index_t n) {
  { be.make_matrix(n, n) } -> std::same_as<typename B::matrix>;
  { be.template make_buffer<index_t>(n) } -> std::same_as<typename B::template buffer<index_t>>;
  { columns(be, X, n, n) } -> std::convertible_to<typename B::view>;
  { columns(be, C, n, n) } -> std::convertible_to<typename B::const_view>;
  copy(be, columns(be, C, n, n), columns(be, X, n, n));
};

/// Matrix products and sums.
template <class B>
concept backend_linear =
    backend_context<B> && requires(const B& be, typename B::const_view X, typename B::view Y) {
      gemm(be, X, X, Y);
      axpby(be, typename B::scalar(1), X, typename B::scalar(1), Y);
    };

/// Reductions, scaling and moving of columns.
template <class B>
concept backend_columns =
    backend_context<B> &&
    requires(const B& be, typename B::const_view X, typename B::view Y,
             array_view<typename B::scalar> d, array_view<const index_t> which,
             array_view<index_t> rows, array_view<std::uint8_t> flags) {
      column_dots(be, X, X, d);
      column_squared_norms(be, X, d);
      column_squared_distances(be, X, X, d);
      column_arg_max(be, X, rows);
      columns_finite(be, X, flags);
      scale_columns(be, d, Y);
      add_to_columns(be, d, Y);
      gather_columns(be, X, which, Y);
      scatter_columns(be, X, which, Y);
      move_columns(be, X, which, which, Y);
    };

/// Elementwise functions.
template <class B>
concept backend_elementwise =
    backend_context<B> && requires(const B& be, typename B::const_view X, typename B::view Y) {
      transform(be, tanh_function{}, X, Y);
    };

/// Random fills.
template <class B>
concept backend_random =
    backend_context<B> && requires(const B& be, random_stream s, typename B::view X) {
      fill_uniform(be, s, X);
      fill_normal(be, s, X);
      fill_on_sphere(be, s, X);
      fill_orthogonal(be, s, X);
    };

/// Every group.
template <class B>
concept backend = backend_memory<B> && backend_linear<B> && backend_columns<B> &&
                  backend_elementwise<B> && backend_random<B>;

}  // namespace basin
