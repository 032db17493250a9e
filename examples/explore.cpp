// The main job: takes a trained autoencoder and no data, finds its attractors from noise, says of
// each how stable it is, predicts how long starts will take, checks that, and draws it.
//
//   explore [--model NAME|FILE] [--starts N|FILE.npy] [--images FILE] [--smallest S] [--largest S]
//           [--residual R] [--iterations N] [--accelerator NAME] [--double] [--seed S]
//           [--threads T] [--out FOLDER] [--no-pictures] [--quiet] [--help]
//
// Shares are of the decided starts: those that end in an attractor, or away from all (diverged,
// not finite). Undecided ones (out of iterations, stalled, chaotic) are in no share.
//
// --model      mnist_k2 (default) or mnist_k16, which are shipped, or a safetensors file: one of
//              examples/train, or PyTorch's state dict of a Table 3 network
// --starts     number of noise starts (2,000), or a NumPy file with a start a row, taken as it is
// --images     an IDX file, gzipped or not: the starts are the codes of its images (the first
//              --starts of them)
// --smallest, --largest   standard deviations of the noise: from 1 to 64 by factors of 2
// --residual, --iterations   ends a start: ‖f(z) - z‖ < 1e-3 within 3,000, the paper's rule
// --accelerator   picard (default: iterations are those of the dynamics), basin_preserving,
//              automatic; predictors are then checked on fewer starts
// --double     follows the starts in double instead of float
//
// FOLDER (out) gets atlas.json and atlas.safetensors, report.json, columns.csv and attractors.csv,
// starts.npy and states.npy (a start a row), labels.npy (a start's attractor from 0, negative for
// none; columns.csv says what those do and by which exponent), centers.npy (a row each); pictures
// (PNG) where gnuplot is found, and plots/ with their scripts and data in any case.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <limits>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <basin/attractor/assign.hpp>
#include <basin/attractor/atlas.hpp>
#include <basin/attractor/atlas_file.hpp>
#include <basin/attractor/cluster.hpp>
#include <basin/attractor/discovery.hpp>
#include <basin/attractor/discovery_curve.hpp>
#include <basin/attractor/starts.hpp>
#include <basin/convergence/benchmark_predictors.hpp>
#include <basin/convergence/predictors/formulas.hpp>
#include <basin/convergence/predictors/koenigs.hpp>
#include <basin/convergence/predictors/kriging.hpp>
#include <basin/convergence/predictors/leap.hpp>
#include <basin/convergence/predictors/observed.hpp>
#include <basin/convergence/predictors/sampled_map.hpp>
#include <basin/convergence/predictors/trajectory_library.hpp>
#include <basin/io/atomic_file.hpp>
#include <basin/io/csv.hpp>
#include <basin/io/idx.hpp>
#include <basin/io/npy.hpp>
#include <basin/model/model_file.hpp>
#include <basin/solver/automatic.hpp>
#include <basin/solver/basin_preserving.hpp>
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/solver/progress_bar.hpp>
#include <basin/spectral/wandering.hpp>

#include "latent_plane.hpp"
#include "options.hpp"
#include "pictures.hpp"

namespace {

using basin::index_t;
using basin::status;
using matrix = Eigen::MatrixXd;

constexpr const char* usage =
    "explore [OPTION [VALUE]]...: the attractors of a trained autoencoder, found from noise\n\n"
    "--model NAME|FILE    mnist_k2 (default) or mnist_k16, or a safetensors file\n"
    "--starts N|FILE.npy  number of starts (2000), or a NumPy file with a start a row\n"
    "--images FILE        starts are the codes of an IDX file's first --starts images\n"
    "--smallest S         least standard deviation of the noise (1)\n"
    "--largest S          greatest one (64); those between by factors of 2\n"
    "--residual R         a start ends where |f(z) - z| < R (0.001)\n"
    "--iterations N       or after so many (3000)\n"
    "--accelerator NAME   picard (default), basin_preserving or automatic\n"
    "--double             follows the starts in double (default: float)\n"
    "--seed S             of the noise, a whole number (1)\n"
    "--threads T          0 (default): as many as the machine has\n"
    "--out FOLDER         for tables, arrays, the atlas and pictures (out)\n"
    "--no-pictures        draws none\n"
    "--quiet              shows no progress\n"
    "--help               prints this\n\n"
    "The head of examples/explore.cpp says what each file in FOLDER is.\n";

enum class method { picard, basin_preserving, automatic };

struct command {
  std::string model = "mnist_k2";
  index_t starts = 2000;
  std::string starts_file;
  std::string images;
  double smallest = 1, largest = 64;
  basin::stopping rule = basin::paper_small();
  method accelerator = method::picard;
  bool in_double = false;
  std::uint64_t seed = 1;
  int threads = 0;
  std::string out = "out";
  bool pictures = true;
  bool quiet = false;
};

std::stop_source interrupted;

command parse(int argc, char** argv) {
  command c;
  options::Reader read(argc, argv, usage);
  while (read.next()) {
    if (read.is("--model")) {
      c.model = read.text();
    } else if (read.is("--starts")) {
      const std::string_view value = read.text();
      if (value.ends_with(".npy")) {
        c.starts_file = value;
      } else {
        c.starts = read.number_of<index_t>(value);
        if (c.starts < 1) read.refuse("must be at least 1, not " + std::string(value));
      }
    } else if (read.is("--images")) {
      c.images = read.text();
    } else if (read.is("--smallest")) {
      c.smallest = read.positive();
    } else if (read.is("--largest")) {
      c.largest = read.positive();
    } else if (read.is("--residual")) {
      c.rule.residual = read.at_least<double>(0);
    } else if (read.is("--iterations")) {
      c.rule.max_iterations = read.at_least<index_t>(0);
    } else if (read.is("--accelerator")) {
      const std::string_view name = read.text();
      if (name == "picard") {
        c.accelerator = method::picard;
      } else if (name == "basin_preserving") {
        c.accelerator = method::basin_preserving;
      } else if (name == "automatic") {
        c.accelerator = method::automatic;
      } else {
        read.refuse("'" + std::string(name) + "' is none of picard, basin_preserving, automatic");
      }
    } else if (read.is("--double")) {
      c.in_double = true;
    } else if (read.is("--seed")) {
      c.seed = read.number<std::uint64_t>();
    } else if (read.is("--threads")) {
      c.threads = read.at_least<int>(0);
    } else if (read.is("--out")) {
      c.out = read.text();
    } else if (read.is("--no-pictures")) {
      c.pictures = false;
    } else if (read.is("--quiet")) {
      c.quiet = true;
    } else if (!read.is_option()) {
      read.refuse("no option stands before it; a model is given as --model NAME|FILE");
    } else {
      read.unknown();
    }
  }
  basin::require(c.starts_file.empty() || c.images.empty(), "--images",
                 "a file of --starts excludes it");
  basin::require(c.smallest <= c.largest, "--largest",
                 options::Reader::text_of(c.largest) + " is below --smallest, " +
                     options::Reader::text_of(c.smallest));
  if (c.model == "mnist_k2" || c.model == "mnist_k16") {
    c.model = std::string(BASIN_EXAMPLE_MODELS) + "/" + c.model + ".safetensors";
  }
  return c;
}

// The starts, k × N, and the source of each.
struct chosen_starts {
  matrix points;
  std::vector<index_t> source;
  std::vector<std::string> names;
};

template <class Scalar>
chosen_starts choose_starts(const basin::cpu<Scalar>& be, const command& c,
                            basin::Autoencoder<Scalar>& model) {
  const index_t k = model.latent_size();
  chosen_starts chosen;
  if (!c.starts_file.empty()) {
    chosen.points = options::of_option("--starts", [&] {
      const matrix rows = basin::read_npy_floating(c.starts_file);
      basin::require_size(c.starts_file, "number of columns, k of the model,", rows.cols(), k);
      basin::require(rows.rows() >= 1, c.starts_file, "there is no start in it");
      return matrix(rows.transpose());
    });
    chosen.names = {std::filesystem::path(c.starts_file).filename().string()};
  } else if (!c.images.empty()) {
    chosen.points = options::of_option("--images", [&] {
      basin::image_set images = basin::read_idx_images(c.images);
      const basin::tensor_shape shape = model.image_shape();
      basin::require_size(c.images, "number of channels", images.channels, shape.channels);
      basin::require(images.count >= 1, c.images, "there is no image in it");
      basin::require(images.height <= shape.height && images.width <= shape.width, c.images,
                     gnuplot::format("images of %td x %td do not fit the model's %td x %td",
                                     images.height, images.width, shape.height, shape.width));
      images.count = std::min(images.count, c.starts);
      images.pixels.resize(static_cast<std::size_t>(images.count * images.size()));
      images.labels.clear();
      const auto X = basin::to_matrix<Scalar>(images, shape.height, shape.width);
      auto encoder = model.encoder_map();
      Eigen::MatrixX<Scalar> Z(k, images.count);
      basin::evaluate(be, encoder, X, Z);
      return matrix(Z.template cast<double>());
    });
    chosen.names = {"images"};
  } else {
    basin::StartMixture mixture(basin::normal_ladder(c.smallest, c.largest), k, {.seed = c.seed});
    basin::Starts starts = mixture.next(c.starts);
    for (const basin::start_source& source : mixture.sources()) chosen.names.push_back(source.name);
    chosen.points = std::move(starts.points);
    chosen.source = std::move(starts.source);
    return chosen;
  }
  chosen.source.assign(static_cast<std::size_t>(chosen.points.cols()), 0);
  return chosen;
}

template <class Scalar, class Map>
basin::FixedPointResult<basin::cpu<Scalar>> follow(const basin::cpu<Scalar>& be, const Map& map,
                                                   const Eigen::MatrixX<Scalar>& starts,
                                                   const command& c, method how,
                                                   const basin::stopping& rule) {
  const basin::run_options run{.stop = interrupted.get_token()};
  const auto solve = [&](auto accelerator) {
    basin::FixedPointSolver<Map, decltype(accelerator)> solver(map, accelerator, rule);
    return solver.solve(be, starts, run, basin::ProgressBar({.silent = c.quiet}));
  };
  switch (how) {
    case method::basin_preserving:
      return solve(basin::basin_preserving<>{});
    case method::automatic:
      return solve(basin::automatic{});
    case method::picard:
      break;
  }
  return solve(basin::picard{});
}

// The least residual that a network can be relied on to reach at a state of this norm: sums over
// its layers leave some units in the last place.
template <class Scalar>
double rounding(double norm) {
  return 16 * static_cast<double>(std::numeric_limits<Scalar>::epsilon()) * (1 + norm);
}

class Clock {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// Of the run that goes on from where the rule was met.
const basin::stopping fine{.residual = 1e-9, .max_iterations = 100000};

// What was found, for the tables and pictures.
struct findings {
  chosen_starts starts;
  std::vector<status> ends;         // of each start, under the rule
  std::vector<index_t> iterations;  // of each start
  std::vector<double> residual;
  std::vector<status> fates;  // of the run that goes on to a fine tolerance
  matrix states;              // the ends of that run, k × N
  std::vector<index_t> labels;
  std::vector<basin::Cluster> clusters;     // that the labels name
  std::vector<index_t> undecided;           // starts that end neither in an attractor nor away
  std::vector<basin::Wandering> wandering;  // what each of those does
  basin::Atlas atlas;
  basin::PredictorBenchmark predictors;
  std::string no_predictors;  // why there is no comparison of them; empty where there is one
  index_t unreached = 0;      // starts that rounding kept from the residual asked for
  double asked = 0;           // that residual
  bool in_double = false;     // the starts were followed in double
  bool interrupted = false;   // before all starts had ended
  index_t evaluations = 0;
  double seconds = 0;  // without the pictures
};

// The undecided starts by what they do.
struct wanderers {
  basin::wandering_kind kind;
  std::vector<std::size_t> which;  // of findings::wandering
};

std::vector<wanderers> by_kind(const findings& f) {
  std::vector<wanderers> groups;
  for (std::size_t i = 0; i < f.wandering.size(); ++i) {
    const basin::wandering_kind kind = f.wandering[i].kind;
    auto at = std::find_if(groups.begin(), groups.end(),
                           [&](const wanderers& group) { return group.kind == kind; });
    if (at == groups.end()) at = groups.insert(at, {kind, {}});
    at->which.push_back(i);
  }
  std::sort(groups.begin(), groups.end(),
            [](const wanderers& a, const wanderers& b) { return a.kind < b.kind; });
  return groups;
}

// The leading Lyapunov exponents of a group: the smallest and the largest, with their errors.
std::string exponents_of(const findings& f, const wanderers& group) {
  const auto leading = [&](std::size_t i) { return f.wandering[i].exponents.values[0]; };
  const auto said = [&](std::size_t i) {
    return gnuplot::format("%.2g ± %.1g", leading(i), f.wandering[i].exponents.errors[0]);
  };
  if (group.kind == basin::wandering_kind::non_finite) return "not finite";
  const auto [least, most] =
      std::minmax_element(group.which.begin(), group.which.end(),
                          [&](std::size_t a, std::size_t b) { return leading(a) < leading(b); });
  if (group.which.size() == 1) return "leading Lyapunov exponent " + said(*least);
  return "leading Lyapunov exponents from " + said(*least) + " to " + said(*most);
}

// Starts that went away: they diverged, or the map was not finite there.
index_t count_away(const findings& f) {
  return std::count(f.labels.begin(), f.labels.end(), -1) -
         static_cast<index_t>(f.undecided.size());
}

// A number that is estimated: no more digits than it has.
std::string estimate(double value) {
  if (value < 0.1) return "fewer than 0.1";
  return "about " + gnuplot::format(value < 10 ? "%.1f" : "%.0f", value);
}

void print_table(const findings& f) {
  const auto all = static_cast<index_t>(f.labels.size());
  const auto undecided = static_cast<index_t>(f.undecided.size()), away = count_away(f);
  std::printf(
      "\nshares are of the %td decided starts of %td: those that end in an attractor, or "
      "away from all",
      all - undecided, all);
  std::printf("\n%4s %-10s %8s %-17s %9s %9s %10s %-10s %-10s\n", "", "kind", "share",
              "95 % interval", "norm", "rate", "residual", "iteration", "flow");
  for (index_t a = 0; a < f.atlas.size(); ++a) {
    const basin::Attractor& one = f.atlas.attractors[static_cast<std::size_t>(a)];
    const basin::basin_share share = f.atlas.share(a);
    std::printf("%4td %-10s %7.2f%% %6.2f%% to %5.2f%% %9.4g %9.4f %10.2g %-10s %-10s\n", a + 1,
                to_string(one.kind).data(), 100 * share.value, 100 * share.low, 100 * share.high,
                one.center.col(0).norm(), one.rate, one.residual, to_string(one.stability).data(),
                to_string(one.flow_stability).data());
  }
  if (undecided + away > 0) {
    std::printf(
        "%td of %td starts end in no attractor: %td undecided, which the shares leave out, and %td "
        "that diverged or were not finite, which they count\n",
        undecided + away, all, undecided, away);
  }
  if (f.unreached > 0) {
    std::printf("%g is not reached in %s by %td starts: rounding keeps them from it%s\n", f.asked,
                f.in_double ? "double" : "float", f.unreached, f.in_double ? "" : "; --double");
  }
  if (f.interrupted) {
    std::printf("interrupted: the others were on their way; no atlas is written\n");
  }
  for (const wanderers& group : by_kind(f)) {
    std::printf("  %zu: %s, %s\n", group.which.size(), to_string(group.kind).data(),
                exponents_of(f, group).c_str());
  }
  const basin::UnseenEstimate& unseen = f.atlas.unseen;
  std::printf(
      "\nunseen: at most %.2g %% of the starts (95 %%) end elsewhere; nine times as many "
      "more would meet %s new attractors (%.0f to %.0f)\n",
      100 * unseen.mass.upper, estimate(unseen.next.value).c_str(), unseen.next.lower,
      unseen.next.upper);
}

// What predictors of the iteration count say of starts that they have not seen: of up to 1,000
// starts, drawn at random, the first 150 are for those that learn, the next 250 calibrate.
template <class Scalar, class Map>
basin::PredictorBenchmark compare_predictors(const basin::cpu<Scalar>& be, Map& map,
                                             const command& c, findings& f) {
  basin::Atlas points = f.atlas;  // cycles and continua have no spectrum of a point
  std::erase_if(points.attractors, [](const basin::Attractor& one) {
    return one.kind != basin::attractor_kind::point;
  });
  const auto all = static_cast<index_t>(f.labels.size());
  const index_t n = std::min<index_t>(all, 1000);
  const index_t training = 3 * n / 20, calibrating = n / 4;
  if (f.interrupted) f.no_predictors = "the run was interrupted";
  if (points.size() == 0) f.no_predictors = "that needs a fixed point among the attractors";
  if (n < 60) {
    f.no_predictors = gnuplot::format(
        "that needs at least 60 starts, to learn, calibrate and test, and there are %td", n);
  }
  if (!f.no_predictors.empty()) return {};
  // In random order: what calibrates must be drawn like what is tested.
  std::vector<std::pair<std::uint32_t, index_t>> order;
  for (index_t j = 0; j < all; ++j) {
    order.emplace_back(basin::random_stream{c.seed, 99}.word(0, j), j);
  }
  std::sort(order.begin(), order.end());
  matrix starts(f.atlas.k, n);
  for (index_t j = 0; j < n; ++j) {
    starts.col(j) = f.starts.points.col(order[static_cast<std::size_t>(j)].second);
  }
  const basin::prediction_task task{.known = basin::with_spectra(be, map, points.centers()),
                                    .rule = c.rule,
                                    .training = starts.leftCols(training)};
  const auto compare = [&](const auto&... more) {
    return basin::benchmark_predictors(
        be, map, task, starts.middleCols(training, calibrating),
        starts.rightCols(n - training - calibrating), {}, basin::paper_formula{},
        basin::sufficient_iterations{}, basin::asymptotic_iterations{}, basin::non_normal{},
        basin::observed{}, basin::koenigs{}, basin::leap{}, basin::trajectory_library{}, more...);
  };
  return f.atlas.k <= 3 ? compare(basin::sampled_map{}) : compare(basin::kriging{});
}

void print_predictors(const findings& f) {
  const basin::PredictorBenchmark& predictors = f.predictors;
  if (predictors.scores.empty()) {
    std::printf("\npredictors are not compared: %s\n", f.no_predictors.c_str());
    return;
  }
  std::printf("\n%-26s %8s %8s %9s %8s %9s %8s %6s\n", "predictor of iterations", "Pearson",
              "within", "Spearman", "error", "coverage", "basins", "cost");
  for (const basin::PredictorScore& one : predictors.scores) {
    std::printf("%-26s %8.3f %8.3f %9.3f %7.1f%% %8.1f%% %7.1f%% %5.0f%%\n", one.name.c_str(),
                one.pearson, one.pearson_within_basin, one.spearman,
                100 * one.median_relative_error, 100 * one.coverage, 100 * one.labels_right,
                100 * one.evaluations_share);
  }
  std::printf(
      "(within: within basins; error: median, relative; coverage of 90 %% intervals; cost: "
      "share of the evaluations that iterating takes, calibration included)\n");
}

// The predictor that errs least of those that say something of most starts.
const basin::PredictorScore* best(const basin::PredictorBenchmark& predictors) {
  const basin::PredictorScore* best = nullptr;
  for (const basin::PredictorScore& one : predictors.scores) {
    if (2 * one.predicted < predictors.truth.size()) continue;
    if (!std::isfinite(one.median_relative_error)) continue;
    if (!best || one.median_relative_error < best->median_relative_error) best = &one;
  }
  return best;
}

// A number, or null: JSON knows no other.
nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}

void write_report(const command& c, const findings& f, int threads) {
  nlohmann::json attractors = nlohmann::json::array(), predictors = nlohmann::json::array();
  for (index_t a = 0; a < f.atlas.size(); ++a) {
    const basin::Attractor& one = f.atlas.attractors[static_cast<std::size_t>(a)];
    const basin::basin_share share = f.atlas.share(a);
    attractors.push_back({{"share", number(share.value)},
                          {"share_low", number(share.low)},
                          {"share_high", number(share.high)},
                          {"radius", number(one.rate)},
                          {"norm", number(one.center.col(0).norm())},
                          {"kind", to_string(one.kind)},
                          {"stability", to_string(one.stability)},
                          {"flow_stability", to_string(one.flow_stability)},
                          {"period", one.period},
                          {"residual", number(one.residual)}});
  }
  for (const basin::PredictorScore& one : f.predictors.scores) {
    predictors.push_back({{"name", one.name},
                          {"pearson", number(one.pearson)},
                          {"pearson_within_basin", number(one.pearson_within_basin)},
                          {"spearman", number(one.spearman)},
                          {"median_relative_error", number(one.median_relative_error)},
                          {"coverage", number(one.coverage)},
                          {"median_width", number(one.median_width)},
                          {"labels_right", number(one.labels_right)},
                          {"predicted", one.predicted},
                          {"evaluations_share", number(one.evaluations_share)},
                          {"pearson_told", number(one.pearson_told)}});
  }
  nlohmann::json wandering = nlohmann::json::array();
  for (const wanderers& group : by_kind(f)) {
    wandering.push_back({{"kind", to_string(group.kind)},
                         {"starts", group.which.size()},
                         {"evidence", exponents_of(f, group)}});
  }
  const basin::UnseenEstimate& unseen = f.atlas.unseen;
  const nlohmann::json report{
      {"model", f.atlas.model},
      {"k", f.atlas.k},
      {"starts", f.labels.size()},
      {"interrupted", f.interrupted},
      {"converged", std::count(f.ends.begin(), f.ends.end(), status::converged)},
      {"attractors", attractors},
      {"undecided", f.undecided.size()},
      {"away", count_away(f)},
      {"wandering", wandering},
      {"unseen_mass", number(unseen.mass.value)},
      {"unseen_mass_high", number(unseen.mass.upper)},
      {"new_attractors_of_nine_times_more",
       {number(unseen.next.value), number(unseen.next.lower), number(unseen.next.upper)}},
      {"predictors", predictors},
      {"evaluations", f.evaluations},
      {"seconds", f.seconds},
      {"threads", threads},
      {"seed", c.seed},
      {"rule", f.atlas.rule}};
  basin::AtomicFile file(c.out + "/report.json");
  file.write(report.dump(2) + "\n");
  file.commit();
}

void write_tables(const command& c, const findings& f) {
  const auto path = [&](const char* name) { return c.out + "/" + name; };
  basin::CsvWriter columns(path("columns.csv"));
  columns.row("start", "source", "status", "iterations", "residual", "attractor", "fate", "does",
              "exponent", "exponent_error", "exponent_resolution");
  std::size_t undecided = 0;
  for (std::size_t j = 0; j < f.ends.size(); ++j) {
    const auto row = [&](auto... evidence) {
      columns.row(j, f.starts.names[static_cast<std::size_t>(f.starts.source[j])],
                  to_string(f.ends[j]), f.iterations[j], f.residual[j], f.labels[j],
                  to_string(f.fates[j]), evidence...);
    };
    if (undecided < f.wandering.size() && f.undecided[undecided] == static_cast<index_t>(j)) {
      const basin::Wandering& w = f.wandering[undecided++];
      const bool has = w.kind != basin::wandering_kind::non_finite;
      const double none = std::numeric_limits<double>::quiet_NaN();
      row(to_string(w.kind), has ? w.exponents.values[0] : none, has ? w.exponents.errors[0] : none,
          w.resolution);
    } else {
      row("", "", "", "");
    }
  }
  columns.close();
  basin::CsvWriter attractors(path("attractors.csv"));
  attractors.row("attractor", "kind", "period", "share", "norm", "residual", "rate", "iteration",
                 "flow", "unstable");
  for (index_t a = 0; a < f.atlas.size(); ++a) {
    const basin::Attractor& one = f.atlas.attractors[static_cast<std::size_t>(a)];
    attractors.row(a, to_string(one.kind), one.period, f.atlas.share(a).value,
                   one.center.col(0).norm(), one.residual, one.rate, to_string(one.stability),
                   to_string(one.flow_stability), one.unstable);
  }
  attractors.close();
  // A row each, as Python's packages have them.
  basin::write_npy(path("starts.npy"), f.starts.points.transpose().eval());
  basin::write_npy(path("states.npy"), f.states.transpose().eval());
  basin::write_npy(path("centers.npy"), f.atlas.centers().transpose().eval());
  basin::write_npy(path("labels.npy"), f.labels);
}

pictures::discovery_view discovery(const findings& f) {
  pictures::discovery_view view;
  const std::vector<index_t> curve = basin::discovery_curve(f.labels);
  const auto n = static_cast<index_t>(curve.size());
  std::vector<index_t> counts(f.atlas.attractors.size());
  for (const index_t label : f.labels) {
    if (label >= 0) ++counts[static_cast<std::size_t>(label)];
  }
  const basin::Encounters met(counts, n);
  for (double at = 1; at < 1.1 * static_cast<double>(n); at *= 1.1) {
    const index_t size = std::min(n, static_cast<index_t>(at));
    if (!view.starts.empty() && view.starts.back() == static_cast<double>(size)) continue;
    view.starts.push_back(static_cast<double>(size));
    view.met.push_back(static_cast<double>(curve[static_cast<std::size_t>(size - 1)]));
    view.expected.push_back(basin::rarefaction(met, size));
  }
  view.remaining = f.atlas.unseen.remaining.value;
  view.remark = gnuplot::format("unseen share of starts at most %.2g %% (95 %%)",
                                100 * f.atlas.unseen.mass.upper);
  return view;
}

// Why points are grey: how many ended at none of the attractors, by their statuses.
std::string say_grey(const std::vector<index_t>& labels, const std::vector<status>& ends) {
  std::map<status, index_t> counts;
  index_t grey = 0;
  for (std::size_t j = 0; j < labels.size(); ++j) {
    if (labels[j] >= 0) continue;
    ++counts[ends[j]];
    ++grey;
  }
  if (grey == 0) return "";
  std::string text;
  for (const auto& [end, count] : counts) {
    // An end that was met, but by no start.
    const bool other = end == status::converged || end == status::cycle;
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " +
            (other ? "elsewhere" : std::string(to_string(end)));
  }
  return gnuplot::format("grey: at none of the attractors, %.2g %% of the points",
                         100 * static_cast<double>(grey) / static_cast<double>(labels.size())) +
         "\n(" + text + ")";
}

// Draws what can be drawn; says what, as a line for the user.
template <class Scalar, class Map, class Exact>
std::string draw(const basin::cpu<Scalar>& be, Map& map, Exact& precise, const command& c,
                 const findings& f) {
  const gnuplot::Plotter plots(c.out);
  const matrix centers = f.atlas.centers();
  std::string drawn, failed;
  const auto note = [&](const char* name, bool done) {
    std::string& list = done ? drawn : failed;
    list += (list.empty() ? "" : ", ") + std::string(name) + ".png";
  };
  if (f.atlas.k >= 2) {
    std::string grey;
    const auto label = [&](const matrix& points) {
      // Labelled as the starts are, but followed no further than needed to tell the attractors
      // apart. That is a matter of the attractors, and of rounding, not of --residual.
      basin::stopping rule = basin::paper_small();
      const double largest = centers.cols() > 0 ? centers.colwise().norm().maxCoeff() : 0;
      rule.residual = std::max(5 * rule.residual, rounding<Scalar>(largest));
      const auto ends = follow<Scalar>(be, map, points.template cast<Scalar>().eval(), c,
                                       method::automatic, rule);
      const std::vector<index_t> labels = basin::assign(be, map, f.clusters, ends, precise);
      grey = say_grey(labels, ends.status);
      return labels;
    };
    auto view = latent::look(be, map, centers, f.starts.points, 120, 72, label);
    view.grey = grey;
    note("field", pictures::draw_field(plots, view));
    note("basins", pictures::draw_basins(plots, view));
  }
  std::vector<pictures::gallery_image> images;
  std::vector<Eigen::VectorXcd> spectra;
  for (index_t a = 0; a < f.atlas.size(); ++a) {
    const basin::Attractor& one = f.atlas.attractors[static_cast<std::size_t>(a)];
    spectra.push_back(one.spectrum.values);
    if (a < 24) {
      images.push_back(
          {gnuplot::format("%td: %.1f %%", a + 1, 100 * f.atlas.share(a).value), one.image});
    }
  }
  const basin::tensor_shape shape{f.atlas.image_shape[0], f.atlas.image_shape[1],
                                  f.atlas.image_shape[2]};
  note("gallery", pictures::draw_gallery(plots, shape, images,
                                         "Decoded attractors, shares of the decided starts"));
  std::vector<pictures::prediction_series> series;
  const auto add_series = [&](const basin::PredictorScore& one, bool intervals) {
    pictures::prediction_series& to = series.emplace_back();
    to.label = one.name + gnuplot::format(": Pearson %.2f", one.pearson) +
               (intervals ? ", with 90 % intervals" : "");
    const bool bounded =
        std::all_of(one.intervals.begin(), one.intervals.end(),
                    [](const basin::count_interval& x) { return std::isfinite(x.upper); });
    if (intervals && !bounded) to.label += " (full height: no upper end)";
    for (index_t j = 0; j < one.predictions.size(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      if (!one.predictions[j].iterations || !f.predictors.truth.finished[at]) continue;
      to.measured.push_back(static_cast<double>(f.predictors.truth.iterations[at]));
      to.predicted.push_back(*one.predictions[j].iterations);
      if (!intervals || one.intervals.empty()) continue;
      to.low.push_back(one.intervals[at].lower);
      to.high.push_back(std::min(one.intervals[at].upper, 1e6));
    }
  };
  if (const basin::PredictorScore* most_right = best(f.predictors)) {
    if (most_right != &f.predictors.scores.front()) add_series(f.predictors.scores.front(), false);
    add_series(*most_right, true);
    note("predictions",
         pictures::draw_predictions(
             plots, series,
             most_right->name + ", which has the least median error of those compared"));
  }
  note("eigenvalues", pictures::draw_eigenvalues(plots, spectra));
  note("discovery", pictures::draw_discovery(plots, discovery(f)));
  if (drawn.empty()) {
    return plots.found() ? "gnuplot failed; see plots/*.log"
                         : "no pictures: there is no gnuplot; plots/ has their scripts and data";
  }
  return "pictures: " + drawn + (failed.empty() ? "" : "; not drawn, see plots/*.log: " + failed);
}

template <class Scalar>
int run(const command& c) {
  const Clock clock;
  const basin::cpu<Scalar> be(c.threads);
  const basin::cpu<double> exact(be.threads());
  auto model = options::of_option("--model", [&] { return basin::load_model<Scalar>(c.model); });
  auto precise = basin::load_model<double>(c.model);
  auto map = model.autoencoder.latent_map();
  auto precise_map = precise.autoencoder.latent_map();
  const basin::tensor_shape shape = model.autoencoder.image_shape();
  findings f;
  f.starts = choose_starts(be, c, model.autoencoder);
  std::error_code failure;
  std::filesystem::create_directories(c.out, failure);
  basin::require(!failure, "--out", c.out + ": " + failure.message());

  // Under the rule, and from there to a fine tolerance, in double: where a residual of 1e-3 is
  // met, an orbit may still be on its way past a saddle.
  const Eigen::MatrixX<Scalar> begin = f.starts.points.template cast<Scalar>();
  const auto measured = follow(be, map, begin, c, c.accelerator, c.rule);
  f.ends = measured.status;
  f.iterations = measured.iterations;
  f.residual.assign(measured.residual.begin(), measured.residual.end());
  const matrix reached = measured.states.template cast<double>();
  const auto ended = follow(exact, precise_map, reached, c, method::basin_preserving, fine);
  f.fates = ended.status;
  f.states = ended.states;
  const basin::Clustering clusters = basin::cluster(exact, precise_map, ended);
  f.labels = clusters.labels;
  f.clusters = clusters.clusters;
  f.in_double = c.in_double;
  f.asked = c.rule.residual;
  for (std::size_t j = 0; j < f.ends.size(); ++j) {
    const double norm = reached.col(static_cast<index_t>(j)).norm();
    if (f.ends[j] != status::converged && f.residual[j] <= rounding<Scalar>(norm)) ++f.unreached;
  }
  f.evaluations = measured.work.evaluations + ended.work.evaluations + clusters.evaluations;

  f.interrupted = interrupted.stop_requested();

  // What the others do, each followed by itself.
  for (std::size_t j = 0; j < f.labels.size(); ++j) {
    const bool away = f.fates[j] == status::diverged || f.fates[j] == status::non_finite;
    if (f.labels[j] < 0 && !away) {
      f.undecided.push_back(static_cast<index_t>(j));
    }
  }
  if (!f.undecided.empty() && !f.interrupted) {
    const matrix from = f.states(Eigen::all, f.undecided);
    f.wandering = basin::wandering(exact, precise_map, from);
  }

  auto found = basin::discovery_of(clusters, ended.status, f.starts.source, f.starts.names);
  if (f.interrupted) found.ended = basin::discovery_end::cancelled;
  f.atlas = basin::make_atlas(exact, precise_map, found,
                              {.model = std::filesystem::path(c.model).filename().string(),
                               .rule = gnuplot::format("residual %g, %td iterations",
                                                       c.rule.residual, c.rule.max_iterations),
                               .seed = c.seed,
                               .image_shape = {shape.channels, shape.height, shape.width}});
  f.atlas.k = model.autoencoder.latent_size();
  auto decoder = precise.autoencoder.decoder_map();
  basin::add_images(exact, decoder, f.atlas);

  print_table(f);
  f.predictors = compare_predictors(be, map, c, f);
  print_predictors(f);
  write_tables(c, f);
  if (!f.interrupted) basin::save_atlas(f.atlas, c.out + "/atlas");
  f.seconds = clock.seconds();
  write_report(c, f, be.threads());
  if (c.pictures) std::printf("%s\n", draw(be, map, precise_map, c, f).c_str());
  const double seconds = clock.seconds();
  std::printf(
      "%td evaluations to find them; %.1f s in all, of which pictures %.1f s; tables and arrays "
      "are in %s\n",
      f.evaluations, seconds, seconds - f.seconds, c.out.c_str());
  return interrupted.stop_requested() ? 130 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const command c = parse(argc, argv);
    // A lock-free stop request is the one thing that the handler does.
    std::signal(SIGINT, [](int) { interrupted.request_stop(); });
    return c.in_double ? run<double>(c) : run<float>(c);
  } catch (const std::exception& e) {
    std::cerr << "explore: " << e.what() << '\n';
    return 1;
  }
}
