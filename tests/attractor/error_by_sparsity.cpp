// Errors of representations by few atoms, behind a map.
#include <cmath>
#include <limits>

#include <basin/attractor/error_by_sparsity.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/map/affine.hpp>
#include <basin/sparse/orthogonal_matching_pursuit.hpp>

#include "../catch.hpp"

using basin::index_t;

namespace {

Eigen::MatrixXd normal(index_t rows, index_t columns, std::uint32_t stream) {
  return Eigen::MatrixXd::NullaryExpr(rows, columns, [&](index_t i, index_t j) {
    return basin::normal_at<double>(basin::random_stream{29, stream}, i, j);
  });
}

}  // namespace

TEST_CASE("behind the identity the error is the residual's square", "[metrics]") {
  const basin::cpu<double> be(2);
  const auto dictionary = basin::make_dictionary<double>(normal(12, 40, 1));
  Eigen::MatrixXd X = normal(12, 9, 2);
  X.col(4).setZero();                      // without atoms
  X.col(5) = 3 * dictionary.atoms.col(7);  // with one
  const auto codes = basin::orthogonal_matching_pursuit(
      be, dictionary, X, {.atoms = 8, .residual = 1e-9, .path = true});
  auto identity = basin::affine(Eigen::MatrixXd::Identity(12, 12));
  const Eigen::VectorXd errors = basin::error_by_sparsity(be, identity, dictionary, codes, X);
  REQUIRE(errors.size() == 9);
  for (index_t s = 0; s <= 8; ++s) {
    CHECK(errors[s] ==
          Approx(codes.residuals.row(s).squaredNorm() / static_cast<double>(X.size())));
  }
  CHECK((basin::represented(dictionary, codes, 1).col(5) - X.col(5)).norm() < 1e-12);
  CHECK((basin::represented(dictionary, codes, 8) - dictionary.atoms * codes.dense(40)).norm() <
        1e-12);
  CHECK(basin::represented(dictionary, codes, 0).norm() == 0);
}

TEST_CASE("the error is that of what the map gives", "[metrics]") {
  const basin::cpu<float> be(1);
  const Eigen::MatrixXf W = normal(20, 5, 3).cast<float>(), Z = normal(5, 7, 4).cast<float>();
  auto decoder = basin::affine(W, Eigen::VectorXf::Constant(20, 0.5f));
  const auto basis = basin::random_orthogonal_dictionary(be, 5, 5, {.seed = 1});
  const auto codes = basin::orthogonal_matching_pursuit(be, basis, Z, {.atoms = 5, .path = true});
  const Eigen::MatrixXf aims = normal(20, 7, 5).cast<float>();
  const Eigen::VectorXd errors = basin::error_by_sparsity(be, decoder, basis, codes, aims);
  CHECK(errors[0] == Approx((aims.array() - 0.5f).square().mean()).epsilon(1e-5));
  CHECK(errors[5] == Approx(((W * Z - aims).array() + 0.5f).square().mean()).epsilon(1e-5));
}

TEST_CASE("what an error by sparsity refuses", "[metrics]") {
  const basin::cpu<double> be(1);
  const auto dictionary = basin::make_dictionary<double>(normal(4, 9, 1));
  const Eigen::MatrixXd X = normal(4, 3, 2);
  auto identity = basin::affine(Eigen::MatrixXd::Identity(4, 4));
  const auto codes =
      basin::orthogonal_matching_pursuit(be, dictionary, X, {.atoms = 2, .path = true});
  const auto without = basin::orthogonal_matching_pursuit(be, dictionary, X, {.atoms = 2});
  CHECK_THROWS_AS(basin::error_by_sparsity(be, identity, dictionary, without, X),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::error_by_sparsity(be, identity, dictionary, codes, X.leftCols(2)),
                  basin::size_error);
  CHECK_THROWS_AS(basin::error_by_sparsity(be, identity, dictionary, codes, X.topRows(2)),
                  basin::size_error);
  auto narrow = basin::affine(Eigen::MatrixXd::Identity(3, 3));
  CHECK_THROWS_AS(basin::error_by_sparsity(be, narrow, dictionary, codes, X), basin::size_error);
  basin::Dictionary<double> few = dictionary;
  few.atoms = dictionary.atoms.leftCols(0);
  CHECK_THROWS_AS(basin::represented(few, codes, 1), basin::size_error);
  CHECK_THROWS_AS(basin::represented(dictionary, codes, -1), basin::argument_error);
}
