/// @file
/// Tables as comma-separated text (RFC 4180).
#pragma once

#include <charconv>
#include <concepts>
#include <fstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <basin/core/error.hpp>

namespace basin {

/// Writes a table row by row. Numbers keep every digit that is needed to read back the
/// same bits; text is quoted where it must be.
///
/// @code
/// #include <basin/io/csv.hpp>
///
/// int main() {
///   basin::CsvWriter table("table.csv");
///   table.row("start", "status", "residual");
///   table.row(0, "converged", 1e-9);
///   table.close();
/// }
/// @endcode
class CsvWriter {
 public:
  /// @throws file_error if the file cannot be opened
  explicit CsvWriter(std::string path) : path_(std::move(path)), file_(path_, std::ios::trunc) {
    if (!file_) throw file_error(path_ + ": cannot be opened for writing");
  }

  /// Appends a row of texts and numbers.
  template <class... Cells>
  void row(const Cells&... cells) {
    (cell(cells), ...);
    end_row();
  }
  /// Appends one cell to the present row.
  template <class T>
  void cell(const T& value) {
    if (!std::exchange(first_, false)) file_ << ',';
    if constexpr (std::is_arithmetic_v<T>) {
      char text[40];
      const auto end = std::to_chars(text, text + sizeof text, value).ptr;
      file_.write(text, end - text);
    } else {
      write_text(std::string_view(value));
    }
  }
  void end_row() {
    file_ << '\n';
    first_ = true;
  }
  /// Flushes the table.
  /// @throws file_error if anything could not be written
  void close() {
    file_.close();
    if (!file_) throw file_error(path_ + ": cannot be written");
  }

 private:
  void write_text(std::string_view text) {
    if (text.find_first_of(",\"\n\r") == std::string_view::npos) {
      file_ << text;
      return;
    }
    file_ << '"';
    for (const char c : text) {
      if (c == '"') file_ << '"';
      file_ << c;
    }
    file_ << '"';
  }

  std::string path_;
  std::ofstream file_;
  bool first_ = true;
};

}  // namespace basin
