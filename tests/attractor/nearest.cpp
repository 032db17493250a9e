// Nearest references against all distances in double.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <basin/attractor/nearest.hpp>

#include "../catch.hpp"
#include "../golden.hpp"

using basin::index_t;
using basin::NearestReferences;

namespace {

Eigen::MatrixXd normal(index_t rows, index_t columns, std::uint32_t stream) {
  return Eigen::MatrixXd::NullaryExpr(rows, columns, [&](index_t i, index_t j) {
    return basin::normal_at<double>(basin::random_stream{11, stream}, i, j);
  });
}

// All distances, in double, ties by index.
template <class Y, class X>
basin::Neighbours by_all(const Y& references, const X& samples, index_t neighbours) {
  basin::Neighbours found{Eigen::MatrixX<index_t>(neighbours, samples.cols()),
                          Eigen::MatrixXd(neighbours, samples.cols())};
  for (index_t j = 0; j < samples.cols(); ++j) {
    std::vector<std::pair<double, index_t>> all;
    for (index_t r = 0; r < references.cols(); ++r) {
      double sum = 0;
      for (index_t i = 0; i < samples.rows(); ++i) {
        const double d = static_cast<double>(samples(i, j)) - static_cast<double>(references(i, r));
        sum += d * d;
      }
      all.emplace_back(std::sqrt(sum), r);
    }
    std::sort(all.begin(), all.end());
    for (index_t i = 0; i < neighbours; ++i) {
      found.distance(i, j) = all[static_cast<std::size_t>(i)].first;
      found.index(i, j) = all[static_cast<std::size_t>(i)].second;
    }
  }
  return found;
}

void check_equal(const basin::Neighbours& found, const basin::Neighbours& expected) {
  CHECK((found.index - expected.index).cwiseAbs().maxCoeff() == 0);
  const double scale = expected.distance.maxCoeff();
  CHECK((found.distance - expected.distance).cwiseAbs().maxCoeff() <=
        1e-12 * std::max(scale, std::numeric_limits<double>::min()));
}

}  // namespace

TEST_CASE("nearest references of golden files", "[nearest]") {
  const basin::cpu<float> be(2);
  for (const std::string name : {"normal", "ties", "far"}) {
    CAPTURE(name);
    const golden::Case one("ood/knn_" + name);
    const NearestReferences search(be, one.columns("references"));
    const auto found = search.nearest(be, one.columns("samples"), 12);
    const Eigen::MatrixXd distance = one.columns("distance");
    CHECK((found.distance - distance).cwiseAbs().maxCoeff() <= 1e-12 * distance.maxCoeff());
    // Sums in another order may change which of two is nearer by a rounding; ties are exact.
    if (name != "far") {
      CHECK((found.index.cast<double>() - one.columns("index")).cwiseAbs().maxCoeff() == 0);
    }
  }
}

TEST_CASE("the nearest are those of differences in double", "[nearest]") {
  const basin::cpu<double> be(2);
  const index_t many = slow_build ? 300 : 1500;
  for (const index_t k : {1, 2, 7, 40, 300}) {
    CAPTURE(k);
    const Eigen::MatrixXd Y = normal(k, many, 0), X = normal(k, 25, 1);
    for (const index_t neighbours : {index_t{1}, index_t{10}, many}) {
      check_equal(NearestReferences(be, Y).nearest(be, X, neighbours), by_all(Y, X, neighbours));
    }
    const Eigen::MatrixXf y = Y.cast<float>(), x = X.cast<float>();
    check_equal(NearestReferences(be, y).nearest(be, x, 10), by_all(y, x, 10));
  }
}

TEST_CASE("the nearest are right where products cancel or overflow", "[nearest]") {
  const basin::cpu<float> be(1);
  const index_t k = 16;
  const Eigen::MatrixXd X = normal(k, 14, 1);
  SECTION("a cloud far from the origin") {
    const Eigen::MatrixXd Y = (1e-4 * normal(k, 300, 0)).array() + 1e3;
    const Eigen::MatrixXd Z = (1e-4 * X).array() + 1e3;
    check_equal(NearestReferences(be, Y).nearest(be, Z, 5), by_all(Y, Z, 5));
  }
  SECTION("clumps that float does not resolve, far from each other") {
    Eigen::MatrixXd Y = 1e-9 * normal(k, 400, 0), Z = 1e-9 * X;
    for (index_t j = 0; j < Y.cols(); ++j) Y(j % k, j) += 1 + static_cast<double>(j % 3);
    for (index_t j = 0; j < Z.cols(); ++j) Z(j % k, j) += 1 + static_cast<double>(j % 3);
    check_equal(NearestReferences(be, Y).nearest(be, Z, 5), by_all(Y, Z, 5));
  }
  SECTION("references that are equal") {
    const Eigen::MatrixXd Y = normal(k, 1, 0).replicate(1, 500);
    const auto found = NearestReferences(be, Y).nearest(be, X, 20);
    for (index_t i = 0; i < 20; ++i) CHECK((found.index.row(i).array() == i).all());
  }
  SECTION("samples very far away, references very small, and one very large") {
    const Eigen::MatrixXd far = 1e30 * X;
    Eigen::MatrixXd Y = 1e-25 * normal(k, 200, 0);
    CHECK((NearestReferences(be, Y).nearest(be, far, 3).distance - by_all(Y, far, 3).distance)
              .norm() <= 1e-12 * far.norm());
    check_equal(NearestReferences(be, Y).nearest(be, 1e-25 * X, 5), by_all(Y, 1e-25 * X, 5));
    Y.col(100).setConstant(1e100);
    check_equal(NearestReferences(be, Y).nearest(be, 1e-25 * X, 5), by_all(Y, 1e-25 * X, 5));
  }
  SECTION("one direction with all of the variance") {
    Eigen::MatrixXd Y = normal(k, 400, 0), Z = X;
    Y.row(3) *= 1e8;
    Z.row(3) *= 1e8;
    check_equal(NearestReferences(be, Y).nearest(be, Z, 6), by_all(Y, Z, 6));
  }
}

TEST_CASE("the same bits on any number of threads and in any batch", "[nearest]") {
  const Eigen::MatrixXf Y = normal(9, 700, 0).cast<float>(), X = normal(9, 101, 1).cast<float>();
  const basin::cpu<float> one(1), three(3);
  const NearestReferences search(one, Y);
  const auto all = search.nearest(one, X, 4);
  CHECK(NearestReferences(three, Y).nearest(three, X, 4).distance == all.distance);
  CHECK(search.nearest(three, X.middleCols(50, 7), 4).distance == all.distance.middleCols(50, 7));
}

TEST_CASE("one reference a sample can be left out", "[nearest]") {
  const basin::cpu<double> be(1);
  const Eigen::MatrixXd Y = normal(3, 50, 0);
  std::vector<index_t> own(50, -1);
  for (index_t j = 0; j < 25; ++j) own[static_cast<std::size_t>(j)] = j;
  const auto found = NearestReferences(be, Y).nearest(be, Y, 2, own);
  const auto with = by_all(Y, Y, 3);
  for (index_t j = 0; j < 50; ++j) {
    CHECK(found.index(0, j) == (j < 25 ? with.index(1, j) : j));
    CHECK(found.index(1, j) == (j < 25 ? with.index(2, j) : with.index(1, j)));
  }
}

TEST_CASE("searches that cannot be are refused", "[nearest]") {
  const basin::cpu<double> be(1);
  Eigen::MatrixXd Y = normal(3, 10, 0);
  const NearestReferences search(be, Y);
  CHECK_THROWS_AS(NearestReferences<double>(be, Eigen::MatrixXd(3, 0)), basin::size_error);
  CHECK_THROWS_AS(NearestReferences<double>(be, Eigen::MatrixXd(0, 3)), basin::size_error);
  CHECK_THROWS_AS(search.nearest(be, normal(4, 2, 0), 1), basin::size_error);
  CHECK_THROWS_AS(search.nearest(be, Y, 11), basin::argument_error);
  CHECK_THROWS_AS(search.nearest(be, Y, 0), basin::argument_error);
  CHECK_THROWS_AS(search.nearest(be, Y, 10, std::vector<index_t>(10, 0)), basin::argument_error);
  CHECK_THROWS_AS(search.nearest(be, Y, 1, std::vector<index_t>(9, 0)), basin::size_error);
  Y(1, 7) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(NearestReferences<double>(be, Y),
                    "NearestReferences: reference 7 is not finite");
  CHECK_THROWS_WITH(search.nearest(be, Y, 1), "nearest: sample 7 is not finite");
  CHECK(search.nearest(be, Eigen::MatrixXd(3, 0), 2).distance.cols() == 0);
}
