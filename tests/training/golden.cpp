// Trainings against PyTorch's, step by step (tests/golden/nn/make_training.py).
#include <string>
#include <vector>

#include <basin/training/objective.hpp>
#include <basin/training/optimizer.hpp>
#include <basin/training/schedule.hpp>

#include "../nn/golden.hpp"
#include "networks.hpp"

namespace {

using basin::index_t;

const std::filesystem::path folder = golden::folder / "training";

Eigen::MatrixXd columns(const basin::SafetensorsFile& file, const std::string& name) {
  const std::vector<double> values = file.read<double>(name);
  const index_t count = file.info(name).shape[0];
  return Eigen::Map<const Eigen::MatrixXd>(values.data(),
                                           static_cast<index_t>(values.size()) / count, count);
}

struct Setup {
  nlohmann::json options;
  const basin::SafetensorsFile& data;
  std::vector<basin::regularizer<double>> terms = {};
  basin::optimizer_settings optimizer = {};
  basin::learning_rate rate = {};
};

Setup read_setup(const basin::SafetensorsFile& file, const basin::SafetensorsFile& data) {
  Setup s{nlohmann::json::parse(file.metadata().find("options")->second), data};
  const auto number = [&](const char* key) { return s.options.at(key).get<double>(); };
  const auto name = s.options.at("optimiser").get<std::string>();
  if (name == "adam") {
    s.optimizer = basin::adam{number("beta1"), number("beta2"), number("eps"), number("decay")};
  } else if (name == "adamw") {
    s.optimizer = basin::adamw{number("beta1"), number("beta2"), number("eps"), number("decay")};
  } else {
    s.optimizer = basin::sgd{number("momentum"), number("decay")};
  }
  s.rate.rate = number("rate");
  const auto schedule = s.options.at("schedule").get<std::string>();
  if (schedule == "step") {
    s.rate.schedule = basin::step_schedule{s.options.at("milestones").get<std::vector<index_t>>(),
                                           number("gamma")};
  } else if (schedule == "cosine") {
    s.rate.schedule = basin::cosine_schedule{number("rate_min")};
    s.rate.warm_up = s.options.at("warm_up").get<index_t>();
  }
  const auto term = s.options.at("regulariser").get<std::string>();
  const double strength = number("lambda");
  if (term == "contractive") s.terms = {basin::contractive{strength}};
  if (term == "r_contractive") s.terms = {basin::r_contractive{strength}};
  if (term == "sparse_kl") s.terms = {basin::sparse_kl{strength, number("rho")}};
  if (term == "sparse_l1") s.terms = {basin::sparse_l1{strength}};
  if (term == "denoising") s.terms = {basin::denoising{1.0, 1.0}};
  if (term == "masked") s.terms = {basin::masked{0.5, 1, 1.0}};
  if (term == "variational") s.terms = {basin::variational{strength}};
  return s;
}

// The parameters of a training and PyTorch's after 1, 10 and 100 steps.
template <class Activation>
void check(const std::string& name, Activation activation) {
  INFO(name);
  const basin::SafetensorsFile data(folder / "data.safetensors");
  const basin::SafetensorsFile file(folder / (name + ".safetensors"));
  Setup s = read_setup(file, data);
  const bool sampled = std::string(s.options.at("regulariser")) == "variational";
  auto model = networks::table3<double>(16, 2, sampled ? 4 : 2, 2, activation,
                                        s.options.at("tied").get<bool>(),
                                        std::string(s.options.at("regulariser")) == "sparse_kl");
  std::vector<basin::array_view<double>> values;
  index_t size = 0;
  for (auto& one : model.parameters()) {
    const std::string key = "p." + one.name;
    const auto initial =
        file.contains(key) ? file.read<double>(key, one.shape) : data.read<double>(key, one.shape);
    std::copy(initial.begin(), initial.end(), one.values.data);
    values.push_back(one.values);
    size += one.values.size;
  }
  model.parameters_changed();

  const Eigen::MatrixXd images = columns(data, "images");
  const Eigen::MatrixXd mirrored = columns(data, "mirrored");
  const Eigen::MatrixXd noise = columns(data, "noise");
  const Eigen::MatrixXd masks = columns(data, "masks");
  const Eigen::MatrixXd eps = columns(data, "eps");
  const auto order = data.read<std::int64_t>("order", {100, 8});
  std::vector<index_t> batch(8);
  const auto image_of = [&](index_t column) { return batch[static_cast<std::size_t>(column)]; };
  if (std::string(s.options.at("regulariser")) == "augmented") {
    s.terms = {
        basin::augmented<double>{[&](basin::array_view<const double>, basin::array_view<double> out,
                                     basin::random_stream, index_t column) {
                                   for (index_t i = 0; i < out.size; ++i)
                                     out[i] = mirrored(i, image_of(column));
                                 },
                                 s.options.at("lambda").get<double>()}};
  }
  basin::Objective<double> objective(s.terms);
  objective.set_noise(
      [&](std::size_t, index_t row, index_t column) {
        return sampled ? eps(row, image_of(column)) : noise(row, image_of(column));
      },
      // Patches of one pixel are hidden where the mask is 0.
      [&](std::size_t, index_t row, index_t column) {
        return masks(row, image_of(column)) == 0 ? 0.25 : 0.75;
      });
  objective.require_model(model);
  basin::Optimizer<double> optimizer(s.optimizer, size);
  const basin::cpu<double> be(2);
  const std::vector<double> losses = file.read<double>("loss", {100});
  std::vector<double> g(static_cast<std::size_t>(size));
  double worst_loss = 0;
  for (index_t step = 0; step < 100; ++step) {
    Eigen::MatrixXd X(256, 8);
    for (index_t j = 0; j < 8; ++j) {
      batch[static_cast<std::size_t>(j)] =
          static_cast<index_t>(order[static_cast<std::size_t>(8 * step + j)]);
      X.col(j) = images.col(image_of(j));
    }
    const auto terms = objective.evaluate(be, model, basin::block<const double>(X.data(), 256, 8),
                                          {}, 0, g.data());
    worst_loss =
        std::max(worst_loss, std::abs(terms.total() / losses[static_cast<std::size_t>(step)] - 1));
    optimizer.step(&be.pool(), values, g.data(), basin::rate_at(s.rate, step, 100));
    model.parameters_changed(&be.pool());
    if (step != 0 && step != 9 && step != 99) continue;
    INFO("after step " << step + 1);
    double distance = 0, norm = 0;
    for (auto& one : model.parameters()) {
      const std::string key = "after_" + std::to_string(step + 1) + "." + one.name;
      if (!file.contains(key)) {
        REQUIRE(model.tied());
        continue;
      }
      const auto expected = file.read<double>(key, one.shape);
      for (index_t i = 0; i < one.values.size; ++i) {
        const double wanted = expected[static_cast<std::size_t>(i)];
        distance += (one.values[i] - wanted) * (one.values[i] - wanted);
        norm += wanted * wanted;
      }
    }
    CHECK(std::sqrt(distance / norm) <= 1e-9);
  }
  CHECK(worst_loss <= 1e-9);
}

}  // namespace

TEST_CASE("optimisers and schedules agree with PyTorch over 100 steps", "[training]") {
  for (const char* name : {"adam", "adam_decay", "adamw", "sgd", "sgd_decay", "step", "cosine"}) {
    check(name, basin::relu_function{});
  }
}

TEST_CASE("regularisers agree with PyTorch over 100 steps", "[training]") {
  for (const char* name :
       {"sparse_kl", "sparse_l1", "denoising", "masked", "variational", "augmented", "tied"}) {
    check(name, basin::relu_function{});
  }
  check("contractive", basin::tanh_function{});
  check("r_contractive", basin::softplus_function{});
}
