#include <basin/nn/normalization.hpp>

#include <cmath>
#include <limits>
#include <string>

#include <basin/nn/sequential.hpp>

#include "golden.hpp"

namespace {

using basin::index_t;
using basin::tensor_shape;

template <class Scalar>
constexpr golden::tolerance allowed =
    std::is_same_v<Scalar, double> ? golden::tolerance{} : golden::tolerance{2e-6, 1e-5};

basin::norm_options options_of(const golden::Case& one) {
  return {.eps = one.options.at("eps").get<double>(), .affine = one.options.value("affine", true)};
}

template <class Scalar>
std::vector<Scalar> vector(const golden::Case& one, const std::string& name) {
  return one.file.read<Scalar>(name);
}

// The batch norm of a golden file; `prefix` is "p." or that of its layer, e.g. "p.1.".
template <class Scalar>
basin::BatchNorm<Scalar> make_batch_norm(const golden::Case& one, const tensor_shape& shape,
                                         const std::string& prefix) {
  return basin::batch_norm<Scalar>(shape, vector<Scalar>(one, prefix + "running_mean"),
                                   vector<Scalar>(one, prefix + "running_var"), options_of(one));
}

// The linear layer of a golden file.
template <class Scalar>
basin::LinearLayer<Scalar> make_linear(const golden::Case& one, const tensor_shape& from) {
  const auto extent_of = [&](const char* key) {
    const auto& pair = one.options.at(key);
    return basin::extent(pair.at(0).get<index_t>(), pair.at(1).get<index_t>());
  };
  const bool bias = one.options.at("bias").get<bool>();
  if (one.options.contains("in_features")) {
    return basin::dense<Scalar>(from, {one.number("out_features")}, bias);
  }
  basin::convolution_options options{.kernel = extent_of("kernel"),
                                     .stride = extent_of("stride"),
                                     .padding = extent_of("padding"),
                                     .bias = bias};
  if (!one.options.contains("output_padding")) {
    return basin::convolution<Scalar>(from, one.number("out_channels"), options);
  }
  options.output_padding = extent_of("output_padding");
  return basin::transposed_convolution<Scalar>(from, one.number("out_channels"), options);
}

template <class Scalar>
basin::GroupNorm<Scalar> make_norm(const golden::Case& one) {
  return one.layer == "group_norm"
             ? basin::group_norm<Scalar>(one.shape("x"), one.number("groups"), options_of(one))
             : basin::layer_norm<Scalar>(one.shape("x"), options_of(one));
}

// Parameters from a random stream: a state of training, not of initialisation.
template <class L>
L shaken(L l) {
  std::uint32_t stream = 20;
  for (auto& one : l.parameters()) {
    const Eigen::MatrixXd values = golden::normal(one.values.size, 1, ++stream);
    for (index_t i = 0; i < one.values.size; ++i) {
      one.values[i] = static_cast<typename L::scalar>(values(i, 0));
    }
  }
  l.parameters_changed(nullptr);
  return l;
}

template <class Scalar>
basin::BatchNorm<Scalar> some_batch_norm(const tensor_shape& shape,
                                         const basin::norm_options& options = {}) {
  const Eigen::VectorXd mean = golden::normal(shape.channels, 1, 30);
  const Eigen::VectorXd variance = golden::normal(shape.channels, 1, 31).array().square() + 0.1;
  const Eigen::Matrix<Scalar, Eigen::Dynamic, 1> m = mean.cast<Scalar>(),
                                                 v = variance.cast<Scalar>();
  return shaken(basin::batch_norm<Scalar>(shape, m, v, options));
}

template <class L>
Eigen::MatrixXd value(const L& l, const Eigen::MatrixXd& X) {
  using Scalar = typename L::scalar;
  golden::Columns<Scalar> y(l.output_shape(), X.cols());
  l.forward(nullptr, golden::Columns<Scalar>(l.input_shape(), X), y);
  return y.matrix();
}

}  // namespace

TEMPLATE_TEST_CASE("batch norm agrees with PyTorch", "[nn]", float, double) {
  for (const std::string& name : golden::names("batch_norm")) {
    const golden::Case one(name);
    INFO(name);
    if (one.layer == "batch_norm") {
      golden::check(make_batch_norm<TestType>(one, one.shape("x"), "p."), one, allowed<TestType>);
    } else {
      golden::check(basin::sequential(make_batch_norm<TestType>(one, one.shape("x"), "p.0."),
                                      make_linear<TestType>(one, one.shape("x"))),
                    one, allowed<TestType>);
    }
  }
}

TEMPLATE_TEST_CASE("a batch norm behind a linear layer, and folded into it", "[nn]", float,
                   double) {
  for (const std::string name : {"conv_batch_norm", "conv_transpose_batch_norm", "dense_batch_norm",
                                 "conv_batch_norm_no_bias"}) {
    const golden::Case one(name);
    INFO(name);
    auto both = basin::sequential(make_linear<TestType>(one, one.shape("x")),
                                  make_batch_norm<TestType>(one, one.shape("y"), "p.1."));
    golden::check(both, one, allowed<TestType>);
    golden::set_parameters(both, one);
    const auto& [linear, norm] = std::tie(both.template get<0>(), both.template get<1>());
    if (!one.options.at("bias").get<bool>()) {
      CHECK_THROWS_WITH(basin::fold(norm, linear), Catch::Matchers::Contains("has no bias"));
      continue;
    }
    auto folded = basin::fold(norm, linear);
    for (const auto& parameter : folded.parameters()) {
      const Eigen::VectorXd expected = one.vector("fold." + parameter.name);
      const Eigen::Map<const Eigen::Matrix<TestType, Eigen::Dynamic, 1>> found(
          parameter.values.data, parameter.values.size);
      CHECK(golden::difference(found, expected) <= allowed<TestType>.value);
    }
    CHECK(golden::difference(value(folded, one.columns("x")), one.columns("y")) <=
          allowed<TestType>.value);
    CHECK(golden::difference(value(basin::sequential(linear), one.columns("x")),
                             one.columns("y")) > 0.1);  // the norm is no identity
  }
}

TEST_CASE("fold into every kind of linear layer", "[nn]") {
  // As many channels in as out, where the shape of the weights does not tell what is what.
  const auto check = [](basin::LinearLayer<double> linear) {
    linear.initialize({7, 0});
    const auto norm = some_batch_norm<double>(linear.output_shape());
    const Eigen::MatrixXd X = golden::normal(linear.input_shape().size(), 3, 1);
    CHECK(golden::difference(value(basin::fold(norm, linear), X),
                             value(basin::sequential(linear, norm), X)) <= 1e-14);
  };
  check(basin::convolution<double>({4, 5, 6}, 4, {.kernel = 3, .padding = 1}));
  check(basin::transposed_convolution<double>(
      {4, 5, 3}, 4, {.kernel = 3, .stride = 2, .padding = 1, .output_padding = 1}));
  check(basin::convolution<double>({4, 5, 5}, 4, {.kernel = 1, .stride = 2}));
  check(basin::convolution<double>({2, 1, 1}, 2, {.kernel = 3, .padding = 1}));  // unused weights
  check(basin::dense<double>({6}, {6}));
  check(basin::dense<double>({6}, {3, 2, 4}));  // a bias for every pixel
  check(basin::dense<double>({3, 2, 2}, {3, 2, 2}));
}

TEMPLATE_TEST_CASE("group norm and layer norm agree with PyTorch", "[nn]", float, double) {
  for (const char* prefix : {"group_norm", "layer_norm"}) {
    for (const std::string& name : golden::names(prefix)) {
      const golden::Case one(name);
      INFO(name);
      const auto l = make_norm<TestType>(one);
      golden::check(l, one, allowed<TestType>);
      for (const auto& parameter : make_norm<TestType>(one).parameters()) {
        CHECK(parameter.shape == one.file.info("p." + parameter.name).shape);
      }
    }
  }
}

TEST_CASE("properties of norms", "[nn]") {
  for (const tensor_shape& shape :
       std::vector<tensor_shape>{{1, 3, 3}, {6, 3, 1}, {6, 5, 3}, {18, 2, 2}, {35, 1, 1}}) {
    for (const bool affine : {true, false}) {
      INFO(to_string(shape) << (affine ? "" : ", plain"));
      const basin::norm_options options{.affine = affine};
      golden::check_properties(some_batch_norm<double>(shape, options));
      golden::check_properties(shaken(basin::layer_norm<double>(shape, options)));
      for (index_t groups = 1; groups <= shape.channels; ++groups) {
        if (shape.channels % groups != 0) continue;
        // Groups of few numbers bend too much for a difference.
        if (shape.size() / groups < 5) continue;
        INFO(groups << " groups");
        golden::check_properties(shaken(basin::group_norm<double>(shape, groups, options)));
      }
    }
  }
}

TEMPLATE_TEST_CASE("a group has mean 0 and variance 1 whatever its offset", "[nn]", float, double) {
  // What float leaves of x = offset + noise is taken as it is: against the norm in long double.
  const tensor_shape shape{6, 7, 5};
  for (const double offset : {0.0, 1.0, -300.0, 2e4}) {
    for (const index_t groups : {1, 3, 6}) {
      INFO("offset " << offset << ", " << groups << " groups");
      const Eigen::MatrixXd X = (golden::normal(shape.size(), 3, 1).array() + offset)
                                    .matrix()
                                    .template cast<TestType>()
                                    .template cast<double>();
      const auto l = basin::group_norm<TestType>(shape, groups);
      const index_t size = shape.size() / groups;  // CHW: groups are beside each other
      using long_vector = Eigen::Matrix<long double, Eigen::Dynamic, 1>;
      Eigen::MatrixXd expected(X.rows(), X.cols());
      for (index_t j = 0; j < X.cols(); ++j) {
        for (index_t g = 0; g < groups; ++g) {
          const long_vector x = X.col(j).segment(g * size, size).cast<long double>();
          const long_vector c = x.array() - x.mean();
          expected.col(j).segment(g * size, size) =
              (c / std::sqrt(c.squaredNorm() / static_cast<long double>(size) + 1e-5L))
                  .cast<double>();
        }
      }
      const double unit = static_cast<double>(std::numeric_limits<TestType>::epsilon());
      CHECK(golden::difference(value(l, X), expected) <= 8 * unit);
      // Derivatives do not change with the offset but by what it took from x.
      const golden::Columns<TestType> x(shape, X), v(shape, golden::normal(shape.size(), 3, 2));
      golden::Columns<TestType> jv(shape, 3), other(shape, 3);
      const golden::Columns<TestType> moved(shape, X.array() - offset);  // exact
      l.jvp(nullptr, x, {}, v, jv);
      l.jvp(nullptr, moved, {}, v, other);
      CHECK(golden::difference(jv.matrix(), other.matrix()) <= 20 * unit);
    }
  }
}

TEST_CASE("constant groups", "[nn]") {
  // The variance is 0: h is 0 exactly, whatever the rounding of the mean, and r is 1 / √eps.
  const tensor_shape shape{4, 3, 3};
  auto l = shaken(basin::group_norm<double>(shape, 2));
  const Eigen::MatrixXd X = Eigen::MatrixXd::Constant(36, 1, 0.1);
  const Eigen::MatrixXd y = value(l, X);
  const auto bias = l.parameters()[1].values;
  for (index_t i = 0; i < 36; ++i) CHECK(y(i, 0) == bias[i / 9]);
  const golden::Columns<double> x(shape, X), v(shape, golden::normal(36, 1, 2));
  golden::Columns<double> jv(shape, 1), sx(shape, 1), sv(shape, 1);
  l.jvp(nullptr, x, {}, v, jv);
  l.dual_vjp(nullptr, x, {}, v, v, v, sx, sv);
  CHECK(jv.matrix().allFinite());
  CHECK(sx.matrix().allFinite());
  CHECK(sv.matrix().allFinite());
  // A group of one number is constant too.
  CHECK(value(basin::group_norm<double>({3, 1, 1}, 3), golden::normal(3, 2, 1)).isZero(0));
}

TEST_CASE("settings of norms", "[nn]") {
  auto batch = basin::batch_norm<float>({3, 2, 2});
  CHECK(batch.running_mean() == std::vector<float>{0, 0, 0});
  CHECK(batch.running_variance() == std::vector<float>{1, 1, 1});
  batch.set_statistics(std::vector<float>{1, 2, 3}, std::vector<float>{0, 4, 9});
  CHECK(batch.running_mean()[1] == 2);
  CHECK(batch.value(1, 6) == Approx(2).epsilon(1e-5));
  CHECK(basin::parameter_count(batch) == 6);
  CHECK(basin::parameter_count(basin::batch_norm<float>({3}, {.affine = false})) == 0);

  auto layer = shaken(basin::layer_norm<float>({3, 2, 2}));
  REQUIRE(layer.parameters().size() == 2);
  CHECK(layer.parameters()[0].shape == std::vector<index_t>{3, 2, 2});
  CHECK(basin::layer_norm<float>({12}).parameters()[1].shape == std::vector<index_t>{12});
  CHECK(basin::parameter_count(basin::group_norm<float>({6, 2, 2}, 3)) == 12);
  CHECK(basin::parameter_count(basin::layer_norm<float>({6}, {.affine = false})) == 0);
  layer.initialize({1, 2});
  CHECK(layer.parameters()[0].values[11] == 1);
  CHECK(layer.parameters()[1].values[11] == 0);
  const Eigen::MatrixXd X = golden::normal(12, 2, 1);
  CHECK(value(layer, X) == value(basin::layer_norm<float>({3, 2, 2}, {.affine = false}), X));
}

TEST_CASE("misuse of norms", "[nn]") {
  using Catch::Matchers::Contains;
  CHECK_THROWS_AS(basin::batch_norm<float>({0, 2, 2}), basin::argument_error);
  CHECK_THROWS_WITH(basin::batch_norm<float>({3}, {.eps = -1}), Contains("eps is -1"));
  CHECK_THROWS_AS(basin::layer_norm<float>({3}, {.eps = std::nan("")}), basin::argument_error);
  CHECK_THROWS_WITH(basin::group_norm<float>({6, 2, 2}, 4),
                    Contains("4 groups do not divide 6 channels"));
  CHECK_THROWS_AS(basin::group_norm<float>({6, 2, 2}, 0), basin::argument_error);
  CHECK_THROWS_WITH(basin::group_norm<float>({6, -2, 2}, 2), Contains("6 x -2 x 2"));
  CHECK_THROWS_WITH(basin::layer_norm<float>({6, -2, 2}), Contains("layer_norm"));

  const std::vector<float> two{1, 2}, three{1, 2, 3}, negative{1, -2, 3};
  CHECK_THROWS_AS(basin::batch_norm<float>({3}, two, three), basin::size_error);
  CHECK_THROWS_WITH(basin::batch_norm<float>({3}, two, three),
                    Contains("length of the mean is 2, expected 3"));
  CHECK_THROWS_WITH(basin::batch_norm<float>({3}, three, two),
                    Contains("length of the variance is 2, expected 3"));
  CHECK_THROWS_WITH(basin::batch_norm<float>({3}, three, negative), Contains("channel 1 is -2"));

  const auto norm = basin::batch_norm<float>({3, 2, 2});
  CHECK_THROWS_AS(basin::fold(norm, basin::dense<float>({5}, {3})), basin::size_error);
  CHECK_THROWS_WITH(basin::fold(norm, basin::dense<float>({5}, {3})),
                    Contains("takes 3 x 2 x 2") && Contains("gives 3 x 1 x 1"));
  CHECK_THROWS_AS(basin::fold(norm, basin::dense<float>({5}, {3, 2, 2}, false)),
                  basin::argument_error);
}
