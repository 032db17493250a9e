// Eigen's decompositions of matrices of double, compiled once (compiled_decompositions.cpp) for
// examples and tests: included before every file of these targets, which takes a third off the time
// that they take to compile.
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <Eigen/QR>
#include <Eigen/SVD>

#ifndef BASIN_COMPILED_DECOMPOSITIONS
#define BASIN_COMPILED_DECOMPOSITIONS extern
#endif

BASIN_COMPILED_DECOMPOSITIONS template class Eigen::RealSchur<Eigen::MatrixXd>;
BASIN_COMPILED_DECOMPOSITIONS template class Eigen::HessenbergDecomposition<Eigen::MatrixXd>;
BASIN_COMPILED_DECOMPOSITIONS template class Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>;
BASIN_COMPILED_DECOMPOSITIONS template class Eigen::Tridiagonalization<Eigen::MatrixXd>;
BASIN_COMPILED_DECOMPOSITIONS template class Eigen::FullPivLU<Eigen::MatrixXd>;
BASIN_COMPILED_DECOMPOSITIONS template class Eigen::PartialPivLU<Eigen::MatrixXd>;
BASIN_COMPILED_DECOMPOSITIONS template class Eigen::HouseholderQR<Eigen::MatrixXd>;
BASIN_COMPILED_DECOMPOSITIONS template class Eigen::JacobiSVD<Eigen::MatrixXd>;
