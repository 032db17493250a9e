// Figure 1 of Fumero et al. (2025): latent vector fields of autoencoders with two latent
// dimensions, from starts in a square.
//
//   vector_field [--quick|--full|--tiny] [--images FILE] [--model NAME|FILE] [--seeds N]
//                [--threads T] [--output FOLDER] [--box B] [--starts N] [options of the training]
//
// Of the shipped model mnist_k2, or another with k = 2 that --model names, and of one Table 3
// network for each seed, trained on the images: where starts of [-B, B]² go, and where the field
// vanishes. Codes are those of the images. The paper says that attractors lie where the density of
// the data is high. So a mixture of Gaussians is fitted to the training codes, and of each
// attractor the share of test codes at which that density is lower is told: 1/2 is a code like any
// other, 1 the densest place. The shipped model has no codes unless --images gives what it takes.
//
// FOLDER (out/vector_field) gets fields.csv, attractors.csv, results.json, figure.png (a panel a
// model: white where the field vanishes, dark where it is strong; lines follow the flow, dots are
// attractors) and, where gnuplot is found, NAME/field.png and NAME/basins.png with axes.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <basin/attractor/assign.hpp>
#include <basin/attractor/cluster.hpp>
#include <basin/dynamics/density_fit.hpp>
#include <basin/dynamics/field.hpp>
#include <basin/io/csv.hpp>
#include <basin/model/model_file.hpp>
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/spectral/spectral_radius.hpp>

#include "experiment.hpp"
#include "latent_plane.hpp"
#include "raster.hpp"
#include "trained.hpp"

namespace {

using basin::index_t;
using matrix = Eigen::MatrixXd;

constexpr double none = std::numeric_limits<double>::quiet_NaN();

constexpr const char* about =
    "vector_field [OPTION [VALUE]]...: Figure 1, latent vector fields in the plane\n\n"
    "--model NAME    mnist_k2 (default), or a safetensors file of a model with k = 2\n"
    "--box B         starts are uniform in [-B, B]^2 (8)\n"
    "--starts N      number of starts\n";

struct look_options {
  double box = 8;
  index_t starts = 500, side = 240, grid = 120;
};

// A model and what is seen of it.
struct Seen {
  std::string name;
  basin::Clustering found;
  matrix centers;                // 2 × M, of attractors that are points
  std::vector<index_t> members;  // starts that go to each
  Eigen::VectorXd rates;         // spectral radius at each
  Eigen::VectorXd density;       // share of test codes at which the density is lower
  std::vector<double> metrics;
  raster::Picture panel{1, 1};
};

const std::vector<std::string> metrics{
    "attractors",        "converged",         "diverged",   "inward",
    "norm at codes",     "norm in square",    "norm ratio", "density quantile",
    "weighted quantile", "quantile in square"};

double median(Eigen::VectorXd x) {
  if (x.size() == 0) return none;
  std::sort(x.begin(), x.end());
  const index_t half = x.size() / 2;
  return x.size() % 2 == 1 ? x[half] : (x[half - 1] + x[half]) / 2;
}

matrix uniform_starts(index_t n, double box) {
  return matrix::NullaryExpr(2, n, [&](index_t i, index_t j) {
    return box * (2 * basin::uniform_from_word<double>(basin::random_stream{1, 7}.word(i, j)) - 1);
  });
}

Eigen::VectorXd norms(const basin::cpu<double>& be, auto& map, const matrix& points) {
  matrix images(2, points.cols());
  basin::evaluate(be, map, points, images);
  return (images - points).colwise().norm().transpose();
}

// The share of the square's border where the field points inwards.
double inward(const basin::cpu<double>& be, auto& map, double box) {
  constexpr index_t side = 100;
  matrix border(2, 4 * side), images(2, 4 * side);
  for (index_t i = 0; i < side; ++i) {
    const double along = box * (2 * (static_cast<double>(i) + 0.5) / side - 1);
    border.col(4 * i) << along, -box;
    border.col(4 * i + 1) << along, box;
    border.col(4 * i + 2) << -box, along;
    border.col(4 * i + 3) << box, along;
  }
  basin::evaluate(be, map, border, images);
  index_t count = 0;
  for (index_t j = 0; j < border.cols(); ++j) {
    const index_t axis = j % 4 < 2 ? 1 : 0;
    const double v = images(axis, j) - border(axis, j);
    count += v * border(axis, j) < 0;
  }
  return static_cast<double>(count) / static_cast<double>(border.cols());
}

// The panel of the figure: the norm of the field, its flow lines, attractors.
raster::Picture draw(const basin::cpu<double>& be, auto& map, const Seen& seen,
                     const look_options& look) {
  const index_t side = look.side;
  const double step = 2 * look.box / static_cast<double>(side);
  const auto at_x = [&](double x) { return (x + look.box) / step; };
  const auto at_y = [&](double y) { return (look.box - y) / step; };
  matrix points(2, side * side);
  for (index_t r = 0; r < side; ++r) {
    for (index_t c = 0; c < side; ++c) {
      points.col(r * side + c) << (static_cast<double>(c) + 0.5) * step - look.box,
          look.box - (static_cast<double>(r) + 0.5) * step;
    }
  }
  const Eigen::VectorXd norm = norms(be, map, points);
  Eigen::VectorXd ordered = norm;
  std::sort(ordered.begin(), ordered.end());
  const double most = ordered[ordered.size() * 99 / 100];
  raster::Picture picture(side, side);
  for (index_t i = 0; i < norm.size(); ++i) {
    picture.mix(i % side, i / side, raster::white_to_blue(norm[i] / most));
  }
  // dz/dt = f(z) - z by Euler's method, from a grid of points.
  constexpr index_t lines = 15;
  constexpr double h = 0.08;
  matrix Z(2, lines * lines), next = Z;
  for (index_t i = 0; i < Z.cols(); ++i) {
    Z.col(i) << look.box * (2 * (static_cast<double>(i % lines) + 0.5) / lines - 1),
        look.box * (2 * (static_cast<double>(i / lines) + 0.5) / lines - 1);
  }
  const raster::color ink{0.85f, 0.37f, 0.05f};
  matrix drawn = Z;  // ends of what stands in the picture
  for (int t = 0; t < 80; ++t) {
    basin::evaluate(be, map, Z, next);
    Z += h * (next - Z);
    for (index_t i = 0; i < Z.cols(); ++i) {
      if (t < 79 && (Z.col(i) - drawn.col(i)).norm() < 3 * step) continue;
      picture.line(at_x(drawn(0, i)), at_y(drawn(1, i)), at_x(Z(0, i)), at_y(Z(1, i)), ink, 0.6);
      drawn.col(i) = Z.col(i);
    }
  }
  for (index_t a = 0; a < seen.centers.cols(); ++a) {
    const double x = at_x(seen.centers(0, a)), y = at_y(seen.centers(1, a));
    if (std::max(std::abs(seen.centers(0, a)), std::abs(seen.centers(1, a))) > look.box) continue;
    const double radius = static_cast<double>(side) / 100;
    picture.disc(x, y, radius + 1.5, raster::white);
    picture.disc(x, y, radius, raster::black);
  }
  return picture;
}

// Looks at a model. `codes` are 2 × n, those that the density is fitted to, and `judged` others;
// both may be empty.
Seen look_at(const basin::cpu<double>& be, const std::string& name,
             const basin::Autoencoder<double>& model, const matrix& codes, const matrix& judged,
             const look_options& look, const std::string& folder, std::string& drawn) {
  auto map = model.latent_map();
  Seen seen;
  seen.name = name;
  const matrix starts = uniform_starts(look.starts, look.box);
  basin::FixedPointSolver solver{map, basin::picard{},
                                 basin::stopping{.residual = 1e-6, .max_iterations = 3000}};
  const auto ends = solver.solve(be, starts);
  seen.found = basin::cluster(be, map, ends);
  std::vector<index_t> points;
  index_t converged = 0;
  for (index_t c = 0; c < seen.found.size(); ++c) {
    const basin::Cluster& one = seen.found.clusters[static_cast<std::size_t>(c)];
    if (one.kind != basin::attractor_kind::point) continue;
    points.push_back(c);
    seen.members.push_back(one.members);
    converged += one.members;
  }
  const auto count = static_cast<index_t>(points.size());
  seen.centers.resize(2, count);
  for (index_t a = 0; a < count; ++a) {
    seen.centers.col(a) =
        seen.found.clusters[static_cast<std::size_t>(points[static_cast<std::size_t>(a)])]
            .center.col(0);
  }
  seen.rates = basin::spectral_radius(be, map, seen.centers).values;
  seen.density = Eigen::VectorXd::Constant(count, none);
  double at_codes = none, quantile = none, weighted = none, in_square = none;
  if (judged.cols() > 0) {
    at_codes = median(norms(be, map, judged));
    const auto fit = basin::fit_mixture(codes, {.components = 8, .random = {1}});
    const Eigen::VectorXd of_codes = fit.density.log_density(judged);
    const auto quantiles = [&](const matrix& at_points) {
      Eigen::VectorXd found = fit.density.log_density(at_points);
      for (double& at : found) {
        at = static_cast<double>((of_codes.array() < at).count()) /
             static_cast<double>(of_codes.size());
      }
      return found;
    };
    seen.density = quantiles(seen.centers);
    double sum = 0;
    for (index_t a = 0; a < count; ++a) {
      sum += seen.density[a] * static_cast<double>(seen.members[static_cast<std::size_t>(a)]);
    }
    quantile = seen.density.mean();
    weighted = sum / static_cast<double>(converged);
    in_square = quantiles(starts).mean();
  }
  const double norm = median(norms(be, map, starts));
  const auto all = static_cast<double>(look.starts);
  seen.metrics = {static_cast<double>(count),
                  static_cast<double>(converged) / all,
                  static_cast<double>(ends.count(basin::status::diverged)) / all,
                  inward(be, map, look.box),
                  at_codes,
                  norm,
                  at_codes / norm,
                  quantile,
                  weighted,
                  in_square};
  seen.panel = draw(be, map, seen, look);

  const gnuplot::Plotter plots(folder + "/" + name);
  if (!plots.found() || count == 0) return seen;
  auto view =
      latent::look(be, map, seen.centers, starts, look.grid, look.grid / 2, [&](const matrix& at) {
        const auto labels = basin::assign(be, map, seen.found.clusters, solver.solve(be, at));
        std::vector<index_t> numbers;  // among the points
        for (const index_t label : labels) {
          const auto place = std::find(points.begin(), points.end(), label);
          numbers.push_back(place == points.end() ? -1 : place - points.begin());
        }
        return numbers;
      });
  if (std::find(view.labels.begin(), view.labels.end(), -1) != view.labels.end()) {
    view.grey = "grey: to no attractor that is a point, or away";
  }
  if (pictures::draw_field(plots, view) && pictures::draw_basins(plots, view)) {
    drawn += drawn.empty() ? name : ", " + name;
  }
  return seen;
}

basin::Autoencoder<double> read_model(const std::string& name) {
  const std::string file =
      name == "mnist_k2" ? std::string(BASIN_EXAMPLE_MODELS) + "/mnist_k2.safetensors" : name;
  auto read = basin::load_model<double>(file);
  basin::require_size("--model " + name, "k", read.autoencoder.latent_size(), 2);
  return std::move(read.autoencoder);
}

matrix codes_of(const basin::cpu<double>& be, const basin::Autoencoder<double>& model,
                const Eigen::MatrixXf& images) {
  auto encoder = model.encoder_map();
  matrix codes(model.latent_size(), images.cols());
  basin::evaluate(be, encoder, images.cast<double>().eval(), codes);
  return codes;
}

void body(int argc, char** argv) {
  std::string name = "mnist_k2";
  index_t starts = 0;
  look_options look;
  experiment::PlanOptions changes;
  const auto s =
      experiment::parse(argc, argv, "vector_field", std::string(about) + experiment::plan_usage,
                        [&](options::Reader& read) {
                          if (read.is("--model")) {
                            name = read.text();
                          } else if (read.is("--box")) {
                            look.box = read.positive();
                          } else if (read.is("--starts")) {
                            starts = read.at_least<index_t>(1);
                          } else {
                            return changes.read(read);
                          }
                          return true;
                        });
  auto plan = changes.apply(experiment::plan_of(s));
  plan.latent = 2;
  look.starts = starts > 0 ? starts : s.pick<index_t>(100, 500, 2000);
  look.side = s.pick<index_t>(60, 224, 480);
  look.grid = s.pick<index_t>(24, 72, 160);

  experiment::Report report(s);
  const basin::cpu<double> be(s.threads);
  const basin::cpu<float> trainer(s.threads);
  const auto images = experiment::split_images(s, plan.images, plan.test);
  const std::string read = std::filesystem::path(name).stem().string();
  experiment::Series found("model", metrics, {read, "trained"});
  std::vector<Seen> all;
  std::string drawn;
  const auto add = [&](double x, index_t seed, const std::string& as,
                       const basin::Autoencoder<double>& model, bool has_codes) {
    matrix codes(2, 0), judged(2, 0);
    if (has_codes) {
      codes = codes_of(be, model, images.train);
      judged = codes_of(be, model, images.test);
    }
    all.push_back(look_at(be, as, model, codes, judged, look, s.output, drawn));
    found.add(x, seed, all.back().metrics);
    report.tick();
  };
  const auto shipped = options::of_option("--model", [&] { return read_model(name); });
  add(0, 0, read, shipped, !s.images.empty() && shipped.image_shape() == images.shape);
  for (index_t seed = 0; seed < s.seeds; ++seed) {
    const auto model = experiment::in_double(experiment::trained(trainer, images, plan, seed),
                                             plan.model(images.shape));
    add(1, seed, "trained_" + std::to_string(seed + 1), model, true);
  }
  report.json["training"] = experiment::json_of(plan);
  report.json["box"] = look.box;
  report.json["starts"] = look.starts;
  report.add("fields", found);

  basin::CsvWriter table(report.path("attractors.csv"));
  table.row("model", "attractor", "z_1", "z_2", "share", "spectral radius", "density quantile");
  for (const Seen& seen : all) {
    for (index_t a = 0; a < seen.centers.cols(); ++a) {
      table.row(seen.name, a + 1, seen.centers(0, a), seen.centers(1, a),
                static_cast<double>(seen.members[static_cast<std::size_t>(a)]) /
                    static_cast<double>(look.starts),
                seen.rates[a], seen.density[a]);
    }
  }
  table.close();

  // Of the trained networks, seed by seed.
  const auto of_seeds = [&](const char* metric) {
    return Eigen::ArrayXd(found.values(1, metric).array());
  };
  const auto text = [&](const char* metric) { return experiment::text_of(found.mean(1, metric)); };
  report.claim("Figure 1", "the field flows toward attractors",
               "share of starts that converge to a point " + text("converged") + ", of " +
                   text("attractors") + " attractors; " + text("diverged") + " diverge; " +
                   text("inward") + " of the square's border leads inwards",
               "share that converges, less one half",
               basin::mean_estimate((of_seeds("converged") - 0.5).matrix()));
  report.claim("Figure 1", "the field vanishes where the data are",
               "median norm of f(z) - z at codes of test images over that in the square " +
                   text("norm ratio"),
               "minus the logarithm of that ratio",
               basin::mean_estimate((-of_seeds("norm ratio").log()).matrix()));
  report.claim("Figure 1", "attractors lie where the density of the data is high",
               "share of test codes at which the density is lower than at an attractor " +
                   text("density quantile") + ", weighted by the starts that go there " +
                   text("weighted quantile") + "; of uniform points of the square " +
                   text("quantile in square"),
               "that share at attractors less that in the square",
               basin::mean_estimate(
                   (of_seeds("density quantile") - of_seeds("quantile in square")).matrix()));
  report.claim("Figure 1", "attractors lie where the density of the data is high",
               "the same, compared with codes, of which the mean share is one half",
               "that share at attractors, less one half",
               basin::mean_estimate((of_seeds("density quantile") - 0.5).matrix()));

  constexpr index_t gap = 8;
  const auto panels = static_cast<index_t>(all.size());
  raster::Picture figure(panels * (look.side + gap) + gap, look.side + 2 * gap);
  for (index_t p = 0; p < panels; ++p) {
    figure.put(all[static_cast<std::size_t>(p)].panel, gap + p * (look.side + gap), gap);
  }
  figure.write(report.path("figure.png"));
  std::printf("\npanels of figure.png: %s", read.c_str());
  for (index_t p = 1; p < panels; ++p) {
    std::printf(", %s", all[static_cast<std::size_t>(p)].name.c_str());
  }
  std::printf("%s\n", drawn.empty() ? "; gnuplot drew nothing"
                                    : ("; field.png and basins.png of " + drawn).c_str());
  report.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return experiment::run("vector_field", [&] { body(argc, argv); });
}
