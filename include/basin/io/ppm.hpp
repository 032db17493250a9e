/// @file
/// Netpbm's binary images: PGM (P5), grey, and PPM (P6), red-green-blue, of 8 bits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/io/atomic_file.hpp>
#include <basin/io/byte_source.hpp>
#include <basin/io/image.hpp>

namespace basin {

/// Reads a file of one image, P5 or P6, with a largest value of 255. Comments are allowed
/// within the first 1024 bytes, in which the header must end.
/// @param max_bytes the largest image, in bytes of pixels, that is accepted
/// @throws file_error that names the file, the offset and the reason; nothing is allocated
///   before the header agrees with the length of the file
[[nodiscard]] inline image_set read_ppm(const ByteSource& source,
                                        std::size_t max_bytes = default_max_bytes) {
  char front[1024];
  const std::string_view header(front, std::min(source.size(), sizeof front));
  source.read(0, front, header.size());
  if (!header.starts_with("P5") && !header.starts_with("P6")) {
    source.refuse(0, "not a binary PGM or PPM file (P5, P6)");
  }
  const std::size_t channels = header[1] == '5' ? 1 : 3;

  std::size_t at = 2;
  const auto is_space = [&] {
    return at < header.size() && (header[at] == ' ' || (header[at] >= '\t' && header[at] <= '\r'));
  };
  const auto number = [&](const std::string& what) {
    const std::size_t before = at;
    while (is_space() || (at < header.size() && header[at] == '#')) {
      if (header[at] == '#') {
        while (at < header.size() && header[at] != '\n' && header[at] != '\r') ++at;
      } else {
        ++at;
      }
    }
    const std::size_t begin = at;
    std::size_t value = 0;
    for (; at < header.size() && header[at] >= '0' && header[at] <= '9'; ++at) {
      value = 10 * value + static_cast<std::size_t>(header[at] - '0');
      if (value >> 31 != 0) source.refuse(begin, "the " + what + " is too large");
    }
    if (begin == before || at == begin) source.refuse(begin, "a number is expected, the " + what);
    return std::pair(value, begin);
  };
  const auto [width, width_at] = number("width");
  const auto [height, height_at] = number("height");
  const auto [largest, largest_at] = number("largest value");
  if (width == 0) source.refuse(width_at, "the width is 0");
  if (height == 0) source.refuse(height_at, "the height is 0");
  if (largest != 255) {
    source.refuse(largest_at, "the largest value is " + std::to_string(largest) + ", expected 255");
  }
  if (!is_space()) source.refuse(at, "one white space is expected before the pixels");
  ++at;
  // Each is below 2^31, so that the product of both fits.
  if (width * height > max_bytes / channels) {
    source.refuse(width_at, std::to_string(width) + " x " + std::to_string(height) +
                                " pixels, the limit is " + std::to_string(max_bytes) + " bytes");
  }
  const std::size_t bytes = width * height * channels;
  if (bytes != source.size() - at) {
    source.refuse(std::min(source.size(), at + bytes),
                  std::string("the file ") +
                      (bytes > source.size() - at ? "ends within" : "goes on behind") +
                      " an image of " + std::to_string(bytes) + " bytes");
  }
  std::vector<std::uint8_t> pixels(bytes);
  source.read(at, pixels.data(), bytes);
  image_set image;
  image.channels = static_cast<index_t>(channels);
  image.height = static_cast<index_t>(height);
  image.width = static_cast<index_t>(width);
  image.count = 1;
  image.pixels = detail::to_planes(std::move(pixels), channels);
  return image;
}

/// Writes image `i` of a set, of 1 channel as PGM or of 3 as PPM.
/// @throws size_error if the arrays disagree with the sizes
/// @throws argument_error if there is no such image, or it has no pixels or other channels
/// @throws file_error if the file cannot be written
inline void write_ppm(const std::filesystem::path& path, const image_set& images, index_t i = 0) {
  detail::require_writable("write_ppm", images, i);
  const std::vector<std::uint8_t> pixels = detail::to_pixels(images, i);
  AtomicFile file(path);
  file.write((images.channels == 1 ? "P5\n" : "P6\n") + std::to_string(images.width) + " " +
             std::to_string(images.height) + "\n255\n");
  file.write(pixels.data(), pixels.size());
  file.commit();
}

}  // namespace basin
