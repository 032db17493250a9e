/// @file
/// GMRES for (I - J) s = r, many columns at once: one batch of products with the Jacobian an
/// iteration.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <basin/backend/cpu.hpp>
#include <basin/core/finite.hpp>
#include <basin/map/derivative.hpp>
#include <basin/solver/updated_qr.hpp>

namespace basin::detail {

/// The generalised minimal residual method (Saad and Schultz 1986) for (I - J_f(z_j)) s_j = r_j,
/// a Krylov space per column, orthogonalised twice, without restarts. Columns that are done
/// leave the products. Columns are taken in groups, so that the spaces take at most 64 MiB.
template <class Scalar>
class Gmres {
 public:
  using matrix = typename cpu<Scalar>::matrix;

  /// @param most dimensions of a space
  explicit Gmres(index_t most) : most_(most) {}

  /// Solves for columns `which` of Z and R; column which[i] of S, which may be R, is written.
  /// @param goals largest ‖r - (I - J) s‖ / ‖r‖, by column
  /// @param products numbers of products with the Jacobian are added to them, by column
  /// @param good whether S has a finite solution that lowers the residual, by column
  template <class Map>
  void solve(const cpu<Scalar>& be, Map& map, const matrix& Z, const matrix& R, matrix& S,
             const std::vector<index_t>& which, const std::vector<double>& goals,
             std::vector<index_t>& products, std::vector<std::uint8_t>& good) {
    const auto k = static_cast<index_t>(Z.rows());
    const index_t most = std::min(most_, k);
    constexpr index_t room = index_t{64} << 20;
    const index_t each = (most + 1) * k * static_cast<index_t>(sizeof(Scalar));
    const index_t group = std::max<index_t>(1, room / each);
    const auto count = static_cast<index_t>(which.size());
    for (index_t first = 0; first < count; first += group) {
      solve_group(be, map, Z, R, S, which, first, std::min(group, count - first), goals, products,
                  good);
    }
  }

 private:
  /// A column's space: its basis, the triangular factor of its Hessenberg matrix by Givens
  /// rotations (Saad 2003, section 6.5.3), and the right-hand side that they turn.
  struct space {
    std::vector<Scalar> basis;
    std::vector<double> triangle, cosine, sine, right;
    double size = 0;  ///< ‖r‖
    index_t dimension = 0;
    bool done = false;
  };

  template <class Map>
  void solve_group(const cpu<Scalar>& be, Map& map, const matrix& Z, const matrix& R, matrix& S,
                   const std::vector<index_t>& which, index_t first, index_t count,
                   const std::vector<double>& goals, std::vector<index_t>& products,
                   std::vector<std::uint8_t>& good) {
    const auto k = static_cast<index_t>(Z.rows());
    const index_t most = std::min(most_, k);
    spaces_.resize(static_cast<std::size_t>(count));
    const auto column = [&](index_t i) { return which[static_cast<std::size_t>(first + i)]; };
    for_each_index(be, count, [&](index_t i) { begin(of(i), R.col(column(i)).data(), k, most); });
    std::vector<index_t> left;
    for (index_t m = 0; m < most; ++m) {
      left.clear();
      for (index_t i = 0; i < count; ++i) {
        if (!of(i).done) left.push_back(i);
      }
      if (left.empty()) break;
      const auto n = static_cast<index_t>(left.size());
      states_.resize(k, n);
      directions_.resize(k, n);
      images_.resize(k, n);
      for (index_t i = 0; i < n; ++i) {
        const index_t at = left[static_cast<std::size_t>(i)];
        states_.col(i) = Z.col(column(at));
        std::copy_n(of(at).basis.data() + m * k, k, directions_.col(i).data());
        ++products[static_cast<std::size_t>(column(at))];
      }
      basin::jvp(be, map, states_, directions_, images_);
      for_each_index(be, n, [&](index_t i) {
        const index_t at = left[static_cast<std::size_t>(i)];
        extend(of(at), images_.col(i).data(), k, most, goals[static_cast<std::size_t>(column(at))]);
      });
    }
    for_each_index(be, count, [&](index_t i) {
      good[static_cast<std::size_t>(column(i))] = finish(of(i), S.col(column(i)).data(), k, most);
    });
  }

  [[nodiscard]] space& of(index_t i) { return spaces_[static_cast<std::size_t>(i)]; }

  static void begin(space& s, const Scalar* r, index_t k, index_t most) {
    s.basis.resize(static_cast<std::size_t>((most + 1) * k));
    s.triangle.assign(static_cast<std::size_t>(most * most), 0);
    s.cosine.assign(static_cast<std::size_t>(most), 0);
    s.sine.assign(static_cast<std::size_t>(most), 0);
    s.right.assign(static_cast<std::size_t>(most + 1), 0);
    s.size = std::sqrt(static_cast<double>(squared_norm(r, k)));
    s.right[0] = s.size;
    s.dimension = 0;
    s.done = !(s.size > 0) || !is_finite(s.size);
    if (s.done) return;
    for (index_t i = 0; i < k; ++i) {
      s.basis[static_cast<std::size_t>(i)] = r[i] / static_cast<Scalar>(s.size);
    }
  }

  /// One more dimension, from Jv for the latest vector v of the basis.
  static void extend(space& s, const Scalar* image, index_t k, index_t most, double goal) {
    const index_t m = s.dimension;
    Scalar* const v = s.basis.data() + m * k;
    Scalar* const w = v + k;
    for (index_t i = 0; i < k; ++i) w[i] = v[i] - image[i];
    const double before = std::sqrt(static_cast<double>(squared_norm(w, k)));
    if (!is_finite(before)) {
      s.done = true;
      return;
    }
    std::vector<double> h(static_cast<std::size_t>(m + 2), 0.0);
    for (int pass = 0; pass < 2; ++pass) {
      for (index_t i = 0; i <= m; ++i) {
        const Scalar* const u = s.basis.data() + i * k;
        const Scalar product = dot(u, w, k);
        add_scaled(-product, u, w, k);
        h[static_cast<std::size_t>(i)] += static_cast<double>(product);
      }
    }
    double next = std::sqrt(static_cast<double>(squared_norm(w, k)));
    const double rounding = 8.0 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
    const bool invariant = m + 1 == k || !(next > rounding * before);
    if (invariant) next = 0;
    h[static_cast<std::size_t>(m + 1)] = next;
    for (index_t i = 0; i < m; ++i) rotate(h, i, s);
    const auto at = static_cast<std::size_t>(m);
    const double length = std::hypot(h[at], next);
    s.cosine[at] = length > 0 ? h[at] / length : 1.0;
    s.sine[at] = length > 0 ? next / length : 0.0;
    h[at] = length;
    s.right[at + 1] = -s.sine[at] * s.right[at];
    s.right[at] *= s.cosine[at];
    std::copy_n(h.data(), m + 1, s.triangle.data() + m * most);
    ++s.dimension;
    s.done = invariant || std::abs(s.right[at + 1]) <= goal * s.size;
    if (!s.done) {
      for (index_t i = 0; i < k; ++i) w[i] /= static_cast<Scalar>(next);
    }
  }

  static void rotate(std::vector<double>& h, index_t i, const space& s) {
    const auto at = static_cast<std::size_t>(i);
    const double upper = s.cosine[at] * h[at] + s.sine[at] * h[at + 1];
    h[at + 1] = s.cosine[at] * h[at + 1] - s.sine[at] * h[at];
    h[at] = upper;
  }

  /// The combination of the basis that is the solution.
  static bool finish(space& s, Scalar* solution, index_t k, index_t most) {
    const index_t n = s.dimension;
    if (n == 0 || !(std::abs(s.right[static_cast<std::size_t>(n)]) < s.size)) return false;
    std::vector<double> weights(s.right.begin(), s.right.begin() + n);
    double largest = 0;
    for (index_t i = 0; i < n; ++i) {
      largest = std::max(largest, std::abs(s.triangle[static_cast<std::size_t>(i + i * most)]));
    }
    for (index_t i = n; i-- > 0;) {
      const double pivot = s.triangle[static_cast<std::size_t>(i + i * most)];
      constexpr auto least = static_cast<double>(std::numeric_limits<Scalar>::epsilon());
      if (!(std::abs(pivot) > least * largest)) return false;  // 1 is an eigenvalue of J
      double& weight = weights[static_cast<std::size_t>(i)];
      weight /= pivot;
      for (index_t j = 0; j < i; ++j) {
        weights[static_cast<std::size_t>(j)] -=
            weight * s.triangle[static_cast<std::size_t>(j + i * most)];
      }
    }
    std::fill_n(solution, k, Scalar(0));
    for (index_t i = 0; i < n; ++i) {
      add_scaled(static_cast<Scalar>(weights[static_cast<std::size_t>(i)]), s.basis.data() + i * k,
                 solution, k);
    }
    return all_finite(solution, k);
  }

  index_t most_;
  std::vector<space> spaces_;
  matrix states_, directions_, images_;
};

}  // namespace basin::detail
