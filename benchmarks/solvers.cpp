// Time to the attractors of a model: our side of benchmarks/solvers.py, which says what is
// measured.
#include <benchmark/benchmark.h>

#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <basin/core/version.hpp>
#include <basin/io/npy.hpp>
#include <basin/model/model_file.hpp>
#include <basin/solver/anderson.hpp>
#include <basin/solver/basin_preserving.hpp>
#include <basin/solver/fixed_point_solver.hpp>

namespace {

using basin::index_t;
using matrix = Eigen::MatrixXf;
using result = basin::FixedPointResult<basin::cpu<float>>;

struct row {
  std::string_view accelerator;
  std::string_view starts;
  int threads;

  [[nodiscard]] std::string name() const {
    return std::string(accelerator) + "/" + std::string(starts) +
           "/threads=" + std::to_string(threads);
  }
};

std::vector<row> all_rows() {
  std::vector<row> rows;
  for (const int threads : {1, 2}) {
    for (const char* starts : {"images", "noise"}) {
      for (const char* accelerator : {"picard", "basin_preserving", "bold", "anderson"}) {
        rows.push_back({accelerator, starts, threads});
      }
    }
  }
  return rows;
}

// A model, and its starts as columns.
struct Inputs {
  explicit Inputs(const std::string& folder)
      : f(basin::load_model<float>(folder + "/weights.safetensors").autoencoder.latent_map()),
        images(basin::read_npy<float>(folder + "/images.npy")),
        noise(basin::read_npy<float>(folder + "/noise.npy")) {}
  basin::LayerMap<basin::Network<float>> f;
  matrix images, noise;
};

result solve(const Inputs& inputs, const row& what, double residual) {
  const basin::cpu<float> be(what.threads);
  const basin::stopping rule{.residual = residual, .max_iterations = 3000};
  const matrix& starts = what.starts == "images" ? inputs.images : inputs.noise;
  const auto run = [&](const auto& accelerator) {
    basin::FixedPointSolver solver{inputs.f, accelerator, rule};
    return solver.solve(be, starts);
  };
  if (what.accelerator == "picard") return run(basin::picard{});
  if (what.accelerator == "anderson") return run(basin::anderson{});
  if (what.accelerator == "bold") return run(basin::basin_preserving<>{.across = 0.2});
  return run(basin::basin_preserving{});
}

int run(int argc, char** argv) {
  if (argc < 2) throw basin::argument_error("usage: benchmark_solvers FOLDER [options]");
  const Inputs inputs(argv[1]);
  std::string name, output;
  double residual = 1e-3;
  for (int i = 2; i + 1 < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--row") name = argv[++i];
    if (option == "--output") output = argv[++i];
    if (option == "--residual") residual = std::stod(argv[++i]);
  }
  for (const row& one : all_rows()) {
    if (!name.empty()) {
      if (one.name() != name) continue;
      const result found = solve(inputs, one, residual);
      matrix answer(found.states.rows() + 2, found.states.cols());
      answer.topRows(found.states.rows()) = found.states;
      for (index_t j = 0; j < answer.cols(); ++j) {
        const auto at = static_cast<std::size_t>(j);
        answer(found.states.rows(), j) = static_cast<float>(found.evaluations[at]);
        answer(found.states.rows() + 1, j) = static_cast<float>(found.status[at]);
      }
      basin::write_npy(output, answer);
      return 0;
    }
    benchmark::RegisterBenchmark(one.name().c_str(), [&inputs, one](benchmark::State& state) {
      for (auto _ : state) benchmark::DoNotOptimize(solve(inputs, one, 1e-3).residual.data());
    })->UseRealTime();
  }
  if (!name.empty()) throw basin::argument_error("there is no row " + name);
  benchmark::Initialize(&argc, argv);
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::AddCustomContext("flags", BENCHMARK_FLAGS);
  benchmark::AddCustomContext("basin", std::to_string(BASIN_VERSION));
  benchmark::AddCustomContext("simd", Eigen::SimdInstructionSetsInUse());
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "benchmark_solvers: " << e.what() << '\n';
    return 1;
  }
}
