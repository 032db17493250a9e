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
#include "pursuits.hpp"

using basin::index_t;
using basin::pursuit_form;
using basin::pursuit_options;
using basin::pursuit_status;

namespace {

const basin::cpu<double> cpu(2);
const basin::cpu<float> float_cpu(2);

}  // namespace

TEMPLATE_TEST_CASE("a combination of few atoms is found, whichever form", "[sparse]", float,
                   double) {
  pursuits::few_atoms_are_found(basin::cpu<TestType>(2));
}

TEST_CASE("the answers are scikit-learn's", "[sparse]") {
  pursuits::answers_are_scikit_learns(cpu);
}

TEMPLATE_TEST_CASE("the choices are those of the definition while correlations lag", "[sparse]",
                   float, double) {
  pursuits::choices_are_the_definitions(basin::cpu<TestType>(2), pursuit_form::gram);
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

TEMPLATE_TEST_CASE("the path has the answer for every sparsity", "[sparse]", float, double) {
  pursuits::path_has_every_sparsity(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("both forms end on the true residual, in float as well", "[sparse]", float,
                   double) {
  pursuits::forms_end_on_the_true_residual(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("targets that are explained have their true residual", "[sparse]", float,
                   double) {
  pursuits::explained_targets_have_their_residual(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("every end has its status", "[sparse]", float, double) {
  pursuits::every_end_has_its_status(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("targets that are short enough need no atom", "[sparse]", float, double) {
  pursuits::short_targets_need_no_atom(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("atoms that nearly are combinations of others do no harm", "[sparse]", float,
                   double) {
  pursuits::near_combinations_do_no_harm(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("atoms in the span of others end a pursuit", "[sparse]", float, double) {
  pursuits::dependent_atoms_end_a_pursuit(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("all atoms there are give least squares, whatever the sizes", "[sparse]", float,
                   double) {
  pursuits::all_atoms_are_least_squares(basin::cpu<TestType>(2));
}

TEMPLATE_TEST_CASE("equal correlations go to the lower index", "[sparse]", float, double) {
  pursuits::ties_go_to_the_lower_index(basin::cpu<TestType>(2));
}

TEST_CASE("a target's code depends on nothing but the target", "[sparse]") {
  const auto dictionary = basin::make_dictionary<float>(problems::normal<float>(64, 600, 1));
  const Eigen::MatrixXf X = problems::normal<float>(64, 19, 2);
  pursuits::codes_depend_on_the_target_alone(float_cpu, dictionary, 30);
  for (const pursuit_form form : pursuits::forms) {
    const pursuit_options options{.atoms = 30, .form = form};
    const auto all = basin::orthogonal_matching_pursuit(float_cpu, dictionary, X, options);
    const auto one =
        basin::orthogonal_matching_pursuit(basin::cpu<float>(1), dictionary, X, options);
    CHECK(all.atoms == one.atoms);
    CHECK(all.coefficients == one.coefficients);
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

TEMPLATE_TEST_CASE("misuse of pursuits is refused, with sizes", "[sparse]", float, double) {
  pursuits::misuse_is_refused(basin::cpu<TestType>(2));
}
