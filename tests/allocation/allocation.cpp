// Between iteration 2 and the end of a run nothing is allocated. Eigen does not use
// operator new, so the C library's functions are counted.
#include <atomic>
#include <cstdlib>

#include <dlfcn.h>

#include <basin/basin.hpp>

#include "../solver/maps.hpp"

namespace {
std::atomic<bool> counting = false;
std::atomic<long> allocations = 0;

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
void count() {
  if (counting.load(std::memory_order_relaxed)) ++allocations;
}
}  // namespace

extern "C" void* malloc(std::size_t size) {
  static auto* const real = next<void*(std::size_t)>("malloc");
  count();
  return real(size);
}
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) {
  static auto* const real = next<void*(std::size_t, std::size_t)>("aligned_alloc");
  count();
  return real(alignment, size);
}
extern "C" int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
  static auto* const real = next<int(void**, std::size_t, std::size_t)>("posix_memalign");
  count();
  return real(result, alignment, size);
}

namespace {

using basin::index_t;

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
  }
}
