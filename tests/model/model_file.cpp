#include <basin/model/model_file.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../io/files.hpp"
#include "maps.hpp"

using basin::index_t;

namespace {

// A file under construction.
struct contents {
  struct tensor {
    std::vector<index_t> shape;
    std::vector<float> values;
  };
  std::map<std::string, tensor> tensors;
  std::map<std::string, std::string> metadata;
  std::map<std::string, std::vector<index_t>> integers;  // tensors of dtype I64

  void reshape(const std::string& name, std::vector<index_t> shape) {
    index_t count = 1;
    for (const index_t size : shape) count *= size;
    tensors[name] = {std::move(shape), std::vector<float>(static_cast<std::size_t>(count), 0.5f)};
  }

  void write(const std::string& path) const {
    std::vector<basin::tensor_view> views;
    for (const auto& [name, one] : tensors) views.emplace_back(name, one.shape, one.values.data());
    std::vector<std::vector<std::int64_t>> numbers;
    for (const auto& [name, shape] : integers) {
      index_t count = 1;
      for (const index_t size : shape) count *= size;
      numbers.emplace_back(static_cast<std::size_t>(count));
      views.emplace_back(name, shape, numbers.back().data());
    }
    basin::write_safetensors(path, views, metadata);
  }
};

contents contents_of(const basin::model_description& description, bool bare = false) {
  auto made = basin::make_model<float>(description);
  made.autoencoder.initialize(7);
  contents all;
  for (const auto& one : made.autoencoder.parameters()) {
    all.tensors[one.name] = {one.shape, {one.values.data, one.values.data + one.values.size}};
  }
  if (!bare) all.metadata = to_metadata(description);
  return all;
}

// A file that is removed again.
struct Path : std::filesystem::path {
  explicit Path(const std::string& name) : std::filesystem::path(files::temporary(name)) {}
  ~Path() { std::filesystem::remove(*this); }
};

template <class Scalar>
bool same_parameters(basin::Autoencoder<Scalar> a, basin::Autoencoder<Scalar> b) {
  const auto left = a.parameters();
  const auto right = b.parameters();
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i].name != right[i].name || left[i].shape != right[i].shape ||
        std::memcmp(left[i].values.data, right[i].values.data,
                    static_cast<std::size_t>(left[i].values.size) * sizeof(Scalar)) != 0) {
      return false;
    }
  }
  return true;
}

const std::vector<basin::model_description> every_kind{
    basin::table3_options{.image = {2, 32, 16}, .width = 3, .latent = 5},
    basin::table3_options{.image = {1, 16, 16},
                          .width = 2,
                          .latent = 3,
                          .activation = basin::leaky_relu_function{.slope = 1.0 / 3},
                          .bias = false,
                          .tied = true},
    basin::table3_options{
        .image = {1, 16, 32}, .width = 2, .latent = 3, .code_activation = basin::relu_function{}},
    basin::table3_options{.image = {1, 32, 16}, .width = 2, .latent = 3, .variational = true},
    basin::fully_connected_options{.image = {3, 4, 5},
                                   .hidden = {9, 7},
                                   .latent = 2,
                                   .activation = basin::elu_function{.alpha = 0.7},
                                   .code_activation = basin::sigmoid_function{},
                                   .image_activation = basin::softplus_function{}},
    basin::fully_connected_options{.image = {11}, .hidden = {}, .latent = 2, .tied = true},
    basin::linear_options{.image = {1, 3, 4}, .latent = 5},
    basin::linear_options{.image = {8}, .latent = 1, .bias = false, .tied = true}};

}  // namespace

TEMPLATE_TEST_CASE("a model comes back to the bit", "[model]", float, double) {
  using Scalar = TestType;
  const Path path("model.safetensors"), again("again.safetensors");
  for (const auto& description : every_kind) {
    auto made = basin::make_model<Scalar>(description);
    made.autoencoder.initialize(11);
    made.metadata = {{"seed", "11"}, {"data", "nöne\n\"quoted\""}};
    basin::save_model(path, made);
    const auto read = basin::load_model<Scalar>(path);
    CHECK(to_metadata(read.description) == to_metadata(description));
    CHECK((read.metadata == made.metadata));
    CHECK(read.autoencoder.tied() == made.autoencoder.tied());
    CHECK(read.autoencoder.image_shape() == made.autoencoder.image_shape());
    CHECK(same_parameters(read.autoencoder, made.autoencoder));
    basin::save_model(again, read);
    CHECK(files::bytes_of(path) == files::bytes_of(again));
    // Weights are packed, and activations are there.
    const auto Z = maps::normal<Scalar>(made.autoencoder.latent_size(), 9, 1);
    CHECK(maps::value(read.autoencoder.latent_map(), Z) ==
          maps::value(made.autoencoder.latent_map(), Z));
  }
}

TEST_CASE("a model is read in another scalar type", "[model]") {
  const Path path("model.safetensors");
  auto made = basin::make_model<double>(every_kind[1]);  // tied
  made.autoencoder.initialize(1);
  basin::save_model(path, made);
  auto read = basin::load_model<float>(path);
  const auto from = made.autoencoder.parameters();
  const auto to = read.autoencoder.parameters();
  bool same = true;
  for (std::size_t i = 0; i < from.size(); ++i) {
    for (index_t e = 0; e < from[i].values.size; ++e) {
      same = same && to[i].values[e] == static_cast<float>(from[i].values[e]);
    }
  }
  CHECK(same);
}

TEST_CASE("what the metadata do not say follows from the tensors", "[model]") {
  const Path path("model.safetensors");
  const auto check = [&](contents file, const basin::model_description& expected) {
    file.write(path);
    auto read = basin::load_model<float>(path);
    CHECK(to_metadata(read.description) == to_metadata(expected));
    const auto original = contents_of(expected);
    bool same = true;
    for (const auto& one : read.autoencoder.parameters()) {
      const auto& values = original.tensors.at(one.name).values;
      same = same && std::equal(values.begin(), values.end(), one.values.data,
                                one.values.data + one.values.size);
    }
    CHECK(same);
  };
  // A bare state dict of Table 3.
  basin::table3_options conv{.image = {3, 48, 48}, .width = 2, .latent = 4};
  check(contents_of(conv, true), conv);
  contents file = contents_of(conv, true);
  file.metadata = {{"format", "pt"}, {"architecture", "somebody's"}, {"width", "wide"}};
  check(file, conv);
  conv = {.image = {1, 16, 16}, .width = 1, .latent = 1, .bias = false};
  check(contents_of(conv, true), conv);
  conv = {.image = {1, 32, 48}, .width = 2, .latent = 4, .activation = basin::silu_function{}};
  file = contents_of(conv, true);
  file.metadata = {{"image", "1,32,48"}, {"activation", "silu"}};
  check(file, conv);
  // What scripts/export_pytorch.py writes.
  conv.image = {1, 32, 32};
  file = contents_of(conv, true);
  file.metadata = {
      {"format", "basin autoencoder"}, {"architecture", "table3"}, {"activation", "silu"}};
  check(file, conv);
  conv.variational = true;
  file = contents_of(conv, true);
  file.metadata = {{"format", "basin autoencoder"},
                   {"architecture", "table3"},
                   {"activation", "silu"},
                   {"variational", "true"}};
  check(file, conv);
  // Other architectures.
  const basin::fully_connected_options dense{
      .image = {20}, .hidden = {9, 7}, .latent = 2, .activation = basin::tanh_function{}};
  file = contents_of(dense, true);
  file.metadata = {
      {"format", "basin autoencoder"}, {"architecture", "fully_connected"}, {"activation", "tanh"}};
  check(file, dense);
  file.metadata["hidden"] = "9,7";
  check(file, dense);
  const basin::linear_options flat{.image = {20}, .latent = 3, .bias = false};
  file = contents_of(flat, true);
  file.metadata = {{"format", "basin autoencoder"}, {"architecture", "linear"}};
  check(file, flat);
}

TEST_CASE("a model is read from half precision and from memory", "[model]") {
  const std::string header =
      R"({"__metadata__":{"format":"basin autoencoder","architecture":"linear"},)"
      R"("dec.0.weight":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]},)"
      R"("enc.0.weight":{"dtype":"BF16","shape":[1,2],"data_offsets":[4,8]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  bytes += header + std::string("\x00\x3c\x00\xc0\x80\x3f\x00\xc0", 8);
  auto read = basin::load_model<double>(files::source(bytes));
  const auto parameters = read.autoencoder.parameters();
  CHECK(parameters[0].values[0] == 1);
  CHECK(parameters[0].values[1] == -2);
  CHECK(parameters[1].values[0] == 1);
  CHECK(parameters[1].values[1] == -2);
}

TEST_CASE("damaged model files are refused with the reason", "[model]") {
  const Path path("damaged.safetensors");
  const basin::table3_options conv{.image = {1, 32, 16}, .width = 2, .latent = 3};
  const basin::fully_connected_options dense{.image = {6}, .hidden = {5}, .latent = 2};
  const basin::linear_options tied{.image = {6}, .latent = 2, .tied = true};
  const auto refused = [&](const contents& file, const std::string& reason) {
    file.write(path);
    const auto message = [&]<class Scalar>(Scalar) -> std::string {
      try {
        (void)basin::load_model<Scalar>(path);
      } catch (const basin::file_error& e) {
        return e.what();
      }
      return "read without an error";
    };
    CHECK_THAT(message(float{}),
               Catch::StartsWith(path.string() + ": byte ") && Catch::Contains(reason));
    CHECK(message(double{}) == message(float{}));
  };
  const auto damaged = [&](const basin::model_description& description,
                           const std::function<void(contents&)>& damage,
                           const std::string& reason) {
    contents file = contents_of(description);
    damage(file);
    refused(file, reason);
  };
  const auto bare = [&](const basin::model_description& description,
                        const std::function<void(contents&)>& damage, const std::string& reason) {
    contents file = contents_of(description, true);
    damage(file);
    refused(file,
            "taken for a state dict of table3, for want of metadata with format 'basin "
            "autoencoder': " +
                reason);
  };
  const auto metadata = [&](const basin::model_description& description, const char* name,
                            const std::string& text, const std::string& reason) {
    INFO(name << ": " << text.substr(0, 100));
    damaged(description, [&](contents& f) { f.metadata[name] = text; }, reason);
  };

  // Tensors.
  damaged(
      conv, [](contents& f) { f.tensors.erase("dec.5.weight"); },
      "tensor 'dec.5.weight': not in the file, expected [8, 4, 3, 3]");
  damaged(
      conv, [](contents& f) { f.tensors.erase("enc.4.bias"); },
      "tensor 'enc.4.bias': not in the file, expected [8]");
  damaged(
      conv, [](contents& f) { f.reshape("enc.10.weight", {2}); },
      "tensor 'enc.10.weight': no part of the model, which is table3 of 20 tensors");
  damaged(conv, [](contents& f) { f.reshape("", {0}); }, "tensor '': no part of the model");
  damaged(
      conv, [](contents& f) { f.reshape("enc.2.weight", {2, 4, 3, 3}); },
      "tensor 'enc.2.weight': the shape is [2, 4, 3, 3], expected [4, 2, 3, 3]");
  damaged(
      conv, [](contents& f) { f.reshape("enc.0.weight", {2, 1, 5, 5}); },
      "tensor 'enc.0.weight': the shape is [2, 1, 5, 5], expected [2, 1, 3, 3]");
  damaged(
      conv, [](contents& f) { f.reshape("dec.0.weight", {3, 32}); },
      "tensor 'dec.0.weight': the shape is [3, 32], expected [32, 3]");
  damaged(
      conv, [](contents& f) { f.reshape("dec.9.bias", {}); },
      "tensor 'dec.9.bias': the shape is [], expected [1]");
  damaged(
      conv,
      [](contents& f) {
        f.tensors.erase("enc.9.bias");
        f.integers["enc.9.bias"] = {3};
      },
      "tensor 'enc.9.bias': the dtype is I64, expected F64, F32, F16 or BF16");
  damaged(
      dense, [](contents& f) { f.reshape("enc.1.weight", {5, 5}); },
      "tensor 'enc.1.weight': no part of the model, which is fully_connected of 8 tensors");
  damaged(
      tied, [](contents& f) { f.tensors["dec.0.weight"].values[3] += 1; },
      "tensor 'dec.0.weight': not the encoder's weights, to which the metadata say that it "
      "is tied");
  damaged(
      conv, [](contents& f) { f.tensors.clear(); },
      "tensor 'enc.0.weight': not in the file, expected [2, 1, 3, 3]");

  // Metadata.
  metadata(conv, "version", "2", "metadata: version '2': expected 1");
  metadata(conv, "architecture", "table4",
           "metadata: architecture 'table4': expected table3, fully_connected or linear");
  damaged(conv, [](contents& f) { f.metadata.erase("architecture"); }, "metadata: no architecture");
  metadata(conv, "activation", "rleu", "metadata: activation 'rleu': ");
  metadata(conv, "activation", "rleu", "is not an activation, expected relu, leaky_relu[:slope]");
  metadata(conv, "activation", "leaky_relu:-1", "the slope must be finite and at least 0");
  metadata(conv, "image", "1,28,28",
           "table3: the image is 1 x 28 x 28, height and width must be multiples of 16: pad it "
           "to 32 x 32");
  metadata(conv, "image", "1,32", "metadata: image '1,32': not channels, height and width");
  metadata(conv, "image", "1,32,16,", "a number is missing behind the last comma");
  metadata(conv, "image", "1,,16", "metadata: image '1,,16': not a whole number of at least 1");
  metadata(conv, "image", "3,32,16",
           "tensor 'enc.0.weight': the shape is [2, 1, 3, 3], expected [2, 3, 3, 3]");
  metadata(conv, "image", "1,262144,1048576", "tensor 'enc.9.weight': the shape is [3, 32]");
  metadata(conv, "image", "1,1099511627776,1099511627776", "is not one of a tensor");
  metadata(conv, "width", "4",
           "tensor 'enc.0.weight': the shape is [2, 1, 3, 3], expected [4, 1, 3, 3]");
  metadata(conv, "width", "1099511627776", "is not one of a tensor");
  metadata(conv, "width", "9223372036854775807", "table3: width is 9223372036854775807");
  metadata(conv, "width", "9223372036854775808", "not a whole number of at least 1");
  metadata(conv, "width", "-2", "metadata: width '-2': not a whole number of at least 1");
  metadata(conv, "width", "2 ", "not a whole number of at least 1");
  metadata(conv, "width", "", "metadata: width '': not a whole number of at least 1");
  metadata(conv, "latent", "1099511627776",
           "tensor 'enc.9.weight': the shape is [3, 32], expected [1099511627776, 32]");
  metadata(conv, "bias", "yes", "metadata: bias 'yes': neither true nor false");
  metadata(conv, "bias", "false", "tensor 'dec.0.bias': no part of the model");
  metadata(conv, "code_activation", "softmax", "metadata: code_activation 'softmax': ");
  metadata(conv, "variational", "true",
           "tensor 'enc.9.weight': the shape is [3, 32], expected [6, 32]");
  damaged(
      basin::table3_options{.image = {1, 16, 16}, .width = 2, .latent = 3},
      [](contents& f) {
        f.metadata["variational"] = "true";
        f.metadata.erase("latent");
      },
      "tensor 'enc.9.weight': the shape is [3, 16], expected [2, 16]");
  damaged(
      basin::table3_options{.image = {1, 16, 16}, .width = 2, .latent = 1},
      [](contents& f) {
        f.metadata["variational"] = "true";
        f.metadata.erase("latent");
      },
      "table3: latent is 0, must be at least 1");
  damaged(
      conv, [](contents& f) { f.metadata["variational"] = f.metadata["tied"] = "true"; },
      "table3: the weights of a variational model cannot be tied");
  metadata(conv, "tied", "", "metadata: tied '': neither true nor false");
  metadata(dense, "hidden", "5,5", "tensor 'enc.2.weight': the shape is [2, 5], expected [5, 5]");
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += "1,";
  metadata(dense, "hidden", many + "1",
           "metadata: hidden has 100001 widths, in a file of 8 tensors");
  metadata(dense, "hidden", "1099511627776", "expected [1099511627776, 6]");
  metadata(dense, "code_activation", "none", "metadata: code_activation 'none': ");
  metadata(dense, "image", "7,1,1", "tensor 'enc.0.weight': the shape is [5, 6], expected [5, 7]");

  // State dicts without metadata.
  bare(dense, [](contents&) {}, "tensor 'enc.0.weight': the shape is [5, 6], expected 4 sizes");
  bare(
      conv, [](contents&) {},
      "tensor 'enc.9.weight': the shape is [3, 32], expected [k, 8 x 2 x the pixels of a "
      "square]; of other images the metadata must say the size");
  bare(conv, [](contents& f) { f.tensors.clear(); }, "tensor 'enc.0.weight': not in the file");
  bare(
      conv, [](contents& f) { f.tensors.erase("enc.9.weight"); },
      "tensor 'enc.9.weight': not in the file");
  bare(
      conv, [](contents& f) { f.reshape("enc.0.weight", {2, 0, 3, 3}); },
      "tensor 'enc.0.weight': the shape is [2, 0, 3, 3], expected 4 sizes of at least 1");
  bare(
      conv, [](contents& f) { f.reshape("enc.9.weight", {0, index_t{1} << 50}); },
      "tensor 'enc.9.weight': the shape is [0, 1125899906842624], expected 2 sizes");
  bare(conv, [](contents& f) { f.reshape("enc.9.weight", {3, 15}); }, "tensor 'enc.9.weight'");
  bare(
      conv, [](contents& f) { f.metadata["activation"] = "Mish()"; },
      "metadata: activation 'Mish()'");

  // What is no such file at all.
  contents_of(conv).write(path);
  const std::string whole = files::bytes_of(path);
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{7}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    CHECK_THROWS_AS(basin::load_model<float>(files::source(whole.substr(0, length))),
                    basin::file_error);
  }
  CHECK_THROWS_AS(basin::load_model<float>(files::temporary("not there")), basin::file_error);
}

TEST_CASE("a model that is not what it says is not written", "[model]") {
  const Path path("unwritten.safetensors");
  const basin::table3_options options{.image = {1, 16, 32}, .width = 2, .latent = 3};
  const auto autoencoder = basin::table3<float>(options);
  const auto refused = [&](const basin::model_description& description,
                           const std::map<std::string, std::string>& extra = {}) {
    CHECK_THROWS_AS(basin::save_model(path, description, autoencoder, extra),
                    basin::argument_error);
    CHECK_FALSE(std::filesystem::exists(path));
  };
  auto other = options;
  other.width = 3;
  refused(other);
  other = options;
  other.image = {1, 32, 16};
  refused(other);
  other = options;
  other.tied = true;
  refused(other);
  other = options;
  other.bias = false;
  refused(other);
  refused(basin::linear_options{});
  refused(options, {{"latent", "3"}});
  refused(options, {{"format", "mine"}});
  CHECK_THROWS_AS(basin::save_model("/nowhere/model.safetensors", options, autoencoder),
                  basin::file_error);
  basin::save_model(path, options, autoencoder, {{"hidden", "of no meaning here"}});
  CHECK(basin::load_model<float>(path).metadata.at("hidden") == "of no meaning here");
}
