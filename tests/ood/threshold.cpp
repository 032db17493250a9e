// Rates of false alarms against closed forms, published intervals and draws.
#include <cmath>
#include <limits>

#include <basin/core/random.hpp>
#include <basin/ood/threshold.hpp>

#include "../catch.hpp"

using basin::index_t;

namespace {

double uniform(index_t i, index_t draw) {
  return basin::uniform_from_word<double>(basin::random_stream{19}.word(i, draw));
}

}  // namespace

TEST_CASE("Clopper and Pearson's interval", "[ood]") {
  // No hit of n: 1 - (miss)^(1 / n); SciPy's beta quantiles for 7 of 50.
  CHECK(basin::clopper_pearson(0, 10).low == 0);
  CHECK(basin::clopper_pearson(0, 10).high == Approx(1 - std::pow(0.025, 0.1)).epsilon(1e-12));
  CHECK(basin::clopper_pearson(10, 10).low == Approx(std::pow(0.025, 0.1)).epsilon(1e-12));
  CHECK(basin::clopper_pearson(10, 10).high == 1);
  const auto some = basin::clopper_pearson(7, 50);
  CHECK(some.value == 0.14);
  CHECK(some.low == Approx(0.05819170034037209).epsilon(1e-10));
  CHECK(some.high == Approx(0.2673960024970084).epsilon(1e-10));
  CHECK_THROWS_AS(basin::clopper_pearson(3, 2), basin::argument_error);
  CHECK_THROWS_AS(basin::clopper_pearson(0, 0), basin::argument_error);
  CHECK_THROWS_AS(basin::clopper_pearson(1, 2, 1), basin::argument_error);
}

TEST_CASE("a threshold is the score of a rank", "[ood]") {
  const Eigen::VectorXd scores = Eigen::VectorXd::LinSpaced(100, 1, 100).reverse();
  // On average: of 101 ranks five are above 96.
  const auto average = basin::false_alarm_threshold(scores, {.rate = 0.05, .confidence = 0});
  CHECK(average.value == 96);
  CHECK(average.above == 4);
  CHECK(average.expected == 5.0 / 101);
  CHECK(average.alarm(96.5));
  CHECK_FALSE(average.alarm(96));
  // For sure: P(Binomial(100, 0.05) <= 1) = 0.0371, <= 2 0.118.
  const auto sure = basin::false_alarm_threshold(scores, {.rate = 0.05});
  CHECK(sure.value == 99);
  CHECK(sure.above == 1);
  CHECK(sure.reached == Approx(1 - 0.037081).epsilon(1e-4));
  CHECK(basin::clopper_pearson(1, 100, 0.9).high <= 0.05);
  CHECK(basin::clopper_pearson(2, 100, 0.9).high > 0.05);
}

TEST_CASE("rates hold over calibrations", "[ood]") {
  // Of uniform scores the true rate of a threshold t is 1 - t.
  const index_t trials = 400, n = 150;
  index_t within = 0;
  double mean = 0;
  Eigen::VectorXd scores(n);
  for (index_t t = 0; t < trials; ++t) {
    for (index_t i = 0; i < n; ++i) scores[i] = uniform(i, t);
    within +=
        1 - basin::false_alarm_threshold(scores, {.rate = 0.1, .confidence = 0.9}).value <= 0.1 ? 1
                                                                                                : 0;
    mean += 1 - basin::false_alarm_threshold(scores, {.rate = 0.1, .confidence = 0}).value;
  }
  const double reached =
      basin::false_alarm_threshold(scores, {.rate = 0.1, .confidence = 0.9}).reached;
  CHECK(reached >= 0.9);
  CHECK(static_cast<double>(within) / static_cast<double>(trials) == Approx(reached).margin(0.04));
  CHECK(mean / static_cast<double>(trials) == Approx(15.0 / 151).margin(0.004));
}

TEST_CASE("too few samples say nothing", "[ood]") {
  const Eigen::VectorXd scores = Eigen::VectorXd::LinSpaced(59, 0, 1);
  CHECK(basin::false_alarm_threshold(scores).above == 0);
  CHECK_THROWS_AS(basin::false_alarm_threshold(scores.head(58)), basin::argument_error);
  CHECK(basin::false_alarm_threshold(scores.head(19), {.confidence = 0}).above == 0);
  CHECK_THROWS_AS(basin::false_alarm_threshold(scores.head(18), {.confidence = 0}),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::false_alarm_threshold(Eigen::VectorXd(0)), basin::argument_error);
  Eigen::VectorXd bad = scores;
  bad[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(basin::false_alarm_threshold(bad),
                    "false_alarm_threshold: the score of sample 3 is not finite");
  CHECK_THROWS_AS(basin::false_alarm_threshold(scores, {.rate = 0}), basin::argument_error);
  CHECK_THROWS_AS(basin::false_alarm_threshold(scores, {.confidence = 1}), basin::argument_error);
}

TEST_CASE("a million calibrating samples are as good as few", "[ood]") {
  const index_t n = 1000000;
  const auto found = basin::false_alarm_threshold(Eigen::VectorXd::LinSpaced(n, 1, n), {});
  // Of the normal limit: 0.05 n less 1.645 deviations of the count.
  const double normal = 0.05 * 1e6 - 1.6449 * std::sqrt(0.05 * 0.95 * 1e6);
  CHECK(static_cast<double>(found.above) == Approx(normal).margin(3));
  CHECK(found.value == static_cast<double>(n - found.above));
  CHECK(found.reached >= 0.95);
}

TEST_CASE("a score that is not a number is an alarm", "[ood]") {
  const auto threshold = basin::false_alarm_threshold(Eigen::VectorXd::LinSpaced(100, 0, 1));
  CHECK(threshold.alarm(std::numeric_limits<double>::quiet_NaN()));
  CHECK(threshold.alarm(std::numeric_limits<double>::infinity()));
}
