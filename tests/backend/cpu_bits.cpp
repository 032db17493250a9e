// On the CPU a column's bits depend neither on its company nor on the threads.
#include <basin/backend/cpu.hpp>

#include "conformance.hpp"

using basin::index_t;

TEMPLATE_TEST_CASE("a column of a product has the same bits in any batch", "[backend][threads]",
                   float, double) {
  using B = basin::cpu<TestType>;
  const B one(1);
  for (const index_t k : {1, 3, 16, 128, 300}) {
    const auto A = conformance::numbers<B>(k, k, 1);
    const auto X = conformance::numbers<B>(k, 1000, 2);
    conformance::host_matrix<B> all(k, 1000);
    gemm(one, A, X, all);
    for (const int threads : {2, 3, 4}) {
      conformance::host_matrix<B> other(k, 1000);
      gemm(B(threads), A, X, other);
      REQUIRE(conformance::same_bits(all, other));
    }
    for (const index_t width : {1, 2, 5, 7, 13, 100}) {
      conformance::host_matrix<B> part(k, width);
      for (const index_t first : {0, 1, 137, 900}) {
        gemm(one, A, X.middleCols(first, width), part);
        REQUIRE(conformance::same_bits(part, all.middleCols(first, width)));
      }
    }
  }
}

TEMPLATE_TEST_CASE("an element of a function has the same bits in any batch", "[backend][threads]",
                   float, double) {
  using B = basin::cpu<TestType>;
  const B one(1);
  for (const index_t k : {1, 3, 15, 16, 17, 130}) {
    const auto X = conformance::numbers<B>(k, 1000, 2);
    const auto check = [&](const auto& f) {
      conformance::host_matrix<B> all(k, 1000);
      transform(one, f, X, all);
      conformance::host_matrix<B> other(k, 1000);
      transform(B(4), f, X, other);
      REQUIRE(conformance::same_bits(all, other));
      for (const index_t width : {1, 7}) {
        conformance::host_matrix<B> part(k + 5, width);  // columns apart: another path
        for (const index_t first : {0, 1, 500}) {
          transform(one, f, X.middleCols(first, width), part.middleRows(2, k));
          REQUIRE(conformance::same_bits(part.middleRows(2, k), all.middleCols(first, width)));
        }
      }
      // One element alone.
      conformance::host_matrix<B> element(1, 1);
      transform(one, f, X.block(k - 1, 999, 1, 1), element);
      REQUIRE(element(0, 0) == all(k - 1, 999));
    };
    check(basin::tanh_function{});
    check(basin::exp_function{});
    check(basin::sigmoid_function{});
    check(conformance::cube{});
  }
}
