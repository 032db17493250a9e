#include <basin/training/trainer.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "../catch.hpp"
#include "networks.hpp"

namespace {

using basin::index_t;

// Blobs: smooth images of 1 × 16 × 16 in two parameters.
template <class Scalar>
Eigen::MatrixX<Scalar> blobs(index_t count) {
  Eigen::MatrixX<Scalar> X(256, count);
  for (index_t j = 0; j < count; ++j) {
    const double a = 4 + 8 * basin::uniform_from_word<double>(basin::random_stream{3}.word(0, j));
    const double b = 4 + 8 * basin::uniform_from_word<double>(basin::random_stream{3}.word(1, j));
    for (index_t i = 0; i < 256; ++i) {
      const double r = std::pow(static_cast<double>(i / 16) - a, 2) +
                       std::pow(static_cast<double>(i % 16) - b, 2);
      X(i, j) = static_cast<Scalar>(std::exp(-r / 6));
    }
  }
  return X;
}

template <class Scalar>
basin::Autoencoder<Scalar> small(std::uint64_t seed = 1) {
  auto model = networks::table3<Scalar>(16, 2, 2, 2, basin::relu_function{});
  model.initialize(seed);
  return model;
}

template <class Scalar>
std::vector<Scalar> weights(basin::Autoencoder<Scalar>& model) {
  std::vector<Scalar> all;
  for (const auto& one : model.parameters()) {
    all.insert(all.end(), one.values.data, one.values.data + one.values.size);
  }
  return all;
}

std::string path(const std::string& name) {
  return (std::filesystem::temp_directory_path() /
          ("basin-training-" + std::to_string(::getpid()) + "-" + name))
      .string();
}

std::string text_of(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

basin::training_options<float> options() {
  return {
      .epochs = 4,
      .batch = 24,
      .optimizer = basin::adam{.weight_decay = 1e-4},
      .rate = {.rate = 2e-3, .schedule = basin::cosine_schedule{1e-4}, .warm_up = 3},
      .regularizers = {basin::denoising{0.05}, basin::sparse_l1{1e-4}, basin::contractive{1e-4, 1}},
      .seed = 9};
}

}  // namespace

TEST_CASE("training learns, on any number of threads to the same bits", "[training]") {
  const Eigen::MatrixXf images = blobs<float>(100);
  std::vector<float> first;
  for (const int threads : {1, 2, 4}) {
    auto model = small<float>();
    const basin::cpu<float> be(threads);
    const double before = basin::reconstruction_error(be, model, images);
    auto settings = options();
    settings.epochs = 60;
    settings.rate = {.rate = 1e-2};
    const auto result = basin::train(be, model, images, settings, images.leftCols(10));
    CHECK(result.status == basin::training_status::finished);
    REQUIRE(result.history.size() == 60);
    CHECK(result.history.back().loss < result.history.front().loss);
    CHECK(result.history.back().penalties.size() == 3);
    CHECK(basin::reconstruction_error(be, model, images) < 0.8 * before);
    if (first.empty()) first = weights(model);
    CHECK(weights(model) == first);
  }
}

TEST_CASE("the seed decides the order, and a short last batch is used", "[training]") {
  const auto order = basin::detail::shuffled(1000, 1, 0);
  std::vector<bool> seen(1000);
  for (const index_t i : order) seen[static_cast<std::size_t>(i)] = true;
  CHECK(std::count(seen.begin(), seen.end(), true) == 1000);
  CHECK(order != basin::detail::shuffled(1000, 1, 1));
  CHECK(order != basin::detail::shuffled(1000, 2, 0));
  CHECK(order == basin::detail::shuffled(1000, 1, 0));
}

TEST_CASE("an interrupted training goes on to bitwise the same weights", "[training]") {
  const Eigen::MatrixXf images = blobs<float>(100);
  const basin::cpu<float> be(2);
  auto straight = small<float>();
  const auto whole = basin::train(be, straight, images, options());

  // Stopped in the middle of an epoch: a transformation that changes nothing counts the
  // samples it is asked for.
  const std::string file = path("stopped");
  std::filesystem::remove(file);
  for (const index_t stop_at : {1, 60, 100, 250}) {
    INFO("stopped after " << stop_at << " samples");
    auto counted = options();
    std::stop_source stop;
    std::atomic<index_t> asked = 0;
    counted.regularizers.push_back(basin::augmented<float>{[&](auto, auto out, auto, index_t) {
                                                             std::fill_n(out.data, out.size, 0.0f);
                                                             if (++asked == stop_at)
                                                               stop.request_stop();
                                                           },
                                                           0.0});
    counted.checkpoint = file;
    counted.stop = stop.get_token();
    counted.log = path("log.csv");
    auto model = small<float>();
    const auto part = basin::train(be, model, images, counted);
    CHECK(part.status == basin::training_status::stopped);
    CHECK(part.history.size() == static_cast<std::size_t>(stop_at / 100));
    counted.stop = {};
    counted.resume = true;
    auto resumed = small<float>(77);  // the checkpoint's weights take its place
    const auto rest = basin::train(be, resumed, images, counted);
    CHECK(rest.status == basin::training_status::finished);
    CHECK(weights(resumed) == weights(straight));
    REQUIRE(rest.history.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(rest.history[i].reconstruction == whole.history[i].reconstruction);
    }
    const std::string log = text_of(counted.log);
    CHECK(std::count(log.begin(), log.end(), '\n') == 5);
    CHECK(
        log.starts_with("epoch,loss,reconstruction,denoising,sparse_l1,contractive,augmented,"
                        "test_error,rate,seconds,samples_per_second\n1,"));
    std::filesystem::remove(file);
    std::filesystem::remove(counted.log);
  }
}

TEST_CASE("a kill at any moment leaves a whole checkpoint", "[training]") {
  const Eigen::MatrixXf images = blobs<float>(100);
  auto settings = options();
  settings.epochs = 6;
  auto straight = small<float>();
  basin::train(basin::cpu<float>(1), straight, images, settings);

  settings.checkpoint = path("killed");
  settings.checkpoint_seconds = 0;  // after every step
  settings.resume = true;
  std::filesystem::remove(settings.checkpoint);
  int kills = 0;
  for (int attempt = 0; attempt < 60; ++attempt) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      auto model = small<float>();
      const auto done = basin::train(basin::cpu<float>(1), model, images, settings);
      ::_exit(done.status == basin::training_status::finished ? 0 : 1);
    }
    ::usleep(static_cast<useconds_t>(3000 + 2711 * attempt % 17000));
    ::kill(child, SIGKILL);
    int how = 0;
    ::waitpid(child, &how, 0);
    if (WIFEXITED(how)) {
      REQUIRE(WEXITSTATUS(how) == 0);
      break;
    }
    ++kills;
  }
  CHECK(kills > 0);
  auto model = small<float>();
  const auto done = basin::train(basin::cpu<float>(1), model, images, settings);
  CHECK(done.status == basin::training_status::finished);
  CHECK(weights(model) == weights(straight));
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::temp_directory_path())) {
    if (entry.path().string().starts_with(settings.checkpoint)) {
      std::filesystem::remove(entry.path());
    }
  }
}

TEST_CASE("a checkpoint of another training is refused", "[training]") {
  const Eigen::MatrixXf images = blobs<float>(50);
  const basin::cpu<float> be(1);
  auto settings = options();
  settings.epochs = 1;
  settings.checkpoint = path("other");
  auto model = small<float>();
  basin::train(be, model, images, settings);
  settings.resume = true;
  const auto refused = [&](const auto& changed, const std::string& reason) {
    auto fresh = small<float>();
    const auto before = weights(fresh);
    try {
      basin::train(be, fresh, images, changed);
      FAIL("no file_error: " + reason);
    } catch (const basin::file_error& e) {
      CHECK(std::string(e.what()).find(reason) != std::string::npos);
    }
    CHECK(weights(fresh) == before);
  };
  auto other = settings;
  other.seed = 10;
  refused(other, "other settings");
  other = settings;
  other.optimizer = basin::sgd{0.9};
  refused(other, "other settings");
  other = settings;
  other.regularizers.pop_back();
  refused(other, "other settings");
  std::ofstream(settings.checkpoint, std::ios::trunc) << "nothing";
  refused(settings, "byte");
  std::filesystem::remove(settings.checkpoint);
}

TEST_CASE("a loss that is not finite ends the training and says so", "[training]") {
  const Eigen::MatrixXf images = blobs<float>(50);
  auto model = small<float>();
  const auto result =
      basin::train(basin::cpu<float>(1), model, images,
                   {.epochs = 50, .optimizer = basin::sgd{}, .rate = {.rate = 1e6}});
  CHECK(result.status == basin::training_status::diverged);
  CHECK(result.history.size() < 50);
}

TEST_CASE("attractors can be followed through the training", "[training]") {
  const Eigen::MatrixXf images = blobs<float>(50);
  auto settings = options();
  std::vector<index_t> epochs;
  std::vector<float> distances;
  settings.at_epoch = [&](const basin::Autoencoder<float>& model,
                          const basin::epoch_record& record) {
    epochs.push_back(record.epoch);
    const auto f = model.latent_map();
    const Eigen::MatrixXf z = Eigen::MatrixXf::Ones(2, 1);
    Eigen::MatrixXf next(2, 1);
    basin::evaluate(basin::cpu<float>(1), f, z, next);
    distances.push_back((next - z).norm());
  };
  auto model = small<float>();
  basin::train(basin::cpu<float>(2), model, images, settings, images);
  CHECK(epochs == std::vector<index_t>{0, 1, 2, 3, 4});
  CHECK(distances.front() != distances.back());
}

TEST_CASE("misuse of training", "[training]") {
  using Catch::Matchers::Contains;
  const basin::cpu<float> be(1);
  auto model = small<float>();
  const Eigen::MatrixXf images = blobs<float>(10);
  const auto with = [](auto term) {
    basin::training_options<float> o;
    o.epochs = 1;
    o.regularizers = {term};
    return o;
  };
  CHECK_THROWS_WITH(basin::train(be, model, images.topRows(100)),
                    Contains("number of rows of the images is 100, expected 256"));
  CHECK_THROWS_WITH(basin::train(be, model, images, with(basin::bottleneck{3})),
                    Contains("the model's latent size is 2, expected 3"));
  CHECK_NOTHROW(basin::train(be, model, images, with(basin::bottleneck{2})));
  CHECK_THROWS_WITH(basin::train(be, model, images, with(basin::variational{})),
                    Contains("variational"));
  CHECK_THROWS_WITH(basin::train(be, model, images, with(basin::sparse_kl{})),
                    Contains("must end with a sigmoid"));
  CHECK_THROWS_AS(basin::train(be, model, images, with(basin::sparse_kl{1, 1.5})),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::train(be, model, images, with(basin::masked{1.0})), basin::argument_error);
  CHECK_THROWS_AS(basin::train(be, model, images, with(basin::augmented<float>{})),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::train(be, model, images, {.batch = 0}), basin::argument_error);
  CHECK_THROWS_AS(basin::train(be, model, images, {.optimizer = basin::adam{.beta1 = 1}}),
                  basin::argument_error);
  CHECK_THROWS_AS(basin::train(be, model, images, {.rate = {.rate = -1}}), basin::argument_error);
  CHECK_THROWS_AS(basin::train(be, model, Eigen::MatrixXf(256, 0)), basin::argument_error);
}

TEST_CASE("a checkpoint of another model, of other images or with a wrong position is refused",
          "[training]") {
  const Eigen::MatrixXf images = blobs<float>(50);
  const basin::cpu<float> be(1);
  auto settings = options();
  settings.epochs = 1;
  settings.checkpoint = path("identity");
  auto model = small<float>();
  basin::train(be, model, images, settings);
  settings.resume = true;
  settings.epochs = 2;
  auto other = networks::table3<float>(16, 2, 2, 2, basin::tanh_function{});
  CHECK_THROWS_AS(basin::train(be, other, images, settings), basin::file_error);
  auto fresh = small<float>();
  Eigen::MatrixXf changed = images;
  changed(3, 3) += 1;
  CHECK_THROWS_AS(basin::train(be, fresh, changed, settings), basin::file_error);
  // As it was saved, but for the position and the history.
  const basin::SafetensorsFile file(settings.checkpoint);
  for (const std::vector<std::int64_t>& position :
       {std::vector<std::int64_t>{std::int64_t{1} << 62, 0, 0}, {1, 5, 8}, {1, 0, 2}, {-1, 0, 0}}) {
    basin::Optimizer<float> optimizer(settings.optimizer,
                                      static_cast<index_t>(weights(model).size()));
    basin::training_position at;
    at.sums.assign(5, 0.0);
    at.settings = file.metadata().find("settings")->second;
    std::vector<basin::tensor_view> tensors;
    std::vector<std::vector<float>> kept;
    kept.reserve(100);
    for (const std::string& name : file.names()) {
      if (name == "position" || name == "history" || name == "sums") continue;
      kept.push_back(file.read<float>(name));
      tensors.emplace_back(name, file.info(name).shape, kept.back().data());
    }
    const std::vector<double> sums(5, 0.0), history;
    tensors.emplace_back("position", std::vector<index_t>{3}, position.data());
    tensors.emplace_back("sums", std::vector<index_t>{5}, sums.data());
    tensors.emplace_back("history", std::vector<index_t>{0}, history.data());
    const std::string wrong = path("wrong");
    basin::write_safetensors(
        wrong, tensors, {{"format", "basin training checkpoint 1"}, {"settings", at.settings}});
    CHECK_THROWS_AS(basin::load_training(wrong, model, optimizer, 3, at), basin::file_error);
    std::filesystem::remove(wrong);
  }
  std::filesystem::remove(settings.checkpoint);
}

TEST_CASE("weights that overflow in the last step are not saved", "[training]") {
  auto model = small<float>();
  basin::training_options<float> settings{
      .epochs = 1, .batch = 50, .optimizer = basin::sgd{}, .rate = {.rate = 1e38}};
  settings.checkpoint = path("overflow");
  const auto result = basin::train(basin::cpu<float>(1), model, 1e3f * blobs<float>(50), settings);
  CHECK(result.status == basin::training_status::diverged);
  CHECK_FALSE(std::filesystem::exists(settings.checkpoint));
}
