// Discovery on maps whose attractors are known.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>
#include <stop_token>
#include <vector>

#include <basin/attractor/discover.hpp>
#include <basin/attractor/discovery_curve.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/differentiable.hpp>
#include <basin/map/function_map.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "../solver/maps.hpp"

using basin::discovery_end;
using basin::index_t;

namespace {

// Newton's iteration for z³ = 1: three basins, alike by a turn of 2 π / 3.
auto newton_fractal() {
  return basin::columnwise<2>([](const auto& z, auto& next) {
    const double x = z[0], y = z[1], r = x * x + y * y;
    next[0] = (2 * x + (x * x - y * y) / (r * r)) / 3;
    next[1] = (2 * y - 2 * x * y / (r * r)) / 3;
  });
}

// A step down the gradient of cos(π x) in each coordinate: wells at the odd integers, basins
// between the even ones. Beyond ±8 it is pulled to ±7.
auto wells() {
  return basin::columnwise<2>([](const auto& z, auto& next) {
    for (int i = 0; i < 2; ++i) {
      const double x = z[i];
      const double step = 0.3 / std::numbers::pi * std::sin(std::numbers::pi * x);
      next[i] = std::abs(x) < 8 ? x + step : x + 0.5 * (std::copysign(7.0, x) - x);
    }
  });
}

// Attractors at 0 and at radius 40: what starts of norm 1 never see.
auto far_ring() {
  return basin::columnwise<1>([](const auto& z) {
    const double x = z;
    if (std::abs(x) < 30) return 0.5 * x;
    return std::copysign(40.0, x) + 0.5 * (x - std::copysign(40.0, x));
  });
}

std::set<std::pair<long, long>> rounded(const Eigen::MatrixXd& points) {
  std::set<std::pair<long, long>> cells;
  for (index_t j = 0; j < points.cols(); ++j) {
    cells.emplace(std::lround(points(0, j)), points.rows() > 1 ? std::lround(points(1, j)) : 0);
  }
  return cells;
}

}  // namespace

TEST_CASE("the three roots of unity, with equal shares", "[attractor]") {
  auto map = newton_fractal();
  const auto found = basin::discover(one, map, 2, basin::picard{}, {}, {.starts = 4000});
  REQUIRE(found.attractors.size() == 3);
  for (const auto& root : found.attractors) {
    const double x = root.center(0, 0), y = root.center(1, 0);
    CHECK(x * x * x - 3 * x * y * y == Approx(1).epsilon(1e-5));
    CHECK(std::abs(3 * x * x * y - y * y * y) < 1e-5);
  }
  CHECK(found.unseen.once == 0);
  for (index_t a = 0; a < 3; ++a) {
    index_t hits = 0, starts = 0;
    for (const auto& source : found.sources) {
      hits += source.counts[static_cast<std::size_t>(a)];
      starts += source.starts;
    }
    CHECK(basin::wilson_interval(hits, starts, 0.9999).low < 1.0 / 3);
    CHECK(basin::wilson_interval(hits, starts, 0.9999).high > 1.0 / 3);
  }
}

TEST_CASE("the pilot finds the scale at which there are others", "[attractor]") {
  auto map = far_ring();
  const auto found = basin::discover(one, map, 1, basin::picard{}, {}, {.starts = 3000});
  CHECK(rounded(found.points()) == std::set<std::pair<long, long>>{{-40, 0}, {0, 0}, {40, 0}});
  double largest = 0;
  for (const auto& source : found.sources) {
    if (source.name.starts_with("normal")) largest = std::stod(source.name.substr(7));
  }
  CHECK(largest > 30);
  // At the scales given nothing else is to be seen, and it says so.
  const auto near = basin::discover(one, map, 1, basin::picard{}, {},
                                    {.noise = {.smallest = 0.5, .largest = 2}, .starts = 3000});
  CHECK(near.attractors.size() == 1);
  CHECK(near.sources.size() == 6);  // three deviations; a sphere in R^1 is two points
}

TEST_CASE("many wells: the estimate holds what a ten times larger run finds", "[attractor]") {
  auto map = wells();
  int mass = 0, next = 0;
  const auto sources = basin::normal_ladder(1, 4);
  const auto large = basin::discover(
      one, map, 2, basin::picard{}, {},
      {.sources = sources, .starts = 5000, .unseen_mass = 0, .explore = 0, .seed = 1000});
  const auto wells_met = rounded(large.points());
  CHECK(wells_met.size() == large.attractors.size());
  CHECK(wells_met.size() <= 64);
  CHECK(wells_met.size() >= 60);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto small = basin::discover(
        one, map, 2, basin::picard{}, {},
        {.sources = sources, .starts = 500, .unseen_mass = 0, .explore = 0, .seed = seed});
    CHECK(small.unseen.starts == 500);
    const auto met = rounded(small.points());
    index_t fresh = 0, starts = 0;
    for (std::size_t a = 0; a < large.attractors.size(); ++a) {
      const auto& center = large.attractors[a].center;
      if (met.contains({std::lround(center(0, 0)), std::lround(center(1, 0))})) continue;
      ++fresh;
      starts += large.counts()[a];
    }
    next += small.unseen.next.holds(static_cast<double>(fresh));
    mass += small.unseen.mass.holds(static_cast<double>(starts) / 5000);
  }
  CHECK(next >= 18);
  CHECK(mass >= 17);
}

TEST_CASE("a source of its own has its own unseen mass", "[attractor]") {
  // Almost all starts lie in one well, and a few codes in many.
  auto map = wells();
  const Eigen::MatrixXd codes = 7.5 * maps::starts(2, 60, 9);
  auto near = basin::starts_around(Eigen::MatrixXd::Ones(2, 1), 0.1);
  near.weight = 9;
  const auto found =
      basin::discover(one, map, 2, basin::picard{}, {},
                      {.sources = {near, basin::code_starts(codes)}, .starts = 600, .explore = 0});
  REQUIRE(found.sources.size() == 2);
  CHECK(found.sources[0].starts == 540);
  CHECK(found.sources[1].starts == 60);
  CHECK(found.sources[0].unseen_mass.upper < 0.012);
  CHECK(found.sources[1].unseen_mass.value > 0.2);
  CHECK(found.sources[0].alone == 0);
  CHECK(found.unseen.mass.value == Approx(found.sources[1].unseen_mass.value / 10));
  CHECK(found.sources[0].share(found.labels[0]).high == 1);
  CHECK_THROWS_AS(found.sources[0].share(1000), basin::argument_error);
}

TEST_CASE("it ends by the unseen mass, by a budget, or when told to", "[attractor]") {
  auto map = newton_fractal();
  basin::discovery_options options{.starts = 20'000, .unseen_mass = 2e-3, .first_look = 100};
  const auto low = basin::discover(one, map, 2, basin::picard{}, {}, options);
  CHECK(low.ended == discovery_end::unseen_mass);
  CHECK(low.unseen.mass.upper <= 2e-3);
  CHECK(low.unseen.starts == 3200);

  options.unseen_mass = 0;
  options.starts = 700;
  const auto starts = basin::discover(one, map, 2, basin::picard{}, {}, options);
  CHECK(starts.ended == discovery_end::starts);
  CHECK(starts.starts == 700);

  options.starts = 20'000;
  options.evaluations = 10'000;
  options.batch = 100;
  const auto evaluations = basin::discover(one, map, 2, basin::picard{}, {}, options);
  CHECK(evaluations.ended == discovery_end::evaluations);
  CHECK(evaluations.evaluations < 15'000);

  options.sources = {basin::code_starts(maps::starts(2, 50))};
  options.evaluations = 1'000'000;
  const auto exhausted = basin::discover(one, map, 2, basin::picard{}, {}, options);
  CHECK(exhausted.ended == discovery_end::exhausted);
  CHECK(exhausted.labels.size() == 50);

  std::stop_source stop;
  options.sources.clear();
  options.stop = stop.get_token();
  index_t calls = 0;
  options.progress = [&](const basin::discovery_progress& at) {
    CHECK(at.most_starts == 20'000);
    if (++calls == 20) stop.request_stop();
  };
  const auto cancelled = basin::discover(one, map, 2, basin::picard{}, {}, options);
  CHECK(cancelled.ended == discovery_end::cancelled);
  CHECK(cancelled.starts < 5000);
}

TEST_CASE("the same answer on any number of threads, and in any batches", "[attractor]") {
  auto map = wells();
  const auto run = [&](int threads, index_t batch) {
    const basin::cpu<double> be(threads);
    return basin::discover(be, map, 2, basin::basin_preserving{}, {},
                           {.starts = 1500, .unseen_mass = 0, .batch = batch, .seed = 4});
  };
  const auto a = run(1, 8192), b = run(3, 8192), c = run(2, 77);
  CHECK(a.labels == b.labels);
  CHECK(a.points() == b.points());
  CHECK(a.evaluations == b.evaluations);
  CHECK(rounded(a.points()) == rounded(c.points()));
  CHECK(basin::discovery_curve(a.labels).back() == a.unseen.seen);
  CHECK(a.beside + a.unseen.seen == static_cast<index_t>(a.attractors.size()));
  // A longer run begins with a shorter one's starts, and so with its ends: what is drawn around the
  // attractors in between hangs on what was found, not on how many starts are still to come.
  const basin::cpu<double> be(2);
  const auto longer = basin::discover(be, map, 2, basin::basin_preserving{}, {},
                                      {.starts = 2500, .unseen_mass = 0, .seed = 4});
  REQUIRE(longer.labels.size() > a.labels.size());
  CHECK(std::equal(a.labels.begin(), a.labels.end(), longer.labels.begin()));
  CHECK(std::equal(a.source.begin(), a.source.end(), longer.source.begin()));
}

TEST_CASE("starts that end nowhere count as starts, undecided ones do not", "[attractor]") {
  // 0 for x < 1, away for x > 1, and no decision within the budget near 1.
  auto map = basin::columnwise<1>([](double x) { return x * x; });
  const auto found = basin::discover(
      one, map, 1, basin::picard{}, {.residual = 1e-8, .max_iterations = 12},
      {.sources = {basin::box_starts(1)}, .starts = 2000, .unseen_mass = 0, .explore = 0});
  const auto& source = found.sources[0];
  CHECK(found.attractors.size() == 1);
  CHECK(source.starts + source.undecided == 2000);
  CHECK(source.undecided > 0);
  CHECK(source.undecided < 100);
  // |x| < 1 of (-√3, √3).
  CHECK(source.share(0, 0.9999).low < 1 / std::sqrt(3.0));
  CHECK(source.share(0, 0.9999).high > 1 / std::sqrt(3.0));
}

TEST_CASE("a discovery of given starts", "[attractor]") {
  basin::Clustering clusters;
  clusters.labels = {0, 1, -1, 0, -1, -1};
  clusters.clusters.resize(2);
  using basin::status;
  const auto found = basin::discovery_of(clusters,
                                         {status::converged, status::converged, status::diverged,
                                          status::converged, status::stalled, status::non_finite},
                                         {0, 1, 1, 0, 1, 0}, {"a", "b"});
  CHECK(found.labels == std::vector<index_t>{0, 1, -2, 0, -1, -2});
  CHECK(found.sources[0].starts == 3);
  CHECK(found.sources[1].starts == 2);
  CHECK(found.sources[1].undecided == 1);
  CHECK(found.counts() == std::vector<index_t>{2, 1});
  CHECK(found.unseen.starts == 5);
  CHECK(found.unseen.mass.value == Approx(0.2));
  CHECK(found.sources[1].unseen_mass.value == Approx(0.5));
  CHECK(found.sources[0].unseen_mass.value == 0);
  CHECK_THROWS_AS(basin::discovery_of(clusters, {}), basin::size_error);
  CHECK_THROWS_AS(
      basin::discovery_of(clusters, std::vector<status>(6), {0, 1, 2, 0, 0, 0}, {"a", "b"}),
      basin::argument_error);
}

TEST_CASE("a discovery that was to end before it began says so", "[attractor]") {
  auto map = basin::differentiable<1>([](const auto& z, auto& f) { f[0] = 0.5 * z[0] + 1.0; });
  const basin::cpu<double> cpu(1);
  std::stop_source stop;
  stop.request_stop();
  const auto cancelled =
      basin::discover(cpu, map, 1, basin::picard{}, {}, {.stop = stop.get_token()});
  CHECK(cancelled.ended == basin::discovery_end::cancelled);
  CHECK(cancelled.labels.empty());
  CHECK(cancelled.attractors.empty());
  const auto found = basin::discover(cpu, map, 1, basin::picard{}, {}, {.starts = 600});
  REQUIRE(found.attractors.size() == 1);
  CHECK(found.attractors[0].representative == -1);
}

TEST_CASE("all scales of noise up to a limit that is given", "[attractor]") {
  auto map = basin::differentiable<1>([](const auto& z, auto& f) { f[0] = 0.5 * z[0] + 1.0; });
  const basin::cpu<double> cpu(1);
  const auto found = basin::discover(cpu, map, 1, basin::picard{}, {},
                                     {.noise = {.shapes = {basin::noise_shape::normal},
                                                .factor = 1.1,
                                                .smallest = 1,
                                                .largest = 64},
                                      .starts = 4000});
  CHECK(found.sources.size() == 44);  // 1.1^43 = 60.2
  CHECK_THROWS_AS(
      basin::discover(cpu, map, 1, basin::picard{}, {},
                      {.noise = {.factor = 1 + 1e-9, .smallest = 1, .largest = 2}, .starts = 100}),
      basin::argument_error);
}

TEST_CASE("settings of a discovery", "[attractor]") {
  auto map = wells();
  const auto refuses = [&](const basin::discovery_options& options) {
    CHECK_THROWS_AS(basin::discover(one, map, 2, basin::picard{}, {}, options),
                    basin::argument_error);
  };
  refuses({.starts = 0});
  refuses({.unseen_mass = -1});
  refuses({.unseen_mass = std::nan("")});
  refuses({.explore = 1.5});
  refuses({.noise = {.shapes = {}}});
  refuses({.noise = {.factor = 1}});
  refuses({.noise = {.smallest = 2, .largest = 1}});
  CHECK_THROWS_AS(basin::discover(one, map, 3, basin::picard{}), basin::size_error);
}

TEST_CASE("a continuum is one attractor, in any batches", "[attractor]") {
  // Half the way to the circle of radius 1 at each step.
  auto map = basin::columnwise<2>([](const auto& z, auto& f) {
    const double norm = std::sqrt(z[0] * z[0] + z[1] * z[1]);
    f[0] = 0.5 * z[0] + 0.5 * z[0] / norm;
    f[1] = 0.5 * z[1] + 0.5 * z[1] / norm;
  });
  const basin::cpu<double> be(1);
  for (const index_t batch : {1, 7, 100}) {
    const auto found =
        basin::discover(be, map, 2, basin::picard{}, {},
                        {.noise = {.smallest = 1, .largest = 2}, .starts = 300, .batch = batch});
    INFO("batches of " << batch);
    REQUIRE(found.attractors.size() == 1);
    CHECK(found.attractors[0].kind == basin::attractor_kind::continuum);
    CHECK(std::all_of(found.labels.begin(), found.labels.end(), [](index_t l) { return l == 0; }));
  }
}
