// What is left at the end, and norms beyond the scalar.
#include <cmath>

#include <basin/sparse/gram_pursuit.hpp>
#include <basin/sparse/orthogonal_matching_pursuit.hpp>

#include "problems.hpp"

using basin::index_t;
using basin::pursuit_form;
using basin::pursuit_status;

TEST_CASE("the residual is the code's own where differences lose it", "[sparse]") {
  const basin::cpu<float> be(1);
  const auto dictionary = basin::make_dictionary<float>(problems::normal<float>(80, 200, 1));
  // Ten atoms and little else: ‖x‖^2 less what is explained is below its rounding.
  const Eigen::MatrixXf X = dictionary.atoms.leftCols(10) * problems::normal<float>(10, 12, 2) +
                            1e-5f * problems::normal<float>(80, 12, 3);
  for (const index_t atoms : {12, 20, 60}) {
    for (const bool path : {false, true}) {
      const auto codes = basin::orthogonal_matching_pursuit(
          be, dictionary, X, {.atoms = atoms, .form = pursuit_form::gram, .path = path});
      for (index_t j = 0; j < X.cols(); ++j) {
        CAPTURE(atoms, path, j);
        const auto at = static_cast<std::size_t>(j);
        CHECK(static_cast<double>(codes.residual[at]) ==
              Approx(problems::residual(dictionary, X, codes, j)).epsilon(1e-3));
        for (index_t s = 1; s < codes.residuals.rows(); ++s) {
          CHECK(codes.residuals(s, j) <= codes.residuals(s - 1, j));
        }
      }
    }
  }
}

TEST_CASE("targets whose products overflow are not finite", "[sparse]") {
  const basin::cpu<float> be(1);
  basin::Dictionary<float> dictionary;
  dictionary.atoms = Eigen::MatrixXf::Zero(64, 2);
  dictionary.atoms.col(0).setConstant(0.125f);
  dictionary.atoms(5, 1) = 1;
  Eigen::MatrixXf X = Eigen::MatrixXf::Constant(64, 2, 1e38f);
  X.col(1).setConstant(1e37f);
  for (const pursuit_form form : {pursuit_form::gram, pursuit_form::direct}) {
    const auto codes =
        basin::orthogonal_matching_pursuit(be, dictionary, X, {.atoms = 1, .form = form});
    CHECK(codes.status[0] == pursuit_status::non_finite);
    CHECK(std::isnan(codes.residual[0]));
    CHECK(codes.count[0] == 0);
    CHECK(codes.status[1] == pursuit_status::atoms);
    CHECK(codes.coefficients(0, 1) == Approx(8e37f));
  }
}
