#include <basin/nn/elementwise.hpp>

#include <string>

#include "golden.hpp"

namespace {

// f(functor) for the functor of a golden case.
template <class F>
void with_function(const golden::Case& one, F&& f) {
  const std::string& name = one.layer;
  if (name == "relu") return f(basin::relu_function{});
  if (name == "leaky_relu") {
    return f(basin::leaky_relu_function{one.options.at("slope").get<double>()});
  }
  if (name == "elu") return f(basin::elu_function{one.options.at("alpha").get<double>()});
  if (name == "silu") return f(basin::silu_function{});
  if (name == "gelu") {
    if (one.options.at("approximate").get<std::string>() == "tanh") {
      return f(basin::gelu_tanh_function{});
    }
    return f(basin::gelu_function{});
  }
  if (name == "gelu_tanh") return f(basin::gelu_tanh_function{});
  if (name == "tanh") return f(basin::tanh_function{});
  if (name == "sigmoid") return f(basin::sigmoid_function{});
  if (name == "softplus") return f(basin::softplus_function{});
  REQUIRE(name == "identity");
  f(basin::identity_function{});
}

}  // namespace

TEST_CASE("activations agree with PyTorch", "[nn]") {
  for (const std::string& name : golden::names("activation_")) {
    const golden::Case one(name);
    INFO(name);
    with_function(one, [&](auto function) {
      using function_type = decltype(function);
      golden::check(basin::Elementwise<double, function_type>(one.shape("x"), function), one);
      golden::check(basin::Elementwise<float, function_type>(one.shape("x"), function), one,
                    {1e-6, 1e-5});
    });
  }
}

TEST_CASE("properties of smooth activations", "[nn]") {
  const auto check = [](auto function) {
    golden::check_properties(basin::Elementwise<double, decltype(function)>({3, 5, 2}, function));
  };
  check(basin::tanh_function{});
  check(basin::sigmoid_function{});
  check(basin::silu_function{});
  check(basin::gelu_function{});
  check(basin::gelu_tanh_function{});
  check(basin::softplus_function{});
  check(basin::identity_function{});
  check(basin::exp_function{});
}

TEST_CASE("activations of huge, infinite and missing numbers", "[nn]") {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(basin::relu_function{}(-infinity) == 0);
  CHECK(std::isnan(basin::relu_function{}(nan)));
  CHECK(basin::sigmoid_function{}(-1e4) == 0);
  CHECK(basin::sigmoid_function{}(1e4) == 1);
  CHECK(basin::silu_function{}(-1e4) == 0);
  CHECK(basin::gelu_function{}(-1e4) == 0);
  CHECK(basin::gelu_function{}(1e4) == 1e4);
  CHECK(basin::softplus_function{}(1e4) == 1e4);
  CHECK(basin::softplus_function{}(-1e4) == 0);
  CHECK(basin::elu_function{0.5}(-1e4) == -0.5);
  // Small arguments lose nothing.
  CHECK(basin::elu_function{}(-1e-12) == Approx(-1e-12).epsilon(1e-12));
  CHECK(basin::softplus_function{}(-40.0) == Approx(std::exp(-40.0)).epsilon(1e-12));
}

TEST_CASE("an activation may work in place", "[nn]") {
  const basin::Elementwise<double, basin::silu_function> l({4, 3, 3});
  const Eigen::MatrixXd X = golden::normal(36, 5, 1);
  golden::Columns<double> x({4, 3, 3}, X), y({4, 3, 3}, 5);
  l.forward(nullptr, x, y);
  l.forward(nullptr, x, x);
  CHECK(x.matrix() == y.matrix());
}
