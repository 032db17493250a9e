/// @file
/// Sparse representations with coefficients that are not negative.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/array_view.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/sparse/dictionary.hpp>
#include <basin/sparse/lane_codes.hpp>
#include <basin/sparse/non_negative_least_squares.hpp>
#include <basin/sparse/pursuit.hpp>

namespace basin {
namespace detail {

template <class Scalar>
struct begin_non_negative {
  non_negative_targets<Scalar> targets;
  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t place) const {
    const target_code c = targets.begin(lanes, place);
    lanes.aside([&] { targets.at.code[place] = c; });
  }
};

/// Remainders of the targets that take part, in the scalar.
template <class Scalar>
struct round_remainder {
  const double* remainder;
  const index_t* active;
  index_t n;
  Scalar* rounded;  ///< n × active
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    rounded[i] = static_cast<Scalar>(remainder[active[i / n] * n + i % n]);
  }
};

/// Target active[k] takes in the atom of greatest correlation.
template <class Scalar>
struct take_non_negative {
  non_negative_targets<Scalar> targets;
  const index_t* active;
  Scalar* correlations;  ///< d × active, of which those of the support become 0

  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t k) const {
    const index_t place = active[k];
    target_code c = targets.at.code[place];
    if (c.state != pursued) return;
    const auto best = choose(lanes, place, correlations + k * targets.at.d, c);
    if (best.at < 0 || !(best.value > 4 * rounding * c.norm)) {
      c.state = static_cast<std::uint8_t>(pursuit_status::explained);
    } else {
      const double before = c.left;
      if (!targets.take(lanes, place, c, best.at)) {
        c.state = static_cast<std::uint8_t>(pursuit_status::dependent);
      } else {
        lanes.once([&] {
          double& least = targets.at.squares[place * (targets.at.most + 1) + c.count];
          if (c.left < least) least = c.left;
        });
        // It ends, since every round lessens the residual; else the correlation was rounding.
        c.state = c.left < before ? targets.at.after(c)
                                  : static_cast<std::uint8_t>(pursuit_status::explained);
      }
    }
    lanes.once([&] { targets.at.code[place] = c; });
  }

 private:
  static constexpr double rounding = std::numeric_limits<Scalar>::epsilon();

  /// Correlations in the scalar only choose those that may be the greatest, which are asked again
  /// in double: so a target's code depends on nothing but the target.
  template <class Lanes>
  [[nodiscard]] BASIN_HOST_DEVICE greatest_entry<double> choose(Lanes& lanes, index_t place,
                                                                Scalar* own,
                                                                const target_code& c) const {
    const coded_targets<Scalar>& at = targets.at;
    const double* const left = at.remainder + place * at.n;
    lanes.once([&] {
      for (index_t i = 0; i < c.count; ++i) own[at.support[place * at.most + i]] = 0;
    });
    const auto first = lanes.greatest(at.d, [&](index_t i) { return static_cast<double>(own[i]); });
    // Roundings of a sum add up like the square root of its length (Higham and Mary 2019).
    const double error =
        2 * std::sqrt(static_cast<double>(at.n + 8)) * rounding * std::sqrt(c.left);
    const double least = first.value - 2 * error;
    return lanes.greatest(at.d, [&](index_t i) {
      if (!(own[i] > 0) || static_cast<double>(own[i]) < least) {
        return -std::numeric_limits<double>::infinity();
      }
      const Scalar* const a = at.atom(i);
      double sum = 0;
      for (index_t r = 0; r < at.n; ++r) sum += static_cast<double>(a[r]) * left[r];
      return sum;
    });
  }
};

/// Pursuits with coefficients that are not negative, of blocks of targets over memory that is kept.
///
/// A round takes three launches, of which one is a product of matrices: 2 n d flops a target. The
/// rest is a warp's work for each target, see non_negative_targets. On a device the host reads
/// where targets stand once in four rounds, 40 bytes each.
template <class Backend>
class NonNegativePursuits {
 public:
  using scalar = typename Backend::scalar;
  using const_view = typename Backend::const_view;

  NonNegativePursuits(const Backend& be, const const_view& A, index_t most, index_t places,
                      const pursuit_options& options)
      : be_(be),
        A_(A),
        options_(options),
        most_(most),
        codes_(be, A.rows(), most, places),
        slots_(be.template make_buffer<index_t>(most * places)),
        active_(be.template make_buffer<index_t>(places)),
        gram_(be.template make_buffer<double>(triangle(most) * places)),
        factor_(be.template make_buffer<double>(triangle(most) * places)),
        products_(be.template make_buffer<double>(most * places)),
        forward_(be.template make_buffer<double>(most * places)),
        solutions_(be.template make_buffer<double>(most * places)),
        rounded_(be.make_matrix(A.rows(), places)),
        correlations_(be.make_matrix(A.cols(), places)) {}

  [[nodiscard]] static index_t bytes_of_target(index_t n, index_t d, index_t most) {
    constexpr auto real = static_cast<index_t>(sizeof(double));
    constexpr auto index = static_cast<index_t>(sizeof(index_t));
    return LaneCodes<Backend>::bytes_of_target(n, most) + (2 * triangle(most) + 3 * most) * real +
           (most + 1) * index + (n + d) * static_cast<index_t>(sizeof(scalar));
  }

  /// Answers a block of targets, which have the places `first`, ... in the codes.
  void answer(const const_view& targets, index_t first, SparseCodes<scalar>& codes) {
    const index_t places = targets.cols(), n = A_.rows();
    const non_negative_targets<scalar> of{
        codes_.of(A_, targets, options_), raw_address(slots_.data()),
        raw_address(gram_.data()),        raw_address(factor_.data()),
        raw_address(products_.data()),    raw_address(forward_.data()),
        raw_address(solutions_.data())};
    const array_view<scalar> none;
    const index_t* const active = raw_address(active_.data());
    for_each_in_lanes(be_, places, begin_non_negative<scalar>{of}, 0, none, 1);
    index_t width = 0;
    for (index_t round = 0;; ++round) {
      if (round % rounds_between_polls == 0) {
        width = take_part(places);
        if (width == 0) break;
      }
      for_each_index(
          be_, n * width,
          round_remainder<scalar>{of.at.remainder, active, n, raw_address(rounded_.data())});
      gemm(be_, A_, columns(be_, std::as_const(rounded_), 0, width),
           columns(be_, correlations_, 0, width), {.a = transpose::yes});
      for_each_in_lanes(be_, width,
                        take_non_negative<scalar>{of, active, raw_address(correlations_.data())}, 0,
                        none, 1);
    }
    codes_.write(places, first, codes);
  }

 private:
  static constexpr bool on_host = std::same_as<Backend, cpu<scalar>>;
  static constexpr index_t rounds_between_polls = on_host ? 1 : 4;

  [[nodiscard]] static index_t triangle(index_t n) {
    return non_negative_targets<scalar>::triangle(n);
  }
  /// Lists the targets that go on.
  [[nodiscard]] index_t take_part(index_t places) {
    const std::vector<target_code>& code = codes_.codes(places);
    left_.clear();
    for (index_t p = 0; p < places; ++p) {
      if (code[static_cast<std::size_t>(p)].state == pursued) left_.push_back(p);
    }
    const auto width = static_cast<index_t>(left_.size());
    upload_array(be_, array_view<const index_t>(left_), array_view<index_t>(active_).first(width));
    return width;
  }

  Backend be_;
  const_view A_;
  pursuit_options options_;
  index_t most_;
  LaneCodes<Backend> codes_;
  typename Backend::template buffer<index_t> slots_, active_;
  typename Backend::template buffer<double> gram_, factor_, products_, forward_, solutions_;
  typename Backend::matrix rounded_, correlations_;
  std::vector<index_t> left_;
};

/// `non_negative_pursuit` where atoms and targets are, in blocks that take no more than `bytes` of
/// its memory, but one target at least.
template <class Backend>
[[nodiscard]] SparseCodes<typename Backend::scalar> pursue_non_negative(
    const Backend& be, const typename Backend::const_view& A,
    const typename Backend::const_view& targets, const pursuit_options& options, index_t bytes) {
  using scalar = typename Backend::scalar;
  constexpr const char* where = "non_negative_pursuit";
  options.check(where);
  require(!options.path, where, "atoms may leave again: no path is kept");
  require(options.form != pursuit_form::gram, where, "there is no form by a Gram matrix");
  require_size(where, "number of rows of the targets", targets.rows(), A.rows());
  const index_t at_most = std::min(A.cols(), A.rows()), N = targets.cols();
  const index_t most = options.atoms > 0 ? std::min(options.atoms, at_most) : at_most;
  auto codes = make_codes<scalar>(most, N, false);
  if (N == 0) return codes;
  using pursuits = NonNegativePursuits<Backend>;
  const index_t each = pursuits::bytes_of_target(A.rows(), A.cols(), most);
  const index_t width = std::clamp<index_t>(bytes / each, 1, N);
  pursuits block(be, A, most, width, options);
  for (index_t first = 0; first < N; first += width) {
    block.answer(columns(be, targets, first, std::min(width, N - first)), first, codes);
  }
  return codes;
}

}  // namespace detail

/// Orthogonal matching pursuit with coefficients >= 0: the atom of greatest positive correlation
/// joins, least squares is solved under the bound, and atoms whose coefficient becomes zero leave
/// again (Bruckstein, Elad and Zibulevsky, "On the uniqueness of nonnegative sparse solutions",
/// 2008; Lawson and Hanson 1974). Without a limit of atoms it ends at the solution of non-negative
/// least squares, with status `explained`. `residuals` are the least that were met with so many
/// atoms or fewer; a path is not kept.
/// @param targets n × N, in host memory
/// @throws size_error unless the targets have as many rows as the atoms; argument_error if a
///   setting is out of its range, none ends the pursuit, or a path or the form by a Gram matrix is
///   asked for
/// Cost: per round and target 2 n d flops, 4 n |I|, 2 |I|^2, and |I|^3 / 3 where atoms leave;
/// threads over targets. Memory: 256 MB, in which as many targets as fit advance together, each
/// with 8 t^2 bytes for the t atoms that `atoms` allows. A target's code does not depend on the
/// others. A program with a device includes sparse/cuda/non_negative_pursuit.hpp.
///
/// @code
/// #include <iostream>
///
/// #include <basin/sparse/non_negative_pursuit.hpp>
///
/// int main() {
///   const basin::cpu<double> cpu;
///   const Eigen::MatrixXd columns = Eigen::MatrixXd::Random(20, 30).cwiseAbs();
///   const auto dictionary = basin::make_dictionary<double>(columns);
///   const Eigen::MatrixXd targets = columns.col(3) + 2 * columns.col(8);
///   const auto codes = basin::non_negative_pursuit(cpu, dictionary, targets, {.residual = 1e-9});
///   std::cout << codes.count[0] << " atoms, " << codes.residual[0] << " left\n";
/// }
/// @endcode
template <std::floating_point Scalar>
[[nodiscard]] SparseCodes<Scalar> non_negative_pursuit(
    const cpu<Scalar>& be, const Dictionary<Scalar>& dictionary,
    const std::type_identity_t<Eigen::Ref<const Eigen::MatrixX<Scalar>>>& targets,
    const pursuit_options& options) {
  return detail::pursue_non_negative<cpu<Scalar>>(be, dictionary.atoms, targets, options,
                                                  index_t{1} << 28);
}

}  // namespace basin
