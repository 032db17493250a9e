/// @file
/// Orthogonal matching pursuit by products with the residuals, without a Gram matrix.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/sparse/gram_pursuit.hpp>
#include <basin/sparse/inverse_cholesky.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin::detail {

/// out = x - A_I γ, n numbers in double.
template <class Scalar, class Real>
void residual_of(const Eigen::Ref<const Eigen::MatrixX<Scalar>>& A,
                 const Eigen::Ref<const Eigen::VectorX<Scalar>>& x,
                 const std::vector<index_t>& support, const Real* coefficients,
                 Eigen::Ref<Eigen::VectorXd> out) {
  out = x.template cast<double>();
  for (std::size_t i = 0; i < support.size(); ++i) {
    out -= static_cast<double>(coefficients[i]) * A.col(support[i]).template cast<double>();
  }
}

/// One target: its support, the factor, the coefficients and the residual, all in double.
template <class Scalar>
struct DirectTarget {
  InverseCholesky<double> factor;
  std::vector<index_t> support;
  std::vector<double> coefficients, squares;
  Eigen::VectorXd residual;
  pursuit_status ended = pursuit_status::atoms;

  void start(const Eigen::Ref<const Eigen::VectorX<Scalar>>& x, double square, index_t most) {
    factor.reserve(most);
    factor.clear();
    support.clear();
    coefficients.clear();
    squares.assign(1, square);
    residual = x.template cast<double>();
    ended = pursuit_status::atoms;
  }

  /// Takes in the atom of greatest correlation.
  /// @param correlations d of them, in the rounding of Scalar
  /// @return false if the pursuit has ended
  [[nodiscard]] bool step(const Eigen::Ref<const Eigen::MatrixX<Scalar>>& A,
                          const Eigen::Ref<const Eigen::VectorX<Scalar>>& x, Scalar* correlations,
                          const pursuit_end& end) {
    for (const index_t j : support) correlations[j] = 0;
    Eigen::Index at = 0;
    const Eigen::Map<const Eigen::VectorX<Scalar>> c(correlations, A.cols());
    c.cwiseAbs().maxCoeff(&at);  // the first of equal ones
    const index_t t = factor.size();
    const auto atom = A.col(at).template cast<double>();
    const double correlation = atom.dot(residual);
    constexpr double rounding = std::numeric_limits<Scalar>::epsilon();
    if (std::abs(correlation) <= rounding * std::sqrt(squares.front())) {
      ended = pursuit_status::explained;
      return false;
    }
    for (index_t i = 0; i < t; ++i) {
      factor.products()[i] =
          A.col(support[static_cast<std::size_t>(i)]).template cast<double>().dot(atom);
    }
    const double height = factor.add(atom.squaredNorm(), 1e-7);
    if (!(height > 1e-7)) {
      ended = pursuit_status::dependent;
      return false;
    }
    support.push_back(at);
    coefficients.push_back(0);
    const double* const row = factor.row(t);
    for (index_t i = 0; i <= t; ++i) {
      coefficients[static_cast<std::size_t>(i)] += correlation / height * row[i];
    }
    residual_of<Scalar>(A, x, support, coefficients.data(), residual);
    squares.push_back(std::min(squares.back(), residual.squaredNorm()));
    if (end.residual_square > 0 && squares.back() <= end.residual_square) {
      ended = pursuit_status::residual;
      return false;
    }
    return t + 1 < end.atoms;
  }
};

}  // namespace basin::detail
