/// @file
/// Trajectory scores on a device: the distances of states from attractors are found there.
#pragma once

#include <concepts>
#include <optional>

#include <Eigen/Core>

#include <basin/attractor/cuda/nearest.hpp>
#include <basin/backend/cuda/context.hpp>
#include <basin/ood/cuda/mean_distance.hpp>
#include <basin/ood/trajectory_score.hpp>

namespace basin::detail {

/// Attractors in device memory. Searches keep their memory, so that iterations allocate none.
template <std::floating_point Product>
class AttractorDistances<cuda<Product>> {
 public:
  AttractorDistances(const cuda<Product>& be, const NearestReferences<double>& attractors,
                     bool mean)
      : be_(be) {
    if (mean) {
      means_.emplace(be, attractors.references());
    } else {
      nearest_.emplace(be, attractors.references());
    }
  }

  [[nodiscard]] AttractorDistance of(const device_view<const Product>& states) {
    if (means_) return {means_->distances(be_, states), {}};
    const Neighbours found = nearest_->nearest(be_, states, 1, {}, scratch_);
    return {found.distance.row(0).transpose(), found.index.row(0).transpose()};
  }

 private:
  cuda<Product> be_;
  std::optional<DeviceNearestReferences<double, Product>> nearest_;
  std::optional<DeviceMeanDistance<Product>> means_;
  NearestScratch<Product> scratch_;
};

}  // namespace basin::detail
