/// @file
/// Codes of targets in a backend's memory, written by the lanes of each target: what pursuits that
/// are one program for every backend have in common.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <basin/backend/array_view.hpp>
#include <basin/backend/cpu/lanes.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin::detail {

/// Numbers of one target.
struct target_code {
  double norm;         ///< ‖x‖
  double limit;        ///< it ends where ‖x - A γ‖^2 is at most this; 0: not by the residual
  double left;         ///< ‖x - A γ‖^2
  index_t count;       ///< of atoms
  std::uint8_t state;  ///< a pursuit_status, or pursued
};

/// Atoms, targets and what is kept of each, as the lanes of a target see them.
template <class Scalar>
struct coded_targets {
  const Scalar* A;
  index_t between_atoms;  ///< numbers from one to the next
  const Scalar* X;
  index_t between_targets;
  index_t n, d;
  index_t most;                        ///< atoms that a target may have
  double residual, relative_residual;  ///< of pursuit_options
  target_code* code;
  index_t* support;      ///< most × places
  double* coefficients;  ///< most × places
  double* squares;       ///< (most + 1) × places: least ‖x - A γ‖^2 with 0, 1, ... atoms
  double* remainder;     ///< n × places: x - A γ

  [[nodiscard]] BASIN_HOST_DEVICE const Scalar* atom(index_t i) const {
    return A + i * between_atoms;
  }
  [[nodiscard]] BASIN_HOST_DEVICE const Scalar* target(index_t place) const {
    return X + place * between_targets;
  }

  /// A target without atoms.
  template <class Lanes>
  [[nodiscard]] BASIN_HOST_DEVICE target_code begin(Lanes& lanes, index_t place) const {
    const Scalar* const x = target(place);
    double* const left = remainder + place * n;
    lanes.each(n, [&](index_t i) { left[i] = static_cast<double>(x[i]); });
    const double norm2 = lanes.dot(left, left, n);
    double* const square = squares + place * (most + 1);
    lanes.each(most + 1, [&](index_t s) {
      square[s] = s == 0 ? norm2 : std::numeric_limits<double>::infinity();
    });
    target_code c{std::sqrt(norm2), 0, norm2, 0, pursued};
    // Beyond the scalar inner products could overflow.
    const bool finite =
        is_finite(c.left) && c.norm <= static_cast<double>(std::numeric_limits<Scalar>::max());
    const double by_norm = relative_residual * c.norm;
    const double tolerance = residual > by_norm ? residual : by_norm;
    c.limit = tolerance * tolerance;
    if (!finite) {
      c.state = static_cast<std::uint8_t>(pursuit_status::non_finite);
    } else if (c.left == 0) {
      c.state = static_cast<std::uint8_t>(pursuit_status::zero);
    } else {
      c.state = after(c);
    }
    return c;
  }

  /// Where a target stands by its residual and the number of its atoms.
  [[nodiscard]] BASIN_HOST_DEVICE std::uint8_t after(const target_code& c) const {
    if (c.limit > 0 && c.left <= c.limit)
      return static_cast<std::uint8_t>(pursuit_status::residual);
    return c.count >= most ? static_cast<std::uint8_t>(pursuit_status::atoms) : pursued;
  }
};

/// The memory of codes, for `places` targets at once.
template <class Backend>
class LaneCodes {
 public:
  using scalar = typename Backend::scalar;

  LaneCodes(const Backend& be, index_t n, index_t most, index_t places)
      : be_(be),
        n_(n),
        most_(most),
        code_(be.template make_buffer<target_code>(places)),
        support_(be.template make_buffer<index_t>(most * places)),
        coefficients_(be.template make_buffer<double>(most * places)),
        squares_(be.template make_buffer<double>((most + 1) * places)),
        remainder_(be.template make_buffer<double>(n * places)),
        host_code_(static_cast<std::size_t>(places)) {}

  [[nodiscard]] static index_t bytes_of_target(index_t n, index_t most) {
    constexpr auto real = static_cast<index_t>(sizeof(double));
    return (n + 2 * most + 1) * real + most * static_cast<index_t>(sizeof(index_t)) +
           static_cast<index_t>(sizeof(target_code));
  }

  /// @param A n × d and X n × places, which must outlive what is returned
  [[nodiscard]] coded_targets<scalar> of(const typename Backend::const_view& A,
                                         const typename Backend::const_view& X,
                                         const pursuit_options& options) {
    return {raw_address(A.data()),
            A.outerStride(),
            raw_address(X.data()),
            X.outerStride(),
            n_,
            A.cols(),
            most_,
            options.residual,
            options.relative_residual,
            raw_address(code_.data()),
            raw_address(support_.data()),
            raw_address(coefficients_.data()),
            raw_address(squares_.data()),
            raw_address(remainder_.data())};
  }

  /// Reads where the first targets stand: the host waits for it.
  [[nodiscard]] const std::vector<target_code>& codes(index_t places) {
    download_array(be_, array_view<const target_code>(code_).first(places),
                   array_view<target_code>(host_code_).first(places));
    return host_code_;
  }

  /// The answers of a block, which have the places `first`, ... there.
  void write(index_t places, index_t first, SparseCodes<scalar>& to) {
    const auto on_host = [&](const auto& buffer, index_t of_target) {
      using value =
          std::remove_const_t<std::remove_pointer_t<decltype(raw_address(buffer.data()))>>;
      std::vector<value> numbers(static_cast<std::size_t>(of_target * places));
      download_array(be_, array_view<const value>(buffer).first(of_target * places),
                     array_view<value>(numbers));
      return numbers;
    };
    const auto support = on_host(support_, most_);
    const auto coefficients = on_host(coefficients_, most_);
    const auto squares = on_host(squares_, most_ + 1);
    const std::vector<target_code>& code = codes(places);
    for (index_t p = 0; p < places; ++p) {
      const target_code& c = code[static_cast<std::size_t>(p)];
      const index_t j = first + p;
      const auto begin = [&](const auto& numbers, index_t of_target) {
        return numbers.begin() + static_cast<std::ptrdiff_t>(p * of_target);
      };
      const auto square = begin(squares, most_ + 1);
      if (c.state == static_cast<std::uint8_t>(pursuit_status::non_finite)) {
        (void)write_trivial(to, j, std::numeric_limits<double>::quiet_NaN());
        continue;
      }
      if (write_trivial(to, j, *square)) continue;
      std::vector<double> least(square, square + static_cast<std::ptrdiff_t>(c.count + 1));
      for (std::size_t s = 1; s < least.size(); ++s) least[s] = std::min(least[s], least[s - 1]);
      write_code(to, j, static_cast<pursuit_status>(c.state),
                 std::vector<index_t>(begin(support, most_),
                                      begin(support, most_) + static_cast<std::ptrdiff_t>(c.count)),
                 coefficients.data() + p * most_, least);
    }
  }

 private:
  Backend be_;
  index_t n_, most_;
  typename Backend::template buffer<target_code> code_;
  typename Backend::template buffer<index_t> support_;
  typename Backend::template buffer<double> coefficients_, squares_, remainder_;
  std::vector<target_code> host_code_;
};

}  // namespace basin::detail
