// Scores of trajectories against sums by hand.
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <basin/backend/cpu.hpp>
#include <basin/core/random.hpp>
#include <basin/map/function_map.hpp>
#include <basin/ood/trajectory_score.hpp>

#include "../catch.hpp"

using basin::attractor_distance;
using basin::index_t;
using basin::trajectory_divisor;
using basin::trajectory_score_options;

namespace {

Eigen::MatrixXd normal(index_t rows, index_t columns, std::uint32_t stream) {
  return Eigen::MatrixXd::NullaryExpr(rows, columns, [&](index_t i, index_t j) {
    return basin::normal_at<double>(basin::random_stream{17, stream}, i, j);
  });
}

// z -> z / 2: 2^-t z, of which the residual is 2^-(t + 1) |z|.
auto halving(index_t k) {
  return basin::function_map(k, [](const auto& Z) { return 0.5 * Z; });
}

// The same sums, a trajectory at a time, with all points stored.
template <class Map>
double by_hand(Map& map, const Eigen::MatrixXd& attractors, const Eigen::VectorXd& start,
               const trajectory_score_options& options, index_t* iterations = nullptr) {
  std::vector<Eigen::VectorXd> points{start};
  for (index_t t = 0; t < options.rule.max_iterations; ++t) {
    Eigen::MatrixXd next(start.size(), 1);
    Eigen::Ref<Eigen::MatrixXd> out = next;
    const Eigen::MatrixXd here = points.back();
    basin::evaluate(basin::cpu<double>(1), map, here, out);
    if ((next.col(0) - points.back()).norm() <= options.rule.residual) break;
    points.push_back(next.col(0));
  }
  const auto taken = static_cast<index_t>(points.size()) - 1;
  if (iterations != nullptr) *iterations = taken;
  if (options.tail) {
    points.resize(static_cast<std::size_t>(options.rule.max_iterations + 1), points.back());
  }
  double sum = 0;
  for (const Eigen::VectorXd& z : points) {
    const Eigen::VectorXd distances = (attractors.colwise() - z).colwise().norm();
    sum += options.distance == attractor_distance::mean ? distances.mean() : distances.minCoeff();
  }
  const auto n = static_cast<double>(points.size());
  return sum / (options.divisor == trajectory_divisor::points ? n : std::max(n - 1, 1.0));
}

}  // namespace

TEST_CASE("a geometric trajectory is a geometric sum", "[ood]") {
  auto map = halving(1);
  const basin::cpu<double> be(1);
  const Eigen::MatrixXd attractor = Eigen::MatrixXd::Zero(1, 1);
  const Eigen::MatrixXd starts = (Eigen::MatrixXd(1, 3) << 8, -8, 0).finished();
  // 8, 4, 2, 1, 1/2, 1/4: from there the residual is 1/8.
  trajectory_score_options options{.rule = {.residual = 0.125}};
  auto found = basin::trajectory_score(be, map, attractor, starts, options);
  CHECK(found.scores == Eigen::Vector3d(15.75 / 6, 15.75 / 6, 0));
  CHECK(found.first == Eigen::Vector3d(8, 8, 0));
  CHECK(found.last == Eigen::Vector3d(0.25, 0.25, 0));
  CHECK(found.residual == Eigen::Vector3d(4, 4, 0));
  CHECK(found.iterations == std::vector<index_t>{5, 5, 0});
  CHECK(found.status[0] == basin::status::converged);
  CHECK(found.nearest == std::vector<index_t>{0, 0, 0});
  CHECK(found.evaluations == 13);
  options.divisor = trajectory_divisor::iterations;
  CHECK(basin::trajectory_score(be, map, attractor, starts, options).scores ==
        Eigen::Vector3d(15.75 / 5, 15.75 / 5, 0));
  options.rule.max_iterations = 9;
  options.tail = true;  // four points more, at 1/4
  CHECK(basin::trajectory_score(be, map, attractor, starts, options).scores ==
        Eigen::Vector3d(16.75 / 9, 16.75 / 9, 0));
  options.rule.max_iterations = 2;  // capped: 8, 4, 2
  found = basin::trajectory_score(be, map, attractor, starts, options);
  CHECK(found.scores == Eigen::Vector3d(7, 7, 0));
  CHECK(found.status[0] == basin::status::max_iterations);
}

TEST_CASE("scores are those of stored trajectories, with every option", "[ood]") {
  const index_t k = 6;
  const Eigen::MatrixXd W = 0.9 * normal(k, k, 0) / std::sqrt(2.0);
  auto map = basin::function_map(k, [&](const auto& Z) { return (W * Z).array().tanh().matrix(); });
  const basin::cpu<double> be(2);
  const Eigen::MatrixXd attractors = normal(k, 70, 1), starts = normal(k, 45, 2);
  for (const auto distance : {attractor_distance::nearest, attractor_distance::mean}) {
    for (const auto divisor : {trajectory_divisor::points, trajectory_divisor::iterations}) {
      for (const bool tail : {false, true}) {
        trajectory_score_options options{.distance = distance, .divisor = divisor, .tail = tail};
        options.rule.max_iterations = 60;
        const auto found = basin::trajectory_score(be, map, attractors, starts, options);
        for (index_t j = 0; j < starts.cols(); ++j) {
          index_t taken = 0;
          const double score = by_hand(map, attractors, starts.col(j), options, &taken);
          CHECK(std::abs(found.scores[j] - score) <= 1e-12 * score);
          CHECK(found.iterations[static_cast<std::size_t>(j)] == taken);
        }
      }
    }
  }
}

TEST_CASE("a score does not hang on threads, batch or scalar of the inputs", "[ood]") {
  auto map = halving(9);
  const Eigen::MatrixXf attractors = normal(9, 30, 0).cast<float>();
  const Eigen::MatrixXf starts = normal(9, 200, 1).cast<float>();
  const basin::cpu<float> one(1), three(3);
  for (const auto distance : {attractor_distance::nearest, attractor_distance::mean}) {
    const trajectory_score_options options{.distance = distance};
    const auto all = basin::trajectory_score(one, map, attractors, starts, options);
    CHECK(basin::trajectory_score(three, map, attractors, starts, options).scores == all.scores);
    const auto some = basin::trajectory_score(three, map, attractors.cast<double>(),
                                              starts.middleCols(70, 9).cast<double>(), options);
    CHECK(some.scores == all.scores.segment(70, 9));
  }
}

TEST_CASE("trajectories that leave are scored until then", "[ood]") {
  auto doubling = basin::function_map(1, [](const auto& Z) { return 2.0 * Z; });
  const basin::cpu<double> be(1);
  Eigen::MatrixXd starts(1, 2);
  starts << 1, std::numeric_limits<double>::quiet_NaN();
  const auto found = basin::trajectory_score(be, doubling, Eigen::MatrixXd::Zero(1, 1), starts);
  CHECK(found.status[0] == basin::status::diverged);
  const double points = static_cast<double>(found.iterations[0] + 1);
  CHECK(found.scores[0] == Approx((std::exp2(points) - 1) / points));
  CHECK(found.status[1] == basin::status::non_finite);
  CHECK(std::isnan(found.scores[1]));
  // In one step beyond what squares of distances allow.
  auto leaping = basin::function_map(1, [](const auto& Z) { return 1e200 * Z; });
  const auto leapt = basin::trajectory_score(be, leaping, Eigen::MatrixXd::Zero(1, 1), starts);
  CHECK(leapt.status[0] == basin::status::diverged);
  CHECK(leapt.first[0] == 1);
  CHECK_THROWS_AS(basin::trajectory_score(be, doubling, Eigen::MatrixXd::Zero(2, 1), starts),
                  basin::size_error);
  CHECK_THROWS_AS(basin::trajectory_score(be, doubling, Eigen::MatrixXd(1, 0), starts),
                  basin::size_error);
}
