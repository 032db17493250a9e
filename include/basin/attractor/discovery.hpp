/// @file
/// What a search for attractors has found: the attractors, what each source of starts met, and
/// what that says of the others.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/clustering.hpp>
#include <basin/attractor/unseen.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/core/status.hpp>

namespace basin {

/// Why `discover` ended.
enum class discovery_end : std::uint8_t {
  unseen_mass,  ///< the upper limit of the unseen mass is as low as was asked for
  starts,       ///< the budget of starts is spent
  evaluations,  ///< the budget of evaluations is spent
  exhausted,    ///< every source has come to its end
  cancelled,    ///< stopped by the caller
};

/// The name as in the enumeration.
[[nodiscard]] constexpr std::string_view to_string(discovery_end end) noexcept {
  switch (end) {
    case discovery_end::unseen_mass:
      return "unseen_mass";
    case discovery_end::starts:
      return "starts";
    case discovery_end::evaluations:
      return "evaluations";
    case discovery_end::exhausted:
      return "exhausted";
    case discovery_end::cancelled:
      return "cancelled";
  }
  return "unknown";
}

/// What one source has met.
struct SourceReport {
  std::string name;
  index_t starts = 0;             ///< that ended in an attractor, or away from all
  index_t undecided = 0;          ///< beside these: out of budget, stalled, cancelled
  std::vector<index_t> counts;    ///< of each attractor
  index_t alone = 0;              ///< attractors that no other source has met
  interval_estimate unseen_mass;  ///< share of its starts that lead to what no source has met

  /// The share of its starts that end in an attractor, with Wilson's interval; undecided starts
  /// are left out.
  /// @throws argument_error unless 0 <= attractor < number of attractors
  [[nodiscard]] basin_share share(index_t attractor, double confidence = 0.95) const {
    require(attractor >= 0 && attractor < static_cast<index_t>(counts.size()),
            "SourceReport::share", "there is no attractor " + std::to_string(attractor));
    return wilson_interval(counts[static_cast<std::size_t>(attractor)], starts, confidence);
  }
};

/// The attractors that were found, and what the sample says of the others.
struct Discovery {
  /// Labels of starts that ended in no attractor.
  static constexpr index_t undecided = -1;  ///< its end may be an attractor that is not known
  static constexpr index_t none = -2;       ///< it diverged, or the map was not finite there

  std::vector<Cluster> attractors;    ///< in the order in which they were found
  std::vector<SourceReport> sources;  ///< of the sample, in the order of the mixture
  UnseenEstimate unseen;              ///< of the sample
  std::vector<index_t> labels;        ///< of each start of the sample, in its order
  std::vector<index_t> source;        ///< of each start of the sample
  index_t beside = 0;                 ///< attractors that the sample has not met: the pilot's, say
  index_t starts = 0;                 ///< of all kinds
  index_t evaluations = 0;
  discovery_end ended = discovery_end::starts;

  /// How often the sample met each attractor.
  [[nodiscard]] std::vector<index_t> counts() const {
    std::vector<index_t> total(attractors.size());
    for (const index_t label : labels) {
      if (label >= 0) ++total[static_cast<std::size_t>(label)];
    }
    return total;
  }
  /// The points of all attractors, side by side: k × their number.
  [[nodiscard]] Eigen::MatrixXd points() const {
    index_t columns = 0;
    for (const Cluster& one : attractors) columns += one.center.cols();
    Eigen::MatrixXd all(attractors.empty() ? 0 : attractors.front().center.rows(), columns);
    columns = 0;
    for (const Cluster& one : attractors) {
      all.middleCols(columns, one.center.cols()) = one.center;
      columns += one.center.cols();
    }
    return all;
  }
};

/// Fills in what follows from `attractors`, `labels` and `source`: the reports of the sources, the
/// estimate of the unseen, `beside`. Undecided starts are left out of every estimate.
///
/// A source's unseen mass is that of its own starts, from the attractors that were met once in
/// all, and by it.
/// @throws size_error unless there is a source for each label; argument_error if a label or a
///   source is out of range, and unless 0 < times < 1e9 and 0 < confidence < 1
inline void summarize(Discovery& found, double times = 9, double confidence = 0.95) {
  require_size("summarize", "number of sources of the starts",
               static_cast<index_t>(found.source.size()),
               static_cast<index_t>(found.labels.size()));
  const std::size_t attractors = found.attractors.size();
  for (SourceReport& source : found.sources) {
    source.starts = source.undecided = source.alone = 0;
    source.counts.assign(attractors, 0);
  }
  for (std::size_t j = 0; j < found.labels.size(); ++j) {
    const index_t label = found.labels[j], from = found.source[j];
    require(from >= 0 && from < static_cast<index_t>(found.sources.size()), "summarize",
            "start " + std::to_string(j) + " is of source " + std::to_string(from) + " of " +
                std::to_string(found.sources.size()));
    require(label >= Discovery::none && label < static_cast<index_t>(attractors), "summarize",
            "start " + std::to_string(j) + " has label " + std::to_string(label) + " of " +
                std::to_string(attractors));
    SourceReport& source = found.sources[static_cast<std::size_t>(from)];
    ++(label == Discovery::undecided ? source.undecided : source.starts);
    if (label >= 0) ++source.counts[static_cast<std::size_t>(label)];
  }
  const std::vector<index_t> total = found.counts();
  index_t decided = 0;
  for (SourceReport& source : found.sources) {
    std::vector<index_t> own;  // what others have met as well is not unseen without this source
    for (std::size_t a = 0; a < attractors; ++a) {
      if (source.counts[a] == 0 || source.counts[a] != total[a]) continue;
      own.push_back(source.counts[a]);
      ++source.alone;
    }
    source.unseen_mass = unseen_mass(Encounters(own, source.starts), confidence);
    decided += source.starts;
  }
  found.unseen = estimate_unseen(Encounters(total, decided), times, confidence);
  found.beside = static_cast<index_t>(attractors) - found.unseen.seen;
}

/// A discovery from the clusters of a run whose starts the caller has chosen.
/// @param clusters of the run's ends
/// @param ends statuses of the run: a start without a label is undecided unless it diverged or
///   was not finite
/// @param source of each start: its number in `names`; empty: all are of the first
/// @throws size_error unless there are as many statuses, and sources if any, as starts;
///   argument_error if a source is out of range, and unless 0 < times < 1e9 and 0 < confidence < 1
[[nodiscard]] inline Discovery discovery_of(const Clustering& clusters,
                                            const std::vector<status>& ends,
                                            std::vector<index_t> source = {},
                                            const std::vector<std::string>& names = {"starts"},
                                            double times = 9, double confidence = 0.95) {
  const auto n = static_cast<index_t>(clusters.labels.size());
  require_size("discovery_of", "number of statuses", static_cast<index_t>(ends.size()), n);
  if (source.empty()) source.assign(clusters.labels.size(), 0);
  Discovery found;
  found.attractors = clusters.clusters;
  found.source = std::move(source);
  found.starts = n;
  found.evaluations = clusters.evaluations;
  for (const std::string& name : names)
    found.sources.push_back({.name = name, .counts = {}, .unseen_mass = {}});
  for (std::size_t j = 0; j < ends.size(); ++j) {
    const bool away = ends[j] == status::diverged || ends[j] == status::non_finite;
    found.labels.push_back(clusters.labels[j] >= 0 ? clusters.labels[j]
                           : away                  ? Discovery::none
                                                   : Discovery::undecided);
  }
  summarize(found, times, confidence);
  return found;
}

}  // namespace basin
