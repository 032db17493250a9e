// Figures 4 and 7 to 9 of Fumero et al. (2025): how well the attractors of noise represent codes
// of images, without any data.
//
//   weight_probing [--quick|--full|--tiny] [--model FILE] [--images FILE] [--seeds N]
//                  [--threads T] [--output FOLDER] [--starts N] [--noise S] [--latents K]
//                  [options of the training]
//
// Codes of unseen images are represented by 1, 2, ... atoms of a dictionary and decoded; the error
// is that of the decoded image. The paper compares the attractors that Gaussian noise ends at with
// a random orthogonal basis. It leaves out two that a user would ask for: the principal components
// of the training codes, and the training codes themselves. And one that tells what the iteration
// gives: the noise from which the attractors came. Orthogonal matching pursuit in an orthonormal
// basis is thresholding of coefficients.
//
// With --model FILE the seeds are of the noise, the basis and the choice of images; without one a
// Table 3 network is trained for each. FOLDER (out/weight_probing) gets image_error.csv,
// latent_error.csv, results.json, weight_probing.svg, and sheet.png: images, and what a fifth of k
// atoms of the basis, the attractors and the training codes make of them, a row each.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>

#include <basin/attractor/error_by_sparsity.hpp>
#include <basin/core/finite.hpp>
#include <basin/model/model_file.hpp>
#include <basin/sparse/dictionary.hpp>
#include <basin/sparse/orthogonal_matching_pursuit.hpp>
#include <basin/sparse/thresholding.hpp>

#include "experiment.hpp"
#include "trained.hpp"

namespace {

using basin::index_t;
using dictionary = basin::Dictionary<float>;

constexpr const char* about =
    "weight_probing [OPTION [VALUE]]...: Figures 4 and 7 to 9, attractors of noise as a "
    "dictionary\n\n"
    "--model FILE    a trained model; without one, one is trained for each seed\n"
    "--starts N      noise that is iterated\n"
    "--noise S       its standard deviation (1)\n"
    "--latents K     size of the bottleneck that is trained\n";

const std::vector<std::string> names = {"random basis", "attractors of noise", "noise",
                                        "principal components", "training codes"};
constexpr std::size_t basis = 0, attractors = 1, noise = 2, components = 3, training = 4;

// Principal components of codes, uncentred, as a basis of what is represented without an offset.
dictionary principal_components(const Eigen::MatrixXf& codes) {
  const Eigen::MatrixXd Z = codes.cast<double>();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(Z * Z.transpose());
  return basin::make_dictionary<float>(solver.eigenvectors().rowwise().reverse());
}

// The columns that are finite.
Eigen::MatrixXf finite_columns(const Eigen::MatrixXf& Z) {
  std::vector<index_t> kept;
  for (index_t j = 0; j < Z.cols(); ++j) {
    if (basin::is_finite(Z.col(j).squaredNorm())) kept.push_back(j);
  }
  return Z(Eigen::all, kept);
}

// What is measured with every number of atoms, for every dictionary.
struct errors {
  std::vector<std::vector<double>> image, latent;  // [dictionary][atoms - 1]
};

class Probe {
 public:
  Probe(const basin::cpu<float>& be, const basin::Autoencoder<float>& model,
        const Eigen::MatrixXf& images)
      : be_(be), model_(model), images_(images), codes_(experiment::codes_of(be, model, images)) {}

  void add(const dictionary& atoms, bool orthonormal, errors& found) {
    const index_t k = codes_.rows();
    basin::pursuit_options options{.atoms = k, .path = true};
    const auto codes = orthonormal
                           ? basin::thresholding(be_, atoms, codes_, options)
                           : basin::orthogonal_matching_pursuit(be_, atoms, codes_, options);
    found.image.emplace_back();
    found.latent.emplace_back();
    auto decoder = model_.decoder_map();
    const Eigen::VectorXd errors = basin::error_by_sparsity(be_, decoder, atoms, codes, images_);
    const double all = codes_.cast<double>().squaredNorm();
    for (index_t s = 1; s <= k; ++s) {
      // Where there are fewer atoms, the last are all.
      const index_t used = std::min(s, errors.size() - 1);
      found.image.back().push_back(errors[used]);
      found.latent.back().push_back(codes.residuals.row(used).cast<double>().squaredNorm() / all);
    }
    few_.push_back(experiment::decoded(
        be_, model_, basin::represented(atoms, codes, std::max<index_t>(1, k / 5))));
  }

  // Images by a fifth of k atoms, of each dictionary in the order in which they came.
  [[nodiscard]] const std::vector<Eigen::MatrixXf>& few() const { return few_; }
  [[nodiscard]] double reconstruction() const {
    const Eigen::MatrixXf X = experiment::decoded(be_, model_, codes_);
    return static_cast<double>((X - images_).squaredNorm()) / static_cast<double>(X.size());
  }

 private:
  const basin::cpu<float>& be_;
  const basin::Autoencoder<float>& model_;
  const Eigen::MatrixXf& images_;
  Eigen::MatrixXf codes_;
  std::vector<Eigen::MatrixXf> few_;
};

// Of one dictionary over another, the mean over 1 ... most atoms of the logarithm of the ratio of
// their errors, for each seed with its own `most`: above 0 where the first is better.
basin::estimate advantage(const experiment::Series& found, const std::string& better,
                          const std::string& than, const std::vector<index_t>& most) {
  Eigen::VectorXd mean = Eigen::VectorXd::Zero(static_cast<index_t>(most.size()));
  for (index_t seed = 0; seed < mean.size(); ++seed) {
    const index_t atoms = most[static_cast<std::size_t>(seed)];
    for (index_t a = 1; a <= atoms; ++a) {
      const auto x = static_cast<double>(a);
      mean[seed] += std::log(found.values(x, than)[seed] / found.values(x, better)[seed]) /
                    static_cast<double>(atoms);
    }
  }
  return basin::mean_estimate(mean);
}

void body(int argc, char** argv) {
  index_t starts = 0, latent = 0;
  double deviation = 1;
  std::string file;
  experiment::PlanOptions changes;
  const auto s =
      experiment::parse(argc, argv, "weight_probing", std::string(about) + experiment::plan_usage,
                        [&](options::Reader& read) {
                          if (read.is("--starts")) {
                            starts = read.at_least<index_t>(1);
                          } else if (read.is("--noise")) {
                            deviation = read.positive();
                          } else if (read.is("--latents")) {
                            latent = read.at_least<index_t>(2);
                          } else if (read.is("--model")) {
                            file = read.text();
                          } else {
                            return changes.read(read);
                          }
                          return true;
                        });
  auto plan = changes.apply(experiment::plan_of(s));
  plan.latent = latent > 0 ? latent : s.pick<index_t>(8, 32, 128);
  if (starts == 0) starts = s.pick<index_t>(64, 1000, 4000);

  experiment::Report report(s);
  const basin::cpu<float> be(s.threads);
  std::vector<basin::Autoencoder<float>> given;
  if (!file.empty()) {
    given.push_back(
        options::of_option("--model", [&] { return basin::load_model<float>(file).autoencoder; }));
    plan.latent = given.front().latent_size();
  }
  const auto images = experiment::split_images(s, plan.images, plan.test);
  if (!given.empty()) {
    basin::require_size("weight_probing", "number of entries of an image", images.shape.size(),
                        given.front().image_shape().size());
  }
  const index_t k = plan.latent;
  basin::require(k >= 2, "--model", "must have two latent dimensions at least");
  basin::require(given.empty() || images.test.cols() >= s.seeds, "--test",
                 "must be at least the number of seeds");

  experiment::Series image("atoms", names), of_codes("atoms", names);
  experiment::Series sizes("k", {"attractors by cosine", "atoms of attractors", "rank", "converged",
                                 "reconstruction error"});
  std::vector<Eigen::MatrixXf> sheet;
  std::vector<index_t> compared;
  for (index_t seed = 0; seed < s.seeds; ++seed) {
    const auto model = given.empty() ? experiment::trained(be, images, plan, seed) : given.front();
    const auto random = static_cast<std::uint64_t>(seed + 1);
    Eigen::MatrixXf Z(k, starts);
    fill_normal(be, {.seed = random, .stream = 1}, Z);
    Z *= static_cast<float>(deviation);
    const auto ends = experiment::ends_of(be, model, Z);
    // What one attractor's ends differ by under the paper's rule is not another atom.
    const auto of_ends =
        basin::make_dictionary<float>(finite_columns(ends.states), {.duplicate = 1e-2});
    // A different part of the test images for each seed where the model is the same.
    Eigen::MatrixXf test = images.test;
    if (!given.empty() && s.seeds > 1) {
      const index_t part = images.test.cols() / s.seeds;
      test = images.test.middleCols(seed * part, part).eval();
    }
    Probe probe(be, model, test);
    errors found;
    probe.add(basin::random_orthogonal_dictionary(be, k, k, {.seed = random, .stream = 2}), true,
              found);
    probe.add(of_ends, false, found);
    // As much noise as there are attractors.
    probe.add(basin::make_dictionary<float>(Z.leftCols(of_ends.size())), false, found);
    const Eigen::MatrixXf known = experiment::codes_of(be, model, images.train);
    probe.add(principal_components(known), true, found);
    probe.add(basin::make_dictionary<float>(known), false, found);
    for (index_t a = 0; a < k; ++a) {
      std::vector<double> of_image, of_latent;
      for (std::size_t d = 0; d < names.size(); ++d) {
        of_image.push_back(found.image[d][static_cast<std::size_t>(a)]);
        of_latent.push_back(found.latent[d][static_cast<std::size_t>(a)]);
      }
      image.add(static_cast<double>(a + 1), seed, of_image);
      of_codes.add(static_cast<double>(a + 1), seed, of_latent);
    }
    const index_t rank = basin::rank(of_ends, 1e-3);
    // Behind the rank of the attractors nothing is left to compare; k atoms of a basis span all.
    compared.push_back(std::clamp<index_t>(rank, 1, k - 1));
    sizes.add(static_cast<double>(k), seed,
              {static_cast<double>(ends.attractors.cols()), static_cast<double>(of_ends.size()),
               static_cast<double>(rank), ends.converged, probe.reconstruction()});
    if (seed == 0) {
      const index_t shown = std::min<index_t>(12, test.cols());
      sheet.push_back(test.leftCols(shown));
      for (const std::size_t d : {basis, attractors, training}) {
        sheet.push_back(probe.few()[d].leftCols(shown));
      }
    }
    report.tick();
  }
  report.json["training"] = experiment::json_of(plan);
  report.json["model"] = !file.empty();
  report.json["starts"] = starts;
  report.json["noise"] = deviation;
  report.add("sizes", sizes);
  report.add("image_error", image);
  report.add("latent_error", of_codes);

  const auto against = [&](std::size_t other, const char* figure, const char* paper) {
    const basin::estimate gain = advantage(image, names[attractors], names[other], compared);
    report.claim(
        figure, paper,
        plot::format("errors of %s are those of attractors times %.3f, as a geometric mean "
                     "over as many atoms as they have dimensions",
                     names[other].c_str(), std::exp(gain.value)),
        "mean log ratio of the errors", gain);
  };
  against(basis, "Figure 4", "attractors of noise represent images better than a random basis");
  against(noise, "Figure 4, control", "nothing of this; the iteration would better the noise");
  against(components, "Figure 4, control",
          "nothing of this; attractors would be better than principal components");
  against(training, "Figure 4, control",
          "nothing of this; attractors would be better than training codes");

  const std::vector<std::string> colors = {"#1f77b4", "#d62728", "#7f7f7f", "#2ca02c", "#9467bd"};
  std::vector<plot::panel> panels;
  for (const auto& [series, label] :
       {std::pair(&image, "squared error of the image"),
        std::pair(&of_codes, "squared error of the code, relative")}) {
    plot::panel p{.title = label, .x_label = "atoms", .y_label = label};
    for (std::size_t d = 0; d < names.size(); ++d) {
      p.curves.push_back(series->curve(names[d], names[d], colors[d]));
    }
    panels.push_back(plot::fitted(p));
  }
  plot::write_svg(report.path("weight_probing.svg"), panels);
  experiment::write_sheet(report.path("sheet.png"), images.shape, sheet);
  report.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return experiment::run("weight_probing", [&] { body(argc, argv); });
}
