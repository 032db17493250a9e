// What the experiments of the paper share: their settings, images, tables over seeds, and what the
// paper saw next to what a run sees.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <iostream>
#include <limits>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <Eigen/Core>
#include <nlohmann/json.hpp>

#include <basin/dynamics/estimate.hpp>
#include <basin/io/atomic_file.hpp>
#include <basin/io/cifar.hpp>
#include <basin/io/csv.hpp>
#include <basin/io/idx.hpp>
#include <basin/nn/tensor_shape.hpp>

#include "made_images.hpp"
#include "options.hpp"
#include "plot.hpp"

namespace experiment {

using basin::estimate;
using basin::index_t;

inline constexpr const char* usage =
    "--quick         under two minutes on two cores (default)\n"
    "--full          as in the paper, as far as a small machine can\n"
    "--tiny          a few seconds, to see that it runs\n"
    "--images FILE   IDX or CIFAR, gzipped or not; without one, images are made\n"
    "--seeds N       of initial weights and of what is drawn (3)\n"
    "--threads T     0 (default): as many as the machine has\n"
    "--output FOLDER for tables, JSON and pictures (out/NAME)\n"
    "--help          prints this\n";

enum class size { tiny, quick, full };

struct settings {
  std::string program;
  experiment::size size = experiment::size::quick;
  std::string images = {};  // file; empty: made
  index_t seeds = 3;
  int threads = 0;
  std::string output;

  // One of three values, by the size.
  template <class T>
  [[nodiscard]] T pick(T tiny, T quick, T full) const {
    return size == experiment::size::tiny ? tiny : size == experiment::size::quick ? quick : full;
  }
  [[nodiscard]] const char* size_name() const { return pick("tiny", "quick", "full"); }
  // The images in words, without the folder.
  [[nodiscard]] std::string data() const {
    return images.empty() ? "made" : std::filesystem::path(images).filename().string();
  }
};

// Reads the command line. `more` gets options that are not among these, and says whether it
// knows them; `about` stands before the usage.
inline settings parse(int argc, char** argv, const std::string& program, const std::string& about,
                      const std::function<bool(options::Reader&)>& more = {}) {
  settings s{.program = program, .output = "out/" + program};
  const std::string help = about + usage;
  options::Reader read(argc, argv, help.c_str());
  while (read.next()) {
    if (read.is("--quick")) {
      s.size = size::quick;
    } else if (read.is("--full")) {
      s.size = size::full;
    } else if (read.is("--tiny")) {
      s.size = size::tiny;
    } else if (read.is("--images")) {
      s.images = read.text();
    } else if (read.is("--seeds")) {
      s.seeds = read.at_least<index_t>(1);
    } else if (read.is("--threads")) {
      s.threads = read.at_least<int>(0);
    } else if (read.is("--output")) {
      s.output = read.text();
    } else if (!more || !more(read)) {
      read.unknown();
    }
  }
  return s;
}

// Runs an experiment: the body of main.
template <class Body>
int run(const std::string& program, const Body& body) {
  try {
    body();
    return 0;
  } catch (const std::exception& e) {
    std::cerr << program << ": error: " << e.what() << '\n';
    return 1;
  }
}

// Images of an IDX or a CIFAR file; without one, `count` made ones.
inline basin::image_set read_images(const std::string& file, index_t count) {
  if (file.empty()) return made::images(count, 1);
  try {
    return basin::read_idx_images(file);
  } catch (const basin::file_error& not_idx) {
    try {
      return basin::read_cifar(file);
    } catch (const basin::file_error& not_cifar) {
      throw basin::file_error("neither IDX nor CIFAR: " + std::string(not_idx.what()) + "; " +
                              not_cifar.what());
    }
  }
}

// Images to train on and others to test on, one a column, padded to multiples of 16.
struct image_split {
  basin::tensor_shape shape;
  Eigen::MatrixXf train = {}, test = {};
};

// The first `train` images and the last `test` ones.
// Throws argument_error where there are too few.
inline image_split split_images(const settings& s, index_t train, index_t test) {
  basin::image_set set = read_images(s.images, train + test);
  basin::require(
      set.count >= train + test, "--images",
      std::to_string(set.count) + " images, " + std::to_string(train + test) + " are needed");
  const auto padded = [](index_t n) { return (n + 15) / 16 * 16; };
  image_split split{.shape = {set.channels, padded(set.height), padded(set.width)}};
  const auto X = basin::to_matrix<float>(set, split.shape.height, split.shape.width);
  split.train = X.leftCols(train);
  split.test = X.rightCols(test);
  return split;
}

// A number, or null: JSON knows no other.
inline nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}

// "0.923 ± 0.004", with the error's digits.
inline std::string text_of(const estimate& e) {
  if (!std::isfinite(e.value)) return "none";
  if (!std::isfinite(e.error)) return plot::format("%.3g", e.value);
  if (e.error == 0) return plot::format("%.3g ± 0", e.value);
  const double place = std::floor(std::log10(e.error));
  if (place >= 3 || place < -6) return plot::format("%.3g ± %.1g", e.value, e.error);
  const int digits = std::max(0, static_cast<int>(-place));
  return plot::format("%.*f ± %.*f", digits, e.value, digits, e.error);
}

// Values of named metrics, for each x (or label) and seed.
class Series {
 public:
  // `x` names the first column. With labels, x is the number of one.
  Series(std::string x, std::vector<std::string> metrics, std::vector<std::string> labels = {})
      : x_(std::move(x)), metrics_(std::move(metrics)), labels_(std::move(labels)) {}

  // Values that are not known are NaN.
  void add(double x, index_t seed, const std::vector<double>& values) {
    basin::require_size("Series::add", "number of values", static_cast<index_t>(values.size()),
                        static_cast<index_t>(metrics_.size()));
    rows_.push_back({x, seed, values});
    if (std::find(xs_.begin(), xs_.end(), x) == xs_.end()) xs_.push_back(x);
  }

  // In the order in which they came.
  [[nodiscard]] const std::vector<double>& xs() const noexcept { return xs_; }
  // One value for each seed, in the order of the seeds' coming.
  [[nodiscard]] Eigen::VectorXd values(double x, const std::string& metric) const {
    std::vector<double> found;
    for (const row& r : rows_) {
      if (r.x == x) found.push_back(r.values[place(metric)]);
    }
    return Eigen::Map<const Eigen::VectorXd>(found.data(), static_cast<index_t>(found.size()));
  }
  // Mean over the seeds with its standard error.
  [[nodiscard]] estimate mean(double x, const std::string& metric) const {
    return basin::mean_estimate(values(x, metric));
  }
  // Of the metric at `more` less that at `less`, seed by seed.
  [[nodiscard]] estimate difference(const std::string& metric, double more, double less) const {
    return basin::mean_estimate(values(more, metric) - values(less, metric));
  }

  [[nodiscard]] plot::curve curve(const std::string& metric, const std::string& label,
                                  const std::string& color) const {
    plot::curve c{.label = label, .color = color};
    for (const double x : xs_) {
      const estimate e = mean(x, metric);
      c.x.push_back(x);
      c.y.push_back(e.value);
      c.error.push_back(e.error);
    }
    return c;
  }

  // A row for each x and seed.
  void write_csv(const std::string& path) const {
    basin::CsvWriter table(path);
    table.cell(x_);
    table.cell("seed");
    for (const std::string& metric : metrics_) table.cell(metric);
    table.end_row();
    for (const row& r : rows_) {
      if (labels_.empty()) {
        table.cell(r.x);
      } else {
        table.cell(label_of(r.x));
      }
      table.cell(r.seed);
      for (const double value : r.values) table.cell(value);
      table.end_row();
    }
    table.close();
  }
  // For each x the means and standard errors.
  [[nodiscard]] nlohmann::json json() const {
    nlohmann::json all = nlohmann::json::array();
    for (const double x : xs_) {
      nlohmann::json one;
      if (labels_.empty()) {
        one[x_] = x;
      } else {
        one[x_] = label_of(x);
      }
      for (const std::string& metric : metrics_) {
        const estimate e = mean(x, metric);
        one[metric] = {
            {"mean", number(e.value)}, {"standard_error", number(e.error)}, {"seeds", e.used}};
      }
      all.push_back(one);
    }
    return all;
  }
  // A table in Markdown: means ± standard errors.
  void print() const {
    std::printf("\n| %s |", x_.c_str());
    for (const std::string& metric : metrics_) std::printf(" %s |", metric.c_str());
    std::printf("\n|---|");
    for (std::size_t i = 0; i < metrics_.size(); ++i) std::printf("---|");
    for (const double x : xs_) {
      std::printf("\n| %s |", label_of(x).c_str());
      for (const std::string& metric : metrics_) {
        std::printf(" %s |", text_of(mean(x, metric)).c_str());
      }
    }
    std::printf("\n");
    std::fflush(stdout);
  }

 private:
  struct row {
    double x;
    index_t seed;
    std::vector<double> values;
  };

  [[nodiscard]] std::size_t place(const std::string& metric) const {
    const auto at = std::find(metrics_.begin(), metrics_.end(), metric);
    basin::require(at != metrics_.end(), "Series", "there is no metric '" + metric + "'");
    return static_cast<std::size_t>(at - metrics_.begin());
  }
  [[nodiscard]] std::string label_of(double x) const {
    return labels_.empty() ? plot::format("%g", x) : labels_.at(static_cast<std::size_t>(x));
  }

  std::string x_;
  std::vector<std::string> metrics_, labels_;
  std::vector<row> rows_;
  std::vector<double> xs_;
};

// Whether what the paper says is seen.
enum class verdict { seen, opposite, undecided };

inline const char* to_string(verdict v) {
  return v == verdict::seen ? "seen" : v == verdict::opposite ? "opposite" : "undecided";
}

// The point that Student's t exceeds in 5 of 100 draws. The table is exact to its digits; behind
// it Cornish and Fisher's expansion (1938) to the first order.
inline double student_95(index_t freedom) {
  constexpr std::array<double, 10> table{6.314, 2.920, 2.353, 2.132, 2.015,
                                         1.943, 1.895, 1.860, 1.833, 1.812};
  if (freedom < 1) return std::numeric_limits<double>::infinity();
  if (freedom <= 10) return table[static_cast<std::size_t>(freedom - 1)];
  return 1.645 + 1.524 / static_cast<double>(freedom);
}

// Of a number over seeds that is above 0 where the paper is right: `seen` and `opposite` where its
// sign is certain at 95 % by Student's t, one-sided. One seed decides nothing.
inline verdict judge(const estimate& e) {
  if (!std::isfinite(e.value) || !std::isfinite(e.error)) return verdict::undecided;
  const double bound = student_95(e.used - 1) * e.error;
  return e.value > bound    ? verdict::seen
         : e.value < -bound ? verdict::opposite
                            : verdict::undecided;
}

// The folder of an experiment's results, and its results.json. Nothing in it tells the threads or
// the time, so that runs can be compared byte by byte.
class Report {
 public:
  explicit Report(const settings& s) : folder_(s.output) {
    std::error_code failure;
    std::filesystem::create_directories(folder_, failure);
    basin::require(!failure, "--output", folder_ + ": " + failure.message());
    json["program"] = s.program;
    json["setting"] = s.size_name();
    json["images"] = s.data();
    json["seeds"] = s.seeds;
    json["claims"] = nlohmann::json::array();
    std::printf("%s: %s setting, %s images, %td seeds\n", s.program.c_str(), s.size_name(),
                s.data().c_str(), s.seeds);
  }

  [[nodiscard]] std::string path(const std::string& file) const { return folder_ + "/" + file; }

  // A dot: something that takes a while is done.
  void tick() {
    std::printf(".");
    std::fflush(stdout);
  }

  // Prints a series, and writes it as NAME.csv and under NAME in the JSON.
  void add(const std::string& name, const Series& series) {
    series.print();
    series.write_csv(path(name + ".csv"));
    json[name] = series.json();
  }

  // What the paper saw and what this run sees. `evidence` is a number over the seeds, in words
  // `quantity`, that is above 0 where the paper is right.
  verdict claim(const std::string& figure, const std::string& paper, const std::string& sees,
                const std::string& quantity, const estimate& evidence) {
    const verdict v = judge(evidence);
    std::printf("\n%s\n  the paper saw: %s\n  this run sees: %s\n  %s: %s, %s\n", figure.c_str(),
                paper.c_str(), sees.c_str(), quantity.c_str(), text_of(evidence).c_str(),
                v == verdict::seen       ? "the direction of the paper is seen"
                : v == verdict::opposite ? "the OPPOSITE of the paper's direction is seen"
                                         : "the direction is not decided by these seeds");
    std::fflush(stdout);
    json["claims"].push_back({{"figure", figure},
                              {"paper", paper},
                              {"sees", sees},
                              {"quantity", quantity},
                              {"value", number(evidence.value)},
                              {"standard_error", number(evidence.error)},
                              {"seeds", evidence.used},
                              {"verdict", to_string(v)}});
    return v;
  }

  // Writes results.json, and says where everything is.
  void finish() {
    basin::AtomicFile file(path("results.json"));
    file.write(json.dump(2) + "\n");
    file.commit();
    std::printf("\ntables, results.json and pictures are in %s\n", folder_.c_str());
  }

  nlohmann::json json;  // whatever else is to be kept

 private:
  std::string folder_;
};

}  // namespace experiment
