/// @file
/// The events that end a column of a flow.
#pragma once

#include <cmath>
#include <string>

#include <Eigen/Core>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// When a column's flow ends. Every event is looked for at the ends of steps: one that
/// begins and ends within a step is not seen. The first point of an event is then located by
/// taking the step again, shorter, so that the state is a point of the method's own order and
/// not of an interpolation. Methods that keep their step (`euler`, `adams`) end at the step
/// behind the event instead.
struct flow_stopping {
  /// The flow runs from time 0 to this. At least 0; infinity: no end.
  double time = 100;
  /// Arrived where ‖f(z) - z‖₂ is at most this. At least 0; 0: at exact fixed points only.
  double residual = 1e-6;
  /// Known attractors, k × C, one a column. Empty: none.
  Eigen::MatrixXd attractors = {};
  /// Captured where the distance to an attractor is at most its trusted radius: C radii, or
  /// one for all. More than 0.
  Eigen::VectorXd radii = {};
  /// Left where an entry is below `lower` or above `upper`: k bounds, or one for all. Empty:
  /// unbounded on that side.
  Eigen::VectorXd lower = {};
  Eigen::VectorXd upper = {};
  /// How far beyond an event a column may end, relative to the residual, to the radius, or to
  /// the distance that the step covered towards the face. In (0, 1).
  double location = 1e-3;
  /// Steps of a column, rejected ones included. At least 1.
  index_t max_steps = 100000;

  /// @throws argument_error that names the setting and its value
  void check() const {
    const auto in_range = [](bool holds, const char* name, double value, const char* range) {
      if (!holds) {
        throw argument_error(std::string("flow_stopping: ") + name + " is " +
                             std::to_string(value) + ", must be " + range);
      }
    };
    in_range(time >= 0, "time", time, "at least 0");
    in_range(residual >= 0, "residual", residual, "at least 0");
    in_range(location > 0 && location < 1, "location", location, "in (0, 1)");
    in_range(max_steps >= 1, "max_steps", static_cast<double>(max_steps), "at least 1");
    for (index_t i = 0; i < radii.size(); ++i) {
      in_range(radii[i] > 0, "a radius", radii[i], "more than 0");
    }
    if (attractors.cols() == 0) {
      require(radii.size() == 0, "flow_stopping", "there are radii but no attractors");
    } else if (radii.size() != 1) {
      require_size("flow_stopping", "number of radii", radii.size(), attractors.cols());
    }
  }

  /// @throws size_error unless attractors and bounds have the sizes of states of k entries
  void check_dimension(index_t k) const {
    if (attractors.cols() > 0) {
      require_size("flow_stopping", "number of rows of the attractors", attractors.rows(), k);
    }
    const auto check_bound = [k](const char* name, const Eigen::VectorXd& bound) {
      if (bound.size() > 1) require_size("flow_stopping", name, bound.size(), k);
    };
    check_bound("number of lower bounds", lower);
    check_bound("number of upper bounds", upper);
  }
};

}  // namespace basin
