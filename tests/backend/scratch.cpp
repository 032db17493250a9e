#include <basin/backend/cpu/scratch.hpp>

#include <cstdint>

#include "../catch.hpp"

TEST_CASE("scratch memory is aligned, nested, and used again", "[backend]") {
  double* first = nullptr;
  {
    basin::scratch_scope outer;
    first = outer.get<double>(3);
    first[2] = 7;
    CHECK(reinterpret_cast<std::uintptr_t>(first) % 64 == 0);
    {
      basin::scratch_scope inner;
      float* const second = inner.get<float>(5);
      float* const third = inner.get<float>(1 << 20);  // larger than a block
      CHECK(reinterpret_cast<std::uintptr_t>(second) % 64 == 0);
      CHECK(reinterpret_cast<std::uintptr_t>(third) % 64 == 0);
      CHECK(reinterpret_cast<char*>(second) >= reinterpret_cast<char*>(first + 3));
      second[0] = third[(1 << 20) - 1] = 1;
      CHECK(first[2] == 7);
    }
    basin::scratch_scope again;
    CHECK(again.get<float>(5) != nullptr);
    CHECK(first[2] == 7);
  }
  basin::scratch_scope after;
  CHECK(after.get<double>(3) == first);
}
