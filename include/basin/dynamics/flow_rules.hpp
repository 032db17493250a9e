/// @file
/// The events of a flow in the memory of its backend.
#pragma once

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/dynamics/flow_events.hpp>
#include <basin/dynamics/flow_stopping.hpp>

namespace basin::detail {

/// What `flow_stopping` says, for states of k entries on backend B.
template <class B>
class FlowRules {
 public:
  using scalar = typename B::scalar;

  FlowRules(const B& be, index_t k, const flow_stopping& stopping)
      : k_(k),
        stopping_(stopping),
        attractors_(be.make_matrix(k, stopping.attractors.cols())),
        radii_(be.template make_buffer<scalar>(stopping.attractors.cols())),
        lower_(bound(be, stopping.lower)),
        upper_(bound(be, stopping.upper)) {
    const index_t count = stopping.attractors.cols();
    if (count == 0) return;
    const Eigen::MatrixX<scalar> centers = stopping.attractors.template cast<scalar>();
    upload(be, centers, columns(be, attractors_, 0, count));
    const Eigen::VectorX<scalar> radii = spread(stopping.radii, count);
    upload_array(be, array_view<const scalar>(radii), array_view<scalar>(radii_));
  }

  [[nodiscard]] const flow_stopping& stopping() const noexcept { return stopping_; }

  /// As a functor sees them.
  [[nodiscard]] event_rules<scalar> events() const {
    return {k_,
            stopping_.residual,
            stopping_.location,
            raw_address(attractors_.data()),
            raw_address(radii_.data()),
            static_cast<index_t>(stopping_.attractors.cols()),
            stopping_.lower.size() > 0 ? raw_address(lower_.data()) : nullptr,
            stopping_.upper.size() > 0 ? raw_address(upper_.data()) : nullptr};
  }

 private:
  /// One value for all, or one for each.
  [[nodiscard]] static Eigen::VectorX<scalar> spread(const Eigen::VectorXd& values, index_t count) {
    if (values.size() != 1) return values.template cast<scalar>();
    return Eigen::VectorX<scalar>::Constant(count, static_cast<scalar>(values[0]));
  }
  [[nodiscard]] typename B::template buffer<scalar> bound(const B& be,
                                                          const Eigen::VectorXd& values) const {
    auto buffer = be.template make_buffer<scalar>(values.size() > 0 ? k_ : 0);
    if (values.size() > 0) {
      const Eigen::VectorX<scalar> all = spread(values, k_);
      upload_array(be, array_view<const scalar>(all), array_view<scalar>(buffer));
    }
    return buffer;
  }

  index_t k_;
  flow_stopping stopping_;
  typename B::matrix attractors_;
  typename B::template buffer<scalar> radii_;
  typename B::template buffer<scalar> lower_, upper_;
};

}  // namespace basin::detail
