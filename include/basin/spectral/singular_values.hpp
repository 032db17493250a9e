/// @file
/// Leading singular values of the Jacobians of a map at many points.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/spectral/column_values.hpp>
#include <basin/spectral/golub_kahan.hpp>
#include <basin/spectral/jacobian_products.hpp>
#include <basin/spectral/krylov_spaces.hpp>

namespace basin {

namespace detail {

/// The singular values of a dense Jacobian.
[[nodiscard]] inline SingularValues dense_singular_values(const Eigen::MatrixXd& J,
                                                          const singular_value_options& options,
                                                          double rounding) {
  SingularValues found;
  found.dense = true;
  found.products = J.cols();
  if (!J.allFinite()) return found;
  const index_t m = std::min({options.count, J.rows(), J.cols()});
  const small_svd svd(J, options.vectors);
  if (!svd.converged) return found;
  found.status = spectral_status::converged;
  found.values = svd.s.head(m);
  // Of the decomposition (Golub and Van Loan 2013, section 8.6) and of the products.
  const double own =
      4 * std::numeric_limits<double>::epsilon() * static_cast<double>(J.rows() + J.cols());
  found.residual = Eigen::VectorXd::Constant(m, svd.s[0] > 0 ? own + rounding : 0.0);
  if (options.vectors) {
    found.left = svd.U.leftCols(m);
    found.right = svd.V.leftCols(m);
  }
  return found;
}

/// The same by products, all points together; those that are done leave the batch.
template <class B, class Map>
void krylov_singular_values(const B& be, JacobianProducts<B, Map>& J,
                            const singular_value_options& options,
                            std::vector<SingularValues>& found) {
  // Points by groups, so that their spaces take at most 128 MiB.
  const index_t k = std::min(J.rows(), J.cols());
  const index_t each = (options.space(k) + 1) * (J.rows() + J.cols());
  const index_t group = std::max<index_t>(1, (index_t{1} << 24) / each);
  for (index_t first = 0; first < J.size(); first += group) {
    const index_t count = std::min(group, J.size() - first);
    using spaces_type = KrylovSpaces<B>;
    using method = GolubKahan<typename spaces_type::basis>;
    spaces_type spaces(be, std::max(J.rows(), J.cols()), options.space(k) + 1, 2 * count);
    std::vector<method> methods;
    methods.reserve(static_cast<std::size_t>(count));
    std::vector<index_t> which;
    for (index_t i = 0; i < count; ++i) {
      which.push_back(first + i);
      methods.emplace_back(
          J.rows(), J.cols(), options, J.rounding,
          [&](index_t rows, index_t columns) { return spaces.make(rows, columns); });
    }
    // They take turns alike, since all have taken as many products.
    run_in_step(spaces, J, which, methods, [](const method& one) { return one.transposed(); });
    on_host(be, count, [&](index_t i) {
      found[static_cast<std::size_t>(first + i)] = methods[static_cast<std::size_t>(i)].result();
    });
  }
}

}  // namespace detail

/// The leading singular values of J_f at the columns of `points`, and their vectors on request.
/// J may be rectangular, as that of an encoder or a decoder.
///
/// Dense: k jvps a point and 50 k³ flops, without vectors 11 k³. Else by Golub and Kahan's method,
/// see `GolubKahan`: a few times `dimension` products with J and Jᵀ a point, all points together,
/// and at most 128 MiB for spaces.
///
/// @param map with jvp, and with vjp where the method is not dense
/// @param points k × n in host memory
/// @return one for each point, each with its own status: `non_finite` where J is not finite
/// @throws size_error unless the map takes k rows; argument_error if a setting is out of its range,
///   or of `golub_kahan` for a map without vjp
///
/// @code
/// #include <iostream>
///
/// #include <basin/map/activation.hpp>
/// #include <basin/map/affine.hpp>
/// #include <basin/map/compose.hpp>
/// #include <basin/spectral/singular_values.hpp>
///
/// int main() {
///   const Eigen::MatrixXd W = Eigen::MatrixXd::Random(200, 200) / 10;
///   auto map = basin::compose(basin::activation(basin::tanh_function{}), basin::affine(W));
///   const Eigen::MatrixXd points = Eigen::MatrixXd::Random(200, 3);
///   const basin::cpu<double> cpu;
///   for (const auto& found : basin::singular_values(cpu, map, points, {.count = 3})) {
///     std::cout << found.values.transpose() << ", " << to_string(found.status) << " after "
///               << found.products << " products\n";
///   }
///   std::cout << "norms " << basin::spectral_norm(cpu, map, points).values.transpose() << '\n';
/// }
/// @endcode
template <basin::backend B, class Map>
  requires latent_map<Map, B> && has_jvp<Map, B>
[[nodiscard]] std::vector<SingularValues> singular_values(
    const B& be, Map& map, const Eigen::Ref<const Eigen::MatrixXd>& points,
    const singular_value_options& options = {}) {
  options.check();
  detail::JacobianProducts<B, Map> J("singular_values", be, map, points);
  std::vector<SingularValues> found(static_cast<std::size_t>(points.cols()));
  const index_t k = std::min(J.rows(), J.cols());
  if (k == 0 || found.empty()) return found;
  if constexpr (has_vjp<Map, B>) {
    if (!options.is_dense(k)) {
      detail::krylov_singular_values(be, J, options, found);
      return found;
    }
  } else {
    require(options.method != singular_value_method::golub_kahan, "singular_values",
            "the method golub_kahan needs vjp, which the map has not");
  }
  J.for_each_dense([&](index_t j, const Eigen::MatrixXd& dense) {
    found[static_cast<std::size_t>(j)] = detail::dense_singular_values(dense, options, J.rounding);
  });
  return found;
}

/// The spectral norms ‖J_f‖₂ = σ_max at the columns of `points`: the largest factor by which a
/// small perturbation grows in one step, and what Proposition 3.2 of the paper asks to be below 1.
/// Not the spectral radius, which is at most this (`spectral_radius`).
/// @param options `count` and `vectors` are not used
/// @throws size_error, argument_error as `singular_values`
/// Cost: that of `singular_values` for one value.
template <basin::backend B, class Map>
  requires latent_map<Map, B> && has_jvp<Map, B>
[[nodiscard]] ColumnValues spectral_norm(const B& be, Map& map,
                                         const Eigen::Ref<const Eigen::MatrixXd>& points,
                                         singular_value_options options = {}) {
  options.count = 1;
  options.vectors = false;
  const auto found = singular_values(be, map, points, options);
  ColumnValues norms = detail::no_values(points.cols());
  for (index_t j = 0; j < norms.size(); ++j) {
    const SingularValues& one = found[static_cast<std::size_t>(j)];
    norms.status[static_cast<std::size_t>(j)] = one.status;
    norms.products += one.products;
    if (one.size() == 0) continue;
    norms.values[j] = one.values[0];
    norms.errors[j] = one.residual[0] * one.values[0];
  }
  return norms;
}

}  // namespace basin
