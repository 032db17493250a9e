/// @file
/// Factors, forms and sizes of a matrix product, on every backend.
#pragma once

#include <string_view>

#include <basin/backend/array_view.hpp>

namespace basin {

/// Factors and forms of a product, see `gemm`.
struct gemm_options {
  double alpha = 1;
  double beta = 0;
  transpose a = transpose::no;
  transpose b = transpose::no;
  bool tf32 = false;  ///< a device may round factors in float, see device_options
};

/// Whether a backend's context allows TensorFloat-32 in the products of maps.
template <class B>
[[nodiscard]] bool allows_tf32(const B& be) {
  if constexpr (requires { be.options().tf32; }) {
    return be.options().tf32;
  } else {
    return false;
  }
}

/// op(A) is rows × depth, op(B) depth × columns.
struct gemm_sizes {
  index_t rows;
  index_t columns;
  index_t depth;
};

/// The sizes of a product.
/// @throws size_error if the shapes do not agree
template <class A, class B, class C>
gemm_sizes require_product(std::string_view where, const A& a, const B& b, const C& c,
                           const gemm_options& options) {
  const bool a_stands = options.a == transpose::no;
  const bool b_stands = options.b == transpose::no;
  const gemm_sizes size{a_stands ? a.rows() : a.cols(), b_stands ? b.cols() : b.rows(),
                        a_stands ? a.cols() : a.rows()};
  require_size(where, "number of rows of op(B)", b_stands ? b.rows() : b.cols(), size.depth);
  require_size(where, "number of rows of C", c.rows(), size.rows);
  require_size(where, "number of columns of C", c.cols(), size.columns);
  return size;
}

}  // namespace basin
