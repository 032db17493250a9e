// Opens a file and reads every tensor as every type of numbers.
#include <basin/io/safetensors.hpp>

#include <cstdint>
#include <string>

#include "fuzz.hpp"

void fuzz(std::span<const unsigned char> bytes) {
  const basin::SafetensorsFile file(basin::ByteSource(bytes, "input"));
  std::size_t numbers = 0;
  for (const std::string& name : file.names()) {
    const basin::tensor_info& info = file.info(name);
    expect(info.begin <= info.end && info.end <= bytes.size());
    numbers += info.end - info.begin;
    const auto read = [&]<class Scalar>(Scalar) {
      try {
        const auto values = file.read<Scalar>(name, info.shape);
        expect(static_cast<basin::index_t>(values.size()) == info.size());
      } catch (const basin::file_error&) {
      }
    };
    read(float{});
    read(double{});
    read(std::int64_t{});
    read(std::uint8_t{});
  }
  expect(numbers + 8 <= bytes.size());  // no byte belongs to two tensors
}
