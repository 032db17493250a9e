/// @file
/// Leading singular values of one operator that is known by its products alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>

#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>
#include <basin/core/random.hpp>
#include <basin/spectral/krylov_basis.hpp>
#include <basin/spectral/spectrum.hpp>

namespace basin {

/// How singular values are computed.
enum class singular_value_method : std::uint8_t {
  automatic,    ///< dense where k is at most twice the dimension of the spaces
  dense,        ///< all of J, by k products
  golub_kahan,  ///< two Krylov spaces that are restarted; needs the map's vjp
};

/// Settings of `singular_values`.
struct singular_value_options {
  index_t count = 6;  ///< leading values that are wanted; at most k are given
  /// The residual √(‖J v - σ u‖² + ‖Jᵀ u - σ v‖²) / ‖J‖ that is good enough. At least 100 ε of the
  /// scalar in which the map computes is used.
  double tolerance = 1e-8;
  bool vectors = false;  ///< left and right singular vectors
  singular_value_method method = singular_value_method::automatic;
  /// Dimension of the spaces; 0: the larger of 20 and 2 count + 2. At least count + 2.
  index_t dimension = 0;
  /// Products with J and Jᵀ together for one point, at least 2; 0: 100 times the dimension.
  index_t max_products = 0;
  random_stream random = {};  ///< of the first vectors

  /// `dimension` with its default filled in, for a Jacobian whose smaller side is k.
  [[nodiscard]] index_t space(index_t k) const {
    return std::min(k, dimension > 0 ? dimension : std::max<index_t>(20, 2 * count + 2));
  }
  [[nodiscard]] bool is_dense(index_t k) const {
    return method == singular_value_method::dense ||
           (method == singular_value_method::automatic && k <= 2 * space(k));
  }

  /// @throws argument_error that names the setting and its value
  void check() const {
    require(count >= 1, "singular_value_options",
            "count is " + std::to_string(count) + ", must be at least 1");
    require(tolerance >= 0 && tolerance < 1, "singular_value_options",
            "tolerance is " + std::to_string(tolerance) + ", must be in [0, 1)");
    require(dimension == 0 || dimension >= count + 2, "singular_value_options",
            "dimension is " + std::to_string(dimension) +
                ", must be 0 or at least count + 2 = " + std::to_string(count + 2));
    require(max_products == 0 || max_products >= 2, "singular_value_options",
            "max_products is " + std::to_string(max_products) + ", must be 0 or at least 2");
  }
};

/// Leading singular values of one Jacobian, in descending order.
struct SingularValues {
  Eigen::VectorXd values;  ///< m of them
  /// √(‖J v - σ u‖² + ‖Jᵀ u - σ v‖²) / ‖J‖ of each. A singular value of J lies within this times
  /// ‖J‖ of it (Weyl 1912).
  Eigen::VectorXd residual;
  Eigen::MatrixXd left;   ///< rows of J × m, orthonormal; 0 × 0 unless asked for
  Eigen::MatrixXd right;  ///< k × m, orthonormal; 0 × 0 unless asked for
  spectral_status status = spectral_status::non_finite;
  bool dense = false;    ///< computed from all of J
  index_t products = 0;  ///< with J and its transpose

  [[nodiscard]] index_t size() const noexcept { return values.size(); }
  /// σ_max = ‖J‖₂; NaN where there is none.
  [[nodiscard]] double norm() const {
    return size() == 0 ? std::numeric_limits<double>::quiet_NaN() : values[0];
  }
};

namespace detail {

/// A = U diag(s) Vᵀ, thin, of a small matrix: by the eigenvalues ±s of (0 A; Aᵀ 0), which are as
/// accurate as A allows (Golub and Kahan 1965), those of AᵀA not. Eigen's own decompositions cost
/// a unit of compilation three times as much.
struct small_svd {
  Eigen::MatrixXd U, V;
  Eigen::VectorXd s;
  bool converged = true;

  explicit small_svd(const Eigen::MatrixXd& A, bool vectors = true) {
    const index_t rows = A.rows(), cols = A.cols(), n = std::min(rows, cols);
    if (n == 0) return;
    Eigen::MatrixXd both = Eigen::MatrixXd::Zero(rows + cols, rows + cols);
    both.bottomLeftCorner(cols, rows) = A.transpose();  // the lower half is what is read
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(
        both, vectors ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
    converged = solver.info() == Eigen::Success;
    s = solver.eigenvalues().tail(n).reverse().cwiseMax(0.0);
    if (!vectors) return;
    U = solver.eigenvectors().topRightCorner(rows, n).rowwise().reverse();
    V = solver.eigenvectors().bottomRightCorner(cols, n).rowwise().reverse();
    orthonormalise(U);
    orthonormalise(V);
  }

 private:
  /// Halves of an eigenvector are orthogonal but for values near 0, where ±s mix. There the part
  /// that is new counts, and any other vector where there is none.
  static void orthonormalise(Eigen::MatrixXd& X) {
    index_t next = 0;
    for (index_t j = 0; j < X.cols(); ++j) {
      double norm = project_out(X, j);
      for (double least = 0.1; !(norm > least) && next < X.rows(); ++next) {
        X.col(j) = Eigen::VectorXd::Unit(X.rows(), next);
        norm = project_out(X, j);
        least = 1 / std::sqrt(2.0 * static_cast<double>(X.rows()));  // some of them have more
      }
      X.col(j) /= norm;
    }
  }
  static double project_out(Eigen::MatrixXd& X, index_t j) {
    for (int pass = 0; pass < 2; ++pass) {
      const Eigen::VectorXd h = X.leftCols(j).transpose() * X.col(j);
      X.col(j) -= X.leftCols(j) * h;
    }
    return X.col(j).norm();
  }
};

}  // namespace detail

/// Golub and Kahan's bidiagonalisation (1965) with full reorthogonalisation and thick restarts
/// (Baglama and Reichel, SIAM J. Sci. Comput. 27, 2005), by reverse communication: the caller
/// multiplies `direction()` by the operator, or by its transpose where `transposed()`, and gives
/// the product to `take`, until `done()`. With orthonormal U and V, A V = U B and
/// Aᵀ U = V Bᵀ + β v eᵀ; all of B is what products have shown, so that it stands for inexact
/// products too.
///
/// A space that one vector spans holds one vector of a multiple singular value. Where it closes
/// before it is full, it goes on from a random vector, which finds the others as far as they fit; a
/// space that is full by then may give a multiple value fewer times than it has.
///
/// Memory: (dimension + 1) (rows + columns) numbers. Cost: beside the products 8 k times the
/// space's size for each, and about 100 dimension³ flops for each decomposition of B, of which
/// there is one in eight products.
///
/// @code
/// #include <iostream>
/// #include <basin/spectral/golub_kahan.hpp>
///
/// int main() {
///   const Eigen::VectorXd diagonal = Eigen::VectorXd::LinSpaced(1000, 0, 1).array().square();
///   basin::GolubKahan method(1000, 1000, {.count = 2, .tolerance = 1e-10});
///   while (!method.done()) method.take(diagonal.cwiseProduct(method.direction()));
///   const basin::SingularValues found = method.result();
///   std::cout << found.values.transpose() << " by " << found.products << " products\n";
/// }
/// @endcode
/// @tparam Basis where the vectors are: in host memory, or for many points on a device
/// (spectral/cuda/krylov_spaces.hpp)
template <class Basis = detail::HostBasis<double>>
class GolubKahan {
 public:
  /// @param rows of the operator, at least 1
  /// @param cols of the operator, at least 1
  /// @param rounding relative error of a product
  /// @throws argument_error if a setting or a size is out of its range
  GolubKahan(index_t rows, index_t cols, const singular_value_options& options = {},
             double rounding = std::numeric_limits<double>::epsilon())
    requires std::same_as<Basis, detail::HostBasis<double>>
      : GolubKahan(rows, cols, options, rounding,
                   [&](index_t size, index_t columns) { return Basis(size, columns); }) {}

  /// @param make gives a basis of so many rows and columns: of the smaller side, and of the larger
  template <class MakeBasis>
  GolubKahan(index_t rows, index_t cols, const singular_value_options& options, double rounding,
             MakeBasis&& make)
      : options_((options.check(), options)),
        rounding_(rounding),
        wide_(cols > rows),
        most_(options.space(checked(std::min(rows, cols)))),
        V_(make(std::min(rows, cols), most_ + 1)),
        U_(make(std::max(rows, cols), most_)) {
    // V is of the smaller side: full, it spans all that the operator does not map to 0.
    wanted_ = std::min(options.count, V_.rows());
    tolerance_ = std::max(options.tolerance, 100 * rounding);
    budget_ = options.max_products > 0 ? options.max_products : 100 * most_;
    B_ = Eigen::MatrixXd::Zero(most_, most_);
    set_random(V_, 0);
  }

  /// Whether the transpose's product is wanted next.
  [[nodiscard]] bool transposed() const noexcept { return half_ != wide_; }
  /// The vector whose product is wanted next, of norm 1.
  [[nodiscard]] auto direction() const { return half_ ? U_.column(size_) : V_.column(size_); }
  /// The basis that the product's rest goes to.
  [[nodiscard]] const Basis& target() const noexcept { return half_ ? V_ : U_; }
  /// How many vectors, its first, the product is to be made orthogonal to: it becomes the next.
  [[nodiscard]] index_t against() const noexcept { return half_ ? size_ + 1 : size_; }
  /// What the product is multiplied by.
  [[nodiscard]] static double scale() noexcept { return 1; }
  [[nodiscard]] static bool scales() noexcept { return false; }

  /// Takes the product with direction().
  void take(const Eigen::Ref<const Eigen::VectorXd>& product) {
    require_size("GolubKahan", "size of the product", product.size(), target().rows());
    take((half_ ? V_ : U_).step(product, against(), 1));
  }
  /// Takes what a basis that is elsewhere has found of the product.
  void take(const KrylovStep<double>& step) {
    if (done_) throw argument_error("GolubKahan: a product after the method was done");
    ++products_;
    if (!is_finite(step.before)) {
      finish(spectral_status::non_finite);
      return;
    }
    if (!half_) {
      B_.col(size_).head(size_) = step.along;
      B_(size_, size_) = keep(U_, size_, step);
      half_ = true;
    } else {
      ++size_;
      half_ = false;
      last_ = size_ == V_.rows() ? 0 : keep(V_, size_, step);
      const bool spent = products_ + 2 > budget_;
      if (spent || size_ == most_ || (!closed_ && (most_ - size_) % 4 == 0)) examine(spent);
      if (spent && !done_) finish(spectral_status::max_products);
    }
  }

  [[nodiscard]] bool done() const noexcept { return done_; }
  [[nodiscard]] index_t products() const noexcept { return products_; }

  /// The leading values, as far as they are known, with vectors where they were asked for.
  [[nodiscard]] SingularValues result() const {
    SingularValues found;
    found.status = status_;
    found.products = products_;
    if (status_ == spectral_status::non_finite || size_ == 0) return found;
    const index_t n = size_;
    const index_t m = std::min(wanted_, n);
    const detail::small_svd svd(B_.topLeftCorner(n, n));
    found.values = svd.s.head(m);
    found.residual = residuals(svd, m);
    if (svd.s[0] > 0) found.residual /= svd.s[0];
    if (options_.vectors) {
      found.left = U_.combination(svd.U.topLeftCorner(n, m));
      found.right = V_.combination(svd.V.topLeftCorner(n, m));
      if (wide_) found.left.swap(found.right);
    }
    return found;
  }

 private:
  static index_t checked(index_t k) {
    require(k >= 1, "GolubKahan", "the operator must have rows and columns");
    return k;
  }

  /// Column `at` of X is the rest of the product, or random where that was a combination of the
  /// others.
  double keep(Basis& X, index_t at, const KrylovStep<double>& step) {
    if (step.rest > 10 * rounding_ * step.before) {
      X.keep(at, step.rest);
      return step.rest;
    }
    set_random(X, at);
    closed_ = true;
    return 0;
  }
  void set_random(Basis& X, index_t at) {
    // Against a space that has closed, a vector may have to be drawn again.
    for (int draw = 0; draw < 10; ++draw) {
      const random_stream stream{options_.random.seed,
                                 options_.random.stream + static_cast<std::uint32_t>(draws_++)};
      Eigen::VectorXd x(X.rows());
      for (index_t i = 0; i < x.size(); ++i) x[i] = normal_at<double>(stream, i, 0);
      if (X.add(at, std::move(x))) return;
    }
  }

  [[nodiscard]] Eigen::VectorXd residuals(const detail::small_svd& svd, index_t m) const {
    // And what products and the spaces are not exact by.
    return (last_ * svd.U.row(size_ - 1).head(m).cwiseAbs()).transpose().array() +
           10 * rounding_ * svd.s[0];
  }

  /// Whether the wanted values are known; else, where the spaces are full, restarts them.
  void examine(bool spent) {
    const index_t n = size_;
    if (n < wanted_) return;
    const detail::small_svd svd(B_.topLeftCorner(n, n));
    if ((residuals(svd, wanted_).array() <= tolerance_ * svd.s[0]).all()) {
      finish(spectral_status::converged);
    } else if (n == most_ && !spent) {
      const index_t kept = std::min(wanted_ + (n - wanted_) / 2, n - 1);
      V_.rotate(0, svd.V.topLeftCorner(n, kept));
      U_.rotate(0, svd.U.topLeftCorner(n, kept));
      V_.move(n, kept);
      B_.setZero();
      B_.diagonal().head(kept) = svd.s.head(kept);
      size_ = kept;
    }
  }
  void finish(spectral_status status) {
    done_ = true;
    status_ = status;
  }

  singular_value_options options_;
  double rounding_;
  bool wide_;  ///< U and V are exchanged
  index_t most_, wanted_ = 0, budget_ = 0;
  double tolerance_ = 0;

  Basis V_, U_;
  Eigen::MatrixXd B_;
  index_t size_ = 0;     ///< columns of U and V whose products are known
  bool half_ = false;    ///< column size_ of U is known as well
  bool closed_ = false;  ///< some column was random
  double last_ = 0;      ///< β
  index_t products_ = 0, draws_ = 0;
  bool done_ = false;
  spectral_status status_ = spectral_status::max_products;
};

}  // namespace basin
