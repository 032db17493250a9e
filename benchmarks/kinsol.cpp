// Anderson's acceleration against KINSOL's: the same map, start and window, one column and one
// thread. Each pair NAME/ours, NAME/peer is the time of one iteration without the map's: that of
// `longer` iterations less that of `shorter` ones, which leaves out what comes before the first,
// less that of as many evaluations. Counters say how many evaluations each takes until
// ‖f(z) - z‖ is at most 1e-8 on Bratu's problem, Chandrasekhar's equation and a diagonal map.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <basin/basin.hpp>

#include "peers/kinsol.hpp"

namespace {

using basin::index_t;
using clock_type = std::chrono::steady_clock;

constexpr int window = 5;
constexpr double tolerance = 1e-8;
constexpr index_t most_evaluations = 500;

// z -> z + rate (1 - z) entry by entry, with sixteen rates: as cheap as a map can be.
struct diagonal {
  index_t k;
  void operator()(const double* z, double* f) const {
    static constexpr double rates[16] = {0.02, 0.03, 0.05, 0.07, 0.1, 0.13, 0.17, 0.2,
                                         0.25, 0.3,  0.4,  0.5,  0.6, 0.75, 0.9,  1};
    for (index_t i = 0; i < k; i += 16) {
      const index_t count = std::min<index_t>(16, k - i);
      for (index_t j = 0; j < count; ++j) f[i + j] = z[i + j] + rates[j] * (1 - z[i + j]);
    }
  }
};

// u'' + 3 e^u = 0 on a line, the Laplacian inverted by elimination.
struct bratu {
  explicit bratu(index_t k_) : k(k_), ratio(static_cast<std::size_t>(k_)) {
    double r = 0;
    for (double& value : ratio) value = r = 1 / (2 - r);
  }
  void operator()(const double* z, double* f) const {
    const double h = 1 / static_cast<double>(k + 1);
    double before = 0;
    for (index_t i = 0; i < k; ++i) {
      before = f[i] = (3 * h * h * std::exp(z[i]) + before) * ratio[static_cast<std::size_t>(i)];
    }
    for (index_t i = k - 2; i >= 0; --i) f[i] += ratio[static_cast<std::size_t>(i)] * f[i + 1];
  }
  index_t k;
  std::vector<double> ratio;
};

// Chandrasekhar's H equation by the midpoint rule, ω = 0.99.
struct h_equation {
  index_t k;
  void operator()(const double* z, double* f) const {
    for (index_t i = 0; i < k; ++i) {
      double sum = 0;
      for (index_t j = 0; j < k; ++j) {
        sum += (static_cast<double>(i) + 0.5) / static_cast<double>(i + j + 1) * z[j];
      }
      f[i] = 1 / (1 - 0.99 / (2 * static_cast<double>(k)) * sum);
    }
  }
};

// Counts evaluations until the residual is small.
template <class Map>
struct counting {
  const Map* map;
  index_t k;
  index_t count = 0;
  index_t reached = 0;  // 0: not yet
  void operator()(const double* z, double* f) {
    (*map)(z, f);
    ++count;
    double sum = 0;
    for (index_t i = 0; i < k; ++i) sum += (f[i] - z[i]) * (f[i] - z[i]);
    if (reached == 0 && std::sqrt(sum) <= tolerance) reached = count;
  }
};

template <class Map>
auto batch(index_t k, Map& map) {
  return basin::function_map(k, [&map](const auto& Z, auto& out) { map(Z.data(), out.data()); });
}

template <class Map>
index_t evaluations_of_ours(index_t k, const Map& map, const std::vector<double>& start) {
  counting<Map> counter{&map, k};
  basin::FixedPointSolver solver{
      batch(k, counter), basin::anderson{.window = window},
      basin::stopping{.residual = tolerance, .max_iterations = most_evaluations}};
  (void)solver.solve(basin::cpu<double>(1), Eigen::Map<const Eigen::VectorXd>(start.data(), k));
  return counter.reached;
}
template <class Map>
index_t evaluations_of_peer(index_t k, const Map& map, const std::vector<double>& start) {
  counting<Map> counter{&map, k};
  peers::Kinsol kinsol(k, window, counter);
  kinsol.solve(start.data(), 1e-3 * tolerance / std::sqrt(static_cast<double>(k)),
               most_evaluations);
  return counter.reached;
}

double seconds(const auto& run) {
  const auto begin = clock_type::now();
  run();
  return std::chrono::duration<double>(clock_type::now() - begin).count();
}

// What both sides share: sizes of runs, and the time of the map by itself.
struct plan {
  explicit plan(index_t k_) : k(k_), start(static_cast<std::size_t>(k_)) {
    for (index_t i = 0; i < k; ++i) {
      start[static_cast<std::size_t>(i)] = std::sin(static_cast<double>(i));
    }
    repeats = std::max<index_t>(1, 200000 / k);
  }
  [[nodiscard]] double map_seconds() const {
    const diagonal map{k};
    std::vector<double> z = start, f = start;
    constexpr index_t pairs = 10;
    const double all = seconds([&] {
      for (index_t r = 0; r < repeats * pairs; ++r) {
        map(z.data(), f.data());
        benchmark::DoNotOptimize(f.data());
        benchmark::ClobberMemory();
        map(f.data(), z.data());
        benchmark::DoNotOptimize(z.data());
        benchmark::ClobberMemory();
      }
    });
    return all / static_cast<double>(repeats * pairs * 2);
  }
  // Of one iteration, from a function that runs a number of them.
  template <class Run>
  [[nodiscard]] double iteration_seconds(const Run& run) const {
    const auto time = [&](index_t iterations) {
      return seconds([&] {
               for (index_t r = 0; r < repeats; ++r) run(iterations);
             }) /
             static_cast<double>(repeats);
    };
    const double less = time(shorter);
    const double more = time(longer);
    return (more - less) / static_cast<double>(longer - shorter) - map_seconds();
  }
  index_t k;
  std::vector<double> start;
  index_t repeats;
  static constexpr index_t shorter = 10, longer = 40;
};

void ours(benchmark::State& state, index_t k) {
  const plan p(k);
  const diagonal map{k};
  const basin::cpu<double> cpu(1);
  const Eigen::Map<const Eigen::VectorXd> start(p.start.data(), k);
  const auto run = [&](index_t iterations) {
    basin::FixedPointSolver solver{
        batch(k, map), basin::anderson{.window = window},
        basin::stopping{.residual = 0, .max_iterations = iterations, .patience = 0}};
    benchmark::DoNotOptimize(solver.solve(cpu, start).states.data());
  };
  run(plan::shorter);
  for (auto _ : state) state.SetIterationTime(p.iteration_seconds(run));
}

void peer(benchmark::State& state, index_t k) {
  const plan p(k);
  diagonal map{k};
  peers::Kinsol kinsol(k, window, map);
  const auto run = [&](index_t iterations) {
    benchmark::DoNotOptimize(
        kinsol.solve(p.start.data(), std::numeric_limits<double>::min(), iterations));
  };
  run(plan::shorter);
  for (auto _ : state) state.SetIterationTime(p.iteration_seconds(run));
}

// Evaluations to the tolerance, of each k once.
const std::map<std::string, double>& evaluations(index_t k) {
  static std::map<index_t, std::map<std::string, double>> known;
  auto& counts = known[k];
  if (counts.empty()) {
    const auto count = [&](const std::string& name, const auto& map) {
      const std::vector<double> start(static_cast<std::size_t>(k), name == "h_equation" ? 1 : 0);
      counts[name + "_evaluations_ours"] = static_cast<double>(evaluations_of_ours(k, map, start));
      counts[name + "_evaluations_peer"] = static_cast<double>(evaluations_of_peer(k, map, start));
    };
    count("bratu", bratu(k));
    count("diagonal", diagonal{k});
    if (k <= 1000) count("h_equation", h_equation{k});
  }
  return counts;
}

void add(index_t k) {
  const std::string name = "solvers/kinsol/k=" + std::to_string(k);
  const auto with_counters = [k](auto run) {
    return [k, run](benchmark::State& state) {
      run(state, k);
      for (const auto& [what, count] : evaluations(k)) state.counters[what] = count;
      state.counters["k"] = static_cast<double>(k);
      state.counters["window"] = window;
    };
  };
  for (const bool by_us : {true, false}) {
    benchmark::RegisterBenchmark((name + (by_us ? "/ours" : "/peer")).c_str(),
                                 with_counters(by_us ? ours : peer))
        ->UseManualTime()
        ->Iterations(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::AddCustomContext("flags", BENCHMARK_FLAGS);
  benchmark::AddCustomContext("sundials", SUNDIALS_VERSION);
  for (const index_t k : {100, 1000, 10000, 100000, 1000000}) add(k);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
