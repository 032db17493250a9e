/// @file
/// Adam, AdamW and stochastic gradient descent.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <basin/backend/array_view.hpp>
#include <basin/backend/cpu/thread_pool.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// Adam (Kingma and Ba 2015, Algorithm 1), with the decay of the parameters added to the
/// gradient, as in PyTorch's Adam.
struct adam {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;  ///< L2: gradient + weight_decay × parameter
};

/// Adam with decoupled decay (Loshchilov and Hutter 2019): parameters shrink by
/// 1 - rate × weight_decay before each step.
struct adamw {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
};

/// Gradient descent with momentum, as in PyTorch: velocity = momentum × velocity +
/// gradient, parameter -= rate × velocity; with `nesterov`, rate × (gradient + momentum ×
/// velocity).
struct sgd {
  double momentum = 0;
  double weight_decay = 0;  ///< L2: gradient + weight_decay × parameter
  bool nesterov = false;
};

using optimizer_settings = std::variant<adam, adamw, sgd>;

/// An optimiser with what it remembers. Every element is updated by itself, so the
/// result does not depend on the number of threads. Numbers below the smallest normal one
/// over the machine's epsilon (1e-31 in float) become zero. Memory: two numbers a parameter for
/// Adam and AdamW, one for momentum.
template <class Scalar>
class Optimizer {
 public:
  /// @param settings which method
  /// @param parameters number of parameters
  /// @throws argument_error if a setting is out of its range
  Optimizer(optimizer_settings settings, index_t parameters) : settings_(std::move(settings)) {
    std::visit([](const auto& method) { require_valid(method); }, settings_);
    const auto count = static_cast<std::size_t>(parameters);
    const auto* descent = std::get_if<sgd>(&settings_);
    if (descent == nullptr || descent->momentum != 0) first_.resize(count);
    if (descent == nullptr) second_.resize(count);
  }

  [[nodiscard]] const optimizer_settings& settings() const noexcept { return settings_; }
  /// Steps taken.
  [[nodiscard]] index_t steps() const noexcept { return steps_; }
  /// Running means of the gradient (or the velocity), and of its square; empty where the
  /// method has none. To be saved and restored with the number of steps.
  [[nodiscard]] std::vector<Scalar>& first_moment() noexcept { return first_; }
  [[nodiscard]] std::vector<Scalar>& second_moment() noexcept { return second_; }
  void set_steps(index_t steps) noexcept { steps_ = steps; }

  /// One step. The arrays of `parameters` one after the other have the gradients g.
  /// @param rate the learning rate
  void step(thread_pool* pool, const std::vector<array_view<Scalar>>& parameters, const Scalar* g,
            double rate) {
    ++steps_;
    index_t offset = 0;
    for (const array_view<Scalar>& values : parameters) {
      constexpr index_t grain = index_t{1} << 14;
      const auto run = [&](index_t task) {
        const index_t begin = task * grain;
        const index_t end = std::min(values.size, begin + grain);
        std::visit([&](const auto& method) { update(method, values, g, offset, begin, end, rate); },
                   settings_);
      };
      const index_t tasks = (values.size + grain - 1) / grain;
      if (pool != nullptr) {
        pool->run(tasks, run);
      } else {
        for (index_t task = 0; task < tasks; ++task) run(task);
      }
      offset += values.size;
    }
  }

 private:
  static void require_valid(const sgd& s) {
    require(s.momentum >= 0 && s.momentum < 1, "sgd", "momentum must lie in [0, 1)");
    require(s.weight_decay >= 0, "sgd", "weight_decay must not be negative");
    require(!s.nesterov || s.momentum > 0, "sgd", "nesterov needs momentum");
  }
  template <class Adam>
  static void require_valid(const Adam& s) {
    require(static_cast<Scalar>(s.beta1) < 1 && static_cast<Scalar>(s.beta2) < 1 &&
                static_cast<Scalar>(s.epsilon) > 0,
            "adam", "beta1 and beta2 must be less than 1, epsilon more than 0, as scalars");
    require(s.beta1 >= 0 && s.beta1 < 1 && s.beta2 >= 0 && s.beta2 < 1, "adam",
            "beta1 and beta2 must lie in [0, 1)");
    require(s.epsilon > 0, "adam", "epsilon must be positive");
    require(s.weight_decay >= 0, "adam", "weight_decay must not be negative");
  }

  /// x, or 0 where x is so small that its products may be subnormal: weights that decay
  /// and moments without gradients end there, and processors are up to a hundred times
  /// slower with such numbers.
  [[nodiscard]] static Scalar flushed(Scalar x) {
    constexpr Scalar least =
        std::numeric_limits<Scalar>::min() / std::numeric_limits<Scalar>::epsilon();
    return std::abs(x) < least ? Scalar(0) : x;
  }

  template <class Adam>
  void update(const Adam& s, array_view<Scalar> p, const Scalar* g, index_t offset, index_t begin,
              index_t end, double rate) {
    constexpr bool decoupled = std::is_same_v<Adam, adamw>;
    const double t = static_cast<double>(steps_);
    const auto step = static_cast<Scalar>(rate / (1 - std::pow(s.beta1, t)));
    const auto correction = static_cast<Scalar>(1 / std::sqrt(1 - std::pow(s.beta2, t)));
    const auto beta2 = static_cast<Scalar>(s.beta2);
    // The complements are rounded once: in float, 1 - float(0.999) is off by 5e-6 of itself.
    const auto new1 = static_cast<Scalar>(1 - s.beta1);
    const auto new2 = static_cast<Scalar>(1 - s.beta2);
    const auto epsilon = static_cast<Scalar>(s.epsilon);
    const auto keep = static_cast<Scalar>(decoupled ? 1 - rate * s.weight_decay : 1.0);
    const auto decay = static_cast<Scalar>(decoupled ? 0.0 : s.weight_decay);
    Scalar* const value = p.data;
    const Scalar* const gradient = g + offset;
    Scalar* const first = first_.data() + offset;
    Scalar* const second = second_.data() + offset;
    for (index_t i = begin; i < end; ++i) {
      const Scalar slope = gradient[i] + decay * value[i];
      first[i] = flushed(first[i] + new1 * (slope - first[i]));
      second[i] = flushed(beta2 * second[i] + new2 * slope * slope);
      value[i] = flushed(keep * value[i] -
                         step * first[i] / (std::sqrt(second[i]) * correction + epsilon));
    }
  }
  void update(const sgd& s, array_view<Scalar> p, const Scalar* g, index_t offset, index_t begin,
              index_t end, double rate) {
    const auto momentum = static_cast<Scalar>(s.momentum);
    const auto decay = static_cast<Scalar>(s.weight_decay);
    const auto step = static_cast<Scalar>(rate);
    for (index_t i = begin; i < end; ++i) {
      Scalar slope = g[offset + i] + decay * p[i];
      if (s.momentum != 0) {
        Scalar& velocity = first_[static_cast<std::size_t>(offset + i)];
        velocity = flushed(steps_ == 1 ? slope : momentum * velocity + slope);
        slope = s.nesterov ? slope + momentum * velocity : velocity;
      }
      p[i] = flushed(p[i] - step * slope);
    }
  }

  optimizer_settings settings_;
  std::vector<Scalar> first_;
  std::vector<Scalar> second_;
  index_t steps_ = 0;
};

}  // namespace basin
