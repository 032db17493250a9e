/// @file
/// Predictors by a formula of the distance to an attractor, from its Jacobian alone.
///
/// Each takes the start for one in the basin of the centre that is nearest to it, or to its state
/// after some true steps; with e₀ = z₀ - z* and the tolerance τ of the residual ‖f(z) - z‖:
///
///   paper_formula          log(τ / ‖e₀‖) / log max|λ|
///   sufficient_iterations  least t with σ^t ‖e₀‖ <= τ / (1 + σ), σ = ‖J‖₂ < 1
///   asymptotic_iterations  least t with |1 - λ₁| |λ₁|^t ‖e₀‖ <= τ
///   non_normal             least t with ‖J^t‖₂ ‖(J - I) e₀‖ <= τ
///
/// More than the rule's `max_iterations` is `unfinished`.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>
#include <Eigen/SVD>

#include <basin/convergence/predictor.hpp>
#include <basin/convergence/true_steps.hpp>

namespace basin {

namespace detail {

/// A state for formulas: `formula(c, e, start)` gives a prediction from e = z₀ - z*.
template <class B, class Map, class Formula>
class FormulaState {
 public:
  FormulaState(const B& be, Map& map, const prediction_task& task, index_t steps, Formula formula,
               index_t preparation)
      : be_(be),
        map_(map),
        task_(task),
        steps_(steps),
        formula_(std::move(formula)),
        preparation_(preparation) {}

  /// Predictions for starts whose attractors are not known.
  [[nodiscard]] Predictions predict(const Eigen::Ref<const Eigen::MatrixXd>& points) {
    const true_steps<B, Map> run(be_, map_, task_, points, steps_, false);
    Predictions said = predict(points, nearest_attractor(task_.known, run.Z));
    said.evaluations = run.evaluations;
    for (index_t j = 0; j < said.size(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      if (!run.finite[at]) said[j] = prediction::none(not_applicable::non_finite);
      if (!run.ended[at]) continue;
      said[j] = task_.predicted(static_cast<double>(run.taken[at]), said[j].attractor);
    }
    return said;
  }
  /// The formula alone, for starts whose attractors are told.
  /// @param attractors a column of the centres each, or -1
  [[nodiscard]] Predictions predict(const Eigen::Ref<const Eigen::MatrixXd>& points,
                                    const std::vector<index_t>& attractors) const {
    require_size("predict", "number of rows of the starts", points.rows(),
                 task_.known.centers.rows());
    require_size("predict", "number of attractors", static_cast<index_t>(attractors.size()),
                 points.cols());
    Predictions said(points.cols());
    for (index_t j = 0; j < points.cols(); ++j) {
      const index_t c = attractors[static_cast<std::size_t>(j)];
      if (!is_finite(points.col(j).squaredNorm())) {
        said[j] = prediction::none(not_applicable::non_finite);
      } else if (c < 0) {
        said[j] = prediction::none(not_applicable::no_attractor);
      } else {
        const Eigen::VectorXd e = points.col(j) - task_.known.centers.col(c);
        said[j] = formula_(c, e);
      }
    }
    return said;
  }
  [[nodiscard]] index_t preparation() const noexcept { return preparation_; }

 private:
  B be_;
  Map& map_;
  prediction_task task_;
  index_t steps_;
  Formula formula_;
  index_t preparation_;
};

/// Least whole t with q^t amplitude <= tolerance, for q in [0, 1).
[[nodiscard]] inline double geometric_count(double amplitude, double q, double tolerance) {
  if (amplitude <= tolerance) return 0;
  if (q == 0) return 1;
  if (tolerance <= 0) return std::numeric_limits<double>::infinity();
  return std::ceil(std::log(tolerance / amplitude) / std::log(q) * (1 - 1e-14));
}

}  // namespace detail

/// The paper's formula as it stands there (Fumero et al. 2025, Proposition 3.2):
/// log(ε / ‖e₀‖) / log max|λ|, with the rule's tolerance for ε. It takes the tolerance of a step
/// for one of an error, ignores curvature on the way and the direction of e₀, and is printed as a
/// lower bound, which it is not. Kept to reproduce the paper's Figure 11.
///
/// Not applicable where max|λ| >= 1. Cost: `steps` evaluations a start.
struct paper_formula {
  /// True steps after which the nearest centre is taken for the attractor; e₀ is that of the start.
  index_t steps = 0;

  [[nodiscard]] std::string name() const { return "paper_formula"; }
  void check() const {
    require(steps >= 0, "paper_formula",
            "steps is " + std::to_string(steps) + ", must not be negative");
  }

  struct formula {
    prediction_task task;
    [[nodiscard]] prediction operator()(index_t c, const Eigen::VectorXd& e) const {
      const double q = task.known.radius(c);
      if (!(q < 1)) return prediction::none(not_applicable::not_attracting, c);
      const double tolerance = task.tolerance_at(c);
      if (e.norm() <= tolerance) return task.predicted(0, c);
      if (q == 0) return task.predicted(1, c);
      return task.predicted(std::log(tolerance / e.norm()) / std::log(q), c);
    }
  };
  template <class B, class Map>
  class state : public detail::FormulaState<B, Map, formula> {
   public:
    state(const paper_formula& p, const B& be, Map& map, const prediction_task& task)
        : detail::FormulaState<B, Map, formula>(be, map, task, p.steps, formula{task}, 0) {}
  };
};

/// A count that suffices, as the proof of Proposition 3.2 has it (Banach): where ‖J‖₂ <= σ < 1 all
/// along the way, ‖e_t‖ <= σ^t ‖e₀‖, and the residual is at most (1 + σ) ‖e_t‖. σ is taken at the
/// attractor, so it is a bound only where the norm is nowhere larger.
///
/// Not applicable where σ >= 1. Cost: k products an attractor, `steps` evaluations a start.
struct sufficient_iterations {
  index_t steps = 0;  ///< as of `paper_formula`

  [[nodiscard]] std::string name() const { return "sufficient_iterations"; }
  void check() const {
    require(steps >= 0, "sufficient_iterations",
            "steps is " + std::to_string(steps) + ", must not be negative");
  }

  struct formula {
    prediction_task task;
    Eigen::VectorXd norms;
    [[nodiscard]] prediction operator()(index_t c, const Eigen::VectorXd& e) const {
      const double s = norms[c];
      if (!(s < 1)) return prediction::none(not_applicable::not_contracting, c);
      return task.predicted(detail::geometric_count(e.norm(), s, task.tolerance_at(c) / (1 + s)),
                            c);
    }
  };
  template <class B, class Map>
  class state : public detail::FormulaState<B, Map, formula> {
   public:
    state(const sufficient_iterations& p, const B& be, Map& map, const prediction_task& task)
        : detail::FormulaState<B, Map, formula>(
              be, map, task, p.steps, formula{task, norms_at(be, map, task.known.centers)},
              task.known.centers.size()) {}

   private:
    static Eigen::VectorXd norms_at(const B& be, Map& map, const Eigen::MatrixXd& centers) {
      Eigen::VectorXd norms(centers.cols());
      for_each_jacobian(be, map, centers, [&](index_t c, const Eigen::MatrixXd& J) {
        norms[c] = J.allFinite() ? Eigen::JacobiSVD<Eigen::MatrixXd>(J).singularValues()[0]
                                 : std::numeric_limits<double>::quiet_NaN();
      });
      return norms;
    }
  };
};

/// The count of the leading eigenvalue: ‖r_t‖ ≈ |1 - λ₁| |λ₁|^t ‖e₀‖, a step and no error, for an
/// e₀ along its eigenvector. What is left of other directions, and all curvature, is ignored.
///
/// Not applicable where |λ₁| >= 1. Cost: `steps` evaluations a start.
struct asymptotic_iterations {
  index_t steps = 0;  ///< as of `paper_formula`

  [[nodiscard]] std::string name() const { return "asymptotic_iterations"; }
  void check() const {
    require(steps >= 0, "asymptotic_iterations",
            "steps is " + std::to_string(steps) + ", must not be negative");
  }

  struct formula {
    prediction_task task;
    [[nodiscard]] prediction operator()(index_t c, const Eigen::VectorXd& e) const {
      const double q = task.known.radius(c);
      if (!(q < 1)) return prediction::none(not_applicable::not_attracting, c);
      const Eigen::VectorXcd& values = task.known.spectra[static_cast<std::size_t>(c)].values;
      index_t first = 0;
      values.cwiseAbs().maxCoeff(&first);
      return task.predicted(detail::geometric_count(std::abs(1.0 - values[first]) * e.norm(), q,
                                                    task.tolerance_at(c)),
                            c);
    }
  };
  template <class B, class Map>
  class state : public detail::FormulaState<B, Map, formula> {
   public:
    state(const asymptotic_iterations& p, const B& be, Map& map, const prediction_task& task)
        : detail::FormulaState<B, Map, formula>(be, map, task, p.steps, formula{task}, 0) {}
  };
};

/// The count of the norms of powers: ‖r_t‖ <= ‖J^t‖₂ ‖r₀‖ for the linear map, whatever the
/// direction (Trefethen and Embree 2005): with growth before decay where J is not normal, and a
/// bound where the map is linear. Norms are computed at t up to 32 and then at every eighth part
/// more, and between them log ‖J^t‖ is taken for linear.
///
/// Not applicable where the spectral radius is >= 1. Dense: k² numbers an attractor. Cost: k
/// products and about 70 norms an attractor, `steps` evaluations a start.
struct non_normal {
  index_t steps = 0;  ///< as of `paper_formula`

  [[nodiscard]] std::string name() const { return "non_normal"; }
  void check() const {
    require(steps >= 0, "non_normal",
            "steps is " + std::to_string(steps) + ", must not be negative");
  }

  struct formula {
    prediction_task task;
    std::vector<Eigen::MatrixXd> J;
    std::vector<index_t> times;         ///< of the norms
    std::vector<Eigen::VectorXd> logs;  ///< log ‖J^t‖ at these, for each centre

    formula(prediction_task given, std::vector<Eigen::MatrixXd> jacobians)
        : task(std::move(given)), J(std::move(jacobians)) {
      // Beyond, numbers of iterations are no counts that anyone waits for.
      const index_t most = std::min(task.rule.max_iterations, index_t{1} << 40);
      for (index_t t = 0; t <= most; t += std::max<index_t>(1, t / 8)) {
        times.push_back(t);
      }
      if (times.back() < most) times.push_back(most);
      for (const Eigen::MatrixXd& one : J) logs.push_back(norms_of_powers(one));
    }
    [[nodiscard]] prediction operator()(index_t c, const Eigen::VectorXd& e) const {
      const auto at = static_cast<std::size_t>(c);
      if (!(task.known.radius(c) < 1) || !J[at].allFinite()) {
        return prediction::none(not_applicable::not_attracting, c);
      }
      const double amplitude = (J[at] * e - e).norm();
      const double tolerance = task.tolerance_at(c);
      if (amplitude <= tolerance) return task.predicted(0, c);
      const double needed = std::log(tolerance / amplitude);
      const Eigen::VectorXd& log = logs[at];
      for (std::size_t i = 1; i < times.size(); ++i) {
        const auto l = static_cast<index_t>(i);
        if (log[l] > needed) continue;
        const auto before = static_cast<double>(times[i - 1]);
        const auto after = static_cast<double>(times[i]);
        if (times[i] - times[i - 1] == 1 || std::isinf(log[l])) return task.predicted(after, c);
        const double share = (log[l - 1] - needed) / (log[l - 1] - log[l]);
        return task.predicted(std::ceil(before + share * (after - before)), c);
      }
      return prediction::none(not_applicable::unfinished, c);
    }

   private:
    [[nodiscard]] Eigen::VectorXd norms_of_powers(const Eigen::MatrixXd& one) const {
      Eigen::VectorXd log = Eigen::VectorXd::Constant(static_cast<index_t>(times.size()),
                                                      -std::numeric_limits<double>::infinity());
      if (!one.allFinite()) return log;
      Eigen::MatrixXd power = Eigen::MatrixXd::Identity(one.rows(), one.cols());
      for (std::size_t i = 0; i < times.size(); ++i) {
        if (i > 0) power = power_of(one, times[i] - times[i - 1]) * power;
        const double norm = Eigen::JacobiSVD<Eigen::MatrixXd>(power).singularValues()[0];
        if (!(norm > 1e-280) || norm > 1e280) break;
        log[static_cast<index_t>(i)] = std::log(norm);
      }
      return log;
    }
    [[nodiscard]] static Eigen::MatrixXd power_of(Eigen::MatrixXd square, index_t t) {
      Eigen::MatrixXd result = Eigen::MatrixXd::Identity(square.rows(), square.cols());
      for (; t > 0; t /= 2) {
        if (t % 2 == 1) result = square * result;
        if (t > 1) square = (square * square).eval();
      }
      return result;
    }
  };
  template <class B, class Map>
  class state : public detail::FormulaState<B, Map, formula> {
   public:
    state(const non_normal& p, const B& be, Map& map, const prediction_task& task)
        : detail::FormulaState<B, Map, formula>(
              be, map, task, p.steps, formula(task, jacobian(be, map, task.known.centers)),
              task.known.centers.size()) {}
  };
};

}  // namespace basin
