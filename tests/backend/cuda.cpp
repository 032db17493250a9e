// Built by nvcc for a GPU, and by a plain compiler for each of Thrust's host systems.
#include <cmath>
#include <stdexcept>

#include <basin/backend/cpu.hpp>
#include <basin/backend/cuda.hpp>
#include <basin/backend/cuda/lanes.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/concept.hpp>

#include "conformance.hpp"

TEST_CASE("contexts by the number of their device", "[backend]") {
  CHECK(basin::cuda<float>().options().device == 0);
  CHECK(basin::cuda<float>(basin::device_options{.device = 0}).options().device == 0);
  CHECK_THROWS_WITH(basin::cuda<float>(basin::device_options{.device = 1000}),
                    Catch::Matchers::Contains("device 1000 is asked for, there"));
  CHECK_THROWS_AS(basin::cuda<float>(basin::device_options{.device = -1}), basin::device_error);
  // Each counts its own traffic, which copies share.
  const basin::cuda<double> one, other, copy = one;
  auto X = one.make_matrix(3, 5);
  const Eigen::MatrixXd host = Eigen::MatrixXd::Ones(3, 5);
  upload(copy, host, X);
  CHECK(one.traffic().uploads == 1);
  CHECK(one.traffic().uploaded_bytes == 120);
  CHECK(one.traffic().synchronisations == 1);
  CHECK(other.traffic().uploads == 0);
  Eigen::MatrixXd back(3, 5);
  download(other, X, back);
  CHECK(back == host);
  CHECK(other.traffic().downloads == 1);
  CHECK(other.traffic().downloaded_bytes == 120);
  CHECK(one.traffic().downloads == 0);
}

TEST_CASE("launches that are recorded run when they are asked to", "[backend]") {
  const basin::cuda<double> be;
  auto X = be.make_matrix(4, 4), Y = be.make_matrix(4, 4);
  const Eigen::MatrixXd start =
      Eigen::MatrixXd::Identity(4, 4) + Eigen::MatrixXd::Constant(4, 4, 0.1);
  const Eigen::MatrixXd zero = Eigen::MatrixXd::Zero(4, 4);
  upload(be, start, X);
  upload(be, zero, Y);
  const auto host = [&](const auto& matrix) {
    Eigen::MatrixXd on_host(4, 4);
    download(be, matrix, on_host);
    return on_host;
  };
  basin::DeviceGraph<double> graph(be);
  CHECK_FALSE(graph.recorded());
  CHECK_THROWS_AS(graph.run(), basin::device_error);
  graph.record([&] {
    gemm(be, X, X, Y);
    axpby(be, 0.5, Y, 0, X);
  });
  CHECK(graph.recorded());
  CHECK(host(X) == start);  // nothing has run
  Eigen::MatrixXd expected = start;
  for (int i = 0; i < 3; ++i) {
    graph.run();
    expected = (0.5 * (expected * expected)).eval();
    CHECK(host(X).isApprox(expected, 1e-13));
  }
  // What moves data, waits or throws leaves nothing behind.
  const Eigen::MatrixXd before = host(X);
  CHECK_THROWS_AS(graph.record([&] {
    axpby(be, 2, Y, 0, X);
    (void)host(X);
  }),
                  basin::device_error);
  CHECK_FALSE(graph.recorded());
  CHECK_THROWS_AS(graph.record([&] {
    axpby(be, 2, Y, 0, X);
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  CHECK(host(X) == before);
  axpby(be, 2, X, 0, Y);
  CHECK(host(Y) == 2 * before);
  graph.clear();
  CHECK_FALSE(graph.recorded());
}

TEST_CASE("products of maps in TensorFloat-32, where a context allows them", "[backend]") {
  using matrix = Eigen::MatrixXf;
  const basin::cpu<float> host(1);
  const basin::cuda<float> plain, rounding(basin::device_options{.tf32 = true});
  matrix A(40, 70), B(70, 30);
  fill_normal(host, {.seed = 1}, A);
  fill_normal(host, {.seed = 2}, B);
  const Eigen::MatrixXd exact = A.cast<double>() * B.cast<double>();
  // Two factors, each rounded by at most 2^-11.
  const Eigen::MatrixXd bound =
      (A.cwiseAbs().cast<double>() * B.cwiseAbs().cast<double>()) * (1.1 / 1024);
  const auto error_of = [&](const basin::cuda<float>& be, const auto& product) {
    auto b = be.make_matrix(70, 30), c = be.make_matrix(40, 30);
    upload(be, B, b);
    product(be, b, c);
    matrix C(40, 30);
    download(be, c, C);
    return Eigen::MatrixXd(C.cast<double>() - exact);
  };
  const auto by_gemm = [&](const auto& be, const auto& b, auto& c) {
    auto a = be.make_matrix(40, 70);
    upload(be, A, a);
    gemm(be, a, b, c);
  };
  const auto by_map = [&](const auto& be, const auto& b, auto& c) {
    const auto map = basin::affine(be, A, Eigen::VectorXf());
    basin::evaluate(be, map, b, c);
  };
  const double least = 1e-5;
  CHECK(error_of(plain, by_gemm).cwiseAbs().maxCoeff() < 4 * least);
  CHECK(error_of(plain, by_map).cwiseAbs().maxCoeff() < 4 * least);
  CHECK(error_of(rounding, by_gemm).cwiseAbs().maxCoeff() < 4 * least);  // it is no map
  const Eigen::MatrixXd error = error_of(rounding, by_map);
  CHECK((error.cwiseAbs().array() <= bound.array()).all());
  if (!basin::detail::on_gpu) {
    CHECK(error.cwiseAbs().maxCoeff() > 100 * least);
    CHECK(basin::detail::rounded_to_tf32(1 + 0x1p-11f) == 1 + 0x1p-10f);
    CHECK(basin::detail::rounded_to_tf32(1 + 0x1p-12f) == 1);
    CHECK(basin::detail::rounded_to_tf32(-3 - 0x1p-9f) == -3 - 0x1p-9f);
    CHECK(std::isnan(basin::detail::rounded_to_tf32(NAN)));
    CHECK(std::isinf(basin::detail::rounded_to_tf32(-INFINITY)));
  }
}

TEMPLATE_TEST_CASE("the device backend passes the suite", "[backend]", float, double) {
  conformance::every_primitive(basin::cuda<TestType>());
}
