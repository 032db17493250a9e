/// @file
/// Values of a map at points in host memory.
#pragma once

#include <utility>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/index.hpp>
#include <basin/map/concept.hpp>

namespace basin::detail {

/// f at points in host memory, in the scalar of the backend.
template <class B, class Map>
[[nodiscard]] Eigen::MatrixXd values_at(const B& be, Map& map, const Eigen::MatrixXd& points) {
  const index_t k = points.rows();
  const index_t n = points.cols();
  Eigen::MatrixX<typename B::scalar> host = points.template cast<typename B::scalar>();
  if (n == 0) return points;
  typename B::matrix Z = be.make_matrix(k, n);
  typename B::matrix F = be.make_matrix(k, n);
  upload(be, host, columns(be, Z, 0, n));
  evaluate(be, map, columns(be, std::as_const(Z), 0, n), columns(be, F, 0, n));
  download(be, columns(be, std::as_const(F), 0, n), host);
  return host.template cast<double>();
}

/// The points as the backend's scalar holds them.
template <class B>
[[nodiscard]] Eigen::MatrixXd rounded_to(const Eigen::Ref<const Eigen::MatrixXd>& points) {
  return points.template cast<typename B::scalar>().template cast<double>();
}

}  // namespace basin::detail
