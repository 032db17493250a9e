/// @file
/// Dictionaries: normalised atoms, without duplicates and zeros.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include <Eigen/Core>
#include <Eigen/QR>

#include <basin/backend/concept.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/random.hpp>

namespace basin {

/// Atoms to represent targets by. A code γ by the atoms stands for γ_i / scale_i of the columns
/// that they were made from.
template <class Scalar>
struct Dictionary {
  Eigen::MatrixX<Scalar> atoms;  ///< n × d, columns of norm 1
  Eigen::VectorXd scale;         ///< d norms of the columns that they were
  std::vector<index_t> source;   ///< which columns those were, ascending
  index_t zeros = 0;             ///< columns left out for their norm
  index_t duplicates = 0;        ///< columns left out since an earlier one is the same
  Eigen::MatrixX<Scalar> gram;   ///< d × d inner products, or empty: see `add_gram`

  [[nodiscard]] index_t size() const noexcept { return atoms.cols(); }
  [[nodiscard]] index_t rows() const noexcept { return atoms.rows(); }
};

/// Settings of `make_dictionary`.
struct dictionary_options {
  /// A column is left out if its norm is at most this times the greatest.
  double zero = 1e-12;
  /// And if its normalised form is within this distance of an earlier atom or of its negative. The
  /// default is what float images of one attractor differ by.
  double duplicate = 1e-5;

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(zero >= 0 && zero < 1, "dictionary_options",
            "zero is " + std::to_string(zero) + ", must be in [0, 1)");
    require(duplicate >= 0 && duplicate < 1, "dictionary_options",
            "duplicate is " + std::to_string(duplicate) + ", must be in [0, 1)");
  }
};

namespace detail {

/// Which unit columns are no further than `tolerance` from one that stands before them and stays,
/// up to the sign. Only columns whose projections on a direction are that near are compared.
[[nodiscard]] inline std::vector<char> repeated_columns(const Eigen::MatrixXd& unit,
                                                        double tolerance) {
  const index_t d = unit.cols();
  Eigen::VectorXd direction(unit.rows());
  for (index_t i = 0; i < direction.size(); ++i) {
    direction[i] = normal_at<double>(random_stream{.seed = 1}, i, 0);
  }
  direction.normalize();
  const Eigen::VectorXd place = (unit.transpose() * direction).cwiseAbs();
  std::vector<index_t> order(static_cast<std::size_t>(d));
  std::iota(order.begin(), order.end(), index_t{0});
  std::sort(order.begin(), order.end(), [&](index_t a, index_t b) {
    return place[a] != place[b] ? place[a] < place[b] : a < b;
  });
  // Rounding of the projections must not part what is the same.
  const double reach = tolerance + 1e-14 * std::sqrt(static_cast<double>(unit.rows()));
  std::vector<std::vector<index_t>> near(static_cast<std::size_t>(d));  // of each, those before it
  for (std::size_t a = 0; a < order.size(); ++a) {
    for (std::size_t b = a + 1; b < order.size(); ++b) {
      const index_t i = std::min(order[a], order[b]), j = std::max(order[a], order[b]);
      if (place[order[b]] - place[order[a]] > reach) break;
      const double same = (unit.col(i) - unit.col(j)).norm();
      const double opposite = (unit.col(i) + unit.col(j)).norm();
      if (std::min(same, opposite) <= tolerance) near[static_cast<std::size_t>(j)].push_back(i);
    }
  }
  std::vector<char> repeated(static_cast<std::size_t>(d));
  for (std::size_t j = 0; j < near.size(); ++j) {
    repeated[j] = std::any_of(near[j].begin(), near[j].end(), [&](index_t i) {
      return repeated[static_cast<std::size_t>(i)] == 0;
    });
  }
  return repeated;
}

}  // namespace detail

/// A dictionary of the columns of a matrix, in their order.
/// @param columns n × m, in host memory
/// @throws argument_error if a setting is out of its range, or a column has a NaN or infinite entry
/// Cost: m log m, and n for each pair whose projections on one random direction agree.
///
/// @code
/// #include <iostream>
///
/// #include <basin/sparse/dictionary.hpp>
///
/// int main() {
///   Eigen::MatrixXd columns(2, 4);
///   columns << 3, 0, 6, 1,
///              4, 0, 8, 0;
///   const auto dictionary = basin::make_dictionary<double>(columns);
///   std::cout << dictionary.size() << " atoms, " << dictionary.zeros << " zero, "
///             << dictionary.duplicates << " again\n";  // 2 atoms, 1 zero, 1 again
/// }
/// @endcode
template <class Scalar, class Derived>
[[nodiscard]] Dictionary<Scalar> make_dictionary(const Eigen::MatrixBase<Derived>& columns,
                                                 const dictionary_options& options = {}) {
  options.check();
  const Eigen::MatrixXd given = columns.template cast<double>();
  Eigen::VectorXd norms(given.cols());
  for (index_t j = 0; j < given.cols(); ++j) {
    norms[j] = given.col(j).stableNorm();
    require(is_finite(norms[j]) && detail::all_finite(given.col(j).data(), given.rows()),
            "make_dictionary", "column " + std::to_string(j) + " has an entry that is not finite");
  }
  const double floor = norms.size() > 0 ? options.zero * norms.maxCoeff() : 0;
  Dictionary<Scalar> dictionary;
  std::vector<index_t> kept;
  for (index_t j = 0; j < given.cols(); ++j) {
    if (norms[j] > floor) kept.push_back(j);
  }
  dictionary.zeros = given.cols() - static_cast<index_t>(kept.size());
  Eigen::MatrixXd unit = given(Eigen::all, kept);
  for (index_t i = 0; i < unit.cols(); ++i) unit.col(i) /= norms[kept[static_cast<std::size_t>(i)]];
  const std::vector<char> repeated = detail::repeated_columns(unit, options.duplicate);
  std::vector<index_t> places;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (repeated[i] != 0) continue;
    places.push_back(static_cast<index_t>(i));
    dictionary.source.push_back(kept[i]);
  }
  dictionary.duplicates = static_cast<index_t>(kept.size() - places.size());
  dictionary.atoms = unit(Eigen::all, places).template cast<Scalar>();
  dictionary.scale = norms(dictionary.source);
  return dictionary;
}

/// A dictionary of d random orthonormal atoms of n rows, uniform over all such.
/// @throws size_error if d > n
/// Cost: 4 n d^2 flops.
template <backend B>
[[nodiscard]] Dictionary<typename B::scalar> random_orthogonal_dictionary(const B&, index_t n,
                                                                          index_t d,
                                                                          random_stream stream) {
  Dictionary<typename B::scalar> dictionary;
  dictionary.atoms = detail::orthonormal<typename B::scalar>(stream, n, d);
  dictionary.scale = Eigen::VectorXd::Ones(d);
  dictionary.source.resize(static_cast<std::size_t>(d));
  std::iota(dictionary.source.begin(), dictionary.source.end(), index_t{0});
  return dictionary;
}

/// Fills `gram`, so that every pursuit that follows finds it.
/// Cost: 2 n d^2 flops, d^2 numbers kept.
template <std::floating_point Scalar>
void add_gram(const cpu<Scalar>& be, Dictionary<Scalar>& dictionary) {
  dictionary.gram.resize(dictionary.size(), dictionary.size());
  gemm(be, dictionary.atoms, dictionary.atoms, dictionary.gram, {.a = transpose::yes});
}

/// The greatest |<a_i, a_j>| of two atoms; 0 of fewer than two (Donoho and Elad 2003).
/// Cost: n d^2 flops, in blocks of bounded memory; d^2 where the Gram matrix is held.
template <std::floating_point Scalar>
[[nodiscard]] double coherence(const cpu<Scalar>& be, const Dictionary<Scalar>& dictionary) {
  const index_t d = dictionary.size();
  const index_t width = std::clamp<index_t>((index_t{1} << 22) / std::max<index_t>(1, d), 1, d + 1);
  Eigen::MatrixX<Scalar> block;
  Scalar most = 0;
  for (index_t first = 0; first < d; first += width) {
    const index_t count = std::min(width, d - first), below = d - first;
    if (dictionary.gram.cols() == d) {
      block = dictionary.gram.block(first, first, below, count);
    } else {
      block.resize(below, count);
      gemm(be, dictionary.atoms.rightCols(below), dictionary.atoms.middleCols(first, count), block,
           {.a = transpose::yes});
    }
    for (index_t j = 0; j < count; ++j) {
      for (index_t i = j + 1; i < below; ++i) most = std::max(most, std::abs(block(i, j)));
    }
  }
  return static_cast<double>(most);
}

/// Number of atoms that are independent, by a QR factorisation with column pivoting.
/// @param tolerance pivots below this times the greatest count as zero; 0: n eps of the scalar
/// Cost: 2 n d min(n, d) flops in double, on one thread.
template <class Scalar>
[[nodiscard]] index_t rank(const Dictionary<Scalar>& dictionary, double tolerance = 0) {
  require(tolerance >= 0 && tolerance < 1, "rank",
          "tolerance is " + std::to_string(tolerance) + ", must be in [0, 1)");
  if (dictionary.size() == 0) return 0;
  Eigen::ColPivHouseholderQR<Eigen::MatrixXd> factors(dictionary.atoms.template cast<double>());
  factors.setThreshold(tolerance > 0
                           ? tolerance
                           : static_cast<double>(std::max(dictionary.rows(), dictionary.size())) *
                                 static_cast<double>(std::numeric_limits<Scalar>::epsilon()));
  return factors.rank();
}

}  // namespace basin
