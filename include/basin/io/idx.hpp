/// @file
/// IDX files of bytes, the format of MNIST (Y. LeCun, C. Cortes and C. Burges), plain or gzip.
///
/// The file: two zero bytes, the type (8: unsigned bytes), the number of dimensions, each
/// dimension as four bytes, the highest first, and the values with the last index fastest.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <basin/core/index.hpp>
#include <basin/io/gzip.hpp>
#include <basin/io/image.hpp>

namespace basin {

/// An array of bytes, the last index fastest.
struct idx_array {
  std::vector<index_t> shape;
  std::vector<std::uint8_t> values;
};

/// Reads an array of unsigned bytes of 1 to 4 dimensions. A gzip file, recognised by its
/// first bytes, is decompressed twice: once to see that what it contains ends with the array.
/// @param max_bytes the largest array that is accepted
/// @throws file_error that names the file, the offset and the reason; nothing is allocated
///   before the header agrees with the length of the data
[[nodiscard]] inline idx_array read_idx(const ByteSource& source,
                                        std::size_t max_bytes = default_max_bytes) {
  max_bytes = std::min(max_bytes, std::size_t{PTRDIFF_MAX} / 2);  // sizes are signed
  ByteStream stream(source);
  unsigned char magic[4] = {};
  if (const std::size_t got = stream.read(magic, 4); got < 4) {
    stream.refuse(got, "the file ends within its first 4 bytes");
  }
  if (magic[0] != 0 || magic[1] != 0) stream.refuse(0, "not an IDX file");
  if (magic[2] != 8) {
    stream.refuse(2, "the type is " + std::to_string(magic[2]) + ", expected 8, unsigned bytes");
  }
  const std::size_t rank = magic[3];
  if (rank < 1 || rank > 4) {
    stream.refuse(3, std::to_string(rank) + " dimensions, expected 1 to 4");
  }
  unsigned char sizes[16] = {};
  if (const std::size_t got = stream.read(sizes, 4 * rank); got < 4 * rank) {
    stream.refuse(4 + got, "the file ends within its dimensions");
  }
  std::size_t shape[4] = {};
  std::size_t count = 1;
  std::size_t nonzero = 1;  // bounded as well, so that no product of dimensions can overflow
  std::string text;
  for (std::size_t i = 0; i < rank; ++i) {
    for (std::size_t j = 0; j < 4; ++j) shape[i] = shape[i] << 8 | sizes[4 * i + j];
    text += (i > 0 ? " x " : "") + std::to_string(shape[i]);
    if (shape[i] != 0 && nonzero > max_bytes / shape[i]) {
      stream.refuse(4 + 4 * i, "an array of " + text + " bytes or more, the limit is " +
                                   std::to_string(max_bytes));
    }
    count *= shape[i];
    nonzero *= std::max(shape[i], std::size_t{1});
  }
  const std::size_t end = 4 + 4 * rank + count;
  if (const std::size_t length = stream_length(source, end); length != end) {
    stream.refuse(std::min(length, end),
                  "the file " + std::string(length < end ? "ends within" : "goes on behind") +
                      " an array of " + text + " bytes");
  }
  idx_array array{{shape, shape + rank}, std::vector<std::uint8_t>(count)};
  if (stream.read(array.values.data(), count) != count) {
    stream.refuse(stream.offset(), "the file changed while it was read");
  }
  return array;
}

/// Reads images: a file of three dimensions (count, height, width) of grey ones, or of four
/// (count, channels, height, width).
/// @throws file_error as `read_idx`, and if the file has other dimensions or its images no pixels
[[nodiscard]] inline image_set read_idx_images(const ByteSource& source,
                                               std::size_t max_bytes = default_max_bytes) {
  idx_array array = read_idx(source, max_bytes);
  const std::size_t rank = array.shape.size();
  if (rank < 3) source.refuse(3, std::to_string(rank) + " dimensions, expected 3 or 4 of images");
  // Any number of them would take no byte of the file, and padding would take memory for each.
  for (std::size_t i = 1; i < rank; ++i) {
    if (array.shape[i] == 0) source.refuse(4 + 4 * i, "images without pixels");
  }
  image_set images;
  images.count = array.shape[0];
  images.channels = rank == 4 ? array.shape[1] : 1;
  images.height = array.shape[rank - 2];
  images.width = array.shape[rank - 1];
  images.pixels = std::move(array.values);
  return images;
}

/// Reads labels: a file of one dimension.
/// @throws file_error as `read_idx`, and if the file has other dimensions
[[nodiscard]] inline std::vector<std::uint8_t> read_idx_labels(
    const ByteSource& source, std::size_t max_bytes = default_max_bytes) {
  idx_array array = read_idx(source, max_bytes);
  if (array.shape.size() != 1) {
    source.refuse(3, std::to_string(array.shape.size()) + " dimensions, expected 1 of labels");
  }
  return std::move(array.values);
}

}  // namespace basin
