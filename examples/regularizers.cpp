// What each regulariser of the paper's Table 2 does: trains the same small autoencoder with
// each of them and prints, as a table in Markdown, what changes against the plain one.
//
//   regularizers [--quick|--full|--tiny] [--images FILE] [--seeds N] [--threads T]
//                [--output FOLDER] [options of the training]
//
// FOLDER (out/regularizers) gets regularizers.csv, results.json and norms.svg.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <Eigen/SVD>

#include <basin/spectral/jacobian.hpp>

#include "experiment.hpp"
#include "trained.hpp"

namespace {

using basin::index_t;
using scalar = float;
using matrix = Eigen::MatrixX<scalar>;

struct entry {
  std::string name;
  std::vector<basin::regularizer<scalar>> terms;
  basin::table3_options model = {};
};

constexpr const char* about =
    "regularizers [OPTION [VALUE]]...: Table 2, what each regulariser does\n\n";

// What is measured of a trained model: the squared error of reconstruction of test images; the same
// from images with noise of deviation 0.3, and from images with half of the patches hidden; means
// of ‖J_E‖²_F, ‖J_F‖²_F and ‖J_f‖²_F at test images, and of the rank of J_f; Σ ‖W‖²_F; of codes,
// the mean |z_i|, the share of |z_i| below a tenth of their root mean square, and the KL of their
// mean and variance from N(0, 1), per element.
const std::vector<std::string> metrics{"error",      "from noise", "from half",    "‖J_E‖²",
                                       "‖J_F‖²",     "‖J_f‖²",     "rank J_f",     "Σ‖W‖²",
                                       "mean abs z", "small z",    "KL to N(0, 1)"};

double error_from(const basin::cpu<scalar>& be, const basin::Autoencoder<scalar>& model,
                  const matrix& seen, const matrix& images) {
  auto F = model.reconstruction_map();
  matrix answer(images.rows(), images.cols());
  basin::evaluate(be, F, seen, answer);
  return static_cast<double>((answer - images).squaredNorm()) / static_cast<double>(images.size());
}

std::vector<double> measure(const basin::cpu<scalar>& be, basin::Autoencoder<scalar>& model,
                            const matrix& test) {
  matrix noise(test.rows(), test.cols());
  fill_normal(be, {.seed = 99}, noise);
  const basin::tensor_shape shape = model.image_shape();
  matrix half = test;
  for (index_t j = 0; j < half.cols(); ++j) {
    for (index_t i = 0; i < half.rows(); ++i) {
      const index_t x = i % shape.width, y = i / shape.width % shape.height;
      const index_t patch = y / 4 * (shape.width / 4) + x / 4;
      if (basin::random_stream{98}.word(patch, j) % 2 == 0) half(i, j) = 0;
    }
  }
  // The exact penalties are the norms.
  const index_t count = std::min<index_t>(200, test.cols());
  const basin::block<const scalar> x(test.data(), test.outerStride(), count);
  std::vector<scalar> g(static_cast<std::size_t>(basin::parameter_count(model.encoder()) +
                                                 basin::parameter_count(model.decoder())));
  std::vector<basin::regularizer<scalar>> terms = {
      basin::contractive{1.0}, basin::r_contractive{1.0}, basin::deep_weight_decay{1.0}};
  if (model.variational()) terms.push_back(basin::variational{0.0});
  const auto norms = basin::Objective<scalar>(terms).evaluate(be, model, x, {}, 0, g.data());
  const matrix codes = experiment::codes_of(be, model, test);
  auto map = model.latent_map();
  double latent_norm = 0, rank = 0;
  const auto measured = static_cast<double>(count);
  for (const Eigen::MatrixXd& J :
       basin::jacobian(be, map, codes.leftCols(count).template cast<double>().eval())) {
    latent_norm += J.squaredNorm() / measured;
    const Eigen::VectorXd values = J.jacobiSvd().singularValues();
    rank += static_cast<double>((values.array() > 1e-3 * values[0]).count()) / measured;
  }
  const Eigen::ArrayXXd z = codes.cast<double>().array();
  double prior = 0;
  for (index_t i = 0; i < z.rows(); ++i) {
    const double mean = z.row(i).mean();
    const double variance = (z.row(i) - mean).square().mean() + 1e-12;
    prior += (mean * mean + variance - 1 - std::log(variance)) / 2 / static_cast<double>(z.rows());
  }
  return {error_from(be, model, test, test),
          error_from(be, model, test + scalar(0.3) * noise, test),
          error_from(be, model, half, test),
          norms.penalties[0],
          norms.penalties[1],
          latent_norm,
          rank,
          norms.penalties[2],
          z.abs().mean(),
          (z.abs() < 0.1 * std::sqrt(z.square().mean())).cast<double>().mean(),
          prior};
}

// Norms of each regulariser by those of its plain network, a curve a Jacobian.
void draw(const experiment::Report& report, const experiment::Series& found) {
  const auto series = [&](const char* metric, const char* label, const char* color) {
    plot::curve c{.label = label, .color = color, .joined = false};
    for (const double x : found.xs()) {
      const basin::estimate e = found.mean(x, metric);
      c.x.push_back(x + 1);
      c.y.push_back(std::log10(e.value));
      c.error.push_back(e.error / e.value / std::log(10.0));
    }
    return c;
  };
  plot::write_svg(report.path("norms.svg"),
                  {plot::fitted({.title = "Jacobians at test images",
                                 .x_label = "row of the table",
                                 .y_label = "log10 of the squared norm",
                                 .curves = {series("‖J_E‖²", "encoder", "#0072B2"),
                                            series("‖J_F‖²", "reconstruction map", "#D55E00"),
                                            series("‖J_f‖²", "latent map", "#009E73")},
                                 .x_logarithmic = false})});
}

// A claim of Table 2: with the regulariser, a number that stands for contraction is less.
struct claim {
  std::string of, against, metric, says;
};

void body(int argc, char** argv) {
  experiment::PlanOptions changes;
  const auto s =
      experiment::parse(argc, argv, "regularizers", std::string(about) + experiment::plan_usage,
                        [&](options::Reader& read) { return changes.read(read); });
  // What decays is told by the entries, so that the plan has no decay.
  auto plan = changes.apply(s.pick<experiment::training_plan>(
      {.images = 96, .test = 32, .width = 4, .epochs = 8, .rate = 5e-3, .decay = 0, .batch = 4},
      {.images = 500, .width = 8, .epochs = 12, .decay = 0, .batch = 8},
      {.images = 4800,
       .test = 1200,
       .width = 8,
       .epochs = 12,
       .rate = 1e-3,
       .decay = 0,
       .batch = 128,
       .keep = s.output + "/trainings"}));
  plan.latent = 8;
  experiment::Report report(s);
  const basin::cpu<scalar> be(s.threads);
  const auto images = experiment::split_images(s, plan.images, plan.test);

  const basin::table3_options plain = plan.model(images.shape);
  const auto with = [&](auto change) {
    basin::table3_options options = plain;
    change(options);
    return options;
  };
  const auto sigmoid = with([](auto& o) { o.code_activation = basin::sigmoid_function{}; });
  const auto relu = with([](auto& o) { o.code_activation = basin::relu_function{}; });
  const std::vector<entry> entries = {
      {"plain, k = 8", {}, plain},
      {"bottleneck, k = 2", {basin::bottleneck{2}}, with([](auto& o) { o.latent = 2; })},
      {"weight_decay 1e-4", {basin::weight_decay{1e-4}}, plain},
      {"deep_weight_decay 1e-5", {basin::deep_weight_decay{1e-5}}, plain},
      {"contractive 1e-4", {basin::contractive{1e-4}}, plain},
      {"r_contractive 1e-3", {basin::r_contractive{1e-3}}, plain},
      {"plain, sigmoid code", {}, sigmoid},
      {"sparse_kl 1e-2, sigmoid code", {basin::sparse_kl{1e-2}}, sigmoid},
      {"plain, ReLU code", {}, relu},
      {"sparse_l1 1e-4, ReLU code", {basin::sparse_l1{1e-4}}, relu},
      {"denoising 0.3", {basin::denoising{0.3}}, plain},
      {"variational 1e-3", {basin::variational{1e-3}}, with([](auto& o) { o.variational = true; })},
      {"masked 0.5", {basin::masked{0.5}}, plain}};
  std::vector<std::string> names;
  for (const entry& one : entries) names.push_back(one.name);

  experiment::Series found("regulariser", metrics, names);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    for (index_t seed = 0; seed < s.seeds; ++seed) {
      auto model = basin::table3<scalar>(entries[i].model);
      experiment::train(be, model, images, plan, seed, entries[i].terms, {},
                        "regularizer" + std::to_string(i));
      found.add(static_cast<double>(i), seed, measure(be, model, images.test));
      report.tick();
    }
  }
  report.json["training"] = experiment::json_of(plan);
  report.add("regularizers", found);

  const auto place = [&](const std::string& name) {
    const auto at = std::find(names.begin(), names.end(), name);
    return static_cast<double>(at - names.begin());
  };
  const std::string k8 = names[0], sig = "plain, sigmoid code", rel = "plain, ReLU code";
  for (const claim& c : std::vector<claim>{
           {"bottleneck, k = 2", k8, "rank J_f", "limits the rank of the Jacobian"},
           {"weight_decay 1e-4", k8, "‖J_f‖²", "reduces the norm of J_f by shrinking weights"},
           {"deep_weight_decay 1e-5", k8, "‖J_f‖²", "a smoother, more contractive composition"},
           {"r_contractive 1e-3", k8, "‖J_F‖²", "stable reconstructions: a small Jacobian of F"},
           {"contractive 1e-4", k8, "‖J_E‖²", "local flatness of the encoder"},
           {"sparse_kl 1e-2, sigmoid code", sig, "‖J_E‖²", "saturated units: a small J_E"},
           {"sparse_l1 1e-4, ReLU code", rel, "‖J_E‖²", "inactive units: a sparse J_E"},
           {"denoising 0.3", k8, "‖J_f‖²", "a contractive vector field"},
           {"variational 1e-3", k8, "‖J_E‖²", "penalises sharp variations in the encoder"},
           {"masked 0.5", k8, "‖J_f‖²", "invariance to missing entries: a low norm of J_f"}}) {
    // Networks that answer everything with one image say nothing of a regulariser: pairs with such
    // a one are left out, and counted. Norms vary by factors, so that logarithms are compared.
    const Eigen::VectorXd with_it = found.values(place(c.of), c.metric);
    const Eigen::VectorXd without = found.values(place(c.against), c.metric);
    const Eigen::VectorXd J = found.values(place(c.of), "‖J_f‖²");
    const Eigen::VectorXd J_without = found.values(place(c.against), "‖J_f‖²");
    std::vector<double> less;
    for (index_t j = 0; j < J.size(); ++j) {
      if (std::min(J[j], J_without[j]) > 1e-6) less.push_back(std::log(without[j] / with_it[j]));
    }
    const auto compared = static_cast<index_t>(less.size());
    report.claim("Table 2, " + c.of, c.says,
                 plot::format("%s %s, %s %s", c.metric.c_str(),
                              experiment::text_of(found.mean(place(c.of), c.metric)).c_str(),
                              c.against.c_str(),
                              experiment::text_of(found.mean(place(c.against), c.metric)).c_str()) +
                     (compared < J.size() ? plot::format("; constant, left out: %td of %td",
                                                         J.size() - compared, J.size())
                                          : std::string()),
                 "logarithm of the second by the first",
                 basin::mean_estimate(Eigen::Map<const Eigen::VectorXd>(less.data(), compared)));
  }
  draw(report, found);
  report.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return experiment::run("regularizers", [&] { body(argc, argv); });
}
