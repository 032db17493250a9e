/// @file
/// Clusters of points that are near: single linkage at a radius, and leaders.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/point_tree.hpp>
#include <basin/attractor/single_linkage.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>

namespace basin {

/// How points are made clusters.
enum class linkage : std::uint8_t {
  /// Connected components of the graph of linked pairs. Does not depend on the order of the points.
  single,
  /// In the order of the points, each joins the first leader that it is linked to, or becomes a
  /// leader (Hartigan 1975). Members are linked to their leader, and perhaps not to each other;
  /// another order gives other clusters.
  leader,
};

namespace detail {

/// The leader of each point, in the order of the tree, as a place in that order.
template <int K>
[[nodiscard]] std::vector<index_t> leaders(const PointTree<K>& tree) {
  const auto n = static_cast<std::size_t>(tree.size());
  std::vector<index_t> in_order(n), leader(n, -1);
  std::iota(in_order.begin(), in_order.end(), index_t{0});
  std::sort(in_order.begin(), in_order.end(),
            [&](index_t i, index_t j) { return tree.column_of(i) < tree.column_of(j); });
  // How many points of each node have no leader yet, and the node above.
  const auto nodes = tree.nodes().size();
  std::vector<index_t> left(nodes), above(nodes, -1), stack;
  for (std::size_t node = 0; node < nodes; ++node) {
    left[node] = tree.count(static_cast<index_t>(node));
    if (const index_t child = tree.nodes()[node].child; child >= 0) {
      above[static_cast<std::size_t>(child)] = static_cast<index_t>(node);
      above[static_cast<std::size_t>(child + 1)] = static_cast<index_t>(node);
    }
  }
  for (const index_t head : in_order) {
    if (leader[static_cast<std::size_t>(head)] >= 0) continue;
    stack.assign(1, 0);
    while (!stack.empty()) {
      const index_t node = stack.back();
      stack.pop_back();
      if (left[static_cast<std::size_t>(node)] == 0 || tree.apart_from(head, node)) continue;
      if (!tree.is_leaf(node)) {
        stack.push_back(tree[node].child);
        stack.push_back(tree[node].child + 1);
        continue;
      }
      index_t taken = 0;
      for (index_t i = tree[node].begin; i < tree[node].end; ++i) {
        index_t& its = leader[static_cast<std::size_t>(i)];
        if (its >= 0 || (i != head && !tree.linked(head, i))) continue;
        its = head;
        ++taken;
      }
      for (index_t up = node; up >= 0; up = above[static_cast<std::size_t>(up)]) {
        left[static_cast<std::size_t>(up)] -= taken;
      }
    }
  }
  return leader;
}

/// Numbers clusters by their size, the largest first; those of one size by their first column.
/// @param representative of each column's cluster, or -1
[[nodiscard]] inline std::vector<index_t> numbered_by_size(
    const std::vector<index_t>& representative) {
  const auto n = representative.size();
  std::vector<index_t> size(n, 0), first(n, -1), found, number(n, -1), labels(n, -1);
  for (std::size_t j = 0; j < n; ++j) {
    if (representative[j] < 0) continue;
    const auto r = static_cast<std::size_t>(representative[j]);
    if (first[r] < 0) {
      first[r] = static_cast<index_t>(j);
      found.push_back(representative[j]);
    }
    ++size[r];
  }
  std::stable_sort(found.begin(), found.end(), [&](index_t a, index_t b) {
    return size[static_cast<std::size_t>(a)] > size[static_cast<std::size_t>(b)];
  });
  for (std::size_t c = 0; c < found.size(); ++c) {
    number[static_cast<std::size_t>(found[c])] = static_cast<index_t>(c);
  }
  for (std::size_t j = 0; j < n; ++j) {
    if (representative[j] >= 0) labels[j] = number[static_cast<std::size_t>(representative[j])];
  }
  return labels;
}

template <int K>
[[nodiscard]] std::vector<index_t> link_in_tree(thread_pool& pool,
                                                const Eigen::Ref<const Eigen::MatrixXd>& points,
                                                const std::vector<index_t>& which,
                                                const std::vector<double>& radii, linkage rule) {
  const PointTree<K> tree(pool, points, which, radii);
  const std::vector<index_t> chosen =
      rule == linkage::single ? SingleLinkage<K>(pool, tree).run() : leaders(tree);
  std::vector<index_t> representative(static_cast<std::size_t>(points.cols()), -1);
  for (index_t i = 0; i < tree.size(); ++i) {
    representative[static_cast<std::size_t>(tree.column_of(i))] =
        tree.column_of(chosen[static_cast<std::size_t>(i)]);
  }
  return numbered_by_size(representative);
}

}  // namespace detail

/// Clusters of points that are linked: i and j are where ‖z_i - z_j‖ <= r_i + r_j, squares of both
/// sides compared in double. With single linkage and all radii ε / 2 the partition is that of
/// DBSCAN with min_samples = 1 at ε (Ester, Kriegel, Sander and Xu 1996). The answer is exact and
/// does not depend on the number of threads.
///
/// @param be whose threads are used
/// @param points k × N in host memory
/// @param radii N, finite and not negative: half a distance, or the error bound of each point
/// @return a label for each point: 0 is the largest cluster, and of two of one size the first is
///   that whose first point comes first; -1 where the point is not finite
/// @throws size_error unless there is a radius for each point; argument_error if one is not finite
///   or is negative, or there are 2^32 points
/// Cost: for k <= 3 about N log N and the pairs of points in sparse regions that are near, never
/// those within a clump. For larger k N k log N where the points are clumps, which is what ends of
/// iterations are; up to N² k where they are spread in all directions at distances like the
/// radius. That is done in float with an exact test of what float leaves open. Leaders: one
/// search of the tree for each.
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/linkage.hpp>
///
/// int main() {
///   const Eigen::MatrixXd points = (Eigen::MatrixXd(1, 5) << 0.0, 0.9, 1.8, 5.0, 5.5).finished();
///   for (const auto label : basin::radius_clusters(basin::cpu<double>(), points, 1.0)) {
///     std::cout << label << ' ';
///   }
///   std::cout << '\n';  // 0 0 0 1 1
/// }
/// @endcode
template <std::floating_point Scalar>
[[nodiscard]] std::vector<index_t> radius_clusters(const cpu<Scalar>& be,
                                                   const Eigen::Ref<const Eigen::MatrixXd>& points,
                                                   const Eigen::Ref<const Eigen::VectorXd>& radii,
                                                   linkage rule = linkage::single) {
  const index_t n = points.cols();
  require_size("radius_clusters", "number of radii", radii.size(), n);
  require(n < (index_t{1} << 32), "radius_clusters", "there are 2^32 points or more");
  std::vector<char> finite(static_cast<std::size_t>(n));
  detail::for_each_column(be, points.rows(), n, [&](index_t j) {
    finite[static_cast<std::size_t>(j)] =
        detail::all_finite(points.data() + j * points.outerStride(), points.rows());
  });
  std::vector<index_t> which;
  std::vector<double> kept;
  for (index_t j = 0; j < n; ++j) {
    require(is_finite(radii[j]) && radii[j] >= 0, "radius_clusters",
            "the radius of point " + std::to_string(j) + " is " + std::to_string(radii[j]));
    if (!finite[static_cast<std::size_t>(j)]) continue;
    which.push_back(j);
    kept.push_back(radii[j]);
  }
  if (which.empty()) return std::vector<index_t>(static_cast<std::size_t>(n), -1);
  thread_pool& pool = be.pool();
  switch (points.rows()) {
    case 1:
      return detail::link_in_tree<1>(pool, points, which, kept, rule);
    case 2:
      return detail::link_in_tree<2>(pool, points, which, kept, rule);
    case 3:
      return detail::link_in_tree<3>(pool, points, which, kept, rule);
    default:
      return detail::link_in_tree<Eigen::Dynamic>(pool, points, which, kept, rule);
  }
}

/// The same with one distance ε for all pairs: ‖z_i - z_j‖ <= ε.
/// @param distance finite, not negative
template <std::floating_point Scalar>
[[nodiscard]] std::vector<index_t> radius_clusters(const cpu<Scalar>& be,
                                                   const Eigen::Ref<const Eigen::MatrixXd>& points,
                                                   double distance,
                                                   linkage rule = linkage::single) {
  return radius_clusters(be, points, Eigen::VectorXd::Constant(points.cols(), distance / 2), rule);
}

}  // namespace basin
