/// @file
/// The learning rate as a function of the step.
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>
#include <variant>
#include <vector>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// The same rate throughout.
struct constant_schedule {};

/// The rate is multiplied by `factor` at each of the given steps.
struct step_schedule {
  std::vector<index_t> steps;  ///< ascending, counted from 0
  double factor = 0.1;
};

/// Half a cosine from the rate down to `minimum` over the steps after the warm-up
/// (Loshchilov and Hutter 2017, without restarts).
struct cosine_schedule {
  double minimum = 0;
};

/// A learning rate and how it changes.
struct learning_rate {
  double rate = 1e-3;  ///< at its highest, > 0
  std::variant<constant_schedule, step_schedule, cosine_schedule> schedule = {};
  /// Steps during which the rate rises linearly: rate (t + 1) / warm_up at step t.
  index_t warm_up = 0;
};

/// The rate at a step.
/// @param step from 0
/// @param total steps of the whole training, which the cosine needs
[[nodiscard]] inline double rate_at(const learning_rate& settings, index_t step, index_t total) {
  const double warm = step < settings.warm_up
                          ? static_cast<double>(step + 1) / static_cast<double>(settings.warm_up)
                          : 1.0;
  if (const auto* steps = std::get_if<step_schedule>(&settings.schedule)) {
    const auto passed = std::count_if(steps->steps.begin(), steps->steps.end(),
                                      [&](index_t at) { return at <= step; });
    return warm * settings.rate * std::pow(steps->factor, static_cast<double>(passed));
  }
  const auto* cosine = std::get_if<cosine_schedule>(&settings.schedule);
  if (cosine == nullptr || step < settings.warm_up) return warm * settings.rate;
  const double share = static_cast<double>(step - settings.warm_up) /
                       static_cast<double>(std::max<index_t>(1, total - settings.warm_up));
  constexpr double pi = 3.14159265358979323846;
  return cosine->minimum +
         (settings.rate - cosine->minimum) * (1 + std::cos(pi * std::min(1.0, share))) / 2;
}

/// Throws `argument_error` unless the settings make sense.
inline void require_learning_rate(std::string_view where, const learning_rate& settings) {
  require(std::isfinite(settings.rate) && settings.rate > 0, where,
          "the learning rate must be positive");
  require(settings.warm_up >= 0, where, "the warm-up must not be negative");
  if (const auto* steps = std::get_if<step_schedule>(&settings.schedule)) {
    require(std::isfinite(steps->factor) && steps->factor > 0, where,
            "the factor of the step schedule must be positive");
    require(std::is_sorted(steps->steps.begin(), steps->steps.end()), where,
            "the steps of the schedule must ascend");
  }
  if (const auto* cosine = std::get_if<cosine_schedule>(&settings.schedule)) {
    require(cosine->minimum >= 0 && cosine->minimum <= settings.rate, where,
            "the minimum of the cosine schedule must lie between 0 and the rate");
  }
}

}  // namespace basin
