/// @file
/// Memory that is read by whole registers.
#pragma once

#include <algorithm>
#include <memory>
#include <new>

#include <basin/core/index.hpp>

namespace basin::detail {

/// Vectors that are read by whole registers, on a cache line's border.
template <class T>
class aligned_array {
 public:
  aligned_array() = default;
  aligned_array(const aligned_array& other) { *this = other; }
  aligned_array(aligned_array&&) noexcept = default;
  aligned_array& operator=(const aligned_array& other) {
    resize(other.size_);
    std::copy_n(other.data(), size_, data());
    return *this;
  }
  aligned_array& operator=(aligned_array&&) noexcept = default;

  /// `count` zeros, unless there are that many elements already, which then stay.
  void resize(index_t count) {
    if (count == size_ && memory_) return;
    memory_.reset(static_cast<T*>(::operator new[](
        static_cast<std::size_t>(std::max<index_t>(count, 1)) * sizeof(T), std::align_val_t{64})));
    size_ = count;
    std::fill_n(memory_.get(), count, T{});
  }
  [[nodiscard]] T* data() noexcept { return memory_.get(); }
  [[nodiscard]] const T* data() const noexcept { return memory_.get(); }
  [[nodiscard]] index_t size() const noexcept { return size_; }

 private:
  struct free_aligned {
    void operator()(T* p) const noexcept { ::operator delete[](p, std::align_val_t{64}); }
  };
  std::unique_ptr<T[], free_aligned> memory_;
  index_t size_ = 0;
};

}  // namespace basin::detail
