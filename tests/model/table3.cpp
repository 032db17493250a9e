#include <basin/model/table3.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include <basin/solver/fixed_point_solver.hpp>

#include "../catch.hpp"
#include "maps.hpp"

using basin::index_t;
using basin::table3_options;

TEST_CASE("Table 3 has PyTorch's names and shapes", "[model]") {
  for (const bool bias : {true, false}) {
    const table3_options options{.image = {3, 48, 32}, .width = 5, .latent = 7, .bias = bias};
    auto autoencoder = basin::table3<float>(options);
    CHECK(autoencoder.image_shape() == options.image);
    CHECK(autoencoder.latent_size() == 7);
    CHECK(autoencoder.decoder().output_shape() == options.image);
    const std::vector<std::pair<std::string, std::vector<index_t>>> expected{
        {"enc.0.weight", {5, 3, 3, 3}},   {"enc.0.bias", {5}},
        {"enc.2.weight", {10, 5, 3, 3}},  {"enc.2.bias", {10}},
        {"enc.4.weight", {20, 10, 3, 3}}, {"enc.4.bias", {20}},
        {"enc.6.weight", {40, 20, 3, 3}}, {"enc.6.bias", {40}},
        {"enc.9.weight", {7, 40 * 6}},    {"enc.9.bias", {7}},
        {"dec.0.weight", {40 * 6, 7}},    {"dec.0.bias", {40 * 6}},
        {"dec.3.weight", {40, 20, 3, 3}}, {"dec.3.bias", {20}},
        {"dec.5.weight", {20, 10, 3, 3}}, {"dec.5.bias", {10}},
        {"dec.7.weight", {10, 5, 3, 3}},  {"dec.7.bias", {5}},
        {"dec.9.weight", {5, 3, 3, 3}},   {"dec.9.bias", {3}}};
    const auto parameters = autoencoder.parameters();
    const auto planned = parameter_shapes(plan(options));
    std::size_t next = 0;
    for (const auto& [name, shape] : expected) {
      if (!bias && name.ends_with("bias")) continue;
      REQUIRE(next < parameters.size());
      CHECK(parameters[next].name == name);
      CHECK(parameters[next].shape == shape);
      CHECK(planned[next].name == name);
      CHECK(planned[next].shape == shape);
      ++next;
    }
    CHECK(parameters.size() == next);
    CHECK(planned.size() == next);
  }
}

TEST_CASE("Table 3 has the paper's number of parameters", "[model]") {
  const auto count = [](const table3_options& options) {
    return parameter_count(basin::table3<float>(options));
  };
  const index_t convolutions = 9 * (32 * 1 + 42 * 32 * 32);
  // d = 32, k = 128, 32 x 32: as PyTorch counts them.
  CHECK(count({.latent = 128, .bias = false}) == 2 * (convolutions + 1024 * 128));
  CHECK(count({.latent = 128}) ==
        2 * (convolutions + 1024 * 128) + (15 * 32 + 128) + (1024 + 7 * 32 + 1));
  CHECK(count({.image = {1, 16, 16}, .width = 1, .latent = 1}) ==
        2 * (9 * 43 + 8) + (15 + 1) + (8 + 7 + 1));
}

TEST_CASE("Table 3 refuses what it cannot be", "[model]") {
  const auto message = [](const table3_options& options) -> std::string {
    try {
      (void)basin::table3<float>(options);
    } catch (const basin::argument_error& e) {
      return e.what();
    }
    return "";
  };
  CHECK(message({.image = {1, 28, 28}}) ==
        "table3: the image is 1 x 28 x 28, height and width must be multiples of 16: pad it to "
        "32 x 32");
  CHECK_THAT(message({.image = {3, 32, 33}}), Catch::Contains("pad it to 32 x 48"));
  CHECK_THAT(message({.image = {1, 0, 16}}), Catch::Contains("1 x 0 x 16"));
  CHECK_THAT(message({.image = {0, 16, 16}}), Catch::Contains("0 x 16 x 16"));
  CHECK_THAT(message({.width = 0}), Catch::Contains("width is 0"));
  CHECK_THAT(message({.latent = -3}), Catch::Contains("latent is -3"));
  CHECK_THAT(message({.width = index_t{1} << 62}), Catch::Contains("width"));
  CHECK_THAT(message({.image = {1, 1 << 20, 1 << 20}, .width = index_t{1} << 40}),
             Catch::Contains("is not one of a tensor"));
  CHECK_THAT(message({.activation = basin::leaky_relu_function{.slope = -1}}),
             Catch::Contains("the slope must be finite and at least 0"));
  CHECK_THAT(message({.code_activation = basin::leaky_relu_function{.slope = -1}}),
             Catch::Contains("code_activation"));
  CHECK_THAT(message({.tied = true, .variational = true}), Catch::Contains("cannot be tied"));
  CHECK_THAT(message({.code_activation = basin::relu_function{}, .variational = true}),
             Catch::Contains("has no activation"));
}

TEST_CASE("Table 3 agrees with PyTorch", "[model]") {
  const auto check = [](const std::string& name) {
    const golden::Case one(name);
    const table3_options options{
        .image = {one.number("channels"), one.number("size"), one.number("size")},
        .width = one.number("d"),
        .latent = one.number("k")};
    maps::check_golden(basin::table3<double>(options), name, {});
    maps::check_golden(basin::table3<float>(options), name, {1e-5, 1e-5});
  };
  for (const std::string& name : golden::names("table3_")) check(name);
}

TEMPLATE_TEST_CASE("a state's answer does not depend on the batch or the threads", "[model]", float,
                   double) {
  using Scalar = TestType;
  const auto check = [](const auto& map) {
    const index_t count = 100;
    const auto X = maps::normal<Scalar>(map.dimension(), count, 1);
    const auto V = maps::normal<Scalar>(map.dimension(), count, 2);
    const auto U = maps::normal<Scalar>(map.output_dimension(), count, 3);
    const auto Y = maps::value(map, X);
    const auto JV = maps::jvp(map, X, V);
    const auto JtU = maps::vjp(map, X, U);
    REQUIRE(Y.allFinite());
    REQUIRE(JV.norm() > 0);
    for (const int threads : {1, 2, 4}) {
      const basin::cpu<Scalar> be(threads);
      for (const index_t n : {1, 3, 7, 16, 100}) {
        INFO(threads << " threads, " << n << " columns");
        bool values = true, tangents = true, cotangents = true;
        for (index_t first = 0; first < count; first += n) {
          const index_t some = std::min(n, count - first);
          const auto part = [&](const auto& all) { return all.middleCols(first, some).eval(); };
          values = values && maps::value(map, part(X), be) == part(Y);
          tangents = tangents && maps::jvp(map, part(X), part(V), be) == part(JV);
          cotangents = cotangents && maps::vjp(map, part(X), part(U), be) == part(JtU);
        }
        CHECK(values);
        CHECK(tangents);
        CHECK(cotangents);
      }
      // Every column at another place: 37 and 100 have no common factor.
      std::vector<index_t> order(count);
      for (index_t i = 0; i < count; ++i) order[static_cast<std::size_t>(i)] = 37 * i % count;
      const auto permuted = [&](const auto& all) { return all(Eigen::all, order).eval(); };
      CHECK(maps::value(map, permuted(X), be) == permuted(Y));
      CHECK(maps::jvp(map, permuted(X), permuted(V), be) == permuted(JV));
      CHECK(maps::vjp(map, permuted(X), permuted(U), be) == permuted(JtU));
    }
  };
  for (const basin::any_activation& activation : {basin::any_activation(basin::relu_function{}),
                                                  basin::any_activation(basin::silu_function{})}) {
    const auto autoencoder = maps::initialized(basin::table3<Scalar>(
        {.image = {2, 32, 16}, .width = 9, .latent = 5, .activation = activation}));
    check(autoencoder.latent_map());
    check(autoencoder.encoder_map());
    check(autoencoder.decoder_map());
  }
  check(maps::initialized(basin::table3<Scalar>({.image = {3, 16, 16}, .width = 3}))
            .reconstruction_map());
}

TEST_CASE("latent and reconstruction map in the solver", "[model]") {
  const auto autoencoder = maps::initialized(
      basin::table3<double>({.image = {1, 16, 16}, .width = 6, .latent = 3}), 1.8);
  const auto f = autoencoder.latent_map();
  const auto F = autoencoder.reconstruction_map();
  const basin::stopping rule{.residual = 1e-13};
  const auto starts = maps::normal<double>(3, 20, 1);

  basin::FixedPointSolver latent{f, basin::picard{}, rule};
  const auto codes = latent.solve(basin::cpu<double>(2), starts);
  CHECK(codes.count(basin::status::converged) == 20);
  CHECK((maps::value(f, codes.states) - codes.states).colwise().norm().maxCoeff() <= 1e-13);
  for (const int threads : {1, 4}) {
    const auto again = latent.solve(basin::cpu<double>(threads), starts.leftCols(7));
    CHECK(again.states == codes.states.leftCols(7));
    CHECK(std::equal(again.iterations.begin(), again.iterations.end(), codes.iterations.begin()));
  }

  // F∘D = D∘f, so that images of codes run along the images of the codes' orbits.
  const auto D = autoencoder.decoder_map();
  basin::FixedPointSolver reconstruction{F, basin::picard{}, rule};
  const auto images = reconstruction.solve(basin::cpu<double>(2), maps::value(D, starts));
  CHECK(images.count(basin::status::converged) == 20);
  CHECK((images.states - maps::value(D, codes.states)).norm() <= 1e-10 * images.states.norm());

  // J_f and J_F share their nonzero eigenvalues at a fixed point, hence traces of powers.
  const Eigen::MatrixXd z = codes.states.col(0);
  const Eigen::MatrixXd small = maps::jacobian(f, z);
  const Eigen::MatrixXd large = maps::jacobian(F, maps::value(D, z));
  CHECK(small.norm() > 1e-3);
  CHECK(large.trace() == Approx(small.trace()).epsilon(1e-9));
  CHECK((large * large).trace() == Approx((small * small).trace()).epsilon(1e-9));
}

TEST_CASE("without biases the latent map is homogeneous", "[model]") {
  for (const basin::any_activation& activation :
       {basin::any_activation(basin::relu_function{}),
        basin::any_activation(basin::leaky_relu_function{.slope = 0.1})}) {
    auto autoencoder = maps::initialized(basin::table3<double>(
        {.image = {1, 32, 32}, .width = 4, .latent = 3, .activation = activation, .bias = false}));
    const auto Z = maps::normal<double>(3, 12, 1);
    auto f = autoencoder.latent_map();
    const auto Y = maps::value(f, Z);
    CHECK(maps::value(f, (4 * Z).eval()) == 4 * Y);
    CHECK(golden::difference(maps::value(f, (0.3 * Z).eval()), (0.3 * Y).eval()) <= 1e-14);
    CHECK(golden::difference(maps::jvp(f, Z, Z), Y) <= 1e-13);  // Euler's theorem

    // Some direction f keeps, f(z) = c z: the last weights over c make z a fixed point.
    Eigen::MatrixXd z = Z.leftCols(1);
    double c = 0;
    for (int i = 0; i < 200; ++i) {
      z.normalize();
      const Eigen::MatrixXd next = maps::value(f, z);
      c = next.norm();
      REQUIRE(c > 0);
      z += next / c;
    }
    z.normalize();
    REQUIRE((maps::value(f, z) - c * z).norm() <= 1e-12 * c);
    for (auto& one : autoencoder.parameters()) {
      if (one.name != "enc.9.weight") continue;
      for (index_t i = 0; i < one.values.size; ++i) one.values[i] /= c;
    }
    autoencoder.parameters_changed();
    f = autoencoder.latent_map();
    CHECK((maps::value(f, z) - z).norm() <= 1e-12);
    CHECK((maps::jvp(f, z, z) - z).norm() <= 1e-12);
    CHECK((maps::value(f, (7 * z).eval()) - 7 * z).norm() <= 1e-11);
  }
}

TEST_CASE("Table 3 with an activation of the code", "[model]") {
  const auto plain = maps::initialized(basin::table3<double>({.image = {1, 16, 16}, .width = 2}));
  const auto positive = maps::initialized(basin::table3<double>(
      {.image = {1, 16, 16}, .width = 2, .code_activation = basin::sigmoid_function{}}));
  CHECK(positive.encoder().layer_name(positive.encoder().depth() - 1) == "10");
  const auto X = maps::normal<double>(256, 5, 1);
  const Eigen::ArrayXXd codes = maps::value(plain.encoder_map(), X).array();
  CHECK(golden::difference(maps::value(positive.encoder_map(), X),
                           (1 / (1 + (-codes).exp())).matrix().eval()) <= 1e-15);
}

TEST_CASE("the maps of a variational Table 3 take the means", "[model]") {
  const table3_options options{.image = {1, 32, 16}, .width = 3, .latent = 4, .variational = true};
  auto autoencoder = maps::initialized(basin::table3<double>(options));
  CHECK(autoencoder.latent_size() == 4);
  CHECK(autoencoder.encoder().output_shape() == basin::tensor_shape{8, 1, 1});
  std::size_t i = 0;
  for (const auto& planned : parameter_shapes(plan(options))) {
    CHECK(autoencoder.parameters()[i].name == planned.name);
    CHECK(autoencoder.parameters()[i++].shape == planned.shape);
  }
  CHECK(i == autoencoder.parameters().size());

  // A plain one with the rows of the means alone.
  auto means = basin::table3<double>({.image = {1, 32, 16}, .width = 3, .latent = 4});
  for (std::size_t p = 0; p < means.parameters().size(); ++p) {
    const auto from = autoencoder.parameters()[p];
    const auto to = means.parameters()[p];
    REQUIRE(from.values.size >= to.values.size);  // row-major, the means first
    std::copy_n(from.values.data, to.values.size, to.values.data);
  }
  means.parameters_changed();
  const auto Z = maps::normal<double>(4, 7, 1);
  const auto U = maps::normal<double>(4, 7, 2);
  const auto f = autoencoder.latent_map();
  CHECK(maps::value(f, Z) == maps::value(means.latent_map(), Z));
  CHECK(maps::jvp(f, Z, U) == maps::jvp(means.latent_map(), Z, U));
  CHECK(golden::difference(maps::vjp(f, Z, U), maps::vjp(means.latent_map(), Z, U)) <= 1e-14);
  const auto X = maps::normal<double>(512, 3, 3);
  CHECK(maps::value(autoencoder.reconstruction_map(), X) ==
        maps::value(means.reconstruction_map(), X));
}

TEST_CASE("tied weights of Table 3 are PyTorch's memory of the encoder", "[model]") {
  auto autoencoder = maps::initialized(
      basin::table3<double>({.image = {2, 16, 32}, .width = 3, .latent = 5, .tied = true}));
  const auto parameters = autoencoder.parameters();
  const auto values = [&](const std::string& name) {
    for (const auto& one : parameters) {
      if (one.name == name) {
        return std::vector<double>(one.values.data, one.values.data + one.values.size);
      }
    }
    FAIL("no " << name);
    return std::vector<double>();
  };
  CHECK(values("dec.3.weight") == values("enc.6.weight"));
  CHECK(values("dec.5.weight") == values("enc.4.weight"));
  CHECK(values("dec.7.weight") == values("enc.2.weight"));
  CHECK(values("dec.9.weight") == values("enc.0.weight"));
  const auto last = values("enc.9.weight");
  const auto first = values("dec.0.weight");
  const Eigen::Map<const Eigen::MatrixXd> A(last.data(), 48, 5);
  const Eigen::Map<const Eigen::MatrixXd> B(first.data(), 5, 48);
  CHECK(A == B.transpose());

  // Without biases the decoder of identity activations is the encoder's transpose.
  const auto linear =
      maps::initialized(basin::table3<double>({.image = {2, 16, 32},
                                               .width = 3,
                                               .latent = 5,
                                               .activation = basin::identity_function{},
                                               .bias = false,
                                               .tied = true}));
  const Eigen::MatrixXd zero = Eigen::MatrixXd::Zero(1024, 1);
  const Eigen::MatrixXd E = maps::jacobian(linear.encoder_map(), zero);
  const Eigen::MatrixXd D = maps::jacobian(linear.decoder_map(), zero.topRows(5).eval());
  CHECK(golden::difference(D, E.transpose().eval()) <= 1e-14);
}
