// Thresholding, and pursuit with coefficients that are not negative, on every backend.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include <Eigen/Core>

#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/sparse/dictionary.hpp>
#include <basin/sparse/orthogonal_matching_pursuit.hpp>
#include <basin/sparse/pursuit.hpp>

#include "../catch.hpp"
#include "golden.hpp"
#include "problems.hpp"

namespace other_pursuits {

using basin::index_t;
using basin::pursuit_options;
using basin::pursuit_status;

template <class B>
void thresholding_is_matching_pursuit(const B& be) {
  using scalar = typename B::scalar;
  const double small = std::is_same_v<scalar, float> ? 1e-5 : 1e-12;
  const auto basis = basin::random_orthogonal_dictionary(be, 40, 30, {.seed = 1});
  const Eigen::MatrixX<scalar> X = problems::normal<scalar>(40, 9, 2);
  for (const pursuit_options& options :
       {pursuit_options{.atoms = 12, .path = true},
        pursuit_options{.relative_residual = 0.7, .path = true},
        pursuit_options{.atoms = 30, .residual = 1e-9, .path = true}}) {
    const auto a = basin::thresholding(be, basis, X, options);
    const auto b = basin::orthogonal_matching_pursuit(basin::cpu<scalar>(1), basis, X, options);
    CHECK(a.atoms == b.atoms);
    CHECK((a.coefficients - b.coefficients).cwiseAbs().maxCoeff() < small);
    CHECK((a.residuals - b.residuals).cwiseAbs().maxCoeff() < 1000 * small);
    CHECK(a.status == b.status);
    CHECK((a.with_atoms(3, 5) - b.with_atoms(3, 5)).norm() < small);
    for (std::size_t j = 0; j < 9; ++j) CHECK(a.path[j].size() == b.path[j].size());
  }
}

template <class B>
void thresholding_takes_the_greatest(const B& be) {
  using scalar = typename B::scalar;
  // The identity: coefficients are the entries, of which equal ones go by their index.
  basin::Dictionary<scalar> basis;
  basis.atoms.setIdentity(70, 70);
  Eigen::MatrixX<scalar> X = Eigen::MatrixX<scalar>::Zero(70, 4);
  X(69, 0) = -2;
  X(3, 0) = X(40, 0) = X(5, 0) = 1;
  X.col(1).setOnes();
  X(3, 3) = std::numeric_limits<scalar>::quiet_NaN();
  const auto codes = basin::thresholding(be, basis, X, {.atoms = 5});
  CHECK(codes.status[0] == pursuit_status::explained);
  REQUIRE(codes.count[0] == 4);
  CHECK(codes.atoms.col(0).head(4) == Eigen::Vector4<index_t>(69, 3, 5, 40));
  CHECK(codes.coefficients.col(0).head(4) == Eigen::Vector4<scalar>(-2, 1, 1, 1));
  CHECK(codes.residual[0] == 0);
  CHECK(codes.status[1] == pursuit_status::atoms);
  for (index_t s = 0; s < 5; ++s) CHECK(codes.atoms(s, 1) == s);
  for (index_t s = 0; s <= 5; ++s) {
    CHECK(codes.residuals(s, 1) == Approx(std::sqrt(static_cast<double>(70 - s))));
  }
  CHECK(codes.status[2] == pursuit_status::zero);
  CHECK(codes.residual[2] == 0);
  CHECK(codes.count[2] == 0);
  CHECK(codes.status[3] == pursuit_status::non_finite);
  CHECK(std::isnan(codes.residual[3]));
  const auto enough = basin::thresholding(be, basis, X.leftCols(1), {.residual = 1.5});
  CHECK(enough.status[0] == pursuit_status::residual);
  CHECK(enough.count[0] == 2);
  const auto skew = basin::make_dictionary<scalar>(problems::normal<double>(70, 3, 1));
  CHECK_THROWS_WITH(basin::thresholding(be, skew, X, {.atoms = 2}),
                    Catch::Matchers::StartsWith("thresholding: the atoms are not orthogonal"));
  CHECK_THROWS_AS(basin::thresholding(be, basis, X.topRows(3), {.atoms = 2}), basin::size_error);
  CHECK_THROWS_AS(basin::thresholding(be, basis, X, {}), basin::argument_error);
  CHECK(basin::thresholding(be, basis, X.leftCols(0), {.atoms = 2}).size() == 0);
  basis.atoms.resize(70, 0);
  const auto empty = basin::thresholding(be, basis, X, {.atoms = 2});
  CHECK(empty.status[1] == pursuit_status::atoms);
  CHECK(empty.status[2] == pursuit_status::zero);
  CHECK(empty.residual[1] == Approx(std::sqrt(70.0)));
}

template <class B>
void all_atoms_are_non_negative_least_squares(const B& be) {
  const problems::golden known = problems::read_golden("non_negative");
  const auto codes =
      basin::non_negative_pursuit(be, known.dictionary, known.targets, {.relative_residual = 1e-6});
  CHECK((codes.dense(known.codes.rows()) - known.codes).cwiseAbs().maxCoeff() < 1e-11);
  for (index_t j = 0; j < codes.size(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    CHECK(codes.status[at] == pursuit_status::explained);
    CHECK(codes.residual[at] == Approx(known.residuals[j]).epsilon(1e-12));
  }
}

// The optimality conditions of non-negative least squares, where many atoms leave on the way.
template <class B>
void optimal_by_its_conditions(const B& be) {
  using scalar = typename B::scalar;
  const double small = std::is_same_v<scalar, float> ? 2e-5 : 1e-12;
  const auto dictionary = basin::make_dictionary<scalar>(problems::alike<double>(45, 120, 0.6, 5));
  const index_t N = slow_build ? 5 : 21;
  const Eigen::MatrixX<scalar> X =
      dictionary.atoms * problems::normal<scalar>(120, N, 6).cwiseAbs() +
      5 * problems::normal<scalar>(45, N, 7);
  const auto codes = basin::non_negative_pursuit(be, dictionary, X, {.relative_residual = 1e-6});
  const Eigen::MatrixXd A = dictionary.atoms.template cast<double>();
  const Eigen::MatrixXd dense = codes.dense(120).template cast<double>();
  CHECK(dense.minCoeff() >= 0);
  for (index_t j = 0; j < X.cols(); ++j) {
    const Eigen::VectorXd x = X.col(j).template cast<double>();
    const Eigen::VectorXd gradient = A.transpose() * (x - A * dense.col(j));
    CHECK(codes.status[static_cast<std::size_t>(j)] == pursuit_status::explained);
    CHECK(codes.count[static_cast<std::size_t>(j)] > 5);
    CHECK(gradient.maxCoeff() <= small * x.norm());
    CHECK(std::abs(gradient.dot(dense.col(j))) <= small * x.squaredNorm());
  }
}

template <class B>
void non_negative_keeps_to_its_limits(const B& be) {
  using scalar = typename B::scalar;
  const double small = std::is_same_v<scalar, float> ? 1e-5 : 1e-12;
  const auto dictionary = basin::make_dictionary<scalar>(problems::normal<double>(30, 50, 3));
  const Eigen::MatrixX<scalar> X = problems::normal<scalar>(30, 15, 4);
  const auto codes = basin::non_negative_pursuit(be, dictionary, X, {.atoms = 6});
  CHECK(codes.coefficients.minCoeff() >= 0);
  for (index_t j = 0; j < X.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    CHECK(codes.count[at] == 6);
    CHECK(codes.status[at] == pursuit_status::atoms);
    CHECK(problems::residual(dictionary, X, codes, j) ==
          Approx(static_cast<double>(codes.residual[at])).epsilon(small));
    for (index_t s = 1; s <= 6; ++s) CHECK(codes.residuals(s, j) <= codes.residuals(s - 1, j));
  }
  const auto near = basin::non_negative_pursuit(be, dictionary, X, {.relative_residual = 0.8});
  for (index_t j = 0; j < X.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    if (near.status[at] != pursuit_status::residual) continue;
    CHECK(near.residual[at] <= scalar(0.8) * X.col(j).norm());
    CHECK(near.residuals(near.count[at] - 1, j) > scalar(0.8) * X.col(j).norm());
  }
  CHECK(std::count(near.status.begin(), near.status.end(), pursuit_status::residual) > 3);
  // Atoms on the other side only.
  basin::Dictionary<scalar> one;
  one.atoms = dictionary.atoms.leftCols(1);
  Eigen::MatrixX<scalar> behind(30, 3);
  behind << -one.atoms, Eigen::VectorX<scalar>::Zero(30), one.atoms;
  behind(4, 2) = std::numeric_limits<scalar>::infinity();
  const auto none = basin::non_negative_pursuit(be, one, behind, {.atoms = 1});
  CHECK(none.count == std::vector<index_t>{0, 0, 0});
  CHECK(none.status == std::vector<pursuit_status>{pursuit_status::explained, pursuit_status::zero,
                                                   pursuit_status::non_finite});
  CHECK_THROWS_AS(basin::non_negative_pursuit(be, one, behind, {.atoms = 1, .path = true}),
                  basin::argument_error);
  CHECK_THROWS_AS(
      basin::non_negative_pursuit(be, one, behind, {.atoms = 1, .form = basin::pursuit_form::gram}),
      basin::argument_error);
  CHECK_THROWS_AS(basin::non_negative_pursuit(be, one, behind.topRows(4), {.atoms = 1}),
                  basin::size_error);
  CHECK(basin::non_negative_pursuit(be, one, behind.leftCols(0), {.atoms = 1}).size() == 0);
  one.atoms.resize(30, 0);
  const auto empty = basin::non_negative_pursuit(be, one, X, {.atoms = 1});
  CHECK(empty.status[0] == pursuit_status::atoms);
  CHECK(empty.count[0] == 0);
  CHECK(empty.residual[0] == Approx(static_cast<double>(X.col(0).norm())));
}

// The diagonal joins first, and has a coefficient below zero beside both axes.
template <class B>
void atoms_leave_again(const B& be) {
  using scalar = typename B::scalar;
  basin::Dictionary<scalar> dictionary;
  const auto r = static_cast<scalar>(std::sqrt(1.0 / 3));
  dictionary.atoms.resize(3, 3);
  dictionary.atoms << r, 1, 0, r, 0, 1, r, 0, 0;
  Eigen::MatrixX<scalar> X(3, 2);
  X << 1, 1, 1, 1, scalar(-0.1), scalar(0.1);
  const auto first = basin::non_negative_pursuit(be, dictionary, X, {.atoms = 1});
  CHECK(first.atoms(0, 0) == 0);
  const auto codes = basin::non_negative_pursuit(be, dictionary, X, {.relative_residual = 1e-6});
  CHECK(codes.status[0] == pursuit_status::explained);
  REQUIRE(codes.count[0] == 2);
  CHECK(codes.atoms.col(0).head(2) == Eigen::Vector2<index_t>(1, 2));
  CHECK(codes.coefficients(0, 0) == Approx(1));
  CHECK(codes.coefficients(1, 0) == Approx(1));
  CHECK(codes.residual[0] == Approx(0.1));
  // On the other side it stays.
  CHECK(codes.status[1] == pursuit_status::residual);
  REQUIRE(codes.count[1] == 3);
  CHECK(codes.coefficients(0, 1) == Approx(0.1 / r));
  CHECK(codes.coefficients(2, 1) == Approx(0.9));
}

template <class B>
void non_negative_codes_hang_on_the_target_alone(const B& be) {
  using scalar = typename B::scalar;
  const auto dictionary = basin::make_dictionary<scalar>(problems::alike<double>(40, 70, 0.6, 5));
  const Eigen::MatrixX<scalar> X = problems::normal<scalar>(40, 17, 8).array() + scalar(0.5);
  const auto all = basin::non_negative_pursuit(be, dictionary, X, {.atoms = 12});
  for (const index_t j : {0, 7, 16}) {
    const auto alone = basin::non_negative_pursuit(be, dictionary, X.col(j).eval(), {.atoms = 12});
    CHECK(alone.atoms == all.atoms.col(j));
    CHECK(alone.coefficients == all.coefficients.col(j));
    CHECK(alone.residuals == all.residuals.col(j));
    CHECK(alone.status[0] == all.status[static_cast<std::size_t>(j)]);
  }
}

}  // namespace other_pursuits
