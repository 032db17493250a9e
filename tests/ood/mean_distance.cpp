// Mean distances against differences.
#include <cmath>
#include <cstdint>

#include <basin/backend/cpu.hpp>
#include <basin/core/random.hpp>
#include <basin/ood/mean_distance.hpp>

#include "../catch.hpp"

using basin::index_t;

namespace {

Eigen::MatrixXd normal(index_t rows, index_t columns, std::uint32_t stream) {
  return Eigen::MatrixXd::NullaryExpr(rows, columns, [&](index_t i, index_t j) {
    return basin::normal_at<double>(basin::random_stream{17, stream}, i, j);
  });
}

}  // namespace

TEST_CASE("mean distances are right where products cancel", "[ood]") {
  const basin::cpu<double> be(1);
  Eigen::MatrixXd points = 1e-6 * normal(4, 90, 0), states = 1e-6 * normal(4, 5, 1);
  points.rightCols(45).array() += 3;
  const basin::detail::MeanDistance mean(points);
  const Eigen::VectorXd found = mean.distances(be, states);
  for (index_t j = 0; j < states.cols(); ++j) {
    const double exact = (points.colwise() - states.col(j)).colwise().norm().mean();
    CHECK(std::abs(found[j] - exact) <= 1e-13 * exact);
  }
  CHECK(mean.distances(be, points.leftCols(1))[0] ==
        Approx((points.colwise() - points.col(0)).colwise().norm().mean()).epsilon(1e-12));
}
