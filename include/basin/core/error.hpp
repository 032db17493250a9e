/// @file
/// The exceptions that misuse throws. An outcome of a computation is never an
/// exception: it is a status of its column (core/status.hpp).
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <basin/core/index.hpp>

namespace basin {

/// Base of every exception that basin throws.
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An argument has a value outside its documented range.
class argument_error : public error {
 public:
  using error::error;
};

/// Two sizes that must agree do not. The message names both.
class size_error : public error {
 public:
  using error::error;
};

/// A device, or a library that runs on it, reported a failure. The message names the
/// call and the reason.
class device_error : public error {
 public:
  using error::error;
};

/// A device kernel broke a rule of its launch: a barrier that not all threads reach, shared
/// memory read outside its bounds or before it was written. Thrown where kernels run on the
/// CPU (backend/cuda/emulation.hpp). The message names the kernel, the block and the threads.
class kernel_error : public error {
 public:
  using error::error;
};

/// A file is damaged or is not what it was said to be. The message names the
/// file, the byte offset and the reason.
class file_error : public error {
 public:
  using error::error;
};

namespace detail {
[[noreturn, gnu::cold, gnu::noinline]] inline void throw_size_error(std::string_view where,
                                                                    std::string_view what,
                                                                    index_t actual,
                                                                    index_t expected) {
  throw size_error(std::string(where) + ": " + std::string(what) + " is " + std::to_string(actual) +
                   ", expected " + std::to_string(expected));
}
[[noreturn, gnu::cold, gnu::noinline]] inline void throw_argument_error(std::string_view where,
                                                                        std::string_view message) {
  throw argument_error(std::string(where) + ": " + std::string(message));
}
}  // namespace detail

/// Throws `size_error` unless `actual == expected`.
/// @param where the function, as the user knows it
/// @param what the size that is tested, e.g. "rows of out"
inline void require_size(std::string_view where, std::string_view what, index_t actual,
                         index_t expected) {
  if (actual != expected) detail::throw_size_error(where, what, actual, expected);
}

/// Throws `argument_error` with `message` unless `condition` holds.
inline void require(bool condition, std::string_view where, std::string_view message) {
  if (!condition) detail::throw_argument_error(where, message);
}

}  // namespace basin
