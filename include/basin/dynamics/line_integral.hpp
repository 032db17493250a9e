/// @file
/// Integrals of the field along polygons.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/dynamics/field.hpp>

namespace basin {

/// Lobatto's rule of 5 nodes on panels of every edge, exact to degree 7; a panel is halved while
/// that changes its integral, so that kinks, as ReLU makes them, are closed in on.
struct quadrature_options {
  index_t panels = 4;    ///< of an edge at first, at least 1
  index_t halvings = 6;  ///< of a panel, at most so many, from 1 to 40
  /// A panel is kept where halving it changes its integral by at most this times its share of
  /// the path times ∫ ‖v‖ |dl|. A field in float is known to about 1e-7 of ‖z‖ and no better:
  /// where ‖v‖ is much less than ‖z‖ all halvings may be spent in vain.
  double tolerance = 1e-6;

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(panels >= 1, "quadrature_options", "panels must be at least 1");
    require(halvings >= 1 && halvings <= 40, "quadrature_options",
            "halvings must lie between 1 and 40");
    require(tolerance >= 0, "quadrature_options", "tolerance must not be negative");
  }
};

/// ∫ v · dl along a path.
struct LineIntegral {
  double value = 0;
  /// Sum over the panels of the change by their last halving: an estimate and no bound. Where v
  /// is smooth the error is some hundred times less. A panel whose halvings were spent counts a
  /// quarter of the change before, if that is more, as for a kink. NaN, as the value, where v is
  /// not finite on the path.
  double error = 0;
  double work = 0;          ///< ∫ ‖v‖ |dl|, which |value| cannot exceed
  double length = 0;        ///< of the path
  index_t evaluations = 0;  ///< of f at one point
  bool converged = true;    ///< whether every panel met the tolerance

  /// value / work, of [-1, 1]: the mean of the cosine between v and the path, by work. 0 where
  /// no work is done.
  [[nodiscard]] double relative() const { return work > 0 ? value / work : 0 * work; }
};

namespace detail {

/// A stretch of an edge, from `begin` to `begin + width` of [0, 1].
struct line_panel {
  index_t edge = 0;
  double begin = 0, width = 0;
  double value = 0, work = 0;
  double change = 0;  ///< by the halving that made it
};

inline constexpr index_t line_nodes = 5;

/// Lobatto's rule on every panel.
template <class B, class Map>
void integrate_panels(const B& be, Map& map, const Eigen::Ref<const Eigen::MatrixXd>& path,
                      std::vector<line_panel>& panels) {
  // The ends belong to the nodes: a kink between the last node and the end of a panel would be
  // seen neither by the panel nor by its halves.
  constexpr double near = 0.65465367070797714380;  // √(3/7)
  constexpr std::array<double, line_nodes> nodes{-1, -near, 0, near, 1};
  constexpr std::array<double, line_nodes> weights{0.1, 49.0 / 90, 32.0 / 45, 49.0 / 90, 0.1};
  const index_t k = path.rows();
  const auto count = static_cast<index_t>(panels.size());
  const index_t block =
      std::max<index_t>(1, (index_t{1} << 20) / std::max<index_t>(line_nodes * k, 1));
  for (index_t first = 0; first < count; first += block) {
    const index_t now = std::min(block, count - first);
    Eigen::MatrixXd at(k, line_nodes * now);
    for (index_t i = 0; i < line_nodes * now; ++i) {
      const line_panel& p = panels[static_cast<std::size_t>(first + i / line_nodes)];
      const double place =
          p.begin + (1 + nodes[static_cast<std::size_t>(i % line_nodes)]) / 2 * p.width;
      at.col(i) = path.col(p.edge) + place * (path.col(p.edge + 1) - path.col(p.edge));
    }
    const auto sample = sample_field(be, map, at, false);
    for (index_t i = 0; i < line_nodes * now; ++i) {
      line_panel& p = panels[static_cast<std::size_t>(first + i / line_nodes)];
      const Eigen::VectorXd along =
          (weights[static_cast<std::size_t>(i % line_nodes)] / 2 * p.width) *
          (path.col(p.edge + 1) - path.col(p.edge));
      const Eigen::VectorXd v = sample.velocity.col(i).template cast<double>();
      p.value += v.dot(along);
      p.work += v.norm() * along.norm();
    }
  }
}

}  // namespace detail

/// Integrates v(z) = f(z) - z along the edges from column to column of `path`.
/// @param path k × m in host memory, m >= 1; an edge of no length adds nothing
/// @throws size_error unless the map takes and gives k rows; argument_error if a setting is out
///   of its range, or m = 0
/// Cost: 5 evaluations a panel and 10 to halve it: 15 `panels` an edge where v is smooth, and at
/// most 2^halvings times that. Panels are evaluated together; 4 million numbers of memory.
template <basin::backend B, class Map>
  requires latent_map<Map, B>
[[nodiscard]] LineIntegral line_integral(const B& be, Map& map,
                                         const Eigen::Ref<const Eigen::MatrixXd>& path,
                                         const quadrature_options& options = {}) {
  using detail::line_panel;
  options.check();
  require(path.cols() >= 1, "line_integral", "the path has no point");
  require_dimension("line_integral", map, path.rows());
  LineIntegral found;
  std::vector<line_panel> panels;
  std::vector<double> lengths;
  for (index_t e = 0; e + 1 < path.cols(); ++e) {
    lengths.push_back((path.col(e + 1) - path.col(e)).norm());
    found.length += lengths.back();
    if (lengths.back() == 0) continue;
    const double width = 1 / static_cast<double>(options.panels);
    for (index_t p = 0; p < options.panels; ++p) {
      panels.push_back({e, static_cast<double>(p) * width, width, 0, 0, 0});
    }
  }
  detail::integrate_panels(be, map, path, panels);
  found.evaluations += detail::line_nodes * static_cast<index_t>(panels.size());
  double work = 0;
  for (const line_panel& p : panels) work += p.work;
  bool finite = std::isfinite(work);
  for (index_t halving = 1; finite && !panels.empty(); ++halving) {
    std::vector<line_panel> halves;
    for (const line_panel& p : panels) {
      halves.push_back({p.edge, p.begin, p.width / 2, 0, 0, 0});
      halves.push_back({p.edge, p.begin + p.width / 2, p.width / 2, 0, 0, 0});
    }
    detail::integrate_panels(be, map, path, halves);
    found.evaluations += detail::line_nodes * static_cast<index_t>(halves.size());
    std::vector<line_panel> open;
    for (std::size_t i = 0; i < panels.size(); ++i) {
      const line_panel& whole = panels[i];
      line_panel& left = halves[2 * i];
      line_panel& right = halves[2 * i + 1];
      const double change = std::abs(left.value + right.value - whole.value);
      finite = finite && std::isfinite(change);
      const double share =
          whole.width * lengths[static_cast<std::size_t>(whole.edge)] / found.length;
      const bool met = change <= options.tolerance * share * work;
      if (met || halving == options.halvings) {
        found.value += left.value + right.value;
        found.work += left.work + right.work;
        found.error += met ? change : std::max(change, whole.change / 4);
        found.converged = found.converged && met;
      } else {
        left.change = right.change = change / 2;
        open.push_back(left);
        open.push_back(right);
      }
    }
    panels = std::move(open);
  }
  if (!finite) {
    found.value = found.error = found.work = std::numeric_limits<double>::quiet_NaN();
    found.converged = false;
  }
  return found;
}

}  // namespace basin
