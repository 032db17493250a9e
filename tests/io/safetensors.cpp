#include <basin/io/safetensors.hpp>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "../catch.hpp"
#include "files.hpp"

namespace {

using basin::index_t;
using basin::tensor_type;
using shape = std::vector<index_t>;

// The numbers of tests/golden/io/make.py.
template <class Scalar>
std::vector<Scalar> numbers(int i, int count) {
  std::vector<Scalar> x;
  for (int j = 0; j < count; ++j) x.push_back(static_cast<Scalar>((j - 2) / 4.0 + i));
  return x;
}

std::string refusal(const auto& action) {
  try {
    action();
  } catch (const basin::file_error& e) {
    return e.what();
  }
  return "no file_error";
}

}  // namespace

TEST_CASE("tensors of every type as PyTorch writes them", "[io]") {
  const std::string path = files::golden("types.safetensors");
  const basin::SafetensorsFile file(path);
  CHECK(file.names() == std::vector<std::string>{"a \"name\", with ü\n", "bf16", "bool", "empty",
                                                 "f16", "f32", "f64", "i32", "i64", "u8"});
  CHECK(file.metadata().size() == 1);
  CHECK(file.metadata().at("format") == "pt");
  CHECK(file.contains("f64"));
  CHECK_FALSE(file.contains("__metadata__"));

  CHECK(file.read<double>("f64", {2, 3}) == numbers<double>(0, 6));
  CHECK(file.read<float>("f64", {2, 3}) == numbers<float>(0, 6));
  CHECK(file.read<double>("f32", {3, 2}) == numbers<double>(1, 6));
  CHECK(file.read<float>("f32", {3, 2}) == numbers<float>(1, 6));
  CHECK(file.read<double>("f16", {5}) == numbers<double>(2, 5));
  CHECK(file.read<float>("f16", {5}) == numbers<float>(2, 5));
  CHECK(file.read<double>("bf16", {1, 2, 2}) == numbers<double>(3, 4));
  CHECK(file.read<float>("bf16", {1, 2, 2}) == numbers<float>(3, 4));
  CHECK(file.read<float>("a \"name\", with ü\n") == numbers<float>(9, 1));
  CHECK(file.read<float>("empty", {0, 3}).empty());
  CHECK(file.read<std::int64_t>("i64", {}) == std::vector<std::int64_t>{std::int64_t{1} << 40});
  CHECK(file.read<std::uint8_t>("u8", {3}) == std::vector<std::uint8_t>{0, 7, 255});

  const basin::tensor_info& info = file.info("bf16");
  CHECK(info.type == tensor_type::bf16);
  CHECK(to_string(info.type) == "BF16");
  CHECK(info.shape == shape{1, 2, 2});
  CHECK(info.size() == 4);
  CHECK(info.end - info.begin == 8);
  CHECK(file.info("i32").type == tensor_type::i32);
  CHECK(file.info("bool").type == tensor_type::boolean);
  CHECK(file.info("i64").shape.empty());

  const auto refused = [&](const auto& action, const std::string& reason) {
    const std::string message = refusal(action);
    CAPTURE(message, reason);
    CHECK(message.starts_with(path + ": byte "));
    CHECK(message.find(reason) != std::string::npos);
  };
  refused([&] { (void)file.read<float>("f64", {3, 2}); },
          "tensor 'f64': the shape is [2, 3], expected [3, 2]");
  refused([&] { (void)file.read<float>("f64", {6}); }, "the shape is [2, 3], expected [6]");
  refused([&] { (void)file.read<float>("f64", {}); }, "the shape is [2, 3], expected []");
  refused([&] { (void)file.read<float>("i64"); }, "tensor 'i64': the dtype I64 is not read as F32");
  refused([&] { (void)file.read<double>("i32"); }, "the dtype I32 is not read as F64");
  refused([&] { (void)file.read<float>("bool"); }, "the dtype BOOL is not read as F32");
  refused([&] { (void)file.read<std::int64_t>("f64"); }, "the dtype F64 is not read as I64");
  refused([&] { (void)file.read<std::uint8_t>("bool"); }, "the dtype BOOL is not read as U8");
  refused([&] { (void)file.read<float>("f63"); }, "tensor 'f63': not in the file");
  refused([&] { (void)file.info(std::string(1000, 'x')); }, "…': not in the file");

  Eigen::Matrix<float, 2, 3, Eigen::RowMajor> X;
  file.read<float>("f64", {2, 3}, std::span(X.data(), 6));
  CHECK(X(1, 0) == 0.25f);
  CHECK_THROWS_AS(file.read<float>("f64", {2, 3}, std::span(X.data(), 5)), basin::size_error);
}

TEST_CASE("what is written is what the reference implementation writes", "[io]") {
  const std::string path = files::temporary("written.safetensors");
  const double wide = 0.5;
  const std::vector<float> a{3, 4}, b{1, 2};
  const std::int64_t steps = 7;
  const std::vector<std::uint8_t> bytes{1, 2, 3};
  basin::write_safetensors(path,
                           {{"b", {2}, b.data()},
                            {"steps", {1}, &steps},
                            {"a", {2, 1}, a.data()},
                            {"wide", {1}, &wide},
                            {"bytes\t\x7f\\é", {3}, bytes.data()}},
                           {{"by", "make.py \"quoted\""}});
  CHECK(files::bytes_of(path) == files::bytes_of(files::golden("writer.safetensors")));
  std::filesystem::remove(path);
}

TEST_CASE("tensors come back bit by bit", "[io]") {
  const std::string path = files::temporary("round.safetensors");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x{nan, -0.0f, std::numeric_limits<float>::denorm_min(), 1};
  // Longer than the pieces that conversions work on.
  std::vector<double> y(10'001);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = 1.0 / static_cast<double>(i + 1);
  basin::write_safetensors(path, {{"x", {4}, x.data()},
                                  {"", {73, 137}, y.data()},
                                  {"none", {0}, static_cast<const double*>(nullptr)}});
  {
    const basin::SafetensorsFile file(path);
    const std::vector<float> found = file.read<float>("x", {4});
    CHECK(std::memcmp(found.data(), x.data(), 16) == 0);
    CHECK(file.read<double>("", {73, 137}) == y);
    const std::vector<float> narrow = file.read<float>("");
    bool same = true;
    for (std::size_t i = 0; i < y.size(); ++i) same = same && narrow[i] == static_cast<float>(y[i]);
    CHECK(same);
    CHECK(file.read<double>("none").empty());
    CHECK(file.metadata().empty());

    // From memory, and moved.
    const std::string bytes = files::bytes_of(path);
    basin::SafetensorsFile memory(files::source(bytes));
    const basin::SafetensorsFile moved = std::move(memory);
    CHECK(moved.read<double>("", {73, 137}) == y);
  }
  basin::write_safetensors(path, {});
  CHECK(basin::SafetensorsFile(path).names().empty());
  CHECK(files::bytes_of(path).size() == 16);
  std::filesystem::remove(path);
}

TEST_CASE("a file that shrinks under the reader is refused", "[io]") {
  const std::string path = files::temporary("shrinks.safetensors");
  const std::vector<double> x(1000, 1.0);
  basin::write_safetensors(path, {{"x", {1000}, x.data()}});
  const basin::SafetensorsFile file(path);
  std::filesystem::resize_file(path, 4000);
  const std::string expected = path + ": byte 4000: the file became shorter while it was read";
  CHECK(refusal([&] { (void)file.read<double>("x"); }) == expected);
  CHECK(refusal([&] { (void)file.read<float>("x"); }) == expected);
  std::filesystem::remove(path);
}

TEST_CASE("a text is said not to be a safetensors file", "[io]") {
  const std::string path = files::temporary("readme.safetensors");
  std::ofstream(path) << "# A heading, and what else a text begins with\n";
  CHECK_THROWS_WITH(basin::SafetensorsFile(path),
                    Catch::Contains("byte 0: not a safetensors file"));
  std::filesystem::remove(path);
}

TEST_CASE("what a tensor holds is refused at its first number", "[io]") {
  const std::string path = files::temporary("content.safetensors");
  const double x[] = {1, 2};
  const std::uint8_t y = 3;
  basin::write_safetensors(path, {{"x", {2}, x}, {"y", {}, &y}});
  const basin::SafetensorsFile file(path);
  const std::size_t end = files::bytes_of(path).size();
  const auto place = [&](std::size_t at) { return path + ": byte " + std::to_string(at) + ": "; };
  CHECK(refusal([&] { file.refuse("x", "is 1"); }) == place(end - 17) + "tensor 'x': is 1");
  CHECK(refusal([&] { file.refuse("y", "is 3"); }) == place(end - 1) + "tensor 'y': is 3");
  CHECK(refusal([&] { file.refuse("z", "is 5"); }) == place(8) + "tensor 'z': not in the file");
  std::filesystem::remove(path);
}

TEST_CASE("tensors that cannot be written are refused, and nothing is", "[io]") {
  const std::string path = files::temporary("refused.safetensors");
  const float x = 1;
  const index_t huge = index_t{1} << 40;
  const auto write = [&](const std::vector<basin::tensor_view>& tensors,
                         const std::map<std::string, std::string>& metadata = {}) {
    basin::write_safetensors(path, tensors, metadata);
  };
  CHECK_THROWS_AS(write({{"x", {1}, &x}, {"x", {}, &x}}), basin::argument_error);
  CHECK_THROWS_AS(write({{"__metadata__", {1}, &x}}), basin::argument_error);
  CHECK_THROWS_AS(write({{"x", {-1}, &x}}), basin::argument_error);
  CHECK_THROWS_AS(write({{"x", {huge, huge}, &x}}), basin::argument_error);
  CHECK_THROWS_AS(write({{"\xff", {1}, &x}}), basin::argument_error);
  CHECK_THROWS_AS(write({}, {{"a", "\xff"}}), basin::argument_error);
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK_THROWS_AS(basin::write_safetensors("/nowhere/at/all.safetensors", {{"x", {1}, &x}}),
                  basin::file_error);
}
