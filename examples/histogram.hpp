// Histograms of scores as an SVG file: filled steps, a panel a score.
#pragma once

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <basin/core/error.hpp>

#include "plot.hpp"

namespace histogram {

struct group {
  std::string label, color;
  Eigen::VectorXd values;
};

// With a logarithmic axis where all values are positive and span more than a factor of 30.
struct panel {
  std::string title, x_label;
  std::vector<group> groups;
};

inline void write_svg(const std::string& path, const std::vector<panel>& panels) {
  constexpr double width = 420, left = 52, right = 16, top = 40, height = 220, below = 50;
  constexpr int bins = 40;
  using plot::format;
  std::size_t lines = 0;
  for (const panel& p : panels) lines = std::max(lines, p.groups.size());
  const double all = width * static_cast<double>(panels.size());
  const double whole = top + height + below + 20 * static_cast<double>(lines) + 8;
  std::string svg = format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" "
      "height=\"%g\" font-family=\"sans-serif\" font-size=\"13\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      all, whole, all, whole);
  const auto text = [&](double x, double y, const char* more, const std::string& what) {
    svg +=
        format("<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, more) + plot::escaped(what) + "</text>\n";
  };
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const panel& p = panels[i];
    const double origin = width * static_cast<double>(i) + left, wide = width - left - right;
    double least = INFINITY, most = -INFINITY;
    for (const group& g : p.groups) {
      least = std::min(least, g.values.minCoeff());
      most = std::max(most, g.values.maxCoeff());
    }
    const bool logarithmic = least > 0 && most > 30 * least;
    if (!(most > least)) most = least + 1;
    const auto place = [&](double x) {  // from 0 to 1
      return logarithmic ? std::log(x / least) / std::log(most / least)
                         : (x - least) / (most - least);
    };
    std::vector<std::vector<double>> shares;
    double highest = 0;
    for (const group& g : p.groups) {
      std::vector<double>& share = shares.emplace_back(bins, 0.0);
      for (const double x : g.values) {
        share[static_cast<std::size_t>(
            std::clamp(static_cast<int>(bins * place(x)), 0, bins - 1))] +=
            1 / static_cast<double>(g.values.size());
      }
      highest = std::max(highest, *std::max_element(share.begin(), share.end()));
    }
    text(origin + wide / 2, top - 14, "text-anchor=\"middle\" font-weight=\"bold\"", p.title);
    text(origin + wide / 2, top + height + 38, "text-anchor=\"middle\"", p.x_label);
    const auto tick = [&](double x) {
      const double at = origin + wide * place(x);
      svg += format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", at,
                    top, at, top + height);
      text(at, top + height + 18, "text-anchor=\"middle\"", format("%g", x));
    };
    if (logarithmic) {
      // Not more than about eight labels.
      const double decades = std::log10(most / least);
      const double step = std::ceil(decades / 8);
      for (double d = std::ceil(std::log10(least)); d <= std::log10(most); d += step) {
        tick(std::pow(10, d));
        if (decades > 2) continue;
        for (const double digit : {2.0, 5.0}) {
          if (digit * std::pow(10, d) < most) tick(digit * std::pow(10, d));
        }
      }
    } else {
      const double step = plot::round_step(most - least);
      for (double t = std::ceil(least / step); t * step <= most; ++t) tick(t * step + 0.0);
    }
    for (std::size_t g = 0; g < p.groups.size(); ++g) {
      std::string points = format("%.1f,%.1f ", origin, top + height);
      for (int b = 0; b < bins; ++b) {
        const double y = top + height * (1 - shares[g][static_cast<std::size_t>(b)] / highest);
        points += format("%.1f,%.1f %.1f,%.1f ", origin + wide * b / bins, y,
                         origin + wide * (b + 1) / bins, y);
      }
      points += format("%.1f,%.1f", origin + wide, top + height);
      const std::string& color = p.groups[g].color;
      svg += "<polygon points=\"" + points + "\" fill=\"" + color +
             "\" fill-opacity=\"0.18\" stroke=\"" + color + "\" stroke-width=\"1.6\"/>\n";
      const double y = top + height + below + 14 + 20 * static_cast<double>(g);
      svg += format("<rect x=\"%.1f\" y=\"%.1f\" width=\"28\" height=\"11\" fill=\"%s\" ", origin,
                    y - 10, color.c_str()) +
             "fill-opacity=\"0.18\" stroke=\"" + color + "\"/>\n";
      text(origin + 36, y, "", p.groups[g].label);
    }
    svg += format(
        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" "
        "stroke=\"#444\"/>\n",
        origin, top, wide, height);
    svg += format("<g transform=\"rotate(-90 %.1f %.1f)\">", origin - 14, top + height / 2);
    text(origin - 14, top + height / 2, "text-anchor=\"middle\"", "share of the samples");
    svg += "</g>\n";
  }
  std::ofstream file(path, std::ios::binary);
  file << svg << "</svg>\n";
  file.close();
  if (!file) throw basin::file_error(path + ": could not be written");
}

}  // namespace histogram
