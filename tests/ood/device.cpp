// Scores of foreign samples with maps on the device backend: the same as on the CPU. Built by nvcc
// for a GPU, and by a plain compiler for each of Thrust's host systems.
#include <cmath>
#include <limits>

#include <basin/backend/cuda.hpp>
#include <basin/map/activation.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/compose.hpp>
#include <basin/ood/detector.hpp>
#include <basin/ood/residual_score.hpp>
#include <basin/ood/trajectory_score.hpp>

#include "../solver/maps.hpp"

using basin::attractor_distance;
using basin::index_t;

namespace {

const Eigen::MatrixXd W = maps::starts(7, 7, 5) * 0.6;
const Eigen::VectorXd b = maps::starts(7, 1, 6);

template <class Scalar>
auto on_device(const basin::cuda<Scalar>& be) {
  return basin::compose(basin::activation(basin::tanh_function{}),
                        basin::affine(be, W.cast<Scalar>().eval(), b.cast<Scalar>().eval()));
}
template <class Scalar>
auto on_host() {
  return basin::compose(basin::activation(basin::tanh_function{}),
                        basin::affine(W.cast<Scalar>().eval(), b.cast<Scalar>().eval()));
}

}  // namespace

TEMPLATE_TEST_CASE("trajectories on the device score as on the CPU", "[ood]", float, double) {
  const basin::cuda<TestType> be;
  const basin::cpu<TestType> cpu(2);
  auto device_map = on_device(be);
  auto host_map = on_host<TestType>();
  const Eigen::MatrixXd attractors = maps::starts(7, 12, 8), starts = 2 * maps::starts(7, 45, 9);
  const double tolerance = std::is_same_v<TestType, float> ? 1e-5 : 1e-12;
  for (const auto distance : {attractor_distance::nearest, attractor_distance::mean}) {
    const basin::trajectory_options options{
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
  auto map = on_device(be);
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
  auto device_map = on_device(be);
  auto host_map = on_host<double>();
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
}

TEST_CASE("a detector takes a map on the device, and scores without one", "[ood]") {
  const basin::cuda<double> be;
  const basin::cpu<double> cpu(1);
  auto device_map = on_device(be);
  auto host_map = on_host<double>();
  const Eigen::MatrixXd references = maps::starts(7, 60, 8), samples = maps::starts(7, 20, 9);
  const auto same = [&](basin::Detector::scorer scorer) {
    const basin::Detector detector(std::move(scorer), references);
    CHECK(detector.score(be, samples) == detector.score(cpu, samples));
  };
  same(basin::KnnScorer(cpu, references, {.neighbours = 3}));
  same(basin::Mahalanobis(cpu, references));
  basin::Detector trajectories(basin::TrajectoryScorer(cpu, references), references);
  CHECK((trajectories.score(be, samples, device_map) - trajectories.score(cpu, samples, host_map))
            .cwiseAbs()
            .maxCoeff() < 1e-12);
  trajectories.calibrate(be, maps::starts(7, 40, 10), {.rate = 0.2}, device_map);
  CHECK(trajectories.detect(be, samples, device_map).foreign.size() == 20);
}
