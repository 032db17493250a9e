// Reads an array as several types of numbers.
#include <basin/io/npy.hpp>

#include <cstdint>

#include "fuzz.hpp"

void fuzz(std::span<const unsigned char> bytes) {
  const basin::ByteSource source(bytes, "input");
  const auto read = [&]<class Scalar>(Scalar) {
    try {
      const auto X = basin::read_npy<Scalar>(source);
      expect(static_cast<std::size_t>(X.size()) * sizeof(Scalar) <= bytes.size());
    } catch (const basin::file_error&) {
    }
  };
  read(double{});
  read(float{});
  read(std::int64_t{});
  read(std::uint8_t{});
  read(bool{});
  const Eigen::MatrixXd X = basin::read_npy_floating(source);
  expect(static_cast<std::size_t>(X.size()) * sizeof(float) <= bytes.size());
}
