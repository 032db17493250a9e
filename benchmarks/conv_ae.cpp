// Table 3's autoencoder: our side of benchmarks/conv_ae.py, which says what is measured.
#include <benchmark/benchmark.h>

#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <basin/core/version.hpp>
#include <basin/io/npy.hpp>
#include <basin/map/derivative.hpp>
#include <basin/model/model_file.hpp>
#include <basin/training/objective.hpp>
#include <basin/training/optimizer.hpp>

namespace {

using basin::index_t;

// What the peer made: weights, codes, tangents and images, as single numbers.
template <class Scalar>
struct Inputs {
  explicit Inputs(const std::string& folder)
      : model(basin::load_model<Scalar>(folder + "/weights.safetensors").autoencoder),
        codes(basin::read_npy<float>(folder + "/codes.npy").cast<Scalar>()),
        tangents(basin::read_npy<float>(folder + "/tangents.npy").cast<Scalar>()),
        images(basin::read_npy<float>(folder + "/images.npy").cast<Scalar>()) {}

  basin::Autoencoder<Scalar> model;
  Eigen::MatrixX<Scalar> codes, tangents, images;
};

// A row's name: operation, number of states, threads.
struct row {
  std::string_view operation;
  index_t states;
  int threads;

  [[nodiscard]] std::string name() const {
    return "conv_ae/" + std::string(operation) + "/N=" + std::to_string(states) +
           "/threads=" + std::to_string(threads);
  }
};

std::vector<row> all_rows() {
  std::vector<row> rows;
  for (const int threads : {1, 2}) {
    for (const index_t n : {512, 64, 16, 1}) rows.push_back({"forward", n, threads});
    rows.push_back({"train", 128, threads});
    rows.push_back({"jvp", 64, threads});
    rows.push_back({"vjp", 64, threads});
  }
  return rows;
}

// One call of a row, again and again.
template <class Scalar>
class Work {
 public:
  Work(Inputs<Scalar>& inputs, const row& what)
      : inputs_(inputs),
        what_(what),
        be_(what.threads),
        f_(inputs.model.latent_map()),
        Z_(inputs.codes.leftCols(std::min(what.states, inputs.codes.cols()))),
        V_(inputs.tangents.leftCols(Z_.cols())),
        value_(Z_.rows(), Z_.cols()),
        derivative_(Z_.rows(), Z_.cols()),
        X_(inputs.images.leftCols(std::min(what.states, inputs.images.cols()))),
        model_(inputs.model),
        optimizer_(basin::adam{.weight_decay = 1e-4}, size()),
        gradient_(size()) {
    for (const auto& one : model_.parameters()) values_.push_back(one.values);
  }

  void run() {
    if (what_.operation == "forward") {
      basin::evaluate(be_, f_, Z_, value_);
    } else if (what_.operation == "jvp") {
      f_.value_and_jvp(be_, Z_, V_, value_, derivative_);
    } else if (what_.operation == "vjp") {
      f_.value_and_vjp(be_, Z_, V_, value_, derivative_);
    } else {
      compute_gradient();
      optimizer_.step(&be_.pool(), values_, gradient_.data(), 5e-4);
      model_.parameters_changed(&be_.pool());
    }
    benchmark::DoNotOptimize(value_.data());
    benchmark::DoNotOptimize(derivative_.data());
    benchmark::ClobberMemory();
  }

  [[nodiscard]] Eigen::MatrixX<Scalar> answer() {
    if (what_.operation == "train") {
      compute_gradient();
      return gradient_;
    }
    run();
    if (what_.operation == "forward") return value_;
    Eigen::MatrixX<Scalar> both(2 * value_.rows(), value_.cols());
    both << value_, derivative_;
    return both;
  }

 private:
  [[nodiscard]] index_t size() const {
    return basin::parameter_count(inputs_.model.encoder()) +
           basin::parameter_count(inputs_.model.decoder());
  }
  void compute_gradient() {
    // One channel: CHW and HWC are the same memory.
    const basin::block<const Scalar> x(X_.data(), X_.outerStride(), X_.cols());
    benchmark::DoNotOptimize(objective_.evaluate(be_, model_, x, {}, 0, gradient_.data()));
  }

  Inputs<Scalar>& inputs_;
  row what_;
  basin::cpu<Scalar> be_;
  basin::LayerMap<basin::Network<Scalar>> f_;
  Eigen::MatrixX<Scalar> Z_, V_, value_, derivative_, X_;
  basin::Autoencoder<Scalar> model_;
  basin::Objective<Scalar> objective_;
  basin::Optimizer<Scalar> optimizer_;
  Eigen::VectorX<Scalar> gradient_;
  std::vector<basin::array_view<Scalar>> values_;
};

template <class Scalar>
int write_answer(const std::string& folder, const std::string& name, const std::string& output) {
  for (const row& one : all_rows()) {
    if (one.name() != name) continue;
    Inputs<Scalar> inputs(folder);
    basin::write_npy(output, Work<Scalar>(inputs, one).answer());
    return 0;
  }
  throw basin::argument_error("there is no row " + name);
}

int run(int argc, char** argv) {
  if (argc < 2) throw basin::argument_error("usage: benchmark_conv_ae FOLDER [options]");
  const std::string folder = argv[1];
  std::string name, output;
  bool in_double = false;
  for (int i = 2; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--row" && i + 1 < argc) name = argv[++i];
    if (option == "--output" && i + 1 < argc) output = argv[++i];
    if (option == "--double") in_double = true;
  }
  if (!name.empty()) {
    return in_double ? write_answer<double>(folder, name, output)
                     : write_answer<float>(folder, name, output);
  }
  Inputs<float> inputs(folder);
  for (const row& one : all_rows()) {
    benchmark::RegisterBenchmark((one.name() + "/ours").c_str(), [&inputs,
                                                                  one](benchmark::State& state) {
      Work<float> work(inputs, one);
      work.run();
      for (auto _ : state) work.run();
    })->UseRealTime();
  }
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
    std::cerr << "benchmark_conv_ae: " << e.what() << '\n';
    return 1;
  }
}
