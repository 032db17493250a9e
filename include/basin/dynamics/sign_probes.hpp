/// @file
/// Products of Jacobians with random signs, from which norms and traces are estimated.
#pragma once

#include <utility>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/random.hpp>
#include <basin/map/derivative.hpp>

namespace basin::detail {

/// Calls visit(W, JW, JtW) for each of `probes` matrices W of random signs, one column a point,
/// with J w and Jᵀ w per column, all k × n in double. Without vjp JtW is 0 × 0.
/// @param points k × n in host memory; J is square
template <basin::backend B, class Map, class Visit>
void for_each_sign_probe(const B& be, Map& map,
                         const Eigen::Ref<const Eigen::MatrixX<typename B::scalar>>& points,
                         index_t probes, random_stream random, Visit&& visit) {
  using host = Eigen::MatrixX<typename B::scalar>;
  const index_t k = points.rows();
  const index_t n = points.cols();
  if (n == 0) return;
  typename B::matrix Z = be.make_matrix(k, n);
  typename B::matrix W = be.make_matrix(k, n);
  typename B::matrix JW = be.make_matrix(k, n);
  host signs(k, n), product(k, n);
  upload(be, points, columns(be, Z, 0, n));
  for (index_t p = 0; p < probes; ++p) {
    for (index_t j = 0; j < n; ++j) {
      for (index_t i = 0; i < k; ++i) {
        signs(i, j) = random.word(i, j * probes + p) % 2 == 0 ? -1 : 1;
      }
    }
    upload(be, signs, columns(be, W, 0, n));
    jvp(be, map, columns(be, std::as_const(Z), 0, n), columns(be, std::as_const(W), 0, n),
        columns(be, JW, 0, n));
    download(be, columns(be, std::as_const(JW), 0, n), product);
    const Eigen::MatrixXd forward = product.template cast<double>();
    Eigen::MatrixXd backward;
    if constexpr (has_vjp<Map, B>) {
      vjp(be, map, columns(be, std::as_const(Z), 0, n), columns(be, std::as_const(W), 0, n),
          columns(be, JW, 0, n));
      download(be, columns(be, std::as_const(JW), 0, n), product);
      backward = product.template cast<double>();
    }
    visit(Eigen::MatrixXd(signs.template cast<double>()), forward, backward);
  }
}

}  // namespace basin::detail
