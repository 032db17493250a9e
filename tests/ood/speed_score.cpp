// Basins and speeds by their ranks.
#include <cmath>

#include <basin/ood/speed_score.hpp>

#include "../catch.hpp"

TEST_CASE("basins and speeds are scored by their rank", "[ood]") {
  const basin::SpeedScorer speed(basin::known_counts({9, 10, 11, 12, 30}, {0, 0, 0, 0, 1}));
  const Eigen::VectorXd scores =
      speed.score(basin::known_counts({10, 40, 30, 5, 8}, {0, 0, 1, 2, 0}));
  const double all = 5 + 2 + 1;
  CHECK(scores[0] == Approx(std::log(all / 5) - std::log(1.0)));      // in the middle
  CHECK(scores[1] == Approx(std::log(all / 5) - std::log(2.0 / 5)));  // slower than all
  CHECK(scores[2] == Approx(std::log(all / 2)));
  CHECK(scores[3] == Approx(std::log(all)));  // a basin of none
  CHECK(scores[4] == scores[1]);              // faster than all
  basin::Predictions none(1);
  CHECK(speed.score(none)[0] == Approx(std::log(all)));
  CHECK_THROWS_AS(basin::SpeedScorer(basin::Predictions(0)), basin::argument_error);
  CHECK_THROWS_AS(basin::known_counts({1}, {}), basin::size_error);
}
