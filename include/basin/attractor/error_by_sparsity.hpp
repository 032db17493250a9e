/// @file
/// How well targets are represented by few atoms, behind a map: the error for every number of
/// atoms.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/map/concept.hpp>
#include <basin/sparse/dictionary.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin {

/// What codes with a path stand for with their first atoms: A γ, n × N. A target with fewer atoms
/// is represented by those that it has.
/// @throws argument_error if sparsity is negative or the path was not kept; size_error if a code
///   has an atom that the dictionary has not
/// Cost: 2 n sparsity flops a target.
template <class Scalar>
[[nodiscard]] Eigen::MatrixX<Scalar> represented(const Dictionary<Scalar>& dictionary,
                                                 const SparseCodes<Scalar>& codes,
                                                 index_t sparsity) {
  require(sparsity >= 0, "represented",
          "sparsity is " + std::to_string(sparsity) + ", must be at least 0");
  Eigen::MatrixX<Scalar> X = Eigen::MatrixX<Scalar>::Zero(dictionary.rows(), codes.size());
  for (index_t j = 0; j < codes.size(); ++j) {
    const index_t used = std::min(sparsity, codes.count[static_cast<std::size_t>(j)]);
    const auto coefficients = codes.with_atoms(j, used);
    for (index_t i = 0; i < used; ++i) {
      const index_t atom = codes.atoms(i, j);
      if (atom >= dictionary.size()) {
        throw size_error("represented: target " + std::to_string(j) + " has atom " +
                         std::to_string(atom) + " of only " + std::to_string(dictionary.size()));
      }
      X.col(j) += coefficients[i] * dictionary.atoms.col(atom);
    }
  }
  return X;
}

/// The mean over targets and entries of (y - f(A γ_s))², with the codes γ_s of s = 0 ... A atoms,
/// the most that there are: with a decoder and images the reconstruction error by sparsity, by
/// which the paper compares attractors with other dictionaries (Fumero et al. 2025, Figures 4 and 7
/// to 9).
/// @param map of codes, such as a decoder
/// @param codes with their path
/// @param aims m × N in host memory, what the map should give
/// @return A + 1 numbers
/// @throws size_error unless the map takes the dictionary's rows and gives m, and there is an aim
///   for each code; as `represented`
/// Cost: A + 1 evaluations a target.
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/error_by_sparsity.hpp>
/// #include <basin/map/affine.hpp>
/// #include <basin/sparse/orthogonal_matching_pursuit.hpp>
///
/// int main() {
///   const basin::cpu<double> cpu;
///   const Eigen::MatrixXd W = Eigen::MatrixXd::Random(30, 6), Z = Eigen::MatrixXd::Random(6, 40);
///   auto decoder = basin::affine(W);
///   const auto basis = basin::random_orthogonal_dictionary(cpu, 6, 6, {.seed = 1});
///   const auto codes =
///       basin::orthogonal_matching_pursuit(cpu, basis, Z, {.atoms = 6, .path = true});
///   std::cout << basin::error_by_sparsity(cpu, decoder, basis, codes, W * Z).transpose() << '\n';
/// }
/// @endcode
template <basin::backend B, class Map, class Derived>
  requires latent_map<Map, B>
[[nodiscard]] Eigen::VectorXd error_by_sparsity(const B& be, Map& map,
                                                const Dictionary<typename B::scalar>& dictionary,
                                                const SparseCodes<typename B::scalar>& codes,
                                                const Eigen::MatrixBase<Derived>& aims) {
  using scalar = typename B::scalar;
  constexpr const char* where = "error_by_sparsity";
  const index_t n = codes.size(), rows = aims.rows();
  require_dimension(where, map, dictionary.rows());
  require_size(where, "number of columns of the aims", aims.cols(), n);
  if (const index_t gives = output_dimension(map); gives >= 0) {
    require_size(where, "number of rows of the aims", rows, gives);
  }
  require(aims.size() > 0, where, "there are no aims");
  const Eigen::MatrixXd Y = aims.template cast<double>();
  typename B::matrix in = be.make_matrix(dictionary.rows(), n), out = be.make_matrix(rows, n);
  Eigen::MatrixX<scalar> host(rows, n);
  Eigen::VectorXd errors(codes.coefficients.rows() + 1);
  for (index_t s = 0; s < errors.size(); ++s) {
    upload(be, represented(dictionary, codes, s), columns(be, in, 0, n));
    evaluate(be, map, columns(be, std::as_const(in), 0, n), columns(be, out, 0, n));
    download(be, columns(be, std::as_const(out), 0, n), host);
    errors[s] = (host.template cast<double>() - Y).squaredNorm() / static_cast<double>(Y.size());
  }
  return errors;
}

}  // namespace basin
