/// @file
/// Files of atlases: safetensors with all of it, and JSON beside it for people and other programs.
///
/// The arrays, of M attractors with P points and m eigenvalues in all, and S sources:
///
///   points              P × k
///   numbers             M × 5: rate, residual, error, spread, norm of the Jacobian
///   eigenvalues         m × 4: real and imaginary part, backward error, condition
///   right, left         eigenvectors of those attractors that have them, m' × 2 k, the real parts
///                       first
///   counts              S × M, I64
///   sources             S × 3: unseen mass, its lower and its upper limit
///   unseen              11: mass, remaining and next, three numbers each; times; confidence
///   images              M × n; not there without a decoder
///
/// What is no array of numbers is JSON in the metadata, under "atlas": one file, so that a kill
/// leaves the old atlas or the new one. The JSON beside it has the numbers too, with null for
/// those that are not finite; it is not read.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <Eigen/Core>
#include <nlohmann/json.hpp>

#include <basin/attractor/atlas.hpp>
#include <basin/attractor/atlas_check.hpp>
#include <basin/attractor/atlas_text.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/io/atomic_file.hpp>
#include <basin/io/byte_source.hpp>
#include <basin/io/safetensors.hpp>

namespace basin {
namespace detail {
inline constexpr std::array<std::string_view, 9> atlas_arrays{
    "points", "numbers", "eigenvalues", "right", "left", "counts", "sources", "unseen", "images"};
}  // namespace detail

/// Writes an atlas to `path` with the ending .safetensors, and a JSON text beside it with the
/// ending .json. Each appears whole or not at all (AtomicFile), the former first.
/// @param path "out/atlas", or with one of the two endings, which is replaced; any other text
///   behind a dot belongs to the name
/// @throws size_error or argument_error as `check`, and argument_error if a text is not UTF-8, all
///   before a file is touched; file_error if one cannot be written
inline void save_atlas(const Atlas& atlas, std::filesystem::path path) {
  check(atlas);
  const auto M = atlas.size();
  const auto S = static_cast<index_t>(atlas.sources.size());
  std::vector<double> points, numbers, values, right, left, masses, images;
  std::vector<std::int64_t> counts;
  const auto add_vectors = [&](std::vector<double>& to, const Eigen::MatrixXcd& vectors) {
    for (index_t i = 0; i < vectors.cols(); ++i) {
      for (index_t r = 0; r < atlas.k; ++r) to.push_back(vectors(r, i).real());
      for (index_t r = 0; r < atlas.k; ++r) to.push_back(vectors(r, i).imag());
    }
  };
  for (const Attractor& one : atlas.attractors) {
    points.insert(points.end(), one.center.data(), one.center.data() + one.center.size());
    numbers.insert(numbers.end(),
                   {one.rate, one.residual, one.error, one.spread, one.spectrum.norm});
    for (index_t i = 0; i < one.spectrum.size(); ++i) {
      values.insert(values.end(), {one.spectrum.values[i].real(), one.spectrum.values[i].imag(),
                                   one.spectrum.backward_error[i], one.spectrum.condition[i]});
    }
    add_vectors(right, one.spectrum.right);
    add_vectors(left, one.spectrum.left);
    images.insert(images.end(), one.image.begin(), one.image.end());
  }
  for (const SourceReport& source : atlas.sources) {
    counts.insert(counts.end(), source.counts.begin(), source.counts.end());
    const interval_estimate& mass = source.unseen_mass;
    masses.insert(masses.end(), {mass.value, mass.lower, mass.upper});
  }
  std::vector<double> unseen;
  for (const auto* x : {&atlas.unseen.mass, &atlas.unseen.remaining, &atlas.unseen.next}) {
    unseen.insert(unseen.end(), {x->value, x->lower, x->upper});
  }
  unseen.insert(unseen.end(), {atlas.unseen.times, atlas.unseen.confidence});

  const auto rows = [](std::size_t size, index_t width) {
    return width == 0 ? index_t{0} : static_cast<index_t>(size) / width;
  };
  const index_t k = atlas.k, pixels = M > 0 ? atlas.attractors.front().image.size() : 0;
  std::vector<tensor_view> tensors{{"points", {rows(points.size(), k), k}, points.data()},
                                   {"numbers", {M, 5}, numbers.data()},
                                   {"eigenvalues", {rows(values.size(), 4), 4}, values.data()},
                                   {"right", {rows(right.size(), 2 * k), 2 * k}, right.data()},
                                   {"left", {rows(left.size(), 2 * k), 2 * k}, left.data()},
                                   {"counts", {S, M}, counts.data()},
                                   {"sources", {S, 3}, masses.data()},
                                   {"unseen", {11}, unseen.data()}};
  if (pixels > 0) tensors.emplace_back("images", std::vector<index_t>{M, pixels}, images.data());
  std::string text, report;
  try {
    text = detail::atlas_text(atlas).dump();
    report = detail::atlas_report(atlas).dump(1);
  } catch (const nlohmann::json::type_error&) {
    throw argument_error("save_atlas: a text is not UTF-8");
  }
  if (path.extension() == ".safetensors" || path.extension() == ".json") path.replace_extension();
  const auto with = [&](const char* ending) { return std::filesystem::path(path) += ending; };
  write_safetensors(with(".safetensors"), tensors, {{"atlas", text}});
  AtomicFile file(with(".json"));
  file.write(report);
  file.write("\n");
  file.commit();
}

/// Reads an atlas from the safetensors of `save_atlas`, every number to the bit.
/// @throws file_error that names the file, the offset and the reason, if it is damaged, is no
///   atlas or one of another version, or holds what `check` refuses: the offset is that of the
///   array's first number, or of the header, where the text is. Nothing is allocated from its
///   numbers before they have been found to fit the file's length.
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/atlas_file.hpp>
/// #include <basin/attractor/discover.hpp>
/// #include <basin/map/differentiable.hpp>
///
/// int main() {
///   auto map = basin::differentiable<1>([](const auto& z, auto& f) { f[0] = 0.5 * z[0] + 1.0; });
///   const basin::cpu<double> cpu;
///   const auto found = basin::discover(cpu, map, 1, basin::picard{}, {}, {.starts = 600});
///   basin::save_atlas(basin::make_atlas(cpu, map, found, {.model = "a line"}), "atlas");
///   const basin::Atlas atlas = basin::load_atlas("atlas.safetensors");
///   std::cout << atlas.model << ": " << atlas.attractors[0].center << '\n';
/// }
/// @endcode
[[nodiscard]] inline Atlas load_atlas(ByteSource source) {
  const std::string name = source.name();
  const SafetensorsFile file(std::move(source));
  const auto found = file.metadata().find("atlas");
  if (found == file.metadata().end()) {
    throw file_error(name + ": byte 8: __metadata__ has no 'atlas': this is no atlas");
  }
  const nlohmann::json json = nlohmann::json::parse(found->second, nullptr, false);
  if (json.is_discarded()) {
    throw file_error(name + ": byte 8: __metadata__: 'atlas' is not JSON");
  }
  for (const std::string& array : file.names()) {
    if (std::find(detail::atlas_arrays.begin(), detail::atlas_arrays.end(), array) ==
        detail::atlas_arrays.end()) {
      file.refuse(array, "is no array of an atlas");
    }
  }
  const detail::AtlasText text(json, name, "atlas");
  if (text.text("format") != detail::atlas_format) text.refuse("has another format");
  if (const index_t version = text.number("version"); version != 1) {
    text.refuse("is of version " + std::to_string(version) + ", expected 1");
  }
  Atlas atlas;
  atlas.model = text.text("model");
  atlas.rule = text.text("rule");
  if (!text.field("seed").is_number_unsigned()) text.refuse("has a 'seed' that is no whole number");
  atlas.seed = text.field("seed").get<std::uint64_t>();
  atlas.k = text.number("k");
  atlas.starts = text.number("starts");
  atlas.evaluations = text.number("evaluations");
  atlas.beside = text.number("beside");
  atlas.ended = text.name_of("ended", discovery_end::cancelled);
  for (const nlohmann::json& size : text.array("image_shape")) {
    atlas.image_shape.push_back(text.whole(size, "image_shape"));
  }
  const detail::AtlasText metadata = text.object("metadata");
  for (const auto& [key, value] : text.field("metadata").items()) {
    if (!value.is_string()) metadata.refuse("has a value that is no text");
    atlas.metadata[key] = value.get<std::string>();
  }
  const detail::AtlasText unseen = text.object("unseen");
  atlas.unseen.starts = unseen.number("starts");
  atlas.unseen.seen = unseen.number("seen");
  atlas.unseen.once = unseen.number("once");

  const std::size_t M = text.array("attractors").size(), S = text.array("sources").size();
  const auto rows_M = static_cast<index_t>(M), rows_S = static_cast<index_t>(S);
  struct part {
    index_t points, values;
    bool right, left;
  };
  std::vector<part> parts;
  index_t P = 0, m = 0, m_right = 0, m_left = 0;
  for (std::size_t a = 0; a < M; ++a) {
    const detail::AtlasText entry = text.entry("attractors", a);
    Attractor& one = atlas.attractors.emplace_back();
    one.kind = entry.name_of("kind", attractor_kind::continuum);
    one.period = entry.number("period");
    one.stability = entry.name_of("stability", stability_kind::undecided);
    one.flow_stability = entry.name_of("flow_stability", stability_kind::undecided);
    one.unstable = entry.number("unstable");
    one.spectrum.status = entry.name_of("spectrum_status", spectral_status::non_finite);
    one.spectrum.dense = entry.truth("dense");
    one.spectrum.products = entry.number("products");
    const part& here = parts.emplace_back(part{entry.number("points"), entry.number("eigenvalues"),
                                               entry.truth("right"), entry.truth("left")});
    constexpr index_t most = index_t{1} << 53;
    P += here.points;
    m += here.values;
    m_right += here.right ? here.values : 0;
    m_left += here.left ? here.values : 0;
    if (P > most || m > most) entry.refuse("has more points or eigenvalues than any file");
  }
  const std::vector<double> points = file.read<double>("points", {P, atlas.k});
  const std::vector<double> numbers = file.read<double>("numbers", {rows_M, 5});
  const std::vector<double> values = file.read<double>("eigenvalues", {m, 4});
  const std::vector<double> right = file.read<double>("right", {m_right, 2 * atlas.k});
  const std::vector<double> left = file.read<double>("left", {m_left, 2 * atlas.k});
  const std::vector<std::int64_t> counts = file.read<std::int64_t>("counts", {rows_S, rows_M});
  const std::vector<double> masses = file.read<double>("sources", {rows_S, 3});
  const std::vector<double> of_unseen = file.read<double>("unseen", {11});
  std::vector<double> images;
  index_t pixels = 0;
  if (file.contains("images")) {
    const std::vector<index_t>& shape = file.info("images").shape;
    pixels = shape.size() == 2 ? shape[1] : 0;
    images = file.read<double>("images", {rows_M, pixels});
  }

  const double *point = points.data(), *number = numbers.data(), *value = values.data();
  const double *of_right = right.data(), *of_left = left.data(), *image = images.data();
  const auto take_vectors = [&](const double*& from, bool there, index_t count) {
    Eigen::MatrixXcd vectors(there ? atlas.k : 0, there ? count : 0);
    for (index_t i = 0; i < vectors.cols(); ++i, from += 2 * atlas.k) {
      for (index_t r = 0; r < atlas.k; ++r) vectors(r, i) = {from[r], from[atlas.k + r]};
    }
    return vectors;
  };
  for (std::size_t a = 0; a < M; ++a) {
    Attractor& one = atlas.attractors[a];
    one.center = Eigen::Map<const Eigen::MatrixXd>(point, atlas.k, parts[a].points);
    point += one.center.size();
    one.rate = number[0];
    one.residual = number[1];
    one.error = number[2];
    one.spread = number[3];
    one.spectrum.norm = number[4];
    number += 5;
    const index_t count = parts[a].values;
    one.spectrum.values.resize(count);
    one.spectrum.backward_error.resize(count);
    one.spectrum.condition.resize(count);
    for (index_t i = 0; i < count; ++i, value += 4) {
      one.spectrum.values[i] = {value[0], value[1]};
      one.spectrum.backward_error[i] = value[2];
      one.spectrum.condition[i] = value[3];
    }
    one.spectrum.right = take_vectors(of_right, parts[a].right, count);
    one.spectrum.left = take_vectors(of_left, parts[a].left, count);
    one.image = Eigen::Map<const Eigen::VectorXd>(image, pixels);
    image += pixels;
  }
  const auto interval = [](const double* x) { return interval_estimate{x[0], x[1], x[2]}; };
  for (std::size_t s = 0; s < S; ++s) {
    const detail::AtlasText entry = text.entry("sources", s);
    SourceReport& source_report = atlas.sources.emplace_back();
    source_report.name = entry.text("name");
    source_report.starts = entry.number("starts");
    source_report.undecided = entry.number("undecided");
    source_report.alone = entry.number("alone");
    source_report.unseen_mass = interval(masses.data() + 3 * s);
    for (std::size_t a = 0; a < M; ++a) {
      source_report.counts.push_back(static_cast<index_t>(counts[s * M + a]));
    }
  }
  atlas.unseen.mass = interval(of_unseen.data());
  atlas.unseen.remaining = interval(of_unseen.data() + 3);
  atlas.unseen.next = interval(of_unseen.data() + 6);
  atlas.unseen.times = of_unseen[9];
  atlas.unseen.confidence = of_unseen[10];
  detail::AtlasCheck fitting(atlas);
  try {
    fitting.run();
  } catch (const error& e) {
    if (fitting.array().empty()) text.refuse(std::string("does not hold together: ") + e.what());
    file.refuse(fitting.array(), e.what());
  }
  return atlas;
}

}  // namespace basin
