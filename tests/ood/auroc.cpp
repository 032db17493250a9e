// Areas and rates against counts by hand, laws, and scikit-learn.
#include <cmath>
#include <limits>
#include <string>

#include <basin/ood/auroc.hpp>

#include "../catch.hpp"
#include "../golden.hpp"

using basin::index_t;
using basin::positive_class;

namespace {

Eigen::VectorXd normal(index_t n, double mean, std::uint32_t stream, index_t draw = 0) {
  return Eigen::VectorXd::NullaryExpr(n, [&](index_t i) {
    return mean + basin::normal_at<double>(basin::random_stream{3, stream}, i, draw);
  });
}

}  // namespace

TEST_CASE("the area counts pairs, ties one half", "[ood]") {
  const Eigen::VectorXd out = Eigen::Vector3d(1, 2, 3);
  const Eigen::VectorXd in = Eigen::Vector2d(2, 0);
  CHECK(basin::auroc(out, in) == 4.5 / 6);
  CHECK(basin::auroc(in, out) == 1.5 / 6);
  CHECK(basin::auroc(Eigen::VectorXd::Constant(5, 7), Eigen::VectorXd::Constant(3, 7)) == 0.5);
}

TEST_CASE("a rate is of the class that is named positive", "[ood]") {
  Eigen::VectorXd in(20), out(4);
  in << 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19;
  out << 18, 18.5, 30, 7;
  // 19 of the 20 familiar samples are at most 18, as are two of the foreign ones.
  const auto familiar = basin::operating_point_at(out, in, positive_class::in_distribution, 0.95);
  CHECK(familiar.threshold == 18);
  CHECK(familiar.true_positives == 19);
  CHECK(familiar.false_positives == 2);
  CHECK(familiar.fpr == 0.5);
  // All of the foreign samples are at least 7, as are thirteen of the familiar ones.
  const auto foreign =
      basin::operating_point_at(out, in, positive_class::out_of_distribution, 0.95);
  CHECK(foreign.threshold == 7);
  CHECK(foreign.true_positives == 4);
  CHECK(foreign.false_positives == 13);
  CHECK(basin::fpr_at_tpr(out, in, positive_class::out_of_distribution) == 13.0 / 20);
  CHECK(basin::fpr_at_tpr(out, in, positive_class::out_of_distribution, 0.75) == 2.0 / 20);
}

TEST_CASE("scikit-learn's areas, rates and DeLong's errors", "[ood]") {
  for (const std::string name : {"normal", "ties", "constant", "apart", "reversed", "two"}) {
    CAPTURE(name);
    const golden::Case one("ood/roc_" + name);
    const Eigen::VectorXd out = one.vector("out"), in = one.vector("in");
    CHECK(std::abs(basin::auroc(out, in) - one.vector("auroc")[0]) <= 1e-12);
    const auto interval = basin::auroc_delong(out, in);
    CHECK(interval.value == basin::auroc(out, in));
    CHECK(std::abs(interval.error - one.vector("delong")[0]) <= 1e-12);
    CHECK(interval.low ==
          Approx(std::max(0.0, interval.value - 1.959963984540054 * interval.error)).margin(1e-14));
    const Eigen::VectorXd at = one.vector("tpr");
    const Eigen::MatrixXd fpr = one.columns("fpr");
    for (index_t i = 0; i < at.size(); ++i) {
      CHECK(std::abs(basin::fpr_at_tpr(out, in, positive_class::in_distribution, at[i]) -
                     fpr(i, 0)) <= 1e-12);
      CHECK(std::abs(basin::fpr_at_tpr(out, in, positive_class::out_of_distribution, at[i]) -
                     fpr(i, 1)) <= 1e-12);
    }
  }
}

TEST_CASE("intervals hold what they promise, and reproduce", "[ood]") {
  // Of normal scores a distance d apart the area is Φ(d / √2), and the share of foreign ones that
  // are below the 95 % point of the familiar ones is Φ(1.645 - d).
  const double area = 0.5 * std::erfc(-1.0 / 2),
               rate = 0.5 * std::erfc(-0.644853627 / std::sqrt(2));
  const index_t trials = slow_build ? 40 : 120;
  index_t by_delong = 0, by_bootstrap = 0, by_rate = 0;
  double difference = 0;
  for (index_t t = 0; t < trials; ++t) {
    const Eigen::VectorXd out = normal(80, 1, 0, t), in = normal(120, 0, 1, t);
    const basin::bootstrap_options options{.resamples = 200};
    const auto delong = basin::auroc_delong(out, in);
    const auto drawn = basin::auroc_bootstrap(out, in, options);
    const auto fpr =
        basin::fpr_at_tpr_bootstrap(out, in, positive_class::in_distribution, 0.95, options);
    by_delong += delong.low <= area && area <= delong.high ? 1 : 0;
    by_bootstrap += drawn.low <= area && area <= drawn.high ? 1 : 0;
    by_rate += fpr.low <= rate && rate <= fpr.high ? 1 : 0;
    difference = std::max(difference, std::abs(drawn.error / delong.error - 1));
    CHECK(drawn.value == delong.value);
    CHECK(fpr.value == basin::fpr_at_tpr(out, in, positive_class::in_distribution));
  }
  // 95 % of 120, and the luck of 120 draws.
  CHECK(static_cast<double>(by_delong) >= 0.88 * static_cast<double>(trials));
  CHECK(static_cast<double>(by_bootstrap) >= 0.88 * static_cast<double>(trials));
  CHECK(static_cast<double>(by_rate) >= 0.86 * static_cast<double>(trials));
  CHECK(difference < 0.25);

  const Eigen::VectorXd out = normal(50, 1, 0), in = normal(50, 0, 1);
  const auto first = basin::auroc_bootstrap(out, in, {.random = {5}});
  CHECK(first.low == basin::auroc_bootstrap(out, in, {.random = {5}}).low);
  CHECK(first.low != basin::auroc_bootstrap(out, in, {.random = {6}}).low);
  CHECK(first.low < first.value);
  CHECK(first.value < first.high);
  const auto wide = basin::auroc_bootstrap(out, in, {.confidence = 0.999, .random = {5}});
  CHECK(wide.low < first.low);
  CHECK(wide.high > first.high);
}

TEST_CASE("a false positive rate of 0 or 1 is not certain", "[ood]") {
  // Clopper and Pearson: of 0 in n the limit p has (1 - p)^n = 0.025.
  const Eigen::VectorXd above = normal(80, 100, 0), below = normal(30, 0, 1);
  for (const auto positive :
       {positive_class::in_distribution, positive_class::out_of_distribution}) {
    const double n = positive == positive_class::in_distribution ? 80 : 30;
    const auto none = basin::fpr_at_tpr_bootstrap(above, below, positive);
    CHECK(none.value == 0);
    CHECK(none.low == 0);
    CHECK(std::abs(std::pow(1 - none.high, n) - 0.025) < 1e-12);
  }
  const auto all = basin::fpr_at_tpr_bootstrap(-above, below, positive_class::in_distribution, 0.95,
                                               {.confidence = 0.9});
  CHECK(all.value == 1);
  CHECK(all.high == 1);
  CHECK(std::abs(std::pow(all.low, 80) - 0.05) < 1e-12);
}

TEST_CASE("scores that cannot be ordered are refused", "[ood]") {
  const Eigen::VectorXd some = Eigen::Vector3d(1, 2, 3), none(0);
  Eigen::VectorXd bad = some;
  CHECK_THROWS_AS(basin::auroc(none, some), basin::argument_error);
  CHECK_THROWS_AS(basin::auroc(some, none), basin::argument_error);
  CHECK_THROWS_AS(basin::auroc_delong(some.head(1), some), basin::argument_error);
  for (const double x :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    bad[1] = x;
    CHECK_THROWS_WITH(basin::auroc(bad, some),
                      "auroc: the score of foreign sample 1 is not finite");
    CHECK_THROWS_AS(basin::fpr_at_tpr(some, bad, positive_class::in_distribution),
                    basin::argument_error);
    CHECK_THROWS_AS(basin::auroc_bootstrap(some, bad), basin::argument_error);
  }
  CHECK_THROWS_AS(basin::fpr_at_tpr(some, some, positive_class::in_distribution, 0),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::auroc_bootstrap(some, some, {.resamples = 10}), basin::argument_error);
  CHECK_THROWS_AS(basin::auroc_delong(some, some, 1), basin::argument_error);
}
