/// @file
/// Orbits followed by leaps: one evaluation stands for several iterations.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include <basin/convergence/predictor.hpp>

namespace basin {

/// Follows an orbit by true steps and leaps in turn. The steps v_t = f(z_t) - z_t of an orbit on a
/// slow manifold change little from one to the next, so h of them are added up by extrapolation
/// from the last two that were seen; a true step afterwards lets what is transverse decay, which a
/// leap magnifies (projective integration: Gear and Kevrekidis 2003; with the slope of the last
/// two leaps: Lee and Gear 2007). Behind a leap the steps at both of its ends and the one before
/// say what its sum should have been, and the clock is put right by the part along the orbit. As
/// soon as the residual at a state is that of the linear map at the nearest centre, the linear map
/// says the rest.
///
/// Assumes that transverse errors decay within a step or two. A leap is as long as the steps let
/// it: h such that they would change by `turn` of their length. Not applicable: `unfinished` where
/// the clock, or the evaluations, reach the rule's limit; `not_attracting` where |λ₁| >= 1 at the
/// centre that it comes to; `non_finite`. Cost: the true steps and one evaluation a leap, k
/// products an attractor.
struct leap {
  index_t most = 20;  ///< iterations that an evaluation stands for at most; at least 1
  double turn = 0.6;  ///< change of the step over a leap, as a part of it; at least 0
  /// The linear map takes over where its residual differs from ‖f(z) - z‖ by no more than |λ₁|
  /// makes up for in so many iterations. At least 0.
  double linear = 0.5;
  index_t settle = 1;  ///< true steps behind a leap before the next; at least 0
  /// A leap that lands where the step is the expected one up to this part of it needs none. At
  /// least 0.
  double agree = 0.3;
  index_t max_evaluations = 400;  ///< of a start; at least 1

  [[nodiscard]] std::string name() const { return "leap(" + std::to_string(most) + ")"; }
  void check() const {
    require(most >= 1, "leap", "most is " + std::to_string(most) + ", must be at least 1");
    require(turn >= 0, "leap", "turn is " + std::to_string(turn) + ", must not be negative");
    require(linear >= 0, "leap", "linear is " + std::to_string(linear) + ", must not be negative");
    require(settle >= 0, "leap", "settle is " + std::to_string(settle) + ", must not be negative");
    require(agree >= 0, "leap", "agree is " + std::to_string(agree) + ", must not be negative");
    require(max_evaluations >= 1, "leap",
            "max_evaluations is " + std::to_string(max_evaluations) + ", must be at least 1");
  }

  template <class B, class Map>
  class state;
};

template <class B, class Map>
class leap::state {
 public:
  state(const leap& p, const B& be, Map& map, const prediction_task& task)
      : p_(p), be_(be), map_(map), task_(task), ends_(be, map, task.known) {}

  [[nodiscard]] Predictions predict(const Eigen::Ref<const Eigen::MatrixXd>& points) {
    return follow(points,
                  [](index_t, double, const auto&, const auto&) -> std::optional<prediction> {
                    return std::nullopt;
                  });
  }
  /// As `predict`, but shows each state that it evaluates: `visit(j, clock, z, v)` of start j,
  /// after `clock` iterations as it believes at z, where f(z) - z is v. What that returns, if
  /// anything, is the prediction, and the start is not followed on. It is not called at the end of
  /// an orbit.
  template <class Visit>
  [[nodiscard]] Predictions follow(const Eigen::Ref<const Eigen::MatrixXd>& points, Visit&& visit) {
    require_size("predict", "number of rows of the starts", points.rows(),
                 task_.known.centers.rows());
    const index_t n = points.cols();
    Predictions said(n);
    Eigen::MatrixXd Z = detail::rounded_to<B>(points);
    std::vector<orbit> orbits(static_cast<std::size_t>(n));
    std::vector<index_t> active(orbits.size());
    for (std::size_t j = 0; j < active.size(); ++j) active[j] = static_cast<index_t>(j);
    for (index_t e = 1; !active.empty(); ++e) {
      Eigen::MatrixXd here(Z.rows(), static_cast<index_t>(active.size()));
      for (std::size_t i = 0; i < active.size(); ++i) {
        here.col(static_cast<index_t>(i)) = Z.col(active[i]);
      }
      here = detail::rounded_to<B>(here);
      const Eigen::MatrixXd V = detail::values_at(be_, map_, here) - here;
      said.evaluations += here.cols();
      const std::vector<index_t> nearest = nearest_attractor(task_.known, here);
      std::size_t left = 0;
      for (std::size_t i = 0; i < active.size(); ++i) {
        const index_t j = active[i];
        const auto column = static_cast<index_t>(i);
        orbit& o = orbits[static_cast<std::size_t>(j)];
        if (ended(o, here.col(column), V.col(column), nearest[i], said[j])) continue;
        if (e >= p_.max_evaluations || o.clock > clock_limit()) {
          said[j] = prediction::none(not_applicable::unfinished);
          continue;
        }
        const auto known = visit(j, o.clock, here.col(column), V.col(column));
        if (known) {
          said[j] = *known;
          continue;
        }
        Z.col(j) = here.col(column) + advance(o, V.col(column));
        active[left++] = j;
      }
      active.resize(left);
    }
    return said;
  }
  [[nodiscard]] index_t preparation() const noexcept { return ends_.products(); }

 private:
  /// What is remembered of an orbit: settled steps, the last first, with their times.
  struct orbit {
    double clock = 0;                  ///< iterations that it has gone, as it believes
    index_t true_steps = 0;            ///< since the last leap
    Eigen::VectorXd v, before;         ///< settled steps: the last, the one before
    double span = 0, span_before = 0;  ///< from `v` to now; from `before` to `v`
    Eigen::VectorXd sum;               ///< of the last leap, from `v` on
    Eigen::VectorXd expected;          ///< the step where it lands
    index_t length = 0;                ///< iterations of it; 0: none since `v`
  };

  [[nodiscard]] double clock_limit() const {
    return static_cast<double>(task_.rule.max_iterations);
  }

  bool ended(const orbit& o, const Eigen::VectorXd& z, const Eigen::VectorXd& v, index_t c,
             prediction& said) const {
    const double norm = v.norm();
    if (!is_finite(norm) || !is_finite(z.squaredNorm())) {
      said = prediction::none(not_applicable::non_finite);
      return true;
    }
    const bool met = norm <= task_.tolerance(z);
    if (c < 0) {
      if (met) said = prediction::none(not_applicable::no_attractor);
      return met;
    }
    const double q = task_.known.radius(c);
    const double departure = ends_.departure(c, z, v);
    const bool is_linear = departure <= (q < 1 ? 1 - std::pow(q, p_.linear) : 0.1);
    if (!met && !is_linear) return false;
    if (!(q < 1)) {
      said = prediction::none(not_applicable::not_attracting, c);
      // A saddle is left again.
      return met;
    }
    const index_t rest =
        met ? 0 : ends_.remaining(c, v, task_.tolerance_at(c), task_.rule.max_iterations);
    said = rest < 0 ? prediction::none(not_applicable::unfinished, c)
                    : task_.predicted(std::round(o.clock) + static_cast<double>(rest), c);
    return true;
  }

  /// How far to go from here, with the step v here.
  Eigen::VectorXd advance(orbit& o, const Eigen::VectorXd& v) const {
    const bool landed_well =
        o.length > 0 && o.true_steps == 0 && (v - o.expected).norm() <= p_.agree * v.norm();
    const bool settled = o.true_steps >= p_.settle || landed_well;
    if (!settled || o.v.size() == 0) {
      if (settled) {
        o.v = v;
        o.span = 0;
      }
      ++o.true_steps;
      o.span += 1;
      o.clock += 1;
      return v;
    }
    if (o.length > 0) correct(o, v);
    // The step turns at one angle an iteration and grows by one factor, as on an arc.
    const double norm = v.norm();
    const Eigen::VectorXd along = v / norm;
    Eigen::VectorXd across = along * along.dot(o.v) - o.v;
    const double height = across.norm();
    if (height > 0) across /= height;
    const double angle = std::atan2(height, along.dot(o.v)) / o.span;
    const double growth = std::log(norm / o.v.norm()) / o.span;
    const double change = std::hypot(angle, growth);
    const double wanted = change > 0 ? p_.turn / change : static_cast<double>(p_.most);
    const auto h =
        static_cast<index_t>(std::clamp(std::floor(wanted), 1.0, static_cast<double>(p_.most)));
    const auto steps = static_cast<double>(h);
    double forward = 0, aside = 0;
    for (index_t i = 0; i < h; ++i) {
      const auto t = static_cast<double>(i);
      const double length = norm * std::exp(growth * t);
      forward += length * std::cos(angle * t);
      aside += length * std::sin(angle * t);
    }
    o.before = o.v;
    o.span_before = o.span;
    o.v = v;
    o.span = steps;
    o.length = h > 1 ? h : 0;
    o.sum = forward * along + aside * across;
    o.expected = norm * std::exp(growth * steps) *
                 (std::cos(angle * steps) * along + std::sin(angle * steps) * across);
    o.clock += steps;
    o.true_steps = h > 1 ? 0 : o.true_steps + 1;
    return o.sum;
  }

  /// Puts the clock right by the steps through `before`, `v` and the one here.
  void correct(orbit& o, const Eigen::VectorXd& here) const {
    const auto steps = static_cast<double>(o.length);
    Eigen::VectorXd sum = steps * o.v + (here - o.v) * (steps * (steps - 1) / 2 / o.span);
    if (o.before.size() > 0 && o.span_before > 0) {
      const double s = -o.span_before;
      const Eigen::VectorXd bend =
          (o.before - o.v - (here - o.v) * (s / o.span)) / (s * (s - o.span));
      const double squares = (steps - 1) * steps * (2 * steps - 1) / 6;
      sum += bend * (squares - o.span * steps * (steps - 1) / 2);
    }
    const double late = (o.sum - sum).dot(here) / here.squaredNorm();
    const double shift = std::clamp(late, -steps / 2, steps / 2);
    o.clock += shift;
  }

  leap p_;
  B be_;
  Map& map_;
  prediction_task task_;
  detail::LinearMaps<> ends_;
};

}  // namespace basin
