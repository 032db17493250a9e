/// @file
/// The shared memory of an emulated block: its arrays, and which of their bytes were written.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include <basin/backend/cuda/matrix.hpp>
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

/// Shared memory by bytes. Bounds are its callers' to know.
class SharedMemory {
 public:
  /// An array that the threads of a block have asked for.
  struct array {
    index_t offset, count, element_bytes;
    friend bool operator==(const array&, const array&) = default;
  };

  explicit SharedMemory(index_t bytes) : bytes_(bytes), written_(static_cast<std::size_t>(bytes)) {}

  [[nodiscard]] index_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] std::byte* at(index_t offset) noexcept { return bytes_.data() + offset; }

  /// The arrays of this block so far, in order.
  [[nodiscard]] const std::vector<array>& arrays() const noexcept { return arrays_; }
  /// The next block knows of no array.
  void clear() noexcept { arrays_.clear(); }
  /// Adds an array, poisoned.
  template <class T>
  void add(const array& added) {
    const T value = poison<T>();
    for (index_t i = 0; i < added.count; ++i) {
      std::memcpy(at(added.offset + i * added.element_bytes), &value, sizeof(T));
    }
    mark(added.offset, static_cast<std::size_t>(added.count) * sizeof(T), false);
    arrays_.push_back(added);
  }

  [[nodiscard]] bool written(index_t offset, std::size_t count) const {
    return std::memchr(written_.data() + offset, 0, count) == nullptr;
  }
  void mark(index_t offset, std::size_t count, bool written) {
    if (count > 0) std::memset(written_.data() + offset, written ? 1 : 0, count);
  }

 private:
  DeviceBuffer<std::byte> bytes_;
  std::vector<std::uint8_t> written_;
  std::vector<array> arrays_;
};

}  // namespace basin::detail
