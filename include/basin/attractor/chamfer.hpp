/// @file
/// The Chamfer distance of two sets of points.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>

#include <Eigen/Core>

#include <basin/attractor/column_sets.hpp>
#include <basin/attractor/nearest_columns.hpp>
#include <basin/backend/concept.hpp>
#include <basin/backend/host.hpp>
#include <basin/core/error.hpp>

namespace basin {

/// How far apart two points are.
enum class point_metric : std::uint8_t {
  euclidean,          ///< ‖a - b‖
  squared_euclidean,  ///< ‖a - b‖²
  cosine,             ///< 1 - cos(a, b), not a metric; 1 where one of them is zero
};

/// The name of a metric as in the enumeration.
[[nodiscard]] constexpr std::string_view to_string(point_metric metric) noexcept {
  switch (metric) {
    case point_metric::euclidean:
      return "euclidean";
    case point_metric::squared_euclidean:
      return "squared_euclidean";
    case point_metric::cosine:
      return "cosine";
  }
  return "unknown";
}

/// Settings of `chamfer`.
struct chamfer_options {
  point_metric metric = point_metric::euclidean;

  /// @throws argument_error if there is no such metric
  void check() const {
    require(to_string(metric) != "unknown", "chamfer_options", "there is no such metric");
  }
};

/// Mean distances from the points of each set to the nearest of the other.
struct Chamfer {
  double forward = 0;   ///< over the points of the first, from the second
  double backward = 0;  ///< over the points of the second, from the first

  /// The symmetric distance: the two means weigh alike, however many points each set has.
  [[nodiscard]] double average() const noexcept { return (forward + backward) / 2; }
};

namespace detail {

template <class B, class Left, class Right>
[[nodiscard]] double directed_chamfer(const B& be, const Left& from, const Right& to,
                                      double largest, point_metric metric) {
  if (metric == point_metric::cosine) {
    const CosinePairs<Left, Right> pairs(host_of(be), from, to, Eigen::VectorXd::Zero(from.rows()));
    return nearest_columns(be, pairs).value.mean();
  }
  const EuclideanPairs<Left, Right> pairs(from, to, largest);
  const double scale = pairs.scale();
  const Eigen::ArrayXd squares = 2 * nearest_columns(be, pairs).value.array();
  return metric == point_metric::euclidean ? squares.sqrt().mean() / scale
                                           : squares.mean() / scale / scale;
}

}  // namespace detail

/// The Chamfer distance of the columns of A and B: the mean distance of a point of one from the
/// nearest point of the other, in both directions (Barrow, Tenenbaum, Bolles and Wolf 1977). 0
/// where the sets are equal. The paper (Fumero et al. 2025, Figure 3d) gives a "similarity" without
/// a formula; of the cosine metric 1 - `average()` is one.
///
/// Distances are by differences in double, whatever the backend. A program with a device includes
/// attractor/cuda/nearest.hpp, and the search runs there; of points that are there already see
/// attractor/cuda/sets.hpp.
///
/// @param A k × M in host memory, float or double
/// @param B k × N
/// @throws size_error if a set or a point is empty, or the rows differ; argument_error that names
///   the first column that is not finite or beyond 1e150
/// Cost: 4 k M N flops in float, see `NearestReferences`.
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/chamfer.hpp>
/// #include <basin/backend/cpu.hpp>
///
/// int main() {
///   const Eigen::MatrixXd A = (Eigen::MatrixXd(1, 3) << 0, 1, 5).finished();
///   const Eigen::MatrixXd B = (Eigen::MatrixXd(1, 2) << 0, 2).finished();
///   const auto found = basin::chamfer(basin::cpu<double>(), A, B);
///   std::cout << found.forward << ", " << found.backward << '\n';  // 1.33333, 0.5
/// }
/// @endcode
template <basin::backend Backend, class First, class Second>
[[nodiscard]] Chamfer chamfer(const Backend& be, const Eigen::MatrixBase<First>& A,
                              const Eigen::MatrixBase<Second>& B,
                              const chamfer_options& options = {}) {
  options.check();
  // Expressions are evaluated once.
  const Eigen::Ref<const Eigen::MatrixX<typename First::Scalar>> a = A.derived();
  const Eigen::Ref<const Eigen::MatrixX<typename Second::Scalar>> b = B.derived();
  const auto host = detail::host_of(be);
  const double largest =
      std::max(detail::require_points(host, "chamfer", "point of the first set", a),
               detail::require_points(host, "chamfer", "point of the second set", b));
  require_size("chamfer", "number of rows of the second set", b.rows(), a.rows());
  return {detail::directed_chamfer(be, a, b, largest, options.metric),
          detail::directed_chamfer(be, b, a, largest, options.metric)};
}

}  // namespace basin
