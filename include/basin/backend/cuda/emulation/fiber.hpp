/// @file
/// Fibers: functions with stacks of their own, which run by turns in one thread. Boost.Context
/// switches stacks; the address sanitizer is told of every switch.
#pragma once

#include <cstddef>
#include <utility>

#include <boost/context/detail/fcontext.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>

// The sanitizer's interface (sanitizer/common_interface_defs.h); called where it is there alone.
extern "C" {
void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, std::size_t size);
void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom, std::size_t* size);
}

namespace basin::detail {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool address_sanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool address_sanitizer = true;
#else
inline constexpr bool address_sanitizer = false;
#endif
#else
inline constexpr bool address_sanitizer = false;
#endif

/// A stack on which functions run, one after the other, each of which may suspend itself. Behind
/// the stack is a page that nobody may touch. Functions must not throw.
class Fiber {
 public:
  using function = void (*)(void*);

  Fiber()
      : stack_(boost::context::protected_fixedsize_stack(stack_bytes).allocate()),
        context_(boost::context::detail::make_fcontext(stack_.sp, stack_.size, &Fiber::enter)) {}
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  /// The function must have returned.
  ~Fiber() {
    resume();  // without a function: the stack is left for good
    boost::context::protected_fixedsize_stack(stack_bytes).deallocate(stack_);
  }

  /// Runs f(argument) until it returns or suspends.
  void start(function f, void* argument) {
    function_ = f;
    argument_ = argument;
    resume();
  }
  /// Goes on where the function suspended, until it returns or suspends again.
  void resume() {
    void* fake_stack = nullptr;
    if constexpr (address_sanitizer) {
      __sanitizer_start_switch_fiber(
          &fake_stack, static_cast<const std::byte*>(stack_.sp) - stack_.size, stack_.size);
    }
    const transfer from = boost::context::detail::jump_fcontext(context_, this);
    if constexpr (address_sanitizer) {
      __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
    }
    context_ = from.fctx;
  }
  /// Called by the function: goes on behind start() or resume().
  void suspend() {
    void* fake_stack = nullptr;
    if constexpr (address_sanitizer) {
      __sanitizer_start_switch_fiber(&fake_stack, caller_bottom_, caller_size_);
    }
    arrive(boost::context::detail::jump_fcontext(caller_, nullptr), fake_stack);
  }

 private:
  friend class FiberPool;
  using transfer = boost::context::detail::transfer_t;

  /// Of memory that is taken when it is touched; sanitizers make frames large.
  static constexpr std::size_t stack_bytes = std::size_t{256} * 1024;

  void arrive(transfer from, void* fake_stack) {
    if constexpr (address_sanitizer) {
      __sanitizer_finish_switch_fiber(fake_stack, &caller_bottom_, &caller_size_);
    }
    caller_ = from.fctx;
  }
  /// Runs functions as they come; returns when there is none.
  void serve(transfer from) {
    arrive(from, nullptr);
    while (function_ != nullptr) {
      function_(argument_);
      function_ = nullptr;
      suspend();
    }
  }
  /// The first frame of the stack, never left: nothing of it may be poisoned when the stack's
  /// memory is given back.
  [[gnu::no_sanitize_address]] static void enter(transfer from) {
    auto* const self = static_cast<Fiber*>(from.data);
    self->serve(from);
    if constexpr (address_sanitizer) {
      __sanitizer_start_switch_fiber(nullptr, self->caller_bottom_, self->caller_size_);
    }
    boost::context::detail::jump_fcontext(self->caller_, nullptr);
  }

  boost::context::stack_context stack_;
  boost::context::detail::fcontext_t context_;           ///< where the fiber waits
  boost::context::detail::fcontext_t caller_ = nullptr;  ///< where who resumed it waits
  const void* caller_bottom_ = nullptr;
  std::size_t caller_size_ = 0;
  function function_ = nullptr;
  void* argument_ = nullptr;
  Fiber* next_ = nullptr;  ///< of those in a pool
};

/// Fibers to use again: a stack costs two system calls.
class FiberPool {
 public:
  FiberPool() = default;
  FiberPool(const FiberPool&) = delete;
  FiberPool& operator=(const FiberPool&) = delete;
  ~FiberPool() {
    while (idle_ != nullptr) delete std::exchange(idle_, idle_->next_);
  }

  /// A fiber that runs nothing; to be given back.
  [[nodiscard]] Fiber* take() {
    return idle_ != nullptr ? std::exchange(idle_, idle_->next_) : new Fiber;
  }
  void give_back(Fiber* fiber) {
    fiber->next_ = idle_;
    idle_ = fiber;
  }

  /// That of the calling thread.
  [[nodiscard]] static FiberPool& of_this_thread() {
    static thread_local FiberPool pool;
    return pool;
  }

 private:
  Fiber* idle_ = nullptr;  ///< the first of a list
};

}  // namespace basin::detail
