// Opens a file as an atlas, and makes its report if it is one. Its seeds are atlases of two small
// maps, which the target writes into the folder FUZZ_SEEDS.
#include <basin/attractor/atlas_check.hpp>
#include <basin/attractor/atlas_file.hpp>

#include <string>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* const folder = std::getenv("FUZZ_SEEDS");
  if (folder == nullptr) return 0;
  basin::Atlas atlas;
  atlas.k = 2;
  atlas.model = "made";
  atlas.unseen.confidence = 0.95;
  basin::save_atlas(atlas, std::string(folder) + "/empty");
  atlas.image_shape = {1, 1, 3};
  atlas.attractors.resize(2);
  for (basin::index_t a = 0; a < 2; ++a) {
    basin::Attractor& one = atlas.attractors[static_cast<std::size_t>(a)];
    one.kind = a == 0 ? basin::attractor_kind::point : basin::attractor_kind::cycle;
    one.period = a + 1;
    one.center = Eigen::MatrixXd::Constant(2, one.period, 0.5);
    one.spectrum.values = Eigen::VectorXcd::Constant(1, {0.5, 0.25});
    one.spectrum.backward_error = one.spectrum.condition = Eigen::VectorXd::Ones(1);
    if (a == 0) one.spectrum.right = one.spectrum.left = Eigen::MatrixXcd::Ones(2, 1);
    one.image = Eigen::VectorXd::Ones(3);
  }
  atlas.starts = 6;
  atlas.unseen.starts = 5;
  atlas.unseen.seen = 2;
  atlas.unseen.once = 1;
  atlas.sources.push_back(
      {.name = "normal", .starts = 5, .undecided = 1, .counts = {3, 1}, .alone = 2});
  basin::save_atlas(atlas, std::string(folder) + "/two");
  return 0;
}

void fuzz(std::span<const unsigned char> bytes) {
  const basin::Atlas atlas = basin::load_atlas(basin::ByteSource(bytes, "input"));
  basin::check(atlas);
  // Sizes come from arrays that are in the file.
  double numbers = 0;
  for (const basin::Attractor& one : atlas.attractors) {
    expect(one.center.rows() == atlas.k);
    numbers += static_cast<double>(one.center.size() + one.image.size() + one.spectrum.size() +
                                   one.spectrum.right.size() + one.spectrum.left.size());
  }
  expect(8 * numbers <= static_cast<double>(bytes.size()) + 16 * 1024);
  for (basin::index_t a = 0; a < atlas.size(); ++a) (void)atlas.share(a);
  (void)basin::detail::atlas_report(atlas).dump();
}
