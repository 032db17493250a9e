// Opens a file as a model, and evaluates it if it is one. Its seeds are small models of every
// architecture, which the target writes into the folder FUZZ_SEEDS.
#include <basin/model/model_file.hpp>

#include <string>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* const folder = std::getenv("FUZZ_SEEDS");
  if (folder == nullptr) return 0;
  const auto write = [&](const std::string& name, const auto& options) {
    auto made = basin::make_model<float>(options);
    made.autoencoder.initialize(1);
    basin::save_model(std::string(folder) + "/" + name + ".safetensors", made);
  };
  write("table3", basin::table3_options{.image = {1, 16, 16}, .width = 1, .latent = 2});
  write("tied", basin::table3_options{.image = {1, 16, 16}, .width = 1, .latent = 2, .tied = true});
  write("variational",
        basin::table3_options{.image = {1, 16, 16}, .width = 1, .latent = 1, .variational = true});
  write("fully_connected",
        basin::fully_connected_options{.image = {1, 2, 2}, .hidden = {3}, .latent = 2});
  write("linear", basin::linear_options{.image = {1, 2, 2}, .latent = 2});
  return 0;
}

void fuzz(std::span<const unsigned char> bytes) {
  auto read = basin::load_model<float>(basin::ByteSource(bytes, "input"));
  const basin::cpu<float> be(1);
  auto f = read.autoencoder.latent_map();
  // Sizes come from tensors that are in the file.
  expect(f.dimension() >= 1 && f.dimension() <= static_cast<basin::index_t>(bytes.size()));
  const Eigen::MatrixXf z = Eigen::MatrixXf::Zero(f.dimension(), 1);
  Eigen::MatrixXf y = z;
  basin::evaluate(be, f, z, y);
}
