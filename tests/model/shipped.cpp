// The models under examples/models.
#include <filesystem>
#include <string>

#include <basin/backend/cpu.hpp>
#include <basin/model/model_file.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "../catch.hpp"

TEST_CASE("shipped models load and have attractors", "[model]") {
  const auto folder = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path() /
                      "examples" / "models";
  std::uintmax_t bytes = 0;
  for (const basin::index_t k : {2, 16}) {
    const auto path = folder / ("mnist_k" + std::to_string(k) + ".safetensors");
    bytes += std::filesystem::file_size(path);
    const auto model = basin::load_model<float>(path.string());
    REQUIRE(std::holds_alternative<basin::table3_options>(model.description));
    CHECK(std::get<basin::table3_options>(model.description).width == 12);
    CHECK(model.autoencoder.latent_size() == k);
    CHECK(model.autoencoder.image_shape() == basin::tensor_shape{1, 32, 32});
    CHECK(model.metadata.at("data") == "MNIST test images, the first 9,000");
    CHECK(std::stod(model.metadata.at("test_error")) < (k == 2 ? 0.04 : 0.015));

    const basin::cpu<float> be(2);
    Eigen::MatrixXf starts(k, 64);
    fill_normal(be, {.seed = 3}, starts);
    basin::FixedPointSolver solver{model.autoencoder.latent_map(), basin::picard{},
                                   basin::paper_small()};
    const auto found = solver.solve(be, starts);
    CHECK(found.count(basin::status::converged) >= 60);
  }
  CHECK(bytes < 1'500'000);
}
