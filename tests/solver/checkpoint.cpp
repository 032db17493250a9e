#include <basin/solver/checkpoint.hpp>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stop_token>
#include <string>
#include <vector>

#include <basin/map/function_map.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "maps.hpp"

using basin::FixedPointSolver;
using basin::index_t;
using basin::run_options;
using failure = basin::map_failure<basin::cpu<double>>;

namespace {

struct temporary_file {
  std::string path;
  explicit temporary_file(const std::string& name)
      : path((std::filesystem::temp_directory_path() /
              ("basin-" + std::to_string(std::random_device{}()) + name))
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

// Stops a run after some iterations.
struct stop_after {
  std::stop_source& source;
  index_t iterations;
  template <class View>
  void operator()(const View& at) const {
    if (at.iteration >= iterations) source.request_stop();
  }
};

}  // namespace

TEST_CASE("a stopped run resumes to bitwise the same answer", "[solver]") {
  const temporary_file file("stopped");
  const basin::cpu<double> cpu(2);
  const auto check = [&](auto solver, const Eigen::MatrixXd& starts, index_t iterations) {
    const auto whole = solver.solve(cpu, starts);
    std::stop_source source;
    const auto stopped =
        solver.solve(cpu, starts, run_options{.stop = source.get_token(), .checkpoint = file.path},
                     stop_after{source, iterations});
    CHECK(stopped.count(basin::status::cancelled) > 0);
    const auto resumed = solver.resume(cpu, file.path);
    maps::require_same(resumed, whole);
  };
  check(FixedPointSolver{maps::network<double>(24)}, maps::starts(24, 200), 5);
  check(FixedPointSolver{maps::linear(-0.99), basin::picard{}, basin::stopping{.residual = 1e-9}},
        maps::starts(1, 9000), 100);
  check(FixedPointSolver{maps::rotation(2.0), basin::damped{.factor = 0.3}}, maps::starts(2, 300),
        10);
  // In the middle of a watched window, with a candidate for a cycle.
  check(FixedPointSolver{maps::logistic(3.2)}, (maps::starts(1, 50).array().abs()).matrix(), 100);
}

TEST_CASE("a checkpoint is written on the way, and removed at the end", "[solver]") {
  const temporary_file file("way");
  bool seen = false;
  FixedPointSolver solver{maps::network<double>(8)};
  const auto found = solver.solve(
      basin::cpu<double>(1), maps::starts(8, 20),
      run_options{.checkpoint = file.path, .checkpoint_seconds = 0}, [&](const auto& at) {
        seen = seen || (at.iteration > 1 && std::filesystem::exists(file.path));
      });
  CHECK(found.count(basin::status::converged) == 20);
  CHECK(seen);
  CHECK_FALSE(std::filesystem::exists(file.path));
}

TEST_CASE("a map that throws in the middle loses nothing", "[solver]") {
  const basin::cpu<double> cpu(2);
  const Eigen::MatrixXd starts = maps::starts(2, 500);
  SECTION("a batch") {
    bool failing = true;
    int calls = 0;
    const auto map = [&](const auto& Z, auto& out) {
      if (failing && ++calls == 6) throw std::runtime_error("out of luck");
      out = 0.8 * Z;
    };
    FixedPointSolver solver{map};
    try {
      (void)solver.solve(cpu, starts);
      FAIL("no exception");
    } catch (const failure& e) {
      CHECK(std::string(e.what()).find("out of luck") != std::string::npos);
      CHECK_THROWS_AS(std::rethrow_if_nested(e), std::runtime_error);
      failing = false;
      maps::require_same(solver.resume(cpu, e.checkpoint()), solver.solve(cpu, starts));
    }
  }
  SECTION("one state of many") {
    std::atomic<bool> failing = true;
    const auto map = basin::columnwise<2>([&](const auto& z, auto& f) {
      if (failing && std::abs(z[0] - z[1]) < 1e-5) throw 7;
      f[0] = 0.8 * z[0];
      f[1] = 0.8 * z[1];
    });
    FixedPointSolver solver{map};
    try {
      (void)solver.solve(cpu, starts);
      FAIL("no exception");
    } catch (const failure& e) {
      failing = false;
      maps::require_same(solver.resume(cpu, e.checkpoint()), solver.solve(cpu, starts));
    }
  }
  SECTION("one state after others have ended") {
    std::atomic<bool> failing = true;
    const auto map = basin::columnwise<2>([&](const auto& z, auto& f) {
      if (failing && z[1] == 0.5 && z[0] < 1e-3) throw std::runtime_error("late");
      f[0] = 0.8 * z[0];
      f[1] = z[1];
    });
    Eigen::MatrixXd same = starts;
    same.row(1).setConstant(0.25);
    same(1, 310) = 0.5;
    FixedPointSolver solver{map};
    for (const int threads : {1, 2}) {
      failing = true;
      try {
        (void)solver.solve(basin::cpu<double>(threads), same);
        FAIL("no exception");
      } catch (const failure& e) {
        failing = false;
        maps::require_same(solver.resume(cpu, e.checkpoint()), solver.solve(cpu, same));
      }
    }
  }
  SECTION("one state, with an error of the library's own") {
    std::atomic<bool> failing = true;
    const auto map = basin::columnwise(2, [&](const auto& z) -> Eigen::VectorXd {
      if (failing && std::abs(z[0] - z[1]) < 1e-4) return Eigen::VectorXd::Zero(3);
      return 0.8 * z;
    });
    FixedPointSolver solver{map};
    try {
      (void)solver.solve(cpu, starts);
      FAIL("no exception");
    } catch (const failure& e) {
      CHECK(std::string(e.what()).find("is 3, expected 2") != std::string::npos);
      failing = false;
      maps::require_same(solver.resume(cpu, e.checkpoint()), solver.solve(cpu, starts));
    }
  }
  SECTION("with a wrong size, late") {
    int calls = 0;
    const auto map = [&](const auto& Z) -> Eigen::MatrixXd {
      return ++calls == 4 ? Eigen::MatrixXd::Zero(3, Z.cols()) : Eigen::MatrixXd(0.8 * Z);
    };
    FixedPointSolver solver{map};
    try {
      (void)solver.solve(cpu, starts);
      FAIL("no exception");
    } catch (const failure& e) {
      CHECK(std::string(e.what()) == "the map returned 3 x 500, expected 2 x 500");
      CHECK_THROWS_AS(std::rethrow_if_nested(e), basin::size_error);
      maps::require_same(solver.resume(cpu, e.checkpoint()), solver.solve(cpu, starts));
    }
  }
}

TEST_CASE("a damaged checkpoint is refused wherever it ends", "[solver]") {
  const temporary_file file("damaged");
  const basin::cpu<double> cpu(1);
  FixedPointSolver solver{maps::network<double>(6)};
  const Eigen::MatrixXd starts = maps::starts(6, 12);
  std::stop_source source;
  (void)solver.solve(cpu, starts, run_options{.stop = source.get_token(), .checkpoint = file.path},
                     stop_after{source, 4});
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
  std::vector<char> huge = whole;
  const std::int64_t size = std::int64_t{1} << 38;
  std::memcpy(huge.data() + offsetof(basin::checkpoint_header, size), &size, sizeof size);
  refused(huge);
  write(file.path, whole);
  CHECK(solver.resume(cpu, file.path).size() == 12);

  CHECK_THROWS_AS((void)solver.resume(cpu, file.path + "-absent"), basin::file_error);
  CHECK_THROWS_AS(basin::Checkpoint<basin::cpu<float>>::load(file.path), basin::file_error);
  FixedPointSolver other{maps::network<double>(6), basin::picard{}, basin::stopping{.residual = 1}};
  CHECK_THROWS_AS((void)other.resume(cpu, file.path), basin::argument_error);
  FixedPointSolver larger{maps::network<double>(7)};
  CHECK_THROWS_AS((void)larger.resume(cpu, file.path), basin::size_error);
  CHECK_THROWS_AS(basin::Checkpoint<basin::cpu<double>>::load(file.path).save("/nowhere/at/all"),
                  basin::file_error);
}
