// expect: latent_map
#include <basin/solver/fixed_point_solver.hpp>

int main() {
  basin::FixedPointSolver solver{[](double x) { return x / 2; }};
  (void)solver.solve(basin::cpu<double>(), Eigen::MatrixXd(2, 3));
}
