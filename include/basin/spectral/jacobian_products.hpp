/// @file
/// Products with many Jacobians at once, from and to host memory in double.
#pragma once

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/map/derivative.hpp>

namespace basin::detail {

/// Calls f(i) for i in [0, n), in parallel where the backend has threads. f(i) touches nothing of
/// another index, so that results do not depend on their number.
template <class B, class F>
void on_host(const B& be, index_t n, F&& f) {
  if constexpr (requires { be.pool(); }) {
    be.pool().run(n, f);
  } else {
    for (index_t i = 0; i < n; ++i) f(i);
  }
}

/// J_f at the columns of a matrix, as operators. The map runs on the backend in its scalar, one
/// batch a product, of those columns alone that are asked for.
template <basin::backend B, class Map>
class JacobianProducts {
 public:
  using scalar = typename B::scalar;

  /// Relative error of a product: ε of the scalar.
  static constexpr double rounding = std::numeric_limits<scalar>::epsilon();

  /// @param where the caller, as the user knows it
  /// @param points k × n in host memory
  /// @throws size_error unless the map takes k rows
  JacobianProducts(std::string_view where, const B& be, Map& map,
                   const Eigen::Ref<const Eigen::MatrixXd>& points)
      : be_(be), map_(map), columns_(points.rows()), rows_(output_dimension(map)) {
    require_dimension(where, map, columns_);
    if (rows_ < 0) rows_ = columns_;
    points_ = be.make_matrix(columns_, points.cols());
    if (points.cols() == 0) return;
    const Eigen::MatrixX<scalar> host = points.template cast<scalar>();
    upload(be, host, columns(be, points_, 0, points.cols()));
  }

  [[nodiscard]] index_t rows() const noexcept { return rows_; }
  [[nodiscard]] index_t cols() const noexcept { return columns_; }
  [[nodiscard]] index_t size() const { return static_cast<index_t>(points_.cols()); }

  /// Column i is J at point which[i], times column i of V.
  [[nodiscard]] Eigen::MatrixXd forward(const std::vector<index_t>& which,
                                        const Eigen::Ref<const Eigen::MatrixXd>& V) {
    return product(which, V, rows_, [this](const auto& Z, const auto& in, auto out) {
      basin::jvp(be_, map_, Z, in, out);
    });
  }
  /// Column i is Jᵀ at point which[i], times column i of U.
  [[nodiscard]] Eigen::MatrixXd transposed(const std::vector<index_t>& which,
                                           const Eigen::Ref<const Eigen::MatrixXd>& U)
    requires has_vjp<Map, B>
  {
    return product(which, U, columns_, [this](const auto& Z, const auto& in, auto out) {
      basin::vjp(be_, map_, Z, in, out);
    });
  }

  /// The same from and to the memory of the backend, in its scalar.
  void forward(const std::vector<index_t>& which, const typename B::const_view& V,
               typename B::view JV) {
    basin::jvp(be_, map_, states_at(which), V, JV);
  }
  /// @copydoc forward
  void transposed(const std::vector<index_t>& which, const typename B::const_view& U,
                  typename B::view JtU)
    requires has_vjp<Map, B>
  {
    basin::vjp(be_, map_, states_at(which), U, JtU);
  }

  /// Calls body(j, J) with all of J at every point j, for several at once.
  template <class Body>
  void for_each_dense(Body&& body) {
    const index_t each = std::max<index_t>(1, columns_ * std::max(rows_, columns_));
    const index_t block = std::max<index_t>(1, (index_t{1} << 22) / each);
    for (index_t first = 0; first < size(); first += block) {
      const index_t count = std::min(block, size() - first);
      std::vector<index_t> which(static_cast<std::size_t>(count * columns_));
      for (std::size_t i = 0; i < which.size(); ++i) {
        which[i] = first + static_cast<index_t>(i) / columns_;
      }
      const Eigen::MatrixXd all =
          forward(which, Eigen::MatrixXd::Identity(columns_, columns_).replicate(1, count));
      on_host(be_, count, [&](index_t i) {
        const Eigen::MatrixXd J = all.middleCols(i * columns_, columns_);
        body(first + i, J);
      });
    }
  }

 private:
  /// The points of which products are wanted.
  [[nodiscard]] typename B::const_view states_at(const std::vector<index_t>& which) {
    const auto n = static_cast<index_t>(which.size());
    if (which != gathered_) {
      typename B::template buffer<index_t> list = be_.template make_buffer<index_t>(n);
      upload_array(be_, array_view<const index_t>(which), array_view<index_t>(list));
      states_ = be_.make_matrix(columns_, n);
      gather_columns(be_, columns(be_, std::as_const(points_), 0, size()),
                     array_view<const index_t>(list), columns(be_, states_, 0, n));
      gathered_ = which;
    }
    return columns(be_, std::as_const(states_), 0, n);
  }

  template <class Body>
  Eigen::MatrixXd product(const std::vector<index_t>& which,
                          const Eigen::Ref<const Eigen::MatrixXd>& in, index_t rows, Body&& body) {
    const auto n = static_cast<index_t>(which.size());
    if (n == 0) return Eigen::MatrixXd(rows, 0);
    const typename B::const_view states = states_at(which);
    typename B::matrix from = be_.make_matrix(in.rows(), n);
    typename B::matrix to = be_.make_matrix(rows, n);
    Eigen::MatrixX<scalar> host = in.template cast<scalar>();
    upload(be_, host, columns(be_, from, 0, n));
    body(states, columns(be_, std::as_const(from), 0, n), columns(be_, to, 0, n));
    host.resize(rows, n);
    download(be_, columns(be_, std::as_const(to), 0, n), host);
    return host.template cast<double>();
  }

  const B& be_;
  Map& map_;
  index_t columns_;
  index_t rows_;
  typename B::matrix points_, states_;
  std::vector<index_t> gathered_;  ///< the points in states_
};

}  // namespace basin::detail
