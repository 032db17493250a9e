#include <basin/io/atomic_file.hpp>

#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <basin/io/safetensors.hpp>

#include "../catch.hpp"
#include "files.hpp"

namespace {

// A folder of its own for each test.
struct folder {
  explicit folder(const std::string& name) : path(files::temporary(name)) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directory(path);
  }
  ~folder() { std::filesystem::remove_all(path); }
  [[nodiscard]] std::ptrdiff_t files() const {
    return std::distance(std::filesystem::directory_iterator(path), {});
  }
  std::filesystem::path path;
};

}  // namespace

TEST_CASE("a file appears with commit and not before", "[io]") {
  const folder place("atomic");
  const std::filesystem::path path = place.path / "file";
  {
    basin::AtomicFile first(path);
    basin::AtomicFile second(path);  // two writers at once do not meet
    first.write("first");
    second.write("second");
    CHECK_FALSE(std::filesystem::exists(path));
    first.commit();
    CHECK(files::bytes_of(path) == "first");
    CHECK(place.files() == 2);
    second.commit();
    CHECK(files::bytes_of(path) == "second");
    CHECK(place.files() == 1);
  }
  {
    basin::AtomicFile abandoned(path);
    abandoned.write("third");
  }
  CHECK(files::bytes_of(path) == "second");
  CHECK(place.files() == 1);
  CHECK_THROWS_AS(basin::AtomicFile("/nowhere/at/all"), basin::file_error);
  {
    // A folder cannot be replaced by a file, and nothing is left beside it.
    const std::filesystem::path folder = place.path / "folder";
    std::filesystem::create_directory(folder);
    basin::AtomicFile onto(folder);
    CHECK_THROWS_AS(onto.commit(), basin::file_error);
  }
  CHECK(place.files() == 2);
}

TEST_CASE("a kill at any moment leaves the old file or the new one", "[io]") {
  const folder place("killed");
  const std::filesystem::path path = place.path / "model.safetensors";
  // Two contents of several pages and of different lengths.
  const std::vector<double> a(20'000, 1.0), b(50'000, 2.0);
  const auto write = [&](const std::vector<double>& x) {
    basin::write_safetensors(path, {{"x", {static_cast<basin::index_t>(x.size())}, x.data()}});
  };
  write(a);
  int olds = 0;
  int news = 0;
  for (int round = 0; round < 30; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      try {
        for (;;) {
          write(b);
          write(a);
        }
      } catch (...) {
      }
      ::_exit(1);
    }
    ::usleep(static_cast<useconds_t>(500 + 977 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));  // it never met an error before
    const std::vector<double> found = basin::SafetensorsFile(path).read<double>("x");
    CHECK((found == a || found == b));
    ++(found == a ? olds : news);
  }
  CAPTURE(olds, news);
  CHECK(olds + news == 30);
}
