/// @file
/// What a run remembers for an accelerator that works on each column by itself, see
/// accelerator.hpp.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include <basin/backend/archive.hpp>
#include <basin/backend/array_view.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/core/status.hpp>
#include <basin/solver/accelerator.hpp>

namespace basin {

namespace detail {

/// The columns of a batch with what is remembered of them, as their lanes see them.
template <class Settings, class Record, class Scalar>
struct accelerated_columns {
  Settings settings;
  Record* records;
  Scalar* memory;
  const index_t* place;
  index_t stride;
  Scalar* Z;
  Scalar* F;
  index_t k;
  const std::uint8_t* outcome;  ///< columns that have ended are left alone; null: all go on

  [[nodiscard]] BASIN_HOST_DEVICE bool goes_on(index_t j) const {
    return outcome == nullptr || outcome[j] == static_cast<std::uint8_t>(status::running);
  }
};

template <class Settings, class Record, class Scalar>
struct advance_columns {
  accelerated_columns<Settings, Record, Scalar> at;
  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t j) const {
    if (!at.goes_on(j)) return;
    const index_t place = at.place[j];
    lanes.update(at.records[place], [&](Record& c) {
      advance_column(at.settings, lanes, c, at.memory + place * at.stride, at.Z + j * at.k,
                     at.F + j * at.k, at.k);
    });
  }
};

template <class Settings, class Record, class Scalar>
struct review_columns {
  accelerated_columns<Settings, Record, Scalar> at;
  Scalar* residuals;
  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t j) const {
    if (!at.goes_on(j)) return;
    const index_t place = at.place[j];
    Scalar* const z = at.Z + j * at.k;
    Scalar* const f = at.F + j * at.k;
    bool put_back = false;
    lanes.update(at.records[place], [&](Record& c) {
      put_back = review_column(at.settings, lanes, c, at.memory + place * at.stride, z, f, at.k,
                               residuals[j]);
    });
    if (!put_back) return;
    const Scalar square = lanes.squared_distance(z, f, at.k);
    lanes.once([&] { residuals[j] = square; });
  }
};

struct number_places {
  index_t* place;
  BASIN_HOST_DEVICE void operator()(index_t j) const { place[j] = j; }
};
struct exchange_places {
  index_t* place;
  const index_t* from;
  const index_t* to;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t other = place[to[i]];
    place[to[i]] = place[from[i]];
    place[from[i]] = other;
  }
};

}  // namespace detail

/// What a run remembers for a column accelerator, in the backend's memory. A column's memory stays
/// where it is when the column moves; only its place in a list changes.
///
/// Cost on a device: one launch to advance and one to review, a warp to a column; no transfer.
template <class Accelerator, class Backend>
class ColumnState {
 public:
  static constexpr bool recordable = true;  ///< all launches are the same in every iteration
  using scalar = typename Backend::scalar;
  using record = typename Accelerator::template record<scalar>;

 private:
  static constexpr bool on_host = std::same_as<Backend, cpu<scalar>>;
  static_assert(on_host || detail::lane_accelerator<Accelerator, scalar>,
                "this accelerator's advance takes no lanes: it runs on the CPU alone, see "
                "solver/accelerator.hpp");
  static_assert(on_host || std::is_trivially_copyable_v<Accelerator>,
                "an accelerator by column goes to a device if its settings are trivially copyable");

 public:
  ColumnState(const Accelerator& settings, const Backend& be, index_t k, index_t columns)
      : be_(be),
        settings_(settings),
        k_(k),
        stride_(padded(settings.memory(k))),
        scratch_numbers_(detail::lane_scratch(settings, k)),
        memory_(be.make_matrix(stride_, columns)),
        scratch_(make_lane_scratch(be, columns, scratch_numbers_)),
        records_(be.template make_buffer<record>(columns)),
        place_(be.template make_buffer<index_t>(columns)) {
    for_each_index(be, columns, detail::number_places{raw_address(place_.data())});
  }

  /// From now on columns that have ended are left alone.
  /// @param outcome status of each column, in the backend's memory
  void follow(array_view<const std::uint8_t> outcome) { outcome_ = outcome.data; }

  void advance(const Backend& be, typename Backend::matrix& Z, typename Backend::matrix& F,
               index_t n) {
    share_out(be, n, detail::advance_columns<held, record, scalar>{columns_of(Z, F)});
  }

  /// Lets the accelerator see f(Z) and its squared residuals, which change where it puts an
  /// earlier state back.
  void review(const Backend& be, typename Backend::matrix& Z, typename Backend::matrix& F,
              array_view<scalar> residuals, index_t n)
    requires detail::reviewing_accelerator<Accelerator, scalar>
  {
    share_out(be, n,
              detail::review_columns<held, record, scalar>{columns_of(Z, F), residuals.data});
  }

  void move_columns(const Backend& be, array_view<const index_t> from,
                    array_view<const index_t> to) {
    for_each_index(be, from.size,
                   detail::exchange_places{raw_address(place_.data()), from.data, to.data});
  }
  template <class Archive>
  void archive(Archive& archive) {
    detail::archive_matrix(be_, archive, memory_, static_cast<index_t>(memory_.cols()));
    detail::archive_array(be_, archive, array_view<record>(records_));
    detail::archive_array(be_, archive, array_view<index_t>(place_));
  }

  /// What the accelerator says of every start of a run, in their order. All starts of such a run
  /// begin at once, and a column's memory never leaves its place. One transfer.
  [[nodiscard]] std::vector<acceleration_report> report() const
    requires detail::reporting_accelerator<Accelerator, scalar>
  {
    std::vector<record> records(static_cast<std::size_t>(records_.size()));
    download_array(be_, array_view<const record>(records_), array_view<record>(records));
    std::vector<acceleration_report> reports;
    reports.reserve(records.size());
    for (const record& c : records) reports.push_back(settings_.report(c));
    return reports;
  }

 private:
  /// What work holds of the settings: a device gets a copy.
  using held = std::conditional_t<std::is_trivially_copyable_v<Accelerator>, Accelerator,
                                  const Accelerator&>;

  static index_t padded(index_t count) {
    constexpr index_t line = 64 / static_cast<index_t>(sizeof(scalar));
    return (count + line - 1) / line * line;
  }
  [[nodiscard]] detail::accelerated_columns<held, record, scalar> columns_of(
      typename Backend::matrix& Z, typename Backend::matrix& F) {
    return {settings_,
            raw_address(records_.data()),
            raw_address(memory_.data()),
            raw_address(place_.data()),
            stride_,
            raw_address(Z.data()),
            raw_address(F.data()),
            k_,
            outcome_};
  }
  template <class Work>
  void share_out(const Backend& be, index_t n, const Work& work) {
    for_each_in_lanes(be, n, work, scratch_numbers_, array_view<scalar>(scratch_),
                      std::max<index_t>(1, 4096 / (stride_ + 1)));
  }

  Backend be_;
  Accelerator settings_;
  index_t k_;
  index_t stride_;
  index_t scratch_numbers_;  ///< that a column takes at once
  const std::uint8_t* outcome_ = nullptr;
  typename Backend::matrix memory_;
  typename Backend::template buffer<scalar> scratch_;
  typename Backend::template buffer<record> records_;
  typename Backend::template buffer<index_t> place_;  ///< of column j's memory and record
};

namespace detail {
template <class Accelerator, class Backend>
  requires column_accelerator<Accelerator>
struct accelerator_state<Accelerator, Backend> {
  using type = ColumnState<Accelerator, Backend>;
};
}  // namespace detail

}  // namespace basin
