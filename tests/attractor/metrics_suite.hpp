// What memorisation and Chamfer distances are, on every backend: closed forms, laws, and the
// answers of scikit-learn and SciPy.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <basin/attractor/chamfer.hpp>
#include <basin/attractor/memorization.hpp>
#include <basin/core/random.hpp>

#include "../catch.hpp"
#include "../golden.hpp"

namespace metrics {

using basin::index_t;
using basin::point_metric;

inline const double not_a_number = std::numeric_limits<double>::quiet_NaN();

inline Eigen::MatrixXd normal(index_t rows, index_t columns, std::uint32_t stream) {
  return Eigen::MatrixXd::NullaryExpr(rows, columns, [&](index_t i, index_t j) {
    return basin::normal_at<double>(basin::random_stream{5, stream}, i, j);
  });
}

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const basin::error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

template <class Backend>
void images_are_memorised(const Backend& be) {
  const Eigen::MatrixXd images = normal(30, 100, 1);
  Eigen::MatrixXd decoded(30, 3);
  decoded << 0.25 * images.col(40), images.col(7), -images.col(7);
  const auto found = basin::memorization(be, decoded, images);
  CHECK(found.similarity[0] == 1);
  CHECK(found.similarity[1] == 1);
  CHECK(found.similarity[2] < 0.7);
  CHECK(found.nearest[0] == 40);
  CHECK(found.nearest[1] == 7);
  const double mean = found.similarity.sum() / 3;
  CHECK(std::abs(found.mean - mean) < 1e-15);
  CHECK(std::abs(found.deviation -
                 std::sqrt((found.similarity.array() - mean).square().sum() / 2)) < 1e-15);
  CHECK(std::isnan(basin::memorization(be, decoded.leftCols(1), images).deviation));
}

template <class Backend>
void equal_cosines_go_to_the_first(const Backend& be, index_t attractors) {
  // More images than a block has, so that copies of one stand in several.
  Eigen::MatrixXf images = Eigen::MatrixXf::Zero(3, 10000);
  images.row(0).setOnes();
  images.row(2).setConstant(-1);
  for (const index_t j : {9100, 5000, 4097}) images.col(j) = Eigen::Vector3f(0, 1, 1);
  const Eigen::MatrixXf decoded = Eigen::Vector3f(0, 2, 2).replicate(1, attractors);
  const auto found = basin::memorization(be, decoded, images);
  for (index_t i = 0; i < attractors; ++i) {
    CHECK(found.nearest[static_cast<std::size_t>(i)] == 4097);
    CHECK(found.similarity[i] == 1);
  }
  CHECK(basin::memorization(be, Eigen::Vector3f(1, 0, 0), images).nearest[0] == 0);
}

template <class Backend>
void float_cannot_tell(const Backend& be) {
  // Cosines 1 - δ²/2 with δ far below the roundings of float products.
  const index_t n = 700;
  const Eigen::VectorXd x = normal(16, 1, 3).col(0).normalized();
  Eigen::VectorXd y = normal(16, 1, 4).col(0);
  y = (y - y.dot(x) * x).normalized();
  Eigen::MatrixXd images(16, n);
  for (index_t j = 0; j < n; ++j) images.col(j) = x + 1e-6 * static_cast<double>(n + 10 - j) * y;
  images.col(311) = x + 1e-6 * y;
  const auto found = basin::memorization(be, x, images);
  CHECK(found.nearest[0] == 311);
  CHECK(std::abs(found.similarity[0] - (1 - 0.5e-12)) < 1e-16);
  const auto apart = basin::chamfer(be, x, images, {.metric = point_metric::cosine});
  CHECK(std::abs(apart.forward / 0.5e-12 - 1) < 1e-8);
  const auto distance = basin::chamfer(be, x, images);
  CHECK(std::abs(distance.forward / 1e-6 - 1) < 1e-8);
}

template <class Backend>
void zeros_have_cosine_zero(const Backend& be) {
  const Eigen::MatrixXd images = normal(5, 20, 2);
  const auto zero = basin::memorization(be, Eigen::VectorXd::Zero(5), images);
  CHECK(zero.similarity[0] == 0);
  CHECK(zero.nearest[0] == 0);
  const Eigen::VectorXd mean = images.rowwise().mean();
  const auto at_mean = basin::memorization(be, mean, images, {.centered = true});
  CHECK(at_mean.similarity[0] == 0);
  // All images are equal to 1/3, whose sums round.
  const Eigen::MatrixXd equal = Eigen::MatrixXd::Constant(5, 37, 1.0 / 3);
  CHECK(basin::memorization(be, equal.leftCols(2), equal, {.centered = true}).mean == 0);
  CHECK(basin::memorization(be, equal.leftCols(2), equal).mean == 1);
}

template <class Backend>
void chamfer_by_hand(const Backend& be) {
  const Eigen::MatrixXd A = (Eigen::MatrixXd(1, 3) << 0, 1, 5).finished();
  const Eigen::MatrixXd B = (Eigen::MatrixXd(1, 2) << 0, 2).finished();
  const auto found = basin::chamfer(be, A, B);
  CHECK(found.forward == 4.0 / 3);
  CHECK(found.backward == 0.5);
  CHECK(found.average() == (4.0 / 3 + 0.5) / 2);
  const auto squared = basin::chamfer(be, A, B, {.metric = point_metric::squared_euclidean});
  CHECK(squared.forward == 10.0 / 3);
  CHECK(squared.backward == 0.5);
  const auto cosine = basin::chamfer(be, A, B, {.metric = point_metric::cosine});
  CHECK(std::abs(cosine.forward - 1.0 / 3) < 1e-15);
  CHECK(cosine.backward == 0.5);
  CHECK(basin::chamfer(be, A, A).average() == 0);
}

template <class Backend>
void chamfer_scales(const Backend& be) {
  const Eigen::MatrixXd A = normal(7, 300, 5), B = normal(7, 40, 6);
  const auto one = basin::chamfer(be, A, B);
  for (const double scale : {1e-160, 1e-30, 1e30, 1e140}) {
    CAPTURE(scale);
    const auto other = basin::chamfer(be, scale * A, scale * B);
    CHECK(std::abs(other.forward / scale / one.forward - 1) < 1e-13);
    CHECK(std::abs(other.backward / scale / one.backward - 1) < 1e-13);
  }
  const auto swapped = basin::chamfer(be, B, A);
  CHECK(swapped.forward == one.backward);
  CHECK(swapped.backward == one.forward);
}

template <class Backend>
void answers_of_sets(const Backend& be) {
  for (const std::string name : {"normal", "ties", "far", "images", "constant", "one"}) {
    CAPTURE(name);
    const golden::Case one("attractor/sets_" + name);
    const Eigen::MatrixXd a = one.columns("a"), b = one.columns("b");
    const auto found = basin::memorization(be, a, b);
    CHECK((found.similarity - one.vector("similarity")).cwiseAbs().maxCoeff() <= 1e-12);
    const Eigen::VectorXd nearest = one.vector("nearest");
    for (index_t i = 0; i < a.cols(); ++i) {
      const auto mine = found.nearest[static_cast<std::size_t>(i)];
      CHECK(mine == static_cast<index_t>(nearest[i]));
    }
    const auto centered = basin::memorization(be, a, b, {.centered = true});
    CHECK((centered.similarity - one.vector("centered")).cwiseAbs().maxCoeff() <= 1e-12);
    const Eigen::MatrixXd chamfer = one.columns("chamfer");
    for (const auto metric :
         {point_metric::euclidean, point_metric::squared_euclidean, point_metric::cosine}) {
      CAPTURE(to_string(metric));
      const auto c = basin::chamfer(be, a, b, {.metric = metric});
      CHECK(std::abs(c.forward - chamfer(0, static_cast<index_t>(metric))) <= 1e-12);
      CHECK(std::abs(c.backward - chamfer(1, static_cast<index_t>(metric))) <= 1e-12);
    }
  }
}

template <class Backend>
void columns_are_those_in_double(const Backend& be) {
  // Float inputs, several blocks on both sides, many that are nearly equal.
  const Eigen::MatrixXf A = normal(6, 520, 7).cast<float>();
  Eigen::MatrixXf B = normal(6, 4500, 8).cast<float>();
  B.rightCols(2000) = B.leftCols(2000);
  B.middleCols(2000, 400) = (B.leftCols(400).array() * (1 + 1e-7f)).matrix();
  std::vector<index_t> nearest;
  Eigen::VectorXd value(A.cols());
  for (index_t i = 0; i < A.cols(); ++i) {
    const Eigen::VectorXd squares =
        (B.cast<double>().colwise() - A.col(i).cast<double>()).colwise().squaredNorm().transpose();
    index_t which = 0;
    value[i] = squares.minCoeff(&which);
    nearest.push_back(which);
  }
  using set = Eigen::MatrixXf;
  const basin::detail::EuclideanPairs<set, set> pairs(A, B, 8);
  const auto found = basin::detail::nearest_columns(be, pairs);
  CHECK(found.index == nearest);
  CHECK((2 * found.value / pairs.scale() / pairs.scale() - value).cwiseAbs().maxCoeff() < 1e-14);
}

template <class Backend>
void metrics_are_refused(const Backend& be) {
  const Eigen::MatrixXd X = normal(3, 5, 12), none(3, 0), other = normal(4, 5, 13);
  Eigen::MatrixXd bad = X;
  bad(1, 2) = not_a_number;
  Eigen::MatrixXd infinite = X;
  infinite(0, 4) = -std::numeric_limits<double>::infinity();
  Eigen::MatrixXd huge = X;
  huge(2, 1) = 1e200;
  CHECK(message_of([&] { (void)basin::chamfer(be, huge, X); }) ==
        "chamfer: point of the first set 1 is beyond 1e150");
  CHECK_THROWS_AS(basin::memorization(be, none, X), basin::size_error);
  CHECK_THROWS_AS(basin::memorization(be, X, none), basin::size_error);
  CHECK_THROWS_AS(basin::memorization(be, X, other), basin::size_error);
  CHECK_THROWS_AS(basin::chamfer(be, none, X), basin::size_error);
  CHECK_THROWS_AS(basin::chamfer(be, X, other), basin::size_error);
  CHECK_THROWS_AS(basin::memorization(be, X, bad), basin::argument_error);
  CHECK(message_of([&] { (void)basin::memorization(be, X, bad); }) ==
        "memorization: image 2 is not finite");
  const Eigen::MatrixXf bad_float = bad.cast<float>(), infinite_float = -infinite.cast<float>();
  CHECK(message_of([&] { (void)basin::memorization(be, X, bad_float); }) ==
        "memorization: image 2 is not finite");
  CHECK(message_of([&] { (void)basin::memorization(be, infinite_float, X); }) ==
        "memorization: decoded attractor 4 is not finite");
  CHECK(message_of([&] { (void)basin::memorization(be, infinite, X); }) ==
        "memorization: decoded attractor 4 is not finite");
  CHECK(message_of([&] { (void)basin::chamfer(be, X, bad); }) ==
        "chamfer: point of the second set 2 is not finite");
  CHECK_THROWS_AS(basin::chamfer(be, X, X, {.metric = static_cast<point_metric>(9)}),
                  basin::argument_error);
}

}  // namespace metrics
