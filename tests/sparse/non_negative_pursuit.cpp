// Atoms whose correlation is rounding, and atoms of the span of others.
#include <cmath>
#include <limits>

#include <basin/sparse/non_negative_pursuit.hpp>

#include "problems.hpp"

using basin::index_t;
using basin::pursuit_status;

namespace {

// A target and an atom of norm near 1 whose inner product is -5e-6, and 5e-6 by float sums: terms
// of 2e-10 each are lost beside the sums of the first 64.
struct rounding {
  rounding() : target(1 + 64 + many + 64), atom(target.size()) {
    target << 0, Eigen::VectorXf::Constant(64, 0.0625f), Eigen::VectorXf::Constant(many, -small),
        Eigen::VectorXf::Constant(64, -0.0625f);
    atom << 0, Eigen::VectorXf::Constant(64, 0.0625f), Eigen::VectorXf::Constant(many, small),
        Eigen::VectorXf::Constant(64, 0.0625f - 5e-6f / 4);
  }
  static constexpr index_t many = 50000;
  const float small = std::sqrt(2e-10f);
  Eigen::VectorXf target, atom;
};

}  // namespace

TEST_CASE("an atom whose correlation was rounding does not join", "[sparse]") {
  const basin::cpu<float> be(1);
  const rounding made;
  REQUIRE(made.atom.cast<double>().dot(made.target.cast<double>()) < -1e-6);
  basin::Dictionary<float> dictionary;
  dictionary.atoms = made.atom;
  // What float sums make of it: the pursuit asks again in double.
  const Eigen::VectorXf by_float = dictionary.atoms.transpose() * made.target;
  REQUIRE(by_float[0] > 4 * std::numeric_limits<float>::epsilon() * made.target.norm());

  const auto alone = basin::non_negative_pursuit(be, dictionary, made.target, {.atoms = 1});
  CHECK(alone.status[0] == pursuit_status::explained);
  CHECK(alone.count[0] == 0);
  CHECK(alone.residual[0] == Approx(made.target.cast<double>().norm()));

  // The same behind an atom that is right.
  dictionary.atoms.resize(made.atom.size(), 2);
  dictionary.atoms << Eigen::VectorXf::Unit(made.atom.size(), 0), made.atom;
  Eigen::VectorXf target = made.target;
  target[0] = 3;
  const auto behind = basin::non_negative_pursuit(be, dictionary, target, {.atoms = 2});
  CHECK(behind.status[0] == pursuit_status::explained);
  REQUIRE(behind.count[0] == 1);
  CHECK(behind.atoms(0, 0) == 0);
  CHECK(behind.coefficients(0, 0) == Approx(3));
  CHECK(behind.residual[0] == Approx(made.target.cast<double>().norm()));
  CHECK(behind.residuals(2, 0) == behind.residual[0]);
}

TEST_CASE("an atom of the span of others ends a pursuit and changes nothing", "[sparse]") {
  const basin::cpu<double> be(1);
  const double r = std::sqrt(0.5);
  basin::Dictionary<double> dictionary;
  dictionary.atoms.resize(3, 3);
  // The third is in the plane of the others within 1e-9, and correlates with what is left, 3e5, by
  // 3e-4: more than rounding.
  dictionary.atoms << 1, 0, r, 0, 1, r, 0, 0, 1e-9;
  const Eigen::VectorXd x = Eigen::Vector3d(5, 1, 3e5);
  const auto codes = basin::non_negative_pursuit(be, dictionary, x, {.residual = 1e-3});
  CHECK(codes.status[0] == pursuit_status::dependent);
  REQUIRE(codes.count[0] == 2);
  CHECK(codes.coefficients.col(0).head(2) == Eigen::Vector2d(5, 1));
  CHECK(codes.residual[0] == Approx(3e5));
}
