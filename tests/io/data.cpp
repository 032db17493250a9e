// The data of the project, where there are some: the folder of the variable BASIN_DATA, or
// ../shared/data of the repository.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <basin/io/cifar.hpp>
#include <basin/io/idx.hpp>
#include <basin/io/npy.hpp>
#include <basin/io/safetensors.hpp>

#include "../catch.hpp"

namespace {

std::filesystem::path data() {
  if (const char* folder = std::getenv("BASIN_DATA")) return folder;
  return std::filesystem::path(__FILE__).parent_path() / "../../../shared/data";
}
bool there(const std::string& name) {
  if (std::filesystem::exists(data() / name)) return true;
  WARN("skipped: there is no " << name << " (BASIN_DATA says where the data are)");
  return false;
}

}  // namespace

TEST_CASE("MNIST reads right", "[io]") {
  if (!there("mnist")) return;
  basin::image_set images = basin::read_idx_images(data() / "mnist/t10k-images-idx3-ubyte.gz");
  images.labels = basin::read_idx_labels(data() / "mnist/t10k-labels-idx1-ubyte.gz");
  CHECK(images.count == 10'000);
  CHECK(images.size() == 28 * 28);
  CHECK(images.labels[0] == 7);  // the first test image is a seven
  const Eigen::MatrixXf X = basin::to_matrix<float>(images, 32, 32);
  CHECK(X.rows() == 1024);
  CHECK(X.cols() == 10'000);
  CHECK(X.minCoeff() == 0);
  CHECK(X.maxCoeff() == 1);
  // The mean of the test images before they are padded.
  CHECK(std::abs(X.mean() * 1024 / (28 * 28) - 0.1325f) < 1e-4f);
  CHECK(X.topRows(64).isZero());
}

TEST_CASE("CIFAR-10 reads right", "[io]") {
  if (!there("cifar10")) return;
  const basin::image_set images = basin::read_cifar(data() / "cifar10/cifar10_5000.bin.gz");
  CHECK(images.count == 5000);
  std::vector<int> counts(10);
  for (const auto label : images.labels) ++counts[label];
  CHECK(counts == std::vector<int>(10, 500));
}

TEST_CASE("the reference networks read right", "[io]") {
  for (const std::string name : {"table3_k2", "table3_k16"}) {
    if (!there("reference/" + name)) return;
    const auto folder = data() / "reference" / name;
    const basin::SafetensorsFile model(folder / "model.safetensors");
    CHECK(model.names().size() == 20);
    const basin::index_t k = name == "table3_k2" ? 2 : 16;
    CHECK(model.info("enc.9.bias").shape == std::vector<basin::index_t>{k});
    CHECK(basin::read_npy<float>(folder / "starts.npy").rows() == 2000);
    CHECK(basin::read_npy<float>(folder / "starts.npy").cols() == k);
    CHECK(basin::read_npy<double>(folder / "centers.npy").allFinite());
    for (const std::string& tensor : model.names()) {
      bool finite = true;
      for (const double x : model.read<double>(tensor)) finite = finite && std::isfinite(x);
      CHECK(finite);
    }
  }
}

TEST_CASE("the tiny autoencoder in half precision reads right", "[io]") {
  if (!there("taef2")) return;
  for (const char* name : {"taef2/taef2_encoder.safetensors", "taef2/taef2_decoder.safetensors"}) {
    const basin::SafetensorsFile model(data() / name);
    CHECK(model.names().size() > 20);
    for (const std::string& tensor : model.names()) {
      CHECK(model.info(tensor).type == basin::tensor_type::f16);
      float largest = 0;
      for (const float x : model.read<float>(tensor)) largest = std::max(largest, std::abs(x));
      CHECK(largest < 100);
    }
  }
}
