#include <basin/map/dual.hpp>

#include <cmath>

#include <basin/map/differentiable.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "../solver/maps.hpp"

using dual = basin::dual<double>;

namespace {

// The derivative of f at x against a central difference of order four.
template <class F>
void check(const F& f, double x) {
  const dual found = f(dual(x, 1));
  CHECK(found.value == Approx(f(x)).epsilon(1e-15));
  const double h = 1e-3;
  const double difference = (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h);
  CHECK(found.derivative == Approx(difference).epsilon(1e-9).margin(1e-9));
}

}  // namespace

TEST_CASE("functions of duals carry exact derivatives", "[map]") {
  using std::abs, std::atan, std::cos, std::cosh, std::exp, std::log, std::pow, std::sin, std::sinh,
      std::sqrt, std::tan, std::tanh;
  for (const double x : {0.3, 0.9, 1.7}) {
    check([](auto v) { return v * v * v - 2 / v + (1 - v) / (v + 3); }, x);
    check([](auto v) { return sqrt(v) + exp(-v) + log(v); }, x);
    check([](auto v) { return sin(v) * cos(v) + tan(v / 2); }, x);
    check([](auto v) { return atan(v) + tanh(v) + sinh(v) - cosh(v / 3); }, x);
    check([](auto v) { return abs(-v) + pow(v, 3) + pow(v, 0.5); }, x);
    check([](auto v) { return pow(v, v); }, x);
    check(
        [](auto v) {
          auto w = v;
          w += 2;
          w *= v;
          w -= 1;
          w /= v;
          return +w;
        },
        x);
  }
  CHECK(max(dual(1, 5), dual(2, 7)).derivative == 7);
  CHECK(min(dual(1, 5), dual(2, 7)).derivative == 5);
  CHECK(abs(dual(0, 5)).derivative == 0);
  CHECK(dual(1, 5) == dual(1, 7));  // comparisons see the value
  CHECK(dual(1, 5) < 2);
}

TEST_CASE("differentiable: exact products with the Jacobian, both ways", "[map]") {
  const basin::cpu<double> be(2);
  const Eigen::MatrixXd W = maps::starts(6, 6, 2);
  const Eigen::MatrixXd Z = maps::starts(6, 50, 3);
  const Eigen::MatrixXd V = maps::starts(6, 50, 4);
  const auto check_map = [&](auto f) {
    Eigen::MatrixXd out(6, 50), JV(6, 50), JtV(6, 50);
    evaluate(be, f, Z, out);
    const Eigen::MatrixXd expected = (W * Z).array().tanh();
    CHECK((out - expected).norm() < 1e-13 * expected.norm());
    jvp(be, f, Z, V, JV);
    vjp(be, f, Z, V, JtV);
    const Eigen::ArrayXXd slope = 1 - expected.array().square();
    CHECK((JV - (slope * (W * V).array()).matrix()).norm() < 1e-13 * JV.norm());
    CHECK((JtV - W.transpose() * (slope * V.array()).matrix()).norm() < 1e-13 * JtV.norm());
    CHECK_THROWS_AS(jvp(be, f, Z.topRows(5), V.topRows(5), JV), basin::size_error);
  };
  const auto loop = [&](const auto& z, auto& out) {
    using std::tanh;
    for (Eigen::Index i = 0; i < 6; ++i) {
      auto sum = z[0] * W(i, 0);
      for (Eigen::Index j = 1; j < 6; ++j) sum += W(i, j) * z[j];
      out[i] = tanh(sum);
    }
  };
  check_map(basin::differentiable(6, loop));
  check_map(basin::differentiable<6>(loop));
  check_map(basin::differentiable(6, [&](const auto& z) { return (W * z).array().tanh(); }));
  auto cosine = basin::differentiable<1>([](auto x) {
    using std::cos;
    return cos(x);
  });
  const Eigen::MatrixXd point = Eigen::MatrixXd::Constant(1, 1, 0.4);
  Eigen::MatrixXd slope(1, 1);
  jvp(be, cosine, point, Eigen::MatrixXd::Ones(1, 1), slope);
  CHECK(slope(0, 0) == Approx(-std::sin(0.4)));
  // It is a columnwise map to the solver.
  static_assert(basin::is_columnwise<decltype(cosine)>);
  basin::FixedPointSolver solver{cosine, basin::picard{}, basin::stopping{.residual = 1e-12}};
  CHECK(solver.solve(point).states(0, 0) == Approx(0.7390851332151607).epsilon(1e-11));
}
