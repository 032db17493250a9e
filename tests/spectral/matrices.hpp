// Matrices with known spectra, for the tests of spectral/.
#pragma once

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <Eigen/Core>
#include <Eigen/QR>

#include <basin/io/safetensors.hpp>

#include "../catch.hpp"
#include "../solver/maps.hpp"

namespace matrices {

using basin::index_t;

// Random orthogonal.
inline Eigen::MatrixXd orthogonal(index_t k, std::uint64_t seed) {
  return Eigen::HouseholderQR<Eigen::MatrixXd>(maps::starts(k, k, seed)).householderQ();
}

// Ones on three diagonals above and on the main one, -1 below: very far from normal.
inline Eigen::MatrixXd grcar(index_t k) {
  Eigen::MatrixXd A = Eigen::MatrixXd::Zero(k, k);
  for (index_t i = 0; i < k; ++i) {
    for (index_t j = i; j < std::min(k, i + 4); ++j) A(i, j) = 1;
    if (i > 0) A(i, i - 1) = -1;
  }
  return A;
}

// λ on the diagonal, `above` over it.
inline Eigen::MatrixXd jordan(index_t k, double lambda, double above) {
  Eigen::MatrixXd A = lambda * Eigen::MatrixXd::Identity(k, k);
  A.diagonal(1).setConstant(above);
  return A;
}

// LAPACK's answer; see golden/spectral/make.py.
struct golden {
  Eigen::MatrixXd A;
  Eigen::VectorXcd values;
  Eigen::VectorXd condition;
};

inline golden read_golden(const std::string& name) {
  const auto folder = std::filesystem::path(__FILE__).parent_path() / "../golden/spectral";
  const basin::SafetensorsFile file((folder / (name + ".safetensors")).string());
  const std::vector<double> A = file.read<double>("A");
  const std::vector<double> values = file.read<double>("values");
  const std::vector<double> condition = file.read<double>("condition");
  const auto k = static_cast<index_t>(condition.size());
  golden g;
  g.A = Eigen::Map<const Eigen::MatrixXd>(A.data(), k, k).transpose();
  g.values.resize(k);
  for (index_t i = 0; i < k; ++i) {
    g.values[i] = {values[static_cast<std::size_t>(2 * i)],
                   values[static_cast<std::size_t>(2 * i + 1)]};
  }
  g.condition = Eigen::Map<const Eigen::VectorXd>(condition.data(), k);
  return g;
}

}  // namespace matrices
