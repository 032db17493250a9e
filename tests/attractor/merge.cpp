// Attractors of several runs as those of one.
#include <cmath>
#include <vector>

#include <basin/attractor/assign.hpp>
#include <basin/attractor/merge.hpp>
#include <basin/map/differentiable.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "../catch.hpp"
#include "../solver/maps.hpp"
#include "maps.hpp"

using basin::attractor_kind;
using basin::Clustering;
using basin::index_t;

namespace {

using labels = std::vector<index_t>;

template <class Map>
Clustering clusters_of(const basin::cpu<double>& be, Map& map, const Eigen::MatrixXd& starts,
                       double residual = 1e-6) {
  basin::FixedPointSolver solver{map, basin::picard{}, basin::stopping{.residual = residual}};
  return basin::cluster(be, map, solver.solve(be, starts));
}

basin::Cluster at(double x, double error) {
  basin::Cluster cluster;
  cluster.center = Eigen::MatrixXd::Constant(1, 1, x);
  cluster.error = error;
  return cluster;
}

}  // namespace

TEST_CASE("two runs are merged as if they were one", "[attractor]") {
  auto map = maps::two_wells();
  const basin::cpu<double> be(1);
  const Eigen::MatrixXd starts = maps::starts(2, 120);
  const auto part = [&](index_t first, index_t count) {
    return clusters_of(be, map, starts.middleCols(first, count));
  };
  const Clustering all = part(0, 120), a = part(0, 50), b = part(50, 70);
  for (const Clustering& merged : {basin::merge(a, b), basin::merge(be, map, a, b)}) {
    CHECK(merged.labels == all.labels);
    REQUIRE(merged.size() == 2);
    for (std::size_t c = 0; c < 2; ++c) {
      CHECK(merged.clusters[c].kind == attractor_kind::point);
      CHECK(merged.clusters[c].members == all.clusters[c].members);
      CHECK((merged.clusters[c].center - all.clusters[c].center).norm() < 1e-14);
    }
  }
  // A point that the other run has not is new.
  Clustering other = b;
  other.clusters[0].center.array() += 5;
  const labels matched = basin::match(a.clusters, other.clusters);
  CHECK(matched[0] == -1);
  CHECK(matched[1] >= 0);
  CHECK(basin::merge(a, other).size() == 3);
}

TEST_CASE("of attractors that may be the same the nearest is", "[attractor]") {
  const std::vector<basin::Cluster> known{at(0, 0.1), at(0.15, 0.1)};
  CHECK(basin::match(known, {at(0.149, 0.05), at(0.01, 0.05), at(1, 0.05)}) == labels{1, 0, -1});
}

TEST_CASE("what a new end makes one was one", "[attractor]") {
  // Two that are known are both the new one.
  const auto joined = basin::detail::joined_clusters(
      {at(0, 0.1), at(5, 0.1), at(0.2, 0.1)}, {at(7, 0.1), at(0.1, 0.2)},
      {{.first = 0, .second = 4, .gap = 0}, {.first = 2, .second = 4, .gap = 0}});
  CHECK(joined.place_of_known == labels{0, 1, 0});
  CHECK(joined.place_of_found == labels{2, 0});
  CHECK(joined.attractors.size() == 3);
}

TEST_CASE("a continuum is one whatever part of it a run has met", "[attractor]") {
  auto map = maps::to_circle();
  const basin::cpu<double> be(1);
  const Eigen::MatrixXd starts = maps::starts(2, 12);
  Clustering merged = clusters_of(be, map, starts.leftCols(1));
  REQUIRE(merged.size() == 1);
  REQUIRE(merged.clusters[0].kind == attractor_kind::point);
  for (index_t j = 1; j < 12; ++j) {
    const Clustering one = clusters_of(be, map, starts.middleCols(j, 1));
    const Clustering before = merged;
    merged = basin::merge(be, map, before, one);
    INFO("after " << j + 1);
    REQUIRE(merged.size() == 1);
    CHECK(merged.clusters[0].kind == attractor_kind::continuum);
    CHECK(merged.clusters[0].members == j + 1);
    CHECK(merged.clusters[0].center.cols() == j + 1);
    // Without the map it cannot be known.
    CHECK(basin::merge(before, one).size() == 2);
  }
  // Also two parts of it, which an end between them connects.
  Eigen::MatrixXd near(2, 8);
  for (index_t j = 0; j < 8; ++j) {
    const double angle = 0.05 * static_cast<double>(j) + (j < 4 ? 0.0 : 2.0);
    near.col(j) << std::cos(angle), std::sin(angle);
  }
  const Clustering left = clusters_of(be, map, near.leftCols(4));
  REQUIRE(left.clusters[0].kind == attractor_kind::continuum);
  const Clustering both = basin::merge(be, map, left, clusters_of(be, map, near.rightCols(4)));
  REQUIRE(both.size() == 1);
  CHECK(both.clusters[0].error > 1);  // the widest gap

  // A sample of many points still has all of them within its widest gap.
  const Clustering many = basin::merge(be, map, clusters_of(be, map, maps::starts(2, 60)),
                                       clusters_of(be, map, maps::starts(2, 60, 7)));
  REQUIRE(many.size() == 1);
  CHECK(many.clusters[0].center.cols() == 64);
  CHECK_THROWS_AS(basin::join(be, map, {at(0, 1)}, {at(1, 1)}), basin::size_error);
}

TEST_CASE("two continua within each other's gaps are two, in any order of runs", "[attractor]") {
  // Rings of radius 1 and 2 attract, that of 1.5 repels.
  auto map = basin::differentiable<2>([](const auto& z, auto& f) {
    using std::sqrt;
    const auto r = sqrt(z[0] * z[0] + z[1] * z[1]);
    const auto factor = 1.0 - 0.5 * (r - 1.0) * (r - 1.5) * (r - 2.0) / r;
    for (int i = 0; i < 2; ++i) f[i] = z[i] * factor;
  });
  const basin::cpu<double> be(1);
  const auto ring = [](double radius, index_t n, double from, double to) {
    Eigen::MatrixXd Z(2, n);
    for (index_t j = 0; j < n; ++j) {
      const double angle = from + (to - from) * static_cast<double>(j) / static_cast<double>(n);
      Z.col(j) << radius * std::cos(angle), radius * std::sin(angle);
    }
    return Z;
  };
  const Clustering inner = clusters_of(be, map, ring(1, 6, 0, 6.28), 1e-10);
  const Clustering outer = clusters_of(be, map, ring(2, 6, 0.1, 6.38), 1e-10);
  REQUIRE(inner.size() == 1);
  REQUIRE(outer.size() == 1);
  CHECK(basin::merge(be, map, inner, outer).size() == 2);

  const Clustering point = clusters_of(be, map, ring(1, 1, 0, 0), 1e-10);
  const Clustering part = clusters_of(be, map, ring(1, 4, 3, 3.3), 1e-10);
  const Clustering whole = clusters_of(be, map, ring(1, 14, 0.2, 6.4), 1e-10);
  const auto merged = [&](const Clustering& a, const Clustering& b, const Clustering& c) {
    return basin::merge(be, map, basin::merge(be, map, a, b), c).size();
  };
  CHECK(merged(point, part, whole) == 1);
  CHECK(merged(point, whole, part) == 1);
  CHECK(merged(whole, part, point) == 1);
}

TEST_CASE("of two centres the better is kept", "[attractor]") {
  auto best = at(0.3, 1e-12);
  best.members = 2;
  auto other = at(0.30001, 1e-3);
  other.members = 5;
  for (const auto& joined : {basin::detail::joined_clusters({best}, {other}, {{0, 1, 0.0}}),
                             basin::detail::joined_clusters({other}, {best}, {{0, 1, 0.0}})}) {
    REQUIRE(joined.attractors.size() == 1);
    CHECK(joined.attractors[0].center(0, 0) == 0.3);
    CHECK(joined.attractors[0].members == 7);
  }
}
