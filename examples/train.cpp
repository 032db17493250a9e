// Trains an autoencoder of the paper's Table 3 and writes it to a file.
//
//   train [--images FILE] [--made N] [--test N] [--width D] [--latent K]
//         [--activation NAME] [--no-bias] [--tied]
//         [--epochs N] [--batch N] [--optimizer adam|adamw|sgd] [--rate R] [--decay D]
//         [--schedule constant|thirds|cosine] [--warm-up STEPS] [--regularizer NAME=STRENGTH]...
//         [--seed S] [--threads T] [--out FOLDER] [--resume] [--quiet] [--data TEXT]
//
// FILE is an IDX file (of MNIST's kind) or a CIFAR binary file, either gzipped or not;
// without one, N images are made (4,000). The last `--test` images (1,000, or a fifth if
// there are fewer than 5,000) are not trained on. Images are padded to a multiple of 16.
// Regularisers: weight_decay, deep_weight_decay, contractive, r_contractive, sparse_kl,
// sparse_l1, denoising (STRENGTH is the noise's deviation), variational, masked (the share
// that is hidden). With `thirds` the rate falls to 0.3 of itself after a third and after two
// thirds of the epochs, in whole epochs.
//
// FOLDER (out/train) gets model.safetensors, log.csv, checkpoint.safetensors (from which
// --resume goes on) and images.png: test images over their reconstructions. Ctrl-C leaves
// a checkpoint.
#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <basin/io/cifar.hpp>
#include <basin/io/idx.hpp>
#include <basin/io/png.hpp>
#include <basin/model/model_file.hpp>
#include <basin/training/trainer.hpp>

#include "made_images.hpp"

namespace {

using basin::index_t;
using scalar = float;

constexpr const char* usage =
    "train [--images FILE] [--made N] [--test N] [--width D] [--latent K]\n"
    "      [--activation NAME] [--no-bias] [--tied] [--epochs N] [--batch N]\n"
    "      [--optimizer adam|adamw|sgd] [--rate R] [--decay D]\n"
    "      [--schedule constant|thirds|cosine] [--warm-up STEPS]\n"
    "      [--regularizer NAME=STRENGTH]... [--seed S] [--threads T] [--out FOLDER]\n"
    "      [--resume] [--quiet] [--data TEXT]\n"
    "FILE: IDX or CIFAR, gzipped or not; without one, N images are made. NAME of a regulariser:\n"
    "weight_decay, deep_weight_decay, contractive, r_contractive, sparse_kl, sparse_l1,\n"
    "denoising, variational, masked. More in examples/train.cpp.\n";

struct command {
  std::string images;
  std::string data;  // said in the model's metadata
  index_t made = 4000;
  index_t test = -1;
  basin::table3_options model;
  basin::training_options<scalar> training;
  std::string optimizer = "adam";
  double decay = 1e-4;
  std::string schedule = "thirds";
  int threads = 0;
  std::string out = "out/train";
};

std::stop_source interrupted;

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

basin::regularizer<scalar> parse_regularizer(std::string_view option, std::string_view text) {
  const std::size_t at = text.find('=');
  const std::string_view name = text.substr(0, at);
  basin::require(at != std::string_view::npos, option, "expected NAME=STRENGTH");
  const auto strength = number_of<double>(option, text.substr(at + 1));
  if (name == "weight_decay") return basin::weight_decay{strength};
  if (name == "deep_weight_decay") return basin::deep_weight_decay{strength};
  if (name == "contractive") return basin::contractive{strength};
  if (name == "r_contractive") return basin::r_contractive{strength};
  if (name == "sparse_kl") return basin::sparse_kl{.strength = strength};
  if (name == "sparse_l1") return basin::sparse_l1{strength};
  if (name == "denoising") return basin::denoising{strength};
  if (name == "variational") return basin::variational{strength};
  if (name == "masked") return basin::masked{strength};
  throw basin::argument_error(std::string(option) + ": there is no regulariser '" +
                              std::string(name) + "'");
}

command parse(int argc, char** argv) {
  command c;
  c.training.rate.rate = 5e-4;
  c.training.seed = 1;  // with 0 the default model collapses
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const auto value = [&]() -> std::string_view {
      if (++i == argc) throw basin::argument_error(std::string(option) + ": a value is missing");
      return argv[i];
    };
    const auto number = [&] { return number_of<index_t>(option, value()); };
    const auto real = [&] { return number_of<double>(option, value()); };
    if (option == "--help") {
      std::printf("%s", usage);
      std::exit(0);
    } else if (option == "--images") {
      c.images = value();
    } else if (option == "--data") {
      c.data = value();
    } else if (option == "--made") {
      c.made = number();
    } else if (option == "--test") {
      c.test = number();
    } else if (option == "--width") {
      c.model.width = number();
    } else if (option == "--latent") {
      c.model.latent = number();
    } else if (option == "--activation") {
      c.model.activation = basin::parse_activation(value());
    } else if (option == "--no-bias") {
      c.model.bias = false;
    } else if (option == "--tied") {
      c.model.tied = true;
    } else if (option == "--epochs") {
      c.training.epochs = number();
    } else if (option == "--batch") {
      c.training.batch = number();
    } else if (option == "--optimizer") {
      c.optimizer = value();
    } else if (option == "--rate") {
      c.training.rate.rate = real();
    } else if (option == "--decay") {
      c.decay = real();
    } else if (option == "--schedule") {
      c.schedule = value();
    } else if (option == "--warm-up") {
      c.training.rate.warm_up = number();
    } else if (option == "--regularizer") {
      c.training.regularizers.push_back(parse_regularizer(option, value()));
    } else if (option == "--seed") {
      c.training.seed = number_of<std::uint64_t>(option, value());
    } else if (option == "--threads") {
      c.threads = number_of<int>(option, value());
    } else if (option == "--out") {
      c.out = value();
    } else if (option == "--resume") {
      c.training.resume = true;
    } else if (option == "--quiet") {
      c.training.progress.silent = true;
    } else {
      throw basin::argument_error(std::string(option) + ": unknown option");
    }
  }
  return c;
}

basin::image_set read_images(const command& c) {
  if (c.images.empty()) {
    basin::require(c.made >= 1, "--made", "must be at least 1");
    return made::images(c.made, 1);
  }
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

// The first images of a batch over what the model makes of them.
void write_images(const std::string& path, const basin::cpu<scalar>& be,
                  const basin::Autoencoder<scalar>& model, const Eigen::MatrixX<scalar>& images) {
  const basin::tensor_shape shape = model.image_shape();
  const index_t count = std::min<index_t>(12, images.cols());
  auto F = model.reconstruction_map();
  Eigen::MatrixX<scalar> answers(images.rows(), count);
  basin::evaluate(be, F, images.leftCols(count), answers);
  basin::image_set sheet{.channels = shape.channels == 3 ? 3 : 1,
                         .height = 2 * shape.height,
                         .width = count * shape.width,
                         .count = 1};
  sheet.pixels.resize(static_cast<std::size_t>(sheet.channels * sheet.height * sheet.width));
  for (index_t c = 0; c < sheet.channels; ++c) {
    for (index_t y = 0; y < sheet.height; ++y) {
      for (index_t x = 0; x < sheet.width; ++x) {
        const auto& from = y < shape.height ? images : answers;
        const scalar value = from(
            (c * shape.height + y % shape.height) * shape.width + x % shape.width, x / shape.width);
        sheet.pixels[static_cast<std::size_t>((c * sheet.height + y) * sheet.width + x)] =
            static_cast<std::uint8_t>(255 * std::clamp(value, scalar(0), scalar(1)) + scalar(0.5));
      }
    }
  }
  basin::write_png(path, sheet);
}

int run(command& c) {
  const basin::image_set set = read_images(c);
  const auto padded = [](index_t size) { return (size + 15) / 16 * 16; };
  c.model.image = {set.channels, padded(set.height), padded(set.width)};
  const auto images = basin::to_matrix<scalar>(set, c.model.image.height, c.model.image.width);
  const index_t test = c.test >= 0 ? c.test : images.cols() < 5000 ? images.cols() / 5 : 1000;
  basin::require(test < images.cols(), "--test", "leaves no image to train on");
  const index_t count = images.cols() - test;

  auto& training = c.training;
  const index_t steps = (count + training.batch - 1) / std::max<index_t>(1, training.batch);
  if (c.schedule == "thirds") {
    const auto after = [&](index_t epochs) { return std::max<index_t>(1, epochs) * steps; };
    training.rate.schedule =
        basin::step_schedule{{after(training.epochs / 3), after(2 * training.epochs / 3)}, 0.3};
  } else if (c.schedule == "cosine") {
    training.rate.schedule = basin::cosine_schedule{};
  } else if (c.schedule != "constant") {
    throw basin::argument_error("--schedule: expected constant, thirds or cosine");
  }
  if (c.optimizer == "adam") {
    training.optimizer = basin::adam{.weight_decay = c.decay};
  } else if (c.optimizer == "adamw") {
    training.optimizer = basin::adamw{.weight_decay = c.decay};
  } else if (c.optimizer == "sgd") {
    training.optimizer = basin::sgd{.momentum = 0.9, .weight_decay = c.decay};
  } else {
    throw basin::argument_error("--optimizer: expected adam, adamw or sgd");
  }
  for (const auto& term : training.regularizers) {
    c.model.variational |= std::holds_alternative<basin::variational>(term);
    if (std::holds_alternative<basin::sparse_kl>(term)) {
      c.model.code_activation = basin::sigmoid_function{};
    }
  }
  std::filesystem::create_directories(c.out);
  training.log = c.out + "/log.csv";
  training.checkpoint = c.out + "/checkpoint.safetensors";
  training.stop = interrupted.get_token();

  const basin::cpu<scalar> be(c.threads);
  auto model = basin::make_model<scalar>(c.model);
  auto& autoencoder = model.autoencoder;
  autoencoder.initialize(training.seed);
  std::printf(
      "%td images of %s to train on, %td to test, %td parameters, %d threads\n", count,
      to_string(autoencoder.image_shape()).c_str(), test,
      basin::parameter_count(autoencoder.encoder()) + basin::parameter_count(autoencoder.decoder()),
      be.threads());
  std::printf("%6s %12s %14s %12s %10s %10s\n", "epoch", "loss", "reconstruction", "test", "rate",
              "samples/s");
  training.at_epoch = [](const auto&, const basin::epoch_record& at) {
    if (at.epoch == 0) {
      std::printf("%6d %12s %14s %12.6f\n", 0, "", "", at.test_error);
    } else {
      std::printf("%6td %12.6f %14.6f %12.6f %10.3g %10.0f\n", at.epoch, at.loss, at.reconstruction,
                  at.test_error, at.rate, at.samples_per_second);
    }
    std::fflush(stdout);
  };
  const auto result =
      basin::train(be, autoencoder, images.leftCols(count), training, images.rightCols(test));
  if (result.status == basin::training_status::stopped) {
    std::printf("stopped; --resume goes on from %s\n", training.checkpoint.c_str());
    return 130;
  }
  if (result.status == basin::training_status::diverged) {
    std::printf("the loss is no longer finite: try a lower --rate\n");
    return 1;
  }
  const auto number = [](double x) {
    char text[32];
    return std::string(text, std::to_chars(text, text + sizeof text, x).ptr);
  };
  model.metadata = {{"data", !c.data.empty()    ? c.data
                             : c.images.empty() ? "made"
                                                : "images"},
                    {"training_images", std::to_string(count)},
                    {"seed", std::to_string(training.seed)},
                    {"epochs", std::to_string(training.epochs)}};
  if (!result.history.empty()) {
    model.metadata["training_error"] = number(result.history.back().reconstruction);
    model.metadata["test_error"] = number(result.history.back().test_error);
  }
  basin::save_model(c.out + "/model.safetensors", model);
  // The best answer that does not look at its image.
  if (test > 0 && !result.history.empty()) {
    const Eigen::VectorX<scalar> mean = images.leftCols(count).rowwise().mean();
    const double constant = static_cast<double>(
        (images.rightCols(test).colwise() - mean).squaredNorm() / scalar(test * mean.size()));
    if (result.history.back().test_error > 0.95 * constant) {
      std::printf(
          "the model answers with little more than the mean image, whose error is %.6f: its units "
          "may be dead; try more epochs, another --seed or a larger --latent\n",
          constant);
    }
  }
  if (test > 0) {
    write_images(c.out + "/images.png", be, autoencoder, images.rightCols(test));
  }
  std::printf("the model is %s/model.safetensors\n", c.out.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    command c = parse(argc, argv);
    // A lock-free stop request is the one thing that the handler does.
    std::signal(SIGINT, [](int) { interrupted.request_stop(); });
    return run(c);
  } catch (const std::exception& e) {
    std::cerr << "train: error: " << e.what() << '\n';
    return 1;
  }
}
