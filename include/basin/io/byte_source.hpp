/// @file
/// Bytes at offsets, of a file or of memory: what every reader of a format reads from.
#pragma once

#include <algorithm>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <basin/core/error.hpp>
#include <basin/io/file_descriptor.hpp>

namespace basin {

/// The largest array, in bytes, that a reader makes from a file unless told otherwise: 1 GiB.
inline constexpr std::size_t default_max_bytes = std::size_t{1} << 30;

/// A file of known length, or memory that stands for one. Every reader takes one, and a path
/// converts to it: `read_png("a.png")`. Reading from several threads is safe.
class ByteSource {
 public:
  /// Opens a regular file; its length is what it is now.
  /// @throws file_error if it cannot be opened, or is a folder, a pipe or a device
  template <class Path>
    requires std::convertible_to<const Path&, std::filesystem::path>
  ByteSource(const Path& path)  // implicit, so that readers need no second form for paths
      : name_(std::filesystem::path(path).string()),
        // A pipe would block until somebody writes to it.
        file_(name_, O_RDONLY | O_NONBLOCK) {
    struct stat about = {};
    if (!file_.is_open() || ::fstat(file_.number(), &about) != 0) {
      detail::throw_system_error(name_, "cannot be opened");
    }
    if (!S_ISREG(about.st_mode)) throw file_error(name_ + ": not a regular file");
    size_ = static_cast<std::size_t>(about.st_size);
  }
  /// @param bytes must outlive the source
  /// @param name what messages call it
  ByteSource(std::span<const unsigned char> bytes, std::string name)
      : name_(std::move(name)), memory_(bytes.data()), size_(bytes.size()) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Length in bytes.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Copies the bytes from `offset` to `offset + bytes`.
  /// @throws file_error if they are not all there
  void read(std::size_t offset, void* out, std::size_t bytes) const {
    if (offset > size_ || bytes > size_ - offset) {
      refuse(size_, "the file ends within the " + std::to_string(bytes) + " bytes from " +
                        std::to_string(offset));
    }
    if (!file_.is_open()) {
      if (bytes > 0) std::memcpy(out, memory_ + offset, bytes);
      return;
    }
    for (std::size_t done = 0; done < bytes;) {
      const ssize_t got = ::pread(file_.number(), static_cast<unsigned char*>(out) + done,
                                  bytes - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) detail::throw_system_error(name_, "cannot be read");
      if (got == 0) refuse(offset + done, "the file became shorter while it was read");
      done += static_cast<std::size_t>(got);
    }
  }

  /// Throws file_error "name: byte offset: reason".
  [[noreturn, gnu::cold]] void refuse(std::size_t offset, std::string_view reason) const {
    throw file_error(name_ + ": byte " + std::to_string(offset) + ": " + std::string(reason));
  }

 private:
  std::string name_;
  detail::FileDescriptor file_;
  const unsigned char* memory_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace basin
