#include "problems.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <utility>

#include <Eigen/Dense>

#include <basin/core/random.hpp>

namespace problems {
namespace {

using Eigen::MatrixXd;
using in = Eigen::Map<const VectorXd>;
using out = Eigen::Map<VectorXd>;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

VectorXd uniform(index_t k, std::uint64_t seed, double low = -1, double high = 1) {
  VectorXd x(k);
  for (index_t i = 0; i < k; ++i) {
    x(i) = low +
           (high - low) * basin::uniform_from_word<double>(basin::random_stream{seed}.word(i, 0));
  }
  return x;
}
MatrixXd uniform_matrix(index_t rows, index_t cols, std::uint64_t seed, double low = -1,
                        double high = 1) {
  return uniform(rows * cols, seed, low, high).reshaped(rows, cols);
}
VectorXd normal(index_t k, std::uint64_t seed) {
  VectorXd x(k);
  for (index_t i = 0; i < k; ++i) {
    x(i) = basin::normal_at<double>(basin::random_stream{seed}, i, 0);
  }
  return x;
}
VectorXd vector(std::initializer_list<double> values) {
  VectorXd x(static_cast<index_t>(values.size()));
  std::copy(values.begin(), values.end(), x.data());
  return x;
}

// An orthogonal change of basis at a cost of O(k): two reflections of Householder.
struct reflections {
  reflections(index_t k, std::uint64_t seed)
      : u(uniform(k, seed).normalized()), v(uniform(k, seed + 1).normalized()) {}
  [[nodiscard]] VectorXd forth(VectorXd x) const {
    x -= 2 * u.dot(x) * u;
    x -= 2 * v.dot(x) * v;
    return x;
  }
  [[nodiscard]] VectorXd back(VectorXd x) const {
    x -= 2 * v.dot(x) * v;
    x -= 2 * u.dot(x) * u;
    return x;
  }
  VectorXd u, v;
};

// The distance to the nearest of some points.
auto distance_to(std::vector<VectorXd> points) {
  return [points = std::move(points)](const VectorXd& z) {
    double least = std::numeric_limits<double>::infinity();
    for (const VectorXd& point : points) least = std::min(least, (z - point).norm());
    return least;
  };
}

template <class Map>
MatrixXd jacobian(const Map& map, const VectorXd& z) {
  const index_t k = z.size();
  MatrixXd J(k, k);
  VectorXd x = z;
  VectorXd above(k), below(k);
  for (index_t i = 0; i < k; ++i) {
    const double h = 1e-5 * std::max(1e-3, std::abs(z(i)));
    x(i) = z(i) + h;
    map(x.data(), above.data());
    x(i) = z(i) - h;
    map(x.data(), below.data());
    x(i) = z(i);
    J.col(i) = (above - below) / (2 * h);
  }
  return J;
}
double inverse_norm(const MatrixXd& A) {
  const VectorXd singular = A.jacobiSvd().singularValues();
  return 1 / singular(singular.size() - 1);
}

// A fixed point by Newton's method with differences and dense elimination, a root finder that
// shares nothing with the solver, and the condition of its equations.
struct root {
  VectorXd z;
  double condition;
};
template <class Map>
root newton(const Map& map, VectorXd z) {
  const index_t k = z.size();
  VectorXd f(k);
  double before = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 100; ++i) {
    map(z.data(), f.data());
    const double residual = (f - z).norm();
    if (i > 4 && !(residual < 0.5 * before)) break;
    before = residual;
    const MatrixXd A = MatrixXd::Identity(k, k) - jacobian(map, z);
    z += A.partialPivLu().solve(f - z);
  }
  return {z, inverse_norm(MatrixXd::Identity(k, k) - jacobian(map, z))};
}

class Table {
 public:
  std::vector<problem> problems;

  template <class Map, class Defect>
  void add(const char* family, const char* name, index_t k, Map map, VectorXd start,
           outcome dynamics, int period, Defect defect, double allowed) {
    problems.push_back({family, name, k, std::move(map), std::move(start), dynamics, period,
                        std::move(defect), allowed});
  }
  // With fixed points found by Newton's method from `guesses`.
  template <class Map>
  void add_rooted(const char* family, const char* name, Map map, VectorXd start, outcome dynamics,
                  int period, const std::vector<VectorXd>& guesses) {
    std::vector<VectorXd> points;
    double condition = 1;
    for (const VectorXd& guess : guesses) {
      const root at = newton(map, guess);
      points.push_back(at.z);
      condition = std::max(condition, at.condition);
    }
    const index_t k = start.size();
    add(family, name, k, std::move(map), std::move(start), dynamics, period,
        distance_to(std::move(points)), 2 * condition * tolerance);
  }
  // z -> A z + b: the fixed point by elimination.
  void add_linear(const char* family, const char* name, const MatrixXd& A, const VectorXd& b,
                  VectorXd start, outcome dynamics, int period = 1) {
    const index_t k = b.size();
    const MatrixXd rest = MatrixXd::Identity(k, k) - A;
    const auto map = [A, b, k](const double* z, double* f) { out(f, k) = A * in(z, k) + b; };
    add(family, name, k, map, std::move(start), dynamics, period,
        distance_to({rest.fullPivLu().solve(b)}), 2 * inverse_norm(rest) * tolerance);
  }
  // z -> Q D Q^T (z - c) + c with Q of reflections.
  void add_symmetric(const char* family, const char* name, const VectorXd& rates,
                     std::uint64_t seed, outcome dynamics, int period = 1) {
    const index_t k = rates.size();
    const VectorXd c = uniform(k, seed + 2);
    const auto map = [k, rates, c, Q = reflections(k, seed)](const double* z, double* f) {
      out(f, k) = Q.back(rates.cwiseProduct(Q.forth(in(z, k) - c))) + c;
    };
    add(family, name, k, map, uniform(k, seed + 3), dynamics, period, distance_to({c}),
        1.01 * tolerance / (1 - rates.array()).abs().minCoeff());
  }
  template <class Map>
  void add_without(const char* family, const char* name, index_t k, Map map, VectorXd start,
                   outcome dynamics, int period = 0) {
    problems.push_back(
        {family, name, k, std::move(map), std::move(start), dynamics, period, {}, 0});
  }
};

// The discrete Laplacian's diagonals: sum of the neighbours of place i on a line.
double neighbours(const double* z, index_t i, index_t n) {
  return (i > 0 ? z[i - 1] : 0) + (i + 1 < n ? z[i + 1] : 0);
}

void contractions(Table& t) {
  const char* const family = "contraction";
  {  // 1 - rate from 1e-4 to 1, evenly in the logarithm.
    VectorXd rates(200);
    for (index_t i = 0; i < 200; ++i) rates(i) = 1 - std::pow(10, -4 + 4.0 * double(i) / 199);
    t.add_symmetric(family, "symmetric 0.9999", rates, 11, outcome::arrives);
  }
  t.add_symmetric(family, "alternating -0.9999", VectorXd::LinSpaced(10, -0.9999, 0.5), 13,
                  outcome::arrives);
  {
    MatrixXd A(2, 2);
    A << std::cos(0.7), -std::sin(0.7), std::sin(0.7), std::cos(0.7);
    t.add_linear(family, "spiral 0.9999", 0.9999 * A, vector({0.3, -0.2}), vector({1, 1}),
                 outcome::arrives);
  }
  {  // Pairs of complex rates, radii up to 0.99, angles all around.
    constexpr index_t k = 40;
    const VectorXd c = uniform(k, 14);
    const auto map = [c, Q = reflections(k, 15)](const double* z, double* f) {
      VectorXd x = Q.forth(in(z, k) - c);
      for (index_t i = 0; i < k; i += 2) {
        const double radius = 0.5 + 0.49 * double(i) / (k - 2);
        const double angle = 3 * double(i) / k;
        const double a = radius * std::cos(angle), b = radius * std::sin(angle);
        const double u = x(i), v = x(i + 1);
        x(i) = a * u - b * v;
        x(i + 1) = b * u + a * v;
      }
      out(f, k) = Q.back(std::move(x)) + c;
    };
    t.add(family, "annulus 0.99", k, map, uniform(k, 16), outcome::arrives, 1, distance_to({c}),
          3 * tolerance);
  }
  {
    constexpr index_t k = 64;
    const MatrixXd W = uniform_matrix(k, k, 17) * (0.9 * std::sqrt(3.0 / k));
    const auto map = [W, b = VectorXd(0.1 * uniform(k, 18))](const double* z, double* f) {
      out(f, k) = (W * in(z, k) + b).array().tanh();
    };
    t.add_rooted(family, "tanh network", map, uniform(k, 19), outcome::arrives, 1,
                 {VectorXd::Zero(k)});
  }
  {  // Kepler's equation for some mean anomalies.
    constexpr index_t k = 6;
    const VectorXd M = vector({0.01, 0.05, 0.3, 1, 2, 3});
    const auto map = [M](const double* z, double* f) {
      for (index_t i = 0; i < k; ++i) f[i] = M(i) + 0.99 * std::sin(z[i]);
    };
    VectorXd E(k);
    for (index_t i = 0; i < k; ++i) {  // by halving
      double low = 0, high = 4;
      for (int step = 0; step < 100; ++step) {
        const double middle = (low + high) / 2;
        (middle - 0.99 * std::sin(middle) < M(i) ? low : high) = middle;
      }
      E(i) = low;
    }
    t.add(family, "Kepler, e = 0.99", k, map, M, outcome::arrives, 1, distance_to({E}),
          50 * tolerance);
  }
  {  // Attention over twenty stored patterns: a modern Hopfield network.
    constexpr index_t k = 16;
    const MatrixXd X = uniform_matrix(k, 20, 20);
    const auto map = [X](const double* z, double* f) {
      VectorXd weight = X.transpose() * in(z, k);
      weight = (weight.array() - weight.maxCoeff()).exp();
      out(f, k) = X * (weight / weight.sum());
    };
    VectorXd guess = VectorXd(X.col(3));
    for (int i = 0; i < 2000; ++i) {
      const VectorXd before = guess;
      map(before.data(), guess.data());
    }
    t.add_rooted(family, "attention", map, VectorXd(X.col(3)), outcome::arrives, 1, {guess});
  }
}

void non_normal(Table& t) {
  const char* const family = "non-normal";
  {  // Grows two thousandfold before it decays.
    MatrixXd A = 0.9 * MatrixXd::Identity(20, 20);
    A.diagonal(1).setConstant(0.15);
    t.add_linear(family, "Jordan block 0.9", A, VectorXd::Ones(20) / 10, uniform(20, 31),
                 outcome::arrives);
  }
  {
    MatrixXd A = MatrixXd::Identity(40, 40);
    A.diagonal(-1).setConstant(-1);
    for (int i = 1; i <= 3; ++i) A.diagonal(i).setConstant(1);
    A *= 0.9 / A.eigenvalues().cwiseAbs().maxCoeff();
    t.add_linear(family, "Grcar 0.9", A, uniform(40, 32), uniform(40, 33), outcome::arrives);
  }
  {  // Nilpotent: the answer after sixty steps, 1.2^59 far on the way.
    MatrixXd A = MatrixXd::Zero(60, 60);
    A.diagonal(1).setConstant(1.2);
    t.add_linear(family, "shift 1.2", A, uniform(60, 34), uniform(60, 35), outcome::arrives);
  }
  {  // Gradient descent with momentum on a quadratic function: states and speeds.
    const VectorXd h = VectorXd::LinSpaced(30, 0.01, 1);
    MatrixXd A = MatrixXd::Zero(60, 60);
    A.topLeftCorner(30, 30) = MatrixXd::Identity(30, 30) - MatrixXd(h.asDiagonal());
    A.topRightCorner(30, 30) = 0.95 * MatrixXd::Identity(30, 30);
    A.bottomLeftCorner(30, 30) = -MatrixXd(h.asDiagonal());
    A.bottomRightCorner(30, 30) = 0.95 * MatrixXd::Identity(30, 30);
    VectorXd b(60);
    b.head(30) = b.tail(30) = h.cwiseProduct(uniform(30, 36));
    t.add_linear(family, "momentum", A, b, VectorXd::Zero(60), outcome::arrives);
  }
  {  // A layer of rectifiers with a strong chain between them.
    constexpr index_t k = 80;
    MatrixXd W = uniform_matrix(k, k, 37) * (0.3 * std::sqrt(3.0 / k));
    W.diagonal(1).array() += 0.8;
    const auto map = [W, b = uniform(k, 38)](const double* z, double* f) {
      out(f, k) = (W * in(z, k) + b).cwiseMax(0.0);
    };
    VectorXd guess = VectorXd::Zero(k);
    for (int i = 0; i < 5000; ++i) {
      const VectorXd before = guess;
      map(before.data(), guess.data());
    }
    t.add_rooted(family, "rectifiers", map, VectorXd::Zero(k), outcome::arrives, 1, {guess});
  }
}

void stiff_scales(Table& t) {
  const char* const family = "stiff scales";
  {  // Entries of sizes 1e-5 to 1e3.
    constexpr index_t k = 9;
    const auto map = [](const double* z, double* f) {
      for (index_t i = 0; i < k; ++i) {
        const double scale = std::pow(10, i - 5);
        f[i] = scale * std::cos(z[i] / scale);
      }
    };
    VectorXd fixed(k);
    for (index_t i = 0; i < k; ++i) fixed(i) = 0.73908513321516064166 * std::pow(10, i - 5);
    t.add(family, "cosines of nine sizes", k, map, VectorXd::Zero(k), outcome::arrives, 1,
          distance_to({fixed}), tolerance);
  }
  {  // D A D^-1 with D from 1e-3 to 1e3.
    constexpr index_t k = 12;
    const reflections Q(k, 41);
    MatrixXd A(k, k);
    for (index_t i = 0; i < k; ++i) {
      A.col(i) =
          Q.back(VectorXd::LinSpaced(k, -0.8, 0.95).cwiseProduct(Q.forth(VectorXd::Unit(k, i))));
    }
    VectorXd d(k);
    for (index_t i = 0; i < k; ++i) d(i) = std::pow(10, -3 + 6.0 * double(i) / (k - 1));
    t.add_linear(family, "badly scaled", d.asDiagonal() * A * d.cwiseInverse().asDiagonal(),
                 d.cwiseProduct(uniform(k, 42)), VectorXd::Zero(k), outcome::arrives);
  }
  {  // Robertson's reaction: a step of the backward Euler method, too long for Picard.
    const auto map = [](const double* y, double* f) {
      constexpr double h = 2e-3;
      const double slow = 0.04 * y[0], fast = 1e4 * y[1] * y[2], square = 3e7 * y[1] * y[1];
      f[0] = 1 + h * (fast - slow);
      f[1] = h * (slow - fast - square);
      f[2] = h * square;
    };
    t.add_rooted(family, "Robertson, h = 2e-3", map, vector({1, 0, 0}), outcome::grows, 0,
                 {vector({1, 3e-5, 0}), vector({1, -7e-5, 0})});
  }
  {  // Fast to a parabola, slowly along it to (1, 1).
    const auto map = [](const double* z, double* f) {
      f[0] = z[0] + 1e-3 * (1 - z[0] * z[0] * z[0]);
      f[1] = z[1] + 0.9 * (z[0] * z[0] - z[1]);
    };
    t.add(family, "slow curve", 2, map, vector({-1, 3}), outcome::arrives, 1,
          distance_to({vector({1, 1})}), 1000 * tolerance);
  }
}

void holes(Table& t) {
  const char* const family = "NaN regions";
  {
    const auto map = [](const double* z, double* f) { f[0] = std::log(z[0]) + 2; };
    t.add_rooted(family, "log z + 2", map, vector({0.17}), outcome::arrives, 1,
                 {vector({3}), vector({0.16})});
  }
  {
    constexpr index_t k = 20;
    const MatrixXd A = uniform_matrix(k, k, 51, 0, 1) - 0.15 * MatrixXd::Ones(k, k);
    const auto map = [A](const double* z, double* f) { out(f, k) = (A * in(z, k)).array().sqrt(); };
    t.add_rooted(family, "square roots", map, VectorXd::Constant(k, 0.05), outcome::arrives, 1,
                 {VectorXd::Constant(k, 7)});
  }
  {  // A shallow valley along each axis, nothing beyond 1.5.
    constexpr index_t k = 5;
    const auto map = [](const double* z, double* f) {
      for (index_t i = 0; i < k; ++i) {
        const double x = z[i] - 1;
        f[i] = std::abs(z[i]) > 1.5 ? nan : z[i] - 2e-3 * double(i + 1) * x - 0.05 * x * x * x;
      }
    };
    t.add(family, "valley with walls", k, map, vector({-1.2, 1.3, -0.5, 0.1, -1.4}),
          outcome::arrives, 1, distance_to({VectorXd::Ones(k)}), 500 * tolerance);
  }
  {  // A spiral around a fixed point, a disc without values between its arms.
    const auto map = [](const double* z, double* f) {
      const double c = 0.99 * std::cos(0.1), s = 0.99 * std::sin(0.1);
      const bool inside = std::hypot(z[0] - 0.74, z[1]) < 0.12;
      f[0] = inside ? nan : c * z[0] - s * z[1];
      f[1] = inside ? nan : s * z[0] + c * z[1];
    };
    t.add(family, "spiral around a hole", 2, map, vector({1, 0}), outcome::arrives, 1,
          distance_to({VectorXd::Zero(2)}), 11 * tolerance);
  }
  t.add_without(
      family, "drift out of the domain", 2,
      [](const double* z, double* f) {
        f[0] = z[0] - std::sqrt(z[0]) / 10 - 0.01;
        f[1] = 0.5 * z[1] + z[0];
      },
      vector({10, 0}), outcome::leaves);
  t.add_without(
      family, "nowhere finite", 3,
      [](const double* z, double* f) {
        for (index_t i = 0; i < 3; ++i) f[i] = i == 1 ? std::sqrt(-1 - z[i] * z[i]) : z[i] / 2;
      },
      vector({1, 2, 3}), outcome::leaves);
}

void divergent(Table& t) {
  const char* const family = "divergent";
  t.add_symmetric(family, "Richardson without damping", VectorXd::LinSpaced(30, -2.5, 0.5), 61,
                  outcome::grows, 0);
  {
    constexpr index_t k = 10;
    MatrixXd A = MatrixXd::Zero(k, k);
    for (index_t i = 0; i < k; i += 2) {
      const double angle = 0.4 + 0.3 * double(i);
      A.block(i, i, 2, 2) << std::cos(angle), -std::sin(angle), std::sin(angle), std::cos(angle);
      A.block(i, i, 2, 2) *= 1.05 - 0.02 * double(i);
    }
    t.add_linear(family, "outward spiral 1.05", A, uniform(k, 62), uniform(k, 63), outcome::grows,
                 0);
  }
  t.add(
      family, "cubic saddle", 2,
      [](const double* z, double* f) {
        f[0] = 2 * z[0] + z[0] * z[0] * z[0];
        f[1] = 0.5 * z[1];
      },
      vector({0.01, 1}), outcome::grows, 0, distance_to({VectorXd::Zero(2)}), 2 * tolerance);
  t.add_without(
      family, "z + z² + 0.01", 1,
      [](const double* z, double* f) { f[0] = z[0] + z[0] * z[0] + 0.01; }, vector({-0.5}),
      outcome::grows);
  t.add_without(
      family, "exponentials", 3,
      [](const double* z, double* f) {
        for (index_t i = 0; i < 3; ++i) f[i] = std::exp(z[i]);
      },
      vector({-2, 0, -9}), outcome::grows);
  {  // The charges of a screened system answer a potential eight times too strongly.
    constexpr index_t k = 60;
    MatrixXd K(k, k);
    for (index_t i = 0; i < k; ++i) {
      for (index_t j = 0; j < k; ++j) K(i, j) = std::exp(-std::abs(double(i - j)) / 6);
    }
    K *= 8 / (K * VectorXd::Ones(k)).maxCoeff();
    const auto map = [K, charge = VectorXd(2 * uniform(k, 64, 0, 1))](const double* z, double* f) {
      const VectorXd V = K * (in(z, k) - charge);
      out(f, k) = 0.5 - V.array() - 0.02 * V.array().cube();
    };
    t.add_rooted(family, "charge sloshing", map, VectorXd::Constant(k, 0.5), outcome::grows, 0,
                 {VectorXd::Ones(k)});
  }
}

void cyclic(Table& t) {
  const char* const family = "cyclic";
  const auto logistic = [](double r) {
    return [r](const double* z, double* f) { f[0] = r * z[0] * (1 - z[0]); };
  };
  t.add_linear(family, "negation", -MatrixXd::Identity(3, 3), vector({2, 4, -6}),
               vector({0.5, 1, 7}), outcome::cycles, 2);
  {  // Every vector of one number is fixed.
    constexpr index_t k = 5;
    const auto map = [](const double* z, double* f) {
      for (index_t i = 0; i < k; ++i) f[i] = z[(i + 1) % k];
    };
    t.add(
        family, "permutation of five", k, map, vector({1, 4, 2, 8, 5}), outcome::cycles, 5,
        [](const VectorXd& z) { return (z.array() - z.mean()).matrix().norm(); }, tolerance);
  }
  {
    constexpr double angle = std::numbers::pi / 6;
    MatrixXd A(2, 2);
    A << std::cos(angle), -std::sin(angle), std::sin(angle), std::cos(angle);
    t.add_linear(family, "twelfth of a turn", A, vector({1, 0}), vector({3, 1}), outcome::cycles,
                 12);
  }
  t.add(family, "logistic 3.83", 1, logistic(3.83), vector({0.3}), outcome::cycles, 3,
        distance_to({vector({0}), vector({1 - 1 / 3.83})}), tolerance);
  {  // Neighbours on a ring couple logistic maps.
    constexpr index_t k = 20;
    const auto map = [](const double* z, double* f) {
      const auto g = [&](index_t i) { return 3.2 * z[i] * (1 - z[i]); };
      for (index_t i = 0; i < k; ++i) {
        f[i] = 0.8 * g(i) + 0.1 * (g((i + 1) % k) + g((i + k - 1) % k));
      }
    };
    t.add(
        family, "coupled logistic maps", k, map, uniform(k, 71, 0.4, 0.6), outcome::cycles, 2,
        // In the mean over the ring the coupling cancels.
        [](const VectorXd& z) {
          const double mean = (3.2 * z.array() * (1 - z.array())).mean();
          return std::abs(mean - z.mean());
        },
        tolerance);
  }
  t.add_without(
      family, "ring of inverters", 3,
      [](const double* z, double* f) {
        for (index_t i = 0; i < 3; ++i) f[i] = z[(i + 2) % 3] > 0 ? -1 : 1;
      },
      vector({1, -1, 1}), outcome::cycles, 6);
  {  // Five firms answer each other's supply; none sells less than nothing.
    constexpr index_t k = 5;
    const auto map = [](const double* z, double* f) {
      const double sum = in(z, k).sum();
      for (index_t i = 0; i < k; ++i) f[i] = std::max(0.0, (6 - (sum - z[i])) / 2);
    };
    t.add(family, "Cournot's market", k, map, vector({0.9, 1.2, 1, 0.8, 1.3}), outcome::cycles, 2,
          distance_to({VectorXd::Ones(k)}), 2 * tolerance);
  }
}

void marginal(Table& t) {
  const char* const family = "marginal";
  {
    MatrixXd A(2, 2);
    A << std::cos(1), -std::sin(1), std::sin(1), std::cos(1);
    t.add_linear(family, "rotation by 1", A, vector({1, 2}), vector({0, 3}), outcome::keeps_rate,
                 0);
  }
  t.add_without(
      family, "translation", 4,
      [](const double* z, double* f) {
        for (index_t i = 0; i < 4; ++i) f[i] = z[i] + double(i) / 8;
      },
      VectorXd::Ones(4), outcome::keeps_rate);
  {  // Every multiple of the stationary distribution is fixed.
    constexpr index_t k = 40;
    MatrixXd P = MatrixXd::Zero(k, k);
    for (index_t i = 0; i < k; ++i) {
      P((i + 1) % k, i) += 0.45;
      P((i + k - 1) % k, i) += 0.25;
      P((i * 7 + 3) % k, i) += 0.1;
      P(i, i) += 0.2;
    }
    MatrixXd A = P - MatrixXd::Identity(k, k);
    A.row(0).setOnes();
    const VectorXd pi = A.fullPivLu().solve(VectorXd::Unit(k, 0));
    t.add(
        family, "Markov chain", k, [P](const double* z, double* f) { out(f, k) = P * in(z, k); },
        VectorXd::Unit(k, 0), outcome::arrives, 1,
        [pi](const VectorXd& z) { return (z - z.sum() * pi).norm(); }, 100 * tolerance);
  }
  t.add(
      family, "z - z³", 1, [](const double* z, double* f) { f[0] = z[0] - z[0] * z[0] * z[0]; },
      vector({0.5}), outcome::arrives, 1, distance_to({VectorXd::Zero(1)}),
      std::cbrt(1.01 * tolerance));
  {  // Fixed on one side of zero only.
    const auto map = [](const double* z, double* f) {
      f[0] = z[0] > 0 ? std::log1p(z[0]) : z[0] - 0.5 * z[0] * z[0];
      f[1] = 0.5 * z[1] + z[0];
    };
    t.add(family, "log(1 + z)", 2, map, vector({1, 0}), outcome::arrives, 1,
          distance_to({VectorXd::Zero(2)}), 5e-4);
  }
  t.add(
      family, "identity", 7, [](const double* z, double* f) { std::copy_n(z, 7, f); },
      uniform(7, 81), outcome::arrives, 1, [](const VectorXd&) { return 0.0; }, tolerance);
  {  // The standard map near its centre: an island of closed curves.
    const auto map = [](const double* z, double* f) {
      f[0] = z[0] + 0.5 * std::sin(z[1]);
      f[1] = z[1] + f[0];
    };
    t.add(
        family, "standard map", 2, map, vector({0.3, 3}), outcome::wanders, 0,
        [](const VectorXd& z) {
          const double turns = z(1) / std::numbers::pi;
          return std::hypot(z(0), std::numbers::pi * (turns - std::round(turns)));
        },
        4 * tolerance);
  }
  t.add(
      family, "logistic 3.9", 1, [](const double* z, double* f) { f[0] = 3.9 * z[0] * (1 - z[0]); },
      vector({0.3}), outcome::wanders, 0, distance_to({vector({0}), vector({1 - 1 / 3.9})}),
      tolerance);
  // The residual falls for ever, but there is no fixed point; as far as can be it is solved where
  // the residual, which is 1 / (z + √(1 + z²)), is small.
  t.add(
      family, "√(1 + z²)", 1, [](const double* z, double* f) { f[0] = std::sqrt(1 + z[0] * z[0]); },
      vector({0}), outcome::wanders, 0,
      [](const VectorXd& z) { return 1 / (z(0) + std::sqrt(1 + z(0) * z(0))); },
      // Rounding of 1 + z².
      2 * tolerance);
}

void literature(Table& t) {
  const char* const family = "literature";
  {  // u'' + λ e^u = 0, Laplacian inverted: λ = 3.5 is near the fold at 3.5138.
    constexpr index_t k = 100;
    constexpr double step = 1.0 / (k + 1);
    MatrixXd inverse(k, k);
    for (index_t i = 0; i < k; ++i) {
      for (index_t j = 0; j < k; ++j) {
        const double x = step * double(std::min(i, j) + 1), y = step * double(std::max(i, j) + 1);
        inverse(i, j) = step * x * (1 - y);
      }
    }
    const auto map = [inverse](const double* z, double* f) {
      out(f, k) = 3.5 * (inverse * VectorXd(in(z, k).array().exp()));
    };
    VectorXd bow(k);
    for (index_t i = 0; i < k; ++i) {
      const double x = step * double(i + 1);
      bow(i) = 4 * x * (1 - x);
    }
    t.add_rooted(family, "Bratu on a line, λ = 3.5", map, VectorXd::Zero(k), outcome::arrives, 1,
                 {bow, 1.6 * bow});
  }
  {  // The same on a square by sweeps of Jacobi, with convection.
    constexpr index_t n = 15, k = n * n;
    constexpr double h = 1.0 / (n + 1);
    const auto map = [](const double* z, double* f) {
      for (index_t j = 0; j < n; ++j) {
        for (index_t i = 0; i < n; ++i) {
          const double* const at = z + j * n + i;
          const double west = i > 0 ? at[-1] : 0, east = i + 1 < n ? at[1] : 0;
          const double south = j > 0 ? at[-n] : 0, north = j + 1 < n ? at[n] : 0;
          f[j * n + i] =
              (west + east + south + north + h * h * 6 * std::exp(*at) - h * 5 * (east - west)) / 4;
        }
      }
    };
    t.add_rooted(family, "Bratu on a square, Jacobi", map, VectorXd::Zero(k), outcome::arrives, 1,
                 {VectorXd::Constant(k, 0.3)});
  }
  for (const double w : {0.9999, 1.0}) {  // Chandrasekhar's H equation by the midpoint rule
    constexpr index_t k = 80;
    MatrixXd kernel(k, k);
    for (index_t i = 0; i < k; ++i) {
      for (index_t j = 0; j < k; ++j) {
        kernel(i, j) = w / (2 * k) * (double(i) + 0.5) / double(i + j + 1);
      }
    }
    const auto map = [kernel](const double* z, double* f) {
      out(f, k) = (1 - (kernel * in(z, k)).array()).inverse();
    };
    // Of the discrete equation as well: the mean of H is 2 (1 ∓ √(1 - w)) / w.
    const auto defect = [w](const VectorXd& z) {
      const double root = std::sqrt(1 - w);
      return std::min(std::abs(z.mean() - 2 * (1 - root) / w),
                      std::abs(z.mean() - 2 * (1 + root) / w));
    };
    // At 1 two solutions meet, so that the error is as the root of the residual.
    t.add(family, w < 1 ? "H equation, ω = 0.9999" : "H equation, ω = 1", k, map, VectorXd::Ones(k),
          outcome::arrives, 1, defect, w < 1 ? 100 * tolerance : 1e-3);
  }
  {  // z + (b - A z) / 4 with the Laplacian of a line.
    constexpr index_t k = 63;
    const VectorXd b = uniform(k, 91);
    MatrixXd A = 2 * MatrixXd::Identity(k, k);
    A.diagonal(1).setConstant(-1);
    A.diagonal(-1).setConstant(-1);
    const auto map = [b](const double* z, double* f) {
      for (index_t i = 0; i < k; ++i) {
        f[i] = z[i] + (b(i) - 2 * z[i] + neighbours(z, i, k)) / 4;
      }
    };
    t.add(family, "Richardson, Laplacian", k, map, VectorXd::Zero(k), outcome::arrives, 1,
          distance_to({A.ldlt().solve(b)}), 4 * inverse_norm(A) * 1.01 * tolerance);
  }
  {
    constexpr index_t k = 100;
    MatrixXd P = MatrixXd::Zero(k, k);
    for (index_t i = 0; i < k; ++i) {  // two halves with one link each to the other
      for (int link = 0; link < 4; ++link) {
        const auto to = static_cast<index_t>(basin::random_stream{92}.word(link, i) %
                                             static_cast<std::uint32_t>(k / 2));
        const bool leaves = i % (k / 2) == 0 && link == 0;
        P((to + i / (k / 2) * (k / 2) + (leaves ? k / 2 : 0)) % k, i) += 0.25;
      }
    }
    t.add_linear(family, "PageRank, damping 0.99", 0.99 * P, VectorXd::Constant(k, 0.01 / k),
                 VectorXd::Constant(k, 1.0 / k), outcome::arrives);
  }
  {  // Value iteration: the best of three actions in forty states, discount 0.99.
    static constexpr index_t k = 40, actions = 3;
    std::vector<MatrixXd> P;
    std::vector<VectorXd> reward;
    for (index_t a = 0; a < actions; ++a) {
      MatrixXd p = uniform_matrix(k, k, 93 + static_cast<std::uint64_t>(a), 0, 1).array().pow(6);
      for (index_t i = 0; i < k; ++i) p.row(i) /= p.row(i).sum();
      P.push_back(std::move(p));
      reward.push_back(uniform(k, 96 + static_cast<std::uint64_t>(a), 0, 1));
    }
    const auto action_values = [P, reward](const VectorXd& z) {
      MatrixXd q(k, actions);
      for (index_t a = 0; a < actions; ++a) {
        const auto at = static_cast<std::size_t>(a);
        q.col(a) = reward[at] + 0.99 * (P[at] * z);
      }
      return q;
    };
    const auto map = [action_values](const double* z, double* f) {
      out(f, k) = action_values(in(z, k)).rowwise().maxCoeff();
    };
    // Policy iteration: the value of a policy by elimination, until it does not change.
    VectorXd value = VectorXd::Zero(k);
    for (int round = 0; round < 50; ++round) {
      const MatrixXd q = action_values(value);
      MatrixXd A = MatrixXd::Identity(k, k);
      VectorXd b(k);
      for (index_t i = 0; i < k; ++i) {
        index_t best;
        q.row(i).maxCoeff(&best);
        const auto at = static_cast<std::size_t>(best);
        A.row(i) -= 0.99 * P[at].row(i);
        b(i) = reward[at](i);
      }
      value = A.partialPivLu().solve(b);
    }
    // A contraction in the largest entry.
    t.add(family, "value iteration", k, map, VectorXd::Zero(k), outcome::arrives, 1,
          distance_to({value}), 100 * std::sqrt(double(k)) * tolerance);
  }
  {  // The means of two overlapping normal distributions of equal weight.
    constexpr index_t count = 400;
    VectorXd x = normal(count, 101);
    x.head(count / 2).array() += 0.8;
    x.tail(count / 2).array() -= 0.8;
    const auto map = [x](const double* z, double* f) {
      double sum[2] = {}, weight[2] = {};
      for (const double value : x) {
        const double first = std::exp(-0.5 * (value - z[0]) * (value - z[0]));
        const double second = std::exp(-0.5 * (value - z[1]) * (value - z[1]));
        const double share = first / (first + second);
        sum[0] += share * value, weight[0] += share;
        sum[1] += (1 - share) * value, weight[1] += 1 - share;
      }
      f[0] = sum[0] / weight[0];
      f[1] = sum[1] / weight[1];
    };
    // The gradient of the likelihood, of its logarithm by differences; equal means are a saddle.
    const auto likelihood = [x](const VectorXd& z) {
      long double sum = 0;
      for (const double value : x) {
        const long double a = value - z(0), b = value - z(1);
        sum += std::log(std::exp(-a * a / 2) + std::exp(-b * b / 2));
      }
      return sum;
    };
    const auto defect = [likelihood](const VectorXd& z) {
      VectorXd gradient(2);
      for (index_t i = 0; i < 2; ++i) {
        constexpr double h = 1e-5;
        gradient(i) = static_cast<double>(likelihood(z + h * VectorXd::Unit(2, i)) -
                                          likelihood(z - h * VectorXd::Unit(2, i))) /
                      (2 * h);
      }
      return gradient.norm();
    };
    t.add(family, "EM, two means", 2, map, vector({0.2, 0.1}), outcome::arrives, 1, defect, 1e-5);
  }
  {  // Weights, means and variances of three; a negative variance has no value.
    constexpr index_t count = 300, k = 9;
    VectorXd x = normal(count, 102);
    for (index_t i = 0; i < count; ++i) x(i) = 0.8 * x(i) + 2.0 * double(i % 3) - 2;
    const auto densities = [](double value, const double* z, std::array<double, 3>& p) {
      double sum = 0;
      for (std::size_t c = 0; c < 3; ++c) {
        const double d = value - z[3 + c];
        p[c] = z[c] * std::exp(-0.5 * d * d / z[6 + c]) / std::sqrt(z[6 + c]);
        sum += p[c];
      }
      return sum;
    };
    const auto map = [x, densities](const double* z, double* f) {
      std::array<double, 3> p{}, weight{}, first{}, second{};
      for (const double value : x) {
        const double sum = densities(value, z, p);
        for (std::size_t c = 0; c < 3; ++c) {
          const double share = p[c] / sum;
          weight[c] += share, first[c] += share * value, second[c] += share * value * value;
        }
      }
      for (std::size_t c = 0; c < 3; ++c) {
        const double mean = first[c] / weight[c];
        f[c] = weight[c] / count;
        f[3 + c] = mean;
        f[6 + c] = second[c] / weight[c] - mean * mean;
      }
    };
    // The weights sum to one, and the likelihood of the data does not change with the weights
    // but for that, the means and the variances: its derivatives by differences.
    const auto defect = [x, densities](const VectorXd& z) {
      const auto likelihood = [&](const VectorXd& at) {
        std::array<double, 3> p{};
        double sum = 0;
        for (const double value : x) sum += std::log(densities(value, at.data(), p)) / count;
        return sum;
      };
      VectorXd rest(k + 1);
      for (index_t i = 0; i < k; ++i) {
        const VectorXd step = 1e-5 * VectorXd::Unit(k, i);
        rest(i) = (likelihood(z + step) - likelihood(z - step)) / 2e-5 - (i < 3 ? 1 : 0);
      }
      rest(k) = z.head(3).sum() - 1;
      return rest.norm();
    };
    t.add(family, "EM, three normal laws", k, map,
          vector({0.3, 0.3, 0.4, -1.5, 0.2, 1.5, 1, 0.8, 1}), outcome::arrives, 1, defect, 1e-6);
  }
  {  // Lloyd's iteration for five centres in the plane: piecewise constant.
    constexpr index_t count = 200, centres = 5, k = 2 * centres;
    const MatrixXd X = normal(2 * count, 103).reshaped(2, count) +
                       3 * uniform_matrix(2, 8, 104).replicate(1, count / 8);
    const auto map = [X](const double* z, double* f) {
      const Eigen::Map<const MatrixXd> C(z, 2, centres);
      MatrixXd sum = MatrixXd::Zero(2, centres);
      std::array<double, centres> members{};
      for (index_t i = 0; i < count; ++i) {
        index_t nearest;
        (C.colwise() - X.col(i)).colwise().squaredNorm().minCoeff(&nearest);
        sum.col(nearest) += X.col(i);
        members[static_cast<std::size_t>(nearest)] += 1;
      }
      for (index_t c = 0; c < centres; ++c) {
        const double n = members[static_cast<std::size_t>(c)];
        for (index_t i = 0; i < 2; ++i) f[2 * c + i] = n > 0 ? sum(i, c) / n : z[2 * c + i];
      }
    };
    // The sum over each cluster of what its members deviate from the centre.
    const auto defect = [X](const VectorXd& z) {
      MatrixXd deviation = MatrixXd::Zero(2, centres);
      for (index_t i = 0; i < count; ++i) {
        index_t best = 0;
        for (index_t c = 1; c < centres; ++c) {
          if ((z.segment(2 * c, 2) - X.col(i)).norm() < (z.segment(2 * best, 2) - X.col(i)).norm())
            best = c;
        }
        deviation.col(best) += z.segment(2 * best, 2) - X.col(i);
      }
      return deviation.norm();
    };
    t.add(family, "k-means", k, map, X.leftCols(centres).reshaped(), outcome::arrives, 1, defect,
          count * tolerance);
  }
  {  // Iterative shrinkage for the lasso.
    constexpr index_t rows = 40, k = 80;
    const MatrixXd A = uniform_matrix(rows, k, 105) / std::sqrt(double(rows) / 3);
    const VectorXd b =
        A * (uniform(k, 106).array() * (uniform(k, 107).array() > 0.8).cast<double>()).matrix();
    const double length =
        1 / (A.transpose() * A).selfadjointView<Eigen::Lower>().eigenvalues()(k - 1);
    constexpr double lambda = 0.02;
    const auto map = [A, b, length](const double* z, double* f) {
      const VectorXd x = in(z, k) - length * (A.transpose() * (A * in(z, k) - b));
      out(f, k) = x.array().sign() * (x.array().abs() - length * lambda).max(0.0);
    };
    // The conditions of optimality: the gradient is λ in size where z is not zero, at most λ
    // where it is.
    const auto defect = [A, b](const VectorXd& z) {
      const VectorXd g = A.transpose() * (b - A * z);
      double sum = 0;
      for (index_t i = 0; i < k; ++i) {
        const double off = z(i) != 0 ? std::min(std::abs(g(i) - (z(i) > 0 ? lambda : -lambda)),
                                                std::abs(z(i)) / 1e-3)
                                     : std::max(0.0, std::abs(g(i)) - lambda);
        sum += off * off;
      }
      return std::sqrt(sum);
    };
    t.add(family, "lasso", k, map, VectorXd::Zero(k), outcome::arrives, 1, defect, 1e-4);
  }
  {  // Projected gradients for least squares with non-negative entries, many of them at zero.
    constexpr index_t k = 50;
    MatrixXd A = uniform_matrix(60, k, 108, 0, 1);
    const VectorXd b = A * uniform(k, 109).cwiseMax(0.0) + 0.3 * uniform(60, 110);
    const double length =
        1 / (A.transpose() * A).selfadjointView<Eigen::Lower>().eigenvalues()(k - 1);
    const auto map = [A, b, length](const double* z, double* f) {
      out(f, k) = (in(z, k) - length * (A.transpose() * (A * in(z, k) - b))).cwiseMax(0.0);
    };
    const auto defect = [A, b](const VectorXd& z) {
      const VectorXd g = A.transpose() * (A * z - b);
      return g.cwiseMin(z / 1e-3).norm() + z.cwiseMin(0.0).norm();
    };
    t.add(family, "non-negative least squares", k, map, VectorXd::Zero(k), outcome::arrives, 1,
          defect, 1e-4);
  }
  {  // A string over an obstacle: projected Jacobi.
    constexpr index_t k = 63;
    VectorXd floor(k);
    for (index_t i = 0; i < k; ++i) {
      const double x = double(i + 1) / (k + 1);
      floor(i) = 0.3 - 4 * (x - 0.4) * (x - 0.4) + 0.1 * std::sin(20 * x);
    }
    const auto map = [floor](const double* z, double* f) {
      for (index_t i = 0; i < k; ++i) f[i] = std::max(floor(i), neighbours(z, i, k) / 2);
    };
    // The least concave curve over the obstacle and the ends: its upper hull.
    std::vector<std::pair<double, double>> hull{{0, 0}};
    const auto add = [&](double x, double y) {
      const auto above = [&] {
        const auto [x1, y1] = hull[hull.size() - 2];
        const auto [x2, y2] = hull.back();
        return (y2 - y1) * (x - x1) <= (y - y1) * (x2 - x1);
      };
      while (hull.size() > 1 && above()) hull.pop_back();
      hull.emplace_back(x, y);
    };
    for (index_t i = 0; i < k; ++i) add(double(i + 1), floor(i));
    add(k + 1, 0);
    VectorXd string(k);
    std::size_t part = 0;
    for (index_t i = 0; i < k; ++i) {
      const auto x = double(i + 1);
      while (hull[part + 1].first < x) ++part;
      const auto [x1, y1] = hull[part];
      const auto [x2, y2] = hull[part + 1];
      string(i) = y1 + (y2 - y1) * (x - x1) / (x2 - x1);
    }
    t.add(family, "string over an obstacle", k, map, VectorXd::Zero(k), outcome::arrives, 1,
          distance_to({string}), 2000 * tolerance);
  }
  {  // The three largest entries after a gradient step are kept: not continuous.
    constexpr index_t rows = 30, k = 40;
    const MatrixXd A = uniform_matrix(rows, k, 111) / std::sqrt(double(rows) / 3);
    VectorXd truth = VectorXd::Zero(k);
    truth(4) = 1, truth(17) = -2, truth(30) = 1.5;
    const auto map = [A, b = VectorXd(A * truth)](const double* z, double* f) {
      VectorXd x = in(z, k) - 0.4 * (A.transpose() * (A * in(z, k) - b));
      VectorXd size = x.cwiseAbs();
      std::nth_element(size.data(), size.data() + k - 3, size.data() + k);
      const double least = size(k - 3);
      for (index_t i = 0; i < k; ++i) f[i] = std::abs(x(i)) >= least ? x(i) : 0;
    };
    t.add(family, "hard thresholds", k, map, VectorXd::Zero(k), outcome::arrives, 1,
          distance_to({truth}), 10 * tolerance);
  }
  {  // Sinkhorn's scaling in logarithms; a constant may be added.
    constexpr index_t k = 30;
    const MatrixXd cost = 8 * uniform_matrix(k, k, 112, 0, 1);
    const VectorXd a = uniform(k, 113, 0.5, 1.5).normalized();
    VectorXd b = uniform(k, 114, 0.5, 1.5);
    b *= a.sum() / b.sum();
    const auto map = [K = MatrixXd((-cost).array().exp()), a, b](const double* z, double* f) {
      const VectorXd u = in(z, k).array().exp();
      const VectorXd v = b.cwiseQuotient(K.transpose() * u);
      out(f, k) = a.cwiseQuotient(K * v).array().log();
    };
    // The plan's rows and columns sum to a and b.
    const auto defect = [cost, a, b](const VectorXd& z) {
      MatrixXd plan = (z.replicate(1, k) - cost).array().exp();
      const VectorXd sums = plan.colwise().sum();
      plan = plan * b.cwiseQuotient(sums).asDiagonal();
      return (plan.rowwise().sum() - a).norm();
    };
    t.add(family, "Sinkhorn", k, map, VectorXd::Zero(k), outcome::arrives, 1, defect,
          2 * tolerance);
  }
  {  // Newton's iteration for z³ = 1 in the complex plane, near a boundary between basins.
    const auto map = [](const double* z, double* f) {
      const double x = z[0], y = z[1], r = x * x + y * y;
      f[0] = (2 * x + (x * x - y * y) / (r * r)) / 3;
      f[1] = (2 * y - 2 * x * y / (r * r)) / 3;
    };
    const double high = std::sqrt(0.75);
    t.add(family, "Newton for z³ = 1", 2, map, vector({-0.05, 0.031}), outcome::arrives, 1,
          distance_to({vector({1, 0}), vector({-0.5, high}), vector({-0.5, -high})}),
          2 * tolerance);
  }
}

}  // namespace

const std::vector<problem>& all() {
  static const std::vector<problem> table = [] {
    Table t;
    contractions(t);
    non_normal(t);
    stiff_scales(t);
    holes(t);
    divergent(t);
    cyclic(t);
    marginal(t);
    literature(t);
    return std::move(t.problems);
  }();
  return table;
}

}  // namespace problems
