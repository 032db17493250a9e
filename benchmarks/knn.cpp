// Nearest references: our side of benchmarks/knn.py, which says what is measured.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include <basin/io/npy.hpp>
#include <basin/ood/nearest.hpp>

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

int run(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr,
                 "benchmark_knn FOLDER NEIGHBOURS [--answer DISTANCES INDICES | OPTIONS]\n");
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
  benchmark::AddCustomContext("flags", BENCHMARK_FLAGS);
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
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
