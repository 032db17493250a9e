/// @file
/// The map tabulated on grids, and iterated there.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <basin/convergence/predictor.hpp>

namespace basin {

/// For k <= 3: f(z) - z is tabulated on a grid and interpolated linearly in each entry, so that
/// starts are iterated to their ends for nothing. Only nodes that orbits need are evaluated. Around
/// each centre the grid is halved again and again, `levels` times, each time where half as many
/// cells as before lie in between, so that the error stays a part of the distance; within the last
/// the linear map at the centre takes over. Nodes are kept for later starts.
///
/// Assumes that f is smooth on the scale of the spacing; basins finer than that are missed. Not
/// applicable: `unfinished` where the orbit does not end within the rule's iterations, or
/// `max_nodes` are spent; `no_attractor` where it ends elsewhere. Cost: the nodes on the way, and
/// k products an attractor; 2^k look-ups an iteration.
struct sampled_map {
  /// Cells along the longest side of the box around the training starts, or the first batch of
  /// starts where there are none, which for a batch of one start has the side 1. At least 2.
  index_t resolution = 48;
  /// Halvings of the grid around a centre, 0 to 20.
  index_t levels = 3;
  /// A grid is halved within so many of its cells from a centre. At least 1.
  double cells = 4;
  index_t max_nodes = 1'000'000;  ///< evaluated at most; at least 1

  [[nodiscard]] std::string name() const {
    return "sampled_map(" + std::to_string(resolution) + ")";
  }
  void check() const {
    require(resolution >= 2, "sampled_map",
            "resolution is " + std::to_string(resolution) + ", must be at least 2");
    require(levels >= 0 && levels <= 20, "sampled_map",
            "levels is " + std::to_string(levels) + ", must be in [0, 20]");
    require(cells >= 1 && cells <= 1e6, "sampled_map",
            "cells is " + std::to_string(cells) + ", must be in [1, 1e6]");
    require(max_nodes >= 1, "sampled_map",
            "max_nodes is " + std::to_string(max_nodes) + ", must be at least 1");
  }

  template <class B, class Map>
  class state;
};

template <class B, class Map>
class sampled_map::state {
 public:
  state(const sampled_map& p, const B& be, Map& map, const prediction_task& task)
      : p_(p), be_(be), map_(map), task_(task), ends_(be, map, task.known) {
    require(task.known.centers.rows() <= 3, "sampled_map",
            "a table of a map of R^" + std::to_string(task.known.centers.rows()) +
                " would be too large; k may be at most 3");
    if (task_.training.cols() > 0) set_spacing(task_.training);
  }

  [[nodiscard]] Predictions predict(const Eigen::Ref<const Eigen::MatrixXd>& points) {
    require_size("predict", "number of rows of the starts", points.rows(),
                 task_.known.centers.rows());
    Predictions said(points.cols());
    if (!(spacing_ > 0)) set_spacing(points);
    Eigen::MatrixXd Z = points;
    std::vector<index_t> active;
    for (index_t j = 0; j < said.size(); ++j) {
      if (is_finite(Z.col(j).squaredNorm())) {
        active.push_back(j);
      } else {
        said[j] = prediction::none(not_applicable::non_finite);
      }
    }
    const index_t before = nodes_;
    for (index_t t = 0; t <= task_.rule.max_iterations && !active.empty(); ++t) {
      std::vector<cell> where;
      where.reserve(active.size());
      for (const index_t j : active) where.push_back(place(Z.col(j)));
      fill(where);
      std::size_t left = 0;
      for (std::size_t i = 0; i < active.size(); ++i) {
        const index_t j = active[i];
        const Eigen::VectorXd v = residual(where[i], Z.col(j));
        const double norm = v.norm();
        const auto steps = static_cast<double>(t);
        if (!is_finite(norm)) {
          said[j] = prediction::none(nodes_ >= p_.max_nodes ? not_applicable::unfinished
                                                            : not_applicable::non_finite);
        } else if (where[i].owner >= 0 && where[i].level > p_.levels) {
          const index_t c = where[i].owner;
          const index_t rest =
              task_.known.radius(c) < 1
                  ? ends_.remaining(c, v, task_.tolerance_at(c), task_.rule.max_iterations - t)
                  : -1;
          said[j] = rest >= 0 ? prediction::of(steps + static_cast<double>(rest), c)
                    : task_.known.radius(c) < 1
                        ? prediction::none(not_applicable::unfinished, c)
                        : prediction::none(not_applicable::not_attracting, c);
        } else if (norm <= task_.tolerance(Z.col(j))) {
          // Near a centre, or at a fixed point of the table that is none of the map's.
          said[j] = where[i].owner >= 0 ? prediction::of(steps, where[i].owner)
                                        : prediction::none(not_applicable::no_attractor);
        } else {
          Z.col(j) += v;
          active[left++] = j;
        }
      }
      active.resize(left);
    }
    for (const index_t j : active) said[j] = prediction::none(not_applicable::unfinished);
    said.evaluations = nodes_ - before;
    return said;
  }
  [[nodiscard]] index_t preparation() const noexcept { return ends_.products(); }

 private:
  using key = std::array<index_t, 5>;  // level, owner, place in the grid

  struct cell {
    index_t level = 0;
    index_t owner = -1;  ///< the centre that the grid is around
    std::array<index_t, 3> corner{};
    std::array<double, 3> share{};
  };

  /// Nothing where no point is finite: a later batch will tell.
  void set_spacing(const Eigen::Ref<const Eigen::MatrixXd>& points) {
    if (!points.array().isFinite().any()) return;
    double longest = 0;
    for (index_t i = 0; i < points.rows(); ++i) {
      double low = std::numeric_limits<double>::infinity(), high = -low;
      for (index_t j = 0; j < points.cols(); ++j) {
        if (!is_finite(points(i, j))) continue;
        low = std::min(low, points(i, j));
        high = std::max(high, points(i, j));
      }
      longest = std::max(longest, high - low);
    }
    spacing_ = longest > 0 && is_finite(longest) ? longest / static_cast<double>(p_.resolution)
                                                 : 1.0 / static_cast<double>(p_.resolution);
  }

  /// The cell that z lies in, of the grid that serves there.
  [[nodiscard]] cell place(const Eigen::VectorXd& z) const {
    cell found;
    Eigen::VectorXd from = z;
    if (task_.known.size() > 0) {
      index_t c = 0;
      const double distance = (task_.known.centers.colwise() - z).colwise().norm().minCoeff(&c);
      double reach = p_.cells * spacing_;
      while (found.level <= p_.levels && distance < reach) {
        ++found.level;
        reach /= 2;
      }
      if (found.level > 0) {
        found.owner = c;
        from = z - task_.known.centers.col(c);
      }
    }
    if (found.level > p_.levels) return found;
    const double width = std::ldexp(spacing_, -static_cast<int>(found.level));
    for (index_t i = 0; i < z.size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double x = std::clamp(from[i] / width, -1e15, 1e15);
      found.corner[at] = static_cast<index_t>(std::floor(x));
      found.share[at] = x - std::floor(x);
    }
    return found;
  }
  [[nodiscard]] key node(const cell& of, index_t corner) const {
    key name{of.level, of.owner, 0, 0, 0};
    for (index_t i = 0; i < task_.known.centers.rows(); ++i) {
      name[static_cast<std::size_t>(2 + i)] =
          of.corner[static_cast<std::size_t>(i)] + ((corner >> i) & 1);
    }
    return name;
  }
  [[nodiscard]] index_t corners() const { return index_t{1} << task_.known.centers.rows(); }

  /// Evaluates the nodes of these cells that are not known yet, up to `max_nodes`.
  void fill(const std::vector<cell>& where) {
    std::map<key, index_t> missing;
    for (const cell& one : where) {
      if (one.level > p_.levels) continue;
      for (index_t l = 0; l < corners(); ++l) {
        const key name = node(one, l);
        if (table_.contains(name) ||
            nodes_ + static_cast<index_t>(missing.size()) >= p_.max_nodes) {
          continue;
        }
        missing.emplace(name, 0);
      }
    }
    const index_t k = task_.known.centers.rows();
    Eigen::MatrixXd points(k, static_cast<index_t>(missing.size()));
    index_t at = 0;
    for (auto& [name, column] : missing) {
      const double width = std::ldexp(spacing_, -static_cast<int>(name[0]));
      column = at;
      for (index_t i = 0; i < k; ++i) {
        points(i, at) = width * static_cast<double>(name[static_cast<std::size_t>(2 + i)]) +
                        (name[1] >= 0 ? task_.known.centers(i, name[1]) : 0.0);
      }
      ++at;
    }
    points = detail::rounded_to<B>(points);
    const Eigen::MatrixXd values = detail::values_at(be_, map_, points) - points;
    nodes_ += points.cols();
    for (const auto& [name, column] : missing) table_.emplace(name, values.col(column));
  }
  /// f(z) - z by interpolation, NaN where a node is missing; by the linear map at the centre.
  [[nodiscard]] Eigen::VectorXd residual(const cell& of, const Eigen::VectorXd& z) const {
    if (of.level > p_.levels) {
      const Eigen::MatrixXd e = z - task_.known.centers.col(of.owner);
      return ends_.apply(of.owner, e) - e;
    }
    Eigen::VectorXd v = Eigen::VectorXd::Zero(z.size());
    for (index_t l = 0; l < corners(); ++l) {
      const auto found = table_.find(node(of, l));
      if (found == table_.end()) {
        v.setConstant(std::numeric_limits<double>::quiet_NaN());
        return v;
      }
      double weight = 1;
      for (index_t i = 0; i < z.size(); ++i) {
        const double share = of.share[static_cast<std::size_t>(i)];
        weight *= ((l >> i) & 1) != 0 ? share : 1 - share;
      }
      v += weight * found->second;
    }
    return v;
  }

  sampled_map p_;
  B be_;
  Map& map_;
  prediction_task task_;
  detail::LinearMaps<> ends_;
  double spacing_ = 0;
  index_t nodes_ = 0;
  std::map<key, Eigen::VectorXd> table_;
};

}  // namespace basin
