// compose, affine, activation, relaxed, power, with_counter, finite_difference: values,
// and derivatives against each other.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include <basin/map/activation.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/compose.hpp>
#include <basin/map/counter.hpp>
#include <basin/map/differentiable.hpp>
#include <basin/map/finite_difference.hpp>
#include <basin/map/function_map.hpp>
#include <basin/map/power.hpp>
#include <basin/map/relaxed.hpp>

#include "../solver/maps.hpp"

using basin::cpu;
using basin::index_t;
using Eigen::MatrixXd;

namespace {

const cpu<double> be(2);

template <class Map>
MatrixXd value(Map& f, const MatrixXd& Z, index_t rows = -1) {
  MatrixXd out(rows < 0 ? Z.rows() : rows, Z.cols());
  evaluate(be, f, Z, out);
  return out;
}

// jvp against central differences, and vjp against jvp by the inner product.
template <class Map>
void check_derivatives(Map& f, const MatrixXd& Z, index_t rows = -1) {
  if (rows < 0) rows = Z.rows();
  const MatrixXd V = maps::starts(Z.rows(), Z.cols(), 21);
  const MatrixXd U = maps::starts(rows, Z.cols(), 22);
  MatrixXd JV(rows, Z.cols());
  MatrixXd JtU(Z.rows(), Z.cols());
  jvp(be, f, Z, V, JV);
  vjp(be, f, Z, U, JtU);
  const double h = 1e-6;
  const MatrixXd difference = (value(f, Z + h * V, rows) - value(f, Z - h * V, rows)) / (2 * h);
  CHECK((JV - difference).norm() <= 1e-8 * (1 + JV.norm()));
  const Eigen::RowVectorXd forward = U.cwiseProduct(JV).colwise().sum();
  const Eigen::RowVectorXd backward = JtU.cwiseProduct(V).colwise().sum();
  CHECK((forward - backward).norm() <= 1e-12 * (1 + forward.norm()));
}

const MatrixXd W = maps::starts(4, 7, 1);
const Eigen::VectorXd b = maps::starts(4, 1, 2);
const MatrixXd W2 = maps::starts(7, 4, 3);
const MatrixXd Z = maps::starts(7, 33, 4);

}  // namespace

TEST_CASE("affine", "[map]") {
  auto f = basin::affine(W, b);
  CHECK(f.dimension() == 7);
  CHECK(f.output_dimension() == 4);
  CHECK((value(f, Z, 4) - ((W * Z).colwise() + b)).norm() < 1e-13);
  check_derivatives(f, Z, 4);
  auto linear = basin::affine(W);
  CHECK((value(linear, Z, 4) - W * Z).norm() < 1e-13);
  CHECK_THROWS_AS(basin::affine(W, Eigen::VectorXd::Zero(5)), basin::size_error);
  MatrixXd out(4, 33);
  CHECK_THROWS_AS(evaluate(be, f, MatrixXd::Zero(6, 33), out), basin::size_error);
}

TEST_CASE("activations", "[map]") {
  auto tanh = basin::activation(basin::tanh_function{});
  CHECK((value(tanh, Z) - Z.array().tanh().matrix()).norm() < 1e-14 * Z.norm());
  check_derivatives(tanh, Z);
  auto exp = basin::activation(basin::exp_function{}, 7);
  CHECK(exp.dimension() == 7);
  check_derivatives(exp, Z);
  auto sigmoid = basin::activation(basin::sigmoid_function{});
  check_derivatives(sigmoid, Z);
  auto relu = basin::activation(basin::relu_function{});
  CHECK((value(relu, Z).array() == Z.array().max(0.0)).all());
  check_derivatives(relu, Z);
  auto leaky = basin::activation(basin::leaky_relu_function{0.1});
  check_derivatives(leaky, Z);
}

TEST_CASE("compose applies the inner map first, through other dimensions", "[map]") {
  auto f = basin::compose(basin::affine(W2), basin::activation(basin::tanh_function{}),
                          basin::affine(W, b));
  CHECK(f.dimension() == 7);
  CHECK(f.output_dimension() == 7);
  const MatrixXd expected = W2 * ((W * Z).colwise() + b).array().tanh().matrix();
  CHECK((value(f, Z) - expected).norm() < 1e-12);
  check_derivatives(f, Z);
  // Fewer columns, then more, reuse or grow what is kept.
  CHECK((value(f, Z.leftCols(5)) - expected.leftCols(5)).norm() < 1e-12);
  CHECK((value(f, Z) - expected).norm() < 1e-12);
  // An encoder and a decoder that are the user's lambdas.
  auto g = basin::compose(
      basin::function_map(4, 7, [&](const auto& X) { return (W2 * X).eval(); }),
      basin::function_map(7, 4, [&](const auto& X, auto& out) { out.noalias() = W * X; }));
  CHECK((value(g, Z) - W2 * (W * Z)).norm() < 1e-12);
  static_assert(!basin::has_jvp<decltype(g), cpu<double>>);
  static_assert(basin::has_vjp<decltype(f), cpu<double>>);
  try {
    (void)basin::compose(basin::affine(W), basin::affine(W, b));
    FAIL("no size_error");
  } catch (const basin::size_error& e) {
    CHECK(std::string(e.what()).find("is 4, expected 7") != std::string::npos);
  }
}

TEST_CASE("relaxed", "[map]") {
  const MatrixXd A = maps::starts(7, 7, 5);
  auto f = basin::compose(basin::activation(basin::tanh_function{}), basin::affine(A));
  auto g = basin::relaxed(f, 0.3);
  CHECK((value(g, Z) - (0.7 * Z + 0.3 * value(f, Z))).norm() < 1e-14 * Z.norm());
  check_derivatives(g, Z);
  CHECK_THROWS_AS(basin::relaxed(f, 0), basin::argument_error);
  CHECK_THROWS_AS(basin::relaxed(f, std::nan("")), basin::argument_error);
}

TEST_CASE("power", "[map]") {
  const MatrixXd A = maps::starts(7, 7, 5);
  auto f = basin::compose(basin::activation(basin::tanh_function{}), basin::affine(A));
  MatrixXd expected = Z;
  for (int p = 1; p <= 5; ++p) {
    expected = value(f, expected);
    auto g = basin::power(f, p);
    CHECK((value(g, Z).array() == expected.array()).all());
    check_derivatives(g, Z);
  }
  CHECK_THROWS_AS(basin::power(f, 0), basin::argument_error);
  // The points of a cycle are fixed points of its power.
  auto logistic = basin::power(maps::logistic(3.2), 2);
  const double upper = (4.2 + std::sqrt(0.2 * 4.2)) / 6.4;
  const MatrixXd point = MatrixXd::Constant(1, 1, upper);
  CHECK(value(logistic, point)(0, 0) == Approx(upper).epsilon(1e-14));
}

TEST_CASE("with_counter counts, and its copies share the counts", "[map]") {
  auto f = basin::with_counter(basin::affine(maps::starts(7, 7, 5)));
  auto copy = f;
  (void)value(copy, Z);
  (void)value(f, Z.leftCols(3));
  MatrixXd JV(7, 33);
  jvp(be, f, Z, Z, JV);
  vjp(be, copy, Z, Z, JV);
  CHECK(f.counts().calls == 2);
  CHECK(f.counts().columns == 36);
  CHECK(f.counts().jvp_columns == 33);
  CHECK(f.counts().vjp_columns == 33);
  f.reset();
  CHECK(copy.counts().columns == 0);
}

TEST_CASE("finite differences, by name", "[map]") {
  auto exact = basin::compose(basin::activation(basin::tanh_function{}),
                              basin::affine(maps::starts(7, 7, 5)));
  auto f = basin::finite_difference(exact);
  MatrixXd V = maps::starts(7, 33, 8);
  V.col(3).setZero();
  V.col(4) *= 1e6;
  V.col(5) *= 1e-6;
  MatrixXd expected(7, 33);
  MatrixXd found(7, 33);
  jvp(be, exact, Z, V, expected);
  jvp(be, f, Z, V, found);
  for (index_t j = 0; j < 33; ++j) {
    CHECK((found.col(j) - expected.col(j)).norm() <= 1e-8 * V.col(j).norm());
  }
  // Second order: a hundredth of the error at a tenth of the step.
  const auto error = [&](double step) {
    auto g = basin::finite_difference(exact, {.step = step});
    jvp(be, g, Z, V, found);
    return (found.col(0) - expected.col(0)).norm();
  };
  CHECK(error(1e-2) / error(1e-3) == Approx(100).epsilon(0.05));
  CHECK_THROWS_AS(basin::finite_difference(exact, {.step = -1}), basin::argument_error);
}

TEST_CASE("products of derivatives say which sizes do not agree", "[map]") {
  auto f = basin::affine(W, b);
  MatrixXd out(4, 33);
  CHECK_THROWS_AS(jvp(be, f, Z, MatrixXd::Zero(7, 32), out), basin::size_error);
  CHECK_THROWS_AS(jvp(be, f, MatrixXd::Zero(6, 33), MatrixXd::Zero(6, 33), out), basin::size_error);
  MatrixXd back(7, 32);
  CHECK_THROWS_AS(vjp(be, f, Z, out, back), basin::size_error);
}

TEST_CASE("tanh is within two units of the last place", "[map]") {
  std::vector<double> points{0.0,     -0.0, 1e-300, 1e-12, 0.5,  -0.5,
                             0.50001, 19.0, 25.0,   710.0, 1e300};
  for (int i = -6000; i <= 6000; ++i) points.push_back(i * 0.0031415);
  const auto n = static_cast<basin::index_t>(points.size());
  const MatrixXd states = Eigen::Map<const Eigen::RowVectorXd>(points.data(), n);
  auto tanh = basin::activation(basin::tanh_function{});
  const MatrixXd values = value(tanh, states);
  double worst = 0;
  for (basin::index_t j = 0; j < n; ++j) {
    const auto exact = static_cast<double>(std::tanh(static_cast<long double>(states(0, j))));
    const double unit = std::nextafter(std::abs(exact), 2.0) - std::abs(exact);
    worst = std::max(worst, std::abs(values(0, j) - exact) / unit);
  }
  CHECK(worst <= 2);
  const double infinity = std::numeric_limits<double>::infinity();
  const MatrixXd ends =
      (MatrixXd(1, 8) << infinity, -infinity, std::nan(""), 1, 1, 1, 1, 1).finished();
  const MatrixXd of_ends = value(tanh, ends);
  CHECK(of_ends(0, 0) == 1);
  CHECK(of_ends(0, 1) == -1);
  CHECK(std::isnan(of_ends(0, 2)));
}
