/// @file
/// The threads of a CPU context. There is no global pool.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// A fixed number of threads that run numbered tasks. Which thread runs a task
/// is not determined; what a task computes must depend on its number alone.
class thread_pool {
 public:
  /// @param threads at least 1; the calling thread counts as one of them
  explicit thread_pool(int threads) {
    require(threads >= 1, "thread_pool",
            "threads must be at least 1, not " + std::to_string(threads));
    workers_.reserve(static_cast<std::size_t>(threads - 1));
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { serve(); });
  }
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  ~thread_pool() {
    stopping_.store(true, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  /// Number of threads, the caller's included.
  [[nodiscard]] int size() const noexcept { return static_cast<int>(workers_.size()) + 1; }

  /// Calls f(task) for every task in [0, tasks) and returns when all are done.
  /// After an exception no further task begins, and of several exceptions that of
  /// the lowest task is rethrown. From
  /// inside a task, or while another thread of the caller's program is running
  /// tasks on this pool, the tasks run one after the other on the calling thread.
  template <class F>
  void run(index_t tasks, F&& f) {
    if (tasks <= 0) return;
    std::unique_lock lock(busy_, std::defer_lock);
    if (tasks == 1 || workers_.empty() || inside_ == this || !lock.try_lock()) {
      for (index_t task = 0; task < tasks; ++task) f(task);
      return;
    }
    call_ = [](void* function, index_t task) {
      (*static_cast<std::remove_reference_t<F>*>(function))(task);
    };
    function_ = const_cast<void*>(static_cast<const void*>(std::addressof(f)));
    tasks_ = tasks;
    next_.store(0, std::memory_order_relaxed);
    failed_task_ = tasks;
    failure_ = nullptr;
    unfinished_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    take_tasks();
    for (int left = unfinished_.load(std::memory_order_acquire), spins = 0; left != 0;
         left = unfinished_.load(std::memory_order_acquire)) {
      if (++spins > spin_limit) unfinished_.wait(left, std::memory_order_acquire);
    }
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  static constexpr int spin_limit = 20000;  // some 20 µs: less than it costs to wake a thread

  void take_tasks() {
    const thread_pool* before = std::exchange(inside_, this);
    for (;;) {
      const index_t task = next_.fetch_add(1, std::memory_order_relaxed);
      if (task >= tasks_) break;
      try {
        call_(function_, task);
      } catch (...) {
        std::lock_guard lock(failure_mutex_);
        if (task < failed_task_) {
          failed_task_ = task;
          failure_ = std::current_exception();
        }
        next_.store(tasks_, std::memory_order_relaxed);
      }
    }
    inside_ = before;
  }

  void serve() {
    std::uint64_t seen = 0;
    for (;;) {
      for (int spins = 0; generation_.load(std::memory_order_acquire) == seen;) {
        if (++spins > spin_limit) generation_.wait(seen, std::memory_order_acquire);
      }
      ++seen;
      if (stopping_.load(std::memory_order_relaxed)) return;
      take_tasks();
      if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
    }
  }

  std::vector<std::thread> workers_;
  std::mutex busy_;
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
  index_t failed_task_ = 0;
  void (*call_)(void*, index_t) = nullptr;
  void* function_ = nullptr;
  index_t tasks_ = 0;
  std::atomic<index_t> next_{0};
  std::atomic<int> unfinished_{0};
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<bool> stopping_{false};
  static inline thread_local const thread_pool* inside_ = nullptr;
};

}  // namespace basin
