// Dictionaries: what is left out, scales, coherence, rank; bases.
#include <cmath>
#include <limits>
#include <vector>

#include <basin/sparse/dictionary.hpp>

#include "problems.hpp"

using basin::index_t;

namespace {
const basin::cpu<double> cpu(2);
}

TEST_CASE("columns are normalised, zeros and duplicates counted", "[sparse]") {
  Eigen::MatrixXd columns(3, 7);
  columns << 3, 0, 6, 1, -3, 1e-14, 3,  //
      4, 0, 8, 0, -4, 0, 4,             //
      0, 0, 0, 0, 0, 0, 4e-4;
  const auto dictionary = basin::make_dictionary<double>(columns);
  CHECK(dictionary.zeros == 2);
  CHECK(dictionary.duplicates == 2);  // twice as long, and the negative
  CHECK(dictionary.source == std::vector<index_t>{0, 3, 6});
  CHECK((dictionary.scale - Eigen::Vector3d(5, 1, std::sqrt(25 + 16e-8))).norm() < 1e-12);
  CHECK((dictionary.atoms.colwise().norm().array() - 1).abs().maxCoeff() < 1e-15);
  CHECK(basin::make_dictionary<double>(columns, {.duplicate = 1e-3}).size() == 2);
  CHECK(basin::make_dictionary<double>(Eigen::MatrixXd::Zero(3, 4)).zeros == 4);
  CHECK(basin::make_dictionary<double>(Eigen::MatrixXd(3, 0)).size() == 0);
}

TEST_CASE("duplicates are found among many, and only those", "[sparse]") {
  const index_t d = slow_build ? 200 : 2000;
  Eigen::MatrixXd columns(12, 2 * d);
  const Eigen::MatrixXd first = problems::normal<double>(12, d, 1);
  columns << first, -2 * first;
  columns.rightCols(d) += 1e-9 * problems::normal<double>(12, d, 2);
  const auto dictionary = basin::make_dictionary<double>(columns, {.duplicate = 1e-7});
  CHECK(dictionary.size() == d);
  CHECK(dictionary.duplicates == d);
  CHECK(dictionary.source.back() == d - 1);
  CHECK(basin::make_dictionary<double>(columns, {.duplicate = 1e-12}).duplicates == 0);
}

TEST_CASE("a chain of near columns keeps those that no kept one stands for", "[sparse]") {
  Eigen::MatrixXd columns(2, 4);
  for (index_t j = 0; j < 4; ++j)
    columns.col(j) << std::cos(0.01 * double(j)), std::sin(0.01 * double(j));
  const auto dictionary = basin::make_dictionary<double>(columns, {.duplicate = 0.015});
  CHECK(dictionary.source == std::vector<index_t>{0, 2});
}

TEST_CASE("entries that are not finite are refused by their column", "[sparse]") {
  Eigen::MatrixXd columns = Eigen::MatrixXd::Ones(3, 4);
  columns(1, 2) = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH((void)basin::make_dictionary<double>(columns),
                    Catch::Matchers::Contains("column 2"));
  // A NaN beside zeros, wherever it stands.
  for (const index_t n : {2, 5, 16, 33}) {
    for (index_t i = 0; i < n; ++i) {
      Eigen::MatrixXd odd = Eigen::MatrixXd::Ones(n, 2);
      odd.col(1).setZero();
      odd(i, 1) = std::numeric_limits<double>::quiet_NaN();
      CAPTURE(n, i);
      CHECK_THROWS_AS(basin::make_dictionary<double>(odd), basin::argument_error);
    }
  }
  CHECK_THROWS_AS(basin::make_dictionary<double>(columns, {.zero = 1.0}), basin::argument_error);
  CHECK_THROWS_AS(basin::make_dictionary<double>(columns, {.duplicate = -1.0}),
                  basin::argument_error);
}

TEST_CASE("coherence and rank", "[sparse]") {
  auto dictionary = basin::make_dictionary<double>(problems::alike<double>(20, 60, 0.5, 3));
  const Eigen::MatrixXd G = dictionary.atoms.transpose() * dictionary.atoms;
  const double known = (G - Eigen::MatrixXd(G.diagonal().asDiagonal())).cwiseAbs().maxCoeff();
  CHECK(basin::coherence(cpu, dictionary) == Approx(known).epsilon(1e-13));
  CHECK(basin::rank(dictionary) == 20);
  basin::add_gram(cpu, dictionary);
  CHECK((dictionary.gram - G).cwiseAbs().maxCoeff() < 1e-14);
  CHECK(basin::coherence(cpu, dictionary) == Approx(known).epsilon(1e-13));
  const Eigen::MatrixXd low =
      problems::normal<double>(20, 3, 1) * problems::normal<double>(3, 9, 2);
  CHECK(basin::rank(basin::make_dictionary<double>(low)) == 3);
  CHECK(basin::rank(basin::make_dictionary<float>(low)) == 3);
  basin::Dictionary<double> one;
  one.atoms = Eigen::MatrixXd::Ones(1, 1);
  CHECK(basin::coherence(cpu, one) == 0);
}

TEST_CASE("random bases are orthonormal and come again from their seed", "[sparse]") {
  const auto basis = basin::random_orthogonal_dictionary(cpu, 30, 12, {.seed = 5});
  const Eigen::MatrixXd G = basis.atoms.transpose() * basis.atoms;
  CHECK((G - Eigen::MatrixXd::Identity(12, 12)).cwiseAbs().maxCoeff() < 1e-14);
  CHECK(basis.atoms == basin::random_orthogonal_dictionary(cpu, 30, 12, {.seed = 5}).atoms);
  CHECK(basis.atoms != basin::random_orthogonal_dictionary(cpu, 30, 12, {.seed = 6}).atoms);
  CHECK_THROWS_AS(basin::random_orthogonal_dictionary(cpu, 3, 4, {}), basin::size_error);
}
