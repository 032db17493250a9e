/// @file
/// Counts interpolated between orbits that were followed before.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Cholesky>
#include <Eigen/Core>

#include <basin/convergence/predictor.hpp>
#include <basin/convergence/predictors/leap.hpp>

namespace basin {

/// Orbits are followed by `leap`; the first `first` of them to their ends. Every state of those is
/// kept with the iterations that it had to go. A later orbit is followed until the kept ones tell
/// the rest: at each state log(rest + 3) is interpolated from the nearest kept states by ordinary
/// kriging (Krige 1951, Matheron 1963; Cressie 1993, section 3.2), which says its own standard
/// error. States are compared by place, by direction of the step and by log of its length, with
/// Matérn's covariance of smoothness 3/2, scaled by how much the neighbours differ. Once the
/// standard error of the count is at most `tolerance` of it the orbit ends there; of counts above
/// the mean of those kept, of the geometric mean of both, since few of them make most of a
/// correlation. Orbits that are followed to their ends are kept as well.
///
/// Assumes that the count depends smoothly on state and step, and what `leap` assumes. A state of
/// it learns: the answer for a start depends on those before it, in blocks of 50, so starts should
/// come in random order, and intervals of a `Calibration` hold as far as what is learnt afterwards
/// changes little. Training starts are not used. Not applicable as of `leap`. Cost: evaluations as
/// of `leap` for the first and fewer for the others; besides, at each state, its distance to all
/// kept ones and neighbors³ / 3 operations, so it serves where an evaluation is dear. Memory:
/// 4k + 4 numbers a kept state.
struct kriging {
  leap orbits = {};
  index_t first = 150;      ///< starts that are followed to their ends; at least 1
  index_t neighbors = 100;  ///< kept states that are interpolated; at least 2
  double tolerance = 0.12;  ///< standard error of a count, as a part of it; at least 0

  [[nodiscard]] std::string name() const { return "kriging(" + std::to_string(first) + ")"; }
  void check() const {
    orbits.check();
    require(first >= 1, "kriging", "first is " + std::to_string(first) + ", must be at least 1");
    require(neighbors >= 2, "kriging",
            "neighbors is " + std::to_string(neighbors) + ", must be at least 2");
    require(tolerance >= 0, "kriging",
            "tolerance is " + std::to_string(tolerance) + ", must not be negative");
  }

  template <class B, class Map>
  class state;
};

namespace detail {

/// A value at a place from those at other places, with its standard error.
struct kriged_value {
  double mean = 0, error = 0;
};

/// Ordinary kriging, with the covariance (1 + √3 d) exp(-√3 d) of places at the distance d and
/// `nugget` of it added at each of the values. The variance is that which makes the values
/// likeliest.
/// @param places dimension × m, m >= 2
/// Cost: m³ / 3.
[[nodiscard]] inline kriged_value ordinary_kriging(const Eigen::MatrixXd& places,
                                                   const Eigen::VectorXd& values,
                                                   const Eigen::VectorXd& at,
                                                   double nugget = 0.05) {
  const auto covariance = [](double distance) {
    const double d = std::sqrt(3.0) * distance;
    return (1 + d) * std::exp(-d);
  };
  const index_t m = places.cols();
  Eigen::MatrixXd K(m, m), right(m, 3);
  for (index_t j = 0; j < m; ++j) {
    K(j, j) = 1 + nugget;
    for (index_t i = j + 1; i < m; ++i) {
      K(i, j) = covariance((places.col(i) - places.col(j)).norm());
    }
    right(j, 0) = covariance((places.col(j) - at).norm());
  }
  right.col(1).setOnes();
  right.col(2) = values;
  const Eigen::LLT<Eigen::MatrixXd, Eigen::Lower> factor(K);
  const Eigen::MatrixXd solved = factor.solve(right);
  const double ones = solved.col(1).sum();
  const double level = solved.col(2).sum() / ones;
  const Eigen::VectorXd differences = values.array() - level;
  kriged_value found;
  found.mean = level + solved.col(0).dot(differences);
  const double variance =
      differences.dot(solved.col(2) - level * solved.col(1)) / static_cast<double>(m - 1);
  const double rest = 1 - solved.col(0).sum();
  const double share = 1 + nugget - solved.col(0).dot(right.col(0)) + rest * rest / ones;
  found.error = std::sqrt(std::max(variance, 0.0) * std::max(share, 0.0));
  return found;
}

}  // namespace detail

template <class B, class Map>
class kriging::state {
 public:
  state(const kriging& p, const B& be, Map& map, const prediction_task& task)
      : p_(p), task_(task), orbits_(p.orbits, be, map, task) {}

  [[nodiscard]] Predictions predict(const Eigen::Ref<const Eigen::MatrixXd>& points) {
    require_size("predict", "number of rows of the starts", points.rows(),
                 task_.known.centers.rows());
    Predictions said(points.cols());
    for (index_t at = 0; at < points.cols();) {
      const index_t whole = followed_ < p_.first ? p_.first - followed_ : block;
      const index_t n = std::min(whole, points.cols() - at);
      predict_block(points.middleCols(at, n), at, said);
      at += n;
    }
    return said;
  }
  [[nodiscard]] index_t preparation() const noexcept { return orbits_.preparation(); }

 private:
  static constexpr index_t block = 50;
  static constexpr double least_rest = 3;  ///< iterations that matter little, whatever the count

  struct visited {
    double clock = 0;
    Eigen::VectorXd z, v;
  };

  void predict_block(const Eigen::Ref<const Eigen::MatrixXd>& points, index_t at_start,
                     Predictions& said) {
    const index_t n = points.cols();
    const bool to_the_end = followed_ < p_.first;
    followed_ += n;
    std::vector<std::vector<visited>> paths(static_cast<std::size_t>(n));
    std::vector<bool> told(paths.size(), false);
    const Predictions found = orbits_.follow(
        points,
        [&](index_t j, double clock, const auto& z, const auto& v) -> std::optional<prediction> {
          const auto at = static_cast<std::size_t>(j);
          paths[at].push_back({clock, z, v});
          // At the first states the step is not settled yet.
          if (to_the_end || paths[at].size() < 3) return std::nullopt;
          const std::optional<prediction> rest = interpolate(paths[at].back());
          told[at] = rest.has_value();
          return rest;
        });
    said.evaluations += found.evaluations;
    for (index_t j = 0; j < n; ++j) {
      const auto at = static_cast<std::size_t>(j);
      said[at_start + j] = found[j];
      if (!told[at] && found[j].iterations) keep(paths[at], found[j]);
    }
    set_places();
  }

  /// The prediction at a state, where its error is small enough.
  [[nodiscard]] std::optional<prediction> interpolate(const visited& here) const {
    const index_t m = std::min(p_.neighbors, static_cast<index_t>(rest_.size()));
    if (m < 2) return std::nullopt;
    Eigen::VectorXd at = place(here);
    at.head(here.z.size()) /= scale_;
    const Eigen::VectorXd squares = (places_.colwise() - at).colwise().squaredNorm();
    std::vector<index_t> nearest(rest_.size());
    std::iota(nearest.begin(), nearest.end(), index_t{0});
    std::partial_sort(nearest.begin(), nearest.begin() + m, nearest.end(),
                      [&](index_t i, index_t j) {
                        return squares[i] < squares[j] || (squares[i] == squares[j] && i < j);
                      });
    Eigen::MatrixXd places(at.size(), m);
    Eigen::VectorXd values(m);
    for (index_t i = 0; i < m; ++i) {
      const index_t from = nearest[static_cast<std::size_t>(i)];
      places.col(i) = places_.col(from);
      values[i] = std::log(rest_[static_cast<std::size_t>(from)] + least_rest);
    }
    const detail::kriged_value found = detail::ordinary_kriging(places, values, at);
    const double rest = std::exp(found.mean);
    const double count = here.clock + std::max(rest - least_rest, 0.0);
    const double mean = total_ / static_cast<double>(orbits_kept_);
    const double allowed = p_.tolerance * std::min(count, std::sqrt(count * mean));
    if (!(found.error * rest <= allowed)) return std::nullopt;
    return task_.predicted(std::round(count), attractor_[static_cast<std::size_t>(nearest[0])]);
  }

  /// A state with its step, as states are compared but for `scale_`.
  [[nodiscard]] static Eigen::VectorXd place(const visited& at) {
    const index_t k = at.z.size();
    const double norm = at.v.norm();
    Eigen::VectorXd p(2 * k + 1);
    p << at.z, at.v / norm, 0.5 * std::log(norm);
    return p;
  }

  void keep(const std::vector<visited>& path, const prediction& end) {
    for (const visited& one : path) {
      kept_.push_back(place(one));
      rest_.push_back(std::max(*end.iterations - one.clock, 0.0));
      attractor_.push_back(end.attractor);
    }
    total_ += *end.iterations;
    ++orbits_kept_;
  }
  /// Half of the spread of the kept states is the unit of their distances.
  void set_places() {
    if (kept_.empty()) return;
    const index_t k = task_.known.centers.rows();
    places_.resize(2 * k + 1, static_cast<index_t>(kept_.size()));
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      places_.col(static_cast<index_t>(i)) = kept_[i];
    }
    const Eigen::VectorXd mean = places_.topRows(k).rowwise().mean();
    const double square = (places_.topRows(k).colwise() - mean).colwise().squaredNorm().mean();
    scale_ = square > 0 ? std::sqrt(square) / 2 : 1;
    places_.topRows(k) /= scale_;
  }

  kriging p_;
  prediction_task task_;
  leap::state<B, Map> orbits_;
  index_t followed_ = 0;               ///< starts that were asked about
  std::vector<Eigen::VectorXd> kept_;  ///< as `place` has them
  Eigen::MatrixXd places_;             ///< the same, scaled
  std::vector<double> rest_;           ///< iterations that each had to go
  std::vector<index_t> attractor_;
  double total_ = 0;  ///< iterations of the orbits kept
  index_t orbits_kept_ = 0;
  double scale_ = 1;
};

}  // namespace basin
