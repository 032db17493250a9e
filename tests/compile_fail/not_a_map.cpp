// expect: latent_map
#include <basin/solver/fixed_point_solver.hpp>

struct not_a_map {};

int main() {
  basin::FixedPointSolver solver{not_a_map{}};
  (void)solver.solve(Eigen::MatrixXf(2, 3));
}
