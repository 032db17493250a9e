/// @file
/// How far one step moves samples, on a device.
#pragma once

#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>
#include <utility>

#include <Eigen/Core>

#include <basin/backend/cuda/columns.hpp>
#include <basin/backend/cuda/context.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/map/concept.hpp>
#include <basin/ood/residual_score.hpp>

namespace basin::detail {

/// The largest entry of |f - z|; infinite where one is not finite.
template <class Scalar>
struct largest_step {
  using value = double;
  device_view<const Scalar> Z, F;
  double* norms;
  BASIN_HOST_DEVICE value begin() const { return 0; }
  BASIN_HOST_DEVICE value entry(index_t i, index_t j) const {
    const double d = std::abs(static_cast<double>(F(i, j)) - static_cast<double>(Z(i, j)));
    return is_finite(d) ? d : std::numeric_limits<double>::infinity();
  }
  BASIN_HOST_DEVICE value merge(value a, value b) const { return a > b ? a : b; }
  BASIN_HOST_DEVICE void store(index_t j, value v) const { norms[j] = v; }
};

/// ‖f - z‖ of any size: `norms` holds the largest entry of each column before; NaN where that is
/// infinite.
template <class Scalar>
struct step_norm {
  using value = double;
  device_view<const Scalar> Z, F;
  double* norms;
  BASIN_HOST_DEVICE value begin() const { return 0; }
  BASIN_HOST_DEVICE value entry(index_t i, index_t j) const {
    const double largest = norms[j];
    if (!(largest > 0) || !is_finite(largest)) return 0;
    const double d = (static_cast<double>(F(i, j)) - static_cast<double>(Z(i, j))) / largest;
    return d * d;
  }
  BASIN_HOST_DEVICE value merge(value a, value b) const { return a + b; }
  BASIN_HOST_DEVICE void store(index_t j, value v) const {
    const double norm = is_finite(norms[j]) ? norms[j] * std::sqrt(v) : norms[j];
    norms[j] = is_finite(norm) ? norm : std::numeric_limits<double>::quiet_NaN();
  }
};

template <std::floating_point Scalar>
struct StepNorms<cuda<Scalar>> {
  template <class Map, class T>
  [[nodiscard]] static Eigen::VectorXd of(const cuda<Scalar>& be, Map& map,
                                          const device_view<T>& samples) {
    static_assert(std::is_same_v<std::remove_const_t<T>, Scalar>,
                  "samples in device memory are of the map's scalar");
    const device_view<const Scalar> Z = samples;
    Eigen::VectorXd found(Z.cols());
    if (Z.cols() == 0) return found;
    DeviceMatrix<Scalar> values(Z.rows(), Z.cols());
    DeviceBuffer<double> norms(Z.cols());
    evaluate(be, map, Z, columns(be, values, 0, Z.cols()));
    const device_view<const Scalar> F = std::as_const(values);
    reduce_columns(be, Z.rows(), Z.cols(), largest_step<Scalar>{Z, F, norms.data()});
    reduce_columns(be, Z.rows(), Z.cols(), step_norm<Scalar>{Z, F, norms.data()});
    download_array(be, array_view<const double>(norms), array_view<double>(found));
    return found;
  }
  template <class Map, class Derived>
  [[nodiscard]] static Eigen::VectorXd of(const cuda<Scalar>& be, Map& map,
                                          const Eigen::MatrixBase<Derived>& samples) {
    const Eigen::MatrixX<Scalar> host = samples.template cast<Scalar>();
    DeviceMatrix<Scalar> Z(host.rows(), host.cols());
    upload(be, host, columns(be, Z, 0, host.cols()));
    return of(be, map, device_view<const Scalar>(std::as_const(Z)));
  }
};

}  // namespace basin::detail
