// Options of the examples' command lines.
#pragma once

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>

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
    if (++at_ >= argc_) throw basin::argument_error(std::string(name_) + ": a value is missing");
    return argv_[at_];
  }
  template <class Number>
  Number number() {
    return number_of<Number>(text());
  }
  template <class Number>
  Number at_least(Number least) {
    const auto value = number<Number>();
    if (!(value >= least)) {
      throw basin::argument_error(std::string(name_) + " must be at least " +
                                  std::to_string(least));
    }
    return value;
  }
  template <class Number>
  [[nodiscard]] Number number_of(std::string_view text) const {
    Number value{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc{} || end != text.data() + text.size()) {
      throw basin::argument_error(std::string(name_) + ": '" + std::string(text) +
                                  "' is not a number of its kind");
    }
    return value;
  }
  [[noreturn]] void unknown() const {
    throw basin::argument_error(std::string(name_) + ": unknown option; --help lists them");
  }

 private:
  int argc_;
  char** argv_;
  const char* usage_;
  int at_ = 0;
  std::string_view name_;
};

}  // namespace options
