/// @file
/// Accelerators that remember one or two states: Aitken's relaxation, Steffensen's method and
/// Chebyshev's semi-iteration.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/solver/column_accelerator.hpp>

namespace basin {

/// Aitken's relaxation (Irons and Tuck 1969): z_{t+1} = z_t + ω_t r_t with
/// ω_t = -ω_{t-1} <r_{t-1}, r_t - r_{t-1}> / ‖r_t - r_{t-1}‖². For k = 1 the secant method,
/// of order 1.62; for larger k it is good where one mode is slow. |ω| is at most `largest`; a
/// state where f is not finite is taken back, and ω begins anew at 1.
///
/// Memory: 2 k numbers a column.
struct aitken {
  double largest = 1e3;  ///< bound of |ω|, at least 1

  /// @throws argument_error if the setting is out of its range
  void check() const { require(largest >= 1, "aitken", "largest must be at least 1"); }
  template <class Visit>
  void each_setting(Visit&& visit) const {
    visit(largest);
  }

  template <class Scalar>
  struct record {
    bool started = false;
    Scalar factor = 1;  ///< ω
  };
  [[nodiscard]] index_t memory(index_t k) const { return 2 * k; }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void advance(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                 Scalar* f, index_t k) const {
    Scalar* const last_r = memory;
    Scalar* const last_z = memory + k;
    if (c.started) {
      Scalar sums[2] = {0, 0};
      lanes.sum(k, sums, [&](index_t i, Scalar* s) {
        const Scalar change = (f[i] - z[i]) - last_r[i];
        s[0] += last_r[i] * change;
        s[1] += change * change;
      });
      const Scalar along = sums[0];
      const Scalar square = sums[1];
      const auto most = static_cast<Scalar>(largest);
      const Scalar factor = square > 0 ? -c.factor * along / square : Scalar(1);
      // Of a vanishing ω nothing would be left.
      c.factor = std::abs(factor) * most >= 1 ? std::clamp(factor, -most, most) : Scalar(1);
    }
    c.started = true;
    lanes.each(k, [&](index_t i) {
      const Scalar r = f[i] - z[i];
      last_r[i] = r;
      last_z[i] = z[i];
      z[i] += c.factor * r;
    });
  }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE bool review(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                Scalar* f, index_t k, Scalar residual) const {
    if (is_finite(residual) || !c.started || c.factor == Scalar(1)) return false;
    lanes.each(k, [&](index_t i) {
      z[i] = memory[k + i];
      f[i] = z[i] + memory[i];
    });
    c = {};
    return true;
  }
};

/// Steffensen's method (1933): from z, f(z) and f(f(z)) every entry moves to
/// z - (f(z) - z)² / (f(f(z)) - 2 f(z) + z). Of second order, and meant, for k = 1; for larger
/// k it is right where the entries do not interact. An entry whose denominator vanishes, or
/// which would move by more than `reach` times its last two steps, takes f(f(z)).
///
/// Memory: 3 k numbers a column. Two evaluations a cycle.
struct steffensen {
  double reach = 1e6;  ///< at least 1

  /// @throws argument_error if the setting is out of its range
  void check() const { require(reach >= 1, "steffensen", "reach must be at least 1"); }
  template <class Visit>
  void each_setting(Visit&& visit) const {
    visit(reach);
  }

  template <class Scalar>
  struct record {
    bool middle = false;  ///< f(z) is the present state
    bool leapt = false;
  };
  [[nodiscard]] index_t memory(index_t k) const { return 3 * k; }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void advance(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                 Scalar* f, index_t k) const {
    Scalar* const first = memory;
    Scalar* const last_z = memory + k;
    Scalar* const last_f = memory + 2 * k;
    c.leapt = c.middle;
    if (!c.middle) {
      lanes.copy(z, k, first);
      lanes.copy(f, k, z);
    } else {
      lanes.copy(z, k, last_z);
      lanes.copy(f, k, last_f);
      lanes.each(k, [&](index_t i) {
        const Scalar step = z[i] - first[i];
        const Scalar bend = (f[i] - z[i]) - step;
        const Scalar move = -step * step / bend;
        const Scalar most = static_cast<Scalar>(reach) * (std::abs(step) + std::abs(f[i] - z[i]));
        z[i] = bend != 0 && std::abs(move) <= most ? first[i] + move : f[i];
      });
    }
    c.middle = !c.middle;
  }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE bool review(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                Scalar* f, index_t k, Scalar residual) const {
    if (is_finite(residual) || !c.leapt) return false;
    // f(f(z)) is taken: the state before with its value, which begins a cycle.
    lanes.copy(memory + k, k, z);
    lanes.copy(memory + 2 * k, k, f);
    c = {};
    return true;
  }
};

/// Chebyshev's semi-iteration (Golub and Varga 1961) for maps whose Jacobian has a real
/// spectrum in [least, most], most < 1:
/// z_{t+1} = ω_t (z_t + γ r_t - z_{t-1}) + z_{t-1}, γ = 2 / (2 - least - most). For a
/// symmetric Jacobian the error falls by the rate of conjugate gradients' bound. Outside the
/// interval it diverges: the caller answers for it.
///
/// Memory: k numbers a column.
struct chebyshev {
  double least = -0.99;
  double most = 0.99;

  /// @throws argument_error unless least < most < 1
  void check() const {
    require(least < most && most < 1, "chebyshev",
            "the interval is [" + std::to_string(least) + ", " + std::to_string(most) +
                "], must have least < most < 1");
  }
  template <class Visit>
  void each_setting(Visit&& visit) const {
    visit(least), visit(most);
  }

  template <class Scalar>
  struct record {
    std::int32_t steps = 0;
    Scalar factor = 1;  ///< ω
  };
  [[nodiscard]] index_t memory(index_t k) const { return k; }

  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void advance(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                 Scalar* f, index_t k) const {
    const auto gamma = static_cast<Scalar>(2 / (2 - least - most));
    const double sigma = (most - least) / (2 - least - most);
    if (c.steps == 1) {
      c.factor = static_cast<Scalar>(2 / (2 - sigma * sigma));
    } else if (c.steps > 1) {
      c.factor = static_cast<Scalar>(1 / (1 - sigma * sigma * static_cast<double>(c.factor) / 4));
    }
    lanes.each(k, [&](index_t i) {
      const Scalar last = c.steps > 0 ? memory[i] : z[i];
      memory[i] = z[i];
      z[i] = last + c.factor * (z[i] + gamma * (f[i] - z[i]) - last);
    });
    c.steps = std::min(c.steps + 1, 2);
  }
};

}  // namespace basin
