// Models that the experiments of the paper train, and the attractors of these.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/memorization.hpp>
#include <basin/model/table3.hpp>
#include <basin/training/trainer.hpp>

#include "experiment.hpp"

namespace experiment {

// How a Table 3 network is trained: Adam, weight decay as L2, a rate that falls to 0.3 of itself
// after a third and after two thirds of the epochs.
struct training_plan {
  index_t images = 1000;  // to train on
  index_t test = 200;     // to test on
  index_t width = 8;
  index_t latent = 2;
  index_t epochs = 30;
  double rate = 3e-3;
  // The paper's 1e-4 beside an error that is a mean over pixels, as PyTorch's, and not the sum of
  // its Equation 1, weighs a thousand times as much, and lets narrow networks collapse.
  double decay = 1e-6;
  index_t batch = 16;
  basin::any_activation activation = basin::relu_function{};
  // Folder of checkpoints, of each training its own; empty: none.
  std::string keep = {};

  [[nodiscard]] basin::table3_options model(const basin::tensor_shape& image) const {
    return {.image = image, .width = width, .latent = latent, .activation = activation};
  }
};

// Of tiny, quick and full settings. With the last, Figures 2 and 13 together take two cores some
// twenty minutes for a data set; the paper's networks are wider, and its training longer.
inline training_plan plan_of(const settings& s) {
  return s.pick<training_plan>(
      {.images = 512, .test = 64, .width = 6, .epochs = 15, .rate = 5e-3, .batch = 8}, {},
      {.images = 4000, .test = 1000, .epochs = 20, .keep = s.output + "/trainings"});
}

inline constexpr const char* plan_usage =
    "--count N       training images\n"
    "--test N        test images\n"
    "--width D       channels behind the first convolution\n"
    "--epochs N      of each training\n"
    "--batch N       images of a step\n"
    "--rate R        learning rate of Adam\n"
    "--decay D       weight decay, as L2\n"
    "--activation A  relu, silu, ...\n"
    "--keep FOLDER   of checkpoints: a run that was cut off goes on (with --full: "
    "OUTPUT/trainings)\n";

// Options that change a plan. They are read before it is known which size they are to change.
class PlanOptions {
 public:
  bool read(options::Reader& read) {
    if (read.is("--count")) return set(&training_plan::images, read.at_least<index_t>(1));
    if (read.is("--test")) return set(&training_plan::test, read.at_least<index_t>(1));
    if (read.is("--width")) return set(&training_plan::width, read.at_least<index_t>(1));
    if (read.is("--epochs")) return set(&training_plan::epochs, read.at_least<index_t>(1));
    if (read.is("--batch")) return set(&training_plan::batch, read.at_least<index_t>(1));
    if (read.is("--rate")) return set(&training_plan::rate, read.positive());
    if (read.is("--decay")) return set(&training_plan::decay, read.at_least<double>(0));
    if (read.is("--activation")) {
      return set(&training_plan::activation, basin::parse_activation(read.text()));
    }
    if (read.is("--keep")) return set(&training_plan::keep, read.text());
    return false;
  }
  [[nodiscard]] training_plan apply(training_plan plan) const {
    for (const auto& change : changes_) change(plan);
    return plan;
  }

 private:
  template <class Member, class Value>
  bool set(Member member, const Value& value) {
    changes_.push_back([=](training_plan& plan) { plan.*member = value; });
    return true;
  }
  std::vector<std::function<void(training_plan&)>> changes_;
};

nlohmann::json json_of(const training_plan& plan);

using at_epoch = std::function<void(const basin::Autoencoder<float>&, const basin::epoch_record&)>;

// Trains a model, in place, from the initial weights of a seed. Seeds begin at 1, as those of
// examples/train do. With `plan.keep` a training of that name that was cut off goes on, and one
// that was done is read; not where it is watched, for the epochs that it has done would not be
// seen, nor where images are so few that an epoch has less than ten steps.
void train(const basin::cpu<float>& be, basin::Autoencoder<float>& model, const image_split& images,
           const training_plan& plan, index_t seed,
           const std::vector<basin::regularizer<float>>& regularizers = {},
           const at_epoch& watch = {}, const std::string& name = "model");

// The plain model of a seed.
basin::Autoencoder<float> trained(const basin::cpu<float>& be, const image_split& images,
                                  const training_plan& plan, index_t seed,
                                  const at_epoch& watch = {});

// The same network in double.
basin::Autoencoder<double> in_double(basin::Autoencoder<float> model,
                                     const basin::table3_options& options);

Eigen::MatrixXf codes_of(const basin::cpu<float>& be, const basin::Autoencoder<float>& model,
                         const Eigen::MatrixXf& images);

Eigen::MatrixXf decoded(const basin::cpu<float>& be, const basin::Autoencoder<float>& model,
                        const Eigen::MatrixXf& codes);

// Error of the best answer that does not look at its image: the mean of the training images.
double constant_error(const image_split& images);

// Where starts go under the paper's rule.
struct Ends {
  Eigen::MatrixXf states;      // k × N, converged or not
  Eigen::MatrixXf attractors;  // k × M, distinct by the paper's cosine of 0.99
  double converged = 0;        // share of the starts
  double iterations = 0;       // mean over the starts
};

Ends ends_of(const basin::cpu<float>& be, const basin::Autoencoder<float>& model,
             const Eigen::MatrixXf& starts, index_t max_iterations = 3000);

// Of decoded attractors; NaN where there are none.
basin::Memorization memorization_of(const basin::cpu<float>& be, const Eigen::MatrixXf& attractors,
                                    const Eigen::MatrixXf& images);

// Directions that explain 90 % of the variance of decoded attractors; 0 of none.
double rank_of(const Eigen::MatrixXf& attractors);

// Rows of images as one PNG, a row for each matrix of images in columns.
void write_sheet(const std::string& path, const basin::tensor_shape& shape,
                 const std::vector<Eigen::MatrixXf>& rows);

}  // namespace experiment
