// expect: stopping_rule
#include <basin/map/affine.hpp>
#include <basin/solver/fixed_point_solver.hpp>

int main() {
  basin::FixedPointSolver solver{basin::affine(Eigen::Matrix2d::Identity()), basin::picard{}, 1e-6};
}
