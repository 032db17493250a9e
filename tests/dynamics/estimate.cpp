// Standard errors against their formulas and against repeated draws.
#include <cmath>
#include <limits>

#include <basin/core/random.hpp>
#include <basin/dynamics/estimate.hpp>

#include "../catch.hpp"

using basin::index_t;

namespace {
constexpr double undefined = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
}  // namespace

TEST_CASE("the mean and its standard error", "[dynamics]") {
  const Eigen::Vector4d values(1, 2, 4, 9);
  const auto e = basin::mean_estimate(values);
  CHECK(e.value == 4);
  CHECK(e.error == Approx(std::sqrt((9 + 4 + 0 + 25) / 3.0 / 4)));
  CHECK(e.used == 4);
  CHECK(e.left_out == 0);
}

TEST_CASE("values that are not finite are left out of a mean", "[dynamics]") {
  Eigen::VectorXd values(6);
  values << undefined, 1, 2, infinity, 4, 9;
  const auto e = basin::mean_estimate(values);
  CHECK(e.value == 4);
  CHECK(e.error == Approx(std::sqrt(38 / 12.0)));
  CHECK(e.used == 4);
  CHECK(e.left_out == 2);
  const auto one = basin::mean_estimate(values.head(2));
  CHECK(one.value == 1);
  CHECK(std::isnan(one.error));
  const auto none = basin::mean_estimate(values.head(1));
  CHECK(std::isnan(none.value));
  CHECK(none.left_out == 1);
  CHECK(std::isnan(basin::mean_estimate(values.head(0)).value));
}

TEST_CASE("a share has an error also where it is all or nothing", "[dynamics]") {
  const auto all = basin::share_estimate(8, 8, 3);
  CHECK(all.value == 1);
  // The deviation of a Beta(9, 1).
  CHECK(all.error == Approx(std::sqrt(9.0 * 1 / (10.0 * 10 * 11))));
  CHECK(all.used == 8);
  CHECK(all.left_out == 3);
  // Many draws: the usual formula.
  CHECK(basin::share_estimate(30000, 100000).error ==
        Approx(std::sqrt(0.3 * 0.7 / 100000)).epsilon(1e-3));
  CHECK(std::isnan(basin::share_estimate(0, 0).value));
  CHECK_THROWS_AS(basin::share_estimate(2, 1), basin::argument_error);
  CHECK_THROWS_AS(basin::share_estimate(-1, 1), basin::argument_error);
}

TEST_CASE("the jackknife of a mean is the standard error", "[dynamics]") {
  Eigen::MatrixXd terms(2, 5);
  terms << 1, 2, undefined, 4, 9, 1, 1, 1, 1, 1;
  const auto e =
      basin::jackknife_estimate(terms, [](const Eigen::VectorXd& s) { return s[0] / s[1]; });
  CHECK(e.value == 4);
  CHECK(e.error == Approx(std::sqrt(38 / 12.0)));
  CHECK(e.used == 4);
  CHECK(e.left_out == 1);
}

TEST_CASE("the jackknife of a ratio is what repeated draws scatter by", "[dynamics]") {
  constexpr index_t draws = 100, runs = 400;
  const auto ratio = [](const Eigen::VectorXd& s) { return s[0] / s[1]; };
  Eigen::VectorXd values(runs);
  double errors = 0;
  for (index_t run = 0; run < runs; ++run) {
    Eigen::MatrixXd terms(2, draws);
    for (index_t j = 0; j < draws; ++j) {
      const double x = 2 + basin::normal_at<double>({.seed = 5}, 0, run * draws + j);
      const double y = basin::normal_at<double>({.seed = 5}, 1, run * draws + j);
      terms.col(j) << 3 * x + y, x;
    }
    const auto e = basin::jackknife_estimate(terms, ratio);
    values[run] = e.value;
    errors += e.error / runs;
  }
  const double scatter = std::sqrt((values.array() - values.mean()).square().sum() / (runs - 1));
  CHECK(values.mean() == Approx(3).epsilon(0.01));
  // The scatter itself is known to 3.5 %.
  CHECK(errors == Approx(scatter).epsilon(0.14));
}
