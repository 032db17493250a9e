#include <basin/nn/upsampling.hpp>

#include <string>

#include "golden.hpp"

using basin::index_t;

TEMPLATE_TEST_CASE("upsampling agrees with PyTorch", "[nn]", float, double) {
  const golden::tolerance allowed =
      std::is_same_v<TestType, double> ? golden::tolerance{} : golden::tolerance{1e-6, 1e-6};
  for (const std::string& name : golden::names("upsample_nearest")) {
    const golden::Case one(name);
    INFO(name);
    const auto& scale = one.options.at("scale");
    const auto l = basin::nearest_upsampling<TestType>(
        one.shape("x"), {scale.at(0).get<index_t>(), scale.at(1).get<index_t>()});
    CHECK(l.output_shape() == one.shape("y"));
    golden::check(l, one, allowed);
  }
}

TEST_CASE("properties of upsampling", "[nn]") {
  for (const index_t channels : {1, 3, 16, 19}) {
    golden::check_properties(basin::nearest_upsampling<double>({channels, 3, 2}, 2));
    golden::check_properties(basin::nearest_upsampling<double>({channels, 2, 5}, {3, 1}));
    golden::check_properties(basin::nearest_upsampling<double>({channels, 1, 1}, {5, 7}));
  }
}

TEST_CASE("upsampling repeats pixels and sums cotangents", "[nn]") {
  const auto l = basin::nearest_upsampling<double>({2, 1, 2}, {2, 3});
  const Eigen::Vector4d x(1, 2, 3, 4);
  golden::Columns<double> y({2, 2, 6}, 1), sum({2, 1, 2}, 1);
  l.forward(nullptr, golden::Columns<double>({2, 1, 2}, x), y);
  Eigen::VectorXd expected(24);
  expected << 1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4;
  CHECK(y.matrix() == expected);
  l.vjp(nullptr, {}, {}, golden::Columns<double>({2, 2, 6}, expected), sum);
  CHECK(sum.matrix() == 6 * x);
}

TEST_CASE("misuse of upsampling", "[nn]") {
  using Catch::Matchers::Contains;
  CHECK_THROWS_AS(basin::nearest_upsampling<float>({3, 0, 2}, 2), basin::argument_error);
  CHECK_THROWS_WITH(basin::nearest_upsampling<float>({3, 4, 5}, {0, 2}),
                    Contains("the factors 0 and 2") && Contains("3 x 4 x 5"));
  CHECK_THROWS_AS(basin::nearest_upsampling<float>({3, 4, 5}, {2, -1}), basin::argument_error);
  CHECK_THROWS_AS(basin::nearest_upsampling<float>({3, 4, 5}, {index_t{1} << 62, 1}),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::nearest_upsampling<float>({3, 4, 5}, index_t{1} << 30),
                  basin::argument_error);
}
