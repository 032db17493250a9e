/// @file
/// Jacobian-vector products by differences, for maps that have none of their own.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <basin/map/concept.hpp>
#include <basin/map/workspace.hpp>

namespace basin {

/// Settings of `finite_difference`.
struct difference_options {
  /// Length of the step in z, relative to max(1, ‖z‖). 0: the cube root of the
  /// scalar's epsilon, 6e-6 in double, where rounding and truncation balance.
  double step = 0;
};

/// f, with a jvp by central differences: (f(z + h v) - f(z - h v)) / 2h, h scaled per
/// column so that h ‖v‖ is the step. Error O(step²) plus rounding / step: about ten
/// digits in double and five in float, for a map of moderate curvature.
///
/// Cost of a jvp: two evaluations.
template <class F>
class FiniteDifference {
 public:
  static constexpr bool batch_coupled = is_batch_coupled<F>;

  FiniteDifference(F f, difference_options options) : f_(std::move(f)), options_(options) {
    require(options.step >= 0 && options.step < 1, "finite_difference",
            "step is " + std::to_string(options.step) + ", must be in [0, 1)");
  }

  [[nodiscard]] index_t dimension() const { return basin::dimension(f_); }
  [[nodiscard]] index_t output_dimension() const { return basin::output_dimension(f_); }

  template <class B>
    requires latent_map<F, B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) {
    evaluate(be, f_, Z, out);
  }

  template <class B>
    requires latent_map<F, B>
  void jvp(const B& be, const typename B::const_view& Z, const typename B::const_view& V,
           typename B::view JV) {
    using scalar = typename B::scalar;
    const auto k = static_cast<index_t>(Z.rows());
    const auto n = static_cast<index_t>(Z.cols());
    const std::vector<scalar> state = squared_norms(be, Z);
    const std::vector<scalar> direction = squared_norms(be, V);
    std::vector<scalar> h(state.size());
    std::vector<scalar> inverse(state.size());
    const double step =
        options_.step > 0 ? options_.step
                          : std::cbrt(static_cast<double>(std::numeric_limits<scalar>::epsilon()));
    for (std::size_t j = 0; j < h.size(); ++j) {
      if (direction[j] == 0) continue;  // J 0 = 0
      const double norm = std::sqrt(static_cast<double>(state[j]));
      h[j] = static_cast<scalar>(step * std::max(1.0, norm) /
                                 std::sqrt(static_cast<double>(direction[j])));
      inverse[j] = scalar(0.5) / h[j];
    }
    typename B::view ahead = kept_.get(be, 0, k, n);
    typename B::view behind = kept_.get(be, 1, k, n);
    typename B::view difference = kept_.get(be, 2, static_cast<index_t>(JV.rows()), n);
    copy(be, V, ahead);
    scale(be, h, ahead);
    copy(be, Z, behind);
    axpby(be, -1, ahead, 1, behind);
    axpby(be, 1, Z, 1, ahead);
    evaluate(be, f_, ahead, JV);
    evaluate(be, f_, behind, difference);
    axpby(be, -1, difference, 1, JV);
    scale(be, inverse, JV);
  }

 private:
  template <class B>
  static std::vector<typename B::scalar> squared_norms(const B& be,
                                                       const typename B::const_view& X) {
    using scalar = typename B::scalar;
    auto norms = be.template make_buffer<scalar>(static_cast<index_t>(X.cols()));
    std::vector<scalar> host(static_cast<std::size_t>(X.cols()));
    column_squared_norms(be, X, norms);
    download_array(be, array_view<const scalar>(norms), array_view<scalar>(host));
    return host;
  }
  template <class B>
  static void scale(const B& be, const std::vector<typename B::scalar>& by, typename B::view X) {
    using scalar = typename B::scalar;
    auto factors = be.template make_buffer<scalar>(static_cast<index_t>(by.size()));
    upload_array(be, array_view<const scalar>(by), array_view<scalar>(factors));
    scale_columns(be, array_view<const scalar>(factors), X);
  }

  F f_;
  difference_options options_;
  Workspace kept_;
};

/// f with Jacobian-vector products by central differences.
/// @throws argument_error unless the step is in [0, 1)
template <class F>
[[nodiscard]] FiniteDifference<std::decay_t<F>> finite_difference(
    F&& f, const difference_options& options = {}) {
  return {std::forward<F>(f), options};
}

}  // namespace basin
