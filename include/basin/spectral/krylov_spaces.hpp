/// @file
/// Krylov spaces of many points, all in step, so that their products are batches.
#pragma once

#include <concepts>
#include <cstddef>
#include <numeric>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/backend/device.hpp>
#include <basin/core/index.hpp>
#include <basin/spectral/jacobian_products.hpp>
#include <basin/spectral/krylov_basis.hpp>

namespace basin::detail {

/// Spaces in host memory in double, whatever the backend of the map: one vector a product and point
/// goes each way.
template <backend B>
class KrylovSpaces {
 public:
  using basis = HostBasis<double>;

  /// @param rows,columns at most, of a basis
  /// @param count of bases
  KrylovSpaces(const B& be, index_t /*rows*/, index_t /*columns*/, index_t /*count*/) : be_(be) {}

  [[nodiscard]] static basis make(index_t rows, index_t columns) { return {rows, columns}; }

  /// Makes one product a method, with J at the point of its place, and lets each take its own.
  template <class Products, class Method>
  void advance(Products& J, bool transposed, const std::vector<index_t>& points,
               const std::vector<Method*>& methods) {
    const auto m = static_cast<index_t>(points.size());
    Eigen::MatrixXd directions(transposed ? J.rows() : J.cols(), m);
    on_host(be_, m, [&](index_t i) {
      directions.col(i) = methods[static_cast<std::size_t>(i)]->direction();
    });
    const Eigen::MatrixXd images = [&]() -> Eigen::MatrixXd {
      if constexpr (requires { J.transposed(points, directions); }) {
        if (transposed) return J.transposed(points, directions);
      }
      return J.forward(points, directions);
    }();
    on_host(be_, m, [&](index_t i) { methods[static_cast<std::size_t>(i)]->take(images.col(i)); });
  }

 private:
  B be_;
};
/// Spaces on a device: to be had from spectral/cuda/krylov_spaces.hpp.
template <std::floating_point Scalar>
class KrylovSpaces<cuda<Scalar>>;

/// Runs one method a point to the end, all in step; points that are done leave.
/// @param which the points
/// @param side whether the transpose's products are wanted next by a method, and so by all
template <class Spaces, class Products, class Method, class Side>
void run_in_step(Spaces& spaces, Products& J, const std::vector<index_t>& which,
                 std::vector<Method>& methods, Side&& side) {
  std::vector<index_t> points;
  std::vector<Method*> active;
  for (std::size_t i = 0; i < methods.size(); ++i) {
    if (methods[i].done()) continue;
    points.push_back(which[i]);
    active.push_back(&methods[i]);
  }
  while (!active.empty()) {
    spaces.advance(J, side(*active.front()), points, active);
    std::size_t left = 0;
    for (std::size_t i = 0; i < active.size(); ++i) {
      if (active[i]->done()) continue;
      points[left] = points[i];
      active[left++] = active[i];
    }
    points.resize(left);
    active.resize(left);
  }
}

}  // namespace basin::detail
