/// @file
/// Newton's method with Krylov solves, many columns at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <basin/backend/archive.hpp>
#include <basin/backend/array_view.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
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
/// Memory: 3 k numbers a column, and for Krylov spaces at most 64 MiB, or one column's
/// (basis + 1) k numbers if that is more. Cost of a step without the map's: some 4 k m² flops for m
/// products. On a device a warp works on a column; its Hessenberg matrix stays there, in one lane.
/// Each dimension of the spaces waits for the device once, to know which columns are left, and
/// moves 32 bytes a column; the iteration besides waits once, for 16 bytes a column.
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

namespace detail {

/// What Newton's method remembers of a column beside its states.
struct newton_record {
  double forcing = 0;       ///< η of the latest step; 0: there was none
  double square = 0;        ///< ‖r‖² where it began
  std::int32_t halved = 0;  ///< times that the step has been halved
  bool newton = false;      ///< the latest state is not f(z)
};
/// The next step of a column, which is none of the record's before it is known.
struct newton_step {
  double square = 0;  ///< ‖r‖²
  bool fresh = false;
};

/// The columns of a batch and what is remembered of them.
template <class Scalar>
struct newton_columns {
  newton_record* records;
  newton_step* steps;
  double* goals;  ///< η of the next step
  index_t* products;
  std::uint8_t* good;
  Scalar *z, *f, *step;  ///< where the latest step began, f there, and the whole step
  Scalar *Z, *F;
  index_t k;

  /// Share of the step after some halvings.
  [[nodiscard]] BASIN_HOST_DEVICE static double share(std::int32_t halved) {
    double share = 1;
    for (std::int32_t i = 0; i < halved; ++i) share /= 2;
    return share;
  }
};

/// The residual and its forcing term, of columns that begin a step.
template <class Scalar>
struct begin_newton_step {
  newton_columns<Scalar> at;
  double first, largest;

  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t j) const {
    const newton_record c = at.records[j];
    const bool fresh = c.halved == 0;
    double square = 0;
    if (fresh) {
      const Scalar* const z = at.Z + j * at.k;
      const Scalar* const f = at.F + j * at.k;
      Scalar* const r = at.step + j * at.k;  // which the step replaces
      square = static_cast<double>(lanes.squared_distance(z, f, at.k));
      lanes.each(at.k, [&](index_t i) { r[i] = f[i] - z[i]; });
    }
    lanes.aside([&] {
      at.steps[j] = {square, fresh};
      at.goals[j] = forcing_term(c, square);
      at.products[j] = 0;
      at.good[j] = 0;
    });
  }

 private:
  /// η for the next step of a column, from ‖r‖².
  [[nodiscard]] BASIN_HOST_DEVICE double forcing_term(const newton_record& c, double square) const {
    double next = first;
    if (c.forcing > 0 && c.square > 0) {
      next = 0.9 * square / c.square;
      const double floor = 0.9 * c.forcing * c.forcing;
      if (floor > 0.1) next = std::max(next, floor);
    }
    return std::clamp(next, 1e-8, largest);
  }
};

/// Z = the next states.
template <class Scalar>
struct take_newton_step {
  newton_columns<Scalar> at;
  index_t* spent;

  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t j) const {
    Scalar* const from = at.z + j * at.k;
    Scalar* const value = at.f + j * at.k;
    const Scalar* const step = at.step + j * at.k;
    Scalar* const z = at.Z + j * at.k;
    lanes.aside([&] { spent[j] += 2 * at.products[j]; });
    lanes.update(at.records[j], [&](newton_record& c) {
      if (c.halved == 0) {
        c.newton = at.good[j] != 0;
        c.forcing = at.goals[j];
        c.square = at.steps[j].square;
        lanes.copy(z, at.k, from);
        lanes.copy(at.F + j * at.k, at.k, value);
      }
      if (c.newton) {
        const auto share = static_cast<Scalar>(at.share(c.halved));
        lanes.each(at.k, [&](index_t i) { z[i] = from[i] + share * step[i]; });
      } else {
        lanes.copy(value, at.k, z);
        c.halved = 0;
      }
    });
  }
};

/// Takes steps back that do not lower the residual enough.
template <class Scalar>
struct review_newton_step {
  newton_columns<Scalar> at;
  Scalar* residuals;
  index_t halvings;

  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t j) const {
    const Scalar residual = residuals[j];
    lanes.update(at.records[j], [&](newton_record& c) {
      if (!c.newton) return;
      const double enough = 1 - 1e-4 * at.share(c.halved) * (1 - c.forcing);
      const auto square = static_cast<double>(residual);
      if (is_finite(residual) && square <= enough * enough * c.square) {
        c.halved = 0;
        return;
      }
      lanes.copy(at.z + j * at.k, at.k, at.Z + j * at.k);
      lanes.copy(at.f + j * at.k, at.k, at.F + j * at.k);
      lanes.once([&] { residuals[j] = static_cast<Scalar>(c.square); });
      if (++c.halved > halvings) c.newton = false;  // the next state is f(z)
    });
  }
};

/// Record to[i] = record from[i].
struct move_newton_records {
  newton_record* records;
  const index_t* from;
  const index_t* to;
  BASIN_HOST_DEVICE void operator()(index_t i) const { records[to[i]] = records[from[i]]; }
};

}  // namespace detail

/// What a run remembers, in the backend's memory.
template <class Backend>
class newton_krylov::state {
 public:
  using scalar = typename Backend::scalar;
  using matrix = typename Backend::matrix;
  static constexpr bool takes_products = true;

  state(const newton_krylov& settings, const Backend& be, index_t k, index_t columns)
      : be_(be),
        settings_(settings),
        gmres_(be, settings.basis, k, columns),
        z_(be.make_matrix(k, columns)),
        f_(be.make_matrix(k, columns)),
        step_(be.make_matrix(k, columns)),
        records_(be.template make_buffer<detail::newton_record>(columns)),
        steps_(be.template make_buffer<detail::newton_step>(columns)),
        goals_(be.template make_buffer<double>(columns)),
        products_(be.template make_buffer<index_t>(columns)),
        good_(be.template make_buffer<std::uint8_t>(columns)),
        host_steps_(static_cast<std::size_t>(columns)) {
    fresh_.reserve(static_cast<std::size_t>(columns));
  }

  /// @param spent in the backend's memory: evaluations that products stand for are added to it, by
  ///   column
  template <class Map>
    requires has_jvp<Map, Backend>
  void advance(const Backend& be, Map& map, matrix& Z, matrix& F, array_view<index_t> spent,
               index_t n) {
    const auto at = columns_of(Z, F);
    share_out(be, n, detail::begin_newton_step<scalar>{at, settings_.forcing, settings_.largest});
    download_array(be, array_view<const detail::newton_step>(steps_).first(n),
                   array_view<detail::newton_step>(host_steps_).first(n));
    fresh_.clear();
    for (index_t j = 0; j < n; ++j) {
      if (host_steps_[static_cast<std::size_t>(j)].fresh) fresh_.push_back(j);
    }
    // A map may throw in a product: until then nothing has changed that the step begins from.
    gmres_.solve(be, map, Z, step_, step_, fresh_, array_view<const double>(goals_),
                 array_view<index_t>(products_), array_view<std::uint8_t>(good_));
    share_out(be, n, detail::take_newton_step<scalar>{at, spent.data});
  }

  /// Takes steps back that do not lower the residual enough.
  void review(const Backend& be, matrix& Z, matrix& F, array_view<scalar> residuals, index_t n) {
    share_out(
        be, n,
        detail::review_newton_step<scalar>{columns_of(Z, F), residuals.data, settings_.halvings});
  }

  void move_columns(const Backend& be, array_view<const index_t> from,
                    array_view<const index_t> to) {
    const auto all = static_cast<index_t>(z_.cols());
    for (matrix* X : {&z_, &f_, &step_}) {
      basin::move_columns(be, columns(be, std::as_const(*X), 0, all), from, to,
                          columns(be, *X, 0, all));
    }
    for_each_index(be, from.size,
                   detail::move_newton_records{raw_address(records_.data()), from.data, to.data});
  }
  template <class Archive>
  void archive(Archive& archive) {
    for (matrix* X : {&z_, &f_, &step_}) {
      detail::archive_matrix(be_, archive, *X, static_cast<index_t>(X->cols()));
    }
    detail::archive_array(be_, archive, array_view<detail::newton_record>(records_));
  }

 private:
  [[nodiscard]] detail::newton_columns<scalar> columns_of(matrix& Z, matrix& F) {
    return {
        raw_address(records_.data()),  raw_address(steps_.data()),    raw_address(goals_.data()),
        raw_address(products_.data()), raw_address(good_.data()),     raw_address(z_.data()),
        raw_address(f_.data()),        raw_address(step_.data()),     raw_address(Z.data()),
        raw_address(F.data()),         static_cast<index_t>(Z.rows())};
  }
  template <class Work>
  void share_out(const Backend& be, index_t n, const Work& work) const {
    for_each_in_lanes(be, n, work, 0, array_view<scalar>(),
                      std::max<index_t>(1, 4096 / (static_cast<index_t>(z_.rows()) + 16)));
  }

  Backend be_;
  newton_krylov settings_;
  detail::Gmres<Backend> gmres_;
  matrix z_, f_, step_;
  typename Backend::template buffer<detail::newton_record> records_;
  typename Backend::template buffer<detail::newton_step> steps_;
  typename Backend::template buffer<double> goals_;
  typename Backend::template buffer<index_t> products_;
  typename Backend::template buffer<std::uint8_t> good_;
  std::vector<detail::newton_step> host_steps_;
  std::vector<index_t> fresh_;
};

}  // namespace basin
