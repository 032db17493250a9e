// A column's answer does not depend on its company, its place or the threads.
#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include <basin/map/function_map.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "maps.hpp"

using basin::FixedPointSolver;
using basin::index_t;
using basin::picard;
using basin::stopping;

namespace {

// Solves all starts at once, shuffled, in batches of 1 and 7, and on 1 to 4 threads.
template <class Scalar, class Map>
void same_everywhere(const Map& map, const Eigen::MatrixXd& starts, const stopping& rule) {
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  const matrix Z = starts.cast<Scalar>();
  const index_t n = Z.cols();
  FixedPointSolver solver{map, picard{}, rule};
  const auto all = solver.solve(basin::cpu<Scalar>(1), Z);
  for (const int threads : {2, 3, 4}) {
    maps::require_same(all, solver.solve(basin::cpu<Scalar>(threads), Z));
  }

  std::vector<index_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), index_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937(4));
  matrix shuffled(Z.rows(), n);
  for (index_t j = 0; j < n; ++j) shuffled.col(j) = Z.col(order[static_cast<std::size_t>(j)]);
  const auto mixed = solver.solve(basin::cpu<Scalar>(2), shuffled);
  const auto same_column = [&](const auto& part, index_t at, index_t start) {
    const auto a = static_cast<std::size_t>(at);
    const auto s = static_cast<std::size_t>(start);
    REQUIRE(part.status[a] == all.status[s]);
    REQUIRE(part.iterations[a] == all.iterations[s]);
    REQUIRE(part.residual[a] == all.residual[s]);
    REQUIRE((part.states.col(at).array() == all.states.col(start).array()).all());
  };
  for (index_t j = 0; j < n; ++j) same_column(mixed, j, order[static_cast<std::size_t>(j)]);
  const basin::cpu<Scalar> one(1);
  for (index_t j = 0; j < std::min<index_t>(n, 400); j += 37) {
    same_column(solver.solve(one, Z.middleCols(j, 1)), 0, j);
    const index_t width = std::min<index_t>(7, n - j);
    const auto seven = solver.solve(one, Z.middleCols(j, width));
    for (index_t i = 0; i < width; ++i) same_column(seven, i, j + i);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("columnwise maps: bitwise in any company", "[solver][threads]", float, double) {
  const auto newton = basin::columnwise<2>([](const auto& z, auto& f) {
    using scalar = std::decay_t<decltype(f[0])>;
    const scalar x = z[0], y = z[1], r = x * x + y * y;
    f[0] = (2 * x + (x * x - y * y) / (r * r)) / 3;
    f[1] = (2 * y - 2 * x * y / (r * r)) / 3;
  });
  same_everywhere<TestType>(newton, 2 * maps::starts(2, 10000), {.residual = 1e-5});
  const auto dynamic =
      basin::columnwise(19, [](const auto& z, auto& f) { f = (z.array() / 2 + z[0]).sin() / 2; });
  same_everywhere<TestType>(dynamic, maps::starts(19, 2000), {.residual = 1e-5});
}

TEMPLATE_TEST_CASE("basin's products and activations: bitwise in any company", "[solver][threads]",
                   float, double) {
  same_everywhere<TestType>(maps::network<TestType>(128), maps::starts(128, 1000),
                            {.residual = 1e-4});
  same_everywhere<TestType>(maps::network<TestType>(5), maps::starts(5, 10000), {.residual = 1e-4});
}

TEST_CASE("work says what was spent and what the waiting loop spends more", "[solver]") {
  const auto map = basin::columnwise<2>([](const auto& z, auto& f) {
    f[0] = z[1] * z[0];  // each column with a rate of its own
    f[1] = z[1];
  });
  Eigen::MatrixXd starts(2, 3);
  starts << 1, 1, 1, 0.5, 0.9, 0.99;
  FixedPointSolver solver{map};
  const auto found = solver.solve(starts);
  const index_t sum = found.evaluations[0] + found.evaluations[1] + found.evaluations[2];
  CHECK(found.work.evaluations == sum);
  CHECK(found.work.saved == 3 * found.evaluations[2] - sum);
  CHECK(found.count(basin::status::converged) == 3);
  CHECK(found.counts()[static_cast<std::size_t>(basin::status::converged)] == 3);
}

TEST_CASE("columns that have ended are not evaluated again", "[solver]") {
  const auto count = std::make_shared<index_t>(0);
  const auto widest = std::make_shared<index_t>(0);
  const auto map = [=](const auto& Z, auto& out) {
    *count += Z.cols();
    *widest = std::max<index_t>(*widest, Z.cols());
    out = Z;
    for (index_t j = 0; j < Z.cols(); ++j) out(0, j) *= Z(1, j);
  };
  Eigen::MatrixXd starts(2, 500);
  for (index_t j = 0; j < 500; ++j) starts.col(j) << 1, 0.3 + 0.69 * static_cast<double>(j) / 500;
  FixedPointSolver solver{map};
  const auto found = solver.solve(basin::cpu<double>(1), starts);
  CHECK(*count == found.work.evaluations);
  CHECK(*widest == 500);
  CHECK(found.count(basin::status::converged) == 500);
  CHECK(found.work.saved > found.work.evaluations);
}

TEST_CASE("a map that couples its batch keeps the batch together", "[solver]") {
  // Every column goes to the mean of the batch: halves the distance each step.
  const auto map = basin::batch_coupled([](const auto& Z) -> Eigen::MatrixXd {
    const Eigen::VectorXd mean = Z.rowwise().mean();
    return ((Z.colwise() + mean) / 2).eval();
  });
  const Eigen::MatrixXd starts = maps::starts(3, 20);
  FixedPointSolver solver{map, picard{}, stopping{.residual = 1e-10}};
  const auto found = solver.solve(starts);
  const Eigen::VectorXd mean = starts.rowwise().mean();
  CHECK(found.count(basin::status::converged) == 20);
  CHECK((found.states.colwise() - mean).cwiseAbs().maxCoeff() < 1e-9);
}

TEST_CASE("one bad column never touches another", "[solver]") {
  Eigen::MatrixXd good = maps::starts(128, 60);
  Eigen::MatrixXd bad = good;
  bad(3, 17) = std::numeric_limits<double>::quiet_NaN();
  bad(0, 30) = std::numeric_limits<double>::infinity();
  FixedPointSolver solver{maps::network<double>(128)};
  const auto expected = solver.solve(good);
  const auto found = solver.solve(bad);
  for (index_t j = 0; j < 60; ++j) {
    const auto i = static_cast<std::size_t>(j);
    if (j == 17 || j == 30) {
      CHECK(found.status[i] == basin::status::non_finite);
      CHECK(found.evaluations[i] == 0);
    } else {
      CHECK(found.iterations[i] == expected.iterations[i]);
      CHECK((found.states.col(j).array() == expected.states.col(j).array()).all());
    }
  }
}
