// See trained.hpp.
#include "trained.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>

#include <basin/attractor/cluster.hpp>
#include <basin/attractor/rank.hpp>
#include <basin/io/png.hpp>
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/training/trainer.hpp>

namespace experiment {

nlohmann::json json_of(const training_plan& plan) {
  return {{"images", plan.images}, {"test", plan.test},
          {"width", plan.width},   {"epochs", plan.epochs},
          {"rate", plan.rate},     {"decay", plan.decay},
          {"batch", plan.batch},   {"activation", basin::to_string(plan.activation)}};
}

void train(const basin::cpu<float>& be, basin::Autoencoder<float>& model, const image_split& images,
           const training_plan& plan, index_t seed,
           const std::vector<basin::regularizer<float>>& regularizers, const at_epoch& watch,
           const std::string& name) {
  const auto random = static_cast<std::uint64_t>(seed + 1);
  model.initialize(random);
  basin::training_options<float> options;
  options.epochs = plan.epochs;
  options.batch = plan.batch;
  options.optimizer = basin::adam{.weight_decay = plan.decay};
  const index_t steps = (images.train.cols() + plan.batch - 1) / plan.batch;
  const auto after = [&](index_t epochs) { return std::max<index_t>(1, epochs) * steps; };
  options.rate = {
      .rate = plan.rate,
      .schedule = basin::step_schedule{{after(plan.epochs / 3), after(2 * plan.epochs / 3)}, 0.3}};
  options.regularizers = regularizers;
  options.seed = random;
  options.progress.silent = true;
  // Epochs of a few steps are done before a checkpoint would be written.
  if (!plan.keep.empty() && !watch && steps >= 10) {
    std::filesystem::create_directories(plan.keep);
    options.checkpoint = plan.keep + "/" + name + "_" + std::to_string(seed) + ".safetensors";
    options.resume = true;
  }
  options.at_epoch = watch;
  // Of few images there are thousands of epochs: nobody asks for the test error behind each.
  const auto result =
      basin::train(be, model, images.train, options, watch ? images.test : Eigen::MatrixXf());
  basin::require(result.status == basin::training_status::finished, "training",
                 "the loss is no longer finite");
}

basin::Autoencoder<float> trained(const basin::cpu<float>& be, const image_split& images,
                                  const training_plan& plan, index_t seed, const at_epoch& watch) {
  auto model = basin::table3<float>(plan.model(images.shape));
  train(be, model, images, plan, seed, {}, watch,
        plot::format("k%td_images%td", plan.latent, images.train.cols()));
  return model;
}

basin::Autoencoder<double> in_double(basin::Autoencoder<float> model,
                                     const basin::table3_options& options) {
  auto precise = basin::table3<double>(options);
  auto to = precise.parameters();
  const auto from = model.parameters();
  for (std::size_t i = 0; i < to.size(); ++i) {
    std::copy_n(from[i].values.data, from[i].values.size, to[i].values.data);
  }
  precise.parameters_changed();
  return precise;
}

Eigen::MatrixXf codes_of(const basin::cpu<float>& be, const basin::Autoencoder<float>& model,
                         const Eigen::MatrixXf& images) {
  auto encoder = model.encoder_map();
  Eigen::MatrixXf codes(model.latent_size(), images.cols());
  basin::evaluate(be, encoder, images, codes);
  return codes;
}

Eigen::MatrixXf decoded(const basin::cpu<float>& be, const basin::Autoencoder<float>& model,
                        const Eigen::MatrixXf& codes) {
  auto decoder = model.decoder_map();
  Eigen::MatrixXf images(model.image_shape().size(), codes.cols());
  if (codes.cols() > 0) basin::evaluate(be, decoder, codes, images);
  return images;
}

double constant_error(const image_split& images) {
  const Eigen::VectorXf mean = images.train.rowwise().mean();
  return static_cast<double>((images.test.colwise() - mean).squaredNorm()) /
         static_cast<double>(images.test.size());
}

Ends ends_of(const basin::cpu<float>& be, const basin::Autoencoder<float>& model,
             const Eigen::MatrixXf& starts, index_t max_iterations) {
  auto map = model.latent_map();
  basin::stopping rule = basin::paper_small();
  rule.max_iterations = max_iterations;
  basin::FixedPointSolver solver{map, basin::picard{}, rule};
  const auto found = solver.solve(be, starts);
  const auto clusters = basin::cluster(be, map, found, basin::paper_cosine{});
  Ends ends{.states = found.states, .attractors = Eigen::MatrixXf(starts.rows(), clusters.size())};
  for (index_t c = 0; c < clusters.size(); ++c) {
    ends.attractors.col(c) =
        clusters.clusters[static_cast<std::size_t>(c)].center.col(0).cast<float>();
  }
  const auto n = static_cast<double>(found.size());
  ends.converged = static_cast<double>(found.count(basin::status::converged)) / n;
  for (const index_t t : found.iterations) ends.iterations += static_cast<double>(t) / n;
  return ends;
}

basin::Memorization memorization_of(const basin::cpu<float>& be, const Eigen::MatrixXf& attractors,
                                    const Eigen::MatrixXf& images) {
  if (attractors.cols() == 0) {
    constexpr double none = std::numeric_limits<double>::quiet_NaN();
    return {.mean = none, .deviation = none, .similarity = {}, .nearest = {}};
  }
  return basin::memorization(be, attractors, images);
}

double rank_of(const Eigen::MatrixXf& attractors) {
  if (attractors.cols() == 0) return 0;
  return static_cast<double>(basin::rank_for_variance(attractors.cast<double>().eval()));
}

void write_sheet(const std::string& path, const basin::tensor_shape& shape,
                 const std::vector<Eigen::MatrixXf>& rows) {
  index_t across = 0;
  for (const Eigen::MatrixXf& row : rows) across = std::max(across, row.cols());
  constexpr index_t gap = 2;
  basin::image_set sheet{.channels = shape.channels == 3 ? 3 : 1,
                         .height = static_cast<index_t>(rows.size()) * (shape.height + gap) - gap,
                         .width = across * (shape.width + gap) - gap,
                         .count = 1};
  sheet.pixels.assign(static_cast<std::size_t>(sheet.size()), 255);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const index_t top = static_cast<index_t>(r) * (shape.height + gap);
    for (index_t j = 0; j < rows[r].cols(); ++j) {
      for (index_t i = 0; i < sheet.channels * shape.height * shape.width; ++i) {
        const index_t x = i % shape.width, y = i / shape.width % shape.height;
        const index_t c = i / (shape.width * shape.height);
        const float value = std::clamp(rows[r](i, j), 0.0f, 1.0f);
        const index_t at = (c * sheet.height + top + y) * sheet.width + j * (shape.width + gap) + x;
        sheet.pixels[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(255 * value + 0.5f);
      }
    }
  }
  basin::write_png(path, sheet);
}

}  // namespace experiment
