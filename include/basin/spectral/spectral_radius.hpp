/// @file
/// Spectral radius and numerical abscissa of Jacobians: one number a point.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/map/derivative.hpp>
#include <basin/map/workspace.hpp>
#include <basin/spectral/column_values.hpp>
#include <basin/spectral/eigenvalue_error.hpp>
#include <basin/spectral/eigenvalues.hpp>

namespace basin {

/// The spectral radii max |λ| of J_f at the columns of `points`: at a fixed point the rate at
/// which errors decay in the end, if below 1. Not the spectral norm, which is at least this and
/// bounds every single step (`spectral_norm`).
///
/// The errors (`eigenvalue_errors`) go by condition numbers, for which a method that is not dense
/// needs left vectors. Of a map without vjp, or where the left vector is not found, the condition
/// number within the Krylov space stands in: a lower bound, and the error may be larger.
/// @param map with jvp; with vjp the errors are known where the method is not dense
/// @param points k × n in host memory
/// @param options `count`, `order` and vectors are not used
/// @throws size_error unless the map takes and gives k rows; argument_error if a setting is out
///   of its range
/// Cost: that of `eigenvalues` for one value, with its left vector.
///
/// @code
/// #include <iostream>
///
/// #include <basin/map/affine.hpp>
/// #include <basin/spectral/singular_values.hpp>
/// #include <basin/spectral/spectral_radius.hpp>
///
/// int main() {
///   Eigen::Matrix2d J;
///   J << 0.5, 2, 0, 0.5;
///   auto map = basin::affine(Eigen::MatrixXd(J));
///   const basin::cpu<double> cpu;
///   const Eigen::MatrixXd origin = Eigen::MatrixXd::Zero(2, 1);
///   std::cout << "errors may grow " << basin::spectral_norm(cpu, map, origin).values
///             << " times in one step, and in the end shrink by "
///             << basin::spectral_radius(cpu, map, origin).values << '\n';
/// }
/// @endcode
template <basin::backend B, class Map>
  requires has_jvp<Map, B>
[[nodiscard]] ColumnValues spectral_radius(const B& be, Map& map,
                                           const Eigen::Ref<const Eigen::MatrixXd>& points,
                                           eigenvalue_options options = {}) {
  // Where they cost nothing the others help to tell the error of a multiple value.
  const index_t k = points.rows();
  options.count = 1;
  options.check();
  if (options.is_dense(k)) {
    options = {.count = std::max<index_t>(k, 1), .method = eigenvalue_method::dense};
  }
  options.order = eigenvalue_order::modulus;
  options.right_vectors = false;
  options.left_vectors = has_vjp<Map, B> && !options.is_dense(k);
  const auto found = eigenvalues(be, map, points, options);
  ColumnValues radii = detail::no_values(points.cols());
  for (index_t j = 0; j < radii.size(); ++j) {
    const Spectrum& one = found[static_cast<std::size_t>(j)];
    radii.status[static_cast<std::size_t>(j)] = one.status;
    radii.products += one.products;
    if (one.size() == 0) continue;
    radii.values[j] = std::abs(one.values[0]);
    radii.errors[j] = eigenvalue_errors(one)[0];
  }
  return radii;
}

namespace detail {

/// A map whose Jacobian is the symmetric part of f's.
template <class Map>
class SymmetricPart {
 public:
  explicit SymmetricPart(Map& map) : map_(map) {}
  [[nodiscard]] index_t dimension() const { return basin::dimension(map_); }
  [[nodiscard]] index_t output_dimension() const { return basin::output_dimension(map_); }

  template <class B>
  void jvp(const B& be, const typename B::const_view& Z, const typename B::const_view& V,
           typename B::view JV) {
    using scalar = typename B::scalar;
    typename B::view other = kept_.get(be, 0, V.rows(), V.cols());
    basin::jvp(be, map_, Z, V, JV);
    basin::vjp(be, map_, Z, V, other);
    axpby(be, scalar(0.5), other, scalar(0.5), JV);
  }

 private:
  Map& map_;
  Workspace kept_;
};

}  // namespace detail

/// The numerical abscissae of J_f at the columns of `points`, the largest eigenvalues of
/// (J + Jᵀ) / 2: d‖v‖/dt is at most this less 1, times ‖v‖, for a small perturbation v of the flow
/// dz/dt = f(z) - z. Above 1 some perturbations grow at first, whatever the eigenvalues (Trefethen
/// and Embree 2005, chapter 17).
/// @param map with jvp and vjp
/// @param points k × n in host memory
/// @param options `count`, `order` and vectors are not used
/// @throws size_error, argument_error as `spectral_radius`
/// Cost: that of `eigenvalues` for one value, with a jvp and a vjp in place of each jvp.
template <basin::backend B, class Map>
  requires has_jvp<Map, B> && has_vjp<Map, B>
[[nodiscard]] ColumnValues numerical_abscissa(const B& be, Map& map,
                                              const Eigen::Ref<const Eigen::MatrixXd>& points,
                                              eigenvalue_options options = {}) {
  options.count = 1;
  options.order = eigenvalue_order::real_part;
  options.right_vectors = options.left_vectors = false;
  detail::SymmetricPart<Map> symmetric(map);
  const auto found = eigenvalues(be, symmetric, points, options);
  ColumnValues abscissae = detail::no_values(points.cols());
  for (index_t j = 0; j < abscissae.size(); ++j) {
    const Spectrum& one = found[static_cast<std::size_t>(j)];
    abscissae.status[static_cast<std::size_t>(j)] = one.status;
    abscissae.products += 2 * one.products;
    if (one.size() == 0) continue;
    abscissae.values[j] = one.values[0].real();
    // Those of a symmetric matrix are as well conditioned as can be.
    abscissae.errors[j] = one.backward_error[0] * one.norm;
  }
  return abscissae;
}

}  // namespace basin
