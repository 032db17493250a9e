// Images as other programs write them, and back.
#include <basin/io/image.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <basin/io/cifar.hpp>
#include <basin/io/gzip.hpp>
#include <basin/io/idx.hpp>
#include <basin/io/png.hpp>
#include <basin/io/ppm.hpp>

#include "../catch.hpp"
#include "files.hpp"

namespace {

using basin::image_set;
using basin::index_t;
using bytes = std::vector<std::uint8_t>;

void check_sizes(const image_set& images, index_t channels, index_t height, index_t width,
                 index_t count) {
  CHECK(images.channels == channels);
  CHECK(images.height == height);
  CHECK(images.width == width);
  CHECK(images.count == count);
  CHECK_NOTHROW(require_consistent(images));
}

// The images of tests/golden/io/make.py: rows of `red`, then the planes of the others.
bytes colors(bool grey) {
  bytes planes;
  for (const int c : {0, 1, 2}) {
    for (int p = 0; p < 12 && (c == 0 || !grey); ++p) {
      const int red = 10 * (p / 4) + p % 4;
      planes.push_back(static_cast<std::uint8_t>(c == 0 ? red : c == 1 ? red + 100 : 200 - red));
    }
  }
  return planes;
}

// Noise of a size that needs several blocks of deflate.
image_set noise(index_t channels) {
  image_set images{channels, 211, 97, 2, {}, {}};
  std::uint32_t x = 1;
  for (index_t i = 0; i < images.count * images.size(); ++i) {
    x = x * 1664525 + 1013904223;
    images.pixels.push_back(static_cast<std::uint8_t>(x >> 24));
  }
  return images;
}

}  // namespace

TEST_CASE("IDX files, plain and compressed", "[io]") {
  const image_set images = basin::read_idx_images(files::golden("images.idx"));
  check_sizes(images, 1, 5, 4, 3);
  bool same = true;
  for (int i = 0; i < 3; ++i) {
    for (int p = 0; p < 20; ++p)
      same = same && images.image(i)[static_cast<std::size_t>(p)] == 7 * i + p;
  }
  CHECK(same);
  CHECK(basin::read_idx_images(files::golden("images.idx.gz")).pixels == images.pixels);
  CHECK(basin::read_idx_labels(files::golden("labels.idx.gz")) == bytes{0, 1, 2});
  CHECK_THROWS_AS(basin::read_idx_labels(files::golden("images.idx")), basin::file_error);
  CHECK_THROWS_AS(basin::read_idx_images(files::golden("labels.idx.gz")), basin::file_error);

  const basin::idx_array array = basin::read_idx(files::golden("images.idx.gz"));
  CHECK(array.shape == std::vector<index_t>{3, 5, 4});
  CHECK(basin::read_idx(files::golden("images.idx.gz"), 60).values == images.pixels);
  CHECK_THROWS_AS(basin::read_idx(files::golden("images.idx.gz"), 59), basin::file_error);
  const std::string four(
      "\0\0\x08\x04\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\x03"
      "abcdef",
      26);
  check_sizes(basin::read_idx_images(files::source(four)), 2, 1, 3, 1);
  const std::string none("\0\0\x08\x03\0\0\0\0\0\0\0\x02\0\0\0\x03", 16);
  check_sizes(basin::read_idx_images(files::source(none)), 1, 2, 3, 0);
  CHECK(basin::to_matrix<float>(basin::read_idx_images(files::source(none))).cols() == 0);
}

TEST_CASE("gzip files within their limit", "[io]") {
  const basin::ByteSource source(files::golden("images.idx.gz"));
  const bytes all = basin::gunzip(source);
  const std::string plain = files::bytes_of(files::golden("images.idx"));
  CHECK(std::string(all.begin(), all.end()) == plain);
  CHECK(basin::gunzip(source, plain.size()) == all);
  CHECK_THROWS_AS(basin::gunzip(source, plain.size() - 1), basin::file_error);
  CHECK(basin::gunzip(source, ~std::size_t{0}) == all);
  CHECK_THROWS_AS(basin::gunzip(files::golden("images.idx")), basin::file_error);
}

TEST_CASE("CIFAR-10 rows, plain and compressed", "[io]") {
  const image_set images = basin::read_cifar(files::golden("cifar.bin.gz"));
  check_sizes(images, 3, 32, 32, 2);
  CHECK(images.labels == bytes{9, 8});
  bool same = true;
  for (std::size_t p = 0; p < 3072; ++p) {
    same = same && images.pixels[p] == p % 251 && images.pixels[3072 + p] == (p + 11) % 251;
  }
  CHECK(same);
  const bytes all = basin::gunzip(files::golden("cifar.bin.gz"));
  CHECK(basin::read_cifar(basin::ByteSource(all, "rows")).pixels == images.pixels);
  CHECK_THROWS_AS(basin::read_cifar(basin::ByteSource(all, "rows"), 6145), basin::file_error);
}

TEST_CASE("images as columns in [0, 1], padded with zeros", "[io]") {
  image_set images{2, 1, 2, 2, {0, 51, 102, 153, 204, 255, 0, 255}, {}};
  const Eigen::MatrixXd plain = basin::to_matrix<double>(images);
  CHECK(plain == (Eigen::Matrix<double, 4, 2>() << 0, 0.8, 0.2, 1, 0.4, 0, 0.6, 1).finished());
  // 1 x 2 in 4 x 4: one row above, two below; one column left and right.
  const Eigen::MatrixXf padded = basin::to_matrix<float>(images, 4, 4);
  REQUIRE(padded.rows() == 2 * 16);
  CHECK(padded(5, 1) == 204.0f / 255.0f);
  CHECK(padded(6, 1) == 1);
  CHECK(padded(16 + 6, 1) == 1);
  CHECK(std::abs(padded.col(0).sum() - 1.2f) < 1e-6f);
  CHECK((padded.array() != 0).count() == 6);
  CHECK_THROWS_AS(basin::to_matrix<float>(images, 1, 1), basin::argument_error);
  images.pixels.pop_back();
  CHECK_THROWS_AS(basin::to_matrix<float>(images), basin::size_error);
  images.pixels.push_back(0);
  images.labels = {1};
  CHECK_THROWS_AS(basin::to_matrix<float>(images), basin::size_error);
}

TEST_CASE("PNG images as Pillow writes them", "[io]") {
  const image_set grey = basin::read_png(files::golden("grey.png"));
  check_sizes(grey, 1, 3, 4, 1);
  CHECK(grey.pixels == colors(true));
  const image_set rgb = basin::read_png(files::golden("rgb.png"));
  check_sizes(rgb, 3, 3, 4, 1);
  CHECK(rgb.pixels == colors(false));
  // Its gamma is not applied.
  CHECK(basin::read_png(files::golden("interlaced.png")).pixels == colors(false));
  for (const char* name : {"alpha.png", "palette.png", "deep.png", "transparent.png", "grey.pgm"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(basin::read_png(files::golden(name)), basin::file_error);
  }
  CHECK_NOTHROW(basin::read_png(files::golden("rgb.png"), 36));
  CHECK_THROWS_AS(basin::read_png(files::golden("rgb.png"), 35), basin::file_error);
}

TEST_CASE("PGM and PPM images as Pillow writes them", "[io]") {
  CHECK(basin::read_ppm(files::golden("grey.pgm")).pixels == colors(true));
  const image_set rgb = basin::read_ppm(files::golden("rgb.ppm"));
  check_sizes(rgb, 3, 3, 4, 1);
  CHECK(rgb.pixels == colors(false));
  CHECK_THROWS_AS(basin::read_ppm(files::golden("rgb.ppm"), 35), basin::file_error);
  const std::string comments = "P5# one\n#two\n 2#three\r1 \t#\n255\nab";
  CHECK(basin::read_ppm(files::source(comments)).pixels == bytes{'a', 'b'});
}

TEST_CASE("images come back from PNG, PGM and PPM", "[io]") {
  const std::string path = files::temporary("image");
  for (const index_t channels : {1, 3}) {
    const image_set images = noise(channels);
    for (const index_t i : {0, 1}) {
      const auto expected = images.image(i);
      basin::write_png(path, images, i);
      const image_set png = basin::read_png(path);
      check_sizes(png, channels, 211, 97, 1);
      CHECK(std::equal(expected.begin(), expected.end(), png.pixels.begin()));
      basin::write_ppm(path, images, i);
      CHECK(basin::read_ppm(path).pixels == png.pixels);
    }
    CHECK_THROWS_AS(basin::write_png(path, images, 2), basin::argument_error);
    CHECK_THROWS_AS(basin::write_ppm(path, images, -1), basin::argument_error);
    CHECK_THROWS_AS(basin::write_png("/nowhere/at/all.png", images), basin::file_error);
    CHECK_THROWS_AS(basin::write_ppm("/nowhere/at/all.ppm", images), basin::file_error);
  }
  CHECK_THROWS_AS(basin::write_png(path, image_set{2, 1, 1, 1, {0, 0}, {}}), basin::argument_error);
  CHECK_THROWS_AS(basin::write_png(path, image_set{1, 0, 1, 1, {}, {}}), basin::argument_error);
  std::filesystem::remove(path);
}
