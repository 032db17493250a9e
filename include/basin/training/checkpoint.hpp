/// @file
/// A training run in a file.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <basin/io/safetensors.hpp>
#include <basin/nn/autoencoder.hpp>
#include <basin/training/optimizer.hpp>

namespace basin {

/// Where a training run stands, beside its parameters and its optimiser.
struct training_position {
  std::int64_t epoch = 0;       ///< of the next step
  std::int64_t step = 0;        ///< of the next step, in its epoch
  std::vector<double> sums;     ///< of the losses and seconds in the epoch so far
  std::vector<double> history;  ///< the records of the epochs before, one after the other
  std::string settings;         ///< what the run was started with
};

namespace detail {
inline constexpr std::string_view checkpoint_format = "basin training checkpoint 1";

/// Where two lists of settings begin to differ: from the last name before that on, or, within
/// the layers that end a list, their number.
[[nodiscard]] inline std::string setting_at(std::string_view settings, std::string_view other) {
  const auto [here, there] =
      std::mismatch(settings.begin(), settings.end(), other.begin(), other.end());
  auto begin = static_cast<std::size_t>(here - settings.begin());
  const auto is_name = [&](std::size_t i) {
    return (i == 0 || settings[i - 1] == ' ') && i < settings.size() &&
           std::isalpha(static_cast<unsigned char>(settings[i])) != 0;
  };
  if (begin == settings.size() && begin > 0) --begin;
  while (begin > 0 && !is_name(begin)) --begin;
  constexpr std::size_t most = 60;
  std::string text(settings.substr(begin, most));
  if (settings.size() - begin > most) text += " ...";
  return "'" + text + "'";
}
}  // namespace detail

/// Writes everything that a run needs to go on to bitwise the same weights: atomically, so
/// that a kill leaves this checkpoint or the one before. The parameters stand under
/// "model." and their names.
/// @throws file_error if the file cannot be written
template <class Scalar>
void save_training(const std::filesystem::path& path, Autoencoder<Scalar>& model,
                   Optimizer<Scalar>& optimizer, const training_position& at) {
  std::vector<tensor_view> tensors;
  for (const auto& one : model.parameters()) {
    tensors.emplace_back("model." + one.name, one.shape, one.values.data);
  }
  const auto add = [&](const std::string& name, const auto& values) {
    tensors.emplace_back(name, std::vector<index_t>{static_cast<index_t>(values.size())},
                         values.data());
  };
  const std::vector<std::int64_t> position = {at.epoch, at.step,
                                              static_cast<std::int64_t>(optimizer.steps())};
  const auto& first = optimizer.first_moment();
  const auto& second = optimizer.second_moment();
  add("optimizer.first", first);
  add("optimizer.second", second);
  add("position", position);
  add("sums", at.sums);
  add("history", at.history);
  write_safetensors(
      path, tensors,
      {{"format", std::string(detail::checkpoint_format)}, {"settings", at.settings}});
}

/// Restores model, optimiser and position.
/// @param steps of an epoch
/// @param at with the settings of the run that is to go on
/// @throws file_error if the file is not a checkpoint of such a run: another format, model,
///   optimiser or other settings. Nothing has then been changed.
template <class Scalar>
void load_training(const std::filesystem::path& path, Autoencoder<Scalar>& model,
                   Optimizer<Scalar>& optimizer, index_t steps, training_position& at) {
  const SafetensorsFile file(path);
  const auto refuse = [&](const std::string& reason) {
    throw file_error(path.string() + ": byte 8: " + reason);
  };
  const auto text = [&](const char* key) {
    const auto found = file.metadata().find(key);
    return found == file.metadata().end() ? std::string() : found->second;
  };
  if (text("format") != detail::checkpoint_format) refuse("not a training checkpoint");
  if (text("settings") != at.settings) {
    refuse("a checkpoint of a training with other settings: " +
           detail::setting_at(text("settings"), at.settings) + ", here " +
           detail::setting_at(at.settings, text("settings")));
  }
  std::vector<std::vector<Scalar>> values;
  auto parameters = model.parameters();
  for (const auto& one : parameters) {
    values.push_back(file.read<Scalar>("model." + one.name, one.shape));
  }
  const auto size = [](const auto& v) {
    return std::vector<index_t>{static_cast<index_t>(v.size())};
  };
  auto first = file.read<Scalar>("optimizer.first", size(optimizer.first_moment()));
  auto second = file.read<Scalar>("optimizer.second", size(optimizer.second_moment()));
  const auto position = file.read<std::int64_t>("position", {3});
  auto sums = file.read<double>("sums", size(at.sums));
  auto history = file.read<double>("history");
  const std::size_t record = at.sums.size() + 2;
  if (position[0] < 0 || history.size() % record != 0 ||
      history.size() / record != static_cast<std::size_t>(position[0])) {
    refuse("the history does not have a record for every epoch");
  }
  if (position[1] < 0 || position[1] >= steps || position[2] != position[0] * steps + position[1]) {
    refuse("the position is not one of this training");
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    std::copy(values[i].begin(), values[i].end(), parameters[i].values.data);
  }
  model.parameters_changed();
  optimizer.first_moment() = std::move(first);
  optimizer.second_moment() = std::move(second);
  optimizer.set_steps(static_cast<index_t>(position[2]));
  at.epoch = position[0];
  at.step = position[1];
  at.sums = std::move(sums);
  at.history = std::move(history);
}

}  // namespace basin
