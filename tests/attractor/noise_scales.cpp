// The pilot that chooses scales of noise.
#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include <basin/attractor/discover.hpp>
#include <basin/attractor/noise_scales.hpp>
#include <basin/map/function_map.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"

using basin::index_t;

namespace {

// Wells at the odd integers, pulled to ±7 from beyond ±8. Notes the largest batch that it takes.
auto wells(const std::shared_ptr<index_t>& largest) {
  return basin::function_map(
      1, [largest](const Eigen::Ref<const Eigen::MatrixXd>& Z, Eigen::Ref<Eigen::MatrixXd> out) {
        *largest = std::max(*largest, static_cast<index_t>(Z.cols()));
        for (index_t j = 0; j < Z.cols(); ++j) {
          const double x = Z(0, j);
          const double step = 0.3 / std::numbers::pi * std::sin(std::numbers::pi * x);
          out(0, j) = std::abs(x) < 8 ? x + step : x + 0.5 * (std::copysign(7.0, x) - x);
        }
      });
}

}  // namespace

TEST_CASE("the pilot's starts are followed in batches too", "[attractor]") {
  const auto run = [](index_t batch) {
    const auto largest = std::make_shared<index_t>(0);
    const auto map = wells(largest);
    auto found = basin::discover(one, map, 1, basin::picard{}, {},
                                 {.noise = {.shapes = {basin::noise_shape::normal}, .pilot = 200},
                                  .starts = 6000,
                                  .unseen_mass = 0,
                                  .first_look = 100,
                                  .explore = 0,
                                  .batch = batch,
                                  .seed = 3});
    return std::pair(std::move(found), *largest);
  };
  const auto [whole, of_whole] = run(8192);
  const auto [parts, of_parts] = run(16);
  CHECK(of_whole >= 200);
  CHECK(of_parts < 100);  // the ends of 16, with what is measured of them
  // The same scales, at the same weights: as many starts of each.
  REQUIRE(parts.sources.size() == whole.sources.size());
  for (std::size_t s = 0; s < whole.sources.size(); ++s) {
    INFO(whole.sources[s].name);
    CHECK(parts.sources[s].name == whole.sources[s].name);
    CHECK(parts.sources[s].starts == whole.sources[s].starts);
  }
  CHECK(parts.attractors.size() == whole.attractors.size());
  CHECK(parts.starts == whole.starts);
}

TEST_CASE("attractors that become one while a scale is tried count once", "[attractor]") {
  // Every batch of a scale finds another attractor, or finds that all so far are one.
  struct Following {
    bool one = false;
    std::vector<int> attractors = {};
    [[nodiscard]] index_t room() const { return 1000; }
    [[nodiscard]] bool spent() const { return false; }
    void operator()(const Eigen::MatrixXd& points, std::vector<index_t>& labels) const {
      const index_t next = labels.empty() ? 0 : labels.back() + 1;
      labels.insert(labels.end(), static_cast<std::size_t>(points.cols()), next);
      labels.push_back(basin::Discovery::undecided);
      labels.push_back(next);
      if (one) std::fill(labels.begin(), labels.end(), 0);
    }
  };
  const auto weights = [](Following follow) {
    const basin::noise_options noise{
        .shapes = {basin::noise_shape::normal}, .smallest = 1, .largest = 4, .pilot = 12};
    std::vector<double> all;
    for (const basin::start_source& source :
         basin::detail::choose_noise(1, noise, 3, {}, follow, follow.attractors)) {
      all.push_back(source.weight);
    }
    return all;
  };
  CHECK(weights({.one = false}) == std::vector<double>(3, 4.0));
  CHECK(weights({.one = true}) == std::vector<double>(3, 1 / 3.0));
}

TEST_CASE("a smallest scale that is given hides no larger ones", "[attractor]") {
  // Wells at all integers: below a deviation of 0.1 there is but one.
  const auto map = basin::function_map(
      1, [](const Eigen::Ref<const Eigen::MatrixXd>& Z, Eigen::Ref<Eigen::MatrixXd> out) {
        out = Z.array().round() + 0.5 * (Z.array() - Z.array().round());
      });
  const auto run = [&](const basin::noise_options& noise) {
    return basin::discover(one, map, 1, basin::picard{}, {},
                           {.noise = noise, .starts = 2000, .explore = 0, .seed = 3});
  };
  const auto has = [](const auto& found, const char* name) {
    return std::any_of(found.sources.begin(), found.sources.end(),
                       [&](const auto& source) { return source.name == name; });
  };
  const std::vector<basin::noise_shape> normal = {basin::noise_shape::normal};
  const auto chosen = run({.shapes = normal});
  const auto down = run({.shapes = normal, .smallest = 1.0 / 65536});
  REQUIRE(chosen.attractors.size() > 50);
  CHECK(2 * down.attractors.size() > chosen.attractors.size());
  // All scales down to it, though nothing is new at those below 0.1, and as many above 1.
  CHECK(has(down, "normal 1.52588e-05"));
  CHECK_FALSE(has(down, "normal 7.62939e-06"));
  for (const auto& source : chosen.sources) {
    if (source.name.find('.') == std::string::npos) CHECK(has(down, source.name.c_str()));
  }
  // From one above 1 on upwards only.
  const auto up = run({.shapes = normal, .smallest = 8});
  CHECK(has(up, "normal 8"));
  CHECK_FALSE(has(up, "normal 4"));
  CHECK(has(up, "normal 16"));
  // No more scales than a thousand downwards either.
  CHECK_THROWS_AS(run({.factor = 1.001, .smallest = 1e-6}), basin::argument_error);
}
