// What each regulariser of the paper's Table 2 does: trains the same small autoencoder with
// each of them and prints, as a table in Markdown, what changes against the plain one.
//
//   regularizers [--images FILE] [--count N] [--epochs N] [--seeds N] [--threads T]
//
// FILE is an IDX file, gzipped or not; without one the images are made. Numbers are means
// over the seeds, with the standard error of the mean.
#include <cmath>
#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <basin/io/idx.hpp>
#include <basin/model/table3.hpp>
#include <basin/training/trainer.hpp>

#include "made_images.hpp"

namespace {

using basin::index_t;
using scalar = float;
using matrix = Eigen::MatrixX<scalar>;

struct entry {
  std::string name;
  std::vector<basin::regularizer<scalar>> terms;
  basin::table3_options model = {};
};

// What is measured of a trained model.
struct figures {
  double error = 0;           // squared error of reconstruction, test images
  double noisy = 0;           // the same from images with noise of deviation 0.3
  double hidden = 0;          // the same from images with half of the patches hidden
  double encoder = 0;         // mean ‖J_E‖²_F
  double reconstruction = 0;  // mean ‖J_F‖²_F
  double weights = 0;         // Σ ‖W‖²_F
  double code = 0;            // mean |z_i|
  double small = 0;           // share of |z_i| below a tenth of their root mean square
  double prior = 0;           // KL of the codes' mean and variance from N(0, 1), per element

  static constexpr const char* names[] = {"error",      "from noise", "from half",
                                          "‖J_E‖²",     "‖J_F‖²",     "Σ‖W‖²",
                                          "mean abs z", "small z",    "KL to N(0, 1)"};
  [[nodiscard]] std::vector<double> all() const {
    return {error, noisy, hidden, encoder, reconstruction, weights, code, small, prior};
  }
};

double error_from(const basin::cpu<scalar>& be, const basin::Autoencoder<scalar>& model,
                  const matrix& seen, const matrix& images) {
  auto F = model.reconstruction_map();
  matrix answer(images.rows(), images.cols());
  basin::evaluate(be, F, seen, answer);
  return static_cast<double>((answer - images).squaredNorm()) / static_cast<double>(images.size());
}

figures measure(const basin::cpu<scalar>& be, basin::Autoencoder<scalar>& model,
                const matrix& test) {
  figures f;
  f.error = error_from(be, model, test, test);
  matrix noise(test.rows(), test.cols());
  fill_normal(be, {.seed = 99}, noise);
  f.noisy = error_from(be, model, test + scalar(0.3) * noise, test);
  matrix half = test;
  for (index_t j = 0; j < half.cols(); ++j) {
    for (index_t i = 0; i < half.rows(); ++i) {
      const index_t patch = i / 32 / 4 * 8 + i % 32 / 4;
      if (basin::random_stream{98}.word(patch, j) % 2 == 0) half(i, j) = 0;
    }
  }
  f.hidden = error_from(be, model, half, test);
  // The exact penalties are the norms.
  const index_t count = std::min<index_t>(200, test.cols());
  const basin::block<const scalar> x(test.data(), test.outerStride(), count);
  std::vector<scalar> g(static_cast<std::size_t>(basin::parameter_count(model.encoder()) +
                                                 basin::parameter_count(model.decoder())));
  std::vector<basin::regularizer<scalar>> terms = {
      basin::contractive{1.0}, basin::r_contractive{1.0}, basin::deep_weight_decay{1.0}};
  if (model.variational()) terms.push_back(basin::variational{0.0});
  const auto norms = basin::Objective<scalar>(terms).evaluate(be, model, x, {}, 0, g.data());
  f.encoder = norms.penalties[0];
  f.reconstruction = norms.penalties[1];
  f.weights = norms.penalties[2];
  auto E = model.encoder_map();
  matrix codes(model.latent_size(), test.cols());
  basin::evaluate(be, E, test, codes);
  const Eigen::ArrayXXd z = codes.cast<double>().array();
  f.code = z.abs().mean();
  f.small = (z.abs() < 0.1 * std::sqrt(z.square().mean())).cast<double>().mean();
  for (index_t i = 0; i < z.rows(); ++i) {
    const double mean = z.row(i).mean();
    const double variance = (z.row(i) - mean).square().mean() + 1e-12;
    f.prior +=
        (mean * mean + variance - 1 - std::log(variance)) / 2 / static_cast<double>(z.rows());
  }
  return f;
}

int run(int argc, char** argv) {
  std::string file;
  index_t count = 4000, epochs = 12, seeds = 3;
  int threads = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    basin::require(i + 1 < argc, option, "a value is missing");
    const std::string value = argv[++i];
    if (option == "--images") {
      file = value;
    } else if (option == "--count") {
      count = std::stol(value);
    } else if (option == "--epochs") {
      epochs = std::stol(value);
    } else if (option == "--seeds") {
      seeds = std::stol(value);
    } else if (option == "--threads") {
      threads = std::stoi(value);
    } else {
      throw basin::argument_error(std::string(option) + ": unknown option");
    }
  }
  const auto set = file.empty() ? made::images(count, 1) : basin::read_idx_images(file);
  const matrix images = basin::to_matrix<scalar>(set, 32, 32).leftCols(std::min(count, set.count));
  const index_t test = images.cols() / 5;
  const basin::cpu<scalar> be(threads);

  const basin::table3_options plain{.width = 8, .latent = 8};
  const auto with = [&](auto change) {
    basin::table3_options options = plain;
    change(options);
    return options;
  };
  const auto sigmoid = with([](auto& o) { o.code_activation = basin::sigmoid_function{}; });
  const auto relu = with([](auto& o) { o.code_activation = basin::relu_function{}; });
  const std::vector<entry> entries = {
      {"plain, k = 8", {}, plain},
      {"bottleneck, k = 2", {basin::bottleneck{2}}, with([](auto& o) { o.latent = 2; })},
      {"weight_decay 1e-4", {basin::weight_decay{1e-4}}, plain},
      {"deep_weight_decay 1e-5", {basin::deep_weight_decay{1e-5}}, plain},
      {"contractive 1e-4", {basin::contractive{1e-4}}, plain},
      {"r_contractive 1e-3", {basin::r_contractive{1e-3}}, plain},
      {"plain, sigmoid code", {}, sigmoid},
      {"sparse_kl 1e-2, sigmoid code", {basin::sparse_kl{1e-2}}, sigmoid},
      {"plain, ReLU code", {}, relu},
      {"sparse_l1 1e-4, ReLU code", {basin::sparse_l1{1e-4}}, relu},
      {"denoising 0.3", {basin::denoising{0.3}}, plain},
      {"variational 1e-3", {basin::variational{1e-3}}, with([](auto& o) { o.variational = true; })},
      {"masked 0.5", {basin::masked{0.5}}, plain}};

  std::printf("| regulariser |");
  for (const char* name : figures::names) std::printf(" %s |", name);
  std::printf("\n|---|");
  for (std::size_t i = 0; i < std::size(figures::names); ++i) std::printf("---|");
  std::printf("\n");
  for (const entry& one : entries) {
    std::vector<std::vector<double>> values;
    for (index_t seed = 0; seed < seeds; ++seed) {
      auto model = basin::table3<scalar>(one.model);
      model.initialize(static_cast<std::uint64_t>(seed));
      basin::training_options<scalar> training;
      training.epochs = epochs;
      training.rate.rate = 1e-3;
      training.regularizers = one.terms;
      training.seed = static_cast<std::uint64_t>(seed);
      basin::train(be, model, images.leftCols(images.cols() - test), training);
      values.push_back(measure(be, model, images.rightCols(test)).all());
    }
    std::printf("| %s |", one.name.c_str());
    const auto n = static_cast<double>(seeds);
    for (std::size_t i = 0; i < values[0].size(); ++i) {
      double mean = 0, square = 0;
      for (const auto& v : values) mean += v[i] / n;
      for (const auto& v : values) square += (v[i] - mean) * (v[i] - mean);
      const double error = seeds > 1 ? std::sqrt(square / (n - 1) / n) : 0.0;
      std::printf(" %.3g ± %.1g |", mean, error);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "regularizers: " << e.what() << '\n';
    return 1;
  }
}
