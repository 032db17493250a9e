// Ratios of variances of maps whose ratios are known.
#include <cmath>
#include <limits>

#include <basin/attractor/variance_ratio.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/columnwise.hpp>

#include "../catch.hpp"

using basin::index_t;

namespace {

Eigen::MatrixXd normal(index_t rows, index_t columns, std::uint32_t stream) {
  return Eigen::MatrixXd::NullaryExpr(rows, columns, [&](index_t i, index_t j) {
    return basin::normal_at<double>(basin::random_stream{5, stream}, i, j);
  });
}

}  // namespace

TEST_CASE("a multiple of the identity has its square as the ratio, without an error",
          "[variance_ratio]") {
  const basin::cpu<double> be(2);
  const Eigen::MatrixXd half = Eigen::MatrixXd::Identity(7, 7) / 2;
  auto map = basin::affine(half, Eigen::VectorXd::Constant(7, 3.0));
  for (const double sigma : {1e-3, 1.0, 40.0}) {
    const auto found =
        basin::variance_ratio(be, map, {.samples = 500, .deviation = sigma, .random = {1}});
    CAPTURE(sigma);
    CHECK(std::abs(found.ratio.value - 0.25) < 1e-10);
    CHECK(found.ratio.error < 1e-10);
    CHECK(std::abs(found.deviations().value - 0.5) < 1e-10);
    CHECK(found.ratio.used == 500);
    CHECK(std::abs(found.input / sigma / sigma - 1) < 0.1);
    CHECK(std::abs(found.output / found.input - 0.25) < 1e-10);
    // A shift that is alike in all coordinates counts in neither.
    CHECK(std::abs(found.pooled.value - 0.25) < 1e-3);
  }
}

TEST_CASE("a shift that differs between coordinates counts in the pooled ratio alone",
          "[variance_ratio]") {
  const basin::cpu<double> be(1);
  const Eigen::MatrixXd zero = Eigen::MatrixXd::Zero(2, 2);
  auto map = basin::affine(zero, Eigen::Vector2d(1, -1));
  const auto found = basin::variance_ratio(be, map, normal(2, 1000, 1));
  CHECK(found.ratio.value == 0);
  CHECK(std::abs(found.pooled.value - 1) < 0.1);
}

TEST_CASE("the ratio of a linear map is ‖W‖²_F / k within its error, whatever the shape",
          "[variance_ratio]") {
  const basin::cpu<double> be(2);
  for (const index_t rows : {3, 8}) {
    const Eigen::MatrixXd W = normal(rows, 8, 2);
    auto map = basin::affine(W);
    const double truth = W.squaredNorm() / static_cast<double>(rows);
    double inside = 0, squares = 0, claimed = 0;
    constexpr int runs = 200;
    for (int run = 0; run < runs; ++run) {
      const auto found = basin::variance_ratio(
          be, map, {.samples = 100, .random = {static_cast<std::uint64_t>(run), 3}});
      const double off = found.ratio.value - truth;
      inside += std::abs(off) < 1.96 * found.ratio.error ? 1 : 0;
      squares += off * off;
      claimed += found.ratio.error * found.ratio.error;
    }
    CHECK(inside / runs > 0.88);
    CHECK(std::abs(squares / claimed - 1) < 0.3);
  }
}

TEST_CASE("inputs by hand", "[variance_ratio]") {
  const basin::cpu<double> be(1);
  auto square = basin::columnwise<1>([](const auto& z, auto& next) { next[0] = z[0] * z[0]; });
  const Eigen::MatrixXd Z = (Eigen::MatrixXd(1, 4) << -1, 0, 1, 2).finished();
  const auto found = basin::variance_ratio(be, square, Z);
  // Outputs 1, 0, 1, 4: mean 1.5, squares 0.25 + 2.25 + 0.25 + 6.25; inputs: mean 0.5, 5.
  CHECK(std::abs(found.input - 5.0 / 3) < 1e-14);
  CHECK(std::abs(found.output - 9.0 / 3) < 1e-14);
  CHECK(std::abs(found.ratio.value - 1.8) < 1e-14);
  CHECK(std::abs(found.pooled.value - 1.8) < 1e-14);
}

TEST_CASE("outputs that are not finite are left out and counted", "[variance_ratio]") {
  const basin::cpu<double> be(1);
  auto root = basin::columnwise<1>([](const auto& z, auto& next) {
    using std::sqrt;
    next[0] = sqrt(z[0]);
  });
  const Eigen::MatrixXd Z = (Eigen::MatrixXd(1, 4) << 1, -1, 4, 9).finished();
  const auto found = basin::variance_ratio(be, root, Z);
  CHECK(found.ratio.left_out == 1);
  CHECK(found.ratio.used == 3);
  const auto kept = basin::variance_ratio(be, root, (Eigen::MatrixXd(1, 3) << 1, 4, 9).finished());
  CHECK(found.ratio.value == kept.ratio.value);
  const auto none = basin::variance_ratio(be, root, -Z.cwiseAbs());
  CHECK(none.ratio.left_out == 4);
  CHECK(std::isnan(none.ratio.value));
}

TEST_CASE("a seed gives the same ratio on any number of threads", "[variance_ratio]") {
  const Eigen::MatrixXf W = normal(40, 40, 4).cast<float>();
  auto map = basin::affine(W);
  const auto one = basin::variance_ratio(basin::cpu<float>(1), map, {.random = {9}});
  const auto three = basin::variance_ratio(basin::cpu<float>(3), map, {.random = {9}});
  CHECK(one.ratio.value == three.ratio.value);
  CHECK(one.ratio.error == three.ratio.error);
  CHECK(one.ratio.value != basin::variance_ratio(basin::cpu<float>(3), map).ratio.value);
}

TEST_CASE("what a ratio refuses", "[variance_ratio]") {
  const basin::cpu<double> be(1);
  const Eigen::MatrixXd W = normal(3, 3, 5);
  auto map = basin::affine(W);
  Eigen::MatrixXd Z = normal(3, 6, 6);
  CHECK_THROWS_AS(basin::variance_ratio(be, map, Z.leftCols(1)), basin::size_error);
  CHECK_THROWS_AS(basin::variance_ratio(be, map, Z.leftCols(0)), basin::size_error);
  CHECK_THROWS_AS(basin::variance_ratio(be, map, Z.topRows(2)), basin::size_error);
  CHECK_THROWS_AS(basin::variance_ratio(be, map, Z.col(0).replicate(1, 4)), basin::argument_error);
  Z(1, 3) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(basin::variance_ratio(be, map, Z), basin::argument_error);
  CHECK_THROWS_AS(basin::variance_ratio(be, map, {.samples = 1}), basin::argument_error);
  CHECK_THROWS_AS(basin::variance_ratio(be, map, {.deviation = 0.0}), basin::argument_error);
  auto unsaid = [](const Eigen::Ref<const Eigen::MatrixXd>& X) { return Eigen::MatrixXd(2 * X); };
  CHECK_THROWS_AS(basin::variance_ratio(be, unsaid), basin::argument_error);
}
