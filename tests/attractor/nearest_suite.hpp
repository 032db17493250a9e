// What a search of the nearest references does, on every backend: compared with all distances in
// double.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <basin/attractor/nearest.hpp>

#include "../catch.hpp"
#include "../golden.hpp"

namespace nearest {

using basin::index_t;

inline Eigen::MatrixXd normal(index_t rows, index_t columns, std::uint32_t stream) {
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

inline void check_equal(const basin::Neighbours& found, const basin::Neighbours& expected) {
  CHECK((found.index - expected.index).cwiseAbs().maxCoeff() == 0);
  const double scale = expected.distance.maxCoeff();
  CHECK((found.distance - expected.distance).cwiseAbs().maxCoeff() <=
        1e-12 * std::max(scale, std::numeric_limits<double>::min()));
}

// The search of a backend.
template <class B, class Derived>
auto search_of(const B& be, const Eigen::MatrixBase<Derived>& references) {
  using scalar = typename Derived::Scalar;
  return typename basin::detail::nearest_search<B, scalar>::type(
      be, Eigen::MatrixX<scalar>(references));
}

template <class B>
void golden_answers(const B& be) {
  for (const std::string name : {"normal", "ties", "far"}) {
    CAPTURE(name);
    const golden::Case one("ood/knn_" + name);
    const auto search = search_of(be, one.columns("references"));
    const basin::Neighbours found = search.nearest(be, one.columns("samples"), 12);
    const Eigen::MatrixXd distance = one.columns("distance");
    CHECK((found.distance - distance).cwiseAbs().maxCoeff() <= 1e-12 * distance.maxCoeff());
    // Sums in another order may change which of two is nearer by a rounding; ties are exact.
    if (name != "far") {
      CHECK((found.index.cast<double>() - one.columns("index")).cwiseAbs().maxCoeff() == 0);
    }
  }
}

template <class B>
void nearest_are_those_in_double(const B& be, index_t many) {
  for (const index_t k : {1, 2, 7, 40, 300}) {
    CAPTURE(k);
    const Eigen::MatrixXd Y = normal(k, many, 0), X = normal(k, 25, 1);
    for (const index_t neighbours : {index_t{1}, index_t{10}, many}) {
      check_equal(search_of(be, Y).nearest(be, X, neighbours), by_all(Y, X, neighbours));
    }
    const Eigen::MatrixXf y = Y.cast<float>(), x = X.cast<float>();
    check_equal(search_of(be, y).nearest(be, x, 10), by_all(y, x, 10));
  }
}

template <class B>
void products_may_cancel_or_overflow(const B& be) {
  const index_t k = 16;
  const Eigen::MatrixXd X = normal(k, 14, 1);
  SECTION("a cloud far from the origin") {
    const Eigen::MatrixXd Y = (1e-4 * normal(k, 300, 0)).array() + 1e3;
    const Eigen::MatrixXd Z = (1e-4 * X).array() + 1e3;
    check_equal(search_of(be, Y).nearest(be, Z, 5), by_all(Y, Z, 5));
  }
  SECTION("clumps that float does not resolve, far from each other") {
    Eigen::MatrixXd Y = 1e-9 * normal(k, 400, 0), Z = 1e-9 * X;
    for (index_t j = 0; j < Y.cols(); ++j) Y(j % k, j) += 1 + static_cast<double>(j % 3);
    for (index_t j = 0; j < Z.cols(); ++j) Z(j % k, j) += 1 + static_cast<double>(j % 3);
    check_equal(search_of(be, Y).nearest(be, Z, 5), by_all(Y, Z, 5));
  }
  SECTION("references that are equal") {
    const Eigen::MatrixXd Y = normal(k, 1, 0).replicate(1, 500);
    const basin::Neighbours found = search_of(be, Y).nearest(be, X, 20);
    for (index_t i = 0; i < 20; ++i) CHECK((found.index.row(i).array() == i).all());
  }
  SECTION("samples very far away, references very small, and one very large") {
    const Eigen::MatrixXd far = 1e30 * X;
    Eigen::MatrixXd Y = 1e-25 * normal(k, 200, 0);
    CHECK((search_of(be, Y).nearest(be, far, 3).distance - by_all(Y, far, 3).distance).norm() <=
          1e-12 * far.norm());
    check_equal(search_of(be, Y).nearest(be, 1e-25 * X, 5), by_all(Y, 1e-25 * X, 5));
    Y.col(100).setConstant(1e100);
    check_equal(search_of(be, Y).nearest(be, 1e-25 * X, 5), by_all(Y, 1e-25 * X, 5));
  }
  SECTION("one direction with all of the variance") {
    Eigen::MatrixXd Y = normal(k, 400, 0), Z = X;
    Y.row(3) *= 1e8;
    Z.row(3) *= 1e8;
    check_equal(search_of(be, Y).nearest(be, Z, 6), by_all(Y, Z, 6));
  }
}

template <class B>
void references_can_be_left_out(const B& be) {
  const Eigen::MatrixXd Y = normal(3, 50, 0);
  std::vector<index_t> own(50, -1);
  for (index_t j = 0; j < 25; ++j) own[static_cast<std::size_t>(j)] = j;
  const basin::Neighbours found = search_of(be, Y).nearest(be, Y, 2, own);
  const auto with = by_all(Y, Y, 3);
  for (index_t j = 0; j < 50; ++j) {
    CHECK(found.index(0, j) == (j < 25 ? with.index(1, j) : j));
    CHECK(found.index(1, j) == (j < 25 ? with.index(2, j) : with.index(1, j)));
  }
}

template <class B>
void searches_are_refused(const B& be) {
  Eigen::MatrixXd Y = normal(3, 10, 0);
  const auto search = search_of(be, Y);
  CHECK_THROWS_AS(search_of(be, Eigen::MatrixXd(3, 0)), basin::size_error);
  CHECK_THROWS_AS(search_of(be, Eigen::MatrixXd(0, 3)), basin::size_error);
  CHECK_THROWS_AS(search.nearest(be, normal(4, 2, 0), 1), basin::size_error);
  CHECK_THROWS_AS(search.nearest(be, Y, 11), basin::argument_error);
  CHECK_THROWS_AS(search.nearest(be, Y, 0), basin::argument_error);
  CHECK_THROWS_AS(search.nearest(be, Y, 10, std::vector<index_t>(10, 0)), basin::argument_error);
  CHECK_THROWS_AS(search.nearest(be, Y, 1, std::vector<index_t>(9, 0)), basin::size_error);
  Y(1, 7) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(search_of(be, Y), "NearestReferences: reference 7 is not finite");
  CHECK_THROWS_WITH(search.nearest(be, Y, 1), "nearest: sample 7 is not finite");
  CHECK(search.nearest(be, Eigen::MatrixXd(3, 0), 2).distance.cols() == 0);
}

}  // namespace nearest
