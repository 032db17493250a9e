#include <basin/model/linear.hpp>

#include <cmath>
#include <string>

#include <Eigen/SVD>

#include <basin/solver/fixed_point_solver.hpp>

#include "../catch.hpp"
#include "maps.hpp"

using basin::index_t;

namespace {

// Samples with a mean and singular values that fall by a third each.
Eigen::MatrixXd samples(index_t n, index_t count) {
  Eigen::MatrixXd X = maps::normal<double>(n, count, 1);
  for (index_t i = 0; i < n; ++i) X.row(i) *= std::pow(0.67, static_cast<double>(i));
  const Eigen::MatrixXd mixed = maps::normal<double>(n, n, 2) * X;
  return mixed.colwise() + Eigen::VectorXd(maps::normal<double>(n, 1, 3).col(0));
}

}  // namespace

TEST_CASE("a linear autoencoder has one layer a half", "[model]") {
  auto autoencoder = basin::linear_autoencoder<float>({.image = {2, 3, 4}, .latent = 5});
  const auto parameters = autoencoder.parameters();
  REQUIRE(parameters.size() == 4);
  CHECK(parameters[0].name == "enc.0.weight");
  CHECK(parameters[0].shape == std::vector<index_t>{5, 24});
  CHECK(parameters[3].name == "dec.0.bias");
  CHECK(parameters[3].shape == std::vector<index_t>{24});
  auto plain = basin::linear_autoencoder<float>({.latent = 5, .bias = false, .tied = true});
  CHECK(parameter_count(plain) == 2 * 5 * 784);
  CHECK(plain.tied());
  CHECK_THROWS_AS(basin::linear_autoencoder<float>({.latent = 0}), basin::argument_error);
  CHECK_THROWS_AS(basin::linear_autoencoder<float>({.image = {1, 0, 3}}), basin::argument_error);
}

TEST_CASE("principal components are the linear autoencoder's best", "[model]") {
  // More samples than entries, and fewer.
  for (const auto& [n, count] : {std::pair<index_t, index_t>{12, 60}, {60, 12}, {12, 13}}) {
    const Eigen::MatrixXd X = samples(n, count);
    const Eigen::VectorXd mean = X.rowwise().mean();
    const Eigen::MatrixXd centred = X.colwise() - mean;
    const Eigen::JacobiSVD<Eigen::MatrixXd> svd(centred, Eigen::ComputeThinU);
    for (const index_t k : {1, 4, 11}) {
      INFO(n << " x " << count << ", k = " << k);
      const auto autoencoder = basin::pca_autoencoder(X, k);
      const auto F = autoencoder.reconstruction_map();
      const Eigen::MatrixXd Y = maps::value(F, X);

      // F is the orthogonal projection to the mean and the leading directions, which are as
      // certain as the gap to the others is wide.
      const auto& sizes = svd.singularValues();
      const double behind = k < sizes.size() ? sizes(k) : 0;
      const double allowed =
          1e-14 * sizes(0) * sizes(0) / (sizes(k - 1) * sizes(k - 1) - behind * behind);
      CAPTURE(allowed);
      const Eigen::MatrixXd U = svd.matrixU().leftCols(k);
      const Eigen::MatrixXd P = U * U.transpose();
      const Eigen::MatrixXd other = maps::normal<double>(n, 5, 4);
      const Eigen::MatrixXd projected = (P * (other.colwise() - mean)).colwise() + mean;
      CHECK((maps::value(F, other) - projected).norm() <= allowed * (other.norm() + mean.norm()));
      CHECK((maps::jacobian(F, X.col(0).eval()) - P).norm() <= allowed);

      // What is lost are the other directions.
      const Eigen::VectorXd rest = sizes.tail(sizes.size() - k);
      CHECK(std::abs((X - Y).squaredNorm() - rest.squaredNorm()) <= 1e-12 * centred.squaredNorm());
      CHECK((X - Y).squaredNorm() == Approx(rest.squaredNorm()).epsilon(1e-6).margin(1e-20));

      // Every code is a fixed point, at once.
      const auto f = autoencoder.latent_map();
      CHECK(
          (maps::jacobian(f, Eigen::MatrixXd::Zero(k, 1).eval()) - Eigen::MatrixXd::Identity(k, k))
              .norm() <= 1e-13);
      const auto Z = maps::normal<double>(k, 9, 5);
      CHECK((maps::value(f, Z) - Z).norm() <= 1e-13 * (Z.norm() + mean.norm()));
      basin::FixedPointSolver solver{f, basin::picard{}, basin::stopping{.residual = 1e-12}};
      const auto found = solver.solve(basin::cpu<double>(1), Z);
      CHECK(found.count(basin::status::converged) == 9);
      CHECK(found.states == Z);

      // Codes are uncorrelated, with the singular values as their sizes.
      const Eigen::MatrixXd codes = maps::value(autoencoder.encoder_map(), X);
      const Eigen::MatrixXd gram = codes * codes.transpose();
      const Eigen::VectorXd squares = sizes.head(k).cwiseAbs2();
      CHECK((gram - Eigen::MatrixXd(squares.asDiagonal())).norm() <= 1e-13 * squares(0));
    }
  }
}

TEST_CASE("principal components are the same bits again, and have a sign", "[model]") {
  const Eigen::MatrixXd X = samples(20, 15);
  auto first = basin::pca_autoencoder(X, 6);
  auto again = basin::pca_autoencoder(X, 6);
  auto turned = basin::pca_autoencoder((-X).eval(), 6);  // the same directions
  const auto weight = [](auto& autoencoder) {
    const auto one = autoencoder.parameters()[2];
    return Eigen::MatrixXd(Eigen::Map<Eigen::MatrixXd>(one.values.data, 6, 20).transpose());
  };
  CHECK(weight(first) == weight(again));
  CHECK((weight(first) - weight(turned)).norm() <= 1e-12);
  for (index_t j = 0; j < 6; ++j) {
    CHECK(weight(first).col(j).maxCoeff() == weight(first).col(j).cwiseAbs().maxCoeff());
  }
}

TEST_CASE("principal components of floats and of images", "[model]") {
  const Eigen::MatrixXf X = samples(24, 40).cast<float>();
  const auto autoencoder = basin::pca_autoencoder(X, 3, {2, 3, 4});
  static_assert(std::is_same_v<decltype(autoencoder), const basin::Autoencoder<float>>);
  CHECK(autoencoder.image_shape() == basin::tensor_shape{2, 3, 4});
  const auto vectors = basin::pca_autoencoder(X, 3);
  CHECK((maps::value(autoencoder.reconstruction_map(), X) -
         maps::value(vectors.reconstruction_map(), X))
            .norm() <= 1e-6f * X.norm());
  const auto exact = basin::pca_autoencoder(X.cast<double>(), 3);
  CHECK(golden::difference(maps::value(vectors.encoder_map(), X),
                           maps::value(exact.encoder_map(), X.cast<double>().eval())) <= 1e-6);
}

TEST_CASE("principal components refuse what is not there", "[model]") {
  const auto message = [](const Eigen::MatrixXd& X, index_t k) -> std::string {
    try {
      (void)basin::pca_autoencoder(X, k);
    } catch (const basin::argument_error& e) {
      return e.what();
    }
    return "";
  };
  const Eigen::MatrixXd X = samples(6, 5);
  CHECK(message(X, 4).empty());
  CHECK_THAT(message(X, 5),
             Catch::Contains("k is 5, must be from 1 to 4, for 5 samples of size 6"));
  CHECK_THAT(message(X, 0), Catch::Contains("must be from 1 to 4"));
  CHECK_THAT(message(X.leftCols(1), 1), Catch::Contains("must be from 1 to 0"));
  CHECK_THAT(message(Eigen::MatrixXd(6, 0), 1), Catch::Contains("for 0 samples"));
  const Eigen::MatrixXd plane = X.leftCols(2) * maps::normal<double>(2, 30, 6);
  CHECK_THAT(message(plane, 3), Catch::Contains("k is 3, the data less their mean have rank 2"));
  CHECK_THAT(message(plane.transpose(), 3), Catch::Contains("rank"));
  CHECK_THAT(message(Eigen::MatrixXd::Ones(4, 9), 1), Catch::Contains("have rank 0"));
  Eigen::MatrixXd missing = X;
  missing(1, 1) = std::nan("");
  CHECK_THAT(message(missing, 1), Catch::Contains("not finite"));
  CHECK_THROWS_AS(basin::pca_autoencoder(X, 2, {1, 2, 2}), basin::size_error);
}
