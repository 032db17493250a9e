/// @file
/// Memorisation and Chamfer distances of points that are in the memory of a device.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/chamfer.hpp>
#include <basin/attractor/cuda/column_sets.hpp>
#include <basin/attractor/cuda/nearest.hpp>
#include <basin/attractor/memorization.hpp>
#include <basin/backend/cuda/columns.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {
namespace detail {

/// Norms that are roundings of the origin are 0.
struct clear_rounding {
  double rounding;
  double* norms;
  BASIN_HOST_DEVICE void operator()(index_t j) const {
    if (norms[j] <= rounding) norms[j] = 0;
  }
};

/// Columns less an origin, as points whose squared distance is twice 1 - cos: see CosinePairs.
struct device_directions {
  DeviceMatrix<double> points;  ///< a row more than the columns
  DeviceBuffer<double> norms;   ///< 0: without a direction
};

/// @param own whether columns without a direction have one of their own
template <std::floating_point Product, class Scalar>
[[nodiscard]] device_directions directions(const cuda<Product>& be,
                                           const device_view<const Scalar>& X,
                                           const DeviceBuffer<double>& origin, double rounding,
                                           bool own) {
  device_directions found{DeviceMatrix<double>(X.rows() + 1, X.cols()), norms_from(be, X, origin)};
  for_each_index(be, X.cols(), clear_rounding{rounding, found.norms.data()});
  for_each_index(be, (X.rows() + 1) * X.cols(),
                 direction_entry<Scalar>{X, origin.data(), found.norms.data(), own, found.points});
  return found;
}

/// `nearest_columns` of CosinePairs.
template <std::floating_point Product, class Left, class Right>
[[nodiscard]] NearestColumns nearest_directions(const cuda<Product>& be,
                                                const device_view<const Left>& left,
                                                const device_view<const Right>& right,
                                                const DeviceBuffer<double>& origin) {
  const std::vector<double> center = on_host_of(be, origin);
  const double rounding =
      16 * std::numeric_limits<double>::epsilon() *
      Eigen::Map<const Eigen::VectorXd>(center.data(), static_cast<index_t>(center.size()))
          .stableNorm();
  device_directions lefts = directions(be, left, origin, rounding, false);
  device_directions rights = directions(be, right, origin, rounding, true);
  const DeviceNearestReferences<double, Product> search(be, std::move(rights.points));
  const Neighbours nearest = search.nearest(be, lefts.points, 1);
  const std::vector<double> norms = on_host_of(be, lefts.norms);
  NearestColumns found{std::vector<index_t>(norms.size(), 0),
                       Eigen::VectorXd::Ones(static_cast<index_t>(norms.size()))};
  for (std::size_t i = 0; i < norms.size(); ++i) {
    const auto column = static_cast<index_t>(i);
    if (norms[i] == 0) continue;  // all are at right angles to it
    found.index[i] = nearest.index(0, column);
    const double distance = nearest.distance(0, column);
    found.value[column] = distance * distance / 2;
  }
  return found;
}

template <std::floating_point Product, class First, class Second>
[[nodiscard]] double directed_chamfer_on_device(const cuda<Product>& be,
                                                const device_view<const First>& from,
                                                const device_view<const Second>& to,
                                                point_metric metric) {
  if (metric == point_metric::cosine) {
    const auto origin = be.template make_buffer<double>(from.rows());
    return nearest_directions(be, from, to, origin).value.mean();
  }
  const DeviceNearestReferences<Second, Product> search(be, to);
  const Eigen::ArrayXd distance = search.nearest(be, from, 1).distance.row(0).transpose();
  return metric == point_metric::euclidean ? distance.mean() : distance.square().mean();
}

}  // namespace detail

/// `memorization` of points in device memory, float or double each.
/// @throws as there; device_error where memory does not suffice
/// Cost: see `DeviceNearestReferences`; memory on the device for both sides once in double. Two
/// numbers an attractor come to the host, and one an image.
template <std::floating_point Product, class Decoded, class Images>
[[nodiscard]] Memorization memorization(const cuda<Product>& be,
                                        const device_view<Decoded>& decoded,
                                        const device_view<Images>& images,
                                        const memorization_options& options = {}) {
  const device_view<const std::remove_const_t<Decoded>> left = decoded;
  const device_view<const std::remove_const_t<Images>> right = images;
  detail::require_points(be, "memorization", "decoded attractor", left);
  detail::require_points(be, "memorization", "image", right);
  require_size("memorization", "number of rows of the images", images.rows(), decoded.rows());
  const DeviceBuffer<double> origin = options.centered
                                          ? detail::mean_column(be, right)
                                          : be.template make_buffer<double>(images.rows());
  return detail::memorization_of(detail::nearest_directions(be, left, right, origin));
}

/// `chamfer` of points in device memory, float or double each.
/// @throws as there; device_error where memory does not suffice
/// Cost: see `DeviceNearestReferences`. The host gets a number a point. Distances are at least
/// 1e-140, or 0.
template <std::floating_point Product, class First, class Second>
[[nodiscard]] Chamfer chamfer(const cuda<Product>& be, const device_view<First>& A,
                              const device_view<Second>& B, const chamfer_options& options = {}) {
  options.check();
  const device_view<const std::remove_const_t<First>> a = A;
  const device_view<const std::remove_const_t<Second>> b = B;
  detail::require_points(be, "chamfer", "point of the first set", a);
  detail::require_points(be, "chamfer", "point of the second set", b);
  require_size("chamfer", "number of rows of the second set", B.rows(), A.rows());
  return {detail::directed_chamfer_on_device(be, a, b, options.metric),
          detail::directed_chamfer_on_device(be, b, a, options.metric)};
}

}  // namespace basin
