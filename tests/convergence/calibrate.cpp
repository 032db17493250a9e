// Coverage by simulation, and the comparison of predictors.
#include <cmath>
#include <limits>
#include <vector>

#include <basin/convergence/benchmark_predictors.hpp>
#include <basin/convergence/calibrate.hpp>

#include "../catch.hpp"

using basin::index_t;
using basin::prediction;

namespace {

struct sample {
  basin::Predictions said;
  basin::IterationCounts truth;
};

// Counts of small numbers that tie often; those above `limit` are not finished.
sample draw(index_t n, std::uint32_t stream, index_t limit = 1000, bool two_basins = false) {
  sample s{basin::Predictions(n), {}};
  const basin::random_stream random{7, stream};
  for (index_t j = 0; j < n; ++j) {
    const double expected = 3 + 10 * basin::uniform_from_word<double>(random.word(0, j));
    const index_t basin_of = two_basins && random.word(1, j) % 2 == 0 ? 1 : 0;
    // The second basin is predicted far worse.
    const double spread = basin_of == 1 ? 1.0 : 0.1;
    const double noise = spread * basin::normal_at<double>(random, 4, j);
    const auto t = static_cast<index_t>(std::lround(expected * std::exp(noise)));
    s.said[j] = prediction::of(std::round(expected), basin_of);
    s.truth.iterations.push_back(std::min(t, limit));
    s.truth.finished.push_back(t <= limit);
    s.truth.attractor.push_back(basin_of);
  }
  return s;
}

double covered(const sample& s, const std::vector<basin::count_interval>& all,
               index_t basin_of = -1) {
  double hits = 0, n = 0;
  for (index_t j = 0; j < s.said.size(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    if (basin_of >= 0 && s.said[j].attractor != basin_of) continue;
    n += 1;
    hits +=
        s.truth.finished[at] ? all[at].contains(s.truth.iterations[at]) : std::isinf(all[at].upper);
  }
  return hits / n;
}

}  // namespace

TEST_CASE("intervals cover what they say, though counts tie", "[convergence]") {
  for (const double wanted : {0.5, 0.9}) {
    for (std::uint32_t split = 0; split < 6; ++split) {
      const sample known = draw(1999, 2 * split);
      const sample fresh = draw(4000, 2 * split + 1);
      const basin::Calibration calibration(known.said, known.truth, {.coverage = wanted});
      CHECK(calibration.stated(0) == Approx(wanted).margin(1e-3));
      const auto range = basin::coverage_range(1999, 4000, wanted);
      const double share = covered(fresh, calibration.intervals(fresh.said));
      INFO(share << " in " << range.first << " .. " << range.second);
      CHECK(share >= range.first);
      CHECK(share <= range.second);
      CHECK(range.second - range.first < 0.1);
    }
  }
}

TEST_CASE("a basin with enough starts has intervals of its own", "[convergence]") {
  const sample known = draw(4000, 20, 1000, true);
  const sample fresh = draw(8000, 21, 1000, true);
  const basin::Calibration apart(known.said, known.truth, {});
  const basin::Calibration pooled(known.said, known.truth, {.per_basin = 100'000});
  CHECK(apart.has_own(1));
  CHECK_FALSE(pooled.has_own(1));
  for (const index_t c : {0, 1}) {
    CHECK(covered(fresh, apart.intervals(fresh.said), c) == Approx(0.9).margin(0.025));
  }
  CHECK(covered(fresh, pooled.intervals(fresh.said), 0) > 0.95);
  CHECK(covered(fresh, pooled.intervals(fresh.said), 1) < 0.85);
  CHECK(covered(fresh, pooled.intervals(fresh.said)) == Approx(0.9).margin(0.02));
}

TEST_CASE("a small basin does not borrow the intervals of a large one", "[convergence]") {
  // Beside 2,000 starts that are predicted well, a few of a basin that is predicted badly.
  const auto mixed = [](index_t bad, std::uint32_t stream) {
    sample s = draw(2000 + bad, stream, 100'000);
    const basin::random_stream random{8, stream};
    for (index_t j = 2000; j < 2000 + bad; ++j) {
      s.said[j].attractor = 1;
      const double noise = 4 * basin::normal_at<double>(random, 4, j);
      s.truth.iterations[static_cast<std::size_t>(j)] =
          static_cast<index_t>(std::lround(8 * std::exp(std::min(noise, 9.0))));
      s.truth.finished[static_cast<std::size_t>(j)] = true;
    }
    return s;
  };
  const sample fresh = mixed(2000, 41);
  const sample five = mixed(5, 40), fifty = mixed(50, 42);
  const basin::Calibration few(five.said, five.truth, {});
  CHECK(few.has_own(0));
  CHECK_FALSE(few.has_own(1));
  CHECK(few.stated(1) == 1);
  CHECK(covered(fresh, few.intervals(fresh.said), 1) == 1);
  CHECK(covered(fresh, few.intervals(fresh.said), 0) == Approx(0.9).margin(0.03));
  const basin::Calibration some(fifty.said, fifty.truth, {});
  CHECK(some.stated(1) == Approx(0.9).margin(0.04));
  CHECK(covered(fresh, some.intervals(fresh.said), 1) == Approx(0.9).margin(0.12));
}

TEST_CASE("starts that do not finish are censored, not left out", "[convergence]") {
  const sample known = draw(4000, 30, 12);
  const sample fresh = draw(4000, 31, 12);
  index_t open = 0;
  for (const auto f : known.truth.finished) open += f == 0;
  REQUIRE(open > 100);
  const basin::Calibration calibration(known.said, known.truth, {.coverage = 0.6});
  // What is not finished counts as above every finite bound: conservative.
  CHECK(covered(fresh, calibration.intervals(fresh.said)) > 0.57);
  // Nothing but unfinished starts: no upper end.
  sample none = draw(50, 32, 0);
  const basin::Calibration all_open(none.said, none.truth, {});
  CHECK(std::isinf(all_open.intervals(none.said)[0].upper));
  // Too few to say anything.
  const sample few = draw(5, 33);
  const basin::Calibration vague(few.said, few.truth, {});
  const auto wide = vague.intervals(few.said);
  CHECK(wide[0].lower == 0);
  CHECK(std::isinf(wide[0].upper));
  // No prediction, no bound.
  const auto nothing = vague.intervals(basin::Predictions(1));
  CHECK(std::isinf(nothing[0].upper));
  CHECK_THROWS_AS(basin::Calibration(few.said, none.truth, {}), basin::size_error);
  CHECK_THROWS_AS(basin::Calibration(few.said, few.truth, {.coverage = 1}), basin::argument_error);
}

TEST_CASE("the beta-binomial range", "[convergence]") {
  // One calibrating start and coverage 1/2: uniform on 0 ... m, so each end is cut at level.
  const auto uniform = basin::coverage_range(1, 999, 0.5, 0.9);
  CHECK(uniform.first == Approx(0.05).margin(0.002));
  CHECK(uniform.second == Approx(0.95).margin(0.002));
  // Many of both: normal with variance p (1 - p) (1/n + 1/m), 3.29 standard deviations.
  const auto normal = basin::coverage_range(5000, 5000, 0.9);
  CHECK(normal.second - normal.first ==
        Approx(2 * 3.29 * std::sqrt(0.09 * 2 / 5000)).epsilon(0.03));
  CHECK_THROWS_AS(basin::coverage_range(0, 5, 0.9), basin::argument_error);
}

TEST_CASE("correlations", "[convergence]") {
  CHECK(basin::pearson_correlation({1, 2, 3}, {2, 4, 6}) == Approx(1));
  CHECK(basin::pearson_correlation({1, 2, 3, 4}, {1, -1, 1, -1}) == Approx(-1 / std::sqrt(5.0)));
  CHECK(std::isnan(basin::pearson_correlation({1, 1, 1}, {1, 2, 3})));
  CHECK(std::isnan(basin::pearson_correlation({0.1, 0.1, 0.1}, {1, 2, 3})));
  CHECK(basin::pearson_correlation({1e200, 2e200, 3e200}, {1, 2, 3}) == Approx(1));
  CHECK(basin::spearman_correlation({1, 2, 3, 4}, {1, 10, 100, 1000}) == Approx(1));
  // Ties at the mean rank, as SciPy's spearmanr.
  CHECK(basin::spearman_correlation({1, 2, 2, 3}, {1, 2, 3, 3}) == Approx(5.0 / 6));
  CHECK_THROWS_AS(basin::pearson_correlation({1}, {1, 2}), basin::size_error);
}
