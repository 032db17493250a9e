// What the device takes for the parts that runs are made of; ./scripts/device_test keeps its rows.
//   device [SHARE]   of every size, 1 if not given
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <basin/backend/cuda.hpp>
#include <basin/map/derivative.hpp>
#include <basin/model/table3.hpp>
#include <basin/nn/cuda/layer_map.hpp>
#include <basin/nn/layer_map.hpp>
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/sparse/cuda/orthogonal_matching_pursuit.hpp>

namespace {

using basin::index_t;
using backend = basin::cuda<float>;

// Milliseconds of f: the median of nine, after one that is not counted.
template <class F>
double milliseconds(const backend& be, const F& f) {
  std::vector<double> times;
  for (int i = 0; i < 10; ++i) {
    be.runtime().wait();
    const auto begin = std::chrono::steady_clock::now();
    f();
    be.runtime().wait();
    const std::chrono::duration<double, std::milli> passed =
        std::chrono::steady_clock::now() - begin;
    if (i > 0) times.push_back(passed.count());
  }
  std::nth_element(times.begin(), times.begin() + 4, times.end());
  return times[4];
}

// One row of Markdown; `work` is in units of 10^9.
void row(const char* what, index_t size, double time, double work, const char* unit) {
  std::printf("| %s | %lld | %.4g | ", what, static_cast<long long>(size), time);
  if (work > 0) {
    std::printf("%.4g %s |\n", work / (time * 1e-3), unit);
  } else {
    std::printf("%.4g %s |\n", static_cast<double>(size) / (time * 1e-3), unit);
  }
  std::fflush(stdout);
}

backend::matrix normal(const backend& be, index_t rows, index_t columns, unsigned stream) {
  auto X = be.make_matrix(rows, columns);
  fill_normal(be, basin::random_stream{1, stream}, X);
  return X;
}

void products(const backend& be, index_t n) {
  const auto A = normal(be, n, n, 1), B = normal(be, n, n, 2);
  auto C = be.make_matrix(n, n);
  const auto size = static_cast<double>(n);
  row("product of matrices", n, milliseconds(be, [&] { gemm(be, A, B, C); }),
      2e-9 * size * size * size, "GFLOP/s");
}

void reductions(const backend& be, index_t rows, index_t columns) {
  const auto X = normal(be, rows, columns, 3), Y = normal(be, rows, columns, 4);
  auto distances = be.make_buffer<float>(columns);
  const double bytes = 8e-9 * static_cast<double>(rows) * static_cast<double>(columns);
  row("distances of columns", columns,
      milliseconds(be, [&] { column_squared_distances(be, X, Y, distances); }), bytes, "GB/s");
}

// f, its Jacobian's products and runs from noise, of Table 3's autoencoder on grey images.
void networks(const backend& be, index_t n, index_t starts) {
  auto autoencoder = basin::table3<float>({.image = {1, 32, 32}, .width = 32, .latent = 128});
  autoencoder.initialize(1);
  auto f = basin::on_device(be, autoencoder.latent_map());
  const auto Z = normal(be, 128, n, 5), V = normal(be, 128, n, 6);
  auto out = be.make_matrix(128, n);
  row("f of Table 3", n, milliseconds(be, [&] { basin::evaluate(be, f, Z, out); }), 0, "states/s");
  row("J v of Table 3", n, milliseconds(be, [&] { basin::jvp(be, f, Z, V, out); }), 0, "states/s");
  row("J^T u of Table 3", n, milliseconds(be, [&] { basin::vjp(be, f, Z, V, out); }), 0,
      "states/s");
  const auto from = normal(be, 128, starts, 7);
  basin::FixedPointSolver solver{f, basin::picard{}, basin::stopping{.residual = 1e-5}};
  row("runs from noise", starts, milliseconds(be, [&] { (void)solver.solve(be, from); }), 0,
      "starts/s");
}

void pursuits(const backend& be, index_t n) {
  Eigen::MatrixXf columns(128, 2048);
  download(be, normal(be, 128, 2048, 8), columns);
  const basin::DeviceDictionary<float> dictionary(
      be, basin::make_dictionary<float>(columns.cast<double>()));
  const auto targets = normal(be, 128, n, 9);
  row("matching pursuit, 32 of 2048 atoms", n,
      milliseconds(
          be, [&] { (void)orthogonal_matching_pursuit(be, dictionary, targets, {.atoms = 32}); }),
      0, "targets/s");
}

}  // namespace

int main(int argc, char** argv) {
  const double share = argc > 1 ? std::atof(argv[1]) : 1;
  const auto of = [share](index_t size) {
    return std::max<index_t>(1, static_cast<index_t>(share * static_cast<double>(size)));
  };
  const backend be;
  std::puts("| what, in float | size | ms | in a second |\n|---|---|---|---|");
  products(be, of(4096));
  reductions(be, 128, of(1 << 20));
  networks(be, of(8192), of(1000));
  pursuits(be, of(8192));
  return 0;
}
