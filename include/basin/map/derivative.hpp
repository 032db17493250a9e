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
  requires has_jvp<std::remove_reference_t<F>, B>
void jvp(const B& be, F& f, const typename B::const_view& Z, const typename B::const_view& V,
         typename B::view JV) {
  require_dimension("jvp", f, static_cast<index_t>(Z.rows()));
  require_same_shape("jvp", Z, V);
  require_size("jvp", "number of columns of JV", JV.cols(), Z.cols());
  f.jvp(be, Z, V, JV);
}

/// JtU = J(z_j)^T u_j per column. JtU must not overlap Z or U.
/// @param Z states, k × N
/// @param U output_dimension × N
/// @param JtU k × N
/// @throws size_error unless the shapes agree
template <class B, class F>
  requires has_vjp<std::remove_reference_t<F>, B>
void vjp(const B& be, F& f, const typename B::const_view& Z, const typename B::const_view& U,
         typename B::view JtU) {
  require_dimension("vjp", f, static_cast<index_t>(Z.rows()));
  require_same_shape("vjp", Z, JtU);
  require_size("vjp", "number of columns of U", U.cols(), Z.cols());
  f.vjp(be, Z, U, JtU);
}

}  // namespace basin
