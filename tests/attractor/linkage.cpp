// Single linkage and leaders against all pairs, on points of many shapes.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include <basin/attractor/linkage.hpp>
#include <basin/core/random.hpp>

#include "../catch.hpp"

using basin::index_t;
using basin::linkage;

namespace {

using labels = std::vector<index_t>;

double uniform(std::uint32_t stream, index_t i, index_t j) {
  return basin::uniform_from_word<double>(basin::random_stream{7, stream}.word(i, j));
}
double normal(std::uint32_t stream, index_t i, index_t j) {
  return basin::normal_at<double>(basin::random_stream{7, stream}, i, j);
}

bool linked(const Eigen::MatrixXd& Z, const Eigen::VectorXd& r, index_t i, index_t j) {
  const double reach = r[i] + r[j];
  return (Z.col(i) - Z.col(j)).squaredNorm() <= reach * reach;
}

// All pairs, and labels until nothing changes.
labels by_all_pairs(const Eigen::MatrixXd& Z, const Eigen::VectorXd& r) {
  labels least(static_cast<std::size_t>(Z.cols()));
  std::iota(least.begin(), least.end(), index_t{0});
  const auto root = [&](index_t i) {
    while (least[static_cast<std::size_t>(i)] != i) i = least[static_cast<std::size_t>(i)];
    return i;
  };
  for (index_t i = 0; i < Z.cols(); ++i) {
    for (index_t j = 0; j < i; ++j) {
      if (!linked(Z, r, i, j)) continue;
      const index_t a = root(i), b = root(j);
      least[static_cast<std::size_t>(std::max(a, b))] = std::min(a, b);
    }
  }
  labels answer;
  for (index_t i = 0; i < Z.cols(); ++i) answer.push_back(root(i));
  return basin::detail::numbered_by_size(answer);
}

labels by_all_leaders(const Eigen::MatrixXd& Z, const Eigen::VectorXd& r) {
  labels answer, leaders;
  for (index_t i = 0; i < Z.cols(); ++i) {
    const auto its = std::find_if(leaders.begin(), leaders.end(),
                                  [&](index_t leader) { return linked(Z, r, leader, i); });
    answer.push_back(its == leaders.end() ? i : *its);
    if (its == leaders.end()) leaders.push_back(i);
  }
  return basin::detail::numbered_by_size(answer);
}

enum class shape { cloud, clumps, chain, equal, lattice };

Eigen::MatrixXd make(shape kind, index_t k, index_t n, std::uint32_t seed) {
  Eigen::MatrixXd Z(k, n);
  for (index_t j = 0; j < n; ++j) {
    const auto clump = static_cast<index_t>(7 * uniform(seed, 0, j + 1'000'000));
    for (index_t i = 0; i < k; ++i) {
      switch (kind) {
        case shape::cloud:
          Z(i, j) = uniform(seed, i, j);
          break;
        case shape::clumps:
          Z(i, j) = 100 + 10 * normal(seed + 1, i, clump) + 1e-4 * normal(seed, i, j);
          break;
        case shape::chain:
          Z(i, j) = normal(seed, i, 0) * static_cast<double>(j);
          break;
        case shape::equal:
          Z(i, j) = normal(seed, i, clump);
          break;
        case shape::lattice:
          Z(i, j) = std::floor(3 * uniform(seed, i, j));
          break;
      }
    }
  }
  return Z;
}

// The median distance of neighbours in the order of the points, as a length to scale radii by.
double length_of(const Eigen::MatrixXd& Z) {
  std::vector<double> d;
  for (index_t j = 0; j + 1 < Z.cols(); ++j) {
    double nearest = std::numeric_limits<double>::infinity();
    for (index_t i = 0; i < Z.cols(); ++i) {
      if (i != j) nearest = std::min(nearest, (Z.col(i) - Z.col(j)).norm());
    }
    d.push_back(nearest);
  }
  if (d.empty()) return 1;
  std::nth_element(d.begin(), d.begin() + static_cast<index_t>(d.size() / 2), d.end());
  return d[d.size() / 2];
}

}  // namespace

TEST_CASE("a line of points falls apart at the radius", "[attractor]") {
  const basin::cpu<double> be(1);
  const Eigen::MatrixXd Z = (Eigen::MatrixXd(1, 6) << 7, 0, 1, 2, 5, 6).finished();
  CHECK(basin::radius_clusters(be, Z, 1.0) == labels{0, 1, 1, 1, 0, 0});
  CHECK(basin::radius_clusters(be, Z, 3.0) == labels{0, 0, 0, 0, 0, 0});
  CHECK(basin::radius_clusters(be, Z, 0.999) == labels{0, 1, 2, 3, 4, 5});
  // The leader at 7 takes 6, and 5 is left to lead; that at 0 takes 1, and 2 leads.
  CHECK(basin::radius_clusters(be, Z, 1.0, linkage::leader) == labels{0, 1, 1, 2, 3, 0});
  // 5 reaches both of its neighbours by a radius of its own.
  const Eigen::VectorXd r = (Eigen::VectorXd(6) << 0, 0, 0, 0, 3, 0).finished();
  CHECK(basin::radius_clusters(be, Z, r) == labels{0, 1, 2, 0, 0, 0});
}

TEST_CASE("no points, one point and points that are not finite", "[attractor]") {
  const basin::cpu<float> be(2);
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  for (const index_t k : {1, 2, 3, 5}) {
    for (const linkage rule : {linkage::single, linkage::leader}) {
      CHECK(basin::radius_clusters(be, Eigen::MatrixXd(k, 0), 1.0, rule).empty());
      CHECK(basin::radius_clusters(be, Eigen::MatrixXd::Zero(k, 1), 0.0, rule) == labels{0});
      Eigen::MatrixXd Z = Eigen::MatrixXd::Zero(k, 4);
      Z(k - 1, 0) = nan;
      Z(0, 2) = std::numeric_limits<double>::infinity();
      CHECK(basin::radius_clusters(be, Z, 0.0, rule) == labels{-1, 0, -1, 0});
      Z.setConstant(nan);
      CHECK(basin::radius_clusters(be, Z, 0.0, rule) == labels{-1, -1, -1, -1});
    }
  }
  const Eigen::MatrixXd Z = Eigen::MatrixXd::Zero(2, 3);
  CHECK_THROWS_AS(basin::radius_clusters(be, Z, -1.0), basin::argument_error);
  CHECK_THROWS_AS(basin::radius_clusters(be, Z, nan), basin::argument_error);
  CHECK_THROWS_AS(basin::radius_clusters(be, Z, Eigen::VectorXd::Zero(2)), basin::size_error);
}

TEST_CASE("clusters are those of all pairs, on any number of threads", "[attractor]") {
  const basin::cpu<double> one(1), three(3);
  const index_t k = GENERATE(1, 2, 3, 4, 17, 130);
  const shape kind =
      GENERATE(shape::cloud, shape::clumps, shape::chain, shape::equal, shape::lattice);
  const index_t n = GENERATE(2, 25, 26, 333, 700);
  if (k == 130 && n == 700 && kind != shape::cloud && kind != shape::clumps) return;
  if (slow_build && n * k > 3000) return;
  const auto seed = static_cast<std::uint32_t>(k + 1000 * n);
  const Eigen::MatrixXd Z = make(kind, k, n, seed);
  // Where distances are not exact in double, no radius is one of them.
  const double length = kind == shape::lattice ? 1 : 1.001 * length_of(Z);
  for (const double factor : {0.5, 1.0, 1.1, 1.7}) {
    for (const bool own : {false, true}) {
      Eigen::VectorXd r = Eigen::VectorXd::Constant(n, factor * length / 2);
      // Radii of a point's own, over three decades.
      for (index_t j = 0; own && j < n; ++j) r[j] *= 2 * std::pow(10.0, -3 * uniform(9, 0, j));
      const labels single = by_all_pairs(Z, r), leader = by_all_leaders(Z, r);
      INFO("k " << k << ", shape " << static_cast<int>(kind) << ", n " << n << ", factor " << factor
                << ", own radii " << own);
      REQUIRE(basin::radius_clusters(one, Z, r) == single);
      REQUIRE(basin::radius_clusters(three, Z, r) == single);
      REQUIRE(basin::radius_clusters(one, Z, r, linkage::leader) == leader);
    }
  }
}

TEST_CASE("clumps far from the origin are told apart below float's digits", "[attractor]") {
  // Two clumps 1e-9 apart at a distance of 1e3 from the origin.
  const basin::cpu<double> be(1);
  const index_t k = 64, n = 400;
  Eigen::MatrixXd Z(k, n);
  for (index_t j = 0; j < n; ++j) {
    for (index_t i = 0; i < k; ++i) Z(i, j) = 1e3 + 1e-12 * normal(3, i, j);
    Z(0, j) += j % 2 == 0 ? 1e-9 : 0;
  }
  const labels found = basin::radius_clusters(be, Z, 5e-10);
  for (index_t j = 0; j < n; ++j) CHECK(found[static_cast<std::size_t>(j)] == j % 2);
  CHECK(basin::radius_clusters(be, Z * 1e-150, 5e-160) == found);
  CHECK(basin::radius_clusters(be, Z * 1e100, 5e90) == found);
}

TEST_CASE("the order of the points changes the names alone", "[attractor]") {
  const basin::cpu<double> be(2);
  for (const index_t k : {2, 20}) {
    const index_t n = 500;
    const Eigen::MatrixXd Z = make(shape::cloud, k, n, 11);
    const double radius = 0.55 * length_of(Z);
    Eigen::MatrixXd P(k, n);
    const auto moved = [&](index_t j) { return (j * 77 + 13) % n; };
    for (index_t j = 0; j < n; ++j) P.col(j) = Z.col(moved(j));
    const labels a = basin::radius_clusters(be, Z, 2 * radius);
    const labels b = basin::radius_clusters(be, P, 2 * radius);
    REQUIRE(*std::max_element(a.begin(), a.end()) > 3);
    std::vector<index_t> name(a.size(), -1);
    for (index_t j = 0; j < n; ++j) {
      index_t& its = name[static_cast<std::size_t>(a[static_cast<std::size_t>(moved(j))])];
      if (its < 0) its = b[static_cast<std::size_t>(j)];
      CHECK(its == b[static_cast<std::size_t>(j)]);
    }
  }
}

TEST_CASE("many points take no square of their number", "[attractor]") {
  // 5e9 pairs within each clump: this test would not end if they were enumerated.
  const basin::cpu<double> be(2);
  const index_t n = slow_build ? 20'000 : 200'000;
  Eigen::MatrixXd Z(2, n);
  for (index_t j = 0; j < n; ++j) {
    Z.col(j) << static_cast<double>(j % 2) + 1e-5 * normal(1, 0, j), 1e-5 * normal(1, 1, j);
  }
  const labels found = basin::radius_clusters(be, Z, 1e-3);
  CHECK(std::count(found.begin(), found.end(), 0) == n / 2);
  CHECK(std::count(found.begin(), found.end(), 1) == n / 2);
  // A chain, and equal points.
  for (index_t j = 0; j < n; ++j) Z.col(j) << static_cast<double>(j), 0;
  const labels chain = basin::radius_clusters(be, Z, 1.0);
  CHECK(std::count(chain.begin(), chain.end(), 0) == n);
  Z.setConstant(0.1);
  const labels equal = basin::radius_clusters(be, Z, 0.0);
  CHECK(std::count(equal.begin(), equal.end(), 0) == n);
}
