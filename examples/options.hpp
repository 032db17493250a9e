// Options of the examples' command lines.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <basin/core/error.hpp>

namespace options {

// Walks through the arguments: while (read.next()) if (read.is("--seed")) seed =
// read.number<int>().
class Reader {
 public:
  Reader(int argc, char** argv, const char* usage) : argc_(argc), argv_(argv), usage_(usage) {}

  // False at the end. Prints the usage and ends the program where help is asked for.
  bool next() {
    if (++at_ >= argc_) return false;
    name_ = argv_[at_];
    if (name_ == "--help" || name_ == "-h") {
      std::printf("%s", usage_);
      std::exit(0);
    }
    return true;
  }
  [[nodiscard]] bool is(std::string_view name) const { return name_ == name; }
  [[nodiscard]] bool is_option() const { return name_.starts_with("-"); }
  [[nodiscard]] std::string argument() const { return std::string(name_); }

  // The value behind the option.
  std::string_view text() {
    if (++at_ >= argc_) refuse("a value is missing");
    return argv_[at_];
  }
  template <class Number>
  Number number() {
    return number_of<Number>(text());
  }
  template <class Number>
  Number at_least(Number least) {
    const std::string_view value = text();
    const auto x = number_of<Number>(value);
    if (!(x >= least && x <= std::numeric_limits<Number>::max())) {
      refuse(std::string("must be ") + (std::floating_point<Number> ? "finite and " : "") +
             "at least " + text_of(least) + ", not " + std::string(value));
    }
    return x;
  }
  double positive() {
    const std::string_view value = text();
    const auto x = number_of<double>(value);
    if (!(x > 0 && x <= std::numeric_limits<double>::max())) {
      refuse("must be positive and finite, not " + std::string(value));
    }
    return x;
  }
  // Numbers with commas between them, at least one.
  template <class Number>
  std::vector<Number> list() {
    std::string_view value = text();
    std::vector<Number> numbers;
    while (true) {
      const std::size_t comma = value.find(',');
      numbers.push_back(number_of<Number>(value.substr(0, comma)));
      if (comma == std::string_view::npos) return numbers;
      value.remove_prefix(comma + 1);
    }
  }
  template <class Number>
  [[nodiscard]] Number number_of(std::string_view text) const {
    Number value{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure == std::errc::result_out_of_range) {
      refuse("'" + std::string(text) + "' is out of range");
    }
    if (failure != std::errc{} || end != text.data() + text.size()) {
      refuse("'" + std::string(text) + "' is no " +
             (std::floating_point<Number>      ? "number"
              : std::unsigned_integral<Number> ? "whole number of at least 0"
                                               : "whole number"));
    }
    return value;
  }
  [[noreturn]] void refuse(const std::string& reason) const {
    throw basin::argument_error(std::string(name_) + ": " + reason);
  }
  [[noreturn]] void unknown() const {
    const std::size_t equals = name_.find('=');
    if (is_option() && equals != std::string_view::npos) {
      refuse("a value stands behind a space: " + std::string(name_.substr(0, equals)) + " " +
             std::string(name_.substr(equals + 1)));
    }
    refuse("unknown option; --help lists them");
  }

  template <class Number>
  static std::string text_of(Number x) {
    char text[32];
    return {text, std::to_chars(text, text + sizeof text, x).ptr};
  }

 private:
  int argc_;
  char** argv_;
  const char* usage_;
  int at_ = 0;
  std::string_view name_;
};

// Says of what is refused within `read` whose option's value it was.
template <class Read>
auto of_option(const char* option, const Read& read) {
  try {
    return read();
  } catch (const basin::error& e) {
    throw basin::argument_error(std::string(option) + ": " + e.what());
  }
}

}  // namespace options
