/// @file
/// Newton's method with Krylov solves, many columns at once.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <basin/backend/array_view.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/map/derivative.hpp>
#include <basin/solver/accelerator.hpp>
#include <basin/solver/gmres.hpp>

namespace basin {

/// Newton's method for f(z) - z = 0 with (I - J) s = f(z) - z solved by GMRES, as far as is
/// worth it: the forcing term of Eisenstat and Walker (1996, choice 2),
///
///     η_t = 0.9 (‖r_t‖ / ‖r_{t-1}‖)²,   not below 0.9 η_{t-1}² where that is above 0.1.
///
/// A step after which the residual has not fallen by a share 1e-4 (1 - η) of it (Armijo), or
/// f is not finite, is taken back and halved, up to `halvings` times; then f(z) is the next
/// state. So it is where 1 is an eigenvalue of J (a continuum of fixed points), and GMRES fails.
///
/// An iteration is one evaluation of f; what it needs of products with the Jacobian counts as
/// two evaluations each in `evaluations`, being a value and a derivative, and stands against
/// `max_evaluations`. It finds fixed points, not attractors: unstable ones as easily as stable
/// ones. See basin_preserving.hpp for what stays in its basin.
///
/// Memory: 3 k numbers a column, and at most 64 MiB, or one column's (basis + 1) k numbers if
/// that is more. Cost of a step without the map's: some 4 k m² flops for m products.
///
/// @code
/// #include <iostream>
/// #include <basin/map/differentiable.hpp>
/// #include <basin/solver/fixed_point_solver.hpp>
/// #include <basin/solver/newton_krylov.hpp>
///
/// int main() {
///   // Bratu's problem u'' + 2 exp(u) = 0 on 50 points, by a step of Richardson's that Picard
///   // would need thousands of.
///   constexpr int k = 50;
///   auto map = basin::differentiable(k, [](const auto& u, auto& f) {
///     using std::exp;
///     const double h = 1.0 / (k + 1);
///     for (int i = 0; i < k; ++i) {
///       auto sum = 2.0 * h * h * exp(u[i]) - 2.0 * u[i];
///       if (i > 0) sum = sum + u[i - 1];
///       if (i + 1 < k) sum = sum + u[i + 1];
///       f[i] = u[i] + 0.4 * sum;
///     }
///   });
///   basin::FixedPointSolver solver{map, basin::newton_krylov{},
///                                  basin::stopping{.residual = 1e-10}};
///   const auto found = solver.solve(Eigen::MatrixXd::Zero(k, 1));
///   std::cout << to_string(found.status[0]) << " after " << found.iterations[0]
///             << " steps and " << found.evaluations[0] << " evaluations\n";
/// }
/// @endcode
struct newton_krylov {
  /// Most products with the Jacobian in a step; at most k are used. Budgets are looked at between
  /// steps, so that `max_evaluations` may be passed by two evaluations for each.
  index_t basis = 60;
  double forcing = 0.5;  ///< η of the first step, in (0, 1)
  double largest = 0.9;  ///< η at most, in (0, 1)
  index_t halvings = 8;  ///< of a step, at least 0

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(basis >= 1, "newton_krylov", "basis must be at least 1");
    require(forcing > 0 && forcing < 1, "newton_krylov",
            "forcing is " + std::to_string(forcing) + ", must be in (0, 1)");
    require(largest > 0 && largest < 1, "newton_krylov",
            "largest is " + std::to_string(largest) + ", must be in (0, 1)");
    require(halvings >= 0, "newton_krylov", "halvings must not be negative");
  }
  template <class Visit>
  void each_setting(Visit&& visit) const {
    visit(basis), visit(forcing), visit(largest), visit(halvings);
  }

  template <class Backend>
  class state;
};

/// What a run remembers, on the CPU.
template <class Backend>
class newton_krylov::state {
  static_assert(std::same_as<Backend, cpu<typename Backend::scalar>>,
                "newton_krylov runs on the CPU");

 public:
  using scalar = typename Backend::scalar;
  using matrix = typename Backend::matrix;
  static constexpr bool takes_products = true;

  state(const newton_krylov& settings, const Backend& be, index_t k, index_t columns)
      : settings_(settings),
        gmres_(settings.basis),
        z_(be.make_matrix(k, columns)),
        f_(be.make_matrix(k, columns)),
        step_(be.make_matrix(k, columns)),
        records_(static_cast<std::size_t>(columns)) {}

  /// @param spent evaluations that products stand for are added to it, by column
  template <class Map>
    requires has_jvp<Map, Backend>
  void advance(const Backend& be, Map& map, matrix& Z, matrix& F, array_view<index_t> spent,
               index_t n) {
    const auto size = static_cast<std::size_t>(n);
    std::vector<index_t> fresh;
    std::vector<double> goals(size);
    std::vector<double> squares(size);
    for (index_t j = 0; j < n; ++j) {
      if (of(j).halved > 0) continue;
      const auto at = static_cast<std::size_t>(j);
      fresh.push_back(j);
      squares[at] = static_cast<double>(detail::squared_distance(Z.col(j).data(), F.col(j).data(),
                                                                 static_cast<index_t>(Z.rows())));
      goals[at] = forcing_term(of(j), squares[at]);
      step_.col(j) = F.col(j) - Z.col(j);  // the residual, which the step replaces
    }
    // A map may throw in a product: until then nothing has changed that the step begins from.
    std::vector<index_t> products(size);
    std::vector<std::uint8_t> good(size);
    gmres_.solve(be, map, Z, step_, step_, fresh, goals, products, good);
    for_each_index(be, n, [&](index_t j) {
      const auto at = static_cast<std::size_t>(j);
      record& c = of(j);
      spent[j] += 2 * products[at];
      if (c.halved == 0) {
        c.newton = good[at] != 0;
        c.forcing = goals[at];
        c.square = squares[at];
        z_.col(j) = Z.col(j);
        f_.col(j) = F.col(j);
      }
      if (c.newton) {
        Z.col(j) = z_.col(j) + static_cast<scalar>(std::ldexp(1.0, -c.halved)) * step_.col(j);
      } else {
        Z.col(j) = f_.col(j);
        c.halved = 0;
      }
    });
  }

  /// Takes steps back that do not lower the residual enough.
  void review(const Backend& be, matrix& Z, matrix& F, array_view<scalar> residuals, index_t n) {
    for_each_index(be, n, [&](index_t j) {
      record& c = of(j);
      if (!c.newton) return;
      const double share = std::ldexp(1.0, -c.halved);
      const double enough = 1 - 1e-4 * share * (1 - c.forcing);
      const auto square = static_cast<double>(residuals[j]);
      if (is_finite(residuals[j]) && square <= enough * enough * c.square) {
        c.halved = 0;
        return;
      }
      Z.col(j) = z_.col(j);
      F.col(j) = f_.col(j);
      residuals[j] = static_cast<scalar>(c.square);
      if (++c.halved > settings_.halvings) c.newton = false;  // the next state is f(z)
    });
  }

  void move_columns(const Backend& be, array_view<const index_t> from,
                    array_view<const index_t> to) {
    const auto all = static_cast<index_t>(z_.cols());
    for (matrix* X : {&z_, &f_, &step_}) {
      basin::move_columns(be, columns(be, std::as_const(*X), 0, all), from, to,
                          columns(be, *X, 0, all));
    }
    for (index_t i = 0; i < from.size; ++i) of(to[i]) = of(from[i]);
  }
  template <class Archive>
  void archive(Archive& archive) {
    for (matrix* X : {&z_, &f_, &step_}) {
      archive.array(X->data(), static_cast<index_t>(X->size()));
    }
    archive.array(records_.data(), static_cast<index_t>(records_.size()));
  }

 private:
  struct record {
    double forcing = 0;       ///< η of the latest step; 0: there was none
    double square = 0;        ///< ‖r‖² where it began
    std::int32_t halved = 0;  ///< times that the step has been halved
    bool newton = false;      ///< the latest state is not f(z)
  };

  /// η for the next step of a column, from ‖r‖².
  [[nodiscard]] double forcing_term(const record& c, double square) const {
    double next = settings_.forcing;
    if (c.forcing > 0 && c.square > 0) {
      next = 0.9 * square / c.square;
      const double floor = 0.9 * c.forcing * c.forcing;
      if (floor > 0.1) next = std::max(next, floor);
    }
    return std::clamp(next, 1e-8, settings_.largest);
  }
  [[nodiscard]] record& of(index_t j) { return records_[static_cast<std::size_t>(j)]; }

  newton_krylov settings_;
  detail::Gmres<scalar> gmres_;
  matrix z_, f_, step_;  ///< where the latest step began, f there, and the whole step
  std::vector<record> records_;
};

}  // namespace basin
