// Attractors as the atoms of a dictionary.
#include <vector>

#include <basin/attractor/attractor_dictionary.hpp>

#include "../catch.hpp"

using basin::index_t;

TEST_CASE("attractors are atoms", "[attractor]") {
  basin::Atlas atlas;
  atlas.k = 2;
  atlas.attractors.resize(3);
  for (index_t a = 0; a < 3; ++a) {
    auto& one = atlas.attractors[static_cast<std::size_t>(a)];
    one.center = Eigen::Vector2d(3.0 * double(a), 4.0 * double(a));
    one.image = Eigen::Vector3d(0, double(a) + 1, a == 2 ? 1 : 0);
  }
  const auto centers = basin::attractor_dictionary<double>(atlas);
  CHECK(centers.zeros == 1);
  CHECK(centers.duplicates == 1);
  CHECK(centers.source == std::vector<index_t>{1});
  const auto images = basin::attractor_dictionary<double>(atlas, basin::attractor_atoms::images);
  CHECK(images.source == std::vector<index_t>{0, 2});
  atlas.attractors[1].image.resize(0);
  CHECK_THROWS_AS(basin::attractor_dictionary<double>(atlas, basin::attractor_atoms::images),
                  basin::argument_error);
}
