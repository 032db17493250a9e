/// @file
/// Distance of every column to a set of points.
#pragma once

#include <cmath>
#include <limits>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/dynamics/flow_batch.hpp>

namespace basin {

namespace detail {
template <class Scalar>
struct distance_to_points {
  const Scalar* states;
  index_t stride;
  const Scalar* points;
  index_t point_stride;
  index_t k;
  index_t count;
  Scalar* distances;
  index_t* nearest;  ///< null: not wanted
  BASIN_HOST_DEVICE void operator()(index_t j) const {
    const Scalar* const z = states + j * stride;
    Scalar least = std::numeric_limits<Scalar>::infinity();
    index_t which = -1;
    for (index_t s = 0; s < count; ++s) {
      const Scalar* const a = points + s * point_stride;
      const auto square =
          lane_sum<Scalar>(k, [&](index_t i) { return (z[i] - a[i]) * (z[i] - a[i]); });
      if (square < least) {
        least = square;
        which = s;
      }
    }
    distances[j] = which < 0 ? std::numeric_limits<Scalar>::quiet_NaN() : std::sqrt(least);
    if (nearest != nullptr) nearest[j] = which;
  }
};
}  // namespace detail

/// distances[j] = min over s of ‖z_j - points_s‖, and which point it is, the first of equals.
/// NaN and -1 for a state that is not finite, and where there is no point.
/// @param states k × N
/// @param points k × S
/// @param distances N numbers in the backend's memory
/// @param nearest N indices in the backend's memory, or empty
/// @throws size_error if rows or sizes do not agree
/// Cost: 3 k S N flops.
template <basin::backend B>
void distance_to_set(const B& be, const typename B::const_view& states,
                     const typename B::const_view& points, array_view<typename B::scalar> distances,
                     array_view<index_t> nearest = {}) {
  require_size("distance_to_set", "number of rows of the points", points.rows(), states.rows());
  require_size("distance_to_set", "number of distances", distances.size, states.cols());
  if (nearest.size > 0) {
    require_size("distance_to_set", "number of indices", nearest.size, states.cols());
  }
  const auto k = static_cast<index_t>(states.rows());
  const auto count = static_cast<index_t>(points.cols());
  for_each_index(be, static_cast<index_t>(states.cols()),
                 detail::distance_to_points<typename B::scalar>{
                     raw_address(states.data()), static_cast<index_t>(states.outerStride()),
                     raw_address(points.data()), static_cast<index_t>(points.outerStride()), k,
                     count, distances.data, nearest.size > 0 ? nearest.data : nullptr},
                 std::max<index_t>(1, detail::columns_per_task(k) / (count + 1)));
}

}  // namespace basin
