#include <basin/model/activation.hpp>

#include <limits>
#include <string>

#include "../catch.hpp"
#include "../nn/golden.hpp"

namespace {

std::string message_of(const std::string& text) {
  try {
    (void)basin::parse_activation(text);
  } catch (const basin::argument_error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("activations have names", "[model]") {
  CHECK(to_string(basin::any_activation{}) == "relu");
  CHECK(to_string(basin::any_activation(basin::leaky_relu_function{.slope = 0.2})) ==
        "leaky_relu:0.2");
  CHECK(to_string(basin::any_activation(basin::elu_function{.alpha = 1e-300})) == "elu:1e-300");
  for (const std::string name : {"relu", "leaky_relu:0.01", "elu:1", "silu", "gelu", "gelu_tanh",
                                 "tanh", "sigmoid", "softplus", "identity"}) {
    CHECK(to_string(basin::parse_activation(name)) == name);
    CHECK(to_string(basin::parse_activation(name.substr(0, name.find(':')))) == name);
  }
  const double third = 1.0 / 3;
  const auto read = basin::parse_activation(to_string(basin::elu_function{.alpha = third}));
  CHECK(std::get<basin::elu_function>(read).alpha == third);
}

TEST_CASE("what is not an activation is refused with the names", "[model]") {
  for (const char* text : {"", "rleu", "ReLU", "relu:", "relu:1", "leaky_relu:", "leaky_relu:x",
                           "elu:1 ", "elu 1", "elu:1:2", ":1", "leaky_relu:0x1"}) {
    INFO(text);
    CHECK_THAT(message_of(text),
               Catch::Contains("is not an activation, expected relu, leaky_relu[:slope], "
                               "elu[:alpha], silu, gelu, gelu_tanh, tanh, sigmoid, softplus, "
                               "identity"));
  }
  CHECK_THAT(message_of("leaky_relu:-0.1"),
             Catch::Contains("leaky_relu:-0.1: the slope must be finite and at least 0"));
  CHECK_THAT(message_of("leaky_relu:inf"), Catch::Contains("the slope must be finite"));
  CHECK_THAT(message_of("elu:nan"), Catch::Contains("alpha must be finite"));
  CHECK(message_of(std::string(1 << 20, 'x')).size() < 400);
  CHECK_THROWS_AS(
      basin::activation_layer<float>(
          {3, 1, 1}, basin::leaky_relu_function{.slope = -std::numeric_limits<double>::infinity()}),
      basin::argument_error);
}

TEST_CASE("activations chosen when running agree with PyTorch", "[model]") {
  for (const std::string& name : golden::names("activation_")) {
    const golden::Case one(name);
    INFO(name);
    std::string text = one.layer;
    if (one.options.contains("slope")) text += ":" + one.options.at("slope").dump();
    if (one.options.contains("alpha")) text += ":" + one.options.at("alpha").dump();
    if (one.options.value("approximate", "") == "tanh") text = "gelu_tanh";
    const auto layer =
        basin::activation_layer<double>(one.shape("x"), basin::parse_activation(text));
    golden::check(layer, one);
    CHECK(layer.is_relu() == (text == "relu"));
  }
}
