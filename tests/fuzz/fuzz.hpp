// What the fuzz targets share: the entry point of libFuzzer. A target defines `fuzz`, which
// reads a file from memory; file_error is what a damaged one may end in, and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <basin/core/error.hpp>
#include <basin/io/byte_source.hpp>

void fuzz(std::span<const unsigned char> bytes);

// The largest array that a target accepts; more would only be slow.
inline constexpr std::size_t fuzz_limit = std::size_t{1} << 20;

// Stops the run with the present input.
inline void expect(bool condition) {
  if (!condition) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    fuzz({data, size});
  } catch (const basin::file_error&) {
  }
  return 0;
}
