/// @file
/// A run in a file, from which it goes on to bitwise the same answer.
///
/// The file: a header of fixed size (magic, version, scalar size, k, starts, active
/// columns, size of the accelerator's part, fingerprint of the settings), the
/// arrays, and a 64-bit checksum (FNV-1a) of everything before it. Numbers are in
/// the byte order of the machine; a file of another order fails at the magic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <basin/backend/archive.hpp>
#include <basin/backend/concept.hpp>
#include <basin/core/checked_file.hpp>
#include <basin/core/error.hpp>
#include <basin/solver/run_state.hpp>

namespace basin {

/// What identifies the kind of run that a checkpoint belongs to.
struct checkpoint_header {
  std::uint64_t magic = 0x31504b4e49534142;  // "BASINKP1"
  std::uint32_t version = 2;
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
    detail::write_checked_file(path, header_, {run_.get(), accelerator_.get()});
  }

  /// Reads a file that `save` wrote. Nothing is allocated from its numbers before
  /// they are found to agree with its length.
  /// @throws file_error that names the file, the offset and the reason
  [[nodiscard]] static Checkpoint load(const std::string& path) {
    detail::CheckedFile file(path);
    checkpoint_header expected;
    expected.scalar_size = sizeof(scalar);
    const checkpoint_header header = file.header(expected);
    const std::uint64_t run_bytes = detail::run_bytes<scalar>(header);
    if (run_bytes == 0 && header.size != 0) {
      file.refuse(offsetof(checkpoint_header, dimension), "impossible sizes");
    }
    file.require_parts({run_bytes, header.accelerator_bytes});
    std::vector<char> run = file.part(run_bytes);
    std::vector<char> accelerator = file.part(header.accelerator_bytes);
    file.end();
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
