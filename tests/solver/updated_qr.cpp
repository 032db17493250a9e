#include <basin/solver/updated_qr.hpp>

#include <vector>

#include <Eigen/Dense>

#include <basin/solver/step_recurrence.hpp>

#include "maps.hpp"

using basin::index_t;
using basin::detail::step_recurrence;
using basin::detail::UpdatedQr;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

// A factorisation of at most `most` columns of R^k with its memory.
struct factorised {
  factorised(index_t k_, index_t most)
      : k(k_),
        memory(static_cast<std::size_t>(UpdatedQr<double>::memory(k_, most))),
        scratch(static_cast<std::size_t>(UpdatedQr<double>::scratch(most, true))),
        lanes(scratch),
        qr(lanes, memory.data(), k_, most, size) {}
  bool append(const VectorXd& v) {
    std::copy_n(v.data(), k, qr.q(size));
    return qr.append();
  }
  MatrixXd Q() const { return Eigen::Map<const MatrixXd>(memory.data(), k, size); }
  MatrixXd R() const {
    MatrixXd r = MatrixXd::Zero(size, size);
    for (index_t j = 0; j < size; ++j) {
      for (index_t i = 0; i <= j; ++i) r(i, j) = qr.r(i, j);
    }
    return r;
  }
  void require_factorises(const MatrixXd& V) const {
    REQUIRE(size == V.cols());
    CHECK((Q() * R() - V).norm() <= 1e-13 * V.norm());
    CHECK((Q().transpose() * Q() - MatrixXd::Identity(size, size)).norm() < 1e-13);
  }

  index_t k;
  std::vector<double> memory, scratch;
  basin::one_lane<double> lanes;
  std::int32_t size = 0;
  UpdatedQr<double> qr;
};

}  // namespace

TEST_CASE("a factorisation whose columns come and go", "[solver]") {
  // 1,100 rows: more than the rotations take at once.
  for (const index_t k : {6, 40, 1100}) {
    const MatrixXd V = maps::starts(k, 12, 31);
    factorised f(k, 5);
    for (index_t j = 0; j < 12; ++j) {
      if (f.size == 5) f.qr.remove_first();
      REQUIRE(f.append(V.col(j)));
      f.require_factorises(V.middleCols(std::max<index_t>(0, j - 4), std::min<index_t>(5, j + 1)));
    }
    while (f.size > 0) {
      f.qr.remove_first();
      f.require_factorises(V.middleCols(12 - f.size, f.size));
    }
  }
}

TEST_CASE("nearly dependent columns stay orthogonal, dependent ones are left out", "[solver]") {
  const MatrixXd V = maps::starts(30, 4, 32);
  factorised f(30, 6);
  for (index_t j = 0; j < 3; ++j) REQUIRE(f.append(V.col(j)));
  const VectorXd near = V.col(0) - V.col(2) + 1e-9 * V.col(3);
  REQUIRE(f.append(near));
  CHECK((f.Q().transpose() * f.Q() - MatrixXd::Identity(4, 4)).norm() < 1e-13);
  CHECK(f.qr.condition() > 1e8);
  CHECK_FALSE(f.append(V.col(0) + 2 * V.col(1)));
  CHECK_FALSE(f.append(VectorXd::Zero(30)));
  CHECK_FALSE(f.append(VectorXd::Constant(30, std::nan(""))));
  CHECK(f.size == 4);
}

TEST_CASE("least squares, with and without a regularisation", "[solver]") {
  const MatrixXd V = maps::starts(20, 4, 33);
  const VectorXd b = maps::starts(20, 1, 34);
  factorised f(20, 4);
  for (index_t j = 0; j < 4; ++j) REQUIRE(f.append(V.col(j)));
  VectorXd x = f.Q().transpose() * b;
  f.qr.least_squares(x.data(), 0);
  CHECK((x - V.colPivHouseholderQr().solve(b)).norm() < 1e-13);
  const double lambda = 0.1;
  VectorXd y = f.Q().transpose() * b;
  f.qr.least_squares(y.data(), lambda);
  const MatrixXd normal =
      V.transpose() * V + lambda * lambda * V.squaredNorm() * MatrixXd::Identity(4, 4);
  CHECK((y - normal.ldlt().solve(V.transpose() * b)).norm() < 1e-13);
  // At least the condition number, at most as many times it as there are columns.
  const VectorXd sigma = V.jacobiSvd().singularValues();
  CHECK(f.qr.condition() >= sigma[0] / sigma[3]);
  CHECK(f.qr.condition() <= 4 * sigma[0] / sigma[3]);
}

TEST_CASE("a recurrence finds two modes and foretells what they do", "[solver]") {
  // Steps a 0.9^t + b (-0.5)^t.
  const VectorXd a = maps::starts(5, 1, 35);
  const VectorXd b = maps::starts(5, 1, 36);
  const auto r = [&](int t) { return VectorXd(a * std::pow(0.9, t) + b * std::pow(-0.5, t)); };
  basin::one_lane<double> lanes;
  const VectorXd r0 = r(0), r1 = r(1), r2 = r(2), r3 = r(3);
  const auto fit =
      step_recurrence::fit(lanes, r3.data(), r2.data(), r1.data(), r0.data(), true, index_t{5});
  CHECK(fit.first == Approx(0.4));
  CHECK(fit.second == Approx(0.45));
  CHECK(fit.rate() == Approx(0.9));
  CHECK(fit.error(lanes, r(4).eval().data(), r3.data(), r2.data(), 0.0, 5) < 1e-12);
  const auto w = fit.after(6);
  CHECK((w.now * r3 + w.before * r2 - r(9)).norm() < 1e-13);
  VectorXd sum = VectorXd::Zero(5);
  for (int t = 3; t < 9; ++t) sum += r(t);
  CHECK((w.sum_now * r3 + w.sum_before * r2 - sum).norm() < 1e-12);
  // A complex pair: the modulus of the roots.
  CHECK(step_recurrence{2 * 0.95 * std::cos(0.3), -0.95 * 0.95}.rate() == Approx(0.95));
  // Parallel steps have one mode.
  const VectorXd s1 = 0.8 * a, s2 = 0.64 * a;
  const auto one = step_recurrence::fit(lanes, s2.data(), s1.data(), a.data(), a.data(), false, 5);
  CHECK(one.first == Approx(0.8));
  CHECK(one.second == 0);
}

TEST_CASE("products of columns side by side are those of each alone, to the bit", "[solver]") {
  for (const basin::index_t n : {1, 3, 16, 37, 512}) {  // no more than a block of rows
    for (const basin::index_t count : {1, 2, 3, 4, 7}) {
      const Eigen::MatrixXd X = maps::starts(n, count, 31);
      const Eigen::VectorXd y = maps::starts(n, 1, 32);
      Eigen::VectorXd products(count);
      basin::detail::dots(X.data(), n, count, y.data(), n, products.data());
      for (basin::index_t i = 0; i < count; ++i) {
        CHECK(products(i) == basin::detail::dot(X.col(i).data(), y.data(), n));
      }
    }
  }
  const Eigen::MatrixXd X = maps::starts(3000, 5, 33);
  Eigen::VectorXd products(5);
  basin::detail::dots(X.data(), 3000, 5, X.data(), 3000, products.data());
  CHECK((products - X.transpose() * X.col(0)).norm() < 1e-10);
}
