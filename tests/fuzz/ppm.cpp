// Reads an image.
#include <basin/io/ppm.hpp>

#include "fuzz.hpp"

void fuzz(std::span<const unsigned char> bytes) {
  const basin::image_set image = basin::read_ppm(basin::ByteSource(bytes, "input"), fuzz_limit);
  require_consistent(image);
  expect(image.count == 1 && image.size() > 0);
}
