// Atlases of maps whose spectra are known.
#include <cmath>
#include <numbers>
#include <vector>

#include <basin/attractor/atlas.hpp>
#include <basin/attractor/atlas_check.hpp>
#include <basin/attractor/discover.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/differentiable.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "../solver/maps.hpp"

using basin::attractor_kind;
using basin::index_t;
using basin::stability_kind;

namespace {

// Attractors at (-1, 0) and (1, 0), J = diag(0.4, 0.5) there; a saddle at 0.
auto two_wells() {
  return basin::differentiable<2>([](const auto& z, auto& f) {
    f[0] = z[0] + 0.3 * z[0] * (1.0 - z[0] * z[0]) / (1.0 + 0.5 * (z[0] * z[0] - 1.0));
    f[1] = 0.5 * z[1];
  });
}

basin::Attractor at(const Eigen::MatrixXd& center, double error = 0) {
  basin::Attractor attractor;
  attractor.center = center;
  attractor.period = center.cols();
  attractor.kind = center.cols() == 1 ? attractor_kind::point : attractor_kind::cycle;
  attractor.error = error;
  return attractor;
}
basin::Atlas atlas_of(std::vector<basin::Attractor> attractors) {
  basin::Atlas atlas;
  atlas.k = attractors.empty() ? 0 : attractors.front().center.rows();
  atlas.attractors = std::move(attractors);
  return atlas;
}

}  // namespace

TEST_CASE("an atlas of two wells", "[attractor]") {
  auto map = two_wells();
  auto right = basin::starts_around(Eigen::Vector2d(1, 0), 0.2);
  right.weight = 3;
  const auto left = basin::starts_around(Eigen::Vector2d(-1, 0), 0.2);
  const auto found = basin::discover(one, map, 2, basin::picard{}, {},
                                     {.sources = {left, right}, .starts = 400, .explore = 0});
  const auto atlas = basin::make_atlas(
      one, map, found, {.model = "wells", .rule = "picard", .seed = 7, .metadata = {{"a", "b"}}});
  REQUIRE(atlas.size() == 2);
  CHECK(atlas.k == 2);
  // The most met comes first, though it was found second or first.
  CHECK((atlas.centers().col(0) - Eigen::Vector2d(1, 0)).norm() < 1e-10);
  CHECK((atlas.centers().col(1) - Eigen::Vector2d(-1, 0)).norm() < 1e-10);
  for (const auto& attractor : atlas.attractors) {
    CHECK(attractor.kind == attractor_kind::point);
    CHECK(attractor.stability == stability_kind::attractor);
    CHECK(attractor.flow_stability == stability_kind::attractor);
    CHECK(attractor.unstable == 0);
    REQUIRE(attractor.spectrum.size() == 2);
    CHECK(attractor.spectrum.values[0].real() == Approx(0.5));
    CHECK(attractor.spectrum.values[1].real() == Approx(0.4));
    CHECK(attractor.rate == Approx(0.5));
    CHECK(attractor.residual < 1e-12);
    CHECK(attractor.spectrum.left.size() == 0);
  }
  CHECK(atlas.share(0).value == Approx(0.75));
  CHECK(atlas.share(0).low < 0.75);
  CHECK(atlas.share(1, 0).value == Approx(1));
  CHECK(atlas.share(0, 0).value == Approx(0).margin(1e-12));
  CHECK(atlas.share(0, 0).high > 0);
  CHECK(atlas.sources[1].name == right.name);
  CHECK(atlas.unseen.seen == 2);
  CHECK(atlas.starts == found.starts);
  CHECK(atlas.model == "wells");
  CHECK(atlas.seed == 7);
  CHECK(atlas.metadata.at("a") == "b");
  CHECK_THROWS_AS(atlas.share(2), basin::argument_error);
  CHECK_THROWS_AS(atlas.share(2, 0), basin::argument_error);

  const auto vectors = basin::make_atlas(one, map, found, {.vectors = true});
  basin::check(vectors);
  CHECK(vectors.attractors[0].spectrum.right.cols() == 2);
  CHECK(vectors.attractors[0].spectrum.left.cols() == 2);
}

TEST_CASE("an atlas of a cycle", "[attractor]") {
  // r = 3.2: (f²)' = 4 + 2 r - r² = 0.16 at both points.
  const double r = 3.2;
  auto map =
      basin::differentiable<1>([r](const auto& z, auto& f) { f[0] = r * z[0] * (1.0 - z[0]); });
  const auto found =
      basin::discover(one, map, 1, basin::picard{}, {.residual = 1e-10},
                      {.sources = {basin::starts_around(Eigen::MatrixXd::Constant(1, 1, 0.5), 0.1)},
                       .starts = 100});
  const auto atlas = basin::make_atlas(one, map, found);
  REQUIRE(atlas.size() == 1);
  const auto& cycle = atlas.attractors[0];
  CHECK(cycle.kind == attractor_kind::cycle);
  CHECK(cycle.period == 2);
  CHECK(cycle.center.cols() == 2);
  CHECK(cycle.stability == stability_kind::attractor);
  CHECK(cycle.flow_stability == stability_kind::undecided);
  CHECK(cycle.spectrum.values[0].real() == Approx(0.16).epsilon(1e-6));
  CHECK(cycle.rate == Approx(0.4).epsilon(1e-6));
  basin::check(atlas);

  // The power of a map with vjp has one, however it is held.
  const auto vectors = basin::make_atlas(one, map, found, {.vectors = true});
  CHECK(vectors.attractors[0].spectrum.left.cols() == 1);
  auto held = basin::power(basin::detail::MapReference(map), 2);
  static_assert(basin::has_jvp<decltype(held), basin::cpu<double>>);
  static_assert(basin::has_vjp<decltype(held), basin::cpu<double>> ==
                basin::has_vjp<decltype(map), basin::cpu<double>>);
}

TEST_CASE("a map without derivatives has an atlas without spectra", "[attractor]") {
  auto map = basin::columnwise<1>([](double z) { return 0.5 * z + 1; });
  const auto found = basin::discover(one, map, 1, basin::picard{}, {}, {.starts = 300});
  const auto atlas = basin::make_atlas(one, map, found);
  REQUIRE(atlas.size() == 1);
  CHECK(atlas.attractors[0].spectrum.size() == 0);
  CHECK(std::isnan(atlas.attractors[0].rate));
  CHECK(atlas.attractors[0].stability == stability_kind::undecided);
  CHECK(atlas.centers()(0, 0) == Approx(2).epsilon(1e-5));
  basin::check(atlas);
}

TEST_CASE("decoded attractors", "[attractor]") {
  const Eigen::MatrixXd D = maps::starts(6, 2);
  auto decoder = basin::affine(D);
  auto atlas = atlas_of({at(Eigen::Vector2d(1, 2)), at(Eigen::MatrixXd::Identity(2, 2))});
  atlas.image_shape = {1, 2, 3};
  basin::add_images(one, decoder, atlas);
  CHECK((atlas.attractors[0].image - D * Eigen::Vector2d(1, 2)).norm() < 1e-14);
  CHECK((atlas.attractors[1].image - D.col(0)).norm() < 1e-14);
  atlas.image_shape = {1, 3, 3};
  CHECK_THROWS_AS(basin::add_images(one, decoder, atlas), basin::size_error);
  auto wide = atlas_of({at(Eigen::Vector3d(1, 2, 3))});
  CHECK_THROWS_AS(basin::add_images(one, decoder, wide), basin::size_error);
  auto empty = atlas_of({});
  basin::add_images(one, decoder, empty);
}

TEST_CASE("what two atlases share", "[attractor]") {
  const auto cycle = [](double a, double b) {
    return at((Eigen::MatrixXd(2, 2) << a, b, 0, 0).finished());
  };
  const auto a = atlas_of({at(Eigen::Vector2d(1, 0)), at(Eigen::Vector2d(5, 5), 0.1), cycle(3, 4),
                           at(Eigen::Vector2d(9, 9))});
  const auto b = atlas_of({cycle(4, 3), at(Eigen::Vector2d(5.1, 5), 0.05),
                           at(Eigen::Vector2d(1, 1e-7)), at(Eigen::Vector2d(3, 0))});
  const auto found = basin::compare(a, b);
  REQUIRE(found.matched.size() == 3);
  CHECK(found.matched[0].a == 0);
  CHECK(found.matched[0].b == 2);
  CHECK(found.matched[0].distance == Approx(1e-7));
  CHECK(found.matched[1].b == 1);
  CHECK(found.matched[2].b == 0);
  CHECK(found.matched[2].distance == 0);
  CHECK(found.vanished == std::vector<index_t>{3});
  CHECK(found.appeared == std::vector<index_t>{3});
  // The nearest is matched, not the first that is near enough.
  const auto near = atlas_of({at(Eigen::Vector2d(5.2, 5)), at(Eigen::Vector2d(5.01, 5))});
  const auto nearest = basin::compare(a, near, 0.1);
  REQUIRE(nearest.matched.size() == 1);
  CHECK(nearest.matched[0].b == 1);
  CHECK(nearest.appeared == std::vector<index_t>{0});
  CHECK(basin::compare(a, atlas_of({})).vanished.size() == 4);
  CHECK_THROWS_AS(basin::compare(a, atlas_of({at(Eigen::Vector3d(1, 2, 3))})), basin::size_error);
  CHECK_THROWS_AS(basin::compare(a, b, -1), basin::argument_error);
}

TEST_CASE("an atlas of nothing", "[attractor]") {
  // Every start goes away.
  auto map = basin::differentiable<1>([](const auto& z, auto& f) { f[0] = 3.0 * z[0] + 1.0; });
  const auto found = basin::discover(one, map, 1, basin::picard{}, {}, {.starts = 600});
  CHECK(found.attractors.empty());
  CHECK(found.unseen.mass.value == 0);
  const auto atlas = basin::make_atlas(one, map, found);
  CHECK(atlas.size() == 0);
  CHECK(atlas.centers().cols() == 0);
  basin::check(atlas);
}
