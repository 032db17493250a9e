// expect: accelerator
#include <basin/map/affine.hpp>
#include <basin/solver/fixed_point_solver.hpp>

struct faster {};

int main() {
  basin::FixedPointSolver solver{basin::affine(Eigen::Matrix2d::Identity()), faster{}};
  (void)solver.solve(Eigen::MatrixXd(2, 3));
}
