// Starts: their distributions, and that they hang on their number alone.
#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include <basin/attractor/starts.hpp>

#include "../catch.hpp"
#include "../solver/maps.hpp"

using basin::index_t;

namespace {

Eigen::MatrixXd draw(const basin::start_source& source, index_t k, index_t n, index_t first = 0) {
  Eigen::MatrixXd out(k, n);
  source.draw({.seed = 3, .stream = 4}, first, out);
  return out;
}

std::vector<basin::start_source> every_source(index_t k) {
  const Eigen::MatrixXd points = 5 * maps::starts(k, 40);
  return {
      basin::normal_starts(3),    basin::sphere_starts(3),         basin::box_starts(3),
      basin::code_starts(points), basin::starts_around(points, 2), basin::starts_between(points)};
}

}  // namespace

TEST_CASE("the scale of a shape is the root mean square of a coordinate", "[attractor]") {
  for (const index_t k : {1, 2, 5}) {
    for (const auto& source :
         {basin::normal_starts(3), basin::sphere_starts(3), basin::box_starts(3)}) {
      INFO(source.name << ", k = " << k);
      const Eigen::MatrixXd Z = draw(source, k, 20'000);
      CHECK(std::abs(Z.mean()) < 0.06);
      CHECK(Z.squaredNorm() / static_cast<double>(Z.size()) == Approx(9).epsilon(0.03));
      if (k > 1) CHECK(std::abs(Z.row(0).dot(Z.row(1))) / 20'000 < 0.25);
    }
    const Eigen::MatrixXd on = draw(basin::sphere_starts(3), k, 100);
    CHECK((on.colwise().squaredNorm().array() - 9.0 * static_cast<double>(k)).abs().maxCoeff() <
          1e-10);
    CHECK(draw(basin::box_starts(3), k, 1000).cwiseAbs().maxCoeff() <= 3 * std::sqrt(3.0));
  }
}

TEST_CASE("a start hangs on its number alone", "[attractor]") {
  for (const index_t k : {2, 3, 4}) {
    for (const auto& source : every_source(k)) {
      INFO(source.name << ", k = " << k);
      const Eigen::MatrixXd all = draw(source, k, 30);
      CHECK(all.rightCols(20) == draw(source, k, 20, 10));
      Eigen::MatrixXd other(k, 30);
      source.draw({.seed = 3, .stream = 5}, 0, other);
      CHECK((all - other).norm() > 1);
    }
  }
}

TEST_CASE("codes come each once", "[attractor]") {
  const Eigen::MatrixXd codes = maps::starts(2, 40);
  const auto source = basin::code_starts(codes);
  CHECK(source.capacity == 40);
  const Eigen::MatrixXd Z = draw(source, 2, 40);
  std::set<double> drawn, given;
  for (index_t j = 0; j < 40; ++j) drawn.insert(Z(0, j)), given.insert(codes(0, j));
  CHECK(drawn == given);
  CHECK(Z != codes);
  CHECK_THROWS_AS(draw(source, 2, 2, 39), basin::argument_error);
  CHECK_THROWS_AS(draw(source, 3, 1), basin::size_error);
}

TEST_CASE("around and between points", "[attractor]") {
  const Eigen::MatrixXd points = (Eigen::MatrixXd(3, 2) << 100, -100, 0, 0, 0, 0).finished();
  const Eigen::MatrixXd around = draw(basin::starts_around(points, 0.5), 3, 2000);
  index_t first = 0;
  for (index_t j = 0; j < 2000; ++j) {
    const bool right = around(0, j) > 0;
    first += right;
    CHECK((around.col(j) - points.col(right ? 0 : 1)).norm() < 4);
  }
  CHECK(std::abs(static_cast<double>(first) - 1000) < 120);
  const Eigen::MatrixXd between = draw(basin::starts_between(points, 0.25), 3, 2000);
  CHECK(between.bottomRows(2).norm() == 0);
  CHECK(between.row(0).maxCoeff() > 140);
  CHECK(between.row(0).maxCoeff() <= 150);
  CHECK(between.row(0).minCoeff() < -140);
}

TEST_CASE("a ladder of deviations", "[attractor]") {
  const auto ladder = basin::normal_ladder(0.5, 4);
  REQUIRE(ladder.size() == 4);
  CHECK(ladder[0].name == "normal 0.5");
  CHECK(ladder[3].name == "normal 4");
  CHECK_THROWS_AS(basin::normal_ladder(0, 1), basin::argument_error);
  CHECK_THROWS_AS(basin::normal_ladder(2, 1), basin::argument_error);
  CHECK_THROWS_AS(basin::normal_ladder(1, 2, 1), basin::argument_error);
  CHECK_THROWS_AS(basin::normal_starts(std::nan("")), basin::argument_error);
  CHECK_THROWS_AS(basin::starts_around(Eigen::MatrixXd(3, 0), 1), basin::argument_error);
  CHECK_THROWS_AS(basin::starts_between(Eigen::MatrixXd::Zero(3, 1)), basin::argument_error);
}

TEST_CASE("a mixture keeps its proportions, and a longer one begins as a shorter", "[attractor]") {
  std::vector<basin::start_source> sources = every_source(3);
  sources[0].weight = 2;
  sources[1].weight = 0;
  basin::StartMixture whole(sources, 3, {.seed = 1}), parts(sources, 3, {.seed = 1});
  const basin::Starts all = whole.next(300);
  const basin::Starts one = parts.next(6), two = parts.next(294);
  CHECK(all.points.leftCols(6) == one.points);
  CHECK(all.points.rightCols(294) == two.points);
  CHECK(std::count(one.source.begin(), one.source.end(), 0) == 2);
  // The 40 codes come to their end, and the others share what is left.
  CHECK(whole.given() == std::vector<index_t>{104, 0, 52, 40, 52, 52});
}

TEST_CASE("a mixture of codes alone comes to its end", "[attractor]") {
  basin::StartMixture codes({basin::code_starts(maps::starts(2, 5))}, 2, {});
  CHECK(codes.next(100).points.cols() == 5);
  CHECK(codes.next(100).source.empty());
  CHECK_THROWS_AS(basin::StartMixture({}, 2, {}), basin::argument_error);
  auto source = basin::normal_starts(1);
  source.weight = std::nan("");
  CHECK_THROWS_AS(basin::StartMixture({source}, 2, {}), basin::argument_error);
}

TEST_CASE("spheres of any size", "[attractor]") {
  for (const double deviation : {1e-200, 1.0, 1e170}) {
    Eigen::MatrixXd points(3, 5);
    basin::sphere_starts(deviation).draw({}, 0, points);
    points /= deviation;
    for (index_t j = 0; j < 5; ++j) CHECK(points.col(j).norm() == Approx(std::sqrt(3.0)));
  }
}
