/// @file
/// Moves active columns by one or more iterations. Two ways, chosen by the kind of
/// map, never by the batch: a column's bits come from one of them alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stop_token>

#include <Eigen/Core>

#include <basin/backend/cpu.hpp>
#include <basin/backend/cpu/scratch.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/concept.hpp>
#include <basin/solver/accelerator.hpp>
#include <basin/solver/monitor.hpp>
#include <basin/solver/result.hpp>
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
///
/// A column that ends leaves its state where its anchor was, which it needs no more, until it is
/// taken out of the batch. If that is not at once, it is iterated for nothing: f(z) = z for it.
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
    if (!coupled && before != status::running) {
      for (index_t i = j * k; i < (j + 1) * k; ++i) F[i] = Z[i];
      return;
    }
    const bool latched = before != status::running && before != status::converged;
    if (latched && (before == status::diverged || before == status::non_finite)) {
      // Of a coupled batch such a column stays at its last finite state.
      for (index_t i = 0; i < k; ++i) F[j * k + i] = Z[j * k + i];
      return;
    }
    if (latched) {
      records[j].residual = residuals[j];
      return;
    }
    const status now = monitor.step(records[j], residuals[j],
                                    column_access<Scalar>{Z + j * k, anchors + j * k, k});
    outcome[j] = static_cast<std::uint8_t>(now);
    if (now == status::running) return;
    if (!coupled) {
      for (index_t i = j * k; i < (j + 1) * k; ++i) anchors[i] = F[i] = Z[i];
    } else if (now == status::diverged || now == status::non_finite) {
      for (index_t i = j * k; i < (j + 1) * k; ++i) F[i] = Z[i];
    }
  }
};

/// Columns that still run end as they are.
template <class Scalar>
struct end_columns {
  const Scalar* Z;
  Scalar* anchors;
  index_t k;
  std::uint8_t* outcome;
  std::uint8_t as;
  BASIN_HOST_DEVICE void operator()(index_t j) const {
    for (index_t i = j * k; i < (j + 1) * k; ++i) anchors[i] = Z[i];
    outcome[j] = as;
  }
};

/// Holds where a column has ended.
struct is_ended {
  BASIN_HOST_DEVICE bool operator()(std::uint8_t outcome) const {
    return outcome != static_cast<std::uint8_t>(status::running);
  }
};

/// Lets columns begin: copies their states and makes their records. A column that is not
/// finite ends before the map sees it.
template <class Scalar>
struct begin_columns {
  const Scalar* starts;
  Scalar* Z;
  Scalar* anchors;  ///< where a column that has ended leaves its state
  index_t k;
  column_record<Scalar>* records;
  std::uint8_t* outcome;
  BASIN_HOST_DEVICE void operator()(index_t j) const {
    bool finite = true;
    for (index_t i = j * k; i < (j + 1) * k; ++i) {
      Z[i] = anchors[i] = starts[i];
      finite &= is_finite(starts[i]);
    }
    records[j] = column_record<Scalar>{};
    outcome[j] = static_cast<std::uint8_t>(finite ? status::running : status::non_finite);
  }
};

/// What the result holds of a column.
template <class Scalar>
struct column_answer {
  Scalar residual;  ///< squared
  std::int32_t period;
  index_t iterations;
  index_t evaluations;
};

template <class Scalar>
[[nodiscard]] BASIN_HOST_DEVICE column_answer<Scalar> answer_of(const column_record<Scalar>& c) {
  return {c.residual, c.period, c.iterations, c.evaluations};
}

/// Writes what a column of a run ended with.
template <class Backend>
void write_answer(FixedPointResult<Backend>& result, index_t start, status outcome,
                  const column_answer<typename Backend::scalar>& answer) {
  const auto at = static_cast<std::size_t>(start);
  result.status[at] = outcome;
  result.residual[at] = std::sqrt(answer.residual);
  result.iterations[at] = answer.iterations;
  result.evaluations[at] = answer.evaluations;
  result.period[at] = outcome == status::cycle       ? answer.period
                      : outcome == status::converged ? 1
                                                     : 0;
}

/// Counts evaluations that products with the Jacobian stand for.
template <class Scalar>
struct add_evaluations {
  column_record<Scalar>* records;
  const index_t* spent;
  BASIN_HOST_DEVICE void operator()(index_t j) const { records[j].evaluations += spent[j]; }
};

/// Takes the answers of chosen columns out of their records.
template <class Scalar>
struct gather_answers {
  const column_record<Scalar>* records;
  column_answer<Scalar>* answers;
  const index_t* which;
  BASIN_HOST_DEVICE void operator()(index_t i) const { answers[i] = answer_of(records[which[i]]); }
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

/// ‖f - z‖² of one state, whatever the sum comes to.
template <class Scalar, class Vector>
[[nodiscard, gnu::always_inline]] inline Scalar state_sum(const Vector& z, const Vector& f) {
  constexpr int fixed = Vector::SizeAtCompileTime;
  if constexpr (fixed != Eigen::Dynamic && fixed <= 16) {
    // Entry by entry: a packet would wait for the entries that g has just stored.
    Scalar sum = 0;
    for (int i = 0; i < fixed; ++i) sum += (f[i] - z[i]) * (f[i] - z[i]);
    return sum;
  } else {
    return sum_of_squared_differences(z.data(), f.data(), static_cast<index_t>(z.size()));
  }
}

/// One column of a columnwise map: its state, and how it moves.
template <class Scalar, class G, int K, class Accelerator, class Stopping>
class ColumnRun {
 public:
  using vector = Eigen::Matrix<Scalar, K, 1>;
  static constexpr bool fixed = is_small_state<K>;
  /// A small state of fixed size lives in registers, any other in aligned scratch memory.
  using local = std::conditional_t<fixed, vector, Eigen::Map<vector>>;

  ColumnRun(const Columnwise<G, K>& map, const Accelerator& accelerator,
            const ColumnMonitor<Scalar, Stopping>& monitor, run_state<cpu<Scalar>>& run, index_t j)
      : map_(map),
        accelerator_(accelerator),
        monitor_(monitor),
        run_(run),
        at_(static_cast<std::size_t>(j)),
        k_(run.dimension()),
        z_stored_(run.Z.data() + j * k_),
        f_stored_(run.F.data() + j * k_),
        anchor_(run.anchors.data() + j * k_),
        record_(run.records[at_]) {}

  /// Takes up to `iterations` steps and stores the state, also if the map throws.
  void step(index_t iterations) {
    scratch_scope scope;
    alignas(state_alignment) local z = copy_of(z_stored_, scope);
    alignas(state_alignment) local f = copy_of(f_stored_, scope);
    status outcome = status::running;
    try {
      while (iterations > 0 && outcome == status::running) {
        if (!record_.pending) {
          iterations -= plain(z, f, std::min(iterations, monitor_.plain_steps(record_)));
          if (iterations == 0) break;
        }
        if (!evaluated_) {
          if (!record_.pending) advance(z, f);
          record_.pending = true;
          apply(z, f);
        }
        evaluated_ = false;
        const Scalar sum = finite_or_reason(state_sum<Scalar>(z, f), f.data(), k_);
        outcome = monitor_.step(record_, sum, column_access<Scalar>{z.data(), anchor_, k_});
        --iterations;
      }
    } catch (...) {
      store(z, f, outcome);
      throw;
    }
    store(z, f, outcome);
  }

 private:
  local copy_of(const Scalar* stored, scratch_scope& scope) const {
    if constexpr (fixed) {
      return Eigen::Map<const vector>(stored);
    } else {
      local copy(scope.get<Scalar>(k_), k_);
      std::copy_n(stored, k_, copy.data());
      return copy;
    }
  }

  void store(const local& z, const local& f, status outcome) {
    std::copy_n(z.data(), k_, z_stored_);
    std::copy_n(f.data(), k_, f_stored_);
    run_.residuals[at_] = record_.residual;
    run_.outcome[at_] = static_cast<std::uint8_t>(outcome);
  }

  [[gnu::always_inline]] void advance(local& z, const local& f) const {
    const index_t k = fixed ? K : k_;
    for (index_t i = 0; i < k; ++i) z[i] = accelerator_.next(z[i], f[i]);
  }
  [[gnu::always_inline]] void apply(const local& z, local& f) const {
    const index_t k = fixed ? K : k_;
    const Eigen::Map<const vector> read(z.data(), k);
    Eigen::Map<vector> written(f.data(), k);
    map_.template apply<Scalar>(read, written);
  }

  /// Takes up to `limit` plain steps in a loop that touches nothing but the state, and
  /// leaves the first that is not plain evaluated, for the monitor.
  /// @return the number of plain steps
  index_t plain(local& z_out, local& f_out, index_t limit) {
    // Copies whose addresses stay here, so that they stay in registers.
    alignas(state_alignment) local z = z_out;
    alignas(state_alignment) local f = f_out;
    index_t count = 0;
    bool exchanged = false;  // the state is in f, and its value in z
    Scalar sum = record_.window_sum;
    Scalar last = record_.residual;
    const Scalar limit_of_residual = record_.limit;
    const auto leave = [&](bool evaluated) {
      if (exchanged) z.swap(f);
      monitor_.take_plain(record_, count, sum, last);
      record_.pending = evaluated_ = evaluated;
      if constexpr (fixed) {
        z_out = z;
        f_out = f;
      }
    };
    // Evaluates at `state`, and says whether the step was plain.
    const auto evaluate_plain = [&](local& state, local& value) {
      apply(state, value);
      const Scalar residual = state_sum<Scalar>(state, value);
      if (!monitor_.is_plain(limit_of_residual, residual)) return false;
      sum += residual;
      last = residual;
      ++count;
      return true;
    };
    bool is_plain = true;
    try {
      while (count < limit) {
        if constexpr (takes_the_value<Accelerator>) {
          // The two exchange their roles, and nothing is copied.
          exchanged = true;
          is_plain = evaluate_plain(f, z);
          if (!is_plain || count == limit) break;
          exchanged = false;
        } else {
          advance(z, f);
        }
        is_plain = evaluate_plain(z, f);
        if (!is_plain) break;
      }
    } catch (...) {
      leave(true);
      throw;
    }
    leave(!is_plain);
    return count;
  }

  const Columnwise<G, K>& map_;
  const Accelerator& accelerator_;
  const ColumnMonitor<Scalar, Stopping>& monitor_;
  run_state<cpu<Scalar>>& run_;
  std::size_t at_;
  index_t k_;
  Scalar* z_stored_;
  Scalar* f_stored_;
  Scalar* anchor_;
  column_record<Scalar>& record_;  // in place: a copy would wait for the stores to its parts
  bool evaluated_ = false;         ///< f belongs to z, and the monitor has not seen it
};

/// Runs every active column by itself for up to `iterations` steps, and writes what it
/// ended with: no barrier, no batch in memory. For columnwise maps on the CPU with a
/// pointwise accelerator.
template <class Scalar, class G, int K, class Accelerator, class Stopping>
void step_columns(const cpu<Scalar>& be, const Columnwise<G, K>& map,
                  const Accelerator& accelerator, const ColumnMonitor<Scalar, Stopping>& monitor,
                  run_state<cpu<Scalar>>& run, index_t iterations, const std::stop_token& stop) {
  for_each_index(
      be, run.active,
      [&](index_t j) {
        if (stop.stop_requested()) return;
        ColumnRun<Scalar, G, K, Accelerator, Stopping>(map, accelerator, monitor, run, j)
            .step(iterations);
        const auto at = static_cast<std::size_t>(j);
        if (!is_ended{}(run.outcome[at])) return;
        const index_t k = run.dimension();
        std::copy_n(run.Z.data() + j * k, k, run.result.states.data() + run.origin[at] * k);
        write_answer(run.result, run.origin[at], static_cast<status>(run.outcome[at]),
                     answer_of(run.records[at]));
      },
      std::max<index_t>(1, 256 / run.dimension()));
}

}  // namespace basin::detail
