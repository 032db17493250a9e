// Figure 6 of Fumero et al. (2025): networks as they are initialised, before any training.
//
//   initialization [--quick|--full|--tiny] [--seeds N] [--threads T] [--output FOLDER]
//                  [--width D] [--samples N] [--starts N] [--iterations N]
//
// The paper sends 1,000 samples of N(0, I) through vision networks and finds that the outputs vary
// less than the inputs, which it calls contractive, and says that a new autoencoder takes all of
// the latent space to a single attractor at the origin. Here Table 3's network and fully connected
// ones are initialised by PyTorch's default, which is this library's, and by the schemes of He et
// al. (2015), Glorot and Bengio (2010) and LeCun et al. (1998), with normal weights and without
// biases. Of encoder, decoder and latent map f the ratio of standard deviations, output over input,
// is told, and beside it what it does not say: the spectral norm of the Jacobian of f at such
// samples, which is above 1 where some perturbation grows, and its Frobenius norm over √k, the
// growth of a perturbation in a random direction; the share of N(0, I) starts that come to the
// attractor that most come to, and how far that is from the origin. Without biases a network of
// ReLUs is homogeneous, f(cz) = c f(z) for c > 0: all starts go to the origin, away, or both.
//
// FOLDER (out/initialization) gets networks.csv, results.json and networks.svg.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <basin/attractor/cluster.hpp>
#include <basin/attractor/variance_ratio.hpp>
#include <basin/model/fully_connected.hpp>
#include <basin/model/table3.hpp>
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/spectral/norm_estimates.hpp>
#include <basin/spectral/singular_values.hpp>

#include "experiment.hpp"
#include "gnuplot.hpp"

namespace {

using basin::index_t;
using matrix = Eigen::MatrixXd;
using Model = basin::Autoencoder<double>;

constexpr const char* about =
    "initialization [OPTION [VALUE]]...: Figure 6, networks before training\n\n"
    "--width D       channels behind the first convolution\n"
    "--samples N     of N(0, I), for ratios of variances (1000)\n"
    "--starts N      of N(0, I), that are iterated\n"
    "--iterations N  at most so many a start\n";

struct network {
  std::string name;
  std::function<Model()> make;
};

// A scheme that draws weights of variance gain / (a fan_in + (1 - a) fan_out), and no biases;
// PyTorch's default where the gain is 0.
struct scheme {
  std::string name;
  double gain = 0, fan_in_part = 1;
};

const std::vector<scheme> schemes{{.name = "PyTorch"},
                                  {.name = "He", .gain = 2},
                                  {.name = "Glorot", .gain = 1, .fan_in_part = 0.5},
                                  {.name = "LeCun", .gain = 1}};

void initialize(Model& model, const scheme& how, std::uint64_t seed) {
  if (how.gain == 0) {
    model.initialize(seed);
    return;
  }
  std::uint32_t stream = 0;
  for (basin::parameter<double>& one : model.parameters()) {
    if (one.shape.size() < 2) {
      std::fill_n(one.values.data, one.values.size, 0.0);
      continue;
    }
    // As PyTorch's torch.nn.init counts, of transposed convolutions too.
    index_t taps = 1;
    for (std::size_t axis = 2; axis < one.shape.size(); ++axis) taps *= one.shape[axis];
    const auto fan_in = static_cast<double>(one.shape[1] * taps);
    const auto fan_out = static_cast<double>(one.shape[0] * taps);
    const double deviation =
        std::sqrt(how.gain / (how.fan_in_part * fan_in + (1 - how.fan_in_part) * fan_out));
    for (index_t i = 0; i < one.values.size; ++i) {
      one.values[i] = deviation * basin::normal_at<double>({seed, 0x30000 + stream}, i, 0);
    }
    ++stream;
  }
  model.parameters_changed();
}

std::vector<network> networks(index_t width) {
  const auto table3 = [&](index_t k) {
    return network{"table3, k = " + std::to_string(k),
                   [=] { return basin::table3<double>({.width = width, .latent = k}); }};
  };
  const auto dense = [&](const char* name, const basin::any_activation& activation) {
    return network{
        std::string("dense, ") + name + ", k = 16", [=] {
          return basin::fully_connected<double>(
              {.hidden = {16 * width, 8 * width}, .latent = 16, .activation = activation});
        }};
  };
  return {table3(2), table3(128), dense("relu", basin::relu_function{}),
          dense("tanh", basin::tanh_function{})};
}

struct look_options {
  index_t samples = 1000, starts = 100, iterations = 500, points = 8;
};

const std::vector<std::string> metrics{"encoder ratio", "decoder ratio", "latent ratio",
                                       "spectral norm", "largest norm",  "random direction",
                                       "one attractor", "attractors",    "from origin",
                                       "converged",     "diverged"};

std::vector<double> look_at(const basin::cpu<double>& be, const Model& model, std::uint64_t seed,
                            const look_options& look) {
  auto encoder = model.encoder_map();
  auto decoder = model.decoder_map();
  auto map = model.latent_map();
  const index_t k = model.latent_size();
  const auto ratio = [&](auto& of) {
    return basin::variance_ratio(be, of, {.samples = look.samples, .random = {seed, 1}})
        .deviations()
        .value;
  };
  const auto normal = [&](index_t n, std::uint32_t stream) {
    return matrix::NullaryExpr(
               k, n,
               [&](index_t i, index_t j) { return basin::normal_at<double>({seed, stream}, i, j); })
        .eval();
  };
  const matrix points = normal(look.points, 2);
  const Eigen::VectorXd norms = basin::spectral_norm(be, map, points).values;
  double growth = 0;
  for (const basin::estimate& one : basin::norm_estimates(be, map, points).frobenius) {
    growth += one.value / std::sqrt(static_cast<double>(k)) / static_cast<double>(look.points);
  }

  basin::FixedPointSolver solver{
      map, basin::picard{}, basin::stopping{.residual = 1e-6, .max_iterations = look.iterations}};
  const auto ends = solver.solve(be, normal(look.starts, 3));
  const basin::Clustering found = basin::cluster(be, map, ends);
  const auto share = [&](basin::status end) {
    return static_cast<double>(ends.count(end)) / static_cast<double>(look.starts);
  };
  double most = 0, from_origin = std::numeric_limits<double>::quiet_NaN();
  if (found.size() > 0) {
    const basin::Cluster& largest = found.clusters.front();
    most = static_cast<double>(largest.members) / static_cast<double>(look.starts);
    from_origin = largest.center.col(0).norm() / std::sqrt(static_cast<double>(k));
  }
  return {ratio(encoder),
          ratio(decoder),
          ratio(map),
          norms.mean(),
          norms.maxCoeff(),
          growth,
          most,
          static_cast<double>(found.size()),
          from_origin,
          share(basin::status::converged),
          share(basin::status::diverged)};
}

void body(int argc, char** argv) {
  index_t width = 0, starts = 0, iterations = 0;
  look_options look;
  const auto s = experiment::parse(argc, argv, "initialization", about, [&](options::Reader& read) {
    if (read.is("--width")) {
      width = read.at_least<index_t>(1);
    } else if (read.is("--samples")) {
      look.samples = read.at_least<index_t>(2);
    } else if (read.is("--starts")) {
      starts = read.at_least<index_t>(1);
    } else if (read.is("--iterations")) {
      iterations = read.at_least<index_t>(1);
    } else {
      return false;
    }
    return true;
  });
  basin::require(s.images.empty(), "--images", "nothing is trained here");
  if (width == 0) width = s.pick<index_t>(4, 16, 32);
  look.starts = starts > 0 ? starts : s.pick<index_t>(30, 100, 1000);
  look.iterations = iterations > 0 ? iterations : s.pick<index_t>(200, 500, 3000);
  look.points = s.pick<index_t>(4, 8, 32);

  experiment::Report report(s);
  const basin::cpu<double> be(s.threads);
  const auto all = networks(width);
  std::vector<std::string> labels;
  for (const scheme& how : schemes) {
    for (const network& one : all) labels.push_back(one.name + ", " + how.name);
  }
  const auto place = [&](std::size_t how, std::size_t one) {
    return static_cast<double>(how * all.size() + one);
  };
  experiment::Series found("network", metrics, labels);
  for (std::size_t how = 0; how < schemes.size(); ++how) {
    for (std::size_t one = 0; one < all.size(); ++one) {
      for (index_t seed = 0; seed < s.seeds; ++seed) {
        Model model = all[one].make();
        const auto random = static_cast<std::uint64_t>(seed + 1);
        initialize(model, schemes[how], random);
        found.add(place(how, one), seed, look_at(be, model, random, look));
      }
      report.tick();
    }
  }
  report.json["width"] = width;
  report.json["samples"] = look.samples;
  report.json["starts"] = look.starts;
  report.json["iterations"] = look.iterations;
  report.add("networks", found);

  // Of all networks of a scheme, seed by seed: the largest or the smallest.
  const auto over = [&](std::size_t how, const char* metric, bool largest) {
    Eigen::ArrayXd extreme = found.values(place(how, 0), metric).array();
    for (std::size_t one = 1; one < all.size(); ++one) {
      const Eigen::VectorXd values = found.values(place(how, one), metric);
      for (index_t seed = 0; seed < s.seeds; ++seed) {  // NaN only where all are
        extreme[seed] = largest ? std::fmax(extreme[seed], values[seed])
                                : std::fmin(extreme[seed], values[seed]);
      }
    }
    return extreme;
  };
  const auto mean = [](const Eigen::ArrayXd& values) {
    basin::estimate e = basin::mean_estimate(values.matrix());
    if (e.error < 1e-12) e.error = 0;  // equal values, up to the mean's rounding
    return e;
  };
  const auto text = [&](const Eigen::ArrayXd& values) { return experiment::text_of(mean(values)); };
  for (std::size_t how = 0; how < schemes.size(); ++how) {
    const std::string& name = schemes[how].name;
    const Eigen::ArrayXd ratio = over(how, "latent ratio", true);
    const Eigen::ArrayXd halves =
        over(how, "encoder ratio", true).max(over(how, "decoder ratio", true));
    const Eigen::ArrayXd norm = over(how, "largest norm", true);
    report.claim("Figure 6, " + name, "outputs vary less than inputs, in all networks",
                 "the largest ratio of standard deviations over the networks is " + text(ratio) +
                     " of f, " + text(halves) +
                     " of its halves; the largest spectral norm of its "
                     "Jacobian at samples is " +
                     text(norm),
                 "one less the largest ratio of f", mean(1 - ratio));
    const Eigen::ArrayXd share = over(how, "one attractor", false);
    report.claim("Section 2.1, " + name, "a single attractor, at the origin, takes all starts",
                 "at least " + text(share) + " of the starts come to one attractor, of norm / √k " +
                     "at most " + text(over(how, "from origin", true)) + "; at most " +
                     text(over(how, "attractors", true)) + " attractors",
                 "least share that comes to one attractor, less 0.95", mean(share - 0.95));
  }
  // The count of networks whose variance shrinks, and whose Jacobian still stretches.
  index_t shrinking = 0, stretching = 0;
  for (const double x : found.xs()) {
    const Eigen::VectorXd ratio = found.values(x, "latent ratio");
    const Eigen::VectorXd norm = found.values(x, "largest norm");
    for (index_t seed = 0; seed < ratio.size(); ++seed) {
      shrinking += ratio[seed] < 1;
      stretching += ratio[seed] < 1 && norm[seed] >= 1;
    }
  }
  report.json["ratio_below_1"] = shrinking;
  report.json["of_which_norm_at_least_1"] = stretching;
  std::printf(
      "\na ratio is no contraction: of %td networks with a ratio of f below 1, %td have a spectral "
      "norm of at least 1 at some sample\n",
      shrinking, stretching);

  // Of positive numbers the decimal logarithm.
  const auto panel = [&](const char* title, const char* label, const char* metric, bool logarithm) {
    plot::panel p{.title = title,
                  .x_label = "1, 2: table3, k = 2, 128; 3, 4: dense, relu, tanh",
                  .y_label = label,
                  .x_logarithmic = false};
    for (std::size_t how = 0; how < schemes.size(); ++how) {
      plot::curve c{.label = schemes[how].name,
                    .color = gnuplot::color(static_cast<index_t>(how)),
                    .joined = false};
      for (std::size_t one = 0; one < all.size(); ++one) {
        const basin::estimate e = found.mean(place(how, one), metric);
        c.x.push_back(static_cast<double>(one + 1) + 0.06 * (static_cast<double>(how) - 1.5));
        c.y.push_back(logarithm ? std::log10(e.value) : e.value);
        c.error.push_back(logarithm ? e.error / e.value / std::log(10.0) : e.error);
      }
      p.curves.push_back(std::move(c));
    }
    plot::curve bound{.label = "1", .color = "#666666", .dashed = true};
    bound.x = {1, static_cast<double>(all.size())};
    bound.y = std::vector<double>(2, logarithm ? 0 : 1);
    p.curves.push_back(std::move(bound));
    return plot::fitted(std::move(p));
  };
  plot::write_svg(
      report.path("networks.svg"),
      {panel("Standard deviations of f", "log10 of output over input", "latent ratio", true),
       panel("Jacobian of f", "log10 of the largest spectral norm", "largest norm", true),
       panel("Starts that come to one attractor", "share", "one attractor", false)});
  report.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return experiment::run("initialization", [&] { body(argc, argv); });
}
