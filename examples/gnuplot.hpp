// Pictures by gnuplot, where there is one: the script and its data are written in any case, so that
// they can be drawn, or changed, later.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <string>
#include <string_view>
#include <utility>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace gnuplot {

// Colours that people with any kind of colour vision tell apart: Okabe and Ito's (2008), then
// Tol's muted ones; beyond, they repeat.
inline std::string color(basin::index_t number) {
  static constexpr std::array<const char*, 16> colors{
      "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#882255",
      "#332288", "#44AA99", "#999933", "#AA4499", "#117733", "#DDCC77", "#CC6677", "#88CCEE"};
  return colors[static_cast<std::size_t>(number) % colors.size()];
}

// Viridis by Smith and van der Walt: perceptually uniform.
inline constexpr const char* viridis =
    "set palette defined (0 '#440154', 1 '#482878', 2 '#3e4989', 3 '#31688e', 4 '#26828e', "
    "5 '#1f9e89', 6 '#35b779', 7 '#6ece58', 8 '#b5de2b', 9 '#fde725')\n";

// Text between single quotes, for gnuplot or for a shell.
inline std::string quoted(const std::string& text, const char* quote) {
  std::string safe = "'";
  for (const char c : text) safe += c == '\'' ? std::string(quote) : std::string(1, c);
  return safe + "'";
}

// Text as it is, of several lines if need be, for titles: no character has a meaning.
inline std::string plain(const std::string& text) {
  std::string safe = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') safe += '\\';
    safe += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return safe + "\" noenhanced";
}

// Writes FOLDER/plots/NAME.gp and what it reads, and draws FOLDER/NAME.png.
class Plotter {
 public:
  explicit Plotter(std::string folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_ + "/plots");
    found_ = std::system("command -v gnuplot >/dev/null 2>&1") == 0;
  }

  [[nodiscard]] bool found() const noexcept { return found_; }

  // A file of numbers beside the scripts, by a function that writes to the stream.
  template <class Write>
  void data(const std::string& name, Write&& write) const {
    const std::string path = folder_ + "/plots/" + name;
    std::ofstream file(path);
    file << std::setprecision(7);
    write(file);
    file.close();
    if (!file) throw basin::file_error(path + ": could not be written");
  }

  // Draws a picture of width × height pixels. The script reads its data as plots/....
  // False where there is no gnuplot, or it failed; why stands in plots/NAME.log then.
  bool draw(const std::string& name, int width, int height, const std::string& script) const {
    data(name + ".gp", [&](std::ostream& out) {
      out << "# Draws " << name << ".png; run it from the folder above.\n"
          << "set terminal pngcairo size " << width << ',' << height
          << " font 'sans,13' background '#ffffff'\n"
          << "set output '" << name << ".png'\nset border lc rgb '#444444'\n"
          << "set tics nomirror\n"
          << script << "unset output\n";
    });
    if (!found_) return false;
    const std::string command = "cd " + quoted(folder_, "'\\''") + " && gnuplot plots/" + name +
                                ".gp >plots/" + name + ".log 2>&1";
    if (std::system(command.c_str()) != 0) return false;
    std::filesystem::remove(folder_ + "/plots/" + name + ".log");
    return true;
  }

 private:
  std::string folder_;
  bool found_ = false;
};

// A printf of one line.
template <class... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 512> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

}  // namespace gnuplot
