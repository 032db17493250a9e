/// @file
/// The shared memory of an emulated block: its arrays, and which of their bytes were written.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include <basin/core/index.hpp>

namespace basin::detail {

/// What memory holds that nobody has written: a signalling NaN, or bytes that are no small number.
template <class T>
[[nodiscard]] T poison() {
  if constexpr (std::floating_point<T>) {
    return std::numeric_limits<T>::signaling_NaN();
  } else if constexpr (std::same_as<T, bool>) {
    return true;  // what else is no value of its own
  } else {
    T value;
    std::memset(static_cast<void*>(&value), 0xA5, sizeof(T));
    return value;
  }
}

/// Shared memory by bytes. Bounds are its callers' to know; entries are read and written as wholes.
class SharedMemory {
 public:
  /// An array that the threads of a block have asked for.
  struct array {
    index_t offset, count, element_bytes;
    friend bool operator==(const array&, const array&) = default;
  };

  explicit SharedMemory(index_t bytes)
      : bytes_(static_cast<std::size_t>(bytes)), written_(static_cast<std::size_t>(bytes)) {}

  [[nodiscard]] index_t size() const noexcept { return static_cast<index_t>(bytes_.size()); }
  [[nodiscard]] std::byte* at(index_t offset) const noexcept { return memory_ + offset; }

  /// The arrays of this block so far, in order.
  [[nodiscard]] const std::vector<array>& arrays() const noexcept { return arrays_; }
  /// The next block knows of no array.
  void clear() noexcept {
    arrays_.clear();
    unchecked_.clear();
  }
  /// Adds an array, poisoned.
  template <class T>
  void add(const array& added) {
    arrays_.push_back(added);
    unchecked_.push_back(0);
    const auto bytes = static_cast<std::size_t>(added.count * added.element_bytes);
    if (bytes == 0) return;
    const T value = poison<T>();
    std::byte* const begin = at(added.offset);
    std::memcpy(begin, &value, sizeof(T));
    for (std::size_t done = sizeof(T); done < bytes;) {  // twice as much by every copy
      const std::size_t more = std::min(done, bytes - done);
      std::memcpy(begin + done, begin, more);
      done += more;
    }
    std::memset(flag_ + added.offset, 0, bytes);
  }

  /// Whether the entry that begins at `offset` was written, and that it is.
  [[nodiscard]] bool written(index_t offset) const { return flag_[offset] != 0; }
  void mark(index_t offset) { flag_[offset] = 1; }
  /// From here on all entries of array number i count as written.
  void uncheck(std::size_t i) {
    if (unchecked_[i] != 0) return;
    unchecked_[i] = 1;
    const array& of = arrays_[i];
    const auto bytes = static_cast<std::size_t>(of.count * of.element_bytes);
    if (bytes > 0) std::memset(flag_ + of.offset, 1, bytes);
  }

 private:
  std::vector<std::byte> bytes_;
  std::vector<std::uint8_t> written_;  ///< at the first byte of an entry
  std::byte* memory_ = bytes_.data();
  std::uint8_t* flag_ = written_.data();
  std::vector<array> arrays_;
  std::vector<std::uint8_t> unchecked_;  ///< by arrays
};

}  // namespace basin::detail
