// Files of atlases: what goes in comes out, and what is damaged is refused.
#include <cmath>
#include <complex>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <basin/attractor/atlas_check.hpp>
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
  atlas.sources = {{"normal 1", 500, 2, {400, 0, 0}, 0, {0.1, 0, 0.2}},
                   {"codes", 498, 0, {98, 1, 0}, 1, {0.25, -0.0, 1}}};
  atlas.unseen = {998, 2, 1, {0.25, 0, 1}, {0, 0, inf}, 9, {2, 1, 3}, 0.9};
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

// Where the header ends.
std::size_t data_of(const std::string& bytes) {
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  return 8 + static_cast<std::size_t>(length);
}
// Where the numbers of an array begin.
std::size_t place_of(const std::string& bytes, const std::string& array) {
  const basin::SafetensorsFile file(files::source(bytes));
  return data_of(bytes) + file.info(array).begin;
}
nlohmann::json text_of(const std::string& bytes) {
  const basin::SafetensorsFile file(files::source(bytes));
  return nlohmann::json::parse(file.metadata().at("atlas"));
}

// The file with another number in an array.
template <class Number>
std::string altered(std::string bytes, const std::string& array, std::size_t i, Number number) {
  std::memcpy(bytes.data() + place_of(bytes, array) + i * sizeof number, &number, sizeof number);
  return bytes;
}

// The file with its JSON changed.
std::string changed(const std::string& bytes, const std::string& from, const std::string& to) {
  const std::size_t data = data_of(bytes);
  auto header = nlohmann::json::parse(bytes.substr(8, data - 8));
  std::string text = header["__metadata__"]["atlas"];
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
  header["__metadata__"]["atlas"] = text;
  const std::string again = header.dump();
  const std::uint64_t size = again.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + again + bytes.substr(data);
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
  CHECK(text["attractors"][1]["share"]["value"].get<double>() == Approx(1.0 / 998));
  CHECK(text["sources"][1]["counts"][0] == 98);
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
  refuses(changed(bytes, "\"points\":2", "\"points\":3"), "the shape is [8, 3], expected [9, 3]");
  refuses(changed(bytes, "\"eigenvalues\":2", "\"eigenvalues\":3"), "eigenvalues");
  refuses(changed(bytes, "\"stability\":\"saddle\"", "\"stability\":\"sad\""),
          "'atlas.attractors[0]' has an unknown 'stability': sad");
  refuses(changed(bytes, "\"right\":true", "\"right\":false"), "tensor 'right'");
  refuses(changed(bytes, "\"right\":true", "\"right\":1"), "no truth value");
  refuses(changed(bytes, "\"name\":\"codes\"", "\"name\":5"), "'atlas.sources[1]' has 'name'");
  refuses(changed(bytes, "\"unseen\":{", "\"unheard\":{"), "has no 'unseen'");
  refuses(changed(bytes, "\"image_shape\":[1,", "\"image_shape\":[0.5,"), "image_shape");
  refuses(changed(bytes, "\"notes\":\"none\"", "\"notes\":7"), "is no text");
  std::filesystem::remove(path + ".safetensors");
  std::filesystem::remove(path + ".json");
  CHECK_THROWS_AS(basin::load_atlas(path + ".safetensors"), basin::file_error);
}

TEST_CASE("what an atlas says twice must agree, in a file too", "[attractor]") {
  const std::string path = saved(example(), "atlas-twice");
  const std::string bytes = files::bytes_of(path + ".safetensors");
  const auto refuses = [&](const std::string& from, const std::string& to,
                           const std::string& reason) {
    INFO(from << " -> " << to);
    CHECK_THAT(refusal(changed(bytes, from, to)),
               Catch::Contains("byte 8: __metadata__: 'atlas' ") && Catch::Contains(reason));
  };
  refuses(R"("unseen":{"once":1)", R"("unseen":{"once":2)", "unseen.once is 2, expected 1");
  refuses(R"("seen":2)", R"("seen":3)", "unseen.seen is 3, expected 2");
  refuses(R"("starts":998)", R"("starts":1000)", "unseen.starts is 1000, expected 998");
  refuses(R"("beside":1)", R"("beside":2)", "beside is 2, expected 1");
  refuses(R"("alone":1)", R"("alone":0)", "sources[1].alone is 0, expected 1");
  refuses(R"("starts":1000)", R"("starts":999)", "sources[1].starts is 498, must be in [0, 497]");
  refuses(R"("undecided":2)", R"("undecided":501)",
          "sources[0].undecided is 501, must be in [0, 500]");
  refuses(R"("period":2)", R"("period":3)", "attractors[1].center is 2, expected 3");
  refuses(R"("period":2)", R"("period":1)", "attractors[1].period is 1, must be in [2");
  refuses(R"("kind":"cycle")", R"("kind":"point")", "attractors[1].period is 2, must be in [1, 1]");
  refuses(R"("unstable":2)", R"("unstable":4)", "attractors[0].unstable is 4, must be in [0, 3]");
  refuses(R"("image_shape":[1,)", R"("image_shape":[0,)", "an entry of image_shape is 0");
  refuses(R"("image_shape":[1,2,2])", R"("image_shape":[4194304,4194304,4194304])",
          "image_shape has a product above 2^53");

  const auto refuses_array = [&](const std::string& damaged, const std::string& array,
                                 const std::string& reason) {
    INFO(array);
    const std::string place =
        "byte " + std::to_string(place_of(damaged, array)) + ": tensor '" + array + "': ";
    CHECK_THAT(refusal(damaged), Catch::Contains(place) && Catch::Contains(reason));
  };
  const double nan = std::nan("");
  refuses_array(changed(bytes, R"("image_shape":[1,)", R"("image_shape":[3,)"), "images",
                "number of entries of an image is 4, expected 12");
  refuses_array(changed(bytes, R"("starts":500)", R"("starts":399)"), "counts",
                "sources[0].counts[0] is 400, must be in [0, 399]");
  refuses_array(altered(bytes, "counts", 1, std::int64_t{-1}), "counts",
                "sources[0].counts[1] is -1, must be in [0, 100]");
  refuses_array(altered(bytes, "counts", 2, std::int64_t{101}), "counts",
                "sources[0].counts[2] is 101, must be in [0, 100]");
  refuses_array(altered(bytes, "points", 4, nan), "points", "attractors[1].center has the entry");
  refuses_array(altered(bytes, "sources", 1, 0.15), "sources", "sources[0].unseen_mass is 0.1");
  refuses_array(altered(bytes, "unseen", 2, 1.5), "unseen", "unseen.mass is 0.25");
  refuses_array(altered(bytes, "unseen", 4, nan), "unseen", "unseen.remaining is 0");
  refuses_array(altered(bytes, "unseen", 7, -1.0), "unseen", "unseen.next is 2");
  refuses_array(altered(bytes, "unseen", 9, 0.0), "unseen", "unseen.times is 0");
  refuses_array(altered(bytes, "unseen", 10, 1.0), "unseen", "unseen.confidence is 1");
  // An array of another name would be lost.
  std::string renamed = bytes;
  renamed[renamed.find("images")] = 'o';
  refuses_array(renamed, "omages", "is no array of an atlas");
  std::filesystem::remove(path + ".safetensors");
  std::filesystem::remove(path + ".json");
}

TEST_CASE("an atlas with a changed byte is refused, or is the atlas that the bytes say",
          "[attractor]") {
  const std::string path = saved(example(), "atlas-bytes");
  const std::string bytes = files::bytes_of(path + ".safetensors");
  const std::size_t data = data_of(bytes);
  int texts = 0, numbers = 0, refused = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 17) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 8));
    INFO("byte " << i << ": " << refusal(damaged));
    basin::Atlas atlas;
    try {
      atlas = basin::load_atlas(files::source(damaged));
    } catch (const basin::file_error&) {
      ++refused;
      continue;
    }
    ++(i < data ? texts : numbers);
    basin::check(atlas);
    // Every field takes part in what is written.
    basin::save_atlas(atlas, path);
    const std::string again = files::bytes_of(path + ".safetensors");
    REQUIRE(again.substr(data_of(again)) == damaged.substr(data_of(damaged)));
    REQUIRE(text_of(again) == text_of(damaged));
  }
  const int looks = texts + numbers + refused;
  INFO(texts << " texts, " << numbers << " numbers, " << refused << " refused");
  CHECK(texts > 0);
  CHECK(numbers > looks / 10);
  CHECK(refused > looks / 4);
  for (std::size_t length = 0; length < bytes.size(); length += 7) {
    CHECK(refusal(bytes.substr(0, length)) != "accepted");
  }
  std::filesystem::remove(path + ".safetensors");
  std::filesystem::remove(path + ".json");
}

TEST_CASE("an atlas that does not hold together is not written", "[attractor]") {
  const std::string path = files::temporary("atlas-wrong");
  const auto message = [&](const auto& change, auto error) -> std::string {
    basin::Atlas atlas = example();
    change(atlas);
    CHECK_THROWS_AS(basin::check(atlas), decltype(error));
    std::string found = "written";
    try {
      basin::save_atlas(atlas, path);
    } catch (const decltype(error)& e) {
      found = e.what();
    }
    CHECK(!std::filesystem::exists(path + ".safetensors"));
    CHECK(!std::filesystem::exists(path + ".json"));
    return found;
  };
  const auto sizes = [&](const auto& change) { return message(change, basin::size_error("")); };
  const auto values = [&](const auto& change) {
    return message(change, basin::argument_error(""));
  };
  using basin::Atlas;
  using Catch::Contains;

  CHECK_THAT(sizes([](Atlas& a) { a.sources[0].counts.pop_back(); }),
             Contains("number of sources[0].counts is 2, expected 3"));
  CHECK_THAT(sizes([](Atlas& a) { a.attractors[1].image.resize(3); }),
             Contains("number of entries of attractors[1].image is 3, expected 4"));
  CHECK_THAT(sizes([](Atlas& a) { a.image_shape = {3, 2, 2}; }),
             Contains("number of entries of an image is 4, expected 12"));
  CHECK_THAT(sizes([](Atlas& a) { a.attractors[0].spectrum.condition.resize(1); }),
             Contains("attractors[0].spectrum.condition is 1, expected 2"));
  CHECK_THAT(sizes([](Atlas& a) { a.attractors[0].spectrum.backward_error.resize(0); }),
             Contains("attractors[0].spectrum.backward_error is 0, expected 2"));
  CHECK_THAT(sizes([](Atlas& a) { a.attractors[0].spectrum.left.resize(3, 1); }),
             Contains("columns of attractors[0].spectrum.left is 1, expected 2"));
  CHECK_THAT(sizes([](Atlas& a) { a.attractors[0].spectrum.right.resize(2, 2); }),
             Contains("rows of attractors[0].spectrum.right is 2, expected 3"));
  CHECK_THAT(sizes([](Atlas& a) { a.attractors[2].center.resize(2, 5); }),
             Contains("rows of attractors[2].center is 2, expected 3"));
  CHECK_THAT(sizes([](Atlas& a) { a.attractors[1].period = 4; }),
             Contains("columns of attractors[1].center is 2, expected 4"));
  CHECK_THAT(sizes([](Atlas& a) { a.unseen.seen = 0; }), Contains("unseen.seen is 0, expected 2"));
  CHECK_THAT(sizes([](Atlas& a) { a.unseen.once = 7; }), Contains("unseen.once is 7, expected 1"));
  CHECK_THAT(sizes([](Atlas& a) { a.unseen.starts = 1; }), Contains("is 1, expected 998"));
  CHECK_THAT(sizes([](Atlas& a) { a.beside = 0; }), Contains("beside is 0, expected 1"));
  CHECK_THAT(sizes([](Atlas& a) { a.sources[0].alone = 1; }),
             Contains("sources[0].alone is 1, expected 0"));

  // What a file could not say, or `load_atlas` would refuse.
  CHECK_THAT(values([](Atlas& a) { a.k = 0; }), Contains("k is 0, must be in [1"));
  CHECK_THAT(values([](Atlas& a) { a.evaluations = -1; }), Contains("evaluations is -1"));
  CHECK_THAT(values([](Atlas& a) { a.evaluations = (index_t{1} << 53) + 1; }),
             Contains("evaluations is 9007199254740993, must be in [0, 9007199254740992]"));
  CHECK_THAT(values([](Atlas& a) { a.starts = 500; }), Contains("sources[0].undecided is 2"));
  CHECK_THAT(values([](Atlas& a) { a.attractors[0].period = 0; }),
             Contains("attractors[0].period is 0, must be in [1, 1]"));
  CHECK_THAT(values([](Atlas& a) { a.attractors[2].center.resize(3, 0); }),
             Contains("columns of attractors[2].center is 0, must be in [1"));
  CHECK_THAT(values([](Atlas& a) { a.attractors[0].unstable = -1; }), Contains("unstable is -1"));
  CHECK_THAT(values([](Atlas& a) { a.attractors[0].kind = basin::attractor_kind(3); }),
             Contains("attractors[0].kind is no enumerator"));
  CHECK_THAT(values([](Atlas& a) { a.image_shape[1] = 0; }), Contains("image_shape is 0"));
  CHECK_THAT(values([](Atlas& a) { a.sources[1].counts[0] = 498; }),
             Contains("sources[1].counts[1] is 1, must be in [0, 0]"));
  CHECK_THAT(values([](Atlas& a) { a.unseen.confidence = 1; }), Contains("unseen.confidence is 1"));
  CHECK_THAT(values([](Atlas& a) { a.unseen.times = 0; }), Contains("unseen.times is 0"));
  CHECK_THAT(values([](Atlas& a) { a.unseen.mass.upper = std::nan(""); }),
             Contains("unseen.mass is 0.25"));
  CHECK_THAT(values([](Atlas& a) { a.attractors[0].center(1, 0) = std::nan(""); }),
             Contains("attractors[0].center has the entry"));

  basin::Atlas atlas = example();
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
