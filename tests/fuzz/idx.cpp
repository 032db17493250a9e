// Reads a file as an array, as images and as labels, plain and packed.
#include <basin/io/idx.hpp>

#include "fuzz.hpp"
#include "gzip.hpp"

void fuzz(std::span<const unsigned char> bytes) {
  const basin::ByteSource source(bytes, "input");
  if (!is_gzip(source)) {
    expect(same_packed(bytes,
                       [](const auto& file) { return basin::read_idx(file, fuzz_limit).values; }));
  }
  const basin::idx_array array = basin::read_idx(source, fuzz_limit);
  basin::index_t count = 1;
  for (const basin::index_t size : array.shape) count *= size;
  expect(count == static_cast<basin::index_t>(array.values.size()));
  if (array.shape.size() == 1) {
    expect(basin::read_idx_labels(source, fuzz_limit) == array.values);
  } else {
    const basin::image_set images = basin::read_idx_images(source, fuzz_limit);
    require_consistent(images);
    expect(images.count == 0 || images.size() > 0);
    expect(basin::to_matrix<float>(images).size() == count);
  }
}
