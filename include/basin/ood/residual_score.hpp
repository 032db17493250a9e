/// @file
/// How foreign samples are by how far one step moves them.
#pragma once

#include <concepts>
#include <limits>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/backend/cpu/columns.hpp>
#include <basin/backend/device.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>
#include <basin/map/concept.hpp>
#include <basin/map/values_at.hpp>

namespace basin {

namespace detail {

/// ‖f(z) - z‖₂ on the host.
template <class B>
struct StepNorms {
  template <class Map, class Derived>
  [[nodiscard]] static Eigen::VectorXd of(const B& be, Map& map,
                                          const Eigen::MatrixBase<Derived>& samples) {
    const Eigen::MatrixXd Z = rounded_to<B>(samples.template cast<double>());
    const Eigen::MatrixXd F = values_at(be, map, Z);
    Eigen::VectorXd norms(Z.cols());
    for (index_t j = 0; j < Z.cols(); ++j) {
      const Eigen::VectorXd step = F.col(j) - Z.col(j);
      const double norm = step.stableNorm();  // which may overlook a NaN beside zeros
      const bool finite = is_finite(norm) && all_finite(step.data(), step.size());
      norms[j] = finite ? norm : std::numeric_limits<double>::quiet_NaN();
    }
    return norms;
  }
};
/// To be had from ood/cuda/residual_score.hpp.
template <std::floating_point Scalar>
struct StepNorms<cuda<Scalar>>;

}  // namespace detail

/// ‖f(z) - z‖₂ of each sample: the norm of the latent vector field, small where the map was trained
/// to stay. With the reconstruction map of an autoencoder and images in place of codes it is the
/// reconstruction error.
/// @param samples k × N in host memory; with a device, a view of its memory too
/// @return N; the higher, the more foreign; NaN where f(z) is not finite
/// @throws size_error unless the map has k rows
/// Cost: one evaluation a sample. A program with a device includes ood/cuda/residual_score.hpp, and
/// a number a sample comes to the host.
///
/// @code
/// #include <iostream>
///
/// #include <basin/backend/cpu.hpp>
/// #include <basin/map/function_map.hpp>
/// #include <basin/ood/residual_score.hpp>
///
/// int main() {
///   auto map = basin::function_map(2, [](const auto& Z) { return (2 * Z.array()).tanh(); });
///   const Eigen::MatrixXd samples = 3 * Eigen::MatrixXd::Random(2, 5);
///   std::cout << basin::residual_score(basin::cpu<double>(), map, samples).transpose() << '\n';
/// }
/// @endcode
template <backend B, class Map, class Samples>
[[nodiscard]] Eigen::VectorXd residual_score(const B& be, Map& map, const Samples& samples) {
  require_dimension("residual_score", map, samples.rows());
  return detail::StepNorms<B>::of(be, map, samples);
}

/// The same as what a `Detector` scores with: it is fitted on nothing, and knows the map's
/// dimension.
class ResidualScorer {
 public:
  /// @throws argument_error unless the dimension is positive
  explicit ResidualScorer(index_t dimension) : dimension_(dimension) {
    require(dimension >= 1, "ResidualScorer", "the dimension must be at least 1");
  }
  [[nodiscard]] index_t dimension() const noexcept { return dimension_; }

  /// @throws as `residual_score`
  template <backend B, class Map, class Samples>
  [[nodiscard]] Eigen::VectorXd score(const B& be, Map& map, const Samples& samples) const {
    return residual_score(be, map, samples);
  }

 private:
  index_t dimension_;
};

}  // namespace basin
