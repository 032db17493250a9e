/// @file
/// The first rows of a vector, as a layer.
#pragma once

#include <algorithm>

#include <basin/nn/layer.hpp>

namespace basin {

/// y = the first `rows` elements of a vector x: the means of a variational code.
template <class Scalar>
class FirstRows : public without_parameters<Scalar> {
 public:
  /// @throws argument_error unless 1 <= rows <= size
  FirstRows(index_t size, index_t rows) : size_(size), rows_(rows) {
    require(rows >= 1 && rows <= size, "first_rows",
            "cannot take " + std::to_string(rows) + " of " + std::to_string(size) + " rows");
  }

  [[nodiscard]] tensor_shape input_shape() const noexcept { return {size_, 1, 1}; }
  [[nodiscard]] tensor_shape output_shape() const noexcept { return {rows_, 1, 1}; }

  void forward(thread_pool*, block<const Scalar> x, block<Scalar> y) const {
    for (index_t j = 0; j < x.count; ++j) std::copy_n(x.column(j), rows_, y.column(j));
  }
  void jvp(thread_pool* pool, block<const Scalar>, block<const Scalar>, block<const Scalar> v,
           block<Scalar> jv) const {
    forward(pool, v, jv);
  }
  void vjp(thread_pool*, block<const Scalar>, block<const Scalar>, block<const Scalar> u,
           block<Scalar> jtu) const {
    for (index_t j = 0; j < u.count; ++j) {
      std::copy_n(u.column(j), rows_, jtu.column(j));
      std::fill_n(jtu.column(j) + rows_, size_ - rows_, Scalar(0));
    }
  }
  void dual_vjp(thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                block<const Scalar>, block<const Scalar> u, block<const Scalar> w, block<Scalar> sx,
                block<Scalar> sv) const {
    vjp(pool, x, y, u, sx);
    vjp(pool, x, y, w, sv);
  }

 private:
  index_t size_;
  index_t rows_;
};

}  // namespace basin
