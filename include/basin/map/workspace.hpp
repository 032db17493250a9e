/// @file
/// Matrices that a map keeps between evaluations.
#pragma once

#include <any>
#include <cstddef>
#include <vector>

#include <basin/core/index.hpp>

namespace basin {

/// Numbered matrices of any backend, made at first need and kept, so that a map that
/// is called again allocates nothing. A copy starts empty: copies of a map can be
/// used from several threads at once.
class Workspace {
 public:
  Workspace() = default;
  Workspace(const Workspace&) noexcept {}
  Workspace(Workspace&&) noexcept = default;
  Workspace& operator=(const Workspace&) noexcept { return *this; }
  Workspace& operator=(Workspace&&) noexcept = default;
  ~Workspace() = default;

  /// `columns` columns of matrix number `slot`, with what they last held or nothing.
  template <class B>
  [[nodiscard]] typename B::view get(const B& be, std::size_t slot, index_t rows, index_t count) {
    using matrix = typename B::matrix;
    if (slot >= slots_.size()) slots_.resize(slot + 1);
    auto* kept = std::any_cast<matrix>(&slots_[slot]);
    if (kept == nullptr || static_cast<index_t>(kept->rows()) != rows ||
        static_cast<index_t>(kept->cols()) < count) {
      kept = &slots_[slot].emplace<matrix>(be.make_matrix(rows, count));
    }
    return columns(be, *kept, 0, count);
  }

 private:
  std::vector<std::any> slots_;
};

}  // namespace basin
