/// @file
/// The columns of a flow between two steps: everything that is known of them.
#pragma once

#include <cstdint>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include <basin/backend/archive.hpp>
#include <basin/backend/concept.hpp>
#include <basin/dynamics/first_step.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/flow_result.hpp>
#include <basin/dynamics/step_controller.hpp>

namespace basin::detail {

/// k × N states and what is remembered of each, on backend B. `origin` says which starts they
/// are.
template <class B>
struct FlowColumns {
  using scalar = typename B::scalar;

  /// @param dense keep the beginning of every column's last step
  /// @param midpoints and the state at its half
  FlowColumns(const B& be, index_t k, index_t size, bool dense, bool midpoints)
      : Z(be, k, size),
        F(be, k, size),
        old_Z(be, k, dense ? size : 0),
        old_F(be, k, dense ? size : 0),
        mid(be, k, dense && midpoints ? size : 0),
        records(be.template make_buffer<flow_record>(size)),
        outcome(be.template make_buffer<std::uint8_t>(size)),
        steps(be.template make_buffer<scalar>(size)),
        residuals(be.template make_buffer<scalar>(size)),
        times(be.template make_buffer<double>(size)),
        origin(static_cast<std::size_t>(size)) {
    std::iota(origin.begin(), origin.end(), index_t{0});
  }

  FlowBatch<B> Z, F, old_Z, old_F, mid;
  typename B::template buffer<flow_record> records;
  typename B::template buffer<std::uint8_t> outcome;  ///< flow_status, or flow_parked
  typename B::template buffer<scalar> steps;          ///< the next to attempt
  typename B::template buffer<scalar> residuals;      ///< squared
  typename B::template buffer<double> times;
  std::vector<index_t> origin;

  [[nodiscard]] index_t dimension() const noexcept { return Z.rows(); }
  [[nodiscard]] index_t size() const noexcept { return Z.capacity(); }

  /// Copies the starts, and ends those that are not finite.
  void take(const B& be, const typename B::const_view& starts) {
    const index_t k = dimension();
    for_each_index(
        be, size(),
        take_starts<scalar>{raw_address(starts.data()), starts.outerStride(), Z.data(), k,
                            raw_address(outcome.data()), raw_address(residuals.data())},
        columns_per_task(k));
  }

  /// Columns a[i] and b[i] change places, but for their origins; a and b in the backend's memory.
  void exchange(const B& be, const index_t* a, const index_t* b, index_t count) {
    const index_t k = dimension();
    for (FlowBatch<B>* batch : {&Z, &F, &old_Z, &old_F, &mid}) {
      if (batch->capacity() == 0) continue;
      for_each_entry(be, k, count, swap_entries<scalar>{batch->data(), a, b, k});
    }
    const auto swap_array = [&](auto* x) {
      for_each_entry(be, 1, count, swap_entries<std::remove_pointer_t<decltype(x)>>{x, a, b, 1});
    };
    swap_array(raw_address(records.data()));
    swap_array(raw_address(outcome.data()));
    swap_array(raw_address(steps.data()));
    swap_array(raw_address(residuals.data()));
    swap_array(raw_address(times.data()));
  }

  /// All of them in or out, where nothing is dense.
  template <class Archive>
  void archive(const B& be, Archive& archive) {
    Z.archive(archive);
    F.archive(archive);
    archive_array(be, archive, array_view<flow_record>(records));
    archive_array(be, archive, array_view<std::uint8_t>(outcome));
    archive_array(be, archive, array_view<scalar>(steps));
    archive_array(be, archive, array_view<scalar>(residuals));
    archive_array(be, archive, array_view<double>(times));
    archive.array(origin.data(), size());
  }
  /// Bytes of a column in an archive.
  [[nodiscard]] static constexpr std::uint64_t archived_bytes(std::uint64_t k) {
    return 2 * k * sizeof(scalar) + sizeof(flow_record) + sizeof(std::uint8_t) +
           2 * sizeof(scalar) + sizeof(double) + sizeof(index_t);
  }

  /// What every column has come to, in the order of the starts.
  [[nodiscard]] FlowResult<B> result(const B& be) {
    const auto n = static_cast<std::size_t>(size());
    FlowResult<B> found{be.make_matrix(dimension(), size()),
                        std::vector<scalar>(n),
                        std::vector<double>(n),
                        std::vector<index_t>(n),
                        std::vector<index_t>(n),
                        std::vector<index_t>(n),
                        std::vector<index_t>(n),
                        std::vector<flow_status>(n),
                        std::vector<index_t>(n)};
    if (n == 0) return found;
    auto where = be.template make_buffer<index_t>(size());
    upload_array(be, array_view<const index_t>(origin), array_view<index_t>(where));
    Z.use(size());
    scatter_columns(be, std::as_const(Z).view(), array_view<const index_t>(where),
                    columns(be, found.states, 0, size()));
    std::vector<flow_record> ended(n);
    std::vector<scalar> squares(n);
    std::vector<std::uint8_t> reasons(n);
    download_array(be, array_view<const flow_record>(records), array_view<flow_record>(ended));
    download_array(be, array_view<const scalar>(residuals), array_view<scalar>(squares));
    download_array(be, array_view<const std::uint8_t>(outcome), array_view<std::uint8_t>(reasons));
    for (std::size_t slot = 0; slot < n; ++slot) {
      const auto at = static_cast<std::size_t>(origin[slot]);
      const flow_record& c = ended[slot];
      found.residual[at] = std::sqrt(squares[slot]);
      found.time[at] = c.time;
      found.accepted[at] = c.accepted;
      found.rejected[at] = c.rejected;
      found.evaluations[at] = c.evaluations;
      found.products[at] = c.products;
      found.status[at] = static_cast<flow_status>(reasons[slot]);
      found.attractor[at] = c.attractor;
    }
    return found;
  }
};

}  // namespace basin::detail
