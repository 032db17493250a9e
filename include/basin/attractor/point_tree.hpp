/// @file
/// A tree over points with radii, for questions about pairs that are near.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/cpu/columns.hpp>
#include <basin/backend/cpu/thread_pool.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

/// A tree that halves the points of each node in the middle of their widest coordinate, where
/// the radius counts as one more, with a bound of the points of every node: a box where K is 1, 2
/// or 3, a ball where K is Eigen::Dynamic, since in many dimensions a box has far corners that no
/// point is near. Splits in the middle fall between clumps, those at the median through them.
///
/// The points of a node lie beside each other in the order of the tree, which does not depend on
/// the number of threads. Own code: nanoflann, FLANN and their like answer one query at a time,
/// and what is needed here are bounds of pairs of nodes.
///
/// Cost: N k and the depth, about log N and at most log N + 48. Memory: a copy of the points.
template <int K>
class PointTree {
 public:
  static constexpr bool boxes = K != Eigen::Dynamic;
  /// Points of a leaf, at most, unless they are equal.
  static constexpr index_t leaf_size = boxes ? 24 : 16;

  struct node_range {
    index_t begin, end;  ///< its points in the order of the tree
    index_t child = -1;  ///< the first of two that are neighbours; -1: a leaf
    double least, most;  ///< radii
  };

  /// @param which the columns of `points` that the tree is of, at least one; all are finite
  /// @param radii one for each of `which`, not negative
  PointTree(thread_pool& pool, const Eigen::Ref<const Eigen::MatrixXd>& points,
            const std::vector<index_t>& which, const std::vector<double>& radii)
      : k_(points.rows()), size_(static_cast<index_t>(which.size())) {
    std::vector<item> items(which.size());
    each(pool, size_, 1 << 14, [&](index_t i) {
      item& one = items[at(i)];
      one.radius = radii[at(i)];
      one.id = static_cast<std::uint32_t>(i);
      if constexpr (boxes) std::copy_n(column(points, which[at(i)]), K, one.x.data());
    });
    build(pool, points, which, items);
    order_.resize(items.size());
    radii_.resize(items.size());
    points_.resize(boxes ? size_ : k_, boxes ? K : size_);
    each(pool, size_, 1 << 12, [&](index_t i) {
      const item& one = items[at(i)];
      order_[at(i)] = which[one.id];
      radii_[at(i)] = one.radius;
      if constexpr (boxes) {
        for (int c = 0; c < K; ++c) points_(i, c) = one.x[at(c)];
      } else {
        points_.col(i) = points.col(which[one.id]);
      }
    });
  }

  [[nodiscard]] index_t size() const { return size_; }
  [[nodiscard]] index_t dimension() const { return k_; }
  /// Nodes in the order of their depth, the root first.
  [[nodiscard]] const std::vector<node_range>& nodes() const { return nodes_; }
  /// The first node of each depth, and the number of nodes.
  [[nodiscard]] const std::vector<index_t>& depths() const { return depths_; }
  [[nodiscard]] const node_range& operator[](index_t node) const { return nodes_[at(node)]; }
  [[nodiscard]] bool is_leaf(index_t node) const { return nodes_[at(node)].child < 0; }
  [[nodiscard]] index_t count(index_t node) const {
    return nodes_[at(node)].end - nodes_[at(node)].begin;
  }
  /// The column of the point that is i-th in the tree.
  [[nodiscard]] index_t column_of(index_t i) const { return order_[at(i)]; }
  [[nodiscard]] double radius(index_t i) const { return radii_[at(i)]; }
  /// The points: for boxes coordinate c of point i at (i, c), else k × N.
  [[nodiscard]] const Eigen::MatrixXd& points() const { return points_; }
  /// Of a tree of balls: k numbers, and a length.
  [[nodiscard]] Eigen::Map<const Eigen::VectorXd> center(index_t node) const {
    return {centers_.data() + node * k_, k_};
  }
  [[nodiscard]] double reach(index_t node) const { return reach_[at(node)]; }

  /// ‖z_i - z_j‖², as all decisions about pairs see it.
  [[nodiscard]] double squared_distance(index_t i, index_t j) const {
    if constexpr (boxes) {
      double sum = 0;
      for (int c = 0; c < K; ++c) {
        const double d = points_(i, c) - points_(j, c);
        sum += d * d;
      }
      return sum;
    } else {
      return sum_of_squared_differences(points_.data() + i * k_, points_.data() + j * k_, k_);
    }
  }
  /// Whether the points i and j are linked: ‖z_i - z_j‖ <= r_i + r_j.
  [[nodiscard]] bool linked(index_t i, index_t j) const {
    const double most = radii_[at(i)] + radii_[at(j)];
    return squared_distance(i, j) <= most * most;
  }

  /// Bounds of ‖z_i - z_j‖ over the points i of one node and j of another, which hold for the
  /// computed distances too.
  struct distances {
    double least, most;
  };
  [[nodiscard]] distances between(index_t a, index_t b) const {
    if constexpr (boxes) {
      double least = 0;
      double most = 0;
      for (std::size_t c = 0; c < K; ++c) {
        const double gap =
            std::max({low_[at(b)][c] - high_[at(a)][c], low_[at(a)][c] - high_[at(b)][c], 0.0});
        const double width =
            std::max(high_[at(b)][c] - low_[at(a)][c], high_[at(a)][c] - low_[at(b)][c]);
        least += gap * gap;
        most += width * width;
      }
      return {std::sqrt(least) * (1 - rounding), std::sqrt(most) * (1 + rounding)};
    } else {
      const double apart = std::sqrt(
          sum_of_squared_differences(centers_.data() + a * k_, centers_.data() + b * k_, k_));
      const double reach = reach_[at(a)] + reach_[at(b)];
      const double margin = (apart + reach) * margin_of(k_);
      return {apart - reach - margin, apart + reach + margin};
    }
  }
  /// Whether surely no point of a is linked to one of b.
  [[nodiscard]] bool apart(const distances& d, index_t a, index_t b) const {
    return d.least > (nodes_[at(a)].most + nodes_[at(b)].most) * (1 + rounding);
  }
  /// Whether surely every point of a is linked to each of b.
  [[nodiscard]] bool touching(const distances& d, index_t a, index_t b) const {
    return d.most <= (nodes_[at(a)].least + nodes_[at(b)].least) * (1 - rounding);
  }
  /// Whether surely the point i is linked to none of the node.
  [[nodiscard]] bool apart_from(index_t i, index_t node) const {
    const double most = radii_[at(i)] + nodes_[at(node)].most;
    if constexpr (boxes) {
      double square = 0;
      for (int c = 0; c < K; ++c) {
        const double x = points_(i, c);
        const double gap = std::max({low_[at(node)][at(c)] - x, x - high_[at(node)][at(c)], 0.0});
        square += gap * gap;
      }
      return square > most * most * (1 + rounding);
    } else {
      const double d = std::sqrt(
          sum_of_squared_differences(points_.data() + i * k_, centers_.data() + node * k_, k_));
      return d * (1 - margin_of(k_)) > (most + reach_[at(node)]) * (1 + margin_of(k_));
    }
  }

 private:
  struct point_item {
    std::array<double, boxes ? static_cast<std::size_t>(K) : 1> x;
    double radius;
    std::uint32_t id;
  };
  struct key_item {
    double key, radius;
    std::uint32_t id;
  };
  using item = std::conditional_t<boxes, point_item, key_item>;
  using corner = std::array<double, boxes ? static_cast<std::size_t>(K) : 1>;

  // Below this depth nodes are halved at the median.
  static constexpr std::size_t deepest_middle = 48;
  static constexpr double rounding = 8 * std::numeric_limits<double>::epsilon();
  static double margin_of(index_t k) {
    return static_cast<double>(k + 8) * std::numeric_limits<double>::epsilon();
  }
  template <class I>
  static std::size_t at(I i) {
    return static_cast<std::size_t>(i);
  }
  static const double* column(const Eigen::Ref<const Eigen::MatrixXd>& points, index_t j) {
    return points.data() + j * points.outerStride();
  }
  template <class F>
  static void each(thread_pool& pool, index_t n, index_t grain, F&& f) {
    pool.run((n + grain - 1) / grain, [&](index_t task) {
      const index_t last = std::min(n, (task + 1) * grain);
      for (index_t i = task * grain; i < last; ++i) f(i);
    });
  }

  // Depth by depth; the nodes of one depth are made by all threads.
  void build(thread_pool& pool, const Eigen::Ref<const Eigen::MatrixXd>& points,
             const std::vector<index_t>& which, std::vector<item>& items) {
    nodes_.push_back({0, size_, -1, 0, 0});
    for (index_t first = 0; first < static_cast<index_t>(nodes_.size());) {
      const auto last = static_cast<index_t>(nodes_.size());
      depths_.push_back(first);
      low_.resize(boxes ? at(last) : 0);
      high_.resize(boxes ? at(last) : 0);
      centers_.resize(boxes ? 0 : at(last * k_));
      reach_.resize(boxes ? 0 : at(last));
      std::vector<index_t> middles(at(last - first));
      const index_t grain = 1 + 2 * (last - first) / 1024;
      each(pool, last - first, grain,
           [&](index_t p) { middles[at(p)] = make_node(first + p, points, which, items); });
      for (index_t p = 0; p < last - first; ++p) {
        const index_t middle = middles[at(p)];
        if (middle < 0) continue;
        const node_range parent = nodes_[at(first + p)];
        nodes_[at(first + p)].child = static_cast<index_t>(nodes_.size());
        nodes_.push_back({parent.begin, middle, -1, 0, 0});
        nodes_.push_back({middle, parent.end, -1, 0, 0});
      }
      first = last;
    }
    depths_.push_back(static_cast<index_t>(nodes_.size()));
  }

  // Bounds a node, and parts its points in two. Returns where, or -1 for a leaf.
  index_t make_node(index_t node, const Eigen::Ref<const Eigen::MatrixXd>& points,
                    const std::vector<index_t>& which, std::vector<item>& items) {
    node_range& range = nodes_[at(node)];
    const auto from = items.begin() + range.begin, to = items.begin() + range.end;
    const index_t n = range.end - range.begin;
    range.least = range.most = from->radius;
    for (auto one = from; one != to; ++one) {
      range.least = std::min(range.least, one->radius);
      range.most = std::max(range.most, one->radius);
    }
    int widest = 0;
    double width = 0, middle = 0;
    if constexpr (boxes) {
      corner low = from->x, high = low;
      for (auto one = from; one != to; ++one) {
        for (std::size_t c = 0; c < K; ++c) {
          low[c] = std::min(low[c], one->x[c]);
          high[c] = std::max(high[c], one->x[c]);
        }
      }
      low_[at(node)] = low;
      high_[at(node)] = high;
      for (int c = 0; c < K; ++c) {
        if (!(high[at(c)] - low[at(c)] > width)) continue;
        widest = c;
        width = high[at(c)] - low[at(c)];
        middle = low[at(c)] + width / 2;
      }
    } else {
      Eigen::VectorXd low = points.col(which[from->id]), high = low;
      Eigen::Map<Eigen::VectorXd> mean(centers_.data() + node * k_, k_);
      mean.setZero();
      for (auto one = from; one != to; ++one) {
        const auto x = points.col(which[one->id]);
        low = low.cwiseMin(x);
        high = high.cwiseMax(x);
        mean += x;
      }
      width = (high - low).maxCoeff(&widest);
      middle = low[widest] + width / 2;
      double square = 0;
      if (width > 0) {
        mean /= static_cast<double>(n);
        for (auto one = from; one != to; ++one) {
          square = std::max(
              square, sum_of_squared_differences(column(points, which[one->id]), mean.data(), k_));
        }
      } else {
        mean = low;
      }
      reach_[at(node)] = std::sqrt(square) * (1 + margin_of(k_));
    }
    if (n <= leaf_size) return -1;
    const bool by_radius = range.most - range.least > width;
    if (by_radius) {
      width = range.most - range.least;
      middle = range.least + width / 2;
    }
    if (!(width > 0)) return -1;
    if constexpr (!boxes) {
      for (auto one = from; one != to; ++one) one->key = points(widest, which[one->id]);
    }
    const auto key = [&](const item& one) {
      if (by_radius) return one.radius;
      if constexpr (boxes) {
        return one.x[at(widest)];
      } else {
        return one.key;
      }
    };
    if (depths_.size() <= deepest_middle) {
      const auto cut =
          std::partition(from, to, [&](const item& one) { return key(one) <= middle; });
      if (cut != from && cut != to) return cut - items.begin();
    }
    const auto cut = from + n / 2;
    std::nth_element(from, cut, to, [&](const item& a, const item& b) { return key(a) < key(b); });
    return cut - items.begin();
  }

  index_t k_, size_;
  std::vector<node_range> nodes_;
  std::vector<index_t> depths_;
  std::vector<index_t> order_;
  std::vector<double> radii_;
  Eigen::MatrixXd points_;
  std::vector<corner> low_, high_;
  std::vector<double> centers_, reach_;
};

}  // namespace basin::detail
