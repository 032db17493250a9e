/// @file
/// Matrix products on the device: cuBLAS, and on Thrust's host systems Eigen.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include <basin/backend/cuda/context.hpp>
#include <basin/backend/gemm_options.hpp>
#include <basin/core/finite.hpp>

namespace basin {
namespace detail {

/// The nearest number of ten bits behind its first, ties away from zero: what tensor cores make of
/// the factors of a product in float. Thrust's host systems, which have none, are told by this.
[[nodiscard]] inline float rounded_to_tf32(float x) {
  constexpr std::uint32_t lost = 13;
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (!is_finite(x)) return x;
  return std::bit_cast<float>((bits + (1u << (lost - 1))) >> lost << lost);
}

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
template <class Scalar>
void multiply(const cuda<Scalar>& be, const device_view<const Scalar>& A,
              const device_view<const Scalar>& B, const device_view<Scalar>& C, index_t depth,
              const gemm_options& options) {
  const Scalar alpha = static_cast<Scalar>(options.alpha);
  const Scalar beta = static_cast<Scalar>(options.beta);
  const auto operation = [](transpose t) {
    return t == transpose::yes ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  // A column beside no other has stride 0 allowed by nobody: at least its rows.
  const auto leading = [](const auto& X) {
    return static_cast<std::int64_t>(std::max<index_t>(1, std::max(X.rows(), X.outerStride())));
  };
  const cublasHandle_t blas = be.runtime().blas();
  const auto run = [&](auto function) {
    return function(blas, operation(options.a), operation(options.b), C.rows(), C.cols(), depth,
                    &alpha, A.data(), leading(A), B.data(), leading(B), &beta, C.data(),
                    leading(C));
  };
  if constexpr (sizeof(Scalar) == 4) {
    const auto mode = [&](cublasMath_t math) {
      if (options.tf32) check(cublasSetMathMode(blas, math), "cublasSetMathMode");
    };
    mode(CUBLAS_TF32_TENSOR_OP_MATH);
    const cublasStatus_t code = run(cublasSgemm_64);
    mode(CUBLAS_DEFAULT_MATH);  // whatever came of it: the handle is the context's
    check(code, "cublasSgemm");
  } else {
    check(run(cublasDgemm_64), "cublasDgemm");
  }
}
#else
template <class Scalar>
void multiply(const device_view<const Scalar>& A, const device_view<const Scalar>& B,
              const device_view<Scalar>& C, index_t depth, const gemm_options& options) {
  const Scalar alpha = static_cast<Scalar>(options.alpha);
  const Scalar beta = static_cast<Scalar>(options.beta);
  (void)depth;
  using stride = Eigen::OuterStride<>;
  using matrix = Eigen::MatrixX<Scalar>;
  using constant = Eigen::Map<const matrix, 0, stride>;
  if constexpr (sizeof(Scalar) == 4) {
    if (options.tf32) {
      const auto rounded = [](const auto& X) {
        const constant x(X.data(), X.rows(), X.cols(), stride(X.outerStride()));
        return matrix(x.unaryExpr([](Scalar v) { return rounded_to_tf32(v); }));
      };
      const matrix a = rounded(A), b = rounded(B);
      gemm_options rest = options;
      rest.tf32 = false;
      multiply<Scalar>({a.data(), a.rows(), a.cols(), a.rows()},
                       {b.data(), b.rows(), b.cols(), b.rows()}, C, depth, rest);
      return;
    }
  }
  const constant a(A.data(), A.rows(), A.cols(), stride(A.outerStride()));
  const constant b(B.data(), B.rows(), B.cols(), stride(B.outerStride()));
  Eigen::Map<matrix, 0, stride> c(C.data(), C.rows(), C.cols(), stride(C.outerStride()));
  if (beta == Scalar(0))
    c.setZero();
  else
    c *= beta;
  const bool ta = options.a == transpose::yes;
  const bool tb = options.b == transpose::yes;
  if (!ta && !tb) c.noalias() += alpha * a * b;
  if (!ta && tb) c.noalias() += alpha * a * b.transpose();
  if (ta && !tb) c.noalias() += alpha * a.transpose() * b;
  if (ta && tb) c.noalias() += alpha * a.transpose() * b.transpose();
}
#endif

}  // namespace detail

/// C = alpha op(A) op(B) + beta C. C must not overlap A or B. With beta = 0, C is not
/// read. An empty depth gives C = beta C.
/// @throws size_error if the shapes do not agree; device_error if cuBLAS fails
template <std::floating_point Scalar>
void gemm(const cuda<Scalar>& be, const typename cuda<Scalar>::const_view& A,
          const typename cuda<Scalar>::const_view& B, typename cuda<Scalar>::view C,
          const gemm_options& options = {}) {
  const gemm_sizes size = require_product("gemm", A, B, C, options);
  if (size.rows == 0 || size.columns == 0) return;
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
  detail::multiply(be, A, B, C, size.depth, options);
#else
  be.runtime().recorder().submit([A, B, C, depth = size.depth, options] {
    detail::multiply<Scalar>(A, B, C, depth, options);
  });
#endif
}

}  // namespace basin
