// The accelerators that are measured on tests/solver/problems.hpp.
#pragma once

#include <type_traits>

#include <basin/map/finite_difference.hpp>
#include <basin/map/function_map.hpp>
#include <basin/solver/accelerator.hpp>
#include <basin/solver/anderson.hpp>
#include <basin/solver/automatic.hpp>
#include <basin/solver/basin_preserving.hpp>
#include <basin/solver/broyden.hpp>
#include <basin/solver/extrapolation.hpp>
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/solver/newton_krylov.hpp>

#include "problems.hpp"

namespace problems {

// visit(name, accelerator) for each.
template <class Visit>
void each_accelerator(Visit&& visit) {
  visit("picard", basin::picard{});
  visit("damped", basin::damped{});
  visit("anderson", basin::anderson{});
  visit("anderson_one", basin::anderson{.type = basin::anderson_type::one});
  visit("broyden_good", basin::broyden{});
  visit("broyden_bad", basin::broyden{.type = basin::broyden_type::bad});
  visit("rre", basin::rre{});
  visit("mpe", basin::mpe{});
  visit("vector_epsilon", basin::vector_epsilon{});
  visit("basin_preserving", basin::basin_preserving{});
  visit("automatic", basin::automatic{});
  visit("newton_krylov", basin::newton_krylov{});
}

inline constexpr basin::stopping rule{
    .residual = tolerance, .max_iterations = budget, .max_evaluations = budget};

// One problem by one accelerator; products with the Jacobian are differences.
template <class Accelerator>
basin::FixedPointResult<basin::cpu<double>> solve(const problem& p,
                                                  const Accelerator& accelerator) {
  const auto map = basin::function_map(p.k, [&p](const auto& Z, auto& out) {
    for (basin::index_t j = 0; j < Z.cols(); ++j) p.map(Z.col(j).data(), out.col(j).data());
  });
  const basin::cpu<double> one(1);
  if constexpr (std::is_same_v<Accelerator, basin::newton_krylov>) {
    basin::FixedPointSolver solver{basin::finite_difference(map), accelerator, rule};
    return solver.solve(one, p.start);
  } else {
    basin::FixedPointSolver solver{map, accelerator, rule};
    return solver.solve(one, p.start);
  }
}

}  // namespace problems
