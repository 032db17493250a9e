/// @file
/// CIFAR-10 in its binary form (A. Krizhevsky, 2009), plain or gzip.
///
/// The file: rows of 3073 bytes, each a label from 0 to 9 and 3 × 32 × 32 pixels in CHW order.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include <basin/core/index.hpp>
#include <basin/io/gzip.hpp>
#include <basin/io/image.hpp>

namespace basin {

/// Reads images of 3 × 32 × 32 with their labels. A gzip file, recognised by its first bytes,
/// is decompressed twice: once for the number of rows.
/// @param max_bytes the longest data that are accepted, decompressed
/// @throws file_error that names the file, the offset and the reason; nothing is allocated
///   before the length is known
[[nodiscard]] inline image_set read_cifar(const ByteSource& source,
                                          std::size_t max_bytes = default_max_bytes) {
  constexpr std::size_t pixels = 3 * 32 * 32;
  const std::size_t length = stream_length(source, max_bytes);
  ByteStream stream(source);
  if (length > max_bytes) {
    stream.refuse(max_bytes, "goes on behind the limit of " + std::to_string(max_bytes) + " bytes");
  }
  if (length == 0) stream.refuse(0, "the file is empty");
  if (length % (1 + pixels) != 0) {
    stream.refuse(length, "the file ends within a row of 3073 bytes");
  }
  const std::size_t count = length / (1 + pixels);
  image_set images{3, 32, 32, static_cast<index_t>(count), {}, {}};
  images.pixels.resize(count * pixels);
  images.labels.resize(count);
  std::array<std::uint8_t, 1 + pixels> row;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = stream.offset();
    if (stream.read(row.data(), row.size()) != row.size()) {
      stream.refuse(stream.offset(), "the file changed while it was read");
    }
    if (row[0] > 9) {
      stream.refuse(at, "the label is " + std::to_string(row[0]) + ", expected 0 to 9");
    }
    images.labels[i] = row[0];
    std::copy(row.begin() + 1, row.end(),
              images.pixels.begin() + static_cast<std::ptrdiff_t>(i * pixels));
  }
  return images;
}

}  // namespace basin
