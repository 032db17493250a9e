/// @file
/// The affine map z -> W z + b.
#pragma once

#include <utility>

#include <Eigen/Core>

#include <basin/backend/cpu.hpp>
#include <basin/map/concept.hpp>

namespace basin {

/// f(z) = W z + b, with W and b in the memory of a backend.
///
/// Columns are independent to the bit, since the product is the library's own. Cost
/// of an evaluation: 2 m k flops a column.
template <class B>
class Affine {
 public:
  using scalar = typename B::scalar;
  using matrix = typename B::matrix;
  static constexpr bool copies_run_apart = true;

  /// @param weight m × k
  /// @param bias m × 1, or empty for none
  /// @throws size_error unless the bias is empty or has one entry per row of W
  Affine(matrix weight, matrix bias) : weight_(std::move(weight)), bias_(std::move(bias)) {
    if (bias_.rows() * bias_.cols() == 0) return;
    require_size("affine", "number of rows of b", bias_.rows(), weight_.rows());
    require_size("affine", "number of columns of b", bias_.cols(), 1);
  }

  [[nodiscard]] index_t dimension() const { return static_cast<index_t>(weight_.cols()); }
  [[nodiscard]] index_t output_dimension() const { return static_cast<index_t>(weight_.rows()); }
  [[nodiscard]] const matrix& weight() const noexcept { return weight_; }
  [[nodiscard]] const matrix& bias() const noexcept { return bias_; }

  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) const {
    gemm(be, weight_, Z, out, {.tf32 = allows_tf32(be)});
    if (const auto rows = static_cast<index_t>(bias_.rows() * bias_.cols()); rows > 0) {
      add_to_columns(be, array_view<const scalar>(raw_address(bias_.data()), rows), out);
    }
  }
  void jvp(const B& be, const typename B::const_view&, const typename B::const_view& V,
           typename B::view JV) const {
    gemm(be, weight_, V, JV, {.tf32 = allows_tf32(be)});
  }
  void vjp(const B& be, const typename B::const_view&, const typename B::const_view& U,
           typename B::view JtU) const {
    gemm(be, weight_, U, JtU, {.a = transpose::yes, .tf32 = allows_tf32(be)});
  }

 private:
  matrix weight_;
  matrix bias_;
};

/// z -> W z + b on a backend, from host matrices.
/// @param weight m × k
/// @param bias m entries; none: 0
/// @throws size_error unless the sizes agree
template <basin::backend B>
[[nodiscard]] Affine<B> affine(const B& be,
                               const Eigen::Ref<const Eigen::MatrixX<typename B::scalar>>& weight,
                               const Eigen::Ref<const Eigen::VectorX<typename B::scalar>>& bias =
                                   Eigen::VectorX<typename B::scalar>()) {
  typename B::matrix W = be.make_matrix(weight.rows(), weight.cols());
  upload(be, weight, columns(be, W, 0, weight.cols()));
  typename B::matrix b = be.make_matrix(bias.size(), bias.size() > 0 ? 1 : 0);
  if (bias.size() > 0) upload(be, bias, columns(be, b, 0, 1));
  return {std::move(W), std::move(b)};
}

/// z -> W z + b on the CPU.
/// @throws size_error unless the sizes agree
template <class Derived>
[[nodiscard]] Affine<cpu<typename Derived::Scalar>> affine(
    const Eigen::MatrixBase<Derived>& weight,
    const std::type_identity_t<Eigen::VectorX<typename Derived::Scalar>>& bias = {}) {
  return {weight, bias};
}

}  // namespace basin
