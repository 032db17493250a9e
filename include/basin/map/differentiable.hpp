/// @file
/// Exact derivatives of a function that is generic in its scalar.
#pragma once

#include <type_traits>
#include <utility>

#include <basin/backend/cpu.hpp>
#include <basin/backend/cpu/scratch.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/dual.hpp>

namespace basin {

/// A `Columnwise` map whose g also runs on dual numbers: a generic lambda that names
/// no scalar type. On the CPU.
///
/// Cost of a jvp: one call of g on dual numbers a column, two to three times one on
/// scalars. Cost of a vjp: k such calls, since duals go forward only.
template <class G, int K = Eigen::Dynamic>
class Differentiable : public Columnwise<G, K> {
 public:
  using Columnwise<G, K>::Columnwise;

  template <std::floating_point Scalar>
  void jvp(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& Z,
           const typename cpu<Scalar>::const_view& V, typename cpu<Scalar>::view JV) const {
    const index_t k = this->dimension();
    for_each_column(be, Z, [&](index_t j, auto& z, auto& f) {
      for (index_t i = 0; i < k; ++i) z[i] = {Z(i, j), V(i, j)};
      push(z, f);
      for (index_t i = 0; i < k; ++i) JV(i, j) = f[i].derivative;
    });
  }

  template <std::floating_point Scalar>
  void vjp(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& Z,
           const typename cpu<Scalar>::const_view& U, typename cpu<Scalar>::view JtU) const {
    const index_t k = this->dimension();
    for_each_column(be, Z, [&](index_t j, auto& z, auto& f) {
      for (index_t i = 0; i < k; ++i) z[i] = {Z(i, j), Scalar(0)};
      for (index_t i = 0; i < k; ++i) {
        z[i].derivative = 1;
        push(z, f);
        z[i].derivative = 0;
        Scalar sum = 0;
        for (index_t row = 0; row < k; ++row) sum += U(row, j) * f[row].derivative;
        JtU(i, j) = sum;
      }
    });
  }

 private:
  template <class Vector>
  void push(const Vector& z, Vector& f) const {
    using number = typename Vector::Scalar;
    const Eigen::Map<const Eigen::Matrix<number, K, 1>> read(z.data(), z.size());
    this->template apply<number>(read, f);
  }

  template <class Scalar, class Body>
  void for_each_column(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& Z,
                       Body&& body) const {
    using number = dual<Scalar>;
    using vector = Eigen::Map<Eigen::Matrix<number, K, 1>>;
    const index_t k = this->dimension();
    require_size("differentiable", "number of rows of the states", Z.rows(), k);
    for_each_index(
        be, Z.cols(),
        [&](index_t j) {
          scratch_scope scope;
          vector z(scope.get<number>(k), k);
          vector f(scope.get<number>(k), k);
          body(j, z, f);
        },
        std::max<index_t>(1, 512 / k));
  }
};

template <class G, int K>
inline constexpr bool is_columnwise<Differentiable<G, K>> = true;

/// A map of R^k with exact jvp and vjp, from a generic function of one state.
/// @throws argument_error unless k >= 1
template <class G>
[[nodiscard]] Differentiable<std::decay_t<G>> differentiable(index_t k, G&& g) {
  return {k, std::forward<G>(g)};
}

/// The same with the dimension known when compiling.
template <int K, class G>
  requires(K >= 1)
[[nodiscard]] Differentiable<std::decay_t<G>, K> differentiable(G&& g) {
  return {K, std::forward<G>(g)};
}

}  // namespace basin
