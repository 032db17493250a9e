#include <basin/io/csv.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "../catch.hpp"

TEST_CASE("tables keep every digit and quote what they must", "[io]") {
  const std::string path = (std::filesystem::temp_directory_path() / "basin-test.csv").string();
  basin::CsvWriter table(path);
  table.row("start", "a, b", "say \"so\"");
  table.row(3, 0.1, 1e-300);
  table.row(-1L, 0.1f, true ? "yes" : "no");
  table.close();
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  CHECK(text == "start,\"a, b\",\"say \"\"so\"\"\"\n3,0.1,1e-300\n-1,0.1,yes\n");
  std::filesystem::remove(path);
  CHECK_THROWS_AS(basin::CsvWriter("/nowhere/at/all.csv"), basin::file_error);
}
