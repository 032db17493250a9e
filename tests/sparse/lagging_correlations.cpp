// Choices by bounds where bounds are zero.
#include <vector>

#include <basin/sparse/lagging_correlations.hpp>
#include <basin/sparse/orthogonal_matching_pursuit.hpp>

#include "problems.hpp"

using basin::index_t;

TEST_CASE("atoms that are orthogonal to the support are not forgotten", "[sparse]") {
  // Behind Gaussian atoms stand unit vectors of other rows: their correlations do not lag, and the
  // second of a step is often one of them.
  const index_t rows = 150, others = 60, d = slow_build ? 900 : 1500, atoms = 70;
  Eigen::MatrixXd columns = Eigen::MatrixXd::Zero(rows + others, d + others);
  columns.topLeftCorner(rows, d) = problems::normal<double>(rows, d, 1);
  columns.bottomRightCorner(others, others).setIdentity();
  const auto dictionary = basin::make_dictionary<double>(columns);
  Eigen::MatrixXd X = problems::normal<double>(rows + others, slow_build ? 4 : 20, 2);
  X.bottomRows(others) = X.bottomRows(others).cwiseAbs();
  const auto codes = basin::orthogonal_matching_pursuit(
      basin::cpu<double>(2), dictionary, X, {.atoms = atoms, .form = basin::pursuit_form::gram});
  for (index_t j = 0; j < X.cols(); ++j) {
    const std::vector<double> best =
        problems::best_along(dictionary.atoms, X.col(j), codes.atoms.col(j));
    for (index_t s = 0; s < atoms; ++s) {
      CAPTURE(j, s);
      CHECK(best[static_cast<std::size_t>(s)] >= 1 - 1e-10);
    }
  }
}
