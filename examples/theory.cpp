// Checks what Fumero et al. (2025) claim of f(z) - z against what is known or can be measured.
//
//   theory [MODEL...] [--images FILE] [--count N] [--points N] [--samples N] [--epochs N]
//          [--seeds N] [--threads T] [--out FOLDER] [--quick] [--help]
//
// First, in data space, F(x) - x against scores that are known: the linear denoiser of a
// Gaussian, and denoising autoencoders that are trained here on draws of a mixture in the plane,
// over a range of noise. Then for each MODEL (those of examples/models) in its latent space:
// Theorem 1 against densities that are fitted to codes, Proposition 3.1, Lemma A.5, Theorem A.6,
// conservativity, and log q by integrals. Codes are those of N images of FILE (IDX or CIFAR,
// gzipped or not; --count, 2,000), without one of made ones.
//
// FOLDER (out/theory) gets noise.csv, models.csv, attractors.csv and theory.svg. --quick takes
// small numbers of everything, to see that it runs.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <basin/dynamics/conservativity.hpp>
#include <basin/dynamics/density_fit.hpp>
#include <basin/dynamics/log_density.hpp>
#include <basin/dynamics/mode_check.hpp>
#include <basin/dynamics/residual_gradient.hpp>
#include <basin/dynamics/score_agreement.hpp>
#include <basin/io/cifar.hpp>
#include <basin/io/csv.hpp>
#include <basin/io/idx.hpp>
#include <basin/map/affine.hpp>
#include <basin/model/model_file.hpp>
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/solver/newton.hpp>
#include <basin/training/trainer.hpp>

#include "made_images.hpp"
#include "plot.hpp"

namespace {

using basin::estimate;
using basin::index_t;
using matrix = Eigen::MatrixXd;

constexpr const char* usage =
    "theory [MODEL...] [--images FILE] [--count N] [--points N] [--samples N] [--epochs N]\n"
    "       [--seeds N] [--threads T] [--out FOLDER] [--quick] [--help]\n"
    "MODEL: a safetensors file; without one, those of examples/models. FILE: IDX or CIFAR,\n"
    "gzipped or not; without one, images are made. More in examples/theory.cpp.\n";

struct command {
  std::vector<std::string> models;
  std::string images;
  index_t count = 2000;    // images
  index_t points = 4000;   // draws at which denoisers are compared
  index_t samples = 4096;  // draws that they are trained on
  index_t epochs = 60;
  index_t seeds = 5;
  index_t paths = 24;  // of integrals
  int threads = 0;
  std::string out = "out/theory";
};

template <class Number>
Number number_of(std::string_view option, std::string_view text) {
  Number value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) {
    throw basin::argument_error(std::string(option) + ": '" + std::string(text) +
                                "' is not a number");
  }
  return value;
}

command parse(int argc, char** argv) {
  command c;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const auto value = [&]() -> std::string_view {
      if (++i == argc) throw basin::argument_error(std::string(option) + ": a value is missing");
      return argv[i];
    };
    const auto number = [&](index_t least) {
      const auto n = number_of<index_t>(option, value());
      basin::require(n >= least, option, "must be at least " + std::to_string(least));
      return n;
    };
    if (option == "--help") {
      std::printf("%s", usage);
      std::exit(0);
    } else if (option == "--images") {
      c.images = value();
    } else if (option == "--count") {
      c.count = number(40);
    } else if (option == "--points") {
      c.points = number(10);
    } else if (option == "--samples") {
      c.samples = number(10);
    } else if (option == "--epochs") {
      c.epochs = number(1);
    } else if (option == "--seeds") {
      c.seeds = number(2);
    } else if (option == "--threads") {
      c.threads = number_of<int>(option, value());
    } else if (option == "--out") {
      c.out = value();
    } else if (option == "--quick") {
      c.count = 60;
      c.points = 200;
      c.samples = 256;
      c.epochs = 4;
      c.seeds = 2;
      c.paths = 3;
    } else if (option.starts_with("-")) {
      throw basin::argument_error(std::string(option) + ": unknown option");
    } else {
      c.models.emplace_back(option);
    }
  }
  if (c.models.empty()) {
    const std::string folder = BASIN_EXAMPLE_MODELS;
    c.models = {folder + "/mnist_k2.safetensors", folder + "/mnist_k16.safetensors"};
  }
  return c;
}

std::string text_of(const estimate& e, const char* pattern = "%.4f ± %.1g") {
  return plot::format(pattern, e.value, e.error);
}

// Spaces behind, to so many characters of UTF-8.
std::string padded(std::string text, std::ptrdiff_t width) {
  const auto characters = std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  });
  text.append(static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, width - characters)), ' ');
  return text;
}

// ---------------------------------------------------------------------------------------------
// Data space

void gaussian_case() {
  std::printf("\nTheorem 1 in data space, linear denoiser of a Gaussian: exact\n");
  std::printf("%4s %8s %16s %18s\n", "n", "noise", "|cosine - 1|", "|scale - σ²|");
  const basin::cpu<double> be(1);
  for (const index_t n : {2, 16}) {
    matrix a(n, n);
    fill_normal(be, {.seed = 3}, a);
    const Eigen::VectorXd mean = Eigen::VectorXd::LinSpaced(n, -1, 1);
    const auto clean = basin::gaussian(
        mean, a * a.transpose() / static_cast<double>(n) + 0.2 * matrix::Identity(n, n));
    for (const double noise : {0.1, 1.0}) {
      const auto noised = clean.noised(noise);
      const matrix gain = noised.covariance(0).llt().solve(clean.covariance(0)).transpose();
      auto F = basin::affine(gain, Eigen::VectorXd(mean - gain * mean));
      const auto found = score_agreement(be, F, noised, noised.sample(1000, {.seed = 1}));
      std::printf("%4td %8g %16.1e %16.1e\n", n, noise, (found.cosine.array() - 1).abs().maxCoeff(),
                  (found.scale.array() - noise * noise).abs().maxCoeff());
    }
  }
}

// Three components of other shapes and weights.
basin::GaussianMixture plane_mixture() {
  matrix means(2, 3), tilted(2, 2), flat(2, 2), round(2, 2);
  means << -1.2, 1.2, 0.2, -0.6, -0.8, 1.1;
  tilted << 0.16, 0.08, 0.08, 0.09;
  flat << 0.2, 0, 0, 0.05;
  round << 0.09, 0, 0, 0.09;
  return {Eigen::Vector3d(0.4, 0.3, 0.3), means, {tilted, flat, round}};
}

struct noise_row {
  double noise = 0;
  // Means over the seeds, with their standard errors.
  estimate cosine, point_cosine, scale, clean_cosine;
  double best_clean_cosine = 0;  // of the best denoiser
};

std::vector<noise_row> mixture_case(const command& c, const basin::cpu<float>& be) {
  const auto clean = plane_mixture();
  std::printf("\nTheorem 1 in data space, denoising autoencoders of a mixture in the plane\n");
  std::printf("%6s  %-16s %-16s %s %-16s %s\n", "noise", "cosine", "mean of cosines",
              padded("scale / σ²", 16).c_str(), "cosine, clean q", "best denoiser");
  std::vector<noise_row> rows;
  for (const double noise : {0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.8, 1.6, 3.2}) {
    const auto noised = clean.noised(noise);
    Eigen::VectorXd cosine(c.seeds), point(c.seeds), scale(c.seeds), at_clean(c.seeds);
    for (index_t s = 0; s < c.seeds; ++s) {
      const auto seed = static_cast<std::uint64_t>(s);
      // Wider than the data: a code of two numbers would do, and is harder to train.
      auto model = basin::fully_connected<float>({.image = {2},
                                                  .hidden = {64},
                                                  .latent = 64,
                                                  .activation = basin::silu_function{},
                                                  .code_activation = basin::silu_function{}});
      model.initialize(seed);
      basin::training_options<float> training;
      training.epochs = c.epochs;
      training.batch = 64;
      training.rate = {.rate = 3e-3, .schedule = basin::cosine_schedule{}};
      training.regularizers = {basin::denoising{noise}};
      training.seed = seed;
      training.progress.silent = true;
      const Eigen::MatrixXf x = clean.sample(c.samples, {seed, 1}).cast<float>();
      train(be, model, x, training);
      auto F = model.reconstruction_map();
      const auto found = score_agreement(be, F, noised, noised.sample(c.points, {seed, 2}));
      cosine[s] = found.pooled_cosine.value;
      point[s] = found.mean_cosine.value;
      scale[s] = found.pooled_scale.value / (noise * noise);
      const matrix draws = clean.sample(c.points, {seed, 3});
      at_clean[s] = score_agreement(be, F, clean, draws).pooled_cosine.value;
    }
    noise_row row;
    row.noise = noise;
    row.cosine = basin::mean_estimate(cosine);
    row.point_cosine = basin::mean_estimate(point);
    row.scale = basin::mean_estimate(scale);
    row.clean_cosine = basin::mean_estimate(at_clean);
    const matrix draws = clean.sample(c.points, {0, 3});
    const matrix moves = clean.optimal_denoiser(draws, noise) - draws;
    row.best_clean_cosine = basin::score_agreement(moves, clean.score(draws)).pooled_cosine.value;
    std::printf("%6g  ", noise);
    for (const estimate* e : {&row.cosine, &row.point_cosine, &row.scale, &row.clean_cosine}) {
      std::printf("%s ", padded(text_of(*e), 16).c_str());
    }
    std::printf("%.4f\n", row.best_clean_cosine);
    std::fflush(stdout);
    rows.push_back(row);
  }
  return rows;
}

void write_noise(const std::string& folder, const std::vector<noise_row>& rows) {
  basin::CsvWriter table(folder + "/noise.csv");
  table.row("noise", "cosine", "error", "mean_of_cosines", "error", "scale_over_variance", "error",
            "cosine_with_clean_score", "error", "best_denoiser_with_clean_score");
  plot::curve noised{"with the score of the noised density", "#0a58a5", {}, {}, {}};
  plot::curve plain{"with the score of the data's density", "#c2410c", {}, {}, {}};
  plot::curve best{"the same, best denoiser (closed form)", "#777777", {}, {}, {}, true};
  plot::curve scale{"scale / σ², noised density", "#0a58a5", {}, {}, {}};
  for (const noise_row& r : rows) {
    table.row(r.noise, r.cosine.value, r.cosine.error, r.point_cosine.value, r.point_cosine.error,
              r.scale.value, r.scale.error, r.clean_cosine.value, r.clean_cosine.error,
              r.best_clean_cosine);
    const auto add = [&](plot::curve& to, const estimate& e) {
      to.x.push_back(r.noise);
      to.y.push_back(e.value);
      to.error.push_back(e.error);
    };
    add(noised, r.cosine);
    add(plain, r.clean_cosine);
    add(scale, r.scale);
    best.x.push_back(r.noise);
    best.y.push_back(r.best_clean_cosine);
  }
  table.close();
  plot::write_svg(folder + "/theory.svg", {{.title = "Cosine of F(x) - x and the score",
                                            .x_label = "deviation σ of the noise",
                                            .y_label = "pooled cosine",
                                            .y_most = 1.05,
                                            .curves = {noised, plain, best}},
                                           {.title = "Scale of F(x) - x",
                                            .x_label = "deviation σ of the noise",
                                            .y_label = "scale / σ²",
                                            .y_least = 0.6,
                                            .y_most = 1.2,
                                            .y_step = 0.1,
                                            .curves = {scale}}});
}

// ---------------------------------------------------------------------------------------------
// Latent space

basin::image_set read_images(const command& c) {
  if (c.images.empty()) return made::images(c.count, 2);
  try {
    return basin::read_idx_images(c.images);
  } catch (const basin::file_error& not_idx) {
    try {
      return basin::read_cifar(c.images);
    } catch (const basin::file_error& not_cifar) {
      throw basin::file_error("neither IDX nor CIFAR: " + std::string(not_idx.what()) + "; " +
                              not_cifar.what());
    }
  }
}

// The mixture of 1, 2, 4, ... components that says most of points which it was not fitted to.
basin::GaussianMixture best_mixture(const matrix& fitted, const matrix& judged) {
  auto best = basin::fit_mixture(fitted, {.components = 1}).density;
  double most = best.log_density(judged).mean();
  for (index_t m = 2; m <= 32 && m * 10 <= fitted.cols(); m *= 2) {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      const auto fit =
          basin::fit_mixture(fitted, {.components = m, .random = {.seed = seed}}).density;
      const double log_density = fit.log_density(judged).mean();
      if (log_density > most) {
        most = log_density;
        best = fit;
      }
    }
  }
  return best;
}

// Distinct fixed points to which starts go, as columns, the most frequent first.
matrix find_attractors(const basin::cpu<double>& be, basin::LayerMap<basin::Network<double>>& f,
                       const matrix& starts, std::vector<index_t>& frequency) {
  basin::FixedPointSolver solver{
      f, basin::picard{},
      basin::stopping{
          .residual = 1e-7, .norm = basin::residual_norm::relative, .max_iterations = 3000}};
  const auto found = solver.solve(be, starts);
  std::vector<Eigen::VectorXd> points;
  frequency.clear();
  for (index_t j = 0; j < found.size(); ++j) {
    if (found.status[static_cast<std::size_t>(j)] != basin::status::converged) continue;
    const Eigen::VectorXd z = found.states.col(j);
    const auto same = std::find_if(points.begin(), points.end(), [&](const Eigen::VectorXd& p) {
      return (p - z).norm() <= 1e-3 * (1 + z.norm());
    });
    if (same != points.end()) {
      ++frequency[static_cast<std::size_t>(same - points.begin())];
    } else {
      points.push_back(z);
      frequency.push_back(1);
    }
  }
  std::vector<std::size_t> order(points.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return frequency[a] > frequency[b]; });
  matrix states(starts.rows(), static_cast<index_t>(points.size()));
  std::vector<index_t> sorted;
  for (std::size_t i = 0; i < order.size(); ++i) {
    states.col(static_cast<index_t>(i)) = points[order[i]];
    sorted.push_back(frequency[order[i]]);
  }
  frequency = sorted;
  if (states.cols() == 0) return states;
  return polish(be, f, states).states;
}

struct tables {
  basin::CsvWriter models, attractors;
};

void latent_case(const command& c, const basin::cpu<double>& be, const std::string& file,
                 const basin::image_set& set, tables& out) {
  const auto model = basin::load_model<double>(file);
  const basin::tensor_shape shape = model.autoencoder.image_shape();
  basin::require(
      set.channels == shape.channels && set.height <= shape.height && set.width <= shape.width,
      file, "its images are " + to_string(shape) + ", not as those that are given");
  const index_t n = std::min(c.count, set.count);
  basin::require(n >= 40, "--images", "there must be at least 40 images");
  const matrix images = basin::to_matrix<double>(set, shape.height, shape.width).leftCols(n);
  auto E = model.autoencoder.encoder_map();
  auto f = model.autoencoder.latent_map();
  const index_t k = model.autoencoder.latent_size();
  matrix codes(k, n);
  evaluate(be, E, images, codes);

  // Half of the codes are fitted, a quarter chooses the mixture, and the rest is measured.
  const matrix fitted = codes.leftCols(n / 2);
  const matrix judged = codes.middleCols(n / 2, n / 4);
  const matrix z = codes.rightCols(n - n / 2 - n / 4);
  const auto normal = basin::fit_mixture(fitted, {.components = 1}).density;
  const auto mixture = best_mixture(fitted, judged);
  const Eigen::VectorXd center = fitted.rowwise().mean();
  const double spread =
      std::sqrt((fitted.colwise() - center).squaredNorm() / static_cast<double>(fitted.cols()));

  std::printf("\n%s, k = %td, %td codes, root mean square distance from their mean %.3g\n",
              file.c_str(), k, n, spread);
  const auto say = [&](const char* what, const estimate& e) {
    std::printf("  %s %s\n", padded(what, 60).c_str(), text_of(e).c_str());
    out.models.row(file, what, e.value, e.error, e.used, e.left_out);
  };
  const auto log_density = [&](const basin::GaussianMixture& q) {
    return basin::mean_estimate(q.log_density(z));
  };
  std::printf("  the mixture has %td components\n", mixture.components());
  say("log density of codes not fitted, Gaussian", log_density(normal));
  say("log density of codes not fitted, mixture", log_density(mixture));
  const auto against_normal = score_agreement(be, f, normal, z);
  const auto against_mixture = score_agreement(be, f, mixture, z);
  say("Theorem 1: pooled cosine with the score, Gaussian", against_normal.pooled_cosine);
  say("Theorem 1: pooled cosine with the score, mixture", against_mixture.pooled_cosine);
  say("Theorem 1: mean cosine with the score, Gaussian", against_normal.mean_cosine);
  say("Theorem 1: mean cosine with the score, mixture", against_mixture.mean_cosine);
  say("Theorem 1: scale, Gaussian", against_normal.pooled_scale);
  say("Theorem 1: scale, mixture", against_mixture.pooled_scale);

  const auto descent = residual_gradient(be, f, z);
  say("Proposition 3.1: mean cosine of v and -∇‖v‖²", descent.mean_cosine);
  say("Proposition 3.1: share of points where it is positive", descent.share_descending);

  say("conservative: mean ‖J - Jᵀ‖ / ‖J‖ (0: yes, 1.41: any J)",
      jacobian_asymmetry(be, f, z).mean_ratio);
  // Networks have too many kinks for more.
  const basin::quadrature_options quadrature{.halvings = 3, .tolerance = 1e-5};
  const index_t paths = std::min(c.paths, z.cols() / 3);
  Eigen::VectorXd turns(paths), turn_errors(paths);
  for (index_t j = 0; j < paths; ++j) {
    const auto loop = circulation(be, f, z.middleCols(3 * j, 3), quadrature);
    turns[j] = std::abs(loop.relative());
    turn_errors[j] = loop.error / loop.work;
  }
  say("conservative: mean |∮ v dl| / ∮ ‖v‖ dl, triangles of codes", basin::mean_estimate(turns));
  say("conservative: of it, error of quadrature", basin::mean_estimate(turn_errors));

  const matrix ends = z.leftCols(paths);
  const auto integral = basin::log_density(be, f, center, ends, {.quadrature = quadrature});
  const double deviation =
      std::sqrt((integral.value.array() - integral.value.mean()).square().mean());
  say("log q by integrals: path dependence / deviation of log q", integral.relative_path_error);
  say("log q by integrals: quadrature error / deviation of log q",
      basin::mean_estimate(integral.quadrature_error / deviation));
  // Terms of Pearson's correlation.
  const Eigen::VectorXd known = mixture.log_density(ends);
  matrix terms(6, paths);
  for (index_t j = 0; j < paths; ++j) {
    const double a = integral.value[j], b = known[j];
    terms.col(j) << 1, a, b, a * a, b * b, a * b;
  }
  say("log q by integrals: correlation with the mixture's",
      basin::jackknife_estimate(terms, [](const Eigen::VectorXd& s) {
        const auto t = s / s[0];
        return (t[5] - t[1] * t[2]) / std::sqrt((t[3] - t[1] * t[1]) * (t[4] - t[2] * t[2]));
      }));

  std::vector<index_t> frequency;
  const matrix starts = z.leftCols(std::min<index_t>(200, z.cols()));
  const matrix attractors = find_attractors(be, f, starts, frequency);
  for (const auto* q : {&normal, &mixture}) {
    const char* name = q == &normal ? "Gaussian" : "mixture";
    const auto found = mode_check(be, f, *q, z, attractors);
    const auto with = [&](const char* what) { return std::string(what) + name; };
    say(with("Lemma A.5: share where <∇ log q, v> > 0, ").c_str(), found.share_ascending);
    say(with("Lemma A.5: share where q(f(z)) > q(z), ").c_str(), found.share_rising);
    index_t modes = 0, concave = 0;
    std::printf("  Theorem A.6, %s: %td attractors of %td starts; lengths in spreads\n", name,
                attractors.cols(), starts.cols());
    std::printf("    %6s %10s  %s %12s %18s %14s\n", "starts", "residual",
                padded("‖∇ log q‖", 12).c_str(), "its error", "largest curvature", "Newton's mode");
    for (std::size_t a = 0; a < found.attractors.size(); ++a) {
      const basin::attractor_mode& mode = found.attractors[a];
      if (mode.is_mode(0.1 * spread)) ++modes;
      if (mode.largest_curvature < 0) ++concave;
      out.attractors.row(file, name, a, frequency[a], mode.residual, mode.gradient,
                         mode.gradient_error, mode.largest_curvature, mode.curvature_error,
                         mode.smallest_curvature, mode.distance, spread);
      if (a >= 8) continue;
      std::printf("    %6td %10.1e %12.3g %12.1e %18.3g %14.3g\n", frequency[a],
                  mode.residual / spread, mode.gradient * spread, mode.gradient_error * spread,
                  mode.largest_curvature * spread * spread, mode.distance / spread);
    }
    const auto count = attractors.cols();
    say(with("Theorem A.6: share of attractors with ∇² log q < 0, ").c_str(),
        basin::share_estimate(concave, count));
    say(with("Theorem A.6: and within 0.1 spreads of the mode, ").c_str(),
        basin::share_estimate(modes, count));
  }
  std::fflush(stdout);
}

int run(const command& c) {
  std::filesystem::create_directories(c.out);
  gaussian_case();
  write_noise(c.out, mixture_case(c, basin::cpu<float>(c.threads)));

  const basin::image_set images = read_images(c);
  const basin::cpu<double> be(c.threads);
  tables out{basin::CsvWriter(c.out + "/models.csv"), basin::CsvWriter(c.out + "/attractors.csv")};
  out.models.row("model", "quantity", "value", "standard_error", "used", "left_out");
  out.attractors.row("model", "density", "attractor", "starts", "residual", "gradient",
                     "gradient_error", "largest_curvature", "curvature_error", "smallest_curvature",
                     "distance", "spread");
  for (const std::string& file : c.models) latent_case(c, be, file, images, out);
  out.models.close();
  out.attractors.close();
  std::printf("\nThe tables and the picture are in %s\n", c.out.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(parse(argc, argv));
  } catch (const std::exception& e) {
    std::cerr << "theory: error: " << e.what() << '\n';
    return 1;
  }
}
