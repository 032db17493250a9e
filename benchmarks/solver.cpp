// The solver against loops written by hand. Each pair NAME/ours, NAME/peer does the same
// work; scripts/bench runs them interleaved and writes the ratios of medians.
#include <benchmark/benchmark.h>

#include <cmath>
#include <thread>
#include <vector>

#include <basin/basin.hpp>

namespace {

using basin::index_t;

Eigen::MatrixXd uniform(index_t k, index_t n, std::uint64_t seed) {
  Eigen::MatrixXd X(k, n);
  fill_uniform(basin::cpu<double>(1), {.seed = seed}, X, -1, 1);
  return X;
}

// --- overhead: a dense tanh map, 100 iterations that nobody can leave early -------------

constexpr index_t dense_k = 128;
constexpr index_t dense_n = 1024;
constexpr index_t dense_iterations = 100;

struct dense_problem {
  Eigen::MatrixXf W = uniform(dense_k, dense_k, 1).cast<float>() * 0.13f;
  Eigen::MatrixXf starts = uniform(dense_k, dense_n, 2).cast<float>();
};
const dense_problem& dense() {
  static const dense_problem problem;
  return problem;
}

void overhead_ours(benchmark::State& state) {
  const auto map = [](const auto& Z, auto& out) {
    out.noalias() = dense().W * Z;
    out = out.array().tanh();
  };
  basin::FixedPointSolver solver{
      map, basin::picard{}, basin::stopping{.residual = 0, .max_iterations = dense_iterations}};
  const basin::cpu<float> cpu(1);
  for (auto _ : state) {
    const auto found = solver.solve(cpu, dense().starts);
    benchmark::DoNotOptimize(found.states.data());
  }
  state.counters["k"] = dense_k;
  state.counters["N"] = dense_n;
  state.counters["iterations_each"] = dense_iterations;
}

void overhead_peer(benchmark::State& state) {
  for (auto _ : state) {
    Eigen::MatrixXf Z = dense().starts;
    Eigen::MatrixXf F(dense_k, dense_n);
    Eigen::RowVectorXf residual(dense_n);
    for (index_t i = 0; i <= dense_iterations; ++i) {
      F.noalias() = dense().W * Z;
      F = F.array().tanh();
      residual = (F - Z).colwise().norm();
      if (residual.maxCoeff() <= 0 || i == dense_iterations) break;
      Z.swap(F);
    }
    benchmark::DoNotOptimize(Z.data());
    benchmark::DoNotOptimize(residual.data());
  }
}

// --- work saved: 4096 starts whose rates are 0.3 to 0.99 -------------------------------

constexpr index_t mixed_k = 128;
constexpr index_t mixed_n = 4096;
constexpr double mixed_tolerance = 1e-4;

// z -> (z_k) Q z with Q orthogonal: a start's last entry, which stays, is its rate.
struct mixed_problem {
  Eigen::MatrixXf Q;
  Eigen::MatrixXf starts;
  mixed_problem() : Q(mixed_k, mixed_k), starts(uniform(mixed_k, mixed_n, 3).cast<float>()) {
    fill_orthogonal(basin::cpu<float>(1), {.seed = 4}, Q);
    for (index_t j = 0; j < mixed_n; ++j) {
      starts(mixed_k - 1, j) =
          static_cast<float>(0.3 + 0.69 * static_cast<double>(j) / (mixed_n - 1));
    }
  }
  template <class States, class Result>
  void operator()(const States& Z, Result& out) const {
    out.noalias() = Q * Z;
    out = out * Z.row(mixed_k - 1).asDiagonal();
    out.row(mixed_k - 1) = Z.row(mixed_k - 1);
  }
};
const mixed_problem& mixed() {
  static const mixed_problem problem;
  return problem;
}

basin::stopping mixed_rule() { return {.residual = mixed_tolerance, .max_iterations = 100000}; }

void work_saved_ours(benchmark::State& state) {
  const auto map = [](const auto& Z, auto& out) { mixed()(Z, out); };
  basin::FixedPointSolver solver{map, basin::picard{}, mixed_rule()};
  const basin::cpu<float> cpu(1);
  basin::solver_work work;
  for (auto _ : state) {
    const auto found = solver.solve(cpu, mixed().starts);
    work = found.work;
    benchmark::DoNotOptimize(found.states.data());
  }
  state.counters["k"] = mixed_k;
  state.counters["N"] = mixed_n;
  state.counters["evaluations"] = static_cast<double>(work.evaluations);
  state.counters["evaluations_peer"] = static_cast<double>(work.evaluations + work.saved);
  state.counters["expected_ratio"] =
      static_cast<double>(work.evaluations + work.saved) / static_cast<double>(work.evaluations);
}

void work_saved_peer(benchmark::State& state) {
  for (auto _ : state) {
    Eigen::MatrixXf Z = mixed().starts;
    Eigen::MatrixXf F(mixed_k, mixed_n);
    Eigen::RowVectorXf residual(mixed_n);
    for (;;) {
      mixed()(Z, F);
      residual = (F - Z).colwise().norm();
      if (residual.maxCoeff() <= static_cast<float>(mixed_tolerance)) break;
      Z.swap(F);
    }
    benchmark::DoNotOptimize(Z.data());
  }
}

// --- small maps: a million starts in the plane, to 1e-10 -------------------------------

constexpr index_t small_n = 1'000'000;
constexpr double small_tolerance = 1e-10;
constexpr index_t small_iterations = 3000;

const Eigen::MatrixXd& small_starts() {
  static const Eigen::MatrixXd starts = uniform(2, small_n, 5);
  return starts;
}

void small_map_ours(benchmark::State& state) {
  const auto map = basin::columnwise<2>([](const auto& z, auto& next) {
    next[0] = 0.5 * z[0] - 0.3 * z[1] + 0.1;
    next[1] = 0.3 * z[0] + 0.55 * z[1];
  });
  basin::FixedPointSolver solver{
      map, basin::picard{},
      basin::stopping{.residual = small_tolerance, .max_iterations = small_iterations}};
  const basin::cpu<double> cpu(static_cast<int>(state.range(0)));
  double evaluations = 0;
  for (auto _ : state) {
    const auto found = solver.solve(cpu, small_starts());
    evaluations = static_cast<double>(found.work.evaluations);
    benchmark::DoNotOptimize(found.states.data());
  }
  state.counters["N"] = small_n;
  state.counters["workers"] = static_cast<double>(state.range(0));
  state.counters["evaluations"] = evaluations;
}

// Gives what the solver gives: state, residual, iterations and whether it converged.
void small_map_peer(benchmark::State& state) {
  const auto threads = static_cast<index_t>(state.range(0));
  const Eigen::MatrixXd& starts = small_starts();
  for (auto _ : state) {
    Eigen::MatrixXd states(2, small_n);
    std::vector<double> residual(small_n);
    std::vector<index_t> iterations(small_n);
    std::vector<std::uint8_t> converged(small_n);
    const auto part = [&](index_t begin, index_t end) {
      for (index_t j = begin; j < end; ++j) {
        double x = starts(0, j), y = starts(1, j), squared;
        index_t i = 0;
        for (;; ++i) {
          const double next_x = 0.5 * x - 0.3 * y + 0.1;
          const double next_y = 0.3 * x + 0.55 * y;
          squared = (next_x - x) * (next_x - x) + (next_y - y) * (next_y - y);
          if (squared <= small_tolerance * small_tolerance || i == small_iterations) break;
          x = next_x;
          y = next_y;
        }
        const auto at = static_cast<std::size_t>(j);
        states(0, j) = x;
        states(1, j) = y;
        residual[at] = std::sqrt(squared);
        iterations[at] = i;
        converged[at] = squared <= small_tolerance * small_tolerance;
      }
    };
    {
      std::vector<std::jthread> others;
      for (index_t t = 1; t < threads; ++t) {
        others.emplace_back(part, small_n * t / threads, small_n * (t + 1) / threads);
      }
      part(0, small_n / threads);
    }
    benchmark::DoNotOptimize(states.data());
    benchmark::DoNotOptimize(residual.data());
    benchmark::DoNotOptimize(iterations.data());
    benchmark::DoNotOptimize(converged.data());
  }
}

BENCHMARK(overhead_ours)->Name("solver/overhead/ours")->UseRealTime();
BENCHMARK(overhead_peer)->Name("solver/overhead/peer")->UseRealTime();
BENCHMARK(work_saved_ours)->Name("solver/work_saved/ours")->UseRealTime();
BENCHMARK(work_saved_peer)->Name("solver/work_saved/peer")->UseRealTime();
BENCHMARK(small_map_ours)->Name("solver/small_map/ours")->Arg(1)->Arg(2)->UseRealTime();
BENCHMARK(small_map_peer)->Name("solver/small_map/peer")->Arg(1)->Arg(2)->UseRealTime();

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::AddCustomContext("flags", BENCHMARK_FLAGS);
  benchmark::AddCustomContext("basin", std::to_string(BASIN_VERSION));
  benchmark::AddCustomContext("eigen", std::to_string(EIGEN_WORLD_VERSION) + "." +
                                           std::to_string(EIGEN_MAJOR_VERSION) + "." +
                                           std::to_string(EIGEN_MINOR_VERSION));
  benchmark::AddCustomContext("simd", Eigen::SimdInstructionSetsInUse());
  benchmark::RunSpecifiedBenchmarks();
}
