/// @file
/// The attractors that a run's ends are: fixed points, cycles and continua.
#pragma once

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/clustering.hpp>
#include <basin/attractor/fixed_groups.hpp>
#include <basin/map/hosted.hpp>
#include <basin/map/power.hpp>
#include <basin/solver/result.hpp>

namespace basin {

/// Settings of `cluster` as in Fumero et al. (2025): ends are one attractor where the cosine of
/// their directions is at least `cosine`. It is not transitive, so that leaders depend on the
/// order of the columns and single linkage may chain; it ignores the radius, so that attractors
/// on one ray are one; and in two dimensions at most 44 directions differ by more than 0.99.
/// Ends of norm 0 are one attractor.
struct paper_cosine {
  double cosine = 0.99;  ///< in (0.5, 1); 1 would ask of directions what rounding denies
  linkage rule = linkage::leader;

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(cosine > 0.5 && cosine < 1, "paper_cosine",
            "cosine is " + std::to_string(cosine) + ", must be in (0.5, 1)");
  }
};

namespace detail {

/// The states of a result in host memory, in double.
template <backend B>
[[nodiscard]] Eigen::MatrixXd host_states(const B& be, const FixedPointResult<B>& found) {
  Eigen::MatrixX<typename B::scalar> host(found.states.rows(), found.size());
  if (found.size() > 0) download(be, columns(be, found.states, 0, found.size()), host);
  return host.template cast<double>();
}

/// Calls body(be, map) with the map in double on the host: as it is where it can be evaluated
/// there, or from a device in double; else on its own backend.
template <backend B, class Map, class Body>
auto in_double(const B& be, Map& map, Body&& body) {
  if constexpr (std::is_same_v<B, cpu<double>>) {
    return body(be, map);
  } else if constexpr (!latent_map<Map, cpu<double>>) {
    if constexpr (std::is_same_v<typename B::scalar, double>) {
      HostedMap<B, Map> hosted(be, map);
      return body(cpu<double>(), hosted);
    } else {
      return body(be, map);
    }
  } else if constexpr (std::is_same_v<B, cpu<float>>) {
    return body(cpu<double>(be.threads()), map);
  } else {
    return body(cpu<double>(), map);
  }
}

/// The columns that may be near fixed points, in first place, and near cycles of each period.
template <backend B>
[[nodiscard]] std::map<index_t, std::vector<index_t>> columns_by_period(
    const FixedPointResult<B>& found, const Eigen::MatrixXd& Z, double marginal_residual) {
  std::map<index_t, std::vector<index_t>> which;
  for (index_t j = 0; j < found.size(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    if (!is_finite(Z.col(j).squaredNorm())) continue;
    const bool marginal =
        found.status[at] == status::marginal &&
        static_cast<double>(found.residual[at]) <= marginal_residual * (1 + Z.col(j).norm());
    if (found.status[at] == status::converged || marginal) which[1].push_back(j);
    if (found.status[at] == status::cycle) which[found.period[at]].push_back(j);
  }
  return which;
}

/// The points of the cycles that go through the columns of Z: column p j + i is f^i(z_j).
template <backend B, class Map>
[[nodiscard]] Eigen::MatrixXd cycle_points(const B& be, Map& map, const Eigen::MatrixXd& Z,
                                           index_t period, index_t& evaluations) {
  Eigen::MatrixXd points(Z.rows(), period * Z.cols()), now = Z;
  for (index_t i = 0; i < period; ++i) {
    if (i > 0) now = evaluate_on(be, map, now);
    for (index_t j = 0; j < Z.cols(); ++j) points.col(period * j + i) = now.col(j);
  }
  evaluations += (period - 1) * Z.cols();
  return points;
}

/// The period of the orbit whose points after 0, 1, ... iterations are in these groups: a divisor
/// of their number, which is that of a cycle near its doubling that has not yet settled.
[[nodiscard]] inline index_t least_period(const std::vector<index_t>& groups) {
  const std::size_t p = groups.size();
  std::size_t d = 1;
  const auto repeats = [&] {
    for (std::size_t i = 0; i < p; ++i) {
      if (groups[i] != groups[(i + d) % p]) return false;
    }
    return true;
  };
  while (p % d != 0 || !repeats()) ++d;
  return static_cast<index_t>(d);
}

/// Adds the attractors of one period: fixed points of f^p, taken together along the orbits.
/// Columns whose period is a divisor of it are left to that: `periods` gets them.
template <backend B, class Map>
void add_period(const B& be, Map& map, const Eigen::MatrixXd& Z, std::vector<index_t> which,
                index_t period, const by_distance& options,
                std::map<index_t, std::vector<index_t>>& periods, Clustering& answer) {
  Eigen::MatrixXd ends = Z(Eigen::all, which);
  fixed_groups fixed;
  Eigen::MatrixXd points;
  if (period == 1) {
    points = ends;
    fixed = FixedGrouping<B, Map>(be, map, points, options).run();
    answer.evaluations += fixed.evaluations;
  } else {
    points = cycle_points(be, map, ends, period, answer.evaluations);
    std::vector<index_t> kept, orbit_points;
    for (index_t j = 0; j < ends.cols(); ++j) {
      if (!is_finite(points.middleCols(period * j, period).squaredNorm())) continue;
      kept.push_back(j);
      for (index_t i = 0; i < period; ++i) orbit_points.push_back(period * j + i);
    }
    if (kept.size() < which.size()) {
      std::vector<index_t> columns;
      for (const index_t j : kept) columns.push_back(which[static_cast<std::size_t>(j)]);
      which = std::move(columns);
      points = Eigen::MatrixXd(points(Eigen::all, orbit_points));
      ends = Eigen::MatrixXd(ends(Eigen::all, kept));
    }
    auto iterate = power(MapReference<Map>(map), static_cast<int>(period));
    fixed = FixedGrouping<B, decltype(iterate)>(be, iterate, points, options).run();
    answer.evaluations += period * fixed.evaluations;
  }
  if (period > 1) {
    std::vector<index_t> kept, label;
    std::vector<double> error;
    for (std::size_t j = 0; j < which.size(); ++j) {
      const auto first = fixed.label.begin() + static_cast<index_t>(j) * period;
      const std::vector<index_t> groups(first, first + period);
      const index_t least = least_period(groups);
      // On a continuum all are of one group, whatever their period.
      if (least < period && !fixed.groups[static_cast<std::size_t>(groups[0])].continuum) {
        periods[least].push_back(which[j]);
        continue;
      }
      kept.push_back(static_cast<index_t>(j));
      label.insert(label.end(), groups.begin(), groups.end());
      const auto errors = fixed.error.begin() + static_cast<index_t>(j) * period;
      error.insert(error.end(), errors, errors + period);
    }
    if (kept.size() < which.size()) {
      std::vector<index_t> orbit_points, columns;
      for (const index_t j : kept) {
        columns.push_back(which[static_cast<std::size_t>(j)]);
        for (index_t i = 0; i < period; ++i) orbit_points.push_back(period * j + i);
      }
      points = Eigen::MatrixXd(points(Eigen::all, orbit_points));
      ends = Eigen::MatrixXd(ends(Eigen::all, kept));
      which = std::move(columns);
      fixed.label = std::move(label);
      fixed.error = std::move(error);
    }
  }
  const auto group_of = [&](index_t j, index_t i) {
    return fixed.label[static_cast<std::size_t>(period * j + i)];
  };
  DisjointSets sets(static_cast<index_t>(fixed.groups.size()));
  const auto n = static_cast<index_t>(which.size());
  for (index_t j = 0; j < n; ++j) {
    for (index_t i = 1; i < period; ++i) sets.unite(group_of(j, 0), group_of(j, i));
  }
  std::vector<index_t> cluster_of(fixed.groups.size(), -1), column_of;
  const auto error = [&](index_t j) { return fixed.error[static_cast<std::size_t>(period * j)]; };
  const index_t first = answer.size();
  for (index_t j = 0; j < n; ++j) {
    index_t& c = cluster_of[static_cast<std::size_t>(sets.find(group_of(j, 0)))];
    if (c < 0) {
      c = answer.size();
      answer.clusters.emplace_back();
      column_of.push_back(j);
    }
    index_t& head = column_of[static_cast<std::size_t>(c - first)];
    if (error(j) < error(head)) head = j;
    ++answer.clusters[static_cast<std::size_t>(c)].members;
    const auto column = static_cast<std::size_t>(which[static_cast<std::size_t>(j)]);
    answer.labels[column] = c;
    answer.error_bound[column] = error(j);
  }
  for (index_t c = first; c < answer.size(); ++c) {
    Cluster& cluster = answer.clusters[static_cast<std::size_t>(c)];
    const index_t head = column_of[static_cast<std::size_t>(c - first)];
    cluster.period = period;
    cluster.kind = period == 1 ? attractor_kind::point : attractor_kind::cycle;
    cluster.representative = which[static_cast<std::size_t>(head)];
    cluster.polished = true;
    cluster.center.resize(Z.rows(), period);
    for (index_t i = 0; i < period; ++i) {
      const fixed_group& group = fixed.groups[static_cast<std::size_t>(group_of(head, i))];
      if (group.continuum) cluster.kind = attractor_kind::continuum;
      cluster.polished = cluster.polished && group.polished;
      cluster.escaped = cluster.escaped || group.escaped;
      cluster.error = std::max(cluster.error, group.error);
      cluster.center.col(i) = group.center.col(0);
    }
    if (cluster.kind == attractor_kind::continuum) {
      // Every phase that was met is part of it.
      Eigen::MatrixXd all(Z.rows(), 0);
      for (std::size_t g = 0; g < fixed.groups.size(); ++g) {
        if (cluster_of[static_cast<std::size_t>(sets.find(static_cast<index_t>(g)))] != c) continue;
        const Eigen::MatrixXd& more = fixed.groups[g].center;
        all.conservativeResize(Eigen::NoChange, all.cols() + more.cols());
        all.rightCols(more.cols()) = more;
      }
      cluster.center = all;
      cluster.polished = false;
    } else if (!cluster.polished) {
      for (index_t i = 0; i < period; ++i) cluster.center.col(i) = points.col(period * head + i);
    }
    Eigen::MatrixXd image = cluster.center;
    const bool continuum = cluster.kind == attractor_kind::continuum;
    for (index_t i = 0; i < (continuum ? period : 1); ++i) image = evaluate_on(be, map, image);
    answer.evaluations += image.cols() * (continuum ? period : 1);
    cluster.residual = 0;
    for (index_t i = 0; i < image.cols(); ++i) {
      const index_t next = continuum ? i : (i + 1) % period;
      cluster.residual =
          std::max(cluster.residual, (image.col(i) - cluster.center.col(next)).norm());
    }
  }
  for (index_t j = 0; j < n; ++j) {
    Cluster& cluster = answer.clusters[static_cast<std::size_t>(
        cluster_of[static_cast<std::size_t>(sets.find(group_of(j, 0)))])];
    cluster.spread = std::max(cluster.spread, distance_from(cluster.center, ends.col(j)));
  }
}

template <backend B, backend E, class Map>
[[nodiscard]] Clustering cluster_ends(const B& be, const FixedPointResult<B>& found, const E& exact,
                                      Map& map, const by_distance& options) {
  options.check();
  require_dimension("cluster", map, static_cast<index_t>(found.states.rows()));
  const Eigen::MatrixXd Z = host_states(be, found);
  Clustering answer;
  answer.labels.assign(found.status.size(), -1);
  answer.error_bound.assign(found.status.size(), std::numeric_limits<double>::quiet_NaN());
  auto periods = columns_by_period(found, Z, options.marginal_residual);
  while (!periods.empty()) {
    auto last = periods.extract(std::prev(periods.end()));
    std::sort(last.mapped().begin(), last.mapped().end());
    add_period(exact, map, Z, std::move(last.mapped()), last.key(), options, periods, answer);
  }
  order_by_size(answer);
  return answer;
}

}  // namespace detail

/// Says which ends of a run are the same attractor, and what it is.
///
/// Each end has a bound of its own error, ‖r‖ / (1 - q) with the rate q measured by three more
/// steps (`solver/agreement.hpp`), and two ends are linked where ‖z_i - z_j‖ is at most `safety`
/// times the sum of their bounds: so slow convergence makes no ghosts, and fast convergence
/// does not blur what is apart. Groups between which there are further fixed points, so that the
/// Jacobian has an eigenvalue 1 along the way within `marginal_band`, are one continuum. Each
/// other group's best end is polished by Newton's method where there is a jvp in double, and
/// groups with the same polished centre are one. A centre that polishing moves out of the reach
/// of its members is not taken: `escaped` says so.
///
/// Columns that ended as `cycle` are compared as the sets of their points, whatever phase they
/// ended at: an iterate of one that is the same as one of the other makes them one attractor. The
/// period is the least at which the points repeat: a cycle that is about to double is seen at
/// twice its period by those that have not settled.
/// Columns that ended as `marginal` far from a fixed point, stalled, diverged, were cancelled or
/// spent their budget are wandering: their label is -1.
///
/// @param be of the run
/// @param map of the run. Where it can be evaluated in double on the CPU, it is, as columnwise
///   maps and lambdas can; a network in float cannot, see the overload with another map. A map in
///   double that a device alone can evaluate is evaluated there, and all else is the same
/// @param found k × N ends
/// @return labels for the N columns and the clusters, the largest first, those of one size by
///   their first column
/// @throws argument_error if a setting is out of its range, size_error unless the map takes k rows;
///   whatever the map throws
/// Cost: 4 evaluations of f an end (4 p² for cycles), that of `radius_clusters`, up to
/// 1,280 evaluations between each group and four of its neighbours, and for each group some k
/// products with the Jacobian and 2/3 k³ flops an iteration of Newton's method. Groups in which
/// some end is farther from that fixed point than its own error allows are followed, up to 4,096
/// evaluations an end, to where they come to rest.
///
/// With a device the ends come to the host once, k N numbers, and linkage is the host's: ends are
/// clumps, in which a tree decides pairs of nodes and never looks at the k N² / 2 differences of
/// all pairs. An evaluation moves 2 k numbers an end, or where ends come to rest two in sixteen:
/// the four that all ends need are few beside the iterations that led there. Newton's k × k systems
/// are solved on the host, one a group.
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/cluster.hpp>
/// #include <basin/map/differentiable.hpp>
/// #include <basin/solver/fixed_point_solver.hpp>
///
/// int main() {
///   // Fixed points at -1 and 1; 0 is unstable.
///   auto map = basin::differentiable<1>(
///       [](const auto& z, auto& f) { f[0] = z[0] + 0.3 * z[0] * (1.0 - z[0] * z[0]); });
///   basin::FixedPointSolver solver{map, basin::picard{}, basin::paper_small()};
///   const basin::cpu<double> cpu;
///   const auto found = solver.solve(cpu, Eigen::RowVectorXd::LinSpaced(100, -1.4, 1.5));
///   const auto clusters = basin::cluster(cpu, map, found);
///   const auto shares = basin::basin_shares(clusters);
///   for (std::size_t c = 0; c < clusters.clusters.size(); ++c) {
///     std::cout << to_string(clusters.clusters[c].kind) << " at " << clusters.clusters[c].center
///               << ", share " << shares[0][c].low << " to " << shares[0][c].high << '\n';
///   }
/// }
/// @endcode
template <backend B, class Map>
  requires latent_map<Map, B>
[[nodiscard]] Clustering cluster(const B& be, Map& map, const FixedPointResult<B>& found,
                                 const by_distance& options = {}) {
  return detail::in_double(be, map, [&](const auto& exact, auto& f) {
    return detail::cluster_ends(be, found, exact, f, options);
  });
}

/// The same with the map in double, on the threads of the CPU, for all that is measured: a
/// network that was loaded in double beside the one in float that made the run. In float a slow
/// convergence ends in rounding, so that its rate cannot be measured.
/// @param exact the map in double
template <backend B, class Map, class Exact>
  requires latent_map<Map, B> && latent_map<Exact, cpu<double>>
[[nodiscard]] Clustering cluster(const B& be, Map&, const FixedPointResult<B>& found, Exact& exact,
                                 const by_distance& options = {}) {
  if constexpr (std::is_same_v<B, cpu<double>>) {
    return detail::cluster_ends(be, found, be, exact, options);
  } else {
    return detail::cluster_ends(be, found, cpu<double>(detail::host_of(be).threads()), exact,
                                options);
  }
}

/// Clusters by direction, as in the paper: see `paper_cosine`. Ends that converged or ended as
/// `marginal` take part; a centre is the first end of its cluster, which with leaders is the
/// leader, and is not polished. All are of kind point.
/// @throws as above
/// Cost: that of `radius_clusters` on the directions.
template <backend B, class Map>
  requires latent_map<Map, B>
[[nodiscard]] Clustering cluster(const B& be, Map& map, const FixedPointResult<B>& found,
                                 const paper_cosine& options) {
  options.check();
  require_dimension("cluster", map, static_cast<index_t>(found.states.rows()));
  const Eigen::MatrixXd Z = detail::host_states(be, found);
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  Eigen::MatrixXd directions = Eigen::MatrixXd::Constant(Z.rows(), Z.cols(), nan);
  for (index_t j = 0; j < found.size(); ++j) {
    const status end = found.status[static_cast<std::size_t>(j)];
    if (end != status::converged && end != status::marginal) continue;
    directions.col(j) = Z.col(j).stableNormalized();
  }
  // cos >= c where ‖u - v‖² <= 2 (1 - c).
  Clustering answer;
  answer.labels = radius_clusters(detail::host_of(be), directions,
                                  std::sqrt(2 * (1 - options.cosine)), options.rule);
  answer.error_bound.assign(answer.labels.size(), nan);
  for (index_t j = 0; j < found.size(); ++j) {
    const index_t label = answer.labels[static_cast<std::size_t>(j)];
    if (label < 0) continue;
    if (label >= answer.size()) answer.clusters.resize(static_cast<std::size_t>(label + 1));
    Cluster& cluster = answer.clusters[static_cast<std::size_t>(label)];
    if (cluster.members++ == 0) {
      cluster.center = Z.col(j);
      cluster.representative = j;
      cluster.residual = static_cast<double>(found.residual[static_cast<std::size_t>(j)]);
    }
    cluster.spread = std::max(cluster.spread, detail::distance_from(cluster.center, Z.col(j)));
  }
  return answer;
}

}  // namespace basin
