// Pictures made of pixels: colours of a field, lines and discs, written as PNG without a plotter.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <basin/core/index.hpp>
#include <basin/io/png.hpp>

namespace raster {

using basin::index_t;
using color = std::array<float, 3>;  // red, green, blue in [0, 1]

inline constexpr color white{1, 1, 1}, black{0, 0, 0};

// White where t = 0, then through blue to nearly black where t = 1: lightness falls evenly.
inline color white_to_blue(double t) {
  static constexpr std::array<color, 6> stops{{{1.00f, 1.00f, 1.00f},
                                               {0.78f, 0.86f, 0.94f},
                                               {0.52f, 0.73f, 0.86f},
                                               {0.23f, 0.53f, 0.75f},
                                               {0.08f, 0.31f, 0.58f},
                                               {0.03f, 0.12f, 0.30f}}};
  const double place = std::clamp(std::isfinite(t) ? t : 1.0, 0.0, 1.0) * (stops.size() - 1);
  const auto below = std::min(static_cast<std::size_t>(place), stops.size() - 2);
  const auto share = static_cast<float>(place - static_cast<double>(below));
  color mixed{};
  for (std::size_t c = 0; c < 3; ++c) {
    mixed[c] = (1 - share) * stops[below][c] + share * stops[below + 1][c];
  }
  return mixed;
}

class Picture {
 public:
  Picture(index_t width, index_t height, color background = white)
      : width_(width),
        height_(height),
        pixels_(static_cast<std::size_t>(width * height), background) {}

  [[nodiscard]] index_t width() const noexcept { return width_; }
  [[nodiscard]] index_t height() const noexcept { return height_; }

  // Mixes a colour into a pixel; rows count from the top. Outside of the picture nothing happens.
  void mix(index_t column, index_t row, const color& with, double share = 1) {
    if (column < 0 || row < 0 || column >= width_ || row >= height_) return;
    color& pixel = pixels_[static_cast<std::size_t>(row * width_ + column)];
    const auto s = static_cast<float>(share);
    for (std::size_t c = 0; c < 3; ++c) pixel[c] += s * (with[c] - pixel[c]);
  }
  // A disc with a soft rim.
  void disc(double x, double y, double radius, const color& with) {
    const auto reach = static_cast<index_t>(radius + 2);
    const auto column = static_cast<index_t>(x), row = static_cast<index_t>(y);
    for (index_t r = row - reach; r <= row + reach; ++r) {
      for (index_t c = column - reach; c <= column + reach; ++c) {
        const double apart =
            std::hypot(static_cast<double>(c) + 0.5 - x, static_cast<double>(r) + 0.5 - y);
        mix(c, r, with, std::clamp(radius + 0.5 - apart, 0.0, 1.0));
      }
    }
  }
  // A line of about one pixel, shared between the two nearest of each column or row (Wu 1991).
  void line(double x0, double y0, double x1, double y1, const color& with, double share) {
    const double dx = x1 - x0, dy = y1 - y0, length = std::max(std::abs(dx), std::abs(dy));
    if (!(length > 0) || !std::isfinite(length) || length > 1e4) return;
    const auto steps = static_cast<index_t>(std::ceil(length));
    const bool flat = std::abs(dx) >= std::abs(dy);
    for (index_t s = 0; s < steps; ++s) {
      const double t = static_cast<double>(s) / static_cast<double>(steps);
      const double x = x0 + t * dx - 0.5, y = y0 + t * dy - 0.5;
      const double across = flat ? y : x, least = std::floor(across), part = across - least;
      const auto along = static_cast<index_t>(std::lround(flat ? x : y));
      const auto first = static_cast<index_t>(least);
      mix(flat ? along : first, flat ? first : along, with, share * (1 - part));
      mix(flat ? along : first + 1, flat ? first + 1 : along, with, share * part);
    }
  }
  // Puts another picture with its upper left corner there.
  void put(const Picture& other, index_t column, index_t row) {
    for (index_t r = 0; r < other.height_; ++r) {
      for (index_t c = 0; c < other.width_; ++c) {
        mix(column + c, row + r, other.pixels_[static_cast<std::size_t>(r * other.width_ + c)]);
      }
    }
  }

  void write(const std::string& path) const {
    basin::image_set image{.channels = 3, .height = height_, .width = width_, .count = 1};
    const auto plane = static_cast<std::size_t>(width_ * height_);
    image.pixels.resize(3 * plane);
    for (std::size_t i = 0; i < plane; ++i) {
      for (std::size_t c = 0; c < 3; ++c) {
        image.pixels[c * plane + i] =
            static_cast<std::uint8_t>(255 * std::clamp(pixels_[i][c], 0.0f, 1.0f) + 0.5f);
      }
    }
    basin::write_png(path, image);
  }

 private:
  index_t width_, height_;
  std::vector<color> pixels_;
};

}  // namespace raster
