#include <basin/nn/linear_layer.hpp>

#include <string>

#include "golden.hpp"

namespace {

basin::extent extent_of(const nlohmann::json& pair) {
  return {pair.at(0).get<basin::index_t>(), pair.at(1).get<basin::index_t>()};
}

template <class Scalar>
basin::LinearLayer<Scalar> make(const golden::Case& one) {
  const bool bias = one.options.at("bias").get<bool>();
  if (one.layer == "dense") return basin::dense<Scalar>(one.shape("x"), one.shape("y"), bias);
  basin::convolution_options options{.kernel = extent_of(one.options.at("kernel")),
                                     .stride = extent_of(one.options.at("stride")),
                                     .padding = extent_of(one.options.at("padding")),
                                     .bias = bias};
  if (one.layer == "conv2d") {
    return basin::convolution<Scalar>(one.shape("x"), one.number("out_channels"), options);
  }
  options.output_padding = extent_of(one.options.at("output_padding"));
  return basin::transposed_convolution<Scalar>(one.shape("x"), one.number("out_channels"), options);
}

}  // namespace

TEST_CASE("dense and convolutional layers agree with PyTorch", "[nn]") {
  for (const std::string prefix : {"dense_", "conv2d_", "conv_transpose2d_"}) {
    for (const std::string& name : golden::names(prefix)) {
      const golden::Case one(name);
      if (one.layer != "dense" && one.layer != "conv2d" && one.layer != "conv_transpose2d") {
        continue;  // with a batch norm behind it
      }
      INFO(name);
      golden::check(make<double>(one), one);
      golden::check(make<float>(one), one, {1e-6, 1e-5});
    }
  }
}

TEST_CASE("properties of linear layers over ragged sizes", "[nn]") {
  using basin::convolution_options;
  std::uint32_t stream = 0;
  const auto check = [&](auto l) {
    INFO(to_string(l.input_shape()) << " to " << to_string(l.output_shape()));
    l.initialize({3, ++stream});
    golden::check_properties(std::move(l));
  };
  for (const basin::index_t channels : {1, 2, 3, 7, 16, 19}) {
    for (const basin::index_t outputs : {1, 3, 8, 15, 33}) {
      check(basin::dense<double>({channels, 3, 2}, {outputs, 1, 1}));
      check(basin::dense<double>({channels, 1, 1}, {outputs, 2, 3}));
      check(basin::convolution<double>({channels, 5, 6}, outputs,
                                       {.kernel = 3, .stride = 2, .padding = 1}));
      check(basin::transposed_convolution<double>(
          {channels, 3, 4}, outputs,
          {.kernel = 3, .stride = 2, .padding = 1, .output_padding = 1, .bias = false}));
    }
  }
  check(basin::dense<double>({5, 2, 2}, {4, 3, 2}, false));
  // A stride beyond the kernel: pixels that no tap reaches.
  check(basin::convolution<double>({2, 7, 7}, 3, {.kernel = 2, .stride = 3}));
  check(basin::transposed_convolution<double>({2, 3, 3}, 3, {.kernel = 2, .stride = 3}));
}

TEST_CASE("a layer shared over threads when there are few columns", "[nn]") {
  // Enough work for the panels and pixels to be split.
  auto l = basin::convolution<double>({24, 16, 16}, 40, {.kernel = 3, .padding = 1});
  l.initialize({1, 0});
  golden::check_properties(std::move(l), 5);
}

TEST_CASE("a linear layer shows its geometry, weights and biases", "[nn]") {
  const auto check = [](auto l) {
    l.initialize({4, 0});
    const basin::tensor_shape from = l.input_shape(), to = l.output_shape();
    const Eigen::MatrixXd X = golden::normal(from.size(), 1, 1);
    golden::Columns<double> y(to, 1);
    l.forward(nullptr, golden::Columns<double>(from, X), y);
    // By the definition of taps; x and y in CHW order.
    Eigen::MatrixXd expected(to.size(), 1);
    for (basin::index_t q = 0; q < to.pixels(); ++q) {
      for (basin::index_t o = 0; o < to.channels; ++o) {
        const basin::index_t row = o * to.pixels() + q;
        double sum = l.bias().size == 0           ? 0
                     : l.bias().size == to.size() ? l.bias()[row]
                                                  : l.bias()[o];
        for (basin::index_t t = l.joins().begin(q); t < l.joins().begin(q + 1); ++t) {
          const auto& tap = l.joins().list()[static_cast<std::size_t>(t)];
          for (basin::index_t i = 0; i < from.channels; ++i) {
            sum += l.weight()[l.order()(tap.matrix, o, i)] * X(i * from.pixels() + tap.source, 0);
          }
        }
        expected(row, 0) = sum;
      }
    }
    CHECK(golden::difference(y.matrix(), expected) <= 1e-14);
  };
  check(basin::dense<double>({3, 2, 2}, {2, 3, 1}));
  check(basin::convolution<double>({3, 5, 4}, 2, {.kernel = {3, 2}, .stride = 2, .padding = 1}));
  check(basin::transposed_convolution<double>(
      {3, 3, 2}, 2, {.kernel = 3, .stride = 2, .padding = 1, .output_padding = 1, .bias = false}));
}

TEST_CASE("a bad column leaves its neighbours alone", "[nn]") {
  auto l = basin::convolution<double>({3, 5, 5}, 4, {.kernel = 3, .stride = 2, .padding = 1});
  l.initialize({1, 0});
  Eigen::MatrixXd X = golden::normal(75, 8, 1);
  golden::Columns<double> y(l.output_shape(), 8), z(l.output_shape(), 8);
  l.forward(nullptr, golden::Columns<double>(l.input_shape(), X), y);
  X.col(3).setConstant(std::numeric_limits<double>::quiet_NaN());
  l.forward(nullptr, golden::Columns<double>(l.input_shape(), X), z);
  for (const basin::index_t j : {0, 1, 2, 4, 5, 6, 7}) {
    CHECK(y.matrix().col(j) == z.matrix().col(j));
  }
  CHECK(z.matrix().col(3).array().isNaN().all());
}

TEST_CASE("misuse of linear layers", "[nn]") {
  using Catch::Matchers::Contains;
  CHECK_THROWS_AS(basin::dense<float>({0, 1, 1}, {3}), basin::argument_error);
  CHECK_THROWS_WITH(basin::convolution<float>({1, 2, 2}, 3, {.kernel = 5}),
                    Contains("larger than the padded input"));
  CHECK_THROWS_AS(basin::convolution<float>({1, 8, 8}, 3, {.stride = 0}), basin::argument_error);
  CHECK_THROWS_AS(basin::convolution<float>({1, 8, 8}, 3, {.padding = -1}), basin::argument_error);
  CHECK_THROWS_AS(basin::convolution<float>({1, 8, 8}, 3, {.output_padding = 1}),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::convolution<float>({1, 8, 8}, 0, {}), basin::argument_error);
  CHECK_THROWS_WITH(
      basin::transposed_convolution<float>({1, 8, 8}, 1, {.stride = 2, .output_padding = 2}),
      Contains("less than the stride"));
  CHECK_THROWS_WITH(basin::transposed_convolution<float>({1, 1, 1}, 1, {.kernel = 1, .padding = 1}),
                    Contains("the output would be 1 x -1 x -1"));
  CHECK_THROWS_AS(basin::dense<float>({basin::index_t{1} << 30, 1 << 20, 1}, {1}),
                  basin::argument_error);
}
