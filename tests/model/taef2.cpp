// TAEF2 against PyTorch's numbers (tests/golden/model/make.py), where the model's files are.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <basin/io/safetensors.hpp>
#include <basin/map/concept.hpp>
#include <basin/model/taef2.hpp>
#include <basin/spectral/wandering.hpp>

#include "../catch.hpp"
#include "../io/files.hpp"

using basin::index_t;

namespace {

std::filesystem::path folder() {
  if (const char* data = std::getenv("BASIN_DATA")) return std::filesystem::path(data) / "taef2";
  return std::filesystem::path(__FILE__).parent_path() / "../../../shared/data/taef2";
}
bool there() {
  if (std::filesystem::exists(folder())) return true;
  WARN("skipped: there is no " << folder() << " (BASIN_DATA says where the data are)");
  return false;
}
template <class Scalar>
basin::Autoencoder<Scalar> load(basin::extent image) {
  return basin::load_taef2<Scalar>(folder() / "taef2_encoder.safetensors",
                                   folder() / "taef2_decoder.safetensors", image);
}

Eigen::VectorXd golden(const std::string& name) {
  const std::filesystem::path here = std::filesystem::path(__FILE__).parent_path();
  const basin::SafetensorsFile file(here / "../golden/model/taef2.safetensors");
  const std::vector<double> values = file.read<double>(name);
  return Eigen::Map<const Eigen::VectorXd>(values.data(), static_cast<index_t>(values.size()));
}

template <class Scalar>
void compare(double tolerance) {
  const auto model = load<Scalar>({16, 24});
  CHECK(model.image_shape() == basin::tensor_shape{3, 16, 24});
  REQUIRE(model.latent_size() == 32 * 2 * 3);
  CHECK_FALSE(model.variational());
  const basin::cpu<Scalar> be(1);
  const Eigen::MatrixX<Scalar> z = golden("z").cast<Scalar>(), v = golden("v").cast<Scalar>();
  Eigen::MatrixX<Scalar> image(3 * 16 * 24, 1), f(z.rows(), 1), tangent(z.rows(), 1);
  auto decoder = model.decoder_map();
  auto map = model.latent_map();
  basin::evaluate(be, decoder, z, image);
  basin::evaluate(be, map, z, f);
  map.jvp(be, z, v, tangent);
  const auto apart = [](const Eigen::MatrixX<Scalar>& x, const Eigen::VectorXd& y) {
    return (x.template cast<double>() - y).norm() / y.norm();
  };
  CHECK(apart(image, golden("image")) < tolerance);
  CHECK(apart(f, golden("f")) < tolerance);
  CHECK(apart(tangent, golden("tangent")) < tolerance);
}

}  // namespace

TEST_CASE("TAEF2 as PyTorch computes it", "[model]") {
  if (!there()) return;
  if (!slow_build) compare<double>(1e-12);
  compare<float>(1e-4);
}

TEST_CASE("what is no TAEF2 is refused", "[model]") {
  const std::string path = files::temporary("taef2.safetensors");
  const float x = 1;
  basin::write_safetensors(path, {{"0.weight", {1}, &x}});
  CHECK_THROWS_WITH(basin::load_taef2<float>(path, path, 8),
                    Catch::Contains("tensor '0.weight': the shape is [1], expected [64, 3, 3, 3]"));
  for (const basin::extent image : {basin::extent(0), {8, 12}, {-8, 8}, {12, 8}}) {
    CHECK_THROWS_AS(basin::load_taef2<float>(path, path, image), basin::argument_error);
  }
  std::filesystem::remove(path);
  if (!there()) return;
  const auto encoder = folder() / "taef2_encoder.safetensors";
  CHECK_THROWS_WITH(basin::load_taef2<float>(encoder, encoder, 8),
                    Catch::Contains("tensor '1.weight': not in the file"));
}

TEST_CASE("the soft clamp and its derivatives", "[model]") {
  const basin::soft_clamp_function f;
  for (const double x : {-7.0, -0.5, 0.0, 1.0, 4.0}) {
    const double h = 1e-5, y = f(x);
    CHECK(y == Approx(3 * std::tanh(x / 3)).margin(1e-15));
    CHECK(f.derivative(x, y) == Approx((f(x + h) - f(x - h)) / (2 * h)).margin(1e-9));
    CHECK(f.second_derivative(x, y) ==
          Approx((f.derivative(x + h, f(x + h)) - f.derivative(x - h, f(x - h))) / (2 * h))
              .margin(1e-9));
  }
}

// Some minutes: k = 512, and an iteration passes an image of 32 x 32 through both halves.
TEST_CASE("codes of TAEF2 wander, and how", "[.][full]") {
  if (!there()) return;
  auto model = load<float>({32, 32});
  auto map = model.latent_map();
  const basin::cpu<float> be;
  Eigen::MatrixXf codes(model.latent_size(), 3);
  basin::fill_normal(be, {.seed = 1, .stream = 0}, basin::columns(be, codes, 0, 3));
  const auto found =
      basin::wandering(be, map, codes.cast<double>(),
                       {.exponents = {.transient = 500, .steps = 500}, .max_period = 200});
  int chaotic = 0;
  for (const auto& w : found) {
    WARN(to_string(w.kind) << ", leading exponent " << w.exponents.values[0] << " +- "
                           << w.exponents.errors[0] << ", resolution " << w.resolution
                           << ", diameter " << w.diameter << ", period " << w.period);
    CHECK(w.exponents.finite);
    CHECK(w.period == 0);
    chaotic += w.kind == basin::wandering_kind::chaos;
  }
  CHECK(chaotic >= 1);
}
