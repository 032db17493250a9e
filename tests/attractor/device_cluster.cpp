// Clusters, discoveries and atlases with maps on the device backend: the same as on the CPU. Built
// by nvcc for a GPU, and by a plain compiler for Thrust's sequential host system.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include <basin/attractor/assign.hpp>
#include <basin/attractor/cluster.hpp>
#include <basin/attractor/discover.hpp>
#include <basin/backend/cuda.hpp>
#include <basin/map/activation.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/compose.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "../solver/maps.hpp"

using basin::FixedPointSolver;
using basin::index_t;

namespace {

// tanh(W z): a coordinate with 1.5 goes to one of two values, that with -1.4 changes its sign for
// ever: sixteen cycles in pairs, and saddles where it is 0.
template <class Scalar>
Eigen::MatrixX<Scalar> weights() {
  Eigen::MatrixXd W = 1.5 * Eigen::MatrixXd::Identity(5, 5);
  W(3, 3) = -1.4;  // changes its sign: a cycle
  W(4, 4) = 0.5;   // goes to 0
  W(4, 0) = 0.3;
  return W.cast<Scalar>();
}
template <class Scalar>
auto on_device(const basin::cuda<Scalar>& be) {
  return basin::compose(basin::activation(basin::tanh_function{}),
                        basin::affine(be, weights<Scalar>()));
}
template <class Scalar>
auto on_host() {
  return basin::compose(basin::activation(basin::tanh_function{}),
                        basin::affine(weights<Scalar>()));
}

template <class Scalar>
auto uploaded(const basin::cuda<Scalar>& be, const Eigen::MatrixXd& Z) {
  auto X = be.make_matrix(Z.rows(), Z.cols());
  const Eigen::MatrixX<Scalar> host = Z.cast<Scalar>();
  upload(be, host, columns(be, X, 0, Z.cols()));
  return X;
}

void same_clusters(const basin::Clustering& found, const basin::Clustering& expected,
                   double tolerance) {
  CHECK(found.labels == expected.labels);
  REQUIRE(found.clusters.size() == expected.clusters.size());
  for (std::size_t c = 0; c < found.clusters.size(); ++c) {
    const basin::Cluster& a = found.clusters[c];
    const basin::Cluster& b = expected.clusters[c];
    CHECK(a.kind == b.kind);
    CHECK(a.period == b.period);
    CHECK(a.members == b.members);
    CHECK(a.polished == b.polished);
    CHECK(a.escaped == b.escaped);
    REQUIRE(a.center.cols() == b.center.cols());
    // The best end of a cycle, by the last digits of its error, may be at another phase.
    double apart = std::numeric_limits<double>::infinity();
    for (index_t shift = 0; shift < a.period; ++shift) {
      Eigen::MatrixXd turned(b.center.rows(), b.center.cols());
      for (index_t i = 0; i < b.center.cols(); ++i) {
        turned.col(i) = b.center.col((i + shift) % b.center.cols());
      }
      apart = std::min(apart, (a.center - turned).norm());
    }
    CHECK(apart <= tolerance);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("ends of a device's run are the clusters of the CPU's", "[attractor]", float,
                   double) {
  const basin::cuda<TestType> be;
  const basin::cpu<TestType> cpu(2);
  auto device_map = on_device(be);
  auto host_map = on_host<TestType>();
  Eigen::MatrixXd starts = 2 * maps::starts(5, 90, 3);
  starts.rightCols(20).row(3).setZero();  // fixed points that are saddles
  starts(1, 7) = std::numeric_limits<double>::quiet_NaN();
  const bool single = std::is_same_v<TestType, float>;
  const basin::stopping rule{.residual = single ? 1e-5 : 1e-9, .max_iterations = 2000};
  FixedPointSolver device{device_map, basin::picard{}, rule};
  FixedPointSolver host{host_map, basin::picard{}, rule};
  const auto found = device.solve(be, uploaded(be, starts));
  const auto expected = host.solve(cpu, starts.cast<TestType>().eval());
  REQUIRE(found.status == expected.status);
  const double tolerance = single ? 1e-4 : 1e-10;
  const auto clusters = basin::cluster(be, device_map, found);
  const auto host_clusters = basin::cluster(cpu, host_map, expected);
  CHECK(host_clusters.clusters.size() >= 8);
  same_clusters(clusters, host_clusters, tolerance);
  same_clusters(basin::cluster(be, device_map, found, basin::paper_cosine{}),
                basin::cluster(cpu, host_map, expected, basin::paper_cosine{}), tolerance);
  // A double beside it measures for a map of any scalar.
  auto exact = on_host<double>();
  same_clusters(basin::cluster(be, device_map, found, exact),
                basin::cluster(cpu, host_map, expected, exact), 1e-10);
  CHECK(basin::assign(be, device_map, clusters.clusters, found) ==
        basin::assign(cpu, host_map, host_clusters.clusters, expected));
}

TEST_CASE("a discovery with a map on the device finds what one on the CPU does", "[attractor]") {
  const basin::cuda<double> be;
  const basin::cpu<double> cpu(2);
  auto device_map = on_device(be);
  auto host_map = on_host<double>();
  const basin::discovery_options options{
      .sources = {basin::starts_around(Eigen::MatrixXd::Zero(5, 1), 1.0)},
      .starts = 200,
      .unseen_mass = 0};
  const basin::stopping rule{.residual = 1e-9};
  const auto found = basin::discover(be, device_map, 5, basin::picard{}, rule, options);
  const auto expected = basin::discover(cpu, host_map, 5, basin::picard{}, rule, options);
  CHECK(found.starts == expected.starts);
  CHECK(found.labels == expected.labels);
  CHECK(found.ended == expected.ended);
  REQUIRE(found.attractors.size() == expected.attractors.size());
  for (std::size_t a = 0; a < found.attractors.size(); ++a) {
    CHECK(found.attractors[a].period == expected.attractors[a].period);
    CHECK((found.attractors[a].center - expected.attractors[a].center).norm() < 1e-10);
  }
}
