/// @file
/// What a run remembers for an accelerator that works on each column by itself, see
/// accelerator.hpp.
#pragma once

#include <algorithm>
#include <concepts>
#include <numeric>
#include <utility>
#include <vector>

#include <basin/backend/array_view.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/index.hpp>
#include <basin/solver/accelerator.hpp>

namespace basin {

/// What a run remembers for a column accelerator. A column's memory stays where it is when
/// the column moves; only its place in a list changes.
template <class Accelerator, class Backend>
class ColumnState {
  static_assert(std::same_as<Backend, cpu<typename Backend::scalar>>,
                "accelerators by column run on the CPU");

 public:
  using scalar = typename Backend::scalar;
  using record = typename Accelerator::template record<scalar>;

  ColumnState(const Accelerator& settings, const Backend& be, index_t k, index_t columns)
      : settings_(settings),
        k_(k),
        stride_(padded(settings.memory(k))),
        memory_(be.make_matrix(stride_, columns)),
        records_(static_cast<std::size_t>(columns)),
        place_(static_cast<std::size_t>(columns)) {
    std::iota(place_.begin(), place_.end(), index_t{0});
  }

  void advance(const Backend& be, typename Backend::matrix& Z, typename Backend::matrix& F,
               index_t n) {
    for_each_index(
        be, n,
        [&](index_t j) {
          settings_.advance(record_of(j), memory_of(j), Z.data() + j * k_, F.data() + j * k_, k_);
        },
        grain());
  }

  /// Lets the accelerator see f(Z) and its squared residuals, which change where it puts an
  /// earlier state back.
  void review(const Backend& be, typename Backend::matrix& Z, typename Backend::matrix& F,
              array_view<scalar> residuals, index_t n)
    requires detail::reviewing_accelerator<Accelerator, scalar>
  {
    for_each_index(
        be, n,
        [&](index_t j) {
          scalar* const z = Z.data() + j * k_;
          scalar* const f = F.data() + j * k_;
          if (settings_.review(record_of(j), memory_of(j), z, f, k_, residuals[j])) {
            residuals[j] = detail::squared_distance(z, f, k_);
          }
        },
        grain());
  }

  void move_columns(const Backend&, array_view<const index_t> from, array_view<const index_t> to) {
    for (index_t i = 0; i < from.size; ++i) std::swap(place(to[i]), place(from[i]));
  }
  template <class Archive>
  void archive(Archive& archive) {
    archive.array(memory_.data(), static_cast<index_t>(memory_.size()));
    archive.array(records_.data(), static_cast<index_t>(records_.size()));
    archive.array(place_.data(), static_cast<index_t>(place_.size()));
  }

  /// What the accelerator says of every start of a run, in their order. All starts of such a run
  /// begin at once, and a column's memory never leaves its place.
  [[nodiscard]] std::vector<acceleration_report> report() const
    requires detail::reporting_accelerator<Accelerator, scalar>
  {
    std::vector<acceleration_report> reports;
    reports.reserve(records_.size());
    for (const record& c : records_) reports.push_back(settings_.report(c));
    return reports;
  }

  /// What is remembered of column j.
  [[nodiscard]] record& record_of(index_t j) {
    return records_[static_cast<std::size_t>(place(j))];
  }

 private:
  static index_t padded(index_t count) {
    constexpr index_t line = 64 / static_cast<index_t>(sizeof(scalar));
    return (count + line - 1) / line * line;
  }
  [[nodiscard]] index_t grain() const { return std::max<index_t>(1, 4096 / (stride_ + 1)); }
  [[nodiscard]] index_t& place(index_t j) { return place_[static_cast<std::size_t>(j)]; }
  [[nodiscard]] scalar* memory_of(index_t j) { return memory_.data() + place(j) * stride_; }

  Accelerator settings_;
  index_t k_;
  index_t stride_;
  typename Backend::matrix memory_;
  std::vector<record> records_;
  std::vector<index_t> place_;  ///< of column j's memory and record
};

namespace detail {
template <class Accelerator, class Backend>
  requires column_accelerator<Accelerator>
struct accelerator_state<Accelerator, Backend> {
  using type = ColumnState<Accelerator, Backend>;
};
}  // namespace detail

}  // namespace basin
