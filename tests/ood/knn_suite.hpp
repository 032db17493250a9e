// Scores by nearest references, on every backend: by hand, and what is refused.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <basin/core/random.hpp>
#include <basin/ood/knn_score.hpp>

#include "../catch.hpp"

namespace knn {

using basin::index_t;

inline Eigen::MatrixXd normal(index_t rows, index_t columns, std::uint32_t stream) {
  return Eigen::MatrixXd::NullaryExpr(rows, columns, [&](index_t i, index_t j) {
    return basin::normal_at<double>(basin::random_stream{11, stream}, i, j);
  });
}

template <class B>
void scores_are_distances(const B& be) {
  const Eigen::MatrixXd Y = (Eigen::MatrixXd(1, 4) << 0.0, 1.0, 3.0, 7.0).finished();
  const Eigen::MatrixXd X = (Eigen::MatrixXd(1, 2) << 2.5, -1.0).finished();
  const auto third = basin::knn_score(be, Y, X, {.neighbours = 3});
  CHECK(third.scores == Eigen::Vector2d(2.5, 4));
  CHECK(third.warning.empty());
  const auto mean =
      basin::knn_score(be, Y, X, {.neighbours = 2, .distance = basin::knn_distance::mean});
  CHECK(mean.scores == Eigen::Vector2d(1, 1.5));
  const auto all = basin::knn_score(be, Y, X, {.neighbours = 9});
  CHECK(all.neighbours == 4);
  CHECK(all.scores == Eigen::Vector2d(4.5, 8));
  CHECK(all.warning == "9 neighbours of 4 references: all are neighbours");
  CHECK_FALSE(basin::knn_score(be, Y, X, {.neighbours = 4}).warning.empty());
  // On the unit sphere only signs are left.
  CHECK(basin::knn_score(be, Y.rightCols(3), X,
                         {.neighbours = 1, .normalized = true, .allow_equal = true})
            .scores == Eigen::Vector2d(0, 2));
  CHECK_THROWS_AS(basin::knn_score(be, Y, X, {.normalized = true}), basin::argument_error);
  CHECK_THROWS_AS(basin::knn_score(be, Y, X, {.neighbours = 0}), basin::argument_error);
}

template <class B>
void references_are_refused(const B& be) {
  Eigen::MatrixXd Y = normal(3, 30, 0), X = normal(3, 4, 1);
  X.col(2) = Y.col(17);
  CHECK_THROWS_WITH(basin::knn_score(be, Y, X, {.neighbours = 2}),
                    "knn_score: sample 2 equals reference 17: leave it out, or allow it by "
                    "exclude_self or allow_equal");
  CHECK_THROWS_AS(basin::knn_score(be, Y, X, {.neighbours = 2, .normalized = true}),
                  basin::argument_error);
  CHECK(basin::knn_score(be, Y, X, {.neighbours = 1, .allow_equal = true}).scores[2] == 0);
  const auto own = basin::knn_score(be, Y, Y, {.neighbours = 2, .exclude_self = true});
  CHECK(own.scores.minCoeff() > 0);
  for (index_t j = 0; j < 30; ++j) {
    Eigen::VectorXd distances = (Y.colwise() - Y.col(j)).colwise().norm().transpose();
    std::sort(distances.begin(), distances.end());
    CHECK(std::abs(own.scores[j] - distances[2]) <= 1e-12);
  }
  CHECK(basin::knn_score(be, Y, Y, {.neighbours = 29, .exclude_self = true}).warning ==
        "29 neighbours of 29 references: all are neighbours");
  CHECK_THROWS_AS(basin::knn_score(be, Y, X, {.exclude_self = true}), basin::size_error);
  Y.col(5) = Y.col(6);  // twins are no strangers
  CHECK_THROWS_AS(basin::knn_score(be, Y, Y, {.exclude_self = true}), basin::argument_error);
}

template <class B>
void not_finite_is_refused(const B& be) {
  const Eigen::MatrixXd Y = normal(3, 30, 0);
  Eigen::MatrixXd bad = normal(3, 5, 1);
  bad.col(4) << 0, std::numeric_limits<double>::quiet_NaN(), 0;
  for (const bool normalized : {false, true}) {
    const basin::knn_options options{.neighbours = 2, .normalized = normalized};
    CHECK_THROWS_WITH(basin::knn_score(be, Y, bad, options), "nearest: sample 4 is not finite");
    CHECK_THROWS_WITH(basin::knn_score(be, bad, Y, options),
                      "NearestReferences: reference 4 is not finite");
  }
  bad.col(4).setZero();
  CHECK_THROWS_WITH(basin::knn_score(be, Y, bad, {.neighbours = 2, .normalized = true}),
                    "knn_score: sample 4 is zero and cannot be normalised");
}

}  // namespace knn
