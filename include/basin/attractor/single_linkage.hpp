/// @file
/// Connected components of linked points: the parts of `radius_clusters` with single linkage.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/disjoint_sets.hpp>
#include <basin/attractor/point_tree.hpp>
#include <basin/backend/cpu/scratch.hpp>
#include <basin/core/finite.hpp>

namespace basin::detail {

/// Finds linked pairs of points of two nodes.
template <int K>
class NodePairs {
 public:
  explicit NodePairs(const PointTree<K>& tree) : tree_(tree) {}

  /// Calls found(i, j) for the linked pairs of points i of a and j of b, i < j where the two are
  /// the same, until it returns true. @return whether it did
  template <class Found>
  bool directly(index_t a, index_t b, Found&& found) const {
    const index_t first = tree_[b].begin, last = tree_[b].end;
    for (index_t i = tree_[a].begin; i < tree_[a].end; ++i) {
      if (a != b && tree_.apart_from(i, b)) continue;
      for (index_t j = a == b ? i + 1 : first; j < last; ++j) {
        if (tree_.linked(i, j) && found(i, j)) return true;
      }
    }
    return false;
  }

  /// The same in many dimensions: distances from products in float, of differences to the centre
  /// of a, so that what is lost is relative to the distances and not to the points. Those that
  /// are within the rounding of the radius are computed again. Coordinates are taken in growing
  /// parts: a sum of squares only grows, and most nodes are told apart by their first part.
  /// Pairs of which skip(i, j) holds are left out.
  template <class Found, class Skip>
  bool by_products(index_t a, index_t b, Found&& found, Skip&& skip) const {
    const index_t k = tree_.dimension();
    const index_t first_a = tree_[a].begin, n_a = tree_.count(a);
    const index_t first_b = tree_[b].begin, n_b = tree_.count(b);
    const auto center = tree_.center(a);
    const double scale = 1 / (tree_.between(a, b).most + tree_.reach(a));
    if (!is_finite(scale) || !(scale > 0)) return directly(a, b, found);
    const double reach = (tree_[a].most + tree_[b].most) * scale;
    // |fl(d²) - d²| for vectors no longer than 1, sums of k products in any order (Higham 2002,
    // section 3.1), and what underflows.
    const double error =
        4 * static_cast<double>(k + 16) * std::numeric_limits<float>::epsilon() / 2 + 1e-30;
    const auto limit = static_cast<float>(std::min(reach * reach + 2 * error, 1e30));

    constexpr index_t longest = 512;
    scratch_scope scope;
    float* const memory_a = scope.get<float>(std::min(k, longest) * n_a);
    float* const memory_b = scope.get<float>(std::min(k, longest) * n_b);
    Eigen::Map<Eigen::MatrixXf> squares(scope.get<float>(n_a * n_b), n_a, n_b);
    squares.setZero();
    Eigen::VectorXf norms_a(n_a), norms_b(n_b);
    const auto shifted = [&](float* memory, index_t first, index_t n, index_t row, index_t rows,
                             Eigen::VectorXf& norms) {
      Eigen::Map<Eigen::MatrixXf> x(memory, rows, n);
      for (index_t j = 0; j < n; ++j) {
        x.col(j) = ((tree_.points().col(first + j) - center).segment(row, rows) * scale)
                       .template cast<float>();
        norms[j] = x.col(j).squaredNorm();
      }
      return x;
    };
    for (index_t row = 0, rows = 32; row < k; row += rows, rows = std::min(4 * rows, longest)) {
      rows = std::min(rows, k - row);
      const auto x = shifted(memory_a, first_a, n_a, row, rows, norms_a);
      const auto y = shifted(memory_b, first_b, n_b, row, rows, norms_b);
      squares.noalias() -= x.transpose() * (2 * y);
      float least = std::numeric_limits<float>::infinity();
      for (index_t j = 0; j < n_b; ++j) {
        squares.col(j) += norms_a;
        squares.col(j).array() += norms_b[j];
        least = std::min(least, squares.col(j).minCoeff());
      }
      if (least > limit) return false;
    }
    for (index_t j = 0; j < n_b; ++j) {
      if (squares.col(j).minCoeff() > limit) continue;
      for (index_t i = 0; i < n_a; ++i) {
        const double square = squares(i, j);
        const double most = (tree_.radius(first_a + i) + tree_.radius(first_b + j)) * scale;
        if (square > most * most + error || skip(first_a + i, first_b + j)) continue;
        if (square >= most * most - error && !tree_.linked(first_a + i, first_b + j)) continue;
        if (found(first_a + i, first_b + j)) return true;
      }
    }
    return false;
  }

 private:
  const PointTree<K>& tree_;
};

/// Connected components by two branches of the tree at once (Gray and Moore 2000): small nodes
/// first, then every node links its two children. Nodes whose points are one component are known
/// as whole; two such are done when one link between them is known, so that pairs within a clump
/// are not enumerated.
template <int K>
class SingleLinkage {
 public:
  SingleLinkage(thread_pool& pool, const PointTree<K>& tree)
      : pool_(pool), tree_(tree), sets_(tree.size()), whole_(tree.nodes().size()) {}

  /// The least member of the component of each point, in the order of the tree.
  std::vector<index_t> run() {
    const auto& depths = tree_.depths();
    for (std::size_t depth = depths.size() - 1; depth-- > 0;) {
      const index_t nodes = depths[depth + 1] - depths[depth];
      const auto one = [&](index_t p) {
        const index_t node = depths[depth] + p;
        link_within(node);
        refresh(node);
      };
      // Few nodes: one after the other, each with all threads.
      if (nodes < 64) {
        for (index_t p = 0; p < nodes; ++p) one(p);
      } else {
        const index_t grain = 1 + nodes / 1024;
        pool_.run((nodes + grain - 1) / grain, [&](index_t task) {
          const index_t last = std::min(nodes, (task + 1) * grain);
          for (index_t p = task * grain; p < last; ++p) one(p);
        });
      }
    }
    std::vector<index_t> roots(static_cast<std::size_t>(tree_.size()));
    for (index_t i = 0; i < tree_.size(); ++i) roots[static_cast<std::size_t>(i)] = sets_.find(i);
    return roots;
  }

 private:
  /// Points of a node up to which its pairs are a task: of products, where there are many.
  static constexpr index_t block_size = PointTree<K>::boxes ? PointTree<K>::leaf_size : 256;

  struct node_pair {
    index_t a, b;
  };

  [[nodiscard]] bool is_whole(index_t node) const {
    return whole_[static_cast<std::size_t>(node)] != 0;
  }
  [[nodiscard]] bool is_block(index_t node) const {
    return tree_.is_leaf(node) || tree_.count(node) <= block_size;
  }
  [[nodiscard]] bool done(index_t a, index_t b) {
    return is_whole(a) && is_whole(b) && sets_.same(tree_[a].begin, tree_[b].begin);
  }
  void unite_all(index_t node, index_t with) {
    if (is_whole(node)) return sets_.unite(tree_[node].begin, with);
    for (index_t i = tree_[node].begin; i < tree_[node].end; ++i) sets_.unite(i, with);
  }
  // Learns which nodes below are whole.
  bool refresh(index_t node) {
    if (is_whole(node)) return true;
    bool one = true;
    if (tree_.is_leaf(node)) {
      const index_t root = sets_.find(tree_[node].begin);
      for (index_t i = tree_[node].begin + 1; i < tree_[node].end && one; ++i) {
        one = sets_.find(i) == root;
      }
    } else {
      const index_t child = tree_[node].child;
      const bool left = refresh(child), right = refresh(child + 1);
      one = left && right && sets_.same(tree_[child].begin, tree_[child + 1].begin);
    }
    whole_[static_cast<std::size_t>(node)] = one;
    return one;
  }

  void link_within(index_t node) {
    if (!tree_.is_leaf(node)) return link(tree_[node].child, tree_[node].child + 1);
    if (tree_.touching(tree_.between(node, node), node, node)) {
      unite_all(node, tree_[node].begin);
    } else {
      link_directly(node, node);
    }
  }
  void link_directly(index_t a, index_t b) {
    const bool one_is_enough = a != b && is_whole(a) && is_whole(b);
    NodePairs<K>(tree_).directly(a, b, [&](index_t i, index_t j) {
      sets_.unite(i, j);
      return one_is_enough;
    });
  }

  // What bounds alone say of two nodes; true if there is nothing left to do.
  bool settle(index_t a, index_t b) {
    if (done(a, b)) return true;
    const auto d = tree_.between(a, b);
    if (tree_.apart(d, a, b)) return true;
    if (!tree_.touching(d, a, b)) return false;
    const index_t i = tree_[a].begin;
    unite_all(b, i);
    unite_all(a, i);
    return true;
  }

  // Links the points of two blocks: leaf by leaf, or where most leaves are near by one product.
  void link_blocks(index_t a, index_t b) {
    if (tree_.is_leaf(a) && tree_.is_leaf(b)) {
      if (!done(a, b)) link_directly(a, b);
      return;
    }
    constexpr bool products = !PointTree<K>::boxes;
    const bool one_is_enough = is_whole(a) && is_whole(b);
    const index_t few = tree_.count(a) * tree_.count(b) / 8;
    std::vector<node_pair> stack{{a, b}}, leaves;
    index_t pairs = 0;
    while (!stack.empty()) {
      const node_pair pair = stack.back();
      stack.pop_back();
      if (settle(pair.a, pair.b)) continue;
      if (tree_.is_leaf(pair.a) && tree_.is_leaf(pair.b)) {
        // The nearest leaves of two clumps are linked if any are.
        if (one_is_enough && pairs == 0) link_directly(pair.a, pair.b);
        leaves.push_back(pair);
        pairs += tree_.count(pair.a) * tree_.count(pair.b);
      } else {
        push_parts(pair, stack, [&](index_t node) { return tree_.is_leaf(node); });
      }
      if constexpr (products) {
        if (pairs <= few || done(a, b)) continue;
        NodePairs<K>(tree_).by_products(
            a, b,
            [&](index_t i, index_t j) {
              sets_.unite(i, j);
              return one_is_enough;
            },
            [&](index_t i, index_t j) { return sets_.same(i, j); });
        return;
      }
    }
    for (auto pair = leaves.rbegin(); pair != leaves.rend(); ++pair) {
      if (!done(pair->a, pair->b)) link_directly(pair->a, pair->b);
    }
  }

  // Links the points of a to those of b, nearest nodes first. Pairs of blocks wait until there
  // are enough for all threads: as many as were tried before, so that little is done in vain.
  void link(index_t a, index_t b) {
    constexpr std::size_t most = 256;
    std::vector<node_pair> stack{{a, b}}, blocks;
    std::size_t enough = 1;
    while (!stack.empty() || !blocks.empty()) {
      if (stack.empty() || blocks.size() >= enough) {
        pool_.run(static_cast<index_t>(blocks.size()), [&](index_t i) {
          const node_pair pair = blocks[static_cast<std::size_t>(i)];
          link_blocks(pair.a, pair.b);
        });
        blocks.clear();
        enough = std::min(2 * enough, most);
        continue;
      }
      const node_pair pair = stack.back();
      stack.pop_back();
      const bool are_blocks = is_block(pair.a) && is_block(pair.b);
      if (are_blocks) {
        refresh(pair.a);
        refresh(pair.b);
      }
      if (settle(pair.a, pair.b)) continue;
      if (are_blocks) {
        blocks.push_back(pair);
      } else {
        push_parts(pair, stack, [&](index_t node) { return is_block(node); });
      }
    }
  }
  // Pushes the pairs of the children of two nodes, or of one where the other is small, that with
  // the nearest last.
  template <class Small>
  void push_parts(node_pair pair, std::vector<node_pair>& stack, Small&& small) const {
    struct near_pair {
      double distance;
      node_pair nodes;
    };
    std::array<near_pair, 4> near;
    std::size_t n = 0;
    const index_t parts_a = small(pair.a) ? 1 : 2, parts_b = small(pair.b) ? 1 : 2;
    for (index_t i = 0; i < parts_a; ++i) {
      for (index_t j = 0; j < parts_b; ++j) {
        const index_t a = parts_a == 1 ? pair.a : tree_[pair.a].child + i;
        const index_t b = parts_b == 1 ? pair.b : tree_[pair.b].child + j;
        const auto d = tree_.between(a, b);
        if (tree_.apart(d, a, b)) continue;
        const near_pair next{d.least + d.most - tree_[a].most - tree_[b].most, {a, b}};
        std::size_t at = n++;  // the farthest first
        for (; at > 0 && near[at - 1].distance < next.distance; --at) near[at] = near[at - 1];
        near[at] = next;
      }
    }
    for (std::size_t i = 0; i < n; ++i) stack.push_back(near[i].nodes);
  }

  thread_pool& pool_;
  const PointTree<K>& tree_;
  DisjointSets sets_;
  std::vector<char> whole_;
};

}  // namespace basin::detail
