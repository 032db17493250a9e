/// @file
/// Sparse representations with coefficients that are not negative.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Cholesky>
#include <Eigen/Core>

#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/sparse/dictionary.hpp>
#include <basin/sparse/direct_pursuit.hpp>
#include <basin/sparse/orthogonal_matching_pursuit.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin {
namespace detail {

/// Least squares on a support under coefficients that are not negative, by taking in one atom after
/// the other (Lawson and Hanson 1974, chapter 23). Inner products in double.
template <class Scalar>
class NonNegativeTarget {
 public:
  NonNegativeTarget(const Eigen::Ref<const Eigen::MatrixX<Scalar>>& A,
                    const Eigen::Ref<const Eigen::VectorX<Scalar>>& x)
      : A_(A), x_(x), residual_(x.template cast<double>()) {}

  /// Takes in an atom, and lets go of those whose coefficient becomes zero: of the newcomer at once
  /// where its correlation was rounding.
  /// @return false if the atom is a combination of the others, within rounding: nothing has changed
  [[nodiscard]] bool take(index_t atom) {
    if (!exchange(atom)) return false;
    residual_of<Scalar>(A_, x_, support_, coefficients_.data(), residual_);
    return true;
  }

  [[nodiscard]] const std::vector<index_t>& support() const noexcept { return support_; }
  [[nodiscard]] const Eigen::VectorXd& coefficients() const noexcept { return coefficients_; }
  [[nodiscard]] const Eigen::VectorXd& residual() const noexcept { return residual_; }

 private:
  [[nodiscard]] bool exchange(index_t atom) {
    const auto t = static_cast<Eigen::Index>(support_.size());
    const auto column = A_.col(atom).template cast<double>();
    gram_.conservativeResize(t + 1, t + 1);
    products_.conservativeResize(t + 1);
    coefficients_.conservativeResize(t + 1);
    for (Eigen::Index i = 0; i < t; ++i) {
      gram_(i, t) = gram_(t, i) =
          A_.col(support_[static_cast<std::size_t>(i)]).template cast<double>().dot(column);
    }
    gram_(t, t) = column.squaredNorm();
    products_[t] = column.dot(x_.template cast<double>());
    coefficients_[t] = 0;
    support_.push_back(atom);
    Eigen::LLT<Eigen::MatrixXd> factor(gram_);
    if (factor.info() != Eigen::Success ||
        factor.matrixLLT().diagonal().cwiseAbs().minCoeff() < 1e-7) {
      drop(t);
      return false;
    }
    while (!support_.empty()) {
      const Eigen::VectorXd best = factor.solve(products_);
      if (best.minCoeff() > 0) {
        coefficients_ = best;
        break;
      }
      // As far towards the best as all stay feasible; those that come to zero leave, one at least.
      double reach = std::numeric_limits<double>::infinity();
      Eigen::Index first = 0;
      for (Eigen::Index i = 0; i < best.size(); ++i) {
        const double from = coefficients_[i];
        const double to_zero = from > 0 ? from / (from - best[i]) : 0;
        if (best[i] > 0 || to_zero >= reach) continue;
        reach = to_zero;
        first = i;
      }
      coefficients_ += reach * (best - coefficients_);
      coefficients_[first] = 0;
      const double rounding = 1e-15 * coefficients_.cwiseAbs().maxCoeff();
      for (Eigen::Index i = best.size() - 1; i >= 0; --i) {
        if (best[i] <= 0 && coefficients_[i] <= rounding) drop(i);
      }
      factor.compute(gram_);  // of fewer of the same columns: as well conditioned
    }
    return true;
  }

  void drop(Eigen::Index i) {
    const Eigen::Index last = gram_.rows() - 1, behind = last - i;
    gram_.block(i, 0, behind, gram_.cols()) = gram_.bottomRows(behind).eval();
    gram_.block(0, i, gram_.rows(), behind) = gram_.rightCols(behind).eval();
    products_.segment(i, behind) = products_.tail(behind).eval();
    coefficients_.segment(i, behind) = coefficients_.tail(behind).eval();
    gram_.conservativeResize(last, last);
    products_.conservativeResize(last);
    coefficients_.conservativeResize(last);
    support_.erase(support_.begin() + i);
  }

  Eigen::Ref<const Eigen::MatrixX<Scalar>> A_;
  Eigen::Ref<const Eigen::VectorX<Scalar>> x_;
  Eigen::VectorXd residual_, products_, coefficients_;
  Eigen::MatrixXd gram_;
  std::vector<index_t> support_;
};

}  // namespace detail

/// Orthogonal matching pursuit with coefficients >= 0: the atom of greatest positive correlation
/// joins, least squares is solved under the bound, and atoms whose coefficient becomes zero leave
/// again (Bruckstein, Elad and Zibulevsky, "On the uniqueness of nonnegative sparse solutions",
/// 2008; Lawson and Hanson 1974). Without a limit of atoms it ends at the solution of non-negative
/// least squares, with status `explained`. `residuals` are the least that were met with so many
/// atoms or fewer; a path is not kept.
/// @param targets n × N, in host memory
/// @throws size_error unless the targets have as many rows as the atoms; argument_error if a
///   setting is out of its range, none ends the pursuit, or a path or the form by a Gram matrix is
///   asked for
/// Cost: per round and target 2 n d flops, n |I| and |I|^3 / 3; threads over targets.
///
/// @code
/// #include <iostream>
///
/// #include <basin/sparse/non_negative_pursuit.hpp>
///
/// int main() {
///   const basin::cpu<double> cpu;
///   const Eigen::MatrixXd columns = Eigen::MatrixXd::Random(20, 30).cwiseAbs();
///   const auto dictionary = basin::make_dictionary<double>(columns);
///   const Eigen::MatrixXd targets = columns.col(3) + 2 * columns.col(8);
///   const auto codes = basin::non_negative_pursuit(cpu, dictionary, targets, {.residual = 1e-9});
///   std::cout << codes.count[0] << " atoms, " << codes.residual[0] << " left\n";
/// }
/// @endcode
template <std::floating_point Scalar>
[[nodiscard]] SparseCodes<Scalar> non_negative_pursuit(
    const cpu<Scalar>& be, const Dictionary<Scalar>& dictionary,
    const std::type_identity_t<Eigen::Ref<const Eigen::MatrixX<Scalar>>>& targets,
    const pursuit_options& options) {
  constexpr const char* where = "non_negative_pursuit";
  options.check(where);
  require(!options.path, where, "atoms may leave again: no path is kept");
  require(options.form != pursuit_form::gram, where, "there is no form by a Gram matrix");
  require_size(where, "number of rows of the targets", targets.rows(), dictionary.rows());
  const Eigen::Ref<const Eigen::MatrixX<Scalar>> A(dictionary.atoms);
  const index_t at_most = std::min(dictionary.size(), dictionary.rows());
  const index_t most = options.atoms > 0 ? std::min(options.atoms, at_most) : at_most;
  auto codes = detail::make_codes<Scalar>(most, targets.cols(), false);
  const std::vector<double> square = detail::target_squares<Scalar>(targets);
  be.pool().run(targets.cols(), [&](index_t j) {
    const auto at = static_cast<std::size_t>(j);
    if (detail::write_trivial(codes, j, square[at])) return;
    const auto end = detail::end_of(options, most, square[at]);
    detail::NonNegativeTarget<Scalar> target(A, targets.col(j));
    pursuit_status ended = pursuit_status::atoms;
    double left = square[at];
    std::vector<double> squares(1, left);
    // It ends, since every round lessens the residual.
    while (true) {
      if (end.residual_square > 0 && left <= end.residual_square) {
        ended = pursuit_status::residual;
        break;
      }
      if (static_cast<index_t>(target.support().size()) == most) break;
      Eigen::VectorX<Scalar> correlations =
          A.transpose() * target.residual().template cast<Scalar>();
      for (const index_t i : target.support()) correlations[i] = 0;
      Eigen::Index atom = 0;
      if (!(static_cast<double>(correlations.maxCoeff(&atom)) >
            4 * std::numeric_limits<Scalar>::epsilon() * std::sqrt(square[at]))) {
        ended = pursuit_status::explained;
        break;
      }
      if (!target.take(atom)) {
        ended = pursuit_status::dependent;
        break;
      }
      const double before = std::exchange(left, target.residual().squaredNorm());
      const std::size_t count = target.support().size();
      if (count >= squares.size()) squares.resize(count + 1, squares.back());
      squares[count] = std::min(squares[count], left);
      // The newcomer left at once: its correlation was rounding.
      if (!(left < before)) {
        ended = pursuit_status::explained;
        break;
      }
    }
    squares.resize(target.support().size() + 1, squares.back());
    std::partial_sum(squares.begin(), squares.end(), squares.begin(),
                     [](double x, double y) { return std::min(x, y); });
    detail::write_code(codes, j, ended, target.support(), target.coefficients().data(), squares);
  });
  return codes;
}

}  // namespace basin
