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

/// A fixed point that Newton's method has found, and how far it may be from the true one.
struct newton_point {
  Eigen::VectorXd z;
  double error = 0;
};

/// The fixed point that Newton's method finds from z; none where it does not converge, or there
/// is no derivative in double. Its error is what one more step would make of rounding, and of the
/// residual that is left: where I - J is nearly singular that is much, and at most √ε (1 + ‖z‖).
template <backend B, class Map>
[[nodiscard]] std::optional<newton_point> polished_point(const B& be, Map& map,
                                                         const Eigen::VectorXd& z,
                                                         const newton_options& options,
                                                         index_t& evaluations) {
  if constexpr (std::is_same_v<B, cpu<double>> && has_jvp<Map, B>) {
    const auto found = polish(be, map, Eigen::MatrixXd(z), options);
    evaluations += found.work.evaluations + found.iterations[0] * z.size();
    if (found.status[0] != status::converged) return std::nullopt;
    newton_point point{.z = found.states.col(0)};
    constexpr double epsilon = std::numeric_limits<double>::epsilon();
    Eigen::MatrixXd rounding(z.size(), 1);
    fill_on_sphere(be, random_stream{.seed = 0, .stream = 1}, columns(be, rounding, 0, 1));
    NewtonColumn<double, Map> newton(be, map, z.size());
    const Eigen::VectorXd residual = newton.residual(point.z);
    const Eigen::VectorXd further =
        newton.step(point.z, residual + 256 * epsilon * point.z.norm() * rounding.col(0));
    evaluations += 1 + z.size();
    const double most = std::sqrt(epsilon) * (1 + point.z.norm());
    point.error = further.allFinite()
                      ? std::min(most, 4 * further.norm() + 64 * epsilon * point.z.norm())
                      : most;
    return point;
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
      describe(pieces, n);
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

  // How far the end j is from a fixed point beyond what their errors allow.
  [[nodiscard]] double beyond(index_t j, const newton_point& c) const {
    return (Z_.col(j) - c.z).norm() - radius(j) - rounding_floor(Z_.col(j)) - c.error;
  }

  [[nodiscard]] Eigen::MatrixXd places(const std::vector<newton_point>& points) const {
    Eigen::MatrixXd X(Z_.rows(), static_cast<index_t>(points.size()));
    for (std::size_t i = 0; i < points.size(); ++i) X.col(static_cast<index_t>(i)) = points[i].z;
    return X;
  }
  [[nodiscard]] static std::vector<double> errors(const std::vector<newton_point>& points) {
    std::vector<double> all;
    for (const newton_point& point : points) all.push_back(point.error);
    return all;
  }

  // Adds the points where a sample of some ends comes to rest; gives how many are new.
  index_t ask(const std::vector<index_t>& ends, std::vector<newton_point>& found) {
    constexpr std::size_t most = 256;
    std::vector<index_t> sample;
    const std::size_t asked = std::min(most, ends.size());
    for (std::size_t i = 0; i < asked; ++i) sample.push_back(ends[i * ends.size() / asked]);
    const Eigen::MatrixXd rest =
        come_to_rest(be_, map_, Z_(Eigen::all, sample), answer_.evaluations);
    const std::vector<double> error = errors_after(be_, map_, rest, 0, answer_.evaluations);
    index_t fresh = 0;
    for (std::size_t i = 0; i < asked; ++i) {
      const Eigen::VectorXd z = rest.col(static_cast<index_t>(i));
      const double reach =
          rounding_floor(z) + (is_finite(error[i]) ? options_.safety * error[i] : 0.0);
      const auto near = [&](const newton_point& c) { return (z - c.z).norm() <= reach + c.error; };
      if (std::any_of(found.begin(), found.end(), near)) continue;
      auto point = polished_point(be_, map_, z, options_.newton, answer_.evaluations);
      if (!point || !near(*point)) continue;
      const auto known = [&](const newton_point& c) {
        return (point->z - c.z).norm() <= point->error + c.error;
      };
      if (std::any_of(found.begin(), found.end(), known)) continue;
      found.push_back(std::move(*point));
      ++fresh;
    }
    return fresh;
  }

  // Whether points lie on a continuum, as most of some of them do with their nearest one: then
  // there is always one more.
  [[nodiscard]] bool is_dense(const std::vector<newton_point>& found) {
    constexpr std::size_t enough = 8, looked_at = 16;
    if (!options_.continua || found.size() < enough) return false;
    const Eigen::MatrixXd X = places(found);
    std::vector<std::pair<index_t, index_t>> pairs;
    for (std::size_t i = 0; i < looked_at; ++i) {
      const auto j = static_cast<index_t>(i * found.size() / looked_at);
      Eigen::VectorXd distance = (X.colwise() - X.col(j)).colwise().squaredNorm();
      distance[j] = std::numeric_limits<double>::infinity();
      index_t nearest = 0;
      distance.minCoeff(&nearest);
      pairs.emplace_back(j, nearest);
    }
    const std::vector<char> yes =
        connected(be_, map_, X, pairs, options_.marginal_band, answer_.evaluations);
    return std::count(yes.begin(), yes.end(), 1) > static_cast<index_t>(looked_at / 2);
  }

  // Single linkage chains: one end whose error is large may link those of two attractors, or all of
  // a continuum, or those of an attractor with one that rests at a saddle. Ends of a piece that are
  // farther from its fixed point than their own error allows, or all where there is none that
  // attracts, are asked where they come to rest, a sample of them at a time, until all have come to
  // a point that is known; then each belongs to where it comes to. Gives the new number of pieces.
  index_t split(const std::vector<index_t>& members, std::vector<index_t>& pieces, index_t n) {
    if (members.size() < 2) return n;
    const index_t before = pieces[at(members[0])];
    const auto center = newton(before);
    std::vector<newton_point> found;
    std::vector<index_t> others;
    const bool attracts = center && !repels(center->z);
    if (attracts) {
      found.push_back(*center);
      for (const index_t j : members) {
        if (beyond(j, *center) > 0) others.push_back(j);
      }
    } else {
      others = members;
    }
    if (others.empty()) return n;
    std::vector<index_t> where(members.size(), -1);
    for (std::vector<index_t> open = others; !open.empty();) {
      if (ask(open, found) == 0) break;
      const bool dense = is_dense(found);
      where = arrivals(be_, map_, Z_(Eigen::all, members), places(found), errors(found),
                       answer_.evaluations);
      open.clear();
      for (std::size_t i = 0; i < members.size() && !dense; ++i) {
        if (where[i] < 0) open.push_back(members[i]);
      }
    }
    if (found.size() == (attracts ? 1u : 0u)) return n;
    std::vector<index_t> piece(found.size() + 1, -1), head(found.size() + 1, -1);
    bool kept = false;
    for (std::size_t i = 0; i < members.size(); ++i) {
      const index_t j = members[i];
      const std::size_t c = where[i] < 0 ? found.size() : at(where[i]);
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
    gap_.assign(heads_.size(), 0);
    unite_neighbors(X, std::vector<char>(heads_.size(), 1), most, sets, [&](const auto& pairs) {
      const std::vector<char> yes =
          connected(be_, map_, X, pairs, options_.marginal_band, answer_.evaluations);
      for (std::size_t e = 0; e < pairs.size(); ++e) {
        if (!yes[e]) continue;
        const auto [i, j] = pairs[e];
        const double length = (X.col(i) - X.col(j)).norm();
        gap_[at(i)] = std::max(gap_[at(i)], length);
        gap_[at(j)] = std::max(gap_[at(j)], length);
      }
      return yes;
    });
  }

  // Newton's point from a piece's head, found once.
  [[nodiscard]] const std::optional<newton_point>& newton(index_t piece) {
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
      // One that repels is no other end's than one that rests there.
      const double distance = (center->z - Z_.col(head)).norm();
      group.polished = beyond(head, *center) <= 0 ||
                       (distance <= reach_[at(piece)] + center->error && !repels(center->z));
    }
    group.escaped = !group.polished;
    if (group.polished) take(group, *center);
    return group;
  }
  static void take(fixed_group& group, const newton_point& point) {
    group.polished = true;
    group.escaped = false;
    group.center = point.z;
    group.error = point.error;
  }

  // Ends of which Newton's method led out of their reach: where they come to, perhaps that very
  // point, since a slow direction may have been hidden behind a fast one when errors were measured.
  void take_centers_that_draw(const std::vector<index_t>& group_of) {
    std::vector<index_t> heads;
    std::vector<std::size_t> groups;
    std::vector<newton_point> candidates;
    for (std::size_t p = 0; p < group_of.size(); ++p) {
      const std::size_t g = at(group_of[p]);
      const auto found = points_.find(answer_.groups[g].representative);
      if (answer_.groups[g].continuum || found == points_.end() || !found->second) continue;
      candidates.push_back(*found->second);
      if (!answer_.groups[g].escaped) continue;
      heads.push_back(found->first);
      groups.push_back(g);
    }
    if (heads.empty()) return;
    const std::vector<index_t> where =
        arrivals(be_, map_, Z_(Eigen::all, heads), places(candidates), errors(candidates),
                 answer_.evaluations);
    for (std::size_t i = 0; i < heads.size(); ++i) {
      if (where[i] >= 0) take(answer_.groups[groups[i]], candidates[at(where[i])]);
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
      std::optional<newton_point> one;
      bool same = true;
      double nearest = std::numeric_limits<double>::infinity();
      for (std::size_t i = 0; i < 5 && same; ++i) {
        const index_t piece = parts[i * (parts.size() - 1) / 4];
        const auto& center = newton(piece);
        same = center && (!one || (center->z - one->z).norm() <= center->error + one->error);
        if (!same) break;
        if (!one) one = center;
        nearest = std::min(nearest, (center->z - Z_.col(heads_[at(piece)])).norm());
      }
      if (same && nearest <= std::max(group.error, reach_[at(parts[0])])) {
        group.continuum = false;
        take(group, *one);
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
  std::map<index_t, std::optional<newton_point>> points_;  // Newton's, of heads
};

}  // namespace detail
}  // namespace basin
