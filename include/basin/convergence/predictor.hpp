/// @file
/// What a predictor of iteration counts is, what it answers, and the true counts.
///
/// A predictor is an aggregate of settings with
///
///   std::string name() const
///   void check() const                          throws argument_error
///   template <class B, class Map> class state   made by state(settings, be, map, task), with
///     Predictions predict(points)               of new starts, k × n in host memory
///     index_t preparation() const               evaluations that making it took
///
/// A predictor is told the attractors (`known_attractors`) but not which of them a start will
/// reach. The count is that of `FixedPointResult::iterations` under the rule: the least t at
/// which ‖f(z_t) - z_t‖ meets it. Where that is more than the rule's `max_iterations` there is
/// none, and none is predicted: the reason is `unfinished`.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/convergence/known_attractors.hpp>
#include <basin/solver/fixed_point_solver.hpp>

namespace basin {

/// Why there is no prediction of a start.
enum class not_applicable : std::uint8_t {
  no,               ///< there is one
  non_finite,       ///< the start, or what was evaluated for it, is not finite
  no_attractor,     ///< it comes to none of those that are known
  not_contracting,  ///< ‖J‖₂ >= 1 at the attractor
  not_attracting,   ///< the spectral radius is >= 1 there, or is not known
  defective,        ///< the leading eigenvalues there are not semisimple, or their vectors unknown
  unfinished,       ///< the budget of the rule or of the predictor is spent
};

/// The name of a reason as in the enumeration.
[[nodiscard]] constexpr std::string_view to_string(not_applicable reason) noexcept {
  switch (reason) {
    case not_applicable::no:
      return "no";
    case not_applicable::non_finite:
      return "non_finite";
    case not_applicable::no_attractor:
      return "no_attractor";
    case not_applicable::not_contracting:
      return "not_contracting";
    case not_applicable::not_attracting:
      return "not_attracting";
    case not_applicable::defective:
      return "defective";
    case not_applicable::unfinished:
      return "unfinished";
  }
  return "unknown";
}

/// What is said of one start.
struct prediction {
  /// At least 0 and at most the rule's `max_iterations`; none where not applicable.
  std::optional<double> iterations;
  index_t attractor = -1;                                ///< column of the centres; -1: not known
  not_applicable reason = not_applicable::no_attractor;  ///< `no` iff there are iterations

  /// A prediction of t iterations to attractor c; without one if t is negative or not finite.
  [[nodiscard]] static prediction of(double t, index_t c,
                                     not_applicable otherwise = not_applicable::unfinished) {
    if (!is_finite(t) || t < 0) return {std::nullopt, c, otherwise};
    return {t, c, not_applicable::no};
  }
  [[nodiscard]] static prediction none(not_applicable why, index_t c = -1) {
    return {std::nullopt, c, why};
  }
};

/// What is said of a batch of starts.
struct Predictions {
  std::vector<prediction> starts;
  index_t evaluations = 0;  ///< of f and products with J, in columns, that it took

  explicit Predictions(index_t n = 0) : starts(static_cast<std::size_t>(n)) {}
  [[nodiscard]] index_t size() const noexcept { return static_cast<index_t>(starts.size()); }
  [[nodiscard]] prediction& operator[](index_t j) { return starts[static_cast<std::size_t>(j)]; }
  [[nodiscard]] const prediction& operator[](index_t j) const {
    return starts[static_cast<std::size_t>(j)];
  }
};

/// What `prepare` returns, or what stands for it: says of starts where they go and how long it
/// takes.
template <class P>
concept prepared_predictor = requires(P& p, const Eigen::MatrixXd& points) {
  { p.predict(points) } -> std::same_as<Predictions>;
};

/// What predictors are asked about.
struct prediction_task {
  known_attractors known;
  stopping rule = paper_small();
  /// k × n starts, none of those to be predicted, that a predictor may follow to their ends at
  /// its own cost; 0 × 0: none.
  Eigen::MatrixXd training = {};

  /// The residual ‖f(z) - z‖₂ that meets the rule near z.
  [[nodiscard]] double tolerance(const Eigen::Ref<const Eigen::VectorXd>& z) const {
    return std::sqrt(rule.threshold(z.squaredNorm(), static_cast<index_t>(z.size())));
  }
  /// That near centre c.
  [[nodiscard]] double tolerance_at(index_t c) const { return tolerance(known.centers.col(c)); }

  /// A prediction of t iterations to centre c; `unfinished` if the rule does not allow so many.
  [[nodiscard]] prediction predicted(double t, index_t c) const {
    if (t > static_cast<double>(rule.max_iterations)) {
      return prediction::none(not_applicable::unfinished, c);
    }
    return prediction::of(t, c);
  }

  /// @throws size_error or argument_error if the parts do not fit
  void check() const {
    known.check();
    rule.check();
    if (training.size() > 0) {
      require_size("prediction_task", "number of rows of the training starts", training.rows(),
                   known.centers.rows());
    }
  }
};

/// A predictor for maps of type Map on backend B.
template <class P, class B, class Map>
concept predictor =
    std::copyable<P> &&
    requires(const P& p, const B& be, Map& map, const prediction_task& task,
             typename P::template state<B, Map>& state, const Eigen::MatrixXd& points) {
      { p.name() } -> std::convertible_to<std::string>;
      p.check();
      requires std::constructible_from<typename P::template state<B, Map>, const P&, const B&, Map&,
                                       const prediction_task&>;
      requires prepared_predictor<typename P::template state<B, Map>>;
      { state.preparation() } -> std::convertible_to<index_t>;
    };

/// The state of a predictor, ready for new starts. It refers to the map.
/// @throws argument_error or size_error if settings or the task do not fit
///
/// @code
/// #include <iostream>
///
/// #include <basin/convergence/predictors/koenigs.hpp>
/// #include <basin/map/differentiable.hpp>
///
/// int main() {
///   auto map = basin::differentiable<2>([](const auto& z, auto& f) {
///     using std::tanh;
///     f[0] = tanh(2.0 * z[0] - 0.3 * z[1]);
///     f[1] = tanh(0.5 * z[1] + 0.3 * z[0]);
///   });
///   const basin::cpu<double> cpu;
///   Eigen::MatrixXd ends(2, 2);
///   ends << 1, -1, 0.5, -0.5;
///   const auto centers = basin::polish(cpu, map, ends).states;
///   const basin::prediction_task task{basin::with_spectra(cpu, map, centers)};
///   auto ready = basin::prepare(cpu, map, basin::koenigs{.steps = 4}, task);
///   const auto said = ready.predict(Eigen::MatrixXd::Random(2, 5));
///   for (const basin::prediction& p : said.starts) {
///     if (p.iterations) std::cout << *p.iterations << " to attractor " << p.attractor << '\n';
///   }
/// }
/// @endcode
template <basin::backend B, class Map, class P>
  requires predictor<P, B, Map>
[[nodiscard]] typename P::template state<B, Map> prepare(const B& be, Map& map, const P& settings,
                                                         const prediction_task& task) {
  settings.check();
  task.check();
  require_dimension("prepare", map, task.known.centers.rows());
  return typename P::template state<B, Map>(settings, be, map, task);
}

/// Where starts go, by iterating to the end.
struct IterationCounts {
  std::vector<index_t> iterations;     ///< of the rule; where unfinished, those that were taken
  std::vector<std::uint8_t> finished;  ///< whether the rule was met
  std::vector<index_t> attractor;      ///< that was reached; -1: none of those known
  index_t evaluations = 0;             ///< of the rule's iteration, without what the labels took

  [[nodiscard]] index_t size() const noexcept { return static_cast<index_t>(iterations.size()); }
};

/// True counts and attractors. Where the rule is met an orbit may still be far from its end, so
/// each is followed on to a hundredth of the tolerance before its centre is named: the nearest,
/// if it is nearer than half of the distance to the next centre.
/// @param points k × n in host memory
/// Cost: all iterations, some more for the names.
template <basin::backend B, class Map>
[[nodiscard]] IterationCounts count_iterations(const B& be, Map& map, const prediction_task& task,
                                               const Eigen::Ref<const Eigen::MatrixXd>& points) {
  using scalar = typename B::scalar;
  task.check();
  require_size("count_iterations", "number of rows of the starts", points.rows(),
               task.known.centers.rows());
  const auto by_reference = [&map](const B& on, const typename B::const_view& Z,
                                   typename B::view& out) { evaluate(on, map, Z, out); };
  const auto run = [&](const typename B::matrix& from, const stopping& rule) {
    FixedPointSolver<decltype(by_reference)> solver(by_reference, picard{}, rule);
    return solver.solve(be, columns(be, from, 0, points.cols()));
  };
  IterationCounts counts;
  const auto n = static_cast<std::size_t>(points.cols());
  counts.finished.resize(n);
  counts.attractor.resize(n, -1);
  if (n == 0) return counts;
  typename B::matrix starts = be.make_matrix(points.rows(), points.cols());
  const Eigen::MatrixX<scalar> host = points.template cast<scalar>();
  upload(be, host, columns(be, starts, 0, points.cols()));
  const auto found = run(starts, task.rule);
  counts.iterations = found.iterations;
  counts.evaluations =
      std::accumulate(found.evaluations.begin(), found.evaluations.end(), index_t{0});
  stopping on = task.rule;
  on.residual /= 100;
  constexpr index_t most = std::numeric_limits<index_t>::max() / 10;
  on.max_iterations = 10 * std::clamp<index_t>(task.rule.max_iterations, 1000, most);
  const auto ends = run(found.states, on);
  Eigen::MatrixX<scalar> states(points.rows(), points.cols());
  download(be, columns(be, ends.states, 0, points.cols()), states);
  const Eigen::MatrixXd at = states.template cast<double>();
  const std::vector<index_t> nearest = nearest_attractor(task.known, at);
  const Eigen::VectorXd half = half_separation(task.known);
  for (std::size_t j = 0; j < n; ++j) {
    counts.finished[j] = found.status[j] == status::converged;
    const index_t c = nearest[j];
    if (!counts.finished[j] || c < 0) continue;
    const double away = (at.col(static_cast<index_t>(j)) - task.known.centers.col(c)).norm();
    const double far = std::isinf(half[c]) ? 1 + task.known.centers.col(c).norm() : half[c];
    if (away <= far) counts.attractor[j] = c;
  }
  return counts;
}

}  // namespace basin
