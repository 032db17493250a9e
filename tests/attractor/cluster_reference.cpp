// The reference models of ../shared/data, see its README: their attractors, from the ends of
// their starts in float and in double.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <basin/attractor/assign.hpp>
#include <basin/io/npy.hpp>
#include <basin/model/model_file.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "../catch.hpp"

using basin::index_t;

namespace {

std::filesystem::path data() {
  if (const char* folder = std::getenv("BASIN_DATA")) return folder;
  return std::filesystem::path(__FILE__).parent_path() / "../../../shared/data";
}

// Every how manieth start is followed.
constexpr index_t few = slow_build ? 1000 : 80;

template <class Scalar>
void find_attractors(const std::string& name, double residual, index_t every) {
  const std::filesystem::path folder = data() / "reference" / name;
  if (!std::filesystem::exists(folder)) {
    WARN("skipped: there is no " << folder << " (BASIN_DATA says where the data are)");
    return;
  }
  const auto f = basin::load_model<Scalar>(folder / "model.safetensors").autoencoder.latent_map();
  auto exact = basin::load_model<double>(folder / "model.safetensors").autoencoder.latent_map();
  const Eigen::MatrixXf all = basin::read_npy<float>(folder / "starts.npy").transpose();
  const auto expected = basin::read_npy<std::int32_t>(folder / "labels.npy");
  const Eigen::MatrixXd centers = basin::read_npy<double>(folder / "centers.npy").transpose();
  const index_t n = all.cols() / every;
  Eigen::MatrixX<Scalar> starts(all.rows(), n);
  for (index_t i = 0; i < n; ++i) starts.col(i) = all.col(i * every).cast<Scalar>();

  const basin::cpu<Scalar> be;
  basin::FixedPointSolver solver{f, basin::picard{},
                                 basin::stopping{.residual = residual, .max_iterations = 20'000}};
  const auto found = solver.solve(be, starts);
  REQUIRE(found.count(basin::status::converged) == n);
  auto map = f;
  const basin::Clustering c = basin::cluster(be, map, found, exact);

  std::vector<index_t> nearest;
  for (const basin::Cluster& cluster : c.clusters) {
    index_t which = 0;
    const double distance =
        (centers.colwise() - cluster.center.col(0)).colwise().norm().minCoeff(&which);
    CHECK(distance <= 1e-8 * (1 + centers.col(which).norm()));
    CHECK(cluster.kind == basin::attractor_kind::point);
    CHECK(cluster.polished);
    CHECK(cluster.residual < 1e-12);
    CHECK(std::count(nearest.begin(), nearest.end(), which) == 0);
    nearest.push_back(which);
  }
  index_t right = 0;
  for (index_t i = 0; i < n; ++i) {
    const index_t label = c.labels[static_cast<std::size_t>(i)];
    right += label >= 0 && nearest[static_cast<std::size_t>(label)] == expected(i * every);
  }
  CHECK(right == n);
  if (every == 1) CHECK(c.size() == centers.cols());

  const auto assigned = basin::assign(be, map, c.clusters, found, exact);
  CHECK(assigned == c.labels);
  if (every == 1) {
    WARN(name << (std::is_same_v<Scalar, float> ? ", float: " : ", double: ") << right << " of "
              << n << " labels right, " << c.size() << " clusters, " << c.evaluations
              << " evaluations after " << found.work.evaluations << " of the run");
  }
}

}  // namespace

TEMPLATE_TEST_CASE("attractors of the reference models, some starts", "[attractor]", float,
                   double) {
  find_attractors<TestType>("table3_k2", 1e-5, few);
  if (!slow_build) find_attractors<TestType>("table3_k16", 1e-5, few);
}

// Not run unless it is named: test_attractor "[full]".
TEMPLATE_TEST_CASE("attractors of the reference models, all starts", "[.][full]", float, double) {
  find_attractors<TestType>("table3_k2", 1e-5, 1);
  find_attractors<TestType>("table3_k16", 1e-5, 1);
}
