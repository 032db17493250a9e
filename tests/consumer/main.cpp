// Two units include every header: nothing may be defined twice.
#include <basin/basin.hpp>
#include <basin/io/csv.hpp>
#include <basin/io/npy.hpp>

double other_limit();

int main() {
  basin::FixedPointSolver solver{basin::columnwise<1>([](double z) { return z / 2 + 1; })};
  const auto found = solver.solve(Eigen::MatrixXd::Zero(1, 10));
  const bool same = found.states(0, 0) == other_limit();
  return same && found.count(basin::status::converged) == 10 ? 0 : 1;
}
