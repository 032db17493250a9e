// Networks on the device backend: what they do on the CPU. Built by nvcc for a GPU, and by a
// plain compiler for each of Thrust's host systems.
#include <basin/nn/cuda/layer_map.hpp>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <basin/backend/cpu.hpp>
#include <basin/backend/cuda.hpp>
#include <basin/map/derivative.hpp>
#include <basin/model/table3.hpp>
#include <basin/nn/layer_map.hpp>
#include <basin/nn/sequential.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "../catch.hpp"

using basin::index_t;
using basin::tensor_shape;
using Catch::Matchers::Contains;

// A sanitizer gives null where there is no memory, as without it.
extern "C" const char* __asan_default_options();  // NOLINT: the name is the sanitizer's
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }

namespace {

template <class Scalar>
using matrix = Eigen::MatrixX<Scalar>;

template <class Scalar>
matrix<Scalar> normal(index_t rows, index_t columns, std::uint32_t stream) {
  matrix<Scalar> X(rows, columns);
  for (index_t j = 0; j < columns; ++j) {
    for (index_t i = 0; i < rows; ++i) {
      X(i, j) = static_cast<Scalar>(basin::normal_at<double>({5, stream}, i, j));
    }
  }
  return X;
}

// Columns of a matrix on the device, with columns and rows around them that must stay.
template <class Scalar>
class framed {
 public:
  framed(const basin::cuda<Scalar>& be, const matrix<Scalar>& X)
      : be_(be),
        rows_(X.rows()),
        columns_(X.cols()),
        device_(be.make_matrix(X.rows() + 3, X.cols() + 2)) {
    matrix<Scalar> all = matrix<Scalar>::Constant(rows_ + 3, columns_ + 2, mark);
    all.block(2, 1, rows_, columns_) = X;
    upload(be, all, device_);
  }
  framed(const basin::cuda<Scalar>& be, index_t rows, index_t columns)
      : framed(be, matrix<Scalar>::Constant(rows, columns, Scalar(-5))) {}
  basin::device_view<Scalar> view() {
    return {device_.data() + 2 + device_.rows(), rows_, columns_, device_.rows()};
  }
  matrix<Scalar> host() const {
    matrix<Scalar> all(rows_ + 3, columns_ + 2);
    download(be_, device_, all);
    matrix<Scalar> frame = all;
    frame.block(2, 1, rows_, columns_).setConstant(mark);
    REQUIRE((frame.array() == mark).all());
    return all.block(2, 1, rows_, columns_);
  }

 private:
  static constexpr Scalar mark = 77;
  const basin::cuda<Scalar>& be_;
  index_t rows_, columns_;
  typename basin::cuda<Scalar>::matrix device_;
};

// Everything that a map gives, by each way to it.
template <class Scalar>
struct answers {
  matrix<Scalar> y, jv, jtu, y_of_jvp, jv_with_y, y_of_vjp, jtu_with_y;
};

template <class Scalar, class Map>
answers<Scalar> on_cpu(const Map& f, const matrix<Scalar>& X, const matrix<Scalar>& V,
                       const matrix<Scalar>& U) {
  const basin::cpu<Scalar> be(1);
  answers<Scalar> a;
  a.y.resize(f.output_dimension(), X.cols());
  a.jv = a.y;
  a.jtu.resize(f.dimension(), X.cols());
  basin::evaluate(be, f, X, a.y);
  basin::jvp(be, f, X, V, a.jv);
  basin::vjp(be, f, X, U, a.jtu);
  a.y_of_jvp = a.y_of_vjp = a.y;
  a.jv_with_y = a.jv;
  a.jtu_with_y = a.jtu;
  return a;
}

template <class Scalar, class Map>
answers<Scalar> on_gpu(const basin::cuda<Scalar>& be, Map& f, const matrix<Scalar>& X,
                       const matrix<Scalar>& V, const matrix<Scalar>& U) {
  framed<Scalar> x(be, X), v(be, V), u(be, U);
  const index_t n = X.cols(), from = f.dimension(), to = f.output_dimension();
  framed<Scalar> y(be, to, n), jv(be, to, n), jtu(be, from, n);
  framed<Scalar> y1(be, to, n), jv1(be, to, n), y2(be, to, n), jtu2(be, from, n);
  basin::evaluate(be, f, x.view(), y.view());
  basin::jvp(be, f, x.view(), v.view(), jv.view());
  basin::vjp(be, f, x.view(), u.view(), jtu.view());
  f.value_and_jvp(be, x.view(), v.view(), y1.view(), jv1.view());
  f.value_and_vjp(be, x.view(), u.view(), y2.view(), jtu2.view());
  REQUIRE(x.host() == X);  // what is given is left alone
  REQUIRE(v.host() == V);
  REQUIRE(u.host() == U);
  return {y.host(), jv.host(), jtu.host(), y1.host(), jv1.host(), y2.host(), jtu2.host()};
}

// The largest distance of two columns by the largest column of b.
template <class Scalar>
double difference(const matrix<Scalar>& a, const matrix<Scalar>& b) {
  REQUIRE(a.rows() == b.rows());
  REQUIRE(a.cols() == b.cols());
  const Eigen::MatrixXd apart = a.template cast<double>() - b.template cast<double>();
  REQUIRE(apart.allFinite());
  const double size = b.template cast<double>().colwise().norm().maxCoeff();
  return apart.colwise().norm().maxCoeff() / (size > 0 ? size : 1);
}

template <class Scalar>
constexpr double tolerance = sizeof(Scalar) == 4 ? 1e-5 : 1e-12;

template <class Scalar>
void same(const answers<Scalar>& a, const answers<Scalar>& b, double allowed) {
  CHECK(difference(a.y, b.y) <= allowed);
  CHECK(difference(a.jv, b.jv) <= allowed);
  CHECK(difference(a.jtu, b.jtu) <= allowed);
  CHECK(difference(a.y_of_jvp, b.y_of_jvp) <= allowed);
  CHECK(difference(a.jv_with_y, b.jv_with_y) <= allowed);
  CHECK(difference(a.y_of_vjp, b.y_of_vjp) <= allowed);
  CHECK(difference(a.jtu_with_y, b.jtu_with_y) <= allowed);
}

// Values, J v and J^T u against the CPU's, and <u, J v> = <J^T u, v> by the device's alone.
template <class Scalar, class Map>
void same_as_on_the_cpu(const Map& f, index_t columns, double allowed = tolerance<Scalar>,
                        index_t block = 1024) {
  INFO(f.dimension() << " to " << f.output_dimension() << ", " << columns << " columns");
  const basin::cuda<Scalar> be;
  auto device = basin::on_device(be, f, {.block = block});
  REQUIRE(device.dimension() == f.dimension());
  REQUIRE(device.output_dimension() == f.output_dimension());
  const auto X = normal<Scalar>(f.dimension(), columns, 1);
  const auto V = normal<Scalar>(f.dimension(), columns, 2);
  const auto U = normal<Scalar>(f.output_dimension(), columns, 3);
  const answers<Scalar> found = on_gpu(be, device, X, V, U);
  same(found, on_cpu(f, X, V, U), allowed);
  for (index_t j = 0; j < columns; ++j) {
    const Eigen::VectorXd u = U.col(j).template cast<double>();
    const Eigen::VectorXd v = V.col(j).template cast<double>();
    const Eigen::VectorXd jv = found.jv.col(j).template cast<double>();
    const Eigen::VectorXd jtu = found.jtu.col(j).template cast<double>();
    REQUIRE(std::abs(u.dot(jv) - jtu.dot(v)) <=
            allowed * (u.norm() * jv.norm() + jtu.norm() * v.norm()));
  }
}

template <class L>
void randomize(L& l, std::uint32_t stream) {
  using Scalar = typename L::scalar;
  for (auto& one : l.parameters()) {
    const auto values = normal<double>(one.values.size, 1, ++stream);
    for (index_t i = 0; i < one.values.size; ++i) {
      one.values[i] = static_cast<Scalar>(0.5 * values(i, 0));
    }
  }
  l.parameters_changed(nullptr);
}

constexpr index_t batches[] = {1, 2, 7, 33};

// A layer alone, with random parameters, for batches of several sizes. Behind AnyLayer all layers
// are one type, so that this compiles once.
template <class Scalar>
void check(basin::AnyLayer<Scalar> l, double allowed = tolerance<Scalar>) {
  INFO(to_string(l.input_shape()) << " to " << to_string(l.output_shape()));
  randomize(l, 100);
  const auto f = basin::layer_map(std::move(l));
  for (const index_t columns : batches) same_as_on_the_cpu<Scalar>(f, columns, allowed);
}

template <class Scalar, class Function>
basin::Elementwise<Scalar, Function> act(const tensor_shape& shape, Function function = {}) {
  return basin::Elementwise<Scalar, Function>(shape, function);
}

template <class Scalar>
basin::Network<Scalar> small_network() {
  basin::Network<Scalar> n;
  n.add(basin::convolution<Scalar>({3, 7, 5}, 4, {.kernel = 3, .stride = 2, .padding = 1}));
  n.add(act<Scalar, basin::relu_function>(n.output_shape()), "relu");
  n.add(basin::dense<Scalar>(n.output_shape(), {5, 1, 1}));
  n.add(act<Scalar, basin::relu_function>(n.output_shape()));
  n.add(basin::dense<Scalar>(n.output_shape(), {3, 2, 2}));
  n.add(act<Scalar, basin::tanh_function>(n.output_shape()));
  n.add(basin::transposed_convolution<Scalar>(
            n.output_shape(), 3, {.kernel = 3, .stride = 2, .padding = 1, .output_padding = 1}),
        "last");
  randomize(n, 7);
  return n;
}

// A layer that the library does not know.
template <class Scalar>
struct doubling : basin::without_parameters<Scalar> {
  tensor_shape shape;
  explicit doubling(const tensor_shape& s) : shape(s) {}
  [[nodiscard]] tensor_shape input_shape() const { return shape; }
  [[nodiscard]] tensor_shape output_shape() const { return shape; }
  void forward(basin::thread_pool*, basin::block<const Scalar> x, basin::block<Scalar> y) const {
    for (index_t j = 0; j < x.count; ++j) {
      for (index_t i = 0; i < shape.size(); ++i) y.column(j)[i] = 2 * x.column(j)[i];
    }
  }
  void jvp(basin::thread_pool* pool, basin::block<const Scalar>, basin::block<const Scalar>,
           basin::block<const Scalar> v, basin::block<Scalar> jv) const {
    forward(pool, v, jv);
  }
  void vjp(basin::thread_pool* pool, basin::block<const Scalar>, basin::block<const Scalar>,
           basin::block<const Scalar> u, basin::block<Scalar> jtu) const {
    forward(pool, u, jtu);
  }
  void dual_vjp(basin::thread_pool* pool, basin::block<const Scalar>, basin::block<const Scalar>,
                basin::block<const Scalar>, basin::block<const Scalar> u,
                basin::block<const Scalar> w, basin::block<Scalar> sx,
                basin::block<Scalar> sv) const {
    forward(pool, u, sx);
    forward(pool, w, sv);
  }
};

// The same with a form on the device.
template <class Scalar>
struct known_doubling : doubling<Scalar> {
  using doubling<Scalar>::doubling;
};
template <class Scalar>
class device_doubling final : public basin::DeviceLayer<Scalar> {
 public:
  using typename basin::DeviceLayer<Scalar>::view;
  using typename basin::DeviceLayer<Scalar>::const_view;
  device_doubling(const basin::cuda<Scalar>&, const known_doubling<Scalar>& l)
      : basin::DeviceLayer<Scalar>(l.shape, l.shape) {}
  [[nodiscard]] std::unique_ptr<basin::DeviceLayer<Scalar>> clone() const override {
    return std::make_unique<device_doubling>(*this);
  }
  void forward(const basin::device_pass<Scalar>& pass, const const_view& x,
               const view& y) const override {
    copy(pass.be, x, y);
    axpby(pass.be, 1, x, 1, y);
  }
  void jvp(const basin::device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& v, const view& jv) const override {
    forward(pass, v, jv);
  }
  void vjp(const basin::device_pass<Scalar>& pass, const const_view&, const const_view&,
           const const_view& u, const view& jtu) const override {
    forward(pass, u, jtu);
  }
};

// A function of one's own: x^2 / 4.
struct quarter_square {
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    return x * x / T(4);
  }
  template <class T>
  BASIN_HOST_DEVICE T derivative(const T& x, const T&) const {
    return x / T(2);
  }
  template <class T>
  BASIN_HOST_DEVICE T second_derivative(const T&, const T&) const {
    return T(0.5);
  }
};

}  // namespace

template <class Scalar>
struct basin::device_form<known_doubling<Scalar>> {
  using type = device_doubling<Scalar>;
};

TEMPLATE_TEST_CASE("dense layers on the device", "[nn]", float, double) {
  for (const tensor_shape from : {tensor_shape{1}, {5}, {33}, {3, 2, 3}, {1, 5, 3}, {5, 1, 1}}) {
    for (const tensor_shape to : {tensor_shape{1}, {7}, {3, 3, 1}, {1, 2, 5}}) {
      for (const bool bias : {true, false}) {
        check<TestType>(basin::dense<TestType>(from, to, bias));
      }
    }
  }
}

TEMPLATE_TEST_CASE("convolutions on the device over ragged sizes", "[nn]", float, double) {
  int shapes = 0;
  for (const index_t channels : {1, 3, 5}) {
    for (const basin::convolution_options& options : std::vector<basin::convolution_options>{
             {.kernel = 3, .padding = 1},
             {.kernel = 3, .stride = 2, .padding = 1},
             {.kernel = 1, .bias = false},
             {.kernel = {2, 3}, .stride = {3, 1}, .padding = {0, 2}},
             {.kernel = {5, 1}, .stride = {1, 2}, .padding = {2, 0}, .bias = false},
             {.kernel = 2, .stride = 3},  // pixels that no tap reaches
             {.kernel = {7, 5}}}) {       // one pixel is left
      check<TestType>(basin::convolution<TestType>({channels, 7, 5}, 6 - channels, options));
      ++shapes;
    }
  }
  CHECK(shapes >= 20);
  check<TestType>(basin::convolution<TestType>({2, 1, 1}, 3, {.kernel = 3, .padding = 1}));
}

TEMPLATE_TEST_CASE("transposed convolutions on the device over ragged sizes", "[nn]", float,
                   double) {
  int shapes = 0;
  for (const index_t channels : {1, 3, 5}) {
    for (const basin::convolution_options& options : std::vector<basin::convolution_options>{
             {.kernel = 3, .padding = 1},
             {.kernel = 3, .stride = 2, .padding = 1, .output_padding = 1},
             {.kernel = 3, .stride = 2, .padding = 1, .bias = false},
             {.kernel = {2, 3}, .stride = {3, 2}, .output_padding = {2, 0}},
             {.kernel = {1, 4}, .stride = {2, 1}, .padding = {0, 3}, .output_padding = {1, 0}},
             {.kernel = 2, .stride = 3},
             {.kernel = 1}}) {
      check<TestType>(
          basin::transposed_convolution<TestType>({channels, 3, 5}, 6 - channels, options));
      ++shapes;
    }
  }
  CHECK(shapes >= 20);
}

TEMPLATE_TEST_CASE("activations on the device", "[nn]", float, double) {
  using S = TestType;
  for (const tensor_shape shape : {tensor_shape{1}, {5}, {3, 3, 5}}) {
    check<S>(act<S, basin::relu_function>(shape));
    check<S>(act<S>(shape, basin::leaky_relu_function{.slope = 0.3}));
    check<S>(act<S>(shape, basin::elu_function{.alpha = 0.7}));
    check<S>(act<S, basin::silu_function>(shape));
    check<S>(act<S, basin::gelu_function>(shape));
    check<S>(act<S, basin::gelu_tanh_function>(shape));
    check<S>(act<S, basin::tanh_function>(shape));
    check<S>(act<S, basin::sigmoid_function>(shape));
    check<S>(act<S, basin::softplus_function>(shape));
    check<S>(act<S, basin::identity_function>(shape));
    check<S>(act<S, basin::exp_function>(shape));
  }
}

TEMPLATE_TEST_CASE("poolings on the device over ragged sizes", "[nn]", float, double) {
  int shapes = 0;
  for (const index_t channels : {1, 3, 5}) {
    for (const basin::pooling_options& options : std::vector<basin::pooling_options>{
             {},
             {.kernel = 3, .stride = 1, .padding = 1},
             {.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false},
             {.kernel = {2, 3}, .stride = {1, 2}, .padding = {1, 0}},
             {.kernel = {1, 2}, .stride = 3},  // pixels in no window
             {.kernel = {7, 5}},
             {.kernel = {3, 1}, .padding = {1, 0}, .count_include_pad = false}}) {
      const tensor_shape from{channels, 7, 5};
      check<TestType>(basin::max_pooling<TestType>(from, options));
      check<TestType>(basin::average_pooling<TestType>(from, options));
      ++shapes;
    }
  }
  CHECK(shapes >= 20);
}

TEST_CASE("ties and NaN in maxima on the device", "[nn]") {
  const auto f = basin::layer_map(
      basin::max_pooling<double>({3, 7, 5}, {.kernel = 3, .stride = 2, .padding = 1}));
  matrix<double> X = normal<double>(f.dimension(), 33, 1);
  X = X.array().round();  // few different numbers
  for (index_t j = 0; j < 33; ++j) {
    for (index_t i = 0; i < X.rows(); ++i) {
      if ((5 * i + 3 * j) % 11 == 0) X(i, j) = std::nan("");
    }
  }
  const auto V = normal<double>(f.dimension(), 33, 2);
  const auto U = normal<double>(f.output_dimension(), 33, 3);
  const basin::cpu<double> host(1);
  matrix<double> Y(f.output_dimension(), 33), JV = Y, JtU(f.dimension(), 33);
  basin::evaluate(host, f, X, Y);
  basin::jvp(host, f, X, V, JV);
  basin::vjp(host, f, X, U, JtU);
  const basin::cuda<double> be;
  auto device = basin::on_device(be, f);
  framed<double> x(be, X), v(be, V), u(be, U);
  framed<double> y(be, Y.rows(), 33), jv(be, Y.rows(), 33), jtu(be, X.rows(), 33);
  basin::evaluate(be, device, x.view(), y.view());
  basin::jvp(be, device, x.view(), v.view(), jv.view());
  basin::vjp(be, device, x.view(), u.view(), jtu.view());
  const matrix<double> value = y.host();
  index_t missing = 0;
  for (index_t i = 0; i < Y.size(); ++i) {
    const double a = value.reshaped()[i], b = Y.reshaped()[i];
    CHECK((a == b || (std::isnan(a) && std::isnan(b))));
    missing += std::isnan(b) ? 1 : 0;
  }
  CHECK(missing > 0);
  CHECK(missing < Y.size());
  CHECK(jv.host() == JV);  // what is chosen is copied
  CHECK(difference(jtu.host(), JtU) <= 1e-15);
}

TEMPLATE_TEST_CASE("upsampling, reshapes and first rows on the device", "[nn]", float, double) {
  for (const index_t channels : {1, 3, 5}) {
    const tensor_shape from{channels, 3, 5};
    for (const basin::extent factor : {basin::extent(1), {2, 2}, {3, 1}, {1, 4}}) {
      check<TestType>(basin::nearest_upsampling<TestType>(from, factor));
    }
    check<TestType>(basin::flatten<TestType>(from));
    check<TestType>(basin::unflatten<TestType>(from));
    check<TestType>(basin::Reshape<TestType>(from, {5, channels, 3}));
    check<TestType>(basin::FirstRows<TestType>(5, channels));
  }
}

TEMPLATE_TEST_CASE("norms on the device", "[nn]", float, double) {
  using S = TestType;
  for (const bool affine : {true, false}) {
    const basin::norm_options options{.eps = 1e-3, .affine = affine};
    for (const tensor_shape shape :
         {tensor_shape{5}, {3, 3, 5}, {6, 1, 3}, {1, 7, 5}, {12, 2, 2}}) {
      const auto channels = static_cast<std::size_t>(shape.channels);
      std::vector<S> mean(channels), variance(channels);
      for (std::size_t c = 0; c < channels; ++c) {
        mean[c] = static_cast<S>(0.3 * static_cast<double>(c) - 1);
        variance[c] = static_cast<S>(0.5 + static_cast<double>(c));
      }
      check<S>(basin::batch_norm<S>(shape, mean, variance, options));
      check<S>(basin::layer_norm<S>(shape, options));
      for (const index_t groups : {1, 2, 3, 5, 12}) {
        if (shape.channels % groups == 0 && shape.size() > 2 * groups) {
          check<S>(basin::group_norm<S>(shape, groups, options));
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("an offset costs a norm on the device no digits", "[nn]", float, double) {
  using S = TestType;
  const auto f = basin::layer_map(basin::group_norm<S>({4, 3, 3}, 2, {.affine = false}));
  // Whole numbers, so that the offset takes nothing from them.
  const matrix<S> X = (8 * normal<S>(36, 7, 1)).array().round();
  const S offset = sizeof(S) == 4 ? S(1 << 20) : S(1LL << 46);
  const basin::cuda<S> be;
  auto device = basin::on_device(be, f);
  framed<S> x(be, X), moved(be, (X.array() + offset).matrix()), y(be, 36, 7), z(be, 36, 7);
  basin::evaluate(be, device, x.view(), y.view());
  basin::evaluate(be, device, moved.view(), z.view());
  CHECK(difference(z.host(), y.host()) <= tolerance<S>);
}

TEMPLATE_TEST_CASE("residuals, chains and chains in chains on the device", "[nn]", float, double) {
  using S = TestType;
  const tensor_shape shape{3, 5, 3};
  basin::Network<S> body;
  body.add(basin::convolution<S>(shape, 4, {.kernel = 3, .padding = 1}));
  body.add(act<S, basin::relu_function>(body.output_shape()));
  body.add(basin::convolution<S>(body.output_shape(), 3, {.kernel = 3, .padding = 1}));
  basin::Network<S> other;
  other.add(act<S, basin::tanh_function>(shape));
  check<S>(basin::residual(body));
  check<S>(basin::residual(body, other));
  check<S>(basin::residual(body, basin::convolution<S>(shape, 3, {.kernel = 1})));
  check<S>(basin::residual(body, basin::AnyLayer<S>(other)));
  check<S>(basin::residual(basin::AnyLayer<S>(act<S, basin::silu_function>(shape))));
  check<S>(basin::residual(basin::AnyLayer<S>(body), basin::AnyLayer<S>(other)));
  // A network of every kind, with layers in place behind layers of every other.
  basin::Network<S> all;
  all.add(act<S, basin::relu_function>(shape));
  all.add(basin::residual(body), "block");
  all.add(act<S, basin::relu_function>(shape));
  all.add(basin::group_norm<S>(shape, 3));
  all.add(act<S, basin::silu_function>(shape));
  all.add(basin::batch_norm<S>(shape));
  all.add(act<S, basin::relu_function>(shape));
  all.add(basin::nearest_upsampling<S>(shape, {1, 2}));
  all.add(act<S, basin::tanh_function>(all.output_shape()));
  all.add(act<S, basin::sigmoid_function>(all.output_shape()));
  all.add(basin::max_pooling<S>(all.output_shape()));
  basin::Network<S> inner;
  inner.add(basin::transposed_convolution<S>(all.output_shape(), 2,
                                             {.kernel = 2, .stride = 2, .bias = false}));
  inner.add(act<S, basin::relu_function>(inner.output_shape()));
  all.add(inner, "inner");
  all.add(basin::flatten<S>(all.output_shape()));
  all.add(basin::dense<S>(all.output_shape(), {6}));
  all.add(basin::unflatten<S>({2, 3, 1}));
  all.add(act<S, basin::relu_function>({2, 3, 1}));
  check<S>(all, 10 * tolerance<S>);
  // A ReLU before anything else, whose gate the linear layer behind it takes along.
  basin::Network<S> first;
  first.add(act<S, basin::relu_function>(shape));
  first.add(basin::dense<S>(shape, {6}));
  check<S>(first);
  // All layers' types known when compiling, a function of one's own among them.
  auto s = basin::sequential(basin::residual(basin::sequential(
                                 basin::convolution<S>(shape, 3, {.kernel = 3, .padding = 1}),
                                 act<S, basin::tanh_function>(shape))),
                             act<S, quarter_square>(shape), basin::dense<S>(shape, {4}));
  randomize(s, 3);
  for (const index_t columns : batches) {
    same_as_on_the_cpu<S>(basin::layer_map(s), columns);
    same_as_on_the_cpu<S>(basin::layer_map(small_network<S>()), columns);
  }
}

TEMPLATE_TEST_CASE("Table 3's maps on the device", "[nn]", float, double) {
  const double allowed = 20 * tolerance<TestType>;
  auto grey = basin::table3<TestType>({.image = {1, 32, 32}, .width = 4, .latent = 5});
  grey.initialize(1);
  same_as_on_the_cpu<TestType>(grey.latent_map(), 7, allowed);
  same_as_on_the_cpu<TestType>(grey.encoder_map(), 3, allowed);
  same_as_on_the_cpu<TestType>(grey.decoder_map(), 3, allowed);
  same_as_on_the_cpu<TestType>(grey.reconstruction_map(), 2, allowed);
  auto colour = basin::table3<TestType>({.image = {3, 16, 48},
                                         .width = 2,
                                         .latent = 3,
                                         .activation = basin::silu_function{},
                                         .code_activation = basin::sigmoid_function{}});
  colour.initialize(2);
  same_as_on_the_cpu<TestType>(colour.latent_map(), 33, allowed);
  auto variational =
      basin::table3<TestType>({.image = {1, 16, 16}, .width = 3, .latent = 2, .variational = true});
  variational.initialize(3);
  same_as_on_the_cpu<TestType>(variational.latent_map(), 33, allowed);
}

TEST_CASE("batches are followed in blocks of bounded memory", "[nn]") {
  auto n = small_network<double>();
  const auto f = basin::layer_map(n);
  for (const index_t block : {1, 4, 7, 32, 33}) same_as_on_the_cpu<double>(f, 33, 1e-12, block);

  const basin::cuda<double> be;
  auto device = basin::on_device(be, f, {.block = 8});
  const auto bytes_of = [&](index_t columns) {
    framed<double> x(be, normal<double>(105, columns, 1)), v(be, normal<double>(105, columns, 2));
    framed<double> u(be, normal<double>(48, columns, 3));
    framed<double> y(be, 48, columns), jtu(be, 105, columns);
    basin::evaluate(be, device, x.view(), y.view());
    basin::jvp(be, device, x.view(), v.view(), y.view());
    basin::vjp(be, device, x.view(), u.view(), jtu.view());
    return device.scratch_bytes();
  };
  const index_t few = bytes_of(8);
  // Of eight states, ten blocks of the widest layer at most.
  CHECK(few > 0);
  CHECK(few <= 8 * 10 * 105 * 8);
  CHECK(bytes_of(200) == few);
  CHECK(bytes_of(3) == few);
  auto copy = device;
  CHECK(copy.scratch_bytes() == 0);
}

TEST_CASE("a bad state on the device leaves its neighbours alone", "[nn]") {
  const auto f = basin::layer_map(small_network<double>());
  const basin::cuda<double> be;
  auto device = basin::on_device(be, f);
  matrix<double> X = normal<double>(105, 9, 1);
  framed<double> good(be, X), y(be, 48, 9);
  basin::evaluate(be, device, good.view(), y.view());
  const matrix<double> expected = y.host();
  X(3, 4) = std::nan("");
  X(50, 6) = std::numeric_limits<double>::infinity();
  framed<double> bad(be, X);
  basin::evaluate(be, device, bad.view(), y.view());
  const matrix<double> found = y.host();
  for (const index_t j : {0, 1, 2, 3, 5, 7, 8}) {
    CHECK(difference<double>(found.col(j), expected.col(j)) <= 1e-14);
  }
  CHECK_FALSE(found.col(4).allFinite());
}

TEMPLATE_TEST_CASE("from noise a solver on the device ends where it ends on the CPU", "[nn]", float,
                   double) {
  using S = TestType;
  auto autoencoder = basin::table3<S>({.image = {1, 16, 16}, .width = 3, .latent = 4});
  autoencoder.initialize(1);
  // Weights that make more of a state than PyTorch's first ones, which all but forget it.
  for (auto& one : autoencoder.parameters()) {
    for (index_t i = 0; i < one.values.size; ++i) one.values[i] *= S(2.5);
  }
  autoencoder.parameters_changed();
  const basin::stopping rule{.residual = 1e-5};
  const index_t n = 60;
  const matrix<S> starts = 3 * normal<S>(4, n, 9);
  const basin::cuda<S> be;
  const auto f = basin::on_device(be, autoencoder.latent_map(), {.block = 25});
  basin::FixedPointSolver solver{f, basin::picard{}, rule};
  auto on_device = be.make_matrix(4, n);
  upload(be, starts, on_device);
  const auto found = solver.solve(be, on_device);
  basin::FixedPointSolver reference{autoencoder.latent_map(), basin::picard{}, rule};
  const auto expected = reference.solve(basin::cpu<S>(1), starts);
  matrix<S> states(4, n);
  download(be, found.states, states);
  CHECK(found.count(basin::status::converged) == n);
  CHECK(found.iterations[0] > 3);
  CHECK(found.status == expected.status);
  for (index_t j = 0; j < n; ++j) {
    const auto i = static_cast<std::size_t>(j);
    REQUIRE(std::abs(found.iterations[i] - expected.iterations[i]) <= 1);
    REQUIRE((states.col(j) - expected.states.col(j)).norm() <=
            S(1e-4) * (1 + states.col(j).norm()));
  }
  // As a graph, the same to the bit.
  const auto recorded = solver.solve(be, on_device, basin::run_options{.graph = true});
  CHECK(recorded.status == found.status);
  CHECK(recorded.evaluations == found.evaluations);
  matrix<S> again(4, n);
  download(be, recorded.states, again);
  CHECK(again == states);
}

TEST_CASE("parameters of a map on the device are updated", "[nn]") {
  const basin::cuda<double> be;
  auto autoencoder = basin::table3<double>({.image = {1, 16, 16}, .width = 2, .latent = 3});
  autoencoder.initialize(1);
  auto f = basin::on_device(be, autoencoder.latent_map());
  auto copy = f;
  const auto Z = normal<double>(3, 5, 1);
  framed<double> z(be, Z), y(be, 3, 5);
  const auto value = [&](auto& map) {
    basin::evaluate(be, map, z.view(), y.view());
    return y.host();
  };
  const auto expected = [&] {
    const auto map = autoencoder.latent_map();
    matrix<double> out(3, 5);
    basin::evaluate(basin::cpu<double>(1), map, Z, out);
    return out;
  };
  const matrix<double> before = expected();
  CHECK(difference(value(f), before) <= 1e-12);
  autoencoder.initialize(2);
  CHECK(difference(value(f), before) <= 1e-12);  // a map is a copy
  f.update(be, autoencoder.latent_map());
  const matrix<double> after = expected();
  CHECK(difference(before, after) > 1e-3);
  CHECK(difference(value(f), after) <= 1e-12);
  CHECK(difference(value(copy), before) <= 1e-12);

  SECTION("every kind of layer") {
    basin::Network<double> n;
    n.add(basin::dense<double>({4}, {3, 2, 2}));
    n.add(act<double>({3, 2, 2}, basin::leaky_relu_function{.slope = 0.1}));
    n.add(basin::group_norm<double>({3, 2, 2}, 1));
    n.add(basin::batch_norm<double>({3, 2, 2}));
    basin::Network<double> body;
    body.add(basin::convolution<double>({3, 2, 2}, 3, {.kernel = 3, .padding = 1}));
    n.add(basin::residual(body));
    n.add(body);
    randomize(n, 1);
    auto g = basin::on_device(be, basin::layer_map(n));
    randomize(n, 50);
    g.update(be, basin::layer_map(n));
    const auto X = normal<double>(4, 5, 1);
    const auto V = normal<double>(4, 5, 2);
    const auto U = normal<double>(12, 5, 3);
    same(on_gpu(be, g, X, V, U), on_cpu(basin::layer_map(n), X, V, U), 1e-12);
  }
  SECTION("other networks are refused, and nothing has changed then") {
    const auto other = [](const basin::table3_options& options) {
      return basin::table3<double>(options).latent_map();
    };
    CHECK_THROWS_AS(f.update(be, other({.image = {1, 16, 16}, .width = 2, .latent = 2})),
                    basin::size_error);
    CHECK_THROWS_WITH(f.update(be, other({.image = {1, 16, 16}, .width = 3, .latent = 3})),
                      Contains("dec.0") && Contains("takes 3 x 1 x 1 and gives 24 x 1 x 1") &&
                          Contains("gives 16 x 1 x 1"));
    CHECK_THROWS_WITH(f.update(be, other({.image = {1, 16, 16},
                                          .width = 2,
                                          .latent = 3,
                                          .activation = basin::tanh_function{}})),
                      Contains("dec.2") && Contains("another one than that on the device"));
    CHECK_THROWS_WITH(f.update(be, autoencoder.decoder_map()), Contains("number of layers"));
    // The same shapes and as many weights, but other pixels.
    auto g = basin::on_device(be, basin::layer_map(basin::convolution<double>(
                                      {2, 3, 3}, 2, {.kernel = 3, .padding = 1})));
    CHECK_THROWS_WITH(g.update(be, basin::layer_map(basin::transposed_convolution<double>(
                                       {2, 3, 3}, 2, {.kernel = 3, .padding = 1}))),
                      Contains("another geometry"));
    CHECK(difference(value(f), after) <= 1e-12);
  }
}

TEST_CASE("a layer without a form on the device is named", "[nn]") {
  const basin::cuda<float> be;
  basin::Network<float> inner;
  inner.add(doubling<float>({3}), "mine");
  basin::Network<float> n;
  n.add(basin::dense<float>({2}, {3}), "first");
  n.add(basin::residual(inner), "second");
  CHECK_THROWS_AS(basin::on_device(be, basin::layer_map(n)), basin::argument_error);
  CHECK_THROWS_WITH(
      basin::on_device(be, basin::layer_map(n)),
      Contains("second.body.mine") && Contains("doubling") && Contains("has no form on a device"));
  CHECK_THROWS_WITH(basin::on_device(be, basin::layer_map(doubling<float>({3}))),
                    Contains("doubling") && Contains("has no form on a device"));

  SECTION("and met where it has one and is named") {
    basin::Network<double> own;
    own.add(basin::dense<double>({2}, {3}));
    own.add(known_doubling<double>({3}));
    own.add(act<double, quarter_square>({3}));
    own.add(known_doubling<double>({3}));
    randomize(own, 1);
    const auto f = basin::layer_map(own);
    const basin::cuda<double> device;
    CHECK_THROWS_WITH(basin::on_device(device, f), Contains("layer 1"));
    auto g = basin::on_device<known_doubling<double>, basin::Elementwise<double, quarter_square>>(
        device, f);
    const auto X = normal<double>(2, 7, 1);
    const auto V = normal<double>(2, 7, 2);
    const auto U = normal<double>(3, 7, 3);
    same(on_gpu(device, g, X, V, U), on_cpu(f, X, V, U), 1e-12);
    randomize(own, 20);
    g.update(device, basin::layer_map(own));
    same(on_gpu(device, g, X, V, U), on_cpu(basin::layer_map(own), X, V, U), 1e-12);
  }
}

TEST_CASE("misuse of maps on the device", "[nn]") {
  const basin::cuda<float> be;
  basin::Network<float> n;
  n.add(basin::dense<float>({4}, {3}));
  auto f = basin::on_device(be, basin::layer_map(n));
  framed<float> x(be, 4, 5), y(be, 3, 5), five(be, 5, 5), narrow(be, 4, 2);
  const auto throws = [](const auto& call, const std::string& text) {
    CHECK_THROWS_AS(call(), basin::size_error);
    CHECK_THROWS_WITH(call(), Contains(text));
  };
  throws([&] { basin::evaluate(be, f, five.view(), y.view()); }, "is 5, expected 4");
  throws([&] { basin::evaluate(be, f, x.view(), five.view()); },
         "number of rows of the result is 5, expected 3");
  throws([&] { basin::evaluate(be, f, narrow.view(), y.view()); },
         "number of columns of the result is 5, expected 2");
  throws([&] { f.jvp(be, x.view(), narrow.view(), y.view()); },
         "number of columns of the vectors is 2, expected 5");
  throws([&] { f.jvp(be, x.view(), five.view(), y.view()); },
         "number of rows of the vectors is 5, expected 4");
  throws([&] { f.vjp(be, x.view(), five.view(), x.view()); },
         "number of rows of the vectors is 5, expected 3");
  throws([&] { f.vjp(be, x.view(), y.view(), five.view()); },
         "number of rows of the result is 5, expected 4");
  throws([&] { f.value_and_jvp(be, x.view(), x.view(), five.view(), y.view()); },
         "number of rows of the value is 5, expected 3");
  framed<float> none(be, 4, 0), nothing(be, 3, 0);
  basin::evaluate(be, f, none.view(), nothing.view());
  CHECK(f.scratch_bytes() == 0);

  CHECK_THROWS_AS(basin::on_device(be, basin::layer_map(n), {.block = 0}), basin::argument_error);
  CHECK_THROWS_WITH(basin::on_device(be, basin::layer_map(n), {.block = -2}),
                    Contains("-2 states"));
  CHECK_THROWS_AS(basin::on_device(be, basin::layer_map(basin::Network<float>())),
                  basin::argument_error);
}

TEST_CASE("memory that is not there is an error that says how much was wanted", "[nn]") {
  const basin::cuda<double> be;
  basin::Network<double> n;
  n.add(act<double, basin::tanh_function>({4}));
  auto f = basin::on_device(be, basin::layer_map(n), {.block = index_t{1} << 45});
  // Blocks of 2^45 states; a view of as many, whose numbers nothing comes to read.
  framed<double> x(be, normal<double>(4, 3, 1)), y(be, 4, 3);
  const basin::device_view<double> many(x.view().data(), 4, index_t{1} << 45, 0);
  CHECK_THROWS_AS(basin::evaluate(be, f, many, many), basin::device_error);
  CHECK_THROWS_WITH(basin::evaluate(be, f, many, many), Contains("of 1125899906842624 bytes"));
  // All else goes on.
  basin::evaluate(be, f, x.view(), y.view());
  CHECK((y.host().array() - normal<double>(4, 3, 1).array().tanh()).abs().maxCoeff() < 1e-14);
}
