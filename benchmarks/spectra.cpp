// Leading eigenvalues of many Jacobians of a model, and clusters of many points: our side of
// benchmarks/spectra.py, which says what is measured.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <basin/io/npy.hpp>
#include <basin/model/model_file.hpp>
#include <basin/spectral/eigenvalues.hpp>

#include "spectra_cluster.hpp"

namespace {

using basin::index_t;

// A model and points as columns.
struct Inputs {
  explicit Inputs(const std::string& folder)
      : f(basin::load_model<float>(folder + "/model.safetensors").autoencoder.latent_map()),
        exact(basin::load_model<double>(folder + "/model.safetensors").autoencoder.latent_map()),
        points(basin::read_npy<double>(folder + "/points.npy")) {}
  basin::LayerMap<basin::Network<float>> f;
  basin::LayerMap<basin::Network<double>> exact;
  Eigen::MatrixXd points;
};

constexpr index_t leading = 6;

void leading6(benchmark::State& state, Inputs& inputs, int threads) {
  const basin::cpu<float> be(threads);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        basin::eigenvalues(be, inputs.f, inputs.points, {.count = leading, .tolerance = 1e-5}));
  }
}

// Writes a row a point: the leading values' real and imaginary parts, the products, the largest
// backward error; in double where the tolerance is below float's.
template <class Scalar, class Map>
void write_values(Map& f, const Eigen::MatrixXd& points, double tolerance,
                  const std::string& path) {
  const auto spectra = basin::eigenvalues(
      basin::cpu<Scalar>(), f, points,
      {.count = leading, .tolerance = tolerance, .method = basin::eigenvalue_method::krylov_schur});
  Eigen::MatrixXd table(points.cols(), 2 * leading + 2);
  for (index_t j = 0; j < points.cols(); ++j) {
    const basin::Spectrum& s = spectra[static_cast<std::size_t>(j)];
    for (index_t i = 0; i < leading; ++i) {
      table(j, 2 * i) = s.values[i].real();
      table(j, 2 * i + 1) = s.values[i].imag();
    }
    table(j, 2 * leading) = static_cast<double>(s.products);
    table(j, 2 * leading + 1) = s.backward_error.maxCoeff();
  }
  basin::write_npy(path, table);
}

int run(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr,
                 "benchmark_spectra FOLDER [--values FILE [--tolerance T]]\n"
                 "benchmark_spectra FOLDER --clusters | --labels NAME FILE THREADS\n");
    return 2;
  }
  if (argc > 5 && std::string_view(argv[2]) == "--labels") {
    spectra::write_cluster_labels(argv[1], argv[3], argv[4], std::stoi(argv[5]));
    return 0;
  }
  const auto measure = [&] {
    benchmark::AddCustomContext("flags", BENCHMARK_FLAGS);
    benchmark::AddCustomContext("compiler", __VERSION__);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
  };
  if (argc > 2 && std::string_view(argv[2]) == "--clusters") {
    spectra::register_clusters(argv[1], {"k=2", "k=128", "k=2_uniform", "k=128_uniform"});
    return measure();
  }
  Inputs inputs(argv[1]);
  if (argc > 3 && std::string_view(argv[2]) == "--values") {
    const double tolerance = argc > 5 ? std::stod(argv[5]) : 1e-5;
    if (tolerance < 1e-5) {
      write_values<double>(inputs.exact, inputs.points, tolerance, argv[3]);
    } else {
      write_values<float>(inputs.f, inputs.points, tolerance, argv[3]);
    }
    return 0;
  }
  for (const int threads : {1, 2}) {
    benchmark::RegisterBenchmark(
        ("leading6/threads=" + std::to_string(threads)).c_str(),
        [&inputs, threads](benchmark::State& state) { leading6(state, inputs, threads); })
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
    std::cerr << "benchmark_spectra: " << e.what() << '\n';
    return 1;
  }
}
