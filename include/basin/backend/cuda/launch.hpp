/// @file
/// The one way in which kernels are run: by nvcc on a GPU, under Thrust's host systems on the CPU
/// (emulation.hpp), so that a kernel with barriers and shared memory is tested without a GPU.
///
/// A kernel is a trivially copyable functor that every thread calls with its block:
/// `template <class Block> BASIN_HOST_DEVICE void operator()(Block& block) const`. It may return
/// early where no barrier follows that others wait at. Blocks run in any order, and none may wait
/// for another.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstring>
#include <string_view>
#include <type_traits>

#include <basin/backend/cuda/context.hpp>
#include <basin/backend/cuda/emulation/schedule.hpp>
#include <basin/backend/cuda/launch_shape.hpp>
#include <basin/core/host_device.hpp>

#if THRUST_DEVICE_SYSTEM != THRUST_DEVICE_SYSTEM_CUDA
#include <basin/backend/cuda/emulation.hpp>
#endif

namespace basin {
namespace detail {

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA

/// An array in shared memory. What [] gives is to be read into a T or written at once: on the CPU
/// it is no reference.
template <class T>
class shared_array {
 public:
  BASIN_HOST_DEVICE shared_array(T* data, int size) : data_(data), size_(size) {}
  [[nodiscard]] BASIN_HOST_DEVICE int size() const { return size_; }
  [[nodiscard]] BASIN_HOST_DEVICE T& operator[](int i) const { return data_[i]; }
  /// The memory itself, for wide loads; the CPU checks nothing of it.
  [[nodiscard]] BASIN_HOST_DEVICE T* data() const { return data_; }

 private:
  T* data_;
  int size_;
};

/// The block of a launch, as one of its threads sees it.
class device_block {
 public:
  BASIN_HOST_DEVICE device_block(index_t index, index_t count, int thread, int threads,
                                 unsigned char* shared)
      : index_(index), count_(count), thread_(thread), threads_(threads), shared_(shared) {}

  /// Number of this block among all.
  [[nodiscard]] BASIN_HOST_DEVICE index_t index() const { return index_; }
  [[nodiscard]] BASIN_HOST_DEVICE index_t count() const { return count_; }
  /// Number of this thread in its block.
  [[nodiscard]] BASIN_HOST_DEVICE int thread() const { return thread_; }
  [[nodiscard]] BASIN_HOST_DEVICE int threads() const { return threads_; }
  /// Number of this thread in its warp, and of the warp in the block.
  [[nodiscard]] BASIN_HOST_DEVICE int lane() const { return thread_ % warp_size; }
  [[nodiscard]] BASIN_HOST_DEVICE int warp() const { return thread_ / warp_size; }

  /// The block's next shared array, uninitialised. All threads ask for the same arrays in the same
  /// order; each begins behind the last at the alignment of T, so that no bytes are lost where the
  /// arrays of large alignment come first.
  template <class T>
  [[nodiscard]] BASIN_HOST_DEVICE shared_array<T> shared(int count) {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 16);
    constexpr int align = static_cast<int>(alignof(T));
    const int offset = (used_ + align - 1) / align * align;
    used_ = offset + count * static_cast<int>(sizeof(T));
    return {reinterpret_cast<T*>(shared_ + offset), count};
  }

  /// Barrier of the block: what its threads wrote before is seen by all behind it.
  BASIN_HOST_DEVICE void sync() const {
#if defined(__CUDA_ARCH__)
    __syncthreads();
#endif
  }
  /// Barrier of the warp.
  BASIN_HOST_DEVICE void sync_warp() const {
#if defined(__CUDA_ARCH__)
    __syncwarp();
#endif
  }

  /// The value of lane `lane` of this warp. All lanes of the warp take part in a shuffle; lanes and
  /// distances are 0 ... 31, and a lane that the last warp of a block does not have gives anything.
  template <class T>
  [[nodiscard]] BASIN_HOST_DEVICE T shuffle(const T& value, int lane) const {
    return exchange<pattern::lane>(value, lane);
  }
  /// The value of the lane `distance` further; its own where there is none below 32.
  template <class T>
  [[nodiscard]] BASIN_HOST_DEVICE T shuffle_down(const T& value, int distance) const {
    return exchange<pattern::down>(value, distance);
  }
  /// The value of the lane `distance` before; its own where there is none.
  template <class T>
  [[nodiscard]] BASIN_HOST_DEVICE T shuffle_up(const T& value, int distance) const {
    return exchange<pattern::up>(value, distance);
  }
  /// The value of the lane whose number differs in the bits of `mask`.
  template <class T>
  [[nodiscard]] BASIN_HOST_DEVICE T shuffle_xor(const T& value, int mask) const {
    return exchange<pattern::exclusive_or>(value, mask);
  }

 private:
  enum class pattern { lane, down, up, exclusive_or };

  /// Any trivially copyable value, by words.
  template <pattern Pattern, class T>
  [[nodiscard]] BASIN_HOST_DEVICE static T exchange(T value, int by) {
    static_assert(std::is_trivially_copyable_v<T>);
    unsigned words[(sizeof(T) + sizeof(unsigned) - 1) / sizeof(unsigned)] = {};
    memcpy(words, &value, sizeof(T));
    for (unsigned& word : words) word = exchange_word<Pattern>(word, by);
    memcpy(&value, words, sizeof(T));
    return value;
  }
  template <pattern Pattern>
  [[nodiscard]] BASIN_HOST_DEVICE static unsigned exchange_word(unsigned word,
                                                                [[maybe_unused]] int by) {
#if defined(__CUDA_ARCH__)
    constexpr unsigned all = 0xffffffffu;
    if constexpr (Pattern == pattern::lane) {
      return __shfl_sync(all, word, by);
    } else if constexpr (Pattern == pattern::down) {
      return __shfl_down_sync(all, word, static_cast<unsigned>(by));
    } else if constexpr (Pattern == pattern::up) {
      return __shfl_up_sync(all, word, static_cast<unsigned>(by));
    } else {
      return __shfl_xor_sync(all, word, by);
    }
#else
    return word;  // nvcc reads kernels for the host too, where they are never run
#endif
  }

  index_t index_, count_;
  int thread_, threads_;
  unsigned char* shared_;
  int used_ = 0;  ///< bytes of shared memory up to the end of the last array
};

template <class Kernel>
__global__ void launched(const Kernel kernel, index_t blocks) {
  extern __shared__ __align__(16) unsigned char shared_memory[];
  for (index_t b = blockIdx.x; b < blocks; b += gridDim.x) {
    device_block block(b, blocks, static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x),
                       shared_memory);
    kernel(block);
    __syncthreads();  // before shared memory is another block's
  }
}

template <class Scalar, class Kernel>
void launch_on_gpu(const cuda<Scalar>& be, std::string_view name, const launch_shape& shape,
                   const Kernel& kernel) {
  const auto require_success = [&](cudaError_t code) {
    if (code == cudaSuccess) return;
    throw device_error("launch: " + describe(name, shape) + ": " + cudaGetErrorString(code));
  };
  constexpr index_t without_asking = index_t{48} * 1024;
  if (shape.shared_bytes > without_asking) {
    require_success(cudaFuncSetAttribute(launched<Kernel>,
                                         cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         static_cast<int>(shape.shared_bytes)));
  }
  const auto grid = static_cast<unsigned>(std::min(shape.blocks, shape.grid));
  launched<Kernel>
      <<<grid, static_cast<unsigned>(shape.threads), static_cast<std::size_t>(shape.shared_bytes),
         be.runtime().stream()>>>(kernel, shape.blocks);
  require_success(cudaGetLastError());
}

#endif

}  // namespace detail

/// Runs a kernel in every thread of a shape. On a GPU it returns before they have ended.
/// @param name of the kernel, for errors
/// @throws argument_error where no device takes the shape; device_error where this one does not;
///   on the CPU kernel_error where the kernel breaks a rule (emulation.hpp), and whatever the
///   kernel throws
template <std::floating_point Scalar, class Kernel>
void launch(const cuda<Scalar>& be, std::string_view name, const launch_shape& shape,
            const Kernel& kernel) {
  static_assert(std::is_trivially_copyable_v<Kernel>, "a kernel must be trivially copyable");
  static_assert(sizeof(Kernel) <= 4000, "a kernel is a parameter of its launch: 4 KB at most");
  detail::require_shape(name, shape);
  if (shape.blocks == 0) return;
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
  detail::launch_on_gpu(be, name, shape, kernel);
#else
  be.runtime().recorder().submit([name, shape, kernel] { detail::emulate(name, shape, kernel); });
#endif
}

}  // namespace basin
