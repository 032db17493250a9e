// Figures 5 and 10 of Fumero et al. (2025): foreign samples told by their trajectories in the
// latent vector field, beside what else tells them.
//
//   out_of_distribution [--quick|--full|--tiny] [--data DIR | --images FILE] [--seeds N]
//                       [--threads T] [--output FOLDER] [options of the training]
//
// With --data the models are those of DIR/reference (k = 2 and 16, trained on 9,000 images of
// DIR/mnist): references are drawn from these, samples and calibrating samples from the other
// 1,000, and grey CIFAR-10 images of DIR/cifar10 are foreign too. A seed then draws references,
// samples and noise anew. Else networks are trained here, on made images or those of FILE, for each
// seed anew. No sample is a reference, or was trained on.
//
// FOLDER (out/out_of_distribution) gets scores.csv (a row for each model, foreign set, score and
// seed: AUROC with DeLong's 95 % interval, FPR95 with that of a bootstrap), results.json,
// histograms_kK.svg and samples_kK.png.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <basin/attractor/cluster.hpp>
#include <basin/convergence/known_attractors.hpp>
#include <basin/convergence/predictors/koenigs.hpp>
#include <basin/io/csv.hpp>
#include <basin/model/model_file.hpp>
#include <basin/ood/auroc.hpp>
#include <basin/ood/detector.hpp>
#include <basin/ood/knn_score.hpp>
#include <basin/ood/mahalanobis.hpp>
#include <basin/ood/residual_score.hpp>
#include <basin/ood/speed_score.hpp>
#include <basin/ood/threshold.hpp>
#include <basin/ood/trajectory_score.hpp>

#include "experiment.hpp"
#include "histogram.hpp"
#include "trained.hpp"

namespace {

using basin::index_t;
using basin::positive_class;

constexpr const char* about =
    "out_of_distribution [OPTION [VALUE]]...: Figures 5 and 10, foreign samples by their "
    "trajectories\n\n"
    "--data DIR      models in DIR/reference, images in DIR/mnist and DIR/cifar10\n";

struct Sizes {
  index_t references, samples, calibration;
};

// Images in columns, and the images that they may be drawn from.
struct Pools {
  basin::tensor_shape shape;
  Eigen::MatrixXf train, test;
  Eigen::MatrixXf grey;  // foreign; may be empty
};

// `count` columns, drawn without replacement.
Eigen::MatrixXf drawn(const Eigen::MatrixXf& from, index_t count, basin::random_stream random,
                      index_t first = 0) {
  basin::require(first + count <= from.cols(), "out_of_distribution",
                 std::to_string(first + count) + " images are needed, there are " +
                     std::to_string(from.cols()));
  std::vector<std::pair<std::uint32_t, index_t>> order;
  for (index_t j = 0; j < from.cols(); ++j) order.emplace_back(random.word(0, j), j);
  std::sort(order.begin(), order.end());
  Eigen::MatrixXf X(from.rows(), count);
  for (index_t j = 0; j < count; ++j) {
    X.col(j) = from.col(order[static_cast<std::size_t>(first + j)].second);
  }
  return X;
}

// Foreign samples made of familiar ones, and noise. Those that they are compared with must be
// others: intervals are of samples that are independent.
std::vector<std::pair<std::string, Eigen::MatrixXf>> foreign_sets(const Pools& pools,
                                                                  const Eigen::MatrixXf& familiar,
                                                                  basin::random_stream random) {
  const index_t h = pools.shape.height, w = pools.shape.width, n = familiar.cols();
  Eigen::MatrixXf noise(familiar.rows(), n), rotated = noise, inverted = noise, shuffled = noise;
  for (index_t j = 0; j < n; ++j) {
    std::vector<std::pair<std::uint32_t, index_t>> order;
    for (index_t i = 0; i < familiar.rows(); ++i) {
      const index_t y = i / w % h, x = i % w, plane = i - y * w - x;
      noise(i, j) = basin::uniform_from_word<float>(random.word(2 * i, j));
      rotated(i, j) = h == w ? familiar(plane + x * w + (w - 1 - y), j)
                             : familiar(plane + (h - 1 - y) * w + (w - 1 - x), j);
      inverted(i, j) = 1 - familiar(i, j);
      order.emplace_back(random.word(2 * i + 1, j), i);
    }
    std::sort(order.begin(), order.end());
    for (index_t i = 0; i < familiar.rows(); ++i) {
      shuffled(i, j) = familiar(order[static_cast<std::size_t>(i)].second, j);
    }
  }
  std::vector<std::pair<std::string, Eigen::MatrixXf>> sets{
      {"noise", noise}, {"rotated", rotated}, {"inverted", inverted}, {"shuffled", shuffled}};
  if (pools.grey.cols() > 0) sets.emplace_back("CIFAR-10", drawn(pools.grey, n, random));
  return sets;
}

// What scores are made of, of one model and one draw of references.
class Scores {
 public:
  Scores(const basin::cpu<float>& be, const basin::Autoencoder<float>& model,
         const Eigen::MatrixXf& references)
      : be_(be),
        model_(model),
        map_(model.latent_map()),
        reconstruction_(model.reconstruction_map()),
        codes_(experiment::codes_of(be, model, references)) {
    basin::FixedPointSolver solver{map_, basin::picard{}, basin::paper_small()};
    const auto found = solver.solve(be_, codes_);
    auto clusters = basin::cluster(be_, map_, found);
    centers_ = Eigen::MatrixXd(codes_.rows(), 0);
    for (index_t c = 0; c < clusters.size(); ++c) {
      centers_.conservativeResize(Eigen::NoChange, c + 1);
      centers_.col(c) = clusters.clusters[static_cast<std::size_t>(c)].center.col(0);
    }
    basin::require(centers_.cols() > 0, "out_of_distribution", "no reference has converged");
    std::vector<index_t> iterations, of_labelled;
    for (index_t j = 0; j < found.size(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      if (clusters.labels[at] < 0) continue;
      iterations.push_back(found.iterations[at]);
      of_labelled.push_back(j);
      basins_.push_back(clusters.labels[at]);
    }
    // As the paper takes them: the ends of the references, as many as there are.
    ends_ = found.states(Eigen::all, of_labelled);
    labelled_ = codes_(Eigen::all, of_labelled);
    known_ = {centers_, {}};
    half_ = basin::half_separation(known_);
    speeds_.emplace_back(basin::known_counts(iterations, basins_));
    task_ = {.known = basin::with_spectra(be_, map_, centers_), .rule = basin::paper_small()};
    speeds_.emplace_back(
        basin::prepare(be_, map_, predictor, task_).predict(codes_.cast<double>()));
  }

  [[nodiscard]] index_t attractors() const { return centers_.cols(); }
  [[nodiscard]] const Eigen::MatrixXf& codes() const { return codes_; }
  [[nodiscard]] const Eigen::MatrixXf& ends() const { return ends_; }
  [[nodiscard]] auto& map() { return map_; }
  // Scores that could not be fitted, and are constant.
  [[nodiscard]] index_t unfitted() const { return unfitted_; }

  static constexpr const char* trajectory = "trajectory";
  static constexpr const char* paper_knn = "k-NN, mean of all";
  static constexpr const char* small_knn = "k-NN, 5th";
  static constexpr const char* start = "start alone";

  // Scores of images by their names.
  [[nodiscard]] std::map<std::string, Eigen::VectorXd> of(const Eigen::MatrixXf& images) {
    const Eigen::MatrixXf z = experiment::codes_of(be_, model_, images);
    const auto nearest = basin::trajectory_score(be_, map_, ends_, z);
    const auto mean =
        basin::trajectory_score(be_, map_, ends_, z, {.distance = basin::attractor_distance::mean});
    std::map<std::string, Eigen::VectorXd> scores;
    scores[trajectory] = nearest.scores;
    scores["trajectory, mean over attractors"] = mean.scores;
    scores[start] = nearest.first;
    // The same sums, divided by N, and with the tail up to the cap.
    Eigen::VectorXd by_n = nearest.scores, tail = nearest.scores;
    std::vector<index_t> basins;
    for (index_t j = 0; j < z.cols(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      const auto n = static_cast<double>(nearest.iterations[at]);
      const auto cap = static_cast<double>(basin::paper_small().max_iterations);
      const double sum = nearest.scores[j] * (n + 1);
      by_n[j] = sum / std::max(n, 1.0);
      tail[j] = (sum + (cap - n) * nearest.last[j]) / (cap + 1);
      if (nearest.nearest[at] < 0) {  // a code that is not finite
        basins.push_back(-1);
        continue;
      }
      const index_t basin = basins_[static_cast<std::size_t>(nearest.nearest[at])];
      const double reach = std::isinf(half_[basin]) ? 1 + centers_.col(basin).norm() : half_[basin];
      basins.push_back(nearest.last[j] <= reach ? basin : -1);
    }
    scores["trajectory, 1/N"] = by_n;
    scores["trajectory with tail"] = tail;
    const auto knn = [&](index_t neighbours, basin::knn_distance distance, bool normalized) {
      return basin::knn_score(be_, codes_, z,
                              {.neighbours = neighbours,
                               .distance = distance,
                               .normalized = normalized,
                               .allow_equal = true})
          .scores;
    };
    scores[paper_knn] = knn(codes_.cols(), basin::knn_distance::mean, false);
    scores[small_knn] = knn(5, basin::knn_distance::kth, false);
    scores["k-NN, 50th, normalised"] =
        or_constant(z, [&] { return knn(50, basin::knn_distance::kth, true); });
    const basin::mahalanobis_options shrunk{.covariance = basin::covariance_estimate::ledoit_wolf};
    scores["Mahalanobis"] =
        or_constant(z, [&] { return basin::mahalanobis_score(be_, codes_, z, {}, shrunk); });
    scores["Mahalanobis by basin"] = or_constant(
        z, [&] { return basin::mahalanobis_score(be_, labelled_, z, basins_, shrunk); });
    scores["residual"] = nearest.residual;
    scores["basin and speed"] = speeds_[0].score(basin::known_counts(nearest.iterations, basins));
    scores["basin and speed, predicted"] =
        speeds_[1].score(basin::prepare(be_, map_, predictor, task_).predict(z.cast<double>()));
    scores["reconstruction error"] = basin::residual_score(be_, reconstruction_, images);
    return scores;
  }

 private:
  static constexpr basin::koenigs predictor{.steps = 4};

  // A network that answers everything with one code leaves nothing to fit.
  template <class Score>
  [[nodiscard]] Eigen::VectorXd or_constant(const Eigen::MatrixXf& z, const Score& score) {
    try {
      return score();
    } catch (const basin::argument_error&) {
      ++unfitted_;
      return Eigen::VectorXd::Zero(z.cols());
    }
  }

  const basin::cpu<float>& be_;
  const basin::Autoencoder<float>& model_;
  basin::LayerMap<basin::Network<float>> map_, reconstruction_;
  Eigen::MatrixXf codes_, labelled_, ends_;
  Eigen::MatrixXd centers_;
  std::vector<index_t> basins_;
  basin::known_attractors known_;
  Eigen::VectorXd half_;
  basin::prediction_task task_;
  std::vector<basin::SpeedScorer> speeds_;
  index_t unfitted_ = 0;
};

// Of one comparison.
struct Result {
  basin::confidence_interval auroc, fpr;  // familiar samples positive, as in the paper
  double fpr_foreign = 0;                 // foreign samples positive, as in OpenOOD
};

// What was found of one model: results[foreign set][score][seed].
struct Found {
  index_t latent = 0;
  std::vector<std::string> sets = {};
  std::map<std::string, std::map<std::string, std::vector<Result>>> results = {};
  std::vector<double> attractors = {}, false_alarms = {};
  index_t unfitted = 0;
  std::map<std::string, std::vector<double>> alarms = {};

  // Over the seeds, of AUROC.
  [[nodiscard]] Eigen::VectorXd aurocs(const std::string& set, const std::string& score) const {
    const std::vector<Result>& all = results.at(set).at(score);
    return Eigen::VectorXd::NullaryExpr(static_cast<index_t>(all.size()), [&](index_t s) {
      return all[static_cast<std::size_t>(s)].auroc.value;
    });
  }
  [[nodiscard]] Eigen::VectorXd fprs(const std::string& set, const std::string& score) const {
    const std::vector<Result>& all = results.at(set).at(score);
    return Eigen::VectorXd::NullaryExpr(static_cast<index_t>(all.size()), [&](index_t s) {
      return all[static_cast<std::size_t>(s)].fpr.value;
    });
  }
  // A mean over the foreign sets, for each seed.
  [[nodiscard]] Eigen::VectorXd over_sets(const std::string& score) const {
    Eigen::VectorXd sum = Eigen::VectorXd::Zero(static_cast<index_t>(attractors.size()));
    for (const std::string& set : sets) sum += aurocs(set, score);
    return sum / static_cast<double>(sets.size());
  }
};

// One model with one draw of references and samples.
void measure(const basin::cpu<float>& be, const experiment::settings& s, const Sizes& sizes,
             const Pools& pools, const basin::Autoencoder<float>& model, index_t seed,
             experiment::Report& report, Found& found) {
  const basin::random_stream random{static_cast<std::uint64_t>(seed + 1), 40};
  const basin::random_stream tests{static_cast<std::uint64_t>(seed + 1), 41};
  const Eigen::MatrixXf references = drawn(pools.train, sizes.references, random);
  const Eigen::MatrixXf familiar = drawn(pools.test, sizes.samples, tests);
  const Eigen::MatrixXf calibrating = drawn(pools.test, sizes.calibration, tests, sizes.samples);
  Scores scores(be, model, references);
  found.attractors.push_back(static_cast<double>(scores.attractors()));
  const auto in = scores.of(familiar);
  const Eigen::MatrixXf others =
      drawn(pools.test, sizes.samples, tests, sizes.samples + sizes.calibration);
  const auto sets = foreign_sets(pools, others, {static_cast<std::uint64_t>(seed + 1), 42});

  basin::Detector detector(basin::TrajectoryScorer(be, scores.ends()), scores.codes());
  detector.calibrate(be, experiment::codes_of(be, model, calibrating),
                     {.rate = 0.05, .confidence = sizes.calibration >= 59 ? 0.95 : 0},
                     scores.map());
  const auto share = [](const std::vector<bool>& alarms) {
    return static_cast<double>(std::count(alarms.begin(), alarms.end(), true)) /
           static_cast<double>(alarms.size());
  };
  const auto alarms = [&](const Eigen::MatrixXf& images) {
    return share(
        detector.detect(be, experiment::codes_of(be, model, images), scores.map()).foreign);
  };
  found.false_alarms.push_back(alarms(familiar));

  std::vector<histogram::panel> panels;
  const std::vector<std::string> colors{"#0072B2", "#D55E00", "#E69F00",
                                        "#009E73", "#CC79A7", "#56B4E9"};
  for (const char* name : {Scores::trajectory, Scores::paper_knn, Scores::small_knn, "residual"}) {
    panels.push_back({.title = plot::format("%s, k = %td", name, found.latent),
                      .x_label = "score",
                      .groups = {{"familiar", colors[0], in.at(name)}}});
  }
  std::vector<Eigen::MatrixXf> sheet;
  const auto show = [&](const Eigen::MatrixXf& images) {
    const Eigen::MatrixXf some = images.leftCols(std::min<index_t>(16, images.cols()));
    sheet.push_back(some);
    sheet.push_back(experiment::decoded(be, model, experiment::codes_of(be, model, some)));
  };
  show(familiar);
  found.sets.clear();
  for (std::size_t f = 0; f < sets.size(); ++f) {
    const auto& [set, images] = sets[f];
    found.sets.push_back(set);
    const auto out = scores.of(images);
    for (const auto& [name, familiar_scores] : in) {
      const Eigen::VectorXd& foreign_scores = out.at(name);
      const basin::bootstrap_options bootstrap{.resamples = s.pick<index_t>(200, 1000, 2000)};
      found.results[set][name].push_back(
          {.auroc = basin::auroc_delong(foreign_scores, familiar_scores),
           .fpr = basin::fpr_at_tpr_bootstrap(foreign_scores, familiar_scores,
                                              positive_class::in_distribution, 0.95, bootstrap),
           .fpr_foreign = basin::fpr_at_tpr(foreign_scores, familiar_scores,
                                            positive_class::out_of_distribution)});
    }
    found.alarms[set].push_back(alarms(images));
    for (histogram::panel& p : panels) {
      p.groups.push_back({set, colors[(f + 1) % colors.size()],
                          out.at(p.title.substr(0, p.title.rfind(", k =")))});
    }
    show(images);
    report.tick();
  }
  found.unfitted += scores.unfitted();
  if (seed > 0) return;
  const std::string of_model = "_k" + std::to_string(found.latent);
  histogram::write_svg(report.path("histograms" + of_model + ".svg"), panels);
  experiment::write_sheet(report.path("samples" + of_model + ".png"), pools.shape, sheet);
}

void print(const Found& found) {
  std::printf(
      "\n\nk = %td, %s attractors of the references. AUROC (FPR95), means over the seeds "
      "± standard errors:\n\n| score |",
      found.latent,
      experiment::text_of(
          basin::mean_estimate(Eigen::Map<const Eigen::VectorXd>(
              found.attractors.data(), static_cast<index_t>(found.attractors.size()))))
          .c_str());
  for (const std::string& set : found.sets) std::printf(" %s |", set.c_str());
  std::printf(" mean |\n|---|");
  for (std::size_t i = 0; i <= found.sets.size(); ++i) std::printf("---|");
  for (const auto& [score, unused] : found.results.at(found.sets.front())) {
    std::printf("\n| %s |", score.c_str());
    for (const std::string& set : found.sets) {
      std::printf(" %s (%s) |",
                  experiment::text_of(basin::mean_estimate(found.aurocs(set, score))).c_str(),
                  experiment::text_of(basin::mean_estimate(found.fprs(set, score))).c_str());
    }
    std::printf(" %.3f |", found.over_sets(score).mean());
  }
  const auto mean = [](const std::vector<double>& x) {
    return Eigen::Map<const Eigen::VectorXd>(x.data(), static_cast<index_t>(x.size())).mean();
  };
  std::printf(
      "\n\nat a threshold of 5 %% false alarms (calibrated on other samples) trajectories "
      "give an alarm for %.1f %% of the familiar samples",
      100 * mean(found.false_alarms));
  for (const std::string& set : found.sets) {
    std::printf(", %.1f %% of %s", 100 * mean(found.alarms.at(set)), set.c_str());
  }
  std::printf("\n");
  if (found.unfitted > 0) {
    std::printf("%td times codes had no covariance or norm to fit, and scores are constant\n",
                found.unfitted);
  }
}

void write(const std::vector<Found>& all, experiment::Report& report) {
  basin::CsvWriter table(report.path("scores.csv"));
  for (const char* name :
       {"k", "foreign", "score", "seed", "auroc", "auroc_error", "auroc_low", "auroc_high", "fpr95",
        "fpr95_low", "fpr95_high", "fpr95_foreign_positive"}) {
    table.cell(name);
  }
  table.end_row();
  nlohmann::json json = nlohmann::json::array();
  for (const Found& found : all) {
    for (const auto& [set, scores] : found.results) {
      for (const auto& [score, results] : scores) {
        for (std::size_t seed = 0; seed < results.size(); ++seed) {
          const Result& r = results[seed];
          table.cell(found.latent);
          table.cell(set);
          table.cell(score);
          table.cell(static_cast<index_t>(seed));
          for (const double x : {r.auroc.value, r.auroc.error, r.auroc.low, r.auroc.high,
                                 r.fpr.value, r.fpr.low, r.fpr.high, r.fpr_foreign}) {
            table.cell(x);
          }
          table.end_row();
          json.push_back({{"k", found.latent},
                          {"foreign", set},
                          {"score", score},
                          {"seed", seed},
                          {"auroc", r.auroc.value},
                          {"auroc_95", {r.auroc.low, r.auroc.high}},
                          {"fpr95", r.fpr.value},
                          {"fpr95_95", {r.fpr.low, r.fpr.high}},
                          {"fpr95_foreign_positive", r.fpr_foreign}});
        }
      }
    }
    report.json["alarms"].push_back({{"k", found.latent},
                                     {"familiar", found.false_alarms},
                                     {"foreign", found.alarms},
                                     {"attractors", found.attractors},
                                     {"unfitted", found.unfitted}});
  }
  table.close();
  report.json["scores"] = json;
}

void claims(const Found& found, experiment::Report& report) {
  const Eigen::VectorXd trajectory = found.over_sets(Scores::trajectory);
  const auto less = [&](const char* other) {
    return basin::mean_estimate(trajectory - found.over_sets(other));
  };
  report.claim(plot::format("Figure 5, k = %td", found.latent),
               "trajectories tell foreign samples: AUROC 0.91 to 0.93, FPR95 0.26 to 0.30",
               plot::format("AUROC over the foreign sets %s",
                            experiment::text_of(basin::mean_estimate(trajectory)).c_str()),
               "AUROC less 0.5", basin::mean_estimate(trajectory.array() - 0.5));
  report.claim(
      plot::format("Figure 5, k = %td", found.latent),
      "trajectories tell more than the mean distance from all 2,000 references (k-NN with K "
      "= N): AUROC 0.32 to 0.89 there",
      plot::format(
          "AUROC over the foreign sets %s",
          experiment::text_of(basin::mean_estimate(found.over_sets(Scores::paper_knn))).c_str()),
      "AUROC of trajectories less that of k-NN", less(Scores::paper_knn));
  // What the paper does not compare with.
  std::printf("\nk = %td, controls: AUROC over the foreign sets, trajectories less\n",
              found.latent);
  for (const auto& [other, unused] : found.results.at(found.sets.front())) {
    if (other.starts_with("trajectory") || other == Scores::paper_knn) continue;
    const experiment::estimate difference = less(other.c_str());
    const char* verdict =
        experiment::judge(difference) == experiment::verdict::seen       ? "trajectories tell more"
        : experiment::judge(difference) == experiment::verdict::opposite ? "trajectories tell less"
                                                                         : "not decided";
    std::printf("  %s: %s, %s\n", other.c_str(), experiment::text_of(difference).c_str(), verdict);
    report.json["controls"].push_back({{"k", found.latent},
                                       {"score", other},
                                       {"auroc_of_trajectories_less", difference.value},
                                       {"standard_error", experiment::number(difference.error)},
                                       {"verdict", verdict}});
  }
}

void body(int argc, char** argv) {
  std::string data;
  experiment::PlanOptions changes;
  auto s =
      experiment::parse(argc, argv, "out_of_distribution",
                        std::string(about) + experiment::plan_usage, [&](options::Reader& read) {
                          if (!read.is("--data")) return changes.read(read);
                          data = read.text();
                          return true;
                        });
  basin::require(data.empty() || s.images.empty(), "--data", "cannot be with --images");
  if (!data.empty()) s.images = data + "/mnist/t10k-images-idx3-ubyte.gz";
  const Sizes sizes = data.empty() ? s.pick<Sizes>({60, 30, 30}, {250, 100, 80}, {2000, 600, 400})
                                   : s.pick<Sizes>({60, 20, 20}, {300, 80, 80}, {2000, 350, 300});
  experiment::Report report(s);
  report.json["references"] = sizes.references;
  report.json["samples"] = sizes.samples;
  const basin::cpu<float> be(s.threads);
  std::vector<Found> all;
  if (data.empty()) {
    auto plan = experiment::plan_of(s);
    plan.test = 2 * sizes.samples + sizes.calibration;
    // Networks so small with ReLU and two codes often answer with the mean image alone.
    if (s.size != experiment::size::full) plan.activation = basin::silu_function{};
    plan = changes.apply(plan);
    report.json["training"] = experiment::json_of(plan);
    const auto images = experiment::split_images(s, plan.images, plan.test);
    for (const index_t k : {2, 16}) {
      Found& found = all.emplace_back(Found{.latent = k});
      plan.latent = k;
      for (index_t seed = 0; seed < s.seeds; ++seed) {
        const auto model = experiment::trained(be, images, plan, seed);
        measure(be, s, sizes, {images.shape, images.train, images.test, {}}, model, seed, report,
                found);
      }
    }
  } else {
    const auto mnist = basin::to_matrix<float>(basin::read_idx_images(s.images), 32, 32);
    const auto cifar = basin::read_cifar(data + "/cifar10/cifar10_5000.bin.gz");
    const auto rgb = basin::to_matrix<float>(cifar);
    // ITU-R BT.601's luma.
    Pools pools{{1, 32, 32}, mnist.leftCols(9000), mnist.rightCols(1000), {}};
    pools.grey = 0.299f * rgb.topRows(1024) + 0.587f * rgb.middleRows(1024, 1024) +
                 0.114f * rgb.bottomRows(1024);
    for (const index_t k : {2, 16}) {
      Found& found = all.emplace_back(Found{.latent = k});
      const auto model = basin::load_model<float>(data + "/reference/table3_k" + std::to_string(k) +
                                                  "/model.safetensors");
      std::printf("k = %td: error of the images that it was trained on %.4f, of the others %.4f\n",
                  k, basin::reconstruction_error(be, model.autoencoder, pools.train.leftCols(1000)),
                  basin::reconstruction_error(be, model.autoencoder, pools.test));
      for (index_t seed = 0; seed < s.seeds; ++seed) {
        measure(be, s, sizes, pools, model.autoencoder, seed, report, found);
      }
    }
  }
  for (const Found& found : all) print(found);
  for (const Found& found : all) claims(found, report);
  write(all, report);
  report.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return experiment::run("out_of_distribution", [&] { body(argc, argv); });
}
