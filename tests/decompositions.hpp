// Eigen's decompositions that many tests use, compiled once (decompositions.cpp): included before
// every file of their rooms, which takes a third off the time that these take to compile.
#pragma once

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <Eigen/QR>

#ifndef BASIN_TEST_DECOMPOSITIONS
#define BASIN_TEST_DECOMPOSITIONS extern
#endif

BASIN_TEST_DECOMPOSITIONS template class Eigen::RealSchur<Eigen::MatrixXd>;
BASIN_TEST_DECOMPOSITIONS template class Eigen::HessenbergDecomposition<Eigen::MatrixXd>;
BASIN_TEST_DECOMPOSITIONS template class Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>;
BASIN_TEST_DECOMPOSITIONS template class Eigen::Tridiagonalization<Eigen::MatrixXd>;
BASIN_TEST_DECOMPOSITIONS template class Eigen::FullPivLU<Eigen::MatrixXd>;
BASIN_TEST_DECOMPOSITIONS template class Eigen::PartialPivLU<Eigen::MatrixXd>;
BASIN_TEST_DECOMPOSITIONS template class Eigen::HouseholderQR<Eigen::MatrixXd>;
