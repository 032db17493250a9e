// expect: has_jvp
#include <basin/map/function_map.hpp>
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/solver/newton_krylov.hpp>

int main() {
  const auto map = basin::function_map(2, [](const auto& Z) { return (Z / 2).eval(); });
  basin::FixedPointSolver solver{map, basin::newton_krylov{}};
  (void)solver.solve(Eigen::MatrixXd::Ones(2, 3));
}
