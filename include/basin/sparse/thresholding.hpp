/// @file
/// Sparse representations in an orthonormal basis: the greatest coefficients.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/sparse/dictionary.hpp>
#include <basin/sparse/orthogonal_matching_pursuit.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin {

/// The best representations by orthonormal atoms: coefficients A'x, of which the greatest are kept.
/// That is what orthogonal matching pursuit gives for such atoms, by one product. Equal ones go to
/// the lower index.
/// @param options `form` is not used
/// @param targets n × N, in host memory
/// @throws size_error unless the targets have as many rows as the atoms; argument_error if a
///   setting is out of its range, none ends the pursuit, or |<a_i, a_j>| of two atoms is over
///   1000 epsilon
/// Cost: 2 n d flops and sorting a target, 2 n more for each atom of its answer; n d^2 for the
/// check.
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
  constexpr const char* where = "thresholding";
  options.check(where);
  require_size(where, "number of rows of the targets", targets.rows(), dictionary.rows());
  const double most_alike = coherence(be, dictionary);
  require(most_alike <= 1000 * static_cast<double>(std::numeric_limits<Scalar>::epsilon()), where,
          "the atoms are not orthogonal: the coherence is " + std::to_string(most_alike));
  const index_t d = dictionary.size(), N = targets.cols();
  const index_t most = options.atoms > 0 ? std::min(options.atoms, d) : d;
  auto codes = detail::make_codes<Scalar>(most, N, options.path);
  const std::vector<double> square = detail::target_squares<Scalar>(targets);
  const index_t width = std::clamp<index_t>((index_t{1} << 22) / std::max<index_t>(1, d), 16, 4096);
  Eigen::MatrixX<Scalar> B;
  for (index_t first = 0; first < N; first += width) {
    const index_t count = std::min(width, N - first);
    B.resize(d, count);
    gemm(be, dictionary.atoms, targets.middleCols(first, count), B, {.a = transpose::yes});
    be.pool().run(count, [&](index_t i) {
      const index_t j = first + i;
      const auto at = static_cast<std::size_t>(j);
      if (detail::write_trivial(codes, j, square[at])) return;
      const auto end = detail::end_of(options, most, square[at]);
      std::vector<index_t> order(static_cast<std::size_t>(d));
      std::iota(order.begin(), order.end(), index_t{0});
      std::partial_sort(order.begin(), order.begin() + most, order.end(),
                        [&](index_t a, index_t b) {
                          const Scalar x = std::abs(B(a, i)), y = std::abs(B(b, i));
                          return x != y ? x > y : a < b;
                        });
      std::vector<index_t> support;
      std::vector<Scalar> coefficients;
      // ‖x‖^2 less the squares is lost in rounding where little is left: the residual itself.
      Eigen::VectorXd left = targets.col(j).template cast<double>();
      std::vector<double> squares(1, square[at]);
      pursuit_status ended = pursuit_status::atoms;
      for (index_t s = 0;; ++s) {
        if (end.residual_square > 0 && squares.back() <= end.residual_square) {
          ended = pursuit_status::residual;
          break;
        }
        if (s == most) break;
        const index_t atom = order[static_cast<std::size_t>(s)];
        const Scalar coefficient = B(atom, i);
        if (static_cast<double>(std::abs(coefficient)) <=
            std::numeric_limits<Scalar>::epsilon() * std::sqrt(square[at])) {
          ended = pursuit_status::explained;
          break;
        }
        support.push_back(atom);
        coefficients.push_back(coefficient);
        left -=
            static_cast<double>(coefficient) * dictionary.atoms.col(atom).template cast<double>();
        squares.push_back(std::min(squares.back(), left.squaredNorm()));
        if (options.path) {
          codes.path[at].insert(codes.path[at].end(), coefficients.begin(), coefficients.end());
        }
      }
      detail::write_code(codes, j, ended, support, coefficients.data(), squares);
    });
  }
  return codes;
}

}  // namespace basin
