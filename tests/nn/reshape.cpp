#include <basin/nn/reshape.hpp>

#include <algorithm>

#include <basin/nn/linear_layer.hpp>
#include <basin/nn/sequential.hpp>

#include "golden.hpp"

using basin::index_t;
using basin::tensor_shape;

namespace {

// A layer with the weights of another, which has as many in the same order.
template <class L>
L with_weights(L l, basin::LinearLayer<double> from) {
  auto to = l.parameters();
  const auto source = from.parameters();
  REQUIRE(to.size() == source.size());
  for (std::size_t i = 0; i < to.size(); ++i) {
    REQUIRE(to[i].values.size == source[i].values.size);
    std::copy_n(source[i].values.data, source[i].values.size, to[i].values.data);
  }
  l.parameters_changed(nullptr);
  return l;
}

template <class L>
Eigen::MatrixXd value(const L& l, const Eigen::MatrixXd& X) {
  golden::Columns<double> y(l.output_shape(), X.cols());
  l.forward(nullptr, golden::Columns<double>(l.input_shape(), X), y);
  CHECK(y.untouched());
  return y.matrix();
}

}  // namespace

TEST_CASE("a reshape changes nothing of a column in CHW order", "[nn]") {
  // As torch.reshape: `matrix` is in CHW order on both sides.
  const auto check = [](const basin::Reshape<double>& l) {
    INFO(to_string(l.input_shape()) << " to " << to_string(l.output_shape()));
    const Eigen::MatrixXd X = golden::normal(l.input_shape().size(), 5, 1);
    CHECK(value(l, X) == X);
    golden::Columns<double> back(l.input_shape(), 5);
    l.vjp(nullptr, {}, {}, golden::Columns<double>(l.output_shape(), X), back);
    CHECK(back.matrix() == X);
    golden::check_properties(l);
  };
  for (const tensor_shape& shape :
       std::vector<tensor_shape>{{3, 5, 2}, {1, 4, 4}, {7, 1, 1}, {17, 3, 3}, {2, 1, 9}}) {
    check(basin::flatten<double>(shape));
    check(basin::unflatten<double>(shape));
    CHECK(basin::flatten<double>(shape).output_shape() == tensor_shape{shape.size(), 1, 1});
    CHECK(basin::unflatten<double>(shape).input_shape() == tensor_shape{shape.size(), 1, 1});
  }
  check({{4, 3, 2}, {2, 4, 3}});
  check({{4, 3, 2}, {1, 6, 4}});
  check({{1, 6, 4}, {6, 2, 2}});
}

TEST_CASE("the engine's memory of a flattened image", "[nn]") {
  // HWC: pixel (0, 0) with channels 1 and 4, pixel (0, 1) with 2 and 5, pixel (0, 2) ...
  const std::vector<float> image{1, 4, 2, 5, 3, 6};
  std::vector<float> vector(6), again(6);
  basin::flatten<float>({2, 1, 3}).forward(nullptr, {image.data(), 6, 1}, {vector.data(), 6, 1});
  CHECK(vector == std::vector<float>{1, 2, 3, 4, 5, 6});
  basin::unflatten<float>({2, 1, 3}).forward(nullptr, {vector.data(), 6, 1}, {again.data(), 6, 1});
  CHECK(again == image);
}

TEST_CASE("dense takes and gives images without a reshape", "[nn]") {
  const tensor_shape image{3, 4, 5};
  const Eigen::MatrixXd X = golden::normal(image.size(), 4, 1), Z = golden::normal(7, 4, 2);
  auto encoder = basin::dense<double>(image, {7});
  encoder.initialize({1, 0});
  const auto flattened =
      basin::sequential(basin::flatten<double>(image),
                        with_weights(basin::dense<double>({image.size()}, {7}), encoder));
  CHECK(golden::difference(value(flattened, X), value(encoder, X)) <= 1e-15);

  auto decoder = basin::dense<double>({7}, image);
  decoder.initialize({2, 0});
  const auto unflattened =
      basin::sequential(with_weights(basin::dense<double>({7}, {image.size()}), decoder),
                        basin::unflatten<double>(image));
  CHECK(golden::difference(value(unflattened, Z), value(decoder, Z)) <= 1e-15);
}

TEST_CASE("misuse of reshapes", "[nn]") {
  using Catch::Matchers::Contains;
  CHECK_THROWS_AS(basin::flatten<float>({3, 0, 2}), basin::argument_error);
  CHECK_THROWS_AS(basin::unflatten<float>({-1, 1, 2}), basin::argument_error);
  CHECK_THROWS_AS(basin::flatten<float>({index_t{1} << 62, 4, 1}), basin::argument_error);
  CHECK_THROWS_AS(basin::Reshape<float>({3, 2, 2}, {5, 1, 1}), basin::size_error);
  CHECK_THROWS_WITH(basin::Reshape<float>({3, 2, 2}, {5, 1, 1}),
                    Contains("from 3 x 2 x 2 to 5 x 1 x 1") && Contains("is 5, expected 12"));
}
