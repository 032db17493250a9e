/// @file
/// Orthogonal matching pursuit by the Gram matrix of a dictionary.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/cpu/context.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/sparse/inverse_cholesky.hpp>
#include <basin/sparse/lagging_correlations.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin {
namespace detail {

/// Below this height a new atom is so near to the span of the others that coefficients by
/// rounded inner products lose digits.
inline constexpr double steep = 0.3;

/// What ends a target's pursuit.
struct pursuit_end {
  index_t atoms = 0;
  double residual_square = 0;  ///< 0: not by the residual
};

/// One target at a time, over memory that is kept.
/// @tparam Real of the factor and the coefficients
template <class Scalar, class Real>
class GramPursuit {
 public:
  GramPursuit(index_t d, index_t most, bool lagging)
      : correlations_(d, most, lagging), factor_(most), coefficients_(room(most)) {
    squares_.reserve(room(most) + 1);
  }

  /// @param b inner products of the atoms with x
  /// @param square ‖x‖^2, positive
  /// @param target what else is known of x:
  ///   square(support, coefficients), ‖x - A γ‖^2, asked for at the end, and before it where the
  ///   difference of ‖x‖^2 and what was explained is lost in rounding, and matters;
  ///   products(atom, support, out, own), in double the inner products of an atom with a support
  ///   and with itself, and the one with x as its answer; or nothing, if atoms are not known
  /// @param careful asks for those products
  /// @return nothing if that does not suffice: without care where an atom is near to the span of
  ///   others, with care where correlations by the Gram matrix are rounding
  template <class Target>
  [[nodiscard]] std::optional<pursuit_status> run(const Eigen::Ref<const Eigen::MatrixX<Scalar>>& G,
                                                  const Scalar* b, double square,
                                                  const pursuit_end& end, const Target& target,
                                                  bool careful, std::vector<Scalar>* path) {
    const auto ended = pursue(G, b, square, end, target, careful, path);
    if (!ended) return {};
    if (!exact_) {
      squares_.back() = std::max(0.0, target.square(support(), coefficients()));
    }
    // Differences, and coefficients that round less, may have come to less than is left at the end.
    for (std::size_t s = squares_.size() - 1; s-- > 0;) {
      squares_[s] = std::max(squares_[s], squares_[s + 1]);
    }
    return ended;
  }

  [[nodiscard]] const std::vector<index_t>& support() const { return correlations_.support(); }
  [[nodiscard]] const Real* coefficients() const { return coefficients_.data(); }
  /// ‖x - A γ‖^2 with 0, 1, ... atoms.
  [[nodiscard]] const std::vector<double>& squares() const { return squares_; }

 private:
  [[nodiscard]] static std::size_t room(index_t n) { return static_cast<std::size_t>(n); }

  template <class Target>
  [[nodiscard]] std::optional<pursuit_status> pursue(
      const Eigen::Ref<const Eigen::MatrixX<Scalar>>& G, const Scalar* b, double square,
      const pursuit_end& end, const Target& target, bool careful, std::vector<Scalar>* path) {
    correlations_.start(G, b);
    factor_.clear();
    squares_.assign(1, square);
    exact_ = true;
    if (path != nullptr) path->clear();
    double left = square, sum = 0;
    const double norm = std::sqrt(square);
    constexpr double rounding = std::numeric_limits<Scalar>::epsilon();
    // The square of a height is known to an eps of the inner products.
    auto least = static_cast<Real>(std::sqrt(rounding));
    while (true) {
      const index_t t = factor_.size();
      if (end.residual_square > 0 && squares_.back() <= end.residual_square) {
        return pursuit_status::residual;
      }
      if (t == end.atoms) return pursuit_status::atoms;
      atom_choice<Real> next = correlations_.best();
      if (next.atom < 0) return pursuit_status::explained;
      const Scalar* const column = correlations_.column(next.atom);
      const std::vector<index_t>& support = correlations_.support();
      for (index_t i = 0; i < t; ++i) {
        factor_.products()[i] = static_cast<Real>(column[support[static_cast<std::size_t>(i)]]);
      }
      Real own = column[next.atom];
      if constexpr (std::is_same_v<Real, double>) {
        const std::optional<double> with_target =
            careful ? target.products(next.atom, support, factor_.products(), own) : std::nullopt;
        if (with_target) {
          next.correlation = *with_target;
          for (index_t i = 0; i < t; ++i) {
            next.correlation -= factor_.products()[i] * coefficients_[room(i)];
          }
          // Large coefficients that cancel.
          if (100 * rounding * (norm + sum) > std::abs(next.correlation)) return {};
          least = Real(1e-7);
        }
      }
      if (std::abs(static_cast<double>(next.correlation)) <= rounding * (norm + sum)) {
        return pursuit_status::explained;
      }
      const Real height = factor_.add(own, least);
      if (!careful && static_cast<double>(height) < steep) return {};
      if (!(height > least)) return pursuit_status::dependent;
      const Real along = next.correlation / height;
      const Real* const row = factor_.row(t);
      coefficients_[room(t)] = 0;
      sum = 0;
      for (index_t i = 0; i <= t; ++i) {
        coefficients_[room(i)] += along * row[i];
        sum += std::abs(static_cast<double>(coefficients_[room(i)]));
      }
      correlations_.join(next.atom, coefficients_.data());
      left -= static_cast<double>(along) * static_cast<double>(along);
      // Relative to ‖x‖^2, so much of the difference is rounding.
      const double lost = 4 * rounding * static_cast<double>(t + 1) * square;
      const bool near = left <= end.residual_square * (1 + 1e-3) + lost || left < 1e-2 * square;
      const bool asked = end.residual_square > 0 || path != nullptr;
      exact_ = near && asked;
      squares_.push_back(std::max(0.0, exact_ ? target.square(support, coefficients()) : left));
      if (path != nullptr) {
        for (index_t i = 0; i <= t; ++i) {
          path->push_back(static_cast<Scalar>(coefficients_[room(i)]));
        }
      }
    }
  }

  LaggingCorrelations<Scalar, Real> correlations_;
  InverseCholesky<Real> factor_;
  std::vector<Real> coefficients_;
  std::vector<double> squares_;
  bool exact_ = true;  ///< whether the last square is the target's own, and no difference
};

}  // namespace detail
}  // namespace basin
