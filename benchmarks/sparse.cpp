// Orthogonal matching pursuit: our side of benchmarks/sparse.py, which says what is measured.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <basin/io/npy.hpp>
#include <basin/sparse/orthogonal_matching_pursuit.hpp>

namespace {

using basin::index_t;

// Atoms, targets and all inner products, in float.
struct Inputs {
  explicit Inputs(const std::string& folder)
      : targets(basin::read_npy<float>(folder + "/targets.npy")),
        products(basin::read_npy<float>(folder + "/products.npy")),
        squares(basin::detail::target_squares<float>(targets)) {
    dictionary.atoms = basin::read_npy<float>(folder + "/atoms.npy");
    dictionary.gram = basin::read_npy<float>(folder + "/gram.npy");
  }
  basin::Dictionary<float> dictionary;
  Eigen::MatrixXf targets, products;
  std::vector<double> squares;
};

basin::SparseCodes<float> by_products(const Inputs& in, index_t atoms, int threads) {
  return basin::orthogonal_matching_pursuit_gram(basin::cpu<float>(threads), in.dictionary.gram,
                                                 in.products, in.squares, {.atoms = atoms});
}

// All correlations brought up to date in every step.
basin::SparseCodes<float> plainly(const Inputs& in, index_t atoms, int threads) {
  const basin::cpu<float> be(threads);
  const basin::pursuit_options options{.atoms = atoms};
  auto codes = basin::detail::make_codes<float>(atoms, in.products.cols(), false);
  be.pool().run((in.products.cols() + 7) / 8, [&](index_t task) {
    basin::detail::GramTargets<float> targets(in.dictionary.gram, atoms, false, options);
    for (index_t j = 8 * task; j < std::min(in.products.cols(), 8 * (task + 1)); ++j) {
      const double square = in.squares[static_cast<std::size_t>(j)];
      const basin::detail::ProductTarget<float> target{in.products.col(j).data(), square};
      (void)targets.answer(j, target.b, square, target, codes);
    }
  });
  return codes;
}

// With the products of atoms and targets, the Gram matrix held.
basin::SparseCodes<float> by_atoms(const Inputs& in, index_t atoms, int threads) {
  return basin::orthogonal_matching_pursuit(basin::cpu<float>(threads), in.dictionary, in.targets,
                                            {.atoms = atoms});
}

int run(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "benchmark_sparse FOLDER ATOMS [--answer FOLDER | OPTIONS]\n");
    return 2;
  }
  const Inputs inputs(argv[1]);
  const index_t atoms = std::stol(argv[2]);
  if (argc > 4 && std::string_view(argv[3]) == "--answer") {
    const std::string to = argv[4];
    const auto write = [&](const char* name, const basin::SparseCodes<float>& codes) {
      basin::write_npy(to + "/" + name + "_atoms.npy", codes.atoms.cast<double>());
      basin::write_npy(to + "/" + name + "_codes.npy", codes.coefficients);
    };
    write("products", by_products(inputs, atoms, 2));
    write("atoms", by_atoms(inputs, atoms, 2));
    // By the definition: products of the atoms with the residual, in double.
    basin::Dictionary<double> exact;
    exact.atoms = inputs.dictionary.atoms.cast<double>();
    const auto known = basin::orthogonal_matching_pursuit(
        basin::cpu<double>(2), exact, inputs.targets.cast<double>(),
        {.atoms = atoms, .form = basin::pursuit_form::direct});
    basin::write_npy(to + "/double_atoms.npy", known.atoms.cast<double>());
    return 0;
  }
  const auto add = [&](const char* name, int threads, auto function) {
    benchmark::RegisterBenchmark(
        (name + std::string("/threads=") + std::to_string(threads)).c_str(),
        [=, &inputs](benchmark::State& state) {
          for (auto _ : state) {
            benchmark::DoNotOptimize(function(inputs, atoms, threads));
          }
        })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  };
  for (const int threads : {1, 2}) {
    add("products", threads, by_products);
    add("plain", threads, plainly);
    add("atoms", threads, by_atoms);
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
    std::cerr << "benchmark_sparse: " << e.what() << '\n';
    return 1;
  }
}
