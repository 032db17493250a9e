/// @file
/// The atlas of a map: its attractors, how stable each is, who ends there, and what may be missing.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/clustering.hpp>
#include <basin/attractor/discovery.hpp>
#include <basin/attractor/fixed_groups.hpp>
#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/map/derivative.hpp>
#include <basin/map/power.hpp>
#include <basin/spectral/eigenvalues.hpp>
#include <basin/spectral/spectrum.hpp>
#include <basin/spectral/stability.hpp>

namespace basin {

/// One attractor of an atlas.
struct Attractor {
  attractor_kind kind = attractor_kind::point;
  index_t period = 1;
  /// k × period, a column the image of the one before; of a continuum k × m, some of its points.
  Eigen::MatrixXd center;
  /// Of z -> f(z), by the eigenvalues of f^period at the first point; undecided without a jvp.
  stability_kind stability = stability_kind::undecided;
  /// Of dz/dt = f(z) - z at the first point; undecided for cycles, which the flow does not have.
  stability_kind flow_stability = stability_kind::undecided;
  index_t unstable = 0;  ///< directions that z -> f(z) leaves by
  Spectrum spectrum;     ///< leading eigenvalues of f^period at the first point, by modulus
  /// Per iteration, |λ_1|^(1 / period): what a small error is multiplied by in the end.
  double rate = std::numeric_limits<double>::quiet_NaN();
  double residual = std::numeric_limits<double>::quiet_NaN();  ///< Cluster::residual
  double error = 0;       ///< Cluster::error, how far the true point may be
  double spread = 0;      ///< Cluster::spread, of the ends that were found
  Eigen::VectorXd image;  ///< the first point decoded; empty without a decoder
};

/// What a user keeps of a map. Attractors stand by how often the sample met them, the most met
/// first; the counts of `sources` are in their order.
struct Atlas {
  index_t k = 0;
  std::vector<Attractor> attractors;
  std::vector<SourceReport> sources;
  UnseenEstimate unseen;
  index_t beside = 0;  ///< attractors that the sample has not met (Discovery::beside)
  index_t starts = 0;  ///< Discovery::starts
  index_t evaluations = 0;
  discovery_end ended = discovery_end::starts;

  std::string model;                            ///< what the map is
  std::string rule;                             ///< how starts were followed, in words
  std::uint64_t seed = 0;                       ///< of the starts
  std::vector<index_t> image_shape;             ///< channels, height, width, say; may be empty
  std::map<std::string, std::string> metadata;  ///< texts of the user's

  [[nodiscard]] index_t size() const noexcept { return static_cast<index_t>(attractors.size()); }
  /// The first point of each: k × M.
  [[nodiscard]] Eigen::MatrixXd centers() const {
    Eigen::MatrixXd points(k, size());
    for (index_t a = 0; a < size(); ++a) {
      points.col(a) = attractors[static_cast<std::size_t>(a)].center.col(0);
    }
    return points;
  }
  /// Share of a source's decided starts, those that end in an attractor or away from all, that end
  /// in this one, with its interval. Undecided starts (SourceReport::undecided) are left out.
  /// @throws argument_error if there is no such source or attractor
  [[nodiscard]] basin_share share(index_t source, index_t attractor) const {
    require(source >= 0 && source < static_cast<index_t>(sources.size()), "Atlas::share",
            "there is no source " + std::to_string(source));
    return sources[static_cast<std::size_t>(source)].share(attractor, unseen.confidence);
  }
  /// Share of all decided starts of the sample, in the proportions in which they were drawn.
  /// @throws argument_error if there is no such attractor
  [[nodiscard]] basin_share share(index_t attractor) const {
    require(attractor >= 0 && attractor < size(), "Atlas::share",
            "there is no attractor " + std::to_string(attractor));
    index_t hits = 0, all = 0;
    for (const SourceReport& source : sources) {
      hits += source.counts[static_cast<std::size_t>(attractor)];
      all += source.starts;
    }
    return wilson_interval(hits, all, unseen.confidence);
  }
};

/// Settings of `make_atlas`, and the texts that it takes over.
struct atlas_options {
  stability_options stability = {};
  /// Right and left eigenvectors of the spectra, by `stability.eigenvalues` once more.
  bool vectors = false;
  std::string model = {};
  std::string rule = {};
  std::uint64_t seed = 0;
  std::vector<index_t> image_shape = {};
  std::map<std::string, std::string> metadata = {};

  /// @throws argument_error if a setting is out of its range
  void check() const { stability.check(); }
};

namespace detail {

/// Spectra and stability of attractors of one period, those at `which`.
template <class B, class Map>
void add_spectra(const B& be, Map& map, const std::vector<std::size_t>& which,
                 const atlas_options& options, std::vector<Attractor>& attractors) {
  if (which.empty()) return;
  const index_t period = attractors[which.front()].period;
  Eigen::MatrixXd points(attractors[which.front()].center.rows(),
                         static_cast<index_t>(which.size()));
  for (std::size_t i = 0; i < which.size(); ++i) {
    points.col(static_cast<index_t>(i)) = attractors[which[i]].center.col(0);
  }
  std::vector<Stability> found = stability(be, map, points, options.stability);
  std::vector<Spectrum> spectra;
  if (options.vectors) {
    eigenvalue_options settings = options.stability.eigenvalues;
    settings.order = eigenvalue_order::modulus;
    settings.right_vectors = true;
    settings.left_vectors = has_vjp<Map, B> || settings.is_dense(points.rows());
    spectra = eigenvalues(be, map, points, settings);
  } else {
    for (Stability& one : found) spectra.push_back(std::move(one.by_modulus));
  }
  for (std::size_t i = 0; i < which.size(); ++i) {
    Attractor& attractor = attractors[which[i]];
    attractor.stability = found[i].map.kind;
    attractor.unstable = found[i].map.unstable;
    if (period == 1) attractor.flow_stability = found[i].flow.kind;
    attractor.rate = std::pow(found[i].map.leading, 1 / static_cast<double>(period));
    attractor.spectrum = std::move(spectra[i]);
  }
}

}  // namespace detail

/// An atlas from what was found.
/// @param map of the discovery, or the same in double; with jvp spectra and stability are filled
///   in, with vjp condition numbers where the spectra are not dense
/// @throws argument_error if a setting is out of its range, size_error unless the map takes as
///   many rows as the points have
/// Cost: that of `stability` for every attractor, p times that for a cycle.
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/atlas.hpp>
/// #include <basin/attractor/discover.hpp>
/// #include <basin/map/differentiable.hpp>
///
/// int main() {
///   // Fixed points at -1 and 1 of the first axis.
///   auto map = basin::differentiable<2>([](const auto& z, auto& f) {
///     f[0] = z[0] + 0.3 * z[0] * (1.0 - z[0] * z[0]) / (1.0 + z[0] * z[0]);
///     f[1] = 0.5 * z[1];
///   });
///   const basin::cpu<double> cpu;
///   const auto found = basin::discover(cpu, map, 2, basin::picard{}, {}, {.starts = 1000});
///   const basin::Atlas atlas = basin::make_atlas(cpu, map, found, {.model = "two wells"});
///   for (basin::index_t a = 0; a < atlas.size(); ++a) {
///     const basin::Attractor& one = atlas.attractors[static_cast<std::size_t>(a)];
///     std::cout << one.center.transpose() << ": " << to_string(one.stability) << ", rate "
///               << one.rate << ", share " << atlas.share(a).value << '\n';
///   }
/// }
/// @endcode
template <backend B, class Map>
  requires latent_map<Map, B>
[[nodiscard]] Atlas make_atlas(const B& be, Map& map, const Discovery& found,
                               const atlas_options& options = {}) {
  options.check();
  const std::vector<index_t> counts = found.counts();
  std::vector<std::size_t> order(counts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return counts[a] > counts[b]; });
  Atlas atlas;
  atlas.k = found.attractors.empty() ? 0 : found.attractors.front().center.rows();
  std::map<index_t, std::vector<std::size_t>> by_period;
  for (const std::size_t a : order) {
    const Cluster& from = found.attractors[a];
    by_period[from.period].push_back(atlas.attractors.size());
    atlas.attractors.emplace_back();
    Attractor& to = atlas.attractors.back();
    to.kind = from.kind;
    to.period = from.period;
    to.center = from.center;
    to.residual = from.residual;
    to.error = from.error;
    to.spread = from.spread;
  }
  if constexpr (has_jvp<Map, B>) {
    for (const auto& [period, which] : by_period) {
      if (period == 1) {
        detail::add_spectra(be, map, which, options, atlas.attractors);
      } else {
        auto iterate = power(detail::MapReference<Map>(map), static_cast<int>(period));
        detail::add_spectra(be, iterate, which, options, atlas.attractors);
      }
    }
  } else if (atlas.k > 0) {
    require_dimension("make_atlas", map, atlas.k);
  }
  atlas.sources = found.sources;
  for (std::size_t s = 0; s < atlas.sources.size(); ++s) {
    for (std::size_t a = 0; a < order.size(); ++a) {
      atlas.sources[s].counts[a] = found.sources[s].counts[order[a]];
    }
  }
  atlas.unseen = found.unseen;
  atlas.beside = found.beside;
  atlas.starts = found.starts;
  atlas.evaluations = found.evaluations;
  atlas.ended = found.ended;
  atlas.model = options.model;
  atlas.rule = options.rule;
  atlas.seed = options.seed;
  atlas.image_shape = options.image_shape;
  atlas.metadata = options.metadata;
  return atlas;
}

/// Decodes the first point of every attractor.
/// @param decoder a map from k rows to the entries of an image
/// @throws size_error unless the decoder takes k rows, and gives what `image_shape` says if it is
///   not empty; argument_error if neither says how many rows it gives
template <backend B, class Decoder>
void add_images(const B& be, Decoder& decoder, Atlas& atlas) {
  using scalar = typename B::scalar;
  if (atlas.size() == 0) return;
  require_dimension("add_images", decoder, atlas.k);
  index_t pixels = output_dimension(decoder);
  if (!atlas.image_shape.empty()) {
    const index_t shaped = std::accumulate(atlas.image_shape.begin(), atlas.image_shape.end(),
                                           index_t{1}, std::multiplies<>());
    if (pixels < 0) pixels = shaped;
    require_size("add_images", "number of rows that the decoder gives", pixels, shaped);
  }
  require(pixels >= 0, "add_images", "the decoder does not say how many rows it gives");
  auto Z = be.make_matrix(atlas.k, atlas.size());
  auto X = be.make_matrix(pixels, atlas.size());
  const Eigen::MatrixX<scalar> points = atlas.centers().cast<scalar>();
  Eigen::MatrixX<scalar> images(pixels, atlas.size());
  upload(be, points, columns(be, Z, 0, atlas.size()));
  evaluate(be, decoder, columns(be, std::as_const(Z), 0, atlas.size()),
           columns(be, X, 0, atlas.size()));
  download(be, columns(be, std::as_const(X), 0, atlas.size()), images);
  for (index_t a = 0; a < atlas.size(); ++a) {
    atlas.attractors[static_cast<std::size_t>(a)].image = images.col(a).template cast<double>();
  }
}

/// Two attractors that are one.
struct attractor_match {
  index_t a = 0, b = 0;  ///< their places in the two atlases
  double distance = 0;
};

/// How two atlases differ.
struct AtlasComparison {
  std::vector<attractor_match> matched;  ///< in the order of the first
  std::vector<index_t> vanished;         ///< of the first, not in the second
  std::vector<index_t> appeared;         ///< of the second, not in the first
};

namespace detail {
/// Of points and cycles the Hausdorff distance of the sets; of a continuum, which is known by some
/// of its points, the least distance.
[[nodiscard]] inline double attractor_distance(const Attractor& a, const Attractor& b) {
  double least = std::numeric_limits<double>::infinity(), most = 0;
  const auto from = [&](const Eigen::MatrixXd& x, const Eigen::MatrixXd& y) {
    for (index_t i = 0; i < x.cols(); ++i) {
      const double nearest = distance_from(y, x.col(i));
      least = std::min(least, nearest);
      most = std::max(most, nearest);
    }
  };
  from(a.center, b.center);
  from(b.center, a.center);
  const bool some = a.kind == attractor_kind::continuum || b.kind == attractor_kind::continuum;
  return some ? least : most;
}
}  // namespace detail

/// Compares two atlases, say of one model at two times of its training. Two attractors of one
/// period are the same if they are no further apart than the sum of their errors and `tolerance`
/// times 1 + the smaller norm; the nearest pairs are matched first, each attractor once.
/// @throws size_error unless k is the same, or one is empty; argument_error if the tolerance is
///   negative or not finite
/// Cost: M_a M_b distances.
[[nodiscard]] inline AtlasComparison compare(const Atlas& a, const Atlas& b,
                                             double tolerance = 1e-6) {
  require(is_finite(tolerance) && tolerance >= 0, "compare",
          "the tolerance must be finite and at least 0");
  if (a.size() > 0 && b.size() > 0) require_size("compare", "k of the second atlas", b.k, a.k);
  std::vector<attractor_match> pairs;
  for (index_t i = 0; i < a.size(); ++i) {
    const Attractor& x = a.attractors[static_cast<std::size_t>(i)];
    for (index_t j = 0; j < b.size(); ++j) {
      const Attractor& y = b.attractors[static_cast<std::size_t>(j)];
      if (x.period != y.period) continue;
      const double distance = detail::attractor_distance(x, y);
      const double norm = std::min(x.center.col(0).norm(), y.center.col(0).norm());
      if (distance <= x.error + y.error + tolerance * (1 + norm)) pairs.push_back({i, j, distance});
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const auto& p, const auto& q) { return p.distance < q.distance; });
  std::vector<char> taken_a(a.attractors.size()), taken_b(b.attractors.size());
  AtlasComparison found;
  for (const attractor_match& pair : pairs) {
    char& in_a = taken_a[static_cast<std::size_t>(pair.a)];
    char& in_b = taken_b[static_cast<std::size_t>(pair.b)];
    if (in_a || in_b) continue;
    in_a = in_b = 1;
    found.matched.push_back(pair);
  }
  std::sort(found.matched.begin(), found.matched.end(),
            [](const auto& p, const auto& q) { return p.a < q.a; });
  for (index_t i = 0; i < a.size(); ++i) {
    if (!taken_a[static_cast<std::size_t>(i)]) found.vanished.push_back(i);
  }
  for (index_t j = 0; j < b.size(); ++j) {
    if (!taken_b[static_cast<std::size_t>(j)]) found.appeared.push_back(j);
  }
  return found;
}

}  // namespace basin
