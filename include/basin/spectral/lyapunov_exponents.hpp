/// @file
/// Lyapunov exponents along trajectories: how fast near trajectories part or meet.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/backend/device.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/random.hpp>
#include <basin/dynamics/estimate.hpp>
#include <basin/map/derivative.hpp>
#include <basin/spectral/jacobian_products.hpp>

namespace basin {

/// Settings of `lyapunov_exponents`.
struct lyapunov_options {
  index_t count = 1;         ///< leading exponents that are wanted; at most k are given
  index_t transient = 1000;  ///< iterations before these; tangents turn in their last half
  /// Iterations that are averaged, of which the last few are left out where `batches` does not
  /// divide them.
  index_t steps = 10000;
  index_t batches = 20;       ///< that the steps are cut into for the standard error, at least 4
  random_stream random = {};  ///< of the first tangents

  /// @throws argument_error that names the setting and its value
  void check() const {
    const auto at_least = [](const char* name, index_t value, index_t least) {
      require(value >= least, "lyapunov_options",
              std::string(name) + " is " + std::to_string(value) + ", must be at least " +
                  std::to_string(least));
    };
    at_least("count", count, 1);
    at_least("transient", transient, 0);
    at_least("batches", batches, 4);
    at_least("steps", steps, batches);
  }
};

/// The dimension of an attractor with these exponents (Kaplan and Yorke 1979): j + Σ_{i<=j} λ_i /
/// |λ_{j+1}| for the largest j whose sum is not negative.
/// @param exponents in descending order
/// @param k dimension of the state
/// @return NaN where the exponents that are given do not suffice
[[nodiscard]] inline double kaplan_yorke_dimension(
    const Eigen::Ref<const Eigen::VectorXd>& exponents, index_t k) {
  double sum = 0;
  for (index_t j = 0; j < exponents.size(); ++j) {
    if (is_nan(exponents[j])) break;
    if (sum + exponents[j] < 0) return static_cast<double>(j) + sum / std::abs(exponents[j]);
    sum += exponents[j];
    if (j + 1 == k) return static_cast<double>(k);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

/// Lyapunov exponents along one trajectory.
struct LyapunovExponents {
  /// Mean logarithms of growth per iteration, descending; -∞ where a direction is mapped to 0 as
  /// far as rounding tells: at some step less is left of it than 10 √k ε times the longest tangent,
  /// with ε of the scalar.
  Eigen::VectorXd values;
  /// Standard errors, by means over batches. NaN for -∞.
  Eigen::VectorXd errors;
  Eigen::VectorXd state;    ///< the last one
  index_t steps = 0;        ///< that were averaged
  index_t products = 0;     ///< with J
  bool finite = true;       ///< all states and tangents were; if not there are no values
  double path = 0;          ///< Σ ‖z_{t+1} - z_t‖ over those steps
  double late_path = 0;     ///< over the second half of them
  double displacement = 0;  ///< from the first to the last state of those steps

  [[nodiscard]] index_t size() const noexcept { return values.size(); }
  /// See `kaplan_yorke_dimension`.
  [[nodiscard]] double dimension() const { return kaplan_yorke_dimension(values, state.size()); }
};

namespace detail {

/// Makes the columns of V orthonormal by Gram and Schmidt, twice, and gives the logarithms of what
/// they measured across the earlier ones. A column that vanished, of which no more is left than
/// rounding of the longest, has -∞ and is replaced by a random one.
/// @param rounding ε of the products
[[nodiscard]] inline Eigen::VectorXd orthonormalise_tangents(Eigen::Ref<Eigen::MatrixXd> V,
                                                             random_stream random,
                                                             double rounding) {
  Eigen::VectorXd logarithms(V.cols());
  const double vanished =
      10 * std::sqrt(static_cast<double>(V.rows())) * rounding * V.colwise().norm().maxCoeff();
  for (index_t i = 0; i < V.cols(); ++i) {
    for (int draw = 0;; ++draw) {
      double norm = V.col(i).norm();
      const double whole = norm;
      for (int pass = 0; pass < 2 && i > 0 && norm > 0; ++pass) {
        const Eigen::VectorXd h = V.leftCols(i).transpose() * V.col(i);
        V.col(i) -= V.leftCols(i) * h;
        norm = V.col(i).norm();
      }
      const bool lost = draw == 0 && norm <= vanished;
      if (draw == 0) {
        logarithms[i] = lost ? -std::numeric_limits<double>::infinity() : std::log(norm);
      }
      // Of a number next to 0 a quotient would overflow.
      if (is_finite(norm) && !lost && norm > std::numeric_limits<double>::min() &&
          (draw == 0 || norm > 1e-8 * whole)) {
        V.col(i) /= norm;
        break;
      }
      if (!is_finite(norm)) {
        V.col(i).setConstant(std::numeric_limits<double>::quiet_NaN());
        break;
      }
      if (draw == 10) break;
      for (index_t r = 0; r < V.rows(); ++r) {
        V(r, i) = normal_at<double>(
            {random.seed, random.stream + 1 + static_cast<std::uint32_t>(draw)}, r, i);
      }
    }
  }
  return logarithms;
}

/// Means of the logarithms and their errors, from the sums over batches of `length` steps.
inline void finish_exponents(const Eigen::MatrixXd& sums, index_t length,
                             LyapunovExponents& found) {
  const index_t m = sums.rows();
  const Eigen::VectorXd values = sums.rowwise().mean() / static_cast<double>(length);
  std::vector<index_t> order(static_cast<std::size_t>(m));
  std::iota(order.begin(), order.end(), index_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](index_t a, index_t b) { return values[a] > values[b]; });
  found.values.resize(m);
  found.errors.resize(m);
  for (index_t i = 0; i < m; ++i) {
    const index_t at = order[static_cast<std::size_t>(i)];
    found.values[i] = values[at];
    const Eigen::VectorXd batches = sums.row(at).transpose() / static_cast<double>(length);
    // And by batches of twice the length: where those say more, neighbours are correlated.
    Eigen::VectorXd pairs(batches.size() / 2);
    for (index_t b = 0; b < pairs.size(); ++b) {
      pairs[b] = (batches[2 * b] + batches[2 * b + 1]) / 2;
    }
    found.errors[i] = std::max(mean_estimate(batches).error, mean_estimate(pairs).error);
    if (!is_finite(values[at])) found.errors[i] = std::numeric_limits<double>::quiet_NaN();
  }
}

/// States of trajectories and their tangents, all advanced together: tangents in host memory, on
/// which the host's threads work.
template <class B>
class TangentStates {
 public:
  using scalar = typename B::scalar;
  using host = Eigen::MatrixX<scalar>;

  /// @param states k × n
  /// @param tangents k × m n, those of a state side by side
  TangentStates(const B& be, host states, Eigen::MatrixXd tangents)
      : be_(be), states_(std::move(states)), tangents_(std::move(tangents)) {
    logarithms_ = Eigen::MatrixXd::Zero(width(), states_.cols());
  }

  /// The states after one more iteration, and if they turn the tangents times the Jacobians.
  template <class Map>
  void step(Map& map, bool turns, random_stream random) {
    if (turns) turn(map, random);
    next_.resize(states_.rows(), states_.cols());
    const index_t k = states_.rows(), n = states_.cols();
    typename B::matrix Z = be_.make_matrix(k, n);
    typename B::matrix F = be_.make_matrix(k, n);
    upload(be_, states_, columns(be_, Z, 0, n));
    evaluate(be_, map, columns(be_, std::as_const(Z), 0, n), columns(be_, F, 0, n));
    download(be_, columns(be_, std::as_const(F), 0, n), next_);
  }
  /// Whether the next state of column i, and its tangents, are finite.
  [[nodiscard]] bool finite(index_t i) const {
    return next_.col(i).allFinite() && tangents_.middleCols(i * width(), width()).allFinite();
  }
  /// How far it is to the next state.
  [[nodiscard]] double way(index_t i) const {
    return (next_.col(i) - states_.col(i)).template cast<double>().norm();
  }
  [[nodiscard]] auto logarithms(index_t i) const { return logarithms_.col(i); }
  /// The next states are the states.
  void accept() { states_ = next_; }
  /// The columns of a list, in their order, are left.
  void keep(const std::vector<index_t>& which) {
    const index_t m = width();
    for (std::size_t to = 0; to < which.size(); ++to) {
      const auto kept = static_cast<index_t>(to);
      states_.col(kept) = states_.col(which[to]).eval();
      tangents_.middleCols(kept * m, m) = tangents_.middleCols(which[to] * m, m).eval();
    }
    const auto n = static_cast<index_t>(which.size());
    states_.conservativeResize(Eigen::NoChange, n);
    tangents_.conservativeResize(Eigen::NoChange, n * m);
  }
  /// The states in double.
  [[nodiscard]] Eigen::MatrixXd states() const { return states_.template cast<double>(); }

 private:
  [[nodiscard]] index_t width() const {
    return states_.cols() > 0 ? tangents_.cols() / states_.cols() : 0;
  }
  template <class Map>
  void turn(Map& map, random_stream random) {
    const index_t n = states_.cols(), m = width();
    std::vector<index_t> which(static_cast<std::size_t>(n * m));
    for (std::size_t i = 0; i < which.size(); ++i) which[i] = static_cast<index_t>(i) / m;
    JacobianProducts<B, Map> J("lyapunov_exponents", be_, map, states_.template cast<double>());
    tangents_ = J.forward(which, tangents_);
    on_host(be_, n, [&](index_t i) {
      logarithms_.col(i) =
          orthonormalise_tangents(tangents_.middleCols(i * m, m), random, J.rounding);
    });
  }

  B be_;
  host states_, next_;
  Eigen::MatrixXd tangents_, logarithms_;
};
/// Those on a device: to be had from spectral/cuda/lyapunov_exponents.hpp.
template <std::floating_point Scalar>
class TangentStates<cuda<Scalar>>;

/// A group of trajectories with their tangents, all advanced together.
template <class B, class Map>
class TangentRun {
 public:
  /// @param found of the points of the group
  TangentRun(const B& be, Map& map, const Eigen::Ref<const Eigen::MatrixXd>& points,
             const lyapunov_options& options, LyapunovExponents* found)
      : map_(map),
        options_(options),
        found_(found),
        k_(points.rows()),
        m_(std::min(options.count, k_)),
        length_(options.steps / options.batches),
        states_(be, points.template cast<typename B::scalar>(), first_tangents(points.cols())),
        begins_(k_, points.cols()),
        sums_(static_cast<std::size_t>(points.cols()), Eigen::MatrixXd::Zero(m_, options.batches)) {
    for (index_t j = 0; j < points.cols(); ++j) active_.push_back(j);
  }

  void run() {
    const Eigen::MatrixXd starts = states_.states();
    for (index_t i = 0; i < count(); ++i) {
      if (!starts.col(i).allFinite()) leave(i, starts.col(i));
    }
    compact();
    const index_t total = options_.transient + length_ * options_.batches;
    for (index_t t = 0; t < total && !active_.empty(); ++t) step(t);
    const Eigen::MatrixXd ends = states_.states();
    for (index_t i = 0; i < count(); ++i) {
      const index_t j = active_[static_cast<std::size_t>(i)];
      found_[j].state = ends.col(i);
      found_[j].displacement = (found_[j].state - begins_.col(j)).norm();
      finish_exponents(sums_[static_cast<std::size_t>(j)], length_, found_[j]);
    }
  }

 private:
  [[nodiscard]] index_t count() const { return static_cast<index_t>(active_.size()); }

  /// The same of all points.
  [[nodiscard]] Eigen::MatrixXd first_tangents(index_t n) const {
    Eigen::MatrixXd first(k_, m_);
    for (index_t i = 0; i < m_; ++i) {
      for (index_t r = 0; r < k_; ++r) first(r, i) = normal_at<double>(options_.random, r, i);
    }
    static_cast<void>(
        orthonormalise_tangents(first, options_.random, std::numeric_limits<double>::epsilon()));
    return first.replicate(1, n);
  }

  void step(index_t t) {
    const index_t n = count();
    const bool turns = t >= options_.transient / 2;
    states_.step(map_, turns, options_.random);
    const index_t counted = t - options_.transient;
    bool all_stay = true;
    Eigen::MatrixXd before;  // where they are asked for
    if (counted == 0) before = states_.states();
    for (index_t i = 0; i < n; ++i) {
      const index_t j = active_[static_cast<std::size_t>(i)];
      LyapunovExponents& one = found_[j];
      if (turns) one.products += m_;
      if (!states_.finite(i)) {
        if (before.cols() == 0) before = states_.states();
        leave(i, before.col(i));
        all_stay = false;
        continue;
      }
      if (counted < 0) continue;
      if (counted == 0) begins_.col(j) = before.col(i);
      const double way = states_.way(i);
      one.path += way;
      if (2 * counted >= length_ * options_.batches) one.late_path += way;
      sums_[static_cast<std::size_t>(j)].col(counted / length_) += states_.logarithms(i);
      ++one.steps;
    }
    states_.accept();
    if (!all_stay) compact();
  }

  void leave(index_t i, const Eigen::Ref<const Eigen::VectorXd>& state) {
    index_t& j = active_[static_cast<std::size_t>(i)];
    found_[j].finite = false;
    found_[j].state = state;
    j = -1;
  }
  /// Columns that have left leave the batch.
  void compact() {
    std::vector<index_t> kept, still;
    for (index_t i = 0; i < count(); ++i) {
      if (active_[static_cast<std::size_t>(i)] < 0) continue;
      kept.push_back(i);
      still.push_back(active_[static_cast<std::size_t>(i)]);
    }
    if (kept.size() < active_.size()) states_.keep(kept);
    active_ = std::move(still);
  }

  Map& map_;
  const lyapunov_options& options_;
  LyapunovExponents* found_;
  index_t k_, m_, length_;
  TangentStates<B> states_;  ///< of the active columns
  Eigen::MatrixXd begins_;   ///< the first states that count
  std::vector<Eigen::MatrixXd> sums_;
  std::vector<index_t> active_;
};

}  // namespace detail

/// The leading Lyapunov exponents of z -> f(z) along the trajectories from the columns of `points`,
/// by QR factorisations (Benettin, Galgani, Giorgilli and Strelcyn 1980): tangents are multiplied
/// by the Jacobians on the way and made orthonormal after each step. Positive: near trajectories
/// part, chaos. At an attracting fixed point or cycle log |λ| of its multiplier, per iteration.
///
/// They are of f as it is iterated; those of the flow are a limit for small h of those of
/// `relaxed(f, h)` over h. Errors are by batch means, and honest where a batch, steps / batches
/// iterations, is longer than the trajectory remembers. What the first
/// and the last tangent differ by adds an error of order 1 / T over T iterations, and log(T) / T
/// where exponents vanish, which batches need not show.
///
/// @param map with jvp
/// @param points k × n in host memory
/// @return one for each point; a trajectory that is not finite has no values and harms no other
/// @throws size_error unless the map takes and gives k rows; argument_error if a setting is out
///   of its range
/// Cost: an evaluation and `count` jvps an iteration and point; all points together, in groups of
/// at most 4 million numbers. With a device, which needs spectral/cuda/lyapunov_exponents.hpp,
/// states and tangents stand in its memory, and `count` + 2 numbers an iteration and point come to
/// the host, with one synchronisation beside the map's own.
///
/// @code
/// #include <iostream>
///
/// #include <basin/map/differentiable.hpp>
/// #include <basin/spectral/lyapunov_exponents.hpp>
///
/// int main() {
///   auto henon = basin::differentiable<2>([](const auto& z, auto& f) {
///     f[0] = 1.0 - 1.4 * z[0] * z[0] + z[1];
///     f[1] = 0.3 * z[0];
///   });
///   const basin::cpu<double> cpu;
///   const auto found =
///       basin::lyapunov_exponents(cpu, henon, Eigen::MatrixXd::Zero(2, 1), {.count = 2})[0];
///   std::cout << found.values.transpose() << " +- " << found.errors.transpose()
///             << ", dimension " << found.dimension() << '\n';
/// }
/// @endcode
template <basin::backend B, class Map>
  requires latent_map<Map, B> && has_jvp<Map, B>
[[nodiscard]] std::vector<LyapunovExponents> lyapunov_exponents(
    const B& be, Map& map, const Eigen::Ref<const Eigen::MatrixXd>& points,
    const lyapunov_options& options = {}) {
  options.check();
  const index_t k = points.rows();
  const index_t n = points.cols();
  require_dimension("lyapunov_exponents", map, k);
  if (const index_t given = output_dimension(map); given >= 0) {
    require_size("lyapunov_exponents", "number of rows that the map gives", given, k);
  }
  std::vector<LyapunovExponents> found(static_cast<std::size_t>(n));
  const index_t each = std::max<index_t>(1, k * std::min(options.count, k));
  const index_t group = std::max<index_t>(1, (index_t{1} << 22) / each);
  for (index_t first = 0; first < n; first += group) {
    const index_t count = std::min(group, n - first);
    detail::TangentRun<B, Map>(be, map, points.middleCols(first, count), options,
                               found.data() + first)
        .run();
  }
  return found;
}

}  // namespace basin
