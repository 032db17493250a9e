#include <basin/backend/cpu/thread_pool.hpp>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../catch.hpp"

using basin::index_t;
using basin::thread_pool;

TEST_CASE("every task runs once", "[backend][threads]") {
  for (const int threads : {1, 2, 3, 4}) {
    thread_pool pool(threads);
    CHECK(pool.size() == threads);
    for (const index_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
      pool.run(tasks, [&](index_t task) { ++runs[static_cast<std::size_t>(task)]; });
      for (const auto& count : runs) CHECK(count == 1);
    }
  }
}

TEST_CASE("an exception of a task reaches the caller, and the pool lives on",
          "[backend][threads]") {
  thread_pool pool(3);
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> begun = 0;
    try {
      pool.run(1000, [&](index_t task) {
        ++begun;
        if (task % 100 == 7) throw std::runtime_error(std::to_string(task));
      });
      FAIL("no exception");
    } catch (const std::runtime_error& e) {
      CHECK(std::stoi(e.what()) % 100 == 7);
    }
    CHECK(begun <= 1000);
  }
  std::atomic<int> sum = 0;
  pool.run(10, [&](index_t task) { sum += static_cast<int>(task); });
  CHECK(sum == 45);
}

TEST_CASE("tasks may run tasks, and threads may share a pool", "[backend][threads]") {
  thread_pool pool(2);
  std::atomic<int> sum = 0;
  pool.run(8, [&](index_t) { pool.run(8, [&](index_t) { ++sum; }); });
  CHECK(sum == 64);
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 4; ++i) {
      callers.emplace_back([&] {
        for (int round = 0; round < 100; ++round) pool.run(5, [&](index_t) { ++sum; });
      });
    }
  }
  CHECK(sum == 64 + 4 * 100 * 5);
}
