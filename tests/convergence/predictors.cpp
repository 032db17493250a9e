// Predictors on maps whose counts are known: linear ones, and one with a known function of Koenigs.
#include <cmath>
#include <limits>

#include <basin/convergence/predictors/formulas.hpp>
#include <basin/convergence/predictors/koenigs.hpp>
#include <basin/convergence/predictors/kriging.hpp>
#include <basin/convergence/predictors/leap.hpp>
#include <basin/convergence/predictors/observed.hpp>
#include <basin/convergence/predictors/sampled_map.hpp>
#include <basin/convergence/predictors/trajectory_library.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/counter.hpp>
#include <basin/map/differentiable.hpp>

#include "../catch.hpp"
#include "../one_thread.hpp"
#include "../solver/maps.hpp"

using basin::index_t;
using basin::not_applicable;
using basin::Spectrum;

namespace {

template <class Map, class P>
basin::Predictions ask(Map& map, const P& settings, const basin::prediction_task& task,
                       const Eigen::MatrixXd& points) {
  auto counted = basin::with_counter(map);
  auto ready = basin::prepare(one, counted, settings, task);
  const auto said = ready.predict(points);
  // Every evaluation and every product is owned up to.
  CHECK(counted.counts().columns + counted.counts().jvp_columns ==
        said.evaluations + ready.preparation());
  for (const basin::prediction& p : said.starts) {
    CHECK(p.iterations.has_value() == (p.reason == not_applicable::no));
    if (p.iterations) CHECK((std::isfinite(*p.iterations) && *p.iterations >= 0));
  }
  return said;
}

void check_counts(const basin::Predictions& said, const basin::IterationCounts& truth,
                  double within) {
  for (index_t j = 0; j < said.size(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    INFO("start " << j);
    REQUIRE(said[j].iterations);
    CHECK(std::abs(*said[j].iterations - static_cast<double>(truth.iterations[at])) <= within);
    CHECK(said[j].attractor == truth.attractor[at]);
  }
}

// A map of the plane with attractors near (1, 0.7) and (-1, -0.7).
auto two_attractors() {
  return basin::differentiable<2>([](const auto& z, auto& f) {
    using std::tanh;
    f[0] = tanh(1.3 * z[0] - 0.1 * z[1]);
    f[1] = tanh(0.6 * z[1] + 0.4 * z[0]);
  });
}
template <class Map>
basin::prediction_task task_of_two(Map& map) {
  Eigen::MatrixXd ends(2, 2);
  ends << 0.7, -0.7, 0.5, -0.5;
  basin::FixedPointSolver solver{map, basin::picard{}, basin::stopping{.residual = 1e-13}};
  return {basin::with_spectra(one, map, solver.solve(one, ends).states)};
}

}  // namespace

TEST_CASE("counts of linear maps are exact", "[convergence]") {
  // Along the eigenvector of a diagonal map, all that have the spectrum are right; those that know
  // amplitudes or all of J are right from anywhere.
  const Eigen::Vector3d values(0.9, 0.85, -0.3);
  const Eigen::Vector3d fixed(1, -2, 0.5);
  const Eigen::Matrix3d W = values.asDiagonal();
  auto map = basin::affine(Eigen::MatrixXd(W), Eigen::VectorXd(fixed - W * fixed));
  const basin::prediction_task task{basin::with_spectra(one, map, fixed)};
  Eigen::MatrixXd along = fixed.replicate(1, 6);
  for (index_t j = 0; j < 6; ++j) along(0, j) += 0.3 * static_cast<double>(j + 1);
  const auto truth = basin::count_iterations(one, map, task, along);
  CHECK(truth.attractor == std::vector<index_t>(6, 0));
  check_counts(ask(map, basin::asymptotic_iterations{}, task, along), truth, 0);
  check_counts(ask(map, basin::observed{3}, task, along), truth, 0);
  check_counts(ask(map, basin::koenigs{3}, task, along), truth, 0);
  check_counts(ask(map, basin::leap{}, task, along), truth, 0);
  check_counts(ask(map, basin::non_normal{}, task, along), truth, 1);

  const Eigen::MatrixXd anywhere = (4 * maps::starts(3, 30)).colwise() + fixed;
  const auto all = basin::count_iterations(one, map, task, anywhere);
  // 0.85 > 0.9², and after 12 steps the third is gone.
  check_counts(ask(map, basin::koenigs{12}, task, anywhere), all, 0);
  check_counts(ask(map, basin::leap{}, task, anywhere), all, 0);
  const auto suffices = ask(map, basin::sufficient_iterations{}, task, anywhere);
  const auto bound = ask(map, basin::non_normal{}, task, anywhere);
  for (index_t j = 0; j < 30; ++j) {
    const auto t = static_cast<double>(all.iterations[static_cast<std::size_t>(j)]);
    CHECK(suffices[j].iterations.value() >= t);
    CHECK(bound[j].iterations.value() >= t - 1);
  }
  // The paper's formula is that of the error: log(1e-3 / ‖e₀‖) / log 0.9.
  const auto paper = ask(map, basin::paper_formula{}, task, along);
  CHECK(paper[0].iterations.value() == Approx(std::log(1e-3 / 0.3) / std::log(0.9)));
  CHECK(ask(map, basin::paper_formula{}, task, fixed)[0].iterations.value() == 0);
}

TEST_CASE("a complex pair, and powers that grow before they decay", "[convergence]") {
  Eigen::Matrix2d turn;
  turn << 0.6, -0.7, 0.7, 0.6;
  auto spiral = basin::affine(Eigen::MatrixXd(turn));
  const Eigen::MatrixXd points = maps::starts(2, 20);
  const basin::prediction_task task{basin::with_spectra(one, spiral, Eigen::MatrixXd::Zero(2, 1))};
  const auto truth = basin::count_iterations(one, spiral, task, points);
  check_counts(ask(spiral, basin::koenigs{0}, task, points), truth, 0);
  check_counts(ask(spiral, basin::asymptotic_iterations{}, task, points), truth, 0);

  Eigen::Matrix2d shear;
  shear << 0.5, 20, 0, 0.45;
  auto grows = basin::affine(Eigen::MatrixXd(shear));
  const basin::prediction_task other{basin::with_spectra(one, grows, Eigen::MatrixXd::Zero(2, 1))};
  const auto counts = basin::count_iterations(one, grows, other, points);
  const auto radius = ask(grows, basin::asymptotic_iterations{}, other, points);
  const auto powers = ask(grows, basin::non_normal{}, other, points);
  index_t late = 0;
  for (index_t j = 0; j < 20; ++j) {
    const auto t = static_cast<double>(counts.iterations[static_cast<std::size_t>(j)]);
    late += radius[j].iterations.value() < t;
    CHECK(powers[j].iterations.value() >= t);
    CHECK(powers[j].iterations.value() <= t + 8);
  }
  CHECK(late > 15);
  CHECK(ask(grows, basin::sufficient_iterations{}, other, points)[0].reason ==
        not_applicable::not_contracting);
}

TEST_CASE("Koenigs' function of a Moebius map", "[convergence]") {
  // f(z) = q z / (1 + z): φ(z) = z / (1 + z / (1 - q)) has φ(f(z)) = q φ(z), so all z_t are known.
  const double q = 0.8;
  auto map =
      basin::differentiable<1>([q](const auto& z, auto& f) { f[0] = q * z[0] / (1.0 + z[0]); });
  const basin::prediction_task task{basin::with_spectra(one, map, Eigen::MatrixXd::Zero(1, 1))};
  const Eigen::MatrixXd points = Eigen::RowVectorXd::LinSpaced(9, 0.5, 20);
  basin::IterationCounts truth;
  for (index_t j = 0; j < 9; ++j) {
    const double phi = points(0, j) / (1 + points(0, j) / (1 - q));
    index_t t = 0;
    const auto state = [&](index_t s) {
      const double w = phi * std::pow(q, static_cast<double>(s));
      return w / (1 - w / (1 - q));
    };
    while (std::abs(state(t + 1) - state(t)) > 1e-3) ++t;
    truth.iterations.push_back(t);
    truth.attractor.push_back(0);
  }
  CHECK(basin::count_iterations(one, map, task, points).iterations == truth.iterations);
  check_counts(ask(map, basin::koenigs{16}, task, points), truth, 1);
  const auto early = ask(map, basin::koenigs{0}, task, points);
  CHECK(early[8].iterations.value() > static_cast<double>(truth.iterations[8]) + 5);
}

TEST_CASE("predictors that follow curved orbits", "[convergence]") {
  auto map = two_attractors();
  basin::prediction_task task = task_of_two(map);
  REQUIRE(task.known.radius(0) < 1);
  const Eigen::MatrixXd points = 2 * maps::starts(2, 60);
  const auto truth = basin::count_iterations(one, map, task, points);
  const auto right = [&](const basin::Predictions& said) {
    index_t labels = 0, close = 0;
    for (index_t j = 0; j < said.size(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      labels += said[j].attractor == truth.attractor[at];
      const auto t = static_cast<double>(truth.iterations[at]);
      close += said[j].iterations && std::abs(*said[j].iterations - t) <= 1 + 0.1 * t;
    }
    return std::pair(labels, close);
  };
  const auto table = ask(map, basin::sampled_map{}, task, points);
  CHECK(right(table).first >= 58);
  CHECK(right(table).second >= 57);
  // Nodes are kept: asked again, nothing is evaluated, and the answer is the same alone.
  auto ready = basin::prepare(one, map, basin::sampled_map{}, task);
  const auto first = ready.predict(points);
  const auto again = ready.predict(points.col(7));
  CHECK(again.evaluations == 0);
  CHECK(again[0].iterations == first[7].iterations);

  const auto leapt = ask(map, basin::leap{}, task, points);
  CHECK(right(leapt).first >= 57);
  CHECK(right(leapt).second >= 50);
  CHECK(leapt.evaluations < truth.evaluations);
  CHECK(right(ask(map, basin::koenigs{10}, task, points)).second >= 50);

  CHECK(ask(map, basin::trajectory_library{}, task, points)[0].reason ==
        not_applicable::no_attractor);
  task.training = 2 * maps::starts(2, 200, 9);
  CHECK(right(ask(map, basin::trajectory_library{.steps = 4}, task, points)).second >= 50);
  // A start that was stored finds itself.
  auto library = basin::prepare(one, map, basin::trajectory_library{.steps = 0}, task);
  const auto own = library.predict(points.leftCols(0));
  CHECK(own.size() == 0);
  check_counts(library.predict(task.training),
               basin::count_iterations(one, map, task, task.training), 0);
}

TEST_CASE("an orbit that blows up has no count, and any number of iterations may be allowed",
          "[convergence]") {
  auto map = basin::differentiable<1>(
      [](const auto& z, auto& f) { f[0] = z[0] / 2.0 + z[0] * z[0] * z[0]; });
  basin::prediction_task task{basin::with_spectra(one, map, Eigen::MatrixXd::Zero(1, 1))};
  const Eigen::MatrixXd points = Eigen::RowVector2d(3, 0.1);
  const auto check = [&](const auto& settings) {
    const auto said = ask(map, settings, task, points);
    INFO(settings.name());
    CHECK(said[0].reason == not_applicable::non_finite);
    CHECK(said[1].iterations);
  };
  check(basin::paper_formula{.steps = 30});
  check(basin::asymptotic_iterations{.steps = 30});
  check(basin::koenigs{30});
  check(basin::observed{30});
  task.rule.max_iterations = std::numeric_limits<index_t>::max();
  CHECK(basin::count_iterations(one, map, task, points.rightCols(1)).finished[0]);
  CHECK(ask(map, basin::non_normal{}, task, points.rightCols(1))[0].iterations);
  // What the table learns of no start is nothing.
  auto asked = basin::prepare(one, map, basin::sampled_map{}, task);
  CHECK(asked.predict(points.leftCols(0)).size() == 0);
  auto fresh = basin::prepare(one, map, basin::sampled_map{}, task);
  const Eigen::MatrixXd some = Eigen::RowVectorXd::LinSpaced(9, 0.1, 0.5);
  CHECK(asked.predict(some).evaluations == fresh.predict(some).evaluations);
}

TEST_CASE("ordinary kriging", "[convergence]") {
  // Two values: at the one without nugget, it and no error; between them the mean; far away the
  // mean, with the variance 1 + 1 / (1ᵀ K⁻¹ 1) times that of the likelihood, (b - a)² / 2 (1 - c).
  const auto covariance = [](double d) {
    return (1 + std::sqrt(3.0) * d) * std::exp(-std::sqrt(3.0) * d);
  };
  const Eigen::MatrixXd places = Eigen::RowVector2d(0, 0.8);
  const Eigen::Vector2d values(2, 5);
  const auto at = [&](double x) {
    return basin::detail::ordinary_kriging(places, values, Eigen::VectorXd::Constant(1, x), 0);
  };
  CHECK(at(0).mean == Approx(2));
  CHECK(at(0).error < 1e-6);
  CHECK(at(0.8).mean == Approx(5));
  CHECK(at(0.4).mean == Approx(3.5));
  CHECK(at(100).mean == Approx(3.5));
  const double c = covariance(0.8);
  CHECK(at(100).error == Approx(std::sqrt(9 / (2 * (1 - c)) * (1 + (1 + c) / 2))));
  CHECK(at(0.4).error < at(1.2).error);
  // A constant is known everywhere.
  const auto same =
      basin::detail::ordinary_kriging(places, Eigen::Vector2d(3, 3), Eigen::VectorXd::Zero(1));
  CHECK(same.mean == Approx(3));
  CHECK(same.error < 1e-6);
}

TEST_CASE("kriging between orbits that were followed", "[convergence]") {
  auto map = two_attractors();
  const basin::prediction_task task = task_of_two(map);
  const Eigen::MatrixXd points = 2 * maps::starts(2, 300, 12);
  const auto truth = basin::count_iterations(one, map, task, points);
  // Where leaps are true steps, what is kept is exact, and the rest is interpolation.
  const basin::kriging exact{.orbits = {.most = 1, .linear = 0.05}, .first = 100};
  const auto said = ask(map, exact, task, points);
  const auto followed = ask(map, exact.orbits, task, points);
  CHECK(5 * said.evaluations < 4 * followed.evaluations);
  index_t labels = 0, close = 0;
  for (index_t j = 0; j < 300; ++j) {
    const auto at = static_cast<std::size_t>(j);
    if (j < 100) CHECK(said[j].iterations == followed[j].iterations);
    labels += said[j].attractor == truth.attractor[at];
    const auto t = static_cast<double>(truth.iterations[at]);
    close += said[j].iterations && std::abs(*said[j].iterations - t) <= 1 + 0.2 * t;
  }
  CHECK(labels >= 295);
  CHECK(close >= 290);
  // Without tolerance every orbit is followed to its end.
  const auto strict =
      ask(map, basin::kriging{.orbits = exact.orbits, .tolerance = 0}, task, points);
  CHECK(strict.evaluations == followed.evaluations);
  CHECK(strict[299].iterations == followed[299].iterations);
  // What was kept serves later batches: blocks may come in several.
  auto ready = basin::prepare(one, map, exact, task);
  const auto early = ready.predict(points.leftCols(150));
  const auto late = ready.predict(points.rightCols(150));
  CHECK(early.evaluations + late.evaluations == said.evaluations);
  for (index_t j = 150; j < 300; ++j) CHECK(late[j - 150].iterations == said[j].iterations);
  CHECK(ready.predict(points.leftCols(0)).size() == 0);
}

TEST_CASE("no count is predicted beyond the rule's iterations", "[convergence]") {
  const Eigen::Matrix2d W = Eigen::Vector2d(0.9, 0.3).asDiagonal();
  auto map = basin::affine(Eigen::MatrixXd(W));
  basin::prediction_task task{basin::with_spectra(one, map, Eigen::MatrixXd::Zero(2, 1))};
  const Eigen::MatrixXd point = Eigen::Vector2d(3, 0.5);
  task.training = Eigen::Vector2d(0.02, 0);  // far fewer iterations than the start has to go
  const auto check = [&](const auto& settings) {
    INFO(settings.name());
    task.rule.max_iterations = 3000;
    const auto all = ask(map, settings, task, point)[0];
    REQUIRE(all.iterations);
    task.rule.max_iterations = static_cast<index_t>(std::ceil(*all.iterations));
    const auto enough = ask(map, settings, task, point)[0];
    CHECK(enough.iterations == all.iterations);
    --task.rule.max_iterations;
    const auto little = ask(map, settings, task, point)[0];
    CHECK(little.reason == not_applicable::unfinished);
  };
  check(basin::paper_formula{});
  check(basin::sufficient_iterations{});
  check(basin::asymptotic_iterations{});
  check(basin::non_normal{});
  check(basin::observed{3});
  check(basin::koenigs{3});
  check(basin::leap{});
  check(basin::kriging{});
  check(basin::sampled_map{});
  check(basin::trajectory_library{3});
  // Where the rule is met within the true steps.
  check(basin::paper_formula{.steps = 100});
  check(basin::observed{100});
  check(basin::koenigs{100});
  check(basin::trajectory_library{100});
}

TEST_CASE("a map that is too large for dense matrices", "[convergence]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  // Leading values 0.9, a pair of modulus 0.85 and 0.8; the others are at most 0.2, and what the
  // predictors leave out of them is gone after a few steps.
  const index_t k = 300;
  Eigen::MatrixXd W = Eigen::VectorXd::LinSpaced(k, -0.2, 0.2).asDiagonal();
  W(0, 0) = 0.9;
  W.block<2, 2>(1, 1) << 0.6, -0.6, 0.6, 0.6;
  W(3, 3) = 0.8;
  const Eigen::VectorXd u = maps::starts(k, 1, 3).col(0).normalized();
  const Eigen::MatrixXd Q = Eigen::MatrixXd::Identity(k, k) - 2 * u * u.transpose();
  const Eigen::VectorXd fixed = maps::starts(k, 1, 4).col(0);
  const Eigen::MatrixXd A = Q * W * Q;
  auto map = basin::affine(A, Eigen::VectorXd(fixed - A * fixed));
  const basin::prediction_task task{basin::with_spectra(one, map, fixed, 4)};
  const Eigen::MatrixXd points = maps::starts(k, 12, 5).colwise() + fixed;
  const auto truth = basin::count_iterations(one, map, task, points);
  check_counts(ask(map, basin::leap{}, task, points), truth, 1);
  check_counts(ask(map, basin::koenigs{8}, task, points), truth, 1);
  // A mode whose vectors were not found is left out, and the others still tell the end of an orbit.
  basin::prediction_task partly = task, none = task;
  partly.known.spectra[0].left.col(3).setConstant(nan);
  none.known.spectra[0].right.setConstant(nan);
  const auto some = ask(map, basin::leap{}, partly, points);
  check_counts(some, truth, 1);
  CHECK(10 * some.evaluations < 9 * ask(map, basin::leap{}, none, points).evaluations);
  const basin::prediction_task without{{fixed, basin::eigenvalues(one, map, fixed)}};
  CHECK_THROWS_AS(basin::prepare(one, map, basin::leap{}, without), basin::argument_error);
}

TEST_CASE("a table of a line and one of space", "[convergence]") {
  auto line =
      basin::differentiable<1>([](const auto& z, auto& f) { f[0] = 0.8 * z[0] / (1.0 + z[0]); });
  auto space = basin::differentiable<3>([](const auto& z, auto& f) {
    using std::tanh;
    f[0] = tanh(1.3 * z[0] - 0.1 * z[1]);
    f[1] = tanh(0.6 * z[1] + 0.4 * z[0]);
    f[2] = 0.7 * z[2] + 0.2 * tanh(z[0]);
  });
  const auto check = [](auto& map, const Eigen::MatrixXd& ends, const Eigen::MatrixXd& points,
                        const basin::sampled_map& settings) {
    basin::FixedPointSolver solver{map, basin::picard{}, basin::stopping{.residual = 1e-13}};
    const basin::prediction_task task{
        basin::with_spectra(one, map, solver.solve(one, ends).states)};
    const auto truth = basin::count_iterations(one, map, task, points);
    const auto said = ask(map, settings, task, points);
    index_t labels = 0, close = 0;
    for (index_t j = 0; j < said.size(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      const auto t = static_cast<double>(truth.iterations[at]);
      labels += said[j].attractor == truth.attractor[at];
      close += said[j].iterations && std::abs(*said[j].iterations - t) <= 1 + 0.05 * t;
    }
    CHECK(labels >= said.size() - 1);
    CHECK(close >= said.size() - 2);
  };
  // It curves on a scale of 1, of a box of 20.
  check(line, Eigen::MatrixXd::Constant(1, 1, 1e-3), Eigen::RowVectorXd::LinSpaced(40, 0.5, 20),
        {.levels = 8});
  Eigen::MatrixXd ends(3, 2);
  ends << 0.7, -0.7, 0.5, -0.5, 0.2, -0.2;
  check(space, ends, 2 * maps::starts(3, 40), {});
}

TEST_CASE("where predictors do not apply", "[convergence]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  // A saddle, a marginal point and a repeller.
  for (const double q : {1.0, 1.5}) {
    auto map = basin::affine(Eigen::MatrixXd(Eigen::Vector2d(q, 0.5).asDiagonal()));
    const basin::prediction_task task{basin::with_spectra(one, map, Eigen::MatrixXd::Zero(2, 1)),
                                      {.max_iterations = 50}};
    Eigen::MatrixXd points = maps::starts(2, 3);
    points(0, 1) = nan;
    const auto check = [&](const auto& settings) {
      const auto said = ask(map, settings, task, points);
      INFO(settings.name() << ", " << q);
      CHECK(!said[0].iterations);
      CHECK(said[0].reason != not_applicable::no);
      CHECK(!said[1].iterations);
      CHECK(said[1].reason == not_applicable::non_finite);
    };
    check(basin::paper_formula{});
    check(basin::asymptotic_iterations{});
    check(basin::sufficient_iterations{});
    check(basin::non_normal{});
    check(basin::sampled_map{});
    if (q == 1.0) continue;  // the first step may meet the rule there
    check(basin::observed{2});
    check(basin::koenigs{2});
    check(basin::leap{});
    check(basin::kriging{});
  }
  // A Jordan block has no amplitudes.
  Eigen::Matrix2d block;
  block << 0.5, 1, 0, 0.5;
  auto jordan = basin::affine(Eigen::MatrixXd(block));
  const basin::prediction_task task{basin::with_spectra(one, jordan, Eigen::MatrixXd::Zero(2, 1))};
  CHECK(ask(jordan, basin::koenigs{1}, task, maps::starts(2, 1))[0].reason ==
        not_applicable::defective);
  // Nor has a mode whose vectors were not found; one that is not dominant is not asked for them.
  auto diagonal = basin::affine(Eigen::MatrixXd(Eigen::Vector2d(0.9, 0.3).asDiagonal()));
  const auto with_nan = [&](Eigen::MatrixXcd Spectrum::*vectors, index_t mode) {
    basin::prediction_task lacking{basin::with_spectra(one, diagonal, Eigen::MatrixXd::Zero(2, 1))};
    (lacking.known.spectra[0].*vectors).col(mode).setConstant(nan);
    return ask(diagonal, basin::koenigs{1}, lacking, Eigen::Vector2d(1, 1))[0].reason;
  };
  CHECK(with_nan(&Spectrum::left, 0) == not_applicable::defective);
  CHECK(with_nan(&Spectrum::right, 0) == not_applicable::defective);
  CHECK(with_nan(&Spectrum::left, 1) == not_applicable::no);
  CHECK(with_nan(&Spectrum::right, 1) == not_applicable::no);
  // No attractor is known.
  const basin::prediction_task none{{Eigen::MatrixXd(2, 0), {}}};
  CHECK(ask(jordan, basin::paper_formula{}, none, maps::starts(2, 1))[0].reason ==
        not_applicable::no_attractor);
  CHECK(ask(jordan, basin::koenigs{1}, none, maps::starts(2, 1))[0].reason ==
        not_applicable::no_attractor);
  // Sizes and settings.
  CHECK_THROWS_WITH(basin::prepare(one, jordan, basin::leap{.most = 0}, task),
                    "leap: most is 0, must be at least 1");
  CHECK_THROWS_WITH(basin::prepare(one, jordan, basin::kriging{.neighbors = 1}, task),
                    "kriging: neighbors is 1, must be at least 2");
  CHECK_THROWS_WITH(basin::prepare(one, jordan, basin::koenigs{-2}, task),
                    "koenigs: steps is -2, must not be negative");
  auto ready = basin::prepare(one, jordan, basin::paper_formula{}, task);
  CHECK_THROWS_AS(ready.predict(maps::starts(3, 1)), basin::size_error);
  const Eigen::MatrixXd W = 0.5 * Eigen::MatrixXd::Identity(4, 4);
  auto large = basin::affine(W);
  CHECK_THROWS_AS(basin::prepare(one, large, basin::sampled_map{},
                                 basin::prediction_task{{Eigen::MatrixXd::Zero(4, 1), {}}}),
                  basin::argument_error);
}
