// The flow of a map from many starts at once, by dopri5 with a step per start: our side of
// benchmarks/flow.py, which says what is measured.
#include <benchmark/benchmark.h>

#include <iostream>
#include <string>
#include <string_view>

#include <basin/core/version.hpp>
#include <basin/dynamics/dopri5.hpp>
#include <basin/dynamics/flow_solver.hpp>
#include <basin/dynamics/rkf78.hpp>
#include <basin/io/npy.hpp>
#include <basin/map/activation.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/compose.hpp>
#include <basin/model/model_file.hpp>

namespace {

using basin::index_t;
using matrix = Eigen::MatrixXd;
using result = basin::FlowResult<basin::cpu<double>>;

struct request {
  std::string folder, problem, output;
  double relative = 1e-6;
  double time = 10;
  int threads = 1;
  bool reference = false;
};

matrix read(const request& what, const std::string& name) {
  return basin::read_npy<double>(what.folder + "/" + name + ".npy");
}

template <class Map>
void measure(const request& what, const Map& map) {
  const matrix starts = read(what, "starts");
  const basin::flow_stopping stopping{.time = what.time, .residual = 0};
  const basin::cpu<double> be(what.threads);
  const double absolute = what.relative / 1000;
  basin::FlowSolver solver{map, basin::dopri5{.relative = what.relative, .absolute = absolute},
                           stopping};
  if (what.output.empty()) {
    benchmark::RegisterBenchmark(
        "flow",
        [&](benchmark::State& state) {
          for (auto _ : state) benchmark::DoNotOptimize(solver.solve(be, starts).residual.data());
        })
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
    benchmark::RunSpecifiedBenchmarks();
    return;
  }
  basin::FlowSolver smooth{map, basin::rkf78{.relative = what.relative, .absolute = absolute},
                           stopping};
  const result found = what.reference ? smooth.solve(be, starts) : solver.solve(be, starts);
  matrix answer(starts.rows() + 3, starts.cols());
  answer.topRows(starts.rows()) = found.states;
  for (index_t j = 0; j < starts.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    answer.col(j).tail<3>() << static_cast<double>(found.evaluations[at]),
        static_cast<double>(found.accepted[at]), static_cast<double>(found.rejected[at]);
  }
  basin::write_npy(what.output, answer);
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc < 3) throw basin::argument_error("usage: benchmark_flow FOLDER PROBLEM [options]");
  request what{.folder = argv[1], .problem = argv[2], .output = {}};
  for (int i = 3; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--reference") what.reference = true;
    if (i + 1 == argc) break;
    if (option == "--output") what.output = argv[++i];
    if (option == "--relative") what.relative = std::stod(argv[++i]);
    if (option == "--time") what.time = std::stod(argv[++i]);
    if (option == "--threads") what.threads = std::stoi(argv[++i]);
  }
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::AddCustomContext("flags", BENCHMARK_FLAGS);
  benchmark::AddCustomContext("basin", std::to_string(BASIN_VERSION));
  benchmark::AddCustomContext("simd", Eigen::SimdInstructionSetsInUse());
  if (what.problem == "oscillator") {
    // A damped oscillator in a double well: dx/dt = v, dv/dt = x - x³ - 0.2 v.
    measure(what, basin::columnwise<2>([](const auto& z, auto& f) {
              const double x = z[0], v = z[1];
              f[0] = x + v;
              f[1] = v + (x - x * x * x - 0.2 * v);
            }));
  } else if (what.problem == "network") {
    measure(what, basin::compose(basin::affine(read(what, "outer")),
                                 basin::activation(basin::tanh_function{}),
                                 basin::affine(read(what, "inner"), read(what, "bias").col(0))));
  } else if (what.problem == "model") {
    measure(
        what,
        basin::load_model<double>(what.folder + "/weights.safetensors").autoencoder.latent_map());
  } else {
    throw basin::argument_error("there is no problem " + what.problem);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "benchmark_flow: " << e.what() << '\n';
    return 1;
  }
}
