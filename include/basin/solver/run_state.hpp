/// @file
/// Everything that a run knows between two iterations: what a checkpoint holds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <basin/backend/concept.hpp>
#include <basin/solver/monitor.hpp>
#include <basin/solver/result.hpp>

namespace basin {

/// The active columns stand first in every array of `capacity` columns; `origin` says
/// which starts they are. Ended columns have left for `result`. Starts that have not
/// begun wait in `result.states`.
template <class Backend>
struct run_state {
  using scalar = typename Backend::scalar;
  using matrix = typename Backend::matrix;

  index_t capacity = 0;
  index_t active = 0;
  index_t begun = 0;    ///< starts 0 ... begun - 1 are or were active
  bool pending = true;  ///< Z of a batch has not been evaluated; records say it per column
  matrix Z;             ///< states
  matrix F;             ///< f(Z), where not pending
  matrix anchors;       ///< states at the begin of a watched window; of an ended column its own
  typename Backend::template buffer<column_record<scalar>> records;
  typename Backend::template buffer<scalar> residuals;      ///< squared
  typename Backend::template buffer<std::uint8_t> outcome;  ///< basin::status of each column
  std::vector<index_t> origin;
  FixedPointResult<Backend> result;

  /// @param most columns that are active at once
  run_state(const Backend& be, index_t k, index_t n, index_t most)
      : capacity(std::min(n, most)),
        Z(be.make_matrix(k, capacity)),
        F(be.make_matrix(k, capacity)),
        anchors(be.make_matrix(k, capacity)),
        records(be.template make_buffer<column_record<scalar>>(capacity)),
        residuals(be.template make_buffer<scalar>(capacity)),
        outcome(be.template make_buffer<std::uint8_t>(capacity)),
        origin(static_cast<std::size_t>(capacity)) {
    const auto size = static_cast<std::size_t>(n);
    result.states = be.make_matrix(k, n);
    result.residual.resize(size);
    result.iterations.resize(size);
    result.evaluations.resize(size);
    result.status.resize(size, status::running);
    result.period.resize(size);
  }

  [[nodiscard]] index_t dimension() const { return static_cast<index_t>(Z.rows()); }
  [[nodiscard]] index_t size() const { return result.size(); }
};

}  // namespace basin
