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
#include <basin/attractor/linkage.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/map/derivative.hpp>
#include <basin/solver/agreement.hpp>
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

/// A map by its address, so that adaptors that hold theirs by value leave it where it is.
template <class Map>
class MapReference {
 public:
  static constexpr bool batch_coupled = is_batch_coupled<Map>;
  explicit MapReference(Map& map) : map_(&map) {}
  [[nodiscard]] index_t dimension() const { return basin::dimension(*map_); }

  template <class B>
    requires latent_map<Map, B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) {
    evaluate(be, *map_, Z, out);
  }
  template <class B>
    requires has_jvp<Map, B>
  void jvp(const B& be, const typename B::const_view& Z, const typename B::const_view& V,
           typename B::view JV) {
    basin::jvp(be, *map_, Z, V, JV);
  }

 private:
  Map* map_;
};

/// The backend's threads, or where it has none of this machine's a context's own.
template <backend B>
[[nodiscard]] auto host_of(const B& be) {
  if constexpr (std::is_same_v<B, cpu<double>> || std::is_same_v<B, cpu<float>>) {
    return be;
  } else {
    return cpu<double>();
  }
}

/// `expected_errors` of columns in host memory, in blocks, after some further steps, whose length
/// is added: a slow direction may be hidden behind a fast one, or a transient not have passed.
/// Infinite also where the steps grow to four times the first: the column leaves a saddle.
template <backend B, class Map>
[[nodiscard]] std::vector<double> errors_after(const B& be, Map& map, const Eigen::MatrixXd& Z,
                                               int steps, index_t& evaluations) {
  using scalar = typename B::scalar;
  std::vector<double> errors;
  const index_t k = Z.rows();
  const index_t block = std::max<index_t>(1, (index_t{1} << 23) / std::max<index_t>(k, 1));
  for (index_t first = 0; first < Z.cols(); first += block) {
    const index_t n = std::min(block, Z.cols() - first);
    const auto start = Z.middleCols(first, n);
    Eigen::MatrixXd now = start;
    Eigen::VectorXd first_step, longest;
    for (int step = 0; step < steps; ++step) {
      Eigen::MatrixXd next = evaluate_on(be, map, now);
      const Eigen::VectorXd length = (next - now).colwise().norm();
      if (step == 0) first_step = longest = length;
      longest = longest.cwiseMax(length);
      now.swap(next);
    }
    typename B::matrix X = be.make_matrix(k, n);
    const Eigen::MatrixX<scalar> host = now.template cast<scalar>();
    upload(be, host, columns(be, X, 0, n));
    const std::vector<double> here = expected_errors(be, map, X);
    for (index_t j = 0; j < n; ++j) {
      const bool leaves = steps > 0 && longest[j] > 4 * first_step[j];
      errors.push_back(leaves ? std::numeric_limits<double>::infinity()
                              : here[static_cast<std::size_t>(j)] +
                                    (now.col(j) - start.col(j)).norm());
    }
  }
  evaluations += (4 + steps) * Z.cols();
  return errors;
}

/// `expected_errors` of ends; where the steps do not shrink at once, after 32 more.
template <backend B, class Map>
[[nodiscard]] std::vector<double> end_errors(const B& be, Map& map, const Eigen::MatrixXd& Z,
                                             index_t& evaluations) {
  std::vector<double> errors = errors_after(be, map, Z, 0, evaluations);
  std::vector<index_t> open;
  for (std::size_t j = 0; j < errors.size(); ++j) {
    if (!is_finite(errors[j])) open.push_back(static_cast<index_t>(j));
  }
  if (open.empty()) return errors;
  const std::vector<double> later =
      errors_after(be, map, Eigen::MatrixXd(Z(Eigen::all, open)), 32, evaluations);
  for (std::size_t i = 0; i < open.size(); ++i) {
    errors[static_cast<std::size_t>(open[i])] = later[i];
  }
  return errors;
}

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
    join_equal_centers();
    return std::move(answer_);
  }

 private:
  template <class I>
  static std::size_t at(I i) {
    return static_cast<std::size_t>(i);
  }
  // What double leaves of a centre, or of an end whose error is not known.
  [[nodiscard]] static double floor_of(const Eigen::Ref<const Eigen::VectorXd>& z) {
    return std::sqrt(std::numeric_limits<double>::epsilon()) * (1 + z.norm());
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
                                                  radius(j) + floor_of(Z_.col(j)));
    }
  }

  // Whether an end comes nearer to a point as it goes on: Newton's method finds repellers too.
  [[nodiscard]] bool draws_near(index_t j, const Eigen::VectorXd& point) {
    constexpr int steps = 64;
    Eigen::MatrixXd z = Z_.col(j);
    for (int step = 0; step < steps; ++step) z = evaluate_on(be_, map_, z);
    answer_.evaluations += steps;
    const double before = (Z_.col(j) - point).norm();
    return (z.col(0) - point).norm() <= std::max(0.999 * before, floor_of(point));
  }
  // Which of some points each end goes to: the nearest after so many iterations that no other can
  // become it within as many as are left.
  [[nodiscard]] std::vector<index_t> followed(const std::vector<index_t>& ends,
                                              const std::vector<Eigen::VectorXd>& points) {
    constexpr int most = 4096, look = 16;
    Eigen::MatrixXd Z = Z_(Eigen::all, ends);
    std::vector<index_t> nearest(ends.size(), 0);
    std::vector<std::size_t> open(ends.size());
    for (std::size_t i = 0; i < open.size(); ++i) open[i] = i;
    for (int left = most; left > 0 && !open.empty(); left -= look) {
      Eigen::MatrixXd now = Z(Eigen::all, open), step;
      for (int t = 0; t < look; ++t) {
        step = evaluate_on(be_, map_, now) - now;
        now += step;
      }
      answer_.evaluations += look * now.cols();
      std::vector<std::size_t> still;
      for (std::size_t i = 0; i < open.size(); ++i) {
        const auto column = static_cast<index_t>(i);
        Z.col(static_cast<index_t>(open[i])) = now.col(column);
        double first = std::numeric_limits<double>::infinity(), second = first;
        for (std::size_t c = 0; c < points.size(); ++c) {
          const double distance = (now.col(column) - points[c]).norm();
          if (distance < first) {
            second = std::exchange(first, distance);
            nearest[open[i]] = static_cast<index_t>(c);
          } else {
            second = std::min(second, distance);
          }
        }
        if (!(4 * first < second) && step.col(column).norm() * left > (second - first) / 2) {
          still.push_back(open[i]);
        }
      }
      open = std::move(still);
    }
    return nearest;
  }

  // Single linkage chains: one end whose error is large may link those of two attractors, or all of
  // a continuum. Ends of a piece that are farther from its fixed point than their own error allows
  // are asked for theirs, a sample of them, and leave for it. Gives the new number of pieces.
  index_t split(const std::vector<index_t>& members, std::vector<index_t>& pieces, index_t n) {
    if (members.size() < 2) return n;
    const auto& center = newton(pieces[at(members[0])]);
    if (!center) return n;
    const auto beyond = [&](index_t j, const Eigen::VectorXd& c) {
      return (Z_.col(j) - c).norm() - radius(j) - floor_of(Z_.col(j)) - floor_of(c);
    };
    std::vector<index_t> others;
    for (const index_t j : members) {
      if (beyond(j, *center) > 0) others.push_back(j);
    }
    if (others.empty()) return n;
    constexpr std::size_t most = 256;
    const std::size_t asked = std::min(most, others.size());
    std::vector<Eigen::VectorXd> found{*center};
    for (std::size_t i = 0; i < asked; ++i) {
      const index_t j = others[i * others.size() / asked];
      // One that lies in reach of a point that is known needs none of its own.
      if (std::any_of(found.begin(), found.end(),
                      [&](const Eigen::VectorXd& c) { return beyond(j, c) <= 0; })) {
        continue;
      }
      auto point = polished_point(be_, map_, Z_.col(j), options_.newton, answer_.evaluations);
      if (point && beyond(j, *point) <= 0 && draws_near(j, *point)) {
        found.push_back(std::move(*point));
      }
    }
    if (found.size() == 1) return n;
    const std::vector<index_t> nearest = followed(members, found);
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (nearest[i] > 0) pieces[at(members[i])] = n + nearest[i] - 1;
    }
    return n + static_cast<index_t>(found.size()) - 1;
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
                      .error = radius(head) + floor_of(Z_.col(head))};
    if (!can_polish<B, Map> || !options_.polish) return group;
    const auto& center = newton(piece);
    if (center) {
      const double distance = (*center - Z_.col(head)).norm();
      group.polished = distance <= reach_[at(piece)];
      if (!group.polished) {
        // Perhaps a slow direction was hidden behind a fast one when the error was measured.
        const double error =
            errors_after(be_, map_, Eigen::MatrixXd(Z_.col(head)), 256, answer_.evaluations)[0];
        group.polished = distance <= options_.safety * error && is_finite(error);
      }
    }
    group.escaped = !group.polished;
    if (group.polished) {
      group.center = *center;
      group.error = floor_of(*center);
    }
    return group;
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
        same = center && (!one || (*center - *one).norm() <= 2 * floor_of(*one));
        if (!same) break;
        if (!one) one = center;
        nearest = std::min(nearest, (*center - Z_.col(heads_[at(piece)])).norm());
      }
      if (same && nearest <= std::max(group.error, reach_[at(parts[0])])) {
        group.continuum = false;
        group.polished = true;
        group.center = *one;
        group.error = floor_of(*one);
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
