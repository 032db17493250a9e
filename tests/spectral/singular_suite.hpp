// Singular values of matrices that are known, on every backend.
#pragma once

#include <algorithm>
#include <vector>

#include <basin/backend/device.hpp>
#include <basin/map/affine.hpp>
#include <basin/spectral/singular_values.hpp>

#include "eigenvalues_suite.hpp"
#include "matrices.hpp"

namespace spectra {

using basin::singular_value_method;

inline constexpr singular_value_method singular_methods[] = {singular_value_method::dense,
                                                             singular_value_method::golub_kahan};

template <class Backend>
basin::SingularValues singular_of(const Backend& be, const Eigen::MatrixXd& J,
                                  const basin::singular_value_options& options) {
  auto map = linear(be, J);
  return basin::singular_values(be, map, Eigen::MatrixXd::Zero(J.cols(), 1), options)[0];
}

template <class Backend>
void known_singular_values(const Backend& be) {
  for (const auto method : singular_methods) {
    INFO("method " << static_cast<int>(method));
    const auto check = [&](const Eigen::MatrixXd& J, const std::vector<double>& known) {
      const auto found =
          singular_of(be, J, {.count = static_cast<index_t>(known.size()), .method = method});
      CHECK(found.status == spectral_status::converged);
      CHECK(found.dense == (method == singular_value_method::dense));
      REQUIRE(found.size() == static_cast<index_t>(known.size()));
      for (std::size_t i = 0; i < known.size(); ++i) {
        CHECK(found.values[static_cast<index_t>(i)] ==
              Approx(known[i]).margin(1e-12 * std::max(1.0, known[0])));
      }
      CHECK(found.residual.maxCoeff() <= 1e-8);
    };
    check(Eigen::MatrixXd::Constant(1, 1, -3), {3});
    check(Eigen::Vector4d(1, -5, 0, 2).asDiagonal(), {5, 2, 1, 0});
    check(2 * matrices::orthogonal(30, 3), {2, 2, 2});
    check(Eigen::MatrixXd::Zero(7, 7), {0, 0, 0});
    const Eigen::VectorXd u = maps::starts(40, 1, 1), v = maps::starts(40, 1, 2);
    check(u * v.transpose(), {u.norm() * v.norm(), 0, 0});
    // (0 1; 0 0): eigenvalues 0, norm 1.
    check(matrices::jordan(2, 0, 1), {1, 0});
    // A multiple value among others, where the space closes.
    Eigen::VectorXd diagonal = Eigen::VectorXd::Constant(50, 1);
    diagonal.head(3).setConstant(4);
    check(diagonal.asDiagonal(), {4, 4, 4, 1, 1});
  }
}

template <class Backend>
void singular_values_of_many_shapes(const Backend& be) {
  for (const auto& [rows, cols] :
       {std::pair<index_t, index_t>{90, 70}, {70, 90}, {1, 80}, {80, 1}, {2, 2}, {61, 61}}) {
    const Eigen::MatrixXd J = maps::starts(rows, cols, 3);
    for (const auto method : singular_methods) {
      INFO(rows << " x " << cols << ", method " << static_cast<int>(method));
      const auto found = singular_of(be, J, {.count = 4, .vectors = true, .method = method});
      const index_t m = std::min<index_t>({4, rows, cols});
      REQUIRE(found.size() == m);
      CHECK(found.left.rows() == rows);
      CHECK(found.right.rows() == cols);
      const Eigen::MatrixXd identity = Eigen::MatrixXd::Identity(m, m);
      CHECK((found.left.transpose() * found.left - identity).norm() < 1e-12);
      CHECK((found.right.transpose() * found.right - identity).norm() < 1e-12);
      CHECK((J * found.right - found.left * Eigen::MatrixXd(found.values.asDiagonal())).norm() <=
            1e-7 * J.norm());
      CHECK((J.transpose() * found.left - found.right * Eigen::MatrixXd(found.values.asDiagonal()))
                .norm() <= 1e-7 * J.norm());
    }
  }
}

}  // namespace spectra
