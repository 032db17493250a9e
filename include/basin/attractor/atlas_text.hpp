/// @file
/// The JSON of an atlas: what its file has in words, and what is written for people beside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <Eigen/Core>
#include <nlohmann/json.hpp>

#include <basin/attractor/atlas.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

inline constexpr std::string_view atlas_format = "basin atlas";

/// What is no array of numbers.
[[nodiscard]] inline nlohmann::json atlas_text(const Atlas& atlas) {
  nlohmann::json text{
      {"format", atlas_format},
      {"version", 1},
      {"model", atlas.model},
      {"rule", atlas.rule},
      {"seed", atlas.seed},
      {"k", atlas.k},
      {"starts", atlas.starts},
      {"evaluations", atlas.evaluations},
      {"beside", atlas.beside},
      {"ended", to_string(atlas.ended)},
      {"image_shape", atlas.image_shape},
      {"metadata", atlas.metadata},
      {"unseen",
       {{"starts", atlas.unseen.starts}, {"seen", atlas.unseen.seen}, {"once", atlas.unseen.once}}},
      {"sources", nlohmann::json::array()},
      {"attractors", nlohmann::json::array()}};
  for (const SourceReport& source : atlas.sources) {
    text["sources"].push_back({{"name", source.name},
                               {"starts", source.starts},
                               {"undecided", source.undecided},
                               {"alone", source.alone}});
  }
  for (const Attractor& one : atlas.attractors) {
    text["attractors"].push_back({{"kind", to_string(one.kind)},
                                  {"period", one.period},
                                  {"points", one.center.cols()},
                                  {"stability", to_string(one.stability)},
                                  {"flow_stability", to_string(one.flow_stability)},
                                  {"unstable", one.unstable},
                                  {"eigenvalues", one.spectrum.size()},
                                  {"spectrum_status", to_string(one.spectrum.status)},
                                  {"dense", one.spectrum.dense},
                                  {"products", one.spectrum.products},
                                  {"right", one.spectrum.right.size() > 0},
                                  {"left", one.spectrum.left.size() > 0}});
  }
  return text;
}

/// The same with numbers for people, before which the arrays' truth stands.
[[nodiscard]] inline nlohmann::json atlas_report(const Atlas& atlas) {
  nlohmann::json text = atlas_text(atlas);
  const auto interval = [](const interval_estimate& x) {
    return nlohmann::json{{"value", x.value}, {"lower", x.lower}, {"upper", x.upper}};
  };
  const auto share = [](const basin_share& x) {
    return nlohmann::json{{"value", x.value}, {"lower", x.low}, {"upper", x.high}};
  };
  text["unseen"]["mass"] = interval(atlas.unseen.mass);
  text["unseen"]["remaining"] = interval(atlas.unseen.remaining);
  text["unseen"]["next"] = interval(atlas.unseen.next);
  text["unseen"]["times"] = atlas.unseen.times;
  text["unseen"]["confidence"] = atlas.unseen.confidence;
  for (std::size_t s = 0; s < atlas.sources.size(); ++s) {
    text["sources"][s]["counts"] = atlas.sources[s].counts;
    text["sources"][s]["unseen_mass"] = interval(atlas.sources[s].unseen_mass);
  }
  for (std::size_t a = 0; a < atlas.attractors.size(); ++a) {
    const Attractor& one = atlas.attractors[a];
    nlohmann::json& entry = text["attractors"][a];
    entry["share"] = share(atlas.share(static_cast<index_t>(a)));
    entry["rate"] = one.rate;
    entry["residual"] = one.residual;
    entry["error"] = one.error;
    entry["spread"] = one.spread;
    entry["norm"] = one.center.col(0).norm();
    entry["center"] = nlohmann::json::array();
    for (index_t i = 0; i < one.center.cols(); ++i) {
      const Eigen::VectorXd point = one.center.col(i);
      entry["center"].push_back(std::vector<double>(point.begin(), point.end()));
    }
    entry["spectrum"] = nlohmann::json::array();
    for (index_t i = 0; i < one.spectrum.size(); ++i) {
      entry["spectrum"].push_back({one.spectrum.values[i].real(), one.spectrum.values[i].imag()});
    }
  }
  return text;
}

/// Reads the JSON of the metadata, field by field, and refuses what does not fit.
class AtlasText {
 public:
  AtlasText(const nlohmann::json& object, std::string file, std::string where)
      : object_(object), file_(std::move(file)), where_(std::move(where)) {
    if (!object_.is_object()) refuse("is no object");
  }

  [[noreturn]] void refuse(const std::string& reason) const {
    // The text stands in the header, which begins at byte 8.
    throw file_error(file_ + ": byte 8: __metadata__: '" + where_ + "' " + reason);
  }
  [[nodiscard]] const nlohmann::json& field(const char* name) const {
    const auto found = object_.find(name);
    if (found == object_.end()) refuse("has no '" + std::string(name) + "'");
    return *found;
  }
  [[nodiscard]] std::string text(const char* name) const {
    const nlohmann::json& value = field(name);
    if (!value.is_string()) refuse("has '" + std::string(name) + "' that is no text");
    return value.get<std::string>();
  }
  [[nodiscard]] bool truth(const char* name) const {
    const nlohmann::json& value = field(name);
    if (!value.is_boolean()) refuse("has '" + std::string(name) + "' that is no truth value");
    return value.get<bool>();
  }
  [[nodiscard]] index_t number(const char* name) const { return whole(field(name), name); }
  [[nodiscard]] index_t whole(const nlohmann::json& value, const char* name) const {
    constexpr auto most = std::uint64_t{1} << 53;
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) {
      refuse("has '" + std::string(name) + "' that is no whole number from 0 to 2^53");
    }
    return static_cast<index_t>(value.get<std::uint64_t>());
  }
  [[nodiscard]] const nlohmann::json& array(const char* name) const {
    const nlohmann::json& value = field(name);
    if (!value.is_array()) refuse("has '" + std::string(name) + "' that is no array");
    return value;
  }
  [[nodiscard]] AtlasText object(const char* name) const {
    return {field(name), file_, where_ + "." + name};
  }
  [[nodiscard]] AtlasText entry(const char* name, std::size_t i) const {
    return {array(name)[i], file_, where_ + "." + name + "[" + std::to_string(i) + "]"};
  }
  /// The enumerator of this name, of those up to `last`.
  template <class Enum>
  [[nodiscard]] Enum name_of(const char* name, Enum last) const {
    const std::string value = text(name);
    for (int i = 0; i <= static_cast<int>(last); ++i) {
      if (to_string(static_cast<Enum>(i)) == value) return static_cast<Enum>(i);
    }
    refuse("has an unknown '" + std::string(name) + "': " + value.substr(0, 40));
  }

 private:
  const nlohmann::json& object_;
  std::string file_, where_;
};

}  // namespace basin::detail
