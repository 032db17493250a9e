/// @file
/// Leading eigenvalues of one operator that is known by its products alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <concepts>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/core/random.hpp>
#include <basin/spectral/eigenvalue_options.hpp>
#include <basin/spectral/krylov_basis.hpp>
#include <basin/spectral/left_vectors.hpp>
#include <basin/spectral/schur_form.hpp>
#include <basin/spectral/spectrum.hpp>

namespace basin {

/// Stewart's Krylov-Schur method (SIAM J. Matrix Anal. Appl. 23, 2001) in real arithmetic, by
/// reverse communication: the caller multiplies `direction()` by the operator and gives the
/// product to `take`, until `done()`. The space A V = V H + v bᵀ grows by Arnoldi's steps, each
/// orthogonalised twice; when it is full, the sorted Schur form of H says what is kept, and Schur
/// vectors whose entry of b is negligible are locked.
///
/// A space that one vector spans holds one eigenvector of a multiple eigenvalue that has several.
/// Where it closes, as good as invariant for a tenth of the tolerance, the leading values are kept
/// and it goes on from a random vector, which finds the others, until the best that such a vector
/// finds is no better than what is kept. A space that does not close shows a multiple value by
/// rounding alone, and may end before.
///
/// No method that goes by products alone is sure of the leading values: one whose vector has a
/// small part in the first vector may be missed, though what is found is right. Of 40 Gaussian
/// matrices of 300 rows one of the six leading values is missed in 10 (ARPACK misses as many), and
/// in one where the values of the transpose are a second opinion (`eigenvalues`).
///
/// Memory: (dimension + 1) k numbers. Cost: 4 k times the space's size an orthogonalisation, and
/// about 25 dimension³ flops for each Schur form, of which there is one in four products once the
/// space has been full.
///
/// @code
/// #include <iostream>
/// #include <basin/spectral/krylov_schur.hpp>
///
/// int main() {
///   const Eigen::VectorXd diagonal = Eigen::VectorXd::LinSpaced(1000, 0, 1).array().sqrt();
///   basin::KrylovSchur method(1000, {.count = 2, .tolerance = 1e-10});
///   while (!method.done()) method.take(diagonal.cwiseProduct(method.direction()));
///   const basin::Spectrum found = method.result();
///   std::cout << found.values.transpose() << " by " << found.products << " products\n";
/// }
/// @endcode
/// @tparam Real double; a template so that a program which does not use it does not compile it
/// @tparam Basis where the vectors are: in host memory, or for many points on a device
/// (spectral/cuda/krylov_spaces.hpp)
template <std::floating_point Real = double, class Basis = detail::HostBasis<Real>>
class KrylovSchur {
 public:
  using matrix = Eigen::MatrixX<Real>;
  using vector = Eigen::VectorX<Real>;
  using complex = std::complex<Real>;
  using schur_form = detail::SchurForm<Real>;

  /// @param k dimension of the operator, at least 1
  /// @param rounding relative error of a product
  /// @throws argument_error if a setting is out of its range or k < 1
  explicit KrylovSchur(index_t k, const eigenvalue_options& options = {},
                       double rounding = std::numeric_limits<double>::epsilon())
    requires std::same_as<Basis, detail::HostBasis<Real>>
      : KrylovSchur(Basis(checked(k, options), options.space(k) + 1), options, rounding) {}

  /// @param basis with room for the vectors of the space and one more
  KrylovSchur(Basis basis, const eigenvalue_options& options, double rounding)
      : k_(basis.rows()), options_(options), rounding_(rounding), basis_(std::move(basis)) {
    most_ = options.space(checked(k_, options));
    wanted_ = std::min(options.count, k_);
    tolerance_ = std::max(options.tolerance, 100 * rounding);
    budget_ = options.budget(k_);
    H_ = matrix::Zero(most_ + 1, most_);
    set_random(0);
  }

  /// Begins with this vector in place of a random one, before the first product.
  /// @param start finite; one that is 0 is not used
  /// @param spent products that count in the budget already
  /// @throws size_error unless it has k entries
  void begin_with(const Eigen::Ref<const vector>& start, index_t spent = 0) {
    require_size("KrylovSchur", "size of the first vector", start.size(), k_);
    if (const double norm = start.stableNorm(); norm > 0) basis_.set(0, start / norm);
    products_ = spent;
    if (products_ >= budget_) finish(spectral_status::max_products);
  }

  /// The vector whose product is wanted next, of norm 1.
  [[nodiscard]] auto direction() const { return basis_.column(size_); }
  /// How many vectors, the first, the product is to be made orthogonal to: it becomes the next.
  [[nodiscard]] index_t against() const noexcept { return size_ + 1; }
  /// The basis that the product's rest goes to.
  [[nodiscard]] const Basis& target() const noexcept { return basis_; }
  /// The power of two that the product is multiplied by; of the first by `product_scale` of it.
  [[nodiscard]] double scale() const noexcept { return scale_; }
  /// Whether the next product is the first of a space, which sets the scale.
  [[nodiscard]] bool scales() const noexcept { return size_ == 0; }

  /// Takes the operator's product with direction().
  void take(const Eigen::Ref<const vector>& product) {
    require_size("KrylovSchur", "size of the product", product.size(), k_);
    if (done_) throw argument_error("KrylovSchur: a product after the method was done");
    ++products_;
    if (!product.allFinite()) {
      finish(spectral_status::non_finite);
      return;
    }
    if (size_ == 0) set_scale(product.cwiseAbs().maxCoeff());
    advance(basis_.step(product, against(), scale_));
  }
  /// Takes what a basis that is elsewhere has found of the product, before it is `kept`.
  void take(const KrylovStep<Real>& step) {
    if (done_) throw argument_error("KrylovSchur: a product after the method was done");
    ++products_;
    if (size_ == 0) set_scale(step.largest);
    advance(step);
  }

  [[nodiscard]] bool done() const noexcept { return done_; }
  [[nodiscard]] index_t products() const noexcept { return products_; }

  /// The leading values, with right vectors where they were asked for. Condition numbers are lower
  /// bounds, those within the space.
  [[nodiscard]] Spectrum result() const {
    Spectrum s;
    s.status = status_;
    s.products = products_;
    s.norm = norm_ / scale_;
    if (status_ == spectral_status::non_finite || !form_) return s;
    const auto m = static_cast<index_t>(leading_.size());
    s.values.resize(m);
    s.backward_error.resize(m);
    s.condition.resize(m);
    if (options_.right_vectors) s.right.resize(k_, m);
    const detail::SchurVectors<Real> vectors(*form_);
    Eigen::MatrixX<complex> X(form_->size(), m), Y(form_->size(), m);
    for (index_t i = 0; i < m; ++i) {
      const index_t place = leading_[static_cast<std::size_t>(i)];
      X.col(i) = vectors.right(place);
      Y.col(i) = vectors.left(place);
      s.values[i] = form_values_[place] / scale_;
      s.backward_error[i] = norm_ > 0 ? residuals_[static_cast<std::size_t>(i)] / norm_ : 0;
      s.condition[i] = 1 / std::abs(Y.col(i).dot(X.col(i)));
      if (options_.right_vectors) {
        // The form's coordinates are those of the kept basis, then of the space.
        s.right.col(i) = basis_.combination(turn_ * X.col(i)).col(0).normalized();
      }
    }
    detail::make_dual(s.values, detail::multiple_value * s.norm, X, Y, s.condition);
    return s;
  }

 private:
  static index_t checked(index_t k, const eigenvalue_options& options) {
    options.check();
    require(k >= 1, "KrylovSchur", "the operator must have at least one row");
    return k;
  }

  void advance(const KrylovStep<Real>& step) {
    const double before = step.before;
    if (!std::isfinite(before)) {
      finish(spectral_status::non_finite);
      return;
    }
    last_ = step.rest;
    H_.col(size_).head(size_ + 1) += step.along;
    ++size_;
    largest_ = std::max(largest_, before);
    const bool closed = !(last_ > std::max(10 * rounding_ * before, 0.1 * tolerance_ * largest_));
    if (closed) {
      dropped_ = std::hypot(dropped_, last_);
      last_ = 0;
    } else {
      basis_.keep(size_, last_);
    }
    const bool full = size_ == most_;
    if (!full) H_(size_, size_ - 1) = last_;
    const bool spent = products_ >= budget_;
    if (closed && !full && most_ == k_) {
      // It will be all of R^k.
      closed_ = true;
      set_random(size_);
      if (spent) examine(false, false);
    } else if (full || spent || closed || (restarts_ > 0 && (most_ - size_) % 4 == 0)) {
      examine(closed, !spent);
      closed_ = closed_ || closed;
    }
    if (spent && !done_) finish(spectral_status::max_products);
  }

  /// Squares of products of 1e155 overflow: such operators are multiplied by a power of two.
  void set_scale(double largest) { scale_ = detail::product_scale(largest, scale_); }
  void set_random(index_t at) {
    // Against a space that has closed, a vector may have to be drawn again.
    for (int draw = 0; draw < 10; ++draw) {
      vector v(k_);
      const random_stream stream{options_.random.seed,
                                 options_.random.stream + static_cast<std::uint32_t>(draws_)};
      ++draws_;
      for (index_t i = 0; i < k_; ++i) v[i] = normal_at<double>(stream, i, 0);
      if (basis_.add(at, std::move(v))) return;
    }
    basis_.set(at, vector::Zero(k_));  // the space is all of R^k
  }

  /// Whether the wanted values are known; else, if it may go on, restarts where the space is full
  /// or has closed.
  void examine(bool closed, bool go_on) {
    const index_t n = size_;
    update_norm(n);
    // The locked part stays as it is; the rest is brought to sorted Schur form.
    schur_form active(H_.block(locked_, locked_, n - locked_, n - locked_));
    if (!active.converged()) {
      form_.reset();
      finish(spectral_status::max_products);
      return;
    }
    active.sort([&](auto a, auto b) { return options_.before(a, b); });
    matrix T = H_.topLeftCorner(n, n);
    T.block(0, locked_, locked_, n - locked_) =
        (T.block(0, locked_, locked_, n - locked_) * active.U()).eval();
    T.block(locked_, locked_, n - locked_, n - locked_) = active.T();
    T.block(locked_, 0, n - locked_, locked_).setZero();
    vector b = vector::Zero(n);
    b.tail(n - locked_) = last_ * active.U().row(n - locked_ - 1).transpose();
    if (n == k_) b.setZero();

    schur_form form(typename schur_form::quasi_triangular{}, T);
    const bool known = judge(form, b);
    turn_ = matrix::Identity(n, n);
    turn_.bottomRightCorner(n - locked_, n - locked_) = active.U();
    form_ = std::move(form);
    const index_t invariant = closed ? n : invariant_size(b, n);
    const bool enough = closed_ ? invariant > locked_ && leads_nothing(locked_) : known && !closed;
    if (n == k_ || enough) {
      finish(is_sensitive() ? spectral_status::ill_conditioned : spectral_status::converged);
    } else if (go_on && (closed || (closed_ && invariant > locked_))) {
      begin_anew(T, b, active.U(), n, invariant);
    } else if (go_on && n == most_) {
      restart(T, b, active.U(), n);
    }
  }

  /// Whether the value at a place is not one of the wanted, all of which are locked.
  [[nodiscard]] bool leads_nothing(index_t place) const {
    if (locked_ < wanted_) return false;
    const auto size_of = [&](complex value) {
      return options_.order == eigenvalue_order::modulus ? std::abs(value) : value.real();
    };
    return size_of(form_values_[place]) <=
           size_of(form_values_[locked_ - 1]) + 10 * rounding_ * norm_;
  }

  /// How many of the first n Schur vectors span a space that is as good as invariant.
  [[nodiscard]] index_t invariant_size(const vector& b, index_t n) const {
    index_t size = locked_;
    while (size < n) {
      const index_t rows = form_->block_at(size);
      if (b.segment(size, rows).norm() > 0.1 * tolerance_ * norm_) break;
      size += rows;
    }
    return size;
  }

  /// Finds the leading values and their residuals; whether all are good enough.
  bool judge(const schur_form& form, const vector& b) {
    const index_t n = form.size();
    form_values_ = form.values();
    const std::vector<index_t> order =
        form.ordered([&](auto x, auto y) { return options_.before(x, y); });
    index_t m = std::min(wanted_, n);
    if (m < n && form_values_[order[static_cast<std::size_t>(m - 1)]].imag() > 0) ++m;
    leading_.assign(order.begin(), order.begin() + m);
    residuals_.clear();
    const detail::SchurVectors<Real> vectors(form);
    bool good = m >= wanted_;
    for (const index_t place : leading_) {
      const Eigen::VectorX<complex> x = vectors.right(place);
      const double residual = std::hypot(std::abs(b.template cast<complex>().dot(x)), dropped_);
      // And what products and the space are not exact by.
      residuals_.push_back(residual + 10 * rounding_ * norm_);
      good = good && residuals_.back() <= tolerance_ * norm_;
    }
    return good || norm_ == 0;
  }

  /// Keeps the leading ones of the first `known` Schur vectors, whose space is invariant, and goes
  /// on from a random vector: that one has a part in each vector of a multiple value.
  void begin_anew(const matrix& T, const vector& b, const matrix& U, index_t n, index_t known) {
    dropped_ = std::hypot(dropped_, b.head(known).norm());
    schur_form form(typename schur_form::quasi_triangular{}, T.topLeftCorner(known, known));
    form.sort([&](auto x, auto y) { return options_.before(x, y); });
    index_t kept = std::min(wanted_, known);
    if (kept < known && form.T()(kept, kept - 1) != 0) ++kept;  // no pair is split
    basis_.rotate(locked_, U.topLeftCorner(n - locked_, known - locked_));
    basis_.rotate(0, form.U().topLeftCorner(known, kept));
    H_.setZero();
    H_.topLeftCorner(kept, kept) = form.T().topLeftCorner(kept, kept);
    size_ = locked_ = kept;
    set_random(kept);
    form_.reset();
    ++restarts_;
  }

  void restart(const matrix& T, vector b, const matrix& U, index_t n) {
    const schur_form form(typename schur_form::quasi_triangular{}, T);
    // Lock what is as good as invariant.
    index_t locked = locked_;
    while (locked < n) {
      const index_t rows = form.block_at(locked);
      const double entry = b.segment(locked, rows).norm();
      if (locked + rows > wanted_ + 1 || entry > 0.1 * tolerance_ * norm_) break;
      dropped_ = std::hypot(dropped_, entry);
      b.segment(locked, rows).setZero();
      locked += rows;
    }
    index_t kept = std::max(locked + (n - locked) / 2, std::min(wanted_ + 1, n - 2));
    if (kept < n && T(kept, kept - 1) != 0) ++kept;  // no pair is split
    kept = std::min(kept, n - 1);
    if (T(kept, kept - 1) != 0) --kept;
    basis_.rotate(locked_, U.topLeftCorner(n - locked_, kept - locked_));
    basis_.move(n, kept);
    H_.setZero();
    H_.topLeftCorner(kept, kept) = T.topLeftCorner(kept, kept);
    H_.row(kept).head(kept) = b.head(kept).transpose();
    size_ = kept;
    locked_ = locked;
    form_.reset();
    ++restarts_;
  }

  /// ‖H‖₂ of the whole space, which is at most ‖A‖₂.
  void update_norm(index_t n) {
    matrix space(n + 1, n);
    space.topRows(n) = H_.topLeftCorner(n, n);
    space.row(n).setZero();
    space(n, n - 1) = last_;
    const matrix square = space.transpose() * space;
    const Eigen::SelfAdjointEigenSolver<matrix> solver(square, Eigen::EigenvaluesOnly);
    norm_ = std::max(norm_, std::sqrt(std::max(0.0, solver.eigenvalues()[n - 1])));
  }

  [[nodiscard]] bool is_sensitive() const {
    const detail::SchurVectors<Real> vectors(*form_);
    return std::any_of(leading_.begin(), leading_.end(), [&](index_t place) {
      return std::abs(vectors.left(place).dot(vectors.right(place))) < ill_conditioned_cosine;
    });
  }
  void finish(spectral_status status) {
    done_ = true;
    status_ = status;
  }

  index_t k_;
  eigenvalue_options options_;
  double rounding_;
  double scale_ = 1;  ///< that products are multiplied by
  index_t most_ = 0, wanted_ = 0, budget_ = 0;
  double tolerance_ = 0;

  Basis basis_;
  matrix H_;
  index_t size_ = 0;     ///< vectors whose products are known
  index_t locked_ = 0;   ///< of those, that span an invariant space
  double last_ = 0;      ///< norm of what the last product adds
  double largest_ = 0;   ///< norm of a product
  bool closed_ = false;  ///< before the present vectors, which began with a random one
  double dropped_ = 0;   ///< by locking
  double norm_ = 0;
  index_t products_ = 0, restarts_ = 0, draws_ = 0;
  bool done_ = false;
  spectral_status status_ = spectral_status::max_products;

  std::optional<schur_form> form_;  ///< of the last examination
  matrix turn_;                     ///< from its coordinates to those of V
  Eigen::VectorX<complex> form_values_;
  std::vector<index_t> leading_;
  std::vector<double> residuals_;
};

}  // namespace basin
