// The sixty problems of tests/solver/problems.hpp behind a C interface, so that solvers of other
// languages meet the same maps: benchmarks/problems.py loads this library.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include <basin/map/function_map.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "../tests/solver/contenders.hpp"
#include "../tests/solver/problems.hpp"
#ifdef BASIN_HAS_SUNDIALS
#include "peers/kinsol.hpp"
#endif

namespace {

using basin::index_t;

const problems::problem& problem(int i) { return problems::all()[static_cast<std::size_t>(i)]; }
const std::vector<std::string>& accelerators() {
  static const auto names = [] {
    std::vector<std::string> list;
    problems::each_accelerator([&](const char* name, const auto&) { list.emplace_back(name); });
    return list;
  }();
  return names;
}

}  // namespace

extern "C" {

int problem_count() { return static_cast<int>(problems::all().size()); }
const char* problem_name(int i) { return problem(i).name.c_str(); }
const char* problem_family(int i) { return problem(i).family.c_str(); }
int problem_size(int i) { return static_cast<int>(problem(i).k); }
double problem_tolerance() { return problems::tolerance; }
long problem_budget() { return problems::budget; }
void problem_start(int i, double* z) { std::copy_n(problem(i).start.data(), problem(i).k, z); }
// f = f(z); answers the residual ‖f - z‖.
double problem_value(int i, const double* z, double* f) {
  const problems::problem& p = problem(i);
  p.map(z, f);
  const Eigen::Map<const problems::VectorXd> from(z, p.k), to(f, p.k);
  return (to - from).norm();
}

// Whether a state of small residual is, or is near, a fixed point: where there is none, rounding
// alone makes the residual small.
int problem_solvable(int i) { return problem(i).solvable() ? 1 : 0; }

int accelerator_count() { return static_cast<int>(accelerators().size()); }
const char* accelerator_name(int a) { return accelerators()[static_cast<std::size_t>(a)].c_str(); }
// The status of problem i by accelerator a; z is where it ends.
const char* accelerator_solve(int i, int a, double* z, long* evaluations) {
  const problems::problem& p = problem(i);
  const char* said = "";
  int number = 0;
  problems::each_accelerator([&](const char*, const auto& accelerator) {
    if (number++ != a) return;
    const auto found = problems::solve(p, accelerator);
    std::copy_n(found.states.data(), p.k, z);
    *evaluations = found.evaluations[0];
    said = to_string(found.status[0]).data();
  });
  return said;
}

// Evaluations that KINSOL's iteration needs until the residual is at most the tolerance: 0 where
// it does not get there, -1 where it was not built in. Window 0 is Picard's iteration.
long kinsol_solve([[maybe_unused]] int i, [[maybe_unused]] int window) {
#ifdef BASIN_HAS_SUNDIALS
  const problems::problem& p = problem(i);
  long count = 0;
  long reached = 0;
  auto map = [&](const double* z, double* f) {
    const double residual = problem_value(i, z, f);
    ++count;
    if (reached == 0 && residual <= problems::tolerance) reached = count;
  };
  peers::Kinsol kinsol(p.k, std::min(window, static_cast<int>(p.k)), map);
  kinsol.solve(p.start.data(), 1e-3 * problems::tolerance, problems::budget);
  return p.solvable() && reached <= problems::budget ? reached : 0;
#else
  return -1;
#endif
}

}  // extern "C"
