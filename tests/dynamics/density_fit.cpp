// Fitted mixtures: one component in closed form, three found again, and what is left out.
#include <limits>

#include <basin/dynamics/density_fit.hpp>

#include "../catch.hpp"
#include "densities.hpp"

using basin::index_t;

TEST_CASE("one fitted component has the mean and the covariance of the points", "[dynamics]") {
  const Eigen::MatrixXd x = densities::three().sample(500, {.seed = 20});
  const auto fit = basin::fit_mixture(x, {.components = 1, .ridge = 1e-12});
  const Eigen::VectorXd mean = x.rowwise().mean();
  const Eigen::MatrixXd apart = x.colwise() - mean;
  CHECK((fit.density.means() - mean).norm() < 1e-14);
  CHECK((fit.density.covariance(0) - apart * apart.transpose() / 500).norm() < 1e-10);
  CHECK(fit.log_density == Approx(fit.density.log_density(x).mean()));
  CHECK(fit.converged);
  CHECK(fit.used == 500);
}

TEST_CASE("three fitted components are those of the draws", "[dynamics]") {
  const auto q = densities::three();
  const Eigen::MatrixXd x = q.sample(20000, {.seed = 21});
  const auto fit = basin::fit_mixture(x, {.components = 3, .random = {.seed = 1}});
  CHECK(fit.converged);
  CHECK(fit.iterations > 1);
  // By the means, in any order.
  for (index_t i = 0; i < 3; ++i) {
    index_t nearest = 0;
    const double distance =
        (fit.density.means().colwise() - q.means().col(i)).colwise().norm().minCoeff(&nearest);
    CHECK(distance < 0.1);
    CHECK(fit.density.weights()[nearest] == Approx(q.weights()[i]).margin(0.03));
    CHECK((fit.density.covariance(nearest) - q.covariance(i)).norm() < 0.08);
  }
  // No fit can be much worse than the truth on what it fitted, nor much better elsewhere.
  CHECK(fit.log_density > q.log_density(x).mean() - 1e-3);
  const Eigen::MatrixXd other = q.sample(20000, {.seed = 22});
  CHECK(fit.density.log_density(other).mean() < q.log_density(other).mean() + 2e-3);
  CHECK(fit.density.log_density(other).mean() > q.log_density(other).mean() - 0.01);
  // More components than one help here.
  CHECK(fit.log_density > basin::fit_mixture(x, {.components = 1}).log_density + 0.2);
}

TEST_CASE("a fit leaves out what is not finite, and says no to nonsense", "[dynamics]") {
  Eigen::MatrixXd x = densities::three().sample(100, {.seed = 23});
  const auto known = basin::fit_mixture(x.leftCols(98), {.components = 2});
  x(0, 98) = std::numeric_limits<double>::quiet_NaN();
  x(1, 99) = std::numeric_limits<double>::infinity();
  const auto fit = basin::fit_mixture(x, {.components = 2});
  CHECK(fit.left_out == 2);
  CHECK(fit.used == 98);
  CHECK((fit.density.means() - known.density.means()).norm() == 0);
  CHECK_THROWS_AS(basin::fit_mixture(x.rightCols(3), {.components = 2}), basin::argument_error);
  CHECK_THROWS_AS(basin::fit_mixture(x, {.components = 0}), basin::argument_error);
  CHECK_THROWS_AS(basin::fit_mixture(x, {.ridge = 0}), basin::argument_error);
  CHECK_THROWS_AS(basin::fit_mixture(Eigen::MatrixXd::Ones(2, 9)), basin::argument_error);
  // Points that lie on fewer places than components: the ridge holds.
  Eigen::MatrixXd two(1, 20);
  two << Eigen::RowVectorXd::Zero(10), Eigen::RowVectorXd::Ones(10);
  CHECK(basin::fit_mixture(two, {.components = 5}).density.score(two).allFinite());
}
