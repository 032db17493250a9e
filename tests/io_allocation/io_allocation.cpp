// A damaged file makes no reader allocate more than a bound that its own length gives,
// whatever sizes it claims. The C library's functions are counted: zlib and libpng use them.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>
#include <vector>

#include <dlfcn.h>

#include "../catch.hpp"
#include "../io/damaged.hpp"

namespace {
std::atomic<bool> counting = false;
std::atomic<std::size_t> requested = 0;  // in bytes, of all requests together

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
void count(std::size_t bytes) {
  if (counting.load(std::memory_order_relaxed)) requested += bytes;
}
}  // namespace

extern "C" void* malloc(std::size_t size) {
  static auto* const real = next<void*(std::size_t)>("malloc");
  count(size);
  return real(size);
}
extern "C" void* realloc(void* old, std::size_t size) {
  static auto* const real = next<void*(void*, std::size_t)>("realloc");
  count(size);
  return real(old, size);
}
// Where Eigen takes its memory from, by system.
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) {
  static auto* const real = next<void*(std::size_t, std::size_t)>("aligned_alloc");
  count(size);
  return real(alignment, size);
}
extern "C" int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
  static auto* const real = next<int(void**, std::size_t, std::size_t)>("posix_memalign");
  count(size);
  return real(result, alignment, size);
}

namespace {

template <class Action>
std::size_t bytes_requested(const Action& action) {
  requested = 0;
  counting = true;
  try {
    action();
  } catch (const basin::file_error&) {
  }
  counting = false;
  return requested;
}

// What zlib and libpng take for themselves, and a header in its parsed form.
std::size_t bound(std::size_t length) { return 64 * 1024 + 32 * length; }

}  // namespace

TEST_CASE("the counter counts", "[io_allocation]") {
  // Shown to the outside, or the compiler leaves the requests out.
  const void* volatile seen = nullptr;
  CHECK(bytes_requested([&] {
          void* const x = std::malloc(1000);
          seen = x;
          std::free(x);
        }) == 1000);
  CHECK(bytes_requested([&] {
          const std::vector<char> x(1000);
          seen = x.data();
        }) == 1000);
  CHECK(bytes_requested([] { const Eigen::MatrixXd X(10, 10); }) >= 800);
  // Whole files do take what they contain.
  const std::string idx = damaged::gzip(damaged::idx({1 << 20}, 1 << 20));
  CHECK(idx.size() < 2000);
  CHECK(bytes_requested([&] { damaged::any_idx(files::source(idx)); }) >= 1 << 20);
}

TEST_CASE("damaged files make nobody allocate what they claim", "[io_allocation]") {
  for (const damaged::file& file : damaged::corpus()) {
    const std::size_t bytes = bytes_requested([&] { file.read(files::source(file.bytes)); });
    CAPTURE(file.name, file.bytes.size());
    CHECK(bytes <= bound(file.bytes.size()));
  }
}

TEST_CASE("what a PNG file packs beside its pixels is not unpacked", "[io_allocation]") {
  const std::string front = damaged::png_front(2, 2);
  const std::string rest =
      damaged::chunk("IDAT", damaged::zlib_stream(damaged::zeros(6))) + damaged::chunk("IEND", "");
  const std::string packed = damaged::zlib_stream(damaged::zeros(50'000'000));
  const std::string name("a\0\0", 3);
  for (const std::string kind : {"zTXt", "iCCP"}) {
    const std::string png = front + damaged::chunk(kind, name + packed) + rest;
    basin::image_set image;
    const std::size_t bytes = bytes_requested([&] { image = basin::read_png(files::source(png)); });
    CHECK(image.pixels.size() == 4);
    CHECK(bytes <= bound(0));
  }
}

TEST_CASE("a header of many dimensions takes the memory that is documented", "[io_allocation]") {
  // The worst that a header can hold: two bytes for each dimension.
  const std::string header = "{\"t\":{\"dtype\":\"U8\",\"shape\":[1" +
                             damaged::repeat(",1", 500'000) + "],\"data_offsets\":[0,1]}}";
  const std::string bytes = damaged::safetensors(header, 1);
  std::size_t dimensions = 0;
  const std::size_t taken = bytes_requested([&] {
    const basin::SafetensorsFile file(files::source(bytes));
    dimensions = file.info("t").shape.size();
  });
  CHECK(dimensions == 500'001);
  // All requests of a growing array together; what it holds at once is less.
  CHECK(taken <= bound(bytes.size()));
}
