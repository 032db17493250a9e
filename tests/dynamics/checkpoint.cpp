// A flow that is stopped, or whose map throws, goes on to the same bits.
#include <basin/dynamics/flow_checkpoint.hpp>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include <basin/dynamics/adams.hpp>
#include <basin/dynamics/dopri5.hpp>
#include <basin/dynamics/euler.hpp>
#include <basin/dynamics/exponential_rosenbrock.hpp>
#include <basin/dynamics/rkf78.hpp>
#include <basin/dynamics/runge_kutta4.hpp>
#include <basin/solver/checkpoint.hpp>

#include "flows.hpp"

using basin::flow_status;
using basin::flow_stopping;
using basin::FlowSolver;
using basin::index_t;
using basin::run_options;
using failure = basin::flow_failure<basin::cpu<double>>;

namespace {

struct temporary_file {
  std::string path;
  explicit temporary_file(const std::string& name)
      : path((std::filesystem::temp_directory_path() /
              ("basin-flow-" + std::to_string(std::random_device{}()) + name))
                 .string()) {}
  ~temporary_file() { std::filesystem::remove(path); }
};

std::vector<char> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write(const std::string& path, const std::vector<char>& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// Stops a run after some steps of the batch, or before the first.
class Stopped {
 public:
  explicit Stopped(const std::string& path, index_t steps = -1)
      : options{.stop = source_.get_token(), .checkpoint = path}, steps_(steps) {
    if (steps < 0) source_.request_stop();
  }
  template <class View>
  void operator()(const View& at) {
    if (at.iteration >= steps_) source_.request_stop();
  }

 private:
  std::stop_source source_;

 public:
  run_options options;

 private:
  index_t steps_;
};

template <class Result>
void require_same(const Result& a, const Result& b) {
  REQUIRE(a.size() == b.size());
  for (index_t j = 0; j < a.size(); ++j) flows::require_same_column(a, j, b, j);
}

// A map of batches, in one piece for every thread, that throws in its calls number `first` and on.
struct failing_network {
  decltype(maps::network<double>(7)) map = maps::network<double>(7);
  std::shared_ptr<int> calls = std::make_shared<int>(0);
  int first = 1 << 30;

  void operator()(const basin::cpu<double>& be, const Eigen::Ref<const Eigen::MatrixXd>& Z,
                  Eigen::Ref<Eigen::MatrixXd>& out) {
    if (++*calls >= first) throw std::runtime_error("out of luck");
    basin::evaluate(be, map, Z, out);
  }
  void jvp(const basin::cpu<double>& be, const Eigen::Ref<const Eigen::MatrixXd>& Z,
           const Eigen::Ref<const Eigen::MatrixXd>& V, Eigen::Ref<Eigen::MatrixXd> JV) {
    if (++*calls >= first) throw std::runtime_error("out of luck");
    basin::jvp(be, map, Z, V, JV);
  }
};

template <class Visit>
void for_each_method(const Visit& visit) {
  visit(basin::dopri5{.relative = 1e-5});
  visit(basin::rkf78{.relative = 1e-7});
  visit(basin::euler{.step = 0.3});
  visit(basin::odeint_euler{.step = 0.3});
  visit(basin::runge_kutta4{.step = 0.25});
  visit(basin::adams{.step = 0.125});
  visit(basin::exponential_euler{.step = 0.25});
  visit(basin::exponential_rosenbrock{.relative = 1e-4});
}

}  // namespace

TEST_CASE("a stopped flow resumes to bitwise the same answer", "[dynamics]") {
  const temporary_file file("stopped");
  const basin::cpu<double> cpu(2);
  const Eigen::MatrixXd Z = 2 * maps::starts(7, 90);
  const flow_stopping stopping{.time = 9, .residual = 0.05};
  const auto check = [&](const auto& map, const auto& method) {
    FlowSolver solver{map, method, stopping};
    const auto whole = solver.solve(cpu, Z);
    for (const index_t steps : {0, 1, 2, 3, 5, 12}) {
      Stopped run(file.path, steps);
      const auto stopped = solver.solve(cpu, Z, run.options, run);
      if (stopped.count(flow_status::cancelled) == 0) continue;  // it had ended
      require_same(solver.resume(basin::cpu<double>(1), file.path), whole);
      // In two pieces more.
      Stopped again(file.path, 1);
      (void)solver.resume(cpu, file.path, again.options, again);
      if (std::filesystem::exists(file.path)) require_same(solver.resume(cpu, file.path), whole);
    }
    // Before the first step.
    (void)solver.solve(cpu, Z, Stopped(file.path).options);
    require_same(solver.resume(cpu, file.path), whole);
  };
  for_each_method([&](const auto& method) {
    check(maps::network<double>(7), method);
    check(failing_network{}, method);
  });
}

TEST_CASE("a checkpoint of a flow is written on the way, and removed at the end", "[dynamics]") {
  const temporary_file file("way");
  bool seen = false;
  FlowSolver solver{maps::network<double>(8), basin::dopri5{}};
  const auto found = solver.solve(
      basin::cpu<double>(1), maps::starts(8, 20),
      run_options{.checkpoint = file.path, .checkpoint_seconds = 0}, [&](const auto& at) {
        seen = seen || (at.iteration > 1 && std::filesystem::exists(file.path));
      });
  CHECK(found.count(flow_status::arrived) == 20);
  CHECK(seen);
  CHECK_FALSE(std::filesystem::exists(file.path));
}

TEST_CASE("a map that throws anywhere in a flow loses nothing", "[dynamics]") {
  const basin::cpu<double> cpu(2);
  const Eigen::MatrixXd Z = maps::starts(7, 40);
  for_each_method([&](const auto& method) {
    const flow_stopping stopping{.time = 2, .residual = 1e-2};
    FlowSolver solver{failing_network{}, method, stopping};
    const auto whole = solver.solve(cpu, Z);
    const int calls = *solver.map().calls;
    for (int first = 1; first <= calls; first += first < 40 ? 1 : 17) {
      *solver.map().calls = 0;
      solver.map().first = first;
      try {
        (void)solver.solve(cpu, Z);
        FAIL("no exception");
      } catch (const failure& e) {
        CHECK(std::string(e.what()).find("out of luck") != std::string::npos);
        CHECK_THROWS_AS(std::rethrow_if_nested(e), std::runtime_error);
        // Twice in a row, then to the end.
        *solver.map().calls = 0;
        solver.map().first = 1;
        try {
          (void)solver.resume(cpu, e.checkpoint());
          FAIL("no exception");
        } catch (const failure& second) {
          solver.map().first = 1 << 30;
          require_same(solver.resume(cpu, second.checkpoint()), whole);
        }
      }
    }
  });
}

TEST_CASE("one state of many that throws", "[dynamics][threads]") {
  const Eigen::MatrixXd Z = maps::starts(2, 3000);
  std::atomic<bool> failing = false;
  const auto map = basin::columnwise<2>([&](const auto& z, auto& f) {
    if (failing && z[0] > 0.3 && z[0] < 0.3002) throw 7;
    f[0] = 0.5 * z[0] - z[1];
    f[1] = 0.5 * z[1] + z[0];
  });
  FlowSolver solver{map, basin::dopri5{}, flow_stopping{.time = 3}};
  const auto whole = solver.solve(basin::cpu<double>(2), Z);
  for (const int threads : {1, 2, 3}) {
    failing = true;
    const temporary_file file("state");
    try {
      (void)solver.solve(basin::cpu<double>(threads), Z, run_options{.checkpoint = file.path});
      FAIL("no exception");
    } catch (const failure& e) {
      failing = false;
      require_same(solver.resume(basin::cpu<double>(2), e.checkpoint()), whole);
      require_same(solver.resume(basin::cpu<double>(2), file.path), whole);
    }
  }
}

TEST_CASE("the exceptions of observers, and the library's own, pass as they are", "[dynamics]") {
  FlowSolver solver{maps::network<double>(3), basin::dopri5{}};
  CHECK_THROWS_AS((void)solver.solve(basin::cpu<double>(1), maps::starts(3, 4), run_options{},
                                     [](const auto&) { throw std::logic_error("enough"); }),
                  std::logic_error);
  const auto wrong = [](const auto& states) -> Eigen::MatrixXd {
    return Eigen::MatrixXd::Zero(2, states.cols());
  };
  FlowSolver other{wrong, basin::dopri5{}};
  CHECK_THROWS_AS((void)other.solve(maps::starts(3, 4)), basin::size_error);
}

TEST_CASE("a damaged checkpoint of a flow is refused wherever it ends", "[dynamics]") {
  const temporary_file file("damaged");
  const basin::cpu<double> cpu(1);
  const flow_stopping stopping{.time = 20};
  FlowSolver solver{maps::network<double>(6), basin::adams{}, stopping};
  Stopped run(file.path, 7);
  (void)solver.solve(cpu, maps::starts(6, 12), run.options, run);
  const std::vector<char> whole = read(file.path);
  REQUIRE(whole.size() > 1000);
  const auto refused = [&](const std::vector<char>& bytes) {
    write(file.path, bytes);
    try {
      (void)solver.resume(cpu, file.path);
      FAIL("no file_error");
    } catch (const basin::file_error& e) {
      CHECK(std::string(e.what()).find(file.path) == 0);
      CHECK(std::string(e.what()).find("byte ") != std::string::npos);
    }
  };
  for (std::size_t length = 0; length < whole.size(); length += 64) {
    refused({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)});
  }
  refused({whole.begin(), whole.end() - 1});
  std::vector<char> longer = whole;
  longer.push_back(0);
  refused(longer);
  for (std::size_t at = 0; at < whole.size(); at += 53) {  // a flipped bit anywhere
    std::vector<char> flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    refused(flipped);
  }
  // Sizes that would ask for more memory than there is.
  const auto with_size = [&](std::size_t offset, std::int64_t size) {
    std::vector<char> huge = whole;
    std::memcpy(huge.data() + offset, &size, sizeof size);
    refused(huge);
  };
  for (const int bits : {33, 38, 40, 50, 62}) {
    with_size(offsetof(basin::flow_checkpoint_header, size), std::int64_t{1} << bits);
    with_size(offsetof(basin::flow_checkpoint_header, dimension), std::int64_t{1} << bits);
    with_size(offsetof(basin::flow_checkpoint_header, method_bytes), std::int64_t{1} << bits);
  }
  with_size(offsetof(basin::flow_checkpoint_header, size), -1);
  with_size(offsetof(basin::flow_checkpoint_header, dimension), 0);
  write(file.path, whole);
  CHECK(solver.resume(cpu, file.path).size() == 12);

  CHECK_THROWS_AS((void)solver.resume(cpu, file.path + "-absent"), basin::file_error);
  CHECK_THROWS_AS(basin::FlowCheckpoint<basin::cpu<float>>::load(file.path), basin::file_error);
  CHECK_THROWS_AS(basin::Checkpoint<basin::cpu<double>>::load(file.path), basin::file_error);
  CHECK_THROWS_AS(
      basin::FlowCheckpoint<basin::cpu<double>>::load(file.path).save("/nowhere/at/all"),
      basin::file_error);
}

TEST_CASE("a checkpoint of another flow is refused", "[dynamics]") {
  const temporary_file file("other");
  const basin::cpu<double> cpu(1);
  const run_options stopped = Stopped(file.path).options;
  FlowSolver solver{maps::network<double>(6), basin::dopri5{}, flow_stopping{}};
  (void)solver.solve(cpu, maps::starts(6, 5), stopped);
  const auto refused = [&](const auto& method, const flow_stopping& stopping) {
    FlowSolver other{maps::network<double>(6), method, stopping};
    CHECK_THROWS_AS((void)other.resume(cpu, file.path), basin::argument_error);
  };
  refused(basin::rkf78{}, {});
  refused(basin::dopri5{.relative = 1e-5}, {});
  refused(basin::dopri5{.max_step = 1}, {});
  refused(basin::dopri5{.step = 0.5}, {});
  refused(basin::dopri5{}, {.time = 99});
  refused(basin::dopri5{}, {.residual = 1e-7});
  refused(basin::dopri5{}, {.location = 1e-4});
  refused(basin::dopri5{}, {.max_steps = 7});
  refused(basin::dopri5{}, {.lower = Eigen::VectorXd::Constant(1, -9)});
  refused(basin::dopri5{}, {.upper = Eigen::VectorXd::Constant(1, -9)});
  refused(basin::dopri5{},
          {.attractors = Eigen::MatrixXd::Zero(6, 1), .radii = Eigen::VectorXd::Constant(1, 0.1)});
  FlowSolver larger{maps::network<double>(7), basin::dopri5{}};
  CHECK_THROWS_AS((void)larger.resume(cpu, file.path), basin::size_error);
  CHECK(solver.resume(cpu, file.path).size() == 5);

  FlowSolver stiff{maps::network<double>(6), basin::exponential_euler{.krylov = 20}};
  (void)stiff.solve(cpu, maps::starts(6, 5), stopped);
  refused(basin::exponential_euler{.krylov = 21}, {});
}
