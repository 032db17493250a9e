// The accelerators that are measured on tests/solver/problems.hpp.
#pragma once

#include <basin/solver/accelerator.hpp>
#include <basin/solver/anderson.hpp>
#include <basin/solver/basin_preserving.hpp>
#include <basin/solver/broyden.hpp>
#include <basin/solver/extrapolation.hpp>

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
}

}  // namespace problems
