/// @file
/// The clusters of a run's ends: which start is in which, and what each is.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/linkage.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/core/normal.hpp>

namespace basin {

/// What the ends of a cluster are.
enum class attractor_kind : std::uint8_t {
  point,      ///< one fixed point
  cycle,      ///< the points of one cycle
  continuum,  ///< fixed points, or points of cycles, that lie beside each other without a gap
};

/// The name of a kind as in the enumeration.
[[nodiscard]] constexpr std::string_view to_string(attractor_kind kind) noexcept {
  switch (kind) {
    case attractor_kind::point:
      return "point";
    case attractor_kind::cycle:
      return "cycle";
    case attractor_kind::continuum:
      return "continuum";
  }
  return "unknown";
}

/// One cluster of ends.
struct Cluster {
  attractor_kind kind = attractor_kind::point;
  index_t period = 1;  ///< of its points under f
  /// k × period, a column the image of the one before; of a continuum k × m, some of its points.
  Eigen::MatrixXd center;
  index_t members = 0;         ///< columns of the run
  index_t representative = 0;  ///< the member with the least error bound; -1 of a Discovery
  /// The largest ‖f(c_i) - c_{i+1}‖ of the centre, in the scalar that it was measured in; of a
  /// continuum of f^period.
  double residual = std::numeric_limits<double>::quiet_NaN();
  /// How far the true point may be from the centre; of a continuum the widest gap between
  /// neighbours among the ends that were found.
  double error = 0;
  double spread = 0;      ///< the largest distance of a member from the nearest point of the centre
  bool polished = false;  ///< the centre is Newton's
  /// Newton's method left the reach of the members, or did not converge: the centre is the
  /// representative's end.
  bool escaped = false;
};

/// The clusters of a run.
struct Clustering {
  /// Of each column its cluster, or -1: it ended in none (see `cluster`).
  std::vector<index_t> labels;
  std::vector<Cluster> clusters;  ///< the largest first
  /// Bound of the distance of each column from its attractor; infinite where none is known, NaN
  /// for columns without a label, and where directions are compared.
  std::vector<double> error_bound;
  index_t evaluations = 0;  ///< of f, for single columns; a jvp counts as one

  [[nodiscard]] index_t size() const noexcept { return static_cast<index_t>(clusters.size()); }
};

/// A share of starts with its interval.
struct basin_share {
  index_t hits = 0;  ///< starts that ended in the cluster
  /// Of the source: by `basin_shares` all starts, those without a label too; by `Atlas` and
  /// `SourceReport` the decided ones, which end in an attractor or away from all.
  index_t starts = 0;
  double value = std::numeric_limits<double>::quiet_NaN();  ///< hits / starts
  double low = 0, high = 1;                                 ///< of the interval
};

/// Wilson's interval (1927) of a share: where the score test of a share does not reject. Its
/// coverage is near the level on average at every share and number, and it is not empty at 0 and
/// 1, where attractors that were met once live. Clopper and Pearson's never covers less than the
/// level, but is up to half as wide again; see Brown, Cai and DasGupta (2001).
/// @param level of confidence, in (0, 1)
/// @return [0, 1] and a value of NaN for no starts
/// @throws argument_error unless 0 <= hits <= starts and the level is in (0, 1)
[[nodiscard]] inline basin_share wilson_interval(index_t hits, index_t starts,
                                                 double level = 0.95) {
  require(hits >= 0 && hits <= starts, "wilson_interval",
          std::to_string(hits) + " hits of " + std::to_string(starts) + " starts");
  require(level > 0 && level < 1, "wilson_interval",
          "level is " + std::to_string(level) + ", must be in (0, 1)");
  basin_share share{.hits = hits, .starts = starts};
  if (starts == 0) return share;
  const double z = detail::two_sided_normal(level), z2 = z * z;
  const auto n = static_cast<double>(starts);
  share.value = static_cast<double>(hits) / n;
  const double center = (share.value + z2 / (2 * n)) / (1 + z2 / n);
  const double half =
      z / (1 + z2 / n) * std::sqrt(share.value * (1 - share.value) / n + z2 / (4 * n * n));
  share.low = hits == 0 ? 0 : std::max(0.0, center - half);
  share.high = hits == starts ? 1 : std::min(1.0, center + half);
  return share;
}

/// Basin shares of each cluster, for each source of starts. A clustering does not say why a start
/// has no label, so all starts count: where some are undecided, `discovery_of` leaves them out.
/// @param sources of each column its source, 0, 1, ...; empty: all are of one
/// @return a vector for each source, with a share for each cluster
/// @throws size_error unless there is a source for each column; argument_error if one is negative
[[nodiscard]] inline std::vector<std::vector<basin_share>> basin_shares(
    const Clustering& found, const std::vector<index_t>& sources = {}, double level = 0.95) {
  const auto n = static_cast<index_t>(found.labels.size());
  if (!sources.empty()) {
    require_size("basin_shares", "number of sources", static_cast<index_t>(sources.size()), n);
    require(*std::min_element(sources.begin(), sources.end()) >= 0, "basin_shares",
            "a source is negative");
  }
  const index_t count = sources.empty() ? 1 : *std::max_element(sources.begin(), sources.end()) + 1;
  Eigen::MatrixX<index_t> hits = Eigen::MatrixX<index_t>::Zero(found.size(), count);
  Eigen::VectorX<index_t> starts = Eigen::VectorX<index_t>::Zero(count);
  for (index_t j = 0; j < n; ++j) {
    const index_t source = sources.empty() ? 0 : sources[static_cast<std::size_t>(j)];
    const index_t label = found.labels[static_cast<std::size_t>(j)];
    ++starts[source];
    if (label >= 0) ++hits(label, source);
  }
  std::vector<std::vector<basin_share>> shares(static_cast<std::size_t>(count));
  for (index_t s = 0; s < count; ++s) {
    for (index_t c = 0; c < found.size(); ++c) {
      shares[static_cast<std::size_t>(s)].push_back(wilson_interval(hits(c, s), starts[s], level));
    }
  }
  return shares;
}

namespace detail {

/// The least distance of a point from the columns of a centre.
[[nodiscard]] inline double distance_from(const Eigen::MatrixXd& center,
                                          const Eigen::Ref<const Eigen::VectorXd>& z) {
  return std::sqrt((center.colwise() - z).colwise().squaredNorm().minCoeff());
}

/// How far apart two clusters are, of runs of one map, that are the same attractor: the largest
/// distance of a point of a from b, of continua the least. -1 where they are not the same.
[[nodiscard]] inline double distance_if_same(const Cluster& a, const Cluster& b) {
  if (a.kind != b.kind || a.period != b.period || a.center.rows() != b.center.rows()) return -1;
  Eigen::VectorXd distances(a.center.cols());
  for (index_t i = 0; i < a.center.cols(); ++i) {
    distances[i] = distance_from(b.center, a.center.col(i));
  }
  const double apart =
      a.kind == attractor_kind::continuum ? distances.minCoeff() : distances.maxCoeff();
  return apart <= a.error + b.error ? apart : -1;
}

/// Puts the largest cluster first, those of one size by their first column, and renames labels.
inline void order_by_size(Clustering& found) {
  const auto m = found.clusters.size();
  std::vector<index_t> first(m, static_cast<index_t>(found.labels.size()));
  std::vector<index_t> order(m), place(m);
  for (std::size_t j = found.labels.size(); j-- > 0;) {
    if (found.labels[j] >= 0) {
      first[static_cast<std::size_t>(found.labels[j])] = static_cast<index_t>(j);
    }
  }
  for (std::size_t c = 0; c < m; ++c) order[c] = static_cast<index_t>(c);
  std::stable_sort(order.begin(), order.end(), [&](index_t a, index_t b) {
    const auto x = static_cast<std::size_t>(a), y = static_cast<std::size_t>(b);
    const index_t of_x = found.clusters[x].members, of_y = found.clusters[y].members;
    return of_x != of_y ? of_x > of_y : first[x] < first[y];
  });
  std::vector<Cluster> ordered;
  for (std::size_t c = 0; c < m; ++c) {
    place[static_cast<std::size_t>(order[c])] = static_cast<index_t>(c);
    ordered.push_back(std::move(found.clusters[static_cast<std::size_t>(order[c])]));
  }
  found.clusters = std::move(ordered);
  for (index_t& label : found.labels) {
    if (label >= 0) label = place[static_cast<std::size_t>(label)];
  }
}

}  // namespace detail

/// For each of `others` the cluster of `known` that is the same attractor, or -1 where it is new:
/// kind and period are the same and each point of one centre is within the errors of a point of the
/// other; of continua some point. Of several the nearest.
/// @throws size_error unless the points have the same number of coordinates
[[nodiscard]] inline std::vector<index_t> match(const std::vector<Cluster>& known,
                                                const std::vector<Cluster>& others) {
  std::vector<index_t> answer;
  for (const Cluster& other : others) {
    index_t same = -1;
    double nearest = std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < known.size(); ++c) {
      require_size("match", "number of coordinates", other.center.rows(), known[c].center.rows());
      const double apart = detail::distance_if_same(known[c], other);
      if (apart < 0 || apart >= nearest) continue;
      nearest = apart;
      same = static_cast<index_t>(c);
    }
    answer.push_back(same);
  }
  return answer;
}

}  // namespace basin
