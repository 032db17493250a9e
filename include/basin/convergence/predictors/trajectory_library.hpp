/// @file
/// Counts read off the stored trajectories of other starts.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include <basin/convergence/predictor.hpp>
#include <basin/convergence/true_steps.hpp>

namespace basin {

/// The training starts of the task are followed to their ends, and every state is stored with the
/// steps that it has still to go. A new start takes m true steps; the stored state that is nearest
/// says the rest, and the attractor.
///
/// Assumes that after m steps orbits run together, as on a slow manifold of low dimension; in
/// many dimensions that takes long. Not applicable: `no_attractor` where nothing is stored,
/// `unfinished` where the nearest state is of a start that met no rule, or the sum is beyond the
/// rule's `max_iterations`. Cost: all iterations of the
/// training starts, m evaluations a new start; one distance to each stored state.
struct trajectory_library {
  index_t steps = 6;  ///< m, at least 0

  [[nodiscard]] std::string name() const {
    return "trajectory_library(" + std::to_string(steps) + ")";
  }
  void check() const {
    require(steps >= 0, "trajectory_library",
            "steps is " + std::to_string(steps) + ", must not be negative");
  }

  template <class B, class Map>
  class state {
   public:
    state(const trajectory_library& p, const B& be, Map& map, const prediction_task& task)
        : be_(be), map_(map), task_(task), steps_(p.steps) {
      std::vector<Eigen::MatrixXd> blocks;
      std::vector<index_t> step, start;
      index_t stored = 0;
      const index_t n = task_.training.cols();
      if (n == 0) return;
      Eigen::MatrixXd Z = detail::rounded_to<B>(task_.training);
      std::vector<index_t> active(static_cast<std::size_t>(n));
      for (index_t j = 0; j < n; ++j) active[static_cast<std::size_t>(j)] = j;
      std::vector<index_t> count(active.size(), -1);
      Eigen::MatrixXd ends = Z;
      for (index_t t = 0; t <= task_.rule.max_iterations && !active.empty(); ++t) {
        const Eigen::MatrixXd F = detail::values_at(be_, map_, Z);
        preparation_ += Z.cols();
        blocks.push_back(Z);
        stored += Z.cols();
        index_t left = 0;
        for (index_t i = 0; i < Z.cols(); ++i) {
          const index_t j = active[static_cast<std::size_t>(i)];
          step.push_back(t);
          start.push_back(j);
          const double norm = (F.col(i) - Z.col(i)).norm();
          if (norm <= task_.tolerance(Z.col(i))) {
            count[static_cast<std::size_t>(j)] = t;
            ends.col(j) = F.col(i);
          }
          if (!is_finite(norm) || count[static_cast<std::size_t>(j)] >= 0) continue;
          active[static_cast<std::size_t>(left)] = j;
          Z.col(left++) = F.col(i);
        }
        active.resize(static_cast<std::size_t>(left));
        Z.conservativeResize(Eigen::NoChange, left);
      }
      const std::vector<index_t> ended = nearest_attractor(task_.known, ends);
      states_.resize(task_.known.centers.rows(), stored);
      index_t at = 0;
      for (const Eigen::MatrixXd& block : blocks) {
        states_.middleCols(at, block.cols()) = block;
        at += block.cols();
      }
      for (std::size_t i = 0; i < step.size(); ++i) {
        const auto j = static_cast<std::size_t>(start[i]);
        left_.push_back(count[j] < 0 ? -1 : count[j] - step[i]);
        attractor_.push_back(count[j] < 0 ? -1 : ended[j]);
      }
    }

    [[nodiscard]] Predictions predict(const Eigen::Ref<const Eigen::MatrixXd>& points) {
      const detail::true_steps<B, Map> run(be_, map_, task_, points, steps_, false);
      const std::vector<index_t> own = nearest_attractor(task_.known, run.Z);
      Predictions said(points.cols());
      said.evaluations = run.evaluations;
      for (index_t j = 0; j < said.size(); ++j) {
        const auto at = static_cast<std::size_t>(j);
        const auto taken = static_cast<double>(run.taken[at]);
        if (!run.R.col(j).allFinite() || !run.Z.col(j).allFinite()) {
          said[j] = prediction::none(not_applicable::non_finite);
        } else if (run.ended[at]) {
          said[j] = task_.predicted(taken, own[at]);
        } else if (const index_t i = nearest(run.Z.col(j)); i < 0) {
          said[j] = prediction::none(not_applicable::no_attractor);
        } else if (const auto l = static_cast<std::size_t>(i); left_[l] < 0) {
          said[j] = prediction::none(not_applicable::unfinished);
        } else {
          said[j] = task_.predicted(taken + static_cast<double>(left_[l]), attractor_[l]);
        }
      }
      return said;
    }
    [[nodiscard]] index_t preparation() const noexcept { return preparation_; }

   private:
    [[nodiscard]] index_t nearest(const Eigen::VectorXd& z) const {
      index_t best = -1;
      double least = std::numeric_limits<double>::infinity();
      for (index_t i = 0; i < states_.cols(); ++i) {
        const double square = (states_.col(i) - z).squaredNorm();
        if (square < least) {
          least = square;
          best = i;
        }
      }
      return best;
    }

    B be_;
    Map& map_;
    prediction_task task_;
    index_t steps_;
    index_t preparation_ = 0;
    Eigen::MatrixXd states_;
    std::vector<index_t> left_, attractor_;
  };
};

}  // namespace basin
