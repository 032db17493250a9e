/// @file
/// Fibers: stacks of their own on which functions run by turns in one thread. Boost.Context
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

/// A stack that code runs on: a Fiber's, or the one that the calling thread has already.
class Stack {
 public:
  /// The calling thread's.
  Stack() = default;
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  /// Called on this stack: goes on where the other was left, and returns when someone comes back.
  void go_to(Stack& other) {
    passage to_other{this, &other};
    void* fake_stack = nullptr;
    if constexpr (address_sanitizer) {
      __sanitizer_start_switch_fiber(&fake_stack, other.bottom_, other.size_);
    }
    arrive(boost::context::detail::jump_fcontext(other.context_, &to_other), fake_stack);
  }

 protected:
  /// From which stack to which.
  struct passage {
    Stack* from;
    Stack* to;
  };
  using transfer = boost::context::detail::transfer_t;

  Stack(void* context, const void* bottom, std::size_t size)
      : context_(context), bottom_(bottom), size_(size) {}

  /// The other end of every jump: keeps where the stack was left that it came from.
  static Stack& arrive(transfer came, void* fake_stack) {
    const passage& by = *static_cast<const passage*>(came.data);
    by.from->context_ = came.fctx;
    if constexpr (address_sanitizer) {
      __sanitizer_finish_switch_fiber(fake_stack, &by.from->bottom_, &by.from->size_);
    }
    return *by.to;
  }
  /// To be called before a jump from a stack that nobody comes back to: where it goes.
  static boost::context::detail::fcontext_t leave_for_good(const passage& by) {
    if constexpr (address_sanitizer) {
      __sanitizer_start_switch_fiber(nullptr, by.to->bottom_, by.to->size_);
    }
    return by.to->context_;
  }

 private:
  boost::context::detail::fcontext_t context_ = nullptr;  ///< where it was left
  const void* bottom_ = nullptr;
  std::size_t size_ = 0;
};

/// A stack of its own, on which functions run one after the other. Behind it is a page that nobody
/// may touch.
class Fiber : public Stack {
 public:
  /// Returns the stack to go to when it has ended. Must not throw.
  using function = Stack& (*)(Fiber& here, void* argument);

  Fiber() : Fiber(boost::context::protected_fixedsize_stack(stack_bytes).allocate()) {}
  /// No function may be running on it.
  ~Fiber() {
    Stack here;
    argument_ = &here;
    here.go_to(*this);  // without a function: to leave its first frame
    boost::context::protected_fixedsize_stack(stack_bytes).deallocate(memory_);
  }

  /// Called on another stack: goes to this one and begins a function there.
  void start(Stack& from, function f, void* argument) {
    function_ = f;
    argument_ = argument;
    from.go_to(*this);
  }

 private:
  friend class FiberPool;

  /// Of memory that is taken when it is touched; sanitizers make frames large.
  static constexpr std::size_t stack_bytes = std::size_t{256} * 1024;

  explicit Fiber(const boost::context::stack_context& memory)
      : Stack(boost::context::detail::make_fcontext(memory.sp, memory.size, &Fiber::enter),
              static_cast<const std::byte*>(memory.sp) - memory.size, memory.size),
        memory_(memory) {}

  /// Runs functions as they come, until there is none.
  static Fiber& serve(transfer came) {
    auto& self = static_cast<Fiber&>(arrive(came, nullptr));
    while (self.function_ != nullptr) {
      Stack& next = self.function_(self, self.argument_);
      self.function_ = nullptr;
      self.go_to(next);
    }
    return self;
  }
  /// The first frame of the stack, never left: nothing of it may be poisoned when the stack's
  /// memory is given back.
  [[gnu::no_sanitize_address]] static void enter(transfer came) {
    Fiber& self = serve(came);
    passage back{&self, static_cast<Stack*>(self.argument_)};
    boost::context::detail::jump_fcontext(leave_for_good(back), &back);
  }

  boost::context::stack_context memory_;
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
  [[nodiscard]] Fiber& take() {
    return idle_ != nullptr ? *std::exchange(idle_, idle_->next_) : *new Fiber;
  }
  /// By the function that runs on it too, before it ends.
  void give_back(Fiber& fiber) {
    fiber.next_ = idle_;
    idle_ = &fiber;
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
