/// @file
/// Orthogonal matching pursuit: sparse representations by the greedy choice of atoms.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/sparse/dictionary.hpp>
#include <basin/sparse/direct_pursuit.hpp>
#include <basin/sparse/gram_pursuit.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin {
namespace detail {

/// When a target of this squared norm ends.
[[nodiscard]] inline pursuit_end end_of(const pursuit_options& options, index_t most,
                                        double square) {
  const double by_norm = options.relative_residual * std::sqrt(square);
  const double tolerance = std::max(options.residual, by_norm);
  return {most, tolerance * tolerance};
}

/// A target whose atoms are known: what GramPursuit asks of it.
template <class Scalar>
struct AtomTarget {
  const Eigen::MatrixX<Scalar>& A;
  Eigen::Ref<const Eigen::VectorX<Scalar>> x;

  template <class Real>
  [[nodiscard]] double square(const std::vector<index_t>& support, const Real* coefficients) const {
    scratch_scope scope;
    Eigen::Map<Eigen::VectorXd> left(scope.get<double>(x.size()), x.size());
    residual_of<Scalar>(A, x, support, coefficients, left);
    return left.squaredNorm();
  }
  [[nodiscard]] std::optional<double> products(index_t atom, const std::vector<index_t>& support,
                                               double* out, double& own) const {
    scratch_scope scope;
    Eigen::Map<Eigen::VectorXd> a(scope.get<double>(x.size()), x.size());
    a = A.col(atom).template cast<double>();
    for (std::size_t i = 0; i < support.size(); ++i) {
      out[i] = A.col(support[i]).template cast<double>().dot(a);
    }
    own = a.squaredNorm();
    return a.dot(x.template cast<double>());
  }
};

/// A target of which only inner products are known.
template <class Scalar>
struct ProductTarget {
  const Scalar* b;
  double norm_square;

  template <class Real>
  [[nodiscard]] double square(const std::vector<index_t>& support, const Real* coefficients) const {
    double explained = 0;
    for (std::size_t i = 0; i < support.size(); ++i) {
      explained += static_cast<double>(coefficients[i]) * static_cast<double>(b[support[i]]);
    }
    return norm_square - explained;
  }
  [[nodiscard]] std::optional<double> products(index_t, const std::vector<index_t>&, double*,
                                               double&) const {
    return {};
  }
};

/// Pursuits by a Gram matrix, one target after the other over memory that is kept: by the scalar's
/// inner products, and where those do not suffice in double.
template <class Scalar>
class GramTargets {
 public:
  GramTargets(const Eigen::Ref<const Eigen::MatrixX<Scalar>>& G, index_t most, bool lagging,
              const pursuit_options& options)
      : G_(G), most_(most), lagging_(lagging), options_(options) {}

  /// Answers target j.
  /// @return false if that needs products with the residual
  template <class Target>
  [[nodiscard]] bool answer(index_t j, const Scalar* b, double square, const Target& target,
                            SparseCodes<Scalar>& codes) {
    const pursuit_end end = end_of(options_, most_, square);
    std::vector<Scalar>* const path =
        options_.path ? &codes.path[static_cast<std::size_t>(j)] : nullptr;
    const auto pursue = [&](auto& pursuit, bool careful) {
      if (!pursuit) pursuit.emplace(G_.cols(), most_, lagging_);
      const auto ended = pursuit->run(G_, b, square, end, target, careful, path);
      if (!ended) return false;
      write_code(codes, j, *ended, pursuit->support(), pursuit->coefficients(), pursuit->squares());
      return true;
    };
    return pursue(quick_, false) || pursue(careful_, true);
  }

 private:
  Eigen::Ref<const Eigen::MatrixX<Scalar>> G_;
  index_t most_;
  bool lagging_;
  const pursuit_options& options_;
  std::optional<GramPursuit<Scalar, Scalar>> quick_;
  std::optional<GramPursuit<Scalar, double>> careful_;
};

/// ‖x‖^2 of every column, in double; NaN or infinite where an entry is, or where inner products
/// could overflow the scalar.
template <class Scalar>
[[nodiscard]] std::vector<double> target_squares(
    const Eigen::Ref<const Eigen::MatrixX<Scalar>>& X) {
  std::vector<double> squares(static_cast<std::size_t>(X.cols()));
  for (index_t j = 0; j < X.cols(); ++j) {
    double& square = squares[static_cast<std::size_t>(j)];
    square = X.col(j).template cast<double>().squaredNorm();
    if (std::sqrt(square) > static_cast<double>(std::numeric_limits<Scalar>::max())) {
      square = std::numeric_limits<double>::infinity();
    }
  }
  return squares;
}

/// A step of target j by its correlations; writes its answer when it has ended.
/// @return whether it goes on
template <class Scalar>
[[nodiscard]] bool step_directly(const Eigen::Ref<const Eigen::MatrixX<Scalar>>& A,
                                 const Eigen::Ref<const Eigen::VectorX<Scalar>>& x,
                                 Scalar* correlations, index_t j, const pursuit_options& options,
                                 index_t most, DirectTarget<Scalar>& target,
                                 SparseCodes<Scalar>& codes) {
  const std::size_t before = target.support.size();
  const bool goes_on =
      target.step(A, x, correlations, end_of(options, most, target.squares.front()));
  if (options.path && target.support.size() > before) {
    std::vector<Scalar>& path = codes.path[static_cast<std::size_t>(j)];
    for (const double c : target.coefficients) path.push_back(static_cast<Scalar>(c));
  }
  if (!goes_on) {
    write_code(codes, j, target.ended, target.support, target.coefficients.data(), target.squares);
  }
  return goes_on;
}

/// By the Gram matrix.
template <class Scalar>
void pursue_by_gram(const cpu<Scalar>& be, const Dictionary<Scalar>& dictionary,
                    const Eigen::Ref<const Eigen::MatrixX<Scalar>>& G,
                    const Eigen::Ref<const Eigen::MatrixX<Scalar>>& X, index_t most, bool lagging,
                    const pursuit_options& options, SparseCodes<Scalar>& codes) {
  const std::vector<double> squares = target_squares<Scalar>(X);
  const auto& A = dictionary.atoms;
  // Correlations of so many targets are held at once.
  const index_t width = std::clamp<index_t>(
      (index_t{1} << 24) / std::max<index_t>(1, dictionary.size()), 64, index_t{1} << 16);
  Eigen::MatrixX<Scalar> B;
  for (index_t first = 0; first < X.cols(); first += width) {
    const index_t count = std::min(width, X.cols() - first);
    B.resize(dictionary.size(), count);
    gemm(be, A, X.middleCols(first, count), B, {.a = transpose::yes});
    constexpr index_t together = 8;
    be.pool().run((count + together - 1) / together, [&](index_t task) {
      GramTargets<Scalar> targets(G, most, lagging, options);
      for (index_t i = task * together; i < std::min(count, (task + 1) * together); ++i) {
        const index_t j = first + i;
        const double square = squares[static_cast<std::size_t>(j)];
        if (write_trivial(codes, j, square)) continue;
        const AtomTarget<Scalar> target{A, X.col(j)};
        if (targets.answer(j, B.col(i).data(), square, target, codes)) continue;
        DirectTarget<Scalar> direct;
        direct.start(X.col(j), square, most);
        Eigen::VectorX<Scalar> correlations(A.cols());
        if (options.path) codes.path[static_cast<std::size_t>(j)].clear();
        do {
          correlations.noalias() = A.transpose() * direct.residual.template cast<Scalar>();
        } while (step_directly<Scalar>(A, X.col(j), correlations.data(), j, options, most, direct,
                                       codes));
      }
    });
  }
}

/// By products with the residuals, a block of targets at a time.
template <class Scalar>
void pursue_directly(const cpu<Scalar>& be, const Eigen::Ref<const Eigen::MatrixX<Scalar>>& A,
                     const Eigen::Ref<const Eigen::MatrixX<Scalar>>& X, index_t most,
                     const pursuit_options& options, SparseCodes<Scalar>& codes) {
  const std::vector<double> squares = target_squares<Scalar>(X);
  const index_t width =
      std::clamp<index_t>((index_t{1} << 22) / std::max<index_t>(1, A.cols()), 8, 256);
  Eigen::MatrixX<Scalar> R(A.rows(), width), C(A.cols(), width);
  std::vector<DirectTarget<Scalar>> targets(static_cast<std::size_t>(width));
  for (index_t first = 0; first < X.cols(); first += width) {
    std::vector<index_t> active;
    for (index_t j = first; j < std::min(first + width, X.cols()); ++j) {
      const double square = squares[static_cast<std::size_t>(j)];
      if (write_trivial(codes, j, square)) continue;
      auto& target = targets[static_cast<std::size_t>(j - first)];
      target.start(X.col(j), square, most);
      const double limit = end_of(options, most, square).residual_square;
      const bool short_enough = limit > 0 && square <= limit;
      if (short_enough) target.ended = pursuit_status::residual;
      if (short_enough || most == 0) {
        write_code(codes, j, target.ended, target.support, target.coefficients.data(),
                   target.squares);
        continue;
      }
      active.push_back(j);
    }
    while (!active.empty()) {
      const auto count = static_cast<index_t>(active.size());
      for (index_t i = 0; i < count; ++i) {
        const index_t j = active[static_cast<std::size_t>(i)];
        R.col(i) = targets[static_cast<std::size_t>(j - first)].residual.template cast<Scalar>();
      }
      gemm(be, A, R.leftCols(count), C.leftCols(count), {.a = transpose::yes});
      std::vector<char> goes_on(active.size());
      be.pool().run(count, [&](index_t i) {
        const index_t j = active[static_cast<std::size_t>(i)];
        goes_on[static_cast<std::size_t>(i)] =
            step_directly<Scalar>(A, X.col(j), C.col(i).data(), j, options, most,
                                  targets[static_cast<std::size_t>(j - first)], codes);
      });
      std::size_t kept = 0;
      for (std::size_t i = 0; i < active.size(); ++i) {
        if (goes_on[i] != 0) active[kept++] = active[i];
      }
      active.resize(kept);
    }
  }
}

/// Whether the Gram matrix pays for its d^2 products: the direct form takes d products a step and
/// target.
[[nodiscard]] inline bool gram_pays(index_t d, index_t N, index_t most,
                                    const pursuit_options& options, std::size_t scalar_bytes) {
  const double bytes =
      static_cast<double>(d) * static_cast<double>(d) * static_cast<double>(scalar_bytes);
  return bytes <= static_cast<double>(options.gram_bytes) &&
         static_cast<double>(d) <= static_cast<double>(N) * static_cast<double>(most);
}

}  // namespace detail

/// Orthogonal matching pursuit of many targets at once: the atom that correlates most with the
/// residual joins, the coefficients of all chosen atoms become those of least squares, and so on
/// (Pati, Rezaiifar and Krishnaprasad 1993). Atoms of equal correlation are taken by their index.
///
/// With a Gram matrix it is batch pursuit (Rubinstein, Zibulevsky and Elad, "Efficient
/// implementation of the K-SVD algorithm using batch orthogonal matching pursuit", 2008) with an
/// inverse factor that grows by rows and correlations that are evaluated only where a bound allows
/// for the greatest (detail::LaggingCorrelations): its choices are those of evaluating all. Both
/// forms end on the true residual.
///
/// @param targets n × N, in host memory
/// @throws size_error unless the targets have as many rows as the atoms; argument_error if a
///   setting is out of its range or none ends the pursuit
/// Cost: the form by the Gram matrix reads d |I| numbers a target and what the bounds let through,
/// and needs d^2 numbers; the direct form 2 n d flops a step. A target's answer does not depend on
/// the others or on the number of threads.
///
/// @code
/// #include <iostream>
///
/// #include <basin/sparse/orthogonal_matching_pursuit.hpp>
///
/// int main() {
///   const basin::cpu<double> cpu;
///   Eigen::MatrixXd columns = Eigen::MatrixXd::Random(20, 50);
///   const auto dictionary = basin::make_dictionary<double>(columns);
///   const Eigen::MatrixXd targets = 2 * dictionary.atoms.col(7) - dictionary.atoms.col(30);
///   const auto codes = basin::orthogonal_matching_pursuit(cpu, dictionary, targets,
///                                                         {.atoms = 5, .residual = 1e-9});
///   std::cout << codes.atoms.col(0).head(codes.count[0]).transpose() << ": "
///             << to_string(codes.status[0]) << '\n';
/// }
/// @endcode
template <std::floating_point Scalar>
[[nodiscard]] SparseCodes<Scalar> orthogonal_matching_pursuit(
    const cpu<Scalar>& be, const Dictionary<Scalar>& dictionary,
    const std::type_identity_t<Eigen::Ref<const Eigen::MatrixX<Scalar>>>& targets,
    const pursuit_options& options) {
  constexpr const char* where = "orthogonal_matching_pursuit";
  options.check(where);
  require_size(where, "number of rows of the targets", targets.rows(), dictionary.rows());
  const index_t d = dictionary.size(), N = targets.cols();
  const index_t at_most = std::min(d, dictionary.rows());
  const index_t most = options.atoms > 0 ? std::min(options.atoms, at_most) : at_most;
  auto codes = detail::make_codes<Scalar>(most, N, options.path);
  const bool held = d > 0 && dictionary.gram.cols() == d;
  if (options.form == pursuit_form::gram ||
      (options.form == pursuit_form::automatic &&
       (held || detail::gram_pays(d, N, most, options, sizeof(Scalar))))) {
    if (held) {
      detail::pursue_by_gram<Scalar>(be, dictionary, dictionary.gram, targets, most, true, options,
                                     codes);
    } else {
      Eigen::MatrixX<Scalar> G(d, d);
      gemm(be, dictionary.atoms, dictionary.atoms, G, {.a = transpose::yes});
      detail::pursue_by_gram<Scalar>(be, dictionary, G, targets, most, true, options, codes);
    }
  } else {
    detail::pursue_directly<Scalar>(be, dictionary.atoms, targets, most, options, codes);
  }
  return codes;
}

/// The same where only inner products are known: of the atoms with each other and with the targets.
/// The residual is then the difference of ‖x‖^2 and what the atoms explain, which is lost in
/// rounding below about ‖x‖ times the square root of the scalar's epsilon.
/// @param G d × d, symmetric, with ones on the diagonal
/// @param B d × N
/// @param squared_norms N values ‖x‖^2
/// @throws size_error unless the shapes agree; argument_error as above, and if the direct form is
///   asked for
template <std::floating_point Scalar>
[[nodiscard]] SparseCodes<Scalar> orthogonal_matching_pursuit_gram(
    const cpu<Scalar>& be, const std::type_identity_t<Eigen::Ref<const Eigen::MatrixX<Scalar>>>& G,
    const std::type_identity_t<Eigen::Ref<const Eigen::MatrixX<Scalar>>>& B,
    const std::vector<double>& squared_norms, const pursuit_options& options) {
  constexpr const char* where = "orthogonal_matching_pursuit_gram";
  options.check(where);
  require(options.form != pursuit_form::direct, where, "the direct form needs the atoms");
  require_size(where, "number of columns of G", G.cols(), G.rows());
  require_size(where, "number of rows of B", B.rows(), G.rows());
  require_size(where, "number of squared norms", static_cast<index_t>(squared_norms.size()),
               B.cols());
  const index_t most = options.atoms > 0 ? std::min(options.atoms, G.cols()) : G.cols();
  auto codes = detail::make_codes<Scalar>(most, B.cols(), options.path);
  constexpr index_t together = 8;
  be.pool().run((B.cols() + together - 1) / together, [&](index_t task) {
    detail::GramTargets<Scalar> targets(G, most, true, options);
    for (index_t j = task * together; j < std::min(B.cols(), (task + 1) * together); ++j) {
      const double products = B.col(j).template cast<double>().squaredNorm();
      const double square =
          is_finite(products) ? squared_norms[static_cast<std::size_t>(j)] : products;
      if (detail::write_trivial(codes, j, square)) continue;
      const detail::ProductTarget<Scalar> target{B.col(j).data(), square};
      (void)targets.answer(j, target.b, square, target, codes);  // it has no more to ask
    }
  });
  return codes;
}

}  // namespace basin
