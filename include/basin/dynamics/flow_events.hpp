/// @file
/// Whether a state has met an event, and where within a step it did.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/flow_status.hpp>
#include <basin/dynamics/interpolant.hpp>

namespace basin::detail {

/// An event of one column: what it is and of which attractor or face.
struct flow_event {
  flow_status reason = flow_status::running;
  index_t which = -1;  ///< attractor; or i for the lower face of entry i, k + i for the upper
};

/// The events of a run, in the memory of its backend.
template <class Scalar>
struct event_rules {
  index_t k;
  double residual;
  double location;
  const Scalar* attractors;  ///< k × attractor_count
  const Scalar* radii;       ///< attractor_count
  index_t attractor_count;
  const Scalar* lower;  ///< k, or null
  const Scalar* upper;

  [[nodiscard]] BASIN_HOST_DEVICE double distance(const Scalar* z, index_t attractor) const {
    const Scalar* const a = attractors + attractor * k;
    return std::sqrt(static_cast<double>(
        lane_sum<Scalar>(k, [&](index_t i) { return (z[i] - a[i]) * (z[i] - a[i]); })));
  }

  /// The event that a state has met. Of several, arrival comes before capture and capture
  /// before a face; the first attractor and the lowest face count.
  [[nodiscard]] BASIN_HOST_DEVICE flow_event met(const Scalar* z, double residual_norm) const {
    if (residual_norm <= residual) return {flow_status::arrived, -1};
    for (index_t c = 0; c < attractor_count; ++c) {
      if (distance(z, c) <= static_cast<double>(radii[c])) return {flow_status::captured, c};
    }
    if (lower != nullptr) {
      for (index_t i = 0; i < k; ++i) {
        if (z[i] < lower[i]) return {flow_status::left_box, i};
      }
    }
    if (upper != nullptr) {
      for (index_t i = 0; i < k; ++i) {
        if (z[i] > upper[i]) return {flow_status::left_box, k + i};
      }
    }
    return {};
  }

  /// Whether the end of the step lies within the tolerance behind the event.
  [[nodiscard]] BASIN_HOST_DEVICE bool is_located(const flow_event& event,
                                                  const interpolant<Scalar>& step,
                                                  double residual_norm) const {
    switch (event.reason) {
      case flow_status::arrived:
        return residual_norm >= (1 - location) * residual;
      case flow_status::captured:
        return distance(step.z1, event.which) >=
               (1 - location) * static_cast<double>(radii[event.which]);
      case flow_status::left_box:
        return excess(event, step, static_cast<double>(entry(step.z1, event))) <= location;
      default:
        return true;
    }
  }

  /// The share of the step after which the event is met, a little behind it.
  [[nodiscard]] BASIN_HOST_DEVICE double share(const flow_event& event,
                                               const interpolant<Scalar>& step,
                                               double residual_before, double residual_norm) const {
    const double aim = location / 2;
    if (event.reason == flow_status::arrived) {
      // Near an attractor the residual falls exponentially.
      const double target = (1 - aim) * residual;
      if (!(residual_norm > 0) || !(target > 0)) return 0.5;
      return std::log(target / residual_before) / std::log(residual_norm / residual_before);
    }
    const bool captured = event.reason == flow_status::captured;
    const auto beyond = [&](double t) {
      const auto w = value_weights<Scalar>(step.kind, t);
      if (!captured) {
        const index_t i = event.which % k;
        return excess(event, step, static_cast<double>(step.entry(w, i))) - aim;
      }
      const double radius = (1 - aim) * static_cast<double>(radii[event.which]);
      const Scalar* const a = attractors + event.which * k;
      const auto square = lane_sum<Scalar>(k, [&](index_t i) {
        const Scalar difference = step.entry(w, i) - a[i];
        return difference * difference;
      });
      return radius - std::sqrt(static_cast<double>(square));
    };
    double outside = 0;
    double inside = 1;
    for (int i = 0; i < 40; ++i) {
      const double middle = (outside + inside) / 2;
      (beyond(middle) >= 0 ? inside : outside) = middle;
    }
    return inside;
  }

 private:
  [[nodiscard]] BASIN_HOST_DEVICE Scalar entry(const Scalar* z, const flow_event& event) const {
    return z[event.which % k];
  }
  /// How far behind its face an entry is, relative to the distance from the beginning of the
  /// step to the face, or to the face's own size where the step begins at the face.
  [[nodiscard]] BASIN_HOST_DEVICE double excess(const flow_event& event,
                                                const interpolant<Scalar>& step, double x) const {
    const bool low = event.which < k;
    const index_t i = event.which % k;
    const double face = static_cast<double>(low ? lower[i] : upper[i]);
    const double scale = std::fmax(std::fabs(face - static_cast<double>(entry(step.z0, event))),
                                   std::fmax(std::fabs(face), 1.0) * rounding);
    return (low ? face - x : x - face) / scale;
  }
  static constexpr double rounding =
      16.0 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
};

}  // namespace basin::detail
