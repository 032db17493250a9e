/// @file
/// How far ends are from where they go to, and which of some points that is.
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

 private:
  Map* map_;
};

/// The backend's threads, or where it has none of this machine's a context's own.
template <backend B>
[[nodiscard]] auto host_of(const B& be) {
  if constexpr (std::is_same_v<B, cpu<double>> || std::is_same_v<B, cpu<float>>) {
    return be;
  } else {
    return cpu<double>();
  }
}

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

/// What double leaves of a point.
[[nodiscard]] inline double rounding_floor(const Eigen::Ref<const Eigen::VectorXd>& z) {
  return std::sqrt(std::numeric_limits<double>::epsilon()) * (1 + z.norm());
}

/// Whether each end comes to its point as it goes on, rather than past it or to another: it is
/// followed until it has stayed within a quarter of its distance for 64 iterations, or else must
/// have come nearer between the first and the last half of all. Newton's method finds repellers
/// too, and steps that turn may grow for a while where the map is not normal.
/// @param points a column for each end
/// Cost: at most 4,096 evaluations an end, of many ends 2^20 in all, but 256 of each.
template <backend B, class Map>
[[nodiscard]] std::vector<char> come_to(const B& be, Map& map, const Eigen::MatrixXd& ends,
                                        const Eigen::MatrixXd& points, index_t& evaluations) {
  constexpr index_t look = 64;
  const index_t most =
      std::clamp<index_t>((index_t{1} << 20) / std::max<index_t>(ends.cols(), 1), 256, 4096);
  std::vector<char> answer(static_cast<std::size_t>(ends.cols()), 0);
  const Eigen::VectorXd begun = (ends - points).colwise().norm();
  Eigen::VectorXd early = Eigen::VectorXd::Zero(ends.cols()), late = early;
  std::vector<index_t> open;
  for (index_t j = 0; j < ends.cols(); ++j) {
    const bool there = begun[j] <= rounding_floor(points.col(j));
    answer[static_cast<std::size_t>(j)] = there;
    if (!there && is_finite(begun[j])) open.push_back(j);
  }
  Eigen::MatrixXd now = ends(Eigen::all, open);
  for (index_t done = 0; done < most && !open.empty(); done += look) {
    const Eigen::MatrixXd goals = points(Eigen::all, open);
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
      const index_t j = open[i];
      double& half = 2 * done < most ? early[j] : late[j];
      half = std::max(half, farthest[column]);
      if (farthest[column] <= begun[j] / 4) {
        answer[static_cast<std::size_t>(j)] = 1;
        continue;
      }
      // What has stopped elsewhere, or is gone, comes no nearer.
      const double way = step[column] * static_cast<double>(most - done);
      const double left = (now.col(column) - goals.col(column)).norm();
      const bool stopped = left > begun[j] / 4 && way < 0.01 * left;
      if (stopped || !(farthest[column] <= 64 * begun[j])) continue;
      if (done + look >= most) {
        answer[static_cast<std::size_t>(j)] = late[j] <= 0.99 * early[j];
        continue;
      }
      still.push_back(j);
      places.push_back(column);
    }
    now = Eigen::MatrixXd(now(Eigen::all, places));
    open = std::move(still);
  }
  return answer;
}

/// Which of some points each end goes to: the nearest after so many iterations that no other can
/// become it within as many as are left.
/// Cost: at most 4,096 evaluations an end.
template <backend B, class Map>
[[nodiscard]] std::vector<index_t> nearest_when_followed(const B& be, Map& map,
                                                         const Eigen::MatrixXd& ends,
                                                         const std::vector<Eigen::VectorXd>& points,
                                                         index_t& evaluations) {
  constexpr int most = 4096, look = 16;
  std::vector<index_t> nearest(static_cast<std::size_t>(ends.cols()), 0);
  std::vector<index_t> open;
  for (index_t j = 0; j < ends.cols(); ++j) open.push_back(j);
  Eigen::MatrixXd states = ends;
  for (int left = most; left > 0 && !open.empty(); left -= look) {
    Eigen::MatrixXd now = states(Eigen::all, open), step;
    for (int t = 0; t < look; ++t) {
      step = evaluate_on(be, map, now) - now;
      now += step;
    }
    evaluations += look * now.cols();
    std::vector<index_t> still;
    for (std::size_t i = 0; i < open.size(); ++i) {
      const auto column = static_cast<index_t>(i);
      states.col(open[i]) = now.col(column);
      double first = std::numeric_limits<double>::infinity(), second = first;
      for (std::size_t c = 0; c < points.size(); ++c) {
        const double distance = (now.col(column) - points[c]).norm();
        if (distance < first) {
          second = std::exchange(first, distance);
          nearest[static_cast<std::size_t>(open[i])] = static_cast<index_t>(c);
        } else {
          second = std::min(second, distance);
        }
      }
      if (!(4 * first < second) && step.col(column).norm() * left > (second - first) / 2) {
        still.push_back(open[i]);
      }
    }
    open = std::move(still);
  }
  return nearest;
}

}  // namespace basin::detail
