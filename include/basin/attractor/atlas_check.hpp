/// @file
/// What an atlas must satisfy, so that its parts say the same.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/atlas.hpp>
#include <basin/attractor/discovery.hpp>
#include <basin/attractor/unseen.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>

namespace basin {
namespace detail {

/// Looks through an atlas, and knows in which array of its file the part stands that it is at.
class AtlasCheck {
 public:
  /// @param atlas must outlive the check
  explicit AtlasCheck(const Atlas& atlas) : atlas_(atlas) {}

  /// The name of the array (atlas_file.hpp) that `run` was at; empty: what is text.
  [[nodiscard]] std::string_view array() const noexcept { return array_; }

  /// @throws size_error or argument_error, as `check`
  void run() {
    numbers();
    for (std::size_t a = 0; a < atlas_.attractors.size(); ++a) {
      attractor(atlas_.attractors[a], "attractors[" + std::to_string(a) + "].");
    }
    images();
    sample();
    unseen();
  }

 private:
  // What every reader of JSON takes for a whole number.
  static constexpr index_t most = index_t{1} << 53;

  static void size(const std::string& field, index_t actual, index_t expected) {
    require_size("Atlas", field, actual, expected);
  }
  static void value(bool holds, const std::string& field, const std::string& what) {
    if (!holds) throw_argument_error("Atlas", field + " " + what);
  }
  static void whole(const std::string& field, index_t x, index_t least = 0, index_t top = most) {
    if (x >= least && x <= top) return;
    throw_argument_error("Atlas", field + " is " + std::to_string(x) + ", must be in [" +
                                      std::to_string(least) + ", " + std::to_string(top) + "]");
  }
  template <class Enum>
  static void name(const std::string& field, Enum x) {
    value(to_string(x) != "unknown", field, "is no enumerator");
  }
  static void interval(const std::string& field, const interval_estimate& x, double top) {
    const bool holds = 0 <= x.lower && x.lower <= x.value && x.value <= x.upper && x.upper <= top;
    if (holds) return;  // of a NaN nothing does
    throw_argument_error("Atlas", field + " is " + std::to_string(x.value) + " in [" +
                                      std::to_string(x.lower) + ", " + std::to_string(x.upper) +
                                      "], must hold its value and lie in [0, " +
                                      std::to_string(top) + "]");
  }

  void numbers() const {
    whole("k", atlas_.k, atlas_.size() > 0 ? 1 : 0);
    whole("starts", atlas_.starts);
    whole("evaluations", atlas_.evaluations);
    whole("beside", atlas_.beside);
    name("ended", atlas_.ended);
  }

  void attractor(const Attractor& one, const std::string& at) {
    array_ = {};
    name(at + "kind", one.kind);
    name(at + "stability", one.stability);
    name(at + "flow_stability", one.flow_stability);
    name(at + "spectrum.status", one.spectrum.status);
    const bool point = one.kind == attractor_kind::point;
    whole(at + "period", one.period, one.kind == attractor_kind::cycle ? 2 : 1, point ? 1 : most);
    whole(at + "unstable", one.unstable, 0, atlas_.k);
    whole(at + "spectrum.products", one.spectrum.products);
    if (one.kind == attractor_kind::continuum) {
      whole("number of columns of " + at + "center", one.center.cols(), 1);
    } else {
      size("number of columns of " + at + "center", one.center.cols(), one.period);
    }
    size("number of rows of " + at + "center", one.center.rows(), atlas_.k);
    const index_t m = one.spectrum.size();
    whole("number of " + at + "spectrum.values", m, 0, atlas_.k);
    size("number of " + at + "spectrum.backward_error", one.spectrum.backward_error.size(), m);
    size("number of " + at + "spectrum.condition", one.spectrum.condition.size(), m);
    vectors(at + "spectrum.right", one.spectrum.right, m);
    vectors(at + "spectrum.left", one.spectrum.left, m);
    array_ = "points";
    for (index_t i = 0; i < one.center.size(); ++i) {
      value(is_finite(one.center.data()[i]), at + "center",
            "has the entry " + std::to_string(one.center.data()[i]) + ", must be finite");
    }
  }
  void vectors(const std::string& field, const Eigen::MatrixXcd& vectors, index_t m) const {
    if (vectors.size() == 0) return;
    size("number of columns of " + field, vectors.cols(), m);
    size("number of rows of " + field, vectors.rows(), atlas_.k);
  }

  void images() {
    array_ = {};
    index_t pixels = 1;
    for (const index_t length : atlas_.image_shape) {
      whole("an entry of image_shape", length, 1);
      value(length <= most / pixels, "image_shape", "has a product above 2^53");
      pixels *= length;
    }
    if (atlas_.size() == 0) return;
    array_ = "images";
    const index_t entries = atlas_.attractors.front().image.size();
    for (std::size_t a = 0; a < atlas_.attractors.size(); ++a) {
      size("number of entries of attractors[" + std::to_string(a) + "].image",
           atlas_.attractors[a].image.size(), entries);
    }
    if (entries > 0 && !atlas_.image_shape.empty()) {
      size("number of entries of an image", entries, pixels);
    }
  }

  // What the sources met, and what follows from it.
  void sample() {
    std::vector<index_t> met(atlas_.attractors.size());
    index_t left = atlas_.starts, decided = 0;
    for (std::size_t s = 0; s < atlas_.sources.size(); ++s) {
      const SourceReport& source = atlas_.sources[s];
      const std::string at = "sources[" + std::to_string(s) + "].";
      array_ = {};
      size("number of " + at + "counts", static_cast<index_t>(source.counts.size()), atlas_.size());
      // Of what the sources before left of all starts.
      whole(at + "starts", source.starts, 0, left);
      whole(at + "undecided", source.undecided, 0, left - source.starts);
      left -= source.starts + source.undecided;
      decided += source.starts;
      array_ = "counts";
      index_t elsewhere = source.starts;
      for (std::size_t a = 0; a < met.size(); ++a) {
        whole(at + "counts[" + std::to_string(a) + "]", source.counts[a], 0, elsewhere);
        elsewhere -= source.counts[a];
        met[a] += source.counts[a];
      }
      array_ = "sources";
      interval(at + "unseen_mass", source.unseen_mass, 1);
    }
    array_ = {};
    for (std::size_t s = 0; s < atlas_.sources.size(); ++s) {
      const SourceReport& source = atlas_.sources[s];
      index_t alone = 0;
      for (std::size_t a = 0; a < met.size(); ++a) {
        if (met[a] > 0 && source.counts[a] == met[a]) ++alone;
      }
      size("sources[" + std::to_string(s) + "].alone", source.alone, alone);
    }
    index_t seen = 0, once = 0;
    for (const index_t count : met) {
      if (count > 0) ++seen;
      if (count == 1) ++once;
    }
    size("unseen.starts", atlas_.unseen.starts, decided);
    size("unseen.seen", atlas_.unseen.seen, seen);
    size("unseen.once", atlas_.unseen.once, once);
    size("beside", atlas_.beside, atlas_.size() - seen);
  }

  void unseen() {
    array_ = "unseen";
    const UnseenEstimate& x = atlas_.unseen;
    const double any = std::numeric_limits<double>::infinity();
    interval("unseen.mass", x.mass, 1);
    interval("unseen.remaining", x.remaining, any);
    interval("unseen.next", x.next, any);
    value(x.times > 0 && x.times < 1e9, "unseen.times",
          "is " + std::to_string(x.times) + ", must be in (0, 1e9)");
    value(x.confidence > 0 && x.confidence < 1, "unseen.confidence",
          "is " + std::to_string(x.confidence) + ", must be in (0, 1)");
  }

  const Atlas& atlas_;
  std::string_view array_;
};

}  // namespace detail

/// Refuses an atlas whose parts do not say the same. What `make_atlas` and `add_images` make
/// passes.
/// @throws size_error that names the field and both numbers, if two disagree: rows of centres and
///   eigenvectors and k, columns of a centre and the period, values of a spectrum and their errors,
///   counts of a source and the attractors, images among each other and with `image_shape`, and
///   what follows from the counts: `alone`, `beside`, and the starts, seen and once of `unseen`
/// @throws argument_error that names the field and the number, if one is out of its range:
///   negative, a period that does not fit the kind, a point that is not finite, more starts of the
///   sources than `starts` or more met than started, an interval that does not hold its value
/// Cost: a look at every centre and count. Measured numbers may be anything, NaN where unknown.
inline void check(const Atlas& atlas) { detail::AtlasCheck(atlas).run(); }

}  // namespace basin
