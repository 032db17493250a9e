/// @file
/// Per-column reductions, scaling, and gathering of columns on the device.
///
/// A sum runs in the lanes of a warp, lane l over the rows l, l + 32, ..., and the lanes are then
/// added as a binary tree.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include <basin/backend/cuda/context.hpp>
#include <basin/backend/cuda/launch.hpp>
#include <basin/core/finite.hpp>

namespace basin {
namespace detail {

/// One warp a column.
template <class Reduction>
struct reduce_columns_kernel {
  Reduction reduction;
  index_t rows, columns;

  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    using value = typename Reduction::value;
    const index_t j = block.index() * (block.threads() / warp_size) + block.warp();
    if (j >= columns) return;
    value partial = reduction.begin();
    for (index_t i = block.lane(); i < rows; i += warp_size) {
      partial = reduction.merge(partial, reduction.entry(i, j));
    }
    for (int distance = warp_size / 2; distance > 0; distance /= 2) {
      partial = reduction.merge(partial, block.shuffle_down(partial, distance));
    }
    if (block.lane() == 0) reduction.store(j, partial);
  }
};

/// Reduces every column by `reduction`: begin(), entry(i, j), merge(a, b), store(j, v).
template <class Scalar, class Reduction>
void reduce_columns(const cuda<Scalar>& be, index_t rows, index_t columns,
                    const Reduction& reduction) {
  const auto warps = static_cast<int>(std::clamp<index_t>(columns, 1, 8));
  launch(be, "reduce_columns",
         {.blocks = (columns + warps - 1) / warps, .threads = warps * warp_size},
         reduce_columns_kernel<Reduction>{reduction, rows, columns});
}

/// Sums of products x · y.
template <class Scalar>
struct dot_reduction {
  using value = Scalar;
  device_view<const Scalar> X, Y;
  Scalar* result;
  BASIN_HOST_DEVICE value begin() const { return 0; }
  BASIN_HOST_DEVICE value entry(index_t i, index_t j) const { return X(i, j) * Y(i, j); }
  BASIN_HOST_DEVICE value merge(value a, value b) const { return a + b; }
  BASIN_HOST_DEVICE void store(index_t j, value v) const { result[j] = v; }
};

/// A sum of squares, and whether every entry of y is finite.
template <class Scalar>
struct sum_and_finiteness {
  Scalar sum;
  int finite;
};

/// ‖y - x‖², or the reason why it is not finite.
template <class Scalar>
struct distance_reduction {
  using value = sum_and_finiteness<Scalar>;
  device_view<const Scalar> X, Y;
  Scalar* result;
  BASIN_HOST_DEVICE value begin() const { return {0, 1}; }
  BASIN_HOST_DEVICE value entry(index_t i, index_t j) const {
    const Scalar difference = Y(i, j) - X(i, j);
    return {difference * difference, is_finite(Y(i, j)) ? 1 : 0};
  }
  BASIN_HOST_DEVICE value merge(value a, value b) const {
    return {a.sum + b.sum, a.finite & b.finite};
  }
  BASIN_HOST_DEVICE void store(index_t j, value v) const {
    result[j] = is_finite(v.sum) ? v.sum
                : v.finite != 0  ? std::numeric_limits<Scalar>::infinity()
                                 : std::numeric_limits<Scalar>::quiet_NaN();
  }
};

/// Whether every entry is finite.
template <class Scalar>
struct finite_reduction {
  using value = int;
  device_view<const Scalar> X;
  std::uint8_t* result;
  BASIN_HOST_DEVICE value begin() const { return 1; }
  BASIN_HOST_DEVICE value entry(index_t i, index_t j) const { return is_finite(X(i, j)) ? 1 : 0; }
  BASIN_HOST_DEVICE value merge(value a, value b) const { return a & b; }
  BASIN_HOST_DEVICE void store(index_t j, value v) const {
    result[j] = static_cast<std::uint8_t>(v);
  }
};

template <class Scalar>
struct place {
  Scalar largest;
  int nan;
  index_t row;  ///< -1: none yet
};

/// Row of the largest entry, the first of equals; -1 with a NaN.
template <class Scalar>
struct arg_max_reduction {
  using value = place<Scalar>;
  device_view<const Scalar> X;
  index_t* result;
  BASIN_HOST_DEVICE value begin() const { return {0, 0, -1}; }
  BASIN_HOST_DEVICE value entry(index_t i, index_t j) const {
    return {X(i, j), is_nan(X(i, j)) ? 1 : 0, i};
  }
  BASIN_HOST_DEVICE value merge(value a, value b) const {
    const int nan = a.nan | b.nan;
    const bool second =
        a.row < 0 ||
        (b.row >= 0 && (b.largest > a.largest || (b.largest == a.largest && b.row < a.row)));
    return second ? value{b.largest, nan, b.row} : value{a.largest, nan, a.row};
  }
  BASIN_HOST_DEVICE void store(index_t j, value v) const { result[j] = v.nan != 0 ? -1 : v.row; }
};

/// x_ij = x_ij s_j, or x_ij + b_i.
template <class Scalar>
struct scale_entry {
  device_view<Scalar> X;
  const Scalar* by;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    X(i % X.rows(), i / X.rows()) *= by[i / X.rows()];
  }
};
template <class Scalar>
struct add_entry {
  device_view<Scalar> X;
  const Scalar* vector;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    X(i % X.rows(), i / X.rows()) += vector[i % X.rows()];
  }
};

/// Column to[j] of Y = column from[j] of X; a null list counts 0, 1, ...
template <class Scalar>
struct move_entry {
  device_view<const Scalar> X;
  device_view<Scalar> Y;
  const index_t* from;
  const index_t* to;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i % X.rows();
    const index_t j = i / X.rows();
    Y(row, to != nullptr ? to[j] : j) = X(row, from != nullptr ? from[j] : j);
  }
};

struct is_outside {
  index_t columns;
  BASIN_HOST_DEVICE bool operator()(index_t j) const { return j < 0 || j >= columns; }
};

template <class Scalar>
void require_columns(const cuda<Scalar>& be, std::string_view where,
                     array_view<const index_t> which, index_t n) {
  if (const index_t bad = count_if(be, which, is_outside{n}); bad > 0) {
    throw size_error(std::string(where) + ": " + std::to_string(bad) + " of " +
                     std::to_string(which.size) + " indices are no column of a matrix of " +
                     std::to_string(n) + " columns");
  }
}

}  // namespace detail

/// d[j] = x_j · y_j.
/// @throws size_error if the shapes or the size of d do not agree
template <std::floating_point Scalar>
void column_dots(const cuda<Scalar>& be, const typename cuda<Scalar>::const_view& X,
                 const typename cuda<Scalar>::const_view& Y,
                 std::type_identity_t<array_view<Scalar>> d) {
  require_same_shape("column_dots", X, Y);
  require_size("column_dots", "size of the result", d.size, X.cols());
  detail::reduce_columns(be, X.rows(), X.cols(), detail::dot_reduction<Scalar>{X, Y, d.data});
}

/// d[j] = ‖x_j‖².
/// @throws size_error unless d has one element per column
template <std::floating_point Scalar>
void column_squared_norms(const cuda<Scalar>& be, const typename cuda<Scalar>::const_view& X,
                          std::type_identity_t<array_view<Scalar>> d) {
  require_size("column_squared_norms", "size of the result", d.size, X.cols());
  detail::reduce_columns(be, X.rows(), X.cols(), detail::dot_reduction<Scalar>{X, X, d.data});
}

/// d[j] = ‖y_j - x_j‖²; where that is not finite, infinity if y_j is finite (the
/// sum overflows) and NaN if y_j is not.
/// @throws size_error if the shapes or the size of d do not agree
template <std::floating_point Scalar>
void column_squared_distances(const cuda<Scalar>& be, const typename cuda<Scalar>::const_view& X,
                              const typename cuda<Scalar>::const_view& Y,
                              std::type_identity_t<array_view<Scalar>> d) {
  require_same_shape("column_squared_distances", X, Y);
  require_size("column_squared_distances", "size of the result", d.size, X.cols());
  detail::reduce_columns(be, X.rows(), X.cols(), detail::distance_reduction<Scalar>{X, Y, d.data});
}

/// Row of the largest entry of every column, the first of equals. Columns with a
/// NaN, and columns without rows, give -1.
/// @throws size_error unless `rows` has one element per column
template <std::floating_point Scalar>
void column_arg_max(const cuda<Scalar>& be, const typename cuda<Scalar>::const_view& X,
                    array_view<index_t> rows) {
  require_size("column_arg_max", "size of the result", rows.size, X.cols());
  detail::reduce_columns(be, X.rows(), X.cols(), detail::arg_max_reduction<Scalar>{X, rows.data});
}

/// finite[j] = 1 if every entry of column j is finite, else 0.
/// @throws size_error unless `finite` has one element per column
template <std::floating_point Scalar>
void columns_finite(const cuda<Scalar>& be, const typename cuda<Scalar>::const_view& X,
                    array_view<std::uint8_t> finite) {
  require_size("columns_finite", "size of the result", finite.size, X.cols());
  detail::reduce_columns(be, X.rows(), X.cols(), detail::finite_reduction<Scalar>{X, finite.data});
}

/// x_j = s[j] x_j.
/// @throws size_error unless s has one element per column
template <std::floating_point Scalar>
void scale_columns(const cuda<Scalar>& be, std::type_identity_t<array_view<const Scalar>> s,
                   typename cuda<Scalar>::view X) {
  require_size("scale_columns", "number of factors", s.size, X.cols());
  for_each_index(be, X.rows() * X.cols(), detail::scale_entry<Scalar>{X, s.data});
}

/// x_j = x_j + b for every column j.
/// @throws size_error unless b has one element per row
template <std::floating_point Scalar>
void add_to_columns(const cuda<Scalar>& be, std::type_identity_t<array_view<const Scalar>> b,
                    typename cuda<Scalar>::view X) {
  require_size("add_to_columns", "size of the vector", b.size, X.rows());
  for_each_index(be, X.rows() * X.cols(), detail::add_entry<Scalar>{X, b.data});
}

/// y_j = x_{which[j]}. Y must not overlap X.
/// @throws size_error if Y does not have X's rows and one column per index, or an
///   index is not a column of X
template <std::floating_point Scalar>
void gather_columns(const cuda<Scalar>& be, const typename cuda<Scalar>::const_view& X,
                    array_view<const index_t> which, typename cuda<Scalar>::view Y) {
  require_size("gather_columns", "number of rows of Y", Y.rows(), X.rows());
  require_size("gather_columns", "number of columns of Y", Y.cols(), which.size);
  detail::require_columns(be, "gather_columns", which, X.cols());
  for_each_index(be, X.rows() * which.size, detail::move_entry<Scalar>{X, Y, which.data, nullptr});
}

/// y_{which[j]} = x_j. The indices must be distinct; Y must not overlap X.
/// @throws size_error if X does not have Y's rows and one column per index, or an
///   index is not a column of Y
template <std::floating_point Scalar>
void scatter_columns(const cuda<Scalar>& be, const typename cuda<Scalar>::const_view& X,
                     array_view<const index_t> which, typename cuda<Scalar>::view Y) {
  require_size("scatter_columns", "number of rows of X", X.rows(), Y.rows());
  require_size("scatter_columns", "number of columns of X", X.cols(), which.size);
  detail::require_columns(be, "scatter_columns", which, Y.cols());
  for_each_index(be, X.rows() * which.size, detail::move_entry<Scalar>{X, Y, nullptr, which.data});
}

/// y_{to[j]} = x_{from[j]}. Where X is Y, no index of `to` may be in `from`.
/// @throws size_error if the rows or the sizes of from and to do not agree, or an
///   index is not a column
template <std::floating_point Scalar>
void move_columns(const cuda<Scalar>& be, const typename cuda<Scalar>::const_view& X,
                  array_view<const index_t> from, array_view<const index_t> to,
                  typename cuda<Scalar>::view Y) {
  require_size("move_columns", "number of rows of Y", Y.rows(), X.rows());
  require_size("move_columns", "number of indices to", to.size, from.size);
  detail::require_columns(be, "move_columns", from, X.cols());
  detail::require_columns(be, "move_columns", to, Y.cols());
  for_each_index(be, X.rows() * from.size, detail::move_entry<Scalar>{X, Y, from.data, to.data});
}

}  // namespace basin
