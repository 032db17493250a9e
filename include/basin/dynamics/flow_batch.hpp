/// @file
/// A batch of states inside a flow, and loops over it that run on every backend.
#pragma once

#include <algorithm>
#include <memory>
#include <type_traits>
#include <utility>

#include <basin/backend/archive.hpp>
#include <basin/backend/array_view.hpp>
#include <basin/backend/concept.hpp>
#include <basin/backend/cpu/context.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>

namespace basin {

namespace detail {

template <class B>
inline constexpr bool is_cpu = std::is_same_v<B, cpu<typename B::scalar>>;

/// Entries of a task.
inline constexpr index_t flow_task = 8192;

/// Columns to a task.
[[nodiscard]] inline index_t columns_per_task(index_t k) {
  return std::max<index_t>(1, flow_task / (k + 1));
}

/// Columns that take a step together: few enough that what the step needs of them, some
/// sixteen batches, stays in the cache of a core. All of them on a device, which has no such
/// cache but many cores.
template <class B>
[[nodiscard]] index_t columns_per_step(const B& be, index_t k, index_t columns) {
  if constexpr (is_cpu<B>) {
    const index_t entries =
        flow_task * be.threads() * 8 / static_cast<index_t>(sizeof(typename B::scalar));
    return std::min(columns, std::max<index_t>(32, entries / k));
  } else {
    return columns;
  }
}

template <class F>
struct entries_of_one_column {
  F f;
  index_t k;
  BASIN_HOST_DEVICE void operator()(index_t j) const {
    for (index_t i = j * k; i < (j + 1) * k; ++i) f(i, j);
  }
};
template <class F>
struct one_entry {
  F f;
  index_t k;
  BASIN_HOST_DEVICE void operator()(index_t i) const { f(i, i / k); }
};

/// Calls f(i + j k, j) for every entry (i, j) of a k × n batch, a column by one thread on the
/// CPU and an entry by one thread on a device.
template <class B, class F>
void for_each_entry(const B& be, index_t k, index_t n, const F& f) {
  if constexpr (is_cpu<B>) {
    for_each_index(be, n, entries_of_one_column<F>{f, k}, columns_per_task(k));
  } else {
    for_each_index(be, k * n, one_entry<F>{f, k});
  }
}

/// Sum of term(i) over i in [0, n), in an order that n alone determines.
template <class Scalar, class Term>
[[nodiscard]] BASIN_HOST_DEVICE inline Scalar lane_sum(index_t n, const Term& term) {
  constexpr index_t lanes = 8;
  Scalar rest = 0;
  if (n < lanes) {
    for (index_t i = 0; i < n; ++i) rest += term(i);
    return rest;
  }
  Scalar sum[lanes] = {};
  index_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (index_t lane = 0; lane < lanes; ++lane) sum[lane] += term(i + lane);
  }
  for (; i < n; ++i) rest += term(i);
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7])) + rest;
}

/// Exchanges columns a[i] and b[i] of k entries.
template <class T>
struct swap_entries {
  T* x;
  const index_t* a;
  const index_t* b;
  index_t k;
  BASIN_HOST_DEVICE void operator()(index_t i, index_t pair) const {
    const index_t row = i - pair * k;
    T& left = x[a[pair] * k + row];
    T& right = x[b[pair] * k + row];
    const T kept = left;
    left = right;
    right = kept;
  }
};

template <class Scalar>
struct fill_zero {
  Scalar* data;
  BASIN_HOST_DEVICE void operator()(index_t i, index_t) const { data[i] = 0; }
};

}  // namespace detail

/// k × capacity numbers of a backend, of which the first `columns` columns are in use. Copies
/// share the memory.
template <class B>
class FlowBatch {
 public:
  using scalar = typename B::scalar;

  FlowBatch() = default;
  FlowBatch(const B& be, index_t k, index_t capacity)
      : backend_(&be),
        values_(std::make_shared<typename B::matrix>(be.make_matrix(k, capacity))),
        rows_(k),
        capacity_(capacity),
        columns_(capacity) {
    detail::for_each_entry(be, k, static_cast<index_t>(values_->cols()),
                           detail::fill_zero<scalar>{data()});
  }

  [[nodiscard]] const B& backend() const noexcept { return *backend_; }
  [[nodiscard]] index_t rows() const noexcept { return rows_; }
  [[nodiscard]] index_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] index_t columns() const noexcept { return columns_; }
  void use(index_t columns) noexcept { columns_ = columns; }

  [[nodiscard]] scalar* data() noexcept { return address(); }
  [[nodiscard]] const scalar* data() const noexcept { return address(); }

  /// The columns in use.
  [[nodiscard]] typename B::view view() {
    return basin::columns(*backend_, *values_, first_, columns_);
  }
  [[nodiscard]] typename B::const_view view() const {
    return basin::columns(*backend_, std::as_const(*values_), first_, columns_);
  }

  /// All columns, whether in use or not, in or out.
  template <class Archive>
  void archive(Archive& archive) {
    if (capacity_ > 0) detail::archive_matrix(*backend_, archive, *values_, capacity_);
  }

  /// `count` columns from `first` on, as a batch that shares the memory.
  [[nodiscard]] FlowBatch part(index_t first, index_t count) const {
    FlowBatch result = *this;
    if (capacity_ == 0) return result;
    result.first_ = first_ + first;
    result.capacity_ = result.columns_ = count;
    return result;
  }

 private:
  [[nodiscard]] scalar* address() const noexcept {
    return values_ == nullptr ? nullptr : raw_address(values_->data()) + first_ * rows_;
  }

  const B* backend_ = nullptr;
  std::shared_ptr<typename B::matrix> values_;
  index_t first_ = 0;
  index_t rows_ = 0;
  index_t capacity_ = 0;
  index_t columns_ = 0;
};

}  // namespace basin
