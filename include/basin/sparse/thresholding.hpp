/// @file
/// Sparse representations in an orthonormal basis: the greatest coefficients.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/sparse/dictionary.hpp>
#include <basin/sparse/lane_codes.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin {
namespace detail {

/// Takes the atoms of a target by their coefficients until it ends.
template <class Scalar>
struct threshold_target {
  coded_targets<Scalar> at;
  Scalar* products;  ///< d × places: A'x, of which the chosen become 0

  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t place) const {
    target_code c = at.begin(lanes, place);
    Scalar* const own = products + place * at.d;
    double* const left = at.remainder + place * at.n;
    while (c.state == pursued) {
      const auto best = lanes.greatest(at.d, [&](index_t i) { return std::abs(own[i]); });
      if (best.at < 0 || static_cast<double>(best.value) <=
                             static_cast<double>(std::numeric_limits<Scalar>::epsilon()) * c.norm) {
        c.state = static_cast<std::uint8_t>(pursuit_status::explained);
        break;
      }
      const auto coefficient = static_cast<double>(own[best.at]);
      lanes.once([&] {
        own[best.at] = 0;
        at.support[place * at.most + c.count] = best.at;
        at.coefficients[place * at.most + c.count] = coefficient;
      });
      // ‖x‖^2 less the squares is lost in rounding where little is left: the residual itself.
      const Scalar* const atom = at.atom(best.at);
      lanes.each(at.n, [&](index_t i) { left[i] -= coefficient * static_cast<double>(atom[i]); });
      const double square = lanes.dot(left, left, at.n);
      ++c.count;
      if (square < c.left) c.left = square;
      lanes.aside([&] { at.squares[place * (at.most + 1) + c.count] = c.left; });
      c.state = at.after(c);
    }
    lanes.aside([&] { at.code[place] = c; });
  }
};

/// `thresholding` where atoms and targets are, in blocks that take no more than `bytes` of its
/// memory, but one target at least.
/// @param most_alike coherence of the atoms
template <class Backend>
[[nodiscard]] SparseCodes<typename Backend::scalar> threshold_on(
    const Backend& be, const typename Backend::const_view& A, double most_alike,
    const typename Backend::const_view& targets, const pursuit_options& options, index_t bytes) {
  using scalar = typename Backend::scalar;
  constexpr const char* where = "thresholding";
  options.check(where);
  require_size(where, "number of rows of the targets", targets.rows(), A.rows());
  require(most_alike <= 1000 * static_cast<double>(std::numeric_limits<scalar>::epsilon()), where,
          "the atoms are not orthogonal: the coherence is " + std::to_string(most_alike));
  const index_t n = A.rows(), d = A.cols(), N = targets.cols();
  const index_t most = options.atoms > 0 ? std::min(options.atoms, d) : d;
  auto codes = make_codes<scalar>(most, N, options.path);
  if (N == 0) return codes;
  const index_t each =
      LaneCodes<Backend>::bytes_of_target(n, most) + d * static_cast<index_t>(sizeof(scalar));
  const index_t width = std::clamp<index_t>(bytes / each, 1, N);
  LaneCodes<Backend> memory(be, n, most, width);
  auto products = be.make_matrix(d, width);
  const auto none = array_view<scalar>();
  for (index_t first = 0; first < N; first += width) {
    const index_t count = std::min(width, N - first);
    const auto block = columns(be, targets, first, count);
    gemm(be, A, block, columns(be, products, 0, count), {.a = transpose::yes});
    for_each_in_lanes(
        be, count,
        threshold_target<scalar>{memory.of(A, block, options), raw_address(products.data())}, 0,
        none, 1);
    memory.write(count, first, codes);
  }
  // Atoms that join change no coefficient of those that are there.
  for (std::size_t j = 0; j < codes.path.size(); ++j) {
    for (index_t s = 1; s <= codes.count[j]; ++s) {
      const auto kept = codes.coefficients.col(static_cast<index_t>(j)).head(s);
      codes.path[j].insert(codes.path[j].end(), kept.begin(), kept.end());
    }
  }
  return codes;
}

}  // namespace detail

/// The best representations by orthonormal atoms: coefficients A'x, of which the greatest are kept.
/// That is what orthogonal matching pursuit gives for such atoms, by one product. Equal ones go to
/// the lower index.
/// @param options `form` is not used
/// @param targets n × N, in host memory
/// @throws size_error unless the targets have as many rows as the atoms; argument_error if a
///   setting is out of its range, none ends the pursuit, or |<a_i, a_j>| of two atoms is over
///   1000 epsilon
/// Cost: 2 n d flops a target, and for each atom of its answer d comparisons and 4 n flops; n d^2
/// for the check. Memory: 64 MB. A program with a device includes sparse/cuda/thresholding.hpp.
///
/// @code
/// #include <iostream>
///
/// #include <basin/sparse/thresholding.hpp>
///
/// int main() {
///   const basin::cpu<double> cpu;
///   const auto basis = basin::random_orthogonal_dictionary(cpu, 20, 20, {.seed = 1});
///   const Eigen::MatrixXd targets = Eigen::MatrixXd::Random(20, 3);
///   const auto codes = basin::thresholding(cpu, basis, targets, {.atoms = 5});
///   std::cout << "left with five atoms: " << codes.residual[0] << '\n';
/// }
/// @endcode
template <std::floating_point Scalar>
[[nodiscard]] SparseCodes<Scalar> thresholding(
    const cpu<Scalar>& be, const Dictionary<Scalar>& dictionary,
    const std::type_identity_t<Eigen::Ref<const Eigen::MatrixX<Scalar>>>& targets,
    const pursuit_options& options) {
  return detail::threshold_on<cpu<Scalar>>(be, dictionary.atoms, coherence(be, dictionary), targets,
                                           options, index_t{1} << 26);
}

}  // namespace basin
