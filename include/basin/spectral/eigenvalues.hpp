/// @file
/// Leading eigenvalues of the Jacobians of a map at many points at once.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/map/derivative.hpp>
#include <basin/spectral/eigenvalue_options.hpp>
#include <basin/spectral/jacobian_products.hpp>
#include <basin/spectral/krylov_schur.hpp>
#include <basin/spectral/schur_form.hpp>
#include <basin/spectral/spectrum.hpp>

namespace basin {
namespace detail {

/// The leading values of a dense matrix, with exact condition numbers.
[[nodiscard]] inline Spectrum dense_spectrum(const Eigen::MatrixXd& J,
                                             const eigenvalue_options& options, double rounding) {
  Spectrum s;
  s.dense = true;
  const index_t k = J.rows();
  s.products = k;
  s.norm = J.norm();
  if (!std::isfinite(s.norm)) return s;
  const SchurForm form(J);
  if (!form.converged()) {
    s.status = spectral_status::max_products;
    return s;
  }
  const Eigen::VectorXcd all = form.values();
  std::vector<index_t> order(static_cast<std::size_t>(k));
  for (index_t i = 0; i < k; ++i) order[static_cast<std::size_t>(i)] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](index_t a, index_t b) { return options.before(all[a], all[b]); });
  index_t m = std::min(options.count, k);
  if (m < k && all[order[static_cast<std::size_t>(m - 1)]].imag() > 0) ++m;
  s.values.resize(m);
  s.backward_error.resize(m);
  s.condition.resize(m);
  if (options.right_vectors) s.right.resize(k, m);
  if (options.left_vectors) s.left.resize(k, m);
  const SchurVectors vectors(form);
  const Eigen::MatrixXcd complex_J = J.cast<std::complex<double>>();
  for (index_t i = 0; i < m; ++i) {
    const index_t place = order[static_cast<std::size_t>(i)];
    const Eigen::VectorXcd x = form.U() * vectors.right(place);
    const Eigen::VectorXcd y = form.U() * vectors.left(place);
    s.values[i] = all[place];
    const double residual = (complex_J * x - all[place] * x).norm();
    s.backward_error[i] = s.norm > 0 ? residual / s.norm + rounding : 0;
    s.condition[i] = 1 / std::max(std::abs(y.dot(x)), std::numeric_limits<double>::min());
    if (options.right_vectors) s.right.col(i) = x;
    if (options.left_vectors) s.left.col(i) = y;
  }
  const bool sensitive = m > 0 && s.condition.maxCoeff() > 1 / ill_conditioned_cosine;
  s.status = sensitive ? spectral_status::ill_conditioned : spectral_status::converged;
  return s;
}

/// Runs one Krylov-Schur method a point to the end, all in step; points that are done leave.
/// @param which the points
/// @param multiply see JacobianProducts::forward
template <backend B, class Multiply>
[[nodiscard]] std::vector<Spectrum> krylov_spectra(const B& be, index_t k,
                                                   std::vector<index_t> which, double rounding,
                                                   const eigenvalue_options& options,
                                                   Multiply&& multiply) {
  std::vector<KrylovSchur> methods;
  methods.reserve(which.size());
  for (const index_t j : which) methods.emplace_back(k, options, j, rounding);
  std::vector<std::size_t> active(which.size());
  std::iota(active.begin(), active.end(), std::size_t{0});
  Eigen::MatrixXd directions(k, static_cast<index_t>(which.size()));
  while (!active.empty()) {
    const auto m = static_cast<index_t>(active.size());
    for (index_t c = 0; c < m; ++c) {
      directions.col(c) = methods[active[static_cast<std::size_t>(c)]].direction();
    }
    const Eigen::MatrixXd products = multiply(which, directions.leftCols(m));
    on_host(be, m,
            [&](index_t c) { methods[active[static_cast<std::size_t>(c)]].take(products.col(c)); });
    std::size_t left = 0;
    for (std::size_t c = 0; c < active.size(); ++c) {
      if (methods[active[c]].done()) continue;
      active[left] = active[c];
      which[left++] = which[c];
    }
    active.resize(left);
    which.resize(left);
  }
  std::vector<Spectrum> found(methods.size());
  on_host(be, static_cast<index_t>(methods.size()), [&](index_t j) {
    found[static_cast<std::size_t>(j)] = methods[static_cast<std::size_t>(j)].result();
  });
  return found;
}

/// Gives each value of `right` the left vector and condition number of the value of the transpose
/// that is nearest to it, each at most once.
inline void match_left_vectors(Spectrum& right, const Spectrum& transpose) {
  right.products += transpose.products;
  right.left = Eigen::MatrixXcd::Constant(right.right.rows(), right.size(),
                                          std::numeric_limits<double>::quiet_NaN());
  std::vector<bool> taken(static_cast<std::size_t>(transpose.size()), false);
  for (index_t i = 0; i < right.size(); ++i) {
    index_t best = -1;
    for (index_t l = 0; l < transpose.size(); ++l) {
      if (taken[static_cast<std::size_t>(l)]) continue;
      const auto apart = [&](index_t at) {
        return std::abs(transpose.values[at] - right.values[i]);
      };
      if (best < 0 || apart(l) < apart(best)) best = l;
    }
    if (best < 0) break;
    taken[static_cast<std::size_t>(best)] = true;
    // Jᵀ x = λ x is x^T J = λ x^T, so yᴴ is x^T: y is the conjugate.
    const Eigen::VectorXcd y = transpose.right.col(best).conjugate();
    const double condition =
        1 / std::max(std::abs(y.dot(right.right.col(i))), std::numeric_limits<double>::min());
    const double apart = std::abs(transpose.values[best] - right.values[i]);
    // (λ - λ') yᴴ x is as small as the errors for any two values, so the pair's own condition
    // proves nothing: they are one value where they differ by what the spaces' conditions allow, or
    // by far less than either from the next.
    const double errors = right.condition[i] * right.backward_error[i] +
                          transpose.condition[best] * transpose.backward_error[best];
    double gap = right.norm;
    for (index_t l = 0; l < right.size(); ++l) {
      if (l != i) gap = std::min(gap, std::abs(right.values[l] - right.values[i]));
    }
    for (index_t l = 0; l < transpose.size(); ++l) {
      if (l != best) gap = std::min(gap, std::abs(transpose.values[l] - right.values[i]));
    }
    if (!(apart <= std::max(10 * errors * right.norm, 0.02 * gap))) continue;
    right.left.col(i) = y;
    right.condition[i] = condition;
  }
  if (transpose.status == spectral_status::ill_conditioned ||
      (right.status == spectral_status::converged && right.size() > 0 &&
       right.condition.maxCoeff() > 1 / ill_conditioned_cosine)) {
    right.status = spectral_status::ill_conditioned;
  }
}

}  // namespace detail

/// The leading eigenvalues of J_f at each point, each with its backward error and condition number.
///
/// The forward error of a simple value is about backward_error × norm × condition; of one that is
/// said to be ill-conditioned that is no bound.
///
/// All points expand their Krylov spaces together, so that the map sees batches; points that are
/// done leave. The spaces stand in host memory in double, whatever the map's scalar: one vector a
/// product and point goes each way. Points are taken in blocks whose spaces fit 512 MiB. Results do
/// not depend on the other points or the number of threads, if the map's jvp does not.
///
/// Cost: dense k jvps and about 25 k³ flops a point; else see `KrylovSchur`, once more with vjps
/// for left vectors.
/// @param map with jvp; for left vectors and a method that is not dense, with vjp
/// @param points k × n in host memory
/// @return one spectrum a point, `non_finite` where the point or J is not
/// @throws size_error unless the map takes and gives k rows; argument_error if a setting is out of
///   its range, or left vectors need a vjp that the map has not
///
/// @code
/// #include <iostream>
/// #include <basin/map/differentiable.hpp>
/// #include <basin/spectral/eigenvalues.hpp>
///
/// int main() {
///   // Hénon's map at its two fixed points.
///   auto henon = basin::differentiable<2>([](const auto& z, auto& f) {
///     f[0] = 1.0 - 1.4 * z[0] * z[0] + z[1];
///     f[1] = 0.3 * z[0];
///   });
///   const Eigen::MatrixXd points =
///       (Eigen::MatrixXd(2, 2) << 0.6313545, -1.1313545, 0.1894063, -0.3394063).finished();
///   for (const basin::Spectrum& s : basin::eigenvalues(basin::cpu<double>(), henon, points)) {
///     std::cout << s.values.transpose() << "  condition " << s.condition.transpose() << '\n';
///   }
/// }
/// @endcode
template <basin::backend B, class Map>
  requires has_jvp<Map, B>
[[nodiscard]] std::vector<Spectrum> eigenvalues(const B& be, Map& map,
                                                const Eigen::Ref<const Eigen::MatrixXd>& points,
                                                const eigenvalue_options& options = {}) {
  options.check();
  const index_t k = points.rows();
  detail::JacobianProducts<B, Map> products("eigenvalues", be, map, points);
  require_size("eigenvalues", "number of rows that the map gives", products.rows(), k);
  require(k >= 1 || points.cols() == 0, "eigenvalues", "the points have no rows");
  const double rounding = products.rounding;
  std::vector<Spectrum> found(static_cast<std::size_t>(points.cols()));
  if (points.cols() == 0) return found;
  if (options.is_dense(k)) {
    products.for_each_dense([&](index_t j, const Eigen::MatrixXd& J) {
      found[static_cast<std::size_t>(j)] = detail::dense_spectrum(J, options, rounding);
    });
    return found;
  }
  require(!options.left_vectors || has_vjp<Map, B>, "eigenvalues",
          "left vectors by a Krylov space need the map's vjp; by the dense method they do not");
  eigenvalue_options inner = options;
  inner.right_vectors = options.right_vectors || options.left_vectors;
  const index_t block = std::max<index_t>(1, (index_t{1} << 26) / (k * (options.space(k) + 1)));
  for (index_t first = 0; first < points.cols(); first += block) {
    std::vector<index_t> which(static_cast<std::size_t>(std::min(block, points.cols() - first)));
    std::iota(which.begin(), which.end(), first);
    auto some = detail::krylov_spectra(
        be, k, which, rounding, inner,
        [&](const auto& at, const auto& V) { return products.forward(at, V); });
    if constexpr (has_vjp<Map, B>) {
      if (options.left_vectors) {
        const auto transposes = detail::krylov_spectra(
            be, k, which, rounding, inner,
            [&](const auto& at, const auto& U) { return products.transposed(at, U); });
        for (std::size_t j = 0; j < some.size(); ++j) {
          detail::match_left_vectors(some[j], transposes[j]);
          if (!options.right_vectors) some[j].right.resize(0, 0);
        }
      }
    }
    std::move(some.begin(), some.end(), found.begin() + first);
  }
  return found;
}

}  // namespace basin
