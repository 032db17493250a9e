#include <basin/basin.hpp>
#include <basin/io/csv.hpp>
#include <basin/io/npy.hpp>

double other_limit() {
  basin::FixedPointSolver solver{basin::columnwise<1>([](double z) { return z / 2 + 1; })};
  return solver.solve(Eigen::MatrixXd::Zero(1, 1)).states(0, 0);
}
