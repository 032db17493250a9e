// The pictures of examples/explore.cpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <basin/core/index.hpp>
#include <basin/nn/tensor_shape.hpp>

#include "gnuplot.hpp"

namespace pictures {

using basin::index_t;
using gnuplot::format;

// What is known of the plane that is drawn; coordinates are those of the plane.
struct plane_view {
  std::string x_label, y_label, remark;  // the remark says which plane it is
  Eigen::Vector2d lower{-1, -1}, upper{1, 1};
  index_t grid = 0;             // points a side, of the field
  index_t basin_grid = 0;       // and of the basins
  Eigen::MatrixXd velocity;     // 2 × grid²
  Eigen::VectorXd norm;         // grid², of all of f(z) - z
  std::vector<index_t> labels;  // basin_grid², attractor of each point, negative: none
  Eigen::MatrixXd attractors;   // 2 × M
  std::string grey;             // why points have no attractor; empty where all have one
  std::vector<Eigen::MatrixXd> trajectories;  // 2 × length each
};

inline std::string frame(const plane_view& view, const std::string& title, const std::string& key) {
  return format("set xrange [%.7g:%.7g]\nset yrange [%.7g:%.7g]\nset size ratio -1\nset key off\n",
                view.lower[0], view.upper[0], view.lower[1], view.upper[1]) +
         "set xlabel " + gnuplot::quoted(view.x_label, "''") + "\nset ylabel " +
         gnuplot::quoted(view.y_label, "''") + "\nset title " +
         gnuplot::plain(title + (view.remark.empty() ? "" : "\n" + view.remark)) +
         "\nset label 1 " + gnuplot::plain(key) +
         " at screen 0.5, 0.062 center font 'sans,11'\nset bmargin at screen 0.15\n";
}

// Of a picture 860 pixels high, whose frame is some 720 high.
inline int width(const plane_view& view) {
  const Eigen::Vector2d size = view.upper - view.lower;
  return static_cast<int>(std::clamp(720 * size[0] / size[1], 500.0, 1000.0)) + 110;
}

// Where the numbered circle of each attractor stands: there, or where it would cover an earlier
// one, at the nearest place around that is free.
inline Eigen::Matrix2Xd circles(const plane_view& view) {
  const double diameter =
      ((view.upper - view.lower).array() / Eigen::Array2d(1000, 720)).maxCoeff() * 23;
  Eigen::Matrix2Xd at = view.attractors;
  for (index_t a = 1; a < at.cols(); ++a) {
    const auto is_free = [&](const Eigen::Vector2d& place) {
      for (index_t b = 0; b < a; ++b) {
        if (std::hypot(at(0, b) - place[0], at(1, b) - place[1]) < diameter) return false;
      }
      return true;
    };
    for (int ring = 0; ring <= 8 && !is_free(at.col(a)); ++ring) {
      for (int turn = 0; turn < 12; ++turn) {
        const double angle = std::acos(-1.0) * turn / 6;
        const Eigen::Vector2d place =
            view.attractors.col(a) +
            0.5 * (ring + 1) * diameter * Eigen::Vector2d(std::cos(angle), std::sin(angle));
        if (!is_free(place)) continue;
        at.col(a) = place;
        break;
      }
    }
  }
  return at;
}

inline void write_attractors(const gnuplot::Plotter& plots, const plane_view& view) {
  const Eigen::Matrix2Xd circle = circles(view);
  plots.data("attractors.dat", [&](std::ostream& out) {
    out << "# coordinates on the plane, number, where the number stands\n";
    for (index_t a = 0; a < view.attractors.cols(); ++a) {
      out << view.attractors(0, a) << ' ' << view.attractors(1, a) << ' ' << a + 1 << ' '
          << circle(0, a) << ' ' << circle(1, a) << '\n';
    }
  });
}
inline const std::string attractor_marks =
    "'plots/attractors.dat' using 1:2:($4-$1):($5-$2) with vectors nohead lw 3 lc rgb 'white', "
    "\\\n"
    "  '' using 1:2:($4-$1):($5-$2) with vectors nohead lw 1.2 lc rgb 'black', \\\n"
    "  '' using 1:2 with points pt 7 ps 0.6 lc rgb 'black', \\\n"
    "  '' using 4:5 with points pt 7 ps 2.6 lc rgb 'white', \\\n"
    "  '' using 4:5 with points pt 6 ps 2.6 lw 1.5 lc rgb 'black', \\\n"
    "  '' using 4:5:(sprintf('%d', $3)) with labels font 'sans,10'\n";

// Norm of the field as colour, its direction as arrows, attractors and trajectories.
inline bool draw_field(const gnuplot::Plotter& plots, const plane_view& view) {
  const auto at = [&](index_t i, int axis) {
    return view.lower[axis] + (view.upper[axis] - view.lower[axis]) * static_cast<double>(i) /
                                  static_cast<double>(view.grid - 1);
  };
  double least = INFINITY, most = -INFINITY;
  plots.data("field.dat", [&](std::ostream& out) {
    out << "# coordinates on the plane, log10 of the norm of f(z) - z\n";
    for (index_t j = 0; j < view.grid; ++j) {
      for (index_t i = 0; i < view.grid; ++i) {
        const double norm = view.norm[j * view.grid + i];
        const double value = std::log10(std::max(norm, 1e-12));
        if (std::isfinite(value)) {
          least = std::min(least, value);
          most = std::max(most, value);
        }
        out << at(i, 0) << ' ' << at(j, 1) << ' ' << value << '\n';
      }
    }
  });
  const index_t step = std::max<index_t>(1, view.grid / 24);
  const double length = 0.6 * static_cast<double>(step) / static_cast<double>(view.grid - 1);
  plots.data("arrows.dat", [&](std::ostream& out) {
    out << "# coordinates, direction of the part of f(z) - z within the plane\n";
    for (index_t j = step / 2; j < view.grid; j += step) {
      for (index_t i = step / 2; i < view.grid; i += step) {
        Eigen::Vector2d v = view.velocity.col(j * view.grid + i);
        const Eigen::Vector2d scale = length * (view.upper - view.lower);
        const double norm = v.norm();
        if (!(norm > 0) || !std::isfinite(norm)) continue;
        v *= scale.minCoeff() / norm;
        out << at(i, 0) - v[0] / 2 << ' ' << at(j, 1) - v[1] / 2 << ' ' << v[0] << ' ' << v[1]
            << '\n';
      }
    }
  });
  plots.data("trajectories.dat", [&](std::ostream& out) {
    out << "# coordinates of the states of one start a block\n";
    for (const Eigen::MatrixXd& path : view.trajectories) {
      for (index_t t = 0; t < path.cols(); ++t) out << path(0, t) << ' ' << path(1, t) << '\n';
      out << '\n';
    }
  });
  write_attractors(plots, view);
  const double floor = std::max(std::floor(2 * least) / 2, most - 6);
  return plots.draw(
      "field", width(view) + 110, 860,
      std::string(gnuplot::viridis) +
          frame(view, "Latent vector field v(z) = f(z) - z",
                "circles: attractors, the most met first\nwhite lines: " +
                    std::to_string(view.trajectories.size()) +
                    " orbits, a dot an iteration; arrows: direction") +
          "set format cb '10^{%g}'\nset cblabel 'norm of f(z) - z'\n" +
          format("set cbrange [%.3g:%.3g]\nset cbtics 1\n", floor, std::max(most, floor + 0.1)) +
          "plot 'plots/field.dat' using 1:2:3 with image notitle, \\\n"
          "  'plots/arrows.dat' using 1:2:3:4 with vectors head filled size graph 0.006,20 lw 1 "
          "lc rgb '#40ffffff' notitle, \\\n"
          "  'plots/trajectories.dat' using 1:2 with lines lw 1.6 lc rgb 'white' notitle, \\\n"
          "  'plots/trajectories.dat' using 1:2 with points pt 7 ps 0.35 lc rgb 'white' notitle, "
          "\\\n  " +
          attractor_marks);
}

// The attractor of each point as colour.
inline bool draw_basins(const gnuplot::Plotter& plots, const plane_view& view) {
  plots.data("basins.dat", [&](std::ostream& out) {
    out << "# coordinates on the plane, number of the attractor (0: none), its colour\n";
    for (index_t j = 0; j < view.basin_grid; ++j) {
      for (index_t i = 0; i < view.basin_grid; ++i) {
        const index_t label = view.labels[static_cast<std::size_t>(j * view.basin_grid + i)];
        const long rgb =
            label < 0 ? 0xbbbbbbL : std::stol(gnuplot::color(label).substr(1), nullptr, 16);
        out << view.lower[0] + (view.upper[0] - view.lower[0]) * static_cast<double>(i) /
                                   static_cast<double>(view.basin_grid - 1)
            << ' '
            << view.lower[1] + (view.upper[1] - view.lower[1]) * static_cast<double>(j) /
                                   static_cast<double>(view.basin_grid - 1)
            << ' ' << label + 1 << ' ' << (rgb >> 16) << ' ' << ((rgb >> 8) & 255) << ' '
            << (rgb & 255) << '\n';
      }
    }
  });
  write_attractors(plots, view);
  return plots.draw("basins", width(view), 860,
                    frame(view, "Basins of attraction",
                          "circles: attractors, the most met first" +
                              (view.grey.empty() ? "" : "\n" + view.grey)) +
                        "plot 'plots/basins.dat' using 1:2:4:5:6 with rgbimage notitle, \\\n  " +
                        attractor_marks);
}

// A title above each image.
struct gallery_image {
  std::string title;
  Eigen::VectorXd pixels;  // channels × height × width, in [0, 1]
};

// Decoded attractors.
inline bool draw_gallery(const gnuplot::Plotter& plots, const basin::tensor_shape& shape,
                         const std::vector<gallery_image>& images, const std::string& title) {
  const auto count = static_cast<index_t>(images.size());
  if (count == 0) return false;
  const index_t columns = std::min<index_t>(count, 6);
  const index_t rows = (count + columns - 1) / columns;
  std::string script =
      "set multiplot layout " + std::to_string(rows) + "," + std::to_string(columns) + " title " +
      gnuplot::plain(title) +
      " font ',15'\nunset border\nunset tics\nunset colorbox\n"
      "set palette gray\nset cbrange [0:1]\nset size ratio -1\n"
      "set lmargin 1\nset rmargin 1\nset bmargin 0.5\nset tmargin 2\n" +
      format("set xrange [-0.5:%td-0.5]\nset yrange [%td-0.5:-0.5]\n", shape.width, shape.height);
  for (index_t n = 0; n < count; ++n) {
    const gallery_image& image = images[static_cast<std::size_t>(n)];
    const std::string file = "image" + std::to_string(n + 1) + ".dat";
    plots.data(file, [&](std::ostream& out) {
      out << "# column, row, value of each channel\n";
      const index_t area = shape.height * shape.width;
      for (index_t i = 0; i < area; ++i) {
        out << i % shape.width << ' ' << i / shape.width;
        for (index_t c = 0; c < std::min<index_t>(shape.channels, 3); ++c) {
          const double value = std::clamp(image.pixels[c * area + i], 0.0, 1.0);
          out << ' ' << (shape.channels >= 3 ? std::round(255 * value) : value);
        }
        out << '\n';
      }
    });
    script += "set title " + gnuplot::plain(image.title) + " font ',12'\n";
    script += shape.channels >= 3
                  ? "plot 'plots/" + file + "' using 1:2:3:4:5 with rgbimage notitle\n"
                  : "plot 'plots/" + file + "' using 1:2:3 with image notitle\n";
  }
  return plots.draw("gallery", static_cast<int>(170 * columns + 20),
                    static_cast<int>(195 * rows + 60), script + "unset multiplot\n");
}

// Predicted against measured counts, with intervals.
struct prediction_series {
  std::string label;
  std::vector<double> measured, predicted, low, high;  // low and high may be empty
};

inline bool draw_predictions(const gnuplot::Plotter& plots,
                             const std::vector<prediction_series>& series,
                             const std::string& remark) {
  std::string script =
      "set logscale xy\nset xlabel 'measured iterations'\nset ylabel 'predicted iterations'\n"
      "set title " +
      gnuplot::plain("Predicted against measured iterations\n" + remark) +
      "\nset key at screen 0.12, 0.055 left center vertical maxcols 1 Left reverse\n"
      "set bmargin at screen 0.15\n"
      "set size ratio -1\nset grid lc rgb '#e6e6e6'\n";
  double least = INFINITY, most = 1;
  std::string list;
  for (std::size_t s = 0; s < series.size(); ++s) {
    const std::string file = "predictions" + std::to_string(s + 1) + ".dat";
    const bool intervals = !series[s].low.empty();
    plots.data(file, [&](std::ostream& out) {
      out << "# measured, predicted, ends of the interval: " << series[s].label << '\n';
      for (std::size_t i = 0; i < series[s].measured.size(); ++i) {
        const double x = std::max(series[s].measured[i], 0.5);
        const double y = std::max(series[s].predicted[i], 0.5);
        least = std::min({least, x, y});
        most = std::max({most, x, y});
        out << x << ' ' << y;
        if (intervals) {
          out << ' ' << std::max(series[s].low[i], 0.5) << ' ' << std::max(series[s].high[i], 0.5);
        }
        out << '\n';
      }
    });
    const std::string tint = gnuplot::color(static_cast<index_t>(s)).substr(1);
    if (intervals) {
      list += ", \\\n  'plots/" + file +
              "' using 1:3:(0):($4-$3) with vectors nohead lw 1 lc rgb '#c8" + tint + "' notitle";
    }
    list += ", \\\n  'plots/" + file + "' using 1:2 with points pt 7 ps 0.6 lc rgb '#60" + tint +
            "' title " + gnuplot::plain(series[s].label);
  }
  if (!std::isfinite(least)) return false;
  script += format("set xrange [%.4g:%.4g]\nset yrange [%.4g:%.4g]\n", least / 1.3, most * 1.3,
                   least / 1.3, most * 1.3);
  return plots.draw("predictions", 860, 920,
                    script + "plot x with lines lw 1.2 lc rgb '#666666' notitle" + list + "\n");
}

// Eigenvalues of J at the attractors.
inline bool draw_eigenvalues(const gnuplot::Plotter& plots,
                             const std::vector<Eigen::VectorXcd>& spectra) {
  double most = 1;
  plots.data("eigenvalues.dat", [&](std::ostream& out) {
    out << "# real part, imaginary part, number of the attractor, its colour\n";
    for (std::size_t a = 0; a < spectra.size(); ++a) {
      const long rgb = std::stol(gnuplot::color(static_cast<index_t>(a)).substr(1), nullptr, 16);
      for (const std::complex<double> value : spectra[a]) {
        most = std::max(most, std::abs(value));
        out << value.real() << ' ' << value.imag() << ' ' << a + 1 << ' ' << rgb << '\n';
      }
    }
  });
  std::string script =
      "set size ratio -1\nset xlabel 'Re {/Symbol l}'\nset ylabel 'Im {/Symbol l}'\n"
      "set title 'Eigenvalues of the Jacobian at the attractors'\nset grid lc rgb '#e6e6e6'\n"
      "set parametric\nset trange [0:2*pi]\nset samples 400\nset key outside right top\n" +
      format("set xrange [%.4g:%.4g]\nset yrange [%.4g:%.4g]\n", -1.1 * most, 1.1 * most,
             -1.1 * most, 1.1 * most) +
      "plot cos(t), sin(t) with lines lw 1.5 lc rgb '#444444' title 'unit circle'";
  const std::size_t shown = std::min<std::size_t>(spectra.size(), 12);
  for (std::size_t a = 0; a < spectra.size(); ++a) {
    script += format(
                  ", \\\n  'plots/eigenvalues.dat' using ($3==%zu?$1:1/0):2 with points pt %d "
                  "ps 1.3 lc rgb '%s' ",
                  a + 1, a < 16 ? 7 : 5, gnuplot::color(static_cast<index_t>(a)).c_str()) +
              (a < shown ? "title 'attractor " + std::to_string(a + 1) + "'" : "notitle");
  }
  return plots.draw("eigenvalues", 980, 820, script + "\n");
}

// Attractors met by the first n starts, in their order and on average, and what is unseen.
struct discovery_view {
  std::vector<double> starts, met, expected;
  double remaining = 0;  // a lower bound of those not met
  std::string remark;
};

inline bool draw_discovery(const gnuplot::Plotter& plots, const discovery_view& view) {
  if (view.starts.empty()) return false;
  plots.data("discovery.dat", [&](std::ostream& out) {
    out << "# starts, attractors met in their order, expected of a random subset\n";
    for (std::size_t i = 0; i < view.starts.size(); ++i) {
      out << view.starts[i] << ' ' << view.met[i] << ' ' << view.expected[i] << '\n';
    }
  });
  const double seen = view.met.back();
  return plots.draw(
      "discovery", 900, 620,
      "set logscale x\nset xlabel 'starts'\nset ylabel 'distinct attractors'\n"
      "set title " +
          gnuplot::plain("Discovery of attractors\n" + view.remark) +
          "\nset key left top Left reverse\nset grid lc rgb '#e6e6e6'\n" +
          format("set xrange [1:%.7g]\nset yrange [0:%.4g]\n", view.starts.back() * 1.1,
                 std::max(1.35 * (seen + view.remaining), seen + 2)) +
          "plot 'plots/discovery.dat' using 1:2 with steps lw 2 lc rgb '#0072B2' title "
          "'met, in the order of the starts', \\\n"
          "  '' using 1:3 with lines lw 2 dt 2 lc rgb '#E69F00' title 'expected of a random "
          "subset', \\\n" +
          format("  %.6g with lines lw 1.5 dt 3 lc rgb '#444444' title "
                 "'estimated lower bound (Chao): about %.0f'\n",
                 seen + view.remaining, seen + view.remaining));
}

}  // namespace pictures
