/// @file
/// Short-lived device memory of the passes of a network.
#pragma once

#include <cstddef>
#include <type_traits>
#include <vector>

#include <basin/backend/cuda/matrix.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// Arrays in device memory, handed out one after the other and taken back by scopes. They are
/// made at first need, grown at need and kept, so that a pass that is repeated allocates
/// nothing. A copy starts empty: copies of a map can run on several streams at once.
class DeviceScratch {
 public:
  DeviceScratch() = default;
  DeviceScratch(const DeviceScratch&) noexcept {}
  DeviceScratch(DeviceScratch&&) noexcept = default;
  DeviceScratch& operator=(const DeviceScratch&) noexcept { return *this; }
  DeviceScratch& operator=(DeviceScratch&&) noexcept = default;
  ~DeviceScratch() = default;

  /// Takes back, at its end, what was handed out while it lived.
  class scope {
   public:
    explicit scope(DeviceScratch& scratch) : scratch_(scratch), used_(scratch.used_) {}
    scope(const scope&) = delete;
    scope& operator=(const scope&) = delete;
    ~scope() { scratch_.used_ = used_; }

   private:
    DeviceScratch& scratch_;
    std::size_t used_;
  };

  /// `count` elements of T, uninitialised. An array that must grow waits for the device, which
  /// may still use the smaller one.
  /// @throws device_error with the number of bytes if there is not so much memory; what was
  ///   handed out before stays valid
  template <class T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] T* get(index_t count) {
    const index_t bytes = count * static_cast<index_t>(sizeof(T));
    if (used_ == arrays_.size()) arrays_.emplace_back();
    DeviceBuffer<std::byte>& array = arrays_[used_];
    if (array.size() < bytes) {
      array = DeviceBuffer<std::byte>();  // the smaller one is freed first
      array = DeviceBuffer<std::byte>(bytes);
    }
    ++used_;
    return reinterpret_cast<T*>(array.data());
  }

  /// A block of `count` states of `size` numbers each, see nn/cuda/device_layer.hpp.
  template <class Scalar>
  [[nodiscard]] device_view<Scalar> block(index_t count, index_t size) {
    return {get<Scalar>(count * size), count, size, count};
  }

  /// Bytes that are kept.
  [[nodiscard]] index_t bytes() const noexcept {
    index_t sum = 0;
    for (const DeviceBuffer<std::byte>& one : arrays_) sum += one.size();
    return sum;
  }

 private:
  std::vector<DeviceBuffer<std::byte>> arrays_;
  std::size_t used_ = 0;
};

}  // namespace basin
