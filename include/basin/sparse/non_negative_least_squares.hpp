/// @file
/// Least squares on a support under coefficients that are not negative, in the lanes of a target.
#pragma once

#include <cmath>
#include <limits>

#include <basin/backend/cpu/lanes.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/sparse/lane_codes.hpp>

namespace basin::detail {

/// Takes in one atom after the other (Lawson and Hanson 1974, chapter 23); all but the atoms and
/// the targets in double.
///
/// Inner products of atoms lie in slots, which atoms keep for as long as they are in the support:
/// those of an order are gathered, and nothing moves when atoms leave. The factor U of U'U = G_I
/// grows by a column; where atoms leave, it is made anew from the first of them on.
///
/// Cost: a newcomer takes 2 n (t + 2) flops for its products, t^2 for the factor and t^2 for the
/// coefficients of t atoms; atoms that leave t^3 / 3 at most.
template <class Scalar>
struct non_negative_targets {
  coded_targets<Scalar> at;
  index_t* slots;     ///< most × places: of the support in its order, then those that are free
  double* gram;       ///< triangles: inner products of atoms, by their slots
  double* factor;     ///< triangles: U, column after column
  double* products;   ///< most × places: of atoms with the target, by their slots
  double* forward;    ///< most × places: U'^-1 of those
  double* solutions;  ///< most × places: without the bound

  [[nodiscard]] BASIN_HOST_DEVICE static index_t triangle(index_t n) { return n * (n + 1) / 2; }

  /// No atoms.
  template <class Lanes>
  [[nodiscard]] BASIN_HOST_DEVICE target_code begin(Lanes& lanes, index_t place) const {
    lanes.each(at.most, [&](index_t i) { slots[place * at.most + i] = i; });
    return at.begin(lanes, place);
  }

  /// Takes in an atom, and lets go of those whose coefficient becomes zero: of the newcomer at once
  /// where its correlation was rounding. The remainder and what is left follow.
  /// @return false if the atom is a combination of the others, within rounding: nothing has changed
  template <class Lanes>
  [[nodiscard]] BASIN_HOST_DEVICE bool take(Lanes& lanes, index_t place, target_code& c,
                                            index_t atom) const {
    if (!join(lanes, place, c.count, atom)) return false;
    index_t count = c.count + 1;
    while (count > 0) {
      const departure left = approach(lanes, place, count);
      if (left.first == count) break;
      count = left.count;
      for (index_t i = left.first; i < count; ++i) (void)extend(lanes, place, i);
    }
    c.count = count;
    c.left = take_remainder(lanes, place, count);
    return true;
  }

 private:
  /// Those that leave.
  struct departure {
    index_t first;  ///< place in the order; as many as there were: none
    index_t count;  ///< of those that stay
  };

  [[nodiscard]] BASIN_HOST_DEVICE double& gram_at(index_t place, index_t a, index_t b) const {
    const index_t low = a < b ? a : b, high = a < b ? b : a;
    return gram[place * triangle(at.most) + triangle(high) + low];
  }
  [[nodiscard]] BASIN_HOST_DEVICE double* column(index_t place, index_t i) const {
    return factor + place * triangle(at.most) + triangle(i);
  }

  /// The atom becomes number t of the support, with coefficient 0.
  template <class Lanes>
  [[nodiscard]] BASIN_HOST_DEVICE bool join(Lanes& lanes, index_t place, index_t t,
                                            index_t atom) const {
    const index_t* const support = at.support + place * at.most;
    const index_t* const slot = slots + place * at.most;
    const Scalar* const a = at.atom(atom);
    const Scalar* const x = at.target(place);
    const index_t own = slot[t];
    for (index_t i = 0; i < t; ++i) {
      const double product = lanes.dot_in_double(at.atom(support[i]), a, at.n);
      lanes.once([&] { gram_at(place, slot[i], own) = product; });
    }
    const double square = lanes.dot_in_double(a, a, at.n);
    const double product = lanes.dot_in_double(a, x, at.n);
    lanes.once([&] {
      gram_at(place, own, own) = square;
      products[place * at.most + own] = product;
    });
    if (!(extend(lanes, place, t) > 1e-7)) return false;
    lanes.once([&] {
      at.support[place * at.most + t] = atom;
      at.coefficients[place * at.most + t] = 0;
    });
    return true;
  }

  /// Column t of U, and what belongs to it of `forward`.
  /// @return the distance of atom number t from the span of those before it
  template <class Lanes>
  BASIN_HOST_DEVICE double extend(Lanes& lanes, index_t place, index_t t) const {
    const index_t* const slot = slots + place * at.most;
    double* const known = forward + place * at.most;
    double* const made = column(place, t);
    double square = gram_at(place, slot[t], slot[t]);
    for (index_t i = 0; i < t; ++i) {
      const double* const before = column(place, i);
      const double part =
          (gram_at(place, slot[i], slot[t]) - lanes.dot(before, made, i)) / before[i];
      lanes.once([&] { made[i] = part; });
      square -= part * part;
    }
    const double height = square > 0 ? std::sqrt(square) : 0;
    const double explained = lanes.dot(made, known, t);
    lanes.once([&] {
      made[t] = height;
      known[t] = (products[place * at.most + slot[t]] - explained) / height;
    });
    return height;
  }

  /// Coefficients go to those of least squares, or as far as all stay feasible.
  template <class Lanes>
  [[nodiscard]] BASIN_HOST_DEVICE departure approach(Lanes& lanes, index_t place,
                                                     index_t count) const {
    double* const best = solutions + place * at.most;
    double* const coefficient = at.coefficients + place * at.most;
    solve(lanes, place, count);
    constexpr double never = -std::numeric_limits<double>::infinity();
    // What of the way a coefficient goes to its zero, as a negative number.
    const auto nearest = lanes.greatest(count, [&](index_t i) {
      if (best[i] > 0) return never;
      const double from = coefficient[i];
      return from > 0 ? -from / (from - best[i]) : 0.0;
    });
    if (nearest.at < 0 || nearest.value == never) {
      lanes.each(count, [&](index_t i) { coefficient[i] = best[i]; });
      lanes.once([] {});
      return {count, count};
    }
    const double reach = -nearest.value;
    lanes.each(count, [&](index_t i) {
      coefficient[i] = i == nearest.at ? 0 : coefficient[i] + reach * (best[i] - coefficient[i]);
    });
    const auto size = lanes.greatest(count, [&](index_t i) { return std::abs(coefficient[i]); });
    const double rounding = 1e-15 * size.value;
    return lanes.once([&] {
      index_t* const support = at.support + place * at.most;
      index_t* const slot = slots + place * at.most;
      departure left{count, 0};
      for (index_t i = 0; i < count; ++i) {
        if (best[i] <= 0 && coefficient[i] <= rounding) {  // `nearest` at least
          if (left.first == count) left.first = i;
          continue;
        }
        const index_t to = left.count++;
        support[to] = support[i];
        coefficient[to] = coefficient[i];
        const index_t its = slot[i];
        slot[i] = slot[to];
        slot[to] = its;
      }
      return left;
    });
  }

  /// U^-1 of `forward`.
  template <class Lanes>
  BASIN_HOST_DEVICE void solve(Lanes& lanes, index_t place, index_t count) const {
    const double* const known = forward + place * at.most;
    double* const best = solutions + place * at.most;
    lanes.each(count, [&](index_t i) { best[i] = known[i]; });
    for (index_t t = count; t-- > 0;) {
      const double* const made = column(place, t);
      const double value = lanes.once([&] { return best[t] /= made[t]; });
      lanes.each(t, [&](index_t i) { best[i] -= made[i] * value; });
    }
  }

  /// @return ‖x - A γ‖^2
  template <class Lanes>
  [[nodiscard]] BASIN_HOST_DEVICE double take_remainder(Lanes& lanes, index_t place,
                                                        index_t count) const {
    const Scalar* const x = at.target(place);
    double* const left = at.remainder + place * at.n;
    lanes.each(at.n, [&](index_t r) { left[r] = static_cast<double>(x[r]); });
    for (index_t i = 0; i < count; ++i) {
      const Scalar* const a = at.atom(at.support[place * at.most + i]);
      const double by = at.coefficients[place * at.most + i];
      lanes.each(at.n, [&](index_t r) { left[r] -= by * static_cast<double>(a[r]); });
    }
    return lanes.dot(left, left, at.n);
  }
};

}  // namespace basin::detail
