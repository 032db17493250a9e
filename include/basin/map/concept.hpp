/// @file
/// What a map is, and how the library calls one.
///
/// A map takes a batch Z (k × N, one state per column) to a batch of the same
/// shape. Any callable in one of these forms is a map for backend B:
///
///   in place          f(Z, out)        out: Eigen::Ref<matrix> on the CPU
///   by value          f(Z) -> matrix or Eigen expression
///   with the backend  f(be, Z, out) or f(be, Z), the first parameter typed
///                     (const basin::cpu<float>&) or constrained (basin::backend auto)
///
/// A map may also have
///
///   dimension()           k, tested against the states
///   output_dimension()    rows of the result, where it is not k (encoders, decoders)
///   batch_coupled         static constexpr bool: a column's answer depends on others
///   copies_run_apart      static constexpr bool: copies of the map may be evaluated by several
///                         threads at once
///   jvp(be, Z, V, JV)     JV = J(z_j) v_j per column
///   vjp(be, Z, U, JtU)    JtU = J(z_j)^T u_j per column
#pragma once

#include <concepts>
#include <string>
#include <type_traits>
#include <utility>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>

namespace basin {

/// f(be, Z, out).
template <class F, class B>
concept map_in_place_with_backend = requires(F& f, const B& be, const typename B::const_view& Z,
                                             typename B::view& out) { f(be, Z, out); };

/// f(Z, out).
template <class F, class B>
concept map_in_place =
    requires(F& f, const typename B::const_view& Z, typename B::view& out) { f(Z, out); };

/// f(Z), with a matrix or an expression as its value.
template <class F, class B>
concept map_by_value = requires(F& f, const typename B::const_view& Z) {
  f(Z).rows();
  f(Z).cols();
};

/// f(be, Z), with a matrix or an expression as its value.
template <class F, class B>
concept map_by_value_with_backend = requires(F& f, const B& be, const typename B::const_view& Z) {
  f(be, Z).rows();
  f(be, Z).cols();
};

namespace detail {
// Tried in this order: a generic in-place lambda would also fit f(be, Z).
template <class F, class B>
concept callable_on_batch = map_in_place<F, B> || map_in_place_with_backend<F, B> ||
                            map_by_value<F, B> || map_by_value_with_backend<F, B>;
}  // namespace detail

/// A callable that takes a batch of states of backend B in one of the forms above.
template <class F, class B>
concept latent_map = detail::callable_on_batch<std::remove_reference_t<F>, B>;

/// A map with exact Jacobian-vector products.
template <class F, class B>
concept has_jvp =
    requires(F& f, const B& be, const typename B::const_view& Z, const typename B::const_view& V,
             typename B::view& JV) { f.jvp(be, Z, V, JV); };

/// A map with exact products of the transposed Jacobian.
template <class F, class B>
concept has_vjp =
    requires(F& f, const B& be, const typename B::const_view& Z, const typename B::const_view& U,
             typename B::view& JtU) { f.vjp(be, Z, U, JtU); };

/// Whether the answer of one column depends on the others of its batch. False
/// unless the map says so.
template <class F>
inline constexpr bool is_batch_coupled = [] {
  if constexpr (requires { std::bool_constant<std::remove_cvref_t<F>::batch_coupled>{}; }) {
    return std::remove_cvref_t<F>::batch_coupled;
  } else {
    return false;
  }
}();

/// Whether copies of the map may be evaluated by several threads at once: a flow then lets each
/// thread follow columns of its own. False unless the map says so.
template <class F>
inline constexpr bool copies_run_apart = [] {
  if constexpr (requires { std::bool_constant<std::remove_cvref_t<F>::copies_run_apart>{}; }) {
    return std::remove_cvref_t<F>::copies_run_apart;
  } else {
    return false;
  }
}();

/// Rows that a map takes, or -1 if it does not say.
template <class F>
[[nodiscard]] index_t dimension(const F& f) {
  if constexpr (requires {
                  { f.dimension() } -> std::convertible_to<index_t>;
                }) {
    return f.dimension();
  } else {
    return -1;
  }
}

/// Rows that a map gives: output_dimension() where there is one, else dimension().
template <class F>
[[nodiscard]] index_t output_dimension(const F& f) {
  if constexpr (requires {
                  { f.output_dimension() } -> std::convertible_to<index_t>;
                }) {
    return f.output_dimension();
  } else {
    return dimension(f);
  }
}

/// Throws `size_error` if a map that says its dimension is given other states.
template <class F>
void require_dimension(std::string_view where, const F& f, index_t rows) {
  if (const index_t k = dimension(f); k >= 0) {
    require_size(where, "number of rows of the states (the map's dimension)", rows, k);
  }
}

namespace detail {
template <class B, class Result>
void assign_result(const B& be, const Result& result, typename B::view& out) {
  if (result.rows() != out.rows() || result.cols() != out.cols()) {
    throw size_error("the map returned " + std::to_string(result.rows()) + " x " +
                     std::to_string(result.cols()) + ", expected " + std::to_string(out.rows()) +
                     " x " + std::to_string(out.cols()));
  }
  if constexpr (requires {
                  out.array() = result.array();
                  result.matrix();
                }) {
    out.noalias() = result.matrix();
  } else {
    copy(be, result, out);
  }
}
}  // namespace detail

/// out = f(Z). `out` must not overlap Z.
/// @throws size_error if f returns another shape than out's, or says another
///   dimension than Z's; whatever f throws
template <class B, class F>
  requires latent_map<F, B>
void evaluate(const B& be, F& f, const typename B::const_view& Z, typename B::view out) {
  require_dimension("evaluate", f, Z.rows());
  if constexpr (map_in_place<F, B>) {
    f(Z, out);
  } else if constexpr (map_in_place_with_backend<F, B>) {
    f(be, Z, out);
  } else if constexpr (map_by_value<F, B>) {
    detail::assign_result(be, f(Z), out);
  } else {
    detail::assign_result(be, f(be, Z), out);
  }
}

}  // namespace basin
