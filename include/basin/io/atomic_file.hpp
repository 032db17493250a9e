/// @file
/// Files that appear whole or not at all.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <basin/core/error.hpp>
#include <basin/io/file_descriptor.hpp>

namespace basin {

/// Writes a new file beside `path` and renames it to `path` in `commit`. A reader, and
/// whoever looks after a kill or a loss of power, finds the old file or the new one, each
/// complete. Without `commit` nothing has happened to `path`. A killed process leaves its
/// part behind, as `path` with an ending `.partial-…`, which nothing reads.
///
/// Costs two fsync calls, milliseconds on a disk. `path` gets a new file with default
/// permissions: a link that stood there is replaced, what it points to is not touched.
///
/// @code
/// #include <basin/io/atomic_file.hpp>
///
/// int main() {
///   basin::AtomicFile file("notes.txt");
///   file.write("all or nothing\n");
///   file.commit();
/// }
/// @endcode
class AtomicFile {
 public:
  /// @throws file_error if no file can be made beside `path`
  explicit AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
    // The number tells apart the writers of one process, and a name that a killed process
    // with the same number left behind is passed over.
    static std::atomic<unsigned> number = 0;
    do {
      beside_ = path_.string() + ".partial-" + std::to_string(::getpid()) + "-" +
                std::to_string(number.fetch_add(1, std::memory_order_relaxed));
      file_ = detail::FileDescriptor(beside_, O_WRONLY | O_CREAT | O_EXCL);
    } while (!file_.is_open() && errno == EEXIST);
    if (!file_.is_open()) detail::throw_system_error(path_.string(), "cannot be written");
  }
  ~AtomicFile() {
    if (file_.is_open()) ::unlink(beside_.c_str());
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends bytes.
  /// @throws file_error if they cannot be written
  void write(const void* data, std::size_t bytes) {
    const auto* next = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t put = ::write(file_.number(), next, bytes);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) detail::throw_system_error(beside_, "cannot be written");
      next += put;
      bytes -= static_cast<std::size_t>(put);
    }
  }
  void write(std::string_view text) { write(text.data(), text.size()); }

  /// Makes the file durable and gives it its name. Call it once, after the last `write`.
  /// @throws file_error if the system reports a failure
  void commit() {
    if (::fsync(file_.number()) != 0) detail::throw_system_error(beside_, "cannot be written");
    if (std::rename(beside_.c_str(), path_.c_str()) != 0) {
      detail::throw_system_error(path_.string(), "cannot be replaced");
    }
    file_ = detail::FileDescriptor();  // the name beside is gone, so nothing is to be removed
    // The new name is durable once the folder is; some file systems cannot say so.
    const std::string folder = path_.has_parent_path() ? path_.parent_path().string() : ".";
    const detail::FileDescriptor entries(folder, O_RDONLY | O_DIRECTORY);
    if (!entries.is_open() || (::fsync(entries.number()) != 0 && errno != EINVAL)) {
      detail::throw_system_error(folder, "cannot be made durable");
    }
  }

 private:
  std::filesystem::path path_;
  std::string beside_;
  detail::FileDescriptor file_;
};

}  // namespace basin
