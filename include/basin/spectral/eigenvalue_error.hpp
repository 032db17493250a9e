/// @file
/// How far computed eigenvalues may be from the true ones.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

#include <Eigen/Core>

#include <basin/spectral/spectrum.hpp>

namespace basin {

/// Estimates of |λ - true λ| for each value of a spectrum: ten times backward error × ‖J‖ ×
/// condition number (Wilkinson 1965), since the rounding of J itself is known to a factor only.
///
/// Where that exceeds ‖J‖ the first order says nothing. There p values that lie together are taken
/// for one of multiplicity p, which a perturbation η moves by about η^(1/p) ‖J‖; a value that
/// stands alone has the error ‖J‖: nothing is known of it.
[[nodiscard]] inline Eigen::VectorXd eigenvalue_errors(const Spectrum& spectrum) {
  const index_t m = spectrum.size();
  Eigen::VectorXd errors(m);
  for (index_t i = 0; i < m; ++i) {
    const double eta = 10 * spectrum.backward_error[i];
    double relative = eta * spectrum.condition[i];
    if (!(relative < 1)) {
      relative = eta == 0 ? 0 : 1;
      for (index_t p = 2; p <= m && relative == 1; ++p) {
        const double reach = std::pow(eta, 1 / static_cast<double>(p));
        index_t near = 0;
        for (index_t l = 0; l < m; ++l) {
          const double apart = std::abs(spectrum.values[l] - spectrum.values[i]);
          if (apart <= 2 * reach * spectrum.norm) ++near;
        }
        if (near == p) relative = std::min(reach, 1.0);
      }
    }
    errors[i] = relative * spectrum.norm;
  }
  return errors;
}

}  // namespace basin
