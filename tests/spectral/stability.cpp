// Stability of fixed points that are known, for the iteration and for the flow.
#include <cmath>
#include <limits>

#include <basin/map/affine.hpp>
#include <basin/map/compose.hpp>
#include <basin/map/differentiable.hpp>
#include <basin/map/finite_difference.hpp>
#include <basin/model/fully_connected.hpp>
#include <basin/model/linear.hpp>
#include <basin/spectral/stability.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "../solver/maps.hpp"
#include "matrices.hpp"

using basin::index_t;
using basin::stability;
using basin::stability_kind;

namespace {

constexpr basin::eigenvalue_method methods[] = {basin::eigenvalue_method::dense,
                                                basin::eigenvalue_method::krylov_schur};

basin::Stability of(const Eigen::MatrixXd& J, basin::stability_options options = {}) {
  auto map = basin::affine(J);
  return stability(one, map, Eigen::MatrixXd::Zero(J.rows(), 1), options)[0];
}

Eigen::MatrixXd diagonal(std::initializer_list<double> values) {
  Eigen::VectorXd d(static_cast<index_t>(values.size()));
  std::copy(values.begin(), values.end(), d.data());
  return d.asDiagonal();
}

}  // namespace

TEST_CASE("the iteration and the flow are judged side by side", "[spectral]") {
  const auto check = [](const Eigen::MatrixXd& J, stability_kind map, index_t unstable,
                        stability_kind flow, index_t flow_unstable) {
    const auto found = of(J);
    CHECK(found.map.kind == map);
    CHECK(found.map.unstable == unstable);
    CHECK(found.flow.kind == flow);
    CHECK(found.flow.unstable == flow_unstable);
  };
  using enum stability_kind;
  check(diagonal({0.5, -0.4}), attractor, 0, attractor, 0);
  check(diagonal({2, 0.5}), saddle, 1, saddle, 1);
  check(diagonal({2, 3}), repeller, 2, repeller, 2);
  check(diagonal({-2, 0.5}), saddle, 1, attractor, 0);
  check(diagonal({-2, -3}), repeller, 2, attractor, 0);
  check(diagonal({-1, 0.5}), marginal, 0, attractor, 0);
  check(diagonal({1, 0.5, 0}), marginal, 0, marginal, 0);
  check(diagonal({1, 2, 0}), saddle, 1, saddle, 1);
  check(diagonal({1, 2}), saddle, 1, saddle, 1);
  check(diagonal({0}), attractor, 0, attractor, 0);
  // A rotation by 0.5 with growth: |λ| = 1.1, Re λ = 0.965.
  const Eigen::MatrixXd turn =
      1.1 *
      (Eigen::Matrix2d() << std::cos(0.5), -std::sin(0.5), std::sin(0.5), std::cos(0.5)).finished();
  check(turn, repeller, 2, attractor, 0);
  CHECK(of(turn).map.leading == Approx(1.1));
  CHECK(of(turn).flow.leading == Approx(1.1 * std::cos(0.5)));
}

TEST_CASE("the band, and errors over its edges", "[spectral]") {
  CHECK(of(diagonal({0.99995, 0})).map.kind == stability_kind::marginal);
  CHECK(of(diagonal({1.00005, 0})).map.kind == stability_kind::marginal);
  CHECK(of(diagonal({0.9998, 0})).map.kind == stability_kind::attractor);
  CHECK(of(diagonal({1.0002, 0})).map.kind == stability_kind::saddle);
  CHECK(of(diagonal({0.99995, 0}), {.band = 1e-6}).map.kind == stability_kind::attractor);
  CHECK(of(diagonal({0.9998, 0}), {.band = 1e-2}).map.kind == stability_kind::marginal);
  // At an edge, and within a band that is narrower than the error.
  CHECK(of(diagonal({1 - 1e-4, 0})).map.kind == stability_kind::undecided);
  CHECK(of(diagonal({1, 0}), {.band = 0}).map.kind == stability_kind::undecided);
  auto single = basin::affine(Eigen::MatrixXf(Eigen::Vector2f(1, 0).asDiagonal()));
  const Eigen::MatrixXd origin = Eigen::MatrixXd::Zero(2, 1);
  const basin::cpu<float> cpu(1);
  CHECK(stability(cpu, single, origin)[0].map.kind == stability_kind::marginal);
  CHECK(stability(cpu, single, origin, {.band = 1e-7})[0].map.kind == stability_kind::undecided);
  // A defective value: far enough inside it is stable all the same.
  CHECK(of(matrices::jordan(2, 0.5, 1)).map.kind == stability_kind::attractor);
  CHECK(of(matrices::jordan(2, 1, 1)).map.kind == stability_kind::marginal);
  CHECK(of(matrices::jordan(2, 1, 1), {.band = 1e-9}).map.kind == stability_kind::undecided);
  // One of size 40 moves by more than 0.4 from rounding alone.
  CHECK(of(matrices::jordan(40, 0.5, 1)).map.kind == stability_kind::undecided);
}

TEST_CASE("verdicts from a part of the spectrum", "[spectral]") {
  const auto judge = [](std::vector<double> values, index_t k,
                        basin::spectral_status status = basin::spectral_status::converged) {
    basin::Spectrum s;
    const auto m = static_cast<index_t>(values.size());
    s.values = Eigen::Map<const Eigen::VectorXd>(values.data(), m);
    s.backward_error = Eigen::VectorXd::Constant(m, 1e-10);
    s.condition = Eigen::VectorXd::Ones(m);
    s.norm = 1;
    s.status = status;
    return basin::judge_stability(s, k, basin::eigenvalue_order::modulus);
  };
  CHECK(judge({0.9}, 10).kind == stability_kind::attractor);
  CHECK(judge({1}, 10).kind == stability_kind::marginal);
  CHECK(judge({1.5, 0.9}, 10).kind == stability_kind::saddle);
  CHECK(judge({1.5, 1.2}, 10).kind == stability_kind::undecided);
  CHECK(judge({1.5, 1.2}, 10).unstable == 2);
  CHECK(judge({1.5, 1.2}, 2).kind == stability_kind::repeller);
  CHECK(judge({0.9}, 10, basin::spectral_status::max_products).kind == stability_kind::undecided);
  CHECK(judge({}, 10).kind == stability_kind::undecided);
}

TEST_CASE("stability is the same by both methods", "[spectral]") {
  const index_t k = 100;
  Eigen::VectorXd values = Eigen::VectorXd::LinSpaced(k, -0.7, 0.7);
  const Eigen::MatrixXd Q = matrices::orthogonal(k, 6);
  for (const index_t unstable : {0, 3, 20, 100}) {
    // Real and well apart: growing ones from 1.2 on.
    Eigen::VectorXd d = values;
    for (index_t i = 0; i < unstable; ++i) d[i] = 1.2 + 0.05 * static_cast<double>(i);
    Eigen::MatrixXd J = Q * d.asDiagonal() * Q.transpose();
    for (const auto method : methods) {
      INFO(unstable << " unstable, method " << static_cast<int>(method));
      const auto found = of(J, {.eigenvalues = {.left_vectors = true, .method = method}});
      const auto kind = unstable == 0     ? stability_kind::attractor
                        : unstable == 100 ? stability_kind::repeller
                                          : stability_kind::saddle;
      CHECK(found.map.kind == kind);
      CHECK(found.map.unstable == unstable);
      CHECK(found.flow.kind == kind);
      CHECK(found.flow.unstable == unstable);
      CHECK(found.map.leading == Approx(d.cwiseAbs().maxCoeff()).epsilon(1e-7));
    }
  }
}

TEST_CASE("points that are not finite, none, and what is refused", "[spectral]") {
  auto logistic =
      basin::differentiable<1>([](const auto& z, auto& f) { f[0] = 3.5 * z[0] * (1.0 - z[0]); });
  Eigen::MatrixXd points(1, 3);
  points << 0, std::numeric_limits<double>::quiet_NaN(), 1 - 1 / 3.5;
  const auto found = stability(one, logistic, points);
  CHECK(found[0].map.kind == stability_kind::repeller);
  CHECK(found[1].map.kind == stability_kind::undecided);
  CHECK(found[1].by_modulus.status == basin::spectral_status::non_finite);
  CHECK(found[2].map.kind == stability_kind::repeller);  // λ = 2 - r
  CHECK(found[2].flow.kind == stability_kind::attractor);
  CHECK(stability(one, logistic, points.leftCols(0)).empty());
  CHECK_THROWS_AS(stability(one, logistic, points, {.band = -1}), basin::argument_error);
  CHECK_THROWS_AS(stability(one, logistic, maps::starts(2, 1)), basin::size_error);
  // Without vjp, by products.
  auto forward =
      basin::finite_difference(basin::columnwise(100, [](const auto& z, auto& f) { f = 0.5 * z; }));
  CHECK(stability(one, forward, maps::starts(100, 1))[0].map.kind == stability_kind::attractor);
}

TEMPLATE_TEST_CASE("networks without strict attractors are marginal", "[spectral]", float, double) {
  using matrix = Eigen::MatrixX<TestType>;
  const basin::cpu<TestType> cpu(1);
  // Principal components: every code is a fixed point.
  const Eigen::MatrixXd samples = maps::starts(12, 80);
  const auto pca = basin::pca_autoencoder(matrix(samples.cast<TestType>()), 5);
  auto identity = pca.latent_map();
  for (const auto& s : stability(cpu, identity, maps::starts(5, 3))) {
    CHECK(s.map.kind == stability_kind::marginal);
    CHECK(s.map.marginal == 5);
    CHECK(s.flow.kind == stability_kind::marginal);
  }
  // And every point of the plane, of the reconstruction: 5 marginal directions, 7 that vanish.
  auto projection = pca.reconstruction_map();
  const auto plane = stability(cpu, projection, samples.leftCols(1));
  CHECK(plane[0].map.kind == stability_kind::marginal);
  CHECK(plane[0].map.marginal == 5);

  // A homogeneous net: g(z) = f(z) / μ with f(z) = μ z has J z = z at z, and on all of its ray.
  for (const index_t k : {3, 70}) {
    auto autoencoder = basin::fully_connected<TestType>(
        {.image = {100, 1, 1}, .hidden = {90}, .latent = k, .bias = false});
    autoencoder.initialize(4);
    auto f = autoencoder.latent_map();
    matrix z = matrix::Constant(k, 1, TestType(0.3)), value(k, 1);
    for (int t = 0; t < 3000; ++t) {
      basin::evaluate(cpu, f, z, value);
      z = value / value.norm();
    }
    basin::evaluate(cpu, f, z, value);
    const TestType factor = value.norm();
    REQUIRE((value - factor * z).norm() < TestType(1e-4) * factor);
    auto g = basin::compose(basin::affine(matrix(matrix::Identity(k, k) / factor)), f);
    Eigen::MatrixXd points(k, 3);
    points << z.template cast<double>(), 2 * z.template cast<double>(),
        40 * z.template cast<double>();
    for (const auto& s : stability(cpu, g, points)) {
      INFO("k " << k << ", " << s.map.leading << " +- " << s.map.error);
      CHECK(s.map.kind == stability_kind::marginal);
      CHECK(s.map.marginal == 1);
      CHECK(s.map.leading == Approx(1).margin(1e-5));
      CHECK(s.flow.kind == stability_kind::marginal);
    }
  }
}

TEST_CASE("a budget that is too small for all unstable values ends", "[spectral]") {
  Eigen::VectorXd values = Eigen::VectorXd::LinSpaced(100, 1.5, 2);
  values[0] = 10;
  auto map = basin::affine(Eigen::MatrixXd(values.asDiagonal()));
  const basin::eigenvalue_options few{.method = basin::eigenvalue_method::krylov_schur,
                                      .max_products = 30};
  const auto found = basin::stability(basin::cpu<double>(1), map, Eigen::MatrixXd::Zero(100, 1),
                                      {.eigenvalues = few});
  CHECK(found[0].map.unstable >= 1);
  const basin::eigenvalue_options none{.method = basin::eigenvalue_method::krylov_schur};
  CHECK(basin::eigenvalues(basin::cpu<double>(1), map, Eigen::MatrixXd(100, 0), none).empty());
}

TEST_CASE("a growing direction that the first vector lacks is no attractor", "[spectral]") {
  // The value 1.5 has a left vector that is orthogonal to the space's first vector.
  const index_t k = 100;
  const Eigen::VectorXd first = basin::KrylovSchur(k).direction();
  Eigen::VectorXd y = maps::starts(k, 1, 21);
  y -= first * first.dot(y);
  const Eigen::VectorXd x = maps::starts(k, 1, 20);
  const Eigen::MatrixXd P = x * y.transpose() / y.dot(x);
  const Eigen::MatrixXd rest = Eigen::MatrixXd::Identity(k, k) - P;
  const Eigen::MatrixXd Q = matrices::orthogonal(k, 12);
  Eigen::VectorXd d = Eigen::VectorXd::LinSpaced(k, -0.05, 0.05);
  d.head(3) << 0.9, 0.8, 0.7;
  const Eigen::MatrixXd J = 1.5 * P + rest * Q * d.asDiagonal() * Q.transpose() * rest;
  for (const auto method : methods) {
    const auto found = of(
        J, {.eigenvalues = {.count = 3, .left_vectors = true, .method = method, .dimension = 6}});
    CHECK(found.map.kind == stability_kind::saddle);
    CHECK(found.map.unstable == 1);
    CHECK(found.map.leading == Approx(1.5));
    CHECK(found.flow.kind == stability_kind::saddle);
  }
}
