// Thresholding in an orthonormal basis, and pursuit with coefficients that are not negative.
#include <limits>

#include <basin/sparse/non_negative_pursuit.hpp>
#include <basin/sparse/orthogonal_matching_pursuit.hpp>
#include <basin/sparse/thresholding.hpp>

#include "golden.hpp"
#include "problems.hpp"

using basin::index_t;
using basin::pursuit_status;

namespace {
const basin::cpu<double> cpu(2);
}

TEST_CASE("thresholding is orthogonal matching pursuit in a basis", "[sparse]") {
  const auto basis = basin::random_orthogonal_dictionary(cpu, 40, 30, {.seed = 1});
  const Eigen::MatrixXd X = problems::normal<double>(40, 9, 2);
  for (const basin::pursuit_options& options :
       {basin::pursuit_options{.atoms = 12, .path = true},
        basin::pursuit_options{.relative_residual = 0.7, .path = true},
        basin::pursuit_options{.atoms = 30, .residual = 1e-9, .path = true}}) {
    const auto a = basin::thresholding(cpu, basis, X, options);
    const auto b = basin::orthogonal_matching_pursuit(cpu, basis, X, options);
    CHECK(a.atoms == b.atoms);
    CHECK((a.coefficients - b.coefficients).cwiseAbs().maxCoeff() < 1e-12);
    CHECK((a.residuals - b.residuals).cwiseAbs().maxCoeff() < 1e-9);
    CHECK(a.status == b.status);
    CHECK((a.with_atoms(3, 5) - b.with_atoms(3, 5)).norm() < 1e-12);
  }
  Eigen::MatrixXd odd = X.leftCols(2);
  odd.col(0).setZero();
  odd(3, 1) = std::numeric_limits<double>::quiet_NaN();
  const auto codes = basin::thresholding(cpu, basis, odd, {.atoms = 2});
  CHECK(codes.status[0] == pursuit_status::zero);
  CHECK(codes.status[1] == pursuit_status::non_finite);
  const auto skew = basin::make_dictionary<double>(problems::normal<double>(40, 3, 1));
  CHECK_THROWS_AS(basin::thresholding(cpu, skew, X, {.atoms = 2}), basin::argument_error);
  CHECK_THROWS_AS(basin::thresholding(cpu, basis, X.topRows(3), {.atoms = 2}), basin::size_error);
}

TEST_CASE("without a limit, non-negative pursuit is non-negative least squares", "[sparse]") {
  const problems::golden known = problems::read_golden("non_negative");
  const auto codes = basin::non_negative_pursuit(cpu, known.dictionary, known.targets,
                                                 {.relative_residual = 1e-6});
  CHECK((codes.dense(known.codes.rows()) - known.codes).cwiseAbs().maxCoeff() < 1e-11);
  for (index_t j = 0; j < codes.size(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    CHECK(codes.status[at] == pursuit_status::explained);
    CHECK(codes.residual[at] == Approx(known.residuals[j]).epsilon(1e-12));
  }
}

TEST_CASE("non-negative pursuit keeps to its limits", "[sparse]") {
  const auto dictionary = basin::make_dictionary<double>(problems::normal<double>(30, 50, 3));
  const Eigen::MatrixXd X = problems::normal<double>(30, 15, 4);
  const auto codes = basin::non_negative_pursuit(cpu, dictionary, X, {.atoms = 6});
  CHECK(codes.coefficients.minCoeff() >= 0);
  for (index_t j = 0; j < X.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    CHECK(codes.count[at] == 6);
    CHECK(problems::residual(dictionary, X, codes, j) == Approx(codes.residual[at]).epsilon(1e-12));
    for (index_t s = 1; s <= 6; ++s) CHECK(codes.residuals(s, j) <= codes.residuals(s - 1, j));
  }
  // Atoms on the other side only.
  const Eigen::MatrixXd behind = -dictionary.atoms.col(0);
  basin::Dictionary<double> one;
  one.atoms = dictionary.atoms.leftCols(1);
  const auto none = basin::non_negative_pursuit(cpu, one, behind, {.atoms = 1});
  CHECK(none.count[0] == 0);
  CHECK(none.status[0] == pursuit_status::explained);
  CHECK_THROWS_AS(basin::non_negative_pursuit(cpu, one, behind, {.atoms = 1, .path = true}),
                  basin::argument_error);
}
