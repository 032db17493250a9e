// Sixty problems (problems.hpp) by every accelerator: each status is compared with what the map
// itself says, by evaluations that the solver has no part in.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <basin/map/columnwise.hpp>
#include <basin/map/function_map.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "../catch.hpp"
#include "contenders.hpp"
#include "problems.hpp"
#include "solved_by_peers.hpp"

using basin::index_t;
using basin::status;
using problems::outcome;
using problems::problem;
using problems::VectorXd;

namespace {

struct answer {
  std::string accelerator;
  status said = status::running;
  double residual = 0;
  index_t evaluations = 0;
  index_t period = 0;
  VectorXd z;
};

using problems::rule;

template <class Accelerator>
answer solve(const problem& p, const char* name, const Accelerator& accelerator) {
  const auto found = problems::solve(p, accelerator);
  return {name,
          found.status[0],
          found.residual[0],
          found.evaluations[0],
          found.period[0],
          found.states.col(0)};
}

// All problems by all accelerators, once.
const std::vector<std::vector<answer>>& answers() {
  static const auto all = [] {
    std::vector<std::vector<answer>> found;
    for (const problem& p : problems::all()) {
      auto& of_this = found.emplace_back();
      problems::each_accelerator([&](const char* name, const auto& accelerator) {
        of_this.push_back(solve(p, name, accelerator));
      });
    }
    return found;
  }();
  return all;
}

VectorXd iterate(const problem& p, VectorXd z, index_t count) {
  for (index_t t = 0; t < count; ++t) z = p.value(z);
  return z;
}

// Why the status is wrong, or nothing.
std::string wrong(const problem& p, const answer& a) {
  const double residual = p.residual(a.z);
  const bool same = std::abs(residual - a.residual) <= 1e-12 * residual ||
                    (std::isnan(residual) && std::isnan(a.residual)) ||
                    (!std::isfinite(residual) && !std::isfinite(a.residual));
  if (!same) return "the residual is " + std::to_string(residual);
  if (a.evaluations > rule.max_evaluations) return "more evaluations than allowed";
  const double start = p.residual(p.start);
  switch (a.said) {
    case status::converged:
      if (!(residual <= problems::tolerance * (1 + 1e-12))) return "the residual is too large";
      if (!p.solvable()) return "there is no fixed point";
      if (!(p.defect(a.z) <= p.allowed)) {
        return "no fixed point is near: " + std::to_string(p.defect(a.z));
      }
      return {};
    case status::cycle: {
      if (a.period < 2) return "a cycle without a period";
      VectorXd z = a.z;
      for (index_t t = 1; t <= a.period; ++t) {
        z = p.value(z);
        const bool returns = (z - a.z).norm() <= 1e-5 * residual;
        if (returns != (t == a.period)) return "no such return";
      }
      return {};
    }
    case status::marginal: {
      const double later = p.residual(iterate(p, a.z, 200));
      return std::abs(later / residual - 1) <= 1e-3 ? "" : "the rate is not 1";
    }
    case status::diverged: {
      if (!(residual > 1e8 * std::max(1.0, start))) return "the residual is not large";
      const double later = p.residual(iterate(p, a.z, 3));
      return later > residual || !std::isfinite(later) ? "" : "it grows no more";
    }
    case status::non_finite:
      return p.value(a.z).allFinite() ? "the map is finite" : "";
    case status::stalled:
    case status::max_iterations:
      if (!(residual > problems::tolerance)) return "it is solved";
      if (a.said == status::max_iterations && a.evaluations < rule.max_evaluations) {
        return "the budget is not spent";
      }
      return {};
    default:
      return "not a status of an end";
  }
}

bool solved(const answer& a) { return a.said == status::converged; }

// Picard's status for what becomes of it.
bool fits(outcome dynamics, status said) {
  switch (dynamics) {
    case outcome::arrives:
      // Slower than any progress that is looked for counts as none.
      return said == status::converged || said == status::max_iterations || said == status::stalled;
    case outcome::cycles:
      return said == status::cycle;
    case outcome::keeps_rate:
      return said == status::marginal;
    case outcome::wanders:
      return said == status::stalled || said == status::max_iterations;
    case outcome::grows:
      return said == status::diverged || said == status::non_finite;
    case outcome::leaves:
      return said == status::non_finite;
  }
  return false;
}

}  // namespace

TEST_CASE("what becomes of Picard's iteration is what the table says", "[robustness]") {
  CHECK(problems::all().size() == 60);
  for (const problem& p : problems::all()) {
    INFO(p.name);
    VectorXd z = p.start;
    VectorXd f = p.value(z);
    const double first = (f - z).norm();
    int steps = 0;
    // A sum of residuals stands for what has been; the last one for what is.
    for (; steps < 200000 && (f - z).norm() > problems::tolerance && f.norm() < 1e12; ++steps) {
      z = f;
      f = p.value(z);
      if (p.dynamics == outcome::cycles || p.dynamics == outcome::wanders) {
        if (steps == 5000) break;
      }
    }
    const double last = (f - z).norm();
    int period = 0;
    for (int t = 1; t <= 40 && period == 0; ++t) {
      if ((iterate(p, z, t) - z).norm() <= 1e-9 * (1 + z.norm())) period = t;
    }
    switch (p.dynamics) {
      case outcome::arrives:
        CHECK(last <= problems::tolerance);
        CHECK(p.defect(z) <= p.allowed);
        CHECK(p.period == 1);
        break;
      case outcome::cycles:
        CHECK(period == p.period);
        CHECK(last > 0.1);
        break;
      case outcome::keeps_rate:
        CHECK(last == Approx(first).epsilon(1e-6));
        CHECK(period == 0);
        break;
      case outcome::wanders:
        CHECK(last > problems::tolerance);
        CHECK(f.norm() < 1e3);
        CHECK(period == 0);
        break;
      case outcome::grows:
        CHECK((!std::isfinite(last) || last > 1e8 * first));
        break;
      case outcome::leaves:
        CHECK(z.norm() < 1e3);
        CHECK(std::isnan(last));
        break;
    }
  }
}

TEST_CASE("every status is right, by every accelerator", "[robustness]") {
  for (std::size_t i = 0; i < problems::all().size(); ++i) {
    const problem& p = problems::all()[i];
    for (const answer& a : answers()[i]) {
      INFO(p.name << " by " << a.accelerator << ": " << to_string(a.said) << " after "
                  << a.evaluations << " evaluations, period " << a.period << ", residual "
                  << a.residual);
      CHECK(wrong(p, a) == "");
      if (a.accelerator == "picard") {
        CHECK(fits(p.dynamics, a.said));
        CHECK((a.said != status::cycle || a.period == p.period));
      }
    }
  }
}

TEST_CASE("what a peer solves is solved", "[robustness]") {
  for (std::size_t i = 0; i < problems::all().size(); ++i) {
    const problem& p = problems::all()[i];
    const auto& peers = problems::solved_by_peers;
    const bool by_peers = std::find(std::begin(peers), std::end(peers), p.name) != std::end(peers);
    INFO(p.name);
    CHECK((!by_peers || std::any_of(answers()[i].begin(), answers()[i].end(), solved)));
  }
  for (const char* const name : problems::solved_by_peers) {  // of a table that has changed
    INFO(name);
    CHECK(std::any_of(problems::all().begin(), problems::all().end(),
                      [&](const problem& p) { return p.name == name; }));
  }
}

TEST_CASE("a cycle of the accelerated iteration alone is none", "[robustness]") {
  const auto run = [](auto map, double start, auto accelerator) {
    basin::FixedPointSolver solver{map, accelerator, rule};
    return solver.solve(basin::cpu<double>(1), Eigen::MatrixXd::Constant(1, 1, start));
  };
  // Halfway to ±3 the iteration goes between ±1, where f does not return to.
  const auto jump = [](double z) { return z > 0 ? -3.0 : 3.0; };
  const auto batch = basin::function_map(1, [jump](const auto& Z) { return Z.unaryExpr(jump); });
  for (const auto& found :
       {run(basin::columnwise<1>(jump), 1.0, basin::damped{}), run(batch, 1.0, basin::damped{})}) {
    CHECK(found.status[0] == status::stalled);
    CHECK(found.period[0] == 0);
    // Of the two evaluations that found it out the last is at the candidate's period.
    CHECK(found.evaluations[0] == found.iterations[0] + 3);
  }
  // Picard's is one of f, and needs no more evaluations.
  const auto plain = run(batch, 1.0, basin::picard{});
  CHECK(plain.status[0] == status::cycle);
  CHECK(plain.period[0] == 2);
  CHECK(plain.evaluations[0] == plain.iterations[0] + 1);
  // An accelerated iteration that takes four steps to return has the map's period of two.
  const auto& two = *std::find_if(problems::all().begin(), problems::all().end(),
                                  [](const problem& p) { return p.name == "Cournot's market"; });
  const auto leaping = solve(two, "basin_preserving", basin::basin_preserving{});
  CHECK(leaping.said == status::cycle);
  CHECK(leaping.period == 2);
}

// A table of all answers: test_solver "[table]".
TEST_CASE("table of problems and accelerators", "[.][table]") {
  std::map<std::string, int> count;
  for (std::size_t i = 0; i < problems::all().size(); ++i) {
    const problem& p = problems::all()[i];
    std::printf("%-28s k=%-4td", p.name.c_str(), p.k);
    for (const answer& a : answers()[i]) {
      const std::string word = solved(a) ? std::to_string(a.evaluations) : to_string(a.said).data();
      std::printf(" %-10.10s", word.c_str());
      count[a.accelerator] += solved(a);
    }
    std::printf("\n");
  }
  for (const auto& [name, n] : count) std::printf("%s solves %d\n", name.c_str(), n);
}
