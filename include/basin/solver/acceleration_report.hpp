/// @file
/// What an accelerator says of a column.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace basin {

/// What the steps of a column show of the map's slowest modes.
enum class dominant_modes : std::uint8_t {
  unknown,   ///< too few steps
  fast,      ///< of a rate below which acceleration saves nothing
  one_real,  ///< one real mode: each step is the one before times a number
  two_real,  ///< two real modes
  pair,      ///< a complex pair: the trajectory turns
  many,      ///< more than two, or a map that is not linear there: no step is foretold
};

[[nodiscard]] constexpr std::string_view to_string(dominant_modes modes) noexcept {
  switch (modes) {
    case dominant_modes::unknown:
      return "too few steps";
    case dominant_modes::fast:
      return "fast";
    case dominant_modes::one_real:
      return "one real mode";
    case dominant_modes::two_real:
      return "two real modes";
    case dominant_modes::pair:
      return "a complex pair";
    case dominant_modes::many:
      return "many modes";
  }
  return "?";
}

/// What an accelerator measured of a column, what it chose by that, and what became of it: as of
/// the latest leap or step to a limit, or of the end where there was none.
struct acceleration_report {
  dominant_modes modes = dominant_modes::unknown;  ///< the reason of the choice
  bool cautious = false;        ///< of `automatic`: followed by its settings `cautious`
  std::int32_t window = 0;      ///< of Anderson's acceleration, at most k of it used; 0: none
  float rate = 0;               ///< modulus of the slowest mode, by the steps; 0 where unknown
  float angle = 0;              ///< of a complex pair, in radians
  std::int32_t leaps = 0;       ///< steps that stood for several iterations
  std::int32_t limits = 0;      ///< steps to the limit
  std::int32_t taken_back = 0;  ///< of both, those that the next evaluation refuted

  friend bool operator==(const acceleration_report&, const acceleration_report&) = default;
};

/// A report in words: "one real mode (rate 0.981): window 1; 12 leaps, 1 step to the limit,
/// 2 taken back".
[[nodiscard]] inline std::string to_string(const acceleration_report& report) {
  const auto number = [](float x) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", static_cast<double>(x));
    return std::string(text);
  };
  const auto counted = [](std::int32_t n, const char* one, const char* several) {
    return std::to_string(n) + (n == 1 ? one : several);
  };
  std::string text(to_string(report.modes));
  if (report.modes != dominant_modes::unknown) {
    text += " (rate " + number(report.rate);
    if (report.modes == dominant_modes::pair) text += ", angle " + number(report.angle);
    text += ")";
  }
  text += report.window > 0 ? ": window " + std::to_string(report.window) : ": plain iterations";
  if (report.cautious) text += ", cautious";
  text += "; " + counted(report.leaps, " leap, ", " leaps, ");
  text += counted(report.limits, " step to the limit, ", " steps to the limit, ");
  return text + std::to_string(report.taken_back) + " taken back";
}

}  // namespace basin
