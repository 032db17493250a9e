/// @file
/// How far ends are from where they go to, and which of some points they come to.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/continuum.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/backend/host.hpp>
#include <basin/map/derivative.hpp>
#include <basin/solver/agreement.hpp>

namespace basin::detail {

/// A map by its address, so that adaptors that hold theirs by value leave it where it is.
template <class Map>
class MapReference {
 public:
  static constexpr bool batch_coupled = is_batch_coupled<Map>;
  explicit MapReference(Map& map) : map_(&map) {}
  [[nodiscard]] index_t dimension() const { return basin::dimension(*map_); }

  template <class B>
    requires latent_map<Map, B>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) {
    evaluate(be, *map_, Z, out);
  }
  template <class B>
    requires has_jvp<Map, B>
  void jvp(const B& be, const typename B::const_view& Z, const typename B::const_view& V,
           typename B::view JV) {
    basin::jvp(be, *map_, Z, V, JV);
  }
  template <class B>
    requires has_vjp<Map, B>
  void vjp(const B& be, const typename B::const_view& Z, const typename B::const_view& U,
           typename B::view JtU) {
    basin::vjp(be, *map_, Z, U, JtU);
  }

 private:
  Map* map_;
};

/// `expected_errors` of columns in host memory, in blocks, after some further steps, whose length
/// is added: a slow direction may be hidden behind a fast one, or a transient not have passed.
/// Infinite also where the steps grow to four times the first: the column leaves a saddle.
template <backend B, class Map>
[[nodiscard]] std::vector<double> errors_after(const B& be, Map& map, const Eigen::MatrixXd& Z,
                                               int steps, index_t& evaluations) {
  using scalar = typename B::scalar;
  std::vector<double> errors;
  const index_t k = Z.rows();
  const index_t block = std::max<index_t>(1, (index_t{1} << 23) / std::max<index_t>(k, 1));
  for (index_t first = 0; first < Z.cols(); first += block) {
    const index_t n = std::min(block, Z.cols() - first);
    const auto start = Z.middleCols(first, n);
    Eigen::MatrixXd now = start;
    Eigen::VectorXd first_step, longest;
    for (int step = 0; step < steps; ++step) {
      Eigen::MatrixXd next = evaluate_on(be, map, now);
      const Eigen::VectorXd length = (next - now).colwise().norm();
      if (step == 0) first_step = longest = length;
      longest = longest.cwiseMax(length);
      now.swap(next);
    }
    typename B::matrix X = be.make_matrix(k, n);
    const Eigen::MatrixX<scalar> host = now.template cast<scalar>();
    upload(be, host, columns(be, X, 0, n));
    const std::vector<double> here = expected_errors(be, map, X);
    for (index_t j = 0; j < n; ++j) {
      const bool leaves = steps > 0 && longest[j] > 4 * first_step[j];
      errors.push_back(leaves ? std::numeric_limits<double>::infinity()
                              : here[static_cast<std::size_t>(j)] +
                                    (now.col(j) - start.col(j)).norm());
    }
  }
  evaluations += (4 + steps) * Z.cols();
  return errors;
}

/// `expected_errors` of ends; where the steps do not shrink at once, after 32 more.
template <backend B, class Map>
[[nodiscard]] std::vector<double> end_errors(const B& be, Map& map, const Eigen::MatrixXd& Z,
                                             index_t& evaluations) {
  std::vector<double> errors = errors_after(be, map, Z, 0, evaluations);
  std::vector<index_t> open;
  for (std::size_t j = 0; j < errors.size(); ++j) {
    if (!is_finite(errors[j])) open.push_back(static_cast<index_t>(j));
  }
  if (open.empty()) return errors;
  const std::vector<double> later =
      errors_after(be, map, Eigen::MatrixXd(Z(Eigen::all, open)), 32, evaluations);
  for (std::size_t i = 0; i < open.size(); ++i) {
    errors[static_cast<std::size_t>(open[i])] = later[i];
  }
  return errors;
}

/// What double leaves of a point that was iterated: its rounding, at a rate of 0.9999.
[[nodiscard]] inline double rounding_floor(const Eigen::Ref<const Eigen::VectorXd>& z) {
  return 8e4 * std::numeric_limits<double>::epsilon() * z.stableNorm();
}

/// Z after some iterations, and one iteration before: from a device nothing else comes back.
template <backend B, class Map>
void iterate_on(const B& be, Map& map, Eigen::MatrixXd& Z, int times, Eigen::MatrixXd& before) {
  if constexpr (requires { map.iterate(Z, times, before); }) {
    map.iterate(Z, times, before);
  } else {
    for (int t = 0; t < times; ++t) {
      before.swap(Z);
      Z = evaluate_on(be, map, before);
    }
  }
}

/// Ends after so many iterations that their steps are rounding, or a millionth of the first: at
/// most 4,096.
template <backend B, class Map>
[[nodiscard]] Eigen::MatrixXd come_to_rest(const B& be, Map& map, const Eigen::MatrixXd& ends,
                                           index_t& evaluations) {
  constexpr int most = 4096, look = 16;
  Eigen::MatrixXd states = ends;
  Eigen::VectorXd first = Eigen::VectorXd::Constant(ends.cols(), -1);
  std::vector<index_t> open;
  for (index_t j = 0; j < ends.cols(); ++j) open.push_back(j);
  for (int done = 0; done < most && !open.empty(); done += look) {
    Eigen::MatrixXd now = states(Eigen::all, open), before;
    if (done == 0) {
      iterate_on(be, map, now, 1, before);
      first = (now - before).colwise().norm();
    }
    iterate_on(be, map, now, done == 0 ? look - 1 : look, before);
    const Eigen::VectorXd step = (now - before).colwise().norm();
    evaluations += look * now.cols();
    std::vector<index_t> still;
    for (std::size_t i = 0; i < open.size(); ++i) {
      const auto column = static_cast<index_t>(i);
      if (!now.col(column).allFinite()) continue;  // the last that was finite is kept
      states.col(open[i]) = now.col(column);
      const double rounding = std::numeric_limits<double>::epsilon() * now.col(column).norm();
      if (step[column] > std::max(1e-6 * first[open[i]], rounding)) still.push_back(open[i]);
    }
    open = std::move(still);
  }
  return states;
}

/// Which of some points each end comes to as it goes on; -1: none of them. It has come to one where
/// for 64 iterations it stays within a quarter of its distance from it at first, nearer than to any
/// other, and goes on; or where after 4,096 it comes nearer still, though slowly. What rests
/// elsewhere has come to none.
/// @param errors of the points
/// Cost: at most 4,096 evaluations an end, and the distances from all points every 64.
template <backend B, class Map>
[[nodiscard]] std::vector<index_t> arrivals(const B& be, Map& map, const Eigen::MatrixXd& all,
                                            const Eigen::MatrixXd& points,
                                            const std::vector<double>& errors,
                                            index_t& evaluations) {
  constexpr index_t look = 64, most = 4096;
  std::vector<index_t> answer(static_cast<std::size_t>(all.cols()), -1);
  if (points.cols() == 0) return answer;
  const index_t block = std::max<index_t>(1, (index_t{1} << 22) / std::max<index_t>(all.rows(), 1));
  for (index_t begin = 0; begin < all.cols(); begin += block) {
    const Eigen::MatrixXd ends = all.middleCols(begin, std::min(block, all.cols() - begin));
    Eigen::MatrixXd now = ends;
    std::vector<index_t> open, goal_at_half(static_cast<std::size_t>(ends.cols()), -1);
    std::vector<double> at_half(static_cast<std::size_t>(ends.cols()), 0);
    for (index_t j = 0; j < ends.cols(); ++j) open.push_back(j);
    for (index_t done = 0; done < most && !open.empty(); done += look) {
      std::vector<index_t> goal;
      Eigen::VectorXd second(now.cols());
      for (index_t i = 0; i < now.cols(); ++i) {
        Eigen::VectorXd distances = (points.colwise() - now.col(i)).colwise().norm();
        index_t nearest = 0;
        distances.minCoeff(&nearest);
        goal.push_back(nearest);
        distances[nearest] = std::numeric_limits<double>::infinity();
        second[i] = distances.minCoeff();
      }
      const Eigen::MatrixXd goals = points(Eigen::all, goal);
      Eigen::VectorXd farthest = Eigen::VectorXd::Zero(now.cols()), step;
      for (index_t t = 0; t < look; ++t) {
        Eigen::MatrixXd next = evaluate_on(be, map, now);
        step = (next - now).colwise().norm();
        now.swap(next);
        farthest = farthest.cwiseMax((now - goals).colwise().norm().transpose());
      }
      evaluations += look * now.cols();
      std::vector<index_t> still, places;
      for (std::size_t i = 0; i < open.size(); ++i) {
        const auto column = static_cast<index_t>(i);
        const auto j = static_cast<std::size_t>(open[i]);
        index_t& come = answer[static_cast<std::size_t>(begin) + j];
        const auto c = static_cast<std::size_t>(goal[i]);
        const double left = (now.col(column) - goals.col(column)).norm();
        const double begun = (ends.col(open[i]) - goals.col(column)).norm();
        if (!is_finite(left)) continue;
        if (left <= errors[c] + rounding_floor(goals.col(column))) {
          come = goal[i];
          continue;
        }
        if (step[column] * static_cast<double>(most) < 0.01 * left) continue;  // rests elsewhere
        if (farthest[column] <= begun / 4 && 2 * farthest[column] < second[column]) {
          come = goal[i];
          continue;
        }
        if (done == most / 2) {
          goal_at_half[j] = goal[i];
          at_half[j] = farthest[column];
        }
        if (done + look >= most && goal_at_half[j] == goal[i] &&
            farthest[column] <= 0.99 * at_half[j]) {
          come = goal[i];
        }
        still.push_back(open[i]);
        places.push_back(column);
      }
      now = Eigen::MatrixXd(now(Eigen::all, places));
      open = std::move(still);
    }
  }
  return answer;
}

}  // namespace basin::detail
