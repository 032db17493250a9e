/// @file
/// Moves active columns by one or more iterations. Two ways, chosen by the kind of
/// map, never by the batch: a column's bits come from one of them alone.
#pragma once

#include <stop_token>

#include <Eigen/Core>

#include <basin/backend/cpu.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/concept.hpp>
#include <basin/solver/accelerator.hpp>
#include <basin/solver/monitor.hpp>
#include <basin/solver/run_state.hpp>

namespace basin::detail {

/// A column as the monitor asks for it; sums in the order of `squared_norm`.
template <class Scalar>
struct column_access {
  const Scalar* z;
  Scalar* anchor;
  index_t k;

  BASIN_HOST_DEVICE Scalar norm() const {
#if defined(__CUDA_ARCH__)
    Scalar sum = 0;
    for (index_t i = 0; i < k; ++i) sum += z[i] * z[i];
    return sum;
#else
    return squared_norm(z, k);
#endif
  }
  BASIN_HOST_DEVICE Scalar distance() const {
#if defined(__CUDA_ARCH__)
    Scalar sum = 0;
    for (index_t i = 0; i < k; ++i) sum += (z[i] - anchor[i]) * (z[i] - anchor[i]);
    return sum;
#else
    return squared_distance(anchor, z, k);
#endif
  }
  BASIN_HOST_DEVICE void mark() const {
    for (index_t i = 0; i < k; ++i) anchor[i] = z[i];
  }
};

/// The monitor's step for column j of a batch, as a device-neutral functor.
template <class Scalar, class Stopping>
struct monitor_columns {
  ColumnMonitor<Scalar, Stopping> monitor;
  column_record<Scalar>* records;
  const Scalar* residuals;
  std::uint8_t* outcome;
  Scalar* Z;
  Scalar* F;
  Scalar* anchors;
  index_t k;
  bool coupled;

  BASIN_HOST_DEVICE void operator()(index_t j) const {
    const auto before = static_cast<status>(outcome[j]);
    const bool latched = before != status::running && before != status::converged;
    if (latched && (before == status::diverged || before == status::non_finite)) {
      // Only a coupled batch keeps such a column; it stays at its last finite state.
      for (index_t i = 0; i < k; ++i) F[j * k + i] = Z[j * k + i];
      return;
    }
    if (latched) {
      records[j].residual = residuals[j];
      return;
    }
    const status now =
        monitor.step(records[j], residuals[j], column_access<Scalar>{Z + j * k, anchors + j * k, k});
    outcome[j] = static_cast<std::uint8_t>(now);
    if (coupled && (now == status::diverged || now == status::non_finite)) {
      for (index_t i = 0; i < k; ++i) F[j * k + i] = Z[j * k + i];
    }
  }
};

/// Holds where a column has ended.
struct is_ended {
  BASIN_HOST_DEVICE bool operator()(std::uint8_t outcome) const {
    return outcome != static_cast<std::uint8_t>(status::running);
  }
};

/// Copies the records of chosen columns beside each other.
template <class Scalar>
struct gather_records {
  const column_record<Scalar>* records;
  column_record<Scalar>* gathered;
  const index_t* which;
  BASIN_HOST_DEVICE void operator()(index_t i) const { gathered[i] = records[which[i]]; }
};

/// Moves what is remembered of columns to other columns.
template <class Scalar>
struct move_records {
  column_record<Scalar>* records;
  Scalar* residuals;
  std::uint8_t* outcome;
  const index_t* from;
  const index_t* to;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    records[to[i]] = records[from[i]];
    residuals[to[i]] = residuals[from[i]];
    outcome[to[i]] = outcome[from[i]];
  }
};

/// Runs every active column by itself for up to `iterations` steps: no barrier, no
/// batch in memory. For columnwise maps on the CPU with a pointwise accelerator.
template <class Scalar, class G, int K, class Accelerator, class Stopping>
void step_columns(const cpu<Scalar>& be, const Columnwise<G, K>& map, const Accelerator& accelerator,
                  const ColumnMonitor<Scalar, Stopping>& monitor, run_state<cpu<Scalar>>& run,
                  index_t iterations, const std::stop_token& stop) {
  using vector = Eigen::Matrix<Scalar, K, 1>;
  const index_t k = run.dimension();
  const auto step_column = [&](index_t j) {
    if (stop.stop_requested()) return;
    Scalar* const z_stored = run.Z.data() + j * k;
    Scalar* const f_stored = run.F.data() + j * k;
    column_record<Scalar> record = run.records[static_cast<std::size_t>(j)];
    status outcome = status::running;
    // A state of fixed size lives in registers, any other where it is stored.
    constexpr bool fixed = K != Eigen::Dynamic;
    const auto local = [&](Scalar* stored) {
      if constexpr (fixed) {
        return vector(Eigen::Map<const vector>(stored));
      } else {
        return Eigen::Map<vector>(stored, k);
      }
    };
    auto z = local(z_stored);
    auto f = local(f_stored);
    const auto store = [&] {
      if constexpr (fixed) {
        Eigen::Map<vector>(z_stored, k) = z;
        Eigen::Map<vector>(f_stored, k) = f;
      }
      run.records[static_cast<std::size_t>(j)] = record;
      run.residuals[static_cast<std::size_t>(j)] = record.residual;
      run.outcome[static_cast<std::size_t>(j)] = static_cast<std::uint8_t>(outcome);
    };
    const Eigen::Map<const vector> z_read(z.data(), k);
    Eigen::Map<vector> f_written(f.data(), k);
    const column_access<Scalar> access{z.data(), run.anchors.data() + j * k, k};
    for (index_t i = 0; i < iterations && outcome == status::running; ++i) {
      if (!record.pending) {
        for (index_t row = 0; row < k; ++row) z[row] = accelerator.next(z[row], f[row]);
        record.pending = true;
      }
      try {
        map.template apply<Scalar>(z_read, f_written);
      } catch (...) {
        store();
        throw;
      }
      Scalar residual;
      if constexpr (fixed && K <= 16) {
        residual = (f - z).squaredNorm();
        if (!is_finite(residual)) residual = squared_distance(z.data(), f.data(), k);
      } else {
        residual = squared_distance(z.data(), f.data(), k);
      }
      outcome = monitor.step(record, residual, access);
    }
    store();
  };
  for_each_index(be, run.active, step_column, std::max<index_t>(1, 256 / k));
}

}  // namespace basin::detail
