// Reads an image. Inputs are changed and then given the checksums that their chunks should
// have, or most would be refused at the first of them.
#include <basin/io/png.hpp>

#include <zlib.h>

#include <cstdint>

#include "fuzz.hpp"

void fuzz(std::span<const unsigned char> bytes) {
  const basin::image_set image = basin::read_png(basin::ByteSource(bytes, "input"), fuzz_limit);
  require_consistent(image);
  expect(image.count == 1 && image.size() > 0);
}

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 8 == 0) return size;
  // A chunk: length, kind of 4 bytes, data, checksum of kind and data.
  const auto word = [&](std::size_t at) {
    return std::size_t{data[at]} << 24 | std::size_t{data[at + 1]} << 16 |
           std::size_t{data[at + 2]} << 8 | data[at + 3];
  };
  for (std::size_t at = 8; at + 12 <= size;) {
    const std::size_t length = word(at);
    if (length > size - at - 12) break;
    const auto sum = crc32(0, data + at + 4, static_cast<uInt>(4 + length));
    for (std::size_t i = 0; i < 4; ++i) {
      data[at + 8 + length + i] = static_cast<std::uint8_t>(sum >> (24 - 8 * i));
    }
    at += 12 + length;
  }
  return size;
}
