/// @file
/// Training of an autoencoder.
#pragma once

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <numeric>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <basin/backend/cpu.hpp>
#include <basin/io/csv.hpp>
#include <basin/training/checkpoint.hpp>
#include <basin/training/objective.hpp>
#include <basin/training/optimizer.hpp>
#include <basin/training/progress.hpp>
#include <basin/training/schedule.hpp>

namespace basin {

/// One epoch of a training, or its state before the first.
struct epoch_record {
  index_t epoch = 0;              ///< epochs that are done
  double loss = 0;                ///< mean over the epoch's samples, penalties included
  double reconstruction = 0;      ///< of it, the squared error: mean over samples and entries
  std::vector<double> penalties;  ///< of it, each regulariser's
  double test_error = 0;          ///< squared error on the test images; NaN without any
  double rate = 0;                ///< learning rate of the last step
  double seconds = 0;             ///< of the epoch, without the test
  double samples_per_second = 0;
};

/// How a training ended.
enum class training_status {
  finished,  ///< all epochs are done
  stopped,   ///< somebody asked it to stop
  diverged,  ///< the loss is no longer finite
};

/// What a training did.
struct training_result {
  training_status status = training_status::finished;
  std::vector<epoch_record> history;  ///< the epochs that are done, also of earlier runs
};

/// Settings of a training.
template <class Scalar>
struct training_options {
  index_t epochs = 20;
  index_t batch = 128;  ///< images of a step; the last of an epoch may have fewer
  optimizer_settings optimizer = adam{};
  learning_rate rate = {};
  std::vector<regularizer<Scalar>> regularizers = {};
  /// Of the shuffling and of all noises. The initial weights are the model's.
  std::uint64_t seed = 0;

  // What follows changes no weight.

  std::string log = {};            ///< CSV file with a row for every epoch; empty: none
  std::string checkpoint = {};     ///< file; empty: none
  double checkpoint_seconds = 60;  ///< between two checkpoints; one at every epoch's end besides
  /// Goes on from the checkpoint if there is one, to bitwise the same weights.
  bool resume = false;
  std::stop_token stop = {};       ///< asked to stop, it leaves a checkpoint
  progress_options progress = {};  ///< a line on a terminal
  /// Called before the first epoch (epoch = 0) and after each, behind its checkpoint. The
  /// model is the one that is trained; its maps are copies.
  std::function<void(const Autoencoder<Scalar>&, const epoch_record&)> at_epoch = {};
};

namespace detail {

/// Numbers in words, so that two trainings can be told apart.
class SettingsText {
 public:
  SettingsText& operator<<(const char* text) {
    text_ += text;
    return *this;
  }
  SettingsText& operator<<(std::string_view text) {
    text_ += text;
    return *this;
  }
  template <class Number>
    requires std::is_arithmetic_v<Number>
  SettingsText& operator<<(Number value) {
    char number[40];
    const auto end = std::to_chars(number, number + sizeof number, value).ptr;
    text_ += ' ';
    text_.append(number, end);
    return *this;
  }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

/// Everything that a training's weights depend on, but the images and the model.
template <class Scalar>
[[nodiscard]] std::string settings_text(const training_options<Scalar>& options, index_t images) {
  SettingsText text;
  text << "images" << images << " batch" << options.batch << " seed" << options.seed;
  if (const auto* s = std::get_if<adam>(&options.optimizer)) {
    text << " adam" << s->beta1 << s->beta2 << s->epsilon << s->weight_decay;
  } else if (const auto* w = std::get_if<adamw>(&options.optimizer)) {
    text << " adamw" << w->beta1 << w->beta2 << w->epsilon << w->weight_decay;
  } else {
    const sgd& d = std::get<sgd>(options.optimizer);
    text << " sgd" << d.momentum << d.weight_decay << static_cast<int>(d.nesterov);
  }
  text << " rate" << options.rate.rate << options.rate.warm_up;
  if (const auto* s = std::get_if<step_schedule>(&options.rate.schedule)) {
    text << " steps" << s->factor;
    for (const index_t step : s->steps) text << step;
  } else if (const auto* c = std::get_if<cosine_schedule>(&options.rate.schedule)) {
    text << " cosine" << c->minimum << " epochs" << options.epochs;
  }
  for (const regularizer<Scalar>& term : options.regularizers) {
    text << " " << name_of(term);
    std::visit(
        [&](const auto& s) {
          if constexpr (requires { s.strength; }) text << s.strength;
          if constexpr (requires { s.probes; }) text << s.probes;
          if constexpr (requires { s.target; }) text << s.target;
          if constexpr (requires { s.deviation; }) text << s.deviation;
          if constexpr (requires { s.ratio; }) text << s.ratio << s.patch;
          if constexpr (requires { s.clean; }) text << s.clean;
          if constexpr (requires { s.size; }) text << s.size;
        },
        term);
  }
  return text.text();
}

/// What a checkpoint compares of the model beside its parameters' shapes: the types of its
/// layers, as the compiler names them, and whether it is tied.
template <class Scalar>
[[nodiscard]] std::string model_text(const Autoencoder<Scalar>& model) {
  std::string text = model.tied() ? " tied" : "";
  for (const Network<Scalar>* half : {&model.encoder(), &model.decoder()}) {
    for (index_t i = 0; i < half->depth(); ++i) {
      text += half->visit(i, [](const auto& l) { return std::string(" ") + l.type_name(); });
    }
  }
  return text;
}

/// A hash of the images (Fowler, Noll and Vo's, 64 bits, number by number).
template <class Scalar>
[[nodiscard]] std::string images_text(const typename cpu<Scalar>::const_view& images) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (index_t j = 0; j < images.cols(); ++j) {
    for (index_t i = 0; i < images.rows(); ++i) {
      hash =
          (hash ^ std::bit_cast<std::uint64_t>(static_cast<double>(images(i, j)))) * 0x100000001b3u;
    }
  }
  return " images " + std::to_string(hash);
}

/// The order of an epoch: Fisher and Yates with words of the seed's stream.
[[nodiscard]] inline std::vector<index_t> shuffled(index_t count, std::uint64_t seed,
                                                   index_t epoch) {
  std::vector<index_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), index_t{0});
  const random_stream random{seed, 0x30000};
  for (index_t i = count - 1; i > 0; --i) {
    const auto word = static_cast<std::uint64_t>(random.word(i, epoch));
    const auto other = static_cast<index_t>(word * static_cast<std::uint64_t>(i + 1) >> 32);
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(other)]);
  }
  return order;
}

}  // namespace detail

/// The mean over images and their entries of (x - F(x))².
/// @param images n × N, columns in CHW order
/// @throws size_error unless the images are the model's
template <class Scalar>
[[nodiscard]] double reconstruction_error(const cpu<Scalar>& be, const Autoencoder<Scalar>& model,
                                          const typename cpu<Scalar>::const_view& images) {
  auto F = model.reconstruction_map();
  constexpr index_t at_once = 512;
  double sum = 0;
  typename cpu<Scalar>::matrix answer(images.rows(), std::min<index_t>(at_once, images.cols()));
  for (index_t first = 0; first < images.cols(); first += at_once) {
    const index_t count = std::min(at_once, images.cols() - first);
    evaluate(be, F, images.middleCols(first, count), answer.leftCols(count));
    for (index_t j = 0; j < count; ++j) {
      sum += (answer.col(j) - images.col(first + j)).template cast<double>().squaredNorm();
    }
  }
  return sum / static_cast<double>(images.size());
}

/// Trains a model on images, in place.
///
/// The same seed gives the same weights on any number of threads, whether the run was
/// interrupted and resumed or not. Cost: about three evaluations of F a sample and epoch,
/// more with terms of Jacobians (training/regularizer.hpp). Memory: see `Objective`.
///
/// @param be threads
/// @param model whose parameters are the initial ones
/// @param images n × N, columns in CHW order
/// @param test images for the error at the end of each epoch; none: empty
/// @throws argument_error, size_error if settings, model and images do not fit
/// @throws file_error if a file cannot be written, or the checkpoint is of another training
template <class Scalar>
training_result train(const cpu<Scalar>& be, Autoencoder<Scalar>& model,
                      const std::type_identity_t<typename cpu<Scalar>::const_view>& images,
                      const std::type_identity_t<training_options<Scalar>>& options = {},
                      const std::type_identity_t<typename cpu<Scalar>::const_view>& test =
                          typename cpu<Scalar>::matrix()) {
  using clock = std::chrono::steady_clock;
  require(options.epochs >= 0, "train", "epochs must not be negative");
  require(options.batch >= 1, "train", "batch must be at least 1");
  require(images.cols() >= 1, "train", "there must be at least one image");
  require_size("train", "number of rows of the images", images.rows(), model.image_shape().size());
  if (test.size() > 0) {
    require_size("train", "number of rows of the test images", test.rows(), images.rows());
  }
  require_learning_rate("train", options.rate);
  const Objective<Scalar> objective(options.regularizers);
  objective.require_model(model);

  const index_t count = images.cols();
  const index_t steps = (count + options.batch - 1) / options.batch;
  const index_t terms = static_cast<index_t>(options.regularizers.size());
  const auto parameters = model.parameters();
  std::vector<array_view<Scalar>> values;
  index_t size = 0;
  for (const auto& one : parameters) {
    values.push_back(one.values);
    size += one.values.size;
  }
  Optimizer<Scalar> optimizer(options.optimizer, size);
  std::vector<Scalar> gradient(static_cast<std::size_t>(size));

  // Sums over the epoch so far: of the reconstruction, of each penalty, of the seconds; a
  // record of the history is those as means, the test error and the rate.
  training_position at;
  at.sums.assign(static_cast<std::size_t>(terms + 2), 0.0);
  at.settings = detail::settings_text(options, count) + detail::model_text(model) +
                detail::images_text<Scalar>(images);
  if (options.resume && !options.checkpoint.empty() &&
      std::filesystem::exists(options.checkpoint)) {
    load_training(options.checkpoint, model, optimizer, steps, at);
  }
  const auto record_size = static_cast<std::size_t>(terms + 4);
  const auto record_of = [&](std::size_t i) {
    const double* from = at.history.data() + i * record_size;
    epoch_record one;
    one.epoch = static_cast<index_t>(i) + 1;
    one.reconstruction = from[0];
    one.penalties.assign(from + 1, from + 1 + terms);
    one.seconds = from[terms + 1];
    one.test_error = from[terms + 2];
    one.rate = from[terms + 3];
    one.loss = std::accumulate(one.penalties.begin(), one.penalties.end(), one.reconstruction);
    one.samples_per_second = one.seconds > 0 ? static_cast<double>(count) / one.seconds : 0.0;
    return one;
  };
  const auto write_log = [&] {
    if (options.log.empty()) return;
    CsvWriter table(options.log);
    table.cell("epoch");
    table.cell("loss");
    table.cell("reconstruction");
    for (const auto& term : options.regularizers) table.cell(name_of(term));
    for (const char* name : {"test_error", "rate", "seconds", "samples_per_second"}) {
      table.cell(name);
    }
    table.end_row();
    for (std::size_t i = 0; i < static_cast<std::size_t>(at.epoch); ++i) {
      const epoch_record one = record_of(i);
      table.cell(one.epoch);
      table.cell(one.loss);
      table.cell(one.reconstruction);
      for (const double penalty : one.penalties) table.cell(penalty);
      for (const double number : {one.test_error, one.rate, one.seconds, one.samples_per_second}) {
        table.cell(number);
      }
      table.end_row();
    }
    table.close();
  };
  // A step may overflow although the loss before it was finite.
  const auto is_sound = [&] {
    return std::all_of(values.begin(), values.end(), [](const array_view<Scalar>& one) {
      return std::all_of(one.data, one.data + one.size, [](Scalar x) { return is_finite(x); });
    });
  };
  const auto save = [&] {
    if (!options.checkpoint.empty()) save_training(options.checkpoint, model, optimizer, at);
  };
  const auto result = [&](training_status status) {
    training_result done{status, {}};
    for (std::size_t i = 0; i < static_cast<std::size_t>(at.epoch); ++i) {
      done.history.push_back(record_of(i));
    }
    return done;
  };
  const auto test_error = [&] {
    return test.size() > 0 ? reconstruction_error(be, model, test)
                           : std::numeric_limits<double>::quiet_NaN();
  };
  detail::TrainingProgress progress(options.progress, options.epochs, count);

  if (at.epoch == 0 && at.step == 0 && options.at_epoch) {
    epoch_record before;
    before.test_error = test_error();
    options.at_epoch(model, before);
  }
  write_log();
  auto saved = clock::now();
  const tensor_shape shape = model.image_shape();
  const index_t stride = detail::column_stride<Scalar>(shape.size());
  std::vector<Scalar> memory(static_cast<std::size_t>(stride * std::min(options.batch, count)));
  while (at.epoch < options.epochs) {
    const std::vector<index_t> order = detail::shuffled(count, options.seed, at.epoch);
    while (at.step < steps) {
      if (options.stop.stop_requested()) {
        if (!is_sound()) return result(training_status::diverged);
        save();
        return result(training_status::stopped);
      }
      const auto begin = clock::now();
      const index_t first = at.step * options.batch;
      const index_t columns = std::min(options.batch, count - first);
      const block<Scalar> x(memory.data(), stride, columns);
      be.pool().run(columns, [&](index_t j) {
        const auto image = images.col(order[static_cast<std::size_t>(first + j)]);
        for (index_t e = 0; e < shape.size(); ++e) x.column(j)[e] = image[shape.border_row(e)];
      });
      const loss_terms losses =
          objective.evaluate(be, model, x, {options.seed, 0x40000},
                             static_cast<std::uint64_t>(at.epoch * count + first), gradient.data());
      if (!is_finite(losses.total())) return result(training_status::diverged);
      const double rate = rate_at(options.rate, at.epoch * steps + at.step, options.epochs * steps);
      optimizer.step(&be.pool(), values, gradient.data(), rate);
      model.parameters_changed(&be.pool());
      ++at.step;
      const double share = static_cast<double>(columns) / static_cast<double>(count);
      at.sums[0] += share * losses.reconstruction;
      for (index_t i = 0; i < terms; ++i) {
        at.sums[static_cast<std::size_t>(i + 1)] +=
            share * losses.penalties[static_cast<std::size_t>(i)];
      }
      at.sums.back() += std::chrono::duration<double>(clock::now() - begin).count();
      progress(at.epoch, first + columns, losses.total());
      if (at.step == steps) break;
      if (std::chrono::duration<double>(clock::now() - saved).count() >
          options.checkpoint_seconds) {
        if (!is_sound()) return result(training_status::diverged);
        save();
        saved = clock::now();
      }
    }
    if (!is_sound()) return result(training_status::diverged);
    for (const double one : at.sums) at.history.push_back(one);
    at.history.push_back(test_error());
    at.history.push_back(
        rate_at(options.rate, at.epoch * steps + steps - 1, options.epochs * steps));
    std::fill(at.sums.begin(), at.sums.end(), 0.0);
    ++at.epoch;
    at.step = 0;
    write_log();
    save();
    saved = clock::now();
    if (options.at_epoch)
      options.at_epoch(model, record_of(static_cast<std::size_t>(at.epoch - 1)));
  }
  return result(training_status::finished);
}

}  // namespace basin
