#include <basin/model/fully_connected.hpp>

#include <string>
#include <vector>

#include <basin/solver/fixed_point_solver.hpp>

#include "../catch.hpp"
#include "maps.hpp"

using basin::fully_connected_options;
using basin::index_t;

namespace {

std::vector<std::string> layers_of(const basin::Network<double>& network) {
  std::vector<std::string> names;
  for (index_t i = 0; i < network.depth(); ++i) names.push_back(network.layer_name(i));
  return names;
}

}  // namespace

TEST_CASE("a fully connected autoencoder has PyTorch's names and shapes", "[model]") {
  const fully_connected_options options{.image = {3, 4, 5}, .hidden = {17, 6}, .latent = 2};
  auto autoencoder = basin::fully_connected<double>(options);
  CHECK(autoencoder.image_shape() == options.image);
  CHECK(autoencoder.latent_size() == 2);
  const std::vector<std::pair<std::string, std::vector<index_t>>> expected{
      {"enc.0.weight", {17, 60}}, {"enc.0.bias", {17}},       {"enc.2.weight", {6, 17}},
      {"enc.2.bias", {6}},        {"enc.4.weight", {2, 6}},   {"enc.4.bias", {2}},
      {"dec.0.weight", {6, 2}},   {"dec.0.bias", {6}},        {"dec.2.weight", {17, 6}},
      {"dec.2.bias", {17}},       {"dec.4.weight", {60, 17}}, {"dec.4.bias", {60}}};
  const auto parameters = autoencoder.parameters();
  const auto planned = parameter_shapes(plan(options));
  REQUIRE(parameters.size() == expected.size());
  REQUIRE(planned.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(parameters[i].name == expected[i].first);
    CHECK(parameters[i].shape == expected[i].second);
    CHECK(planned[i].name == expected[i].first);
    CHECK(planned[i].shape == expected[i].second);
  }
  CHECK(parameter_count(autoencoder) == 2 * (60 * 17 + 17 * 6 + 6 * 2) + 17 + 6 + 2 + 6 + 17 + 60);
  CHECK(layers_of(autoencoder.encoder()) == std::vector<std::string>{"0", "1", "2", "3", "4"});
}

TEST_CASE("activations of a fully connected autoencoder", "[model]") {
  const auto autoencoder =
      basin::fully_connected<double>({.image = {5},
                                      .hidden = {4},
                                      .latent = 3,
                                      .activation = basin::tanh_function{},
                                      .code_activation = basin::sigmoid_function{},
                                      .image_activation = basin::softplus_function{},
                                      .bias = false});
  CHECK(layers_of(autoencoder.encoder()) == std::vector<std::string>{"0", "1", "2", "3"});
  CHECK(layers_of(autoencoder.decoder()) == std::vector<std::string>{"0", "1", "2", "3"});
  // All parameters are zero.
  const Eigen::MatrixXd X = Eigen::MatrixXd::Random(5, 2);
  CHECK((maps::value(autoencoder.encoder_map(), X).array() == 0.5).all());
  const auto decoded = maps::value(autoencoder.decoder_map(), X.topRows(3).eval());
  CHECK((decoded.array() - std::log(2.0)).abs().maxCoeff() < 1e-15);
  const auto flat = basin::fully_connected<double>(
      {.image = {5}, .hidden = {}, .latent = 3, .code_activation = basin::tanh_function{}});
  CHECK(layers_of(flat.encoder()) == std::vector<std::string>{"0", "1"});
  CHECK(layers_of(flat.decoder()) == std::vector<std::string>{"0"});
}

TEST_CASE("a fully connected autoencoder refuses what it cannot be", "[model]") {
  const auto throws = [](const fully_connected_options& options) {
    CHECK_THROWS_AS(basin::fully_connected<float>(options), basin::argument_error);
  };
  throws({.image = {0, 1, 1}});
  throws({.hidden = {12, 0}});
  throws({.latent = 0});
  throws({.code_activation = basin::leaky_relu_function{.slope = -1}});
  throws({.image_activation = basin::leaky_relu_function{.slope = -1}});
}

TEST_CASE("a fully connected autoencoder agrees with PyTorch", "[model]") {
  for (const std::string& name : golden::names("fully_connected_")) {
    const golden::Case one(name);
    const auto sizes = one.options.at("sizes").get<std::vector<index_t>>();
    const fully_connected_options options{
        .image = {sizes[0]},
        .hidden = {sizes[1]},
        .latent = sizes[2],
        .activation = basin::parse_activation(one.options.at("activation").get<std::string>())};
    maps::check_golden(basin::fully_connected<double>(options), name, {});
    maps::check_golden(basin::fully_connected<float>(options), name, {1e-5, 1e-5});
  }
}

TEST_CASE("one hidden layer and a tied linear decoder make J_F symmetric", "[model]") {
  const auto autoencoder =
      maps::initialized(basin::fully_connected<double>({.image = {12},
                                                        .hidden = {},
                                                        .latent = 4,
                                                        .code_activation = basin::tanh_function{},
                                                        .tied = true}));
  const Eigen::MatrixXd x = maps::normal<double>(12, 1, 1);
  const Eigen::MatrixXd J = maps::jacobian(autoencoder.reconstruction_map(), x);
  CHECK(J.norm() > 0.1);
  CHECK((J - J.transpose()).norm() <= 1e-15 * J.norm());
  // J_f is not, and is similar to S^(1/2) W W^T S^(1/2) with the slopes S of the activation.
  const Eigen::MatrixXd z = maps::value(autoencoder.encoder_map(), x);
  const Eigen::MatrixXd small = maps::jacobian(autoencoder.latent_map(), z);
  CHECK((small - small.transpose()).norm() > 1e-3 * small.norm());

  // A deeper one is an example of neither.
  const auto deeper =
      maps::initialized(basin::fully_connected<double>({.image = {12},
                                                        .hidden = {7},
                                                        .latent = 4,
                                                        .activation = basin::tanh_function{},
                                                        .tied = true}));
  const Eigen::MatrixXd K = maps::jacobian(deeper.reconstruction_map(), x);
  CHECK((K - K.transpose()).norm() > 1e-3 * K.norm());
}

TEST_CASE("maps of a fully connected autoencoder in the solver", "[model]") {
  const auto autoencoder = maps::initialized(basin::fully_connected<float>(
      {.image = {2, 5, 5}, .hidden = {20}, .latent = 3, .activation = basin::silu_function{}}));
  const auto f = autoencoder.latent_map();
  basin::FixedPointSolver solver{f, basin::picard{}, basin::stopping{.residual = 1e-5}};
  const auto starts = maps::normal<float>(3, 100, 1);
  const auto found = solver.solve(basin::cpu<float>(2), starts);
  CHECK(found.count(basin::status::converged) == 100);
  const auto alone = solver.solve(basin::cpu<float>(1), starts.col(41));
  CHECK(alone.states == found.states.col(41));
  CHECK(alone.iterations[0] == found.iterations[41]);
}
