// Packs an input, so that its content is changed as readily as that of a plain file.
#pragma once

#include <zlib.h>

#include <span>
#include <string>
#include <vector>

#include <basin/core/error.hpp>
#include <basin/io/byte_source.hpp>

#include "fuzz.hpp"

inline std::vector<unsigned char> packed(std::span<const unsigned char> bytes) {
  z_stream zlib = {};
  expect(deflateInit2(&zlib, 1, Z_DEFLATED, 15 + 16, 1, Z_DEFAULT_STRATEGY) == Z_OK);
  std::vector<unsigned char> out(deflateBound(&zlib, static_cast<uLong>(bytes.size())));
  std::vector<unsigned char> in(bytes.begin(), bytes.end());
  zlib.next_in = in.data();
  zlib.avail_in = static_cast<uInt>(in.size());
  zlib.next_out = out.data();
  zlib.avail_out = static_cast<uInt>(out.size());
  expect(deflate(&zlib, Z_FINISH) == Z_STREAM_END);
  out.resize(zlib.total_out);
  deflateEnd(&zlib);
  return out;
}

// Whether reading the bytes, and reading them packed, give the same, a refusal included.
template <class Read>
bool same_packed(std::span<const unsigned char> bytes, const Read& read) {
  const auto result = [&](const basin::ByteSource& source) {
    try {
      return read(source);
    } catch (const basin::file_error&) {
      return decltype(read(source)){};
    }
  };
  const std::vector<unsigned char> file = packed(bytes);
  return result(basin::ByteSource(bytes, "input")) == result(basin::ByteSource(file, "packed"));
}
