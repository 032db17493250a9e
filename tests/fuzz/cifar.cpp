// Reads rows, plain and packed, and what a gzip file contains.
#include <basin/io/cifar.hpp>

#include "fuzz.hpp"
#include "gzip.hpp"

void fuzz(std::span<const unsigned char> bytes) {
  const basin::ByteSource source(bytes, "input");
  if (is_gzip(source)) {
    expect(basin::gunzip(source, fuzz_limit).size() <= fuzz_limit);
  } else {
    expect(same_packed(
        bytes, [](const auto& file) { return basin::read_cifar(file, fuzz_limit).pixels; }));
  }
  const basin::image_set images = basin::read_cifar(source, fuzz_limit);
  require_consistent(images);
  expect(images.count > 0);
}
