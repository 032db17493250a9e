/// @file
/// PNG images of 8 bits, grey or red-green-blue, with libpng.
#pragma once

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/io/atomic_file.hpp>
#include <basin/io/byte_source.hpp>
#include <basin/io/image.hpp>

namespace basin {
namespace detail {

/// Decodes one image with libpng. Its errors leave by longjmp, which runs no destructor: what
/// has one stands here or in a caller, never in a function that libpng may leave.
class PngDecoder {
 public:
  explicit PngDecoder(const ByteSource& source) : source_(source) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, &fail, &ignore);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
  }
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  /// Reads everything before the pixels.
  void read_header() {
    if (!try_header()) refuse();
  }
  /// Decodes the pixels, row by row and channel by channel within a pixel, and requires the
  /// file to end with the image.
  void read_pixels(unsigned char* pixels) {
    if (!try_pixels(pixels)) refuse();
    if (offset_ != source_.size()) source_.refuse(offset_, "the file goes on behind the image");
  }
  [[nodiscard]] std::size_t width() const { return png_get_image_width(png_, info_); }
  [[nodiscard]] std::size_t height() const { return png_get_image_height(png_, info_); }
  [[nodiscard]] int bit_depth() const { return png_get_bit_depth(png_, info_); }
  [[nodiscard]] int color_type() const { return png_get_color_type(png_, info_); }
  [[nodiscard]] bool has_transparency() const {
    return png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
  }

 private:
  [[noreturn]] void refuse() const { source_.refuse(offset_, reason_); }

  bool try_header() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    // Only what the pixels need: no text, no colour profile is unpacked, no gamma applied.
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_benign_errors(png_, 0);
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // the caller has its own
    png_set_read_fn(png_, this, &give);
    png_read_info(png_, info_);
    return true;
  }
  bool try_pixels(unsigned char* pixels) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    const int passes = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    const std::size_t stride = png_get_rowbytes(png_, info_);
    const std::size_t rows = height();
    for (int pass = 0; pass < passes; ++pass) {
      for (std::size_t y = 0; y < rows; ++y) png_read_row(png_, pixels + y * stride, nullptr);
    }
    png_read_end(png_, nullptr);
    return true;
  }

  static void give(png_structp png, png_bytep out, std::size_t bytes) {
    auto& self = *static_cast<PngDecoder*>(png_get_io_ptr(png));
    if (bytes > self.source_.size() - self.offset_)
      png_error(png, "the file ends within the image");
    try {  // no exception may pass through libpng
      self.source_.read(self.offset_, out, bytes);
      self.offset_ += bytes;
      return;
    } catch (const std::exception&) {
    }
    png_error(png, "the file cannot be read");
  }
  [[noreturn]] static void fail(png_structp png, png_const_charp reason) {
    auto& self = *static_cast<PngDecoder*>(png_get_error_ptr(png));
    std::snprintf(self.reason_, sizeof self.reason_, "%s", reason);
    png_longjmp(png, 1);
  }
  static void ignore(png_structp, png_const_charp) {}

  const ByteSource& source_;
  std::size_t offset_ = 0;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  char reason_[128] = {};
};

}  // namespace detail

/// Reads an image of 8-bit grey or red-green-blue samples, as they are stored: no gamma and no
/// colour profile is applied. Palettes, 1, 2, 4 and 16 bits, and transparency are refused.
/// @param max_bytes the largest image, in bytes of pixels, that is accepted
/// @throws file_error that names the file, the offset that was reached and the reason; nothing
///   is allocated for pixels that the file is too short to contain
[[nodiscard]] inline image_set read_png(const ByteSource& source,
                                        std::size_t max_bytes = default_max_bytes) {
  detail::PngDecoder png(source);
  png.read_header();
  if (png.bit_depth() != 8) {
    source.refuse(24, std::to_string(png.bit_depth()) + " bits a sample, expected 8");
  }
  const bool grey = png.color_type() == PNG_COLOR_TYPE_GRAY;
  if (!grey && png.color_type() != PNG_COLOR_TYPE_RGB) {
    source.refuse(25, "colour type " + std::to_string(png.color_type()) +
                          ", expected 0 (grey) or 2 (red, green, blue), without alpha");
  }
  if (png.has_transparency()) source.refuse(25, "the image has a transparent colour");
  const std::size_t channels = grey ? 1 : 3;
  const std::size_t width = png.width();
  const std::size_t height = png.height();
  // Each is below 2^31, so that the product of both fits.
  if (width * height > max_bytes / channels) {
    source.refuse(16, std::to_string(width) + " x " + std::to_string(height) +
                          " pixels, the limit is " + std::to_string(max_bytes) + " bytes");
  }
  const std::size_t size = width * height;
  // Deflate makes at most 1032 bytes of one.
  if (size * channels / 1032 > source.size()) {
    source.refuse(16, "the file is too short for " + std::to_string(width) + " x " +
                          std::to_string(height) + " pixels");
  }
  std::vector<std::uint8_t> pixels(size * channels);
  png.read_pixels(pixels.data());
  image_set image;
  image.channels = static_cast<index_t>(channels);
  image.height = static_cast<index_t>(height);
  image.width = static_cast<index_t>(width);
  image.count = 1;
  image.pixels = detail::to_planes(std::move(pixels), channels);
  return image;
}

/// Writes image `i` of a set, of 1 channel as grey or of 3 as red-green-blue.
/// @throws size_error if the arrays disagree with the sizes
/// @throws argument_error if there is no such image, or it has no pixels or other channels
/// @throws file_error if the file cannot be written
inline void write_png(const std::filesystem::path& path, const image_set& images, index_t i = 0) {
  detail::require_writable("write_png", images, i);
  const std::vector<std::uint8_t> pixels = detail::to_pixels(images, i);
  png_image png = {};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(images.width);
  png.height = static_cast<png_uint_32>(images.height);
  png.format = images.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::vector<unsigned char> file(bytes);
  if (png_image_write_to_memory(&png, file.data(), &bytes, 0, pixels.data(), 0, nullptr) == 0) {
    throw file_error(path.string() + ": cannot be written: " + png.message);
  }
  AtomicFile out(path);
  out.write(file.data(), bytes);
  out.commit();
}

}  // namespace basin
