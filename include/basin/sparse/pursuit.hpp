/// @file
/// What every pursuit of a sparse representation is asked and answers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <Eigen/Core>

#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// Why a target's pursuit ended.
enum class pursuit_status : std::uint8_t {
  residual,    ///< the residual is no larger than was asked for
  atoms,       ///< as many atoms as were allowed, or as there are
  explained,   ///< no atom left correlates with the residual, beyond rounding
  dependent,   ///< the best atom is a combination of the chosen ones, within rounding
  zero,        ///< the target is zero, or the square of its norm underflows: no atoms
  non_finite,  ///< the target has a NaN or infinite entry, or its norm overflows: no atoms
};

/// The name of a status as in the enumeration.
[[nodiscard]] constexpr std::string_view to_string(pursuit_status s) noexcept {
  switch (s) {
    case pursuit_status::residual:
      return "residual";
    case pursuit_status::atoms:
      return "atoms";
    case pursuit_status::explained:
      return "explained";
    case pursuit_status::dependent:
      return "dependent";
    case pursuit_status::zero:
      return "zero";
    case pursuit_status::non_finite:
      return "non_finite";
  }
  return "unknown";
}

/// How correlations are kept.
enum class pursuit_form : std::uint8_t {
  automatic,  ///< `gram` where the Gram matrix pays for itself and fits `gram_bytes`
  gram,       ///< by the Gram matrix of the dictionary, d × d
  direct,     ///< by products with the residual: long dictionaries, few targets
};

/// Settings of a pursuit. At least one of `atoms`, `residual` and `relative_residual` is set; it
/// ends with whatever is met first.
struct pursuit_options {
  index_t atoms = 0;             ///< at most so many; 0: as many as rows or atoms, the fewer
  double residual = 0;           ///< ends when ‖x - A γ‖ is at most this
  double relative_residual = 0;  ///< ends when ‖x - A γ‖ is at most this times ‖x‖; in [0, 1)
  pursuit_form form = pursuit_form::automatic;
  /// Bytes that `automatic` may use for a Gram matrix which the dictionary does not hold already.
  std::int64_t gram_bytes = std::int64_t{1} << 30;
  bool path = false;  ///< keeps the coefficients of every sparsity on the way

  /// @throws argument_error if a setting is out of its range, or none ends the pursuit
  void check(std::string_view where) const {
    require(atoms >= 0, where, "atoms is " + std::to_string(atoms) + ", must be at least 0");
    require(residual >= 0 && std::isfinite(residual), where,
            "residual is " + std::to_string(residual) + ", must be finite and at least 0");
    require(relative_residual >= 0 && relative_residual < 1, where,
            "relative_residual is " + std::to_string(relative_residual) + ", must be in [0, 1)");
    require(atoms > 0 || residual > 0 || relative_residual > 0, where,
            "one of atoms, residual and relative_residual must be set");
    require(gram_bytes >= 0, where, "gram_bytes is negative");
  }
};

/// Sparse representations of N targets by normalised atoms.
template <class Scalar>
struct SparseCodes {
  /// A × N: the atoms of each target in the order in which they were chosen, then -1.
  Eigen::MatrixX<index_t> atoms;
  Eigen::MatrixX<Scalar> coefficients;  ///< A × N, in that order, then 0
  std::vector<index_t> count;           ///< of atoms
  std::vector<Scalar> residual;         ///< ‖x - A γ‖
  std::vector<pursuit_status> status;
  /// (A + 1) × N: ‖x - A γ‖ with 0, 1, ... atoms, the last one repeated. It does not grow. On the
  /// way it is known to some hundred epsilon.
  Eigen::MatrixX<Scalar> residuals;
  /// Of each target the coefficients with 1, 2, ... atoms behind each other, s of them with s
  /// atoms; empty unless the path was asked for.
  std::vector<std::vector<Scalar>> path;

  [[nodiscard]] index_t size() const noexcept { return static_cast<index_t>(count.size()); }

  /// The coefficients of target j by its first `sparsity` atoms.
  /// @throws argument_error if there is no such target or sparsity, or the path was not kept
  [[nodiscard]] Eigen::Map<const Eigen::VectorX<Scalar>> with_atoms(index_t j,
                                                                    index_t sparsity) const {
    require(j >= 0 && j < size(), "SparseCodes::with_atoms",
            "there is no target " + std::to_string(j));
    const auto at = static_cast<std::size_t>(j);
    require(sparsity >= 0 && sparsity <= count[at], "SparseCodes::with_atoms",
            "target " + std::to_string(j) + " has " + std::to_string(count[at]) + " atoms, not " +
                std::to_string(sparsity));
    require(!path.empty() || sparsity == 0, "SparseCodes::with_atoms", "the path was not kept");
    return {sparsity == 0 ? nullptr : path[at].data() + sparsity * (sparsity - 1) / 2, sparsity};
  }

  /// A row for each of `dictionary_size` atoms, a column for each target.
  [[nodiscard]] Eigen::MatrixX<Scalar> dense(index_t dictionary_size) const {
    Eigen::MatrixX<Scalar> codes = Eigen::MatrixX<Scalar>::Zero(dictionary_size, size());
    for (index_t j = 0; j < size(); ++j) {
      for (index_t i = 0; i < count[static_cast<std::size_t>(j)]; ++i) {
        require(atoms(i, j) < dictionary_size, "SparseCodes::dense",
                "target " + std::to_string(j) + " uses atom " + std::to_string(atoms(i, j)) +
                    " of only " + std::to_string(dictionary_size));
        codes(atoms(i, j), j) = coefficients(i, j);
      }
    }
    return codes;
  }
};

namespace detail {

/// Where a target stands that goes on, besides the values of pursuit_status.
inline constexpr std::uint8_t pursued = 254;

/// Room for N codes of at most A atoms.
template <class Scalar>
[[nodiscard]] SparseCodes<Scalar> make_codes(index_t A, index_t N, bool path) {
  SparseCodes<Scalar> codes;
  codes.atoms = Eigen::MatrixX<index_t>::Constant(A, N, -1);
  codes.coefficients = Eigen::MatrixX<Scalar>::Zero(A, N);
  codes.residuals = Eigen::MatrixX<Scalar>::Zero(A + 1, N);
  const auto n = static_cast<std::size_t>(N);
  codes.count.resize(n);
  codes.residual.resize(n);
  codes.status.resize(n);
  if (path) codes.path.resize(n);
  return codes;
}

/// Writes a target's answer.
template <class Scalar, class Real>
void write_code(SparseCodes<Scalar>& codes, index_t j, pursuit_status ended,
                const std::vector<index_t>& support, const Real* coefficients,
                const std::vector<double>& squares) {
  const auto at = static_cast<std::size_t>(j);
  const auto t = static_cast<index_t>(support.size());
  codes.status[at] = ended;
  codes.count[at] = t;
  for (index_t i = 0; i < t; ++i) {
    codes.atoms(i, j) = support[static_cast<std::size_t>(i)];
    codes.coefficients(i, j) = static_cast<Scalar>(coefficients[i]);
  }
  for (index_t i = 0; i < codes.residuals.rows(); ++i) {
    const auto s = static_cast<std::size_t>(std::min(i, t));
    codes.residuals(i, j) = static_cast<Scalar>(std::sqrt(squares[s]));
  }
  codes.residual[at] = codes.residuals(t, j);
}

/// Zero and non-finite targets have their answer at once.
/// @return whether this is one
template <class Scalar>
[[nodiscard]] bool write_trivial(SparseCodes<Scalar>& codes, index_t j, double square) {
  if (is_finite(square) && square > 0) return false;
  const auto at = static_cast<std::size_t>(j);
  const bool zero = square == 0;
  codes.status[at] = zero ? pursuit_status::zero : pursuit_status::non_finite;
  codes.residual[at] = zero ? Scalar(0) : std::numeric_limits<Scalar>::quiet_NaN();
  codes.residuals.col(j).setConstant(codes.residual[at]);
  return true;
}

}  // namespace detail
}  // namespace basin
