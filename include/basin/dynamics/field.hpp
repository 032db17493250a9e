/// @file
/// The field v(z) = f(z) - z at chosen points, with its divergence and rotation.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/map/concept.hpp>
#include <basin/map/derivative.hpp>

namespace basin {

/// The field at n points of R^k, in host memory.
template <class Scalar>
struct FieldSample {
  Eigen::MatrixX<Scalar> points;    ///< k × n
  Eigen::MatrixX<Scalar> velocity;  ///< f(z) - z, k × n
  Eigen::VectorX<Scalar> norm;      ///< ‖f(z) - z‖₂; NaN where f(z) is not finite
  /// Σ_i ∂v_i/∂z_i. Empty where derivatives were not asked for.
  Eigen::VectorX<Scalar> divergence;
  /// For k = 2 ∂v_2/∂z_1 - ∂v_1/∂z_2, else √(Σ_{i<j} (∂v_j/∂z_i - ∂v_i/∂z_j)²), which for
  /// k = 3 is ‖curl v‖. Empty where derivatives were not asked for.
  Eigen::VectorX<Scalar> rotation;
};

/// A plane of R^k: origin + axes (s, t)ᵀ with orthonormal axes.
struct plane {
  Eigen::VectorXd origin;  ///< k
  Eigen::MatrixXd axes;    ///< k × 2

  /// The points of R^k with these coordinates, 2 × n.
  [[nodiscard]] Eigen::MatrixXd points(const Eigen::Ref<const Eigen::MatrixXd>& coordinates) const {
    return ((axes * coordinates).colwise() + origin).eval();
  }
  /// The coordinates of the nearest points of the plane, 2 × n.
  [[nodiscard]] Eigen::MatrixXd coordinates(const Eigen::Ref<const Eigen::MatrixXd>& at) const {
    return (axes.transpose() * (at.colwise() - origin)).eval();
  }
};

/// The plane through three points: a is its origin, b lies on the first axis, and c has a
/// second coordinate of more than 0.
/// @throws size_error unless they have one size of at least 2; argument_error if they lie on a
///   line
[[nodiscard]] inline plane plane_through(const Eigen::Ref<const Eigen::VectorXd>& a,
                                         const Eigen::Ref<const Eigen::VectorXd>& b,
                                         const Eigen::Ref<const Eigen::VectorXd>& c) {
  require_size("plane_through", "size of the second point", b.size(), a.size());
  require_size("plane_through", "size of the third point", c.size(), a.size());
  require(a.size() >= 2, "plane_through", "points of a plane have at least 2 entries");
  Eigen::MatrixXd axes(a.size(), 2);
  axes.col(0) = b - a;
  axes.col(1) = c - a;
  const double first = axes.col(0).norm();
  const double second = axes.col(1).norm();
  require(first > 0, "plane_through", "the first two points are the same");
  axes.col(0) /= first;
  for (int pass = 0; pass < 2; ++pass) {
    axes.col(1) -= axes.col(0).dot(axes.col(1)) * axes.col(0);
  }
  const double height = axes.col(1).norm();
  require(height > 1e-12 * second, "plane_through", "the three points lie on a line");
  axes.col(1) /= height;
  return {a, axes};
}

/// The points of a regular grid, the first entry running fastest: counts[i] values of entry i
/// from lower[i] to upper[i], both included. One value stands at the lower bound.
/// @return k × Π counts
/// @throws size_error unless the sizes agree; argument_error unless the counts are at least 1
[[nodiscard]] inline Eigen::MatrixXd grid_points(const Eigen::Ref<const Eigen::VectorXd>& lower,
                                                 const Eigen::Ref<const Eigen::VectorXd>& upper,
                                                 const std::vector<index_t>& counts) {
  const index_t k = lower.size();
  require_size("grid_points", "number of upper bounds", upper.size(), k);
  require_size("grid_points", "number of counts", static_cast<index_t>(counts.size()), k);
  index_t n = 1;
  for (const index_t count : counts) {
    require(count >= 1, "grid_points", "a count is " + std::to_string(count) + ", must be >= 1");
    require(n <= std::numeric_limits<index_t>::max() / 16 / count / std::max<index_t>(k, 1),
            "grid_points", "the grid has more points than can be counted");
    n *= count;
  }
  Eigen::MatrixXd points(k, n);
  for (index_t j = 0; j < n; ++j) {
    index_t rest = j;
    for (index_t i = 0; i < k; ++i) {
      const index_t count = counts[static_cast<std::size_t>(i)];
      const auto at = static_cast<double>(rest % count);
      rest /= count;
      points(i, j) = count == 1
                         ? lower[i]
                         : lower[i] + (upper[i] - lower[i]) * at / static_cast<double>(count - 1);
    }
  }
  return points;
}

namespace detail {
/// f at points in host memory.
template <class B, class Map>
[[nodiscard]] Eigen::MatrixX<typename B::scalar> field_velocity(
    const B& be, Map& map, const Eigen::MatrixX<typename B::scalar>& points) {
  if (const index_t given = output_dimension(map); given >= 0) {
    require_size("field", "number of rows that the map gives", given, points.rows());
  }
  const index_t n = points.cols();
  typename B::matrix Z = be.make_matrix(points.rows(), n);
  typename B::matrix F = be.make_matrix(points.rows(), n);
  Eigen::MatrixX<typename B::scalar> velocity(points.rows(), n);
  if (n == 0) return velocity;
  upload(be, points, columns(be, Z, 0, n));
  evaluate(be, map, columns(be, std::as_const(Z), 0, n), columns(be, F, 0, n));
  download(be, columns(be, std::as_const(F), 0, n), velocity);
  velocity -= points;
  return velocity;
}

/// (J_f - I) direction at every point, k × n in host memory.
template <class B, class Map>
[[nodiscard]] Eigen::MatrixX<typename B::scalar> field_derivative(
    const B& be, Map& map, const Eigen::MatrixX<typename B::scalar>& points,
    const Eigen::VectorX<typename B::scalar>& direction) {
  using host = Eigen::MatrixX<typename B::scalar>;
  const index_t k = points.rows();
  const index_t n = points.cols();
  const host directions = direction.replicate(1, n);
  typename B::matrix Z = be.make_matrix(k, n);
  typename B::matrix V = be.make_matrix(k, n);
  typename B::matrix JV = be.make_matrix(k, n);
  host derivative(k, n);
  upload(be, points, columns(be, Z, 0, n));
  upload(be, directions, columns(be, V, 0, n));
  jvp(be, map, columns(be, std::as_const(Z), 0, n), columns(be, std::as_const(V), 0, n),
      columns(be, JV, 0, n));
  download(be, columns(be, std::as_const(JV), 0, n), derivative);
  derivative.colwise() -= direction;
  return derivative;
}
}  // namespace detail

/// Samples the field at the columns of `points`. With derivatives the map needs jvp.
/// @param points k × n in host memory, such as `grid_points`
/// @throws size_error if k is not the map's dimension, of states and of values
/// Cost: one evaluation a point, and with derivatives k products; 4 million numbers of memory
/// besides the result.
template <basin::backend B, class Map>
  requires latent_map<Map, B>
[[nodiscard]] FieldSample<typename B::scalar> sample_field(
    const B& be, Map& map, const Eigen::Ref<const Eigen::MatrixXd>& points,
    bool derivatives = has_jvp<Map, B>) {
  using scalar = typename B::scalar;
  using host = Eigen::MatrixX<scalar>;
  const index_t k = points.rows();
  const index_t n = points.cols();
  require_dimension("sample_field", map, k);
  FieldSample<scalar> sample{points.template cast<scalar>(), {}, {}, {}, {}};
  sample.velocity = detail::field_velocity(be, map, sample.points);
  sample.norm = sample.velocity.colwise().norm();
  if (!derivatives) return sample;
  if constexpr (has_jvp<Map, B>) {
    sample.divergence = Eigen::VectorX<scalar>::Zero(n);
    sample.rotation = Eigen::VectorX<scalar>::Zero(n);
    // Points by blocks, since their Jacobians take k² numbers each.
    const index_t block = std::max<index_t>(1, (index_t{1} << 22) / (k * k));
    std::vector<host> J(static_cast<std::size_t>(k));
    for (index_t first = 0; first < n; first += block) {
      const index_t count = std::min(block, n - first);
      const host at = sample.points.middleCols(first, count);
      for (index_t i = 0; i < k; ++i) {
        const Eigen::VectorX<scalar> unit = Eigen::VectorX<scalar>::Unit(k, i);
        J[static_cast<std::size_t>(i)] = detail::field_derivative(be, map, at, unit);
        sample.divergence.segment(first, count) += J[static_cast<std::size_t>(i)].row(i);
      }
      for (index_t i = 0; i < k; ++i) {
        for (index_t l = i + 1; l < k; ++l) {
          const Eigen::VectorX<scalar> turn =
              (J[static_cast<std::size_t>(i)].row(l) - J[static_cast<std::size_t>(l)].row(i))
                  .transpose();
          if (k == 2) {
            sample.rotation.segment(first, count) = turn;
          } else {
            sample.rotation.segment(first, count).array() += turn.array().square();
          }
        }
      }
    }
    if (k != 2) sample.rotation = sample.rotation.cwiseSqrt();
  } else {
    throw argument_error("sample_field: derivatives of a map that has no jvp");
  }
  return sample;
}

/// The field on a plane, in host memory.
template <class Scalar>
struct PlaneSample {
  Eigen::MatrixX<Scalar> coordinates;  ///< on the plane, 2 × n
  Eigen::MatrixX<Scalar> points;       ///< k × n
  Eigen::MatrixX<Scalar> velocity;     ///< the part of f(z) - z within the plane, 2 × n
  Eigen::VectorX<Scalar> norm;         ///< ‖f(z) - z‖₂, all of it
  /// Divergence of the field within the plane. Empty where derivatives were not asked for.
  Eigen::VectorX<Scalar> divergence;
  /// ∂v_2/∂s_1 - ∂v_1/∂s_2 within the plane. Empty where derivatives were not asked for.
  Eigen::VectorX<Scalar> rotation;
};

/// Samples the field on a plane at the given coordinates. With derivatives the map needs jvp.
/// @param coordinates 2 × n in host memory, such as `grid_points` of two bounds
/// @throws size_error if the plane has not the map's dimension
/// Cost: one evaluation a point, and with derivatives two products.
template <basin::backend B, class Map>
  requires latent_map<Map, B>
[[nodiscard]] PlaneSample<typename B::scalar> sample_plane(
    const B& be, Map& map, const plane& on, const Eigen::Ref<const Eigen::MatrixXd>& coordinates,
    bool derivatives = has_jvp<Map, B>) {
  using scalar = typename B::scalar;
  require_size("sample_plane", "number of rows of the coordinates", coordinates.rows(), 2);
  require_size("sample_plane", "number of axes", on.axes.cols(), 2);
  require_size("sample_plane", "number of rows of the axes", on.axes.rows(), on.origin.size());
  require_dimension("sample_plane", map, on.origin.size());
  PlaneSample<scalar> sample;
  sample.coordinates = coordinates.template cast<scalar>();
  sample.points = on.points(coordinates).template cast<scalar>();
  const Eigen::MatrixX<scalar> axes = on.axes.template cast<scalar>();
  const Eigen::MatrixX<scalar> velocity = detail::field_velocity(be, map, sample.points);
  sample.velocity = axes.transpose() * velocity;
  sample.norm = velocity.colwise().norm();
  if (!derivatives) return sample;
  if constexpr (has_jvp<Map, B>) {
    if (sample.points.cols() == 0) return sample;
    const Eigen::MatrixX<scalar> first =
        axes.transpose() *
        detail::field_derivative<B>(be, map, sample.points, Eigen::VectorX<scalar>(axes.col(0)));
    const Eigen::MatrixX<scalar> second =
        axes.transpose() *
        detail::field_derivative<B>(be, map, sample.points, Eigen::VectorX<scalar>(axes.col(1)));
    sample.divergence = first.row(0) + second.row(1);
    sample.rotation = first.row(1) - second.row(0);
  } else {
    throw argument_error("sample_plane: derivatives of a map that has no jvp");
  }
  return sample;
}

}  // namespace basin
