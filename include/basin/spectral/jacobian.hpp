/// @file
/// Dense Jacobians at many points.
#pragma once

#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/index.hpp>
#include <basin/map/derivative.hpp>
#include <basin/spectral/jacobian_products.hpp>

namespace basin {

/// Calls body(j, J) for every point, J = J_f(z_j) in double, m × k with m rows of f; for several
/// points at once where the backend has threads.
///
/// Unit vectors of several points go through the map together. Cost: k jvps a point. Memory: some
/// 32 MiB a copy of a batch, or all of one J where that is larger.
/// @param points k × n in host memory
/// @param body takes index_t and const Eigen::MatrixXd&, which is its own for the call
/// @throws size_error unless the map takes k rows
template <basin::backend B, class Map, class Body>
  requires has_jvp<Map, B>
void for_each_jacobian(const B& be, Map& map, const Eigen::Ref<const Eigen::MatrixXd>& points,
                       Body&& body) {
  detail::JacobianProducts<B, Map> products("for_each_jacobian", be, map, points);
  products.for_each_dense(std::forward<Body>(body));
}

/// All Jacobians at once, m × k each. Cost: k jvps a point; memory: m k numbers a point.
/// @param points k × n in host memory
/// @throws size_error unless the map takes k rows
template <basin::backend B, class Map>
  requires has_jvp<Map, B>
[[nodiscard]] std::vector<Eigen::MatrixXd> jacobian(
    const B& be, Map& map, const Eigen::Ref<const Eigen::MatrixXd>& points) {
  std::vector<Eigen::MatrixXd> all(static_cast<std::size_t>(points.cols()));
  detail::JacobianProducts<B, Map> products("jacobian", be, map, points);
  products.for_each_dense(
      [&](index_t j, const Eigen::MatrixXd& J) { all[static_cast<std::size_t>(j)] = J; });
  return all;
}

}  // namespace basin
