#include <basin/io/npy.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <basin/core/status.hpp>

#include "../catch.hpp"
#include "files.hpp"

namespace {

std::vector<char> bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}
const std::string path = (std::filesystem::temp_directory_path() / "basin-test.npy").string();

// A file with this header and 4 doubles after it.
void with_header(const std::string& header) {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size());
  bytes += '\0';
  write_bytes(path, bytes + header + std::string(32, '\0'));
}

}  // namespace

TEST_CASE("npy files as NumPy writes them", "[io]") {
  Eigen::MatrixXf X(2, 3);
  X << 1, 2, 3, 4, 5, 6;
  basin::write_npy(path, X);
  // Made by numpy.save of numpy.asfortranarray([[1, 2, 3], [4, 5, 6]], dtype='<f4').
  std::string expected("\x93NUMPY\x01\x00v\x00", 10);
  expected += "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }";
  expected += std::string(128 - expected.size() - 1, ' ') + '\n';
  const std::vector<char> found = bytes_of(path);
  REQUIRE(found.size() == 128 + 24);
  CHECK(std::string(found.begin(), found.begin() + 128) == expected);
  CHECK(basin::read_npy<float>(path) == X);
  CHECK_THROWS_AS(basin::read_npy<double>(path), basin::file_error);

  basin::write_npy(path, std::vector<std::int64_t>{3, -1});
  CHECK(basin::read_npy<std::int64_t>(path) == Eigen::Matrix<std::int64_t, 2, 1>(3, -1));
  basin::write_npy(path, std::vector<basin::status>{basin::status::cycle});
  CHECK(basin::read_npy<std::uint8_t>(path)(0, 0) == 3);
  basin::write_npy(path, Eigen::MatrixXd(4, 0));
  CHECK(basin::read_npy<double>(path).rows() == 4);
  CHECK_THROWS_AS(basin::write_npy("/nowhere/at/all.npy", X), basin::file_error);
}

TEST_CASE("rows of a C-ordered array", "[io]") {
  with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }\n");
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out | std::ios::ate);
  const double values[] = {1, 2, 3, 4};
  file.seekp(-32, std::ios::end);
  file.write(reinterpret_cast<const char*>(values), 32);
  file.close();
  CHECK(basin::read_npy<double>(path) == (Eigen::Matrix2d() << 1, 2, 3, 4).finished());
}

TEST_CASE("bad npy files are refused, by offset and reason", "[io]") {
  const auto refused = [&](const std::string& reason) {
    try {
      (void)basin::read_npy<double>(path);
      FAIL("no file_error: " + reason);
    } catch (const basin::file_error& e) {
      CHECK(std::string(e.what()).find("byte ") != std::string::npos);
      CHECK(std::string(e.what()).find(reason) != std::string::npos);
    }
  };
  const std::string good = "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2), }\n";
  with_header(good);
  const std::vector<char> whole = bytes_of(path);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    write_bytes(path,
                std::string(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
    CHECK_THROWS_AS(basin::read_npy<double>(path), basin::file_error);
  }
  write_bytes(path, "PK\x03\x04 and something else");
  refused("not an npy file");
  with_header("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }\n");
  refused("the dtype is '<f4', expected '<f8'");
  with_header("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2, 1), }\n");
  refused("shape");
  with_header("{'descr': '<f8', 'fortran_order': True, 'shape': (), }\n");
  refused("dimension");
  with_header("{'descr': '<f8', 'fortran_order': True, 'shape': (99999999999999999999, 2), }\n");
  refused("too large");
  with_header("{'descr': '<f8', 'fortran_order': True, 'shape': (140737488355328, 2), }\n");
  refused("does not end with the file");
  with_header("{'descr': '<f8', 'fortran_order': True, }\n");
  refused("shape");
  std::filesystem::remove(path);
  CHECK_THROWS_AS(basin::read_npy<double>(path), basin::file_error);
}

TEST_CASE("arrays as NumPy saves them", "[io]") {
  Eigen::MatrixXd expected(3, 4);
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 4; ++c) expected(r, c) = r - c / 2.0;
  }
  CHECK(basin::read_npy<double>(files::golden("rows.npy")) == expected);
  CHECK(basin::read_npy<float>(files::golden("columns.npy")) == expected.cast<float>());
  CHECK(basin::read_npy_floating(files::golden("rows.npy")) == expected);
  CHECK(basin::read_npy_floating(files::golden("columns.npy")) == expected);
  CHECK_THROWS_AS(basin::read_npy_floating(files::golden("truth.npy")), basin::file_error);
  CHECK(basin::read_npy<bool>(files::golden("truth.npy")) ==
        Eigen::Vector3<bool>(true, false, true));
  CHECK_THROWS_AS(basin::read_npy<double>(files::golden("version2.npy")), basin::file_error);
}

// Found by tests/fuzz/npy.cpp: the change of order went through every column, empty or not.
TEST_CASE("an empty array of many columns takes no time", "[io]") {
  const auto empty = [](const std::string& order, const std::string& shape) {
    std::string header = "{'descr': '<f8', 'fortran_order': " + order + ", 'shape': " + shape + "}";
    const char size[2] = {static_cast<char>(header.size()), 0};
    return std::string("\x93NUMPY\x01\x00", 8) + std::string(size, 2) + header;
  };
  for (const std::string order : {"False", "True"}) {
    const std::string wide = empty(order, "(0, 140737488355328)");
    const Eigen::MatrixXd X = basin::read_npy<double>(files::source(wide));
    CHECK(X.rows() == 0);
    CHECK(X.cols() == 140737488355328);
    const std::string tall = empty(order, "(140737488355328, 0)");
    CHECK(basin::read_npy<double>(files::source(tall)).rows() == 140737488355328);
  }
}
