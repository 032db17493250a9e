// The plane of the latent space that examples/explore.cpp draws.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>

#include <basin/dynamics/field.hpp>
#include <basin/map/concept.hpp>

#include "pictures.hpp"

namespace latent {

using basin::index_t;

// All of R^2, the plane through the three largest attractors, or that of the two principal
// directions of the starts and attractors.
struct chosen_plane {
  basin::plane plane;
  std::string x_label, y_label, remark;
};

inline chosen_plane choose_plane(const Eigen::MatrixXd& centers, const Eigen::MatrixXd& starts) {
  const index_t k = starts.rows();
  if (k == 2) {
    return {{Eigen::VectorXd::Zero(2), Eigen::MatrixXd::Identity(2, 2)}, "z_1", "z_2", ""};
  }
  if (centers.cols() >= 3) {
    try {
      return {basin::plane_through(centers.col(0), centers.col(1), centers.col(2)),
              "distance from attractor 1 towards 2", "distance towards 3",
              "plane through attractors 1, 2 and 3; the others are projected onto it"};
    } catch (const basin::argument_error&) {  // they lie on a line
    }
  }
  Eigen::MatrixXd all(k, centers.cols() + starts.cols());
  all << centers, starts;
  const Eigen::VectorXd mean = all.rowwise().mean();
  const Eigen::MatrixXd apart = all.colwise() - mean;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(apart * apart.transpose());
  return {{mean, solver.eigenvectors().rightCols(2).rowwise().reverse()},
          "first principal direction",
          "second principal direction",
          "plane of the first principal directions of starts and attractors; attractors are "
          "projected onto it"};
}

// The field, its attractors and some trajectories on the plane. `label(points)` gives the
// attractors that points lead to.
template <class B, class Map, class Label>
pictures::plane_view look(const B& be, Map& map, const Eigen::MatrixXd& centers,
                          const Eigen::MatrixXd& starts, index_t grid, index_t basin_grid,
                          Label&& label) {
  using scalar = typename B::scalar;
  const chosen_plane chosen = choose_plane(centers, starts);
  pictures::plane_view view;
  view.x_label = chosen.x_label;
  view.y_label = chosen.y_label;
  view.remark = chosen.remark;
  view.grid = grid;
  view.basin_grid = basin_grid;
  view.attractors = chosen.plane.coordinates(centers);
  const Eigen::MatrixXd seen = chosen.plane.coordinates(starts);
  // Around the attractors; around a single one, as far as half of the starts.
  if (centers.cols() > 0) {
    view.lower = view.attractors.rowwise().minCoeff();
    view.upper = view.attractors.rowwise().maxCoeff();
    double margin = 0.35 * (view.upper - view.lower).maxCoeff();
    if (!(margin > 0)) {
      std::vector<double> distances;
      for (index_t j = 0; j < seen.cols(); ++j) {
        distances.push_back((seen.col(j) - view.lower).norm());
      }
      std::nth_element(distances.begin(), distances.begin() + distances.size() / 2,
                       distances.end());
      margin = std::max(distances[distances.size() / 2], 1e-3);
    }
    view.lower.array() -= margin;
    view.upper.array() += margin;
  }
  // Not too flat to read.
  const Eigen::Vector2d size = view.upper - view.lower;
  for (int axis = 0; axis < 2; ++axis) {
    const double missing = 0.7 * size[1 - axis] - size[axis];
    if (missing <= 0) continue;
    view.lower[axis] -= missing / 2;
    view.upper[axis] += missing / 2;
  }
  const auto side = [&](index_t n) {
    return basin::grid_points(view.lower, view.upper, std::vector<index_t>{n, n});
  };
  const auto field = basin::sample_plane(be, map, chosen.plane, side(grid), false);
  view.velocity = field.velocity.template cast<double>();
  view.norm = field.norm.template cast<double>();
  view.labels = label(chosen.plane.points(side(basin_grid)));

  std::vector<index_t> begin;
  for (index_t j = 0; j < seen.cols() && begin.size() < 16; ++j) {
    const bool inside = (seen.col(j).array() > view.lower.array()).all() &&
                        (seen.col(j).array() < view.upper.array()).all();
    if (inside) begin.push_back(j);
  }
  Eigen::MatrixX<scalar> Z(starts.rows(), static_cast<index_t>(begin.size()));
  for (std::size_t i = 0; i < begin.size(); ++i) {
    Z.col(static_cast<index_t>(i)) = starts.col(begin[i]).template cast<scalar>();
  }
  constexpr index_t steps = 200;
  std::vector<Eigen::MatrixXd> paths(begin.size(), Eigen::MatrixXd(2, steps + 1));
  for (index_t t = 0; t <= steps && !begin.empty(); ++t) {
    const Eigen::MatrixXd here = chosen.plane.coordinates(Z.template cast<double>());
    for (std::size_t i = 0; i < begin.size(); ++i) {
      paths[i].col(t) = here.col(static_cast<index_t>(i));
    }
    const Eigen::MatrixX<scalar> from = Z;
    basin::evaluate(be, map, from, Z);
  }
  view.trajectories = std::move(paths);
  return view;
}

}  // namespace latent
