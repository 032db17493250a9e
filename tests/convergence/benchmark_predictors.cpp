// The comparison of predictors, where the answers are known.
#include <cmath>

#include <basin/convergence/benchmark_predictors.hpp>
#include <basin/convergence/predictors/formulas.hpp>
#include <basin/convergence/predictors/koenigs.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/counter.hpp>

#include "../catch.hpp"
#include "../solver/maps.hpp"

using basin::index_t;

TEST_CASE("predictors of a linear map are compared", "[convergence]") {
  const basin::cpu<double> one(1);
  const Eigen::Matrix2d W = Eigen::Vector2d(0.9, 0.2).asDiagonal();
  auto map = basin::with_counter(basin::affine(Eigen::MatrixXd(W)));
  const basin::prediction_task task{basin::with_spectra(one, map, Eigen::MatrixXd::Zero(2, 1))};
  const Eigen::MatrixXd calibrating = maps::starts(2, 300, 3);
  const Eigen::MatrixXd test = maps::starts(2, 400, 4);
  map.reset();
  const auto found = basin::benchmark_predictors(one, map, task, calibrating, test, {},
                                                 basin::paper_formula{}, basin::koenigs{2});
  CHECK(found.truth.size() == 400);
  index_t evaluations = 0;
  for (const index_t t : found.truth.iterations) evaluations += t + 1;
  CHECK(found.evaluations == evaluations);
  REQUIRE(found.scores.size() == 2);
  const auto& paper = found.scores[0];
  const auto& exact = found.scores[1];
  CHECK(paper.name == "paper_formula");
  CHECK(exact.pearson > 0.999);
  CHECK(exact.spearman > 0.999);
  CHECK(exact.median_relative_error < 0.03);
  CHECK(exact.labels_right == 1);
  CHECK(exact.predicted == 400);
  CHECK(exact.reasons.empty());
  CHECK(paper.pearson < exact.pearson);
  CHECK(paper.pearson_told > paper.pearson - 0.2);
  CHECK(std::isnan(exact.pearson_told));
  // One basin: nothing changes within it.
  CHECK(exact.pearson_within_basin == Approx(exact.pearson));
  CHECK(exact.median_width < 4);
  CHECK(exact.median_width < exact.constant_width / 3);
  const auto range = basin::coverage_range(300, 400, 0.9);
  for (const auto& score : found.scores) {
    CHECK(score.coverage >= range.first);
    CHECK(score.coverage <= range.second);
  }
  // All-in: two steps of every test and calibrating start, and the calibrating truth.
  const auto known = basin::count_iterations(one, map, task, calibrating);
  CHECK(exact.evaluations <= 2 * 700 + known.evaluations);
  CHECK(exact.evaluations > 2 * 600 + known.evaluations);
  CHECK(exact.evaluations_share ==
        Approx(static_cast<double>(exact.evaluations) / static_cast<double>(evaluations)));

  // Without a calibration there are no intervals, and nothing of it is paid.
  const auto bare = basin::benchmark_predictors(one, map, task, Eigen::MatrixXd(2, 0), test, {},
                                                basin::paper_formula{});
  CHECK(bare.scores[0].intervals.empty());
  CHECK(std::isnan(bare.scores[0].coverage));
  CHECK(bare.scores[0].evaluations == 0);
  CHECK(bare.scores[0].pearson == Approx(paper.pearson));
}
