/// @file
/// The attractors of a map from noise alone, and when to stop looking.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/cluster.hpp>
#include <basin/attractor/discovery.hpp>
#include <basin/attractor/merge.hpp>
#include <basin/attractor/noise_scales.hpp>
#include <basin/attractor/starts.hpp>
#include <basin/attractor/unseen.hpp>
#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/solver/automatic.hpp>
#include <basin/solver/fixed_point_solver.hpp>

namespace basin {

/// How far a discovery is; handed to `discovery_options::progress` after every batch.
struct discovery_progress {
  index_t starts = 0;       ///< of all kinds, so far
  index_t most_starts = 0;  ///< the budget
  index_t attractors = 0;   ///< found by any
  index_t evaluations = 0;
  UnseenEstimate unseen;  ///< of the sample as it was when last looked at
};

/// Settings of `discover`.
struct discovery_options {
  /// The mixture that is sampled. Empty: noise of three shapes at the scales that a few starts
  /// show to matter, see `noise_options`. Sources of codes or other noise may be given instead,
  /// or beside it (`with_noise`).
  std::vector<start_source> sources = {};
  bool with_noise = false;   ///< add the noise to given sources
  noise_options noise = {};  ///< of the scales

  index_t starts = 10'000;  ///< budget of all starts
  /// Budget of evaluations, looked at after every batch.
  index_t evaluations = std::numeric_limits<index_t>::max();
  /// Ends where the upper limit of the unseen mass is at most this. 0: never.
  double unseen_mass = 1e-3;
  by_distance same = {};     ///< when two ends are one attractor
  double confidence = 0.95;  ///< of all intervals
  double times = 9;          ///< UnseenEstimate::times
  /// Starts of the sample at the first look at the estimate; at every further look twice as many,
  /// since a rule that looks always will see a low estimate by luck.
  index_t first_look = 500;
  /// Starts from around and between the found attractors, as a share of the sample: they find
  /// what isotropic noise does not, and count in no estimate.
  double explore = 0.1;
  index_t batch = 8192;    ///< starts solved at a time, of all kinds; memory goes with it
  std::uint64_t seed = 0;  ///< of all starts; the answer is the same on any number of threads

  std::function<void(const discovery_progress&)> progress = {};
  std::stop_token stop = {};

  /// @throws argument_error if a setting is out of its range
  void check() const {
    noise.check();
    same.check();
    for (const start_source& source : sources) source.check();
    require(starts >= 1, "discovery_options", "starts must be at least 1");
    require(evaluations >= 1, "discovery_options", "evaluations must be at least 1");
    require(unseen_mass >= 0, "discovery_options", "unseen_mass must be at least 0");
    require(confidence > 0 && confidence < 1, "discovery_options",
            "confidence must lie between 0 and 1");
    require(times > 0 && times < 1e9, "discovery_options", "times must be positive, and below 1e9");
    require(first_look >= 1, "discovery_options", "first_look must be at least 1");
    require(explore >= 0 && explore <= 1, "discovery_options", "explore must lie in [0, 1]");
    require(batch >= 1, "discovery_options", "batch must be at least 1");
  }
};

namespace detail {

/// Deviation of starts around attractors: half the mean distance to the nearest other one, over
/// the coordinates.
[[nodiscard]] inline double exploring_deviation(const Eigen::MatrixXd& points) {
  const index_t m = points.cols();
  double sum = 0;
  for (index_t i = 0; i < m; ++i) {
    double nearest = std::numeric_limits<double>::infinity();
    for (index_t j = 0; j < m; ++j) {
      if (j != i) nearest = std::min(nearest, (points.col(i) - points.col(j)).norm());
    }
    sum += m > 1 ? nearest : 1 + points.col(i).norm();
  }
  const double coordinates = std::sqrt(static_cast<double>(points.rows()));
  return std::max(sum / static_cast<double>(m) / (2 * coordinates), 1e-100);
}

/// Follows starts to their ends and keeps the attractors.
template <class B, class Solver, class Ends>
class Follower {
 public:
  Follower(const B& be, Solver& solver, const discovery_options& options, const Ends& ends,
           Discovery& found)
      : be_(be), solver_(solver), options_(options), ends_(ends), found_(found) {}

  [[nodiscard]] index_t room() const { return options_.starts - found_.starts; }
  [[nodiscard]] bool cancelled() const { return options_.stop.stop_requested(); }
  [[nodiscard]] bool spent() const {
    return cancelled() || found_.evaluations >= options_.evaluations || room() < 1;
  }

  /// Appends the labels of the starts' ends to `labels`. Where attractors have become one, those
  /// that are there are renumbered, as the discovery's are.
  void operator()(const Eigen::MatrixXd& points, std::vector<index_t>& labels) {
    const index_t n = points.cols();
    const Eigen::MatrixX<typename B::scalar> host = points.template cast<typename B::scalar>();
    auto Z = be_.make_matrix(points.rows(), n);
    if (n > 0) upload(be_, host, columns(be_, Z, 0, n));
    const auto ends = solver_.solve(be_, columns(be_, std::as_const(Z), 0, n),
                                    run_options{.stop = options_.stop});
    const Clustering clusters = ends_.clusters(solver_.map(), ends);
    found_.starts += n;
    found_.evaluations += ends.work.evaluations + clusters.evaluations;
    JoinedClusters joined = ends_.join(solver_.map(), found_.attractors, clusters.clusters);
    found_.evaluations += joined.evaluations;
    found_.attractors = std::move(joined.attractors);
    for (Cluster& one : found_.attractors) one.representative = -1;  // that column is gone
    const auto renumber = [](std::vector<index_t>& all, const std::vector<index_t>& place) {
      for (index_t& label : all) {
        if (label >= 0) label = place[static_cast<std::size_t>(label)];
      }
    };
    renumber(found_.labels, joined.place_of_known);
    if (&labels != &found_.labels) renumber(labels, joined.place_of_known);
    std::vector<index_t> more = discovery_of(clusters, ends.status).labels;
    renumber(more, joined.place_of_found);
    labels.insert(labels.end(), more.begin(), more.end());
    progress();
  }

  void progress() const {
    if (!options_.progress) return;
    options_.progress({.starts = found_.starts,
                       .most_starts = options_.starts,
                       .attractors = static_cast<index_t>(found_.attractors.size()),
                       .evaluations = found_.evaluations,
                       .unseen = found_.unseen});
  }

 private:
  const B& be_;
  Solver& solver_;
  const discovery_options& options_;
  const Ends& ends_;
  Discovery& found_;
};

/// What is measured of ends with the map that is followed.
template <class B, class Map>
struct EndsOfMap {
  const B& be;
  const by_distance& same;
  [[nodiscard]] Clustering clusters(Map& map, const FixedPointResult<B>& ends) const {
    return cluster(be, map, ends, same);
  }
  [[nodiscard]] JoinedClusters join(Map& map, const std::vector<Cluster>& known,
                                    const std::vector<Cluster>& found) const {
    return basin::join(be, map, known, found, same);
  }
};

/// What is measured of ends with another, in double.
template <class B, class Exact>
struct EndsOfExact {
  const B& be;
  Exact& exact;
  const by_distance& same;
  template <class Map>
  [[nodiscard]] Clustering clusters(Map& map, const FixedPointResult<B>& ends) const {
    return cluster(be, map, ends, exact, same);
  }
  template <class Map>
  [[nodiscard]] JoinedClusters join(Map&, const std::vector<Cluster>& known,
                                    const std::vector<Cluster>& found) const {
    return basin::join(cpu<double>(host_of(be).threads()), exact, known, found, same);
  }
};

template <class B, class Map, class Accelerator, class Stopping, class Ends>
[[nodiscard]] Discovery run_discovery(const B& be, const Map& map, index_t k,
                                      Accelerator accelerator, Stopping rule,
                                      const discovery_options& options, const Ends& ends) {
  options.check();
  require(k >= 1, "discover", "k must be at least 1");
  require_dimension("discover", map, k);
  using solver_type = FixedPointSolver<Map, Accelerator, Stopping>;
  solver_type solver(map, std::move(accelerator), std::move(rule));
  Discovery found;
  Follower<B, solver_type, Ends> follow(be, solver, options, ends, found);

  std::vector<start_source> sources = options.sources;
  if (sources.empty() || options.with_noise) {
    const auto noise = choose_noise(k, options.noise, options.batch, {options.seed, 0x10000},
                                    follow, found.attractors);
    sources.insert(sources.end(), noise.begin(), noise.end());
  }
  if (sources.empty()) {  // it was to end before a scale had been tried
    summarize(found, options.times, options.confidence);
    found.ended = follow.cancelled() ? discovery_end::cancelled : discovery_end::evaluations;
    return found;
  }
  StartMixture mixture(std::move(sources), k, {options.seed, 0});
  for (const start_source& source : mixture.sources()) {
    found.sources.push_back({.name = source.name, .counts = {}, .unseen_mass = {}});
  }
  const auto sampled = [&] { return static_cast<index_t>(found.labels.size()); };
  // The sample, up to n starts.
  const auto sample = [&](index_t n) {
    while (sampled() < n && !follow.spent()) {
      const Starts starts = mixture.next(std::min({n - sampled(), options.batch, follow.room()}));
      if (starts.source.empty()) break;
      follow(starts.points, found.labels);
      found.source.insert(found.source.end(), starts.source.begin(), starts.source.end());
    }
    summarize(found, options.times, options.confidence);
    follow.progress();
  };
  const auto explore = [&](index_t n, std::uint32_t stage) {
    const Eigen::MatrixXd points = found.points();
    if (points.cols() == 0) return;
    const double deviation = exploring_deviation(points);
    std::vector<start_source> around{starts_around(points, deviation),
                                     starts_around(points, 4 * deviation)};
    if (points.cols() > 1) around.push_back(starts_between(points));
    // Streams of its own for every stage, since the distributions change.
    StartMixture exploring(std::move(around), k, {options.seed, 0x20000 + 4 * stage});
    std::vector<index_t> labels;  // count in nothing
    for (n = std::min(n, follow.room()); n > 0 && !follow.spent(); n -= options.batch) {
      follow(exploring.next(std::min(n, options.batch)).points, labels);
    }
  };

  index_t next_look = options.first_look;
  for (std::uint32_t stage = 0;; ++stage, next_look *= 2) {
    const index_t before = sampled();
    sample(next_look);
    if (follow.cancelled()) {
      found.ended = discovery_end::cancelled;
    } else if (options.unseen_mass > 0 && sampled() == next_look &&
               found.unseen.mass.upper <= options.unseen_mass) {
      found.ended = discovery_end::unseen_mass;
    } else if (found.evaluations >= options.evaluations) {
      found.ended = discovery_end::evaluations;
    } else if (follow.room() < 1) {
      found.ended = discovery_end::starts;
    } else if (sampled() < next_look) {
      found.ended = discovery_end::exhausted;
    } else {
      explore(static_cast<index_t>(options.explore * static_cast<double>(sampled() - before)),
              stage);
      continue;
    }
    break;
  }
  return found;
}

}  // namespace detail

/// Finds attractors from starts that nobody had to give, and says how much it may have missed.
///
/// - A pilot of a few starts per scale finds the scales of noise at which basins differ.
/// - The sample: starts from a fixed mixture of the sources. The estimates are of it alone, so
///   they are those of independent starts; `unseen` says of which share of starts the attractor
///   is still unseen, how many attractors there are at least, and how many a sample ten times as
///   large will meet. A source that meets other attractors than the rest has its own unseen mass
///   in its report.
/// - Exploration: a few starts from around and between attractors as they are found.
///
/// It ends when the sample's unseen mass is low enough, or by a budget.
///
/// Cost: that of the solver's runs; memory for `batch` starts, and two integers a start.
/// @param map any map; copied into the solver
/// @param k coordinates of a state
/// @param accelerator takes each start to the attractor that the map takes it to: basin_preserving
///   or automatic, or picard
/// @param rule when a column has converged; a residual that leaves errors below the distance of
///   attractors
/// @throws argument_error if a setting is out of its range; size_error unless the map takes k rows
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/discover.hpp>
/// #include <basin/map/columnwise.hpp>
///
/// int main() {
///   // Newton's iteration for z³ = 1.
///   auto map = basin::columnwise<2>([](const auto& z, auto& next) {
///     const double x = z[0], y = z[1], r = x * x + y * y;
///     next[0] = (2 * x + (x * x - y * y) / (r * r)) / 3;
///     next[1] = (2 * y - 2 * x * y / (r * r)) / 3;
///   });
///   const basin::cpu<double> cpu;
///   const auto discovery = basin::discover(cpu, map, 2, basin::picard{}, {}, {.starts = 2000});
///   std::cout << discovery.points() << "\nunseen mass at most "
///             << discovery.unseen.mass.upper << '\n';
/// }
/// @endcode
template <basin::backend B, class Map, class Accelerator = automatic, class Stopping = stopping>
  requires latent_map<Map, B>
[[nodiscard]] Discovery discover(const B& be, const Map& map, index_t k,
                                 Accelerator accelerator = {}, Stopping rule = {},
                                 const discovery_options& options = {}) {
  return detail::run_discovery(be, map, k, std::move(accelerator), std::move(rule), options,
                               detail::EndsOfMap<B, Map>{be, options.same});
}

/// The same with the map in double for all that is measured of the ends, such as a network that
/// was loaded in double beside the one in float that is followed: in float a slow convergence ends
/// in rounding, and leaves attractors that are none.
/// @param exact the map in double
template <basin::backend B, class Map, class Exact, class Accelerator = automatic,
          class Stopping = stopping>
  requires latent_map<Map, B> && latent_map<Exact, cpu<double>>
[[nodiscard]] Discovery discover(const B& be, const Map& map, Exact& exact, index_t k,
                                 Accelerator accelerator = {}, Stopping rule = {},
                                 const discovery_options& options = {}) {
  return detail::run_discovery(be, map, k, std::move(accelerator), std::move(rule), options,
                               detail::EndsOfExact<B, Exact>{be, exact, options.same});
}

}  // namespace basin
