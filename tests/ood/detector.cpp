// Detectors: what they score, their rates, their files, and what they refuse.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <basin/core/random.hpp>
#include <basin/map/function_map.hpp>
#include <basin/ood/detector.hpp>

#include "../catch.hpp"

using basin::Detector;
using basin::index_t;

namespace {

Eigen::MatrixXd normal(index_t rows, index_t columns, std::uint32_t stream) {
  return Eigen::MatrixXd::NullaryExpr(rows, columns, [&](index_t i, index_t j) {
    return basin::normal_at<double>(basin::random_stream{23, stream}, i, j);
  });
}

std::string path_of(const std::string& name) {
  return (std::filesystem::temp_directory_path() / (name + ".safetensors")).string();
}

const basin::cpu<double> be(1);

}  // namespace

TEST_CASE("a detector scores as its scorer, and alarms at its rate", "[ood]") {
  const Eigen::MatrixXd references = normal(4, 300, 0), calibrating = normal(4, 1000, 1);
  Detector detector(basin::KnnScorer(be, references, {.neighbours = 5}), references);
  CHECK_THROWS_WITH(detector.detect(be, normal(4, 5, 2)), "Detector: it is not calibrated");
  const Eigen::MatrixXd fresh = normal(4, 2000, 2);
  CHECK(detector.score(be, fresh) ==
        basin::knn_score(be, references, fresh, {.neighbours = 5}).scores);
  detector.calibrate(be, calibrating, {.rate = 0.1, .confidence = 0.9});
  const auto said = detector.detect(be, fresh);
  CHECK(said.scores == detector.score(be, fresh));
  const auto alarms = std::count(said.foreign.begin(), said.foreign.end(), true);
  // The limit holds for the true rate, which this estimates to 0.7 %.
  CHECK(alarms <= 230);
  CHECK(alarms >= 110);
  const auto foreign = detector.detect(be, (3 * normal(4, 100, 3)).eval()).foreign;
  CHECK(std::count(foreign.begin(), foreign.end(), true) > 80);
}

TEST_CASE("references and calibrating samples are recognised", "[ood]") {
  const Eigen::MatrixXd references = normal(4, 100, 0), calibrating = normal(4, 100, 1);
  Detector detector(basin::Mahalanobis(be, references), references);
  Eigen::MatrixXd mixed = normal(4, 80, 2);
  mixed.col(7) = references.col(50);
  CHECK_THROWS_WITH(detector.calibrate(be, mixed, {}),
                    "Detector: sample 7 is a reference or has calibrated the threshold: samples "
                    "must be new");
  CHECK_FALSE(detector.threshold().has_value());
  detector.calibrate(be, calibrating, {});
  CHECK_THROWS_AS(detector.calibrate(be, normal(4, 100, 3), {}), basin::argument_error);
  mixed.col(7) = calibrating.col(3);
  CHECK_THROWS_AS(detector.detect(be, mixed), basin::argument_error);
  // In float they are the same samples where they were float.
  const Eigen::MatrixXf single = references.cast<float>();
  const Detector of_float(basin::Mahalanobis(be, single), single);
  CHECK_THROWS_AS(of_float.score(be, single.col(3).cast<double>()), basin::argument_error);
  CHECK_THROWS_AS(detector.score(be, normal(5, 3, 0)), basin::size_error);
  CHECK_THROWS_AS(Detector(basin::Mahalanobis(be, references), normal(3, 9, 0)), basin::size_error);
}

TEST_CASE("a detector in a file is the same to the bit", "[ood]") {
  const Eigen::MatrixXd references = normal(6, 90, 0), fresh = normal(6, 40, 2);
  auto map = basin::function_map(6, [](const auto& Z) { return (1.5 * Z.array()).tanh(); });
  const auto check = [&](Detector::scorer scorer, auto&... maps) {
    Detector detector(std::move(scorer), references);
    detector.calibrate(be, normal(6, 70, 1), {.rate = 0.1}, maps...);
    const std::string path = path_of("detector");
    basin::save_detector(detector, path);
    const Detector again = basin::load_detector(be, path);
    CHECK(again.score(be, fresh, maps...) == detector.score(be, fresh, maps...));
    CHECK(again.threshold()->value == detector.threshold()->value);
    CHECK(again.threshold()->reached == detector.threshold()->reached);
    CHECK(again.known() == detector.known());
    CHECK_THROWS_AS(again.score(be, references.leftCols(1), maps...), basin::argument_error);
  };
  check(basin::KnnScorer(be, references, {.neighbours = 3}));
  check(basin::KnnScorer(
      be, references,
      {.neighbours = 7, .distance = basin::knn_distance::mean, .normalized = true}));
  check(basin::Mahalanobis(be, references));
  {
    // The same direction as a reference, which is allowed, and is so behind a file.
    const basin::knn_options equal{.neighbours = 1, .normalized = true, .allow_equal = true};
    const Detector detector(basin::KnnScorer(be, references, equal), references);
    basin::save_detector(detector, path_of("equal"));
    const Eigen::MatrixXd twice = 2 * references.leftCols(3);
    CHECK(basin::load_detector(be, path_of("equal")).score(be, twice) == detector.score(be, twice));
  }
  const Eigen::MatrixXd attractors = normal(6, 9, 4);
  for (const auto distance :
       {basin::attractor_distance::nearest, basin::attractor_distance::mean}) {
    basin::trajectory_score_options options{
        .distance = distance, .divisor = basin::trajectory_divisor::iterations, .tail = true};
    options.rule.max_iterations = 40;
    options.rule.norm = basin::residual_norm::rms;
    check(basin::TrajectoryScorer(be, attractors, options), map);
    options.rule.divergence = std::numeric_limits<double>::infinity();
    check(basin::TrajectoryScorer(be, attractors, options), map);
  }
  CHECK_THROWS_AS(Detector(basin::KnnScorer(be, references, {.exclude_self = true}), references),
                  basin::argument_error);
  check(basin::ResidualScorer(6), map);
  Detector needs(basin::TrajectoryScorer(be, attractors), references);
  CHECK_THROWS_WITH(needs.score(be, fresh), "Detector: trajectories need the map");
}

TEST_CASE("a detector by residuals", "[ood]") {
  auto map = basin::function_map(3, [](const auto& Z) { return 0.5 * Z; });
  const Eigen::MatrixXd references = normal(3, 50, 0), fresh = normal(3, 400, 2);
  Detector detector(basin::ResidualScorer(3), references);
  CHECK_THROWS_WITH(detector.score(be, fresh), "Detector: residuals need the map");
  CHECK(detector.score(be, fresh, map) == basin::residual_score(be, map, fresh));
  detector.calibrate(be, normal(3, 200, 1), {.rate = 0.1}, map);
  const auto said = detector.detect(be, (9 * fresh).eval(), map);
  CHECK(std::count(said.foreign.begin(), said.foreign.end(), true) > 320);
  CHECK(said.warning.empty());
  CHECK_THROWS_AS(detector.score(be, references, map), basin::argument_error);
  CHECK_THROWS_AS(Detector(basin::ResidualScorer(4), references), basin::size_error);
  CHECK_THROWS_AS(basin::ResidualScorer(0), basin::argument_error);
}

namespace {

// Of z -> tanh(2 z): as many iterations as a start has tenths of distance, to the attractor of its
// first coordinate's sign; none near the boundary.
struct signs {
  basin::Predictions predict(const Eigen::MatrixXd& Z) {
    basin::Predictions said(Z.cols());
    for (index_t j = 0; j < Z.cols(); ++j) {
      const double z = Z(0, j);
      said[j] = std::abs(z) < 0.05 ? basin::prediction::none(basin::not_applicable::no_attractor)
                                   : basin::prediction::of(std::round(10 * std::abs(z)), z > 0);
    }
    return said;
  }
};

}  // namespace

TEST_CASE("a detector by basins and speeds", "[ood]") {
  static_assert(basin::prepared_predictor<signs>);
  signs predictor;
  const Eigen::MatrixXd references = normal(3, 200, 0), fresh = normal(3, 400, 2);
  Detector detector(basin::SpeedScorer(predictor.predict(references)), references);
  CHECK(detector.dimension() == 3);
  const basin::SpeedScorer by_itself(predictor.predict(references));
  CHECK(detector.score(be, fresh, predictor) == by_itself.score(predictor.predict(fresh)));
  detector.calibrate(be, normal(3, 200, 1), {.rate = 0.1}, predictor);
  const auto far = detector.detect(be, (9 * fresh).eval(), predictor);
  CHECK(std::count(far.foreign.begin(), far.foreign.end(), true) > 250);
  const auto familiar = detector.detect(be, fresh, predictor);
  CHECK(std::count(familiar.foreign.begin(), familiar.foreign.end(), true) < 80);

  basin::save_detector(detector, path_of("speeds"));
  const Detector again = basin::load_detector(be, path_of("speeds"));
  CHECK(again.dimension() == 3);
  CHECK(again.score(be, fresh, predictor) == detector.score(be, fresh, predictor));
  CHECK(again.threshold()->value == detector.threshold()->value);
  CHECK_THROWS_AS(again.score(be, references, predictor), basin::argument_error);
  CHECK_THROWS_AS(again.score(be, normal(2, 5, 0), predictor), basin::size_error);

  auto map = basin::function_map(3, [](const auto& Z) { return 0.5 * Z; });
  const auto* const needs = "Detector: speeds need the predictor of their counts";
  CHECK_THROWS_WITH(detector.score(be, fresh), needs);
  CHECK_THROWS_WITH(detector.score(be, fresh, map), needs);
  const Detector residuals(basin::ResidualScorer(3), references);
  CHECK_THROWS_WITH(residuals.score(be, fresh, predictor), "Detector: residuals need the map");
  CHECK_THROWS_WITH(Detector(basin::SpeedScorer(predictor.predict(references)), fresh),
                    "Detector: number of references is 400, expected 200");
}

TEST_CASE("files of speeds that are damaged are refused", "[ood]") {
  const auto refused = [](const std::vector<std::int64_t>& basins,
                          const std::vector<double>& counts, const std::string& text) {
    const std::vector<std::int64_t> prints{1};
    const auto path = path_of("damaged_speeds");
    basin::write_safetensors(path,
                             {{"basins", {static_cast<index_t>(basins.size())}, basins.data()},
                              {"counts", {static_cast<index_t>(counts.size())}, counts.data()},
                              {"fingerprints", {1}, prints.data()}},
                             {{"detector", text}});
    CHECK_THROWS_AS(basin::load_detector(be, path), basin::file_error);
  };
  const std::string good = R"({"version":1,"score":"speed","dimension":2})";
  refused({0, 0}, {1}, good);
  refused({0, 0}, {1, -3}, good);
  refused({0, 0}, {1, std::numeric_limits<double>::quiet_NaN()}, good);
  refused({}, {}, good);
  refused({0}, {1}, R"({"version":1,"score":"speed","dimension":0})");
  refused({0}, {1}, R"({"version":1,"score":"speed"})");
}

TEST_CASE("a detector says that all references are neighbours", "[ood]") {
  const Eigen::MatrixXd references = normal(3, 20, 0), fresh = normal(3, 5, 2);
  const auto warning_of = [&](index_t neighbours) {
    Detector detector(basin::KnnScorer(be, references, {.neighbours = neighbours}), references);
    detector.calibrate(be, normal(3, 200, 1), {.rate = 0.1});
    const auto said = detector.detect(be, fresh);
    CHECK(said.warning == detector.warning());
    return said.warning;
  };
  CHECK(warning_of(19).empty());
  CHECK(warning_of(20) == basin::knn_score(be, references, fresh, {.neighbours = 20}).warning);
  CHECK(warning_of(2000) == "2000 neighbours of 20 references: all are neighbours");
}

TEST_CASE("a sample that is not a number is foreign", "[ood]") {
  auto map = basin::function_map(2, [](const auto& Z) { return 0.5 * Z; });
  const Eigen::MatrixXd references = normal(2, 30, 0);
  Detector detector(basin::TrajectoryScorer(be, Eigen::MatrixXd::Zero(2, 1)), references);
  detector.calibrate(be, normal(2, 70, 1), {.rate = 0.1}, map);
  Eigen::MatrixXd samples = Eigen::MatrixXd::Zero(2, 2);
  samples(1, 1) = std::numeric_limits<double>::quiet_NaN();
  CHECK(detector.detect(be, samples, map).foreign == std::vector<bool>{false, true});
}

TEST_CASE("files that are no detectors are refused", "[ood]") {
  const std::string path = path_of("no_detector");
  const Eigen::MatrixXd references = normal(3, 50, 0);
  const auto refused = [&] { CHECK_THROWS_AS(basin::load_detector(be, path), basin::file_error); };
  std::ofstream(path) << "text";
  refused();
  basin::write_safetensors(path, {{"points", {50, 3}, references.data()}});
  refused();
  const std::vector<std::int64_t> none{1};
  for (const std::string text :
       {"{", R"({"version": 2})", R"({"version": 1, "score": "knn"})",
        R"({"version": 1, "score": "other"})",
        R"({"version": 1, "score": "knn", "neighbours": 2, "mean": false, "normalized": false})",
        R"({"version": 1, "score": "knn", "neighbours": 0, "mean": false, "normalized": false,
            "allow_equal": false})",
        R"({"version": 1, "score": "knn", "neighbours": "x", "mean": false, "normalized": false,
            "allow_equal": false})",
        R"({"version": 1, "score": "residual"})",
        R"({"version": 1, "score": "residual", "dimension": 0})",
        R"({"version": 1, "score": "trajectory", "mean": true, "iterations": true, "tail": true,
            "rule": [1, 9, 1]})"}) {
    CAPTURE(text);
    basin::write_safetensors(
        path, {{"points", {50, 3}, references.data()}, {"fingerprints", {1}, none.data()}},
        {{"detector", text}});
    refused();
  }
  const std::string fine =
      R"({"version": 1, "score": "knn", "neighbours": 2, "mean": false, "normalized": false,
          "allow_equal": false})";
  basin::write_safetensors(
      path, {{"points", {150}, references.data()}, {"fingerprints", {1}, none.data()}},
      {{"detector", fine}});
  refused();
  basin::write_safetensors(
      path, {{"points", {50, 3}, references.data()}, {"fingerprints", {1}, none.data()}},
      {{"detector", fine}});
  CHECK(basin::load_detector(be, path).dimension() == 3);
}
