/// @file
/// Sets of 8-bit images, and their matrices.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <Eigen/Core>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// Images of one size, as the readers of image formats give them.
struct image_set {
  index_t channels = 0;  ///< 1 for grey, 3 for red, green, blue
  index_t height = 0;
  index_t width = 0;
  index_t count = 0;                      ///< number of images
  std::vector<std::uint8_t> pixels = {};  ///< channel by channel, row by row; image after image
  std::vector<std::uint8_t> labels = {};  ///< one an image, or none

  /// Pixels of one image: channels × height × width.
  [[nodiscard]] index_t size() const noexcept { return channels * height * width; }
  /// The pixels of image `i`.
  [[nodiscard]] std::span<const std::uint8_t> image(index_t i) const {
    return std::span(pixels).subspan(static_cast<std::size_t>(i * size()),
                                     static_cast<std::size_t>(size()));
  }
};

/// Throws `size_error` unless the arrays have the lengths that the sizes say.
inline void require_consistent(const image_set& images) {
  require_size("image_set", "number of pixels", static_cast<index_t>(images.pixels.size()),
               images.count * images.size());
  if (!images.labels.empty()) {
    require_size("image_set", "number of labels", static_cast<index_t>(images.labels.size()),
                 images.count);
  }
}

/// The images as columns: k × count values in [0, 1], with k = channels × padded_height ×
/// padded_width, in CHW order. Zeros surround each image, as many above as below and left as
/// right; of an odd number, the last stands below or right.
/// @throws size_error if the arrays disagree with the sizes
/// @throws argument_error if the padded size is smaller than the images
template <class Scalar>
[[nodiscard]] Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> to_matrix(
    const image_set& images, index_t padded_height, index_t padded_width) {
  require_consistent(images);
  require(padded_height >= images.height && padded_width >= images.width, "to_matrix",
          "the padded size " + std::to_string(padded_height) + " x " +
              std::to_string(padded_width) + " is smaller than the images, " +
              std::to_string(images.height) + " x " + std::to_string(images.width));
  std::array<Scalar, 256> value;
  for (std::size_t i = 0; i < value.size(); ++i) {
    value[i] = static_cast<Scalar>(i) / static_cast<Scalar>(255);
  }
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  matrix X = matrix::Zero(images.channels * padded_height * padded_width, images.count);
  const index_t above = (padded_height - images.height) / 2;
  const index_t left = (padded_width - images.width) / 2;
  const std::uint8_t* next = images.pixels.data();
  for (index_t i = 0; i < images.count; ++i) {
    for (index_t c = 0; c < images.channels; ++c) {
      for (index_t y = 0; y < images.height; ++y) {
        Scalar* row = X.col(i).data() + (c * padded_height + above + y) * padded_width + left;
        for (index_t x = 0; x < images.width; ++x) *row++ = value[*next++];
      }
    }
  }
  return X;
}

/// The images as columns of channels × height × width values in [0, 1], without padding.
template <class Scalar>
[[nodiscard]] Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> to_matrix(
    const image_set& images) {
  return to_matrix<Scalar>(images, images.height, images.width);
}

namespace detail {

/// One image of pixels, each with its channels together, as channel after channel.
[[nodiscard]] inline std::vector<std::uint8_t> to_planes(std::vector<std::uint8_t> pixels,
                                                         std::size_t channels) {
  if (channels == 1) return pixels;
  std::vector<std::uint8_t> planes(pixels.size());
  const std::size_t plane = pixels.size() / channels;
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t c = 0; c < channels; ++c) planes[c * plane + i] = pixels[i * channels + c];
  }
  return planes;
}

/// Image `i` as pixels, each with its channels together.
[[nodiscard]] inline std::vector<std::uint8_t> to_pixels(const image_set& images, index_t i) {
  const std::span<const std::uint8_t> planes = images.image(i);
  std::vector<std::uint8_t> pixels(planes.size());
  const auto channels = static_cast<std::size_t>(images.channels);
  const std::size_t plane = planes.size() / channels;
  for (std::size_t j = 0; j < plane; ++j) {
    for (std::size_t c = 0; c < channels; ++c) pixels[j * channels + c] = planes[c * plane + j];
  }
  return pixels;
}

/// Throws unless image `i` is there and is one that a file of one image can hold.
inline void require_writable(std::string_view where, const image_set& images, index_t i) {
  require_consistent(images);
  require(i >= 0 && i < images.count, where, "there is no image " + std::to_string(i));
  require(images.channels == 1 || images.channels == 3, where,
          std::to_string(images.channels) + " channels, expected 1 or 3");
  // Limits of PNG and of the readers here.
  require(images.height > 0 && images.height < (index_t{1} << 31) && images.width > 0 &&
              images.width < (index_t{1} << 31),
          where, "height and width must lie between 1 and 2^31 - 1");
}

}  // namespace detail
}  // namespace basin
