// Norms of one step.
#include <limits>

#include <basin/backend/cpu.hpp>
#include <basin/map/function_map.hpp>
#include <basin/ood/residual_score.hpp>

#include "../catch.hpp"

using basin::index_t;

TEST_CASE("residuals are norms of one step", "[ood]") {
  auto map = basin::function_map(2, [](const auto& Z) { return 0.5 * Z; });
  Eigen::MatrixXd X(2, 3);
  X << 6, 0, std::numeric_limits<double>::infinity(), 8, 0, 1;
  const Eigen::VectorXd scores = basin::residual_score(basin::cpu<float>(1), map, X);
  CHECK(scores.head(2) == Eigen::Vector2d(5, 0));
  CHECK(std::isnan(scores[2]));
  CHECK_THROWS_AS(basin::residual_score(basin::cpu<float>(1), map, X.topRows(1)),
                  basin::size_error);
}

TEST_CASE("an answer that is not finite has no score, wherever it stands", "[ood]") {
  // All is at rest but one entry, which is not a number.
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  for (const index_t k : {1, 2, 3, 8, 9, 17, 40}) {
    for (index_t i = 0; i < k; ++i) {
      CAPTURE(k, i);
      auto map = basin::function_map(k, [&](const auto& Z) {
        Eigen::MatrixXd F = Z;
        F.row(i).setConstant(nan);
        return F;
      });
      CHECK(std::isnan(
          basin::residual_score(basin::cpu<double>(1), map, Eigen::MatrixXd::Zero(k, 1))[0]));
    }
  }
}
