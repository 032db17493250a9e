/// @file
/// Correlations of all atoms with a residual, most of them known only within a bound.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/cpu/packet.hpp>
#include <basin/core/index.hpp>
#include <basin/sparse/inverse_cholesky.hpp>

namespace basin::detail {

/// An atom and its correlation with the residual.
template <class Real>
struct atom_choice {
  index_t atom = -1;  ///< -1: none has a correlation other than zero
  Real correlation = 0;
};

/// Finds the atom of greatest |α_j|, α = b - G_I γ, while atoms join the support I and all of γ
/// changes, and reads few rows of G for it: all rows of the support at every step would be
/// d |I|^2 / 2 numbers a target. The correlations lag: they are exact for coefficients γ̂, and by
/// Cauchy and Schwarz |α_j - α̂_j| <= ‖γ - γ̂‖ (Σ_{i in I} G_ij^2)^(1/2). Only atoms that may
/// exceed the best are evaluated. Those are mostly the same from step to step, so their row of
/// G_I is kept together. When evaluations have cost a share of what bringing α̂ up to date would,
/// the coefficients that lag the most are brought up to date; where the bounds let too many pass,
/// all are. Costs are counted, not timed, so that the bits do not depend on the machine's load.
///
/// The answer is that of evaluating all, ties within rounding aside; equal ones go to the lower
/// index.
/// @tparam Scalar of G, b
/// @tparam Real of the coefficients and of an evaluation's sum
template <class Scalar, class Real>
class LaggingCorrelations {
 public:
  using simd = detail::simd<Scalar>;

  /// @param d number of atoms
  /// @param most atoms that a support will have
  /// @param lagging false: α̂ is brought up to date in every step, as in plain batch pursuit
  LaggingCorrelations(index_t d, index_t most, bool lagging)
      : d_(d),
        width_((d + 2 * simd::lanes - 1) / (2 * simd::lanes) * (2 * simd::lanes)),
        lagging_(lagging),
        correlation_(static_cast<std::size_t>(width_)),
        square_(static_cast<std::size_t>(width_)),
        slot_(static_cast<std::size_t>(d)) {
    kept_stride_ = (most + 2 * simd::lanes) / (2 * simd::lanes) * (2 * simd::lanes);
    const auto room = static_cast<std::size_t>(kept_stride_);
    now_.resize(room);
    lag_.resize(room);
    difference_.resize(room);
  }

  /// Begins with a target.
  /// @param G d × d, must outlive the search
  /// @param b d inner products of the atoms with the target
  void start(const Eigen::Ref<const Eigen::MatrixX<Scalar>>& G, const Scalar* b) {
    gram_ = G.data();
    stride_ = G.outerStride();
    target_ = b;
    std::copy_n(b, d_, correlation_.begin());
    std::fill(correlation_.begin() + d_, correlation_.end(), Scalar(0));
    std::fill(square_.begin(), square_.end(), Scalar(0));
    for (const index_t atom : kept_) slot_[static_cast<std::size_t>(atom)] = 0;
    kept_.clear();
    kept_rows_.clear();
    support_.clear();
    std::fill(now_.begin(), now_.end(), Real(0));
    std::fill(lag_.begin(), lag_.end(), Real(0));
    lag_square_ = 0;
    runner_ = -1;
    pause_ = failures_ = 0;
    spent_ = 0;
  }

  /// The atom that joins next.
  [[nodiscard]] atom_choice<Real> best() {
    const std::int64_t update = d_ * static_cast<index_t>(support_.size());
    if (lag_square_ > 0 && (!lagging_ || update <= cheap || pause_ > 0)) {
      if (pause_ > 0) --pause_;
      refresh();
    }
    if (lag_square_ > 0 && spent_ * evaluations_share > update) refresh_stalest();
    if (lag_square_ > 0) {
      const atom_choice<Real> found = best_by_bounds();
      if (found.atom >= 0) {
        failures_ = 0;
        return found;
      }
      // Of atoms that are much alike too many may be the best, now and in the next steps.
      pause_ = index_t{1} << std::min<index_t>(5, failures_++);
      refresh();
    }
    const index_t j = greatest();
    if (j < 0) return {};
    const Real exact = support_.empty()
                           ? static_cast<Real>(correlation_[static_cast<std::size_t>(j)])
                           : evaluate(j);
    return {j, exact};
  }

  /// The column of an atom in G.
  [[nodiscard]] const Scalar* column(index_t atom) const { return gram_ + atom * stride_; }
  [[nodiscard]] const std::vector<index_t>& support() const noexcept { return support_; }

  /// Atom j has joined, and these are the coefficients now, its own in the last place.
  void join(index_t j, const Real* coefficients) {
    const Scalar* const column = this->column(j);
    const auto t = static_cast<index_t>(support_.size());
    for (std::size_t s = 0; s < kept_.size(); ++s) {
      kept_rows_[s * static_cast<std::size_t>(kept_stride_) + static_cast<std::size_t>(t)] =
          column[kept_[s]];
    }
    support_.push_back(j);
    std::copy_n(coefficients, t + 1, now_.begin());
    // What the newcomer takes is known at once; the others lag.
    const Real own = coefficients[t];
    lag_[static_cast<std::size_t>(t)] = own;
    add_newcomer(column, static_cast<Scalar>(own));
    lag_square_ = 0;
    for (index_t i = 0; i < t; ++i) {
      const Real x = coefficients[i] - lag_[static_cast<std::size_t>(i)];
      lag_square_ += x * x;
    }
  }

  /// Numbers of G that were read by evaluations and by bringing α̂ up to date, so far.
  [[nodiscard]] std::int64_t evaluated() const noexcept { return evaluated_; }
  [[nodiscard]] std::int64_t refreshed() const noexcept { return refreshed_; }

 private:
  /// α̂ -= γ_j G_j, and the squares of the bounds; the support stays out of the search.
  void add_newcomer(const Scalar* column, Scalar coefficient) {
    Scalar* const a = correlation_.data();
    Scalar* const s = square_.data();
    const index_t whole = d_ / simd::lanes * simd::lanes;
    for (index_t i = 0; i < whole; i += simd::lanes) {
      const auto g = simd::load(column + i);
      const auto x = simd::load(a + i) - g * coefficient;
      const auto y = simd::load(s + i) + g * g;
      std::memcpy(a + i, &x, sizeof x);
      std::memcpy(s + i, &y, sizeof y);
    }
    for (index_t i = whole; i < d_; ++i) {
      a[i] -= column[i] * coefficient;
      s[i] += column[i] * column[i];
    }
    leave_support_out();
  }

  void leave_support_out() {
    for (const index_t j : support_) {
      correlation_[static_cast<std::size_t>(j)] = 0;
      square_[static_cast<std::size_t>(j)] = 0;
    }
  }

  /// Brings α̂ up to date: d |I| multiplications, a block of atoms at a time.
  void refresh() { correct(0); }

  /// Brings α̂ up to date for the coefficients that lag the most: a third of them, as a rule, makes
  /// four fifths of the bound's square.
  void refresh_stalest() {
    correct(lag_square_ / static_cast<Real>(std::max<std::size_t>(1, support_.size() - 1)));
  }

  /// Of the coefficients whose square of γ - γ̂ is at least this.
  void correct(Real least_square) {
    stale_.clear();
    Real left = 0;
    for (std::size_t i = 0; i < support_.size(); ++i) {
      const Real difference = now_[i] - lag_[i];
      const Real square = difference * difference;
      if (square >= least_square && square > 0) {
        stale_.push_back(support_[i]);
        difference_[stale_.size() - 1] = static_cast<Scalar>(difference);
        lag_[i] = now_[i];
      } else {
        left += square;
      }
    }
    const auto t = static_cast<index_t>(stale_.size());
    constexpr index_t together = 512;
    for (index_t first = 0; first < d_; first += together) {
      const index_t count = std::min(together, d_ - first);
      index_t i = 0;
      for (; i + 4 <= t; i += 4) subtract<4>(first, count, i);
      for (; i < t; ++i) subtract<1>(first, count, i);
    }
    leave_support_out();
    refreshed_ += d_ * t;
    lag_square_ = left;
    spent_ = 0;
  }

  /// α̂ -= (γ - γ̂)_i G_i of N stale coefficients, for a block of atoms.
  template <index_t N>
  void subtract(index_t first, index_t count, index_t place) {
    Scalar* const a = correlation_.data() + first;
    const Scalar* g[N];
    Scalar x[N];
    for (index_t k = 0; k < N; ++k) {
      g[k] = column(stale_[static_cast<std::size_t>(place + k)]) + first;
      x[k] = difference_[static_cast<std::size_t>(place + k)];
    }
    index_t i = 0;
    for (; i + simd::lanes <= count; i += simd::lanes) {
      auto sum = simd::load(a + i);
      for (index_t k = 0; k < N; ++k) sum -= simd::load(g[k] + i) * x[k];
      std::memcpy(a + i, &sum, sizeof sum);
    }
    for (; i < count; ++i) {
      for (index_t k = 0; k < N; ++k) a[i] -= g[k][i] * x[k];
    }
  }

  /// The atom of greatest α̂, the lowest of equal ones; -1 if all are zero.
  [[nodiscard]] index_t greatest() const {
    const Scalar* const a = correlation_.data();
    Scalar most = 0;
    index_t at = -1;
    const auto look = [&](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) {
        const Scalar x = std::abs(a[i]);
        if (x > most) {
          most = x;
          at = i;
        }
      }
    };
    index_t first = 0;
    for (; first + block <= d_; first += block) {
      if (const_block(a + first).abs().maxCoeff() > most) look(first, first + block);
    }
    look(first, d_);
    return at;
  }

  /// α_j, from the atom's row of G_I.
  [[nodiscard]] Real evaluate(index_t j) {
    const auto t = static_cast<index_t>(support_.size());
    std::int32_t& slot = slot_[static_cast<std::size_t>(j)];
    if (slot == 0) {
      kept_.push_back(j);
      kept_rows_.resize(kept_.size() * static_cast<std::size_t>(kept_stride_));
      slot = static_cast<std::int32_t>(kept_.size());
      Scalar* const row = kept_rows_.data() + static_cast<std::size_t>(slot - 1) *
                                                  static_cast<std::size_t>(kept_stride_);
      const Scalar* const column = this->column(j);
      for (index_t i = 0; i < t; ++i) row[i] = column[support_[static_cast<std::size_t>(i)]];
      spent_ += gather_cost * t;
    }
    const Scalar* const row = kept_rows_.data() + static_cast<std::size_t>(slot - 1) *
                                                      static_cast<std::size_t>(kept_stride_);
    spent_ += t + evaluation_cost;
    evaluated_ += t;
    return static_cast<Real>(target_[j]) - dot(t, row);
  }

  [[nodiscard]] Real dot(index_t t, const Scalar* row) const {
    if constexpr (std::is_same_v<Scalar, Real>) {
      // Both are zero behind t, up to the next pair of registers.
      auto even = simd::zero(), odd = simd::zero();
      for (index_t i = 0; i < t; i += 2 * simd::lanes) {
        even += simd::load(row + i) * simd::load(now_.data() + i);
        odd += simd::load(row + i + simd::lanes) * simd::load(now_.data() + i + simd::lanes);
      }
      return lane_sum<Scalar>(even + odd);
    } else {
      Real even = 0, odd = 0;
      index_t i = 0;
      for (; i + 2 <= t; i += 2) {
        even += static_cast<Real>(row[i]) * now_[static_cast<std::size_t>(i)];
        odd += static_cast<Real>(row[i + 1]) * now_[static_cast<std::size_t>(i + 1)];
      }
      if (i < t) even += static_cast<Real>(row[i]) * now_[static_cast<std::size_t>(i)];
      return even + odd;
    }
  }

  /// The best by bounds, or none where bringing α̂ up to date is the better bargain.
  [[nodiscard]] atom_choice<Real> best_by_bounds() {
    const auto t = static_cast<index_t>(support_.size());
    const std::int64_t update = d_ * t;
    const index_t leader = greatest();
    if (leader < 0) return {};
    atom_choice<Real> best{leader, evaluate(leader)}, second;
    const auto consider = [&](index_t j) {
      const atom_choice<Real> one{j, evaluate(j)};
      const Real x = std::abs(one.correlation), most = std::abs(best.correlation);
      if (x > most || (x == most && j < best.atom)) {
        second = std::exchange(best, one);
      } else if (x > std::abs(second.correlation)) {
        second = one;
      }
    };
    // The second of the last step is often the first of this one. The support has no squares; nor
    // has an atom that is orthogonal to it, which is left to the others.
    const bool again = runner_ >= 0 && square_[static_cast<std::size_t>(runner_)] > 0;
    const index_t runner = again && runner_ != leader ? runner_ : leader;
    if (runner != leader) consider(runner);
    // For the rounding of the sums of squares, and of one step of α̂. What α̂ has gathered beyond
    // that over the steps can hide no more than a tie within rounding.
    const auto factor = static_cast<Scalar>(lag_square_ * Real(1.001));
    const Scalar margin = 16 * std::numeric_limits<Scalar>::epsilon() *
                          std::abs(correlation_[static_cast<std::size_t>(leader)]);
    const auto limit =
        static_cast<std::size_t>(std::max<std::int64_t>(4, update / (2 * (t + evaluation_cost))));
    if (!collect(static_cast<Scalar>(std::abs(best.correlation)) - margin, factor, limit))
      return {};
    for (const index_t j : candidates_) {
      if (j == leader || j == runner) continue;
      const auto at = static_cast<std::size_t>(j);
      const Scalar short_of =
          static_cast<Scalar>(std::abs(best.correlation)) - margin - std::abs(correlation_[at]);
      if (short_of > 0 && short_of * short_of > factor * square_[at]) continue;
      consider(j);
    }
    runner_ = second.atom;
    if (!(std::abs(best.correlation) > 0)) return {};
    return best;
  }

  /// Fills `candidates_` with the atoms whose bound reaches `least`; false if there are too many.
  [[nodiscard]] bool collect(Scalar least, Scalar factor, std::size_t limit) {
    candidates_.clear();
    const Scalar* const a = correlation_.data();
    const Scalar* const s = square_.data();
    const auto reaches = [&](index_t i) {
      const Scalar short_of = least - std::abs(a[i]);
      return short_of <= 0 || short_of * short_of <= factor * s[i];
    };
    index_t first = 0;
    for (; first + block <= d_; first += block) {
      // The same question in one formula, that no atom of a block is asked alone in vain.
      const auto short_of = least - const_block(a + first).abs();
      if (!((factor * const_block(s + first) - short_of * short_of.abs()).maxCoeff() >= 0))
        continue;
      for (index_t i = first; i < first + block; ++i) {
        if (reaches(i)) candidates_.push_back(i);
      }
      if (candidates_.size() > limit) return false;
    }
    for (; first < d_; ++first) {
      if (reaches(first)) candidates_.push_back(first);
    }
    return candidates_.size() <= limit;
  }

  static constexpr index_t block = 64;
  using const_block = Eigen::Map<const Eigen::Array<Scalar, block, 1>>;

  /// In multiplications: what an evaluation costs besides its sum, and what a number costs that is
  /// gathered from a column of G.
  static constexpr std::int64_t evaluation_cost = 256, gather_cost = 16;
  /// The stalest third is brought up to date when evaluations have cost this share of all of it.
  static constexpr std::int64_t evaluations_share = 16;
  /// Fewer multiplications than this are not worth a bound.
  static constexpr std::int64_t cheap = std::int64_t{1} << 15;

  index_t d_, width_, kept_stride_ = 0;
  bool lagging_;
  const Scalar* gram_ = nullptr;
  index_t stride_ = 0;
  const Scalar* target_ = nullptr;
  std::vector<Scalar> correlation_;  ///< α̂, zero for the support
  std::vector<Scalar> square_;       ///< Σ_{i in I} G_ij^2, zero for the support
  std::vector<index_t> support_, candidates_, stale_;
  std::vector<Real> now_, lag_;  ///< γ, γ̂
  std::vector<Scalar> difference_;
  std::vector<index_t> kept_;       ///< atoms whose row of G_I is kept
  std::vector<std::int32_t> slot_;  ///< of an atom: 1 + its place in kept_, or 0
  std::vector<Scalar> kept_rows_;
  Real lag_square_ = 0;
  index_t runner_ = -1;               ///< the second of the last step
  index_t pause_ = 0, failures_ = 0;  ///< steps without bounds, and failures of bounds in a row
  std::int64_t spent_ = 0, evaluated_ = 0, refreshed_ = 0;
};

}  // namespace basin::detail
