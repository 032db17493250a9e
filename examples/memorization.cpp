// Figures 2 and 12 of Fumero et al. (2025): what attractors show of memorisation and
// generalisation, against the size k of the bottleneck.
//
//   memorization [--quick|--full|--tiny] [--images FILE] [--seeds N] [--threads T]
//                [--output FOLDER] [--starts N] [--latents K,K,...] [options of the training]
//
// For each k and seed a Table 3 network is trained, and codes of training images are iterated
// under the paper's rule. The coefficient of memorisation is the cosine of a decoded attractor
// with the nearest training image, as a mean over distinct attractors; "of ends" is the mean over
// the starts. How near unseen images are to the training set is measured beside it: blurred
// images of anything have large cosines, so that a coefficient is memory only where it is above
// that of unseen images.
//
// FOLDER (out/memorization) gets bottleneck.csv, results.json, bottleneck.svg and sheet.png:
// decoded attractors, a row for each k.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "experiment.hpp"
#include "trained.hpp"

namespace {

using basin::index_t;

constexpr const char* about =
    "memorization [OPTION [VALUE]]...: Figures 2 and 12, memorisation by the bottleneck\n\n"
    "--starts N      training images whose codes are iterated\n"
    "--latents K,... sizes of the bottleneck\n";

// Whether attractors of the smallest bottleneck are nearer the training images than others are.
void estimate_above_unseen(experiment::Report& report, const experiment::Series& found, double k,
                           double unseen) {
  const Eigen::VectorXd above = found.values(k, "memorization").array() - unseen;
  report.claim(
      "Figure 2, control", "nothing of this; memory would be nearer than unseen images are",
      plot::format("%s, unseen images %.3f",
                   experiment::text_of(found.mean(k, "memorization")).c_str(), unseen),
      plot::format("attractors at k = %g less unseen images", k), basin::mean_estimate(above));
}

void body(int argc, char** argv) {
  index_t starts = 0;
  std::vector<index_t> sizes;
  experiment::PlanOptions changes;
  const auto s =
      experiment::parse(argc, argv, "memorization", std::string(about) + experiment::plan_usage,
                        [&](options::Reader& read) {
                          if (read.is("--starts")) {
                            starts = read.at_least<index_t>(1);
                          } else if (read.is("--latents")) {
                            sizes = read.list<index_t>();
                          } else {
                            return changes.read(read);
                          }
                          return true;
                        });
  const auto plan = changes.apply(experiment::plan_of(s));
  if (sizes.empty()) {
    sizes = s.pick<std::vector<index_t>>({2, 16}, {2, 8, 32, 128, 512},
                                         {2, 4, 8, 16, 32, 64, 128, 256, 512});
  }
  if (starts == 0) starts = s.pick<index_t>(32, 150, 300);
  starts = std::min(starts, plan.images);

  experiment::Report report(s);
  const basin::cpu<float> be(s.threads);
  const auto images = experiment::split_images(s, plan.images, plan.test);
  const double constant = experiment::constant_error(images);
  const double unseen = basin::memorization(be, images.test, images.train).mean;

  experiment::Series found("k", {"memorization", "deviation", "memorization of ends", "test error",
                                 "rank", "rank of ends", "attractors", "converged", "iterations"});
  std::vector<Eigen::MatrixXf> sheet;
  index_t collapsed = 0;
  for (const index_t k : sizes) {
    for (index_t seed = 0; seed < s.seeds; ++seed) {
      auto of_k = plan;
      of_k.latent = k;
      const auto model = experiment::trained(be, images, of_k, seed);
      const double error = basin::reconstruction_error(be, model, images.test);
      if (error > 0.95 * constant) ++collapsed;
      const auto ends = experiment::ends_of(
          be, model, experiment::codes_of(be, model, images.train.leftCols(starts)));
      const Eigen::MatrixXf attractors = experiment::decoded(be, model, ends.attractors);
      const auto similar = experiment::memorization_of(be, attractors, images.train);
      const Eigen::MatrixXf decoded_ends = experiment::decoded(be, model, ends.states);
      const auto of_ends = experiment::memorization_of(be, decoded_ends, images.train);
      found.add(static_cast<double>(k), seed,
                {similar.mean, similar.deviation, of_ends.mean, error,
                 experiment::rank_of(attractors), experiment::rank_of(decoded_ends),
                 static_cast<double>(attractors.cols()), ends.converged, ends.iterations});
      if (seed == 0) sheet.push_back(attractors.leftCols(std::min<index_t>(12, attractors.cols())));
      report.tick();
    }
  }
  report.json["training"] = experiment::json_of(plan);
  report.json["starts"] = starts;
  report.json["collapsed"] = collapsed;
  report.json["constant_error"] = constant;
  report.json["similarity_of_unseen_images"] = unseen;
  report.add("bottleneck", found);
  std::printf(
      "test error of the mean image: %.4f; cosine of unseen images with the nearest training "
      "image: %.4f\n",
      constant, unseen);
  if (collapsed > 0) {
    std::printf("%td models answer with little more than the mean image\n", collapsed);
  }

  const auto first = static_cast<double>(sizes.front()), last = static_cast<double>(sizes.back());
  const auto at_ends = [&](const char* metric) {
    return plot::format("%s at k = %g and %s at k = %g",
                        experiment::text_of(found.mean(first, metric)).c_str(), first,
                        experiment::text_of(found.mean(last, metric)).c_str(), last);
  };
  report.claim("Figure 2, left", "attractors of small bottlenecks memorise, of large ones less",
               "memorisation " + at_ends("memorization"), "smallest k less largest",
               found.difference("memorization", first, last));
  estimate_above_unseen(report, found, first, unseen);
  report.claim("Figure 2, centre", "the test error falls with k",
               "test error " + at_ends("test error"), "smallest k less largest",
               found.difference("test error", first, last));
  for (const char* rank : {"rank", "rank of ends"}) {
    report.claim("Figure 12, left", "the rank of decoded attractors rises with k",
                 rank + (" " + at_ends(rank)), "largest k less smallest",
                 found.difference(rank, last, first));
  }

  const auto level = [&](const char* label, double value) {
    plot::curve c{.label = label, .color = "#666666", .dashed = true};
    c.x = {first, last};
    c.y = {value, value};
    return c;
  };
  plot::write_svg(
      report.path("bottleneck.svg"),
      {plot::fitted(
           {.title = "Memorisation",
            .x_label = "k",
            .y_label = "cosine with the nearest training image",
            .curves = {found.curve("memorization", "distinct attractors", "#0072B2"),
                       found.curve("memorization of ends", "ends of all starts", "#E69F00"),
                       level("unseen images", unseen)}}),
       plot::fitted({.title = "Generalisation",
                     .x_label = "k",
                     .y_label = "test error",
                     .curves = {found.curve("test error", "networks", "#D55E00"),
                                level("the mean image", constant)}}),
       plot::fitted(
           {.title = "Rank of decoded attractors",
            .x_label = "k",
            .y_label = "directions of 90 % of the variance",
            .curves = {found.curve("rank", "rank of distinct attractors", "#009E73"),
                       found.curve("rank of ends", "rank of the ends of all starts", "#E69F00"),
                       found.curve("attractors", "distinct attractors", "#0072B2")}})});
  experiment::write_sheet(report.path("sheet.png"), images.shape, sheet);
  report.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return experiment::run("memorization", [&] { body(argc, argv); });
}
