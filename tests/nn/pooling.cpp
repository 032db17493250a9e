#include <basin/nn/pooling.hpp>

#include <limits>
#include <string>

#include "golden.hpp"

namespace {

using basin::index_t;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double missing = std::numeric_limits<double>::quiet_NaN();

basin::pooling_options options_of(const golden::Case& one) {
  const auto pair = [&](const char* key) {
    const auto& both = one.options.at(key);
    return basin::extent(both.at(0).get<index_t>(), both.at(1).get<index_t>());
  };
  return {.kernel = pair("kernel"),
          .stride = pair("stride"),
          .padding = pair("padding"),
          .count_include_pad = one.options.value("count_include_pad", true)};
}

// One state of one channel, given by rows, through every pass.
struct answers {
  Eigen::MatrixXd y, jv, jtu, sx, sv;
};
template <class L>
answers passes(const L& l, const Eigen::VectorXd& x0, const Eigen::VectorXd& v0,
               const Eigen::VectorXd& u0, const Eigen::VectorXd& w0) {
  const golden::Columns<double> x(l.input_shape(), x0), v(l.input_shape(), v0);
  const golden::Columns<double> u(l.output_shape(), u0), w(l.output_shape(), w0);
  golden::Columns<double> y(l.output_shape(), 1), jv(l.output_shape(), 1);
  golden::Columns<double> jtu(l.input_shape(), 1), sx(l.input_shape(), 1), sv(l.input_shape(), 1);
  l.forward(nullptr, x, y);
  l.jvp(nullptr, x, y, v, jv);
  l.vjp(nullptr, x, y, u, jtu);
  l.dual_vjp(nullptr, x, y, v, u, w, sx, sv);
  return {y.matrix(), jv.matrix(), jtu.matrix(), sx.matrix(), sv.matrix()};
}

Eigen::VectorXd numbers(std::initializer_list<double> list) {
  return Eigen::Map<const Eigen::VectorXd>(list.begin(), static_cast<index_t>(list.size()));
}

}  // namespace

TEMPLATE_TEST_CASE("poolings agree with PyTorch", "[nn]", float, double) {
  const golden::tolerance allowed =
      std::is_same_v<TestType, double> ? golden::tolerance{} : golden::tolerance{1e-6, 1e-6};
  for (const std::string& name : golden::names("max_pool2d")) {
    const golden::Case one(name);
    INFO(name);
    const auto l = basin::max_pooling<TestType>(one.shape("x"), options_of(one));
    CHECK(l.output_shape() == one.shape("y"));
    golden::check(l, one, allowed);
  }
  for (const std::string& name : golden::names("avg_pool2d")) {
    const golden::Case one(name);
    INFO(name);
    const auto l = basin::average_pooling<TestType>(one.shape("x"), options_of(one));
    CHECK(l.output_shape() == one.shape("y"));
    golden::check(l, one, allowed);
  }
}

TEST_CASE("properties of poolings", "[nn]") {
  const std::vector<basin::pooling_options> all{
      {},
      {.kernel = 3, .stride = 2, .padding = 1},
      {.kernel = 3, .stride = 1, .padding = 1, .count_include_pad = false},
      {.kernel = {3, 2}, .stride = {1, 3}, .padding = {1, 0}},
      {.kernel = 2, .stride = 3},  // pixels that no window reaches
      {.kernel = 1, .stride = 1}};
  for (const basin::tensor_shape& shape :
       std::vector<basin::tensor_shape>{{1, 7, 5}, {3, 5, 6}, {17, 3, 4}}) {
    for (const basin::pooling_options& options : all) {
      INFO(to_string(shape) << ", kernel " << options.kernel.height);
      golden::check_properties(basin::max_pooling<double>(shape, options));
      golden::check_properties(basin::average_pooling<double>(shape, options));
    }
  }
}

TEST_CASE("shapes of poolings", "[nn]") {
  const auto shape = [](const basin::tensor_shape& from, const basin::pooling_options& options) {
    CHECK(basin::max_pooling<float>(from, options).output_shape() ==
          basin::average_pooling<float>(from, options).output_shape());
    return basin::max_pooling<float>(from, options).output_shape();
  };
  CHECK(shape({5, 7, 4}, {}) == basin::tensor_shape{5, 3, 2});  // the stride is the kernel's
  CHECK(shape({1, 7, 7}, {.kernel = 3}) == basin::tensor_shape{1, 2, 2});
  CHECK(shape({1, 7, 7}, {.kernel = 3, .padding = 1}) == basin::tensor_shape{1, 3, 3});
  CHECK(shape({1, 1, 1}, {.kernel = 2, .padding = 1}) == basin::tensor_shape{1, 1, 1});
  CHECK(shape({2, 4, 9}, {.kernel = {1, 9}}) == basin::tensor_shape{2, 4, 1});
}

TEST_CASE("of equal maxima the first counts", "[nn]") {
  const auto l = basin::max_pooling<double>({1, 3, 3}, {.kernel = 2, .stride = 1});
  // Windows of rows 0-1 and 1-2, columns 0-1 and 1-2.
  const Eigen::VectorXd x = numbers({2, 2, 1,  //
                                     2, 2, 3,  //
                                     0, 3, 3});
  const Eigen::VectorXd v = numbers({1, 2, 3, 4, 5, 6, 7, 8, 9});
  const Eigen::VectorXd u = numbers({10, 20, 30, 40}), w = numbers({1, 2, 3, 4});
  const answers at = passes(l, x, v, u, w);
  CHECK(at.y == numbers({2, 3, 3, 3}));
  CHECK(at.jv == numbers({1, 6, 8, 6}));
  CHECK(at.jtu == numbers({10, 0, 0, 0, 0, 60, 0, 30, 0}));
  CHECK(at.sx == at.jtu);
  CHECK(at.sv == numbers({1, 0, 0, 0, 0, 6, 0, 3, 0}));
}

TEST_CASE("NaN is the largest number of a maximum", "[nn]") {
  const auto l = basin::max_pooling<double>({1, 2, 4}, {.kernel = {2, 4}});
  const Eigen::VectorXd v = numbers({1, 2, 3, 4, 5, 6, 7, 8}), one = numbers({1});
  SECTION("wherever it stands") {
    for (index_t i = 0; i < 8; ++i) {
      Eigen::VectorXd x = numbers({1, -2, infinity, 4, -infinity, 6, 7, 8});
      x[i] = missing;
      const answers at = passes(l, x, v, one, one);
      CHECK(std::isnan(at.y(0, 0)));
      CHECK(at.jv(0, 0) == v[i]);
      CHECK(at.jtu.sum() == 1);
      CHECK(at.jtu(i, 0) == 1);
    }
  }
  SECTION("of several, PyTorch takes the last") {
    const answers at = passes(l, numbers({1, missing, 3, missing, 5, 6, 7, 8}), v, one, one);
    CHECK(std::isnan(at.y(0, 0)));
    CHECK(at.jv(0, 0) == 4);
  }
  SECTION("other windows do not notice") {
    const auto two = basin::max_pooling<double>({1, 2, 4}, {});
    const answers at =
        passes(two, numbers({1, missing, 3, 4, 5, 6, 7, 8}), v, numbers({1, 1}), numbers({1, 1}));
    CHECK(std::isnan(at.y(0, 0)));
    CHECK(at.y(1, 0) == 8);
  }
}

TEST_CASE("padding is no candidate of a maximum", "[nn]") {
  const auto l = basin::max_pooling<double>({1, 2, 2}, {.kernel = 3, .stride = 1, .padding = 1});
  const Eigen::VectorXd four = numbers({1, 1, 1, 1});
  CHECK(passes(l, numbers({-5, -7, -6, -8}), four, four, four).y == numbers({-5, -5, -5, -5}));
  // Where all is -infinity, the first pixel that exists is chosen.
  const answers at =
      passes(l, Eigen::VectorXd::Constant(4, -infinity), numbers({1, 2, 3, 4}), four, four);
  CHECK(at.y == Eigen::VectorXd::Constant(4, -infinity));
  CHECK(at.jv == numbers({1, 1, 1, 1}));
}

TEST_CASE("padding counts in an average, or does not", "[nn]") {
  const Eigen::VectorXd x = numbers({1, 2, 3, 4}), four = numbers({1, 1, 1, 1});
  basin::pooling_options options{.kernel = 2, .stride = 2, .padding = 1};
  CHECK(passes(basin::average_pooling<double>({1, 2, 2}, options), x, four, four, four).y ==
        numbers({0.25, 0.5, 0.75, 1}));
  options.count_include_pad = false;
  CHECK(passes(basin::average_pooling<double>({1, 2, 2}, options), x, four, four, four).y ==
        numbers({1, 2, 3, 4}));
}

TEST_CASE("misuse of poolings", "[nn]") {
  using Catch::Matchers::Contains;
  const auto max = [](const basin::tensor_shape& from, const basin::pooling_options& options) {
    return basin::max_pooling<float>(from, options);
  };
  CHECK_THROWS_AS(max({0, 4, 4}, {}), basin::argument_error);
  CHECK_THROWS_WITH(max({1, 4, 4}, {.kernel = {0, 2}}),
                    Contains("max_pooling") && Contains("the kernel is 0 x 2"));
  CHECK_THROWS_WITH(max({1, 4, 4}, {.stride = {2, -1}}), Contains("the stride is 2 x -1"));
  CHECK_THROWS_WITH(max({1, 4, 4}, {.stride = {2, 0}}), Contains("the stride is 2 x 0"));
  CHECK_THROWS_WITH(max({1, 4, 4}, {.padding = {-1, 0}}), Contains("the padding is -1 x 0"));
  CHECK_THROWS_WITH(max({1, 4, 4}, {.kernel = {3, 5}, .padding = 2}),
                    Contains("the padding is 2 x 2") && Contains("3 x 5"));
  CHECK_THROWS_WITH(max({1, 4, 2}, {.kernel = {2, 5}, .padding = 1}),
                    Contains("the kernel of 2 x 5") && Contains("padded input of 6 x 4"));
  CHECK_THROWS_AS(max({1, 4, 4}, {.kernel = index_t{1} << 62}), basin::argument_error);
  CHECK_THROWS_WITH(basin::average_pooling<float>({1, 4, 4}, {.kernel = 5}),
                    Contains("average_pooling"));
}
