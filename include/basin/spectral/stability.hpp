/// @file
/// Stability of fixed points, for the iteration and for the flow side by side.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/map/derivative.hpp>
#include <basin/spectral/eigenvalue_error.hpp>
#include <basin/spectral/eigenvalues.hpp>
#include <basin/spectral/spectrum.hpp>

namespace basin {

/// Kinds of fixed points by their linearisation.
enum class stability_kind : std::uint8_t {
  attractor,  ///< every direction decays
  saddle,     ///< some directions grow, some do not
  repeller,   ///< every direction grows
  marginal,   ///< none grows, but some neither decay: the linearisation does not decide
  undecided,  ///< the eigenvalues are not known well enough
};

/// The name of a kind as in the enumeration.
[[nodiscard]] constexpr std::string_view to_string(stability_kind kind) noexcept {
  switch (kind) {
    case stability_kind::attractor:
      return "attractor";
    case stability_kind::saddle:
      return "saddle";
    case stability_kind::repeller:
      return "repeller";
    case stability_kind::marginal:
      return "marginal";
    case stability_kind::undecided:
      return "undecided";
  }
  return "unknown";
}

/// Settings of `stability`.
struct stability_options {
  /// An eigenvalue is marginal whose |λ|, or Re λ for the flow, differs from 1 by at most this.
  double band = 1e-4;
  /// How eigenvalues are computed; `order` and `right_vectors` are not used, and left vectors,
  /// which tell the errors, are left out for a map without vjp.
  eigenvalue_options eigenvalues = {.left_vectors = true};

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(band >= 0 && band < 1, "stability_options",
            "band is " + std::to_string(band) + ", must be in [0, 1)");
    eigenvalues.check();
  }
};

/// What eigenvalues say for one of the two dynamics.
struct StabilityVerdict {
  stability_kind kind = stability_kind::undecided;
  index_t unstable = 0;   ///< eigenvalues beyond the band, that is growing directions
  index_t marginal = 0;   ///< within the band, errors included, of those that are known
  index_t undecided = 0;  ///< whose errors reach over an edge of the band, of those that are known
  /// max |λ| for the iteration, max Re λ for the flow.
  double leading = std::numeric_limits<double>::quiet_NaN();
  double error = std::numeric_limits<double>::quiet_NaN();  ///< of the leading, estimated
};

/// The stability of one fixed point.
struct Stability {
  StabilityVerdict map;   ///< of z -> f(z): all |λ| < 1?
  StabilityVerdict flow;  ///< of dz/dt = f(z) - z: all Re λ < 1?
  Spectrum by_modulus;    ///< what the first is from
  Spectrum by_real_part;  ///< what the second is from; the same values where J was dense
};

/// The verdict from leading eigenvalues.
/// @param spectrum in the order of `order`
/// @param k dimension of the state, so that it is known whether these are all
/// @param order modulus: for the iteration; real_part: for the flow
/// @param band see stability_options
/// `undecided` where the spectrum has not converged, and where all that are given are unstable
/// but not all are given.
[[nodiscard]] inline StabilityVerdict judge_stability(const Spectrum& spectrum, index_t k,
                                                      eigenvalue_order order, double band = 1e-4) {
  StabilityVerdict verdict;
  const index_t m = spectrum.size();
  if (m == 0) return verdict;
  const Eigen::VectorXd errors = eigenvalue_errors(spectrum);
  index_t stable = 0;
  for (index_t i = 0; i < m; ++i) {
    const std::complex<double> value = spectrum.values[i];
    const double size = order == eigenvalue_order::modulus ? std::abs(value) : value.real();
    if (i == 0 || size > verdict.leading) {
      verdict.leading = size;
      verdict.error = errors[i];
    }
    const double apart = size - 1;
    if (apart + errors[i] < -band) {
      ++stable;
    } else if (apart - errors[i] > band) {
      ++verdict.unstable;
    } else if (std::abs(apart) + errors[i] <= band) {
      ++verdict.marginal;
    } else {
      ++verdict.undecided;
    }
  }
  const bool known = spectrum.status == spectral_status::converged ||
                     spectrum.status == spectral_status::ill_conditioned;
  if (!known) return verdict;
  // Those that are not given are no larger than any that is.
  const index_t others = k - m;
  if (verdict.unstable > 0) {
    if (verdict.unstable == k) {
      verdict.kind = stability_kind::repeller;
    } else if (stable + verdict.marginal > 0) {
      verdict.kind = stability_kind::saddle;
    }
  } else if (verdict.undecided == 0 && (stable > 0 || verdict.marginal > 0 || others == 0)) {
    verdict.kind = verdict.marginal > 0 ? stability_kind::marginal : stability_kind::attractor;
  }
  return verdict;
}

/// The stability of the fixed points in the columns of `points`, by the leading eigenvalues of J_f,
/// for z -> f(z) and for dz/dt = f(z) - z.
///
/// An eigenvalue counts as stable, marginal or unstable only if it is so with its estimated error
/// (`eigenvalue_errors`); one whose error reaches over an edge of the band counts as undecided, and
/// so may the point. A Krylov space may miss a leading value; one that the transpose's space shows
/// counts (see `eigenvalues`), one that both miss, or that a map without vjp cannot show, does not:
/// where a verdict must not err, use the dense method. That f(z) = z is not tested. A point on a
/// continuum of fixed points is marginal: every non-zero fixed point of a homogeneous network,
/// where J z = z, and every point of an orthogonal projection.
///
/// @param map with jvp; with vjp condition numbers are known where the method is not dense
/// @param points k × n in host memory
/// @return one for each point, `undecided` where J is not finite
/// @throws size_error unless the map takes and gives k rows; argument_error if a setting is out of
///   its range
/// Cost: that of `eigenvalues`, twice where the method is not dense, and again with twice as many
/// values for points with that many unstable directions.
///
/// @code
/// #include <iostream>
///
/// #include <basin/map/differentiable.hpp>
/// #include <basin/spectral/stability.hpp>
///
/// int main() {
///   // Beyond r = 3 the iteration flips away from its fixed point; the flow does not.
///   for (const double r : {2.5, 3.5}) {
///     auto logistic = basin::differentiable<1>(
///         [r](const auto& z, auto& f) { f[0] = r * z[0] * (1.0 - z[0]); });
///     const basin::cpu<double> cpu;
///     const auto found =
///         basin::stability(cpu, logistic, Eigen::MatrixXd::Constant(1, 1, 1 - 1 / r))[0];
///     std::cout << r << ": iteration " << to_string(found.map.kind) << ", flow "
///               << to_string(found.flow.kind) << '\n';
///   }
/// }
/// @endcode
template <basin::backend B, class Map>
  requires has_jvp<Map, B>
[[nodiscard]] std::vector<Stability> stability(const B& be, Map& map,
                                               const Eigen::Ref<const Eigen::MatrixXd>& points,
                                               const stability_options& options = {}) {
  options.check();
  const index_t k = points.rows();
  const index_t n = points.cols();
  std::vector<Stability> found(static_cast<std::size_t>(n));
  eigenvalue_options settings = options.eigenvalues;
  settings.right_vectors = false;
  const bool dense = settings.is_dense(k);
  settings.left_vectors = settings.left_vectors && has_vjp<Map, B> && !dense;
  if (dense) settings = {.count = std::max<index_t>(k, 1), .method = eigenvalue_method::dense};

  const auto judge = [&](eigenvalue_order order, auto take) {
    eigenvalue_options here = settings;
    here.order = order;
    std::vector<index_t> left(static_cast<std::size_t>(n));
    for (index_t j = 0; j < n; ++j) left[static_cast<std::size_t>(j)] = j;
    for (bool first = true; first || !left.empty(); first = false) {
      Eigen::MatrixXd at(k, static_cast<index_t>(left.size()));
      for (std::size_t i = 0; i < left.size(); ++i) {
        at.col(static_cast<index_t>(i)) = points.col(left[i]);
      }
      std::vector<Spectrum> spectra = eigenvalues(be, map, at, here);
      std::vector<index_t> more;
      for (std::size_t i = 0; i < left.size(); ++i) {
        const auto verdict = judge_stability(spectra[i], k, order, options.band);
        const index_t m = spectra[i].size();
        // None of them is known to be stable: there may be more that are not. Asked for all k,
        // there is no more to ask for.
        if (m < k && here.count < k && verdict.unstable > 0 &&
            verdict.unstable + verdict.undecided == m) {
          more.push_back(left[i]);
        }
        take(found[static_cast<std::size_t>(left[i])], verdict, std::move(spectra[i]));
      }
      left = std::move(more);
      here.count = std::min(2 * here.count, k);
      here.dimension = here.dimension > 0 ? std::max(here.dimension, here.count + 3) : 0;
    }
  };
  judge(eigenvalue_order::modulus, [](Stability& s, const StabilityVerdict& v, Spectrum&& from) {
    s.map = v;
    s.by_modulus = std::move(from);
  });
  if (dense) {
    for (Stability& s : found) {
      s.by_real_part = s.by_modulus;
      s.flow = judge_stability(s.by_modulus, k, eigenvalue_order::real_part, options.band);
    }
  } else {
    judge(eigenvalue_order::real_part,
          [](Stability& s, const StabilityVerdict& v, Spectrum&& from) {
            s.flow = v;
            s.by_real_part = std::move(from);
          });
  }
  return found;
}

}  // namespace basin
