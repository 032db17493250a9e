/// @file
/// Ends of further starts, assigned to attractors that are known.
#pragma once

#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/cluster.hpp>

namespace basin {
namespace detail {

/// Assigns columns of one period: fixed points of `iterate`, f^period.
template <backend B, class Map>
void assign_period(const B& be, Map& iterate, const Eigen::MatrixXd& Z,
                   const std::vector<index_t>& which, index_t period,
                   const std::vector<Cluster>& known, const by_distance& options,
                   std::vector<index_t>& labels) {
  index_t evaluations = 0;
  const Eigen::MatrixXd ends = Z(Eigen::all, which);
  const std::vector<double> errors = errors_after(be, iterate, ends, 0, evaluations);
  Eigen::MatrixXd points(ends.rows(), 0);  // of cycles and points whose period divides this one
  std::vector<double> point_errors;
  std::vector<index_t> owner;
  for (std::size_t c = 0; c < known.size(); ++c) {
    if (period % known[c].period != 0 || known[c].kind == attractor_kind::continuum) continue;
    const index_t m = known[c].center.cols();
    points.conservativeResize(Eigen::NoChange, points.cols() + m);
    points.rightCols(m) = known[c].center;
    point_errors.insert(point_errors.end(), static_cast<std::size_t>(m), known[c].error);
    owner.insert(owner.end(), static_cast<std::size_t>(m), static_cast<index_t>(c));
  }
  // Ends that are followed, and those that may lie between points of a continuum.
  std::vector<index_t> doubtful, open;
  std::vector<std::size_t> of;
  for (index_t j = 0; j < ends.cols(); ++j) {
    double nearest = std::numeric_limits<double>::infinity(), second = nearest;
    index_t best = -1;
    for (std::size_t c = 0; c < known.size(); ++c) {
      if (period % known[c].period != 0) continue;
      const double distance = distance_from(known[c].center, ends.col(j));
      if (distance < nearest) {
        second = std::exchange(nearest, distance);
        best = static_cast<index_t>(c);
      } else {
        second = std::min(second, distance);
      }
    }
    if (best < 0) continue;
    const Cluster& cluster = known[static_cast<std::size_t>(best)];
    const double error = errors[static_cast<std::size_t>(j)];
    const double radius = is_finite(error) ? options.safety * error : 0.0;
    const bool continuum = cluster.kind == attractor_kind::continuum;
    const double reach = radius + rounding_floor(ends.col(j)) + (continuum ? 0.0 : cluster.error);
    if (nearest <= reach && 4 * nearest <= second) {
      labels[static_cast<std::size_t>(which[static_cast<std::size_t>(j)])] = best;
    } else if (continuum) {
      open.push_back(j);
      of.push_back(static_cast<std::size_t>(best));
    } else {
      doubtful.push_back(j);
    }
  }
  const std::vector<index_t> where =
      arrivals(be, iterate, ends(Eigen::all, doubtful), points, point_errors, evaluations);
  for (std::size_t i = 0; i < doubtful.size(); ++i) {
    if (where[i] < 0) continue;
    labels[static_cast<std::size_t>(which[static_cast<std::size_t>(doubtful[i])])] =
        owner[static_cast<std::size_t>(where[i])];
  }
  Eigen::MatrixXd A(ends.rows(), static_cast<index_t>(open.size())), C = A;
  for (std::size_t i = 0; i < open.size(); ++i) {
    const auto column = static_cast<index_t>(i);
    index_t nearest = 0;
    A.col(column) = ends.col(open[i]);
    (known[of[i]].center.colwise() - A.col(column)).colwise().squaredNorm().minCoeff(&nearest);
    C.col(column) = known[of[i]].center.col(nearest);
  }
  const std::vector<char> joined =
      lie_on_continuum(be, iterate, A, C, options.marginal_band, evaluations);
  for (std::size_t i = 0; i < open.size(); ++i) {
    if (!joined[i]) continue;
    labels[static_cast<std::size_t>(which[static_cast<std::size_t>(open[i])])] =
        static_cast<index_t>(of[i]);
  }
}

template <backend B, backend E, class Map>
[[nodiscard]] std::vector<index_t> assign_ends(const B& be, const FixedPointResult<B>& found,
                                               const E& exact, Map& map,
                                               const std::vector<Cluster>& known,
                                               const by_distance& options) {
  options.check();
  const auto k = static_cast<index_t>(found.states.rows());
  require_dimension("assign", map, k);
  for (const Cluster& cluster : known) {
    require_size("assign", "number of coordinates of a centre", cluster.center.rows(), k);
  }
  const Eigen::MatrixXd Z = host_states(be, found);
  std::vector<index_t> labels(found.status.size(), -1);
  for (const auto& [period, which] : columns_by_period(found, Z, options.marginal_residual)) {
    if (period == 1) {
      assign_period(exact, map, Z, which, period, known, options, labels);
    } else {
      auto iterate = power(MapReference<Map>(map), static_cast<int>(period));
      assign_period(exact, iterate, Z, which, period, known, options, labels);
    }
  }
  return labels;
}

}  // namespace detail

/// The known attractor that each end of a run belongs to: that with the nearest point of its
/// centre among those whose period divides the end's, if the end's own error reaches it and every
/// other is four times as far; else the point or cycle that the end comes to as it goes on. Of a
/// continuum it is enough that fixed points lead straight from the end to one of its points.
/// @param known of a run of the same map; see `cluster`
/// @param found k × N ends
/// @return for each column a place in `known`, or -1 where it is none of them, or wandering
/// @throws argument_error if a setting is out of its range, size_error unless the dimensions agree
/// Cost: 4 evaluations an end (4 p for cycles), and the distances from all centres; up to 4,096
/// more where that does not decide.
template <backend B, class Map>
  requires latent_map<Map, B>
[[nodiscard]] std::vector<index_t> assign(const B& be, Map& map, const std::vector<Cluster>& known,
                                          const FixedPointResult<B>& found,
                                          const by_distance& options = {}) {
  return detail::in_double(be, map, [&](const auto& exact, auto& f) {
    return detail::assign_ends(be, found, exact, f, known, options);
  });
}

/// The same with the map in double for what is measured; see `cluster`.
template <backend B, class Map, class Exact>
  requires latent_map<Map, B> && latent_map<Exact, cpu<double>>
[[nodiscard]] std::vector<index_t> assign(const B& be, Map&, const std::vector<Cluster>& known,
                                          const FixedPointResult<B>& found, Exact& exact,
                                          const by_distance& options = {}) {
  return detail::assign_ends(be, found, cpu<double>(detail::host_of(be).threads()), exact, known,
                             options);
}

}  // namespace basin
