/// @file
/// At which scales of noise basins differ.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/starts.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>
#include <basin/core/random.hpp>

namespace basin {

/// The distribution of noise; each shape at one scale has the same root mean square.
enum class noise_shape : std::uint8_t { normal, sphere, box };

/// Noise of a shape: normal_starts, sphere_starts or box_starts.
/// @throws argument_error unless the deviation is positive and finite
[[nodiscard]] inline start_source noise_starts(noise_shape shape, double deviation) {
  switch (shape) {
    case noise_shape::sphere:
      return sphere_starts(deviation);
    case noise_shape::box:
      return box_starts(deviation);
    case noise_shape::normal:
      break;
  }
  return normal_starts(deviation);
}

/// Settings of the noise that `discover` chooses.
struct noise_options {
  /// Spheres are left out where k = 1, since they are two points there, if there is another shape.
  std::vector<noise_shape> shapes = {noise_shape::normal, noise_shape::sphere, noise_shape::box};
  double factor = 2;  ///< from one deviation to the next, more than 1
  /// The smallest and the largest deviation; 0: as the pilot shows. All scales between 1 and one
  /// that is given are used, and where both are given all between them.
  double smallest = 0;
  double largest = 0;
  index_t pilot = 32;  ///< normal starts at each scale that are tried first
  /// Scales in a row without a new attractor behind which the pilot ends: 6 are a factor of 64 at
  /// a factor of 2.
  int patience = 6;

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(!shapes.empty(), "noise_options", "there is no shape");
    require(is_finite(factor) && factor > 1, "noise_options", "factor must be more than 1");
    require(is_finite(smallest) && smallest >= 0, "noise_options", "smallest must be at least 0");
    require(is_finite(largest) && (largest == 0 || largest >= smallest), "noise_options",
            "largest must be 0, or at least the smallest");
    constexpr double most = 1000;
    const double low = smallest > 0 ? smallest : std::min(1.0, largest > 0 ? largest : 1.0);
    const double high = largest > 0 ? largest : std::max(1.0, smallest);
    const double scales = (std::log(high) - std::log(low)) / std::log(factor);
    require(scales < most, "noise_options",
            "a factor of " + std::to_string(factor) + " makes " + std::to_string(scales) +
                " scales from the smallest to the largest, must be fewer than 1000");
    require(pilot >= 1, "noise_options", "pilot must be at least 1");
    require(patience >= 1, "noise_options", "patience must be at least 1");
  }
};

namespace detail {

/// Tries scales upwards from a deviation of 1 until `patience` in a row have found nothing new,
/// and then downwards; of those behind the last new attractor two are used. A limit that is given
/// takes the place of patience on its side; a smallest one above 1, or beside a largest one, is
/// where the way up begins. A scale gets as much weight as it met attractors, shared by the shapes;
/// those that met one or none share the weight of one, however many they are.
/// @param batch starts that are followed at a time
/// @param follow appends the labels of the ends of starts, negative for none, and renumbers those
///   that are there where attractors have become one; with room() and spent()
/// @param found the attractors
template <class Follow, class Found>
[[nodiscard]] std::vector<start_source> choose_noise(index_t k, const noise_options& options,
                                                     index_t batch, random_stream stream,
                                                     Follow& follow, const Found& found) {
  constexpr int most_scales = 40;
  std::vector<std::pair<double, index_t>> scales;  // deviation, attractors met
  // From far below 1 nothing would be new for longer than patience lasts.
  const double first = options.largest > 0 ? (options.smallest > 0 ? options.smallest
                                                                   : std::min(1.0, options.largest))
                                           : std::max(1.0, options.smallest);
  const auto attempt = [&](double deviation) {
    ++stream.stream;
    const start_source source = normal_starts(deviation);
    const index_t starts = std::min(options.pilot, follow.room() / 2);
    std::vector<index_t> labels;
    for (index_t drawn = 0; drawn < starts && !follow.spent(); drawn += batch) {
      Eigen::MatrixXd points(k, std::min(batch, starts - drawn));
      source.draw(stream, drawn, points);
      follow(points, labels);
    }
    std::set<index_t> met(labels.begin(), labels.end());
    met.erase(met.begin(), met.lower_bound(0));
    scales.emplace_back(deviation, static_cast<index_t>(met.size()));
  };
  // From a deviation on, by a factor, as far as a given limit or as there is something new.
  const auto climb = [&](double deviation, double factor, double limit) {
    int without = 0;
    for (int i = 0; (limit > 0 || i < most_scales) && !follow.spent(); ++i, deviation *= factor) {
      if (limit > 0
              ? (factor > 1 ? deviation > limit * (1 + 1e-12) : deviation < limit * (1 - 1e-12))
              : without >= options.patience) {
        break;
      }
      const std::size_t before = found.size();
      attempt(deviation);
      without = found.size() > before ? 0 : without + 1;
    }
    if (limit == 0) {
      for (; without > 2 && scales.size() > 1; --without) scales.pop_back();
    }
  };
  climb(first, options.factor, options.largest);
  if (options.smallest < first) climb(first / options.factor, 1 / options.factor, options.smallest);
  std::sort(scales.begin(), scales.end());
  const auto uniform = static_cast<double>(
      std::count_if(scales.begin(), scales.end(), [](const auto& s) { return s.second <= 1; }));
  std::vector<noise_shape> shapes = options.shapes;
  if (k == 1) std::erase(shapes, noise_shape::sphere);
  if (shapes.empty()) shapes = options.shapes;
  std::vector<start_source> sources;
  for (const auto& [scale, met] : scales) {
    for (const noise_shape shape : shapes) {
      sources.push_back(noise_starts(shape, scale));
      sources.back().weight =
          (met <= 1 ? 1 / uniform : static_cast<double>(met)) / static_cast<double>(shapes.size());
    }
  }
  return sources;
}

}  // namespace detail
}  // namespace basin
