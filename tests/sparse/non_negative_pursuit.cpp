// Atoms whose correlation is rounding: they leave at once.
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

TEST_CASE("a newcomer whose correlation was rounding leaves at once", "[sparse]") {
  const basin::cpu<float> be(1);
  const rounding made;
  REQUIRE(made.atom.cast<double>().dot(made.target.cast<double>()) < -1e-6);
  basin::Dictionary<float> dictionary;
  dictionary.atoms = made.atom;
  // What float sums make of it, as the pursuit takes them: a build may sum otherwise.
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

TEST_CASE("an atom of the span of others changes nothing", "[sparse]") {
  const basin::cpu<double> be(1);
  basin::Dictionary<double> dictionary;
  dictionary.atoms.resize(3, 3);
  dictionary.atoms << 1, 0, std::sqrt(0.5), 0, 1, std::sqrt(0.5), 0, 0, 0;
  const Eigen::VectorXd x = Eigen::Vector3d(1, 2, 3);
  basin::detail::NonNegativeTarget<double> target(dictionary.atoms, x);
  REQUIRE(target.take(0));
  REQUIRE(target.take(1));
  const Eigen::VectorXd coefficients = target.coefficients(), residual = target.residual();
  CHECK_FALSE(target.take(2));
  CHECK(target.support() == std::vector<index_t>{0, 1});
  CHECK(target.coefficients() == coefficients);
  CHECK(target.residual() == residual);
}
