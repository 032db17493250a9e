/// @file
/// Attractors that are known already, with their spectra: what predictors start from.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <concepts>
#include <limits>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/map/concept.hpp>
#include <basin/map/values_at.hpp>
#include <basin/spectral/eigenvalues.hpp>
#include <basin/spectral/jacobian.hpp>
#include <basin/spectral/spectrum.hpp>

namespace basin {

/// Fixed points and the leading eigenvalues of J_f at each. Saddles may be among them: predictors
/// say `not_attracting` of a start that is taken to go to one.
struct known_attractors {
  Eigen::MatrixXd centers;        ///< k × M
  std::vector<Spectrum> spectra;  ///< M of them, or none where no predictor needs them

  [[nodiscard]] index_t size() const noexcept { return centers.cols(); }
  /// The spectral radius at centre c; NaN where it is not known.
  [[nodiscard]] double radius(index_t c) const {
    const auto at = static_cast<std::size_t>(c);
    return at < spectra.size() ? spectra[at].radius() : std::numeric_limits<double>::quiet_NaN();
  }
  /// @throws size_error unless there are as many spectra as centres, or none
  void check() const {
    if (spectra.empty()) return;
    require_size("known_attractors", "number of spectra", static_cast<index_t>(spectra.size()),
                 size());
  }
};

/// Centres with their leading eigenvalues and both eigenvectors of each.
/// @param centers k × M, fixed points of the map, best polished by Newton in double
/// @param count eigenvalues of each
/// @throws size_error unless the map takes and gives k rows
/// Cost: that of `eigenvalues`.
template <basin::backend B, class Map>
  requires has_jvp<Map, B>
[[nodiscard]] known_attractors with_spectra(const B& be, Map& map,
                                            const Eigen::Ref<const Eigen::MatrixXd>& centers,
                                            index_t count = 6) {
  known_attractors known{centers, {}};
  known.spectra =
      eigenvalues(be, map, centers,
                  eigenvalue_options{.count = count, .right_vectors = true, .left_vectors = true});
  return known;
}

/// The nearest centre of each point, -1 where a point is not finite or there is no centre.
/// @param points k × n
/// @throws size_error unless points and centres have one number of rows
[[nodiscard]] inline std::vector<index_t> nearest_attractor(
    const known_attractors& known, const Eigen::Ref<const Eigen::MatrixXd>& points) {
  require_size("nearest_attractor", "number of rows of the points", points.rows(),
               known.centers.rows());
  std::vector<index_t> nearest(static_cast<std::size_t>(points.cols()), -1);
  for (index_t j = 0; j < points.cols(); ++j) {
    if (known.size() == 0 || !is_finite(points.col(j).squaredNorm())) continue;
    (known.centers.colwise() - points.col(j))
        .colwise()
        .squaredNorm()
        .minCoeff(&nearest[static_cast<std::size_t>(j)]);
  }
  return nearest;
}

/// Half of the distance from each centre to the next one; infinite for one centre.
[[nodiscard]] inline Eigen::VectorXd half_separation(const known_attractors& known) {
  Eigen::VectorXd half =
      Eigen::VectorXd::Constant(known.size(), std::numeric_limits<double>::infinity());
  for (index_t a = 0; a < known.size(); ++a) {
    for (index_t b = 0; b < known.size(); ++b) {
      if (a == b) continue;
      half[a] = std::min(half[a], (known.centers.col(a) - known.centers.col(b)).norm() / 2);
    }
  }
  return half;
}

namespace detail {

/// The linear maps at the centres: what is left of an iteration that is near one. J is dense up
/// to k = 256; for larger k it is R Λ Lᴴ of the known eigenvectors, which the slow part obeys.
/// Modes with a vector that was not found (NaN) are left out, as those beyond the spectrum are.
/// @tparam Real double; a template so that a program which does not use it does not compile it
template <std::floating_point Real = double>
class LinearMaps {
 public:
  using matrix = Eigen::MatrixX<Real>;
  using vector = Eigen::VectorX<Real>;
  using complex_matrix = Eigen::MatrixX<std::complex<Real>>;
  using complex_vector = Eigen::VectorX<std::complex<Real>>;

  static constexpr index_t dense_limit = 256;

  template <class B, class Map>
  LinearMaps(const B& be, Map& map, const known_attractors& known) : centers_(known.centers) {
    const index_t k = centers_.rows();
    if (k <= dense_limit) {
      J_ = jacobian(be, map, centers_);
      products_ = k * centers_.cols();
      return;
    }
    require_size("predictor", "number of spectra", static_cast<index_t>(known.spectra.size()),
                 known.size());
    for (const Spectrum& s : known.spectra) {
      require(s.left.cols() == s.size() && s.right.cols() == s.size(), "predictor",
              "for k > 256 the spectra need left and right vectors");
      std::vector<index_t> modes;
      for (index_t i = 0; i < s.size(); ++i) {
        if (!s.left.col(i).hasNaN() && !s.right.col(i).hasNaN()) modes.push_back(i);
      }
      const complex_matrix left = s.left(Eigen::all, modes), right = s.right(Eigen::all, modes);
      const complex_vector overlap = left.conjugate().cwiseProduct(right).colwise().sum();
      const complex_vector values = s.values(modes);
      left_.push_back(left.adjoint());
      right_.push_back(right * values.cwiseQuotient(overlap).asDiagonal());
    }
  }

  [[nodiscard]] index_t products() const noexcept { return products_; }
  [[nodiscard]] const matrix& dense(index_t c) const { return J_[static_cast<std::size_t>(c)]; }
  [[nodiscard]] bool is_dense() const noexcept { return left_.empty(); }

  /// J X at centre c.
  [[nodiscard]] matrix apply(index_t c, const matrix& X) const {
    const auto at = static_cast<std::size_t>(c);
    if (is_dense()) return J_[at] * X;
    return (right_[at] * (left_[at] * X.template cast<std::complex<Real>>())).real();
  }
  /// ‖r - (J - I)(z - z*)‖ / ‖r‖ for the residual r at z: how far from linear the map is there.
  [[nodiscard]] double departure(index_t c, const vector& z, const vector& r) const {
    const matrix e = z - centers_.col(c);
    return (r - (apply(c, e) - e)).norm() / r.norm();
  }
  /// Steps of the linear map at c from residual r to one of at most `tolerance`; -1 if that takes
  /// more than `most`.
  [[nodiscard]] index_t remaining(index_t c, const vector& r, double tolerance,
                                  index_t most) const {
    matrix at = r;
    for (index_t t = 0; t <= most; ++t) {
      const double norm = at.norm();
      if (norm <= tolerance) return t;
      if (!is_finite(norm)) return -1;
      at = apply(c, at);
    }
    return -1;
  }

 private:
  matrix centers_;
  std::vector<matrix> J_;
  std::vector<complex_matrix> left_, right_;
  index_t products_ = 0;
};

}  // namespace detail

}  // namespace basin
