/// @file
/// An autoencoder that knows its architecture.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>

#include <basin/model/fully_connected.hpp>
#include <basin/model/linear.hpp>
#include <basin/model/plan.hpp>
#include <basin/model/table3.hpp>
#include <basin/nn/autoencoder.hpp>

namespace basin {

/// The options from which an autoencoder was made: all that a file needs beside the numbers.
using model_description = std::variant<table3_options, fully_connected_options, linear_options>;

/// The layers of a described autoencoder.
/// @throws argument_error see check of the options
[[nodiscard]] inline autoencoder_plan plan(const model_description& description) {
  return std::visit([](const auto& options) { return plan(options); }, description);
}

/// An autoencoder with its description, and what else its file says.
template <class Scalar>
struct model {
  model_description description;
  Autoencoder<Scalar> autoencoder;
  /// Texts by names that the library gives no meaning, e.g. the data of a training.
  std::map<std::string, std::string> metadata = {};
};

/// A described autoencoder with all parameters zero, e.g.
/// `make_model<float>(table3_options{.latent = 16})`.
/// @throws argument_error see check of the options
template <class Scalar>
[[nodiscard]] model<Scalar> make_model(model_description description) {
  auto autoencoder = build_autoencoder<Scalar>(plan(description));
  return {std::move(description), std::move(autoencoder)};
}

}  // namespace basin
