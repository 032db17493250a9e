/// @file
/// Products with the Jacobian of a map, with the checks that a caller may expect.
#pragma once

#include <basin/map/concept.hpp>

namespace basin {

/// JV = J(z_j) v_j per column. JV must not overlap Z or V.
/// @param Z states, k × N
/// @param V directions, k × N
/// @param JV output_dimension × N
/// @throws size_error unless the shapes agree
template <class B, class F>
void jvp(const B& be, F& f, const typename B::const_view& Z, const typename B::const_view& V,
         typename B::view JV) {
  constexpr bool derives = has_jvp<std::remove_reference_t<F>, B>;
  static_assert(derives,
                "basin::has_jvp fails: the map has no jvp; see differentiable and "
                "finite_difference");
  require_dimension("jvp", f, static_cast<index_t>(Z.rows()));
  require_same_shape("jvp", Z, V);
  require_size("jvp", "number of columns of JV", JV.cols(), Z.cols());
  if constexpr (derives) f.jvp(be, Z, V, JV);
}

/// JtU = J(z_j)^T u_j per column. JtU must not overlap Z or U.
/// @param Z states, k × N
/// @param U output_dimension × N
/// @param JtU k × N
/// @throws size_error unless the shapes agree
template <class B, class F>
void vjp(const B& be, F& f, const typename B::const_view& Z, const typename B::const_view& U,
         typename B::view JtU) {
  constexpr bool derives = has_vjp<std::remove_reference_t<F>, B>;
  static_assert(derives,
                "basin::has_vjp fails: the map has no vjp; see differentiable and "
                "finite_difference");
  require_dimension("vjp", f, static_cast<index_t>(Z.rows()));
  require_same_shape("vjp", Z, JtU);
  require_size("vjp", "number of columns of U", U.cols(), Z.cols());
  if constexpr (derives) f.vjp(be, Z, U, JtU);
}

}  // namespace basin
