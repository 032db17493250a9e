/// @file
/// GMRES for (I - J) s = r, many columns at once: one batch of products with the Jacobian an
/// iteration.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <basin/backend/array_view.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/map/derivative.hpp>

namespace basin::detail {

/// How far a column's Krylov space has come.
struct krylov_space {
  double size = 0;  ///< ‖r‖
  index_t dimension = 0;
  bool done = false;
};

/// The spaces of some columns: a basis each, the triangular factor of its Hessenberg matrix by
/// Givens rotations (Saad 2003, section 6.5.3), and the right-hand side that they turn. Lanes share
/// the entries of the bases; the small problem, 6 numbers and 6 flops a dimension and step, is one
/// lane's, so that nothing of it goes to the host.
template <class Scalar>
struct gmres_columns {
  krylov_space* spaces;
  Scalar* bases;
  double* small;
  index_t k, most;

  [[nodiscard]] static index_t small_numbers(index_t most) { return most * most + 4 * most + 1; }
  [[nodiscard]] BASIN_HOST_DEVICE Scalar* basis(index_t i, index_t m) const {
    return bases + (i * (most + 1) + m) * k;
  }
  [[nodiscard]] BASIN_HOST_DEVICE double* triangle(index_t i) const {
    return small + i * (most * most + 4 * most + 1);
  }
  [[nodiscard]] BASIN_HOST_DEVICE double* cosine(index_t i) const {
    return triangle(i) + most * most;
  }
  [[nodiscard]] BASIN_HOST_DEVICE double* sine(index_t i) const { return cosine(i) + most; }
  [[nodiscard]] BASIN_HOST_DEVICE double* weights(index_t i) const { return sine(i) + most; }
  [[nodiscard]] BASIN_HOST_DEVICE double* right(index_t i) const { return weights(i) + most; }
};

/// The space of column which[i] of R begins.
template <class Scalar>
struct begin_space {
  gmres_columns<Scalar> at;
  const index_t* which;
  const Scalar* R;

  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t i) const {
    const Scalar* const r = R + which[i] * at.k;
    lanes.update(at.spaces[i], [&](krylov_space& s) {
      s = {};
      s.size = std::sqrt(static_cast<double>(lanes.dot(r, r, at.k)));
      s.done = !(s.size > 0) || !is_finite(s.size);
      lanes.aside([&] { at.right(i)[0] = s.size; });
      if (s.done) return;
      Scalar* const v = at.basis(i, 0);
      lanes.each(at.k, [&](index_t e) { v[e] = r[e] / static_cast<Scalar>(s.size); });
    });
  }
};

/// State and direction of the next product with the Jacobian for space left[i].
template <class Scalar>
struct next_product {
  gmres_columns<Scalar> at;
  const index_t* which;
  const index_t* left;
  const Scalar* Z;
  Scalar* states;
  Scalar* directions;
  index_t* products;

  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t i) const {
    const index_t space = left[i];
    const index_t column = which[space];
    lanes.copy(Z + column * at.k, at.k, states + i * at.k);
    lanes.copy(at.basis(space, at.spaces[space].dimension), at.k, directions + i * at.k);
    lanes.aside([&] { ++products[column]; });
  }
};

/// One more dimension of space left[i], from J v for the latest vector v of its basis.
template <class Scalar>
struct extend_space {
  gmres_columns<Scalar> at;
  const index_t* which;
  const index_t* left;
  const Scalar* images;
  const double* goals;

  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t i) const {
    const index_t space = left[i];
    const double goal = goals[which[space]];
    lanes.update(at.spaces[space],
                 [&](krylov_space& s) { extend(lanes, s, space, images + i * at.k, goal); });
  }

 private:
  template <class Lanes>
  BASIN_HOST_DEVICE void extend(Lanes& lanes, krylov_space& s, index_t space, const Scalar* image,
                                double goal) const {
    const index_t k = at.k;
    const index_t m = s.dimension;
    const Scalar* const v = at.basis(space, m);
    Scalar* const w = at.basis(space, m + 1);
    lanes.each(k, [&](index_t e) { w[e] = v[e] - image[e]; });
    const double before = std::sqrt(static_cast<double>(lanes.dot(w, w, k)));
    if (!is_finite(before)) {
      s.done = true;
      return;
    }
    double* const h = at.triangle(space) + m * at.most;
    for (int pass = 0; pass < 2; ++pass) {
      for (index_t j = 0; j <= m; ++j) {
        const Scalar* const u = at.basis(space, j);
        const Scalar product = lanes.dot(u, w, k);
        lanes.add_scaled(-product, u, w, k);
        lanes.aside([&] { h[j] = (pass == 0 ? 0.0 : h[j]) + static_cast<double>(product); });
      }
    }
    double next = std::sqrt(static_cast<double>(lanes.dot(w, w, k)));
    const double rounding = 8.0 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
    const bool invariant = m + 1 == k || !(next > rounding * before);
    if (invariant) next = 0;
    const double rest = lanes.once([&] { return rotate(space, m, next); });
    ++s.dimension;
    s.done = invariant || rest <= goal * s.size;
    if (s.done) return;
    lanes.each(k, [&](index_t e) { w[e] /= static_cast<Scalar>(next); });
  }

  /// Column m of the Hessenberg matrix, `next` below its end, becomes one of the triangle.
  /// @return ‖r - (I - J) s‖
  BASIN_HOST_DEVICE double rotate(index_t space, index_t m, double next) const {
    double* const h = at.triangle(space) + m * at.most;
    double* const cosine = at.cosine(space);
    double* const sine = at.sine(space);
    double* const right = at.right(space);
    for (index_t j = 0; j < m; ++j) {
      const double upper = cosine[j] * h[j] + sine[j] * h[j + 1];
      h[j + 1] = cosine[j] * h[j + 1] - sine[j] * h[j];
      h[j] = upper;
    }
    const double length = std::hypot(h[m], next);
    cosine[m] = length > 0 ? h[m] / length : 1.0;
    sine[m] = length > 0 ? next / length : 0.0;
    h[m] = length;
    right[m + 1] = -sine[m] * right[m];
    right[m] *= cosine[m];
    return std::abs(right[m + 1]);
  }
};

/// Column which[i] of S = the combination of the basis that is the solution.
template <class Scalar>
struct finish_space {
  gmres_columns<Scalar> at;
  const index_t* which;
  Scalar* S;
  std::uint8_t* good;

  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t i) const {
    const krylov_space s = at.spaces[i];
    Scalar* const solution = S + which[i] * at.k;
    bool finite = lanes.once([&] { return solve(s, i); });
    if (finite) {
      lanes.each(at.k, [&](index_t e) { solution[e] = 0; });
      for (index_t m = 0; m < s.dimension; ++m) {
        lanes.add_scaled(static_cast<Scalar>(at.weights(i)[m]), at.basis(i, m), solution, at.k);
      }
      finite = lanes.all_finite(solution, at.k);
    }
    lanes.aside([&] { good[which[i]] = finite ? 1 : 0; });
  }

 private:
  /// The weights of the basis.
  /// @return whether they lower the residual and 1 is no eigenvalue of J
  BASIN_HOST_DEVICE bool solve(const krylov_space& s, index_t i) const {
    const index_t n = s.dimension;
    const double* const triangle = at.triangle(i);
    const double* const right = at.right(i);
    double* const weights = at.weights(i);
    if (n == 0 || !(std::abs(right[n]) < s.size)) return false;
    double largest = 0;
    for (index_t m = 0; m < n; ++m) {
      weights[m] = right[m];
      largest = std::max(largest, std::abs(triangle[m + m * at.most]));
    }
    for (index_t m = n; m-- > 0;) {
      const double pivot = triangle[m + m * at.most];
      constexpr auto least = static_cast<double>(std::numeric_limits<Scalar>::epsilon());
      if (!(std::abs(pivot) > least * largest)) return false;
      weights[m] /= pivot;
      for (index_t j = 0; j < m; ++j) weights[j] -= weights[m] * triangle[j + m * at.most];
    }
    return true;
  }
};

/// The generalised minimal residual method (Saad and Schultz 1986) for (I - J_f(z_j)) s_j = r_j,
/// a Krylov space per column, orthogonalised twice, without restarts. Columns that are done
/// leave the products. Columns are taken in groups, so that the spaces take at most 64 MiB.
///
/// Cost on a device: a dimension is two launches and the product; the spaces' flags go to the host
/// and the list of those that are left comes back, 24 and 8 bytes a column, which waits for the
/// device once.
template <class Backend>
class Gmres {
 public:
  using scalar = typename Backend::scalar;
  using matrix = typename Backend::matrix;

  /// @param most dimensions of a space; at most k are used
  /// @param columns that are solved for at once, at most
  Gmres(const Backend& be, index_t most, index_t k, index_t columns)
      : k_(k),
        most_(std::min(most, k)),
        group_(std::min(columns, room(most_, k))),
        bases_(be.make_matrix((most_ + 1) * k, group_)),
        states_(be.make_matrix(k, group_)),
        directions_(be.make_matrix(k, group_)),
        images_(be.make_matrix(k, group_)),
        small_(
            be.template make_buffer<double>(group_ * gmres_columns<scalar>::small_numbers(most_))),
        spaces_(be.template make_buffer<krylov_space>(group_)),
        which_(be.template make_buffer<index_t>(group_)),
        left_(be.template make_buffer<index_t>(group_)),
        host_spaces_(static_cast<std::size_t>(group_)) {
    host_left_.reserve(static_cast<std::size_t>(group_));
  }

  /// Solves for columns `which` of Z and R; column which[i] of S, which may be R, is written.
  /// @param which on the host; the other arrays are the backend's
  /// @param goals largest ‖r - (I - J) s‖ / ‖r‖, by column
  /// @param products numbers of products with the Jacobian are added to them, by column
  /// @param good whether S has a finite solution that lowers the residual, by column
  template <class Map>
  void solve(const Backend& be, Map& map, const matrix& Z, const matrix& R, matrix& S,
             const std::vector<index_t>& which, array_view<const double> goals,
             array_view<index_t> products, array_view<std::uint8_t> good) {
    const auto count = static_cast<index_t>(which.size());
    for (index_t first = 0; first < count; first += group_) {
      const index_t n = std::min(group_, count - first);
      upload_array(be, array_view<const index_t>(which.data() + first, n),
                   array_view<index_t>(which_).first(n));
      solve_group(be, map, Z, R, S, n, goals, products, good);
    }
  }

 private:
  [[nodiscard]] static index_t room(index_t most, index_t k) {
    constexpr index_t bytes = index_t{64} << 20;
    return std::max<index_t>(1, bytes / ((most + 1) * k * static_cast<index_t>(sizeof(scalar))));
  }

  template <class Map>
  void solve_group(const Backend& be, Map& map, const matrix& Z, const matrix& R, matrix& S,
                   index_t count, array_view<const double> goals, array_view<index_t> products,
                   array_view<std::uint8_t> good) {
    const gmres_columns<scalar> at{raw_address(spaces_.data()), raw_address(bases_.data()),
                                   raw_address(small_.data()), k_, most_};
    const index_t* const which = raw_address(which_.data());
    const index_t* const left = raw_address(left_.data());
    share_out(be, count, begin_space<scalar>{at, which, raw_address(R.data())});
    for (index_t m = 0; m < most_; ++m) {
      const index_t n = find_left(be, count);
      if (n == 0) break;
      share_out(
          be, n,
          next_product<scalar>{at, which, left, raw_address(Z.data()), raw_address(states_.data()),
                               raw_address(directions_.data()), products.data});
      basin::jvp(be, map, columns(be, std::as_const(states_), 0, n),
                 columns(be, std::as_const(directions_), 0, n), columns(be, images_, 0, n));
      share_out(be, n,
                extend_space<scalar>{at, which, left, raw_address(images_.data()), goals.data});
    }
    share_out(be, count, finish_space<scalar>{at, which, raw_address(S.data()), good.data});
  }

  /// Lists the spaces that are not done.
  index_t find_left(const Backend& be, index_t count) {
    download_array(be, array_view<const krylov_space>(spaces_).first(count),
                   array_view<krylov_space>(host_spaces_).first(count));
    host_left_.clear();
    for (index_t i = 0; i < count; ++i) {
      if (!host_spaces_[static_cast<std::size_t>(i)].done) host_left_.push_back(i);
    }
    const auto n = static_cast<index_t>(host_left_.size());
    upload_array(be, array_view<const index_t>(host_left_), array_view<index_t>(left_).first(n));
    return n;
  }

  template <class Work>
  void share_out(const Backend& be, index_t n, const Work& work) const {
    for_each_in_lanes(be, n, work, 0, array_view<scalar>(), std::max<index_t>(1, 4096 / k_));
  }

  index_t k_, most_, group_;
  matrix bases_, states_, directions_, images_;
  typename Backend::template buffer<double> small_;
  typename Backend::template buffer<krylov_space> spaces_;
  typename Backend::template buffer<index_t> which_, left_;
  std::vector<krylov_space> host_spaces_;
  std::vector<index_t> host_left_;
};

}  // namespace basin::detail
