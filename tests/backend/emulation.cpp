// Faults of kernels are caught where kernels run on the CPU.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <basin/backend/cuda.hpp>
#include <basin/core/error.hpp>

#include "../catch.hpp"
#include "launch.hpp"

using basin::index_t;
using basin::launch;
using basin::launch_order;
using basin::launch_schedule;
using basin::launch_shape;
using basin::scoped_schedule;
using basin::warp_size;
using launches::in_every_schedule;
using launches::on_device;
using launches::on_host;
using launches::small_integers;

namespace {

const basin::cuda<float> be;

// What a launch in a schedule throws.
template <class Kernel>
std::string fault(const Kernel& kernel, const launch_shape& shape, launch_schedule schedule = {}) {
  const scoped_schedule scope(schedule);
  try {
    launch(be, "faulty", shape, kernel);
  } catch (const basin::kernel_error& e) {
    return e.what();
  }
  return "no fault";
}

void says(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
}

// A kernel made of a function: for these tests alone, since a GPU takes no closure.
template <class F>
struct of {
  F f;
  template <class Block>
  void operator()(Block& block) const {
    f(block);
  }
};
template <class F>
of(F) -> of<F>;

// Moves every entry of a block to the one before; the last stays. Between reading and writing all
// threads must meet.
struct shift {
  std::int32_t* x;
  bool with_barrier;
  template <class Block>
  void operator()(Block& block) const {
    const int t = block.thread(), last = block.threads() - 1;
    const auto values = block.template shared<std::int32_t>(block.threads());
    values[t] = x[block.index() * block.threads() + t];
    block.sync();
    const std::int32_t next = values[t < last ? t + 1 : t];
    if (with_barrier) block.sync();
    values[t] = next;
    block.sync();
    x[block.index() * block.threads() + t] = values[t];
  }
};

bool shift_is_right(bool with_barrier, int threads, launch_schedule schedule) {
  const scoped_schedule scope(schedule);
  const index_t blocks = 3;
  const std::vector<std::int32_t> x = small_integers<std::int32_t>(blocks * threads);
  std::vector<std::int32_t> expected(x.size());
  for (index_t i = 0; i < blocks * threads; ++i) {
    const index_t next = i % threads < threads - 1 ? i + 1 : i;
    expected[static_cast<std::size_t>(i)] = x[static_cast<std::size_t>(next)];
  }
  auto y = on_device(be, x);
  launch(be, "shift", {.blocks = blocks, .threads = threads, .shared_bytes = 4 * threads},
         shift{y.data(), with_barrier});
  return on_host(be, y) == expected;
}

}  // namespace

TEST_CASE("a missing barrier shows in other schedules, and never in the forward one",
          "[backend][emulation]") {
  for (const int threads : {32, 33, 100, 1024}) {
    for (const launch_schedule& schedule : launches::schedules) {
      CHECK(shift_is_right(true, threads, schedule));
    }
    // Forward, every thread has read its neighbour's entry before the neighbour overwrites it.
    CHECK(shift_is_right(false, threads, {launch_order::forward}));
    CHECK_FALSE(shift_is_right(false, threads, {launch_order::reversed}));
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      CHECK_FALSE(shift_is_right(false, threads, {launch_order::permuted, seed}));
    }
  }
}

TEST_CASE("shared memory that nobody has written is not read", "[backend][emulation]") {
  std::vector<float> out(40);
  float* const to = out.data();
  // The neighbour has not written yet, in whatever order.
  const of without_barrier{[=](auto& block) {
    const auto values = block.template shared<float>(block.threads());
    const int t = block.thread(), next = (t + 1) % block.threads();
    values[t] = 1;
    to[t] = values[next];
  }};
  for (const launch_schedule& schedule : launches::schedules) {
    const std::string text =
        fault(without_barrier, {.blocks = 1, .threads = 40, .shared_bytes = 160}, schedule);
    says(text, "kernel faulty, block 0, thread ");
    says(text, "no thread has written entry ");
    says(text, " of a shared array of 40 entries");
  }
  says(fault(without_barrier, {.blocks = 1, .threads = 40, .shared_bytes = 160}),
       "block 0, thread 0: no thread has written entry 1 of");
  // What another block has written counts for nothing.
  const of from_another_block{[=](auto& block) {
    const auto values = block.template shared<float>(3);
    if (block.index() == 2) values[1] += 1;
    values[1] = 1;
  }};
  says(fault(from_another_block, {.blocks = 3, .threads = 1, .shared_bytes = 12}),
       "block 2, thread 0: no thread has written entry 1 of a shared array of 3");
}

TEST_CASE("unchecked shared memory is poison before every block", "[backend][emulation]") {
  std::vector<float> floats(6);
  std::vector<double> doubles(6);
  std::vector<std::int32_t> integers(6);
  const of kernel{[f = floats.data(), d = doubles.data(), k = integers.data()](auto& block) {
    double* const wide = block.template shared<double>(2).data();
    float* const narrow = block.template shared<float>(2).data();
    std::int32_t* const whole = block.template shared<std::int32_t>(2).data();
    for (int i = 0; i < 2; ++i) {
      const index_t at = 2 * block.index() + i;
      std::memcpy(d + at, wide + i, sizeof(double));
      std::memcpy(f + at, narrow + i, sizeof(float));
      k[at] = whole[i];
      wide[i] = narrow[i] = 0;
      whole[i] = 0;
    }
  }};
  launch(be, "poison", {.blocks = 3, .threads = 1, .shared_bytes = 32}, kernel);
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(std::isnan(floats[i]));
    CHECK(std::isnan(doubles[i]));
    CHECK((std::bit_cast<std::uint32_t>(floats[i]) & 0x00400000u) == 0);  // signalling
    CHECK((std::bit_cast<std::uint64_t>(doubles[i]) & 0x0008000000000000u) == 0);
    CHECK(std::abs(static_cast<double>(integers[i])) > 1e9);
  }
}

TEST_CASE("shared memory has bounds", "[backend][emulation]") {
  const launch_shape shape{.blocks = 5, .threads = 33, .shared_bytes = 64};
  for (const int wrong : {-1, 8, 9, 1000}) {
    const of reads{[=](auto& block) {
      const auto values = block.template shared<double>(8);
      for (int i = 0; i < 8; ++i) values[i] = 0;
      if (block.index() == 3 && block.thread() == 32) {
        const double value = values[wrong];
        values[0] = value;
      }
    }};
    const of writes{[=](auto& block) {
      const auto values = block.template shared<double>(8);
      if (block.index() == 3 && block.thread() == 32) values[wrong] = 1;
    }};
    for (const launch_schedule& schedule : launches::schedules) {
      const std::string expected = "kernel faulty, block 3, thread 32: index " +
                                   std::to_string(wrong) +
                                   " is outside a shared array of 8 entries";
      CHECK(fault(reads, shape, schedule) == expected);
      CHECK(fault(writes, shape, schedule) == expected);
    }
  }
  // The next array is no part of the one before.
  says(fault(of{[](auto& block) {
               const auto first = block.template shared<float>(2);
               const auto second = block.template shared<float>(2);
               second[0] = 1;
               first[2] = 1;
             }},
             shape),
       "index 2 is outside a shared array of 2");
  // Arrays that the launch has no memory for, by their sizes and by their alignment.
  says(fault(of{[](auto& block) { (void)block.template shared<double>(9); }}, shape),
       "wants a shared array of 9 entries of 8 bytes behind 0 of 64 bytes of shared memory");
  says(fault(of{[](auto& block) {
               (void)block.template shared<char>(1);
               (void)block.template shared<double>(8);
             }},
             shape),
       "wants a shared array of 8 entries of 8 bytes behind 8 of 64");
  says(fault(of{[](auto& block) { (void)block.template shared<double>(-1); }}, shape),
       "wants a shared array of -1");
  for (const launch_schedule& schedule : launches::schedules) {
    says(fault(of{[](auto& block) {
                 if (block.thread() < 7) (void)block.template shared<float>(2);
                 (void)block.template shared<double>(2);
               }},
               shape, schedule),
         "asks for other shared arrays than another thread");
  }
}

TEST_CASE("a barrier that not all threads reach", "[backend][emulation]") {
  const launch_shape shape{.blocks = 2, .threads = 48};
  for (const launch_schedule& schedule : launches::schedules) {
    // Some have ended.
    says(fault(of{[](auto& block) {
                 if (block.index() == 1 && block.thread() >= 40) return;
                 block.sync();
               }},
               shape, schedule),
         "kernel faulty, block 1: not all threads reach the same barrier: threads 0-39 at "
         "sync() of emulation.cpp:");
    says(fault(of{[](auto& block) {
                 if (block.thread() % 5 != 1) block.sync();
               }},
               shape, schedule),
         "threads 1, 6, 11, 16, 21, 26, 31, 36, ... (10 in all) ended");
    // Loops of other lengths.
    says(fault(of{[](auto& block) {
                 for (int i = 0; i < 3 + block.thread() / 47; ++i) block.sync();
               }},
               shape, schedule),
         "thread 47 at sync()");
    // Both branches have a barrier, but not the same.
    const std::string branches = fault(of{[](auto& block) {
                                         if (block.thread() < 32) {
                                           block.sync();
                                         } else {
                                           block.sync();
                                         }
                                       }},
                                       shape, schedule);
    says(branches, "threads 0-31 at sync() of emulation.cpp:");
    says(branches, ", threads 32-47 at sync() of emulation.cpp:");
    // Some lanes of a warp.
    const std::string lanes = fault(of{[](auto& block) {
                                      if (block.thread() < 36) (void)block.shuffle_down(1, 1);
                                    }},
                                    shape, schedule);
    says(lanes,
         "not all threads reach the same barrier: threads 32-35 at "
         "shuffle_down() of emulation.cpp:");
    says(lanes, ", threads 36-47 ended");
    const std::string kinds = fault(of{[](auto& block) {
                                      if (block.lane() == 3) {
                                        block.sync_warp();
                                      } else {
                                        block.sync();
                                      }
                                    }},
                                    {.blocks = 1, .threads = 16}, schedule);
    says(kinds, "thread 3 at sync_warp()");
    says(kinds, "threads 0-2, 4-15 at sync()");
    // Values of different sizes.
    says(fault(of{[](auto& block) {
                 block.lane() == 0 ? (void)block.shuffle(1, 0) : (void)block.shuffle(1.0, 0);
               }},
               shape, schedule),
         "not all threads reach the same barrier");
  }
}

TEST_CASE("what a kernel throws reaches the caller, and every stack is unwound",
          "[backend][emulation]") {
  struct counted {
    int* alive;
    explicit counted(int* count) : alive(count) { ++*alive; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    ~counted() { --*alive; }
  };
  struct unusual {
    int thread;
  };
  int alive = 0, most = 0;
  for (const launch_schedule& schedule : launches::schedules) {
    for (const bool at_barrier : {false, true}) {
      const scoped_schedule scope(schedule);
      const of kernel{[&alive, &most, at_barrier](auto& block) {
        const counted object(&alive);
        const std::vector<int> memory(100);
        most = std::max(most, alive);
        if (at_barrier) block.sync();
        if (block.index() == 1 && block.thread() == 37) throw unusual{block.thread()};
        block.sync();
      }};
      try {
        launch(be, "throws", {.blocks = 3, .threads = 70}, kernel);
        FAIL("nothing thrown");
      } catch (const unusual& thrown) {
        CHECK(thrown.thread == 37);
      }
      CHECK(alive == 0);
      // A fault leaves nothing behind either.
      CHECK(fault(of{[&alive](auto& block) {
                    const counted object(&alive);
                    if (block.thread() != 9) block.sync();
                  }},
                  {.blocks = 1, .threads = 70}, schedule) != "no fault");
      CHECK(alive == 0);
      CHECK(shift_is_right(true, 100, schedule));
    }
  }
  CHECK(most == 70);
}

TEST_CASE("lanes that are not there give poison, lanes beyond the warp one's own value",
          "[backend][emulation]") {
  std::vector<float> down(40), up(40), fixed(40);
  const of kernel{[d = down.data(), u = up.data(), s = fixed.data()](auto& block) {
    const auto value = static_cast<float>(block.thread());
    d[block.thread()] = block.shuffle_down(value, 5);
    u[block.thread()] = block.shuffle_up(value, 5);
    s[block.thread()] = block.shuffle(value, 9);
  }};
  in_every_schedule([&] {
    launch(be, "lanes", {.blocks = 1, .threads = 40}, kernel);
    for (int t = 0; t < 40; ++t) {  // the second warp has eight lanes
      const auto i = static_cast<std::size_t>(t);
      const int lane = t % warp_size, beyond = lane + 5;
      if (t < 32 || beyond < 8) {
        CHECK(down[i] == static_cast<float>(beyond < 32 ? t + 5 : t));
      } else {
        CHECK(std::isnan(down[i]));
      }
      CHECK(up[i] == static_cast<float>(lane >= 5 ? t - 5 : t));
      if (t < 32) {
        CHECK(fixed[i] == 9);
      } else {
        CHECK(std::isnan(fixed[i]));
      }
    }
  });
  says(fault(of{[](auto& block) { (void)block.shuffle(1, 32); }}, {.blocks = 1, .threads = 32}),
       "thread 0: shuffle by 32 in a warp of 32 lanes");
  says(fault(of{[](auto& block) { (void)block.shuffle_up(1, -1); }}, {.blocks = 1, .threads = 32}),
       "thread 0: shuffle_up by -1 in a warp of 32 lanes");
}

TEST_CASE("lanes exchange many values without waiting for all", "[backend][emulation]") {
  constexpr int rounds = 100;
  for (const int threads : {1, 2, 20, 32, 45}) {
    const auto size = static_cast<std::size_t>(threads);
    std::vector<std::int64_t> down(size), up(size), across(size), first(size), expected_down(size),
        expected_up(size), expected_across(size);
    for (int t = 0; t < threads; ++t) {
      const int warp = t / warp_size * warp_size, lanes = std::min(warp_size, threads - warp);
      const auto at = static_cast<std::size_t>(t);
      for (int round = 0; round < rounds; ++round) {
        const int by = round % 5, lane = t - warp;
        const auto of = [&](int other) {
          return other < lanes ? 1000 * (warp + other) + round : 0;
        };
        expected_down[at] += of(lane + by < warp_size ? lane + by : lane);
        expected_up[at] += of(lane >= by ? lane - by : lane);
        expected_across[at] += of(lane ^ by);
      }
    }
    const of kernel{[threads, d = down.data(), u = up.data(), a = across.data(),
                     f = first.data()](auto& block) {
      const int t = block.thread(), lane = block.lane();
      const int lanes = std::min(warp_size, threads - block.warp() * warp_size);
      d[t] = u[t] = a[t] = f[t] = 0;
      for (int round = 0; round < rounds; ++round) {
        const int by = round % 5;
        const std::int64_t value = 1000 * t + round;
        const auto of_down = block.shuffle_down(value, by);
        if (lane + by < lanes || lane + by >= warp_size) d[t] += of_down;
        u[t] += block.shuffle_up(value, by);
        const auto of_across = block.shuffle_xor(value, by);
        if ((lane ^ by) < lanes) a[t] += of_across;
        if (round % 30 == 7) block.sync_warp();
        f[t] += block.shuffle(value, 0);
      }
    }};
    in_every_schedule([&] {
      launch(be, "exchanges", {.blocks = 1, .threads = threads}, kernel);
      CHECK(down == expected_down);
      CHECK(up == expected_up);
      CHECK(across == expected_across);
      for (int t = 0; t < threads; ++t) {
        const std::int64_t lane_0 = t / warp_size * warp_size;
        CHECK(first[static_cast<std::size_t>(t)] ==
              rounds * (1000 * lane_0) + rounds * (rounds - 1) / 2);
      }
    });
  }
}

TEST_CASE("a lane that leaves early is found behind many exchanges", "[backend][emulation]") {
  for (const launch_schedule& schedule : launches::schedules) {
    for (const int rounds : {1, 5, 40, 100}) {
      const auto early = [=](auto exchange) {
        return fault(of{[=](auto& block) {
                       const int mine = block.thread() == 35 ? rounds : 101;
                       for (int round = 0; round < mine; ++round) exchange(block);
                     }},
                     {.blocks = 1, .threads = 48}, schedule);
      };
      const std::string down = early([](auto& block) { (void)block.shuffle_down(1.0, 3); });
      says(down, "threads 32-34, 36-47 at shuffle_down() of emulation.cpp:");
      says(down, ", thread 35 ended");
      const std::string up = early([](auto& block) { (void)block.shuffle_up(1.0, 3); });
      says(up, "threads 32-34, 36-47 at shuffle_up() of emulation.cpp:");
      const std::string barrier = early([](auto& block) { block.sync_warp(); });
      says(barrier, "threads 32-34, 36-47 at sync_warp() of emulation.cpp:");
      says(barrier, ", thread 35 ended");
    }
  }
}

TEST_CASE("a shuffle is no barrier of shared memory", "[backend][emulation]") {
  // Each lane writes, shuffles, and reads what its neighbour has written.
  const auto swap = [](bool with_barrier, launch_schedule schedule) {
    return fault(of{[=](auto& block) {
                   const auto values = block.template shared<int>(32);
                   values[block.lane()] = block.lane();
                   (void)block.shuffle(1, block.lane());
                   if (with_barrier) block.sync_warp();
                   const int neighbour = values[block.lane() ^ 1];
                   if (neighbour != (block.lane() ^ 1)) throw std::logic_error("not it");
                 }},
                 {.blocks = 1, .threads = 32, .shared_bytes = 128}, schedule);
  };
  for (const launch_schedule& schedule : launches::schedules) {
    says(swap(false, schedule), "no thread has written entry ");
    CHECK(swap(true, schedule) == "no fault");
  }
}

TEST_CASE("schedules are what they are called", "[backend][emulation]") {
  std::vector<int> order;
  const auto run = [&](launch_schedule schedule) {
    order.clear();
    const scoped_schedule scope(schedule);
    launch(be, "order", {.blocks = 3, .threads = 40}, of{[&order](auto& block) {
             order.push_back(static_cast<int>(block.index()) * 40 + block.thread());
             block.sync();
             order.push_back(1000 + static_cast<int>(block.index()) * 40 + block.thread());
           }});
    return order;
  };
  std::vector<int> forward, reversed;
  for (int block = 0; block < 3; ++block) {
    for (int phase = 0; phase < 2; ++phase) {
      for (int t = 0; t < 40; ++t) {
        forward.push_back(1000 * phase + block * 40 + t);
        reversed.push_back(1000 * phase + (2 - block) * 40 + 39 - t);
      }
    }
  }
  CHECK(run({launch_order::forward}) == forward);
  CHECK(run({launch_order::reversed}) == reversed);
  const std::vector<int> one = run({launch_order::permuted, 1});
  CHECK(one == run({launch_order::permuted, 1}));
  CHECK(one != run({launch_order::permuted, 2}));
  CHECK(one != forward);
  CHECK(one != reversed);
  std::vector<int> sorted = one;
  std::sort(sorted.begin(), sorted.end());
  std::sort(forward.begin(), forward.end());
  CHECK(sorted == forward);
  // Another permutation behind the barrier.
  std::vector<int> before(one.begin(), one.begin() + 40), after(one.begin() + 40, one.begin() + 80);
  for (int& entry : after) entry -= 1000;
  CHECK(before != after);
}

TEST_CASE("launches in several threads, with large frames", "[backend][emulation]") {
  std::vector<std::thread> callers;
  std::vector<double> sums(4);
  for (std::size_t c = 0; c < sums.size(); ++c) {
    callers.emplace_back([&sum = sums[c]] {
      for (int round = 0; round < 3; ++round) {
        launch(be, "frames", {.blocks = 2, .threads = 50}, of{[&sum](auto& block) {
                 double frame[8000];  // 64 KB
                 for (double& entry : frame) entry = block.thread();
                 block.sync();
                 for (const double entry : frame) sum += entry;
               }});
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const double sum : sums) CHECK(sum == 3.0 * 2 * 8000 * (49 * 50 / 2));
}
