// Nearest references and scores of trajectories: our side of benchmarks/knn.py, which says what is
// measured.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <basin/attractor/nearest.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/io/npy.hpp>
#include <basin/map/activation.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/compose.hpp>
#include <basin/ood/trajectory_score.hpp>

namespace {

using basin::index_t;

// References and samples as columns, in float.
struct Inputs {
  explicit Inputs(const std::string& folder)
      : references(basin::read_npy<float>(folder + "/references.npy")),
        samples(basin::read_npy<float>(folder + "/samples.npy")) {}
  Eigen::MatrixXf references, samples;
};

// The search alone; `prepare` is what comes once before it.
void search(benchmark::State& state, const Inputs& inputs, index_t neighbours, int threads) {
  const basin::cpu<float> be(threads);
  const basin::NearestReferences search(be, inputs.references);
  for (auto _ : state) {
    benchmark::DoNotOptimize(search.nearest(be, inputs.samples, neighbours));
  }
}

void prepare(benchmark::State& state, const Inputs& inputs, int threads) {
  const basin::cpu<float> be(threads);
  for (auto _ : state) {
    const basin::NearestReferences search(be, inputs.references);
    benchmark::DoNotOptimize(search.size());
  }
}

// The most memory that the process has had since `forget_peak`, in bytes. getrusage's number is
// never less than that of the process which started this one.
std::int64_t peak() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return 1024 * std::stoll(line.substr(6));
  }
  throw std::runtime_error("/proc/self/status does not tell VmHWM");
}

void forget_peak() {
  malloc_trim(0);  // what is free but held would be taken again unseen
  std::ofstream file("/proc/self/clear_refs");
  if (!(file << "5" << std::flush)) throw std::runtime_error("/proc/self/clear_refs: not written");
}

Eigen::MatrixXf normal(index_t rows, index_t columns, std::uint32_t stream) {
  Eigen::MatrixXf X(rows, columns);
  basin::fill_normal(basin::cpu<float>(1), {2, stream}, X);
  return X;
}

constexpr index_t latent = 768;

// z -> tanh(W₂ tanh(W₁ z + b₁) + b₂) in float.
auto network() {
  const auto layer = [](std::uint32_t stream) {
    const Eigen::MatrixXf W =
        0.9f / std::sqrt(static_cast<float>(latent)) * normal(latent, latent, stream);
    const Eigen::VectorXf b = 0.3f * normal(latent, 1, stream + 2);
    return basin::affine(W, b);
  };
  return basin::compose(basin::activation(basin::tanh_function{}), layer(1),
                        basin::activation(basin::tanh_function{}), layer(0));
}

struct Trajectories {
  decltype(network()) map = network();
  Eigen::MatrixXf attractors = normal(latent, 2000, 4), starts = normal(latent, 2000, 5);
};

void trajectories(benchmark::State& state, Trajectories& inputs, int threads) {
  const basin::cpu<float> be(threads);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        basin::trajectory_score(be, inputs.map, inputs.attractors, inputs.starts));
  }
}

// What cannot be left out: the evaluations of the active columns, and their products with the
// attractors.
void evaluations(benchmark::State& state, Trajectories& inputs, int threads) {
  const basin::cpu<float> be(threads);
  const auto found = basin::trajectory_score(be, inputs.map, inputs.attractors, inputs.starts);
  std::vector<index_t> active;
  for (const index_t taken : found.iterations) {
    active.resize(std::max(active.size(), static_cast<std::size_t>(taken + 1)), 0);
    for (index_t t = 0; t <= taken; ++t) ++active[static_cast<std::size_t>(t)];
  }
  Eigen::MatrixXf Z = inputs.starts, F(Z.rows(), Z.cols()), products(Z.cols(), Z.cols());
  for (auto _ : state) {
    for (const index_t n : active) {
      basin::evaluate(be, inputs.map, Z.leftCols(n), F.leftCols(n));
      basin::gemm(be, inputs.attractors, Z.leftCols(n), products.leftCols(n),
                  {.a = basin::transpose::yes});
      benchmark::DoNotOptimize(products.data());
    }
  }
  state.counters["evaluations"] = static_cast<double>(found.evaluations);
  state.counters["iterations"] = static_cast<double>(active.size() - 1);
}

int run(int argc, char** argv) {
  const auto measure = [&] {
    benchmark::AddCustomContext("flags", BENCHMARK_FLAGS);
    benchmark::AddCustomContext("compiler", __VERSION__);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
  };
  if (argc > 1 && std::string_view(argv[1]) == "--trajectories") {
    Trajectories inputs;
    if (argc > 3 && std::string_view(argv[2]) == "--memory") {
      const basin::cpu<float> be(std::stoi(argv[3]));
      Eigen::MatrixXf F(inputs.starts.rows(), inputs.starts.cols());
      basin::evaluate(be, inputs.map, inputs.starts, F);  // what the map itself keeps
      forget_peak();
      const std::int64_t before = peak();
      benchmark::DoNotOptimize(
          basin::trajectory_score(be, inputs.map, inputs.attractors, inputs.starts));
      std::printf("%lld\n", static_cast<long long>(peak() - before));
      return 0;
    }
    for (const int threads : {1, 2}) {
      const std::string name = "/threads=" + std::to_string(threads);
      for (const auto& [kind, body] :
           {std::pair{"trajectories", &trajectories}, std::pair{"evaluations", &evaluations}}) {
        benchmark::RegisterBenchmark((kind + name).c_str(),
                                     [&inputs, threads, body = body](benchmark::State& state) {
                                       body(state, inputs, threads);
                                     })
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
    return measure();
  }
  if (argc < 3) {
    std::fprintf(stderr,
                 "benchmark_knn FOLDER NEIGHBOURS [--answer DISTANCES INDICES | OPTIONS]\n"
                 "benchmark_knn --trajectories [--memory THREADS | OPTIONS]\n");
    return 2;
  }
  const Inputs inputs(argv[1]);
  const index_t neighbours = std::stol(argv[2]);
  if (argc > 5 && std::string_view(argv[3]) == "--answer") {
    const basin::cpu<float> be;
    const auto found =
        basin::NearestReferences(be, inputs.references).nearest(be, inputs.samples, neighbours);
    basin::write_npy(argv[4], found.distance);
    basin::write_npy(argv[5], found.index.cast<double>());
    return 0;
  }
  for (const int threads : {1, 2}) {
    const std::string name = "/threads=" + std::to_string(threads);
    benchmark::RegisterBenchmark(("search" + name).c_str(),
                                 [&inputs, neighbours, threads](benchmark::State& state) {
                                   search(state, inputs, neighbours, threads);
                                 })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(
        ("prepare" + name).c_str(),
        [&inputs, threads](benchmark::State& state) { prepare(state, inputs, threads); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
  return measure();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "benchmark_knn: " << e.what() << '\n';
    return 1;
  }
}
