// Norms, traces and asymmetry from probes, where they are known.
#include <cmath>
#include <limits>

#include <basin/dynamics/conservativity.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/finite_difference.hpp>
#include <basin/spectral/norm_estimates.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "../solver/maps.hpp"

using basin::index_t;

TEST_CASE("estimates of a diagonal Jacobian are exact", "[spectral]") {
  const Eigen::Vector4d d(1, -2, 3, 0.5);
  auto map = basin::affine(Eigen::MatrixXd(d.asDiagonal()));
  const auto found = basin::norm_estimates(one, map, maps::starts(4, 3), {.probes = 2});
  for (std::size_t j = 0; j < 3; ++j) {
    CHECK(found.frobenius[j].value == Approx(d.norm()).epsilon(1e-14));
    CHECK(found.frobenius[j].error < 1e-14);
    CHECK(found.trace[j].value == Approx(2.5).epsilon(1e-14));
    CHECK(found.trace[j].error < 1e-14);
    CHECK(found.asymmetry[j].value == 0);
    CHECK(found.asymmetry[j].error == 0);
  }
}

TEST_CASE("estimates lie within their errors as often as they should", "[spectral]") {
  const Eigen::MatrixXd J = maps::starts(40, 40, 3);
  auto map = basin::affine(J);
  const index_t n = 400;
  const auto found = basin::norm_estimates(one, map, Eigen::MatrixXd::Zero(40, n), {.probes = 30});
  const auto inside = [&](const std::vector<basin::estimate>& all, double truth) {
    index_t count = 0;
    for (const basin::estimate& e : all) {
      CHECK(e.used == 30);
      if (std::abs(e.value - truth) <= 2 * e.error) ++count;
    }
    return static_cast<double>(count) / static_cast<double>(n);
  };
  // 95 % in theory, of Student's distribution a little less; 400 draws tell it to 1 %.
  for (const double share : {inside(found.frobenius, J.norm()), inside(found.trace, J.trace()),
                             inside(found.asymmetry, (J - J.transpose()).norm() / J.norm())}) {
    CHECK(share > 0.90);
    CHECK(share < 0.99);
  }
}

TEST_CASE("the asymmetry is that of jacobian_asymmetry", "[spectral]") {
  auto map = maps::network<double>(20);
  const Eigen::MatrixXd points = maps::starts(20, 5);
  const basin::random_stream random{7, 2};
  const auto found = basin::norm_estimates(one, map, points, {.probes = 16, .random = random});
  const auto other = basin::jacobian_asymmetry(one, map, points, {.probes = 16, .random = random});
  for (std::size_t j = 0; j < 5; ++j) {
    CHECK(found.asymmetry[j].value == Approx(other.ratio[static_cast<index_t>(j)]).epsilon(1e-13));
    CHECK(found.asymmetry[j].error > 0);
  }
}

TEST_CASE("estimates in float, without vjp, of nothing and of what is not finite", "[spectral]") {
  const Eigen::MatrixXd J = maps::starts(30, 30, 3);
  auto single = basin::affine(J.cast<float>().eval());
  auto twice = basin::affine(J);
  Eigen::MatrixXd points = maps::starts(30, 4);
  const auto exact = basin::norm_estimates(one, twice, points);
  const auto rounded = basin::norm_estimates(basin::cpu<float>(2), single, points);
  for (std::size_t j = 0; j < 4; ++j) {
    CHECK(rounded.frobenius[j].value == Approx(exact.frobenius[j].value).epsilon(1e-5));
  }
  auto curved = maps::network<double>(30);
  const auto before = basin::norm_estimates(one, curved, points);
  points(3, 1) = std::numeric_limits<double>::quiet_NaN();
  const auto after = basin::norm_estimates(one, curved, points);
  CHECK(std::isnan(after.frobenius[1].value));
  CHECK(std::isnan(after.trace[1].value));
  CHECK(after.trace[1].left_out == 32);
  for (const std::size_t j : {0u, 2u, 3u}) {
    CHECK(after.frobenius[j].value == before.frobenius[j].value);
    CHECK(after.trace[j].value == before.trace[j].value);
  }
  auto forward =
      basin::finite_difference(basin::columnwise<2>([](const auto& z, auto& f) { f = 2 * z; }));
  const auto half = basin::norm_estimates(one, forward, maps::starts(2, 1));
  CHECK(half.trace[0].value == Approx(4));
  CHECK(half.frobenius[0].value == Approx(std::sqrt(8.0)));
  CHECK(half.asymmetry[0].used == 0);
  auto zero = basin::affine(Eigen::MatrixXd(Eigen::MatrixXd::Zero(2, 2)));
  const auto none = basin::norm_estimates(one, zero, maps::starts(2, 1));
  CHECK(none.frobenius[0].value == 0);
  CHECK(none.frobenius[0].error == 0);
  CHECK(std::isnan(none.asymmetry[0].value));
  CHECK(basin::norm_estimates(one, zero, maps::starts(2, 0)).trace.empty());
  CHECK_THROWS_AS(basin::norm_estimates(one, zero, maps::starts(2, 1), {.probes = 1}),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::norm_estimates(one, zero, maps::starts(3, 1)), basin::size_error);
}
