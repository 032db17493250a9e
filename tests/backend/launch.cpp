// Kernels with shared memory, barriers and shuffles against plain loops, in every schedule. Built
// by nvcc for a GPU, and by a plain compiler for each of Thrust's host systems.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/cuda.hpp>
#include <basin/core/error.hpp>

#include "../catch.hpp"
#include "launch.hpp"

using basin::index_t;
using basin::launch;
using basin::launch_shape;
using basin::warp_size;
using launches::in_every_schedule;
using launches::on_device;
using launches::on_host;
using launches::small_integers;

namespace {

// Sums of parts of x that lie apart, one a block, by a tree over any number of threads.
template <class Scalar>
struct block_sums {
  const Scalar* x;
  index_t n;
  Scalar* sums;
  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    const int t = block.thread();
    const auto partial = block.template shared<Scalar>(block.threads());
    Scalar sum = 0;
    for (index_t i = block.index() * block.threads() + t; i < n;
         i += block.count() * block.threads()) {
      sum += x[i];
    }
    partial[t] = sum;
    block.sync();
    for (int active = block.threads(); active > 1;) {
      const int half = (active + 1) / 2;
      if (t < active - half) partial[t] += partial[t + half];
      block.sync();
      active = half;
    }
    if (t == 0) sums[block.index()] = partial[0];
  }
};

// Y = X^T by tiles, each by all threads of a block.
template <class Scalar, int Tile>
struct tiled_transpose {
  basin::device_view<const Scalar> X;
  basin::device_view<Scalar> Y;

  [[nodiscard]] static index_t tiles(index_t n) { return (n + Tile - 1) / Tile; }
  [[nodiscard]] launch_shape shape(int threads) const {
    return {.blocks = tiles(X.rows()) * tiles(X.cols()),
            .threads = threads,
            .shared_bytes = Tile * (Tile + 1) * static_cast<index_t>(sizeof(Scalar))};
  }
  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    const auto tile = block.template shared<Scalar>(Tile * (Tile + 1));
    const index_t down = (X.rows() + Tile - 1) / Tile;
    const index_t row = block.index() % down * Tile, column = block.index() / down * Tile;
    for (int k = block.thread(); k < Tile * Tile; k += block.threads()) {
      const index_t i = row + k % Tile, j = column + k / Tile;
      if (i < X.rows() && j < X.cols()) tile[k % Tile + k / Tile * (Tile + 1)] = X(i, j);
    }
    block.sync();
    for (int k = block.thread(); k < Tile * Tile; k += block.threads()) {
      const index_t j = column + k % Tile, i = row + k / Tile;
      if (i < X.rows() && j < X.cols()) Y(j, i) = tile[k / Tile + k % Tile * (Tile + 1)];
    }
  }
};

// Sums of all entries up to each one, within the entries of a block: Hillis and Steele (1986), from
// one shared array to another and back.
template <class Scalar>
struct shared_scan {
  const Scalar* x;
  index_t n;
  Scalar* y;
  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    const int t = block.thread();
    auto from = block.template shared<Scalar>(block.threads());
    auto to = block.template shared<Scalar>(block.threads());
    const index_t i = block.index() * block.threads() + t;
    from[t] = i < n ? x[i] : Scalar(0);
    block.sync();
    for (int distance = 1; distance < block.threads(); distance *= 2) {
      const Scalar own = from[t];
      to[t] = t >= distance ? own + from[t - distance] : own;
      block.sync();
      const auto other = from;
      from = to;
      to = other;
    }
    if (i < n) y[i] = from[t];
  }
};

// The same by shuffles: scans of warps, then a scan of their totals by the first.
template <class Scalar>
struct warp_scan {
  const Scalar* x;
  index_t n;
  Scalar* y;
  template <class Block>
  BASIN_HOST_DEVICE static Scalar within_warp(Block& block, Scalar sum) {
    for (int distance = 1; distance < warp_size; distance *= 2) {
      const Scalar before = block.shuffle_up(sum, distance);
      if (block.lane() >= distance) sum += before;
    }
    return sum;
  }
  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    const auto totals = block.template shared<Scalar>(warp_size);
    const index_t i = block.index() * block.threads() + block.thread();
    const Scalar sum = within_warp(block, i < n ? x[i] : Scalar(0));
    const bool last = block.lane() == warp_size - 1 || block.thread() == block.threads() - 1;
    if (last) totals[block.warp()] = sum;
    block.sync();
    if (block.warp() == 0) {
      const int warps = (block.threads() + warp_size - 1) / warp_size;
      const bool has_warp = block.lane() < warps;
      Scalar total = 0;
      if (has_warp) total = totals[block.lane()];
      total = within_warp(block, total);
      block.sync_warp();
      if (has_warp) totals[block.lane()] = total;
    }
    block.sync();
    Scalar before = 0;
    if (block.warp() > 0) before = totals[block.warp() - 1];
    if (i < n) y[i] = before + sum;
  }
};

struct extreme {
  double value;
  std::int32_t row;
  char padding;
};

// For every row of numbers, one warp: the greatest and where, their sum by every lane, and the
// first of them from lane 0.
struct warp_reductions {
  basin::device_view<const double> X;  // one column a warp
  double* greatest;
  std::int32_t* where;
  double* sums;   // warp_size a column
  double* first;  // warp_size a column
  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    const index_t j = block.index() * (block.threads() / warp_size) + block.warp();
    if (j >= X.cols()) return;
    extreme most{-1e300, -1, 'p'};
    double sum = 0;
    for (index_t i = block.lane(); i < X.rows(); i += warp_size) {
      if (X(i, j) > most.value) most = {X(i, j), static_cast<std::int32_t>(i), 'p'};
      sum += X(i, j);
    }
    for (int distance = warp_size / 2; distance > 0; distance /= 2) {
      const extreme other = block.shuffle_down(most, distance);
      if (other.value > most.value || (other.value == most.value && other.row < most.row)) {
        most = other;
      }
    }
    for (int mask = 1; mask < warp_size; mask *= 2) sum += block.shuffle_xor(sum, mask);
    const double of_first = block.shuffle(block.lane() < X.rows() ? X(block.lane(), j) : 0.0, 0);
    if (block.lane() == 0) {
      greatest[j] = most.value;
      where[j] = most.padding == 'p' ? most.row : -2;
    }
    sums[j * warp_size + block.lane()] = sum;
    first[j * warp_size + block.lane()] = of_first;
  }
};

// Swaps neighbours in shared memory behind a barrier of the warp.
struct swap_neighbours {
  const std::int8_t* x;
  index_t n;
  std::int8_t* y;
  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    const auto values = block.template shared<std::int8_t>(block.threads());
    const index_t i = block.index() * block.threads() + block.thread();
    values[block.thread()] = i < n ? x[i] : std::int8_t{0};
    block.sync_warp();
    if (i < n) y[i] = values[block.thread() ^ 1];
  }
};

// Arrays of several types, in more shared memory than a launch has without asking; raw access.
struct reversal {
  const double* x;
  int n;
  double* y;
  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    const auto values = block.template shared<double>(n);
    const auto order = block.template shared<std::int32_t>(n);
    const auto odd = block.template shared<std::uint8_t>(3);
    const auto aligned = block.template shared<double>(1);
    double* const raw = values.data();
    for (int i = block.thread(); i < n; i += block.threads()) {
      raw[i] = x[i];
      order[i] = n - 1 - i;
    }
    if (block.thread() < odd.size()) odd[block.thread()] = std::uint8_t{0};
    if (block.thread() == 0) aligned[0] = 1.0;
    block.sync();
    const double one = aligned[0];
    for (int i = block.thread(); i < values.size(); i += block.threads()) {
      const int from = order[i];
      const double value = values[from];
      y[i] = value * one + static_cast<double>(odd[i % 3]);
    }
  }
};

struct marks_block {
  std::int32_t* seen;
  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    if (block.thread() == block.threads() - 1) seen[block.index()] += 1;
  }
};

// Numbers of entries with numbers of threads and blocks, few of which divide each other.
struct ragged {
  index_t n;
  int threads;
  index_t blocks;
};
const std::vector<ragged> shapes{
    {1, 1, 1},       {1, 32, 1},      {2, 1, 3},       {7, 7, 1},       {31, 32, 2},
    {32, 32, 1},     {33, 32, 2},     {63, 64, 1},     {64, 33, 2},     {65, 31, 3},
    {100, 48, 3},    {127, 128, 1},   {129, 100, 2},   {255, 96, 4},    {256, 256, 1},
    {257, 255, 2},   {500, 65, 9},    {999, 160, 7},   {1000, 1000, 1}, {1023, 1024, 1},
    {1025, 1024, 2}, {2000, 127, 17}, {3001, 224, 14}, {4096, 512, 8},
};

// All blocks at a time; on a GPU also two or one that take turns.
const std::vector<index_t> grids = basin::detail::on_gpu
                                       ? std::vector<index_t>{launch_shape{}.grid, 2, 1}
                                       : std::vector<index_t>{launch_shape{}.grid};

}  // namespace

TEMPLATE_TEST_CASE("block sums", "[backend][launch]", float, double, std::int32_t) {
  const basin::cuda<double> be;
  for (const ragged& shape : shapes) {
    const index_t n = shape.n, blocks = shape.blocks;
    const int threads = shape.threads;
    const std::vector<TestType> x = small_integers<TestType>(n);
    std::vector<TestType> expected(static_cast<std::size_t>(blocks));
    for (index_t i = 0; i < n; ++i) {
      expected[static_cast<std::size_t>(i / threads % blocks)] += x[static_cast<std::size_t>(i)];
    }
    const auto device_x = on_device(be, x);
    for (const index_t grid : grids) {
      in_every_schedule([&] {
        auto sums = be.make_buffer<TestType>(blocks);
        const index_t bytes = threads * static_cast<index_t>(sizeof(TestType));
        launch(be, "block_sums",
               {.blocks = blocks, .threads = threads, .shared_bytes = bytes, .grid = grid},
               block_sums<TestType>{device_x.data(), n, sums.data()});
        REQUIRE(on_host(be, sums) == expected);
      });
    }
  }
}

TEMPLATE_TEST_CASE("a tiled transpose", "[backend][launch]", float, double) {
  const basin::cuda<TestType> be;
  using matrix = Eigen::MatrixX<TestType>;
  const index_t sides[][2] = {{1, 1},   {1, 9},   {9, 1},   {7, 5},   {8, 8},   {8, 16},  {9, 17},
                              {15, 15}, {16, 31}, {31, 16}, {32, 33}, {33, 32}, {40, 3},  {3, 40},
                              {47, 48}, {50, 50}, {64, 1},  {1, 65},  {63, 65}, {70, 41}, {41, 77}};
  for (const auto& side : sides) {
    const index_t rows = side[0], columns = side[1];
    matrix X(rows, columns);
    for (index_t i = 0; i < X.size(); ++i) X(i) = static_cast<TestType>(i + 1);
    auto device_x = be.make_matrix(rows, columns);
    upload(be, X, device_x);
    for (const int threads : {100, 256}) {
      in_every_schedule([&] {
        auto Y = be.make_matrix(columns, rows);
        upload(be, matrix::Constant(columns, rows, -1), Y);
        const auto transpose = [&](const auto& kernel) {
          launch(be, "tiled_transpose", kernel.shape(threads), kernel);
          matrix host(columns, rows);
          download(be, Y, host);
          REQUIRE(host == X.transpose());
        };
        transpose(tiled_transpose<TestType, 16>{device_x, Y});
        transpose(tiled_transpose<TestType, 7>{device_x, Y});
      });
    }
  }
}

TEMPLATE_TEST_CASE("scans, by shared memory and by shuffles", "[backend][launch]", float, double) {
  const basin::cuda<double> be;
  for (const ragged& of : shapes) {
    const index_t n = of.n;
    const int threads = of.threads;
    const std::vector<TestType> x = small_integers<TestType>(n);
    std::vector<TestType> expected = x;
    for (index_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (i % threads > 0) expected[at] += expected[at - 1];
    }
    const auto device_x = on_device(be, x);
    const launch_shape shape{
        .blocks = (n + threads - 1) / threads,
        .threads = threads,
        .shared_bytes = std::max(2 * threads, warp_size) * static_cast<index_t>(sizeof(TestType))};
    in_every_schedule([&] {
      auto y = be.make_buffer<TestType>(n);
      launch(be, "shared_scan", shape, shared_scan<TestType>{device_x.data(), n, y.data()});
      REQUIRE(on_host(be, y) == expected);
      y = be.make_buffer<TestType>(n);
      launch(be, "warp_scan", shape, warp_scan<TestType>{device_x.data(), n, y.data()});
      REQUIRE(on_host(be, y) == expected);
    });
  }
}

TEST_CASE("reductions of warps", "[backend][launch]") {
  const basin::cuda<double> be;
  for (const index_t rows : {0, 1, 2, 31, 32, 33, 100}) {
    for (const index_t columns : {1, 2, 7, 8, 9}) {
      Eigen::MatrixXd X(rows, columns);
      const std::vector<double> values = small_integers<double>(rows * columns);
      std::copy(values.begin(), values.end(), X.data());
      auto device_x = be.make_matrix(rows, columns);
      upload(be, X, device_x);
      std::vector<double> expected_greatest, expected_sums, expected_first;
      std::vector<std::int32_t> expected_where;
      for (index_t j = 0; j < columns; ++j) {
        index_t row = -1;
        expected_greatest.push_back(rows > 0 ? X.col(j).maxCoeff(&row) : -1e300);
        expected_where.push_back(static_cast<std::int32_t>(row));
        expected_sums.insert(expected_sums.end(), warp_size, X.col(j).sum());
        expected_first.insert(expected_first.end(), warp_size, rows > 0 ? X(0, j) : 0.0);
      }
      for (const int threads : {32, 96, 256}) {
        in_every_schedule([&] {
          auto greatest = be.make_buffer<double>(columns);
          auto where = be.make_buffer<std::int32_t>(columns);
          auto sums = be.make_buffer<double>(columns * warp_size);
          auto first = be.make_buffer<double>(columns * warp_size);
          const int warps = threads / warp_size;
          launch(
              be, "warp_reductions", {.blocks = (columns + warps - 1) / warps, .threads = threads},
              warp_reductions{device_x, greatest.data(), where.data(), sums.data(), first.data()});
          REQUIRE(on_host(be, greatest) == expected_greatest);
          REQUIRE(on_host(be, where) == expected_where);
          REQUIRE(on_host(be, sums) == expected_sums);
          REQUIRE(on_host(be, first) == expected_first);
        });
      }
    }
  }
}

TEST_CASE("a barrier of the warp", "[backend][launch]") {
  const basin::cuda<float> be;
  for (const ragged& of : shapes) {
    const index_t n = of.n;
    const int threads = of.threads;
    if (threads % 2 != 0) continue;  // every thread has a neighbour
    const std::vector<std::int8_t> x = small_integers<std::int8_t>(n);
    std::vector<std::int8_t> expected(x.size());
    for (index_t i = 0; i < n; ++i) {
      const index_t other = i % threads % 2 == 0 ? i + 1 : i - 1;
      expected[static_cast<std::size_t>(i)] =
          other < n ? x[static_cast<std::size_t>(other)] : std::int8_t{0};
    }
    const auto device_x = on_device(be, x);
    in_every_schedule([&] {
      auto y = be.make_buffer<std::int8_t>(n);
      launch(be, "swap_neighbours",
             {.blocks = (n + threads - 1) / threads, .threads = threads, .shared_bytes = threads},
             swap_neighbours{device_x.data(), n, y.data()});
      REQUIRE(on_host(be, y) == expected);
    });
  }
}

TEST_CASE("shared arrays of several types, above 48 KB in all", "[backend][launch]") {
  const basin::cuda<float> be;
  for (const int n : {1, 2, 3, 10, 999, 5001}) {
    const std::vector<double> x = small_integers<double>(n);
    const std::vector<double> expected(x.rbegin(), x.rend());
    const auto device_x = on_device(be, x);
    in_every_schedule([&] {
      auto y = be.make_buffer<double>(n);
      launch(be, "reversal", {.blocks = 1, .threads = 200, .shared_bytes = n * 12 + 3 + 8 + 8},
             reversal{device_x.data(), n, y.data()});
      REQUIRE(on_host(be, y) == expected);
    });
  }
}

TEST_CASE("every block runs once, however many", "[backend][launch]") {
  const basin::cuda<float> be;
  for (const index_t blocks : {0, 1, 2, 3, 100, 5000}) {
    for (const index_t grid : grids) {
      in_every_schedule([&] {
        auto seen = be.make_buffer<std::int32_t>(blocks);
        launch(be, "marks_block", {.blocks = blocks, .threads = 2, .grid = grid},
               marks_block{seen.data()});
        const auto host = on_host(be, seen);
        REQUIRE(std::count(host.begin(), host.end(), 1) == blocks);
      });
    }
  }
}

TEST_CASE("shapes that no device takes are refused by name", "[backend][launch]") {
  const basin::cuda<float> be;
  const marks_block kernel{nullptr};
  const launch_shape wrong[] = {
      {.blocks = -1},
      {.blocks = 1, .threads = 0},
      {.blocks = 1, .threads = 1025},
      {.blocks = 1, .shared_bytes = -1},
      {.blocks = 1, .shared_bytes = basin::max_shared_bytes + 1},
      {.blocks = 1, .grid = 0},
      {.blocks = 1, .grid = index_t{1} << 31},
  };
  for (const launch_shape& shape : wrong) {
    CHECK_THROWS_AS(launch(be, "marks", shape, kernel), basin::argument_error);
  }
  try {
    launch(be, "marks", {.blocks = 3, .threads = 1025}, kernel);
    FAIL("not refused");
  } catch (const basin::argument_error& e) {
    CHECK(std::string(e.what()).find("marks of 3 blocks of 1025 threads") != std::string::npos);
  }
}

TEST_CASE("functions of views whose columns do not touch", "[backend][launch]") {
  const basin::cuda<float> be;
  using matrix = Eigen::MatrixXf;
  for (const index_t rows : {1, 5, 33}) {
    for (const index_t columns : {1, 4, 9}) {
      // Rows 2 ... of matrices that are higher, by different numbers of rows.
      auto high = be.make_matrix(rows + 3, columns), higher = be.make_matrix(rows + 7, columns);
      upload(be, matrix::Constant(rows + 3, columns, 77), high);
      upload(be, matrix::Constant(rows + 7, columns, 77), higher);
      const basin::device_view<float> x{high.data() + 2, rows, columns, rows + 3};
      const basin::device_view<float> y{higher.data() + 2, rows, columns, rows + 7};
      matrix expected(rows, columns);
      for (index_t i = 0; i < expected.size(); ++i) expected(i) = static_cast<float>(i % 19 - 9);
      upload(be, expected, x);
      axpby(be, 2, x, 0, y);
      auto dots = be.make_buffer<float>(columns);
      column_dots(be, x, y, dots);
      const std::vector<float> host_dots = on_host(be, dots);
      for (index_t j = 0; j < columns; ++j) {
        REQUIRE(host_dots[static_cast<std::size_t>(j)] == 2 * expected.col(j).squaredNorm());
      }
      copy(be, y, x);
      matrix all(rows + 3, columns);
      download(be, high, all);
      matrix framed = matrix::Constant(rows + 3, columns, 77);
      framed.middleRows(2, rows) = 2 * expected;
      REQUIRE(all == framed);
      all.resize(rows + 7, columns);
      download(be, higher, all);
      framed = matrix::Constant(rows + 7, columns, 77);
      framed.middleRows(2, rows) = 2 * expected;
      REQUIRE(all == framed);
    }
  }
}

// Factors of one, so that no product is rounded or fused: what is left is the order of the sum.
TEMPLATE_TEST_CASE("a sum over a column goes by lanes, then by a tree", "[backend][launch]", float,
                   double) {
  const basin::cuda<TestType> be;
  using matrix = Eigen::MatrixX<TestType>;
  for (const index_t rows : {0, 1, 2, 31, 32, 33, 64, 65, 100, 1000}) {
    for (const index_t columns : {1, 7, 8, 9}) {
      auto X = be.make_matrix(rows, columns), ones = be.make_matrix(rows, columns);
      fill_normal(be, basin::random_stream{3}, X);
      upload(be, matrix::Ones(rows, columns), ones);
      matrix host(rows, columns);
      download(be, X, host);
      std::vector<TestType> expected;
      for (index_t j = 0; j < columns; ++j) {
        TestType partial[warp_size] = {};
        for (index_t i = 0; i < rows; ++i) partial[i % warp_size] += host(i, j);
        for (int distance = warp_size / 2; distance > 0; distance /= 2) {
          for (int lane = 0; lane < distance; ++lane) partial[lane] += partial[lane + distance];
        }
        expected.push_back(partial[0]);
      }
      in_every_schedule([&] {
        auto sums = be.template make_buffer<TestType>(columns);
        column_dots(be, X, ones, sums);
        REQUIRE(on_host(be, sums) == expected);
      });
    }
  }
}
