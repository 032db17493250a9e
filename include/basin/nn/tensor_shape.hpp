/// @file
/// The shape of one state's tensor, and extents within it.
#pragma once

#include <string>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// Channels, height and width of a tensor; a vector has height and width 1.
///
/// At the border of the engine a tensor is a column in CHW order, PyTorch's NCHW
/// memory. Inside, the channels of a pixel stand beside each other (HWC), so that
/// products run along channels; where there is one channel or one pixel the two are
/// the same memory.
struct tensor_shape {
  index_t channels = 0;
  index_t height = 1;
  index_t width = 1;

  [[nodiscard]] constexpr index_t pixels() const noexcept { return height * width; }
  /// Numbers in the tensor: the rows of a column.
  [[nodiscard]] constexpr index_t size() const noexcept { return channels * height * width; }
  /// Whether CHW and HWC are the same memory.
  [[nodiscard]] constexpr bool order_free() const noexcept {
    return channels == 1 || pixels() == 1;
  }
  /// Row of the border's column at which element `i` of the engine's column stands.
  [[nodiscard]] constexpr index_t border_row(index_t i) const noexcept {
    return i % channels * pixels() + i / channels;
  }

  friend constexpr bool operator==(const tensor_shape&, const tensor_shape&) = default;
};

/// "channels x height x width".
[[nodiscard]] inline std::string to_string(const tensor_shape& s) {
  return std::to_string(s.channels) + " x " + std::to_string(s.height) + " x " +
         std::to_string(s.width);
}

/// Height and width. A single number stands for both.
struct extent {
  index_t height = 1;
  index_t width = 1;

  constexpr extent() = default;
  constexpr extent(index_t both) : height(both), width(both) {}  // NOLINT: implicit by intent
  constexpr extent(index_t h, index_t w) : height(h), width(w) {}
  friend constexpr bool operator==(const extent&, const extent&) = default;
};

/// Throws `argument_error` unless every size is at least 1 and their product fits.
inline void require_shape(std::string_view where, const tensor_shape& s) {
  constexpr index_t most = index_t{1} << 40;
  require(s.channels >= 1 && s.height >= 1 && s.width >= 1 && s.channels <= most &&
              s.height <= most / s.channels && s.width <= most / s.channels / s.height,
          where, "the shape " + to_string(s) + " is not one of a tensor");
}

}  // namespace basin
