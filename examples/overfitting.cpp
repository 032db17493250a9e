// Figure 13 of Fumero et al. (2025): networks that are trained on few images memorise them.
//
//   overfitting [--quick|--full|--tiny] [--images FILE] [--seeds N] [--threads T]
//               [--output FOLDER] [--latent K] [--starts N] [--sizes N,N,...]
//               [options of the training]
//
// A Table 3 network with k = 128 is trained on so many images, each for the same number of steps,
// and codes of these images are iterated under the paper's rule. Of the coefficient of
// memorisation, the cosine of a decoded attractor with the nearest training image, a part is owed
// to the number of images alone: the more there are, the nearer is the nearest. So that of unseen
// images stands beside it. "Returned" is the share of training images that are the nearest to
// their own end: 1 / N where all go to one place, 1 where each is stored.
//
// FOLDER (out/overfitting) gets sizes.csv, results.json, sizes.svg and sheet.png: for each size
// training images over where they end.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "experiment.hpp"
#include "trained.hpp"

namespace {

using basin::index_t;

constexpr const char* about =
    "overfitting [OPTION [VALUE]]...: Figure 13, memorisation by the size of the training set\n\n"
    "--latent K      size of the bottleneck (128)\n"
    "--starts N      most training images whose codes are iterated\n"
    "--sizes N,...   training images\n";

void body(int argc, char** argv) {
  index_t latent = 128, most = 0;
  std::vector<index_t> sizes;
  experiment::PlanOptions changes;
  const auto s =
      experiment::parse(argc, argv, "overfitting", std::string(about) + experiment::plan_usage,
                        [&](options::Reader& read) {
                          if (read.is("--latent")) {
                            latent = read.at_least<index_t>(1);
                          } else if (read.is("--starts")) {
                            most = read.at_least<index_t>(1);
                          } else if (read.is("--sizes")) {
                            sizes = read.list<index_t>();
                          } else {
                            return changes.read(read);
                          }
                          return true;
                        });
  // Its images and epochs say how many steps there are, for each size.
  auto plan = experiment::plan_of(s);
  plan.epochs = s.pick<index_t>(plan.epochs, 20, plan.epochs);
  plan = changes.apply(plan);
  plan.latent = latent;
  if (most == 0) most = s.pick<index_t>(32, 150, 300);
  if (sizes.empty()) {
    sizes = s.pick<std::vector<index_t>>({4, 256}, {4, 16, 64, 256, 1000},
                                         {4, 16, 64, 256, 1000, 4000});
  }
  for (const index_t size : sizes) basin::require(size >= 1, "--sizes", "must be at least 1");
  const index_t seen = plan.images * plan.epochs;

  experiment::Report report(s);
  const basin::cpu<float> be(s.threads);
  const auto all = experiment::split_images(
      s, std::max(plan.images, *std::max_element(sizes.begin(), sizes.end())), plan.test);

  experiment::Series found(
      "training images",
      {"memorization", "deviation", "unseen images", "above unseen", "returned", "above chance",
       "training error", "test error", "attractors", "converged"});
  std::vector<Eigen::MatrixXf> sheet;
  for (const index_t size : sizes) {
    for (index_t seed = 0; seed < s.seeds; ++seed) {
      // Other images for each seed, as far as there are.
      experiment::image_split images{.shape = all.shape, .test = all.test};
      images.train.resize(all.train.rows(), size);
      for (index_t j = 0; j < size; ++j) {
        images.train.col(j) = all.train.col((seed * size + j) % all.train.cols());
      }
      auto of_size = plan;
      of_size.images = size;
      of_size.batch = std::min(plan.batch, size);
      // Steps alike: an epoch has size / batch of them, rounded up.
      const index_t steps = seen / plan.batch;
      const index_t of_epoch = (size + of_size.batch - 1) / of_size.batch;
      of_size.epochs = std::max<index_t>(1, steps / of_epoch);
      const auto model = experiment::trained(be, images, of_size, seed);

      const Eigen::MatrixXf starts = images.train.leftCols(std::min(most, size));
      const auto ends = experiment::ends_of(be, model, experiment::codes_of(be, model, starts));
      const Eigen::MatrixXf attractors = experiment::decoded(be, model, ends.attractors);
      const Eigen::MatrixXf decoded_ends = experiment::decoded(be, model, ends.states);
      const auto similar = experiment::memorization_of(be, attractors, images.train);
      const auto of_ends = experiment::memorization_of(be, decoded_ends, images.train);
      index_t returned = 0;
      for (index_t j = 0; j < starts.cols(); ++j) {
        returned += of_ends.nearest[static_cast<std::size_t>(j)] == j;
      }
      // One end for all is the nearest to one image of them: chance returns 1 / size.
      const double share = static_cast<double>(returned) / static_cast<double>(starts.cols());
      const double unseen = basin::memorization(be, images.test, images.train).mean;
      found.add(static_cast<double>(size), seed,
                {similar.mean, similar.deviation, unseen, similar.mean - unseen, share,
                 share - 1 / static_cast<double>(size),
                 basin::reconstruction_error(be, model, images.train),
                 basin::reconstruction_error(be, model, images.test),
                 static_cast<double>(attractors.cols()), ends.converged});
      if (seed == 0) {
        sheet.push_back(starts.leftCols(std::min<index_t>(12, starts.cols())));
        sheet.push_back(decoded_ends.leftCols(std::min<index_t>(12, starts.cols())));
      }
      report.tick();
    }
  }
  report.json["training"] = experiment::json_of(plan);
  report.json["most_starts"] = most;
  report.add("sizes", found);

  const auto first = static_cast<double>(sizes.front()), last = static_cast<double>(sizes.back());
  const auto at_ends = [&](const char* metric) {
    return plot::format("%s of %g images and %s of %g",
                        experiment::text_of(found.mean(first, metric)).c_str(), first,
                        experiment::text_of(found.mean(last, metric)).c_str(), last);
  };
  const char* quantity = "fewest images less most";
  report.claim("Figure 13", "networks trained on fewer images memorise more",
               "memorisation " + at_ends("memorization"), quantity,
               found.difference("memorization", first, last));
  report.claim("Figure 13, control", "nothing of this; above what unseen images have",
               "memorisation above unseen images " + at_ends("above unseen"), quantity,
               found.difference("above unseen", first, last));
  report.claim("Figure 13, control",
               "nothing of this; images that are the nearest to their own end",
               "returned above chance " + at_ends("above chance"), quantity,
               found.difference("above chance", first, last));

  plot::write_svg(
      report.path("sizes.svg"),
      {plot::fitted({.title = "Memorisation",
                     .x_label = "training images",
                     .y_label = "cosine with the nearest training image",
                     .curves = {found.curve("memorization", "distinct attractors", "#0072B2"),
                                found.curve("unseen images", "unseen images", "#666666")}}),
       plot::fitted({.title = "Training images that are the nearest to their end",
                     .x_label = "training images",
                     .y_label = "share",
                     .curves = {found.curve("returned", "of the starts", "#009E73")}}),
       plot::fitted({.title = "Reconstruction",
                     .x_label = "training images",
                     .y_label = "squared error",
                     .curves = {found.curve("training error", "training images", "#0072B2"),
                                found.curve("test error", "test images", "#D55E00")}})});
  experiment::write_sheet(report.path("sheet.png"), all.shape, sheet);
  report.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return experiment::run("overfitting", [&] { body(argc, argv); });
}
