/// @file
/// How foreign samples are by their distance from the nearest references.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/nearest.hpp>
#include <basin/backend/concept.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// What is made of the distances from the K nearest references.
enum class knn_distance : std::uint8_t {
  kth,   ///< the K-th (Sun, Ming, Zhu and Li 2022)
  mean,  ///< the mean over all K, as in the paper's baseline (Fumero et al. 2025, section 4.2)
};

/// Settings of `knn_score`.
struct knn_options {
  index_t neighbours = 50;  ///< K, at least 1
  knn_distance distance = knn_distance::kth;
  /// References and samples are divided by their norms first, as Sun et al. do.
  bool normalized = false;
  /// The samples are the references, in their order: each is left out of its own neighbours.
  bool exclude_self = false;
  /// Samples that equal a reference (distance 0) are scored. Else they are an error: a sample that
  /// was a reference says nothing of new ones.
  bool allow_equal = false;

  /// @throws argument_error if a setting is out of its range
  void check() const {
    require(neighbours >= 1, "knn_options",
            "neighbours is " + std::to_string(neighbours) + ", must be at least 1");
  }
};

/// Scores of samples.
struct KnnScores {
  Eigen::VectorXd scores;  ///< N; the higher, the more foreign
  index_t neighbours = 0;  ///< that were used: K, or all references where there are no more
  /// Not empty where all references were used, so that "nearest" chooses nothing: the mean is then
  /// a distance from the whole of the references.
  std::string warning;
};

/// References that score many batches of samples.
/// @tparam B where they are searched: `cpu<double>` stands for the host's threads, see `KnnScorer`
template <class B>
class BasicKnnScorer {
  using search = detail::nearest_search<B, double>;

 public:
  /// @param be of any scalar on the host, B itself on a device
  /// @param references k × M in host memory, or a view of the device's
  /// @throws as `NearestReferences`; argument_error if a setting is out of its range, or a
  ///   reference is zero and is to be normalised
  template <class Context, class References>
  BasicKnnScorer(const Context& be, const References& references, const knn_options& options = {})
      : options_((options.check(), options)),
        search_(be, search::points(be, "knn_score", "reference", references, options.normalized)) {}

  /// Of the points of `references()`, as they are: with options that normalise, normalised ones.
  template <class Context>
  [[nodiscard]] static BasicKnnScorer of_stored(const Context& be, const Eigen::MatrixXd& points,
                                                knn_options options) {
    const bool normalized = std::exchange(options.normalized, false);
    BasicKnnScorer scorer(be, points, options);
    scorer.options_.normalized = normalized;
    return scorer;
  }

  [[nodiscard]] const knn_options& options() const noexcept { return options_; }
  /// k × M, normalised where that was asked for.
  [[nodiscard]] decltype(auto) references() const noexcept { return search_.references(); }

  /// As `KnnScores::warning`, of any samples.
  [[nodiscard]] std::string warning() const {
    if (options_.neighbours < available()) return {};
    return std::to_string(options_.neighbours) + " neighbours of " + std::to_string(available()) +
           " references: all are neighbours";
  }

  /// @param samples k × N in host memory, or a view of the device's
  /// @throws size_error unless they have k rows; argument_error that names a sample that is not
  ///   finite, or equals a reference without `allow_equal`
  template <class Context, class Samples>
  [[nodiscard]] KnnScores score(const Context& be, const Samples& samples) const {
    const index_t n = samples.cols();
    std::vector<index_t> excluded;
    if (options_.exclude_self) {
      require_size("knn_score", "number of samples (exclude_self: they are the references)", n,
                   search_.size());
      excluded.resize(static_cast<std::size_t>(n));
      std::iota(excluded.begin(), excluded.end(), index_t{0});
    }
    require(available() >= 1, "knn_score", "there is no reference but the sample itself");
    KnnScores found;
    found.neighbours = std::min(options_.neighbours, available());
    found.warning = warning();
    const Neighbours nearest =
        options_.normalized
            ? search_.nearest(be, search::points(be, "knn_score", "sample", samples, true),
                              found.neighbours, excluded)
            : search_.nearest(be, samples, found.neighbours, excluded);
    found.scores.resize(n);
    for (index_t j = 0; j < n; ++j) {
      require(options_.allow_equal || nearest.distance(0, j) > 0, "knn_score",
              "sample " + std::to_string(j) + " equals reference " +
                  std::to_string(nearest.index(0, j)) +
                  ": leave it out, or allow it by exclude_self or allow_equal");
      found.scores[j] = options_.distance == knn_distance::kth
                            ? nearest.distance(found.neighbours - 1, j)
                            : nearest.distance.col(j).mean();
    }
    return found;
  }

 private:
  [[nodiscard]] index_t available() const {
    return search_.size() - (options_.exclude_self ? 1 : 0);
  }

  knn_options options_;
  typename search::type search_;
};

/// References in host memory, searched by the host's threads, whatever the scalar of the context.
using KnnScorer = BasicKnnScorer<cpu<double>>;

/// Scores of samples by their nearest references, exact to double precision.
/// @param references k × M in host memory, float or double; with a device, a view of its memory too
/// @param samples k × N, as the references
/// @throws as `KnnScorer`
/// Cost: 2 k M N flops in float, see `NearestReferences`; a program with a device includes
/// attractor/cuda/nearest.hpp and pays what `DeviceNearestReferences` says.
///
/// @code
/// #include <iostream>
///
/// #include <basin/ood/knn_score.hpp>
///
/// int main() {
///   const basin::cpu<double> cpu;
///   const Eigen::MatrixXd references = Eigen::MatrixXd::Random(8, 500);
///   Eigen::MatrixXd samples = Eigen::MatrixXd::Random(8, 2);
///   samples.col(1) *= 3;
///   const auto found = basin::knn_score(cpu, references, samples, {.neighbours = 10});
///   std::cout << found.scores.transpose() << '\n';  // the second is more foreign
/// }
/// @endcode
template <backend B, class References, class Samples>
[[nodiscard]] KnnScores knn_score(const B& be, const References& references, const Samples& samples,
                                  const knn_options& options = {}) {
  const auto on = detail::nearest_search<B, double>::context(be);
  return BasicKnnScorer<B>(on, references, options).score(on, samples);
}

}  // namespace basin
