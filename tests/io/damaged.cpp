// Damaged files end in file_error, which names the file, the offset and the reason.
#include "damaged.hpp"

#include <string>
#include <utility>
#include <vector>

#include "../catch.hpp"

TEST_CASE("damaged files are refused, by offset and reason", "[io]") {
  for (const damaged::file& file : damaged::corpus()) {
    std::string message = "no file_error";
    try {
      file.read(files::source(file.bytes, "a file"));
    } catch (const basin::file_error& e) {
      message = e.what();
    }
    CAPTURE(file.name, message);
    CHECK(message.starts_with("a file: "));
    // An entry without an offset is one whose offset depends on the library behind.
    const bool anywhere = file.offset == "byte : ";
    CHECK(message.find(anywhere ? "byte " : file.offset) != std::string::npos);
    CHECK(message.find(file.reason) != std::string::npos);
    CHECK(message.size() < 600);
  }
}

TEST_CASE("files are refused wherever they are cut, and no byte of them is trusted", "[io]") {
  const std::vector<std::pair<std::string, damaged::reader>> whole{
      {"writer.safetensors",
       [](const auto& source) {
         std::vector<unsigned char> bytes(source.size());
         source.read(0, bytes.data(), bytes.size());
         const basin::SafetensorsFile file(basin::ByteSource(bytes, "memory"));
         (void)file.read<float>("a", {2, 1});
         (void)file.read<std::int64_t>("steps");
       }},
      {"images.idx", damaged::any_idx},
      {"images.idx.gz", damaged::any_idx},
      {"cifar.bin.gz", damaged::any_cifar},
      {"rows.npy", damaged::any_npy},
      {"grey.png", damaged::any_png},
      {"interlaced.png", damaged::any_png},
      {"rgb.ppm", damaged::any_ppm},
      {"grey.pgm", damaged::any_ppm}};
  for (const auto& [name, read] : whole) {
    CAPTURE(name);
    const std::string bytes = files::bytes_of(files::golden(name));
    REQUIRE(!bytes.empty());
    CHECK_NOTHROW(read(files::source(bytes)));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      CAPTURE(i);
      // From a copy of that length, so that the sanitizer sees a read behind it.
      const std::vector<char> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(i));
      CHECK_THROWS_AS(read(files::source({cut.data(), cut.size()})), basin::file_error);
      for (const unsigned flip : {0x01u, 0x80u, 0xffu}) {
        std::string other = bytes;
        other[i] = static_cast<char>(static_cast<unsigned char>(other[i]) ^ flip);
        try {
          read(files::source(other));
        } catch (const basin::file_error&) {
        }
      }
    }
  }
}

TEST_CASE("what is no file is refused", "[io]") {
  CHECK_THROWS_AS(basin::ByteSource("/nowhere/at/all"), basin::file_error);
  CHECK_THROWS_AS(basin::ByteSource("/dev/zero"), basin::file_error);
  CHECK_THROWS_AS(basin::ByteSource("/"), basin::file_error);
  const basin::ByteSource source(files::golden("rgb.ppm"));
  char byte = 0;
  CHECK_THROWS_AS(source.read(47, &byte, 1), basin::file_error);
  CHECK_THROWS_AS(source.read(~std::size_t{0}, &byte, 2), basin::file_error);
  CHECK_NOTHROW(source.read(47, &byte, 0));
}
