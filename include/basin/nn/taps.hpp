/// @file
/// Which pixels a linear layer joins, and by which matrix of its weights.
#pragma once

#include <algorithm>
#include <vector>

#include <basin/core/index.hpp>
#include <basin/nn/tensor_shape.hpp>

namespace basin {

/// The geometry of a linear layer. Target pixel q of the layer is
///
///   y_q = b + sum over the taps (s, t) of q of W_t x_s,
///
/// with x_s the channels of source pixel s and W_t one of `count` matrices. A
/// convolution has one matrix per kernel position, a dense layer one per pair of
/// pixels. Taps that would read padding are not there. What a layer's transposed
/// Jacobian joins is `transposed()`.
class taps {
 public:
  /// W_tap takes the channels of pixel `source`.
  struct tap {
    index_t source;
    index_t matrix;
    friend bool operator==(const tap&, const tap&) = default;
  };

  taps() = default;
  /// @param of_pixel the taps of each target pixel, by ascending source
  /// @param sources number of source pixels
  /// @param count number of matrices
  taps(const std::vector<std::vector<tap>>& of_pixel, index_t sources, index_t count)
      : sources_(sources), count_(count) {
    begin_.reserve(of_pixel.size() + 1);
    for (const std::vector<tap>& list : of_pixel) {
      list_.insert(list_.end(), list.begin(), list.end());
      begin_.push_back(static_cast<index_t>(list_.size()));
    }
  }

  [[nodiscard]] index_t targets() const noexcept { return static_cast<index_t>(begin_.size()) - 1; }
  [[nodiscard]] index_t sources() const noexcept { return sources_; }
  [[nodiscard]] index_t count() const noexcept { return count_; }
  /// All taps, those of target 0 first.
  [[nodiscard]] const std::vector<tap>& list() const noexcept { return list_; }
  /// Position in list() of the first tap of `target`, which may be targets().
  [[nodiscard]] index_t begin(index_t target) const {
    return begin_[static_cast<std::size_t>(target)];
  }

  /// Sources and targets exchanged; the matrices numbered backwards, so that they
  /// too ascend with the source.
  [[nodiscard]] taps transposed() const {
    std::vector<std::vector<tap>> of_source(static_cast<std::size_t>(sources_));
    for (index_t q = 0; q < targets(); ++q) {
      for (index_t i = begin(q); i < begin(q + 1); ++i) {
        const tap& one = list_[static_cast<std::size_t>(i)];
        of_source[static_cast<std::size_t>(one.source)].push_back({q, count_ - 1 - one.matrix});
      }
    }
    return {of_source, targets(), count_};
  }

  friend bool operator==(const taps&, const taps&) = default;

 private:
  std::vector<tap> list_;
  std::vector<index_t> begin_{0};
  index_t sources_ = 0;
  index_t count_ = 0;
};

}  // namespace basin
