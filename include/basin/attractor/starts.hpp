/// @file
/// Where starts come from: noise at many scales, given codes, the surroundings of attractors.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>
#include <basin/core/random.hpp>

namespace basin {

/// A source of starts: independent draws from one distribution, by number, so that any of them
/// can be made again and a longer run begins with the starts of a shorter one.
struct start_source {
  std::string name;
  /// draw(stream, first, out): the columns of `out`, k × n, become the starts number first,
  /// first + 1, ... of the stream. Called from one thread.
  std::function<void(random_stream, index_t, Eigen::Ref<Eigen::MatrixXd>)> draw;
  /// Share of the starts that it gives, in the mixture that it is part of.
  double weight = 1;
  /// Starts that it has; after these it gives none.
  index_t capacity = std::numeric_limits<index_t>::max();

  /// @throws argument_error if there is nothing to draw with, or the weight or the capacity is
  ///   negative or not finite
  void check() const {
    require(static_cast<bool>(draw), "start_source", name + " has no function to draw with");
    require(is_finite(weight) && weight >= 0, "start_source",
            name + ": the weight must be finite and at least 0");
    require(capacity >= 0, "start_source", name + ": the capacity must not be negative");
  }
};

namespace detail {
[[nodiscard]] inline std::string scale_text(const std::string& what, double scale) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, scale, std::chars_format::general, 6);
  return what + " " + std::string(text, end.ptr);
}
inline void require_scale(const char* where, double scale) {
  require(is_finite(scale) && scale > 0, where, "the deviation must be positive and finite");
}
/// A row of the stream whose word no row below k shares.
[[nodiscard]] constexpr index_t row_beyond(index_t k) noexcept { return (k + 3) / 4 * 4; }
}  // namespace detail

// The scale of every shape is the root mean square of a coordinate, so that shapes compare.

/// Normal draws with mean 0 and a standard deviation, independent in each coordinate. Their
/// norm is about deviation · √k.
/// @throws argument_error unless the deviation is positive and finite
[[nodiscard]] inline start_source normal_starts(double deviation) {
  detail::require_scale("normal_starts", deviation);
  return {
      .name = detail::scale_text("normal", deviation),
      .draw = [deviation](random_stream stream, index_t first, Eigen::Ref<Eigen::MatrixXd> out) {
        for (index_t j = 0; j < out.cols(); ++j) {
          for (index_t i = 0; i < out.rows(); ++i) {
            out(i, j) = deviation * normal_at<double>(stream, i, first + j);
          }
        }
      }};
}

/// Uniform on the sphere of radius deviation · √k about 0.
/// @throws argument_error unless the deviation is positive and finite
[[nodiscard]] inline start_source sphere_starts(double deviation) {
  detail::require_scale("sphere_starts", deviation);
  start_source source = normal_starts(1);
  source.name = detail::scale_text("sphere", deviation);
  source.draw = [deviation, normal = source.draw](random_stream stream, index_t first,
                                                  Eigen::Ref<Eigen::MatrixXd> out) {
    normal(stream, first, out);
    const double radius = deviation * std::sqrt(static_cast<double>(out.rows()));
    for (index_t j = 0; j < out.cols(); ++j) out.col(j) *= radius / out.col(j).norm();
  };
  return source;
}

/// Uniform in the box [-√3 deviation, √3 deviation]^k.
/// @throws argument_error unless the deviation is positive and finite
[[nodiscard]] inline start_source box_starts(double deviation) {
  detail::require_scale("box_starts", deviation);
  return {.name = detail::scale_text("box", deviation),
          .draw = [half = deviation * std::sqrt(3.0)](random_stream stream, index_t first,
                                                      Eigen::Ref<Eigen::MatrixXd> out) {
            for (index_t j = 0; j < out.cols(); ++j) {
              for (index_t i = 0; i < out.rows(); ++i) {
                out(i, j) = half * (2 * uniform_from_word<double>(stream.word(i, first + j)) - 1);
              }
            }
          }};
}

/// Given codes, such as those of data, each once, in an order that the stream draws; so any
/// number of them is a random sample of all.
/// @param codes k × N, copied once
/// @throws size_error when drawn from, unless the starts have k rows; argument_error beyond N
[[nodiscard]] inline start_source code_starts(Eigen::MatrixXd codes, std::string name = "codes") {
  const index_t count = codes.cols();
  return {.name = std::move(name),
          .draw =
              [codes = std::make_shared<const Eigen::MatrixXd>(std::move(codes))](
                  random_stream stream, index_t first, Eigen::Ref<Eigen::MatrixXd> out) {
                require_size("code_starts", "number of rows of the codes", codes->rows(),
                             out.rows());
                require(first + out.cols() <= codes->cols(), "code_starts",
                        "all codes have been drawn");
                std::vector<std::pair<std::uint32_t, index_t>> order;
                for (index_t i = 0; i < codes->cols(); ++i)
                  order.emplace_back(stream.word(0, i), i);
                std::sort(order.begin(), order.end());
                for (index_t j = 0; j < out.cols(); ++j) {
                  out.col(j) = codes->col(order[static_cast<std::size_t>(first + j)].second);
                }
              },
          .capacity = count};
}

/// Normal draws around given points, such as attractors: a point by chance, each as likely, and
/// a deviation from it in each coordinate.
/// @param points k × M, M >= 1, copied once
/// @throws argument_error unless there is a point and the deviation is positive and finite;
///   size_error when drawn from, unless the starts have k rows
[[nodiscard]] inline start_source starts_around(Eigen::MatrixXd points, double deviation) {
  detail::require_scale("starts_around", deviation);
  require(points.cols() >= 1, "starts_around", "there are no points");
  return {.name = detail::scale_text("around", deviation),
          .draw = [deviation, points = std::make_shared<const Eigen::MatrixXd>(std::move(points))](
                      random_stream stream, index_t first, Eigen::Ref<Eigen::MatrixXd> out) {
            const index_t k = out.rows();
            require_size("starts_around", "number of rows of the points", points->rows(), k);
            for (index_t j = 0; j < out.cols(); ++j) {
              const auto word =
                  static_cast<std::uint64_t>(stream.word(detail::row_beyond(k), first + j));
              const auto m = static_cast<std::uint64_t>(points->cols());
              out.col(j) = points->col(static_cast<index_t>(word * m >> 32));
              for (index_t i = 0; i < k; ++i) {
                out(i, j) += deviation * normal_at<double>(stream, i, first + j);
              }
            }
          }};
}

/// On the lines through two of the points, up to `beyond` times their distance past either: what
/// lies between attractors, and behind them.
/// @param points k × M, M >= 2, copied once
/// @throws argument_error unless there are two points and `beyond` is at least 0; size_error
///   when drawn from, unless the starts have k rows
[[nodiscard]] inline start_source starts_between(Eigen::MatrixXd points, double beyond = 1) {
  require(points.cols() >= 2, "starts_between", "two points are needed");
  require(is_finite(beyond) && beyond >= 0, "starts_between", "beyond must be at least 0");
  return {.name = "between",
          .draw = [beyond, points = std::make_shared<const Eigen::MatrixXd>(std::move(points))](
                      random_stream stream, index_t first, Eigen::Ref<Eigen::MatrixXd> out) {
            require_size("starts_between", "number of rows of the points", points->rows(),
                         out.rows());
            const auto m = static_cast<std::uint64_t>(points->cols());
            for (index_t j = 0; j < out.cols(); ++j) {
              const philox_block words = stream.words(0, static_cast<std::uint64_t>(first + j));
              const auto a = static_cast<index_t>(words[0] * m >> 32);
              auto b = static_cast<index_t>(words[1] * (m - 1) >> 32);
              if (b >= a) ++b;
              const double at = (1 + 2 * beyond) * uniform_from_word<double>(words[2]) - beyond;
              out.col(j) = (1 - at) * points->col(a) + at * points->col(b);
            }
          }};
}

/// Normal starts at deviations that grow by `factor` from the smallest to the largest.
/// @throws argument_error unless 0 < smallest <= largest and factor > 1
[[nodiscard]] inline std::vector<start_source> normal_ladder(double smallest, double largest,
                                                             double factor = 2) {
  detail::require_scale("normal_ladder", smallest);
  require(is_finite(largest) && largest >= smallest, "normal_ladder",
          "the largest deviation must be finite, and not below the smallest");
  require(factor > 1, "normal_ladder", "factor must be more than 1");
  std::vector<start_source> sources;
  for (double scale = smallest; scale <= largest * (1 + 1e-12); scale *= factor) {
    sources.push_back(normal_starts(scale));
  }
  return sources;
}

/// Starts with the source of each.
struct Starts {
  Eigen::MatrixXd points;       ///< k × n
  std::vector<index_t> source;  ///< of each column: its number in the list of sources
};

/// Draws from a mixture of sources in fixed proportions: each start comes from the source that is
/// farthest behind, so that no part of a run differs from another by chance (strata), and a
/// longer run begins with the starts of a shorter one. Source s draws from the stream
/// base.stream + s.
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/starts.hpp>
///
/// int main() {
///   basin::StartMixture mixture(basin::normal_ladder(1, 64), 16, {.seed = 7});
///   const basin::Starts starts = mixture.next(100);
///   std::cout << mixture.sources()[static_cast<std::size_t>(starts.source[99])].name << ": norm "
///             << starts.points.col(99).norm() << '\n';
/// }
/// @endcode
class StartMixture {
 public:
  /// @param k coordinates of a start
  /// @throws argument_error if a source fails its check, no source has a weight, or k < 1
  StartMixture(std::vector<start_source> sources, index_t k, random_stream base)
      : sources_(std::move(sources)), k_(k), base_(base), given_(sources_.size(), 0) {
    require(k >= 1, "StartMixture", "k must be at least 1");
    double total = 0;
    for (const start_source& source : sources_) {
      source.check();
      total += source.weight;
    }
    require(total > 0, "StartMixture", "no source has a weight");
  }

  [[nodiscard]] const std::vector<start_source>& sources() const noexcept { return sources_; }
  /// Starts that each source has given.
  [[nodiscard]] const std::vector<index_t>& given() const noexcept { return given_; }

  /// The next n starts; fewer if every source has come to its end.
  /// @throws argument_error if n is negative, and what the sources throw when drawn from
  [[nodiscard]] Starts next(index_t n) {
    require(n >= 0, "StartMixture::next", "n must not be negative");
    Starts starts;
    const std::vector<index_t> before = given_;
    for (index_t j = 0; j < n; ++j) {
      std::size_t best = sources_.size();
      double soonest = 0;
      for (std::size_t s = 0; s < sources_.size(); ++s) {
        if (!(sources_[s].weight > 0) || given_[s] >= sources_[s].capacity) continue;
        const double due = (static_cast<double>(given_[s]) + 0.5) / sources_[s].weight;
        if (best == sources_.size() || due < soonest) {
          best = s;
          soonest = due;
        }
      }
      if (best == sources_.size()) break;
      ++given_[best];
      starts.source.push_back(static_cast<index_t>(best));
    }
    starts.points.resize(k_, static_cast<index_t>(starts.source.size()));
    for (std::size_t s = 0; s < sources_.size(); ++s) {
      Eigen::MatrixXd drawn(k_, given_[s] - before[s]);
      if (drawn.cols() == 0) continue;
      const random_stream own{base_.seed, base_.stream + static_cast<std::uint32_t>(s)};
      sources_[s].draw(own, before[s], drawn);
      index_t at = 0;
      for (std::size_t j = 0; j < starts.source.size(); ++j) {
        if (starts.source[j] == static_cast<index_t>(s)) {
          starts.points.col(static_cast<index_t>(j)) = drawn.col(at++);
        }
      }
    }
    return starts;
  }

 private:
  std::vector<start_source> sources_;
  index_t k_;
  random_stream base_;
  std::vector<index_t> given_;
};

}  // namespace basin
