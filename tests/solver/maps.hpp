// Maps with known answers, for the solver's tests.
#pragma once

#include <cmath>

#include <Eigen/Core>

#include <basin/core/random.hpp>
#include <basin/map/activation.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/compose.hpp>

#include "../catch.hpp"

namespace maps {

using basin::index_t;

// Uniform in (-1, 1), column by column from a stream.
inline Eigen::MatrixXd starts(index_t k, index_t n, std::uint64_t seed = 1) {
  Eigen::MatrixXd Z(k, n);
  for (index_t j = 0; j < n; ++j) {
    for (index_t i = 0; i < k; ++i) {
      Z(i, j) = 2 * basin::uniform_from_word<double>(basin::random_stream{seed}.word(i, j)) - 1;
    }
  }
  return Z;
}

// z -> q z in R^1.
inline auto linear(double q) {
  return basin::columnwise<1>([q](double z) { return q * z; });
}

inline auto rotation(double angle) {
  return basin::columnwise<2>([c = std::cos(angle), s = std::sin(angle)](const auto& z, auto& f) {
    using scalar = std::decay_t<decltype(f[0])>;
    f[0] = static_cast<scalar>(c * z[0] - s * z[1]);
    f[1] = static_cast<scalar>(s * z[0] + c * z[1]);
  });
}

inline auto logistic(double r) {
  return basin::columnwise<1>([r](double z) { return r * z * (1 - z); });
}

// tanh(W z + b) of the library's own parts, a contraction.
template <class Scalar>
auto network(index_t k, double radius = 0.9) {
  const Eigen::MatrixXd W = starts(k, k, 5) * (radius * std::sqrt(3.0 / static_cast<double>(k)));
  const Eigen::VectorXd b = starts(k, 1, 6);
  return basin::compose(basin::activation(basin::tanh_function{}),
                        basin::affine(W.cast<Scalar>().eval(), b.cast<Scalar>().eval()));
}

// Everything of two results, to the bit.
template <class Result>
void require_same(const Result& a, const Result& b) {
  REQUIRE(a.size() == b.size());
  for (index_t j = 0; j < a.size(); ++j) {
    const auto i = static_cast<std::size_t>(j);
    REQUIRE(a.status[i] == b.status[i]);
    REQUIRE(a.iterations[i] == b.iterations[i]);
    REQUIRE(a.evaluations[i] == b.evaluations[i]);
    REQUIRE(a.period[i] == b.period[i]);
    REQUIRE(((a.residual[i] == b.residual[i]) ||
             (std::isnan(a.residual[i]) && std::isnan(b.residual[i]))));
    REQUIRE((a.states.col(j).array() == b.states.col(j).array()).all());
  }
  REQUIRE(a.acceleration == b.acceleration);
}

}  // namespace maps
