// Between iteration 2 and the end of a run nothing is allocated. Eigen does not use
// operator new, so the C library's functions are counted.
#include <atomic>
#include <cstdlib>
#include <thread>

#include <dlfcn.h>

#include <basin/basin.hpp>
#include <basin/model/table3.hpp>
#include <basin/nn/sequential.hpp>

#include "../solver/maps.hpp"

namespace {
std::atomic<bool> counting = false;
std::atomic<long> allocations = 0;
std::atomic<std::size_t> bytes = 0;

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
void count(std::size_t size) {
  if (!counting.load(std::memory_order_relaxed)) return;
  ++allocations;
  bytes += size;
}
}  // namespace

extern "C" void* malloc(std::size_t size) {
  static auto* const real = next<void*(std::size_t)>("malloc");
  count(size);
  return real(size);
}
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) {
  static auto* const real = next<void*(std::size_t, std::size_t)>("aligned_alloc");
  count(size);
  return real(alignment, size);
}
extern "C" int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
  static auto* const real = next<int(void**, std::size_t, std::size_t)>("posix_memalign");
  count(size);
  return real(result, alignment, size);
}

namespace {

using basin::index_t;

// Every thread of the pool takes its scratch memory once: on a busy machine one may have
// its first task only after the counting has begun.
template <class Scalar>
void warm(const basin::cpu<Scalar>& cpu) {
  std::atomic<int> here = 0;
  cpu.pool().run(cpu.threads(), [&](index_t) {
    basin::scratch_scope scope;
    (void)scope.get<char>(index_t{1} << 24);
    ++here;
    while (here < cpu.threads()) std::this_thread::yield();  // so that each has a task
  });
}

// Counts from the second iteration until the last column is about to leave.
template <class Scalar, class Map>
void none_inside(const Map& map, index_t k) {
  Eigen::MatrixX<Scalar> starts = maps::starts(k, 100).cast<Scalar>();
  // Near and far, so that columns leave one after the other.
  for (index_t j = 0; j < 100; ++j) starts.col(j) *= std::pow(Scalar(0.9), static_cast<Scalar>(j));
  basin::FixedPointSolver solver{map, basin::damped{.factor = 0.9},
                                 basin::stopping{.residual = 1e-4}};
  index_t iterations = 0;
  const auto observer = [&](const auto& at) {
    if (at.iteration == 1) {
      allocations = 0;
      counting = true;
    }
    iterations = at.iteration;
  };
  for (const int threads : {1, 2}) {
    const basin::cpu<Scalar> cpu(threads);
    warm(cpu);
    const auto found = solver.solve(cpu, starts, basin::run_options{}, observer);
    counting = false;
    CAPTURE(k, threads, iterations);
    CHECK(iterations >= 4);
    CHECK(found.work.saved > 0);  // columns left on the way
    CHECK(allocations == 0);
  }
}

}  // namespace

TEST_CASE("the counter counts", "[allocation]") {
  allocations = 0;
  counting = true;
  std::free(std::malloc(10));
  const Eigen::MatrixXd X(10, 10);
  std::vector<int> v(3);
  counting = false;
  CHECK(X.size() == 100);
  CHECK(v.size() == 3);
  CHECK(allocations >= 3);
}

TEMPLATE_TEST_CASE("no allocation inside a run", "[allocation]", float, double) {
  for (const index_t k : {2, 128, 512}) {
    SECTION("in-place batch map, k = " + std::to_string(k)) {
      none_inside<TestType>(
          [](const auto& Z, auto& out) { out = (TestType(0.8) * Z.array()).tanh(); }, k);
    }
    SECTION("columnwise map, k = " + std::to_string(k)) {
      none_inside<TestType>(
          basin::columnwise(k, [](const auto& z, auto& f) { f = TestType(0.8) * z.array().sin(); }),
          k);
    }
    SECTION("basin's products, k = " + std::to_string(k)) {
      none_inside<TestType>(maps::network<TestType>(k), k);
      none_inside<TestType>(basin::relaxed(basin::power(maps::network<TestType>(k), 2), 0.8), k);
    }
    SECTION("a network's map, k = " + std::to_string(k)) {
      auto network = basin::sequential(
          basin::dense<TestType>({k}, {16, 2, 2}),
          basin::Elementwise<TestType, basin::relu_function>({16, 2, 2}),
          basin::convolution<TestType>({16, 2, 2}, 8, {.kernel = 3, .padding = 1}),
          basin::Elementwise<TestType, basin::tanh_function>({8, 2, 2}),
          basin::dense<TestType>({8, 2, 2}, {k}));
      network.initialize({1, 0});
      none_inside<TestType>(basin::layer_map(network), k);
    }
  }
}

TEST_CASE("the memory of a network's map does not grow with the columns", "[allocation]") {
  auto autoencoder = basin::table3<float>({.width = 32, .latent = 128});
  autoencoder.initialize(1);
  const auto f = autoencoder.latent_map();
  const Eigen::MatrixXf Z = Eigen::MatrixXf::Random(128, 600);
  Eigen::MatrixXf out(128, 600), derivative(128, 600);
  const basin::cpu<float> be(2);
  bytes = 0;
  counting = true;
  for (const index_t columns : {16, 600}) {
    basin::evaluate(be, f, Z.leftCols(columns), out.leftCols(columns));
    f.value_and_vjp(be, Z.leftCols(columns), Z.leftCols(columns), out.leftCols(columns),
                    derivative.leftCols(columns));
  }
  counting = false;
  CAPTURE(bytes.load());
  CHECK(bytes <= 2 * std::size_t{64} * 1000 * 1000);  // of two threads
}
