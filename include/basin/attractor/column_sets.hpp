/// @file
/// What the metrics ask of matrices whose columns are points.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include <Eigen/Core>

#include <basin/backend/cpu/columns.hpp>
#include <basin/backend/cpu/context.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

/// Beyond it squares of distances could overflow.
inline constexpr double largest_magnitude = 1e150;

/// The largest |x| of column j, if squares of it are finite.
/// @throws argument_error that names the column if it is not finite or too large
inline double require_magnitude(std::string_view where, std::string_view what, double most,
                                index_t j) {
  const bool finite = is_finite(most);
  if (finite && most <= largest_magnitude) return most;
  throw argument_error(std::string(where) + ": " + std::string(what) + " " + std::to_string(j) +
                       (finite ? " is beyond 1e150" : " is not finite"));
}

/// The largest |x| of column j.
/// @param what one of the columns, as the user knows it
/// @throws argument_error that names the column if it is not finite or too large for squares
template <class Derived>
[[nodiscard]] double largest_of_column(std::string_view where, std::string_view what,
                                       const Eigen::MatrixBase<Derived>& X, index_t j) {
  using scalar = typename Derived::Scalar;
  using bits = std::conditional_t<sizeof(scalar) == 4, std::uint32_t, std::uint64_t>;
  // As integers, magnitudes are in their order, with NaN above infinity.
  bits largest = 0;
  for (index_t i = 0; i < X.rows(); ++i) {
    largest = std::max(largest, std::bit_cast<bits>(X(i, j)) << 1 >> 1);
  }
  return require_magnitude(where, what, static_cast<double>(std::bit_cast<scalar>(largest)), j);
}

/// The largest |x|, 0 where there are none.
/// @throws argument_error that names the first column that is not finite or too large for squares
template <std::floating_point S, class Derived>
[[nodiscard]] double largest_entry(const cpu<S>& be, std::string_view where, std::string_view what,
                                   const Eigen::MatrixBase<Derived>& X) {
  Eigen::VectorXd most(X.cols());
  for_each_column(be, X.rows(), X.cols(),
                  [&](index_t j) { most[j] = largest_of_column(where, what, X, j); });
  return most.size() > 0 ? most.maxCoeff() : 0;
}

/// The largest |x| of points that there must be.
/// @throws size_error if there is no row or no column, and as `largest_entry`
template <std::floating_point S, class Derived>
[[nodiscard]] double require_points(const cpu<S>& be, std::string_view where, std::string_view what,
                                    const Eigen::MatrixBase<Derived>& X) {
  if (X.rows() < 1 || X.cols() < 1) {
    throw size_error(std::string(where) + ": " + std::string(what) + ": the matrix is " +
                     std::to_string(X.rows()) + " x " + std::to_string(X.cols()));
  }
  return largest_entry(be, where, what, X);
}

/// Throws unless the norm of column j is that of a direction, or is not finite.
inline void require_direction(std::string_view where, std::string_view what, double norm,
                              index_t j) {
  require(norm > 0 || !is_finite(norm), where,
          std::string(what) + " " + std::to_string(j) + " is zero and cannot be normalised");
}

/// Columns of norm 1, in double; those that are not finite stay so.
/// @throws argument_error that names a column that is zero
template <class Derived>
[[nodiscard]] Eigen::MatrixXd normalized_columns(std::string_view where, std::string_view what,
                                                 const Eigen::MatrixBase<Derived>& X) {
  Eigen::MatrixXd Y = X.template cast<double>();
  for (index_t j = 0; j < Y.cols(); ++j) {
    const double norm = Y.col(j).stableNorm();
    // Which may overlook a NaN beside zeros.
    if (all_finite(Y.col(j).data(), Y.rows())) require_direction(where, what, norm, j);
    Y.col(j) /= norm;
  }
  return Y;
}

/// The mean of the columns in double. The second pass takes away what the first has rounded, so
/// that equal columns are their mean to a few ε.
template <class Derived>
[[nodiscard]] Eigen::VectorXd mean_column(const Eigen::MatrixBase<Derived>& X) {
  Eigen::VectorXd mean = Eigen::VectorXd::Zero(X.rows());
  for (int pass = 0; pass < 2; ++pass) {
    Eigen::VectorXd sum = Eigen::VectorXd::Zero(X.rows());
    for (index_t j = 0; j < X.cols(); ++j) sum += X.col(j).template cast<double>() - mean;
    mean += sum / static_cast<double>(X.cols());
  }
  return mean;
}

}  // namespace basin::detail
