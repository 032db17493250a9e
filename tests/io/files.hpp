// Where the tests of file formats find and put their files, and bytes made by hand.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include <unistd.h>

#include <basin/io/byte_source.hpp>

namespace files {

// tests/golden/io/NAME, which tests/golden/io/make.py made.
inline std::string golden(const std::string& name) {
  return (std::filesystem::path(__FILE__).parent_path().parent_path() / "golden" / "io" / name)
      .string();
}

// A path that no other process of the tests uses.
inline std::string temporary(const std::string& name) {
  return (std::filesystem::temp_directory_path() /
          ("basin-" + std::to_string(::getpid()) + "-" + name))
      .string();
}

inline std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Bytes as a source, which must not outlive them.
inline basin::ByteSource source(std::string_view bytes, const std::string& name = "memory") {
  return {std::span(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()), name};
}

}  // namespace files
