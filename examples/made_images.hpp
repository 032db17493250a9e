// Images for those who have none at hand: discs, bars, crosses and rings with soft rims.
#pragma once

#include <algorithm>
#include <cmath>

#include <basin/core/random.hpp>
#include <basin/io/image.hpp>

namespace made {

// `count` grey images of 28 × 28; the label is the kind of shape. Image j depends on the
// seed and j alone.
inline basin::image_set images(basin::index_t count, std::uint64_t seed) {
  using basin::index_t;
  constexpr index_t size = 28;
  basin::image_set set{.channels = 1, .height = size, .width = size, .count = count};
  set.pixels.resize(static_cast<std::size_t>(count * size * size));
  set.labels.resize(static_cast<std::size_t>(count));
  for (index_t j = 0; j < count; ++j) {
    const auto uniform = [&](index_t row) {
      return basin::uniform_from_word<double>(basin::random_stream{seed}.word(row, j));
    };
    const auto kind = static_cast<int>(4 * uniform(0));
    const double row = 9 + 10 * uniform(1), column = 9 + 10 * uniform(2);
    const double radius = 3 + 5 * uniform(3);
    const double angle = 3.14159265358979 * uniform(4);
    set.labels[static_cast<std::size_t>(j)] = static_cast<std::uint8_t>(kind);
    for (index_t i = 0; i < size * size; ++i) {
      const double y = static_cast<double>(i / size) - row;
      const double x = static_cast<double>(i % size) - column;
      const double along = std::cos(angle) * x + std::sin(angle) * y;
      const double across = std::cos(angle) * y - std::sin(angle) * x;
      const double bar = std::max(std::abs(along) - radius, std::abs(across) - 1.5);
      const double other = std::max(std::abs(across) - radius, std::abs(along) - 1.5);
      const double round = std::hypot(x, y);
      // Signed distance to the rim, negative inside.
      const double distance = kind == 0   ? round - radius
                              : kind == 1 ? bar
                              : kind == 2 ? std::min(bar, other)
                                          : std::abs(round - radius) - 1.5;
      set.pixels[static_cast<std::size_t>(j * size * size + i)] =
          static_cast<std::uint8_t>(255 / (1 + std::exp(2 * distance)));
    }
  }
  return set;
}

}  // namespace made
