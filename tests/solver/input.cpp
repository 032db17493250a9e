// What a user can get wrong, and what is said then.
#include <string>

#include <basin/map/function_map.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "maps.hpp"

using basin::FixedPointSolver;
using basin::index_t;

namespace {

template <class Error, class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  FAIL("no exception of the expected type");
  return {};
}
bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("states of the wrong dimension", "[solver]") {
  FixedPointSolver solver{maps::network<double>(5)};
  const std::string text =
      message_of<basin::size_error>([&] { (void)solver.solve(Eigen::MatrixXd::Zero(4, 3)); });
  CHECK(has(text, "4"));
  CHECK(has(text, "5"));
  FixedPointSolver columns{maps::rotation(1)};
  CHECK(
      has(message_of<basin::size_error>([&] { (void)columns.solve(Eigen::MatrixXd::Zero(3, 3)); }),
          "is 3, expected 2"));
  CHECK_THROWS_AS((void)solver.solve(Eigen::MatrixXd(0, 3)), basin::size_error);
  CHECK_THROWS_AS(basin::function_map(0, [](const auto& Z) { return Z; }), basin::argument_error);
  CHECK_THROWS_AS(basin::columnwise(-2, [](const auto&, auto&) {}), basin::argument_error);
}

TEST_CASE("an empty batch is an empty result", "[solver]") {
  FixedPointSolver batch{maps::network<double>(5)};
  const auto none = batch.solve(Eigen::MatrixXd(5, 0));
  CHECK(none.size() == 0);
  CHECK(none.states.rows() == 5);
  CHECK(none.work.evaluations == 0);
  FixedPointSolver columns{maps::rotation(1)};
  CHECK(columns.solve(Eigen::MatrixXd(2, 0)).size() == 0);
}

TEST_CASE("a map that returns another size, by its sizes", "[solver]") {
  FixedPointSolver batch{[](const auto& Z) { return Z.topRows(1).eval(); }};
  CHECK(message_of<basin::size_error>([&] { (void)batch.solve(Eigen::MatrixXd::Ones(3, 8)); }) ==
        "the map returned 1 x 8, expected 3 x 8");
  FixedPointSolver columns{
      basin::columnwise(3, [](const auto& z) -> Eigen::VectorXd { return z.head(2); })};
  CHECK(
      has(message_of<basin::size_error>([&] { (void)columns.solve(Eigen::MatrixXd::Ones(3, 8)); }),
          "is 2, expected 3"));
}

TEST_CASE("starts that are not finite", "[solver]") {
  Eigen::MatrixXd starts = maps::starts(2, 5);
  starts(1, 2) = std::nan("");
  FixedPointSolver solver{maps::rotation(1), basin::damped{}};
  const auto found = solver.solve(starts);
  CHECK(found.status[2] == basin::status::non_finite);
  CHECK(found.evaluations[2] == 0);
  CHECK(std::isnan(found.states(1, 2)));
  CHECK(found.count(basin::status::converged) == 4);
}

TEST_CASE("starts need not be a plain matrix", "[solver]") {
  const Eigen::MatrixXd wide = maps::starts(4, 30);
  FixedPointSolver solver{maps::rotation(1), basin::damped{}};
  const auto block = solver.solve(wide.block(1, 3, 2, 20));
  const auto copied = solver.solve(Eigen::MatrixXd(wide.block(1, 3, 2, 20)));
  maps::require_same(block, copied);
  maps::require_same(solver.solve(basin::cpu<double>(1), wide.block(1, 3, 2, 20)), copied);
  const Eigen::Vector2d one(0.1, 0.2);
  CHECK(solver.solve(one).size() == 1);
}

TEST_CASE("a pool needs a thread", "[backend]") {
  CHECK_THROWS_AS(basin::cpu<float>(-1), basin::argument_error);
  CHECK(basin::cpu<float>().threads() >= 1);
}
