/// @file
/// Per-column reductions, scaling, and gathering of columns on the CPU. A column's
/// number depends on that column alone, to the bit.
#pragma once

#include <cstdint>
#include <limits>

#include <basin/backend/cpu/context.hpp>
#include <basin/backend/cpu/packet.hpp>
#include <basin/core/finite.hpp>

namespace basin {
namespace detail {

/// Calls f(j) for every column of a matrix of this many rows, in parallel.
template <class Scalar, class F>
void for_each_column(const cpu<Scalar>& be, index_t rows, index_t columns, F&& f) {
  for_each_index(be, columns, f, std::max<index_t>(1, (index_t{1} << 14) / (rows + 1)));
}

template <class Scalar>
[[nodiscard]] bool all_finite(const Scalar* x, index_t n) {
  bool finite = true;
  for (index_t i = 0; i < n; ++i) finite &= is_finite(x[i]);
  return finite;
}

template <class Scalar>
[[nodiscard]] Scalar sum_of_squared_differences(const Scalar* x, const Scalar* y, index_t n) {
  return sum_run<Scalar>(n, [](const auto& a, const auto& b) { return (b - a) * (b - a); }, x, y);
}

/// A sum of squares as it is; if it is not finite, infinity if y is finite (the sum
/// overflows), and NaN if y is not.
template <class Scalar>
[[nodiscard]] Scalar finite_or_reason(Scalar sum, const Scalar* y, index_t n) {
  if (is_finite(sum)) [[likely]]
    return sum;
  return all_finite(y, n) ? std::numeric_limits<Scalar>::infinity()
                          : std::numeric_limits<Scalar>::quiet_NaN();
}

/// ‖y - x‖²; where that is not finite, the reason as in `finite_or_reason`.
template <class Scalar>
[[nodiscard]] Scalar squared_distance(const Scalar* x, const Scalar* y, index_t n) {
  return finite_or_reason(sum_of_squared_differences(x, y, n), y, n);
}

template <class Scalar>
[[nodiscard]] Scalar squared_norm(const Scalar* x, index_t n) {
  return sum_run<Scalar>(n, [](const auto& a) { return a * a; }, x);
}

}  // namespace detail

/// d[j] = x_j · y_j.
/// @throws size_error if the shapes or the size of d do not agree
template <std::floating_point Scalar>
void column_dots(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& X,
                 const typename cpu<Scalar>::const_view& Y,
                 std::type_identity_t<array_view<Scalar>> d) {
  require_same_shape("column_dots", X, Y);
  require_size("column_dots", "size of the result", d.size, X.cols());
  detail::for_each_column(be, X.rows(), X.cols(), [&](index_t j) {
    d[j] = detail::sum_run<Scalar>(
        X.rows(), [](const auto& a, const auto& b) { return a * b; },
        X.data() + j * X.outerStride(), Y.data() + j * Y.outerStride());
  });
}

/// d[j] = ‖x_j‖².
/// @throws size_error unless d has one element per column
template <std::floating_point Scalar>
void column_squared_norms(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& X,
                          std::type_identity_t<array_view<Scalar>> d) {
  require_size("column_squared_norms", "size of the result", d.size, X.cols());
  detail::for_each_column(be, X.rows(), X.cols(), [&](index_t j) {
    d[j] = detail::squared_norm(X.data() + j * X.outerStride(), X.rows());
  });
}

/// d[j] = ‖y_j - x_j‖²; where that is not finite, infinity if y_j is finite (the
/// sum overflows) and NaN if y_j is not.
/// @throws size_error if the shapes or the size of d do not agree
template <std::floating_point Scalar>
void column_squared_distances(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& X,
                              const typename cpu<Scalar>::const_view& Y,
                              std::type_identity_t<array_view<Scalar>> d) {
  require_same_shape("column_squared_distances", X, Y);
  require_size("column_squared_distances", "size of the result", d.size, X.cols());
  detail::for_each_column(be, X.rows(), X.cols(), [&](index_t j) {
    d[j] = detail::squared_distance(X.data() + j * X.outerStride(), Y.data() + j * Y.outerStride(),
                                    X.rows());
  });
}

/// Row of the largest entry of every column, the first of equals. Columns with a
/// NaN, and columns without rows, give -1.
/// @throws size_error unless `rows` has one element per column
template <std::floating_point Scalar>
void column_arg_max(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& X,
                    array_view<index_t> rows) {
  require_size("column_arg_max", "size of the result", rows.size, X.cols());
  detail::for_each_column(be, X.rows(), X.cols(), [&](index_t j) {
    index_t best = X.rows() > 0 ? 0 : -1;
    for (index_t i = 0; i < X.rows(); ++i) {
      if (is_nan(X(i, j))) {
        best = -1;
        break;
      }
      if (X(i, j) > X(best, j)) best = i;
    }
    rows[j] = best;
  });
}

/// finite[j] = 1 if every entry of column j is finite, else 0.
/// @throws size_error unless `finite` has one element per column
template <std::floating_point Scalar>
void columns_finite(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& X,
                    array_view<std::uint8_t> finite) {
  require_size("columns_finite", "size of the result", finite.size, X.cols());
  detail::for_each_column(be, X.rows(), X.cols(), [&](index_t j) {
    finite[j] = detail::all_finite(X.data() + j * X.outerStride(), X.rows()) ? 1 : 0;
  });
}

/// x_j = s[j] x_j.
/// @throws size_error unless s has one element per column
template <std::floating_point Scalar>
void scale_columns(const cpu<Scalar>& be, std::type_identity_t<array_view<const Scalar>> s,
                   typename cpu<Scalar>::view X) {
  require_size("scale_columns", "number of factors", s.size, X.cols());
  detail::for_each_column(be, X.rows(), X.cols(), [&](index_t j) { X.col(j).array() *= s[j]; });
}

/// x_j = x_j + b for every column j.
/// @throws size_error unless b has one element per row
template <std::floating_point Scalar>
void add_to_columns(const cpu<Scalar>& be, std::type_identity_t<array_view<const Scalar>> b,
                    typename cpu<Scalar>::view X) {
  require_size("add_to_columns", "size of the vector", b.size, X.rows());
  const Eigen::Map<const Eigen::Array<Scalar, Eigen::Dynamic, 1>> vector(b.data, b.size);
  detail::for_each_column(be, X.rows(), X.cols(), [&](index_t j) { X.col(j).array() += vector; });
}

namespace detail {
inline void require_columns(std::string_view where, array_view<const index_t> which, index_t n) {
  for (index_t j = 0; j < which.size; ++j) {
    if (which[j] < 0 || which[j] >= n) {
      throw size_error(std::string(where) + ": column " + std::to_string(which[j]) +
                       " of a matrix of " + std::to_string(n) + " columns");
    }
  }
}
}  // namespace detail

/// y_j = x_{which[j]}. Y must not overlap X.
/// @throws size_error if Y does not have X's rows and one column per index, or an
///   index is not a column of X
template <std::floating_point Scalar>
void gather_columns(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& X,
                    array_view<const index_t> which, typename cpu<Scalar>::view Y) {
  require_size("gather_columns", "number of rows of Y", Y.rows(), X.rows());
  require_size("gather_columns", "number of columns of Y", Y.cols(), which.size);
  detail::require_columns("gather_columns", which, X.cols());
  detail::for_each_column(be, X.rows(), which.size, [&](index_t j) { Y.col(j) = X.col(which[j]); });
}

/// y_{which[j]} = x_j. The indices must be distinct; Y must not overlap X.
/// @throws size_error if X does not have Y's rows and one column per index, or an
///   index is not a column of Y
template <std::floating_point Scalar>
void scatter_columns(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& X,
                     array_view<const index_t> which, typename cpu<Scalar>::view Y) {
  require_size("scatter_columns", "number of rows of X", X.rows(), Y.rows());
  require_size("scatter_columns", "number of columns of X", X.cols(), which.size);
  detail::require_columns("scatter_columns", which, Y.cols());
  detail::for_each_column(be, X.rows(), which.size, [&](index_t j) { Y.col(which[j]) = X.col(j); });
}

/// y_{to[j]} = x_{from[j]}. Where X is Y, no index of `to` may be in `from`.
/// @throws size_error if the rows or the sizes of from and to do not agree, or an
///   index is not a column
template <std::floating_point Scalar>
void move_columns(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& X,
                  array_view<const index_t> from, array_view<const index_t> to,
                  typename cpu<Scalar>::view Y) {
  require_size("move_columns", "number of rows of Y", Y.rows(), X.rows());
  require_size("move_columns", "number of indices to", to.size, from.size);
  detail::require_columns("move_columns", from, X.cols());
  detail::require_columns("move_columns", to, Y.cols());
  detail::for_each_column(be, X.rows(), from.size,
                          [&](index_t j) { Y.col(to[j]) = X.col(from[j]); });
}

}  // namespace basin
