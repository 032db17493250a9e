// The exponential methods on stiff flows, and the small functions they are made of.
#include <cmath>
#include <vector>

#include <Eigen/LU>

#include <basin/dynamics/dopri5.hpp>
#include <basin/dynamics/exponential_rosenbrock.hpp>
#include <basin/dynamics/rkf78.hpp>
#include <basin/map/finite_difference.hpp>

#include "../one_thread.hpp"
#include "flows.hpp"

using basin::flow_status;
using basin::flow_stopping;
using basin::FlowSolver;
using basin::index_t;

TEST_CASE("φ functions of small matrices", "[dynamics]") {
  // φ_p(x) by its definition, with the eigenvectors of H.
  const auto phi = [](int p, double x) {
    double value = std::exp(x);
    double factorial = 1;
    for (int q = 1; q <= p; ++q) {
      value = (value - 1 / factorial) / x;
      factorial *= q;
    }
    return value;
  };
  for (const double size : {0.5, 5.0, 400.0}) {
    const Eigen::MatrixXd S = maps::starts(5, 5, 2) + 2 * Eigen::MatrixXd::Identity(5, 5);
    const Eigen::VectorXd x = -size * Eigen::VectorXd::LinSpaced(5, 0.4, 1.0);
    const Eigen::MatrixXd H = S * x.asDiagonal() * S.inverse();
    std::vector<double> result(20);
    std::vector<double> work(static_cast<std::size_t>(basin::detail::phi_work(5, 4)));
    basin::detail::phi_of_first(H.data(), 5, 5, 4, result.data(), work.data());
    for (int p = 1; p <= 3; ++p) {
      const Eigen::VectorXd values = x.unaryExpr([&](double v) { return phi(p, v); });
      const Eigen::VectorXd expected = S * values.asDiagonal() * S.inverse().col(0);
      const Eigen::Map<const Eigen::VectorXd> found(result.data() + 5 * (p - 1), 5);
      CHECK((found - expected).norm() < 1e-11 * std::max(1.0, size) * expected.norm());
    }
  }
}

TEST_CASE("a stiff linear part costs no steps", "[dynamics]") {
  // dz/dt = A z with rates from -1e5 to -1, in R^20: the Krylov space is found, or the step
  // is shortened; the answer stays within the tolerance.
  const Eigen::VectorXd rates =
      -Eigen::VectorXd::LinSpaced(20, 0, 5).unaryExpr([](double e) { return std::pow(10.0, e); });
  const Eigen::MatrixXd Q = Eigen::MatrixXd(maps::starts(20, 20, 8)).householderQr().householderQ();
  const Eigen::MatrixXd A = Q * rates.asDiagonal() * Q.transpose();
  const auto map = basin::affine(Eigen::MatrixXd(A + Eigen::MatrixXd::Identity(20, 20)));
  const Eigen::MatrixXd Z = maps::starts(20, 6);
  const Eigen::MatrixXd expected =
      Q * rates.array().exp().matrix().asDiagonal() * Q.transpose() * Z;
  FlowSolver solver{map, basin::exponential_rosenbrock{.relative = 1e-7, .absolute = 1e-9},
                    flow_stopping{.time = 1, .residual = 0}};
  const auto found = solver.solve(one, Z);
  CHECK(found.count(flow_status::time_reached) == 6);
  CHECK((found.states - expected).cwiseAbs().maxCoeff() < 1e-6);
  CHECK(found.accepted[0] < 20);
  FlowSolver explicit_one{map, basin::dopri5{.relative = 1e-7, .absolute = 1e-9},
                          flow_stopping{.time = 1, .residual = 0}};
  CHECK(explicit_one.solve(one, Z).accepted[0] > 10000);
}

TEST_CASE("Prothero and Robinson's equation, made autonomous", "[dynamics]") {
  // dx/dt = λ (x - sin s) + cos s, ds/dt = 1: x = sin t from x = 0, however large -λ is.
  for (const double lambda : {-1e2, -1e4, -1e6}) {
    const auto map = basin::differentiable<2>([lambda](const auto& z, auto& f) {
      using std::cos;
      using std::sin;
      f[0] = z[0] + lambda * (z[0] - sin(z[1])) + cos(z[1]);
      f[1] = z[1] + 1.0;
    });
    FlowSolver solver{map, basin::exponential_rosenbrock{},
                      flow_stopping{.time = 10, .residual = 0}};
    const auto found = solver.solve(one, Eigen::Vector2d(0, 0));
    CHECK(found.status[0] == flow_status::time_reached);
    CHECK(std::abs(found.states(0, 0) - std::sin(10.0)) < 1e-4);
    CHECK(found.accepted[0] < 3000);  // however large -λ is
  }
}

TEST_CASE("Van der Pol's oscillator with a stiff and a soft column", "[dynamics]") {
  const Eigen::Vector2d z(2, 0);
  const flow_stopping stopping{.time = 11, .residual = 0, .max_steps = 1'000'000};
  const auto map = flows::van_der_pol(100);
  FlowSolver reference{map, basin::rkf78{.relative = 1e-11, .absolute = 1e-12}, stopping};
  FlowSolver solver{map, basin::exponential_rosenbrock{.relative = 1e-6}, stopping};
  const auto expected = reference.solve(one, z);
  const auto found = solver.solve(one, z);
  CHECK(found.status[0] == flow_status::time_reached);
  CHECK((found.states - expected.states).norm() < 1e-4);
  CHECK(found.accepted[0] < expected.accepted[0] / 3);
  CHECK(found.products[0] > 0);
  // Derivatives by differences do as well.
  FlowSolver differences{basin::finite_difference(map),
                         basin::exponential_rosenbrock{.relative = 1e-6}, stopping};
  CHECK((differences.solve(one, z).states - expected.states).norm() < 1e-4);
}

TEST_CASE("a Krylov space smaller than R^k", "[dynamics]") {
  const auto map = maps::network<double>(128);
  const Eigen::MatrixXd Z = 2 * maps::starts(128, 10);
  const flow_stopping stopping{.time = 3, .residual = 0};
  FlowSolver reference{map, basin::rkf78{.relative = 1e-11, .absolute = 1e-12}, stopping};
  const auto expected = reference.solve(one, Z);
  for (const index_t krylov : {2, 5, 30}) {
    FlowSolver solver{
        map, basin::exponential_rosenbrock{.relative = 1e-6, .absolute = 1e-7, .krylov = krylov},
        stopping};
    const auto found = solver.solve(one, Z);
    CHECK(found.count(flow_status::time_reached) == 10);
    CHECK((found.states - expected.states).cwiseAbs().maxCoeff() < 1e-4);
  }
}
