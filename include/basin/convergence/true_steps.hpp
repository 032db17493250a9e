/// @file
/// A few steps of the map itself from new starts, as predictors take them.
#pragma once

#include <numeric>
#include <vector>

#include <Eigen/Core>

#include <basin/convergence/predictor.hpp>

namespace basin {

namespace detail {

/// The states after some true steps, and what was met on the way.
template <class B, class Map>
struct true_steps {
  Eigen::MatrixXd Z;           ///< k × n, as the backend's scalar holds them
  Eigen::MatrixXd R;           ///< f(z) - z there, where asked for, or at the state that ended
  std::vector<index_t> taken;  ///< steps of each
  std::vector<bool> ended;     ///< whether the rule was met, at `taken`
  std::vector<bool> finite;    ///< whether the start and all residuals were
  index_t evaluations = 0;

  /// @param residual whether f is evaluated at the last state too
  true_steps(const B& be, Map& map, const prediction_task& task,
             const Eigen::Ref<const Eigen::MatrixXd>& points, index_t steps, bool residual)
      : Z(rounded_to<B>(points)),
        R(Eigen::MatrixXd::Zero(points.rows(), points.cols())),
        taken(static_cast<std::size_t>(points.cols()), 0),
        ended(static_cast<std::size_t>(points.cols()), false),
        finite(static_cast<std::size_t>(points.cols()), true) {
    for (index_t j = 0; j < Z.cols(); ++j) {
      finite[static_cast<std::size_t>(j)] = all_finite(Z.data() + j * Z.rows(), Z.rows());
    }
    std::vector<index_t> active(static_cast<std::size_t>(points.cols()));
    std::iota(active.begin(), active.end(), index_t{0});
    const index_t evaluations_each = steps + (residual ? 1 : 0);
    for (index_t t = 0; t < evaluations_each && !active.empty(); ++t) {
      Eigen::MatrixXd here(Z.rows(), static_cast<index_t>(active.size()));
      for (std::size_t i = 0; i < active.size(); ++i) {
        here.col(static_cast<index_t>(i)) = Z.col(active[i]);
      }
      const Eigen::MatrixXd F = values_at(be, map, here);
      evaluations += here.cols();
      std::size_t left = 0;
      for (std::size_t i = 0; i < active.size(); ++i) {
        const index_t j = active[i];
        const auto at = static_cast<std::size_t>(j);
        R.col(j) = F.col(static_cast<index_t>(i)) - Z.col(j);
        const double norm = R.col(j).norm();
        ended[at] = norm <= task.tolerance(Z.col(j));
        if (!is_finite(norm)) finite[at] = false;
        if (ended[at] || !is_finite(norm) || t == steps) continue;
        Z.col(j) = F.col(static_cast<index_t>(i));
        ++taken[at];
        active[left++] = j;
      }
      active.resize(left);
    }
  }
};

}  // namespace detail

}  // namespace basin
