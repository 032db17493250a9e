/// @file
/// Short-lived memory of a thread: a stack that is grown at need and kept, so
/// that a primitive called again allocates nothing.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

#include <basin/core/index.hpp>

namespace basin {

/// Hands out memory of the calling thread's stack until its destruction. Scopes
/// nest; a scope must not leave its thread.
class scratch_scope {
 public:
  scratch_scope() : block_(stack().block), used_(stack().used) {}
  scratch_scope(const scratch_scope&) = delete;
  scratch_scope& operator=(const scratch_scope&) = delete;
  ~scratch_scope() {
    stack().block = block_;
    stack().used = used_;
  }

  /// `count` elements of T, uninitialised, aligned to 64 bytes.
  template <class T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] T* get(index_t count) {
    return static_cast<T*>(stack().take(static_cast<std::size_t>(count) * sizeof(T)));
  }

 private:
  static constexpr std::size_t alignment = 64;
  static constexpr std::size_t smallest_block = 1 << 18;

  struct free_aligned {
    void operator()(std::byte* p) const noexcept {
      ::operator delete[](p, std::align_val_t{alignment});
    }
  };

  struct memory_block {
    std::unique_ptr<std::byte[], free_aligned> memory;
    std::size_t size;
  };

  struct memory_stack {
    std::vector<memory_block> blocks;
    std::size_t block = 0;
    std::size_t used = 0;

    void* take(std::size_t bytes) {
      bytes = (bytes + alignment - 1) / alignment * alignment;
      for (; block < blocks.size(); ++block, used = 0) {
        if (blocks[block].size - used >= bytes) {
          std::byte* const begin = blocks[block].memory.get() + used;
          used += bytes;
          return begin;
        }
      }
      const std::size_t size = bytes > smallest_block ? bytes : smallest_block;
      blocks.push_back({std::unique_ptr<std::byte[], free_aligned>(static_cast<std::byte*>(
                            ::operator new[](size, std::align_val_t{alignment}))),
                        size});
      used = bytes;
      return blocks.back().memory.get();
    }
  };

  static memory_stack& stack() {
    thread_local memory_stack instance;
    return instance;
  }

  std::size_t block_;
  std::size_t used_;
};

}  // namespace basin
