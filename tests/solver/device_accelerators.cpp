// Accelerators by column on the device backend: what they do on the CPU. Built by nvcc for a GPU,
// and by a plain compiler for Thrust's sequential host system.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <stop_token>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <vector>

#include <basin/backend/cuda.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/solver/anderson.hpp>
#include <basin/solver/automatic.hpp>
#include <basin/solver/basin_preserving.hpp>
#include <basin/solver/broyden.hpp>
#include <basin/solver/extrapolation.hpp>
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/solver/newton_krylov.hpp>
#include <basin/solver/relaxation.hpp>

#include "maps.hpp"

using basin::FixedPointSolver;
using basin::index_t;
using basin::status;
using basin::stopping;

namespace {

// Functors, since a device takes no lambda. Rates from 0.92 down, neighbours coupled.
struct drift {
  template <class State, class Next>
  BASIN_HOST_DEVICE void operator()(const State& z, Next&& out) const {
    using scalar = std::remove_cvref_t<decltype(out[0])>;
    const auto k = static_cast<index_t>(z.size());
    for (index_t i = 0; i < k; ++i) {
      const scalar rate =
          scalar(0.9) - scalar(0.8) * static_cast<scalar>(i) / static_cast<scalar>(k);
      out[i] = rate * z[i] + scalar(0.04) * z[i] * z[i] + scalar(0.03) * z[i + 1 < k ? i + 1 : 0] +
               scalar(0.02);
    }
  }
};
// Every entry by a rate of its own.
struct decay {
  template <class State, class Next>
  BASIN_HOST_DEVICE void operator()(const State& z, Next&& out) const {
    using scalar = std::remove_cvref_t<decltype(out[0])>;
    for (index_t i = 0; i < static_cast<index_t>(z.size()); ++i) {
      out[i] = z[i] * scalar(0.99) / static_cast<scalar>(1 + 2 * i);
    }
  }
};
// A valley with a slope of 1 - 1e-3 to a state of ones, and no f beyond 1.5.
struct valley {
  template <class State, class Next>
  BASIN_HOST_DEVICE void operator()(const State& z, Next&& out) const {
    using scalar = std::remove_cvref_t<decltype(out[0])>;
    for (index_t i = 0; i < static_cast<index_t>(z.size()); ++i) {
      const scalar x = z[i] - scalar(1);
      const bool inside = z[i] <= scalar(1.5) && z[i] >= scalar(-1.5);
      out[i] = inside ? z[i] - scalar(1e-3) * x - scalar(0.05) * x * x * x
                      : std::numeric_limits<scalar>::quiet_NaN();
    }
  }
};
// Fast towards the saddle at 0, slowly away from it along the second axis.
struct saddle {
  template <class State, class Next>
  BASIN_HOST_DEVICE void operator()(const State& z, Next&& out) const {
    out[0] = 0.5 * z[0] + 0.1 * z[0] * z[1];
    out[1] = z[1] + 0.02 * z[1] * (1 - z[1] * z[1]) + 0.001 * z[0] * z[0] * z[1];
  }
};

// Such a functor on Eigen's maps, which nvcc lets no function of the device touch.
template <class F>
struct on_host {
  F f;
  template <class State, class Next>
  void operator()(const State& z, Next&& out) const {
    using scalar = std::remove_cvref_t<decltype(out[0])>;
    f(basin::column_entries<const scalar>{z.data(), z.size()},
      basin::column_entries<scalar>{out.data(), out.size()});
  }
};
// The map of R^k by a functor, for a backend.
template <class B, class F>
auto map_on(const B&, index_t k, const F& f) {
  if constexpr (std::is_same_v<B, basin::cpu<typename B::scalar>>) {
    return basin::columnwise(k, on_host<F>{f});
  } else {
    return basin::columnwise(k, f);
  }
}

}  // namespace

// Not all of them is used for all scalars, of which nvcc warns in an unnamed namespace.
namespace accelerators_on_device {

// The heavy ball of Polyak (1964) over lanes, as a user may write it.
struct heavy_ball {
  double momentum = 0.5;

  template <class Scalar>
  struct record {
    bool started = false;
  };
  [[nodiscard]] index_t memory(index_t k) const { return 2 * k; }
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void advance(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                 Scalar* f, index_t k) const {
    lanes.each(k, [&](index_t i) {
      const Scalar step = c.started ? z[i] - memory[i] : Scalar(0);
      memory[i] = z[i];
      memory[k + i] = f[i];
      z[i] = f[i] + static_cast<Scalar>(momentum) * step;
    });
    c.started = true;
  }
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE bool review(Lanes& lanes, record<Scalar>& c, Scalar* memory, Scalar* z,
                                Scalar* f, index_t k, Scalar residual) const {
    if (basin::is_finite(residual) || !c.started) return false;
    lanes.copy(memory, k, z);
    lanes.copy(memory + k, k, f);
    c = {};
    return true;
  }
};
// One that knows no lanes.
struct alone {
  template <class Scalar>
  struct record {
    bool started = false;
  };
  std::vector<double> damping{0.5};
  [[nodiscard]] index_t memory(index_t k) const { return k; }
  template <class Scalar>
  void advance(record<Scalar>& c, Scalar* memory, Scalar* z, Scalar* f, index_t k) const {
    for (index_t i = 0; i < k; ++i) {
      memory[i] = z[i];
      z[i] += static_cast<Scalar>(damping[0]) * (f[i] - z[i]);
    }
    c.started = true;
  }
};
// One that takes more scratch memory than it says.
struct greedy : heavy_ball {
  template <class Lanes, class Scalar>
  BASIN_HOST_DEVICE void advance(Lanes& lanes, record<Scalar>&, Scalar*, Scalar*, Scalar* f,
                                 index_t k) const {
    const auto taken = lanes.array(k);
    lanes.copy(f, k, taken.data());
  }
};

}  // namespace accelerators_on_device

namespace {

using accelerators_on_device::alone;
using accelerators_on_device::greedy;
using accelerators_on_device::heavy_ball;

static_assert(basin::column_accelerator<heavy_ball>);
static_assert(basin::column_accelerator<alone>);
static_assert(basin::detail::lane_accelerator<heavy_ball, float>);
static_assert(!basin::detail::lane_accelerator<alone, float>);

// visit(accelerator) for each.
template <class Visit>
void each_accelerator(const Visit& visit) {
  visit(basin::anderson{});
  visit(basin::anderson{.window = 3, .damping = 0.8, .regularization = 1e-4});
  visit(basin::anderson{.window = 4, .damping = 0.9, .type = basin::anderson_type::one});
  visit(basin::broyden{.window = 5});
  visit(basin::broyden{.type = basin::broyden_type::bad});
  visit(basin::rre{.window = 4});
  visit(basin::mpe{.window = 4});
  visit(basin::vector_epsilon{.window = 3});
  visit(basin::aitken{});
  visit(basin::steffensen{});
  visit(basin::chebyshev{.least = -0.1, .most = 0.95});
  visit(basin::basin_preserving<>{});
  visit(basin::basin_preserving<heavy_ball>{});
  visit(basin::automatic{});
  visit(heavy_ball{});
}

template <class B>
typename B::matrix upload_to(const B& be, const Eigen::MatrixX<typename B::scalar>& X) {
  auto Y = be.make_matrix(X.rows(), X.cols());
  upload(be, X, columns(be, Y, 0, X.cols()));
  return Y;
}
template <class B>
Eigen::MatrixX<typename B::scalar> states_of(const B& be, const basin::FixedPointResult<B>& found) {
  Eigen::MatrixX<typename B::scalar> host(found.states.rows(), found.states.cols());
  download(be, columns(be, found.states, 0, found.size()), host);
  return host;
}
// From host matrices, on any backend.
template <class B, class F, class A>
basin::FixedPointResult<B> solve(const B& be, const F& f, const A& a, const stopping& rule,
                                 const Eigen::MatrixX<typename B::scalar>& starts) {
  const auto Z = upload_to(be, starts);
  FixedPointSolver solver{map_on(be, starts.rows(), f), a, rule};
  return solver.solve(be, columns(be, Z, 0, starts.cols()));
}

// Column j of one result and column i of another, to the bit.
template <class B>
bool same_column(const B& be, const basin::FixedPointResult<B>& a, index_t j,
                 const basin::FixedPointResult<B>& b, index_t i) {
  const auto at = static_cast<std::size_t>(j);
  const auto other = static_cast<std::size_t>(i);
  return a.status[at] == b.status[other] && a.evaluations[at] == b.evaluations[other] &&
         a.iterations[at] == b.iterations[other] && a.residual[at] == b.residual[other] &&
         (a.acceleration.empty() || a.acceleration[at] == b.acceleration[other]) &&
         (states_of(be, a).col(j).array() == states_of(be, b).col(i).array()).all();
}
template <class B>
void require_same(const B& be, const basin::FixedPointResult<B>& a,
                  const basin::FixedPointResult<B>& b) {
  REQUIRE(a.size() == b.size());
  for (index_t j = 0; j < a.size(); ++j) REQUIRE(same_column(be, a, j, b, j));
}

// Sums of lanes, for a column each.
template <class Scalar>
struct sums_of_lanes {
  const Scalar* X;
  const Scalar* Y;
  index_t k, n;
  Scalar *dot, *distance, *products, *largest;
  int* finite;

  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t j) const {
    const Scalar* const x = X + j * k;
    const auto few = lanes.array(n);
    lanes.dots(X, k, n, x, k, few.data());
    const Scalar largest_product = lanes.once([&] {
      Scalar most = few[0];
      for (index_t i = 0; i < n; ++i) {
        products[j * n + i] = few[i];
        most = few[i] > most ? few[i] : most;
      }
      return most;
    });
    const Scalar d = lanes.dot(x, Y + j * k, k);
    const Scalar e = lanes.squared_distance(x, Y + j * k, k);
    const bool f = lanes.all_finite(x, k);
    lanes.once([&] {
      dot[j] = d;
      distance[j] = e;
      finite[j] = f ? 1 : 0;
    });
    // Every lane has it.
    if (k > 0) lanes.each(1, [&](index_t) { largest[j] = largest_product; });
  }
};

template <class B>
void check_sums(const B& be, index_t k, index_t n) {
  using scalar = typename B::scalar;
  CAPTURE(k, n);
  const auto X = upload_to(be, Eigen::MatrixX<scalar>(maps::starts(k, n, 3).cast<scalar>()));
  Eigen::MatrixX<scalar> y = maps::starts(k, n, 4).cast<scalar>();
  if (k > 1 && n > 1) y(k - 1, 1) = std::numeric_limits<scalar>::infinity();
  const auto Y = upload_to(be, y);
  auto numbers = be.template make_buffer<scalar>(4 * n + n * n);
  auto flags = be.template make_buffer<int>(n);
  scalar* const first = basin::raw_address(numbers.data());
  auto scratch = make_lane_scratch(be, n, n);
  for_each_in_lanes(be, n,
                    sums_of_lanes<scalar>{X.data(), Y.data(), k, n, first, first + n, first + 4 * n,
                                          first + 2 * n, basin::raw_address(flags.data())},
                    n, basin::array_view<scalar>(scratch), 2);
  std::vector<scalar> host(static_cast<std::size_t>(4 * n + n * n));
  std::vector<int> finite(static_cast<std::size_t>(n));
  download_array(be, basin::array_view<const scalar>(numbers), basin::array_view<scalar>(host));
  download_array(be, basin::array_view<const int>(flags), basin::array_view<int>(finite));
  // To the bit those of the backend's own sums over columns.
  auto sums = be.template make_buffer<scalar>(n);
  std::vector<scalar> expected(static_cast<std::size_t>(n));
  const auto require_bits = [&](index_t offset) {
    download_array(be, basin::array_view<const scalar>(sums), basin::array_view<scalar>(expected));
    for (std::size_t j = 0; j < expected.size(); ++j) {
      const scalar got = host[static_cast<std::size_t>(offset) + j];
      REQUIRE((got == expected[j] || (std::isnan(got) && std::isnan(expected[j]))));
    }
  };
  const auto view = [&](const auto& A) { return columns(be, A, 0, n); };
  column_dots(be, view(X), view(Y), basin::array_view<scalar>(sums));
  require_bits(0);
  column_squared_distances(be, view(X), view(Y), basin::array_view<scalar>(sums));
  require_bits(n);
  CHECK(std::all_of(finite.begin(), finite.end(), [](int f) { return f == 1; }));
  const Eigen::MatrixX<scalar> x = maps::starts(k, n, 3).cast<scalar>();
  const Eigen::MatrixX<scalar> gram = x.transpose() * x;
  for (index_t j = 0; j < n; ++j) {
    for (index_t i = 0; i < n; ++i) {
      const scalar product = host[static_cast<std::size_t>(4 * n + j * n + i)];
      REQUIRE(std::abs(product - gram(i, j)) <=
              64 * std::numeric_limits<scalar>::epsilon() * static_cast<scalar>(k + 1));
    }
    REQUIRE(host[static_cast<std::size_t>(2 * n + j)] ==
            *std::max_element(host.begin() + 4 * n + j * n, host.begin() + 4 * n + (j + 1) * n));
  }
}

// 20 dimensions about the width of a warp and its multiples.
constexpr index_t dimensions[] = {1,  2,  3,  7,  15, 16, 17, 31, 32,  33,
                                  47, 48, 63, 64, 65, 95, 96, 97, 127, 130};

}  // namespace

TEMPLATE_TEST_CASE("sums in lanes are those of columns", "[solver]", float, double) {
  for (const index_t k : dimensions) {
    check_sums(basin::cuda<TestType>(), k, 1 + k % 7);
    check_sums(basin::cpu<TestType>(2), k, 1 + k % 7);
  }
  check_sums(basin::cuda<TestType>(), 5, 37);
}

TEMPLATE_TEST_CASE("accelerators end on the device where they end on the CPU", "[solver]", float,
                   double) {
  const basin::cuda<TestType> be;
  const basin::cpu<TestType> cpu(1);
  const stopping rule{.residual = sizeof(TestType) == 4 ? 1e-4 : 1e-6, .max_iterations = 2000};
  each_accelerator([&](const auto& a) {
    INFO(typeid(a).name());
    for (const index_t k : dimensions) {
      const index_t n = 1 + k % 3;
      CAPTURE(k);
      const Eigen::MatrixX<TestType> starts = maps::starts(k, n, 5).cast<TestType>();
      const auto found = solve(be, drift{}, a, rule, starts);
      const auto expected = solve(cpu, drift{}, a, rule, starts);
      const auto states = states_of(be, found);
      REQUIRE(found.acceleration.size() == expected.acceleration.size());
      for (index_t j = 0; j < n; ++j) {
        const auto i = static_cast<std::size_t>(j);
        REQUIRE(found.status[i] == expected.status[i]);
        // Sums in another order may take another way; it is of much the same length.
        REQUIRE(std::abs(found.evaluations[i] - expected.evaluations[i]) <=
                3 + 2 * expected.evaluations[i] / 5);
        if (expected.status[i] != status::converged) continue;
        REQUIRE((states.col(j) - expected.states.col(j)).norm() <=
                100 * static_cast<TestType>(rule.residual));
      }
    }
  });
}

TEST_CASE("a batch's columns on the device each end as alone, in any order", "[solver]") {
  const basin::cuda<double> be;
  const stopping rule{.residual = 1e-6, .max_iterations = 500};
  each_accelerator([&](const auto& a) {
    INFO(typeid(a).name());
    const index_t k = 35;
    const index_t n = 5;
    const Eigen::MatrixXd starts = maps::starts(k, n, 6) * 0.9;
    const auto all = solve(be, drift{}, a, rule, starts);
    const auto reversed = solve(be, drift{}, a, rule, Eigen::MatrixXd(starts.rowwise().reverse()));
    for (index_t j = 0; j < n; ++j) REQUIRE(same_column(be, all, j, reversed, n - 1 - j));
    const auto one = solve(be, drift{}, a, rule, Eigen::MatrixXd(starts.col(4)));
    REQUIRE(same_column(be, all, 4, one, 0));
    for (const auto order : {basin::launch_order::reversed, basin::launch_order::permuted}) {
      const basin::scoped_schedule in_order({order, 7});
      require_same(be, all, solve(be, drift{}, a, rule, starts));
    }
  });
}

TEST_CASE("on the device a step to where f is not finite is taken back", "[solver]") {
  const basin::cuda<double> be;
  const basin::cpu<double> cpu(1);
  Eigen::MatrixXd starts(1, 5);
  starts << -1.2, 1.4, 2, -1.1, std::nan("");
  const stopping rule{.residual = 1e-10, .max_iterations = 3000};
  const auto check = [&](const auto& a) {
    INFO(typeid(a).name());
    const auto found = solve(be, valley{}, a, rule, starts);
    const auto expected = solve(cpu, valley{}, a, rule, starts);
    CHECK(found.status == expected.status);
    CHECK(found.status[0] == status::converged);
    CHECK(found.status[1] == status::converged);
    CHECK(found.status[2] == status::non_finite);
    CHECK(found.status[3] == status::converged);
    CHECK(found.status[4] == status::non_finite);
    CHECK(found.residual[0] <= 1e-10);
    CHECK(std::abs(states_of(be, found)(0, 0) - 1) < 1e-6);
  };
  check(basin::anderson{});
  check(basin::anderson{.type = basin::anderson_type::one});
  check(basin::broyden{});
  check(basin::rre{});
  check(basin::aitken{});
  check(basin::basin_preserving<>{});
  check(basin::automatic{});
}

TEST_CASE("on the device what was taken to a saddle's limit finds the way back", "[solver]") {
  const basin::cuda<double> be;
  const basin::cpu<double> cpu(1);
  constexpr index_t n = 9;
  Eigen::MatrixXd starts(2, n);
  for (index_t j = 0; j < n; ++j) {
    const double away = std::pow(10, -1 - 1.2 * static_cast<double>(j));
    starts.col(j) << 1 + 0.01 * static_cast<double>(j), (j % 2 == 0 ? -away : away);
  }
  const stopping rule{.residual = 1e-13, .max_iterations = 100000};
  const auto found = solve(be, saddle{}, basin::basin_preserving<>{}, rule, starts);
  const auto expected = solve(cpu, saddle{}, basin::basin_preserving<>{}, rule, starts);
  const Eigen::MatrixXd states = states_of(be, found);
  index_t back = 0;
  for (index_t j = 0; j < n; ++j) {
    const auto i = static_cast<std::size_t>(j);
    CHECK(found.status[i] == expected.status[i]);
    CHECK((states.col(j) - expected.states.col(j)).norm() < 1e-6);
    back += found.acceleration[i].limits > 0 && found.acceleration[i].taken_back > 0;
  }
  CHECK(back > 3);
}

TEST_CASE("reports of a run on the device", "[solver]") {
  const basin::cuda<double> be;
  const basin::cpu<double> cpu(1);
  for (const index_t k : {2, 33}) {
    const Eigen::MatrixXd starts = maps::starts(k, 6, 8);
    const stopping rule{.residual = 1e-9};
    const auto found = solve(be, decay{}, basin::automatic{}, rule, starts);
    const auto expected = solve(cpu, decay{}, basin::automatic{}, rule, starts);
    REQUIRE(found.acceleration.size() == 6);
    for (std::size_t j = 0; j < 6; ++j) {
      CHECK(found.acceleration[j].modes == expected.acceleration[j].modes);
      CHECK(found.acceleration[j].rate == Approx(expected.acceleration[j].rate).epsilon(1e-3));
      CHECK(found.acceleration[j].leaps + found.acceleration[j].limits > 0);
    }
  }
}

TEST_CASE("accelerated iterations that are recorded as a graph are the same", "[solver]") {
  const basin::cuda<double> be;
  each_accelerator([&](const auto& a) {
    INFO(typeid(a).name());
    FixedPointSolver solver{map_on(be, 34, drift{}), a,
                            stopping{.residual = 1e-6, .max_iterations = 300}};
    const auto Z = upload_to(be, Eigen::MatrixXd(maps::starts(34, 9, 9)));
    const auto starts = columns(be, Z, 0, 9);
    const auto plain = solver.solve(be, starts);
    require_same(be, solver.solve(be, starts, basin::run_options{.graph = true}), plain);
  });
}

TEST_CASE("accelerated runs on the device resume to bitwise the same answer", "[solver]") {
  const basin::cuda<double> be;
  const std::string path =
      (std::filesystem::temp_directory_path() / "basin-device-accelerators").string();
  each_accelerator([&](const auto& a) {
    INFO(typeid(a).name());
    FixedPointSolver solver{map_on(be, 34, drift{}), a,
                            stopping{.residual = 1e-6, .max_iterations = 300}};
    const auto Z = upload_to(be, Eigen::MatrixXd(maps::starts(34, 6, 9)));
    const auto starts = columns(be, Z, 0, 6);
    const auto whole = solver.solve(be, starts);
    std::stop_source source;
    const auto stopped =
        solver.solve(be, starts, basin::run_options{.stop = source.get_token(), .checkpoint = path},
                     [&](const auto& at) {
                       if (at.iteration == 6) source.request_stop();
                     });
    REQUIRE(stopped.count(status::cancelled) > 0);
    require_same(be, solver.resume(be, path), whole);
    std::filesystem::remove(path);
  });
}

TEST_CASE("what takes more scratch memory than it says is found out", "[solver]") {
  const Eigen::MatrixXd start = Eigen::MatrixXd::Ones(2, 1);
  const auto message = Catch::Matchers::Contains("more scratch memory is taken");
  CHECK_THROWS_WITH((void)solve(basin::cpu<double>(1), decay{}, greedy{}, {}, start), message);
  if constexpr (!basin::detail::on_gpu) {
    const basin::cuda<double> be;
    CHECK_THROWS_WITH((void)solve(be, decay{}, greedy{}, {}, start), message);
  }
}

TEST_CASE("accelerators that know no lanes run on the CPU", "[solver]") {
  const auto check = [](const auto& a) {
    const auto found =
        solve(basin::cpu<double>(1), decay{}, a, stopping{.residual = 1e-6}, maps::starts(3, 5));
    CHECK(found.count(status::converged) == 5);
  };
  check(alone{});
  check(basin::basin_preserving<alone>{});
}

namespace {

// Entries of f and of its derivative along v: the drift, and z - atan z, whose Newton steps lead
// away beyond 1.39.
struct drift_entry {
  template <class Scalar>
  BASIN_HOST_DEVICE Scalar value(const Scalar* z, index_t i, index_t k) const {
    return rate<Scalar>(i, k) * z[i] + Scalar(0.04) * z[i] * z[i] +
           Scalar(0.03) * z[i + 1 < k ? i + 1 : 0] + Scalar(0.02);
  }
  template <class Scalar>
  BASIN_HOST_DEVICE Scalar slope(const Scalar* z, const Scalar* v, index_t i, index_t k) const {
    return (rate<Scalar>(i, k) + Scalar(0.08) * z[i]) * v[i] +
           Scalar(0.03) * v[i + 1 < k ? i + 1 : 0];
  }
  template <class Scalar>
  BASIN_HOST_DEVICE static Scalar rate(index_t i, index_t k) {
    return Scalar(0.9) - Scalar(0.8) * static_cast<Scalar>(i) / static_cast<Scalar>(k);
  }
};
struct arc_tangent_entry {
  template <class Scalar>
  BASIN_HOST_DEVICE Scalar value(const Scalar* z, index_t i, index_t) const {
    return z[i] - std::atan(z[i]);
  }
  template <class Scalar>
  BASIN_HOST_DEVICE Scalar slope(const Scalar* z, const Scalar* v, index_t i, index_t) const {
    return v[i] - v[i] / (1 + z[i] * z[i]);
  }
};
// f keeps the first entry, so that 1 is an eigenvalue of its Jacobian, but adds to it.
struct singular_entry {
  template <class Scalar>
  BASIN_HOST_DEVICE Scalar value(const Scalar* z, index_t i, index_t) const {
    return i == 0 ? z[0] + Scalar(1) : z[i] / 2;
  }
  template <class Scalar>
  BASIN_HOST_DEVICE Scalar slope(const Scalar*, const Scalar* v, index_t i, index_t) const {
    return i == 0 ? v[0] : v[i] / 2;
  }
};

template <class Scalar, class Entry, bool Derivative>
struct apply_entry {
  Entry entry;
  const Scalar* Z;
  const Scalar* V;
  Scalar* out;
  index_t k;
  BASIN_HOST_DEVICE void operator()(index_t at) const {
    const index_t column = at / k * k;
    if constexpr (Derivative) {
      out[at] = entry.slope(Z + column, V + column, at - column, k);
    } else {
      out[at] = entry.value(Z + column, at - column, k);
    }
  }
};
// The map by its entries, with exact products with the Jacobian, on any backend.
template <class Entry>
struct map_of_entries {
  index_t k;
  Entry entry;
  [[nodiscard]] index_t dimension() const { return k; }
  template <class B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) const {
    using scalar = typename B::scalar;
    for_each_index(be, k * Z.cols(),
                   apply_entry<scalar, Entry, false>{entry, Z.data(), nullptr, out.data(), k});
  }
  template <class B>
  void jvp(const B& be, const typename B::const_view& Z, const typename B::const_view& V,
           typename B::view& JV) const {
    using scalar = typename B::scalar;
    for_each_index(be, k * Z.cols(),
                   apply_entry<scalar, Entry, true>{entry, Z.data(), V.data(), JV.data(), k});
  }
};

template <class Entry, class B>
basin::FixedPointResult<B> newton(const B& be, const stopping& rule,
                                  const Eigen::MatrixX<typename B::scalar>& starts,
                                  const basin::newton_krylov& settings = {}) {
  const auto Z = upload_to(be, starts);
  FixedPointSolver solver{map_of_entries<Entry>{starts.rows(), {}}, settings, rule};
  return solver.solve(be, columns(be, Z, 0, starts.cols()));
}

}  // namespace

TEMPLATE_TEST_CASE("Newton-Krylov on the device ends where it ends on the CPU", "[solver]", float,
                   double) {
  const basin::cuda<TestType> be;
  const basin::cpu<TestType> cpu(1);
  const stopping rule{.residual = sizeof(TestType) == 4 ? 2e-5 : 1e-10, .max_iterations = 60};
  for (const index_t k : dimensions) {
    CAPTURE(k);
    const index_t n = 1 + k % 4;
    const Eigen::MatrixX<TestType> starts = maps::starts(k, n, 5).cast<TestType>();
    const auto found = newton<drift_entry>(be, rule, starts);
    const auto expected = newton<drift_entry>(cpu, rule, starts);
    const auto states = states_of(be, found);
    for (index_t j = 0; j < n; ++j) {
      const auto i = static_cast<std::size_t>(j);
      REQUIRE(expected.status[i] == status::converged);
      REQUIRE(found.status[i] == status::converged);
      REQUIRE(std::abs(found.iterations[i] - expected.iterations[i]) <= 1);
      REQUIRE(std::abs(found.evaluations[i] - expected.evaluations[i]) <= 8);
      REQUIRE((states.col(j) - expected.states.col(j)).norm() <=
              100 * static_cast<TestType>(rule.residual));
    }
  }
}

TEST_CASE("Newton-Krylov on the device: any batch, halved steps, singular Jacobians, files",
          "[solver]") {
  const basin::cuda<double> be;
  const basin::cpu<double> cpu(1);
  const stopping rule{.residual = 1e-10, .max_iterations = 60};
  const Eigen::MatrixXd starts = maps::starts(35, 6, 6);
  const auto all = newton<drift_entry>(be, rule, starts);
  const auto reversed = newton<drift_entry>(be, rule, Eigen::MatrixXd(starts.rowwise().reverse()));
  for (index_t j = 0; j < 6; ++j) REQUIRE(same_column(be, all, j, reversed, 5 - j));
  REQUIRE(
      same_column(be, all, 3, newton<drift_entry>(be, rule, Eigen::MatrixXd(starts.col(3))), 0));
  for (const auto order : {basin::launch_order::reversed, basin::launch_order::permuted}) {
    const basin::scoped_schedule in_order({order, 7});
    require_same(be, all, newton<drift_entry>(be, rule, starts));
  }

  Eigen::MatrixXd far(2, 4);
  far << 3, -20, 0.5, 10, 3, 0.1, std::nan(""), -1.5;
  const auto halved = newton<arc_tangent_entry>(be, rule, far);
  const auto expected = newton<arc_tangent_entry>(cpu, rule, far);
  CHECK(halved.status == expected.status);
  CHECK(halved.status[0] == status::converged);
  CHECK(halved.status[1] == status::converged);
  CHECK(halved.status[2] == status::non_finite);
  CHECK(halved.status[3] == status::converged);
  CHECK(halved.iterations == expected.iterations);
  CHECK(states_of(be, halved).col(0).norm() < 1e-9);

  const stopping few{.residual = 1e-10, .max_iterations = 10};
  const auto on_device = newton<singular_entry>(be, few, Eigen::MatrixXd::Ones(3, 2));
  const auto on_cpu = newton<singular_entry>(cpu, few, Eigen::MatrixXd::Ones(3, 2));
  CHECK(on_device.status == on_cpu.status);
  CHECK(on_device.evaluations == on_cpu.evaluations);
  CHECK((states_of(be, on_device) - states_of(cpu, on_cpu)).norm() < 1e-12);

  const std::string path =
      (std::filesystem::temp_directory_path() / "basin-device-newton").string();
  FixedPointSolver solver{map_of_entries<drift_entry>{35, {}}, basin::newton_krylov{}, rule};
  const auto Z = upload_to(be, starts);
  std::stop_source source;
  const auto stopped = solver.solve(
      be, columns(be, Z, 0, 6), basin::run_options{.stop = source.get_token(), .checkpoint = path},
      [&](const auto& at) {
        if (at.iteration == 2) source.request_stop();
      });
  REQUIRE(stopped.count(status::cancelled) == 6);
  require_same(be, solver.resume(be, path), all);
  std::filesystem::remove(path);
}
