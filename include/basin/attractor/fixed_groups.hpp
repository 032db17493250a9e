/// @file
/// Ends of one map grouped into fixed points and continua: the parts of `cluster`.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/continuum.hpp>
#include <basin/attractor/disjoint_sets.hpp>
#include <basin/attractor/end_errors.hpp>
#include <basin/attractor/linkage.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/random.hpp>
#include <basin/map/derivative.hpp>
#include <basin/solver/newton.hpp>

namespace basin {

/// Settings of `cluster`: ends are linked where the sum of their error bounds reaches from one to
/// the other.
struct by_distance {
  linkage rule = linkage::single;
  /// The radius of an end is this many times its error bound, which takes the convergence to be
  /// linear already. At least 1.
  double safety = 3;
  /// Least radius, for ends whose bound is smaller. Not negative.
  double least_radius = 0;
  /// An eigenvalue is 1 if it differs from 1 by at most this. In [0, 1).
  double marginal_band = 1e-4;
  /// A column that ended as `marginal` is taken for one near a fixed point if its residual is at
  /// most this times 1 + ‖z‖; others go round or away for ever. Not negative.
  double marginal_residual = 1e-3;
  bool continua = true;  ///< look for continua of fixed points
  bool polish = true;    ///< polish centres, where there is a jvp in double
  newton_options newton = {};

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(safety >= 1 && is_finite(safety), "by_distance", "safety must be at least 1");
    require(least_radius >= 0 && is_finite(least_radius), "by_distance",
            "least_radius must not be negative");
    require(marginal_band >= 0 && marginal_band < 1, "by_distance",
            "marginal_band must be in [0, 1)");
    require(marginal_residual >= 0, "by_distance", "marginal_residual must not be negative");
    newton.check();
  }
};

namespace detail {

/// The fixed point that Newton's method finds from z; none where it does not converge, or there
/// is no derivative in double.
template <backend B, class Map>
[[nodiscard]] std::optional<Eigen::VectorXd> polished_point(const B& be, Map& map,
                                                            const Eigen::VectorXd& z,
                                                            const newton_options& options,
                                                            index_t& evaluations) {
  if constexpr (std::is_same_v<B, cpu<double>> && has_jvp<Map, B>) {
    const auto found = polish(be, map, Eigen::MatrixXd(z), options);
    evaluations += found.work.evaluations + found.iterations[0] * z.size();
    if (found.status[0] == status::converged) return found.states.col(0);
  }
  return std::nullopt;
}
template <class B, class Map>
inline constexpr bool can_polish = std::is_same_v<B, cpu<double>> && has_jvp<Map, B>;

/// Ends that are one fixed point, or one continuum.
struct fixed_group {
  index_t representative = 0;   ///< the end with the least error
  Eigen::MatrixXd center = {};  ///< k × 1, of a continuum k × m
  double error = 0;             ///< of the centre; of a continuum its widest gap
  bool continuum = false, polished = false, escaped = false;
};
struct fixed_groups {
  std::vector<index_t> label;  ///< of each end
  std::vector<fixed_group> groups;
  std::vector<double> error;  ///< of each end; infinite where none is known
  index_t evaluations = 0;
};

/// Groups ends of a map, the columns of Z.
template <backend B, class Map>
class FixedGrouping {
 public:
  FixedGrouping(const B& be, Map& map, const Eigen::MatrixXd& Z, const by_distance& options)
      : be_(be), map_(map), Z_(Z), options_(options) {}

  fixed_groups run() {
    answer_.error = end_errors(be_, map_, Z_, answer_.evaluations);
    std::vector<index_t> pieces = radius_clusters(host_of(be_), Z_, radii(), options_.rule);
    index_t n = pieces.empty() ? 0 : *std::max_element(pieces.begin(), pieces.end()) + 1;
    describe(pieces, n);
    if (can_polish<B, Map> && options_.polish) {
      std::vector<std::vector<index_t>> members(static_cast<std::size_t>(n));
      for (index_t j = 0; j < Z_.cols(); ++j) members[at(pieces[at(j)])].push_back(j);
      for (const auto& one : members) n = split(one, pieces, n);
      if (at(n) > members.size()) describe(pieces, n);
    }
    DisjointSets sets(n);
    if (options_.continua) join_continua(sets);
    std::vector<std::vector<index_t>> parts(static_cast<std::size_t>(n));
    for (index_t p = 0; p < n; ++p) parts[at(sets.find(p))].push_back(p);
    std::vector<index_t> group_of(static_cast<std::size_t>(n), -1);
    for (const auto& part : parts) {
      if (part.empty()) continue;
      for (const index_t p : part) group_of[at(p)] = static_cast<index_t>(answer_.groups.size());
      answer_.groups.push_back(part.size() == 1 ? point(part[0]) : continuum(part));
    }
    for (const index_t p : pieces) answer_.label.push_back(group_of[at(p)]);
    take_centers_that_draw(group_of);
    join_equal_centers();
    return std::move(answer_);
  }

 private:
  template <class I>
  static std::size_t at(I i) {
    return static_cast<std::size_t>(i);
  }
  [[nodiscard]] double radius(index_t j) const {
    const double error = answer_.error[at(j)];
    const auto epsilon = static_cast<double>(std::numeric_limits<typename B::scalar>::epsilon());
    return std::max(options_.least_radius,
                    is_finite(error) ? options_.safety * error : 64 * epsilon * Z_.col(j).norm());
  }
  [[nodiscard]] Eigen::VectorXd radii() const {
    Eigen::VectorXd r(Z_.cols());
    for (index_t j = 0; j < r.size(); ++j) r[j] = radius(j);
    return r;
  }
  // Of each piece the end with the least error, and how far from it the attractor may be.
  void describe(const std::vector<index_t>& pieces, index_t n) {
    heads_.assign(at(n), -1);
    for (index_t j = 0; j < Z_.cols(); ++j) {
      index_t& head = heads_[at(pieces[at(j)])];
      if (head < 0 || answer_.error[at(j)] < answer_.error[at(head)]) head = j;
    }
    reach_.assign(at(n), 0);
    for (index_t j = 0; j < Z_.cols(); ++j) {
      const auto piece = at(pieces[at(j)]);
      reach_[piece] = std::max(reach_[piece], (Z_.col(j) - Z_.col(heads_[piece])).norm() +
                                                  radius(j) + rounding_floor(Z_.col(j)));
    }
  }

  [[nodiscard]] bool comes_to(index_t j, const Eigen::VectorXd& point) {
    return come_to(be_, map_, Z_.col(j), point, answer_.evaluations)[0] != 0;
  }

  // Whether disturbances of a fixed point grow: products with the Jacobian there, of one vector.
  [[nodiscard]] bool repels(const Eigen::VectorXd& point) {
    if constexpr (can_polish<B, Map>) {
      constexpr int products = 64;
      Eigen::MatrixXd direction(point.size(), 1), image = direction;
      fill_normal(be_, random_stream{.seed = 0, .stream = 0}, columns(be_, direction, 0, 1));
      double growth = 0;
      for (int i = 0; i < products; ++i) {
        direction.col(0).stableNormalize();
        jvp(be_, map_, point, direction, image);
        growth = image.col(0).stableNorm();
        direction.swap(image);
      }
      answer_.evaluations += products;
      return growth > 1 + options_.marginal_band;
    }
    return false;
  }

  // Single linkage chains: one end whose error is large may link those of two attractors, or all of
  // a continuum, or those of an attractor with one that rests at a saddle. Ends of a piece that are
  // farther from its fixed point than their own error allows, or all where that point repels, are
  // asked for theirs, a sample of them; then each goes where iterating takes it. Gives the new
  // number of pieces.
  index_t split(const std::vector<index_t>& members, std::vector<index_t>& pieces, index_t n) {
    if (members.size() < 2) return n;
    const auto center = newton(pieces[at(members[0])]);
    if (!center) return n;
    const auto beyond = [&](index_t j, const Eigen::VectorXd& c) {
      return (Z_.col(j) - c).norm() - radius(j) - rounding_floor(Z_.col(j)) - rounding_floor(c);
    };
    const bool unstable = repels(*center);
    std::vector<index_t> others;
    for (const index_t j : members) {
      const bool there = (Z_.col(j) - *center).norm() <= rounding_floor(*center);
      if (unstable ? !there : beyond(j, *center) > 0) others.push_back(j);
    }
    if (others.empty()) return n;
    constexpr std::size_t most = 256;
    const std::size_t asked = std::min(most, others.size());
    std::vector<Eigen::VectorXd> found{*center};
    for (std::size_t i = 0; i < asked; ++i) {
      const index_t j = others[i * others.size() / asked];
      // One that lies in reach of a point that is known needs none of its own.
      if (std::any_of(found.begin() + (unstable ? 1 : 0), found.end(),
                      [&](const Eigen::VectorXd& c) { return beyond(j, c) <= 0; })) {
        continue;
      }
      auto point = polished_point(be_, map_, Z_.col(j), options_.newton, answer_.evaluations);
      const bool new_one = point && (*point - *center).norm() > 2 * rounding_floor(*center);
      if (new_one && beyond(j, *point) <= 0 && comes_to(j, *point)) {
        found.push_back(std::move(*point));
      }
    }
    if (found.size() == 1) return n;
    const std::vector<index_t> nearest =
        nearest_when_followed(be_, map_, Z_(Eigen::all, members), found, answer_.evaluations);
    std::vector<index_t> piece(found.size(), -1), head(found.size(), -1);
    const index_t before = pieces[at(members[0])];
    bool kept = false;
    for (std::size_t i = 0; i < members.size(); ++i) {
      const index_t j = members[i];
      const std::size_t c = at(nearest[i]);
      if (piece[c] < 0) piece[c] = std::exchange(kept, true) ? n++ : before;
      pieces[at(j)] = piece[c];
      if (head[c] < 0 || answer_.error[at(j)] < answer_.error[at(head[c])]) head[c] = j;
    }
    for (std::size_t c = 0; c < found.size(); ++c) {
      if (head[c] >= 0) points_[head[c]] = found[c];
    }
    return n;
  }

  void join_continua(DisjointSets& sets) {
    constexpr index_t most = 2048;
    const Eigen::MatrixXd X = Z_(Eigen::all, heads_);
    const auto pairs = spanning_pairs(X, most);
    std::vector<index_t> a, b;
    for (const auto& [i, j] : pairs) {
      a.push_back(i);
      b.push_back(j);
    }
    const Eigen::MatrixXd A = X(Eigen::all, a), B_end = X(Eigen::all, b);
    const std::vector<char> joined =
        lie_on_continuum(be_, map_, A, B_end, options_.marginal_band, answer_.evaluations);
    gap_.assign(heads_.size(), 0);
    for (std::size_t e = 0; e < joined.size(); ++e) {
      if (!joined[e]) continue;
      const auto column = static_cast<index_t>(e);
      const double length = (A.col(column) - B_end.col(column)).norm();
      gap_[at(a[e])] = std::max(gap_[at(a[e])], length);
      gap_[at(b[e])] = std::max(gap_[at(b[e])], length);
      sets.unite(a[e], b[e]);
    }
  }

  // Newton's point from a piece's head, found once.
  [[nodiscard]] const std::optional<Eigen::VectorXd>& newton(index_t piece) {
    const index_t head = heads_[at(piece)];
    auto known = points_.find(head);
    if (known == points_.end()) {
      known = points_
                  .emplace(head, polished_point(be_, map_, Z_.col(head), options_.newton,
                                                answer_.evaluations))
                  .first;
    }
    return known->second;
  }

  fixed_group point(index_t piece) {
    const index_t head = heads_[at(piece)];
    fixed_group group{.representative = head,
                      .center = Z_.col(head),
                      .error = radius(head) + rounding_floor(Z_.col(head))};
    if (!can_polish<B, Map> || !options_.polish) return group;
    const auto& center = newton(piece);
    if (center) {
      const double distance = (*center - Z_.col(head)).norm();
      group.polished = distance <= reach_[at(piece)];
    }
    group.escaped = !group.polished;
    if (group.polished) {
      group.center = *center;
      group.error = rounding_floor(*center);
    }
    return group;
  }

  // Newton's points out of reach of their heads, to which these go nevertheless: perhaps a slow
  // direction was hidden behind a fast one when the errors were measured.
  void take_centers_that_draw(const std::vector<index_t>& group_of) {
    std::vector<index_t> heads;
    std::vector<std::size_t> groups;
    std::vector<Eigen::VectorXd> points;
    for (std::size_t p = 0; p < group_of.size(); ++p) {
      const std::size_t g = at(group_of[p]);
      if (!answer_.groups[g].escaped) continue;
      const auto found = points_.find(answer_.groups[g].representative);
      if (found == points_.end() || !found->second) continue;
      heads.push_back(found->first);
      groups.push_back(g);
      points.push_back(*found->second);
    }
    Eigen::MatrixXd goals(Z_.rows(), static_cast<index_t>(points.size()));
    for (std::size_t i = 0; i < points.size(); ++i) goals.col(static_cast<index_t>(i)) = points[i];
    const std::vector<char> drawn =
        come_to(be_, map_, Z_(Eigen::all, heads), goals, answer_.evaluations);
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (drawn[i]) {
        fixed_group& group = answer_.groups[groups[i]];
        group.polished = true;
        group.escaped = false;
        group.center = points[i];
        group.error = rounding_floor(points[i]);
      }
    }
  }

  // Pieces that were joined: a continuum, unless Newton's method finds one and the same point
  // from several, to which they converge slowly.
  fixed_group continuum(const std::vector<index_t>& parts) {
    fixed_group group{.continuum = true};
    group.representative = heads_[at(parts[0])];
    for (const index_t p : parts) {
      const index_t head = heads_[at(p)];
      if (answer_.error[at(head)] < answer_.error[at(group.representative)]) {
        group.representative = head;
      }
      group.error = std::max(group.error, gap_[at(p)]);
    }
    if (can_polish<B, Map> && options_.polish) {
      std::optional<Eigen::VectorXd> one;
      bool same = true;
      double nearest = std::numeric_limits<double>::infinity();
      for (std::size_t i = 0; i < 5 && same; ++i) {
        const index_t piece = parts[i * (parts.size() - 1) / 4];
        const auto& center = newton(piece);
        same = center && (!one || (*center - *one).norm() <= 2 * rounding_floor(*one));
        if (!same) break;
        if (!one) one = center;
        nearest = std::min(nearest, (*center - Z_.col(heads_[at(piece)])).norm());
      }
      if (same && nearest <= std::max(group.error, reach_[at(parts[0])])) {
        group.continuum = false;
        group.polished = true;
        group.center = *one;
        group.error = rounding_floor(*one);
        return group;
      }
    }
    constexpr std::size_t most = 64;
    const std::size_t kept = std::min(most, parts.size());
    group.center.resize(Z_.rows(), static_cast<index_t>(kept));
    for (std::size_t i = 0; i < kept; ++i) {
      group.center.col(static_cast<index_t>(i)) =
          Z_.col(heads_[at(parts[i * parts.size() / kept])]);
    }
    if (kept < parts.size()) {
      // Neighbours in the sample are farther apart than neighbours among the ends.
      for (const index_t p : parts) {
        const double to_sample = std::sqrt(
            (group.center.colwise() - Z_.col(heads_[at(p)])).colwise().squaredNorm().minCoeff());
        group.error = std::max(group.error, to_sample);
      }
    }
    return group;
  }

  // Groups that Newton's method leads to the same point are one.
  void join_equal_centers() {
    std::vector<index_t> which;
    for (std::size_t g = 0; g < answer_.groups.size(); ++g) {
      if (answer_.groups[g].polished) which.push_back(static_cast<index_t>(g));
    }
    if (which.size() < 2) return;
    Eigen::MatrixXd centers(Z_.rows(), static_cast<index_t>(which.size()));
    Eigen::VectorXd radii(centers.cols());
    for (std::size_t i = 0; i < which.size(); ++i) {
      const auto column = static_cast<index_t>(i);
      centers.col(column) = answer_.groups[at(which[i])].center;
      radii[column] = answer_.groups[at(which[i])].error;
    }
    const std::vector<index_t> same = radius_clusters(host_of(be_), centers, radii);
    std::vector<index_t> first(same.size(), -1), to(answer_.groups.size());
    for (std::size_t g = 0; g < to.size(); ++g) to[g] = static_cast<index_t>(g);
    for (std::size_t i = 0; i < same.size(); ++i) {
      index_t& head = first[at(same[i])];
      if (head < 0) {
        head = which[i];
        continue;
      }
      to[at(which[i])] = head;
      fixed_group& kept = answer_.groups[at(head)];
      const fixed_group& other = answer_.groups[at(which[i])];
      if (answer_.error[at(other.representative)] < answer_.error[at(kept.representative)]) {
        kept.representative = other.representative;
      }
    }
    std::vector<index_t> place(to.size(), -1);
    std::vector<fixed_group> groups;
    for (std::size_t g = 0; g < to.size(); ++g) {
      if (at(to[g]) != g) continue;
      place[g] = static_cast<index_t>(groups.size());
      groups.push_back(std::move(answer_.groups[g]));
    }
    for (index_t& label : answer_.label) label = place[at(to[at(label)])];
    answer_.groups = std::move(groups);
  }

  const B& be_;
  Map& map_;
  const Eigen::MatrixXd& Z_;
  const by_distance& options_;
  fixed_groups answer_;
  std::vector<index_t> heads_;  // of each piece
  std::vector<double> reach_, gap_;
  std::map<index_t, std::optional<Eigen::VectorXd>> points_;  // Newton's, of heads
};

}  // namespace detail
}  // namespace basin
