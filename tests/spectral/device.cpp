// Spectra on the device backend: what they are on the CPU, and the same answers. Built by nvcc for
// a GPU, and by a plain compiler for Thrust's sequential host system.
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include <basin/backend/cuda.hpp>
#include <basin/map/activation.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/compose.hpp>
#include <basin/spectral/cuda/krylov_spaces.hpp>
#include <basin/spectral/cuda/lyapunov_exponents.hpp>
#include <basin/spectral/eigenvalues.hpp>
#include <basin/spectral/lyapunov_exponents.hpp>
#include <basin/spectral/norm_estimates.hpp>
#include <basin/spectral/singular_values.hpp>
#include <basin/spectral/spectral_radius.hpp>

#include "../backend/launch.hpp"
#include "eigenvalues_suite.hpp"
#include "singular_suite.hpp"

using basin::index_t;
using basin::spectral_status;

namespace {

template <class Scalar>
Eigen::MatrixX<Scalar> weights(index_t k) {
  return (maps::starts(k, k, 5) * (0.9 * std::sqrt(3.0 / static_cast<double>(k))))
      .template cast<Scalar>();
}
template <class Scalar>
auto on_device(const basin::cuda<Scalar>& be, index_t k) {
  return basin::compose(basin::activation(basin::tanh_function{}),
                        basin::affine(be, weights<Scalar>(k)));
}
template <class Scalar>
auto on_host(index_t k) {
  return basin::compose(basin::activation(basin::tanh_function{}),
                        basin::affine(weights<Scalar>(k)));
}
template <class Scalar>
constexpr double tolerance() {
  return std::is_same_v<Scalar, float> ? 2e-5 : 1e-9;
}

}  // namespace

TEST_CASE("eigenvalues on the device do what they do on the CPU", "[spectral]") {
  const basin::cuda<double> be;
  SECTION("LAPACK") { spectra::leading_values_are_lapacks(be); }
  SECTION("conditions") { spectra::conditions_are_lapacks(be); }
  SECTION("defective") { spectra::defective_values(be); }
  SECTION("pairs") { spectra::pairs_are_not_split(be); }
  SECTION("orders") { spectra::both_orders(be); }
  SECTION("closed") { spectra::spaces_close(be); }
  SECTION("budget") { spectra::budget_is_spent(be); }
  SECTION("residuals") { spectra::residuals_are_true(be); }
  SECTION("large") { spectra::large_blocks(be); }
  SECTION("left") { spectra::left_vectors_of_their_own(be); }
  SECTION("lacking") { spectra::first_vectors_that_lack(be); }
  SECTION("multiple") { spectra::multiple_values(be); }
  SECTION("repeated") { spectra::repeated_pairs(be); }
  SECTION("dual") { spectra::dual_vectors(be); }
  SECTION("scales") { spectra::scales(be); }
}

TEST_CASE("singular values on the device do what they do on the CPU", "[spectral]") {
  const basin::cuda<double> be;
  SECTION("known") { spectra::known_singular_values(be); }
  SECTION("shapes") { spectra::singular_values_of_many_shapes(be); }
}

TEMPLATE_TEST_CASE("spectra of many points on the device are those of the CPU", "[spectral]", float,
                   double) {
  const basin::cuda<TestType> be;
  const basin::cpu<TestType> cpu(2);
  const index_t k = 90;
  auto map = on_device(be, k);
  auto host = on_host<TestType>(k);
  Eigen::MatrixXd points = maps::starts(k, 6, 8);
  points(3, 2) = std::numeric_limits<double>::quiet_NaN();
  points(0, 4) = std::numeric_limits<double>::infinity();
  const auto found = basin::eigenvalues(be, map, points, {.count = 3, .left_vectors = true});
  const auto expected = basin::eigenvalues(cpu, host, points, {.count = 3, .left_vectors = true});
  const auto singular = basin::singular_values(be, map, points, {.count = 3});
  const auto known = basin::singular_values(cpu, host, points, {.count = 3});
  const auto norms = basin::spectral_norm(be, map, points);
  const auto radii = basin::spectral_radius(be, map, points);
  const auto host_radii = basin::spectral_radius(cpu, host, points);
  const auto abscissae = basin::numerical_abscissa(be, map, points);
  const auto host_abscissae = basin::numerical_abscissa(cpu, host, points);
  for (std::size_t j = 0; j < 6; ++j) {
    CAPTURE(j);
    const auto column = static_cast<index_t>(j);
    CHECK(found[j].status == expected[j].status);
    CHECK(singular[j].status == known[j].status);
    CHECK(radii.status[j] == host_radii.status[j]);
    CHECK(abscissae.status[j] == host_abscissae.status[j]);
    REQUIRE(found[j].size() == expected[j].size());
    REQUIRE(singular[j].size() == known[j].size());
    if (j == 4) continue;  // where tanh is flat, all of J is 0
    if (j == 2) {
      CHECK(found[j].status == spectral_status::non_finite);
      CHECK(std::isnan(norms.values[column]));
      continue;
    }
    CHECK((found[j].values - expected[j].values).norm() < 10 * tolerance<TestType>());
    CHECK(std::abs(found[j].condition[0] / expected[j].condition[0] - 1) < 1e-2);
    CHECK((singular[j].values - known[j].values).norm() < tolerance<TestType>());
    CHECK(norms.values[column] == Approx(known[j].values[0]).epsilon(tolerance<TestType>()));
    CHECK(radii.values[column] ==
          Approx(host_radii.values[column]).epsilon(10 * tolerance<TestType>()));
    CHECK(abscissae.values[column] ==
          Approx(host_abscissae.values[column]).epsilon(tolerance<TestType>()));
  }
  // A point's answer does not depend on the others, as far as the map's products do not.
  const auto alone = basin::eigenvalues(be, map, points.col(5), {.count = 3, .left_vectors = true});
  CHECK((alone[0].values - found[5].values).norm() < 10 * tolerance<TestType>());
  CHECK(basin::eigenvalues(be, map, points.leftCols(0)).empty());
}

TEMPLATE_TEST_CASE("products on the device are made orthogonal whatever the shape", "[spectral]",
                   float, double) {
  const basin::cuda<TestType> be;
  for (const index_t k : {1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300}) {
    for (const index_t n : {0, 1, 2, 5, 21, 33}) {
      if (n >= k) continue;
      CAPTURE(k, n);
      launches::in_every_schedule([&] {
        // Two spaces, products beside each other with rows that belong to nobody.
        basin::detail::SpacePool<TestType> pool(be, k, n + 2, 2);
        basin::detail::DeviceBasis<TestType> first(pool, k), second(pool, k);
        const Eigen::MatrixXd V = matrices::orthogonal(k, 3);
        for (index_t i = 0; i < n; ++i) second.set(i, V.col(i));
        Eigen::MatrixX<TestType> W = maps::starts(k, 2, 4).template cast<TestType>();
        auto products = be.make_matrix(k, 2);
        upload(be, W, columns(be, products, 0, 2));
        const auto jobs = pool.uploaded(std::vector<basin::detail::krylov_job>{
            {0, first.column(0), 0, k, 1, 0}, {0, second.column(0), n, k, 2, 0}});
        const Eigen::MatrixXd records = pool.orthogonalise(
            basin::device_view<const TestType>(products), jobs.data(), std::max<index_t>(n, 1));
        const Eigen::VectorXd w = 2 * W.col(1).template cast<double>();
        const Eigen::VectorXd h = V.leftCols(n).transpose() * w;
        const Eigen::VectorXd rest = w - V.leftCols(n) * h;
        CHECK(records(0, 1) == Approx(w.cwiseAbs().maxCoeff() / 2).epsilon(1e-14));
        CHECK(records(1, 1) == Approx(w.norm()).epsilon(1e-14));
        CHECK(records(2, 1) == Approx(rest.norm()).epsilon(1e-12));
        CHECK((records.col(1).segment(3, n) - h).norm() <= 1e-14 * w.norm());
        CHECK(records(2, 0) == Approx(W.col(0).template cast<double>().norm()).epsilon(1e-14));
        second.keep(n, records(2, 1));
        // Rotations and moves wait for each other.
        Eigen::MatrixXd all(k, n + 1);
        all << V.leftCols(n), rest / rest.norm();
        const Eigen::MatrixXd Q = matrices::orthogonal(n + 1, 6);
        second.rotate(0, Q);
        second.move(n, n + 1);
        second.rotate(0, Q.transpose());
        Eigen::MatrixXd turned = all * Q;
        const Eigen::VectorXd last = turned.col(n);
        turned = (turned * Q.transpose()).eval();
        const Eigen::MatrixXd C = Eigen::MatrixXd::Identity(n + 2, n + 2);
        const Eigen::MatrixXd answer = second.combination(C);
        CHECK((answer.leftCols(n + 1) - turned).norm() < 1e-12);
        CHECK((answer.col(n + 1) - last).norm() < 1e-12);
        CHECK((first.combination(C.leftCols(1).topRows(1)) - W.col(0).template cast<double>())
                  .norm() == 0);
      });
    }
  }
}

TEMPLATE_TEST_CASE("Lyapunov exponents on the device are those of the CPU", "[spectral]", float,
                   double) {
  const basin::cuda<TestType> be;
  const basin::cpu<TestType> cpu(2);
  const bool single = std::is_same_v<TestType, float>;
  SECTION("shapes") {
    for (const index_t k : {1, 2, 5, 31, 33, 65}) {
      for (const index_t count : {1, 2, 3, 7}) {
        for (const index_t n : {1, 4}) {
          CAPTURE(k, count, n);
          auto map = on_device(be, k);
          auto host = on_host<TestType>(k);
          Eigen::MatrixXd points = maps::starts(k, n, 9);
          if (n > 2) points(0, 2) = std::numeric_limits<double>::quiet_NaN();
          const basin::lyapunov_options options{
              .count = count, .transient = 4, .steps = 8, .batches = 4};
          // A case to a schedule: each has to be right in any.
          const auto which = static_cast<std::size_t>(k + count + n) % launches::schedules.size();
          const basin::scoped_schedule in_order(launches::schedules[which]);
          const auto found = basin::lyapunov_exponents(be, map, points, options);
          const auto expected = basin::lyapunov_exponents(cpu, host, points, options);
          for (std::size_t j = 0; j < found.size(); ++j) {
            CHECK(found[j].finite == expected[j].finite);
            CHECK(found[j].products == expected[j].products);
            CHECK(found[j].steps == expected[j].steps);
            REQUIRE(found[j].size() == expected[j].size());
            if (!found[j].finite) continue;
            CHECK((found[j].values - expected[j].values).norm() < (single ? 1e-3 : 1e-9));
            CHECK((found[j].state - expected[j].state).norm() < (single ? 1e-5 : 1e-13));
            CHECK(found[j].path == Approx(expected[j].path).epsilon(single ? 1e-4 : 1e-12));
            CHECK(found[j].displacement ==
                  Approx(expected[j].displacement).epsilon(single ? 1e-4 : 1e-12));
          }
        }
      }
    }
  }
  SECTION("directions that vanish, and trajectories that leave") {
    Eigen::MatrixX<TestType> J = Eigen::MatrixX<TestType>::Zero(3, 3);
    J(0, 0) = TestType(0.5);
    auto flat = basin::affine(be, J);
    const auto mixed = basin::lyapunov_exponents(be, flat, maps::starts(3, 1),
                                                 {.count = 3, .transient = 10, .steps = 20})[0];
    CHECK(mixed.values[0] == Approx(std::log(0.5)).epsilon(single ? 1e-6 : 1e-12));
    CHECK(std::isinf(mixed.values[1]));
    CHECK(std::isinf(mixed.values[2]));
    Eigen::MatrixX<TestType> large = Eigen::MatrixX<TestType>::Identity(3, 3);
    large(1, 1) = TestType(single ? 1e6 : 1e50);
    auto leaves = basin::affine(be, large);
    Eigen::MatrixXd points = Eigen::MatrixXd::Ones(3, 3);
    points(1, 0) = points(1, 2) = 0;  // these stay
    const auto found =
        basin::lyapunov_exponents(be, leaves, points, {.count = 1, .transient = 4, .steps = 20});
    CHECK(found[0].finite);
    CHECK_FALSE(found[1].finite);
    CHECK(found[2].finite);
    CHECK(found[2].steps == 20);
    CHECK(found[2].values[0] == found[0].values[0]);
  }
}

TEST_CASE("norm estimates on the device are those of the CPU", "[spectral]") {
  const basin::cuda<double> be;
  auto map = on_device(be, 20);
  auto host = on_host<double>(20);
  const Eigen::MatrixXd points = maps::starts(20, 3, 9);
  const auto found = basin::norm_estimates(be, map, points);
  const auto expected = basin::norm_estimates(basin::cpu<double>(1), host, points);
  for (std::size_t j = 0; j < 3; ++j) {
    CHECK(found.frobenius[j].value == Approx(expected.frobenius[j].value).epsilon(1e-12));
    CHECK(found.trace[j].value == Approx(expected.trace[j].value).margin(1e-12));
    CHECK(found.asymmetry[j].value == Approx(expected.asymmetry[j].value).epsilon(1e-12));
  }
}
