#include <basin/nn/residual.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include <basin/nn/linear_layer.hpp>
#include <basin/nn/network.hpp>
#include <basin/nn/normalization.hpp>
#include <basin/nn/pooling.hpp>
#include <basin/nn/reshape.hpp>
#include <basin/nn/sequential.hpp>
#include <basin/nn/upsampling.hpp>

#include "golden.hpp"

namespace {

using basin::index_t;
using basin::tensor_shape;

// A residual layer under the names of the golden files, where the body's layers stand alone.
template <class Scalar>
struct renamed : basin::AnyLayer<Scalar> {
  explicit renamed(basin::AnyLayer<Scalar> l) : basin::AnyLayer<Scalar>(std::move(l)) {}
  auto parameters() {
    auto list = basin::AnyLayer<Scalar>::parameters();
    for (auto& one : list) {
      if (one.name.starts_with("body.")) one.name.erase(0, 5);
    }
    return list;
  }
};

template <class Scalar>
basin::Network<Scalar> body_of(const golden::Case& one) {
  const index_t channels = one.number("out_channels");
  const basin::convolution_options first{
      .kernel = 3, .stride = one.options.at("stride").at(0).get<index_t>(), .padding = 1};
  basin::Network<Scalar> body;
  body.add(basin::convolution<Scalar>(one.shape("x"), channels, first), "conv1");
  if (one.options.at("activation").get<std::string>() == "relu") {
    body.add(basin::Elementwise<Scalar, basin::relu_function>(body.output_shape()), "activation");
  } else {
    body.add(basin::Elementwise<Scalar, basin::silu_function>(body.output_shape()), "activation");
  }
  body.add(basin::convolution<Scalar>(body.output_shape(), channels, {.kernel = 3, .padding = 1}),
           "conv2");
  return body;
}

template <class Scalar>
basin::LinearLayer<Scalar> skip_of(const golden::Case& one) {
  const index_t stride = one.options.at("stride").at(0).get<index_t>();
  return basin::convolution<Scalar>(one.shape("x"), one.number("out_channels"),
                                    {.kernel = 1, .stride = stride});
}

// Every pass at some columns: y, J v, J^T u, gradients of s by x and v, and of <u, y> and s
// by the parameters.
struct answers {
  Eigen::MatrixXd y, jv, jtu, sx, sv;
  Eigen::VectorXd g, s;
};
template <class Scalar>
answers passes(const basin::AnyLayer<Scalar>& l, const Eigen::MatrixXd& X, const Eigen::MatrixXd& V,
               const Eigen::MatrixXd& U, const Eigen::MatrixXd& W,
               basin::thread_pool* pool = nullptr) {
  using Block = golden::Columns<Scalar>;
  const Block x(l.input_shape(), X), v(l.input_shape(), V);
  const Block u(l.output_shape(), U), w(l.output_shape(), W);
  const index_t n = X.cols();
  Block y(l.output_shape(), n), jv(l.output_shape(), n);
  Block jtu(l.input_shape(), n), sx(l.input_shape(), n), sv(l.input_shape(), n);
  Eigen::Matrix<Scalar, Eigen::Dynamic, 1> g(basin::parameter_count(l));
  g.setZero();
  auto s = g;
  l.forward(pool, x, y);
  l.jvp(pool, x, y, v, jv);
  l.vjp(pool, x, y, u, jtu);
  l.dual_vjp(pool, x, y, v, u, w, sx, sv);
  l.gradient(pool, x, y, u, g.data());
  l.dual_gradient(pool, x, y, v, u, w, s.data());
  for (const Block* block : {&y, &jv, &jtu, &sx, &sv}) CHECK(block->untouched());
  return {y.matrix(),
          jv.matrix(),
          jtu.matrix(),
          sx.matrix(),
          sv.matrix(),
          g.template cast<double>(),
          s.template cast<double>()};
}

// All layers beside the linear and the elementwise ones, at sizes that a random stream
// draws: f(layer), each with random parameters.
template <class Scalar, class F>
void for_each_layer(std::uint32_t round, const F& f) {
  index_t drawn = 0;
  const auto from_to = [&](index_t least, index_t most) {
    const std::uint32_t word = basin::random_stream{11, round}.word(drawn++, 0);
    return least + static_cast<index_t>(word) % (most - least + 1);
  };
  const auto with_parameters = [&](const std::string& name, basin::AnyLayer<Scalar> l) {
    std::uint32_t stream = 100 * round;
    for (auto& one : l.parameters()) {
      const Eigen::MatrixXd values = golden::normal(one.values.size, 1, ++stream);
      for (index_t i = 0; i < one.values.size; ++i) {
        one.values[i] = static_cast<Scalar>(0.5 * values(i, 0));
      }
    }
    l.parameters_changed(nullptr);
    INFO(name << " of " << to_string(l.input_shape()));
    f(std::as_const(l));
  };
  const index_t groups = from_to(1, 3);
  const tensor_shape shape{groups * from_to(1, 7), from_to(3, 6), from_to(3, 6)};
  const basin::pooling_options pooling{.kernel = {from_to(2, 3), from_to(2, 3)},
                                       .stride = {from_to(1, 3), from_to(1, 3)},
                                       .padding = {from_to(0, 1), from_to(0, 1)},
                                       .count_include_pad = from_to(0, 1) == 1};
  with_parameters("max_pooling", basin::max_pooling<Scalar>(shape, pooling));
  with_parameters("average_pooling", basin::average_pooling<Scalar>(shape, pooling));
  with_parameters("upsampling",
                  basin::nearest_upsampling<Scalar>(shape, {from_to(1, 3), from_to(1, 3)}));
  with_parameters("flatten", basin::flatten<Scalar>(shape));
  with_parameters("unflatten", basin::unflatten<Scalar>(shape));

  const auto channels = static_cast<std::size_t>(shape.channels);
  const auto batch_norm = basin::batch_norm<Scalar>(
      shape, std::vector<Scalar>(channels, Scalar(0.5)), std::vector<Scalar>(channels, Scalar(2)));
  with_parameters("batch_norm", batch_norm);
  with_parameters("group_norm", basin::group_norm<Scalar>(shape, groups));
  with_parameters("layer_norm", basin::layer_norm<Scalar>(shape));
  with_parameters("layer_norm of a vector", basin::layer_norm<Scalar>({from_to(9, 40)}));
  with_parameters("plain group_norm",
                  basin::group_norm<Scalar>(shape, groups, {.eps = 1e-3, .affine = false}));

  const index_t outside = from_to(1, 9);
  const basin::Elementwise<Scalar, basin::silu_function> silu(shape);
  with_parameters("residual of a chain",
                  basin::residual(basin::sequential(
                      basin::group_norm<Scalar>(shape, groups), silu,
                      basin::convolution<Scalar>(shape, shape.channels, {.padding = 1}))));
  with_parameters("residual of a norm", basin::residual(basin::layer_norm<Scalar>(shape), silu));
  basin::Network<Scalar> network;
  network.add(basin::average_pooling<Scalar>(
      shape, {.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false}));
  const tensor_shape small = network.output_shape();
  network.add(basin::residual(
      basin::sequential(
          basin::convolution<Scalar>(small, outside, {.padding = 1}),
          basin::Elementwise<Scalar, basin::tanh_function>({outside, small.height, small.width}),
          basin::layer_norm<Scalar>({outside, small.height, small.width})),
      basin::convolution<Scalar>(small, outside, {.kernel = 1})));
  network.add(basin::nearest_upsampling<Scalar>(network.output_shape(), 2));
  network.add(basin::batch_norm<Scalar>(network.output_shape()));
  network.add(basin::residual(basin::AnyLayer<Scalar>(
      basin::Elementwise<Scalar, basin::tanh_function>(network.output_shape()))));
  network.add(basin::flatten<Scalar>(network.output_shape()));
  network.add(basin::dense<Scalar>(network.output_shape(), {3}));
  with_parameters("network", network);
}

}  // namespace

TEMPLATE_TEST_CASE("residual layers agree with PyTorch", "[nn]", float, double) {
  const golden::tolerance allowed =
      std::is_same_v<TestType, double> ? golden::tolerance{} : golden::tolerance{2e-6, 1e-5};
  for (const std::string& name : golden::names("residual")) {
    const golden::Case one(name);
    INFO(name);
    const auto check = [&](basin::AnyLayer<TestType> l) {
      golden::check(renamed<TestType>(std::move(l)), one, allowed);
    };
    if (one.options.at("skip").get<bool>()) {
      check(basin::residual(body_of<TestType>(one), skip_of<TestType>(one)));
      // What is known only when running gives the same answers.
      const basin::AnyLayer<TestType> body(body_of<TestType>(one)), skip(skip_of<TestType>(one));
      check(basin::residual(body, skip));
    } else {
      check(basin::residual(body_of<TestType>(one)));
    }
  }
}

TEST_CASE("parameters of a residual layer", "[nn]") {
  const tensor_shape shape{2, 3, 3};
  const auto convolution = basin::convolution<float>(shape, 2, {.padding = 1});
  basin::Network<float> network;
  network.add(convolution);
  network.add(basin::residual(basin::sequential(convolution, convolution), convolution));
  network.add(convolution);
  std::vector<std::string> names;
  for (const auto& one : network.parameters()) names.push_back(one.name);
  CHECK(names == std::vector<std::string>{"0.weight", "0.bias", "1.body.0.weight", "1.body.0.bias",
                                          "1.body.1.weight", "1.body.1.bias", "1.skip.weight",
                                          "1.skip.bias", "2.weight", "2.bias"});

  // No two layers, which all have the same shape, begin with the same numbers.
  network.initialize({1, 7});
  std::vector<float> firsts;
  for (const auto& one : network.parameters()) {
    if (one.shape.size() == 4) firsts.push_back(one.values[0]);
  }
  REQUIRE(firsts.size() == 5);
  std::sort(firsts.begin(), firsts.end());
  CHECK(std::adjacent_find(firsts.begin(), firsts.end()) == firsts.end());
  // And the same stream gives the same numbers.
  auto again = network;
  again.initialize({1, 7});
  CHECK(again.parameters()[2].values[0] == network.parameters()[2].values[0]);
}

TEST_CASE("misuse of residual layers", "[nn]") {
  using Catch::Matchers::Contains;
  const tensor_shape shape{3, 4, 4};
  const auto narrow = basin::convolution<float>(shape, 2, {.padding = 1});
  CHECK_THROWS_AS(basin::residual(narrow), basin::size_error);
  CHECK_THROWS_WITH(basin::residual(narrow),
                    Contains("the body takes 3 x 4 x 4 and gives 2 x 4 x 4") &&
                        Contains("the skip takes 3 x 4 x 4 and gives 3 x 4 x 4"));
  CHECK_THROWS_AS(basin::residual(narrow, basin::convolution<float>({3, 5, 5}, 2, {.stride = 2})),
                  basin::size_error);
  CHECK_THROWS_WITH(basin::residual(narrow, basin::Network<float>{}),
                    Contains("the skip has no layers"));
}

// What follows holds for every layer of the engine that is neither linear nor elementwise.

TEST_CASE("second derivatives are those of first ones", "[nn]") {
  for (std::uint32_t round = 1; round <= 12; ++round) {
    for_each_layer<double>(round, [&](const basin::AnyLayer<double>& l) {
      const index_t in = l.input_shape().size(), out = l.output_shape().size(), n = 3;
      const Eigen::MatrixXd X = golden::normal(in, n, 1), V = golden::normal(in, n, 2);
      const Eigen::MatrixXd U = golden::normal(out, n, 3), W = golden::normal(out, n, 4);
      const answers at = passes(l, X, V, U, W);
      // <w, J v> is the derivative of <w, y> along v, and so are its gradients those of
      // <w, y>, which the passes of first derivatives give with w for u.
      const double h = 1e-5;
      const answers here = passes(l, X, V, W, U);
      const answers ahead = passes(l, X + h * V, V, W, U);
      const answers behind = passes(l, X - h * V, V, W, U);
      CHECK(golden::difference((ahead.y - behind.y) / (2 * h), at.jv) <= 1e-7);
      CHECK(golden::difference(at.sv, here.jtu) <= 1e-12);
      CHECK(golden::difference(at.jtu + (ahead.jtu - behind.jtu) / (2 * h), at.sx) <= 1e-7);
      if (at.s.size() > 0) {
        CHECK(golden::difference(at.g + (ahead.g - behind.g) / (2 * h), at.s) <= 1e-7);
        // The derivative of <u, y> along a direction of the parameters.
        const Eigen::VectorXd direction = golden::normal(at.g.size(), 1, 5);
        const auto value_at = [&](double distance) {
          auto moved = l;
          index_t i = 0;
          for (auto& one : moved.parameters()) {
            for (index_t e = 0; e < one.values.size; ++e) {
              one.values[e] += distance * direction[i++];
            }
          }
          moved.parameters_changed(nullptr);
          return U.cwiseProduct(passes(moved, X, V, U, W).y).sum();
        };
        const double along = (value_at(h) - value_at(-h)) / (2 * h);
        CHECK(std::abs(along - at.g.dot(direction)) <= 1e-7 * at.g.norm() * direction.norm());
      }
      for (index_t j = 0; j < n; ++j) {
        CHECK(std::abs(U.col(j).dot(at.jv.col(j)) - at.jtu.col(j).dot(V.col(j))) <=
              1e-12 * U.col(j).norm() * at.jv.col(j).norm());
      }
    });
  }
}

TEMPLATE_TEST_CASE("bits of a column depend on nothing beside it", "[nn]", float, double) {
  basin::thread_pool two(2);
  for (std::uint32_t round = 1; round <= 3; ++round) {
    for_each_layer<TestType>(round, [&](const basin::AnyLayer<TestType>& l) {
      const index_t in = l.input_shape().size(), out = l.output_shape().size();
      const Eigen::MatrixXd X = golden::normal(in, 8, 1), V = golden::normal(in, 8, 2);
      const Eigen::MatrixXd U = golden::normal(out, 8, 3), W = golden::normal(out, 8, 4);
      const answers all = passes(l, X, V, U, W);
      const auto same = [&](const answers& part, index_t j, index_t first) {
        return part.y.col(j - first) == all.y.col(j) && part.jv.col(j - first) == all.jv.col(j) &&
               part.jtu.col(j - first) == all.jtu.col(j) &&
               part.sx.col(j - first) == all.sx.col(j) && part.sv.col(j - first) == all.sv.col(j);
      };
      for (const index_t count : {1, 3, 8}) {
        for (index_t first = 0; first + count <= 8; first += count) {
          const auto part = [&](const Eigen::MatrixXd& M) {
            return Eigen::MatrixXd(M.middleCols(first, count));
          };
          const answers some =
              passes(l, part(X), part(V), part(U), part(W), first % 2 == 0 ? &two : nullptr);
          for (index_t j = first; j < first + count; ++j) {
            INFO("column " << j << " of " << count << " from " << first);
            CHECK(same(some, j, first));
          }
        }
      }
      const answers shared = passes(l, X, V, U, W, &two);
      CHECK((shared.g == all.g && shared.s == all.s));

      const double nan = std::numeric_limits<double>::quiet_NaN();
      Eigen::MatrixXd bad = X, bad_u = U;
      bad.col(3).setConstant(nan);
      bad_u.col(5).setConstant(nan);
      const answers marred = passes(l, bad, V, bad_u, W);
      CHECK(marred.y.col(3).array().isNaN().all());
      for (const index_t j : {0, 1, 2, 4, 6, 7}) CHECK(same(marred, j, 0));
    });
  }
}

TEST_CASE("float agrees with double", "[nn]") {
  for (std::uint32_t round = 1; round <= 3; ++round) {
    std::vector<answers> exact;
    const auto run = [](const auto& l) {
      const index_t in = l.input_shape().size(), out = l.output_shape().size();
      return passes(l, golden::normal(in, 5, 1), golden::normal(in, 5, 2),
                    golden::normal(out, 5, 3), golden::normal(out, 5, 4));
    };
    for_each_layer<double>(round,
                           [&](const basin::AnyLayer<double>& l) { exact.push_back(run(l)); });
    std::size_t i = 0;
    for_each_layer<float>(round, [&](const basin::AnyLayer<float>& l) {
      const answers rounded = run(l);
      const answers& at = exact.at(i++);
      CHECK(golden::difference(rounded.y, at.y) <= 1e-5);
      CHECK(golden::difference(rounded.jv, at.jv) <= 1e-5);
      CHECK(golden::difference(rounded.jtu, at.jtu) <= 1e-5);
      CHECK(golden::difference(rounded.sx, at.sx) <= 2e-5);
      CHECK(golden::difference(rounded.sv, at.sv) <= 1e-5);
      CHECK(golden::difference(rounded.g, at.g) <= 1e-5);
      CHECK(golden::difference(rounded.s, at.s) <= 2e-5);
    });
    CHECK(i == exact.size());
  }
}
