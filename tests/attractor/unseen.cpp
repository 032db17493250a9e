// Estimates of the unseen, of populations that are known.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <basin/attractor/discovery_curve.hpp>
#include <basin/attractor/unseen.hpp>
#include <basin/core/random.hpp>

#include "../catch.hpp"

using basin::Encounters;
using basin::index_t;

namespace {

using shares = std::vector<double>;

shares uniform(int m) { return shares(static_cast<std::size_t>(m), 1); }
shares geometric(int m, double ratio) {
  shares p;
  for (int j = 0; j < m; ++j) p.push_back(std::pow(ratio, j));
  return p;
}
shares zipf(int m, double exponent) {
  shares p;
  for (int j = 1; j <= m; ++j) p.push_back(std::pow(j, -exponent));
  return p;
}

// Counts of n draws; stream number `draw` of the seed.
std::vector<index_t> sample(const shares& p, index_t n, std::uint32_t draw) {
  std::vector<double> ends(p.size());
  std::partial_sum(p.begin(), p.end(), ends.begin());
  std::vector<index_t> counts(p.size());
  const basin::random_stream stream{5, draw};
  for (index_t i = 0; i < n; ++i) {
    const double u = basin::uniform_from_word<double>(stream.word(0, i)) * ends.back();
    const auto at = std::upper_bound(ends.begin(), ends.end(), u) - ends.begin();
    ++counts[static_cast<std::size_t>(at)];
  }
  return counts;
}

struct coverage {
  double mass = 0, next = 0, next_upper = 0, chao = 0, chao_lower = 0;
  double value = 0, met = 0;  // means: expected to be new, and new
};

// What share of samples the intervals hold, of n starts and t n further ones.
coverage measure(const shares& p, index_t n, double t, int samples = 300) {
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  coverage held;
  for (int s = 0; s < samples; ++s) {
    const auto draw = static_cast<std::uint32_t>(2 * s);
    const auto counts = sample(p, n, draw);
    const auto further = sample(p, static_cast<index_t>(t * static_cast<double>(n)), draw + 1);
    double mass = 0, unseen = 0, met = 0;
    for (std::size_t j = 0; j < p.size(); ++j) {
      if (counts[j] > 0) continue;
      mass += p[j] / total;
      ++unseen;
      if (further[j] > 0) ++met;
    }
    const auto found = basin::estimate_unseen(Encounters(counts), t);
    held.mass += found.mass.holds(mass) / static_cast<double>(samples);
    held.next += found.next.holds(met) / static_cast<double>(samples);
    held.next_upper += (met <= found.next.upper) / static_cast<double>(samples);
    held.chao += found.remaining.holds(unseen) / static_cast<double>(samples);
    held.chao_lower += (found.remaining.lower <= unseen) / static_cast<double>(samples);
    held.value += found.next.value / samples;
    held.met += met / samples;
  }
  return held;
}

const std::vector<shares> populations() {
  shares rare = uniform(3);
  rare.insert(rare.end(), 20, 0.002);
  return {uniform(5),
          uniform(400),
          geometric(60, 0.6),
          geometric(12, 0.3),
          zipf(2000, 1),
          zipf(2000, 2),
          rare,
          {1, 0.02, 0.02, 0.001, 0.001, 0.0005, 0.0005}};
}

}  // namespace

TEST_CASE("a sample's counts", "[attractor]") {
  const Encounters one({5, 0, 1, 1, 2}, 12);
  CHECK(one.starts() == 12);
  CHECK(one.seen() == 4);
  CHECK(one.met(1) == 2);
  CHECK(one.met(2) == 1);
  CHECK(one.met(5) == 1);
  CHECK(one.met(3) == 0);
  CHECK(Encounters({5, 0, 1, 1, 2}).starts() == 9);
  CHECK_THROWS_AS(Encounters({-1}), basin::argument_error);
  CHECK_THROWS_AS(Encounters({3, 4}, 6), basin::argument_error);
}

TEST_CASE("the binomial tail", "[attractor]") {
  // P(Bin(5, 0.4) <= 2) = 0.07776 + 0.2592 + 0.3456.
  CHECK(basin::detail::binomial_lower_tail(2, 5, 0.4) == Approx(0.68256).epsilon(1e-12));
  CHECK(basin::detail::binomial_lower_tail(0, 28, 0.1) == Approx(std::pow(0.9, 28)));
  CHECK(basin::detail::binomial_lower_tail(7, 7, 0.1) == 1);
}

TEST_CASE("the estimates in closed form", "[attractor]") {
  // f1 = 3, f2 = 2 and one of 91: n = 98.
  const Encounters sample({1, 1, 1, 2, 2, 91});
  const double A = 97.0 / 98;
  CHECK(basin::unseen_mass(sample).value == Approx(3.0 / 98));
  CHECK(basin::chao1_unseen(sample).value == Approx(A * 9 / 4));
  // Without doubles the form that is free of bias where basins are alike.
  CHECK(basin::chao1_unseen(Encounters({1, 1, 1, 95})).value == Approx(A * 3));
  // Good and Toulmin's series: t = 1 gives f1 - f2 + f3 - ...
  CHECK(basin::good_toulmin(sample, 1) == Approx(3 - 2 - 0 + 1.0));
  CHECK(basin::good_toulmin(sample, 0.5) == Approx(1.5 - 0.5 + std::pow(0.5, 91)));
  // Beyond, two trials of ½ log₃(98 · 4) = 2.7 with chance 1/2: 2 · 3/4 f1 - 4 · 1/4 f2.
  CHECK(basin::good_toulmin(sample, 2) == Approx(4.5 - 2));
  // Nothing met once: the interval ends at root (2 z² + ...) / n.
  const double z2 = 3.841458820694124;
  const auto none = basin::unseen_mass(Encounters({1000, 1000}));
  CHECK(none.value == 0);
  CHECK(none.lower == 0);
  const double theta = none.upper * 2000;
  CHECK(theta * theta == Approx(z2 * (theta - theta * theta / 2000 + 2)).epsilon(1e-9));
  // The largest u with 0.9^u > 0.025 is 35.
  const auto next = basin::new_attractors(Encounters({1000, 1000}), 9);
  CHECK(next.lower == 0);
  CHECK(next.upper == 35);
  CHECK(next.value == Approx(0).margin(1e-6));
  // Ten starts meet at most ten.
  CHECK(basin::new_attractors(Encounters({1, 1, 1, 1, 1}), 2).upper == 10);
}

TEST_CASE("a sample of nothing, or of nothing twice", "[attractor]") {
  const auto nothing = basin::estimate_unseen(Encounters(std::vector<index_t>{}));
  CHECK(nothing.mass.lower == 0);
  CHECK(nothing.mass.upper == 1);
  CHECK(nothing.next.upper == std::numeric_limits<double>::infinity());
  const auto fresh = basin::estimate_unseen(Encounters({1, 1, 1, 1}));
  CHECK(fresh.mass.value == 1);
  CHECK(fresh.mass.upper == 1);
  CHECK(fresh.remaining.value == Approx(0.75 * 6));
  CHECK(fresh.next.upper == 36);
  // Starts that met nothing are starts.
  const auto lost = basin::unseen_mass(Encounters(std::vector<index_t>{}, 50));
  CHECK(lost.value == 0);
  CHECK(lost.upper < 0.15);
  CHECK_THROWS_AS(basin::new_attractors(Encounters({1}), 0), basin::argument_error);
  CHECK_THROWS_AS(basin::unseen_mass(Encounters({1}), 1.5), basin::argument_error);
}

TEST_CASE("the intervals hold what a ten times larger sample finds", "[attractor]") {
  for (const index_t n : {100, 1000}) {
    for (const shares& p : populations()) {
      const coverage held = measure(p, n, 9);
      INFO(n << " starts, " << p.size() << " attractors, " << p[1] / p[0]);
      CHECK(held.mass >= 0.91);
      CHECK(held.next >= 0.94);
      CHECK(held.next_upper >= 0.99);
    }
  }
}

TEST_CASE("the mixture errs less than the series where it is said to", "[attractor]") {
  // Root mean square errors of both for t n further starts, n = 1000.
  const auto errors = [](const shares& p, double t) {
    double mixture = 0, series = 0;
    for (std::uint32_t s = 0; s < 40; ++s) {
      const auto counts = sample(p, 1000, 2 * s);
      const auto further = sample(p, static_cast<index_t>(1000 * t), 2 * s + 1);
      double met = 0;
      for (std::size_t j = 0; j < p.size(); ++j) met += counts[j] == 0 && further[j] > 0;
      const Encounters so_far(counts);
      mixture += std::pow(basin::new_attractors(so_far, t).value - met, 2) / 40;
      series += std::pow(basin::good_toulmin(so_far, t) - met, 2) / 40;
    }
    return std::pair(std::sqrt(mixture), std::sqrt(series));
  };
  for (const auto& [p, t] : {std::pair{uniform(500), 9.0},
                             {zipf(500, 1), 9.0},
                             {geometric(500, 0.98), 9.0},
                             {geometric(500, 0.98), 4.0}}) {
    const auto [mixture, series] = errors(p, t);
    INFO("mixture " << mixture << ", series " << series << ", share " << p[1] / p[0]);
    CHECK(mixture < series);
  }
}

TEST_CASE("twice the sample", "[attractor]") {
  for (const shares& p : populations()) {
    const coverage held = measure(p, 300, 1);
    INFO(p.size() << " attractors, " << p[1] / p[0]);
    CHECK(held.mass >= 0.91);
    CHECK(held.next >= 0.94);
  }
}

TEST_CASE("who stops by the upper limit, at sizes that double, is not deceived", "[attractor]") {
  // Of each population the first sizes are too small and the last is enough, so that all stop and
  // some could too early.
  constexpr double limit = 0.02;
  constexpr int samples = 100;
  shares rare = uniform(3), tenths{1};
  rare.insert(rare.end(), 20, 0.0075);
  tenths.insert(tenths.end(), 10, 0.004);
  int deceived_by_value = 0, stopped_by_value = 0;
  for (const shares& p :
       {uniform(400), geometric(60, 0.9), zipf(200, 1), zipf(2000, 2), rare, tenths}) {
    const double total = std::accumulate(p.begin(), p.end(), 0.0);
    int too_small = 0, stopped = 0, deceived = 0;
    for (std::uint32_t draw = 0; draw < samples; ++draw) {
      bool by_value = false, by_limit = false;
      for (index_t n = 125; n <= 8000 && !by_limit; n *= 2) {
        const auto counts = sample(p, n, draw);
        double unseen = 0;
        for (std::size_t j = 0; j < p.size(); ++j) {
          if (counts[j] == 0) unseen += p[j] / total;
        }
        const auto mass = basin::unseen_mass(Encounters(counts));
        if (n == 125) too_small += unseen > limit;
        if (!by_value && mass.value <= limit) {
          by_value = true;
          ++stopped_by_value;
          deceived_by_value += unseen > limit;
        }
        if (mass.upper <= limit) {
          by_limit = true;
          ++stopped;
          deceived += unseen > limit;
        }
      }
    }
    INFO(p.size() << " attractors, " << p[1] / p[0]);
    CHECK(too_small >= samples / 2);
    CHECK(stopped >= 0.95 * samples);
    CHECK(deceived <= 0.03 * stopped);
  }
  // Who takes the estimate for the truth is, every fourth time.
  CHECK(deceived_by_value > 0.2 * stopped_by_value);
}

TEST_CASE("Chao's bound is the number where basins are alike, and a bound where not",
          "[attractor]") {
  CHECK(measure(uniform(400), 500, 1).chao >= 0.91);
  const coverage heavy = measure(zipf(2000, 1), 500, 1);
  CHECK(heavy.chao < 0.1);
  CHECK(heavy.chao_lower >= 0.99);
}

TEST_CASE("the expected number of new ones is near the truth for shares of many kinds",
          "[attractor]") {
  for (const shares& p : {geometric(60, 0.6), geometric(12, 0.3), zipf(2000, 1), zipf(2000, 2)}) {
    const coverage held = measure(p, 1000, 9, 200);
    INFO(p.size() << " attractors, " << p[1] / p[0]);
    CHECK(held.value < 2 * held.met);
    CHECK(held.value > held.met / 2);
  }
}

TEST_CASE("rarefaction is the mean over all parts of the sample", "[attractor]") {
  // Four starts: a a b c. Pairs meet 1 + 5 × 2 = 11 in 6 pairs.
  const Encounters four({2, 1, 1});
  CHECK(basin::rarefaction(four, 0) == 0);
  CHECK(basin::rarefaction(four, 1) == Approx(1));
  CHECK(basin::rarefaction(four, 2) == Approx(11.0 / 6));
  CHECK(basin::rarefaction(four, 4) == Approx(3));
  CHECK_THROWS_AS(basin::rarefaction(four, 5), basin::argument_error);
  // Against lgamma, for large counts; and its last slope is f1 / n.
  const Encounters many({60000, 900, 30, 7, 1, 1});
  const auto choose = [](double n, double m) {
    return std::lgamma(n + 1) - std::lgamma(m + 1) - std::lgamma(n - m + 1);
  };
  const auto n = static_cast<double>(many.starts());
  double expected = 0;
  for (const double c : {60000.0, 900.0, 30.0, 7.0, 1.0, 1.0}) {
    expected += 1 - (n - c < 500 ? 0 : std::exp(choose(n - c, 500) - choose(n, 500)));
  }
  CHECK(basin::rarefaction(many, 500) == Approx(expected).epsilon(1e-7));
  CHECK(basin::rarefaction(many, many.starts()) - basin::rarefaction(many, many.starts() - 1) ==
        Approx(basin::unseen_mass(many).value).epsilon(1e-6));
}

TEST_CASE("the curve in the order of the starts", "[attractor]") {
  const std::vector<index_t> labels{0, 0, -1, 4, 0, 1, -3};
  CHECK(basin::discovery_curve(labels) == std::vector<index_t>{1, 1, 1, 2, 2, 3, 3});
}
