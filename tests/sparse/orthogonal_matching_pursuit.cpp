// Orthogonal matching pursuit: supports, least squares, ends, both forms, reproducibility.
#include <algorithm>
#include <limits>
#include <vector>

#include <Eigen/Cholesky>

#include <basin/sparse/direct_pursuit.hpp>
#include <basin/sparse/gram_pursuit.hpp>
#include <basin/sparse/inverse_cholesky.hpp>
#include <basin/sparse/lagging_correlations.hpp>
#include <basin/sparse/orthogonal_matching_pursuit.hpp>

#include "problems.hpp"

using basin::index_t;
using basin::pursuit_form;
using basin::pursuit_options;
using basin::pursuit_status;

namespace {

const basin::cpu<double> cpu(2);
const basin::cpu<float> float_cpu(2);
constexpr pursuit_form forms[] = {pursuit_form::gram, pursuit_form::direct};

}  // namespace

TEST_CASE("a combination of few atoms is found, whichever form", "[sparse]") {
  const auto dictionary = basin::make_dictionary<double>(problems::normal<double>(40, 80, 1));
  const Eigen::MatrixXd X =
      3 * dictionary.atoms.col(5) - 2 * dictionary.atoms.col(61) + dictionary.atoms.col(17);
  for (const pursuit_form form : forms) {
    const auto codes =
        basin::orthogonal_matching_pursuit(cpu, dictionary, X, {.residual = 1e-9, .form = form});
    REQUIRE(codes.count[0] == 3);
    CHECK(codes.status[0] == pursuit_status::residual);
    CHECK(codes.residual[0] < 1e-13);
    const Eigen::MatrixXd dense = codes.dense(80);
    CHECK(dense(5, 0) == Approx(3));
    CHECK(dense(61, 0) == Approx(-2));
    CHECK(dense(17, 0) == Approx(1));
  }
}

TEST_CASE("the answers are scikit-learn's", "[sparse]") {
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
        basin::orthogonal_matching_pursuit(cpu, known.dictionary, known.targets, with);
    CHECK((codes.dense(known.codes.rows()) - known.codes).cwiseAbs().maxCoeff() < 1e-11);
    for (index_t j = 0; j < codes.size(); ++j) {
      CHECK(codes.residual[static_cast<std::size_t>(j)] ==
            Approx(known.residuals[j]).epsilon(1e-10));
    }
  }
}

TEMPLATE_TEST_CASE("the choices are those of the definition while correlations lag", "[sparse]",
                   float, double) {
  // Large enough that bounds are used: below some thousand products a step they are not.
  const auto [alike, d, atoms] = GENERATE(std::tuple<double, index_t, index_t>{0, 700, 40},
                                          std::tuple<double, index_t, index_t>{0.5, 700, 40},
                                          std::tuple<double, index_t, index_t>{0.9, 500, 35});
  CAPTURE(alike, d);
  const basin::cpu<TestType> be(2);
  const auto dictionary =
      basin::make_dictionary<TestType>(problems::alike<double>(150, d, alike, 3));
  const Eigen::MatrixX<TestType> X = problems::normal<TestType>(150, slow_build ? 3 : 20, 4);
  const auto codes = basin::orthogonal_matching_pursuit(
      be, dictionary, X, {.atoms = atoms, .form = pursuit_form::gram});
  const Eigen::MatrixXd A = dictionary.atoms.template cast<double>();
  for (index_t j = 0; j < X.cols(); ++j) {
    const Eigen::VectorXd x = X.col(j).template cast<double>();
    // Ties within rounding may fall either way, so the definition follows the choices.
    const std::vector<double> best = problems::best_along(A, x, codes.atoms.col(j));
    for (index_t s = 0; s < atoms; ++s) {
      CAPTURE(j, s);
      CHECK(best[static_cast<std::size_t>(s)] >=
            1 - (std::is_same_v<TestType, float> ? 1e-4 : 1e-10));
    }
    const double tolerance = std::is_same_v<TestType, float> ? 2e-6 : 1e-12;
    CHECK(problems::residual(dictionary, X, codes, j) ==
          Approx(static_cast<double>(codes.residual[static_cast<std::size_t>(j)]))
              .epsilon(tolerance));
  }
}

TEST_CASE("bounds change no choice, and spare work", "[sparse]") {
  const index_t d = 900, atoms = 120;
  const auto dictionary = basin::make_dictionary<float>(problems::normal<float>(400, d, 8));
  const Eigen::MatrixXf G = dictionary.atoms.transpose() * dictionary.atoms;
  const Eigen::VectorXf b = dictionary.atoms.transpose() * problems::normal<float>(400, 1, 9);
  basin::detail::LaggingCorrelations<float, float> lagging(d, atoms, true), plain(d, atoms, false);
  basin::detail::InverseCholesky<float> factor(atoms);
  lagging.start(G, b.data());
  plain.start(G, b.data());
  std::vector<float> coefficients;
  for (index_t s = 0; s < atoms; ++s) {
    const auto a = lagging.best(), c = plain.best();
    REQUIRE(a.atom == c.atom);
    REQUIRE(a.correlation == Approx(c.correlation).epsilon(1e-4));
    for (index_t i = 0; i < s; ++i) {
      factor.products()[i] = G(lagging.support()[static_cast<std::size_t>(i)], a.atom);
    }
    const float height = factor.add(1, 0);
    coefficients.push_back(0);
    for (index_t i = 0; i <= s; ++i) {
      coefficients[static_cast<std::size_t>(i)] += a.correlation / height * factor.row(s)[i];
    }
    lagging.join(a.atom, coefficients.data());
    plain.join(a.atom, coefficients.data());
  }
  CHECK(plain.refreshed() > d * atoms * (atoms - 3) / 2);
  CHECK(lagging.refreshed() + lagging.evaluated() < plain.refreshed() / 2);
}

TEST_CASE("the factor grows to the inverse of Cholesky's", "[sparse]") {
  const index_t n = 70;
  const Eigen::MatrixXd A = problems::normal<double>(90, n, 5);
  const Eigen::MatrixXd G = A.transpose() * A;
  basin::detail::InverseCholesky<double> factor(n);
  for (index_t t = 0; t < n; ++t) {
    for (index_t i = 0; i < t; ++i) factor.products()[i] = G(i, t);
    const double height = factor.add(G(t, t), 0);
    const Eigen::MatrixXd L = G.topLeftCorner(t + 1, t + 1).llt().matrixL();
    CHECK(height == Approx(L(t, t)).epsilon(1e-11));
  }
  Eigen::MatrixXd F = Eigen::MatrixXd::Zero(n, n);
  for (index_t r = 0; r < n; ++r) {
    for (index_t i = 0; i <= r; ++i) F(r, i) = factor.row(r)[i];
  }
  CHECK((F * G * F.transpose() - Eigen::MatrixXd::Identity(n, n)).cwiseAbs().maxCoeff() < 1e-10);
  // A column of the span is refused and changes nothing.
  for (index_t i = 0; i < n; ++i) factor.products()[i] = G(i, 3);
  CHECK(factor.add(G(3, 3), 1e-4) <= 1e-4);
  CHECK(factor.size() == n);
}

TEST_CASE("the path has the answer for every sparsity", "[sparse]") {
  const auto dictionary = basin::make_dictionary<double>(problems::normal<double>(30, 60, 1));
  const Eigen::MatrixXd X = problems::normal<double>(30, 4, 2);
  for (const pursuit_form form : forms) {
    const auto path = basin::orthogonal_matching_pursuit(cpu, dictionary, X,
                                                         {.atoms = 12, .form = form, .path = true});
    for (index_t s = 1; s <= 12; ++s) {
      const auto codes =
          basin::orthogonal_matching_pursuit(cpu, dictionary, X, {.atoms = s, .form = form});
      for (index_t j = 0; j < X.cols(); ++j) {
        CHECK(codes.atoms.col(j) == path.atoms.col(j).head(s));
        CHECK((codes.coefficients.col(j) - path.with_atoms(j, s)).norm() < 1e-12);
        CHECK(codes.residual[static_cast<std::size_t>(j)] ==
              Approx(path.residuals(s, j)).epsilon(1e-9));
        CHECK(path.residuals(s, j) <= path.residuals(s - 1, j));
      }
    }
    CHECK(path.with_atoms(0, 0).size() == 0);
    CHECK_THROWS_AS(path.with_atoms(0, 13), basin::argument_error);
    CHECK_THROWS_AS(path.with_atoms(4, 1), basin::argument_error);
  }
  const auto none = basin::orthogonal_matching_pursuit(cpu, dictionary, X, {.atoms = 2});
  CHECK_THROWS_AS(none.with_atoms(0, 1), basin::argument_error);
}

TEST_CASE("both forms end on the true residual, in float as well", "[sparse]") {
  const auto dictionary = basin::make_dictionary<float>(problems::normal<float>(60, 200, 6));
  const Eigen::MatrixXf X = problems::normal<float>(60, 8, 7);
  // ‖x‖^2 less the explained is lost in rounding here.
  const double tolerance = GENERATE(0.5, 1e-2, 3e-5);
  CAPTURE(tolerance);
  const auto gram = basin::orthogonal_matching_pursuit(
      float_cpu, dictionary, X, {.relative_residual = tolerance, .form = pursuit_form::gram});
  const auto direct = basin::orthogonal_matching_pursuit(
      float_cpu, dictionary, X, {.relative_residual = tolerance, .form = pursuit_form::direct});
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

TEST_CASE("every end has its status", "[sparse]") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  Eigen::MatrixXd columns(3, 2);
  columns << 1, 1, 0, 1, 0, 0;
  const auto dictionary = basin::make_dictionary<double>(columns);
  Eigen::MatrixXd X(3, 5);
  X << 0, nan, 0, 1, 2,  //
      0, 0, 0, 2, 1,     //
      0, 0, 1, 0, 1;
  for (const pursuit_form form : forms) {
    const auto codes = basin::orthogonal_matching_pursuit(
        cpu, dictionary, X, {.atoms = 2, .residual = 1e-9, .form = form});
    CHECK(codes.status[0] == pursuit_status::zero);
    CHECK(codes.residual[0] == 0);
    CHECK(codes.status[1] == pursuit_status::non_finite);
    CHECK(std::isnan(codes.residual[1]));
    CHECK(codes.status[2] == pursuit_status::explained);
    CHECK(codes.count[2] == 0);
    CHECK(codes.residual[2] == Approx(1));
    CHECK(codes.status[3] == pursuit_status::residual);
    CHECK(codes.status[4] == pursuit_status::atoms);
    CHECK(codes.residual[4] == Approx(1));
    CHECK(codes.atoms(0, 0) == -1);
    CHECK(codes.coefficients(1, 2) == 0);
  }
  CHECK(to_string(pursuit_status::dependent) == "dependent");
}

TEST_CASE("atoms that nearly are combinations of others do no harm", "[sparse]") {
  // Pairs at a distance of 1e-3, and a target between them.
  const Eigen::MatrixXf apart = problems::normal<float>(50, 20, 1);
  const Eigen::MatrixXf noise = problems::normal<float>(50, 20, 2);
  Eigen::MatrixXf columns(50, 40);
  columns << apart, apart + 1e-3f * noise;
  const auto dictionary = basin::make_dictionary<float>(columns);
  REQUIRE(dictionary.size() == 40);
  const Eigen::MatrixXf X = problems::normal<float>(50, 10, 3);
  const auto codes = basin::orthogonal_matching_pursuit(float_cpu, dictionary, X,
                                                        {.atoms = 40, .form = pursuit_form::gram});
  const auto direct = basin::orthogonal_matching_pursuit(
      float_cpu, dictionary, X, {.atoms = 40, .form = pursuit_form::direct});
  for (index_t j = 0; j < X.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    const double found = problems::residual(dictionary, X, codes, j);
    CHECK(found == Approx(static_cast<double>(codes.residual[at])).epsilon(1e-4));
    // Orthogonal to all chosen, as least squares is.
    CHECK(found <= problems::residual(dictionary, X, direct, j) * (1 + 1e-4) +
                       1e-4 * static_cast<double>(X.col(j).norm()));
    CHECK(codes.residuals(codes.count[at], j) <= codes.residuals(20, j));
  }
}

TEST_CASE("equal correlations go to the lower index", "[sparse]") {
  basin::Dictionary<double> dictionary;
  dictionary.atoms = Eigen::MatrixXd::Identity(6, 6);
  const Eigen::MatrixXd X = Eigen::MatrixXd::Ones(6, 1);
  for (const pursuit_form form : forms) {
    const auto codes =
        basin::orthogonal_matching_pursuit(cpu, dictionary, X, {.atoms = 6, .form = form});
    for (index_t s = 0; s < 6; ++s) CHECK(codes.atoms(s, 0) == s);
  }
}

TEST_CASE("a target's code depends on nothing but the target", "[sparse]") {
  const auto dictionary = basin::make_dictionary<float>(problems::normal<float>(64, 600, 1));
  const Eigen::MatrixXf X = problems::normal<float>(64, 19, 2);
  for (const pursuit_form form : forms) {
    const pursuit_options options{.atoms = 30, .form = form};
    const auto all = basin::orthogonal_matching_pursuit(float_cpu, dictionary, X, options);
    const auto one =
        basin::orthogonal_matching_pursuit(basin::cpu<float>(1), dictionary, X, options);
    CHECK(all.atoms == one.atoms);
    CHECK(all.coefficients == one.coefficients);
    const Eigen::MatrixXf reversed = X.rowwise().reverse();
    const auto back = basin::orthogonal_matching_pursuit(float_cpu, dictionary, reversed, options);
    CHECK(back.coefficients.rowwise().reverse() == all.coefficients);
    const auto alone = basin::orthogonal_matching_pursuit(float_cpu, dictionary, X.col(7), options);
    CHECK(alone.coefficients.col(0) == all.coefficients.col(7));
  }
}

TEST_CASE("inner products suffice", "[sparse]") {
  auto dictionary = basin::make_dictionary<double>(problems::normal<double>(30, 60, 1));
  const Eigen::MatrixXd X = problems::normal<double>(30, 5, 2);
  basin::add_gram(cpu, dictionary);
  const Eigen::MatrixXd B = dictionary.atoms.transpose() * X;
  std::vector<double> squares;
  for (index_t j = 0; j < 5; ++j) squares.push_back(X.col(j).squaredNorm());
  const auto by_atoms = basin::orthogonal_matching_pursuit(cpu, dictionary, X, {.atoms = 9});
  const auto by_products =
      basin::orthogonal_matching_pursuit_gram(cpu, dictionary.gram, B, squares, {.atoms = 9});
  CHECK(by_atoms.atoms == by_products.atoms);
  CHECK((by_atoms.coefficients - by_products.coefficients).cwiseAbs().maxCoeff() < 1e-12);
  CHECK(by_products.residual[2] == Approx(by_atoms.residual[2]));
  Eigen::MatrixXd odd = B;
  odd(4, 1) = std::numeric_limits<double>::quiet_NaN();
  const auto codes =
      basin::orthogonal_matching_pursuit_gram(cpu, dictionary.gram, odd, squares, {.atoms = 9});
  CHECK(codes.status[1] == pursuit_status::non_finite);
  CHECK(codes.coefficients.col(2) == by_products.coefficients.col(2));
  squares.pop_back();
  CHECK_THROWS_AS(
      basin::orthogonal_matching_pursuit_gram(cpu, dictionary.gram, B, squares, {.atoms = 9}),
      basin::size_error);
}

TEST_CASE("the form is chosen by cost", "[sparse]") {
  using basin::detail::gram_pays;
  CHECK(gram_pays(1000, 500, 20, {}, 4));
  CHECK_FALSE(gram_pays(100000, 10, 20, {}, 4));
  CHECK_FALSE(gram_pays(1000, 500, 20, {.gram_bytes = 1000}, 4));
}

TEST_CASE("misuse of pursuits is refused, with sizes", "[sparse]") {
  const auto dictionary = basin::make_dictionary<double>(problems::normal<double>(5, 6, 1));
  const Eigen::MatrixXd X = Eigen::MatrixXd::Ones(5, 1), wrong = Eigen::MatrixXd::Ones(4, 1);
  CHECK_THROWS_AS(basin::orthogonal_matching_pursuit(cpu, dictionary, X, {}),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::orthogonal_matching_pursuit(cpu, dictionary, X, {.atoms = -1}),
                  basin::argument_error);
  CHECK_THROWS_AS(
      basin::orthogonal_matching_pursuit(cpu, dictionary, X, {.relative_residual = 1.0}),
      basin::argument_error);
  try {
    (void)basin::orthogonal_matching_pursuit(cpu, dictionary, wrong, {.atoms = 1});
    FAIL("not refused");
  } catch (const basin::size_error& e) {
    CHECK(std::string(e.what()) ==
          "orthogonal_matching_pursuit: number of rows of the targets is 4, expected 5");
  }
  const auto none =
      basin::orthogonal_matching_pursuit(cpu, dictionary, X.leftCols(0), {.atoms = 2});
  CHECK(none.size() == 0);
  basin::Dictionary<double> empty;
  empty.atoms.resize(5, 0);
  const auto nothing = basin::orthogonal_matching_pursuit(cpu, empty, X, {.atoms = 2});
  CHECK(nothing.count[0] == 0);
  CHECK(nothing.residual[0] == Approx(X.norm()));
}
