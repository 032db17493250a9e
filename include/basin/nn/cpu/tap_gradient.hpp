/// @file
/// The gradient of the weights of a linear layer, on the CPU.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <basin/backend/cpu/scratch.hpp>
#include <basin/backend/cpu/thread_pool.hpp>
#include <basin/nn/block.hpp>
#include <basin/nn/cpu/tap_kernel.hpp>
#include <basin/nn/cpu/tap_product.hpp>
#include <basin/nn/taps.hpp>

namespace basin {

/// dW_t += sum over states and over the taps (q, s, t) of u_q x_s^T.
///
/// Registers run along the longer of the two sides. An element's sum is over blocks of
/// states, then pixels, then the states of a block, whatever the number of threads.
/// Cost: 2 × taps × output channels × input channels flops a state.
template <class Scalar>
class TapGradient {
 public:
  TapGradient() = default;
  /// @copydoc TapProduct::TapProduct(const taps&, index_t, index_t)
  TapGradient(const taps& joins, index_t inputs, index_t outputs)
      : inputs_(inputs),
        outputs_(outputs),
        targets_(joins.targets()),
        along_outputs_(outputs >= inputs || outputs >= detail::panel_width<Scalar>) {
    pairs_.resize(static_cast<std::size_t>(joins.count()));
    for (index_t q = 0; q < joins.targets(); ++q) {
      for (index_t i = joins.begin(q); i < joins.begin(q + 1); ++i) {
        const taps::tap& one = joins.list()[static_cast<std::size_t>(i)];
        const index_t u = q * outputs;
        const index_t x = one.source * inputs;
        pairs_[static_cast<std::size_t>(one.matrix)].emplace_back(along_outputs_ ? u : x,
                                                                  along_outputs_ ? x : u);
      }
    }
  }

  /// @param x the layer's inputs
  /// @param u cotangents of its outputs, as many columns
  /// @param index index(t, o, i): position in g of element (o, i) of matrix t
  template <class Index>
  void add(thread_pool* pool, block<const Scalar> x, block<const Scalar> u, const Index& index,
           Scalar* g) const {
    constexpr index_t width = detail::panel_width<Scalar>;
    const block<const Scalar> a = along_outputs_ ? u : x;
    const block<const Scalar> b = along_outputs_ ? x : u;
    const index_t rows = along_outputs_ ? outputs_ : inputs_;
    const index_t columns = along_outputs_ ? inputs_ : outputs_;
    const index_t panels = (rows + width - 1) / width;
    const auto matrices = static_cast<index_t>(pairs_.size());
    // The sums of a task stay in the second-level cache while all states pass by.
    const index_t group = std::clamp<index_t>((index_t{1} << 15) / (columns * width), 1,
                                              std::max<index_t>(1, (matrices + 1) / 2));
    const index_t groups = (matrices + group - 1) / group;
    const auto run_task = [&](index_t task) {
      const index_t first_row = task / groups * width;
      const index_t valid = std::min(width, rows - first_row);
      const index_t first_matrix = task % groups * group;
      const index_t last_matrix = std::min(matrices, first_matrix + group);
      scratch_scope scope;
      const index_t size = (last_matrix - first_matrix) * columns * width;
      Scalar* const sums = scope.get<Scalar>(size);
      std::fill_n(sums, size, Scalar(0));
      for (index_t first = 0; first < a.count; first += states_at_once) {
        const index_t states = std::min(states_at_once, a.count - first);
        Scalar* sum = sums;
        for (index_t t = first_matrix; t < last_matrix; ++t) {
          const auto& pairs = pairs_[static_cast<std::size_t>(t)];
          detail::for_each_tile<Scalar>(columns, [&](index_t c, auto wide) {
            detail::add_outer_products<decltype(wide)::value>(
                pairs.data(), static_cast<index_t>(pairs.size()), a.column(first) + first_row,
                a.stride, valid, b.column(first) + c, b.stride, states, sum);
            sum += wide * width;
          });
        }
      }
      const Scalar* sum = sums;
      for (index_t t = first_matrix; t < last_matrix; ++t) {
        for (index_t c = 0; c < columns; ++c, sum += width) {
          for (index_t r = 0; r < valid; ++r) {
            const index_t o = along_outputs_ ? first_row + r : c;
            const index_t i = along_outputs_ ? c : first_row + r;
            g[index(t, o, i)] += sum[r];
          }
        }
      }
    };
    if (pool != nullptr) {
      pool->run(panels * groups, run_task);
    } else {
      for (index_t task = 0; task < panels * groups; ++task) run_task(task);
    }
  }

  /// db += sum over states of u_q, and over target pixels unless each has its own.
  /// @param index index(q, o): position in g
  template <class Index>
  void add_bias(block<const Scalar> u, const Index& index, Scalar* g) const {
    scratch_scope scope;
    const index_t rows = targets_ * outputs_;
    Scalar* const sum = scope.get<Scalar>(rows);
    std::fill_n(sum, rows, Scalar(0));
    for (index_t j = 0; j < u.count; ++j) {
      const Scalar* const from = u.column(j);
      for (index_t i = 0; i < rows; ++i) sum[i] += from[i];
    }
    for (index_t q = 0; q < targets_; ++q) {
      for (index_t o = 0; o < outputs_; ++o) g[index(q, o)] += sum[q * outputs_ + o];
    }
  }

 private:
  static constexpr index_t states_at_once = 8;

  index_t inputs_ = 0;
  index_t outputs_ = 0;
  index_t targets_ = 0;
  bool along_outputs_ = true;
  std::vector<std::vector<std::pair<index_t, index_t>>> pairs_;
};

}  // namespace basin
