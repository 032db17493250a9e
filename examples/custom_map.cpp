// A map of your own, in three forms: a lambda, a struct with derivatives, and a functor
// that runs on the CPU and on a device. docs/maps.md walks through it.
#include <cmath>
#include <iostream>

#include <basin/basin.hpp>

#if defined(THRUST_DEVICE_SYSTEM) || defined(__CUDACC__)
#include <basin/backend/cuda.hpp>
#endif

namespace {

using basin::index_t;

// One: a lambda on the whole batch, k × N, one state per column.
void lambda() {
  const Eigen::MatrixXd W = Eigen::MatrixXd::Random(5, 5) / 4;
  const auto map =
      basin::function_map(5, [&](const auto& Z, auto& out) { out = (W * Z).array().tanh() + 0.1; });
  basin::FixedPointSolver solver{map};
  const auto found = solver.solve(Eigen::MatrixXd::Random(5, 1000));
  std::cout << "lambda: " << found.count(basin::status::converged) << " of " << found.size()
            << " converged\n";
}

// Two: a struct with its own state and exact derivatives: z -> tanh(a z) entry by entry,
// with the slope a (1 - tanh²).
struct scaled_tanh {
  double a = 0.5;

  template <basin::backend B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) const {
    axpby(be, static_cast<typename B::scalar>(a), Z, 0, out);
    transform(be, basin::tanh_function{}, out, out);
  }
  template <basin::backend B>
  void jvp(const B& be, const typename B::const_view& Z, const typename B::const_view& V,
           typename B::view JV) const {
    transform(be, slope{a}, Z, V, JV);
  }
  template <basin::backend B>
  void vjp(const B& be, const typename B::const_view& Z, const typename B::const_view& U,
           typename B::view JtU) const {
    jvp(be, Z, U, JtU);  // the Jacobian is diagonal
  }

  struct slope {  // public, so that a device can name it
    double a;
    template <class T>
    BASIN_HOST_DEVICE T operator()(const T& z, const T& v) const {
      using std::tanh;
      const T y = tanh(static_cast<T>(a) * z);
      return static_cast<T>(a) * (1 - y * y) * v;
    }
  };
};

void with_derivatives() {
  const basin::cpu<double> cpu;
  scaled_tanh map;
  const Eigen::MatrixXd Z = Eigen::MatrixXd::Random(3, 4);
  const Eigen::MatrixXd V = Eigen::MatrixXd::Random(3, 4);
  Eigen::MatrixXd exact(3, 4), difference(3, 4);
  jvp(cpu, map, Z, V, exact);
  auto differences = basin::finite_difference(map);
  jvp(cpu, differences, Z, V, difference);
  std::cout << "struct: jvp and differences agree to " << (exact - difference).norm() << '\n';
}

}  // namespace

// Three: a functor of one state, marked for the device and using [] alone. The same
// object runs on both backends.
struct spiral {
  static constexpr bool takes_entries = true;  // on the CPU too, where it would be given Eigen's
  float rate, cosine, sine;
  template <class State, class Next>
  BASIN_HOST_DEVICE void operator()(const State& z, Next& next) const {
    next[0] = rate * (cosine * z[0] - sine * z[1]) + 1;
    next[1] = rate * (sine * z[0] + cosine * z[1]);
  }
};

namespace {

template <basin::backend B>
void on(const B& be, const char* name) {
  basin::FixedPointSolver solver{basin::columnwise<2>(spiral{0.9f, 0.8f, 0.6f}), basin::picard{},
                                 basin::stopping{.residual = 1e-5}};
  auto starts = be.make_matrix(2, 1000);
  fill_uniform(be, basin::random_stream{.seed = 7}, starts, -1, 1);
  const auto found = solver.solve(be, starts);
  Eigen::MatrixXf first(2, 1);
  download(be, columns(be, found.states, 0, 1), first);
  std::cout << "functor on " << name << ": " << found.count(basin::status::converged)
            << " converged, the first to " << first.transpose() << '\n';
}

}  // namespace

int main() {
  lambda();
  with_derivatives();
  on(basin::cpu<float>(), "the CPU");
#if defined(THRUST_DEVICE_SYSTEM) || defined(__CUDACC__)
  try {
    on(basin::cuda<float>(), "the device");
  } catch (const basin::device_error& e) {
    std::cout << "no device: " << e.what() << '\n';
  }
#endif
}
