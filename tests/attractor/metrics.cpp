// Memorisation, Chamfer distances and ranks: closed forms, laws, and the answers of scikit-learn,
// SciPy and NumPy.
#include <cmath>
#include <limits>
#include <string>

#include <basin/attractor/chamfer.hpp>
#include <basin/attractor/memorization.hpp>
#include <basin/attractor/rank.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/backend/orthonormal.hpp>

#include "../catch.hpp"
#include "../golden.hpp"

using basin::index_t;
using basin::point_metric;

namespace {

const double not_a_number = std::numeric_limits<double>::quiet_NaN();

Eigen::MatrixXd normal(index_t rows, index_t columns, std::uint32_t stream) {
  return Eigen::MatrixXd::NullaryExpr(rows, columns, [&](index_t i, index_t j) {
    return basin::normal_at<double>(basin::random_stream{5, stream}, i, j);
  });
}

// Columns with orthonormal directions.
Eigen::MatrixXd orthonormal(index_t n) {
  const basin::cpu<double> be(1);
  Eigen::MatrixXd Q(n, n);
  fill_orthogonal(be, basin::random_stream{8, 1}, Q);
  return Q;
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

}  // namespace

TEST_CASE("an attractor that is an image up to its brightness is memorised", "[metrics]") {
  const basin::cpu<double> be(2);
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

TEST_CASE("equal cosines go to the first image, in blocks too", "[metrics]") {
  const basin::cpu<float> be(2);
  // More images than a block has, so that copies of one stand in several.
  Eigen::MatrixXf images = Eigen::MatrixXf::Zero(3, 10000);
  images.row(0).setOnes();
  images.row(2).setConstant(-1);
  for (const index_t j : {9100, 5000, 4097}) images.col(j) = Eigen::Vector3f(0, 1, 1);
  const Eigen::MatrixXf decoded = Eigen::Vector3f(0, 2, 2).replicate(1, 300);
  const auto found = basin::memorization(be, decoded, images);
  for (index_t i = 0; i < 300; ++i) {
    CHECK(found.nearest[static_cast<std::size_t>(i)] == 4097);
    CHECK(found.similarity[i] == 1);
  }
  CHECK(basin::memorization(be, Eigen::Vector3f(1, 0, 0), images).nearest[0] == 0);
}

TEST_CASE("a nearest image that float cannot tell is found", "[metrics]") {
  // Cosines 1 - δ²/2 with δ far below the roundings of float products.
  const basin::cpu<float> be(2);
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

TEST_CASE("a column of zeros has cosine 0, as has the mean image where it is centred",
          "[metrics]") {
  const basin::cpu<double> be(1);
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

TEST_CASE("Chamfer by hand", "[metrics]") {
  const basin::cpu<double> be(1);
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

TEST_CASE("Chamfer scales with its points, at any size", "[metrics]") {
  const basin::cpu<float> be(2);
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

TEST_CASE("scikit-learn's, SciPy's answers of sets", "[metrics]") {
  for (const std::string name : {"normal", "ties", "far", "images", "constant", "one"}) {
    CAPTURE(name);
    const golden::Case one("attractor/sets_" + name);
    const Eigen::MatrixXd a = one.columns("a"), b = one.columns("b");
    const auto check = [&](const auto& be) {
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
    };
    check(basin::cpu<double>(1));
    check(basin::cpu<float>(2));
  }
}

TEST_CASE("nearest columns are those of a search in double", "[metrics]") {
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
  for (const int threads : {1, 3}) {
    const auto found = basin::detail::nearest_columns(basin::cpu<float>(threads), pairs);
    CHECK(found.index == nearest);
    CHECK((2 * found.value / pairs.scale() / pairs.scale() - value).cwiseAbs().maxCoeff() < 1e-14);
  }
}

TEST_CASE("ranks of matrices whose singular values are known", "[metrics]") {
  const Eigen::MatrixXd identity = Eigen::MatrixXd::Identity(10, 10);
  CHECK(basin::rank_for_variance(identity) == 9);  // 9 of 10 explain 0.9 exactly
  CHECK(basin::rank_for_variance(identity, {.share = 0.91}) == 10);
  CHECK(basin::rank_for_variance(identity, {.share = 1}) == 10);
  CHECK(std::abs(basin::effective_rank(identity) - 10) < 1e-12);
  // The same turned: no singular value is exact.
  const Eigen::MatrixXd Q = orthonormal(10);
  CHECK(basin::rank_for_variance(Q) == 9);
  CHECK(basin::rank_for_variance(Q, {.share = 0.7}) == 7);
  CHECK(basin::rank_for_variance(Q, {.share = 0.7 + 1e-9}) == 8);
  CHECK(std::abs(basin::effective_rank(Q) - 10) < 1e-12);
  const Eigen::VectorXd x = normal(40, 1, 9).col(0);
  const Eigen::MatrixXd one = x * normal(1, 25, 10);
  CHECK(basin::rank_for_variance(one) == 1);
  CHECK(basin::rank_for_variance(one, {.share = 1}) == 1);
  CHECK(std::abs(basin::effective_rank(one) - 1) < 1e-12);
  // Values 3, 1, 1: 9, 10 and 11 of 11; entropy of 3/5, 1/5, 1/5.
  const Eigen::MatrixXd turned = orthonormal(6).leftCols(3) * Eigen::Vector3d(3, 1, 1).asDiagonal();
  CHECK(basin::rank_for_variance(turned, {.share = 9.0 / 11}) == 1);
  CHECK(basin::rank_for_variance(turned, {.share = 0.85}) == 2);
  CHECK(basin::rank_for_variance(turned, {.share = 0.95}) == 3);
  const double entropy = -0.6 * std::log(0.6) - 0.4 * std::log(0.2);
  CHECK(std::abs(basin::effective_rank(turned) - std::exp(entropy)) < 1e-12);
  // A part in 1e9 of the norm counts where all is asked for: 1e-18 of the variance.
  Eigen::MatrixXd small = orthonormal(6);
  small.col(5) *= 1e-9;
  CHECK(basin::rank_for_variance(small, {.share = 1}) == 6);
  small.col(5) = small.col(4);
  CHECK(basin::rank_for_variance(small, {.share = 1}) == 5);
}

TEST_CASE("ranks of points that are constant, and at any scale", "[metrics]") {
  const Eigen::MatrixXd zero = Eigen::MatrixXd::Zero(4, 7);
  CHECK(basin::rank_for_variance(zero) == 0);
  CHECK(basin::effective_rank(zero) == 0);
  const Eigen::MatrixXf equal = Eigen::MatrixXf::Constant(4, 7, 1.0f / 3);
  CHECK(basin::rank_for_variance(equal, {.share = 1}) == 1);
  CHECK(basin::rank_for_variance(equal, {.share = 1, .centered = true}) == 0);
  CHECK(basin::effective_rank(equal, {.centered = true}) == 0);
  const Eigen::MatrixXd X = normal(9, 30, 11);
  for (const double scale : {1e-200, 1e140}) {
    CHECK(basin::rank_for_variance(scale * X) == basin::rank_for_variance(X));
    CHECK(std::abs(basin::effective_rank(scale * X) - basin::effective_rank(X)) < 1e-12);
  }
}

TEST_CASE("NumPy's ranks", "[metrics]") {
  for (const std::string name : {"wide", "tall", "images"}) {
    CAPTURE(name);
    const golden::Case one("attractor/rank_" + name);
    const Eigen::MatrixXd X = one.columns("x");
    const Eigen::VectorXd shares = one.vector("shares"), rank = one.vector("rank"),
                          centered = one.vector("centered_rank"), entropy = one.vector("entropy");
    for (index_t s = 0; s < shares.size(); ++s) {
      CAPTURE(shares[s]);
      CHECK(basin::rank_for_variance(X, {.share = shares[s]}) == static_cast<index_t>(rank[s]));
      CHECK(basin::rank_for_variance(X, {.share = shares[s], .centered = true}) ==
            static_cast<index_t>(centered[s]));
    }
    CHECK(std::abs(basin::effective_rank(X) - entropy[0]) <= 1e-12 * entropy[0]);
    CHECK(std::abs(basin::effective_rank(X, {.centered = true}) - entropy[1]) <=
          1e-12 * entropy[1]);
  }
}

TEST_CASE("what metrics refuse, by the column's number", "[metrics]") {
  const basin::cpu<double> be(1);
  const Eigen::MatrixXd X = normal(3, 5, 12), none(3, 0), other = normal(4, 5, 13);
  Eigen::MatrixXd bad = X;
  bad(1, 2) = not_a_number;
  Eigen::MatrixXd infinite = X;
  infinite(0, 4) = -std::numeric_limits<double>::infinity();
  Eigen::MatrixXd huge = X;
  huge(2, 1) = 1e200;
  CHECK_THROWS_AS(basin::memorization(be, none, X), basin::size_error);
  CHECK_THROWS_AS(basin::memorization(be, X, none), basin::size_error);
  CHECK_THROWS_AS(basin::memorization(be, X, other), basin::size_error);
  CHECK_THROWS_AS(basin::chamfer(be, none, X), basin::size_error);
  CHECK_THROWS_AS(basin::chamfer(be, X, other), basin::size_error);
  CHECK_THROWS_AS(basin::rank_for_variance(none), basin::size_error);
  CHECK_THROWS_AS(basin::effective_rank(none), basin::size_error);
  CHECK_THROWS_AS(basin::memorization(be, X, bad), basin::argument_error);
  CHECK(message_of([&] { (void)basin::memorization(be, X, bad); }) ==
        "memorization: image 2 is not finite");
  const Eigen::MatrixXf bad_float = bad.cast<float>(), infinite_float = -infinite.cast<float>();
  CHECK(message_of([&] { (void)basin::memorization(be, X, bad_float); }) ==
        "memorization: image 2 is not finite");
  CHECK(message_of([&] { (void)basin::memorization(be, infinite_float, X); }) ==
        "memorization: decoded attractor 4 is not finite");
  CHECK(basin::detail::largest_entry(be, "", "", (-3 * Eigen::MatrixXf::Ones(2, 2)).eval()) == 3);
  CHECK(message_of([&] { (void)basin::memorization(be, infinite, X); }) ==
        "memorization: decoded attractor 4 is not finite");
  CHECK(message_of([&] { (void)basin::chamfer(be, X, bad); }) ==
        "chamfer: point of the second set 2 is not finite");
  CHECK(message_of([&] { (void)basin::rank_for_variance(bad); }) ==
        "rank_for_variance: column 2 is not finite");
  CHECK(message_of([&] { (void)basin::effective_rank(huge); }) ==
        "effective_rank: column 1 is beyond 1e150");
  for (const double share : {0.0, -1.0, 1.5, not_a_number}) {
    CHECK_THROWS_AS(basin::rank_for_variance(X, {.share = share}), basin::argument_error);
  }
  CHECK_THROWS_AS(basin::chamfer(be, X, X, {.metric = static_cast<point_metric>(9)}),
                  basin::argument_error);
}
