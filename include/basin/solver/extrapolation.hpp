/// @file
/// Vector extrapolation in cycles.
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

/// How the limit of a sequence is foretold from some of its members.
enum class extrapolation_method {
  reduced_rank,        ///< Kaniel and Stein 1974, Eddy 1979, Mešina 1977
  minimal_polynomial,  ///< Cabay and Jackson 1976
  vector_epsilon,      ///< Wynn 1962
};

/// Extrapolation with cycling (Sidi 2017, Vector Extrapolation Methods with Applications,
/// chapters 2, 4, 5 and 7): some true iterations from a state, then their limit is foretold and
/// the next cycle begins there. With r_i = z_{i+1} - z_i, `rre` and `mpe` give Σ γ_i z_i,
/// Σ γ_i = 1: rre with ‖Σ γ_i r_i‖ least, mpe with the last r the best combination of those
/// before; both by the QR factorisation of the r_i. `vector_epsilon` takes twice as many
/// iterates for the same number of modes. A limit that is not finite, or where the residual is
/// more than `growth` times that of the cycle's last iterate, is taken back.
///
/// Against Anderson's acceleration a cycle needs no step between true ones, so that the steps
/// of a slowly curving trajectory stay its own for most of the time.
///
/// Memory: k (window + 5) + window² numbers a column, of vector_epsilon k (2 window + 4).
template <extrapolation_method Method>
struct extrapolation {
  index_t window = 6;  ///< modes, 1 ... 32; at most k
  double growth = 1;   ///< largest growth of the residual; more than 0

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(window >= 1 && window <= 32, "extrapolation",
            "window is " + std::to_string(window) + ", must be in 1 ... 32");
    require(growth > 0, "extrapolation", "growth must be more than 0");
  }
  template <class Visit>
  void each_setting(Visit&& visit) const {
    visit(window), visit(growth);
  }

  template <class Scalar>
  struct record {
    std::int32_t count = 0;  ///< iterates of this cycle
    std::int32_t size = 0;   ///< columns of the factorisation
    bool extrapolated = false;
    Scalar residual = 0;  ///< squared, at the last iterate
  };
  [[nodiscard]] index_t memory(index_t k) const {
    return 3 * k +
           (by_qr ? detail::UpdatedQr<double>::memory(k, modes(k) + 1) : (2 * modes(k) + 1) * k);
  }

  [[nodiscard]] index_t scratch(index_t k) const {
    return by_qr ? 2 * (modes(k) + 1) : (2 * modes(k) + 1) * k;
  }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void advance(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                 Scalar* f, index_t k) const {
    Scalar* const first = memory;
    Scalar* const last_z = first + k;
    Scalar* const last_f = last_z + k;
    Scalar* const rest = last_f + k;
    c.extrapolated = false;
    if (c.count == 0) {
      c.size = 0;
      lanes.copy(z, k, first);
    }
    ++c.count;
    bool complete;
    if constexpr (by_qr) {
      const detail::UpdatedQr<Scalar, Lanes> qr(lanes, rest, k, modes(k) + 1, c.size);
      Scalar* const r = qr.q(c.size);
      lanes.each(k, [&](index_t i) { r[i] = f[i] - z[i]; });
      const bool independent = qr.append();
      complete = !independent || c.count == modes(k) + 1;
      if (complete && foretell(lanes, qr, independent, first, last_z, k)) c.extrapolated = true;
    } else {
      complete = c.count == 2 * modes(k) + 1;
      lanes.copy(z, k, rest + (c.count - 1) * k);
      if (complete && epsilon(lanes, rest, 2 * modes(k) + 1, k)) {
        lanes.copy(rest, k, last_z);
        c.extrapolated = true;
      }
    }
    if (complete) c.count = 0;
    if (c.extrapolated) {
      lanes.each(k, [&](index_t i) { std::swap(z[i], last_z[i]); });
      lanes.copy(f, k, last_f);
      c.residual = lanes.squared_distance(last_z, f, k);
    } else {
      lanes.copy(f, k, z);
    }
  }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE bool review(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                Scalar* f, index_t k, Scalar residual) const {
    if (!std::exchange(c.extrapolated, false)) return false;
    if (is_finite(residual) && residual <= static_cast<Scalar>(growth * growth) * c.residual) {
      return false;
    }
    lanes.copy(memory + k, k, z);
    lanes.copy(memory + 2 * k, k, f);
    return true;
  }

 private:
  static constexpr bool by_qr = Method != extrapolation_method::vector_epsilon;

  [[nodiscard]] BASIN_HOST_DEVICE index_t modes(index_t k) const { return std::min(window, k); }

  /// limit = z_0 + Σ_i (γ_{i+1} + ... + γ_n) r_i.
  /// @param independent whether the last r is a column of the factorisation; if not, its
  ///   coefficients by the others still stand behind the last column
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE static bool foretell(Lanes& lanes, const detail::UpdatedQr<Scalar, Lanes>& qr,
                                         bool independent, const Scalar* first, Scalar* limit,
                                         index_t k) {
    const index_t n = independent ? qr.size() - 1 : qr.size();  // of the last r
    const auto along = lanes.array(n + 1);
    const auto weight = lanes.array(n + 1);
    const bool finite =
        lanes.once([&] { return combination(qr, independent, n, along.data(), weight.data()); });
    if (!finite) return false;
    lanes.copy(first, k, limit);
    for (index_t i = 0; i < n; ++i) lanes.add_scaled(along[i], qr.q(i), limit, k);
    return true;
  }
  /// R (γ_{i+1} + ... + γ_n)_i in the place of gamma.
  /// @return whether all is finite
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE static bool combination(const detail::UpdatedQr<Scalar, Lanes>& qr,
                                            bool independent, index_t n, Scalar* gamma,
                                            Scalar* weight) {
    if (Method == extrapolation_method::reduced_rank && independent) {
      // R^T R d = (1, ..., 1), γ = d / Σ d.
      for (index_t i = 0; i <= n; ++i) {
        gamma[i] = 1;
        for (index_t j = 0; j < i; ++j) gamma[i] -= qr.r(j, i) * gamma[j];
        gamma[i] /= qr.r(i, i);
      }
      qr.solve(gamma, n + 1);
    } else {
      for (index_t i = 0; i < n; ++i) gamma[i] = -qr.r(i, n);
      qr.solve(gamma, n);
      gamma[n] = 1;
    }
    Scalar sum = 0;
    for (index_t i = 0; i <= n; ++i) sum += gamma[i];
    // What is left of γ behind i, then R times it.
    Scalar behind = 0;
    for (index_t i = n - 1; i >= 0; --i) weight[i] = behind += gamma[i + 1] / sum;
    for (index_t i = 0; i < n; ++i) {
      Scalar along = 0;
      for (index_t j = i; j < n; ++j) along += qr.r(i, j) * weight[j];
      if (!is_finite(along)) return false;
      gamma[i] = along;
    }
    return true;
  }

  /// The vector ε algorithm in place, with the inverse x / ‖x‖²: x[0 ... count-1] are the
  /// iterates; the answer takes the place of the first.
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE static bool epsilon(Lanes& lanes, Scalar* x, index_t count, index_t k) {
    const auto older = lanes.array(count * k);  // column before the present one
    lanes.each(k, [&](index_t i) {
      for (index_t j = 0; j < count; ++j) older[j * k + i] = 0;
    });
    for (index_t left = count - 1; left > 0; --left) {
      for (index_t j = 0; j < left; ++j) {
        Scalar* const here = x + j * k;
        const Scalar* const next = here + k;
        const Scalar* const before = older.data() + (j + 1) * k;
        Scalar* const kept = older.data() + j * k;
        const Scalar square = lanes.sum_of_squared_differences(here, next, k);
        if (!(square > 0) || !is_finite(square)) return false;
        lanes.each(k, [&](index_t i) {
          const Scalar value = before[i] + (next[i] - here[i]) / square;
          kept[i] = here[i];
          here[i] = value;
        });
      }
    }
    return lanes.all_finite(x, k);
  }
};

/// Reduced rank extrapolation.
using rre = extrapolation<extrapolation_method::reduced_rank>;
/// Minimal polynomial extrapolation.
using mpe = extrapolation<extrapolation_method::minimal_polynomial>;
/// The vector ε algorithm.
using vector_epsilon = extrapolation<extrapolation_method::vector_epsilon>;

}  // namespace basin
