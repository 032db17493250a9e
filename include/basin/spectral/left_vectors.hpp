/// @file
/// Left eigenvectors beside right ones: which belong together, and what either side has missed.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <vector>

#include <Eigen/Core>
#include <Eigen/LU>

#include <basin/core/index.hpp>
#include <basin/spectral/eigenvalue_error.hpp>
#include <basin/spectral/eigenvalue_options.hpp>
#include <basin/spectral/spectrum.hpp>

namespace basin::detail {

/// Values within this times ‖J‖ may be one multiple value, whose vectors any mixing leaves vectors.
inline constexpr double multiple_value = 1e-6;

/// Makes yᵢᴴ xⱼ = 0 for i ≠ j also where values are equal, and sets the condition numbers of those:
/// L becomes L (Rᴴ L)⁻¹ within each group of values that lie within `near`, of norm 1 again. A
/// group that lacks vectors, as a defective value does, stays as it is, and so do unknown vectors.
inline void make_dual(const Eigen::VectorXcd& values, double near, const Eigen::MatrixXcd& right,
                      Eigen::MatrixXcd& left, Eigen::VectorXd& condition) {
  const index_t m = values.size();
  std::vector<bool> seen(static_cast<std::size_t>(m));
  for (index_t i = 0; i < m; ++i) {
    seen[static_cast<std::size_t>(i)] = left.col(i).hasNaN() || right.col(i).hasNaN();
  }
  for (index_t i = 0; i < m; ++i) {
    std::vector<index_t> group;
    for (index_t l = i; l < m; ++l) {
      if (seen[static_cast<std::size_t>(l)] || std::abs(values[l] - values[i]) > near) continue;
      seen[static_cast<std::size_t>(l)] = true;
      group.push_back(l);
    }
    const auto p = static_cast<index_t>(group.size());
    if (p < 2) continue;
    Eigen::MatrixXcd R(right.rows(), p), L(left.rows(), p);
    for (index_t c = 0; c < p; ++c) {
      R.col(c) = right.col(group[static_cast<std::size_t>(c)]);
      L.col(c) = left.col(group[static_cast<std::size_t>(c)]);
    }
    const Eigen::FullPivLU<Eigen::MatrixXcd> overlap(R.adjoint() * L);
    const double least = std::abs(overlap.matrixLU()(p - 1, p - 1));
    if (!(least > ill_conditioned_cosine)) continue;
    L = (L * overlap.inverse()).eval();
    for (index_t c = 0; c < p; ++c) {
      const index_t at = group[static_cast<std::size_t>(c)];
      condition[at] = L.col(c).norm();
      left.col(at) = L.col(c) / condition[at];
    }
  }
}

/// Makes the vectors of values that are equal but for rounding orthonormal, where they are well
/// apart: then the condition numbers are those of the multiple value and not of a basis.
inline void orthonormalise_multiple(const Eigen::VectorXcd& values, double near,
                                    Eigen::MatrixXcd& right) {
  for (index_t i = 1; i < values.size(); ++i) {
    Eigen::VectorXcd x = right.col(i);
    for (int pass = 0; pass < 2; ++pass) {
      for (index_t l = 0; l < i; ++l) {
        if (std::abs(values[l] - values[i]) <= near) x -= right.col(l) * right.col(l).dot(x);
      }
    }
    if (const double rest = x.norm(); rest > 1e-3) right.col(i) = x / rest;
  }
}

/// Pairs off values of two spectra, those that are nearest to each other first.
/// @param same says of value i of `one` and l of `other` whether they may be one value
/// @return for each value of `one` its partner among those of `other`, -1 for none
template <class Same>
[[nodiscard]] std::vector<index_t> pair_off(const Spectrum& one, const Spectrum& other,
                                            const Same& same) {
  struct pair {
    double apart;
    index_t of_one, of_other;
  };
  std::vector<pair> pairs;
  for (index_t i = 0; i < one.size(); ++i) {
    for (index_t l = 0; l < other.size(); ++l) {
      pairs.push_back({std::abs(one.values[i] - other.values[l]), i, l});
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const pair& a, const pair& b) { return a.apart < b.apart; });
  std::vector<index_t> partner(static_cast<std::size_t>(one.size()), -1);
  std::vector<bool> taken(static_cast<std::size_t>(other.size()));
  for (const pair& p : pairs) {
    const auto i = static_cast<std::size_t>(p.of_one), l = static_cast<std::size_t>(p.of_other);
    if (partner[i] >= 0 || taken[l] || !same(p.of_one, p.of_other)) continue;
    partner[i] = p.of_other;
    taken[l] = true;
  }
  return partner;
}

/// Values of `other` that `one` has not, though by more than their errors they stand before its
/// last: `one` has missed them.
/// @param one ends behind the values that were asked for
[[nodiscard]] inline std::vector<index_t> missed_values(const Spectrum& one, const Spectrum& other,
                                                        const eigenvalue_options& options) {
  const auto size_of = [&](std::complex<double> value) {
    return options.order == eigenvalue_order::modulus ? std::abs(value) : value.real();
  };
  const Eigen::VectorXd errors = eigenvalue_errors(one), other_errors = eigenvalue_errors(other);
  const std::vector<index_t> partner = pair_off(one, other, [&](index_t i, index_t l) {
    // Conditions within a space are lower bounds: what is far nearer than any other is the same.
    double gap = other.size() > 1 ? one.norm : 0;
    for (index_t next = 0; next < other.size(); ++next) {
      if (next != l) gap = std::min(gap, std::abs(other.values[next] - other.values[l]));
    }
    const double apart = std::abs(one.values[i] - other.values[l]);
    return apart <= std::max(errors[i] + other_errors[l], 0.02 * gap);
  });
  double last = std::numeric_limits<double>::infinity();
  for (index_t i = 0; i < one.size(); ++i) {
    last = std::min(last, size_of(one.values[i]) + errors[i]);
  }
  std::vector<index_t> missed;
  for (index_t l = 0; l < other.size(); ++l) {
    if (std::find(partner.begin(), partner.end(), l) != partner.end()) continue;
    if (size_of(other.values[l]) - other_errors[l] > last) missed.push_back(l);
  }
  return missed;
}

/// Adds to `right` the values that it has missed and `transpose` has, with right vectors that are
/// not known, and keeps those that lead.
inline void add_missed(Spectrum& right, const Spectrum& transpose,
                       const eigenvalue_options& options) {
  const std::vector<index_t> missed = missed_values(right, transpose, options);
  if (missed.empty()) return;
  // The errors are relative to the norm, of which each side has a lower bound.
  const double norm = std::max(right.norm, transpose.norm);
  right.backward_error *= right.norm / norm;
  right.norm = norm;
  Spectrum all = right;
  const index_t m = right.size();
  const index_t n = m + static_cast<index_t>(missed.size());
  all.values.conservativeResize(n);
  all.backward_error.conservativeResize(n);
  all.condition.conservativeResize(n);
  all.right.conservativeResize(right.right.rows(), n);
  for (index_t i = m; i < n; ++i) {
    const index_t from = missed[static_cast<std::size_t>(i - m)];
    all.values[i] = transpose.values[from];
    all.backward_error[i] = transpose.backward_error[from] * transpose.norm / norm;
    all.condition[i] = transpose.condition[from];
    all.right.col(i).setConstant(std::numeric_limits<double>::quiet_NaN());
  }
  // Conjugates are neighbours, as they were in either.
  std::vector<index_t> order;
  for (index_t i = 0; i < n; ++i) {
    if (!(all.values[i].imag() < 0)) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](index_t a, index_t b) {
    return options.before(all.values[a], all.values[b]);
  });
  std::vector<index_t> leading;
  for (const index_t i : order) {
    if (static_cast<index_t>(leading.size()) >= options.count) break;
    leading.push_back(i);
    if (all.values[i].imag() > 0 && i + 1 < n) leading.push_back(i + 1);
  }
  const auto kept = static_cast<index_t>(leading.size());
  right.values.resize(kept);
  right.backward_error.resize(kept);
  right.condition.resize(kept);
  right.right.resize(all.right.rows(), kept);
  for (index_t i = 0; i < kept; ++i) {
    const index_t from = leading[static_cast<std::size_t>(i)];
    right.values[i] = all.values[from];
    right.backward_error[i] = all.backward_error[from];
    right.condition[i] = all.condition[from];
    right.right.col(i) = all.right.col(from);
  }
}

/// Gives each value of `right` the left vector and condition number of the value of the transpose
/// that is the same, each at most once and the nearest first; NaN where none is near enough.
inline void match_left_vectors(Spectrum& right, const Spectrum& transpose) {
  right.products += transpose.products;
  right.left = Eigen::MatrixXcd::Constant(right.right.rows(), right.size(),
                                          std::numeric_limits<double>::quiet_NaN());
  const std::vector<index_t> partner = pair_off(right, transpose, [&](index_t i, index_t l) {
    // (λ - λ') yᴴ x is as small as the errors for any two values, so the pair's own condition
    // proves nothing: they are one value where they differ by what the spaces' conditions allow, or
    // by far less than either from the next.
    const double errors = right.condition[i] * right.backward_error[i] +
                          transpose.condition[l] * transpose.backward_error[l];
    double gap = right.norm;
    for (index_t next = 0; next < right.size(); ++next) {
      if (next != i) gap = std::min(gap, std::abs(right.values[next] - right.values[i]));
    }
    for (index_t next = 0; next < transpose.size(); ++next) {
      if (next != l) gap = std::min(gap, std::abs(transpose.values[next] - right.values[i]));
    }
    const double apart = std::abs(transpose.values[l] - right.values[i]);
    return apart <= std::max(10 * errors * right.norm, 0.02 * gap);
  });
  for (index_t i = 0; i < right.size(); ++i) {
    const index_t l = partner[static_cast<std::size_t>(i)];
    if (l < 0) continue;
    // Jᵀ x = λ x is x^T J = λ x^T, so yᴴ is x^T: y is the conjugate.
    right.left.col(i) = transpose.right.col(l).conjugate();
    const double condition = 1 / std::max(std::abs(right.left.col(i).dot(right.right.col(i))),
                                          std::numeric_limits<double>::min());
    if (condition <= std::numeric_limits<double>::max()) right.condition[i] = condition;
  }
  make_dual(right.values, multiple_value * right.norm, right.right, right.left, right.condition);
  if (transpose.status == spectral_status::ill_conditioned ||
      (right.status == spectral_status::converged && right.size() > 0 &&
       right.condition.maxCoeff() > 1 / ill_conditioned_cosine)) {
    right.status = spectral_status::ill_conditioned;
  }
}

}  // namespace basin::detail
