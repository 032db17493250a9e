/// @file
/// Files of autoencoders: safetensors (io/safetensors.hpp) with PyTorch's names and layouts,
/// and what the tensors do not say in the metadata, which are texts:
///
///   format            "basin autoencoder"
///   version           "1"
///   architecture      "table3", "fully_connected" or "linear"
///   image             channels, height and width: "1,32,32"
///   width             d of table3
///   hidden            widths of fully_connected: "128,32"; "" for none
///   latent            k
///   activation        "relu", "leaky_relu:0.01", … (parse_activation)
///   code_activation   of table3 and fully_connected
///   image_activation  of fully_connected
///   variational       of table3: "true" or "false"
///   bias, tied        "true" or "false"
///
/// Format and architecture alone must be there. Else sizes and biases follow from the tensors'
/// shapes (square images, of table3), activations are those of the options' defaults, and
/// weights are not tied.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/io/byte_source.hpp>
#include <basin/io/safetensors.hpp>
#include <basin/model/activation.hpp>
#include <basin/model/model.hpp>
#include <basin/model/plan.hpp>
#include <basin/nn/autoencoder.hpp>

namespace basin {
namespace detail {

inline constexpr std::string_view model_format = "basin autoencoder";
inline constexpr std::string_view model_version = "1";
/// In the order of model_description.
inline constexpr std::array<std::string_view, std::variant_size_v<model_description>>
    architecture_names{"table3", "fully_connected", "linear"};

/// visit(name, value) for every setting of the options.
template <class Options, class Visit>
void each_setting(Options& options, const Visit& visit) {
  visit("image", options.image);
  if constexpr (requires { options.width; }) visit("width", options.width);
  if constexpr (requires { options.hidden; }) visit("hidden", options.hidden);
  visit("latent", options.latent);
  if constexpr (requires { options.activation; }) visit("activation", options.activation);
  if constexpr (requires { options.code_activation; }) {
    visit("code_activation", options.code_activation);
  }
  if constexpr (requires { options.image_activation; }) {
    visit("image_activation", options.image_activation);
  }
  if constexpr (requires { options.variational; }) visit("variational", options.variational);
  visit("bias", options.bias);
  visit("tied", options.tied);
}

// Settings as texts, and texts as settings; of a wrong text, argument_error says why.

inline std::string setting_text(index_t x) { return std::to_string(x); }
inline std::string setting_text(bool x) { return x ? "true" : "false"; }
inline std::string setting_text(const any_activation& x) { return to_string(x); }
inline std::string setting_text(const std::vector<index_t>& x) {
  std::string text;
  for (const index_t one : x) text += (text.empty() ? "" : ",") + std::to_string(one);
  return text;
}
inline std::string setting_text(const tensor_shape& x) {
  return setting_text(std::vector<index_t>{x.channels, x.height, x.width});
}

inline void set_from_text(std::string_view text, index_t& x) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), x);
  if (failure != std::errc{} || end != text.data() + text.size() || x < 1) {
    throw argument_error("not a whole number of at least 1");
  }
}
inline void set_from_text(std::string_view text, bool& x) {
  if (text != "true" && text != "false") throw argument_error("neither true nor false");
  x = text == "true";
}
inline void set_from_text(std::string_view text, any_activation& x) { x = parse_activation(text); }
inline void set_from_text(std::string_view text, std::vector<index_t>& x) {
  x.clear();
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    set_from_text(text.substr(0, comma), x.emplace_back());
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
    if (text.empty()) throw argument_error("a number is missing behind the last comma");
  }
}
inline void set_from_text(std::string_view text, tensor_shape& x) {
  std::vector<index_t> sizes;
  set_from_text(text, sizes);
  if (sizes.size() != 3) throw argument_error("not channels, height and width");
  x = {sizes[0], sizes[1], sizes[2]};
}

/// Finds out what model a file holds, and that it holds all of it and nothing else, from its
/// header alone.
class ModelHeader {
 public:
  ModelHeader(const SafetensorsFile& file, std::string name) : file_(file), name_(std::move(name)) {
    const std::string* format = text("format");
    is_model_ = format != nullptr && *format == model_format;
    if (is_model_) {
      if (const std::string* version = text("version"); version && *version != model_version) {
        refuse_text("version", *version, "expected " + std::string(model_version));
      }
      description_ = described();
    }
    std::visit([&](auto& options) { complete(options); }, description_);
    try {
      plan_ = plan(description_);
    } catch (const argument_error& e) {
      refuse(e.what());
    }
    require_tensors();
  }

  [[nodiscard]] const model_description& description() const noexcept { return description_; }

  /// The texts that have no meaning here.
  [[nodiscard]] std::map<std::string, std::string> other_metadata() const {
    std::map<std::string, std::string> others(file_.metadata().begin(), file_.metadata().end());
    for (const char* name : {"format", "version", "architecture"}) others.erase(name);
    std::visit(
        [&](const auto& options) {
          each_setting(options, [&](const char* name, const auto&) { others.erase(name); });
        },
        description_);
    return others;
  }

  /// Throws file_error; what is wrong stands in the header, which begins at byte 8.
  [[noreturn, gnu::cold]] void refuse(const std::string& reason) const {
    const std::string taken_for =
        is_model_ ? ""
                  : "taken for a state dict of table3, for want of metadata with format '" +
                        std::string(model_format) + "': ";
    throw file_error(name_ + ": byte 8: " + taken_for + reason);
  }

 private:
  [[nodiscard]] const std::string* text(std::string_view name) const {
    const auto found = file_.metadata().find(name);
    return found == file_.metadata().end() ? nullptr : &found->second;
  }
  [[noreturn]] void refuse_text(std::string_view name, std::string_view value,
                                const std::string& reason) const {
    refuse("metadata: " + std::string(name) + " '" + std::string(value.substr(0, 100)) +
           "': " + reason);
  }

  /// The architecture that the metadata name, with default options.
  [[nodiscard]] model_description described() const {
    const std::string* architecture = text("architecture");
    if (architecture == nullptr) refuse("metadata: no architecture");
    if (*architecture == architecture_names[0]) return table3_options{};
    if (*architecture == architecture_names[1]) return fully_connected_options{};
    if (*architecture == architecture_names[2]) return linear_options{};
    refuse_text("architecture", *architecture, "expected table3, fully_connected or linear");
  }

  // Settings: those of the metadata, then what is missing from the shapes.

  void complete(table3_options& options) const {
    read(options);
    if (!has("width")) options.width = size("enc.0.weight", 4, 0);
    if (!has("latent")) {
      options.latent = size("enc.9.weight", 2, 0) / (options.variational ? 2 : 1);
    }
    if (!has("bias")) options.bias = file_.contains("enc.0.bias");
    if (has("image")) return;
    const index_t features = size("enc.9.weight", 2, 1);
    index_t side = 0;
    while ((side + 1) * (side + 1) <= features / 8 / options.width) ++side;
    if (side == 0 || 8 * options.width * side * side != features) {
      refuse(tensor_prefix("enc.9.weight") + "the shape is " +
             shape_text(file_.info("enc.9.weight").shape) + ", expected [k, 8 x " +
             std::to_string(options.width) +
             " x the pixels of a square]; of other images the metadata must say the size");
    }
    options.image = {size("enc.0.weight", 4, 1), 16 * side, 16 * side};
  }
  void complete(fully_connected_options& options) const {
    read(options);
    const auto weight = [](std::size_t i) { return "enc." + std::to_string(2 * i) + ".weight"; };
    if (!has("hidden")) {
      options.hidden.clear();
      for (std::size_t i = 1; file_.contains(weight(i)); ++i) {
        options.hidden.push_back(size(weight(i - 1), 2, 0));
      }
    }
    // Every width has a tensor of its own, which the header has paid for.
    if (options.hidden.size() >= file_.names().size()) {
      refuse("metadata: hidden has " + std::to_string(options.hidden.size()) +
             " widths, in a file of " + std::to_string(file_.names().size()) + " tensors");
    }
    if (!has("image")) options.image = {size(weight(0), 2, 1), 1, 1};
    if (!has("latent")) options.latent = size(weight(options.hidden.size()), 2, 0);
    if (!has("bias")) options.bias = file_.contains("enc.0.bias");
  }
  void complete(linear_options& options) const {
    read(options);
    if (!has("image")) options.image = {size("enc.0.weight", 2, 1), 1, 1};
    if (!has("latent")) options.latent = size("enc.0.weight", 2, 0);
    if (!has("bias")) options.bias = file_.contains("enc.0.bias");
  }

  /// Whether the metadata give the setting. Of a state dict that somebody else wrote, only
  /// two are looked for: its other texts may mean anything.
  [[nodiscard]] bool has(std::string_view name) const {
    return text(name) != nullptr && (is_model_ || name == "image" || name == "activation");
  }
  template <class Options>
  void read(Options& options) const {
    each_setting(options, [&](const char* name, auto& value) {
      if (!has(name)) return;
      try {
        set_from_text(*text(name), value);
      } catch (const argument_error& e) {
        refuse_text(name, *text(name), e.what());
      }
    });
  }

  /// Size `axis` of a tensor of `rank` sizes, all at least 1: no larger than the file.
  [[nodiscard]] index_t size(const std::string& name, std::size_t rank, std::size_t axis) const {
    if (!file_.contains(name)) refuse(tensor_prefix(name) + "not in the file");
    const std::vector<index_t>& shape = file_.info(name).shape;
    const bool is_empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
    if (shape.size() != rank || is_empty) {
      refuse(tensor_prefix(name) + "the shape is " + shape_text(shape) + ", expected " +
             std::to_string(rank) + " sizes of at least 1");
    }
    return shape[axis];
  }

  void require_tensors() const {
    std::map<std::string_view, int> expected;
    const std::vector<parameter_shape> all = parameter_shapes(plan_);
    for (const parameter_shape& one : all) {
      const std::string prefix = tensor_prefix(one.name);
      if (!file_.contains(one.name)) {
        refuse(prefix + "not in the file, expected " + shape_text(one.shape));
      }
      const tensor_info& found = file_.info(one.name);
      if (found.shape != one.shape) {
        refuse(prefix + "the shape is " + shape_text(found.shape) + ", expected " +
               shape_text(one.shape));
      }
      const tensor_type type = found.type;
      if (type != tensor_type::f64 && type != tensor_type::f32 && type != tensor_type::f16 &&
          type != tensor_type::bf16) {
        refuse(prefix + "the dtype is " + std::string(to_string(type)) +
               ", expected F64, F32, F16 or BF16");
      }
      expected.emplace(one.name, 0);
    }
    for (const std::string& name : file_.names()) {
      if (expected.contains(name)) continue;
      refuse(tensor_prefix(name) + "no part of the model, which is " +
             std::string(architecture_names[description_.index()]) + " of " +
             std::to_string(all.size()) + " tensors");
    }
  }

  const SafetensorsFile& file_;
  std::string name_;
  bool is_model_ = false;
  model_description description_;
  autoencoder_plan plan_;
};

}  // namespace detail

/// The metadata of a file of this model, see the top of model_file.hpp.
[[nodiscard]] inline std::map<std::string, std::string> to_metadata(
    const model_description& description) {
  std::map<std::string, std::string> all{
      {"format", std::string(detail::model_format)},
      {"version", std::string(detail::model_version)},
      {"architecture", std::string(detail::architecture_names[description.index()])}};
  std::visit(
      [&](const auto& options) {
        detail::each_setting(options, [&](const char* name, const auto& value) {
          all.emplace(name, detail::setting_text(value));
        });
      },
      description);
  return all;
}

/// Writes an autoencoder in its own scalar type, with its description and what else the
/// caller wants to say. The file appears whole or not at all, with the same bytes for the
/// same content. Tied weights are written twice, so that the file is a whole state dict.
/// @param extra texts by names that to_metadata does not use
/// @throws argument_error if the autoencoder is not what the description says, or a name is
///   taken
/// @throws file_error if the file cannot be written
template <class Scalar>
void save_model(const std::filesystem::path& path, const model_description& description,
                const Autoencoder<Scalar>& autoencoder,
                const std::map<std::string, std::string>& extra = {}) {
  const autoencoder_plan layers = plan(description);
  // Parameters are views that could be written through, and here are only read.
  const auto parameters = const_cast<Autoencoder<Scalar>&>(autoencoder).parameters();
  const std::vector<parameter_shape> expected = parameter_shapes(layers);
  bool same = parameters.size() == expected.size() && autoencoder.tied() == layers.tied &&
              autoencoder.image_shape() == layers.encoder.front().from;
  std::vector<tensor_view> tensors;
  for (std::size_t i = 0; same && i < expected.size(); ++i) {
    same = parameters[i].name == expected[i].name && parameters[i].shape == expected[i].shape;
    tensors.emplace_back(parameters[i].name, parameters[i].shape, parameters[i].values.data);
  }
  require(same, "save_model", "the autoencoder is not what its description says");
  std::map<std::string, std::string> metadata = to_metadata(description);
  for (const auto& [name, text] : extra) {
    require(metadata.emplace(name, text).second, "save_model",
            "the name '" + name + "' of the metadata is taken");
  }
  write_safetensors(path, tensors, metadata);
}
/// Writes a model and its metadata. @copydoc save_model
template <class Scalar>
void save_model(const std::filesystem::path& path, const model<Scalar>& m) {
  save_model(path, m.description, m.autoencoder, m.metadata);
}

/// Reads a model from a file of save_model, or from one that PyTorch wrote with the metadata at
/// the top of model_file.hpp, in F64, F32, F16 or BF16. A state dict of Table 3's shape without
/// them is read as well: sizes follow from the shapes, and the images are taken to be square and
/// the activation to be ReLU, unless the metadata have `image` or `activation`.
///
/// @param source a path, or bytes in memory
/// @throws file_error that names the file, the tensor, and what was expected and found: for
///   a tensor that is missing, superfluous, or of another dtype or shape; for metadata that
///   are not understood or do not fit the tensors; for tied weights that differ; and for what
///   SafetensorsFile refuses. All of it, but for the values of tied weights, is found in the
///   header: nothing of the model is allocated before the tensors that it needs are known to
///   be there.
///
/// @code
/// #include <iostream>
///
/// #include <basin/model/model_file.hpp>
///
/// int main() {
///   auto made = basin::make_model<float>(basin::table3_options{.width = 4, .latent = 2});
///   made.autoencoder.initialize(1);
///   made.metadata["trained"] = "no";
///   basin::save_model("untrained.safetensors", made);
///
///   const auto read = basin::load_model<double>("untrained.safetensors");
///   std::cout << "k = " << read.autoencoder.latent_size() << ", trained: "
///             << read.metadata.at("trained") << '\n';
/// }
/// @endcode
template <class Scalar>
[[nodiscard]] model<Scalar> load_model(ByteSource source) {
  const std::string name = source.name();
  const SafetensorsFile file(std::move(source));
  const detail::ModelHeader header(file, name);
  model<Scalar> read = make_model<Scalar>(header.description());
  read.metadata = header.other_metadata();
  const auto parameters = read.autoencoder.parameters();
  for (const parameter<Scalar>& one : parameters) {
    file.read<Scalar>(one.name, one.shape,
                      std::span(one.values.data, static_cast<std::size_t>(one.values.size)));
  }
  read.autoencoder.parameters_changed();
  if (read.autoencoder.tied()) {
    for (const parameter<Scalar>& one : parameters) {
      const std::vector<Scalar> values = file.read<Scalar>(one.name);
      if (std::memcmp(values.data(), one.values.data, values.size() * sizeof(Scalar)) != 0) {
        header.refuse(detail::tensor_prefix(one.name) +
                      "not the encoder's weights, to which the metadata say that it is tied");
      }
    }
  }
  return read;
}

}  // namespace basin
