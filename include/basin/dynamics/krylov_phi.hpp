/// @file
/// φ functions of the Jacobian of a flow, applied to a vector per column.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include <basin/backend/concept.hpp>
#include <basin/backend/cpu/scratch.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/phi_functions.hpp>
#include <basin/map/derivative.hpp>

namespace basin::detail {

/// The Krylov spaces of a batch, in the memory of its backend.
template <class Scalar>
struct phi_columns {
  index_t k;
  index_t capacity;    ///< columns of the batch
  index_t most;        ///< dimensions of a space
  Scalar* basis;       ///< most + 1 batches of k × capacity
  double* hessenberg;  ///< (most + 1) × most a column
  double* weights;     ///< most a column: the result in the basis
  double* rest;        ///< the estimate of its error, along the next vector of the basis
  index_t* dimensions;
  std::uint8_t* done;
  double* work;  ///< null on the CPU, which has its own

  [[nodiscard]] BASIN_HOST_DEVICE Scalar* vector(index_t m, index_t j) const {
    return basis + (m * capacity + j) * k;
  }
  [[nodiscard]] BASIN_HOST_DEVICE double* H(index_t j) const {
    return hessenberg + j * (most + 1) * most;
  }
  [[nodiscard]] BASIN_HOST_DEVICE static index_t work_size(index_t most) {
    return phi_work(most, 4) + 4 * most;
  }
};

/// The first vector of the basis: b / ‖b‖.
template <class Scalar>
struct begin_krylov {
  phi_columns<Scalar> spaces;
  const Scalar* b;
  BASIN_HOST_DEVICE void operator()(index_t j) const {
    const index_t k = spaces.k;
    const Scalar* const x = b + j * k;
    const double norm =
        std::sqrt(static_cast<double>(lane_sum<Scalar>(k, [&](index_t i) { return x[i] * x[i]; })));
    spaces.dimensions[j] = 0;
    spaces.rest[j] = norm;  // until there is a result
    const bool grows = norm > 0 && norm <= std::numeric_limits<Scalar>::max();
    spaces.done[j] = grows ? 0 : 1;
    Scalar* const v = spaces.vector(0, j);
    for (index_t i = 0; i < k; ++i) v[i] = grows ? x[i] / static_cast<Scalar>(norm) : Scalar(0);
  }
};

/// One step of Arnoldi (1951) for h (J_f - I), orthogonalised twice, and now and then the
/// result with the estimate of its error by Saad (1992).
template <class Scalar>
struct extend_krylov {
  phi_columns<Scalar> spaces;
  const Scalar* product;  ///< J_f v
  const Scalar* states;
  const Scalar* steps;
  index_t* products;
  index_t m;  ///< vectors so far, less one
  int p;      ///< φ_p is wanted
  double relative;
  double absolute;

  BASIN_HOST_DEVICE void operator()(index_t j) const {
    if (spaces.done[j] != 0) return;
    ++products[j];
    const index_t k = spaces.k;
    double* const H = spaces.H(j);
    double* const column = H + m * (spaces.most + 1);
    const Scalar* const v = spaces.vector(m, j);
    Scalar* const w = spaces.vector(m + 1, j);
    const Scalar* const Jv = product + j * k;
    for (index_t i = 0; i < k; ++i) w[i] = steps[j] * (Jv[i] - v[i]);
    for (index_t i = 0; i <= m + 1; ++i) column[i] = 0;
    const double before = norm(w);
    for (int pass = 0; pass < 2; ++pass) {
      for (index_t i = 0; i <= m; ++i) {
        const Scalar* const u = spaces.vector(i, j);
        const Scalar dot = lane_sum<Scalar>(k, [&](index_t r) { return u[r] * w[r]; });
        for (index_t r = 0; r < k; ++r) w[r] -= dot * u[r];
        column[i] += static_cast<double>(dot);
      }
    }
    const double next = norm(w);
    const index_t dimension = m + 1;
    const double rounding = 8.0 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
    // The space holds its own image, or all of R^k.
    const bool exact = dimension == k || !(next > rounding * before);
    column[m + 1] = exact ? 0 : next;
    for (index_t i = 0; i < k; ++i) w[i] = exact ? Scalar(0) : w[i] / static_cast<Scalar>(next);
    if (exact || dimension == spaces.most || is_examined(dimension)) {
      evaluate_result(j, dimension, exact, next);
    }
  }

 private:
  [[nodiscard]] BASIN_HOST_DEVICE double norm(const Scalar* x) const {
    return std::sqrt(
        static_cast<double>(lane_sum<Scalar>(spaces.k, [&](index_t i) { return x[i] * x[i]; })));
  }
  /// Small functions cost the cube of the dimension: not after every step.
  [[nodiscard]] BASIN_HOST_DEVICE static bool is_examined(index_t dimension) {
    return dimension <= 4 || (dimension <= 12 ? dimension % 2 == 0 : dimension % 4 == 0);
  }
  BASIN_HOST_DEVICE void evaluate_result(index_t j, index_t dimension, bool exact,
                                         double next) const {
#if defined(__CUDA_ARCH__)
    double* const work = spaces.work + j * spaces.work_size(spaces.most);
#else
    scratch_scope scope;
    double* const work = spaces.work != nullptr ? spaces.work + j * spaces.work_size(spaces.most)
                                                : scope.get<double>(spaces.work_size(spaces.most));
#endif
    double* const phi = work + phi_work(spaces.most, 4);
    phi_of_first(spaces.H(j), spaces.most + 1, dimension, p + 1, phi, work);
    // `rest` holds ‖b‖ until the result is there.
    const double size = spaces.rest[j];
    const double error = exact ? 0 : size * next * std::fabs(phi[dimension - 1 + p * dimension]);
    const bool good = exact || error * weighted(j) <= 0.05;
    if (!good && dimension < spaces.most) return;
    for (index_t i = 0; i < dimension; ++i) {
      spaces.weights[j * spaces.most + i] = size * phi[i + (p - 1) * dimension];
    }
    spaces.rest[j] = good ? 0 : error;
    spaces.dimensions[j] = dimension;
    spaces.done[j] = 1;
  }
  /// The next vector of the basis as the tolerances see it.
  [[nodiscard]] BASIN_HOST_DEVICE double weighted(index_t j) const {
    const index_t k = spaces.k;
    const Scalar* const w = spaces.vector(m + 1, j);
    const Scalar* const z = states + j * k;
    const auto r = static_cast<Scalar>(relative);
    const auto a = static_cast<Scalar>(absolute);
    const Scalar sum = lane_sum<Scalar>(k, [&](index_t i) {
      const Scalar x = w[i] / (a + r * (z[i] < 0 ? -z[i] : z[i]));
      return x * x;
    });
    return std::sqrt(static_cast<double>(sum) / static_cast<double>(k));
  }
};

/// out = base + factor φ_p b, and the error that an unfinished space leaves.
template <class Scalar>
struct apply_krylov {
  phi_columns<Scalar> spaces;
  const Scalar* base;
  Scalar* out;
  Scalar* errors;  ///< |error| is added; null: not wanted
  Scalar factor;
  BASIN_HOST_DEVICE void operator()(index_t j) const {
    const index_t k = spaces.k;
    const index_t m = spaces.dimensions[j];
    for (index_t i = 0; i < k; ++i) out[j * k + i] = base[j * k + i];
    for (index_t l = 0; l < m; ++l) {
      const Scalar w = factor * static_cast<Scalar>(spaces.weights[j * spaces.most + l]);
      const Scalar* const v = spaces.vector(l, j);
      for (index_t i = 0; i < k; ++i) out[j * k + i] += w * v[i];
    }
    // Without a result the vector was zero, or not finite, and then the step must not count.
    const auto rest = static_cast<Scalar>(spaces.rest[j]);
    if (rest == 0) return;
    if (m == 0) {
      for (index_t i = 0; i < k; ++i) out[j * k + i] = std::numeric_limits<Scalar>::quiet_NaN();
    } else if (errors != nullptr) {
      const Scalar* const v = spaces.vector(m, j);
      for (index_t i = 0; i < k; ++i) {
        const Scalar share = factor * rest * v[i];
        errors[j * k + i] += share < 0 ? -share : share;
      }
    }
  }
};

struct is_not_done {
  BASIN_HOST_DEVICE bool operator()(std::uint8_t done) const { return done == 0; }
};

/// Applies φ_p(h J), J = J_f - I, to a vector per column. Each column's space grows until its
/// own estimate of the error is small, so its result does not depend on the batch.
template <class B>
class KrylovPhi {
 public:
  using scalar = typename B::scalar;

  KrylovPhi(const B& be, index_t k, index_t columns, index_t most, double relative, double absolute)
      : k_(k),
        capacity_(columns),
        most_(std::min(most, k)),
        relative_(relative),
        absolute_(absolute),
        product_(be, k, columns),
        basis_(be.make_matrix(k, columns * (most_ + 1))),
        hessenberg_(be.template make_buffer<double>(columns * (most_ + 1) * most_)),
        weights_(be.template make_buffer<double>(columns * most_)),
        rest_(be.template make_buffer<double>(columns)),
        dimensions_(be.template make_buffer<index_t>(columns)),
        done_(be.template make_buffer<std::uint8_t>(columns)),
        work_(be.template make_buffer<double>(
            is_cpu<B> ? 0 : columns * phi_columns<scalar>::work_size(most_))) {}

  /// Grows the spaces of `b` until φ_p(h J) b is known for every column.
  template <class Map>
  void prepare(const B& be, Map& map, const FlowBatch<B>& states, const scalar* steps,
               const FlowBatch<B>& b, int p, index_t* products) {
    const index_t n = states.columns();
    product_.use(n);
    for_each_index(be, n, begin_krylov<scalar>{spaces(), b.data()}, columns_per_task(k_));
    for (index_t m = 0; m < most_; ++m) {
      const index_t left =
          count_if(be, array_view<const std::uint8_t>(done_).first(n), is_not_done{});
      if (left == 0) break;
      jvp(be, map, states.view(), columns(be, std::as_const(basis_), m * capacity_, n),
          product_.view());
      for_each_index(be, n,
                     extend_krylov<scalar>{spaces(), product_.data(), states.data(), steps,
                                           products, m, p, relative_, absolute_},
                     std::max<index_t>(1, columns_per_task(k_) / 4));
    }
  }

  /// out = base + factor φ_p(h J) b.
  void apply(const B& be, const FlowBatch<B>& base, scalar factor, FlowBatch<B>& out,
             scalar* errors) {
    out.use(base.columns());
    for_each_index(be, base.columns(),
                   apply_krylov<scalar>{spaces(), base.data(), out.data(), errors, factor},
                   columns_per_task(k_));
  }

 private:
  [[nodiscard]] phi_columns<scalar> spaces() {
    return {k_,
            capacity_,
            most_,
            raw_address(basis_.data()),
            raw_address(hessenberg_.data()),
            raw_address(weights_.data()),
            raw_address(rest_.data()),
            raw_address(dimensions_.data()),
            raw_address(done_.data()),
            is_cpu<B> ? nullptr : raw_address(work_.data())};
  }

  index_t k_;
  index_t capacity_;
  index_t most_;
  double relative_;
  double absolute_;
  FlowBatch<B> product_;
  typename B::matrix basis_;
  typename B::template buffer<double> hessenberg_, weights_, rest_;
  typename B::template buffer<index_t> dimensions_;
  typename B::template buffer<std::uint8_t> done_;
  typename B::template buffer<double> work_;
};

}  // namespace basin::detail
