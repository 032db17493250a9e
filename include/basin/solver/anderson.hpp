/// @file
/// Anderson's acceleration.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/solver/column_accelerator.hpp>
#include <basin/solver/updated_qr.hpp>

namespace basin {

/// Which secant equations Anderson's acceleration meets.
enum class anderson_type {
  /// The residual of a combination of earlier states is least: γ = argmin ‖r - ΔR γ‖
  /// (Anderson 1965, Walker and Ni 2011). A quasi-Newton method of Broyden's second kind.
  two,
  /// ΔZ^T (r - ΔR γ) = 0 (Fang and Saad 2009; Zhang, O'Donoghue and Boyd 2020), of Broyden's
  /// first kind.
  one,
};

/// Anderson's acceleration with a window of m differences. With r_t = f(z_t) - z_t, the
/// columns of ΔR and ΔF the differences of r and f between states that follow each other,
///
///     z_{t+1} = f(z_t) - ΔF γ - (1 - damping) (r_t - ΔR γ).
///
/// The least squares go by a QR factorisation that is updated, never by normal equations;
/// the oldest columns leave where it is ill-conditioned. A step after which the residual has
/// grown beyond `growth`, or f is not finite, is taken back: history is forgotten and the
/// plain step taken. A plain step is never taken back.
///
/// It finds fixed points, not attractors: it may go to a saddle, or to another attractor than
/// the dynamics does. See basin_preserving.hpp for that.
///
/// Memory: k (2 window + 2) numbers a column. Cost of a step: some k (6 window + 10) flops, for
/// type one 2 k window² more.
///
/// @code
/// #include <iostream>
/// #include <basin/map/function_map.hpp>
/// #include <basin/solver/anderson.hpp>
/// #include <basin/solver/fixed_point_solver.hpp>
///
/// int main() {
///   // The H equation of Chandrasekhar on 100 points, ω = 0.99.
///   const auto map = basin::function_map(100, [](const auto& H) {
///     Eigen::MatrixXd next = H;
///     for (int i = 0; i < 100; ++i) {
///       Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(H.cols());
///       for (int j = 0; j < 100; ++j) sum += (i + 0.5) / (i + j + 1.0) * H.row(j);
///       next.row(i) = 1 / (1 - 0.99 / 200 * sum.array());
///     }
///     return next;
///   });
///   basin::FixedPointSolver solver{map, basin::anderson{.window = 3},
///                                  basin::stopping{.residual = 1e-12}};
///   const auto found = solver.solve(Eigen::MatrixXd::Ones(100, 1));
///   std::cout << to_string(found.status[0]) << " after " << found.evaluations[0]
///             << " evaluations\n";
/// }
/// @endcode
struct anderson {
  index_t window = 5;  ///< differences that are kept, 1 ... 64; at most k are used
  double damping = 1;  ///< in (0, 1]
  anderson_type type = anderson_type::two;
  /// Largest condition number of the differences; in float at most 1e5 is used. At least 1.
  double condition = 1e8;
  /// λ of a term λ² ‖ΔR‖²_F ‖γ‖² in the least squares of type two (Scieur, d'Aspremont and
  /// Bach 2016). At least 0.
  double regularization = 0;
  /// Largest growth of the residual by an accelerated step, against the least since the
  /// history began. More than 1; infinite: only steps to where f is not finite are taken back.
  double growth = 10;

  friend bool operator==(const anderson&, const anderson&) = default;

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(window >= 1 && window <= detail::UpdatedQr<double>::limit, "anderson",
            "window is " + std::to_string(window) + ", must be in 1 ... 64");
    require(damping > 0 && damping <= 1, "anderson",
            "damping is " + std::to_string(damping) + ", must be in (0, 1]");
    require(condition >= 1, "anderson", "condition must be at least 1");
    require(regularization >= 0, "anderson", "regularization must not be negative");
    require(regularization == 0 || type == anderson_type::two, "anderson",
            "only type two takes a regularization");
    require(growth > 1, "anderson", "growth must be more than 1");
  }
  template <class Visit>
  void each_setting(Visit&& visit) const {
    visit(window), visit(damping), visit(type), visit(condition), visit(regularization);
    visit(growth);
  }

  template <class Scalar>
  struct record {
    bool started = false;      ///< there is an earlier state
    bool accelerated = false;  ///< the latest step is not a plain one
    std::int32_t size = 0;     ///< differences
    std::int32_t first = 0;    ///< place of the oldest in the second matrix
    Scalar least = std::numeric_limits<Scalar>::infinity();  ///< squared residual
  };
  [[nodiscard]] index_t memory(index_t k) const {
    const index_t m = differences(k);
    return detail::UpdatedQr<double>::memory(k, m) + (m + 2) * k;
  }
  [[nodiscard]] index_t scratch(index_t k) const {
    const index_t m = differences(k);
    const index_t squares = type == anderson_type::one ? m * m : 0;
    return squares + 2 * m + detail::UpdatedQr<double>::scratch(m, regularization > 0);
  }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void advance(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                 Scalar* f, index_t k) const {
    const parts<Lanes, Scalar> at(*this, lanes, c, memory, k);
    if (c.started) {
      add_differences(c, at, z, f);
    } else {
      c.least = std::numeric_limits<Scalar>::infinity();
    }
    c.started = true;
    lanes.copy(z, k, at.z);
    lanes.copy(f, k, at.f);
    c.accelerated = c.size > 0 && (type == anderson_type::two ? combine(c, at, z, f)
                                                              : combine_first_kind(c, at, z, f));
    if (!c.accelerated) plain(at, z);
  }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE bool review(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                Scalar* f, index_t k, Scalar residual) const {
    const auto most = static_cast<Scalar>(growth * growth);
    const bool bad = !is_finite(residual) || residual / most > c.least;
    if (!bad || !c.accelerated) {
      if (is_finite(residual)) c.least = std::min(c.least, residual);
      return false;
    }
    const parts<Lanes, Scalar> at(*this, lanes, c, memory, k);
    lanes.copy(at.z, k, z);
    lanes.copy(at.f, k, f);
    c = {};
    return true;
  }

 private:
  [[nodiscard]] BASIN_HOST_DEVICE index_t differences(index_t k) const {
    return std::min(window, k);
  }

  /// The memory of a column: the factorised differences (ΔR, or ΔZ of type one), the others
  /// (ΔF, or ΔR) in a ring, and the latest state with its value.
  template <class Lanes, class Scalar>
  struct parts {
    BASIN_HOST_DEVICE parts(const anderson& a, Lanes& lanes_, record<Scalar>& c, Scalar* memory,
                            index_t k_)
        : lanes(lanes_),
          k(k_),
          most(a.differences(k_)),
          qr(lanes_, memory, k_, most, c.size),
          others(memory + detail::UpdatedQr<Scalar>::memory(k_, most)),
          z(others + most * k_),
          f(z + k_) {}
    /// The other difference that belongs to column i of the factorisation.
    [[nodiscard]] BASIN_HOST_DEVICE Scalar* other(const record<Scalar>& c, index_t i) const {
      return others + (c.first + i) % most * k;
    }
    BASIN_HOST_DEVICE void remove_first(record<Scalar>& c) const {
      qr.remove_first();
      c.first = static_cast<std::int32_t>((c.first + 1) % most);
    }
    Lanes& lanes;
    index_t k;
    index_t most;
    detail::UpdatedQr<Scalar, Lanes> qr;
    Scalar* others;
    Scalar* z;
    Scalar* f;
  };

  [[nodiscard]] BASIN_HOST_DEVICE static double largest_condition(double condition,
                                                                  std::size_t scalar_size) {
    return scalar_size == 4 ? std::min(condition, 1e5) : condition;
  }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void add_differences(record<Scalar>& c, const parts<Lanes, Scalar>& at,
                                         const Scalar* z, const Scalar* f) const {
    if (c.size == at.most) at.remove_first(c);
    const auto write = [&] {
      Scalar* const other = at.other(c, c.size);
      Scalar* const factor = at.qr.q(c.size);
      at.lanes.each(at.k, [&](index_t i) {
        const Scalar change = (f[i] - z[i]) - (at.f[i] - at.z[i]);
        other[i] = type == anderson_type::two ? f[i] - at.f[i] : change;
        factor[i] = type == anderson_type::two ? change : z[i] - at.z[i];
      });
    };
    const auto limit = static_cast<Scalar>(largest_condition(condition, sizeof(Scalar)));
    write();
    while (!at.qr.append()) {
      if (c.size == 0) return;
      at.remove_first(c);  // dependent: the newest is kept and the oldest goes
      write();
    }
    while (c.size > 1 && !(at.qr.condition() <= limit)) at.remove_first(c);
  }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE bool combine(const record<Scalar>& c, const parts<Lanes, Scalar>& at, Scalar* z,
                                 Scalar* f) const {
    Lanes& lanes = at.lanes;
    const index_t size = c.size;
    const auto product = lanes.array(size);
    const auto gamma = lanes.array(size);
    Scalar* const r = z;  // what follows needs the state in `at` alone
    lanes.each(at.k, [&](index_t i) { r[i] = f[i] - z[i]; });
    lanes.dots(at.qr.q(0), at.k, size, r, at.k, gamma.data());
    lanes.once([&] {
      for (index_t i = 0; i < size; ++i) product[i] = gamma[i];
    });
    at.qr.least_squares(gamma.data(), static_cast<Scalar>(regularization));
    for (index_t i = 0; i < size; ++i) {
      if (!is_finite(gamma[i])) return false;
    }
    if (damping < 1) {
      if (regularization > 0) {  // then Q^T b is not that of the solution
        lanes.once([&] {
          for (index_t i = 0; i < size; ++i) {
            product[i] = 0;
            for (index_t j = i; j < size; ++j) product[i] += at.qr.r(i, j) * gamma[j];
          }
        });
      }
      const auto rest = static_cast<Scalar>(1 - damping);
      for (index_t i = 0; i < size; ++i) lanes.add_scaled(-product[i], at.qr.q(i), r, at.k);
      lanes.each(at.k, [&](index_t i) { f[i] -= rest * r[i]; });
    }
    detail::for_row_blocks(at.k, [&](index_t first, index_t rows) {
      for (index_t i = 0; i < size; ++i) {
        lanes.add_scaled(-gamma[i], at.other(c, i) + first, f + first, rows);
      }
      lanes.copy(f + first, rows, z + first);
    });
    return true;
  }

  /// (Q^T ΔR) γ = Q^T r with ΔZ = Q R; then ΔF γ = Q R γ + ΔR γ.
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE bool combine_first_kind(record<Scalar>& c, const parts<Lanes, Scalar>& at,
                                            Scalar* z, Scalar* f) const {
    Lanes& lanes = at.lanes;
    const auto matrix = lanes.array(index_t{c.size} * c.size);
    const auto gamma = lanes.array(c.size);
    Scalar* const r = z;
    lanes.each(at.k, [&](index_t i) { r[i] = f[i] - z[i]; });
    const auto most = static_cast<Scalar>(largest_condition(condition, sizeof(Scalar)));
    for (; c.size > 0; at.remove_first(c)) {
      const index_t size = c.size;
      for (index_t j = 0; j < size; ++j) {
        lanes.dots(at.qr.q(0), at.k, size, at.other(c, j), at.k, matrix.data() + j * size);
      }
      lanes.dots(at.qr.q(0), at.k, size, r, at.k, gamma.data());
      if (lanes.once([&] { return eliminate(matrix.data(), gamma.data(), size, most); })) break;
    }
    const index_t size = c.size;
    if (size == 0) {  // z was overwritten
      lanes.copy(at.z, at.k, z);
      return false;
    }
    if (damping < 1) {
      const auto rest = static_cast<Scalar>(1 - damping);
      for (index_t i = 0; i < size; ++i) lanes.add_scaled(-gamma[i], at.other(c, i), r, at.k);
      lanes.each(at.k, [&](index_t i) { f[i] -= rest * r[i]; });
    }
    for (index_t i = 0; i < size; ++i) {
      Scalar along = 0;
      for (index_t j = i; j < size; ++j) along += at.qr.r(i, j) * gamma[j];
      lanes.add_scaled(-along, at.qr.q(i), f, at.k);
      lanes.add_scaled(-gamma[i], at.other(c, i), f, at.k);
    }
    lanes.copy(f, at.k, z);
    return true;
  }

  /// x = A^-1 x by elimination with row pivots.
  /// @return whether the pivots are within `most` of each other
  template <class Scalar>
  BASIN_HOST_DEVICE static bool eliminate(Scalar* a, Scalar* x, index_t n, Scalar most) {
    Scalar largest = 0;
    for (index_t p = 0; p < n; ++p) {
      index_t row = p;
      for (index_t i = p + 1; i < n; ++i) {
        if (std::abs(a[p * n + i]) > std::abs(a[p * n + row])) row = i;
      }
      const Scalar pivot = std::abs(a[p * n + row]);
      largest = std::max(largest, pivot);
      if (!(pivot * most > largest)) return false;
      for (index_t j = p; j < n && row != p; ++j) std::swap(a[j * n + p], a[j * n + row]);
      std::swap(x[p], x[row]);
      for (index_t i = p + 1; i < n; ++i) {
        const Scalar factor = a[p * n + i] / a[p * n + p];
        for (index_t j = p; j < n; ++j) a[j * n + i] -= factor * a[j * n + p];
        x[i] -= factor * x[p];
      }
    }
    for (index_t i = n - 1; i >= 0; --i) {
      for (index_t j = i + 1; j < n; ++j) x[i] -= a[j * n + i] * x[j];
      x[i] /= a[i * n + i];
      if (!is_finite(x[i])) return false;
    }
    return true;
  }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void plain(const parts<Lanes, Scalar>& at, Scalar* z) const {
    const auto weight = static_cast<Scalar>(damping);
    if (damping == 1) {
      at.lanes.copy(at.f, at.k, z);
    } else {
      at.lanes.each(at.k, [&](index_t i) { z[i] = at.z[i] + weight * (at.f[i] - at.z[i]); });
    }
  }
};

}  // namespace basin
