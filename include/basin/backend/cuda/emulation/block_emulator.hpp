/// @file
/// Runs the threads of a block as fibers, from barrier to barrier.
///
/// A warp runs until each of its threads has ended or waits at the barrier of the block; then the
/// next warp does. Within a warp each lane runs until it ends or waits; at a shuffle it waits only
/// where the lane that it wants a value of has not come there yet. Between two barriers no thread
/// is interrupted otherwise, so a pair of them that needs a barrier more has two outcomes: forward
/// and reversed schedules show both.
///
/// A thread that waits goes straight to the one whose turn is next. One that has ended leaves its
/// stack to the next one that begins, so that threads which never wait need one stack in all.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <basin/backend/cuda/emulation/fiber.hpp>
#include <basin/backend/cuda/emulation/schedule.hpp>
#include <basin/backend/cuda/emulation/shared_memory.hpp>
#include <basin/backend/cuda/emulation/warp_exchange.hpp>
#include <basin/backend/cuda/launch_shape.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

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
        warps_((shape.threads + warp_size - 1) / warp_size),
        warp_order_(schedule, 1),
        lane_order_(schedule, 2),
        call_(call),
        kernel_(kernel),
        shared_(shape.shared_bytes),
        storage_(static_cast<std::size_t>(shape.threads)),
        threads_(storage_.data()) {}
  BlockEmulator(const BlockEmulator&) = delete;
  BlockEmulator& operator=(const BlockEmulator&) = delete;

  /// Runs block `index`.
  /// @throws kernel_error where the kernel breaks a rule; whatever the kernel throws. All fibers
  ///   have been unwound then, and this object runs no block any more.
  void run(index_t index) {
    index_ = index;
    shared_.clear();
    set_all(thread_state::fresh);
    begin_warps();
    if (next() != nullptr) begin_on_fiber(caller_);
    // Back here every thread has ended, or one has failed.
    if (!stopped_) return;
    for (int i = 0; i < shape_.threads; ++i) {
      if (threads_[i].fiber != nullptr) caller_.go_to(*threads_[i].fiber);  // unwinds its stack
    }
    std::rethrow_exception(failure_);
  }

  [[nodiscard]] index_t index() const noexcept { return index_; }
  [[nodiscard]] const launch_shape& shape() const noexcept { return shape_; }
  [[nodiscard]] SharedMemory& shared() noexcept { return shared_; }

  /// A thread waits until every thread of its block does.
  void wait(int thread, const barrier& at) {
    emulated_thread& t = threads_[thread];
    if (stopped_) throw cancelled{};
    t.state = thread_state::at_barrier;
    leave(t, at);
  }
  /// A thread waits until it has what it wants of its warp: a value, or that every lane is there.
  void exchange(int thread, const barrier& at) {
    emulated_thread& t = threads_[thread];
    if (stopped_) throw cancelled{};
    const index_t n = t.exchanges;
    const int lane = thread - first_;
    using enum WarpExchange::entry;
    WarpExchange::entry entered = exchange_.give(n, lane, at);
    if (entered == closed) {
      wait_for(t, n, 0, at);
      entered = exchange_.give(n, lane, at);
    }
    if (entered == other) wait_for(t, n, ~lane_set{0}, at);  // for ever: no warp has so many lanes
    ++t.exchanges;
    if (exchange_.receive(n, at)) return;
    wait_for(t, n, exchange_.needed(at), at);
    (void)exchange_.receive(n, at);
  }

  /// Throws a kernel_error that names the kernel, the block and a thread.
  [[noreturn]] void fail(int thread, const std::string& what) const {
    throw kernel_error(place() + ", thread " + std::to_string(thread) + ": " + what);
  }

 private:
  using lane_set = WarpExchange::lane_set;
  enum class thread_state : std::uint8_t { fresh, ready, at_exchange, at_barrier, ended };

  struct emulated_thread {
    thread_state state = thread_state::ended;
    Fiber* fiber = nullptr;       ///< while it runs or waits
    const barrier* at = nullptr;  ///< on the stack of the thread, while it waits
    index_t exchanges = 0;        ///< that it has taken part in since the barrier of the block
    index_t awaited = 0;          ///< the exchange that it waits in, for lanes that it needs
    lane_set needed = 0;
  };
  /// Thrown at a barrier that will not be passed, so that the stack is unwound.
  struct cancelled {};

  [[nodiscard]] std::string place() const {
    return "kernel " + name_ + ", block " + std::to_string(index_);
  }
  void set_all(thread_state state) {
    for (int i = 0; i < shape_.threads; ++i) {
      threads_[i].state = state;
      threads_[i].exchanges = 0;
    }
  }

  /// A lane waits until others have taken part in exchange n.
  void wait_for(emulated_thread& t, index_t n, lane_set needed, const barrier& at) {
    t.state = thread_state::at_exchange;
    t.awaited = n;
    t.needed = needed;
    ++waiting_;
    leave(t, at);
    --waiting_;
  }
  /// Goes from a thread that waits to the next, and returns at its own turn.
  void leave(emulated_thread& t, const barrier& at) {
    t.at = &at;
    emulated_thread* const to = next();
    if (to == &t) return;
    if (to == nullptr) {
      t.fiber->go_to(caller_);
    } else if (to->fiber != nullptr) {
      t.fiber->go_to(*to->fiber);
    } else {
      begin_on_fiber(*t.fiber);
    }
    if (stopped_) throw cancelled{};
  }

  /// Goes from a stack to a new one, on which the next thread begins.
  void begin_on_fiber(Stack& from) { pool_.take().start(from, &BlockEmulator::run_threads, this); }
  /// Runs the next thread from its beginning, and those after it that begin too.
  static Stack& run_threads(Fiber& here, void* of) {
    BlockEmulator& block = *static_cast<BlockEmulator*>(of);
    emulated_thread* t = block.next_;
    do {
      t->fiber = &here;
      block.run_thread(static_cast<int>(t - block.threads_));
      t->state = thread_state::ended;
      t->fiber = nullptr;
      t = block.next();
    } while (t != nullptr && t->fiber == nullptr);
    block.pool_.give_back(here);
    if (t == nullptr) return block.caller_;
    return *t->fiber;
  }
  void run_thread(int thread) {
    try {
      call_(kernel_, *this, thread);
    } catch (const cancelled&) {  // as wanted
    } catch (...) {
      stop(std::current_exception());
    }
  }
  /// Of several failures the first counts: the others come of unwinding.
  void stop(std::exception_ptr failure) {
    if (!stopped_) failure_ = std::move(failure);
    stopped_ = true;
  }

  /// The thread whose turn is next; null where all have ended, or one has failed.
  emulated_thread* next() {
    if (stopped_) return nullptr;
    try {
      return next_ = find_next();
    } catch (...) {
      stop(std::current_exception());
    }
    return nullptr;
  }
  emulated_thread* find_next() {
    for (;;) {
      while (turn_ < lanes_) {
        emulated_thread& t = threads_[first_ + lane_order_.at(turn_++)];
        if (t.state > thread_state::at_exchange) continue;
        if (t.state == thread_state::at_exchange && !exchange_.has(t.awaited, t.needed)) continue;
        moved_ = true;
        return &t;
      }
      if (waiting_ > 0 && moved_) {
        begin_turns();
        continue;
      }
      require_complete();
      if (++warp_ < warps_) {
        begin_warp();
      } else if (pass_barrier()) {
        begin_warps();
      } else {
        return nullptr;
      }
    }
  }
  void begin_warps() {
    warp_order_.draw(warps_);
    warp_ = 0;
    begin_warp();
  }
  void begin_warp() {
    first_ = static_cast<int>(warp_order_.at(warp_)) * warp_size;
    lanes_ = std::min(warp_size, shape_.threads - first_);
    exchange_.begin(lanes_);
    begin_turns();
  }
  /// Each lane of the warp has a turn, if it can use it.
  void begin_turns() {
    lane_order_.draw(lanes_);
    turn_ = 0;
    moved_ = false;
  }

  /// All lanes of a warp have taken part in the same exchanges.
  void require_complete() const {
    const emulated_thread* const warp = threads_ + first_;
    bool complete = waiting_ == 0;
    for (int i = 1; complete && i < lanes_; ++i) {
      complete = warp[i].exchanges == warp[0].exchanges;
    }
    if (complete) return;
    index_t least = warp[0].exchanges;
    for (int i = 1; i < lanes_; ++i) least = std::min(least, warp[i].exchanges);
    throw_diverged(first_, lanes_, least);
  }
  /// Whether some threads of the block wait; then all do, at the same barrier, and pass it.
  bool pass_barrier() {
    int found = 0;
    while (found < shape_.threads && threads_[found].state != thread_state::at_barrier) ++found;
    if (found == shape_.threads) return false;
    const barrier& at = *threads_[found].at;
    for (int i = 0; i < shape_.threads; ++i) {
      if (threads_[i].state == thread_state::at_barrier && threads_[i].at->is(at)) continue;
      throw_diverged(0, shape_.threads);
    }
    set_all(thread_state::ready);
    return true;
  }
  /// @param passed number of exchanges in which all lanes of a warp have taken part: a lane that
  /// has
  ///   gone through more is told to be at the next
  [[noreturn]] void throw_diverged(int first, int count,
                                   index_t passed = std::numeric_limits<index_t>::max()) const {
    std::vector<std::pair<std::string, std::vector<int>>> groups;
    for (int i = first; i < first + count; ++i) {
      const emulated_thread& t = threads_[i];
      const std::string does = t.exchanges > passed ? " at " + exchange_.at(passed).text()
                               : t.state == thread_state::ended ? " ended"
                                                                : " at " + t.at->text();
      auto group = std::find_if(groups.begin(), groups.end(),
                                [&](const auto& known) { return known.first == does; });
      if (group == groups.end()) group = groups.insert(group, {does, {}});
      group->second.push_back(i);
    }
    std::string text;  // "threads 0-15 at sync() of FILE:1, threads 16-31 ended"
    for (const auto& [does, numbers] : groups) {
      text += (text.empty() ? "" : ", ") +
              std::string(numbers.size() > 1 ? "threads " : "thread ") + ranges(numbers) + does;
    }
    throw kernel_error(place() + ": not all threads reach the same barrier: " + text);
  }

  std::string name_;
  launch_shape shape_;
  int warps_;
  Arrangement warp_order_, lane_order_;
  kernel_call call_;
  const void* kernel_;
  SharedMemory shared_;
  WarpExchange exchange_;
  FiberPool& pool_ = FiberPool::of_this_thread();
  Stack caller_;
  std::vector<emulated_thread> storage_;
  emulated_thread* threads_;
  emulated_thread* next_ = nullptr;
  index_t index_ = 0;
  // Whose turn it is: warp number warp_ in their order, whose first thread is first_, and its lane
  // number turn_ in their order.
  int warp_ = 0, first_ = 0, lanes_ = 0, turn_ = 0;
  int waiting_ = 0;     ///< lanes of the warp that wait in an exchange
  bool moved_ = false;  ///< whether a lane has had its turn in this round
  bool stopped_ = false;
  std::exception_ptr failure_;
};

}  // namespace basin::detail
