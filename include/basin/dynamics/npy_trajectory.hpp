/// @file
/// Trajectories streamed to a file of NumPy's.
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include <Eigen/Core>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/dynamics/trajectories.hpp>
#include <basin/io/atomic_file.hpp>
#include <basin/io/npy.hpp>

namespace basin {

/// A sink of `record_trajectories` that appends every slice to an NPY file, in the memory of
/// one slice. The file is k × (N M), column-major, slice m from column N m on: `read_npy` gives
/// it back as `Trajectories::states`, and in NumPy np.load(path).T.reshape(M, N, k) is
/// indexed by time, start and entry. The file appears whole in `commit`, or not at all.
template <std::floating_point Scalar>
class NpyTrajectory {
 public:
  /// @param k entries of a state
  /// @param columns number of starts
  /// @param slices number of times
  /// @throws file_error if no file can be made at `path`
  NpyTrajectory(const std::filesystem::path& path, index_t k, index_t columns, index_t slices)
      : file_(path), path_(path.string()), k_(k), columns_(columns), slices_(slices) {
    std::string header = "{'descr': '" + detail::npy_type<Scalar>() +
                         "', 'fortran_order': True, 'shape': (" + std::to_string(k) + ", " +
                         std::to_string(columns * slices) + "), }";
    const std::size_t before = detail::npy_magic.size() + 2;
    header.append(63 - (before + header.size()) % 64, ' ');  // data begins at 64 n
    header += '\n';
    const char size[2] = {static_cast<char>(header.size() & 0xff),
                          static_cast<char>(header.size() >> 8)};
    file_.write(detail::npy_magic);
    file_.write(size, 2);
    file_.write(header);
  }

  /// Appends one slice.
  /// @throws size_error if it has another shape, argument_error if it is one too many;
  ///   file_error if it cannot be written
  void operator()(const trajectory_slice<Scalar>& slice) {
    require_size("NpyTrajectory", "number of rows of a slice", slice.states.rows(), k_);
    require_size("NpyTrajectory", "number of columns of a slice", slice.states.cols(), columns_);
    require(written_ < slices_, "NpyTrajectory",
            "there are more than the " + std::to_string(slices_) + " slices that were said");
    ++written_;
    const Scalar* const data = slice.states.data();
    if (slice.states.outerStride() == k_) {
      file_.write(data, static_cast<std::size_t>(k_ * columns_) * sizeof(Scalar));
      return;
    }
    for (index_t j = 0; j < columns_; ++j) {
      file_.write(data + j * slice.states.outerStride(),
                  static_cast<std::size_t>(k_) * sizeof(Scalar));
    }
  }

  [[nodiscard]] index_t written() const noexcept { return written_; }

  /// Gives the file its name. Call it once, after the last slice.
  /// @throws file_error if slices are missing, or the system reports a failure
  void commit() {
    if (written_ != slices_) {
      throw file_error(path_ + ": " + std::to_string(written_) + " of " + std::to_string(slices_) +
                       " slices were written");
    }
    file_.commit();
  }

 private:
  AtomicFile file_;
  std::string path_;
  index_t k_;
  index_t columns_;
  index_t slices_;
  index_t written_ = 0;
};

}  // namespace basin
