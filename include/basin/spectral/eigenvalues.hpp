/// @file
/// Leading eigenvalues of the Jacobians of a map at many points at once.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <initializer_list>
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
#include <basin/spectral/krylov_spaces.hpp>
#include <basin/spectral/left_vectors.hpp>
#include <basin/spectral/schur_form.hpp>
#include <basin/spectral/spectrum.hpp>

namespace basin {
namespace detail {

/// The leading values of a dense matrix, with exact condition numbers.
template <std::floating_point Real>
[[nodiscard]] Spectrum dense_spectrum(const Eigen::MatrixX<Real>& J,
                                      const eigenvalue_options& options, double rounding) {
  Spectrum s;
  s.dense = true;
  const index_t k = J.rows();
  s.products = k;
  if (!J.allFinite()) return s;
  const double largest = J.cwiseAbs().maxCoeff();
  if (largest > 0 && !(largest > 1e-100 && largest < 1e100)) {
    // Squares would overflow or vanish; a power of two changes no digit.
    const double scale = std::ldexp(1.0, std::clamp(-std::ilogb(largest), -1000, 1000));
    s = dense_spectrum<Real>(scale * J, options, rounding);
    s.values *= 1 / scale;
    s.norm /= scale;
    return s;
  }
  s.norm = J.norm();
  const SchurForm<Real> form(J);
  if (!form.converged()) {
    s.status = spectral_status::max_products;
    return s;
  }
  const Eigen::VectorXcd all = form.values();
  const std::vector<index_t> order =
      form.ordered([&](auto a, auto b) { return options.before(a, b); });
  index_t m = std::min(options.count, k);
  if (m < k && all[order[static_cast<std::size_t>(m - 1)]].imag() > 0) ++m;
  // A multiple value that is cut behind m comes whole: its vectors are dual among all of them.
  std::vector<index_t> places(order.begin(), order.begin() + m);
  const double near = multiple_value * s.norm;
  for (index_t i = m; i < k; ++i) {
    const index_t place = order[static_cast<std::size_t>(i)];
    if (std::any_of(places.begin(), places.begin() + m,
                    [&](index_t wanted) { return std::abs(all[wanted] - all[place]) <= near; })) {
      places.push_back(place);
    }
  }
  s.values = all(places);
  const index_t n = s.size();
  s.condition.resize(n);
  Eigen::MatrixXcd X(k, n), Y(k, n);
  const SchurVectors<Real> vectors(form);
  for (index_t i = 0; i < n; ++i) {
    const index_t place = places[static_cast<std::size_t>(i)];
    X.col(i) = form.U() * vectors.right(place);
    Y.col(i) = form.U() * vectors.left(place);
  }
  orthonormalise_multiple(s.values, 100 * std::numeric_limits<double>::epsilon() * s.norm, X);
  for (index_t i = 0; i < n; ++i) {
    s.condition[i] =
        1 / std::max(std::abs(Y.col(i).dot(X.col(i))), std::numeric_limits<double>::min());
  }
  make_dual(s.values, near, X, Y, s.condition);
  s.values.conservativeResize(m);
  s.condition.conservativeResize(m);
  X.conservativeResize(k, m);
  Y.conservativeResize(k, m);
  s.backward_error.resize(m);
  for (index_t i = 0; i < m; ++i) {
    const double residual = (J * X.col(i) - s.values[i] * X.col(i)).norm();
    s.backward_error[i] = s.norm > 0 ? residual / s.norm + rounding : 0;
  }
  const bool sensitive = m > 0 && s.condition.maxCoeff() > 1 / ill_conditioned_cosine;
  s.status = sensitive ? spectral_status::ill_conditioned : spectral_status::converged;
  if (options.right_vectors) s.right = std::move(X);
  if (options.left_vectors) s.left = std::move(Y);
  return s;
}

/// What a Krylov-Schur method begins with that is not the first.
struct krylov_start {
  Eigen::VectorXd first;  ///< vector, see KrylovSchur::begin_with
  index_t spent;          ///< products
};

/// Runs one Krylov-Schur method a point to the end, of J or of its transpose.
/// @param which the points
/// @param starts of each of them; or none
template <backend B, class Map>
[[nodiscard]] std::vector<Spectrum> krylov_spectra(const B& be, JacobianProducts<B, Map>& J,
                                                   bool transposed,
                                                   const std::vector<index_t>& which,
                                                   const eigenvalue_options& options,
                                                   const std::vector<krylov_start>& starts = {}) {
  using spaces_type = KrylovSpaces<B>;
  using method = KrylovSchur<double, typename spaces_type::basis>;
  const index_t k = J.cols(), columns = options.space(k) + 1;
  spaces_type spaces(be, k, columns, static_cast<index_t>(which.size()));
  std::vector<method> methods;
  methods.reserve(which.size());
  for (std::size_t i = 0; i < which.size(); ++i) {
    if constexpr (std::same_as<typename spaces_type::basis, HostBasis<double>>) {
      if (i > 0) {  // all begin alike
        methods.push_back(method(methods.front()));
        continue;
      }
    }
    methods.emplace_back(spaces.make(k, columns), options, J.rounding);
  }
  for (std::size_t i = 0; i < starts.size(); ++i) {
    methods[i].begin_with(starts[i].first, starts[i].spent);
  }
  run_in_step(spaces, J, which, methods, [&](const method&) { return transposed; });
  std::vector<Spectrum> found(methods.size());
  on_host(be, static_cast<index_t>(methods.size()), [&](index_t j) {
    found[static_cast<std::size_t>(j)] = methods[static_cast<std::size_t>(j)].result();
  });
  return found;
}

/// Looks again for values that `found` has missed and `other`, of the transpose, has: from all
/// vectors that are known of either side, since a left vector has as large a part along its own
/// right one as any vector of its norm.
template <backend B, class Map>
void look_again(const B& be, JacobianProducts<B, Map>& J, bool transposed,
                const std::vector<index_t>& which, const eigenvalue_options& options,
                const std::vector<Spectrum>& other, std::vector<Spectrum>& found) {
  std::vector<std::size_t> at;
  std::vector<index_t> points;
  std::vector<krylov_start> starts;
  for (std::size_t j = 0; j < found.size(); ++j) {
    if (found[j].products >= options.budget(J.cols())) continue;
    if (missed_values(found[j], other[j], options).empty()) continue;
    Eigen::VectorXd start = Eigen::VectorXd::Zero(J.cols());
    for (const Spectrum* side : std::initializer_list<const Spectrum*>{&found[j], &other[j]}) {
      start += (side->right.real() + side->right.imag()).rowwise().sum();
    }
    at.push_back(j);
    points.push_back(which[j]);
    starts.push_back({std::move(start), found[j].products});
  }
  if (at.empty()) return;
  std::vector<Spectrum> again = krylov_spectra(be, J, transposed, points, options, starts);
  for (std::size_t i = 0; i < at.size(); ++i) {
    Spectrum& old = found[at[i]];
    const bool known = again[i].status == spectral_status::converged ||
                       again[i].status == spectral_status::ill_conditioned;
    const bool better = known && missed_values(again[i], old, options).empty();
    old.products = again[i].products;
    if (better) old = std::move(again[i]);
  }
}

}  // namespace detail

/// The leading eigenvalues of J_f at each point, each with its backward error and condition number.
///
/// With left vectors by Krylov spaces the values of the transpose are a second opinion: where
/// either side has a leading value that the other has missed, that side is begun again from all
/// vectors that are known, and a value that is still known by the transpose alone is given with a
/// right vector of NaN. Without them, and where both sides miss a value, nothing shows the miss:
/// see `KrylovSchur`. The dense method misses none.
///
/// The forward error of a simple value is about backward_error × norm × condition; of one that is
/// said to be ill-conditioned that is no bound.
///
/// All points expand their Krylov spaces together, so that the map sees batches; points that are
/// done leave. The spaces are in double, whatever the map's scalar. Points are taken in blocks
/// whose spaces fit 512 MiB. Results do not depend on the other points or the number of threads, if
/// the map's jvp does not. With a device, which needs spectral/cuda/krylov_spaces.hpp, they stand
/// in its memory, and the host gets the numbers that a product adds to H; the small Schur forms are
/// the host's (see there for what goes each way).
///
/// A left vector that is not found, since the transpose's space has no value near enough, is NaN,
/// and the condition number the lower bound from the space. Vectors of a multiple value that is not
/// defective are dual: yᵢᴴ xⱼ = 0 for i ≠ j. The dense method takes all vectors of such a value
/// into account, also of one that `count` cuts, and makes the right ones orthonormal where they are
/// well apart: of a symmetric J every condition number is 1. Krylov spaces know only the vectors
/// that were asked for, of either side in a basis of its own: there the condition numbers of a
/// multiple value are those of the bases and may be far larger, 2 as a rule and 3000 at worst of a
/// value of five vectors of which two were asked for, of a symmetric J. Errors that are estimated
/// from them are too large then, not too small.
///
/// Cost: dense k jvps and about 25 k³ flops a point; else see `KrylovSchur`, once more with vjps
/// for left vectors, and some more where a value was missed, within `max_products` a side.
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
    auto some = detail::krylov_spectra(be, products, false, which, inner);
    if constexpr (has_vjp<Map, B>) {
      if (options.left_vectors) {
        auto transposes = detail::krylov_spectra(be, products, true, which, inner);
        detail::look_again(be, products, false, which, inner, transposes, some);
        detail::look_again(be, products, true, which, inner, some, transposes);
        for (std::size_t j = 0; j < some.size(); ++j) {
          detail::add_missed(some[j], transposes[j], inner);
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
