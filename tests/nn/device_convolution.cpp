// Products by taps on the device: tiles of shared memory against a thread for every number, which
// add in the same order. Built by nvcc for a GPU, and by a plain compiler for each of Thrust's host
// systems.
#include <tuple>
#include <vector>

#include <basin/backend/cpu.hpp>
#include <basin/backend/cuda.hpp>
#include <basin/map/derivative.hpp>
#include <basin/nn/cuda/layer_map.hpp>
#include <basin/nn/cuda/tap_sum.hpp>
#include <basin/nn/cuda/tap_tile.hpp>
#include <basin/nn/layer_map.hpp>
#include <basin/nn/linear_layer.hpp>

#include "../catch.hpp"

namespace tiles {

using basin::index_t;
using basin::tensor_shape;

template <class Scalar>
Eigen::MatrixX<Scalar> random(index_t rows, index_t columns, std::uint32_t stream) {
  Eigen::MatrixX<Scalar> X(rows, columns);
  basin::fill_normal(basin::cpu<Scalar>(1), {.seed = 31, .stream = stream}, X);
  return X;
}

// A product by the taps of a layer in device memory, with its weights as they are in PyTorch, and
// an output with rows and columns around it that must stay.
template <class Scalar>
class Product {
 public:
  Product(const basin::cuda<Scalar>& be, const basin::LinearLayer<Scalar>& l, index_t states)
      : be_(be), states_(states), channels_(l.output_shape().channels), l_(l) {
    std::vector<index_t> first;
    std::vector<basin::detail::device_tap> list;
    for (index_t q = 0; q <= l.joins().targets(); ++q) first.push_back(l.joins().begin(q));
    for (const basin::taps::tap& one : l.joins().list()) {
      list.push_back({one.source, l.order()(one.matrix, 0, 0)});
    }
    begin_ = basin::detail::uploaded<index_t>(be, first);
    list_ = basin::detail::uploaded<basin::detail::device_tap>(be, list);
    const index_t size = l.output_shape().size();
    weight_ = upload(random<Scalar>(l.weight().size, 1, 1));
    bias_ = upload(random<Scalar>(channels_, 1, 2));
    gate_ = upload(random<Scalar>(states, size, 3));
    x_ = upload(random<Scalar>(states + 3, l.input_shape().size(), 4));
  }

  // @param ending 0: nothing, 1: biases, 2: biases and ReLU, 3: a gate
  Eigen::MatrixX<Scalar> by(int channels, int ending) const {
    const index_t size = l_.output_shape().size(), rows = states_ + 5;
    Eigen::MatrixX<Scalar> all = Eigen::MatrixX<Scalar>::Constant(rows, size + 2, 77);
    basin::DeviceMatrix<Scalar> y = upload(all);
    basin::detail::product_ending<Scalar> end;
    if (ending == 1 || ending == 2) end.bias = bias_.data();
    end.rows_a_bias = l_.output_shape().pixels();
    end.relu = ending == 2;
    if (ending == 3) end.gate = gate_.data();
    end.gate_stride = states_;
    basin::detail::add_taps(
        be_,
        basin::detail::tap_sum<Scalar>{{x_.data(), states_, x_.cols(), states_ + 3},
                                       {y.data() + 2 + rows, states_, size, rows},
                                       begin_.data(),
                                       list_.data(),
                                       weight_.data(),
                                       l_.order().input_stride,
                                       l_.order().output_stride,
                                       l_.input_shape().channels,
                                       l_.joins().sources(),
                                       l_.joins().targets(),
                                       end},
        channels);
    download(be_, y, all);
    const Eigen::MatrixX<Scalar> inner = all.block(2, 1, states_, size);
    all.block(2, 1, states_, size).setConstant(77);
    REQUIRE((all.array() == 77).all());
    return inner;
  }

 private:
  basin::DeviceMatrix<Scalar> upload(const Eigen::MatrixX<Scalar>& X) const {
    basin::DeviceMatrix<Scalar> on_device = be_.make_matrix(X.rows(), X.cols());
    basin::upload(be_, X, on_device);
    return on_device;
  }

  const basin::cuda<Scalar>& be_;
  index_t states_, channels_;
  const basin::LinearLayer<Scalar>& l_;
  basin::DeviceBuffer<index_t> begin_;
  basin::DeviceBuffer<basin::detail::device_tap> list_;
  basin::DeviceMatrix<Scalar> weight_, bias_, gate_, x_;
};

template <class Scalar>
void same_sums(const basin::LinearLayer<Scalar>& l, index_t states, int channels, int ending) {
  INFO(states << " states, " << to_string(l.input_shape()) << " to " << to_string(l.output_shape())
              << ", tiles of " << channels << ", ending " << ending);
  const basin::cuda<Scalar> be;
  const Product<Scalar> product(be, l, states);
  const Eigen::MatrixX<Scalar> expected = product.by(0, ending);
  REQUIRE(expected.cwiseAbs().maxCoeff() > 0);
  for (const auto order : {basin::launch_order::forward, basin::launch_order::reversed,
                           basin::launch_order::permuted}) {
    const basin::scoped_schedule schedule({order, 5});
    CHECK(product.by(channels, ending) == expected);
  }
}

}  // namespace tiles

// Every shape of tile on what does not fill one: states, input and output channels.
TEMPLATE_TEST_CASE("tiles give the bits of sums by a thread each", "[nn]", float, double) {
  using basin::convolution;
  using basin::index_t;
  const auto [states, inputs, outputs, channels] =
      GENERATE(std::tuple<index_t, index_t, index_t, int>{1, 1, 1, 8},
               std::tuple<index_t, index_t, index_t, int>{3, 2, 5, 8},
               std::tuple<index_t, index_t, index_t, int>{127, 3, 8, 8},
               std::tuple<index_t, index_t, index_t, int>{128, 8, 9, 8},
               std::tuple<index_t, index_t, index_t, int>{129, 1, 17, 8},
               std::tuple<index_t, index_t, index_t, int>{5, 1, 16, 16},
               std::tuple<index_t, index_t, index_t, int>{130, 5, 13, 16},
               std::tuple<index_t, index_t, index_t, int>{131, 7, 16, 16},
               std::tuple<index_t, index_t, index_t, int>{256, 3, 20, 16},
               std::tuple<index_t, index_t, index_t, int>{33, 2, 33, 16},
               std::tuple<index_t, index_t, index_t, int>{64, 4, 32, 32},
               std::tuple<index_t, index_t, index_t, int>{132, 3, 29, 32},
               std::tuple<index_t, index_t, index_t, int>{200, 9, 31, 32},
               std::tuple<index_t, index_t, index_t, int>{257, 1, 32, 32},
               std::tuple<index_t, index_t, index_t, int>{31, 6, 65, 32},
               std::tuple<index_t, index_t, index_t, int>{128, 2, 64, 64},
               std::tuple<index_t, index_t, index_t, int>{133, 4, 61, 64},
               std::tuple<index_t, index_t, index_t, int>{255, 3, 40, 64},
               std::tuple<index_t, index_t, index_t, int>{2, 17, 66, 64},
               std::tuple<index_t, index_t, index_t, int>{126, 10, 3, 64});
  const int ending = static_cast<int>(states % 4);
  tiles::same_sums<TestType>(
      convolution<TestType>({inputs, 3, 4}, outputs, {.kernel = 3, .stride = 2, .padding = 1}),
      states, channels, ending);
  tiles::same_sums<TestType>(
      basin::transposed_convolution<TestType>(
          {inputs, 1, 2}, outputs, {.kernel = 3, .stride = 2, .padding = 1, .output_padding = 1}),
      states, channels, (ending + 1) % 4);
}

TEST_CASE("tiles are taken of many states and channels", "[nn]") {
  using basin::detail::tile_channels;
  CHECK(tile_channels(127, 64) == 0);
  CHECK(tile_channels(128, 3) == 0);
  CHECK(tile_channels(128, 4) == 8);
  CHECK(tile_channels(128, 9) == 16);
  CHECK(tile_channels(128, 32) == 32);
  CHECK(tile_channels(5000, 33) == 64);
  CHECK(tile_channels(5000, 500) == 64);
}

// The layer itself, forward and backward, by tiles and without.
TEMPLATE_TEST_CASE("a convolution of many states is the CPU's", "[nn]", float, double) {
  using basin::index_t;
  const double allowed = sizeof(TestType) == 4 ? 1e-5 : 1e-13;
  const auto check = [&](basin::LinearLayer<TestType> l) {
    l.initialize({.seed = 3});
    const basin::cpu<TestType> host(1);
    const basin::cuda<TestType> be;
    const index_t from = l.input_shape().size(), to = l.output_shape().size(), n = 131;
    auto map = basin::layer_map(std::move(l));
    auto device = basin::on_device(be, map);
    const auto X = tiles::random<TestType>(from, n, 1), V = tiles::random<TestType>(from, n, 2);
    const auto U = tiles::random<TestType>(to, n, 3);
    Eigen::MatrixX<TestType> y(to, n), jv(to, n), jtu(from, n);
    basin::evaluate(host, map, X, y);
    basin::jvp(host, map, X, V, jv);
    basin::vjp(host, map, X, U, jtu);
    const auto answer = [&](const Eigen::MatrixX<TestType>& of, index_t rows, const auto& call) {
      auto in = be.make_matrix(of.rows(), of.cols()), out = be.make_matrix(rows, of.cols());
      upload(be, of, in);
      call(basin::device_view<const TestType>(in), basin::device_view<TestType>(out));
      Eigen::MatrixX<TestType> found(rows, of.cols());
      download(be, out, found);
      return found;
    };
    auto x = be.make_matrix(from, n);
    upload(be, X, x);
    const auto value = [&](const auto& in, auto out) { basin::evaluate(be, device, in, out); };
    const auto near = [&](const auto& a, const auto& b) {
      return static_cast<double>((a - b).norm()) <= allowed * static_cast<double>(b.norm());
    };
    const auto all = answer(X, to, value);
    CHECK(near(all, y));
    CHECK(near(answer(V, to, [&](const auto& in, auto out) { basin::jvp(be, device, x, in, out); }),
               jv));
    CHECK(
        near(answer(U, from, [&](const auto& in, auto out) { basin::vjp(be, device, x, in, out); }),
             jtu));
    // Of few states, by a thread a number: the same bits.
    CHECK(answer(X.leftCols(5), to, value) == all.leftCols(5));
  };
  check(basin::convolution<TestType>({5, 4, 4}, 12, {.kernel = 3, .stride = 2, .padding = 1}));
  check(basin::transposed_convolution<TestType>(
      {9, 2, 2}, 6, {.kernel = 3, .stride = 2, .padding = 1, .output_padding = 1}));
}
