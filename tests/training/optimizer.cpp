#include <basin/training/optimizer.hpp>

#include <cmath>
#include <vector>

#include "../catch.hpp"

namespace {

using basin::index_t;

// Steps with a gradient of zero: decay alone moves the parameter.
template <class Scalar>
void decays_to_zero(const basin::optimizer_settings& settings, double rate) {
  std::vector<Scalar> value = {Scalar(1), Scalar(-1e-20)};
  const std::vector<basin::array_view<Scalar>> parameters = {value};
  const std::vector<Scalar> zero(2, Scalar(0));
  basin::Optimizer<Scalar> optimizer(settings, 2);
  const auto subnormal = [](const std::vector<Scalar>& numbers) {
    for (const Scalar x : numbers) {
      if (x != 0 && !std::isnormal(x)) return true;
    }
    return false;
  };
  std::vector<Scalar> kick(2, Scalar(1e-3));
  optimizer.step(nullptr, parameters, kick.data(), rate);
  for (int i = 0; i < 30000; ++i) {
    optimizer.step(nullptr, parameters, zero.data(), rate);
    REQUIRE_FALSE(subnormal(value));
    REQUIRE_FALSE(subnormal(optimizer.first_moment()));
    REQUIRE_FALSE(subnormal(optimizer.second_moment()));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("what decays becomes zero, and never subnormal", "[training]", float, double) {
  decays_to_zero<TestType>(basin::sgd{.momentum = 0.9, .weight_decay = 0.5}, 0.1);
  decays_to_zero<TestType>(basin::adamw{.weight_decay = 0.5}, 0.1);
  decays_to_zero<TestType>(basin::adam{}, 1e-3);
}

TEST_CASE("Nesterov's momentum", "[training]") {
  std::vector<double> value = {1.0};
  const std::vector<basin::array_view<double>> parameters = {value};
  basin::Optimizer<double> optimizer(basin::sgd{.momentum = 0.5, .nesterov = true}, 1);
  const double gradient = 1;
  optimizer.step(nullptr, parameters, &gradient, 0.1);  // velocity 1, step 1.5
  CHECK(value[0] == Approx(0.85));
  optimizer.step(nullptr, parameters, &gradient, 0.1);  // velocity 1.5, step 1.75
  CHECK(value[0] == Approx(0.675));
}
