// What orthogonal matching pursuit does, on every backend.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>
#include <Eigen/QR>

#include <basin/core/error.hpp>
#include <basin/sparse/dictionary.hpp>
#include <basin/sparse/pursuit.hpp>

#include "../catch.hpp"
#include "golden.hpp"
#include "problems.hpp"

namespace pursuits {

using basin::index_t;
using basin::pursuit_form;
using basin::pursuit_options;
using basin::pursuit_status;

inline constexpr pursuit_form forms[] = {pursuit_form::gram, pursuit_form::direct};

template <class Scalar>
inline constexpr bool single = std::is_same_v<Scalar, float>;

template <class B>
void few_atoms_are_found(const B& be) {
  using scalar = typename B::scalar;
  const auto dictionary = basin::make_dictionary<scalar>(problems::normal<double>(40, 80, 1));
  const Eigen::MatrixX<scalar> X =
      3 * dictionary.atoms.col(5) - 2 * dictionary.atoms.col(61) + dictionary.atoms.col(17);
  for (const pursuit_form form : forms) {
    const auto codes = basin::orthogonal_matching_pursuit(
        be, dictionary, X, {.residual = single<scalar> ? 1e-5 : 1e-9, .form = form});
    REQUIRE(codes.count[0] == 3);
    CHECK(codes.status[0] == pursuit_status::residual);
    CHECK(codes.residual[0] < (single<scalar> ? scalar(1e-6) : scalar(1e-13)));
    const Eigen::MatrixX<scalar> dense = codes.dense(80);
    CHECK(dense(5, 0) == Approx(3));
    CHECK(dense(61, 0) == Approx(-2));
    CHECK(dense(17, 0) == Approx(1));
  }
}

template <class B>
void answers_are_scikit_learns(const B& be) {
  const auto [name, options] =
      GENERATE(std::pair<const char*, pursuit_options>{"gaussian", {.atoms = 10}},
               std::pair<const char*, pursuit_options>{"coherent", {.atoms = 8}},
               std::pair<const char*, pursuit_options>{"to_residual", {.relative_residual = 0.3}});
  CAPTURE(name);
  const problems::golden known = problems::read_golden(name);
  for (const pursuit_form form : forms) {
    pursuit_options with = options;
    with.form = form;
    const auto codes =
        basin::orthogonal_matching_pursuit(be, known.dictionary, known.targets, with);
    CHECK((codes.dense(known.codes.rows()) - known.codes).cwiseAbs().maxCoeff() < 1e-11);
    for (index_t j = 0; j < codes.size(); ++j) {
      CHECK(codes.residual[static_cast<std::size_t>(j)] ==
            Approx(known.residuals[j]).epsilon(1e-10));
    }
  }
}

// The choices are the definition's; ties within rounding may fall either way, so it follows them.
template <class B>
void choices_are_the_definitions(const B& be, pursuit_form form) {
  using scalar = typename B::scalar;
  // On the CPU bounds are used from some thousand products a step on.
  const auto [alike, d, atoms] = GENERATE(std::tuple<double, index_t, index_t>{0, 700, 40},
                                          std::tuple<double, index_t, index_t>{0.5, 700, 40},
                                          std::tuple<double, index_t, index_t>{0.9, 500, 35});
  CAPTURE(alike, d);
  const auto dictionary = basin::make_dictionary<scalar>(problems::alike<double>(150, d, alike, 3));
  const Eigen::MatrixX<scalar> X = problems::normal<scalar>(150, slow_build ? 3 : 20, 4);
  const auto codes =
      basin::orthogonal_matching_pursuit(be, dictionary, X, {.atoms = atoms, .form = form});
  const Eigen::MatrixXd A = dictionary.atoms.template cast<double>();
  for (index_t j = 0; j < X.cols(); ++j) {
    const Eigen::VectorXd x = X.col(j).template cast<double>();
    const std::vector<double> best = problems::best_along(A, x, codes.atoms.col(j));
    REQUIRE(codes.count[static_cast<std::size_t>(j)] == atoms);
    for (index_t s = 0; s < atoms; ++s) {
      CAPTURE(j, s);
      CHECK(best[static_cast<std::size_t>(s)] >= 1 - (single<scalar> ? 1e-4 : 1e-10));
    }
    CHECK(problems::residual(dictionary, X, codes, j) ==
          Approx(static_cast<double>(codes.residual[static_cast<std::size_t>(j)]))
              .epsilon(single<scalar> ? 2e-6 : 1e-12));
  }
}

template <class B>
void path_has_every_sparsity(const B& be) {
  using scalar = typename B::scalar;
  const auto dictionary = basin::make_dictionary<scalar>(problems::normal<double>(30, 60, 1));
  const Eigen::MatrixX<scalar> X = problems::normal<scalar>(30, 4, 2);
  for (const pursuit_form form : forms) {
    const auto path = basin::orthogonal_matching_pursuit(be, dictionary, X,
                                                         {.atoms = 12, .form = form, .path = true});
    for (index_t s = 1; s <= 12; ++s) {
      const auto codes =
          basin::orthogonal_matching_pursuit(be, dictionary, X, {.atoms = s, .form = form});
      for (index_t j = 0; j < X.cols(); ++j) {
        CHECK(codes.atoms.col(j) == path.atoms.col(j).head(s));
        CHECK((codes.coefficients.col(j) - path.with_atoms(j, s)).norm() <
              (single<scalar> ? scalar(1e-5) : scalar(1e-12)));
        CHECK(codes.residual[static_cast<std::size_t>(j)] ==
              Approx(path.residuals(s, j)).epsilon(single<scalar> ? 1e-4 : 1e-9));
        CHECK(path.residuals(s, j) <= path.residuals(s - 1, j));
      }
    }
    CHECK(path.with_atoms(0, 0).size() == 0);
    CHECK_THROWS_AS(path.with_atoms(0, 13), basin::argument_error);
    CHECK_THROWS_AS(path.with_atoms(4, 1), basin::argument_error);
  }
  const auto none = basin::orthogonal_matching_pursuit(be, dictionary, X, {.atoms = 2});
  CHECK_THROWS_AS(none.with_atoms(0, 1), basin::argument_error);
}

template <class B>
void forms_end_on_the_true_residual(const B& be) {
  using scalar = typename B::scalar;
  const auto dictionary = basin::make_dictionary<scalar>(problems::normal<float>(60, 200, 6));
  const Eigen::MatrixX<scalar> X = problems::normal<scalar>(60, 8, 7);
  // In float ‖x‖^2 less the explained is lost in rounding here.
  const double tolerance = GENERATE(0.5, 1e-2, 3e-5);
  CAPTURE(tolerance);
  const auto gram = basin::orthogonal_matching_pursuit(
      be, dictionary, X, {.relative_residual = tolerance, .form = pursuit_form::gram});
  const auto direct = basin::orthogonal_matching_pursuit(
      be, dictionary, X, {.relative_residual = tolerance, .form = pursuit_form::direct});
  for (index_t j = 0; j < X.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    CHECK(gram.status[at] == pursuit_status::residual);
    CHECK(gram.count[at] == direct.count[at]);
    const double limit = tolerance * static_cast<double>(X.col(j).norm());
    CHECK(problems::residual(dictionary, X, gram, j) <= limit * (1 + 1e-3));
    CHECK(problems::residual(dictionary, X, direct, j) <= limit * (1 + 1e-3));
    const index_t t = gram.count[at];
    CHECK(static_cast<double>(gram.residuals(t - 1, j)) > limit);
  }
}

// Also where nothing asked for the residual on the way.
template <class B>
void explained_targets_have_their_residual(const B& be) {
  using scalar = typename B::scalar;
  basin::Dictionary<scalar> dictionary;
  dictionary.atoms = Eigen::MatrixX<scalar>::Identity(9, 8);
  Eigen::MatrixX<scalar> X = Eigen::MatrixX<scalar>::Zero(9, 2);
  X.col(0) << 1, 0, scalar(0.7), 0, scalar(0.3), 0, 0, 0, 0;
  X.col(1) << 1, 0, scalar(0.7), 0, scalar(0.3), 0, 0, 0, scalar(1e-5);
  for (const pursuit_form form : forms) {
    const auto codes =
        basin::orthogonal_matching_pursuit(be, dictionary, X, {.atoms = 6, .form = form});
    for (index_t j = 0; j < 2; ++j) {
      const auto at = static_cast<std::size_t>(j);
      CHECK(codes.status[at] == pursuit_status::explained);
      CHECK(codes.count[at] == 3);
      CHECK(static_cast<double>(codes.residual[at]) ==
            Approx(problems::residual(dictionary, X, codes, j)).epsilon(1e-6).margin(1e-300));
    }
  }
}

template <class B>
void every_end_has_its_status(const B& be) {
  using scalar = typename B::scalar;
  constexpr scalar nan = std::numeric_limits<scalar>::quiet_NaN();
  constexpr scalar infinity = std::numeric_limits<scalar>::infinity();
  Eigen::MatrixXd columns(3, 2);
  columns << 1, 1, 0, 1, 0, 0;
  const auto dictionary = basin::make_dictionary<scalar>(columns);
  // The square of its norm overflows, or its norm.
  constexpr scalar huge = single<scalar> ? scalar(3e38) : scalar(1e200);
  Eigen::MatrixX<scalar> X(3, 7);
  X << 0, nan, 0, 1, 2, 1, huge,      //
      0, 0, 0, 2, 1, infinity, huge,  //
      0, 0, 1, 0, 1, 0, huge;
  for (const pursuit_form form : forms) {
    const auto codes = basin::orthogonal_matching_pursuit(
        be, dictionary, X,
        {.atoms = 2, .residual = single<scalar> ? 1e-6 : 1e-9, .form = form, .path = true});
    CHECK(codes.status[0] == pursuit_status::zero);
    CHECK(codes.residual[0] == 0);
    CHECK(codes.status[1] == pursuit_status::non_finite);
    CHECK(std::isnan(codes.residual[1]));
    CHECK(std::isnan(codes.residuals(2, 1)));
    CHECK(codes.status[2] == pursuit_status::explained);
    CHECK(codes.count[2] == 0);
    CHECK(codes.residual[2] == Approx(1));
    CHECK(codes.status[3] == pursuit_status::residual);
    CHECK(codes.status[4] == pursuit_status::atoms);
    CHECK(codes.residual[4] == Approx(1));
    CHECK(codes.status[5] == pursuit_status::non_finite);
    CHECK(codes.status[6] == pursuit_status::non_finite);
    CHECK(codes.atoms(0, 0) == -1);
    CHECK(codes.coefficients(1, 2) == 0);
    CHECK(codes.path[1].empty());
    CHECK(codes.path[4].size() == 3);
    CHECK(codes.residuals(2, 2) == codes.residuals(0, 2));
  }
}

// A target that is no longer than what may be left of it needs no atom.
template <class B>
void short_targets_need_no_atom(const B& be) {
  using scalar = typename B::scalar;
  const auto dictionary = basin::make_dictionary<scalar>(problems::normal<double>(6, 9, 1));
  const Eigen::MatrixX<scalar> X = Eigen::MatrixX<scalar>::Constant(6, 2, scalar(0.5));
  for (const pursuit_form form : forms) {
    const auto codes =
        basin::orthogonal_matching_pursuit(be, dictionary, X, {.residual = 2, .form = form});
    CHECK(codes.status[1] == pursuit_status::residual);
    CHECK(codes.count[1] == 0);
    CHECK(codes.residual[1] == Approx(X.col(1).norm()));
  }
}

// Pairs at a distance of `apart`, and targets that are near to none.
template <class B>
void near_combinations_do_no_harm(const B& be) {
  using scalar = typename B::scalar;
  const Eigen::MatrixXf apart = problems::normal<float>(50, 20, 1);
  const Eigen::MatrixXf noise = problems::normal<float>(50, 20, 2);
  Eigen::MatrixXf columns(50, 40);
  columns << apart, apart + 1e-3f * noise;
  const auto dictionary = basin::make_dictionary<scalar>(columns);
  REQUIRE(dictionary.size() == 40);
  const Eigen::MatrixX<scalar> X = problems::normal<scalar>(50, 10, 3);
  const auto codes = basin::orthogonal_matching_pursuit(be, dictionary, X,
                                                        {.atoms = 40, .form = pursuit_form::gram});
  const auto direct = basin::orthogonal_matching_pursuit(
      be, dictionary, X, {.atoms = 40, .form = pursuit_form::direct});
  for (index_t j = 0; j < X.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    const double found = problems::residual(dictionary, X, codes, j);
    CHECK(found == Approx(static_cast<double>(codes.residual[at])).epsilon(1e-4));
    // Orthogonal to all chosen, as least squares is.
    CHECK(found <= problems::residual(dictionary, X, direct, j) * (1 + 1e-4) +
                       1e-4 * static_cast<double>(X.col(j).norm()));
    CHECK(codes.residuals(codes.count[at], j) <= codes.residuals(20, j));
    CHECK(codes.count[at] > 20);
  }
}

template <class B>
void dependent_atoms_end_a_pursuit(const B& be) {
  using scalar = typename B::scalar;
  basin::Dictionary<scalar> dictionary;
  // At a distance of 1e-8, below what inner products in double tell.
  dictionary.atoms = Eigen::MatrixX<scalar>::Zero(3, 2);
  dictionary.atoms << 1, 1, 0, scalar(1e-8), 0, 0;
  Eigen::MatrixX<scalar> X(3, 1);
  X << 1, 1, 1;
  for (const pursuit_form form : forms) {
    const auto codes =
        basin::orthogonal_matching_pursuit(be, dictionary, X, {.atoms = 2, .form = form});
    CHECK(codes.count[0] == 1);
    CHECK(codes.status[0] ==
          (single<scalar> ? pursuit_status::explained : pursuit_status::dependent));
    CHECK(codes.residual[0] == Approx(std::sqrt(2.0)).epsilon(1e-6));
  }
}

template <class B>
void ties_go_to_the_lower_index(const B& be) {
  using scalar = typename B::scalar;
  basin::Dictionary<scalar> dictionary;
  dictionary.atoms = Eigen::MatrixX<scalar>::Identity(70, 70);
  const Eigen::MatrixX<scalar> X = Eigen::MatrixX<scalar>::Ones(70, 1);
  for (const pursuit_form form : forms) {
    const auto codes =
        basin::orthogonal_matching_pursuit(be, dictionary, X, {.atoms = 70, .form = form});
    for (index_t s = 0; s < 70; ++s) CHECK(codes.atoms(s, 0) == s);
  }
}

// One atom, one target, more rows than atoms and fewer: down to least squares on all that there is.
template <class B>
void all_atoms_are_least_squares(const B& be) {
  using scalar = typename B::scalar;
  const auto [n, d, N] = GENERATE(std::tuple<index_t, index_t, index_t>{1, 1, 1},
                                  std::tuple<index_t, index_t, index_t>{7, 1, 3},
                                  std::tuple<index_t, index_t, index_t>{33, 5, 1},
                                  std::tuple<index_t, index_t, index_t>{5, 33, 7},
                                  std::tuple<index_t, index_t, index_t>{65, 31, 34});
  CAPTURE(n, d, N);
  const auto dictionary = basin::make_dictionary<scalar>(problems::normal<double>(n, d, 8));
  const Eigen::MatrixX<scalar> X = problems::normal<scalar>(n, N, 9);
  const Eigen::MatrixXd A = dictionary.atoms.template cast<double>();
  for (const pursuit_form form : forms) {
    // 100: more than there are.
    const auto codes =
        basin::orthogonal_matching_pursuit(be, dictionary, X, {.atoms = 100, .form = form});
    REQUIRE(codes.size() == N);
    REQUIRE(codes.atoms.rows() == std::min(n, d));
    const Eigen::MatrixXd left =
        X.template cast<double>() - A * codes.dense(d).template cast<double>();
    const double tolerance = single<scalar> ? 1e-4 : 1e-10;
    for (index_t j = 0; j < N; ++j) {
      const Eigen::VectorXd x = X.col(j).template cast<double>();
      const Eigen::VectorXd best = d <= n
                                       ? Eigen::VectorXd(x - A * A.colPivHouseholderQr().solve(x))
                                       : Eigen::VectorXd(Eigen::VectorXd::Zero(n));
      CHECK((left.col(j) - best).norm() <= tolerance * x.norm());
    }
  }
}

template <class B>
void codes_depend_on_the_target_alone(const B& be,
                                      const basin::Dictionary<typename B::scalar>& dictionary,
                                      index_t atoms) {
  using scalar = typename B::scalar;
  const Eigen::MatrixX<scalar> X = problems::normal<scalar>(dictionary.rows(), 19, 2);
  for (const pursuit_form form : forms) {
    const pursuit_options options{.atoms = atoms, .form = form};
    const auto all = basin::orthogonal_matching_pursuit(be, dictionary, X, options);
    const Eigen::MatrixX<scalar> reversed = X.rowwise().reverse();
    const auto back = basin::orthogonal_matching_pursuit(be, dictionary, reversed, options);
    CHECK(back.atoms.rowwise().reverse() == all.atoms);
    CHECK(back.coefficients.rowwise().reverse() == all.coefficients);
    CHECK(back.residuals.rowwise().reverse() == all.residuals);
    const auto alone = basin::orthogonal_matching_pursuit(be, dictionary, X.col(7), options);
    CHECK(alone.coefficients.col(0) == all.coefficients.col(7));
  }
}

template <class B>
void misuse_is_refused(const B& be) {
  using scalar = typename B::scalar;
  const auto dictionary = basin::make_dictionary<scalar>(problems::normal<double>(5, 6, 1));
  const Eigen::MatrixX<scalar> X = Eigen::MatrixX<scalar>::Ones(5, 1);
  const Eigen::MatrixX<scalar> wrong = Eigen::MatrixX<scalar>::Ones(4, 1);
  const auto refused = [&](const pursuit_options& options) {
    CHECK_THROWS_AS(basin::orthogonal_matching_pursuit(be, dictionary, X, options),
                    basin::argument_error);
  };
  refused({});
  refused({.atoms = -1});
  refused({.relative_residual = 1.0});
  CHECK_THROWS_WITH(basin::orthogonal_matching_pursuit(be, dictionary, wrong, {.atoms = 1}),
                    "orthogonal_matching_pursuit: number of rows of the targets is 4, expected 5");
  CHECK_THROWS_AS(basin::orthogonal_matching_pursuit(be, dictionary, wrong, {.atoms = 1}),
                  basin::size_error);
  const auto none = basin::orthogonal_matching_pursuit(be, dictionary, X.leftCols(0), {.atoms = 2});
  CHECK(none.size() == 0);
  basin::Dictionary<scalar> empty;
  empty.atoms.resize(5, 0);
  for (const pursuit_form form : forms) {
    const auto nothing =
        basin::orthogonal_matching_pursuit(be, empty, X, {.atoms = 2, .form = form});
    CHECK(nothing.count[0] == 0);
    CHECK(nothing.status[0] == pursuit_status::atoms);
    CHECK(nothing.residual[0] == Approx(X.norm()));
  }
}

}  // namespace pursuits
