// expect: has_jvp
#include <basin/backend/cpu.hpp>
#include <basin/map/derivative.hpp>
#include <basin/map/function_map.hpp>

int main() {
  auto map = basin::function_map(2, [](const auto& Z) { return (Z / 2).eval(); });
  Eigen::MatrixXd Z(2, 3), JV(2, 3);
  jvp(basin::cpu<double>(), map, Z, Z, JV);
}
