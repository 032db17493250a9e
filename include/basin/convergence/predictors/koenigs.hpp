/// @file
/// A few true steps, then the amplitudes along the dominant eigenvectors.
#pragma once

#include <cmath>
#include <complex>
#include <string>
#include <vector>

#include <basin/convergence/predictor.hpp>
#include <basin/convergence/true_steps.hpp>
#include <basin/solver/newton.hpp>

namespace basin {

/// After m true steps the error e = z_m - z* of the nearest centre is split along the dominant
/// eigenvectors, and m + least t with ‖Σ_j λ_j^t (λ_j - 1) (y_jᴴ e / y_jᴴ x_j) x_j‖ <= τ is
/// predicted. y_jᴴ (f^m(z) - z*) / λ_j^m tends to the function φ of Koenigs (1884) that f
/// linearises, φ(f(z)) = λ φ(z); that of several variables exists for the eigenvalues with
/// |λ_j| > |λ₁|², which are those taken here. Others would be mixed with squares of the first.
///
/// Assumes that f is differentiable around the orbit's end (no kink of a ReLU between z_m and z*)
/// and the dominant eigenvalues semisimple. Not applicable: `defective` where the condition of one
/// exceeds 10⁸, or a vector of one was not found (NaN) or not asked for; `not_attracting` where
/// |λ₁| >= 1; `unfinished` beyond the rule's `max_iterations`. Eigenvalues beyond those of the
/// spectra are taken for small. Cost: m evaluations a start.
struct koenigs {
  index_t steps = 8;  ///< m, at least 0

  [[nodiscard]] std::string name() const { return "koenigs(" + std::to_string(steps) + ")"; }
  void check() const {
    require(steps >= 0, "koenigs", "steps is " + std::to_string(steps) + ", must not be negative");
  }

  template <class B, class Map>
  class state {
   public:
    state(const koenigs& p, const B& be, Map& map, const prediction_task& task)
        : be_(be), map_(map), task_(task), steps_(p.steps) {
      for (const Spectrum& s : task_.known.spectra) modes_.push_back(dominant(s));
    }

    [[nodiscard]] Predictions predict(const Eigen::Ref<const Eigen::MatrixXd>& points) {
      const detail::true_steps<B, Map> run(be_, map_, task_, points, steps_, false);
      const std::vector<index_t> nearest = nearest_attractor(task_.known, run.Z);
      Predictions said(points.cols());
      said.evaluations = run.evaluations;
      for (index_t j = 0; j < said.size(); ++j) {
        const auto at = static_cast<std::size_t>(j);
        const index_t c = nearest[at];
        if (c < 0 || !run.finite[at]) {
          said[j] = prediction::none(task_.known.size() == 0 ? not_applicable::no_attractor
                                                             : not_applicable::non_finite);
        } else if (run.ended[at]) {
          said[j] = task_.predicted(static_cast<double>(run.taken[at]), c);
        } else if (!(task_.known.radius(c) < 1)) {
          said[j] = prediction::none(not_applicable::not_attracting, c);
        } else if (modes_[static_cast<std::size_t>(c)].values.size() == 0) {
          said[j] = prediction::none(not_applicable::defective, c);
        } else {
          const Eigen::VectorXd e = run.Z.col(j) - task_.known.centers.col(c);
          const index_t left = remaining(modes_[static_cast<std::size_t>(c)], e,
                                         task_.tolerance_at(c), task_.rule.max_iterations);
          said[j] = left < 0 ? prediction::none(not_applicable::unfinished, c)
                             : task_.predicted(static_cast<double>(run.taken[at] + left), c);
        }
      }
      return said;
    }
    [[nodiscard]] index_t preparation() const noexcept { return 0; }

   private:
    /// x_j (λ_j - 1) / y_jᴴ x_j and y_jᴴ of the dominant eigenvalues; none where one is defective
    /// or lacks a vector.
    struct modes {
      Eigen::VectorXcd values;
      Eigen::MatrixXcd vectors, amplitudes;
    };

    static modes dominant(const Spectrum& s) {
      modes found;
      if (s.left.cols() != s.size() || s.right.cols() != s.size() || !(s.radius() < 1)) return {};
      std::vector<index_t> which;
      for (index_t i = 0; i < s.size(); ++i) {
        if (std::abs(s.values[i]) > s.radius() * s.radius() ||
            std::abs(s.values[i]) == s.radius()) {
          which.push_back(i);
        }
      }
      const auto m = static_cast<index_t>(which.size());
      found.values.resize(m);
      found.vectors.resize(s.right.rows(), m);
      found.amplitudes.resize(m, s.right.rows());
      for (index_t l = 0; l < m; ++l) {
        const index_t i = which[static_cast<std::size_t>(l)];
        if (!(s.condition[i] < 1e8) || s.left.col(i).hasNaN() || s.right.col(i).hasNaN()) {
          return {};
        }
        found.values[l] = s.values[i];
        found.amplitudes.row(l) = s.left.col(i).adjoint();
        found.vectors.col(l) =
            s.right.col(i) * ((s.values[i] - 1.0) / s.left.col(i).dot(s.right.col(i)));
      }
      return found;
    }
    static index_t remaining(const modes& of, const Eigen::VectorXd& e, double tolerance,
                             index_t most) {
      Eigen::VectorXcd amplitude = of.amplitudes * e.cast<std::complex<double>>();
      for (index_t t = 0; t <= most; ++t) {
        if ((of.vectors * amplitude).norm() <= tolerance) return t;
        amplitude.array() *= of.values.array();
      }
      return -1;
    }

    B be_;
    Map& map_;
    prediction_task task_;
    index_t steps_;
    std::vector<modes> modes_;
  };
};

}  // namespace basin
