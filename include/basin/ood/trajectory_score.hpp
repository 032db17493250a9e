/// @file
/// How foreign samples are by how far their trajectories stay from known attractors.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/nearest.hpp>
#include <basin/backend/concept.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/backend/device.hpp>
#include <basin/backend/host.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>
#include <basin/core/status.hpp>
#include <basin/map/concept.hpp>
#include <basin/ood/mean_distance.hpp>
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/solver/stopping.hpp>

namespace basin {

/// d(z, Z*), the distance of a state from the set of attractors.
enum class attractor_distance : std::uint8_t {
  nearest,  ///< min over attractors
  mean,     ///< mean over attractors
};

/// What the sum over the N + 1 points z_0 ... z_N of a trajectory is divided by.
enum class trajectory_divisor : std::uint8_t {
  points,      ///< N + 1: a mean
  iterations,  ///< N, as the paper prints it (Fumero et al. 2025, section 4.1); 1 where N is 0
};

/// Settings of `trajectory_score`.
struct trajectory_score_options {
  /// Where a trajectory ends; `max_iterations` caps it.
  stopping rule = paper_small();
  attractor_distance distance = attractor_distance::nearest;
  trajectory_divisor divisor = trajectory_divisor::points;
  /// Every trajectory counts as one of the rule's `max_iterations`, as those of a batch that is
  /// iterated together do: one that ends before stays where it is. Without it, quick and slow
  /// trajectories weigh their way alike.
  bool tail = false;

  /// @throws argument_error if a setting is out of its range
  void check() const { rule.check(); }
};

/// Scores of samples, and what was met on the way.
struct TrajectoryScores {
  Eigen::VectorXd scores;    ///< N; the higher, the more foreign; NaN where a start is not finite
  Eigen::VectorXd first;     ///< d(z_0, Z*)
  Eigen::VectorXd last;      ///< d(z_N, Z*), N the number of iterations
  Eigen::VectorXd residual;  ///< ‖f(z_0) - z_0‖
  std::vector<index_t> nearest = {};  ///< the attractor nearest to the end; -1 with `mean`, or NaN
  std::vector<index_t> iterations = {};  ///< N of each
  std::vector<basin::status> status = {};
  index_t evaluations = 0;  ///< of f, in columns
};

namespace detail {

/// d(z, Z*) of some states.
struct AttractorDistance {
  Eigen::VectorXd distance;
  Eigen::VectorX<index_t> nearest;  ///< empty where the distance is the mean
};

/// Attractors whose distances from states on a backend are asked for: here on the host.
template <class B>
class AttractorDistances {
 public:
  using host = decltype(host_of(std::declval<const B&>()));

  AttractorDistances(const B& be, const NearestReferences<double>& attractors, bool mean)
      : be_(be),
        host_(host_of(be)),
        mean_(mean),
        attractors_(attractors),
        means_(mean ? attractors.references()
                    : Eigen::MatrixXd(attractors.references().rows(), 0)) {}

  [[nodiscard]] AttractorDistance of(const typename B::const_view& states) {
    if constexpr (std::same_as<B, host>) {
      return of_host(states);
    } else {
      Eigen::MatrixX<typename B::scalar> copy(states.rows(), states.cols());
      download(be_, states, copy);
      return of_host(copy);
    }
  }

 private:
  template <class States>
  [[nodiscard]] AttractorDistance of_host(const States& states) const {
    if (mean_) return {means_.distances(host_, states), {}};
    const Neighbours found = attractors_.nearest(host_, states, 1);
    return {found.distance.row(0).transpose(), found.index.row(0).transpose()};
  }

  B be_;
  host host_;
  bool mean_;
  const NearestReferences<double>& attractors_;
  MeanDistance means_;
};
/// To be had from ood/cuda/trajectory_score.hpp.
template <std::floating_point Product>
class AttractorDistances<cuda<Product>>;

/// Sums d(z_i, Z*) while a solver runs: an observer.
template <class B>
class TrajectorySums {
 public:
  TrajectorySums(AttractorDistances<B>& attractors, TrajectoryScores& into, index_t first)
      : attractors_(attractors), into_(into), first_(first) {}

  template <class Backend>
  void operator()(const IterationView<Backend>& at) {
    using scalar = typename Backend::scalar;
    const index_t n = at.origin.size;
    if (n == 0) return;
    const AttractorDistance found = attractors_.of(at.states);
    for (index_t j = 0; j < n; ++j) {
      const index_t start = first_ + at.origin[j];
      if (at.iteration == 0) into_.first[start] = found.distance[j];
      into_.scores[start] += found.distance[j];
      into_.last[start] = found.distance[j];
      if (found.nearest.size() > 0) {
        into_.nearest[static_cast<std::size_t>(start)] = found.nearest[j];
      }
    }
    if (at.iteration > 0) return;
    std::vector<scalar> squares(static_cast<std::size_t>(n));
    download_array(at.backend, at.squared_residuals, array_view<scalar>(squares));
    for (index_t j = 0; j < n; ++j) {
      into_.residual[first_ + at.origin[j]] =
          std::sqrt(static_cast<double>(squares[static_cast<std::size_t>(j)]));
    }
  }

 private:
  AttractorDistances<B>& attractors_;
  TrajectoryScores& into_;
  index_t first_;
};

}  // namespace detail

/// Attractors that score many batches of trajectories.
class TrajectoryScorer {
 public:
  /// @param attractors k × M in host memory, of references that are none of the samples
  /// @throws as `NearestReferences`; argument_error if a setting is out of its range
  template <std::floating_point S, class Derived>
  TrajectoryScorer(const cpu<S>& be, const Eigen::MatrixBase<Derived>& attractors,
                   const trajectory_score_options& options = {})
      : options_((options.check(), options)),
        attractors_(be, Eigen::MatrixXd(attractors.template cast<double>())) {}

  [[nodiscard]] const trajectory_score_options& options() const noexcept { return options_; }
  [[nodiscard]] const Eigen::MatrixXd& attractors() const noexcept {
    return attractors_.references();
  }

  /// @param map of k rows
  /// @param starts k × N in host memory
  /// @throws size_error unless map and starts have the attractors' k rows
  template <backend B, class Map, class Derived>
  [[nodiscard]] TrajectoryScores score(const B& be, Map& map,
                                       const Eigen::MatrixBase<Derived>& starts) const {
    using scalar = typename B::scalar;
    const index_t k = attractors_.dimension(), n = starts.cols();
    require_size("trajectory_score", "number of rows of the starts", starts.rows(), k);
    require_dimension("trajectory_score", map, k);
    const auto size = static_cast<std::size_t>(n);
    const double unknown = std::numeric_limits<double>::quiet_NaN();
    TrajectoryScores found{.scores = Eigen::VectorXd::Zero(n),
                           .first = Eigen::VectorXd::Constant(n, unknown),
                           .last = Eigen::VectorXd::Constant(n, unknown),
                           .residual = Eigen::VectorXd::Constant(n, unknown),
                           .nearest = std::vector<index_t>(size, -1)};
    found.iterations.reserve(size);
    found.status.reserve(size);
    const auto by_reference = [&map](const B& on, const typename B::const_view& Z,
                                     typename B::view& out) { evaluate(on, map, Z, out); };
    FixedPointSolver<decltype(by_reference)> solver(by_reference, picard{}, options_.rule);
    detail::AttractorDistances<B> distances(be, attractors_,
                                            options_.distance == attractor_distance::mean);
    // A run keeps five numbers of each entry of its starts: at most 32 MB.
    const index_t each = 5 * k * static_cast<index_t>(sizeof(scalar));
    const index_t part = std::max<index_t>(64, (index_t{1} << 25) / each);
    for (index_t first = 0; first < n; first += part) {
      const index_t count = std::min(part, n - first);
      const Eigen::MatrixX<scalar> these = starts.middleCols(first, count).template cast<scalar>();
      const auto run = [&](const typename B::const_view& Z) {
        detail::TrajectorySums<B> sums(distances, found, first);
        const auto ends = solver.solve(be, Z, run_options{}, sums);
        found.iterations.insert(found.iterations.end(), ends.iterations.begin(),
                                ends.iterations.end());
        found.status.insert(found.status.end(), ends.status.begin(), ends.status.end());
        found.evaluations += ends.work.evaluations;
      };
      if constexpr (std::same_as<B, cpu<scalar>>) {
        run(these);
      } else {
        typename B::matrix Z = be.make_matrix(k, count);
        upload(be, these, columns(be, Z, 0, count));
        run(columns(be, std::as_const(Z), 0, count));
      }
    }
    for (index_t j = 0; j < n; ++j) average(found, j);
    return found;
  }

 private:
  void average(TrajectoryScores& found, index_t j) const {
    const index_t taken = found.iterations[static_cast<std::size_t>(j)];
    const index_t counted = options_.tail ? options_.rule.max_iterations : taken;
    found.scores[j] += static_cast<double>(counted - taken) * found.last[j];
    found.scores[j] /= static_cast<double>(options_.divisor == trajectory_divisor::points
                                               ? counted + 1
                                               : std::max<index_t>(counted, 1));
    if (is_nan(found.last[j])) found.scores[j] = found.last[j];
  }

  trajectory_score_options options_;
  NearestReferences<double> attractors_;
};

/// score(z) = mean over the trajectory z_0 = z, z_{i+1} = f(z_i) of d(z_i, Z*) (Fumero et al. 2025,
/// sections 4.1 and 4.2). No trajectory is stored: distances are summed as the solver goes, and
/// columns that have ended cost nothing. A score is the same in any batch, if the map's values are.
///
/// A trajectory that diverges or meets a value that is not finite is scored by its states until
/// then, and `status` says so.
///
/// @param attractors k × M in host memory. Those of references: attractors that were computed from
///   the samples themselves would make them familiar.
/// @param starts k × N in host memory
/// @throws as `TrajectoryScorer`
/// Cost: N evaluations of f and 2 k M flops in float a point of a trajectory; `mean` in double.
/// A program with a device includes ood/cuda/trajectory_score.hpp: the distances are found there,
/// and an index and two numbers a point of a trajectory come to the host. Memory: the attractors
/// one and a half times, in double, once more for `mean`, and 32 MB.
///
/// @code
/// #include <iostream>
///
/// #include <basin/map/function_map.hpp>
/// #include <basin/ood/trajectory_score.hpp>
///
/// int main() {
///   auto map = basin::function_map(2, [](const auto& Z) { return (2 * Z.array()).tanh(); });
///   const basin::cpu<double> cpu;
///   Eigen::MatrixXd attractors(2, 1), starts(2, 2);
///   attractors << 0.9575, 0.9575;
///   starts << 0.8, -0.8, 0.9, -0.9;  // the second goes elsewhere
///   std::cout << basin::trajectory_score(cpu, map, attractors, starts).scores.transpose() << '\n';
/// }
/// @endcode
template <backend B, class Map, class Attractors, class Starts>
[[nodiscard]] TrajectoryScores trajectory_score(const B& be, Map& map,
                                                const Eigen::MatrixBase<Attractors>& attractors,
                                                const Eigen::MatrixBase<Starts>& starts,
                                                const trajectory_score_options& options = {}) {
  return TrajectoryScorer(detail::host_of(be), attractors, options).score(be, map, starts);
}

}  // namespace basin
