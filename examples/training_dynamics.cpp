// Figure 3 of Fumero et al. (2025), and the right half of Figure 12: attractors while a network
// is trained.
//
//   training_dynamics [--quick|--full|--tiny] [--images FILE] [--seeds N] [--threads T]
//                     [--output FOLDER] [--latent K] [--starts N] [options of the training]
//
// A Table 3 network with k = 128 is stopped after some epochs. Attractors are computed from codes
// of training images, of test images and from normal noise, under the paper's rule, and counted
// as distinct by its cosine of 0.99. Then: the coefficient of memorisation against the test error;
// the Chamfer distance between the attractors of training images and those of noise, and of test
// images, relative to the mean norm of the former (the paper has a similarity that it does not
// define: less is more alike); and how well the trajectory score, with the attractors of training
// images as references, tells noise from test images: FPR95 with test images as positives. The
// paper scores the training images themselves, whose ends the references are; here the images
// that are scored have no part in the references.
//
// A second network, with k = 2, shows its field after the same epochs.
//
// FOLDER (out/training_dynamics) gets epochs.csv, results.json, epochs.svg, sheet.png (decoded
// attractors of training images, a row for each epoch), field.csv, and field.png by gnuplot, with
// plots/.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <basin/attractor/chamfer.hpp>
#include <basin/dynamics/field.hpp>
#include <basin/ood/auroc.hpp>
#include <basin/ood/trajectory_score.hpp>

#include "experiment.hpp"
#include "gnuplot.hpp"
#include "trained.hpp"

namespace {

using basin::index_t;

constexpr const char* about =
    "training_dynamics [OPTION [VALUE]]...: Figure 3, attractors while a network is trained\n\n"
    "--latent K      size of the bottleneck (128)\n"
    "--starts N      starts of each kind\n";

// Epochs after which a training is looked at: 0, then some twice as many each time, and the last.
std::vector<index_t> looks(index_t epochs) {
  std::vector<index_t> at{0};
  for (index_t e = 1; e < epochs; e *= 2) at.push_back(e);
  at.push_back(epochs);
  return at;
}

struct sources {
  Eigen::MatrixXf train, test;  // images
  Eigen::MatrixXf noise;        // codes
};

const std::vector<std::string> metrics{"test error",
                                       "memorization",
                                       "rank",
                                       "attractors train",
                                       "attractors test",
                                       "attractors noise",
                                       "chamfer noise",
                                       "chamfer test",
                                       "fpr95",
                                       "auroc",
                                       "fpr95 of the start",
                                       "auroc of the start",
                                       "converged"};

std::vector<double> look(const basin::cpu<float>& be, const basin::Autoencoder<float>& model,
                         const experiment::image_split& images, const sources& from,
                         double test_error, Eigen::MatrixXf& decoded) {
  const Eigen::MatrixXf test_codes = experiment::codes_of(be, model, from.test);
  const auto train = experiment::ends_of(be, model, experiment::codes_of(be, model, from.train));
  const auto test = experiment::ends_of(be, model, test_codes);
  const auto noise = experiment::ends_of(be, model, from.noise);
  decoded = experiment::decoded(be, model, train.attractors);
  const auto count = [](const experiment::Ends& ends) {
    return static_cast<double>(ends.attractors.cols());
  };
  // Where a kind of starts meets no attractor within the rule, nothing is compared.
  double to_noise = NAN, to_test = NAN, fpr = NAN, area = NAN, start_fpr = NAN, start_area = NAN;
  if (train.attractors.cols() > 0) {
    const double scale = static_cast<double>(train.attractors.colwise().norm().mean());
    const auto apart = [&](const experiment::Ends& other) {
      return other.attractors.cols() == 0
                 ? NAN
                 : basin::chamfer(be, train.attractors, other.attractors).average() / scale;
    };
    to_noise = apart(noise);
    to_test = apart(test);
    auto map = model.latent_map();
    const basin::TrajectoryScorer scorer(be, train.attractors);
    const auto familiar = scorer.score(be, map, test_codes);
    const auto foreign = scorer.score(be, map, from.noise);
    const auto rates = [](const Eigen::VectorXd& out, const Eigen::VectorXd& in, double& rate,
                          double& under) {
      if (!in.allFinite() || !out.allFinite()) return;
      rate = basin::fpr_at_tpr(out, in, basin::positive_class::in_distribution);
      under = basin::auroc(out, in);
    };
    rates(foreign.scores, familiar.scores, fpr, area);
    // What the codes tell without a trajectory.
    rates(foreign.first, familiar.first, start_fpr, start_area);
  }
  return {test_error,
          experiment::memorization_of(be, decoded, images.train).mean,
          experiment::rank_of(decoded),
          count(train),
          count(test),
          count(noise),
          to_noise,
          to_test,
          fpr,
          area,
          start_fpr,
          start_area,
          (train.converged + test.converged + noise.converged) / 3};
}

// What is drawn of a network in the plane after an epoch.
struct plane_look {
  index_t epoch;
  Eigen::VectorXd log_norm;  // of f(z) - z on the grid
  Eigen::MatrixXd codes, attractors;
};

constexpr index_t grid = 60;
constexpr double reach = 8;  // the paper draws starts from [-8, 8]

plane_look look_at_plane(const basin::cpu<float>& be, const basin::Autoencoder<float>& model,
                         const Eigen::MatrixXf& images, index_t epoch) {
  auto map = model.latent_map();
  const Eigen::Vector2d corner = Eigen::Vector2d::Constant(reach);
  const auto field = basin::sample_field(
      be, map, basin::grid_points(-corner, corner, std::vector<index_t>{grid, grid}), false);
  const Eigen::MatrixXf codes = experiment::codes_of(be, model, images);
  plane_look seen{.epoch = epoch, .log_norm = {}, .codes = codes.cast<double>(), .attractors = {}};
  seen.log_norm = field.norm.template cast<double>().array().max(1e-6).log10();
  seen.attractors = experiment::ends_of(be, model, codes).attractors.cast<double>();
  return seen;
}

bool draw_planes(const experiment::Report& report, const experiment::settings& s,
                 const std::vector<plane_look>& planes) {
  const gnuplot::Plotter plots(s.output);
  const auto columns = static_cast<index_t>(planes.size() + 1) / 2;
  std::string script =
      std::string(gnuplot::viridis) +
      gnuplot::format("set multiplot layout 2,%td title %s font ',15'\n", columns,
                      gnuplot::plain("Field of a network with k = 2 while it is trained: colour is "
                                     "log10 of the norm of f(z) - z; white: codes; red: attractors")
                          .c_str()) +
      gnuplot::format("set size ratio -1\nset xrange [-%g:%g]\nset yrange [-%g:%g]\n", reach, reach,
                      reach, reach) +
      "set cbrange [-2:1.2]\nset key off\nunset colorbox\n";
  basin::CsvWriter table(report.path("field.csv"));
  table.row("epoch", "kind", "z1", "z2", "log10_norm");
  for (const plane_look& one : planes) {
    const std::string name = "epoch" + std::to_string(one.epoch);
    plots.data(name + "_field.dat", [&](std::ostream& out) {
      for (index_t j = 0; j < one.log_norm.size(); ++j) {
        const auto at = [](index_t i) {
          return -reach + 2 * reach * static_cast<double>(i) / (grid - 1);
        };
        out << at(j % grid) << ' ' << at(j / grid) << ' ' << one.log_norm[j] << '\n';
      }
    });
    const auto points = [&](const char* kind, const Eigen::MatrixXd& Z) {
      plots.data(name + "_" + kind + ".dat", [&](std::ostream& out) {
        for (index_t j = 0; j < Z.cols(); ++j) out << Z(0, j) << ' ' << Z(1, j) << '\n';
        if (Z.cols() == 0) out << "nan nan\n";
      });
    };
    points("codes", one.codes);
    points("attractors", one.attractors);
    for (index_t j = 0; j < one.attractors.cols(); ++j) {
      table.row(one.epoch, "attractor", one.attractors(0, j), one.attractors(1, j), "");
    }
    const std::string file = "'plots/" + name + "_";
    script += gnuplot::format("set title 'epoch %td, attractors: %td'\n", one.epoch,
                              one.attractors.cols()) +
              "plot " + file + "field.dat' using 1:2:3 with image, \\\n  " + file +
              "codes.dat' with dots lc rgb 'white', \\\n  " + file +
              "attractors.dat' with points pt 7 ps 1.1 lc rgb '#D55E00'\n";
  }
  table.close();
  return plots.draw("field", static_cast<int>(330 * columns), 760, script + "unset multiplot\n");
}

void body(int argc, char** argv) {
  index_t latent = 128, starts = 0;
  experiment::PlanOptions changes;
  const auto s =
      experiment::parse(argc, argv, "training_dynamics",
                        std::string(about) + experiment::plan_usage, [&](options::Reader& read) {
                          if (read.is("--latent")) {
                            latent = read.at_least<index_t>(2);
                          } else if (read.is("--starts")) {
                            starts = read.at_least<index_t>(2);
                          } else {
                            return changes.read(read);
                          }
                          return true;
                        });
  auto plan = changes.apply(experiment::plan_of(s));
  plan.latent = latent;
  if (starts == 0) starts = s.pick<index_t>(24, 120, 1000);

  experiment::Report report(s);
  const basin::cpu<float> be(s.threads);
  const auto images = experiment::split_images(s, plan.images, plan.test);
  sources from{.train = images.train.leftCols(std::min(starts, plan.images)),
               .test = images.test.leftCols(std::min(starts, plan.test)),
               .noise = {}};

  const std::vector<index_t> epochs = looks(plan.epochs);
  const auto is_look = [&](index_t epoch) {
    return std::find(epochs.begin(), epochs.end(), epoch) != epochs.end();
  };
  std::vector<std::vector<std::vector<double>>> seen(static_cast<std::size_t>(s.seeds));
  std::vector<Eigen::MatrixXf> sheet;
  for (index_t seed = 0; seed < s.seeds; ++seed) {
    from.noise.resize(latent, starts);
    fill_normal(be, {.seed = static_cast<std::uint64_t>(seed), .stream = 77}, from.noise);
    experiment::trained(be, images, plan, seed,
                        [&](const basin::Autoencoder<float>& model, const basin::epoch_record& at) {
                          if (!is_look(at.epoch)) return;
                          Eigen::MatrixXf decoded;
                          seen[static_cast<std::size_t>(seed)].push_back(
                              look(be, model, images, from, at.test_error, decoded));
                          if (seed > 0) return;
                          sheet.push_back(decoded.leftCols(std::min<index_t>(12, decoded.cols())));
                        });
    report.tick();
  }
  std::vector<plane_look> planes;
  auto flat = plan;
  flat.latent = 2;
  experiment::trained(be, images, flat, 0,
                      [&](const basin::Autoencoder<float>& model, const basin::epoch_record& at) {
                        if (!is_look(at.epoch)) return;
                        planes.push_back(look_at_plane(be, model, from.train, at.epoch));
                      });

  experiment::Series found("epoch", metrics);
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    for (index_t seed = 0; seed < s.seeds; ++seed) {
      found.add(static_cast<double>(epochs[i]), seed, seen[static_cast<std::size_t>(seed)][i]);
    }
  }
  report.json["training"] = experiment::json_of(plan);
  report.json["starts"] = starts;
  report.json["constant_error"] = experiment::constant_error(images);
  const double unseen = basin::memorization(be, images.test, images.train).mean;
  report.json["similarity_of_unseen_images"] = unseen;
  report.add("epochs", found);
  std::printf("cosine of unseen images with the nearest training image: %.4f\n", unseen);
  for (const plane_look& one : planes) {
    std::printf("k = 2, epoch %td: %td attractors\n", one.epoch, one.attractors.cols());
    report.json["attractors_in_the_plane"].push_back(
        {{"epoch", one.epoch}, {"attractors", one.attractors.cols()}});
  }

  const double last = static_cast<double>(epochs.back());
  // At initialisation all answers are one grey: the first epoch is where the paper's story begins.
  const double first = static_cast<double>(epochs[1]);
  const auto between = [&](const char* metric, double a, double b) {
    return plot::format("%s after epoch %g, %s after %g",
                        experiment::text_of(found.mean(a, metric)).c_str(), a,
                        experiment::text_of(found.mean(b, metric)).c_str(), b);
  };
  const Eigen::VectorXd single = 1.5 - found.values(0, "attractors train").array();
  report.claim(
      "Figure 3a, 3c", "a single attractor at initialisation",
      experiment::text_of(found.mean(0, "attractors train")) + " attractors of training images",
      "1.5 less their number", basin::mean_estimate(single));
  report.claim("Figure 3b", "memorisation is high in the first epochs, and then falls",
               "memorisation " + between("memorization", first, last), "first epoch less last",
               found.difference("memorization", first, last));
  report.claim("Figure 3b", "the test error falls",
               "test error " + between("test error", first, last), "first epoch less last",
               found.difference("test error", first, last));
  for (const char* kind : {"attractors train", "attractors test", "attractors noise"}) {
    report.claim("Figure 3c", "the number of attractors grows over the epochs",
                 kind + (" " + between(kind, 0, last)), "last epoch less initialisation",
                 found.difference(kind, last, 0));
  }
  report.claim("Figure 3d", "attractors of training images and of noise become alike",
               "relative Chamfer distance " + between("chamfer noise", first, last),
               "first epoch less last", found.difference("chamfer noise", first, last));
  report.claim("Figure 3d", "trajectories become separable: FPR95 falls",
               "FPR95 " + between("fpr95", first, last), "first epoch less last",
               found.difference("fpr95", first, last));
  std::printf("\nWithout a trajectory, by the distance of the codes alone: FPR95 %s, AUROC %s\n",
              between("fpr95 of the start", first, last).c_str(),
              between("auroc of the start", first, last).c_str());
  report.claim("Figure 12, right", "the rank of decoded attractors rises over the epochs",
               "rank " + between("rank", first, last), "last epoch less first",
               found.difference("rank", last, first));

  const auto panel = [](const char* title, const char* y, std::vector<plot::curve> curves) {
    return plot::fitted({.title = title,
                         .x_label = "epoch",
                         .y_label = y,
                         .curves = std::move(curves),
                         .x_logarithmic = false});
  };
  plot::write_svg(
      report.path("epochs.svg"),
      {panel("Memorisation", "cosine with the nearest training image",
             {found.curve("memorization", "attractors of training images", "#0072B2")}),
       panel("Generalisation", "test error", {found.curve("test error", "test error", "#D55E00")}),
       panel("Attractors", "distinct attractors",
             {found.curve("attractors train", "of training images", "#0072B2"),
              found.curve("attractors test", "of test images", "#D55E00"),
              found.curve("attractors noise", "of noise", "#E69F00"),
              found.curve("rank", "rank, decoded, training images", "#009E73")}),
       panel("Distance from the attractors of training images", "Chamfer / mean norm",
             {found.curve("chamfer noise", "of noise", "#E69F00"),
              found.curve("chamfer test", "of test images", "#D55E00")}),
       panel("Trajectory score, noise against test images", "rate",
             {found.curve("fpr95", "FPR95", "#CC79A7"),
              found.curve("auroc", "AUROC, noise as foreign", "#009E73"),
              found.curve("fpr95 of the start", "FPR95 of the start alone", "#E69F00")})});
  experiment::write_sheet(report.path("sheet.png"), images.shape, sheet);
  if (!draw_planes(report, s, planes)) {
    std::printf("no picture of the field: there is no gnuplot; plots/ has its script and data\n");
  }
  report.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return experiment::run("training_dynamics", [&] { body(argc, argv); });
}
