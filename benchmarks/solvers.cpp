// Time to the attractors of a model, and whether accelerated starts end where Picard's do: our
// side of benchmarks/solvers.py, which says what is measured.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <basin/core/version.hpp>
#include <basin/io/npy.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/concept.hpp>
#include <basin/model/model_file.hpp>
#include <basin/solver/anderson.hpp>
#include <basin/solver/automatic.hpp>
#include <basin/solver/basin_preserving.hpp>
#include <basin/solver/fixed_point_solver.hpp>

namespace {

using basin::index_t;
using matrix = Eigen::MatrixXf;
using result = basin::FixedPointResult<basin::cpu<float>>;

// Settings besides the default: one that errs least, one for networks, and one that errs.
const basin::basin_preserving<> strict{.outside = {.linearity = 0.003, .across = 0.003},
                                       .trusted = 0};
const basin::basin_preserving<> network{.outside = {.linearity = 0.01, .across = 0.02},
                                        .declines = 0};
const basin::basin_preserving<> bold{.outside = {.linearity = 0.2, .across = 0.2}, .trusted = 0};

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
      for (const char* accelerator :
           {"picard", "basin_preserving", "automatic", "network", "bold", "anderson"}) {
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
  if (what.accelerator == "automatic") return run(basin::automatic{});
  if (what.accelerator == "network") return run(network);
  if (what.accelerator == "bold") return run(bold);
  return run(basin::basin_preserving{});
}

// n × n starts over a box, with the second coordinate running.
template <class Scalar>
Eigen::MatrixX<Scalar> grid(const Eigen::Vector2d& low, const Eigen::Vector2d& high, index_t n) {
  Eigen::MatrixX<Scalar> starts(2, n * n);
  for (index_t j = 0; j < n * n; ++j) {
    const Eigen::Vector2d at(static_cast<double>(j / n) + 0.5, static_cast<double>(j % n) + 0.5);
    starts.col(j) =
        (low + (high - low).cwiseProduct(at / static_cast<double>(n))).template cast<Scalar>();
  }
  return starts;
}

// A grid of starts, and where Picard's iteration takes them.
template <class Scalar>
class Basins {
 public:
  template <class Map>
  Basins(const Map& map, Eigen::MatrixX<Scalar> starts, const basin::stopping& rule)
      : starts_(std::move(starts)) {
    basin::FixedPointSolver plain{map, basin::picard{}, rule};
    truth_ = plain.solve(basin::cpu<Scalar>(), starts_);
    // Starts whose way is slow at its end: by the ratio of the steps behind it.
    Eigen::MatrixX<Scalar> steps[3], z = truth_.states;
    for (auto& step : steps) {
      Eigen::MatrixX<Scalar> f = z;
      basin::evaluate(basin::cpu<Scalar>(), plain.map(), z, f);
      step = f - z;
      z = f;
    }
    for (index_t j = 0; j < starts_.cols(); ++j) {
      slow_.push_back(steps[0].col(j).norm() > 0 &&
                      steps[2].col(j).norm() >= Scalar(0.81) * steps[0].col(j).norm());
    }
  }

  [[nodiscard]] index_t evaluations() const { return truth_.work.evaluations; }

  // As JSON: evaluations, the share of Picard's that the slow starts took, and the starts that
  // end elsewhere with the distance from each to the nearest start of another basin.
  template <class Map, class Accelerator>
  void print(const char* name, const Map& map, const Accelerator& accelerator,
             const basin::stopping& rule) const {
    basin::FixedPointSolver solver{map, accelerator, rule};
    const auto found = solver.solve(basin::cpu<Scalar>(), starts_);
    double slow = 0;
    double slow_of_picard = 0;
    std::vector<index_t> elsewhere;
    for (index_t j = 0; j < starts_.cols(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      if (slow_[at]) {
        slow += static_cast<double>(found.evaluations[at]);
        slow_of_picard += static_cast<double>(truth_.evaluations[at]);
      }
      if (apart(found.states, j, j)) elsewhere.push_back(j);
    }
    const double cell = (starts_.col(1) - starts_.col(0)).norm();
    index_t near = 0;
    std::string exceptions;
    for (const index_t j : elsewhere) {
      const double distance = to_boundary(j);
      if (distance <= 1.5 * cell) ++near;
      if (elsewhere.size() > 50) continue;
      if (!exceptions.empty()) exceptions += ", ";
      exceptions += "[" + std::to_string(starts_(0, j)) + ", " + std::to_string(starts_(1, j)) +
                    ", " + std::to_string(distance) + "]";
    }
    std::printf(
        ", \"%s\": {\"evaluations\": %td, \"slow_share\": %.4f, \"elsewhere\": %zu, "
        "\"near_boundary\": %td, \"exceptions\": [%s]}",
        name, found.work.evaluations, slow_of_picard > 0 ? slow / slow_of_picard : 1.0,
        elsewhere.size(), near, exceptions.c_str());
  }

 private:
  [[nodiscard]] bool apart(const Eigen::MatrixX<Scalar>& ends, index_t i, index_t j) const {
    return !((ends.col(i) - truth_.states.col(j)).norm() <= Scalar(0.1));
  }
  // From start j to the nearest of the grid that Picard's iteration takes elsewhere.
  [[nodiscard]] double to_boundary(index_t j) const {
    double least = std::numeric_limits<double>::infinity();
    for (index_t i = 0; i < starts_.cols(); ++i) {
      const auto distance = static_cast<double>((starts_.col(i) - starts_.col(j)).norm());
      if (distance < least && apart(truth_.states, i, j)) least = distance;
    }
    return least;
  }

  Eigen::MatrixX<Scalar> starts_;
  basin::FixedPointResult<basin::cpu<Scalar>> truth_;
  std::vector<bool> slow_;
};

template <class Scalar, class Map>
void print_basins(const Map& map, const Eigen::MatrixX<Scalar>& starts, double residual) {
  const basin::stopping rule{.residual = residual, .max_iterations = 100000};
  const Basins<Scalar> basins(map, starts, rule);
  std::printf("{\"starts\": %td, \"picard\": {\"evaluations\": %td}", starts.cols(),
              basins.evaluations());
  const auto print = [&](const char* name, const auto& accelerator) {
    basins.print(name, map, accelerator, rule);
  };
  print("strict", strict);
  print("basin_preserving", basin::basin_preserving<>{});
  print("automatic", basin::automatic{});
  print("network", network);
  print("bold", bold);
  print("anderson", basin::anderson{});
  std::printf("}\n");
}

// z - share × p(z) / p'(z) for p = z³ - 1.
auto newton(double share) {
  return basin::columnwise<2>([share](const auto& z, auto& next) {
    const double x = z[0], y = z[1], r = x * x + y * y;
    next[0] = x + share * ((2 * x + (x * x - y * y) / (r * r)) / 3 - x);
    next[1] = y + share * ((2 * y - 2 * x * y / (r * r)) / 3 - y);
  });
}

// A damped oscillator in a double well.
auto oscillator() {
  return basin::columnwise<2>([](const auto& z, auto& next) {
    const double x = z[0], v = z[1];
    next[1] = v + 0.1 * (x - x * x * x - 0.2 * v);
    next[0] = x + 0.1 * next[1];
  });
}

void print_basins(const std::string& folder, std::string_view problem, index_t n) {
  const auto square = grid<double>({-2, -2}, {2, 2}, n);
  if (problem == "newton") {
    print_basins<double>(newton(1), square, 1e-10);
  } else if (problem == "relaxed_newton") {
    print_basins<double>(newton(0.1), square, 1e-10);
  } else if (problem == "oscillator") {
    print_basins<double>(oscillator(), square, 1e-8);
  } else {
    const Inputs inputs(folder);
    const Eigen::MatrixXd codes = inputs.images.cast<double>();
    print_basins<float>(
        inputs.f, grid<float>(codes.rowwise().minCoeff(), codes.rowwise().maxCoeff(), n), 1e-5);
  }
}

int run(int argc, char** argv) {
  if (argc < 2) throw basin::argument_error("usage: benchmark_solvers FOLDER [options]");
  std::string name, output, problem;
  double residual = 1e-3;
  index_t size = 100;
  for (int i = 2; i + 1 < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--row") name = argv[++i];
    if (option == "--output") output = argv[++i];
    if (option == "--residual") residual = std::stod(argv[++i]);
    if (option == "--basins") problem = argv[++i];
    if (option == "--grid") size = std::stol(argv[++i]);
  }
  if (!problem.empty()) {
    print_basins(argv[1], problem, size);
    return 0;
  }
  const Inputs inputs(argv[1]);
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
