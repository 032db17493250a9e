#include <basin/core/random.hpp>

#include <cmath>
#include <vector>

#include <basin/backend/cpu.hpp>

#include "../catch.hpp"

using basin::index_t;
using basin::random_stream;

TEST_CASE("an element is its word, whatever was drawn before", "[core]") {
  const random_stream stream{.seed = 0x123456789abcdefull, .stream = 9};
  // Row 6 of column 11 is word 2 of block 1.
  const auto block = basin::philox4x32_10({1, 11, 0, 9}, {0x89abcdefu, 0x01234567u});
  CHECK(stream.word(6, 11) == block[2]);
  // Columns beyond 2^32 are other columns.
  CHECK(stream.word(0, index_t{1} << 32) ==
        basin::philox4x32_10({0, 0, 1, 9}, {0x89abcdefu, 0x01234567u})[0]);
}

TEST_CASE("uniform numbers stay inside the open interval", "[core]") {
  CHECK(basin::uniform_from_word<float>(0) > 0);
  CHECK(basin::uniform_from_word<float>(~0u) < 1);
  CHECK(basin::uniform_from_word<double>(0) > 0);
  CHECK(basin::uniform_from_word<double>(~0u) < 1);
}

TEMPLATE_TEST_CASE("fills have the moments of their distributions", "[core]", float, double) {
  const basin::cpu<TestType> be(2);
  const index_t n = 20000;
  Eigen::MatrixX<TestType> X(8, n);
  const auto moment = [&](int power) {
    return X.template cast<double>().array().pow(power).mean();
  };
  const double deviation = 1 / std::sqrt(8.0 * n);
  fill_normal(be, {.seed = 3}, X);
  CHECK(std::abs(moment(1)) < 5 * deviation);
  CHECK(std::abs(moment(2) - 1) < 5 * std::sqrt(2.0) * deviation);
  CHECK(std::abs(moment(3)) < 5 * std::sqrt(15.0) * deviation);
  CHECK(std::abs(moment(4) - 3) < 5 * std::sqrt(96.0) * deviation);
  // Rows, and columns, are not correlated.
  const Eigen::MatrixXd D = X.template cast<double>();
  CHECK(std::abs(D.row(0).dot(D.row(1)) / n) < 5 / std::sqrt(static_cast<double>(n)));
  CHECK(std::abs((D.leftCols(n - 1).array() * D.rightCols(n - 1).array()).mean()) < 5 * deviation);
  fill_uniform(be, {.seed = 3}, X, -2, 4);
  CHECK(std::abs(moment(1) - 1) < 5 * std::sqrt(3.0) * deviation);
  CHECK(std::abs(moment(2) - 4) < 5 * 5 * deviation);
  fill_on_sphere(be, {.seed = 3}, X);
  CHECK(std::abs(moment(1)) < 5 * deviation);
  CHECK(std::abs(moment(2) - 0.125) < 1e-6);
}

TEST_CASE("random orthogonal matrices are uniform: the trace has mean 0, variance 1", "[core]") {
  const basin::cpu<double> be(1);
  Eigen::MatrixXd Q(6, 6);
  double sum = 0, squares = 0;
  const int n = 2000;
  for (int i = 0; i < n; ++i) {
    fill_orthogonal(be, {.seed = 11, .stream = static_cast<std::uint32_t>(i)}, Q);
    sum += Q.trace();
    squares += Q.trace() * Q.trace();
  }
  CHECK(std::abs(sum / n) < 5 / std::sqrt(static_cast<double>(n)));
  CHECK(std::abs(squares / n - 1) < 5 * std::sqrt(2.0 / n));
}
