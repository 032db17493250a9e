// Ends as attractors: fixed points, cycles at any phase, continua, and no ghosts.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

#include <basin/attractor/assign.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/differentiable.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "../catch.hpp"
#include "../solver/maps.hpp"
#include "maps.hpp"

using basin::attractor_kind;
using basin::Clustering;
using basin::index_t;
using basin::status;

namespace {

using labels = std::vector<index_t>;

template <class Scalar, class Map>
auto follow(const basin::cpu<Scalar>& be, const Map& map, const Eigen::MatrixXd& starts,
            double residual = 1e-6, index_t iterations = 100'000) {
  basin::FixedPointSolver solver{
      map, basin::picard{}, basin::stopping{.residual = residual, .max_iterations = iterations}};
  return solver.solve(be, Eigen::MatrixX<Scalar>(starts.cast<Scalar>()));
}

// Ends that no run has made.
basin::FixedPointResult<basin::cpu<double>> ends(const Eigen::MatrixXd& Z, status s,
                                                 index_t period = 1) {
  const auto n = static_cast<std::size_t>(Z.cols());
  basin::FixedPointResult<basin::cpu<double>> found;
  found.states = Z;
  found.residual.assign(n, 0);
  found.iterations.assign(n, 0);
  found.evaluations.assign(n, 1);
  found.status.assign(n, s);
  found.period.assign(n, period);
  return found;
}

// Rate 0.999 along (1, 1) and 0.3 across, to (2, -1).
auto slow() {
  return basin::differentiable<2>([](const auto& z, auto& f) {
    const auto along = ((z[0] - 2.0f) + (z[1] + 1.0f)) * (0.999f / 2);
    const auto across = ((z[0] - 2.0f) - (z[1] + 1.0f)) * (0.3f / 2);
    f[0] = 2.0f + along + across;
    f[1] = -1.0f + along - across;
  });
}

}  // namespace

TEMPLATE_TEST_CASE("two wells are two points, polished", "[attractor]", float, double) {
  auto map = maps::two_wells();
  const basin::cpu<TestType> be(2);
  Eigen::MatrixXd starts = maps::starts(2, 301);
  starts.row(0).array() += 0.1;
  const auto found = follow(be, map, starts, 1e-5);
  REQUIRE(found.count(status::converged) == 301);
  const Clustering c = basin::cluster(be, map, found);
  REQUIRE(c.size() == 2);
  CHECK(c.clusters[0].members + c.clusters[1].members == 301);
  CHECK(c.clusters[0].members > c.clusters[1].members);
  for (int i = 0; i < 2; ++i) {
    const auto& cluster = c.clusters[static_cast<std::size_t>(i)];
    const double well = i == 0 ? 1 : -1;
    CHECK(cluster.kind == attractor_kind::point);
    CHECK(cluster.polished);
    CHECK_FALSE(cluster.escaped);
    CHECK(cluster.residual < 1e-15);
    CHECK(cluster.spread < 1e-4);
    CHECK((cluster.center - Eigen::Vector2d(well, well / 6)).norm() < 1e-14);
  }
  for (index_t j = 0; j < 301; ++j) {
    CHECK(c.labels[static_cast<std::size_t>(j)] == (starts(0, j) > 0 ? 0 : 1));
    const double distance =
        (found.states.col(j).template cast<double>() -
         c.clusters[static_cast<std::size_t>(c.labels[static_cast<std::size_t>(j)])].center.col(0))
            .norm();
    CHECK(distance <= 3 * c.error_bound[static_cast<std::size_t>(j)] + 1e-12);
  }
}

TEMPLATE_TEST_CASE("slow convergence makes no ghosts", "[attractor]", float, double) {
  auto map = slow();
  const basin::cpu<TestType> be(1);
  // Residuals of 1e-4 at rate 0.999 are errors of 0.1.
  const auto found = follow(be, map, 10 * maps::starts(2, 100), 1e-4);
  REQUIRE(found.count(status::converged) == 100);
  REQUIRE((found.states.col(0) - found.states.col(1)).norm() > 0.05);
  const Clustering c = basin::cluster(be, map, found);
  REQUIRE(c.size() == 1);
  CHECK(c.clusters[0].kind == attractor_kind::point);
  CHECK(c.clusters[0].members == 100);
  CHECK((c.clusters[0].center - Eigen::Vector2d(2, -1)).norm() < 1e-12);

  // Without a derivative the bounds alone do it.
  auto plain = [](const Eigen::Ref<const Eigen::MatrixX<TestType>>& Z,
                  Eigen::Ref<Eigen::MatrixX<TestType>> out) {
    const Eigen::MatrixXd X = Z.template cast<double>();
    for (index_t j = 0; j < Z.cols(); ++j) {
      const double along = (X(0, j) - 2 + X(1, j) + 1) * 0.999 / 2;
      const double across = (X(0, j) - 2 - X(1, j) - 1) * 0.3 / 2;
      out(0, j) = static_cast<TestType>(2 + along + across);
      out(1, j) = static_cast<TestType>(-1 + along - across);
    }
  };
  const Clustering unpolished = basin::cluster(be, plain, found);
  REQUIRE(unpolished.size() == 1);
  CHECK_FALSE(unpolished.clusters[0].polished);
  CHECK((unpolished.clusters[0].center - Eigen::Vector2d(2, -1)).norm() <
        unpolished.clusters[0].error);
}

TEST_CASE("an end beside a saddle joins nothing", "[attractor]") {
  // Attracting whole numbers, and saddles between them.
  auto map = basin::differentiable<1>([](const auto& z, auto& f) {
    using std::sin;
    f[0] = z[0] - 0.1 * sin(6.283185307179586476925 * z[0]);
  });
  const basin::cpu<double> be(1);
  Eigen::MatrixXd starts = 20 * maps::starts(1, 400);
  starts(0, 0) = 3.5001;  // its residual is below 1e-3 at once
  const auto found = follow(be, map, starts, 1e-3);
  REQUIRE(found.iterations[0] == 0);
  const Clustering c = basin::cluster(be, map, found);
  for (std::size_t j = 0; j < 400; ++j) {
    const double end = found.states(0, static_cast<index_t>(j));
    const double center = c.clusters[static_cast<std::size_t>(c.labels[j])].center(0);
    CHECK(std::round(4 * end) == std::round(4 * center));
  }
  const auto& saddle = c.clusters[static_cast<std::size_t>(c.labels[0])];
  CHECK(saddle.members == 1);
  CHECK(saddle.escaped);
  CHECK(std::isinf(c.error_bound[0]));
}

TEST_CASE("a cycle met at another phase is the same attractor", "[attractor]") {
  // Cycles of period 4 of z -> r z (1 - z) at 3.5; the second coordinate tells two copies apart.
  auto map = basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = 3.5 * z[0] * (1.0 - z[0]);
    f[1] = z[1] + 0.3 * z[1] * (1.0 - z[1] * z[1]);
  });
  const basin::cpu<double> be(2);
  Eigen::MatrixXd starts = maps::starts(2, 200);
  starts.row(0) = (starts.row(0).array() + 1) / 2;
  const auto found = follow(be, map, starts);
  REQUIRE(found.count(status::cycle) == 200);
  const Clustering c = basin::cluster(be, map, found);
  REQUIRE(c.size() == 2);
  for (const auto& cluster : c.clusters) {
    CHECK(cluster.kind == attractor_kind::cycle);
    CHECK(cluster.period == 4);
    CHECK(cluster.polished);
    REQUIRE(cluster.center.cols() == 4);
    for (index_t i = 0; i < 4; ++i) {
      const double z = cluster.center(0, i);
      CHECK(std::abs(3.5 * z * (1 - z) - cluster.center(0, (i + 1) % 4)) < 1e-14);
    }
  }
  // All four phases are met in each.
  for (index_t j = 0; j < 200; ++j) {
    CHECK(c.labels[static_cast<std::size_t>(j)] ==
          ((starts(1, j) > 0) == (c.clusters[0].center(1, 0) > 0) ? 0 : 1));
  }
  // New ends, at other phases, are assigned; also by what fixes them after twice the period.
  Eigen::MatrixXd next(2, 2);
  next.col(0) = c.clusters[1].center.col(3);
  next.col(1) = c.clusters[0].center.col(2);
  CHECK(basin::assign(be, map, c.clusters, ends(next, status::cycle, 4)) == labels{1, 0});
  CHECK(basin::assign(be, map, c.clusters, ends(next, status::cycle, 8)) == labels{1, 0});
  CHECK(basin::assign(be, map, c.clusters, ends(next, status::cycle, 2)) == labels{-1, -1});
  CHECK(basin::assign(be, map, c.clusters, ends(next, status::cycle, 3)) == labels{-1, -1});
  CHECK(basin::assign(be, map, c.clusters, ends(next, status::stalled)) == labels{-1, -1});
}

TEMPLATE_TEST_CASE("a circle of fixed points is one continuum", "[attractor]", float, double) {
  auto map = maps::to_circle();
  const basin::cpu<TestType> be(1);
  const auto found = follow(be, map, maps::starts(2, 120), 1e-5);
  REQUIRE(found.count(status::converged) == 120);
  const Clustering c = basin::cluster(be, map, found);
  REQUIRE(c.size() == 1);
  CHECK(c.clusters[0].kind == attractor_kind::continuum);
  CHECK(c.clusters[0].members == 120);
  CHECK(c.clusters[0].center.cols() <= 64);
  CHECK((c.clusters[0].center.colwise().norm().array() - 1).abs().maxCoeff() < 1e-4);
  CHECK(c.clusters[0].spread < 0.3);
  // Other starts end on it too.
  const auto more = follow(be, map, maps::starts(2, 50, 2), 1e-5);
  const labels to = basin::assign(be, map, c.clusters, more);
  CHECK(std::count(to.begin(), to.end(), 0) == 50);
  // Without the search for continua every end is its own.
  CHECK(basin::cluster(be, map, found, basin::by_distance{.continua = false}).size() > 100);
}

TEST_CASE("a plane of fixed points and 2-cycles of all sizes are continua", "[attractor]") {
  auto onto_plane = basin::differentiable<3>([](const auto& z, auto& f) {
    f[0] = z[0];
    f[1] = z[1];
    f[2] = 0.5 * z[2];
  });
  const basin::cpu<double> be(1);
  const Clustering plane =
      basin::cluster(be, onto_plane, follow(be, onto_plane, maps::starts(3, 60)));
  REQUIRE(plane.size() == 1);
  CHECK(plane.clusters[0].kind == attractor_kind::continuum);

  auto flip = basin::differentiable<1>([](const auto& z, auto& f) { f[0] = -z[0]; });
  const auto found = follow(be, flip, maps::starts(1, 20));
  REQUIRE(found.count(status::cycle) == 20);
  const Clustering flips = basin::cluster(be, flip, found);
  REQUIRE(flips.size() == 1);
  CHECK(flips.clusters[0].kind == attractor_kind::continuum);
  CHECK(flips.clusters[0].period == 2);
}

TEST_CASE("wandering columns are in no cluster", "[attractor]") {
  auto map = maps::rotation(1.0);
  const basin::cpu<double> be(1);
  const auto turning = follow(be, map, maps::starts(2, 10));
  REQUIRE(turning.count(status::marginal) == 10);
  const Clustering none = basin::cluster(be, map, turning);
  CHECK(none.size() == 0);
  CHECK(none.labels == labels(10, -1));

  auto wells = maps::two_wells();
  auto found = follow(be, wells, maps::starts(2, 40));
  const labels all = basin::cluster(be, wells, found).labels;
  const status ended[] = {status::stalled,        status::diverged,  status::non_finite,
                          status::max_iterations, status::cancelled, status::running};
  for (std::size_t j = 0; j < 6; ++j) found.status[j] = ended[j];
  found.states.col(2).setConstant(std::numeric_limits<double>::quiet_NaN());
  // One that says it converged and has not a number harms nobody either.
  found.states(0, 6) = std::numeric_limits<double>::quiet_NaN();
  const Clustering c = basin::cluster(be, wells, found);
  CHECK(c.size() == 2);
  for (std::size_t j = 0; j < 40; ++j) CHECK((c.labels[j] == -1) == (j < 7));
  CHECK(std::isnan(c.error_bound[0]));
  CHECK(basin::cluster(be, wells, ends(Eigen::MatrixXd(2, 0), status::converged)).size() == 0);
}

TEST_CASE("a centre that Newton moves out of reach is not taken", "[attractor]") {
  // The residual is small near 0 without a fixed point there; the only one is far away.
  auto map = basin::differentiable<1>([](const auto& z, auto& f) {
    f[0] = z[0] - 1e-9 * (1.0 + z[0] * z[0]) * (z[0] - 50.0) / 50.0;
  });
  const basin::cpu<double> be(1);
  const Clustering c =
      basin::cluster(be, map, ends(Eigen::MatrixXd::Constant(1, 3, 0.1), status::converged));
  REQUIRE(c.size() == 1);
  CHECK(c.clusters[0].escaped);
  CHECK_FALSE(c.clusters[0].polished);
  CHECK(c.clusters[0].center(0) == 0.1);
}

TEST_CASE("the clustering does not depend on threads or the order of columns", "[attractor]") {
  auto map = maps::two_wells();
  const basin::cpu<double> one(1), three(3);
  const Eigen::MatrixXd starts = maps::starts(2, 200);
  const Clustering a = basin::cluster(one, map, follow(one, map, starts));
  const Clustering b = basin::cluster(three, map, follow(three, map, starts));
  CHECK(a.labels == b.labels);
  REQUIRE(a.size() == b.size());
  for (std::size_t c = 0; c < a.clusters.size(); ++c) {
    CHECK((a.clusters[c].center.array() == b.clusters[c].center.array()).all());
  }
  const Clustering reversed =
      basin::cluster(one, map, follow(one, map, starts.rowwise().reverse()));
  labels back = reversed.labels;
  std::reverse(back.begin(), back.end());
  CHECK(back == a.labels);
}

TEST_CASE("directions: the paper's rule ignores the radius", "[attractor]") {
  auto map = [](const auto& Z) { return Z; };
  const basin::cpu<double> be(1);
  // Directions at 0, 7, 14 and 90 degrees: cos 7° is 0.9925, cos 14° 0.970.
  Eigen::MatrixXd Z(2, 5);
  const double degree = 3.14159265358979 / 180;
  const double angle[] = {0, 7, 14, 90, 0}, radius[] = {1, 5, 0.1, 2, 40};
  for (index_t j = 0; j < 5; ++j) {
    Z.col(j) << radius[j] * std::cos(angle[j] * degree), radius[j] * std::sin(angle[j] * degree);
  }
  const auto found = ends(Z, status::converged);
  CHECK(basin::cluster(be, map, found, basin::paper_cosine{}).labels == labels{0, 0, 1, 2, 0});
  CHECK(
      basin::cluster(be, map, found, basin::paper_cosine{.rule = basin::linkage::single}).labels ==
      labels{0, 0, 0, 1, 0});
  CHECK(basin::cluster(be, map, found, basin::paper_cosine{}).clusters[0].center == Z.col(0));
  CHECK_THROWS_AS(basin::cluster(be, map, found, basin::paper_cosine{.cosine = 1}),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::cluster(be, map, found, basin::paper_cosine{.cosine = 2}),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::cluster(be, map, found, basin::by_distance{.safety = 0.5}),
                  basin::argument_error);
}

TEST_CASE("basin shares by source, with Wilson's intervals", "[attractor]") {
  // R: binom::binom.confint(10, 100, methods = "wilson") is 0.0552291 to 0.1743657.
  const auto share = basin::wilson_interval(10, 100);
  CHECK(share.value == 0.1);
  CHECK(std::abs(share.low - 0.05522914) < 1e-7);
  CHECK(std::abs(share.high - 0.17436566) < 1e-7);
  CHECK(basin::wilson_interval(0, 50).low == 0);
  CHECK(std::abs(basin::wilson_interval(0, 50).high - 0.07134759) < 1e-7);
  CHECK(basin::wilson_interval(50, 50).high == 1);
  CHECK(std::isnan(basin::wilson_interval(0, 0).value));
  CHECK_THROWS_AS(basin::wilson_interval(3, 2), basin::argument_error);

  Clustering c;
  c.labels = {0, 0, 1, -1, 0, 1};
  c.clusters.resize(2);
  const auto shares = basin::basin_shares(c, {0, 0, 0, 0, 2, 2});
  REQUIRE(shares.size() == 3);
  CHECK(shares[0][0].value == 0.5);
  CHECK(shares[0][1].value == 0.25);
  CHECK(shares[1][0].starts == 0);
  CHECK(shares[2][1].hits == 1);
  CHECK(basin::basin_shares(c)[0][0].value == 0.5);
  CHECK_THROWS_AS(basin::basin_shares(c, {0, 1}), basin::size_error);
}

TEST_CASE("isolated fixed points at equal distances are no continuum", "[attractor]") {
  // Every multiple of 2 pi / 3 is one. The ends are four apart, so that the points at quarters of
  // the way are fixed as well.
  auto map = basin::columnwise<1>([](double z) { return z - 0.2 * std::sin(3 * z); });
  const double apart = 2 * std::numbers::pi / 3;
  basin::FixedPointSolver solver{map, basin::picard{}, basin::stopping{.residual = 1e-12}};
  const basin::cpu<double> one(1);
  const auto found = solver.solve(one, Eigen::RowVector2d(0.1, 4 * apart + 0.1));
  const auto clusters = basin::cluster(one, map, found);
  REQUIRE(clusters.size() == 2);
  CHECK(clusters.clusters[0].kind == basin::attractor_kind::point);
  CHECK(clusters.clusters[1].kind == basin::attractor_kind::point);
  for (const double wells : {1, 2, 3, 7, 16, 50}) {
    INFO(wells << " wells apart");
    const auto pair = solver.solve(one, Eigen::RowVector2d(0.1, wells * apart + 0.1));
    CHECK(basin::cluster(one, map, pair).size() == 2);
  }
}

TEST_CASE("an end that is far from converged does not make one of two attractors", "[attractor]") {
  // Attractors at -0.3 and 0.3, a repeller at -0.15, and between them steps below 1e-3 for long.
  auto map = basin::differentiable<1>([](const auto& z, auto& f) {
    const auto x = z[0];
    f[0] = x - 40.0 * (x + 0.3) * (x + 0.15) * (x - 0.3) * (x * x + 1e-3);
  });
  const basin::cpu<double> be(1);
  const Eigen::MatrixXd starts = Eigen::RowVectorXd::LinSpaced(1000, -0.39, 0.39);
  const auto found = follow(be, map, starts, 1e-3);
  REQUIRE(found.count(status::converged) == 1000);
  const Clustering c = basin::cluster(be, map, found);
  REQUIRE(c.size() == 2);
  // Also those that have stopped half way go where iterating takes them.
  for (index_t j = 0; j < 1000; ++j) {
    const double well = starts(0, j) > -0.15 ? 0.3 : -0.3;
    const auto& its = c.clusters[static_cast<std::size_t>(c.labels[static_cast<std::size_t>(j)])];
    INFO("start " << starts(0, j) << ", end " << found.states(0, j));
    CHECK(std::abs(its.center(0, 0) - well) < 1e-8);
  }
}

TEST_CASE("a continuum whose ends lie close to each other is one", "[attractor]") {
  auto map = maps::to_circle();
  const basin::cpu<double> be(1);
  const auto found = follow(be, map, maps::starts(2, 4000), 1e-2);
  const Clustering c = basin::cluster(be, map, found);
  REQUIRE(c.size() == 1);
  CHECK(c.clusters[0].kind == attractor_kind::continuum);
  CHECK(c.clusters[0].members == 4000);
}

TEST_CASE("ends of one spiral are one attractor", "[attractor]") {
  // Turns by 0.5 or 0.04 an iteration in a metric of aspect `wide`: steps grow and shrink in turn.
  for (const double angle : {0.5, 0.04}) {
    for (const double wide : {3.0, 30.0}) {
      const double rate = 0.99, c = rate * std::cos(angle), s = rate * std::sin(angle);
      auto map = basin::differentiable<2>([=](const auto& z, auto& f) {
        f[0] = c * z[0] - (s * wide) * z[1];
        f[1] = (s / wide) * z[0] + c * z[1];
      });
      const basin::cpu<double> be(2);
      const auto found = follow(be, map, maps::starts(2, 200), 1e-4);
      REQUIRE(found.count(status::converged) == 200);
      const Clustering clusters = basin::cluster(be, map, found);
      INFO("angle " << angle << ", aspect " << wide);
      REQUIRE(clusters.size() == 1);
      CHECK(clusters.clusters[0].polished);
      CHECK_FALSE(clusters.clusters[0].escaped);
      CHECK(clusters.clusters[0].center.norm() < 1e-7);
      CHECK(basin::assign(be, map, clusters.clusters, found) == clusters.labels);
    }
  }
}

TEST_CASE("a spiral's distance is known from four steps", "[attractor]") {
  const double rate = 0.9, c = rate * std::cos(0.7), s = rate * std::sin(0.7);
  auto map = basin::columnwise<2>([=](const auto& z, auto& f) {
    f[0] = c * z[0] - 3 * s * z[1];
    f[1] = s / 3 * z[0] + c * z[1];
  });
  const basin::cpu<double> be(1);
  const Eigen::MatrixXd Z = maps::starts(2, 50);
  const auto errors = basin::detail::expected_errors(be, map, Z);
  for (index_t j = 0; j < 50; ++j) {
    CHECK(std::abs(errors[static_cast<std::size_t>(j)] / Z.col(j).norm() - 1) < 1e-9);
  }
}

TEST_CASE("a cycle about to double has its own period", "[attractor]") {
  // f^2 has the multiplier -0.998 on the 2-cycle: for long the ends look like a 4-cycle.
  const double r = 1 + std::sqrt(6.0) - 0.0008;
  auto map =
      basin::differentiable<1>([=](const auto& z, auto& f) { f[0] = r * z[0] * (1.0 - z[0]); });
  const basin::cpu<double> be(1);
  const Eigen::MatrixXd starts = Eigen::RowVectorXd::LinSpaced(60, 0.05, 0.95);
  const auto found = follow(be, map, starts, 1e-9);
  REQUIRE(found.count(status::cycle) == 60);
  REQUIRE(std::count(found.period.begin(), found.period.end(), 4) > 30);
  Clustering c = basin::cluster(be, map, found);
  REQUIRE(c.size() == 1);
  CHECK(c.clusters[0].period == 2);
  REQUIRE(c.clusters[0].center.cols() == 2);
  CHECK(c.clusters[0].members == 60);
  CHECK(c.clusters[0].residual < 1e-13);
  const labels all(60, 0);
  CHECK(basin::assign(be, map, c.clusters, found) == all);

  // One that has doubled keeps its four points.
  auto doubled =
      basin::differentiable<1>([](const auto& z, auto& f) { f[0] = 3.46 * z[0] * (1.0 - z[0]); });
  c = basin::cluster(be, doubled, follow(be, doubled, starts, 1e-9));
  REQUIRE(c.size() == 1);
  CHECK(c.clusters[0].period == 4);
}

TEST_CASE("an end that rests at a saddle does not name the piece that it is chained to",
          "[attractor]") {
  // A saddle at 0, attractors at (-1, 0) and (1, 0) with rate 0.8.
  auto map = basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = z[0] + 0.1 * z[0] * (1.0 - z[0] * z[0]);
    f[1] = 0.5 * z[1];
  });
  const basin::cpu<double> be(1);
  Eigen::MatrixXd Z(2, 4);
  Z << 1e-9, 0.5, 0.7, 0.9,  //
      1e-3, 0, 0, 0;
  const Clustering c =
      basin::cluster(be, map, ends(Z, status::converged), basin::by_distance{.safety = 4});
  REQUIRE(c.labels == labels{1, 0, 0, 0});
  CHECK(c.clusters[0].polished);
  CHECK((c.clusters[0].center - Eigen::Vector2d(1, 0)).norm() < 1e-12);
  CHECK(c.clusters[1].center.norm() < 1e-12);
}

TEST_CASE("an end is assigned to what it comes to, not to what lies beside it", "[attractor]") {
  // Attractors at -0.1 and 0.1. A member of the first's run was as far from it as the second is.
  auto map = basin::differentiable<1>(
      [](const auto& z, auto& f) { f[0] = z[0] + 20.0 * z[0] * (0.01 - z[0] * z[0]); });
  const basin::cpu<double> be(1);
  basin::Cluster first;
  first.center = Eigen::MatrixXd::Constant(1, 1, -0.1);
  first.spread = 0.3;
  const Eigen::RowVector3d Z(0.1, 0.02, -0.25);
  CHECK(basin::assign(be, map, {first}, ends(Z, status::converged)) == labels{-1, -1, 0});
}

TEST_CASE("ends that lie nearer to a repeller than to their attractors", "[attractor]") {
  // Whole numbers attract, halves repel; a rule so loose that ends stop half way.
  auto map = basin::differentiable<1>([](const auto& z, auto& f) {
    using std::sin;
    f[0] = z[0] - 0.05 * sin(6.283185307179586476925 * z[0]);
  });
  const basin::cpu<double> be(1);
  Eigen::RowVectorXd Z(4);
  Z << 0.22, 0.24, 1.22, 1.24;
  Clustering c = basin::cluster(be, map, ends(Z, status::converged));
  CHECK(c.labels == labels{0, 0, 1, 1});
  REQUIRE(c.size() == 2);
  CHECK(std::abs(c.clusters[0].center(0, 0)) < 1e-12);
  CHECK(std::abs(c.clusters[1].center(0, 0) - 1) < 1e-12);
  CHECK(c.clusters[0].polished);

  // More of them than are asked at a time.
  const index_t wells = slow_build ? 300 : 600;
  Eigen::RowVectorXd many(2 * wells);
  for (index_t j = 0; j < wells; ++j) {
    many[j] = static_cast<double>(j) + 0.2;
    many[2 * wells - 1 - j] = static_cast<double>(j) + 0.3;
  }
  c = basin::cluster(be, map, ends(many, status::converged));
  REQUIRE(c.size() == wells);
  for (index_t j = 0; j < many.size(); ++j) {
    const auto label = static_cast<std::size_t>(c.labels[static_cast<std::size_t>(j)]);
    CHECK(std::abs(c.clusters[label].center(0, 0) - std::floor(many[j])) < 1e-9);
  }
}

TEST_CASE("an attractor beside a continuum does not cut it", "[attractor]") {
  // The ring of radius 1 and the point 0 attract; each sample of the ring is nearer to 0 than to
  // its neighbours.
  auto map = basin::differentiable<2>([](const auto& z, auto& f) {
    using std::sqrt;
    const auto r = sqrt(z[0] * z[0] + z[1] * z[1]);
    const auto factor = 1.0 - 0.8 * (r - 0.5) * (r - 1.0);
    for (int i = 0; i < 2; ++i) f[i] = z[i] * factor;
  });
  const basin::cpu<double> be(1);
  Eigen::MatrixXd Z(2, 6);
  const double angle[] = {0, 1.3, 2.5, 3.8, 5.0};
  for (index_t j = 0; j < 5; ++j) Z.col(j) << std::cos(angle[j]), std::sin(angle[j]);
  Z.col(5) << 1e-3, 0;
  const auto found = follow(be, map, Z, 1e-12);
  const Clustering c = basin::cluster(be, map, found);
  REQUIRE(c.labels == labels{0, 0, 0, 0, 0, 1});
  CHECK(c.clusters[0].kind == attractor_kind::continuum);
  CHECK(c.clusters[1].kind == attractor_kind::point);
  // What lies within the widest gap of a continuum is not on it.
  const Clustering ring = basin::cluster(be, map, follow(be, map, Z.leftCols(2), 1e-12));
  REQUIRE(ring.clusters[0].kind == attractor_kind::continuum);
  // Nor is what a straight way leads to only through the basin of 0.
  CHECK(basin::assign(be, map, ring.clusters, found) == labels{0, 0, 0, -1, 0, -1});
}

TEST_CASE("ends that leave a saddle are no continuum", "[attractor]") {
  auto map = basin::differentiable<1>(
      [](const auto& z, auto& f) { f[0] = z[0] + 0.25 * z[0] * (1.0 - z[0] * z[0]); });
  auto plain = basin::columnwise<1>([](double z) { return z + 0.25 * z * (1 - z * z); });
  const basin::cpu<double> be(1);
  for (const double size : {1e-3, 1e-6}) {
    Eigen::RowVectorXd Z(5);
    Z << -3 * size, -2 * size, -size, -0.999999999, 0.999999999;
    const auto found = ends(Z, status::converged);
    for (const auto& cluster : basin::cluster(be, map, found).clusters) {
      CHECK(cluster.kind == attractor_kind::point);
    }
    for (const auto& cluster : basin::cluster(be, plain, found).clusters) {
      CHECK(cluster.kind == attractor_kind::point);
    }
  }
}

TEST_CASE("assigning a run's own ends gives its clusters", "[attractor]") {
  // The run whose ends stop half way, above.
  auto map = basin::differentiable<1>([](const auto& z, auto& f) {
    const auto x = z[0];
    f[0] = x - 40.0 * (x + 0.3) * (x + 0.15) * (x - 0.3) * (x * x + 1e-3);
  });
  const basin::cpu<double> be(1);
  const auto found = follow(be, map, Eigen::RowVectorXd::LinSpaced(1000, -0.39, 0.39), 1e-3);
  const Clustering c = basin::cluster(be, map, found);
  CHECK(basin::assign(be, map, c.clusters, found) == c.labels);
}

TEST_CASE("slow ends come to their point, however many ask", "[attractor]") {
  const basin::cpu<double> be(1);
  for (const double rate : {0.9, 0.9998, 0.9999, -0.9999}) {
    auto map = basin::columnwise<1>([=](double z) { return rate * z; });
    index_t evaluations = 0;
    INFO("rate " << rate);
    CHECK(basin::detail::arrivals(be, map, Eigen::MatrixXd::Ones(1, 1), Eigen::MatrixXd::Zero(1, 1),
                                  {0}, evaluations) == labels{0});
  }
  // One that comes to rest a quarter of the way from it has not.
  auto beside = basin::columnwise<1>([](double z) { return 0.2 + 0.5 * (z - 0.2); });
  index_t evaluations = 0;
  CHECK(basin::detail::arrivals(be, beside, Eigen::MatrixXd::Ones(1, 1),
                                Eigen::MatrixXd::Zero(1, 1), {0}, evaluations) == labels{-1});
  auto wells = basin::differentiable<1>(
      [](const auto& z, auto& f) { f[0] = z[0] + 0.005 * z[0] * (1.0 - z[0] * z[0]); });
  basin::Cluster left, right;
  left.center = Eigen::MatrixXd::Constant(1, 1, -1.0);
  right.center = Eigen::MatrixXd::Constant(1, 1, 1.0);
  for (const index_t n : {1, slow_build ? 300 : 3000}) {
    const auto found = ends(Eigen::MatrixXd::Constant(1, n, 0.001), status::converged);
    CHECK(basin::assign(be, wells, {left, right}, found) == labels(static_cast<std::size_t>(n), 1));
  }
}

TEST_CASE("attractors are told apart at any scale", "[attractor]") {
  // Two wells at middle ± apart.
  for (const auto& [middle, apart] : {std::pair(1e8, 1.0), {1e6, 1e-4}, {0.0, 1e-9}, {0.0, 1e9}}) {
    auto map = basin::differentiable<1>([middle = middle, apart = apart](const auto& z, auto& f) {
      const auto x = (z[0] - middle) / apart;
      f[0] = z[0] + (0.25 * apart) * x * (1.0 - x * x);
    });
    const basin::cpu<double> be(1);
    Eigen::RowVectorXd Z(4);
    Z << middle - apart, middle + apart, middle - 0.999999 * apart, middle + 1.000001 * apart;
    INFO("middle " << middle << ", apart " << apart);
    CHECK(basin::cluster(be, map, ends(Z, status::converged)).labels == labels{0, 1, 0, 1});
  }
}

TEST_CASE("orbits and ends that are not finite are in no cluster", "[attractor]") {
  auto map = basin::columnwise<1>([](double z) { return z > 5 ? z / 0.0 : -z; });
  const basin::cpu<double> be(1);
  auto found = ends(Eigen::RowVector3d(7, 1, -1), status::cycle, 2);
  CHECK(basin::cluster(be, map, found).labels == labels{-1, 0, 0});
  auto identity = basin::columnwise<1>([](double z) { return z; });
  found = ends(Eigen::RowVector3d(1e200, 1, 3e160), status::converged);
  CHECK(basin::cluster(be, identity, found).labels == labels{-1, 0, -1});
}

TEST_CASE("a slow direction behind two fast ones hides no fixed point", "[attractor]") {
  // From three steps nothing is seen of the first coordinate's rate.
  auto map = basin::differentiable<3>([](const auto& z, auto& f) {
    f[0] = 0.9985 * z[0];
    f[1] = 0.5 * z[1];
    f[2] = -0.3 * z[2];
  });
  const basin::cpu<double> be(1);
  const auto found = ends(Eigen::Vector3d(0.1, 3e-3, 3e-3), status::converged);
  const Clustering c = basin::cluster(be, map, found);
  REQUIRE(c.size() == 1);
  CHECK(3 * c.error_bound[0] < 0.09);
  CHECK(c.clusters[0].polished);
  CHECK(c.clusters[0].center.norm() < 1e-10);
}
