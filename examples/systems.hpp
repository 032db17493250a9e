// The maps that the main job knows by name. Add one with `make_system`.
#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <basin/basin.hpp>

namespace explore {

using basin::index_t;
using backend = basin::cpu<double>;
using result = basin::FixedPointResult<backend>;

// How the starts of a run are followed.
struct settings {
  basin::stopping rule;
  double damping = 1;  // 1: Picard's iteration
  basin::run_options run;
  bool silent = false;
};

// A map with its name, and where its starts are drawn: uniform in a box.
struct map_system {
  std::string name;
  std::string text;  // what is known of its attractors
  index_t k = 0;
  double low = -1;
  double high = 1;
  std::function<result(const backend&, const Eigen::MatrixXd&, const settings&)> solve;
  std::function<Eigen::MatrixXd(const backend&, const Eigen::MatrixXd&)> step;
};

template <class Map>
map_system make_system(std::string name, std::string text, double low, double high, Map map) {
  map_system system{std::move(name), std::move(text), basin::dimension(map), low, high, {}, {}};
  system.solve = [map](const backend& be, const Eigen::MatrixXd& starts, const settings& s) {
    basin::ProgressBar bar({.silent = s.silent});
    if (s.damping == 1) {
      basin::FixedPointSolver solver{map, basin::picard{}, s.rule};
      return solver.solve(be, starts, s.run, bar);
    }
    basin::FixedPointSolver solver{map, basin::damped{.factor = s.damping}, s.rule};
    return solver.solve(be, starts, s.run, bar);
  };
  system.step = [map](const backend& be, const Eigen::MatrixXd& Z) mutable {
    Eigen::MatrixXd next(Z.rows(), Z.cols());
    basin::evaluate(be, map, Z, next);
    return next;
  };
  return system;
}

inline map_system rotation(const std::string& name, const std::string& text, double angle) {
  return make_system(
      name, text, -1, 1,
      basin::columnwise<2>([c = std::cos(angle), s = std::sin(angle)](const auto& z, auto& next) {
        next[0] = c * z[0] - s * z[1];
        next[1] = s * z[0] + c * z[1];
      }));
}

inline map_system logistic(const std::string& name, const std::string& text, double r) {
  return make_system(name, text, 0.001, 0.999,
                     basin::columnwise<1>([r](double z) { return r * z * (1 - z); }));
}

// z -> A z + b with the spectral radius 0.9.
inline map_system contraction() {
  const index_t k = 8;
  const backend be(1);
  Eigen::MatrixXd Q(k, k);
  fill_orthogonal(be, {.seed = 1}, Q);
  const Eigen::VectorXd radii = Eigen::VectorXd::LinSpaced(k, 0.2, 0.9);
  const Eigen::MatrixXd A = Q * radii.asDiagonal() * Q.transpose();
  return make_system("linear", "contraction with radius 0.9: one fixed point, (I - A)^-1 b", -1, 1,
                     basin::affine(A, Eigen::VectorXd::Ones(k)));
}

// A network without biases: f(c z) = c f(z) for c > 0, so 0 is its one isolated attractor.
inline map_system homogeneous_network() {
  const index_t k = 16, hidden = 64;
  const backend be(1);
  Eigen::MatrixXd E(hidden, k), D(k, hidden);
  fill_normal(be, {.seed = 2, .stream = 0}, E, 1 / std::sqrt(static_cast<double>(k)));
  fill_normal(be, {.seed = 2, .stream = 1}, D, 1 / std::sqrt(static_cast<double>(hidden)));
  return make_system("relu", "homogeneous ReLU network, no biases: 0, whatever the training", -1, 1,
                     basin::compose(basin::affine(D), basin::activation(basin::relu_function{}),
                                    basin::affine(E)));
}

inline std::vector<map_system> all_systems() {
  std::vector<map_system> systems;
  systems.push_back(contraction());
  systems.push_back(make_system("cos", "z -> cos z: the Dottie number 0.739085...", -10, 10,
                                basin::columnwise<1>([](double z) { return std::cos(z); })));
  systems.push_back(make_system("newton",
                                "Newton's iteration for z^3 = 1: the three roots of unity", -2, 2,
                                basin::columnwise<2>([](const auto& z, auto& next) {
                                  const double x = z[0], y = z[1], r = x * x + y * y;
                                  next[0] = (2 * x + (x * x - y * y) / (r * r)) / 3;
                                  next[1] = (2 * y - 2 * x * y / (r * r)) / 3;
                                })));
  systems.push_back(make_system("henon", "Henon's map (1.4, 0.3): a strange attractor, or away", -2,
                                2, basin::columnwise<2>([](const auto& z, auto& next) {
                                  next[0] = 1 - 1.4 * z[0] * z[0] + z[1];
                                  next[1] = 0.3 * z[0];
                                })));
  systems.push_back(logistic("logistic2", "logistic map, r = 3.2: a cycle of period 2", 3.2));
  systems.push_back(logistic("logistic4", "logistic map, r = 3.5: a cycle of period 4", 3.5));
  systems.push_back(homogeneous_network());
  systems.push_back(rotation("rotation", "rotation by 1 radian: no attractor, a rate of 1", 1.0));
  return systems;
}

}  // namespace explore
