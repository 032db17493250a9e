/// @file
/// Frobenius norm, trace and asymmetry of Jacobians from random probes, with standard errors.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/dynamics/estimate.hpp>
#include <basin/dynamics/sign_probes.hpp>

namespace basin {

/// Settings of `norm_estimates`.
struct norm_estimate_options {
  index_t probes = 32;        ///< random vectors of signs a point, at least 2
  random_stream random = {};  ///< of the probes

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(probes >= 2, "norm_estimate_options",
            "probes is " + std::to_string(probes) + ", must be at least 2");
  }
};

/// What probes say of J at each of n points. Where J is not finite nothing was used, and the value
/// is NaN.
struct NormEstimates {
  std::vector<estimate> frobenius;  ///< ‖J‖_F
  std::vector<estimate> trace;
  /// ‖J - Jᵀ‖_F / ‖J‖_F, as of `jacobian_asymmetry`; NaN where J = 0, or the map has no vjp.
  std::vector<estimate> asymmetry;
};

/// ‖J‖_F, tr J and ‖J - Jᵀ‖_F / ‖J‖_F of J = J_f at the columns of `points`, by E‖J w‖² = ‖J‖²_F
/// and E wᵀJ w = tr J for random signs w (Girard 1989, Hutchinson 1990). Errors are standard errors
/// over probes.
///
/// With p probes the relative error of ‖J‖_F is at most about 1 / √(2 p), and less where many
/// singular values count. That of the trace is √(2 / p) times the norm of the symmetric part off
/// its diagonal: exact, error 0, for a diagonal J.
///
/// @param map with jvp; with vjp both sides are used
/// @param points k × n in host memory
/// @throws size_error unless the map takes and gives k rows; argument_error if a setting is out
///   of its range
/// Cost: `probes` jvps and vjps a point, all points together.
///
/// @code
/// #include <iostream>
///
/// #include <basin/map/affine.hpp>
/// #include <basin/spectral/norm_estimates.hpp>
///
/// int main() {
///   const Eigen::MatrixXd W = Eigen::MatrixXd::Random(300, 300);
///   auto map = basin::affine(W);
///   const basin::cpu<double> cpu;
///   const auto found = basin::norm_estimates(cpu, map, Eigen::MatrixXd::Zero(300, 1));
///   const basin::estimate& norm = found.frobenius[0];
///   std::cout << "norm " << norm.value << " +- " << norm.error << ", is " << W.norm()
///             << "; trace " << found.trace[0].value << " +- " << found.trace[0].error << ", is "
///             << W.trace() << '\n';
/// }
/// @endcode
template <basin::backend B, class Map>
  requires latent_map<Map, B> && has_jvp<Map, B>
[[nodiscard]] NormEstimates norm_estimates(const B& be, Map& map,
                                           const Eigen::Ref<const Eigen::MatrixXd>& points,
                                           const norm_estimate_options& options = {}) {
  options.check();
  const index_t k = points.rows();
  const index_t n = points.cols();
  require_dimension("norm_estimates", map, k);
  if (const index_t given = output_dimension(map); given >= 0) {
    require_size("norm_estimates", "number of rows that the map gives", given, k);
  }
  const index_t probes = options.probes;
  // Point by point, a column for each probe: ‖J w‖², wᵀJ w, ‖(J - Jᵀ) w‖².
  std::vector<Eigen::Matrix3Xd> terms(static_cast<std::size_t>(n), Eigen::Matrix3Xd(3, probes));
  index_t p = 0;
  detail::for_each_sign_probe(
      be, map, points.template cast<typename B::scalar>().eval(), probes, options.random,
      [&](const Eigen::MatrixXd& W, const Eigen::MatrixXd& JW, const Eigen::MatrixXd& JtW) {
        for (index_t j = 0; j < n; ++j) {
          auto term = terms[static_cast<std::size_t>(j)].col(p);
          term[0] = JW.col(j).squaredNorm();
          term[1] = W.col(j).dot(JW.col(j));
          term[2] = std::numeric_limits<double>::quiet_NaN();
          if (JtW.cols() == 0) continue;
          term[0] = (term[0] + JtW.col(j).squaredNorm()) / 2;
          term[2] = (JW.col(j) - JtW.col(j)).squaredNorm();
        }
        ++p;
      });
  NormEstimates found;
  for (const Eigen::Matrix3Xd& term : terms) {
    estimate norm = mean_estimate(term.row(0).transpose());
    norm.value = std::sqrt(norm.value);
    norm.error = norm.value > 0 ? norm.error / (2 * norm.value) : norm.error;
    found.frobenius.push_back(norm);
    found.trace.push_back(mean_estimate(term.row(1).transpose()));
    found.asymmetry.push_back(jackknife_estimate(
        term, [](const Eigen::VectorXd& sum) { return std::sqrt(sum[2] / sum[0]); }));
  }
  return found;
}

}  // namespace basin
