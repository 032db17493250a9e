#include <basin/core/error.hpp>

#include <string>

#include "../catch.hpp"

TEST_CASE("a size error names the place and both sizes", "[core]") {
  try {
    basin::require_size("axpby", "columns of y", 7, 10);
    FAIL("no exception");
  } catch (const basin::size_error& e) {
    CHECK(std::string(e.what()) == "axpby: columns of y is 7, expected 10");
  }
  CHECK_NOTHROW(basin::require_size("axpby", "columns of y", 10, 10));
  CHECK_THROWS_AS(basin::require(false, "solve", "negative tolerance"), basin::argument_error);
}
