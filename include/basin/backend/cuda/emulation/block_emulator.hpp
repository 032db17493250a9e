/// @file
/// Runs the threads of a block as fibers, from barrier to barrier.
///
/// A warp runs until each of its threads has ended or waits at the barrier of the block; then the
/// next warp does. Within a warp each lane runs until it ends or waits; shuffles are barriers of
/// the warp. Between two barriers no thread is interrupted, so a pair of them that needs a
/// barrier more has two outcomes: forward and reversed schedules show both.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <basin/backend/cuda/emulation/fiber.hpp>
#include <basin/backend/cuda/emulation/schedule.hpp>
#include <basin/backend/cuda/emulation/shared_memory.hpp>
#include <basin/backend/cuda/launch_shape.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

/// The barrier that a thread waits at. Threads that wait at other lines wait at other barriers.
struct barrier {
  const char* operation = "";
  const char* file = "";
  int line = 0;
  // Of shuffles: what this lane gives, and where it wants what another gives. A source that the
  // warp does not have leaves `received` as it is.
  const void* given = nullptr;
  void* received = nullptr;
  std::size_t bytes = 0;
  int source = 0;

  [[nodiscard]] bool is(const barrier& other) const {
    const auto same = [](const char* x, const char* y) { return x == y || !std::strcmp(x, y); };
    return line == other.line && bytes == other.bytes && same(operation, other.operation) &&
           same(file, other.file);
  }
  /// "sync() of FILE:LINE"
  [[nodiscard]] std::string text() const {
    const std::string_view path(file);
    return std::string(operation) + "() of " + std::string(path.substr(path.rfind('/') + 1)) + ":" +
           std::to_string(line);
  }
};

/// "0-3, 5, 8-9", of ascending numbers; the first of very many.
[[nodiscard]] inline std::string ranges(const std::vector<int>& numbers) {
  constexpr int most = 8;
  std::string text;
  int written = 0;
  for (std::size_t i = 0; i < numbers.size(); ++written) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    if (written == most) return text + ", ... (" + std::to_string(numbers.size()) + " in all)";
    if (written > 0) text += ", ";
    text += std::to_string(numbers[i]);
    if (last > i) text += "-" + std::to_string(numbers[last]);
    i = last + 1;
  }
  return text;
}

/// What is written plainly here is so for its speed where nothing is optimised, as beside
/// sanitizers.
class BlockEmulator {
 public:
  /// Runs a kernel as one thread of the block.
  using kernel_call = void (*)(const void* kernel, BlockEmulator& block, int thread);

  BlockEmulator(std::string_view name, const launch_shape& shape, launch_schedule schedule,
                kernel_call call, const void* kernel)
      : name_(name),
        shape_(shape),
        warp_order_(schedule, 1),
        lane_order_(schedule, 2),
        call_(call),
        kernel_(kernel),
        shared_(shape.shared_bytes),
        storage_(static_cast<std::size_t>(shape.threads)),
        threads_(storage_.data()) {
    for (int i = 0; i < shape.threads; ++i) {
      threads_[i].block = this;
      threads_[i].number = i;
    }
  }
  BlockEmulator(const BlockEmulator&) = delete;
  BlockEmulator& operator=(const BlockEmulator&) = delete;

  /// Runs block `index`.
  /// @throws kernel_error where the kernel breaks a rule; whatever the kernel throws. All fibers
  ///   have been unwound then.
  void run(index_t index) {
    index_ = index;
    shared_.clear();
    for (int i = 0; i < shape_.threads; ++i) threads_[i].state = thread_state::fresh;
    const int warps = (shape_.threads + warp_size - 1) / warp_size;
    try {
      do {
        warp_order_.draw(warps);
        for (int k = 0; k < warps; ++k) run_warp(static_cast<int>(warp_order_.at(k)) * warp_size);
      } while (pass(0, shape_.threads, thread_state::at_barrier));
    } catch (...) {
      cancel();
      throw;
    }
  }

  [[nodiscard]] index_t index() const noexcept { return index_; }
  [[nodiscard]] const launch_shape& shape() const noexcept { return shape_; }
  [[nodiscard]] SharedMemory& shared() noexcept { return shared_; }

  /// A thread waits until every thread of its block does.
  void wait(int thread, const barrier& at) { wait(thread, thread_state::at_barrier, at); }
  /// A thread waits until every lane of its warp does, and values are exchanged.
  void exchange(int thread, const barrier& at) { wait(thread, thread_state::at_shuffle, at); }

  /// Throws a kernel_error that names the kernel, the block and a thread.
  [[noreturn]] void fail(int thread, const std::string& what) const {
    throw kernel_error(place() + ", thread " + std::to_string(thread) + ": " + what);
  }

 private:
  enum class thread_state : std::uint8_t { fresh, ready, at_shuffle, at_barrier, ended };

  struct emulated_thread {
    BlockEmulator* block = nullptr;
    int number = 0;
    thread_state state = thread_state::ended;
    const barrier* at = nullptr;  ///< on the stack of the thread, while it waits
    Fiber* fiber = nullptr;
  };
  /// Thrown at a barrier that will not be passed, so that the stack is unwound.
  struct cancelled {};

  [[nodiscard]] std::string place() const {
    return "kernel " + name_ + ", block " + std::to_string(index_);
  }

  void wait(int thread, thread_state state, const barrier& at) {
    emulated_thread& t = threads_[thread];
    if (cancelled_) throw cancelled{};
    t.state = state;
    t.at = &at;
    t.fiber->suspend();
    if (cancelled_) throw cancelled{};
  }

  /// The function of a fiber.
  static void enter(void* thread) {
    emulated_thread& t = *static_cast<emulated_thread*>(thread);
    BlockEmulator& block = *t.block;
    try {
      block.call_(block.kernel_, block, t.number);
    } catch (const cancelled&) {  // as wanted
    } catch (...) {
      if (!block.cancelled_) {
        block.failure_ = std::current_exception();
        block.failed_ = true;
      }
    }
    t.state = thread_state::ended;
  }

  /// Runs a thread until it ends or waits.
  void run_thread(emulated_thread& t) {
    if (t.state == thread_state::fresh) {
      t.fiber = pool_.take();
      t.state = thread_state::ready;
      t.fiber->start(&BlockEmulator::enter, &t);
    } else {
      t.fiber->resume();
    }
    if (t.state == thread_state::ended) {
      pool_.give_back(t.fiber);
      t.fiber = nullptr;
    }
  }

  /// Runs the warp that begins with a thread until all its lanes have ended or wait for others.
  void run_warp(int first) {
    const int lanes = std::min(warp_size, shape_.threads - first);
    do {
      lane_order_.draw(lanes);
      for (int k = 0; k < lanes; ++k) {
        emulated_thread& t = threads_[first + lane_order_.at(k)];
        if (t.state > thread_state::ready) continue;
        run_thread(t);
        if (failed_) std::rethrow_exception(failure_);
      }
    } while (pass(first, lanes, thread_state::at_shuffle));
  }

  /// Whether some threads of first ... first + count - 1 wait in a state; then all do, at the same
  /// barrier, and pass it.
  bool pass(int first, int count, thread_state waiting) {
    emulated_thread* const group = threads_ + first;
    int found = 0;
    while (found < count && group[found].state != waiting) ++found;
    if (found == count) return false;
    for (int i = 0; i < count; ++i) {
      if (group[i].state == waiting && group[i].at->is(*group[found].at)) continue;
      throw kernel_error(place() +
                         ": not all threads reach the same barrier: " + whereabouts(first, count));
    }
    // All wait, so what they give is still on their stacks.
    for (int i = 0; i < count; ++i) {
      const barrier& to = *group[i].at;
      if (to.bytes == 0 || to.source >= count) continue;
      std::memcpy(to.received, group[to.source].at->given, to.bytes);
    }
    for (int i = 0; i < count; ++i) group[i].state = thread_state::ready;
    return true;
  }

  /// What each of some threads does: "threads 0-15 at sync() of FILE:1, threads 16-31 ended".
  [[nodiscard]] std::string whereabouts(int first, int count) const {
    std::vector<std::pair<std::string, std::vector<int>>> groups;
    for (int i = first; i < first + count; ++i) {
      const emulated_thread& t = threads_[i];
      const std::string does = t.state == thread_state::ended ? " ended" : " at " + t.at->text();
      auto group = std::find_if(groups.begin(), groups.end(),
                                [&](const auto& known) { return known.first == does; });
      if (group == groups.end()) group = groups.insert(group, {does, {}});
      group->second.push_back(i);
    }
    std::string text;
    for (const auto& [does, numbers] : groups) {
      text += (text.empty() ? "" : ", ") +
              std::string(numbers.size() > 1 ? "threads " : "thread ") + ranges(numbers) + does;
    }
    return text;
  }

  /// Unwinds every stack on which a thread waits.
  void cancel() {
    cancelled_ = true;
    for (int i = 0; i < shape_.threads; ++i) {
      if (threads_[i].fiber != nullptr) run_thread(threads_[i]);
    }
    cancelled_ = false;
  }

  std::string name_;
  launch_shape shape_;
  Arrangement warp_order_, lane_order_;
  kernel_call call_;
  const void* kernel_;
  SharedMemory shared_;
  FiberPool& pool_ = FiberPool::of_this_thread();
  std::vector<emulated_thread> storage_;
  emulated_thread* threads_;
  index_t index_ = 0;
  bool failed_ = false;
  std::exception_ptr failure_;
  bool cancelled_ = false;
};

}  // namespace basin::detail
