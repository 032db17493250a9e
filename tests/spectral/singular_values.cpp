// Singular values of Jacobians that are known, by both methods, against Eigen's own.
#include <cmath>
#include <limits>

#include <Eigen/SVD>

#include <basin/backend/cpu.hpp>
#include <basin/map/activation.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/compose.hpp>
#include <basin/map/finite_difference.hpp>
#include <basin/spectral/singular_values.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "../solver/maps.hpp"
#include "matrices.hpp"
#include "singular_suite.hpp"

using basin::index_t;
using basin::singular_value_method;
using basin::singular_values;
using basin::spectral_status;

namespace {

constexpr singular_value_method methods[] = {singular_value_method::dense,
                                             singular_value_method::golub_kahan};

basin::SingularValues of(const Eigen::MatrixXd& J, basin::singular_value_options options = {}) {
  auto map = basin::affine(J);
  return singular_values(one, map, Eigen::MatrixXd::Zero(J.cols(), 1), options)[0];
}

// The residual of triplet i, as the result says it.
double residual(const Eigen::MatrixXd& J, const basin::SingularValues& s, index_t i) {
  const double norm = Eigen::BDCSVD<Eigen::MatrixXd>(J).singularValues()[0];
  return std::hypot((J * s.right.col(i) - s.values[i] * s.left.col(i)).norm(),
                    (J.transpose() * s.left.col(i) - s.values[i] * s.right.col(i)).norm()) /
         norm;
}

}  // namespace

TEST_CASE("singular values of matrices that are known", "[spectral]") {
  spectra::known_singular_values(one);
  spectra::singular_values_of_many_shapes(one);
}

TEST_CASE("singular values and vectors agree with Eigen's", "[spectral]") {
  for (const index_t k : {2, 3, 10, 61, 200}) {
    for (const auto& J : {Eigen::MatrixXd(maps::starts(k, k, 7)), matrices::grcar(k),
                          matrices::jordan(k, 0.9, 1)}) {
      const Eigen::VectorXd known = Eigen::BDCSVD<Eigen::MatrixXd>(J).singularValues();
      for (const auto method : methods) {
        for (const double tolerance : {1e-4, 1e-10}) {
          INFO("k " << k << ", method " << static_cast<int>(method) << ", " << tolerance);
          const auto found =
              of(J, {.count = 6, .tolerance = tolerance, .vectors = true, .method = method});
          REQUIRE(found.status == spectral_status::converged);
          const index_t m = std::min<index_t>(6, k);
          REQUIRE(found.size() == m);
          CHECK((found.left.transpose() * found.left - Eigen::MatrixXd::Identity(m, m)).norm() <
                1e-12);
          CHECK((found.right.transpose() * found.right - Eigen::MatrixXd::Identity(m, m)).norm() <
                1e-12);
          for (index_t i = 0; i < m; ++i) {
            CHECK(residual(J, found, i) <= 1.01 * found.residual[i] + 1e-13);
            CHECK(found.residual[i] <= tolerance);
            CHECK(std::abs(found.values[i] - known[i]) <= (found.residual[i] + 1e-13) * known[0]);
          }
        }
      }
    }
  }
}

TEST_CASE("Jacobians that are not square, and low rank", "[spectral]") {
  for (const auto& [rows, cols] :
       {std::pair<index_t, index_t>{90, 70}, {70, 90}, {1, 80}, {80, 1}}) {
    const Eigen::MatrixXd J = maps::starts(rows, cols, 3);
    const Eigen::VectorXd known = Eigen::BDCSVD<Eigen::MatrixXd>(J).singularValues();
    for (const auto method : methods) {
      INFO(rows << " x " << cols << ", method " << static_cast<int>(method));
      const auto found = of(J, {.count = 4, .vectors = true, .method = method});
      const index_t m = std::min<index_t>({4, rows, cols});
      REQUIRE(found.size() == m);
      CHECK(found.left.rows() == rows);
      CHECK(found.right.rows() == cols);
      CHECK((found.values - known.head(m)).cwiseAbs().maxCoeff() <= 1e-12 * known[0]);
      CHECK((J * found.right - found.left * Eigen::MatrixXd(found.values.asDiagonal())).norm() <=
            1e-7 * known[0]);
    }
  }
  const Eigen::MatrixXd J = maps::starts(100, 2, 1) * maps::starts(2, 100, 2);
  for (const auto method : methods) {
    const auto found = of(J, {.count = 5, .vectors = true, .method = method});
    CHECK(found.status == spectral_status::converged);
    CHECK(found.values.tail(3).maxCoeff() < 1e-13 * found.values[0]);
    // Vectors of the value 0 too.
    CHECK((found.left.transpose() * found.left - Eigen::MatrixXd::Identity(5, 5)).norm() < 1e-12);
    CHECK((found.right.transpose() * found.right - Eigen::MatrixXd::Identity(5, 5)).norm() < 1e-12);
  }
}

TEST_CASE("singular values of a map in float are as good as it is", "[spectral]") {
  const Eigen::MatrixXf J = maps::starts(150, 150, 4).cast<float>();
  const Eigen::VectorXd known = Eigen::BDCSVD<Eigen::MatrixXd>(J.cast<double>()).singularValues();
  const basin::cpu<float> cpu(1);
  auto map = basin::affine(J);
  for (const auto method : methods) {
    const auto found =
        singular_values(cpu, map, Eigen::MatrixXd::Zero(150, 1), {.count = 3, .method = method})[0];
    CHECK(found.status == spectral_status::converged);
    CHECK((found.values - known.head(3)).cwiseAbs().maxCoeff() <=
          found.residual.maxCoeff() * known[0]);
    CHECK(found.residual.maxCoeff() < 2e-5);
    CHECK(found.residual.minCoeff() >= std::numeric_limits<float>::epsilon());
    // Residuals with the matrix itself, which products in float know inexactly.
    const auto vectors =
        singular_values(cpu, map, Eigen::MatrixXd::Zero(150, 1),
                        {.count = 3, .tolerance = 1e-7, .vectors = true, .method = method})[0];
    for (index_t i = 0; i < 3; ++i) {
      CHECK(residual(J.cast<double>(), vectors, i) <= vectors.residual[i]);
    }
  }
}

TEST_CASE("many points at once, each for itself", "[spectral]") {
  const index_t k = 90;
  auto map = maps::network<double>(k);
  Eigen::MatrixXd points = maps::starts(k, 9, 8);
  for (const auto method : methods) {
    const basin::singular_value_options options{.count = 3, .method = method};
    const auto together = singular_values(one, map, points, options);
    Eigen::MatrixXd damaged = points;
    damaged(5, 4) = std::numeric_limits<double>::quiet_NaN();
    damaged(0, 7) = std::numeric_limits<double>::infinity();
    const auto others = singular_values(basin::cpu<double>(3), map, damaged, options);
    for (std::size_t j = 0; j < 9; ++j) {
      CHECK(together[j].status == spectral_status::converged);
      if (j == 4 || j == 7) continue;
      CHECK((together[j].values.array() == others[j].values.array()).all());
      CHECK(together[j].products == others[j].products);
    }
    const auto alone = singular_values(one, map, points.col(5), options)[0];
    CHECK((alone.values.array() == together[5].values.array()).all());
    CHECK(others[4].status == spectral_status::non_finite);
    CHECK(others[4].size() == 0);
    CHECK(std::isnan(others[4].norm()));
    CHECK(singular_values(one, map, points.leftCols(0), options).empty());
  }
  const auto norms = basin::spectral_norm(one, map, points);
  const auto dense =
      basin::spectral_norm(one, map, points, {.method = singular_value_method::dense});
  CHECK((norms.values - dense.values).cwiseAbs().maxCoeff() <= 1e-8);
  CHECK((norms.values - dense.values).cwiseQuotient(norms.errors).cwiseAbs().maxCoeff() <= 1);
  CHECK(norms.products < dense.products);
}

TEST_CASE("a budget of products, and what is refused", "[spectral]") {
  const Eigen::MatrixXd J = matrices::orthogonal(200, 1) *
                            Eigen::VectorXd::LinSpaced(200, 0.9, 1).asDiagonal() *
                            matrices::orthogonal(200, 2);
  for (const index_t budget : {2, 30, 52, 75}) {
    const auto found = of(J, {.vectors = true, .max_products = budget});
    CHECK(found.status == spectral_status::max_products);
    CHECK(found.products <= budget);
    REQUIRE(found.size() >= 1);
    CHECK(found.values[0] <= 1 + 1e-14);
    CHECK(found.values[0] > 0.9);
    // What is said of the error holds all the same.
    for (index_t i = 0; i < found.size(); ++i) {
      CHECK(residual(J, found, i) * 1 <= 1.1 * found.residual[i] / found.values[0] + 1e-14);
    }
  }
  auto map = basin::affine(J);
  const Eigen::MatrixXd point = Eigen::MatrixXd::Zero(200, 1);
  const auto run = [&](basin::singular_value_options options) {
    return singular_values(one, map, point, options);
  };
  CHECK_THROWS_AS(run({.count = 0}), basin::argument_error);
  CHECK_THROWS_AS(run({.tolerance = -1}), basin::argument_error);
  CHECK_THROWS_AS(run({.count = 6, .dimension = 7}), basin::argument_error);
  CHECK_THROWS_AS(run({.max_products = 1}), basin::argument_error);
  CHECK_THROWS_AS(singular_values(one, map, maps::starts(3, 1)), basin::size_error);
  // Without vjp the dense method serves.
  auto forward =
      basin::finite_difference(basin::columnwise<3>([](const auto& z, auto& f) { f = 2 * z; }));
  CHECK(singular_values(one, forward, maps::starts(3, 1))[0].values[2] == Approx(2));
  CHECK_THROWS_AS(singular_values(one, forward, maps::starts(3, 1),
                                  {.method = singular_value_method::golub_kahan}),
                  basin::argument_error);
  basin::GolubKahan method(2, 2);
  CHECK_THROWS_AS(method.take(Eigen::VectorXd::Zero(3)), basin::size_error);
  CHECK_THROWS_AS(basin::GolubKahan(0, 2), basin::argument_error);
}
