/// @file
/// Files of runs: a header of fixed size, parts whose sizes it tells, and a 64-bit checksum of
/// everything before it. Numbers are in the byte order of the machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <system_error>
#include <vector>

#include <basin/core/error.hpp>

namespace basin::detail {

/// FNV-1a over bytes (Fowler, Noll and Vo, 1991).
class checksum {
 public:
  void add(const void* data, std::size_t bytes) noexcept {
    const auto* p = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < bytes; ++i) value_ = (value_ ^ p[i]) * 0x100000001b3u;
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325u;
};

/// Writes a file beside itself and renames it, so that a reader or a crash never meets a part
/// of it.
/// @throws file_error if the file cannot be written
template <class Header>
void write_checked_file(const std::string& path, const Header& header,
                        std::initializer_list<const std::vector<char>*> parts) {
  const std::string beside = path + ".partial";
  checksum sum;
  {
    std::ofstream file(beside, std::ios::binary | std::ios::trunc);
    const auto put = [&](const void* data, std::size_t bytes) {
      sum.add(data, bytes);
      file.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
    };
    put(&header, sizeof header);
    for (const std::vector<char>* part : parts) put(part->data(), part->size());
    const std::uint64_t value = sum.value();
    file.write(reinterpret_cast<const char*>(&value), sizeof value);
    file.flush();
    if (!file) throw file_error(beside + ": cannot be written");
  }
  std::error_code failure;
  std::filesystem::rename(beside, path, failure);
  if (failure) throw file_error(path + ": " + failure.message());
}

/// Reads such a file. Call header, require_parts, part for each, and end.
class CheckedFile {
 public:
  /// @throws file_error if the file cannot be opened
  explicit CheckedFile(const std::string& path)
      : path_(path), file_(path, std::ios::binary | std::ios::ate) {
    if (!file_) throw file_error(path + ": cannot be opened");
    length_ = static_cast<std::uint64_t>(file_.tellg());
    file_.seekg(0);
  }

  [[noreturn]] void refuse(std::uint64_t offset, const std::string& reason) const {
    throw file_error(path_ + ": byte " + std::to_string(offset) + ": " + reason);
  }

  /// @param expected a header with the magic, version and size of scalars of this kind of file
  /// @throws file_error that names file, offset and reason
  template <class Header>
  [[nodiscard]] Header header(const Header& expected) {
    Header found;
    frame_ = sizeof found + sizeof(std::uint64_t);
    if (length_ < frame_) {
      refuse(length_, "the file ends within the header of " + std::to_string(sizeof found) +
                          " bytes and the checksum");
    }
    read(&found, sizeof found);
    const auto offset = [&](const auto& member) {
      return static_cast<std::uint64_t>(reinterpret_cast<const char*>(&member) -
                                        reinterpret_cast<const char*>(&found));
    };
    if (found.magic != expected.magic) refuse(0, "not a checkpoint of this kind and byte order");
    if (found.version != expected.version) {
      refuse(offset(found.version), "version " + std::to_string(found.version) + ", expected " +
                                        std::to_string(expected.version));
    }
    if (found.scalar_size != expected.scalar_size) {
      refuse(offset(found.scalar_size), "scalars of " + std::to_string(found.scalar_size) +
                                            " bytes, expected " +
                                            std::to_string(expected.scalar_size));
    }
    return found;
  }

  /// @throws file_error unless parts of these sizes and nothing else follow the header
  void require_parts(std::initializer_list<std::uint64_t> sizes) const {
    std::uint64_t expected = frame_;
    bool fits = true;
    for (const std::uint64_t bytes : sizes) {
      fits = fits && bytes <= length_;
      expected += bytes;
    }
    if (!fits || expected != length_) {
      refuse(length_, "the sizes in the header make " + std::to_string(expected) + " bytes");
    }
  }
  [[nodiscard]] std::vector<char> part(std::uint64_t bytes) {
    std::vector<char> values(bytes);
    read(values.data(), values.size());
    return values;
  }
  /// @throws file_error unless the checksum agrees
  void end() {
    const std::uint64_t computed = sum_.value();
    std::uint64_t stored = 0;
    read(&stored, sizeof stored);
    if (!file_ || computed != stored) {
      refuse(length_ - sizeof stored, "the checksum does not agree: the file is damaged");
    }
  }

 private:
  void read(void* data, std::size_t bytes) {
    file_.read(static_cast<char*>(data), static_cast<std::streamsize>(bytes));
    sum_.add(data, bytes);
  }

  std::string path_;
  std::ifstream file_;
  std::uint64_t length_ = 0;
  std::uint64_t frame_ = 0;
  checksum sum_;
};

}  // namespace basin::detail
