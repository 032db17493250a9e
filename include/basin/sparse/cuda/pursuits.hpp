/// @file
/// Pursuits of many targets on a device, one atom of all of them at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include <basin/backend/cuda.hpp>
#include <basin/core/index.hpp>
#include <basin/sparse/cuda/correlations.hpp>
#include <basin/sparse/cuda/dictionary.hpp>
#include <basin/sparse/cuda/least_squares.hpp>
#include <basin/sparse/cuda/targets.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin::detail {

/// Blocks of targets over device memory that is kept.
///
/// A step of w targets with t of d atoms each takes nine launches by the Gram matrix and eight
/// directly, a product of matrices being one. In numbers of the scalar that are read:
///
///  - residuals, one launch: w n (t + 1), by the Gram matrix only of targets that may end by it;
///  - correlations, one: w d (t + 1) by the Gram matrix, with 2 w d t flops; directly 2 n d w flops
///    of a product. Either writes w d;
///  - the choice, two: w d, of targets with a tie once more, and n + t for each atom in it;
///  - products of the chosen atom: w (2 n + t) in two by the Gram matrix, else 2 w n (t + 2) in
///  one;
///  - the factor and the coefficients, three: w t^2 doubles, with 2 w t^2 flops in double.
///
/// The host waits once in `steps_between_polls` steps, for a byte a target. At the end of a block
/// the answers are downloaded. Memory is for as many atoms as a target may have.
template <class Scalar>
class DevicePursuits {
 public:
  using view = device_view<Scalar>;
  using const_view = device_view<const Scalar>;
  /// Targets that have ended cost little, for functors leave them out; waiting costs a step or so.
  static constexpr index_t steps_between_polls = 4;

  /// @param G d × d inner products, or no columns: without them
  /// @param most atoms of a target
  /// @param places targets of a block, see `bytes_of_target`
  DevicePursuits(const cuda<Scalar>& be, const const_view& A, const const_view& G, index_t most,
                 index_t places, const pursuit_options& options)
      : be_(be),
        options_(options),
        G_(G),
        by_gram_(G.cols() > 0),
        active_(places),
        state_(places),
        target_(places),
        support_(places * most),
        coefficients_(places * most),
        products_(places * most),
        projections_(places * most),
        squares_(places * (most + 1)),
        factor_(places * triangle(most)),
        path_(options.path ? places * triangle(most) : 0),
        B_(be.make_matrix(by_gram_ ? A.cols() : 0, places)),
        C_(be.make_matrix(A.cols(), places)),
        s_{A,
           A,
           most,
           active_.data(),
           state_.data(),
           target_.data(),
           support_.data(),
           coefficients_.data(),
           products_.data(),
           projections_.data(),
           squares_.data(),
           factor_.data(),
           options.path ? path_.data() : nullptr} {}
  DevicePursuits(const DevicePursuits&) = delete;
  DevicePursuits& operator=(const DevicePursuits&) = delete;

  /// Bytes of a target in a block, both forms included.
  [[nodiscard]] static index_t bytes_of_target(index_t n, index_t d, index_t most, bool by_gram,
                                               bool path) {
    constexpr auto scalar = static_cast<index_t>(sizeof(Scalar));
    constexpr auto real = static_cast<index_t>(sizeof(double));
    return (by_gram ? 2 : 1) * d * scalar + n * (real + scalar) +
           triangle(most) * (real + (path ? scalar : 0)) +
           (most + 1) * (4 * real + static_cast<index_t>(sizeof(index_t)) + 2 * scalar) +
           static_cast<index_t>(sizeof(device_target) + sizeof(index_t) + 1);
  }

  /// Answers a block of targets, which have the places `first`, ... in the codes.
  void answer(const const_view& targets, index_t first, SparseCodes<Scalar>& codes) {
    s_.X = targets;
    std::vector<index_t> all(static_cast<std::size_t>(targets.cols()));
    std::iota(all.begin(), all.end(), index_t{0});
    if (by_gram_) {
      gemm(be_, s_.A, targets, columns(be_, B_, 0, targets.cols()), {.a = transpose::yes});
      begin(all);
      pursue(gram_correlations<Scalar>{s_, G_}, targets.cols());
      all = places_in(handed_over, targets.cols());
    }
    if (!all.empty()) {
      begin(all);
      const auto count = static_cast<index_t>(all.size());
      if (residual_.cols() < count) {
        residual_ = DeviceMatrix<double>(s_.A.rows(), count);
        rounded_ = be_.make_matrix(s_.A.rows(), count);
      }
      pursue(direct_correlations<Scalar>{s_, residual_.data()}, targets.cols());
    }
    reduce_columns(be_, s_.A.rows(), targets.cols(), last_residual_reduction<Scalar>{{}, s_});
    write(targets.cols(), first, codes);
  }

 private:
  [[nodiscard]] static index_t triangle(index_t n) { return device_targets<Scalar>::triangle(n); }

  /// Reads where the targets of a block stand: the host waits for it.
  [[nodiscard]] std::vector<index_t> places_in(std::uint8_t state, index_t places) {
    states_.resize(static_cast<std::size_t>(places));
    download_array(be_, array_view<const std::uint8_t>(state_.data(), places), states_);
    std::vector<index_t> found;
    for (index_t p = 0; p < places; ++p) {
      if (states_[static_cast<std::size_t>(p)] == state) found.push_back(p);
    }
    return found;
  }

  void take_part(const std::vector<index_t>& places) {
    width_ = static_cast<index_t>(places.size());
    upload_array(be_, array_view<const index_t>(places),
                 array_view<index_t>(active_.data(), width_));
  }

  void begin(const std::vector<index_t>& places) {
    take_part(places);
    for_each_index(be_, s_.most * width_, clear_code<Scalar>{s_});
    reduce_columns(be_, s_.A.rows(), width_,
                   begin_reduction<Scalar>{{}, s_, options_.residual, options_.relative_residual});
  }

  /// Until all have ended.
  template <class Correlations>
  void pursue(const Correlations& correlations, index_t places) {
    constexpr bool by_gram = Correlations::by_gram;
    const index_t n = s_.A.rows(), d = s_.A.cols();
    for (index_t t = 0;; ++t) {
      if (t % steps_between_polls == 0) {
        const std::vector<index_t> left = places_in(pursued, places);
        if (left.empty()) return;
        if (static_cast<index_t>(left.size()) < width_) take_part(left);
      }
      reduce_columns(be_, n, width_,
                     residual_reduction<Scalar>{{},
                                                s_,
                                                t,
                                                by_gram ? nullptr : residual_.data(),
                                                by_gram ? nullptr : rounded_.data()});
      if (t == s_.most) return;
      const view C = columns(be_, C_, 0, width_);
      if constexpr (by_gram) {
        for_each_index(be_, d * width_, correlate_by_gram<Scalar>{s_, G_, B_, C});
      } else {
        gemm(be_, s_.A, columns(be_, rounded_, 0, width_), C, {.a = transpose::yes});
      }
      reduce_columns(be_, d, width_, choice_reduction<Scalar, Correlations>{correlations, C, t});
      reduce_columns(be_, d, width_, tie_reduction<Scalar, Correlations>{correlations, C});
      if constexpr (by_gram) {
        if (t > 0) for_each_index(be_, t * width_, gram_product<Scalar>{s_, G_, t});
        reduce_columns(be_, n, width_, target_product_reduction<Scalar>{{}, s_, G_});
      } else {
        reduce_columns(be_, n, (t + 2) * width_,
                       atom_product_reduction<Scalar>{{}, s_, residual_.data(), t});
      }
      if (t > 0) for_each_index(be_, t * width_, project_on_basis<Scalar>{s_, t});
      reduce_columns(be_, t, width_, decision_reduction<Scalar, by_gram>{s_, t});
      reduce_columns(be_, t, (t + 1) * width_, extension_reduction<Scalar>{{}, s_, t});
    }
  }

  /// Brings the answers of a block to host memory.
  void write(index_t places, index_t first, SparseCodes<Scalar>& codes) {
    const index_t most = s_.most;
    DeviceMatrix<Scalar> coefficients = be_.make_matrix(most, places);
    DeviceMatrix<Scalar> residuals = be_.make_matrix(most + 1, places);
    for_each_index(be_, (most + 1) * places,
                   round_answer<Scalar>{s_, coefficients.data(), residuals.data()});
    download(be_, coefficients, codes.coefficients.middleCols(first, places));
    download(be_, residuals, codes.residuals.middleCols(first, places));
    download_array(be_, array_view<const index_t>(support_.data(), most * places),
                   array_view<index_t>(codes.atoms.data() + first * most, most * places));
    std::vector<device_target> targets(static_cast<std::size_t>(places));
    download_array(be_, array_view<const device_target>(target_.data(), places), targets);
    std::vector<Scalar> path(options_.path ? static_cast<std::size_t>(places * triangle(most)) : 0);
    if (options_.path) {
      download_array(be_, array_view<const Scalar>(path_.data(), static_cast<index_t>(path.size())),
                     path);
    }
    states_.resize(static_cast<std::size_t>(places));
    download_array(be_, array_view<const std::uint8_t>(state_.data(), places), states_);
    for (index_t p = 0; p < places; ++p) {
      const auto at = static_cast<std::size_t>(p), to = static_cast<std::size_t>(first + p);
      const index_t count = targets[at].count;
      codes.status[to] = static_cast<pursuit_status>(states_[at]);
      codes.count[to] = count;
      codes.residual[to] = codes.residuals(count, first + p);
      if (options_.path) {
        const auto from = path.begin() + static_cast<std::ptrdiff_t>(p * triangle(most));
        codes.path[to].assign(from, from + static_cast<std::ptrdiff_t>(triangle(count)));
      }
    }
  }

  cuda<Scalar> be_;
  pursuit_options options_;
  const_view G_;
  bool by_gram_;
  DeviceBuffer<index_t> active_;
  DeviceBuffer<std::uint8_t> state_;
  DeviceBuffer<device_target> target_;
  DeviceBuffer<index_t> support_;
  DeviceBuffer<double> coefficients_, products_, projections_, squares_, factor_;
  DeviceBuffer<Scalar> path_;
  DeviceMatrix<Scalar> B_, C_;  ///< ⟨a_j, x⟩; correlations
  DeviceMatrix<double> residual_;
  DeviceMatrix<Scalar> rounded_;
  device_targets<Scalar> s_;
  index_t width_ = 0;  ///< of the targets that take part
  std::vector<std::uint8_t> states_;
};

/// Pursuits in blocks of targets that take no more than `bytes` of the device's memory, but one
/// target at least.
template <class Scalar>
[[nodiscard]] SparseCodes<Scalar> pursue_on_device(const cuda<Scalar>& be,
                                                   const device_view<const Scalar>& A,
                                                   const device_view<const Scalar>& G,
                                                   const device_view<const Scalar>& targets,
                                                   index_t most, const pursuit_options& options,
                                                   index_t bytes) {
  const index_t N = targets.cols();
  auto codes = make_codes<Scalar>(most, N, options.path);
  if (N == 0) return codes;
  const index_t each =
      DevicePursuits<Scalar>::bytes_of_target(A.rows(), A.cols(), most, G.cols() > 0, options.path);
  const index_t width = std::clamp<index_t>(bytes / each, 1, N);
  DevicePursuits<Scalar> pursuits(be, A, G, most, width, options);
  for (index_t first = 0; first < N; first += width) {
    pursuits.answer(columns(be, targets, first, std::min(width, N - first)), first, codes);
  }
  return codes;
}

}  // namespace basin::detail
