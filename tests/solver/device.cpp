// The solver on the device backend: the same answers as on the CPU. Built by nvcc for a
// GPU, and by a plain compiler for each of Thrust's host systems.
#include <algorithm>
#include <limits>
#include <stop_token>
#include <typeinfo>

#include <basin/backend/cuda.hpp>
#include <basin/map/activation.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/compose.hpp>
#include <basin/map/power.hpp>
#include <basin/map/relaxed.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "maps.hpp"

using basin::FixedPointSolver;
using basin::index_t;
using basin::status;

namespace {

// Functors, since a device takes no lambda.
struct rotation {
  double cosine, sine;
  template <class State, class Next>
  BASIN_HOST_DEVICE void operator()(const State& z, const Next& out) const {
    using scalar = std::remove_cvref_t<decltype(out[0])>;
    out[0] = static_cast<scalar>(cosine * z[0] - sine * z[1]);
    out[1] = static_cast<scalar>(sine * z[0] + cosine * z[1]);
  }
};
struct scaled {
  static constexpr bool takes_entries = true;
  template <class State, class Next>
  BASIN_HOST_DEVICE void operator()(const State& z, const Next& out) const {
    out[0] = z[1] * z[0];  // each column with a rate of its own
    out[1] = z[1];
  }
};

template <class Scalar>
typename basin::cuda<Scalar>::matrix to_device(const basin::cuda<Scalar>& be,
                                               const Eigen::MatrixX<Scalar>& X) {
  auto on_device = be.make_matrix(X.rows(), X.cols());
  upload(be, X, columns(be, on_device, 0, X.cols()));
  return on_device;
}
template <class Scalar>
Eigen::MatrixX<Scalar> to_host(const basin::cuda<Scalar>& be,
                               const typename basin::cuda<Scalar>::matrix& X) {
  Eigen::MatrixX<Scalar> host(X.rows(), X.cols());
  download(be, columns(be, X, 0, X.cols()), host);
  return host;
}

}  // namespace

TEMPLATE_TEST_CASE("a network on the device ends where it ends on the CPU", "[solver]", float,
                   double) {
  using matrix = Eigen::MatrixX<TestType>;
  const basin::cuda<TestType> be;
  const matrix W = (maps::starts(20, 20, 5) * 0.3).cast<TestType>();
  const matrix b = maps::starts(20, 1, 6).cast<TestType>();
  const matrix Z = maps::starts(20, 150).cast<TestType>();
  const basin::stopping rule{.residual = 1e-5};
  const auto map = basin::compose(basin::activation(basin::tanh_function{}),
                                  basin::affine(be, W, Eigen::VectorX<TestType>(b)));
  FixedPointSolver solver{map, basin::damped{.factor = 0.8}, rule};
  const auto found = solver.solve(be, to_device<TestType>(be, Z));
  const auto expected_map = basin::compose(basin::activation(basin::tanh_function{}),
                                           basin::affine(W, Eigen::VectorX<TestType>(b)));
  FixedPointSolver reference{expected_map, basin::damped{.factor = 0.8}, rule};
  const auto expected = reference.solve(basin::cpu<TestType>(1), Z);
  const matrix states = to_host<TestType>(be, found.states);
  CHECK(found.count(status::converged) == 150);
  for (index_t j = 0; j < 150; ++j) {
    const auto i = static_cast<std::size_t>(j);
    REQUIRE(std::abs(found.iterations[i] - expected.iterations[i]) <= 1);
    REQUIRE((states.col(j) - expected.states.col(j)).norm() < TestType(1e-4));
  }
  CHECK(found.work.saved > 0);

  // Derivatives through the adaptors, against the CPU's.
  auto device_power = basin::power(basin::relaxed(map, 0.7), 3);
  auto host_power = basin::power(basin::relaxed(expected_map, 0.7), 3);
  const matrix V = maps::starts(20, 150, 9).cast<TestType>();
  matrix JV(20, 150);
  matrix JtV(20, 150);
  const basin::cpu<TestType> cpu(1);
  jvp(cpu, host_power, Z, V, JV);
  vjp(cpu, host_power, Z, V, JtV);
  const auto z = to_device<TestType>(be, Z);
  const auto v = to_device<TestType>(be, V);
  auto product = be.make_matrix(20, 150);
  jvp(be, device_power, z, v, product);
  CHECK((to_host<TestType>(be, product) - JV).cwiseAbs().maxCoeff() < TestType(1e-4));
  vjp(be, device_power, z, v, product);
  CHECK((to_host<TestType>(be, product) - JtV).cwiseAbs().maxCoeff() < TestType(1e-4));
}

TEST_CASE("statuses on the device", "[solver]") {
  const basin::cuda<double> be;
  const double fifth = 2 * 3.14159265358979323846 / 5;
  const auto Z = to_device<double>(be, maps::starts(2, 40));
  FixedPointSolver cycle{basin::columnwise<2>(rotation{std::cos(fifth), std::sin(fifth)})};
  const auto five = cycle.solve(be, Z);
  CHECK(five.count(status::cycle) == 40);
  CHECK(five.period[7] == 5);
  FixedPointSolver marginal{basin::columnwise<2>(rotation{std::cos(1.0), std::sin(1.0)})};
  CHECK(marginal.solve(be, Z).count(status::marginal) == 40);

  Eigen::MatrixXd starts(2, 5);
  starts << 1, 1, 1, 1, std::nan(""), 0.5, -0.999, 3, -1, 0.5;
  FixedPointSolver mixed{basin::columnwise<2>(scaled{}), basin::picard{},
                         basin::stopping{.max_iterations = 100000}};
  const auto found = mixed.solve(be, to_device<double>(be, starts));
  CHECK(found.status[0] == status::converged);
  CHECK(found.status[1] == status::converged);
  CHECK(found.status[2] == status::diverged);
  CHECK(found.status[3] == status::cycle);
  CHECK(found.status[4] == status::non_finite);
}

TEST_CASE("an iteration on the device moves nothing, and the host looks at four at once",
          "[solver]") {
  const basin::cuda<double> be;
  Eigen::MatrixXd Z = Eigen::MatrixXd::Ones(2, 50);
  Z.row(1).setConstant(0.9999);
  const auto starts = to_device<double>(be, Z);
  const auto of = [&](const auto& accelerator, index_t iterations) {
    FixedPointSolver solver{
        basin::columnwise<2>(scaled{}), accelerator,
        basin::stopping{.residual = 1e-14, .max_iterations = iterations, .patience = 0}};
    const auto before = be.traffic();
    const auto found = solver.solve(be, starts);
    REQUIRE(found.count(status::max_iterations) == 50);
    return be.traffic().since(before);
  };
  const auto check = [&](const auto& accelerator) {
    const basin::device_traffic few = of(accelerator, 80), many = of(accelerator, 400);
    CHECK(many.synchronisations - few.synchronisations == 80);
    CHECK(many.uploads == few.uploads);
    CHECK(many.downloads == few.downloads);
    CHECK(many.downloaded_bytes == few.downloaded_bytes);
    CHECK(few.synchronisations <= 20 + 30);
  };
  check(basin::picard{});
  check(basin::damped{.factor = 0.5});
  // One that sees each iteration makes the host wait for each.
  FixedPointSolver solver{basin::columnwise<2>(scaled{}), basin::picard{},
                          basin::stopping{.residual = 1e-14, .max_iterations = 40, .patience = 0}};
  const auto before = be.traffic();
  index_t seen = 0;
  (void)solver.solve(be, starts, basin::run_options{}, [&](const auto&) { ++seen; });
  CHECK(seen == 41);
  CHECK(be.traffic().since(before).synchronisations >= 41);
}

TEST_CASE("columns that have ended may wait on the device, and nothing of them changes",
          "[solver]") {
  const basin::cuda<double> be;
  Eigen::MatrixXd Z(2, 1000);
  for (index_t j = 0; j < 1000; ++j) {
    Z(0, j) = 1 + 0.01 * static_cast<double>(j % 7);
    Z(1, j) = 0.5 + 0.49 * static_cast<double>(j * 37 % 1000) / 1000;
  }
  Z(0, 3) = std::numeric_limits<double>::quiet_NaN();
  Z(1, 5) = 1.5;  // diverges
  Z(1, 6) = 1;    // is there
  const basin::stopping rule{.residual = 1e-9};
  const auto starts = to_device<double>(be, Z);
  const auto before = be.traffic();
  FixedPointSolver solver{basin::columnwise<2>(scaled{}), basin::picard{}, rule};
  const auto found = solver.solve(be, starts);
  const basin::device_traffic moved = be.traffic().since(before);
  FixedPointSolver host{basin::columnwise<2>(scaled{}), basin::picard{}, rule};
  const auto expected = host.solve(basin::cpu<double>(1), Z);
  CHECK(found.status == expected.status);
  CHECK(found.iterations == expected.iterations);
  CHECK(found.evaluations == expected.evaluations);
  const Eigen::MatrixXd states = to_host<double>(be, found.states);
  for (index_t j = 0; j < 1000; ++j) {
    if (j == 3) continue;
    CHECK((states.col(j).array() == expected.states.col(j).array()).all());
    const auto at = static_cast<std::size_t>(j);
    CHECK(found.residual[at] == Approx(expected.residual[at]).epsilon(1e-12));
  }
  // Some 1,500 iterations, in which columns end one after the other; at most one change of size
  // for each eighth of those that are left.
  CHECK(moved.uploads <= 4 * 60);
  const index_t longest = *std::max_element(found.iterations.begin(), found.iterations.end());
  CHECK(longest > 1000);
  CHECK(moved.synchronisations < longest / 2 + 4 * 60);
}

TEST_CASE("iterations that are recorded as a graph are the same", "[solver]") {
  const basin::cuda<double> be;
  Eigen::MatrixXd Z(2, 200);
  for (index_t j = 0; j < 200; ++j) {
    Z(0, j) = 1 + 0.01 * static_cast<double>(j % 7);
    Z(1, j) = 0.5 + 0.49 * static_cast<double>(j * 37 % 200) / 200;
  }
  Z(1, 5) = 1.5;
  const auto starts = to_device<double>(be, Z);
  const auto check = [&](const auto& accelerator) {
    INFO(typeid(accelerator).name());
    FixedPointSolver solver{basin::columnwise<2>(scaled{}), accelerator,
                            basin::stopping{.residual = 1e-9}};
    const auto plain = solver.solve(be, starts);
    const auto recorded = solver.solve(be, starts, basin::run_options{.graph = true});
    CHECK(recorded.status == plain.status);
    CHECK(recorded.evaluations == plain.evaluations);
    CHECK(recorded.residual == plain.residual);
    CHECK(
        (to_host<double>(be, recorded.states).array() == to_host<double>(be, plain.states).array())
            .all());
    CHECK(plain.count(status::converged) == 199);
  };
  check(basin::picard{});
  check(basin::damped{.factor = 0.9});
}

namespace {

// Asks the host in every evaluation.
struct asking {
  mutable index_t calls = 0;
  template <class B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) const {
    ++calls;
    axpby(be, 0.999, Z, 0, out);
    be.runtime().wait();
  }
};

}  // namespace

TEST_CASE("a map that waits for the device cannot be recorded, and nothing is lost", "[solver]") {
  const basin::cuda<double> be;
  const Eigen::MatrixXd Z = Eigen::MatrixXd::Ones(3, 20);
  const auto starts = to_device<double>(be, Z);
  FixedPointSolver solver{asking{}, basin::picard{},
                          basin::stopping{.residual = 1e-9, .max_iterations = 50, .patience = 0}};
  try {
    (void)solver.solve(be, starts, basin::run_options{.graph = true});
    FAIL("it was recorded");
  } catch (const basin::map_failure<basin::cuda<double>>& failure) {
    // Four iterations have run; from there it goes on without a graph.
    const auto whole = solver.resume(be, failure.checkpoint());
    const auto plain = solver.solve(be, starts);
    CHECK(whole.evaluations == plain.evaluations);
    CHECK((to_host<double>(be, whole.states).array() == to_host<double>(be, plain.states).array())
              .all());
  }
}

TEST_CASE("a stopped run on the device resumes to bitwise the same answer", "[solver]") {
  const basin::cuda<double> be;
  const auto Z = to_device<double>(be, maps::starts(2, 60));
  FixedPointSolver solver{basin::columnwise<2>(rotation{0.6, 0.6})};
  const auto whole = solver.solve(be, Z);
  const std::string path =
      (std::filesystem::temp_directory_path() / "basin-device-checkpoint").string();
  std::stop_source source;
  const auto stopped =
      solver.solve(be, Z, basin::run_options{.stop = source.get_token(), .checkpoint = path},
                   [&](const auto& at) {
                     if (at.iteration == 5) source.request_stop();
                   });
  CHECK(stopped.count(status::cancelled) == 60);
  const auto resumed = solver.resume(be, path);
  std::filesystem::remove(path);
  CHECK(resumed.iterations == whole.iterations);
  CHECK(resumed.residual == whole.residual);
  CHECK(to_host<double>(be, resumed.states) == to_host<double>(be, whole.states));
}

TEST_CASE("misuse on the device", "[solver]") {
  const basin::cuda<float> be;
  FixedPointSolver solver{basin::columnwise<2>(scaled{})};
  CHECK_THROWS_AS((void)solver.solve(be, be.make_matrix(3, 4)), basin::size_error);
  CHECK(solver.solve(be, be.make_matrix(2, 0)).size() == 0);
}
