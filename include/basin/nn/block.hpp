/// @file
/// Some columns of the engine's layout.
#pragma once

#include <type_traits>

#include <basin/core/index.hpp>

namespace basin {

/// `count` columns, each an HWC tensor, column j at data + j × stride.
template <class T>
struct block {
  T* data = nullptr;
  index_t stride = 0;
  index_t count = 0;

  constexpr block() = default;
  constexpr block(T* first, index_t distance, index_t columns)
      : data(first), stride(distance), count(columns) {}
  template <class U>
    requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>)
  constexpr block(const block<U>& other)  // NOLINT(google-explicit-constructor): adds const
      : data(other.data), stride(other.stride), count(other.count) {}

  [[nodiscard]] constexpr T* column(index_t j) const { return data + j * stride; }
  /// Columns first ... first + n - 1.
  [[nodiscard]] constexpr block columns(index_t first, index_t n) const {
    return {data + first * stride, stride, n};
  }
};

}  // namespace basin
