// Curves with error bars as an SVG file: no more than the examples' pictures need.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <basin/core/error.hpp>

namespace plot {

struct curve {
  std::string label;
  std::string color;
  std::vector<double> x = {}, y = {}, error = {};  // of equal size; error may be empty
  bool dashed = false;
  bool joined = true;  // by lines
};

// A pair of axes; values of y beyond them are drawn at their ends.
struct panel {
  std::string title, x_label, y_label;
  double y_least = 0, y_most = 1, y_step = 0.2;
  std::vector<curve> curves = {};
  bool x_logarithmic = true;
};

// A step of 1, 2 or 5 times a power of ten that divides a range into about five.
inline double round_step(double range) {
  const double decade = std::pow(10, std::floor(std::log10(range / 5)));
  const double left = range / 5 / decade;
  return decade * (left < 1.5 ? 1 : left < 3.5 ? 2 : left < 7.5 ? 5 : 10);
}

// The panel with a range of y that holds all its curves with their errors.
inline panel fitted(panel p) {
  double least = INFINITY, most = -INFINITY;
  for (const curve& c : p.curves) {
    for (std::size_t j = 0; j < c.y.size(); ++j) {
      const double error = c.error.empty() || !std::isfinite(c.error[j]) ? 0 : c.error[j];
      if (!std::isfinite(c.y[j])) continue;
      least = std::min(least, c.y[j] - error);
      most = std::max(most, c.y[j] + error);
    }
  }
  if (!(most >= least)) return p;
  const double margin = most > least ? 0.04 * (most - least) : std::max(0.1, 0.1 * std::abs(most));
  p.y_step = round_step(most - least + 2 * margin);
  p.y_least = p.y_step * std::floor((least - margin) / p.y_step);
  // What cannot be negative starts at 0.
  if (least >= 0) p.y_least = std::max(0.0, p.y_least);
  p.y_most = p.y_step * std::ceil((most + margin) / p.y_step);
  return p;
}

// Text with what XML gives a meaning replaced.
inline std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    safe += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  }
  return safe;
}

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

// Panels beside each other, each with its legend below.
inline void write_svg(const std::string& path, const std::vector<panel>& panels) {
  constexpr double width = 460, left = 64, right = 16, top = 40, height = 260, below = 50;
  std::size_t lines = 0;
  for (const panel& p : panels) lines = std::max(lines, p.curves.size());
  const double whole = top + height + below + 20 * static_cast<double>(lines) + 8;
  std::string svg = format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" "
      "height=\"%g\" font-family=\"sans-serif\" font-size=\"13\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      width * static_cast<double>(panels.size()), whole, width * static_cast<double>(panels.size()),
      whole);
  const auto text = [&](double x, double y, const char* more, const std::string& what) {
    svg += format("<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, more) + escaped(what) + "</text>\n";
  };
  const auto line = [&](double x1, double y1, double x2, double y2, const std::string& more) {
    svg += format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" ", x1, y1, x2, y2) + more +
           "/>\n";
  };
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const panel& p = panels[i];
    const double origin = width * static_cast<double>(i) + left;
    const double wide = width - left - right;
    double least = INFINITY, most = -INFINITY;
    for (const curve& c : p.curves) {
      for (const double x : c.x) {
        least = std::min(least, x);
        most = std::max(most, x);
      }
    }
    if (p.x_logarithmic) {
      least /= 1.15;
      most *= 1.15;
    } else {
      const double margin = most > least ? 0.03 * (most - least) : 1;
      least -= margin;
      most += margin;
    }
    const auto at_x = [&](double x) {
      return origin + wide * (p.x_logarithmic ? std::log(x / least) / std::log(most / least)
                                              : (x - least) / (most - least));
    };
    const auto at_y = [&](double y) {
      const double clipped = std::clamp(y, p.y_least, p.y_most);
      return top + height * (p.y_most - clipped) / (p.y_most - p.y_least);
    };
    text(origin + wide / 2, top - 14, "text-anchor=\"middle\" font-weight=\"bold\"", p.title);
    text(origin + wide / 2, top + height + 38, "text-anchor=\"middle\"", p.x_label);
    svg += format("<g transform=\"rotate(-90 %.1f %.1f)\">", origin - 50, top + height / 2);
    text(origin - 50, top + height / 2, "text-anchor=\"middle\"", p.y_label);
    svg += "</g>\n";
    const int ticks = static_cast<int>(std::floor((p.y_most - p.y_least) / p.y_step + 1e-9));
    for (int t = 0; t <= ticks; ++t) {
      const double y = p.y_least + t * p.y_step;
      line(origin, at_y(y), origin + wide, at_y(y), "stroke=\"#ddd\"");
      text(origin - 6, at_y(y) + 4, "text-anchor=\"end\"", format("%g", std::round(y * 1e6) / 1e6));
    }
    const auto x_tick = [&](double x) {
      if (x < least || x > most) return;
      line(at_x(x), top, at_x(x), top + height, "stroke=\"#eee\"");
      text(at_x(x), top + height + 18, "text-anchor=\"middle\"", format("%g", x));
    };
    if (p.x_logarithmic) {
      for (double decade = std::pow(10, std::floor(std::log10(least))); decade <= most;
           decade *= 10) {
        for (const double digit : {1.0, 2.0, 5.0}) x_tick(digit * decade);
      }
    } else {
      const double step = round_step(most - least);
      for (double t = std::ceil(least / step); t * step <= most; ++t) x_tick(t * step + 0.0);
    }
    svg += format(
        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" "
        "stroke=\"#444\"/>\n",
        origin, top, wide, height);
    for (std::size_t n = 0; n < p.curves.size(); ++n) {
      const curve& c = p.curves[n];
      const std::string stroke = "stroke=\"" + c.color + "\" stroke-width=\"2\"" +
                                 (c.dashed ? " stroke-dasharray=\"6 4\"" : "");
      std::string points;
      for (std::size_t j = 0; j < c.x.size(); ++j) {
        if (!std::isfinite(c.y[j])) continue;
        points += format("%.1f,%.1f ", at_x(c.x[j]), at_y(c.y[j]));
        if (c.dashed) continue;
        svg += format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", at_x(c.x[j]),
                      at_y(c.y[j]), c.color.c_str());
        if (c.error.empty() || !(c.error[j] > 0)) continue;
        const double x = at_x(c.x[j]);
        const double low = at_y(c.y[j] - c.error[j]), high = at_y(c.y[j] + c.error[j]);
        const std::string thin = "stroke=\"" + c.color + "\" stroke-width=\"1.3\"";
        line(x, low, x, high, thin);
        line(x - 4, low, x + 4, low, thin);
        line(x - 4, high, x + 4, high, thin);
      }
      if (c.joined) svg += "<polyline fill=\"none\" " + stroke + " points=\"" + points + "\"/>\n";
      const double y = top + height + below + 14 + 20 * static_cast<double>(n);
      line(origin, y - 4, origin + 28, y - 4, stroke);
      text(origin + 36, y, "", c.label);
    }
  }
  std::ofstream file(path, std::ios::binary);
  file << svg << "</svg>\n";
  file.close();
  if (!file) throw basin::file_error(path + ": could not be written");
}

}  // namespace plot
