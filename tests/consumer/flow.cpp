#include <boost/numeric/odeint/stepper/runge_kutta4.hpp>

#include <basin/basin.hpp>

int main() {
  boost::numeric::odeint::runge_kutta4<double> stepper;
  double x = 1;
  stepper.do_step([](const double& z, double& slope, double) { slope = -z; }, x, 0.0, 0.1);
  return x < 1 ? 0 : 1;
}
