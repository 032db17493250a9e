#include <basin/nn/layer_map.hpp>
#include <basin/nn/linear_layer.hpp>
#include <basin/nn/network.hpp>
#include <basin/nn/sequential.hpp>

#include <basin/map/derivative.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "golden.hpp"

namespace {

using basin::index_t;

template <class Function>
using act = basin::Elementwise<double, Function>;

// Every kind of neighbour: an activation first and last, a fused ReLU, functions by value
// and by input.
basin::Network<double> mixed() {
  basin::Network<double> n;
  n.add(act<basin::tanh_function>({2, 6, 5}));
  n.add(basin::convolution<double>({2, 6, 5}, 5, {.kernel = 3, .stride = 2, .padding = 1}));
  n.add(act<basin::silu_function>(n.output_shape()));
  n.add(basin::convolution<double>(n.output_shape(), 7, {.kernel = 3, .padding = 1}));
  n.add(act<basin::tanh_function>(n.output_shape()));
  n.add(act<basin::gelu_function>(n.output_shape()));
  n.add(basin::dense<double>(n.output_shape(), {9}));
  n.add(act<basin::sigmoid_function>(n.output_shape()));
  n.initialize({11, 0});
  return n;
}

}  // namespace

TEST_CASE("a chain has a layer's passes", "[nn]") {
  golden::check_properties(mixed());
  basin::Network<double> nested;
  nested.add(act<basin::identity_function>({2, 6, 5}));
  nested.add(mixed());
  nested.add(basin::dense<double>({9}, {3, 2, 1}));
  nested.initialize({12, 0});
  golden::check_properties(std::move(nested));
  basin::Network<double> one;
  one.add(act<basin::softplus_function>({4}));
  golden::check_properties(std::move(one));
}

TEST_CASE("a ReLU behind a linear layer is fused without a trace", "[nn]") {
  // Bigger than the kinks: with these seeds no preactivation is near zero.
  const auto conv = [] {
    auto l = basin::convolution<double>({3, 6, 6}, 6, {.kernel = 3, .stride = 2, .padding = 1});
    l.initialize({4, 0});
    return l;
  }();
  const act<basin::relu_function> relu(conv.output_shape());
  const auto fused = basin::sequential(conv, relu);
  // A layer between them keeps them apart.
  const auto apart =
      basin::sequential(conv, act<basin::identity_function>(conv.output_shape()), relu);
  const golden::Columns<double> x({3, 6, 6}, golden::normal(108, 9, 1));
  const golden::Columns<double> v({3, 6, 6}, golden::normal(108, 9, 2));
  const golden::Columns<double> u({6, 3, 3}, golden::normal(54, 9, 3));
  const golden::Columns<double> w({6, 3, 3}, golden::normal(54, 9, 4));
  const auto run = [&](const auto& l) {
    golden::Columns<double> y({6, 3, 3}, 9), jv({6, 3, 3}, 9), jtu({3, 6, 6}, 9), sx({3, 6, 6}, 9),
        sv({3, 6, 6}, 9);
    l.forward(nullptr, x, y);
    l.jvp(nullptr, x, y, v, jv);
    l.vjp(nullptr, x, y, u, jtu);
    l.dual_vjp(nullptr, x, y, v, u, w, sx, sv);
    Eigen::VectorXd g = Eigen::VectorXd::Zero(basin::parameter_count(l)), s = g;
    l.gradient(nullptr, x, y, u, g.data());
    l.dual_gradient(nullptr, x, y, v, u, w, s.data());
    return std::vector<Eigen::MatrixXd>{
        y.matrix(), jv.matrix(), jtu.matrix(), sx.matrix(), sv.matrix(), g, s};
  };
  const auto a = run(fused);
  const auto b = run(apart);
  for (std::size_t i = 0; i < a.size(); ++i) CHECK((a[i] == b[i]));
  CHECK(a[0].minCoeff() == 0);
  CHECK(a[0].maxCoeff() > 0);
}

TEST_CASE("Sequential and Network are the same layer", "[nn]") {
  auto s = basin::sequential(
      basin::convolution<double>({1, 8, 8}, 4, {.kernel = 3, .stride = 2, .padding = 1}),
      act<basin::relu_function>({4, 4, 4}), basin::dense<double>({4, 4, 4}, {5}));
  s.initialize({2, 0});
  basin::Network<double> n;
  n.add(s.get<0>());
  n.add(s.get<1>(), "act");
  n.add(s.get<2>(), "last");
  const basin::cpu<double> be(2);
  const auto f = basin::layer_map(s);
  const auto g = basin::layer_map(n);
  const Eigen::MatrixXd X = golden::normal(64, 21, 1);
  Eigen::MatrixXd a(5, 21), b(5, 21);
  basin::evaluate(be, f, X, a);
  basin::evaluate(be, g, X, b);
  CHECK((a == b));
  CHECK(s.parameters()[2].name == "2.weight");
  CHECK(n.parameters()[2].name == "last.weight");
  CHECK(n.parameters()[3].shape == std::vector<index_t>{5});
  const auto copy = n;
  n.parameters()[0].values[0] += 1;
  n.parameters_changed(nullptr);
  const auto changed = basin::layer_map(n);
  basin::evaluate(be, changed, X, b);
  CHECK((a != b));
  const auto kept = basin::layer_map(copy);
  basin::evaluate(be, kept, X, b);
  CHECK((a == b));
}

TEST_CASE("a layer behind AnyLayer is found by its type", "[nn]") {
  auto l = basin::dense<double>({4}, {3});
  l.initialize({1, 0});
  const basin::AnyLayer<double> any = l;
  const auto* const held = any.get_if<basin::LinearLayer<double>>();
  REQUIRE(held != nullptr);
  REQUIRE(held->weight().size == 12);
  for (index_t i = 0; i < 12; ++i) CHECK(held->weight()[i] == l.weight()[i]);
  CHECK(any.get_if<basin::Network<double>>() == nullptr);
  CHECK(any.get_if<basin::AnyLayer<double>>() == nullptr);
}

TEST_CASE("layers that do not fit are refused by name", "[nn]") {
  using Catch::Matchers::Contains;
  basin::Network<float> n;
  n.add(basin::dense<float>({3}, {4}), "first");
  CHECK_THROWS_WITH(n.add(basin::dense<float>({5}, {2}), "second"),
                    Contains("layer second takes 5 x 1 x 1, the one before it gives 4 x 1 x 1"));
  CHECK(n.depth() == 1);
  CHECK_THROWS_AS(basin::sequential(basin::dense<float>({3}, {4}), basin::dense<float>({3}, {4})),
                  basin::size_error);
}

namespace {
// A layer with parameters that says it may overwrite its input.
struct careless : basin::LinearLayer<double> {
  careless() : basin::LinearLayer<double>(basin::dense<double>({3}, {3})) {}
  [[nodiscard]] bool in_place() const { return true; }
};
}  // namespace

TEST_CASE("layers with parameters do not work in place", "[nn]") {
  using Catch::Matchers::Contains;
  basin::Network<double> n;
  n.add(basin::dense<double>({3}, {3}));
  CHECK_THROWS_AS(n.add(careless{}, "careless"), basin::argument_error);
  CHECK_THROWS_WITH(n.add(careless{}, "careless"),
                    Contains("layer careless has parameters and works in place"));
  CHECK(n.depth() == 1);
}

TEST_CASE("a layer as a map", "[nn]") {
  const auto f = basin::layer_map(mixed());
  CHECK(f.dimension() == 60);
  CHECK(f.output_dimension() == 9);
  const index_t count = 37;
  const Eigen::MatrixXd X = golden::normal(60, count, 1);
  const Eigen::MatrixXd V = golden::normal(60, count, 2);
  const Eigen::MatrixXd U = golden::normal(9, count, 3);
  Eigen::MatrixXd Y(9, count), JV(9, count), JtU(60, count);
  const auto answers = [&](int threads, const Eigen::MatrixXd& X0) {
    const basin::cpu<double> be(threads);
    Eigen::MatrixXd y(9, X0.cols());
    basin::evaluate(be, f, X0, y);
    return y;
  };
  const basin::cpu<double> be(1);
  basin::evaluate(be, f, X, Y);
  basin::jvp(be, f, X, V, JV);
  basin::vjp(be, f, X, U, JtU);
  for (index_t j = 0; j < count; ++j) {
    CHECK(std::abs(U.col(j).dot(JV.col(j)) - JtU.col(j).dot(V.col(j))) <=
          1e-12 * U.col(j).norm() * JV.col(j).norm());
  }
  SECTION("bits depend neither on threads nor on the batch") {
    for (const int threads : {2, 3, 4}) CHECK((answers(threads, X) == Y));
    for (const index_t n : {1, 2, 3, 7, 8, 9, 16}) {
      CHECK((answers(2, X.middleCols(5, n)) == Y.middleCols(5, n)));
    }
    CHECK((answers(2, X.rowwise().reverse()) == Y.rowwise().reverse()));
  }
  SECTION("columns of a wider matrix") {
    Eigen::MatrixXd wide(70, count + 2), out(20, count);
    wide.setZero();
    out.setConstant(7);
    wide.block(3, 1, 60, count) = X;
    basin::evaluate(be, f, wide.block(3, 1, 60, count), out.middleRows(4, 9));
    CHECK((out.middleRows(4, 9) == Y));
    CHECK((out.topRows(4).array() == 7).all());
    CHECK((out.bottomRows(7).array() == 7).all());
  }
  SECTION("no columns, other rows") {
    Eigen::MatrixXd none(60, 0), out(9, 0);
    basin::evaluate(be, f, none, out);
    Eigen::MatrixXd wrong(59, 2), y(9, 2);
    CHECK_THROWS_AS(basin::evaluate(be, f, wrong, y), basin::size_error);
  }
}

TEST_CASE("a solver follows a network's map", "[nn]") {
  auto s = basin::sequential(basin::dense<double>({6}, {20}), act<basin::tanh_function>({20}),
                             basin::dense<double>({20}, {6}));
  s.initialize({5, 0});
  auto f = basin::layer_map(s);
  basin::FixedPointSolver solver{f, basin::picard{}, basin::stopping{.residual = 1e-12}};
  const Eigen::MatrixXd starts = golden::normal(6, 50, 1);
  const auto found = solver.solve(starts);
  CHECK(found.count(basin::status::converged) == 50);
  CHECK((found.states.colwise() - found.states.col(0)).colwise().norm().maxCoeff() < 1e-10);
}

TEST_CASE("a value comes with a derivative", "[nn]") {
  const basin::cpu<double> be(2);
  const auto check = [&](const auto& f) {
    const index_t n = f.dimension(), m = f.output_dimension();
    const Eigen::MatrixXd X = golden::normal(n, 11, 1), V = golden::normal(n, 11, 2),
                          U = golden::normal(m, 11, 3);
    Eigen::MatrixXd y(m, 11), jv(m, 11), jtu(n, 11), value(m, 11), with(m, 11), back(n, 11);
    basin::evaluate(be, f, X, y);
    basin::jvp(be, f, X, V, jv);
    basin::vjp(be, f, X, U, jtu);
    f.value_and_jvp(be, X, V, value, with);
    CHECK((value == y));
    CHECK((with == jv));
    f.value_and_vjp(be, X, U, value, back);
    CHECK((value == y));
    CHECK((back == jtu));
    CHECK_THROWS_AS(f.value_and_vjp(be, X, U, value.topRows(1), back), basin::size_error);
  };
  check(basin::layer_map(mixed()));
  auto conv = basin::convolution<double>({3, 4, 4}, 5, {.kernel = 3, .padding = 1});
  conv.initialize({1, 0});
  check(basin::layer_map(conv));
  // Ending in functions that need their value alone, or their input.
  check(basin::layer_map(basin::sequential(conv, act<basin::relu_function>({5, 4, 4}))));
  check(basin::layer_map(basin::sequential(conv, act<basin::silu_function>({5, 4, 4}),
                                           act<basin::tanh_function>({5, 4, 4}))));
  check(basin::layer_map(basin::sequential(act<basin::relu_function>({3, 4, 4}), conv)));
}

TEST_CASE("functions by value behind layers that need their own value", "[nn]") {
  const basin::tensor_shape shape{3, 2, 2};
  const auto conv = [&] {
    auto l = basin::convolution<double>(shape, 3, {.kernel = 3, .padding = 1});
    l.initialize({7, 0});
    return l;
  }();
  const act<basin::tanh_function> tanh(shape);
  const act<basin::sigmoid_function> sigmoid(shape);
  const act<basin::elu_function> elu(shape);
  golden::check_properties(basin::sequential(conv, tanh, sigmoid));
  golden::check_properties(basin::sequential(conv, sigmoid, tanh, conv));
  golden::check_properties(basin::sequential(tanh, sigmoid, tanh));
  golden::check_properties(basin::sequential(conv, elu, tanh, sigmoid, conv));
  // J of sigmoid(relu(x)) is 0 where x < 0.
  auto dense = basin::dense<double>({1}, {1}, false);
  dense.parameters()[0].values[0] = 1;
  dense.parameters_changed(nullptr);
  const auto f = basin::layer_map(
      basin::sequential(dense, act<basin::relu_function>({1}), act<basin::sigmoid_function>({1})));
  Eigen::MatrixXd x(1, 2), u = Eigen::MatrixXd::Ones(1, 2), jtu(1, 2);
  x << -1, 1;
  basin::vjp(basin::cpu<double>(1), f, x, u, jtu);
  CHECK(jtu(0, 0) == 0);
  CHECK(jtu(0, 1) == Approx(0.19661193324148185));
}

TEST_CASE("chains in chains have weights of their own; empty ones are refused", "[nn]") {
  const auto dense = basin::dense<double>({4}, {4});
  basin::Network<double> n;
  n.add(basin::sequential(dense, dense, dense));
  n.add(dense);
  n.add(dense);
  n.initialize({1, 0});
  const auto all = n.parameters();
  for (std::size_t i = 0; i < all.size(); i += 2) {
    for (std::size_t j = i + 2; j < all.size(); j += 2) {
      CHECK(all[i].values[0] != all[j].values[0]);
    }
  }
  CHECK_THROWS_AS(basin::layer_map(basin::Network<double>{}).dimension(), basin::argument_error);
  // No columns, no work.
  dense.forward(nullptr, {}, {});
}
