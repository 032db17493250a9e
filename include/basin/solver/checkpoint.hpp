/// @file
/// A run in a file, from which it goes on to bitwise the same answer.
///
/// The file: a header of fixed size (magic, version, scalar size, k, starts, active
/// columns, size of the accelerator's part, fingerprint of the settings), the
/// arrays, and a 64-bit checksum (FNV-1a) of everything before it. Numbers are in
/// the byte order of the machine; a file of another order fails at the magic.
#pragma once

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/solver/run_state.hpp>

namespace basin {

/// What identifies the kind of run that a checkpoint belongs to.
struct checkpoint_header {
  std::uint64_t magic = 0x31504b4e49534142;  // "BASINKP1"
  std::uint32_t version = 1;
  std::uint32_t scalar_size = 0;
  std::int64_t dimension = 0;
  std::int64_t size = 0;      ///< number of starts
  std::int64_t capacity = 0;  ///< columns that are active at once
  std::int64_t begun = 0;     ///< starts that are or were active
  std::int64_t active = 0;    ///< columns that have begun and not ended
  std::uint64_t pending = 1;  ///< the states of a batch have not been evaluated
  std::uint64_t accelerator_bytes = 0;
  std::uint64_t fingerprint = 0;  ///< of accelerator and stopping rule
};

namespace detail {

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

/// Copies arrays out of a run or into one; `archive` is the same walk for both.
class ByteWriter {
 public:
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void array(T* data, index_t count) {
    const auto* p = reinterpret_cast<const char*>(data);
    bytes_.insert(bytes_.end(), p, p + static_cast<std::size_t>(count) * sizeof(T));
  }
  std::vector<char> bytes_;
};

class ByteReader {
 public:
  ByteReader(const char* begin, const char* end) : next_(begin), end_(end) {}
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void array(T* data, index_t count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    if (static_cast<std::size_t>(end_ - next_) < bytes) {
      throw file_error("checkpoint: an array ends behind the end of the data");
    }
    if (bytes > 0) std::memcpy(data, next_, bytes);
    next_ += bytes;
  }

 private:
  const char* next_;
  const char* end_;
};

/// Walks over a backend's matrix or array through host memory.
template <class B, class Archive>
void archive_matrix(const B& be, Archive& archive, typename B::matrix& X, index_t count) {
  using host = Eigen::Matrix<typename B::scalar, Eigen::Dynamic, Eigen::Dynamic>;
  host values(static_cast<index_t>(X.rows()), count);
  if constexpr (std::is_same_v<Archive, ByteWriter>) {
    download(be, columns(be, std::as_const(X), 0, count), values);
    archive.array(values.data(), static_cast<index_t>(values.size()));
  } else {
    archive.array(values.data(), static_cast<index_t>(values.size()));
    upload(be, values, columns(be, X, 0, count));
  }
}
template <class T, class B, class Archive>
void archive_array(const B& be, Archive& archive, array_view<T> x) {
  std::vector<T> values(static_cast<std::size_t>(x.size));
  if constexpr (std::is_same_v<Archive, ByteWriter>) {
    download_array(be, array_view<const T>(x), array_view<T>(values));
    archive.array(values.data(), x.size);
  } else {
    archive.array(values.data(), x.size);
    upload_array(be, array_view<const T>(values), x);
  }
}

/// Every array of a run, in the order of the file.
template <class B, class Archive>
void archive_run(const B& be, Archive& archive, run_state<B>& run) {
  const index_t n = run.active;
  const index_t size = run.size();
  archive_matrix(be, archive, run.Z, n);
  archive_matrix(be, archive, run.F, n);
  archive_matrix(be, archive, run.anchors, n);
  archive_array(be, archive, array_view<column_record<typename B::scalar>>(run.records).first(n));
  archive_array(be, archive, array_view<typename B::scalar>(run.residuals).first(n));
  archive_array(be, archive, array_view<std::uint8_t>(run.outcome).first(n));
  archive.array(run.origin.data(), n);
  archive_matrix(be, archive, run.result.states, size);
  archive.array(run.result.residual.data(), size);
  archive.array(run.result.iterations.data(), size);
  archive.array(run.result.evaluations.data(), size);
  archive.array(run.result.status.data(), size);
  archive.array(run.result.period.data(), size);
}

/// Bytes of the arrays of a run of these sizes, or 0 if the sizes are impossible.
template <class Scalar>
[[nodiscard]] std::uint64_t run_bytes(const checkpoint_header& header) {
  const std::int64_t k = header.dimension;
  const std::int64_t size = header.size;
  const std::int64_t active = header.active;
  constexpr std::int64_t limit = std::int64_t{1} << 40;
  const bool ordered = 0 <= active && active <= header.capacity && header.capacity <= size &&
                       active <= header.begun && header.begun <= size;
  if (k < 1 || !ordered || k > limit || size > limit || (size > 0 && k > limit / size)) return 0;
  const auto columns = static_cast<std::uint64_t>(k) * sizeof(Scalar);
  return static_cast<std::uint64_t>(active) *
             (3 * columns + sizeof(column_record<Scalar>) + sizeof(Scalar) + 1 + sizeof(index_t)) +
         static_cast<std::uint64_t>(size) *
             (columns + sizeof(Scalar) + 3 * sizeof(index_t) + sizeof(status));
}

}  // namespace detail

/// A run between two iterations, in memory or from a file. Copies share it.
template <class Backend>
class Checkpoint {
 public:
  using scalar = typename Backend::scalar;

  Checkpoint(checkpoint_header header, std::vector<char> run, std::vector<char> accelerator)
      : header_(header),
        run_(std::make_shared<const std::vector<char>>(std::move(run))),
        accelerator_(std::make_shared<const std::vector<char>>(std::move(accelerator))) {
    header_.accelerator_bytes = accelerator_->size();
  }

  [[nodiscard]] const checkpoint_header& header() const noexcept { return header_; }
  [[nodiscard]] const std::vector<char>& run() const noexcept { return *run_; }
  [[nodiscard]] const std::vector<char>& accelerator() const noexcept { return *accelerator_; }

  /// Writes the file beside itself and renames it, so that a reader or a crash
  /// never meets a part of it.
  /// @throws file_error if the file cannot be written
  void save(const std::string& path) const {
    const std::string beside = path + ".partial";
    detail::checksum sum;
    {
      std::ofstream file(beside, std::ios::binary | std::ios::trunc);
      const auto put = [&](const void* data, std::size_t bytes) {
        sum.add(data, bytes);
        file.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
      };
      put(&header_, sizeof header_);
      put(run_->data(), run_->size());
      put(accelerator_->data(), accelerator_->size());
      const std::uint64_t value = sum.value();
      file.write(reinterpret_cast<const char*>(&value), sizeof value);
      file.flush();
      if (!file) throw file_error(beside + ": cannot be written");
    }
    std::error_code failure;
    std::filesystem::rename(beside, path, failure);
    if (failure) throw file_error(path + ": " + failure.message());
  }

  /// Reads a file that `save` wrote. Nothing is allocated from its numbers before
  /// they are found to agree with its length.
  /// @throws file_error that names the file, the offset and the reason
  [[nodiscard]] static Checkpoint load(const std::string& path) {
    const auto refuse = [&](std::uint64_t offset, const std::string& reason) -> void {
      throw file_error(path + ": byte " + std::to_string(offset) + ": " + reason);
    };
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) throw file_error(path + ": cannot be opened");
    const auto length = static_cast<std::uint64_t>(file.tellg());
    file.seekg(0);
    const checkpoint_header expected;
    checkpoint_header header;
    if (length < sizeof header + sizeof(std::uint64_t)) {
      refuse(length, "the file ends within the header of " + std::to_string(sizeof header) +
                         " bytes and the checksum");
    }
    file.read(reinterpret_cast<char*>(&header), sizeof header);
    if (header.magic != expected.magic) refuse(0, "not a checkpoint of this byte order");
    if (header.version != expected.version) {
      refuse(offsetof(checkpoint_header, version), "version " + std::to_string(header.version) +
                                                       ", expected " +
                                                       std::to_string(expected.version));
    }
    if (header.scalar_size != sizeof(scalar)) {
      refuse(offsetof(checkpoint_header, scalar_size),
             "scalars of " + std::to_string(header.scalar_size) + " bytes, expected " +
                 std::to_string(sizeof(scalar)));
    }
    const std::uint64_t run_bytes = detail::run_bytes<scalar>(header);
    if (run_bytes == 0 && header.size != 0) {
      refuse(offsetof(checkpoint_header, dimension), "impossible sizes");
    }
    const std::uint64_t frame = sizeof header + sizeof(std::uint64_t);
    if (header.accelerator_bytes > length ||
        length != frame + run_bytes + header.accelerator_bytes) {
      refuse(length, "the sizes in the header make " +
                         std::to_string(frame + run_bytes + header.accelerator_bytes) + " bytes");
    }
    std::vector<char> run(run_bytes);
    std::vector<char> accelerator(header.accelerator_bytes);
    std::uint64_t stored = 0;
    file.read(run.data(), static_cast<std::streamsize>(run.size()));
    file.read(accelerator.data(), static_cast<std::streamsize>(accelerator.size()));
    file.read(reinterpret_cast<char*>(&stored), sizeof stored);
    detail::checksum sum;
    sum.add(&header, sizeof header);
    sum.add(run.data(), run.size());
    sum.add(accelerator.data(), accelerator.size());
    if (!file || sum.value() != stored) {
      refuse(length - sizeof stored, "the checksum does not agree: the file is damaged");
    }
    return {header, std::move(run), std::move(accelerator)};
  }

 private:
  checkpoint_header header_;
  std::shared_ptr<const std::vector<char>> run_;
  std::shared_ptr<const std::vector<char>> accelerator_;
};

/// The map threw while a run was under way. The original exception is nested; the
/// checkpoint holds everything up to the evaluation that failed, and
/// `FixedPointSolver::resume` goes on from it.
template <class Backend>
class map_failure : public error {
 public:
  map_failure(const std::string& message, Checkpoint<Backend> checkpoint)
      : error(message), checkpoint_(std::move(checkpoint)) {}
  [[nodiscard]] const Checkpoint<Backend>& checkpoint() const noexcept { return checkpoint_; }

 private:
  Checkpoint<Backend> checkpoint_;
};

}  // namespace basin
