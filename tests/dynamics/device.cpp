// Flows on the device backend: the same answers as on the CPU. Built by nvcc for a GPU, and by
// a plain compiler for each of Thrust's host systems.
#include <basin/backend/cuda.hpp>
#include <basin/dynamics/adams.hpp>
#include <basin/dynamics/dopri5.hpp>
#include <basin/dynamics/euler.hpp>
#include <basin/dynamics/exponential_rosenbrock.hpp>
#include <basin/dynamics/field.hpp>
#include <basin/dynamics/flow_solver.hpp>
#include <basin/dynamics/rkf78.hpp>
#include <basin/dynamics/runge_kutta4.hpp>
#include <basin/dynamics/trajectories.hpp>
#include <basin/map/activation.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/compose.hpp>

#include "../solver/maps.hpp"

using basin::flow_status;
using basin::flow_stopping;
using basin::FlowSolver;
using basin::index_t;

namespace {

const Eigen::MatrixXd W = maps::starts(9, 9, 5) * 0.5;
const Eigen::VectorXd b = maps::starts(9, 1, 6);
const Eigen::MatrixXd Z = 2 * maps::starts(9, 40);

auto on_device(const basin::cuda<double>& be) {
  return basin::compose(basin::activation(basin::tanh_function{}), basin::affine(be, W, b));
}
auto on_host() {
  return basin::compose(basin::activation(basin::tanh_function{}), basin::affine(W, b));
}
basin::cuda<double>::matrix uploaded(const basin::cuda<double>& be) {
  auto X = be.make_matrix(9, 40);
  upload(be, Z, columns(be, X, 0, 40));
  return X;
}

template <class Method>
void same_on_both(const Method& method, flow_stopping stopping) {
  const basin::cuda<double> be;
  FlowSolver device{on_device(be), method, stopping};
  FlowSolver host{on_host(), method, stopping};
  const auto found = device.solve(be, uploaded(be));
  const auto expected = host.solve(basin::cpu<double>(1), Z);
  Eigen::MatrixXd states(9, 40);
  download(be, columns(be, found.states, 0, 40), states);
  CHECK((states - expected.states).cwiseAbs().maxCoeff() < 1e-7);
  for (std::size_t j = 0; j < 40; ++j) {
    CHECK(found.status[j] == expected.status[j]);
    CHECK(found.attractor[j] == expected.attractor[j]);
    CHECK(found.time[j] == Approx(expected.time[j]).epsilon(1e-5));
  }
}

}  // namespace

TEST_CASE("flows on the device end where they end on the CPU", "[dynamics]") {
  flow_stopping stopping{.time = 30, .residual = 1e-5};
  same_on_both(basin::dopri5{}, stopping);
  same_on_both(basin::rkf78{}, stopping);
  same_on_both(basin::euler{.step = 0.5}, stopping);
  same_on_both(basin::odeint_euler{.step = 0.5}, stopping);
  same_on_both(basin::runge_kutta4{.step = 0.25}, stopping);
  same_on_both(basin::adams{.step = 0.125}, stopping);
  same_on_both(basin::exponential_euler{.step = 0.25}, stopping);
  same_on_both(basin::exponential_rosenbrock{.relative = 1e-6, .absolute = 1e-8}, stopping);
  FlowSolver solver{on_host(), basin::dopri5{}, stopping};
  stopping.attractors = solver.solve(basin::cpu<double>(1), Z.leftCols(1)).states;
  stopping.radii = Eigen::VectorXd::Constant(1, 0.1);
  stopping.lower = Eigen::VectorXd::Constant(1, -1.8);
  stopping.upper = Eigen::VectorXd::Constant(1, 1.8);
  same_on_both(basin::dopri5{}, stopping);
}

TEST_CASE("trajectories and fields on the device", "[dynamics]") {
  const basin::cuda<double> be;
  const basin::cpu<double> cpu(1);
  FlowSolver device{on_device(be), basin::dopri5{}, flow_stopping{.residual = 1e-3}};
  FlowSolver host{on_host(), basin::dopri5{}, flow_stopping{.residual = 1e-3}};
  const std::vector<double> times{0, 0.3, 1, 2, 5, 9};
  const basin::trajectory_options options{.set = maps::starts(9, 3, 11)};
  const auto found = basin::trajectories(be, device, uploaded(be), times, options);
  const auto expected = basin::trajectories(cpu, host, Z, times, options);
  CHECK((found.states - expected.states).cwiseAbs().maxCoeff() < 1e-7);
  CHECK((found.arc - expected.arc).cwiseAbs().maxCoeff() < 1e-7);
  CHECK((found.distance - expected.distance).cwiseAbs().maxCoeff() < 1e-7);

  auto device_map = on_device(be);
  auto host_map = on_host();
  const auto sample = basin::sample_field(be, device_map, Z);
  const auto reference = basin::sample_field(cpu, host_map, Z);
  CHECK((sample.velocity - reference.velocity).cwiseAbs().maxCoeff() < 1e-13);
  CHECK((sample.divergence - reference.divergence).cwiseAbs().maxCoeff() < 1e-12);
  CHECK((sample.rotation - reference.rotation).cwiseAbs().maxCoeff() < 1e-12);
}
