/// @file
/// A few true steps, then the rate of the attractor that is nearest.
#pragma once

#include <string>

#include <basin/convergence/predictor.hpp>
#include <basin/convergence/predictors/formulas.hpp>
#include <basin/convergence/true_steps.hpp>

namespace basin {

/// After m true steps the residual is measured and taken to shrink by |λ₁| of the nearest centre
/// each further step: m + least t with |λ₁|^t ‖r_m‖ <= τ.
///
/// Assumes that after m steps the start is where its attractor's leading eigenvalue governs. Not
/// applicable where |λ₁| >= 1, and beyond the rule's `max_iterations`. Cost: m + 1 evaluations a
/// start, fewer where the rule is met before.
struct observed {
  index_t steps = 8;  ///< m, at least 0

  [[nodiscard]] std::string name() const { return "observed(" + std::to_string(steps) + ")"; }
  void check() const {
    require(steps >= 0, "observed", "steps is " + std::to_string(steps) + ", must not be negative");
  }

  template <class B, class Map>
  class state {
   public:
    state(const observed& p, const B& be, Map& map, const prediction_task& task)
        : be_(be), map_(map), task_(task), steps_(p.steps) {}

    [[nodiscard]] Predictions predict(const Eigen::Ref<const Eigen::MatrixXd>& points) {
      const detail::true_steps<B, Map> run(be_, map_, task_, points, steps_, true);
      const std::vector<index_t> nearest = nearest_attractor(task_.known, run.Z);
      Predictions said(points.cols());
      said.evaluations = run.evaluations;
      for (index_t j = 0; j < said.size(); ++j) {
        const auto at = static_cast<std::size_t>(j);
        const index_t c = nearest[at];
        const auto taken = static_cast<double>(run.taken[at]);
        const double norm = run.R.col(j).norm();
        if (c < 0 || !is_finite(norm)) {
          said[j] = prediction::none(c < 0 && task_.known.size() == 0 ? not_applicable::no_attractor
                                                                      : not_applicable::non_finite);
        } else if (run.ended[at]) {
          said[j] = task_.predicted(taken, c);
        } else if (const double q = task_.known.radius(c); q < 1) {
          said[j] =
              task_.predicted(taken + detail::geometric_count(norm, q, task_.tolerance_at(c)), c);
        } else {
          said[j] = prediction::none(not_applicable::not_attracting, c);
        }
      }
      return said;
    }
    [[nodiscard]] index_t preparation() const noexcept { return 0; }

   private:
    B be_;
    Map& map_;
    prediction_task task_;
    index_t steps_;
  };
};

}  // namespace basin
