/// @file
/// An open file of the operating system (POSIX), closed when it leaves its scope.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <basin/core/error.hpp>

namespace basin::detail {

/// Owns the number of an open file; -1 is none.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  /// @param flags of open(2); a new file gets the mode 0666 less the umask
  FileDescriptor(const std::string& path, int flags)
      : number_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~FileDescriptor() {
    if (number_ >= 0) ::close(number_);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }

  [[nodiscard]] bool is_open() const noexcept { return number_ >= 0; }
  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int number_ = -1;
};

/// Throws file_error "path: what: reason", with the reason of the last system call.
[[noreturn, gnu::cold]] inline void throw_system_error(const std::string& path,
                                                       const std::string& what) {
  const int code = errno;
  throw file_error(path + ": " + what + ": " + std::strerror(code));
}

}  // namespace basin::detail
