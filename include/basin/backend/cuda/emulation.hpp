/// @file
/// Kernels on the CPU: what launch.hpp runs under Thrust's host systems.
///
/// Blocks run one after the other, the threads of a block as fibers with real barriers, in the
/// order of a schedule (emulation/schedule.hpp). What a GPU would not notice is a kernel_error:
/// shared memory outside the bounds of its array or read before it was written, and barriers that
/// not all threads reach. No thread may wait for another but at a barrier.
///
/// Cost: a switch of stacks, some twenty nanoseconds, per thread and barrier. A shuffle costs none
/// where the lane that gives runs before the one that receives, as in a reduction to the first lane
/// in reversed order, the one that is taken where none is said. The stacks stay with the calling
/// thread, 256 KB of addresses each, as many as threads of a block have waited at once.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <basin/backend/cuda/emulation/block_emulator.hpp>

namespace basin::detail {

template <class T>
class shared_entry;

/// A shared array as one thread sees it.
template <class T>
class emulated_array {
 public:
  /// @param number of the array among those of the block
  emulated_array(BlockEmulator& block, int thread, const SharedMemory::array& array,
                 std::size_t number)
      : block_(&block), thread_(thread), array_(array), number_(number) {}

  [[nodiscard]] int size() const { return static_cast<int>(array_.count); }
  [[nodiscard]] shared_entry<T> operator[](int i) const {
    if (i < 0 || i >= size()) fail("index " + std::to_string(i) + " is outside");
    return {*this, i};
  }
  /// The memory itself, where nothing is checked any more: what nobody has written is poison.
  [[nodiscard]] T* data() const {
    memory().uncheck(number_);
    return reinterpret_cast<T*>(memory().at(array_.offset));
  }

 private:
  friend class shared_entry<T>;

  [[nodiscard]] SharedMemory& memory() const { return block_->shared(); }
  [[nodiscard]] index_t offset(int i) const { return array_.offset + i * array_.element_bytes; }
  [[noreturn]] void fail(const std::string& what) const {
    block_->fail(thread_, what + " a shared array of " + std::to_string(size()) + " entries");
  }

  BlockEmulator* block_;
  int thread_;
  SharedMemory::array array_;
  std::size_t number_;
};

/// Entry of a shared array: to be read into a T or written at once, never to be kept.
template <class T>
class shared_entry {
 public:
  shared_entry(const emulated_array<T>& array, int i) : array_(array), i_(i) {}
  shared_entry(const shared_entry&) = delete;

  // NOLINTNEXTLINE(google-explicit-constructor): reads as T& would
  operator T() const&& {
    const SharedMemory& memory = array_.memory();
    const index_t offset = array_.offset(i_);
    if (!memory.written(offset)) {
      array_.fail("no thread has written entry " + std::to_string(i_) + " of");
    }
    T value;
    std::memcpy(static_cast<void*>(&value), memory.at(offset), sizeof(T));
    return value;
  }
  void operator=(const T& value) && {
    SharedMemory& memory = array_.memory();
    const index_t offset = array_.offset(i_);
    std::memcpy(memory.at(offset), &value, sizeof(T));
    memory.mark(offset);
  }
  void operator=(shared_entry&& other) && { std::move(*this) = static_cast<T>(std::move(other)); }
  void operator+=(const T& value) && {
    update([&](const T& x) { return x + value; });
  }
  void operator-=(const T& value) && {
    update([&](const T& x) { return x - value; });
  }
  void operator*=(const T& value) && {
    update([&](const T& x) { return x * value; });
  }

 private:
  template <class F>
  void update(const F& f) {
    const T value = std::move(*this);
    std::move(*this) = static_cast<T>(f(value));
  }

  const emulated_array<T>& array_;
  int i_;
};

/// The block of an emulated launch, as one thread sees it; functions as of device_block. Barriers
/// know the line that calls them.
class emulated_block {
 public:
  emulated_block(BlockEmulator& block, int thread) : block_(&block), thread_(thread) {}

  [[nodiscard]] index_t index() const { return block_->index(); }
  [[nodiscard]] index_t count() const { return block_->shape().blocks; }
  [[nodiscard]] int thread() const { return thread_; }
  [[nodiscard]] int threads() const { return block_->shape().threads; }
  [[nodiscard]] int lane() const { return thread_ % warp_size; }
  [[nodiscard]] int warp() const { return thread_ / warp_size; }

  template <class T>
  [[nodiscard]] emulated_array<T> shared(int count) {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 16);
    constexpr auto size = static_cast<index_t>(sizeof(T)), align = static_cast<index_t>(alignof(T));
    SharedMemory& memory = block_->shared();
    const SharedMemory::array wanted{(used_ + align - 1) / align * align, count, size};
    if (count < 0 || wanted.offset + count * size > memory.size()) {
      block_->fail(thread_, "wants a shared array of " + std::to_string(count) + " entries of " +
                                std::to_string(size) + " bytes behind " +
                                std::to_string(wanted.offset) + " of " +
                                std::to_string(memory.size()) + " bytes of shared memory");
    }
    if (arrays_ == memory.arrays().size()) memory.add<T>(wanted);
    if (memory.arrays()[arrays_] != wanted) {
      block_->fail(thread_, "asks for other shared arrays than another thread");
    }
    used_ = wanted.offset + count * size;
    return {*block_, thread_, wanted, arrays_++};
  }

  void sync(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    block_->wait(thread_, {"sync", file, line});
  }
  void sync_warp(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    block_->exchange(thread_, {"sync_warp", file, line});
  }
  template <class T>
  [[nodiscard]] T shuffle(const T& value, int lane, const char* file = __builtin_FILE(),
                          int line = __builtin_LINE()) {
    require_lane("shuffle", lane);
    return exchange(value, lane, "shuffle", file, line);
  }
  template <class T>
  [[nodiscard]] T shuffle_down(const T& value, int distance, const char* file = __builtin_FILE(),
                               int line = __builtin_LINE()) {
    require_lane("shuffle_down", distance);
    const int source = lane() + distance;
    return exchange(value, source < warp_size ? source : lane(), "shuffle_down", file, line);
  }
  template <class T>
  [[nodiscard]] T shuffle_up(const T& value, int distance, const char* file = __builtin_FILE(),
                             int line = __builtin_LINE()) {
    require_lane("shuffle_up", distance);
    const int source = lane() - distance;
    return exchange(value, source >= 0 ? source : lane(), "shuffle_up", file, line);
  }
  template <class T>
  [[nodiscard]] T shuffle_xor(const T& value, int mask, const char* file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
    require_lane("shuffle_xor", mask);
    return exchange(value, lane() ^ mask, "shuffle_xor", file, line);
  }

 private:
  void require_lane(const char* operation, int by) const {
    if (by < 0 || by >= warp_size) {
      block_->fail(thread_, std::string(operation) + " by " + std::to_string(by) +
                                " in a warp of " + std::to_string(warp_size) + " lanes");
    }
  }
  template <class T>
  [[nodiscard]] T exchange(const T& value, int source, const char* operation, const char* file,
                           int line) {
    static_assert(std::is_trivially_copyable_v<T>);
    T received = poison<T>();
    block_->exchange(thread_, {operation, file, line, &value, &received, sizeof(T), source});
    return received;
  }

  BlockEmulator* block_;
  int thread_;
  std::size_t arrays_ = 0;  ///< asked for so far
  index_t used_ = 0;        ///< bytes up to the end of the last
};

/// Runs a kernel on the CPU in the schedule of the calling thread.
template <class Kernel>
void emulate(std::string_view name, const launch_shape& shape, const Kernel& kernel) {
  const launch_schedule schedule = current_schedule();
  const auto call = [](const void* of, BlockEmulator& emulator, int thread) {
    emulated_block block(emulator, thread);
    (*static_cast<const Kernel*>(of))(block);
  };
  BlockEmulator emulator(name, shape, schedule, call, &kernel);
  Arrangement order(schedule, 0);
  order.draw(shape.blocks);
  for (index_t k = 0; k < shape.blocks; ++k) emulator.run(order.at(k));
}

}  // namespace basin::detail
