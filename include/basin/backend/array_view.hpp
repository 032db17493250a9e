/// @file
/// A contiguous array that someone else owns, in the memory of a backend.
#pragma once

#include <concepts>
#include <string_view>
#include <type_traits>

#include <basin/core/error.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// The plain address behind a pointer or a device pointer.
template <class T>
[[nodiscard]] constexpr T* raw_address(T* p) noexcept {
  return p;
}
template <class Pointer>
  requires requires(const Pointer& p) { p.get(); }
[[nodiscard]] constexpr auto raw_address(const Pointer& p) noexcept {
  return p.get();
}

/// Pointer and size. Made from anything with data() and size(): std::vector,
/// an Eigen vector, a device vector. Whose memory it is, is the caller's to know.
template <class T>
struct array_view {
  T* data = nullptr;
  index_t size = 0;

  constexpr array_view() = default;
  BASIN_HOST_DEVICE constexpr array_view(T* first, index_t count) : data(first), size(count) {}
  template <class Container>
    requires(!std::is_same_v<std::remove_cvref_t<Container>, array_view> &&
             requires(Container& c) {
               { raw_address(c.data()) } -> std::convertible_to<T*>;
               c.size();
             })
  constexpr array_view(Container&& c)  // NOLINT(google-explicit-constructor): a view
      : data(raw_address(c.data())), size(static_cast<index_t>(c.size())) {}
  template <class U>
    requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>)
  BASIN_HOST_DEVICE constexpr array_view(array_view<U> other)  // NOLINT: adds const
      : data(other.data), size(other.size) {}

  [[nodiscard]] BASIN_HOST_DEVICE constexpr T& operator[](index_t i) const { return data[i]; }

  /// The first n elements.
  [[nodiscard]] BASIN_HOST_DEVICE constexpr array_view first(index_t n) const { return {data, n}; }
};

/// Whether a factor of a product is taken as it stands or transposed.
enum class transpose { no, yes };

/// Throws `size_error` unless X and Y have as many rows and columns.
template <class X, class Y>
void require_same_shape(std::string_view where, const X& x, const Y& y) {
  require_size(where, "number of rows of the second argument", y.rows(), x.rows());
  require_size(where, "number of columns of the second argument", y.cols(), x.cols());
}

}  // namespace basin
