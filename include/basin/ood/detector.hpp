/// @file
/// A detector of foreign samples: fitted on references once, calibrated, kept in a file.
///
/// The file is safetensors: of k-NN and trajectories the points (M × k), of Mahalanobis's distances
/// origin (k), whitening (k × k, a column of W a row) and white_means (C × k), of speeds the
/// references' basins (I64, -1: none that is known) and counts (F64, -1: none), of residuals
/// nothing; fingerprints (I64); and in the metadata, under "detector", the settings and the
/// threshold as JSON.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <Eigen/Core>
#include <nlohmann/json.hpp>

#include <basin/backend/concept.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/backend/device.hpp>
#include <basin/backend/host.hpp>
#include <basin/convergence/predictor.hpp>
#include <basin/core/checked_file.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>
#include <basin/io/byte_source.hpp>
#include <basin/io/safetensors.hpp>
#include <basin/ood/knn_score.hpp>
#include <basin/ood/mahalanobis.hpp>
#include <basin/ood/residual_score.hpp>
#include <basin/ood/speed_score.hpp>
#include <basin/ood/threshold.hpp>
#include <basin/ood/trajectory_score.hpp>

namespace basin {

namespace detail {

/// A number for each column, of its bytes as doubles.
template <class Derived>
[[nodiscard]] std::vector<std::int64_t> fingerprints(const Eigen::MatrixBase<Derived>& X) {
  std::vector<std::int64_t> found;
  for (index_t j = 0; j < X.cols(); ++j) {
    const Eigen::VectorXd x = X.col(j).template cast<double>().array() + 0.0;  // -0 is 0
    checksum sum;
    sum.add(x.data(), static_cast<std::size_t>(x.size()) * sizeof(double));
    found.push_back(static_cast<std::int64_t>(sum.value()));
  }
  return found;
}

}  // namespace detail

/// What a detector says of samples.
struct Detections {
  Eigen::VectorXd scores;     ///< N; the higher, the more foreign
  std::vector<bool> foreign;  ///< whether the score is above the threshold, or is not a number
  std::string warning;        ///< as `KnnScores::warning`; empty of other scores
};

/// A score with what it was fitted on, and a threshold. Samples that were references or calibrated
/// the threshold are refused: their scores say nothing of new ones.
///
/// @code
/// #include <iostream>
///
/// #include <basin/ood/detector.hpp>
///
/// int main() {
///   const basin::cpu<double> cpu;
///   const Eigen::MatrixXd references = Eigen::MatrixXd::Random(4, 300);
///   basin::Detector detector(basin::Mahalanobis(cpu, references), references);
///   detector.calibrate(cpu, Eigen::MatrixXd::Random(4, 200), {.rate = 0.05});
///   basin::save_detector(detector, "detector.safetensors");
///   const auto again = basin::load_detector(cpu, "detector.safetensors");
///   const auto said = again.detect(cpu, 3 * Eigen::MatrixXd::Random(4, 5));
///   for (const bool foreign : said.foreign) std::cout << (foreign ? "foreign " : "familiar ");
///   std::cout << '\n';
/// }
/// @endcode
class Detector {
 public:
  using scorer =
      std::variant<KnnScorer, Mahalanobis, TrajectoryScorer, ResidualScorer, SpeedScorer>;

  /// @param fitted on the references, or on the attractors that these come to
  /// @param references k × M in host memory, by which samples are recognised
  /// @throws size_error unless they have the scorer's k rows, or of speeds as many columns as there
  ///   are counts; argument_error of a k-NN scorer with `exclude_self`, since samples are no
  ///   references here
  template <class Derived>
  Detector(scorer fitted, const Eigen::MatrixBase<Derived>& references)
      : Detector(std::move(fitted), references.rows(), detail::fingerprints(references), {}) {
    if (const auto* speeds = std::get_if<SpeedScorer>(&scorer_)) {
      require_size("Detector", "number of references", references.cols(),
                   speeds->references().size());
    }
    const auto* knn = std::get_if<KnnScorer>(&scorer_);
    require(knn == nullptr || !knn->options().exclude_self, "Detector",
            "exclude_self is of references that are scored, which a detector refuses");
  }
  /// Of the parts of a file.
  /// @throws size_error unless the scorer is of this dimension
  Detector(scorer fitted, index_t dimension, std::vector<std::int64_t> known,
           std::optional<basin::Threshold> threshold)
      : scorer_(std::move(fitted)),
        dimension_(dimension),
        known_(std::move(known)),
        threshold_(std::move(threshold)) {
    const index_t rows = rows_of(scorer_);
    require_size("Detector", "number of rows of the references", dimension,
                 rows > 0 ? rows : dimension);
    std::sort(known_.begin(), known_.end());
  }

  [[nodiscard]] index_t dimension() const noexcept { return dimension_; }
  /// The dimension that a scorer knows of; 0 of speeds, which are of counts.
  [[nodiscard]] static index_t rows_of(const scorer& of) {
    return std::visit(
        [](const auto& s) -> index_t {
          if constexpr (requires { s.dimension(); }) {
            return s.dimension();
          } else if constexpr (requires { s.attractors(); }) {
            return s.attractors().rows();
          } else if constexpr (requires { s.references().rows(); }) {
            return s.references().rows();
          } else {
            return 0;
          }
        },
        of);
  }
  [[nodiscard]] const scorer& fitted() const noexcept { return scorer_; }
  /// None before `calibrate`.
  [[nodiscard]] const std::optional<basin::Threshold>& threshold() const noexcept {
    return threshold_;
  }
  /// Not empty of a k-NN scorer that has no more references than neighbours.
  [[nodiscard]] std::string warning() const {
    const auto* knn = std::get_if<KnnScorer>(&scorer_);
    return knn != nullptr ? knn->warning() : std::string();
  }
  /// Of references and calibrating samples, sorted.
  [[nodiscard]] const std::vector<std::int64_t>& known() const noexcept { return known_; }

  /// Scores of samples: of trajectories and residuals with the map, of speeds with the predictor
  /// that has made the references' counts.
  /// @param be where map and score run. A program with a device includes ood/cuda/detector.hpp; the
  ///   references are uploaded each time, since a detector keeps them in host memory
  /// @param samples k × N in host memory
  /// @throws argument_error that names a sample that is known, or without a map or a predictor
  /// where
  ///   one is needed, and as the scorer
  template <backend B, class Derived>
  [[nodiscard]] Eigen::VectorXd score(const B& be,
                                      const Eigen::MatrixBase<Derived>& samples) const {
    return score_with(be, samples, [](const auto& s) -> Eigen::VectorXd { refuse(s); });
  }
  /// @copydoc score
  /// @param with the map, or a prepared predictor
  template <backend B, class With, class Derived>
  [[nodiscard]] Eigen::VectorXd score(const B& be, const Eigen::MatrixBase<Derived>& samples,
                                      With& with) const {
    if constexpr (prepared_predictor<With>) {
      return score_with(be, samples, [&](const auto& s) -> Eigen::VectorXd {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(s)>, SpeedScorer>) {
          return s.score(with.predict(samples.template cast<double>()));
        } else {
          refuse(s);
        }
      });
    } else {
      return score_with(be, samples, [&](const auto& s) -> Eigen::VectorXd {
        using kind = std::remove_cvref_t<decltype(s)>;
        if constexpr (std::is_same_v<kind, SpeedScorer>) {
          refuse(s);
        } else if constexpr (std::is_same_v<kind, TrajectoryScorer>) {
          return s.score(be, with, samples).scores;
        } else {
          return s.score(be, with, samples);
        }
      });
    }
  }

  /// Sets the threshold by familiar samples that are no references, once.
  /// @param with nothing, or the map or the predictor as for `score`
  /// @throws as `score` and `false_alarm_threshold`; argument_error if it is calibrated already
  template <backend B, class Derived, class... With>
  void calibrate(const B& be, const Eigen::MatrixBase<Derived>& samples,
                 const threshold_options& options, With&... with) {
    require(!threshold_, "Detector", "it is calibrated already");
    threshold_ = false_alarm_threshold(score(be, samples, with...), options);
    const std::vector<std::int64_t> more = detail::fingerprints(samples);
    known_.insert(known_.end(), more.begin(), more.end());
    std::sort(known_.begin(), known_.end());
  }

  /// Scores with verdicts.
  /// @throws as `score`; argument_error if it is not calibrated
  template <backend B, class Derived, class... With>
  [[nodiscard]] Detections detect(const B& be, const Eigen::MatrixBase<Derived>& samples,
                                  With&... with) const {
    require(threshold_.has_value(), "Detector", "it is not calibrated");
    Detections found{.scores = score(be, samples, with...), .foreign = {}, .warning = warning()};
    for (const double s : found.scores) found.foreign.push_back(threshold_->alarm(s));
    return found;
  }

 private:
  /// What a scorer scores nothing without.
  [[noreturn]] static void refuse(const TrajectoryScorer&) {
    throw argument_error("Detector: trajectories need the map");
  }
  [[noreturn]] static void refuse(const ResidualScorer&) {
    throw argument_error("Detector: residuals need the map");
  }
  [[noreturn]] static void refuse(const SpeedScorer&) {
    throw argument_error("Detector: speeds need the predictor of their counts");
  }

  /// @param by_more scores of a scorer that needs more than the samples
  template <class B, class Derived, class ByMore>
  [[nodiscard]] Eigen::VectorXd score_with(const B& be, const Eigen::MatrixBase<Derived>& samples,
                                           const ByMore& by_more) const {
    require_size("Detector", "number of rows of the samples", samples.rows(), dimension());
    const std::vector<std::int64_t> prints = detail::fingerprints(samples);
    for (std::size_t j = 0; j < prints.size(); ++j) {
      require(!std::binary_search(known_.begin(), known_.end(), prints[j]), "Detector",
              "sample " + std::to_string(j) +
                  " is a reference or has calibrated the threshold: samples must be new");
    }
    if (const auto* s = std::get_if<TrajectoryScorer>(&scorer_)) return by_more(*s);
    if (const auto* s = std::get_if<ResidualScorer>(&scorer_)) return by_more(*s);
    if (const auto* s = std::get_if<SpeedScorer>(&scorer_)) return by_more(*s);
    if (const auto* s = std::get_if<KnnScorer>(&scorer_)) {
      if constexpr (is_device_backend<B>) {
        return BasicKnnScorer<B>::of_stored(be, s->references(), s->options())
            .score(be, samples)
            .scores;
      } else {
        return s->score(detail::host_of(be), samples).scores;
      }
    }
    return std::get<Mahalanobis>(scorer_).score(be, samples);
  }

  scorer scorer_;
  index_t dimension_;
  std::vector<std::int64_t> known_;
  std::optional<basin::Threshold> threshold_;
};

/// Writes a detector, with its threshold where it has one. The file appears whole or not at all.
/// @throws file_error if it cannot be written
inline void save_detector(const Detector& detector, const std::filesystem::path& path) {
  nlohmann::json text{{"version", 1}};
  std::vector<tensor_view> tensors;
  std::vector<std::int64_t> basins;
  std::vector<double> counts;
  const auto add = [&](const char* name, const auto& X) {
    tensors.emplace_back(name, std::vector<index_t>{X.cols(), X.rows()}, X.data());
  };
  if (const auto* knn = std::get_if<KnnScorer>(&detector.fitted())) {
    const knn_options& o = knn->options();
    text["score"] = "knn";
    text["neighbours"] = o.neighbours;
    text["mean"] = o.distance == knn_distance::mean;
    text["normalized"] = o.normalized;
    text["allow_equal"] = o.allow_equal;
    add("points", knn->references());
  } else if (const auto* distances = std::get_if<Mahalanobis>(&detector.fitted())) {
    text["score"] = "mahalanobis";
    text["amount"] = distances->amount();
    add("origin", distances->origin());
    add("whitening", distances->whitening());
    add("white_means", distances->white_means());
  } else if (const auto* residuals = std::get_if<ResidualScorer>(&detector.fitted())) {
    text["score"] = "residual";
    text["dimension"] = residuals->dimension();
  } else if (const auto* speeds = std::get_if<SpeedScorer>(&detector.fitted())) {
    text["score"] = "speed";
    text["dimension"] = detector.dimension();
    for (const prediction& p : speeds->references().starts) {
      basins.push_back(p.attractor);
      counts.push_back(p.iterations.value_or(-1));
    }
    const std::vector<index_t> size{speeds->references().size()};
    tensors.emplace_back("basins", size, basins.data());
    tensors.emplace_back("counts", size, counts.data());
  } else {
    const auto& trajectories = std::get<TrajectoryScorer>(detector.fitted());
    const trajectory_score_options& o = trajectories.options();
    const stopping& r = o.rule;
    text["score"] = "trajectory";
    text["mean"] = o.distance == attractor_distance::mean;
    text["iterations"] = o.divisor == trajectory_divisor::iterations;
    text["tail"] = o.tail;
    // JSON has no infinity: a rule by which nothing diverges has null there.
    text["rule"] = {r.residual,       static_cast<int>(r.norm),
                    r.max_iterations, r.max_evaluations,
                    r.divergence,     r.window,
                    r.patience,       r.progress,
                    r.max_period,     r.cycle_tolerance,
                    r.marginal_band};
    add("points", trajectories.attractors());
  }
  if (const auto& t = detector.threshold()) {
    text["threshold"] = {t->value, t->rate,     t->confidence, t->calibrated,
                         t->above, t->expected, t->reached};
  }
  tensors.emplace_back("fingerprints",
                       std::vector<index_t>{static_cast<index_t>(detector.known().size())},
                       detector.known().data());
  write_safetensors(path, tensors, {{"detector", text.dump()}});
}

/// Reads a detector; its scores are the same to the bit.
/// @throws file_error that names the file and the reason, if it is damaged, no detector, or holds
///   what no detector can
template <std::floating_point S>
[[nodiscard]] Detector load_detector(const cpu<S>& be, ByteSource source) {
  const std::string name = source.name();
  const SafetensorsFile file(std::move(source));
  const auto found = file.metadata().find("detector");
  if (found == file.metadata().end()) {
    throw file_error(name + ": byte 8: __metadata__ has no 'detector': this is no detector");
  }
  const auto matrix = [&](const char* which) {
    const std::vector<index_t>& shape = file.info(which).shape;
    if (shape.size() != 2) file.refuse(which, "is no matrix");
    const std::vector<double> numbers = file.read<double>(which);
    return Eigen::MatrixXd(Eigen::Map<const Eigen::MatrixXd>(numbers.data(), shape[1], shape[0]));
  };
  try {
    const nlohmann::json text = nlohmann::json::parse(found->second);
    if (text.at("version") != 1) throw argument_error("it is of another version than 1");
    const auto read = [&]() -> Detector::scorer {
      const auto kind = text.at("score").get<std::string>();
      if (kind == "knn") {
        knn_options o{.neighbours = text.at("neighbours").get<index_t>(),
                      .normalized = text.at("normalized").get<bool>(),
                      .allow_equal = text.at("allow_equal").get<bool>()};
        if (text.at("mean").get<bool>()) o.distance = knn_distance::mean;
        return KnnScorer::of_stored(be, matrix("points"), o);
      }
      if (kind == "mahalanobis") {
        return Mahalanobis(Eigen::VectorXd(matrix("origin").reshaped()), matrix("whitening"),
                           matrix("white_means"), text.at("amount").get<double>());
      }
      if (kind == "residual") return ResidualScorer(text.at("dimension").get<index_t>());
      if (kind == "speed") {
        const auto basins = file.read<std::int64_t>("basins");
        const auto counts = file.read<double>("counts");
        require_size("speed", "number of counts", static_cast<index_t>(counts.size()),
                     static_cast<index_t>(basins.size()));
        Predictions references(static_cast<index_t>(basins.size()));
        for (std::size_t j = 0; j < basins.size(); ++j) {
          require(counts[j] == -1 || (is_finite(counts[j]) && counts[j] >= 0), "speed",
                  "count " + std::to_string(j) + " is none");
          references.starts[j] = prediction::of(counts[j], basins[j]);
        }
        return SpeedScorer(std::move(references));
      }
      require(kind == "trajectory", "score", "'" + kind + "' is unknown");
      trajectory_score_options o{.tail = text.at("tail").get<bool>()};
      if (text.at("mean").get<bool>()) o.distance = attractor_distance::mean;
      if (text.at("iterations").get<bool>()) o.divisor = trajectory_divisor::iterations;
      const nlohmann::json& r = text.at("rule");
      const int norm = r.at(1).get<int>();
      require(norm >= 0 && norm <= static_cast<int>(residual_norm::rms), "rule",
              "its norm is unknown");
      o.rule = {.residual = r.at(0).get<double>(),
                .norm = static_cast<residual_norm>(norm),
                .max_iterations = r.at(2).get<index_t>(),
                .max_evaluations = r.at(3).get<index_t>(),
                .divergence = r.at(4).is_null() ? std::numeric_limits<double>::infinity()
                                                : r.at(4).get<double>(),
                .window = r.at(5).get<index_t>(),
                .patience = r.at(6).get<index_t>(),
                .progress = r.at(7).get<double>(),
                .max_period = r.at(8).get<index_t>(),
                .cycle_tolerance = r.at(9).get<double>(),
                .marginal_band = r.at(10).get<double>()};
      return TrajectoryScorer(be, matrix("points"), o);
    };
    std::optional<Threshold> threshold;
    if (text.contains("threshold")) {
      const nlohmann::json& t = text.at("threshold");
      threshold = Threshold{.value = t.at(0).get<double>(),
                            .rate = t.at(1).get<double>(),
                            .confidence = t.at(2).get<double>(),
                            .calibrated = t.at(3).get<index_t>(),
                            .above = t.at(4).get<index_t>(),
                            .expected = t.at(5).get<double>(),
                            .reached = t.at(6).get<double>()};
    }
    Detector::scorer fitted = read();
    const index_t dimension = text.contains("dimension") ? text.at("dimension").get<index_t>()
                                                         : Detector::rows_of(fitted);
    require(dimension >= 1, "dimension", "it must be at least 1");
    return Detector(std::move(fitted), dimension, file.read<std::int64_t>("fingerprints"),
                    threshold);
  } catch (const nlohmann::json::exception& e) {
    throw file_error(name + ": byte 8: __metadata__: 'detector': " + e.what());
  } catch (const argument_error& e) {
    throw file_error(name + ": 'detector': " + e.what());
  } catch (const size_error& e) {
    throw file_error(name + ": 'detector': " + e.what());
  }
}

}  // namespace basin
