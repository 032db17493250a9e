// Sixty maps with known answers: what the robustness of the solver is measured on, by
// tests/solver/robustness.cpp and, against other solvers, by benchmarks/problems.py.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <basin/core/index.hpp>

namespace problems {

using basin::index_t;
using Eigen::VectorXd;

// Largest residual ‖f(z) - z‖ of a solved problem, and evaluations that may be spent on it.
inline constexpr double tolerance = 1e-8;
inline constexpr index_t budget = 10000;

// What becomes of Picard's iteration from the start.
enum class outcome {
  arrives,     // at a fixed point, however slowly
  cycles,      // with a period of 2 ... 16
  keeps_rate,  // ‖f(z) - z‖ stays the same
  wanders,     // none of these, for ever and within bounds
  grows,       // beyond all bounds, whether or not the last number before is finite
  leaves       // the domain: f is not finite there
};

struct problem {
  std::string family;
  std::string name;
  index_t k;
  std::function<void(const double* z, double* f)> map;
  VectorXd start;
  outcome dynamics;
  int period;  // of the cycle; 1 where it arrives; else 0
  // How far z is from a fixed point by other means than the map: the distance to the known ones,
  // or what is left of the equations that the map was made from. Not given where no state has a
  // residual of `tolerance`.
  std::function<double(const VectorXd& z)> defect;
  double allowed;  // largest defect where the residual is at most `tolerance`

  [[nodiscard]] bool solvable() const { return static_cast<bool>(defect); }
  [[nodiscard]] VectorXd value(const VectorXd& z) const {
    VectorXd f(k);
    map(z.data(), f.data());
    return f;
  }
  // NaN where the map is not finite.
  [[nodiscard]] double residual(const VectorXd& z) const { return (value(z) - z).norm(); }
};

// All of them, made at the first call.
const std::vector<problem>& all();

}  // namespace problems
