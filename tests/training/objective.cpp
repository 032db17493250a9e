#include <basin/training/objective.hpp>

#include <algorithm>
#include <cmath>

#include <basin/map/derivative.hpp>
#include <basin/training/schedule.hpp>

#include "../nn/golden.hpp"
#include "networks.hpp"

namespace {

using basin::index_t;

basin::Autoencoder<double> small(bool sampled = false, bool sigmoid = false) {
  auto model =
      networks::table3<double>(16, 2, sampled ? 6 : 3, 3, basin::tanh_function{}, false, sigmoid);
  model.initialize(4);
  return model;
}

// J of a map at the columns of X, one matrix each.
template <class F>
Eigen::MatrixXd jacobian(const F& f, const Eigen::VectorXd& x) {
  const basin::cpu<double> be(1);
  const index_t k = f.output_dimension();
  Eigen::MatrixXd rows(x.size(), k);
  basin::vjp(be, f, x.replicate(1, k), Eigen::MatrixXd::Identity(k, k), rows);
  return rows.transpose();
}

double penalty(const basin::regularizer<double>& term, basin::Autoencoder<double>& model,
               const Eigen::MatrixXd& X, std::uint64_t seed = 1) {
  const basin::Objective<double> objective({term});
  std::vector<double> g(static_cast<std::size_t>(basin::parameter_count(model.encoder()) +
                                                 basin::parameter_count(model.decoder())));
  return objective
      .evaluate(basin::cpu<double>(1), model, basin::block<const double>(X.data(), 256, X.cols()),
                {seed}, 0, g.data())
      .penalties[0];
}

}  // namespace

TEST_CASE("exact penalties are the norms of dense Jacobians", "[training]") {
  auto model = small();
  const Eigen::MatrixXd X = golden::normal(256, 3, 1);
  double of_encoder = 0, of_both = 0;
  for (index_t j = 0; j < 3; ++j) {
    of_encoder += jacobian(model.encoder_map(), X.col(j)).squaredNorm() / 3;
    of_both += jacobian(model.reconstruction_map(), X.col(j)).squaredNorm() / 3;
  }
  CHECK(penalty(basin::contractive{0.5}, model, X) == Approx(0.5 * of_encoder).epsilon(1e-12));
  CHECK(penalty(basin::r_contractive{0.5}, model, X) == Approx(0.5 * of_both).epsilon(1e-12));
}

TEST_CASE("estimates of penalties have the documented mean and variance", "[training]") {
  auto model = small();
  const Eigen::MatrixXd X = golden::normal(256, 1, 1);
  const auto check = [&](auto term, const Eigen::MatrixXd& G) {
    const int draws = 4000;
    double mean = 0, square = 0;
    for (int i = 0; i < draws; ++i) {
      const double one = penalty(term, model, X, static_cast<std::uint64_t>(i));
      mean += one / draws;
      square += one * one / draws;
    }
    const double variance =
        2 * (G.squaredNorm() - G.diagonal().squaredNorm()) / static_cast<double>(term.probes);
    CHECK(std::abs(mean - G.trace()) <= 4 * std::sqrt(variance / draws));
    CHECK(square - mean * mean == Approx(variance).epsilon(0.15));
  };
  const Eigen::MatrixXd J = jacobian(model.encoder_map(), X);
  check(basin::contractive{1.0, 2}, J * J.transpose());
  const Eigen::MatrixXd JF = jacobian(model.reconstruction_map(), X);
  check(basin::r_contractive{1.0, 2}, JF.transpose() * JF);
}

TEST_CASE("gradients of every objective against differences of its loss", "[training]") {
  const Eigen::MatrixXd X = golden::normal(256, 5, 1);
  const auto mirrored = basin::augmented<double>{[](auto x, auto out, auto, index_t) {
                                                   for (index_t i = 0; i < out.size; ++i)
                                                     out[i] = x[i / 16 * 16 + 15 - i % 16];
                                                 },
                                                 0.3};
  const std::vector<std::vector<basin::regularizer<double>>> cases = {
      {},
      {basin::weight_decay{0.1}},
      {basin::deep_weight_decay{0.1}},
      {basin::contractive{0.1}},
      {basin::contractive{0.1, 2}},
      {basin::r_contractive{0.1}},
      {basin::r_contractive{0.1, 2}},
      {basin::sparse_l1{0.1}},
      {basin::sparse_kl{0.1, 0.2}},
      {basin::denoising{0.3}},
      {basin::masked{0.5, 3}},
      {basin::variational{0.1}},
      {mirrored},
      {basin::denoising{0.2}, basin::masked{0.4, 2, 0.5}, mirrored, basin::contractive{0.1},
       basin::deep_weight_decay{0.01}, basin::sparse_kl{0.1}},
      {basin::variational{0.1}, basin::contractive{0.1}, basin::r_contractive{0.1},
       basin::denoising{0.1}}};
  for (std::size_t c = 0; c < cases.size(); ++c) {
    INFO("case " << c);
    const auto has = [&](auto which) {
      return std::any_of(cases[c].begin(), cases[c].end(), [](const auto& term) {
        return std::holds_alternative<decltype(which)>(term);
      });
    };
    auto model = small(has(basin::variational{}), has(basin::sparse_kl{}));
    const basin::Objective<double> objective(cases[c]);
    objective.require_model(model);
    index_t size = 0;
    for (const auto& one : model.parameters()) size += one.values.size;
    Eigen::VectorXd g(size), unused(size);
    const auto loss = [&](double* gradient, int threads) {
      return objective
          .evaluate(basin::cpu<double>(threads), model,
                    basin::block<const double>(X.data(), 256, 5), {3}, 10, gradient)
          .total();
    };
    const double at = loss(g.data(), 1);
    CHECK(std::isfinite(at));
    CHECK(loss(unused.data(), 3) == at);
    CHECK((g == unused));
    const Eigen::VectorXd direction = golden::normal(size, 1, 7);
    const double h = 1e-5;
    const auto moved = [&](double distance) {
      index_t i = 0;
      for (const auto& one : model.parameters()) {
        for (index_t e = 0; e < one.values.size; ++e) one.values[e] += distance * direction(i++);
      }
      model.parameters_changed();
      return loss(unused.data(), 1);
    };
    const double up = moved(h);
    const double down = moved(-2 * h);
    CHECK(g.dot(direction) == Approx((up - down) / (2 * h)).epsilon(1e-6));
  }
}

TEST_CASE("each regulariser draws its own noise", "[training]") {
  auto model = small();
  const Eigen::MatrixXd X = Eigen::MatrixXd::Zero(256, 200);
  // What the transformation is given is x in CHW order, a stream of its own and the sample.
  std::vector<index_t> columns(200);
  const auto watch =
      basin::augmented<double>{[&](auto x, auto out, basin::random_stream random, index_t column) {
                                 CHECK(random.stream == 2);
                                 columns[static_cast<std::size_t>(column - 50)] = column;
                                 std::copy_n(x.data, x.size, out.data);
                               },
                               1.0};
  const basin::Objective<double> objective({basin::denoising{0.1}, watch});
  std::vector<double> g(static_cast<std::size_t>(basin::parameter_count(model.encoder()) +
                                                 basin::parameter_count(model.decoder())));
  (void)objective.evaluate(basin::cpu<double>(1), model,
                           basin::block<const double>(X.data(), 256, 200), {3, 1}, 50, g.data());
  for (index_t j = 0; j < 200; ++j) CHECK(columns[static_cast<std::size_t>(j)] == j + 50);
}

TEST_CASE("learning rates", "[training]") {
  basin::learning_rate constant{.rate = 0.5, .warm_up = 4};
  CHECK(basin::rate_at(constant, 0, 10) == Approx(0.125));
  CHECK(basin::rate_at(constant, 3, 10) == 0.5);
  CHECK(basin::rate_at(constant, 9, 10) == 0.5);
  basin::learning_rate steps{.rate = 1, .schedule = basin::step_schedule{{3, 6}, 0.1}};
  CHECK(basin::rate_at(steps, 2, 10) == 1);
  CHECK(basin::rate_at(steps, 3, 10) == Approx(0.1));
  CHECK(basin::rate_at(steps, 6, 10) == Approx(0.01));
  basin::learning_rate cosine{.rate = 1, .schedule = basin::cosine_schedule{0.2}, .warm_up = 2};
  CHECK(basin::rate_at(cosine, 0, 12) == Approx(0.5));
  CHECK(basin::rate_at(cosine, 2, 12) == Approx(1.0));
  CHECK(basin::rate_at(cosine, 7, 12) == Approx(0.6));
  CHECK(basin::rate_at(cosine, 12, 12) == Approx(0.2));
  CHECK_THROWS_AS(
      basin::require_learning_rate("x", {.rate = 1, .schedule = basin::step_schedule{{5, 3}}}),
      basin::argument_error);
}
