/// @file
/// The clusters of several runs of one map as those of one.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/cluster.hpp>
#include <basin/attractor/clustering.hpp>
#include <basin/attractor/continuum.hpp>
#include <basin/attractor/disjoint_sets.hpp>
#include <basin/map/power.hpp>

namespace basin {

/// The attractors of two runs: those of the first, as far as they are apart, and what is new.
struct JoinedClusters {
  std::vector<Cluster> attractors;
  std::vector<index_t> place_of_known;  ///< of each cluster of the first its place in `attractors`
  std::vector<index_t> place_of_found;  ///< and of each of the second
  index_t evaluations = 0;              ///< of f, for single columns
};

namespace detail {

/// A link between two clusters of a list; `gap` is 0 where they are one by their centres, else the
/// distance between the points of a continuum.
struct cluster_link {
  index_t first = 0, second = 0;
  double gap = 0;
};

/// Links by a continuum between clusters of one period, from one of `fresh` to any.
/// @param iterate f^period
template <backend B, class Map>
void link_by_continuum(const B& be, Map& iterate, const std::vector<Cluster>& all,
                       const std::vector<char>& fresh, index_t period, double band,
                       std::vector<cluster_link>& links, index_t& evaluations) {
  std::vector<index_t> owner;
  for (std::size_t c = 0; c < all.size(); ++c) {
    if (all[c].period != period) continue;
    owner.insert(owner.end(), static_cast<std::size_t>(all[c].center.cols()),
                 static_cast<index_t>(c));
  }
  if (owner.empty()) return;
  Eigen::MatrixXd points(all.front().center.rows(), static_cast<index_t>(owner.size()));
  for (index_t column = 0; column < points.cols();) {
    const Cluster& one = all[static_cast<std::size_t>(owner[static_cast<std::size_t>(column)])];
    points.middleCols(column, one.center.cols()) = one.center;
    column += one.center.cols();
  }
  constexpr index_t most = 2048;
  DisjointSets sets(points.cols());
  std::vector<char> may_ask;
  for (std::size_t i = 0; i < owner.size(); ++i) {
    may_ask.push_back(fresh[static_cast<std::size_t>(owner[i])]);
    if (i > 0 && owner[i] == owner[i - 1]) {
      sets.unite(static_cast<index_t>(i), static_cast<index_t>(i - 1));
    }
  }
  unite_neighbors(points, may_ask, most, sets, [&](const auto& pairs) {
    const std::vector<char> yes = connected(be, iterate, points, pairs, band, evaluations);
    for (std::size_t e = 0; e < pairs.size(); ++e) {
      const auto [i, j] = pairs[e];
      if (!yes[e]) continue;
      links.push_back({.first = owner[static_cast<std::size_t>(i)],
                       .second = owner[static_cast<std::size_t>(j)],
                       .gap = (points.col(i) - points.col(j)).norm()});
    }
    return yes;
  });
}

/// Adds `other` to `kept`: the better of two centres, or the points of a continuum.
inline void absorb(Cluster& kept, const Cluster& other, double gap) {
  const index_t members = kept.members + other.members;
  const double spread = std::max(kept.spread, other.spread);
  const bool continuum = gap > 0 || kept.kind == attractor_kind::continuum;
  if (continuum) {
    constexpr index_t most = 64;
    Eigen::MatrixXd points(kept.center.rows(), kept.center.cols() + other.center.cols());
    points << kept.center, other.center;
    const index_t n = std::min<index_t>(points.cols(), most);
    kept.center.resize(points.rows(), n);
    for (index_t i = 0; i < n; ++i) kept.center.col(i) = points.col(i * points.cols() / n);
    kept.kind = attractor_kind::continuum;
    kept.polished = kept.escaped = false;
    // Points of the sample may be farther apart than those that were linked.
    double widest = std::max({kept.error, other.error, gap});
    for (index_t i = 0; n < points.cols() && i < points.cols(); ++i) {
      widest = std::max(widest, distance_from(kept.center, points.col(i)));
    }
    kept.error = widest;
    kept.residual = std::max(kept.residual, other.residual);
  } else if (other.error < kept.error) {
    kept = other;
  }
  kept.members = members;
  kept.spread = spread;
}

/// @param links of the list that has `known` and then `found`
[[nodiscard]] inline JoinedClusters joined_clusters(const std::vector<Cluster>& known,
                                                    const std::vector<Cluster>& found,
                                                    const std::vector<cluster_link>& links) {
  const std::size_t n = known.size();
  const auto cluster = [&](std::size_t c) { return c < n ? known[c] : found[c - n]; };
  DisjointSets sets(static_cast<index_t>(n + found.size()));
  for (const cluster_link& link : links) sets.unite(link.first, link.second);
  std::vector<double> gap(n + found.size(), 0);  // of each set, the widest
  for (const cluster_link& link : links) {
    double& widest = gap[static_cast<std::size_t>(sets.find(link.first))];
    widest = std::max(widest, link.gap);
  }
  JoinedClusters answer;
  std::vector<index_t> place(n + found.size(), -1);
  for (std::size_t c = 0; c < n + found.size(); ++c) {
    const auto set = static_cast<std::size_t>(sets.find(static_cast<index_t>(c)));
    if (place[set] < 0) {
      place[set] = static_cast<index_t>(answer.attractors.size());
      answer.attractors.push_back(cluster(c));
    } else {
      absorb(answer.attractors[static_cast<std::size_t>(place[set])], cluster(c), gap[set]);
    }
    (c < n ? answer.place_of_known : answer.place_of_found).push_back(place[set]);
  }
  return answer;
}

/// Links of clusters that `match` says are one.
[[nodiscard]] inline std::vector<cluster_link> links_by_center(const std::vector<Cluster>& known,
                                                               const std::vector<Cluster>& found) {
  std::vector<cluster_link> links;
  const std::vector<index_t> same = match(known, found);
  for (std::size_t c = 0; c < same.size(); ++c) {
    if (same[c] < 0) continue;
    links.push_back({.first = same[c], .second = static_cast<index_t>(known.size() + c)});
  }
  return links;
}

/// Labels of the second run behind those of the first, in the numbers of `joined`.
[[nodiscard]] inline Clustering merged_clustering(const Clustering& a, const Clustering& b,
                                                  JoinedClusters joined) {
  Clustering both;
  both.clusters = std::move(joined.attractors);
  const auto add = [&](const std::vector<index_t>& labels, const std::vector<index_t>& place) {
    for (const index_t label : labels) {
      both.labels.push_back(label < 0 ? -1 : place[static_cast<std::size_t>(label)]);
    }
  };
  add(a.labels, joined.place_of_known);
  add(b.labels, joined.place_of_found);
  both.error_bound = a.error_bound;
  both.error_bound.insert(both.error_bound.end(), b.error_bound.begin(), b.error_bound.end());
  both.evaluations = a.evaluations + b.evaluations + joined.evaluations;
  order_by_size(both);
  return both;
}

/// The clusters of b with the columns that they represent counted behind those of a.
[[nodiscard]] inline std::vector<Cluster> clusters_behind(const Clustering& a,
                                                          const Clustering& b) {
  std::vector<Cluster> moved = b.clusters;
  for (Cluster& one : moved) one.representative += static_cast<index_t>(a.labels.size());
  return moved;
}

}  // namespace detail

/// Attractors of a further run joined with those that are known: points and cycles that `match` are
/// one, and so are new ones and continua with those that a continuum of fixed points connects them
/// to. One end on a
/// continuum looks like a point; so what is known may turn out to be a continuum, or two that are
/// known one.
/// @param map of both runs, in double where it can be evaluated so
/// @param options marginal_band and continua are used
/// @throws size_error unless the dimensions agree
/// Cost: the distances of all centres from each other, and up to 1,280 evaluations for each new
/// cluster and period.
template <backend B, class Map>
  requires latent_map<Map, B>
[[nodiscard]] JoinedClusters join(const B& be, Map& map, const std::vector<Cluster>& known,
                                  const std::vector<Cluster>& found,
                                  const by_distance& options = {}) {
  options.check();
  std::vector<detail::cluster_link> links = detail::links_by_center(known, found);
  std::vector<Cluster> all = known;
  all.insert(all.end(), found.begin(), found.end());
  std::vector<char> fresh(all.size(), 0);
  std::fill(fresh.begin() + static_cast<index_t>(known.size()), fresh.end(), char{1});
  // A continuum that was met again may connect what was known apart.
  if (options.continua) {
    std::erase_if(links, [&](const auto& link) {
      return all[static_cast<std::size_t>(link.second)].kind == attractor_kind::continuum;
    });
  }
  for (const auto& link : links) fresh[static_cast<std::size_t>(link.second)] = 0;
  std::vector<index_t> periods;
  for (std::size_t c = 0; c < all.size(); ++c) {
    require_dimension("join", map, static_cast<index_t>(all[c].center.rows()));
    if (fresh[c]) periods.push_back(all[c].period);
  }
  std::sort(periods.begin(), periods.end());
  periods.erase(std::unique(periods.begin(), periods.end()), periods.end());
  index_t evaluations = 0;
  if (options.continua) {
    detail::in_double(be, map, [&](const auto& exact, auto& f) {
      for (const index_t period : periods) {
        auto iterate = power(detail::MapReference(f), static_cast<int>(period));
        index_t powers = 0;
        detail::link_by_continuum(exact, iterate, all, fresh, period, options.marginal_band, links,
                                  powers);
        evaluations += period * powers;
      }
    });
  }
  JoinedClusters joined = detail::joined_clusters(known, found, links);
  joined.evaluations = evaluations;
  return joined;
}

/// The clusters of two runs of one map as those of one run: the columns of `b` follow those of
/// `a`, clusters that `match` are one, and all are numbered anew by their size. Of two centres
/// that with the smaller error is kept. Without the map it cannot be seen whether a
/// continuum leads from one cluster to another: continua are one where some points of theirs are
/// within their widest gaps.
/// @throws size_error unless the points have the same number of coordinates
[[nodiscard]] inline Clustering merge(const Clustering& a, const Clustering& b) {
  const std::vector<Cluster> others = detail::clusters_behind(a, b);
  return detail::merged_clustering(
      a, b,
      detail::joined_clusters(a.clusters, others, detail::links_by_center(a.clusters, others)));
}

/// The same, with the map: also what a continuum connects is one; see `join`.
template <backend B, class Map>
  requires latent_map<Map, B>
[[nodiscard]] Clustering merge(const B& be, Map& map, const Clustering& a, const Clustering& b,
                               const by_distance& options = {}) {
  return detail::merged_clustering(
      a, b, join(be, map, a.clusters, detail::clusters_behind(a, b), options));
}

}  // namespace basin
