/// @file
/// The φ functions of exponential integrators, for small matrices.
#pragma once

#include <cmath>

#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

/// C = A B of n × n matrices, column-major, apart in memory.
BASIN_HOST_DEVICE inline void multiply_small(index_t n, const double* A, const double* B,
                                             double* C) {
  for (index_t j = 0; j < n; ++j) {
    double* const c = C + j * n;
    for (index_t i = 0; i < n; ++i) c[i] = 0;
    for (index_t l = 0; l < n; ++l) {
      const double b = B[l + j * n];
      if (b == 0) continue;
      for (index_t i = 0; i < n; ++i) c[i] += A[i + l * n] * b;
    }
  }
}

/// Numbers of working memory that `phi_of_first` needs.
[[nodiscard]] BASIN_HOST_DEVICE constexpr index_t phi_work(index_t m, int p) {
  return 3 * (m + p) * (m + p);
}

/// φ_1(H) e_1 ... φ_p(H) e_1, with φ_0 = exp and φ_q(x) = (φ_{q-1}(x) - 1/(q-1)!) / x: the
/// last columns of the exponential of H bordered by e_1 and a shift (Sidje, 1998), by scaling,
/// Taylor's polynomial of degree 18, and squaring.
/// @param H m × m, columns `stride` apart
/// @param phi m × p, where the p vectors go
/// @param work phi_work(m, p) numbers
/// Cost: (17 + log2 ‖H‖) (m + p)³ multiplications.
BASIN_HOST_DEVICE inline void phi_of_first(const double* H, index_t stride, index_t m, int p,
                                           double* phi, double* work) {
  const index_t n = m + p;
  double* const A = work;
  double* sum = work + n * n;
  double* other = work + 2 * n * n;
  for (index_t i = 0; i < n * n; ++i) A[i] = 0;
  for (index_t j = 0; j < m; ++j) {
    for (index_t i = 0; i < m; ++i) A[i + j * n] = H[i + j * stride];
  }
  A[m * n] = 1;
  for (index_t q = 1; q < p; ++q) A[m + q - 1 + (m + q) * n] = 1;
  double norm = 0;
  for (index_t j = 0; j < n; ++j) {
    double column = 0;
    for (index_t i = 0; i < n; ++i) column += std::fabs(A[i + j * n]);
    norm = column > norm ? column : norm;
  }
  int squarings = 0;
  double scale = 1;
  // A norm that is not finite ends the loop, and shows in the result.
  while (norm * scale > 1 && squarings < 1000) {
    scale /= 2;
    ++squarings;
  }
  for (index_t i = 0; i < n * n; ++i) A[i] *= scale;
  // exp A = I + A (I + A / 2 (I + A / 3 (...))).
  for (index_t i = 0; i < n * n; ++i) sum[i] = 0;
  for (index_t i = 0; i < n; ++i) sum[i + i * n] = 1;
  for (int degree = 18; degree >= 1; --degree) {
    multiply_small(n, A, sum, other);
    for (index_t i = 0; i < n * n; ++i) other[i] /= degree;
    for (index_t i = 0; i < n; ++i) other[i + i * n] += 1;
    double* const kept = sum;
    sum = other;
    other = kept;
  }
  for (int s = 0; s < squarings; ++s) {
    multiply_small(n, sum, sum, other);
    double* const kept = sum;
    sum = other;
    other = kept;
  }
  for (int q = 0; q < p; ++q) {
    for (index_t i = 0; i < m; ++i) phi[i + q * m] = sum[i + (m + q) * n];
  }
}

}  // namespace basin::detail
