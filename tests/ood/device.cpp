// Scores of foreign samples with maps on the device backend: the same as on the CPU. Built by nvcc
// for a GPU, and by a plain compiler for Thrust's sequential host system.
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <basin/backend/cuda.hpp>
#include <basin/map/activation.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/compose.hpp>
#include <basin/ood/cuda/detector.hpp>
#include <basin/ood/cuda/residual_score.hpp>

#include "../solver/maps.hpp"
#include "knn_suite.hpp"
#include "mahalanobis_suite.hpp"

using basin::attractor_distance;
using basin::index_t;

namespace {

const Eigen::MatrixXd W = maps::starts(7, 7, 5) * 0.6;
const Eigen::VectorXd b = maps::starts(7, 1, 6);

template <class Scalar>
auto tanh_on_device(const basin::cuda<Scalar>& be) {
  return basin::compose(basin::activation(basin::tanh_function{}),
                        basin::affine(be, W.cast<Scalar>().eval(), b.cast<Scalar>().eval()));
}
template <class Scalar>
auto tanh_on_host() {
  return basin::compose(basin::activation(basin::tanh_function{}),
                        basin::affine(W.cast<Scalar>().eval(), b.cast<Scalar>().eval()));
}

}  // namespace

TEMPLATE_TEST_CASE("trajectories on the device score as on the CPU", "[ood]", float, double) {
  const basin::cuda<TestType> be;
  const basin::cpu<TestType> cpu(2);
  auto device_map = tanh_on_device(be);
  auto host_map = tanh_on_host<TestType>();
  const Eigen::MatrixXd attractors = maps::starts(7, 12, 8), starts = 2 * maps::starts(7, 45, 9);
  const double tolerance = std::is_same_v<TestType, float> ? 1e-5 : 1e-12;
  for (const auto distance : {attractor_distance::nearest, attractor_distance::mean}) {
    const basin::trajectory_score_options options{
        .rule = {.residual = 1e-3, .max_iterations = 50}, .distance = distance, .tail = true};
    const auto found = basin::trajectory_score(be, device_map, attractors, starts, options);
    const auto expected = basin::trajectory_score(cpu, host_map, attractors, starts, options);
    CHECK((found.scores - expected.scores).cwiseAbs().maxCoeff() < tolerance);
    CHECK((found.first - expected.first).cwiseAbs().maxCoeff() < tolerance);
    CHECK((found.last - expected.last).cwiseAbs().maxCoeff() < tolerance);
    CHECK((found.residual - expected.residual).cwiseAbs().maxCoeff() < tolerance);
    CHECK(found.iterations == expected.iterations);
    CHECK(found.status == expected.status);
    CHECK(found.nearest == expected.nearest);
    CHECK(found.evaluations == expected.evaluations);
  }
  CHECK_THROWS_AS(basin::trajectory_score(be, device_map, attractors, starts.topRows(6)),
                  basin::size_error);
}

TEST_CASE("starts that are not finite have no score on the device", "[ood]") {
  const basin::cuda<double> be;
  auto map = tanh_on_device(be);
  Eigen::MatrixXd starts = maps::starts(7, 3, 9);
  starts(2, 1) = std::numeric_limits<double>::quiet_NaN();
  const auto found = basin::trajectory_score(be, map, maps::starts(7, 4, 8), starts);
  CHECK(found.status[1] == basin::status::non_finite);
  CHECK(std::isnan(found.scores[1]));
  CHECK(found.status[2] == basin::status::converged);
  CHECK(found.scores[2] > 0);
}

TEST_CASE("residuals on the device are norms of one step", "[ood]") {
  const basin::cuda<double> be;
  auto device_map = tanh_on_device(be);
  auto host_map = tanh_on_host<double>();
  Eigen::MatrixXd samples = maps::starts(7, 20, 9);
  samples(3, 4) = std::numeric_limits<double>::infinity();
  const Eigen::VectorXd found = basin::residual_score(be, device_map, samples);
  const Eigen::VectorXd expected = basin::residual_score(basin::cpu<double>(1), host_map, samples);
  for (index_t j = 0; j < samples.cols(); ++j) {
    if (j == 4) {
      CHECK(std::isnan(found[j]));
    } else {
      CHECK(found[j] == Approx(expected[j]).epsilon(1e-13));
    }
  }
  const auto there = basin::detail::in_device_memory(be, samples);
  const basin::device_view<const double> view = there;
  CHECK(basin::residual_score(be, device_map, view).head(4) == found.head(4));
  CHECK(basin::residual_score(be, device_map, samples.leftCols(0)).size() == 0);
  // Steps whose squares overflow.
  Eigen::MatrixXd large = 1e200 * Eigen::MatrixXd::Identity(7, 7);
  auto grows = basin::affine(be, large);
  const Eigen::MatrixXd one_column = samples.leftCols(1);
  CHECK(basin::residual_score(be, grows, one_column)[0] ==
        Approx(1e200 * one_column.norm()).epsilon(1e-12));
}

TEST_CASE("a detector takes a map on the device, and scores without one", "[ood]") {
  const basin::cuda<double> be;
  const basin::cpu<double> cpu(1);
  auto device_map = tanh_on_device(be);
  auto host_map = tanh_on_host<double>();
  const Eigen::MatrixXd references = maps::starts(7, 60, 8), samples = maps::starts(7, 20, 9);
  const auto same = [&](basin::Detector::scorer scorer) {
    const basin::Detector detector(std::move(scorer), references);
    const Eigen::VectorXd expected = detector.score(cpu, samples);
    CHECK((detector.score(be, samples) - expected).cwiseAbs().maxCoeff() <=
          1e-13 * expected.maxCoeff());
  };
  same(basin::KnnScorer(cpu, references, {.neighbours = 3}));
  same(basin::KnnScorer(cpu, references, {.neighbours = 7, .normalized = true}));
  same(basin::Mahalanobis(cpu, references));
  basin::Detector trajectories(basin::TrajectoryScorer(cpu, references), references);
  CHECK((trajectories.score(be, samples, device_map) - trajectories.score(cpu, samples, host_map))
            .cwiseAbs()
            .maxCoeff() < 1e-12);
  const basin::Detector residuals(basin::ResidualScorer(7), references);
  CHECK((residuals.score(be, samples, device_map) - residuals.score(cpu, samples, host_map))
            .cwiseAbs()
            .maxCoeff() < 1e-12);
  trajectories.calibrate(be, maps::starts(7, 40, 10), {.rate = 0.2}, device_map);
  CHECK(trajectories.detect(be, samples, device_map).foreign.size() == 20);
}

TEMPLATE_TEST_CASE("scores without a map on the device are what they are on the CPU", "[ood]",
                   float, double) {
  const basin::cuda<TestType> be;
  SECTION("knn") { knn::scores_are_distances(be); }
  SECTION("equal") { knn::references_are_refused(be); }
  SECTION("not finite") { knn::not_finite_is_refused(be); }
  SECTION("deviations") { mahalanobis::distances_are_in_deviations(be); }
  SECTION("golden") { mahalanobis::covariances_are_scikit_learns(be); }
  SECTION("linear") { mahalanobis::a_linear_map_changes_nothing(be); }
  SECTION("misuse") { mahalanobis::samples_are_refused(be); }
}

TEMPLATE_TEST_CASE("scores of ragged shapes on the device are those of the CPU", "[ood]", float,
                   double) {
  const basin::cuda<TestType> be;
  const basin::cpu<TestType> cpu(1);
  // k, references or attractors, samples
  const std::vector<std::array<index_t, 3>> shapes{
      {1, 2, 1},   {1, 3, 9},    {2, 31, 8},   {2, 32, 7},   {3, 33, 33}, {4, 63, 1},  {5, 64, 2},
      {7, 65, 31}, {8, 127, 32}, {9, 128, 9},  {12, 129, 3}, {15, 40, 5}, {16, 17, 1}, {17, 90, 8},
      {31, 64, 2}, {32, 70, 9},  {33, 80, 17}, {40, 41, 3},  {63, 65, 2}, {65, 127, 1}};
  for (const auto& [k, m, n] : shapes) {
    CAPTURE(k, m, n);
    const Eigen::MatrixX<TestType> Y = knn::normal(k, m, 3).template cast<TestType>();
    const Eigen::MatrixX<TestType> X = knn::normal(k, n, 4).template cast<TestType>();
    const auto on = basin::detail::in_device_memory(be, X);
    const basin::device_view<const TestType> states = on;

    const basin::Mahalanobis fitted(cpu, Y, {}, {.covariance = basin::covariance_estimate::ridge});
    const Eigen::VectorXd distances = fitted.score(cpu, X);
    CHECK((fitted.score(be, states) - distances).cwiseAbs().maxCoeff() <=
          1e-12 * distances.maxCoeff());

    basin::detail::DeviceMeanDistance<TestType> means(be, Y.template cast<double>());
    const Eigen::VectorXd mean =
        basin::detail::MeanDistance(Y.template cast<double>()).distances(cpu, X);
    CHECK((means.distances(be, states) - mean).cwiseAbs().maxCoeff() <= 1e-13 * mean.maxCoeff());

    for (const bool normalized : {false, true}) {
      const basin::knn_options options{.neighbours = std::min<index_t>(m, 5),
                                       .distance = basin::knn_distance::mean,
                                       .normalized = normalized,
                                       .allow_equal = true};
      const Eigen::VectorXd scores = basin::knn_score(cpu, Y, X, options).scores;
      CHECK((basin::knn_score(be, Y, states, options).scores - scores).cwiseAbs().maxCoeff() <=
            1e-13 * std::max(scores.maxCoeff(), 1.0));
    }
  }
}
