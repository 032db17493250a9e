/// @file
/// Gzip files (RFC 1952) of one member, with zlib.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <basin/core/error.hpp>
#include <basin/io/byte_source.hpp>

namespace basin {

/// Whether a file begins as gzip files do; its name does not matter.
[[nodiscard]] inline bool is_gzip(const ByteSource& source) {
  unsigned char magic[2] = {};
  if (source.size() >= 2) source.read(0, magic, 2);
  return magic[0] == 0x1f && magic[1] == 0x8b;
}

/// The bytes of a file in their order; of a gzip file, those that it decompresses to.
/// Holds about 100 KB, whatever the file says.
class ByteStream {
 public:
  /// @param source must outlive the stream
  explicit ByteStream(const ByteSource& source) : source_(source), compressed_(is_gzip(source)) {
    // 15 bits of window are all there are; 16 more ask for gzip's frame.
    if (compressed_ && inflateInit2(&zlib_, 15 + 16) != Z_OK) throw std::bad_alloc();
  }
  ~ByteStream() {
    if (compressed_) inflateEnd(&zlib_);
  }
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  /// Copies the next bytes and returns how many: fewer than asked for only at the end, where
  /// a gzip file has been found to agree with its checksum and to end as well.
  /// @throws file_error if the compressed data are damaged, cut short, or followed by others
  std::size_t read(void* out, std::size_t bytes) {
    const std::size_t done =
        compressed_ ? inflate_to(static_cast<unsigned char*>(out), bytes) : copy_to(out, bytes);
    offset_ += done;
    return done;
  }
  /// Bytes that have been read.
  [[nodiscard]] std::size_t offset() const noexcept { return offset_; }
  /// Throws file_error for a byte of the stream, which need not be one of the file.
  [[noreturn, gnu::cold]] void refuse(std::size_t offset, std::string_view reason) const {
    source_.refuse(offset, (compressed_ ? "(decompressed) " : "") + std::string(reason));
  }

 private:
  std::size_t copy_to(void* out, std::size_t bytes) {
    const std::size_t there = std::min(bytes, source_.size() - offset_);
    source_.read(offset_, out, there);
    return there;
  }
  std::size_t inflate_to(unsigned char* out, std::size_t bytes) {
    std::size_t done = 0;
    while (done < bytes && !ended_) {
      if (zlib_.avail_in == 0) {
        const std::size_t piece = std::min(input_.size(), source_.size() - position_);
        source_.read(position_, input_.data(), piece);
        position_ += piece;
        zlib_.next_in = input_.data();
        zlib_.avail_in = static_cast<uInt>(piece);
      }
      const std::size_t room = std::min(bytes - done, std::size_t{1} << 30);
      zlib_.next_out = out + done;
      zlib_.avail_out = static_cast<uInt>(room);
      const int code = inflate(&zlib_, Z_NO_FLUSH);
      done += room - zlib_.avail_out;
      const std::size_t at = position_ - zlib_.avail_in;
      if (code == Z_MEM_ERROR) throw std::bad_alloc();
      if (code == Z_BUF_ERROR) source_.refuse(at, "the file ends within its gzip stream");
      if (code != Z_OK && code != Z_STREAM_END) {
        source_.refuse(at, std::string("the gzip stream is damaged: ") +
                               (zlib_.msg != nullptr ? zlib_.msg : "it needs a dictionary"));
      }
      ended_ = code == Z_STREAM_END;
      if (ended_ && at != source_.size()) {
        source_.refuse(at, "the file goes on behind its gzip stream");
      }
    }
    return done;
  }

  const ByteSource& source_;
  bool compressed_;
  bool ended_ = false;
  std::size_t offset_ = 0;    // of the stream
  std::size_t position_ = 0;  // of the file: what zlib has been given
  z_stream zlib_ = {};
  std::array<unsigned char, 32768> input_;
};

/// Length of the stream of a file in bytes, but `limit + 1` if it is more than `limit`, with
/// no memory for what it contains. A gzip file is decompressed as far as that.
/// @throws file_error if it is damaged before that
[[nodiscard]] inline std::size_t stream_length(const ByteSource& source, std::size_t limit) {
  if (!is_gzip(source)) return source.size() <= limit ? source.size() : limit + 1;
  ByteStream stream(source);
  std::array<unsigned char, 32768> piece;
  while (stream.offset() <= limit) {
    // One byte more than the limit, if there is one.
    const std::size_t bytes = std::min(piece.size() - 1, limit - stream.offset()) + 1;
    if (stream.read(piece.data(), bytes) == 0) break;
  }
  return stream.offset();
}

/// Decompresses a gzip file, in two passes: the first finds the length and checks everything,
/// the second fills an array of that length.
/// @param max_bytes the most that it may decompress to
/// @throws file_error that names the file, the offset and the reason: not gzip, damaged, cut
///   short, followed by other bytes, longer than `max_bytes`
[[nodiscard]] inline std::vector<std::uint8_t> gunzip(const ByteSource& source,
                                                      std::size_t max_bytes = default_max_bytes) {
  if (!is_gzip(source)) source.refuse(0, "not a gzip file");
  const std::size_t length = stream_length(source, max_bytes);
  ByteStream stream(source);
  if (length > max_bytes) {
    stream.refuse(max_bytes, "goes on behind the limit of " + std::to_string(max_bytes) + " bytes");
  }
  std::vector<std::uint8_t> bytes(length);
  if (stream.read(bytes.data(), length) != length) {
    stream.refuse(stream.offset(), "the file changed while it was read");
  }
  return bytes;
}

}  // namespace basin
