// Damaged files of every format, with what their message must say.
#pragma once

#include <png.h>
#include <zlib.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <basin/io/cifar.hpp>
#include <basin/io/gzip.hpp>
#include <basin/io/idx.hpp>
#include <basin/io/npy.hpp>
#include <basin/io/png.hpp>
#include <basin/io/ppm.hpp>
#include <basin/io/safetensors.hpp>

#include "files.hpp"

namespace damaged {

using reader = std::function<void(const basin::ByteSource&)>;

struct file {
  std::string name;
  reader read;
  std::string bytes;
  std::string offset;  // "byte 8:"
  std::string reason;
};

inline std::string big_endian(std::uint32_t x) {
  return {static_cast<char>(x >> 24), static_cast<char>(x >> 16), static_cast<char>(x >> 8),
          static_cast<char>(x)};
}
inline std::string little_endian(std::uint64_t x, int bytes = 8) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(x >> 8 * i);
  return text;
}
inline std::string zeros(std::size_t count) { return std::string(count, '\0'); }
inline std::string repeat(std::string_view text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}
inline std::string replaced(std::string bytes, std::size_t at, std::string_view by) {
  return bytes.replace(at, by.size(), by);
}

inline std::string safetensors(const std::string& header, std::size_t data = 0) {
  return little_endian(header.size()) + header + zeros(data);
}
inline std::string gzip(std::string bytes) {
  z_stream zlib = {};
  deflateInit2(&zlib, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&zlib, static_cast<uLong>(bytes.size())), '\0');
  zlib.next_in = reinterpret_cast<unsigned char*>(bytes.data());
  zlib.avail_in = static_cast<uInt>(bytes.size());
  zlib.next_out = reinterpret_cast<unsigned char*>(out.data());
  zlib.avail_out = static_cast<uInt>(out.size());
  if (deflate(&zlib, Z_FINISH) != Z_STREAM_END) throw std::logic_error("deflate");
  out.resize(zlib.total_out);
  deflateEnd(&zlib);
  return out;
}
inline std::string idx(const std::vector<std::uint32_t>& shape, std::size_t data) {
  std::string bytes{0, 0, 8, static_cast<char>(shape.size())};
  for (const std::uint32_t size : shape) bytes += big_endian(size);
  return bytes + zeros(data);
}
inline std::string npy(const std::string& header, std::size_t data) {
  return std::string("\x93NUMPY\x01\x00", 8) + little_endian(header.size(), 2) + header +
         zeros(data);
}
inline std::string chunk(const std::string& kind, const std::string& data) {
  const std::string body = kind + data;
  const auto sum =
      crc32(0, reinterpret_cast<const unsigned char*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(static_cast<std::uint32_t>(data.size())) + body +
         big_endian(static_cast<std::uint32_t>(sum));
}
inline std::string png_front(std::uint32_t width, std::uint32_t height, char depth = 8,
                             char color = 0) {
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR", big_endian(width) + big_endian(height) + std::string{depth, color, 0, 0, 0});
}
inline std::string zlib_stream(std::string bytes) {
  std::string out(compressBound(static_cast<uLong>(bytes.size())), '\0');
  uLongf size = static_cast<uLongf>(out.size());
  compress(reinterpret_cast<unsigned char*>(out.data()), &size,
           reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<uLong>(bytes.size()));
  out.resize(size);
  return out;
}

// The largest that the readers of this corpus accept.
inline constexpr std::size_t limit = std::size_t{1} << 28;

inline const reader any_safetensors = [](const basin::ByteSource& source) {
  // The file takes its source, so it gets one of its own over the same bytes.
  std::vector<unsigned char> bytes(source.size());
  source.read(0, bytes.data(), bytes.size());
  const basin::SafetensorsFile file(basin::ByteSource(bytes, source.name()));
  for (const std::string& name : file.names()) (void)file.read<float>(name);
};
inline const reader any_idx = [](const auto& source) { (void)basin::read_idx(source, limit); };
inline const reader any_gzip = [](const auto& source) { (void)basin::gunzip(source, limit); };
inline const reader any_cifar = [](const auto& source) { (void)basin::read_cifar(source, limit); };
inline const reader any_npy = [](const auto& source) { (void)basin::read_npy<double>(source); };
inline const reader any_png = [](const auto& source) { (void)basin::read_png(source, limit); };
inline const reader any_ppm = [](const auto& source) { (void)basin::read_ppm(source, limit); };

inline std::vector<file> corpus() {
  std::vector<file> all;
  const auto add = [&](reader read, std::string name, std::string bytes, std::string offset,
                       std::string reason) {
    all.push_back({std::move(name), std::move(read), std::move(bytes),
                   "byte " + std::move(offset) + ": ", std::move(reason)});
  };

  // Safetensors.
  const auto bad = [&](const std::string& name, const std::string& bytes, const std::string& offset,
                       const std::string& reason) {
    add(any_safetensors, "safetensors, " + name, bytes, offset, reason);
  };
  const std::string f32 = R"({"dtype":"F32","shape":[2],"data_offsets":)";
  bad("empty", "", "0", "within its first 8 bytes");
  bad("7 bytes", zeros(7), "7", "within its first 8 bytes");
  bad("no header", zeros(8), "8", "does not begin with {");
  bad("header longer than the file", little_endian(100) + "{}", "0", "header of 100 bytes in a");
  bad("header of 100 MB and 1", little_endian(100'000'001) + "{}", "0", "limit is 100000000");
  bad("header of 2^64 - 1", little_endian(~0ull) + "{}", "0",
      "header has 18446744073709551615 bytes");
  bad("list", safetensors("[]"), "8", "does not begin with {");
  bad("white space first", safetensors(" {}"), "8", "does not begin with {");
  bad("cut JSON", safetensors(R"({"t":)"), "13", "not JSON");
  bad("text behind JSON", safetensors("{} x"), "12", "not JSON");
  bad("zero bytes as filling", safetensors(std::string("{}\0\0", 4)), "10", "zero byte");
  bad("comment", safetensors("{/**/}"), "10", "not JSON");
  bad("not UTF-8", safetensors("{\"\xff\":1}"), "11", "not JSON");
  bad("number out of range", safetensors(R"({"t":{"shape":[1e999]}})"), "29", "not JSON");
  bad("long text", safetensors("{\"" + std::string(1 << 20, 'x')), "1048586", "not JSON");
  bad("deep lists", safetensors("{\"t\":" + std::string(1 << 20, '[')), "14",
      "tensor 't': an array where an object is expected");
  bad("deep shape", safetensors(R"({"t":{"shape":)" + std::string(1 << 20, '[')), "24",
      "tensor 't': an array where a whole number");
  bad("deep objects", safetensors("{" + repeat("\"t\":{", 1 << 16)), "17",
      "tensor 't': unknown key 't'");
  bad("deep metadata", safetensors("{\"__metadata__\":{\"a\":{"), "30",
      "__metadata__: an object where a text is expected");
  bad("metadata of numbers", safetensors("{\"__metadata__\":{\"a\":1}}"), "31",
      "__metadata__: a number where a text is expected");
  bad("metadata is null", safetensors("{\"__metadata__\":null}"), "28", "null");
  bad("two of a name", safetensors("{\"t\":" + f32 + "[0,8]},\"t\":" + f32 + "[8,16]}}", 16), "65",
      "tensor 't': a second one");
  bad("two of an escaped name",
      safetensors("{\"t\":" + f32 + "[0,8]},\"\\u0074\":" + f32 + "[8,16]}}", 16), "70",
      "tensor 't': a second one");
  bad("two metadata", safetensors(R"({"__metadata__":{},"__metadata__":{}})"), "41", "a second");
  bad("two texts of a name", safetensors(R"({"__metadata__":{"a":"","a":""}})"), "35",
      "a second 'a'");
  bad("two dtypes", safetensors(R"({"t":{"dtype":"F32","dtype":"F32"}})"), "35",
      "tensor 't': a second dtype");
  bad("unknown key", safetensors(R"({"t":{"strides":[1]}})"), "23", "tensor 't': unknown key");
  bad("unknown dtype", safetensors(R"({"t":{"dtype":"F7"}})"), "26",
      "tensor 't': unknown dtype F7");
  bad("dtype is a number", safetensors(R"({"t":{"dtype":32}})"), "25",
      "tensor 't': a number where a text is expected for dtype");
  bad("shape is a number", safetensors(R"({"t":{"shape":2}})"), "24",
      "a number where an array is expected for shape");
  bad("no dtype", safetensors(R"({"t":{"shape":[],"data_offsets":[0,4]}})", 4), "46",
      "tensor 't': no dtype");
  bad("no shape", safetensors(R"({"t":{"dtype":"F32","data_offsets":[0,4]}})", 4), "49",
      "tensor 't': no shape");
  bad("no offsets", safetensors(R"({"t":{"dtype":"F32","shape":[]}})", 4), "39",
      "tensor 't': no data_offsets");
  bad("negative dimension", safetensors(R"({"t":{"shape":[-2]}})"), "26", "a negative number");
  bad("dimension with a fraction", safetensors(R"({"t":{"shape":[2.0]}})"), "27", "a fraction");
  bad("dimension is true", safetensors(R"({"t":{"shape":[true]}})"), "27", "a truth value");
  bad("dimension of 2^63", safetensors(R"({"t":{"shape":[9223372036854775808]}})"), "43",
      "tensor 't': a number is too large");
  bad("dimension of 10^20", safetensors(R"({"t":{"shape":[100000000000000000000]}})"), "45",
      "too large a number");
  const auto of_shape = [](const std::string& shape, const std::string& offsets) {
    return safetensors(
        R"({"t":{"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[)" + offsets + "]}}", 8);
  };
  bad("shape overflows", of_shape("4294967296,4294967296", "0,8"), "81",
      "tensor 't': the product of the shape [4294967296, 4294967296] overflows");
  bad("shape overflows to the right size", of_shape("4611686018427387904,4,2", "0,8"), "83",
      "overflows");
  bad("empty shape overflows", of_shape("0,4611686018427387904,4611686018427387904", "0,0"), "101",
      "overflows");
  bad("shape and offsets disagree", of_shape("3", "0,8"), "61",
      "tensor 't': F32 of shape [3] has 12 bytes, data_offsets say 8");
  bad("offsets behind the file", of_shape("3", "0,12"), "62", "within the 8 bytes");
  bad("offsets backwards", of_shape("0", "8,4"), "61", "data_offsets [8, 4]");
  bad("three offsets", of_shape("2", "0,8,8"), "62", "more than two");
  bad("one offset", of_shape("2", "0"), "59", "not two");
  bad("hole in front", of_shape("1", "4,8"), "62", "tensor 't': begins at 4, behind a hole");
  bad("bytes behind", of_shape("1", "0,4"), "66", "goes on behind the last tensor");
  const auto two = [&](const std::string& a, const std::string& b) {
    return safetensors("{\"a\":" + f32 + a + "},\"b\":" + f32 + b + "}}", 24);
  };
  bad("overlap", two("[8,16]", "[4,12]"), "117", "behind a hole from 0");
  bad("overlap", two("[0,8]", "[4,12]"), "120", "tensor 'b': begins at 4, within the tensor");
  bad("the same bytes twice", two("[0,8]", "[0,8]"), "115", "tensor 'b': begins at 0, within");
  bad("hole", two("[16,24]", "[0,8]"), "125", "tensor 'a': begins at 16, behind a hole from 8");
  bad("integers as floats",
      safetensors(R"({"t":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})", 8), "61",
      "tensor 't': the dtype I64 is not read as F32");

  // IDX.
  add(any_idx, "idx, empty", "", "0", "within its first 4 bytes");
  add(any_idx, "idx, magic", replaced(idx({2}, 2), 0, "\x1f\x8c"), "0", "not an IDX file");
  add(any_idx, "idx, type", replaced(idx({2}, 2), 2, "\x0d"), "2", "the type is 13");
  add(any_idx, "idx, no dimension", idx({}, 1), "3", "0 dimensions");
  add(any_idx, "idx, 5 dimensions", idx({1, 1, 1, 1, 1}, 1), "3", "5 dimensions");
  add(any_idx, "idx, cut dimensions", idx({2, 2}, 0).substr(0, 11), "11", "within its dimensions");
  add(any_idx, "idx, sizes overflow", idx({~0u, ~0u, ~0u, ~0u}, 8), "4", "the limit is");
  add(any_idx, "idx, sizes overflow to 0", idx({1u << 16, 1u << 16, 1u << 16, 1u << 16}, 0), "8",
      "the limit is");
  add(any_idx, "idx, empty array of huge images", idx({0, ~0u, ~0u, ~0u}, 0), "8", "the limit is");
  add(any_idx, "idx, cut", idx({3, 4}, 11), "23", "ends within an array of 3 x 4 bytes");
  add(any_idx, "idx, longer", idx({3, 4}, 13), "24", "goes on behind an array of 3 x 4 bytes");
  add(any_idx, "idx, cut and huge", idx({limit}, 0), "8", "ends within an array of 268435456");
  add(any_idx, "idx.gz, cut and huge", gzip(idx({limit}, 9)), "17", "(decompressed) the file ends");
  add(any_idx, "idx.gz, bomb", gzip(idx({4}, 50'000'000)), "12", "(decompressed) the file goes on");

  // Padding would make large columns of images that take no byte of the file.
  const reader any_images = [](const auto& source) {
    (void)basin::to_matrix<float>(basin::read_idx_images(source, limit), 4, 4);
  };
  add(any_images, "idx, images of no width", idx({1 << 16, 4, 0}, 0), "12", "without pixels");
  add(any_images, "idx, images of no height", idx({1 << 16, 0, 4}, 0), "8", "without pixels");
  add(any_images, "idx, images of no channel", idx({1 << 16, 0, 4, 4}, 0), "8", "without pixels");

  // Gzip.
  const std::string good = gzip(idx({4}, 4));
  const std::size_t end = good.size();
  const std::string end_text = std::to_string(end);
  add(any_gzip, "not gzip", "\x1f\x8c", "0", "not a gzip file");
  add(any_gzip, "gzip, method", replaced(good, 2, "\x07"), "4", "damaged: unknown compression");
  add(any_gzip, "gzip, flags", replaced(good, 3, "\xe0"), "4", "damaged: unknown header flags");
  add(any_gzip, "gzip, block", replaced(good, 10, "\xff"), "11", "damaged: invalid block type");
  add(any_gzip, "gzip, checksum", replaced(good, end - 8, "\x01\x02"), std::to_string(end - 4),
      "incorrect data");
  add(any_gzip, "gzip, length", replaced(good, end - 4, "\x01\x02"), end_text, "incorrect length");
  add(any_gzip, "gzip, cut", good.substr(0, end - 1), std::to_string(end - 1), "ends within its");
  add(any_gzip, "gzip, garbage behind", good + "x", end_text, "goes on behind its gzip stream");
  add(any_gzip, "gzip, another behind", good + good, end_text, "goes on behind its gzip stream");
  add([](const auto& source) { (void)basin::gunzip(source, 1 << 20); }, "gzip, bomb",
      gzip(zeros(50'000'000)), "1048576", "goes on behind the limit of 1048576 bytes");

  // CIFAR.
  add(any_cifar, "cifar, cut", zeros(3073 + 3072), "6145", "within a row");
  add(any_cifar, "cifar.gz, cut", gzip(zeros(3074)), "3074", "(decompressed) the file ends within");
  add(any_cifar, "cifar, label", zeros(3073) + "\x0a" + zeros(3072), "3073", "the label is 10");
  add([](const auto& source) { (void)basin::read_cifar(source, 1 << 20); }, "cifar.gz, bomb",
      gzip(zeros(3073 * 10'000)), "1048576", "goes on behind the limit");

  // NPY.
  const std::string array = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }";
  const auto npy_with = [&](const std::string& part, const std::string& by) {
    std::string header = array;
    return npy(header.replace(header.find(part), part.size(), by), 32);
  };
  add(any_npy, "npy, empty", "", "0", "within its first 10 bytes");
  add(any_npy, "npy, magic", zeros(20), "0", "not an npy file");
  add(any_npy, "npy, version 2", replaced(npy(array, 32), 6, "\x02"), "6", "format 2.0");
  add(any_npy, "npy, header", replaced(npy(array, 32), 9, "\x7f"), "101", "within its header");
  add(any_npy, "npy, type", npy_with("<f8", "<i4"), "20", "the dtype is '<i4', expected '<f8'");
  add(any_npy, "npy, order of bytes", npy_with("<f8", ">f8"), "20",
      "the dtype is '>f8', expected '<f8'");
  add(any_npy, "npy, fields", npy_with("'<f8'", "[('x', '<f8')]"), "20",
      "the dtype is [('x', expected '<f8'");
  add(any_npy, "npy, long type", npy_with("<f8", repeat("\x01", 100)), "20",
      "the dtype is '???????????????????????…, expected '<f8'");
  add(any_npy, "npy, open type", npy_with("'<f8', 'fortran_order': False, 'shape': (2, 2), }", ""),
      "20", "the dtype is left out, expected '<f8'");
  add(any_npy, "npy, two types", npy_with("'fort", "'descr': '<i8', 'fort"), "19", "a second 'de");
  add(any_npy, "npy, order", npy_with("False", "Maybe"), "44", "neither True nor False");
  add(any_npy, "npy, open shape", npy_with("(2, 2), }", "(2, 2"), "65", "within the shape");
  add(any_npy, "npy, negative", npy_with("(2", "(-2"), "61", "the shape is not one of");
  add(any_npy, "npy, sizes overflow", npy_with("(2, 2)", "(281474976710656, 281474976710656)"),
      "129", "does not end with the file");
  add(any_npy, "npy, list", npy_with("(2, 2)", "[2, 2]"), "60", "not in parentheses");
  add([](const auto& source) { (void)basin::read_npy<bool>(source); }, "npy, truth value",
      npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", 1) + "\x02", "68",
      "neither 0 nor 1");

  add([](const auto& source) { (void)basin::read_npy_floating(source); }, "npy, integers",
      npy_with("<f8", "<i4"), "20", "the dtype is '<i4', expected '<f4' or '<f8'");

  // PNG.
  const std::string front = png_front(2, 2);
  const std::string rows = chunk("IDAT", zlib_stream(zeros(6)));
  const std::string last = chunk("IEND", "");
  const std::string image = front + rows + last;
  const std::string size = std::to_string(image.size());
  add(any_png, "png, empty", "", "0", "ends within the image");
  add(any_png, "png, magic", zeros(100), "8", "Not a PNG");
  add(any_png, "png, sum of the header", replaced(image, 29, "xx"), "33", "CRC");
  add(any_png, "png, sum of the pixels", replaced(image, image.size() - 14, "xx"),
      std::to_string(image.size() - 12), "CRC");
  add(any_png, "png, sum within the pixels",
      front +
          chunk("IDAT", replaced(zlib_stream(zeros(6)), zlib_stream(zeros(6)).size() - 1, "x")) +
          last,
      "", "incorrect data check");
  add(any_png, "png, no width", png_front(0, 2) + rows + last, "33", "IHDR");
  add(any_png, "png, 2^31 wide", png_front(1u << 31, 2) + rows + last, "33", "out of range");
  add(any_png, "png, huge", png_front(0x7fffffff, 0x7fffffff) + rows + last, "16", "the limit is");
  add(any_png, "png, large", png_front(10'000, 10'000) + rows + last, "16", "too short");
  add(any_png, "png, 16 bits", png_front(2, 2, 16) + rows + last, "24", "16 bits a sample");
  add(any_png, "png, 1 bit", png_front(2, 2, 1) + rows + last, "24", "1 bits a sample");
  add(any_png, "png, alpha", png_front(2, 2, 8, 6) + rows + last, "25", "colour type 6");
  add(any_png, "png, palette", png_front(2, 2, 8, 3) + chunk("PLTE", "rgb") + rows + last, "25",
      "colour type 3");
  add(any_png, "png, transparent colour", front + chunk("tRNS", zeros(2)) + rows + last, "25",
      "a transparent colour");
  add(any_png, "png, cut", image.substr(0, image.size() - 1), std::to_string(image.size() - 4),
      "ends within the image");
  add(any_png, "png, no pixels", front + last, "", "");
  add(any_png, "png, few pixels", front + chunk("IDAT", zlib_stream(zeros(5))) + last, "",
      "Not enough image data");
  add(any_png, "png, many pixels", front + chunk("IDAT", zlib_stream(zeros(60'000))) + last, "",
      "Too much image data");
  add(any_png, "png, garbage behind", image + "x", size, "goes on behind the image");
  add(any_png, "png, endless chunk", front + "\x7f\xff\xff\xfftEXt" + zeros(100), "", "");
  add(any_png, "png, unpacked text of 50 MB",
      front + chunk("zTXt", std::string("a\0\0", 3) + zlib_stream(zeros(50'000'000))) + last, "",
      "");

  // PGM and PPM.
  add(any_ppm, "ppm, empty", "", "0", "not a binary PGM or PPM");
  add(any_ppm, "ppm, as text", "P3 1 1 255\n1 2 3\n", "0", "not a binary PGM or PPM");
  add(any_ppm, "ppm, negative width", "P6 -1 1 255\n...", "3", "the width");
  add(any_ppm, "ppm, no width", "P5 0 1 255\n", "3", "the width is 0");
  add(any_ppm, "ppm, no height", "P5 1 0 255\n", "5", "the height is 0");
  add(any_ppm, "ppm, width of 2^40", "P6 1099511627776 1 255\n...", "3", "the width is too large");
  add(any_ppm, "ppm, huge", "P6 2147483647 2147483647 255\n...", "3", "the limit is");
  add(any_ppm, "ppm, large", "P5 10000 10000 255\n...", "22", "ends within an image of 100000000");
  add(any_ppm, "ppm, negative largest value", "P6 1 1 -255\n...", "7", "the largest value");
  add(any_ppm, "ppm, largest value of 2^16 - 1", "P6 1 1 65535\n......", "7", "is 65535");
  add(any_ppm, "ppm, largest value of 10^20", "P6 1 1 100000000000000000000\n...", "7",
      "too large");
  add(any_ppm, "ppm, largest value of 0", "P6 1 1 0\n...", "7", "is 0");
  add(any_ppm, "ppm, no space", "P61 1 255\n...", "2", "the width");
  add(any_ppm, "ppm, comment behind the header", "P6 1 1 255#\n...", "10", "one white space");
  add(any_ppm, "ppm, endless comment", "P6 #" + std::string(1 << 20, 'x'), "1024", "the width");
  add(any_ppm, "ppm, cut", "P6 1 1 255\n..", "13", "ends within an image of 3 bytes");
  add(any_ppm, "ppm, longer", "P6 1 1 255\n....", "14", "goes on behind an image of 3 bytes");
  return all;
}

}  // namespace damaged
