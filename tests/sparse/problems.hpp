// Dictionaries and targets for the tests of sparse/.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <Eigen/Cholesky>
#include <Eigen/Core>

#include <basin/backend/cpu.hpp>
#include <basin/sparse/dictionary.hpp>
#include <basin/sparse/pursuit.hpp>

#include "../catch.hpp"

namespace problems {

using basin::index_t;

template <class Scalar>
Eigen::MatrixX<Scalar> normal(index_t rows, index_t columns, std::uint64_t seed) {
  Eigen::MatrixX<Scalar> X(rows, columns);
  basin::fill_normal(basin::cpu<Scalar>(1), {.seed = seed}, X);
  return X;
}

// Gaussian columns that share a direction: two atoms have an inner product near `alike`.
template <class Scalar>
Eigen::MatrixX<Scalar> alike(index_t rows, index_t columns, double alike, std::uint64_t seed) {
  const Eigen::MatrixXd own = normal<double>(rows, columns, seed);
  const Eigen::MatrixXd common = normal<double>(rows, 1, seed + 1);
  return (std::sqrt(1 - alike) * own +
          std::sqrt(alike) * common * Eigen::RowVectorXd::Ones(columns))
      .template cast<Scalar>();
}

// For every step of a pursuit the chosen atom's |correlation| with the residual, over the greatest:
// 1 where the choice is that of the definition. By normal equations, in double.
inline std::vector<double> best_along(const Eigen::MatrixXd& A, const Eigen::VectorXd& x,
                                      const Eigen::VectorX<index_t>& chosen) {
  std::vector<double> ratios;
  std::vector<index_t> support;
  Eigen::VectorXd residual = x;
  for (const index_t atom : chosen) {
    Eigen::VectorXd correlation = (A.transpose() * residual).cwiseAbs();
    for (const index_t j : support) correlation[j] = 0;
    ratios.push_back(correlation[atom] / correlation.maxCoeff());
    support.push_back(atom);
    const Eigen::MatrixXd B = A(Eigen::all, support);
    residual = x - B * (B.transpose() * B).llt().solve(B.transpose() * x);
  }
  return ratios;
}

// ‖x - A γ‖ of a code, by itself.
template <class Scalar>
double residual(const basin::Dictionary<Scalar>& dictionary, const Eigen::MatrixX<Scalar>& X,
                const basin::SparseCodes<Scalar>& codes, index_t j) {
  Eigen::VectorXd left = X.col(j).template cast<double>();
  for (index_t i = 0; i < codes.count[static_cast<std::size_t>(j)]; ++i) {
    left -= static_cast<double>(codes.coefficients(i, j)) *
            dictionary.atoms.col(codes.atoms(i, j)).template cast<double>();
  }
  return left.norm();
}

}  // namespace problems
