// Left vectors beside right ones: which belong together, and those of values that are equal.
#include <cstdint>
#include <vector>

#include <basin/map/affine.hpp>
#include <basin/spectral/eigenvalues.hpp>
#include <basin/spectral/left_vectors.hpp>

#include "matrices.hpp"

using basin::index_t;
using basin::spectral_status;
using basin::Spectrum;

namespace {

// Values of a symmetric matrix with these unit vectors, all but exact.
Spectrum with_units(const std::vector<double>& values, const std::vector<index_t>& units,
                    index_t k) {
  const auto m = static_cast<index_t>(values.size());
  Spectrum s;
  s.status = spectral_status::converged;
  s.norm = 1;
  s.values = Eigen::Map<const Eigen::VectorXd>(values.data(), m).cast<std::complex<double>>();
  s.backward_error = Eigen::VectorXd::Constant(m, 1e-12);
  s.condition = Eigen::VectorXd::Ones(m);
  s.right = Eigen::MatrixXcd::Zero(k, m);
  for (index_t i = 0; i < m; ++i) s.right(units[static_cast<std::size_t>(i)], i) = 1;
  return s;
}

}  // namespace

TEST_CASE("a value that the transpose has missed costs no other its left vector", "[spectral]") {
  Spectrum right = with_units({1, 0.9, 0.8}, {0, 1, 2}, 4);
  basin::detail::match_left_vectors(right, with_units({0.9, 0.8, 0.7}, {1, 2, 3}, 4));
  CHECK(right.left.col(0).hasNaN());
  CHECK(right.left.rightCols(2) == right.right.rightCols(2));
  // Nor does one that comes first take what is another's by far.
  Spectrum near = with_units({0.9 + 1e-11, 0.9}, {0, 1}, 2);
  basin::detail::match_left_vectors(near, with_units({0.9}, {1}, 2));
  CHECK(near.left.col(0).hasNaN());
  CHECK(near.left.col(1) == near.right.col(1));
}

TEST_CASE("a multiple value has its own condition number where count cuts it", "[spectral]") {
  const index_t k = 20;
  const basin::cpu<double> one(1);
  for (const index_t times : {2, 3, 5}) {
    for (index_t count = 1; count < times; ++count) {
      // Its negative is as large, and stands between.
      for (const bool both : {false, true}) {
        Eigen::VectorXd d = Eigen::VectorXd::LinSpaced(k, 0.5, -0.5);
        d.head(times).setConstant(0.95);
        if (both) d.tail(times).setConstant(-0.95);
        const Eigen::MatrixXd Q = matrices::orthogonal(k, static_cast<std::uint64_t>(times));
        const Eigen::MatrixXd A = Q * d.asDiagonal() * Q.transpose();
        auto map = basin::affine(Eigen::MatrixXd((A + A.transpose()) / 2));
        const Spectrum s = basin::eigenvalues(one, map, Eigen::MatrixXd::Zero(k, 1),
                                              {.count = count,
                                               .right_vectors = true,
                                               .left_vectors = true,
                                               .method = basin::eigenvalue_method::dense})[0];
        INFO(count << " of " << times << (both ? ", and the negative" : ""));
        REQUIRE(s.size() == count);
        CHECK(s.backward_error.size() == count);
        REQUIRE(s.condition.size() == count);
        CHECK(s.condition.maxCoeff() == Approx(1).epsilon(1e-6));
        REQUIRE(s.left.cols() == count);
        REQUIRE(s.right.cols() == count);
        CHECK((s.left - s.right).norm() < 1e-6);
      }
    }
  }
}
