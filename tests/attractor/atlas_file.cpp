// Files of atlases: what goes in comes out, and what is damaged is refused.
#include <cmath>
#include <complex>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <basin/attractor/atlas_file.hpp>

#include "../catch.hpp"
#include "../io/files.hpp"
#include "../solver/maps.hpp"

using basin::index_t;

namespace {

// An atlas with something of every kind in it, and numbers that are none.
basin::Atlas example() {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double inf = std::numeric_limits<double>::infinity();
  basin::Atlas atlas;
  atlas.k = 3;
  atlas.model = "a \"model\" of ünicode\n";
  atlas.rule = "automatic, residual 1e-6";
  atlas.seed = 0xffffffffffffffffull;
  atlas.starts = 1000;
  atlas.evaluations = 123456789;
  atlas.beside = 1;
  atlas.ended = basin::discovery_end::evaluations;
  atlas.image_shape = {1, 2, 2};
  atlas.metadata = {{"", "empty"}, {"notes", "none"}};
  atlas.attractors.resize(3);
  auto& point = atlas.attractors[0];
  point.center = maps::starts(3, 1);
  point.stability = basin::stability_kind::saddle;
  point.flow_stability = basin::stability_kind::marginal;
  point.unstable = 2;
  point.rate = 0.1;
  point.residual = 5e-324;
  point.error = inf;
  point.spread = -0.0;
  point.spectrum.values = Eigen::Vector2cd(std::complex(0.5, 0.25), std::complex(nan, -inf));
  point.spectrum.backward_error = Eigen::Vector2d(1e-16, nan);
  point.spectrum.condition = Eigen::Vector2d(inf, 1);
  point.spectrum.right = Eigen::MatrixXcd::Random(3, 2);
  point.spectrum.left = Eigen::MatrixXcd::Random(3, 2);
  point.spectrum.status = basin::spectral_status::ill_conditioned;
  point.spectrum.dense = true;
  point.spectrum.products = 17;
  auto& cycle = atlas.attractors[1];
  cycle.kind = basin::attractor_kind::cycle;
  cycle.period = 2;
  cycle.center = maps::starts(3, 2, 8);
  cycle.spectrum.values = Eigen::VectorXcd::Constant(1, 0.5);
  cycle.spectrum.backward_error = cycle.spectrum.condition = Eigen::VectorXd::Ones(1);
  auto& continuum = atlas.attractors[2];
  continuum.kind = basin::attractor_kind::continuum;
  continuum.center = maps::starts(3, 5, 9);
  for (auto& one : atlas.attractors) one.image = Eigen::VectorXd::Random(4);
  atlas.sources = {{"normal 1", 500, 2, {400, 100, 0}, 1, {0.1, 0, 0.2}},
                   {"codes", 498, 0, {1, 2, 3}, 0, {nan, -inf, inf}}};
  atlas.unseen = {998, 3, 0, {0.25, 0, 1}, {0, 0, inf}, 9, {1, 2, 3}, 0.9};
  return atlas;
}

std::string saved(const basin::Atlas& atlas, const std::string& name) {
  const std::string path = files::temporary(name);
  basin::save_atlas(atlas, path);
  return path;
}

template <class X>
void require_bits(const X& a, const X& b) {
  REQUIRE(a.rows() == b.rows());
  REQUIRE(a.cols() == b.cols());
  REQUIRE((a.size() == 0 ||
           std::memcmp(a.data(), b.data(),
                       static_cast<std::size_t>(a.size()) * sizeof(typename X::Scalar)) == 0));
}
void require_bits(double a, double b) { REQUIRE(std::memcmp(&a, &b, sizeof a) == 0); }
void require_bits(const basin::interval_estimate& a, const basin::interval_estimate& b) {
  require_bits(a.value, b.value);
  require_bits(a.lower, b.lower);
  require_bits(a.upper, b.upper);
}

void require_same(const basin::Atlas& a, const basin::Atlas& b) {
  REQUIRE(a.k == b.k);
  REQUIRE(a.model == b.model);
  REQUIRE(a.rule == b.rule);
  REQUIRE(a.seed == b.seed);
  REQUIRE(a.starts == b.starts);
  REQUIRE(a.evaluations == b.evaluations);
  REQUIRE(a.beside == b.beside);
  REQUIRE(a.ended == b.ended);
  REQUIRE(a.image_shape == b.image_shape);
  REQUIRE(a.metadata == b.metadata);
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.attractors.size(); ++i) {
    const auto &x = a.attractors[i], &y = b.attractors[i];
    REQUIRE(x.kind == y.kind);
    REQUIRE(x.period == y.period);
    REQUIRE(x.stability == y.stability);
    REQUIRE(x.flow_stability == y.flow_stability);
    REQUIRE(x.unstable == y.unstable);
    REQUIRE(x.spectrum.status == y.spectrum.status);
    REQUIRE(x.spectrum.dense == y.spectrum.dense);
    REQUIRE(x.spectrum.products == y.spectrum.products);
    require_bits(x.center, y.center);
    require_bits(x.spectrum.values, y.spectrum.values);
    require_bits(x.spectrum.backward_error, y.spectrum.backward_error);
    require_bits(x.spectrum.condition, y.spectrum.condition);
    require_bits(x.spectrum.right, y.spectrum.right);
    require_bits(x.spectrum.left, y.spectrum.left);
    require_bits(x.image, y.image);
    for (const auto of : {&basin::Attractor::rate, &basin::Attractor::residual,
                          &basin::Attractor::error, &basin::Attractor::spread}) {
      require_bits(x.*of, y.*of);
    }
  }
  REQUIRE(a.sources.size() == b.sources.size());
  for (std::size_t s = 0; s < a.sources.size(); ++s) {
    REQUIRE(a.sources[s].name == b.sources[s].name);
    REQUIRE(a.sources[s].starts == b.sources[s].starts);
    REQUIRE(a.sources[s].undecided == b.sources[s].undecided);
    REQUIRE(a.sources[s].counts == b.sources[s].counts);
    REQUIRE(a.sources[s].alone == b.sources[s].alone);
    require_bits(a.sources[s].unseen_mass, b.sources[s].unseen_mass);
  }
  REQUIRE(a.unseen.starts == b.unseen.starts);
  REQUIRE(a.unseen.seen == b.unseen.seen);
  REQUIRE(a.unseen.once == b.unseen.once);
  require_bits(a.unseen.mass, b.unseen.mass);
  require_bits(a.unseen.remaining, b.unseen.remaining);
  require_bits(a.unseen.next, b.unseen.next);
  REQUIRE(a.unseen.times == b.unseen.times);
  REQUIRE(a.unseen.confidence == b.unseen.confidence);
}

// The message of the refusal.
std::string refusal(const std::string& bytes) {
  try {
    (void)basin::load_atlas(files::source(bytes));
  } catch (const basin::file_error& e) {
    return e.what();
  }
  return "accepted";
}

// The file with its JSON changed.
std::string changed(const std::string& bytes, const std::string& from, const std::string& to) {
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  auto header = nlohmann::json::parse(bytes.substr(8, length));
  std::string text = header["__metadata__"]["atlas"];
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
  header["__metadata__"]["atlas"] = text;
  const std::string again = header.dump();
  const std::uint64_t size = again.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + again + bytes.substr(8 + length);
}

}  // namespace

TEST_CASE("an atlas comes back to the bit", "[attractor]") {
  const auto atlas = example();
  const std::string path = saved(atlas, "atlas");
  require_same(basin::load_atlas(path + ".safetensors"), atlas);
  // Any ending means the same file, and the content the same bytes.
  const std::string bytes = files::bytes_of(path + ".safetensors");
  basin::save_atlas(atlas, path + ".json");
  CHECK(files::bytes_of(path + ".safetensors") == bytes);
  require_same(basin::load_atlas(files::source(bytes)), atlas);

  basin::Atlas bare;
  basin::save_atlas(bare, path);
  require_same(basin::load_atlas(path + ".safetensors"), bare);
  std::filesystem::remove(path + ".safetensors");
  std::filesystem::remove(path + ".json");
}

TEST_CASE("the text beside it is for people", "[attractor]") {
  const std::string path = saved(example(), "atlas-text");
  const auto text = nlohmann::json::parse(files::bytes_of(path + ".json"));
  CHECK(text["attractors"].size() == 3);
  CHECK(text["attractors"][0]["stability"] == "saddle");
  CHECK(text["attractors"][0]["error"].is_null());  // infinite
  CHECK(text["attractors"][0]["rate"] == 0.1);
  CHECK(text["attractors"][1]["center"].size() == 2);
  CHECK(text["attractors"][1]["share"]["value"].get<double>() == Approx(102.0 / 998));
  CHECK(text["sources"][1]["counts"][2] == 3);
  CHECK(text["unseen"]["confidence"] == 0.9);
  CHECK(text["ended"] == "evaluations");
  std::filesystem::remove(path + ".safetensors");
  std::filesystem::remove(path + ".json");
}

TEST_CASE("damaged atlases are refused with the place and the reason", "[attractor]") {
  const std::string path = saved(example(), "atlas-damaged");
  const std::string bytes = files::bytes_of(path + ".safetensors");
  REQUIRE(refusal(bytes) == "accepted");
  const auto refuses = [&](const std::string& damaged, const std::string& reason) {
    INFO(reason);
    const std::string message = refusal(damaged);
    CHECK_THAT(message, Catch::Contains(reason));
    CHECK_THAT(message, Catch::Contains("byte "));
  };
  refuses(bytes.substr(0, bytes.size() - 1), "data_offsets");
  refuses(changed(bytes, "basin atlas", "other atlas"), "'atlas' has another format");
  refuses(changed(bytes, "\"version\":1", "\"version\":2"), "is of version 2, expected 1");
  refuses(changed(bytes, "{\"attractors\"", "[\"attractors\""), "'atlas' is not JSON");
  refuses(changed(bytes, "\"k\":3", "\"k\":4"), "the shape is [8, 3], expected [8, 4]");
  refuses(changed(bytes, "\"k\":3", "\"k\":-3"), "'k' that is no whole number");
  refuses(changed(bytes, "\"k\":3", "\"k\":1e3"), "'k' that is no whole number");
  refuses(changed(bytes, "\"k\":3", "\"k\":18446744073709551615"), "'k' that is no whole number");
  refuses(changed(bytes, "\"points\":5", "\"points\":9007199254740992"), "more points");
  refuses(changed(bytes, "\"points\":5", "\"points\":900719925474099"), "the shape is");
  refuses(changed(bytes, "\"points\":2", "\"points\":3"), "3 points and the period 2");
  refuses(changed(bytes, "\"eigenvalues\":2", "\"eigenvalues\":3"), "eigenvalues");
  refuses(changed(bytes, "\"stability\":\"saddle\"", "\"stability\":\"sad\""),
          "'atlas.attractors[0]' has an unknown 'stability': sad");
  refuses(changed(bytes, "\"right\":true", "\"right\":false"), "tensor 'right'");
  refuses(changed(bytes, "\"right\":true", "\"right\":1"), "no truth value");
  refuses(changed(bytes, "\"starts\":500", "\"starts\":399"), "the count 400 of 399 starts");
  refuses(changed(bytes, "\"name\":\"codes\"", "\"name\":5"), "'atlas.sources[1]' has 'name'");
  refuses(changed(bytes, "\"unseen\":{", "\"unheard\":{"), "has no 'unseen'");
  refuses(changed(bytes, "\"image_shape\":[1,", "\"image_shape\":[0,"), "image_shape");
  refuses(changed(bytes, "\"notes\":\"none\"", "\"notes\":7"), "is no text");
  std::filesystem::remove(path + ".safetensors");
  std::filesystem::remove(path + ".json");
  CHECK_THROWS_AS(basin::load_atlas(path + ".safetensors"), basin::file_error);
}

TEST_CASE("no single byte that is changed does more than be refused or be read", "[attractor]") {
  const std::string path = saved(example(), "atlas-bytes");
  const std::string bytes = files::bytes_of(path + ".safetensors");
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 8));
    (void)refusal(damaged);  // an exception of another kind would end the test
  }
  for (std::size_t length = 0; length < bytes.size(); length += 7) {
    CHECK(refusal(bytes.substr(0, length)) != "accepted");
  }
  std::filesystem::remove(path + ".safetensors");
  std::filesystem::remove(path + ".json");
}

TEST_CASE("an atlas that does not fit together is not written", "[attractor]") {
  const std::string path = files::temporary("atlas-wrong");
  auto atlas = example();
  atlas.sources[0].counts.pop_back();
  CHECK_THROWS_AS(basin::save_atlas(atlas, path), basin::size_error);
  atlas = example();
  atlas.attractors[1].image.resize(3);
  CHECK_THROWS_AS(basin::save_atlas(atlas, path), basin::size_error);
  atlas = example();
  atlas.attractors[0].spectrum.condition.resize(1);
  CHECK_THROWS_AS(basin::save_atlas(atlas, path), basin::size_error);
  atlas = example();
  atlas.model = "\xff";
  CHECK_THROWS_AS(basin::save_atlas(atlas, path), basin::argument_error);
  CHECK(!std::filesystem::exists(path + ".safetensors"));
  CHECK(!std::filesystem::exists(path + ".json"));
}

TEST_CASE("a dot in the name of an atlas belongs to the name", "[attractor]") {
  const auto folder = std::filesystem::temp_directory_path() / "basin-atlas-names";
  std::filesystem::create_directories(folder);
  basin::Atlas a = example(), b = example();
  a.model = "a";
  b.model = "b";
  basin::save_atlas(a, folder / "run-0.5");
  basin::save_atlas(b, folder / "run-0.6.json");
  CHECK(basin::load_atlas(folder / "run-0.5.safetensors").model == "a");
  CHECK(basin::load_atlas(folder / "run-0.6.safetensors").model == "b");
  std::filesystem::remove_all(folder);
}
